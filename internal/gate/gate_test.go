package gate_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	pass    = promotion.StatusPass
	fail    = promotion.StatusFail
	pending = promotion.StatusPending
	unknown = promotion.StatusUnknown

	ourApp = 99
)

var (
	now    = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	digest = promotion.Digest("sha256:" + strings.Repeat("6e", 32))
	other  = promotion.Digest("sha256:" + strings.Repeat("00", 32))
	head   = promotion.Hash("1a2b3c4d5e6f" + strings.Repeat("0", 28))
	value  = promotion.Value{Version: "1.4.2", Digest: digest}
	alice  = promotion.Person{ID: 11, Login: "alice"}
	argocd = promotion.HealthSource{Status: "argocd/checkout", Interval: 20 * time.Second}
)

// facts is a promotion of checkout 1.4.2 from staging into prod-eu that every
// plain gate passes.
func facts() *promotion.Facts {
	return &promotion.Facts{
		Version: promotion.FactsVersion, Now: now, Kind: promotion.KindPromotion, Mode: promotion.ModeMerge,
		Environment: promotion.EnvironmentSpec{Name: "prod-eu", Path: "environments/prod-eu", After: []promotion.Environment{"staging"}, Method: "merge"},
		Artifact:    promotion.ArtifactFacts{Name: "checkout", Version: "1.4.2", Digest: digest},
		Predecessors: []promotion.PredecessorFacts{{
			Environment: "staging", Live: value, Landed: now.Add(-time.Hour),
			Settled: promotion.SettledGood, SettledAt: now.Add(-time.Minute), SoakEnds: now.Add(-time.Minute),
			Health: []promotion.HealthReading{{Source: argocd, Status: pass, At: now}},
		}},
		PullRequest: &promotion.PullRequestFacts{
			Number: 7, Head: head, Ours: true, Mergeable: "mergeable", ChecksComplete: true,
			Checks: []promotion.CheckFacts{{Name: "build", App: 15368, State: "success", At: now}},
		},
		Rules: promotion.BranchRules{Known: true, RequiredChecks: []promotion.RequiredCheck{{Name: "build", App: 15368}, {Name: "rung", App: ourApp}}, Methods: []string{"merge", "squash"}},
	}
}

// row is one case of a gate: what is changed in facts(), and what it says.
type row struct {
	name   string
	change func(f *promotion.Facts)
	status promotion.Status
	says   string
	look   time.Time
}

func table(t *testing.T, id string, judge func(*promotion.Facts) promotion.Verdict, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			f := facts()
			if r.change != nil {
				r.change(f)
			}
			v := judge(f)
			if v.Status != r.status || !strings.Contains(v.Sentence, r.says) || v.Gate != id {
				t.Errorf("%s %s: %s\nwant %s: %s", v.Gate, v.Status, v.Sentence, r.status, r.says)
			}
			if !v.Look.Equal(r.look) {
				t.Errorf("look %s, want %s", v.Look, r.look)
			}
		})
	}
}

func TestHold(t *testing.T) {
	table(t, gate.IDHold, gate.Hold, []row{
		{"nothing", nil, pass, "nothing outside the gates holds it", time.Time{}},
		{"a reason", func(f *promotion.Facts) { f.Holds = []string{"the ledger was reset; restore it"} }, unknown, "held: the ledger was reset; restore it", time.Time{}},
		{"many reasons", func(f *promotion.Facts) { f.Holds = []string{"a", "b", "c", "d", "e"} }, unknown, "held: a; b; c; and 2 more", time.Time{}},
		{"another version", func(f *promotion.Facts) { f.Version = 2 }, unknown, "version 2", time.Time{}},
		{"another kind", func(f *promotion.Facts) { f.Kind = "teleport" }, unknown, `"teleport" is neither`, time.Time{}},
		{"no time", func(f *promotion.Facts) { f.Now = time.Time{} }, unknown, "no time", time.Time{}},
	})
}

