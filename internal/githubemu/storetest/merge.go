package storetest

import (
	"errors"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// lines is a text with one word a line.
func lines(words string) string {
	if words == "" {
		return ""
	}
	return strings.ReplaceAll(words, " ", "\n") + "\n"
}

// mergeCases are three-way merges. conflicts names the paths that conflict;
// otherwise want is the merged tree.
var mergeCases = map[string]struct {
	base, ours, theirs files
	conflicts          []string
	want               files
}{
	"different files": {
		files{"a": "1\n", "b": "1\n"},
		files{"a": "2\n", "b": "1\n"},
		files{"a": "1\n", "b": "2\n"},
		nil,
		files{"a": "2\n", "b": "2\n"},
	},
	"same change on both sides": {
		files{"a": lines("1 2 3")},
		files{"a": lines("1 X 3")},
		files{"a": lines("1 X 3"), "b": "new\n"},
		nil,
		files{"a": lines("1 X 3"), "b": "new\n"},
	},
	"distant lines": {
		files{"a": lines("1 2 3 4 5")},
		files{"a": lines("X 2 3 4 5")},
		files{"a": lines("1 2 3 4 Y")},
		nil,
		files{"a": lines("X 2 3 4 Y")},
	},
	"one line between": {
		files{"a": lines("1 2 3")},
		files{"a": lines("X 2 3")},
		files{"a": lines("1 2 Y")},
		nil,
		files{"a": lines("X 2 Y")},
	},
	"adjacent lines": {
		files{"a": lines("1 2 3")},
		files{"a": lines("X 2 3")},
		files{"a": lines("1 Y 3")},
		[]string{"a"},
		nil,
	},
	"same line": {
		files{"d/a": lines("1 2 3")},
		files{"d/a": lines("1 X 3")},
		files{"d/a": lines("1 Y 3")},
		[]string{"d/a"},
		nil,
	},
	"insertions at one place": {
		files{"a": lines("1 2")},
		files{"a": lines("1 X 2")},
		files{"a": lines("1 Y 2")},
		[]string{"a"},
		nil,
	},
	"insertion beside a change": {
		files{"a": lines("1 2 3")},
		files{"a": lines("1 X 2 3")},
		files{"a": lines("1 Y 3")},
		[]string{"a"},
		nil,
	},
	"both delete the same lines": {
		files{"a": lines("1 2 3 4")},
		files{"a": lines("1 4")},
		files{"a": lines("1 4 5")},
		nil,
		files{"a": lines("1 4 5")},
	},
	"same region by different hunks": {
		files{"a": lines("1 2 3 4 5")},
		files{"a": lines("1 X Y 5")},
		files{"a": lines("1 X Y 5")},
		nil,
		files{"a": lines("1 X Y 5")},
	},
	"append at the end": {
		files{"a": lines("1 2 3")},
		files{"a": lines("0 1 2 3")},
		files{"a": lines("1 2 3 4")},
		nil,
		files{"a": lines("0 1 2 3 4")},
	},
	"no newline at the end": {
		files{"a": "1\n2\n3"},
		files{"a": "1\n2\n3\n"},
		files{"a": "0\n1\n2\n3"},
		nil,
		files{"a": "0\n1\n2\n3\n"},
	},
	"deleted and untouched": {
		files{"a": "1\n", "b": "1\n"},
		files{"b": "1\n"},
		files{"a": "1\n", "b": "2\n"},
		nil,
		files{"b": "2\n"},
	},
	"deleted and changed": {
		files{"a": "1\n", "b": "1\n"},
		files{"b": "1\n"},
		files{"a": "2\n", "b": "1\n"},
		[]string{"a"},
		nil,
	},
	"changed and deleted": {
		files{"a": "1\n", "b": "1\n"},
		files{"a": "2\n", "b": "1\n"},
		files{"b": "1\n"},
		[]string{"a"},
		nil,
	},
	"deleted on both sides": {
		files{"a": "1\n", "b": "1\n"},
		files{"b": "2\n"},
		files{"b": "1\n"},
		nil,
		files{"b": "2\n"},
	},
	"added alike": {
		files{"b": "1\n"},
		files{"a": "1\n", "b": "1\n"},
		files{"a": "1\n", "b": "2\n"},
		nil,
		files{"a": "1\n", "b": "2\n"},
	},
	"added differently": {
		files{"b": "1\n"},
		files{"a": "1\n", "b": "1\n"},
		files{"a": "2\n", "b": "1\n"},
		[]string{"a"},
		nil,
	},
	"mode here, text there": {
		files{"a": "1\n"},
		files{"a": "100755:1\n"},
		files{"a": "2\n"},
		nil,
		files{"a": "100755:2\n"},
	},
	"links differ": {
		files{"a": "120000:x"},
		files{"a": "120000:y"},
		files{"a": "120000:z"},
		[]string{"a"},
		nil,
	},
	"binary": {
		files{"a": "1\x002\n3\n4\n5\n"},
		files{"a": "x\x002\n3\n4\n5\n"},
		files{"a": "1\x002\n3\n4\n6\n"},
		[]string{"a"},
		nil,
	},
	"directory deleted, file in it changed": {
		files{"d/a": "1\n", "d/b": "1\n", "c": "1\n"},
		files{"c": "1\n"},
		files{"d/a": "1\n", "d/b": "2\n", "c": "1\n"},
		[]string{"d/b"},
		nil,
	},
	"file becomes directory": {
		files{"a": "1\n", "b": "1\n"},
		files{"a/f": "9\n", "b": "1\n"},
		files{"a": "1\n", "b": "2\n"},
		nil,
		files{"a/f": "9\n", "b": "2\n"},
	},
	"several conflicts": {
		files{"x/a": "1\n", "b": "1\n", "c": "1\n"},
		files{"x/a": "2\n", "b": "2\n", "c": "2\n"},
		files{"x/a": "3\n", "b": "3\n", "c": "1\n"},
		[]string{"b", "x/a"},
		nil,
	},
	"everything deleted": {
		files{"a": "1\n", "b": "1\n"},
		files{"a": "1\n"},
		files{"b": "1\n"},
		nil,
		files{},
	},
}

var mergeTests = func() map[string]func(*world) {
	tests := map[string]func(*world){
		"fast forward": func(w *world) {
			root := w.commit("root", files{"a": "1\n"})
			next := w.commit("next", files{"a": "2\n"}, root)
			for _, pair := range [][2]string{{root, next}, {next, root}, {next, next}} {
				tree, conflicts, err := w.repo.MergeTree(w.Context(), pair[0], pair[1])
				w.must(err)
				w.equal("tree", tree, w.treeOf(next))
				w.equal("conflicts", len(conflicts), 0)
			}
		},
		"unrelated": func(w *world) {
			a, b := w.commit("a", files{"a": "1\n"}), w.commit("b", files{"b": "1\n"})
			if _, _, err := w.repo.MergeTree(w.Context(), a, b); !errors.Is(err, gitstore.ErrNotFound) {
				w.Errorf("error %v", err)
			}
		},
		"criss-cross": crissCross,
		"branch updated from main": func(w *world) {
			root := w.commit("root", files{"a": lines("1 2 3")})
			branch := w.commit("branch", files{"a": lines("1 2 X")}, root)
			main := w.commit("main", files{"a": lines("Y 2 3")}, root)
			updated := w.commit("update branch", files{"a": lines("Y 2 X")}, branch, main)
			later := w.commit("later", files{"a": lines("Z 2 3")}, main)
			w.merged(later, updated, files{"a": "100644:" + lines("Z 2 X")})
		},
	}
	for name, c := range mergeCases {
		tests[name] = func(w *world) {
			root := w.commit("base", c.base)
			ours, theirs := w.commit("ours", c.ours, root), w.commit("theirs", c.theirs, root)
			for _, pair := range [][2]string{{ours, theirs}, {theirs, ours}} {
				if c.conflicts == nil {
					w.merged(pair[0], pair[1], w.listing(w.tree(c.want)))
					continue
				}
				tree, conflicts, err := w.repo.MergeTree(w.Context(), pair[0], pair[1])
				w.must(err)
				w.equal("tree", tree, "")
				w.equal("conflicts", conflicts, c.conflicts)
			}
		}
	}
	return tests
}()

// merged expects a clean merge.
func (w *world) merged(ours, theirs string, want files) {
	w.Helper()
	tree, conflicts, err := w.repo.MergeTree(w.Context(), ours, theirs)
	w.must(err)
	if len(conflicts) > 0 {
		w.Fatalf("conflicts in %q", conflicts)
	}
	w.equal("merged tree", w.listing(tree), want)
}

// crissCross merges two commits that have two merge bases each.
func crissCross(w *world) {
	root := w.commit("root", files{"a": lines("1 2 3 4 5 6 7")})
	left := w.commit("left", files{"a": lines("L 2 3 4 5 6 7")}, root)
	right := w.commit("right", files{"a": lines("1 2 3 4 5 6 R")}, root)
	one := w.commit("one", files{"a": lines("L 2 3 4 5 6 R")}, left, right)
	two := w.commit("two", files{"a": lines("L 2 3 Z 5 6 R")}, right, left)
	base, err := w.repo.MergeBase(w.Context(), one, two)
	w.must(err)
	w.equal("merge base", base, right)
	w.merged(one, two, files{"a": "100644:" + lines("L 2 3 Z 5 6 R")})
}
