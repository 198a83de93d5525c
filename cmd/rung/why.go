package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rungbot/rung/internal/api"
	"github.com/rungbot/rung/internal/api/client"
	"github.com/rungbot/rung/internal/local"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/prose"
)

// whyCommand explains one artifact in one environment.
type whyCommand struct {
	Artifact    string `arg:"" completes:"artifact" help:"Artifact, by its name in rung.yaml."`
	Environment string `arg:"" completes:"environment" help:"Environment, by its name in rung.yaml."`
	Repository  string `placeholder:"OWNER/NAME" completes:"repository" help:"The repository to ask a running rung about; without it that of the clone here, or the only one."`
	where
	JSON bool `help:"Print it as JSON, as GET /api/v1/repositories/OWNER/NAME/why answers."`
}

// Help says who is asked and what the codes mean.
func (whyCommand) Help() string {
	return "Says what holds an artifact in an environment, in the words of /why on a pull request." + whereHelp +
		" Exits 0 when nothing holds it, 1 when it waits, is held or unhealthy, and 2 when that could not be asked."
}

// Run prints the explanation.
func (c whyCommand) Run(ctx context.Context, io streams) error {
	var pair promotion.Pair
	var err error
	if pair.Artifact, err = promotion.ParseArtifact(c.Artifact); err != nil {
		return err
	}
	if pair.Environment, err = promotion.ParseEnvironment(c.Environment); err != nil {
		return err
	}
	service, err := c.service(io)
	if err != nil {
		return err
	}
	var seen *local.Seen
	var why api.Why
	if service == nil {
		if seen, err = c.look(ctx); err != nil {
			return err
		}
		why, err = api.Explain(version, seen.View, pair)
	} else {
		why, err = c.ask(ctx, service, pair)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = encode(io, why)
	} else {
		_, err = fmt.Fprintln(io.out, prose.Lines(why.Text, 1<<20))
		tellUnseen(io, why.Repository.Unseen)
	}
	if err != nil {
		return err
	}
	switch why.Pair.Phase {
	case promotion.PhaseIdle, promotion.PhaseVerifying, promotion.PhaseReady, promotion.PhaseRolledBack:
		return verified(seen, 0)
	}
	return verified(seen, 1)
}

func (c whyCommand) ask(ctx context.Context, service *client.Client, pair promotion.Pair) (api.Why, error) {
	name, err := named(ctx, service, c.Repository)
	if err != nil {
		return api.Why{}, err
	}
	why, err := service.Why(ctx, name, pair)
	var unknown *client.NotFoundError
	if errors.As(err, &unknown) {
		return why, fmt.Errorf("%s: %w", name, err)
	}
	return why, err
}
