package decide_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

func TestWhoMayUseWhichCommand(t *testing.T) {
	for _, c := range []struct{ line, needs string }{
		{"/why", "read"},
		{"/hold", "write"},
		{"/resume", "write"},
		{"/retry", "write"},
		{"/rollback", "write"},
		{"/quarantine", "write"},
		{"/freeze dev stop", "maintain"},
		{"/unfreeze dev", "maintain"},
		{"/adopt fine", "maintain"},
		{"/unquarantine fine", "write"},
	} {
		for i, permission := range []string{"none", "read", "triage", "write", "maintain", "admin"} {
			t.Run(c.line+" with "+permission, func(t *testing.T) {
				w := newWorld(t)
				w.climb("1.1.0")
				w.say(1, ada, w.landedPR(at(prod)), c.line).Access = promotion.Access{Permission: permission}
				plan := w.decide()
				denied := i < slices.Index([]string{"none", "read", "triage", "write", "maintain", "admin"}, c.needs)
				if !denied {
					if a := w.answer(plan); strings.Contains(a.Body, "access to this repository") {
						t.Errorf("refused: %s", a.Body)
					}
					return
				}
				w.changesNothing(plan)
				verb, _, _ := strings.Cut(c.line, " ")
				w.wantAnswer(plan, "confused", "`"+verb+"` needs "+c.needs+" access to this repository; you have "+permission)
			})
		}
	}
}

func TestAccessThatCouldNotBeReadIsNoAccess(t *testing.T) {
	for name, access := range map[string]promotion.Access{
		"an error": {Permission: "admin", Error: "502"}, "nothing": {}, "an unknown word": {Permission: "owner"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, line := range []string{"/rollback checkout in prod", "/freeze all stop", "/why checkout in dev", "/unquarantine fine"} {
				w := newWorld(t)
				w.climb("1.1.0")
				w.say(1, ada, 0, line).Access = access
				plan := w.decide()
				w.changesNothing(plan)
				w.wantAnswer(plan, "confused", "what you may do here could not be read, so nothing was done")
			}
		})
	}
}

func TestConfiguredCommands(t *testing.T) {
	configure := func(who promotion.Who) func(*world) {
		return func(w *world) { w.env(prod).Commands = map[string]promotion.Who{"rollback": who} }
	}
	for name, c := range map[string]struct {
		who    promotion.Who
		access promotion.Access
		denied string
	}{
		"a member of the team":            {promotion.Who{Teams: []string{"acme/oncall"}}, promotion.Access{Permission: "read", Teams: []string{"acme/oncall"}}, ""},
		"not a member":                    {promotion.Who{Teams: []string{"acme/oncall"}}, promotion.Access{Permission: "admin", Teams: []string{"acme/sre"}}, "`/rollback` is for `acme/oncall` here"},
		"a user, whatever the case":       {promotion.Who{Users: []string{"BOB"}}, promotion.Access{Permission: "read"}, ""},
		"another user":                    {promotion.Who{Users: []string{"ada"}}, promotion.Access{Permission: "admin"}, "`/rollback` is for `ada` here"},
		"a lower permission":              {promotion.Who{Permission: "triage"}, promotion.Access{Permission: "triage"}, ""},
		"a higher permission":             {promotion.Who{Permission: "admin"}, promotion.Access{Permission: "maintain"}, "`/rollback` needs admin access"},
		"a team and too low a permission": {promotion.Who{Permission: "write", Teams: []string{"acme/oncall"}}, promotion.Access{Permission: "read", Teams: []string{"acme/oncall"}}, "needs write access"},
		"nothing said":                    {promotion.Who{}, promotion.Access{Permission: "read"}, "`/rollback` needs write access"},
		"a permission nobody knows":       {promotion.Who{Permission: "owner"}, promotion.Access{Permission: "read"}, "needs"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, configure(c.who))
			w.climb("1.1.0")
			w.say(1, bob, 0, "/rollback checkout in prod").Access = c.access
			plan := w.decide()
			if c.denied == "" {
				w.wantAnswer(plan, "+1", "rolling checkout in prod back")
				return
			}
			w.changesNothing(plan)
			w.wantAnswer(plan, "confused", c.denied)
		})
	}
}

