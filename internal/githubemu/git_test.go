package githubemu_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitdisk"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

func onDisk(t *testing.T) tweak {
	t.Helper()
	store, err := gitdisk.New(t.TempDir(), gitstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *githubemu.Config) { c.Store = store }
}

// git runs stock git in a clone and returns what it prints, and whether it
// succeeded.
func (w *world) git(dir string, args ...string) (string, bool) {
	w.Helper()
	cmd := exec.CommandContext(w.ctx(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Bob", "GIT_AUTHOR_EMAIL=bob@example.com", "GIT_COMMITTER_NAME=Bob", "GIT_COMMITTER_EMAIL=bob@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func (w *world) mustGit(dir string, args ...string) string {
	w.Helper()
	out, ok := w.git(dir, args...)
	if !ok {
		w.Fatalf("git %s: %s", strings.Join(args, " "), out)
	}
	return out
}

func (w *world) write(dir, path, text string) {
	w.Helper()
	w.ok(os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o750))
	w.ok(os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600))
}

// remote is the clone URL with a person's or an installation's token in it.
func (w *world) remote(user, token string) string {
	u, err := url.Parse(w.web.URL)
	w.ok(err)
	u.User = url.UserPassword(user, token)
	u.Path = "/" + full + ".git"
	return u.String()
}

func (w *world) mint() string {
	w.Helper()
	tok, _, err := w.app.Apps.CreateInstallationToken(w.ctx(), w.inst, nil)
	w.ok(err)
	return tok.GetToken()
}

// stores are what the emulator can stand on.
var stores = map[string]func(*testing.T) tweak{
	"disk":   onDisk,
	"memory": func(*testing.T) tweak { return func(*githubemu.Config) {} },
}

// TestStockGit clones and pushes with git itself.
func TestStockGit(t *testing.T) {
	for name, store := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, store(t))
			hooks := w.listen()
			dir := filepath.Join(t.TempDir(), "clone")
			w.mustGit("", "clone", "-q", w.remote("x-access-token", w.mint()), dir)
			equal(t, "log", strings.Fields(w.mustGit(dir, "log", "--format=%an"))[0], "bob")

			w.ok(os.WriteFile(filepath.Join(dir, "env/dev/app.yaml"), []byte("image: shop:3\n"), 0o600))
			w.mustGit(dir, "checkout", "-q", "-b", "topic")
			w.mustGit(dir, "commit", "-qam", "three")
			w.mustGit(dir, "push", "-q", "origin", "topic")
			equal(t, "pushed", w.file("topic", "env/dev/app.yaml"), "image: shop:3\n")
			equal(t, "events", strings.Join(hooks.events(w), " "), "create push")

			// A push to a head moves its pull request; its deletion closes it.
			p := w.open("topic")
			w.mustGit(dir, "commit", "-q", "--allow-empty", "-m", "four")
			w.mustGit(dir, "push", "-q", "origin", "topic")
			got, _, err := w.bot.PullRequests.Get(t.Context(), "acme", "shop", p.GetNumber())
			w.ok(err)
			equal(t, "head", got.GetHead().GetSHA(), strings.TrimSpace(w.mustGit(dir, "rev-parse", "topic")))
			hooks.reset()
			w.mustGit(dir, "push", "-q", "origin", ":topic")
			got, _, err = w.bot.PullRequests.Get(t.Context(), "acme", "shop", p.GetNumber())
			w.ok(err)
			equal(t, "state", got.GetState(), "closed")
			equal(t, "events", strings.Join(hooks.events(w), " "), "delete push pull_request.closed")

			// The head's commits in the base make it merged.
			w.mustGit(dir, "push", "-q", "origin", "topic")
			q := w.open("topic")
			w.mustGit(dir, "push", "-q", "origin", "topic:main")
			got, _, err = w.bot.PullRequests.Get(t.Context(), "acme", "shop", q.GetNumber())
			w.ok(err)
			equal(t, "merged", got.GetMerged(), true)
			if p, _, _ := w.bot.PullRequests.Get(t.Context(), "acme", "shop", q.GetNumber()); p.GetMergeCommitSHA() != w.tip("main") {
				t.Error("merge commit is not the base's tip")
			}
		})
	}
}

