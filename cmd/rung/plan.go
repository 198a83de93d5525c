package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/settings"
)

// planCommand observes a repository and says what would be done.
type planCommand struct {
	Repository string `arg:"" help:"GitOps repository, as owner/name."`
	Facts      bool   `help:"Print the facts documents that gates and policies see, as JSON."`
	JSON       bool   `help:"Print the plan as JSON."`
}

// Help says what it touches.
func (planCommand) Help() string {
	return "Reads the repository as rung serve would, with the same settings, and writes nothing."
}

// Run prints the plan.
func (c planCommand) Run(ctx context.Context, io streams) error {
	s, err := settings.Load(io.env)
	if err != nil {
		return err
	}
	snapshot, plan, err := app.Inspect(ctx, s, c.Repository, app.Options{Log: logger(io.err, s.LogLevel, s.LogFormat)})
	if err != nil {
		return err
	}
	switch {
	case c.Facts:
		facts := []*promotion.Facts{}
		for _, p := range plan.Pairs {
			if p.Facts != nil {
				facts = append(facts, p.Facts)
			}
		}
		return encode(io, facts)
	case c.JSON:
		return encode(io, plan)
	}
	fmt.Fprintf(io.out, "%s at %s, mode %s\n", c.Repository, snapshot.Base.Head.Short(), snapshot.Pipeline.Mode)
	for _, p := range snapshot.Problems {
		fmt.Fprintln(io.out, p)
	}
	for _, n := range plan.Notes {
		fmt.Fprintln(io.out, n)
	}
	w := tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ENVIRONMENT\tARTIFACT\tLIVE\tPHASE\tWANTED\tWHY")
	for _, p := range plan.Pairs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Pair.Environment, p.Pair.Artifact, p.Live.Version, p.Phase, p.Target.Version, p.Sentence)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range plan.Records {
		fmt.Fprintf(io.out, "would record: %s\n", title(r))
	}
	for _, o := range plan.Opens {
		fmt.Fprintf(io.out, "would open: %s\n", o.Title)
	}
	for _, m := range plan.Merges {
		fmt.Fprintf(io.out, "would merge: %s\n", m.Title)
	}
	return nil
}

func title(r promotion.Record) string {
	if r.Artifact == nil {
		return string(r.Kind)
	}
	return fmt.Sprintf("%s %s %s %s", r.Kind, r.Environment, r.Artifact.Name, r.Artifact.Version)
}

func encode(io streams, v any) error {
	enc := json.NewEncoder(io.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
