package decide_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

func TestTheLedgerStartsWithWhatIsLive(t *testing.T) {
	w := newWorld(t)
	w.s.Ledger, w.s.Pipeline.Ledger = promotion.LedgerState{}, ""
	plan := w.step()
	if !plan.StartLedger || plan.Base != w.s.Base.Head || len(plan.Builds) > 0 {
		t.Errorf("StartLedger %v, base %s, %d builds", plan.StartLedger, plan.Base, len(plan.Builds))
	}
	w.wantRecords(plan, "adopt dev/checkout 1.0.0", "adopt staging/checkout 1.0.0", "adopt prod/checkout 1.0.0")
	for _, r := range plan.Records {
		if r.Artifact.Digest != digest("1.0.0") || len(r.Places) != 1 || r.Places[0].After != value("1.0.0") || r.Actor.Kind != "rung" {
			t.Errorf("the adopt of %s is %+v", r.Environment, r)
		}
	}
	next := w.step()
	w.wantRecords(next, "settle dev/checkout 1.0.0 good", "settle staging/checkout 1.0.0 good", "settle prod/checkout 1.0.0 good")
	if !next.Onboard {
		t.Error("nobody asks to pin the ledger in rung.yaml")
	}
	if !strings.Contains(strings.Join(next.Notes, "\n"), "merge the pull request that adds `ledger: "+string(w.s.Ledger.First)) {
		t.Errorf("notes are %q", next.Notes)
	}
}

func TestOnboardingIsNotForcedOnPeople(t *testing.T) {
	w := newWorld(t)
	w.s.Pipeline.Ledger = ""
	w.s.PullRequests = []promotion.PullRequestState{{Number: 3, State: "closed", HeadRef: strings.TrimPrefix(promotion.OnboardRef, "refs/heads/")}}
	if w.decide().Onboard {
		t.Error("a pull request that somebody closed is opened again")
	}
	w.s.PullRequests, w.s.ForgeRead = nil, false
	if w.decide().Onboard {
		t.Error("a pull request is opened without asking the forge whether there was one")
	}
}

func TestARepositoryAtRestChangesNothing(t *testing.T) {
	w := newWorld(t)
	plan := w.decide()
	w.changesNothing(plan)
	for _, e := range []promotion.Environment{dev, staging, prod} {
		w.wantState(plan, at(e), promotion.PhaseIdle, "")
	}
}

func TestANewVersionIsProposedInTheFirstEnvironment(t *testing.T) {
	w := newWorld(t)
	w.publish("1.1.0")
	plan := w.decide()
	w.wantRecords(plan, "propose dev/checkout 1.1.0")
	r := plan.Records[0]
	if len(r.Places) != 1 || r.Places[0].Before != value("1.0.0") || r.Places[0].After != value("1.1.0") || r.Places[0].Path != "environments/dev/kustomization.yaml" {
		t.Errorf("places are %+v", r.Places)
	}
	if len(r.Causers) != 1 || r.Causers[0] != carol || r.Cause.ID != "delivery-1.1.0" || r.Promotion == "" || r.Base.Judged != w.s.Base.Head || r.From != nil {
		t.Errorf("the record is %+v", r)
	}
	if len(plan.Builds) != 1 || plan.Builds[0].Pair != at(dev) || plan.Builds[0].Old != "" || plan.Builds[0].Base != w.s.Base.Head || plan.Builds[0].Subject != "Promote checkout 1.1.0 to dev" {
		t.Errorf("builds are %+v", plan.Builds)
	}
	if len(plan.Opens) != 1 || plan.Opens[0].Branch != "refs/heads/rung/p/dev/checkout" || !strings.Contains(plan.Opens[0].Body, "{{head}}") {
		t.Errorf("opens are %+v", plan.Opens)
	}
	if len(plan.Merges) != 0 || check(plan, 0, at(dev)) == nil {
		t.Errorf("merges %v, checks %v", plan.Merges, plan.Checks)
	}
	if plan.Lone {
		t.Error("a proposal waits for company")
	}
}

