package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVerifyCannotJudge: what is no repository, or has no ledger, is exit 2 with
// what to do, never 0.
func TestVerifyCannotJudge(t *testing.T) {
	bare := filepath.Join(t.TempDir(), "bare.git")
	if out, err := exec.Command("git", "init", "-q", "--bare", bare).CombinedOutput(); err != nil {
		t.Fatal(string(out), err)
	}
	empty := t.TempDir()
	notes := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(notes, []byte("remember the milk\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		out  string
		err  string
	}{
		{"nowhere", []string{"verify", filepath.Join(empty, "nowhere")}, "", "nowhere"},
		{"no repository", []string{"verify", empty}, "", "name a local clone"},
		{"no ledger", []string{"verify", bare}, "LEDGER_MISSING", ""},
		{"no ledger, as JSON", []string{"verify", "--json", bare}, `"code": "LEDGER_MISSING"`, ""},
		{"a time that is none", []string{"verify", "--since", "yesterday", bare}, "", "--since"},
		{"an environment that is none", []string{"verify", "--environment", "PROD/../x", bare}, "", "--environment"},
		{"a checkpoint that is none", []string{"verify", "--checkpoint", notes, bare}, "", "can't be read at byte"},
		{"a checkpoint where no file can be", []string{"verify", "--checkpoint", filepath.Join(notes, "seen"), bare}, "", "--checkpoint"},
		{"a URL without TLS", []string{"verify", "http://git.example.com/acme/deploy"}, "", "use https"},
		{"a URL where nobody answers", []string{"verify", "http://127.0.0.1:1/acme/deploy"}, "", "refused"},
		{"a flag that is not there", []string{"verify", "--lax", bare}, "", "lax"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, err bytes.Buffer
			if code := run(t.Context(), c.args, streams{out: &out, err: &err, env: os.Environ()}); code != 2 {
				t.Errorf("exit %d, want 2", code)
			}
			if !strings.Contains(out.String(), c.out) || !strings.Contains(err.String(), c.err) {
				t.Errorf("out %q, err %q", out.String(), err.String())
			}
			if strings.Contains(c.name, "JSON") && !json.Valid(out.Bytes()) {
				t.Error("no JSON:", out.String())
			}
		})
	}
}
