package decide_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rungbot/rung/internal/decide"
	"github.com/rungbot/rung/internal/promotion"
)

// testingT is a testing.TB that fails a rapid test.
type testingT struct {
	testing.TB
	r *rapid.T
}

func (t testingT) Helper()                   {}
func (t testingT) Fatal(args ...any)         { t.r.Fatal(args...) }
func (t testingT) Fatalf(f string, a ...any) { t.r.Fatalf(f, a...) }
func (t testingT) Error(args ...any)         { t.r.Error(args...) }
func (t testingT) Errorf(f string, a ...any) { t.r.Errorf(f, a...) }

// TestWhateverHappens lets people, the forge and the registry do anything in any
// order, and holds every plan on the way to what must never be. In the end,
// left alone, the passes come to rest.
func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(testingT{TB: t, r: r})
		w.s.Pipeline.Mode = rapid.SampledFrom([]promotion.Mode{promotion.ModeMerge, promotion.ModeMerge, promotion.ModePropose, promotion.ModeObserve}).Draw(r, "mode")
		for i := range w.s.Pipeline.Environments {
			e := &w.s.Pipeline.Environments[i]
			e.AutoRollback = rapid.Bool().Draw(r, "auto")
			e.Supersede = rapid.SampledFrom([]promotion.Supersede{promotion.SupersedeAlways, promotion.SupersedeNever, promotion.SupersedeUntilApproved}).Draw(r, "supersede")
			e.Approvals.Required = rapid.SampledFrom([]int{0, 0, 1}).Draw(r, "required")
			e.Pin = rapid.SampledFrom([]promotion.Pin{promotion.PinDigest, promotion.PinDigest, promotion.PinTag}).Draw(r, "pin")
			e.ManualChanges = rapid.SampledFrom([]promotion.ManualChanges{promotion.ManualAdopt, promotion.ManualHold, promotion.ManualRevert}).Draw(r, "manual")
			if e.Pin == promotion.PinTag {
				w.place(at(e.Name), promotion.Value{Version: "1.0.0"})
			}
		}
		for range rapid.IntRange(1, 25).Draw(r, "events") {
			w.anything(r)
			plan := w.decide()
			w.never(&plan)
			if rapid.IntRange(0, 9).Draw(r, "lost") > 0 { // sometimes rung stops before it acts
				w.carryOut(&plan)
			} else {
				w.s.Commands = nil
			}
			w.s.Now = w.s.Now.Add(time.Duration(rapid.IntRange(0, 100).Draw(r, "seconds")) * time.Second)
		}
		w.s.Problem, w.s.Ledger.Problem, w.s.Base.Rewound, w.s.ForgeRead = "", "", false, true
		if w.s.Pipeline.Mode == promotion.ModeMerge {
			w.settled()
		}
	})
}

var versions = []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0"}

