package decide_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// answer is the only answer of a plan to a command.
func (w *world) answer(plan promotion.Plan) promotion.Comment {
	w.t.Helper()
	if len(plan.Comments) != 1 {
		w.t.Fatalf("%d answers: %+v", len(plan.Comments), plan.Comments)
	}
	return plan.Comments[0]
}

func (w *world) wantAnswer(plan promotion.Plan, react, text string) {
	w.t.Helper()
	if got := w.answer(plan); got.React != react || !strings.Contains(got.Body, text) {
		w.t.Errorf("the answer is %s %q, want %s %q", got.React, got.Body, react, text)
	}
}

// landedPR is the pull request with which a pair's live release landed.
func (w *world) landedPR(pair promotion.Pair) int {
	return w.s.Ledger.Live[pair].Land.Record.PullRequest.Number
}

func TestRollbackByCommand(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.climb("1.2.0")
	number := w.landedPR(at(prod))
	w.say(1, bob, number, "/rollback")
	plan := w.decide()
	w.wantRecords(plan, "quarantine prod/checkout 1.2.0", "propose prod/checkout 1.1.0")
	bar, back := plan.Records[0], plan.Records[1]
	if bar.Digest != digest("1.2.0") || bar.Causers[0] != carol || bar.Actor.Person != bob || bar.Cause.ID != "1" || bar.Cause.Kind != "comment" {
		t.Errorf("the quarantine is %+v", bar)
	}
	if back.Restores != w.s.Ledger.History[at(prod)][0].Land.Statement || back.Places[0].Before != value("1.2.0") || back.Places[0].After != value("1.1.0") || back.From != nil {
		t.Errorf("the rollback is %+v", back)
	}
	if !slices.Equal(back.Causers, []promotion.Person{bob}) || back.Actor.Person != bob {
		t.Errorf("it is caused by %v, done by %v", back.Causers, back.Actor)
	}
	w.wantAnswer(plan, "+1", "rolling checkout in prod back from 1.2.0 to 1.1.0.")
	for _, elsewhere := range []string{"`/rollback checkout in dev`", "`/rollback checkout in staging`"} {
		if !strings.Contains(plan.Comments[0].Body, elsewhere) {
			t.Errorf("the answer lacks %s: %s", elsewhere, plan.Comments[0].Body)
		}
	}
	if strings.Contains(plan.Comments[0].Body, "in prod`") {
		t.Error("it offers to roll prod back again")
	}
	if plan.Builds[0].Restores != back.Restores || !strings.HasPrefix(plan.Opens[0].Title, "Roll back checkout in prod to 1.1.0") {
		t.Errorf("builds %+v, title %q", plan.Builds, plan.Opens[0].Title)
	}
	w.carryOut(&plan)
	plan = w.settled()
	w.wantLive(at(prod), "1.1.0")
	w.wantState(plan, at(prod), promotion.PhaseRolledBack, "")
	// The bad digest does not come back, from nowhere.
	w.wantLive(at(staging), "1.2.0")
	w.s.Now = w.s.Now.Add(24 * time.Hour)
	w.settled()
	w.wantLive(at(prod), "1.1.0")
	// Until a fixed version climbs.
	w.climb("1.3.0")
	w.wantLive(at(prod), "1.3.0")
}

func TestARollbackNeedsNeitherPredecessorNorApprovalNorThaw(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.env(prod).Approvals.Required = 2
	w.env(staging).Soak = time.Hour
	w.s.Ledger.Freezes["+all"] = w.entry(promotion.Record{Kind: promotion.RecordFreeze, Scope: "+all", Reason: "no", IssuedAt: begin})
	w.say(1, bob, 0, "/rollback checkout in prod")
	w.settled()
	w.wantLive(at(prod), "1.0.0")
}

func TestARollbackTakesOverAnOpenPromotion(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.env(prod).Approvals.Required = 1
	w.climb("1.2.0")
	number := w.openPR(at(prod)).Number
	branch := w.s.Branches[promotion.PromotionBranch(at(prod))]
	w.say(1, bob, 0, "/rollback checkout in prod")
	plan := w.step()
	w.wantRecords(plan, "quarantine prod/checkout 1.1.0", "propose prod/checkout 1.0.0")
	if plan.Builds[0].Old != branch || plan.Opens[0].Number != number {
		t.Errorf("builds %+v, opens %+v", plan.Builds, plan.Opens)
	}
	w.env(prod).Approvals.Required = 0
	w.settled()
	// 1.2.0 is not barred: it comes after.
	w.wantLive(at(prod), "1.2.0")
	if len(w.s.Ledger.History[at(prod)]) < 2 || w.s.Ledger.History[at(prod)][0].Land.Record.Artifact.Version != "1.0.0" {
		t.Error("it did not go back first")
	}
}

