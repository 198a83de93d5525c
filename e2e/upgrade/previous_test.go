// Package upgrade holds rung to what docs/upgrades.md promises: the version before
// this one, built from git's history, and this one work in turn on one data directory
// and one repository, and each verifies what the other wrote; and what earlier versions
// read and wrote, kept in corpus, means today what it meant then.
//
// State: previous names the commit that is the version before. Files of corpus are only
// added. What it does not do: it promises nothing of two versions that run at once
// (e2e/kill has two processes of one version).
package upgrade

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rungbot/rung/e2e/world"
)

const root = "../.."

var binary string

func TestMain(m *testing.M) {
	world.Main(func(dir, built string) int {
		scratch, binary = dir, built
		return m.Run()
	})
}

// previousCommit is the commit that the file names.
func previousCommit(text string) (string, error) {
	var commits []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			commits = append(commits, line)
		}
	}
	if len(commits) != 1 || !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(commits[0]) {
		return "", fmt.Errorf("e2e/upgrade/previous must name one commit by its 40 hexadecimal digits, not %q", commits)
	}
	return commits[0], nil
}

// reachable says in a sentence why a clone can't give the version of a commit, if so.
func reachable(clone, commit string) error {
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", clone}, args...)...).CombinedOutput() // #nosec G204 -- a test's own words
		return strings.TrimSpace(string(out)), err
	}
	shallow, err := git("rev-parse", "--is-shallow-repository")
	if err != nil {
		return fmt.Errorf("%s is no clone: the version before this one is built from git's history, so run make upgrade in a clone (git says: %s)", clone, shallow)
	}
	if _, err := git("cat-file", "-e", commit+"^{commit}"); err == nil {
		return nil
	}
	if shallow == "true" {
		return fmt.Errorf("the version before this one, commit %s of e2e/upgrade/previous, is not in this clone, which is shallow: run git fetch --unshallow, and then make upgrade again", commit)
	}
	return fmt.Errorf("the version before this one, commit %s of e2e/upgrade/previous, is not in this clone: run git fetch, and if it is not there then, mend that file", commit)
}

// scratch is removed when the tests have ended.
var scratch string

// previous is the version before this one, built once: its binary, and the directory of
// its sources.
var previous = sync.OnceValues(func() (built [2]string, err error) {
	text, err := os.ReadFile("previous")
	if err != nil {
		return built, err
	}
	commit, err := previousCommit(string(text))
	if err == nil {
		err = reachable(root, commit)
	}
	if err != nil {
		return built, err
	}
	built = [2]string{filepath.Join(scratch, "previous"), filepath.Join(scratch, "sources")}
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", `mkdir "$2"; git -C "$1" archive "$3" | tar -x -C "$2"; cd "$2"; go build -o "$4" ./cmd/rung`, "bash", root, built[1], commit, built[0]) // #nosec G204 -- a commit's digits
	if out, err := cmd.CombinedOutput(); err != nil {
		return built, fmt.Errorf("building commit %s: %w\n%s", commit, err, out)
	}
	return built, nil
})

func buildPrevious(t *testing.T) (older, sources string) {
	t.Helper()
	built, err := previous()
	if err != nil {
		t.Fatal(err)
	}
	return built[0], built[1]
}

func TestThePreviousVersionIsNamed(t *testing.T) {
	text, err := os.ReadFile("previous")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := previousCommit(string(text)); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "# nothing\n", "404bc46\n", strings.Repeat("a", 40) + "\n" + strings.Repeat("b", 40) + "\n", "main\n"} {
		if commit, err := previousCommit(bad); err == nil {
			t.Errorf("%q names %s", bad, commit)
		}
	}
}

// TestACloneWithoutThePreviousVersionSaysSo in a sentence that names the way out.
func TestACloneWithoutThePreviousVersionSaysSo(t *testing.T) {
	dir := t.TempDir()
	full, shallow := filepath.Join(dir, "full"), filepath.Join(dir, "shallow")
	cmd := exec.Command("bash", "-euc", `git init -q "$1"; cd "$1"; git config user.name a; git config user.email a@example.com
		git commit -q --allow-empty -m one; git commit -q --allow-empty -m two; git clone -q --depth 1 "file://$1" "$2"; git rev-parse HEAD~1 HEAD`, "bash", full, shallow) // #nosec G204 -- temporary directories
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	commits := strings.Fields(string(out))
	for _, c := range []struct{ clone, commit, says string }{
		{full, commits[0], ""},
		{full, strings.Repeat("a", 40), "is not in this clone: run git fetch"},
		{shallow, commits[1], ""},
		{shallow, commits[0], "which is shallow: run git fetch --unshallow"},
		{dir, commits[0], "is no clone"},
	} {
		err := reachable(c.clone, c.commit)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s of %s: %v, want %q", c.commit, filepath.Base(c.clone), err, c.says)
		}
	}
}
