package audit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// commit is a commit's object, taken apart. What decides what a commit means
// (tree, parents, where the message begins) has one reading or is refused; the
// rest may be as odd as history is, and strict says whether it is.
type commit struct {
	id        oid
	tree      oid
	parents   []oid
	room      [2]oid // of parents, mostly
	author    string
	committer string
	message   string
	// armour is what signature told.
	armour string
	// signatures counts the gpgsig headers.
	signatures int
	// text is the whole object, unsignedTo and signedFrom where that header lies.
	text                   string
	unsignedTo, signedFrom int
	// by checks its signature; checkedBy is the key for which it did, and checked
	// what that gave.
	by        *signatures
	checkedBy sign.PublicKey
	checked   error
	// parsed says that the message's trailers were read: found, or why there are none.
	parsed  bool
	found   *ledger.Trailers
	grammar error
	// odd is the first thing that the strict grammar refuses.
	odd string
}

// header is one header of a commit with its folded lines.
type header struct {
	key, value string
	from, to   int // its bytes
}

// parse takes a commit's object apart, into an empty commit.
func (c *commit) parse(id oid, text string) error {
	var room [8]header
	rest, err := c.cut(id, text, room[:0])
	if err != nil {
		return err
	}
	c.odd = c.take(rest)
	if c.odd == "" && strings.IndexByte(c.message, 0) >= 0 {
		c.odd = "a NUL in the message"
	}
	return nil
}

// skim is parse, but for what stands behind the parents.
func (c *commit) skim(id oid, text string) error {
	var room [8]header
	_, err := c.cut(id, text, room[:0])
	return err
}

// cut reads a commit's tree, parents and message, and returns the headers behind the
// parents, in some room.
func (c *commit) cut(id oid, text string, room []header) (rest []header, err error) {
	headers, message, err := splitCommit(text, room)
	if err != nil {
		return nil, err
	}
	c.id, c.message, c.text, c.parents = id, message, text, c.room[:0]
	rest = headers[:0:0]
	for i, h := range headers {
		if i > 0 && h.key != "tree" && h.key != "parent" {
			if rest == nil {
				rest = headers[i:i:len(headers)]
			}
			rest = append(rest, h)
			continue
		}
		o, ok := parseOID(promotion.Hash(h.unfolded(text)))
		switch {
		case i == 0 && h.key == "tree" && ok:
			c.tree = o
		case i > 0 && h.key == "parent" && ok && len(rest) == 0:
			c.parents = append(c.parents, o)
		default:
			return nil, fmt.Errorf("header %d is %q: a commit has one tree first, then its parents", i+1, clip(h.key))
		}
	}
	if len(headers) == 0 {
		return nil, fmt.Errorf("no tree")
	}
	return rest, nil
}

// splitCommit splits headers, which it appends to some room, from the message.
func splitCommit(text string, headers []header) ([]header, string, error) {
	for at := 0; at < len(text); {
		end := strings.IndexByte(text[at:], '\n')
		if end < 0 {
			return nil, "", fmt.Errorf("a header without an end")
		}
		line := text[at : at+end]
		next := at + end + 1
		if line == "" {
			return headers, text[next:], nil
		}
		if strings.IndexByte(line, 0) >= 0 {
			return nil, "", fmt.Errorf("a NUL in a header")
		}
		if line[0] == ' ' {
			if len(headers) == 0 {
				return nil, "", fmt.Errorf("a folded line before the first header")
			}
			headers[len(headers)-1].to = next
		} else {
			key, value, _ := strings.Cut(line, " ")
			headers = append(headers, header{key, value, at, next})
		}
		if len(headers) > 1000 {
			return nil, "", fmt.Errorf("more than 1000 headers")
		}
		at = next
	}
	return headers, "", nil
}

// unfolded is a header's value with its folded lines, each without its blank.
func (h header) unfolded(text string) string {
	if h.to-h.from == len(h.key)+len(" ")+len(h.value)+len("\n") {
		return h.value
	}
	return strings.TrimSuffix(h.lines(text), "\n")
}

// lines is unfolded with a line feed behind each line.
func (h header) lines(text string) string {
	start := h.from + len(h.key)
	if text[start] == ' ' {
		start++
	}
	return strings.ReplaceAll(text[start:h.to], "\n ", "\n")
}

// isIdent reports whether s is "Name <mail> seconds zone":
// [^<>\n]+ <[^<>\n]*> \d{1,12} [+-]\d{4}.
func isIdent(s string) bool {
	name, rest, ok := strings.Cut(s, "<")
	mail, when, closed := strings.Cut(rest, ">")
	if !ok || !closed || len(name) < 2 || !strings.HasSuffix(name, " ") || strings.ContainsAny(name, ">\n") || strings.ContainsAny(mail, "<\n") {
		return false
	}
	seconds, zone, ok := strings.Cut(strings.TrimPrefix(when, " "), " ")
	return ok && strings.HasPrefix(when, " ") && len(seconds) <= 12 && onlyDigits(seconds) && len(zone) == 5 && (zone[0] == '+' || zone[0] == '-') && onlyDigits(zone[1:])
}

// onlyDigits reports whether s is digits, one at least.
func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// signatureHeader is the header with a commit's signature.
const signatureHeader = "gpgsig"

// headerOrder is the order of the headers behind the parents.
var headerOrder = []string{"author", "committer", "encoding", signatureHeader}

