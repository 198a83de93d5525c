package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

const (
	ledgerRef = "refs/heads/rung/ledger"
	branchRef = "refs/heads/rung/p/dev/app"
)

// pushWorld is a repository with a base, a ledger and a branch to delete, and
// a Remote that has written the next ledger commit and a new branch.
type pushWorld struct {
	server               *gitServer
	repo                 *bare
	remote               *Remote
	base, ledger         promotion.Hash
	nextLedger, nextHead promotion.Hash
}

func newPushWorld(t *testing.T, prepare func(*testing.T, *pushWorld)) *pushWorld {
	t.Helper()
	s := newGitServer(t)
	b := s.repo("shop.git")
	w := &pushWorld{server: s, repo: b}
	w.base = b.commit("start", files(20))
	w.ledger = b.commit("ledger", map[string]string{"live/dev/app.intoto.jsonl": "{}\n"})
	b.setRef("refs/heads/main", w.base)
	b.setRef(ledgerRef, w.ledger)
	b.setRef("refs/heads/old", w.base)
	if prepare != nil {
		prepare(t, w)
	}
	w.remote = b.open(Options{})
	w.nextLedger = write(t, w.remote, w.ledger, "record", map[string]FileChange{"open/dev/app.intoto.jsonl": text("{}\n")})
	w.nextHead = write(t, w.remote, w.base, "promote", map[string]FileChange{"environments/dev/app00003/kustomization.yaml": text("new\n")})
	return w
}

// updates is a whole pass: the ledger, a new branch, a deletion.
func (w *pushWorld) updates() []RefUpdate {
	return []RefUpdate{
		{Ref: ledgerRef, Old: w.ledger, New: w.nextLedger, First: true},
		{Ref: branchRef, New: w.nextHead},
		{Ref: "refs/heads/old", Old: w.base},
	}
}

// state is what the server holds, told in the words of the test.
func (w *pushWorld) state() string {
	name := func(h promotion.Hash) string {
		switch h {
		case "":
			return "none"
		case w.base:
			return "base"
		case w.ledger:
			return "ledger"
		case w.nextLedger:
			return "nextLedger"
		case w.nextHead:
			return "nextHead"
		}
		return "other"
	}
	return name(w.repo.head(ledgerRef)) + " " + name(w.repo.head(branchRef)) + " " + name(w.repo.head("refs/heads/old"))
}

func statuses(r Report) string {
	var out []string
	for _, res := range r.Results {
		out = append(out, res.Status.String())
	}
	return strings.Join(out, " ")
}

func hook(t *testing.T, b *bare, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "hooks", name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
}

const (
	before = "ledger none base"
	after  = "nextLedger nextHead none"
)

