package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/demo"
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

// TestServeJoinsTheDemosWorld: with the environment that --world prints, rung
// serve joins the world as anybody's would, and begins its ledger there; being
// told to stop is no failure of either.
func TestServeJoinsTheDemosWorld(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	dir := t.TempDir()
	reader, out := io.Pipe()
	codes := make(chan int, 2)
	go func() {
		codes <- run(ctx, []string{"demo", "--world", "--json", "--dir", dir}, streams{in: strings.NewReader(""), out: out, err: io.Discard})
		_ = out.Close()
	}()
	line, err := bufio.NewReader(reader).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var first struct {
		Environ map[string]string `json:"environ"`
		Board   string            `json:"board"`
	}
	if err := json.Unmarshal(line, &first); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	var environ []string
	for name, value := range first.Environ {
		environ = append(environ, name+"="+value)
	}
	log, err := os.Create(filepath.Join(t.TempDir(), "serve.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	go func() {
		codes <- run(ctx, []string{"serve"}, streams{in: strings.NewReader(""), out: io.Discard, err: log, env: environ})
	}()
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	joined := (&demo.World{}).WaitFor(waiting, "rung to begin its ledger and show the repository", func(ctx context.Context) (bool, error) {
		if len(codes) > 0 {
			return false, errors.New("one of the two has ended")
		}
		bare := filepath.Join(dir, "github", "acme", "environments.git")
		if exec.CommandContext(ctx, "git", "-C", bare, "rev-parse", "--verify", "--quiet", "rung/ledger").Run() != nil {
			return false, nil
		}
		page := get(ctx, first.Board+"/r/acme/environments")
		return strings.Contains(page, "prod-eu") && strings.Contains(page, "checkout"), nil
	})
	stop()
	for range cap(codes) {
		if got := <-codes; got != 0 {
			t.Errorf("exit code %d", got)
		}
	}
	if joined != nil {
		said, err := os.ReadFile(log.Name())
		t.Fatalf("%v\n%s%v", joined, said, err)
	}
}

// get is a page's text, or nothing while nobody answers.
func get(ctx context.Context, url string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return ""
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}
