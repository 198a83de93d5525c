package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // TZ names the reader's zone, also where the machine knows none

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/audit/report"
	"github.com/rungbot/rung/internal/promotion"
)

// historyCommand tells the story of an artifact.
type historyCommand struct {
	Artifact    string `arg:"" help:"Artifact, by its name in rung.yaml."`
	Environment string `arg:"" optional:"" help:"One environment; without it, all."`
	Path        string `default:"." type:"path" help:"Local clone, bare or not, with the branch rung/ledger, or a file that rung audit --bundle wrote."`
	Root        string `placeholder:"FINGERPRINT" help:"Fingerprint (SHA256:…) of the key that must have begun the ledger."`
	JSON        bool   `help:"Print it as JSON."`
}

// Help says what it reads and what the codes mean.
func (historyCommand) Help() string {
	return "Reads the clone alone and verifies it on the way: exits 1 when the history does not hold, and 2 when it could not be judged whole."
}

// Run prints the history.
func (c historyCommand) Run(ctx context.Context, io streams) error {
	artifact, err := promotion.ParseArtifact(c.Artifact)
	if err != nil {
		return err
	}
	var env promotion.Environment
	if c.Environment != "" {
		if env, err = promotion.ParseEnvironment(c.Environment); err != nil {
			return err
		}
	}
	r, verified, err := read(ctx, c.Path, c.Root)
	if err != nil {
		return err
	}
	h := r.History(artifact, env, verified)
	if c.JSON {
		err = report.WriteJSON(io.out, h)
	} else {
		err = h.WriteText(io.out, time.Local)
	}
	return verdict(verified, err)
}

// auditCommand is the document for an auditor.
type auditCommand struct {
	Environment string `arg:"" optional:"" help:"Environment; with --bundle, which is of all of them, the PATH stands here."`
	Path        string `arg:"" optional:"" help:"Local clone, bare or not, with the branch rung/ledger, or a file that --bundle wrote; the current directory without it."`
	Bundle      string `type:"path" placeholder:"FILE" help:"Write one self-contained archive of the evidence of all environments: both branches as a git bundle, the trust root, and reports. rung verify FILE checks it, offline, years later."`
	Since       string `placeholder:"WHEN" help:"Where the period begins: a day (2026-01-31), a time (RFC 3339), or how far back (90d, 12w); without it, at the beginning."`
	Until       string `placeholder:"WHEN" help:"Where it ends, not included; without it, now."`
	Output      string `short:"o" enum:"text,json,csv,html" default:"text" help:"Form: text, json, csv or html."`
	Root        string `placeholder:"FINGERPRINT" help:"Fingerprint (SHA256:…) of the key that must have begun the ledger."`
}

// Help says what it reads and what the codes mean.
func (auditCommand) Help() string {
	return "Says who released what, when, why, on what evidence and with whose approval, and what is missing. Reads the clone alone, and verifies all of it: exits 1 when the history does not hold, and 2 when it could not be judged whole."
}

// Run prints the document.
func (c auditCommand) Run(ctx context.Context, io streams) error {
	if c.Bundle != "" {
		return c.bundle(ctx, io)
	}
	if c.Environment == "" {
		return errors.New("name an environment: rung audit ENVIRONMENT [PATH], or rung audit --bundle FILE [PATH] for the evidence of all of them")
	}
	env, err := promotion.ParseEnvironment(c.Environment)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second).Add(time.Second) // the end is not included
	var since time.Time
	until := now
	if c.Since != "" {
		if since, err = report.ParseSince(c.Since, now); err != nil {
			return fmt.Errorf("--since: %w", err)
		}
	}
	if c.Until != "" {
		if until, err = report.ParseSince(c.Until, now); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
	}
	if !since.Before(until) {
		return errors.New("the period is empty: --since must be before --until")
	}
	r, verified, err := read(ctx, cmp.Or(c.Path, "."), c.Root)
	if err != nil {
		return err
	}
	if !r.Knows(env) && verified.OK {
		return fmt.Errorf("nothing was ever released in an environment %s; there are: %s", env, r.Environments())
	}
	a := r.Audit(env, since, until, verified)
	switch c.Output {
	case "json":
		err = report.WriteJSON(io.out, a)
	case "csv":
		err = a.WriteCSV(io.out)
	case "html":
		err = a.WriteHTML(io.out)
	default:
		err = a.WriteText(io.out, time.Local)
	}
	return verdict(verified, err)
}

// bundle writes the archive.
func (c auditCommand) bundle(ctx context.Context, io streams) error {
	if c.Path != "" || c.Since != "" || c.Until != "" || c.Output != "text" {
		return errors.New("a bundle holds all environments and all of their time: rung audit --bundle FILE [PATH]")
	}
	return writeBundle(ctx, io, cmp.Or(c.Environment, "."), c.Bundle, c.Root)
}

// read verifies a clone, or a file that --bundle wrote, and collects its records.
func read(ctx context.Context, path, root string) (*report.Reader, *audit.Report, error) {
	var r report.Reader
	verified, err := judge(ctx, path, audit.Options{Root: root, Each: r.Read})
	if err != nil {
		return nil, nil, err
	}
	if verified.Ledger.Ref == "" {
		return nil, nil, errors.New("there is no ledger in this clone: git fetch origin rung/ledger:refs/remotes/origin/rung/ledger")
	}
	return &r, &verified, nil
}

// verdict is the exit code of a document that was printed.
func verdict(verified *audit.Report, err error) error {
	if err != nil {
		return err
	}
	if code := verified.ExitCode(); code != 0 {
		return &exitError{code: code, err: errors.New("the history does not hold, or could not be judged whole: rung verify says what was found")}
	}
	return nil
}
