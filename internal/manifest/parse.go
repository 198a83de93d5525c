package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/rungbot/rung/internal/lazyregexp"
)

// source is YAML text with its document trees: a file, or the YAML in a
// block scalar of one.
type source struct {
	path string
	// file is the whole file; data the bytes that were parsed, which are file or
	// the content of the block scalar outer.
	file, data []byte
	// at maps offsets in data to offsets in file; nil when they are the same.
	at []int
	// indent is what stands before each line of data in file.
	indent string
	outer  *yaml.Node
	parent *source
	// prefix is what locators in this source begin with, after the kind.
	prefix string

	lines []int // where lines start in data, as the YAML parser counts them
	runes runeIndex
	docs  []*yaml.Node
	spots map[*yaml.Node]spot
	ids   []string // the document part of locators
	names map[*yaml.Node]map[string]int
	// aliases is true when there is one.
	aliases bool
}

// spot is where a node stands: the index in its parent's Content.
type spot struct {
	parent *yaml.Node
	index  int
	doc    int
}

// parse reads all documents of data into s. Its errors are *Error, with the
// parser's line.
func (s *source) parse() error {
	s.lines = lineStarts(s.data)
	s.runes = indexRunes(s.data)
	docs, err := decode(s.data)
	if err != nil {
		return s.parseError(err)
	}
	s.docs = docs
	s.spots = make(map[*yaml.Node]spot)
	s.names = make(map[*yaml.Node]map[string]int)
	for i, doc := range docs {
		if err := s.index(doc, i, 0); err != nil {
			return err
		}
	}
	s.identify()
	return nil
}

// decode parses every document of data. The parser is told not to panic by
// its own recover; one more guards against what it misses in hostile bytes.
func decode(data []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			docs, err = nil, errors.New("the YAML parser gave up on this file")
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		doc := new(yaml.Node)
		switch err := dec.Decode(doc); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return nil, err
		case len(docs) == MaxDocuments:
			return nil, fmt.Errorf("more than %d documents in one file: split it", MaxDocuments)
		}
		docs = append(docs, doc)
	}
}

var parserLine = lazyregexp.New(`^line ([0-9]+): `)

func (s *source) parseError(err error) error {
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1 // the parser leaves the first line out
	if m := parserLine.FindStringSubmatch(reason); m != nil {
		line, _ = strconv.Atoi(m[1])
		reason = reason[len(m[0]):]
		if strings.HasPrefix(reason, "did not find expected ") {
			line++ // these lines the parser counts from 0; they are where the collection at fault begins
		}
	}
	e := &Error{Path: s.path, Line: line, Column: 1, Reason: "not valid YAML: " + reason}
	if s.outer != nil {
		e.Line, e.Column = s.position(s.lines[min(line, len(s.lines))-1])
	}
	return e
}

// index records where every node stands and refuses duplicate keys and deep
// nesting. Aliases are not followed.
func (s *source) index(n *yaml.Node, doc, depth int) error {
	if depth > MaxDepth {
		return s.fail(s.offset(n), "nested more than %d levels deep", MaxDepth)
	}
	if n.Kind == yaml.AliasNode {
		s.aliases = true
		return nil
	}
	if n.Kind == yaml.MappingNode {
		if err := s.checkKeys(n); err != nil {
			return err
		}
	}
	for i, c := range n.Content {
		s.spots[c] = spot{n, i, doc}
		if err := s.index(c, doc, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) checkKeys(n *yaml.Node) error {
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			continue
		}
		if seen[key.Value] {
			return s.fail(s.offset(key), "the key %s stands twice in the same mapping: remove one", quote(key.Value))
		}
		seen[key.Value] = true
	}
	return nil
}

// lineStarts lists where lines begin. YAML's parser ends a line at CR, LF,
// CRLF, and at the Unicode breaks NEL, LS and PS; a byte order mark at the
// start is no column.
func lineStarts(data []byte) []int {
	starts := []int{0}
	if bytes.HasPrefix(data, []byte(bom)) {
		starts[0] = len(bom)
	}
	for i := starts[0]; i < len(data); {
		n := breakAt(data, i)
		if n == 0 {
			i++
			continue
		}
		i += n
		starts = append(starts, i)
	}
	return starts
}

const bom = "\xef\xbb\xbf"

// breakAt is the length of the line break at i, or 0.
func breakAt(data []byte, i int) int {
	switch data[i] {
	case '\n':
		return 1
	case '\r':
		if i+1 < len(data) && data[i+1] == '\n' {
			return 2
		}
		return 1
	case 0xC2:
		if i+1 < len(data) && data[i+1] == 0x85 {
			return 2
		}
	case 0xE2:
		if i+2 < len(data) && data[i+1] == 0x80 && (data[i+2] == 0xA8 || data[i+2] == 0xA9) {
			return 3
		}
	}
	return 0
}

// offset is where a node begins in data, by the parser's line and column.
func (s *source) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(s.lines) {
		return len(s.data)
	}
	start := s.lines[n.Line-1]
	return s.runes.offset(s.runes.before(start) + n.Column - 1)
}

// runeIndex counts the runes of data in steps, so that a column of a very
// long line is found without reading the line each time.
type runeIndex struct {
	data []byte
	// counts holds the runes that begin before each multiple of runeStep.
	counts []int
}

const runeStep = 1024

func indexRunes(data []byte) runeIndex {
	x := runeIndex{data: data, counts: make([]int, 1, len(data)/runeStep+1)}
	n := 0
	for i, b := range data {
		if i > 0 && i%runeStep == 0 {
			x.counts = append(x.counts, n)
		}
		if utf8.RuneStart(b) {
			n++
		}
	}
	return x
}

// before counts the runes that begin before an offset.
func (x runeIndex) before(offset int) int {
	offset = min(offset, len(x.data))
	step := min(offset/runeStep, len(x.counts)-1)
	n := x.counts[step]
	for _, b := range x.data[step*runeStep : offset] {
		if utf8.RuneStart(b) {
			n++
		}
	}
	return n
}

// offset is where the rune number n begins, from 0.
func (x runeIndex) offset(n int) int {
	step := sort.SearchInts(x.counts, n+1) - 1
	n -= x.counts[max(step, 0)]
	for i := max(step, 0) * runeStep; i < len(x.data); i++ {
		if utf8.RuneStart(x.data[i]) {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return len(x.data)
}

// inFile maps an offset in data to the file.
func (s *source) inFile(i int) int {
	if s.at == nil {
		return i
	}
	if i >= len(s.at) {
		i = len(s.at) - 1
	}
	return s.at[i]
}

// position is the line and column, from 1, in the file of an offset in data.
func (s *source) position(i int) (line, column int) {
	i = min(s.inFile(i), len(s.file))
	root := s.root()
	line = sort.SearchInts(root.lines, i+1)
	if line == 0 {
		return 1, 1
	}
	return line, root.runes.before(i) - root.runes.before(root.lines[line-1]) + 1
}

func (s *source) root() *source {
	for s.parent != nil {
		s = s.parent
	}
	return s
}

// fail is an *Error at an offset of data.
func (s *source) fail(at int, format string, args ...any) error {
	line, column := s.position(at)
	return &Error{Path: s.path, Line: line, Column: column, Reason: fmt.Sprintf(format, args...)}
}
