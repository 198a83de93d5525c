package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/prose"
)

func TestWhySaysWhatTheCommandSays(t *testing.T) {
	k := &kept{views: stored(t, sample())}
	why := read[Why](t, k, "/api/v1/repositories/acme/gitops/why?artifact=checkout&environment=prod")
	st := sample().Pairs[1]
	if why.Markdown != prose.Why(st) || why.Text != prose.WhyPlain(st) || why.Repository.Name != "gitops" || why.Pair.Phase != "open" || len(why.Pair.Verdicts) != 2 {
		t.Errorf("got %+v", why)
	}
	if want := "checkout in prod runs 1.4.1 (not pinned): open. Wanted: 1.4.2 (sha256:bbbbbbbbbbbb) (pull request 12). approval: needs 1 approval.\n\npending  approval     needs 1 approval\npass     policy       every policy passes\n"; why.Text != want {
		t.Errorf("got  %q\nwant %q", why.Text, want)
	}
}

func TestQuestionsAreTakenStrictly(t *testing.T) {
	bare := promotion.View{Repository: promotion.Repository{ID: 2, Owner: "acme", Name: "apps"}, At: now, Configured: false}
	k := &kept{views: stored(t, sample(), bare)}
	const at = "/api/v1/repositories/acme/gitops"
	for _, c := range []struct {
		target, code, sentence string
		status                 int
	}{
		{"/api/v1/state?x=1", "bad-request", "takes none", 400},
		{"/api/v1/schema.json?", "", "", 200},
		{at + "?artifact=checkout", "bad-request", "takes none", 400},
		{at + "/why", "bad-request", "artifact", 400},
		{at + "/why?artifact=checkout", "bad-request", "environment", 400},
		{at + "/why?artifact=checkout&environment=prod&environment=dev", "bad-request", "2 times", 400},
		{at + "/why?artifact=checkout&environment=prod&env=dev", "bad-request", "artifact, environment", 400},
		{at + "/why?artifact=checkout;environment=prod", "bad-request", "can't be read", 400},
		{at + "/why?artifact=%zz", "bad-request", "can't be read", 400},
		{at + "/why?artifact=..%2Fcheckout&environment=prod", "bad-request", "artifact", 400},
		{at + "/why?artifact=check&environment=prod", "not-found", "there are: checkout", 404},
		{at + "/why?artifact=checkout&environment=pro", "not-found", "there are: dev, prod", 404},
		{"/api/v1/repositories/acme/apps/why?artifact=checkout&environment=prod", "not-found", "no rung.yaml", 404},
		{"/api/v1/repositories/acme/other/why?artifact=checkout&environment=prod", "not-found", "installed", 404},
		{at + "/history", "bad-request", "artifact", 400},
		{at + "/history?artifact=checkout&limit=0", "bad-request", "1 to 100", 400},
		{at + "/history?artifact=checkout&limit=1e2", "bad-request", "1 to 100", 400},
		{at + "/history?artifact=checkout&limit=", "bad-request", "1 to 100", 400},
		{at + "/history?artifact=nope", "not-found", "there are: checkout", 404},
		{at + "/history?artifact=checkout&environment=nope", "not-found", "there are: dev, prod", 404},
		{at + "/history?artifact=checkout", "unavailable", "no history", 503},
		{at + "/nothing", "not-found", "nothing at this address", 404},
	} {
		res, body := ask(t, k, "GET", c.target)
		if res.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.target, res.StatusCode, c.status, body)
		}
		if c.status == 200 {
			continue
		}
		var f Failure
		if err := json.Unmarshal([]byte(body), &f); err != nil || f.Error.Code != c.code || !strings.Contains(f.Error.Sentence, c.sentence) {
			t.Errorf("%s: %s", c.target, body)
		}
		if err := validate(t, "Failure", body); err != nil {
			t.Errorf("%s: %v", c.target, err)
		}
	}
}

