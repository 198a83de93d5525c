package doctor

import (
	"fmt"
	"testing"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/promotion"
)

// The gate rules holds a promotion exactly where the line merge is a failure: they
// can't tell people two things about the same rules.
func TestMergeAgreesWithTheGate(t *testing.T) {
	tried := 0
	for mask := range 1 << 5 {
		for _, method := range []string{"merge", "squash"} {
			for _, commits := range []promotion.Commits{promotion.CommitsRung, promotion.CommitsGitHub} {
				tried++
				f, rules := sound(), promotion.BranchRules{Known: true, Methods: []string{"merge", "squash"}}
				guard := func(bit int, g forge.Guard, change func()) {
					if mask&(1<<bit) != 0 {
						g.Name, g.Bypass = "main", forge.BypassNever
						base(f).OnBase.Value.Rules = append(base(f).OnBase.Value.Rules, g)
						change()
					}
				}
				guard(0, forge.Guard{Rule: forge.RuleSignatures}, func() { rules.SignedCommits = true })
				guard(1, forge.Guard{Rule: forge.RuleLinear}, func() { rules.LinearHistory = true })
				guard(2, forge.Guard{Rule: forge.RuleMergeQueue}, func() { rules.MergeQueue = true })
				guard(3, forge.Guard{Rule: forge.RulePullRequest, Reviews: 1}, func() { rules.RequiredReviews = 1 })
				guard(4, forge.Guard{Rule: forge.RulePullRequest, Methods: []string{"squash"}}, func() { rules.Methods = []string{"squash"} })
				base(f).Pipeline.Commits = commits
				env := &base(f).Pipeline.Environments[0]
				env.Method = method

				held := gate.Rules(&promotion.Facts{
					Now: now, Mode: promotion.ModeMerge, Commits: commits, Environment: *env, Rules: rules,
				}, appID).Status != promotion.StatusPass
				said := false
				for _, l := range Judge(f).Lines {
					said = said || l.ID == "merge" && l.Subject == "acme/environments dev" && l.Status == Failure
				}
				if said != held {
					t.Errorf("%05b %s %s: the gate holds: %t, the doctor says so: %t", mask, method, commits, held, said)
				}
			}
		}
	}
	if tried != 128 {
		t.Fatal(fmt.Sprint(tried))
	}
}
