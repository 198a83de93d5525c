package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	schemas "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/survey"
	"github.com/rungbot/rung/internal/typedoc"
)

const initSchemaFile = "../../docs/init.schema.json"

// TestInitSchemaIsCurrent holds docs/init.schema.json to the types that are printed.
func TestInitSchemaIsCurrent(t *testing.T) {
	words, err := typedoc.Read(".", "../../internal/survey")
	if err != nil {
		t.Fatal(err)
	}
	s := words.Schema(found{}, "rung init --json")
	state, ok := s.Definitions["found"].Properties.Get("state")
	if !ok {
		t.Fatal("the schema has no state")
	}
	state.Enum = []any{survey.New, survey.Complete, survey.Incomplete}
	want, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	typedoc.Hold(t, *update, initSchemaFile, append(want, '\n'), "go test ./cmd/rung -run TestInitSchemaIsCurrent -update")
}

// corpusLayout is a layout of package survey's corpus as a checkout.
type corpusLayout struct {
	dir    string
	flags  []string
	places []string
}

// checkoutOf makes a checkout of a layout, all of it tracked.
func checkoutOf(t *testing.T, file string) corpusLayout {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l := corpusLayout{dir: t.TempDir()}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", l.dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
	}
	git("init", "-q")
	for line := range strings.Lines(string(archive.Comment)) {
		switch words := append(strings.Fields(line), "", ""); words[0] {
		case "owner":
			git("remote", "add", "origin", "https://github.com/"+words[1]+"/environments")
		case "under":
			l.flags = append(l.flags, "--under", words[1])
		case "mark":
			l.flags = append(l.flags, "--mark")
		}
	}
	for _, f := range archive.Files {
		if f.Name == "places" {
			l.places = slices.Sorted(strings.SplitSeq(strings.TrimSpace(string(f.Data)), "\n"))
		}
		path, ok := strings.CutPrefix(f.Name, "repo/")
		if !ok {
			continue
		}
		at := filepath.Join(l.dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git("add", ".")
	return l
}

// TestInitInEveryLayout runs rung init in a checkout of each layout of the corpus: what
// it prints keeps its schema, the rung.yaml on disk validates, the places are those
// that a person expects, and a second run changes nothing.
func TestInitInEveryLayout(t *testing.T) {
	compiled, err := schemas.NewCompiler().Compile(initSchemaFile)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../internal/survey/testdata/layouts/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("only %d layouts: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			l := checkoutOf(t, file)
			first := initIn(t, l, compiled)
			if got := first.named(); !slices.Equal(got, l.places) {
				t.Errorf("the places are\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(l.places, "\n"))
			}
			config, err := os.ReadFile(filepath.Join(l.dir, pipeline.RootFile))
			if err != nil {
				t.Fatal(err)
			}
			if loaded := pipeline.Load(map[string][]byte{pipeline.RootFile: config}, pipeline.Options{}); len(loaded.Problems) > 0 {
				t.Errorf("the rung.yaml does not load: %v", loaded.Problems)
			}
			var out, said bytes.Buffer
			if code := run(t.Context(), []string{"validate", l.dir}, streams{in: strings.NewReader(""), out: &out, err: &said}); code != 0 {
				t.Errorf("rung validate: exit code %d, %s%s", code, &out, &said)
			}
			second := initIn(t, l, compiled)
			if len(second.Wrote) > 0 || second.Configuration != "" || !slices.Equal(second.named(), first.named()) {
				t.Errorf("a second time it wrote %v and names\n%s", second.Wrote, strings.Join(second.named(), "\n"))
			}
		})
	}
}

// TestInitSchemaIsClosed: what is not promised is not valid.
func TestInitSchemaIsClosed(t *testing.T) {
	compiled, err := schemas.NewCompiler().Compile(initSchemaFile)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(found{Survey: &survey.Survey{State: survey.New}, Wrote: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]any){
		"a field that there is not": func(doc map[string]any) { doc["invented"] = true },
		"a state that there is not": func(doc map[string]any) { doc["state"] = "fine" },
		"a field left out":          func(doc map[string]any) { delete(doc, "places") },
	} {
		t.Run(name, func(t *testing.T) {
			var doc map[string]any
			if err := json.Unmarshal(data, &doc); err != nil {
				t.Fatal(err)
			}
			for _, list := range []string{"environments", "artifacts", "places", "marks", "guesses", "notes", "missing", "codeowners", "rules"} {
				doc[list] = []any{}
			}
			if err := compiled.Validate(doc); err != nil {
				t.Fatalf("not valid before: %v", err)
			}
			change(doc)
			if compiled.Validate(doc) == nil {
				t.Error("is valid")
			}
		})
	}
}

// printed is what rung init --json prints.
type printed struct{ found }

// named are its places, as the corpus writes them.
func (p printed) named() []string {
	var all []string
	for _, at := range p.Places {
		all = append(all, fmt.Sprintf("%s %s %s:%d", at.Environment, at.Artifact, at.Path, at.Line))
	}
	slices.Sort(all)
	return all
}

// initIn runs rung init --json, and holds what it prints to the schema.
func initIn(t *testing.T, l corpusLayout, schema *schemas.Schema) printed {
	t.Helper()
	var out, said bytes.Buffer
	code := run(t.Context(), append([]string{"init", "--json", l.dir}, l.flags...), streams{in: strings.NewReader(""), out: &out, err: &said})
	doc, err := schemas.UnmarshalJSON(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatalf("exit code %d, %v: %s%s", code, err, &out, &said)
	}
	if err := schema.Validate(doc); err != nil {
		t.Error(err)
	}
	var p printed
	if err := json.Unmarshal(out.Bytes(), &p.found); err != nil {
		t.Fatal(err)
	}
	want := 0
	if p.State == survey.Incomplete {
		want = 1
	}
	if code != want {
		t.Errorf("exit code %d for %s: %s", code, p.State, &said)
	}
	return p
}