func TestAVersionClimbsOneRungAtATime(t *testing.T) {
	w := newWorld(t)
	w.publish("1.1.0")
	w.step()
	opened := w.openPR(at(dev))
	plan := w.step()
	w.wantRecords(plan, "authorize dev/checkout 1.1.0")
	a := plan.Records[0]
	if a.PullRequest.Number != opened.Number || a.PullRequest.Head == "" || a.PullRequest.Tree == "" || len(a.Gates) < 7 || a.Base.Judged == "" {
		t.Errorf("the authorize record is %+v", a)
	}
	if len(plan.Merges) != 1 || plan.Merges[0].Head != a.PullRequest.Head || plan.Merges[0].Method != "merge" || plan.Merges[0].Record != 0 {
		t.Fatalf("merges are %+v", plan.Merges)
	}
	w.wantState(plan, at(dev), promotion.PhaseReady, "every gate passes")
	plan = w.step()
	w.wantRecords(plan, "land dev/checkout 1.1.0", "settle dev/checkout 1.1.0 good", "propose staging/checkout 1.1.0")
	if from := plan.Records[2].From; from == nil || from.Environment != dev || from.Statement != "#0" {
		t.Errorf("the proposal climbs from %+v, want the landing of this pass", from)
	}
	if plan.Base != w.s.Base.Head {
		t.Errorf("base %s, want %s", plan.Base, w.s.Base.Head)
	}
	if got := plan.Deletes[promotion.PromotionBranch(at(dev))]; got == "" {
		t.Error("the landed branch stays")
	}
	w.settled()
	for _, e := range []promotion.Environment{dev, staging, prod} {
		w.wantLive(at(e), "1.1.0")
		l := w.s.Ledger.Live[at(e)]
		if l.Land.Record.Kind != promotion.RecordLand || l.Settle == nil || l.Settle.Record.Outcome != promotion.SettledGood {
			t.Errorf("%s has %s, settled %v", e, l.Land.Record.Kind, l.Settle)
		}
	}
	if len(w.s.Branches) > 0 {
		t.Errorf("branches stay: %v", w.s.Branches)
	}
}

func TestNothingClimbsBeforeItSettledGoodInAllPredecessors(t *testing.T) {
	w := newWorld(t, func(w *world) {
		// dev and staging side by side before prod.
		w.env(staging).After = nil
		w.env(prod).After = []promotion.Environment{dev, staging}
		w.env(staging).Soak = time.Hour
	})
	w.climb("1.1.0")
	w.wantLive(at(dev), "1.1.0")
	w.wantLive(at(staging), "1.1.0")
	w.wantLive(at(prod), "1.0.0")
	plan := w.decide()
	w.wantState(plan, at(prod), promotion.PhaseWaiting, "is verified until")
	w.wantState(plan, at(staging), promotion.PhaseVerifying, "soaks checkout until")
	if want := w.s.Ledger.Live[at(staging)].Land.Record.IssuedAt.Add(time.Hour); !plan.Next.Equal(want) {
		t.Errorf("looked at again at %s, want at the end of the soak, %s", plan.Next, want)
	}
	w.s.Now = w.s.Now.Add(2 * time.Hour)
	w.settled()
	w.wantLive(at(prod), "1.1.0")
}

