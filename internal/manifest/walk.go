package manifest

import (
	"strings"

	"github.com/rungbot/rung/internal/promotion"
	"go.yaml.in/yaml/v3"
)

// candidate is a place of some image, whichever, before anybody asks whose it is.
type candidate struct {
	src  *source
	kind string
	// repo is the image's repository in normal form, "" where it isn't known.
	repo string
	// mark is the artifact that a `# rung:` comment names.
	mark promotion.Artifact
	// Either ref holds a whole reference, or tag, digest or both hold parts.
	ref, tag, digest *slot
	// name is the entry after which tag can be inserted; nil if it can't be.
	// Where it is set, digest can be inserted and deleted too.
	name *slot
	// here is the node whose path is the locator.
	here *yaml.Node
	// alias is the use that reaches the value through an alias of the scalar
	// itself; such a candidate is never a place, its anchor is.
	alias *yaml.Node
	// fixed keeps the shape of what is there: marked values.
	fixed bool
	// fault says why the place can't be read, whatever it holds.
	fault string
}

// slot is a scalar that holds a version, with its key where it has one.
type slot struct {
	key, node *yaml.Node
	// from is where a reference begins in the node's value.
	from int
}

func (s *slot) scalar() *yaml.Node {
	if s == nil {
		return nil
	}
	return s.node
}

// nodes lists the scalars that an edit may change.
func (c *candidate) nodes() []*yaml.Node {
	var ns []*yaml.Node
	for _, s := range []*slot{c.ref, c.tag, c.digest} {
		if s != nil {
			ns = append(ns, s.node)
		}
	}
	return ns
}

// first is the scalar where a person would look.
func (c *candidate) first() *yaml.Node {
	if ns := c.nodes(); len(ns) > 0 {
		return ns[0]
	}
	return c.here
}

func (c *candidate) spot() int { return c.src.offset(c.first()) }

// agrees reports whether both are the same place seen twice.
func (c *candidate) agrees(o *candidate) bool {
	return c.kind == o.kind && c.repo == o.repo &&
		c.ref.scalar() == o.ref.scalar() && c.tag.scalar() == o.tag.scalar() && c.digest.scalar() == o.digest.scalar()
}

// walker visits a source's documents with aliases and merge keys expanded,
// as a reader of the YAML would see them, and collects candidates.
type walker struct {
	src    *source
	visits int
	found  []*candidate
	// bare are images named without tag and digest.
	bare []*candidate
	// claims lists the candidates that use a scalar; loose has a use of a scalar
	// that is no place. loose is kept only where there are aliases.
	claims map[*yaml.Node][]*candidate
	loose  map[*yaml.Node]*yaml.Node
	// taken are the values of parameters that are places.
	taken map[*yaml.Node]bool
	err   error
}

// context is what a node needs to know of the way to it.
type context struct {
	key   string // the key it stands under; an item of a list has its list's key
	item  bool   // an item of a list
	depth int
}

type entry struct {
	key, raw, value *yaml.Node
}

func (e *entry) slot() *slot { return &slot{key: e.key, node: e.value} }

// walk visits all documents. It stops at the first error.
func (w *walker) walk() error {
	w.claims = make(map[*yaml.Node][]*candidate)
	w.loose = make(map[*yaml.Node]*yaml.Node)
	w.taken = make(map[*yaml.Node]bool)
	for _, doc := range w.src.docs {
		for _, n := range doc.Content {
			w.visit(n, context{})
		}
	}
	return w.err
}

func (w *walker) visit(raw *yaml.Node, ctx context) {
	if !w.spend(raw, ctx.depth) {
		return
	}
	switch n := resolve(raw); n.Kind {
	case yaml.MappingNode:
		w.mapping(n, ctx)
	case yaml.SequenceNode:
		w.sequence(n, ctx)
	case yaml.ScalarNode:
		if w.src.aliases && w.loose[n] == nil && (raw != n || !w.taken[n]) {
			w.loose[n] = raw
		}
	}
}

// spend counts a visit against the limits.
func (w *walker) spend(n *yaml.Node, depth int) bool {
	if w.err != nil {
		return false
	}
	w.visits++
	switch {
	case w.visits > maxExpanded+2*len(w.src.spots):
		w.err = w.src.fail(w.src.offset(n), "aliases expand to more than %d values: write them out", maxExpanded)
	case depth > MaxDepth:
		w.err = w.src.fail(w.src.offset(n), "nested more than %d levels deep with aliases expanded", MaxDepth)
	}
	return w.err == nil
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// effective lists a mapping's entries with merge keys followed: its own ones
// first, then those merged in that no earlier one hides.
func (w *walker) effective(n *yaml.Node, depth int) []entry {
	entries := make([]entry, 0, len(n.Content)/2)
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, raw := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merges = append(merges, raw)
			continue
		}
		entries = append(entries, entry{resolve(key), raw, resolve(raw)})
	}
	if len(merges) == 0 {
		return entries
	}
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		seen[e.key.Value] = true
	}
	for _, raw := range merges {
		sources := []*yaml.Node{raw}
		if list := resolve(raw); list.Kind == yaml.SequenceNode {
			sources = list.Content
		}
		for _, m := range sources {
			if m = resolve(m); m.Kind != yaml.MappingNode {
				continue
			}
			if !w.spend(m, depth+1) {
				return entries
			}
			for _, e := range w.effective(m, depth+1) {
				if !w.spend(e.raw, depth) {
					return entries
				}
				if !seen[e.key.Value] {
					seen[e.key.Value] = true
					entries = append(entries, e)
				}
			}
		}
	}
	return entries
}

