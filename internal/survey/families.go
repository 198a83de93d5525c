package survey

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// family is a layout: entries whose shapes differ in one part at most, that of the
// application.
type family struct {
	// held are the images of each environment in it, entries those of each.
	held    map[string]map[string]*sight
	entries map[string][]string
	plain   bool
}

func (l *ladder) families() []*family {
	var all []*family
	byKin := map[string]*family{}
	for _, name := range sortedKeys(l.envs) {
		e := l.envs[name]
		for _, entry := range sortedKeys(e.entries) {
			f := familyOf(&all, byKin, e.entries[entry].shape())
			if f.held[name] == nil {
				f.held[name] = map[string]*sight{}
			}
			maps.Copy(f.held[name], e.held[entry])
			f.entries[name] = append(f.entries[name], entry)
			f.plain = f.plain || !e.weak
		}
	}
	return all
}

func familyOf(all *[]*family, byKin map[string]*family, shape string) *family {
	kin := kin(shape)
	var f *family
	for _, k := range kin {
		if f = byKin[k]; f != nil {
			break
		}
	}
	if f == nil {
		f = &family{held: map[string]map[string]*sight{}, entries: map[string][]string{}}
		*all = append(*all, f)
	}
	for _, k := range kin {
		if byKin[k] == nil {
			byKin[k] = f
		}
	}
	return f
}

// kin are what a shape has in common with those that differ in one part, which is no
// stage and no region: itself, and itself less each such part.
func kin(shape string) []string {
	all := []string{shape}
	parts := strings.Split(shape, "/")
	if len(parts) > maxParts {
		return all
	}
	for i, part := range parts {
		if !strings.Contains(part, "<") {
			parts[i] = "*"
			all = append(all, strings.Join(parts, "/"))
			parts[i] = part
		}
	}
	return all
}

// maxFamilies bounds the layouts that are compared with each other.
const maxFamilies = 500

// maxParts is how many parts of a path are compared one by one.
const maxParts = 32

// apart looks at the layouts side by side: a directory called test beside a whole
// ladder is for tests; two ladders of the same artifacts can't both be meant; and
// directories that differ by more than the application are several environments.
func (l *ladder) apart() error {
	l.dropTests()
	all := l.families()
	if len(all) > maxFamilies {
		return refuse("the environments lie in more than %d ways that have nothing in common: name the directories that are deployed, such as rung init --under environments", maxFamilies)
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if err := l.compare(b, a); err != nil {
				return err
			}
		}
	}
	for _, name := range sortedKeys(l.envs) {
		l.split(l.envs[name])
	}
	return nil
}

func (l *ladder) dropTests() {
	all := l.families()
	if !slices.ContainsFunc(all, func(f *family) bool { return f.plain }) {
		return
	}
	for _, f := range all {
		if f.plain {
			continue
		}
		for _, name := range sortedKeys(f.entries) {
			e := l.envs[name]
			for _, entry := range f.entries[name] {
				for _, image := range sortedKeys(e.held[entry]) {
					at := e.held[entry][image]
					l.outside = append(l.outside, at)
					l.note(at.file, at.line, at.column, fmt.Sprintf("names %s, but %s is not taken for an environment, since it stands alone beside others: if it is one, add it to rung.yaml", l.names[image], entry))
				}
				delete(e.entries, entry)
				delete(e.held, entry)
			}
			if len(e.entries) == 0 {
				delete(l.envs, name)
			}
		}
	}
}

