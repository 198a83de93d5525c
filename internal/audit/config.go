package audit

import (
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// policiesDirectory holds the policies that rung.yaml may bind.
const policiesDirectory = "policies"

// configuration reads pipelines and places out of trees, each once.
type configuration struct {
	*objects
	pipelines map[configKey]*promotion.Pipeline
	byTree    generations[oid, *promotion.Pipeline]
	found     generations[fileKey, filePlaces]
	// outlines are files as they stood once, with the zero blob in their key: other
	// states of them that differ in versions alone need no parsing. Nil for files
	// that have none.
	outlines map[fileKey]*manifest.Outline
}

// configKey are what configuration is read from: rung.yaml, rung.d and the policies.
type configKey [3]oid

// filePlaces are the artifacts' places in a file, and the outline that told them;
// nil where none did.
type filePlaces struct {
	found   []manifest.Found
	outline *manifest.Outline
}

// fileKey is a file's bytes at a path, read with one configuration.
type fileKey struct {
	path   string
	blob   oid
	config string
}

func newConfiguration(o *objects) *configuration {
	return &configuration{
		objects: o, pipelines: map[configKey]*promotion.Pipeline{}, byTree: newGenerations[oid, *promotion.Pipeline](512),
		found: newGenerations[fileKey, filePlaces](256), outlines: map[fileKey]*manifest.Outline{},
	}
}

// pipelineAt is what rung.yaml and rung.d of a tree say; nil where they can't
// be used.
func (c *configuration) pipelineAt(tree oid) (*promotion.Pipeline, error) {
	if p, known := c.byTree.get(tree); known {
		return p, nil
	}
	p, err := c.readPipeline(tree)
	if err == nil {
		c.byTree.put(tree, p, 1)
	}
	return p, err
}

// configured is a commit, and what its rung.yaml and rung.d say; nil where they can't
// be used.
func (c *configuration) configured(id oid) (*commit, *promotion.Pipeline, error) {
	at, err := c.commit(id)
	if err != nil {
		return nil, nil, err
	}
	p, err := c.pipelineAt(at.tree)
	return at, p, err
}

func (c *configuration) readPipeline(tree oid) (*promotion.Pipeline, error) {
	root, err := c.lookup(tree, pipeline.RootFile)
	if err != nil || !root.regular() {
		return nil, err
	}
	parts, err := c.lookup(tree, pipeline.PartsDirectory)
	if err != nil {
		return nil, err
	}
	policies, err := c.lookup(tree, policiesDirectory)
	if err != nil {
		return nil, err
	}
	key := configKey{root.id, parts.id, policies.id}
	if p, known := c.pipelines[key]; known {
		return p, nil
	}
	files := map[string][]byte{}
	if files[pipeline.RootFile], err = c.read(root.id, kindBlob); err != nil {
		return nil, err
	}
	if parts.mode == modeTree {
		entries, err := c.tree(parts.id)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			path := pipeline.PartsDirectory + "/" + e.name
			if !e.regular() || !pipeline.IsConfigPath(path) || len(files) > pipeline.MaxFiles+1 {
				continue
			}
			if files[path], err = c.read(e.id, kindBlob); err != nil {
				return nil, err
			}
		}
	}
	var names []string
	rules, err := c.files(tree, policiesDirectory)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		names = append(names, r.path)
	}
	p := pipeline.Load(files, pipeline.Options{PolicyFiles: names}).Pipeline
	if len(c.pipelines) >= maxCached {
		clear(c.pipelines)
	}
	c.pipelines[key] = p
	return p, nil
}

// places finds the artifacts' places in one file. As for rung itself, a file
// that can't be read names nothing.
func (c *configuration) places(path string, e entry, p *promotion.Pipeline) ([]manifest.Found, error) {
	in, err := c.placesIn(path, e, p)
	return in.found, err
}

// placesIn is places with the outline that told them.
func (c *configuration) placesIn(path string, e entry, p *promotion.Pipeline) (filePlaces, error) {
	if !e.regular() || !manifest.IsManifest(path) {
		return filePlaces{}, nil
	}
	key := fileKey{path, e.id, p.Digest}
	if in, known := c.found.get(key); known {
		return in, nil
	}
	data, err := c.content(e.id)
	if err != nil {
		return filePlaces{}, err
	}
	in := c.outlined(path, data, p)
	if in.outline == nil {
		if report, err := manifest.Find(path, data, manifest.Artifacts(p)); err == nil {
			in.found = report.Found
		}
	}
	c.found.put(key, in, 1)
	return in, nil
}