func (w *walker) mapping(n *yaml.Node, ctx context) {
	entries := w.effective(n, ctx.depth)
	var c *candidate
	if ctx.key == "images" && ctx.item || ctx.key == "imageTag" {
		c = w.kustomize(n, entries)
	}
	if c == nil {
		c = w.helm(entries)
	}
	if c == nil {
		c = w.image(entries, ctx)
	}
	if c != nil {
		w.add(c, entries)
	}
	for _, e := range entries {
		if c != nil && e.value.Kind == yaml.ScalarNode && c.holds(e.value) {
			continue
		}
		w.visit(e.raw, context{key: e.key.Value, depth: ctx.depth + 1})
	}
}

func (c *candidate) holds(n *yaml.Node) bool {
	return c.ref.scalar() == n || c.tag.scalar() == n || c.digest.scalar() == n
}

func (w *walker) sequence(n *yaml.Node, ctx context) {
	var cs []*candidate
	switch ctx.key {
	case "parameters":
		w.parameters(n)
	case "images":
		cs = w.list(n)
	}
	for _, item := range n.Content {
		if claimed(cs, resolve(item)) {
			continue
		}
		w.visit(item, context{key: ctx.key, item: true, depth: ctx.depth + 1})
	}
}

func claimed(cs []*candidate, n *yaml.Node) bool {
	for _, c := range cs {
		if c.holds(n) {
			return true
		}
	}
	return false
}

// add keeps a candidate. uses are the ways by which its scalars were reached.
func (w *walker) add(c *candidate, uses []entry) {
	c.src = w.src
	ns := c.nodes()
	if len(ns) == 0 {
		w.bare = append(w.bare, c)
		return
	}
	for _, e := range uses {
		if e.raw != e.value && c.holds(e.value) {
			c.alias = e.raw
		}
	}
	for _, o := range w.claims[ns[0]] {
		if o.agrees(c) && (o.alias == nil) == (c.alias == nil) {
			return // seen before, through another alias
		}
	}
	for _, n := range ns {
		w.claims[n] = append(w.claims[n], c)
		if len(w.claims[n]) > maxShared && w.err == nil {
			w.err = w.src.fail(w.src.offset(n), "this value is shared through anchors by more than %d different places: write them out", maxShared)
		}
	}
	if c.here == nil {
		c.here = w.src.spots[ns[0]].parent
	}
	if c.alias == nil {
		w.found = append(w.found, c)
	}
}

// lookup is the entry with this key whose value is a scalar other than null.
func lookup(entries []entry, key string) *entry {
	for i := range entries {
		e := &entries[i]
		if e.key.Kind == yaml.ScalarNode && e.key.Value == key && e.value.Kind == yaml.ScalarNode && e.value.Tag != "!!null" {
			return e
		}
	}
	return nil
}

// nonEmpty is lookup for values that say something.
func nonEmpty(entries []entry, key string) *entry {
	if e := lookup(entries, key); e != nil && e.value.Value != "" {
		return e
	}
	return nil
}

// kustomize reads an entry of `images:`.
func (w *walker) kustomize(n *yaml.Node, entries []entry) *candidate {
	name, newName := nonEmpty(entries, "name"), nonEmpty(entries, "newName")
	tag, digest := nonEmpty(entries, "newTag"), nonEmpty(entries, "digest")
	if tag != nil && digest == nil {
		digest = lookup(entries, "digest") // present and empty: there to be filled in
	}
	if name == nil || newName == nil && tag == nil && digest == nil || lookup(entries, "tag") != nil || lookup(entries, "repository") != nil {
		return nil
	}
	c := &candidate{kind: "kustomize", here: n}
	if newName != nil {
		name = newName
	}
	c.repo, _ = repository(name.value.Value)
	if name.raw == name.value && w.src.spots[name.value].parent == n {
		c.name = name.slot()
	}
	if tag != nil {
		c.tag = tag.slot()
	}
	if digest != nil {
		c.digest = digest.slot()
	}
	if first := c.first(); first != n {
		c.here = w.src.spots[first].parent
		if w.src.spots[first].parent != n {
			c.name = nil
		}
	}
	return c
}

