package sign

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"time"
)

// Namespace is the SSHSIG namespace of commits.
const Namespace = "git"

// The reasons for which a signature is refused; tell them apart with errors.Is.
var (
	// ErrInvalid: the signature does not match the message and key.
	ErrInvalid = errors.New("the signature does not match the message and the key")
	// ErrNamespace: made for another purpose than git.
	ErrNamespace = errors.New("the signature's namespace is not git")
	// ErrNonCanonical: not in the one form that rung accepts.
	ErrNonCanonical = errors.New("the signature is not in canonical form")
	// ErrType: not an SSH signature by a plain Ed25519 key.
	ErrType = errors.New("not an SSH signature by an Ed25519 key")
)

// Key is a private Ed25519 key, or something that holds one.
type Key struct{ signer crypto.Signer }

// PublicKey is an Ed25519 public key. Comparable; the zero value verifies nothing.
type PublicKey struct{ raw [ed25519.PublicKeySize]byte }

// LoadKey parses an unencrypted private key, OpenSSH or PKCS#8 PEM.
func LoadKey(pem []byte) (*Key, error) { return nil, errNotBuilt }

// LoadKeyFile reads a private key file of at most 64 KiB, readable by its owner only.
func LoadKeyFile(path string) (*Key, error) { return nil, errNotBuilt }

// NewKey wraps a crypto.Signer (an agent, a KMS) whose public key is Ed25519.
func NewKey(s crypto.Signer) (*Key, error) { return nil, errNotBuilt }

// GenerateKey makes a new key.
func GenerateKey() (*Key, error) { return nil, errNotBuilt }

// MarshalOpenSSH is the private key as an OpenSSH PEM file. It is the one way
// to get the secret out, for writing a new key to a file of mode 0600.
func (k *Key) MarshalOpenSSH(comment string) ([]byte, error) { return nil, errNotBuilt }

// Public is the key's public half.
func (k *Key) Public() PublicKey { return PublicKey{} }

// Sign returns the armoured SSHSIG of message, as WriteCommit of gitrepo wants it.
func (k *Key) Sign(message []byte) (string, error) { return "", errNotBuilt }

// SignRaw returns the 64 bytes of a plain Ed25519 signature, for DSSE.
func (k *Key) SignRaw(message []byte) ([]byte, error) { return nil, errNotBuilt }

// ParsePublicKey parses an authorized_keys line ("ssh-ed25519 AAAA… comment").
func ParsePublicKey(line string) (PublicKey, error) { return PublicKey{}, errNotBuilt }

// Fingerprint is "SHA256:" and the unpadded base64 of the key's hash, as
// ssh-keygen -l prints it. It is the keyid of DSSE signatures.
func (p PublicKey) Fingerprint() string { return "" }

// AuthorizedKey is "ssh-ed25519 AAAA…" without comment or line end.
func (p PublicKey) AuthorizedKey() string { return "" }

// VerifyRaw checks a plain Ed25519 signature.
func (p PublicKey) VerifyRaw(message, signature []byte) error { return errNotBuilt }

// Verify checks an armoured SSHSIG strictly against one key.
func Verify(message []byte, armour string, key PublicKey) error { return errNotBuilt }

// SignerOf returns the key named in an armoured SSHSIG after the same strict
// checks of form as Verify; the signature itself is not checked.
func SignerOf(armour string) (PublicKey, error) { return PublicKey{}, errNotBuilt }

// AllowedSigner is one line of an allowed_signers file.
type AllowedSigner struct {
	// Principals are the names the key may sign as (patterns are kept as written).
	Principals []string
	// Namespaces the key may sign for; empty: all.
	Namespaces []string
	// ValidAfter and ValidBefore bound the signing time; zero: unbounded.
	ValidAfter  time.Time
	ValidBefore time.Time
	Key         PublicKey
	Comment     string
}

// ParseAllowedSigners parses an allowed_signers file strictly; errors name the line.
func ParseAllowedSigners(data []byte) ([]AllowedSigner, error) { return nil, errNotBuilt }

// FormatAllowedSigners writes the file that ParseAllowedSigners reads back to
// the same value: one line a signer.
func FormatAllowedSigners(signers []AllowedSigner) ([]byte, error) { return nil, errNotBuilt }

// ValidAt reports whether the signer's key is valid at t for namespace git.
func (s AllowedSigner) ValidAt(t time.Time) bool { return false }

var errNotBuilt = errors.New("sign: not built yet")
