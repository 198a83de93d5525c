package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"

	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
)

// terminal reports whether a stream is shown to a person as it is written.
func terminal(w io.Writer) bool {
	if shared, ok := w.(interface{ Unwrap() io.Writer }); ok {
		w = shared.Unwrap()
	}
	file, isFile := w.(*os.File)
	return isFile && isatty.IsTerminal(file.Fd())
}

// colour is one of the terminal's own, as a person has set it up.
type colour string

const (
	plainly colour = ""
	bold    colour = "1"
	red     colour = "31"
	green   colour = "32"
	yellow  colour = "33"
	cyan    colour = "36"
)

// colourful reports whether colours are shown on a stream: on terminals that know
// them, unless somebody set NO_COLOR.
func colourful(w io.Writer, env []string) bool {
	return terminal(w) && variable(env, "NO_COLOR") == "" && variable(env, "TERM") != "dumb"
}

// watched has a person see what a command that takes long is doing: where standard
// error is a terminal that can write a line over, and no program reads the answer. What
// the command writes to that terminal stands above the line. gone takes it away.
func watched(ctx context.Context, io streams, parsed *kong.Context) (context.Context, streams, func()) {
	name, _, _ := strings.Cut(parsed.Command(), " ")
	apart := slices.Contains([]string{"serve", "demo", "setup", "complete"}, name) // they tell by themselves, or have a shell to answer
	if apart || forPrograms(parsed) || !terminal(io.err) || variable(io.env, "TERM") == "dumb" {
		return ctx, io, func() {}
	}
	ctx, line := progress.Show(ctx, io.err)
	io.err = line.Writer(io.err)
	if terminal(io.out) {
		io.out = line.Writer(io.out)
	}
	return ctx, io, line.Stop
}

// forPrograms reports whether a program reads the answer.
func forPrograms(parsed *kong.Context) bool {
	return slices.ContainsFunc(parsed.Flags(), func(f *kong.Flag) bool {
		switch f.Name {
		case "json", "facts":
			return f.Set
		case "output":
			return f.Set && (f.Target.String() == "json" || f.Target.String() == "csv")
		}
		return false
	})
}

// phaseColours are for the eye alone: the word says the same.
var phaseColours = map[string]colour{
	promotion.PhaseIdle: green, promotion.PhaseReady: green, promotion.PhaseVerifying: cyan, promotion.PhaseWaiting: yellow, promotion.PhaseOpen: yellow,
	promotion.PhaseRolledBack: yellow, promotion.PhaseHeld: red, promotion.PhaseUnhealthy: red,
}

// cell is a text in a table.
type cell struct {
	text   string
	colour colour
}

// table lines cells up. Its zero value is ready.
type table struct{ rows [][]cell }

func (t *table) head(words ...string) {
	row := make([]cell, len(words))
	for i, w := range words {
		row[i] = cell{w, bold}
	}
	t.rows = append(t.rows, row)
}

func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

// write writes the table, every column as wide as it must be.
func (t *table) write(io streams, indent string) {
	colours := colourful(io.out, io.env)
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range t.rows {
		row = slices.Clone(row)
		for len(row) > 0 && row[len(row)-1].text == "" {
			row = row[:len(row)-1]
		}
		line := indent
		for i, c := range row {
			text := c.text
			if i < len(row)-1 {
				text += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2)
			}
			if colours && c.colour != plainly {
				text = "\x1b[" + string(c.colour) + "m" + text + "\x1b[0m"
			}
			line += text
		}
		fmt.Fprintln(io.out, line)
	}
}
