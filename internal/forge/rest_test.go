package forge_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

// restWorld is a server without GraphQL that holds the same as one with it.
func restWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	r := "GET /repos/acme/deploy"
	w.on(r, answer(200, `{"id":7,"full_name":"acme/deploy","html_url":"https://github.example/acme/deploy","archived":false,"default_branch":"main",
		"allow_merge_commit":true,"allow_squash_merge":true,"allow_rebase_merge":false}`))
	w.on(r+"/branches/main", answer(200, fmt.Sprintf(`{"commit":{"sha":%q},"protected":true,"protection":{"enabled":true,"required_status_checks":{"enforcement_level":"non_admins",
		"contexts":["ci","rung"],"checks":[{"context":"ci","app_id":15368},{"context":"rung","app_id":null}]}}}`, base)))
	w.on(r+"/branches/main/protection", answer(200, `{"required_status_checks":{"contexts":["ci","rung"],"checks":[{"context":"ci","app_id":15368},{"context":"rung","app_id":null}]},
		"required_pull_request_reviews":{"required_approving_review_count":2},"required_signatures":{"enabled":false},"required_linear_history":{"enabled":false}}`))
	w.on(r+"/rules/branches/main", answer(200, `[{"type":"required_status_checks","parameters":{"required_status_checks":[{"context":"rung","integration_id":4711},{"context":"lint"}]}},
		{"type":"pull_request","parameters":{"required_approving_review_count":1,"allowed_merge_methods":["merge","rebase"]}},{"type":"required_signatures"},{"type":"something_new"}]`))
	pull := func(number int, state, more string) string {
		return fmt.Sprintf(`{"number":%d,"title":"t","html_url":"u","state":%q,"draft":false,"created_at":"2026-03-02T10:00:00Z",
			"head":{"ref":"rung/p/dev/shop","sha":%q,"repo":{"id":7}},"base":{"ref":"main","sha":%q},"user":{"login":"rung[bot]","id":1234,"type":"Bot"}%s}`, number, state, head, base, more)
	}
	w.on(r+"/pulls", func(out http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Query().Get("head") == "acme:rung/p/dev/other":
			answer(200, `[]`)(out, req)
		case req.URL.Query().Get("state") == "open":
			foreign := fmt.Sprintf(`{"number":13,"state":"open","head":{"ref":"feature","sha":%q,"repo":{"id":700}},"base":{"ref":"main","sha":%q},"user":{"login":"mona","id":42}}`, head, base)
			answer(200, `[`+pull(12, "open", "")+`,`+foreign+`]`)(out, req)
		default:
			t.Errorf("listed %v", req.URL.Query())
		}
	})
	w.on(r+"/pulls/12", answer(200, pull(12, "open", `,"mergeable":true,"mergeable_state":"blocked"`)))
	w.on(r+"/pulls/9", answer(200, pull(9, "closed", `,"closed_at":"2026-03-01T10:00:00Z","mergeable":null,"mergeable_state":"unknown"`)))
	w.on(r+"/pulls/3", answer(200, pull(3, "closed", fmt.Sprintf(`,"merged":true,"merged_at":"2026-03-01T09:00:00Z","merge_commit_sha":%q,"merged_by":{"login":"mona","id":42,"type":"User"}`, merged))))
	w.on(r+"/issues/9", answer(200, `{"number":9,"closed_by":{"login":"mona","id":42,"type":"User"}}`))
	for _, n := range []string{"3", "9"} {
		w.on(r+"/pulls/"+n+"/reviews", answer(200, `[]`))
	}
	w.on(r+"/pulls/12/reviews", answer(200, fmt.Sprintf(`[{"id":1,"state":"APPROVED","user":{"login":"mona","id":42,"type":"User"},"commit_id":%q,"submitted_at":"2026-03-02T10:30:00Z"}]`, head)))
	w.on(r+"/commits/"+string(head)+"/check-runs", answer(200, `{"total_count":1,"check_runs":[{"id":500,"name":"rung","status":"completed","conclusion":"action_required","details_url":"https://d",
		"completed_at":"2026-03-02T10:01:00Z","external_id":"fp","app":{"id":4711}}]}`))
	w.on(r+"/commits/"+string(head)+"/status", answer(200, `{"statuses":[{"context":"ci","state":"success","target_url":"https://ci","created_at":"2026-03-02T10:02:00Z"}]}`))
	w.on(r+"/commits/"+string(base)+"/check-runs", answer(200, `{"check_runs":[]}`))
	w.on(r+"/commits/"+string(base)+"/status", answer(200, `{"statuses":[{"context":"argocd/shop","state":"pending","created_at":"2026-03-02T10:02:00Z"}]}`))
	w.on(r+"/commits/"+string(merged)+"/check-runs", answer(422, `{"message":"No commit found for SHA"}`))
	return w
}

