package sign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

var message = []byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nhello\n")

// wireSig is an SSHSIG with every field in reach, to make odd ones.
type wireSig struct {
	Magic     [6]byte
	Version   uint32
	PublicKey string
	Namespace string
	Reserved  string
	Hash      string
	Signature string
}

func decode(t testing.TB, armoured string) wireSig {
	t.Helper()
	block, _ := pem.Decode([]byte(armoured))
	var w wireSig
	if err := ssh.Unmarshal(block.Bytes, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w wireSig) armour() string { return armour(ssh.Marshal(w), columns) }

// signAs makes a signature of message with any hash and namespace.
func signAs(t testing.TB, signer ssh.Signer, hash sshsig.HashAlgorithm, namespace string) string {
	t.Helper()
	s, err := sshsig.Sign(bytes.NewReader(message), signer, hash, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return armour(s.Marshal(), columns)
}

// tampered changes an armour's decoded form.
func tampered(t testing.TB, armoured string, change func(*wireSig)) string {
	t.Helper()
	w := decode(t, armoured)
	change(&w)
	return w.armour()
}

func TestVerify(t *testing.T) {
	key := newKey(t)
	good, err := key.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newKey(t).Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecSigner, err := ssh.NewSignerFromKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	wire := ssh.Marshal(decode(t, good))
	body := base64.StdEncoding.EncodeToString(wire)
	reserved := func() string { // a signature that is valid with reserved bytes in what is signed
		digest := sha512.Sum512(message)
		data := append([]byte("SSHSIG"), ssh.Marshal(struct{ Namespace, Reserved, Hash, Digest string }{"git", "stuffed", "sha512", string(digest[:])})...)
		s, err := key.held.ssh.Sign(rand.Reader, data)
		if err != nil {
			t.Fatal(err)
		}
		return tampered(t, good, func(w *wireSig) { w.Reserved, w.Signature = "stuffed", string(ssh.Marshal(s)) })
	}
	for _, c := range []struct {
		name     string
		armoured string
		want     error
	}{
		{"as made", good, nil},
		{"at 64 columns", armour(wire, pemColumns), nil},
		{"with SHA-256", signAs(t, key.held.ssh, sshsig.HashSHA256, "git"), nil},
		{"by another key", other, ErrOtherKey},
		{"another namespace", signAs(t, key.held.ssh, sshsig.HashSHA512, "file"), ErrNamespace},
		{"no namespace", tampered(t, good, func(w *wireSig) { w.Namespace = "" }), ErrNamespace},
		{"a namespace put right by hand", tampered(t, signAs(t, key.held.ssh, sshsig.HashSHA512, "file"), func(w *wireSig) { w.Namespace = "git" }), ErrInvalid},
		{"another hash named", tampered(t, good, func(w *wireSig) { w.Hash = "sha256" }), ErrInvalid},
		{"an unknown hash", tampered(t, good, func(w *wireSig) { w.Hash = "sha1" }), ErrType},
		{"version 2", tampered(t, good, func(w *wireSig) { w.Version = 2 }), ErrType},
		{"another magic", tampered(t, good, func(w *wireSig) { w.Magic[0] = 's' }), ErrNonCanonical},
		{"reserved bytes", reserved(), ErrNonCanonical},
		{"bytes after the signature", tampered(t, good, func(w *wireSig) { w.Signature += "x" }), ErrNonCanonical},
		{"bytes after all", armour(append(bytes.Clone(wire), 'x'), columns), ErrNonCanonical},
		{"a signature byte flipped", tampered(t, good, func(w *wireSig) {
			s := []byte(w.Signature)
			s[len(s)-1] ^= 1
			w.Signature = string(s)
		}), ErrInvalid},
		{"a short signature", tampered(t, good, func(w *wireSig) {
			w.Signature = string(ssh.Marshal(ssh.Signature{Format: "ssh-ed25519", Blob: []byte("short")}))
		}), ErrInvalid},
		{"another format", tampered(t, good, func(w *wireSig) {
			w.Signature = string(ssh.Marshal(ssh.Signature{Format: "ssh-rsa", Blob: make([]byte, 64)}))
		}), ErrType},
		{"an ECDSA key", signAs(t, ecSigner, sshsig.HashSHA512, "git"), ErrType},
		{"PGP", "-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n", ErrType},
		{"nothing", "", ErrType},
		{"one long line", armourBegin + body + "\n" + armourEnd, ErrNonCanonical},
		{"at 76 columns", armour(wire, 76), ErrNonCanonical},
		{"a blank line inside", strings.Replace(good, "\n", "\n\n", 1), ErrNonCanonical},
		{"a header inside", strings.Replace(good, "\n", "\nVersion: 1\n\n", 1), ErrNonCanonical},
		{"a blank at a line's end", strings.Replace(good, "\n", " \n", 2), ErrNonCanonical},
		{"carriage returns", strings.ReplaceAll(good, "\n", "\r\n"), ErrNonCanonical},
		{"text before", "x\n" + good, ErrNonCanonical},
		{"text after", good + "x\n", ErrNonCanonical},
		{"a line feed after", good + "\n", ErrNonCanonical},
		{"no line feed at the end", strings.TrimSuffix(good, "\n"), ErrNonCanonical},
		{"twice", good + good, ErrNonCanonical},
		{"URL-safe base64", armourBegin + strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimPrefix(tampered(t, good, func(w *wireSig) { w.Reserved = "\xff\xef\xbe\xff\xef\xbe" }), armourBegin)), ErrNonCanonical},
		{"loose base64 bits", looseBits(t, wire), ErrNonCanonical},
		{"not base64", armourBegin + "!!!!\n" + armourEnd, ErrNonCanonical},
		{"empty", armourBegin + armourEnd, ErrNonCanonical},
		{"huge", armourBegin + strings.Repeat("A", 1<<20) + "\n" + armourEnd, ErrNonCanonical},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := Verify(message, c.armoured, key.Public()); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			var b Batch
			err := b.AddSSH(message, c.armoured, key.Public())
			if held := b.Holds(); err == nil && !held {
				err = ErrInvalid
			}
			if !errors.Is(err, c.want) {
				t.Errorf("in a batch: %v, want %v", err, c.want)
			}
		})
	}
	var b Batch
	if err := b.AddSSH([]byte("another message"), good, key.Public()); err != nil || b.Holds() {
		t.Error("a signature of another message holds in a batch", err)
	}
	if err := b.AddSSH(message, good, PublicKey{}); !errors.Is(err, ErrOtherKey) || !b.Holds() {
		t.Error(err)
	}
	if err := Verify([]byte("another message"), good, key.Public()); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if err := Verify(message, good, PublicKey{}); !errors.Is(err, ErrOtherKey) {
		t.Error(err)
	}
	if signer, err := SignerOf(good); err != nil || signer != key.Public() {
		t.Error(signer, err)
	}
}

