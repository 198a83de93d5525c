package githubemu_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/githubemu"
)

// TestReviews reviews, dismisses and requests by the API.
func TestReviews(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	hooks := w.listen()
	head := w.branch("topic", "a", "1")
	p := w.open("topic")
	n := p.GetNumber()
	_, _, err := w.bot.PullRequests.CreateReview(ctx, "acme", "shop", n, &github.PullRequestReviewRequest{Event: github.String("APPROVE")})
	w.refused(err, 422, "Unprocessable Entity")
	_, _, err = w.as("cat").PullRequests.RequestReviewers(ctx, "acme", "shop", n, github.ReviewersRequest{Reviewers: []string{"bob"}})
	w.ok(err)
	_, _, err = w.as("cat").PullRequests.RequestReviewers(ctx, "acme", "shop", n, github.ReviewersRequest{Reviewers: []string{"eve"}})
	w.refused(err, 422, "Reviews may only be requested from collaborators")
	hooks.events(w)
	hooks.reset()
	rv, _, err := w.as("bob").PullRequests.CreateReview(ctx, "acme", "shop", n, &github.PullRequestReviewRequest{Event: github.String("APPROVE"), Body: github.String("good")})
	w.ok(err)
	equal(t, "state", rv.GetState(), "APPROVED")
	equal(t, "commit", rv.GetCommitID(), head)
	_, _, err = w.as("cat").PullRequests.DismissReview(ctx, "acme", "shop", n, rv.GetID(), &github.PullRequestReviewDismissalRequest{Message: github.String("no")})
	w.ok(err)
	all, _, err := w.bot.PullRequests.ListReviews(ctx, "acme", "shop", n, nil)
	w.ok(err)
	equal(t, "state", all[0].GetState(), "DISMISSED")
	req, _, err := w.bot.PullRequests.ListReviewers(ctx, "acme", "shop", n, nil)
	w.ok(err)
	equal(t, "still requested", len(req.Users), 0)
	equal(t, "events", strings.Join(hooks.events(w), " "), "pull_request_review.submitted pull_request_review.dismissed")
	ev, _ := hooks.got[0].body.(*github.PullRequestReviewEvent)
	equal(t, "state in the event", ev.GetReview().GetState(), "approved")
}

// TestComments writes, edits, reacts and deletes.
func TestComments(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	now := start
	w := newWorld(t, func(c *githubemu.Config) { c.Now = func() time.Time { return now } })
	ctx := t.Context()
	hooks := w.listen()
	w.branch("topic", "a", "1")
	// The App's JWTs are of the real time, so the clock of this world is
	// behind by more than a JWT may be; people's tokens do not mind.
	n, err := w.s.OpenPull(ctx, full, "bob", "topic", "", "t", "")
	w.ok(err)
	hooks.events(w)
	hooks.reset()
	c, _, err := w.as("bob").Issues.CreateComment(ctx, "acme", "shop", n, &github.IssueComment{Body: github.String("/why")})
	w.ok(err)
	now = now.Add(time.Hour)
	_, err = w.s.Comment(ctx, full, n, "cat", "later")
	w.ok(err)
	since := start.Add(time.Minute)
	list, _, err := w.as("bob").Issues.ListComments(ctx, "acme", "shop", 0, &github.IssueListCommentsOptions{Since: &since})
	w.ok(err)
	equal(t, "since", len(list), 1)
	equal(t, "since", list[0].GetBody(), "later")
	r, res, err := w.as("cat").Reactions.CreateIssueCommentReaction(ctx, "acme", "shop", c.GetID(), "eyes")
	w.ok(err)
	equal(t, "created", res.StatusCode, http.StatusCreated)
	again, res, err := w.as("cat").Reactions.CreateIssueCommentReaction(ctx, "acme", "shop", c.GetID(), "eyes")
	w.ok(err)
	equal(t, "not twice", res.StatusCode, http.StatusOK)
	equal(t, "same", again.GetID(), r.GetID())
	_, _, err = w.as("cat").Issues.EditComment(ctx, "acme", "shop", c.GetID(), &github.IssueComment{Body: github.String("/rollback")})
	w.ok(err) // those with write may edit other people's comments
	_, err = w.as("bob").Issues.DeleteComment(ctx, "acme", "shop", c.GetID())
	w.ok(err)
	_, _, err = w.as("bob").Issues.CreateComment(ctx, "acme", "shop", n, &github.IssueComment{Body: github.String(strings.Repeat("x", 65537))})
	w.refused(err, 422, "too long")
	equal(t, "events", strings.Join(hooks.events(w), " "), "issue_comment.created issue_comment.created issue_comment.edited issue_comment.deleted")
	ev, _ := hooks.got[2].body.(*github.IssueCommentEvent)
	equal(t, "editor", ev.GetSender().GetLogin(), "cat")
	equal(t, "author", ev.GetComment().GetUser().GetLogin(), "bob")
	equal(t, "was", ev.GetChanges().GetBody().GetFrom(), "/why")
}

