package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/settings"
)

func TestDemoRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		path string
		want string
	}{
		{"two ways at once", []string{"demo", "--auto", "--world"}, "", "--auto and --world can't be used together"},
		{"no git", []string{"demo", "--auto"}, t.TempDir(), "install git 2.38"},
		{"ports beyond the last", []string{"demo", "--world", "--port", "65534"}, "", "between 1 and 65532"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.path != "" {
				t.Setenv("PATH", c.path)
			}
			var out, problem bytes.Buffer
			if code := run(t.Context(), c.args, streams{in: strings.NewReader(""), out: &out, err: &problem}); code != 2 {
				t.Errorf("exit code %d", code)
			}
			if !strings.Contains(problem.String(), c.want) {
				t.Errorf("%q does not say %q", problem.String(), c.want)
			}
		})
	}
}

// TestDemoWorldServesUntilStopped: what --world prints is an environment that
// serve takes; being told to stop is no failure.
func TestDemoWorldServesUntilStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reader, out := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"demo", "--world", "--json", "--dir", t.TempDir()}, streams{in: strings.NewReader(""), out: out, err: io.Discard})
		_ = out.Close()
	}()
	line, err := bufio.NewReader(reader).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var first struct {
		Environ map[string]string `json:"environ"`
	}
	if err := json.Unmarshal(line, &first); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	var environ []string
	for name, value := range first.Environ {
		environ = append(environ, name+"="+value)
	}
	s, err := settings.Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckServe(); err != nil {
		t.Error(err)
	}
	stop()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d", got)
	}
}
