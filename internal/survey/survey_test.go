package survey

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

var update = flag.Bool("update", false, "write what came out into the goldens of testdata")

// layout is one file of testdata: lines `owner NAME`, `under PATH` and `mark`, then the
// repository's files below repo/, then the places that a person who read them expects,
// then what came out. -update writes the last alone: it can't move a place.
type layout struct {
	name   string
	tree   Tree
	mark   bool
	places []string
	want   map[string]string
}

func layouts(t *testing.T, dir string) []layout {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil || len(names) == 0 {
		t.Fatal("no layouts", err)
	}
	var all []layout
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		l := layout{name: name, want: map[string]string{}}
		for line := range strings.Lines(string(archive.Comment)) {
			switch words := strings.Fields(line); {
			case len(words) == 0 || words[0] == "#":
			case words[0] == "owner":
				l.tree.Owner = words[1]
			case words[0] == "under":
				l.tree.Under = append(l.tree.Under, words[1])
			case words[0] == "mark":
				l.mark = true
			default:
				t.Fatalf("%s: what is %q?", name, line)
			}
		}
		for _, f := range archive.Files {
			path, ok := strings.CutPrefix(f.Name, "repo/")
			switch {
			case f.Name == "places":
				l.places = slices.Sorted(strings.SplitSeq(strings.TrimSpace(string(f.Data)), "\n"))
			case !ok:
				l.want[f.Name] = string(f.Data)
			case Wanted(path):
				l.tree.Files = append(l.tree.Files, File{path, f.Data})
			}
		}
		slices.SortFunc(l.tree.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
		all = append(all, l)
	}
	return all
}

// hold compares what came out with a golden section, or writes it.
func (l *layout) hold(t *testing.T, got map[string]string) {
	t.Helper()
	if *update {
		archive, err := txtar.ParseFile(l.name)
		if err != nil {
			t.Fatal(err)
		}
		archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name != "places" && !strings.HasPrefix(f.Name, "repo/") })
		for _, section := range []string{"error", "rung.yaml", "plan", "promoted", "guesses", "notes", "missing"} {
			if got[section] != "" {
				archive.Files = append(archive.Files, txtar.File{Name: section, Data: []byte(got[section])})
			}
		}
		if err := os.WriteFile(l.name, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	for section, text := range got {
		if text != l.want[section] {
			t.Errorf("%s is\n%s\nnot\n%s", section, text, l.want[section])
		}
	}
	for section := range l.want {
		if _, ok := got[section]; !ok {
			t.Errorf("nothing came out as %s", section)
		}
	}
}

