package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rungbot/rung/e2e/bench/history"
)

const (
	// long and short are the releases of the two repositories.
	long, short = 10_000, 1_000
	// fresh is how many releases, about, are behind a checkpoint.
	fresh = 100
	// sampled is how many commits stock git verifies.
	sampled = 200
	// longRuns and shortRuns are how often a verification is measured; the median
	// counts, for a machine does other things too.
	longRuns, shortRuns = (shortRuns + 1) / 2, 5
)

// verification measures rung verify on repositories with a long past.
func verification(ctx context.Context, binary string) (rows []row, err error) {
	dir, err := os.MkdirTemp("", "rung-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	few, err := newPast(ctx, binary, filepath.Join(dir, "short.git"), short)
	if err != nil {
		return nil, err
	}
	many, err := newPast(ctx, binary, filepath.Join(dir, "long.git"), long)
	if err != nil {
		return nil, err
	}
	signatures, err := many.signatures(ctx)
	if err != nil {
		return nil, err
	}
	little, much, err := inTurn(ctx, few, many)
	if err != nil {
		return nil, err
	}
	rows = append(signatures, whole(many, little, much)...)
	more, err := many.sinceCheckpoint(ctx, dir)
	return append(rows, more...), err
}

// whole are the rows of verifying everything.
func whole(many *past, little, much usage) []row {
	w := many.written
	size := fmt.Sprintf("%d releases: %d signed commits, %d records", w.Releases, w.LedgerCommits+w.PromotionCommits, w.Records)
	perRelease := func(u usage, releases int) float64 { return float64(u.CPU.Microseconds()) / float64(releases) }
	growth := perRelease(much, long)/perRelease(little, short) - 1
	return []row{
		{figure: "rung verify, 10,000 releases: CPU", unit: "s", got: much.CPU.Seconds(), limit: 6, detail: fmt.Sprintf("%s; %.1f s on the clock, median of %d runs", size, much.Clock.Seconds(), longRuns)},
		{figure: "rung verify, 10,000 releases: peak memory", unit: "MB", got: float64(much.Memory) / megabyte, limit: 200, detail: fmt.Sprintf("%.0f MB for %d releases", float64(little.Memory)/megabyte, short)},
		{
			figure: "rung verify, CPU per release, 10,000 against 1,000", unit: "%", got: 100 * growth, limit: 15,
			detail: fmt.Sprintf("%.0f µs per release, %.0f µs where there are %d", perRelease(much, long), perRelease(little, short), short),
		},
	}
}

// past is a repository that history wrote.
type past struct {
	binary, dir string
	written     history.Written
}

func newPast(ctx context.Context, binary, dir string, releases int) (*past, error) {
	w, err := history.Write(ctx, dir, 1, releases)
	return &past{binary, dir, w}, err
}

// inTurn is what rung verify uses on either, as the median of some runs, each of
// which must find what was written. They take turns: a machine that others use as
// well is slow and fast by the minute, and the two are compared.
func inTurn(ctx context.Context, few, many *past) (little, much usage, err error) {
	var short, long []usage
	for i := range shortRuns {
		u, _, err := few.verify(ctx)
		if err != nil {
			return usage{}, usage{}, err
		}
		short = append(short, u)
		if i%2 == 1 {
			continue // every other one: longRuns
		}
		if u, _, err = many.verify(ctx); err != nil {
			return usage{}, usage{}, err
		}
		long = append(long, u)
	}
	return median(short), median(long), nil
}

// countedReport is what is compared of a report.
type countedReport struct {
	OK         bool
	Promotions int
	Rollbacks  int
	Records    int
}

func (p *past) verify(ctx context.Context, extra ...string) (usage, countedReport, error) {
	args := append([]string{"verify", "--json", "--strict", "--root", p.written.Root}, extra...)
	var report countedReport
	out, u, err := used(exec.CommandContext(ctx, p.binary, append(args, p.dir)...)) // #nosec G204 -- the program under test
	if err != nil {
		return u, report, err
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return u, report, fmt.Errorf("rung verify --json: %w", err)
	}
	w := p.written
	if len(extra) == 0 && (!report.OK || report.Promotions != w.Promotions || report.Rollbacks != w.Rollbacks || report.Records != w.Records) {
		return u, report, fmt.Errorf("rung verify counts %+v where %d promotions, %d rollbacks and %d records were written", report, w.Promotions, w.Rollbacks, w.Records)
	}
	return u, report, nil
}

// median is the run in the middle, by CPU time, with the memory that is in the
// middle too.
func median(all []usage) usage {
	middle := slices.SortedFunc(slices.Values(all), func(a, b usage) int { return int(a.CPU - b.CPU) })[len(all)/2]
	slices.SortFunc(all, func(a, b usage) int { return int(a.Memory - b.Memory) })
	middle.Memory = all[len(all)/2].Memory
	return middle
}

// signatures compares what it takes to verify a commit's signature with what it
// takes stock git, on the same repository, one after the other.
func (p *past) signatures(ctx context.Context) ([]row, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	signers := p.dir + ".signers"
	if err := os.WriteFile(signers, []byte(p.written.Signers), 0o600); err != nil {
		return nil, err
	}
	runs := make([]usage, 3)
	count := p.written.LedgerCommits + p.written.PromotionCommits
	for i := range runs {
		out, u, err := used(exec.CommandContext(ctx, self, "-signatures", p.dir, "-signers", signers, "-heads", string(p.written.Base)+","+string(p.written.Ledger))) // #nosec G204 -- this program
		if err != nil {
			return nil, err
		}
		if got := strings.TrimSpace(string(out)); got != fmt.Sprint(count) {
			return nil, fmt.Errorf("%s signatures were verified, %d were made", got, count)
		}
		runs[i] = u
	}
	cmd := exec.CommandContext(ctx, "git", "--git-dir="+p.dir, "-c", "gpg.ssh.allowedSignersFile="+signers, "log", "--show-signature", "--format=%G?", fmt.Sprintf("-n%d", sampled), "rung/ledger") // #nosec G204 -- stock git
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	out, stock, err := used(cmd)
	if err != nil {
		return nil, err
	}
	if good := bytes.Count(append([]byte("\n"), out...), []byte("\nG\n")); good != sampled {
		return nil, fmt.Errorf("stock git finds %d of %d signatures good", good, sampled)
	}
	ours, theirs := median(runs).CPU.Seconds()/float64(count), stock.CPU.Seconds()/sampled
	return []row{
		{figure: "signatures of commits verified per CPU-second", unit: "/s", got: 1 / ours, least: 6000, detail: fmt.Sprintf("%d commits read, hashed again and verified, %.0f µs each", count, 1e6*ours)},
		{figure: "… against git log --show-signature, CPU", unit: "×", got: theirs / ours, least: 250, detail: fmt.Sprintf("%.1f ms each, of %d commits of the same repository", 1e3*theirs, sampled)},
	}, nil
}

// sinceCheckpoint measures verifying what is new since a checkpoint: nothing, and
// some releases.
func (p *past) sinceCheckpoint(ctx context.Context, dir string) (rows []row, err error) {
	help, err := exec.CommandContext(ctx, p.binary, "verify", "--help").Output() // #nosec G204 -- the program under test
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(help, []byte("--checkpoint")) {
		return nil, nil
	}
	then := p.written.Past[max(0, len(p.written.Past)-fresh)]
	if err := history.Rewind(ctx, p.dir, then); err != nil {
		return nil, err
	}
	seen := filepath.Join(dir, "seen")
	if _, _, err := p.verify(ctx, "--checkpoint", seen); err != nil {
		return nil, err
	}
	measure := func(releases int) (row, error) {
		remembered, err := os.ReadFile(seen) // #nosec G304 -- our own file
		if err != nil {
			return row{}, err
		}
		runs := make([]usage, shortRuns)
		for i := range runs {
			if err := os.WriteFile(seen, remembered, 0o600); err != nil {
				return row{}, err
			}
			var report countedReport
			if runs[i], report, err = p.verify(ctx, "--checkpoint", seen); err != nil {
				return row{}, err
			}
			if got := report.Promotions + report.Rollbacks; !report.OK || got != releases {
				return row{}, fmt.Errorf("rung verify --checkpoint judges %d releases, of which %d are new", got, releases)
			}
		}
		u := median(runs)
		return row{
			figure: fmt.Sprintf("rung verify --checkpoint, %d new releases of 10,000: CPU", releases), unit: "ms", got: float64(u.CPU.Microseconds()) / 1000, limit: 100 + float64(releases),
			detail: fmt.Sprintf("100 ms and 1 ms for each; median of %d runs, %.0f MB", shortRuns, float64(u.Memory)/megabyte),
		}, nil
	}
	none, err := measure(0)
	if err != nil {
		return nil, err
	}
	if err := history.Rewind(ctx, p.dir, p.written.Heads); err != nil {
		return nil, err
	}
	some, err := measure(p.written.Landed - then.Landed)
	return []row{none, some}, err
}
