package gitmem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/gitstore/smarthttp"
)

// Reasons in stock git's words, which clients show and compare.
const (
	reasonUnpack        = "unpacker error"
	reasonMissing       = "missing necessary objects"
	reasonHidden        = "deny updating a hidden ref"
	reasonHiddenDelete  = "deny deleting a hidden ref"
	reasonFunny         = "funny refname"
	reasonDeleteCurrent = "deletion of the current branch prohibited"
	reasonHook          = "hook declined"
	reasonStale         = "failed to update ref"
	reasonAtomic        = "atomic push failure"
	reasonTransaction   = "atomic transaction failed"
)

// received is one push being carried out.
type received struct {
	wire
	request  smarthttp.PushRequest
	unpack   string            // "ok", or why the pack was not taken
	refused  map[string]string // by ref
	progress bytes.Buffer      // what the person at the other end reads
}

// ServeReceivePack takes a push: objects, judgement, refs, report.
func (r wire) ServeReceivePack(ctx context.Context, body []byte, w io.Writer) error {
	request, err := smarthttp.ParsePush(body)
	if err != nil || len(request.Updates) == 0 {
		return err
	}
	p := &received{wire: r, request: request, unpack: "ok", refused: map[string]string{}}
	ctx = context.WithoutCancel(ctx) // a client that goes away does not stop a push half way
	push := gitstore.PushFrom(ctx)
	var landed []gitstore.RefUpdate
	if err := p.store(); err != nil {
		p.unpack = err.Error()
		for _, u := range request.Updates {
			p.refused[u.Ref] = reasonUnpack
		}
	} else {
		landed = p.update(p.judge(ctx, push))
	}
	if push.Landed != nil && len(landed) > 0 {
		push.Landed(ctx, landed)
	}
	return p.report(w)
}

// store takes the pack's objects in, all or none.
func (p *received) store() error {
	needed := false
	for _, u := range p.request.Updates {
		needed = needed || u.New != gitstore.Zero
	}
	if !needed {
		return nil
	}
	objects, err := readPack(p.request.Pack, p.get)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := checkObject(o); err != nil {
			return err
		}
	}
	if err := p.linked(objects); err != nil {
		return err
	}
	p.put(objects...)
	return nil
}

// linked returns an error if one of objects names an object that is neither
// among them nor in the repository.
func (p *received) linked(objects []object) error {
	here := map[string]bool{}
	for _, o := range objects {
		here[objectID(o.kind, o.data)] = true
	}
	for _, o := range objects {
		for _, id := range links(o) {
			if _, ok := p.get(id); !ok && !here[id] {
				return fmt.Errorf("did not receive expected object %s", id)
			}
		}
	}
	return nil
}

// links returns the ids of the objects that a well-formed object names.
func links(o object) []string {
	switch o.kind {
	case "tag":
		return []string{tagTarget(o.data)}
	case "commit":
		if c := parseCommit("", o.data); c != nil {
			return append(c.parents, c.tree)
		}
	case "tree":
		var ids []string
		entries, _ := gitstore.ParseTree(o.data) // a malformed one links to nothing
		for _, e := range entries {
			if e.Mode != modeGitlink {
				ids = append(ids, e.ID)
			}
		}
		return ids
	}
	return nil
}

// judge fills refused with the refs that git refuses before it looks at hooks,
// and returns the caller's reasons against others.
func (p *received) judge(ctx context.Context, push gitstore.Push) (declined map[string]string) {
	for _, u := range p.request.Updates {
		switch {
		case u.New != gitstore.Zero && !p.connected(u.New):
			p.refused[u.Ref] = reasonMissing
		case !strings.HasPrefix(u.Ref, hiddenRefs):
		case u.New == gitstore.Zero:
			p.refused[u.Ref] = reasonHiddenDelete
		default:
			p.refused[u.Ref] = reasonHidden
		}
	}
	if push.Judge == nil {
		return nil
	}
	return push.Judge(ctx, p.request.Updates)
}

