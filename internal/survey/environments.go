package survey

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// environment is one on its way to rung.yaml.
type environment struct {
	name      string
	stage     stage
	canonical string
	// number and regions tell it from others of its stage; order is the number that
	// its name begins with, or -1.
	number  string
	regions []string
	order   int
	weak    bool
	// entries are its directories and files, by the claim that each stands on.
	entries map[string]*claim
	// held are the images that climb and stand in each entry, with the first sight.
	held map[string]map[string]*sight
	// all is what images gathered, once everything is settled.
	all map[string]*sight
	// paths and after are what rung.yaml says.
	paths []string
	after []string
	guess string
}

// ladder is all environments of a scene.
type ladder struct {
	*scene
	reader reader
	envs   map[string]*environment
	// outside are sights of images that climb in no environment.
	outside []*sight
	guesses []Guess
	// inOrder and byEntry are kept once everything is settled.
	inOrder []*environment
	byEntry map[string]*environment
	// pipeline is the configuration that the plan stands on.
	pipeline *promotion.Pipeline
	// splits are names that were divided by the directory beside.
	splits map[string]bool
}

// Guess is something that names alone say, and how to check it.
type Guess struct {
	// Text says what was guessed from what.
	Text string `json:"text"`
	// Check says where to look, and what to write where it is wrong.
	Check string `json:"check"`
}

func (l *ladder) guess(text, check string) {
	l.guesses = append(l.guesses, Guess{text, check})
}

