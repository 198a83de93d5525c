package pipeline

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/nearest"

	"go.yaml.in/yaml/v3"
)

// slotted is a located value: the walker notes its position and reads on into
// what it holds.
type slotted interface {
	slot() (value reflect.Value, at *position, faulty *bool)
}

// mapped is a mapping with free keys.
type mapped interface {
	add() (*located[string], reflect.Value)
}

// placed wants to know its own position.
type placed interface{ place(position) }

// walker reads YAML nodes into the structs of file.go, strictly: whatever is
// not understood is reported, and the rest is read nevertheless.
type walker struct {
	path string
	part bool
	// problem takes what report is told.
	problem  func(at position, text string)
	problems int
}

func (w *walker) report(at position, format string, args ...any) {
	w.problems++
	w.problem(at, fmt.Sprintf(format, args...))
}

// parse reads one file. It returns false when nothing of it can be used.
func (w *walker) parse(data []byte, into *rootFile) bool {
	top := position{Path: w.path, Line: 1, Column: 1}
	if len(data) > maxFileBytes {
		w.report(top, "the file has %d bytes; the limit is %d: split it into files of rung.d", len(data), maxFileBytes)
		return false
	}
	if !utf8.Valid(data) {
		w.report(top, "the file is not UTF-8 text")
		return false
	}
	doc, err := parseDocument(data)
	if err != nil {
		at, text := syntaxError(top, err)
		w.report(at, "%s", text)
		return false
	}
	if doc.Kind != yaml.MappingNode {
		w.report(w.at(doc), "the file must be a mapping that begins with version: 1, not %s", kindName(doc))
		return false
	}
	w.value(doc, reflect.ValueOf(into).Elem(), tags{}, "")
	return true
}

// parseDocument reads exactly one YAML document.
func parseDocument(data []byte) (node *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			node, err = nil, errors.New("the YAML parser gave up on this file")
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil, errors.New("the file is empty: begin it with version: 1")
	} else if err != nil {
		return nil, err
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		return nil, fmt.Errorf("line %d: a second document begins here: write one document a file", max(second.Line, 1))
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return doc.Content[0], nil
}

var syntaxLine = lazyregexp.New(`^(?:yaml: )?(?:line ([0-9]{1,9}): )?`)

// syntaxError gives the position that a parser's error names.
func syntaxError(top position, err error) (position, string) {
	text := err.Error()
	m := syntaxLine.FindStringSubmatch(text)
	if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
		top.Line = n
	}
	text = text[len(m[0]):]
	if strings.HasPrefix(err.Error(), "yaml: ") {
		text = "not valid YAML: " + text
	}
	return top, text
}

func (w *walker) at(n *yaml.Node) position {
	return position{Path: w.path, Line: n.Line, Column: n.Column}
}

// tags are the rules that a struct field lays on its value.
type tags struct {
	raw      bool
	required bool
	rootOnly bool
	enum     []string
	min, max string
}

func fieldTags(f reflect.StructField) (name string, t tags) {
	name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	t.raw = opts == "raw"
	t.rootOnly = f.Tag.Get("root") == "only"
	t.min, t.max = f.Tag.Get("min"), f.Tag.Get("max")
	for rule := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
		key, value, _ := strings.Cut(rule, "=")
		switch key {
		case "required":
			t.required = true
		case "enum":
			t.enum = append(t.enum, value)
		case "minimum":
			t.min = value
		case "maximum":
			t.max = value
		}
	}
	return name, t
}

// plain refuses what makes a file mean more than it shows.
func (w *walker) plain(n *yaml.Node, what string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		w.report(w.at(n), "%s: aliases are not read here: use defaults or an environment glob", what)
	case n.Anchor != "":
		w.report(w.at(n), "%s: anchors are not read here: use defaults or an environment glob", what)
	case n.Style&yaml.TaggedStyle != 0:
		w.report(w.at(n), "%s: the tag %s is not read here: remove it", what, quote(n.Tag))
	default:
		return true
	}
	return false
}

