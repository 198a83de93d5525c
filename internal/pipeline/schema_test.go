package pipeline

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	schemacheck "github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"github.com/rungbot/rung/internal/typedoc"
)

//go:generate go test -run TestSchemaIsCurrent -update

var update = flag.Bool("update", false, "write docs/rung.schema.json")

const schemaFile = "../../docs/rung.schema.json"

// How the wrappers of file.go look to the generator. Methods of test files are
// not linked into the binary, and neither is the generator.

func (located[T]) JSONSchemaAlias() any { var v T; return v }

func (entries[T]) JSONSchemaAlias() any { return map[string]T{} }

func (duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Description: "A duration such as 90s, 30m, 12h, 2d or 1d12h.",
		OneOf: []*jsonschema.Schema{
			{Type: "string", Pattern: `^([0-9]{1,4}d)?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))*$`, MinLength: new(uint64(1))},
			{Const: 0},
		},
	}
}

func (versionsFile) JSONSchemaAlias() any { return versionsSchema{} }

// versionsSchema stands for "a range or a rule".
type versionsSchema struct{}

func (versionsSchema) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string", Description: "A range of semantic versions, in quotes."},
		{Ref: "#/$defs/versionRuleFile"},
	}}
}

// generateSchema makes the JSON Schema from the types of file.go and their doc
// comments.
func generateSchema(t *testing.T) []byte {
	t.Helper()
	comments := fieldComments(t)
	r := &jsonschema.Reflector{
		FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, ExpandedStruct: true, Anonymous: true,
		LookupComment: func(typ reflect.Type, field string) string { return comments[typ.Name()+"."+field] },
	}
	schema := r.Reflect(&rootFile{})
	rule := (&jsonschema.Reflector{FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, ExpandedStruct: true, Anonymous: true, LookupComment: r.LookupComment}).Reflect(&versionRuleFile{})
	rule.Version, rule.Definitions = "", nil
	schema.Definitions["versionRuleFile"] = rule
	schema.Title = "rung.yaml"
	schema.Description = "The configuration of rung, a GitOps promotion bot. A file of rung.d may only have version, artifacts and environments."
	for _, key := range []string{"artifacts", "environments"} {
		property, _ := schema.Properties.Get(key)
		property.PropertyNames = &jsonschema.Schema{Pattern: `^[a-z0-9][a-z0-9-]{0,40}$`}
	}
	for _, key := range []string{"floors", "policies", "commands"} {
		property, _ := schema.Properties.Get(key)
		property.PropertyNames = &jsonschema.Schema{Pattern: patternGrammar.String()}
	}
	// `dev:` without anything is an environment of defaults.
	property, _ := schema.Properties.Get("environments")
	property.AdditionalProperties = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{property.AdditionalProperties, {Type: "null"}}}
	compact, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	var indented, out bytes.Buffer
	if err := json.Indent(&indented, compact, "", "  "); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(indented.String()) { // the generator escapes <, > and & for HTML
		out.WriteString(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(line))
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// fieldComments reads the doc comments of file.go: "type.Field" to text, on one
// line. The types are unexported, so the generator doesn't find them itself.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "file.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			typ, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			comments[typ.Name.Name+"."] = oneLine(gen.Doc.Text())
			if structure, ok := typ.Type.(*ast.StructType); ok {
				for _, field := range structure.Fields.List {
					for _, name := range field.Names {
						comments[typ.Name.Name+"."+name.Name] = oneLine(field.Doc.Text())
					}
				}
			}
		}
	}
	return comments
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestSchemaIsCurrent(t *testing.T) {
	typedoc.Hold(t, *update, schemaFile, generateSchema(t), "go generate ./internal/pipeline")
}

// compileSchema compiles the schema as editors do.
func compileSchema(t *testing.T) *schemacheck.Schema {
	t.Helper()
	doc, err := schemacheck.UnmarshalJSON(bytes.NewReader(generateSchema(t)))
	if err != nil {
		t.Fatal(err)
	}
	c := schemacheck.NewCompiler()
	if err := c.AddResource("rung.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("rung.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *schemacheck.Schema, text string) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := schemacheck.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(doc)
}

// TestSchemaAgreesWithLoad feeds the same files to both.
func TestSchemaAgreesWithLoad(t *testing.T) {
	schema := compileSchema(t)
	good := []string{
		full,
		"version: 1\n",
		"version: 1\nenvironments: {dev: , staging: {after: [dev], soak: 0}, canary: {soak: 1d12h}}\n",
		"version: 1\nartifacts: {a: {image: ghcr.io/a/b, versions: '>=1', poll: 1h30m}}\n",
		"version: 1\nartifacts: {a: {image: ghcr.io/a/b, versions: {regex: 'x-([0-9]+)', order: numeric}}}\n",
	}
	for _, text := range good {
		if err := validate(t, schema, text); err != nil {
			t.Errorf("the schema refuses\n%s\n%v", text, err)
		}
		if r := load(map[string]string{RootFile: text}); len(r.Problems) > 0 {
			t.Errorf("Load refuses\n%s\n%v", text, r.Problems)
		}
	}
	bad := []string{
		"mode: merge\n",
		"version: 2\n",
		"version: 1\nmode: Merge\n",
		"version: 1\nenvironment: {}\n",
		"version: 1\nledger: 12\n",
		"version: 1\nenvironments: {Dev: {}}\n",
		"version: 1\nenvironments: {dev: {soaks: 1m}}\n",
		"version: 1\nenvironments: {dev: {soak: 30}}\n",
		"version: 1\nenvironments: {dev: {soak: ''}}\n",
		"version: 1\nenvironments: {dev: {windows: []}}\n",
		"version: 1\nenvironments: {dev: {pin: none}}\n",
		"version: 1\nenvironments: {dev: {approvals: {required: 11}}}\n",
		"version: 1\nenvironments: {dev: {health: [{app: x}]}}\n",
		"version: 1\nartifacts: {a: {}}\n",
		"version: 1\nartifacts: {a: {image: ghcr.io/a/b, versions: 1.0}}\n",
		"version: 1\nartifacts: {a: {image: ghcr.io/a/b, versions: {order: numeric}}}\n",
		"version: 1\nenvironments: {dev: {}}\nfloors: {dev: {pin: digest}}\n",
		"version: 1\nenvironments: {dev: {}}\ncommands: {dev: {rollback: write}}\n",
	}
	for _, text := range bad {
		if err := validate(t, schema, text); err == nil {
			t.Errorf("the schema takes\n%s", text)
		}
		if r := load(map[string]string{RootFile: text}); len(r.Problems) == 0 {
			t.Errorf("Load takes\n%s", text)
		}
	}
}

// documentedNames are all fields of the format.
func documentedNames() []string {
	var names []string
	for _, typ := range []reflect.Type{
		reflect.TypeFor[rootFile](), reflect.TypeFor[artifactFile](), reflect.TypeFor[versionRuleFile](), reflect.TypeFor[settingsFile](),
		reflect.TypeFor[environmentFile](), reflect.TypeFor[healthFile](), reflect.TypeFor[approvalsFile](), reflect.TypeFor[floorFile](), reflect.TypeFor[whoFile](),
	} {
		for i := range typ.NumField() {
			if name, _ := fieldTags(typ.Field(i)); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}
