package gitrepo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// edits are the changes below one directory: files here, and directories.
type edits struct {
	files map[string]FileChange
	dirs  map[string]*edits
}

// Rewrite applies changes (by path) to tree and returns the new tree's hash,
// ready for WriteCommit. Only the touched trees are rewritten; a directory
// left empty vanishes. An empty tree hash starts from nothing. No changes, or
// changes that change nothing, give the same hash back.
//
// Refused with ErrPath: a path that is not clean or names .git, that passes
// through or replaces a symlink or submodule, that replaces a directory by a
// file or a file by a directory, that differs from an existing name in case
// only, and the removal of what isn't there.
func (r *Remote) Rewrite(ctx context.Context, tree promotion.Hash, changes map[string]FileChange) (promotion.Hash, error) {
	root := emptyTree
	if tree != "" {
		var err error
		if root, err = parseID(tree); err != nil {
			return "", err
		}
	}
	if len(changes) == 0 {
		return hashOf(root), nil
	}
	top := &edits{}
	for _, path := range slices.Sorted(maps.Keys(changes)) {
		if err := r.plan(top, path, changes[path]); err != nil {
			return "", fmt.Errorf("rewrite: %w", err)
		}
	}
	out, left, err := r.rewrite(ctx, root, "", top)
	if err != nil {
		return "", fmt.Errorf("rewrite: %w", err)
	}
	if left == 0 {
		out, err = r.writeTree(nil, id{})
	}
	return hashOf(out), err
}

// plan sorts one change into the directories it lies in.
func (r *Remote) plan(at *edits, path string, change FileChange) error {
	if change.Mode != 0 && !change.Mode.Regular() {
		return fmt.Errorf("%w: %q: mode %s can't be written", ErrPath, printable(path, 80), change.Mode)
	}
	parts, err := splitPath(path, r.options.MaxDepth)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := checkName(p); err != nil {
			return fmt.Errorf("%q: %w", printable(path, 80), err)
		}
	}
	last := len(parts) - 1
	for _, p := range parts[:last] {
		if at.dirs[p] == nil {
			if at.dirs == nil {
				at.dirs = map[string]*edits{}
			}
			at.dirs[p] = &edits{}
		}
		at = at.dirs[p]
	}
	if at.files == nil {
		at.files = map[string]FileChange{}
	}
	at.files[parts[last]] = change
	return nil
}

// rewrite applies the edits of one directory and returns its new tree with the
// number of its entries. An empty tree is not stored.
func (r *Remote) rewrite(ctx context.Context, tree id, path string, e *edits) (id, int, error) {
	nodes, err := r.tree(ctx, tree)
	if err != nil {
		return id{}, 0, err
	}
	nodes = slices.Clone(nodes)
	for _, name := range slices.Sorted(maps.Keys(e.dirs)) {
		if nodes, err = r.editDir(ctx, nodes, path, name, e.dirs[name]); err != nil {
			return id{}, 0, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		if nodes, err = r.editFile(nodes, join(path, name), name, e.files[name]); err != nil {
			return id{}, 0, err
		}
	}
	if len(nodes) == 0 {
		return emptyTree, 0, nil
	}
	out, err := r.writeTree(nodes, tree)
	return out, len(nodes), err
}

// editDir rewrites the directory name among nodes.
func (r *Remote) editDir(ctx context.Context, nodes []node, path, name string, e *edits) ([]node, error) {
	path = join(path, name)
	n, err := position(nodes, path, name)
	if err != nil {
		return nil, err
	}
	below := emptyTree
	if n >= 0 {
		if nodes[n].mode != ModeTree {
			return nil, fmt.Errorf("%w: %q is not a directory but has mode %s", ErrPath, printable(path, 80), nodes[n].mode)
		}
		below = nodes[n].id
	}
	out, left, err := r.rewrite(ctx, below, path, e)
	switch {
	case err != nil:
		return nil, err
	case left == 0 && n >= 0:
		return slices.Delete(nodes, n, n+1), nil
	case left == 0:
		return nodes, nil
	case n < 0:
		return append(nodes, node{name: name, mode: ModeTree, id: out}), nil
	}
	nodes[n].id = out
	return nodes, nil
}

// editFile changes one file among nodes.
func (r *Remote) editFile(nodes []node, path, name string, change FileChange) ([]node, error) {
	n, err := position(nodes, path, name)
	if err != nil {
		return nil, err
	}
	var old node
	if n >= 0 {
		old = nodes[n]
		if !old.mode.Regular() {
			return nil, fmt.Errorf("%w: %q is not a regular file but has mode %s", ErrPath, printable(path, 80), old.mode)
		}
	}
	if change.Delete {
		if n < 0 {
			return nil, fmt.Errorf("%w: %q can't be removed: %w", ErrPath, printable(path, 80), errNoFile)
		}
		return slices.Delete(nodes, n, n+1), nil
	}
	i, err := r.writeBlob(change.Data, old.id)
	if err != nil {
		return nil, err
	}
	file := node{name: name, id: i, mode: change.Mode}
	if file.mode == 0 {
		file.mode = old.mode
	}
	if file.mode == 0 {
		file.mode = ModeFile
	}
	if n < 0 {
		return append(nodes, file), nil
	}
	nodes[n] = file
	return nodes, nil
}

// position finds name among nodes, or -1. Another name that differs in case
// only is refused: on some file systems they are one file.
func position(nodes []node, path, name string) (int, error) {
	found := -1
	for n := range nodes {
		if nodes[n].name == name {
			found = n
		} else if strings.EqualFold(nodes[n].name, name) {
			return 0, fmt.Errorf("%w: %q differs from %q in case only", ErrPath, printable(path, 80), printable(nodes[n].name, 80))
		}
	}
	return found, nil
}
