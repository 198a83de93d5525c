package settings

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/typedoc"
)

//go:generate go test -run TestDocsAreCurrent -update

var update = flag.Bool("update", false, "write docs/settings.md")

const docsFile = "../../docs/settings.md"

const docsHead = `# Settings

Environment variables of the process, read once at its start. All problems are told at once; an unknown ` + "`RUNG_*`" + ` variable is an error. What a
GitOps repository says for itself stands in its rung.yaml: [configuration.md](configuration.md).

A secret comes from its variable or from the file that the variable with ` + "`_FILE`" + ` behind it names, never from both. Such a file belongs to the
process's user alone (mode 0600 or 0400) and never lies in the data directory. Where files can't have such modes, as in some mounted volumes, pass the
variable itself. Durations are written as ` + "`30s`, `10m` or `1h`" + `.

` + "`rung serve`" + ` needs ` + "`RUNG_GITHUB_APP_ID`, `RUNG_GITHUB_PRIVATE_KEY`, `RUNG_GITHUB_WEBHOOK_SECRETS` and `RUNG_SIGNING_KEY`" + ` (or ` + "`RUNG_SIGNING_KEY_AGENT`" + `); everything else
has a default. What the keys are for: [keys.md](keys.md).

Every command that needs settings takes ` + "`--settings FILE`" + ` as well: a file of ` + "`NAME=VALUE`" + ` lines with values as they are or in single quotes, such as the
` + "`rung.env`" + ` of ` + "`rung setup`" + `. It is what a shell, systemd and compose read as well. What is set in the environment goes before it.

<!-- Generated from internal/settings/settings.go by go generate ./internal/settings -->

`

// generateTable makes the table of all settings from the struct and its doc
// comments.
func generateTable(t *testing.T) []byte {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "settings.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == "Settings" {
			for _, f := range spec.Type.(*ast.StructType).Fields.List {
				comments[f.Names[0].Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			}
		}
		return true
	})
	var out bytes.Buffer
	out.WriteString("| variable | default | meaning |\n| --- | --- | --- |\n")
	typ := reflect.TypeFor[Settings]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if comments[f.Name] == "" {
			t.Errorf("%s has no doc comment", f.Name)
		}
		name := "`" + f.Tag.Get("env") + "`"
		if f.Tag.Get("file") == "true" {
			name += " or `" + f.Tag.Get("env") + "_FILE`"
		}
		byDefault := "–"
		if d := f.Tag.Get("envDefault"); d != "" {
			byDefault = "`" + d + "`"
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", name, byDefault, comments[f.Name])
	}
	return out.Bytes()
}

func TestDocsAreCurrent(t *testing.T) {
	typedoc.Hold(t, *update, docsFile, append([]byte(docsHead), generateTable(t)...), "go generate ./internal/settings")
}
