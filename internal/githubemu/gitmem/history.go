package gitmem

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// generation is one more than the largest generation of a commit's parents, so
// that every commit has a larger one than its ancestors, whatever its clock
// said. Missing parents count as 0.
func (r *repository) generation(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	stack := []string{id}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		c := r.commits[top]
		if c == nil {
			stack = stack[:len(stack)-1]
			continue
		}
		highest, ready := 0, true
		for _, parent := range c.parents {
			g, known := r.generations[parent]
			if !known && r.commits[parent] != nil {
				stack, ready = append(stack, parent), false
			}
			highest = max(highest, g)
		}
		if ready {
			r.generations[top] = highest + 1
			stack = stack[:len(stack)-1]
		}
	}
	return r.generations[id]
}

// queued is a commit in a queue, taken by larger rank first and, among equals,
// in the order of arrival.
type queued struct {
	id    string
	rank  int64
	order int
}

type queue struct {
	items []queued
	count int
}

func (q *queue) Len() int { return len(q.items) }
func (q *queue) Less(i, j int) bool {
	a, b := q.items[i], q.items[j]
	return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.order, b.order)) < 0
}
func (q *queue) Swap(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] }
func (q *queue) Push(x any)    { q.items = append(q.items, x.(queued)) }
func (q *queue) Pop() any {
	last := q.items[len(q.items)-1]
	q.items = q.items[:len(q.items)-1]
	return last
}

func (q *queue) add(id string, rank int64) {
	q.count++
	heap.Push(q, queued{id: id, rank: rank, order: q.count})
}

func (q *queue) take() string { return heap.Pop(q).(queued).id }

// sides says from which of the two tips a commit is reached; stale marks what
// lies behind a common ancestor already found.
type sides uint8

const (
	sideA sides = 1 << iota
	sideB
	stale
)

// mergeBases returns the best common ancestors of two commits: those that are
// no ancestor of another common ancestor, newest first.
func (r *repository) mergeBases(a, b string) []string {
	seen := map[string]sides{}
	var q queue
	alive := 0 // queued commits that are not stale
	reach := func(id string, from sides) {
		before, known := seen[id]
		if r.commit(id) == nil || before|from == before {
			return
		}
		seen[id] = before | from
		switch {
		case !known:
			q.add(id, int64(r.generation(id)))
			if from&stale == 0 {
				alive++
			}
		case before&stale == 0 && from&stale != 0:
			alive-- // still queued: its generation is below that of what reached it
		}
	}
	reach(a, sideA)
	reach(b, sideB)
	var bases []string
	for q.Len() > 0 && alive > 0 {
		id := q.take()
		from := seen[id]
		if from&stale == 0 {
			alive--
		}
		if from == sideA|sideB {
			bases = append(bases, id)
			from |= stale
		}
		for _, parent := range r.commit(id).parents {
			reach(parent, from)
		}
	}
	slices.SortStableFunc(bases, func(x, y string) int {
		return cmp.Compare(r.commit(y).time, r.commit(x).time)
	})
	return bases
}

// MergeBase returns the newest of the best common ancestors.
func (r *repository) MergeBase(ctx context.Context, a, b string) (string, error) {
	if err := r.known(ctx, a, b); err != nil {
		return "", err
	}
	bases := r.mergeBases(a, b)
	if len(bases) == 0 {
		return "", fmt.Errorf("common ancestor of %s and %s: %w", a, b, gitstore.ErrNotFound)
	}
	return bases[0], nil
}

func (r *repository) known(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		if r.commit(id) == nil {
			return fmt.Errorf("commit %q: %w", id, gitstore.ErrNotFound)
		}
	}
	return ctx.Err()
}

// ancestors returns the commits that can be reached from tips, themselves
// included, without entering stop. parents says where a commit leads.
func (r *repository) ancestors(tips []string, stop map[string]bool, parents func(id string) []string) []string {
	seen := map[string]bool{}
	var order []string
	stack := slices.Clone(tips)
	slices.Reverse(stack)
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[id] || stop[id] || r.commit(id) == nil {
			continue
		}
		seen[id] = true
		order = append(order, id)
		stack = append(stack, parents(id)...)
	}
	return order
}

func (r *repository) parents(id string) []string {
	if c := r.commit(id); c != nil {
		return c.parents
	}
	return nil
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// Log lists commits by committer time, a child before its parents.
func (r *repository) Log(ctx context.Context, tip string, exclude []string, limit int) ([]gitstore.Commit, error) {
	if err := r.known(ctx, append([]string{tip}, exclude...)...); err != nil {
		return nil, err
	}
	excluded := setOf(r.ancestors(exclude, nil, r.parents))
	children := map[string]int{}
	for _, id := range r.ancestors([]string{tip}, excluded, r.parents) {
		for _, parent := range r.parents(id) {
			children[parent]++
		}
	}
	var q queue
	if !excluded[tip] {
		q.add(tip, r.commit(tip).time)
	}
	var log []gitstore.Commit
	for q.Len() > 0 && len(log) < limit {
		c, err := r.ReadCommit(ctx, q.take())
		if err != nil {
			return nil, err
		}
		log = append(log, c)
		for _, parent := range c.Parents {
			if children[parent]--; children[parent] == 0 && !excluded[parent] && r.commit(parent) != nil {
				q.add(parent, r.commit(parent).time)
			}
		}
	}
	return log, nil
}
