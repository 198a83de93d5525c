package audit

import (
	"fmt"

	"github.com/rungbot/rung/internal/promotion"
)

// inputs judges the attestations that a record says were checked: each passed,
// and is the one that the records before it checked, under the same verifier:
// those of the same promotion, and that of the environment that it climbs from.
func (s *ledgerStep) inputs(r, open *recorded) {
	rec := &r.Record
	seen := map[string]promotion.RecordInput{}
	if open != nil && open.Record.Promotion == rec.Promotion {
		for _, in := range open.Record.Inputs {
			seen[in.URI] = in
		}
	}
	promised := len(seen)
	if rec.From != nil {
		if from := s.climbsFrom(rec); from != nil {
			for _, in := range from.Record.Inputs {
				if _, there := seen[in.URI]; !there {
					seen[in.URI] = in
				}
			}
		}
	}
	for _, in := range rec.Inputs {
		if rec.Kind != promotion.RecordPropose && in.Result != "PASSED" && !byPerson(rec) {
			s.say(r, InputMismatch, in.URI+" PASSED", "result "+in.Result)
		}
		was, known := seen[in.URI]
		if known && (was.Digest != in.Digest || was.Verifier != in.Verifier) {
			s.say(r, InputMismatch, inputWords(was)+", as checked before", inputWords(in))
		}
		if !known {
			seen[in.URI] = in
		}
	}
	if len(rec.Inputs) < promised && (rec.Authorized == "" || len(rec.Inputs) > 0) {
		s.say(r, InputMismatch, fmt.Sprintf("the %d attestations that were checked before", promised), fmt.Sprint(len(rec.Inputs)))
	}
}

// byPerson reports whether a person merged.
func byPerson(rec *promotion.Record) bool { return rec.Landed != nil && rec.Landed.ByHand }

func inputWords(in promotion.RecordInput) string {
	return fmt.Sprintf("%s %s by %q", in.URI, in.Digest, in.Verifier)
}
