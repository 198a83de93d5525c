package gitrepo

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/rungbot/rung/internal/promotion"
)

var gitExecPath = sync.OnceValues(func() (string, error) {
	out, err := try("", nil, "git", "--exec-path")
	return strings.TrimSpace(out), err
})

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
	execPath, err := gitExecPath()
	if err != nil {
		t.Fatal("stock git is needed:", err)
	}
	s := &gitServer{t: t, root: t.TempDir()}
	stock := &backend{cgi.Handler{
		Path:   filepath.Join(execPath, "git-http-backend"),
		Env:    append(cleanEnv(), "GIT_PROJECT_ROOT="+s.root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=rung"),
		Stderr: io.Discard,
	}}
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, stock) }))
	t.Cleanup(s.http.Close)
	return s
}

// backend is stock git's http-backend.
type backend struct{ cgi cgi.Handler }

// ServeHTTP hands one request over.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.serve(w, r, r.Header.Get("Git-Protocol"))
}

// serve sets the one header that git wants under a name of its own.
func (b *backend) serve(w http.ResponseWriter, r *http.Request, protocol string) {
	own := b.cgi
	own.Env = append(slices.Clone(own.Env), "GIT_PROTOCOL="+protocol)
	own.ServeHTTP(w, r)
}

func (s *gitServer) serve(w http.ResponseWriter, r *http.Request, stock http.Handler) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	counted := &countingWriter{ResponseWriter: w}
	what := r.Method + " " + filepath.Base(r.URL.Path)
	if _, rest, ok := bytes.Cut(body, []byte("command=")); ok {
		word, _, _ := bytes.Cut(rest, []byte("\n"))
		what += " " + string(word)
	}
	s.mu.Lock()
	fault := s.fault
	n := len(s.log)
	s.log = append(s.log, wireCall{what: what, up: len(body)})
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if n < len(s.log) {
			s.log[n].down = counted.n
		}
	}()
	if fault != nil {
		fault(counted, r, stock)
		return
	}
	stock.ServeHTTP(counted, r)
}

// swapBody replaces text in a request's body.
func swapBody(r *http.Request, from, to string) {
	body, _ := io.ReadAll(r.Body)
	body = bytes.ReplaceAll(body, []byte(from), []byte(to))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
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
	cmd := command(dir, cleanEnv(), name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		return errOut.String() + out.String(), err
	}
	return out.String(), nil
}

func command(dir string, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, env
	return cmd
}

// bare is one bare repository of the server.
type bare struct {
	t      testing.TB
	server *gitServer
	name   string
	dir    string
	made   map[promotion.Hash]map[string]string // the files of each commit
	// changed is true once a setting differs from those of repo.
	changed bool
}

