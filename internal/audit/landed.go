package audit

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/promotion"
)

// matches compares a record with what its commit changed: by the configuration
// of the first parent, or by the one that stood when it was written.
func (b *baseWalk) matches(s step, r *recorded, seen []promotion.PlaceChange, changes []change) (bool, error) {
	if first := r.Record.Landed.FirstParent; first != s.before.id.hash() {
		b.about(s, r.pair(), ChangeMismatch, "first parent "+s.before.id.String(), "first parent "+string(first)+" in the record")
		return false, nil
	}
	if samePlaces(r.Record.Places, seen) && len(seen) > 0 {
		return b.files(s, r, changes), nil
	}
	if s.end != nil {
		touched, _ := split(changes, s.end)
		later, err := b.placeChanges(touched, s.end)
		if err != nil {
			return false, err
		}
		if own := later[r.pair()]; len(own) > 0 && samePlaces(r.Record.Places, own) {
			return b.files(s, r, changes), nil
		}
	}
	b.about(s, r.pair(), ChangeMismatch, "recorded: "+changeWords(r.Record.Places), "in the commit: "+changeWords(seen))
	return false, nil
}

// landed judges a commit that promotions landed with: byte for byte what the
// records say and, where rung merged, nothing beside.
func (b *baseWalk) landed(s step, p *promotion.Pipeline, lands []*recorded, changes, touched, governing []change, mismatch bool) error {
	var places []promotion.PlaceChange
	ours := false
	promoted := map[promotion.Environment]bool{}
	for _, r := range lands {
		promoted[r.Record.Environment] = true
		places = append(places, r.Record.Places...)
		ours = ours || !r.Record.Landed.ByHand
	}
	inside := touched
	if ours {
		inside = slices.DeleteFunc(slices.Clone(touched), func(ch change) bool { return !promoted[environmentOf(ch.path, p).Name] })
	}
	if !mismatch {
		code, text, err := b.exact(inside, places, p)
		if err != nil {
			return err
		}
		if code != "" {
			b.about(s, lands[0].pair(), code, "only the recorded places, byte for byte", text)
		}
	}
	for _, ch := range changes {
		if env := environmentOf(ch.path, p); ours && (env == nil || !promoted[env.Name]) {
			b.about(s, lands[0].pair(), PathScope, "only the promotion's files", ch.path)
			break
		}
	}
	if !ours && len(governing) > 0 {
		b.about(s, lands[0].pair(), Override, "only the promotion's files", "merged by hand with "+governing[0].path)
	}
	for _, r := range lands {
		b.judgedBefore(s, r)
		if err := b.merged(s, r); err != nil {
			return err
		}
	}
	return nil
}

// judgedBefore checks that what rung merged was judged at a commit that the merge
// stands on: rules that came later, or never came, allow nothing.
func (b *baseWalk) judgedBefore(s step, r *recorded) {
	if r.Record.Landed.ByHand || r.standing == nil || !r.standing.authorize {
		return
	}
	judged := r.standing.judged
	if judged == (oid{}) {
		return // likewise
	}
	if !b.reaches(judged) || b.before(judged, s.before.id) {
		return // what the branch doesn't have at all is said with the authorize
	}
	b.about(s, r.pair(), PolicyMismatch, "judged at an ancestor of "+s.before.id.String(), "judged at "+judged.String())
}

// exact reports whether the files under the environments changed by the given
// places and in no other byte.
func (b *baseWalk) exact(touched []change, places []promotion.PlaceChange, p *promotion.Pipeline) (Code, string, error) {
	byPath := map[string][]promotion.PlaceChange{}
	for _, c := range places {
		byPath[c.Path] = append(byPath[c.Path], c)
	}
	for _, ch := range touched {
		if ch.after != (entry{}) && !ch.after.regular() || ch.before.regular() && ch.after.regular() && ch.before.mode != ch.after.mode {
			return TreeMode, fmt.Sprintf("%s has mode %o, and had %o", ch.path, ch.after.mode, ch.before.mode), nil
		}
		changes, promised := byPath[ch.path]
		if !promised || !ch.before.regular() || !ch.after.regular() {
			return ChangeMismatch, ch.path + " was changed as well", nil
		}
		was, err := b.placesIn(ch.path, ch.before, p)
		if err != nil {
			return "", "", err
		}
		is, err := b.placesIn(ch.path, ch.after, p)
		if err != nil {
			return "", "", err
		}
		if was.outline == is.outline && was.outline.Applied(was.found, is.found, changes) {
			delete(byPath, ch.path)
			continue
		}
		before, err := b.content(ch.before.id)
		if err != nil {
			return "", "", err
		}
		after, err := b.content(ch.after.id)
		if err != nil {
			return "", "", err
		}
		applied, err := manifest.Apply(ch.path, before, manifest.Artifacts(p), changes)
		if err != nil {
			return ChangeMismatch, err.Error(), nil //nolint:nilerr // what does not apply is the finding
		}
		if string(applied) != string(after) {
			return ChangeMismatch, ch.path + " differs in other bytes too", nil
		}
		delete(byPath, ch.path)
	}
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		return ChangeMismatch, path + " was not changed", nil
	}
	return "", "", nil
}

// merged judges how a promotion's head came to the base branch.
func (b *baseWalk) merged(s step, r *recorded) error {
	method, parents := r.Record.Landed.Method, len(s.after.parents)
	if method == "merge" && parents < 2 || method == "squash" && parents > 1 {
		b.about(s, r.pair(), ChangeMismatch, "method "+method, fmt.Sprintf("%d parents", parents))
		return nil
	}
	if r.Record.Landed.ByHand || r.standing == nil || method == "squash" {
		return nil // content decides
	}
	want := r.standing.head
	if want == (oid{}) {
		return nil
	}
	head := s.after.id
	if parents > 1 {
		head = s.after.parents[1]
	}
	reached := head == want
	at, err := b.commit(head)
	// "Update branch" puts merges of the base on top of rung's own commit.
	for n := 0; err == nil && len(at.parents) == 2 && n < 100; n++ {
		at, err = b.commit(at.parents[0])
		reached = reached || err == nil && at.id == want
	}
	if err != nil {
		return err
	}
	if !reached {
		b.about(s, r.pair(), HeadMismatch, "head "+want.String()+", as authorised", "head "+head.String())
		return nil
	}
	if r.standing.forge {
		if b.forgeMade(at) == nil {
			b.about(s, r.pair(), HeadMismatch, "the commit that the forge made for a propose record", "head "+at.id.String())
		}
		return nil
	}
	if code, found, _ := b.ledger.beside(at); code != "" {
		b.find(signatureFinding(at, code, found))
	}
	return nil
}

// signatureFinding is about the signature of a promotion commit.
func signatureFinding(c *commit, code Code, found string) Finding {
	return Finding{Code: code, Object: c.id.String(), Expected: "a promotion commit signed by rung", Found: found}
}
