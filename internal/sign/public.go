package sign

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// PublicKey is a plain Ed25519 public key. It is comparable; the zero value
// means "no key" and verifies nothing.
type PublicKey struct{ raw [ed25519.PublicKeySize]byte }

// IsZero reports whether p is no key.
func (p PublicKey) IsZero() bool { return p == PublicKey{} }

// NewPublicKey wraps the 32 bytes of an Ed25519 public key.
func NewPublicKey(raw ed25519.PublicKey) (PublicKey, error) {
	var p PublicKey
	if len(raw) != len(p.raw) {
		return p, fmt.Errorf("an Ed25519 public key has %d bytes, not %d", len(p.raw), len(raw))
	}
	copy(p.raw[:], raw)
	if p.IsZero() {
		return p, errors.New("an Ed25519 public key of zeroes is no key")
	}
	return p, nil
}

// ParsePublicKey parses an authorized_keys line without options:
// "ssh-ed25519 AAAA… comment", as in a .pub file.
func ParsePublicKey(line string) (PublicKey, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 || strings.ContainsAny(strings.TrimSpace(line), "\r\n\x00") {
		return PublicKey{}, errors.New("a public key is one line: ssh-ed25519 AAAA… comment")
	}
	return parsePublic(fields[0], fields[1])
}

// parsePublic decodes the two fields of a public key in their one form.
func parsePublic(kind, encoded string) (PublicKey, error) {
	if kind != ssh.KeyAlgoED25519 {
		return PublicKey{}, fmt.Errorf("public key of type %.40q: only %s is taken", kind, ssh.KeyAlgoED25519)
	}
	wire, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return PublicKey{}, errors.New("the public key is not valid base64")
	}
	parsed, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return PublicKey{}, errors.New("the public key is damaged")
	}
	return fromSSH(parsed)
}

// fromSSH takes a plain Ed25519 key out of its ssh form.
func fromSSH(key ssh.PublicKey) (PublicKey, error) {
	if key.Type() == ssh.KeyAlgoED25519 {
		if c, ok := key.(ssh.CryptoPublicKey); ok {
			if raw, ok := c.CryptoPublicKey().(ed25519.PublicKey); ok {
				return NewPublicKey(raw)
			}
		}
	}
	return PublicKey{}, fmt.Errorf("public key of type %.40q: only %s is taken", key.Type(), ssh.KeyAlgoED25519)
}

// toSSH is the key in its ssh form.
func (p PublicKey) toSSH() (ssh.PublicKey, error) {
	return ssh.NewPublicKey(ed25519.PublicKey(p.raw[:]))
}

// Fingerprint is "SHA256:" and the unpadded base64 of the key's SHA-256, as
// ssh-keygen -l prints it. It is the keyid of rung's DSSE signatures.
func (p PublicKey) Fingerprint() string {
	sum := sha256.Sum256(append([]byte(wireKey), p.raw[:]...))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// AuthorizedKey is "ssh-ed25519 AAAA…", without comment or line end.
func (p PublicKey) AuthorizedKey() string {
	key, err := p.toSSH()
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
}

// String is AuthorizedKey.
func (p PublicKey) String() string { return p.AuthorizedKey() }

// VerifyRaw checks a plain Ed25519 signature (64 bytes) of message, as DSSE
// uses it. The error is ErrInvalid.
func (p PublicKey) VerifyRaw(message, signature []byte) error {
	if p.IsZero() || len(signature) != ed25519.SignatureSize || !VerifyEd25519(p.raw[:], message, signature) {
		return ErrInvalid
	}
	return nil
}

// Ed25519 is a copy of the key's 32 bytes, for libraries that verify
// themselves.
func (p PublicKey) Ed25519() ed25519.PublicKey { return append(ed25519.PublicKey(nil), p.raw[:]...) }
