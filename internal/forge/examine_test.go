package forge_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/promotion"
)

func TestKnockTellsTheClockAndWhoAnswers(t *testing.T) {
	e := newEmulated(t)
	a, err := e.app.Knock(t.Context())
	if err != nil || !a.GitHub || !a.Date.Equal(e.clock()) || !a.Here.Equal(e.clock()) {
		t.Errorf("%+v, %v", a, err)
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a proxy", http.StatusBadGateway) }))
	_, pemKey := key()
	app, err := forge.New(forge.Config{APIURL: other.URL, AppID: appID, PrivateKey: pemKey})
	e.ok(err)
	if a, err = app.Knock(t.Context()); err != nil || a.GitHub || a.Status != http.StatusBadGateway || a.Date.IsZero() {
		t.Errorf("a proxy: %+v, %v", a, err)
	}
	other.Close()
	var down *forge.UnavailableError
	if _, err = app.Knock(t.Context()); !errors.As(err, &down) {
		t.Errorf("nobody: %v", err)
	}
}

func TestTheAppIsReadAsItIsRegistered(t *testing.T) {
	e := newEmulated(t)
	r, err := e.app.Registration(t.Context())
	e.ok(err)
	if r.ID != appID || r.Slug != "rung" || r.Permissions["merge_queues"] != "read" || !slices.Contains(r.Events, "push") ||
		r.Settings != "http://github.acme.example/organizations/acme/settings/apps/rung" {
		t.Errorf("%+v", r)
	}
	list, err := e.app.Installations(t.Context())
	e.ok(err)
	if list[0].Permissions["merge_queues"] != "read" || len(list[0].Events) == 0 || list[0].Page == "" {
		t.Errorf("%+v", list[0])
	}
	h, err := e.app.Hook(t.Context())
	if err != nil || h.URL != "" || h.ContentType != "json" || h.Insecure || !h.Signed {
		t.Errorf("%+v, %v", h, err)
	}
	e.s.SetHook("form", true)
	if h, err = e.app.Hook(t.Context()); err != nil || h.ContentType != "form" || !h.Insecure {
		t.Errorf("%+v, %v", h, err)
	}
	q, err := e.client.Quota(t.Context())
	if err != nil || q.Core.Limit != 5000 || q.Core.Remaining > 5000 || q.GraphQL.Limit != 5000 || !q.Core.Reset.After(e.clock()) {
		t.Errorf("%+v, %v", q, err)
	}
	wrong := time.Hour
	e.advance(wrong)
	app, err := forge.New(forge.Config{APIURL: "http://github.acme.example/api/v3", AppID: appID, PrivateKey: must(key()), Transport: e.s.Transport(), Now: func() time.Time { return e.clock().Add(-wrong) }})
	e.ok(err)
	var refused *forge.ForbiddenError
	if _, err := app.Registration(t.Context()); !errors.As(err, &refused) {
		t.Errorf("an hour behind: %v", err)
	}
}

func must[A any](_ A, b []byte) []byte { return b }

// guardOf is the guard of a kind that a ruleset has.
func guardOf(t *testing.T, g forge.Guards, rule string) forge.Guard {
	t.Helper()
	i := slices.IndexFunc(g.Rules, func(x forge.Guard) bool { return x.Rule == rule })
	if i < 0 {
		t.Fatalf("no rule %s in %+v", rule, g)
	}
	return g.Rules[i]
}

func TestGuardsNameEachRuleAndWhetherTheAppPasses(t *testing.T) {
	e := newEmulated(t)
	e.ok(e.s.SetRules(
		shop,
		githubemu.Ruleset{
			Name: "main", Branches: []string{"main"}, RequiredReviews: 2, LinearHistory: true, SignedCommits: true, Strict: true, Methods: []string{"squash"},
			RequiredChecks: []githubemu.RequiredCheck{{Context: "rung", AppID: appID}, {Context: "ci"}},
			Bypass:         []githubemu.Bypass{{App: "rung", PullRequestOnly: true}},
		},
		githubemu.Ruleset{Name: "ledger", Branches: []string{"rung/ledger"}, RestrictUpdates: true, BlockDeletion: true, Bypass: []githubemu.Bypass{{App: "rung"}}},
		githubemu.Ruleset{Name: "off", Branches: []string{"main"}, Disabled: true, MergeQueue: true},
	))
	g, err := e.client.Guards(t.Context(), e.repo, "main")
	e.ok(err)
	pull := guardOf(t, g, forge.RulePullRequest)
	if pull.Name != "main" || pull.Page == "" || pull.Bypass != forge.BypassPulls || pull.Reviews != 2 || !slices.Equal(pull.Methods, []string{"squash"}) {
		t.Errorf("%+v", pull)
	}
	checks := guardOf(t, g, forge.RuleChecks)
	if !checks.Strict || !slices.Equal(checks.Checks, []promotion.RequiredCheck{{Name: "rung", App: appID}, {Name: "ci"}}) {
		t.Errorf("%+v", checks)
	}
	guardOf(t, g, forge.RuleSignatures)
	guardOf(t, g, forge.RuleLinear)
	if slices.ContainsFunc(g.Rules, func(x forge.Guard) bool { return x.Rule == forge.RuleMergeQueue }) || g.Hidden {
		t.Errorf("%+v", g)
	}
	g, err = e.client.Guards(t.Context(), e.repo, "rung/ledger") // which is not there
	e.ok(err)
	if update := guardOf(t, g, forge.RuleUpdate); update.Bypass != forge.BypassAlways || len(g.Rules) != 2 {
		t.Errorf("%+v", g)
	}
}

// Classic protection is put in the words of rulesets; an App that does not administer
// the repository sees the checks alone, and is told that there is more.
func TestGuardsOfClassicProtection(t *testing.T) {
	e := newEmulated(t)
	e.ok(e.s.SetRules(shop, githubemu.Ruleset{
		Protection: true, Branches: []string{"main"}, RequiredReviews: 1, SignedCommits: true, RestrictUpdates: true, Strict: true,
		RequiredChecks: []githubemu.RequiredCheck{{Context: "rung", AppID: appID}},
	}))
	g, err := e.client.Guards(t.Context(), e.repo, "main")
	e.ok(err)
	if checks := guardOf(t, g, forge.RuleChecks); !g.Hidden || len(g.Rules) != 1 || checks.Name != "branch protection" || checks.Checks[0].App != appID {
		t.Errorf("%+v", g)
	}
	all := githubemu.DefaultPermissions()
	all["administration"] = "read"
	e.ok(e.s.SetPermissions("acme", all))
	e.advance(2 * time.Hour) // a new token
	g, err = e.client.Guards(t.Context(), e.repo, "main")
	e.ok(err)
	if g.Hidden || guardOf(t, g, forge.RulePullRequest).Reviews != 1 || !guardOf(t, g, forge.RuleChecks).Strict || guardOf(t, g, forge.RuleUpdate).Bypass != forge.BypassNever {
		t.Errorf("%+v", g)
	}
	guardOf(t, g, forge.RuleSignatures)
	guardOf(t, g, forge.RuleNoForce)
}

// A refusal names the permission that is missing, who grants it and where.
func TestARefusalNamesThePermission(t *testing.T) {
	e := newEmulated(t)
	_, err := e.app.Installations(t.Context())
	e.ok(err)
	few := githubemu.DefaultPermissions()
	delete(few, "checks")
	few["contents"] = "read"
	e.ok(e.s.SetPermissions("acme", few))
	e.advance(2 * time.Hour) // a new token
	_, err = e.client.SetCheck(t.Context(), e.repo, forge.Check{Name: "rung", Head: e.head, Conclusion: "success", Title: "t", Summary: "s"}, 0)
	var denied *forge.ForbiddenError
	if !errors.As(err, &denied) || !slices.Equal(denied.Missing, []string{"checks: write"}) || denied.Account != "acme" ||
		!strings.Contains(err.Error(), "lacks the permission checks: write; an owner of acme grants it at http://github.acme.example/organizations/acme/settings/installations/") {
		t.Errorf("%v, %+v", err, denied)
	}
	if denied = e.client.Lacking(t.Context(), "contents", "write"); denied == nil || !slices.Equal(denied.Missing, []string{"contents: write"}) {
		t.Errorf("%+v", denied)
	}
	if denied = e.client.Lacking(t.Context(), "issues", "write"); denied != nil {
		t.Errorf("%+v", denied)
	}
}

// A rule that lets the App pass does not stop it, by GraphQL and over REST alike; the
// checks that it wants stay, and what GitHub does not tell stands.
func TestARuleThatLetsTheAppPassStopsNothing(t *testing.T) {
	e := newEmulated(t)
	rule := githubemu.Ruleset{
		Name: "main", Branches: []string{"main"}, RequiredReviews: 2, SignedCommits: true, LinearHistory: true, Methods: []string{"squash"},
		RequiredChecks: []githubemu.RequiredCheck{{Context: "rung", AppID: appID}}, Bypass: []githubemu.Bypass{{App: "rung", PullRequestOnly: true}},
	}
	read := func(graphQL bool) promotion.BranchRules {
		e.s.SetGraphQL(graphQL)
		state, err := e.app.Installation(e.client.ID()).Read(t.Context(), forge.Query{Repository: e.repo, Base: "main"})
		e.ok(err)
		e.advance(10 * time.Minute) // whatever was remembered is asked again
		return state.Rules
	}
	for _, graphQL := range []bool{true, false} {
		rule.Bypass = []githubemu.Bypass{{App: "rung", PullRequestOnly: true}}
		e.ok(e.s.SetRules(shop, rule))
		if r := read(graphQL); !r.Known || r.RequiredReviews != 0 || r.SignedCommits || r.LinearHistory || len(r.Methods) != 3 || !r.Pins("rung", appID) {
			t.Errorf("GraphQL %t, it passes: %+v", graphQL, r)
		}
		e.ok(e.s.SetRules(shop, rule, githubemu.Ruleset{Name: "reviews", Branches: []string{"main"}, RequiredReviews: 1}))
		if r := read(graphQL); r.RequiredReviews != 1 || r.SignedCommits {
			t.Errorf("GraphQL %t, another rule stands: %+v", graphQL, r)
		}
		rule.Bypass = []githubemu.Bypass{{Person: "ann"}}
		e.ok(e.s.SetRules(shop, rule))
		if r := read(graphQL); r.RequiredReviews != 2 || !r.SignedCommits || !r.LinearHistory || !slices.Equal(r.Methods, []string{"squash"}) {
			t.Errorf("GraphQL %t, somebody else passes: %+v", graphQL, r)
		}
	}
}

// Which rules let the App pass is asked only where one could stop it, and not each time.
func TestWhoPassesIsAskedSeldom(t *testing.T) {
	e := newEmulated(t)
	asked := func() int {
		e.t.Helper()
		n := 0
		for route, count := range e.app.Counts() {
			if strings.Contains(route.Class, "rulesets") {
				n += int(count)
			}
		}
		return n
	}
	e.ok(e.s.SetRules(shop, githubemu.Ruleset{Name: "checks", Branches: []string{"main"}, RequiredChecks: []githubemu.RequiredCheck{{Context: "rung", AppID: appID}}}))
	e.read()
	if n := asked(); n != 0 {
		t.Errorf("asked %d times where no rule could stop it", n)
	}
	e.ok(e.s.SetRules(shop, githubemu.Ruleset{Name: "reviews", Branches: []string{"main"}, RequiredReviews: 1}))
	for range 3 {
		e.read()
	}
	if n := asked(); n != 1 {
		t.Errorf("asked %d times within a minute", n)
	}
	e.advance(2 * time.Minute)
	e.read()
	if n := asked(); n != 2 {
		t.Errorf("asked %d times in all", n)
	}
}
