package decide_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// restored is the facts document that a record was judged from, as it comes out of
// the ledger.
func restored(t *testing.T, w *world, r promotion.Record) *promotion.Facts {
	t.Helper()
	var read promotion.Record
	if err := json.Unmarshal([]byte(w.json(r)), &read); err != nil {
		t.Fatal(err)
	}
	return read.Restore(w.s.Pipeline.Mode, w.s.Pipeline.Commits, *w.env(r.Environment), w.s.Pipeline.Artifacts[0].Image)
}

// TestAnAuthorizeKeepsItsFacts: what was judged can be judged again, to the byte,
// and comes out the same.
func TestAnAuthorizeKeepsItsFacts(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.s.Now = begin.Add(123456789 * time.Nanosecond)
		w.s.Repository.Installation = 9
		w.s.Policies = map[string][]byte{"policies/digest.yaml": digestPolicy(t)}
		for _, e := range []promotion.Environment{dev, staging, prod} {
			w.env(e).Policies = []string{"policies/digest.yaml"}
		}
		w.env(prod).Approvals = promotion.ApprovalRule{Required: 1}
		w.env(prod).Health = []promotion.HealthSource{{HTTP: "https://prod.example/healthz"}}
	})
	w.publish("1.1.0")
	seen := map[promotion.Environment]bool{}
	for range 40 {
		if e, open := w.s.Ledger.Open[at(prod)]; open && e.Record.Kind == promotion.RecordPropose && w.s.Ledger.Live[at(prod)].Land.Record.Artifact.Version == "1.0.0" {
			if pr := w.openPR(at(prod)); len(pr.Reviews) == 0 {
				w.approve(at(prod), ada)
			}
		}
		plan := w.decide()
		for _, r := range plan.Records {
			if r.Kind != promotion.RecordAuthorize {
				continue
			}
			seen[r.Environment] = true
			st := w.state(plan, at(r.Environment))
			again := restored(t, w, r)
			if w.json(again) != w.json(st.Facts) || again.Digest() != st.Facts.Digest() {
				t.Errorf("%s: restored\n%s\njudged\n%s", r.Environment, w.json(again), w.json(st.Facts))
			}
			j := w.bench.Judges(&w.s).Promotion(again)
			if !reflect.DeepEqual(j.Verdicts, st.Verdicts) {
				t.Errorf("judged again\n%s\nat first\n%s", w.json(j.Verdicts), w.json(st.Verdicts))
			}
			if n := len(w.json(r.Facts)); n > 2500 {
				t.Errorf("the facts take %d bytes: %s", n, w.json(r.Facts))
			}
			for _, g := range r.Gates {
				if !g.ObservedAt.Equal(begin.Truncate(time.Second)) && !g.ObservedAt.After(begin) || g.ObservedAt.Nanosecond() != 0 {
					t.Errorf("%s was observed at %s", g.Gate, g.ObservedAt)
				}
			}
			if r.Environment == prod && (len(r.Approvals) != 1 || r.Approvals[0].Review == 0 || r.Approvals[0].At.IsZero()) {
				t.Errorf("approvals are %+v", r.Approvals)
			}
		}
		w.carryOut(&plan)
		w.s.Now = w.s.Now.Add(time.Second)
	}
	if len(seen) != 3 {
		t.Errorf("authorised in %v", seen)
	}
	// A land repeats the verdicts of its authorize and cites it; it keeps no facts.
	land := w.s.Ledger.Live[at(dev)].Land.Record
	if land.Authorized == "" || land.Facts != nil || len(land.Gates) == 0 {
		t.Errorf("the land is %+v", land)
	}
}

