package gitrepo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/rungbot/rung/internal/promotion"
)

// tree reads one tree.
func (r *Remote) tree(ctx context.Context, i id) ([]node, error) {
	got, err := r.objects(ctx, plumbing.TreeObject, []id{i})
	if err != nil {
		return nil, err
	}
	return parseTree(got[i])
}

// Tree reads one tree's entries in git's order, fetching it (with all trees
// below it) if absent.
func (r *Remote) Tree(ctx context.Context, hash promotion.Hash) ([]Entry, error) {
	i, err := parseID(hash)
	if err != nil {
		return nil, err
	}
	nodes, err := r.tree(ctx, i)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(nodes))
	for n := range nodes {
		entries[n] = nodes[n].entry()
	}
	return entries, nil
}

// Lookup finds the entry at path (forward slashes, no leading slash) below
// tree; false if there is none. The empty path is the tree itself. A path that
// leads through a symlink or submodule is ErrPath.
func (r *Remote) Lookup(ctx context.Context, tree promotion.Hash, path string) (Entry, bool, error) {
	i, err := parseID(tree)
	if err != nil {
		return Entry{}, false, err
	}
	n, ok, err := lookup(r.finder(ctx), r.options.MaxDepth, i, path)
	if err != nil || !ok {
		return Entry{}, false, err
	}
	return n.entry(), true, nil
}

// finder finds one name in one tree.
func (r *Remote) finder(ctx context.Context) func(tree id, name string) (node, bool, error) {
	return func(tree id, name string) (node, bool, error) {
		nodes, err := r.tree(ctx, tree)
		if err != nil {
			return node{}, false, err
		}
		n := slices.IndexFunc(nodes, func(n node) bool { return n.name == name })
		if n < 0 {
			return node{}, false, nil
		}
		return nodes[n], true, nil
	}
}

// indexedFinder is finder for many names: each tree is read once.
func (r *Remote) indexedFinder(ctx context.Context) func(tree id, name string) (node, bool, error) {
	trees := map[id]map[string]node{}
	return func(tree id, name string) (node, bool, error) {
		index, ok := trees[tree]
		if !ok {
			nodes, err := r.tree(ctx, tree)
			if err != nil {
				return node{}, false, err
			}
			index = make(map[string]node, len(nodes))
			for _, n := range nodes {
				index[n.name] = n
			}
			trees[tree] = index
		}
		n, ok := index[name]
		return n, ok, nil
	}
}

// lookup follows path down from tree.
func lookup(find func(tree id, name string) (node, bool, error), maxDepth int, tree id, path string) (node, bool, error) {
	at := node{mode: ModeTree, id: tree}
	if path == "" {
		return at, true, nil
	}
	parts, err := splitPath(path, maxDepth)
	if err != nil {
		return node{}, false, err
	}
	for _, part := range parts {
		switch at.mode {
		case ModeTree:
		case ModeSymlink, ModeGitlink:
			return node{}, false, fmt.Errorf("%w: %q leads through a symlink or submodule", ErrPath, printable(path, 80))
		default:
			return node{}, false, nil
		}
		next, ok, err := find(at.id, part)
		if err != nil || !ok {
			return node{}, false, err
		}
		at = next
	}
	return at, true, nil
}

// pair is one place in two trees that are compared or, with before unset,
// walked.
type pair struct {
	path          string
	before, after id
}

// Walk lists all files (symlinks and submodules included) at or below prefix,
// sorted by path, which starts at the root of tree. The empty prefix walks
// everything; a prefix that doesn't exist gives no files.
func (r *Remote) Walk(ctx context.Context, tree promotion.Hash, prefix string) ([]File, error) {
	changes, err := r.Diff(ctx, "", tree, prefix)
	if err != nil {
		return nil, err
	}
	files := make([]File, len(changes))
	for n, c := range changes {
		files[n] = File{Path: c.Path, Mode: c.After.Mode, Hash: c.After.Hash}
	}
	return files, nil
}

// WalkInto lists the files of a tree, sorted by path, in those directories that
// enter says; the others are not read. enter is asked of files too.
func (r *Remote) WalkInto(ctx context.Context, tree promotion.Hash, enter func(path string) bool) ([]File, error) {
	top, err := parseID(tree)
	if err != nil {
		return nil, err
	}
	d := differ{remote: r, enter: enter}
	if err := d.compare("", node{}, node{mode: ModeTree, id: top}); err != nil {
		return nil, err
	}
	changes, err := d.run(ctx)
	if err != nil {
		return nil, err
	}
	files := make([]File, len(changes))
	for n, c := range changes {
		files[n] = File{Path: c.Path, Mode: c.After.Mode, Hash: c.After.Hash}
	}
	return files, nil
}

// Diff lists the paths at or below prefix whose entries differ, sorted by path.
// Equal subtrees are not read; each level of directories costs at most one
// request. An empty hash stands for the empty tree. A file that became a
// directory is one removed path and some added ones.
func (r *Remote) Diff(ctx context.Context, before, after promotion.Hash, prefix string) ([]Change, error) {
	var top [2]node
	for n, h := range []promotion.Hash{before, after} {
		i := emptyTree
		if h != "" {
			var err error
			if i, err = parseID(h); err != nil {
				return nil, err
			}
		}
		found, _, err := lookup(r.finder(ctx), r.options.MaxDepth, i, prefix)
		if err != nil {
			return nil, err
		}
		top[n] = found
	}
	d := differ{remote: r}
	if err := d.compare(prefix, top[0], top[1]); err != nil {
		return nil, err
	}
	return d.run(ctx)
}

