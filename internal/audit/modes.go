package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/rungbot/rung/internal/promotion"
)

// disguised finds what a step puts under the environments that is read otherwise
// than it looks: a link or a submodule, whose content is elsewhere; a file with
// versions in it that was made executable; and a path that some file systems
// take for another one beside it.
func (b *baseWalk) disguised(s step, changes []change, p *promotion.Pipeline) error {
	var added []string
	for _, ch := range changes {
		if ch.after == (entry{}) || !nearEnvironment(ch.path, p) {
			continue
		}
		text, err := b.mode(ch, p)
		if err != nil {
			return err
		}
		if text != "" {
			b.find(Finding{Code: TreeMode, Object: s.after.id.String(), Environment: environmentName(ch.path, p), Expected: "a plain file", Found: clip(ch.path + " is " + text)})
		}
		if ch.before == (entry{}) {
			added = append(added, ch.path)
		}
	}
	return b.aliases(s, added, p)
}

// mode says what a changed path became that no environment's file should be, or
// nothing.
func (b *baseWalk) mode(ch change, p *promotion.Pipeline) (string, error) {
	switch {
	case ch.after.mode == ch.before.mode:
		return "", nil
	case ch.after.mode == modeSymlink:
		return "a symbolic link", nil
	case ch.after.mode == modeGitlink:
		return "a submodule", nil
	case ch.after.mode == modeExecutable && environmentOf(ch.path, p) != nil:
		found, err := b.places(ch.path, ch.after, p)
		if err != nil || len(found) == 0 {
			return "", err
		}
		return "executable", nil
	}
	return "", nil
}

// aliases finds added paths that fold to the same as a neighbour's.
func (b *baseWalk) aliases(s step, added []string, p *promotion.Pipeline) error {
	directories := map[string]bool{}
	for _, path := range added {
		for i := strings.LastIndexByte(path, '/'); i >= 0; i = strings.LastIndexByte(path[:i], '/') {
			directories[path[:i]] = true
		}
		directories[""] = true
	}
	for _, dir := range slices.Sorted(maps.Keys(directories)) {
		at := entry{mode: modeTree, id: s.after.tree}
		prefix := ""
		if dir != "" {
			var err error
			if at, err = b.lookup(s.after.tree, dir); err != nil {
				return err
			}
			prefix = dir + "/"
		}
		if at.mode != modeTree {
			continue
		}
		entries, err := b.tree(at.id)
		if err != nil {
			return err
		}
		for _, twins := range foldedTwins(entries) {
			touched := slices.ContainsFunc(added, func(path string) bool {
				return slices.ContainsFunc(twins[:], func(name string) bool { return path == prefix+name || strings.HasPrefix(path, prefix+name+"/") })
			})
			if touched {
				b.find(Finding{
					Code: PathAlias, Object: s.after.id.String(), Environment: environmentName(prefix+twins[0], p), Expected: "paths that differ on every file system",
					Found: clip(fmt.Sprintf("%s%s beside %s%s", prefix, twins[1], prefix, twins[0])),
				})
			}
		}
	}
	return nil
}

// foldedTwins are the names of a directory that fold to an earlier one.
func foldedTwins(entries []entry) (twins [][2]string) {
	seen := make(map[string]string, len(entries))
	for _, e := range entries {
		f := fold(e.name)
		if other, there := seen[f]; there {
			twins = append(twins, [2]string{other, e.name})
			continue
		}
		seen[f] = e.name
	}
	return twins
}

// fold is a path as file systems may see it that don't tell upper from lower
// case, composed from decomposed letters, or a name from one with dots or blanks
// behind it.
func fold(path string) string {
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

// nearEnvironment reports whether a path is under an environment, above it, or
// would be one of these on some file system.
func nearEnvironment(path string, p *promotion.Pipeline) bool {
	folded := fold(path)
	return slices.ContainsFunc(p.Environments, func(e promotion.EnvironmentSpec) bool {
		near := promotion.EnvironmentSpec{Path: fold(e.Path)}
		for _, p := range e.Paths {
			near.Paths = append(near.Paths, fold(p))
		}
		return near.Near(folded)
	})
}

// environmentName is the environment that a path is under, or nothing.
func environmentName(path string, p *promotion.Pipeline) promotion.Environment {
	if e := environmentOf(path, p); e != nil {
		return e.Name
	}
	return ""
}
