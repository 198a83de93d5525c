package forge

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/rungbot/rung/internal/promotion"
)

// Shapes of REST's answers about the base branch. go-github v60 lacks some, and
// fails to decode others when GitHub adds a new kind of rule.
type (
	restBranch struct {
		Commit struct {
			SHA string `json:"sha"`
		} `json:"commit"`
		Protected  bool `json:"protected"`
		Protection *struct {
			Enabled bool        `json:"enabled"`
			Checks  *restChecks `json:"required_status_checks"`
		} `json:"protection"`
	}
	restChecks struct {
		Enforcement string   `json:"enforcement_level"`
		Contexts    []string `json:"contexts"`
		Checks      []struct {
			Context string `json:"context"`
			App     *int64 `json:"app_id"`
		} `json:"checks"`
	}
	restEnabled struct {
		Enabled bool `json:"enabled"`
	}
	restProtection struct {
		Checks  *restChecks `json:"required_status_checks"`
		Reviews *struct {
			Count int `json:"required_approving_review_count"`
		} `json:"required_pull_request_reviews"`
		Signatures *restEnabled `json:"required_signatures"`
		Linear     *restEnabled `json:"required_linear_history"`
	}
	restRule struct {
		Type       string `json:"type"`
		Parameters *struct {
			Checks []struct {
				Context     string `json:"context"`
				Integration int64  `json:"integration_id"`
			} `json:"required_status_checks"`
			ReviewCount int      `json:"required_approving_review_count"`
			Methods     []string `json:"allowed_merge_methods"`
		} `json:"parameters"`
	}
)

// rules reads what the base branch asks for. Rulesets are open to readers;
// branch protection is for administrators, and what a reader sees of it are
// the required checks alone.
func (r *restReader) rules(ctx context.Context, base string) error {
	s := &r.a.state
	var branch restBranch
	if err := r.c.getJSON(ctx, r.path("/branches/%s", url.PathEscape(base)), &branch); missing(err) {
		return nil
	} else if err != nil {
		return err
	}
	head, err := promotion.ParseHash(branch.Commit.SHA)
	if err != nil {
		return &UnavailableError{Message: "the base branch's head: " + err.Error()}
	}
	s.BaseHead = head
	b := &rulesBuilder{rules: promotion.BranchRules{Known: true, Methods: s.Rules.Methods}}
	if branch.Protected {
		if err := r.protection(ctx, base, &branch, b); err != nil {
			return err
		}
	}
	var all []restRule
	for page, opts := 1, "?per_page=100"; page != 0; opts = fmt.Sprintf("?per_page=100&page=%d", page) {
		var rules []restRule
		resp, err := r.c.getPage(ctx, r.path("/rules/branches/%s%s", url.PathEscape(base), opts), &rules)
		if missing(err) {
			break // a server without rulesets
		}
		if err != nil {
			return err
		}
		all = append(all, rules...)
		if page = resp.NextPage; page > listPages {
			b.rules.Known = false
			break
		}
	}
	plain := &rulesBuilder{rules: b.rules}
	plain.rules.Methods, plain.rules.RequiredChecks = slices.Clone(b.rules.Methods), slices.Clone(b.rules.RequiredChecks)
	plain.rulesets(all)
	if stops(plain.rules, len(s.Rules.Methods)) {
		kinds := make([]string, len(all))
		for i := range all {
			kinds[i] = all[i].Type
		}
		if guards, ok := r.c.whoPasses(ctx, s.Repository, base, kinds); ok {
			b.guards(guards)
			b.rulesets(slices.DeleteFunc(all, func(rule restRule) bool { return slices.Contains(bypassable, rule.Type) }))
			s.Rules = b.done()
			return nil
		}
	}
	s.Rules = plain.done()
	return nil
}

func (r *restReader) protection(ctx context.Context, base string, branch *restBranch, b *rulesBuilder) error {
	var p restProtection
	err := r.c.getJSON(ctx, r.path("/branches/%s/protection", url.PathEscape(base)), &p)
	switch {
	case err == nil:
		b.checks(p.Checks)
		if p.Reviews != nil {
			b.reviews(max(p.Reviews.Count, 0))
		}
		b.rules.SignedCommits = p.Signatures != nil && p.Signatures.Enabled
		b.rules.LinearHistory = p.Linear != nil && p.Linear.Enabled
		return nil
	case denied(err), missing(err):
		// Protected by a ruleset alone, or not for the App's eyes: a reader
		// sees the checks, and GitHub enforces the rest when rung merges.
		if branch.Protection != nil {
			b.checks(branch.Protection.Checks)
		}
		b.rules.Known = missing(err) || branch.Protection != nil
		return nil
	}
	return err
}

func (b *rulesBuilder) checks(c *restChecks) {
	if c == nil || c.Enforcement == "off" {
		return
	}
	for _, check := range c.Checks {
		app := int64(0)
		if check.App != nil {
			app = *check.App
		}
		b.check(check.Context, app)
	}
	if len(c.Checks) == 0 {
		for _, context := range c.Contexts {
			b.check(context, 0)
		}
	}
}

func (b *rulesBuilder) rulesets(rules []restRule) {
	for _, rule := range rules {
		switch rule.Type {
		case "required_signatures":
			b.rules.SignedCommits = true
		case "required_linear_history":
			b.rules.LinearHistory = true
		case "merge_queue":
			b.rules.MergeQueue = true
		case "required_status_checks", "pull_request":
			if rule.Parameters == nil {
				b.rules.Known = false
				continue
			}
			for _, check := range rule.Parameters.Checks {
				b.check(check.Context, check.Integration)
			}
			b.reviews(rule.Parameters.ReviewCount)
			b.limitMethods(rule.Parameters.Methods)
		}
	}
}
