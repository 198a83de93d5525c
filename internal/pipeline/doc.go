// Package pipeline turns a repository's rung.yaml and rung.d/*.yaml into a
// checked promotion.Pipeline: bytes in, a graph of environments and a list of
// positioned problems out.
//
// State: none; every function is pure and safe for concurrent use. Nothing is
// read from disk or the network: the caller passes the files as they stand at
// the base branch's head, never those of a pull request, unless it wants to
// show what the pull request would change.
//
// Invariants: reading is strict (an unknown field, a wrong type, a duplicate
// key or a dangling name is a problem with file:line:column and the nearest
// known name); sizes and counts are bounded; a problem in rung.yaml holds
// everything, one in rung.d/x.yaml only what that file defines; what can't be
// read is never replaced by something more permissive: an artifact of a faulty
// file matches no version, and a missing policy stays listed so that its gate
// denies.
//
// What it does not do: it does not look for the places where versions are
// written (manifest), read policies (gate/policy), resolve teams or registries,
// or decide anything. It also owns the order of versions (see Versions) and the
// one edit that rung makes to rung.yaml itself, InsertLedger.
package pipeline
