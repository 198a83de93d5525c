package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
	"go.yaml.in/yaml/v3"
)

// document is a file that was read for some artifacts. A file that names none of
// them has no sources.
type document struct {
	path    string
	data    []byte
	targets []target
	// sources holds the file and then the YAML embedded in it, outer the scalars that hold that.
	sources    []*source
	outer      map[*yaml.Node]bool
	candidates []*candidate
	places     []*place
	notes      []Note
	errs       []error
}

// place is a candidate that belongs to an artifact and holds a version.
type place struct {
	*candidate
	artifact promotion.Artifact
	locator  string
	value    promotion.Value
}

// read finds the places of the artifacts in a file.
func read(name string, data []byte, artifacts []Artifact) (*document, error) {
	f := &document{path: name, data: data}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, &Error{Path: name, Reason: "written in UTF-16, which rung does not read: save it as UTF-8"}
	}
	var err error
	if f.targets, err = targets(relevant(data, artifacts)); err != nil {
		return nil, &Error{Path: name, Reason: err.Error()}
	}
	if len(f.targets) == 0 {
		return f, nil
	}
	if len(data) > MaxSize {
		return nil, &Error{Path: name, Reason: fmt.Sprintf("%d bytes long and names an artifact; rung reads files up to %d bytes: split it", len(data), MaxSize)}
	}
	root := &source{path: name, file: data, data: data}
	if err := f.load(root); err != nil {
		return nil, err
	}
	for _, s := range f.sources {
		f.gather(s)
	}
	f.settle()
	if len(f.errs) > 0 {
		slices.SortStableFunc(f.errs, byPosition)
		return nil, errors.Join(f.errs[:min(len(f.errs), maxErrors)]...)
	}
	return f, nil
}

func byPosition(a, b error) int {
	var x, y *Error
	if !errors.As(a, &x) || !errors.As(b, &y) {
		return 0
	}
	if x.Line != y.Line {
		return x.Line - y.Line
	}
	return x.Column - y.Column
}

