package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
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

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/typedoc"
)

//go:generate go test -run TestSchemasAreCurrent -update

var update = flag.Bool("update", false, "write docs/audit.schema.json and docs/history.schema.json")

// documents are the JSON documents with their schemas.
var documents = map[string]struct {
	typ   reflect.Type
	title string
}{
	"audit.schema.json":   {reflect.TypeFor[Audit](), "rung audit -o json, format %d"},
	"history.schema.json": {reflect.TypeFor[History](), "rung history --json, format %d"},
}

// words are the doc comments of the types that the documents are made of, by
// "Type" and "Type.Field".
func words(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, dir := range []string{".", "..", "../../promotion"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				if st, ok := s.Type.(*ast.StructType); ok {
					for _, field := range st.Fields.List {
						for _, name := range field.Names {
							out[s.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
						}
					}
				}
				return true
			})
		}
	}
	return out
}

func schemaOf(t *testing.T, typ reflect.Type, title string) []byte {
	t.Helper()
	all := words(t)
	r := jsonschema.Reflector{
		Anonymous: true, AllowAdditionalProperties: true,
		LookupComment: func(typ reflect.Type, field string) string { return all[typ.Name()+"."+field] },
		Mapper: func(typ reflect.Type) *jsonschema.Schema {
			if typ == reflect.TypeFor[time.Time]() {
				return &jsonschema.Schema{Type: "string", Format: "date-time"}
			}
			return nil
		},
	}
	s := r.ReflectFromType(typ)
	s.Title = fmt.Sprintf(title, Format)
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func TestSchemasAreCurrent(t *testing.T) {
	for name, d := range documents {
		typedoc.Hold(t, *update, filepath.Join("../../../docs", name), schemaOf(t, d.typ, d.title), "go generate ./internal/audit/report")
	}
}

// TestDocumentsKeepTheirSchema: what is written is what is promised, and something
// else is not.
func TestDocumentsKeepTheirSchema(t *testing.T) {
	full := story().Audit("prod", start, start.Add(24*time.Hour), sound())
	full.Gaps = []audit.Finding{{Code: audit.SigInvalid, Object: "abc"}}
	for name, docs := range map[string][]any{
		"audit.schema.json":   {full, (&Reader{}).Audit("prod", time.Time{}, start, &audit.Report{})},
		"history.schema.json": {story().History("checkout", "", sound()), (&Reader{}).History("cart", "dev", &audit.Report{})},
	} {
		compiled, err := schemas.NewCompiler().Compile(filepath.Join("../../../docs", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range docs {
			var b bytes.Buffer
			if err := WriteJSON(&b, doc); err != nil {
				t.Fatal(err)
			}
			v, err := schemas.UnmarshalJSON(&b)
			if err != nil {
				t.Fatal(err)
			}
			if err := compiled.Validate(v); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			v.(map[string]any)["releases"] = nil
			if compiled.Validate(v) == nil {
				t.Errorf("%s takes a document without a list of releases", name)
			}
		}
	}
}

// TestThePageOfTheDocuments names every column of the CSV form, in order, and every
// line of the checklist.
func TestThePageOfTheDocuments(t *testing.T) {
	data, err := os.ReadFile("../../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "`" + strings.Join(columns, "`, `") + "`"; !strings.Contains(strings.Join(strings.Fields(string(data)), " "), want) {
		t.Errorf("docs/audit.md does not list the columns: %s", want)
	}
	for _, c := range (Audit{}).checklist() {
		if !strings.Contains(string(data), "| "+c.Name+" |") {
			t.Errorf("docs/audit.md does not explain %q", c.Name)
		}
	}
}