func TestWhereARollbackGoes(t *testing.T) {
	for name, c := range map[string]struct {
		line   string
		change func(*world)
		want   string // the version, or the refusal
	}{
		"the last good one": {"/rollback checkout in prod", func(w *world) {}, "1.2.0"},
		"not one that settled bad": {"/rollback checkout in prod", func(w *world) {
			l := w.s.Ledger.History[at(prod)]
			l[0].Settle = ptr(w.entry(promotion.Record{Kind: promotion.RecordSettle, Outcome: promotion.SettledBad}))
		}, "1.1.0"},
		"not one that never settled":          {"/rollback checkout in prod", func(w *world) { w.s.Ledger.History[at(prod)][0].Settle = nil }, "1.1.0"},
		"one that never settled, by force":    {"/rollback checkout in prod force: nothing else is left", func(w *world) { w.s.Ledger.History[at(prod)][0].Settle = nil }, "1.2.0"},
		"not one that is barred":              {"/rollback checkout in prod", func(w *world) { w.bar("1.2.0") }, "1.1.0"},
		"not one that is not served any more": {"/rollback checkout in prod", func(w *world) { w.s.Served[digest("1.2.0")] = false }, "1.1.0"},
		"to a version":                        {"/rollback checkout in prod to 1.1.0", func(w *world) {}, "1.1.0"},
		"to a version that never settled": {
			"/rollback checkout in prod to 1.2.0", func(w *world) { w.s.Ledger.History[at(prod)][0].Settle = nil }, "! 1.2.0 never settled good in prod; to go back to it all the same, add force: and a reason",
		},
		"to a version that settled bad": {"/rollback checkout in prod to 1.2.0", func(w *world) {
			w.s.Ledger.History[at(prod)][0].Settle = ptr(w.entry(promotion.Record{Kind: promotion.RecordSettle, Outcome: promotion.SettledBad}))
		}, "! 1.2.0 never settled good in prod"},
		"to a version that never settled, by force": {
			"/rollback checkout in prod to 1.2.0 force: nothing else is left", func(w *world) { w.s.Ledger.History[at(prod)][0].Settle = nil }, "1.2.0",
		},
		"to a version that is barred": {"/rollback checkout in prod to 1.1.0", func(w *world) { w.bar("1.1.0") }, "! 1.1.0 is quarantined; say /unquarantine first"},
		"to a version that is gone":   {"/rollback checkout in prod to 1.1.0", func(w *world) { w.s.Served[digest("1.1.0")] = false }, "! the registry no longer serves 1.1.0"},
		"to a version that never was": {"/rollback checkout in prod to 9.9.9", func(w *world) {}, "! 9.9.9 never landed in prod"},
		"to the version that is live": {"/rollback checkout in prod to 1.3.0", func(w *world) {}, "! 1.3.0 never landed in prod"},
		"nothing left": {"/rollback checkout in prod", func(w *world) {
			for v := range w.s.Served {
				w.s.Served[v] = false
			}
		}, "! there is no earlier good release of checkout in prod to go back to; the registry no longer serves"},
		"the registry is silent": {"/rollback checkout in prod", func(w *world) { w.s.Served = nil }, "! the registry did not answer whether it still serves 1.2.0"},
		"no history":             {"/rollback checkout in prod", func(w *world) { w.s.Ledger.History = nil }, "! there is no earlier good release"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, v := range []string{"1.1.0", "1.2.0", "1.3.0"} {
				w.climb(v)
			}
			c.change(w)
			by := bob
			if strings.Contains(c.line, "force") {
				by = ada
			}
			w.say(1, by, 0, c.line)
			plan := w.decide()
			if refusal, refused := strings.CutPrefix(c.want, "! "); refused {
				w.changesNothing(plan)
				w.wantAnswer(plan, "confused", strings.TrimSuffix(refusal, "1.2.0"))
				return
			}
			w.wantRecords(plan, "quarantine prod/checkout 1.3.0", "propose prod/checkout "+c.want)
		})
	}
}