func TestWhatSettledBadDoesNotClimb(t *testing.T) {
	source := promotion.HealthSource{Status: "smoke"}
	w := newWorld(t, func(w *world) { w.env(dev).Health = []promotion.HealthSource{source} })
	w.publish("1.1.0")
	w.settled()
	w.wantLive(at(dev), "1.1.0")
	w.s.Now = w.s.Now.Add(time.Hour)
	w.s.Health[at(dev)] = []promotion.HealthReading{{Source: source, Status: promotion.StatusFail, At: w.s.Now, Since: w.s.Now.Add(-30 * time.Minute)}}
	plan := w.settled()
	w.wantLive(at(staging), "1.0.0")
	w.wantState(plan, at(dev), promotion.PhaseUnhealthy, "smoke has failed in dev")
	w.wantState(plan, at(staging), promotion.PhaseWaiting, "it settled bad in dev")
	// A newer version goes on.
	w.s.Health = map[promotion.Pair][]promotion.HealthReading{}
	w.publish("1.2.0")
	w.settled()
	w.wantLive(at(dev), "1.2.0")
}

// What a source said of the release before says nothing of the one that this
// pass sees land.
func TestALandingIsNotSettledByAnOlderReading(t *testing.T) {
	source := promotion.HealthSource{Status: "smoke"}
	w := newWorld(t, func(w *world) { w.env(dev).Health = []promotion.HealthSource{source} })
	w.publish("1.1.0")
	for range 10 {
		w.s.Health[at(dev)] = []promotion.HealthReading{{Source: source, Status: promotion.StatusPass, At: w.s.Now, Since: w.s.Now}}
		plan := w.step()
		if got := kinds(plan.Records); slices.Contains(got, "land dev/checkout 1.1.0") {
			w.wantRecords(plan, "land dev/checkout 1.1.0")
			return
		}
	}
	t.Fatal("it never lands")
}

func TestAnAdoptedVersionIsNoCandidate(t *testing.T) {
	w := newWorld(t)
	w.place(at(dev), value("1.5.0"))
	w.start()
	plan := w.decide()
	w.changesNothing(plan)
	w.wantState(plan, at(staging), promotion.PhaseIdle, "")
	// One that somebody put there by hand neither.
	w = newWorld(t)
	w.change(at(dev), value("1.6.0"), bob)
	w.settled()
	w.wantLive(at(staging), "1.0.0")
	if got := w.s.Ledger.Live[at(dev)].Land.Record; got.Kind != promotion.RecordAdopt || got.Actor.Person != bob {
		t.Errorf("dev's record is %s by %v", got.Kind, got.Actor)
	}
}

func TestNeverBelowTheLiveVersion(t *testing.T) {
	w := newWorld(t)
	w.place(at(prod), value("2.0.0"))
	w.start()
	w.climb("1.1.0")
	w.wantLive(at(staging), "1.1.0")
	w.wantLive(at(prod), "2.0.0")
	w.climb("2.1.0")
	w.wantLive(at(prod), "2.1.0")
	// In the first environment likewise.
	w = newWorld(t)
	w.place(at(dev), value("3.0.0"))
	w.start()
	w.publish("1.1.0")
	w.changesNothing(w.decide())
}

func TestEnvironmentsThatNeverNamedTheArtifactArePassedThrough(t *testing.T) {
	w := newWorld(t)
	delete(w.s.Places, at(staging))
	w.start()
	w.climb("1.1.0")
	w.wantLive(at(prod), "1.1.0")
	if from := w.s.Ledger.Live[at(prod)].Land.Record.From; from == nil || from.Environment != dev {
		t.Errorf("it climbed from %+v, want dev", from)
	}
	// A first environment that does not name it makes the next one first.
	w = newWorld(t)
	delete(w.s.Places, at(dev))
	w.start()
	w.climb("1.1.0")
	w.wantLive(at(prod), "1.1.0")
}

func TestAPlaceThatVanishedIsAnError(t *testing.T) {
	w := newWorld(t)
	delete(w.s.Places, at(staging))
	plan := w.decide()
	w.changesNothing(plan)
	w.wantState(plan, at(staging), promotion.PhaseHeld, "staging named checkout before and no longer does")
}