// climb finds the environments.
func climb(s *scene) (*ladder, error) {
	l := &ladder{scene: s, reader: reader{s.apps()}, envs: map[string]*environment{}, splits: map[string]bool{}}
	for _, step := range []func() error{l.fill, l.whole, l.unify, l.apart, l.neighbours, l.nested, l.order, l.lay} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// fill sorts the sights of what climbs into environments, by their paths.
func (l *ladder) fill() error {
	byFile := map[string][]*sight{}
	for i := range l.sights {
		if at := &l.sights[i]; l.climbs(at) {
			byFile[at.file] = append(byFile[at.file], at)
		}
	}
	if len(byFile) == 0 {
		return l.nothing()
	}
	for _, file := range sortedKeys(byFile) {
		if !l.tree.under(file) {
			l.outside = append(l.outside, byFile[file]...)
			continue
		}
		c, two, ok := l.reader.claim(file)
		if two != "" {
			return refuse("%s names %s and speaks of two environments, by %s and another part of its path: rename or move it, or say where environments are, such as rung init --under environments", byFile[file][0], l.names[byFile[file][0].image], quote(two))
		}
		if !ok {
			if c, ok = l.documents(file, byFile[file]); !ok {
				l.outside = append(l.outside, byFile[file]...)
				continue
			}
		}
		e := l.environment(&c)
		for _, at := range byFile[file] {
			e.hold(c.entry, at)
		}
	}
	return l.bounded()
}

// environment is the one that a claim speaks of, new or known.
func (l *ladder) environment(c *claim) *environment {
	e := l.envs[c.name]
	if e == nil {
		e = &environment{
			name: c.name, stage: c.word.stage, canonical: c.word.canonical, number: c.word.number, regions: append(slices.Clone(c.regions), c.word.rest...),
			order: c.word.order, weak: c.weak, entries: map[string]*claim{}, held: map[string]map[string]*sight{},
		}
		if c.file {
			e.regions = slices.Clone(c.regions)
		}
		l.envs[c.name] = e
	}
	if e.entries[c.entry] == nil {
		e.entries[c.entry] = c
	}
	return e
}

func (e *environment) hold(entry string, at *sight) {
	if e.held[entry] == nil {
		e.held[entry] = map[string]*sight{}
	}
	if e.held[entry][at.image] == nil {
		e.held[entry][at.image] = at
	}
}

// images are all that it holds.
func (e *environment) images() map[string]*sight {
	if e.all != nil {
		return e.all
	}
	all := map[string]*sight{}
	for _, entry := range sortedKeys(e.held) {
		for image, at := range e.held[entry] {
			if all[image] == nil {
				all[image] = at
			}
		}
	}
	e.all = all
	return all
}

// documents reads the environment from the names of the documents in a file whose
// path says none: an Argo CD Application checkout-dev. Documents of several
// environments in one file are no layout that rung.yaml can say.
func (l *ladder) documents(file string, sights []*sight) (claim, bool) {
	found := map[string]claim{}
	for _, at := range sights {
		_, rest, _ := strings.Cut(at.locator, ":")
		id, _, _ := strings.Cut(rest, ":")
		_, name, ok := strings.Cut(id, "/")
		if !ok {
			continue
		}
		w := l.reader.read(name, true)
		if !w.exact() && !w.vague() {
			continue
		}
		c := claim{word: w, at: strings.Count(file, "/"), region: -1, regions: w.regions, file: true, parts: strings.Split(file, "/"), entry: file, weak: !w.stage.plain}
		c.name = c.call()
		found[c.name] = c
	}
	if len(found) != 1 {
		return claim{}, false
	}
	for _, c := range found {
		return c, true
	}
	return claim{}, false
}

// nothing says why there is nothing that climbs.
func (l *ladder) nothing() error {
	switch {
	case len(l.files) == 0:
		return refuse("there are no manifests here (*.yaml, *.yml, *.json): run rung init in a repository that says what runs in which environment")
	case len(l.sights) == 0:
		return refuse("%s read, and none names an image with a version: if yours are rendered elsewhere, end the lines that hold a version with `# rung: NAME` and write rung.yaml by hand (docs/configuration.md)", count(len(l.files), "manifest was", "manifests were"))
	}
	return refuse("%s read, and no image named there can stand in rung.yaml, the first being %s at %s: name images as registries take them, in small letters, such as ghcr.io/acme/checkout", count(len(l.files), "manifest was", "manifests were"), quote(l.sights[0].image), &l.sights[0])
}

// whole sees to it that there are environments, each in files of its own.
func (l *ladder) whole() error {
	stages := map[string]map[string]*sight{}
	for _, at := range l.outside {
		if w := l.reader.read(at.within(), false); w.canonical != "" && w.stage.plain {
			if stages[at.file+" "+at.image] == nil {
				stages[at.file+" "+at.image] = map[string]*sight{}
			}
			stages[at.file+" "+at.image][w.canonical] = at
		}
	}
	for _, key := range sortedKeys(stages) {
		found := stages[key]
		if names := sortedKeys(found); len(names) > 1 {
			at := found[names[0]]
			return refuse("%s and line %d of it are versions of %s in %s and %s: rung promotes into files that belong to one environment, so give each a file of its own, such as %s",
				at, found[names[1]].line, l.names[at.image], names[0], names[1], strings.TrimSuffix(at.file, path.Ext(at.file))+"-"+names[0]+path.Ext(at.file))
		}
	}
	if len(l.envs) > 0 {
		return nil
	}
	at := l.outside[0]
	if names := l.nameless(); len(names) > 0 {
		return refuse("%s look like environments and name no version of their own, since %s holds %s for all of them: give each its own, such as images: with name and newTag in its kustomization.yaml", strings.Join(names, ", "), at, l.names[at.image])
	}
	if len(l.tree.Under) > 0 {
		return refuse("no environment was found under %s: name directories whose names say dev, staging or prod, or leave --under out", strings.Join(l.tree.Under, ", "))
	}
	return refuse("%s found (%s at %s), but no environments: rung takes them from names such as environments/dev, overlays/prod or values-staging.yaml; if yours are called otherwise, or are branches, write rung.yaml by hand (docs/configuration.md)", count(len(l.names), "image was", "images were"), l.names[at.image], at)
}

// nameless are entries that look like environments.
func (l *ladder) nameless() []string {
	found := map[string]bool{}
	for _, file := range l.files {
		if c, _, ok := l.reader.claim(file); ok && !c.weak && l.tree.under(file) {
			found[c.entry] = true
		}
	}
	names := sortedKeys(found)
	return names[:min(len(names), 3)]
}

// within is the part of a locator that leads to the place, as words.
func (s *sight) within() string {
	_, rest, _ := strings.Cut(s.locator, ":")
	return strings.NewReplacer("/", "-", ":", "-", "[", "-", "]", "-", "=", "-", "|", "-").Replace(rest)
}

// unify makes one environment of two spellings, prod and production, where no layout
// has both.
func (l *ladder) unify() error {
	groups := map[string][]*environment{}
	for _, name := range sortedKeys(l.envs) {
		e := l.envs[name]
		key := e.canonical + " " + e.number + " " + strings.Join(e.regions, "-")
		groups[key] = append(groups[key], e)
	}
	for _, key := range sortedKeys(groups) {
		list := groups[key]
		if len(list) != 2 || sharesShape(list[0], list[1]) {
			continue
		}
		keep, drop := list[0], list[1]
		if len(drop.held) > len(keep.held) {
			keep, drop = drop, keep
		}
		maps.Copy(keep.entries, drop.entries)
		maps.Copy(keep.held, drop.held)
		delete(l.envs, drop.name)
		l.guess(fmt.Sprintf("%s and %s are taken for one environment, %s", keep.name, drop.name, keep.name), "if they are two, write both under environments")
	}
	return nil
}

func sharesShape(a, b *environment) bool {
	for _, x := range a.entries {
		for _, y := range b.entries {
			if x.shape() == y.shape() {
				return true
			}
		}
	}
	return false
}

// neighbours adds the entries of the same shapes that name nothing that climbs: rung
// passes through such environments, and a version may be added there.
func (l *ladder) neighbours() error {
	shapes := map[string]bool{}
	for _, e := range l.envs {
		for _, c := range e.entries {
			shapes[c.shape()] = true
		}
	}
	seen := map[string]bool{}
	for _, file := range l.files {
		c, _, ok := l.reader.claim(file)
		if !ok || c.name == "" || seen[c.entry] || !l.tree.under(file) || !shapes[c.shape()] {
			continue
		}
		seen[c.entry] = true
		if l.splits[c.name] {
			c.beside()
		}
		if e := l.envs[c.name]; e != nil && e.entries[c.entry] != nil || l.overlaps(c.entry) {
			continue
		}
		l.environment(&c)
		if err := l.bounded(); err != nil {
			return err
		}
	}
	return nil
}

// maxEntries bounds the directories and files of all environments.
const maxEntries = 4000

func (l *ladder) bounded() error {
	n := 0
	for _, e := range l.envs {
		n += len(e.entries)
	}
	if n > maxEntries {
		return refuse("more than %d directories look like parts of environments: name those that are, such as rung init --under environments", maxEntries)
	}
	return nil
}

// overlaps reports whether an entry has files in common with one that is taken.
func (l *ladder) overlaps(entry string) bool {
	for _, e := range l.envs {
		for other := range e.entries {
			if promotion.Overlaps(entry, other) {
				return true
			}
		}
	}
	return false
}

// nested refuses environments whose files lie in each other's directories.
func (l *ladder) nested() error {
	byEntry := map[string]string{}
	for name, e := range l.envs {
		for entry := range e.entries {
			byEntry[entry] = name
		}
	}
	for _, entry := range sortedKeys(byEntry) {
		for above := path.Dir(entry); above != "."; above = path.Dir(above) {
			if other, there := byEntry[above]; there && other != byEntry[entry] {
				return refuse("%s and %s look like two environments, one inside the other, and both name versions: keep versions in one of them only", above, entry)
			}
		}
	}
	return nil
}
