package decide_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

func TestSupersede(t *testing.T) {
	for _, c := range []struct {
		policy             promotion.Supersede
		approved, replaced bool
	}{
		{promotion.SupersedeAlways, false, true},
		{promotion.SupersedeAlways, true, true},
		{promotion.SupersedeUntilApproved, false, true},
		{promotion.SupersedeUntilApproved, true, false},
		{promotion.SupersedeNever, false, false},
	} {
		t.Run(string(c.policy)+map[bool]string{true: " approved"}[c.approved], func(t *testing.T) {
			// Two approvals are needed, so that one does not merge it.
			w := newWorld(t, func(w *world) { w.env(dev).Supersede, w.env(dev).Approvals.Required = c.policy, 2 })
			w.publish("1.1.0")
			w.settled()
			if c.approved {
				w.approve(at(dev), bob)
			}
			before, branch := w.openPR(at(dev)).Number, w.s.Branches[promotion.PromotionBranch(at(dev))]
			w.publish("1.2.0")
			plan := w.step()
			if !c.replaced {
				w.wantRecords(plan)
				w.wantState(plan, at(dev), promotion.PhaseOpen, "1.2.0 waits until this is merged or closed")
				return
			}
			w.wantRecords(plan, "propose dev/checkout 1.2.0")
			if got := plan.Builds[0].Old; got != branch {
				t.Errorf("the branch is moved from %q, want %q", got, branch)
			}
			if len(plan.Opens) != 1 || plan.Opens[0].Number != before || !strings.Contains(plan.Opens[0].Title, "1.2.0") {
				t.Errorf("opens are %+v, want the same pull request retitled", plan.Opens)
			}
			if w.openPR(at(dev)).Number != before {
				t.Error("another pull request is opened")
			}
			// The review of the old head is void.
			w.wantState(w.decide(), at(dev), promotion.PhaseOpen, "needs 2 approvals")
		})
	}
}

func TestAnOlderVersionNeverSupersedes(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Supersede, w.env(dev).Approvals.Required = promotion.SupersedeAlways, 1 })
	w.publish("1.2.0")
	w.settled()
	a := w.s.Available[checkout]
	a.Releases = []promotion.Release{release("1.1.0"), release("1.0.0")} // 1.2.0 is gone
	w.s.Available[checkout] = a
	w.changesNothing(w.decide())
}

func TestClosingIsAVetoForThatVersion(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	pr := w.openPR(at(dev))
	pr.State, pr.ClosedBy, pr.ClosedByAccess = "closed", bob, &promotion.Access{Permission: "write"}
	number := pr.Number
	plan := w.step()
	w.wantRecords(plan, "withdraw dev/checkout 1.1.0 vetoed")
	if r := plan.Records[0]; r.Actor.Person != bob || r.PullRequest.Number != number {
		t.Errorf("the record is %+v", r)
	}
	if len(plan.Deletes) != 1 {
		t.Error("the branch stays")
	}
	plan = w.settled()
	w.wantState(plan, at(dev), promotion.PhaseHeld, "bob closed the pull request of 1.1.0, which vetoes it here; say /retry")
	// A newer version is proposed, in a pull request of its own.
	w.publish("1.2.0")
	plan = w.step()
	w.wantRecords(plan, "propose dev/checkout 1.2.0")
	if w.openPR(at(dev)).Number == number {
		t.Error("the vetoed pull request is used again")
	}
}

func TestModeObserveShowsAQuarantineOnTheCheck(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	number := w.openPR(at(dev)).Number
	w.say(5, bob, number, "/quarantine it leaks")
	plan := w.decide()
	plan.Deletes = nil
	w.carryOut(&plan)
	w.s.Commands = nil
	w.s.Pipeline.Mode = promotion.ModeObserve
	plan = w.decide()
	w.changesNothing(plan)
	if len(plan.Checks) != 1 || plan.Checks[0].Conclusion != "failure" || !strings.Contains(plan.Checks[0].Summary, "it leaks") {
		t.Errorf("the checks are %+v", plan.Checks)
	}
	if !plan.Next.IsZero() {
		t.Errorf("it looks again at %s, though nothing will change", plan.Next)
	}
}

