// Package typedoc describes types for the documents that are generated from them:
// tables of fields with the words of their doc comments, and JSON Schemas.
//
// State: none; it reads Go source files, and the document that a test holds to what it
// generates. Only tests use it, which write a document anew or find it stale, so that no
// part of it is in the program. What it does not do: it knows no document.
package typedoc

import (
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// Words are the doc comments of types and fields, by "Type" and "Type.Field".
type Words map[string]string

// Read reads the words of the types that the Go files of some directories declare.
func Read(dirs ...string) (Words, error) {
	w := Words{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("no Go files in %s", dir)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				return nil, err
			}
			w.file(f)
		}
	}
	return w, nil
}

func (w Words) file(f *ast.File) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			if s, ok := spec.(*ast.TypeSpec); ok {
				w.typ(s, g)
			}
		}
	}
}

func (w Words) typ(s *ast.TypeSpec, g *ast.GenDecl) {
	text := s.Doc.Text()
	if text == "" {
		text = g.Doc.Text()
	}
	w[s.Name.Name] = oneLine(text)
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
			w[s.Name.Name+"."+n.Name] = oneLine(text)
		}
	}
}

func oneLine(text string) string {
	var p comment.Parser
	return strings.Join(strings.Fields(string((&comment.Printer{}).Text(p.Parse(text)))), " ")
}

// Field is what a field's comment says, with the name that the field has in JSON,
// or what its type's comment says.
func (w Words) Field(t reflect.Type, f reflect.StructField) string {
	name, _ := JSONName(f)
	if text := w[t.Name()+"."+f.Name]; text != "" {
		if rest, ok := strings.CutPrefix(text, f.Name+" "); ok {
			return "`" + name + "` " + rest
		}
		return text
	}
	return w[Bare(f.Type).Name()]
}

// JSONName is a field's name in JSON, and whether it may be left out.
func JSONName(f reflect.StructField) (string, bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, strings.Contains(options, "omit")
}

// Fields are a struct's fields as JSON has them: those of what is embedded without
// a name stand among them.
func Fields(t reflect.Type) []reflect.StructField {
	var all []reflect.StructField
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Tag.Get("json") == "" {
			all = append(all, Fields(f.Type)...)
			continue
		}
		all = append(all, f)
	}
	return all
}

// Bare is a type without pointers, lists and maps.
func Bare(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

// Name names a type for people; a struct's name links to its table.
func Name(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time, RFC 3339"
	case t == reflect.TypeFor[time.Duration]():
		return "number of nanoseconds"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return Name(t.Elem())
	case reflect.Slice:
		return "list of " + Name(t.Elem())
	case reflect.Map:
		return "object of " + Name(t.Elem()) + " by name"
	case reflect.Struct:
		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "string"
	}
	return "number"
}

// Tables are a struct's table of fields and those of the structs below it that are
// not in seen yet, each under a heading of its name.
func (w Words) Tables(seen map[reflect.Type]bool, roots ...reflect.Type) string {
	var b strings.Builder
	queue := roots
	for _, t := range roots {
		seen[t] = true
	}
	for len(queue) > 0 {
		t := queue[0]
		queue = queue[1:]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| field | type | may be absent | meaning |\n|---|---|---|---|\n", t.Name(), w[t.Name()])
		for _, f := range Fields(t) {
			name, optional := JSONName(f)
			absent := ""
			if optional {
				absent = "yes"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, Name(f.Type), absent, Cell(w.owned(t, f)))
			if next := Bare(f.Type); next.Kind() == reflect.Struct && next != reflect.TypeFor[time.Time]() && !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	return b.String()
}

// owned is a field's comment, where it stands in the struct or in one that is
// embedded in it.
func (w Words) owned(t reflect.Type, f reflect.StructField) string {
	if own, ok := t.FieldByName(f.Name); ok && len(own.Index) > 1 {
		return w.Field(t.FieldByIndex(own.Index[:len(own.Index)-1]).Type, f)
	}
	return w.Field(t, f)
}

// Cell makes a text safe inside a table, outside of its code spans.
func Cell(text string) string {
	parts := strings.Split(strings.ReplaceAll(text, "|", "\\|"), "`")
	for i := 0; i < len(parts); i += 2 {
		parts[i] = strings.ReplaceAll(parts[i], "<", "&lt;")
	}
	return strings.Join(parts, "`")
}

// Schema is the JSON Schema of a value's type, which takes no other field.
func (w Words) Schema(v any, title string) *jsonschema.Schema {
	r := jsonschema.Reflector{
		Anonymous: true,
		Namer: func(t reflect.Type) string {
			if t.Kind() == reflect.String {
				return t.String() // apart from a struct of that name in another package
			}
			return t.Name()
		},
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t == reflect.TypeFor[time.Duration]() {
				return &jsonschema.Schema{Type: "integer", Description: "nanoseconds"}
			}
			return nil
		},
		LookupComment: func(t reflect.Type, field string) string {
			if field == "" {
				return w[t.Name()]
			}
			f, _ := t.FieldByName(field)
			return w.Field(t, f)
		},
	}
	s := r.Reflect(v)
	s.Title = title
	return s
}
