package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/audit/bundle"
	"github.com/rungbot/rung/internal/audit/report"
)

// writeBundle puts a clone's evidence into a file.
func writeBundle(ctx context.Context, io streams, clone, file, root string) error {
	verified, manifest, err := bundle.Write(ctx, clone, file, bundleOptions(audit.Options{Root: root}))
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "wrote %s: %s as of %s\n", file, manifest.Repository.URI, manifest.AsOf.Format(time.RFC3339))
	fmt.Fprintln(io.out, verified)
	fmt.Fprintf(io.out, "base %s, ledger %s, root %s\n", manifest.Base.Head, manifest.Ledger.Head, manifest.Root)
	return verdict(verified, nil)
}

// verifyBundle judges what Open unpacks; notes are for standard error.
func verifyBundle(ctx context.Context, io streams, file string, o audit.Options) (audit.Report, error) {
	b, err := bundle.Open(ctx, file)
	if err != nil {
		return audit.Report{}, err
	}
	defer func() { _ = b.Close() }()
	r, notes, err := b.Verify(ctx, bundleOptions(o))
	for _, n := range notes {
		fmt.Fprintln(io.err, "rung: note:", n)
	}
	return r, err
}

// judge verifies a clone, or the branches in a file that rung audit --bundle wrote.
func judge(ctx context.Context, path string, o audit.Options) (audit.Report, error) {
	if !bundle.Is(path) {
		return audit.Verify(ctx, path, o)
	}
	b, err := bundle.Open(ctx, path)
	if err != nil {
		return audit.Report{}, err
	}
	defer func() { _ = b.Close() }()
	r, _, err := b.Verify(ctx, bundle.Options{Audit: o, Rung: version})
	return r, err
}

// bundleOptions are what an archive is written with, and read against: for each
// environment the audit of all of its time, as JSON and as a page.
func bundleOptions(o audit.Options) bundle.Options {
	var reader report.Reader
	also := o.Each
	o.Each = func(e audit.Entry) {
		reader.Read(e)
		if also != nil {
			also(e)
		}
	}
	return bundle.Options{Audit: o, Rung: version, Reports: func(verified *audit.Report, asOf time.Time) ([]bundle.Report, error) {
		var files []bundle.Report
		for _, env := range reader.EnvironmentNames() {
			a := reader.Audit(env, time.Time{}, asOf.Add(time.Second), verified)
			var data, page bytes.Buffer
			if err := report.WriteJSON(&data, a); err != nil {
				return nil, err
			}
			if err := a.WriteHTML(&page); err != nil {
				return nil, err
			}
			files = append(files,
				bundle.Report{Name: "report/" + string(env) + ".json", Data: data.Bytes()},
				bundle.Report{Name: "report/" + string(env) + ".html", Data: page.Bytes()})
		}
		return files, nil
	}}
}
