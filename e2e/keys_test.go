package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// Acts about keys and the settings that name them.
func init() {
	acts["setting"] = act{"setting NAME=VALUE…: of rung, from its next start on; without a value it is taken away", [2]int{1, 9}, doSetting}
	acts["signing-key"] = act{"signing-key FILE: write rung's release key there, and its public half to FILE.pub", [2]int{1, 1}, doSigningKey}
	acts["numbers"] = act{"numbers: set REPOSITORY, APP and URL to what a statement must name", [2]int{0, 0}, doNumbers}
	acts["cut"] = act{"cut FILE: set CUT to what it holds", [2]int{1, 1}, doCut}
	acts["key-of"] = act{"key-of FILE: set KEY to the fingerprint of a public key", [2]int{1, 1}, doKeyOf}
	acts["forge-ledger"] = act{"forge-ledger FILE: a ledger commit that says nothing, signed by the key in FILE", [2]int{1, 1}, doForgeLedger}
	acts["agent"] = act{"agent FILE: OpenSSH's agent holds the key in FILE, and rung's settings name it", [2]int{1, 1}, doAgent}
	acts["say"] = act{"say FILE FILE: the words of the first behind the second", [2]int{2, 2}, doSay}
}

func doSetting(_ context.Context, w *world, args []string) (map[string]string, error) {
	for _, pair := range args {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("%s is not NAME=VALUE", pair)
		}
		w.env = slices.DeleteFunc(w.env, func(p string) bool { return strings.HasPrefix(p, name+"=") })
		if value == "" {
			continue
		}
		value, err := w.fill(value)
		if err != nil {
			return nil, err
		}
		if path := filepath.Join(w.dir, value); strings.HasSuffix(name, "_FILE") {
			value = path
		}
		if path, isFile := strings.CutPrefix(value, "@"); isFile {
			data, err := os.ReadFile(filepath.Join(w.dir, path))
			if err != nil {
				return nil, err
			}
			value = strings.TrimSpace(string(data))
		}
		w.env = append(w.env, name+"="+value)
	}
	return nil, nil
}

func doSigningKey(_ context.Context, w *world, args []string) (map[string]string, error) {
	for _, pair := range w.env {
		text, ok := strings.CutPrefix(pair, "RUNG_SIGNING_KEY=")
		if !ok {
			continue
		}
		key, err := sign.LoadKey([]byte(text))
		if err != nil {
			return nil, err
		}
		path := filepath.Join(w.dir, args[0])
		return map[string]string{"OLD": key.Public().Fingerprint()}, errors.Join(
			os.WriteFile(path, []byte(text), 0o600),
			os.WriteFile(path+".pub", []byte(key.Public().AuthorizedKey()+" old\n"), 0o600))
	}
	return nil, errors.New("rung has no RUNG_SIGNING_KEY")
}

func doNumbers(ctx context.Context, w *world, _ []string) (map[string]string, error) {
	st, err := w.state(ctx)
	return map[string]string{"REPOSITORY": fmt.Sprint(st.ID), "APP": fmt.Sprint(appID), "URL": w.front.URL + "/" + w.name}, err
}

func doSay(_ context.Context, w *world, args []string) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(w.dir, args[0]))
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(w.dir, args[1]), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(data)
	return nil, errors.Join(err, f.Close())
}

func doCut(_ context.Context, w *world, args []string) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(w.dir, args[0]))
	return map[string]string{"CUT": strings.TrimSpace(string(data))}, err
}

func doKeyOf(_ context.Context, w *world, args []string) (map[string]string, error) {
	k, err := sign.LoadPublicKeyFile(filepath.Join(w.dir, args[0]))
	return map[string]string{"KEY": k.Fingerprint()}, err
}

func doForgeLedger(ctx context.Context, w *world, args []string) (map[string]string, error) {
	key, err := sign.LoadKeyFile(filepath.Join(w.dir, args[0]))
	if err != nil {
		return nil, err
	}
	refs, err := w.git.Refs(ctx, promotion.LedgerRef)
	if err != nil {
		return nil, err
	}
	remote, err := gitrepo.Open(w.front.URL+"/"+w.name+".git", http.DefaultClient, gitrepo.Options{})
	if err != nil {
		return nil, err
	}
	tip := promotion.Hash(refs[promotion.LedgerRef])
	if err := remote.Fetch(ctx, tip); err != nil {
		return nil, err
	}
	last, err := remote.Commit(ctx, tip)
	if err != nil {
		return nil, err
	}
	t, err := ledger.ParseTrailers(last.Message)
	if err != nil {
		return nil, err
	}
	who := gitrepo.Ident{Name: "rung[bot]", Email: "rung@example.com", When: time.Now()}
	forged, err := remote.WriteCommit(ctx, gitrepo.CommitSpec{
		Tree: last.Tree, Parents: []promotion.Hash{tip}, Author: who, Committer: who, Message: "say nothing\n\n" + ledger.Trailers{Base: t.Base}.String(), Sign: key.Sign,
	})
	if err != nil {
		return nil, err
	}
	c, err := remote.Commit(ctx, forged)
	if err != nil {
		return nil, err
	}
	if _, err := w.git.WriteObject(ctx, "commit", c.Raw); err != nil {
		return nil, err
	}
	return nil, w.emu.MoveBranch(ctx, w.name, "alice", strings.TrimPrefix(promotion.LedgerRef, "refs/heads/"), string(forged))
}

