package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func newKey(t testing.TB) *Key {
	t.Helper()
	key, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writeFile(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func keygen(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("ssh-keygen %s: %v: %s", args, err, &errOut)
	}
	return out.String()
}

// pkcs8 is any key as a PKCS#8 PEM file.
func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func TestLoadKey(t *testing.T) {
	dir := t.TempDir()
	keygen(t, "", "-q", "-t", "ed25519", "-N", "", "-C", "made by ssh-keygen", "-f", filepath.Join(dir, "plain"))
	keygen(t, "", "-q", "-t", "ed25519", "-N", "passphrase", "-f", filepath.Join(dir, "locked"))
	keygen(t, "", "-q", "-t", "ecdsa", "-N", "", "-f", filepath.Join(dir, "ecdsa"))
	file := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	own := newKey(t)
	openssh, err := own.MarshalOpenSSH("rung")
	if err != nil {
		t.Fatal(err)
	}
	raw := own.held.signer.(ed25519.PrivateKey)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(bytes.Clone(raw[:32]), newKey(t).held.signer.(ed25519.PrivateKey)[32:]...)
	tornBlock, err := ssh.MarshalPrivateKey(ed25519.PrivateKey(torn), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string // part of the error; empty: taken
	}{
		{"made by ssh-keygen", file("plain"), ""},
		{"made here", openssh, ""},
		{"PKCS#8", pkcs8(t, raw), ""},
		{"with blanks around it", append([]byte("\n"), append(openssh, "\n\n"...)...), ""},
		{"encrypted", file("locked"), "encrypted"},
		{"encrypted PKCS#8", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}), "encrypted"},
		{"ECDSA", file("ecdsa"), "Ed25519 only"},
		{"ECDSA PKCS#8", pkcs8(t, ec), "Ed25519 only"},
		{"a public key", []byte(own.Public().AuthorizedKey()), "not one PEM block"},
		{"a certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "can't be read"},
		{"two keys", append(bytes.Clone(openssh), openssh...), "not one PEM block"},
		{"text before", append([]byte("key:\n"), openssh...), "not one PEM block"},
		{"cut short", openssh[:len(openssh)/2], "not one PEM block"},
		{"halves that don't belong together", pem.EncodeToMemory(tornBlock), "damaged"},
		{"nothing", nil, "not one PEM block"},
		{"much", make([]byte, maxKeyFile+1), "64 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, err := LoadKey(c.data)
			if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if err != nil {
				return
			}
			if _, err := key.Sign([]byte("m")); err != nil {
				t.Error(err)
			}
		})
	}
	if key, err := LoadKey(file("plain")); err != nil || !strings.Contains(keygen(t, "", "-l", "-f", filepath.Join(dir, "plain.pub")), key.Public().Fingerprint()) {
		t.Error("ssh-keygen shows another fingerprint:", err)
	}
}

