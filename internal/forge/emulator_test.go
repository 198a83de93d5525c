package forge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	shop  = "acme/shop"
	topic = "rung/p/dev/shop"
)

// emulated is the whole emulator in this process, with one repository, people
// and the App installed.
type emulated struct {
	t      *testing.T
	s      *githubemu.Server
	app    *forge.App
	client *forge.Client
	repo   promotion.Repository
	head   promotion.Hash

	mu  sync.Mutex
	now time.Time
}

func (e *emulated) clock() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

func (e *emulated) advance(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now = e.now.Add(d)
}

func (e *emulated) ok(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

func newEmulated(t *testing.T) *emulated {
	t.Helper()
	e := &emulated{t: t, now: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	k, pemKey := key()
	var err error
	e.s, err = githubemu.New(githubemu.Config{
		Store: gitmem.New(gitstore.Options{}), BaseURL: "http://github.acme.example", Now: e.clock, Manual: true,
		App: githubemu.App{ID: appID, Slug: "rung", PublicKey: &k.PublicKey, WebhookSecret: "s"},
	})
	e.ok(err)
	t.Cleanup(e.s.Close)
	for _, login := range []string{"ann", "bob", "cat", "eve"} {
		e.s.AddPerson(githubemu.Person{Login: login})
	}
	e.s.AddOrganization("acme", "none", map[string]string{"ann": "admin", "bob": "member"})
	e.ok(e.s.CreateRepository(t.Context(), githubemu.RepositorySeed{
		Name:          shop,
		Commits:       []githubemu.CommitSeed{{Author: "ann", Message: "begin", Files: map[string]string{"environments/dev/app.yaml": "image: shop:1\n"}}},
		Collaborators: map[string]string{"ann": "admin", "bob": "write", "cat": "maintain"},
	}))
	installation, err := e.s.Install("acme", shop)
	e.ok(err)
	e.app, err = forge.New(forge.Config{APIURL: "http://github.acme.example/api/v3", AppID: appID, PrivateKey: pemKey, Transport: e.s.Transport(), Now: e.clock})
	e.ok(err)
	e.client = e.app.Installation(installation)
	repos, err := e.app.Repositories(t.Context(), installation)
	e.ok(err)
	if len(repos) != 1 || repos[0].FullName() != shop {
		t.Fatalf("repositories %+v", repos)
	}
	e.repo = repos[0]
	e.head = e.push(topic, "image: shop:2\n")
	return e
}

// push commits to a branch as bob.
func (e *emulated) push(branch, text string) promotion.Hash {
	e.t.Helper()
	sha, err := e.s.PushFiles(e.t.Context(), githubemu.Push{
		Repository: shop, Person: "bob", Branch: branch, Message: "change", Files: map[string]string{"environments/dev/app.yaml": text},
	})
	e.ok(err)
	return promotion.Hash(sha)
}

func (e *emulated) open() int {
	e.t.Helper()
	number, err := e.client.OpenPullRequest(e.t.Context(), e.repo, forge.NewPullRequest{Title: "shop 2 → dev", Body: "b", Head: topic, Base: "main"})
	e.ok(err)
	return number
}

func (e *emulated) read() forge.State {
	e.t.Helper()
	state, err := e.client.Read(e.t.Context(), forge.Query{Repository: e.repo, Base: "main", OpenPullRequests: true, Heads: []string{topic}})
	e.ok(err)
	return state
}

// comments counts an issue's comments, without the code under test.
func (e *emulated) comments(number int) int {
	e.t.Helper()
	token, err := e.client.Token(e.t.Context())
	e.ok(err)
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet,
		fmt.Sprintf("http://github.acme.example/api/v3/repos/%s/issues/%d/comments", shop, number), nil)
	e.ok(err)
	req.Header.Set("Authorization", "token "+token)
	resp, err := e.s.Transport().RoundTrip(req)
	e.ok(err)
	defer func() { _ = resp.Body.Close() }()
	var list []any
	e.ok(json.NewDecoder(resp.Body).Decode(&list))
	return len(list)
}

func TestEmulatorKnowsTheApp(t *testing.T) {
	e := newEmulated(t)
	self, err := e.app.Self(t.Context())
	e.ok(err)
	if self.AppID != appID || self.Bot.Login != "rung[bot]" || self.Bot.ID == 0 {
		t.Errorf("self %+v", self)
	}
	list, err := e.app.Installations(t.Context())
	e.ok(err)
	if len(list) != 1 || len(forge.MissingPermissions(list[0].Permissions)) != 0 || list[0].ID != e.client.ID() {
		t.Errorf("installations %+v", list)
	}
	id, err := e.app.RepositoryInstallation(t.Context(), "acme", "shop")
	if err != nil || id != e.client.ID() {
		t.Errorf("installation %d, %v", id, err)
	}
	e.ok(e.s.SuspendInstallation("acme", true))
	e.advance(2 * time.Hour)
	if _, err := e.client.Token(t.Context()); !errors.Is(err, forge.ErrSuspended) {
		t.Errorf("suspended: %v", err)
	}
	e.ok(e.s.SuspendInstallation("acme", false))
	e.ok(e.s.Uninstall("acme"))
	if _, err := e.client.Token(t.Context()); !errors.Is(err, forge.ErrUninstalled) {
		t.Errorf("removed: %v", err)
	}
}

// One promotion as the adapter sees it; and GraphQL and REST agree on all of
// it, before and after.
func TestPromotionAgainstTheEmulator(t *testing.T) {
	e := newEmulated(t)
	e.ok(e.s.SetRules(shop, githubemu.Ruleset{
		Name: "main", Branches: []string{"main"}, RequiredReviews: 1, LinearHistory: false,
		RequiredChecks: []githubemu.RequiredCheck{{Context: "rung", AppID: appID}, {Context: "ci"}},
	}))
	number := e.open()
	check, err := e.client.SetCheck(t.Context(), e.repo, forge.Check{
		Name: "rung", Head: e.head, ExternalID: "fp1", Conclusion: "action_required", Title: "waits", Summary: "for a review",
		Actions: []promotion.Button{{Label: "Hold", Description: "Stop this one", Identifier: "hold"}},
	}, 0)
	e.ok(err)
	_, err = e.s.Review(t.Context(), shop, number, "cat", "APPROVE", "fine")
	e.ok(err)
	_, err = e.s.ReportCheck(t.Context(), githubemu.CheckReport{Repository: shop, App: "ci-app", SHA: string(e.head), Name: "ci", Conclusion: "success"})
	e.ok(err)
	e.ok(e.s.ReportStatus(t.Context(), githubemu.CheckReport{Repository: shop, App: "argo-app", SHA: "main", Name: "argocd/shop", State: "success"}))

	e.read() // mergeability is worked out after the first look
	state := e.agree(number)
	if len(state.PullRequests) != 1 {
		t.Fatalf("pull requests %+v", state.PullRequests)
	}
	pr := state.PullRequests[0]
	if pr.Number != number || pr.Head != e.head || pr.Mergeable != forge.MergeClean || !pr.Author.Bot || pr.Author.Login != "rung[bot]" {
		t.Errorf("pull request %+v", pr)
	}
	if len(pr.Reviews) != 1 || pr.Reviews[0].State != "approved" || pr.Reviews[0].Commit != e.head || pr.Reviews[0].Author.Login != "cat" {
		t.Errorf("reviews %+v", pr.Reviews)
	}
	if len(pr.Checks) != 2 || pr.Checks[0].Name != "ci" || pr.Checks[0].State != "success" || pr.Checks[1].State != "action_required" || !pr.ChecksComplete {
		t.Errorf("checks %+v", pr.Checks)
	}
	if len(pr.Own) != 1 || pr.Own[0].ID != check || pr.Own[0].ExternalID != "fp1" {
		t.Errorf("own %+v", pr.Own)
	}
	if !state.Rules.Known || state.Rules.RequiredReviews != 1 || !reflect.DeepEqual(state.Rules.RequiredChecks, []promotion.RequiredCheck{{Name: "ci"}, {Name: "rung", App: appID}}) {
		t.Errorf("rules %+v", state.Rules)
	}
	if got := state.Commits[state.BaseHead]; len(got) != 1 || got[0].Name != "argocd/shop" || got[0].State != "success" {
		t.Errorf("base's checks %+v", got)
	}

	// The required check is not green: refused, in GitHub's words.
	if _, err = e.client.Merge(t.Context(), e.repo, number, e.head, "merge", "t", ""); !as[*forge.RefusedError](err) {
		t.Errorf("merge with a check that waits: %v", err)
	}
	_, err = e.client.SetCheck(t.Context(), e.repo, forge.Check{Name: "rung", Head: e.head, ExternalID: "fp2", Conclusion: "success", Title: "ok", Summary: "ok"}, check)
	e.ok(err)
	if _, err = e.client.Merge(t.Context(), e.repo, number, state.BaseHead, "merge", "t", ""); !errors.Is(err, forge.ErrHeadMoved) {
		t.Errorf("merge of another head: %v", err)
	}
	commit, err := e.client.Merge(t.Context(), e.repo, number, e.head, "merge", "Promote shop", "body")
	e.ok(err)
	again, err := e.client.Merge(t.Context(), e.repo, number, e.head, "merge", "Promote shop", "body")
	if err != nil || again != commit {
		t.Errorf("merged again: %s, %v", again, err)
	}
	state = e.agree(number)
	pr = state.PullRequests[0]
	if state.BaseHead != commit || pr.State != forge.StateMerged || pr.MergeCommit != commit || pr.MergedBy.Login != "rung[bot]" || pr.MergedAt.IsZero() {
		t.Errorf("after the merge %+v", pr)
	}
}

// agree reads the same over GraphQL and over REST and fails when they differ.
func (e *emulated) agree(numbers ...int) forge.State {
	e.t.Helper()
	base := e.read().BaseHead
	q := forge.Query{Repository: e.repo, Base: "main", OpenPullRequests: true, Heads: []string{topic, "nowhere"}, PullRequests: append(numbers, 9999), Commits: []promotion.Hash{base, head}}
	before := e.app.Counts()
	graph, err := e.client.Read(e.t.Context(), q)
	e.ok(err)
	sent := int64(0)
	for route, n := range e.app.Counts() {
		sent += n - before[route]
	}
	if sent != 1 {
		e.t.Errorf("one read took %d requests", sent)
	}
	e.s.SetGraphQL(false)
	defer e.s.SetGraphQL(true)
	rest, err := e.client.Read(e.t.Context(), q)
	e.ok(err)
	e.advance(time.Hour) // the server is no longer remembered as one without GraphQL
	// Only REST falls back to the run's own page for a run without details.
	for _, state := range []forge.State{graph, rest} {
		for _, pr := range state.PullRequests {
			for i := range pr.Checks {
				pr.Checks[i].URL = ""
			}
		}
	}
	if !reflect.DeepEqual(graph, rest) {
		e.t.Errorf("GraphQL and REST differ:\n%+v\n%+v", graph, rest)
	}
	return graph
}

// A close by a person is seen with the person, over both.
func TestCloseByAPersonAgainstTheEmulator(t *testing.T) {
	e := newEmulated(t)
	number := e.open()
	e.ok(e.s.SetPullState(t.Context(), shop, number, "bob", "closed"))
	pr := e.agree(number).PullRequests[0]
	if pr.State != forge.StateClosed || pr.ClosedBy.Login != "bob" || pr.ClosedBy.Bot || pr.ClosedAt.IsZero() {
		t.Errorf("closed %+v", pr)
	}
	e.ok(e.client.ReopenPullRequest(t.Context(), e.repo, number))
	if pr := e.agree(number).PullRequests[0]; pr.State != forge.StateOpen || pr.ClosedBy != (promotion.Person{}) {
		t.Errorf("reopened %+v", pr)
	}
	e.ok(e.client.EditPullRequest(t.Context(), e.repo, number, "another title", "another body"))
	e.ok(e.client.ClosePullRequest(t.Context(), e.repo, number))
	if pr := e.agree(number).PullRequests[0]; pr.Title != "another title" || pr.ClosedBy.Login != "rung[bot]" {
		t.Errorf("closed by rung %+v", pr)
	}
}

// Trap 37: a check that runs again is pending although it was green.
func TestRerunCheckIsPendingAgainstTheEmulator(t *testing.T) {
	e := newEmulated(t)
	number := e.open()
	report := githubemu.CheckReport{Repository: shop, App: "ci-app", SHA: string(e.head), Name: "ci", Conclusion: "success"}
	_, err := e.s.ReportCheck(t.Context(), report)
	e.ok(err)
	report.Conclusion = ""
	_, err = e.s.ReportCheck(t.Context(), report)
	e.ok(err)
	report.App, report.Conclusion = "other-app", "success"
	_, err = e.s.ReportCheck(t.Context(), report)
	e.ok(err)
	checks := e.agree(number).PullRequests[0].Checks
	if len(checks) != 2 || checks[0].State == checks[1].State {
		t.Fatalf("checks %+v", checks)
	}
}

// Trap 48: reads follow a rename and show the new name; writes under the old
// one are refused.
func TestRenameAgainstTheEmulator(t *testing.T) {
	e := newEmulated(t)
	e.ok(e.s.RenameRepository(shop, "acme/store"))
	state := e.read()
	if state.Repository.FullName() != "acme/store" || state.Repository.ID != e.repo.ID {
		t.Errorf("repository %+v", state.Repository)
	}
	_, err := e.client.OpenPullRequest(t.Context(), e.repo, forge.NewPullRequest{Title: "t", Head: topic, Base: "main"})
	var moved *forge.MovedError
	if !errors.As(err, &moved) || moved.Repository != shop {
		t.Errorf("write: %v", err)
	}
	if _, err = e.client.OpenPullRequest(t.Context(), state.Repository, forge.NewPullRequest{Title: "t", Head: topic, Base: "main"}); err != nil {
		t.Errorf("write under the new name: %v", err)
	}
}

func TestAccessAgainstTheEmulator(t *testing.T) {
	e := newEmulated(t)
	e.ok(e.s.AddTeam("acme", "sre", map[string]string{"bob": "member"}, nil))
	for login, want := range map[string]string{"ann": "admin", "bob": "write", "cat": "maintain", "eve": "none", "nobody": "none"} {
		got := e.client.Access(t.Context(), e.repo, promotion.Person{Login: login}, []string{"acme/sre"})
		if got.Permission != want || got.Error != "" || (len(got.Teams) == 1) != (login == "bob") {
			t.Errorf("%s: %+v, want %s", login, got, want)
		}
	}
	e.s.RemoveFromTeam("acme", "sre", "bob")
	e.ok(e.s.SetPermission(shop, "bob", "read"))
	e.advance(time.Minute)
	if got := e.client.Access(t.Context(), e.repo, promotion.Person{Login: "bob"}, []string{"acme/sre"}); got.Permission != "read" || len(got.Teams) != 0 {
		t.Errorf("a minute later: %+v", got)
	}
}

func TestCommentsAgainstTheEmulator(t *testing.T) {
	e := newEmulated(t)
	number := e.open()
	id, err := e.s.Comment(t.Context(), shop, number, "bob", "/rollback")
	e.ok(err)
	reacted := func(comment int64, want bool) {
		t.Helper()
		got, err := e.client.Reacted(t.Context(), e.repo, comment)
		if err != nil || got != want {
			t.Errorf("reacted to %d: %t, %v; want %t", comment, got, err, want)
		}
	}
	reacted(id, false)
	e.ok(e.client.React(t.Context(), e.repo, id, forge.ReactEyes))
	e.ok(e.client.React(t.Context(), e.repo, id, forge.ReactEyes))
	reacted(id, true)
	reacted(id+1, true) // deleted since
	one, err := e.client.Comment(t.Context(), e.repo, id)
	if err != nil || one.Issue != number || !one.IsPullRequest || one.Edited() || one.Body != "/rollback" {
		t.Fatalf("comment %+v, %v", one, err)
	}
	e.advance(time.Second)
	e.ok(e.s.EditComment(t.Context(), shop, "ann", id, "/rollback force: x"))
	one, err = e.client.Comment(t.Context(), e.repo, id)
	if err != nil || !one.Edited() || one.Author.Login != "bob" {
		t.Errorf("comment %+v, %v", one, err)
	}
}

// Traps 43 and 44: every write can fail in two ways, not done and done and not
// told. Whatever was answered, doing it again ends in the same world.
func TestEveryWriteCanFailTwice(t *testing.T) {
	writes := []struct {
		name, route string
		// do carries out the write; maybe is set when it is repeated.
		do func(e *emulated, number int, maybe bool) error
		// done says what is wrong with the world, if anything.
		done func(e *emulated, number int) string
	}{
		{
			"open", "POST /repos/{owner}/{repo}/pulls",
			func(e *emulated, _ int, _ bool) error {
				_, err := e.client.OpenPullRequest(e.t.Context(), e.repo, forge.NewPullRequest{Title: "t", Head: "rung/p/dev/second", Base: "main"})
				return err
			},
			func(e *emulated, _ int) string {
				n := 0
				for _, pr := range e.read().PullRequests {
					if pr.HeadRef == "rung/p/dev/second" {
						n++
					}
				}
				return exactly(1, n, "pull requests")
			},
		},
		{
			"close", "PATCH /repos/{owner}/{repo}/pulls/{number}",
			func(e *emulated, number int, _ bool) error {
				return e.client.ClosePullRequest(e.t.Context(), e.repo, number)
			},
			func(e *emulated, _ int) string {
				if pr := e.read().PullRequests[0]; pr.State != forge.StateClosed {
					return "it is " + pr.State
				}
				return ""
			},
		},
		{
			"check", "POST /repos/{owner}/{repo}/check-runs",
			func(e *emulated, _ int, maybe bool) error {
				_, err := e.client.SetCheck(e.t.Context(), e.repo, forge.Check{Name: "rung", Head: e.head, ExternalID: "x", Conclusion: "success", Title: "t", Summary: "s", Maybe: maybe}, 0)
				return err
			},
			func(e *emulated, _ int) string { return exactly(1, len(e.read().PullRequests[0].Own), "check runs") },
		},
		{
			"comment", "POST /repos/{owner}/{repo}/issues/{number}/comments",
			func(e *emulated, number int, maybe bool) error {
				_, err := e.client.AddComment(e.t.Context(), e.repo, number, forge.NewComment{Body: "hello", Key: "k", Maybe: maybe})
				return err
			},
			func(e *emulated, number int) string { return exactly(1, e.comments(number), "comments") },
		},
		{
			"merge", "PUT /repos/{owner}/{repo}/pulls/{number}/merge",
			func(e *emulated, number int, _ bool) error {
				_, err := e.client.Merge(e.t.Context(), e.repo, number, e.head, "merge", "t", "")
				return err
			},
			func(e *emulated, _ int) string {
				state := e.read()
				if pr := state.PullRequests[0]; pr.State != forge.StateMerged || pr.MergeCommit != state.BaseHead {
					return fmt.Sprintf("%+v", pr)
				}
				return ""
			},
		},
	}
	faults := []string{
		githubemu.FaultBadGatewayBefore, githubemu.FaultBadGatewayAfter, githubemu.FaultCutBefore, githubemu.FaultCutAfter,
		githubemu.FaultForbidden, githubemu.FaultTooMany, githubemu.FaultRateLimit, githubemu.FaultUnauthorized,
	}
	for _, w := range writes {
		for _, fault := range faults {
			t.Run(w.name+" "+fault, func(t *testing.T) {
				e := newEmulated(t)
				e.push("rung/p/dev/second", "image: shop:3\n")
				number := e.open()
				e.read()
				_, err := e.s.AddFault(githubemu.Fault{Kind: fault, Route: w.route})
				e.ok(err)
				err = w.do(e, number, false)
				if err != nil {
					lost := strings.HasPrefix(fault, "502") || strings.HasPrefix(fault, "cut")
					if lost != errors.Is(err, forge.ErrUnknownOutcome) || !lost && !as[*forge.RateLimitedError](err) {
						t.Errorf("the first time: %v", err)
					}
					at, again := forge.RetryAt(err, e.clock())
					if !again {
						t.Fatalf("it can't be tried again: %v", err)
					}
					e.advance(at.Sub(e.clock()))
					if err = w.do(e, number, true); err != nil {
						t.Fatalf("the second time: %v", err)
					}
				}
				if wrong := w.done(e, number); wrong != "" {
					t.Error(wrong)
				}
			})
		}
	}
}

func exactly(want, got int, what string) string {
	if want == got {
		return ""
	}
	return fmt.Sprintf("%d %s, want %d", got, what, want)
}

// Trap 34: GitHub's base-moved answer is told apart, and passes.
func TestBaseMovedAgainstTheEmulator(t *testing.T) {
	e := newEmulated(t)
	number := e.open()
	_, err := e.s.AddFault(githubemu.Fault{Kind: githubemu.FaultBaseModified, Route: "PUT /repos/{owner}/{repo}/pulls/{number}/merge"})
	e.ok(err)
	if _, err = e.client.Merge(t.Context(), e.repo, number, e.head, "merge", "t", ""); !errors.Is(err, forge.ErrBaseMoved) {
		t.Fatalf("got %v", err)
	}
	if _, err = e.client.Merge(t.Context(), e.repo, number, e.head, "merge", "t", ""); err != nil {
		t.Errorf("again: %v", err)
	}
}

// A target of docs/benchmarks.md: two calls for a pull request with its check.
func TestOpeningTakesTwoCalls(t *testing.T) {
	e := newEmulated(t)
	_, err := e.client.Token(t.Context())
	e.ok(err)
	e.s.ResetCounts()
	e.open()
	_, err = e.client.SetCheck(t.Context(), e.repo, forge.Check{Name: "rung", Head: e.head, ExternalID: "x", Conclusion: "action_required", Title: "t", Summary: "s"}, 0)
	e.ok(err)
	if counts := e.s.Counts(); counts.Total != 2 || counts.Content != 1 {
		t.Errorf("counts %+v", counts)
	}
}
