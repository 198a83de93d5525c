package audit

import "github.com/rungbot/rung/internal/promotion"

// found judges the adopts of what came into rung.yaml after the ledger began: they
// say what stood in the files at the ledger's base, of a pair that had no record,
// or that rung.yaml did not have, or had elsewhere, in between. What people changed
// of a pair that rung.yaml has stands on a record of that change.
func (b *baseWalk) found() error {
	for _, r := range b.ledger.initial {
		if r.at == 0 {
			continue
		}
		if err := b.foundLater(r); err != nil {
			return err
		}
	}
	return nil
}

func (b *baseWalk) foundLater(r *recorded) error {
	at := b.ledger.bases[r.at]
	c, err := b.commit(at)
	if _, there := b.parents[at]; !there || err != nil {
		return err // a base that is not there is said with the segments
	}
	s := step{after: c}
	if judged := r.Record.Base.Judged; judged != at.hash() {
		b.about(s, r.pair(), ChangeMismatch, "judged at "+at.String()+", the ledger's base", "judged at "+string(judged))
		return nil
	}
	p, err := b.pipelineAt(c.tree)
	if err != nil {
		return err
	}
	all := map[promotion.Pair][]promotion.PlaceChange{}
	if p != nil {
		if all, err = b.allPlaces(c.tree, p); err != nil {
			return err
		}
	}
	if !samePlaces(r.Record.Places, all[r.pair()]) {
		b.about(s, r.pair(), ChangeMismatch, "recorded: "+changeWords(r.Record.Places), "in the files: "+changeWords(all[r.pair()]))
		return nil
	}
	if err := b.foundFiles(s, r); err != nil {
		return err
	}
	came, err := b.cameIn(r, at)
	if err == nil && !came {
		b.about(s, r.pair(), ChangeMismatch, "a land or adopt record of the commit that changed it", "an adopt of what was found, of a pair that rung.yaml had all along")
	}
	return err
}

// cameIn reports whether a pair had no record before r, or was out of rung.yaml,
// or elsewhere in it, at a commit since that record.
func (b *baseWalk) cameIn(r *recorded, at oid) (bool, error) {
	link := r.Record.Previous
	if link == nil {
		return true, nil
	}
	before, there := b.ledger.written[link.Statement]
	if !there {
		return true, nil // the broken chain is said
	}
	from := b.ledger.bases[before]
	commits, ok := b.between(from, at)
	if !ok {
		return true, nil // likewise the base that went back
	}
	is, err := b.wherePair(r.pair(), at)
	if err != nil {
		return false, err
	}
	for _, id := range append([]oid{from}, commits...) {
		was, err := b.wherePair(r.pair(), id)
		if err != nil || was != is {
			return true, err
		}
	}
	return false, nil
}

// whereabouts are what makes a pair's places: the environment's directory and the
// artifact's image.
type whereabouts struct{ path, image string }

// wherePair says where a commit's configuration looks for a pair; nowhere if it
// doesn't have it.
func (b *baseWalk) wherePair(pair promotion.Pair, id oid) (whereabouts, error) {
	_, p, err := b.configured(id)
	if err != nil || p == nil {
		return whereabouts{}, err
	}
	env, known := p.Environment(pair.Environment)
	art, alsoKnown := p.Artifact(pair.Artifact)
	if !known || !alsoKnown {
		return whereabouts{}, nil
	}
	return whereabouts{env.Path, art.Image}, nil
}
