package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/sign"
)

// keyed is a repository whose release key changed between two releases: prod still
// has the old key's, dev the new key's.
type keyed struct {
	bare      string
	old, new  string // private keys
	cut       string // the ledger's head when the key changed
	published string
}

// playKeyed plays it. change makes the statement which the new key's rung carries
// in, from a clone in the world's directory.
func playKeyed(t *testing.T, change func(p *play, k keyed)) keyed {
	t.Helper()
	p := newPlay(t, "")
	p.onboard()
	p.climb("1.1.0")
	p.do("signing-key", "old")
	p.keys("init", ".")
	at := func(name string) string { return filepath.Join(p.w.dir, name) }
	git(t, p.w.dir, "clone", "-q", p.w.front.URL+"/"+gitops+".git", "clone")
	p.keys("rotate", "clone", "--root-key", "old", "--root", "rung-root.pub", "-o", "trust.jsonl")
	p.do("setting", "RUNG_TRUST_FILE=trust.jsonl")
	p.do("restart")
	p.until("recorded", "^rotate to trust list 1")
	p.settle()
	git(t, at("clone"), "fetch", "-q")
	k := keyed{old: at("old"), new: at("rung-release"), cut: revision(t, at("clone"), "origin/rung/ledger")}
	change(p, k)
	p.do("say", "next.jsonl", "trust.jsonl")
	p.do("setting", "RUNG_SIGNING_KEY=", "RUNG_SIGNING_KEY_FILE=rung-release", "RUNG_ROOT_KEYS=@old.pub")
	p.do("restart")
	p.until("recorded", "^rotate to trust list 2")
	p.propose("1.2.0")
	p.settle()
	for _, name := range []string{"old.pub", "rung-release.pub", "rung-root.pub"} {
		key, err := sign.LoadPublicKeyFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		k.published += key.Fingerprint() + "\n"
	}
	k.bare = p.mirror()
	return k
}

