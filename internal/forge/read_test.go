package forge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

// repositoryPart is the part of an answer that every first request has.
const repositoryPart = `"databaseId":7,"nameWithOwner":"acme/deploy","url":"https://github.example/acme/deploy","isArchived":false,"isPrivate":true,
	"mergeCommitAllowed":true,"squashMergeAllowed":true,"rebaseMergeAllowed":false,"defaultBranchRef":{"name":"main"}`

const refPart = `"ref":{"target":{"oid":"2222222222222222222222222222222222222222"},"branchProtectionRule":null,"refUpdateRule":null,"rules":{"pageInfo":{"hasNextPage":false},"nodes":[]}}`

// gqlPull is one pull request as GraphQL shows it; more overrides fields.
func gqlPull(number int, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"number":%d,"title":"t","url":"u","state":"OPEN","isDraft":false,"isCrossRepository":false,"merged":false,"mergedAt":null,"closedAt":null,
		"createdAt":"2026-03-02T10:00:00Z","headRefName":"rung/p/dev/shop","headRefOid":%q,"baseRefName":"main","baseRefOid":%q,"mergeable":"MERGEABLE","mergeCommit":null,
		"author":{"__typename":"Bot","login":"rung","databaseId":1234},"mergedBy":null,
		"reviews":{"pageInfo":{"hasPreviousPage":false,"startCursor":null},"nodes":[]},"timelineItems":{"nodes":[]},
		"commits":{"nodes":[{"commit":{"oid":%q,"statusCheckRollup":null}}]}%s}`, number, head, base, head, more)
}

func data(fields string) string {
	return `{"data":{"repository":{` + fields + `},"rateLimit":{"cost":1,"limit":5000,"remaining":4999,"resetAt":"2026-03-02T13:00:00Z"}}}`
}

// read answers the one query with body.
func read(t *testing.T, body string, q forge.Query) (forge.State, error) {
	t.Helper()
	w := newWorld(t)
	w.on("POST /graphql", answer(200, body))
	q.Repository = repo
	return w.client().Read(t.Context(), q)
}

func TestReadIsOneRequest(t *testing.T) {
	w := newWorld(t)
	w.on("POST /graphql", answer(200, data(repositoryPart+`,
	"ref":{"target":{"oid":"2222222222222222222222222222222222222222"},
		"branchProtectionRule":{"requiresApprovingReviews":true,"requiredApprovingReviewCount":2,"requiresCommitSignatures":false,"requiresLinearHistory":false,
			"requiresStatusChecks":true,"requiredStatusChecks":[{"context":"ci","app":{"databaseId":15368}},{"context":"rung","app":null}]},
		"refUpdateRule":{"requiredApprovingReviewCount":2,"requiredStatusCheckContexts":["ci","rung"],"requiresLinearHistory":false,"requiresSignatures":false},
		"rules":{"pageInfo":{"hasNextPage":false},"nodes":[
			{"type":"REQUIRED_STATUS_CHECKS","parameters":{"__typename":"RequiredStatusChecksParameters","requiredStatusChecks":[{"context":"rung","integrationId":4711},{"context":"lint","integrationId":null}]}},
			{"type":"PULL_REQUEST","parameters":{"__typename":"PullRequestParameters","requiredApprovingReviewCount":1,"allowedMergeMethods":["MERGE","REBASE"]}},
			{"type":"REQUIRED_SIGNATURES","parameters":null},{"type":"SOMETHING_NEW","parameters":{"__typename":"New"}}]}},
	"open":{"pageInfo":{"hasNextPage":false,"endCursor":"x"},"nodes":[`+gqlPull(12, `"reviews":{"pageInfo":{"hasPreviousPage":false},"nodes":[
			{"databaseId":1,"state":"APPROVED","submittedAt":"2026-03-02T10:30:00Z","author":{"__typename":"User","login":"mona","databaseId":42},"commit":{"oid":"1111111111111111111111111111111111111111"}},
			{"databaseId":2,"state":"SOMETHING","submittedAt":"2026-03-02T10:31:00Z","author":null,"commit":null}]},
		"commits":{"nodes":[{"commit":{"oid":"1111111111111111111111111111111111111111","statusCheckRollup":{"contexts":{"pageInfo":{"hasNextPage":false},"nodes":[
			{"__typename":"CheckRun","databaseId":500,"name":"rung","status":"COMPLETED","conclusion":"ACTION_REQUIRED","detailsUrl":"https://d","startedAt":"2026-03-02T10:00:00Z","completedAt":"2026-03-02T10:01:00Z","externalId":"fp","checkSuite":{"app":{"databaseId":4711}}},
			{"__typename":"StatusContext","context":"ci","state":"SUCCESS","targetUrl":"https://ci","createdAt":"2026-03-02T10:02:00Z"}]}}}}]}`)+`]},
	"h0":{"nodes":[`+gqlPull(9, `"state":"CLOSED","closedAt":"2026-03-01T10:00:00Z","mergeable":"UNKNOWN","timelineItems":{"nodes":[{"actor":{"__typename":"User","login":"mona","databaseId":42}}]}`)+`]},
	"c0":{"oid":"2222222222222222222222222222222222222222","statusCheckRollup":{"contexts":{"pageInfo":{"hasNextPage":false},"nodes":[
		{"__typename":"StatusContext","context":"argocd/shop","state":"PENDING","targetUrl":null,"createdAt":"2026-03-02T10:02:00Z"}]}}},
	"c1":null,
	"p0":`+gqlPull(3, fmt.Sprintf(`"state":"MERGED","merged":true,"mergedAt":"2026-03-01T09:00:00Z","mergeCommit":{"oid":%q},"mergedBy":{"__typename":"User","login":"mona","databaseId":42}`, merged)))))
	state, err := w.client().Read(t.Context(), forge.Query{
		Repository: repo, Base: "main", OpenPullRequests: true, Heads: []string{"rung/p/dev/shop"},
		Commits: []promotion.Hash{base, merged}, PullRequests: []int{3},
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.count("POST /graphql") != 1 || w.count("") != 2 { // the other one asks who passes these rules
		t.Errorf("%d requests", w.count(""))
	}
	if state.Repository != repo || state.BaseHead != base || state.DefaultBranch != "main" || state.Archived || !state.OpenComplete {
		t.Errorf("state %+v", state)
	}
	wantRules := promotion.BranchRules{
		Known: true, RequiredReviews: 2, SignedCommits: true, Methods: []string{"merge"},
		RequiredChecks: []promotion.RequiredCheck{{Name: "ci", App: 15368}, {Name: "lint"}, {Name: "rung", App: 4711}},
	}
	if !reflect.DeepEqual(state.Rules, wantRules) {
		t.Errorf("rules %+v", state.Rules)
	}
	if len(state.PullRequests) != 3 || state.PullRequests[0].Number != 3 || state.PullRequests[2].Number != 12 {
		t.Fatalf("pull requests %+v", state.PullRequests)
	}
	mergedPull, closed, open := state.PullRequests[0], state.PullRequests[1], state.PullRequests[2]
	if mergedPull.State != forge.StateMerged || mergedPull.MergeCommit != merged || mergedPull.MergedBy != person {
		t.Errorf("merged %+v", mergedPull)
	}
	if closed.State != forge.StateClosed || closed.ClosedBy != person || closed.Mergeable != forge.MergeUnknown {
		t.Errorf("closed %+v", closed)
	}
	if open.Author != (promotion.Person{ID: 1234, Login: "rung[bot]", Bot: true}) || open.Mergeable != forge.MergeClean || open.Base != base {
		t.Errorf("open %+v", open)
	}
	wantChecks := []promotion.CheckFacts{
		{Name: "ci", State: "success", URL: "https://ci", At: time.Date(2026, 3, 2, 10, 2, 0, 0, time.UTC)},
		{Name: "rung", App: 4711, State: "action_required", URL: "https://d", At: time.Date(2026, 3, 2, 10, 1, 0, 0, time.UTC)},
	}
	if !reflect.DeepEqual(open.Checks, wantChecks) || !open.ChecksComplete {
		t.Errorf("checks %+v", open.Checks)
	}
	if !reflect.DeepEqual(open.Own, []forge.CheckRun{{ID: 500, Name: "rung", Head: head, ExternalID: "fp", Conclusion: "action_required"}}) {
		t.Errorf("own %+v", open.Own)
	}
	if len(open.Reviews) != 2 || open.Reviews[0].State != "approved" || open.Reviews[0].Commit != head || open.Reviews[1].State != "something" {
		t.Errorf("reviews %+v", open.Reviews)
	}
	if got := state.Commits[base]; len(got) != 1 || got[0].State != "pending" {
		t.Errorf("base's checks %+v", got)
	}
	if _, ok := state.Commits[merged]; ok {
		t.Error("a commit that does not exist has checks")
	}
}

// Outside strings travel as variables, never in the text of the query.
func TestReadPutsNothingFromOutsideIntoTheQuery(t *testing.T) {
	w := newWorld(t)
	w.on("POST /graphql", answer(200, data(repositoryPart+`,"ref":null,"h0":{"nodes":[]}`)))
	evil := `x") { id } } #`
	state, err := w.client().Read(t.Context(), forge.Query{Repository: repo, Base: evil, Heads: []string{evil}})
	if err != nil || state.BaseHead != "" || state.Rules.Known {
		t.Fatalf("got %+v, %v", state, err)
	}
	var sent struct {
		Query     string
		Variables map[string]any
	}
	if err := json.Unmarshal([]byte(w.body("POST /graphql")), &sent); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(sent.Query, "#") || sent.Variables["h0"] != evil || sent.Variables["ref"] != "refs/heads/"+evil {
		t.Errorf("sent %+v", sent)
	}
}

