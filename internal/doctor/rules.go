package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

// passes reports whether the App is let past a rule.
func passes(g *forge.Guard) bool {
	return g.Bypass == forge.BypassAlways || g.Bypass == forge.BypassExempt
}

// where names the ruleset that a rule belongs to.
func where(g *forge.Guard) string {
	if g.Page == "" {
		return fmt.Sprintf("%q", g.Name)
	}
	return fmt.Sprintf("%q (%s)", g.Name, g.Page)
}

// requiredCheck judges whether the base branch requires rung's check, from rung alone.
func (j *judge) requiredCheck(r *Repository) {
	const id = "required-check"
	guards, ok := j.guards(id, r.Name, r.OnBase)
	if !ok {
		return
	}
	var found []promotion.RequiredCheck
	for _, g := range guards.Rules {
		for _, c := range g.Checks {
			if c.Name == promotion.CheckName {
				found = append(found, c)
			}
		}
	}
	own := slices.Contains(found, promotion.RequiredCheck{Name: promotion.CheckName, App: j.f.AppID})
	other := slices.IndexFunc(found, func(c promotion.RequiredCheck) bool { return c.App != 0 && c.App != j.f.AppID })
	protected := slices.ContainsFunc(r.Pipeline.Environments, func(e promotion.EnvironmentSpec) bool { return e.Protected })
	worst := Warning
	if protected {
		worst = Failure
	}
	fix := fmt.Sprintf("in a ruleset for %s: Require status checks to pass, add rung, and choose the App number %d as its source", r.Base, j.f.AppID)
	switch {
	case other >= 0:
		j.line(id, r.Name, Failure, fmt.Sprintf("%s requires the check rung from another App (number %d), so that rung's own never counts", r.Base, found[other].App), fix)
	case own:
		j.ok(id, r.Name, r.Base+" requires the check rung from this App alone")
	case len(found) > 0:
		j.line(id, r.Name, worst, r.Base+" takes the check rung from anybody: whoever has write could post it green", fix)
	case guards.Hidden:
		j.blind(id, r.Name, worst, r.Base+" has classic branch protection, whose checks the App sees only in part", fix)
	default:
		j.line(id, r.Name, worst, r.Base+" does not require the check rung: anybody with write can merge around the gates", fix)
	}
}

// guards are a branch's rules, if they were seen.
func (j *judge) guards(id, subject string, seen Seen[forge.Guards]) (forge.Guards, bool) {
	if !seen.Looked {
		j.unjudged(id)
		return forge.Guards{}, false
	}
	if seen.Problem != "" {
		j.blind(id, subject, Warning, seen.Problem, "run rung doctor again")
		return forge.Guards{}, false
	}
	return seen.Value, true
}

// stop is a rule that stops a merge, or makes it wait.
type stop struct {
	text, fix string
	// hard: rung can't merge; otherwise it must wait for people, or nobody knows.
	hard bool
}

// merge judges whether rung can merge into an environment.
func (j *judge) merge(r *Repository, e *promotion.EnvironmentSpec) {
	const id = "merge"
	subject := r.Name + " " + string(e.Name)
	guards, ok := j.guards(id, subject, r.OnBase)
	if !ok {
		return
	}
	var stops []stop
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, e.Method) {
		stops = append(stops, stop{
			text: fmt.Sprintf("the repository allows %s, not %s", list(r.Methods), e.Method), hard: true,
			fix: fmt.Sprintf("write merge: squash or merge: merge for %s in rung.yaml, or allow it in the repository's settings", e.Name),
		})
	}
	for i := range guards.Rules {
		if s, stands := j.stops(&guards.Rules[i], r, e); stands {
			stops = append(stops, s)
		}
	}
	if guards.Hidden {
		stops = append(stops, stop{
			text: r.Base + " has classic branch protection, of which an App sees only a part",
			fix:  "see its settings by hand, or replace it by a ruleset, which rung can read",
		})
	}
	worst := slices.IndexFunc(stops, func(s stop) bool { return s.hard })
	merges := r.Pipeline.Mode == promotion.ModeMerge
	switch {
	case worst >= 0 && merges:
		j.line(id, subject, Failure, "rung can't merge: "+stops[worst].text+also(stops, worst), stops[worst].fix)
	case worst >= 0:
		j.line(id, subject, Warning, "in mode merge rung could not merge: "+stops[worst].text+also(stops, worst), stops[worst].fix)
	case len(stops) > 0:
		j.line(id, subject, Warning, stops[0].text+also(stops, 0), stops[0].fix)
	case merges:
		j.ok(id, subject, "no rule stops rung from merging ("+e.Method+")")
	default:
		j.ok(id, subject, "no rule would stop rung from merging; people merge in this mode")
	}
}