// repo makes a bare repository; filter and atomic as a forge has them.
func (s *gitServer) repo(name string) *bare {
	s.t.Helper()
	b := &bare{t: s.t, server: s, name: name, dir: filepath.Join(s.root, name), made: map[promotion.Hash]map[string]string{}}
	// What git init would make, without its price.
	for _, dir := range []string{"objects/pack", "objects/info", "refs/heads", "refs/tags", "hooks", "info"} {
		if err := os.MkdirAll(filepath.Join(b.dir, dir), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, "HEAD"), []byte("ref: refs/heads/main\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	for _, c := range []string{
		"core.repositoryformatversion=0", "core.bare=true", "core.fsync=none", "http.receivepack=true",
		"uploadpack.allowFilter=true", "receive.autogc=false", "gc.auto=0",
	} {
		key, value, _ := strings.Cut(c, "=")
		b.config(key, value)
	}
	b.changed = false
	return b
}

// What stock git says of itself, with the settings of repo.
var (
	stockUpload  = uploadCaps{shallow: true, filter: true, objectFormat: true}
	stockReceive = receiveCaps{atomic: true, sideBand: true, deleteRefs: true, quiet: true, objectFormat: true}
)

func TestCapabilities(t *testing.T) {
	b := newGitServer(t).repo("shop.git")
	r := b.open(Options{Servers: NewServers()})
	if got, err := r.uploadCapabilities(t.Context()); err != nil || got != stockUpload {
		t.Error(got, err)
	}
	if got, err := r.receiveCapabilities(t.Context()); err != nil || got != stockReceive {
		t.Error(got, err)
	}
	b.config("uploadpack.allowFilter", "false")
	b.config("receive.advertiseAtomic", "false")
	r = b.open(Options{})
	if got, err := r.uploadCapabilities(t.Context()); err != nil || got.filter {
		t.Error(got, err)
	}
	if got, err := r.receiveCapabilities(t.Context()); err != nil || got.atomic {
		t.Error(got, err)
	}
	b.config("extensions.objectFormat", "sha256")
	b.config("core.repositoryFormatVersion", "1")
	if _, err := b.open(Options{}).uploadCapabilities(t.Context()); !errors.Is(err, ErrProtocol) {
		t.Error("SHA-256:", err)
	}
}

// config sets one setting, the last word counts.
func (b *bare) config(key, value string) {
	b.t.Helper()
	b.changed = true
	section, name := key[:strings.LastIndexByte(key, '.')], key[strings.LastIndexByte(key, '.')+1:]
	if s, sub, ok := strings.Cut(section, "."); ok {
		section = fmt.Sprintf("%s %q", s, sub)
	}
	f, err := os.OpenFile(filepath.Join(b.dir, "config"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = fmt.Fprintf(f, "[%s]\n\t%s = %s\n", section, name, value)
	if err := errors.Join(err, f.Close()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bare) git(args ...string) string {
	b.t.Helper()
	return strings.TrimSpace(run(b.t, b.dir, nil, "git", args...))
}

// open returns a fresh Remote of the repository. While the repository has its
// first settings, what it can do is known from TestCapabilities, which saves
// asking some hundred times.
func (b *bare) open(o Options) *Remote {
	b.t.Helper()
	if o.Servers == nil && !b.changed {
		o.Servers = NewServers()
		o.Servers.setUpload(b.server.http.URL, stockUpload)
		o.Servers.setReceive(b.server.http.URL, stockReceive)
	}
	r, err := Open(b.server.http.URL+"/"+b.name, b.server.http.Client(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// commit makes a commit on the server: the files of its first parent with
// changes applied (an empty string removes). Objects are written loose.
func (b *bare) commit(message string, changes map[string]string, parents ...promotion.Hash) promotion.Hash {
	b.t.Helper()
	return b.commitAt(1700000000+b.count(), message, changes, parents...)
}

// commitAt is commit with the committer's clock given.
func (b *bare) commitAt(seconds int64, message string, changes map[string]string, parents ...promotion.Hash) promotion.Hash {
	b.t.Helper()
	all := map[string]string{}
	raw := ""
	for n, p := range parents {
		if n == 0 {
			maps.Copy(all, b.made[p])
		}
		raw += "parent " + string(p) + "\n"
	}
	for path, data := range changes {
		if data == "" {
			delete(all, path)
		} else {
			all[path] = data
		}
	}
	who := fmt.Sprintf("Ada <ada@acme.example> %d +0000\n", seconds)
	raw = "tree " + b.loose("tree", b.tree(all)) + "\n" + raw + "author " + who + "committer " + who + "\n" + message + "\n"
	h := promotion.Hash(b.loose("commit", raw))
	b.made[h] = all
	return h
}

// tree writes the trees below the top one of files and returns its content.
func (b *bare) tree(files map[string]string) string {
	dirs := map[string]map[string]string{}
	var nodes []node
	for path, data := range files {
		if dir, rest, ok := strings.Cut(path, "/"); ok {
			if dirs[dir] == nil {
				dirs[dir] = map[string]string{}
			}
			dirs[dir][rest] = data
		} else {
			nodes = append(nodes, node{name: path, mode: ModeFile, id: plumbing.NewHash(b.loose("blob", data))})
		}
	}
	for dir, below := range dirs {
		nodes = append(nodes, node{name: dir, mode: ModeTree, id: plumbing.NewHash(b.loose("tree", b.tree(below)))})
	}
	return string(encodeTree(nodes))
}

// loose writes a loose object, once, and returns its hash.
func (b *bare) loose(kind, data string) string {
	b.t.Helper()
	raw := fmt.Sprintf("%s %d\x00%s", kind, len(data), data)
	hash := fmt.Sprintf("%x", sha1.Sum([]byte(raw)))
	file := filepath.Join(b.dir, "objects", hash[:2], hash[2:])
	if _, err := os.Stat(file); err == nil {
		return hash
	}
	packed, err := new(deflater).deflate([]byte(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, packed, 0o400)); err != nil {
		b.t.Fatal(err)
	}
	return hash
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

// setRef moves a ref behind everybody's back.
func (b *bare) setRef(ref string, h promotion.Hash) {
	b.t.Helper()
	file := filepath.Join(b.dir, ref)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(h+"\n"), 0o600)); err != nil {
		b.t.Fatal(err)
	}
}

// head is where a ref stands; empty if it does not exist.
func (b *bare) head(ref string) promotion.Hash {
	b.t.Helper()
	if data, err := os.ReadFile(filepath.Join(b.dir, ref)); err == nil {
		return promotion.Hash(strings.TrimSpace(string(data)))
	}
	if _, err := os.Stat(filepath.Join(b.dir, "packed-refs")); err != nil {
		return ""
	}
	out, err := try(b.dir, nil, "git", "rev-parse", "-q", "--verify", ref)
	if err != nil {
		return ""
	}
	return promotion.Hash(strings.TrimSpace(out))
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
