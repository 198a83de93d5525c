package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/net/html"

	"github.com/rungbot/rung/internal/audit"
)

// hostile is what somebody may write wherever they can: markup, the end of a
// script or an attribute, a formula, escapes for a terminal, letters that turn the
// direction of writing, ends of lines and of cells.
const hostile = "=cmd|' /C calc'!A0\t</td></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'>\x1b]0;owned\x07\x1b[31m\u009b31m\u202e\u2066\r\n\u2028=1+1,\"x\" {{.}} javascript:alert(3)"

// fill writes a text into every string that a value holds.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), text)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		if _, isTime := v.Interface().(time.Time); isTime {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), text)
			}
		}
	case reflect.String:
		v.SetString(text)
	}
}

// poisoned is an audit with hostile text in every field, and with something in
// every list.
func poisoned() Audit {
	a := story().Audit("prod", start, start.Add(24*time.Hour), sound())
	a.Gaps = []audit.Finding{{Code: audit.SigInvalid}}
	for _, r := range a.Releases {
		if r.Answer != nil {
			r.Answer.Adopted, r.Answer.PutBack = start, start
		}
	}
	fill(reflect.ValueOf(&a).Elem(), hostile)
	return a
}

// announcedOf are the announcements that an audit's releases stand on.
func announcedOf(a Audit) (all []*Announcement) {
	for _, r := range a.Releases {
		if r.Announced != nil {
			all = append(all, r.Announced)
		}
	}
	return all
}

func TestHostileTextStaysTextInATerminal(t *testing.T) {
	a := poisoned()
	h := History{Artifact: "checkout", Announced: announcedOf(a), Releases: a.Releases, Withdrawn: a.Withdrawn, Holds: true}
	quiet := story().Audit("prod", start, start.Add(24*time.Hour), sound())
	for name, c := range map[string]struct{ got, lines func(*bytes.Buffer) error }{
		"audit": {func(b *bytes.Buffer) error { return a.WriteText(b, time.UTC) }, func(b *bytes.Buffer) error {
			quiet.Gaps = a.Gaps
			return quiet.WriteText(b, time.UTC)
		}},
		"history": {func(b *bytes.Buffer) error { return h.WriteText(b, time.UTC) }, func(b *bytes.Buffer) error {
			return History{Announced: announcedOf(quiet), Releases: quiet.Releases, Withdrawn: quiet.Withdrawn, Holds: true}.WriteText(b, time.UTC)
		}},
	} {
		var got, lines bytes.Buffer
		if err := c.got(&got); err != nil {
			t.Fatal(err)
		}
		if err := c.lines(&lines); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(got.String(), func(r rune) bool {
			return r != '\n' && unicode.In(r, unicode.C, unicode.Zl, unicode.Zp)
		}); i >= 0 {
			t.Errorf("%s: %q reaches the terminal", name, got.String()[i:min(i+20, got.Len())])
		}
		if n, want := strings.Count(got.String(), "\n"), strings.Count(lines.String(), "\n"); n != want {
			t.Errorf("%s: %d lines, %d without hostile text", name, n, want)
		}
	}
}

func TestHostileTextStaysTextInASpreadsheet(t *testing.T) {
	a := poisoned()
	for _, text := range []string{hostile, "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "＝1", "=", "\u200b=1"} {
		fill(reflect.ValueOf(&a).Elem(), text)
		var b bytes.Buffer
		if err := a.WriteCSV(&b); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(rows) != len(a.Releases)+1 {
			t.Fatalf("%v: %d rows for %d releases", err, len(rows), len(a.Releases))
		}
		for _, row := range rows[1:] {
			for i, c := range row {
				if s := strings.TrimSpace(c); s != "" && strings.ContainsRune("=+-@＝＋－＠\t\r", []rune(s)[0]) {
					t.Fatalf("a spreadsheet takes %s for a formula: %q", columns[i], c)
				}
				if strings.ContainsFunc(c, unicode.IsControl) {
					t.Fatalf("%s holds control characters: %q", columns[i], c)
				}
			}
		}
	}
}

// TestHostileTextStaysTextOnAPage reads the page as a browser does: the elements are
// those of the template, and no attribute or script holds anything of the text.
func TestHostileTextStaysTextOnAPage(t *testing.T) {
	a := poisoned()
	var b bytes.Buffer
	if err := a.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(b.String(), func(r rune) bool { return r != '\n' && unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) }) {
		t.Error("control or format characters are on the page")
	}
	node, err := html.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	scripts := 0
	for n := range node.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script":
			scripts++
			if strings.Contains(n.FirstChild.Data, "<script>") || strings.Contains(n.FirstChild.Data, "alert(1)</") {
				t.Error("the script holds markup")
			}
		case "img", "iframe", "link", "object", "form", "base":
			t.Errorf("there is an element %s", n.Data)
		case "a":
			if !regexp.MustCompile(`^#no-[0-9]+$`).MatchString(n.Attr[0].Val) || len(n.Attr) != 1 {
				t.Errorf("a link leads to %v", n.Attr)
			}
		}
		for _, at := range n.Attr {
			if strings.HasPrefix(at.Key, "on") || at.Key == "style" || at.Key == "src" {
				t.Errorf("%s has an attribute %s", n.Data, at.Key)
			}
		}
	}
	if scripts != 1 {
		t.Errorf("%d scripts", scripts)
	}
}

// TestHostileTextIsWholeInJSON: programs get what people wrote.
func TestHostileTextIsWholeInJSON(t *testing.T) {
	a := poisoned()
	var b bytes.Buffer
	if err := WriteJSON(&b, a); err != nil {
		t.Fatal(err)
	}
	var again Audit
	if err := json.Unmarshal(b.Bytes(), &again); err != nil || again.Releases[0].Why != hostile {
		t.Errorf("%v: %q", err, again.Releases[0].Why)
	}
}

// TestThePageStandsAlone: it asks for nothing, and everything to be seen has a box
// of its own, with words.
func TestThePageStandsAlone(t *testing.T) {
	a := story().Audit("prod", time.Time{}, start.Add(24*time.Hour), sound())
	a.Gaps = []audit.Finding{{Code: audit.SigInvalid, Object: "abc"}}
	var page bytes.Buffer
	if err := a.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?i)src=|url\(|@import|fetch\(|https?://[^g]`).FindString(page.String()); m != "" {
		t.Errorf("the page asks for something: %s", m)
	}
	for _, want := range []string{
		"@media print", "merged against approval", "approved by its causer: carol", `<time datetime="2026-03-02T22:30:00Z">2026-03-02 22:30:00 UTC</time>`,
		"default-src 'none'", `no. <a href="#no-4">4</a>`,
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	node, err := html.Parse(&page)
	if err != nil {
		t.Fatal(err)
	}
	boxes, ids := 0, map[string]bool{}
	for n := range node.Descendants() {
		attr := map[string]string{}
		for _, at := range n.Attr {
			attr[at.Key] = at.Val
		}
		if id := attr["id"]; id != "" {
			if ids[id] {
				t.Errorf("two elements are called %s", id)
			}
			ids[id] = true
		}
		if n.Type == html.ElementNode && n.Data == "input" {
			boxes++
			if n.Parent.Data != "label" || attr["type"] != "checkbox" || !strings.HasSuffix(attr["aria-label"], ": seen") || attr["id"] == "" {
				t.Errorf("a box without a label: %v in %s", attr, n.Parent.Data)
			}
		}
	}
	if want := len(a.checklist()) + len(a.Releases) + len(a.Gaps); boxes != want {
		t.Errorf("%d boxes to tick for %d things", boxes, want)
	}
}