// anything is one thing that happens to a repository.
func (w *world) anything(r *rapid.T) {
	pair := at(rapid.SampledFrom([]promotion.Environment{dev, staging, prod}).Draw(r, "environment"))
	version := rapid.SampledFrom(versions).Draw(r, "version")
	var pr *promotion.PullRequestState
	for i := range w.s.PullRequests {
		if p := &w.s.PullRequests[i]; p.State == "open" && "refs/heads/"+p.HeadRef == promotion.PromotionBranch(pair) {
			pr = p
		}
	}
	by := rapid.SampledFrom([]promotion.Person{ada, bob, carol, eve}).Draw(r, "by")
	switch what := rapid.SampledFrom([]string{
		"publish", "publish", "say", "say", "say", "approve", "merge", "close", "change", "push", "health", "quarantine", "problem", "forge", "mergeable", "rules", "config",
	}).Draw(r, "what"); what {
	case "publish":
		w.s.Available[checkout] = promotion.Availability{}
		for _, v := range versions[:rapid.IntRange(1, len(versions)).Draw(r, "served")] {
			w.publish(v)
		}
	case "say":
		line := rapid.SampledFrom([]string{
			"/rollback", "/rollback checkout in %s", "/rollback checkout in %s to " + version, "/hold checkout in %s", "/resume checkout in %s", "/freeze %s no", "/unfreeze %s",
			"/freeze all no", "/unfreeze all", "/retry", "/quarantine bad", "/quarantine " + string(digest(version)) + " bad", "/unquarantine " + string(digest(version)) + " good",
			"/adopt fine", "/adopt checkout in %s fine enough", "/why checkout in %s", "/rollback checkout in %s force: now",
		}).Draw(r, "line")
		if strings.Contains(line, "%s") {
			line = fmt.Sprintf(line, pair.Environment)
		}
		pull := 0
		if n := len(w.s.PullRequests); n > 0 {
			pull = w.s.PullRequests[rapid.IntRange(0, n-1).Draw(r, "pull")].Number
		}
		w.n++
		w.say(int64(w.n), by, pull, line)
	case "approve":
		if pr != nil {
			w.approve(pair, by)
		}
	case "merge":
		if pr != nil && w.s.Heads[pair].Ours {
			w.merge(pair, rapid.SampledFrom([]string{"merge", "squash"}).Draw(r, "method"), by)
		}
	case "close":
		if pr != nil {
			pr.State, pr.ClosedBy = "closed", by
			pr.ClosedByAccess = &promotion.Access{Permission: rapid.SampledFrom([]string{"read", "write"}).Draw(r, "access")}
		}
	case "change":
		v := value(version)
		if w.env(pair.Environment).Pin == promotion.PinTag {
			v.Digest = ""
		}
		if v != w.s.Places[pair][0].Value {
			w.change(pair, v, by)
		}
		if h, there := w.s.Heads[pair]; there {
			h.Conflicts = true
			w.s.Heads[pair] = h
		}
	case "push":
		if h, there := w.s.Heads[pair]; there && pr != nil {
			h.Commit = w.hash()
			h.Ours = rapid.Bool().Draw(r, "ours")
			w.s.Heads[pair], pr.Head, w.s.Branches[promotion.PromotionBranch(pair)] = h, h.Commit, h.Commit
		}
	case "health":
		source := promotion.HealthSource{Status: "smoke"}
		w.env(pair.Environment).Health = []promotion.HealthSource{source}
		w.s.Health[pair] = []promotion.HealthReading{{
			Source: source, At: w.s.Now, Since: w.s.Now.Add(-time.Hour),
			Status: rapid.SampledFrom([]promotion.Status{promotion.StatusPass, promotion.StatusFail, promotion.StatusPending, promotion.StatusUnknown}).Draw(r, "health"),
		}}
	case "quarantine":
		w.bar(version)
	case "problem":
		w.s.Ledger.Problem = rapid.SampledFrom([]string{"", "", "the ledger is gone"}).Draw(r, "problem")
		w.s.Base.Rewound = rapid.IntRange(0, 4).Draw(r, "rewound") == 0
	case "forge":
		w.s.ForgeRead = rapid.Bool().Draw(r, "read")
		w.s.Served[digest(version)] = rapid.Bool().Draw(r, "serves")
	case "mergeable":
		if pr != nil {
			pr.Mergeable = rapid.SampledFrom([]string{"mergeable", "unknown", "conflicting"}).Draw(r, "mergeable")
		}
	case "rules":
		w.s.Rules.Known = rapid.Bool().Draw(r, "known")
	case "config":
		w.s.Problems = rapid.SampledFrom([][]promotion.ConfigProblem{nil, nil, {{Path: "rung.yaml", Text: "no", Environments: []promotion.Environment{pair.Environment}}}}).Draw(r, "problems")
	}
}