func TestPush(t *testing.T) {
	for _, c := range []struct {
		name     string
		prepare  func(t *testing.T, w *pushWorld)
		options  PushOptions
		err      error // nil: success; errAny: some *RejectedError
		statuses string
		state    string
	}{
		{"all", nil, PushOptions{}, nil, "done done done", after},
		{"all, whole objects", func(_ *testing.T, w *pushWorld) { w.repo.config("receive.unpackLimit", "1") }, PushOptions{}, nil, "done done done", after},
		{"stale ledger", func(_ *testing.T, w *pushWorld) { w.repo.setRef(ledgerRef, w.base) }, PushOptions{}, ErrConflict, "stale held held", "base none base"},
		{"stale deletion", func(_ *testing.T, w *pushWorld) { w.repo.setRef("refs/heads/old", w.ledger) }, PushOptions{}, ErrConflict, "held held stale", "ledger none ledger"},
		{"branch exists", func(_ *testing.T, w *pushWorld) { w.repo.setRef(branchRef, w.base) }, PushOptions{}, ErrConflict, "held stale held", "ledger base base"},
		{"hook refuses the branch", func(t *testing.T, w *pushWorld) {
			hook(t, w.repo, "update", "case $1 in */p/*) echo 'GH013: rule \033[31mviolation' >&2; exit 1;; esac\n")
		}, PushOptions{}, errRejected, "held rejected held", before},
		{"hook refuses all", func(t *testing.T, w *pushWorld) { hook(t, w.repo, "pre-receive", "echo no >&2; exit 1\n") }, PushOptions{}, errRejected, "rejected rejected rejected", before},
		{"not atomic", func(_ *testing.T, w *pushWorld) { w.repo.config("receive.advertiseAtomic", "false") }, PushOptions{}, nil, "done done done", after},
		{"not atomic, refused", func(_ *testing.T, w *pushWorld) { w.repo.config("receive.advertiseAtomic", "false") }, PushOptions{RequireAtomic: true}, ErrNotAtomic, "held held held", before},
		{"not atomic, stale ledger", func(_ *testing.T, w *pushWorld) {
			w.repo.config("receive.advertiseAtomic", "false")
			w.repo.setRef(ledgerRef, w.base)
		}, PushOptions{}, ErrConflict, "stale held held", "base none base"},
		{"not atomic, branch refused after the ledger", func(t *testing.T, w *pushWorld) {
			w.repo.config("receive.advertiseAtomic", "false")
			hook(t, w.repo, "update", "case $1 in */p/*) exit 1;; esac\n")
		}, PushOptions{}, errRejected, "done rejected done", "nextLedger none none"},
		{"a bad object", func(_ *testing.T, w *pushWorld) {
			w.repo.config("receive.fsckObjects", "true")
			w.repo.config("receive.maxInputSize", "100")
		}, PushOptions{}, errRejected, "rejected rejected rejected", before},
		{"done before", nil, PushOptions{}, nil, "done done done", after},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newPushWorld(t, c.prepare)
			if c.name == "done before" {
				if _, err := w.remote.Push(t.Context(), w.updates(), PushOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			report, err := w.remote.Push(t.Context(), w.updates(), c.options)
			checkPushError(t, err, c.err)
			if got := statuses(report); got != c.statuses {
				t.Errorf("statuses %q, want %q (%+v)", got, c.statuses, report)
			}
			if got := w.state(); got != c.state {
				t.Errorf("the server holds %q, want %q", got, c.state)
			}
			defer w.repo.fsck()
			if err == nil {
				return
			}
			// Whatever stood in the way is gone: the same objects go through.
			w.repo.config("receive.maxInputSize", "0")
			_ = os.RemoveAll(filepath.Join(w.repo.dir, "hooks"))
			var rest []RefUpdate
			for _, res := range report.Results {
				if res.Status != Done {
					u := res.RefUpdate
					u.Old = w.repo.head(u.Ref)
					rest = append(rest, u)
				}
			}
			if _, err := w.remote.Push(t.Context(), rest, PushOptions{}); err != nil {
				t.Fatal("pushing again:", err)
			}
			if got := w.state(); got != after {
				t.Errorf("after pushing again the server holds %q", got)
			}
		})
	}
}

var errRejected = errors.New("any *RejectedError")

func checkPushError(t *testing.T, err, want error) {
	t.Helper()
	var rejected *RejectedError
	switch {
	case errors.Is(want, errRejected):
		if !errors.As(err, &rejected) || rejected.Text == "" {
			t.Errorf("error %v, want a rejection", err)
		}
	case !errors.Is(err, want):
		t.Errorf("error %v, want %v", err, want)
	}
	if err != nil && strings.ContainsAny(err.Error(), "\x1b") {
		t.Errorf("%q", err)
	}
}

// TestPushOutcomeNotTold: the answer is lost before or after the effect, in
// several ways.
func TestPushOutcomeNotTold(t *testing.T) {
	effect := func(r *http.Request, next http.Handler) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		return rec
	}
	for _, c := range []struct {
		name  string
		fault func(w http.ResponseWriter, r *http.Request, next http.Handler)
		err   error
		want  string
		state string
	}{
		{"502 before", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(502) }, ErrUnknownOutcome, "unknown unknown unknown", before},
		{"502 after", func(w http.ResponseWriter, r *http.Request, next http.Handler) { effect(r, next); w.WriteHeader(502) }, nil, "done done done", after},
		{"cut before", func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }, ErrUnknownOutcome, "unknown unknown unknown", before},
		{"cut after", func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
			effect(r, next)
			panic(http.ErrAbortHandler)
		}, nil, "done done done", after},
		{"cut in the report", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			rec := effect(r, next)
			w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			w.Header().Set("Content-Length", fmt.Sprint(rec.Body.Len()))
			_, _ = w.Write(rec.Body.Bytes()[:20])
			panic(http.ErrAbortHandler)
		}, nil, "done done done", after},
		{"a lie: nothing is ok", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			rec := effect(r, next)
			w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			_, _ = w.Write(bytes.ReplaceAll(bytes.ReplaceAll(rec.Body.Bytes(), []byte("ok refs"), []byte("ng refs")), []byte("unpack ng"), []byte("unpack ok")))
		}, nil, "done done done", after},
		{"an empty answer", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
		}, ErrUnknownOutcome, "unknown unknown unknown", before},
		{"a web page after", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			effect(r, next)
			_, _ = w.Write([]byte("<html>"))
		}, nil, "done done done", after},
		{"refused", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(403) }, ErrAuthentication, "held held held", before},
		{"asked to wait", func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(429) }, ErrUnavailable, "held held held", before},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newPushWorld(t, nil)
			w.server.setFault(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, receivePack) {
					c.fault(rw, r, next)
					return
				}
				next.ServeHTTP(rw, r)
			})
			report, err := w.remote.Push(t.Context(), w.updates(), PushOptions{})
			if !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if got := statuses(report); got != c.want {
				t.Errorf("statuses %q, want %q", got, c.want)
			}
			if got := w.state(); got != c.state {
				t.Errorf("the server holds %q, want %q", got, c.state)
			}
			w.server.setFault(nil)
			if _, err := w.remote.Push(t.Context(), w.updates(), PushOptions{}); err != nil || w.state() != after {
				t.Errorf("again: %v, the server holds %q", err, w.state())
			}
		})
	}
}

