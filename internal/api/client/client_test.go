package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/api"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// views are what a service has seen.
type views []promotion.View

func (all views) Views(context.Context, string) ([]queue.View, error) {
	var out []queue.View
	for _, v := range all {
		data, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out = append(out, queue.View{Key: queue.RepositoryKey(v.Repository.ID), At: time.Unix(1, 0), Data: data})
	}
	return out, nil
}

var seen = views{{
	Repository: promotion.Repository{ID: 1, Owner: "acme", Name: "gitops"}, Configured: true,
	Pipeline: &promotion.Pipeline{Artifacts: []promotion.ArtifactSpec{{Name: "checkout"}}, Environments: []promotion.EnvironmentSpec{{Name: "prod"}}},
	Pairs:    []promotion.PairState{{Pair: promotion.Pair{Environment: "prod", Artifact: "checkout"}, Phase: promotion.PhaseIdle}},
}}

func service(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestDocumentsAreRead(t *testing.T) {
	url := service(t, api.New(api.Config{Views: seen, Version: "1.2.3", Past: func(_ context.Context, q api.Question) (any, bool, error) {
		return map[string]any{"limit": q.Limit, "environment": q.Environment}, true, nil
	}}))
	c := New(url+"/", "", "1.2.3", nil)
	state, err := c.State(t.Context())
	if err != nil || len(state.Repositories) != 1 || state.Rung != "1.2.3" {
		t.Errorf("state: %+v, %v", state, err)
	}
	list, err := c.List(t.Context())
	if err != nil || len(list.Repositories) != 1 {
		t.Errorf("list: %+v, %v", list, err)
	}
	one, err := c.One(t.Context(), "ACME/gitops")
	if err != nil || one.Repository.Pairs[0].Phase != "idle" {
		t.Errorf("one: %+v, %v", one, err)
	}
	pair := promotion.Pair{Environment: "prod", Artifact: "checkout"}
	why, err := c.Why(t.Context(), "acme/gitops", pair)
	if err != nil || !strings.Contains(why.Text, "checkout in prod") {
		t.Errorf("why: %+v, %v", why, err)
	}
	history, err := c.History(t.Context(), "acme/gitops", pair, 3)
	if err != nil || !history.More || !strings.Contains(string(history.History), `"limit": 3`) {
		t.Errorf("history: %+v, %v", history, err)
	}
	var unknown *NotFoundError
	if _, err := c.One(t.Context(), "acme/other"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "installed") {
		t.Errorf("another: %v", err)
	}
	if _, err := c.Why(t.Context(), "acme/gitops", promotion.Pair{Environment: "qa", Artifact: "checkout"}); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "there are: prod") {
		t.Errorf("another environment: %v", err)
	}
	for _, name := range []string{"", "gitops", "a/b/c", "../x", "a/..", "/x"} {
		if _, err := c.One(t.Context(), name); err == nil || !strings.Contains(err.Error(), "OWNER/NAME") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestSigningIn(t *testing.T) {
	var got string
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		api.New(api.Config{Views: seen}).ServeHTTP(w, r)
	})
	for token, want := range map[string]string{"": "", "abc": "Bearer abc", "bob:hunter2": "Basic Ym9iOmh1bnRlcjI="} {
		if _, err := New(service(t, h), token, "x", nil).List(t.Context()); err != nil || got != want {
			t.Errorf("%q: sent %q, %v", token, got, err)
		}
	}
}

// TestWhatIsNoAnswer: whatever answers instead of rung's API is named, with what to
// do, and nothing of what is secret is said.
func TestWhatIsNoAnswer(t *testing.T) {
	answer := func(status int, kind, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			if status/100 == 3 {
				w.Header().Set("Location", "https://login.example.com/sign-in?secret=hunter2")
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
	for _, c := range []struct {
		name, token string
		h           http.Handler
		want        string
	}{
		{"a page", "", answer(200, "text/html; charset=utf-8", "<h1>Welcome</h1>"), "not rung's API"},
		{"other JSON", "", answer(200, "application/json", `{"hello": "world"}`), "version 0 of the API"},
		{"a list", "", answer(200, "application/json", `[1]`), "not rung's API"},
		{"cut off", "", answer(200, "application/json", `{"version": 1,`), "not rung's API"},
		{"a later one", "", answer(200, "application/json", `{"version": 2, "rung": "9.0.0"}`), "9.0.0"},
		{"nobody signed in", "", answer(401, "text/plain", "no"), "set RUNG_TOKEN"},
		{"somebody else", "hunter2", answer(403, "text/plain", "no"), "does not take RUNG_TOKEN"},
		{"a page to sign in", "hunter2", answer(302, "text/html", "go"), "https://login.example.com/sign-in"},
		{"a proxy without rung", "", answer(502, "text/html", "bad gateway"), "may not run"},
		{"another site", "", answer(404, "text/html", "nothing"), "not rung's API"},
		{"views that can't be read", "", answer(500, "application/json", `{"error": {"code": "unreadable", "sentence": "What the last passes left could not be read."}}`), "could not be read"},
		{"an address it has not", "", answer(404, "application/json", `{"error": {"code": "not-found", "sentence": "There is nothing at this address; the API begins with"}}`), "older rung"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(service(t, c.h), c.token, "x", nil).State(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := New("http://127.0.0.1:1", "", "x", nil).State(t.Context()); err == nil || !strings.Contains(err.Error(), "does rung serve run there?") {
		t.Error(err)
	}
}
