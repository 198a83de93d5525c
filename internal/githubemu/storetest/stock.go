package storetest

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// stock is a directory in which stock git runs, and a server for it.
type stock struct {
	w        *world
	dir, url string
}

func (w *world) stock() *stock {
	w.Helper()
	server := httptest.NewServer(w.repo.Handler())
	w.Cleanup(server.Close)
	return &stock{w: w, dir: w.TempDir(), url: server.URL}
}

// git runs git and returns what it printed; a failure ends the test.
func (s *stock) git(args ...string) string {
	s.w.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.w.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (s *stock) try(args ...string) (string, error) {
	cmd := exec.Command("git", args...) // #nosec G204 -- a test's own words
	cmd.Dir = s.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@acme.example", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@acme.example",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *stock) write(path, text string) {
	s.w.Helper()
	path = filepath.Join(s.dir, path)
	s.w.must(os.MkdirAll(filepath.Dir(path), 0o750))
	s.w.must(os.WriteFile(path, []byte(text), 0o600))
}

func (s *stock) read(path string) string {
	s.w.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, path)) // #nosec G304 -- in the test's own directory
	s.w.must(err)
	return string(data)
}

var stockTests = map[string]func(*world){
	"push, clone, fetch": func(w *world) {
		s := w.stock()
		s.git("init", "-q", "-b", "main", "one")
		s.write("one/a", "1\n")
		s.write("one/d/b", strings.Repeat("line\n", 100))
		s.git("-C", "one", "add", ".")
		s.git("-C", "one", "commit", "-qm", "first")
		s.git("-C", "one", "tag", "-am", "one", "v1")
		s.git("-C", "one", "push", "-q", s.url, "main", "v1")
		s.git("clone", "-q", s.url, "two")
		w.equal("clone", s.read("two/a"), "1\n")
		w.equal("tag", s.git("-C", "two", "describe"), "v1")

		s.write("one/d/b", strings.Repeat("line\n", 100)+"end\n")
		s.git("-C", "one", "commit", "-qam", "second")
		s.git("-C", "one", "push", "-q", "--atomic", s.url, "main", "main:refs/heads/x")
		s.git("-C", "two", "pull", "-q", "--ff-only")
		w.equal("heads agree", s.git("-C", "two", "rev-parse", "HEAD"), s.git("-C", "one", "rev-parse", "main"))
		w.equal("the store agrees", w.refs()["refs/heads/main"], s.git("-C", "one", "rev-parse", "main"))
		s.git("-C", "two", "fsck", "--strict")
		w.equal("fetched branch", s.git("-C", "two", "rev-parse", "origin/x"), w.refs()["refs/heads/x"])

		s.git("-C", "one", "push", "-q", s.url, ":x")
		s.git("-C", "two", "fetch", "-q", "--prune")
		if out, err := s.try("-C", "two", "rev-parse", "--verify", "-q", "origin/x"); err == nil {
			w.Errorf("a deleted branch is still there: %s", out)
		}
	},
	"shallow and partial": func(w *world) {
		first := w.commit("first", many())
		second := w.commit("second", many().and(files{"README": "2\n"}), first)
		w.set("refs/heads/main", second)
		s := w.stock()
		s.git("clone", "-q", "--depth", "1", "--filter=blob:none", s.url, "c")
		w.equal("README", s.read("c/README"), "2\n")
		w.equal("depth", s.git("-C", "c", "rev-list", "--count", "HEAD"), "1")
		third := w.commit("third", many().and(files{"README": "3\n", "new/file": "x\n"}), second)
		w.set("refs/heads/main", third)
		s.git("-C", "c", "pull", "-q", "--ff-only")
		w.equal("README", s.read("c/README"), "3\n")
		w.equal("depth", s.git("-C", "c", "rev-list", "--count", "HEAD"), "2")
		s.git("-C", "c", "fetch", "-q", "--unshallow")
		w.equal("depth", s.git("-C", "c", "rev-list", "--count", "HEAD"), "3")
		w.equal("old file, fetched when needed", s.git("-C", "c", "show", "HEAD~2:README"), "hello")
		s.write("c/README", "4\n")
		s.git("-C", "c", "commit", "-qam", "fourth")
		s.git("-C", "c", "push", "-q", "origin", "main")
		w.equal("pushed", w.refs()["refs/heads/main"], s.git("-C", "c", "rev-parse", "HEAD"))
	},
	"push from a shallow clone": func(w *world) {
		first := w.commit("first", many())
		second := w.commit("second", many().and(files{"README": "2\n"}), first)
		w.set("refs/heads/main", second)
		s := w.stock()
		s.git("clone", "-q", "--depth", "1", s.url, "c")
		s.write("c/README", "3\n")
		s.git("-C", "c", "commit", "-qam", "third")
		s.git("-C", "c", "push", "-q", "origin", "main")
		w.equal("pushed", w.refs()["refs/heads/main"], s.git("-C", "c", "rev-parse", "HEAD"))
	},
	"rejected": func(w *world) {
		first := w.commit("first", many())
		w.set("refs/heads/main", first)
		s := w.stock()
		s.git("clone", "-q", s.url, "c")
		w.set("refs/heads/main", w.commit("meanwhile", many(), first))
		s.write("c/README", "mine\n")
		s.git("-C", "c", "commit", "-qam", "mine")
		if out, err := s.try("-C", "c", "push", "origin", "main"); err == nil || !strings.Contains(out, "rejected") {
			w.Errorf("a push behind the branch: %v\n%s", err, out)
		}
		if out, err := s.try("-C", "c", "push", "origin", "--delete", "main"); err == nil || !strings.Contains(out, "deletion of the current branch prohibited") {
			w.Errorf("deleting the default branch: %v\n%s", err, out)
		}
		s.git("-C", "c", "push", "-q", "--force", "origin", "main")
		w.equal("forced", w.refs()["refs/heads/main"], s.git("-C", "c", "rev-parse", "HEAD"))
	},
	"empty": func(w *world) {
		s := w.stock()
		s.git("clone", "-q", s.url, "c")
		w.equal("branch", s.git("-C", "c", "symbolic-ref", "HEAD"), "refs/heads/main")
	},
	"without filter": func(w *world) {
		w = w.with(gitstore.Options{NoFilter: true})
		w.set("refs/heads/main", w.commit("first", many()))
		s := w.stock()
		s.git("clone", "-q", "--depth", "1", "--filter=blob:none", s.url, "c") // git warns and takes everything
		w.equal("README", s.read("c/README"), "hello\n")
	},
	"many objects": func(w *world) {
		s := w.stock()
		s.git("init", "-q", "-b", "main", "one")
		for i := range 150 {
			s.write("one/f"+strings.Repeat("x", i), "text "+strings.Repeat("y", i)+"\n")
		}
		s.git("-C", "one", "add", ".")
		s.git("-C", "one", "commit", "-qm", "first")
		s.git("-C", "one", "push", "-q", s.url, "main")
		id := s.git("-C", "one", "rev-parse", "main")
		w.equal("files, read from a pack", len(w.listing(w.treeOf(id))), 150)
		w.equal("no longer absent", w.write("blob", "text y\n"), s.git("-C", "one", "rev-parse", "main:fx"))
	},
}