func TestPredecessor(t *testing.T) {
	p := func(change func(p *promotion.PredecessorFacts)) func(*promotion.Facts) {
		return func(f *promotion.Facts) { change(&f.Predecessors[0]) }
	}
	reading := func(s promotion.Status) func(*promotion.Facts) {
		return p(func(p *promotion.PredecessorFacts) {
			p.Health = append(p.Health, promotion.HealthReading{Source: promotion.HealthSource{HTTP: "https://checkout.example/healthz"}, Status: s, Detail: "503", Since: now.Add(-10 * time.Minute)})
		})
	}
	table(t, gate.IDPredecessor, gate.Predecessor, []row{
		{"settled good", nil, pass, "1.4.2 settled good in staging", time.Time{}},
		{"a first environment", func(f *promotion.Facts) { f.Predecessors, f.Environment.After = nil, nil }, pass, "prod-eu is a first environment", time.Time{}},
		{"passed through", func(f *promotion.Facts) { f.Predecessors = nil }, pass, "no environment before prod-eu names checkout", time.Time{}},
		{"not landed", p(func(p *promotion.PredecessorFacts) {
			*p = promotion.PredecessorFacts{Environment: "staging", Live: promotion.Value{Version: "1.4.1", Digest: other}}
		}), pending, "staging runs 1.4.1; 1.4.2 has not landed there yet", time.Time{}},
		{"the same version with another digest", p(func(p *promotion.PredecessorFacts) {
			*p = promotion.PredecessorFacts{Environment: "staging", Live: promotion.Value{Version: "1.4.2", Digest: other}}
		}), pending, "staging runs 1.4.2 as sha256:000000000000; 1.4.2 has not landed there yet", time.Time{}},
		{
			"nothing runs there", p(func(p *promotion.PredecessorFacts) { *p = promotion.PredecessorFacts{Environment: "staging"} }),
			pending, "staging does not run checkout yet",
			time.Time{},
		},
		{
			"soaking", p(func(p *promotion.PredecessorFacts) { p.Settled, p.SoakEnds = "", now.Add(33*time.Minute) }),
			pending, "staging soaks 1.4.2 until 12:33 UTC", now.Add(33 * time.Minute),
		},
		{
			"soaking into tomorrow", p(func(p *promotion.PredecessorFacts) { p.Settled, p.SoakEnds = "", now.Add(24*time.Hour) }),
			pending, "staging soaks 1.4.2 until 2026-11-21 12:00 UTC", now.Add(24 * time.Hour),
		},
		{
			"good, but the soak began again", p(func(p *promotion.PredecessorFacts) { p.SoakEnds = now.Add(time.Minute) }),
			pending, "staging soaks", now.Add(time.Minute),
		},
		{"not settled after its soak", p(func(p *promotion.PredecessorFacts) { p.Settled = "" }), pending, "staging is still verifying 1.4.2", now.Add(30 * time.Second)},
		{"bad", p(func(p *promotion.PredecessorFacts) { p.Settled = promotion.SettledBad }), fail, "1.4.2 settled bad in staging at 11:59 UTC; publish a newer version", time.Time{}},
		{"inconclusive", p(func(p *promotion.PredecessorFacts) { p.Settled = promotion.SettledInconclusive }), unknown, "ended without an answer", time.Time{}},
		{"a word nobody knows", p(func(p *promotion.PredecessorFacts) { p.Settled = "splendid" }), unknown, `settled "splendid"`, time.Time{}},
		{"unhealthy now", reading(fail), fail, "staging runs 1.4.2, but https://checkout.example/healthz fails since 11:50 UTC (503)", now.Add(30 * time.Second)},
		{"unreachable now", reading(unknown), unknown, "can't tell whether it is healthy (503)", now.Add(30 * time.Second)},
		{"silent now", reading(pending), pending, "has not said yet", now.Add(30 * time.Second)},
		{"a reading nobody knows", reading("fine"), unknown, "can't tell", now.Add(30 * time.Second)},
		{"unhealthy, but another version runs", func(f *promotion.Facts) {
			reading(fail)(f)
			f.Predecessors[0].Live = promotion.Value{Version: "1.5.0", Digest: other}
		}, pass, "settled good", time.Time{}},
		{"no digest", func(f *promotion.Facts) { f.Artifact.Digest = "" }, unknown, "the digest of 1.4.2 is not known", time.Time{}},
		{"one of two", func(f *promotion.Facts) {
			f.Predecessors = append(f.Predecessors, promotion.PredecessorFacts{Environment: "canary", Live: promotion.Value{Version: "1.4.1", Digest: other}})
		}, pending, "canary runs 1.4.1", time.Time{}},
		{"both", func(f *promotion.Facts) {
			f.Predecessors = append(f.Predecessors, f.Predecessors[0])
		}, pass, "1.4.2 settled good in all 2 environments", time.Time{}},
		{"a rollback", func(f *promotion.Facts) {
			f.Kind, f.Predecessors[0].Settled = promotion.KindRollback, promotion.SettledBad
		}, pass, "waits for no other", time.Time{}},
	})
}

