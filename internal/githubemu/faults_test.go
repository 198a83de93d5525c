package githubemu_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/githubemu"
)

// comment tries to comment as the App and returns the status, or 0 for a cut
// connection.
func (w *world) comment(n int) int {
	w.Helper()
	_, res, err := w.bot.Issues.CreateComment(w.ctx(), "acme", "shop", n, &github.IssueComment{Body: github.String("hello")})
	if res == nil {
		if err == nil {
			w.Fatal("no answer and no error")
		}
		return 0
	}
	return res.StatusCode
}

// TestRequestFaults lets one request of three go wrong in each way, and looks
// at what was done nevertheless.
func TestRequestFaults(t *testing.T) {
	for kind, want := range map[string]struct {
		status, comments int
		after            string
	}{
		githubemu.FaultBadGatewayBefore: {502, 2, ""},
		githubemu.FaultBadGatewayAfter:  {502, 3, ""},
		githubemu.FaultCutBefore:        {0, 2, ""},
		githubemu.FaultCutAfter:         {0, 3, ""},
		githubemu.FaultForbidden:        {403, 2, "7"},
		githubemu.FaultTooMany:          {429, 2, "7"},
		githubemu.FaultUnauthorized:     {401, 2, ""},
		githubemu.FaultLatency:          {201, 3, ""},
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			w.branch("topic", "a", "1")
			n := w.open("topic").GetNumber()
			_, err := w.s.AddFault(githubemu.Fault{Kind: kind, Route: "POST */comments", Skip: 1, RetryAfter: 7 * time.Second, Delay: time.Millisecond})
			w.ok(err)
			var got []int
			for range 3 {
				// A fresh client each time: the real one stops calling once it
				// has been told to wait.
				w.connect()
				got = append(got, w.comment(n))
			}
			equal(t, "statuses", show(got), show([]int{201, want.status, 201}))
			st, err := w.s.State(t.Context(), full)
			w.ok(err)
			equal(t, "comments", len(st.Pulls[0].Comments), want.comments)
		})
	}
}

func TestPrimaryLimit(t *testing.T) {
	w := newWorld(t)
	_, err := w.s.AddFault(githubemu.Fault{Kind: githubemu.FaultRateLimit, Route: "GET /repos/{owner}/{repo}"})
	w.ok(err)
	_, _, err = w.bot.Repositories.Get(t.Context(), "acme", "shop")
	var rl *github.RateLimitError
	if !errors.As(err, &rl) {
		t.Errorf("got %v", err)
	}
}

// TestWalls enforces the limits themselves.
func TestWalls(t *testing.T) {
	w := newWorld(t)
	w.branch("topic", "a", "1")
	n := w.open("topic").GetNumber()
	w.s.SetLimits(githubemu.Limits{ContentPerMinute: 2})
	equal(t, "first", w.comment(n), 201)
	equal(t, "second", w.comment(n), 201)
	equal(t, "third", w.comment(n), 403)
	w.s.SetLimits(githubemu.Limits{PerHour: 3})
	w.connect()
	var last error
	for range 4 {
		_, _, last = w.bot.Repositories.Get(t.Context(), "acme", "shop")
	}
	var rl *github.RateLimitError
	if !errors.As(last, &rl) {
		t.Errorf("got %v", last)
	}
	lim, _, err := w.as("bob").RateLimit.Get(t.Context())
	w.ok(err)
	equal(t, "limit", lim.GetCore().Limit, 3)
}

