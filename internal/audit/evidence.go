package audit

import (
	"slices"

	"github.com/rungbot/rung/internal/promotion"
)

// files holds the blobs that a record names to what its commit changed.
func (b *baseWalk) files(s step, r *recorded, changes []change) bool {
	for _, f := range r.Record.Files {
		if !slices.ContainsFunc(changes, func(ch change) bool { return ch.is(f) }) {
			b.about(s, r.pair(), ChangeMismatch, fileWords(f), "another change of that file")
			return false
		}
	}
	return true
}

// foundFiles is the same for what stood there when the ledger began.
func (b *baseWalk) foundFiles(s step, r *recorded) error {
	for _, f := range r.Record.Files {
		e, err := b.lookup(s.after.tree, f.Path)
		if err != nil {
			return err
		}
		if !(change{path: f.Path, after: e}).is(f) {
			b.about(s, r.pair(), ChangeMismatch, fileWords(f), "another file")
		}
	}
	return nil
}

// is reports whether a change is the one that a record names.
func (ch change) is(f promotion.RecordFile) bool {
	named := func(e entry, h promotion.Hash) bool {
		if e == (entry{}) {
			return h == ""
		}
		id, ok := parseOID(h)
		return ok && id == e.id
	}
	return ch.path == f.Path && named(ch.before, f.Before) && named(ch.after, f.After)
}

func fileWords(f promotion.RecordFile) string {
	return "recorded: " + f.Path + " from " + f.Before.Short() + " to " + f.After.Short()
}

// repeats reports whether a land says of the gates what the authorize says that it
// cites.
func repeats(land, authorize *promotion.Record) bool {
	same := func(a, b promotion.RecordGate) bool {
		return a.Gate == b.Gate && a.Status == b.Status && a.ObservedAt.Equal(b.ObservedAt)
	}
	samePolicy := func(a, b promotion.RecordPolicy) bool {
		return a.Path == b.Path && a.Digest == b.Digest && slices.Equal(a.Rules, b.Rules)
	}
	sameApproval := func(a, b promotion.RecordApproval) bool {
		return a.Person == b.Person && a.Commit == b.Commit && a.Review == b.Review
	}
	return slices.EqualFunc(land.Gates, authorize.Gates, same) && slices.EqualFunc(land.Policies, authorize.Policies, samePolicy) &&
		slices.EqualFunc(land.Approvals, authorize.Approvals, sameApproval) && slices.Equal(land.Inputs, authorize.Inputs)
}

// repeated checks the authorize that a land cites: it stood there, and the land
// says what it says.
func (s *ledgerStep) repeated(r, open *recorded) {
	rec := &r.Record
	switch {
	case rec.Authorized == "":
	case open == nil || open.Statement != rec.Authorized || open.Record.Kind != promotion.RecordAuthorize:
		s.say(r, AuthorizeMissing, "the authorize that stood: "+standingWords(open), rec.Authorized)
	case !repeats(rec, &open.Record):
		s.say(r, VerdictMismatch, "the verdicts of "+rec.Authorized, "others")
	}
}