// relevant are the artifacts that may have a place in a file: those the last
// part of whose image stands in it, as it does in every way of writing the image
// without escapes, and those that a mark may name.
func relevant(data []byte, artifacts []Artifact) []Artifact {
	if bytes.IndexByte(data, '\\') >= 0 {
		return artifacts
	}
	marked := bytes.Contains(data, []byte("rung:"))
	seen := make(map[string]bool, 2*len(artifacts))
	for _, a := range artifacts {
		seen[lastPart(a.Image)], seen[string(a.Name)] = false, false
	}
	for i := 0; i < len(data); i++ {
		start := i
		for i < len(data) && isNameByte(data[i]) && data[i] != '/' {
			i++
		}
		if _, asked := seen[string(data[start:i])]; asked {
			seen[string(data[start:i])] = true
		}
	}
	var found []Artifact
	for _, a := range artifacts {
		last := lastPart(a.Image)
		// What is no image's name is taken along, to be refused by name.
		if seen[last] || !isToken(last) || marked && seen[string(a.Name)] {
			found = append(found, a)
		}
	}
	return found
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isNameByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func lastPart(image string) string { return image[strings.LastIndexByte(image, '/')+1:] }

// load parses a source and the YAML embedded in it. What can't be parsed is an
// error if it names an image, else a note.
func (f *document) load(s *source) error {
	if err := s.parse(); err != nil {
		return f.unreadable(s, err)
	}
	f.sources = append(f.sources, s)
	if s.parent != nil {
		f.outer[s.outer] = true
		return nil
	}
	f.outer = make(map[*yaml.Node]bool)
	for _, doc := range s.docs {
		for _, n := range doc.Content {
			for _, inner := range s.embedded(n) {
				if err := f.load(inner); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *document) unreadable(s *source, err error) error {
	template := bytes.Contains(s.data, []byte("{{"))
	body := withoutComments(s.data)
	for _, t := range f.targets {
		at := t.mentions(body, template)
		if at < 0 && !hasMark(s.data, t.name) {
			continue
		}
		var e *Error
		if errors.As(err, &e) && template {
			e.Line, e.Column = s.position(max(at, 0))
			e.Reason = fmt.Sprintf("a template that names %s with a version, which rung can't edit before it is rendered: take the version from the values", t.image)
		} else if e != nil {
			e.Reason += fmt.Sprintf(" (and the file names %s, so rung can't pass it over)", t.image)
		}
		return err
	}
	var e *Error
	switch {
	case template:
		f.notes = append(f.notes, Note{Path: f.path, Text: "passed over: it is a template, no YAML before it is rendered"})
	case errors.As(err, &e):
		f.notes = append(f.notes, Note{f.path, e.Line, e.Column, "passed over: " + e.Reason})
	}
	return nil
}

// withoutComments is data with blanks for lines that are nothing but a comment.
func withoutComments(data []byte) string {
	out := make([]byte, 0, len(data))
	for line := range bytes.Lines(data) {
		if l := bytes.TrimLeft(line, " \t"); len(l) > 0 && l[0] == '#' {
			line = bytes.Repeat([]byte(" "), len(line))
		}
		out = append(out, line...)
	}
	return string(out)
}

func (f *document) note(s *source, at int, format string, args ...any) {
	line, column := s.position(at)
	f.notes = append(f.notes, Note{f.path, line, column, fmt.Sprintf(format, args...)})
}

func (f *document) fault(s *source, at int, format string, args ...any) {
	f.errs = append(f.errs, s.fail(at, format, args...))
}

// embedded lists the block scalars of a document that are known to hold YAML.
func (s *source) embedded(root *yaml.Node) []*source {
	var found []*source
	id := s.ids[s.spots[root].doc]
	configMap := field(root, "kind") == "ConfigMap"
	var visit func(n *yaml.Node, keys []string)
	visit = func(n *yaml.Node, keys []string) {
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				visit(n.Content[i+1], append(keys, n.Content[i].Value))
			}
		case yaml.SequenceNode:
			for _, item := range n.Content {
				visit(item, append(keys, "[]"))
			}
		case yaml.ScalarNode:
			if n.Style&yaml.LiteralStyle == 0 || !holdsYAML(keys, configMap) {
				return
			}
			if t, ok := s.scalar(n); ok {
				path := s.pathTo(n)
				if path == "" {
					path = "[?]"
				}
				found = append(found, &source{
					path: s.path, file: s.file, data: []byte(n.Value), at: t.at, indent: t.indent,
					outer: n, parent: s, prefix: id + ":" + path + "|",
				})
			}
		}
	}
	visit(root, nil)
	return found
}

func holdsYAML(keys []string, configMap bool) bool {
	end := func(n int) string {
		if n > len(keys) {
			return ""
		}
		return keys[len(keys)-n]
	}
	switch {
	case end(1) == "values" && end(2) == "helm":
		return true
	case end(1) == "patch" && end(2) == "[]" && end(3) == "patches":
		return true
	case end(1) == "[]" && end(2) == "patchesStrategicMerge":
		return true
	case configMap && len(keys) == 2 && keys[0] == "data":
		switch path.Ext(keys[1]) {
		case ".yaml", ".yml":
			return true
		}
	}
	return false
}

// gather adds a source's candidates and marked values to f.
func (f *document) gather(s *source) {
	w := walker{src: s}
	if err := w.walk(); err != nil {
		f.errs = append(f.errs, err)
		return
	}
	marks := f.marks(s)
	for n, mark := range marks {
		if !slices.ContainsFunc(w.found, func(c *candidate) bool { return c.holds(n) }) {
			c := markedValue(s, n)
			w.found = append(w.found, c)
			w.claims[n] = append(w.claims[n], c)
		}
		for _, c := range w.claims[n] {
			if c.alias == nil {
				c.mark = mark
			}
		}
	}
	for _, t := range f.targets {
		if s.aliases {
			f.checkShared(&w, t, marks)
		}
		for _, b := range w.bare {
			if b.repo == t.repo {
				f.note(s, s.offset(b.here), "names %s "+WithoutVersion, t.image)
			}
		}
	}
	f.mentions(&w)
	f.candidates = append(f.candidates, w.found...)
}

// checkShared refuses places of a target whose value is used elsewhere, where
// an edit would change something else.
func (f *document) checkShared(w *walker, t target, marks map[*yaml.Node]promotion.Artifact) {
	for n, claims := range w.claims {
		var mine, place, other *candidate
		for _, c := range claims {
			switch {
			case c.alias != nil && c.follows(t, marks[n]):
				mine = c
			case c.alias != nil || !c.belongs(t):
				other = c
			case place == nil:
				mine, place = c, c
			case !place.agrees(c):
				other = c
			}
		}
		if mine == nil {
			continue
		}
		use := w.loose[n]
		switch {
		case other != nil:
			at := other.alias
			if at == nil {
				at = other.first()
			}
			f.fault(w.src, w.src.offset(n), "this value of %s is shared with another place through an anchor (line %d), and an edit would change both: write the value out", t.name, f.line(w.src, at))
		case place == nil:
			f.fault(w.src, w.src.offset(mine.alias), "the version of %s is an alias here: write the value out, or end the anchor's line with `# rung: %s`", t.name, t.name)
		case use != nil && marks[n] == "":
			f.fault(w.src, w.src.offset(n), "this value of %s is used in another role through an anchor (line %d): write it out there, or end this line with `# rung: %s`", t.name, f.line(w.src, use), t.name)
		}
	}
}

// follows reports whether a place whose scalar is an alias may change with its
// anchor, which is marked or not, when the anchor is t's.
func (c *candidate) follows(t target, mark promotion.Artifact) bool {
	return c.repo == t.repo || mark == t.name && c.placeholder()
}

// placeholder reports whether an image's name says nothing of where it is:
// unknown, or a short one, as kustomize bases use them.
func (c *candidate) placeholder() bool {
	return c.repo == "" || strings.HasPrefix(c.repo, dockerHub+"/")
}

func (f *document) line(s *source, n *yaml.Node) int {
	line, _ := s.position(s.offset(n))
	return line
}

// belongs reports whether a candidate is a target's. A mark decides where there is one.
func (c *candidate) belongs(t target) bool {
	if c.mark != "" {
		return c.mark == t.name
	}
	return c.repo == t.repo
}

// settle turns the candidates that belong to an artifact into places.
func (f *document) settle() {
	locators := make(map[string]bool)
	for _, c := range f.candidates {
		if !f.markFits(c) {
			continue
		}
		for _, t := range f.targets {
			if c.belongs(t) {
				f.admit(c, t, locators)
			}
		}
	}
	slices.SortStableFunc(f.places, func(a, b *place) int { return a.src.inFile(a.spot()) - b.src.inFile(b.spot()) })
	slices.SortStableFunc(f.notes, func(a, b Note) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	f.notes = f.notes[:min(len(f.notes), maxNotes)]
}

// markFits refuses a mark that says another artifact than the image's name does.
func (f *document) markFits(c *candidate) bool {
	if c.mark == "" || c.repo == "" {
		return true
	}
	for _, t := range f.targets {
		switch {
		case c.mark == t.name && c.repo == t.repo:
			return true
		case c.mark != t.name && c.repo == t.repo:
			f.fault(c.src, c.spot(), "this names %s, the image of %s, but the line is marked for %s: correct one of them", t.image, t.name, c.mark)
			return false
		case c.mark == t.name && (c.ref != nil || !c.placeholder()):
			f.fault(c.src, c.spot(), "the line is marked for %s, whose image is %s, but names %s: correct one of them", t.name, t.image, c.repo)
			return false
		}
	}
	return true
}

func (f *document) admit(c *candidate, t target, locators map[string]bool) {
	for _, n := range c.nodes() {
		if templated(n.Value) {
			f.note(c.src, c.src.offset(n), "the version of %s is filled in from elsewhere (%s): rung leaves it alone", t.name, quote(n.Value))
			return
		}
	}
	value, err := c.value()
	if err != nil {
		f.fault(c.src, c.spot(), "%v", err)
		return
	}
	p := &place{candidate: c, artifact: t.name, locator: c.src.locator(c.kind, c.here), value: value}
	if p.locator == "" {
		f.fault(c.src, c.spot(), "the path to this place of %s is longer than %d bytes, too long for a record: use shorter keys", t.name, maxLocator)
		return
	}
	key := string(t.name) + " " + p.locator
	if locators[key] {
		f.fault(c.src, c.spot(), "two places of %s can't be told apart (%s)", t.name, p.locator)
		return
	}
	locators[key] = true
	f.places = append(f.places, p)
	if bytes.Contains(c.src.restOfLine(c.spot()), []byte("$imagepolicy")) {
		f.note(c.src, c.spot(), "Flux's image automation is set to edit this line too: take its marker away, or the two will overwrite each other")
	}
	if c.tag != nil && c.tag.node.Tag != "!!str" {
		f.note(c.src, c.spot(), "%s without quotes is no text to YAML, so a chart may read something else: put it in quotes", quote(c.tag.node.Value))
	}
}

// value reads what stands at a candidate.
func (c *candidate) value() (promotion.Value, error) {
	if c.fault != "" {
		return promotion.Value{}, errors.New(c.fault)
	}
	if c.ref != nil {
		r, _ := splitReference(strings.TrimRight(c.ref.node.Value[c.ref.from:], "\n"))
		return tagged(r.tag, r.digest)
	}
	var tag, digest string
	if c.tag != nil {
		tag, digest, _ = strings.Cut(c.tag.node.Value, "@")
		if digest != "" && c.digest != nil && c.digest.node.Value != "" && c.digest.node.Value != digest {
			return promotion.Value{}, fmt.Errorf("the tag %s and the digest beside it disagree: keep one digest", quote(c.tag.node.Value))
		}
	}
	if c.digest != nil && c.digest.node.Value != "" {
		digest = c.digest.node.Value
	}
	if c.fixed && tag != "" {
		v, err := promotion.ParseVersion(tag)
		if err != nil {
			return promotion.Value{}, err
		}
		d, err := tagged("", digest)
		return promotion.Value{Version: v, Digest: d.Digest}, err
	}
	return tagged(tag, digest)
}

// restOfLine is what follows an offset on its line, up to a kilobyte of it.
func (s *source) restOfLine(at int) []byte {
	rest := s.data[at:min(at+1024, len(s.data))]
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end]
	}
	return rest
}
