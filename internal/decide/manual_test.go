package decide_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// reverting is a world where prod puts changes by hand back.
func reverting(w *world) { w.env(prod).ManualChanges = promotion.ManualRevert }

// live is the newest land or adopt of a pair.
func (w *world) live(pair promotion.Pair) promotion.Record { return w.s.Ledger.Live[pair].Land.Record }

func TestAChangeByHandIsPutBackOnce(t *testing.T) {
	w := newWorld(t, reverting)
	before := w.s.Ledger.Live[at(prod)].Land.Statement
	c := w.change(at(prod), value("1.0.5"), bob)
	c.PullRequest = 8
	plan := w.step()
	w.wantRecords(plan, "adopt prod/checkout 1.0.5", "settle prod/checkout 1.0.5 good", "propose prod/checkout 1.0.0")
	adopt, back := plan.Records[0], plan.Records[2]
	if adopt.ManualChanges != promotion.ManualRevert || adopt.Actor.Person != bob || adopt.PullRequest.Number != 8 {
		t.Errorf("the adopt is %+v", adopt)
	}
	if back.Restores != before || back.Reverts != "#0" || back.Actor.Kind != "rung" || back.Cause.ID != string(c.Commit) || len(back.Causers) != 0 {
		t.Errorf("the propose is %+v", back)
	}
	if pr := w.openPR(at(prod)); pr.Title != "Put checkout in prod back to 1.0.0" {
		t.Errorf("the pull request is called %q", pr.Title)
	}
	if body := plan.Opens[0].Body; !strings.Contains(body, "1.0.5 was changed by hand by bob in "+c.Commit.Short()) || strings.Contains(body, "quarantined") {
		t.Errorf("the body is\n%s", body)
	}
	plan = w.settled()
	w.wantLive(at(prod), "1.0.0")
	w.wantState(plan, at(prod), promotion.PhaseRolledBack, "it was put back: 1.0.5 was changed by hand by bob")
	land := w.live(at(prod))
	if land.Kind != promotion.RecordLand || land.Restores != before || land.Reverts != w.s.Ledger.History[at(prod)][0].Land.Statement {
		t.Errorf("the land is %+v", land)
	}
	if len(w.s.Ledger.Quarantine) != 0 {
		t.Error("something was quarantined: nobody said that 1.0.5 is bad")
	}
	// A newer version climbs as if nothing had been.
	w.climb("1.1.0")
	w.wantLive(at(prod), "1.1.0")
}

// TestRungDoesNotFight: what is changed again after rung has put it back stays,
// however often, until somebody takes responsibility.
func TestRungDoesNotFight(t *testing.T) {
	w := newWorld(t, reverting)
	w.change(at(prod), value("1.0.5"), bob)
	w.settled()
	w.wantLive(at(prod), "1.0.0")
	for range 3 { // a tool that never tires
		c := w.change(at(prod), value("1.0.5"), bob)
		w.s.Now = w.s.Now.Add(24 * time.Hour)
		plan := w.settled()
		w.wantLive(at(prod), "1.0.5")
		w.wantState(plan, at(prod), promotion.PhaseHeld, "changed by hand by bob in "+c.Commit.Short())
		w.wantState(plan, at(prod), promotion.PhaseHeld, "again, after rung had put 1.0.0 back; rung does not do that twice; say `/adopt`")
		w.change(at(prod), value("1.0.6"), carol)
		w.settled()
		w.wantLive(at(prod), "1.0.6")
	}
	if len(w.s.Ledger.Quarantine) != 0 {
		t.Error("something was quarantined: nobody rolled anything back")
	}
	w.climb("1.1.0")
	w.wantLive(at(staging), "1.1.0")
	w.wantLive(at(prod), "1.0.6")
	w.say(1, ada, 0, "/adopt checkout in prod it is what we want")
	plan := w.settled()
	w.wantLive(at(prod), "1.1.0")
	w.wantState(plan, at(prod), promotion.PhaseIdle, "")
	// The next change is a new one.
	w.change(at(prod), value("1.1.1"), bob)
	w.settled()
	w.wantLive(at(prod), "1.1.0")
}