// also names how many more there are.
func also(stops []stop, but int) string {
	var more []string
	for i, s := range stops {
		if i != but {
			more = append(more, s.text)
		}
	}
	if len(more) == 0 {
		return ""
	}
	return "; also, " + strings.Join(more, "; also, ")
}

// stops is what one rule of the base branch does to a merge into an environment. What
// gate rules judges is judged alike here.
func (j *judge) stops(g *forge.Guard, r *Repository, e *promotion.EnvironmentSpec) (stop, bool) {
	base := r.Base
	if g.Passes() && g.Rule != forge.RuleChecks { // rung waits for checks all the same
		return stop{}, false
	}
	switch g.Rule {
	case forge.RulePullRequest:
		return reviews(g, r, e)
	case forge.RuleChecks:
		return j.checks(g, r)
	case forge.RuleSignatures:
		return stop{
			text: fmt.Sprintf("%s wants every commit on %s signed so that GitHub can verify it, and it can't know rung's key", where(g), base), hard: true,
			fix: "write commits: github in rung.yaml: GitHub then makes and signs the promotion's commits, and the records carry the proof",
		}, r.Pipeline.Commits != promotion.CommitsGitHub
	case forge.RuleLinear:
		return stop{
			text: fmt.Sprintf("%s wants a linear history on %s, which a merge commit breaks", where(g), base), hard: true,
			fix: fmt.Sprintf("write merge: squash for %s in rung.yaml", e.Name),
		}, e.Method != "squash"
	case forge.RuleMergeQueue:
		return stop{
			text: fmt.Sprintf("%s wants a merge queue on %s, which this rung can't enter", where(g), base), hard: true,
			fix: "write mode: propose in rung.yaml and let people queue, or take the queue off " + base,
		}, true
	case forge.RuleUpdate:
		return stop{
			text: fmt.Sprintf("%s lets only those on its bypass list change %s, and the App is not among them", where(g), base), hard: true,
			fix: "put the App in the bypass list of that rule, for pull requests",
		}, true
	case forge.RuleConversations, forge.RuleDeployments, "workflows", "code_scanning", "code_quality", "copilot_code_review":
		return stop{
			text: fmt.Sprintf("%s has the rule %s on %s, which a promotion may have to wait for", where(g), g.Rule, base),
			fix:  "see that it is fulfilled on promotions' pull requests, or exclude rung's",
		}, true
	case forge.RuleNoForce, forge.RuleDeletion, forge.RuleCreation, "branch_name_pattern", "tag_name_pattern":
		return stop{}, false
	}
	return stop{
		text: fmt.Sprintf("%s has the rule %s on %s, of which it is not known whether it stops promotions", where(g), g.Rule, base),
		fix:  "try it with a promotion into the first environment, or put the App in the bypass list of that rule",
	}, true
}

// reviews is a rule that wants reviews, or leaves some merge methods only.
func reviews(g *forge.Guard, r *Repository, e *promotion.EnvironmentSpec) (stop, bool) {
	if len(g.Methods) > 0 && !slices.Contains(g.Methods, e.Method) {
		return stop{
			text: fmt.Sprintf("%s allows %s on %s, not %s", where(g), list(g.Methods), r.Base, e.Method), hard: true,
			fix: fmt.Sprintf("write another merge: for %s in rung.yaml", e.Name),
		}, true
	}
	n := g.Reviews
	if g.CodeOwners || g.LastPush {
		n = max(n, 1)
	}
	if n == 0 {
		return stop{}, false
	}
	text := fmt.Sprintf("%s wants %s on every pull request into %s, which an App can't give", where(g), count(n, "approving review"), r.Base)
	fix := "take the reviews out of the rule and put them into approvals: in rung.yaml, where they count for the environments that need them"
	if e.Approvals.Required >= n {
		return stop{text: text + fmt.Sprintf("; promotions into %s wait for a person anyway, and so do its rollbacks by this rule", e.Name), fix: fix}, true
	}
	return stop{text: text, fix: fix, hard: true}, true
}

// checks is a rule that wants checks.
func (j *judge) checks(g *forge.Guard, r *Repository) (stop, bool) {
	for _, c := range g.Checks {
		if c.Name == promotion.CheckName && c.App != 0 && c.App != j.f.AppID {
			return stop{
				text: fmt.Sprintf("%s wants the check rung from another App (number %d)", where(g), c.App), hard: true,
				fix: fmt.Sprintf("choose the App number %d as the source of the check rung", j.f.AppID),
			}, true
		}
	}
	if g.Strict && len(g.Checks) > 0 {
		return stop{
			text: fmt.Sprintf("%s wants branches up to date with %s, so that a promotion waits for somebody's Update branch when another lands first", where(g), r.Base),
			fix:  "untick Require branches to be up to date before merging: rung judges each promotion on the newest base anyway",
		}, true
	}
	return stop{}, false
}

