package githubemu_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/githubemu"
)

// TestDraft makes a pull request a draft and back, which only GraphQL can.
func TestDraft(t *testing.T) {
	w := newWorld(t)
	hooks := w.listen()
	w.branch("topic", "a", "1")
	p := w.open("topic")
	hooks.events(w)
	hooks.reset()
	vars := map[string]any{"id": p.GetNodeID()}
	got := w.ask(`mutation($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: $id}) { pullRequest { isDraft } } }`, vars)
	equal(t, "draft", dig(got, "data.convertPullRequestToDraft.pullRequest.isDraft"), "true")
	_, _, err := w.bot.PullRequests.Merge(t.Context(), "acme", "shop", 1, "", nil)
	w.refused(err, 405, "Pull Request is still a draft")
	w.ask(`mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }`, vars)
	got = w.ask(`mutation($id: ID!, $oid: GitObjectID) { mergePullRequest(input: {pullRequestId: $id, expectedHeadOid: $oid}) { pullRequest { state } } }`,
		map[string]any{"id": p.GetNodeID(), "oid": strings.Repeat("0", 40)})
	equal(t, "another head", dig(got, "errors.0.type"), "UNPROCESSABLE")
	equal(t, "events", strings.Join(hooks.events(w), " "), "pull_request.converted_to_draft pull_request.ready_for_review")
	equal(t, "mutations are writes", w.s.Counts().ByClass[githubemu.Write], 3)
}

// TestNarrowInstallation has an App whose owner has not accepted everything.
func TestNarrowInstallation(t *testing.T) {
	w := newWorld(t)
	hooks := w.listen()
	w.ok(w.s.SetPermissions("acme", map[string]string{"metadata": "read", "contents": "read"}))
	w.connect()
	_, _, err := w.bot.PullRequests.List(t.Context(), "acme", "shop", nil)
	w.refused(err, 403, "Resource not accessible by integration")
	_, _, err = w.app.Apps.CreateInstallationToken(t.Context(), w.inst, &github.InstallationTokenOptions{Permissions: &github.InstallationPermissions{Checks: github.String("write")}})
	w.refused(err, 422, "The permissions requested are not granted to this installation.")
	got := w.ask(`{ repository(owner: "acme", name: "shop") { name pullRequests(first: 1) { totalCount } } }`, nil)
	equal(t, "graph", dig(got, "errors.0.type"), "FORBIDDEN")
	equal(t, "the rest is answered", dig(got, "data.repository.name"), "shop")
	equal(t, "events", strings.Join(hooks.events(w), " "), "installation.new_permissions_accepted")
}

// TestWorkflowFiles holds an App without that permission off workflow files.
func TestWorkflowFiles(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir() + "/clone"
	w.mustGit("", "clone", "-q", w.remote("x-access-token", w.mint()), dir)
	w.write(dir, ".github/workflows/ci.yml", "on: push\n")
	w.mustGit(dir, "add", "-A")
	w.mustGit(dir, "commit", "-qm", "x")
	out, ok := w.git(dir, "push", "origin", "HEAD:refs/heads/x")
	if ok || !contains(out, "without `workflows` permission") {
		t.Errorf("pushed: %s", out)
	}
	w.mustGit(dir, "push", "-q", w.remote("bob", w.tokens["bob"]), "HEAD:refs/heads/x")
}

// TestOldDeliveries are not listed any more, and cannot be had again.
func TestOldDeliveries(t *testing.T) {
	var age time.Duration
	w := newWorld(t, func(c *githubemu.Config) { c.Now = func() time.Time { return time.Now().Add(age) } })
	h := w.listen()
	age = -4 * 24 * time.Hour
	w.dispatch("old")
	h.events(w)
	age = 0
	w.dispatch("new")
	h.events(w)
	l, _, err := w.app.Apps.ListHookDeliveries(t.Context(), nil)
	w.ok(err)
	equal(t, "listed", len(l), 1)
	for _, d := range w.s.Deliveries() {
		if d.Action == "old" {
			_, _, err := w.app.Apps.RedeliverHookDelivery(t.Context(), d.ID)
			w.refused(err, 404, "Not Found")
		}
	}
}

// TestPushWall slows pushes down.
func TestPushWall(t *testing.T) {
	w := newWorld(t)
	w.s.SetLimits(githubemu.Limits{PushesPerMinute: 1})
	dir := t.TempDir() + "/clone"
	w.mustGit("", "clone", "-q", w.remote("bob", w.tokens["bob"]), dir)
	w.mustGit(dir, "push", "-q", "origin", "HEAD:refs/heads/one")
	if out, ok := w.git(dir, "push", "-q", "origin", "HEAD:refs/heads/two"); ok || !contains(out, "429") {
		t.Errorf("pushed: %s", out)
	}
}

// TestUnknown answers what is not there as GitHub does.
func TestUnknown(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]int{
		"/api/v3/nonsense": 404, "/api/v3/repos/acme/none": 404, "/api/v3/repos/acme/shop/pulls/x": 404,
		"/api/v3/repositories/1/pulls": 404, "/api/v3": 200, "/acme/none": 404, "/acme/shop/nonsense": 404, "/acme/shop.git/nonsense": 404,
	} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.web.URL+path, nil)
		req.Header.Set("Authorization", "token "+w.tokens["bob"])
		res, err := http.DefaultClient.Do(req)
		w.ok(err)
		_ = res.Body.Close()
		equal(t, path, res.StatusCode, want)
	}
	_, _, err := w.client(&http.Client{}).Repositories.Get(t.Context(), "acme", "shop")
	w.refused(err, 401, "Requires authentication")
}
