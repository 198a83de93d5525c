package manifest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
	"go.yaml.in/yaml/v3"
)

// Outline is a file as Find read it, for whoever reads many states of it: of
// other bytes that differ from it in the versions alone, it tells what Find and
// Apply would say, without parsing them. It says nothing where it can't be sure.
// It is immutable.
type Outline struct {
	path   string
	data   []byte
	found  []Found
	places []*place
	spans  []span
}

// span is a scalar, or the end of one, that holds a place's version.
type span struct {
	from, to int
	place    int
	part     part
	text     string
}

// part is what of a version stands in a span.
type part int

const (
	partTag part = iota
	partDigest
	partTail // of a reference: ":tag@digest"
)

// isPlainTag reports whether a tag is text to every YAML parser, with quotes and
// without: two dots make no number, and the letters below stand in no number, date
// or word of YAML's that is as long.
func isPlainTag(s string) bool {
	dots, letters := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			dots++
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			if strings.IndexByte("ghijkmpqrvw", c|0x20) >= 0 {
				letters++
			}
		case c == '-', c == '_', c >= '0' && c <= '9':
		default:
			return false
		}
	}
	return s != "" && s[0] != '.' && s[0] != '-' && s[len(s)-1] != '.' && (dots >= 2 || letters > 0 && len(s) > 6)
}

func isPlainDigest(s string) bool {
	_, err := promotion.ParseDigest(s)
	return err == nil
}

// NewOutline reads a file. It returns nothing where Find finds fault with the
// file, finds no place in it, or where a place is written in a way that is not
// followed: a marked line, YAML in YAML, anchors, a scalar over several lines.
func NewOutline(name string, data []byte, artifacts []Artifact) (*Outline, bool) {
	f, err := read(name, data, artifacts)
	if err != nil || len(f.sources) != 1 || f.sources[0].aliases || len(f.places) == 0 || bytes.Contains(data, []byte("rung:")) {
		return nil, false
	}
	o := &Outline{path: name, data: data, places: f.places}
	locators := map[string]bool{}
	for i, p := range f.places {
		if p.fixed || p.mark != "" || p.fault != "" || locators[p.locator] || !o.cut(f.sources[0], i) {
			return nil, false
		}
		locators[p.locator] = true
		line, column := p.src.position(p.spot())
		o.found = append(o.found, Found{
			Artifact: p.artifact, Place: promotion.Place{Path: name, Locator: p.locator, Value: p.value}, Line: line, Column: column,
		})
	}
	slices.SortFunc(o.spans, func(a, b span) int { return a.from - b.from })
	for i, s := range o.spans {
		if i > 0 && s.from < o.spans[i-1].to || !s.follows(s.text) || s.to < len(data) && inToken(data[s.to]) {
			return nil, false
		}
	}
	return o, true
}

// cut finds the bytes of a place's version.
func (o *Outline) cut(s *source, i int) bool {
	p := o.places[i]
	add := func(n *yaml.Node, from int, part part) bool {
		t, ok := s.scalar(n)
		if !ok || t.quote == '|' || from >= len(n.Value) || t.at[len(n.Value)]-t.at[from] != len(n.Value)-from {
			return false
		}
		o.spans = append(o.spans, span{t.at[from], t.at[len(n.Value)], i, part, n.Value[from:]})
		return true
	}
	if p.ref != nil {
		r, ok := splitReference(p.ref.node.Value[p.ref.from:])
		return ok && add(p.ref.node, p.ref.from+r.tail, partTail)
	}
	return (p.tag == nil || add(p.tag.node, 0, partTag)) && (p.digest == nil || add(p.digest.node, 0, partDigest))
}

// inToken reports whether a byte may stand in a version.
func inToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-+:@/", c) >= 0
}

// follows reports whether a text may stand in a span in the place of what stands
// there: the same parts, each plain.
func (s span) follows(text string) bool {
	if s.part == partDigest {
		return isPlainDigest(text)
	}
	tag, digest, pinned := strings.Cut(text, "@")
	if pinned != strings.Contains(s.text, "@") || pinned && !isPlainDigest(digest) {
		return false
	}
	if s.part == partTag {
		return isPlainTag(tag)
	}
	tag, tagged := strings.CutPrefix(tag, ":")
	return tagged == strings.HasPrefix(s.text, ":") && (tagged && isPlainTag(tag) || !tagged && tag == "")
}

// texts are the texts of the spans in other bytes; false where anything else
// differs.
func (o *Outline) texts(data []byte) ([]string, bool) {
	if len(data) > MaxSize {
		return nil, false
	}
	texts := make([]string, len(o.spans))
	at, from := 0, 0 // in data, in o.data
	for i, s := range o.spans {
		between := o.data[from:s.from]
		if !bytes.HasPrefix(data[at:], between) {
			return nil, false
		}
		at += len(between)
		start := at
		for at < len(data) && inToken(data[at]) {
			at++
		}
		texts[i], from = string(data[start:at]), s.to
		if texts[i] != s.text && !s.follows(texts[i]) {
			return nil, false
		}
	}
	return texts, bytes.Equal(data[at:], o.data[from:])
}

// Find is what Find says of other bytes of the file; false where it has to be
// asked. No outline says nothing.
func (o *Outline) Find(data []byte) ([]Found, bool) {
	if o == nil {
		return nil, false
	}
	texts, ok := o.texts(data)
	if !ok {
		return nil, false
	}
	found := slices.Clone(o.found)
	for i, p := range o.places {
		c := *p.candidate
		for j, s := range o.spans {
			if s.place != i {
				continue
			}
			switch node := (&yaml.Node{Value: texts[j]}); s.part {
			case partTag:
				c.tag = &slot{node: node}
			case partDigest:
				c.digest = &slot{node: node}
			default:
				n := p.ref.node.Value
				node.Value = n[:len(n)-len(s.text)] + texts[j]
				c.ref = &slot{node: node, from: p.ref.from}
			}
		}
		value, err := c.value()
		if err != nil {
			return nil, false
		}
		found[i].Place.Value = value
	}
	return found, true
}

// Applied reports that Apply would turn one state of the file into another by
// these changes, of states as this outline's Find tells them; false where it would
// not, or has to be asked.
func (o *Outline) Applied(was, is []Found, changes []promotion.PlaceChange) bool {
	if o == nil || len(was) != len(o.found) || len(is) != len(o.found) {
		return false
	}
	left := len(changes)
	for i, f := range was {
		n := slices.IndexFunc(changes, func(c promotion.PlaceChange) bool { return c.Locator == f.Place.Locator })
		if n < 0 {
			if is[i].Place.Value != f.Place.Value {
				return false
			}
			continue
		}
		if c := changes[n]; c.Path != o.path || c.Before != f.Place.Value || c.After != is[i].Place.Value {
			return false
		}
		left--
	}
	return left == 0
}