// What is configured for one environment gives no right over others.
func TestCommandsThatReachBeyondOneEnvironment(t *testing.T) {
	everybody := promotion.Who{Permission: "read"}
	open := func(w *world) {
		w.env(dev).Commands = map[string]promotion.Who{"freeze": everybody, "unfreeze": everybody, "quarantine": everybody, "unquarantine": everybody, "hold": everybody}
	}
	for _, line := range []string{"/freeze all stop", "/unfreeze all", "/freeze prod stop", "/hold checkout in prod", "/quarantine " + string(digest("1.0.0")) + " bad", "/unquarantine " + string(digest("1.0.0")) + " fine"} {
		t.Run(line, func(t *testing.T) {
			w := newWorld(t, open)
			w.climb("1.1.0")
			w.bar("0.1.0")
			w.say(1, eve, w.landedPR(at(dev)), line)
			plan := w.decide()
			w.changesNothing(plan)
			w.wantAnswer(plan, "confused", "access to this repository; you have read")
		})
	}
	w := newWorld(t, open)
	w.climb("1.1.0")
	w.say(1, eve, w.landedPR(at(dev)), "/freeze dev stop")
	w.wantRecords(w.decide(), "freeze dev")
}

func TestUnquarantineIsForAnApproverWhoDidNotCauseIt(t *testing.T) {
	sre := promotion.Access{Permission: "write", Teams: []string{"acme/sre"}}
	for name, c := range map[string]struct {
		by     promotion.Person
		access promotion.Access
		digest bool // named by digest, on no pull request
		denied string
	}{
		"an approver":                {ada, sre, false, ""},
		"no approver":                {ada, promotion.Access{Permission: "admin"}, false, "`/unquarantine` is for the approvers of prod: `acme/sre`"},
		"who published it":           {carol, sre, false, "is for somebody who did not cause this version to be here"},
		"an approver, by digest":     {ada, sre, true, ""},
		"no approver, by digest":     {ada, promotion.Access{Permission: "admin"}, true, "`/unquarantine` is for the approvers of prod: `acme/sre`"},
		"who published it by digest": {carol, sre, true, "is for somebody who did not cause this version to be here"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.climb("1.1.0")
			number := w.landedPR(at(prod))
			w.env(prod).Approvals = promotion.ApprovalRule{Required: 1, Teams: []string{"acme/sre"}}
			w.say(1, bob, 0, "/rollback checkout in prod")
			w.settled()
			w.s.Now = w.s.Now.Add(time.Minute)
			line := "/unquarantine it was the database"
			if c.digest {
				number, line = 0, "/unquarantine "+string(digest("1.1.0"))+" it was the database"
			}
			w.say(2, c.by, number, line).Access = c.access
			plan := w.step()
			if c.denied != "" {
				w.changesNothing(plan)
				w.wantAnswer(plan, "confused", c.denied)
				return
			}
			if got := kinds(plan.Records); len(got) == 0 || !strings.HasPrefix(got[0], "unquarantine") {
				t.Fatalf("records are %v, answers %+v", got, plan.Comments)
			}
			r := plan.Records[0]
			if r.Digest != digest("1.1.0") || r.Reason != "it was the database" || r.Actor.Person != c.by || w.answer(plan).React != "+1" {
				t.Errorf("the record is %+v", r)
			}
			w.settled()
			w.wantState(w.decide(), at(prod), promotion.PhaseOpen, "approval")
		})
	}
}

func TestForceIsForAnApproverWhoDidNotCauseIt(t *testing.T) {
	for by, denied := range map[promotion.Person]string{ada: "", carol: "did not cause this version"} {
		w := newWorld(t)
		w.climb("1.1.0")
		w.say(1, by, 0, "/rollback checkout in prod force: there is no other way")
		plan := w.decide()
		if denied != "" {
			w.changesNothing(plan)
			w.wantAnswer(plan, "confused", denied)
			continue
		}
		if len(plan.Records) != 2 || plan.Records[1].Reason != "there is no other way" {
			t.Errorf("records are %v", kinds(plan.Records))
		}
	}
}

// What rung.yaml says of force guards `force:` beside what it says of rollback.
func TestForceCanBeReserved(t *testing.T) {
	for team, denied := range map[string]string{"acme/oncall": "", "acme/sre": "`/rollback` with `force:` is for `acme/oncall` here"} {
		w := newWorld(t, func(w *world) {
			w.env(prod).Commands = map[string]promotion.Who{"force": {Teams: []string{"acme/oncall"}}}
		})
		w.climb("1.1.0")
		access := promotion.Access{Permission: "admin", Teams: []string{team}}
		w.say(1, ada, 0, "/rollback checkout in prod force: there is no other way").Access = access
		plan := w.decide()
		if denied == "" {
			w.wantAnswer(plan, "+1", "rolling checkout in prod back")
			continue
		}
		w.changesNothing(plan)
		w.wantAnswer(plan, "confused", denied)
		w.s.Commands = nil
		w.say(2, ada, 0, "/rollback checkout in prod").Access = access
		w.wantAnswer(w.decide(), "+1", "rolling checkout in prod back")
	}
}

