package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// trust is a trust list: whose signatures count from one ledger commit on.
type trust struct {
	signers []sign.AllowedSigner
	// keys are those that may sign records.
	keys ledger.Keys
	// list is the same with what was revoked, standing the rotate record that put it
	// in force: nil where the release key is its own root.
	list     ledger.TrustList
	standing *promotion.LedgerEntry
}

// newTrust reads an allowed_signers file.
func newTrust(data []byte) (trust, error) {
	signers, err := sign.ParseAllowedSigners(data)
	if err != nil {
		return trust{}, err
	}
	return trustIn(ledger.TrustList{Signers: signers}), nil
}

// trustIn is the trust of a list.
func trustIn(list ledger.TrustList) trust {
	t := trust{signers: list.Signers, keys: ledger.Keys{}, list: list}
	for _, s := range list.Signers {
		if key := raw(s.Key); key != nil && slices.Contains(s.Principals, ledger.ReleaseRole) {
			t.keys[s.Key.Fingerprint()] = key
		}
	}
	return t
}

// raw is the 32 bytes of a public key: the end of its SSH form.
func raw(k sign.PublicKey) ed25519.PublicKey {
	_, encoded, _ := strings.Cut(k.AuthorizedKey(), " ")
	wire, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(wire) < ed25519.PublicKeySize {
		return nil
	}
	return wire[len(wire)-ed25519.PublicKeySize:]
}

// holds reports whether the list has a key at all.
func (t trust) holds(key sign.PublicKey) bool {
	return slices.ContainsFunc(t.signers, func(s sign.AllowedSigner) bool { return s.Key == key })
}

// judge checks that a commit is signed by a key that may, at its own date or, if
// that is later, at since: what stands before it was written by then, whatever
// date it shows. It returns the code of what is wrong, with what was found, or
// nothing.
func (t trust) judge(c *commit, since time.Time) (code Code, found string, signer sign.PublicKey) {
	if c.signature() == "" {
		return SigMissing, "no signature", signer
	}
	signer, err := sign.SignerOf(c.signature())
	if err != nil {
		return formCode(err), clip(err.Error()), signer
	}
	if !t.holds(signer) {
		return SignerUnknown, signer.Fingerprint(), signer
	}
	if err := c.verify(signer); err != nil {
		return SigInvalid, clip(err.Error()), signer
	}
	code, found = t.entitled(signer, later(c.committed(), since))
	return code, found, signer
}

// entitled checks that a key may sign as rung at a time, by this list.
func (t trust) entitled(signer sign.PublicKey, at time.Time) (code Code, found string) {
	if v, revoked := t.list.Revocation(signer); revoked {
		return KeyRevoked, signer.Fingerprint() + ", revoked after ledger commit " + string(v.After)
	}
	expired := false
	for _, s := range t.signers {
		switch {
		case s.Key != signer || !slices.Contains(s.Principals, ledger.ReleaseRole):
		case s.ValidAt(at):
			return "", ""
		default:
			expired = true
		}
	}
	if expired {
		return KeyNotValid, signer.Fingerprint() + " at " + at.Format("2006-01-02T15:04:05Z")
	}
	return SignerRole, signer.Fingerprint()
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b.UTC()
	}
	return a
}

// formCode names what is wrong with a signature's form.
func formCode(err error) Code {
	switch {
	case errors.Is(err, sign.ErrType):
		return SigType
	case errors.Is(err, sign.ErrNamespace):
		return SigNamespace
	}
	return SigNonCanonical
}