// Errors in a 200 are read, and partial data is not judged from.
func TestReadRefusesPartialData(t *testing.T) {
	good := repositoryPart + `,` + refPart + `,"p0":` + gqlPull(12, "")
	withError := func(fields, e string) string {
		return strings.TrimSuffix(data(fields), "}") + `,"errors":[` + e + `]}`
	}
	for name, tt := range map[string]struct {
		body string
		want func(error) bool
	}{
		"whole": {data(good), func(err error) bool { return err == nil }},
		"error beside good data": {
			withError(good, `{"message":"Something went wrong while executing your query","path":["repository","p0","reviews"]}`),
			as[*forge.UnavailableError],
		},
		"forbidden field": {
			withError(good, `{"type":"FORBIDDEN","message":"Resource not accessible by integration","path":["repository","p0","reviews"]}`),
			as[*forge.ForbiddenError],
		},
		"no such pull request": {
			withError(repositoryPart+`,`+refPart+`,"p0":null`, `{"type":"NOT_FOUND","message":"Could not resolve","path":["repository","p0"]}`),
			func(err error) bool { return err == nil },
		},
		"no such repository": {
			`{"data":{"repository":null},"errors":[{"type":"NOT_FOUND","message":"Could not resolve","path":["repository"]}]}`,
			func(err error) bool { return errors.Is(err, forge.ErrNotFound) },
		},
		"null without an error":  {`{"data":{"repository":null}}`, func(err error) bool { return errors.Is(err, forge.ErrNotFound) }},
		"another repository":     {data(strings.Replace(good, `"databaseId":7`, `"databaseId":8`, 1)), func(err error) bool { return errors.Is(err, forge.ErrNotFound) }},
		"a field is missing":     {data(strings.Replace(good, `"isArchived":false,`, ``, 1)), as[*forge.UnavailableError]},
		"an alias is missing":    {data(repositoryPart + `,` + refPart), as[*forge.UnavailableError]},
		"unknown state":          {data(repositoryPart + `,` + refPart + `,"p0":` + gqlPull(12, `"state":"LIMBO"`)), as[*forge.UnavailableError]},
		"a head of another hash": {data(repositoryPart + `,` + refPart + `,"p0":` + gqlPull(12, `"headRefOid":"abc"`)), as[*forge.UnavailableError]},
		"not JSON":               {`<html>`, as[*forge.UnavailableError]},
		"a number for a list":    {data(repositoryPart + `,` + refPart + `,"p0":5`), as[*forge.UnavailableError]},
		"empty":                  {``, as[*forge.UnavailableError]},
	} {
		t.Run(name, func(t *testing.T) {
			state, err := read(t, tt.body, forge.Query{Base: "main", PullRequests: []int{12}})
			if !tt.want(err) {
				t.Fatalf("got %+v, %v", state, err)
			}
			if err != nil && !reflect.DeepEqual(state, forge.State{}) {
				t.Errorf("an error came with data: %+v", state)
			}
		})
	}
}

