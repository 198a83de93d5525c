package githubemu_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// ask sends a GraphQL query with an installation token and decodes the answer.
func (w *world) ask(query string, vars map[string]any) map[string]any {
	w.Helper()
	raw, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	w.ok(err)
	req, err := http.NewRequestWithContext(w.ctx(), http.MethodPost, w.web.URL+"/api/graphql", bytes.NewReader(raw))
	w.ok(err)
	req.Header.Set("Authorization", "bearer "+w.mint())
	res, err := http.DefaultClient.Do(req)
	w.ok(err)
	defer func() { _ = res.Body.Close() }()
	equal(w.T, "status", res.StatusCode, http.StatusOK)
	var out map[string]any
	w.ok(json.NewDecoder(res.Body).Decode(&out))
	return out
}

// dig follows keys and indices, separated by dots, into a decoded answer.
func dig(v any, path string) string {
	for _, k := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[k]
		case []any:
			var i int
			if _, err := fmt.Sscan(k, &i); err != nil || i >= len(x) {
				return "<nothing at " + k + ">"
			}
			v = x[i]
		default:
			return "<nothing at " + k + ">"
		}
	}
	return fmt.Sprint(v)
}

const everything = `
query Read($owner: String!, $name: String!, $ref: String = "refs/heads/main", $n: Int!, $oid: GitObjectID!, $deep: Boolean = true) {
  repository(owner: $owner, name: $name) {
    databaseId nameWithOwner isArchived url mergeCommitAllowed squashMergeAllowed rebaseMergeAllowed defaultBranchRef { name }
    ref(qualifiedName: $ref) { name target { oid }
      branchProtectionRule { requiresApprovingReviews requiredApprovingReviewCount requiresCommitSignatures requiresLinearHistory requiresStatusChecks requiredStatusChecks { context app { databaseId } } }
      rules(first: 100) { pageInfo { hasNextPage } nodes { type parameters { __typename
        ... on RequiredStatusChecksParameters { requiredStatusChecks { context integrationId } }
        ... on PullRequestParameters { requiredApprovingReviewCount } } } } }
    open: pullRequests(states: [OPEN], headRefName: "topic", first: 10, orderBy: {field: CREATED_AT, direction: DESC}) { pageInfo { hasNextPage endCursor } nodes { ...Pull } }
    none: pullRequests(states: OPEN, baseRefName: "nowhere", last: 1) { nodes { number } }
    one: pullRequest(number: $n) { ...Pull labels(first: 5) @skip(if: $deep) { nodes { name } } }
    object(oid: $oid) { ... on Commit { oid statusCheckRollup { state contexts(first: 100) { pageInfo { hasNextPage endCursor } nodes { __typename
      ... on CheckRun { databaseId name status conclusion startedAt completedAt externalId checkSuite { app { databaseId slug } } }
      ... on StatusContext { context state createdAt creator { login } } } } } } }
  }
  rateLimit { cost remaining resetAt }
}
fragment Who on Actor { __typename login ... on Bot { databaseId } ... on User { databaseId } }
fragment Pull on PullRequest {
  number title body url state isDraft isCrossRepository merged mergedAt closedAt createdAt headRefName headRefOid baseRefName baseRefOid
  mergeable mergeStateStatus mergeCommit { oid } author { ...Who } mergedBy { ...Who }
  reviews(last: 100) { nodes { databaseId state submittedAt body author { ...Who } commit { oid } } }
  timelineItems(last: 1, itemTypes: [CLOSED_EVENT]) { nodes { __typename ... on ClosedEvent { createdAt actor { ...Who } } } }
  comments(last: 5) { nodes { body author { login } } }
  commits(last: 1) { nodes { commit { oid statusCheckRollup { state } } } }
}`