// never holds a plan to what must not be, whatever the world is like.
func (w *world) never(plan *promotion.Plan) {
	w.t.Helper()
	writes := len(plan.Records)+len(plan.Builds)+len(plan.Deletes)+len(plan.Opens)+len(plan.Merges)+len(plan.Reopens) > 0
	if writes && (w.s.Ledger.Problem != "" || w.s.Base.Rewound || w.s.Problem != "" || w.s.Pipeline.Mode == promotion.ModeObserve) {
		w.t.Errorf("it writes %v though everything is held", kinds(plan.Records))
	}
	if len(plan.Merges) > 0 && w.s.Pipeline.Mode != promotion.ModeMerge {
		w.t.Errorf("mode %s merges", w.s.Pipeline.Mode)
	}
	for _, m := range plan.Merges {
		w.restsOnItsRecord(plan, m)
	}
	bars := map[promotion.Digest]bool{}
	for d, e := range w.s.Ledger.Quarantine {
		bars[d] = e.Record.Kind == promotion.RecordQuarantine
	}
	for _, r := range plan.Records {
		switch r.Kind {
		case promotion.RecordQuarantine:
			bars[r.Digest] = true
		case promotion.RecordUnquarantine:
			bars[r.Digest] = false
		}
	}
	built := map[promotion.Pair]bool{}
	for _, b := range plan.Builds {
		r := plan.Records[b.Record]
		if r.Kind != promotion.RecordPropose || bars[r.Artifact.Digest] {
			w.t.Errorf("a %s of %s is built, barred: %v", r.Kind, r.Artifact.Digest, bars[r.Artifact.Digest])
		}
		if _, deleted := plan.Deletes[promotion.PromotionBranch(b.Pair)]; deleted || built[b.Pair] {
			w.t.Errorf("the branch of %s is built twice, or deleted as well", b.Pair)
		}
		built[b.Pair] = true
		if r.Reverts != "" && w.putBackBefore(plan, b.Pair) {
			w.t.Errorf("%s is put back again, though nobody has answered since", b.Pair)
		}
		for _, c := range r.Places {
			if !strings.HasPrefix(c.Path, "environments/"+string(b.Pair.Environment)+"/") || c.Before == c.After {
				w.t.Errorf("the promotion of %s changes %+v", b.Pair, c)
			}
		}
		if len(r.Places) == 0 {
			w.t.Errorf("the promotion of %s changes nothing", b.Pair)
		}
	}
	shown := map[promotion.Pair]bool{}
	for _, st := range plan.Pairs {
		if shown[st.Pair] {
			w.t.Errorf("%s is shown twice", st.Pair)
		}
		shown[st.Pair] = true
		if st.Phase == promotion.PhaseHeld && st.Sentence == "" {
			w.t.Errorf("%s is held without a reason", st.Pair)
		}
	}
	if len(shown) != 3 {
		w.t.Errorf("%d pairs are shown", len(shown))
	}
}

// putBackBefore reports whether what stood before people changed a pair was itself
// put back by rung.
func (w *world) putBackBefore(plan *promotion.Plan, pair promotion.Pair) bool {
	all := []promotion.Record{w.s.Ledger.Live[pair].Land.Record}
	for _, e := range w.s.Ledger.History[pair] {
		all = append(all, e.Land.Record)
	}
	for _, r := range plan.Records {
		if r.Environment == pair.Environment && (r.Kind == promotion.RecordLand || r.Kind == promotion.RecordAdopt) {
			all = slices.Insert(all, 0, r)
		}
	}
	for _, r := range all {
		if r.Kind != promotion.RecordAdopt || r.Landed == nil || r.Cause.Kind == "comment" || r.Restores != "" {
			return r.Reverts != ""
		}
	}
	return false
}

// restsOnItsRecord holds one merge to its authorisation.
func (w *world) restsOnItsRecord(plan *promotion.Plan, m promotion.Merge) {
	w.t.Helper()
	a := plan.Records[m.Record]
	if a.Kind != promotion.RecordAuthorize || a.PullRequest.Head != m.Head || a.Base.Judged != w.s.Base.Head || a.PullRequest.Number != m.Number || len(a.Gates) == 0 {
		w.t.Errorf("the merge of %s rests on %+v", m.Pair, a)
	}
	for _, g := range a.Gates {
		if g.Status != promotion.StatusPass {
			w.t.Errorf("%s is merged, and %s says %s", m.Pair, g.Gate, g.Sentence)
		}
	}
	i := slices.IndexFunc(plan.Pairs, func(st promotion.PairState) bool { return st.Pair == m.Pair })
	if i < 0 || !promotion.Passed(plan.Pairs[i].Verdicts) {
		w.t.Errorf("%s is merged without every verdict passing", m.Pair)
	}
}

// TestDecideLeavesItsSnapshotAlone holds Decide to being a function.
func TestDecideLeavesItsSnapshotAlone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(testingT{TB: t, r: r})
		for range rapid.IntRange(1, 8).Draw(r, "events") {
			w.anything(r)
			before := w.json(w.s)
			plan := decide.Decide(&w.s, w.bench.Judges(&w.s))
			if after := w.json(w.s); after != before {
				r.Fatalf("the snapshot was\n%s\nand is\n%s", before, after)
			}
			w.carryOut(&plan)
		}
	})
}
