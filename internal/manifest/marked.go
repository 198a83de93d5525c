package manifest

import (
	"bytes"
	"strings"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
	"go.yaml.in/yaml/v3"
)

var (
	markStart   = lazyregexp.New(`^#[ \t]*rung:`)
	markGrammar = lazyregexp.New(`^#[ \t]*rung:[ \t]*([a-z0-9][a-z0-9-]{0,40})([ \t].*)?$`)
)

// markIn finds a mark's comment in a line: where it begins and whom it names,
// which is "" for one that can't be read.
func markIn(line []byte) (int, promotion.Artifact, bool) {
	line = bytes.TrimRight(line, "\r\n \t")
	for i := 0; i < len(line); i++ {
		if line[i] != '#' || i > 0 && line[i-1] != ' ' && line[i-1] != '\t' || !markStart.Match(line[i:]) {
			continue
		}
		if m := markGrammar.FindSubmatch(line[i:]); m != nil {
			return i, promotion.Artifact(m[1]), true
		}
		return i, "", true
	}
	return 0, "", false
}

func hasMark(data []byte, name promotion.Artifact) bool {
	for line := range bytes.Lines(data) {
		if _, mark, ok := markIn(line); ok && mark == name {
			return true
		}
	}
	return false
}

// mark is a `# rung: name` comment in a source.
type mark struct {
	at   int // of its #
	name promotion.Artifact
	used bool
}

// marks finds the scalars at the end of whose lines a mark stands. A mark that
// can't be read, and one of f's artifacts that has no value before it, is
// an error, since somebody meant something by it.
func (f *document) marks(s *source) map[*yaml.Node]promotion.Artifact {
	byLine := make(map[int]*mark)
	for i, start := range s.lines {
		end := len(s.data)
		if i+1 < len(s.lines) {
			end = s.lines[i+1]
		}
		at, name, ok := markIn(s.data[start:end])
		if ok {
			byLine[i] = &mark{at: start + at, name: name}
		}
	}
	if len(byLine) == 0 {
		return nil
	}
	found := make(map[*yaml.Node]promotion.Artifact)
	var blocks []*yaml.Node
	for n, at := range s.spots {
		if n.Kind != yaml.ScalarNode {
			continue
		}
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			blocks = append(blocks, n)
		}
		m := byLine[n.Line-1]
		if m == nil || at.parent.Kind == yaml.MappingNode && at.index%2 == 0 {
			continue
		}
		t, ok := s.scalar(n)
		if !ok {
			continue
		}
		if t.quote != '|' && t.start < m.at && m.at < t.end { // inside a quoted string
			m.used = true
		}
		if t.end <= m.at && strings.Trim(string(s.data[t.end:m.at]), " \t") == "" && t.value != "" {
			m.used = true
			if m.name == "" {
				f.fault(s, m.at, "this mark can't be read: write `# rung: ` and the artifact's name, and after a space what you like")
				continue
			}
			found[n] = m.name
			if !f.names(m.name) {
				f.note(s, m.at, "marked for %s, which is not an artifact rung looks for here", m.name)
			}
		}
	}
	inside := s.blockLines(blocks)
	for i, m := range byLine {
		if !m.used && f.names(m.name) && !inside[i] {
			f.fault(s, m.at, "this mark has no value before it on its line: put `# rung: %s` at the end of the line that holds the version", m.name)
		}
	}
	return found
}

func (f *document) names(name promotion.Artifact) bool {
	for _, t := range f.targets {
		if t.name == name {
			return true
		}
	}
	return false
}

// blockLines tells of every line, from 0, whether it is content of a block
// scalar: it comes after the line on which one begins, and is blank or
// indented more than that.
func (s *source) blockLines(blocks []*yaml.Node) []bool {
	inside := make([]bool, len(s.lines))
	for _, n := range blocks {
		first := n.Line - 1
		indent := spaces(s.data[s.lines[first]:])
		for l := first + 1; l < len(s.lines); l++ {
			rest := s.data[s.lines[l]:]
			w := spaces(rest)
			if w <= indent && w < len(rest) && breakAt(rest, w) == 0 {
				break
			}
			inside[l] = true
		}
	}
	return inside
}

// markedValue is the candidate of a marked scalar that no other kind claims: a
// reference, a digest, or a version, with or without a digest behind it.
func markedValue(s *source, n *yaml.Node) *candidate {
	c := &candidate{src: s, kind: "marked", here: n, fixed: true}
	value := strings.TrimRight(n.Value, "\n")
	if r, ok := splitReference(value); ok && (r.tag != "" || r.digest != "") && !strings.HasPrefix(value, "sha256:") {
		name := value[:r.tail]
		if r.digest == "" || r.tag != "" || strings.Contains(name, "/") {
			c.repo, c.ref = r.repo, &slot{node: n}
			return c
		}
	}
	if strings.HasPrefix(value, "sha256:") {
		c.digest = &slot{node: n}
	} else {
		c.tag = &slot{node: n}
	}
	return c
}

// mentions notes where a scalar names an image with a version, but is no place.
func (f *document) mentions(w *walker) {
	for n := range w.src.spots {
		if n.Kind != yaml.ScalarNode || f.outer[n] || len(w.claims[n]) > 0 {
			continue
		}
		for _, t := range f.targets {
			if !strings.Contains(n.Value, t.last) || t.mentions(n.Value, true) < 0 {
				continue
			}
			f.note(w.src, w.src.offset(n), "mentions %s where rung finds no place: if it is one, end its line with `# rung: %s`", t.image, t.name)
		}
	}
}
