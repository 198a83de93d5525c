package gitrepo

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// gitServer is stock git's http-backend over bare repositories in a
// directory, with a counter of what goes over the wire.
type gitServer struct {
	t    testing.TB
	root string
	http *httptest.Server

	mu    sync.Mutex
	log   []wireCall
	fault func(http.ResponseWriter, *http.Request, http.Handler) // nil: none
}

// wireCall is one request with the bytes of both bodies.
type wireCall struct {
	what string
	up   int
	down int
}

func (c wireCall) String() string { return fmt.Sprintf("%s %d up %d down", c.what, c.up, c.down) }

func newGitServer(t testing.TB) *gitServer {
	t.Helper()
	execPath := strings.TrimSpace(run(t, "", nil, "git", "--exec-path"))
	s := &gitServer{t: t, root: t.TempDir()}
	backend := &cgi.Handler{
		Path:   filepath.Join(execPath, "git-http-backend"),
		Env:    append(cleanEnv(), "GIT_PROJECT_ROOT="+s.root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=rung"),
		Stderr: io.Discard,
	}
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.Header.Get("Git-Protocol"); p != "" {
			// net/http/cgi hands headers over as HTTP_*; git wants this one plain.
			own := *backend
			own.Env = append(append([]string{}, backend.Env...), "GIT_PROTOCOL="+p)
			s.serve(w, r, &own)
			return
		}
		s.serve(w, r, backend)
	}))
	t.Cleanup(s.http.Close)
	return s
}

func (s *gitServer) serve(w http.ResponseWriter, r *http.Request, backend http.Handler) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	counted := &countingWriter{ResponseWriter: w}
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault != nil {
		fault(counted, r, backend)
	} else {
		backend.ServeHTTP(counted, r)
	}
	what := r.Method + " " + filepath.Base(r.URL.Path)
	if i := bytes.Index(body, []byte("command=")); i >= 0 {
		what += " " + strings.Fields(string(body[i+8 : min(len(body), i+20)]))[0]
	}
	s.mu.Lock()
	s.log = append(s.log, wireCall{what: what, up: len(body), down: counted.n})
	s.mu.Unlock()
}

func (s *gitServer) setFault(f func(http.ResponseWriter, *http.Request, http.Handler)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// calls returns and clears what was asked since the last call of calls.
func (s *gitServer) calls() []wireCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	s.log = nil
	return log
}

type countingWriter struct {
	http.ResponseWriter
	n int
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += n
	return n, err
}

// cleanEnv is an environment in which git reads no configuration of the host.
func cleanEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C", "TZ=UTC",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@acme.example", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@acme.example", "GIT_COMMITTER_DATE=1700000000 +0000",
	}
}

// run runs a command and returns its standard output; it must succeed.
func run(t testing.TB, dir string, stdin []byte, name string, args ...string) string {
	t.Helper()
	out, err := try(dir, stdin, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func try(dir string, stdin []byte, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, cleanEnv(), bytes.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return errOut.String() + out.String(), err
	}
	return out.String(), nil
}

// bare is one bare repository of the server.
type bare struct {
	t      testing.TB
	server *gitServer
	name   string
	dir    string
}

// repo makes a bare repository; filter and atomic as a forge has them.
func (s *gitServer) repo(name string) *bare {
	s.t.Helper()
	b := &bare{t: s.t, server: s, name: name, dir: filepath.Join(s.root, name)}
	run(s.t, "", nil, "git", "init", "-q", "--bare", "-b", "main", b.dir)
	b.config("http.receivepack", "true")
	b.config("uploadpack.allowFilter", "true")
	b.config("uploadpack.allowAnySHA1InWant", "true")
	return b
}

func (b *bare) config(key, value string) {
	b.t.Helper()
	b.git("config", key, value)
}

func (b *bare) git(args ...string) string {
	b.t.Helper()
	return strings.TrimSpace(run(b.t, b.dir, nil, "git", args...))
}

// open returns a fresh Remote of the repository.
func (b *bare) open(o Options) *Remote {
	b.t.Helper()
	r, err := Open(b.server.http.URL+"/"+b.name, b.server.http.Client(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// commit makes a commit with stock git's plumbing: the files of its first
// parent with changes applied (an empty string removes).
func (b *bare) commit(message string, changes map[string]string, parents ...promotion.Hash) promotion.Hash {
	b.t.Helper()
	var in bytes.Buffer
	fmt.Fprintf(&in, "commit refs/made/tip\nmark :1\ncommitter Ada <ada@acme.example> %d +0000\ndata %d\n%s\n", 1700000000+b.count(), len(message), message)
	for n, p := range parents {
		word := "merge"
		if n == 0 {
			word = "from"
		}
		fmt.Fprintf(&in, "%s %s\n", word, p)
	}
	for path, data := range changes {
		if data == "" {
			fmt.Fprintf(&in, "D %s\n", path)
			continue
		}
		fmt.Fprintf(&in, "M 100644 inline %s\ndata %d\n%s\n", path, len(data), data)
	}
	in.WriteString("get-mark :1\n")
	out, err := try(b.dir, in.Bytes(), "git", "fast-import", "--quiet", "--force", "--cat-blob-fd=1")
	if err != nil {
		b.t.Fatalf("fast-import: %v\n%s", err, out)
	}
	return promotion.Hash(strings.TrimSpace(out))
}

var commitCount struct {
	sync.Mutex
	n int64
}

// count numbers the commits of all tests, so that their dates ascend.
func (b *bare) count() int64 {
	commitCount.Lock()
	defer commitCount.Unlock()
	commitCount.n++
	return commitCount.n
}

func (b *bare) setRef(ref string, h promotion.Hash) {
	b.t.Helper()
	b.git("update-ref", ref, string(h))
}

// head is where a ref stands; empty if it does not exist.
func (b *bare) head(ref string) promotion.Hash {
	out, err := try(b.dir, nil, "git", "rev-parse", "-q", "--verify", ref)
	if err != nil {
		return ""
	}
	return promotion.Hash(strings.TrimSpace(out))
}

// file is a file's content at a revision.
func (b *bare) file(rev, path string) string {
	b.t.Helper()
	return run(b.t, b.dir, nil, "git", "cat-file", "blob", rev+":"+path)
}

func (b *bare) fsck() {
	b.t.Helper()
	if out, err := try(b.dir, nil, "git", "fsck", "--strict", "--full"); err != nil {
		b.t.Fatalf("git fsck: %v\n%s", err, out)
	}
}

var testIdent = Ident{Name: "rung", Email: "rung@acme.example", When: time.Unix(1700001000, 0).UTC()}

// write makes an unsigned commit over r.
func write(t testing.TB, r *Remote, parent promotion.Hash, message string, changes map[string]FileChange) promotion.Hash {
	t.Helper()
	var tree promotion.Hash
	var parents []promotion.Hash
	if parent != "" {
		c, err := r.Commit(t.Context(), parent)
		if err != nil {
			t.Fatal(err)
		}
		tree, parents = c.Tree, []promotion.Hash{parent}
	}
	out, err := r.Rewrite(t.Context(), tree, changes)
	if err != nil {
		t.Fatal(err)
	}
	h, err := r.WriteCommit(t.Context(), CommitSpec{Tree: out, Parents: parents, Author: testIdent, Committer: testIdent, Message: message})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func text(s string) FileChange { return FileChange{Data: []byte(s)} }
