package githubemu

import (
	"net/http"
)

func (s *Server) ruleRoutes() []*route {
	const r = "/repos/{owner}/{repo}"
	return []*route{
		get(r+"/rules/branches/{branch...}", "metadata:read", s.listBranchRules),
		get(r+"/rulesets", "metadata:read", s.listRulesets),
		get(r+"/rulesets/{ruleset}", "metadata:read", s.getRuleset),
	}
}

// kinds names the rules that a ruleset consists of, as the API does.
func (rule *Ruleset) kinds() []string {
	var out []string
	add := func(on bool, kind string) {
		if on {
			out = append(out, kind)
		}
	}
	add(rule.RestrictUpdates, "update")
	add(rule.BlockDeletion, "deletion")
	add(rule.BlockForcePush, "non_fast_forward")
	add(rule.LinearHistory, "required_linear_history")
	add(rule.SignedCommits, "required_signatures")
	add(rule.RequirePull || rule.RequiredReviews > 0, "pull_request")
	add(len(rule.RequiredChecks) > 0, "required_status_checks")
	add(rule.MergeQueue, "merge_queue")
	return out
}

func (rule *Ruleset) kindJSON(kind string) object {
	o := object{"type": kind}
	switch kind {
	case "update":
		o["parameters"] = object{"update_allows_fetch_and_merge": false}
	case "pull_request":
		methods := rule.Methods
		if len(methods) == 0 {
			methods = []string{"merge", "squash", "rebase"}
		}
		o["parameters"] = object{
			"required_approving_review_count": rule.RequiredReviews, "dismiss_stale_reviews_on_push": rule.DismissStale,
			"require_code_owner_review": false, "require_last_push_approval": rule.LastPushApproval,
			"required_review_thread_resolution": false, "allowed_merge_methods": methods,
		}
	case "required_status_checks":
		rows := []object{}
		for _, rc := range rule.RequiredChecks {
			row := object{"context": rc.Context}
			if rc.AppID != 0 {
				row["integration_id"] = rc.AppID
			}
			rows = append(rows, row)
		}
		o["parameters"] = object{
			"strict_required_status_checks_policy": rule.Strict, "do_not_enforce_on_create": false,
			"required_status_checks": rows,
		}
	case "merge_queue":
		o["parameters"] = object{
			"check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5,
			"max_entries_to_merge": 5, "merge_method": "MERGE", "min_entries_to_merge": 1, "min_entries_to_merge_wait_minutes": 5,
		}
	}
	return o
}

// listBranchRules lists the rules of rulesets, not of protections, on a
// branch.
func (s *Server) listBranchRules(c *call) (reply, error) {
	var all []object
	for _, rule := range c.repo.rulesFor(c.vars["branch"]) {
		if rule.Protection {
			continue
		}
		for _, k := range rule.kinds() {
			o := rule.kindJSON(k)
			o["ruleset_id"], o["ruleset_source"], o["ruleset_source_type"] = rule.ID, c.repo.full(), "Repository"
			all = append(all, o)
		}
	}
	return list(c, all, func(o object) object { return o })
}

func (s *Server) rulesetJSON(r *repo, rule *Ruleset) object {
	enforcement := "active"
	if rule.Disabled {
		enforcement = "disabled"
	}
	u := s.api("/repos/%s/rulesets/%d", r.full(), rule.ID)
	return object{
		"id": rule.ID, "name": rule.Name, "target": "branch", "source_type": "Repository", "source": r.full(),
		"enforcement": enforcement, "node_id": nodeID("RRS", rule.ID), "created_at": stamp(r.CreatedAt), "updated_at": stamp(r.UpdatedAt),
		"_links": object{"self": object{"href": u}, "html": object{"href": s.html("/%s/rules/%d", r.full(), rule.ID)}},
	}
}

func (s *Server) listRulesets(c *call) (reply, error) {
	var all []*Ruleset
	for _, rule := range c.repo.Rules {
		if !rule.Protection {
			all = append(all, rule)
		}
	}
	return list(c, all, func(rule *Ruleset) object { return s.rulesetJSON(c.repo, rule) })
}

