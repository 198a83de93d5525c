package githubemu

import (
	"cmp"
	"maps"
	"slices"
)

// sortedBy lists a map's values in the order of their keys, so that nothing
// the emulator does depends on the order of a map.
func sortedBy[K cmp.Ordered, V any](m map[K]V) []V {
	out := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

func cmpString(a, b string) int { return cmp.Compare(a, b) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
