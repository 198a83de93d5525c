package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
	"go.yaml.in/yaml/v3"
)

// InsertLedger returns rung.yaml with the line `ledger: id`, after `mode` or,
// without it, after `version`. It inserts that one line and keeps every other
// byte; a file that has the line already is returned as it is. It refuses a
// file that names another ledger (rung never replaces one), and one in a form
// where a line can't be inserted; the error says what to write by hand.
func InsertLedger(rungYAML []byte, id promotion.Hash) ([]byte, error) {
	if _, err := promotion.ParseHash(string(id)); err != nil {
		return nil, err
	}
	root, err := parseDocument(rungYAML)
	if err != nil {
		return nil, fmt.Errorf("rung.yaml: %w", err)
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("rung.yaml: the file must be a mapping that begins with version: 1")
	}
	if _, value := field(root, "ledger"); value != nil {
		if value.Kind == yaml.ScalarNode && value.Value == string(id) {
			return rungYAML, nil
		}
		return nil, fmt.Errorf("rung.yaml:%d: it names another ledger already; rung never replaces one: see why, then write ledger: %s by hand", value.Line, id)
	}
	for _, name := range []string{"mode", "version"} {
		key, value := field(root, name)
		if value == nil || root.Style&yaml.FlowStyle != 0 || value.Kind != yaml.ScalarNode || key.Line != value.Line || value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			continue
		}
		edited := insertAfterLine(rungYAML, key.Line, strings.Repeat(" ", key.Column-1)+"ledger: "+string(id))
		if gained(root, edited, id) {
			return edited, nil
		}
	}
	return nil, fmt.Errorf("rung.yaml: a line can't be inserted in this form of YAML: write ledger: %s at the top level by hand", id)
}

// field finds a key of a mapping and its value.
func field(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

// insertAfterLine puts a line behind the n-th, counted from 1, with the file's
// line end.
func insertAfterLine(data []byte, n int, line string) []byte {
	end := "\n"
	at := 0
	for range n {
		i := bytes.IndexByte(data[at:], '\n')
		if i < 0 { // the last line lacks its end
			return append(bytes.Clone(data), end+line...)
		}
		at += i + 1
		if i > 0 && data[at-2] == '\r' {
			end = "\r\n"
		}
	}
	return bytes.Join([][]byte{data[:at], []byte(line + end), data[at:]}, nil)
}

// gained reports whether edited reads as root with the ledger's line and
// nothing else.
func gained(root *yaml.Node, edited []byte, id promotion.Hash) bool {
	after, err := parseDocument(edited)
	if err != nil || after.Kind != yaml.MappingNode || len(after.Content) != len(root.Content)+2 {
		return false
	}
	rest := *after
	rest.Content = nil
	found := false
	for i := 0; i+1 < len(after.Content); i += 2 {
		if after.Content[i].Value == "ledger" && after.Content[i+1].Value == string(id) {
			found = true
			continue
		}
		rest.Content = append(rest.Content, after.Content[i], after.Content[i+1])
	}
	return found && sameNode(root, &rest, 0)
}

// sameNode compares two nodes by what they mean.
func sameNode(a, b *yaml.Node, depth int) bool {
	if a.Kind != b.Kind || a.Value != b.Value || a.Tag != b.Tag || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) || depth > 100 {
		return false
	}
	for i := range a.Content {
		if !sameNode(a.Content[i], b.Content[i], depth+1) {
			return false
		}
	}
	return true
}
