package main

import (
	"cmp"
	"strings"

	"github.com/alecthomas/kong"
)

// command is one line of the command table: a command that can be run, with all
// that is said of it. The help, the shells' completion and docs/commands.md are made
// from it.
type command struct {
	// Name is its words, without rung: "keys rotate".
	Name string
	// Usage is how it is typed, from rung on.
	Usage string
	// Help is one line, Detail what its own help says beyond.
	Help, Detail string
	// Args are by their place, Flags in the order of its help.
	Args, Flags []parameter
}

// parameter is an argument or a flag.
type parameter struct {
	// Name is without dashes; Short is the flag's letter, or nothing.
	Name, Short string
	// Placeholder stands for the value; empty for a flag without one.
	Placeholder string
	Help        string
	Default     string
	// Enum are the values that are taken, where there are only these.
	Enum []string
	// Optional is false for what must be given.
	Optional bool
	// Repeats is true for what may be given more than once.
	Repeats bool
	// Completes is what its value names: path, file, artifact, environment or
	// repository; empty for anything else.
	Completes string
}

// completes is the tag of a field that says what its value names.
const completes = "completes"

// commandTable is the command table: all commands that can be run, in the order of the
// help, and the flags that every one of them takes.
func commandTable() (all []command, everywhere []parameter, err error) {
	parser, err := kong.New(&commandLine{}, describe()...)
	if err != nil {
		return nil, nil, err
	}
	for _, leaf := range parser.Model.Leaves(true) {
		c := command{Name: strings.TrimPrefix(leaf.FullPath(), "rung "), Usage: "rung " + strings.TrimSpace(leaf.Summary()), Help: leaf.Help, Detail: leaf.Detail}
		for _, p := range leaf.Positional {
			c.Args = append(c.Args, parameterOf(p))
		}
		c.Flags = flagsOf(leaf.Flags)
		all = append(all, c)
	}
	return all, flagsOf(parser.Model.Flags), nil
}

func flagsOf(flags []*kong.Flag) []parameter {
	var all []parameter
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		p := parameterOf(f.Value)
		if f.Short != 0 {
			p.Short = string(f.Short)
		}
		if !f.IsBool() {
			p.Placeholder = strings.ToUpper(cmp.Or(f.PlaceHolder, f.Name))
		}
		all = append(all, p)
	}
	return all
}

func parameterOf(v *kong.Value) parameter {
	p := parameter{
		Name: v.Name, Help: v.Help, Default: v.Default, Optional: !v.Required, Repeats: v.IsSlice() || v.IsCumulative(),
		Placeholder: strings.ToUpper(cmp.Or(v.Tag.PlaceHolder, v.Name)), Completes: v.Tag.Get(completes),
	}
	if v.IsBool() {
		p.Placeholder, p.Default = "", ""
	}
	if v.Enum != "" {
		p.Enum = v.EnumSlice()
	}
	if p.Completes == "" && v.Tag.Type == "path" {
		p.Completes = "path"
	}
	return p
}

// describe are the options that every parser of the command line has.
func describe() []kong.Option {
	return []kong.Option{
		kong.Name("rung"),
		kong.Description("rung promotes artifact versions through the environments of a git repository, one pull request at a time, and back."),
		kong.Vars{"version": version},
	}
}