// bar quarantines a version's digest, as an operator would.
func (w *world) bar(version string) {
	w.s.Ledger.Quarantine[digest(version)] = w.entry(promotion.Record{
		Kind: promotion.RecordQuarantine, Digest: digest(version), Reason: "it leaks", IssuedAt: begin, Actor: promotion.Actor{Kind: "person", Person: ada},
	})
}

func TestDoubleRollback(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.climb("1.2.0")
	w.say(1, bob, w.landedPR(at(prod)), "/rollback")
	w.settled()
	w.wantLive(at(prod), "1.1.0")
	// Said again where it was said before: what was asked for is so.
	w.say(2, bob, 0, "/why checkout in prod")
	w.settled()
	number := w.s.Ledger.History[at(prod)][0].Land.Record.PullRequest.Number
	w.say(3, bob, number, "/rollback")
	plan := w.step()
	w.changesNothing(plan)
	w.wantAnswer(plan, "eyes", "is not live in prod any more")
	// Said on the rollback, it goes further back.
	w.s.Now = w.s.Now.Add(time.Minute)
	w.say(4, bob, w.landedPR(at(prod)), "/rollback")
	w.settled()
	w.wantLive(at(prod), "1.0.0")
	if _, ok := w.s.Ledger.Quarantine[digest("1.1.0")]; !ok {
		t.Error("the second bad version is not barred")
	}
	// And then there is nothing.
	w.s.Now = w.s.Now.Add(time.Minute)
	w.say(5, bob, 0, "/rollback checkout in prod")
	plan = w.step()
	w.changesNothing(plan)
	w.wantAnswer(plan, "confused", "there is no earlier good release")
}

func TestARollbackSaidTwiceIsOne(t *testing.T) {
	w := newWorld(t, func(w *world) { w.merges = false })
	w.merges = true
	w.climb("1.1.0")
	w.climb("1.2.0")
	w.merges = false
	first := *w.say(1, bob, w.landedPR(at(prod)), "/rollback")
	w.s.Commands = append(w.s.Commands, first)
	plan := w.decide()
	w.wantRecords(plan, "quarantine prod/checkout 1.2.0", "propose prod/checkout 1.1.0")
	w.step()
	w.step()
	for _, by := range []promotion.Person{bob, ada} {
		w.say(7, by, w.landedPR(at(prod)), "/rollback")
		plan := w.step()
		w.wantRecords(plan, "authorize prod/checkout 1.1.0")
		if a := w.answer(plan); !strings.Contains(a.Body, "already") {
			t.Errorf("the answer is %+v", a)
		}
	}
}

// Comments are heard again after a restart: those of the last minutes before the
// newest record. Nothing that they asked for may be done a second time.
func TestCommandsHeardAgainChangeNothing(t *testing.T) {
	for _, line := range []string{
		"/rollback", "/rollback checkout in prod", "/rollback checkout in prod to 1.1.0", "/rollback to 1.0.0", "/hold", "/hold checkout in prod", "/freeze prod stop", "/freeze all stop",
		"/quarantine bad", "/quarantine " + string(digest("1.2.0")) + " bad", "/retry", "/unfreeze prod", "/resume", "/adopt fine", "/unquarantine fine", "/why", "/help",
	} {
		t.Run(line, func(t *testing.T) {
			w := newWorld(t)
			w.climb("1.1.0")
			w.climb("1.2.0")
			w.s.Now = w.s.Now.Add(time.Minute)
			said := *w.say(1, ada, w.landedPR(at(prod)), line)
			w.settled()
			before := w.json(w.s.Ledger)
			w.s.Now = w.s.Now.Add(time.Minute)
			subject := w.subject(said.PullRequest)
			said.Subject = subject
			w.s.Commands = []promotion.Command{said}
			w.changesNothing(w.step())
			w.settled()
			if after := w.json(w.s.Ledger); after != before {
				t.Error("the ledger changed")
			}
		})
	}
}

// The same, with all that a rollback takes within one second of the forge's
// clock.
func TestAQuickRollbackHeardAgain(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.climb("1.2.0")
	w.s.Now = w.s.Now.Add(time.Minute)
	said := *w.say(1, bob, 0, "/rollback checkout in prod")
	for range 20 {
		w.step() // the clock stands still
	}
	w.wantLive(at(prod), "1.1.0")
	w.s.Commands = []promotion.Command{said}
	w.changesNothing(w.step())
}

