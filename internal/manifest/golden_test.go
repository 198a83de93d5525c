package manifest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rungbot/rung/internal/promotion"
)

// Digests that the golden files write as OLD, NEW and OTHER.
var digests = map[string]string{
	"OLD":   "sha256:" + strings.Repeat("a1", 32),
	"NEW":   "sha256:" + strings.Repeat("b2", 32),
	"OTHER": "sha256:" + strings.Repeat("c3", 32),
}

func expand(s string) string {
	for word, digest := range digests {
		s = strings.ReplaceAll(s, word, digest)
	}
	return s
}

func collapse(s string) string {
	for word, digest := range digests {
		s = strings.ReplaceAll(s, digest, word)
	}
	return s
}

var update = flag.Bool("update", false, "write what came out as the errors that testdata/refuse expects")

// script is one golden file: lines before the first file say what is done
// (artifact NAME IMAGE, to VERSION DIGEST, pin MODE), the first file is the
// manifest, and after, changes, notes or error say what comes of it.
type script struct {
	artifacts []Artifact
	to        promotion.Value
	pin       Pin
	path      string
	before    string
	files     map[string]string
}

func readScript(t *testing.T, name string) script {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	archive := txtar.Parse(data)
	s := script{files: map[string]string{}}
	for line := range strings.Lines(string(archive.Comment)) {
		words := strings.Fields(expand(line))
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "artifact" && len(words) == 3:
			s.artifacts = append(s.artifacts, Artifact{promotion.Artifact(words[1]), words[2]})
		case words[0] == "to" && len(words) >= 2:
			for _, w := range words[1:] {
				if strings.HasPrefix(w, "sha256:") {
					s.to.Digest = promotion.Digest(w)
				} else {
					s.to.Version = promotion.Version(w)
				}
			}
		case words[0] == "pin" && len(words) == 2:
			s.pin = Pin(words[1])
		default:
			t.Fatalf("%s: what is %q?", name, line)
		}
	}
	if len(s.artifacts) == 0 {
		s.artifacts = []Artifact{{"checkout", "ghcr.io/acme/checkout"}}
	}
	if s.to == (promotion.Value{}) {
		s.to = promotion.Value{Version: "1.4.2", Digest: promotion.Digest(digests["NEW"])}
	}
	for i, f := range archive.Files {
		text := expand(string(f.Data))
		if i == 0 {
			s.path, s.before = f.Name, text
		} else {
			s.files[f.Name] = text
		}
	}
	return s
}

// dress gives a file another encoding of its line ends and start.
var dress = map[string]func(string) string{
	"lf":      func(s string) string { return s },
	"crlf":    func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
	"bom":     func(s string) string { return bom + s },
	"bomcrlf": func(s string) string { return bom + strings.ReplaceAll(s, "\n", "\r\n") },
	"noeol":   func(s string) string { return strings.TrimSuffix(s, "\n") },
}

func TestEditGolden(t *testing.T) {
	names, _ := filepath.Glob("testdata/edit/*.txtar")
	if len(names) < 20 {
		t.Fatalf("only %d golden files", len(names))
	}
	for _, name := range names {
		s := readScript(t, name)
		for how, f := range dress {
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar")+"/"+how, func(t *testing.T) {
				s.check(t, f(s.before), f(s.files["after"]))
			})
		}
	}
}

func (s script) check(t *testing.T, before, after string) {
	art := s.artifacts[0]
	original := strings.Clone(before)
	got, changes, err := Edit(s.path, []byte(before), art, s.to, s.pin)
	if err != nil {
		t.Fatalf("Edit: %v", err)
	}
	if string(got) != after {
		t.Fatalf("Edit gave\n%s\nnot\n%s\n%q", got, after, got)
	}
	if before != original {
		t.Error("Edit wrote to its input")
	}
	var lines strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&lines, "%s: %s -> %s\n", c.Locator, show(c.Before), show(c.After))
	}
	if got, want := collapse(lines.String()), collapse(s.files["changes"]); got != want {
		t.Errorf("changes\n%s\nnot\n%s", got, want)
	}
	s.checkNotes(t, before)
	s.checkReadBack(t, before, got, changes)

	again, more, err := Edit(s.path, got, art, s.to, s.pin)
	if err != nil || len(more) != 0 || string(again) != string(got) {
		t.Errorf("a second Edit changed %v (%v)", more, err)
	}
	applied, err := Apply(s.path, []byte(before), s.artifacts, changes)
	if err != nil || string(applied) != after {
		t.Errorf("Apply gave %v\n%s", err, applied)
	}
}

func (s script) checkNotes(t *testing.T, before string) {
	report, err := Find(s.path, []byte(before), s.artifacts)
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	var notes strings.Builder
	for _, n := range report.Notes {
		fmt.Fprintf(&notes, "%d:%d: %s\n", n.Line, n.Column, n.Text)
	}
	if got, want := collapse(notes.String()), collapse(s.files["notes"]); got != want {
		t.Errorf("notes\n%s\nnot\n%s", got, want)
	}
}

// checkReadBack: every place has its new value, and those of others their old one.
func (s script) checkReadBack(t *testing.T, before string, after []byte, changes []promotion.PlaceChange) {
	want, err := PlacesIn(s.path, []byte(before), s.artifacts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		for _, c := range changes {
			if c.Locator == want[i].Locator {
				want[i].Value = c.After
			}
		}
	}
	got, err := PlacesIn(s.path, after, s.artifacts)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("read back %v (%v), not %v", got, err, want)
	}
}

func TestRefuseGolden(t *testing.T) {
	names, _ := filepath.Glob("testdata/refuse/*.txtar")
	if len(names) < 10 {
		t.Fatalf("only %d golden files", len(names))
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			s := readScript(t, name)
			out, changes, err := Edit(s.path, []byte(s.before), s.artifacts[0], s.to, s.pin)
			if err == nil {
				t.Fatalf("Edit made %v:\n%s", changes, out)
			}
			if len(s.artifacts) > 1 { // what is wrong between two is for Find to say
				_, err = Find(s.path, []byte(s.before), s.artifacts)
			}
			if *update {
				s.record(t, name, collapse(fmt.Sprintln(err)))
				return
			}
			if got, want := collapse(fmt.Sprintln(err)), collapse(s.files["error"]); got != want {
				t.Errorf("error\n%s\nnot\n%s", got, want)
			}
			if out != nil || changes != nil {
				t.Error("Edit gave bytes or changes with its error")
			}
		})
	}
}

// record writes the error that a script expects.
func (s script) record(t *testing.T, name, text string) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	archive.Files[1].Data = []byte(text)
	if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
}
