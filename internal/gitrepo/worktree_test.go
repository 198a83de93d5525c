package gitrepo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOpenWorktree reads what stock git made: a checkout, and a linked one.
func TestOpenWorktree(t *testing.T) {
	dir := t.TempDir()
	git := func(at string, args ...string) {
		t.Helper()
		if out, err := command(at, cleanEnv(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
	}
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git(dir, "init", "-q")
	if w, err := OpenWorktree(dir); err != nil || len(w.Tracked) != 0 || w.Origin != "" {
		t.Fatalf("new: %+v %v", w, err)
	}
	git(dir, "remote", "add", "origin", "git@github.com:acme/environments.git")
	write("a/b.yaml", "b")
	write("run.sh", "x")
	write("ignored.yaml", "i")
	write(".gitignore", "ignored.yaml\n")
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	git(dir, "add", ".")
	git(dir, "update-index", "--chmod=+x", "run.sh")
	write("untracked.yaml", "u")
	check := func(at string) {
		t.Helper()
		w, err := OpenWorktree(at)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range w.Tracked {
			got = append(got, f.Mode.String()+" "+f.Path)
		}
		if want := "100644 .gitignore,100644 a/b.yaml,120000 link,100755 run.sh"; strings.Join(got, ",") != want || w.Origin != "git@github.com:acme/environments.git" {
			t.Errorf("%s: %s %s", at, strings.Join(got, ","), w.Origin)
		}
	}
	check(dir)
	git(dir, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")
	for _, version := range []string{"2", "4"} {
		git(dir, "update-index", "--index-version", version)
		check(dir)
	}
	linked := filepath.Join(t.TempDir(), "linked")
	git(dir, "worktree", "add", "-q", linked)
	check(linked)

	write(".git/index", "DIRC nonsense")
	if w, err := OpenWorktree(dir); !errors.Is(err, ErrIndex) || w.Origin == "" {
		t.Errorf("a broken index: %+v %v", w, err)
	}
}

func TestNoWorktree(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "repo", "a", "b")
	if err := os.MkdirAll(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q", filepath.Join(dir, "repo")}, {"init", "-q", "--bare", filepath.Join(dir, "bare")}} {
		if out, err := command(dir, cleanEnv(), "git", args...).CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
	}
	for name, text := range map[string]string{"file": "x", "odd/.git": "what?"} {
		path := filepath.Join(dir, name)
		_ = os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for at, want := range map[string]string{
		filepath.Join(dir, "nowhere"): "no such file",
		filepath.Join(dir, "file"):    "",
		inside:                        "lies in the checkout " + filepath.Join(dir, "repo"),
		filepath.Join(dir, "bare"):    "a bare repository",
		filepath.Join(dir, "odd"):     "names no directory",
		dir:                           "it is not a git repository",
	} {
		if _, err := OpenWorktree(at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// FuzzIndex: no index makes reading a checkout panic.
func FuzzIndex(f *testing.F) {
	f.Add([]byte("DIRC\x00\x00\x00\x02\x00\x00\x00\x01"))
	f.Add([]byte("DIRC\x00\x00\x00\x04\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "index")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tracked(path); err != nil && !errors.Is(err, ErrIndex) {
			t.Fatal(err)
		}
	})
}
