// Command bench prints what rung costs, and exits 1 when a target is missed.
//
// The program under test is the real binary as a process of its own, against
// the emulated GitHub, a registry and health endpoints in this process. Figures
// of requests are counts by the emulator, per method and route, warm (after a
// whole climb), with rung's own events delivered back to it, and until nothing
// happens any more. Answers of 304, token mints and git's requests are listed
// apart. A request on a route that a figure's table does not have fails the
// bench: it is a cost that nobody thought of. Times are printed for information
// only; they say more about the machine than about rung.
//
// rung verify is measured on repositories that package history writes: CPU time
// and memory of the process by the kernel's account, the median of some runs.
//
// Concurrency: the sites run side by side; the play that memory is measured by,
// and each verification, run alone. Everything is bounded and stays on loopback.
// What it does not do: it judges no behaviour; a step that goes wrong ends it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// patience bounds the whole bench.
const patience = 15 * time.Minute

func main() {
	binary := flag.String("binary", "bin/rung", "the rung to measure; it is built where there is none")
	docs := flag.String("docs", "", "write the table into this file as well, between its two markers")
	only := flag.String("only", "", "measure one part alone: memory (of serve) or verify")
	repository := flag.String("signatures", "", "verify the signatures of this repository's commits and print their number; the bench runs itself so")
	signers := flag.String("signers", "", "the trust list for -signatures")
	heads := flag.String("heads", "", "the heads for -signatures, with a comma between them")
	into := flag.String("measure", "", "run the command that follows and write what it used into this file; the bench runs itself so")
	flag.Parse()
	if *into != "" {
		code, err := measure(*into, flag.Args(), os.Stdout, os.Stderr)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(code)
	}
	if *repository != "" {
		if err := verifySignatures(os.Stdout, *repository, *signers, strings.Split(*heads, ",")); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(2)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the bench takes longer than %s", patience))
	held, err := bench(ctx, os.Stdout, *binary, *docs, *only)
	cancel()
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	case !held:
		os.Exit(1)
	}
}

// bench measures everything and reports whether every target holds.
func bench(ctx context.Context, out io.Writer, binary, docs, only string) (held bool, err error) {
	if binary, err = built(ctx, binary); err != nil {
		return false, err
	}
	if only != "" {
		part := map[string]func(context.Context, string) ([]row, error){"memory": memory, "verify": verification}[only]
		if part == nil {
			return false, fmt.Errorf("there is no part %q", only)
		}
		rows, err := part(ctx, binary)
		printRows(out, rows)
		return err == nil && !slices.ContainsFunc(rows, row.missed), err
	}
	rows := []row{size(binary)}
	parts := []func(context.Context, string) ([]row, error){
		func(ctx context.Context, binary string) ([]row, error) { return calls(ctx, binary, false) },
		func(ctx context.Context, binary string) ([]row, error) { return calls(ctx, binary, true) },
		load,
	}
	type result struct {
		part int
		rows []row
		err  error
	}
	results := make(chan result)
	for i, part := range parts {
		go func() {
			rows, err := part(ctx, binary)
			results <- result{i, rows, err}
		}()
	}
	all := make([]result, len(parts))
	for range parts {
		r := <-results
		all[r.part] = r
		err = errors.Join(err, r.err)
	}
	for _, r := range all {
		rows = append(rows, r.rows...)
	}
	if err == nil {
		var more []row
		more, err = memory(ctx, binary)
		rows = append(rows, more...)
	}
	if err == nil {
		var more []row
		more, err = verification(ctx, binary)
		rows = append(rows, more...)
	}
	printRows(out, rows)
	if err != nil {
		return false, err
	}
	if docs != "" {
		version, err := exec.CommandContext(ctx, binary, "--version").Output() // #nosec G204 -- the program under test
		if err == nil {
			err = writeDocs(docs, conditions(strings.TrimSpace(string(version))), rows)
		}
		if err != nil {
			return false, err
		}
	}
	return !slices.ContainsFunc(rows, row.missed), nil
}

// built returns the binary's absolute path, and builds it where there is none,
// as make build does.
func built(ctx context.Context, binary string) (string, error) {
	path, err := filepath.Abs(binary)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/rungbot/rung/cmd/rung") // #nosec G204 -- a fixed command
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/rung: %w\n%s", err, out)
	}
	return path, nil
}