// run compares level by level until nothing is open.
func (d *differ) run(ctx context.Context) ([]Change, error) {
	for depth := 0; len(d.open) > 0; depth++ {
		if limit := d.remote.options.MaxDepth; depth > limit {
			return nil, fmt.Errorf("diff: %w: more than %d directories deep", ErrTooLarge, limit)
		}
		if err := d.level(ctx); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(d.changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return d.changes, nil
}

// differ compares two trees level by level.
type differ struct {
	remote *Remote
	// enter says which paths are looked at; nil is all.
	enter   func(path string) bool
	open    []pair
	changes []Change
}

// level compares the open pairs and opens those below them.
func (d *differ) level(ctx context.Context) error {
	open := d.open
	d.open = nil
	ids := make([]id, 0, 2*len(open))
	for _, p := range open {
		ids = append(ids, p.before, p.after)
	}
	trees, err := d.remote.objects(ctx, plumbing.TreeObject, ids)
	if err != nil {
		return err
	}
	for _, p := range open {
		before, err := parseTree(trees[p.before])
		if err != nil {
			return err
		}
		after, err := parseTree(trees[p.after])
		if err != nil {
			return err
		}
		if err := d.entries(p.path, before, after); err != nil {
			return err
		}
	}
	return nil
}

// entries walks two sorted lists of entries side by side. A file and a
// directory of one name sort apart, so one replacing the other is a removal
// and an addition.
func (d *differ) entries(path string, before, after []node) error {
	for len(before) > 0 || len(after) > 0 {
		var o, n node
		order := 0
		switch {
		case len(before) == 0:
			order = 1
		case len(after) == 0:
			order = -1
		default:
			order = compareNames(before[0], after[0])
		}
		if order <= 0 {
			o, before = before[0], before[1:]
		}
		if order >= 0 {
			n, after = after[0], after[1:]
		}
		if o.mode == n.mode && o.id == n.id {
			continue
		}
		if err := d.compare(join(path, cmp.Or(o.name, n.name)), o, n); err != nil {
			return err
		}
	}
	return nil
}

// compare compares what stands at one path; a zero node is nothing.
func (d *differ) compare(path string, before, after node) error {
	if before.mode == after.mode && before.id == after.id || d.enter != nil && path != "" && !d.enter(path) {
		return nil
	}
	below := pair{path: path, before: emptyTree, after: emptyTree}
	change := Change{Path: path}
	if before.mode == ModeTree {
		below.before = before.id
	} else if before.mode != 0 {
		change.Before = before.entry()
	}
	if after.mode == ModeTree {
		below.after = after.id
	} else if after.mode != 0 {
		change.After = after.entry()
	}
	if below.before != below.after {
		d.open = append(d.open, below)
	}
	if change.Before != (Entry{}) || change.After != (Entry{}) {
		d.changes = append(d.changes, change)
	}
	if limit := d.remote.options.MaxObjects; len(d.changes) > limit || len(d.open) > limit {
		return fmt.Errorf("diff: %w: more than %d paths", ErrTooLarge, limit)
	}
	return nil
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// ReadFiles reads the regular files at the given paths, with at most one
// request for all missing blobs. A path with no file (or a directory) is
// absent from the map; a symlink or submodule is ErrPath.
func (r *Remote) ReadFiles(ctx context.Context, tree promotion.Hash, paths []string) (map[string][]byte, error) {
	root, err := parseID(tree)
	if err != nil {
		return nil, err
	}
	at := make(map[string]id, len(paths))
	find := r.indexedFinder(ctx)
	for _, path := range paths {
		n, ok, err := lookup(find, r.options.MaxDepth, root, path)
		switch {
		case err != nil:
			return nil, err
		case !ok || n.mode == ModeTree:
		case n.mode.Regular():
			at[path] = n.id
		default:
			return nil, fmt.Errorf("%w: %q is a symlink or submodule", ErrPath, printable(path, 80))
		}
	}
	ids := make([]id, 0, len(at))
	for _, i := range at {
		ids = append(ids, i)
	}
	blobs, err := r.blobs(ctx, ids)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(at))
	for path, i := range at {
		files[path] = blobs[i].data
	}
	return files, nil
}

// Blobs reads blobs by hash, with at most one request for all that are missing.
// Callers must not change the bytes.
func (r *Remote) Blobs(ctx context.Context, hashes ...promotion.Hash) (map[promotion.Hash][]byte, error) {
	ids := make([]id, len(hashes))
	for n, h := range hashes {
		var err error
		if ids[n], err = parseID(h); err != nil {
			return nil, err
		}
	}
	blobs, err := r.blobs(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[promotion.Hash][]byte, len(blobs))
	for i, o := range blobs {
		out[hashOf(i)] = o.data
	}
	return out, nil
}

func (r *Remote) blobs(ctx context.Context, ids []id) (map[id]object, error) {
	got, err := r.objects(ctx, plumbing.BlobObject, ids)
	if err != nil {
		return nil, err
	}
	for i, o := range got {
		if int64(len(o.data)) > r.options.MaxBlob {
			return nil, fmt.Errorf("blob %s: %w: %d bytes, where %d are taken", i, ErrTooLarge, len(o.data), r.options.MaxBlob)
		}
	}
	return got, nil
}
