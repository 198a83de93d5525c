package gitmem

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// commitForm is how a commit begins.
var commitForm = sync.OnceValue(func() *regexp.Regexp {
	const id, person = `[0-9a-f]{40}`, ` ([^<>\n]* )?<[^<>\n]*> (0|[1-9][0-9]*) [+-][0-9]{4}`
	return regexp.MustCompile(`^tree ` + id + `\n(parent ` + id + `\n)*author` + person + `\ncommitter` + person + `\n`)
})

// Modes of tree entries, as git writes them.
const (
	modeTree    = "40000"
	modeLink    = "120000"
	modeGitlink = "160000"
)

// entry is what one side has at a name: nothing (the zero entry), or an id
// with its mode.
type entry struct{ mode, id string }

func (e entry) isTree() bool { return e.mode == modeTree }
func (e entry) isFile() bool { return e.id != "" && !e.isTree() }

// file and subtree are the entry seen as one or the other; the zero entry
// where it is not.
func (e entry) file() entry {
	if e.isFile() {
		return e
	}
	return entry{}
}

func (e entry) subtree() entry {
	if e.isTree() {
		return e
	}
	return entry{}
}

// entries returns a tree's entries by name; an empty id is the empty tree.
func (r *repository) entries(id string) (map[string]entry, error) {
	if id == "" {
		return nil, nil
	}
	list, err := r.tree(id)
	if err != nil {
		return nil, err
	}
	out := make(map[string]entry, len(list))
	for _, e := range list {
		out[e.Name] = entry{mode: e.Mode, id: e.ID}
	}
	return out, nil
}

// names returns every name in any of the trees, sorted.
func names(trees ...map[string]entry) []string {
	var all []string
	for _, t := range trees {
		for name := range t {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Diff lists the files that differ.
func (r *repository) Diff(ctx context.Context, treeA, treeB string) ([]string, error) {
	var paths []string
	if err := r.diff(ctx, "", treeA, treeB, &paths); err != nil {
		return nil, err
	}
	slices.Sort(paths)
	return paths, nil
}

func (r *repository) diff(ctx context.Context, dir, treeA, treeB string, paths *[]string) error {
	if treeA == treeB {
		return ctx.Err()
	}
	a, err := r.entries(treeA)
	if err != nil {
		return err
	}
	b, err := r.entries(treeB)
	if err != nil {
		return err
	}
	for _, name := range names(a, b) {
		ea, eb := a[name], b[name]
		if ea == eb {
			continue
		}
		if ea.file() != eb.file() {
			*paths = append(*paths, dir+name)
		}
		if err := r.diff(ctx, dir+name+"/", ea.subtree().id, eb.subtree().id, paths); err != nil {
			return err
		}
	}
	return nil
}

// writeTree stores a tree and returns its id.
func (r *repository) writeTree(tree map[string]entry) (string, error) {
	list := names(tree)
	slices.SortFunc(list, func(x, y string) int {
		return strings.Compare(sortName(x, tree[x].mode), sortName(y, tree[y].mode))
	})
	var data bytes.Buffer
	for _, name := range list {
		id, err := hex.DecodeString(tree[name].id)
		if err != nil {
			return "", fmt.Errorf("tree entry %q: %w", name, err)
		}
		fmt.Fprintf(&data, "%s %s\x00%s", tree[name].mode, name, id)
	}
	r.put(object{kind: "tree", data: data.Bytes()})
	return objectID("tree", data.Bytes()), nil
}

// sortName is the text that git sorts a tree's entries by: a directory sorts
// as if its name ended in a slash.
func sortName(name, mode string) string {
	if mode == modeTree {
		return name + "/"
	}
	return name
}

// checkObject refuses what stock git's fsck refuses in a pushed object and
// what a careless writer is likely to get wrong.
func checkObject(o object) error {
	switch o.kind {
	case "tree":
		return checkTree(o.data)
	case "commit":
		return checkCommit(o.data)
	case "tag":
		if !gitstore.ValidID(tagTarget(o.data)) {
			return fmt.Errorf("tag %s: no object", objectID(o.kind, o.data))
		}
	}
	return nil
}

func checkTree(data []byte) error {
	list, err := gitstore.ParseTree(data)
	if err != nil {
		return err
	}
	seen, last := map[string]bool{}, ""
	for _, e := range list {
		switch {
		case !slices.Contains([]string{"100644", "100755", "100664", modeTree, modeLink, modeGitlink}, e.Mode):
			return fmt.Errorf("tree entry %q: bad mode %q", e.Name, e.Mode)
		case strings.Contains(e.Name, "/"), e.Name == ".", e.Name == "..", strings.EqualFold(e.Name, ".git"):
			return fmt.Errorf("tree entry %q: bad name", e.Name)
		case e.ID == gitstore.Zero:
			return fmt.Errorf("tree entry %q: null id", e.Name)
		case seen[e.Name]:
			return fmt.Errorf("tree entry %q: twice", e.Name)
		case sortName(e.Name, e.Mode) < last:
			return fmt.Errorf("tree entry %q: not sorted", e.Name)
		}
		seen[e.Name], last = true, sortName(e.Name, e.Mode)
	}
	return nil
}

func checkCommit(data []byte) error {
	if !commitForm().Match(data) {
		return fmt.Errorf("commit %s: malformed header", objectID("commit", data))
	}
	return nil
}
