package observe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/promotion"
)

// restore is how a ledger that is not as it was is put right.
const restore = "; push the branch rung/ledger back from any clone that has it"

// ledgerFault tells a ledger that can't be trusted from a server that can't be
// reached.
func ledgerFault(err error) (string, bool) {
	switch {
	case errors.Is(err, ledger.ErrForeign), errors.Is(err, ledger.ErrSignature), errors.Is(err, ledger.ErrMalformed):
		return "the ledger can't be trusted: " + err.Error() + restore, true
	case errors.Is(err, ledger.ErrNewer):
		return "the ledger can't be read by this version of rung: " + err.Error() + "; run that version, or a newer one", true
	case errors.Is(err, ledger.ErrTrust):
		return err.Error(), true
	}
	return "", false
}

// lineage checks that a tip goes on from what is known of the ledger: the tip
// read before, and, after a start, the ledger commits that the base branch
// cites. A ledger whose tail was cut fails here.
func (p *pass) lineage(ctx context.Context, st *promotion.LedgerState) error {
	known, before := p.mem.tip, false
	if known == "" {
		// After a start: bring the base commits since the ledger's base here.
		if _, _, err := p.Git.CatchUp(ctx, st.Base, p.s.Base.Head); err != nil && !errors.Is(err, gitrepo.ErrMissing) {
			return err
		}
		cited, err := p.cited(ctx, false)
		if err != nil {
			return err
		}
		known = cited
		if before, err = p.endedBefore(ctx, cited, st); err != nil {
			return err
		}
	}
	if known == "" || known == st.Tip || before {
		return nil
	}
	_, relation, err := p.Git.CatchUp(ctx, known, st.Tip)
	if err != nil && !errors.Is(err, gitrepo.ErrMissing) {
		return err
	}
	if err == nil && (relation == gitrepo.Ahead || relation == gitrepo.Same || relation == gitrepo.TooFar) {
		return nil
	}
	st.Problem = fmt.Sprintf("the ledger was rewound: %s, which was seen or is cited by the base branch, is not before %s; push the branch rung/ledger back from any clone that has it", known.Short(), st.Tip.Short())
	return nil
}

// maxCited is how many base commits are looked at for a citation of the ledger.
const maxCited = 50

// cited is the newest ledger commit that the base branch cites, looking back a
// bounded way along the first parents: those that are here, or, with far, those
// that have to be fetched too.
func (p *pass) cited(ctx context.Context, far bool) (promotion.Hash, error) {
	at := p.s.Base.Head
	for range maxCited {
		c, err := p.Git.Commit(ctx, at)
		if err != nil {
			return "", err
		}
		if t, err := ledger.ParseTrailers(c.Message); err == nil && t != nil && t.Ledger != "" && p.citable(c) {
			return t.Ledger, nil
		}
		if len(c.Parents) == 0 {
			break
		}
		at = c.Parents[0]
		if !far && !p.Git.Cached(at) {
			break // beyond what was fetched for the changes; an older citation protects less than it costs
		}
	}
	return "", nil
}

// citable reports whether a base commit's citation counts: it is rung's
// own commit, or a merge whose second parent is.
func (p *pass) citable(c gitrepo.Commit) bool {
	return len(c.Parents) > 1 || c.Signature != "" && p.VerifyCommit(c.Payload(), c.Signature) == nil
}

// heads examines the promotion branches' heads.
func (p *pass) heads(ctx context.Context) error {
	p.s.Heads = map[promotion.Pair]promotion.HeadState{}
	p.since = map[promotion.Pair]time.Time{}
	for pair, open := range p.s.Ledger.Open {
		r := open.Record
		head := p.s.Branches[promotion.PromotionBranch(pair)]
		if head == "" || r.Kind != promotion.RecordPropose && r.Kind != promotion.RecordAuthorize {
			continue
		}
		st, err := p.head(ctx, pair, &r, head)
		if err != nil {
			return err
		}
		p.s.Heads[pair] = st
	}
	return nil
}