func TestHoldAndResume(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	number := w.landedPR(at(staging))
	w.say(1, bob, number, "/hold wait for the talk")
	plan := w.step()
	w.wantRecords(plan, "freeze staging/checkout")
	if r := plan.Records[0]; r.Reason != "wait for the talk" || r.Actor.Person != bob || w.answer(plan).React != "+1" {
		t.Errorf("the record is %+v", r)
	}
	w.publish("1.2.0")
	plan = w.settled()
	w.wantLive(at(dev), "1.2.0")
	w.wantLive(at(staging), "1.1.0")
	w.wantState(plan, at(staging), promotion.PhaseOpen, "freeze: staging/checkout is frozen until /resume by bob (wait for the talk)")
	w.say(2, bob, w.openPR(at(staging)).Number, "/resume")
	w.wantRecords(w.step(), "unfreeze staging/checkout", "authorize staging/checkout 1.2.0")
	w.settled()
	w.wantLive(at(prod), "1.2.0")
	w.say(3, bob, number, "/resume")
	w.s.Commands[0].At = w.s.Now.Add(time.Minute)
	plan = w.step()
	w.changesNothing(plan)
	w.wantAnswer(plan, "eyes", "is not frozen")
	// Without a reason it says who.
	w.say(4, bob, 0, "/hold checkout in prod")
	w.s.Commands[0].At = w.s.Now.Add(time.Minute)
	if r := w.step().Records[0]; r.Reason != "held by bob" {
		t.Errorf("the reason is %q", r.Reason)
	}
}

func TestFreezeAndUnfreeze(t *testing.T) {
	w := newWorld(t)
	w.say(1, ada, 0, "/freeze all the year ends until 2025-06-03T10:00Z")
	plan := w.step()
	w.wantRecords(plan, "freeze +all")
	if r := plan.Records[0]; !r.Until.Equal(begin.Add(24*time.Hour)) || r.Reason != "the year ends" {
		t.Errorf("the record is %+v", r)
	}
	w.publish("1.1.0")
	w.wantState(w.settled(), at(dev), promotion.PhaseOpen, "freeze: the whole repository is frozen until 2025-06-03 10:00 UTC by ada (the year ends)")
	w.s.Now = w.s.Now.Add(time.Second)
	w.say(2, ada, 0, "/unfreeze all")
	w.step()
	w.settled()
	w.wantLive(at(prod), "1.1.0")
	w.say(3, ada, 0, "/freeze moon never")
	plan = w.step()
	w.changesNothing(plan)
	w.wantAnswer(plan, "confused", "there is no environment `moon` here")
}

func TestCommandsOlderThanTheStandingRecordAreAnsweredNotDone(t *testing.T) {
	w := newWorld(t)
	w.s.Now = begin.Add(time.Hour)
	w.say(1, ada, 0, "/freeze dev stop")
	w.step()
	for _, line := range []string{"/unfreeze dev", "/freeze dev another"} {
		w.say(2, ada, 0, line).At = begin.Add(time.Minute) // said before, heard late
		plan := w.step()
		w.changesNothing(plan)
		if w.answer(plan).To != 2 {
			t.Errorf("%s is not answered: %+v", line, plan.Comments)
		}
	}
}

func TestCommandsAreHeardInTheOrderTheyWereSaid(t *testing.T) {
	w := newWorld(t)
	w.say(2, ada, 0, "/unfreeze dev").At = begin.Add(2 * time.Second)
	w.say(1, ada, 0, "/freeze dev stop").At = begin.Add(time.Second)
	w.s.Now = begin.Add(2 * time.Second)
	w.wantRecords(w.decide(), "freeze dev", "unfreeze dev")
}

func TestQuarantineByDigest(t *testing.T) {
	w := newWorld(t)
	w.climb("1.1.0")
	w.say(1, bob, 0, "/quarantine "+string(digest("1.1.0"))+" it leaks")
	plan := w.step()
	w.wantRecords(plan, "quarantine sha256:"+string(digest("1.1.0"))[7:19])
	w.wantAnswer(plan, "+1", "is quarantined.")
	for _, want := range []string{"`/rollback checkout in dev`", "`/rollback checkout in prod`"} {
		if !strings.Contains(plan.Comments[0].Body, want) {
			t.Errorf("the answer lacks %s", want)
		}
	}
	w.say(2, bob, 0, "/quarantine "+string(digest("1.1.0"))+" again")
	plan = w.step()
	w.changesNothing(plan)
	w.wantAnswer(plan, "eyes", "is quarantined since")
	w.say(3, ada, 0, "/unquarantine "+string(digest("7.7.7"))+" fine")
	plan = w.step()
	w.changesNothing(plan)
	w.wantAnswer(plan, "eyes", "is not quarantined")
}

