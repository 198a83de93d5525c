package audit

// generations is a cache in two halves: when the young one is full, the old one
// is let go and the young one takes its place. What is asked for stays.
type generations[K comparable, V any] struct {
	young, old map[K]V
	// full is how much each half holds, held how much the young one does, in
	// whatever put is told.
	full, held int
}

func newGenerations[K comparable, V any](full int) generations[K, V] {
	return generations[K, V]{young: map[K]V{}, full: full}
}

func (g *generations[K, V]) get(k K) (V, bool) {
	v, ok := g.young[k]
	if !ok {
		v, ok = g.old[k]
	}
	return v, ok
}

// put keeps a value of some size; one that is large is not kept.
func (g *generations[K, V]) put(k K, v V, size int) {
	if size > g.full/8 {
		return
	}
	if g.held += size; g.held > g.full {
		g.old, g.young, g.held = g.young, make(map[K]V, len(g.young)), size
	}
	g.young[k] = v
}

// renew is get, and what was found in the old half moves to the young one.
func (g *generations[K, V]) renew(k K, size func(V) int) (V, bool) {
	v, ok := g.young[k]
	if ok {
		return v, true
	}
	if v, ok = g.old[k]; ok {
		g.put(k, v, size(v))
	}
	return v, ok
}
