package githubemu_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/githubemu"
)

// TestPullRefusals opens pull requests that cannot be.
func TestPullRefusals(t *testing.T) {
	w := newWorld(t)
	w.branch("topic", "a", "1")
	for name, c := range map[string]struct{ head, base, want string }{
		"no such head":   {"nothing", "main", "Validation Failed"},
		"no such base":   {"topic", "nothing", "Validation Failed"},
		"nothing to do":  {"main", "topic", "No commits between topic and main"},
		"same branch":    {"main", "main", "No commits between main and main"},
		"another's fork": {"mallory:topic", "main", "Validation Failed"},
	} {
		_, _, err := w.bot.PullRequests.Create(t.Context(), "acme", "shop", &github.NewPullRequest{
			Title: github.String("x"), Head: github.String(c.head), Base: github.String(c.base),
		})
		t.Run(name, func(t *testing.T) { w.T = t; w.refused(err, 422, c.want) })
	}
}

func TestListPulls(t *testing.T) {
	w := newWorld(t)
	for _, b := range []string{"a", "b", "c"} {
		w.branch(b, b, b)
		w.open(b)
	}
	ctx := t.Context()
	w.ok(w.s.SetPullState(ctx, full, 2, "ann", "closed"))
	for name, c := range map[string]struct {
		o    github.PullRequestListOptions
		want string
	}{
		"open":     {github.PullRequestListOptions{}, "c a"},
		"all":      {github.PullRequestListOptions{State: "all"}, "c b a"},
		"head":     {github.PullRequestListOptions{Head: "acme:a"}, "a"},
		"bad head": {github.PullRequestListOptions{Head: "a"}, "c a"},
		"base":     {github.PullRequestListOptions{Base: "other"}, ""},
		"asc":      {github.PullRequestListOptions{State: "all", Sort: "created", Direction: "asc"}, "a b c"},
		"page":     {github.PullRequestListOptions{State: "all", ListOptions: github.ListOptions{PerPage: 2, Page: 2}}, "a"},
	} {
		got, res, err := w.bot.PullRequests.List(ctx, "acme", "shop", &c.o)
		w.ok(err)
		var heads []string
		for _, p := range got {
			heads = append(heads, p.GetHead().GetRef())
		}
		equal(t, name, strings.Join(heads, " "), c.want)
		if name == "page" {
			equal(t, "first page", res.FirstPage, 1)
		}
	}
}

func TestEditPull(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	hooks := w.listen()
	w.branch("topic", "a", "1")
	w.ok(w.s.MoveBranch(ctx, full, "bob", "stable", w.tip("main")))
	p := w.open("topic")
	hooks.events(w)
	hooks.reset()
	_, _, err := w.bot.PullRequests.Edit(ctx, "acme", "shop", p.GetNumber(), &github.PullRequest{
		Title: github.String("new"), Body: github.String("other"), Base: &github.PullRequestBranch{Ref: github.String("stable")},
	})
	w.ok(err)
	_, _, err = w.bot.PullRequests.Edit(ctx, "acme", "shop", p.GetNumber(), &github.PullRequest{State: github.String("closed")})
	w.ok(err)
	w.branch("topic", "b", "2")
	_, _, err = w.bot.PullRequests.Edit(ctx, "acme", "shop", p.GetNumber(), &github.PullRequest{State: github.String("open")})
	w.ok(err)
	got, _, err := w.bot.PullRequests.Get(ctx, "acme", "shop", p.GetNumber())
	w.ok(err)
	equal(t, "title", got.GetTitle(), "new")
	equal(t, "base", got.GetBase().GetRef(), "stable")
	equal(t, "state", got.GetState(), "open")
	equal(t, "a reopened head follows its branch", got.GetHead().GetSHA(), w.tip("topic"))
	equal(t, "events", strings.Join(hooks.events(w), " "), "pull_request.edited pull_request.closed push pull_request.reopened")
	ev, _ := hooks.got[0].body.(*github.PullRequestEvent)
	equal(t, "from", ev.GetChanges().GetBase().GetRef().GetFrom(), "main")
	_, _, err = w.as("eve").PullRequests.Edit(ctx, "acme", "shop", p.GetNumber(), &github.PullRequest{Title: github.String("x")})
	w.refused(err, 404, "Not Found")
}