func TestQuarantine(t *testing.T) {
	bar := &promotion.Bar{Scope: string(digest), Reason: "loses orders", By: alice, At: now.Add(-time.Hour)}
	table(t, gate.IDQuarantine, gate.Quarantine, []row{
		{"none", nil, pass, "not quarantined", time.Time{}},
		{"barred", func(f *promotion.Facts) { f.Quarantined = bar }, fail, "1.4.2 is quarantined since 11:00 UTC by alice (loses orders); /unquarantine", time.Time{}},
		{"barred for a rollback", func(f *promotion.Facts) { f.Quarantined, f.Kind = bar, promotion.KindRollback }, fail, "is quarantined", time.Time{}},
		{"no time lifts it", func(f *promotion.Facts) {
			b := *bar
			b.Until = now.Add(-time.Minute)
			f.Quarantined = &b
		}, fail, "is quarantined", time.Time{}},
		{"no digest", func(f *promotion.Facts) { f.Artifact.Digest = "" }, unknown, "not known", time.Time{}},
	})
}

func TestFreeze(t *testing.T) {
	with := func(bars ...promotion.Bar) func(*promotion.Facts) {
		return func(f *promotion.Facts) { f.Freezes = bars }
	}
	end := now.Add(2 * time.Hour)
	table(t, gate.IDFreeze, gate.Freeze, []row{
		{"none", nil, pass, "nothing is frozen", time.Time{}},
		{"until lifted", with(promotion.Bar{Scope: "prod-eu", Reason: "audit", By: alice}), pending, "prod-eu is frozen until /unfreeze by alice (audit)", time.Time{}},
		{"held", with(promotion.Bar{Scope: "prod-eu/checkout", By: alice}), pending, "prod-eu/checkout is frozen until /resume by alice", time.Time{}},
		{"the repository", with(promotion.Bar{Scope: "+all", By: alice}), pending, "the whole repository is frozen", time.Time{}},
		{"until a time", with(promotion.Bar{Scope: "prod-eu", Until: end, By: alice}), pending, "prod-eu is frozen until 14:00 UTC by alice", end},
		{"the time has come", with(promotion.Bar{Scope: "prod-eu", Until: now, By: alice}), pass, "nothing is frozen", time.Time{}},
		{"the later of two ends", with(promotion.Bar{Scope: "+all", Until: now.Add(time.Hour)}, promotion.Bar{Scope: "prod-eu", Until: end}), pending, "; prod-eu", end},
		{"one has no end", with(promotion.Bar{Scope: "+all", Until: end}, promotion.Bar{Scope: "prod-eu"}), pending, "somebody unknown", time.Time{}},
		{"a rollback", func(f *promotion.Facts) {
			f.Kind, f.Freezes = promotion.KindRollback, []promotion.Bar{{Scope: "+all"}}
		}, pass, "a rollback goes through", time.Time{}},
	})
}

