package settings

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadFile(t *testing.T) {
	for name, c := range map[string]struct {
		text, want, problem string
	}{
		"as setup writes it": {text: "# Settings of rung\nRUNG_GITHUB_APP_ID=7\n\nRUNG_DATA='/var/lib/my rung'\n", want: "RUNG_GITHUB_APP_ID=7|RUNG_DATA=/var/lib/my rung"},
		"a quote in quotes":  {text: `RUNG_DATA='it'\''s here'`, want: "RUNG_DATA=it's here"},
		"several keys":       {text: "RUNG_ROOT_KEYS='ssh-ed25519 AAAA one,ssh-ed25519 BBBB two'\n", want: "RUNG_ROOT_KEYS=ssh-ed25519 AAAA one,ssh-ed25519 BBBB two"},
		"an agent":           {text: "SSH_AUTH_SOCK=/run/agent.sock\r\n", want: "SSH_AUTH_SOCK=/run/agent.sock"},
		"nothing":            {text: "\n", want: ""},
		"no assignment":      {text: "RUNG_DATA=/a\nserve\n", problem: "rung.env:2: is not understood: write NAME=VALUE"},
		"somebody else's":    {text: "HTTPS_PROXY=http://a\n", problem: "rung.env:1: HTTPS_PROXY is no setting of rung: set it in the environment"},
		"twice":              {text: "RUNG_DATA=/a\nRUNG_DATA=/b\n", problem: "rung.env:2: RUNG_DATA stands in line 1 already"},
		"a space":            {text: "RUNG_DATA=/a b\n", problem: "rung.env:1: the value of RUNG_DATA has a character that shells read otherwise: put it in single quotes"},
		"a variable":         {text: "RUNG_DATA=$HOME/rung\n", problem: "put it in single quotes"},
		"an open quote":      {text: "RUNG_DATA='/a\n", problem: "put it in single quotes"},
		"too long":           {text: strings.Repeat("#\n", maxFile), problem: "a file of settings has 65536 at most"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rung.env")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := ReadFile(path)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Errorf("the error is %v, want %q", err, c.problem)
				}
				return
			}
			if err != nil || strings.Join(got, "|") != c.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "the file of settings can't be read") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// FuzzFile holds what is read to what a shell reads.
func FuzzFile(f *testing.F) {
	for _, s := range []string{"RUNG_DATA=/a", `RUNG_DATA='it'\''s'`, "RUNG_A=''\nRUNG_B=x=y", "RUNG_A=a\tb", "RUNG_A={a,b}", "RUNG_A=!x", "#\nRUNG_A=é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		environ, line, err := parseFile(text)
		if err != nil {
			if line < 1 {
				t.Errorf("no line: %v", err)
			}
			return
		}
		if len(environ) == 0 || strings.ContainsAny(text, "\x00\r\v\f") {
			return
		}
		path := filepath.Join(t.TempDir(), "rung.env")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "-euc", `set -a; . "$1"; env -0`, "bash", path)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("a shell does not take %q: %v", text, err)
		}
		shell := strings.Split(string(out), "\x00")
		for _, pair := range environ {
			if !slices.Contains(shell, pair) {
				t.Errorf("%q is read as %q, which a shell does not", text, pair)
			}
		}
	})
}
