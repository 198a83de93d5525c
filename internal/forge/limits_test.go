package forge_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
)

// Trap 44: every way of saying "wait" gives a time, and nothing is sent before
// it, of any kind.
func TestLimitsSayUntilWhenAndNothingIsSentBefore(t *testing.T) {
	start := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	reset := strconv.FormatInt(start.Add(20*time.Minute).Unix(), 10)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		wait   time.Duration
		reason string
	}{
		"403 with Retry-After":           {answer(403, `{"message":"You have exceeded a secondary rate limit"}`, "Retry-After", "90"), 90 * time.Second, "secondary"},
		"403 secondary without a time":   {answer(403, `{"message":"You have exceeded a secondary rate limit"}`), time.Minute, "secondary"},
		"403 with nothing remaining":     {answer(403, `{"message":"API rate limit exceeded"}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset), 20 * time.Minute, "primary"},
		"429 with Retry-After":           {answer(429, `{}`, "Retry-After", "30"), 30 * time.Second, "secondary"},
		"429 with a date":                {answer(429, `{}`, "Retry-After", start.Add(40*time.Second).Format(http.TimeFormat)), 40 * time.Second, "secondary"},
		"429 with a reset":               {answer(429, `{}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset), 20 * time.Minute, "primary"},
		"429 without anything":           {answer(429, `{}`), time.Minute, "secondary"},
		"Retry-After goes before reset":  {answer(429, `{}`, "Retry-After", "30", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", reset), 30 * time.Second, "secondary"},
		"Retry-After of a thousand days": {answer(429, `{}`, "Retry-After", "86400000"), 2 * time.Hour, "secondary"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.on("POST /repos/acme/deploy/pulls", tt.answer)
			w.on("GET /repos/acme/deploy/issues/comments/5", answer(200, `{"id":5}`))
			_, err := w.client().OpenPullRequest(t.Context(), repo, forge.NewPullRequest{Title: "t", Head: "h", Base: "main"})
			var limited *forge.RateLimitedError
			if !errors.As(err, &limited) {
				t.Fatalf("got %v", err)
			}
			if errors.Is(err, forge.ErrUnknownOutcome) {
				t.Error("a refused write is not an unknown outcome")
			}
			if limited.Until != start.Add(tt.wait) || limited.Reason != tt.reason {
				t.Errorf("wait %v (%s), want %v (%s)", limited.Until.Sub(start), limited.Reason, tt.wait, tt.reason)
			}
			sent := w.count("")
			w.advance(tt.wait - time.Second)
			if _, err := w.client().Comment(t.Context(), repo, 5); !as[*forge.RateLimitedError](err) {
				t.Errorf("while waiting: %v", err)
			}
			if at, ok := forge.RetryAt(err, w.clock()); !ok || at != limited.Until || w.client().WaitUntil() != limited.Until {
				t.Errorf("RetryAt %v, WaitUntil %v", at, w.client().WaitUntil())
			}
			if w.count("") != sent {
				t.Error("a request was sent while GitHub said to wait")
			}
			w.advance(time.Second)
			if _, err := w.client().Comment(t.Context(), repo, 5); err != nil {
				t.Errorf("after the wait: %v", err)
			}
			if !w.client().WaitUntil().IsZero() {
				t.Error("still waiting after the wait")
			}
		})
	}
}

// The last request of an hour is answered; the next one is not sent.
func TestNothingIsSentOnceNothingRemains(t *testing.T) {
	w := newWorld(t)
	w.advance(100 * 365 * 24 * time.Hour) // the wait goes by rung's clock alone
	reset := w.clock().Add(10 * time.Minute)
	w.on("GET /repos/acme/deploy/issues/comments/5", answer(200, `{"id":5}`, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10), "X-RateLimit-Resource", "core"))
	if _, err := w.client().Comment(t.Context(), repo, 5); err != nil {
		t.Fatal(err)
	}
	_, err := w.client().Comment(t.Context(), repo, 5)
	var limited *forge.RateLimitedError
	if !errors.As(err, &limited) || !limited.Until.Equal(reset) || w.count("") != 1 {
		t.Fatalf("got %v after %d requests", err, w.count(""))
	}
	// GraphQL has a bucket of its own.
	w.on("POST /graphql", answer(200, `{"data":{"repository":null},"errors":[{"type":"NOT_FOUND","path":["repository"],"message":"x"}]}`))
	if _, err := w.client().Read(t.Context(), forge.Query{Repository: repo}); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("GraphQL: %v", err)
	}
	w.advance(10 * time.Minute)
	w.on("GET /repos/acme/deploy/issues/comments/5", answer(200, `{"id":5}`))
	if _, err := w.client().Comment(t.Context(), repo, 5); err != nil {
		t.Errorf("after the reset: %v", err)
	}
}