func TestReadErrorsByStatus(t *testing.T) {
	for status, want := range map[int]func(error) bool{
		401: as[*forge.ForbiddenError], 403: as[*forge.ForbiddenError], 429: as[*forge.RateLimitedError],
		500: as[*forge.UnavailableError], 502: as[*forge.UnavailableError], 301: as[*forge.MovedError], 422: as[*forge.InvalidError],
	} {
		w := newWorld(t)
		w.on("POST /graphql", answer(status, `{"message":"no"}`))
		_, err := w.client().Read(t.Context(), forge.Query{Repository: repo})
		if err == nil || !want(err) || errors.Is(err, forge.ErrUnknownOutcome) {
			t.Errorf("%d: %v", status, err)
		}
	}
	w := newWorld(t)
	w.on("POST /graphql", cutOff)
	if _, err := w.client().Read(t.Context(), forge.Query{Repository: repo}); !as[*forge.UnavailableError](err) {
		t.Errorf("cut connection: %v", err)
	}
}

// Protection that only administrators may see is replaced by what everybody
// may see; without either, the rules are not known.
func TestReadRulesThatTheAppMayNotSee(t *testing.T) {
	forbidden := `,"errors":[{"type":"FORBIDDEN","message":"Resource not accessible by integration","path":["repository","ref","branchProtectionRule"]}]}`
	body := func(update string) string {
		return strings.TrimSuffix(data(repositoryPart+`,"ref":{"target":{"oid":"2222222222222222222222222222222222222222"},"branchProtectionRule":null,"refUpdateRule":`+update+`,"rules":null}`), "}") + forbidden
	}
	state, err := read(t, body(`{"requiredApprovingReviewCount":1,"requiredStatusCheckContexts":["ci"],"requiresLinearHistory":true,"requiresSignatures":false}`), forge.Query{Base: "main"})
	want := promotion.BranchRules{Known: true, RequiredReviews: 1, LinearHistory: true, RequiredChecks: []promotion.RequiredCheck{{Name: "ci"}}, Methods: []string{"merge", "squash"}}
	if err != nil || !reflect.DeepEqual(state.Rules, want) {
		t.Errorf("got %+v, %v", state.Rules, err)
	}
	state, err = read(t, body(`null`), forge.Query{Base: "main"})
	if err != nil || state.Rules.Known {
		t.Errorf("got %+v, %v", state.Rules, err)
	}
}

