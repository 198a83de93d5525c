package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/rungbot/rung/internal/promotion"
)

// parseCommit reads what rung needs of a commit. It takes any commit that git
// itself can use: an author that doesn't parse is left empty, unknown headers
// are skipped. A strict reader works on Raw.
func parseCommit(o object) (Commit, error) {
	c := Commit{Hash: hashOf(o.id), Raw: o.data}
	head, message, _ := bytes.Cut(o.data, []byte("\n\n"))
	c.Message = string(message)
	var key string
	for n, line := range strings.Split(string(head), "\n") {
		if continued, ok := strings.CutPrefix(line, " "); ok {
			if key == "gpgsig" {
				c.Signature += continued + "\n"
			}
			continue
		}
		var value string
		key, value, _ = strings.Cut(line, " ")
		if key == "gpgsig" && c.Signature != "" {
			key = "" // a second signature is not read
			continue
		}
		if err := c.setHeader(n, key, value); err != nil {
			return Commit{}, fmt.Errorf("commit %s: %w", o.id, err)
		}
	}
	if c.Tree == "" {
		return Commit{}, fmt.Errorf("commit %s: %w: no tree", o.id, ErrMalformed)
	}
	return c, nil
}

// setHeader takes one header line.
func (c *Commit) setHeader(n int, key, value string) error {
	switch key {
	case "tree", "parent":
		h, err := promotion.ParseHash(value)
		if err != nil || (key == "tree") != (n == 0) {
			return fmt.Errorf("%w: header %d", ErrMalformed, n+1)
		}
		if key == "tree" {
			c.Tree = h
		} else {
			c.Parents = append(c.Parents, h)
		}
	case "author":
		c.Author = parseIdent(value)
	case "committer":
		c.Committer = parseIdent(value)
	case "gpgsig":
		c.Signature = value + "\n"
	}
	return nil
}

// parseIdent reads "Name <email> seconds zone"; what doesn't parse stays empty.
func parseIdent(s string) Ident {
	name, rest, ok := strings.Cut(s, "<")
	if !ok {
		return Ident{Name: strings.TrimSpace(s)}
	}
	end := strings.LastIndexByte(rest, '>')
	if end < 0 {
		return Ident{Name: strings.TrimSpace(name), Email: rest}
	}
	ident := Ident{Name: strings.TrimSpace(name), Email: rest[:end]}
	fields := strings.Fields(rest[end+1:])
	if len(fields) != 2 || len(fields[1]) != 5 {
		return ident
	}
	seconds, err := strconv.ParseInt(fields[0], 10, 64)
	zone, zoneErr := strconv.Atoi(fields[1])
	if err != nil || zoneErr != nil || seconds < 0 || seconds > 1<<40 {
		return ident
	}
	offset := (zone/100*60 + zone%100) * 60
	location := time.UTC
	if offset != 0 {
		location = time.FixedZone("", offset)
	}
	ident.When = time.Unix(seconds, 0).In(location)
	return ident
}

// withoutSignature cuts the gpgsig header (all of them) out of a raw commit.
func withoutSignature(raw []byte) []byte {
	var out []byte
	skipping := false
	for i := 0; i < len(raw); {
		end := bytes.IndexByte(raw[i:], '\n')
		if end == 0 { // the blank line: the message follows
			return append(out, raw[i:]...)
		}
		next := len(raw)
		if end > 0 {
			next = i + end + 1
		}
		line := raw[i:next]
		skipping = bytes.HasPrefix(line, []byte("gpgsig ")) || (skipping && line[0] == ' ')
		if !skipping {
			out = append(out, line...)
		}
		i = next
	}
	return out
}

// WriteCommit stores a commit for the next push and returns its hash. The
// commit is made from spec alone: same spec and signature, same hash.
func (r *Remote) WriteCommit(ctx context.Context, spec CommitSpec) (promotion.Hash, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	head, message, err := encodeCommit(spec)
	if err != nil {
		return "", fmt.Errorf("write commit: %w", err)
	}
	raw := head + "\n" + message
	if spec.Sign != nil {
		armoured, err := spec.Sign([]byte(raw))
		if err != nil {
			return "", fmt.Errorf("write commit: sign: %w", err)
		}
		header, err := signatureHeader(armoured)
		if err != nil {
			return "", fmt.Errorf("write commit: sign: %w", err)
		}
		raw = head + header + "\n" + message
	}
	o := newObject(plumbing.CommitObject, []byte(raw))
	if err := r.store.write(o, id{}); err != nil {
		return "", fmt.Errorf("write commit: %w", err)
	}
	return hashOf(o.id), nil
}

// encodeCommit writes the headers, each ended by a line feed, and the message.
func encodeCommit(spec CommitSpec) (head, message string, err error) {
	if _, err := parseID(spec.Tree); err != nil {
		return "", "", fmt.Errorf("tree: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "tree %s\n", spec.Tree)
	seen := map[promotion.Hash]bool{}
	for _, p := range spec.Parents {
		if _, err := parseID(p); err != nil {
			return "", "", fmt.Errorf("parent: %w", err)
		}
		if seen[p] {
			return "", "", fmt.Errorf("parent %s is given twice", p)
		}
		seen[p] = true
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	for _, who := range []struct {
		key   string
		ident Ident
	}{{"author", spec.Author}, {"committer", spec.Committer}} {
		line, err := encodeIdent(who.ident)
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", who.key, err)
		}
		fmt.Fprintf(&b, "%s %s\n", who.key, line)
	}
	message = spec.Message
	if message == "" || strings.ContainsAny(message, "\x00\r") {
		return "", "", errors.New("the message is empty, or holds a NUL or a carriage return")
	}
	if !strings.HasSuffix(message, "\n") {
		message += "\n"
	}
	return b.String(), message, nil
}

// encodeIdent writes "Name <email> seconds zone".
func encodeIdent(i Ident) (string, error) {
	for _, s := range []string{i.Name, i.Email} {
		if s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s, "<>\n\r\x00") {
			return "", fmt.Errorf("%q is no name or address of a commit: it is empty, holds < or > or a line end, or has blanks at its ends", printable(s, 80))
		}
	}
	if i.When.Unix() <= 0 {
		return "", errors.New("no time")
	}
	return fmt.Sprintf("%s <%s> %d %s", i.Name, i.Email, i.When.Unix(), i.When.Format("-0700")), nil
}

// signatureHeader folds an armour into the gpgsig header.
func signatureHeader(armoured string) (string, error) {
	body, ok := strings.CutSuffix(armoured, "\n")
	if !ok || body == "" || strings.ContainsAny(armoured, "\x00\r") || strings.HasPrefix(body, "\n") || strings.HasSuffix(body, "\n") || strings.Contains(body, "\n\n") {
		return "", errors.New("the signature is not one armoured block that ends in a line feed")
	}
	return "gpgsig " + strings.ReplaceAll(body, "\n", "\n ") + "\n", nil
}
