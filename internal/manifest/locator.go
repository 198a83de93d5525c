package manifest

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rungbot/rung/internal/lazyregexp"
)

var (
	plainKey  = lazyregexp.New(`^[A-Za-z0-9_-]+$`)
	plainName = lazyregexp.New(`^[A-Za-z0-9._/:@-]+$`)
	plainKind = lazyregexp.New(`^[A-Za-z0-9._-]+$`)
)

const (
	maxLocator = 2048 // bytes of a locator
	maxName    = 300  // bytes of a name in it; longer ones are not used
)

// locator names a node in words that outlive edits elsewhere in the file; the
// package doc has its grammar. It is "" for one that would be too long.
func (s *source) locator(kind string, n *yaml.Node) string {
	path := s.pathTo(n)
	if path == "" {
		return ""
	}
	l := kind + ":" + s.prefix + s.ids[s.spots[n].doc] + ":" + path
	if len(l) > maxLocator {
		return ""
	}
	return l
}

// pathTo is the path of a node from its document's root, "" when it is too long.
func (s *source) pathTo(n *yaml.Node) string {
	var parts []string
	length := 0
	for {
		at, ok := s.spots[n]
		if !ok || at.parent.Kind == yaml.DocumentNode {
			break
		}
		var part string
		if at.parent.Kind == yaml.SequenceNode {
			part = s.itemPart(n, at)
		} else {
			part = keyPart(at.parent.Content[at.index&^1])
		}
		if length += len(part); part == "" || length > maxLocator {
			return ""
		}
		parts = append(parts, part)
		n = at.parent
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		if b.Len() > 0 && parts[i][0] != '[' {
			b.WriteByte('.')
		}
		b.WriteString(parts[i])
	}
	if b.Len() == 0 {
		return "."
	}
	return b.String()
}

func keyPart(key *yaml.Node) string {
	key = resolve(key)
	switch {
	case key.Kind != yaml.ScalarNode:
		return "[?]"
	case len(key.Value) > maxLocator:
		return ""
	case plainKey.MatchString(key.Value):
		return key.Value
	}
	return "[" + strconv.Quote(key.Value) + "]"
}

// itemPart names an item of a list by its name where that is unique there.
func (s *source) itemPart(n *yaml.Node, at spot) string {
	counts, ok := s.names[at.parent]
	if !ok {
		counts = make(map[string]int)
		for _, item := range at.parent.Content {
			counts[field(resolve(item), "name")]++
		}
		s.names[at.parent] = counts
	}
	name := field(n, "name")
	switch {
	case name == "" || counts[name] != 1 || len(name) > maxName:
		return "[" + strconv.Itoa(at.index) + "]"
	case plainName.MatchString(name):
		return "[name=" + name + "]"
	}
	return "[name=" + strconv.Quote(name) + "]"
}

// field is the value of a scalar in a mapping, or "".
func field(n *yaml.Node, key string) string {
	if v := child(n, key); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// child is the value of a key in a mapping, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}

// identify gives every document its part of a locator.
func (s *source) identify() {
	s.ids = make([]string, len(s.docs))
	counts := make(map[string]int, len(s.docs))
	for i, doc := range s.docs {
		if len(doc.Content) == 0 {
			continue
		}
		root := doc.Content[0]
		kind, name := field(root, "kind"), field(child(root, "metadata"), "name")
		if len(kind)+len(name) <= maxName && plainKind.MatchString(kind) && plainKind.MatchString(name) {
			s.ids[i] = kind + "/" + name
			counts[s.ids[i]]++
		}
	}
	for i, id := range s.ids {
		if id == "" || counts[id] > 1 {
			s.ids[i] = strconv.Itoa(i)
		}
	}
}
