package gitrepo

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// line makes n commits on top of from, each changing one file of its own.
func line(b *bare, n int, name string, from promotion.Hash) []promotion.Hash {
	var out []promotion.Hash
	for i := range n {
		from = b.commit(fmt.Sprintf("%s %d", name, i), map[string]string{fmt.Sprintf("%s/%d", name, i): name}, from)
		out = append(out, from)
	}
	return out
}

// prune drops what no ref reaches.
func prune(b *bare) {
	b.git("prune", "--expire=now")
}

// TestCatchUp holds the relation and the first-parent line to the shapes that
// histories take. Each shape sets main and returns from, to and the line.
func TestCatchUp(t *testing.T) {
	shapes := []struct {
		name  string
		build func(b *bare, start promotion.Hash) (from, to promotion.Hash, line []promotion.Hash)
		want  Relation
		calls int // requests of CatchUp at most
		// unfiltered tries a server without filters as well.
		unfiltered bool
	}{
		{"same", func(_ *bare, a promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) { return a, a, nil }, Same, 1, false},
		{"one commit", func(b *bare, a promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			l := line(b, 1, "x", a)
			return a, l[0], l
		}, Ahead, 1, true},
		{"twelve commits", func(b *bare, a promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			l := line(b, 12, "x", a)
			return a, l[11], l
		}, Ahead, 3, true},
		{"a pull request merged", func(b *bare, a promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			side := line(b, 3, "side", a)
			m := b.commit("merge", map[string]string{"side/0": "side"}, a, side[2])
			return a, m, []promotion.Hash{m}
		}, Ahead, 1, false},
		{"merges of branches older than from", func(b *bare, old promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			before := line(b, 5, "before", old)
			a := before[4]
			one, two := line(b, 4, "one", old), line(b, 2, "two", before[0])
			m1 := b.commit("merge one", nil, a, one[3])
			m2 := b.commit("merge two", nil, m1, two[1])
			last := b.commit("last", map[string]string{"last": "x"}, m2)
			return a, last, []promotion.Hash{m1, m2, last}
		}, Ahead, 2, true},
		{"a long line whose top merges a branch from from", func(b *bare, a promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			l := line(b, 6, "main", a)
			side := b.commit("side", map[string]string{"side": "x"}, a)
			m := b.commit("merge", nil, l[5], side)
			return a, m, append(l, m)
		}, Ahead, 3, false},
		{"foxtrot: from merged as second parent", func(b *bare, old promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			a := line(b, 2, "main", old)[1]
			side := b.commit("side", map[string]string{"side": "x"}, old)
			return a, b.commit("merge main into side", nil, side, a), nil
		}, Foxtrot, 4, false},
		{"rewound to an ancestor", func(b *bare, old promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			return line(b, 3, "gone", old)[2], old, nil
		}, Diverged, 4, false},
		{"rewritten", func(b *bare, old promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			return line(b, 3, "gone", old)[2], line(b, 2, "new", old)[1], nil
		}, Diverged, 4, true},
		{"rewritten and pruned", func(b *bare, old promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			from := line(b, 3, "gone", old)[2]
			to := line(b, 2, "new", old)[1]
			b.setRef("refs/heads/main", to)
			prune(b)
			return from, to, nil
		}, Diverged, 2, false},
		{"unrelated", func(b *bare, old promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			return old, b.commit("another root", map[string]string{"y": "y"}), nil
		}, Diverged, 4, false},
		{"a clock that went back", func(b *bare, old promotion.Hash) (promotion.Hash, promotion.Hash, []promotion.Hash) {
			one := b.commitAt(1600000000, "one", map[string]string{"1": "1"}, old)
			two := b.commitAt(1500000000, "two", map[string]string{"2": "2"}, one)
			return old, two, []promotion.Hash{one, two}
		}, Ahead, 3, false},
	}
	for _, sh := range shapes {
		t.Run(sh.name, func(t *testing.T) {
			t.Parallel()
			s := newGitServer(t)
			b := s.repo("shop.git")
			from, to, want := sh.build(b, b.commit("start", files(5)))
			b.setRef("refs/heads/main", to)
			check := func(storage string) {
				r := b.open(Options{})
				if err := r.Fetch(t.Context(), from); err != nil && !errors.Is(err, ErrMissing) {
					t.Fatal(err)
				}
				s.calls()
				got, rel, err := r.CatchUp(t.Context(), from, to)
				if err != nil || rel != sh.want {
					t.Fatalf("%s: relation %v, error %v; want %v", storage, rel, err, sh.want)
				}
				if calls := s.calls(); len(calls) > sh.calls {
					t.Errorf("%s: %d requests, want at most %d: %v", storage, len(calls), sh.calls, calls)
				}
				compareLines(t, storage, got, want)
				checkLine(t, b, r, from, got, storage == "loose")
				if n := len(s.calls()); n > 0 && sh.want == Ahead {
					t.Errorf("%s: reading the changes needed %d more requests", storage, n)
				}
				if _, err := r.Walk(t.Context(), mustCommit(t, r, to).Tree, ""); err != nil {
					t.Fatal(err)
				}
			}
			check("loose")
			b.git("repack", "-q", "-a", "-d", "-k", "-b")
			check("repacked")
			if sh.unfiltered {
				b.config("uploadpack.allowFilter", "false")
				check("unfiltered")
			}
		})
	}
}

