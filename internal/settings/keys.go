package settings

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rungbot/rung/internal/lazyregexp"
)

const (
	// maxSecretBytes bounds a secret and the file that it comes from.
	maxSecretBytes = 64 << 10
	// minWebhookSecret is the least length of a webhook secret, in bytes.
	minWebhookSecret = 16
)

// readFiles puts the contents of …_FILE variables under the variables
// themselves, and returns the files' paths by …_FILE variable.
func (l *loader) readFiles(fields []field) map[string]string {
	files := map[string]string{}
	for _, f := range fields {
		text, set := l.env[f.variable]
		if !f.file {
			continue
		}
		variable := f.variable + "_FILE"
		path, fromFile := l.env[variable]
		switch {
		case set && fromFile:
			l.report(f.variable, "is set as well as %s: unset one of them", variable)
		case fromFile && path == "":
			l.report(variable, "is empty: name a file or unset it")
		case fromFile:
			files[variable] = path
			text, err := readSecretFile(path)
			if err != nil {
				l.report(variable, "%v", err)
			} else if strings.TrimSpace(text) == "" {
				l.report(variable, "the file %s is empty", path)
			} else {
				l.env[f.variable] = text
			}
		case set && strings.TrimSpace(text) == "":
			l.report(f.variable, "is empty: give it a value or unset it")
		case len(text) > maxSecretBytes:
			l.report(f.variable, "has more than %d bytes", maxSecretBytes)
			delete(l.env, f.variable)
		}
	}
	return files
}

// readSecretFile reads a file that only its owner may read, less one line end
// at its end.
func readSecretFile(path string) (string, error) {
	f, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return "", fmt.Errorf("the file %s can't be read: %w", path, pathless(err))
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", fmt.Errorf("the file %s can't be read: %w", path, pathless(err))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a file", path)
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("the file %s may be read or changed by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	case info.Size() > maxSecretBytes:
		return "", fmt.Errorf("the file %s has more than %d bytes: it is no secret", path, maxSecretBytes)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecretBytes))
	if err != nil {
		return "", fmt.Errorf("the file %s can't be read: %w", path, pathless(err))
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// pathless is the reason of an error about a file, without its path.
func pathless(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// splitSecrets takes secrets apart at commas and line ends. Blank lines are
// dropped; nothing before or after a comma stays, to be refused.
func splitSecrets(text string) []Secret {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	var secrets []Secret
	for _, part := range strings.FieldsFunc(strings.ReplaceAll(text, ",", "\n,"), func(r rune) bool { return r == '\n' }) {
		secrets = append(secrets, NewSecret(strings.TrimSpace(strings.TrimPrefix(part, ","))))
	}
	return secrets
}

// checkKeys judges keys and webhook secrets as far as their outside shows.
func (l *loader) checkKeys(s *Settings) {
	if len(s.GitHubWebhookSecrets) > 2 {
		l.report("RUNG_GITHUB_WEBHOOK_SECRETS", "has %d secrets; two at most, the old and the new one", len(s.GitHubWebhookSecrets))
	}
	for i, secret := range s.GitHubWebhookSecrets {
		if secret.Empty() {
			l.report("RUNG_GITHUB_WEBHOOK_SECRETS", "secret %d is empty", i+1)
		} else if n := len(secret.Reveal()); n < minWebhookSecret {
			l.report("RUNG_GITHUB_WEBHOOK_SECRETS", "secret %d has %d bytes; use at least %d, such as from openssl rand -hex 32", i+1, n, minWebhookSecret)
		}
	}
	s.GitHubPrivateKey = l.checkPEM("RUNG_GITHUB_PRIVATE_KEY", s.GitHubPrivateKey, "the key that the App's settings page made, which begins with -----BEGIN RSA PRIVATE KEY-----", "RSA PRIVATE KEY", "PRIVATE KEY")
	s.SigningKey = l.checkPEM("RUNG_SIGNING_KEY", s.SigningKey, "a private key as ssh-keygen -t ed25519 writes it, which begins with -----BEGIN OPENSSH PRIVATE KEY-----", "OPENSSH PRIVATE KEY", "PRIVATE KEY")
	if !s.SigningKey.Empty() && s.SigningKey.Reveal() == s.GitHubPrivateKey.Reveal() {
		l.report("RUNG_SIGNING_KEY", "is the App's key: make one of its own, so that whoever has one can't do the other's work")
	}
}

// checkPEM checks that a key is one block of PEM, and returns it with real line
// ends: environment variables often carry them as \n.
func (l *loader) checkPEM(variable string, key Secret, want string, kinds ...string) Secret {
	if key.Empty() {
		return key
	}
	text := key.Reveal()
	if !strings.Contains(text, "\n") {
		text = strings.ReplaceAll(text, `\n`, "\n")
	}
	text = strings.TrimSpace(text) + "\n"
	block, rest := pem.Decode([]byte(text))
	if block == nil {
		l.report(variable, "is not %s", want)
		return key
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		l.report(variable, "holds more than one key")
	}
	for _, kind := range kinds {
		if block.Type == kind {
			return NewSecret(text)
		}
	}
	l.report(variable, "is a %s; it must be %s", printable(block.Type), want)
	return key
}

// checkOutside refuses a secret's file in the data directory, by its own path
// or by where links lead.
func (l *loader) checkOutside(variable, path, data string) {
	if Inside(path, data) {
		l.report(variable, "the file %s lies in the data directory %s: move it out, for that directory may be deleted, copied and shared", path, data)
	}
}

// Inside reports whether a path is a directory or lies in it, by its own name or by
// where links lead.
func Inside(path, directory string) bool {
	for _, p := range []string{absolute(path), resolved(path)} {
		for _, dir := range []string{absolute(directory), resolved(directory)} {
			if p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator)) {
				return true
			}
		}
	}
	return false
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}

