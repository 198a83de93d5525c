package gitmem

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// MergeTree merges two commits' trees. Where they have several merge bases,
// those are merged first, as git does, and theirs before them.
func (r *repository) MergeTree(ctx context.Context, ours, theirs string) (string, []string, error) {
	if err := r.known(ctx, ours, theirs); err != nil {
		return "", nil, err
	}
	bases := r.mergeBases(ours, theirs)
	if len(bases) == 0 {
		return "", nil, fmt.Errorf("common ancestor of %s and %s: %w", ours, theirs, gitstore.ErrNotFound)
	}
	base, err := r.baseTree(ctx, bases)
	if err != nil {
		return "", nil, err
	}
	m := merger{r: r}
	tree, err := m.trees(ctx, "", base, r.commit(ours).tree, r.commit(theirs).tree)
	if err != nil {
		return "", nil, err
	}
	if len(m.conflicts) > 0 {
		slices.Sort(m.conflicts)
		return "", slices.Compact(m.conflicts), nil
	}
	if tree == "" {
		tree = gitstore.EmptyTree
	}
	return tree, nil, nil
}

// baseTree merges the trees of several merge bases, oldest first, into the one
// that stands for them. Conflicting lines stay in it with both sides, so that
// they conflict again unless both tips have settled them alike; a file that
// cannot be merged by lines counts as it was before.
func (r *repository) baseTree(ctx context.Context, bases []string) (string, error) {
	last := len(bases) - 1
	tree := r.commit(bases[last]).tree
	for i := last - 1; i >= 0; i-- {
		ancestor := ""
		if older := r.mergeBases(bases[last], bases[i]); len(older) > 0 {
			var err error
			if ancestor, err = r.baseTree(ctx, older); err != nil {
				return "", err
			}
		}
		m := merger{r: r, inner: true}
		merged, err := m.trees(ctx, "", ancestor, tree, r.commit(bases[i]).tree)
		if err != nil {
			return "", err
		}
		tree = merged
	}
	return tree, nil
}

// merger carries one merge.
type merger struct {
	r         *repository
	inner     bool // among merge bases
	conflicts []string
}

// trees merges three trees, any of which may be absent (""), and returns the
// result, "" if nothing is left in it.
func (m *merger) trees(ctx context.Context, dir, base, ours, theirs string) (string, error) {
	switch {
	case ours == theirs, theirs == base:
		return ours, nil
	case ours == base:
		return theirs, nil
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	var sides [3]map[string]entry
	for i, id := range []string{base, ours, theirs} {
		var err error
		if sides[i], err = m.r.entries(id); err != nil {
			return "", err
		}
	}
	result := map[string]entry{}
	for _, name := range names(sides[:]...) {
		b, o, t := sides[0][name], sides[1][name], sides[2][name]
		path := dir + name
		file, err := m.files(path, b.file(), o.file(), t.file())
		if err != nil {
			return "", err
		}
		subtree, err := m.trees(ctx, path+"/", b.subtree().id, o.subtree().id, t.subtree().id)
		if err != nil {
			return "", err
		}
		switch {
		case subtree != "" && subtree != gitstore.EmptyTree:
			if file.id != "" { // a file and a directory of one name
				m.conflicts = append(m.conflicts, path)
			}
			result[name] = entry{mode: modeTree, id: subtree}
		case file.id != "":
			result[name] = file
		}
	}
	if len(result) == 0 {
		return "", nil
	}
	return m.r.writeTree(result)
}

// files merges one file. The zero entry is its absence.
func (m *merger) files(path string, base, ours, theirs entry) (entry, error) {
	switch {
	case ours == theirs, theirs == base:
		return ours, nil
	case ours == base:
		return theirs, nil
	case ours.id == "" || theirs.id == "", // changed here, deleted there
		!ours.regular() || !theirs.regular():
		m.conflicts = append(m.conflicts, path)
		if m.inner {
			return base, nil
		}
		return ours, nil
	}
	merged := entry{mode: ours.mode, id: ours.id}
	clean := true
	if ours.mode != theirs.mode {
		if ours.mode == base.mode {
			merged.mode = theirs.mode
		}
		clean = base.mode == ours.mode || base.mode == theirs.mode
	}
	switch {
	case ours.id == theirs.id, theirs.id == base.id:
	case ours.id == base.id:
		merged.id = theirs.id
	default:
		id, textClean, err := m.contents(base, ours, theirs)
		if err != nil {
			return entry{}, err
		}
		merged.id, clean = id, clean && textClean
	}
	if !clean {
		m.conflicts = append(m.conflicts, path)
	}
	return merged, nil
}

func (e entry) regular() bool { return e.isFile() && e.mode != modeLink && e.mode != modeGitlink }

// contents merges three blobs into one and returns its id.
func (m *merger) contents(base, ours, theirs entry) (id string, clean bool, err error) {
	var texts [3][]byte
	for i, e := range []entry{base, ours, theirs} {
		if !e.regular() {
			continue // added on both sides: a merge over nothing
		}
		o, ok := m.r.get(e.id)
		if !ok {
			return "", false, fmt.Errorf("blob %s: %w", e.id, gitstore.ErrNotFound)
		}
		if isBinary(o.data) {
			if m.inner && base.regular() {
				return base.id, false, nil
			}
			return ours.id, false, nil
		}
		texts[i] = o.data
	}
	text, clean := mergeLines(texts[0], texts[1], texts[2])
	m.r.put(object{kind: "blob", data: text})
	return objectID("blob", text), clean, nil
}

// isBinary is git's guess: a NUL among the first 8000 bytes.
func isBinary(data []byte) bool {
	return bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0
}
