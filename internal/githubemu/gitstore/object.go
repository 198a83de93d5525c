package gitstore

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// ValidID says whether id is 40 lower-case hexadecimal digits.
func ValidID(id string) bool { return len(id) == 40 && strings.Trim(id, "0123456789abcdef") == "" }

// CheckName returns an error unless owner and name can name a repository:
// ASCII letters, digits, dots, underscores and hyphens, an owner not beginning
// with a dot, and a name that is neither all dots nor ends in .git, each of at
// most 100 bytes.
func CheckName(owner, name string) error {
	if !isPlain(owner) || owner[0] == '.' || !isPlain(name) ||
		strings.Trim(name, ".") == "" || strings.HasSuffix(name, ".git") {
		return fmt.Errorf("%q is not a repository's name", owner+"/"+name)
	}
	return nil
}

func isPlain(s string) bool {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
	return s != "" && len(s) <= 100 && strings.Trim(s, plain) == ""
}

// CheckRef returns an error unless ref is a full ref name that git would take:
// it begins with refs/, has at least three parts, and holds none of the
// characters and sequences that git forbids.
func CheckRef(ref string) error {
	bad := fmt.Errorf("%q is not a full ref name", ref)
	parts := strings.Split(ref, "/")
	if len(ref) > 1024 || len(parts) < 3 || parts[0] != "refs" ||
		strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.HasSuffix(ref, ".") {
		return bad
	}
	for _, part := range parts {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return bad
		}
	}
	for _, c := range []byte(ref) {
		if c <= ' ' || c == 0x7f || strings.IndexByte(`~^:?*[\`, c) >= 0 {
			return bad
		}
	}
	return nil
}

// ParseCommit takes a commit object apart. Headers it does not know are left
// in Raw alone.
func ParseCommit(id string, raw []byte) (Commit, error) {
	c := Commit{ID: id, Raw: raw}
	head, message, _ := strings.Cut(string(raw), "\n\n")
	c.Message = message
	var field string
	for _, line := range strings.Split(head, "\n") {
		if rest, ok := strings.CutPrefix(line, " "); ok {
			if field == "gpgsig" {
				c.Signature += "\n" + rest
			}
			continue
		}
		var value string
		field, value, _ = strings.Cut(line, " ")
		switch field {
		case "tree":
			c.Tree = value
		case "parent":
			c.Parents = append(c.Parents, value)
		case "author":
			c.Author = value
		case "committer":
			c.Committer = value
		case "gpgsig":
			c.Signature = value
		}
	}
	for _, ref := range append([]string{c.Tree}, c.Parents...) {
		if !ValidID(ref) {
			return Commit{}, fmt.Errorf("commit %s: %q is not an object id", id, ref)
		}
	}
	return c, nil
}

// ParseTree takes a tree object apart, in the object's own order.
func ParseTree(raw []byte) ([]TreeEntry, error) {
	var entries []TreeEntry
	for len(raw) > 0 {
		header, rest, ok := bytes.Cut(raw, []byte{0})
		mode, name, spaced := bytes.Cut(header, []byte{' '})
		if !ok || !spaced || len(name) == 0 || len(rest) < 20 {
			return nil, fmt.Errorf("malformed tree after %d entries", len(entries))
		}
		entries = append(entries, TreeEntry{Mode: string(mode), Name: string(name), ID: hex.EncodeToString(rest[:20])})
		raw = rest[20:]
	}
	return entries, nil
}
