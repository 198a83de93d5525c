package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// usage is what a process used, its children included.
type usage struct {
	CPU, Clock time.Duration
	Memory     int64 // bytes, at most
}

// used runs a command and returns what it printed and used. It is started by a
// small process of its own: the kernel counts the peak of whoever starts a process
// into that of the process, and the bench grows larger than what it measures.
func used(cmd *exec.Cmd) (printed []byte, u usage, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, u, err
	}
	dir, err := os.MkdirTemp("", "rung-bench-")
	if err != nil {
		return nil, u, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	into := filepath.Join(dir, "usage.json")
	what := strings.Join(cmd.Args[:2], " ")
	cmd.Args = append([]string{self, "-measure", into, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = self
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return nil, u, fmt.Errorf("%s: %w: %.2000s", what, err, complaints.Bytes())
	}
	text, err := os.ReadFile(into) // #nosec G304 -- the bench's own file
	if err != nil {
		return nil, u, err
	}
	return out.Bytes(), u, json.Unmarshal(text, &u)
}

// measure is the small process: it runs a command, writes what it used into a file,
// and returns the command's exit code.
func measure(into string, args []string, out, complaints io.Writer) (int, error) {
	runtime.LockOSThread() // the child ends with the thread that started it
	defer runtime.UnlockOSThread()
	cmd := exec.Command(args[0], args[1:]...) // #nosec G204 -- what the bench measures
	cmd.Stdout, cmd.Stderr = out, complaints
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return 2, err
	}
	u := usage{CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), Clock: time.Since(began)}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.Memory = r.Maxrss * 1024
	}
	text, err := json.Marshal(u)
	if err != nil {
		return 2, err
	}
	return cmd.ProcessState.ExitCode(), os.WriteFile(into, text, 0o600)
}
