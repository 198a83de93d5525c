// Package storetest holds the stores of the GitHub emulator to one behaviour:
// refs, objects, history, merges, and git on the wire, both as raw requests of
// the kind the bot sends and as stock git sends them.
//
// Run tests one store. Compare puts the same random history into two stores and
// the same random questions to both; with stock git behind one of them it tells
// whether the other answers as git does. The random sequence is fixed, so a
// failure repeats. Both need git on PATH; its absence fails the test.
package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// Open makes an empty store for one test.
type Open func(t *testing.T, options gitstore.Options) gitstore.Store

// Run runs every test of the suite.
func Run(t *testing.T, open Open) {
	for _, group := range []struct {
		name  string
		tests map[string]func(*world)
	}{
		{"store", storeTests},
		{"refs", refTests},
		{"objects", objectTests},
		{"history", historyTests},
		{"merge", mergeTests},
		{"fetch", fetchTests},
		{"push", pushTests},
		{"judge", judgeTests},
		{"stock", stockTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, name := range slices.Sorted(maps.Keys(group.tests)) {
				t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
					t.Parallel()
					group.tests[name](newWorld(t, open, gitstore.Options{}))
				})
			}
		})
	}
}

// world is one repository under test and the means to fill it.
type world struct {
	*testing.T
	open  Open
	store gitstore.Store
	repo  gitstore.Repository
	clock int64 // seconds; a minute passes with each commit
}

func newWorld(t *testing.T, open Open, options gitstore.Options) *world {
	w := &world{T: t, open: open, store: open(t, options), clock: 1_700_000_000}
	var err error
	if w.repo, err = w.store.Create("acme", "shop", "main"); err != nil {
		t.Fatal(err)
	}
	return w
}

// with is a world of its own whose server has options.
func (w *world) with(options gitstore.Options) *world {
	return newWorld(w.T, w.open, options)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) write(kind, data string) string {
	w.Helper()
	id, err := w.repo.WriteObject(w.Context(), kind, []byte(data))
	w.must(err)
	return id
}

// files is a work tree: text by path. A text that begins with "mode:", such as
// "120000:target", sets the mode.
type files map[string]string

// and returns f with changes; an empty text deletes.
func (f files) and(changes files) files {
	out := maps.Clone(f)
	for path, text := range changes {
		if out[path] = text; text == "" {
			delete(out, path)
		}
	}
	return out
}

// tree writes a work tree.
func (w *world) tree(f files) string {
	w.Helper()
	type child struct{ mode, name, id string }
	var children []child
	subtrees := map[string]files{}
	for path, text := range f {
		if dir, rest, ok := strings.Cut(path, "/"); ok {
			if subtrees[dir] == nil {
				subtrees[dir] = files{}
			}
			subtrees[dir][rest] = text
			continue
		}
		mode := "100644"
		if len(text) > 7 && text[6] == ':' && strings.HasPrefix(text, "1") {
			mode, text = text[:6], text[7:]
		}
		children = append(children, child{mode, path, w.write("blob", text)})
	}
	for dir, sub := range subtrees {
		children = append(children, child{"40000", dir + "/", w.tree(sub)})
	}
	slices.SortFunc(children, func(a, b child) int { return strings.Compare(a.name, b.name) })
	var data strings.Builder
	for _, c := range children {
		fmt.Fprintf(&data, "%s %s\x00%s", c.mode, strings.TrimSuffix(c.name, "/"), rawID(c.id))
	}
	return w.write("tree", data.String())
}

// commit writes a commit a minute after the last one.
func (w *world) commit(message string, f files, parents ...string) string {
	w.Helper()
	w.clock += 60
	return w.write("commit", w.commitText(message, w.tree(f), w.clock, parents...))
}

func (w *world) commitText(message, tree string, at int64, parents ...string) string {
	var data strings.Builder
	fmt.Fprintf(&data, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&data, "parent %s\n", p)
	}
	fmt.Fprintf(&data, "author Ann <ann@acme.example> %d +0100\ncommitter Bob <bob@acme.example> %d +0000\n\n%s\n", at, at, message)
	return data.String()
}

func (w *world) refs() map[string]string {
	w.Helper()
	refs, err := w.repo.Refs(w.Context(), "refs/")
	w.must(err)
	return refs
}

// set puts a ref at id, wherever it was; gitstore.Zero deletes it.
func (w *world) set(ref, id string) {
	w.Helper()
	old := w.refs()[ref]
	if old == "" {
		old = gitstore.Zero
	}
	w.must(w.repo.UpdateRefs(w.Context(), []gitstore.RefUpdate{{Ref: ref, Old: old, New: id}}))
}

func (w *world) treeOf(commit string) string {
	w.Helper()
	c, err := w.repo.ReadCommit(w.Context(), commit)
	w.must(err)
	return c.Tree
}

// listing is a tree flattened: path to mode:text.
func (w *world) listing(tree string) files {
	w.Helper()
	out := files{}
	w.list(w.Context(), "", tree, out)
	return out
}

func (w *world) list(ctx context.Context, dir, tree string, out files) {
	w.Helper()
	entries, err := w.repo.ReadTree(ctx, tree)
	w.must(err)
	for _, e := range entries {
		if e.Mode == "40000" {
			w.list(ctx, dir+e.Name+"/", e.ID, out)
			continue
		}
		_, data, err := w.repo.ReadObject(ctx, e.ID)
		w.must(err)
		out[dir+e.Name] = e.Mode + ":" + string(data)
	}
}

// equal compares two values by their printed form.
func (w *world) equal(what string, got, want any) {
	w.Helper()
	if g, x := fmt.Sprintf("%q", got), fmt.Sprintf("%q", want); g != x {
		w.Errorf("%s:\n got %s\nwant %s", what, g, x)
	}
}
