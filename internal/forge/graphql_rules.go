package forge

import (
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// Shapes of the base branch.
type (
	refNode struct {
		Target     *object          `json:"target"`
		Protection *protectionNode  `json:"branchProtectionRule"`
		Update     *updateRuleNode  `json:"refUpdateRule"`
		Rules      *rulesConnection `json:"rules"`
	}
	protectionNode struct {
		Reviews      bool `json:"requiresApprovingReviews"`
		ReviewCount  int  `json:"requiredApprovingReviewCount"`
		Signatures   bool `json:"requiresCommitSignatures"`
		Linear       bool `json:"requiresLinearHistory"`
		StatusChecks bool `json:"requiresStatusChecks"`
		Checks       []struct {
			Context string   `json:"context"`
			App     *appNode `json:"app"`
		} `json:"requiredStatusChecks"`
	}
	updateRuleNode struct {
		ReviewCount int      `json:"requiredApprovingReviewCount"`
		Contexts    []string `json:"requiredStatusCheckContexts"`
		Linear      bool     `json:"requiresLinearHistory"`
		Signatures  bool     `json:"requiresSignatures"`
	}
	rulesConnection struct {
		PageInfo pageInfo `json:"pageInfo"`
		Nodes    []struct {
			Type       string `json:"type"`
			Parameters *struct {
				Checks []struct {
					Context     string `json:"context"`
					Integration int64  `json:"integrationId"`
				} `json:"requiredStatusChecks"`
				ReviewCount int      `json:"requiredApprovingReviewCount"`
				Methods     []string `json:"allowedMergeMethods"`
			} `json:"parameters"`
		} `json:"nodes"`
	}
)

// kinds are the kinds of the rules.
func (r *rulesConnection) kinds() []string {
	if r == nil {
		return nil
	}
	kinds := make([]string, len(r.Nodes))
	for i, n := range r.Nodes {
		kinds[i] = n.Type
	}
	return kinds
}

// rulesOf joins branch protection and rulesets. Protection that only
// administrators may see is replaced by the part of it that everybody may; the
// rules are known when one of the two and the rulesets could be read. guards are the
// rules of rulesets with who passes them, where that was asked.
func rulesOf(ref *refNode, allowed []string, unreadable map[string]bool, guards []Guard, asked bool) promotion.BranchRules {
	b := &rulesBuilder{rules: promotion.BranchRules{Methods: allowed}}
	b.rules.Known = (!unreadable["branchProtectionRule"] || ref.Update != nil) && !unreadable["rules"]
	if p := ref.Protection; p != nil {
		b.rules.SignedCommits, b.rules.LinearHistory = p.Signatures, p.Linear
		if p.Reviews {
			b.reviews(max(p.ReviewCount, 1))
		}
		for _, check := range p.Checks {
			if !p.StatusChecks {
				break
			}
			app := int64(0)
			if check.App != nil {
				app = check.App.DatabaseID
			}
			b.check(check.Context, app)
		}
	} else if u := ref.Update; u != nil {
		b.rules.SignedCommits, b.rules.LinearHistory = u.Signatures, u.Linear
		b.reviews(u.ReviewCount)
		for _, context := range u.Contexts {
			b.check(context, 0)
		}
	}
	if ref.Rules == nil {
		return b.done()
	}
	b.rules.Known = b.rules.Known && !ref.Rules.PageInfo.HasNextPage
	b.guards(guards)
	for _, n := range ref.Rules.Nodes {
		if kind := strings.ToLower(n.Type); asked && slices.Contains(bypassable, kind) {
			continue // guards say it
		}
		switch n.Type {
		case "REQUIRED_SIGNATURES":
			b.rules.SignedCommits = true
		case "REQUIRED_LINEAR_HISTORY":
			b.rules.LinearHistory = true
		case "MERGE_QUEUE":
			b.rules.MergeQueue = true
		case "REQUIRED_STATUS_CHECKS", "PULL_REQUEST":
			if n.Parameters == nil {
				b.rules.Known = false
				continue
			}
			for _, check := range n.Parameters.Checks {
				b.check(check.Context, check.Integration)
			}
			b.reviews(n.Parameters.ReviewCount)
			b.limitMethods(slices.Clone(n.Parameters.Methods))
		}
	}
	return b.done()
}
