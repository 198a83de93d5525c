package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// built is where program builds.
var built string

// program builds the real rung once for all tests.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(built, "rung")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil { // #nosec G204 -- a fixed command
		return path, fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "rung-program-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(built)
	os.Exit(code)
}

const stateDocument = `{"version": 1, "rung": "dev", "repositories": [{"owner": "acme", "name": "environments", "url": "", "configured": true, "mode": "merge",
  "pairs": [{"environment": "dev", "artifact": "checkout", "live": {"version": "1.4.2"}, "phase": "idle"}]}]}`

// slow is a rung service that answers nobody before it is told to. asked gets each
// request's path.
func slow(t *testing.T) (address string, asked <-chan string, answer func()) {
	t.Helper()
	arrived, ready := make(chan string, 16), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.URL.Path
		select {
		case <-ready:
		case <-r.Context().Done():
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, stateDocument)
	}))
	answer = sync.OnceFunc(func() { close(ready) })
	t.Cleanup(func() { answer(); server.Close() })
	return server.URL, arrived, answer
}

// started is the real rung, and what it writes.
type started struct {
	cmd *exec.Cmd
	// out and err are what was piped, screen what a terminal got.
	out, err bytes.Buffer
	screen   *screen
}

// screen collects what is written to a terminal.
type screen struct {
	master *os.File
	mu     sync.Mutex
	text   strings.Builder
	more   chan struct{}
	ended  chan struct{}
}

func (s *screen) read() {
	defer close(s.ended)
	buffer := make([]byte, 4096)
	for {
		n, err := s.master.Read(buffer)
		s.mu.Lock()
		s.text.Write(buffer[:n])
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
		if err != nil { // EIO: nobody holds the other end any more
			return
		}
	}
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// until waits for a text.
func (s *screen) until(ctx context.Context, text string) error {
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.more:
		case <-s.ended:
			if !strings.Contains(s.String(), text) {
				return fmt.Errorf("it ended without %q: %q", text, s)
			}
		case <-ctx.Done():
			return fmt.Errorf("no %q: %q", text, s)
		}
	}
	return nil
}

