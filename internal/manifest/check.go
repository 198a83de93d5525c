package manifest

import (
	"errors"
	"fmt"
	"maps"

	"github.com/rungbot/rung/internal/promotion"
	"go.yaml.in/yaml/v3"
)

// reading is what a candidate of any image says: its image, and its value or the
// scalars where the value is malformed.
type reading struct {
	repo  string
	value promotion.Value
	raw   string
}

// expect lists what every candidate must read as after the edits, by locator.
func (f *document) expect(edits []edit) map[string]reading {
	want := f.readings()
	for _, e := range edits {
		want[e.place.locator] = reading{repo: e.place.repo, value: e.after}
	}
	return want
}

func (f *document) readings() map[string]reading {
	all := make(map[string]reading, len(f.candidates))
	for _, c := range f.candidates {
		r := reading{repo: c.repo}
		var err error
		if r.value, err = c.value(); err != nil {
			for _, n := range c.nodes() {
				r.raw += n.Value + "\n"
			}
		}
		all[c.src.locator(c.kind, c.here)] = r
	}
	return all
}

// check parses edited bytes again: the trees must be f's, which carry the
// edits by now, and every place of every image must read as wanted.
func (f *document) check(out []byte, want map[string]reading, edited map[*yaml.Node]bool) error {
	if len(out) > MaxSize {
		return fmt.Errorf("it would be longer than %d bytes", MaxSize)
	}
	again := &document{path: f.path, data: out, targets: f.targets}
	if err := again.load(&source{path: f.path, file: out, data: out}); err != nil {
		return err
	}
	if len(again.sources) != len(f.sources) {
		return errors.New("the documents in it would change")
	}
	for i, s := range f.sources {
		if len(s.docs) != len(again.sources[i].docs) {
			return errors.New("the number of its documents would change")
		}
		for d, doc := range s.docs {
			if err := same(doc, again.sources[i].docs[d], edited); err != nil {
				return err
			}
		}
	}
	for _, s := range again.sources {
		again.gather(s)
	}
	if len(again.errs) > 0 {
		return again.errs[0]
	}
	got := again.readings()
	for locator, w := range want {
		if g, ok := got[locator]; !ok || g != w {
			return fmt.Errorf("%s would hold %s and not %s", locator, show(g.value), show(w.value))
		}
	}
	if !maps.Equal(got, want) {
		return errors.New("a new place would appear")
	}
	return nil
}

// same reports how two trees differ, edited scalars' style and tag aside.
func same(a, b *yaml.Node, edited map[*yaml.Node]bool) error {
	differs := func(what string) error {
		return fmt.Errorf("%s would change at line %d", what, b.Line)
	}
	switch {
	case a.Kind != b.Kind || a.Anchor != b.Anchor || len(a.Content) != len(b.Content):
		return differs("the structure")
	case a.Value != b.Value:
		return differs("another value")
	case !edited[a] && (a.Tag != b.Tag || a.Style != b.Style):
		return differs("the style of another value")
	}
	for i := range a.Content {
		if err := same(a.Content[i], b.Content[i], edited); err != nil {
			return err
		}
	}
	return nil
}
