package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
)

// Options change how a repository is judged.
type Options struct {
	// Root pins the ledger's first key by its fingerprint, "SHA256:…". Empty:
	// trust on first use, which the Report says.
	Root string
	// Base is the base branch, by name or full ref. Empty: what the newest
	// record says, or HEAD.
	Base string
	// Strict counts what is only listed against the verdict.
	Strict bool
	// Recompute judges again what records kept the facts of.
	Recompute bool
	// Checkpoint is how far the repository was verified before; nil: not at all.
	// What is in it is not verified again, unless something new is not in order.
	Checkpoint *Checkpoint
	// Each, if set, is called for every record of the ledger, oldest first; those
	// of one commit in the order of their paths.
	Each func(Entry)
}

// Verify judges a local clone, bare or not. The error is for what is no
// repository that can be read at all; everything else is in the Report.
func Verify(ctx context.Context, path string, o Options) (Report, error) {
	return verify(ctx, path, o, together(manyTogether, o.Each))
}

// verify is Verify with something that checks signatures.
func verify(ctx context.Context, path string, o Options, by *signatures) (Report, error) {
	report := Report{
		Findings: []Finding{}, ByHand: []HandChange{}, TrustOnFirstUse: o.Root == "", strict: o.Strict,
		Environments: map[promotion.Environment]map[promotion.Artifact]promotion.Value{},
	}
	if o.Root != "" && !strings.HasPrefix(o.Root, "SHA256:") {
		return report, fmt.Errorf("root %q is no fingerprint: it must be SHA256:…, as ssh-keygen -l prints it", clip(o.Root))
	}
	r, err := openRepository(path)
	if err != nil {
		return report, err
	}
	defer r.close()
	v := &verifier{configuration: newConfiguration(newObjects(r)), options: o, report: &report}
	v.signatures = by
	err = v.verify(ctx)
	var object *objectError
	if errors.As(err, &object) {
		v.find(Finding{Code: object.code, Object: object.id.String(), Expected: "a sound object", Found: object.text})
		err = nil
	}
	var pack *packError
	if errors.As(err, &pack) {
		v.find(Finding{Code: ObjectUnreadable, Object: clip(pack.name), Expected: "a sound pack", Found: clip(pack.text)})
		err = nil
	}
	report.finish()
	return report, err
}

// verifier is one Verify under way.
type verifier struct {
	*configuration
	options Options
	report  *Report
}

func (v *verifier) find(f Finding) { v.report.Findings = append(v.report.Findings, f) }

