package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

const (
	digestA = promotion.Digest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	digestB = promotion.Digest("sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

// kept is a fixed set of views.
type kept struct {
	views []queue.View
	err   error
	asked string
}

func (k *kept) Views(_ context.Context, name string) ([]queue.View, error) {
	k.asked = name
	return k.views, k.err
}

func stored(t *testing.T, views ...promotion.View) (all []queue.View) {
	t.Helper()
	for _, v := range views {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, queue.View{Key: queue.RepositoryKey(v.Repository.ID), Name: promotion.ViewName, At: now, Data: data})
	}
	return all
}

func sample() promotion.View {
	bob := promotion.Person{ID: 12, Login: "bob"}
	return promotion.View{
		Repository: promotion.Repository{ID: 1, Owner: "acme", Name: "gitops", URL: "https://github.com/acme/gitops"},
		At:         now.Add(-2 * time.Second), Configured: true, Mode: promotion.ModeMerge, Next: now.Add(10 * time.Minute),
		Base: "1111111111111111111111111111111111111111", Ledger: "2222222222222222222222222222222222222222",
		Pipeline: &promotion.Pipeline{
			Artifacts:    []promotion.ArtifactSpec{{Name: "checkout"}},
			Environments: []promotion.EnvironmentSpec{{Name: "dev"}, {Name: "prod", After: []promotion.Environment{"dev"}}},
		},
		Notes:    []string{"rung.yaml does not name the ledger yet"},
		Problems: []promotion.ConfigProblem{{Path: "rung.yaml", Line: 7, Column: 3, Text: "unknown field soaks; did you mean soak?", Environments: []promotion.Environment{"prod"}}},
		Freezes: []promotion.Bar{
			{Scope: "prod/checkout", Reason: "the auditors are here", By: bob, At: now.Add(-time.Hour)},
			{Scope: "prod", Reason: "end of year", By: bob, At: now.Add(-time.Hour), Until: now.Add(time.Hour)},
		},
		Quarantine: []promotion.Bar{{Scope: string(digestA), Reason: "it leaks", By: bob, At: now.Add(-48 * time.Hour)}},
		Pairs: []promotion.PairState{
			{Pair: promotion.Pair{Environment: "dev", Artifact: "checkout"}, Live: promotion.Value{Version: "1.4.2", Digest: digestB}, Phase: promotion.PhaseIdle, Settled: "good", ByHand: "changed by hand by bob in 1f2e3d4c5b6a", LandedAt: now.Add(-time.Hour)},
			{
				Pair: promotion.Pair{Environment: "prod", Artifact: "checkout"}, Live: promotion.Value{Version: "1.4.1"}, Unpinned: true,
				Phase: promotion.PhaseOpen, Target: promotion.Value{Version: "1.4.2", Digest: digestB}, Kind: promotion.KindPromotion,
				PullRequest: 12, Sentence: "approval: needs 1 approval", Look: now.Add(4 * time.Minute), Facts: &promotion.Facts{},
				Verdicts: []promotion.Verdict{
					{Gate: "approval", Status: promotion.StatusPending, Sentence: "needs 1 approval", Look: now.Add(4 * time.Minute), Evidence: []promotion.Evidence{{Name: "review", Value: "none", URL: "https://github.com/acme/gitops/pull/12"}}},
					{Gate: "policy", Status: promotion.StatusPass, Sentence: "every policy passes", Rules: []promotion.RuleResult{{Policy: "digest", Rule: "pinned", Status: promotion.StatusPass}}},
				},
			},
		},
	}
}

func ask(t *testing.T, views Views, method, target string, headers ...string) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	New(Config{Views: views, Version: "1.2.3"}).ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// read decodes an answer, which must be of its schema.
func read[T any](t *testing.T, views Views, target string) T {
	t.Helper()
	res, body := ask(t, views, "GET", target)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: status %d, %s\n%s", target, res.StatusCode, res.Header.Get("Content-Type"), body)
	}
	if err := validate(t, reflect.TypeFor[T]().Name(), body); err != nil {
		t.Errorf("%s is not what its schema says: %v\n%s", target, err, body)
	}
	var out T
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStateSaysWhatTheBoardShows(t *testing.T) {
	bare := promotion.View{Repository: promotion.Repository{ID: 2, Owner: "acme", Name: "Apps"}, At: now, Error: "could not be read"}
	k := &kept{views: stored(t, sample(), bare)}
	s := read[State](t, k, "/api/v1/state")
	if k.asked != promotion.ViewName || s.Version != 1 || s.Rung != "1.2.3" || len(s.Repositories) != 2 {
		t.Fatalf("asked for %q: %+v", k.asked, s)
	}
	if first := s.Repositories[0]; first.Name != "Apps" || first.Configured || first.Error != "could not be read" || first.Pairs == nil || first.Notes == nil || first.Holds == nil {
		t.Errorf("not by name, or a list is absent: %+v", first)
	}
	bob := &Person{ID: 12, Login: "bob"}
	want := Repository{
		Header: Header{
			ID: 1, Owner: "acme", Name: "gitops", URL: "https://github.com/acme/gitops", Configured: true, Mode: "merge",
			ObservedAt: now.Add(-2 * time.Second), TriedAt: now, Unseen: []string{},
		},
		NextAt: now.Add(10 * time.Minute), Base: "1111111111111111111111111111111111111111", Ledger: "2222222222222222222222222222222222222222",
		Notes:        []string{"rung.yaml does not name the ledger yet"},
		Problems:     []Problem{{"rung.yaml", 7, 3, "unknown field soaks; did you mean soak?", []string{"prod"}}},
		Environments: []Environment{{"dev", []string{}}, {"prod", []string{"dev"}}},
		Artifacts:    []string{"checkout"}, Would: []string{},
		Freezes:     []Freeze{{"prod", Bar{"end of year", bob, now.Add(-time.Hour), now.Add(time.Hour)}}},
		Holds:       []Hold{{"prod", "checkout", Bar{"the auditors are here", bob, now.Add(-time.Hour), time.Time{}}}},
		Quarantines: []Quarantine{{string(digestA), Bar{"it leaks", bob, now.Add(-48 * time.Hour), time.Time{}}}},
		Pairs: []Pair{
			{Environment: "dev", Artifact: "checkout", Live: Value{"1.4.2", string(digestB)}, Phase: "idle", Settled: "good", ByHand: "changed by hand by bob in 1f2e3d4c5b6a", LandedAt: now.Add(-time.Hour), Verdicts: []Verdict{}},
			{
				Environment: "prod", Artifact: "checkout", Live: Value{Version: "1.4.1"}, Unpinned: true, Phase: "open", Sentence: "approval: needs 1 approval",
				LookAt: now.Add(4 * time.Minute), Kind: "promotion", Target: &Value{"1.4.2", string(digestB)},
				PullRequest: &PullRequest{12, "https://github.com/acme/gitops/pull/12"},
				Verdicts: []Verdict{
					{Gate: "approval", Status: "pending", Sentence: "needs 1 approval", LookAt: now.Add(4 * time.Minute), Evidence: []Evidence{{Name: "review", Value: "none", URL: "https://github.com/acme/gitops/pull/12"}}, Rules: []Rule{}},
					{Gate: "policy", Status: "pass", Sentence: "every policy passes", Evidence: []Evidence{}, Rules: []Rule{{Policy: "digest", Rule: "pinned", Status: "pass"}}},
				},
			},
		},
	}
	if !reflect.DeepEqual(s.Repositories[1], want) {
		t.Errorf("got  %+v\nwant %+v", s.Repositories[1], want)
	}
	if one := read[One](t, k, "/api/v1/repositories/ACME/gitops"); !reflect.DeepEqual(one.Repository, want) {
		t.Errorf("alone it is %+v", one.Repository)
	}
	list := read[List](t, k, "/api/v1/repositories")
	if got := list.Repositories[1]; !reflect.DeepEqual(got, Summary{Header: want.Header, Phases: map[string]int{"idle": 1, "open": 1}, Problems: 1, Freezes: 1, Holds: 1, Quarantines: 1}) {
		t.Errorf("in the list it is %+v", got)
	}
}

func TestNothingWasLookedAt(t *testing.T) {
	for _, target := range []string{"/api/v1/state", "/api/v1/repositories"} {
		if _, body := ask(t, &kept{}, "GET", target); !strings.Contains(body, `"repositories": []`) {
			t.Errorf("%s: %s", target, body)
		}
	}
}

// TestWhatCannotBeReadIsNoEmptyList: a program that reads "nothing is held" acts
// on it.
func TestWhatCannotBeReadIsNoEmptyList(t *testing.T) {
	nameless := sample()
	nameless.Repository.Name = ""
	for name, k := range map[string]*kept{
		"the store":           {err: errors.New("disk I/O error at /var/lib/secret")},
		"one view of several": {views: append(stored(t, sample()), queue.View{Key: "repo/9", Data: []byte(`{"pairs": 7}`)})},
		"a view that is cut":  {views: []queue.View{{Key: "repo/9", Data: []byte(`{`)}}},
		"a nameless view":     {views: stored(t, nameless)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range []string{"/api/v1/state", "/api/v1/repositories", "/api/v1/repositories/acme/gitops", "/api/v1/repositories/acme/other"} {
				res, body := ask(t, k, "GET", target)
				failed(t, res, body, http.StatusInternalServerError, "unreadable", "could not be read")
				if strings.Contains(body, "secret") {
					t.Errorf("%s tells a stranger of the inside: %s", target, body)
				}
			}
		})
	}
}

