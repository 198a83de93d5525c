package gitrepo

import (
	"fmt"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// tree10k is a repository of environments with many files.
func files(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprintf("environments/dev/app%03d/kustomization.yaml", i)] = fmt.Sprintf("images:\n- name: app%03d\n  newTag: 1.0.0\n", i)
	}
	return out
}

func TestUsualEvent(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	base := b.commit("start", files(100))
	b.setRef("refs/heads/main", base)
	r := b.open(Options{})
	ctx := t.Context()
	refs, err := r.Refs(ctx, "refs/heads/main")
	if err != nil || refs["refs/heads/main"] != base {
		t.Fatal(refs, err)
	}
	if err := r.Fetch(ctx, base); err != nil {
		t.Fatal(err)
	}
	t.Log(s.calls())
	next := b.commit("bump", map[string]string{"environments/dev/app007/kustomization.yaml": "images:\n- name: app007\n  newTag: 1.0.1\n"}, base)
	b.setRef("refs/heads/main", next)
	refs, err = r.ExactRefs(ctx, "refs/heads/main")
	if err != nil || refs["refs/heads/main"] != next {
		t.Fatal(refs, err)
	}
	commits, rel, err := r.CatchUp(ctx, base, next)
	if err != nil || rel != Ahead || len(commits) != 1 || commits[0].Hash != next {
		t.Fatal(commits, rel, err)
	}
	c, err := r.Commit(ctx, base)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := r.Diff(ctx, c.Tree, commits[0].Tree, "environments")
	if err != nil || len(changes) != 1 || changes[0].Path != "environments/dev/app007/kustomization.yaml" {
		t.Fatal(changes, err)
	}
	got, err := r.ReadFiles(ctx, commits[0].Tree, []string{"environments/dev/app007/kustomization.yaml", "nothing"})
	if err != nil || string(got["environments/dev/app007/kustomization.yaml"]) != "images:\n- name: app007\n  newTag: 1.0.1\n" || len(got) != 1 {
		t.Fatal(got, err)
	}
	ledger := write(t, r, "", "ledger", map[string]FileChange{"live/dev/app007.intoto.jsonl": text("{}\n")})
	branch := write(t, r, next, "promote", map[string]FileChange{"environments/dev/app008/kustomization.yaml": text("images:\n- name: app008\n  newTag: 1.0.2\n")})
	report, err := r.Push(ctx, []RefUpdate{{Ref: "refs/heads/rung/ledger", New: ledger, First: true}, {Ref: "refs/heads/rung/p/dev/app008", New: branch}}, PushOptions{})
	if err != nil {
		t.Fatal(report, err)
	}
	t.Log(s.calls(), report)
	if b.head("refs/heads/rung/ledger") != ledger || b.head("refs/heads/rung/p/dev/app008") != branch {
		t.Fatal("refs did not move")
	}
	b.fsck()
	if got := b.file(string(branch), "environments/dev/app008/kustomization.yaml"); got != "images:\n- name: app008\n  newTag: 1.0.2\n" {
		t.Fatal(got)
	}
	stale := write(t, r, ledger, "stale", map[string]FileChange{"x": text("y")})
	report, err = r.Push(ctx, []RefUpdate{{Ref: "refs/heads/rung/ledger", Old: promotion.Hash(base), New: stale}, {Ref: "refs/heads/rung/p/x", New: branch}}, PushOptions{})
	t.Log(report, err)
}