func TestModeObserveRestsWhereAPromotionIsOpen(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	pr := w.openPR(at(dev))
	pr.State, pr.ClosedBy, pr.ClosedByAccess = "closed", bob, &promotion.Access{Permission: "write"}
	w.s.Pipeline.Mode = promotion.ModeObserve
	plan := w.decide()
	w.changesNothing(plan)
	if !plan.Next.IsZero() && !plan.Next.After(w.s.Now) {
		t.Errorf("it looks again at once, for ever")
	}
}

func TestRetryLiftsAVeto(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	pr := w.openPR(at(dev))
	pr.State, pr.ClosedBy, pr.ClosedByAccess = "closed", bob, &promotion.Access{Permission: "write"}
	old := pr.Number
	w.settled()
	w.say(5, bob, old, "/retry")
	plan := w.step()
	w.wantRecords(plan, "withdraw dev/checkout 1.1.0 stale", "propose dev/checkout 1.1.0")
	if w.openPR(at(dev)).Number == old {
		t.Error("the closed pull request is taken for the new one")
	}
	w.step()
	if got := w.s.Ledger.Open[at(dev)].Record.Kind; got != promotion.RecordPropose {
		t.Errorf("the promotion is %s", got)
	}
}

func TestWhoClosedDecides(t *testing.T) {
	for name, c := range map[string]struct {
		by       promotion.Person
		access   *promotion.Access
		branch   bool
		want     []string
		reopened bool
	}{
		"with write":               {bob, &promotion.Access{Permission: "write"}, true, []string{"withdraw dev/checkout 1.1.0 vetoed"}, false},
		"without write":            {eve, &promotion.Access{Permission: "read"}, true, []string{"propose dev/checkout 1.1.0"}, true},
		"a bot":                    {promotion.Person{ID: 50, Login: "stale[bot]", Bot: true}, nil, true, []string{"propose dev/checkout 1.1.0"}, true},
		"rung itself":              {rung, nil, true, []string{"withdraw dev/checkout 1.1.0 stale"}, false},
		"not known yet":            {bob, nil, true, nil, false},
		"access could not be read": {bob, &promotion.Access{Error: "502"}, true, []string{"withdraw dev/checkout 1.1.0 vetoed"}, false},
		"nobody knows who":         {promotion.Person{}, nil, true, []string{"withdraw dev/checkout 1.1.0 vetoed"}, false},
		"a bot, with the branch":   {promotion.Person{ID: 50, Login: "stale[bot]", Bot: true}, nil, false, []string{"withdraw dev/checkout 1.1.0 vetoed"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
			w.publish("1.1.0")
			w.settled()
			pr := w.openPR(at(dev))
			pr.State, pr.ClosedBy, pr.ClosedByAccess = "closed", c.by, c.access
			if !c.branch {
				delete(w.s.Branches, promotion.PromotionBranch(at(dev)))
			}
			plan := w.step()
			w.wantRecords(plan, c.want...)
			if c.reopened != (len(plan.Reopens) == 1) {
				t.Errorf("reopens are %v", plan.Reopens)
			}
			if !c.reopened {
				return
			}
			w.changesNothing(w.settled())
			// The second time it is held.
			pr = w.openPR(at(dev))
			pr.State = "closed"
			w.wantRecords(w.step(), "withdraw dev/checkout 1.1.0 vetoed")
		})
	}
}

