package decide

import (
	"fmt"

	"github.com/rungbot/rung/internal/promotion"
)

// View is a pass as people are shown it.
func View(s *promotion.Snapshot, plan *promotion.Plan) promotion.View {
	v := promotion.View{
		Repository: s.Repository, At: s.Now, Configured: s.Configured, Mode: s.Pipeline.Mode, Base: s.Base.Head, Ledger: s.Ledger.Tip,
		Problems: s.Problems, Pipeline: &s.Pipeline, Notes: plan.Notes, Pairs: plan.Pairs, Next: plan.Next,
	}
	for scope, e := range s.Ledger.Freezes {
		if e.Record.Kind == promotion.RecordFreeze && (e.Record.Until.IsZero() || s.Now.Before(e.Record.Until)) {
			v.Freezes = append(v.Freezes, bar(scope, e.Record))
		}
	}
	for d, e := range s.Ledger.Quarantine {
		if e.Record.Kind == promotion.RecordQuarantine {
			v.Quarantine = append(v.Quarantine, promotion.Bar{Scope: string(d), Reason: e.Record.Reason, By: e.Record.Actor.Person, At: e.Record.IssuedAt})
		}
	}
	return v
}

// Would is what a plan would do, a sentence each: a dry run's view has it.
func Would(plan *promotion.Plan) []string {
	var would []string
	for _, r := range plan.Records {
		if r.Artifact == nil {
			would = append(would, fmt.Sprintf("record: %s", r.Kind))
			continue
		}
		would = append(would, fmt.Sprintf("record: %s %s %s %s", r.Kind, r.Environment, r.Artifact.Name, r.Artifact.Version))
	}
	for _, o := range plan.Opens {
		would = append(would, "open: "+o.Title)
	}
	for _, m := range plan.Merges {
		would = append(would, "merge: "+m.Title)
	}
	return would
}