// TestETag gets a 304 with the same token and none with another.
func TestETag(t *testing.T) {
	w := newWorld(t)
	get := func(token, tag string) *http.Response {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.web.URL+"/api/v3/repos/acme/shop/pulls", nil)
		req.Header.Set("Authorization", "token "+token)
		req.Header.Set("If-None-Match", tag)
		res, err := http.DefaultClient.Do(req)
		w.ok(err)
		_ = res.Body.Close()
		return res
	}
	one := w.mint()
	first := get(one, "")
	tag := first.Header.Get("ETag")
	second := get(one, tag)
	equal(t, "same token", second.StatusCode, 304)
	equal(t, "free", second.Header.Get("X-RateLimit-Remaining"), first.Header.Get("X-RateLimit-Remaining"))
	equal(t, "new token", get(w.mint(), tag).StatusCode, 200)
	w.branch("topic", "a", "1")
	w.open("topic")
	equal(t, "changed", get(one, tag).StatusCode, 200)
	equal(t, "counted apart", w.s.Counts().ByClass[githubemu.NotModified], 1)
}

// TestRename follows GET to the new name, and not POST.
func TestRename(t *testing.T) {
	w := newWorld(t)
	w.branch("topic", "a", "1")
	n := w.open("topic").GetNumber()
	w.ok(w.s.RenameRepository(full, "acme/store"))
	r, _, err := w.bot.Repositories.Get(t.Context(), "acme", "shop")
	w.ok(err)
	equal(t, "new name", r.GetFullName(), "acme/store")
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, w.web.URL+"/api/v3/repos/acme/shop/issues/1/comments", strings.NewReader(`{"body":"x"}`))
	req.Header.Set("Authorization", "token "+w.mint())
	res, err := http.DefaultTransport.RoundTrip(req)
	w.ok(err)
	_ = res.Body.Close()
	equal(t, "status", res.StatusCode, http.StatusTemporaryRedirect)
	if _, _, err := w.bot.PullRequests.Get(t.Context(), "acme", "store", n); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	w.mustGit("", "clone", "-q", w.remote("bob", w.tokens["bob"]), dir+"/old-name")
}

// TestOnWrite numbers the writes and cuts one before, one after its effect.
func TestOnWrite(t *testing.T) {
	w := newWorld(t)
	w.branch("topic", "a", "1")
	n := w.open("topic").GetNumber()
	var mu sync.Mutex
	var seen []string
	w.s.SetOnWrite(func(i int, when githubemu.When, r *http.Request) {
		mu.Lock()
		seen = append(seen, show(i)+when.String())
		mu.Unlock()
		if i == 1 && when == githubemu.Before || i == 3 && when == githubemu.After {
			panic(http.ErrAbortHandler)
		}
	})
	var got []int
	for range 3 {
		got = append(got, w.comment(n))
	}
	equal(t, "answers", show(got), "[0 201 0]")
	mu.Lock()
	equal(t, "hooks", strings.Join(seen, " "), "1before 2before 2after 3before 3after")
	mu.Unlock()
	st, err := w.s.State(t.Context(), full)
	w.ok(err)
	equal(t, "comments", len(st.Pulls[0].Comments), 2)
}

// TestHold stops a write until it is let go.
func TestHold(t *testing.T) {
	w := newWorld(t)
	w.branch("topic", "a", "1")
	n := w.open("topic").GetNumber()
	reached, release := w.s.Hold(1, githubemu.After)
	done := make(chan int)
	go func() { done <- w.comment(n) }()
	<-reached
	st, err := w.s.State(t.Context(), full)
	w.ok(err)
	equal(t, "done", len(st.Pulls[0].Comments), 1)
	release()
	equal(t, "answer", <-done, 201)
}

// TestInProcess serves without a socket, cuts included.
func TestInProcess(t *testing.T) {
	w := newWorld(t)
	hc := &http.Client{Transport: w.s.Transport()}
	get := func() (*http.Response, error) {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, w.web.URL+"/api/v3/repos/acme/shop", bytes.NewReader(nil))
		req.Header.Set("Authorization", "token "+w.tokens["bob"])
		return hc.Do(req)
	}
	res, err := get()
	w.ok(err)
	_ = res.Body.Close()
	equal(t, "status", res.StatusCode, 200)
	_, err = w.s.AddFault(githubemu.Fault{Kind: githubemu.FaultCutBefore})
	w.ok(err)
	if _, err := get(); err == nil { //nolint:bodyclose // there is none
		t.Error("the connection was not cut")
	}
}