func (p *pass) head(ctx context.Context, pair promotion.Pair, r *promotion.Record, head promotion.Hash) (promotion.HeadState, error) {
	c, err := p.Git.Commit(ctx, head)
	if err != nil {
		return promotion.HeadState{}, err
	}
	st := promotion.HeadState{Commit: head, Tree: c.Tree, Parents: c.Parents, Conflicts: p.conflicts(pair, r)}
	if promised(r) == "" {
		st.Problem = "the record does not say which tree was promised"
		return st, nil
	}
	own := c
	if len(c.Parents) == 2 {
		if own, err = p.Git.Commit(ctx, c.Parents[0]); err != nil {
			return st, err
		}
	}
	p.since[pair] = own.Committer.When.UTC()
	if t, err := ledger.ParseTrailers(own.Message); err == nil && t != nil {
		st.Ledger = t.Ledger
	}
	refused := ledger.ErrSignature
	if own.Signature != "" {
		refused = p.VerifyCommit(own.Payload(), own.Signature)
	}
	if r.PullRequest.Forge && p.forgeMade(r, own, st.Ledger) {
		refused = nil
	}
	switch {
	case errors.Is(refused, ledger.ErrTrust):
		st.Problem = fmt.Sprintf("commit %s is signed by a key that counts no longer: close the pull request and say /retry, and it is made anew", own.Hash.Short())
	case refused != nil:
		st.Problem = fmt.Sprintf("commit %s was not made by rung; a head edited by hand is merged by hand", own.Hash.Short())
		st.Committers = append(st.Committers, own.Committer.Name)
	case own.Tree != promised(r):
		st.Problem = fmt.Sprintf("commit %s does not hold the tree that was proposed", own.Hash.Short())
	case len(c.Parents) == 2:
		files, clean, err := p.cleanMerge(ctx, r, c)
		if err != nil {
			return st, err
		}
		st.Ours, st.Files = clean, files
		if !clean {
			st.Problem = fmt.Sprintf("merge %s changes more than the promotion; it is merged by hand", c.Hash.Short())
			st.Committers = append(st.Committers, c.Author.Name)
		}
	default:
		st.Ours = true
	}
	return st, nil
}

// forgeMade reports whether a commit is the one that the forge made for rung: from
// the commit that the record names, by rung's own account, citing the ledger. Its
// tree is compared like any other's; the forge's signature is the forge's business.
func (p *pass) forgeMade(r *promotion.Record, c gitrepo.Commit, cited promotion.Hash) bool {
	return len(c.Parents) == 1 && c.Parents[0] == r.PullRequest.Parent && cited != "" && strings.HasPrefix(c.Author.Email, fmt.Sprintf("%d+", p.App.ID))
}

// promised is the tree of the head as rung built it.
func promised(r *promotion.Record) promotion.Hash {
	if r.PullRequest == nil {
		return ""
	}
	return r.PullRequest.Tree
}

// conflicts reports whether the base no longer holds the values that the
// promotion changes from.
func (p *pass) conflicts(pair promotion.Pair, r *promotion.Record) bool {
	now := map[string]promotion.Value{}
	for _, pl := range p.s.Places[pair] {
		now[pl.Path+" "+pl.Locator] = pl.Value
	}
	for _, c := range r.Places {
		v, there := now[c.Path+" "+c.Locator]
		if !there || v != c.Before && v != c.After {
			return true
		}
	}
	return false
}

// cleanMerge reports whether a merge of the base into rung's head ("Update
// branch") is just that: the merged base commit with the promotion's places
// applied, and nothing else; then the promotion's files are those of the merge.
func (p *pass) cleanMerge(ctx context.Context, r *promotion.Record, c gitrepo.Commit) ([]promotion.RecordFile, bool, error) {
	_, relation, err := p.Git.CatchUp(ctx, c.Parents[1], p.s.Base.Head)
	if err != nil || relation != gitrepo.Ahead && relation != gitrepo.Same {
		return nil, false, err
	}
	base, err := p.Git.Commit(ctx, c.Parents[1])
	if err != nil {
		return nil, false, err
	}
	byPath := map[string][]promotion.PlaceChange{}
	var paths []string
	for _, ch := range r.Places {
		if len(byPath[ch.Path]) == 0 {
			paths = append(paths, ch.Path)
		}
		byPath[ch.Path] = append(byPath[ch.Path], ch)
	}
	files, err := p.Git.ReadFiles(ctx, base.Tree, paths)
	if err != nil {
		return nil, false, err
	}
	edits := map[string]gitrepo.FileChange{}
	var changed []promotion.RecordFile
	for _, path := range paths {
		applied, err := manifest.Apply(path, files[path], manifest.Artifacts(&p.s.Pipeline), byPath[path])
		if err != nil {
			return nil, false, nil //nolint:nilerr // what does not apply is no clean merge
		}
		edits[path] = gitrepo.FileChange{Data: applied}
		changed = append(changed, promotion.RecordFile{Path: path, Before: ledger.BlobHash(files[path]), After: ledger.BlobHash(applied)})
	}
	tree, err := p.Git.Rewrite(ctx, base.Tree, edits)
	if err != nil || tree != c.Tree {
		return nil, false, err
	}
	return changed, true, nil
}
