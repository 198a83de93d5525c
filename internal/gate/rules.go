package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// Rules passes when nothing in the base branch's rules stops the merge, other
// than checks. A review that the forge requires holds in every mode; rules
// about how it is merged (method, linear history, signed commits, merge queue)
// only where rung merges by itself.
//
// In a protected environment it also holds a promotion, in every mode, unless
// those rules require rung's own check from app, the number of rung's own App:
// without it anybody with write merges around all other gates. A rollback it lets
// go: the way back must not depend on it.
func Rules(f *promotion.Facts, app int64) promotion.Verdict {
	if !f.Rules.Known {
		return promotion.Verdict{
			Gate: IDRules, Status: promotion.StatusUnknown, Look: f.Now.Add(retryLater),
			Sentence: "the base branch's rules could not be read, so that it is not known whether rung may merge",
		}
	}
	var findings []finding
	if x, held := unprotected(f, app); held {
		findings = append(findings, x)
	}
	if x, held := requiredReviews(f); held {
		findings = append(findings, x)
	}
	if f.Mode == promotion.ModeMerge {
		findings = append(findings, mergeRules(f)...)
	}
	v := combine(IDRules, "the base branch's rules let it be merged", findings)
	v.Evidence = rulesEvidence(f.Rules)
	return v
}

// unprotected holds a protected environment whose base branch does not require
// rung's check.
func unprotected(f *promotion.Facts, app int64) (finding, bool) {
	if !f.Environment.Protected || f.Kind == promotion.KindRollback || f.Rules.Pins(promotion.CheckName, app) {
		return finding{}, false
	}
	said := "does not require the check " + promotion.CheckName
	for _, r := range f.Rules.RequiredChecks {
		if r.Name != promotion.CheckName {
			continue
		}
		said = "takes the check " + promotion.CheckName + " from any App"
		if r.App != 0 {
			said = fmt.Sprintf("takes the check %s from the App %d", promotion.CheckName, r.App)
		}
	}
	return finding{status: promotion.StatusFail, look: f.Now.Add(retryLater), text: fmt.Sprintf(
		"%s is protected, and the base branch %s: require the check %s with the rung App as its source in the branch's rules, or take protected: true out of rung.yaml",
		f.Environment.Name, said, promotion.CheckName)}, true
}

// requiredReviews holds while the forge wants reviews that are not there. It
// counts leniently (the forge is the judge of that), so that it never waits
// for more than the forge does.
func requiredReviews(f *promotion.Facts) (finding, bool) {
	want := f.Rules.RequiredReviews
	if want <= 0 {
		return finding{}, false
	}
	have, blocked := forgeReviews(f.PullRequest)
	if have >= want && blocked == "" {
		return finding{}, false
	}
	text := fmt.Sprintf("the base branch requires %s and has %d; an App can't approve its own pull request: approve it on GitHub, or move reviews from the branch rule to approvals in rung.yaml, or put the rung App in the ruleset's bypass list",
		count(want, "approving review"), have)
	if blocked != "" {
		text = fmt.Sprintf("%s requested changes, which the base branch's review rule takes as a no; a new review or a dismissal lifts it", blocked)
	}
	return finding{status: promotion.StatusPending, text: text}, true
}

// forgeReviews counts the people whose last decisive review approves, and
// names one who requests changes.
func forgeReviews(pr *promotion.PullRequestFacts) (approved int, blocked string) {
	if pr == nil {
		return 0, ""
	}
	last := map[string]promotion.ReviewFacts{}
	var order []string
	for _, r := range pr.Reviews {
		state := strings.ToLower(r.State)
		if state == "commented" || state == "pending" || r.Author.Bot {
			continue
		}
		if r.Access != nil && r.Access.Error == "" && !writes(r.Access.Permission) {
			continue
		}
		key := strings.ToLower(r.Author.Login)
		if r.Author.ID != 0 {
			key = fmt.Sprintf("#%d", r.Author.ID)
		}
		if _, seen := last[key]; !seen {
			order = append(order, key)
		}
		last[key] = r
	}
	for _, key := range order {
		switch r := last[key]; strings.ToLower(r.State) {
		case "approved":
			approved++
		case "changes_requested":
			if blocked == "" {
				blocked = Who(r.Author)
			}
		}
	}
	return approved, blocked
}

func writes(permission string) bool {
	return permission == "write" || permission == "maintain" || permission == "admin"
}

// mergeRules are the rules about how rung would merge.
func mergeRules(f *promotion.Facts) []finding {
	method := f.Environment.Method
	if method == "" {
		method = "merge"
	}
	var out []finding
	fail := func(format string, args ...any) {
		out = append(out, finding{status: promotion.StatusFail, text: fmt.Sprintf(format, args...)})
	}
	if f.Rules.MergeQueue {
		fail("the base branch has a merge queue, which this rung can't enter; use mode: propose and let people queue the pull request, or put the rung App in the rule's bypass list")
	}
	if len(f.Rules.Methods) > 0 && !slices.Contains(f.Rules.Methods, method) {
		fail("the repository does not allow the merge method %s of %s, but %s; write merge: squash or merge: merge in rung.yaml, or allow it in the repository's settings",
			method, f.Environment.Name, Clip(strings.Join(f.Rules.Methods, ", "), 80))
	}
	if f.Rules.LinearHistory && method == "merge" {
		fail("the base branch requires a linear history, which a merge commit breaks; write merge: squash for %s in rung.yaml", f.Environment.Name)
	}
	if f.Rules.SignedCommits && f.Commits != promotion.CommitsGitHub {
		fail("the base branch's rule \"Require signed commits\" takes only what GitHub can verify, and it can't know rung's signing key; write commits: github in rung.yaml, or put the rung App in the rule's bypass list")
	}
	return out
}

func rulesEvidence(r promotion.BranchRules) []promotion.Evidence {
	var out []promotion.Evidence
	add := func(name string, value any) {
		out = append(out, promotion.Evidence{Name: name, Value: fmt.Sprint(value)})
	}
	if r.RequiredReviews > 0 {
		add("required reviews", r.RequiredReviews)
	}
	if r.SignedCommits {
		add("signed commits", "required")
	}
	if r.LinearHistory {
		add("linear history", "required")
	}
	if r.MergeQueue {
		add("merge queue", "required")
	}
	if len(r.Methods) > 0 {
		add("merge methods", Clip(strings.Join(r.Methods, ", "), 80))
	}
	return out
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
