package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
	"go.yaml.in/yaml/v3"
)

// edit is a value to be written at a place.
type edit struct {
	place *place
	after promotion.Value
}

// splice replaces the bytes from to to of a source's data.
type splice struct {
	src      *source
	from, to int
	text     string
}

// rewriter collects the splices of some edits, and makes the same edits in the
// document trees, so that the trees become what the new bytes must parse to.
type rewriter struct {
	splices []splice
	// edited are the scalars whose value, tag and style may differ.
	edited map[*yaml.Node]bool
	// texts are scalars as they were found, since edited ones read otherwise.
	texts map[*yaml.Node]text
}

// text is a scalar's bytes before any edit; false where they can't be edited.
func (rw *rewriter) text(s *source, n *yaml.Node) (text, bool) {
	t, ok := rw.texts[n]
	if !ok {
		if t, ok = s.scalar(n); ok {
			rw.texts[n] = t
		}
	}
	return t, ok
}

// aim is what an edit to a version would leave at a place.
func (p *place) aim(to promotion.Value, pin Pin) (promotion.Value, error) {
	want := to
	if pin == PinTag {
		want.Digest = ""
	}
	if p.fixed && p.ref == nil {
		want = to
		if p.value.Version == "" {
			want.Version = ""
		}
		if p.value.Digest == "" {
			want.Digest = ""
		}
	} else if p.kind != "kustomize" && p.ref == nil && p.tag == nil {
		want = promotion.Value{Digest: to.Digest}
		if to.Digest == "" {
			return want, errors.New("this place holds a digest alone, and the digest of the version is not known: add a tag beside it")
		}
	}
	return want, p.accepts(want)
}

// accepts says why a place can't hold a value, if it can't.
func (p *place) accepts(v promotion.Value) error {
	if v.Version == "" && v.Digest == "" {
		return errors.New("there would be neither a version nor a digest here")
	}
	if v.Digest != "" {
		if _, err := promotion.ParseDigest(string(v.Digest)); err != nil {
			return err
		}
	}
	if p.fixed && p.ref == nil {
		if (v.Version == "") != (p.value.Version == "") || (v.Digest == "") != (p.value.Digest == "") {
			return fmt.Errorf("a marked value keeps its shape: it holds %s, which %s does not fit", show(p.value), show(v))
		}
		if v.Version != "" {
			_, err := promotion.ParseVersion(string(v.Version))
			return err
		}
		return nil
	}
	if v.Version != "" && !tagGrammar.MatchString(string(v.Version)) {
		return fmt.Errorf("%s can't be an image's tag", quote(string(v.Version)))
	}
	switch {
	case p.ref != nil:
	case p.kind == "kustomize":
		inserts := p.tag == nil && v.Version != "" || p.digest == nil && v.Digest != "" && !p.suffixed()
		deletes := p.tag != nil && v.Version == "" || p.digest != nil && v.Digest == ""
		if (inserts || deletes) && p.name == nil {
			return errors.New("newTag and digest of this entry can't be added or taken away, because part of it comes through an alias: write the entry out")
		}
	case p.tag != nil && v.Version == "":
		return errors.New("this place needs a version beside the digest, and none is known")
	case p.tag == nil && (v.Version != "" || v.Digest == ""):
		return errors.New("this place holds a digest alone: add a tag beside it for a version")
	}
	return nil
}

// suffixed reports whether the digest goes behind the tag: 1.4.2@sha256:….
func (c *candidate) suffixed() bool {
	return c.digest == nil && c.tag != nil && (c.kind != "kustomize" || strings.Contains(c.tag.node.Value, "@"))
}

// rewrite makes the edits and checks the result.
func (f *document) rewrite(edits []edit) ([]byte, error) {
	if len(edits) == 0 {
		return f.data, nil
	}
	want := f.expect(edits)
	rw := rewriter{edited: make(map[*yaml.Node]bool), texts: make(map[*yaml.Node]text)}
	for _, e := range edits {
		if err := rw.write(e.place, e.after); err != nil {
			return nil, e.place.src.fail(e.place.spot(), "%v", err)
		}
	}
	for _, s := range f.sources {
		if s.outer != nil {
			rw.wrap(s)
		}
	}
	out, err := rw.apply(f.data)
	if err != nil {
		return nil, &Error{Path: f.path, Reason: err.Error()}
	}
	if err := f.check(out, want, rw.edited); err != nil {
		return nil, &Error{Path: f.path, Reason: fmt.Sprintf("rung won't write this edit, because the file would not read back as meant: %v", err)}
	}
	return out, nil
}

