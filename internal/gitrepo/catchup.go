package gitrepo

import (
	"context"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/rungbot/rung/internal/promotion"
)

// CatchUp returns the first-parent commits after from up to to, oldest first,
// with the trees they changed in the cache. One merge or push of one commit
// costs one request; more commits cost log4 of their number. With a Relation
// other than Ahead there are no commits, and to is fetched as by Fetch; see
// the Relations for what each says. The error is ErrMissing if the server
// doesn't know to.
func (r *Remote) CatchUp(ctx context.Context, from, to promotion.Hash) ([]Commit, Relation, error) {
	a, err := parseID(from)
	if err != nil {
		return nil, 0, err
	}
	b, err := parseID(to)
	if err != nil {
		return nil, 0, err
	}
	if a == b {
		return nil, Same, r.Fetch(ctx, to)
	}
	line, err := r.localLine(a, b)
	if err != nil {
		return nil, 0, err
	}
	if line != nil {
		return line, Ahead, nil
	}
	if r.clone != nil {
		return nil, r.onDisk(a, b), r.Fetch(ctx, to)
	}
	line, relation, err := r.deepen(ctx, a, b)
	if err != nil {
		return nil, 0, err
	}
	if relation != Ahead {
		return nil, relation, r.Fetch(ctx, to)
	}
	return line, Ahead, nil
}

// localLine is the first-parent line from a to b if all of it, with the root
// trees, is in memory.
func (r *Remote) localLine(a, b id) ([]Commit, error) {
	h, err := judge(r.store.get, a, b)
	if err != nil || h.relation != Ahead {
		return nil, err
	}
	for _, c := range h.line {
		root, err := parseID(c.Tree)
		if err != nil {
			return nil, err
		}
		if _, ok := r.store.get(root); !ok {
			return nil, nil
		}
	}
	return h.line, nil
}

const (
	// treesDepth is the depth up to which history is asked for with its trees;
	// deeper, the commits alone are looked at first.
	treesDepth = 16
	// doneDepth is the first of the two depths tried when the server doesn't
	// see from below to.
	doneDepth = 16
)

// deepen fetches more and more of b's history until the first-parent line
// reaches a, or can't.
func (r *Remote) deepen(ctx context.Context, a, b id) ([]Commit, Relation, error) {
	done, doneRounds := false, 0
	for depth := 1; ; {
		withTrees := depth <= treesDepth && !done
		answer, got, err := r.probe(ctx, a, b, depth, done, withTrees)
		if err != nil {
			return nil, 0, err
		}
		if got == nil {
			if !answer.acknowledged {
				return nil, Diverged, nil // the server doesn't know a
			}
			// b is behind a, or beside it, or a clock went back: only a few
			// more commits are worth looking at.
			done, depth = true, doneDepth
			continue
		}
		h, err := judge(func(i id) (object, bool) { o, ok := got[i]; return o, ok }, a, b)
		if err != nil {
			return nil, 0, err
		}
		if done {
			doneRounds++
		}
		switch {
		case h.relation == Ahead && !withTrees:
			_, _, err := r.probe(ctx, a, b, len(h.line), true, true)
			return h.line, Ahead, err
		case h.relation != 0:
			return h.line, h.relation, nil
		case doneRounds == 2 && h.ancestor:
			return nil, Foxtrot, nil
		case doneRounds == 2:
			return nil, Diverged, nil
		case depth >= r.options.MaxCatchUp:
			return nil, TooFar, nil
		}
		depth = min(depth*4, r.options.MaxCatchUp)
	}
}

// probe fetches b's history to a depth, as one who has a. Without a pack in
// the answer the objects are nil.
func (r *Remote) probe(ctx context.Context, a, b id, depth int, done, trees bool) (fetchAnswer, map[id]object, error) {
	const op = "catch up"
	spec := fetchSpec{op: op, wants: []id{b}, from: a, deepen: depth, filter: blobless, thin: true, done: done}
	fetch := r.fetch
	if !trees {
		fetch = r.fetchTreeless
	}
	answer, err := fetch(ctx, spec)
	if err != nil || (answer.pack == nil && !done) {
		return answer, nil, err
	}
	got, err := r.take(ctx, op, answer.pack)
	return answer, got, err
}

// history is what the commits at hand say of a and b.
type history struct {
	line     []Commit // a's first-parent successors up to b, oldest first, if Ahead
	relation Relation // zero: not known yet
	ancestor bool     // a is a parent of something that b descends from
}

// judge looks at the commits below b that get finds. If b's first-parent line
// reaches a root without meeting a, the relation is Foxtrot, or Diverged once
// nothing below b is missing.
func judge(get func(id) (object, bool), a, b id) (history, error) {
	var h history
	line, ended, err := firstParents(get, a, b)
	if err != nil {
		return h, err
	}
	if ended && len(line[len(line)-1].Parents) > 0 {
		slices.Reverse(line)
		return history{line: line, relation: Ahead, ancestor: true}, nil
	}
	seen := map[id]bool{b: true}
	complete := true
	for queue := []id{b}; len(queue) > 0; queue = queue[1:] {
		parents, ok, err := parentsOf(get, queue[0])
		if err != nil {
			return h, err
		}
		complete = complete && ok
		for _, p := range parents {
			h.ancestor = h.ancestor || p == a
			if p != a && !seen[p] {
				seen[p] = true
				queue = append(queue, p)
			}
		}
	}
	switch {
	case ended && h.ancestor:
		h.relation = Foxtrot
	case ended && complete:
		h.relation = Diverged
	}
	return h, nil
}

// firstParents follows b's first parents, newest first, up to the commit whose
// first parent is a, or that has none (ended is then true), or as far as get
// knows them.
func firstParents(get func(id) (object, bool), a, b id) (line []Commit, ended bool, err error) {
	for i := b; ; {
		o, ok := get(i)
		if !ok || o.kind != plumbing.CommitObject {
			return line, false, nil
		}
		c, err := parseCommit(o)
		if err != nil {
			return nil, false, err
		}
		line = append(line, c)
		if len(c.Parents) == 0 {
			return line, true, nil
		}
		if i, err = parseID(c.Parents[0]); err != nil {
			return nil, false, err
		}
		if i == a {
			return line, true, nil
		}
	}
}

// parentsOf reads one commit's parents; false if get doesn't know it.
func parentsOf(get func(id) (object, bool), i id) ([]id, bool, error) {
	o, ok := get(i)
	if !ok || o.kind != plumbing.CommitObject {
		return nil, false, nil
	}
	c, err := parseCommit(o)
	if err != nil {
		return nil, false, err
	}
	parents := make([]id, len(c.Parents))
	for n, p := range c.Parents {
		if parents[n], err = parseID(p); err != nil {
			return nil, false, err
		}
	}
	return parents, true, nil
}
