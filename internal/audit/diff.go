package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

const (
	// maxDepth is how many directories deep a tree is followed.
	maxDepth = 64
	// maxCached is how many trees and commits are kept; the caches are emptied
	// when they are full.
	maxCached = 20_000
)

// objects reads commits and trees through small caches.
type objects struct {
	*repository
	commits map[oid]*commit
	trees   map[oid][]entry
}

func newObjects(r *repository) *objects {
	return &objects{repository: r, commits: map[oid]*commit{}, trees: map[oid][]entry{}}
}

// commit reads a commit.
func (o *objects) commit(id oid) (*commit, error) {
	if c, ok := o.commits[id]; ok {
		return c, nil
	}
	raw, err := o.read(id, kindCommit)
	if err != nil {
		return nil, err
	}
	c, err := parseCommit(id, raw)
	if err != nil {
		return nil, &objectError{ObjectMalformed, id, err.Error()}
	}
	if len(o.commits) >= maxCached {
		clear(o.commits)
	}
	o.commits[id] = c
	return c, nil
}

// tree reads a tree; the zero id is the empty one.
func (o *objects) tree(id oid) ([]entry, error) {
	if id == (oid{}) {
		return nil, nil
	}
	if t, ok := o.trees[id]; ok {
		return t, nil
	}
	raw, err := o.read(id, kindTree)
	if err != nil {
		return nil, err
	}
	t, err := parseTree(raw)
	if err != nil {
		return nil, &objectError{ObjectMalformed, id, err.Error()}
	}
	if len(o.trees) >= maxCached {
		clear(o.trees)
	}
	o.trees[id] = t
	return t, nil
}

// lookup finds what stands at a path.
func (o *objects) lookup(tree oid, path string) (entry, error) {
	at := entry{mode: modeTree, id: tree}
	for part := range strings.SplitSeq(path, "/") {
		if at.mode != modeTree {
			return entry{}, nil
		}
		entries, err := o.tree(at.id)
		if err != nil {
			return entry{}, err
		}
		n := slices.IndexFunc(entries, func(e entry) bool { return e.name == part })
		if n < 0 {
			return entry{}, nil
		}
		at = entries[n]
	}
	return at, nil
}

// change is one path whose entry differs between two trees; neither side is
// ever a tree.
type change struct {
	path          string
	before, after entry
}

// diff lists the paths that differ between two trees, sorted by path. The zero
// id is the empty tree; equal subtrees are not read.
func (o *objects) diff(before, after oid) ([]change, error) {
	var changes []change
	if err := o.compare("", entry{mode: modeTree, id: before}, entry{mode: modeTree, id: after}, 0, &changes); err != nil {
		return nil, err
	}
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.path, b.path) })
	return changes, nil
}

// files lists everything below a directory of a tree.
func (o *objects) files(tree oid, dir string) ([]change, error) {
	e, err := o.lookup(tree, dir)
	if err != nil || e.mode != modeTree {
		return nil, err
	}
	changes, err := o.diff(oid{}, e.id)
	for i := range changes {
		changes[i].path = dir + "/" + changes[i].path
	}
	return changes, err
}

// inside lists the files of an environment in a tree, in no order.
func (o *objects) inside(tree oid, env *promotion.EnvironmentSpec) ([]change, error) {
	var found []change
	var enter func(dir string, id oid, depth int) error
	enter = func(dir string, id oid, depth int) error {
		if depth > maxDepth {
			return &objectError{ObjectUnreadable, id, fmt.Sprintf("more than %d directories deep", maxDepth)}
		}
		entries, err := o.tree(id)
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := dir + e.name
			switch {
			case e.mode == modeTree && env.Near(path):
				if err := enter(path+"/", e.id, depth+1); err != nil {
					return err
				}
			case e.mode != modeTree && env.Holds(path):
				found = append(found, change{path: path, after: e})
			}
		}
		return nil
	}
	return found, enter("", tree, 0)
}

// compare compares what stands at one path.
func (o *objects) compare(path string, before, after entry, depth int, into *[]change) error {
	if before.mode == after.mode && before.id == after.id {
		return nil
	}
	if depth > maxDepth {
		return &objectError{ObjectUnreadable, after.id, fmt.Sprintf("more than %d directories deep", maxDepth)}
	}
	var was, is []entry
	c := change{path: path}
	var err error
	if before.mode == modeTree {
		if was, err = o.tree(before.id); err != nil {
			return err
		}
	} else {
		c.before = before
	}
	if after.mode == modeTree {
		if is, err = o.tree(after.id); err != nil {
			return err
		}
	} else {
		c.after = after
	}
	if c.before != (entry{}) || c.after != (entry{}) {
		*into = append(*into, c)
	}
	return o.entries(path, was, is, depth, into)
}

// entries compares two directories by name.
func (o *objects) entries(path string, was, is []entry, depth int, into *[]change) error {
	if path != "" {
		path += "/"
	}
	old := make(map[string]entry, len(was))
	for _, e := range was {
		old[e.name] = e
	}
	for _, e := range is {
		if err := o.compare(path+e.name, old[e.name], e, depth+1, into); err != nil {
			return err
		}
		delete(old, e.name)
	}
	for _, e := range was {
		if _, gone := old[e.name]; gone {
			if err := o.compare(path+e.name, e, entry{}, depth+1, into); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep hashes everything that the commits reach and that was not read before,
// so that no damaged object passes because nothing asked for it.
func (o *objects) sweep(tips []oid) error {
	seen := map[oid]bool{}
	stack := slices.Clone(tips)
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[id] {
			continue
		}
		seen[id] = true
		c, err := o.commit(id)
		if err != nil {
			return err
		}
		stack = append(stack, c.parents...)
		if err := o.sweepTree(c.tree, seen, 0); err != nil {
			return err
		}
	}
	return nil
}

func (o *objects) sweepTree(id oid, seen map[oid]bool, depth int) error {
	if seen[id] {
		return nil
	}
	seen[id] = true
	if depth > maxDepth {
		return &objectError{ObjectUnreadable, id, fmt.Sprintf("more than %d directories deep", maxDepth)}
	}
	entries, err := o.tree(id)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch {
		case e.mode == modeTree:
			err = o.sweepTree(e.id, seen, depth+1)
		case e.mode == modeGitlink || seen[e.id]:
		default:
			var k kind
			if k, err = o.check(e.id); err == nil && k != kindBlob {
				err = &objectError{ObjectMalformed, e.id, "a tree names it as a file, and it is none"}
			}
			seen[e.id] = true
		}
		if err != nil {
			return err
		}
	}
	return nil
}
