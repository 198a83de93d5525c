package sign

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentPatience bounds one question to an agent. It is long enough for a person
// who has to confirm one.
const agentPatience = 30 * time.Second

// AgentKey is a key that an ssh-agent holds. socket is the path of the agent's
// socket; want names the key: "ssh-ed25519 AAAA…", the file that holds such a line
// (.pub), or a fingerprint ("SHA256:…"). Each signature is a connection of its
// own, so that an agent may be started anew; the Key is safe for concurrent use.
func AgentKey(socket, want string) (*Key, error) {
	if socket == "" {
		return nil, errors.New("no ssh-agent: SSH_AUTH_SOCK is not set")
	}
	print, err := fingerprintOf(want)
	if err != nil {
		return nil, err
	}
	s := &agentSigner{socket: socket}
	err = s.ask(func(a agent.ExtendedAgent) error {
		keys, err := a.List()
		if err != nil {
			return fmt.Errorf("the ssh-agent does not list its keys: %w", err)
		}
		for _, k := range keys {
			if ssh.FingerprintSHA256(k) != print {
				continue
			}
			parsed, err := ssh.ParsePublicKey(k.Blob)
			if err != nil {
				return fmt.Errorf("the ssh-agent's key %s is damaged", print)
			}
			s.key, err = fromSSH(parsed)
			return err
		}
		return fmt.Errorf("the ssh-agent does not hold the key %s: ssh-add it", print)
	})
	if err != nil {
		return nil, err
	}
	return NewKey(s)
}

// fingerprintOf reads the name of a key in one of its three forms.
func fingerprintOf(want string) (string, error) {
	want = strings.TrimSpace(want)
	switch {
	case strings.HasPrefix(want, "SHA256:"):
		return want, nil
	case strings.Contains(want, " "):
		k, err := ParsePublicKey(want)
		return k.Fingerprint(), err
	}
	k, err := LoadPublicKeyFile(want)
	return k.Fingerprint(), err
}

// LoadPublicKeyFile reads a .pub file.
func LoadPublicKeyFile(name string) (PublicKey, error) {
	f, err := os.Open(name) // #nosec G304 -- the operator names the file
	if err != nil {
		return PublicKey{}, fmt.Errorf("public key: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return PublicKey{}, fmt.Errorf("public key: %w", err)
	}
	k, err := ParsePublicKey(strings.TrimSpace(string(data)))
	if err != nil {
		return k, fmt.Errorf("%s: %w", name, err)
	}
	return k, nil
}

// agentSigner is a crypto.Signer that asks an agent.
type agentSigner struct {
	socket string
	key    PublicKey
}

// ask connects to the agent for one question.
func (s *agentSigner) ask(question func(agent.ExtendedAgent) error) error {
	c, err := net.DialTimeout("unix", s.socket, agentPatience)
	if err != nil {
		return fmt.Errorf("the ssh-agent at SSH_AUTH_SOCK does not answer: %w", err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(agentPatience)); err != nil {
		return err
	}
	return question(agent.NewClient(c))
}

// Public is the key's public half.
func (s *agentSigner) Public() crypto.PublicKey { return s.key.Ed25519() }

// Sign signs the whole message, which is what plain Ed25519 does.
func (s *agentSigner) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) (signature []byte, err error) {
	if opts.HashFunc() != 0 {
		return nil, errors.New("the ssh-agent signs whole messages, not hashes")
	}
	public, err := s.key.toSSH()
	if err != nil {
		return nil, err
	}
	err = s.ask(func(a agent.ExtendedAgent) error {
		made, err := a.Sign(public, message)
		if err != nil {
			return fmt.Errorf("the ssh-agent does not sign: %w", err)
		}
		if made.Format != ssh.KeyAlgoED25519 || len(made.Blob) != ed25519.SignatureSize {
			return fmt.Errorf("the ssh-agent made a signature of type %.40q", made.Format)
		}
		signature = made.Blob
		return nil
	})
	return signature, err
}
