package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	_ "time/tzdata" // TZ names the reader's zone, also where the machine knows none

	"github.com/rungbot/rung/internal/api/client"
	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/audit/report"
	"github.com/rungbot/rung/internal/promotion"
)

// historyCommand tells the story of an artifact.
type historyCommand struct {
	Artifact    string `arg:"" completes:"artifact" help:"Artifact, by its name in rung.yaml."`
	Environment string `arg:"" optional:"" completes:"environment" help:"One environment; without it, all."`
	Repository  string `placeholder:"OWNER/NAME" completes:"repository" help:"The repository to ask a running rung about; without it that of the clone here, or the only one."`
	Limit       int    `placeholder:"N" help:"How many releases of each environment to ask a running rung for, 100 at most; without it 20. A clone tells all."`
	Local       bool   `help:"Read a clone alone, also where RUNG_URL is set."`
	Path        string `type:"path" placeholder:"PATH" help:"Clone, bare or not, with the branch rung/ledger, or a file that rung audit --bundle wrote; the current directory without it. Implies --local."`
	Root        string `placeholder:"FINGERPRINT" help:"Fingerprint (SHA256:…) of the key that must have begun the clone's ledger."`
	JSON        bool   `help:"Print it as JSON, as docs/history.schema.json says."`
}

// Help says what it reads and what the codes mean.
func (historyCommand) Help() string {
	return "Asks the rung at RUNG_URL, which tells the newest releases. Without RUNG_URL, or with --local, it reads a clone whole, with the promotions that did not land, and verifies it on the way: exits 1 when the history does not hold, and 2 when it could not be judged whole, or nobody could be asked."
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
	service, err := where{Local: c.Local, Path: c.Path}.service(io)
	if err != nil {
		return err
	}
	if service != nil {
		return c.ask(ctx, io, service, promotion.Pair{Environment: env, Artifact: artifact})
	}
	if c.Limit != 0 || c.Repository != "" {
		return errors.New("--limit and --repository are for a running rung, and RUNG_URL names none, or --local was said: a clone tells all of its own")
	}
	r, verified, err := read(ctx, cmp.Or(c.Path, "."), c.Root)
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

// ask asks a running rung.
func (c historyCommand) ask(ctx context.Context, io streams, service *client.Client, pair promotion.Pair) error {
	if c.Root != "" {
		return errors.New("--root is for a clone: add --local")
	}
	if c.Limit < 0 {
		return errors.New("--limit: must be a number from 1 to 100")
	}
	name, err := named(ctx, service, c.Repository)
	if err != nil {
		return err
	}
	answer, err := service.History(ctx, name, pair, c.Limit)
	if err != nil {
		return err
	}
	if c.JSON {
		var indented bytes.Buffer
		if err := json.Indent(&indented, answer.History, "", "  "); err != nil {
			return err
		}
		_, err = fmt.Fprintln(io.out, indented.String())
		return err
	}
	var h report.History
	if err := json.Unmarshal(answer.History, &h); err != nil || h.Format != report.Format {
		return fmt.Errorf("the history is of a form that this rung does not read (%w): use the rung of the service's release, %s", cmp.Or(err, errors.New("format "+strconv.Itoa(h.Format))), word(answer.Rung))
	}
	if err := h.WriteText(io.out, time.Local); err != nil {
		return err
	}
	if answer.More {
		fmt.Fprintln(io.err, "rung: there are earlier releases: --limit, or all of them in a clone with --local")
	}
	fmt.Fprintln(io.err, "rung: what did not land is not told, and only these records were verified: rung history --local reads a clone whole")
	return nil
}

// auditCommand is the document for an auditor.
type auditCommand struct {
	Environment string `arg:"" optional:"" completes:"environment" help:"Environment; with --bundle, which is of all of them, the PATH stands here."`
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
