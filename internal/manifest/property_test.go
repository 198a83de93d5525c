package manifest

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rungbot/rung/internal/promotion"
)

// spec draws files whose places are known because the file is drawn with holes:
// rendering it with one value gives the file before an edit, with another
// the file that must come out, byte by byte.
type spec struct {
	t      *rapid.T
	b      strings.Builder
	n      int
	places int
}

// The holes of a drawn file: a version, a digest, and a digest behind a version or name.
const (
	holeVersion = "\x01"
	holeDigest  = "\x02"
)

func render(file string, v promotion.Value) []byte {
	return []byte(strings.NewReplacer(holeVersion, string(v.Version), holeDigest, string(v.Digest)).Replace(file))
}

func (s *spec) pick(of ...string) string { return rapid.SampledFrom(of).Draw(s.t, "pick") }

func (s *spec) quoted(v string) string {
	return fmt.Sprintf(s.pick("%s", "'%s'", `"%s"`), v)
}

func (s *spec) comment() string {
	return s.pick("", "", " # note", "   # größe 🚀: \"x\" {}", "\t# tab", "  ")
}

func (s *spec) key() string {
	s.n++
	return fmt.Sprintf(s.pick("key%d", "größe-%d", `"quoted: %d"`, "'it''s %d'", "k.%d/x"), s.n)
}

// noise is an entry that is no place, though some look like one.
func (s *spec) noise() {
	k := s.key()
	switch s.pick("scalar", "image", "block", "list", "flow", "blank", "folded", "helm") {
	case "scalar":
		fmt.Fprintf(&s.b, "%s: %s%s\n", k, s.pick("1", "~", "", "true", "\"a\\tb\\u00e9\"", "x: y"[:1], "'🚀'", "2001-01-01"), s.comment())
	case "image":
		fmt.Fprintf(&s.b, "%s: {image: %s}\n", k, s.quoted("ghcr.io/acme/checkout-proxy:1.0.0"))
	case "block":
		fmt.Fprintf(&s.b, "%s: |%s\n  image: ghcr.io/acme/checkout\n\n   more # rung: checkout\n", k, s.pick("", "-", "+"))
	case "list":
		fmt.Fprintf(&s.b, "%s:\n- a\n-   b: [1,\n     2]%s\n- - c\n", k, s.comment())
	case "flow":
		fmt.Fprintf(&s.b, "%s: {a: [b, {c: 'd'}], \"e\": f,\n  g: h}\n", k)
	case "blank":
		s.b.WriteString(s.pick("\n", "  \n", "# comment\n", "#\n\n"))
	case "folded":
		fmt.Fprintf(&s.b, "%s: >\n    one\n    two\n", k)
	case "helm":
		fmt.Fprintf(&s.b, "%s:\n  repository: ghcr.io/acme/payments\n  tag: 1.0.0\n", k)
	}
}

// place is an entry with a place of ghcr.io/acme/checkout, pinned already.
func (s *spec) place() {
	k, c, img := s.key(), s.comment(), "ghcr.io/acme/checkout"
	pinned := holeVersion + "@" + holeDigest
	s.places++
	switch s.pick("image", "flowimage", "kustomize", "flowkustomize", "helm", "helmdigest", "container", "marked", "anchor", "block", "embedded") {
	case "image":
		fmt.Fprintf(&s.b, "%s:\n   image:  %s%s\n", k, s.quoted(img+":"+pinned), c)
	case "flowimage":
		fmt.Fprintf(&s.b, "%s: [ {image: %s, x: 1} ]%s\n", k, s.quoted(img+":"+pinned), c)
	case "kustomize":
		fmt.Fprintf(&s.b, "%s:\n  images:%s\n  - name: %s\n    newName: %s%s\n    newTag: %s%s\n    digest: %s%s\n",
			k, c, s.quoted("shop"), s.quoted(img), c, s.quoted(holeVersion), c, s.quoted(holeDigest), c)
	case "flowkustomize":
		fmt.Fprintf(&s.b, "%s: {images: [{digest: '%s',\n  newTag: %s, name: \"%s\"}]}\n", k, holeDigest, s.quoted(holeVersion), img)
	case "helm":
		fmt.Fprintf(&s.b, "%s:\n    tag: %s%s\n    registry: ghcr.io%s\n    repository: %s\n", k, s.quoted(pinned), c, c, s.quoted("acme/checkout"))
	case "helmdigest":
		fmt.Fprintf(&s.b, "%s: {repository: %s, digest: %s, tag: %s}\n", k, img, s.quoted(holeDigest), s.quoted(holeVersion))
	case "container":
		fmt.Fprintf(&s.b, "%s:\n- name: ünï\n  image: !!str &a%d %s%s\n", k, s.n, s.quoted(img+":"+pinned), c)
	case "marked":
		fmt.Fprintf(&s.b, "%s: %s\t# rung: checkout\n", k, s.quoted(pinned))
	case "anchor":
		fmt.Fprintf(&s.b, "%s: &b%d\n  image: %s\nuse%d: *b%d\nmerge%d: {<<: *b%d}\n", k, s.n, s.quoted(img+":"+pinned), s.n, s.n, s.n, s.n)
	case "block":
		fmt.Fprintf(&s.b, "%s:\n  image: %s\n    %s:%s\n", k, s.pick("|-", ">-", "|", "|2-"), img, pinned)
	case "embedded":
		fmt.Fprintf(&s.b, "%s:\n  helm:\n    values: |%s\n       # größe\n\n       image:\n         repository: %s\n         tag: %s%s\n", k, s.pick("", "-", "+"), img, s.quoted(pinned), c)
	}
}

