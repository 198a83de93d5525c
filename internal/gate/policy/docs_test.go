package policy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"
	schemas "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rungbot/rung/internal/gate/policy"
	"github.com/rungbot/rung/internal/promotion"
)

var update = flag.Bool("update", false, "write docs/facts.md and docs/facts.schema.json anew")

// golden holds a generated file to what stands in docs, or writes it.
func golden(t *testing.T, name string, want []byte) {
	t.Helper()
	path := filepath.Join(root, "docs", name)
	if *update {
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/%s is stale; run go test ./internal/gate/policy -update", name)
	}
}

// words are the doc comments of the vocabulary's types and fields, by "Type"
// and "Type.Field".
func words(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	files, err := filepath.Glob(filepath.Join(root, "internal/promotion/*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal("no vocabulary found: ", err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			d, ok := n.(*ast.GenDecl)
			if !ok {
				return true
			}
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok {
					typeWords(out, s, d)
				}
			}
			return false
		})
	}
	return out
}

func typeWords(out map[string]string, s *ast.TypeSpec, d *ast.GenDecl) {
	text := s.Doc.Text()
	if text == "" {
		text = d.Doc.Text()
	}
	out[s.Name.Name] = oneLine(text)
	st, ok := s.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range st.Fields.List {
		text := f.Doc.Text()
		if text == "" {
			text = f.Comment.Text()
		}
		for _, n := range f.Names {
			out[s.Name.Name+"."+n.Name] = oneLine(text)
		}
	}
}

func oneLine(text string) string {
	var p comment.Parser
	return strings.Join(strings.Fields(string((&comment.Printer{}).Text(p.Parse(text)))), " ")
}

// jsonName is a field's name in the document, and whether it may be left out.
func jsonName(f reflect.StructField) (string, bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, strings.Contains(options, "omit")
}

// fieldWords is a field's comment with the document's name for it, or its
// type's.
func fieldWords(all map[string]string, t reflect.Type, f reflect.StructField) string {
	name, _ := jsonName(f)
	if text := all[t.Name()+"."+f.Name]; text != "" {
		if rest, ok := strings.CutPrefix(text, f.Name+" "); ok {
			return "`" + name + "` " + rest
		}
		return text
	}
	return all[bare(f.Type).Name()]
}

// bare is a type without pointers, lists and maps.
func bare(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

// typeName names a type in the facts' documentation.
func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time, RFC 3339"
	case t == reflect.TypeFor[time.Duration]():
		return "number of nanoseconds"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Map:
		return "object of " + typeName(t.Elem()) + " by name"
	case reflect.Struct:
		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "string"
	}
	return "number"
}

func factsDocument(t *testing.T) []byte {
	all := words(t)
	var b bytes.Buffer
	fmt.Fprintf(&b, `# The facts document

Version %d. Generated from the types by `+"`go test ./internal/gate/policy -update`"+`; do not edit.

Facts are everything that is known of one promotion at one instant. Every gate
and every policy judges them, and nothing else; `+"`rung plan --facts`"+` prints
them. A machine-readable form is [facts.schema.json](facts.schema.json); how to
write a policy over them is in [policies.md](policies.md).

A field that may be absent is left out where it has nothing to say: false, 0,
the empty string, an empty list.
`, promotion.FactsVersion)
	queue := []reflect.Type{reflect.TypeFor[promotion.Facts]()}
	seen := map[reflect.Type]bool{queue[0]: true}
	for len(queue) > 0 {
		typ := queue[0]
		queue = queue[1:]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| field | type | may be absent | meaning |\n|---|---|---|---|\n", typ.Name(), all[typ.Name()])
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, optional := jsonName(f)
			absent := ""
			if optional {
				absent = "yes"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, typeName(f.Type), absent, cell(fieldWords(all, typ, f)))
			if next := bare(f.Type); next.Kind() == reflect.Struct && next != reflect.TypeFor[time.Time]() && !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return b.Bytes()
}

func TestFactsDocumentIsFresh(t *testing.T) {
	golden(t, "facts.md", factsDocument(t))
}

// cell makes a text safe inside a table, outside of its code spans.
func cell(text string) string {
	parts := strings.Split(strings.ReplaceAll(text, "|", "\\|"), "`")
	for i := 0; i < len(parts); i += 2 {
		parts[i] = strings.ReplaceAll(parts[i], "<", "&lt;")
	}
	return strings.Join(parts, "`")
}

func factsSchema(t *testing.T) []byte {
	all := words(t)
	r := jsonschema.Reflector{
		Anonymous: true,
		Mapper: func(typ reflect.Type) *jsonschema.Schema {
			if typ == reflect.TypeFor[time.Duration]() {
				return &jsonschema.Schema{Type: "integer", Description: "nanoseconds"}
			}
			return nil
		},
		LookupComment: func(typ reflect.Type, field string) string {
			if field == "" {
				return all[typ.Name()]
			}
			f, _ := typ.FieldByName(field)
			return fieldWords(all, typ, f)
		},
	}
	s := r.Reflect(&promotion.Facts{})
	s.Title = fmt.Sprintf("rung facts, version %d", promotion.FactsVersion)
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func TestFactsSchemaIsFresh(t *testing.T) {
	golden(t, "facts.schema.json", factsSchema(t))
}

// The schema takes the facts that rung makes, and refuses what they are not.
func TestFactsSchemaAgreesWithTheFacts(t *testing.T) {
	document, err := schemas.UnmarshalJSON(bytes.NewReader(factsSchema(t)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := schemas.NewCompiler()
	if err := compiler.AddResource("facts.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("facts.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	facts, err := policy.Document(sample())
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(facts); err != nil {
		t.Error(err)
	}
	facts["extra"] = true
	if schema.Validate(facts) == nil {
		t.Error("a field that facts don't have is taken")
	}
}

// Every snippet of docs/policies.md does what the text around it says: a
// policy compiles, one under a line with "refused" does not, and cases run.
func TestPolicyGuide(t *testing.T) {
	data, err := os.ReadFile(root + "/docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	policies, refused, cases := 0, 0, 0
	last := ""
	for _, s := range snippets(string(data)) {
		switch {
		case strings.HasPrefix(s.info, "yaml refused"):
			refused++
			if got := problems(check(strings.Split(s.text, "\n")...)); !strings.Contains(got, strings.TrimPrefix(s.info, "yaml refused: ")) {
				t.Errorf("line %d: %q: %s", s.line, s.info, got)
			}
		case strings.HasPrefix(s.info, "yaml check"):
			policies++
			if got := problems(check(strings.Split(s.text, "\n")...)); got != "" {
				t.Errorf("line %d: %s", s.line, got)
			}
		case s.info == "yaml" && strings.Contains(s.text, "kind: ValidatingPolicy"):
			policies++
			last = s.text
			if got := problems(s.text); got != "" {
				t.Errorf("line %d: %s", s.line, got)
			}
		case s.info == "yaml" && strings.Contains(s.text, "cases:"):
			cases++
			guideCases(t, last, s)
		case s.info == "yaml binding":
			guideBinding(t, s)
		default:
			t.Errorf("line %d: a snippet that nothing runs", s.line)
		}
	}
	if policies < 3 || refused < 5 || cases < 1 {
		t.Errorf("%d policies, %d refused, %d files of cases", policies, refused, cases)
	}
}