// outlined is what the file's outline tells of its bytes: the one that there is, or a
// new one. Nothing where it has none.
func (c *configuration) outlined(path string, data []byte, p *promotion.Pipeline) filePlaces {
	key := fileKey{path: path, config: p.Digest}
	o, known := c.outlines[key]
	if known && o == nil {
		return filePlaces{}
	}
	if found, follows := o.Find(data); follows {
		return filePlaces{found, o}
	}
	if len(c.outlines) >= maxCached {
		clear(c.outlines)
	}
	o, _ = manifest.NewOutline(path, data, manifest.Artifacts(p))
	c.outlines[key] = o
	if found, follows := o.Find(data); follows {
		return filePlaces{found, o}
	}
	return filePlaces{}
}

// placeChanges compares the places of changed files under the environments.
func (c *configuration) placeChanges(touched []change, p *promotion.Pipeline) (map[promotion.Pair][]promotion.PlaceChange, error) {
	type spot struct {
		artifact promotion.Artifact
		locator  string
	}
	into := map[promotion.Pair][]promotion.PlaceChange{}
	for _, ch := range touched {
		env := environmentOf(ch.path, p)
		if env == nil {
			continue
		}
		was, err := c.places(ch.path, ch.before, p)
		if err != nil {
			return nil, err
		}
		is, err := c.places(ch.path, ch.after, p)
		if err != nil {
			return nil, err
		}
		before := map[spot]promotion.Value{}
		for _, f := range was {
			before[spot{f.Artifact, f.Place.Locator}] = f.Place.Value
		}
		add := func(s spot, b, a promotion.Value) {
			pair := promotion.Pair{Environment: env.Name, Artifact: s.artifact}
			into[pair] = append(into[pair], promotion.PlaceChange{Path: ch.path, Locator: s.locator, Before: b, After: a})
		}
		for _, f := range is {
			s := spot{f.Artifact, f.Place.Locator}
			if before[s] != f.Place.Value {
				add(s, before[s], f.Place.Value)
			}
			delete(before, s)
		}
		for s, b := range before {
			if b != (promotion.Value{}) {
				add(s, b, promotion.Value{})
			}
		}
	}
	for _, list := range into {
		sortPlaces(list)
	}
	return into, nil
}

func sortPlaces(list []promotion.PlaceChange) {
	slices.SortFunc(list, func(a, b promotion.PlaceChange) int {
		return strings.Compare(a.Path+" "+a.Locator, b.Path+" "+b.Locator)
	})
}

// samePlaces compares two lists of changes, whatever their order.
func samePlaces(a, b []promotion.PlaceChange) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	sortPlaces(a)
	sortPlaces(b)
	return slices.Equal(a, b)
}

// allPlaces are a tree's places, pair by pair, as changes from nothing.
func (c *configuration) allPlaces(tree oid, p *promotion.Pipeline) (map[promotion.Pair][]promotion.PlaceChange, error) {
	all := map[promotion.Pair][]promotion.PlaceChange{}
	for _, env := range p.Environments {
		files, err := c.inside(tree, &env)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			found, err := c.places(f.path, f.after, p)
			if err != nil {
				return nil, err
			}
			for _, at := range found {
				pair := promotion.Pair{Environment: env.Name, Artifact: at.Artifact}
				all[pair] = append(all[pair], promotion.PlaceChange{Path: f.path, Locator: at.Place.Locator, After: at.Place.Value})
			}
		}
	}
	return all, nil
}

// environmentOf is the environment that a path belongs to, or nil.
func environmentOf(path string, p *promotion.Pipeline) *promotion.EnvironmentSpec {
	return p.EnvironmentAt(path)
}

// governs reports whether a path decides about promotions: configuration,
// policies, owners, workflows.
func governs(path string, p *promotion.Pipeline) bool {
	return pipeline.IsConfigPath(path) || strings.HasPrefix(path, pipeline.PartsDirectory+"/") || strings.HasPrefix(path, policiesDirectory+"/") ||
		slices.Contains(p.PolicyPaths, path) || strings.HasPrefix(path, ".github/") || path == "CODEOWNERS" || path == "docs/CODEOWNERS"
}
