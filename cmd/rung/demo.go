package main

import (
	"context"
	"errors"

	"github.com/rungbot/rung/internal/demo"
)

// demoCommand plays rung on an embedded GitHub.
type demoCommand struct {
	Auto  bool   `help:"Play the people's part as well, check the end, and exit 1 if anything differs." xor:"how"`
	World bool   `help:"Serve everything but rung, and print the environment with which rung serve joins." xor:"how"`
	JSON  bool   `help:"Print one JSON object a step; with --auto the last one is the summary."`
	Dir   string `help:"Keep everything in DIR, with the repository at DIR/github/acme/environments.git; otherwise a temporary directory is removed at the end." placeholder:"DIR"`
	Port  int    `help:"Listen on this port of loopback (the board) and the three after it; free ones without it." placeholder:"PORT"`
	Seed  uint64 `help:"Vary the images; the same seed gives the same digests. Random without it." placeholder:"N"`
}

// Help says what it needs and what it takes on standard input.
func (demoCommand) Help() string {
	return "Needs git 2.38 or newer, and ssh-keygen for the check of --auto. Nothing leaves this machine. Without --auto it runs until it is interrupted, and takes these words on standard input:\n\n" + demo.Help
}

// Run exits 1 when the check at the end of --auto finds a difference.
func (c demoCommand) Run(ctx context.Context, io streams) error {
	show := demo.Show{Options: demo.Options{Dir: c.Dir, Port: c.Port, Seed: c.Seed}, Out: io.out, JSON: c.JSON, In: io.in}
	switch {
	case c.World:
		return show.Serve(ctx)
	case c.Auto:
		sum, err := show.Auto(ctx)
		if err == nil && !sum.OK {
			return doesNotHold
		}
		return err
	}
	if err := show.Watch(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
