package doctor

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"testing"

	schemas "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rungbot/rung/internal/typedoc"
)

//go:generate go test -run TestDocumentsAreCurrent -update

var update = flag.Bool("update", false, "write docs/doctor.md and docs/doctor.schema.json")

const (
	docsFile   = "../../docs/doctor.md"
	schemaFile = "../../docs/doctor.schema.json"
)

const docsHead = `# rung doctor

` + "```usage\nrung doctor [OWNER/NAME ...] [--production] [--json]\n```" + `

looks at this machine, at GitHub, at the App and at the GitOps repositories, with the settings of ` + "`rung serve`" + `, and says line by line what holds, what
does not, and what to do. It changes nothing. Without a name it looks at every repository that has a rung.yaml, at most twenty.

A line is ` + "`ok`" + `, a ` + "`warning`" + ` (rung works, and something is worse than it should be) or a ` + "`failure`" + ` (rung does not work, in whole or in part). What
can't be seen is never ok: it is a failure or a warning that says why, or, where something before it failed already, named at the end as not judged.

Exit codes: 0 nothing fails, 1 something does, 2 nothing that was seen fails, but something that rung needs could not be seen (or the command line is wrong).
` + "`--json`" + ` prints the report in the form of [doctor.schema.json](doctor.schema.json); the ids below and that form are promises.

` + "`rung serve`" + ` takes the same look by itself when it has started, and every hour: it logs what does not hold, and the board shows the last look and its age at
` + "`/doctor`" + `. It leaves out what is marked *closely* below, because that costs much to see, and looks at no more than twenty repositories.

When GitHub refuses rung a write for lack of a permission, that is also said on the pull request that it hurts: in its check, or in a comment where checks are what is
missing.

<!-- Generated from internal/doctor/checks.go by go generate ./internal/doctor -->
`

func document() []byte {
	var b strings.Builder
	b.WriteString(docsHead)
	group := ""
	for _, c := range checks {
		if c.Group != group {
			group = c.Group
			fmt.Fprintf(&b, "\n## %s\n", group)
			if group == GroupProduction {
				b.WriteString("\nOnly with `--production`.\n")
			}
			b.WriteString("\n| line | for each | what it says | what to do |\n| --- | --- | --- | --- |\n")
		}
		about := c.About
		if c.Deep {
			about = strings.TrimPrefix(about+", *closely*", ", ")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s: %s | %s |\n", c.ID, about, c.Title, typedoc.Cell(c.Meaning), typedoc.Cell(c.Fix))
	}
	b.WriteString("\n## The ruleset of the ledger's branch\n\nFor the App number 1234, to be imported under Settings, Rules, New ruleset; the line `ledger-branch` prints it with your App's number:\n\n```json\n")
	b.WriteString(LedgerRuleset(1234) + "\n```\n")
	return []byte(b.String())
}

func schema(t *testing.T) []byte {
	t.Helper()
	words, err := typedoc.Read(".")
	if err != nil {
		t.Fatal(err)
	}
	s := words.Schema(Report{}, fmt.Sprintf("rung doctor --json, format %d", Format))
	line, ok := s.Definitions["Line"]
	if !ok {
		t.Fatal("the schema has no Line")
	}
	status, _ := line.Properties.Get("status")
	status.Enum = []any{string(OK), string(Warning), string(Failure)}
	id, _ := line.Properties.Get("id")
	for _, c := range checks {
		id.Enum = append(id.Enum, c.ID)
	}
	if whole, ok := s.Definitions["Report"].Properties.Get("status"); ok {
		whole.Enum = status.Enum
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func TestDocumentsAreCurrent(t *testing.T) {
	for path, want := range map[string][]byte{docsFile: document(), schemaFile: schema(t)} {
		typedoc.Hold(t, *update, path, want, "go generate ./internal/doctor")
	}
}

// TestReportsKeepTheirSchema: what is printed is what is promised, and something else
// is not.
func TestReportsKeepTheirSchema(t *testing.T) {
	compiled, err := schemas.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	valid := func(r any) error {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := schemas.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return compiled.Validate(doc)
	}
	for _, c := range cases {
		f := sound()
		c.change(f)
		if err := valid(Judge(f)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	wrong := Judge(sound())
	wrong.Lines[0].Status = "fine"
	if valid(wrong) == nil {
		t.Error("a status that there is not is valid")
	}
	wrong.Lines[0].Status, wrong.Lines[0].ID = OK, "invented"
	if valid(wrong) == nil {
		t.Error("an id that there is not is valid")
	}
}
