package ledger

import (
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

	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

var issued = time.Date(2025, 6, 2, 10, 0, 0, 0, time.UTC)

// pen signs with a key of its own.
type pen struct{ key *sign.Key }

func newPen(t testing.TB) pen {
	t.Helper()
	k, err := sign.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return pen{k}
}

func (p pen) KeyID() string                             { return p.key.Public().Fingerprint() }
func (p pen) AuthorizedKey() string                     { return p.key.Public().AuthorizedKey() }
func (p pen) SignBytes(message []byte) ([]byte, error)  { return p.key.SignRaw(message) }
func (p pen) SignCommit(message []byte) (string, error) { return p.key.Sign(message) }

// keys are the pen's own public key.
func (p pen) keys() Keys {
	return KeysOf(p.key.Public())
}

func (p pen) trust() Trust { return Trust{Own: p.key.Public()} }

var gitExecPath = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	return strings.TrimSpace(string(out)), err
})

// stock is a bare repository behind stock git's http-backend.
type stock struct {
	*server
	dir string
}

func newStock(t testing.TB) *stock {
	t.Helper()
	execPath, err := gitExecPath()
	if err != nil {
		t.Fatal("stock git is needed:", err)
	}
	root := t.TempDir()
	s := &stock{server: &server{t: t}, dir: filepath.Join(root, "gitops.git")}
	s.run("", "git", "init", "-q", "--bare", s.dir)
	for _, c := range []string{"http.receivepack true", "uploadpack.allowFilter true", "uploadpack.allowAnySHA1InWant true", "core.fsync none"} {
		s.git(append([]string{"config"}, strings.Fields(c)...)...)
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // the backend wants a length
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(body))), int64(len(body))
		h := cgi.Handler{
			Path: filepath.Join(execPath, "git-http-backend"), Stderr: io.Discard,
			Env: append(plainEnv(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=rung", "GIT_PROTOCOL="+r.Header.Get("Git-Protocol")),
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(backend.Close)
	s.url = backend.URL + "/gitops.git"
	return s
}

func plainEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C", "TZ=UTC"}
}

func (s *stock) run(dir, name string, args ...string) string {
	s.t.Helper()
	out, err := s.try(dir, name, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func (s *stock) try(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, plainEnv()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// git runs stock git in the bare repository.
func (s *stock) git(args ...string) string {
	s.t.Helper()
	return s.run(s.dir, "git", args...)
}

// server is a repository over HTTP: stock git's, or one in memory that is held to
// behave like it.
type server struct {
	t   testing.TB
	url string
}

func inMemory(t testing.TB) *server {
	t.Helper()
	repo, err := gitmem.New(gitstore.Options{}).Create("acme", "gitops", "main")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.StripPrefix("/acme/gitops.git", repo.Handler()))
	t.Cleanup(s.Close)
	return &server{t, s.URL + "/acme/gitops.git"}
}

// open is a fresh view of the repository, with nothing cached.
func (s *server) open() *gitrepo.Remote {
	s.t.Helper()
	r, err := gitrepo.Open(s.url, http.DefaultClient, gitrepo.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// tip is the ledger's head on the server.
func (s *server) tip() promotion.Hash {
	s.t.Helper()
	refs, err := s.open().Refs(s.t.Context(), promotion.LedgerRef)
	if err != nil {
		s.t.Fatal(err)
	}
	return refs[promotion.LedgerRef]
}

// commit reads a commit.
func (s *server) commit(hash promotion.Hash) gitrepo.Commit {
	s.t.Helper()
	c, err := s.open().Commit(s.t.Context(), hash)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// file reads a file of a commit.
func (s *server) file(hash promotion.Hash, path string) string {
	s.t.Helper()
	files, err := s.open().ReadFiles(s.t.Context(), s.commit(hash).Tree, []string{path})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(files[path])
}

// book is a ledger on a server, written through gitrepo.
type book struct {
	*server
	pen    pen
	id     Identity
	remote *gitrepo.Remote
	state  promotion.LedgerState
	now    time.Time
}

func newBook(t testing.TB) *book { return bookOn(inMemory(t)) }

func bookOn(s *server) *book {
	t := s.t
	b := &book{server: s, pen: newPen(t), id: Identity{Repository: 42, App: 7, URI: "https://forge.example/acme/gitops"}, now: issued}
	b.remote = s.open()
	return b
}

// append appends and pushes records, and reads the state back with a reader and
// a connection that know nothing.
func (b *book) append(base promotion.Hash, records ...promotion.Record) Appended {
	b.t.Helper()
	w := NewWriter(b.pen, b.id, Author{"rung[bot]", "99+rung[bot]@users.noreply.forge.example"})
	done, err := w.Append(b.t.Context(), b.remote, b.state, records, base, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.remote.Push(b.t.Context(), []gitrepo.RefUpdate{{Ref: promotion.LedgerRef, Old: b.state.Tip, New: done.Tip, First: true}}, gitrepo.PushOptions{}); err != nil {
		b.t.Fatal(err)
	}
	if got := b.tip(); got != done.Tip {
		b.t.Fatalf("the server's tip is %s, want %s", got, done.Tip)
	}
	b.state = b.read(done.Tip)
	return done
}

func (b *book) read(tip promotion.Hash) promotion.LedgerState {
	b.t.Helper()
	st, err := NewReader(b.pen.trust(), b.id).Read(b.t.Context(), b.open(), tip)
	if err != nil {
		b.t.Fatal(err)
	}
	return st
}

var (
	devCheckout  = promotion.Pair{Environment: "dev", Artifact: "checkout"}
	prodCheckout = promotion.Pair{Environment: "prod", Artifact: "checkout"}
)

// about is a record of a pair with everything that its kind needs.
func about(kind promotion.RecordKind, pair promotion.Pair, version string) promotion.Record {
	r := promotion.Record{
		Kind: kind, Promotion: "0123456789abcdef", Environment: pair.Environment, Base: promotion.RecordBase{Ref: "refs/heads/main", Judged: commitA},
		Artifact: &promotion.RecordArtifact{Name: pair.Artifact, PURL: "pkg:oci/checkout@sha256%3Aaa?tag=" + version, Version: promotion.Version(version), Digest: digestOf(version)},
		Actor:    promotion.Actor{Kind: "person", Person: promotion.Person{ID: 1, Login: "ada"}}, Cause: promotion.Cause{Kind: "comment", ID: "5", At: issued},
		Places: []promotion.PlaceChange{{Path: "environments/" + string(pair.Environment) + "/kustomization.yaml", Locator: "kustomize:0:images[0]", After: promotion.Value{Version: promotion.Version(version), Digest: digestOf(version)}}},
	}
	switch kind {
	case promotion.RecordLand:
		r.Landed = &promotion.RecordLanded{Commit: commitB, FirstParent: commitA, Method: "merge"}
		r.Gates = []promotion.RecordGate{{Gate: "approval", Status: promotion.StatusPass, Sentence: "ada <ada@acme> & co approved \u2028 it", Evidence: []promotion.Evidence{{Name: "review", Value: "1", At: issued.Add(500 * time.Millisecond)}}}}
		r.Policies = []promotion.RecordPolicy{{Path: "policies/digest.yaml", Digest: string(digestOf("p")), Engine: "kyverno-json v0.0.4"}}
	case promotion.RecordSettle:
		r.Outcome = promotion.SettledGood
	case promotion.RecordWithdraw:
		r.Reason = promotion.WithdrawVetoed
	}
	return r
}

const (
	commitA = promotion.Hash("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	commitB = promotion.Hash("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

func digestOf(s string) promotion.Digest { return promotion.Digest(Digest([]byte(s))) }