func TestHistoryIsAskedOfThePast(t *testing.T) {
	var asked []Question
	var fault error
	h := New(Config{Views: &kept{views: stored(t, sample())}, Version: "1.2.3", Past: func(_ context.Context, q Question) (any, bool, error) {
		asked = append(asked, q)
		return map[string]any{"format": 1, "artifact": q.Artifact}, true, fault
	}})
	get := func(target string, headers ...string) (int, string, http.Header) {
		r := httptest.NewRequest("GET", "/api/v1/repositories/acme/gitops/history"+target, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		body, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, string(body), w.Result().Header
	}
	status, body, head := get("?artifact=checkout&environment=dev&limit=7")
	if err := validate(t, "History", body); err != nil || status != 200 {
		t.Fatalf("status %d, %v: %s", status, err, body)
	}
	if want := (Question{Repository: 1, Artifact: "checkout", Environment: "dev", Limit: 7}); len(asked) != 1 || asked[0] != want {
		t.Errorf("asked %+v", asked)
	}
	var answer History
	if err := json.Unmarshal([]byte(body), &answer); err != nil || !answer.More || !strings.Contains(string(answer.History), `"artifact": "checkout"`) {
		t.Errorf("%v: %s", err, body)
	}
	if status, _, _ := get("?artifact=checkout&environment=dev&limit=7", "If-None-Match", head.Get("ETag")); status != http.StatusNotModified {
		t.Errorf("the same again: status %d", status)
	}
	if get("?artifact=checkout"); asked[len(asked)-1].Limit != 20 {
		t.Errorf("without a limit: %+v", asked[len(asked)-1])
	}
	fault = errors.New("git: connection refused, token abc")
	if status, body, head := get("?artifact=checkout"); status != 503 || strings.Contains(body, "abc") || head.Get("Retry-After") == "" || head.Get("ETag") != "" {
		t.Errorf("a fault: status %d, %s", status, body)
	}
	fault = ErrNoLedger
	if status, body, _ := get("?artifact=checkout"); status != 404 || !strings.Contains(body, "observe") {
		t.Errorf("without a ledger: status %d, %s", status, body)
	}
}

// TestHistoriesAreReadSomeAtATime: one more is told to come back, and the places are
// given back.
func TestHistoriesAreReadSomeAtATime(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	h := New(Config{Views: &kept{views: stored(t, sample())}, Past: func(context.Context, Question) (any, bool, error) {
		begun <- struct{}{}
		<-end
		return struct{}{}, false, nil
	}})
	get := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/repositories/acme/gitops/history?artifact=checkout", nil))
		return w.Code
	}
	done := make(chan int)
	for range maxReading {
		go func() { done <- get() }()
		<-begun
	}
	if status := get(); status != http.StatusServiceUnavailable {
		t.Errorf("one too many: status %d", status)
	}
	close(end)
	for range maxReading {
		if status := <-done; status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	go func() { done <- get() }()
	<-begun
	if status := <-done; status != http.StatusOK {
		t.Errorf("afterwards: status %d", status)
	}
}

func TestADryRunIsDescribed(t *testing.T) {
	v := sample()
	v.Would, v.Unseen = []string{"open: Promote checkout"}, []string{"reviews"}
	one := Describe("1.2.3", v)
	if len(one.Repository.Would) != 1 || len(one.Repository.Unseen) != 1 || !one.Repository.TriedAt.Equal(v.At) {
		t.Errorf("%+v", one)
	}
	why, err := Explain("1.2.3", v, promotion.Pair{Environment: "prod", Artifact: "checkout"})
	if err != nil || why.Repository.Unseen[0] != "reviews" {
		t.Errorf("%+v, %v", why, err)
	}
	if _, err := Explain("1.2.3", v, promotion.Pair{Environment: "qa", Artifact: "checkout"}); err == nil || !strings.Contains(err.Error(), "dev, prod") {
		t.Error(err)
	}
}
