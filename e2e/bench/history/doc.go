// Package history writes a repository with a long past, as rung serve and
// GitHub would have left it: real records and signatures by package ledger,
// promotion commits, merges, rollbacks, quarantines, people's changes, all in
// one pack as a clone has it. It is what rung verify is measured on.
//
// State: one play is in memory while it is written (about 40 kB a release).
// Invariants: the same seed and number of releases give the same objects and
// refs, by a key that is made of the seed too; git fsck and rung verify hold on
// the result. Its files are its own and not the sample repository's, so that
// figures taken today and later speak of the same work.
//
// Concurrency: none; Write may be called from several goroutines for several
// directories. What it does not do: it runs no rung and no server. It needs git
// for the deltas of the pack.
package history
