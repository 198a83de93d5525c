package survey

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// maxPathsOfOne is how many paths rung.yaml takes in one environment.
const maxPathsOfOne = 100

// lay says where each environment lies, in as few words as rung.yaml allows.
func (l *ladder) lay() error {
	var wide []string
	for _, name := range sortedKeys(l.envs) {
		e := l.envs[name]
		e.paths = l.gather(e)
		if len(e.paths) > maxPathsOfOne {
			return refuse("%s would be at least %d directories and files, and rung.yaml takes %d in one environment: put those of one environment into one directory, or name fewer, such as rung init --under %s", name, len(e.paths), maxPathsOfOne, e.paths[0])
		}
		for _, p := range e.paths {
			if strings.Contains(p, promotion.AnyPart) {
				wide = append(wide, p)
			}
		}
	}
	if len(wide) > 0 {
		l.guess(fmt.Sprintf("what is added at %s later belongs to the environment by itself", strings.Join(wide, ", ")), "if only those that are there now are meant, list them under paths")
	}
	return nil
}

// gather puts entries that differ in one part together, with * for that part, where
// no other environment's files would be caught.
func (l *ladder) gather(e *environment) []string {
	left := sortedKeys(e.entries)
	var paths []string
	for len(left) > 0 && len(paths) <= maxPathsOfOne {
		pattern, caught := l.widest(e, left)
		if len(caught) < 2 {
			paths = append(paths, left[0])
			left = left[1:]
			continue
		}
		paths = append(paths, pattern)
		left = slices.DeleteFunc(left, func(p string) bool { return slices.Contains(caught, p) })
	}
	slices.Sort(paths)
	return paths
}

// widest is the pattern that catches the first entry and most others.
func (l *ladder) widest(e *environment, left []string) (best string, caught []string) {
	parts := strings.Split(left[0], "/")
	for i := 1; i < len(parts)-1; i++ {
		wide := slices.Clone(parts)
		wide[i] = promotion.AnyPart
		pattern := strings.Join(wide, "/")
		spec := promotion.EnvironmentSpec{Paths: []string{pattern}}
		var these []string
		for _, p := range left {
			if strings.Count(p, "/") == len(parts)-1 && spec.Holds(p) {
				these = append(these, p)
			}
		}
		if len(these) > len(caught) && l.alone(e, pattern) {
			best, caught = pattern, these
		}
	}
	return best, caught
}

// alone reports whether no other environment has anything where a pattern leads.
func (l *ladder) alone(e *environment, pattern string) bool {
	for _, other := range l.envs {
		if other == e {
			continue
		}
		for entry := range other.entries {
			if promotion.Overlaps(pattern, entry) {
				return false
			}
		}
	}
	return true
}