func failed(t *testing.T, res *http.Response, body string, status int, code, words string) {
	t.Helper()
	var f Failure
	if err := json.Unmarshal([]byte(body), &f); err != nil {
		t.Fatalf("no JSON: %v\n%s", err, body)
	}
	if res.StatusCode != status || f.Error.Code != code || !strings.Contains(f.Error.Sentence, words) || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("status %d, %s: %s", res.StatusCode, res.Header.Get("Content-Type"), body)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("ETag") != "" {
		t.Errorf("an error may be kept: %v", res.Header)
	}
	if err := validate(t, "Failure", body); err != nil {
		t.Error(err)
	}
}

func TestWhatThereIsNot(t *testing.T) {
	k := &kept{views: stored(t, sample())}
	for _, target := range []string{"/api/", "/api/v1", "/api/v1/", "/api/v2/state", "/api/v1/state/", "/api/v1/repositories/", "/api/v1/repositories/acme", "/api/v1/repositories/acme/gitops/x"} {
		res, body := ask(t, k, "GET", target)
		failed(t, res, body, http.StatusNotFound, "not-found", "/api/v1/state")
	}
	res, body := ask(t, k, "GET", "/api/v1/repositories/acme/other")
	failed(t, res, body, http.StatusNotFound, "not-found", "has not looked at a repository of this name")
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		for _, target := range []string{"/api/v1/state", "/api/v1/nowhere"} {
			res, body := ask(t, k, method, target)
			failed(t, res, body, http.StatusMethodNotAllowed, "method-not-allowed", "read only")
			if res.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s: %v", method, res.Header)
			}
		}
	}
}

