package gitrepo

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/rungbot/rung/internal/promotion"
)

// node is a tree entry with its id in binary.
type node struct {
	name string
	mode Mode
	id   id
}

func (n node) entry() Entry { return Entry{Name: n.name, Mode: n.mode, Hash: hashOf(n.id)} }

// parseTree reads a tree's entries in git's order. Old repositories hold trees
// with odd modes; they are taken as git takes them.
func parseTree(o object) ([]node, error) {
	nodes := make([]node, 0, len(o.data)/32)
	for data := string(o.data); len(data) > 0; { // one copy, shared by all names
		mode, rest, ok := strings.Cut(data, " ")
		name, rest, ok2 := strings.Cut(rest, "\x00")
		if !ok || !ok2 || len(mode) > 6 || len(name) == 0 || strings.IndexByte(name, '/') >= 0 || len(rest) < len(id{}) {
			return nil, fmt.Errorf("tree %s: %w", o.id, ErrMalformed)
		}
		m, err := strconv.ParseUint(mode, 8, 32)
		if err != nil {
			return nil, fmt.Errorf("tree %s: %w", o.id, ErrMalformed)
		}
		n := node{name: name, mode: cleanMode(uint32(m))}
		copy(n.id[:], rest)
		nodes = append(nodes, n)
		data = rest[len(n.id):]
	}
	return nodes, nil
}

// cleanMode maps the modes found in old repositories to those of today.
func cleanMode(m uint32) Mode {
	switch Mode(m &^ 0o7777) {
	case ModeTree:
		return ModeTree
	case ModeSymlink:
		return ModeSymlink
	case ModeGitlink:
		return ModeGitlink
	}
	if m&0o100 != 0 {
		return ModeExecutable
	}
	return ModeFile
}

// encodeTree writes nodes, which it sorts in git's order: a tree sorts as if
// its name ended in a slash.
func encodeTree(nodes []node) []byte {
	if !slices.IsSortedFunc(nodes, compareNames) {
		slices.SortFunc(nodes, compareNames)
	}
	size := 0
	for _, n := range nodes {
		size += len("160000 ") + len(n.name) + 1 + len(n.id)
	}
	out := make([]byte, 0, size)
	for _, n := range nodes {
		out = strconv.AppendUint(out, uint64(n.mode), 8)
		out = append(out, ' ')
		out = append(out, n.name...)
		out = append(out, 0)
		out = append(out, n.id[:]...)
	}
	return out
}

// compareNames is git's order of entries.
func compareNames(a, b node) int {
	n := min(len(a.name), len(b.name))
	if c := strings.Compare(a.name[:n], b.name[:n]); c != 0 {
		return c
	}
	return cmp.Compare(byteAfter(a, n), byteAfter(b, n))
}

// byteAfter is the byte at i of a name as it sorts; -1 past its end.
func byteAfter(n node, i int) int {
	switch {
	case i < len(n.name):
		return int(n.name[i])
	case n.mode == ModeTree && i == len(n.name):
		return '/'
	}
	return -1
}

// WriteBlob stores bytes for the next push and returns their hash. data is
// kept; don't change it afterwards.
func (r *Remote) WriteBlob(data []byte) (promotion.Hash, error) {
	o, err := r.writeBlob(data, id{})
	return hashOf(o), err
}

func (r *Remote) writeBlob(data []byte, base id) (id, error) {
	if int64(len(data)) > r.options.MaxBlob {
		return id{}, fmt.Errorf("write blob: %w: %d bytes, where %d are taken", ErrTooLarge, len(data), r.options.MaxBlob)
	}
	o := newObject(plumbing.BlobObject, data)
	return o.id, r.store.write(o, base)
}

// WriteTree stores a tree for the next push and returns its hash. Entries need
// not be sorted; names are held to the same rules as Rewrite's paths. It does
// not check that the entries' objects exist; the server does.
func (r *Remote) WriteTree(entries []Entry) (promotion.Hash, error) {
	nodes := make([]node, len(entries))
	for n, e := range entries {
		i, err := parseID(e.Hash)
		if err != nil {
			return "", fmt.Errorf("write tree: %w", err)
		}
		if e.Mode != ModeTree && !e.Mode.Regular() {
			return "", fmt.Errorf("write tree: %w: %q has mode %s", ErrPath, printable(e.Name, 80), e.Mode)
		}
		if err := checkName(e.Name); err != nil {
			return "", fmt.Errorf("write tree: %w", err)
		}
		nodes[n] = node{name: e.Name, mode: e.Mode, id: i}
		for _, before := range nodes[:n] {
			if strings.EqualFold(before.name, e.Name) {
				return "", fmt.Errorf("write tree: %w: %q stands twice, perhaps in another case", ErrPath, printable(e.Name, 80))
			}
		}
	}
	i, err := r.writeTree(nodes, id{})
	return hashOf(i), err
}

func (r *Remote) writeTree(nodes []node, base id) (id, error) {
	o := newObject(plumbing.TreeObject, encodeTree(nodes))
	return o.id, r.store.write(o, base)
}

const (
	maxPath = 4096
	maxName = 255
)

// splitPath checks a path for reading: relative, clean, bounded.
func splitPath(path string, maxDepth int) ([]string, error) {
	if len(path) > maxPath || path == "" {
		return nil, fmt.Errorf("%w: a path has 1 to %d bytes", ErrPath, maxPath)
	}
	parts := strings.Split(path, "/")
	if len(parts) > maxDepth {
		return nil, fmt.Errorf("%w: %q is deeper than %d directories", ErrPath, printable(path, 80), maxDepth)
	}
	for _, p := range parts {
		if p == "" || p == "." || p == ".." || strings.IndexByte(p, 0) >= 0 {
			return nil, fmt.Errorf("%w: %q is not a clean path from the repository's root", ErrPath, printable(path, 80))
		}
	}
	return parts, nil
}

// checkName refuses names that some file system, or git itself, would take for
// something else: .git in its disguises, control characters, backslashes.
func checkName(name string) error {
	var reason string
	switch {
	case name == "" || name == "." || name == "..":
		reason = "is no name"
	case len(name) > maxName:
		reason = "is too long"
	case !utf8.ValidString(name):
		reason = "is not UTF-8"
	case strings.ContainsAny(name, "/\\") || strings.ContainsFunc(name, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) }):
		reason = "holds a slash, a backslash, or a control or invisible character"
	case isDotGit(name):
		reason = "is git's own"
	default:
		return nil
	}
	return fmt.Errorf("%w: %q %s", ErrPath, printable(name, 80), reason)
}

// isDotGit knows .git as case-insensitive and Windows file systems read it.
func isDotGit(name string) bool {
	if stream := strings.IndexByte(name, ':'); stream >= 0 {
		name = name[:stream]
	}
	name = strings.ToLower(strings.TrimRight(name, " ."))
	return name == ".git" || name == "git~1"
}

var errNoFile = errors.New("no such file")