// A server that does not know an optional field is asked without it, from then
// on.
func TestReadLeavesOutFieldsThatTheServerDoesNotKnow(t *testing.T) {
	w := newWorld(t)
	w.on("POST /graphql", func(out http.ResponseWriter, r *http.Request) {
		var sent struct{ Query string }
		_ = json.NewDecoder(r.Body).Decode(&sent)
		switch {
		case strings.Contains(sent.Query, "refUpdateRule"):
			answer(200, `{"errors":[{"message":"Field 'refUpdateRule' doesn't exist on type 'Ref'","extensions":{"code":"undefinedField"}}]}`)(out, r)
		case strings.Contains(sent.Query, "rules("):
			answer(200, `{"errors":[{"message":"Cannot query field \"rules\" on type \"Ref\"."}]}`)(out, r)
		default:
			answer(200, data(repositoryPart+`,"ref":{"target":{"oid":"2222222222222222222222222222222222222222"},"branchProtectionRule":null}`))(out, r)
		}
	})
	for i, want := range []int{3, 4} {
		state, err := w.client().Read(t.Context(), forge.Query{Repository: repo, Base: "main"})
		if err != nil || !state.Rules.Known || w.count("") != want {
			t.Fatalf("read %d: %+v, %v after %d requests", i, state.Rules, err, w.count(""))
		}
	}
	w.on("POST /graphql", answer(200, `{"errors":[{"message":"Field 'databaseId' doesn't exist on type 'Repository'"}]}`))
	if _, err := w.client().Read(t.Context(), forge.Query{Repository: repo, Base: "main"}); !as[*forge.UnavailableError](err) {
		t.Errorf("got %v", err)
	}
}

