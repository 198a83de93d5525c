package audit

import (
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// A ledger of ten thousand releases has tens of thousands of records, and most of
// them only wait for the base branch: what it is held to is taken from them when
// they are judged, and the rest is let go.

// proposal is what a propose record leaves: what the promotion's commit may be.
type proposal struct {
	environment promotion.Environment
	artifact    *promotion.RecordArtifact
	from        promotion.Environment
	restores    string
	places      []promotion.PlaceChange
	files       []promotion.RecordFile
	// forge is true where the forge made the commit, which has this tree and this
	// parent then.
	forge        bool
	tree, parent oid
}

func (l *ledgerWalk) proposal(rec *promotion.Record) *proposal {
	p := &proposal{
		environment: promotion.Environment(l.words.word(string(rec.Environment))), restores: l.words.word(rec.Restores),
		places: own(l.words, rec.Places), files: own(l.words, rec.Files),
	}
	if a := rec.Artifact; a != nil {
		p.artifact = l.words.artifact(*a)
	}
	if rec.From != nil {
		p.from = promotion.Environment(l.words.word(string(rec.From.Environment)))
	}
	if pr := rec.PullRequest; pr != nil && pr.Forge {
		tree, ok := parseOID(pr.Tree)
		parent, alsoOK := parseOID(pr.Parent)
		p.forge, p.tree, p.parent = ok && alsoOK, tree, parent
	}
	return p
}

// group is the record's trailer group.
func (p *proposal) group() ledger.TrailerGroup {
	r := promotion.Record{Kind: promotion.RecordPropose, Environment: p.environment, Artifact: p.artifact, Restores: p.restores}
	if p.from != "" {
		r.From = &promotion.RecordFrom{Environment: p.from}
	}
	return ledger.GroupOf(r, "")
}

// opened is what a land keeps of the record that stood in its pair's open file.
type opened struct {
	authorize bool
	// head is the promotion's head, and judged the base commit that it was judged
	// at; zero where the record names none.
	head, judged oid
	forge        bool
}

func openedBy(r *recorded) *opened {
	if r == nil {
		return nil
	}
	rec := &r.Record
	o := &opened{authorize: rec.Kind == promotion.RecordAuthorize}
	o.head, _ = parseOID(headOf(rec))
	o.judged, _ = parseOID(rec.Base.Judged)
	o.forge = rec.PullRequest != nil && rec.PullRequest.Forge
	return o
}

// authorized is what an authorize record leaves: what allowed the promotion.
type authorized struct {
	pair      promotion.Pair
	commit    oid // of the ledger
	path      string
	judged    promotion.Hash
	head      promotion.Hash
	restores  bool
	approvals []promotion.RecordApproval
	causers   []promotion.Person
	policies  []promotion.RecordPolicy
}

func (l *ledgerWalk) authorization(r *recorded) *authorized {
	rec := &r.Record
	pair := r.pair()
	return &authorized{
		pair:   promotion.Pair{Environment: promotion.Environment(l.words.word(string(pair.Environment))), Artifact: promotion.Artifact(l.words.word(string(pair.Artifact)))},
		commit: r.commit, path: r.path, judged: promotion.Hash(l.words.word(string(rec.Base.Judged))), head: promotion.Hash(l.words.word(string(headOf(rec)))),
		restores: rec.Restores != "", approvals: own(l.words, rec.Approvals), causers: own(l.words, rec.Causers), policies: l.words.judgedBy(rec.Policies),
	}
}