// While its pull request is open, an answer by people ends what rung wanted.
func TestPeopleAnswerWhileRungPutsBack(t *testing.T) {
	for name, c := range map[string]struct {
		act     func(*world)
		live    string
		records []string // of the pass that sees it
		phase   string
		text    string
	}{
		"changed again": {
			func(w *world) { w.change(at(prod), value("1.0.6"), carol) }, "1.0.6",
			[]string{"adopt prod/checkout 1.0.6", "settle prod/checkout 1.0.6 good"},
			promotion.PhaseHeld, "changed by hand by carol in",
		},
		"adopted": {
			func(w *world) { w.say(1, ada, w.openPR(at(prod)).Number, "/adopt we need it") }, "1.0.5",
			[]string{"adopt prod/checkout 1.0.5"},
			promotion.PhaseIdle, "",
		},
		"closed": {
			func(w *world) {
				pr := w.openPR(at(prod))
				pr.State, pr.ClosedBy, pr.ClosedByAccess = "closed", ada, &promotion.Access{Permission: "write"}
			}, "1.0.5",
			[]string{"withdraw prod/checkout 1.0.0 vetoed"},
			promotion.PhaseHeld, "and ada closed the pull request that would have put 1.0.0 back; say `/adopt`",
		},
		"put back by hand": {
			func(w *world) { w.change(at(prod), value("1.0.0"), bob) }, "1.0.0",
			[]string{"adopt prod/checkout 1.0.0", "settle prod/checkout 1.0.0 good", "withdraw prod/checkout 1.0.0 already there"},
			promotion.PhaseIdle, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, reverting, func(w *world) { w.s.Pipeline.Mode = promotion.ModePropose })
			w.change(at(prod), value("1.0.5"), bob)
			w.settled()
			w.openPR(at(prod))
			w.s.Pipeline.Mode = promotion.ModeMerge // from here on what is green is merged
			c.act(w)
			plan := w.step()
			w.wantRecords(plan, c.records...)
			if _, there := w.s.Branches[promotion.PromotionBranch(at(prod))]; there {
				t.Error("the branch still stands: somebody could merge it")
			}
			plan = w.settled()
			w.wantLive(at(prod), c.live)
			w.wantState(plan, at(prod), c.phase, c.text)
			if open, there := w.s.Ledger.Open[at(prod)]; !there || open.Record.Kind != promotion.RecordWithdraw {
				t.Errorf("open is %+v", open.Record)
			}
		})
	}
}

// TestAVetoOfPuttingBackCanBeLifted by /retry.
func TestAVetoOfPuttingBackCanBeLifted(t *testing.T) {
	w := newWorld(t, reverting, func(w *world) { w.s.Pipeline.Mode = promotion.ModePropose })
	w.change(at(prod), value("1.0.5"), bob)
	w.settled()
	pr := w.openPR(at(prod))
	pr.State, pr.ClosedBy, pr.ClosedByAccess = "closed", ada, &promotion.Access{Permission: "write"}
	w.settled()
	w.climb("1.1.0") // nothing is promoted over what waits for an answer
	w.wantLive(at(prod), "1.0.5")
	w.s.Pipeline.Mode = promotion.ModeMerge
	w.say(1, ada, pr.Number, "/retry")
	w.settled()
	if h := w.s.Ledger.History[at(prod)]; !slices.ContainsFunc(h, func(e promotion.LiveEntry) bool { return e.Land.Record.Reverts != "" }) {
		t.Error("it was not put back")
	}
	w.wantLive(at(prod), "1.1.0")
}