func TestHead(t *testing.T) {
	pr := func(change func(p *promotion.PullRequestFacts)) func(*promotion.Facts) {
		return func(f *promotion.Facts) { change(f.PullRequest) }
	}
	soon := now.Add(2 * time.Second)
	table(t, gate.IDHead, gate.Head, []row{
		{"ours", nil, pass, "head 1a2b3c4d5e6f is what rung made", time.Time{}},
		{"not open", func(f *promotion.Facts) { f.PullRequest = nil }, pending, "not open yet", time.Time{}},
		{"edited by hand", pr(func(p *promotion.PullRequestFacts) { p.Ours, p.HeadProblem = false, "bob pushed 2 commits" }), fail, "is not what rung made: bob pushed 2 commits; take the commits off", time.Time{}},
		{"not ours, nobody says why", pr(func(p *promotion.PullRequestFacts) { p.Ours = false }), fail, "somebody else committed", time.Time{}},
		{"a draft", pr(func(p *promotion.PullRequestFacts) { p.Draft = true }), pending, "#7 is a draft; mark it ready", time.Time{}},
		{"conflicting", pr(func(p *promotion.PullRequestFacts) { p.Mergeable = "conflicting" }), pending, "rung rebuilds it", time.Time{}},
		{"not known yet", pr(func(p *promotion.PullRequestFacts) { p.Mergeable = "unknown" }), pending, "has not said yet", soon},
		{"a new word", pr(func(p *promotion.PullRequestFacts) { p.Mergeable = "quantum" }), pending, "has not said yet", soon},
		{"no head", pr(func(p *promotion.PullRequestFacts) { p.Head, p.Ours = "", false }), unknown, "head of #7 is not known", soon},
		{"a head that is on its way", pr(func(p *promotion.PullRequestFacts) { p.Head = "" }), pending, "is being pushed", soon},
	})
}

func TestChecks(t *testing.T) {
	judge := func(f *promotion.Facts) promotion.Verdict { return gate.Checks(f, ourApp) }
	state := func(s string) func(*promotion.Facts) {
		return func(f *promotion.Facts) { f.PullRequest.Checks[0].State = s }
	}
	checks := func(c ...promotion.CheckFacts) func(*promotion.Facts) {
		return func(f *promotion.Facts) { f.PullRequest.Checks = c }
	}
	build := func(state string, at time.Duration) promotion.CheckFacts {
		return promotion.CheckFacts{Name: "build", App: 15368, State: state, At: now.Add(at)}
	}
	later := now.Add(time.Minute)
	table(t, gate.IDChecks, judge, []row{
		{"green", nil, pass, "the required check build is green", time.Time{}},
		{"none required but ours", func(f *promotion.Facts) { f.Rules.RequiredChecks = f.Rules.RequiredChecks[1:] }, pass, "requires no other check", time.Time{}},
		{"ours from any App", func(f *promotion.Facts) { f.Rules.RequiredChecks = []promotion.RequiredCheck{{Name: "rung"}} }, pass, "requires no other check", time.Time{}},
		{"ours pinned to another App", func(f *promotion.Facts) { f.Rules.RequiredChecks = []promotion.RequiredCheck{{Name: "rung", App: 5}} }, pending, "wants rung from App 5, but this rung is App 99", time.Time{}},
		{"absent", checks(), pending, "build has not reported on this head yet", time.Time{}},
		{"another's name", checks(promotion.CheckFacts{Name: "Build", App: 15368, State: "success"}), pending, "build has not reported", time.Time{}},
		{"from another App", checks(promotion.CheckFacts{Name: "build", App: 666, State: "success", At: now}), pending, "not by App 15368", time.Time{}},
		{"a status instead of a check run", checks(promotion.CheckFacts{Name: "build", State: "success", At: now}), pending, "not by App 15368", time.Time{}},
		{"from another App and the right one", checks(promotion.CheckFacts{Name: "build", App: 666, State: "failure", At: now}, build("success", 0)), pass, "green", time.Time{}},
		{"queued", state("queued"), pending, "build is still running", time.Time{}},
		{"in progress", state("in_progress"), pending, "build is still running", time.Time{}},
		{"pending", state("pending"), pending, "build is still running", time.Time{}},
		{"skipped", state("skipped"), pending, "build was skipped, which is not a pass", time.Time{}},
		{"neutral", state("neutral"), pending, "build was neutral, which is not a pass", time.Time{}},
		{"stale", state("stale"), pending, `build is "stale"`, time.Time{}},
		{"a new word", state("glorious"), pending, `build is "glorious", which is not a pass`, time.Time{}},
		{"no word", state(""), pending, "which is not a pass", time.Time{}},
		{"success in capitals", state("SUCCESS"), pending, "not a pass", time.Time{}},
		{"action required", state("action_required"), pending, "waits for somebody", time.Time{}},
		{"failure", state("failure"), fail, "build failed (failure)", time.Time{}},
		{"error", state("error"), fail, "build failed (error)", time.Time{}},
		{"timed out", state("timed_out"), fail, "build failed", time.Time{}},
		{"cancelled", state("cancelled"), fail, "build failed", time.Time{}},
		{"run again", checks(build("success", -time.Minute), build("in_progress", 0)), pending, "still running", time.Time{}},
		{"run again, listed first", checks(build("in_progress", 0), build("success", -time.Minute)), pending, "still running", time.Time{}},
		{"failed first, then green", checks(build("failure", -time.Minute), build("success", 0)), pass, "green", time.Time{}},
		{"two at one instant", checks(build("success", 0), build("failure", 0)), fail, "build failed", time.Time{}},
		{"any App: all must be green", func(f *promotion.Facts) {
			f.Rules.RequiredChecks = []promotion.RequiredCheck{{Name: "build"}}
			f.PullRequest.Checks = append(f.PullRequest.Checks, promotion.CheckFacts{Name: "build", State: "failure"})
		}, fail, "build failed", time.Time{}},
		{"several", func(f *promotion.Facts) {
			f.Rules.RequiredChecks = append(f.Rules.RequiredChecks, promotion.RequiredCheck{Name: "lint"}, promotion.RequiredCheck{Name: "e2e"})
		}, pending, "lint has not reported on this head yet; e2e has not", time.Time{}},
		{"rules not known", func(f *promotion.Facts) { f.Rules.Known = false }, unknown, "rules could not be read", later},
		{"checks not whole", func(f *promotion.Facts) { f.PullRequest.ChecksComplete = false }, unknown, "could not be read whole", later},
		{"not open", func(f *promotion.Facts) { f.PullRequest = nil }, pending, "not open yet", time.Time{}},
	})
}