// digestPolicy is one of the sample policies.
func digestPolicy(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("../../policies/digest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestALandThatIsJudgedAnewKeepsItsFacts: it says by which commit's configuration
// it was judged, which is that of the landed commit's first parent.
func TestALandThatIsJudgedAnewKeepsItsFacts(t *testing.T) {
	ready := func() *world {
		w := newWorld(t, func(w *world) { w.env(dev).Approvals = promotion.ApprovalRule{Required: 1} })
		w.publish("1.1.0")
		w.settled()
		return w
	}
	t.Run("nothing changed", func(t *testing.T) {
		w := ready()
		first := w.s.Base.Head
		w.merge(at(dev), "merge", bob)
		land := find(t, w.decide(), promotion.RecordLand)
		if land.Base.Judged != first || land.Authorized != "" || !slices.Equal(land.Landed.Unmet, []string{"approval"}) {
			t.Errorf("%+v", land)
		}
		f := restored(t, w, land)
		if f == nil || f.Base != first || !reflect.DeepEqual(f.Places, land.Places) {
			t.Errorf("facts %+v", f)
		}
		if j := w.bench.Judges(&w.s).Promotion(f); statuses(j.Verdicts) != gates(land.Gates) {
			t.Errorf("judged again %s, recorded %s", statuses(j.Verdicts), gates(land.Gates))
		}
	})
	t.Run("the rules changed behind it", func(t *testing.T) {
		// The approval that was asked for when it landed is not asked for any more.
		w := ready()
		first := w.s.Base.Head
		w.merge(at(dev), "merge", bob)
		before := w.s.Pipeline
		before.Environments = slices.Clone(before.Environments)
		w.s.Base.Changes[0].Rules = &promotion.Rules{Pipeline: before}
		w.commit(promotion.BaseChange{Governs: true})
		w.env(dev).Approvals.Required = 0
		land := find(t, w.decide(), promotion.RecordLand)
		if land.Base.Judged != first || !slices.Equal(land.Landed.Unmet, []string{"approval"}) {
			t.Errorf("judged at %s: %v", land.Base.Judged, land.Landed.Unmet)
		}
	})
	t.Run("its rules can't be used", func(t *testing.T) {
		w := ready()
		w.merge(at(dev), "merge", bob)
		c := w.commit(promotion.BaseChange{Governs: true})
		if land := find(t, w.decide(), promotion.RecordLand); land.Base.Judged != c.Commit {
			t.Errorf("judged at %s, want the head %s", land.Base.Judged, c.Commit)
		}
	})
}

func statuses(vs []promotion.Verdict) string {
	var b strings.Builder
	for _, v := range vs {
		fmt.Fprintf(&b, "%s %s; ", v.Gate, v.Status)
	}
	return b.String()
}

func gates(gs []promotion.RecordGate) string {
	var b strings.Builder
	for _, g := range gs {
		fmt.Fprintf(&b, "%s %s; ", g.Gate, g.Status)
	}
	return b.String()
}

// TestRecordsAreBounded: a pull request with thousands of reviews makes no record
// that can't be written; what is left out stands there by its digest.
func TestRecordsAreBounded(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals = promotion.ApprovalRule{Required: 1} })
	w.publish("1.1.0")
	w.settled()
	pr := w.openPR(at(dev))
	for i := range 1500 {
		pr.Reviews = append(pr.Reviews, promotion.ReviewFacts{
			ID: int64(i), Author: promotion.Person{ID: int64(5000 + i), Login: fmt.Sprintf("reviewer-%d", i)}, State: "approved", Commit: hash(3), At: w.s.Now,
		})
	}
	w.approve(at(dev), ada)
	plan := w.decide()
	a := find(t, plan, promotion.RecordAuthorize)
	if n := len(w.json(a)); n > 64<<10 {
		t.Errorf("the record takes %d bytes", n)
	}
	if f := w.state(plan, at(dev)).Facts; a.Facts != nil || a.FactsDigest != f.Digest() {
		t.Errorf("kept %v, digest %s, want %s", a.Facts != nil, a.FactsDigest, f.Digest())
	}
	for _, g := range a.Gates {
		if g.Gate != "approval" {
			continue
		}
		last := g.Evidence[len(g.Evidence)-1]
		if last.Name != "left out" || !strings.Contains(last.Value, "more, sha256:") || len(g.Evidence) < 20 {
			t.Errorf("%d entries of evidence, the last is %+v", len(g.Evidence), last)
		}
	}
	// The next record of the promotion keeps what fits again.
	w.carryOut(&plan)
	if land := find(t, w.step(), promotion.RecordLand); land.FactsDigest != "" || land.Authorized == "" {
		t.Errorf("%+v", land)
	}
}

// TestASettleSaysWhatItSaw: when its window began and ended, since when, by whom.
func TestASettleSaysWhatItSaw(t *testing.T) {
	source := promotion.HealthSource{HTTP: "https://dev.example/healthz", FailAfter: time.Minute}
	other := promotion.HealthSource{HTTP: "https://other.example", Artifact: payments}
	for name, c := range map[string]struct {
		status  promotion.Status
		soak    time.Duration
		outcome string
	}{"good": {promotion.StatusPass, 5 * time.Minute, promotion.SettledGood}, "bad": {promotion.StatusFail, 0, promotion.SettledBad}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.env(dev).Health, w.env(dev).Soak = []promotion.HealthSource{source, other}, c.soak
			})
			w.publish("1.1.0")
			w.settled()
			w.wantLive(at(dev), "1.1.0")
			landed := w.s.Ledger.Live[at(dev)].Land.Record.IssuedAt
			since := w.s.Now.Add(90 * time.Second)
			w.s.Now = since.Add(10 * time.Minute)
			w.s.Health[at(dev)] = []promotion.HealthReading{
				{Source: other, Status: promotion.StatusFail, At: w.s.Now},
				{Source: source, Status: c.status, Detail: "seen", At: w.s.Now, Since: since},
			}
			s := find(t, w.decide(), promotion.RecordSettle)
			win := s.Window
			if s.Outcome != c.outcome || win == nil || !win.Began.Equal(landed) || !win.Ended.Equal(w.s.Now) || win.Soak != c.soak || !win.Since.Equal(since) ||
				win.By != source.HTTP || len(win.Readings) != 1 || win.Readings[0].Source != source {
				t.Errorf("%s: %+v", s.Outcome, win)
			}
		})
	}
}