// shown is what a person sees in the end: each line as it was written over last.
func (s *screen) shown() string {
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(s.String(), "\r\n", "\n"), "\n") {
		for _, wrapping := range []string{"\x1b[?7l", "\x1b[?7h"} {
			line = strings.ReplaceAll(line, wrapping, "")
		}
		if i := strings.LastIndex(line, "\r\x1b[K"); i >= 0 {
			line = line[i+len("\r\x1b[K"):]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// start runs rung with the streams that are named on a terminal, and the others on
// pipes.
func start(ctx context.Context, t *testing.T, env []string, onTerminal string, args ...string) *started {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &started{cmd: exec.CommandContext(ctx, path, args...)}
	s.cmd.Dir = t.TempDir()
	s.cmd.Env = append([]string{"HOME=" + s.cmd.Dir, "PATH=" + os.Getenv("PATH"), "TERM=xterm"}, env...)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.err
	var slave *os.File
	if onTerminal != "" {
		s.screen = &screen{more: make(chan struct{}, 1), ended: make(chan struct{})}
		if s.screen.master, slave, err = pty.Open(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(onTerminal, "out") {
			s.cmd.Stdout = slave
		}
		if strings.Contains(onTerminal, "err") {
			s.cmd.Stderr = slave
		}
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if slave != nil {
		if err := slave.Close(); err != nil {
			t.Fatal(err)
		}
		go s.screen.read()
	}
	return s
}

// wait waits for its end and returns its exit code.
func (s *started) wait(t *testing.T) int {
	t.Helper()
	err := s.cmd.Wait()
	if s.screen != nil {
		<-s.screen.ended
		if err := s.screen.master.Close(); err != nil && !errors.Is(err, syscall.EIO) {
			t.Error(err)
		}
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return s.cmd.ProcessState.ExitCode()
}

// arrive waits for a request.
func arrive(ctx context.Context, t *testing.T, asked <-chan string) {
	t.Helper()
	select {
	case <-asked:
	case <-ctx.Done():
		t.Fatal("nothing was asked")
	}
}

const escape = "\x1b"

// TestProgressIsForPeopleAtTerminals runs the real rung against a service that does not
// answer. The ones that must say nothing wait already when the one on the terminal
// starts; that one says what it does after a second, so the others are silent for longer
// than that.
func TestProgressIsForPeopleAtTerminals(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	address, asked, answer := slow(t)
	env := []string{"RUNG_URL=" + address}
	silent := map[string]*started{
		"on pipes":                start(ctx, t, env, "", "status"),
		"out on a terminal alone": start(ctx, t, append(env, "NO_COLOR=1"), "out", "status"),
		"for a program":           start(ctx, t, env, "out err", "status", "--json"),
		"on a dumb terminal":      start(ctx, t, append(env, "TERM=dumb"), "out err", "status"),
	}
	for range silent {
		arrive(ctx, t, asked)
	}
	both := start(ctx, t, env, "out err", "status")
	piped := start(ctx, t, env, "err", "status")
	for _, s := range []*started{both, piped} {
		if err := s.screen.until(ctx, "rung: asking "+address); err != nil {
			t.Error(err)
		}
	}
	answer()
	for name, s := range silent {
		code := s.wait(t)
		all := s.out.String() + s.err.String()
		if s.screen != nil {
			all += s.screen.String()
		}
		if code != 0 || strings.Contains(all, escape) || strings.Contains(all, "asking") || !strings.Contains(all, "checkout") {
			t.Errorf("%s: exit code %d, %q", name, code, all)
		}
	}
	if code := both.wait(t); code != 0 || strings.Contains(both.screen.shown(), "asking") || !strings.Contains(both.screen.shown(), "checkout") {
		t.Errorf("exit code %d, and in the end it shows %q", code, both.screen.shown())
	}
	if !strings.Contains(both.screen.String(), escape+"[32midle") {
		t.Errorf("no colours on a terminal: %q", both.screen)
	}
	if code := piped.wait(t); code != 0 || piped.screen.shown() != "" || strings.Contains(piped.out.String(), escape) || !strings.Contains(piped.out.String(), "checkout") {
		t.Errorf("exit code %d, out %q, and in the end the terminal shows %q", code, &piped.out, piped.screen.shown())
	}
}

// TestAnErrorStandsWhereTheProgressWas: what is fetched slowly and then refused.
func TestAnErrorStandsWhereTheProgressWas(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	address, _, answer := slow(t)
	s := start(ctx, t, nil, "out err", "verify", address+"/acme/environments.git")
	if err := s.screen.until(ctx, "rung: fetching the repository"); err != nil {
		t.Error(err)
	}
	answer()
	if code := s.wait(t); code != 2 || !strings.HasPrefix(s.screen.shown(), "rung: ") || strings.Contains(s.screen.shown(), "fetching the repository\n") || strings.Count(s.screen.shown(), "\n") != 1 {
		t.Errorf("exit code %d, and in the end it shows %q", code, s.screen.shown())
	}
}

// TestLogsAreColouredOnTerminals: the log for people, also where it was asked for.
func TestLogsAreColouredOnTerminals(t *testing.T) {
	for name, c := range map[string]struct {
		onTerminal string
		env        []string
		coloured   bool
	}{
		"on a terminal":             {"out err", nil, true},
		"on a dumb one":             {"out err", []string{"TERM=dumb"}, false},
		"where nobody wants it":     {"out err", []string{"NO_COLOR=1"}, false},
		"on a pipe":                 {"", nil, false},
		"err on a pipe alone":       {"out", nil, false},
		"out on a pipe, err is not": {"err", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			env := append([]string{"TERM=xterm"}, c.env...)
			out, err := io.Writer(&log), io.Writer(&log)
			if c.onTerminal != "" {
				master, slave, problem := pty.Open()
				if problem != nil {
					t.Fatal(problem)
				}
				defer func() { _, _ = master.Close(), slave.Close() }()
				if strings.Contains(c.onTerminal, "out") {
					out = slave
				}
				if strings.Contains(c.onTerminal, "err") {
					err = slave
				}
				l := logger(streams{out: out, err: err, env: env}, "info", "console")
				l.Info().Msg("here")
				if err == slave {
					line := make([]byte, 4096)
					n, problem := master.Read(line)
					if problem != nil {
						t.Fatal(problem)
					}
					log.Write(line[:n])
				}
			} else {
				l := logger(streams{out: out, err: err, env: env}, "info", "console")
				l.Info().Msg("here")
			}
			if got := log.String(); strings.Contains(got, escape) != c.coloured || !strings.Contains(got, "here") {
				t.Errorf("%q", got)
			}
		})
	}
}
