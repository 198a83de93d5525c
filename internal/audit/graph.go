package audit

import (
	"container/heap"
	"context"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/progress"
)

// walk learns the graph below the head: all of it, or what is behind a
// checkpoint's recorded base.
func (b *baseWalk) walk(ctx context.Context) error {
	below := b.all
	if b.ledger.past != nil {
		below = b.newer
	}
	if err := below(ctx); err != nil {
		return err
	}
	for at := b.head; ; at = b.parents[at][0] {
		b.line = append(b.line, at)
		if len(b.parents[at]) == 0 || b.ledger.past != nil && at == b.ledger.past.recorded {
			break
		}
	}
	slices.Reverse(b.line)
	for i, id := range b.line {
		b.position[id] = i
	}
	return nil
}

// take learns one commit.
func (b *baseWalk) take(c *commit) {
	b.parents[c.id] = slices.Clone(c.parents)
	if strings.Contains(c.message, "Promotion-") || c.odd != "" || strings.Contains(c.text[c.unsignedTo:c.signedFrom], "SSH SIGNATURE") {
		b.suspects[c.id] = true
	}
}

// all learns every commit that the head reaches.
func (b *baseWalk) all(ctx context.Context) error {
	reading := progress.Begin(ctx, "reading the base branch", "commits", 0)
	stack := []oid{b.head}
	for len(stack) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if _, seen := b.parents[id]; seen {
			continue
		}
		c, err := b.glance(id)
		if err != nil {
			return err
		}
		b.take(c)
		reading.Add(1)
		b.kept.put(id, c.text)
		stack = append(stack, c.parents...)
	}
	return nil
}

// painted is a commit on its way through a painting, youngest first.
type painted struct {
	c    *commit
	when int64
}

type byDate []painted

func (q byDate) Len() int           { return len(q) }
func (q byDate) Less(i, j int) bool { return q[i].when > q[j].when }
func (q byDate) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *byDate) Push(x any)        { *q = append(*q, x.(painted)) }
func (q *byDate) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// newer learns the commits that the head reaches and the recorded base does not.
// Dates only say in which order it looks: a commit with a false one may be taken
// for new, never for old.
func (b *baseWalk) newer(ctx context.Context) error {
	recorded := b.ledger.past.recorded
	old, met := map[oid]bool{}, map[oid]*commit{}
	queue := &byDate{}
	fresh := 0 // commits in the queue that are not known to be old
	push := func(id oid, isOld bool) error {
		c, seen := met[id]
		if seen && (old[id] || !isOld) {
			return nil
		}
		if !seen {
			var err error
			if c, err = b.commit(id); err != nil {
				return err
			}
			met[id] = c
		}
		if isOld {
			old[id] = true
		} else {
			fresh++
		}
		heap.Push(queue, painted{c, c.committed().Unix()})
		return nil
	}
	if err := push(recorded, true); err != nil {
		return err
	}
	if err := push(b.head, false); err != nil {
		return err
	}
	waiting := map[oid]bool{b.head: !old[b.head]}
	for queue.Len() > 0 && fresh > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := heap.Pop(queue).(painted).c
		if waiting[at.id] {
			delete(waiting, at.id)
			fresh--
		}
		for _, p := range at.parents {
			_, seen := met[p]
			if err := push(p, old[at.id]); err != nil {
				return err
			}
			if !seen && !old[at.id] {
				waiting[p] = true
			}
		}
	}
	behind := b.head == recorded
	for _, c := range met {
		if !old[c.id] {
			b.take(c)
			behind = behind || slices.Contains(c.parents, recorded)
		}
	}
	if !behind {
		return errWhole // the recorded base is not below the head
	}
	b.parents[recorded] = met[recorded].parents
	return nil
}

// reaches reports whether a commit is the head's ancestor, or the head.
func (b *baseWalk) reaches(id oid) bool {
	if _, there := b.parents[id]; there || b.ledger.past == nil {
		return there
	}
	return b.ledger.past.reached(b.objects, id, b.ledger.past.base, &b.ledger.past.baseQueue)
}

// before reports whether a commit that the head reaches is another one, or its
// ancestor.
func (b *baseWalk) before(id, other oid) bool {
	at, onLine := b.position[id]
	end, alsoOnLine := b.position[other]
	if onLine && alsoOnLine {
		return at <= end
	}
	if _, there := b.parents[id]; !there {
		return b.reaches(id) // it stands before all that is walked
	}
	return b.ancestors(other)[id]
}

// ancestors are a commit and everything below it, as far as it is walked.
func (b *baseWalk) ancestors(id oid) map[oid]bool {
	seen, stack := map[oid]bool{}, []oid{id}
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if _, known := b.parents[at]; !known || seen[at] {
			continue
		}
		seen[at] = true
		stack = append(stack, b.parents[at]...)
	}
	return seen
}

// sweepSince is sweep for a run from a checkpoint: it hashes what the new commits
// have and the ones before them had not.
func (o *objects) sweepSince(commits []oid) error {
	for _, id := range commits {
		c, err := o.commit(id)
		if err != nil {
			return err
		}
		before := oid{}
		if len(c.parents) > 0 {
			parent, err := o.commit(c.parents[0])
			if err != nil {
				return err
			}
			before = parent.tree
		}
		changes, err := o.diff(before, c.tree) // reads the trees
		if err != nil {
			return err
		}
		for _, ch := range changes {
			if ch.after == (entry{}) || ch.after.mode == modeGitlink {
				continue
			}
			if err := o.readAs(namedObject{ch.after.id, kindBlob}); err != nil {
				return err
			}
		}
	}
	return nil
}