// helm reads a mapping of repository and tag.
func (w *walker) helm(entries []entry) *candidate {
	repo, tag := nonEmpty(entries, "repository"), nonEmpty(entries, "tag")
	digest := nonEmpty(entries, "digest")
	if repo == nil {
		if tag == nil {
			tag = nonEmpty(entries, "imageTag")
		}
		if repo = nonEmpty(entries, "image"); repo == nil {
			repo = nonEmpty(entries, "name")
		}
		if tag == nil || repo == nil {
			return nil
		}
		if r, ok := splitReference(repo.value.Value); ok && (r.tag != "" || r.digest != "") {
			return nil
		}
	}
	if tag == nil && digest == nil && lookup(entries, "tag") == nil {
		return nil
	}
	c := &candidate{kind: "helm"}
	image := repo.value.Value
	if registry := nonEmpty(entries, "registry"); registry != nil {
		image = strings.TrimSuffix(registry.value.Value, "/") + "/" + image
	}
	c.repo, _ = repository(image)
	if tag != nil {
		c.tag = tag.slot()
	}
	if d := lookup(entries, "digest"); digest == nil && d != nil && tag != nil {
		digest = d // present and empty: there to be filled in
	}
	if digest != nil {
		c.digest = digest.slot()
	}
	if tag == nil && digest == nil {
		c.here = repo.value
	}
	return c
}

// image reads `image: reference`, and `reference:` under an image.
func (w *walker) image(entries []entry, ctx context) *candidate {
	e := nonEmpty(entries, "image")
	if e == nil && ctx.key == "image" {
		e = nonEmpty(entries, "reference")
	}
	if e == nil {
		return nil
	}
	return w.reference(e, 0)
}

// reference makes a candidate of a scalar that may hold a reference from a byte on.
func (w *walker) reference(e *entry, from int) *candidate {
	r, ok := splitReference(strings.TrimRight(e.value.Value[from:], "\n"))
	if !ok {
		return nil
	}
	c := &candidate{kind: "image", repo: r.repo, here: e.value}
	if r.tag != "" || r.digest != "" {
		c.ref = &slot{key: e.key, node: e.value, from: from}
	}
	return c
}

// list reads `images: [reference, name=reference]`.
func (w *walker) list(n *yaml.Node) []*candidate {
	var cs []*candidate
	for _, raw := range n.Content {
		item := resolve(raw)
		if item.Kind != yaml.ScalarNode {
			continue
		}
		e := entry{raw: raw, value: item}
		if c := w.reference(&e, strings.IndexByte(item.Value, '=')+1); c != nil {
			w.add(c, []entry{e})
			cs = append(cs, c)
		}
	}
	return cs
}

// parameters reads an Argo CD Application's list of {name, value}.
func (w *walker) parameters(n *yaml.Node) {
	byName := make(map[string]*entry, len(n.Content))
	twice := make(map[*entry]bool)
	var names []string
	for _, item := range n.Content {
		m := resolve(item)
		if m.Kind != yaml.MappingNode {
			continue
		}
		entries := w.effective(m, 0)
		name, value := nonEmpty(entries, "name"), lookup(entries, "value")
		if name == nil || value == nil {
			continue
		}
		if first := byName[name.value.Value]; first != nil {
			twice[first] = true
			continue
		}
		byName[name.value.Value] = value
		names = append(names, name.value.Value)
	}
	for _, name := range names {
		c := w.parameter(name, byName)
		if c == nil {
			continue
		}
		var uses []entry
		for _, e := range byName {
			if !c.holds(e.value) {
				continue
			}
			w.taken[e.value] = true
			uses = append(uses, *e)
			if twice[e] {
				c.fault = "a parameter of this name stands twice in the list: remove one"
			}
		}
		w.add(c, uses)
	}
}

func (w *walker) parameter(name string, byName map[string]*entry) *candidate {
	value := byName[name].value.Value
	if name == "image" || strings.HasSuffix(name, ".image") {
		c := w.reference(byName[name], 0)
		if c != nil && c.ref != nil {
			c.kind = "argo"
			c.here = w.src.spots[c.ref.node].parent
		}
		return c
	}
	prefix, ok := strings.CutSuffix(name, "repository")
	if !ok || prefix != "" && !strings.HasSuffix(prefix, ".") {
		return nil
	}
	c := &candidate{kind: "argo", here: byName[name].value}
	if registry := byName[prefix+"registry"]; registry != nil && registry.value.Value != "" {
		value = strings.TrimSuffix(registry.value.Value, "/") + "/" + value
	}
	c.repo, _ = repository(value)
	if e := byName[prefix+"tag"]; e != nil && e.value.Value != "" {
		c.tag = e.slot()
	}
	if e := byName[prefix+"digest"]; e != nil && (e.value.Value != "" || c.tag != nil) {
		c.digest = e.slot()
	}
	if ns := c.nodes(); len(ns) > 0 {
		c.here = w.src.spots[ns[0]].parent
	}
	return c
}
