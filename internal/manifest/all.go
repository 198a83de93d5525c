package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
	"go.yaml.in/yaml/v3"
)

// Listing is what a file says of images, whichever they are: for who doesn't know
// yet what to look for.
type Listing struct {
	// Images are places of images with a version, as Find would find them if
	// somebody asked for that image.
	Images []ImagePlace
	// Loose are versions beside which no image stands; Mark can say whose they are.
	Loose []LooseTag
	// Repositories are images named beside a key for the version, whether one is
	// written there or not: what a loose version elsewhere may belong to.
	Repositories []ImageName
	// Notes hold what could not be read, and why.
	Notes []Note
}

// ImagePlace is a place of an image.
type ImagePlace struct {
	// Image is the repository in normal form; empty where only a mark says whose
	// the version is.
	Image string
	// Mark is the artifact that a `# rung:` comment names.
	Mark         promotion.Artifact
	Place        promotion.Place
	Line, Column int
	// Keeps is true where the value keeps its shape: no digest is ever added.
	Keeps bool
}

// LooseTag is a version without an image.
type LooseTag struct {
	// Document is the locator's word for the document it stands in; Under the path
	// of its mapping among the values of a chart, such as "image".
	Document, Under string
	Value           string
	Line, Column    int
	// Markable is true where nothing follows on its line but a comment.
	Markable bool
}

// ImageName is an image named in the values of a chart.
type ImageName struct {
	Image           string
	Document, Under string
	Line, Column    int
}

// All lists what a file says of images. It never fails: what can't be read is a
// note. Values that something else fills in later are left out.
func All(name string, data []byte) Listing {
	f := &document{path: name, data: data}
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")):
		return Listing{Notes: []Note{{Path: name, Text: "passed over: written in UTF-16"}}}
	case len(data) > MaxSize:
		return Listing{Notes: []Note{{Path: name, Text: fmt.Sprintf("passed over: longer than %d bytes", MaxSize)}}}
	}
	var l Listing
	if err := f.load(&source{path: name, file: data, data: data}); err != nil {
		l.fail(err)
		return l
	}
	l.Notes = f.notes
	for _, s := range f.sources {
		l.source(f, s)
	}
	slices.SortStableFunc(l.Images, func(a, b ImagePlace) int { return before(a.Line, a.Column, b.Line, b.Column) })
	slices.SortStableFunc(l.Loose, func(a, b LooseTag) int { return before(a.Line, a.Column, b.Line, b.Column) })
	slices.SortStableFunc(l.Repositories, func(a, b ImageName) int { return before(a.Line, a.Column, b.Line, b.Column) })
	l.Notes = l.Notes[:min(len(l.Notes), maxNotes)]
	return l
}

func before(line, column, otherLine, otherColumn int) int {
	if line != otherLine {
		return line - otherLine
	}
	return column - otherColumn
}

// fail keeps an error as a note.
func (l *Listing) fail(err error) {
	var e *Error
	if errors.As(err, &e) {
		l.Notes = append(l.Notes, Note{e.Path, e.Line, e.Column, e.Reason})
	}
}

func (l *Listing) source(f *document, s *source) {
	w := walker{src: s}
	if err := w.walk(); err != nil {
		l.fail(err)
		return
	}
	kept := f.notes
	marks := f.marks(s)
	f.notes = kept // marks for artifacts that nobody named yet are no news
	claimed := make(map[*yaml.Node][]*candidate)
	for _, c := range w.found {
		for _, n := range c.nodes() {
			claimed[n] = append(claimed[n], c)
		}
	}
	for n, mark := range marks {
		if len(claimed[n]) == 0 {
			w.found = append(w.found, markedValue(s, n))
			claimed[n] = []*candidate{w.found[len(w.found)-1]}
		}
		for _, c := range claimed[n] {
			c.mark = mark
		}
	}
	for _, c := range w.found {
		l.place(c)
	}
	values := valueReader{listing: l, src: s, claimed: claimed}
	for n := range s.spots {
		values.node(n)
	}
}

// place adds a candidate as far as it can be read.
func (l *Listing) place(c *candidate) {
	for _, n := range c.nodes() {
		if templated(n.Value) {
			return
		}
	}
	if c.repo == "" && c.mark == "" {
		return
	}
	value, err := c.value()
	if err != nil {
		l.fail(c.src.fail(c.spot(), "%v", err))
		return
	}
	locator := c.src.locator(c.kind, c.here)
	if locator == "" {
		return
	}
	line, column := c.src.position(c.spot())
	l.Images = append(l.Images, ImagePlace{
		Image: c.repo, Mark: c.mark, Line: line, Column: column, Keeps: c.fixed && c.ref == nil,
		Place: promotion.Place{Path: c.src.path, Locator: locator, Value: value},
	})
}