// value reads n into v. what names the value for people: environments.dev.soak.
func (w *walker) value(n *yaml.Node, v reflect.Value, t tags, what string) {
	if !w.plain(n, orFile(what)) {
		return
	}
	pointer := v.Addr().Interface()
	if p, ok := pointer.(placed); ok {
		p.place(w.at(n))
	}
	switch target := pointer.(type) {
	case slotted:
		inner, at, faulty := target.slot()
		*at = w.at(n)
		before := w.problems
		if isNull(n) {
			w.report(w.at(n), "%s is empty: write a value or remove the line", what)
		} else {
			w.value(n, inner, t, what)
		}
		*faulty = w.problems > before
	case *versionsFile:
		w.versions(n, target, what)
	case mapped:
		w.mapping(n, target, t, what)
	case *string:
		w.text(n, target, t, what)
	case *int:
		w.number(n, target, t, what)
	case *bool:
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(target) != nil {
			w.report(w.at(n), "%s must be true or false, not %s", what, kindName(n))
		}
	case *duration:
		w.duration(n, target, t, what)
	default:
		if v.Kind() == reflect.Slice {
			w.list(n, v, t, what)
		} else {
			w.structure(n, v, what)
		}
	}
}

func orFile(what string) string {
	if what == "" {
		return "the file"
	}
	return what
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// kindName says what a node is.
func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + quote(n.Value)
	case "!!bool":
		return "the boolean " + quote(n.Value)
	case "!!timestamp":
		return "the date " + quote(n.Value)
	}
	return "the text " + quote(n.Value)
}

// keys walks the pairs of a mapping, reporting keys that are no plain text or
// come twice.
func (w *walker) keys(n *yaml.Node, what string, each func(key, value *yaml.Node)) {
	seen := map[string]position{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
			w.report(w.at(key), "%s: merge keys are not read here: use defaults or an environment glob", orFile(what))
			continue
		case !w.plain(key, orFile(what)):
			continue
		case key.Kind != yaml.ScalarNode || isNull(key):
			w.report(w.at(key), "%s: a key must be a name, not %s", orFile(what), kindName(key))
			continue
		}
		if first, twice := seen[key.Value]; twice {
			w.report(w.at(key), "%s is written twice; the first is at line %d, column %d", join(what, keyName(key.Value)), first.Line, first.Column)
			continue
		}
		seen[key.Value] = w.at(key)
		each(key, value)
	}
}

func join(what, name string) string {
	if what == "" {
		return name
	}
	return what + "." + name
}

// keyName is a key in the name of what it holds.
func keyName(key string) string {
	if len(key) <= 41 && !strings.ContainsFunc(key, func(r rune) bool {
		return r != '-' && r != '*' && r != '?' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) && key != "" {
		return key
	}
	return quote(key)
}

// structFields are the fields of a struct by name, those of embedded structs
// included.
func structFields(v reflect.Value, into map[string]reflect.Value, rules map[string]tags) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			structFields(v.Field(i), into, rules)
			continue
		}
		if name, t := fieldTags(f); name != "" {
			into[name], rules[name] = v.Field(i), t
		}
	}
}

func (w *walker) structure(n *yaml.Node, v reflect.Value, what string) {
	fields, rules := map[string]reflect.Value{}, map[string]tags{}
	structFields(v, fields, rules)
	known := make([]string, 0, len(fields))
	for name := range fields {
		if !w.part || !rules[name].rootOnly {
			known = append(known, name)
		}
	}
	if isNull(n) {
		n = &yaml.Node{Kind: yaml.MappingNode, Line: n.Line, Column: n.Column}
	}
	if n.Kind != yaml.MappingNode {
		w.report(w.at(n), "%s must be a mapping, not %s", orFile(what), kindName(n))
		return
	}
	found := map[string]bool{}
	w.keys(n, what, func(key, value *yaml.Node) {
		name := key.Value
		found[name] = true
		later, isLater := laterFields[v.Type()][name]
		switch _, isField := fields[name]; {
		case isField && w.part && rules[name].rootOnly:
			w.report(w.at(key), "%s belongs in rung.yaml: a file of rung.d defines artifacts and environments only", name)
		case isField:
			w.value(value, fields[name], rules[name], join(what, name))
		case isLater:
			w.report(w.at(key), "%s: %s is not supported yet: %s; remove it, or wait for a version of rung that reads it", orFile(what), name, later)
		default:
			w.report(w.at(key), "%s: unknown field %s%s", orFile(what), quote(name), suggestFields(name, known))
		}
	})
	for name, t := range rules {
		if t.required && !found[name] {
			w.report(w.at(n), "%s: %s is missing", orFile(what), name)
		}
	}
}

func suggestFields(name string, known []string) string {
	if s := nearest.DidYouMean(name, known); s != "" {
		return s
	}
	return "; known are " + strings.Join(slices.Sorted(slices.Values(known)), ", ") + newerRung
}

// newerRung is the hint where nothing known is near: somebody may have gone back to this
// rung and left what only a newer one reads.
const newerRung = "; if a newer rung reads it, use that one, or take it out for this one"