// TestMergeMethods merges in each way and looks at the base's history.
func TestMergeMethods(t *testing.T) {
	for method, want := range map[string]struct {
		parents  int
		author   string
		verified bool
	}{
		"merge": {2, "rung[bot]", true}, "squash": {1, "rung[bot]", true}, "rebase": {1, "bob", false},
	} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t)
			ctx := t.Context()
			w.branch("topic", "env/dev/app.yaml", "image: shop:2\n")
			w.branch("topic", "more", "x")
			_, err := w.s.PushFiles(ctx, githubemu.Push{Repository: full, Person: "ann", Files: map[string]string{"beside": "y"}})
			w.ok(err)
			p := w.open("topic")
			old := w.tip("main")
			m, _, err := w.bot.PullRequests.Merge(ctx, "acme", "shop", p.GetNumber(), "", &github.PullRequestOptions{MergeMethod: method, SHA: p.GetHead().GetSHA()})
			w.ok(err)
			c, _, err := w.bot.Git.GetCommit(ctx, "acme", "shop", m.GetSHA())
			w.ok(err)
			equal(t, "parents", len(c.Parents), want.parents)
			equal(t, "author", c.GetAuthor().GetName(), want.author)
			equal(t, "verified", c.GetVerification().GetVerified(), want.verified)
			equal(t, "ours", w.file("main", "env/dev/app.yaml"), "image: shop:2\n")
			equal(t, "theirs", w.file("main", "beside"), "y")
			cmp, _, err := w.bot.Repositories.CompareCommits(ctx, "acme", "shop", old, "main", nil)
			w.ok(err)
			equal(t, "status", cmp.GetStatus(), "ahead")
		})
	}
}

