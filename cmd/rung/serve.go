package main

import (
	"context"
	"runtime/debug"

	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/settings"
)

// servePercent is how much the heap may grow between two collections, in percent of
// what is in use.
const servePercent = 40

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
	if variable(io.env, "GOGC") == "" {
		// A service rests nearly always: what it holds matters more than how often
		// it collects.
		debug.SetGCPercent(servePercent)
	}
	a, err := app.New(ctx, s, app.Options{Log: logger(io, s.LogLevel, s.LogFormat)})
	if err != nil {
		return err
	}
	err = a.Run(ctx)
	if closed := a.Close(); err == nil {
		err = closed
	}
	return err
}