func TestLimitsWithoutATimeWaitLongerEachTime(t *testing.T) {
	w := newWorld(t)
	w.on("GET /repos/acme/deploy/issues/comments/5", answer(429, `{}`))
	for _, want := range []time.Duration{1, 2, 4, 8, 15, 15} {
		_, err := w.client().Comment(t.Context(), repo, 5)
		var limited *forge.RateLimitedError
		if !errors.As(err, &limited) || limited.Until.Sub(w.clock()) != want*time.Minute {
			t.Fatalf("got %v, want %d minutes", err, want)
		}
		w.advance(want * time.Minute)
	}
}

func TestGraphQLTellsLimitsInThe200(t *testing.T) {
	for name, tt := range map[string]struct {
		body    string
		headers []string
		wait    time.Duration
	}{
		"primary":   {`{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded for installation ID 99"}]}`, nil, time.Minute},
		"secondary": {`{"data":null,"errors":[{"message":"You have exceeded a secondary rate limit"}]}`, []string{"Retry-After", "45"}, 45 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.on("POST /graphql", answer(200, tt.body, tt.headers...))
			_, err := w.client().Read(t.Context(), forge.Query{Repository: repo})
			var limited *forge.RateLimitedError
			if !errors.As(err, &limited) || limited.Until.Sub(w.clock()) != tt.wait {
				t.Fatalf("got %v", err)
			}
			if _, err := w.client().Read(t.Context(), forge.Query{Repository: repo}); !as[*forge.RateLimitedError](err) || w.count("") != 1 {
				t.Errorf("got %v after %d requests", err, w.count(""))
			}
		})
	}
}

// Rung keeps below GitHub's limits on content by itself, with a share left for
// rollbacks.
func TestPaceRefusesContentOverTheLimit(t *testing.T) {
	w := newWorld(t, func(c *forge.Config) {
		c.Pace = &forge.Pace{ContentPerMinute: 10, ContentPerHour: 15, WritesPerMinute: 3, Reserve: 20}
	})
	w.on("POST /repos/acme/deploy/issues/comments/5/reactions", answer(200, `{"id":1}`))
	w.on("PATCH /repos/acme/deploy/pulls/1", answer(200, `{"number":1}`))
	react := func() error { return w.client().React(t.Context(), repo, 5, forge.ReactEyes) }
	start := w.clock()
	for i := range 8 {
		if err := react(); err != nil {
			t.Fatalf("reaction %d: %v", i, err)
		}
	}
	var limited *forge.RateLimitedError
	if err := react(); !errors.As(err, &limited) || limited.Reason != "pace" || !limited.Until.Equal(start.Add(time.Minute)) {
		t.Fatalf("the ninth: %v", err)
	}
	urgent := forge.WithUrgency(t.Context())
	if err := w.client().React(urgent, repo, 5, forge.ReactEyes); err != nil {
		t.Fatalf("urgent: %v", err)
	}
	if w.count("") != 9 {
		t.Errorf("%d requests were sent", w.count(""))
	}
	// Other writes have a limit of their own.
	for i := range 4 {
		err := w.client().ClosePullRequest(t.Context(), repo, 1)
		if (err == nil) != (i < 3) {
			t.Errorf("write %d: %v", i, err)
		}
	}
	// A minute later the hour's limit is next: 12 of 15 without urgency.
	w.advance(time.Minute)
	done := 0
	for range 10 {
		if react() == nil {
			done++
		}
	}
	if done != 3 {
		t.Errorf("%d more in the second minute, want 3", done)
	}
	if err := react(); !errors.As(err, &limited) || !limited.Until.After(start.Add(59*time.Minute)) {
		t.Errorf("over the hour's limit: %v", err)
	}
}

func TestRequestsAreCountedByRouteClass(t *testing.T) {
	var calls []forge.Call
	w := newWorld(t, func(c *forge.Config) { c.Observe = func(call forge.Call) { calls = append(calls, call) } })
	w.on("POST /repos/acme/deploy/pulls", answer(201, `{"number":12}`))
	w.on("PUT /repos/acme/deploy/pulls/12/merge", answer(200, fmt.Sprintf(`{"merged":true,"sha":%q}`, merged)))
	if _, err := w.client().OpenPullRequest(t.Context(), repo, forge.NewPullRequest{Title: "t", Head: "h", Base: "main"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client().Merge(t.Context(), repo, 12, head, "merge", "t", ""); err != nil {
		t.Fatal(err)
	}
	_ = w.client().Access(t.Context(), repo, person, []string{"acme/sre"})
	counts := w.app.Counts()
	for _, route := range []forge.Route{
		{Method: "POST", Class: "/app/installations/{id}/access_tokens"},
		{Method: "POST", Class: "/repos/{owner}/{repo}/pulls"},
		{Method: "PUT", Class: "/repos/{owner}/{repo}/pulls/{id}/merge"},
		{Method: "GET", Class: "/repos/{owner}/{repo}/collaborators/{name}/permission"},
		{Method: "GET", Class: "/orgs/{name}/teams/{name}/memberships/{name}"},
	} {
		if counts[route] != 1 {
			t.Errorf("%v was counted %d times in %v", route, counts[route], counts)
		}
	}
	if len(calls) != 5 || calls[1].Status != 201 {
		t.Errorf("observed %+v", calls)
	}
}
