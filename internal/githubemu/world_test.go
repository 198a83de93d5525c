package githubemu_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

var appKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func appPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(appKey())})
}

const (
	full   = "acme/shop"
	appID  = 42
	secret = "a webhook secret"
)

// world is an emulator behind a real socket, with one repository, some people,
// the App installed, and a client for each of them.
type world struct {
	*testing.T
	s      *githubemu.Server
	web    *httptest.Server
	inst   int64
	app    *github.Client // by JWT
	bot    *github.Client // by installation token
	tokens map[string]string
}

type tweak func(*githubemu.Config)

func newWorld(t *testing.T, tweaks ...tweak) *world {
	t.Helper()
	w := &world{T: t, tokens: map[string]string{}}
	cfg := githubemu.Config{
		Store: gitmem.New(gitstore.Options{}),
		App:   githubemu.App{ID: appID, Slug: "rung", PublicKey: &appKey().PublicKey, WebhookSecret: secret},
	}
	for _, f := range tweaks {
		f(&cfg)
	}
	var err error
	if w.s, err = githubemu.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.s.Close)
	w.web = httptest.NewServer(w.s)
	t.Cleanup(w.web.Close)
	w.s.SetBaseURL(w.web.URL)
	for _, p := range []string{"ann", "bob", "cat", "eve"} {
		w.tokens[p] = w.s.AddPerson(githubemu.Person{Login: p})
	}
	w.s.AddOrganization("acme", "none", map[string]string{"ann": "admin", "bob": "member", "cat": "member"})
	w.ok(w.s.CreateRepository(t.Context(), githubemu.RepositorySeed{
		Name: full,
		Commits: []githubemu.CommitSeed{
			{Author: "ann", Message: "begin", Files: map[string]string{"README.md": "# shop\n", "env/dev/app.yaml": "image: shop:1\n"}},
			{Author: "bob", Message: "prod", Files: map[string]string{"env/prod/app.yaml": "image: shop:1\n"}},
		},
		Collaborators: map[string]string{"ann": "admin", "bob": "write", "cat": "maintain"},
	}))
	if w.inst, err = w.s.Install("acme", full); err != nil {
		t.Fatal(err)
	}
	w.connect()
	return w
}

// connect makes the App's clients as a program under test would.
func (w *world) connect() {
	w.Helper()
	apps, err := ghinstallation.NewAppsTransport(http.DefaultTransport, appID, appPEM())
	w.ok(err)
	apps.BaseURL = w.web.URL + "/api/v3"
	inst := ghinstallation.NewFromAppsTransport(apps, w.inst)
	inst.BaseURL = apps.BaseURL
	w.app, w.bot = w.client(&http.Client{Transport: apps}), w.client(&http.Client{Transport: inst})
}

func (w *world) client(hc *http.Client) *github.Client {
	w.Helper()
	c, err := github.NewClient(hc).WithEnterpriseURLs(w.web.URL, w.web.URL)
	w.ok(err)
	return c
}

// as is a person's client.
func (w *world) as(login string) *github.Client {
	return w.client(&http.Client{}).WithAuthToken(w.tokens[login])
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) ctx() context.Context { return w.Context() }

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// refused checks that a call failed with a status and a message.
func (w *world) refused(err error, status int, message string) {
	w.Helper()
	var e *github.ErrorResponse
	if !asErr(err, &e) {
		w.Fatalf("got %v, want a refusal with %d", err, status)
	}
	text := e.Message
	for _, d := range e.Errors {
		text += "|" + d.Message
	}
	if e.Response.StatusCode != status || !contains(text, message) {
		w.Errorf("refused with %d %q, want %d %q", e.Response.StatusCode, text, status, message)
	}
}

// branch commits a file on a new or existing branch and returns the commit.
func (w *world) branch(name, path, text string) string {
	w.Helper()
	sha, err := w.s.PushFiles(w.ctx(), githubemu.Push{
		Repository: full, Person: "bob", Branch: name,
		Message: "change " + path, Files: map[string]string{path: text},
	})
	w.ok(err)
	return sha
}

// open opens a pull request as the App.
func (w *world) open(head string) *github.PullRequest {
	w.Helper()
	p, _, err := w.bot.PullRequests.Create(w.ctx(), "acme", "shop", &github.NewPullRequest{
		Title: github.String("Promote " + head), Head: github.String(head), Base: github.String("main"), Body: github.String("body"),
	})
	w.ok(err)
	return p
}

func (w *world) tip(branch string) string {
	w.Helper()
	ref, _, err := w.bot.Git.GetRef(w.ctx(), "acme", "shop", "heads/"+branch)
	w.ok(err)
	return ref.GetObject().GetSHA()
}

func (w *world) file(branch, path string) string {
	w.Helper()
	f, _, _, err := w.bot.Repositories.GetContents(w.ctx(), "acme", "shop", path, &github.RepositoryContentGetOptions{Ref: branch})
	w.ok(err)
	text, err := f.GetContent()
	w.ok(err)
	return text
}

// receiver collects webhooks.
type receiver struct {
	mu   sync.Mutex
	got  []received
	fail int // status to answer with, if not 202
}

type received struct {
	event, guid string
	valid       bool
	header      http.Header
	body        any
	raw         []byte
}

func (h *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := github.ValidatePayload(r, []byte(secret))
	rec := received{event: r.Header.Get("X-GitHub-Event"), guid: r.Header.Get("X-GitHub-Delivery"), header: r.Header, valid: err == nil, raw: raw}
	rec.body, _ = github.ParseWebHook(rec.event, raw) // some events are beyond it
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, rec)
	if h.fail != 0 {
		w.WriteHeader(h.fail)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// events waits for all webhooks and names them, event or event.action.
func (h *receiver) events(w *world) []string {
	w.Helper()
	w.ok(w.s.Flush(w.ctx()))
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, rec := range h.got {
		name := rec.event
		if a, ok := rec.body.(interface{ GetAction() string }); ok && a.GetAction() != "" {
			name += "." + a.GetAction()
		}
		out = append(out, name)
	}
	return out
}

func (h *receiver) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = nil
}

func (w *world) listen() *receiver {
	w.Helper()
	h := &receiver{}
	web := httptest.NewServer(h)
	w.Cleanup(web.Close)
	w.s.SetWebhookURL(web.URL)
	return h
}

func show(v any) string { return fmt.Sprint(v) }
