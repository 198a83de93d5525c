package audit

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	// maxDepth is how many directories deep a tree is followed.
	maxDepth = 64
	// maxCached is how many things read out of files are kept; such caches are
	// emptied when they are full.
	maxCached = 20_000
	// commitBytes and treeBytes are what each half of those caches holds.
	commitBytes = 2 << 20
	treeBytes   = 1 << 20
	// contentBytes is what each half of the cache of files holds.
	contentBytes = 512 << 10
)

// objects reads commits and trees through small caches, and remembers what they
// name, for sweep.
type objects struct {
	*repository
	commits generations[oid, *commit]
	trees   generations[oid, []entry]
	// passing is true while nothing will be swept: what is named need not be known.
	passing bool
	// sweeping is true when everything that is named is read; queue is what was named
	// meanwhile.
	sweeping bool
	queue    []namedObject
	// aside are commits that are asked for once more, in the other order, and kept
	// those that are in any.
	aside aside
	kept  texts
	// glanced is the commit that glance or skim filled last.
	glanced commit
	// signatures checks those of commits; nil: each by itself.
	signatures *signatures
	// contents are files that were read, and digests those of policies.
	contents generations[oid, []byte]
	digests  generations[oid, string]
}

// namedObject is an object with the kind that it must be of.
type namedObject struct {
	id   oid
	kind kind
}

func newObjects(r *repository) *objects {
	return &objects{
		repository: r, commits: newGenerations[oid, *commit](commitBytes), trees: newGenerations[oid, []entry](treeBytes),
		contents: newGenerations[oid, []byte](contentBytes), digests: newGenerations[oid, string](256),
	}
}

// commit reads a commit.
func (o *objects) commit(id oid) (*commit, error) {
	if c, ok := o.commits.get(id); ok {
		return c, nil
	}
	c, err := o.fresh(id)
	if err == nil {
		o.commits.put(id, c, len(c.text)+800)
	}
	return c, err
}

// fresh reads a commit that is not in the cache, and doesn't put it there.
func (o *objects) fresh(id oid) (*commit, error) {
	c := new(commit)
	return c, o.fill(c, id, (*commit).parse)
}

// glance is fresh for a commit that is looked at before the next glance.
func (o *objects) glance(id oid) (*commit, error) {
	o.glanced = commit{}
	return &o.glanced, o.fill(&o.glanced, id, (*commit).parse)
}

// skim is glance, but for what stands behind the parents.
func (o *objects) skim(id oid) (*commit, error) {
	o.glanced = commit{}
	return &o.glanced, o.fill(&o.glanced, id, (*commit).skim)
}

// fill reads a commit into an empty one, which takes its text apart.
func (o *objects) fill(c *commit, id oid, parse func(*commit, oid, string) error) error {
	c.by = o.signatures
	if text, ok := o.aside.take(id); ok {
		return parse(c, id, text)
	}
	if text, ok := o.kept.get(id); ok {
		return parse(c, id, text)
	}
	again := o.again(id)
	raw, err := o.read(id, kindCommit)
	if err != nil {
		return err
	}
	if err := parse(c, id, string(raw)); err != nil {
		return &objectError{ObjectMalformed, id, err.Error()}
	}
	if !again {
		o.name(c.tree, kindTree)
		for _, p := range c.parents {
			o.name(p, kindCommit)
		}
	}
	return nil
}

// again reports whether an object was read before, and named what it names; true too
// where names need not be known.
func (o *objects) again(id oid) bool { return o.passing || o.known(id)&foundBit != 0 }

// name remembers that an object is named as one of a kind.
func (o *objects) name(id oid, k kind) {
	if o.passing {
		return
	}
	s := o.known(id)
	if s.kind() == k || s.named(k) {
		return
	}
	o.learn(id, s|nameBit(k))
	if o.sweeping {
		o.queue = append(o.queue, namedObject{id, k})
	}
}

// tree reads a tree; the zero id is the empty one.
func (o *objects) tree(id oid) ([]entry, error) { return o.treeAfter(id, nil) }

// treeAfter reads a tree that comes after another one, whose entries are named
// already.
func (o *objects) treeAfter(id oid, was []entry) ([]entry, error) {
	if id == (oid{}) {
		return nil, nil
	}
	again := o.again(id)
	if again { // what was not read is not kept either
		if t, ok := o.trees.renew(id, func(t []entry) int { return 64 * len(t) }); ok {
			return t, nil
		}
	}
	raw, err := o.read(id, kindTree)
	if err != nil {
		return nil, err
	}
	t, err := parseTree(raw)
	if err != nil {
		return nil, &objectError{ObjectMalformed, id, err.Error()}
	}
	if !again {
		o.nameAll(t, was)
	}
	o.trees.put(id, t, 64*len(t))
	return t, nil
}