func TestRevokedByQuarantine(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	number := w.openPR(at(dev)).Number
	head := w.s.Branches[promotion.PromotionBranch(at(dev))]
	w.say(5, bob, number, "/quarantine it leaks")
	plan := w.decide()
	// One push bars the digest and takes the branch away: a merge that is under
	// way somewhere else fails, whatever it knows.
	w.wantRecords(plan, "quarantine sha256:"+string(digest("1.1.0"))[7:19])
	if plan.Deletes[promotion.PromotionBranch(at(dev))] != head {
		t.Errorf("deletes are %v, want the branch at %s", plan.Deletes, head)
	}
	w.wantState(plan, at(dev), promotion.PhaseOpen, "1.1.0 is quarantined: it leaks")
	w.carryOut(&plan)
	// While the forge still shows it open nothing is said to be withdrawn.
	w.pr(number).State = "open"
	plan = w.step()
	w.changesNothing(plan)
	if len(plan.Merges) > 0 || plan.Next.IsZero() {
		t.Errorf("merges %v, next %s", plan.Merges, plan.Next)
	}
	w.wantState(plan, at(dev), promotion.PhaseOpen, "waiting for the forge to close the pull request")
	w.pr(number).State = "closed"
	plan = w.step()
	w.wantRecords(plan, "withdraw dev/checkout 1.1.0 revoked")
	plan = w.settled()
	w.wantState(plan, at(dev), promotion.PhaseWaiting, "1.1.0 is quarantined: it leaks")
}

func TestALateMergeIsRecordedAfterARevocation(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	w.say(5, bob, w.openPR(at(dev)).Number, "/quarantine it leaks")
	w.merge(at(dev), "merge", bob) // a person was faster
	plan := w.step()
	if got := plan.Records[0]; got.Kind != promotion.RecordLand || !slices.Contains(got.Landed.Unmet, "approval") || got.Actor.Person != bob {
		t.Errorf("the landing is %v, unmet %v", kinds(plan.Records), got.Landed)
	}
	plan = w.settled()
	w.wantState(plan, at(dev), promotion.PhaseUnhealthy, "1.1.0 is quarantined and still live here (it leaks); say `/rollback checkout in dev`")
	w.wantLive(at(staging), "1.0.0")
}

func TestAQuarantinedDigestIsNeverProposed(t *testing.T) {
	for name, bar := range map[string]promotion.Record{
		"itself":                         {Digest: digest("1.1.0")},
		"as a manifest of another index": {Digest: digest("another"), Children: []promotion.Digest{digest("1.1.0")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			bar.Kind, bar.Reason, bar.IssuedAt = promotion.RecordQuarantine, "it leaks", begin
			w.s.Ledger.Quarantine[bar.Digest] = w.entry(bar)
			w.publish("1.1.0")
			plan := w.settled()
			w.wantLive(at(dev), "1.0.0")
			w.wantState(plan, at(dev), promotion.PhaseWaiting, "1.1.0 is quarantined: it leaks")
			// A version beyond it climbs.
			w.climb("1.2.0")
			w.wantLive(at(prod), "1.2.0")
			// Published again under another name it is still barred.
			w.s.Available[checkout] = promotion.Availability{Releases: []promotion.Release{{Version: "1.3.0", Digest: digest("1.1.0")}}}
			w.changesNothing(w.decide())
		})
	}
}

func TestLandings(t *testing.T) {
	for _, method := range []string{"merge", "squash", "fast-forward"} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.merges = false })
			w.publish("1.1.0")
			w.step()
			w.step() // authorised
			number, head := w.openPR(at(dev)).Number, w.s.Heads[at(dev)].Commit
			base := w.s.Base.Head
			commit := w.merge(at(dev), method, rung)
			plan := w.step()
			land := plan.Records[0]
			if land.Kind != promotion.RecordLand || land.Landed.Method != method || land.Landed.Commit != commit || land.Landed.FirstParent != base {
				t.Errorf("the landing is %s %+v", land.Kind, land.Landed)
			}
			if land.Landed.ByHand || land.Actor.Kind != "rung" || land.PullRequest.Number != number || land.PullRequest.Head != head || len(land.Gates) == 0 {
				t.Errorf("the record is %+v", land)
			}
			if land.Causers[0] != carol || land.Places[0].After != value("1.1.0") || land.Promotion == "" {
				t.Errorf("the record is %+v", land)
			}
		})
	}
}