// The author of "/quarantine" meant the version that the pull request showed
// then, not the one that took it over a moment later.
func TestAQuarantineOfWhatWasNotSeenIsNotDone(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	pull := w.openPR(at(dev)).Number
	c := w.say(1, bob, pull, "/quarantine it leaks")
	c.At = w.s.Now.Add(-time.Minute)
	c.Subject.Since = w.s.Now.Add(-time.Second)
	plan := w.step()
	w.changesNothing(plan)
	w.wantAnswer(plan, "confused", "came here after you wrote that")
	c = w.say(2, bob, pull, "/quarantine it leaks")
	c.Subject.Since = c.At
	w.wantRecords(w.step(), "quarantine "+digest("1.1.0").Short())
}

// A click that comes again, after a restart, on a pull request that is closed and
// whose pair has another one now: what it asked for stands, and nothing is answered.
func TestACommandThatComesAgainIsKnownByWhatItDid(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	pull := w.openPR(at(dev)).Number
	c := w.say(1, bob, pull, "/hold")
	c.Comment, c.Click = 0, "f00d"
	w.wantRecords(w.step(), "freeze dev/checkout")
	c = w.say(1, bob, pull, "/hold")
	c.Comment, c.Click, c.Subject = 0, "f00d", nil
	if plan := w.step(); len(plan.Records) != 0 || len(plan.Comments) != 0 {
		t.Errorf("records %v, answers %v", kinds(plan.Records), plan.Comments)
	}
	c = w.say(1, bob, pull, "/hold")
	c.Comment, c.Click, c.Subject = 0, "beef", nil
	w.wantAnswer(w.decide(), "confused", "name the artifact and the environment")
}

func TestUnquarantineOfAManifestLiftsItsIndex(t *testing.T) {
	w := newWorld(t)
	w.s.Ledger.Quarantine[digest("index")] = w.entry(promotion.Record{
		Kind: promotion.RecordQuarantine, Digest: digest("index"), Children: []promotion.Digest{digest("child")}, IssuedAt: begin.Add(-time.Hour),
	})
	w.say(1, ada, 0, "/unquarantine "+string(digest("child"))+" fine")
	plan := w.decide()
	if len(plan.Records) != 1 || plan.Records[0].Digest != digest("index") {
		t.Errorf("records are %v", kinds(plan.Records))
	}
}

func TestWhyAndHelp(t *testing.T) {
	w := newWorld(t, func(w *world) { w.env(dev).Approvals.Required = 1 })
	w.publish("1.1.0")
	w.settled()
	w.say(1, eve, w.openPR(at(dev)).Number, "/why")
	plan := w.decide()
	w.changesNothing(plan)
	w.wantAnswer(plan, "eyes", "**checkout** in **dev** runs `1.0.0`")
	for _, want := range []string{"needs 1 approval", "| approval |", "pull request"} {
		if !strings.Contains(plan.Comments[0].Body, want) {
			t.Errorf("the answer lacks %q: %s", want, plan.Comments[0].Body)
		}
	}
	w.s.Commands = nil
	w.say(2, eve, 0, "/help")
	w.wantAnswer(w.decide(), "eyes", "`/rollback [artifact]")
}

func TestCommandsThatNameNothing(t *testing.T) {
	for line, want := range map[string]string{
		"/rollback":                      "name the artifact and the environment, such as `/rollback checkout in prod`",
		"/why":                           "name the artifact and the environment",
		"/hold checkout":                 "name the artifact and the environment",
		"/rollback checkout in moon":     "there is no environment `moon` here",
		"/rollback other in prod":        "`prod` has no place for `other`",
		"/rollback in @acme/everyone":    "is not an environment name",
		"/rolback":                       "there is no command /rolback. Say `/help`",
		"/quarantine sha256:12 x":        "is not a digest",
		"/rollback <img src=x> in prod":  "is not an artifact name",
		"/rollback checkout please now":  "is not understood here",
		"/freeze [x](http://evil) later": "is not an environment name",
	} {
		t.Run(line, func(t *testing.T) {
			w := newWorld(t)
			w.climb("1.1.0")
			w.say(1, ada, 0, line)
			plan := w.decide()
			w.changesNothing(plan)
			w.wantAnswer(plan, "confused", want)
			body := plan.Comments[0].Body
			for _, bad := range []string{"@acme", "<img", "](http", "http://"} {
				if strings.Contains(body, bad) {
					t.Errorf("the answer repeats %q: %s", bad, body)
				}
			}
		})
	}
}
