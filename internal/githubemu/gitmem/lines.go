package gitmem

import (
	"bytes"
	"slices"
)

// hunk says that base[from:to] became side[sideFrom:sideTo].
type hunk struct{ from, to, sideFrom, sideTo int }

// region is a hunk of either side, or several that lie together.
type region struct {
	base, ours, theirs [2]int // from, to
	side               int    // 1 ours, 2 theirs, 0 both: a conflict unless they agree
}

// mergeLines merges two changed texts over their base, line by line. Changes
// that overlap or touch conflict unless both sides ended up alike; the text
// then has both sides between conflict markers.
func mergeLines(base, ours, theirs []byte) (text []byte, clean bool) {
	b, o, t := splitLines(base), splitLines(ours), splitLines(theirs)
	clean = true
	var out bytes.Buffer
	write := func(lines []string) {
		for _, line := range lines {
			out.WriteString(line)
		}
	}
	at := 0 // in ours, which is what stands outside the regions
	for _, g := range regions(diffLines(b, o), diffLines(b, t), o, t) {
		write(o[at:g.ours[0]])
		at = g.ours[1]
		mine, other := o[g.ours[0]:g.ours[1]], t[g.theirs[0]:g.theirs[1]]
		switch {
		case g.side == 1 || slices.Equal(mine, other):
			write(mine)
		case g.side == 2:
			write(other)
		default:
			clean = false
			write(slices.Concat([]string{"<<<<<<< ours\n"}, mine, []string{"=======\n"}, other, []string{">>>>>>> theirs\n"}))
		}
	}
	write(o[at:])
	return out.Bytes(), clean
}

// splitLines keeps the line ends. A last line without one differs from one
// with it.
func splitLines(text []byte) []string {
	var lines []string
	for line := range bytes.Lines(text) {
		lines = append(lines, string(line))
	}
	return lines
}

// regions lays the two sides' hunks beside each other.
func regions(ours, theirs []hunk, o, t []string) []region {
	var out []region
	shiftOurs, shiftTheirs := 0, 0 // what to add to a base line outside the hunks
	for len(ours) > 0 || len(theirs) > 0 {
		switch {
		case len(theirs) == 0 || len(ours) > 0 && ours[0].to < theirs[0].from:
			h := ours[0]
			ours = ours[1:]
			shiftOurs = h.sideTo - h.to
			out = appendRegion(out, region{
				base: [2]int{h.from, h.to}, ours: [2]int{h.sideFrom, h.sideTo},
				theirs: [2]int{h.from + shiftTheirs, h.to + shiftTheirs}, side: 1,
			})
		case len(ours) == 0 || theirs[0].to < ours[0].from:
			h := theirs[0]
			theirs = theirs[1:]
			shiftTheirs = h.sideTo - h.to
			out = appendRegion(out, region{
				base: [2]int{h.from, h.to}, theirs: [2]int{h.sideFrom, h.sideTo},
				ours: [2]int{h.from + shiftOurs, h.to + shiftOurs}, side: 2,
			})
		default:
			a, c := ours[0], theirs[0]
			same := a.from == c.from && a.to == c.to && slices.Equal(o[a.sideFrom:a.sideTo], t[c.sideFrom:c.sideTo])
			if !same {
				from, to := min(a.from, c.from), max(a.to, c.to)
				out = appendRegion(out, region{
					base:   [2]int{from, to},
					ours:   [2]int{a.sideFrom - (a.from - from), a.sideTo + (to - a.to)},
					theirs: [2]int{c.sideFrom - (c.from - from), c.sideTo + (to - c.to)},
				})
			}
			// The one that ends first is done; the other may meet more.
			if a.to <= c.to {
				ours = ours[1:]
				shiftOurs = a.sideTo - a.to
			}
			if c.to <= a.to {
				theirs = theirs[1:]
				shiftTheirs = c.sideTo - c.to
			}
		}
	}
	return out
}

// appendRegion joins a region to the last one where they touch.
func appendRegion(out []region, g region) []region {
	if len(out) > 0 {
		last := &out[len(out)-1]
		if g.ours[0] <= last.ours[1] || g.theirs[0] <= last.theirs[1] {
			if last.side != g.side {
				last.side = 0
			}
			last.base[1], last.ours[1], last.theirs[1] = g.base[1], g.ours[1], g.theirs[1]
			return out
		}
	}
	return append(out, g)
}