// write plans one edit.
func (rw *rewriter) write(p *place, v promotion.Value) error {
	if p.ref != nil {
		return rw.writeReference(p, v)
	}
	tag := string(v.Version)
	if p.suffixed() && v.Digest != "" {
		tag += "@" + string(v.Digest)
	}
	anchor := p.tag
	switch {
	case p.tag == nil && tag != "":
		if err := rw.insert(p.src, p.name, "newTag", tag); err != nil {
			return err
		}
	case p.tag != nil && tag == "":
		anchor = p.name
		if err := rw.remove(p.src, p.tag); err != nil {
			return err
		}
	case p.tag != nil:
		if err := rw.set(p.src, p.tag.node, 0, p.tag.node.Value, tag); err != nil {
			return err
		}
	}
	switch {
	case p.digest == nil && v.Digest != "" && !p.suffixed():
		return rw.insert(p.src, anchor, "digest", string(v.Digest))
	case p.digest == nil:
		return nil
	case v.Digest == "" && p.kind == "kustomize" && p.digest.node.Value != "":
		return rw.remove(p.src, p.digest)
	}
	return rw.set(p.src, p.digest.node, 0, p.digest.node.Value, string(v.Digest))
}

func (rw *rewriter) writeReference(p *place, v promotion.Value) error {
	n, from := p.ref.node, p.ref.from
	old := strings.TrimRight(n.Value[from:], "\n")
	r, _ := splitReference(old)
	tail := ""
	if v.Version != "" {
		tail = ":" + string(v.Version)
	}
	if v.Digest != "" {
		tail += "@" + string(v.Digest)
	}
	return rw.set(p.src, n, from+r.tail, old[r.tail:], tail)
}

// set replaces old, which stands in a scalar's value from a byte on. A plain scalar that
// would be no text any more, or empty, gets quotes.
func (rw *rewriter) set(s *source, n *yaml.Node, from int, old, value string) error {
	if old == value {
		return nil
	}
	t, ok := rw.text(s, n)
	if !ok {
		return errors.New("this value is written over several lines: put it on one")
	}
	whole := n.Value[:from] + value + n.Value[from+len(old):]
	if t.quote == 0 && !plainText(whole) {
		rw.splices = append(rw.splices, splice{s, t.start, t.end, `"` + whole + `"`})
	} else {
		rw.splices = append(rw.splices, splice{s, t.at[from], t.at[from+len(old)], value})
	}
	n.Value = whole
	rw.edited[n] = true
	return nil
}

var (
	numberLike = lazyregexp.New(`^[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?$`)
	boolLike   = lazyregexp.New(`^(?i:y|n|yes|no|on|off|true|false|null)$`)
)

// plainText reports whether a version, tag or reference without quotes is a
// string to every YAML parser: to this one, and to those of YAML 1.1.
func plainText(s string) bool {
	if s == "" || numberLike.MatchString(s) || boolLike.MatchString(s) {
		return false
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(s), &n); err != nil || len(n.Content) != 1 {
		return false
	}
	v := n.Content[0]
	return v.Kind == yaml.ScalarNode && v.Tag == "!!str" && v.Value == s
}

// insert adds "key: value" after an entry of the same mapping: on a line of its
// own with the same indentation and line end, or after a comma.
func (rw *rewriter) insert(s *source, after *slot, key, value string) error {
	m := s.spots[after.node].parent
	t, ok := rw.text(s, after.node)
	k, okKey := rw.text(s, after.key)
	if !ok || !okKey || t.quote == '|' {
		return fmt.Errorf("there is no room for %s, because the entry before it is written over several lines: put it on one", key)
	}
	if !plainText(value) {
		value = `"` + value + `"`
	}
	var at int
	var line string
	if m.Style&yaml.FlowStyle != 0 {
		if k.quote != 0 {
			key = `"` + key + `"`
		}
		if !strings.HasPrefix(value, `"`) {
			value = `"` + value + `"`
		}
		at, line = t.end, ", "+key+": "+value
	} else {
		at = t.end
		for at < len(s.data) && breakAt(s.data, at) == 0 {
			at++
		}
		line = s.lineEnd(at) + strings.Repeat(" ", after.key.Column-1) + key + ": " + value
	}
	rw.splices = append(rw.splices, splice{s, at, at, line})
	i := slices.Index(m.Content, after.node)
	m.Content = slices.Insert(m.Content, i+1, rw.scalar(strings.Trim(key, `"`)), rw.scalar(strings.Trim(value, `"`)))
	return nil
}