// TestMergeRefusals holds the merge against each rule, in GitHub's words.
func TestMergeRefusals(t *testing.T) {
	check := []githubemu.RequiredCheck{{Context: "rung", AppID: appID}}
	for name, c := range map[string]struct {
		rules  githubemu.Ruleset
		before func(w *world, p *github.PullRequest)
		method string
		want   string // empty: it merges
	}{
		"nothing":           {},
		"check absent":      {rules: githubemu.Ruleset{Protection: true, RequiredChecks: check}, want: `Required status check "rung" is expected.`},
		"ruleset's wording": {rules: githubemu.Ruleset{RequiredChecks: check}, want: "Repository rule violations found\n\nRequired status check \"rung\" is expected."},
		"another App's":     {rules: githubemu.Ruleset{RequiredChecks: check}, before: report("ci", "rung", "success"), want: "is expected"},
		"failing":           {rules: githubemu.Ruleset{RequiredChecks: check}, before: report("rung", "rung", "failure"), want: "is failing"},
		"action_required":   {rules: githubemu.Ruleset{RequiredChecks: check}, before: report("rung", "rung", "action_required"), want: "is failing"},
		"running":           {rules: githubemu.Ruleset{RequiredChecks: check}, before: report("rung", "rung", ""), want: "is pending"},
		"passed":            {rules: githubemu.Ruleset{RequiredChecks: check}, before: report("rung", "rung", "success")},
		"two absent":        {rules: githubemu.Ruleset{RequiredChecks: []githubemu.RequiredCheck{{Context: "a"}, {Context: "b"}}}, want: "2 of 2 required status checks are expected."},
		"mixed":             {rules: githubemu.Ruleset{RequiredChecks: []githubemu.RequiredCheck{{Context: "a"}, {Context: "b"}}}, before: report("ci", "a", "failure"), want: "2 of 2 required status checks have not succeeded: 1 failing and 1 expected."},
		"behind": {rules: githubemu.Ruleset{RequiredChecks: check, Strict: true}, before: func(w *world, p *github.PullRequest) {
			report("rung", "rung", "success")(w, p)
			w.branch("main", "x", "y")
		}, want: "is expected"},
		"review": {rules: githubemu.Ruleset{Protection: true, RequiredReviews: 1}, want: "At least 1 approving review is required by reviewers with write access."},
		"reader's review": {rules: githubemu.Ruleset{RequiredReviews: 1}, before: func(w *world, p *github.PullRequest) {
			w.ok(w.s.SetPermission(full, "eve", "read"))
			review("eve", "APPROVE")(w, p)
		}, want: "At least 1 approving review"},
		"approved": {rules: githubemu.Ruleset{RequiredReviews: 1}, before: review("cat", "APPROVE")},
		"changed their mind": {rules: githubemu.Ruleset{RequiredReviews: 1}, before: func(w *world, p *github.PullRequest) {
			review("cat", "APPROVE")(w, p)
			review("cat", "REQUEST_CHANGES")(w, p)
		}, want: "1 review requesting changes"},
		"comment keeps it":  {rules: githubemu.Ruleset{RequiredReviews: 1}, before: func(w *world, p *github.PullRequest) { review("cat", "APPROVE")(w, p); review("cat", "COMMENT")(w, p) }},
		"stale":             {rules: githubemu.Ruleset{RequiredReviews: 1, DismissStale: true}, before: func(w *world, p *github.PullRequest) { review("cat", "APPROVE")(w, p); w.branch("topic", "x", "y") }, want: "At least 1 approving review"},
		"bypass":            {rules: githubemu.Ruleset{RequiredReviews: 1, Bypass: []githubemu.Bypass{{App: "rung", PullRequestOnly: true}}}},
		"linear":            {rules: githubemu.Ruleset{LinearHistory: true}, want: "This branch must not contain merge commits."},
		"linear squash":     {rules: githubemu.Ruleset{LinearHistory: true}, method: "squash"},
		"signatures":        {rules: githubemu.Ruleset{SignedCommits: true}, want: "Commits must have valid signatures."},
		"signatures rebase": {rules: githubemu.Ruleset{SignedCommits: true}, method: "rebase", want: "Rebase merges cannot be automatically signed"},
		"signatures squash": {rules: githubemu.Ruleset{SignedCommits: true}, method: "squash"},
		"restricted":        {rules: githubemu.Ruleset{Protection: true, RestrictUpdates: true}, want: "You're not authorized to push to this branch."},
		"method of ruleset": {rules: githubemu.Ruleset{Methods: []string{"squash"}}, want: "Merge commits are not allowed on this repository."},
		"method of settings": {before: func(w *world, _ *github.PullRequest) {
			w.ok(w.s.ChangeRepository(full, githubemu.RepositorySettings{AllowMerge: github.Bool(false)}))
		}, want: "Merge commits are not allowed on this repository."},
		"conflict": {before: func(w *world, _ *github.PullRequest) { w.branch("main", "env/dev/app.yaml", "image: shop:9\n") }, want: "Pull Request is not mergeable"},
		"closed": {before: func(w *world, p *github.PullRequest) {
			w.ok(w.s.SetPullState(w.ctx(), full, p.GetNumber(), "ann", "closed"))
		}, want: "Pull Request is not mergeable"},
		"queue": {rules: githubemu.Ruleset{MergeQueue: true}, want: "Changes must be made through the merge queue"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.branch("topic", "env/dev/app.yaml", "image: shop:2\n")
			p := w.open("topic")
			c.rules.Branches = []string{"main"}
			if c.rules.DismissStale { // acts at the push, so it must be there by then
				w.ok(w.s.SetRules(full, c.rules))
			}
			if c.before != nil {
				c.before(w, p)
			}
			w.ok(w.s.SetRules(full, c.rules))
			before := w.tip("main")
			_, _, err := w.bot.PullRequests.Merge(t.Context(), "acme", "shop", p.GetNumber(), "", &github.PullRequestOptions{MergeMethod: c.method})
			if c.want == "" {
				w.ok(err)
				return
			}
			w.refused(err, 405, c.want)
			equal(t, "base", w.tip("main"), before)
		})
	}
}

func report(app, name, conclusion string) func(*world, *github.PullRequest) {
	return func(w *world, p *github.PullRequest) {
		w.Helper()
		_, err := w.s.ReportCheck(w.ctx(), githubemu.CheckReport{Repository: full, App: app, SHA: p.GetHead().GetSHA(), Name: name, Conclusion: conclusion})
		w.ok(err)
	}
}

func review(person, event string) func(*world, *github.PullRequest) {
	return func(w *world, p *github.PullRequest) {
		w.Helper()
		_, err := w.s.Review(w.ctx(), full, p.GetNumber(), person, event, "because")
		w.ok(err)
	}
}

