package sign

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/crypto/ssh"
)

// maxKeyFile bounds a private key file.
const maxKeyFile = 64 << 10

// Key is a private Ed25519 key, or a crypto.Signer that holds one. It never
// prints itself. Safe for concurrent use if its crypto.Signer is.
type Key struct {
	held   *held
	public PublicKey
}

// held is behind a pointer of its own because fmt prints a struct field by
// field, whatever its methods say, for a verb that doesn't fit (%w of what is
// no error); a pointer inside a struct is printed as an address.
type held struct {
	signer crypto.Signer
	ssh    ssh.Signer
}

// LoadKey parses an unencrypted Ed25519 private key, OpenSSH or PKCS#8 PEM,
// with nothing but white space around it.
func LoadKey(data []byte) (*Key, error) {
	if len(data) > maxKeyFile {
		return nil, errors.New("the signing key is larger than 64 KiB; it is no private key file")
	}
	data = bytes.TrimSpace(data)
	block, rest := pem.Decode(data)
	if block == nil || !bytes.HasPrefix(data, []byte("-----BEGIN ")) || len(bytes.TrimSpace(rest)) != 0 {
		return nil, errors.New("the signing key is not one PEM block; make one with: ssh-keygen -t ed25519 -N '' -f FILE")
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" {
		return nil, errEncrypted
	}
	parsed, err := ssh.ParseRawPrivateKey(data)
	if err != nil {
		var missing *ssh.PassphraseMissingError
		if errors.As(err, &missing) {
			return nil, errEncrypted
		}
		return nil, fmt.Errorf("the signing key (%.40q) can't be read; use an unencrypted Ed25519 key in OpenSSH or PKCS#8 form", block.Type)
	}
	switch key := parsed.(type) {
	case ed25519.PrivateKey:
		return newEd25519(key)
	case *ed25519.PrivateKey:
		return newEd25519(*key)
	}
	return nil, fmt.Errorf("the signing key is of type %T; rung signs with Ed25519 only, make one with: ssh-keygen -t ed25519", parsed)
}

var errEncrypted = errors.New("the signing key is encrypted; rung has no passphrase for it: remove it from a copy with ssh-keygen -p -N '' -f FILE, and keep that copy as a secret")

// newEd25519 checks that the two halves of the key belong together.
func newEd25519(key ed25519.PrivateKey) (*Key, error) {
	if len(key) != ed25519.PrivateKeySize || !bytes.Equal(ed25519.NewKeyFromSeed(key.Seed()), key) {
		return nil, errors.New("the signing key is damaged: its public half does not belong to its private half")
	}
	return NewKey(key)
}

// LoadKeyFile reads a private key file of at most 64 KiB as LoadKey does. On
// unix it refuses one that group or others can read.
func LoadKeyFile(name string) (*Key, error) {
	f, err := os.Open(name) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("signing key: %s is not a regular file", name)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("signing key: %s can be read by others than its owner (mode %04o); run: chmod 600 %s", name, mode, name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	key, err := LoadKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return key, nil
}

// NewKey wraps a crypto.Signer (an agent, a KMS) whose public key is a plain
// Ed25519 one. Sign is called with the whole message and crypto.Hash(0).
func NewKey(s crypto.Signer) (*Key, error) {
	if s == nil {
		return nil, errors.New("no signing key")
	}
	public, ok := s.Public().(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("the signing key is of type %T; rung signs with Ed25519 only", s.Public())
	}
	signer, err := ssh.NewSignerFromSigner(s)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	k := &Key{held: &held{signer: s, ssh: signer}}
	copy(k.public.raw[:], public)
	return k, nil
}

// GenerateKey makes a new key.
func GenerateKey() (*Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate a signing key: %w", err)
	}
	return NewKey(private)
}

// MarshalOpenSSH is the private key as an OpenSSH PEM file, unencrypted. It is
// the one way to get the secret out, for writing a new key to a file of mode
// 0600. A key held elsewhere (NewKey) can't be marshalled.
func (k *Key) MarshalOpenSSH(comment string) ([]byte, error) {
	private, ok := k.held.signer.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("this signing key is held elsewhere and can't be written to a file")
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return nil, errors.New("the signing key can't be marshalled")
	}
	return pem.EncodeToMemory(block), nil
}

// Public is the key's public half.
func (k *Key) Public() PublicKey { return k.public }

// String names the key by its fingerprint and never shows the secret.
func (k Key) String() string { return "signing key " + k.public.Fingerprint() }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// Format prints String whatever the verb, so that none reaches the secret.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalJSON is String as a JSON string.
func (k Key) MarshalJSON() ([]byte, error) { return []byte(`"` + k.String() + `"`), nil }

// MarshalText is String.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