// TestPushCancelled: a context that ends while the push is on its way.
func TestPushCancelled(t *testing.T) {
	w := newPushWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	w.server.setFault(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, receivePack) {
			next.ServeHTTP(httptest.NewRecorder(), r)
			cancel()
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(rw, r)
	})
	report, err := w.remote.Push(ctx, w.updates(), PushOptions{})
	if err != nil || statuses(report) != "done done done" {
		t.Error(statuses(report), err)
	}
	report, err = w.remote.Push(ctx, []RefUpdate{{Ref: "refs/heads/x", New: w.base}}, PushOptions{})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnknownOutcome) || statuses(report) != "held" {
		t.Error("a context that had ended before:", statuses(report), err)
	}
}

func TestPushMistakes(t *testing.T) {
	w := newPushWorld(t, nil)
	for name, updates := range map[string][]RefUpdate{
		"old is new":       {{Ref: "refs/heads/x", Old: w.base, New: w.base}},
		"nothing at all":   {{Ref: "refs/heads/x"}},
		"twice":            {{Ref: "refs/heads/x", New: w.base}, {Ref: "refs/heads/x", New: w.ledger}},
		"not a ref":        {{Ref: "main", New: w.base}},
		"a blank":          {{Ref: "refs/heads/a b", New: w.base}},
		"a line":           {{Ref: "refs/heads/a\nb", New: w.base}},
		"dots":             {{Ref: "refs/heads/a..b", New: w.base}},
		"a lock":           {{Ref: "refs/heads/a.lock", New: w.base}},
		"not a hash":       {{Ref: "refs/heads/x", New: "abc"}},
		"zeroes":           {{Ref: "refs/heads/x", New: w.base, Old: zeroHash}},
		"a lot":            make([]RefUpdate, maxUpdates+1),
		"an empty segment": {{Ref: "refs/heads//x", New: w.base}},
	} {
		if _, err := w.remote.Push(t.Context(), updates, PushOptions{}); err == nil {
			t.Error(name, "was pushed")
		}
	}
	if w.state() != before {
		t.Error(w.state())
	}
}

// TestEightWriters: all race for the ledger, each with a branch of its own,
// until each has had its turn: the ledger is linear, every round has one
// winner, and only the winner's branch is made.
func TestEightWriters(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	start := b.commit("ledger", map[string]string{"live": "0"})
	b.setRef(ledgerRef, start)
	const writers = 8
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	gate := make(chan struct{})
	for n := range writers {
		r := b.open(Options{})
		next := write(t, r, start, fmt.Sprint("record ", n), map[string]FileChange{"live": text(fmt.Sprint(n))})
		if _, err := r.receiveCapabilities(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			<-gate
			ref := fmt.Sprintf("refs/heads/rung/p/dev/w%d", n)
			report, err := r.Push(t.Context(), []RefUpdate{{Ref: ledgerRef, Old: start, New: next, First: true}, {Ref: ref, New: next}}, PushOptions{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && b.head(ref) == next && b.head(ledgerRef) == next:
				won++
			case errors.Is(err, ErrConflict) && b.head(ref) == "" && report.Results[0].Status != Done:
			default:
				t.Errorf("writer %d: %v, %s, branch at %q", n, err, statuses(report), b.head(ref))
			}
		})
	}
	close(gate)
	wg.Wait()
	if won != 1 {
		t.Errorf("%d writers won", won)
	}
	b.fsck()
}