func TestWhatIsNotPutBack(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		text   string
	}{
		"to a quarantined digest": {func(w *world) { w.bar("1.0.0") }, "1.0.0, which stood before, is quarantined (it leaks) and is not put back; say `/adopt`"},
		"to a bad release": {func(w *world) {
			l := w.s.Ledger.Live[at(prod)]
			l.Settle = ptr(w.entry(promotion.Record{Kind: promotion.RecordSettle, Outcome: promotion.SettledBad}))
			w.s.Ledger.Live[at(prod)] = l
		}, "1.0.0, which stood before, had settled bad and is not put back"},
		"to what the registry forgot":  {func(w *world) { w.s.Served[digest("1.0.0")] = false }, "the registry no longer serves 1.0.0"},
		"while the registry is silent": {func(w *world) { w.s.Served = nil }, "the registry did not answer whether it still serves 1.0.0"},
		"to what is not pinned": {func(w *world) {
			l := w.s.Ledger.Live[at(prod)]
			l.Land.Record.Artifact = &promotion.RecordArtifact{Name: checkout, Version: "1.0.0"}
			w.s.Ledger.Live[at(prod)] = l
		}, "the digest of 1.0.0, which stood before, is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, reverting)
			c.change(w)
			w.change(at(prod), value("1.0.5"), bob)
			plan := w.step()
			w.wantRecords(plan, "adopt prod/checkout 1.0.5", "settle prod/checkout 1.0.5 good")
			w.wantState(plan, at(prod), promotion.PhaseHeld, c.text)
			if st := w.state(plan, at(prod)); strings.Contains(c.text, "did not answer") == st.Look.IsZero() {
				t.Errorf("looked at again %s", st.Look)
			}
			w.settled()
			w.wantLive(at(prod), "1.0.5")
		})
	}
}

// TestARollbackByHandIsNotPutBack: going back is always allowed, and bars what was
// taken out.
func TestARollbackByHandIsNotPutBack(t *testing.T) {
	w := newWorld(t, reverting)
	w.climb("1.1.0")
	w.change(at(prod), value("1.0.0"), bob)
	plan := w.step()
	w.wantRecords(plan, "adopt prod/checkout 1.0.0", "quarantine prod/checkout 1.1.0", "settle prod/checkout 1.0.0 good")
	w.settled()
	w.wantLive(at(prod), "1.0.0")
}

// TestAQuarantinedVersionByHandIsPutBack and its digest stays barred.
func TestAQuarantinedVersionByHandIsPutBack(t *testing.T) {
	w := newWorld(t, reverting, func(w *world) { w.bar("1.0.5") })
	w.change(at(prod), value("1.0.5"), bob)
	w.settled()
	w.wantLive(at(prod), "1.0.0")
	// Insisted on, it stays, and is shown as what it is.
	w.change(at(prod), value("1.0.5"), bob)
	plan := w.settled()
	w.wantLive(at(prod), "1.0.5")
	w.wantState(plan, at(prod), promotion.PhaseHeld, "rung does not do that twice")
	w.s.Served[digest("1.0.0")] = true
	w.say(1, bob, 0, "/rollback checkout in prod")
	w.settled()
	w.wantLive(at(prod), "1.0.0")
}

// TestARollbackGoesToNothingThatWasPutBack.
func TestARollbackGoesToNothingThatWasPutBack(t *testing.T) {
	w := newWorld(t, reverting)
	w.climb("1.1.0")
	w.publish("1.0.5")
	w.change(at(prod), value("1.0.5"), bob)
	w.settled()
	w.wantLive(at(prod), "1.1.0")
	w.s.Now = w.s.Now.Add(time.Minute)
	w.say(1, bob, 0, "/rollback checkout in prod")
	w.settled()
	w.wantLive(at(prod), "1.0.0")
}

func TestModesOfPuttingBack(t *testing.T) {
	w := newWorld(t, reverting, func(w *world) { w.s.Pipeline.Mode = promotion.ModeObserve })
	w.change(at(prod), value("1.0.5"), bob)
	plan := w.step()
	w.changesNothing(plan)
	w.wantState(plan, at(prod), promotion.PhaseHeld, "mode is observe: rung would put 1.0.0 back")

	w = newWorld(t, reverting, func(w *world) { w.s.Pipeline.Mode = promotion.ModePropose })
	w.change(at(prod), value("1.0.5"), bob)
	plan = w.settled()
	w.wantLive(at(prod), "1.0.5")
	if pr := w.openPR(at(prod)); pr.Check == nil || pr.Check.Conclusion != "success" {
		t.Errorf("the check is %+v", pr.Check)
	}
	w.wantState(plan, at(prod), promotion.PhaseReady, "every gate passes")
	w.merge(at(prod), "merge", ada)
	w.settled()
	w.wantLive(at(prod), "1.0.0")
	if land := w.live(at(prod)); !land.Landed.ByHand || land.Actor.Person != ada || land.Reverts == "" {
		t.Errorf("the land is %+v", land)
	}
}