func TestGraphQL(t *testing.T) {
	w := newWorld(t)
	head := w.branch("topic", "env/dev/app.yaml", "image: shop:2\n")
	p := w.open("topic")
	ci, err := w.s.AddApp(githubemu.App{Slug: "ci"})
	w.ok(err)
	_, err = w.s.ReportCheck(t.Context(), githubemu.CheckReport{Repository: full, App: "ci", SHA: "topic", Name: "build", Conclusion: "success"})
	w.ok(err)
	w.ok(w.s.ReportStatus(t.Context(), githubemu.CheckReport{Repository: full, App: "ci", SHA: head, Name: "lint", State: "pending"}))
	_, err = w.s.Review(t.Context(), full, p.GetNumber(), "cat", "APPROVE", "yes")
	w.ok(err)
	w.ok(w.s.SetRules(full,
		githubemu.Ruleset{Protection: true, RequiredChecks: []githubemu.RequiredCheck{{Context: "rung", AppID: appID}}},
		githubemu.Ruleset{RequiredReviews: 1, RequiredChecks: []githubemu.RequiredCheck{{Context: "build", AppID: ci}}}))
	vars := map[string]any{"owner": "acme", "name": "shop", "n": p.GetNumber(), "oid": head}
	w.ask(everything, vars)
	got := w.ask(everything, vars)
	if got["errors"] != nil {
		t.Fatalf("errors: %v", got["errors"])
	}
	const pull = "data.repository.open.nodes.0."
	for path, want := range map[string]string{
		"data.repository.nameWithOwner":  full,
		"data.repository.ref.target.oid": w.tip("main"),
		"data.repository.ref.branchProtectionRule.requiredStatusChecks.0.app.databaseId":    "42",
		"data.repository.ref.rules.nodes.0.parameters.requiredApprovingReviewCount":         "1",
		"data.repository.ref.rules.nodes.1.parameters.__typename":                           "RequiredStatusChecksParameters",
		"data.repository.ref.rules.nodes.1.parameters.requiredStatusChecks.0.integrationId": fmt.Sprint(ci),
		"data.repository.none.nodes":                            "[]",
		"data.repository.one.labels":                            "<nil>",
		pull + "headRefOid":                                     head,
		pull + "author.__typename":                              "Bot",
		pull + "author.login":                                   "rung",
		pull + "mergeable":                                      "MERGEABLE",
		pull + "mergeStateStatus":                               "BLOCKED",
		pull + "reviews.nodes.0.state":                          "APPROVED",
		pull + "reviews.nodes.0.author.__typename":              "User",
		pull + "reviews.nodes.0.commit.oid":                     head,
		pull + "commits.nodes.0.commit.statusCheckRollup.state": "PENDING",
		"data.repository.object.statusCheckRollup.contexts.nodes.0.checkSuite.app.slug": "ci",
		"data.repository.object.statusCheckRollup.contexts.nodes.1.state":               "PENDING",
		"data.repository.object.statusCheckRollup.contexts.nodes.1.creator.login":       "ci",
		"data.rateLimit.cost": "1",
	} {
		equal(t, path, dig(got, path), want)
	}
	w.ok(w.s.SetPullState(t.Context(), full, p.GetNumber(), "ann", "closed"))
	got = w.ask(everything, vars)
	equal(t, "closed by", dig(got, "data.repository.one.timelineItems.nodes.0.actor.login"), "ann")
	equal(t, "open", dig(got, "data.repository.open.nodes"), "[]")
	equal(t, "counted as reads", w.s.Counts().Of("POST /graphql"), 3)
}

func TestGraphQLErrors(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string]string{
		`{ repository(owner: "acme", name: "shop") { wrong } }`:                                             "Field 'wrong' doesn't exist on type 'Repository'",
		`{ repository(owner: "acme", name: "none") { name } }`:                                              "Could not resolve to a Repository with the name 'acme/none'.",
		`{ repository(owner: "acme", name: "shop") { pullRequests { totalCount } } }`:                       "You must provide a `first` or `last` value to properly paginate the `pullRequests` connection.",
		`{ repository(owner: "acme", name: "shop") { pullRequest(number: 9) { title } } }`:                  "Could not resolve to a PullRequest with the number of 9.",
		`query($x: Int!) { repository(owner: "acme", name: "shop") { pullRequest(number: $x) { title } } }`: "Variable $x of type Int! was provided invalid value",
		`{ repository( }`: "Parse error: Expected Name, found }",
		`{ repository(owner: "acme", name: "shop") { ... on Nonsense { name } } }`: "No such type Nonsense, so it can't be a fragment condition",
	} {
		equal(t, query, dig(w.ask(query, nil), "errors.0.message"), want)
	}
}

func FuzzGraphQL(f *testing.F) {
	f.Add(everything)
	f.Add(`{ rateLimit { cost } }`)
	f.Add(`query A { a: rateLimit { ...X } } fragment X on RateLimit { ...X }`)
	f.Add(`{ repository(owner: [], name: {a: $b}) { id } }`)
	s, err := githubemu.New(githubemu.Config{
		Store: gitmem.New(gitstore.Options{}), BaseURL: "http://emu.test", Manual: true,
		App: githubemu.App{ID: appID, Slug: "rung"},
	})
	if err != nil {
		f.Fatal(err)
	}
	token := s.AddPerson(githubemu.Person{Login: "ann"})
	if err := s.CreateRepository(f.Context(), githubemu.RepositorySeed{
		Name: full, Collaborators: map[string]string{"ann": "admin"},
		Commits: []githubemu.CommitSeed{{Files: map[string]string{"a": "1"}}},
	}); err != nil {
		f.Fatal(err)
	}
	if _, err := s.PushFiles(f.Context(), githubemu.Push{Repository: full, Person: "ann", Branch: "topic", Files: map[string]string{"b": "2"}}); err != nil {
		f.Fatal(err)
	}
	if _, err := s.OpenPull(f.Context(), full, "ann", "topic", "", "one", ""); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query string) {
		raw, err := json.Marshal(map[string]any{"query": query, "variables": map[string]any{"owner": "acme", "name": "shop", "n": 1, "oid": strings.Repeat("0", 40)}})
		if err != nil {
			return
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://emu.test/api/graphql", bytes.NewReader(raw))
		req.Header.Set("Authorization", "bearer "+token)
		res, err := s.Transport().RoundTrip(req)
		if err != nil || res.StatusCode >= 500 {
			t.Fatalf("%v %v", res, err)
		}
		_ = res.Body.Close()
	})
}