func TestUnmetGatesAreRecordedWhenAPersonMerges(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		unmet  []string
	}{
		"never authorised": {func(w *world) {}, []string{"approval"}},
		"frozen after it was authorised": {func(w *world) {
			w.approve(at(dev), bob)
			w.step()
			w.say(3, ada, 0, "/freeze dev stop")
			w.step()
		}, []string{"freeze"}},
		"the configuration changed in between": {func(w *world) {
			w.approve(at(dev), bob)
			w.step()
			w.commit(promotion.BaseChange{Governs: true, MergedBy: ada})
			w.env(dev).Approvals.Required = 2
		}, []string{"approval"}},
		"authorised": {func(w *world) {
			w.approve(at(dev), bob)
			w.step()
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.s.Pipeline.Mode, w.env(dev).Approvals.Required = promotion.ModePropose, 1
			})
			w.publish("1.1.0")
			w.settled()
			c.change(w)
			w.merge(at(dev), "squash", ada)
			plan := w.step()
			i := slices.IndexFunc(plan.Records, func(r promotion.Record) bool { return r.Kind == promotion.RecordLand })
			if i < 0 {
				t.Fatalf("records are %v", kinds(plan.Records))
			}
			land := plan.Records[i]
			if !slices.Equal(land.Landed.Unmet, c.unmet) || land.Actor.Kind != "person" || land.Actor.Person != ada || !land.Landed.ByHand {
				t.Errorf("unmet %v by %v, want %v by ada", land.Landed.Unmet, land.Actor, c.unmet)
			}
		})
	}
}

func TestAMergeByNobodyKnown(t *testing.T) {
	for name, required := range map[string]int{"waiting for approval": 1, "authorised": 0} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required, w.merges = required, false })
			w.publish("1.1.0")
			for range 4 {
				w.step()
			}
			w.merge(at(dev), "merge", promotion.Person{})
			land := w.step().Records[0]
			if land.Kind != promotion.RecordLand || land.Actor.Kind != "unknown" || !land.Landed.ByHand {
				t.Errorf("the landing is %+v by %+v, by hand %v", land.Kind, land.Actor, land.Landed.ByHand)
			}
		})
	}
}

func TestAHandChangeIsAdopted(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	number := w.openPR(at(dev)).Number
	c := w.change(at(dev), value("1.1.0"), bob)
	c.PullRequest = 77
	plan := w.step()
	w.wantRecords(plan, "adopt dev/checkout 1.1.0", "settle dev/checkout 1.1.0 good", "withdraw dev/checkout 1.1.0 already there")
	if r := plan.Records[0]; r.Actor.Person != bob || r.Landed.Commit != c.Commit || r.PullRequest.Number != 77 || !r.Landed.ByHand {
		t.Errorf("the adopt is %+v", r)
	}
	if r := plan.Records[2]; r.PullRequest.Number != number {
		t.Errorf("the withdraw is of pull request %d", r.PullRequest.Number)
	}
	if plan.Deletes[promotion.PromotionBranch(at(dev))] == "" {
		t.Error("the branch of the withdrawn promotion stays")
	}
	w.changesNothing(w.settled())
}

func TestAnotherVersionByHandRebuildsTheOpenPromotion(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	w.change(at(dev), value("1.0.5"), bob)
	h := w.s.Heads[at(dev)]
	h.Conflicts = true
	w.s.Heads[at(dev)] = h
	plan := w.step()
	w.wantRecords(plan, "adopt dev/checkout 1.0.5", "settle dev/checkout 1.0.5 good", "propose dev/checkout 1.1.0")
	if got := plan.Records[2].Places[0]; got.Before != value("1.0.5") || got.After != value("1.1.0") {
		t.Errorf("it changes %+v", got)
	}
}

func TestAnOpenPromotionWhosePlaceVanishedIsHeld(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	delete(w.s.Places, at(dev))
	h := w.s.Heads[at(dev)]
	h.Conflicts = true
	w.s.Heads[at(dev)] = h
	plan := w.decide()
	w.changesNothing(plan)
	w.wantState(plan, at(dev), promotion.PhaseOpen, "dev named checkout before and no longer does")
	// Without its branch neither.
	w.s.Branches = map[string]promotion.Hash{}
	w.changesNothing(w.decide())
}

