//go:build conformance

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// graph is GitHub's GraphQL schema.
type graph struct{ schema *ast.Schema }

func readGraph(path string) (*graph, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	doc, err := parser.ParseSchemas(validator.Prelude, &ast.Source{Name: "schema.graphql", Input: string(text)})
	if err != nil {
		return nil, err
	}
	// GitHub's file says some fields twice, which the validator refuses.
	for _, def := range doc.Definitions {
		seen := map[string]bool{}
		def.Fields = slices.DeleteFunc(def.Fields, func(f *ast.FieldDefinition) bool {
			again := seen[f.Name]
			seen[f.Name] = true
			return again
		})
	}
	schema, err := validator.ValidateSchemaDocument(doc)
	if err != nil {
		return nil, err
	}
	return &graph{schema}, nil
}

// graph holds a query, its variables and its answer to the schema.
func (in *inspection) graph(sent []byte, status int, answer []byte) {
	in.saw("graphql")
	var asked struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables"`
	}
	if err := json.Unmarshal(sent, &asked); err != nil {
		in.find("graphql: the request is no JSON: %v", err)
		return
	}
	query, problems := gqlparser.LoadQuery(in.schema.schema, asked.Query) //nolint:staticcheck // the one call that parses and validates
	for _, p := range problems {
		in.find("graphql: the query: %s", clipped(p.Message))
	}
	if len(problems) > 0 || len(query.Operations) != 1 {
		return
	}
	op := query.Operations[0]
	if _, err := validator.VariableValues(in.schema.schema, op, asked.Variables); err != nil {
		in.find("graphql: the variables: %v", err)
	}
	var got struct {
		Data   map[string]any `json:"data"`
		Errors []struct {
			Message string `json:"message"`
			Type    string `json:"type"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		in.find("graphql: the answer is no JSON: %v", err)
		return
	}
	if status != http.StatusOK {
		return // refused before it was read, as REST is
	}
	if got.Data == nil && len(got.Errors) == 0 {
		in.find("graphql: an answer with neither data nor errors")
	}
	for _, e := range got.Errors {
		if e.Message == "" {
			in.find("graphql: an error without a message")
		}
	}
	if got.Data != nil {
		for _, text := range in.schema.selection(op.SelectionSet, got.Data, "Query", len(got.Errors) > 0) {
			in.find("graphql: the answer: %s", text)
		}
	}
}

// selection says where an object is not what was selected; holes are allowed where
// the answer has errors.
func (g *graph) selection(set ast.SelectionSet, object map[string]any, at string, holes bool) []string {
	var found, known []string
	name, _ := object["__typename"].(string)
	var walk func(set ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, s := range set {
			switch s := s.(type) {
			case *ast.Field:
				known = append(known, s.Alias)
				v, there := object[s.Alias]
				if !there {
					found = append(found, fmt.Sprintf("%s.%s is absent", at, s.Alias))
					continue
				}
				if s.Definition != nil {
					found = append(found, g.value(s.Definition.Type, s.SelectionSet, v, at+"."+s.Alias, holes)...)
				}
			case *ast.InlineFragment:
				if name == "" || g.is(name, s.TypeCondition) {
					walk(s.SelectionSet)
				}
			case *ast.FragmentSpread:
				if name == "" || g.is(name, s.Definition.TypeCondition) {
					walk(s.Definition.SelectionSet)
				}
			}
		}
	}
	walk(set)
	for key := range object {
		if !slices.Contains(known, key) {
			found = append(found, fmt.Sprintf("%s.%s was not asked for", at, key))
		}
	}
	return found
}

// is reports whether a type is another, or one of its possible types.
func (g *graph) is(name, of string) bool {
	return name == of || slices.ContainsFunc(g.schema.PossibleTypes[of], func(d *ast.Definition) bool { return d.Name == name })
}

func (g *graph) value(t *ast.Type, set ast.SelectionSet, v any, at string, holes bool) []string {
	if v == nil {
		if t.NonNull && !holes {
			return []string{at + " is null"}
		}
		return nil
	}
	if t.Elem != nil {
		all, ok := v.([]any)
		if !ok {
			return []string{at + " is no list"}
		}
		var found []string
		for _, e := range all {
			found = append(found, g.value(t.Elem, set, e, at, holes)...)
		}
		return found
	}
	def := g.schema.Types[t.NamedType]
	wrong := func(ok bool) []string {
		if ok {
			return nil
		}
		return []string{fmt.Sprintf("%s is no %s: %v", at, t.NamedType, v)}
	}
	switch def.Kind {
	case ast.Enum:
		word, _ := v.(string)
		return wrong(def.EnumValues.ForName(word) != nil)
	case ast.Scalar:
		switch t.NamedType {
		case "Int", "Float":
			_, ok := v.(float64)
			return wrong(ok)
		case "Boolean":
			_, ok := v.(bool)
			return wrong(ok)
		default:
			word, ok := v.(string)
			return wrong(ok && (t.NamedType != "DateTime" || strings.HasSuffix(word, "Z")))
		}
	default:
		object, ok := v.(map[string]any)
		if !ok {
			return wrong(false)
		}
		return g.selection(set, object, at, holes)
	}
}

// selectionOf holds an answer to a query.
func (g *graph) selectionOf(t *testing.T, query, answer string) []string {
	t.Helper()
	doc, problems := gqlparser.LoadQuery(g.schema, query) //nolint:staticcheck // as above
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var data map[string]any
	if err := json.Unmarshal([]byte(answer), &data); err != nil {
		t.Fatal(err)
	}
	return g.selection(doc.Operations[0].SelectionSet, data, "Query", false)
}