// take reads the headers behind the parents. It returns what the strict grammar
// refuses: author, committer, at most one encoding and gpgsig, nothing else.
func (c *commit) take(rest []header) (odd string) {
	say := func(format string, args ...any) {
		if odd == "" {
			odd = fmt.Sprintf(format, args...)
		}
	}
	var signature header
	at := 0
	for _, h := range rest {
		switch h.key {
		case "author":
			c.author = h.unfolded(c.text)
		case "committer":
			c.committer = h.unfolded(c.text)
		case signatureHeader:
			signature = h
			c.signatures++
		}
		n := slices.Index(headerOrder[at:], h.key)
		if n < 0 {
			say("header %q is unknown, repeated or out of order", clip(h.key))
			continue
		}
		at += n + 1
		if at <= 2 && !isIdent(h.unfolded(c.text)) {
			say("%s is not \"Name <mail> seconds zone\"", h.key)
		}
	}
	if c.author == "" || c.committer == "" {
		say("no author or no committer")
	}
	if c.signatures == 1 {
		c.unsignedTo, c.signedFrom = signature.from, signature.to
	} else if c.signatures > 1 {
		odd = fmt.Sprintf("%d gpgsig headers", c.signatures)
	}
	return odd
}

// signature is the one gpgsig header, unfolded; empty where there is none or several.
func (c *commit) signature() string {
	if c.armour == "" && c.signatures == 1 {
		c.armour = header{key: signatureHeader, from: c.unsignedTo, to: c.signedFrom}.lines(c.text)
	}
	return c.armour
}

// payload appends the commit without its signature: what was signed.
func (c *commit) payload(into []byte) []byte {
	return append(append(into, c.text[:c.unsignedTo]...), c.text[c.signedFrom:]...)
}

// verify checks the commit's signature by a key, once.
func (c *commit) verify(key sign.PublicKey) error {
	if key.IsZero() || c.checkedBy != key {
		c.checkedBy, c.checked = key, c.by.commit(c, key)
	}
	return c.checked
}

// trailers are the commit's trailers, nil where it has none.
func (c *commit) trailers() (*ledger.Trailers, error) {
	if !c.parsed {
		c.found, c.grammar = ledger.ParseTrailers(c.message)
		c.parsed = true
	}
	return c.found, c.grammar
}

// committed is the committer's time; zero where it doesn't parse.
func (c *commit) committed() time.Time {
	when, zone, ok := strings.Cut(strings.TrimSpace(c.committer[strings.LastIndexByte(c.committer, '>')+1:]), " ")
	if zone = strings.TrimSpace(zone); !ok || zone == "" || strings.ContainsAny(zone, " \t") {
		return time.Time{}
	}
	seconds, err := strconv.ParseInt(when, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// Modes of tree entries.
const (
	modeFile       = 0o100644
	modeExecutable = 0o100755
	modeSymlink    = 0o120000
	modeGitlink    = 0o160000
	modeTree       = 0o040000
)

// entry is one entry of a tree. The zero entry is nothing.
type entry struct {
	name string
	mode uint32
	id   oid
}

func (e entry) regular() bool { return e.mode&0o170000 == 0o100000 }

// parseTree takes a tree's object apart: names in git's order, each once. They
// share one copy of raw.
func parseTree(raw []byte) ([]entry, error) {
	text := string(raw)
	entries := make([]entry, 0, len(text)/32+1)
	for len(text) > 0 {
		space, null := strings.IndexByte(text, ' '), strings.IndexByte(text, 0)
		if space < 5 || space > 6 || null < space+2 || len(text) < null+1+20 {
			return nil, fmt.Errorf("entry %d is damaged", len(entries)+1)
		}
		mode, err := strconv.ParseUint(text[:space], 8, 32)
		e := entry{name: text[space+1 : null], mode: uint32(mode)} //nolint:gosec // ParseUint bounds it
		copy(e.id[:], text[null+1:])
		text = text[null+21:]
		if err != nil || strings.IndexByte(e.name, '/') >= 0 || e.name == "." || e.name == ".." || !knownMode(e.mode) {
			return nil, fmt.Errorf("entry %d (%q, mode %o) is none that git writes", len(entries)+1, clip(e.name), e.mode)
		}
		if n := len(entries); n > 0 && !inOrder(entries[n-1], e) || repeated(entries, e) {
			return nil, fmt.Errorf("entry %q is out of order or repeated", clip(e.name))
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// inOrder reports whether a stands before b in a tree: in git's order, a directory
// as if its name ended in a slash.
func inOrder(a, b entry) bool {
	n := min(len(a.name), len(b.name))
	if a.name[:n] != b.name[:n] {
		return a.name[:n] < b.name[:n]
	}
	return sortKey(a) < sortKey(b)
}

// repeated finds a directory's name among the files before it: between the two
// stand only names that begin with it.
func repeated(entries []entry, e entry) bool {
	for n := len(entries) - 1; n >= 0 && strings.HasPrefix(entries[n].name, e.name); n-- {
		if entries[n].name == e.name {
			return true
		}
	}
	return false
}

// knownMode takes git's modes, and the group-writable files of its first years.
func knownMode(mode uint32) bool {
	switch mode {
	case modeFile, modeExecutable, modeSymlink, modeGitlink, modeTree, 0o100664:
		return true
	}
	return false
}

// sortKey is how git orders names: a directory as if it ended in a slash.
func sortKey(e entry) string {
	if e.mode == modeTree {
		return e.name + "/"
	}
	return e.name
}
