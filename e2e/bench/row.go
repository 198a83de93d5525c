package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// row is one figure.
type row struct {
	figure string
	unit   string
	got    float64
	// limit is the target: at most this. A negative one is no target, the
	// figure is for information. least, if it is not zero, is the target instead:
	// at least this.
	limit, least float64
	// detail is what was counted.
	detail string
	// fault fails the row whatever its figure is.
	fault string
}

// informative is the limit of a figure without a target.
const informative = -1

// missed reports whether the row fails the bench.
func (r row) missed() bool {
	if r.least != 0 {
		return r.fault != "" || r.got < r.least
	}
	return r.fault != "" || r.limit >= 0 && r.got > r.limit
}

func (r row) target() string {
	switch {
	case r.least != 0:
		return "≥ " + amount(r.least)
	case r.limit < 0:
		return "–"
	}
	return "≤ " + amount(r.limit)
}

func (r row) verdict() string {
	switch {
	case r.missed():
		return "MISS"
	case r.limit < 0:
		return ""
	}
	return "ok"
}

func (r row) value() string { return strings.TrimSpace(amount(r.got) + " " + r.unit) }

func (r row) text() string {
	return strings.Trim(r.fault+"; "+r.detail, "; ")
}

// amount prints a number with one digit after the point, where it has any.
func amount(x float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
}

// printRows prints the table for people.
func printRows(out io.Writer, rows []row) {
	for _, r := range rows {
		_, _ = fmt.Fprintf(out, "%-78s %-8s %-10s %-5s %s\n", r.figure, r.target(), r.value(), r.verdict(), r.text())
	}
}

// The markers in docs/benchmarks.md.
const (
	docsBegin = "<!-- bench: written by go run ./e2e/bench -docs docs/benchmarks.md -->\n"
	docsEnd   = "<!-- /bench -->\n"
)

// writeDocs writes the table and its conditions between the markers of a file.
func writeDocs(path, conditions string, rows []row) error {
	text, err := os.ReadFile(path) // #nosec G304 -- the caller's own file
	if err != nil {
		return err
	}
	head, rest, begun := bytes.Cut(text, []byte(docsBegin))
	_, tail, ended := bytes.Cut(rest, []byte(docsEnd))
	if !begun || !ended {
		return fmt.Errorf("%s has no place for the table: put %s%s where it belongs", path, docsBegin, docsEnd)
	}
	var out bytes.Buffer
	out.Write(head)
	out.WriteString(docsBegin)
	fmt.Fprintf(&out, "\n%s\n\n| figure | target | counted | | per route |\n| --- | --- | --- | --- | --- |\n", conditions)
	for _, r := range rows {
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %s |\n", r.figure, r.target(), r.value(), r.verdict(), r.text())
	}
	out.WriteString("\n" + docsEnd)
	out.Write(tail)
	return os.WriteFile(path, out.Bytes(), 0o600)
}

// conditions say when and on what the figures were taken.
func conditions(version string) string {
	return fmt.Sprintf("Taken on %s of rung %s: %s, %s/%s, %d cores, everything on loopback without added latency.",
		time.Now().UTC().Format("2 January 2006"), version, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
}