// Trap 28: a list that goes on is read on, to a bound, and then marked.
func TestReadPagesAndMarksWhatItDidNotRead(t *testing.T) {
	contextsPage := func(more bool, name string) string {
		return fmt.Sprintf(`{"oid":%q,"statusCheckRollup":{"contexts":{"pageInfo":{"hasNextPage":%v,"endCursor":"c"},"nodes":[{"__typename":"StatusContext","context":%q,"state":"SUCCESS"}]}}}`, head, more, name)
	}
	reviewsPage := func(more bool, id int) string {
		return fmt.Sprintf(`{"pageInfo":{"hasPreviousPage":%v,"startCursor":"r"},"nodes":[{"databaseId":%d,"state":"APPROVED","author":null,"commit":null}]}`, more, id)
	}
	serve := func(w *world, endless bool) {
		pages := 0
		w.on("POST /graphql", func(out http.ResponseWriter, r *http.Request) {
			var sent struct {
				Query     string
				Variables map[string]any
			}
			_ = json.NewDecoder(r.Body).Decode(&sent)
			pages++
			switch {
			case strings.Contains(sent.Query, "c0:"):
				answer(200, data(`"databaseId":7,"c0":`+contextsPage(endless, fmt.Sprint("ci", pages))))(out, r)
			case strings.Contains(sent.Query, "before: $before"):
				answer(200, data(`"databaseId":7,"pullRequest":{"reviews":`+reviewsPage(endless, 1)+`}`))(out, r)
			case sent.Variables["after"] != nil:
				answer(200, data(fmt.Sprintf(`"databaseId":7,"open":{"pageInfo":{"hasNextPage":%v,"endCursor":"o"},"nodes":[%s]}`, endless, gqlPull(12+pages, ""))))(out, r)
			default:
				answer(200, data(repositoryPart+`,`+refPart+`,"open":{"pageInfo":{"hasNextPage":true,"endCursor":"o"},"nodes":[`+
					gqlPull(12, `"reviews":`+reviewsPage(true, 2)+`,"commits":{"nodes":[{"commit":`+contextsPage(true, "ci0")+`}]}`)+`]}`))(out, r)
			}
		})
	}
	w := newWorld(t)
	serve(w, false)
	q := forge.Query{Repository: repo, Base: "main", OpenPullRequests: true}
	state, err := w.client().Read(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	first := state.PullRequests[0]
	if len(state.PullRequests) != 2 || !state.OpenComplete || len(first.Checks) != 2 || !first.ChecksComplete || !first.ReviewsComplete {
		t.Errorf("got %+v", state)
	}
	if len(first.Reviews) != 2 || first.Reviews[0].ID != 1 || first.Reviews[1].ID != 2 {
		t.Errorf("reviews are not oldest first: %+v", first.Reviews)
	}

	w = newWorld(t)
	serve(w, true)
	if state, err = w.client().Read(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	first = state.PullRequests[0]
	if state.OpenComplete || first.ChecksComplete || first.ReviewsComplete || len(first.Reviews) != 0 {
		t.Errorf("what was cut looks whole: open %v, checks %v, reviews %v", state.OpenComplete, first.ChecksComplete, first.Reviews)
	}
	if n := w.count(""); n > 60 {
		t.Errorf("%d requests: not bounded", n)
	}
}

// Checks of another commit than the head say nothing about the head.
func TestReadDoesNotTakeChecksOfAnotherCommit(t *testing.T) {
	state, err := read(t, data(repositoryPart+`,`+refPart+`,"p0":`+gqlPull(12, fmt.Sprintf(`"commits":{"nodes":[{"commit":{"oid":%q,"statusCheckRollup":{"contexts":{"pageInfo":{},"nodes":[
		{"__typename":"StatusContext","context":"ci","state":"SUCCESS"}]}}}}]}`, base))), forge.Query{Base: "main", PullRequests: []int{12}})
	if err != nil || state.PullRequests[0].ChecksComplete || len(state.PullRequests[0].Checks) != 0 {
		t.Fatalf("got %+v, %v", state, err)
	}
}

func TestReadSplitsLongQueries(t *testing.T) {
	w := newWorld(t)
	w.on("POST /graphql", func(out http.ResponseWriter, r *http.Request) {
		var sent struct{ Variables map[string]any }
		_ = json.NewDecoder(r.Body).Decode(&sent)
		fields := repositoryPart
		for name, value := range sent.Variables {
			if number, ok := value.(float64); ok {
				fields += fmt.Sprintf(`,%q:%s`, name, gqlPull(int(number), ""))
			}
		}
		answer(200, data(fields))(out, r)
	})
	var numbers []int
	for n := range 150 {
		numbers = append(numbers, n+1)
	}
	state, err := w.client().Read(t.Context(), forge.Query{Repository: repo, PullRequests: numbers})
	if err != nil || len(state.PullRequests) != 150 || w.count("") != 3 {
		t.Fatalf("%d pull requests in %d requests, %v", len(state.PullRequests), w.count(""), err)
	}
	if _, err := w.client().Read(t.Context(), forge.Query{Repository: repo, PullRequests: make([]int, 1001)}); err == nil {
		t.Error("a query without bounds was accepted")
	}
}

func TestReadRefusesBadQueries(t *testing.T) {
	w := newWorld(t)
	for name, q := range map[string]forge.Query{
		"commit":      {Commits: []promotion.Hash{"main"}},
		"number":      {PullRequests: []int{0}},
		"open of all": {OpenPullRequests: true},
	} {
		q.Repository = repo
		if _, err := w.client().Read(t.Context(), q); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if w.count("") != 0 {
		t.Error("a request was sent")
	}
}
