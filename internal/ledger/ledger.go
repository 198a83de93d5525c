// Package ledger is rung's memory: signed records on the branch rung/ledger.
//
// State: none of its own; the branch is the state. Its tree is an index of the
// present (one file for each pair, quarantined digest and freeze, see layout.go),
// its history is the past. Each file is one record a line: an in-toto statement
// in a DSSE envelope, in one canonical form (envelope.go). Each commit is
// SSH-signed, carries the records' index as trailers (trailers.go), and names
// the base commit up to which every change is accounted for.
//
// Whose signatures count is said by the trust list (trust.go), which only a
// statement by a root key changes (rotate.go). The tip is judged by the settings'
// keys and what root keys signed, never by what its own tree claims (trusted.go).
//
// Invariants: a record that does not re-encode to the same bytes, or whose
// signature is not by a key that counts, is refused, never repaired. The
// branch is only ever appended to. A ledger of another repository or App is
// refused, and a trust list that is older than one that was carried.
//
// Concurrency: values are immutable once read; a Reader caches decoded files by
// blob id and may be used by one goroutine at a time. What it does not do: it
// does not push (act does, with everything else in one push), decide, or verify
// the past (audit).
package ledger

import (
	"crypto/ed25519"
	"errors"
	"fmt"
)

// Signer makes the two kinds of signatures that the ledger needs with one
// Ed25519 key. It may be used by several goroutines.
type Signer interface {
	// KeyID is the key's SSH fingerprint, "SHA256:" and unpadded base64.
	KeyID() string
	// AuthorizedKey is the public key as a line of an authorized_keys file,
	// without a comment.
	AuthorizedKey() string
	// SignBytes is a raw Ed25519 signature (64 bytes).
	SignBytes(message []byte) ([]byte, error)
	// SignCommit is an armoured SSHSIG of namespace git.
	SignCommit(message []byte) (string, error)
}

// Keys are the public keys that may sign, by key id.
type Keys map[string]ed25519.PublicKey

// Errors of reading. Each is wrapped with the object and the reason.
var (
	// ErrMalformed is for bytes that are not a record in canonical form.
	ErrMalformed = errors.New("not a canonical record")
	// ErrSignature is for a signature that does not hold or a key that is
	// not known.
	ErrSignature = errors.New("signature does not hold")
	// ErrTrust is for keys: a trust list that no root in force put there, a
	// signing key that it does not list, a statement that can't be carried. A
	// person with the keys puts it right, not a push.
	ErrTrust = errors.New("the keys don't fit")
	// ErrNewer is for a record of a format that only a newer rung knows.
	ErrNewer = errors.New("written by a newer rung")
	// ErrForeign is for a ledger of another repository or App.
	ErrForeign = errors.New("not this repository's ledger")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}