// looseBits pads the wire form so that its base64 has unused bits, and sets
// one of them: lax decoders see no difference.
func looseBits(t testing.TB, wire []byte) string {
	t.Helper()
	for len(wire)%3 == 0 {
		wire = append(bytes.Clone(wire), 0)
	}
	text := base64.StdEncoding.EncodeToString(wire)
	i := strings.IndexByte(text, '=') - 1
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	next := alphabet[strings.IndexByte(alphabet, text[i])+1]
	return armourBegin + text[:i] + string(next) + text[i+1:] + "\n" + armourEnd
}

// TestSignIsWhatSSHKeygenMakes: byte for byte, and both verify the other's.
func TestSignIsWhatSSHKeygenMakes(t *testing.T) {
	dir := t.TempDir()
	key := newKey(t)
	data, err := key.MarshalOpenSSH("")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "key"), data)
	writeFile(t, filepath.Join(dir, "message"), message)
	keygen(t, "", "-q", "-Y", "sign", "-n", "git", "-f", filepath.Join(dir, "key"), filepath.Join(dir, "message"))
	theirs, err := os.ReadFile(filepath.Join(dir, "message.sig"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := key.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	if ours != string(theirs) {
		t.Errorf("ours\n%stheirs\n%s", ours, theirs)
	}
	if err := Verify(message, string(theirs), key.Public()); err != nil {
		t.Error(err)
	}
}

func TestRaw(t *testing.T) {
	key := newKey(t)
	s, err := key.SignRaw(message)
	if err != nil || len(s) != 64 {
		t.Fatal(len(s), err)
	}
	if err := key.Public().VerifyRaw(message, s); err != nil {
		t.Error(err)
	}
	if err := key.Public().VerifyRaw(message[1:], s); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if err := key.Public().VerifyRaw(message, s[:63]); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	key := newKey(f)
	good, err := key.Sign(message)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(armour(ssh.Marshal(decode(f, good)), pemColumns))
	f.Add(signAs(f, key.held.ssh, sshsig.HashSHA256, "file"))
	f.Add(armourBegin + armourEnd)
	f.Add("-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n")
	f.Fuzz(func(t *testing.T, armoured string) {
		signer, err := SignerOf(armoured)
		if err == nil {
			// What passes the checks of form has exactly two spellings.
			block, _ := pem.Decode([]byte(armoured))
			if armoured != armour(block.Bytes, columns) && armoured != armour(block.Bytes, pemColumns) {
				t.Errorf("another spelling passes: %q", armoured)
			}
		}
		if Verify(message, armoured, key.Public()) != nil {
			return
		}
		if err != nil || signer != key.Public() {
			t.Error("verified, but by whom?")
		}
		if !opensshAccepts(t, t.TempDir(), "rung "+key.Public().AuthorizedKey()+"\n", armoured, "rung", time.Now()) {
			t.Errorf("ssh-keygen does not take what we do: %q", armoured)
		}
	})
}

func FuzzLoadKey(f *testing.F) {
	data, err := newKey(f).MarshalOpenSSH("x")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(pkcs8(f, newKey(f).held.signer))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := LoadKey(data)
		if err != nil {
			if len(data) > 60 && strings.Contains(err.Error(), string(data[40:60])) {
				t.Error("the error repeats the key")
			}
			return
		}
		if _, err := key.Sign(message); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	key := newKey(b)
	good, err := key.Sign(message)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := Verify(message, good, key.Public()); err != nil {
			b.Fatal(err)
		}
	}
}
