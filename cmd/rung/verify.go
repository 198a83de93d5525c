package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/audit/bundle"
)

// verifyCommand checks a clone's signed history.
type verifyCommand struct {
	Path   string `arg:"" optional:"" default:"." type:"path" help:"Local clone, bare or not, with the branch rung/ledger, or a file that rung audit --bundle wrote."`
	JSON   bool   `help:"Print the report as JSON."`
	Root   string `placeholder:"FINGERPRINT" help:"Fingerprint (SHA256:…) of the key that must have begun the ledger."`
	Strict bool   `help:"Exit 1 also for what is only listed: pending records and overrides."`
	Base   string `placeholder:"BRANCH" help:"Base branch, if not the one that the ledger names."`

	Recompute bool `help:"Judge again what the records keep the facts of, by the policies and the configuration that stood then: the verdicts must come out the same."`
}

// Help says what it reads and what the codes mean.
func (verifyCommand) Help() string {
	return "Reads the clone alone: no network, no git binary, no rung service. Exits 0 when every release stands on a signed record, 1 when something was tampered with, 2 when something could not be judged."
}

// Run prints the report.
func (c verifyCommand) Run(ctx context.Context, io streams) error {
	verify := audit.Verify
	if bundle.Is(c.Path) {
		verify = func(ctx context.Context, file string, o audit.Options) (audit.Report, error) {
			return verifyBundle(ctx, io, file, o)
		}
	}
	report, err := verify(ctx, c.Path, audit.Options{Root: c.Root, Base: c.Base, Strict: c.Strict, Recompute: c.Recompute})
	if err != nil {
		return err
	}
	if report.TrustOnFirstUse && report.Root != "" {
		fmt.Fprintf(io.err, "rung: trust on first use: the ledger begins with key %s; compare it with the published one, and pin it with --root\n", report.Root)
	}
	if report.Trust.OwnRoot && report.Root != "" {
		fmt.Fprintln(io.err, "rung: there is no root key: the ledger's release key is its own root, and whoever has it can replace it (docs/keys.md)")
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

// printReport is the report for people.
func printReport(io streams, r *audit.Report) error {
	fmt.Fprintln(io.out, r)
	if again := r.Recomputed; again != nil {
		fmt.Fprintln(io.out, again)
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