func TestManualChangesCanHold(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).ManualChanges = promotion.ManualHold })
	c := w.change(at(dev), value("1.0.5"), bob)
	commit := c.Commit
	w.settled()
	w.publish("1.1.0")
	plan := w.settled()
	w.wantLive(at(dev), "1.0.5")
	w.wantState(plan, at(dev), promotion.PhaseOpen, "the version was changed by hand by bob in "+commit.Short()+"; say /adopt with a reason to go on")
	number := w.openPR(at(dev)).Number
	w.say(8, bob, number, "/adopt it was an emergency")
	plan = w.step()
	if !strings.Contains(plan.Comments[0].Body, "needs maintain access") {
		t.Errorf("somebody with write may adopt: %+v", plan.Comments)
	}
	w.say(9, ada, number, "/adopt it was an emergency")
	plan = w.step()
	if r := plan.Records[0]; r.Kind != promotion.RecordAdopt || r.Reason != "it was an emergency" || r.Actor.Person != ada {
		t.Errorf("records are %v", kinds(plan.Records))
	}
	w.settled()
	w.wantLive(at(dev), "1.1.0")
}

// Two reads of one pass may see the branch and its pull request at different
// heads: what is judged then must not be written on either.
func TestNothingIsWrittenWhileThePullRequestShowsAnotherHead(t *testing.T) {
	w := newWorld(t, func(w *world) { w.merges = false })
	w.publish("1.1.0")
	w.step()
	w.step()
	shown := w.openPR(at(dev)).Head
	w.openPR(at(dev)).Head = hash(77)
	plan := w.decide()
	w.changesNothing(plan)
	if len(plan.Checks) > 0 {
		t.Errorf("checks are written: %+v", plan.Checks)
	}
	w.wantState(plan, at(dev), promotion.PhaseOpen, "waiting for the pull request to show the head of its branch")
	if plan.Next.IsZero() || plan.Next.Sub(w.s.Now) > 30*time.Second {
		t.Errorf("it is looked at again %s", plan.Next)
	}
	w.openPR(at(dev)).Head = shown
	w.wantRecords(w.decide(), "authorize dev/checkout 1.1.0")
}

func TestARevertByHandIsARollback(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.change(at(prod), value("1.0.0"), bob)
	plan := w.step()
	adopted := plan.Records[0]
	if adopted.Kind != promotion.RecordAdopt || adopted.Restores == "" || adopted.Reason != "rolled back by hand" {
		t.Fatalf("the adopt is %+v", adopted)
	}
	bar := plan.Records[1]
	if bar.Kind != promotion.RecordQuarantine || bar.Digest != digest("1.1.0") || bar.Actor.Person != bob || bar.Causers[0] != carol {
		t.Fatalf("the second record is %+v", bar)
	}
	plan = w.settled()
	w.wantState(plan, at(prod), promotion.PhaseRolledBack, "")
	w.wantLive(at(prod), "1.0.0")
	w.wantState(plan, at(dev), promotion.PhaseUnhealthy, "1.1.0 is quarantined and still live here")
}

func TestConfigurationByPeopleIsRecordedAsARange(t *testing.T) {
	w := newWorld(t)
	from := w.s.Base.Head
	w.commit(promotion.BaseChange{Governs: true, MergedBy: ada})
	w.commit(promotion.BaseChange{})
	last := w.commit(promotion.BaseChange{Environments: []promotion.Environment{dev}, MergedBy: ada}).Commit
	plan := w.step()
	w.wantRecords(plan, "adopt")
	if r := plan.Records[0].Range; r == nil || r.From != from || r.To != last {
		t.Errorf("the range is %+v", plan.Records[0].Range)
	}
	if !plan.Lone {
		t.Error("it does not wait for company")
	}
	w.changesNothing(w.step())
	// Commits that concern no environment are not recorded one by one.
	for range 199 {
		w.commit(promotion.BaseChange{})
	}
	w.changesNothing(w.decide())
	w.commit(promotion.BaseChange{})
	w.wantRecords(w.decide(), "adopt")
}

