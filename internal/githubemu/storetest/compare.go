package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// Compare builds the same random history in two stores and asks both the same
// random questions: fetches of every shape, merges, merge bases, logs and
// diffs. The answers must agree. Where reference sends more objects than it
// must, tested may send fewer, but never too few for the client to be whole.
// Every other history has clocks that went back; there git's logs and merge
// bases depend on more than the contract says, and only fetches are compared.
func Compare(t *testing.T, tested, reference Open) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed-", seed), func(t *testing.T) {
			t.Parallel()
			p := &pair{
				skewed: seed%2 == 1,
				random: rand.New(rand.NewPCG(seed, 1)), // #nosec G404 -- a test that repeats
				a:      newWorld(t, tested, gitstore.Options{}), b: newWorld(t, reference, gitstore.Options{}),
			}
			p.grow(30)
			for range 15 {
				p.compareFetch(t)
			}
			for range 8 {
				if !p.skewed {
					p.compareHistory(t)
				}
			}
		})
	}
}

// pair is one history in two stores.
type pair struct {
	random  *rand.Rand
	skewed  bool // some clocks went back
	a, b    *world
	commits []string
	trees   []files // of commits
}

// grow makes commits, some of them merges, some with clocks that went back.
func (p *pair) grow(count int) {
	base := files{}
	for i := range 6 {
		base[fmt.Sprintf("d%d/f%d", i%3, i)] = p.text(7)
	}
	for i := range count {
		f, parents := base, []string(nil)
		if i > 0 {
			at := p.recent()
			f, parents = p.trees[at], []string{p.commits[at]}
			if p.random.IntN(3) == 0 {
				if other := p.recent(); other != at {
					parents = append(parents, p.commits[other])
				}
			}
		}
		f = p.edit(f)
		if p.skewed && p.random.IntN(10) == 0 {
			p.a.clock -= 300
			p.b.clock -= 300
		}
		message := fmt.Sprint("commit ", i)
		id := p.a.commit(message, f, parents...)
		p.b.equal("commit", p.b.commit(message, f, parents...), id)
		p.commits, p.trees = append(p.commits, id), append(p.trees, f)
	}
}

// recent picks a commit, a late one more often.
func (p *pair) recent() int {
	n := len(p.commits)
	return n - 1 - p.random.IntN(min(n, 1+p.random.IntN(n)))
}

// edit changes some lines of a file, adds a file or deletes one.
func (p *pair) edit(f files) files {
	paths := slices.Sorted(keys(f))
	path := paths[p.random.IntN(len(paths))]
	switch p.random.IntN(8) {
	case 0:
		return f.and(files{fmt.Sprintf("d%d/n%d", p.random.IntN(4), p.random.IntN(3)): p.text(1 + p.random.IntN(5))})
	case 1:
		if len(paths) > 3 {
			return f.and(files{path: ""})
		}
	}
	return f.and(files{path: p.editText(f[path])})
}

// text is a number of lines. All lines of a run differ: where equal ones stand
// side by side a diff has a choice, and where files are alike git sees renames,
// which a store need not.
func (p *pair) text(count int) string {
	var text strings.Builder
	for range count {
		fmt.Fprintf(&text, "line %d\n", p.random.Uint32())
	}
	return text.String()
}

// editText changes, inserts or deletes a line.
func (p *pair) editText(text string) string {
	list := strings.SplitAfter(text, "\n")
	at := p.random.IntN(len(list))
	fresh := p.text(1)
	switch p.random.IntN(4) {
	case 0:
		list = slices.Insert(list, at, fresh)
	case 1:
		if len(list) > 3 && at < len(list)-1 {
			list = slices.Delete(list, at, at+1)
		}
	default:
		if at == len(list)-1 {
			at--
		}
		list[max(at, 0)] = fresh
	}
	return strings.Join(list, "")
}

func keys(f files) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range f {
			if !yield(k) {
				return
			}
		}
	}
}

// compareFetch has a client fetch one commit in some way, and then another.
func (p *pair) compareFetch(t *testing.T) {
	have, want := p.commits[p.recent()], p.commits[p.recent()]
	first := []string{"want " + have, "no-progress", "done"}
	second := []string{"want " + want, "have " + have, "no-progress", "ofs-delta"}
	depth := fmt.Sprint("deepen ", 1+p.random.IntN(4))
	switch p.random.IntN(4) {
	case 0: // the bot's way
		first = append(first, "deepen 1", "filter blob:none")
		second = append(second, "shallow "+have, depth, "filter blob:none", "thin-pack")
	case 1: // a shallow clone deepens
		first = append(first, "deepen 1")
		second = append(second, "shallow "+have, depth)
	case 2: // a full clone
		second = append(second, "thin-pack")
	case 3: // a full clone that negotiates badly
		second = append(second, "have "+absent, "have "+p.commits[p.recent()])
	}
	if p.random.IntN(3) == 0 {
		second = append(second, "done")
	}
	ca, cb := p.a.client(), p.b.client()
	for _, args := range [][]string{first, second} {
		fa, fb := ca.fetch(args...), cb.fetch(args...)
		slices.Sort(fa.lines) // shallow lines come in no given order
		slices.Sort(fb.lines)
		if !slices.Equal(fa.lines, fb.lines) || fa.packed != fb.packed {
			t.Fatalf("%q:\ntested    %v %q\nreference %v %q", args, fa.packed, fa.lines, fb.packed, fb.lines)
		}
		for _, id := range fa.ids {
			if !slices.Contains(fb.ids, id) {
				t.Errorf("%q: only the tested store sends %s", args, id)
			}
		}
		for _, id := range fb.ids {
			if !ca.has(id) {
				t.Errorf("%q: the tested store never sent %s", args, id)
			}
		}
	}
}

// compareHistory asks about two commits.
func (p *pair) compareHistory(t *testing.T) {
	x, y := p.recent(), p.recent()
	one, two := p.commits[x], p.commits[y]
	ask := func(w *world) string {
		base, errBase := w.repo.MergeBase(t.Context(), one, two)
		tree, conflicts, errTree := w.repo.MergeTree(t.Context(), one, two)
		log, errLog := w.repo.Log(t.Context(), one, []string{two}, 10)
		diff, errDiff := w.repo.Diff(t.Context(), w.treeOf(one), w.treeOf(two))
		for _, err := range []error{errBase, errTree, errLog, errDiff} {
			if err != nil && !errors.Is(err, gitstore.ErrNotFound) {
				t.Fatal(err)
			}
		}
		var ids []string
		for _, c := range log {
			ids = append(ids, c.ID)
		}
		return fmt.Sprintf("base %s\ntree %s conflicts %q\nlog %q\ndiff %q", base, tree, conflicts, ids, diff)
	}
	if a, b := ask(p.a), ask(p.b); a != b {
		t.Errorf("%s and %s:\ntested:\n%s\nreference:\n%s", one, two, a, b)
	}
}
