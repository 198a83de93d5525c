package githubemu_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// control sends an act and returns the decoded answer and the status.
func (w *world) control(act string, in any) (map[string]any, int) {
	w.Helper()
	raw, err := json.Marshal(in)
	w.ok(err)
	method := http.MethodPost
	if in == nil {
		method, raw = http.MethodGet, nil
	}
	req, err := http.NewRequestWithContext(w.ctx(), method, w.web.URL+"/_emu/"+act, bytes.NewReader(raw))
	w.ok(err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	w.ok(err)
	defer func() { _ = res.Body.Close() }()
	out := map[string]any{}
	_ = json.NewDecoder(res.Body).Decode(&out) // a list is not looked at here
	return out, res.StatusCode
}

type fields = map[string]any

// TestControl plays a promotion from another process: every act once, then the
// world.
func TestControl(t *testing.T) {
	w := newWorld(t)
	on := func(extra fields) fields {
		out := fields{"repository": full, "person": "bob", "number": 1}
		for k, v := range extra {
			out[k] = v
		}
		return out
	}
	steps := []struct {
		act string
		in  any
	}{
		{"person", fields{"login": "dan"}},
		{"permission", fields{"repository": full, "person": "dan", "role": "write"}},
		{"organization", fields{"owner": "acme", "role": "none", "members": fields{"dan": "member"}}},
		{"team", fields{"owner": "acme", "team": "sre", "members": fields{"dan": "member"}, "repos": fields{full: "write"}}},
		{"push", fields{"repository": full, "person": "bob", "branch": "topic", "files": fields{"a": "1"}}},
		{"open", on(fields{"head": "topic", "title": "x"})},
		{"comment", on(fields{"body": "hello"})},
		{"check", fields{"repository": full, "app": "ci", "sha": "topic", "name": "build", "conclusion": "success"}},
		{"status", fields{"repository": full, "app": "ci", "sha": "topic", "name": "lint", "state": "success"}},
		{"review", fields{"repository": full, "person": "cat", "number": 1, "event": "APPROVE"}},
		{"rules", fields{"repository": full, "rules": []fields{{"required_reviews": 1}}}},
		{"close", on(nil)},
		{"reopen", on(nil)},
		{"merge", on(nil)},
		{"revert", on(nil)},
		{"rules", fields{"repository": full, "rules": []fields{}}},
		{"merge", on(fields{"number": 2})},
		{"move-branch", on(fields{"branch": "topic", "sha": ""})},
		{"dispatch", on(fields{"type": "x", "payload": fields{"a": 1}})},
		{"release", on(fields{"tag": "v1"})},
		{"workflow", on(fields{"workflow": "ci", "branch": "main", "conclusion": "success"})},
		{"deployment-status", on(fields{"environment": "dev", "ref": "main", "state": "success"})},
		{"package", fields{"repository": full, "person": "bob", "name": "shop", "digest": "sha256:0"}},
		{"ping", fields{}},
		{"flush", fields{}},
		{"fault", fields{"kind": "502-before", "route": "GET /meta"}},
		{"clear-faults", fields{}},
		{"null-mergeable", fields{"n": 2}},
		{"graphql", fields{"on": false}},
		{"limits", fields{"PerHour": 9}},
		{"expire-tokens", fields{}},
		{"suspend", fields{"owner": "acme", "suspended": true}},
		{"suspend", fields{"owner": "acme"}},
		{"archive", fields{"repository": full, "archived": true}},
		{"rename", fields{"repository": full, "to": "acme/store"}},
		{"repository", fields{"name": "acme/new", "commits": []fields{{"author": "bob", "files": fields{"f": "1"}}}}},
		{"install", fields{"owner": "acme", "repository": "acme/new"}},
		{"webhook-url", fields{"url": "http://127.0.0.1:1"}},
		{"reset-counts", fields{}},
	}
	for _, step := range steps {
		delete(on(nil), "number")
		in := step.in
		if m, ok := in.(fields); ok {
			switch step.act { // events have no number
			case "dispatch", "release", "workflow", "deployment-status":
				delete(m, "number")
			}
		}
		if out, status := w.control(step.act, in); status != http.StatusOK {
			t.Fatalf("%s: %d %v", step.act, status, out)
		}
	}
	st, status := w.control("world/acme/store", nil)
	equal(t, "status", status, 200)
	equal(t, "merged", dig(st, "pulls.0.state"), "merged")
	equal(t, "by", dig(st, "pulls.0.merged_by"), "bob")
	equal(t, "review", dig(st, "pulls.0.reviews.0.state"), "APPROVED")
	equal(t, "comment", dig(st, "pulls.0.comments.0.body"), "hello")
	f, _ := w.control("file/acme/new?ref=main&path=f", nil)
	equal(t, "file", dig(f, "content"), "1")
}

func TestControlRefusals(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		act    string
		in     any
		status int
	}{
		"unknown act":   {"dance", fields{}, 404},
		"unknown field": {"merge", fields{"colour": 1}, 400},
		"no repository": {"merge", fields{"repository": "acme/none", "person": "bob"}, 404},
		"nobody":        {"merge", fields{"repository": full, "person": "zoe"}, 404},
		"no pull":       {"merge", fields{"repository": full, "person": "bob", "number": 9}, 404},
		"no right":      {"push", fields{"repository": full, "person": "eve", "files": fields{"a": "1"}}, 403},
		"bad fault":     {"fault", fields{"kind": "earthquake"}, 400},
		"nothing there": {"nothing", nil, 404},
	} {
		if out, status := w.control(c.act, c.in); status != c.status {
			t.Errorf("%s: got %d %v, want %d", name, status, out, c.status)
		}
	}
	res, err := http.Post(w.web.URL+"/_emu/ping", "text/plain", strings.NewReader("{}")) //nolint:noctx // as a page of another site would
	w.ok(err)
	_ = res.Body.Close()
	equal(t, "a form of another site", res.StatusCode, http.StatusUnsupportedMediaType)
}

