package policy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	schemas "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rungbot/rung/internal/gate/policy"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/typedoc"
)

var update = flag.Bool("update", false, "write docs/facts.md and docs/facts.schema.json anew")

// golden holds a generated file to what stands in docs, or writes it.
func golden(t *testing.T, name string, want []byte) {
	t.Helper()
	typedoc.Hold(t, *update, filepath.Join(root, "docs", name), want, "go test ./internal/gate/policy -update")
}

// words are the doc comments of the vocabulary.
func words(t *testing.T) typedoc.Words {
	t.Helper()
	w, err := typedoc.Read(filepath.Join(root, "internal/promotion"))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func factsDocument(t *testing.T) []byte {
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
	b.WriteString(words(t).Tables(map[reflect.Type]bool{}, reflect.TypeFor[promotion.Facts]()))
	return b.Bytes()
}

func TestFactsDocumentIsFresh(t *testing.T) {
	golden(t, "facts.md", factsDocument(t))
}

func factsSchema(t *testing.T) []byte {
	s := words(t).Schema(&promotion.Facts{}, fmt.Sprintf("rung facts, version %d", promotion.FactsVersion))
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
