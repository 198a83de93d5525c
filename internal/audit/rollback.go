package audit

import (
	"fmt"

	"github.com/rungbot/rung/internal/promotion"
)

// restored judges what a record says that it brings back: a release that was
// live in this pair, that settled good, with the values that it had. A person
// who asks for a version by its name may have another than the last good one;
// that is listed.
func (s *ledgerStep) restored(r *recorded) {
	rec := &r.Record
	to := s.citesPair(rec.Restores, r.pair())
	switch {
	case to == nil:
		s.say(r, RollbackTarget, "a release of this pair", "no record "+rec.Restores)
		return
	case to.Record.Kind != promotion.RecordLand && to.Record.Kind != promotion.RecordAdopt, to.pair() != r.pair(), rec.Artifact == nil,
		to.Record.Artifact.Digest != rec.Artifact.Digest:
		s.say(r, RollbackTarget, artifactWords(rec.Artifact)+" as it was live here", standingWords(to)+" in "+string(to.Record.Environment))
		return
	}
	if rec.Kind == promotion.RecordAdopt {
		return // by hand; what it says is held to the commit
	}
	if to.Record.Artifact.Version != rec.Artifact.Version {
		s.say(r, RollbackTarget, artifactWords(to.Record.Artifact)+", as it was live here", artifactWords(rec.Artifact))
		return
	}
	for _, c := range rec.Places {
		if !holds(c.After, to.Record.Artifact) {
			s.say(r, RollbackTarget, artifactWords(to.Record.Artifact)+", as it was live here", fmt.Sprintf("%s %s gets %s %s", c.Path, c.Locator, c.After.Version, c.After.Digest))
			return
		}
	}
	if rec.Reverts != "" || to.outcome == promotion.SettledGood {
		return
	}
	outcome := to.outcome
	if outcome == "" {
		outcome = "not settled"
	}
	code := RollbackTarget
	if rec.Actor.Kind == "person" || len(rec.Causers) > 0 {
		code = Override
	}
	s.say(r, code, "a release that settled good", artifactWords(to.Record.Artifact)+": "+outcome)
}