func TestReasonsThatHoldEverything(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		want   string
	}{
		"the ledger can't be trusted": {func(w *world) { w.s.Ledger.Problem = "the ledger branch is gone: restore it" }, "the ledger branch is gone: restore it"},
		"the base was rewound":        {func(w *world) { w.s.Base.Rewound = true }, "the base branch was rewound"},
		"nothing could be observed":   {func(w *world) { w.s.Problem = "the repository can't be read" }, "the repository can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.merges = false })
			w.publish("1.1.0")
			w.step()
			w.step()
			c.change(w)
			w.publish("1.2.0")
			w.change(at(prod), value("1.4.0"), bob)
			w.say(1, ada, 0, "/rollback checkout in staging")
			w.s.PullRequests = append(w.s.PullRequests, ordinary(5))
			plan := w.decide()
			w.changesNothing(plan)
			if len(plan.Comments) != 1 || plan.Comments[0].React != "confused" || !strings.Contains(plan.Comments[0].Body, c.want) {
				t.Errorf("the command is not answered with the reason: %+v", plan.Comments)
			}
			for _, e := range []promotion.Environment{dev, staging, prod} {
				w.wantState(plan, at(e), promotion.PhaseHeld, c.want)
			}
			if got := check(plan, w.openPR(at(dev)).Number, at(dev)); got == nil || got.Conclusion != "action_required" || !strings.Contains(got.Summary, strings.Fields(c.want)[1]) {
				t.Errorf("the promotion's check is %+v", got)
			}
			if got := check(plan, 5, promotion.Pair{}); got == nil || got.Conclusion != "success" {
				t.Errorf("an ordinary pull request is blocked: %+v", got)
			}
		})
	}
}

func TestARepositoryWithoutConfigurationCostsNothing(t *testing.T) {
	w := newWorld(t)
	w.s.Configured, w.s.Pipeline = false, promotion.Pipeline{}
	w.s.PullRequests = []promotion.PullRequestState{ordinary(5)}
	plan := w.decide()
	w.changesNothing(plan)
	if len(plan.Checks) > 0 || len(plan.Pairs) > 0 || len(plan.Notes) != 1 {
		t.Errorf("checks %v, pairs %v, notes %v", plan.Checks, plan.Pairs, plan.Notes)
	}
}

func TestWhatEventsHeldThatCannotBeUsedIsTold(t *testing.T) {
	for name, problem := range map[string]string{"a pass": "", "while everything is held": "it can't be read"} {
		w := newWorld(t)
		w.s.Problem = problem
		w.s.Unusable = []promotion.Unusable{{At: w.s.Now, By: promotion.Person{ID: 5, Login: "ada"}, Text: `"1;2" is not a version`}}
		notes := strings.Join(w.decide().Notes, "\n")
		if !strings.Contains(notes, `"1;2" is not a version (sent by ada)`) || !strings.Contains(notes, problem) {
			t.Errorf("%s: notes are %q", name, notes)
		}
	}
}

func TestAConfigurationErrorHoldsOnlyItsEnvironments(t *testing.T) {
	w := newWorld(t)
	w.s.Problems = []promotion.ConfigProblem{{Path: "rung.d/prod.yaml", Line: 4, Column: 2, Text: "unknown field", Environments: []promotion.Environment{prod}}}
	w.climb("1.1.0")
	w.wantLive(at(staging), "1.1.0")
	w.wantLive(at(prod), "1.0.0")
	plan := w.decide()
	w.wantState(plan, at(prod), promotion.PhaseOpen, "hold: held: rung.d/prod.yaml:4:2: unknown field")
	// A rollback needs none of it.
	w.s.Problems = nil
	w.settled()
	w.s.Problems = []promotion.ConfigProblem{{Path: "rung.yaml", Text: "unknown field"}}
	w.say(4, bob, 0, "/rollback checkout in prod")
	w.settled()
	w.wantLive(at(prod), "1.0.0")
}

