package settings

import "slices"

// nearest is the known name with the least edit distance to name, if at most a
// quarter of its letters differ; otherwise "".
func nearest(name string, known []string) string {
	if len(name) > 100 {
		return ""
	}
	best, least := "", 1<<30
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := editDistance(name, k); d <= len(k)/4 && d < least {
			best, least = k, d
		}
	}
	return best
}

// editDistance counts insertions, deletions and replacements between a and b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
