package main

import (
	"cmp"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/prose"
	"github.com/rungbot/rung/internal/typedoc"
)

//go:generate go test -run TestCommandsAreDocumented -update

var update = flag.Bool("update", false, "write docs/commands.md")

const commandsFile = "../../docs/commands.md"

// TestCommandsAreDocumented holds docs/commands.md to the command table, and to what
// /help answers.
func TestCommandsAreDocumented(t *testing.T) {
	all, everywhere, err := commandTable()
	if err != nil {
		t.Fatal(err)
	}
	typedoc.Hold(t, *update, commandsFile, []byte(commandsDocument(everywhere, all)), "go test ./cmd/rung -run TestCommandsAreDocumented -update")
}

func commandsDocument(everywhere []parameter, all []command) string {
	var b strings.Builder
	b.WriteString(`# Commands

Generated from the program's own table by ` + "`go test ./cmd/rung -run TestCommandsAreDocumented -update`" + `; do not edit.

## On a pull request

`)
	b.WriteString(prose.Help())
	b.WriteString(`
Whose words count, and when, is in [configuration.md](configuration.md#commands).

## On the command line

Every command exits with 0 when what it looked at holds, 1 when it does not, and 2 when it could not
be judged or was asked wrongly. What a program reads goes to standard output, what is said about it to
standard error. On a terminal, a command that takes longer than a second says there what it is doing
and how far it has come, in one line that is gone at the end; colours are for terminals too, unless
` + "`NO_COLOR`" + ` is set or ` + "`TERM`" + ` is ` + "`dumb`" + `. Pipes and ` + "`--json`" + ` get neither. The flags of all of them:

`)
	parameters(&b, nil, everywhere)
	b.WriteString("| command | |\n|---|---|\n")
	for _, c := range all {
		fmt.Fprintf(&b, "| [`rung %s`](#%s) | %s |\n", c.Name, strings.ReplaceAll("rung "+c.Name, " ", "-"), typedoc.Cell(c.Help))
	}
	b.WriteString("\n")
	for _, c := range all {
		fmt.Fprintf(&b, "### rung %s\n\n`%s`\n\n%s\n\n", c.Name, c.Usage, typedoc.Cell(c.Help))
		if c.Detail != "" {
			fmt.Fprintf(&b, "%s\n\n", typedoc.Cell(c.Detail))
		}
		parameters(&b, c.Args, c.Flags)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// parameters is a table of arguments and flags.
func parameters(b *strings.Builder, args, flags []parameter) {
	if len(args)+len(flags) == 0 {
		return
	}
	b.WriteString("| | without it | |\n|---|---|---|\n")
	row := func(name string, p parameter) {
		absent := ""
		switch {
		case !p.Optional:
			absent = "an error"
		case p.Default != "":
			absent = "`" + p.Default + "`"
		}
		help := typedoc.Cell(p.Help)
		if p.Repeats && !strings.Contains(help, "repeated") {
			help += " May be given more than once."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, absent, help)
	}
	for _, p := range args {
		row(cmp.Or(p.Placeholder, strings.ToUpper(p.Name)), p)
	}
	for _, p := range flags {
		name := "--" + p.Name
		if p.Placeholder != "" {
			name += "=" + p.Placeholder
		}
		if len(p.Enum) > 0 {
			name = "--" + p.Name + "=" + strings.Join(p.Enum, `\|`)
		}
		if p.Short != "" {
			name = "-" + p.Short + ", " + name
		}
		row(name, p)
	}
	b.WriteString("\n")
}
