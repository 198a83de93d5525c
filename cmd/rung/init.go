package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rungbot/rung"
	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/survey"
	"github.com/rungbot/rung/internal/survey/checkout"
)

// initCommand writes a rung.yaml for a repository that has none.
type initCommand struct {
	Path        string   `arg:"" optional:"" default:"." type:"path" help:"Checkout of a GitOps repository."`
	Under       []string `placeholder:"PATH" help:"Look for environments in these directories and files alone; from the top of the repository. May be repeated."`
	Mark        bool     `help:"Write the comment # rung: NAME behind versions beside which no image stands, so that rung finds them."`
	Print       bool     `help:"Print the rung.yaml, and write nothing." xor:"what"`
	PullRequest string   `placeholder:"OWNER/NAME" help:"Read that repository at GitHub instead of a checkout, and open a pull request there, with the settings of rung serve." xor:"what"`
	JSON        bool     `help:"Print what was found as JSON, as docs/init.schema.json says."`
}

// Help says what is written when.
func (initCommand) Help() string {
	return "Reads the manifests that git tracks, tells environments, artifacts and their order from names, and writes a commented rung.yaml in mode observe, with its schema beside it. It says what a promotion would write, what it guessed, and what it did not understand. An existing rung.yaml is never changed: it says what that lacks, and exits 1. Where it can't tell, it writes nothing, says why, and exits 2."
}

// found is what came of it, in JSON: a promise.
type found struct {
	*survey.Survey
	// Wrote are the files that were written.
	Wrote []string `json:"wrote"`
	// PullRequest is the pull request's address, where there is one.
	PullRequest string `json:"pullRequest,omitempty"`
}

// Run surveys, writes and tells.
func (c initCommand) Run(ctx context.Context, io streams) error {
	for i, u := range c.Under {
		c.Under[i] = path.Clean(strings.ReplaceAll(u, "\\", "/"))
		if !fs.ValidPath(c.Under[i]) || c.Under[i] == "." {
			return fmt.Errorf("--under %q: name a directory or file from the top of the repository, such as environments", u)
		}
	}
	if c.PullRequest != "" {
		return c.propose(ctx, io)
	}
	tree, err := checkout.Read(ctx, c.Path, c.Under)
	if err != nil {
		return err
	}
	progress.Begin(ctx, "telling environments and artifacts apart", "", 0)
	s, edits, err := survey.LookAndMark(tree, c.Mark && !c.Print)
	if err != nil {
		return err
	}
	if c.Print {
		fmt.Fprint(io.out, s.Configuration, s.Additions)
		return c.verdict(s)
	}
	files, fresh, note := c.files(&tree, s, edits)
	if err := checkout.Write(c.Path, files, fresh); err != nil {
		return err
	}
	out := found{Survey: s, Wrote: []string{}}
	for p := range files {
		out.Wrote = append(out.Wrote, p)
	}
	slices.Sort(out.Wrote)
	if err := c.tell(io, &out, note); err != nil {
		return err
	}
	return c.verdict(s)
}

// files are what is to be written: the marks, and rung.yaml with its schema where they
// are missing.
func (c initCommand) files(tree *survey.Tree, s *survey.Survey, edits map[string][]byte) (files map[string][]byte, fresh []string, note string) {
	files = map[string][]byte{}
	for p, data := range edits {
		files[p] = data
	}
	var config, schema []byte
	for _, f := range tree.Files {
		switch f.Path {
		case pipeline.RootFile:
			config = f.Data
		case survey.SchemaFile:
			schema = f.Data
		}
	}
	if s.State == survey.New {
		config = []byte(s.Configuration)
		files[pipeline.RootFile], fresh = config, append(fresh, pipeline.RootFile)
	}
	switch {
	case !bytes.Contains(config, []byte("$schema="+survey.SchemaFile)) || bytes.Equal(schema, rung.Schema):
	case schema == nil:
		files[survey.SchemaFile], fresh = rung.Schema, append(fresh, survey.SchemaFile)
	default:
		note = survey.SchemaFile + " is another version's: delete it, and rung init writes this one's."
	}
	return files, fresh, note
}

// tell prints what was found and what came of it.
func (c initCommand) tell(io streams, f *found, note string) error {
	if c.JSON {
		return encode(io, f)
	}
	if err := f.WriteText(io.out); err != nil {
		return err
	}
	if len(f.Wrote) > 0 {
		fmt.Fprintf(io.out, "Wrote %s.\n", strings.Join(f.Wrote, ", "))
	}
	switch {
	case f.PullRequest != "":
	case f.State == survey.New:
		fmt.Fprintln(io.out, "Next: read rung.yaml, check it with rung validate, and commit it to the base branch.")
	case f.State == survey.Incomplete:
		fmt.Fprintln(io.out, "rung.yaml was left as it is.")
	case len(f.Wrote) == 0:
		fmt.Fprintln(io.out, "rung.yaml has everything that was found: nothing was changed.")
	}
	if note != "" {
		fmt.Fprintln(io.out, note)
	}
	return nil
}

// verdict is the exit code: 1 where rung.yaml lacks something.
func (c initCommand) verdict(s *survey.Survey) error {
	if s.State == survey.Incomplete {
		return doesNotHold
	}
	return nil
}

// propose opens the pull request.
func (c initCommand) propose(ctx context.Context, io streams) error {
	if err := repositories(c.PullRequest); err != nil {
		return err
	}
	s, err := settings.Load(io.env)
	if err != nil {
		return err
	}
	done, err := app.Introduce(ctx, s, c.PullRequest, app.Options{Log: logger(io, s.LogLevel, s.LogFormat)}, app.Introduction{Under: c.Under, Mark: c.Mark, Schema: rung.Schema})
	if err != nil {
		return err
	}
	out := found{Survey: done.Survey, Wrote: []string{}}
	if done.Number > 0 {
		out.PullRequest = done.URL
	}
	if err := c.tell(io, &out, ""); err != nil {
		return err
	}
	if done.Number > 0 && !c.JSON {
		fmt.Fprintf(io.out, "The pull request with rung.yaml: %s\nNext: read and merge it.\n", done.URL)
	}
	return c.verdict(done.Survey)
}