func TestRules(t *testing.T) {
	review := func(state string, by promotion.Person) promotion.ReviewFacts {
		return promotion.ReviewFacts{Author: by, State: state, Commit: head}
	}
	needs := func(n int, reviews ...promotion.ReviewFacts) func(*promotion.Facts) {
		return func(f *promotion.Facts) { f.Rules.RequiredReviews, f.PullRequest.Reviews = n, reviews }
	}
	bob := promotion.Person{ID: 12, Login: "bob"}
	reader := review("approved", bob)
	reader.Access = &promotion.Access{Permission: "read"}
	rules := func(f *promotion.Facts) promotion.Verdict { return gate.Rules(f, ourApp) }
	protected := func(required ...promotion.RequiredCheck) func(*promotion.Facts) {
		return func(f *promotion.Facts) { f.Environment.Protected, f.Rules.RequiredChecks = true, required }
	}
	table(t, gate.IDRules, rules, []row{
		{"protected", protected(promotion.RequiredCheck{Name: "ci", App: 5}, promotion.RequiredCheck{Name: promotion.CheckName, App: ourApp}), pass, "let it", time.Time{}},
		{"protected without rules", protected(), fail, "prod-eu is protected, and the base branch does not require the check rung: require the check rung with the rung App as its source in the branch's rules, or take protected: true out of rung.yaml", now.Add(time.Minute)},
		{"protected by another check", protected(promotion.RequiredCheck{Name: "ci", App: ourApp}), fail, "does not require the check rung", now.Add(time.Minute)},
		{"protected by anybody", protected(promotion.RequiredCheck{Name: promotion.CheckName}), fail, "takes the check rung from any App", now.Add(time.Minute)},
		{"protected by somebody else", protected(promotion.RequiredCheck{Name: promotion.CheckName, App: 5}), fail, "takes the check rung from the App 5", now.Add(time.Minute)},
		{"protected where people merge", func(f *promotion.Facts) { protected()(f); f.Mode = promotion.ModePropose }, fail, "is protected", now.Add(time.Minute)},
		{"the way back out of what is not protected any more", func(f *promotion.Facts) { protected()(f); f.Kind = promotion.KindRollback }, pass, "let it", time.Time{}},
		{"nothing stops it", nil, pass, "let it be merged", time.Time{}},
		{"not known", func(f *promotion.Facts) { f.Rules.Known = false }, unknown, "could not be read", now.Add(time.Minute)},
		{"a review is required", needs(1), pending, "the base branch requires 1 approving review and has 0; an App can't approve its own pull request", time.Time{}},
		{"and says how", needs(2, review("approved", alice)), pending, "2 approving reviews and has 1; an App can't approve its own pull request: approve it on GitHub, or move reviews from the branch rule to approvals in rung.yaml, or put the rung App in the ruleset's bypass list", time.Time{}},
		{"a review before it is open", func(f *promotion.Facts) { f.Rules.RequiredReviews, f.PullRequest = 1, nil }, pending, "has 0", time.Time{}},
		{"it was given", needs(1, review("approved", alice), review("commented", alice)), pass, "let it", time.Time{}},
		{"twice by one person", needs(2, review("approved", alice), review("approved", alice)), pending, "has 1", time.Time{}},
		{"dismissed", needs(1, review("approved", alice), review("dismissed", alice)), pending, "has 0", time.Time{}},
		{"by a reader", needs(1, reader), pending, "has 0", time.Time{}},
		{"by a bot", needs(1, review("approved", promotion.Person{ID: 3, Login: "dep[bot]", Bot: true})), pending, "has 0", time.Time{}},
		{"changes requested", needs(1, review("approved", alice), review("changes_requested", bob)), pending, "bob requested changes", time.Time{}},
		{"signed commits", func(f *promotion.Facts) { f.Rules.SignedCommits = true }, fail, `rule "Require signed commits" takes only what GitHub can verify, and it can't know rung's signing key; write commits: github in rung.yaml`, time.Time{}},
		{"signed commits that GitHub makes", func(f *promotion.Facts) {
			f.Rules.SignedCommits, f.Commits = true, promotion.CommitsGitHub
		}, pass, "", time.Time{}},
		{"linear history", func(f *promotion.Facts) { f.Rules.LinearHistory = true }, fail, "write merge: squash for prod-eu", time.Time{}},
		{"linear history and squash", func(f *promotion.Facts) { f.Rules.LinearHistory, f.Environment.Method = true, "squash" }, pass, "let it", time.Time{}},
		{"no method is merge", func(f *promotion.Facts) { f.Rules.LinearHistory, f.Environment.Method = true, "" }, fail, "linear history", time.Time{}},
		{"a merge queue", func(f *promotion.Facts) { f.Rules.MergeQueue = true }, fail, "merge queue", time.Time{}},
		{"a method that is off", func(f *promotion.Facts) { f.Rules.Methods = []string{"rebase", "squash"} }, fail, "does not allow the merge method merge of prod-eu, but rebase, squash; write merge: squash", time.Time{}},
		{"people merge", func(f *promotion.Facts) {
			f.Mode, f.Rules.MergeQueue, f.Rules.SignedCommits, f.Rules.LinearHistory = promotion.ModePropose, true, true, true
		}, pass, "let it", time.Time{}},
	})
}