func TestDisagreeingPlacesHoldThePair(t *testing.T) {
	w := newWorld(t)
	w.s.Places[at(dev)] = append(w.s.Places[at(dev)], promotion.Place{Path: "environments/dev/job.yaml", Locator: "image:0:spec.image", Value: value("0.9.0")})
	w.publish("1.1.0")
	plan := w.decide()
	w.changesNothing(plan)
	w.wantState(plan, at(dev), promotion.PhaseHeld, "name different versions of checkout (1.0.0 and 0.9.0); make them agree by hand")
	// Files that can't be read likewise.
	w = newWorld(t)
	w.s.PlaceProblems = map[promotion.Environment]string{dev: "environments/dev/a.yaml:3:1: not YAML"}
	w.publish("1.1.0")
	plan = w.decide()
	w.changesNothing(plan)
	w.wantState(plan, at(dev), promotion.PhaseHeld, "environments/dev/a.yaml:3:1")
}

func TestPlacesThatSayLessStillAgree(t *testing.T) {
	w := newWorld(t)
	w.s.Places[at(dev)] = append(w.s.Places[at(dev)],
		promotion.Place{Path: "environments/dev/values.yaml", Locator: "values:0:image.tag", Value: promotion.Value{Version: "1.0.0"}})
	w.publish("1.1.0")
	plan := w.decide()
	w.wantRecords(plan, "propose dev/checkout 1.1.0")
	if len(plan.Records[0].Places) != 2 {
		t.Errorf("places are %+v", plan.Records[0].Places)
	}
	if !w.state(plan, at(dev)).Unpinned {
		t.Error("a place without a digest is not shown as unpinned")
	}
}

func TestOpenPromotionShownOnceWhenItsPlacesDisagree(t *testing.T) {
	w := newWorld(t, func(w *world) { w.merges = false })
	w.publish("1.1.0")
	w.step()
	w.s.Places[at(dev)] = append(w.s.Places[at(dev)], promotion.Place{Path: "environments/dev/job.yaml", Locator: "image:0:spec.image", Value: value("0.9.0")})
	plan := w.decide()
	w.wantState(plan, at(dev), promotion.PhaseOpen, "name different versions")
	if len(plan.Merges) > 0 {
		t.Error("it is merged all the same")
	}
}

func TestTheRegistrysAnswersThatHold(t *testing.T) {
	for name, c := range map[string]struct {
		releases        []promotion.Release
		err             string
		phase, sentence string
	}{
		"published again":   {[]promotion.Release{{Version: "1.0.0", Digest: digest("other")}}, "", promotion.PhaseWaiting, "1.0.0 was published again"},
		"no digest":         {[]promotion.Release{{Version: "1.1.0"}}, "", promotion.PhaseWaiting, "does not say which digest 1.1.0 is"},
		"unreachable":       {nil, "503", promotion.PhaseWaiting, "the registry can't be read: 503"},
		"nothing":           {nil, "", promotion.PhaseIdle, ""},
		"an older one":      {[]promotion.Release{release("0.9.0")}, "", promotion.PhaseIdle, ""},
		"the same contents": {[]promotion.Release{{Version: "1.1.0", Digest: digest("1.0.0")}}, "", promotion.PhaseIdle, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.s.Available[checkout] = promotion.Availability{Releases: c.releases, Error: c.err}
			plan := w.decide()
			w.changesNothing(plan)
			w.wantState(plan, at(dev), c.phase, c.sentence)
		})
	}
}

func TestPinnedByTagComesToRest(t *testing.T) {
	w := newWorld(t)
	for _, e := range []promotion.Environment{dev, staging, prod} {
		w.env(e).Pin = promotion.PinTag
		w.place(at(e), promotion.Value{Version: "1.0.0"})
	}
	w.start()
	w.climb("1.1.0")
	for _, e := range []promotion.Environment{dev, staging, prod} {
		if got := w.s.Places[at(e)][0].Value; got != (promotion.Value{Version: "1.1.0"}) {
			t.Errorf("%s holds %+v", e, got)
		}
	}
	w.changesNothing(w.decide())
}

