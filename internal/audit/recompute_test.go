package audit

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/gate/approval"
	"github.com/rungbot/rung/internal/gate/health"
	"github.com/rungbot/rung/internal/gate/policy"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

const noOnes = `apiVersion: json.kyverno.io/v1alpha1
kind: ValidatingPolicy
metadata: {name: no-ones}
spec:
  rules:
    - name: no-ones
      assert:
        all:
          - message: 1.1.0 is refused
            check:
              artifact:
                (version != '1.1.0'): true
`

// past is a repository whose records keep what they were judged from.
type past struct {
	*world
	set policy.Set
	p   *promotion.Pipeline
}

// newPast has a sample policy everywhere, two approvals for staging, and a health
// source in dev. deny adds a policy to prod that refuses 1.1.0.
func newPast(t testing.TB) *past {
	t.Helper()
	sample, err := os.ReadFile("../../policies/digest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.start()
	text := strings.NewReplacer(
		"staging: {after: [dev]}", "staging: {after: [dev], approvals: {required: 2}}",
		"dev: {}", "dev: {soak: 5m, health: [{http: 'https://dev.example.com/healthz'}]}",
	).Replace(rungYAML) + "policies: {all: [policies/digest.yaml], staging: [policies/no-ones.yaml]}\n"
	files := map[string]string{"rung.yaml": text, "policies/digest.yaml": string(sample), "policies/no-ones.yaml": noOnes}
	from := w.base
	w.hand("rules", files)
	w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{From: from, To: w.base}})
	result := pipeline.Load(map[string][]byte{"rung.yaml": []byte(text)}, pipeline.Options{PolicyFiles: []string{"policies/digest.yaml", "policies/no-ones.yaml"}})
	if result.Pipeline == nil {
		t.Fatal(result.Problems)
	}
	set, problems := policy.Compile(map[string][]byte{"policies/digest.yaml": sample, "policies/no-ones.yaml": []byte(noOnes)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return &past{world: w, set: set, p: result.Pipeline}
}

// judge fills a record as decide would: from facts that are true, but for what edit
// makes of them.
func (w *past) judge(r *promotion.Record, edit func(*promotion.Facts)) {
	env, _ := w.p.Environment(r.Environment)
	r.Base.Judged = w.base
	f := promotion.Facts{
		Version: promotion.FactsVersion, Now: w.now, Kind: r.Promotes(), Repository: promotion.Repository{ID: identity.Repository, Owner: "acme", Name: "deploy"},
		Mode: w.p.Mode, Environment: *env, Artifact: promotion.ArtifactFacts{Name: r.Artifact.Name, Image: w.p.Artifacts[1].Image, Version: r.Artifact.Version, Digest: r.Artifact.Digest},
		Places: r.Places, Base: r.Base.Judged, Causers: r.Causers, Rules: promotion.BranchRules{Known: true},
		PullRequest: &promotion.PullRequestFacts{Number: r.PullRequest.Number, Head: r.PullRequest.Head, Ours: true, Mergeable: "mergeable", ChecksComplete: true},
	}
	for _, p := range []promotion.Person{alice, bob} {
		f.PullRequest.Reviews = append(f.PullRequest.Reviews, promotion.ReviewFacts{
			ID: p.ID, Author: p, State: "approved", Commit: r.PullRequest.Head, At: w.now, Access: &promotion.Access{Permission: "write"},
		})
	}
	if r.From != nil {
		live := w.state.Live[promotion.Pair{Environment: r.From.Environment, Artifact: r.Artifact.Name}]
		f.Predecessors = []promotion.PredecessorFacts{{Environment: r.From.Environment, Landed: live.Land.Record.IssuedAt, Settled: promotion.SettledGood}}
	}
	if edit != nil {
		edit(&f)
	}
	f = f.Canonical()
	j := gate.Panel{Policy: w.set.Judge, Approval: approval.Judge, App: identity.App}.Judge(&f)
	r.Gates = nil
	for _, v := range j.Verdicts {
		r.Gates = append(r.Gates, promotion.RecordGate{Gate: v.Gate, Status: v.Status, Sentence: v.Sentence, ObservedAt: f.Now})
	}
	r.Policies, r.Approvals, r.Facts = j.Policies, j.Approvals, f.Keep()
}

// passing says of an authorize what its author wishes: that every gate passed.
func passing(r *promotion.Record) {
	for i := range r.Gates {
		r.Gates[i].Status = promotion.StatusPass
	}
	for i := range r.Policies {
		for n := range r.Policies[i].Rules {
			r.Policies[i].Rules[n].Status = promotion.StatusPass
		}
	}
}

// climb brings a version to dev, settles it there, and on to staging, with what the
// records of staging say edited.
func (w *past) climb(version string, authorize func(*promotion.Record), landed func(*promotion.Record)) {
	dev := pair("dev", "checkout")
	cites := func(more func(*promotion.Record)) func(*promotion.Record) {
		return func(r *promotion.Record) {
			r.Authorized, r.Facts = w.state.Open[pair(string(r.Environment), "checkout")].Statement, nil
			if more != nil {
				more(r)
			}
		}
	}
	w.promote(ride{pair: dev, version: version, record: func(r *promotion.Record) { r.Causers = []promotion.Person{carol} }, authorize: func(r *promotion.Record) { w.judge(r, nil) }, landed: cites(nil)})
	w.verified(dev, nil)
	w.promote(ride{
		pair: pair("staging", "checkout"), version: version, from: "dev", record: func(r *promotion.Record) { r.Causers = []promotion.Person{carol} },
		authorize: authorize, landed: cites(landed),
	})
}

// verified settles what is live, judged from what its health source said.
func (w *past) verified(p promotion.Pair, edit func(*promotion.Record)) {
	live := w.state.Live[p].Land.Record
	env, _ := w.p.Environment(p.Environment)
	r := promotion.Record{Kind: promotion.RecordSettle, Environment: p.Environment, Artifact: live.Artifact}
	win := &promotion.RecordWindow{Began: live.IssuedAt, Ended: live.IssuedAt.Add(6 * time.Minute), Soak: env.Soak}
	for _, s := range env.Health {
		win.Readings = append(win.Readings, promotion.HealthReading{Source: s, Status: promotion.StatusPass, At: win.Ended, Since: win.Began.Add(30 * time.Second)})
	}
	r.Outcome, _ = health.Settle(*env, p.Artifact, win.Began, win.Ended, win.Readings)
	r.Window = win
	if edit != nil {
		edit(&r)
	}
	w.now = win.Ended
	w.append("", r)
}

// TestAnHonestPastRecomputesTheSame, with what is not kept counted.
func TestAnHonestPastRecomputesTheSame(t *testing.T) {
	w := newPast(t)
	w.climb("1.2.0", func(r *promotion.Record) { w.judge(r, nil) }, nil)
	w.settle(pair("staging", "checkout"), promotion.SettledGood) // keeps no window
	w.promote(ride{pair: pair("dev", "checkout"), version: "1.3.0", authorize: func(r *promotion.Record) {
		w.judge(r, nil)
		r.FactsDigest, r.Facts = "sha256:"+strings.Repeat("0", 64), nil // too large
	}, landed: func(r *promotion.Record) { r.Authorized = w.state.Open[pair("dev", "checkout")].Statement }})
	w.promote(ride{pair: pair("prod", "cart"), version: "1.3.0", onlyOpen: true, authorize: func(r *promotion.Record) {
		w.judge(r, nil)
		r.Facts.Version = promotion.FactsVersion + 1
	}})
	report, found := w.push().verify(Options{Recompute: true})
	if found != "" || report.ExitCode() != 0 {
		t.Fatal(found, show(report))
	}
	if got := *report.Recomputed; got != (Recomputed{Same: 3, NotKept: 2, NotJudged: 1}) {
		t.Errorf("%+v", got)
	}
	if plain, found := w.verify(Options{}); plain.Recomputed != nil || found != "" {
		t.Error("judged again without being asked", found)
	}
}

// TestForgedJudgementsAreFound: each says something that its facts don't, or keeps
// facts that the ledger belies.
func TestForgedJudgementsAreFound(t *testing.T) {
	staging := pair("staging", "checkout")
	honest := func(w *past, edit func(*promotion.Facts)) func(*promotion.Record) {
		return func(r *promotion.Record) { w.judge(r, edit) }
	}
	for name, c := range map[string]struct {
		want string
		do   func(w *past)
	}{
		"a forged verdict": {"VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", func(r *promotion.Record) {
				w.judge(r, nil)
				r.Facts.PullRequest.Mergeable = "conflicting"
			}, nil)
		}},
		"a gate that did not pass": {"VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", honest(w, func(f *promotion.Facts) { f.PullRequest.Draft = true }), nil)
		}},
		"a gate left out": {"VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", func(r *promotion.Record) {
				w.judge(r, func(f *promotion.Facts) { f.PullRequest.Draft = true })
				r.Gates = r.Gates[:len(r.Gates)-3]
			}, nil)
		}},
		"a gate that nobody knows": {"VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", func(r *promotion.Record) {
				w.judge(r, nil)
				r.Gates = append(r.Gates, promotion.RecordGate{Gate: "wish", Status: promotion.StatusPass})
			}, nil)
		}},
		"a policy that would have denied": {"VERDICT_MISMATCH", func(w *past) {
			w.climb("1.1.0", func(r *promotion.Record) {
				w.judge(r, nil)
				passing(r)
			}, nil)
		}},
		"a policy's rule forged": {"VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", func(r *promotion.Record) {
				w.judge(r, nil)
				r.Policies[0].Rules = r.Policies[0].Rules[:1]
			}, nil)
		}},
		"an approval by a causer": {"APPROVAL_MISMATCH VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", func(r *promotion.Record) {
				w.judge(r, nil)
				r.Causers = append(r.Causers, bob)
			}, nil)
		}},
		"a causer who is left out": {"APPROVAL_MISMATCH", func(w *past) {
			w.climb("1.2.0", func(r *promotion.Record) {
				r.Causers = []promotion.Person{{ID: 8, Login: "dave"}}
				w.judge(r, nil)
			}, nil)
		}},
		"one approval too few": {"APPROVAL_MISMATCH VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", func(r *promotion.Record) {
				w.judge(r, func(f *promotion.Facts) { f.PullRequest.Reviews = f.PullRequest.Reviews[:1] })
				passing(r)
			}, nil)
		}},
		"approvals that nobody gave": {"VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", func(r *promotion.Record) {
				w.judge(r, nil)
				r.Facts.PullRequest.Reviews = r.Facts.PullRequest.Reviews[:0]
			}, nil)
		}},
		"a base that has no such environment": {"POLICY_MISMATCH VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", func(r *promotion.Record) {
				w.judge(r, nil)
				r.Base.Judged = promotion.Hash(strings.Repeat("1", 40))
			}, nil)
		}},
		"facts of another head": {"APPROVAL_MISMATCH VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", honest(w, func(f *promotion.Facts) {
				f.PullRequest.Head = promotion.Hash(strings.Repeat("2", 40))
				for i := range f.PullRequest.Reviews {
					f.PullRequest.Reviews[i].Commit = f.PullRequest.Head
				}
			}), nil)
		}},
		"facts from later": {"VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", honest(w, func(f *promotion.Facts) { f.Now = f.Now.AddDate(0, 0, 1) }), nil)
		}},
		"an environment before that did not settle": {"VERDICT_MISMATCH", func(w *past) {
			w.promote(ride{pair: staging, version: "1.2.0", record: func(r *promotion.Record) {
				r.Causers = []promotion.Person{carol}
			}, authorize: honest(w, func(f *promotion.Facts) {
				f.Predecessors = []promotion.PredecessorFacts{{Environment: "dev", Landed: w.now, Settled: promotion.SettledGood}}
			}), landed: func(r *promotion.Record) { r.Authorized, r.Facts = w.state.Open[staging].Statement, nil }})
		}},
		"a freeze left out": {"VERDICT_MISMATCH", func(w *past) {
			w.append("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "staging", Reason: "sale"})
			w.climb("1.2.0", honest(w, nil), nil)
		}},
		"a land that says otherwise": {"VERDICT_MISMATCH", func(w *past) {
			w.climb("1.2.0", honest(w, nil), func(r *promotion.Record) { r.Gates = r.Gates[1:] })
		}},
		"a land that cites another authorize": {"AUTHORIZE_MISSING", func(w *past) {
			w.climb("1.2.0", honest(w, nil), func(r *promotion.Record) { r.Authorized = w.state.Live[pair("dev", "checkout")].Land.Record.Authorized })
		}},
		"a land judged anew, forged": {"OVERRIDE VERDICT_MISMATCH", func(w *past) {
			w.promote(ride{pair: pair("dev", "checkout"), version: "1.2.0", byHand: true, unmet: []string{"head"}, noAuthorize: true, landed: func(r *promotion.Record) {
				judged := w.parentOf(w.base)
				r.PullRequest.Head = promotion.Hash(strings.Repeat("3", 40))
				w.judge(r, nil)
				r.Base.Judged = judged
				r.Gates[0].Status = promotion.StatusFail
			}})
		}},
		"a settle that its readings belie": {"VERDICT_MISMATCH", func(w *past) {
			w.promote(ride{pair: pair("dev", "checkout"), version: "1.2.0", authorize: honest(w, nil), landed: func(r *promotion.Record) { r.Facts = nil }})
			w.verified(pair("dev", "checkout"), func(r *promotion.Record) { r.Window.Readings[0].Status = promotion.StatusFail })
		}},
		"a window that began before the release": {"VERDICT_MISMATCH", func(w *past) {
			w.promote(ride{pair: pair("dev", "checkout"), version: "1.2.0", authorize: honest(w, nil), landed: func(r *promotion.Record) { r.Facts = nil }})
			w.verified(pair("dev", "checkout"), func(r *promotion.Record) { r.Window.Began = r.Window.Began.Add(-time.Hour) })
		}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			w := newPast(t)
			c.do(w)
			report, found := w.push().verify(Options{Recompute: true})
			if found != c.want || report.ExitCode() != 1 {
				t.Errorf("found %q, exit %d, want %q%s", found, report.ExitCode(), c.want, show(report))
			}
			if strings.Contains(c.want, "VERDICT") && !strings.Contains(name, "a land that") && report.Recomputed.Differ != 1 {
				t.Errorf("%+v", report.Recomputed)
			}
		})
	}
}

