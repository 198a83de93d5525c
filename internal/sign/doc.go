// Package sign makes and checks rung's signatures: SSH signatures (SSHSIG,
// namespace git) for commits and raw Ed25519 for DSSE envelopes, and reads
// and writes the allowed_signers file that says whose signatures count.
//
// A key is read from a file (key.go), or held by an ssh-agent (agent.go).
//
// Many signatures are verified together (batch.go), by tables of multiples
// (multiples.go), with the answers that the standard library gives.
//
// State: none beyond a loaded key and what a Batch collects, and tables for a few
// public keys that have verified much (ed25519.go), which change how fast an answer
// comes and nothing else. Invariants: plain Ed25519 only; signatures
// are made with SHA-512 and in one canonical form, and anything that is not
// canonical is refused on reading, because a re-wrapped signature gives a
// commit a second id that stock git calls good. A key never prints itself:
// not through fmt, not through JSON, not in an error.
//
// Concurrency: every value but a Batch is immutable once made; all methods may be
// called from several goroutines, provided the crypto.Signer behind a Key allows
// it. A Batch is one goroutine's.
//
// What it does not do: it does not decide whether a signer was entitled to
// what it signed (ledger and audit do), it reads no clock but to give an
// agent a deadline, and it stores no
// key but a new one, where the operator says (newfile.go).
package sign
