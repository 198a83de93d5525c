// Package nearest finds the known name that somebody probably meant who wrote
// another one: in rung.yaml, in a policy's expression, in a setting.
//
// State: none; its functions are pure.
package nearest

import (
	"fmt"
	"slices"
	"strings"
)

// maxLength bounds what is compared: the work grows with its square.
const maxLength = 100

// DidYouMean is "; did you mean "x"?" for the known name nearest to s, or the
// empty string when none is near.
func DidYouMean(s string, known []string) string {
	if near := Name(s, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// Name is the known name with the least edit distance to s, the first by
// name of several, if no more than a third of its letters (at least one, two
// from four letters on) differ; otherwise "". Letters are compared without regard to case,
// by byte; a longer s than 100 bytes is near nothing.
func Name(s string, known []string) string {
	if len(s) > maxLength {
		return ""
	}
	best, bestDistance := "", 1<<30
	for _, name := range slices.Sorted(slices.Values(known)) {
		limit := max(len(name)/3, 1)
		if len(name) >= 4 {
			limit = max(limit, 2)
		}
		d := editDistance(strings.ToLower(s), strings.ToLower(name))
		if d <= limit && d < bestDistance && d < len(name) && name != s {
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