// blocks is a rule that keeps rung from pushing to a branch of its own.
func blocks(g *forge.Guard, exists bool) (string, bool) {
	if passes(g) {
		return "", false
	}
	switch g.Rule {
	case forge.RuleSignatures:
		return "wants commits that GitHub can verify, and it can't know rung's key", true
	case forge.RulePullRequest:
		return "wants changes to come by pull request", true
	case forge.RuleChecks:
		return "wants checks before a push", true
	case forge.RuleUpdate:
		return "lets only those on its bypass list push, and the App is not among them", true
	case forge.RuleMergeQueue:
		return "wants a merge queue", true
	case forge.RuleDeployments:
		return "wants deployments before a push", true
	case forge.RuleCreation:
		return "lets only those on its bypass list create the branch", !exists
	}
	return "", false
}

// ledgerBranch judges the rules of rung/ledger.
func (j *judge) ledgerBranch(r *Repository) {
	const id = "ledger-branch"
	guards, ok := j.guards(id, r.Name, r.OnLedger)
	if !ok {
		return
	}
	kept := map[string]bool{}
	for i := range guards.Rules {
		g := &guards.Rules[i]
		if text, blocked := blocks(g, r.Tip != ""); blocked {
			if g.Bypass == "" {
				j.hiddenBypass(id, r.Name, g)
				return
			}
			j.line(id, r.Name, Failure, fmt.Sprintf("the ruleset %s %s: rung can't write rung/ledger, and so can't promote", where(g), text), "exclude rung/** from that ruleset, or put the App in its bypass list with Always allow")
			return
		}
		kept[g.Rule] = true
	}
	var lacks []string
	for _, want := range []struct{ rule, words string }{
		{forge.RuleUpdate, "pushed to by anybody with write"}, {forge.RuleDeletion, "deleted"}, {forge.RuleNoForce, "rewritten"},
	} {
		if !kept[want.rule] {
			lacks = append(lacks, want.words)
		}
	}
	if len(lacks) > 0 {
		j.line(id, r.Name, Warning, "the branch rung/ledger can be "+strings.Join(lacks, ", and "), "add this ruleset (Settings, Rules, New ruleset, Import): "+LedgerRuleset(j.f.AppID))
		return
	}
	j.ok(id, r.Name, "nobody but the App can change rung/ledger")
}

// hiddenBypass is a rule of which it is not told whether the App passes it.
func (j *judge) hiddenBypass(id, subject string, g *forge.Guard) {
	j.blind(id, subject, Warning, fmt.Sprintf("GitHub does not say whether the App passes the rule %s of %s, which would stop it", g.Rule, where(g)), "see by hand that the App is in that ruleset's bypass list with Always allow")
}

// LedgerRuleset is the ruleset that guards the ledger's branch, as GitHub imports it:
// nobody but the App creates, updates, deletes or rewrites it.
func LedgerRuleset(app int64) string {
	type object = map[string]any
	data, err := json.Marshal(object{
		"name": "rung/ledger", "target": "branch", "enforcement": "active",
		"conditions":    object{"ref_name": object{"include": []string{promotion.LedgerRef}, "exclude": []string{}}},
		"rules":         []object{{"type": forge.RuleCreation}, {"type": forge.RuleUpdate}, {"type": forge.RuleDeletion}, {"type": forge.RuleNoForce}},
		"bypass_actors": []object{{"actor_id": app, "actor_type": "Integration", "bypass_mode": "always"}},
	})
	if err != nil {
		return err.Error() // a map of strings and numbers always has JSON
	}
	return string(data)
}

// promotionBranches judges the rules of rung/p.
func (j *judge) promotionBranches(r *Repository) {
	const id = "promotion-branches"
	guards, ok := j.guards(id, r.Name, r.OnPromotions)
	if !ok {
		return
	}
	for i := range guards.Rules {
		g := &guards.Rules[i]
		text, blocked := blocks(g, false)
		if g.Rule == forge.RuleSignatures && r.Pipeline.Commits == promotion.CommitsGitHub {
			blocked = false // GitHub makes and signs them
		}
		if !blocked && !passes(g) && (g.Rule == forge.RuleDeletion || g.Rule == forge.RuleNoForce) {
			text, blocked = "keeps rung from moving or deleting them, which a newer version or a rollback needs", true
		}
		if blocked && g.Bypass == "" {
			j.hiddenBypass(id, r.Name, g)
			return
		}
		if blocked {
			j.line(id, r.Name, Failure, fmt.Sprintf("the ruleset %s %s, on branches such as rung/p/dev/checkout", where(g), text), "exclude rung/** from that ruleset, or put the App in its bypass list with Always allow")
			return
		}
	}
	j.ok(id, r.Name, "no rule keeps rung from its promotions' branches")
}