// TestMergeable reads a pull request until its mergeability is known, again
// after each change.
func TestMergeable(t *testing.T) {
	w := newWorld(t, func(c *githubemu.Config) { c.NullMergeable = 2 })
	ctx := t.Context()
	w.branch("topic", "env/dev/app.yaml", "image: shop:2\n")
	p := w.open("topic") // the first null
	read := func() string {
		got, _, err := w.bot.PullRequests.Get(ctx, "acme", "shop", p.GetNumber())
		w.ok(err)
		if got.Mergeable == nil {
			return "null " + got.GetMergeableState()
		}
		return show(got.GetMergeable()) + " " + got.GetMergeableState()
	}
	equal(t, "second", read(), "null unknown")
	equal(t, "third", read(), "true clean")
	report("ci", "build", "failure")(w, p)
	equal(t, "a check changes no commit", read(), "true unstable")
	w.branch("main", "env/dev/app.yaml", "image: shop:3\n")
	equal(t, "base moved", read(), "null unknown")
	equal(t, "base moved", read(), "null unknown")
	equal(t, "conflict", read(), "false dirty")
}

// TestUpdateBranchAndRevert presses the two buttons.
func TestUpdateBranchAndRevert(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.branch("topic", "env/dev/app.yaml", "image: shop:2\n")
	p := w.open("topic")
	w.branch("main", "beside", "y")
	_, res, err := w.bot.PullRequests.UpdateBranch(ctx, "acme", "shop", p.GetNumber(), nil)
	if res == nil || res.StatusCode != http.StatusAccepted {
		t.Fatalf("update branch: %v", err)
	}
	equal(t, "merged in", w.file("topic", "beside"), "y")
	_, err = w.s.Merge(ctx, full, p.GetNumber(), "cat", "merge")
	w.ok(err)
	w.branch("main", "later", "z")
	n, err := w.s.Revert(ctx, full, p.GetNumber(), "cat")
	w.ok(err)
	_, err = w.s.Merge(ctx, full, n, "cat", "")
	w.ok(err)
	equal(t, "went back", w.file("main", "env/dev/app.yaml"), "image: shop:1\n")
	equal(t, "kept", w.file("main", "later"), "z")
	st, err := w.s.State(ctx, full)
	w.ok(err)
	equal(t, "title", st.Pulls[1].Title, `Revert "Promote topic"`)
}

// TestRetarget deletes a merged head, and the pull request onto it follows.
func TestRetarget(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.branch("one", "a", "1")
	w.ok(w.s.MoveBranch(ctx, full, "bob", "two", w.tip("one")))
	w.branch("two", "b", "2")
	first := w.open("one")
	second, err := w.s.OpenPull(ctx, full, "bob", "two", "one", "second", "")
	w.ok(err)
	_, err = w.s.Merge(ctx, full, first.GetNumber(), "cat", "")
	w.ok(err)
	_, err = w.bot.Git.DeleteRef(ctx, "acme", "shop", "heads/one")
	w.ok(err)
	got, _, err := w.bot.PullRequests.Get(ctx, "acme", "shop", second)
	w.ok(err)
	equal(t, "base", got.GetBase().GetRef(), "main")
	equal(t, "state", got.GetState(), "open")
}

// TestMergeQueue sends a pull request through the queue, and one that fails.
func TestMergeQueue(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	hooks := w.listen()
	w.ok(w.s.SetRules(full, githubemu.Ruleset{MergeQueue: true, RequiredChecks: []githubemu.RequiredCheck{{Context: "rung"}}}))
	for i, conclusion := range []string{"success", "failure"} {
		b := "topic-" + conclusion
		w.branch(b, b, "1")
		p := w.open(b)
		hooks.reset()
		w.ok(w.s.Enqueue(ctx, full, p.GetNumber(), "bob"))
		hooks.events(w)
		var group *github.MergeGroupEvent
		for _, rec := range hooks.got {
			if g, ok := rec.body.(*github.MergeGroupEvent); ok {
				group = g
			}
		}
		_, _, err := w.bot.Checks.CreateCheckRun(ctx, "acme", "shop", github.CreateCheckRunOptions{
			Name:    "rung",
			HeadSHA: group.GetMergeGroup().GetHeadSHA(), Status: github.String("completed"), Conclusion: github.String(conclusion),
		})
		w.ok(err)
		got, _, err := w.bot.PullRequests.Get(ctx, "acme", "shop", p.GetNumber())
		w.ok(err)
		equal(t, conclusion, got.GetMerged(), i == 0)
		if i == 0 {
			equal(t, "landed", w.tip("main"), group.GetMergeGroup().GetHeadSHA())
		}
	}
	st, err := w.s.State(ctx, full)
	w.ok(err)
	for b := range st.Branches {
		if strings.HasPrefix(b, "gh-readonly-queue/") {
			t.Errorf("group branch %s is left over", b)
		}
	}
}