// compareLines compares two lines commit by commit.
func compareLines(t *testing.T, storage string, got []Commit, want []promotion.Hash) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d commits, want %d", storage, len(got), len(want))
	}
	for n := range want {
		if got[n].Hash != want[n] {
			t.Errorf("%s: commit %d is %s, want %s", storage, n, got[n].Hash, want[n])
		}
	}
}

// checkLine reads each commit's diff and, if asked, compares all with what
// stock git says.
func checkLine(t *testing.T, b *bare, r *Remote, from promotion.Hash, line []Commit, stock bool) {
	t.Helper()
	var got, pairs strings.Builder
	for before, rest := from, line; len(rest) > 0; before, rest = rest[0].Hash, rest[1:] {
		changes, err := r.Diff(t.Context(), mustCommit(t, r, before).Tree, rest[0].Tree, "")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&pairs, "%s %s\n", rest[0].Tree, mustCommit(t, r, before).Tree)
		fmt.Fprintf(&got, "%s %s\n", rest[0].Tree, mustCommit(t, r, before).Tree)
		for _, ch := range changes {
			got.WriteString(ch.Path + "\n")
		}
	}
	if stock && len(line) > 0 {
		if want := run(t, b.dir, []byte(pairs.String()), "git", "diff-tree", "--stdin", "-r", "--name-only", "--no-renames"); got.String() != want {
			t.Errorf("changes %q, git says %q", got.String(), want)
		}
	}
}

func mustCommit(t testing.TB, r *Remote, h promotion.Hash) Commit {
	t.Helper()
	c, err := r.Commit(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCatchUpTooFar(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	start := b.commit("start", files(1))
	l := line(b, 20, "x", start)
	b.setRef("refs/heads/main", l[19])
	r := b.open(Options{MaxCatchUp: 10})
	got, rel, err := r.CatchUp(t.Context(), start, l[19])
	if err != nil || rel != TooFar || got != nil {
		t.Fatal(got, rel, err)
	}
	if got, rel, err = r.CatchUp(t.Context(), l[9], l[19]); err != nil || rel != Ahead || len(got) != 10 {
		t.Fatal(len(got), rel, err)
	}
}

func TestCatchUpToUnknown(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	start := b.commit("start", files(1))
	b.setRef("refs/heads/main", start)
	r := b.open(Options{})
	_, _, err := r.CatchUp(t.Context(), start, "1111111111111111111111111111111111111111")
	if !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
}

// TestCatchUpAfterEviction: the thin pack's bases have left the cache.
func TestCatchUpAfterEviction(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	start := b.commit("start", files(200))
	next := b.commit("next", map[string]string{"environments/dev/app00001/kustomization.yaml": "changed\n"}, start)
	b.setRef("refs/heads/main", next)
	b.git("repack", "-q", "-a", "-d", "-f")
	r := b.open(Options{CacheBytes: 2000})
	got, rel, err := r.CatchUp(t.Context(), start, next)
	if err != nil || rel != Ahead || len(got) != 1 {
		t.Fatal(got, rel, err)
	}
	checkLine(t, b, r, start, got, true)
	t.Log(s.calls())
}

// TestMergeBase compares with stock git, and counts requests.
func TestMergeBase(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	root := b.commit("start", files(5))
	main := line(b, 30, "main", root)
	recent := line(b, 2, "recent", main[27])
	old := line(b, 3, "old", main[2])
	updated := b.commit("update branch", nil, old[2], main[20])
	crossed := b.commit("crossed", nil, main[29], old[1])
	alone := b.commit("another root", map[string]string{"x": "x"})
	b.setRef("refs/heads/main", main[29])
	for _, c := range []struct {
		name  string
		a, b  promotion.Hash
		calls int
	}{
		{"a recent branch", main[29], recent[1], 1},
		{"an old branch", main[29], old[2], 2},
		{"an old branch, updated", main[29], updated, 1},
		{"an ancestor", main[29], main[20], 1},
		{"a descendant", main[20], main[29], 1},
		{"the same", main[3], main[3], 0},
		{"after a merge of the other", crossed, old[2], 2},
		{"unrelated", main[29], alone, 4},
		{"a nearer one behind the second parent", main[29], b.commit("second", nil, main[3], b.commit("x", map[string]string{"q": "q"}, main[20])), 1},
	} {
		for _, filter := range []string{"true", "false"} {
			b.config("uploadpackfilter.tree.allow", filter)
			r := b.open(Options{})
			if _, err := r.uploadCapabilities(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.calls()
			got, ok, err := r.MergeBase(t.Context(), c.a, c.b)
			if err != nil {
				t.Fatal(c.name, err)
			}
			calls := s.calls()
			if n := len(calls); n > c.calls && filter == "true" || n > c.calls+1 {
				t.Errorf("%s: %d requests, want at most %d: %v", c.name, n, c.calls, calls)
			}
			want, _ := try(b.dir, nil, "git", "merge-base", string(c.a), string(c.b))
			if string(got) != strings.TrimSpace(want) || ok != (want != "") {
				t.Errorf("%s: %q %v, git says %q", c.name, got, ok, want)
			}
		}
	}
}