// compare refuses two layouts that name the same artifacts in the same environments. A
// few in common, such as a sidecar's, make no second ladder.
func (l *ladder) compare(a, b *family) error {
	var both []string
	var image string
	for _, name := range sortedKeys(a.held) {
		i, same := common(a.held[name], b.held[name])
		if !same {
			continue
		}
		if len(both) == 0 {
			image = i
		}
		both = append(both, name)
	}
	if len(both) == 0 {
		return nil
	}
	x, y := a.held[both[0]][image], b.held[both[0]][image]
	if len(both) == 1 {
		l.guess(fmt.Sprintf("%s is %s and %s together, and both name %s", both[0], a.entries[both[0]][0], b.entries[both[0]][0], l.names[image]),
			"a promotion changes both; if one of them is not deployed, take it out of paths")
		return nil
	}
	return refuse("two layouts name versions of %s in %s: %s and %s; say which one is deployed: rung init --under %s, or --under %s",
		l.names[image], strings.Join(both, ", "), x, y, shared(a.entries), shared(b.entries))
}

// common is the first image that both hold, and whether everything that one of them
// holds is held by the other.
func common(a, b map[string]*sight) (image string, same bool) {
	if len(a) > len(b) {
		a, b = b, a
	}
	for i := range a {
		if b[i] == nil {
			return "", false
		}
		if image == "" || i < image {
			image = i
		}
	}
	return image, image != ""
}

// shared is the directory that all entries of a layout lie in, or the first of them.
func shared(entries map[string][]string) string {
	var common []string
	first := true
	for _, list := range entries {
		for _, entry := range list {
			parts := strings.Split(entry, "/")
			if first {
				common, first = parts[:len(parts)-1], false
				continue
			}
			n := 0
			for n < min(len(common), len(parts)) && common[n] == parts[n] {
				n++
			}
			common = common[:n]
		}
	}
	if len(common) == 0 {
		return entries[sortedKeys(entries)[0]][0]
	}
	return strings.Join(common, "/")
}

// holders are directories of whose children each is something of its own, with all
// stages in it.
var holders = []string{"clusters", "cluster", "regions", "region", "sites", "site", "tenants", "tenant", "zones", "datacenters", "customers", "accounts"}

// split makes several environments of one whose entries differ by a cluster whose name
// says nothing: clusters/alpha/prod and clusters/beta/prod.
func (l *ladder) split(e *environment) {
	byName := map[string][]string{}
	for entry, c := range e.entries {
		if c.at < 1 || c.region >= 0 || len(e.regions) > 0 || c.file && c.at == len(c.parts)-1 {
			continue
		}
		byName[c.parts[c.at-1]] = append(byName[c.parts[c.at-1]], entry)
	}
	names := slices.DeleteFunc(sortedKeys(byName), func(n string) bool { return l.reader.isApp(clean(n)) })
	if len(names) < 2 || len(names) != len(byName) || !l.twins(e, byName, names) {
		return
	}
	first := e.entries[byName[names[0]][0]]
	if first.at < 2 || !slices.Contains(holders, first.parts[first.at-2]) {
		l.guess(fmt.Sprintf("%s is %s together, although they name the same artifacts", e.name, strings.Join(entriesOf(byName, names), " and ")),
			"a promotion changes them together; if they are two clusters, write two environments")
		return
	}
	delete(l.envs, e.name)
	l.splits[e.name] = true
	for _, n := range names {
		for _, entry := range byName[n] {
			c := *e.entries[entry]
			c.beside()
			part := l.environment(&c)
			if e.held[entry] != nil {
				part.held[entry] = e.held[entry]
			}
		}
	}
	l.guess(fmt.Sprintf("%s are environments of their own, since each names the same artifacts", strings.Join(entriesOf(byName, names), " and ")), "if a promotion should change them together, write one environment with paths")
}

func entriesOf(byName map[string][]string, names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, slices.Sorted(slices.Values(byName[n]))...)
	}
	return all
}

// twins reports whether the entries of each name hold the same images.
func (l *ladder) twins(e *environment, byName map[string][]string, names []string) bool {
	var first []string
	for i, n := range names {
		images := map[string]bool{}
		for _, entry := range byName[n] {
			for image := range e.held[entry] {
				images[image] = true
			}
		}
		list := sortedKeys(images)
		if i == 0 {
			first = list
		}
		if len(list) == 0 || !slices.Equal(list, first) {
			return false
		}
	}
	return true
}