func TestPermissions(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.ok(w.s.AddTeam("acme", "sre", map[string]string{"eve": "member"}, map[string]string{full: "triage"}))
	w.s.AddPerson(githubemu.Person{Login: "out"})
	for login, want := range map[string]string{"ann": "admin admin", "cat": "write maintain", "bob": "write write", "eve": "read triage", "out": "none none"} {
		p, _, err := w.bot.Repositories.GetPermissionLevel(ctx, "acme", "shop", login)
		w.ok(err)
		equal(t, login, p.GetPermission()+" "+p.GetUser().GetRoleName(), want)
	}
	_, _, err := w.bot.Repositories.GetPermissionLevel(ctx, "acme", "shop", "nobody")
	w.refused(err, 404, "nobody is not a user")
	m, _, err := w.bot.Teams.GetTeamMembershipBySlug(ctx, "acme", "sre", "eve")
	w.ok(err)
	equal(t, "team", m.GetState()+" "+m.GetRole(), "active member")
	w.s.RemoveFromTeam("acme", "sre", "eve")
	_, _, err = w.bot.Teams.GetTeamMembershipBySlug(ctx, "acme", "sre", "eve")
	w.refused(err, 404, "Not Found")
	u, _, err := w.bot.Users.Get(ctx, "bob")
	w.ok(err)
	equal(t, "user", u.GetType(), "User")
}

// TestChecks posts, updates, filters and clicks.
func TestChecks(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	hooks := w.listen()
	head := w.branch("topic", "a", "1")
	post := func(status, conclusion string) *github.CheckRun {
		o := github.CreateCheckRunOptions{
			Name: "rung", HeadSHA: head, Status: github.String(status),
			Actions: []*github.CheckRunAction{{Label: "Hold", Description: "hold it", Identifier: "hold"}},
		}
		if conclusion != "" {
			o.Conclusion = github.String(conclusion)
		}
		run, _, err := w.bot.Checks.CreateCheckRun(ctx, "acme", "shop", o)
		w.ok(err)
		return run
	}
	post("completed", "failure")
	run := post("in_progress", "")
	for filter, want := range map[string]int{"latest": 1, "all": 2} {
		l, _, err := w.bot.Checks.ListCheckRunsForRef(ctx, "acme", "shop", "topic", &github.ListCheckRunsOptions{Filter: &filter})
		w.ok(err)
		equal(t, filter, l.GetTotal(), want)
	}
	if err := w.s.ClickAction(ctx, full, "bob", run.GetID(), "hold"); err == nil {
		t.Error("a running check has buttons")
	}
	_, _, err := w.bot.Checks.UpdateCheckRun(ctx, "acme", "shop", run.GetID(), github.UpdateCheckRunOptions{Name: "rung", Conclusion: github.String("success")})
	w.ok(err)
	hooks.events(w)
	hooks.reset()
	w.ok(w.s.ClickAction(ctx, full, "bob", run.GetID(), "hold"))
	w.ok(w.s.Rerequest(ctx, full, "bob", run.GetID()))
	equal(t, "events", strings.Join(hooks.events(w), " "), "check_run.requested_action check_run.rerequested")
	ev, _ := hooks.got[0].body.(*github.CheckRunEvent)
	equal(t, "identifier", ev.GetRequestedAction().Identifier, "hold")
	suites, _, err := w.bot.Checks.ListCheckSuitesForRef(ctx, "acme", "shop", head, nil)
	w.ok(err)
	equal(t, "suite", suites.CheckSuites[0].GetConclusion(), "success")
	for name, o := range map[string]github.CreateCheckRunOptions{
		"no name":       {HeadSHA: head},
		"no conclusion": {Name: "x", HeadSHA: head, Status: github.String("completed")},
		"long label":    {Name: "x", HeadSHA: head, Actions: []*github.CheckRunAction{{Label: strings.Repeat("x", 21), Description: "d", Identifier: "i"}}},
		"four buttons":  {Name: "x", HeadSHA: head, Actions: make([]*github.CheckRunAction, 4)},
		"no commit":     {Name: "x", HeadSHA: strings.Repeat("a", 40)},
		"long summary":  {Name: "x", HeadSHA: head, Output: &github.CheckRunOutput{Title: github.String("t"), Summary: github.String(strings.Repeat("x", 65536))}},
	} {
		if _, res, _ := w.bot.Checks.CreateCheckRun(ctx, "acme", "shop", o); res.StatusCode != 422 {
			t.Errorf("%s: got %d", name, res.StatusCode)
		}
	}
	// Only the App that owns a run may change it, and people may not at all.
	id, err := w.s.ReportCheck(ctx, githubemu.CheckReport{Repository: full, App: "ci", SHA: head, Name: "build"})
	w.ok(err)
	_, _, err = w.bot.Checks.UpdateCheckRun(ctx, "acme", "shop", id, github.UpdateCheckRunOptions{Name: "build", Conclusion: github.String("success")})
	w.refused(err, 403, "Resource not accessible by integration")
	_, _, err = w.as("bob").Checks.CreateCheckRun(ctx, "acme", "shop", github.CreateCheckRunOptions{Name: "x", HeadSHA: head})
	w.refused(err, 403, "You must authenticate via a GitHub App.")
}

