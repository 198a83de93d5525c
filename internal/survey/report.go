package survey

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/rungbot/rung/internal/prose"
)

// maxShown bounds each list for people; JSON has all of it.
const maxShown = 40

// WriteText says what was found, for a terminal.
func (s *Survey) WriteText(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s and %s, in %s\n\n", count(len(s.Environments), "environment", "environments"), count(len(s.Artifacts), "artifact", "artifacts"), count(s.Manifests, "manifest", "manifests"))
	if err := s.writePlan(b); err != nil {
		return err
	}
	s.writeMarks(b)
	guesses := make([]string, len(s.Guesses))
	for i, g := range s.Guesses {
		guesses[i] = g.Text + "; " + g.Check
	}
	section(b, "Guesses, to be checked", guesses)
	notes := make([]string, len(s.Notes))
	for i, n := range s.Notes {
		notes[i] = n.String()
	}
	section(b, "Seen, and not understood or left alone", notes)
	section(b, "rung.yaml lacks", s.Missing)
	if s.Additions != "" {
		fmt.Fprintf(b, "To be added to rung.yaml, where it should climb:\n\n%s\n", indented(s.Additions))
	}
	if s.State == New {
		section(b, "Rules for the branches", s.Rules)
		if len(s.CodeOwners) > 0 {
			fmt.Fprintf(b, "Lines for CODEOWNERS, so that what decides about promotions has owners:\n\n%s\n", indented(strings.Join(s.CodeOwners, "\n")))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writePlan is the table of what rung would write.
func (s *Survey) writePlan(b *strings.Builder) error {
	if len(s.Places) == 0 {
		return nil
	}
	b.WriteString("What a promotion would write, and what stands there now:\n\n")
	w := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ENVIRONMENT\tARTIFACT\tVERSION\tPINNED\tFILE\tPLACE")
	for i, p := range s.Places {
		if i == 10*maxShown {
			fmt.Fprintf(w, "… and %d more: --json has all\n", len(s.Places)-i)
			break
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s:%d\t%s\n", p.Environment, p.Artifact, p.now(), p.pin(), p.Path, p.Line, p.Locator)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	b.WriteString("\n")
	return nil
}

// now is what stands at a place.
func (p *Place) now() string {
	if p.Version == "" {
		return p.Digest.Short()
	}
	return string(p.Version)
}

// pin says whether a digest stands there.
func (p *Place) pin() string {
	switch {
	case p.Pinned:
		return "yes"
	case p.Keeps:
		return "no, a marked version stays as it is"
	}
	return "no, the next promotion pins it"
}

func (s *Survey) writeMarks(b *strings.Builder) {
	if len(s.Marks) == 0 {
		return
	}
	lines := make([]string, len(s.Marks))
	for i, m := range s.Marks {
		lines[i] = fmt.Sprintf("%s:%d: %s of %s in %s: end the line with `# rung: %s`", m.Path, m.Line, m.Version, m.Artifact, m.Environment, m.Artifact)
	}
	section(b, "Versions without an image beside them, which rung finds only by a mark (rung init --mark writes them)", lines)
}

// section is a title with its lines.
func section(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "%s:\n", title)
	for i, line := range lines {
		if i == maxShown {
			fmt.Fprintf(b, "  … and %d more: --json has all\n", len(lines)-i)
			break
		}
		fmt.Fprintf(b, "  - %s\n", line)
	}
	b.WriteString("\n")
}

func indented(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ") + "\n"
}

// Body is the survey as a pull request's description. marked says that the files
// carry the marks already.
func (s *Survey) Body(marked bool) string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "This adds a `rung.yaml`, by which rung would bring new versions of %s up %s. It is in mode `observe`: merged, rung says what it would do, and writes nothing but its check.\n\n",
		count(len(s.Artifacts), "artifact", "artifacts"), count(len(s.Environments), "environment", "environments"))
	fmt.Fprintf(b, "`%s` beside it lets editors check and complete it without a network.\n\n", SchemaFile)
	b.WriteString("### What a promotion would write\n\n| Environment | Artifact | Now | Pinned | File | Place |\n|---|---|---|---|---|---|\n")
	for i, p := range s.Places {
		if i == 2*maxShown {
			fmt.Fprintf(b, "\n… and %d more.\n", len(s.Places)-i)
			break
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", p.Environment, p.Artifact, prose.Code(p.now(), 80), p.pin(), prose.Code(fmt.Sprintf("%s:%d", p.Path, p.Line), 256), prose.Code(p.Locator, 200))
	}
	b.WriteString("\n")
	s.bodyMarks(b, marked)
	guesses := make([]string, len(s.Guesses))
	for i, g := range s.Guesses {
		guesses[i] = "- [ ] " + prose.Text(g.Text, 600) + ": " + prose.Text(g.Check, 300)
	}
	chapter(b, "Guesses, to be checked before this is merged", guesses)
	notes := make([]string, len(s.Notes))
	for i, n := range s.Notes {
		at := ""
		if n.Path != "" {
			at = prose.Code(strings.TrimSuffix(n.String(), ": "+n.Text), 256) + " "
		}
		notes[i] = "- " + at + prose.Text(n.Text, 600)
	}
	chapter(b, "Seen, and not understood or left alone", notes)
	rules := make([]string, len(s.Rules))
	for i, r := range s.Rules {
		rules[i] = "- [ ] " + prose.Text(r, 600)
	}
	chapter(b, "Rules for the branches", rules)
	if len(s.CodeOwners) > 0 {
		fmt.Fprintf(b, "### Lines for CODEOWNERS\n\nWhat decides about promotions should have owners:\n\n```\n%s\n```\n\n", strings.ReplaceAll(strings.Join(s.CodeOwners, "\n"), "```", "'''"))
	}
	b.WriteString("Once this is merged, change `mode` to `propose` or `merge` when the board shows what you expect.\n")
	return b.String()
}

func (s *Survey) bodyMarks(b *strings.Builder, marked bool) {
	if marked {
		b.WriteString("Lines with a version and no image beside it got the comment `# rung: NAME`, by which rung finds them; nothing else in these files changes.\n\n")
	}
	lines := make([]string, len(s.Marks))
	for i, m := range s.Marks {
		lines[i] = fmt.Sprintf("- %s %s in %s", prose.Code(fmt.Sprintf("%s:%d", m.Path, m.Line), 256), m.Artifact, m.Environment)
	}
	chapter(b, "Versions that rung finds only by a comment `# rung: NAME` at their line's end", lines)
}

func chapter(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "### %s\n\n", title)
	for i, line := range lines {
		if i == maxShown {
			fmt.Fprintf(b, "- … and %d more: `rung init --json` has all\n", len(lines)-i)
			break
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("\n")
}
