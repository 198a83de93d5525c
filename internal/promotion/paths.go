package promotion

import "strings"

// AnyPart stands in an environment's paths for one part of a path, whatever its
// name: apps/*/overlays/dev.
const AnyPart = "*"

// patterns are where the environment's files lie.
func (e *EnvironmentSpec) patterns() []string {
	if e.Path != "" {
		return []string{e.Path}
	}
	return e.Paths
}

// Holds reports whether a path, from the repository's root, is one of the
// environment's: below one of its directories, or one of its files.
func (e *EnvironmentSpec) Holds(path string) bool {
	for _, p := range e.patterns() {
		if follow(p, path, false, false) {
			return true
		}
	}
	return false
}

// Near reports whether a path is one of the environment's, or a directory above
// one.
func (e *EnvironmentSpec) Near(path string) bool {
	for _, p := range e.patterns() {
		if follow(p, path, true, false) {
			return true
		}
	}
	return false
}

// Overlaps reports whether two paths of rung.yaml may hold a file in common: one is
// the other, or above it, with AnyPart taken for every name in both.
func Overlaps(a, b string) bool { return follow(a, b, true, true) }

// EnvironmentAt is the environment that a path belongs to, or nil. There is one at
// most: package pipeline refuses those that overlap.
func (p *Pipeline) EnvironmentAt(path string) *EnvironmentSpec {
	for i := range p.Environments {
		if p.Environments[i].Holds(path) {
			return &p.Environments[i]
		}
	}
	return nil
}

// follow compares part by part as far as pattern goes, or, with above, as far as the
// shorter one does. A part of path that is AnyPart is a name like others, unless
// both are patterns.
func follow(pattern, path string, above, both bool) bool {
	for {
		want, restOfPattern, wants := strings.Cut(pattern, "/")
		got, restOfPath, has := strings.Cut(path, "/")
		if want != got && want != AnyPart && (!both || got != AnyPart) {
			return false
		}
		if !wants || !has {
			return !wants || above
		}
		pattern, path = restOfPattern, restOfPath
	}
}
