package gitrepo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// files is a repository of n applications in one environment. Their files are
// alike, so that many cost the tests little.
func files(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprintf("environments/dev/app%05d/kustomization.yaml", i)] = "images:\n- name: app\n  newTag: 1.0.0\n"
	}
	return out
}

// event is the usual one: main moved by one merge, one file of it is read, and
// a ledger commit and a branch with one changed file are pushed.
type event struct {
	repo         *bare
	remote       *Remote
	base, ledger promotion.Hash
	n            int
}

func newEvent(t testing.TB, size int) *event {
	t.Helper()
	s := newGitServer(t)
	b := s.repo("shop.git")
	e := &event{repo: b, remote: b.open(Options{}), base: b.commit("start", files(size)), ledger: b.commit("ledger", map[string]string{"live/dev/app00000.intoto.jsonl": "{}\n"})}
	b.setRef("refs/heads/main", e.base)
	b.setRef(ledgerRef, e.ledger)
	b.git("repack", "-q", "-a", "-d")
	for _, h := range []promotion.Hash{e.base, e.ledger} {
		if err := e.remote.Fetch(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.remote.receiveCapabilities(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *event) merge(t testing.TB) promotion.Hash {
	t.Helper()
	e.n++
	changes := map[string]string{"environments/dev/app00007/kustomization.yaml": fmt.Sprintf("images:\n- name: app\n  newTag: 1.0.%d\n", e.n)}
	side := e.repo.commit("bump", changes, e.base)
	m := e.repo.commit("Merge the bump", changes, e.base, side)
	e.repo.setRef("refs/heads/main", m)
	return m
}

func (e *event) handle(t testing.TB) {
	t.Helper()
	ctx, r := t.Context(), e.remote
	refs, err := r.ExactRefs(ctx, "refs/heads/main", ledgerRef)
	if err != nil || refs[ledgerRef] != e.ledger {
		t.Fatal(refs, err)
	}
	head := refs["refs/heads/main"]
	line, relation, err := r.CatchUp(ctx, e.base, head)
	if err != nil || relation != Ahead || len(line) != 1 {
		t.Fatal(line, relation, err)
	}
	changes, err := r.Diff(ctx, mustCommit(t, r, e.base).Tree, line[0].Tree, "environments")
	if err != nil || len(changes) != 1 {
		t.Fatal(changes, err)
	}
	const path = "environments/dev/app00008/kustomization.yaml"
	got, err := r.ReadFiles(ctx, line[0].Tree, []string{changes[0].Path, path})
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	text := strings.Replace(string(got[path]), "1.0.0", fmt.Sprintf("1.1.%d", e.n), 1)
	branch := write(t, r, head, "promote", map[string]FileChange{path: {Data: []byte(text)}})
	record := write(t, r, e.ledger, "record", map[string]FileChange{"open/dev/app00008.intoto.jsonl": {Data: []byte(strings.Repeat(fmt.Sprint("record ", e.n), 100))}})
	if _, err := r.Push(ctx, []RefUpdate{
		{Ref: ledgerRef, Old: e.ledger, New: record, First: true},
		{Ref: fmt.Sprintf("refs/heads/rung/p/dev/app%d", e.n), New: branch},
	}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	e.base, e.ledger = head, record
}

// TestUsualEventCost: four requests and little more than three kilobytes,
// whatever the number of files.
func TestUsualEventCost(t *testing.T) {
	totals := map[int]int{}
	for _, size := range []int{100, 6000} {
		e := newEvent(t, size)
		e.merge(t)
		e.handle(t) // the first event reads the neighbour's file
		e.merge(t)
		e.repo.server.calls()
		e.handle(t)
		calls := e.repo.server.calls()
		limits := map[string]int{"POST git-upload-pack ls-refs": 400, "POST git-upload-pack fetch": 1000, "POST git-receive-pack": 2400}
		if len(calls) != 4 {
			t.Errorf("%d files: %d requests, want 4: %v", size, len(calls), calls)
		}
		for _, c := range calls {
			totals[size] += c.up + c.down
			if c.up+c.down > limits[c.what] {
				t.Errorf("%d files: %v is over %d bytes", size, c, limits[c.what])
			}
		}
		e.repo.fsck()
	}
	if totals[6000] > totals[100]*11/10 {
		t.Errorf("bytes of an event by files: %v", totals)
	}
}

func BenchmarkUsualEvent(b *testing.B) {
	for _, size := range []int{6000, 60000} {
		b.Run(fmt.Sprintf("files=%d", size), func(b *testing.B) {
			e := newEvent(b, size)
			e.repo.server.calls()
			bytes, requests := 0, 0
			for b.Loop() {
				b.StopTimer()
				e.merge(b)
				b.StartTimer()
				e.handle(b)
			}
			for _, c := range e.repo.server.calls() {
				bytes += c.up + c.down
				requests++
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "wire-B/op")
			b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
		})
	}
}
