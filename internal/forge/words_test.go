package forge

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// Trap 36: every word GitHub has for mergeability, and one it doesn't have yet.
func TestMergeabilityTable(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		mergeable *bool
		state     string
		want      string
	}{
		{nil, "unknown", MergeUnknown},
		{nil, "clean", MergeUnknown},
		{nil, "", MergeUnknown},
		{&yes, "clean", MergeClean},
		{&yes, "blocked", MergeClean},
		{&yes, "behind", MergeClean},
		{&yes, "unstable", MergeClean},
		{&yes, "has_hooks", MergeClean},
		{&yes, "draft", MergeClean},
		{&yes, "", MergeClean},
		{&no, "dirty", MergeConflicting},
		{&no, "blocked", MergeConflicting},
		{&yes, "dirty", MergeConflicting},
		{&yes, "unknown", MergeUnknown},
		{&no, "unknown", MergeUnknown},
		{&yes, "quantum", MergeUnknown},
	} {
		if got := mergeability(tt.mergeable, tt.state); got != tt.want {
			t.Errorf("%v %q: %s, want %s", tt.mergeable, tt.state, got, tt.want)
		}
	}
	for word, want := range map[string]string{"MERGEABLE": MergeClean, "CONFLICTING": MergeConflicting, "UNKNOWN": MergeUnknown, "": MergeUnknown, "NEW": MergeUnknown} {
		if got := mergeableEnum(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

// Trap 37: only a completed run has a result; words of a later GitHub are
// passed on and are none of success, skipped, neutral.
func TestCheckStateTable(t *testing.T) {
	for _, tt := range []struct{ status, conclusion, want string }{
		{"COMPLETED", "SUCCESS", "success"},
		{"completed", "neutral", "neutral"},
		{"COMPLETED", "SKIPPED", "skipped"},
		{"COMPLETED", "FAILURE", "failure"},
		{"COMPLETED", "TIMED_OUT", "failure"},
		{"COMPLETED", "CANCELLED", "failure"},
		{"COMPLETED", "STARTUP_FAILURE", "failure"},
		{"COMPLETED", "ACTION_REQUIRED", "action_required"},
		{"COMPLETED", "STALE", "stale"},
		{"COMPLETED", "", "pending"},
		{"QUEUED", "", "pending"},
		{"IN_PROGRESS", "SUCCESS", "pending"},
		{"WAITING", "", "pending"},
		{"", "SUCCESS", "pending"},
		{"COMPLETED", "WONDERFUL", "wonderful"},
	} {
		if got := checkState(tt.status, tt.conclusion); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.status, tt.conclusion, got, tt.want)
		}
	}
	for state, want := range map[string]string{"SUCCESS": "success", "error": "failure", "FAILURE": "failure", "EXPECTED": "pending", "pending": "pending", "": "pending", "ODD": "odd"} {
		if got := statusState(state); got != want {
			t.Errorf("%q: %s, want %s", state, got, want)
		}
	}
}

// Trap 37: the newest run of each name and App counts; a re-run that waits to
// start hides the old success; equal names of different Apps stay apart.
func TestNewestRunPerNameAndApp(t *testing.T) {
	early, late := time.Unix(100, 0), time.Unix(200, 0)
	got := newestRuns([]run{
		{id: 5, name: "ci", app: 1, state: "success", at: late},
		{id: 9, name: "ci", app: 1, state: "pending"},
		{id: 2, name: "ci", app: 2, state: "failure", at: late},
		{name: "ci", state: "success", at: early},
		{name: "ci", state: "failure", at: late},
		{id: 1, name: "a", app: 1, state: "success"},
	})
	want := []promotion.CheckFacts{
		{Name: "a", App: 1, State: "success"},
		{Name: "ci", State: "failure", At: late},
		{Name: "ci", App: 1, State: "pending"},
		{Name: "ci", App: 2, State: "failure", At: late},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if newestRuns(nil) != nil {
		t.Error("no runs make no facts")
	}
}

func TestRouteClassesAreAClosedSet(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v3/repos/acme/deploy/pulls/12":                               "/repos/{owner}/{repo}/pulls/{id}",
		"/api/v3/repos/pulls/12/check-runs":                                "/repos/{owner}/{repo}/check-runs",
		"/api/v3/repos/a/b/commits/" + strings.Repeat("1", 40) + "/status": "/repos/{owner}/{repo}/commits/{sha}/status",
		"/api/v3/users/ghs_secret":                                         "/users/{name}",
		"/api/graphql":                                                     "/graphql",
		"/api/v3/repos/a/b/branches/we/ird/protection":                     "/repos/{owner}/{repo}/branches/{name}/{name}/protection",
	} {
		if got := routeOf("GET", path, "/api/v3/"); got.Class != want {
			t.Errorf("%s: %s, want %s", path, got.Class, want)
		}
	}
}

func TestRedact(t *testing.T) {
	for _, secret := range []string{
		"ghs_16C7e42F292c6912E7710c838347Ae178B4a", "ghp_abcdefgh", "github_pat_11ABC_def", "v1.1f699f1069f60xxx1f699f1069f60aaa1f699f106", "Bearer abcdefghijkl",
		"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.sig",
	} {
		if got := redact("before " + secret + " after"); strings.Contains(got, secret[len(secret)-8:]) && secret[0] != 'v' {
			t.Errorf("%q left %q", secret, got)
		}
	}
	if got := redact("push https://x-access-token:hunter2@github.example/a.git failed"); got != "push https://REDACTED@github.example/a.git failed" {
		t.Errorf("got %q", got)
	}
	if got := redact("nothing secret: ghost, token expired"); got != "nothing secret: ghost, token REDACTED" && got != "nothing secret: ghost, token expired" {
		t.Errorf("got %q", got)
	}
}

func FuzzGraphQLAnswer(f *testing.F) {
	f.Add([]byte(`{"data":{"repository":{"databaseId":7,"p0":{"number":1,"state":"OPEN","headRefOid":"1111111111111111111111111111111111111111"}}}}`))
	f.Add([]byte(`{"errors":[{"type":"NOT_FOUND","path":["repository",5,null],"message":"x"}]}`))
	f.Add([]byte(`{"data":{"repository":{"p0":null,"ref":{"rules":{"nodes":[{"type":"PULL_REQUEST"}]}}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, failures, err := decodeAnswer(body)
		if err != nil {
			return
		}
		if judgeErrors(r, failures) != nil {
			return
		}
		var pull *pullNode
		if r.into("p0", &pull) == nil && pull != nil {
			if pr, err := plainPull(pull); err == nil {
				if _, err := promotion.ParseHash(string(pr.Head)); err != nil || pr.Number <= 0 {
					t.Errorf("accepted %+v", pr)
				}
			}
		}
		var ref *refNode
		if r.into("ref", &ref) == nil && ref != nil {
			rulesOf(ref, []string{"merge"}, r.unreadable, nil, false)
		}
		var commit *commitNode
		if r.into("c0", &commit) == nil && commit != nil && commit.Rollup != nil {
			for _, facts := range newestRuns(commit.Rollup.Contexts.runs()) {
				if facts.State == "" {
					t.Error("a check without a state")
				}
			}
		}
	})
}