// check is what git's receive-pack checks of each ref before it locks it.
func (p *received) check(u gitstore.RefUpdate, declined map[string]string) string {
	switch reason, isDeclined := declined[u.Ref]; {
	case gitstore.CheckRef(u.Ref) != nil:
		return reasonFunny
	case u.Ref == p.head && u.New == gitstore.Zero:
		return reasonDeleteCurrent
	case isDeclined:
		fmt.Fprintf(&p.progress, "%s\nerror: hook declined to update %s\n", strings.TrimRight(reason, "\n"), u.Ref)
		return reasonHook
	}
	return ""
}

// update moves what may move and returns it.
func (p *received) update(declined map[string]string) []gitstore.RefUpdate {
	var tried []gitstore.RefUpdate
	for _, u := range p.request.Updates {
		if p.refused[u.Ref] == "" {
			tried = append(tried, u)
		}
	}
	if p.request.Has("atomic") && !p.options.NoAtomic {
		return p.updateTogether(tried, declined)
	}
	var landed []gitstore.RefUpdate
	for _, u := range tried {
		reason := p.check(u, declined)
		if reason == "" {
			reason = p.move(reasonStale, u)
		}
		if reason != "" {
			p.refused[u.Ref] = reason
		} else if u.Old != u.New {
			landed = append(landed, u)
		}
	}
	return landed
}

func (p *received) updateTogether(tried []gitstore.RefUpdate, declined map[string]string) []gitstore.RefUpdate {
	others := ""
	for _, u := range tried {
		if reason := p.check(u, declined); reason != "" {
			p.refused[u.Ref] = reason
			others = reasonAtomic
			break
		}
	}
	if others == "" {
		others = p.move(reasonTransaction, tried...)
	}
	if others == "" {
		return slices.DeleteFunc(tried, func(u gitstore.RefUpdate) bool { return u.Old == u.New })
	}
	for _, u := range tried {
		if p.refused[u.Ref] == "" {
			p.refused[u.Ref] = others
		}
	}
	return nil
}

// move is one transaction; it returns reason when it fails.
func (p *received) move(reason string, updates ...gitstore.RefUpdate) string {
	exact := make([]gitstore.RefUpdate, 0, len(updates))
	for _, u := range updates {
		if _, known := p.get(u.Old); u.New == gitstore.Zero && !known {
			// Git deletes regardless of an old value it has never seen.
			if u.Old = p.snapshot()[u.Ref]; u.Old == "" {
				fmt.Fprintf(&p.progress, "warning: deleting a non-existent ref\n")
				continue
			}
		}
		exact = append(exact, u)
	}
	err := p.transact(exact)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, gitstore.ErrStale):
		fmt.Fprintf(&p.progress, "error: cannot lock ref: %v\n", err)
	default:
		fmt.Fprintf(&p.progress, "error: %v\n", err)
	}
	return reason
}

// connected says whether everything below id is here. What was found whole
// once is not walked again.
func (p *received) connected(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := map[string]bool{}
	stack := []string{id}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[top] || p.whole[top] {
			continue
		}
		o, ok := p.objects[top]
		if !ok {
			return false
		}
		seen[top] = true
		stack = append(stack, links(o)...)
	}
	for id := range seen {
		p.whole[id] = true
	}
	return true
}

// report writes the answer that the client asked for.
func (p *received) report(w io.Writer) error {
	sideBand := p.request.Has("side-band-64k")
	var status, out bytes.Buffer
	writeLine(&status, "unpack "+p.unpack)
	for _, u := range p.request.Updates {
		if reason := p.refused[u.Ref]; reason != "" {
			writeLine(&status, "ng "+u.Ref+" "+reason)
		} else {
			writeLine(&status, "ok "+u.Ref)
		}
	}
	writeSpecial(&status, smarthttp.Flush)
	if sideBand {
		_, _ = smarthttp.SideBand{W: &out, Channel: 2}.Write(p.progress.Bytes()) // a buffer takes everything
	}
	if p.request.Has("report-status") {
		if sideBand {
			_, _ = smarthttp.SideBand{W: &out, Channel: 1}.Write(status.Bytes())
		} else {
			_, _ = status.WriteTo(&out)
		}
	}
	if sideBand {
		writeSpecial(&out, smarthttp.Flush)
	}
	_, err := out.WriteTo(w)
	return err
}
