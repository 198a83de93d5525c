package audit

import "github.com/rungbot/rung/internal/promotion"

// Entry is one record of the ledger as Verify met it.
type Entry struct {
	// Ledger is the ledger commit that brought the record, Statement the
	// SHA-256 of its payload, as records cite it.
	Ledger    promotion.Hash
	Statement string
	Record    promotion.Record
	// Doubted is true for a record that doesn't belong where it stands: a
	// finding says why, and it must not be believed.
	Doubted bool
}

// tell passes a step's new records on to the caller.
func (s *ledgerStep) tell() {
	if s.options.Each == nil {
		return
	}
	for _, r := range s.added {
		s.signatures.entry(Entry{Ledger: s.c.id.hash(), Statement: r.Statement, Record: r.Record, Doubted: r.foreign})
	}
}