func restQuery() forge.Query {
	return forge.Query{
		Repository: repo, Base: "main", OpenPullRequests: true, Heads: []string{"rung/p/dev/shop", "rung/p/dev/other"},
		Commits: []promotion.Hash{base, merged}, PullRequests: []int{3, 9, 404},
	}
}

func TestReadOverRESTGivesTheSameState(t *testing.T) {
	w := restWorld(t)
	state, err := w.client().Read(t.Context(), restQuery())
	if err != nil {
		t.Fatal(err)
	}
	wantRules := promotion.BranchRules{
		Known: true, RequiredReviews: 2, SignedCommits: true, Methods: []string{"merge"},
		RequiredChecks: []promotion.RequiredCheck{{Name: "ci", App: 15368}, {Name: "lint"}, {Name: "rung", App: 4711}},
	}
	if !reflect.DeepEqual(state.Rules, wantRules) || state.Repository != repo || state.BaseHead != base || state.DefaultBranch != "main" || !state.OpenComplete {
		t.Errorf("state %+v", state)
	}
	if len(state.PullRequests) != 4 {
		t.Fatalf("pull requests %+v", state.PullRequests)
	}
	mergedPull, closed, open, foreign := state.PullRequests[0], state.PullRequests[1], state.PullRequests[2], state.PullRequests[3]
	if mergedPull.State != forge.StateMerged || mergedPull.MergeCommit != merged || mergedPull.MergedBy != person {
		t.Errorf("merged %+v", mergedPull)
	}
	if closed.State != forge.StateClosed || closed.ClosedBy != person || closed.Mergeable != forge.MergeUnknown {
		t.Errorf("closed %+v", closed)
	}
	at := func(minute int) time.Time { return time.Date(2026, 3, 2, 10, minute, 0, 0, time.UTC) }
	wantOpen := forge.PullRequest{
		Number: 12, Title: "t", URL: "u", State: forge.StateOpen, HeadRef: "rung/p/dev/shop", Head: head, BaseRef: "main", Base: base,
		Mergeable: forge.MergeClean, Author: promotion.Person{ID: 1234, Login: "rung[bot]", Bot: true}, CreatedAt: at(0), Detailed: true,
		Reviews: []promotion.ReviewFacts{{ID: 1, Author: person, State: "approved", Commit: head, At: at(30)}}, ReviewsComplete: true,
		Checks: []promotion.CheckFacts{
			{Name: "ci", State: "success", URL: "https://ci", At: at(2)}, {Name: "rung", App: 4711, State: "action_required", URL: "https://d", At: at(1)},
		}, ChecksComplete: true,
		Own: []forge.CheckRun{{ID: 500, Name: "rung", Head: head, ExternalID: "fp", Conclusion: "action_required"}},
	}
	if !reflect.DeepEqual(open, wantOpen) {
		t.Errorf("open\n%+v, want\n%+v", open, wantOpen)
	}
	// An ordinary pull request is listed, and marked as no more than that.
	if foreign.Number != 13 || !foreign.Fork || foreign.Detailed || foreign.ChecksComplete || foreign.Mergeable != forge.MergeUnknown {
		t.Errorf("foreign %+v", foreign)
	}
	if got := state.Commits[base]; len(got) != 1 || got[0].Name != "argocd/shop" {
		t.Errorf("base's checks %+v", got)
	}
	if _, ok := state.Commits[merged]; ok {
		t.Error("a commit that does not exist has checks")
	}
	// The server is remembered as one without GraphQL, for an hour.
	if _, err := w.client().Read(t.Context(), restQuery()); err != nil || w.count("POST /graphql") != 1 {
		t.Errorf("GraphQL was tried %d times, %v", w.count("POST /graphql"), err)
	}
	w.advance(time.Hour)
	if _, err := w.client().Read(t.Context(), restQuery()); err != nil || w.count("POST /graphql") != 2 {
		t.Errorf("GraphQL was tried %d times, %v", w.count("POST /graphql"), err)
	}
}