// diffLines returns the hunks of a shortest edit from a to b (Myers), each slid
// down as far as it goes, which is where git puts them.
func diffLines(a, b []string) []hunk {
	changedA, changedB := make([]bool, len(a)), make([]bool, len(b))
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	shortestEdit(a[head:len(a)-tail], b[head:len(b)-tail], changedA[head:], changedB[head:])
	slide(a, changedA, changedB)
	slide(b, changedB, changedA)
	var hunks []hunk
	for i, j := 0, 0; i < len(a) || j < len(b); {
		h := hunk{from: i, sideFrom: j}
		for i < len(a) && changedA[i] {
			i++
		}
		for j < len(b) && changedB[j] {
			j++
		}
		if h.to, h.sideTo = i, j; h.to > h.from || h.sideTo > h.sideFrom {
			hunks = append(hunks, h)
			continue
		}
		i, j = i+1, j+1
	}
	return hunks
}

// maxEdit bounds the work of a diff: beyond so many edits the rest counts as
// changed throughout.
const maxEdit = 1000

// shortestEdit marks the lines that a shortest edit deletes from a and inserts
// from b.
func shortestEdit(a, b []string, changedA, changedB []bool) {
	limit := min(len(a)+len(b), maxEdit)
	reach := make([]int, 2*limit+3) // furthest x on diagonal k, at k+limit+1
	var trail [][]int
	for d := 0; d <= limit; d++ {
		trail = append(trail, slices.Clone(reach[limit+1-d:limit+2+d]))
		for k := -d; k <= d; k += 2 {
			at := limit + 1 + k
			x := reach[at-1] + 1
			if k == -d || k != d && reach[at-1] < reach[at+1] {
				x = reach[at+1]
			}
			y := x - k
			for x < len(a) && y < len(b) && a[x] == b[y] {
				x, y = x+1, y+1
			}
			reach[at] = x
			if x >= len(a) && y >= len(b) {
				backtrack(trail, len(a), len(b), changedA, changedB)
				return
			}
		}
	}
	for i := range a {
		changedA[i] = true
	}
	for j := range b {
		changedB[j] = true
	}
}

// backtrack walks the trail of furthest points back to the start.
func backtrack(trail [][]int, x, y int, changedA, changedB []bool) {
	for d := len(trail) - 1; d > 0; d-- {
		before := trail[d] // the furthest points after d-1 edits, from diagonal -d to d
		k := x - y
		at := k + d
		down := k == -d || k != d && before[at-1] < before[at+1]
		if down {
			k++
		} else {
			k--
		}
		fromX := before[k+d]
		fromY := fromX - k
		if down {
			changedB[fromY] = true
		} else {
			changedA[fromX] = true
		}
		x, y = fromX, fromY
	}
}

// slide moves each group of changed lines down as far as equal lines let it,
// joining groups it meets, and then back up to the last place where it stood
// beside a change of the other side, if there was one.
func slide(lines []string, changed, other []bool) {
	for end := 0; end < len(lines); end++ {
		if !changed[end] {
			continue
		}
		start := end
		for end < len(lines) && changed[end] {
			end++
		}
		for size := -1; size != end-start; { // again when it grew
			size = end - start
			for start > 0 && lines[start-1] == lines[end-1] {
				start, end = start-1, end-1
				changed[start], changed[end] = true, false
				for start > 0 && changed[start-1] {
					start--
				}
			}
			best := -1
			if besides(changed, other, start) {
				best = end
			}
			for end < len(lines) && lines[start] == lines[end] {
				changed[start], changed[end] = false, true
				start, end = start+1, end+1
				for end < len(lines) && changed[end] {
					end++
				}
				if besides(changed, other, start) {
					best = end
				}
			}
			if end-start == size && best >= 0 {
				for end > best {
					start, end = start-1, end-1
					changed[start], changed[end] = true, false
				}
			}
		}
	}
}

// besides says whether the other side has a change at the place that line at
// has on this side.
func besides(changed, other []bool, at int) bool {
	kept := 0
	for _, c := range changed[:at] {
		if !c {
			kept++
		}
	}
	for _, c := range other {
		switch {
		case kept == 0:
			return c
		case !c:
			kept--
		}
	}
	return false
}
