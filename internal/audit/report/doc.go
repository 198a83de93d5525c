// Package report tells people what happened: the story of an artifact through
// the environments, and the audit of one environment over a period.
//
// State: a Reader collects the records that audit.Verify tells of, in their
// order, and folds each promotion's records into one Release: proposed,
// authorised, landed, settled. Everything else is computed from these values.
//
// Invariants: a record that the verification doubts makes no release. What is
// said of a release is what its records say; what they don't say is left empty,
// never guessed. The same records and the same period give the same bytes.
// Times are UTC; where a reader's zone is known it stands beside, never instead.
// Text from the repository is escaped for the format that it is written in.
//
// Concurrency: a Reader is used by one goroutine; values are immutable once
// returned. What it does not do: it reads no repository and no clock (the caller
// passes both), and it judges nothing: findings are audit's.
package report