// FuzzRecompute judges facts that anybody may have written into a record: nothing
// breaks, and twice the same comes out.
func FuzzRecompute(f *testing.F) {
	at := time.Date(2025, 3, 1, 9, 0, 0, 0, time.UTC)
	env := promotion.EnvironmentSpec{
		Name: "prod", After: []promotion.Environment{"dev"}, Soak: time.Minute, Approvals: promotion.ApprovalRule{Required: 1, Teams: []string{"acme/sre"}},
		Policies: []string{"p.yaml"}, Health: []promotion.HealthSource{{Status: "ok"}, {HTTP: "https://x.example"}},
	}
	set, _ := policy.Compile(map[string][]byte{"p.yaml": []byte(noOnes)})
	for _, r := range []promotion.Record{
		{Kind: promotion.RecordAuthorize, Artifact: artifact("checkout", value("checkout", "1.1.0")), Facts: &promotion.RecordFacts{
			Version: 1, Now: at, PullRequest: &promotion.PullRequestFacts{Head: "a", Reviews: []promotion.ReviewFacts{{State: "approved", Commit: "a", Access: &promotion.Access{}}}},
			Predecessors: []promotion.PredecessorFacts{{Environment: "dev", Settled: "good", Health: []promotion.HealthReading{{}}}}, Freezes: []promotion.Bar{{}}, Quarantined: &promotion.Bar{},
		}},
		{Kind: promotion.RecordLand, Restores: "x", Facts: &promotion.RecordFacts{}},
		{Kind: promotion.RecordSettle, Artifact: artifact("checkout", value("checkout", "1.1.0")), Outcome: "good", Window: &promotion.RecordWindow{Began: at, Ended: at, Readings: []promotion.HealthReading{{Source: env.Health[0], Status: "pass", At: at}}}},
	} {
		data, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r promotion.Record
		if json.Unmarshal(data, &r) != nil {
			return
		}
		again := func() (string, string) {
			j := judgement{recorded: &recorded{LedgerEntry: &promotion.LedgerEntry{Record: r}}, landed: at}
			switch {
			case r.Kind == promotion.RecordSettle && r.Window != nil && r.Artifact != nil:
				return settledAgain(j, &env)
			case r.Facts == nil || r.Artifact == nil:
				return "", ""
			}
			if expected, found := j.witnessed(); found != "" {
				return expected, found
			}
			panel := gate.Panel{Policy: set.Judge, Approval: approval.Judge, App: identity.App}
			return compare(&r, panel.Judge(r.Restore(promotion.ModeMerge, "", env, "x")))
		}
		first, firstFound := again()
		if second, found := again(); second != first || found != firstFound {
			t.Errorf("first %q %q, then %q %q", first, firstFound, second, found)
		}
	})
}