func TestReadOverRESTFailsWholeOrNotAtAll(t *testing.T) {
	for _, route := range []string{
		"", "/branches/main", "/branches/main/protection", "/rules/branches/main", "/pulls", "/pulls/12", "/pulls/12/reviews", "/issues/9",
		"/commits/" + string(head) + "/check-runs", "/commits/" + string(head) + "/status", "/commits/" + string(base) + "/status",
	} {
		w := restWorld(t)
		w.on("GET /repos/acme/deploy"+route, answer(502, ``))
		state, err := w.client().Read(t.Context(), restQuery())
		if !as[*forge.UnavailableError](err) || errors.Is(err, forge.ErrUnknownOutcome) || !reflect.DeepEqual(state, forge.State{}) {
			t.Errorf("%s fails: %v with %+v", route, err, state)
		}
	}
	w := restWorld(t)
	w.on("GET /repos/acme/deploy", answer(200, `{"id":8,"full_name":"acme/deploy"}`))
	if _, err := w.client().Read(t.Context(), restQuery()); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("another repository of the name: %v", err)
	}
}

// Without administration rights a reader still sees the checks.
func TestReadOverRESTWithoutAdministrationRights(t *testing.T) {
	w := restWorld(t)
	w.on("GET /repos/acme/deploy/branches/main/protection", answer(403, `{"message":"Resource not accessible by integration"}`))
	state, err := w.client().Read(t.Context(), restQuery())
	if err != nil || !state.Rules.Known || state.Rules.RequiredReviews != 1 || len(state.Rules.RequiredChecks) != 3 {
		t.Errorf("got %+v, %v", state.Rules, err)
	}
	w.on("GET /repos/acme/deploy/branches/main", answer(200, fmt.Sprintf(`{"commit":{"sha":%q},"protected":true}`, base)))
	if state, err = w.client().Read(t.Context(), restQuery()); err != nil || state.Rules.Known {
		t.Errorf("got %+v, %v", state.Rules, err)
	}
	w.on("GET /repos/acme/deploy/branches/main", answer(404, `{}`))
	if state, err = w.client().Read(t.Context(), restQuery()); err != nil || state.BaseHead != "" || state.Rules.Known {
		t.Errorf("no such branch: %+v, %v", state, err)
	}
}

// An answer that has not changed is asked for with its ETag, and costs nothing.
func TestUnchangedAnswersAreRevalidated(t *testing.T) {
	w := newWorld(t)
	route := "GET /repos/acme/deploy/issues/comments/5"
	fresh, cached := 0, 0
	w.on(route, func(out http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"v1"` {
			cached++
			answer(304, ``, "ETag", `"v1"`)(out, r)
			return
		}
		fresh++
		answer(200, `{"id":5,"body":"hello"}`, "ETag", `"v1"`)(out, r)
	})
	for range 3 {
		comment, err := w.client().Comment(t.Context(), repo, 5)
		if err != nil || comment.Body != "hello" {
			t.Fatalf("got %+v, %v", comment, err)
		}
	}
	if fresh != 1 || cached != 2 {
		t.Errorf("%d fresh and %d cached answers", fresh, cached)
	}
	w.on(route, answer(200, `{"id":5,"body":"changed"}`, "ETag", `"v2"`))
	if comment, err := w.client().Comment(t.Context(), repo, 5); err != nil || comment.Body != "changed" {
		t.Errorf("got %+v, %v", comment, err)
	}
	// Another installation's client never sees it.
	if _, err := w.app.Installation(1).Comment(t.Context(), repo, 5); err != nil {
		t.Error(err)
	}
}
