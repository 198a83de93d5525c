package audit

import (
	"context"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// introduced puts the suspects into the order in which the first-parent line brought
// them, and leaves out what stood before the ledger began.
func (b *baseWalk) introduced(context.Context) error {
	seen := map[oid]bool{}
	if len(b.ledger.bases) > 0 {
		seen = b.ancestors(b.ledger.bases[0])
	}
	for i, id := range b.line {
		stack := []oid{id}
		for len(stack) > 0 {
			at := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			parents, walked := b.parents[at]
			if !walked || seen[at] {
				continue
			}
			seen[at] = true
			if b.suspects[at] {
				b.brought = append(b.brought, brought{at, i})
			}
			stack = append(stack, parents...)
		}
	}
	return nil
}

// claims judges the commits that claim to be rung's or cite the ledger, as far as
// the line up to a position brought them.
func (b *baseWalk) claims(ctx context.Context, position int) error {
	for ; b.claimed < len(b.brought) && b.brought[b.claimed].at <= position; b.claimed++ {
		if err := b.stop(ctx); err != nil {
			return err
		}
		c, err := b.commit(b.brought[b.claimed].id)
		if err != nil {
			return err
		}
		if err := b.claim(c); err != nil {
			return err
		}
	}
	return nil
}

// claim judges one commit. Whoever merges by hand may rewrite rung's commit and
// drop its signature: content decides then. What bears rung's signature must be
// sound, and what it cites must be there.
func (b *baseWalk) claim(c *commit) error {
	t, grammar := c.trailers()
	_, onLine := b.position[c.id]
	promoted := t != nil && t.Ledger != "" && len(t.Groups) > 0
	if c.odd != "" {
		// People's history may be odd; what claims to be rung's may not.
		if promoted || strings.Contains(c.message, "Promotion-Ledger: ") || c.signatures > 1 {
			b.find(Finding{Code: ObjectMalformed, Object: c.id.String(), Expected: "a commit as git and rung write it", Found: clip(c.odd)})
		}
		return nil
	}
	code, found, _ := b.ledger.beside(c)
	ours := code == ""
	switch code {
	case SigInvalid, KeyNotValid, KeyRevoked:
		b.find(signatureFinding(c, code, found))
	case SignerRole, SigNonCanonical, SigNamespace:
		if promoted && len(c.parents) == 1 {
			b.find(signatureFinding(c, code, found))
		}
	}
	if ours && (grammar != nil || t == nil) {
		f := Finding{Code: TrailerGrammar, Object: c.id.String(), Expected: "trailers in their one form", Found: "none"}
		if grammar != nil {
			f.Found = clip(grammar.Error())
		}
		b.find(f)
		return nil
	}
	if t == nil || t.Ledger == "" || !ours && !onLine && b.forgeMade(c) == nil {
		return nil
	}
	at, ok := parseOID(t.Ledger)
	if !ok || !b.ledger.holds(at) {
		b.lost[c.id] = true
		b.find(Finding{Code: LedgerRewind, Object: c.id.String(), Expected: "ledger commit " + string(t.Ledger), Found: "not in the ledger"})
		return nil
	}
	if len(t.Groups) > 0 && (ours || b.forgeMade(c) != nil) {
		return b.promotionCommit(c, t, at)
	}
	return nil
}

// forgeMade finds the propose record of a commit that the forge made for rung
// (commits: github). No key of ours binds such a commit: the record does, by its
// tree and the one parent, and what the forge signed is not asked.
func (b *baseWalk) forgeMade(c *commit) *proposal {
	t, err := ledger.ParseTrailers(c.message)
	if err != nil || t == nil || len(t.Groups) != 1 || len(c.parents) != 1 {
		return nil
	}
	at, ok := parseOID(t.Ledger)
	if !ok || !b.ledger.holds(at) {
		return nil
	}
	r, err := b.proposed(t.Groups[0], at)
	if err != nil {
		b.ledger.past.doubt = true // only the past is read here
	}
	if r == nil || !r.forge || r.tree != c.tree || r.parent != c.parents[0] {
		return nil
	}
	return r
}

// promotionCommit compares a commit that rung made with the propose records
// that it cites.
func (b *baseWalk) promotionCommit(c *commit, t *ledger.Trailers, at oid) error {
	mismatch := func(code Code, expected, found string) {
		b.find(Finding{Code: code, Object: c.id.String(), Environment: t.Groups[0].Environment, Expected: clip(expected), Found: clip(found)})
	}
	var places []promotion.PlaceChange
	var files []promotion.RecordFile
	for _, g := range t.Groups {
		r, err := b.proposed(g, at)
		if err != nil {
			return err
		}
		if r == nil {
			mismatch(TrailerMismatch, "a propose record in ledger commit "+at.String(), string(g.Kind)+" "+g.Artifact+" is not there")
			return nil
		}
		places = append(places, r.places...)
		files = append(files, r.files...)
	}
	if len(c.parents) != 1 {
		mismatch(ObjectMalformed, "one parent", "another number")
		return nil
	}
	parent, p, err := b.configured(c.parents[0])
	if err != nil {
		return err
	}
	if p == nil {
		mismatch(ConfigUnreadable, "a rung.yaml that says what the environments are", "none that can be used")
		return nil
	}
	changes, err := b.diff(parent.tree, c.tree)
	if err != nil {
		return err
	}
	for _, ch := range changes {
		if !slices.ContainsFunc(places, func(pl promotion.PlaceChange) bool { return pl.Path == ch.path }) {
			mismatch(PathScope, "only the promotion's files", ch.path)
			return nil
		}
	}
	code, text, err := b.exact(changes, places, p)
	if err == nil && code != "" {
		mismatch(code, "only the proposed places, byte for byte", text)
		return nil
	}
	for _, f := range files {
		if !slices.ContainsFunc(changes, func(ch change) bool { return ch.is(f) }) {
			mismatch(ChangeMismatch, fileWords(f), "another change of that file")
			return nil
		}
	}
	return err
}

// proposed finds the propose record of a trailer group in a ledger commit.
func (b *baseWalk) proposed(g ledger.TrailerGroup, at oid) (*proposal, error) {
	proposals, err := b.ledger.proposedIn(at)
	for _, p := range proposals {
		if p.group() == g {
			return p, nil
		}
	}
	return nil, err
}