// TestLayouts: each layout gives a configuration that loads, a plan that names the
// right places, and promotions that change them and nothing else.
func TestLayouts(t *testing.T) {
	all := layouts(t, "layouts")
	if len(all) < 20 {
		t.Fatalf("only %d layouts", len(all))
	}
	for _, l := range all {
		t.Run(strings.TrimSuffix(filepath.Base(l.name), ".txtar"), func(t *testing.T) {
			s, err := Look(l.tree)
			if err != nil {
				t.Fatal(err)
			}
			if l.mark {
				edits, err := s.Edits(l.tree)
				if err != nil {
					t.Fatal(err)
				}
				if len(edits) == 0 {
					t.Error("nothing was to be marked")
				}
				l.tree = l.tree.With(edits)
				if s, err = Look(l.tree); err != nil {
					t.Fatal(err)
				}
				if len(s.Marks) > 0 {
					t.Errorf("marked, and still to be marked: %v", s.Marks)
				}
			}
			if got := named(s); !slices.Equal(got, l.places) {
				t.Errorf("the plan names\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(l.places, "\n"))
			}
			got := map[string]string{"plan": planned(s), "guesses": guessed(s), "notes": noted(s)}
			if s.Configuration != "" {
				got["rung.yaml"] = s.Configuration
				l.tree.Files = append(l.tree.Files, File{"rung.yaml", []byte(s.Configuration)})
				slices.SortFunc(l.tree.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
				again, err := Look(l.tree)
				if err != nil || again.State != Complete || len(again.Missing) > 0 || again.Configuration != "" || planned(again) != planned(s) {
					t.Errorf("a second look: %v\n%+v", err, again)
				}
			} else {
				got["missing"] = strings.Join(s.Missing, "\n") + "\n" + s.Additions
			}
			got["promoted"] = promoted(t, &l)
			for section, text := range got {
				if strings.TrimSpace(text) == "" {
					delete(got, section)
				}
			}
			l.hold(t, got)
		})
	}
}

// named are the places of a plan, in the words of testdata.
func named(s *Survey) []string {
	var all []string
	for _, p := range s.Places {
		all = append(all, fmt.Sprintf("%s %s %s:%d", p.Environment, p.Artifact, p.Path, p.Line))
	}
	slices.Sort(all)
	return all
}

func planned(s *Survey) string {
	var b strings.Builder
	for _, p := range s.Places {
		fmt.Fprintf(&b, "%s %s %s:%d:%d %s %s", p.Environment, p.Artifact, p.Path, p.Line, p.Column, p.Locator, p.Version)
		switch {
		case p.Keeps:
			b.WriteString(" (stays unpinned)")
		case !p.Pinned:
			b.WriteString(" (unpinned)")
		}
		b.WriteString("\n")
	}
	for _, m := range s.Marks {
		fmt.Fprintf(&b, "%s %s %s:%d needs a mark %s\n", m.Environment, m.Artifact, m.Path, m.Line, m.Version)
	}
	return b.String()
}

func guessed(s *Survey) string {
	var b strings.Builder
	for _, g := range s.Guesses {
		fmt.Fprintf(&b, "%s; %s\n", g.Text, g.Check)
	}
	return b.String()
}

func noted(s *Survey) string {
	var b strings.Builder
	for _, n := range s.Notes {
		fmt.Fprintln(&b, n)
	}
	return b.String()
}

// promoted brings 9.9.9 to every pair of environment and artifact, each in files as
// they are, and shows the lines that change. That nothing but lines of the plan changes
// is what package manifest promises; that no other environment's do is asserted here.
func promoted(t *testing.T, l *layout) string {
	t.Helper()
	config, ok := l.tree.file("rung.yaml")
	if !ok {
		t.Fatal("no rung.yaml")
	}
	r := pipeline.Load(map[string][]byte{"rung.yaml": config}, pipeline.Options{})
	if len(r.Problems) > 0 {
		t.Fatal(r.Problems)
	}
	to := promotion.Value{Version: "9.9.9", Digest: promotion.Digest("sha256:" + strings.Repeat("b2", 32))}
	var b strings.Builder
	for _, e := range r.Pipeline.Environments {
		for _, a := range manifest.Artifacts(r.Pipeline) {
			for _, f := range l.tree.Files {
				if !e.Holds(f.Path) || !manifest.IsManifest(f.Path) {
					continue
				}
				out, changes, err := manifest.Edit(f.Path, f.Data, a, to, manifest.PinDigest)
				if err != nil {
					fmt.Fprintf(&b, "%s %s refused: %v\n", e.Name, a.Name, err)
				}
				if len(changes) > 0 {
					fmt.Fprintf(&b, "%s %s %s\n%s", e.Name, a.Name, f.Path, strings.ReplaceAll(difference(string(f.Data), string(out)), string(to.Digest), "NEW"))
				}
			}
		}
	}
	return b.String()
}

// difference shows the lines that differ between two texts.
func difference(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	var out strings.Builder
	for len(a) > 0 || len(b) > 0 {
		if len(a) > 0 && len(b) > 0 && a[0] == b[0] {
			a, b = a[1:], b[1:]
			continue
		}
		// The shortest way back to a common line.
		i, j := meet(a, b)
		for _, line := range a[:i] {
			fmt.Fprintf(&out, "- %s\n", strings.TrimSpace(line))
		}
		for _, line := range b[:j] {
			fmt.Fprintf(&out, "+ %s\n", strings.TrimSpace(line))
		}
		a, b = a[i:], b[j:]
	}
	return out.String()
}

func meet(a, b []string) (int, int) {
	for sum := 1; sum <= len(a)+len(b); sum++ {
		for i := max(0, sum-len(b)); i <= min(sum, len(a)); i++ {
			j := sum - i
			if i == len(a) && j == len(b) || i < len(a) && j < len(b) && a[i] == b[j] && strings.TrimSpace(a[i]) != "" {
				return i, j
			}
		}
	}
	return len(a), len(b)
}

// TestRefusals: what can't be told apart is one sentence that says what to do.
func TestRefusals(t *testing.T) {
	for _, l := range layouts(t, "refusals") {
		t.Run(strings.TrimSuffix(filepath.Base(l.name), ".txtar"), func(t *testing.T) {
			s, err := Look(l.tree)
			refusal, ok := err.(*Refusal)
			if !ok || s != nil {
				t.Fatalf("not refused: %v\n%+v", err, s)
			}
			if strings.Contains(refusal.Sentence, "\n") {
				t.Errorf("not one sentence: %s", refusal)
			}
			l.hold(t, map[string]string{"error": refusal.Sentence + "\n"})
		})
	}
}