// TestPuttingBackTakesOverAnOpenPromotion, which comes again behind it.
func TestPuttingBackTakesOverAnOpenPromotion(t *testing.T) {
	w := newWorld(t, reverting, func(w *world) { w.env(prod).Approvals.Required = 1 })
	w.climb("1.1.0")
	number := w.openPR(at(prod)).Number
	w.change(at(prod), value("1.0.5"), bob)
	plan := w.step()
	w.wantRecords(plan, "adopt prod/checkout 1.0.5", "settle prod/checkout 1.0.5 good", "propose prod/checkout 1.0.0")
	if plan.Opens[0].Number != number {
		t.Errorf("it opens %+v", plan.Opens)
	}
	w.settled()
	w.wantLive(at(prod), "1.0.0")
	w.approve(at(prod), ada)
	w.settled()
	w.wantLive(at(prod), "1.1.0")
}

// TestARuleIsForWhatComesAfterIt: what was adopted or held under another rule is
// not put back when rung.yaml changes.
func TestARuleIsForWhatComesAfterIt(t *testing.T) {
	w := newWorld(t)
	w.s.Served[digest("1.0.5")] = true
	w.change(at(prod), value("1.0.5"), bob)
	w.settled()
	reverting(w)
	w.settled()
	w.wantLive(at(prod), "1.0.5")
	w.change(at(prod), value("1.0.6"), bob)
	w.settled()
	w.wantLive(at(prod), "1.0.5")

	w = newWorld(t, func(w *world) { w.env(prod).ManualChanges = promotion.ManualHold })
	w.change(at(prod), value("1.0.5"), bob)
	w.settled()
	reverting(w)
	w.climb("1.1.0")
	w.wantLive(at(prod), "1.0.5")
	w.wantState(w.decide(), at(prod), promotion.PhaseOpen, "while it was to be held; say /adopt")
}

// TestWhatIsSeenInOneLookIsOneChange: several commits before rung looks are put
// back together.
func TestWhatIsSeenInOneLookIsOneChange(t *testing.T) {
	w := newWorld(t, reverting)
	w.change(at(prod), value("1.0.5"), bob)
	w.change(at(prod), value("1.0.6"), bob)
	plan := w.step()
	w.wantRecords(plan, "adopt prod/checkout 1.0.5", "adopt prod/checkout 1.0.6", "settle prod/checkout 1.0.6 good", "propose prod/checkout 1.0.0")
	w.settled()
	w.wantLive(at(prod), "1.0.0")
}

