// Package docs holds the documents to what they say: every block of commands in
// README.md and docs is run as it stands, here or by the test that the table of
// blocks_test.go names, every link leads somewhere, and a newcomer who types what the
// README says gets a version promoted. What a reader must replace (addresses, numbers,
// files) is replaced, and nothing else.
package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/command"
)

var binary string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "gh" {
		if err := gh(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	world.Main(func(_, built string) int {
		binary = built
		code := m.Run()
		if missing := untaken(); code == 0 && flag.Lookup("test.run").Value.String() == "" && len(missing) > 0 {
			fmt.Fprintln(os.Stderr, strings.Join(missing, "\n"))
			code = 1
		}
		return code
	})
}

// gh is the little of GitHub's command line that the README uses: a POST with
// fields, `gh api PATH -f KEY=VALUE -f 'KEY[KEY]=VALUE'`. The server and the token
// are in its environment.
func gh(args []string) error {
	if len(args) < 2 || args[0] != "api" {
		return fmt.Errorf("gh %v: not understood", args)
	}
	body := map[string]any{}
	for i := 2; i+1 < len(args); i += 2 {
		key, value, ok := strings.Cut(args[i+1], "=")
		if args[i] != "-f" || !ok {
			return fmt.Errorf("gh %s %s: not understood", args[i], args[i+1])
		}
		outer, inner, nested := strings.Cut(strings.TrimSuffix(key, "]"), "[")
		if !nested {
			body[key] = value
			continue
		}
		if body[outer] == nil {
			body[outer] = map[string]any{}
		}
		body[outer].(map[string]any)[inner] = value
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, os.Getenv("GH_URL")+"/api/v3/"+args[1], bytes.NewReader(text)) // #nosec G704 -- the emulator's address
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("GH_TOKEN"))
	res, err := http.DefaultClient.Do(req) // #nosec G704 -- the emulator's address
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode/100 != 2 {
		said, _ := io.ReadAll(io.LimitReader(res.Body, 1<<12))
		return fmt.Errorf("%s: %s", res.Status, said)
	}
	return nil
}

// read reads a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTheTwoCommands are all that a fresh machine needs, and what .ci/run types.
func TestTheTwoCommands(t *testing.T) {
	typed := commands(t, "make demo", "README.md")
	if typed != "make demo\nmake test" {
		t.Errorf("the README has other commands than two:\n%s", typed)
	}
	ci := read(t, ".ci/run")
	for _, line := range strings.Split(typed, "\n") {
		if !strings.Contains(ci, line) {
			t.Errorf(".ci/run does not call %q", line)
		}
	}
}

// TestOtherTargetsExist looks up every `make …` of the documents in the Makefile.
func TestOtherTargetsExist(t *testing.T) {
	makefile := read(t, "Makefile")
	for _, file := range documents(t) {
		for _, m := range regexp.MustCompile("`make ([a-z0-9-]+)").FindAllStringSubmatch(read(t, file), -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: there is no target %s", file, m[1])
			}
		}
	}
}

// bash runs lines of the README in a directory and returns what they print.
func bash(t *testing.T, dir, lines string, env ...string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euc", lines) // #nosec G204 -- the README's own words
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", lines, err, out)
	}
	return string(out)
}

// TestTheCommandsThatPeopleWrite: the table has every command there is, and each
// of its forms is understood.
func TestTheCommandsThatPeopleWrite(t *testing.T) {
	_, table, _ := strings.Cut(read(t, "README.md"), "\n## Commands\n")
	table, _, _ = strings.Cut(table, "\n## ")
	replace := strings.NewReplacer(
		"environment or all", "prod", "in environment", "in prod", "to version", "to 1.4.1", "until time", "until 2026-01-02T15:04Z",
		"digest", "sha256:"+strings.Repeat("ab", 32), "artifact", "checkout", "environment", "prod", "reason", "it is broken", "<", "", ">", "")
	optional := regexp.MustCompile(`\[([^\]]*)\]`)
	var seen []string
	for _, m := range regexp.MustCompile("`(/[^`]+)`").FindAllStringSubmatch(table, -1) {
		for _, form := range []string{optional.ReplaceAllString(m[1], "$1"), optional.ReplaceAllString(m[1], "")} {
			line := strings.TrimSpace(replace.Replace(form))
			cmd, is := command.Parse(line)
			if !is || cmd.Error != "" {
				t.Errorf("%s, as %q: %s", m[1], line, cmd.Error)
			}
			if !slices.Contains(seen, cmd.Verb) {
				seen = append(seen, cmd.Verb)
			}
		}
	}
	slices.Sort(seen)
	if !slices.Equal(seen, command.Verbs) {
		t.Errorf("the README tells of %v, there are %v", seen, command.Verbs)
	}
}