// TestStatuses posts statuses and reads them combined.
func TestStatuses(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	head := w.branch("topic", "a", "1")
	post := func(state, context string) {
		_, _, err := w.bot.Repositories.CreateStatus(ctx, "acme", "shop", head, &github.RepoStatus{State: &state, Context: &context})
		w.ok(err)
	}
	combined := func() string {
		c, _, err := w.bot.Repositories.GetCombinedStatus(ctx, "acme", "shop", "topic", nil)
		w.ok(err)
		return c.GetState() + show(c.GetTotalCount())
	}
	equal(t, "none", combined(), "pending0")
	post("success", "a")
	equal(t, "one", combined(), "success1")
	post("failure", "b")
	equal(t, "two", combined(), "failure2")
	post("pending", "b")
	equal(t, "newer", combined(), "pending2")
	l, _, err := w.bot.Repositories.ListStatuses(ctx, "acme", "shop", head, nil)
	w.ok(err)
	equal(t, "newest first", l[0].GetState(), "pending")
}

func TestDeployments(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	d, _, err := w.bot.Repositories.CreateDeployment(ctx, "acme", "shop", &github.DeploymentRequest{
		Ref:         github.String("main"),
		Environment: github.String("dev"), AutoMerge: github.Bool(false), RequiredContexts: &[]string{},
	})
	w.ok(err)
	_, _, err = w.bot.Repositories.CreateDeploymentStatus(ctx, "acme", "shop", d.GetID(), &github.DeploymentStatusRequest{State: github.String("success")})
	w.ok(err)
	l, _, err := w.bot.Repositories.ListDeploymentStatuses(ctx, "acme", "shop", d.GetID(), nil)
	w.ok(err)
	equal(t, "state", l[0].GetState(), "success")
	w.branch("topic", "a", "1")
	w.branch("main", "b", "2")
	_, _, err = w.bot.Repositories.CreateDeployment(ctx, "acme", "shop", &github.DeploymentRequest{Ref: github.String("topic")})
	w.refused(err, 409, "Conflict merging main into topic")
}

// TestLabelsAndIssues covers the little that bots do with them.
func TestLabelsAndIssues(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	i, _, err := w.bot.Issues.Create(ctx, "acme", "shop", &github.IssueRequest{Title: github.String("trouble"), Labels: &[]string{"rung"}})
	w.ok(err)
	_, _, err = w.bot.Issues.AddLabelsToIssue(ctx, "acme", "shop", i.GetNumber(), []string{"held"})
	w.ok(err)
	_, err = w.bot.Issues.RemoveLabelForIssue(ctx, "acme", "shop", i.GetNumber(), "rung")
	w.ok(err)
	got, _, err := w.bot.Issues.Edit(ctx, "acme", "shop", i.GetNumber(), &github.IssueRequest{State: github.String("closed")})
	w.ok(err)
	equal(t, "label", got.Labels[0].GetName(), "held")
	equal(t, "closed by", got.GetClosedBy().GetLogin(), "rung[bot]")
	l, _, err := w.bot.Issues.ListByRepo(ctx, "acme", "shop", &github.IssueListByRepoOptions{State: "closed"})
	w.ok(err)
	equal(t, "closed", len(l), 1)
}