// TestTheWayToCheckByHandWhenKeysChange: the blocks of docs/provenance.md hold where
// rung verify holds, for a release by the key of before and for one by the key of
// now, and fail where it finds something: position beats date.
func TestTheWayToCheckByHandWhenKeysChange(t *testing.T) {
	t.Parallel()
	script := provenanceBlocks(t)
	for name, c := range map[string]struct {
		change func(p *play, k keyed)
		twins  map[string]keyTwin
	}{
		"replaced": {func(p *play, _ keyed) {
			p.keys("rotate", "clone", "--root-key", "rung-root", "--release", "rung-release.pub", "--overlap", "0s", "-o", "next.jsonl")
		}, map[string]keyTwin{
			"the old key signs after its end":           {says(time.Hour), "KEY_NOT_VALID", "is not signed by a key of its time"},
			"the old key signs with a date in its time": {says(-24 * time.Hour), "CLOCK_REGRESSION", "is dated before the commit that it follows"},
		}},
		"revoked": {func(p *play, k keyed) {
			p.keys("revoke", fingerprintOf(p.T, k.old), "clone", "--after", k.cut, "--root-key", "rung-root", "--release", "rung-release.pub", "--reason", "stolen", "-o", "next.jsonl")
		}, map[string]keyTwin{
			"the revoked key signs":                            {says(time.Hour), "KEY_REVOKED", "is not signed by a key of its time"},
			"the revoked key signs with a date before the cut": {says(-24 * time.Hour), "KEY_REVOKED", "is signed by a key that was revoked before it"},
			"the revoked key signed before anybody knew":       {saidAtTheCut, "KEY_REVOKED", "is signed by a key that was revoked before it"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := playKeyed(t, c.change)
			for environment, want := range map[string]string{"prod": "land 1.1.0", "dev": "land 1.2.0"} {
				t.Run("holds in "+environment, func(t *testing.T) {
					if code, out, said := rung(t, "verify", k.bare); code != 0 {
						t.Fatalf("rung verify: exit %d\n%s%s", code, out, said)
					}
					chosen := strings.Replace(script, "environment=prod", "environment="+environment, 1)
					out, err := runProvenance(t, k.bare, chosen, k.published)
					if err != nil || !strings.Contains(out, want) || !strings.Contains(out, "none unaccounted for") {
						t.Errorf("%v\n%s", err, out)
					}
				})
			}
			for name, twin := range c.twins {
				t.Run(name, func(t *testing.T) {
					bare := filepath.Join(t.TempDir(), "twin.git")
					git(t, ".", "clone", "-q", "--mirror", k.bare, bare)
					twin.tamper(t, k, bare)
					if code, out, said := rung(t, "verify", bare); code != 1 || !strings.Contains(out, twin.code) {
						t.Errorf("rung verify: exit %d, want %s\n%s%s", code, twin.code, out, said)
					}
					out, err := runProvenance(t, bare, script, k.published)
					if err == nil || !strings.Contains(out, twin.want) {
						t.Errorf("by hand: %v, want %q\n%s", err, twin.want, out)
					}
				})
			}
		})
	}
}

// keyTwin is a way to tamper, with what rung verify and the reader say of it.
type keyTwin struct {
	tamper     func(t *testing.T, k keyed, bare string)
	code, want string
}

// says lets the old key sign a ledger commit on top, so much after the head's date.
func says(after time.Duration) func(*testing.T, keyed, string) {
	return func(t *testing.T, k keyed, bare string) {
		t.Helper()
		head := revision(t, bare, "rung/ledger")
		git(t, bare, "update-ref", "refs/heads/rung/ledger", signedBy(t, bare, k.old, head, head, sayNothing(t, bare, head), after))
	}
}

// saidAtTheCut puts a commit by the old key behind the cut, below the statement that
// revokes it; the new key signs the rest anew.
func saidAtTheCut(t *testing.T, k keyed, bare string) {
	t.Helper()
	on := signedBy(t, bare, k.old, k.cut, k.cut, sayNothing(t, bare, k.cut), 0)
	for _, commit := range strings.Fields(git(t, bare, "rev-list", "--reverse", k.cut+"..rung/ledger")) {
		_, message, _ := strings.Cut(git(t, bare, "cat-file", "commit", commit), "\n\n")
		on = signedBy(t, bare, k.new, commit, on, message, 0)
	}
	git(t, bare, "update-ref", "refs/heads/rung/ledger", on)
}

// sayNothing is the message of a ledger commit that brings no record.
func sayNothing(t *testing.T, bare, commit string) string {
	t.Helper()
	trailers, err := ledger.ParseTrailers(git(t, bare, "log", "-1", "--format=%B", commit))
	if err != nil {
		t.Fatal(err)
	}
	return "say nothing\n\n" + ledger.Trailers{Base: trailers.Base}.String()
}

// signedBy makes a ledger commit anew, by stock git: signed by a key, on another
// one, so much after its date.
func signedBy(t *testing.T, bare, key, commit, on, message string, after time.Duration) string {
	t.Helper()
	seconds, err := strconv.ParseInt(strings.TrimSpace(git(t, bare, "log", "-1", "--format=%ct", commit)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	date := strconv.FormatInt(seconds+int64(after.Seconds()), 10) + " +0000"
	cmd := exec.Command("git", "-C", bare, "-c", "gpg.format=ssh", "-c", "user.signingkey="+key, // #nosec G204 -- fixed by the tests
		"commit-tree", "-S", commit+"^{tree}", "-p", on, "-F", "-")
	cmd.Env = append(environ(t), "GIT_AUTHOR_NAME=rung[bot]", "GIT_AUTHOR_EMAIL=rung@example.com", "GIT_COMMITTER_NAME=rung[bot]", "GIT_COMMITTER_EMAIL=rung@example.com",
		"GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
	var complaint bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(message), &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git commit-tree: %v\n%s", err, complaint.String())
	}
	return strings.TrimSpace(string(out))
}

func revision(t *testing.T, dir, name string) string {
	t.Helper()
	return strings.TrimSpace(git(t, dir, "rev-parse", name))
}

func fingerprintOf(t *testing.T, key string) string {
	t.Helper()
	k, err := sign.LoadPublicKeyFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return k.Fingerprint()
}