func (rw *rewriter) scalar(value string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: value}
	rw.edited[n] = true
	return n
}

// lineEnd is the line break at an offset; at the end of the data, that of the
// first line.
func (s *source) lineEnd(at int) string {
	if at < len(s.data) {
		return string(s.data[at : at+breakAt(s.data, at)])
	}
	if i := bytes.IndexByte(s.data, '\n'); i > 0 && s.data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// remove takes an entry of a mapping away, with its line where it has one.
func (rw *rewriter) remove(s *source, entry *slot) error {
	m := s.spots[entry.node].parent
	t, ok := rw.text(s, entry.node)
	i := slices.Index(m.Content, entry.node) - 1
	if !ok || t.quote == '|' || len(m.Content) < 4 || m.Content[i] != entry.key {
		return fmt.Errorf("%s can't be taken away as it is written: put it on one line", entry.key.Value)
	}
	start, end := s.offset(entry.key), t.end
	switch {
	case i == 0:
		end = s.offset(m.Content[2])
		if bytes.IndexByte(s.data[t.end:end], '#') >= 0 {
			return fmt.Errorf("%s can't be taken away, because a comment hangs on it: move the comment", entry.key.Value)
		}
	case m.Style&yaml.FlowStyle != 0:
		before, ok := rw.text(s, m.Content[i-1])
		if !ok || before.quote == '|' {
			return fmt.Errorf("%s can't be taken away, because of what stands before it: put it after name", entry.key.Value)
		}
		start = before.end
	default:
		for start > 0 && s.data[start-1] == ' ' {
			start--
		}
		start -= breakBefore(s.data, start)
		for end < len(s.data) && breakAt(s.data, end) == 0 {
			end++
		}
	}
	rw.splices = append(rw.splices, splice{s, start, end, ""})
	m.Content = slices.Delete(m.Content, i, i+2)
	return nil
}

// breakBefore is the length of the line break that ends at i.
func breakBefore(data []byte, i int) int {
	for n := 3; n > 0; n-- {
		if i >= n && breakAt(data, i-n) == n {
			return n
		}
	}
	return 0
}

// wrap makes the edits of embedded YAML in the block scalar that holds it.
func (rw *rewriter) wrap(s *source) {
	var own []splice
	for _, sp := range rw.splices {
		if sp.src == s {
			own = append(own, sp)
		}
	}
	if len(own) == 0 {
		return
	}
	s.outer.Value = string(patch(s.data, own))
	rw.edited[s.outer] = true
}

// apply makes all splices in the file's bytes.
func (rw *rewriter) apply(data []byte) ([]byte, error) {
	mapped := make([]splice, len(rw.splices))
	for i, sp := range rw.splices {
		text := sp.text
		if sp.src.at != nil && strings.HasPrefix(text, "\n") {
			root := sp.src.root()
			text = root.lineEnd(sp.src.inFile(sp.from)) + sp.src.indent + text[1:]
		}
		mapped[i] = splice{from: sp.src.inFile(sp.from), to: sp.src.inFile(sp.to), text: text}
	}
	slices.SortStableFunc(mapped, func(a, b splice) int { return a.from - b.from })
	for i := 1; i < len(mapped); i++ {
		if mapped[i].from < mapped[i-1].to {
			return nil, errors.New("two edits would touch the same bytes")
		}
	}
	return patch(data, mapped), nil
}

// patch makes splices that don't overlap, in order or not.
func patch(data []byte, splices []splice) []byte {
	splices = slices.Clone(splices)
	slices.SortStableFunc(splices, func(a, b splice) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, sp := range splices {
		out = append(append(out, data[at:sp.from]...), sp.text...)
		at = sp.to
	}
	return append(out, data[at:]...)
}
