package demo

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rungbot/rung/internal/sign"
)

// The files of DIR/keys.
const (
	appKeyFile     = "app.pem"
	releaseKeyFile = "release"
	secretFile     = "webhook-secret"
)

// keys are what an installation of rung keeps as secrets.
type keys struct {
	app     *rsa.PrivateKey
	release *sign.Key
	secret  string
}

// makeKeys makes what DIR/keys does not hold yet, and reads what it holds: a
// test may give several worlds the same keys.
func (w *World) makeKeys(context.Context) error {
	text, err := w.keyFile(appKeyFile, func() ([]byte, error) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), nil
	})
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("%s is no PEM file: delete it", appKeyFile)
	}
	if w.keys.app, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
		return fmt.Errorf("%s is no RSA key: delete it", appKeyFile)
	}
	if text, err = w.keyFile(releaseKeyFile, func() ([]byte, error) {
		key, err := sign.GenerateKey()
		if err != nil {
			return nil, err
		}
		return key.MarshalOpenSSH("rung demo")
	}); err != nil {
		return err
	}
	if w.keys.release, err = sign.LoadKey(text); err != nil {
		return err
	}
	text, err = w.keyFile(secretFile, func() ([]byte, error) {
		raw := make([]byte, 32)
		_, err := rand.Read(raw)
		return []byte(hex.EncodeToString(raw) + "\n"), err
	})
	w.keys.secret = strings.TrimSpace(string(text))
	return err
}

// keyFile reads a file of DIR/keys, and writes it first if it is not there.
func (w *World) keyFile(name string, make func() ([]byte, error)) ([]byte, error) {
	path := filepath.Join(w.Dir, "keys", name)
	text, err := os.ReadFile(path) // #nosec G304 -- a name of this package's own
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	if text, err = make(); err != nil {
		return nil, err
	}
	return text, os.WriteFile(path, text, 0o600)
}
