package remote

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/audit"
)

// git runs stock git.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_COMMITTER_NAME=x", "GIT_COMMITTER_EMAIL=x@example.com", "GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// served is a directory of repositories behind stock git's own HTTP backend.
func served(t *testing.T, root string, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	stock := http.Handler(&cgi.Handler{
		Path: filepath.Join(git(t, root, "--exec-path"), "git-http-backend"), Dir: root,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	})
	if wrap != nil {
		stock = wrap(stock)
	}
	// The protocol's version is a header that the backend wants in its
	// environment under this name.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := stock.(*cgi.Handler); ok {
			own := *h
			own.Env = append(own.Env, "GIT_PROTOCOL="+r.Header.Get("Git-Protocol"))
			own.ServeHTTP(w, r)
			return
		}
		stock.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// repository makes deploy.git with a default branch, a ledger and a side branch.
func repository(t *testing.T) (root, dir string) {
	t.Helper()
	root = t.TempDir()
	dir = filepath.Join(root, "deploy.git")
	git(t, root, "init", "-q", "--bare", "-b", "trunk", dir)
	tree := git(t, dir, "mktree")
	for n := range 3 {
		for _, branch := range []string{"trunk", "rung/ledger", "side"} {
			args := []string{"commit-tree", tree, "-m", fmt.Sprint(branch, n)}
			if n > 0 {
				args = append(args, "-p", branch)
			}
			git(t, dir, "update-ref", "refs/heads/"+branch, git(t, dir, args...))
		}
	}
	return root, dir
}

// TestFetch: the ledger and the base branch come whole, each at its own name, and
// nothing else does; with Close all is gone.
func TestFetch(t *testing.T) {
	root, dir := repository(t)
	url := served(t, root, nil) + "/deploy.git"
	for base, want := range map[string][]string{
		"":     {"refs/heads/rung/ledger", "refs/heads/trunk"},
		"side": {"refs/heads/rung/ledger", "refs/heads/side"},
		"gone": {"refs/heads/rung/ledger"},
	} {
		c, err := Fetch(t.Context(), url, base, nil)
		if err != nil {
			t.Fatal(base, err)
		}
		git(t, c.Dir, "fsck", "--strict")
		if got := git(t, c.Dir, "for-each-ref", "--format=%(refname)"); got != strings.Join(want, "\n") {
			t.Errorf("base %q: %q", base, got)
		}
		for _, ref := range want {
			if got := git(t, c.Dir, "rev-list", ref); got != git(t, dir, "rev-list", ref) {
				t.Errorf("%s is another: %s", ref, got)
			}
		}
		// This ledger is none of rung's: it is judged, and found wanting.
		if report, err := audit.Verify(t.Context(), c.Dir, audit.Options{}); err != nil || report.ExitCode() == 0 || report.Ledger.Ref == "" {
			t.Errorf("%v, %s", err, &report)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(c.Dir); err == nil {
			t.Error("the copy is still there")
		}
	}
}

// TestFetchNoLedger: a repository without a ledger, or without anything, is for its
// judge.
func TestFetchNoLedger(t *testing.T) {
	root, dir := repository(t)
	url := served(t, root, nil)
	git(t, dir, "update-ref", "-d", "refs/heads/rung/ledger")
	git(t, root, "init", "-q", "--bare", "empty.git")
	for _, name := range []string{"deploy.git", "empty.git"} {
		c, err := Fetch(t.Context(), url+"/"+name, "", nil)
		if err != nil {
			t.Fatal(name, err)
		}
		report, err := audit.Verify(t.Context(), c.Dir, audit.Options{})
		if err != nil || report.ExitCode() != 2 || len(report.Findings) != 1 || report.Findings[0].Code != audit.LedgerMissing {
			t.Errorf("%s: %v, %+v", name, err, report.Findings)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFetchRefuses: what can't be had is an error that says what to do, and leaves
// nothing behind.
func TestFetchRefuses(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	root, _ := repository(t)
	private := served(t, root, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	})
	moved := served(t, root, func(http.Handler) http.Handler {
		return http.RedirectHandler("https://elsewhere.example.com/", http.StatusMovedPermanently)
	})
	page := served(t, root, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, c := range map[string]struct{ url, want string }{
		"nobody there":      {gone.URL + "/deploy.git", "is the address right, and can it be reached from here?"},
		"private":           {private + "/deploy.git", "clone a private repository with git"},
		"moved":             {moved + "/deploy.git", "moved"},
		"a page":            {page + "/deploy.git", "is this the address of a git repository?"},
		"nowhere":           {served(t, root, nil) + "/other.git", "clone"},
		"plain http":        {"http://git.example.com/deploy.git", "loopback"},
		"credentials in it": {"https://user:secret@git.example.com/deploy.git", "must not hold credentials"},
		"a HEAD outside":    {hostile(t, "../../escaped", "") + "/deploy.git", "is no branch"},
		"a broken pack":     {hostile(t, "main", "PACK\x00\x00\x00\x02\x00\x00\x00\x01broken") + "/deploy.git", "pack"},
		"half a pack":       {hostile(t, "main", "PACK") + "/deploy.git", "pack"},
	} {
		got, err := Fetch(t.Context(), c.url, "", nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "rung-verify-*")); len(left) > 0 {
		t.Error("left behind:", left)
	}
}

// hostile is a server that says anything: what HEAD points to, and what a pack is.
func hostile(t *testing.T, head, pack string) string {
	t.Helper()
	packet := func(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }
	id := strings.Repeat("1", 40)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			fmt.Fprint(w, packet("version 2\n")+packet("ls-refs\n")+packet("fetch=shallow\n")+"0000")
			return
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		body := make([]byte, 64)
		n, _ := r.Body.Read(body)
		if strings.Contains(string(body[:n]), "ls-refs") {
			fmt.Fprint(w, packet(id+" HEAD symref-target:refs/heads/"+head+"\n")+packet(id+" refs/heads/"+head+"\n")+"0000")
			return
		}
		fmt.Fprint(w, packet("packfile\n")+packet("\x01"+pack)+"0000")
	}))
	t.Cleanup(server.Close)
	return server.URL
}
