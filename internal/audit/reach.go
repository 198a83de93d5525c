package audit

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// Clone is a local clone, opened for those who copy it: every object is hashed
// again when it is read. It is used by one goroutine.
type Clone struct{ objects *objects }

// ObjectID is a git object's id.
type ObjectID [20]byte

// String is the id in hexadecimal digits.
func (o ObjectID) String() string { return oid(o).String() }

// Reached is an object that a commit reaches. Base, if it is not zero, is an older
// one of the same kind, earlier in the list, that stood in the same place.
type Reached struct{ ID, Base ObjectID }

// OpenClone opens a clone, bare or not; the caller closes it.
func OpenClone(path string) (*Clone, error) {
	r, err := openRepository(path)
	if err != nil {
		return nil, err
	}
	return &Clone{newObjects(r)}, nil
}

// Close closes the clone's files.
func (c *Clone) Close() { c.objects.close() }

// Object reads an object: its kind as git names it, and its bytes, which must not be
// written to.
func (c *Clone) Object(id ObjectID) (kind string, data []byte, err error) {
	k, data, err := c.objects.object(oid(id), useKeep)
	if err != nil {
		return "", nil, err
	}
	return kindNames[k], data, nil
}

// First is the commit at which the first-parent line of another begins.
func (c *Clone) First(head promotion.Hash) (promotion.Hash, error) {
	id, ok := parseOID(head)
	if !ok {
		return "", fmt.Errorf("%.60q is no commit", head)
	}
	for range maxObjects {
		at, err := c.objects.commit(id)
		if err != nil {
			return "", err
		}
		if len(at.parents) == 0 {
			break
		}
		id = at.parents[0]
	}
	return id.hash(), nil
}

// File reads a file of a commit; nil without an error if there is none.
func (c *Clone) File(commit promotion.Hash, path string) ([]byte, error) {
	id, ok := parseOID(commit)
	if !ok {
		return nil, fmt.Errorf("%.60q is no commit", commit)
	}
	at, err := c.objects.commit(id)
	if err != nil {
		return nil, err
	}
	e, err := c.objects.lookup(at.tree, path)
	if err != nil || !e.regular() {
		return nil, err
	}
	return c.objects.read(e.id, kindBlob)
}

// Reach lists every object that the commits reach, each once: a commit behind its
// parents, and then what is new in its tree. The same history gives the same list,
// however it is stored.
func (c *Clone) Reach(ctx context.Context, heads ...promotion.Hash) ([]Reached, error) {
	w := &reach{objects: c.objects, seen: map[oid]bool{}}
	for _, head := range heads {
		id, ok := parseOID(head)
		if !ok {
			return nil, fmt.Errorf("%.60q is no commit", head)
		}
		if err := w.history(ctx, id); err != nil {
			return nil, err
		}
	}
	return w.list, nil
}

// reach is one Reach under way.
type reach struct {
	*objects
	seen map[oid]bool
	list []Reached
}

func (w *reach) add(id, base oid) {
	w.seen[id] = true
	if base == id || !w.seen[base] {
		base = oid{}
	}
	w.list = append(w.list, Reached{ObjectID(id), ObjectID(base)})
}

// history goes from a commit back, and lists on the way forth.
func (w *reach) history(ctx context.Context, head oid) error {
	stack := []oid{head}
	for len(stack) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := stack[len(stack)-1]
		c, err := w.commit(id)
		if err != nil {
			return err
		}
		if !w.seen[id] {
			before := slices.DeleteFunc(slices.Clone(c.parents), func(p oid) bool { return w.seen[p] })
			if len(before) > 0 {
				slices.Reverse(before)
				stack = append(stack, before...)
				continue
			}
			var older oid
			if len(c.parents) > 0 {
				parent, err := w.commit(c.parents[0])
				if err != nil {
					return err
				}
				older = parent.tree
			}
			w.add(id, oid{})
			if err := w.reachTree(c.tree, older, 0); err != nil {
				return err
			}
		}
		stack = stack[:len(stack)-1]
	}
	return nil
}

// reachTree lists a tree and what is in it, each told against what stood there
// before.
func (w *reach) reachTree(id, older oid, depth int) error {
	if w.seen[id] {
		return nil
	}
	if depth > maxDepth {
		return &objectError{ObjectUnreadable, id, fmt.Sprintf("more than %d directories deep", maxDepth)}
	}
	entries, err := w.tree(id)
	if err != nil {
		return err
	}
	before, err := w.tree(older)
	if err != nil {
		return err
	}
	w.add(id, older)
	for _, e := range entries {
		if e.mode == modeGitlink || w.seen[e.id] {
			continue
		}
		var was oid
		if n, ok := slices.BinarySearchFunc(before, e, func(a, b entry) int { return strings.Compare(sortKey(a), sortKey(b)) }); ok {
			was = before[n].id
		}
		if e.mode == modeTree {
			if err := w.reachTree(e.id, was, depth+1); err != nil {
				return err
			}
			continue
		}
		w.add(e.id, was)
	}
	return nil
}
