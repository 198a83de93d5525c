package pipeline

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/rungbot/rung/internal/promotion"
)

// repositoryRoot is this repository, which is itself a sample.
const repositoryRoot = "../.."

// readSample reads the repository's own configuration and the names of its
// policies.
func readSample(t *testing.T) (map[string][]byte, Options) {
	t.Helper()
	files := map[string][]byte{}
	var opts Options
	root := os.DirFS(repositoryRoot)
	for _, pattern := range []string{RootFile, PartsDirectory + "/*"} {
		paths, err := fs.Glob(root, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := fs.ReadFile(root, path)
			if err != nil {
				t.Fatal(err)
			}
			files[path] = data
		}
	}
	err := fs.WalkDir(root, "policies", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			opts.PolicyFiles = append(opts.PolicyFiles, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, opts
}

func TestThisRepositoryIsASoundSample(t *testing.T) {
	r := Load(readSample(t))
	for _, p := range r.Problems {
		t.Error(p)
	}
	if t.Failed() {
		t.FailNow()
	}
	var names []promotion.Environment
	for _, e := range r.Pipeline.Environments {
		names = append(names, e.Name)
		for _, file := range []string{"kustomization.yaml", "deployment.yaml", "worker.yaml"} {
			if _, err := os.Stat(filepath.Join(repositoryRoot, e.Path, file)); err != nil {
				t.Error(err)
			}
		}
		if len(e.Health) != 3 || e.Soak > 10*time.Second || len(e.Policies) == 0 {
			t.Errorf("%s does not suit the demo: %+v", e.Name, e)
		}
	}
	if want := []promotion.Environment{"dev", "staging", "canary", "prod-eu", "prod-us"}; !slices.Equal(names, want) {
		t.Errorf("environments: %v, want %v", names, want)
	}
	if eu, _ := r.Pipeline.Environment("prod-eu"); eu.Approvals.Required != 1 {
		t.Errorf("prod-eu needs %d approvals, want 1", eu.Approvals.Required)
	}
	if r.Pipeline.Mode != promotion.ModeMerge || len(r.Pipeline.Artifacts) != 3 {
		t.Errorf("mode %s, artifacts %v", r.Pipeline.Mode, r.Pipeline.Artifacts)
	}
	if err := validate(t, compileSchema(t), string(mustRead(t, RootFile))); err != nil {
		t.Errorf("the schema refuses the sample: %v", err)
	}
	if _, err := InsertLedger(mustRead(t, RootFile), ledgerID); err != nil {
		t.Errorf("onboarding can't write the sample's ledger: %v", err)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repositoryRoot, path))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml( [^\n]*)?\n(.*?)^```$")

// TestDocumentationLoads loads every YAML block of docs/configuration.md. A
// block without version is put under the rest of a small file; one marked
// `yaml wrong: text` must be refused with that text.
func TestDocumentationLoads(t *testing.T) {
	const around = `
version: 1
artifacts: {checkout: {image: ghcr.io/acme/checkout}}
environments: {dev: {}, staging: {after: [dev]}, prod-eu: {after: [staging]}, prod-us: {after: [staging]}}
`
	text := string(mustRead(t, "docs/configuration.md"))
	schema := compileSchema(t)
	blocks := yamlBlock.FindAllStringSubmatchIndex(text, -1)
	if len(blocks) < 5 {
		t.Fatalf("only %d YAML blocks were found", len(blocks))
	}
	opts := Options{PolicyFiles: []string{"policies/digest.yaml", "policies/prod/bake.yaml", "policies/prod/size.yaml", "policies/eu.yaml"}}
	for _, at := range blocks {
		line := 1 + strings.Count(text[:at[0]], "\n")
		mark, body := "", text[at[4]:at[5]]
		if at[2] >= 0 {
			mark = strings.TrimSpace(text[at[2]:at[3]])
		}
		wrong, isWrong := strings.CutPrefix(mark, "wrong: ")
		files := map[string][]byte{RootFile: []byte(body)}
		if path, isPart := strings.CutPrefix(mark, "part: "); isPart {
			files = map[string][]byte{RootFile: []byte(around), path: []byte(body)}
		} else if !strings.Contains(body, "version: 1") {
			files[RootFile] = []byte(complete(around, body))
		}
		r := Load(files, opts)
		switch {
		case isWrong:
			if !slices.ContainsFunc(r.Problems, func(p promotion.ConfigProblem) bool { return strings.Contains(p.Text, wrong) }) {
				t.Errorf("docs/configuration.md:%d: no problem says %q: %v", line, wrong, r.Problems)
			}
		case len(r.Problems) > 0:
			t.Errorf("docs/configuration.md:%d: %v", line, r.Problems)
		default:
			if err := validate(t, schema, string(files[RootFile])); err != nil {
				t.Errorf("docs/configuration.md:%d: the schema refuses it: %v", line, err)
			}
		}
	}
}

// complete puts the lines of around before body, except the keys that body has
// itself.
func complete(around, body string) string {
	var lines []string
	for line := range strings.Lines(around) {
		key, _, _ := strings.Cut(line, ":")
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(key) + `:`).MatchString(body) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "") + body
}

// TestTheExampleIsComplete loads docs/rung.example.yaml, and finds each key that the
// schema has, in each place where it may stand.
func TestTheExampleIsComplete(t *testing.T) {
	text := mustRead(t, "docs/rung.example.yaml")
	r := Load(map[string][]byte{RootFile: text}, Options{PolicyFiles: []string{"policies/digest.yaml", "policies/prod/release.yaml", "policies/eu.yaml"}})
	for _, p := range r.Problems {
		t.Error(p)
	}
	if err := validate(t, compileSchema(t), string(text)); err != nil {
		t.Errorf("the schema refuses it: %v", err)
	}
	if !strings.HasPrefix(string(text), "# yaml-language-server: $schema=rung.schema.json\n") {
		t.Error("editors are not told of the schema")
	}
	var schema, example map[string]any
	if err := json.Unmarshal(mustRead(t, "docs/rung.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &example); err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	defs := schema["$defs"].(map[string]any)
	for name, d := range defs {
		for key := range members(d, "properties") {
			missing[name+"."+key] = true
		}
	}
	for key := range members(schema, "properties") {
		missing["."+key] = true
	}
	visit(schema, defs, "", example, missing)
	for _, key := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("docs/rung.example.yaml has no %s", key)
	}
}

// members is the map under a key of a schema, or nothing.
func members(schema any, key string) map[string]any {
	object, _ := schema.(map[string]any)
	found, _ := object[key].(map[string]any)
	return found
}

// visit strikes off, along a schema, the keys that a value has.
func visit(schema any, defs map[string]any, name string, value any, missing map[string]bool) {
	object, _ := schema.(map[string]any)
	if ref, ok := object["$ref"].(string); ok {
		name = ref[strings.LastIndex(ref, "/")+1:]
		visit(defs[name], defs, name, value, missing)
		return
	}
	for _, word := range []string{"oneOf", "anyOf"} {
		for _, one := range asList(object[word]) {
			visit(one, defs, name, value, missing)
		}
	}
	for _, item := range asList(value) {
		visit(object["items"], defs, name, item, missing)
	}
	fields, _ := value.(map[string]any)
	for key, field := range fields {
		if inner, ok := members(object, "properties")[key]; ok {
			delete(missing, name+"."+key)
			visit(inner, defs, name, field, missing)
		} else {
			visit(object["additionalProperties"], defs, name, field, missing)
		}
	}
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// TestEveryFieldIsDocumented holds docs/configuration.md to the format.
func TestEveryFieldIsDocumented(t *testing.T) {
	text := string(mustRead(t, "docs/configuration.md"))
	for _, name := range documentedNames() {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/configuration.md does not name the field `%s`", name)
		}
	}
}