// browser is a person at the pages.
type browser struct {
	*world
	hc *http.Client
}

func (w *world) browse(person string) *browser {
	w.Helper()
	jar, err := cookiejar.New(nil)
	w.ok(err)
	b := &browser{w, &http.Client{Jar: jar}}
	b.send("/login", url.Values{"person": {person}, "back": {"/"}})
	return b
}

func (b *browser) read(res *http.Response, err error) (string, int) {
	b.Helper()
	b.ok(err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	b.ok(err)
	return string(raw), res.StatusCode
}

func (b *browser) see(path string, want ...string) string {
	b.Helper()
	text, status := b.read(b.hc.Get(b.web.URL + path)) //nolint:bodyclose,noctx // read closes it
	equal(b.T, path, status, 200)
	for _, s := range want {
		if !contains(text, s) {
			b.Errorf("%s does not show %q", path, s)
		}
	}
	return text
}

// send posts a form as its button does, from the page it is on.
func (b *browser) send(path string, form url.Values) (string, int) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.ctx(), http.MethodPost, b.web.URL+path, strings.NewReader(form.Encode()))
	b.ok(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if i := strings.LastIndex(path, "/"); i > 0 {
		req.Header.Set("Referer", b.web.URL+path[:i])
	}
	return b.read(b.hc.Do(req)) //nolint:bodyclose // read closes it
}

