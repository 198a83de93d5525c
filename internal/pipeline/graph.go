package pipeline

import (
	"maps"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// sortGraph puts the environments in topological order, ties by name. Those on
// a cycle or behind one are reported and left out.
func (b *builder) sortGraph() []promotion.Environment {
	var order []promotion.Environment
	left := map[promotion.Environment]bool{}
	for name := range b.environments {
		left[name] = true
	}
	for {
		var ready []promotion.Environment
		for name := range left {
			if !slices.ContainsFunc(b.environments[name].spec.After, func(p promotion.Environment) bool { return left[p] }) {
				ready = append(ready, name)
			}
		}
		if len(ready) == 0 {
			break
		}
		// One at a time: what becomes ready may come before others by name.
		next := slices.Min(ready)
		delete(left, next)
		order = append(order, next)
	}
	if len(left) > 0 {
		b.reportCycles(left)
	}
	return order
}

// reportCycles names one cycle for each knot of environments that stand behind
// each other, and the environments that are unreachable because of them.
func (b *builder) reportCycles(left map[promotion.Environment]bool) {
	held := slices.Sorted(maps.Keys(left))
	inCycle := map[promotion.Environment]bool{}
	var last string
	for _, name := range held {
		if inCycle[name] {
			continue
		}
		cycle := b.shortestCycle(name, left)
		if cycle == nil {
			continue
		}
		// Everything of the same knot is told by this one cycle.
		for _, other := range held {
			if b.reaches(name, other, left) && b.reaches(other, name, left) {
				inCycle[other] = true
			}
		}
		last = showCycle(cycle)
		b.add(problem{at: b.cycleAt(cycle), text: "environments stand behind each other: " + last, holds: held})
	}
	for _, name := range held {
		if !inCycle[name] {
			b.add(problem{at: b.environments[name].at, text: "environment " + string(name) + " can't be reached from a first environment: it stands behind the cycle " + b.cycleBefore(name, inCycle, left, last), holds: held})
		}
	}
}

func showCycle(cycle []promotion.Environment) string {
	names := make([]string, 0, len(cycle)+1)
	for _, name := range append(slices.Clone(cycle), cycle[0]) {
		names = append(names, string(name))
	}
	return strings.Join(names, " → ")
}

// cycleBefore is the cycle that name stands behind.
func (b *builder) cycleBefore(name promotion.Environment, inCycle, left map[promotion.Environment]bool, fallback string) string {
	for _, other := range slices.Sorted(maps.Keys(inCycle)) {
		if b.reaches(other, name, left) {
			if cycle := b.shortestCycle(other, left); cycle != nil {
				return showCycle(cycle)
			}
		}
	}
	return fallback
}

// reaches reports whether a way climbs from one environment to another, of at
// least one step.
func (b *builder) reaches(from, to promotion.Environment, left map[promotion.Environment]bool) bool {
	return b.climb(from, to, left) != nil
}

// shortestCycle is the shortest way from name back to itself in the direction
// of the climb, without the repeated end; nil if there is none.
func (b *builder) shortestCycle(name promotion.Environment, left map[promotion.Environment]bool) []promotion.Environment {
	return b.climb(name, name, left)
}

// climb searches breadth first, down from `to` through predecessors, and
// returns the way [from … before to].
func (b *builder) climb(from, to promotion.Environment, left map[promotion.Environment]bool) []promotion.Environment {
	next := map[promotion.Environment]promotion.Environment{} // the step up from each
	queue := []promotion.Environment{to}
	for len(queue) > 0 {
		current := queue[0]
		queue = queue[1:]
		for _, before := range b.environments[current].spec.After {
			if _, seen := next[before]; seen || !left[before] {
				continue
			}
			next[before] = current
			if before == from {
				way := []promotion.Environment{from}
				for step := next[from]; step != to; step = next[step] {
					way = append(way, step)
				}
				return way
			}
			queue = append(queue, before)
		}
	}
	return nil
}

// cycleAt is where a cycle is reported: at an edge written in rung.d if there
// is one, for the root file comes first.
func (b *builder) cycleAt(cycle []promotion.Environment) position {
	at := position{}
	for i, name := range cycle {
		e := b.environments[cycle[(i+1)%len(cycle)]]
		if at.Line == 0 || e.source.part {
			at = e.after[name]
		}
	}
	return at
}
