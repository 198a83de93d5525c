package world

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Build builds the real rung once for a package's tests, into a directory that
// the caller removes. RUNG_BINARY names one that is built already.
func Build(dir string) (string, error) {
	if ready := os.Getenv("RUNG_BINARY"); ready != "" {
		return ready, nil
	}
	binary := filepath.Join(dir, "rung")
	cmd := exec.Command("go", "build", "-o", binary, "github.com/rungbot/rung/cmd/rung") // #nosec G204 -- a fixed command
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/rung: %w\n%s", err, out)
	}
	return binary, nil
}

// Main is the body of a package's TestMain: it builds the real rung into a directory
// that is gone afterwards, and ends the process with what run returns.
func Main(run func(dir, binary string) (code int)) {
	dir, err := os.MkdirTemp("", "rung-tests-")
	code := 1
	if err == nil {
		var binary string
		if binary, err = Build(dir); err == nil {
			code = run(dir, binary)
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// Process is one `rung serve`.
type Process struct {
	// Addr is where it listens, Data its data directory.
	Addr, Data string

	tb      testing.TB
	cmd     *exec.Cmd
	ended   chan struct{}
	running atomic.Bool
	mu      sync.Mutex
	lines   []string // the last lines that it logged
}

// Use makes another binary the rung that is started from now on.
func (w *World) Use(binary string) { w.binary = binary }

// Serve starts rung with the data directory of that name, and returns when it
// listens. extra are more settings.
func (w *World) Serve(name string, extra ...string) *Process {
	w.tb.Helper()
	p, err := w.TryServe(name, extra...)
	if err != nil {
		w.tb.Fatal(err)
	}
	return p
}

// TryServe is Serve for a rung that may refuse to start: the error then holds
// what it said.
func (w *World) TryServe(name string, extra ...string) (*Process, error) {
	w.tb.Helper()
	p := &Process{Data: filepath.Join(w.Dir, "data-"+name)}
	p.cmd = exec.Command(w.binary, "serve") // #nosec G204 -- the program under test
	p.cmd.Env = append(append([]string{"RUNG_DATA=" + p.Data, "HOME=" + w.Dir, "TMPDIR=" + w.Dir}, w.env...), extra...)
	return w.launch(p)
}

// Shell has bash run the lines with which a person starts rung, in the World's
// directory, where bin/rung is the program; settings are all that is set besides.
// It returns when rung listens.
func (w *World) Shell(lines string, settings ...string) *Process {
	w.tb.Helper()
	bin := filepath.Join(w.Dir, "bin")
	w.check(os.MkdirAll(bin, 0o750))
	if err := os.Symlink(w.binary, filepath.Join(bin, "rung")); !errors.Is(err, os.ErrExist) {
		w.check(err)
	}
	p := &Process{}
	p.cmd = exec.Command("bash", "-euc", strings.Replace(lines, "bin/rung serve", "exec bin/rung serve", 1)) // #nosec G204 -- lines of the documentation
	p.cmd.Dir = w.Dir
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.Dir, "TMPDIR=" + w.Dir}, settings...)
	p, err := w.launch(p)
	w.check(err)
	return p
}

// Setting is the value of one of the settings that Serve gives to rung.
func (w *World) Setting(name string) string {
	w.tb.Helper()
	for _, s := range w.env {
		if value, ok := strings.CutPrefix(s, name+"="); ok {
			return value
		}
	}
	w.tb.Fatalf("there is no setting %s", name)
	return ""
}

// launch starts a process and returns when it listens.
func (w *World) launch(p *Process) (*Process, error) {
	p.tb, p.ended = w.tb, make(chan struct{})
	out, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.running.Store(true)
	listens := make(chan string, 1)
	go func() {
		p.read(out, listens)
		_ = p.cmd.Wait() // how it ended is the caller's doing
		p.running.Store(false)
		close(p.ended)
	}()
	w.tb.Cleanup(p.Kill)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case p.Addr = <-listens:
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("rung serve ended with code %d: %s", p.cmd.ProcessState.ExitCode(), p.Log())
	case <-timer.C:
		p.Kill()
		return nil, fmt.Errorf("rung serve does not listen: %s", p.Log())
	}
}

// read keeps the last lines of the log and finds the address in it.
func (p *Process) read(out io.Reader, listens chan<- string) {
	s := bufio.NewScanner(out)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		var line struct{ Message, Listen string }
		if json.Unmarshal(s.Bytes(), &line) == nil && line.Listen != "" {
			select {
			case listens <- line.Listen:
			default:
			}
		}
		p.mu.Lock()
		if p.lines = append(p.lines, s.Text()); len(p.lines) > 200 {
			p.lines = p.lines[100:]
		}
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, out)
}

// Log is the last that the process logged.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// Running reports whether the process has not ended.
func (p *Process) Running() bool { return p.running.Load() }

// Kill ends the process at once, as kill -9 does, and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// Stop asks the process to end and waits until it has; its exit code must be 0.
func (p *Process) Stop() {
	p.tb.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		p.Kill()
		p.tb.Fatalf("rung serve does not stop:\n%s", p.Log())
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.tb.Errorf("rung serve ended with code %d:\n%s", code, p.Log())
	}
}

// Freeze stops the process where it stands, as SIGSTOP does; Thaw lets it go on. It
// returns when all of it stands still: where there is much to do, a signal waits until
// the one thread runs that it is for, and the others go on meanwhile.
func (p *Process) Freeze() {
	p.tb.Helper()
	p.signal(syscall.SIGSTOP)
	if !comes(p.still, time.Millisecond) {
		p.tb.Error("waited in vain until rung stands still")
	}
}

// still reports whether every thread of the process is stopped, where the system says
// so in /proc.
func (p *Process) still() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	if err != nil {
		return true
	}
	for _, name := range threads {
		data, err := os.ReadFile(name) // #nosec G304 -- of /proc
		if _, state, ok := strings.Cut(string(data), ") "); err == nil && ok && state[0] != 'T' {
			return false
		}
	}
	return true
}

// Thaw lets a frozen process go on.
func (p *Process) Thaw() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.tb.Errorf("signal %s: %v", s, err)
	}
}

// Forget deletes the process's data directory; it must have ended.
func (p *Process) Forget() {
	p.tb.Helper()
	if p.Running() {
		p.tb.Fatal("the data directory is deleted only while rung does not run")
	}
	if err := os.RemoveAll(p.Data); err != nil {
		p.tb.Fatal(err)
	}
}

// Board reads a page of the board.
func (p *Process) Board(path string) string {
	p.tb.Helper()
	res, err := http.Get("http://" + p.Addr + path)
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	return string(text)
}