func TestPinnedByDigestAloneComesToRest(t *testing.T) {
	w := newWorld(t)
	for _, e := range []promotion.Environment{dev, staging, prod} {
		w.place(at(e), promotion.Value{Digest: digest("1.0.0")})
	}
	w.start()
	w.changesNothing(w.settled())
	w.climb("1.1.0")
	w.wantLive(at(prod), "1.1.0")
}

func TestModeObserveWritesNothing(t *testing.T) {
	w := newWorld(t, func(w *world) { w.s.Pipeline.Mode = promotion.ModeObserve })
	w.publish("1.1.0")
	plan := w.decide()
	w.changesNothing(plan)
	w.wantState(plan, at(dev), promotion.PhaseWaiting, "rung would propose 1.1.0")
	if st := w.state(plan, at(dev)); len(st.Verdicts) == 0 || st.Facts == nil {
		t.Error("it does not show the gates as they stand")
	}
	// Before onboarding neither.
	w.s.Ledger, w.s.Pipeline.Ledger = promotion.LedgerState{}, ""
	plan = w.decide()
	w.changesNothing(plan)
	w.wantState(plan, at(dev), promotion.PhaseWaiting, "rung would propose")
	if len(plan.Pairs) != 3 {
		t.Errorf("%d pairs are shown", len(plan.Pairs))
	}
	// What people do is not recorded either.
	w = newWorld(t, func(w *world) { w.s.Pipeline.Mode = promotion.ModeObserve })
	w.change(at(dev), value("1.3.0"), bob)
	w.say(1, ada, 0, "/freeze all stop")
	plan = w.decide()
	w.changesNothing(plan)
	if len(plan.Comments) != 1 || !strings.Contains(plan.Comments[0].Body, "mode is observe") {
		t.Errorf("the answer is %+v", plan.Comments)
	}
}

func TestModeProposeAuthorisesOnceAndMergesNothing(t *testing.T) {
	w := newWorld(t, func(w *world) { w.s.Pipeline.Mode = promotion.ModePropose })
	w.publish("1.1.0")
	w.step()
	plan := w.step()
	w.wantRecords(plan, "authorize dev/checkout 1.1.0")
	if len(plan.Merges) > 0 {
		t.Fatal("mode propose merges")
	}
	if c := check(plan, w.openPR(at(dev)).Number, at(dev)); c == nil || c.Conclusion != "success" {
		t.Errorf("the check is %+v", c)
	}
	w.changesNothing(w.step())
	w.changesNothing(w.step())
	// A person merges: the landing is theirs, authorised.
	w.merge(at(dev), "merge", bob)
	plan = w.step()
	land := plan.Records[0]
	if land.Kind != promotion.RecordLand || land.Actor.Person != bob || !land.Landed.ByHand || len(land.Landed.Unmet) > 0 {
		t.Errorf("the landing is %s by %v, by hand %v, unmet %v", land.Kind, land.Actor, land.Landed.ByHand, land.Landed.Unmet)
	}
}

