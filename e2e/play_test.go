package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// play is a world that a Go test plays in.
type play struct {
	*testing.T
	ctx context.Context
	w   *world
}

// newPlay starts a world in this process; config is its rung.yaml, empty for the
// stories' own.
func newPlay(t *testing.T, config string) *play {
	t.Helper()
	p := newPlayOf(t, false, config)
	p.until("recorded", "^settle")
	return p
}

// newPlayOf is newPlay, before the ledger; empty leaves rung.yaml away.
func newPlayOf(t *testing.T, empty bool, config string) *play {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	dir := t.TempDir()
	if config != "" {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "repo"), 0o700), os.WriteFile(filepath.Join(dir, "repo", "rung.yaml"), []byte(config), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return &play{t, ctx, startedWorld(ctx, t, dir, empty)}
}

// startedWorld is a world with rung inside this process, closed when the test ends.
func startedWorld(ctx context.Context, t *testing.T, dir string, empty bool) *world {
	t.Helper()
	w, err := newWorld(ctx, dir, empty)
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	if err == nil {
		err = w.startInside(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (p *play) do(what string, args ...string) {
	p.Helper()
	if _, err := acts[what].do(p.ctx, p.w, args); err != nil {
		p.Fatalf("%s %v: %v\n%s", what, args, err, p.w.describe(context.WithoutCancel(p.ctx)))
	}
}

func (p *play) until(verb string, args ...string) {
	p.Helper()
	for {
		if ok, _, err := looks[verb].see(p.ctx, p.w, args); ok && err == nil {
			return
		}
		if pause(p.ctx) != nil {
			p.Fatalf("waited in vain until %s %v\n%s", verb, args, p.w.describe(context.WithoutCancel(p.ctx)))
		}
	}
}

// keys runs rung keys in the world's directory.
func (p *play) keys(args ...string) {
	p.Helper()
	rung, err := binary()
	if err != nil {
		p.Fatal(err)
	}
	cmd := exec.CommandContext(p.ctx, rung, append([]string{"keys"}, args...)...) // #nosec G204 -- what was just built
	cmd.Dir = p.w.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		p.Fatalf("rung keys %v: %v\n%s", args, err, out)
	}
}

// propose publishes a version, says so as alice, and sees it proposed for prod.
func (p *play) propose(version string) {
	p.Helper()
	p.do("publish", "checkout", version)
	p.do("dispatch", "checkout", version, "by", "alice")
	p.until("open", "prod", "checkout", version)
}

// settle waits until rung has nothing to do.
func (p *play) settle() {
	p.Helper()
	if err := p.w.settle(p.ctx); err != nil {
		p.Fatal(err)
	}
}

// climb brings a version to prod and returns the commands in its pull request.
func (p *play) climb(version string) (block string) {
	p.Helper()
	p.propose(version)
	pull, err := p.w.promotionPull(p.ctx, "prod", "checkout")
	if err != nil {
		p.Fatal(err)
	}
	_, block, _ = strings.Cut(pull.Body, "```bash\n")
	block, _, closed := strings.Cut(block, "```")
	if !closed {
		p.Fatalf("the pull request's body has no block of commands:\n%s", pull.Body)
	}
	p.do("review", "bob", "approve", fmt.Sprint(pull.Number))
	p.until("live", "prod", "checkout", version)
	p.until("settled", "prod", "checkout", "good")
	p.settle()
	return block
}

// mirror is a bare copy of the repository.
func (p *play) mirror() string {
	p.Helper()
	bare := filepath.Join(p.TempDir(), "environments.git")
	git(p.T, ".", "clone", "-q", "--mirror", p.w.front.URL+"/"+gitops+".git", bare)
	return bare
}

func (p *play) file(name, text string) {
	p.Helper()
	path := filepath.Join(p.w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
}

// newest is the number of the newest pull request of checkout in an environment.
func (p *play) newest(environment string) string {
	p.Helper()
	pr, err := p.w.promotionPull(p.ctx, environment, "checkout")
	if err != nil {
		p.Fatal(err)
	}
	return strconv.Itoa(pr.Number)
}

// onboard merges the pull request that names the ledger.
func (p *play) onboard() {
	p.Helper()
	for {
		st, err := p.w.state(p.ctx)
		if err != nil {
			p.Fatal(err)
		}
		for _, pr := range st.Pulls {
			if pr.Head == "rung/onboard" && pr.State == "open" {
				p.do("merge", "alice", strconv.Itoa(pr.Number))
				return
			}
		}
		if err := pause(p.ctx); err != nil {
			p.Fatalf("there is no pull request that names the ledger\n%s", p.w.describe(context.WithoutCancel(p.ctx)))
		}
	}
}
