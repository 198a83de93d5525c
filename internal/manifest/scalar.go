package manifest

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// text is a scalar as its bytes stand in a source.
type text struct {
	value string
	// start and end enclose the scalar with its quotes, without anchor and tag.
	// For a block scalar start is the indicator and end the end of the content.
	start, end int
	// at holds, for every byte of value and for its end, the offset in the
	// source: value[i:j] is written in at[i] to at[j].
	at []int
	// quote is 0 for plain, ' or ", | for a block.
	quote byte
	// indent is what stands before the lines of a block.
	indent string
}

// scalar finds the bytes of a scalar. The parser tells where it
// starts; what is written there is decoded once more and must give the
// parser's value, so that a wrong position can't be taken for a right one. It
// reports false for what can't be edited byte by byte: a plain or quoted
// scalar over several lines, a folded block of more than one.
func (s *source) scalar(n *yaml.Node) (text, bool) {
	if n.Kind != yaml.ScalarNode {
		return text{}, false
	}
	i := s.skipProperties(s.offset(n))
	var t text
	var ok bool
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		t, ok = s.block(i, n)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		t, ok = s.doubleQuoted(i)
	case n.Style&yaml.SingleQuotedStyle != 0:
		t, ok = s.singleQuoted(i)
	default:
		t, ok = s.plain(i, n.Value)
	}
	return t, ok && t.value == n.Value
}

// skipProperties goes past an anchor and a tag, and the space after them.
func (s *source) skipProperties(i int) int {
	for i < len(s.data) && (s.data[i] == '&' || s.data[i] == '!') {
		for i < len(s.data) && s.data[i] != ' ' && s.data[i] != '\t' && breakAt(s.data, i) == 0 {
			i++
		}
		i = s.skipSpace(i)
	}
	return i
}

// skipSpace goes past blanks, line breaks and comments.
func (s *source) skipSpace(i int) int {
	for i < len(s.data) {
		switch n := breakAt(s.data, i); {
		case n > 0:
			i += n
		case s.data[i] == ' ' || s.data[i] == '\t':
			i++
		case s.data[i] == '#':
			for i < len(s.data) && breakAt(s.data, i) == 0 {
				i++
			}
		default:
			return i
		}
	}
	return i
}

func (s *source) plain(i int, value string) (text, bool) {
	end := i + len(value)
	if end > len(s.data) || string(s.data[i:end]) != value {
		return text{}, false
	}
	t := text{value: value, start: i, end: end, at: make([]int, 0, len(value)+1)}
	for j := i; j <= end; j++ {
		t.at = append(t.at, j)
	}
	return t, true
}

func (s *source) singleQuoted(i int) (text, bool) {
	if i >= len(s.data) || s.data[i] != '\'' {
		return text{}, false
	}
	t := text{start: i, quote: '\''}
	var value []byte
	for i++; i < len(s.data); i++ {
		c := s.data[i]
		if breakAt(s.data, i) > 0 {
			return text{}, false
		}
		t.at = append(t.at, i)
		if c == '\'' {
			if i+1 == len(s.data) || s.data[i+1] != '\'' {
				t.value, t.end = string(value), i+1
				return t, true
			}
			i++
		}
		value = append(value, c)
	}
	return text{}, false
}

var escapes = map[byte]string{
	'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f",
	'r': "\r", 'e': "\x1b", ' ': " ", '"': `"`, '/': "/", '\\': `\`,
	'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
}

func (s *source) doubleQuoted(i int) (text, bool) {
	if i >= len(s.data) || s.data[i] != '"' {
		return text{}, false
	}
	t := text{start: i, quote: '"'}
	var value []byte
	for i++; i < len(s.data); {
		c := s.data[i]
		switch {
		case breakAt(s.data, i) > 0:
			return text{}, false
		case c == '"':
			t.at = append(t.at, i)
			t.value, t.end = string(value), i+1
			return t, true
		case c != '\\':
			value, t.at = append(value, c), append(t.at, i)
			i++
		default:
			decoded, n := unescape(s.data[i:])
			if n == 0 {
				return text{}, false
			}
			value = append(value, decoded...)
			for range len(decoded) {
				t.at = append(t.at, i)
			}
			i += n
		}
	}
	return text{}, false
}

// unescape reads one escape and its length; 0 when it isn't one that stays on its line.
func unescape(b []byte) (string, int) {
	if len(b) < 2 {
		return "", 0
	}
	if s, ok := escapes[b[1]]; ok {
		return s, 2
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[b[1]]
	if digits == 0 || len(b) < 2+digits {
		return "", 0
	}
	r, err := strconv.ParseUint(string(b[2:2+digits]), 16, 32)
	if err != nil || r > utf8.MaxRune {
		return "", 0
	}
	return string(rune(r)), 2 + digits
}

// block reads a literal block, or a folded one of a single line, line by line
// against the parser's value.
func (s *source) block(i int, n *yaml.Node) (text, bool) {
	if i >= len(s.data) || s.data[i] != '|' && s.data[i] != '>' {
		return text{}, false
	}
	t := text{value: n.Value, start: i, quote: '|', at: make([]int, 0, len(n.Value)+1)}
	content := strings.TrimRight(n.Value, "\n")
	if s.data[i] == '>' && strings.Contains(content, "\n") {
		return text{}, false
	}
	for i < len(s.data) && breakAt(s.data, i) == 0 { // the rest of the header
		i++
	}
	width, ok := s.blockIndent(i, content)
	if !ok || i == len(s.data) {
		return text{}, false
	}
	i += breakAt(s.data, i)
	t.indent = strings.Repeat(" ", width)
	for rest := n.Value; rest != ""; {
		line, after, broken := strings.Cut(rest, "\n")
		indent := spaces(s.data[i:])
		if line != "" && indent < width {
			return text{}, false
		}
		i += min(indent, width)
		if !bytes.HasPrefix(s.data[i:], []byte(line)) {
			return text{}, false
		}
		for range len(line) {
			t.at = append(t.at, i)
			i++
		}
		atBreak := i < len(s.data) && breakAt(s.data, i) > 0
		if !atBreak && (broken || i < len(s.data)) {
			return text{}, false
		}
		t.end = i
		if broken {
			t.at = append(t.at, i)
			i += breakAt(s.data, i)
		}
		rest = after
	}
	t.at = append(t.at, i)
	return t, true
}

// blockIndent is how far the lines of a block whose header ends at i are
// indented: the spaces before its first line that has content, less those of the content.
func (s *source) blockIndent(i int, content string) (int, bool) {
	first := strings.TrimLeft(content, "\n")
	if first == "" {
		return 0, content == ""
	}
	for i < len(s.data) {
		i += breakAt(s.data, i)
		n := spaces(s.data[i:])
		if i+n < len(s.data) && breakAt(s.data, i+n) == 0 {
			n -= spaces([]byte(first))
			return n, n >= 0
		}
		i += n
	}
	return 0, false
}

func spaces(b []byte) int {
	n := 0
	for n < len(b) && b[n] == ' ' {
		n++
	}
	return n
}