func TestLoadKeyFile(t *testing.T) {
	dir := t.TempDir()
	data, err := newKey(t).MarshalOpenSSH("")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "key")
	writeFile(t, name, data)
	for mode, want := range map[os.FileMode]string{0o600: "", 0o400: "", 0o640: "chmod 600", 0o604: "chmod 600", 0o660: "chmod 600", 0o620: "chmod 600"} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKeyFile(name); (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	// A link is as readable as what it leads to.
	link := filepath.Join(dir, "link")
	if err := os.Symlink(name, link); err != nil {
		t.Fatal(err)
	}
	for _, bits := range []os.FileMode{0, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001} {
		if err := os.Chmod(name, 0o600|bits); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKeyFile(link); (err == nil) != (bits == 0) {
			t.Errorf("a link to a key of mode %o: %v", 0o600|bits, err)
		}
	}
	if _, err := LoadKeyFile(dir); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Error(err)
	}
	if _, err := LoadKeyFile(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestKeyNeverPrints: no verb, encoder or error shows any form of the secret.
func TestKeyNeverPrints(t *testing.T) {
	key := newKey(t)
	seed := key.held.signer.(ed25519.PrivateKey).Seed()
	holder := struct {
		Name string
		Key  *Key
		Copy Key
		Any  any
	}{"x", key, *key, key}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%t", "%08b", "%w"} {
		for _, v := range []any{key, *key, holder, &holder, []any{key}, map[string]Key{"k": *key}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	if s, err := key.MarshalText(); err == nil {
		out.Write(s)
	}
	out.WriteString(key.GoString())
	all := strings.ToLower(out.String())
	secrets := map[string]string{
		"hexadecimal": fmt.Sprintf("%x", seed[:6]), "decimal": strings.Trim(fmt.Sprint(seed[:6]), "[]"),
		"base64": strings.ToLower(base64.StdEncoding.EncodeToString(seed)[:8]), "go": strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", seed[:5]), "[]byte{"), "}"),
		"binary": fmt.Sprintf("%08b %08b %08b", seed[0], seed[1], seed[2]),
	}
	for form, s := range secrets {
		if strings.Contains(all, s) {
			t.Errorf("the secret is shown in %s: %s", form, s)
		}
	}
	if !strings.Contains(out.String(), key.Public().Fingerprint()) {
		t.Error("the fingerprint is not shown")
	}
}

// brokenSigner is a key holder that errs, or signs with another key.
type brokenSigner struct {
	public crypto.PublicKey
	signer ed25519.PrivateKey
	err    error
}

func (b brokenSigner) Public() crypto.PublicKey { return b.public }
func (b brokenSigner) Sign(_ io.Reader, m []byte, _ crypto.SignerOpts) ([]byte, error) {
	return ed25519.Sign(b.signer, m), b.err
}

func TestSignerSeam(t *testing.T) {
	a, b := newKey(t), newKey(t)
	public := ed25519.PublicKey(a.public.raw[:])
	good, err := NewKey(brokenSigner{public: public, signer: a.held.signer.(ed25519.PrivateKey)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := good.Sign([]byte("m")); err != nil {
		t.Error(err)
	}
	if _, err := good.MarshalOpenSSH(""); err == nil {
		t.Error("a key held elsewhere was marshalled")
	}
	for name, s := range map[string]brokenSigner{
		"another key's signature": {public: public, signer: b.held.signer.(ed25519.PrivateKey)},
		"out of order":            {public: public, signer: a.held.signer.(ed25519.PrivateKey), err: errors.New("no agent")},
	} {
		key, err := NewKey(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.Sign([]byte("m")); err == nil {
			t.Error(name, "passed")
		}
		if _, err := key.SignRaw([]byte("m")); err == nil {
			t.Error(name, "passed raw")
		}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewKey(ec); err == nil {
		t.Error("ECDSA was taken")
	}
	if _, err := NewKey(nil); err == nil {
		t.Error("nothing was taken")
	}
}

func TestPublicKey(t *testing.T) {
	key := newKey(t).Public()
	for _, line := range []string{key.AuthorizedKey(), key.AuthorizedKey() + " a comment", "  " + key.AuthorizedKey() + "\n"} {
		if got, err := ParsePublicKey(line); err != nil || got != key {
			t.Errorf("%q: %v %v", line, got, err)
		}
	}
	body := strings.TrimPrefix(key.AuthorizedKey(), "ssh-ed25519 ")
	for _, line := range []string{
		"", "ssh-ed25519", "ssh-rsa " + body, "ssh-ed25519 " + body[:20], "ssh-ed25519 !" + body, key.AuthorizedKey() + "\nssh-ed25519 x",
		"ssh-ed25519-cert-v01@openssh.com " + body, "ssh-ed25519 " + base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x01x")),
	} {
		if _, err := ParsePublicKey(line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
	if err := (PublicKey{}).VerifyRaw([]byte("m"), make([]byte, 64)); !errors.Is(err, ErrInvalid) {
		t.Error("the zero key verified")
	}
}