func (v *verifier) verify(ctx context.Context) error {
	what, err := v.truncated()
	if err != nil {
		return err
	}
	if what != "" {
		v.find(Finding{Code: HistoryTruncated, Object: v.dir, Expected: "the whole history: git fetch --unshallow", Found: what})
		return nil
	}
	for name := range v.refs {
		if strings.HasPrefix(name, "refs/replace/") {
			v.find(Finding{Code: ReplaceRef, Object: clip(name), Expected: "no replaced objects", Found: v.refs[name].String()})
		}
	}
	ref, tip, remote := v.branch("rung/ledger", "")
	if ref == "" {
		v.find(Finding{Code: LedgerMissing, Object: promotion.LedgerRef, Expected: "a branch rung/ledger: git fetch origin rung/ledger:refs/remotes/origin/rung/ledger", Found: "none in this clone"})
		return nil
	}
	v.report.Ledger = RefHead{ref, tip.hash()}
	if c := v.options.Checkpoint; c != nil && v.options.Each == nil && !v.options.Recompute && len(v.report.Findings) == 0 && (v.options.Root == "" || v.options.Root == c.Root) {
		before := *v.report
		v.passing = true
		held, err := v.attempt(ctx, c, tip, remote)
		if held && err == nil && v.report.clean() {
			v.report.Before = &c.Verified
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		v.again(before) // whatever is not in order is judged on all there is
		v.passing, v.trees = false, newGenerations[oid, []entry](treeBytes)
		v.forget()
	}
	before := *v.report
	held, err := v.attempt(ctx, nil, tip, remote)
	if held || ctx.Err() != nil {
		return err
	}
	v.again(before)
	v.signatures.single()
	return v.judge(ctx, nil, tip, remote)
}

// attempt judges both branches, and reports whether the signatures hold that were
// checked together.
func (v *verifier) attempt(ctx context.Context, since *Checkpoint, tip oid, remote string) (held bool, err error) {
	err = v.judge(ctx, since, tip, remote)
	return v.signatures.settle(), err
}

// again forgets what an attempt found.
func (v *verifier) again(before Report) {
	before.Findings, before.ByHand = slices.Clone(before.Findings), []HandChange{}
	before.Environments = map[promotion.Environment]map[promotion.Artifact]promotion.Value{}
	*v.report = before
	v.commits, v.aside = newGenerations[oid, *commit](commitBytes), aside{}
}

// judge judges both branches: all of them, or what is new since a checkpoint.
func (v *verifier) judge(ctx context.Context, since *Checkpoint, tip oid, remote string) error {
	var l *ledgerWalk
	var err error
	if since != nil {
		l, err = v.resume(ctx, since, tip)
	} else {
		l, err = v.walkLedger(ctx, tip)
	}
	if err != nil {
		return err
	}
	base := v.options.Base
	if base == "" {
		base = l.baseRef
	}
	name, head := v.base(base, remote)
	if name == "" {
		v.find(Finding{Code: BaseMissing, Object: clip(base), Expected: "the base branch, or --base BRANCH", Found: "not in this clone"})
		return v.sweep([]oid{tip}, nil)
	}
	v.report.Base = RefHead{name, head.hash()}
	b, err := v.judgeBase(ctx, l, head)
	if err != nil {
		return err
	}
	if err := v.environments(l, head, b.pipeline); err != nil {
		return err
	}
	if since != nil && l.past.doubt {
		return errWhole
	}
	if since != nil {
		v.report.Trust = since.Trust.plus(v.report.Trust)
		if err := v.sweepSince(append(slices.Clone(l.ids[1:]), slices.Collect(maps.Keys(b.parents))...)); err != nil {
			return err
		}
	} else {
		if c := v.options.Checkpoint; c != nil {
			v.witnessed(c, l, b)
		}
		if err := v.sweep([]oid{tip, head}, progress.Begin(ctx, "reading what is left", "objects", 0)); err != nil {
			return err
		}
		if err := v.packs(); err != nil {
			return err
		}
	}
	if v.report.clean() {
		v.report.Next = v.checkpoint(l, b)
	}
	return nil
}

// branch finds a branch: as a branch of this clone, or as a remote's. A remote
// that is given is looked at first.
func (v *verifier) branch(name, remote string) (ref string, head oid, from string) {
	local, origin := "refs/heads/"+name, "refs/remotes/origin/"+name
	order := []string{local, origin}
	if remote != "" {
		order = []string{origin, local}
	}
	for _, ref := range order {
		if id, ok := v.refs[ref]; ok {
			if ref == origin {
				from = "origin"
			}
			return ref, id, from
		}
	}
	return "", oid{}, ""
}

// base finds the base branch, beside the ledger where there is a choice.
func (v *verifier) base(name, remote string) (string, oid) {
	if name == "" {
		name = v.head
	}
	if id, ok := v.refs[name]; ok && (v.options.Base != "" || name == "HEAD") {
		return name, id
	}
	ref, id, _ := v.branch(strings.TrimPrefix(name, "refs/heads/"), remote)
	return ref, id
}

// environments reads what is live out of the base head's files, by its own
// configuration or, where that can't be used, by the last that could.
func (v *verifier) environments(l *ledgerWalk, head oid, last *promotion.Pipeline) error {
	c, p, err := v.configured(head)
	if err != nil {
		return err
	}
	if p == nil {
		p = last
	}
	if p == nil {
		v.find(Finding{Code: ConfigUnreadable, Object: head.String(), Expected: "a rung.yaml that says what the environments are", Found: "none that can be used"})
		return nil
	}
	all, err := v.allPlaces(c.tree, p)
	if err != nil {
		return err
	}
	for pair, places := range all {
		var value promotion.Value
		for _, pl := range places {
			if value.Version == "" {
				value.Version = pl.After.Version
			}
			if value.Digest == "" {
				value.Digest = pl.After.Digest
			}
		}
		if a := l.live(pair); a != nil && value.Version == "" && a.Digest == value.Digest {
			value.Version = a.Version
		}
		if v.report.Environments[pair.Environment] == nil {
			v.report.Environments[pair.Environment] = map[promotion.Artifact]promotion.Value{}
		}
		v.report.Environments[pair.Environment][pair.Artifact] = value
	}
	return nil
}

// String is the verdict in a line.
func (r *Report) String() string {
	verdict := "holds"
	switch r.ExitCode() {
	case 1:
		verdict = "does not hold"
	case 2:
		verdict = "could not be judged"
	}
	text := fmt.Sprintf("%s: %d commits, %d records, %d releases (%d promotions, %d rollbacks, %d by hand), %d findings",
		verdict, r.Commits, r.Records, r.Releases, r.Promotions, r.Rollbacks, len(r.ByHand), len(r.Findings))
	if b := r.Before; b != nil {
		text += fmt.Sprintf("; verified before, up to the checkpoint: %d commits, %d records, %d releases", b.Commits, b.Records, b.Releases)
	}
	return text
}