func TestTheGatesOfAKind(t *testing.T) {
	ids := func(vs []promotion.Verdict) string {
		var out []string
		for _, v := range vs {
			out = append(out, v.Gate)
		}
		return strings.Join(out, " ")
	}
	f := facts()
	if got := ids(gate.Judge(f, ourApp)); got != "hold predecessor quarantine freeze head checks rules" {
		t.Errorf("forward: %s", got)
	}
	if vs := gate.Judge(f, ourApp); !promotion.Passed(vs) {
		t.Errorf("%+v", vs)
	}
	f.Kind = promotion.KindRollback
	if got := ids(gate.Judge(f, ourApp)); got != "hold quarantine head checks rules" {
		t.Errorf("rollback: %s", got)
	}
}

func TestTextsFromOutsideAreBounded(t *testing.T) {
	f := facts()
	long := strings.Repeat("é\x00\n", 100_000)
	f.Holds = []string{long}
	f.Quarantined = &promotion.Bar{Reason: long, By: promotion.Person{Login: long}}
	f.Freezes = []promotion.Bar{{Scope: long, Reason: long}}
	f.PullRequest.Ours, f.PullRequest.HeadProblem = false, long
	f.PullRequest.Checks[0].State = long
	f.Predecessors[0].Health[0] = promotion.HealthReading{Status: fail, Detail: long, Source: promotion.HealthSource{HTTP: long}}
	f.Rules.Methods = []string{long}
	for _, v := range gate.Judge(f, ourApp) {
		if len(v.Sentence) > 2000 || strings.ContainsAny(v.Sentence, "\x00\n") || v.Status == pass {
			t.Errorf("%s %s: %d bytes", v.Gate, v.Status, len(v.Sentence))
		}
		for _, e := range v.Evidence {
			if len(e.Value) > 1000 || len(e.Name) > 1000 {
				t.Errorf("%s: evidence of %d bytes", v.Gate, len(e.Value))
			}
		}
	}
}