// TestPushBaseLost: the server has lost the object that a difference was told
// against; the push goes out again with whole objects.
func TestPushBaseLost(t *testing.T) {
	w := newPushWorld(t, nil)
	r := w.remote
	var lines strings.Builder
	for n := range 100 {
		fmt.Fprintf(&lines, "line %x\n", n*n*7919)
	}
	gone := w.repo.commit("gone", map[string]string{"big": lines.String()})
	got, err := r.ReadFiles(t.Context(), mustCommit(t, r, gone).Tree, []string{"big"})
	if err != nil {
		t.Fatal(err)
	}
	entry, _, err := r.Lookup(t.Context(), mustCommit(t, r, gone).Tree, "big")
	if err != nil {
		t.Fatal(err)
	}
	base, err := parseID(entry.Hash)
	if err != nil {
		t.Fatal(err)
	}
	w.repo.git("prune", "--expire=now")
	blob, err := r.writeBlob(append(bytes.Clone(got["big"]), "more\n"...), base)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := r.WriteTree([]Entry{{Name: "big", Mode: ModeFile, Hash: hashOf(blob)}})
	if err != nil {
		t.Fatal(err)
	}
	head, err := r.WriteCommit(t.Context(), CommitSpec{Tree: tree, Parents: []promotion.Hash{w.base}, Author: testIdent, Committer: testIdent, Message: "m"})
	if err != nil {
		t.Fatal(err)
	}
	w.server.calls()
	report, err := r.Push(t.Context(), []RefUpdate{{Ref: branchRef, New: head}}, PushOptions{})
	if err != nil || w.repo.head(branchRef) != head {
		t.Fatal(report, err)
	}
	if calls := w.server.calls(); len(calls) != 2 {
		t.Error("want one push that fails and one that doesn't:", calls)
	}
	if r.Cached(gone) {
		t.Error("what the server may have lost is still believed to be there")
	}
	w.repo.fsck()
}

// TestPushSendsOnlyTheNew: what was delivered is not sent again, also not by a
// push on top of it.
func TestPushSendsOnlyTheNew(t *testing.T) {
	w := newPushWorld(t, nil)
	for n, want := range []int{6, 0, 1} {
		head := w.nextHead
		if n == 2 {
			var err error
			if head, err = w.remote.WriteCommit(t.Context(), CommitSpec{Tree: mustCommit(t, w.remote, head).Tree, Parents: []promotion.Hash{head}, Author: testIdent, Committer: testIdent, Message: "m"}); err != nil {
				t.Fatal(err)
			}
		}
		report, err := w.remote.Push(t.Context(), []RefUpdate{{Ref: fmt.Sprint("refs/heads/n", n), New: head}}, PushOptions{})
		if err != nil || report.Objects != want {
			t.Errorf("push %d sent %d objects, want %d (%v)", n, report.Objects, want, err)
		}
	}
}

// TestPendingIsBounded: what was written first is dropped first, and a push
// that would need it fails on the server and moves nothing.
func TestPendingIsBounded(t *testing.T) {
	w := newPushWorld(t, nil)
	r := w.repo.open(Options{PendingBytes: 4000})
	first := write(t, r, w.base, "first", map[string]FileChange{"a": text("a")})
	for n := range 40 {
		if _, err := r.WriteBlob([]byte(fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	if r.Cached(first) {
		t.Fatal("nothing was dropped")
	}
	report, err := r.Push(t.Context(), []RefUpdate{{Ref: branchRef, New: first}}, PushOptions{})
	if err == nil || w.repo.head(branchRef) != "" {
		t.Fatal(report, err)
	}
	if first = write(t, r, w.base, "first", map[string]FileChange{"a": text("a")}); !r.Cached(first) {
		t.Fatal("written again and not there")
	}
	if _, err := r.Push(t.Context(), []RefUpdate{{Ref: branchRef, New: first}}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestOneRemoteManyGoroutines: reading, writing and pushing side by side.
func TestOneRemoteManyGoroutines(t *testing.T) {
	w := newPushWorld(t, nil)
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			ctx := t.Context()
			c, err := w.remote.Commit(ctx, w.base)
			if err != nil {
				t.Error(err)
				return
			}
			if list, err := w.remote.Walk(ctx, c.Tree, ""); err != nil || len(list) != 20 {
				t.Error(len(list), err)
			}
			tree, err := w.remote.Rewrite(ctx, c.Tree, map[string]FileChange{fmt.Sprint("new/", n): text(fmt.Sprint(n))})
			if err != nil {
				t.Error(err)
				return
			}
			head, err := w.remote.WriteCommit(ctx, CommitSpec{Tree: tree, Parents: []promotion.Hash{w.base}, Author: testIdent, Committer: testIdent, Message: "m"})
			if err != nil {
				t.Error(err)
				return
			}
			ref := fmt.Sprint("refs/heads/w", n)
			if _, err := w.remote.Push(ctx, []RefUpdate{{Ref: ref, New: head}}, PushOptions{}); err != nil || w.repo.head(ref) != head {
				t.Error(ref, err)
			}
		})
	}
	wg.Wait()
	w.repo.fsck()
}
