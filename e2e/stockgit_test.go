package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestTheCheckInThePullRequest runs the commands that a promotion's pull request
// shows, as they stand there, by bash in a clone: stock git verifies the
// commits. In twins of the repository that somebody tampered with they fail.
func TestTheCheckInThePullRequest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	block, bare := promoted(ctx, t)
	t.Run("holds", func(t *testing.T) {
		out, err := runBlock(t, bare, block)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if n := verified(t, out); n < 4 {
			t.Errorf("%d commits are verified:\n%s", n, out)
		}
	})
	for name, tamper := range map[string]func(t *testing.T, bare string){
		"a record's message is changed": func(t *testing.T, bare string) {
			raw := git(t, bare, "cat-file", "commit", "rung/ledger")
			forge(t, bare, strings.Replace(raw, "settle", "Settle", 1))
		},
		"an unsigned record is added": func(t *testing.T, bare string) {
			tip := strings.TrimSpace(git(t, bare, "rev-parse", "rung/ledger"))
			tree := strings.TrimSpace(git(t, bare, "rev-parse", "rung/ledger^{tree}"))
			forge(t, bare, "tree "+tree+"\nparent "+tip+"\nauthor r <r@r> 1700000000 +0000\ncommitter r <r@r> 1700000000 +0000\n\nland checkout 6.6.6 in prod\n")
		},
		"a record holds another tree": func(t *testing.T, bare string) {
			raw := git(t, bare, "cat-file", "commit", "rung/ledger")
			other := strings.TrimSpace(git(t, bare, "rev-parse", "main^{tree}"))
			forge(t, bare, regexp.MustCompile(`^tree [0-9a-f]{40}`).ReplaceAllString(raw, "tree "+other))
		},
	} {
		t.Run(name, func(t *testing.T) {
			twin := filepath.Join(t.TempDir(), "twin.git")
			git(t, ".", "clone", "-q", "--mirror", bare, twin)
			tamper(t, twin)
			out, err := runBlock(t, twin, block)
			if err == nil || !regexp.MustCompile(`verified, [1-9][0-9]* bad\n$`).MatchString(out) {
				t.Errorf("the tampered twin passes (%v):\n%s", err, out)
			}
		})
	}
}

// promoted plays a promotion into dev, and returns the block in its pull
// request's body and a bare mirror of the repository after it.
func promoted(ctx context.Context, t *testing.T) (block, bare string) {
	t.Helper()
	w := startedWorld(ctx, t, t.TempDir(), false)
	seen := func(verb string, args ...string) bool {
		ok, _, err := looks[verb].see(ctx, w, args)
		return ok && err == nil
	}
	until := func(verb string, args ...string) {
		t.Helper()
		for !seen(verb, args...) {
			if err := pause(ctx); err != nil {
				t.Fatalf("waited in vain until %s %v\n%s", verb, args, w.describe(context.WithoutCancel(ctx)))
			}
		}
	}
	until("recorded", "^settle")
	if _, err := doPublish(ctx, w, []string{"checkout", "1.1.0"}); err != nil {
		t.Fatal(err)
	}
	if _, err := doDispatch(ctx, w, []string{"checkout", "1.1.0", "by", "alice"}); err != nil {
		t.Fatal(err)
	}
	until("open", "prod", "checkout", "1.1.0")
	if err := w.settle(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := w.promotionPull(ctx, "prod", "checkout")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(p.Body, "```bash\n")
	block, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatalf("the pull request's body has no block of commands:\n%s", p.Body)
	}
	bare = filepath.Join(t.TempDir(), "environments.git")
	git(t, ".", "clone", "-q", "--mirror", w.front.URL+"/"+gitops+".git", bare)
	return block, bare
}

// runBlock runs a pull request's commands by bash in a fresh clone.
func runBlock(t *testing.T, remote, block string) (string, error) {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	git(t, ".", "clone", "-q", remote, clone)
	cmd := exec.Command("bash", "-c", block) // #nosec G204 -- what the test is about
	cmd.Dir, cmd.Env = clone, environ(t)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// verified is how many commits the block's last line counts.
func verified(t *testing.T, out string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^([0-9]+) verified, 0 bad$`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("nothing is counted:\n%s", out)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// forge makes a commit object of the given bytes the ledger's tip.
func forge(t *testing.T, bare, raw string) {
	t.Helper()
	cmd := exec.Command("git", "-C", bare, "hash-object", "-t", "commit", "-w", "--stdin")
	cmd.Env, cmd.Stdin = environ(t), strings.NewReader(raw)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	was := git(t, bare, "rev-parse", "rung/ledger")
	if strings.TrimSpace(out.String()) == strings.TrimSpace(was) {
		t.Fatal("nothing was tampered with")
	}
	git(t, bare, "update-ref", "refs/heads/rung/ledger", strings.TrimSpace(out.String()))
}

// environ is what a stranger's machine has: no settings of its own.
func environ(t *testing.T) []string {
	home := t.TempDir()
	return append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_TERMINAL_PROMPT=0")
}

// git runs stock git; a missing one fails the test.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...) // #nosec G204 -- fixed by the tests
	cmd.Env = environ(t)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, complaint.String())
	}
	return out.String()
}
