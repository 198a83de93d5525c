package forge

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/rungbot/rung/internal/promotion"
)

// The kinds of rules that Guards names, in the words of GitHub's rulesets. Classic
// branch protection is put in the same words.
const (
	RuleChecks        = "required_status_checks"
	RulePullRequest   = "pull_request"
	RuleSignatures    = "required_signatures"
	RuleLinear        = "required_linear_history"
	RuleMergeQueue    = "merge_queue"
	RuleUpdate        = "update"
	RuleCreation      = "creation"
	RuleDeletion      = "deletion"
	RuleNoForce       = "non_fast_forward"
	RuleDeployments   = "required_deployments"
	RuleConversations = "required_conversation_resolution"
)

// The ways in which the App may pass a rule.
const (
	BypassAlways = "always"
	BypassPulls  = "pull_requests_only"
	BypassExempt = "exempt"
	BypassNever  = "never"
)

// Guard is one rule on a branch.
type Guard struct {
	// Rule is its kind, GitHub's word.
	Rule string
	// Name is the ruleset's, Page where it is changed.
	Name, Page string
	// Bypass is how the App passes it; empty: not known.
	Bypass string
	// Checks are what RuleChecks wants; Strict wants them on an up-to-date head.
	Checks []promotion.RequiredCheck
	Strict bool
	// Reviews, CodeOwners and LastPush are what RulePullRequest wants to be reviewed,
	// Methods the merge methods that it leaves; none: all.
	Reviews              int
	CodeOwners, LastPush bool
	Methods              []string
}

// Guards are the rules on a branch, whether or not it exists.
type Guards struct {
	Rules []Guard
	// Hidden is true where classic branch protection is on and the App, which does not
	// administer the repository, sees only the checks that it wants.
	Hidden bool
}

// Passes reports whether the App is let past it when it merges a pull request.
func (g *Guard) Passes() bool {
	return g.Bypass == BypassAlways || g.Bypass == BypassExempt || g.Bypass == BypassPulls
}

// ruleShape is one rule as the API lists it for a branch.
type ruleShape struct {
	Type       string `json:"type"`
	Ruleset    int64  `json:"ruleset_id"`
	Parameters struct {
		Checks []struct {
			Context     string `json:"context"`
			Integration int64  `json:"integration_id"`
		} `json:"required_status_checks"`
		Strict     bool     `json:"strict_required_status_checks_policy"`
		Reviews    int      `json:"required_approving_review_count"`
		CodeOwners bool     `json:"require_code_owner_review"`
		LastPush   bool     `json:"require_last_push_approval"`
		Threads    bool     `json:"required_review_thread_resolution"`
		Methods    []string `json:"allowed_merge_methods"`
	} `json:"parameters"`
}

// Guards reads the rules of a branch: those of rulesets, which are there before the
// branch is, and those of classic protection, as far as the App may see them.
func (c *Client) Guards(ctx context.Context, repo promotion.Repository, branch string) (Guards, error) {
	op := fmt.Sprintf("read the rules of %s in %s", branch, repo.FullName())
	rules, err := c.rulesetGuards(ctx, repo, branch)
	if err != nil {
		return Guards{}, translate(op, false, repo, err)
	}
	out := Guards{Rules: rules}
	if err := c.protectionGuards(ctx, repo, branch, &out); err != nil {
		return Guards{}, translate(op, false, repo, err)
	}
	return out, nil
}

// rulesetGuards reads the rules of rulesets on a branch.
func (c *Client) rulesetGuards(ctx context.Context, repo promotion.Repository, branch string) ([]Guard, error) {
	var out []Guard
	root := apiRoot(repo)
	for page := 1; page != 0; {
		var rules []ruleShape
		resp, err := c.getPage(ctx, fmt.Sprintf("%s/rules/branches/%s?per_page=100&page=%d", root, url.PathEscape(branch), page), &rules)
		if missing(err) {
			break // a server without rulesets
		}
		if err != nil {
			return nil, err
		}
		for i := range rules {
			out = append(out, rules[i].guards()...)
		}
		if page = resp.NextPage; page > listPages {
			return nil, fmt.Errorf("%w than %d pages: refused rather than cut", ErrTooMany, listPages)
		}
	}
	return out, c.nameGuards(ctx, root, out)
}

func apiRoot(repo promotion.Repository) string {
	return fmt.Sprintf("repos/%s/%s", repo.Owner, repo.Name)
}

// guards are what one rule asks for.
func (r *ruleShape) guards() []Guard {
	g := Guard{Rule: r.Type, Name: fmt.Sprint(r.Ruleset)}
	p := r.Parameters
	for _, check := range p.Checks {
		g.Checks = append(g.Checks, promotion.RequiredCheck{Name: check.Context, App: max(check.Integration, 0)})
	}
	g.Strict, g.Reviews, g.CodeOwners, g.LastPush, g.Methods = p.Strict, p.Reviews, p.CodeOwners, p.LastPush, p.Methods
	if p.Threads {
		return []Guard{g, {Rule: RuleConversations, Name: g.Name}}
	}
	return []Guard{g}
}

