package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rungbot/rung/internal/api"
	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/decide"
	"github.com/rungbot/rung/internal/local"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/prose"
	"github.com/rungbot/rung/internal/settings"
)

// planCommand says what would be done.
type planCommand struct {
	Repository string `arg:"" optional:"" completes:"repository" help:"GitOps repository, as OWNER/NAME; without it the clone here, or the only one that the rung at RUNG_URL knows."`
	Facts      bool   `help:"Print the facts documents that gates and policies see, as JSON; a running rung does not tell them."`
	where
	JSON bool `help:"Print the plan as JSON, as GET /api/v1/repositories/OWNER/NAME answers."`
}

// Help says what it touches.
func (planCommand) Help() string {
	return "Says what rung does next with each artifact, and why; nothing is written. Where RUNG_URL is set it asks the rung there. Without RUNG_URL, a repository's name makes it look at GitHub itself, with the settings of rung serve. Without a name, or with --local, it reads a clone, as old as its last git fetch, and says what it could not see." +
		" Exits 0 when the plan could be made, 1 when the configuration has errors or the last look failed, and 2 when there is no plan."
}

// Run prints the plan.
func (c planCommand) Run(ctx context.Context, io streams) error {
	service, err := c.service(io)
	if err != nil {
		return err
	}
	var seen *local.Seen
	var one api.One
	switch {
	case service != nil && c.Facts:
		return errors.New("a running rung does not tell its facts: add --local for those of a clone, or unset RUNG_URL and have the settings of rung serve")
	case service != nil:
		name, err := named(ctx, service, c.Repository)
		if err != nil {
			return err
		}
		if one, err = service.One(ctx, name); err != nil {
			return err
		}
	case c.Repository != "" && (c.Local || c.Path != ""):
		return errors.New("a clone is one repository: name it with --path, or leave --local")
	case c.Repository != "":
		if seen, err = inspect(ctx, io, c.Repository); err != nil {
			return err
		}
		one = api.Describe(version, seen.View)
	default:
		if seen, err = c.look(ctx); err != nil {
			return err
		}
		one = api.Describe(version, seen.View)
	}
	switch {
	case c.Facts:
		err = encode(io, append([]*promotion.Facts{}, seen.Facts...))
	case c.JSON:
		err = encode(io, one)
	default:
		tellPlan(io, &one.Repository)
	}
	if err != nil {
		return err
	}
	code := 0
	if r := &one.Repository; r.Error != "" || len(r.Problems) > 0 {
		code = 1
	}
	return verified(seen, code)
}

// inspect looks at GitHub as rung serve would.
func inspect(ctx context.Context, io streams, name string) (*local.Seen, error) {
	if err := repositories(name); err != nil {
		return nil, err
	}
	s, err := settings.Load(io.env)
	if err != nil {
		return nil, err
	}
	snapshot, plan, err := app.Inspect(ctx, s, name, app.Options{Log: logger(io, s.LogLevel, s.LogFormat)})
	if err != nil {
		return nil, err
	}
	seen := &local.Seen{View: decide.View(snapshot, &plan), Plan: plan}
	seen.View.Would = decide.Would(&plan)
	for _, p := range plan.Pairs {
		if p.Facts != nil {
			seen.Facts = append(seen.Facts, p.Facts)
		}
	}
	return seen, nil
}

// tellPlan is the plan for people.
func tellPlan(io streams, r *api.Repository) {
	tellHead(io, r)
	var t table
	t.head("ENVIRONMENT", "ARTIFACT", "LIVE", "PHASE", "WANTED", "WHY")
	for i := range r.Pairs {
		p := &r.Pairs[i]
		why := ""
		if p.Sentence != "" {
			why = prose.Plain(p.Sentence, 600)
		}
		t.row(cell{text: word(p.Environment)}, cell{text: word(p.Artifact)}, cell{text: liveWords(p.Live)}, cell{word(p.Phase), phaseColours[p.Phase]}, cell{text: targetWords(p)}, cell{text: why})
	}
	if len(r.Pairs) > 0 {
		t.write(io, "")
	}
	for _, w := range r.Would {
		fmt.Fprintln(io.out, "would", prose.Plain(w, 300))
	}
	if next := nextWords(r.NextAt); next != "" && len(r.Would) == 0 && len(r.Unseen) == 0 {
		fmt.Fprintln(io.out, next)
	}
	tellUnseen(io, r.Unseen)
}

func encode(io streams, v any) error {
	enc := json.NewEncoder(io.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
