package sign

import (
	"errors"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// opensshAccepts asks ssh-keygen whether file lets principal sign at a time.
func opensshAccepts(t *testing.T, dir, file, armoured, principal string, at time.Time) bool {
	t.Helper()
	signers, sig := filepath.Join(dir, "signers"), filepath.Join(dir, "sig")
	writeFile(t, signers, []byte(file))
	writeFile(t, sig, []byte(armoured))
	cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", signers, "-I", principal, "-n", "git", "-s", sig, "-Overify-time="+at.UTC().Format("20060102150405")+"Z")
	cmd.Stdin = strings.NewReader(string(message))
	// A time zone far from UTC shows timestamps that are read as local ones.
	cmd.Env = append(cmd.Environ(), "TZ=Pacific/Kiritimati")
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal("ssh-keygen is needed:", err)
	}
	return err == nil
}

// weAccept is the same question asked of this package.
func weAccept(signers []AllowedSigner, armoured, principal string, at time.Time) bool {
	return slices.ContainsFunc(signers, func(s AllowedSigner) bool {
		return slices.Contains(s.Principals, principal) && s.ValidAt(at) && Verify(message, armoured, s.Key) == nil
	})
}

// TestAllowedSigners: what is taken means to ssh-keygen what it means to us;
// what is refused names its line.
func TestAllowedSigners(t *testing.T) {
	key, other := newKey(t), newKey(t)
	armoured, err := key.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	k, o := key.Public().AuthorizedKey(), other.Public().AuthorizedKey()
	noon := time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)
	const who = "release@acme.example"
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		file string
		line int    // of the error; 0: taken
		want string // part of the error
		at   time.Time
		ok   bool
	}{
		{"plain", who + " " + k + "\n", 0, "", noon, true},
		{"no line feed at the end", who + " " + k, 0, "", noon, true},
		{"a comment on the line", who + " " + k + " release key of 2024\n", 0, "", noon, true},
		{"comments, blanks and tabs", "# who may sign\n\n \t\n\t" + who + "\t  " + k + "\t \n", 0, "", noon, true},
		{"another principal", "root@acme.example " + k + "\n", 0, "", noon, false},
		{"two principals", "root@acme.example," + who + " " + k + "\n", 0, "", noon, true},
		{"another key", who + " " + o + "\n", 0, "", noon, false},
		{"two lines", who + " " + o + "\n" + who + " " + k + "\n", 0, "", noon, true},
		{"namespace git", who + ` namespaces="git" ` + k + "\n", 0, "", noon, true},
		{"namespaces", who + ` namespaces="file,git" ` + k + "\n", 0, "", noon, true},
		{"another namespace", who + ` namespaces="file" ` + k + "\n", 0, "", noon, false},
		{"valid-after, before it", who + ` valid-after="20240601120001Z" ` + k + "\n", 0, "", noon, false},
		{"valid-after, at it", who + ` valid-after="20240601120000Z" ` + k + "\n", 0, "", noon, true},
		{"valid-before, at it", who + ` valid-before="20240601120000Z" ` + k + "\n", 0, "", noon, true},
		{"valid-before, after it", who + ` valid-before="20240601115959Z" ` + k + "\n", 0, "", noon, false},
		{"minutes", who + ` valid-after="202406011159Z",valid-before="202406011201Z" ` + k + "\n", 0, "", noon, true},
		{"days", who + ` valid-after="20240601Z",valid-before="20240602Z" ` + k + "\n", 0, "", noon, true},
		{"a day in UTC, not here", who + ` valid-before="20240601Z" ` + k + "\n", 0, "", noon, false},
		{"all options", who + ` namespaces="git",valid-after="20240101Z",valid-before="20250101Z" ` + k + " x\n", 0, "", noon, true},
		{"all options, too late", who + ` namespaces="git",valid-after="20240101Z",valid-before="20250101Z" ` + k + " x\n", 0, "", noon.AddDate(1, 0, 0), false},
		{"no file", "", 0, "", noon, false},

		{"no Z", "#\n" + who + ` valid-after="20240101" ` + k + "\n", 2, "must end in Z", noon, false},
		{"a time that isn't", who + ` valid-after="20241301Z" ` + k + "\n", 1, "is not YYYYMMDDZ", noon, false},
		{"an empty time", who + ` valid-after="Z" ` + k + "\n", 1, "is not YYYYMMDDZ", noon, false},
		{"backwards", who + ` valid-after="20250101Z",valid-before="20240101Z" ` + k + "\n", 1, "earlier", noon, false},
		{"cert-authority", who + " cert-authority " + k + "\n", 1, "cert-authority", noon, false},
		{"cert-authority among others", who + ` namespaces="git",cert-authority ` + k + "\n", 1, "cert-authority", noon, false},
		{"unknown option", who + ` touch="yes" ` + k + "\n", 1, "not known", noon, false},
		{"option in another case", who + ` Namespaces="git" ` + k + "\n", 1, "not known", noon, false},
		{"option twice", who + ` namespaces="git",namespaces="file" ` + k + "\n", 1, "twice", noon, false},
		{"unquoted", who + ` namespaces=git ` + k + "\n", 1, "write namespaces=", noon, false},
		{"quote not closed", who + ` namespaces="git ` + k + "\n", 1, "not closed", noon, false},
		{"a backslash", who + ` namespaces="gi\"t" ` + k + "\n", 1, "backslash", noon, false},
		{"a comma at the end", who + ` namespaces="git", ` + k + "\n", 1, "must follow", noon, false},
		{"nothing between options", who + ` namespaces="git"valid-after="20240101Z" ` + k + "\n", 1, "must follow", noon, false},
		{"namespace pattern", who + ` namespaces="*" ` + k + "\n", 1, "patterns", noon, false},
		{"no namespace", who + ` namespaces="" ` + k + "\n", 1, "patterns", noon, false},
		{"principal pattern", "*@acme.example " + k + "\n", 1, "patterns", noon, false},
		{"negated principal", "!x," + who + " " + k + "\n", 1, "patterns", noon, false},
		{"quoted principal", `"` + who + `" ` + k + "\n", 1, "quotes", noon, false},
		{"empty principal", who + ",, " + k + "\n", 1, "plain name", noon, false},
		{"no key", who + "\n", 1, "no key", noon, false},
		{"no key after options", who + ` namespaces="git"` + "\n", 1, "no key", noon, false},
		{"half a key", who + " ssh-ed25519\n", 1, "no key", noon, false},
		{"a damaged key", who + " " + k[:len(k)-4] + "\n", 1, "damaged", noon, false},
		{"not base64", who + " ssh-ed25519 A!\n", 1, "base64", noon, false},
		{"RSA", "#\n#\n" + who + " ssh-rsa AAAA\n", 3, "only ssh-ed25519", noon, false},
		{"a security key", who + " sk-ssh-ed25519@openssh.com AAAA\n", 1, "only ssh-ed25519", noon, false},
		{"carriage return", who + " " + k + "\r\n", 1, "printable", noon, false},
		{"not ASCII", "caf\xc3\xa9 " + k + "\n", 1, "printable", noon, false},
		{"a NUL", who + " " + k + "\x00\n", 1, "printable", noon, false},
		{"a key alone", k + "\n", 1, "", noon, false},
		{"many lines", strings.Repeat("#\n", maxAllowedLines+1), maxAllowedLines + 1, "more than", noon, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			signers, err := ParseAllowedSigners([]byte(c.file))
			if c.line != 0 {
				var e *AllowedSignersError
				if !errors.As(err, &e) || e.Line != c.line || !strings.Contains(e.Reason, c.want) || signers != nil {
					t.Errorf("%v, want line %d and %q", err, c.line, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if ours := weAccept(signers, armoured, who, c.at); ours != c.ok {
				t.Errorf("we say %v, want %v", ours, c.ok)
			}
			if theirs := opensshAccepts(t, dir, c.file, armoured, who, c.at); theirs != c.ok {
				t.Errorf("ssh-keygen says %v, want %v", theirs, c.ok)
			}
			text, err := FormatAllowedSigners(signers)
			if err != nil {
				t.Fatal(err)
			}
			back, err := ParseAllowedSigners(text)
			if err != nil || !reflect.DeepEqual(back, signers) {
				t.Errorf("written and read again: %+v %v", back, err)
			}
			if theirs := opensshAccepts(t, dir, string(text), armoured, who, c.at); theirs != c.ok {
				t.Errorf("ssh-keygen says %v of what we write, want %v", theirs, c.ok)
			}
		})
	}
	if _, err := ParseAllowedSigners(make([]byte, maxAllowedFile+1)); err == nil {
		t.Error("a huge file was taken")
	}
}

func TestFormatAllowedSignersRefuses(t *testing.T) {
	good := AllowedSigner{Principals: []string{"a"}, Key: newKey(t).Public()}
	for name, change := range map[string]func(*AllowedSigner){
		"no principal":         func(s *AllowedSigner) { s.Principals = nil },
		"a blank in one":       func(s *AllowedSigner) { s.Principals = []string{"a b"} },
		"a comma in one":       func(s *AllowedSigner) { s.Principals = []string{"a,b"} },
		"a comment sign":       func(s *AllowedSigner) { s.Principals = []string{"#a"} },
		"a quote in one":       func(s *AllowedSigner) { s.Namespaces = []string{`git"`} },
		"half a second":        func(s *AllowedSigner) { s.ValidAfter = time.Unix(1700000000, 500) },
		"before 1970":          func(s *AllowedSigner) { s.ValidAfter = time.Unix(-5, 0) },
		"backwards":            func(s *AllowedSigner) { s.ValidAfter, s.ValidBefore = time.Unix(9, 0), time.Unix(8, 0) },
		"a line in a comment":  func(s *AllowedSigner) { s.Comment = "a\nb ssh-ed25519 x" },
		"a blank at its start": func(s *AllowedSigner) { s.Comment = " a" },
		"no key":               func(s *AllowedSigner) { s.Key = PublicKey{} },
	} {
		s := good
		change(&s)
		if text, err := FormatAllowedSigners([]AllowedSigner{good, s}); err == nil {
			t.Errorf("%s was written: %q", name, text)
		}
	}
	if _, err := FormatAllowedSigners([]AllowedSigner{good}); err != nil {
		t.Error(err)
	}
}

func FuzzParseAllowedSigners(f *testing.F) {
	k := newKey(f).Public().AuthorizedKey()
	f.Add([]byte("a,b " + k + " comment\n"))
	f.Add([]byte(`a namespaces="git,file",valid-after="20240101Z",valid-before="202501011200Z" ` + k + "\n"))
	f.Add([]byte("# comment\n\na cert-authority " + k))
	f.Add([]byte(`a namespaces="gi` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		signers, err := ParseAllowedSigners(data)
		if err != nil {
			return
		}
		text, err := FormatAllowedSigners(signers)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		back, err := ParseAllowedSigners(text)
		if err != nil || !slices.EqualFunc(back, signers, AllowedSigner.equal) {
			t.Errorf("%+v, read again %+v %v", signers, back, err)
		}
	})
}

// TestGrammars: the loops take what the expressions in their comments take.
func TestGrammars(t *testing.T) {
	var words []string
	for _, n := range []int{0, 1, 2, 63, 64, 65, 127, 128, 129, 255, 256, 257} {
		words = append(words, strings.Repeat("a", n))
	}
	for c := range 256 {
		for _, s := range []string{"%", "%b", "a%", "a%b", "a%%b"} {
			words = append(words, strings.ReplaceAll(s, "%", string([]byte{byte(c)})))
		}
	}
	for expression, takes := range map[string]func(string) bool{
		`^[A-Za-z0-9_.@+:/=\[\]-]{1,128}$`: isPrincipal, `^[A-Za-z0-9_.@-]{1,64}$`: isNamespace, `^[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?$`: isComment,
	} {
		grammar := regexp.MustCompile(expression)
		for _, w := range words {
			if takes(w) != grammar.MatchString(w) {
				t.Errorf("%s takes %q: %v", expression, w, takes(w))
			}
		}
	}
}
