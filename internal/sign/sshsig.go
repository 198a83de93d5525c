package sign

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// Namespace is the SSHSIG namespace of commits.
const Namespace = "git"

const (
	armourBegin = "-----BEGIN " + sshsig.PEMType + "-----\n"
	armourEnd   = "-----END " + sshsig.PEMType + "-----\n"
	// maxArmour bounds a signature's armour; one by an Ed25519 key has about 300 bytes.
	maxArmour = 4 << 10
	// columns is the line length that ssh-keygen writes; pemColumns what
	// Go's encoding/pem and other writers of PEM do.
	columns    = 70
	pemColumns = 64
)

// The reasons for which a signature is refused; tell them apart with errors.Is.
var (
	// ErrInvalid: the signature does not match the message and the key.
	ErrInvalid = errors.New("the signature does not match the message and the key")
	// ErrOtherKey: a well-formed signature that names another key.
	ErrOtherKey = errors.New("the signature was made by another key")
	// ErrNamespace: made for another purpose than git.
	ErrNamespace = errors.New("the signature's namespace is not git")
	// ErrNonCanonical: not in the one form that rung accepts.
	ErrNonCanonical = errors.New("the signature is not in canonical form")
	// ErrType: not an SSH signature by a plain Ed25519 key with SHA-512 or SHA-256.
	ErrType = errors.New("not an SSH signature by an Ed25519 key")
)

// Sign returns the armoured SSHSIG of message: namespace git, SHA-512, lines
// of 70 columns, one line feed at the end, byte for byte as ssh-keygen -Y sign
// writes it. The result is verified before it is returned.
func (k *Key) Sign(message []byte) (string, error) {
	signature, err := sshsig.Sign(bytes.NewReader(message), k.held.ssh, sshsig.HashSHA512, Namespace)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", k.public.Fingerprint(), err)
	}
	armoured := armour(signature.Marshal(), columns)
	if err := Verify(message, armoured, k.public); err != nil {
		return "", fmt.Errorf("the holder of %s made a bad signature: %w", k.public.Fingerprint(), err)
	}
	return armoured, nil
}

// SignRaw returns the 64 bytes of a plain Ed25519 signature of message, as
// DSSE uses it. The result is verified before it is returned.
func (k *Key) SignRaw(message []byte) ([]byte, error) {
	signature, err := k.held.signer.Sign(rand.Reader, message, crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", k.public.Fingerprint(), err)
	}
	if err := k.public.VerifyRaw(message, signature); err != nil {
		return nil, fmt.Errorf("the holder of %s made a bad signature: %w", k.public.Fingerprint(), err)
	}
	return signature, nil
}

// Verify checks an armoured SSHSIG of message against one key, strictly: see
// SignerOf for the form. The error wraps ErrInvalid, ErrOtherKey,
// ErrNamespace, ErrNonCanonical or ErrType.
func Verify(message []byte, armoured string, key PublicKey) error {
	if c, ok := usual(armoured); ok && c.signer == key {
		if !VerifyEd25519(c.signer.raw[:], c.signed(nil, message), c.raw[:]) {
			return ErrInvalid
		}
		return nil
	}
	return verifyAny(message, armoured, key)
}

// AddSSH does for an armoured SSHSIG what Verify does, with the same errors, but
// leaves it to Holds to say ErrInvalid where the signature is in the form that rung
// and ssh-keygen write.
func (b *Batch) AddSSH(message []byte, armoured string, key PublicKey) error {
	c, ok := usual(armoured)
	if !ok || c.signer != key {
		return verifyAny(message, armoured, key)
	}
	b.signed = c.signed(b.signed[:0], message)
	if !b.Add(c.signer.raw[:], b.signed, c.raw[:]) {
		return ErrInvalid
	}
	return nil
}