// nameGuards asks each ruleset for its name and whether the App passes it.
func (c *Client) nameGuards(ctx context.Context, root string, rules []Guard) error {
	type ruleset struct {
		Name   string `json:"name"`
		Bypass string `json:"current_user_can_bypass"`
		Links  struct {
			HTML struct {
				Href string `json:"href"`
			} `json:"html"`
		} `json:"_links"`
	}
	known := map[string]ruleset{}
	for i := range rules {
		id := rules[i].Name
		r, ok := known[id]
		if !ok {
			err := c.getJSON(ctx, root+"/rulesets/"+id, &r)
			if err != nil && !missing(err) && !denied(err) {
				return err
			}
			if r.Name == "" {
				r.Name = "number " + id
			}
			known[id] = r
		}
		rules[i].Name, rules[i].Bypass, rules[i].Page = r.Name, r.Bypass, r.Links.HTML.Href
	}
	return nil
}

// protectionShape is classic branch protection.
type protectionShape struct {
	restProtection
	Checks *struct {
		restChecks
		Strict bool `json:"strict"`
	} `json:"required_status_checks"`
	Reviews *struct {
		Count      int        `json:"required_approving_review_count"`
		CodeOwners bool       `json:"require_code_owner_reviews"`
		LastPush   bool       `json:"require_last_push_approval"`
		Bypass     *appsShape `json:"bypass_pull_request_allowances"`
	} `json:"required_pull_request_reviews"`
	Restrictions  *appsShape   `json:"restrictions"`
	Lock          *restEnabled `json:"lock_branch"`
	Conversations *restEnabled `json:"required_conversation_resolution"`
	Force         *restEnabled `json:"allow_force_pushes"`
	Deletions     *restEnabled `json:"allow_deletions"`
}

// appsShape names Apps.
type appsShape struct {
	Apps []appShape `json:"apps"`
}

type appShape struct {
	ID int64 `json:"id"`
}

func (a *appsShape) bypass(app int64) string {
	if a != nil && slices.Contains(a.Apps, appShape{app}) {
		return BypassAlways
	}
	return BypassNever
}

// protectionGuards adds what classic protection asks for.
func (c *Client) protectionGuards(ctx context.Context, repo promotion.Repository, branch string, out *Guards) error {
	root := apiRoot(repo)
	var b restBranch
	if err := c.getJSON(ctx, root+"/branches/"+url.PathEscape(branch), &b); missing(err) {
		return nil // no such branch, so no classic protection of it that can be read
	} else if err != nil {
		return err
	}
	if !b.Protected {
		return nil
	}
	var p protectionShape
	err := c.getJSON(ctx, root+"/branches/"+url.PathEscape(branch)+"/protection", &p)
	switch {
	case missing(err):
		return nil // guarded by rulesets alone
	case denied(err):
		if b.Protection == nil || !b.Protection.Enabled {
			return nil
		}
		checks := &rulesBuilder{}
		checks.checks(b.Protection.Checks)
		if len(checks.rules.RequiredChecks) > 0 {
			out.Rules = append(out.Rules, protectionGuard(c, repo, Guard{Rule: RuleChecks, Checks: checks.rules.RequiredChecks}))
		}
		out.Hidden = true
		return nil
	case err != nil:
		return err
	}
	for _, g := range p.guards(c.app.config.AppID) {
		out.Rules = append(out.Rules, protectionGuard(c, repo, g))
	}
	return nil
}

// protectionGuard names classic protection.
func protectionGuard(c *Client, repo promotion.Repository, g Guard) Guard {
	g.Name, g.Page = "branch protection", c.app.config.WebURL+"/"+repo.FullName()+"/settings/branches"
	if g.Bypass == "" {
		g.Bypass = BypassNever
	}
	return g
}

// guards puts classic protection in the words of rulesets.
func (p *protectionShape) guards(app int64) []Guard {
	var out []Guard
	on := func(e *restEnabled) bool { return e != nil && e.Enabled }
	add := func(yes bool, g Guard) {
		if yes {
			out = append(out, g)
		}
	}
	if p.Checks != nil {
		b := &rulesBuilder{}
		b.checks(&p.Checks.restChecks)
		add(len(b.rules.RequiredChecks) > 0, Guard{Rule: RuleChecks, Checks: b.rules.RequiredChecks, Strict: p.Checks.Strict})
	}
	if r := p.Reviews; r != nil {
		add(true, Guard{Rule: RulePullRequest, Reviews: r.Count, CodeOwners: r.CodeOwners, LastPush: r.LastPush, Bypass: r.Bypass.bypass(app)})
	}
	add(on(p.Signatures), Guard{Rule: RuleSignatures})
	add(on(p.Linear), Guard{Rule: RuleLinear})
	add(on(p.Lock), Guard{Rule: RuleUpdate})
	add(p.Restrictions != nil, Guard{Rule: RuleUpdate, Bypass: p.Restrictions.bypass(app)})
	add(on(p.Conversations), Guard{Rule: RuleConversations})
	add(!on(p.Force), Guard{Rule: RuleNoForce})
	add(!on(p.Deletions), Guard{Rule: RuleDeletion})
	return out
}
