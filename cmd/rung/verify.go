package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/audit/bundle"
	"github.com/rungbot/rung/internal/audit/remote"
	"github.com/rungbot/rung/internal/audit/report"
	"github.com/rungbot/rung/internal/promotion"
)

// verifyCommand checks a clone's signed history.
type verifyCommand struct {
	Path   string `arg:"" optional:"" default:"." placeholder:"PATH|URL|FILE" help:"Local clone, bare or not, with the branch rung/ledger; the URL of a repository, which is fetched whole; or a file that rung audit --bundle wrote."`
	JSON   bool   `help:"Print the report as JSON."`
	Root   string `placeholder:"FINGERPRINT" help:"Fingerprint (SHA256:…) of the key that must have begun the ledger."`
	Strict bool   `help:"Exit 1 also for what is only listed: pending records and overrides."`
	Base   string `placeholder:"BRANCH" help:"Base branch, if not the one that the ledger names."`

	Recompute bool `help:"Judge again what the records keep the facts of, by the policies and the configuration that stood then: the verdicts must come out the same."`

	Checkpoint  string `placeholder:"FILE" help:"Remember in this file how far was verified: the next time only what is new is read, and a repository that went back is found out."`
	Environment string `placeholder:"NAME" help:"Show only what is about this environment. Everything is judged all the same."`
	Since       string `placeholder:"WHEN" help:"Show only what was recorded since: a day (2026-01-31), a time (RFC 3339), or how far back (90d, 12w). Everything is judged all the same."`
}

// Help says what it reads and what the codes mean.
func (verifyCommand) Help() string {
	return "Reads the clone alone: no network, no git binary, no rung service. Exits 0 when every release stands on a signed record, 1 when something was tampered with, 2 when something could not be judged."
}

// Run prints the report.
func (c verifyCommand) Run(ctx context.Context, io streams) error {
	defer frugal()()
	var env promotion.Environment
	var since time.Time
	var err error
	if c.Environment != "" {
		if env, err = promotion.ParseEnvironment(c.Environment); err != nil {
			return fmt.Errorf("--environment: %w", err)
		}
	}
	if c.Since != "" {
		if since, err = report.ParseSince(c.Since, time.Now()); err != nil {
			return fmt.Errorf("--since: %w", err)
		}
	}
	before, err := readCheckpoint(io, c.Checkpoint)
	if err != nil {
		return err
	}
	report, err := c.verify(ctx, io, audit.Options{Root: c.Root, Base: c.Base, Strict: c.Strict, Recompute: c.Recompute, Checkpoint: before})
	if err != nil {
		return err
	}
	if c.Checkpoint != "" && report.Next != nil {
		if err := writeCheckpoint(c.Checkpoint, report.Next); err != nil {
			return err
		}
	}
	if report.TrustOnFirstUse && report.Root != "" {
		fmt.Fprintf(io.err, "rung: trust on first use: the ledger begins with key %s; compare it with the published one, and pin it with --root\n", report.Root)
	}
	if report.Trust.OwnRoot && report.Root != "" {
		fmt.Fprintln(io.err, "rung: there is no root key: the ledger's release key is its own root, and whoever has it can replace it, and who loses it can't go on with this ledger (docs/keys.md)")
	}
	if err := report.Limit(env, since); err != nil {
		return fmt.Errorf("--environment: %w", err)
	}
	if c.JSON {
		err = encode(io, report)
	} else {
		err = printReport(io, &report)
	}
	if err != nil {
		return err
	}
	if code := report.ExitCode(); code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// verify judges what the path is: a clone, an archive, or a URL.
func (c verifyCommand) verify(ctx context.Context, io streams, o audit.Options) (audit.Report, error) {
	if remote.Is(c.Path) {
		fetched, err := remote.Fetch(ctx, c.Path, c.Base, nil)
		if err != nil {
			return audit.Report{}, err
		}
		defer func() { _ = fetched.Close() }()
		return audit.Verify(ctx, fetched.Dir, o)
	}
	if bundle.Is(c.Path) {
		return verifyBundle(ctx, io, c.Path, o)
	}
	return audit.Verify(ctx, c.Path, o)
}

// readCheckpoint reads what is remembered; nil where nothing is yet.
func readCheckpoint(io streams, file string) (*audit.Checkpoint, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(io.err, "rung: %s is not there yet: everything is verified, and remembered in it\n", file)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--checkpoint: %w", err)
	}
	c, err := audit.ParseCheckpoint(data)
	if err != nil {
		return nil, fmt.Errorf("--checkpoint %s: %w", file, err)
	}
	return c, nil
}

// writeCheckpoint puts the new one in the place of the old, whole or not at all.
func writeCheckpoint(file string, c *audit.Checkpoint) error {
	data, err := c.Encode()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("--checkpoint: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("--checkpoint: %w", err)
	}
	return nil
}

// printReport is the report for people.
func printReport(io streams, r *audit.Report) error {
	fmt.Fprintln(io.out, r)
	if again := r.Recomputed; again != nil {
		fmt.Fprintln(io.out, again)
	}
	if r.LeftOut != nil {
		fmt.Fprintln(io.out, r.LeftOut)
	}
	w := tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)
	if len(r.Findings) > 0 {
		fmt.Fprintln(w, "\nCODE\tOBJECT\tENVIRONMENT\tARTIFACT\tEXPECTED\tFOUND")
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Code, f.Object, f.Environment, f.Artifact, f.Expected, f.Found)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(r.ByHand) > 0 {
		fmt.Fprintln(w, "\nCHANGES BY HAND\tENVIRONMENT\tARTIFACT\tVERSION\tPERSON\tWHY")
	}
	for _, h := range r.ByHand {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", h.Commit.Short(), h.Environment, h.Artifact, h.Value.Version, h.Person, h.Reason)
	}
	return w.Flush()
}
