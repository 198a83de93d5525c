package gitrepo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/rungbot/rung/internal/promotion"
)

const (
	// maxUpdates bounds the refs of one push.
	maxUpdates = 1000
	// relistTimeout bounds the listing after a push that went wrong, which is
	// made even if the caller's context has ended.
	relistTimeout = 15 * time.Second
)

// Push moves refs, all or none where the server can, sending exactly the
// objects written here that it lacks. The error is nil if every ref is at its
// New, also when the answer was lost and a later listing shows it.
//
// Otherwise the Report says what holds, ref by ref, and the error is
// ErrConflict (somebody else moved a ref), *RejectedError (the server has a
// reason of its own), both, ErrUnknownOutcome (it may still happen), or why
// the push could not be sent at all. A server without atomic pushes gets the
// updates marked First, and the others only once those have moved. Objects of
// a failed push stay and can be pushed again.
func (r *Remote) Push(ctx context.Context, updates []RefUpdate, o PushOptions) (Report, error) {
	report := Report{Results: make([]RefResult, len(updates))}
	for n, u := range updates {
		report.Results[n] = RefResult{RefUpdate: u, Status: Held}
	}
	if err := checkUpdates(updates); err != nil {
		return report, fmt.Errorf("git push: %w", err)
	}
	if len(updates) == 0 {
		return report, nil
	}
	caps, err := r.receiveCapabilities(ctx)
	if err != nil {
		return report, err
	}
	report.Atomic = caps.atomic || len(updates) == 1
	if !report.Atomic && o.RequireAtomic {
		return report, fmt.Errorf("git push: %w", ErrNotAtomic)
	}
	for _, group := range groups(updates, report.Atomic) {
		p := push{remote: r, caps: caps, report: &report, group: group}
		if err := p.run(ctx); err != nil {
			return report, err
		}
	}
	return report, nil
}

// groups are the indexes of the updates that go out together, in order.
func groups(updates []RefUpdate, atomic bool) [][]int {
	var first, rest []int
	for n, u := range updates {
		if u.First && !atomic {
			first = append(first, n)
		} else {
			rest = append(rest, n)
		}
	}
	return slices.DeleteFunc([][]int{first, rest}, func(g []int) bool { return len(g) == 0 })
}

// checkUpdates refuses what would be a mistake of the caller.
func checkUpdates(updates []RefUpdate) error {
	if len(updates) > maxUpdates {
		return fmt.Errorf("%w: %d refs, where %d are taken", ErrTooLarge, len(updates), maxUpdates)
	}
	seen := map[string]bool{}
	for _, u := range updates {
		if err := checkRef(u.Ref); err != nil {
			return err
		}
		for _, h := range []promotion.Hash{u.Old, u.New} {
			if h == "" {
				continue
			}
			if i, err := parseID(h); err != nil || i.IsZero() {
				return fmt.Errorf("%s: %q is no hash; a ref that does not exist is the empty hash", u.Ref, printable(string(h), 50))
			}
		}
		if u.Old == u.New {
			return fmt.Errorf("%s: old and new are the same; leave it out", u.Ref)
		}
		if seen[u.Ref] {
			return fmt.Errorf("%s is given twice", u.Ref)
		}
		seen[u.Ref] = true
	}
	return nil
}

