package gitdisk_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/githubemu/gitdisk"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/storetest"
)

func open(t *testing.T, options gitstore.Options) gitstore.Store {
	t.Helper()
	s, err := gitdisk.New(t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) { storetest.Run(t, open) }

func TestGitIsMissingOrTooOld(t *testing.T) {
	for name, test := range map[string]struct{ script, want string }{
		"missing":     {"", "install git 2.38 or newer"},
		"old":         {"echo git version 2.30.2", "2.30, too old: install git 2.38 or newer"},
		"broken":      {"exit 3", "does not run: install git"},
		"no version":  {"echo hello", `says "hello\n" for its version`},
		"just enough": {"echo git version 2.38.0", ""},
		"vendor's":    {"echo 'git version 2.39.5 (Apple Git-154)'", ""},
	} {
		bin := t.TempDir()
		if test.script != "" {
			if err := os.WriteFile(filepath.Join(bin, "git"), []byte("#!/bin/sh\n"+test.script+"\n"), 0o700); err != nil { // #nosec G306 -- a script has to run
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", bin)
		_, err := gitdisk.New(t.TempDir(), gitstore.Options{})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
}

// TestDirectoryIsTheState opens a second store on a directory in which a person
// has been at work with their own git.
func TestDirectoryIsTheState(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	first, err := gitdisk.New(dir, gitstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := first.Create("acme", "shop", "trunk")
	if err != nil {
		t.Fatal(err)
	}
	raw := "tree " + gitstore.EmptyTree + "\nauthor A <a@x> 1700000000 +0000\ncommitter A <a@x> 1700000000 +0000\n\none\n"
	id, err := repo.WriteObject(ctx, "commit", []byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.UpdateRefs(ctx, []gitstore.RefUpdate{
		{Ref: "refs/heads/trunk", Old: gitstore.Zero, New: id}, {Ref: "refs/heads/a/b", Old: gitstore.Zero, New: id}, {Ref: "refs/heads/gone", Old: gitstore.Zero, New: id},
	}); err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(dir, "acme", "shop.git")
	if out := stock(t, bare, "symbolic-ref", "HEAD"); out != "refs/heads/trunk" {
		t.Errorf("HEAD is %q", out)
	}
	stock(t, bare, "gc", "-q", "--prune=now")
	if _, err := os.Stat(filepath.Join(bare, "refs", "heads", "trunk")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("git did not pack the refs: %v", err)
	}

	second, err := gitdisk.New(dir, gitstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := second.Open("acme", "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := again.UpdateRefs(ctx, []gitstore.RefUpdate{{Ref: "refs/heads/gone", Old: id, New: gitstore.Zero}}); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]gitstore.Repository{"before": repo, "after": again} {
		c, err := r.ReadCommit(ctx, id)
		if err != nil || c.Message != "one\n" {
			t.Errorf("%s: commit %+v, error %v", name, c, err)
		}
		refs, err := r.Refs(ctx, "refs/heads/")
		if err != nil || len(refs) != 2 || refs["refs/heads/trunk"] != id || refs["refs/heads/a/b"] != id {
			t.Errorf("%s: refs %v, error %v", name, refs, err)
		}
	}
	stock(t, bare, "repack", "-adq")
	stock(t, bare, "fsck", "--strict")
	if _, err := repo.ReadCommit(ctx, id); err != nil {
		t.Errorf("after a repack: %v", err)
	}
}

func stock(t *testing.T, bare string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"--git-dir=" + bare}, args...)...) // #nosec G204 -- a test's own words
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func BenchmarkObjects(b *testing.B) {
	s, err := gitdisk.New(b.TempDir(), gitstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	repo, err := s.Create("acme", "shop", "main")
	if err != nil {
		b.Fatal(err)
	}
	data := []byte("text number 0000000000\n")
	id := ""
	b.Run("write", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			for at, n := len(data)-2, i; n > 0; at, n = at-1, n/10 {
				data[at] = byte('0' + n%10)
			}
			if id, err = repo.WriteObject(b.Context(), "blob", data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := repo.ReadObject(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
	})
}
