package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rungbot/rung/internal/demo"
	"github.com/rungbot/rung/internal/promotion"
)

// Three artifacts climb from dev into three regions that stand side by side.
var (
	loadArtifacts = map[promotion.Artifact]promotion.Version{"checkout": "1.0.0", "cart": "2.0.0", "worker": "0.3.0"}
	loadRegions   = []string{"eu", "us", "ap"}
)

func loadFiles(host string) map[string]string {
	var config, places strings.Builder
	config.WriteString("version: 1\nmode: merge\nartifacts:\n")
	places.WriteString("images:\n")
	for _, name := range []promotion.Artifact{"checkout", "cart", "worker"} {
		fmt.Fprintf(&config, "  %[1]s: {image: %[2]s/acme/%[1]s, publishers: [acme/%[1]s]}\n", name, host)
		fmt.Fprintf(&places, "  - name: %s/acme/%s\n    newTag: %s\n", host, name, loadArtifacts[name])
	}
	config.WriteString("environments:\n  dev: {}\n")
	files := map[string]string{"environments/dev/kustomization.yaml": places.String()}
	for _, region := range loadRegions {
		fmt.Fprintf(&config, "  %s: {after: [dev]}\n", region)
		files["environments/"+region+"/kustomization.yaml"] = places.String()
	}
	files["rung.yaml"] = config.String()
	return files
}

// load counts pushes while everything is promoted at once, with the pause for
// company that rung makes by default.
func load(ctx context.Context, binary string) (rows []row, err error) {
	s, err := openSite(ctx, binary, false, loadFiles, "RUNG_COALESCE=10s")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.onboard(ctx); err != nil {
		return nil, err
	}
	if err := s.all(ctx, "1"); err != nil {
		return nil, fmt.Errorf("load, warming up: %w\n%s", err, s.rung.said())
	}
	before, err := s.landings(ctx)
	if err != nil {
		return nil, err
	}
	t, err := s.during(ctx, func(ctx context.Context) error { return s.all(ctx, "2") })
	if err != nil {
		return nil, fmt.Errorf("load: %w\n%s", err, s.rung.said())
	}
	after, err := s.landings(ctx)
	if err != nil {
		return nil, err
	}
	steps := after - before
	if want := len(loadArtifacts) * (1 + len(loadRegions)); steps != want {
		return nil, fmt.Errorf("load: %d releases landed, not %d", steps, want)
	}
	per := func(n int) float64 { return float64(n) / float64(steps) }
	how := fmt.Sprintf("%d steps of %d artifacts in %d environments", steps, len(loadArtifacts), 1+len(loadRegions))
	pushes := counted("git pushes per auto-merged step under load", 2.1, per(t.pushes()), t.Counts, opening|step)
	pushes.detail = how + ": " + pushes.detail
	rows = append(rows, pushes, row{
		figure: "API calls per auto-merged step under load", got: per(t.Total), limit: informative, detail: how,
	}, row{
		figure: "git requests per auto-merged step under load", got: per(t.ByClass["git"]), limit: informative, detail: how + ": " + t.git(),
	})
	return rows, nil
}

// all publishes the next version of every artifact at once, and waits until all
// have landed everywhere.
func (s *site) all(ctx context.Context, patch string) error {
	next := map[promotion.Artifact]promotion.Version{}
	for artifact, version := range loadArtifacts {
		next[artifact] = promotion.Version(strings.TrimSuffix(string(version), "0") + patch)
		if _, err := s.Push(ctx, artifact, next[artifact], next[artifact]); err != nil {
			return err
		}
	}
	for artifact, version := range next {
		if err := s.Emulator().Dispatch("acme/"+string(artifact), demo.Carol, "artifact-published", map[string]any{"artifact": artifact, "version": version}); err != nil {
			return err
		}
	}
	for artifact, version := range next {
		if err := s.landed(ctx, artifact, version, 1+len(loadRegions)); err != nil {
			return err
		}
	}
	return nil
}

// landings is how many releases the ledger says have landed.
func (s *site) landings(ctx context.Context) (n int, err error) {
	entries, err := s.Records(ctx)
	for _, e := range entries {
		if e.Record.Kind == promotion.RecordLand {
			n++
		}
	}
	return n, err
}