func TestARollbackSaidRightAfterTheLandingIsHeard(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(prod).Approvals.Required = 1 })
	w.climb("1.1.0")
	w.approve(at(prod), bob)
	w.merges = false
	w.step()
	number := w.openPR(at(prod)).Number
	w.merge(at(prod), "merge", bob)
	// rung sees the merge and the comment in one pass, later.
	w.s.Now = w.s.Now.Add(3 * time.Second)
	c := w.say(1, bob, number, "/rollback checkout in prod")
	c.At = w.s.Now.Add(-time.Second)
	plan := w.decide()
	if got := kinds(plan.Records); !slices.Contains(got, "propose prod/checkout 1.0.0") {
		t.Errorf("records are %v, answers %+v", got, plan.Comments)
	}
}

func TestRollbackOnAPromotionThatHasNotLanded(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(prod).Approvals.Required = 1 })
	w.climb("1.1.0")
	w.say(1, bob, w.openPR(at(prod)).Number, "/rollback")
	plan := w.decide()
	w.changesNothing(plan)
	w.wantAnswer(plan, "confused", "has not landed in prod, so there is nothing to roll back. Close this pull request to veto it here, or say `/quarantine`")
}

func TestAutomaticRollback(t *testing.T) {
	source := promotion.HealthSource{Status: "smoke"}
	w := newWorld(t, func(w *world) {
		w.env(staging).Health, w.env(staging).AutoRollback = []promotion.HealthSource{source}, true
	})
	w.publish("1.1.0")
	w.settled()
	w.wantLive(at(staging), "1.1.0")
	fails := func(since time.Duration) {
		w.s.Health[at(staging)] = []promotion.HealthReading{{Source: source, Status: promotion.StatusFail, At: w.s.Now, Since: w.s.Now.Add(-since)}}
	}
	w.s.Now = w.s.Now.Add(time.Hour)
	fails(time.Second)
	w.changesNothing(w.settled()) // never by one sample
	fails(10 * time.Minute)
	plan := w.step()
	w.wantRecords(plan, "settle staging/checkout 1.1.0 bad", "quarantine staging/checkout 1.1.0", "propose staging/checkout 1.0.0")
	if r := plan.Records[1]; r.Actor.Kind != "rung" || r.Cause.Kind != "health" || !strings.Contains(r.Reason, "smoke has failed in staging") {
		t.Errorf("the quarantine is %+v", r)
	}
	w.s.Health = map[promotion.Pair][]promotion.HealthReading{}
	w.settled()
	w.wantLive(at(staging), "1.0.0")
	w.wantLive(at(prod), "1.0.0")
	// With nothing to go back to it is held, and says so.
	w = newWorld(t, func(w *world) { w.env(dev).AutoRollback = true })
	w.climb("1.1.0")
	w.s.Ledger.History = map[promotion.Pair][]promotion.LiveEntry{}
	w.bar("1.1.0")
	plan = w.decide()
	w.changesNothing(plan)
	w.wantState(plan, at(dev), promotion.PhaseHeld, "there is no earlier good release")
}

func TestARollbackToWhatIsBarredNowIsRevoked(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.climb("1.2.0")
	w.merges = false
	w.say(1, bob, 0, "/rollback checkout in prod")
	w.step()
	w.step() // authorised: the merge may be under way
	head := w.s.Branches[promotion.PromotionBranch(at(prod))]
	w.s.Now = w.s.Now.Add(time.Second)
	w.say(2, ada, 0, "/quarantine "+string(digest("1.1.0"))+" it leaks too")
	plan := w.step()
	if plan.Deletes[promotion.PromotionBranch(at(prod))] != head || len(plan.Merges) > 0 {
		t.Errorf("deletes %v, merges %v: a merge under way would bring a barred digest in", plan.Deletes, plan.Merges)
	}
	w.settled()
	w.s.Now = w.s.Now.Add(time.Minute)
	w.merges = true
	w.say(3, bob, 0, "/rollback checkout in prod")
	w.settled()
	w.wantLive(at(prod), "1.0.0")
}