func drawFile(t *rapid.T) (file string, places int) {
	s := &spec{t: t}
	if rapid.Bool().Draw(t, "directive") {
		s.b.WriteString("# head\n---\n")
	}
	for range rapid.IntRange(1, 12).Draw(t, "entries") {
		switch s.pick("noise", "noise", "place", "document") {
		case "noise":
			s.noise()
		case "place":
			s.place()
		case "document":
			// The parser knows no "..." before the first document.
			s.b.WriteString(s.pick("---\n", "--- # next\n", s.key()+": end\n...\n---\n"))
		}
	}
	if s.places == 0 {
		s.place()
	}
	file = s.b.String()
	file = dress[rapid.SampledFrom([]string{"lf", "crlf", "bom", "bomcrlf", "noeol"}).Draw(t, "dress")](file)
	return file, s.places
}

func drawValue(t *rapid.T) promotion.Value {
	return promotion.Value{
		Version: promotion.Version(rapid.StringMatching(`v?[0-9]{1,3}\.[0-9]\.[0-9]{1,2}(-rc\.[0-9])?|[a-f]{7}g|latest`).Draw(t, "version")),
		Digest:  promotion.Digest("sha256:" + rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "digest")),
	}
}

func TestEditChangesOnlyTheVersion(t *testing.T) {
	art := Artifact{"checkout", "ghcr.io/acme/checkout"}
	rapid.Check(t, func(t *rapid.T) {
		file, n := drawFile(t)
		from, to := drawValue(t), drawValue(t)
		before, want := render(file, from), render(file, to)
		got, changes, err := Edit("e/f.yaml", before, art, to, PinDigest)
		if err != nil {
			t.Fatalf("Edit: %v\n%s", err, before)
		}
		if string(got) != string(want) {
			t.Fatalf("Edit gave\n%s\nnot\n%s", got, want)
		}
		if from != to && len(changes) != n {
			t.Fatalf("%d changes, not %d: %v\n%s", len(changes), n, changes, before)
		}
		for _, c := range changes {
			if c.Before != from || c.After != to {
				t.Fatalf("%s changed %v to %v", c.Locator, c.Before, c.After)
			}
		}
		places, err := PlacesIn("e/f.yaml", got, []Artifact{art})
		if err != nil || len(places) != n {
			t.Fatalf("read back %d places (%v), not %d", len(places), err, n)
		}
		for _, p := range places {
			if p.Value != to {
				t.Fatalf("%s reads back %v, not %v", p.Locator, p.Value, to)
			}
		}
		again, more, err := Edit("e/f.yaml", got, art, to, PinDigest)
		if err != nil || len(more) > 0 || string(again) != string(got) {
			t.Fatalf("a second Edit made %v (%v)", more, err)
		}
		back, _, err := Edit("e/f.yaml", got, art, from, PinDigest)
		if err != nil || string(back) != string(before) {
			t.Fatalf("the way back gave (%v)\n%s\nnot\n%s", err, back, before)
		}
		applied, err := Apply("e/f.yaml", before, []Artifact{art}, changes)
		if err != nil || string(applied) != string(want) {
			t.Fatalf("Apply gave (%v)\n%s", err, applied)
		}
	})
}

// TestInsertAndRemoveAreInverse: the digest line that PinDigest adds is what PinTag takes away.
func TestInsertAndRemoveAreInverse(t *testing.T) {
	art := Artifact{"checkout", "ghcr.io/acme/checkout"}
	rapid.Check(t, func(t *rapid.T) {
		s := &spec{t: t}
		for range rapid.IntRange(0, 3).Draw(t, "before") {
			s.noise()
		}
		c, k := s.comment(), s.key()
		shape := s.pick("%s:\n  images:\n  - name: %s%s\n    newTag: %s%s\n", "%s:\n  images:\n   - name: %s%s\n     newTag: %s%s\n  other: 1\n")
		if rapid.Bool().Draw(t, "flow") {
			fmt.Fprintf(&s.b, "%s: {images: [{name: ghcr.io/acme/checkout, newTag: %s}]}\n", k, s.quoted(holeVersion))
		} else {
			fmt.Fprintf(&s.b, shape, k, s.quoted("ghcr.io/acme/checkout"), c, s.quoted(holeVersion), c)
		}
		for range rapid.IntRange(0, 3).Draw(t, "after") {
			s.noise()
		}
		file := dress[rapid.SampledFrom([]string{"lf", "crlf", "bom", "bomcrlf", "noeol"}).Draw(t, "dress")](s.b.String())
		from, to := drawValue(t), drawValue(t)
		before := render(file, from)
		pinned, _, err := Edit("e/f.yaml", before, art, to, PinDigest)
		if err != nil {
			t.Fatalf("Edit: %v\n%s", err, before)
		}
		back, _, err := Edit("e/f.yaml", pinned, art, from, PinTag)
		if err != nil || string(back) != string(before) {
			t.Fatalf("the way back gave (%v)\n%q\nnot\n%q", err, back, before)
		}
	})
}
