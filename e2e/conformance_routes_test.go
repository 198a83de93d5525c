//go:build conformance

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// asked is one request of TestEveryRouteIsAsDescribed. {name} in a path and "{name}"
// in a body is what an earlier answer was saved as.
type asked struct {
	as     string // app, token, alice, bob or nobody
	method string
	path   string
	body   string
	status int
	save   string // name=field.field
}

// requests reach every route that the emulator serves, in an order in which each
// finds what it needs.
var requests = []asked{
	{"app", "GET", "/app", "", 200, ""},
	{"app", "GET", "/app/installations", "", 200, "installation=0.id"},
	{"app", "GET", "/app/installations/{installation}", "", 200, ""},
	{"app", "POST", "/app/installations/{installation}/access_tokens", "{}", 201, "token=token"},
	{"app", "GET", "/repos/acme/environments/installation", "", 200, ""},
	{"app", "GET", "/orgs/acme/installation", "", 200, ""},
	{"app", "GET", "/users/acme/installation", "", 200, ""},
	{"token", "GET", "/apps/rung", "", 200, ""},
	{"app", "GET", "/app/hook/config", "", 200, ""},
	{"nobody", "GET", "/meta", "", 200, ""},
	{"nobody", "GET", "/rate_limit", "", 200, ""},
	{"nobody", "GET", "/", "", 200, ""},
	{"nobody", "GET", "/zen", "", 200, ""},
	{"token", "GET", "/installation/repositories", "", 200, ""},
	{"alice", "GET", "/user", "", 200, ""},
	{"token", "GET", "/users/alice", "", 200, ""},
	{"token", "GET", "/users/ghost-of-nobody", "", 404, ""},
	{"token", "GET", "/orgs/acme", "", 200, ""},
	{"token", "GET", "/orgs/acme/members/bob", "", 204, ""},
	{"alice", "GET", "/orgs/acme/memberships/bob", "", 200, ""},
	{"token", "GET", "/orgs/acme/teams", "", 200, ""},
	{"token", "GET", "/orgs/acme/teams/sre", "", 200, ""},
	{"token", "GET", "/orgs/acme/teams/sre/members", "", 200, ""},
	{"token", "GET", "/orgs/acme/teams/sre/memberships/bob", "", 200, ""},
	{"token", "GET", "/orgs/acme/teams/sre/memberships/carol", "", 404, ""},
	{"token", "GET", "/orgs/acme/repos", "", 200, ""},
	{"token", "GET", "/repos/acme/environments", "", 200, "main=default_branch"},
	{"alice", "PATCH", "/repos/acme/environments", `{"description":"what runs where"}`, 200, ""},
	{"token", "GET", "/repos/acme/environments/activity?ref=refs/heads/main&per_page=100", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/topics", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/languages", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/teams", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/collaborators", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/collaborators/bob", "", 204, ""},
	{"token", "GET", "/repos/acme/environments/collaborators/bob/permission", "", 200, ""},
	{"alice", "POST", "/repos/acme/environments/dispatches", `{"event_type":"artifact-published","client_payload":{"artifact":"checkout"}}`, 204, ""},

	{"token", "GET", "/repos/acme/environments/git/ref/heads/main", "", 200, "head=object.sha"},
	{"token", "GET", "/repos/acme/environments/git/ref/heads/absent", "", 404, ""},
	{"token", "GET", "/repos/acme/environments/git/matching-refs/heads/ma", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/git/commits/{head}", "", 200, "tree=tree.sha"},
	{"token", "GET", "/repos/acme/environments/git/trees/{tree}?recursive=1", "", 200, "blob=tree.0.sha"},
	{"token", "GET", "/repos/acme/environments/git/blobs/{blob}", "", 200, ""},
	{"token", "POST", "/repos/acme/environments/git/blobs", `{"content":"hello","encoding":"utf-8"}`, 201, "hello=sha"},
	{"token", "POST", "/repos/acme/environments/git/trees", `{"base_tree":"{tree}","tree":[{"path":"hello.txt","mode":"100644","type":"blob","sha":"{hello}"}]}`, 201, "grown=sha"},
	{"token", "POST", "/repos/acme/environments/git/commits", `{"message":"say hello","tree":"{grown}","parents":["{head}"]}`, 201, "commit=sha"},
	{"token", "POST", "/repos/acme/environments/git/refs", `{"ref":"refs/heads/hello","sha":"{commit}"}`, 201, ""},
	{"token", "POST", "/repos/acme/environments/git/refs", `{"ref":"refs/heads/hello","sha":"{commit}"}`, 422, ""},
	{"token", "PATCH", "/repos/acme/environments/git/refs/heads/hello", `{"sha":"{commit}","force":true}`, 200, ""},
	{"token", "POST", "/repos/acme/environments/git/refs", `{"ref":"refs/heads/gone","sha":"{commit}"}`, 201, ""},
	{"token", "DELETE", "/repos/acme/environments/git/refs/heads/gone", "", 204, ""},
	{"token", "GET", "/repos/acme/environments/contents", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/contents/README.md", "", 200, ""},
	{"token", "PUT", "/repos/acme/environments/contents/new.txt", `{"message":"add","content":"aGVsbG8=","branch":"hello"}`, 201, "file=content.sha"},
	{"token", "DELETE", "/repos/acme/environments/contents/new.txt", `{"message":"take away","sha":"{file}","branch":"hello"}`, 200, ""},
	{"token", "GET", "/repos/acme/environments/compare/main...hello", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/branches", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/branches/main", "", 200, ""},
	{"alice", "GET", "/repos/acme/environments/branches/main/protection", "", 404, ""},
	{"token", "GET", "/repos/acme/environments/commits", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/commits/main", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/commits/{head}/branches-where-head", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/rules/branches/main", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/rulesets", "", 200, "ruleset=0.id"},
	{"token", "GET", "/repos/acme/environments/rulesets/{ruleset}", "", 200, ""},

	{"bob", "POST", "/repos/acme/environments/pulls", `{"title":"Say hello","head":"hello","base":"main","body":"please"}`, 201, "pull=number"},
	{"bob", "POST", "/repos/acme/environments/pulls", `{"title":"Say hello","head":"hello","base":"main"}`, 422, ""},
	{"token", "GET", "/repos/acme/environments/pulls?state=open&per_page=100", "", 200, "sha=0.head.sha"},
	{"token", "GET", "/repos/acme/environments/pulls/{pull}", "", 200, ""},
	{"token", "PATCH", "/repos/acme/environments/pulls/{pull}", `{"title":"Say hello to all"}`, 200, ""},
	{"token", "GET", "/repos/acme/environments/pulls/{pull}/files", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/pulls/{pull}/commits", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/pulls/{pull}/merge", "", 404, ""},
	{"token", "GET", "/repos/acme/environments/commits/{sha}/pulls", "", 200, ""},
	{"alice", "POST", "/repos/acme/environments/pulls/{pull}/reviews", `{"event":"APPROVE","body":"fine"}`, 200, "review=id"},
	{"alice", "POST", "/repos/acme/environments/pulls/{pull}/reviews", `{"body":"later"}`, 200, "draft=id"},
	{"alice", "POST", "/repos/acme/environments/pulls/{pull}/reviews/{draft}/events", `{"event":"COMMENT","body":"now"}`, 200, ""},
	{"token", "GET", "/repos/acme/environments/pulls/{pull}/reviews", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/pulls/{pull}/reviews/{review}", "", 200, ""},
	{"alice", "PUT", "/repos/acme/environments/pulls/{pull}/reviews/{review}/dismissals", `{"message":"not any more"}`, 200, ""},
	{"token", "GET", "/repos/acme/environments/pulls/{pull}/comments", "", 200, ""},
	{"bob", "POST", "/repos/acme/environments/pulls/{pull}/requested_reviewers", `{"reviewers":["alice"]}`, 201, ""},
	{"token", "GET", "/repos/acme/environments/pulls/{pull}/requested_reviewers", "", 200, ""},
	{"bob", "DELETE", "/repos/acme/environments/pulls/{pull}/requested_reviewers", `{"reviewers":["alice"]}`, 200, ""},

	{"bob", "POST", "/repos/acme/environments/issues/{pull}/comments", `{"body":"/why"}`, 201, "comment=id"},
	{"token", "GET", "/repos/acme/environments/issues/{pull}/comments", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/issues/comments", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/issues/comments/{comment}", "", 200, ""},
	{"bob", "PATCH", "/repos/acme/environments/issues/comments/{comment}", `{"body":"/help"}`, 200, ""},
	{"token", "POST", "/repos/acme/environments/issues/comments/{comment}/reactions", `{"content":"+1"}`, 201, "reaction=id"},
	{"token", "GET", "/repos/acme/environments/issues/comments/{comment}/reactions", "", 200, ""},
	{"token", "DELETE", "/repos/acme/environments/issues/comments/{comment}/reactions/{reaction}", "", 204, ""},
	{"bob", "DELETE", "/repos/acme/environments/issues/comments/{comment}", "", 204, ""},
	{"token", "POST", "/repos/acme/environments/issues/{pull}/reactions", `{"content":"eyes"}`, 201, ""},
	{"token", "GET", "/repos/acme/environments/issues/{pull}/reactions", "", 200, ""},
	{"bob", "POST", "/repos/acme/environments/issues", `{"title":"a question","body":"why?","labels":["question"]}`, 201, "issue=number"},
	{"token", "GET", "/repos/acme/environments/issues", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/issues/{issue}", "", 200, ""},
	{"bob", "PATCH", "/repos/acme/environments/issues/{issue}", `{"state":"closed"}`, 200, ""},
	{"token", "GET", "/repos/acme/environments/issues/{issue}/events", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/issues/{issue}/timeline", "", 200, ""},
	{"token", "POST", "/repos/acme/environments/labels", `{"name":"rung","color":"ededed"}`, 201, ""},
	{"token", "POST", "/repos/acme/environments/labels", `{"name":"rung","color":"ededed"}`, 422, ""},
	{"token", "GET", "/repos/acme/environments/labels", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/labels/rung", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/issues/{issue}/labels", "", 200, ""},
	{"token", "POST", "/repos/acme/environments/issues/{issue}/labels", `{"labels":["rung"]}`, 200, ""},
	{"token", "PUT", "/repos/acme/environments/issues/{issue}/labels", `{"labels":["rung"]}`, 200, ""},
	{"token", "DELETE", "/repos/acme/environments/issues/{issue}/labels/rung", "", 200, ""},
	{"alice", "PUT", "/repos/acme/environments/issues/{issue}/lock", `{"lock_reason":"resolved"}`, 204, ""},
	{"alice", "DELETE", "/repos/acme/environments/issues/{issue}/lock", "", 204, ""},

	{"token", "POST", "/repos/acme/environments/check-runs", `{"name":"rung","head_sha":"{sha}","status":"completed","conclusion":"action_required","output":{"title":"Waits","summary":"for you"},"actions":[{"label":"Retry","description":"look again","identifier":"retry"}]}`, 201, "run=id"},
	{"token", "GET", "/repos/acme/environments/check-runs/{run}", "", 200, "suite=check_suite.id"},
	{"token", "PATCH", "/repos/acme/environments/check-runs/{run}", `{"status":"completed","conclusion":"success","output":{"title":"Passed","summary":"all"}}`, 200, ""},
	{"token", "GET", "/repos/acme/environments/check-runs/{run}/annotations", "", 200, ""},
	{"token", "POST", "/repos/acme/environments/check-runs/{run}/rerequest", "", 201, ""},
	{"token", "GET", "/repos/acme/environments/check-suites/{suite}", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/check-suites/{suite}/check-runs", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/commits/{sha}/check-runs?filter=latest", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/commits/{sha}/check-suites", "", 200, ""},
	{"token", "POST", "/repos/acme/environments/statuses/{sha}", `{"state":"success","context":"ci","description":"all is well","target_url":"https://ci.example/1"}`, 201, ""},
	{"token", "GET", "/repos/acme/environments/commits/{sha}/status", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/commits/{sha}/statuses", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/statuses/{sha}", "", 200, ""},
	{"token", "POST", "/repos/acme/environments/deployments", `{"ref":"hello","environment":"dev","required_contexts":[]}`, 201, "deployment=id"},
	{"token", "GET", "/repos/acme/environments/deployments", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/deployments/{deployment}", "", 200, ""},
	{"token", "POST", "/repos/acme/environments/deployments/{deployment}/statuses", `{"state":"success"}`, 201, ""},
	{"token", "GET", "/repos/acme/environments/deployments/{deployment}/statuses", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/releases", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/releases/latest", "", 200, ""},
	{"token", "GET", "/repos/acme/environments/releases/tags/v1", "", 200, ""},

	{"token", "PUT", "/repos/acme/environments/pulls/{pull}/update-branch", `{}`, 422, ""},
	{"alice", "PUT", "/repos/acme/environments/contents/apart.txt", `{"message":"meanwhile","content":"aGVsbG8="}`, 201, ""},
	{"token", "PUT", "/repos/acme/environments/pulls/{pull}/update-branch", `{}`, 202, ""},
	{"alice", "PUT", "/repos/acme/environments/pulls/{pull}/merge", `{"sha":"{head}"}`, 409, ""},
	{"alice", "PUT", "/repos/acme/environments/pulls/{pull}/merge", `{"merge_method":"merge"}`, 200, ""},
	{"alice", "PUT", "/repos/acme/environments/pulls/{pull}/merge", `{}`, 405, ""},
	{"token", "GET", "/repos/acme/environments/pulls/{pull}/merge", "", 204, ""},
	{"token", "POST", "/repos/acme/environments/git/refs", `{"ref":"refs/heads/side","sha":"{head}"}`, 201, ""},
	{"token", "POST", "/repos/acme/environments/merges", `{"base":"side","head":"main"}`, 201, ""},

	{"app", "GET", "/app/hook/deliveries?per_page=5", "", 200, "delivery=0.id"},
	{"app", "GET", "/app/hook/deliveries/{delivery}", "", 200, ""},
	{"app", "POST", "/app/hook/deliveries/{delivery}/attempts", "", 202, ""},
	{"nobody", "POST", "/app-manifests/none/conversions", "", 404, ""},
	{"token", "DELETE", "/installation/token", "", 204, ""},
	{"token", "GET", "/repos/acme/environments", "", 401, ""},
	{"app", "DELETE", "/app/installations/{installation}", "", 204, ""},
}

// undriven are the routes that no request of the table reaches, with the reason.
var undriven = map[string]string{
	"GET /repos/{owner}/{repo}/git/refs/{ref...}": "GitHub took it away: git/matching-refs is described in its place",
}

// TestEveryRouteIsAsDescribed asks each route of the emulator once and more, and
// holds the answers to GitHub's description.
func TestEveryRouteIsAsDescribed(t *testing.T) {
	key, err := appKey()
	if err != nil {
		t.Fatal(err)
	}
	emu, err := githubemu.New(githubemu.Config{Store: gitmem.New(gitstore.Options{}), Transport: aroundWebhooks, App: githubemu.App{ID: appID, Slug: "rung", PublicKey: &key.PublicKey, WebhookSecret: secret, WebhookURL: "http://127.0.0.1:1/"}})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(aroundGitHub(emu))
	t.Cleanup(front.Close)
	t.Cleanup(emu.Close)
	emu.SetBaseURL(front.URL)
	tokens := map[string]string{}
	for _, login := range []string{"alice", "bob", "carol"} {
		tokens[login] = emu.AddPerson(githubemu.Person{Login: login})
	}
	emu.AddOrganization("acme", "none", map[string]string{"alice": "admin", "bob": "member"})
	for _, err := range []error{
		emu.CreateRepository(t.Context(), githubemu.RepositorySeed{
			Name: gitops, Commits: []githubemu.CommitSeed{{Author: "alice", Files: map[string]string{"README.md": "# environments\n", "environments/dev/a.yaml": "a: 1\n"}}},
			Collaborators: map[string]string{"alice": "admin", "bob": "write"},
		}),
		emu.AddTeam("acme", "sre", map[string]string{"bob": "member"}, map[string]string{gitops: "write"}),
		emu.SetRules(gitops, githubemu.Ruleset{Name: "main", BlockDeletion: true}),
		emu.PublishRelease(t.Context(), gitops, "alice", "v1", "the first"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := emu.Install("acme", gitops); err != nil {
		t.Fatal(err)
	}
	emu.Ping()
	now := time.Now()
	if tokens["app"], err = jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: fmt.Sprint(appID), IssuedAt: jwt.NewNumericDate(now.Add(-time.Minute)), ExpiresAt: jwt.NewNumericDate(now.Add(5 * time.Minute)),
	}).SignedString(key); err != nil {
		t.Fatal(err)
	}
	saved := map[string]string{}
	for _, a := range requests {
		ask(t, front.URL, a, tokens, saved)
		if saved["token"] != "" {
			tokens["token"] = saved["token"]
		}
	}
	reached := map[string]bool{}
	for _, c := range emu.Counts().Routes {
		reached[c.Route] = true
	}
	for _, route := range emu.Routes() {
		if !reached[route] && undriven[route] == "" {
			t.Errorf("no request reaches %s", route)
		}
	}
}

// ask sends one request and keeps what it is told to.
func ask(t *testing.T, base string, a asked, tokens, saved map[string]string) {
	t.Helper()
	fill := func(s string) string {
		return regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllStringFunc(s, func(name string) string {
			if v, ok := saved[strings.Trim(name, "{}")]; ok {
				return v
			}
			return name
		})
	}
	req, err := http.NewRequestWithContext(t.Context(), a.method, base+"/api/v3"+fill(a.path), bytes.NewReader([]byte(fill(a.body))))
	if err != nil {
		t.Fatal(err)
	}
	if a.as != "nobody" {
		req.Header.Set("Authorization", "Bearer "+tokens[a.as])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != a.status {
		t.Errorf("%s %s as %s: %d, not %d: %s", a.method, fill(a.path), a.as, res.StatusCode, a.status, clipped(string(data)))
	}
	name, path, keep := strings.Cut(a.save, "=")
	if !keep {
		return
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s %s: %v", a.method, a.path, err)
	}
	for _, part := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[part]
		case []any:
			if len(in) > 0 {
				v = in[0]
			}
		}
	}
	switch v := v.(type) {
	case float64:
		saved[name] = fmt.Sprintf("%.0f", v)
	case string:
		saved[name] = v
	default:
		t.Fatalf("%s %s: no %s in %s", a.method, a.path, path, clipped(string(data)))
	}
}

// TestTheInspectionHasTeeth: an answer that lacks a field, has one of another type
// or a word that is not in its enumeration is found.
func TestTheInspectionHasTeeth(t *testing.T) {
	in, err := inspect()
	if err != nil {
		t.Fatal(err)
	}
	schema := in.api.doc.Components.Schemas["check-run"].Value
	sound := map[string]any{
		"id": 1, "head_sha": "abc", "node_id": "n", "external_id": nil, "url": "u", "html_url": nil, "details_url": nil, "status": "completed", "conclusion": "success",
		"started_at": nil, "completed_at": nil, "name": "rung", "check_suite": nil, "app": nil, "pull_requests": []any{},
		"output": map[string]any{"title": nil, "summary": nil, "text": nil, "annotations_count": 0, "annotations_url": "a"},
	}
	check := func() []string {
		data, err := json.Marshal(sound)
		if err != nil {
			t.Fatal(err)
		}
		return nonconforming(schema, data, asAnswer)
	}
	if found := check(); len(found) > 0 {
		t.Fatalf("the sound one: %v", found)
	}
	for field, wrong := range map[string]any{"id": "one", "conclusion": "splendid", "name": nil, "pull_requests": map[string]any{}} {
		was := sound[field]
		sound[field] = wrong
		if len(check()) == 0 {
			t.Errorf("%s: %v is not found", field, wrong)
		}
		delete(sound, field)
		if len(check()) == 0 {
			t.Errorf("that there is no %s is not found", field)
		}
		sound[field] = was
	}
	if _, op := in.api.operation("GET", "/repos/acme/environments/commits/refs/heads/a/b/status"); op == nil {
		t.Error("a ref with slashes is not understood")
	}
	named, _ := in.api.operation("GET", "/repos/acme/environments/branches/main")
	if numbered, _ := in.api.operation("GET", "/repositories/20001/branches/main"); numbered != named || named == "" {
		t.Errorf("a repository's branch is %q by its name, and %q by its number", named, numbered)
	}
	for _, nothing := range []string{"/repos/acme/environments/nothing", "/repositories/20001/nothing", "/repositories/main/branches/main"} {
		if _, op := in.api.operation("GET", nothing); op != nil {
			t.Errorf("a path that is not there is taken for %s", op.OperationID)
		}
	}
	if !slices.ContainsFunc(in.schema.selectionOf(t, `{ viewer { login } }`, `{"viewer":{"login":7}}`), func(s string) bool { return strings.Contains(s, "login") }) {
		t.Error("a login that is a number is not found")
	}
}
