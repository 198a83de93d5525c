package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/rungbot/rung/internal/typedoc"
)

//go:generate go test -run TestReferenceIsCurrent -update

const referenceFile = "../../docs/rung.yaml.md"

// sections are the reference's tables, in a reader's order: a definition of the
// schema, its heading, and where it stands in the file.
var sections = []struct{ definition, heading, place string }{
	{"", "The file", ""},
	{"artifactFile", "An artifact", "artifacts.NAME"},
	{"versionRuleFile", "A rule for versions", "artifacts.NAME.versions"},
	{"environmentFile", "An environment", "environments.NAME"},
	{"settingsFile", "Defaults", "defaults"},
	{"healthFile", "A source of health", "environments.NAME.health[], defaults.health[]"},
	{"approvalsFile", "Approvals", "environments.NAME.approvals, defaults.approvals"},
	{"floorFile", "A floor", "floors.PATTERN"},
	{"floorApprovalsFile", "A floor for approvals", "floors.PATTERN.approvals"},
	{"whoFile", "Who may use a command", "commands.PATTERN.COMMAND"},
}

// inline are definitions that a cell says in words.
var inline = map[string]string{
	"duration":       "duration",
	"versionsSchema": "range, or [a rule](#a-rule-for-versions)",
}

// TestReferenceIsCurrent holds docs/rung.yaml.md to the types that rung.yaml is read
// into, by way of the schema that is made of them.
func TestReferenceIsCurrent(t *testing.T) {
	typedoc.Hold(t, *update, referenceFile, []byte(reference(t)), "go test ./internal/pipeline -run TestReferenceIsCurrent -update")
}

func reference(t *testing.T) string {
	t.Helper()
	var schema jsonschema.Schema
	if err := json.Unmarshal(generateSchema(t), &schema); err != nil {
		t.Fatal(err)
	}
	for name := range schema.Definitions {
		if inline[name] == "" && !slices.ContainsFunc(sections, func(s struct{ definition, heading, place string }) bool { return s.definition == name }) {
			t.Errorf("the reference has no section for %s", name)
		}
	}
	var b strings.Builder
	b.WriteString(`# Reference of rung.yaml

Every field of format version 1, generated from the types that rung reads it into by
` + "`go test ./internal/pipeline -run TestReferenceIsCurrent -update`" + `; do not edit.
[configuration.md](configuration.md) explains them with examples,
[rung.example.yaml](rung.example.yaml) is a complete file, and
[rung.schema.json](rung.schema.json) is for editors.

A NAME is 1 to 41 of ` + "`a-z`, `0-9` and `-`, and does not begin with `-`; a PATTERN may have `*` for any letters and `?`" + ` for
one. A duration is written as ` + "`90s`, `30m`, `12h`, `2d` or `1d12h`" + `.
`)
	for _, s := range sections {
		d := &schema
		if s.definition != "" {
			if d = schema.Definitions[s.definition]; d == nil {
				t.Fatalf("the schema has no %s", s.definition)
			}
		}
		fmt.Fprintf(&b, "\n## %s\n\n", s.heading)
		if s.place != "" {
			fmt.Fprintf(&b, "`%s`: %s\n\n", strings.ReplaceAll(s.place, ", ", "`, `"), d.Description)
		}
		b.WriteString("| field | takes | without it | meaning |\n| --- | --- | --- | --- |\n")
		for pair := d.Properties.Oldest(); pair != nil; pair = pair.Next() {
			absent := ""
			switch {
			case slices.Contains(d.Required, pair.Key):
				absent = "an error"
			case pair.Value.Default != nil:
				absent = fmt.Sprintf("`%v`", pair.Value.Default)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", pair.Key, takes(t, pair.Value), absent, typedoc.Cell(pair.Value.Description))
		}
	}
	return b.String()
}

// takes says in words what a schema takes.
func takes(t *testing.T, s *jsonschema.Schema) string {
	t.Helper()
	switch {
	case s.Ref != "":
		return named(t, strings.TrimPrefix(s.Ref, "#/$defs/"))
	case len(s.AnyOf) > 0:
		return takes(t, s.AnyOf[0]) // or nothing
	case len(s.Enum) > 0:
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprintf("`%v`", v))
		}
		return strings.Join(values, ", ")
	case s.Items != nil:
		return "list of " + takes(t, s.Items)
	case s.AdditionalProperties != nil && s.Type == "object":
		return "by name: " + takes(t, s.AdditionalProperties)
	case s.Type == "integer" && s.Minimum != "" && s.Minimum == s.Maximum:
		return string(s.Minimum)
	case s.Type == "integer" && s.Maximum != "":
		return fmt.Sprintf("number, %s to %s", s.Minimum, s.Maximum)
	case s.Type == "integer":
		return fmt.Sprintf("number, %s or more", s.Minimum)
	case s.Type == "boolean":
		return "`true`, `false`"
	case s.Pattern != "":
		return "text like `" + s.Pattern + "`"
	case s.Type == "string":
		return "text"
	}
	t.Fatalf("the reference has no words for %+v", s)
	return ""
}

// named is a definition in a cell: in words, or as a link to its section.
func named(t *testing.T, definition string) string {
	t.Helper()
	if words := inline[definition]; words != "" {
		return words
	}
	for _, s := range sections {
		if s.definition == definition {
			return fmt.Sprintf("[%s](#%s)", strings.ToLower(s.heading), strings.ReplaceAll(strings.ToLower(s.heading), " ", "-"))
		}
	}
	t.Fatalf("the reference has no section for %s", definition)
	return ""
}
