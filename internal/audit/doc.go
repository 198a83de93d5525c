// Package audit checks a repository's past: that every release in it stands on
// a signed record, and that nothing was removed, altered or slipped in since.
//
// State: none between calls. Verify opens one local clone (bare or not), reads
// it in process (no git binary, no network), and returns a Report. It trusts
// nothing but the bytes: every object is hashed again when it is read, replace
// refs are not followed, and what the ledger says of the base branch is
// computed again from the base branch's own trees.
//
// The ledger is walked from its first commit on: each commit is judged by the
// trust list of the one before it, each record by the rules that package ledger
// writes it with. The base branch is walked along its first parents, segment by
// segment between the ledger's successive Promotion-Base values: each change of
// an artifact's places needs the land or adopt record that says just that.
//
// Signatures are checked many together, and each is taken to hold meanwhile; where one
// does not, the walk begins again with each checked in its place (signatures).
//
// Invariants: what could not be judged is a finding and never counts as sound;
// a finding never stops the walk unless nothing behind it can be judged. The
// same clone gives the same Report.
//
// Concurrency: Verify may be called from several goroutines; each call has its
// own state. What it does not do: it repairs nothing, writes nothing, reads no
// clock and asks no forge. The gates are judged again, from the facts that records
// keep, only where Options.Recompute says so.
package audit
