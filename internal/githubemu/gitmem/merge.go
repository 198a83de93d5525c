package gitmem

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// MergeTree merges two commits' trees. Where they have several merge bases,
// those are merged first, as git does.
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
	m := merger{ctx: ctx, r: r}
	tree, err := m.trees("", base, r.commit(ours).tree, r.commit(theirs).tree)
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
// that stands for them. A conflict among them keeps both sides' lines, so that
// it conflicts again unless both sides have settled it alike.
func (r *repository) baseTree(ctx context.Context, bases []string) (string, error) {
	last := len(bases) - 1
	tree := r.commit(bases[last]).tree
	for i := last - 1; i >= 0; i-- {
		older := r.mergeBases(bases[last], bases[i])
		ancestor := ""
		if len(older) > 0 {
			ancestor = r.commit(older[0]).tree
		}
		m := merger{ctx: ctx, r: r}
		merged, err := m.trees("", ancestor, tree, r.commit(bases[i]).tree)
		if err != nil {
			return "", err
		}
		tree = merged
	}
	return tree, nil
}

// merger carries one merge.
type merger struct {
	ctx       context.Context //nolint:containedctx // lives as long as one call
	r         *repository
	conflicts []string
}

// trees merges three trees, any of which may be absent (""), and returns the
// result, "" if nothing is left in it.
func (m *merger) trees(dir, base, ours, theirs string) (string, error) {
	switch {
	case ours == theirs, theirs == base:
		return ours, nil
	case ours == base:
		return theirs, nil
	}
	if err := m.ctx.Err(); err != nil {
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
		subtree, err := m.trees(path+"/", b.subtree().id, o.subtree().id, t.subtree().id)
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
	case ours.id == "" || theirs.id == "": // changed here, deleted there
		m.conflicts = append(m.conflicts, path)
		if ours.id == "" {
			return theirs, nil
		}
		return ours, nil
	case !ours.regular() || !theirs.regular():
		m.conflicts = append(m.conflicts, path)
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
		text, textClean, err := m.contents(base, ours, theirs)
		if err != nil {
			return entry{}, err
		}
		clean = clean && textClean
		m.r.put(object{kind: "blob", data: text})
		merged.id = objectID("blob", text)
	}
	if !clean {
		m.conflicts = append(m.conflicts, path)
	}
	return merged, nil
}

func (e entry) regular() bool { return e.isFile() && e.mode != modeLink && e.mode != modeGitlink }

func (m *merger) contents(base, ours, theirs entry) (text []byte, clean bool, err error) {
	var texts [3][]byte
	for i, e := range []entry{base, ours, theirs} {
		if e.id == "" || !e.regular() {
			continue
		}
		o, ok := m.r.get(e.id)
		if !ok {
			return nil, false, fmt.Errorf("blob %s: %w", e.id, gitstore.ErrNotFound)
		}
		if isBinary(o.data) {
			return texts[1], false, nil
		}
		texts[i] = o.data
	}
	text, clean = mergeLines(texts[0], texts[1], texts[2])
	return text, clean, nil
}

// isBinary is git's guess: a NUL among the first 8000 bytes.
func isBinary(data []byte) bool {
	return bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0
}
