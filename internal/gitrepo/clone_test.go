package gitrepo_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// stock runs stock git in a directory.
func stock(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes a file and commits it.
func commit(t *testing.T, dir, path, text string) promotion.Hash {
	t.Helper()
	full := filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stock(t, dir, "add", "-A")
	stock(t, dir, "commit", "-qm", "Change "+path)
	return promotion.Hash(stock(t, dir, "rev-parse", "HEAD"))
}

func TestACloneIsReadAsAServerIs(t *testing.T) {
	origin, dir := t.TempDir(), filepath.Join(t.TempDir(), "clone")
	stock(t, origin, "init", "-q", "-b", "main")
	first := commit(t, origin, "a/one.yaml", "1\n")
	second := commit(t, origin, "a/two.yaml", "2\n")
	stock(t, origin, "checkout", "-q", "-b", "rung/p/prod/app", string(first))
	side := commit(t, origin, "a/one.yaml", "3\n")
	stock(t, origin, "checkout", "-q", "main")
	stock(t, origin, "clone", "-q", origin, dir)
	for name, prepare := range map[string]func(){
		"loose":  func() {},
		"packed": func() { stock(t, dir, "gc", "-q"); stock(t, dir, "pack-refs", "--all") },
	} {
		t.Run(name, func(t *testing.T) {
			prepare()
			below := filepath.Join(dir, "a")
			c, err := gitrepo.OpenClone(below)
			if err != nil {
				t.Fatal(err)
			}
			if c.Head != "refs/heads/main" || c.RemoteHead != "refs/heads/main" || c.Origin != origin {
				t.Errorf("head %q, of the remote %q, origin %q", c.Head, c.RemoteHead, c.Origin)
			}
			if h, there := c.Branch("refs/heads/rung/p/prod/app", true); !there || h != side {
				t.Errorf("a branch of origin is at %s, %t", h, there)
			}
			if _, there := c.Branch("refs/heads/nothing", true); there {
				t.Error("a branch that is not there is")
			}
			r := c.Remote(map[string]promotion.Hash{"refs/heads/main": second, "refs/heads/rung/p/prod/app": side}, gitrepo.Options{})
			refs, err := r.Refs(t.Context(), "refs/heads/rung/p/")
			if err != nil || len(refs) != 1 || refs["refs/heads/rung/p/prod/app"] != side {
				t.Errorf("refs %v, %v", refs, err)
			}
			if err := r.Fetch(t.Context(), second); err != nil {
				t.Fatal(err)
			}
			head, err := r.Commit(t.Context(), second)
			if err != nil {
				t.Fatal(err)
			}
			files, err := r.ReadFiles(t.Context(), head.Tree, []string{"a/two.yaml", "a/none.yaml"})
			if err != nil || len(files) != 1 || string(files["a/two.yaml"]) != "2\n" {
				t.Errorf("files %q, %v", files, err)
			}
			for _, pair := range []struct {
				from, to promotion.Hash
				want     gitrepo.Relation
				line     int
			}{{first, second, gitrepo.Ahead, 1}, {second, second, gitrepo.Same, 0}, {side, second, gitrepo.Diverged, 0}, {second, first, gitrepo.Diverged, 0}} {
				line, is, err := r.CatchUp(t.Context(), pair.from, pair.to)
				if err != nil || is != pair.want || len(line) != pair.line {
					t.Errorf("from %s to %s: %v, %d commits, %v", pair.from.Short(), pair.to.Short(), is, len(line), err)
				}
			}
			if at, found, err := r.MergeBase(t.Context(), side, second); err != nil || !found || at != first {
				t.Errorf("merge base %s, %t, %v", at, found, err)
			}
			if _, err := r.Commit(t.Context(), "1111111111111111111111111111111111111111"); !errors.Is(err, gitrepo.ErrOffline) {
				t.Errorf("what is not there: %v", err)
			}
			if _, err := r.Push(t.Context(), []gitrepo.RefUpdate{{Ref: "refs/heads/x", New: side}}, gitrepo.PushOptions{}); !errors.Is(err, gitrepo.ErrOffline) {
				t.Errorf("a push: %v", err)
			}
		})
	}
}

// TestADamagedCloneIsNotBelieved: an object with other bytes than its name says is
// no object.
func TestADamagedCloneIsNotBelieved(t *testing.T) {
	dir := t.TempDir()
	stock(t, dir, "init", "-q", "-b", "main")
	head := commit(t, dir, "a.yaml", "1\n")
	blob := stock(t, dir, "rev-parse", "HEAD:a.yaml")
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	forged := stock(t, dir, "hash-object", "-w", other)
	object := func(h string) string { return filepath.Join(dir, ".git", "objects", h[:2], h[2:]) }
	if err := os.Chmod(object(blob), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, bytes := range map[string]func() []byte{
		"another's": func() []byte { data, _ := os.ReadFile(object(forged)); return data },
		"nothing":   func() []byte { return nil },
		"noise":     func() []byte { return []byte(strings.Repeat("\x78\x9c", 50)) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(object(blob), bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := gitrepo.OpenClone(dir)
			if err != nil {
				t.Fatal(err)
			}
			r := c.Remote(nil, gitrepo.Options{})
			commit, err := r.Commit(t.Context(), head)
			if err != nil {
				t.Fatal(err)
			}
			if files, err := r.ReadFiles(t.Context(), commit.Tree, []string{"a.yaml"}); !errors.Is(err, gitrepo.ErrOffline) {
				t.Errorf("read %q, %v", files, err)
			}
		})
	}
}

func TestWhatIsNoClone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{t.TempDir(), file, filepath.Join(file, "nowhere")} {
		if _, err := gitrepo.OpenClone(path); err == nil || !strings.Contains(err.Error(), "name a local clone") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