// checkRef holds a ref's name to git's rules.
func checkRef(ref string) error {
	bad := !strings.HasPrefix(ref, "refs/") || len(ref) > maxName || strings.Contains(ref, "..") || strings.Contains(ref, "@{") ||
		strings.HasSuffix(ref, ".") || strings.ContainsFunc(ref, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(`~^:?*[\`, c) })
	for part := range strings.SplitSeq(ref, "/") {
		bad = bad || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad {
		return fmt.Errorf("%q is no name of a ref", printable(ref, 80))
	}
	return nil
}

// push is one request: the updates of one group.
type push struct {
	remote *Remote
	caps   receiveCaps
	report *Report
	group  []int // indexes into report.Results
}

// run pushes, and finds out what holds if not everything went well.
func (p *push) run(ctx context.Context) error {
	answer, err := p.send(ctx, !p.caps.noThin)
	if err == nil && answer.unpack != "ok" && !p.caps.noThin {
		// The server may have lost what a delta was told against. Nothing
		// moved, so try once more with whole objects.
		p.remote.store.forget()
		answer, err = p.send(ctx, false)
	}
	if answer.messages != "" {
		p.report.Messages = strings.TrimPrefix(p.report.Messages+"\n"+answer.messages, "\n")
	}
	if notSent(err) {
		return err
	}
	if err == nil && p.allMoved(answer) {
		for _, n := range p.group {
			p.report.Results[n].Status = Done
		}
		p.deliver()
		return nil
	}
	now, listErr := p.relist(ctx)
	for _, n := range p.group {
		p.settle(&p.report.Results[n], answer, err, now, listErr)
	}
	p.deliver()
	return p.verdict(err, answer)
}

// send does the request.
func (p *push) send(ctx context.Context, thin bool) (pushAnswer, error) {
	const op = "push"
	updates := make([]RefUpdate, len(p.group))
	var tips []id
	for n, g := range p.group {
		updates[n] = p.report.Results[g].RefUpdate
		if i, err := parseID(updates[n].New); err == nil {
			tips = append(tips, i)
		}
		if updates[n].New == "" && !p.caps.deleteRefs {
			return pushAnswer{}, fmt.Errorf("git push: %w: the server can't delete refs", errNotSent)
		}
	}
	entries, err := p.remote.unpushedBelow(tips, thin)
	if err != nil {
		return pushAnswer{}, fmt.Errorf("git push: %w: %w", errNotSent, err)
	}
	request, err := p.remote.encodePush(p.caps, updates, entries)
	if err != nil {
		return pushAnswer{}, fmt.Errorf("git push: %w: %w", errNotSent, err)
	}
	p.report.Objects += len(entries)
	p.report.Bytes += int64(len(request))
	body, err := p.remote.request(ctx, op, receivePack, request)
	if err != nil {
		return pushAnswer{}, err
	}
	defer func() { _ = body.Close() }()
	answer, err := parsePush(body, p.caps.sideBand)
	if err != nil {
		return answer, readError(op, err)
	}
	return answer, nil
}

// notSent reports whether an error means that the server did nothing: no
// connection was made, or it answered with a redirect or a refusal.
func notSent(err error) bool {
	var status *HTTPError
	if errors.As(err, &status) {
		return status.Status >= 300 && status.Status < 500 && status.Status != http.StatusRequestTimeout
	}
	return errors.Is(err, errNotSent)
}

// allMoved reports whether the server said ok to every ref of the group.
func (p *push) allMoved(answer pushAnswer) bool {
	if answer.unpack != "ok" {
		return false
	}
	for _, n := range p.group {
		if reason, ok := answer.statuses[p.report.Results[n].Ref]; !ok || reason != "" {
			return false
		}
	}
	return true
}

// relist asks where the group's refs stand now.
func (p *push) relist(ctx context.Context) (map[string]promotion.Hash, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), relistTimeout)
	defer cancel()
	names := make([]string, len(p.group))
	for n, g := range p.group {
		names[n] = p.report.Results[g].Ref
	}
	return p.remote.ExactRefs(ctx, names...)
}

// settle judges one ref by what the server said (unless pushErr) and by where
// the ref stands (unless listErr).
func (p *push) settle(res *RefResult, answer pushAnswer, pushErr error, now map[string]promotion.Hash, listErr error) {
	reason, told := answer.statuses[res.Ref]
	told = told && pushErr == nil
	res.Text = reason
	if listErr == nil {
		res.Listed, res.Now = true, now[res.Ref]
	}
	switch {
	case told && reason == "" && answer.unpack == "ok":
		res.Status = Done
	case res.Listed && res.Now == res.New:
		res.Status = Done
	case res.Listed && res.Now != res.Old:
		res.Status = Stale
	case !told:
		res.Status = Unknown
	case bystander(reason):
		res.Status = Held
	default:
		res.Status = Rejected
	}
}

// bystander tells git's words for "not moved, because of another ref or of a
// race" from a refusal of this ref.
func bystander(reason string) bool {
	for _, words := range []string{"atomic", "failed to update ref", "cannot lock ref", "failed to lock", "reference already exists", "fetch first", "stale info"} {
		if strings.Contains(reason, words) {
			return true
		}
	}
	return false
}

// verdict makes the group's error of its results.
func (p *push) verdict(pushErr error, answer pushAnswer) error {
	var errs []error
	var stale, rejected, unknown, held *RefResult
	for _, n := range p.group {
		res := &p.report.Results[n]
		for _, x := range []struct {
			status Status
			first  **RefResult
		}{{Stale, &stale}, {Rejected, &rejected}, {Unknown, &unknown}, {Held, &held}} {
			if res.Status == x.status && *x.first == nil {
				*x.first = res
			}
		}
	}
	if rejected != nil {
		text := rejected.Text
		if answer.unpack != "ok" {
			text += " (" + answer.unpack + ")"
		}
		errs = append(errs, &RejectedError{Ref: rejected.Ref, Text: text, Messages: p.report.Messages})
	}
	if stale != nil {
		errs = append(errs, fmt.Errorf("git push: %w: %s is at %s, not at %s", ErrConflict, stale.Ref, at(stale.Now), at(stale.Old)))
	}
	if unknown != nil && stale == nil {
		errs = append(errs, fmt.Errorf("git push: %w: %s", ErrUnknownOutcome, unknown.Ref))
		if pushErr != nil {
			errs = append(errs, pushErr)
		}
	}
	if len(errs) == 0 && held != nil {
		errs = append(errs, fmt.Errorf("git push: %w: %s: %s", ErrConflict, held.Ref, held.Text))
	}
	return errors.Join(errs...)
}

// at shows where a ref stands.
func at(h promotion.Hash) string {
	if h == "" {
		return "nothing"
	}
	return h.Short()
}

// unpushedBelow collects the objects written here that the tips need and the
// server lacks: commits, then trees, then blobs.
func (r *Remote) unpushedBelow(tips []id, thin bool) ([]packEntry, error) {
	var entries []packEntry
	seen := map[id]bool{}
	for queue := tips; len(queue) > 0; queue = queue[1:] {
		i := queue[0]
		if seen[i] {
			continue
		}
		seen[i] = true
		w, ok := r.store.unpushed(i)
		if !ok {
			continue // the server has it, with all it needs
		}
		e := packEntry{object: w.object}
		if base, ok := r.store.onServer(w.base); ok && thin {
			e.base = &base
		}
		entries = append(entries, e)
		below, err := references(w.object)
		if err != nil {
			return nil, err
		}
		for _, b := range below {
			if _, ok := r.store.unpushed(b); ok {
				queue = append(queue, b)
			}
		}
	}
	slices.SortStableFunc(entries, func(a, b packEntry) int { return cmp.Compare(a.kind, b.kind) })
	return entries, nil
}

// references are the objects that o needs beside it.
func references(o object) ([]id, error) {
	var below []id
	switch o.kind {
	case plumbing.CommitObject:
		c, err := parseCommit(o)
		if err != nil {
			return nil, err
		}
		for _, h := range append(slices.Clone(c.Parents), c.Tree) {
			i, err := parseID(h)
			if err != nil {
				return nil, err
			}
			below = append(below, i)
		}
	case plumbing.TreeObject:
		nodes, err := parseTree(o)
		if err != nil {
			return nil, err
		}
		for _, n := range nodes {
			if n.mode != ModeGitlink {
				below = append(below, n.id)
			}
		}
	}
	return below, nil
}

// deliver marks the objects of the refs that moved as known to the server.
func (p *push) deliver() {
	var tips []id
	for _, n := range p.group {
		res := p.report.Results[n]
		if i, err := parseID(res.New); err == nil && res.Status == Done {
			tips = append(tips, i)
		}
	}
	entries, err := p.remote.unpushedBelow(tips, false)
	if err != nil {
		return // can't be: they were just pushed
	}
	objects := make([]object, len(entries))
	for n, e := range entries {
		objects[n] = e.object
	}
	p.remote.store.addKnown(objects...)
}
