package githubemu_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/githubemu"
)

func asErr[T error](err error, to *T) bool { return errors.As(err, to) }

func contains(s, sub string) bool { return strings.Contains(s, sub) }

// TestPromotion goes once through what a promotion bot does, and looks at the
// world after it.
func TestPromotion(t *testing.T) {
	w := newWorld(t)
	hooks := w.listen()
	ctx := t.Context()

	head := w.branch("rung/p/dev/shop", "env/dev/app.yaml", "image: shop:2\n")
	p := w.open("rung/p/dev/shop")
	equal(t, "author", p.GetUser().GetLogin(), "rung[bot]")
	equal(t, "head", p.GetHead().GetSHA(), head)
	if p.Mergeable != nil {
		t.Error("mergeable is known at once")
	}
	_, _, err := w.bot.PullRequests.Create(ctx, "acme", "shop", &github.NewPullRequest{
		Title: github.String("again"), Head: github.String("rung/p/dev/shop"), Base: github.String("main"),
	})
	w.refused(err, 422, "A pull request already exists for acme:rung/p/dev/shop.")

	run, _, err := w.bot.Checks.CreateCheckRun(ctx, "acme", "shop", github.CreateCheckRunOptions{
		Name: "rung", HeadSHA: head,
		Status: github.String("completed"), Conclusion: github.String("success"), ExternalID: github.String("x"),
		Output: &github.CheckRunOutput{Title: github.String("all good"), Summary: github.String("fine")},
	})
	w.ok(err)
	equal(t, "app", run.GetApp().GetID(), appID)

	_, _, err = w.bot.PullRequests.Merge(ctx, "acme", "shop", p.GetNumber(), "", &github.PullRequestOptions{SHA: strings.Repeat("0", 40)})
	w.refused(err, 409, "Head branch was modified. Review and try the merge again.")
	merged, _, err := w.bot.PullRequests.Merge(ctx, "acme", "shop", p.GetNumber(), "", &github.PullRequestOptions{SHA: head})
	w.ok(err)
	equal(t, "main", w.tip("main"), merged.GetSHA())
	equal(t, "file", w.file("main", "env/dev/app.yaml"), "image: shop:2\n")

	got, _, err := w.bot.PullRequests.Get(ctx, "acme", "shop", p.GetNumber())
	w.ok(err)
	equal(t, "merged by", got.GetMergedBy().GetLogin(), "rung[bot]")
	equal(t, "state", got.GetState(), "closed")

	want := "create push pull_request.opened check_run.created check_run.completed check_suite.completed push pull_request.closed"
	equal(t, "events", strings.Join(hooks.events(w), " "), want)
	for _, rec := range hooks.got {
		if !rec.valid {
			t.Errorf("signature of %s is not valid", rec.event)
		}
	}
	c := w.s.Counts()
	equal(t, "pulls created", c.Of("POST /repos/{owner}/{repo}/pulls"), 2)
	equal(t, "mints", c.ByClass[githubemu.Mint], 1)
	equal(t, "content", c.Content, 4)
}

// TestTokens narrows, expires and misuses tokens.
func TestTokens(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	tok, _, err := w.app.Apps.CreateInstallationToken(ctx, w.inst, &github.InstallationTokenOptions{
		Repositories: []string{"shop"}, Permissions: &github.InstallationPermissions{Contents: github.String("read")},
	})
	w.ok(err)
	narrow := w.client(&http.Client{}).WithAuthToken(tok.GetToken())
	if _, _, err := narrow.Git.GetRef(ctx, "acme", "shop", "heads/main"); err != nil {
		t.Error(err)
	}
	_, _, err = narrow.Issues.CreateComment(ctx, "acme", "shop", 1, &github.IssueComment{Body: github.String("x")})
	w.refused(err, 403, "Resource not accessible by integration")
	w.s.ExpireTokens()
	_, _, err = narrow.Git.GetRef(ctx, "acme", "shop", "heads/main")
	w.refused(err, 401, "Bad credentials")
	w.ok(w.s.SuspendInstallation("acme", true))
	_, _, err = w.app.Apps.CreateInstallationToken(ctx, w.inst, nil)
	w.refused(err, 403, "This installation has been suspended")
}