func TestAnAnswerIsSentOnce(t *testing.T) {
	k := &kept{views: stored(t, sample())}
	res, body := ask(t, k, "GET", "/api/v1/state", "Range", "bytes=0-3")
	tag := res.Header.Get("ETag")
	if res.StatusCode != http.StatusOK || !json.Valid([]byte(body)) || len(tag) < 10 || res.Header.Get("Cache-Control") != "private, no-cache" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Fatalf("status %d, %v\n%s", res.StatusCode, res.Header, body)
	}
	if res, body := ask(t, k, "GET", "/api/v1/state", "If-None-Match", tag); res.StatusCode != http.StatusNotModified || body != "" {
		t.Errorf("asked again: status %d, %q", res.StatusCode, body)
	}
	if res, body := ask(t, k, "HEAD", "/api/v1/state"); res.StatusCode != http.StatusOK || body != "" || res.Header.Get("ETag") != tag {
		t.Errorf("HEAD: status %d, %v, %q", res.StatusCode, res.Header, body)
	}
	v := sample()
	v.Pairs[0].Phase = promotion.PhaseHeld
	if res, _ := ask(t, &kept{views: stored(t, v)}, "GET", "/api/v1/state", "If-None-Match", tag); res.StatusCode != http.StatusOK {
		t.Errorf("after a change: status %d", res.StatusCode)
	}
}

func TestTheSchemaIsServed(t *testing.T) {
	res, body := ask(t, &kept{}, "GET", "/api/v1/schema.json")
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/schema+json" || body != string(schemaOf(t, false)) {
		t.Errorf("status %d, %v", res.StatusCode, res.Header)
	}
	if err := validate(t, "State", `{"version": 1, "rung": "1", "repositories": [], "more": 1}`); err == nil {
		t.Error("the strict schema takes a field that nobody knows")
	}
	if err := validate(t, "State", `{"version": 1, "rung": "1"}`); err == nil {
		t.Error("the schema takes a state without its repositories")
	}
}

// TestLinksLeadToTheWebOnly: a program hands them to a browser.
func TestLinksLeadToTheWebOnly(t *testing.T) {
	v := sample()
	v.Repository.URL = "javascript:alert(1)"
	v.Pairs[1].URL = "https://bob:secret@example.com/"
	v.Pairs[1].Verdicts[0].Evidence[0].URL = "data:text/html,x"
	_, body := ask(t, &kept{views: stored(t, v)}, "GET", "/api/v1/state")
	if strings.Contains(body, `"url"`) || strings.Contains(body, "secret") {
		t.Error(body)
	}
}

// TestOfTwoOfOneName the one that was tried last is shown: the other was renamed.
func TestOfTwoOfOneName(t *testing.T) {
	old, young := sample(), sample()
	young.Repository.ID = 2
	views := stored(t, old, young)
	views[1].At = now.Add(time.Minute)
	for range 2 {
		if one := read[One](t, &kept{views: views}, "/api/v1/repositories/acme/gitops"); one.Repository.ID != 2 {
			t.Errorf("number %d is shown", one.Repository.ID)
		}
		views[0], views[1] = views[1], views[0]
	}
}
