package decide

import (
	"fmt"
	"maps"
	"slices"

	"github.com/rungbot/rung/internal/promotion"
)

// inherit takes what is barred and frozen over from the ledger before, whose keys
// are lost: a new ledger must not bring back what was rolled back.
func (p *pass) inherit() {
	if p.s.Before == nil {
		return
	}
	for _, d := range slices.Sorted(maps.Keys(p.s.Before.Quarantine)) {
		if r := p.s.Before.Quarantine[d].Record; r.Kind == promotion.RecordQuarantine {
			p.record(promotion.Record{
				Kind: r.Kind, Digest: r.Digest, Children: r.Children, Actor: r.Actor, Cause: r.Cause, Causers: r.Causers,
				Environment: r.Environment, Artifact: r.Artifact, Base: p.base(), Reason: p.inherited(r),
			})
		}
	}
	for _, scope := range slices.Sorted(maps.Keys(p.s.Before.Freezes)) {
		if r := p.s.Before.Freezes[scope].Record; r.Kind == promotion.RecordFreeze {
			p.record(promotion.Record{Kind: r.Kind, Scope: r.Scope, Until: r.Until, Actor: r.Actor, Cause: r.Cause, Base: p.base(), Reason: p.inherited(r)})
		}
	}
}

func (p *pass) inherited(r promotion.Record) string {
	return fmt.Sprintf("%s (from the ledger that ended with %s)", r.Reason, p.s.Before.Tip.Short())
}