func (s *Server) getRuleset(c *call) (reply, error) {
	for _, rule := range c.repo.Rules {
		if rule.ID != c.id("ruleset") || rule.Protection {
			continue
		}
		o := s.rulesetJSON(c.repo, rule)
		include := []string{}
		for _, b := range rule.Branches {
			if b[0] != '~' {
				b = "refs/heads/" + b
			}
			include = append(include, b)
		}
		o["conditions"] = object{"ref_name": object{"include": include, "exclude": []string{}}}
		rows := []object{}
		for _, k := range rule.kinds() {
			rows = append(rows, rule.kindJSON(k))
		}
		o["rules"] = rows
		// Who may bypass is shown to those who may change the rules, and to
		// nobody else.
		if !c.who.isApp() && rank(s.role(c.repo, c.who.acc)) >= rank("admin") {
			o["bypass_actors"] = s.bypassJSON(rule)
		}
		o["current_user_can_bypass"] = "never"
		if s.passes(c.repo, rule, c.who.acc, false) {
			o["current_user_can_bypass"] = "always"
		} else if s.passes(c.repo, rule, c.who.acc, true) {
			o["current_user_can_bypass"] = "pull_requests_only"
		}
		return ok(o)
	}
	return reply{}, notFound()
}

func (s *Server) bypassJSON(rule *Ruleset) []object {
	out := []object{}
	for _, b := range rule.Bypass {
		o := object{"bypass_mode": "always"}
		if b.PullRequestOnly {
			o["bypass_mode"] = "pull_request"
		}
		switch {
		case b.App != "":
			o["actor_type"] = "Integration"
			if a := s.w.appBySlug(b.App); a != nil {
				o["actor_id"] = a.ID
			}
		case b.Person != "":
			o["actor_type"] = "User"
			if a := s.w.user(b.Person); a != nil {
				o["actor_id"] = a.ID
			}
		default:
			o["actor_type"], o["actor_id"] = "RepositoryRole", rank(b.Role)
		}
		out = append(out, o)
	}
	return out
}

// getProtection shows a branch's classic protection to those who administer.
func (s *Server) getProtection(c *call) (reply, error) {
	branch := c.vars["branch"]
	if _, err := s.tip(c.ctx, c.repo, branch); err != nil {
		return reply{}, fail(http.StatusNotFound, "Branch not found")
	}
	for _, rule := range c.repo.rulesFor(branch) {
		if rule.Protection {
			return ok(s.protectionJSON(c.repo, branch, rule))
		}
	}
	return reply{}, fail(http.StatusNotFound, "Branch not protected")
}

// json is a check as classic protection shows it.
func (rc RequiredCheck) json() object {
	row := object{"context": rc.Context, "app_id": nil}
	if rc.AppID != 0 {
		row["app_id"] = rc.AppID
	}
	return row
}

func (s *Server) protectionJSON(r *repo, branch string, rule *Ruleset) object {
	u := s.api("/repos/%s/branches/%s/protection", r.full(), branch)
	o := object{
		"url": u, "enforce_admins": object{"url": u + "/enforce_admins", "enabled": rule.EnforceAdmins},
		"required_linear_history": object{"enabled": rule.LinearHistory}, "allow_force_pushes": object{"enabled": !rule.BlockForcePush},
		"allow_deletions": object{"enabled": !rule.BlockDeletion}, "block_creations": object{"enabled": false},
		"required_conversation_resolution": object{"enabled": false}, "lock_branch": object{"enabled": false},
		"allow_fork_syncing":  object{"enabled": false},
		"required_signatures": object{"url": u + "/required_signatures", "enabled": rule.SignedCommits},
	}
	if len(rule.RequiredChecks) > 0 {
		contexts, checks := []string{}, []object{}
		for _, rc := range rule.RequiredChecks {
			contexts = append(contexts, rc.Context)
			checks = append(checks, rc.json())
		}
		o["required_status_checks"] = object{
			"url": u + "/required_status_checks", "strict": rule.Strict, "contexts": contexts,
			"contexts_url": u + "/required_status_checks/contexts", "checks": checks, "enforcement_level": "non_admins",
		}
	}
	if rule.RequirePull {
		o["required_pull_request_reviews"] = object{
			"url":                   u + "/required_pull_request_reviews",
			"dismiss_stale_reviews": rule.DismissStale, "require_code_owner_reviews": false,
			"required_approving_review_count": rule.RequiredReviews, "require_last_push_approval": rule.LastPushApproval,
		}
	}
	if rule.RestrictUpdates {
		o["restrictions"] = object{
			"url": u + "/restrictions", "users_url": u + "/restrictions/users", "teams_url": u + "/restrictions/teams",
			"apps_url": u + "/restrictions/apps", "users": []object{}, "teams": []object{}, "apps": []object{},
		}
	}
	return o
}
