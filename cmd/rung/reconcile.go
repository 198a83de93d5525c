package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
	"github.com/rungbot/rung/internal/settings"
)

// reconcileCommand does once what serve does all the time.
type reconcileCommand struct {
	Repository []string      `arg:"" optional:"" help:"GitOps repositories, as owner/name; without any, all that the App is installed on."`
	Once       bool          `required:"" help:"Look once, work until nothing is due within some seconds, and end."`
	For        time.Duration `default:"5m" help:"End after this time at the latest; what is under way then goes on at the next run." placeholder:"DURATION"`
	JSON       bool          `help:"Print what became of each repository as JSON."`
}

// maxEvent bounds the file with the event, in bytes: GitHub's own bound.
const maxEvent = 25 << 20

// Help says how it differs from serve.
func (reconcileCommand) Help() string {
	return "For people without a server: a job runner runs it on a schedule and on events. It has rung serve's settings, but listens to nothing, needs no webhook secret and no data directory. In a GitHub Actions job it takes in the event that started the job. Exits 0 when every repository was looked at, 1 when a pass over one failed."
}

// Run works until everything is at rest.
func (c reconcileCommand) Run(ctx context.Context, io streams) error {
	if err := repositories(c.Repository...); err != nil {
		return err
	}
	s, err := settings.Load(io.env)
	if err != nil {
		return err
	}
	if c.For <= 0 {
		return fmt.Errorf("--for %s: must be more than nothing", c.For)
	}
	event, err := eventOf(io.env)
	if err != nil {
		return err
	}
	s.Listen = "none"
	a, err := app.New(ctx, s, app.Options{Log: logger(io, s.LogLevel, s.LogFormat), QueuePath: queue.InMemory, NoWebhooks: true, Only: c.Repository})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.For)
	defer cancel()
	failed := a.Rest(ctx, event)
	views, err := a.Seen(context.WithoutCancel(ctx))
	if err := errors.Join(err, a.Close()); err != nil {
		return err
	}
	if c.JSON {
		err = encode(io, views)
	} else {
		err = tellViews(io, views)
	}
	if failed != nil && !errors.Is(failed, app.ErrPassFailed) {
		return errors.Join(failed, err)
	}
	if failed != nil {
		return &exitError{code: 1, err: errors.Join(failed, err)}
	}
	return err
}

// eventOf reads the event that started a GitHub Actions job.
func eventOf(environ []string) (*app.Event, error) {
	name, path := variable(environ, "GITHUB_EVENT_NAME"), variable(environ, "GITHUB_EVENT_PATH")
	if name == "" || path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxEvent {
		err = fmt.Errorf("%s has more than %d bytes", path, maxEvent)
	}
	if err != nil {
		return nil, fmt.Errorf("GITHUB_EVENT_PATH: %w", err)
	}
	payload, err := os.ReadFile(path) // #nosec G304 -- the file that the runner names
	if err != nil {
		return nil, fmt.Errorf("GITHUB_EVENT_PATH: %w", err)
	}
	return &app.Event{Name: name, Payload: payload}, nil
}

// variable is the value of an environment variable; the last one counts.
func variable(environ []string, name string) (value string) {
	for _, pair := range environ {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			value = v
		}
	}
	return value
}

// tellViews says what became of each repository.
func tellViews(io streams, views []promotion.View) error {
	w := tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)
	for i := range views {
		v := &views[i]
		mode := string(v.Mode)
		if !v.Configured {
			mode = "not configured"
		}
		fmt.Fprintf(w, "%s, %s\n", v.Repository.FullName(), mode)
		for _, n := range v.Notes {
			fmt.Fprintln(w, " ", n)
		}
		for _, p := range v.Problems {
			fmt.Fprintln(w, " ", p)
		}
		for _, p := range v.Pairs {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", p.Pair.Environment, p.Pair.Artifact, p.Live.Version, p.Phase, p.Sentence)
		}
	}
	return w.Flush()
}