func doAgent(ctx context.Context, w *world, args []string) (map[string]string, error) {
	dir, err := os.MkdirTemp("", "agent") // a socket's path is short
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "s")
	daemon := exec.Command("ssh-agent", "-D", "-a", socket) // #nosec G204 -- a fixed command
	if err := daemon.Start(); err != nil {
		return nil, err
	}
	w.closers = append(w.closers, func() {
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
		_ = os.RemoveAll(dir)
	})
	file := filepath.Join(w.dir, args[0])
	for {
		add := exec.CommandContext(ctx, "ssh-add", file) // #nosec G204 -- the story's own file
		add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
		out, err := add.CombinedOutput()
		if err == nil {
			break
		}
		if pause(ctx) != nil {
			return nil, fmt.Errorf("ssh-add: %w: %s", err, out)
		}
	}
	if err := os.Remove(file); err != nil {
		return nil, err
	}
	return doSetting(ctx, w, []string{"RUNG_SIGNING_KEY=", "RUNG_SIGNING_KEY_AGENT=@" + args[0] + ".pub", "SSH_AUTH_SOCK=" + socket})
}

// TestTheStockCheckOutlivesTheKey: the commands in a pull request's body hold after
// its key was replaced, and so do those of a pull request by the new key.
func TestTheStockCheckOutlivesTheKey(t *testing.T) {
	t.Parallel()
	p := newPlay(t, "")
	before := p.climb("1.1.0")
	p.do("signing-key", "old")
	p.keys("init", "--only", "release", ".")
	git(t, p.w.dir, "clone", "-q", p.w.front.URL+"/"+gitops+".git", "clone")
	p.keys("rotate", "clone", "--root-key", "old", "--release", "rung-release.pub", "--overlap", "1h", "-o", "trust.jsonl")
	p.do("setting", "RUNG_SIGNING_KEY=", "RUNG_SIGNING_KEY_FILE=rung-release", "RUNG_ROOT_KEYS=@old.pub", "RUNG_TRUST_FILE=trust.jsonl")
	p.do("restart")
	p.until("recorded", "^rotate to trust list 1")
	after := p.climb("1.2.0")
	bare := p.mirror()
	for name, block := range map[string]string{"from before the rotation": before, "from after it": after} {
		out, err := runBlock(t, bare, block)
		if err != nil || verified(t, out) < 6 {
			t.Errorf("the block %s: %v\n%s", name, err, out)
		}
		if n := strings.Count(out, "(ED25519)"); n != 2 {
			t.Errorf("the block %s shows %d fingerprints, want both keys':\n%s", name, n, out)
		}
	}
	git(t, bare, "update-ref", "refs/heads/rung/ledger", "rung/ledger~6")
	if out, err := runBlock(t, bare, after); err == nil || !strings.Contains(out, "the ledger does not go on from ") {
		t.Errorf("a ledger whose tail is cut passes (%v):\n%s", err, out)
	}
}

// TestTheStockCheckOfTheForgesCommit: where GitHub makes the promotion commit, the
// commands compare its tree with the one in the signed record.
func TestTheStockCheckOfTheForgesCommit(t *testing.T) {
	t.Parallel()
	p := newPlay(t, strings.Replace(defaultConfig, "mode: merge\n", "mode: merge\ncommits: github\n", 1))
	block := p.climb("1.1.0")
	bare := p.mirror()
	out, err := runBlock(t, bare, block)
	if err != nil || verified(t, out) < 6 || !strings.Contains(out, `"tree":"`) {
		t.Errorf("%v\n%s", err, out)
	}
	head := regexp.MustCompile(`rev-parse '([0-9a-f]{40})\^\{tree\}'`).FindStringSubmatch(block)
	if head == nil {
		t.Fatalf("the block compares no tree:\n%s", block)
	}
	other := strings.TrimSpace(git(t, bare, "rev-parse", "main^1"))
	if out, err := runBlock(t, bare, strings.ReplaceAll(block, head[1], other)); err == nil {
		t.Errorf("another commit passes for the promotion's:\n%s", out)
	}
}