// Judging twice gives the same, judging changes nothing, and whatever is not
// known never passes.
func TestJudgeIsPure(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := anyFacts(rt)
		copied := *f
		first := gate.Judge(f, ourApp)
		if !reflect.DeepEqual(first, gate.Judge(f, ourApp)) || !reflect.DeepEqual(copied, *f) {
			rt.Fatal("judging the same facts twice differs")
		}
		for _, v := range first {
			if v.Sentence == "" {
				rt.Fatalf("%s says nothing", v.Gate)
			}
			if !v.Look.IsZero() && !v.Look.After(f.Now) {
				rt.Fatalf("%s looks again in the past", v.Gate)
			}
			if v.Status == pass && (f.Quarantined != nil && v.Gate == gate.IDQuarantine ||
				!f.Rules.Known && (v.Gate == gate.IDRules || v.Gate == gate.IDChecks) ||
				len(f.Holds) > 0 && v.Gate == gate.IDHold ||
				f.PullRequest == nil && (v.Gate == gate.IDHead || v.Gate == gate.IDChecks)) {
				rt.Fatalf("%s passes: %s", v.Gate, v.Sentence)
			}
		}
	})
}

// anyFacts draws facts around those that pass.
func anyFacts(rt *rapid.T) *promotion.Facts {
	f := facts()
	word := func(label string, words ...string) string { return rapid.SampledFrom(words).Draw(rt, label) }
	f.Kind = word("kind", promotion.KindPromotion, promotion.KindRollback, "")
	f.Rules.Known = rapid.Bool().Draw(rt, "known")
	f.Rules.RequiredReviews = rapid.IntRange(-1, 2).Draw(rt, "reviews")
	f.Rules.LinearHistory = rapid.Bool().Draw(rt, "linear")
	if rapid.Bool().Draw(rt, "held") {
		f.Holds = []string{"x"}
	}
	if rapid.Bool().Draw(rt, "barred") {
		f.Quarantined = &promotion.Bar{Scope: string(digest)}
	}
	for range rapid.IntRange(0, 2).Draw(rt, "freezes") {
		f.Freezes = append(f.Freezes, promotion.Bar{Scope: word("scope", "+all", "prod-eu", "prod-eu/checkout"), Until: now.Add(time.Duration(rapid.IntRange(-5, 5).Draw(rt, "until")) * time.Minute)})
	}
	f.Predecessors[0].Settled = word("settled", "good", "bad", "inconclusive", "", "odd")
	f.Predecessors[0].SoakEnds = now.Add(time.Duration(rapid.IntRange(-5, 5).Draw(rt, "soak")) * time.Minute)
	f.Predecessors[0].Health[0].Status = promotion.Status(word("health", "pass", "fail", "pending", "unknown", "odd"))
	f.PullRequest.Ours = rapid.Bool().Draw(rt, "ours")
	f.PullRequest.Mergeable = word("mergeable", "mergeable", "conflicting", "unknown", "")
	f.PullRequest.ChecksComplete = rapid.Bool().Draw(rt, "whole")
	f.PullRequest.Checks = append(f.PullRequest.Checks, promotion.CheckFacts{
		Name: word("check", "build", "rung"), App: int64(rapid.SampledFrom([]int{0, 15368, ourApp}).Draw(rt, "app")),
		State: word("state", "success", "failure", "pending", "skipped", "odd"), At: now.Add(time.Duration(rapid.IntRange(-1, 1).Draw(rt, "at")) * time.Minute),
	})
	if rapid.Bool().Draw(rt, "unopened") {
		f.PullRequest = nil
	}
	return f
}
