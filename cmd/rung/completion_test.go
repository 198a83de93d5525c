package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWordsAreCompleted(t *testing.T) {
	all, everywhere, err := commandTable()
	if err != nil {
		t.Fatal(err)
	}
	names := func(kind string) []string {
		return map[string][]string{"artifact": {"cart", "checkout"}, "environment": {"dev", "prod"}, "repository": {"acme/gitops"}}[kind]
	}
	for _, c := range []struct{ name, line, want string }{
		{"a command", "ver", "verify"},
		{"several", "s", "setup serve status"},
		{"a command of two words", "keys r", "rotate revoke"},
		{"a hidden one", "complet", "completion"},
		{"a flag", "audit --out", "--output="},
		{"a flag of all commands", "validate --set", "--settings="},
		{"a value of a flag", "audit --output=j", "--output=json"},
		{"a value behind a flag", "audit -o c", "csv"},
		{"an artifact", "why c", "cart checkout"},
		{"an environment behind it", "why cart p", "prod"},
		{"behind flags", "why --json --repository x cart ", "dev prod"},
		{"a repository", "status ", "acme/gitops"},
		{"what may be repeated", "doctor acme/gitops a", "acme/gitops"},
		{"a choice", "completion ", "bash zsh fish"},
		{"a path is the shell's", "validate ", ":files"},
		{"a file too", "audit prod --bundle=x", ":files"},
		{"too many words", "why cart prod ", ""},
		{"nothing that is known", "nonsense ", ""},
		{"an unknown flag's value", "why --nonsense=x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(completed(all, everywhere, strings.Split(c.line, " "), names), " ")
			if got != c.want {
				t.Errorf("%q becomes %q, want %q", c.line, got, c.want)
			}
		})
	}
}

// TestBashCompletes asks a real bash what it would put in.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	rung, err := program()
	if err != nil {
		t.Fatal(err)
	}
	here := t.TempDir()
	config := "version: 1\nartifacts:\n  checkout: {image: ghcr.io/acme/checkout}\nenvironments:\n  dev: {}\n  prod: {after: [dev]}\n"
	if err := os.WriteFile(filepath.Join(here, "rung.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	script := `source <("$1" completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_rung
printf '%s\n' "${COMPREPLY[@]}"`
	for _, c := range []struct {
		name  string
		words []string
		want  []string
	}{
		{"a command", []string{"hist"}, []string{"history"}},
		{"an artifact", []string{"why", ""}, []string{"checkout"}},
		{"an environment", []string{"why", "checkout", ""}, []string{"dev", "prod"}},
		{"a value, which bash takes apart at =", []string{"audit", "dev", "--output", "=", "j"}, []string{"json"}},
		{"all values", []string{"audit", "dev", "--output", "="}, []string{"text", "json", "csv", "html"}},
		{"nothing", []string{"why", "checkout", "dev", ""}, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(bash, append([]string{"--norc", "-c", script, "bash", rung}, c.words...)...)
			cmd.Dir = here
			var complaints bytes.Buffer
			cmd.Stderr = &complaints
			out, err := cmd.Output()
			if err != nil || complaints.Len() > 0 {
				t.Fatalf("%v: %s", err, &complaints)
			}
			if got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"); !slices.Equal(got, c.want) {
				t.Errorf("bash puts in %q, want %q", got, c.want)
			}
		})
	}
}

// TestOtherShellsTakeTheirScripts runs where those shells are.
func TestOtherShellsTakeTheirScripts(t *testing.T) {
	for shell, check := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}} {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip(shell + " is not installed")
			}
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte(completionScripts[shell]), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(path, append(check, file)...).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