func TestFreezesHold(t *testing.T) {
	for scope, held := range map[string]map[promotion.Environment]bool{
		"+all":             {dev: true, staging: true, prod: true},
		"staging":          {staging: true},
		"staging/checkout": {staging: true},
		"staging/payments": {},
	} {
		t.Run(scope, func(t *testing.T) {
			w := newWorld(t)
			w.s.Ledger.Freezes[scope] = w.entry(promotion.Record{Kind: promotion.RecordFreeze, Scope: scope, Reason: "the year ends", IssuedAt: begin, Until: begin.Add(time.Hour)})
			w.publish("1.1.0")
			plan := w.settled()
			for _, e := range []promotion.Environment{dev, staging, prod} {
				if held[e] {
					w.wantLive(at(e), "1.0.0")
					if e == dev || scope != "+all" {
						w.wantState(plan, at(e), promotion.PhaseOpen, "freeze: ")
						if st := w.state(plan, at(e)); !st.Look.Equal(begin.Add(time.Hour)) {
							t.Errorf("looked at again at %s", st.Look)
						}
					}
				} else if scope == "staging/payments" || e == dev {
					w.wantLive(at(e), "1.1.0")
				}
			}
			// It ends by itself.
			w.s.Now = begin.Add(time.Hour)
			w.settled()
			w.wantLive(at(prod), "1.1.0")
		})
	}
}

// ordinary is a pull request that is no promotion, examined.
func ordinary(number int) promotion.PullRequestState {
	return promotion.PullRequestState{
		Number: number, State: "open", HeadRef: "feature", Head: hash(9000 + number), Mergeable: "mergeable", Author: bob,
		ChecksComplete: true, Impact: &promotion.Impact{Head: hash(9000 + number)},
	}
}

// The registry shows a version before its announcement comes: whoever published
// it is a causer all the same.
func TestACauserLearntLaterCannotApprove(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	announced := w.s.Available[checkout].Releases[0]
	w.s.Available[checkout].Releases[0].Causers = nil
	w.step()
	w.settled()
	w.approve(at(dev), carol)
	w.s.Available[checkout].Releases[0] = announced
	plan := w.decide()
	w.wantRecords(plan, "propose dev/checkout 1.1.0")
	if got := plan.Records[0].Causers; len(got) != 1 || got[0] != carol {
		t.Errorf("causers are %v, want carol", got)
	}
	if len(plan.Merges) > 0 {
		t.Error("carol approves what she published")
	}
}

// TestThePromotionIsNamedForWhatItStandsOn: what this very pass records has no
// hash yet, and its place in the plan tells nothing of it.
func TestThePromotionIsNamedForWhatItStandsOn(t *testing.T) {
	id := func(other int) string {
		w := newWorld(t)
		w.publish("1.1.0")
		for range other {
			w.hash()
		}
		w.change(at(dev), value("1.0.1"), bob)
		plan := w.decide()
		w.wantRecords(plan, "adopt dev/checkout 1.0.1", "settle dev/checkout 1.0.1 good", "propose dev/checkout 1.1.0")
		return plan.Records[2].Promotion
	}
	if first, again := id(0), id(0); first != again {
		t.Error("the same decision made twice has two names")
	}
	if id(0) == id(1) {
		t.Error("the same version on another commit has the same name")
	}
}

// TestALandingBesideItsPullRequest: somebody pushes the very bytes of an open
// promotion to the base branch. It has landed, and its pull request is still open:
// that is closed before the next version gets one.
func TestALandingBesideItsPullRequest(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	first := w.openPR(at(dev)).Number
	places := w.s.Ledger.Open[at(dev)].Record.Places
	w.s.Places[at(dev)][0].Value = places[0].After
	w.commit(promotion.BaseChange{
		Places: map[promotion.Pair][]promotion.PlaceChange{at(dev): places}, Environments: []promotion.Environment{dev},
		Exact: map[promotion.Pair]bool{at(dev): true}, MergedBy: bob,
	})
	w.publish("1.2.0")
	plan := w.step()
	w.wantRecords(plan, "land dev/checkout 1.1.0", "settle dev/checkout 1.1.0 good", "propose staging/checkout 1.1.0")
	if len(plan.Deletes) != 1 || w.pr(first).State != "closed" {
		t.Errorf("deletes are %v, and #%d is %s", plan.Deletes, first, w.pr(first).State)
	}
	w.settled()
	if pr := w.openPR(at(dev)); pr.Number == first {
		t.Errorf("the next version is proposed on #%d, which is about the one before", first)
	}
	w.approve(at(dev), ada)
	w.settled()
	w.wantLive(at(dev), "1.2.0")
}