// valueReader looks for images and versions apart from each other, as charts' values
// have them when each environment overrides the version alone.
type valueReader struct {
	listing *Listing
	src     *source
	claimed map[*yaml.Node][]*candidate
}

func (v *valueReader) node(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		v.mapping(n)
	case yaml.SequenceNode:
		if at := v.src.spots[n]; at.parent.Kind == yaml.MappingNode && at.parent.Content[at.index&^1].Value == "parameters" {
			v.parameters(n)
		}
	}
}

func (v *valueReader) mapping(n *yaml.Node) {
	if image, at := namedImage(n); image != "" {
		v.image(image, at, v.under(n))
		return
	}
	for _, key := range []string{"tag", "imageTag"} {
		at := child(n, key)
		if at != nil && v.src.spots[at].parent == n && (key == "imageTag" || v.ofImage(n)) {
			v.tag(at, v.under(n))
		}
	}
}

// namedImage is the image that a mapping of a chart's values names.
func namedImage(n *yaml.Node) (string, *yaml.Node) {
	at := child(n, "repository")
	if at == nil {
		if at = child(n, "image"); at == nil || child(n, "imageTag") == nil && child(n, "tag") == nil {
			return "", nil
		}
	}
	if at.Kind != yaml.ScalarNode {
		return "", nil
	}
	name := at.Value
	if registry := field(n, "registry"); registry != "" {
		name = strings.TrimSuffix(registry, "/") + "/" + name
	}
	image, _ := repository(name)
	return image, at
}

// ofImage reports whether a mapping stands under a key such as image or proxyImage.
func (v *valueReader) ofImage(n *yaml.Node) bool {
	at := v.src.spots[n]
	return at.parent.Kind == yaml.MappingNode && imageKey(at.parent.Content[at.index&^1].Value)
}

func imageKey(key string) bool { return strings.HasSuffix(strings.ToLower(key), "image") }

// parameters reads Argo CD's {name: image.tag, value: …}.
func (v *valueReader) parameters(list *yaml.Node) {
	byName := make(map[string]*yaml.Node, len(list.Content))
	for _, item := range list.Content {
		if value := child(resolve(item), "value"); value != nil && value.Kind == yaml.ScalarNode {
			byName[field(resolve(item), "name")] = value
		}
	}
	for name, value := range byName {
		under, last := "", name
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			under, last = name[:i], name[i+1:]
		}
		switch {
		case last == "repository":
			repo := value.Value
			if registry := byName[strings.TrimSuffix(name, "repository")+"registry"]; registry != nil {
				repo = strings.TrimSuffix(registry.Value, "/") + "/" + repo
			}
			if image, ok := repository(repo); ok {
				v.image(image, value, under)
			}
		case byName[strings.TrimSuffix(name, last)+"repository"] != nil:
		case last == "imageTag", last == "tag" && imageKey(under):
			v.tag(value, under)
		}
	}
}

func (v *valueReader) image(image string, at *yaml.Node, under string) {
	line, column := v.src.position(v.src.offset(at))
	v.listing.Repositories = append(v.listing.Repositories, ImageName{Image: image, Document: v.document(at), Under: under, Line: line, Column: column})
}

func (v *valueReader) tag(at *yaml.Node, under string) {
	if at.Kind != yaml.ScalarNode || len(v.claimed[at]) > 0 || templated(at.Value) {
		return
	}
	tag, _, _ := strings.Cut(at.Value, "@")
	if !tagGrammar.MatchString(tag) {
		return
	}
	line, column := v.src.position(v.src.offset(at))
	_, markable := v.src.markSpot(at)
	v.listing.Loose = append(v.listing.Loose, LooseTag{Document: v.document(at), Under: under, Value: at.Value, Line: line, Column: column, Markable: markable})
}

func (v *valueReader) document(n *yaml.Node) string {
	s := v.src
	for s.parent != nil {
		n, s = s.outer, s.parent
	}
	return s.ids[s.spots[n].doc]
}

// valuesOf are the ways to a chart's values inside a HelmRelease or Application.
var valuesOf = lazyregexp.New(`^(?:spec\.)?(?:template\.spec\.)?(?:values|sources?(?:\[[^\]]*\])?\.helm\.valuesObject)\.`)

