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
func (w *World) check(ctx context.Context, t *teller, whole bool) (sum Summary) {
	for _, part := range []struct {
		name string
		run  func(context.Context, *Summary) (string, error)
	}{
		{"rung verify", w.verify},
		{"the ledger, read again", w.agree},
		{"git fsck", w.fsck},
		{"signatures by stock git", w.signatures},
		{"environments against the ledger", w.compare},
		{"the play's end", func(_ context.Context, sum *Summary) (string, error) { return played(sum, whole) }},
	} {
		found, err := part.run(ctx, &sum)
		ok := err == nil
		text := part.name + ": " + found
		if err != nil {
			text = part.name + ": " + err.Error()
			sum.Differences = append(sum.Differences, text)
		}
		t.tell(Step{Kind: StepFound, Text: text, OK: &ok})
	}
	w.count(&sum)
	sum.OK = len(sum.Differences) == 0
	return sum
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

// gitRun runs stock git on the bare repository, with no configuration but its own.
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
func (w *World) signatures(ctx context.Context, _ *Summary) (string, error) {
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
	good, err := w.allGood("ledger", listed)
	if err != nil {
		return "", err
	}
	heads, err := w.landedHeads(ctx)
	if err != nil {
		return "", err
	}
	listed, err = w.gitRun(ctx, append(append(trust, "log", "--no-walk=unsorted", "--format=%h %G? %GF %s"), heads...)...)
	if err != nil {
		return "", err
	}
	landed, err := w.allGood("promotion", listed)
	return fmt.Sprintf("%d ledger commits and %d promotion commits are good", good, landed), err
}

// allGood counts the lines of git log, each of which must be a commit that is
// well signed by this world's key.
func (w *World) allGood(kind, listed string) (int, error) {
	n := 0
	for line := range strings.Lines(listed) {
		if fields := strings.Fields(line); len(fields) < 3 || fields[1] != "G" || fields[2] != w.Fingerprint() {
			return n, fmt.Errorf("a %s commit is not signed by %s: %s", kind, w.Fingerprint(), strings.TrimSpace(line))
		}
		n++
	}
	if n == 0 {
		return 0, fmt.Errorf("there is no %s commit", kind)
	}
	return n, nil
}

// landed counts the promotions and rollbacks that landed, by the ledger.
func (w *World) landed(ctx context.Context) (promotions, rollbacks int, err error) {
	entries, err := w.Records(ctx)
	for _, e := range entries {
		switch {
		case e.Record.Kind != promotion.RecordLand:
		case e.Record.Restores == "":
			promotions++
		default:
			rollbacks++
		}
	}
	return promotions, rollbacks, err
}

// landedHeads are the commits of the promotions that landed.
func (w *World) landedHeads(ctx context.Context) ([]string, error) {
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
		if r.PullRequest == nil || r.PullRequest.Head == "" {
			return nil, fmt.Errorf("the land record of %s %s names no head", r.Environment, r.Artifact.Name)
		}
		heads = append(heads, string(r.PullRequest.Head))
	}
	if len(heads) == 0 {
		return nil, errors.New("nothing landed")
	}
	return heads, nil
}

// environments is what main names, by environment.
func (w *World) environments(ctx context.Context) (Environments, error) {
	live, err := w.Live(ctx)
	all := Environments{}
	for pair, v := range live {
		if all[pair.Environment] == nil {
			all[pair.Environment] = map[promotion.Artifact]promotion.Value{}
		}
		all[pair.Environment][pair.Artifact] = v
	}
	return all, err
}

// compare holds what main names against what the ledger says is live. It reads
// the ledger's files with stock git and plain JSON.
func (w *World) compare(ctx context.Context, _ *Summary) (string, error) {
	live, err := w.Live(ctx)
	if err != nil {
		return "", err
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
func played(sum *Summary, whole bool) (string, error) {
	if !whole {
		return "", errors.New("the play did not reach its end")
	}
	for _, e := range rungs {
		for artifact, version := range expected {
			if got := sum.Environments[e][artifact]; got.Version != version {
				return "", fmt.Errorf("%s in %s is at %q, not at %s", artifact, e, got.Version, version)
			}
		}
	}
	if sum.Promotions != playedPromotions || sum.Rollbacks != playedRollbacks {
		return "", fmt.Errorf("%d promotions and %d rollbacks landed, not %d and %d", sum.Promotions, sum.Rollbacks, playedPromotions, playedRollbacks)
	}
	return "every environment is where it ought to be", nil
}