func TestAMergeIsPlannedOnlyWithEveryGatePassing(t *testing.T) {
	for name, change := range map[string]func(*world){
		"frozen": func(w *world) {
			w.s.Ledger.Freezes["dev"] = w.entry(promotion.Record{Kind: promotion.RecordFreeze, Scope: "dev", Reason: "no", IssuedAt: begin})
		},
		"needs approval": func(w *world) { w.env(dev).Approvals.Required = 1 },
		"draft":          func(w *world) { w.openPR(at(dev)).Draft = true },
		"edited by hand": func(w *world) {
			h := w.s.Heads[at(dev)]
			h.Ours, h.Problem = false, "bob pushed to it"
			w.s.Heads[at(dev)] = h
		},
		"head moved":        func(w *world) { w.openPR(at(dev)).Head = hash(77777) },
		"rules unknown":     func(w *world) { w.s.Rules.Known = false },
		"a required check":  func(w *world) { w.s.Rules.RequiredChecks = []promotion.RequiredCheck{{Name: "ci"}} },
		"a required review": func(w *world) { w.s.Rules.RequiredReviews = 1 },
		"a merge queue":     func(w *world) { w.s.Rules.MergeQueue = true },
		"checks unread": func(w *world) {
			w.s.Rules.RequiredChecks = []promotion.RequiredCheck{{Name: "ci"}}
			w.openPR(at(dev)).ChecksComplete = false
		},
		"an unreadable policy":  func(w *world) { w.env(dev).Policies = []string{"policies/missing.yaml"} },
		"a configuration error": func(w *world) { w.s.Problems = []promotion.ConfigProblem{{Path: "rung.yaml", Text: "no"}} },
		"mergeability unknown":  func(w *world) { w.openPR(at(dev)).Mergeable = "unknown"; w.s.Base.Head = hash(88888) },
		"the forge refused just": func(w *world) {
			w.s.Refused[at(dev)] = promotion.Refusal{Head: w.openPR(at(dev)).Head, Base: w.s.Base.Head, Text: "a rule says no", Until: w.s.Now.Add(time.Minute)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.publish("1.1.0")
			w.step()
			change(w)
			plan := w.decide()
			if len(plan.Merges) > 0 {
				t.Errorf("it is merged with %+v", w.state(plan, at(dev)).Verdicts)
			}
			if got := kinds(plan.Records); len(got) > 0 {
				t.Errorf("records are %v", got)
			}
			if st := w.state(plan, at(dev)); st.Sentence == "" || st.Phase == promotion.PhaseReady {
				t.Errorf("it is %q without a reason", st.Phase)
			}
			if c := check(plan, w.openPR(at(dev)).Number, at(dev)); c != nil && c.Conclusion == "success" && name != "the forge refused just" {
				t.Error("its check is green")
			}
		})
	}
}

func TestAMergeThatWasRefusedIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.publish("1.1.0")
	w.step()
	no := promotion.Refusal{Head: w.openPR(at(dev)).Head, Base: w.s.Base.Head, Text: "a rule says no", Until: w.s.Now.Add(time.Minute)}
	w.s.Refused[at(dev)] = no
	plan := w.decide()
	w.wantState(plan, at(dev), promotion.PhaseHeld, "the forge refused to merge: a rule says no")
	if !plan.Next.Equal(no.Until) {
		t.Errorf("looked at again at %s, want %s", plan.Next, no.Until)
	}
	for name, later := range map[string]func(*world){
		"when its time has come": func(w *world) { w.s.Now = no.Until },
		"on another base":        func(w *world) { no := no; no.Base = hash(5); w.s.Refused[at(dev)] = no },
		"with another head":      func(w *world) { no := no; no.Head = hash(5); w.s.Refused[at(dev)] = no },
	} {
		now, refused := w.s.Now, w.s.Refused[at(dev)]
		later(w)
		if len(w.decide().Merges) != 1 {
			t.Errorf("it is not tried again %s", name)
		}
		w.s.Now, w.s.Refused[at(dev)] = now, refused
	}
}

func TestApprovalsAreRecordedWithTheAuthorisation(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.step()
	w.wantState(w.decide(), at(dev), promotion.PhaseOpen, "approval: needs 1 approval")
	w.approve(at(dev), carol) // who published it
	w.wantState(w.decide(), at(dev), promotion.PhaseOpen, "caused")
	w.approve(at(dev), bob)
	plan := w.decide()
	w.wantRecords(plan, "authorize dev/checkout 1.1.0")
	if got := plan.Records[0].Approvals; len(got) != 1 || got[0].Person != bob || got[0].Commit != w.openPR(at(dev)).Head {
		t.Errorf("approvals are %+v", got)
	}
}

