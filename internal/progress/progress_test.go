package progress

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// after lets the time of a bubble pass.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// shows is what a terminal shows of what was written to it: one line at its foot.
func shows(written string) string {
	for _, control := range []string{narrow, wide} {
		written = strings.ReplaceAll(written, control, "")
	}
	lines := strings.Split(written, "\n")
	for i, line := range lines {
		lines[i] = line[strings.LastIndex(erase+line, erase):]
	}
	return strings.Join(lines, "\n")
}

func TestNothingIsSaidInTheFirstSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var terminal bytes.Buffer
		ctx, line := Show(t.Context(), &terminal)
		Begin(ctx, "judging the ledger", "commits", 5000).Add(1)
		after(patience - time.Millisecond)
		line.Stop()
		if terminal.Len() > 0 {
			t.Errorf("%q", &terminal)
		}
	})
}

func TestOneLineIsWrittenOverAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var terminal bytes.Buffer
		ctx, line := Show(t.Context(), &terminal)
		step := Begin(ctx, "judging the ledger", "commits", 5000)
		step.Add(1200)
		after(patience)
		if got := shows(terminal.String()); got != "rung: judging the ledger: 1,200 of 5,000 commits" {
			t.Errorf("%q", got)
		}
		written := terminal.Len()
		after(time.Minute)
		if terminal.Len() != written {
			t.Error("what did not change was written again")
		}
		step.Add(1)
		Begin(ctx, "fetching", "MiB", 0)
		after(pace)
		if got := shows(terminal.String()); got != "rung: fetching" {
			t.Errorf("%q", got)
		}
		line.Stop()
		if got := terminal.String(); !strings.HasSuffix(got, erase) || strings.Contains(got, "\n") {
			t.Errorf("%q", got)
		}
		written = terminal.Len()
		Begin(ctx, "afterwards", "", 0)
		line.Stop()
		after(time.Minute)
		if terminal.Len() != written {
			t.Error("it was written after Stop")
		}
	})
}

func TestOutputStandsAboveTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var terminal bytes.Buffer
		ctx, line := Show(t.Context(), &terminal)
		out := line.Writer(&terminal)
		step := Begin(ctx, "reading", "files", 0)
		after(patience)
		for _, part := range []string{"first ", "line\n"} {
			if _, err := io.WriteString(out, part); err != nil {
				t.Fatal(err)
			}
			step.Add(1)
			after(pace)
		}
		if got := shows(terminal.String()); got != "first line\nrung: reading: 2 files" {
			t.Errorf("%q", got)
		}
		line.Stop()
		if got := shows(terminal.String()); got != "first line\n" {
			t.Errorf("%q", got)
		}
	})
}

func TestOutsideTextStaysInTheLine(t *testing.T) {
	ctx, line := Show(t.Context(), io.Discard)
	defer line.Stop()
	got := Begin(ctx, "asking \x1b[31mevil\n\u202e"+strings.Repeat("x", 500), "", 0).text()
	if strings.ContainsAny(got, "\x1b\n\u202e") || len([]rune(got)) != longest {
		t.Errorf("%q", got)
	}
}

func TestWithoutALineNothingIsCounted(t *testing.T) {
	step := Begin(context.Background(), "reading", "files", 3)
	step.Add(1)
	if step != nil {
		t.Error(step)
	}
}