// resolved follows the links of the part of path that exists.
func resolved(path string) string {
	path = absolute(path)
	rest := ""
	for dir := path; ; {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return path
		}
		rest = filepath.Join(filepath.Base(dir), rest)
		dir = parent
	}
}

var (
	keyName = lazyregexp.New(`(?i)\.(pem|key|ppk|p12|pfx)$|^id_(rsa|dsa|ecdsa|ed25519)(_sk)?$`)
	// keyText is looked for at the start of lines only, and not in databases:
	// what strangers write in comments is kept there.
	keyText = lazyregexp.New(`(?m)^[ \t]*(?:-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-[0-9]+:)`)
)

// databaseMagic are the first bytes of SQLite's files.
var databaseMagic = [][]byte{[]byte("SQLite format 3\x00"), {0x37, 0x7f, 0x06, 0x82}, {0x37, 0x7f, 0x06, 0x83}}

// CheckDataDir looks for private keys in the data directory, by name (*.pem,
// id_ed25519, …) and by content (files up to 64 KiB), and returns an error that
// names them. A directory that does not exist has none. Links are followed for
// files, not for directories.
func CheckDataDir(dir string) error {
	const shown = 5
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it may be gone again
		case err != nil:
			return fmt.Errorf("the data directory can't be searched for keys at %s: %w", path, pathless(err))
		case d.IsDir():
			return nil
		}
		isKey, err := looksLikeKey(path)
		if isKey {
			found = append(found, path)
		}
		if len(found) > shown {
			return filepath.SkipAll
		}
		return err
	})
	if len(found) > shown {
		found = append(found[:shown], "and more")
	}
	if len(found) > 0 {
		return fmt.Errorf("the data directory holds private keys (%s): move them out and, if others could read them, replace them", strings.Join(found, ", "))
	}
	return err
}

func looksLikeKey(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the data directory can't be searched for keys at %s: %w", path, pathless(err))
	}
	if !info.Mode().IsRegular() {
		return false, nil
	}
	if keyName.MatchString(filepath.Base(path)) {
		return true, nil
	}
	if info.Size() > maxSecretBytes {
		return false, nil
	}
	data, err := os.ReadFile(path) // #nosec G304 -- of our own data directory, and only searched
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("the data directory can't be searched for keys at %s: %w", path, pathless(err))
	}
	for _, magic := range databaseMagic {
		if bytes.HasPrefix(data, magic) {
			return false, nil
		}
	}
	return keyText.Match(data), nil
}
