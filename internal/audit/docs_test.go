package audit

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/typedoc"
)

var update = flag.Bool("update", false, "write docs/verify.md's table anew")

// TestDocs: docs/verify.md lists every code with what it means and does to the
// verdict. `make generate` writes the table.
func TestDocs(t *testing.T) {
	const name, begin, end = "../../docs/verify.md", "<!-- codes: generated from internal/audit/report.go by make generate -->\n", "<!-- /codes -->\n"
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, alsoFound := strings.Cut(rest, end)
	if !found || !alsoFound {
		t.Fatal("the marks of the table are gone")
	}
	want := before + begin + "\n" + codeTable(t) + "\n" + end + after
	typedoc.Hold(t, *update, name, []byte(want), "make generate")
}

// codeTable is a row for each code, as report.go declares it.
func codeTable(t *testing.T) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "report.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	classes := map[Class]string{Tampered: "1", Listed: "0, strictly 1", Unjudged: "2"}
	var b strings.Builder
	b.WriteString("| code | what was found | exit |\n| --- | --- | --- |\n")
	rows := 0
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if typ, ok := v.Type.(*ast.Ident); !ok || typ.Name != "Code" {
				continue
			}
			code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			_, text, ok := strings.Cut(strings.Join(strings.Fields(v.Doc.Text()), " "), v.Names[0].Name+": ")
			if !ok {
				t.Errorf("%s has no comment of the form \"%s: what was found\"", code, v.Names[0].Name)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", code, text, classes[Code(code).Class()])
			rows++
		}
	}
	if rows < 40 {
		t.Fatalf("only %d codes are seen", rows)
	}
	return b.String()
}
