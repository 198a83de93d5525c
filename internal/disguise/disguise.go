// Package disguise knows what is read otherwise than it looks in a tree of files:
// links and submodules, whose content lies elsewhere, files that were made
// executable, and paths that some file systems take for one another.
//
// State: none. Invariants: Mode, Near and Twins are what rung verify judges a past
// change by, and what the check run judges a pull request by: what one refuses, so
// does the other. What it does not do: it reads no repository; whoever calls it says
// which entries changed and which names stand beside each other.
package disguise

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/rungbot/rung/internal/promotion"
)

// Modes of tree entries, as git writes them.
const (
	modeExecutable = 0o100755
	modeSymlink    = 0o120000
	modeGitlink    = 0o160000
)

// Executable is what Mode says of a file that may be run. It is no disguise by
// itself: only a file in which versions are written should not become one.
const Executable = "executable"

// Mode says what an entry became, by its modes before (zero: it was not there) and
// after, that no file of an environment should be; or nothing.
func Mode(before, after uint32) string {
	switch {
	case after == before:
		return ""
	case after == modeSymlink:
		return "a symbolic link"
	case after == modeGitlink:
		return "a submodule"
	case after == modeExecutable:
		return Executable
	}
	return ""
}

// Near reports whether a path is under an environment, above it, or would be one of
// these on some file system.
func Near(path string, p *promotion.Pipeline) bool {
	folded := Fold(path)
	return slices.ContainsFunc(p.Environments, func(e promotion.EnvironmentSpec) bool {
		near := promotion.EnvironmentSpec{Path: Fold(e.Path)}
		for _, p := range e.Paths {
			near.Paths = append(near.Paths, Fold(p))
		}
		return near.Near(folded)
	})
}

// Directories are those above the given paths, in order, the root ("") among them.
func Directories(paths []string) []string {
	var all []string
	seen := map[string]bool{}
	add := func(dir string) bool {
		if seen[dir] {
			return false
		}
		seen[dir] = true
		all = append(all, dir)
		return true
	}
	for _, path := range paths {
		add("")
		for i := strings.LastIndexByte(path, '/'); i >= 0 && add(path[:i]); i = strings.LastIndexByte(path[:i], '/') {
		}
	}
	slices.Sort(all)
	return all
}

// Twins are the names of a directory that fold to an earlier one, each behind that
// one, as far as one of the two is an added path or above it.
func Twins(dir string, names, added []string) (twins [][2]string) {
	prefix := ""
	if dir != "" {
		prefix = dir + "/"
	}
	seen := make(map[string]string, len(names))
	for _, name := range names {
		f := Fold(name)
		other, there := seen[f]
		if !there {
			seen[f] = name
			continue
		}
		if slices.ContainsFunc(added, func(path string) bool { return within(path, prefix+name) || within(path, prefix+other) }) {
			twins = append(twins, [2]string{prefix + other, prefix + name})
		}
	}
	return twins
}

// within reports whether a path is another, or under it.
func within(path, above string) bool {
	return strings.HasPrefix(path, above) && (len(path) == len(above) || path[len(above)] == '/')
}

// Fold is a path as file systems may see it that don't tell upper from lower case,
// composed from decomposed letters, or a name from one with dots or blanks behind
// it.
func Fold(path string) string {
	if plain(path) {
		return path
	}
	parts := strings.Split(norm.NFC.String(strings.ToLower(path)), "/")
	for i, part := range parts {
		parts[i] = strings.TrimRight(part, ". ")
	}
	return strings.Join(parts, "/")
}

// plain reports whether a path is only of a-z, 0-9, -, _ and /, and of dots and
// blanks that stand before one of these: it folds to itself.
func plain(path string) bool {
	for i := range len(path) {
		c := path[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '/':
		case (c == '.' || c == ' ') && i+1 < len(path) && path[i+1] != '/' && path[i+1] != '.' && path[i+1] != ' ':
		default:
			return false
		}
	}
	return true
}