// TestPages plays a promotion by hand in the browser.
func TestPages(t *testing.T) {
	w := newWorld(t)
	head := w.branch("rung/p/dev/shop", "env/dev/app.yaml", "image: <shop>:2\n")
	p := w.open("rung/p/dev/shop")
	_, _, err := w.bot.Checks.CreateCheckRun(t.Context(), "acme", "shop", github.CreateCheckRunOptions{
		Name: "rung", HeadSHA: head,
		Status: github.String("completed"), Conclusion: github.String("action_required"), Output: &github.CheckRunOutput{Title: github.String("waits"), Summary: github.String("| gate | verdict |\n|---|---|\n| soak | **pending** |")},
		Actions: []*github.CheckRunAction{{Label: "Hold", Description: "hold it", Identifier: "hold"}},
	})
	w.ok(err)
	w.ok(w.s.SetRules(full, githubemu.Ruleset{Protection: true, EnforceAdmins: true, RequiredReviews: 1}))
	hooks := w.listen()
	cat := w.browse("cat")
	const page = "/acme/shop/pull/1"
	cat.see("/", "acme/shop")
	cat.see("/acme/shop", "rung/p/dev/shop", "Promote rung/p/dev/shop")
	cat.see("/acme/shop/pulls", "Promote")
	cat.see(page, "image: &lt;shop&gt;:2", "<strong>pending</strong>", "At least 1 approving review", "Hold", "rung[bot]")
	cat.see("/acme/shop/commit/"+head, "env/dev/app.yaml")
	cat.see("/acme/shop/compare/main...rung/p/dev/shop", "env/dev/app.yaml")
	cat.see("/acme/shop/tree/rung/p/dev/shop/env", "dev/")
	cat.see("/acme/shop/blob/main/README.md", "# shop")
	cat.see(page+".diff", "+image: <shop>:2")

	if text, _ := cat.send(page+"/merge", url.Values{"method": {"merge"}}); !contains(text, "At least 1 approving review is required") {
		t.Error("the refusal is not shown")
	}
	cat.send(page+"/comment", url.Values{"body": {"/why <b>not</b>"}})
	cat.send(page+"/review", url.Values{"event": {"APPROVE"}})
	cat.see(page, "approved these changes", "/why &lt;b&gt;not&lt;/b&gt;")
	st, err := w.s.State(t.Context(), full)
	w.ok(err)
	run := st.Checks[head][0].ID
	cat.send("/acme/shop/runs/"+show(run)+"/action", url.Values{"identifier": {"hold"}})
	cat.see("/acme/shop/runs/"+show(run), "waits")
	cat.send(page+"/close", nil)
	cat.send(page+"/reopen", nil)
	w.branch("other", "x", "1")
	cat.send(page+"/update-branch", nil)
	cat.send(page+"/merge", url.Values{"method": {"merge"}})
	cat.see(page, "merged", "Revert", "Delete branch")
	cat.send(page+"/delete-branch", nil)
	cat.send(page+"/revert", nil)
	equal(t, "file", w.file("main", "env/dev/app.yaml"), "image: <shop>:2\n")
	got, _, err := w.bot.PullRequests.Get(t.Context(), "acme", "shop", p.GetNumber())
	w.ok(err)
	equal(t, "merged by", got.GetMergedBy().GetLogin(), "cat")
	if _, _, err := w.bot.PullRequests.Get(t.Context(), "acme", "shop", 2); err != nil {
		t.Errorf("no reverting pull request: %v", err)
	}
	events := strings.Join(hooks.events(w), " ")
	for _, want := range []string{"issue_comment.created", "pull_request_review.submitted", "check_run.requested_action", "pull_request.reopened"} {
		if !contains(events, want) {
			t.Errorf("no %s in %s", want, events)
		}
	}
	// Eve sees nothing of a private repository.
	eve := w.browse("eve")
	if _, status := eve.read(eve.hc.Get(w.web.URL + page)); status != 404 { //nolint:bodyclose,noctx // read closes it
		t.Errorf("eve sees the page: %d", status)
	}
}

