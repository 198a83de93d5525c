package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/sign"
)

// releaseRole is the principal that may sign the ledger.
const releaseRole = "rung"

// trust is a trust list: whose signatures count from here on.
type trust struct {
	signers []sign.AllowedSigner
	// keys are those that may sign records.
	keys ledger.Keys
}

// newTrust reads an allowed_signers file.
func newTrust(data []byte) (trust, error) {
	signers, err := sign.ParseAllowedSigners(data)
	if err != nil {
		return trust{}, err
	}
	t := trust{signers: signers, keys: ledger.Keys{}}
	for _, s := range signers {
		if key := raw(s.Key); key != nil && slices.Contains(s.Principals, releaseRole) {
			t.keys[s.Key.Fingerprint()] = key
		}
	}
	return t, nil
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

// judge checks that a commit is signed by a key that may. It returns the code
// of what is wrong, with what was found, or nothing.
func (t trust) judge(c *commit) (code Code, found string, signer sign.PublicKey) {
	if c.signature == "" {
		return SigMissing, "no signature", signer
	}
	signer, err := sign.SignerOf(c.signature)
	if err != nil {
		return formCode(err), clip(err.Error()), signer
	}
	if !t.holds(signer) {
		return SignerUnknown, signer.Fingerprint(), signer
	}
	if err := sign.Verify(c.payload, c.signature, signer); err != nil {
		return SigInvalid, clip(err.Error()), signer
	}
	code, found = SignerRole, signer.Fingerprint()
	for _, s := range t.signers {
		switch {
		case s.Key != signer || !slices.Contains(s.Principals, releaseRole):
		case !s.ValidAt(c.committed()):
			code, found = KeyNotValid, signer.Fingerprint()+" at "+c.committed().Format("2006-01-02T15:04:05Z")
		default:
			return "", "", signer
		}
	}
	return code, found, signer
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