// TestGitAccess tries doors that must be shut.
func TestGitAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(t.TempDir(), "clone")
	for user, password := range map[string]string{"nobody": "", "x-access-token": "ghs_wrong", "eve": w.tokens["eve"]} {
		if out, ok := w.git("", "clone", "-q", w.remote(user, password), dir+user); ok {
			t.Errorf("%s may clone: %s", user, out)
		}
	}
	w.mustGit("", "clone", "-q", w.remote("bob", w.tokens["bob"]), dir)
	w.ok(w.s.SetPermission(full, "bob", "read"))
	w.mustGit(dir, "commit", "-q", "--allow-empty", "-m", "x")
	if out, ok := w.git(dir, "push", "-q", "origin", "HEAD:refs/heads/x"); ok || !contains(out, "403") {
		t.Errorf("a reader's push: %s", out)
	}
	w.ok(w.s.SetPermission(full, "bob", "write"))
	if out, ok := w.git(dir, "push", "-q", "origin", "HEAD:refs/pull/1/head"); ok {
		t.Errorf("push to a hidden ref: %s", out)
	}
}

// TestPushRules pushes against protections and rulesets.
func TestPushRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, onDisk(t))
	dir := filepath.Join(t.TempDir(), "clone")
	w.mustGit("", "clone", "-q", w.remote("bob", w.tokens["bob"]), dir)
	w.mustGit(dir, "commit", "-q", "--allow-empty", "-m", "x")
	before := w.tip("main")

	w.ok(w.s.SetRules(full, githubemu.Ruleset{Protection: true, RequiredChecks: []githubemu.RequiredCheck{{Context: "rung", AppID: appID}}}))
	out, ok := w.git(dir, "push", "origin", "HEAD:main", "HEAD:refs/heads/free")
	if ok || !contains(out, "GH006") || !contains(out, `Required status check "rung" is expected.`) || !contains(out, "(protected branch hook declined)") {
		t.Errorf("push to a protected branch: %s", out)
	}
	equal(t, "main", w.tip("main"), before)
	equal(t, "free", w.tip("free"), strings.TrimSpace(w.mustGit(dir, "rev-parse", "HEAD")))

	w.ok(w.s.SetRules(full, githubemu.Ruleset{RequirePull: true, Bypass: []githubemu.Bypass{{Person: "cat"}}}))
	out, ok = w.git(dir, "push", "--atomic", "origin", "HEAD:main", "HEAD:refs/heads/atom")
	if ok || !contains(out, "GH013") || !contains(out, "Changes must be made through a pull request.") || !contains(out, "atomic") {
		t.Errorf("atomic push against a ruleset: %s", out)
	}
	if _, _, err := w.bot.Git.GetRef(t.Context(), "acme", "shop", "heads/atom"); err == nil {
		t.Error("an atomic push has moved one ref of two")
	}
	w.mustGit(dir, "push", "-q", w.remote("cat", w.tokens["cat"]), "HEAD:main")

	w.ok(w.s.SetRules(full, githubemu.Ruleset{Protection: true}))
	w.mustGit(dir, "commit", "-q", "--amend", "--allow-empty", "-m", "other")
	if out, ok = w.git(dir, "push", "-f", "origin", "HEAD:main"); ok || !contains(out, "Cannot force-push to this branch") {
		t.Errorf("forced push: %s", out)
	}
	w.ok(w.s.SetRules(full, githubemu.Ruleset{SignedCommits: true}))
	if out, ok = w.git(dir, "push", "-f", "origin", "HEAD:main"); ok || !contains(out, "Commits must have valid signatures.") {
		t.Errorf("unsigned push: %s", out)
	}
}
