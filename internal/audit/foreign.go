package audit

import "slices"

// foreign reports whether the ledger and the base branch have nothing to do with
// one another: the base has no commit that the ledger stands on and cites none of its
// commits, and rung.yaml does not say whose ledger it is. Nothing can be judged then;
// whether a person brought them together or somebody put one in the other's place, no
// repository can tell.
func (b *baseWalk) foreign() (bool, error) {
	i := slices.IndexFunc(b.ledger.bases, func(o oid) bool { return o != oid{} })
	if i < 0 || b.ledger.past != nil || b.reaches(b.ledger.bases[i]) {
		return false, nil
	}
	if _, p, err := b.configured(b.head); err != nil || p != nil && p.Ledger != "" {
		return false, err
	}
	for id := range b.suspects {
		c, err := b.commit(id)
		if err != nil {
			return false, err
		}
		if t, err := c.trailers(); err != nil || t == nil {
			continue
		} else if at, ok := parseOID(t.Ledger); ok && b.ledger.holds(at) {
			return false, nil // it cites this ledger: the base was made anew
		}
	}
	b.find(Finding{
		Code: LedgerForeign, Object: b.report.Ledger.Ref, Expected: "the ledger of " + b.report.Base.Ref + ": it begins at base commit " + b.ledger.bases[i].String(),
		Found: "nothing of it in " + b.head.String() + ": it is the ledger of another repository, or another branch stands in the place of this one",
	})
	return true, nil
}