// nameAll names a tree's entries, but those that the one before it named: most, in
// the same order.
func (o *objects) nameAll(t, was []entry) {
	for _, e := range t {
		switch {
		case len(was) > 0 && was[0] == e:
			was = was[1:]
			continue
		case len(was) > 1 && was[1] == e:
			was = was[2:]
			continue
		}
		switch e.mode {
		case modeGitlink:
		case modeTree:
			o.name(e.id, kindTree)
		default:
			o.name(e.id, kindBlob)
		}
		if len(was) > 0 && was[0].name == e.name {
			was = was[1:]
		}
	}
}

// content reads a file, and keeps it for those who ask next. Its bytes must not be
// written to.
func (o *objects) content(id oid) ([]byte, error) {
	if data, ok := o.contents.get(id); ok {
		return data, nil
	}
	data, err := o.read(id, kindBlob)
	if err == nil {
		o.contents.put(id, data, len(data)+64)
	}
	return data, err
}

// digest is the digest of a file's bytes.
func (o *objects) digest(id oid) (string, error) {
	if d, ok := o.digests.get(id); ok {
		return d, nil
	}
	data, err := o.content(id)
	if err != nil {
		return "", err
	}
	d := ledger.Digest(data)
	o.digests.put(id, d, 1)
	return d, nil
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
	var room [256]byte
	if err := o.compare(room[:0], entry{mode: modeTree, id: before}, entry{mode: modeTree, id: after}, 0, &changes); err != nil {
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

// compare compares what stands at one path, which may be written on behind its end.
func (o *objects) compare(path []byte, before, after entry, depth int, into *[]change) error {
	if before.mode == after.mode && before.id == after.id {
		return nil
	}
	if depth > maxDepth {
		return &objectError{ObjectUnreadable, after.id, fmt.Sprintf("more than %d directories deep", maxDepth)}
	}
	var was, is []entry
	var c change
	var err error
	if before.mode == modeTree {
		if was, err = o.tree(before.id); err != nil {
			return err
		}
	} else {
		c.before = before
	}
	if after.mode == modeTree {
		if is, err = o.treeAfter(after.id, was); err != nil {
			return err
		}
	} else {
		c.after = after
	}
	if c.before != (entry{}) || c.after != (entry{}) {
		c.path = string(path)
		*into = append(*into, c)
	}
	return o.entries(path, was, is, depth, into)
}

// entries compares two directories by name.
func (o *objects) entries(path []byte, was, is []entry, depth int, into *[]change) error {
	if len(path) > 0 {
		path = append(path, '/')
	}
	if sameNames(was, is) {
		for i := range is {
			if was[i].mode == is[i].mode && was[i].id == is[i].id {
				continue
			}
			if err := o.compare(append(path, is[i].name...), was[i], is[i], depth+1, into); err != nil {
				return err
			}
		}
		return nil
	}
	for len(was) > 0 || len(is) > 0 {
		var before, after entry
		switch { // both are in git's order: a file and a directory of one name stand apart
		case len(is) == 0 || len(was) > 0 && inOrder(was[0], is[0]):
			before, was = was[0], was[1:]
		case len(was) == 0 || inOrder(is[0], was[0]):
			after, is = is[0], is[1:]
		default:
			before, after, was, is = was[0], is[0], was[1:], is[1:]
			if before.mode == after.mode && before.id == after.id {
				continue
			}
		}
		if err := o.compare(append(path, cmp.Or(before.name, after.name)...), before, after, depth+1, into); err != nil {
			return err
		}
	}
	return nil
}

// sameNames reports whether two directories list the same names.
func sameNames(a, b []entry) bool {
	return slices.EqualFunc(a, b, func(a, b entry) bool { return a.name == b.name })
}

// sweep hashes everything that the commits reach and that was not read before,
// so that no damaged object passes because nothing asked for it. What was read
// has named what it stands on: that is followed until nothing is left.
func (o *objects) sweep(tips []oid, reading *progress.Step) error {
	for _, id := range tips {
		o.name(id, kindCommit)
	}
	o.named(func(id oid, k kind) { o.queue = append(o.queue, namedObject{id, k}) })
	o.sweeping = true
	defer func() { o.sweeping, o.queue = false, nil }()
	for len(o.queue) > 0 {
		batch := o.queue
		o.queue = nil
		slices.SortFunc(batch, func(a, b namedObject) int {
			return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.kind, b.kind))
		})
		for _, n := range batch {
			if err := o.readAs(n); err != nil {
				return err
			}
			reading.Add(1)
		}
	}
	return nil
}

// readAs reads an object as what it is named for.
func (o *objects) readAs(n namedObject) error {
	switch n.kind {
	case kindCommit:
		_, err := o.commit(n.id)
		return err
	case kindTree:
		_, err := o.tree(n.id)
		return err
	}
	k, err := o.check(n.id)
	if err == nil && k != kindBlob {
		err = &objectError{ObjectMalformed, n.id, "a tree names it as a file, and it is none"}
	}
	return err
}
