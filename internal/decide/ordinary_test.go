package decide_test

import (
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

func TestTheCheckOfOrdinaryPullRequests(t *testing.T) {
	places := map[promotion.Pair][]promotion.PlaceChange{at(prod): {{Path: "environments/prod/kustomization.yaml", Before: value("1.0.0"), After: value("9.0.0")}}}
	for name, c := range map[string]struct {
		impact            promotion.Impact
		conclusion, title string
		says              []string
	}{
		"nothing of rung's": {promotion.Impact{}, "success", "No promotion here", []string{"touches no place where rung writes a version"}},
		"a version by hand": {promotion.Impact{Places: places}, "success", "Changes versions by hand", []string{"Changes **checkout** in **prod** by hand: `1.0.0` (`sha256:92521fc3cbd9`) → `9.0.0`", "recorded as a change by hand"}},
		"a quarantined digest": {
			promotion.Impact{Places: places, Quarantined: []promotion.Digest{digest("0.1.0")}},
			"failure", "Brings in a quarantined digest",
			[]string{"is quarantined since 2025-06-02 10:00:00 UTC: it leaks", "`/unquarantine`", "by hand: `1.0.0`"},
		},
		"a configuration error": {
			promotion.Impact{Governs: true, Problems: []promotion.ConfigProblem{{Path: "rung.yaml", Line: 3, Column: 7, Text: "unknown field <soack>, did you mean @soak?"}}},
			"failure", "1 error(s) in configuration or manifests",
			[]string{"`rung.yaml:3:7` unknown field &lt;soack&gt;, did you mean @\u2060soak?"},
		},
		"a link": {
			promotion.Impact{Disguised: []promotion.PathProblem{{Path: "environments/prod/`more`.yaml", Text: "is a symbolic link under an environment: put <b>plain</b> files there"}}},
			"failure", "1 path(s) that would break the record",
			[]string{"environments/prod/", "is a symbolic link under an environment: put &lt;b&gt;plain&lt;/b&gt; files there"},
		},
		"configuration": {
			promotion.Impact{Governs: true, Summary: []string{"prod: soak 1h0m0s → 0s"}},
			"success", "Changes configuration, no promotion",
			[]string{"prod: soak 1h0m0s → 0s", "never merges such a pull request by itself"},
		},
		"not examined": {promotion.Impact{Error: "the files can't be read: 502", Governs: true, Places: places}, "action_required", "Could not be examined", []string{"the files can't be read: 502"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.bar("0.1.0")
			pr := ordinary(5)
			c.impact.Head = pr.Head
			pr.Impact = &c.impact
			w.s.PullRequests = []promotion.PullRequestState{pr}
			plan := w.decide()
			w.changesNothing(plan)
			got := check(plan, 5, promotion.Pair{})
			if got == nil || got.Conclusion != c.conclusion || got.Title != c.title || got.Head != pr.Head || got.ID != 0 {
				t.Fatalf("the check is %+v", got)
			}
			for _, want := range c.says {
				if !strings.Contains(got.Summary, want) {
					t.Errorf("the summary lacks %q:\n%s", want, got.Summary)
				}
			}
			// Written once.
			w.carryOut(&plan)
			if plan := w.decide(); len(plan.Checks) > 0 {
				t.Error("it is written again")
			}
			// And on a new head only when that was examined.
			w.pr(5).Head = hash(123)
			if plan := w.decide(); len(plan.Checks) > 0 {
				t.Error("a head that was not examined gets a check")
			}
		})
	}
}

func TestWhichPullRequestsAreOrdinary(t *testing.T) {
	for name, pr := range map[string]func(*promotion.PullRequestState){
		"of a fork, with the branch's name":     func(pr *promotion.PullRequestState) { pr.HeadRef, pr.Fork = "rung/p/dev/checkout", true },
		"of a branch whose promotion has ended": func(pr *promotion.PullRequestState) { pr.HeadRef = "rung/p/staging/checkout" },
		"of a branch that is no pair's":         func(pr *promotion.PullRequestState) { pr.HeadRef = "rung/p/../checkout" },
		"onboarding":                            func(pr *promotion.PullRequestState) { pr.HeadRef = "rung/onboard" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
			w.publish("1.1.0")
			w.settled()
			number := w.openPR(at(dev)).Number
			other := ordinary(5)
			pr(&other)
			w.s.PullRequests = append(w.s.PullRequests, other)
			plan := w.decide()
			if c := check(plan, 5, promotion.Pair{}); c == nil || c.Title != "No promotion here" {
				t.Errorf("its check is %+v", c)
			}
			if st := w.state(plan, at(dev)); st.PullRequest != number {
				t.Errorf("it is taken for the promotion: #%d", st.PullRequest)
			}
		})
	}
	w := newWorld(t)
	closed := ordinary(5)
	closed.State = "closed"
	w.s.PullRequests = []promotion.PullRequestState{closed}
	if plan := w.decide(); len(plan.Checks) > 0 {
		t.Error("a closed pull request gets a check")
	}
}