// TestManifest makes an App as a setup page does.
func TestManifest(t *testing.T) {
	w := newWorld(t)
	ann := w.browse("ann")
	var back *url.URL
	ann.hc.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		back = r.URL
		return http.ErrUseLastResponse
	}
	form := url.Values{"manifest": {`{"name":"My Rung","url":"http://x.test","redirect_url":"http://x.test/done?a=b","default_permissions":{"contents":"write"},"default_events":["push"],"hook_attributes":{"url":"http://x.test/hook"}}`}}
	text, _ := ann.send("/organizations/acme/settings/apps/new?state=s1", form)
	if !contains(text, "contents: write") {
		t.Errorf("the manifest is not shown: %s", text)
	}
	form.Set("agreed", "yes")
	form.Set("state", "s1")
	ann.send("/organizations/acme/settings/apps/new", form)
	if back == nil || back.Query().Get("state") != "s1" || back.Query().Get("a") != "b" {
		t.Fatalf("sent back to %v", back)
	}
	nobody := w.client(&http.Client{})
	cfg, _, err := nobody.Apps.CompleteAppManifest(t.Context(), back.Query().Get("code"))
	w.ok(err)
	equal(t, "slug", cfg.GetSlug(), "my-rung")
	if !strings.HasPrefix(cfg.GetPEM(), "-----BEGIN RSA PRIVATE KEY-----") || cfg.GetWebhookSecret() == "" {
		t.Error("no key or secret")
	}
	_, _, err = nobody.Apps.CompleteAppManifest(t.Context(), back.Query().Get("code"))
	w.refused(err, 404, "Not Found")
	ann.send("/apps/my-rung/installations/new", nil)
	app, _, err := w.bot.Apps.Get(t.Context(), "my-rung")
	w.ok(err)
	equal(t, "installations", app.GetInstallationsCount(), 1)
}

// TestSaveLoad carries a world to another emulator over the same store.
func TestSaveLoad(t *testing.T) {
	store := gitmem.New(gitstore.Options{})
	w := newWorld(t, func(c *githubemu.Config) { c.Store = store })
	w.branch("topic", "a", "1")
	p := w.open("topic")
	review("cat", "APPROVE")(w, p)
	report("ci", "build", "success")(w, p)
	w.ok(w.s.SetRules(full, githubemu.Ruleset{RequiredReviews: 1}))
	before, err := w.s.State(t.Context(), full)
	w.ok(err)
	var saved bytes.Buffer
	w.ok(w.s.Save(&saved))

	other, err := githubemu.New(githubemu.Config{
		Store: store, BaseURL: w.web.URL, Manual: true,
		App: githubemu.App{ID: appID, Slug: "rung", PublicKey: &appKey().PublicKey},
	})
	w.ok(err)
	w.ok(other.Load(bytes.NewReader(saved.Bytes())))
	after, err := other.State(t.Context(), full)
	w.ok(err)
	a, _ := json.Marshal(before)
	b, _ := json.Marshal(after)
	equal(t, "world", string(b), string(a))
	w.web.Config.Handler = other
	w.connect()
	if _, _, err := w.bot.PullRequests.Merge(t.Context(), "acme", "shop", p.GetNumber(), "", nil); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]string{"not JSON": "{", "a lost repository": `{"Repos":{"1":{"ID":1,"Owner":"acme","Name":"lost"}}}`} {
		if err := other.Load(strings.NewReader(bad)); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

// TestJWTWindow tries App tokens at the edges of their time.
func TestJWTWindow(t *testing.T) {
	for name, c := range map[string]struct {
		skew time.Duration
		ok   bool
	}{
		"now": {0, true}, "a server behind by less than a minute": {-50 * time.Second, true},
		"a server behind by more": {-3 * time.Minute, false}, "a server ahead by a quarter": {15 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(cfg *githubemu.Config) { cfg.Now = func() time.Time { return time.Now().Add(c.skew) } })
			_, res, err := w.app.Apps.Get(t.Context(), "")
			if c.ok != (err == nil) {
				t.Errorf("got %v", err)
			}
			if !c.ok && res.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d", res.StatusCode)
			}
		})
	}
}
