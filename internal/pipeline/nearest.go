package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean is "; did you mean "x"?" for the known name nearest to s, or the
// empty string when none is near.
func didYouMean(s string, known []string) string {
	if near := nearest(s, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// nearest is the known name with the least edit distance to s, the first by
// name of several, if no more than a third of its letters (at least one, two
// from four letters on) differ; otherwise "".
func nearest(s string, known []string) string {
	if len(s) > 100 {
		return ""
	}
	best, bestDistance := "", 1<<30
	for _, name := range slices.Sorted(slices.Values(known)) {
		limit := max(len(name)/3, 1)
		if len(name) >= 4 {
			limit = max(limit, 2)
		}
		d := editDistance(strings.ToLower(s), strings.ToLower(name))
		if d <= limit && d < bestDistance && d < len(name) {
			best, bestDistance = name, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, replacements and swaps of
// neighbours between a and b, by byte.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// quote shows an outside string in a problem: quoted, control characters
// escaped, cut at 80 bytes.
func quote(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
