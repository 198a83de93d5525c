package demo

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// check looks at what the play left behind and fills the Summary: with `rung
// verify`, with stock git and ssh-keygen, and by comparing the environments'
// files with the ledger and, when it was played to its end, with the play.
func (st *stage) check(ctx context.Context, sum *Summary, whole bool) {
	st.teller.say("The check: rung verify, stock git, and the files against the ledger.")
	for _, part := range []struct {
		name string
		run  func(context.Context, *Summary) (string, error)
	}{
		{"rung verify", st.world.verify},
		{"git fsck", st.world.fsck},
		{"signatures by stock git", st.world.signatures},
		{"environments against the ledger", st.world.compare},
		{"the play's end", func(ctx context.Context, sum *Summary) (string, error) {
			if !whole {
				return "", errors.New("the play did not reach its end")
			}
			return played(sum)
		}},
	} {
		found, err := part.run(ctx, sum)
		ok := err == nil
		text := part.name + ": " + found
		if err != nil {
			text = part.name + ": " + err.Error()
			sum.Differences = append(sum.Differences, text)
		}
		st.teller.tell(Step{Kind: StepFound, Text: text, OK: &ok})
	}
	st.world.count(sum)
}

// count adds the requests that rung made. A read that had not changed is free
// of charge and a token is no request of rung's choosing, so neither is in the
// total.
func (w *World) count(sum *Summary) {
	c := w.emulator.Counts()
	sum.API = map[string]int{"total": c.Total}
	for class, n := range c.ByClass {
		sum.API[string(class)] = n
	}
}

// git runs stock git on the bare repository, with no configuration but its own.
func (w *World) gitRun(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"--no-replace-objects", "-C", w.RepositoryPath()}, args...)...) // #nosec G204 -- arguments of this package
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "LC_ALL=C", "TZ=UTC")
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(problem.String() + out.String())
		if len(text) > 500 {
			text = strings.ToValidUTF8(text[:500], "") + "…"
		}
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, text)
	}
	return out.String(), nil
}

func (w *World) fsck(ctx context.Context, _ *Summary) (string, error) {
	if _, err := w.gitRun(ctx, "fsck", "--strict", "--full", "--no-dangling", "--no-progress"); err != nil {
		return "", err
	}
	return "every object is sound", nil
}

// signatures lets git and ssh-keygen judge every ledger commit and every
// promotion commit that landed, by the trust list of the ledger's first commit,
// which must name this world's key and no other.
func (w *World) signatures(ctx context.Context, sum *Summary) (string, error) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		return "", fmt.Errorf("git needs ssh-keygen to check signatures; install OpenSSH: %w", err)
	}
	first, err := w.gitRun(ctx, "rev-list", "--first-parent", "--max-parents=0", "rung/ledger")
	if err != nil {
		return "", err
	}
	signers, err := w.gitRun(ctx, "show", strings.TrimSpace(first)+":allowed_signers")
	if err != nil {
		return "", err
	}
	key := strings.Join(strings.Fields(w.ReleaseKey())[:2], " ")
	for line := range strings.Lines(signers) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, key) {
			return "", fmt.Errorf("allowed_signers names a key that is not this world's: %.200s", line)
		}
	}
	dir, err := os.MkdirTemp("", "rung-signers-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "signers")
	if err := os.WriteFile(file, []byte(signers), 0o600); err != nil {
		return "", err
	}
	trust := []string{"-c", "gpg.ssh.allowedSignersFile=" + file, "-c", "gpg.minTrustLevel=fully", "-c", "gpg.program=false", "-c", "gpg.x509.program=false"}
	listed, err := w.gitRun(ctx, append(trust, "log", "--first-parent", "--format=%h %G? %GF %s", "rung/ledger")...)
	if err != nil {
		return "", err
	}
	good := 0
	for line := range strings.Lines(listed) {
		if fields := strings.Fields(line); len(fields) < 3 || fields[1] != "G" || fields[2] != w.Fingerprint() {
			return "", fmt.Errorf("a ledger commit is not signed by %s: %s", w.Fingerprint(), strings.TrimSpace(line))
		}
		good++
	}
	heads, err := w.landedHeads(ctx, sum)
	if err != nil {
		return "", err
	}
	for _, head := range heads {
		if _, err := w.gitRun(ctx, append(trust, "verify-commit", head)...); err != nil {
			return "", fmt.Errorf("promotion commit %.7s: %w", head, err)
		}
	}
	return fmt.Sprintf("%d ledger commits and %d promotion commits are good", good, len(heads)), nil
}