func (w *walker) mapping(n *yaml.Node, m mapped, t tags, what string) {
	if n.Kind != yaml.MappingNode {
		w.report(w.at(n), "%s must be a mapping, not %s", what, kindName(n))
		return
	}
	count := 0
	w.keys(n, what, func(key, value *yaml.Node) {
		if count++; count > maxEntries {
			if count == maxEntries+1 {
				w.report(w.at(key), "%s has more than %d entries", what, maxEntries)
			}
			return
		}
		name, v := m.add()
		*name = located[string]{Value: key.Value, At: w.at(key)}
		w.value(value, v, tags{raw: t.raw}, join(what, keyName(key.Value)))
	})
}

func (w *walker) list(n *yaml.Node, v reflect.Value, t tags, what string) {
	if n.Kind != yaml.SequenceNode {
		w.report(w.at(n), "%s must be a list, not %s: write [%s]", what, kindName(n), "…")
		return
	}
	if len(n.Content) > maxItems {
		w.report(w.at(n), "%s has %d items; the limit is %d", what, len(n.Content), maxItems)
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		name := fmt.Sprintf("%s[%d]", what, i)
		if isNull(item) {
			w.report(w.at(item), "%s is empty: write a value or remove it", name)
			continue
		}
		w.value(item, items.Index(i), tags{raw: t.raw}, name)
	}
	v.Set(items)
}

func (w *walker) text(n *yaml.Node, s *string, t tags, what string) {
	switch {
	case n.Kind != yaml.ScalarNode:
		w.report(w.at(n), "%s must be text, not %s", what, kindName(n))
	case n.ShortTag() != "!!str" && !t.raw:
		w.report(w.at(n), "%s must be text, not %s: put it in quotes", what, kindName(n))
	case n.Value == "":
		w.report(w.at(n), "%s is empty: write a value or remove the line", what)
	case len(n.Value) > maxTextBytes:
		w.report(w.at(n), "%s has %d bytes; the limit is %d", what, len(n.Value), maxTextBytes)
	case len(t.enum) > 0 && !slices.Contains(t.enum, n.Value):
		w.report(w.at(n), "%s: %s is not one of %s%s", what, quote(n.Value), strings.Join(t.enum, ", "), cmp.Or(nearest.DidYouMean(n.Value, t.enum), newerRung))
	default:
		*s = n.Value
	}
}

func (w *walker) number(n *yaml.Node, i *int, t tags, what string) {
	value, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil {
		w.report(w.at(n), "%s must be a whole number, not %s", what, kindName(n))
		return
	}
	low, errLow := strconv.Atoi(t.min)
	high, errHigh := strconv.Atoi(t.max)
	switch {
	case errLow == nil && errHigh == nil && low == high && value != low:
		w.report(w.at(n), "%s must be %d, not %d", what, low, value)
	case errLow == nil && value < low:
		w.report(w.at(n), "%s must be at least %d, not %d", what, low, value)
	case errHigh == nil && value > high:
		w.report(w.at(n), "%s must be at most %d, not %d", what, high, value)
	default:
		*i = value
	}
}

func (w *walker) duration(n *yaml.Node, d *duration, t tags, what string) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" && n.ShortTag() != "!!int" {
		w.report(w.at(n), "%s must be a duration such as 90s, 30m, 12h or 2d, not %s", what, kindName(n))
		return
	}
	value, err := parseDuration(n.Value)
	if err != nil {
		w.report(w.at(n), "%s: %v", what, err)
		return
	}
	low, errLow := time.ParseDuration(t.min)
	high, errHigh := time.ParseDuration(t.max)
	switch {
	case errLow == nil && value < low:
		w.report(w.at(n), "%s must be at least %s, not %s", what, showDuration(low), showDuration(value))
	case errHigh == nil && value > high:
		w.report(w.at(n), "%s must be at most %s, not %s", what, showDuration(high), showDuration(value))
	default:
		*d = duration(value)
	}
}

func (w *walker) versions(n *yaml.Node, into *versionsFile, what string) {
	into.At = w.at(n)
	if n.Kind == yaml.MappingNode {
		into.Rule = &versionRuleFile{}
		w.structure(n, reflect.ValueOf(into.Rule).Elem(), what)
		return
	}
	if n.Kind != yaml.ScalarNode || isNull(n) {
		w.report(w.at(n), "%s must be a range in quotes or {regex: …, order: …}, not %s", what, kindName(n))
		return
	}
	w.text(n, &into.Range, tags{}, what)
}
