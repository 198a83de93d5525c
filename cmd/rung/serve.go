package main

import (
	"context"

	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/settings"
)

// serveCommand runs the service until it is told to stop.
type serveCommand struct{}

// Help points at the settings.
func (serveCommand) Help() string {
	return "Settings are environment variables; docs/settings.md lists them all. It needs no git binary, no work tree and no database server."
}

// Run starts the service and blocks.
func (serveCommand) Run(ctx context.Context, io streams) error {
	s, err := settings.Load(io.env)
	if err != nil {
		return err
	}
	if err := s.CheckServe(); err != nil {
		return err
	}
	a, err := app.New(ctx, s, app.Options{Log: logger(io.err, s.LogLevel, s.LogFormat)})
	if err != nil {
		return err
	}
	err = a.Run(ctx)
	if closed := a.Close(); err == nil {
		err = closed
	}
	return err
}