func TestAnInterruptedPassIsTakenUp(t *testing.T) {
	w := newWorld(t)
	w.publish("1.1.0")
	w.step()
	// The pull request was never opened.
	pr := *w.openPR(at(dev))
	w.s.PullRequests = nil
	plan := w.decide()
	if len(plan.Opens) != 1 || plan.Opens[0].Number != 0 || len(plan.Builds) != 0 || len(plan.Records) != 0 {
		t.Errorf("opens %+v, records %v", plan.Opens, kinds(plan.Records))
	}
	// Unless the forge was not asked.
	w.s.ForgeRead = false
	if plan = w.decide(); len(plan.Opens) > 0 {
		t.Error("a pull request is opened that may be open")
	}
	w.s.ForgeRead = true
	// The branch is gone: it is built again for the same promotion.
	w.s.PullRequests = []promotion.PullRequestState{pr}
	w.s.Branches = map[string]promotion.Hash{}
	plan = w.decide()
	w.wantRecords(plan, "propose dev/checkout 1.1.0")
	if len(plan.Builds) != 1 || plan.Opens[0].Number != pr.Number {
		t.Errorf("builds %+v, opens %+v", plan.Builds, plan.Opens)
	}
}

func TestAHeadIsRebuiltOnlyWhenItConflicts(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.step()
	w.approve(at(dev), carol)
	w.commit(promotion.BaseChange{MergedBy: bob})
	if plan := w.step(); len(plan.Builds) > 0 {
		t.Error("a head is rebuilt though it can be merged")
	}
	w.openPR(at(dev)).Mergeable = "conflicting"
	plan := w.decide()
	w.wantRecords(plan, "propose dev/checkout 1.1.0")
	if len(plan.Builds) != 1 || plan.Builds[0].Old != w.s.Branches[promotion.PromotionBranch(at(dev))] || plan.Builds[0].Base != w.s.Base.Head {
		t.Errorf("builds are %+v", plan.Builds)
	}
	// Not one that somebody else made.
	h := w.s.Heads[at(dev)]
	h.Ours, h.Conflicts = false, true
	w.s.Heads[at(dev)] = h
	if plan = w.decide(); len(plan.Builds) > 0 {
		t.Error("somebody's commits are overwritten by a rebuild")
	}
	w.publish("1.2.0")
	if plan = w.decide(); len(plan.Builds) > 0 {
		t.Error("somebody's commits are overwritten by a newer version")
	}
}

func TestChecksAreWrittenOnce(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	plan := w.step()
	if c := check(plan, 0, at(dev)); c == nil || c.Conclusion != "action_required" || c.Title != "Waits for approval" {
		t.Errorf("the check of a head that is being built is %+v", c)
	}
	plan = w.step()
	if len(plan.Checks) > 0 {
		t.Errorf("a check that says so already is written again: %+v", plan.Checks)
	}
	w.approve(at(dev), bob)
	id := w.openPR(at(dev)).Check.ID
	plan = w.decide()
	if c := check(plan, w.openPR(at(dev)).Number, at(dev)); c == nil || c.ID != id || c.Conclusion != "success" {
		t.Errorf("the check is %+v, want %d to turn green", c, id)
	}
}

func TestACheckTurnsGreenOnlyWithAnAuthorisation(t *testing.T) {
	w := newWorld(t)
	w.publish("1.1.0")
	plan := w.step()
	if c := check(plan, 0, at(dev)); c == nil || c.Conclusion != "action_required" || c.Title != "Waits for head" {
		t.Errorf("the check of a head that is being built is %+v", c)
	}
	plan = w.decide()
	w.wantRecords(plan, "authorize dev/checkout 1.1.0")
	if c := check(plan, w.openPR(at(dev)).Number, at(dev)); c == nil || c.Conclusion != "success" {
		t.Errorf("the check beside the authorisation is %+v", c)
	}
}