// landedHeads are the heads that landed, and the counts of promotions and
// rollbacks, from the ledger.
func (w *World) landedHeads(ctx context.Context, sum *Summary) ([]string, error) {
	entries, err := w.Records(ctx)
	if err != nil {
		return nil, err
	}
	var heads []string
	for _, e := range entries {
		r := e.Record
		if r.Kind != promotion.RecordLand {
			continue
		}
		if r.Restores == "" {
			sum.Promotions++
		} else {
			sum.Rollbacks++
		}
		if r.PullRequest == nil || r.PullRequest.Head == "" {
			return nil, fmt.Errorf("the land record of %s %s names no head", r.Environment, r.Artifact.Name)
		}
		heads = append(heads, string(r.PullRequest.Head))
	}
	return heads, nil
}

// compare holds what main names against what the ledger says is live. It reads
// the ledger's files with stock git and plain JSON.
func (w *World) compare(ctx context.Context, sum *Summary) (string, error) {
	live, err := w.Live(ctx)
	if err != nil {
		return "", err
	}
	sum.Environments = map[promotion.Environment]map[promotion.Artifact]promotion.Value{}
	for pair, v := range live {
		if sum.Environments[pair.Environment] == nil {
			sum.Environments[pair.Environment] = map[promotion.Artifact]promotion.Value{}
		}
		sum.Environments[pair.Environment][pair.Artifact] = v
	}
	listed, err := w.gitRun(ctx, "ls-tree", "-r", "--name-only", "rung/ledger", "live/")
	if err != nil {
		return "", err
	}
	recorded := 0
	for path := range strings.Lines(listed) {
		path = strings.TrimSpace(path)
		text, err := w.gitRun(ctx, "show", "rung/ledger:"+path)
		if err != nil {
			return "", err
		}
		pair, v, err := liveRecord(text)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		if pair.Artifact == "" {
			continue // a range of configuration
		}
		recorded++
		if live[pair] != v {
			return "", fmt.Errorf("%s: main names %s at %s, the ledger says %s at %s", pair, live[pair].Version, live[pair].Digest.Short(), v.Version, v.Digest.Short())
		}
	}
	if recorded != len(live) {
		return "", fmt.Errorf("main names %d releases, the ledger %d", len(live), recorded)
	}
	return fmt.Sprintf("%d releases agree", recorded), nil
}

// liveRecord reads the pair and value of a live file's first line.
func liveRecord(text string) (promotion.Pair, promotion.Value, error) {
	line, _, _ := strings.Cut(text, "\n")
	var envelope struct {
		Payload []byte `json:"payload"`
	}
	if err := json.Unmarshal([]byte(line), &envelope); err != nil {
		var corrupt base64.CorruptInputError
		if errors.As(err, &corrupt) {
			return promotion.Pair{}, promotion.Value{}, errors.New("the payload is not base64")
		}
		return promotion.Pair{}, promotion.Value{}, err
	}
	var statement struct {
		Predicate struct {
			Environment promotion.Environment `json:"environment"`
			Artifact    struct {
				Name    promotion.Artifact `json:"name"`
				Version promotion.Version  `json:"version"`
				Digest  promotion.Digest   `json:"digest"`
			} `json:"artifact"`
		} `json:"predicate"`
	}
	err := json.Unmarshal(envelope.Payload, &statement)
	a := statement.Predicate.Artifact
	return promotion.Pair{Environment: statement.Predicate.Environment, Artifact: a.Name}, promotion.Value{Version: a.Version, Digest: a.Digest}, err
}

// played compares the end with what the play is about.
func played(sum *Summary) (string, error) {
	for _, e := range rungs {
		for artifact, version := range expected {
			if got := sum.Environments[e][artifact]; got.Version != version {
				return "", fmt.Errorf("%s in %s is at %s, not at %s", artifact, e, got.Version, version)
			}
		}
	}
	if sum.Promotions == 0 || sum.Rollbacks == 0 {
		return "", fmt.Errorf("%d promotions and %d rollbacks landed", sum.Promotions, sum.Rollbacks)
	}
	return "every environment is where it ought to be", nil
}
