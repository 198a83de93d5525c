package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/invopop/jsonschema"
	schemas "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/typedoc"
)

//go:generate go test -run TestDocumentsAreCurrent -update

var update = flag.Bool("update", false, "write schema.json and the tables of docs/api.md")

const docsFile = "../../docs/api.md"

// answers are the documents, by the path that answers with them.
var answers = []struct {
	path string
	typ  reflect.Type
}{
	{"/api/v1/state", reflect.TypeFor[State]()},
	{"/api/v1/repositories", reflect.TypeFor[List]()},
	{"/api/v1/repositories/{owner}/{name}", reflect.TypeFor[One]()},
	{"/api/v1/repositories/{owner}/{name}/why", reflect.TypeFor[Why]()},
	{"/api/v1/repositories/{owner}/{name}/history", reflect.TypeFor[History]()},
	{"", reflect.TypeFor[Failure]()},
}

// words are the doc comments of state.go, by "Type" and "Type.Field".
func words(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "state.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			s, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			out[s.Name.Name] = oneLine(g.Doc.Text())
			for _, field := range s.Type.(*ast.StructType).Fields.List {
				for _, n := range field.Names {
					out[s.Name.Name+"."+n.Name] = oneLine(field.Doc.Text())
				}
			}
		}
	}
	return out
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// fieldWords is a field's comment with the document's name for it; its type's where
// it has none.
func fieldWords(all map[string]string, t reflect.Type, f reflect.StructField) string {
	if text := all[t.Name()+"."+f.Name]; text != "" {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if rest, ok := strings.CutPrefix(text, f.Name+" "); ok {
			return "`" + name + "` " + rest
		}
		return text
	}
	return all[bare(f.Type).Name()]
}

func bare(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

// fields are a type's, with those of what it embeds in their place.
func fields(t reflect.Type, each func(owner reflect.Type, f reflect.StructField)) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			fields(f.Type, each)
			continue
		}
		each(t, f)
	}
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t == reflect.TypeFor[json.RawMessage]():
		return "object: [its schema](history.schema.json)"
	case t.Kind() == reflect.Pointer:
		return typeName(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list of " + typeName(t.Elem())
	case t.Kind() == reflect.Map:
		return "object: " + typeName(t.Elem()) + " by name"
	case t.Kind() == reflect.Struct:
		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "string"
	}
	return "number"
}

func tables(t *testing.T) string {
	all := words(t)
	var b strings.Builder
	seen := map[reflect.Type]bool{}
	var queue []reflect.Type
	for _, a := range answers {
		queue = append(queue, a.typ)
	}
	for len(queue) > 0 {
		typ := queue[0]
		queue = queue[1:]
		if seen[typ] {
			continue
		}
		seen[typ] = true
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| field | type | may be absent | meaning |\n|---|---|---|---|\n", typ.Name(), all[typ.Name()])
		fields(typ, func(owner reflect.Type, f reflect.StructField) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			absent := ""
			if strings.Contains(options, "omit") {
				absent = "yes"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, typeName(f.Type), absent, fieldWords(all, owner, f))
			if next := bare(f.Type); next.Kind() == reflect.Struct && next != reflect.TypeFor[time.Time]() {
				queue = append(queue, next)
			}
		})
	}
	return b.String()
}

// schemaOf makes the JSON Schema of every document. A strict one takes no field
// that it does not know: the published one does, because fields may come.
func schemaOf(t *testing.T, strict bool) []byte {
	t.Helper()
	all := words(t)
	r := jsonschema.Reflector{
		Anonymous: true, AllowAdditionalProperties: !strict,
		LookupComment: func(typ reflect.Type, field string) string {
			if field == "" {
				return all[typ.Name()]
			}
			f, _ := typ.FieldByName(field)
			return fieldWords(all, typ, f)
		},
	}
	out := &jsonschema.Schema{
		Version: jsonschema.Version, Title: fmt.Sprintf("rung's API, version %d", Version), Definitions: jsonschema.Definitions{},
		Description: "An answer of GET /api/v1/state, /api/v1/repositories, /api/v1/repositories/{owner}/{name}, why and history below that, or an error.",
	}
	for _, a := range answers {
		s := r.ReflectFromType(a.typ)
		for name, d := range s.Definitions {
			out.Definitions[name] = d
		}
		out.OneOf = append(out.OneOf, &jsonschema.Schema{Ref: "#/$defs/" + a.typ.Name()})
	}
	closed := func(typ, field string, values ...string) {
		property, ok := out.Definitions[typ].Properties.Get(field)
		if !ok {
			t.Fatalf("%s has no %s", typ, field)
		}
		for _, v := range values {
			property.Enum = append(property.Enum, v)
		}
	}
	closed("Pair", "phase", promotion.PhaseIdle, promotion.PhaseVerifying, promotion.PhaseWaiting, promotion.PhaseOpen,
		promotion.PhaseReady, promotion.PhaseHeld, promotion.PhaseUnhealthy, promotion.PhaseRolledBack)
	closed("Pair", "kind", promotion.KindPromotion, promotion.KindRollback)
	closed("Pair", "settled", promotion.SettledGood, promotion.SettledBad, promotion.SettledInconclusive)
	for _, typ := range []string{"Verdict", "Rule"} {
		closed(typ, "status", string(promotion.StatusPass), string(promotion.StatusFail), string(promotion.StatusPending), string(promotion.StatusUnknown))
	}
	for _, typ := range []string{"Repository", "Summary"} {
		closed(typ, "mode", string(promotion.ModeObserve), string(promotion.ModePropose), string(promotion.ModeMerge))
	}
	closed("Reason", "code", "bad-request", "not-found", "method-not-allowed", "unreadable", "unavailable")
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

// TestDocumentsAreCurrent holds schema.json and docs/api.md to the types.
func TestDocumentsAreCurrent(t *testing.T) {
	docs, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	_, example := ask(t, &kept{views: stored(t, sample())}, "GET", "/api/v1/repositories/acme/gitops")
	for mark, text := range map[string]string{"tables": tables(t), "example": "\n```json\n" + example + "```\n"} {
		begin, end := "<!-- "+mark+": generated by go generate ./internal/api -->\n", "\n<!-- /"+mark+" -->\n"
		before, rest, found := strings.Cut(string(docs), begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s has no place for the %s", docsFile, mark)
		}
		docs = []byte(before + begin + text + end + after)
	}
	for path, want := range map[string][]byte{"schema.json": schemaOf(t, false), docsFile: docs} {
		typedoc.Hold(t, *update, path, want, "go generate ./internal/api")
	}
}

// TestEveryFieldIsExplained: a table without words is no documentation.
func TestEveryFieldIsExplained(t *testing.T) {
	all := words(t)
	for _, a := range answers {
		fields(a.typ, func(owner reflect.Type, f reflect.StructField) {
			if fieldWords(all, owner, f) == "" {
				t.Errorf("%s.%s is not explained", owner.Name(), f.Name)
			}
		})
	}
}

// validate holds a document to the strict schema, and to its one definition.
func validate(t *testing.T, definition, document string) error {
	t.Helper()
	parsed, err := schemas.UnmarshalJSON(bytes.NewReader(schemaOf(t, true)))
	if err != nil {
		t.Fatal(err)
	}
	c := schemas.NewCompiler()
	if err := c.AddResource("api.json", parsed); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("api.json#/$defs/" + definition)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := schemas.UnmarshalJSON(strings.NewReader(document))
	if err != nil {
		t.Fatalf("no JSON: %v\n%s", err, document)
	}
	return s.Validate(doc)
}