// TestWhoChangedAVersion is recorded as far as it is known, and said as that.
func TestWhoChangedAVersion(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*promotion.BaseChange)
		actor  promotion.Actor
		causer promotion.Person
		method string
		words  string
	}{
		"a push": {
			func(c *promotion.BaseChange) { c.MergedBy = bob },
			promotion.Actor{Kind: "person", Person: bob},
			bob, "push", "changed by hand by bob in ",
		},
		"a pull request": {
			func(c *promotion.BaseChange) { c.MergedBy, c.OpenedBy, c.PullRequest = ada, bob, 8 },
			promotion.Actor{Kind: "person", Person: ada},
			bob, "squash", "(pull request 8)",
		},
		"nobody knows": {
			func(c *promotion.BaseChange) { c.MergedBy, c.Author = promotion.Person{}, "Bob <b>" },
			promotion.Actor{Kind: "unknown"},
			promotion.Person{},
			"push", "changed by hand by somebody in ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			change := w.change(at(prod), value("1.0.5"), bob)
			c.change(change)
			change.Approvals = []promotion.RecordApproval{{Person: carol, Permission: "write"}}
			plan := w.step()
			r := plan.Records[0]
			if r.Kind != promotion.RecordAdopt || r.Actor != c.actor || r.Landed.Method != c.method || len(r.Approvals) != 1 {
				t.Errorf("the record is %+v", r)
			}
			if (len(r.Causers) == 0) != (c.causer == promotion.Person{}) || len(r.Causers) == 1 && r.Causers[0] != c.causer {
				t.Errorf("it is caused by %+v", r.Causers)
			}
			if len(r.Causers) == 0 && r.Reason != "changed by hand, as its commit says by Bob <b>" {
				t.Errorf("the reason is %q", r.Reason)
			}
			if st := w.state(plan, at(prod)); !strings.Contains(st.ByHand, c.words) {
				t.Errorf("it is shown as %q", st.ByHand)
			}
			w.say(1, ada, 0, "/adopt checkout in prod we looked at it")
			plan = w.step()
			if st := w.state(plan, at(prod)); !strings.Contains(st.ByHand, c.words) || !strings.HasSuffix(st.ByHand, ", and adopted by ada: we looked at it") {
				t.Errorf("adopted, it is shown as %q", st.ByHand)
			}
		})
	}
}

// TestConfigurationIsAdoptedByRange, with the person and the pull request where it
// is known to be one; it is never put back.
func TestConfigurationIsAdoptedByRange(t *testing.T) {
	type by struct {
		person promotion.Person
		pull   int
	}
	for name, c := range map[string]struct {
		commits []by
		want    by
	}{
		"a push by somebody":     {[]by{{}}, by{}},
		"a pull request":         {[]by{{ada, 8}}, by{ada, 8}},
		"two commits of one":     {[]by{{ada, 8}, {ada, 8}}, by{ada, 8}},
		"two of one person":      {[]by{{ada, 8}, {ada, 9}}, by{ada, 0}},
		"two people":             {[]by{{ada, 8}, {bob, 9}}, by{}},
		"one known, one unknown": {[]by{{ada, 8}, {}}, by{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, reverting)
			from := w.s.Base.Head
			for _, who := range c.commits {
				w.commit(promotion.BaseChange{Environments: []promotion.Environment{prod}, MergedBy: who.person, PullRequest: who.pull})
			}
			plan := w.step()
			w.wantRecords(plan, "adopt")
			r := plan.Records[0]
			if r.Range == nil || r.Range.From != from || r.Range.To != w.s.Base.Head || r.Actor != (promotion.Actor{Kind: "person", Person: c.want.person}) {
				t.Errorf("the record is %+v", r)
			}
			if got := r.PullRequest; (got == nil) != (c.want.pull == 0) || got != nil && got.Number != c.want.pull {
				t.Errorf("the pull request is %+v", got)
			}
			w.wantRecords(w.settled())
		})
	}
}

// TestAnArtifactThatPeopleBringIn is theirs to bring: nothing stood there before, so
// that nothing is put back or held.
func TestAnArtifactThatPeopleBringIn(t *testing.T) {
	w := newWorld(t, reverting)
	w.s.Pipeline.Artifacts = append(w.s.Pipeline.Artifacts, promotion.ArtifactSpec{Name: payments, Image: "ghcr.io/acme/payments"})
	pair := promotion.Pair{Environment: prod, Artifact: payments}
	w.place(pair, value("3.0.0"))
	w.commit(promotion.BaseChange{
		Environments: []promotion.Environment{prod}, MergedBy: bob,
		Places: map[promotion.Pair][]promotion.PlaceChange{pair: {{Path: w.s.Places[pair][0].Path, Locator: "kustomize:0:images[0]", After: value("3.0.0")}}},
	})
	plan := w.step()
	w.wantRecords(plan, "adopt prod/payments 3.0.0", "settle prod/payments 3.0.0 good")
	w.wantState(plan, pair, promotion.PhaseIdle, "")
	w.wantRecords(w.settled())
}