// under is the path of a mapping among a chart's values.
func (v *valueReader) under(n *yaml.Node) string {
	path := v.src.pathTo(n)
	if path == "." {
		return ""
	}
	return valuesOf.ReplaceAllString(path, "")
}

// markSpot is where a mark for a scalar would stand in the source: behind it, where
// nothing but a comment follows on its line.
func (s *source) markSpot(n *yaml.Node) (int, bool) {
	t, ok := s.scalar(n)
	if !ok || t.quote == '|' {
		return 0, false
	}
	rest := s.data[t.end:]
	for i, b := range rest {
		switch {
		case breakAt(rest, i) > 0, b == '#' && i > 0:
			return t.end, true
		case b != ' ' && b != '\t':
			return 0, false
		}
	}
	return t.end, true
}

// Mark says at the end of lines whose version stands there: it writes the comment
// `# rung: name` behind the loose versions of a file that stand on these lines.
// Nothing else changes, and what was marked is found by Find afterwards; otherwise
// it is an error.
func Mark(name string, data []byte, artifact Artifact, lines []int) ([]byte, error) {
	f := &document{path: name, data: data}
	if len(data) > MaxSize {
		return nil, &Error{Path: name, Reason: fmt.Sprintf("longer than %d bytes", MaxSize)}
	}
	if err := f.load(&source{path: name, file: data, data: data}); err != nil {
		return nil, err
	}
	comment := " # rung: " + string(artifact.Name)
	at, wanted := make(map[int]bool), make(map[int]bool)
	for _, line := range lines {
		wanted[line] = true
	}
	for _, s := range f.sources {
		var l Listing
		l.source(f, s)
		loose := make(map[[2]int]bool)
		for _, t := range l.Loose {
			if t.Markable && wanted[t.Line] {
				loose[[2]int{t.Line, t.Column}] = true
			}
		}
		for n := range s.spots {
			line, column := s.position(s.offset(n))
			if spot, ok := s.markSpot(n); ok && loose[[2]int{line, column}] {
				at[s.inFile(spot)] = true
			}
		}
	}
	if len(f.sources) == 0 || len(at) != len(lines) {
		return nil, &Error{Path: name, Reason: fmt.Sprintf("of %d versions to be marked for %s, %d can be: write `#%s` behind the others by hand", len(lines), artifact.Name, len(at), comment[2:])}
	}
	out := make([]byte, 0, len(data)+len(at)*len(comment))
	for i := 0; i <= len(data); i++ {
		if at[i] {
			out = append(out, comment...)
		}
		if i < len(data) {
			out = append(out, data[i])
		}
	}
	if err := f.checkMarks(out, artifact, lines); err != nil {
		return nil, err
	}
	return out, nil
}

// checkMarks reads a file with new marks back.
func (f *document) checkMarks(out []byte, artifact Artifact, lines []int) error {
	report, err := Find(f.path, out, []Artifact{artifact})
	if err != nil {
		return err
	}
	found := make(map[int]bool)
	for _, p := range report.Found {
		found[p.Line] = true
	}
	for _, line := range lines {
		if !found[line] {
			return &Error{Path: f.path, Line: line, Reason: "the mark would not be found again"}
		}
	}
	again := &document{path: f.path, data: out}
	if err := again.load(&source{path: f.path, file: out, data: out}); err != nil {
		return err
	}
	if len(again.sources) != len(f.sources) {
		return &Error{Path: f.path, Reason: "the documents in it would change"}
	}
	for i, s := range f.sources {
		if len(s.docs) != len(again.sources[i].docs) {
			return &Error{Path: f.path, Reason: "the documents in it would change"}
		}
		for d, doc := range s.docs {
			if err := sameButComments(doc, again.sources[i].docs[d]); err != nil {
				return &Error{Path: f.path, Reason: err.Error()}
			}
		}
	}
	return nil
}

// sameButComments is same, where YAML inside a block may have a mark more.
func sameButComments(a, b *yaml.Node) error {
	if a.Kind == yaml.ScalarNode && a.Style&yaml.LiteralStyle != 0 && b.Kind == a.Kind {
		return nil
	}
	if a.Kind != b.Kind || len(a.Content) != len(b.Content) || len(a.Content) == 0 {
		return same(a, b, nil)
	}
	for i := range a.Content {
		if err := sameButComments(a.Content[i], b.Content[i]); err != nil {
			return err
		}
	}
	return nil
}
