package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/sign"
)

const provenanceConfig = `version: 1
mode: merge
artifacts:
  checkout: {image: registry.test/acme/checkout}
environments:
  dev: {}
  prod: {after: [dev], approvals: {required: 1}}
policies:
  prod: [policies/digest.yaml]
`

// TestTheWayToCheckByHand runs the blocks of docs/provenance.md, as they stand
// there and in one session, by bash in a clone of a repository with promotions, a
// rollback, a change by hand and one of the configuration: stock git follows every
// release back to its evidence. In twins that somebody tampered with they fail.
func TestTheWayToCheckByHand(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	bare, fingerprint := released(ctx, t)
	script := provenanceBlocks(t)
	t.Run("holds", func(t *testing.T) {
		out, err := runProvenance(t, bare, script, fingerprint)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		m := regexp.MustCompile(`(?m)^([0-9]+) releases, ([0-9]+) changes by hand, none unaccounted for$`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("nothing is counted:\n%s", out)
		}
		// Three versions in both, and prod's way back; and somebody's 1.2.5.
		if m[1] != "7" || m[2] != "1" {
			t.Errorf("%s releases and %s changes by hand are found, want 7 and 1:\n%s", m[1], m[2], out)
		}
		for _, want := range []string{"land 1.3.0 sha256:", "policies/digest.yaml is the policy that was judged", `"login":"bob"`, "4 releases of checkout in prod stand behind it, the first adopt 1.0.0"} {
			if !strings.Contains(out, want) {
				t.Errorf("it does not say %q:\n%s", want, out)
			}
		}
	})
	t.Run("holds in a clone of kept evidence", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "evidence.tar")
		if code, out, said := rung(t, "audit", "--bundle", file, bare); code != 0 {
			t.Fatalf("exit %d\n%s%s", code, out, said)
		}
		kept := filepath.Join(t.TempDir(), "repository.bundle")
		if err := os.WriteFile(kept, entryOf(t, readFile(t, file), "repository.bundle"), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := runProvenance(t, kept, script, fingerprint); err != nil || !strings.Contains(out, "7 releases, 1 changes by hand, none unaccounted for") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	for name, c := range map[string]struct {
		tamper func(t *testing.T, bare string)
		print  string
		want   string // where it ends
	}{
		"another key was published":     {func(*testing.T, string) {}, "SHA256:" + strings.Repeat("A", 43), `does not hold: test ! -s "$work/strangers"`},
		"a record's message is changed": {func(t *testing.T, bare string) { forge(t, bare, strings.Replace(tip(t, bare), "settle", "Settle", 1)) }, fingerprint, "is not signed by a key of its time"},
		"a record holds another tree": {func(t *testing.T, bare string) {
			other := strings.TrimSpace(git(t, bare, "rev-parse", "rung/ledger~2^{tree}"))
			forge(t, bare, regexp.MustCompile(`^tree [0-9a-f]{40}`).ReplaceAllString(tip(t, bare), "tree "+other))
		}, fingerprint, "is not signed by a key of its time"},
		"an unsigned record is added": {func(t *testing.T, bare string) {
			tree, head := strings.TrimSpace(git(t, bare, "rev-parse", "rung/ledger^{tree}")), strings.TrimSpace(git(t, bare, "rev-parse", "rung/ledger"))
			forge(t, bare, "tree "+tree+"\nparent "+head+"\nauthor r <r@r> 1700000000 +0000\ncommitter r <r@r> 1700000000 +0000\n\nland checkout 6.6.6 in prod\n")
		}, fingerprint, "is not signed by a key of its time"},
		"the ledger's end is cut": {func(t *testing.T, bare string) {
			git(t, bare, "update-ref", "refs/heads/rung/ledger", strings.TrimSpace(git(t, bare, "rev-parse", "rung/ledger~3")))
		}, fingerprint, "does not hold: git grep -n -F"},
		"a version is slipped in":            {func(t *testing.T, bare string) { slipIn(t, bare, "main") }, fingerprint, `does not hold: test ! -s "$work/unaccounted"`},
		"a version is slipped in long ago":   {func(t *testing.T, bare string) { slipIn(t, bare, "main~2") }, fingerprint, `does not hold: git merge-base --is-ancestor "$landed" "$base"`},
		"git is told to show something else": {func(t *testing.T, bare string) { git(t, bare, "replace", "rung/ledger", "rung/ledger~1") }, fingerprint, `does not hold: test -z "$(git for-each-ref refs/replace)"`},
	} {
		t.Run(name, func(t *testing.T) {
			twin := filepath.Join(t.TempDir(), "twin.git")
			git(t, ".", "clone", "-q", "--mirror", bare, twin)
			c.tamper(t, twin)
			if out, err := runProvenance(t, twin, script, c.print); err == nil || !strings.Contains(out, c.want) || strings.Contains(out, "none unaccounted for") {
				t.Errorf("the tampered twin is answered with %v, want %s:\n%s", err, c.want, out)
			}
		})
	}
}

func tip(t *testing.T, bare string) string {
	t.Helper()
	return git(t, bare, "cat-file", "commit", "rung/ledger")
}

// slipIn changes a version in prod in a commit behind another, and makes the rest
// of main anew on it.
func slipIn(t *testing.T, bare, behind string) {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, ".", "clone", "-q", bare, clone)
	rest := strings.Fields(git(t, clone, "rev-list", "--reverse", "--first-parent", strings.Replace(behind, "main", "origin/main", 1)+"..origin/main"))
	git(t, clone, "reset", "-q", "--hard", strings.Replace(behind, "main", "origin/main", 1))
	file := filepath.Join(clone, "environments", "prod", "slipped.yaml")
	if err := os.WriteFile(file, []byte("image: evil\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, clone, "add", ".")
	git(t, clone, "-c", "user.name=eve", "-c", "user.email=eve@example.com", "commit", "-q", "-m", "tidy up")
	for _, c := range rest {
		args := []string{"-c", "user.name=eve", "-c", "user.email=eve@example.com", "cherry-pick", "--allow-empty", "-m", "1", c}
		if len(strings.Fields(git(t, clone, "rev-list", "--parents", "-1", c))) == 2 {
			args = append(args[:len(args)-3], c)
		}
		git(t, clone, args...)
	}
	git(t, clone, "push", "-q", "-f", bare, "HEAD:refs/heads/main")
}

// provenanceBlocks are the document's blocks for bash, in their order. Other blocks
// are for people, and are named.
func provenanceBlocks(t *testing.T) string {
	t.Helper()
	text := string(readFile(t, filepath.Join("..", "docs", "provenance.md")))
	var script strings.Builder
	blocks := regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$").FindAllStringSubmatch(text, -1)
	for _, b := range blocks {
		switch {
		case b[1] == "bash":
			script.WriteString(b[2])
		case strings.HasPrefix(b[2], "rung audit --bundle"): // TestEvidenceInOneFile
		default:
			t.Errorf("nothing runs this block:\n%s", b[2])
		}
	}
	if len(blocks) < 8 {
		t.Fatalf("only %d blocks are found", len(blocks))
	}
	return script.String()
}

// runProvenance runs the script in a fresh clone, beside the file that a reader
// makes.
func runProvenance(t *testing.T, bare, script, fingerprint string) (string, error) {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, ".", "clone", "-q", "-c", "remote.origin.fetch=+refs/replace/*:refs/replace/*", bare, clone)
	if err := os.WriteFile(filepath.Join(clone, "published"), []byte(fingerprint+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", script) // #nosec G204 -- what the test is about
	cmd.Dir, cmd.Env = clone, append(environ(t), "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// released plays some releases, and returns a bare mirror of the repository and
// the fingerprint of rung's key.
func released(ctx context.Context, t *testing.T) (bare, fingerprint string) {
	t.Helper()
	dir := t.TempDir()
	policy := readFile(t, filepath.Join("..", "policies", "digest.yaml"))
	for name, text := range map[string]string{"rung.yaml": provenanceConfig, "policies/digest.yaml": string(policy)} {
		path := filepath.Join(dir, "repo", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := startedWorld(ctx, t, dir, false)
	p := &play{t, ctx, w}
	p.onboard()
	p.climb("1.1.0")
	p.climb("1.2.0")
	p.do("comment", "bob", p.newest("prod"), "/rollback")
	p.until("live", "prod", "checkout", "1.1.0")
	p.until("settled", "prod", "checkout", "good")
	p.settle()
	p.do("edit", "dave", "dev", "checkout", "1.2.5")
	p.until("settled", "dev", "checkout", "good")
	p.settle()
	config := filepath.Join(dir, "more", "environments", "prod", "limits.yaml")
	if err := os.MkdirAll(filepath.Dir(config), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte("memory: 1Gi\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.do("push", "dave", "more")
	p.climb("1.3.0")
	for _, pair := range w.env {
		if key, ok := strings.CutPrefix(pair, "RUNG_SIGNING_KEY="); ok {
			k, err := sign.LoadKey([]byte(key))
			if err != nil {
				t.Fatal(err)
			}
			fingerprint = k.Public().Fingerprint()
		}
	}
	bare = filepath.Join(t.TempDir(), "environments.git")
	git(t, ".", "clone", "-q", "--mirror", w.front.URL+"/"+gitops+".git", bare)
	return bare, fingerprint
}
