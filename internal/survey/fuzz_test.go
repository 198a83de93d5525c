package survey

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/pipeline"
)

// FuzzLook: no tree makes Look panic; the same tree gives the same survey; what comes
// out loads, is complete at the second look, and is said without control characters.
func FuzzLook(f *testing.F) {
	names, _ := filepath.Glob("testdata/*/*.txtar")
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{
		"-- repo/dev/a.yaml --\na: &a [*a]\nimage: x/y:1\n", "-- repo/prod/\x1b[2J.yaml --\nimage: x/y:1\n",
		"-- repo/prod/a.yaml --\nimage: x.y/z:1 # rung: é\n", "-- repo/--/dev-prod/10-.yaml --\nimage: a.b/c:1\n", "-- repo/dev --\n-- repo/dev/dev/dev.yaml --\nimage: a.b/c:1\n",
		"-- repo/null/true-dev/x.yaml --\nimage: a.b/null:1\n", "-- repo/environments.yaml --\n&a [*a]\n-- repo/dev.yaml --\nimage: a.b/c:1\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var tree Tree
		for _, part := range strings.Split("\n"+string(data), "\n-- repo/")[1:] {
			path, content, ok := strings.Cut(part, " --\n")
			if ok && Wanted(path) {
				tree.Files = append(tree.Files, File{path, []byte(content + "\n")})
			}
		}
		slices.SortStableFunc(tree.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
		tree.Files = slices.CompactFunc(tree.Files, func(a, b File) bool { return a.Path == b.Path })
		s, err := Look(tree)
		again, errAgain := Look(tree)
		if !reflect.DeepEqual(s, again) || !reflect.DeepEqual(err, errAgain) {
			t.Fatalf("two looks differ: %v, %v\n%+v\n%+v", err, errAgain, s, again)
		}
		if err != nil {
			if _, ok := err.(*Refusal); !ok || strings.Contains(err.Error(), "\n") {
				t.Fatalf("no refusal of one sentence: %q", err)
			}
			return
		}
		checkSurvey(t, tree, s)
	})
}

func checkSurvey(t *testing.T, tree Tree, s *Survey) {
	t.Helper()
	var text strings.Builder
	if err := s.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(text.String()+s.Body(true)+s.Configuration, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
		t.Fatalf("control characters in\n%q", text.String())
	}
	if edits, err := s.Edits(tree); err == nil && len(edits) > 0 {
		marked, err := Look(tree.With(edits))
		if err != nil || len(marked.Marks) > 0 {
			t.Fatalf("marked, a look says %v and %v", err, marked)
		}
	}
	if s.State != New {
		return
	}
	r := pipeline.Load(map[string][]byte{"rung.yaml": []byte(s.Configuration)}, pipeline.Options{})
	if len(r.Problems) > 0 || len(r.Pipeline.Environments) != len(s.Environments) {
		t.Fatalf("%v\n%s", r.Problems, s.Configuration)
	}
	tree.Files = append(slices.Clone(tree.Files), File{"rung.yaml", []byte(s.Configuration)})
	slices.SortFunc(tree.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	then, err := Look(tree)
	if err != nil || then.State != Complete || !reflect.DeepEqual(then.Places, s.Places) {
		t.Fatalf("the second look: %v\n%+v\n%s", err, then, s.Configuration)
	}
}