func TestTwoArtifactsInOneFile(t *testing.T) {
	w := newWorld(t)
	w.s.Pipeline.Artifacts = append(w.s.Pipeline.Artifacts, promotion.ArtifactSpec{Name: payments, Image: "ghcr.io/acme/payments"})
	pair := promotion.Pair{Environment: prod, Artifact: payments}
	w.place(pair, promotion.Value{Version: "5.0.0", Digest: digest("5.0.0")})
	w.s.Ledger.Live[pair] = promotion.LiveEntry{Land: w.entry(promotion.Record{
		Kind: promotion.RecordAdopt, Environment: prod, Artifact: &promotion.RecordArtifact{Name: payments, Version: "5.0.0", Digest: digest("5.0.0")}, IssuedAt: begin,
	})}
	w.climb("1.1.0")
	w.say(1, bob, 0, "/rollback checkout in prod")
	w.settled()
	w.wantLive(at(prod), "1.0.0")
	w.wantLive(pair, "5.0.0")
}

func TestRollbackOfWhatATagPins(t *testing.T) {
	w := newWorld(t)
	for _, e := range []promotion.Environment{dev, staging, prod} {
		w.env(e).Pin = promotion.PinTag
		w.place(at(e), promotion.Value{Version: "1.0.0"})
	}
	w.s.Ledger.Live[at(prod)] = w.s.Ledger.Live[at(dev)] // the ledger knows the digest
	w.climb("1.1.0")
	w.climb("1.2.0")
	w.say(1, bob, w.landedPR(at(prod)), "/rollback")
	plan := w.step()
	w.wantRecords(plan, "quarantine prod/checkout 1.2.0", "propose prod/checkout 1.1.0")
	if plan.Records[0].Digest != digest("1.2.0") {
		t.Errorf("%q is barred", plan.Records[0].Digest)
	}
	w.settled()
	w.wantLive(at(prod), "1.1.0")
}

func TestTwoPeopleAskAtOnce(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.say(1, bob, 0, "/rollback checkout in prod")
	w.say(2, ada, w.landedPR(at(prod)), "/rollback")
	plan := w.decide()
	w.wantRecords(plan, "quarantine prod/checkout 1.1.0", "propose prod/checkout 1.0.0")
	if len(plan.Comments) != 2 {
		t.Errorf("both wait for an answer: %+v", plan.Comments)
	}
	if plan.Records[0].Actor.Person != bob {
		t.Errorf("%s gets the record, bob asked first", plan.Records[0].Actor.Login)
	}
}

func TestARollbackWherePlacesDisagreeIsAnswered(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.s.Places[at(prod)] = append(w.s.Places[at(prod)], promotion.Place{Path: "environments/prod/@acme.yaml", Locator: "image:0:spec.image", Value: value("0.9.0")})
	w.say(1, bob, 0, "/rollback checkout in prod")
	plan := w.decide()
	w.changesNothing(plan)
	w.wantAnswer(plan, "confused", "name different versions")
	if strings.Contains(plan.Comments[0].Body, "@acme") {
		t.Errorf("a file's name mentions people: %s", plan.Comments[0].Body)
	}
	w.wantState(plan, at(prod), promotion.PhaseHeld, "name different versions")
}

func TestWhatARollbackBarsIsProposedNowhereInTheSamePass(t *testing.T) {
	w := newWorld(t)
	w.change(at(prod), value("1.1.0"), bob)
	w.settled()
	w.publish("1.1.0") // dev would take it
	w.say(1, bob, 0, "/rollback checkout in prod")
	plan := w.decide()
	w.wantRecords(plan, "quarantine prod/checkout 1.1.0", "propose prod/checkout 1.0.0")
	for i, e := range []promotion.Environment{dev, staging, prod} {
		if plan.Pairs[i].Pair != at(e) {
			t.Errorf("pairs are not shown in the order of the pipeline: %v", plan.Pairs[i].Pair)
		}
	}
}

func TestARollbackDoesNotGoWhereAnotherComesFrom(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.env(prod).Approvals.Required = 1
	w.climb("1.2.0") // prod stays at 1.1.0
	w.say(1, bob, 0, "/rollback checkout in dev")
	w.say(2, bob, 0, "/rollback checkout in prod")
	plan := w.decide()
	w.wantRecords(plan, "quarantine dev/checkout 1.2.0", "propose dev/checkout 1.0.0", "quarantine prod/checkout 1.1.0", "propose prod/checkout 1.0.0")
}