// verifyAny is Verify for a signature in any form that is accepted.
func verifyAny(message []byte, armoured string, key PublicKey) error {
	signature, signer, err := parseArmour(armoured)
	if err != nil {
		return err
	}
	if key.IsZero() || signer != key {
		return fmt.Errorf("%w: %s", ErrOtherKey, signer.Fingerprint())
	}
	err = sshsig.Verify(bytes.NewReader(message), signature, signature.PublicKey, signature.HashAlgorithm, Namespace)
	if err != nil {
		return ErrInvalid
	}
	return nil
}

// SignerOf returns the key that an armoured SSHSIG names, after the checks of
// form: one PEM block with nothing around it but the line feed that ends it,
// version 1, no reserved bytes, namespace git, SHA-512 or SHA-256, a plain
// Ed25519 key, and armouring the content again gives the same bytes, at 70 or
// 64 columns. The signature itself is not checked; Verify does.
func SignerOf(armoured string) (PublicKey, error) {
	if c, ok := usual(armoured); ok {
		return c.signer, nil
	}
	_, signer, err := parseArmour(armoured)
	return signer, err
}

// parseArmour does the checks of form.
func parseArmour(armoured string) (*sshsig.Signature, PublicKey, error) {
	var none PublicKey
	if len(armoured) > maxArmour {
		return nil, none, fmt.Errorf("%w: longer than %d bytes", ErrNonCanonical, maxArmour)
	}
	if !strings.Contains(armoured, strings.TrimSuffix(armourBegin, "\n")) {
		return nil, none, fmt.Errorf("%w: no %q block", ErrType, sshsig.PEMType)
	}
	block, rest := pem.Decode([]byte(armoured))
	if block == nil || block.Type != sshsig.PEMType {
		return nil, none, fmt.Errorf("%w: no readable %q block", ErrNonCanonical, sshsig.PEMType)
	}
	if len(rest) != 0 || len(block.Headers) != 0 || !strings.HasPrefix(armoured, armourBegin) {
		return nil, none, fmt.Errorf("%w: something stands around or inside the block", ErrNonCanonical)
	}
	signature, err := sshsig.ParseSignature(block.Bytes)
	if err != nil {
		return nil, none, parseError(err)
	}
	signer, err := fromSSH(signature.PublicKey)
	if err != nil {
		return nil, none, fmt.Errorf("%w: %w", ErrType, err)
	}
	if signature.Signature.Format != ssh.KeyAlgoED25519 {
		return nil, none, fmt.Errorf("%w: signature format %.40q", ErrType, signature.Signature.Format)
	}
	if len(signature.Signature.Rest) != 0 {
		return nil, none, fmt.Errorf("%w: bytes after the signature", ErrNonCanonical)
	}
	wire := signature.Marshal()
	if !bytes.Equal(wire, block.Bytes) {
		return nil, none, fmt.Errorf("%w: reserved or superfluous bytes", ErrNonCanonical)
	}
	if armoured != armour(wire, columns) && armoured != armour(wire, pemColumns) {
		return nil, none, fmt.Errorf("%w: armouring it again gives other bytes", ErrNonCanonical)
	}
	if signature.Namespace != Namespace {
		return nil, none, fmt.Errorf("%w: it is %.40q", ErrNamespace, signature.Namespace)
	}
	return signature, signer, nil
}

// parseError sorts the library's complaints.
func parseError(err error) error {
	if errors.Is(err, sshsig.ErrUnsupportedHashAlgorithm) || errors.Is(err, sshsig.ErrUnsupportedSignatureVersion) {
		return fmt.Errorf("%w: %.120s", ErrType, err.Error())
	}
	return fmt.Errorf("%w: %.120s", ErrNonCanonical, err.Error())
}

// armour writes PEM with the given line length.
func armour(wire []byte, width int) string {
	text := base64.StdEncoding.EncodeToString(wire)
	var b strings.Builder
	b.Grow(len(armourBegin) + len(armourEnd) + len(text) + len(text)/width + 1)
	b.WriteString(armourBegin)
	for len(text) > 0 {
		n := min(width, len(text))
		b.WriteString(text[:n])
		b.WriteByte('\n')
		text = text[n:]
	}
	b.WriteString(armourEnd)
	return b.String()
}
