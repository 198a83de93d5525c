package forge_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

var person = promotion.Person{ID: 42, Login: "mona"}

func TestOpenPullRequestFindsTheOneThatIsThere(t *testing.T) {
	w := newWorld(t)
	n := forge.NewPullRequest{Title: "checkout 1.4.2\nto staging", Body: strings.Repeat("é", 40000), Head: "rung/p/staging/checkout", Base: "main"}
	w.on("POST /repos/acme/deploy/pulls", answer(201, `{"number":12}`))
	number, err := w.client().OpenPullRequest(t.Context(), repo, n)
	if err != nil || number != 12 {
		t.Fatalf("got %d, %v", number, err)
	}
	sent := decode(t, w.body("POST /repos/acme/deploy/pulls"))
	body := sent["body"].(string)
	if sent["title"] != "checkout 1.4.2 to staging" || len(body) > 65535 || !strings.HasSuffix(body, "too long for GitHub)") || !utf8.ValidString(body) {
		t.Errorf("sent title %q and %d bytes ending in %q", sent["title"], len(body), body[len(body)-40:])
	}

	// Trap 43: an earlier call was done and its answer lost.
	w.on("POST /repos/acme/deploy/pulls", answer(422, `{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"A pull request already exists for acme:rung/p/staging/checkout."}]}`))
	w.on("GET /repos/acme/deploy/pulls", func(out http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("head") != "acme:rung/p/staging/checkout" || q.Get("base") != "main" || q.Get("state") != "open" {
			t.Errorf("looked up %v", q)
		}
		answer(200, `[{"number":11,"head":{"ref":"other"},"base":{"ref":"main"}},{"number":12,"head":{"ref":"rung/p/staging/checkout"},"base":{"ref":"main"}}]`)(out, r)
	})
	if number, err = w.client().OpenPullRequest(t.Context(), repo, n); err != nil || number != 12 {
		t.Fatalf("got %d, %v", number, err)
	}

	w.on("POST /repos/acme/deploy/pulls", answer(422, `{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom","message":"No commits between main and rung/p/staging/checkout"}]}`))
	var invalid *forge.InvalidError
	if _, err = w.client().OpenPullRequest(t.Context(), repo, n); !errors.As(err, &invalid) || !strings.Contains(invalid.Message, "No commits between") {
		t.Errorf("got %v", err)
	}
	for name, handler := range map[string]http.HandlerFunc{"502": answer(502, ``), "cut": cutOff, "no number": answer(201, `{}`)} {
		w.on("POST /repos/acme/deploy/pulls", handler)
		if _, err = w.client().OpenPullRequest(t.Context(), repo, n); !errors.Is(err, forge.ErrUnknownOutcome) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPullRequestsAreEditedClosedAndReopened(t *testing.T) {
	w := newWorld(t)
	route := "PATCH /repos/acme/deploy/pulls/12"
	w.on(route, answer(200, `{"number":12}`))
	c := w.client()
	for want, act := range map[string]func() error{
		`{"title":"T","body":"B"}`: func() error { return c.EditPullRequest(t.Context(), repo, 12, "T", "B") },
		`{"state":"closed"}`:       func() error { return c.ClosePullRequest(t.Context(), repo, 12) },
		`{"state":"open"}`:         func() error { return c.ReopenPullRequest(t.Context(), repo, 12) },
	} {
		if err := act(); err != nil || strings.TrimSpace(w.body(route)) != want {
			t.Errorf("sent %s, %v, want %s", w.body(route), err, want)
		}
	}
	w.on(route, answer(422, `{"message":"Validation Failed","errors":[{"message":"state cannot be changed. The branch was force-pushed or recreated."}]}`))
	if err := c.ReopenPullRequest(t.Context(), repo, 12); !as[*forge.InvalidError](err) {
		t.Errorf("got %v", err)
	}
}

// Trap 48: a write to a repository that was renamed names it, and goes nowhere
// else; a read follows.
func TestMovedRepositoryIsFollowedForReadsOnly(t *testing.T) {
	elsewhere := newWorld(t)
	for _, status := range []int{301, 302, 307, 308} {
		w := newWorld(t)
		moved := func(to string) http.HandlerFunc { return answer(status, `{"message":"Moved"}`, "Location", to) }
		w.on("POST /repos/acme/deploy/pulls", moved(w.server.URL+"/api/v3/repositories/7/pulls"))
		w.on("GET /repositories/7/pulls", answer(200, `[]`))
		w.on("POST /repositories/7/pulls", answer(201, `{"number":1}`))
		_, err := w.client().OpenPullRequest(t.Context(), repo, forge.NewPullRequest{Title: "t", Head: "h", Base: "main"})
		var m *forge.MovedError
		if !errors.As(err, &m) || m.Repository != "acme/deploy" || !strings.Contains(m.To, "/repositories/7/") {
			t.Errorf("%d: got %v", status, err)
		}
		if w.count("") != 1 {
			t.Errorf("%d: the write went on", status)
		}
		w.on("GET /repos/acme/deploy/issues/comments/5", moved(w.server.URL+"/api/v3/repositories/7/issues/comments/5"))
		w.on("GET /repositories/7/issues/comments/5", answer(200, `{"id":5}`))
		if comment, err := w.client().Comment(t.Context(), repo, 5); err != nil || comment.ID != 5 {
			t.Errorf("%d: read %+v, %v", status, comment, err)
		}
		w.on("GET /repos/acme/deploy/issues/comments/6", moved(elsewhere.server.URL+"/api/v3/x"))
		if _, err := w.client().Comment(t.Context(), repo, 6); !errors.As(err, &m) {
			t.Errorf("%d: to another host: %v", status, err)
		}
	}
	if elsewhere.count("") != 0 {
		t.Error("a request went to another host")
	}
}

func TestSetCheckCreatesUpdatesAndFindsAgain(t *testing.T) {
	w := newWorld(t)
	create := "POST /repos/acme/deploy/check-runs"
	w.on(create, answer(201, `{"id":501}`))
	check := forge.Check{
		Name: "rung", Head: head, ExternalID: "f1", Conclusion: "action_required", Title: "Waiting", Summary: strings.Repeat("x", 70000),
		Actions: []promotion.Button{{Label: "Hold this promotion for now", Description: strings.Repeat("d", 60), Identifier: "hold"}},
	}
	id, err := w.client().SetCheck(t.Context(), repo, check, 0)
	if err != nil || id != 501 {
		t.Fatalf("got %d, %v", id, err)
	}
	sent := decode(t, w.body(create))
	action := sent["actions"].([]any)[0].(map[string]any)
	summary := sent["output"].(map[string]any)["summary"].(string)
	if sent["status"] != "completed" || sent["conclusion"] != "action_required" || sent["head_sha"] != string(head) || sent["external_id"] != "f1" {
		t.Errorf("sent %v", sent)
	}
	if len(summary) > 65535 || !strings.Contains(summary, "cut here") {
		t.Errorf("a summary of %d bytes", len(summary))
	}
	if action["label"] != "Hold this promotion " || len(action["description"].(string)) != 40 || action["identifier"] != "hold" {
		t.Errorf("button %v", action)
	}

	w.on("PATCH /repos/acme/deploy/check-runs/501", answer(200, `{"id":501}`))
	check.Conclusion, check.Summary = "success", "all good"
	if id, err = w.client().SetCheck(t.Context(), repo, check, 501); err != nil || id != 501 || w.count(create) != 1 {
		t.Fatalf("got %d, %v", id, err)
	}

	// Trap 43: the creation may have gone through before; others' runs and
	// other heads don't count.
	w.on("GET /repos/acme/deploy/commits/"+string(head)+"/check-runs", answer(200, fmt.Sprintf(`{"check_runs":[
		{"id":900,"name":"rung","head_sha":%[1]q,"external_id":"f1","app":{"id":1}},
		{"id":700,"name":"rung","head_sha":%[1]q,"external_id":"f0","app":{"id":4711}},
		{"id":501,"name":"rung","head_sha":%[1]q,"external_id":"f1","app":{"id":4711}},
		{"id":901,"name":"rung","head_sha":%[2]q,"external_id":"f1","app":{"id":4711}}]}`, head, base)))
	check.Maybe = true
	if id, err = w.client().SetCheck(t.Context(), repo, check, 0); err != nil || id != 501 || w.count(create) != 1 {
		t.Fatalf("got %d, %v after %d creations", id, err, w.count(create))
	}
	check.ExternalID = "f2"
	w.on("PATCH /repos/acme/deploy/check-runs/700", answer(200, `{"id":700}`))
	if id, err = w.client().SetCheck(t.Context(), repo, check, 0); err != nil || id != 700 {
		t.Fatalf("by name: got %d, %v", id, err)
	}
	w.on(create, answer(502, ``))
	check.Maybe = false
	if _, err = w.client().SetCheck(t.Context(), repo, check, 0); !errors.Is(err, forge.ErrUnknownOutcome) {
		t.Errorf("got %v", err)
	}
}

func TestSetCheckRefusesWhatGitHubWouldNotShow(t *testing.T) {
	w := newWorld(t)
	button := promotion.Button{Label: "a", Identifier: "a"}
	for name, check := range map[string]forge.Check{
		"no head":         {Name: "rung"},
		"four buttons":    {Name: "rung", Head: head, Actions: []promotion.Button{button, button, button, button}},
		"no identifier":   {Name: "rung", Head: head, Actions: []promotion.Button{{Label: "a"}}},
		"long identifier": {Name: "rung", Head: head, Actions: []promotion.Button{{Label: "a", Identifier: strings.Repeat("i", 21)}}},
	} {
		if _, err := w.client().SetCheck(t.Context(), repo, check, 0); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if w.count("") != 0 {
		t.Error("a request was sent")
	}
}

func TestCommentsAreReadWithTheirPlaceAndEdits(t *testing.T) {
	w := newWorld(t)
	w.on("GET /repos/acme/deploy/issues/comments", func(out http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("since"); got != "2026-03-02T11:00:00Z" {
			t.Errorf("since %q", got)
		}
		if r.URL.Query().Get("page") == "2" {
			answer(200, `[{"id":6,"body":"hello","user":{"id":1234,"login":"rung[bot]","type":"Bot"},"created_at":"2026-03-02T11:00:00Z","updated_at":"2026-03-02T11:20:00Z",
				"issue_url":"https://h/api/v3/repos/acme/deploy/issues/3","html_url":"https://h/acme/deploy/issues/3#issuecomment-6"}]`)(out, r)
			return
		}
		answer(200, `[{"id":5,"body":"/rollback","user":{"id":42,"login":"mona","type":"User"},"created_at":"2026-03-02T11:05:00Z","updated_at":"2026-03-02T11:05:00Z",
			"issue_url":"https://h/api/v3/repos/acme/deploy/issues/12","html_url":"https://h/acme/deploy/pull/12#issuecomment-5"}]`,
			"Link", fmt.Sprintf(`<%s/api/v3/repos/acme/deploy/issues/comments?page=2>; rel="next"`, w.server.URL))(out, r)
	})
	list, err := w.client().Comments(t.Context(), repo, w.clock().Add(-time.Hour))
	if err != nil || len(list) != 2 {
		t.Fatalf("got %+v, %v", list, err)
	}
	if c := list[0]; c.Issue != 12 || !c.IsPullRequest || c.Author != person || c.Edited() || c.Body != "/rollback" {
		t.Errorf("first %+v", c)
	}
	if c := list[1]; c.Issue != 3 || c.IsPullRequest || !c.Author.Bot || !c.Edited() {
		t.Errorf("second %+v", c)
	}
}

func TestCommentIsNotWrittenTwice(t *testing.T) {
	w := newWorld(t)
	w.on("GET /app", answer(200, `{"id":4711,"slug":"rung"}`))
	w.on("GET /app/installations", answer(200, `[{"id":99}]`))
	w.on("GET /users/rung[bot]", answer(200, `{"id":1234,"login":"rung[bot]","type":"Bot"}`))
	create := "POST /repos/acme/deploy/issues/12/comments"
	w.on(create, answer(201, `{"id":9}`))
	n := forge.NewComment{Body: "done", Key: "reply:5--x", Maybe: true}
	hidden := "<!-- rung reply:5-.-x -->"
	// Somebody else quotes the mark: that is not our comment.
	w.on("GET /repos/acme/deploy/issues/12/comments", answer(200, fmt.Sprintf(`[{"id":7,"user":{"id":42},"body":"done\n\n%s"}]`, hidden)))
	id, err := w.client().AddComment(t.Context(), repo, 12, n)
	if err != nil || id != 9 {
		t.Fatalf("got %d, %v", id, err)
	}
	if sent := decode(t, w.body(create)); sent["body"] != "done\n\n"+hidden {
		t.Errorf("sent %q", sent["body"])
	}
	w.on("GET /repos/acme/deploy/issues/12/comments", answer(200, fmt.Sprintf(`[{"id":9,"user":{"id":1234},"body":"done\r\n\r\n%s"}]`, hidden)))
	if id, err = w.client().AddComment(t.Context(), repo, 12, n); err != nil || id != 9 || w.count(create) != 1 {
		t.Fatalf("got %d, %v after %d comments", id, err, w.count(create))
	}
	if _, err := w.client().AddComment(t.Context(), repo, 12, forge.NewComment{Body: "x", Key: "a -->"}); err == nil {
		t.Error("a key that ends the hidden mark was accepted")
	}
}

// Trap 14: permission and membership are asked live, and whatever is not
// understood or could not be read never counts.
func TestAccess(t *testing.T) {
	permission := "GET /repos/acme/deploy/collaborators/mona/permission"
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"admin":               {answer(200, `{"permission":"admin","role_name":"admin","user":{"id":42}}`), "admin"},
		"maintain":            {answer(200, `{"permission":"write","role_name":"maintain","user":{"id":42}}`), "maintain"},
		"write":               {answer(200, `{"permission":"write","role_name":"write"}`), "write"},
		"triage":              {answer(200, `{"permission":"read","role_name":"triage"}`), "triage"},
		"read":                {answer(200, `{"permission":"read","role_name":"read"}`), "read"},
		"none":                {answer(200, `{"permission":"none","role_name":""}`), "none"},
		"custom on write":     {answer(200, `{"permission":"write","role_name":"deployer","user":{"id":42,"permissions":{"maintain":false,"push":true}}}`), "write"},
		"custom on maintain":  {answer(200, `{"permission":"write","role_name":"lead","user":{"id":42,"permissions":{"maintain":true}}}`), "maintain"},
		"custom called admin": {answer(200, `{"permission":"read","role_name":"admin","user":{"id":42}}`), "read"},
		"no role name":        {answer(200, `{"permission":"write"}`), "write"},
		"not a collaborator":  {answer(404, `{"message":"Not Found"}`), "none"},
		"forbidden":           {answer(403, `{"message":"Resource not accessible by integration"}`), ""},
		"outage":              {answer(500, ``), ""},
		"unknown word":        {answer(200, `{"permission":"owner"}`), ""},
		"empty":               {answer(200, `{}`), ""},
		"reused login":        {answer(200, `{"permission":"admin","user":{"id":43}}`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.on(permission, tt.answer)
			got := w.client().Access(t.Context(), repo, person, nil)
			if got.Permission != tt.want || (got.Error == "") != (tt.want != "") {
				t.Errorf("got %+v, want %q", got, tt.want)
			}
		})
	}
}

func TestAccessToTeamsNeedsActiveMembership(t *testing.T) {
	w := newWorld(t)
	w.on("GET /repos/acme/deploy/collaborators/mona/permission", answer(200, `{"permission":"write","role_name":"write"}`))
	w.on("GET /orgs/acme/teams/sre/memberships/mona", answer(200, `{"state":"active"}`))
	w.on("GET /orgs/acme/teams/oncall/memberships/mona", answer(200, `{"state":"pending"}`))
	w.on("GET /orgs/acme/teams/secret/memberships/mona", answer(403, `{"message":"Must have admin rights"}`))
	got := w.client().Access(t.Context(), repo, person, []string{"acme/sre", "acme/oncall", "acme/gone", "acme/secret", "nonsense", "acme/sre"})
	if strings.Join(got.Teams, ",") != "acme/sre" || got.Permission != "write" {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(got.Error, "acme/secret") || !strings.Contains(got.Error, "org/slug") || strings.Contains(got.Error, "acme/gone") {
		t.Errorf("error %q", got.Error)
	}
}

// Trap 23: access is at most a minute old; errors are asked again.
func TestAccessIsCachedForAMinute(t *testing.T) {
	w := newWorld(t)
	route := "GET /repos/acme/deploy/collaborators/mona/permission"
	w.on(route, inTurn(answer(500, ``), answer(200, `{"permission":"write"}`), answer(200, `{"permission":"read"}`)))
	c := w.client()
	access := func() string { return c.Access(t.Context(), repo, person, nil).Permission }
	if got := access(); got != "" {
		t.Fatalf("got %q", got)
	}
	for range 3 {
		if got := access(); got != "write" {
			t.Fatalf("got %q", got)
		}
	}
	if n := w.count(route); n != 2 {
		t.Errorf("asked %d times", n)
	}
	w.advance(time.Minute)
	if got := access(); got != "read" {
		t.Errorf("after a minute: %q", got)
	}
	w.on(route, answer(404, `{}`))
	c.ForgetAccess()
	if got := access(); got != "none" {
		t.Errorf("after forgetting: %q", got)
	}
}
