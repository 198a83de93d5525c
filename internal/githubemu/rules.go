package githubemu

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// RequiredCheck is a status check that must pass.
type RequiredCheck struct {
	// Context is the check run's name or the status's context.
	Context string `json:"context"`
	// AppID pins the App that must have posted it. Zero takes anybody's.
	AppID int64 `json:"app_id,omitempty"`
}

// Bypass lets somebody past a ruleset.
type Bypass struct {
	// App is a slug; or Person a login; or Role a least role.
	App    string `json:"app,omitempty"`
	Person string `json:"person,omitempty"`
	Role   string `json:"role,omitempty"`
	// PullRequestOnly limits the bypass to merging pull requests.
	PullRequestOnly bool `json:"pull_request_only,omitempty"`
}

// Ruleset is a set of branch rules: a ruleset in GitHub's sense or, with
// Protection, a classic branch protection, which differs in wording, in the
// endpoints that show it and in that administrators pass unless EnforceAdmins
// is set.
type Ruleset struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	Protection bool   `json:"protection,omitempty"`
	Disabled   bool   `json:"disabled,omitempty"`
	// Branches are patterns as in path.Match, or ~DEFAULT_BRANCH, or ~ALL.
	Branches []string `json:"branches"`

	RequiredChecks []RequiredCheck `json:"required_checks,omitempty"`
	// Strict wants the head to contain the base's tip.
	Strict bool `json:"strict,omitempty"`
	// RequirePull wants changes to come by pull request.
	RequirePull bool `json:"require_pull,omitempty"`
	// RequiredReviews is how many approving reviews a pull request needs.
	RequiredReviews int `json:"required_reviews,omitempty"`
	// DismissStale dismisses approvals when the head moves.
	DismissStale bool `json:"dismiss_stale,omitempty"`
	// LastPushApproval wants an approval from somebody other than the last
	// pusher.
	LastPushApproval bool `json:"last_push_approval,omitempty"`
	SignedCommits    bool `json:"signed_commits,omitempty"`
	LinearHistory    bool `json:"linear_history,omitempty"`
	// RestrictUpdates lets only those who bypass move the branch.
	RestrictUpdates bool `json:"restrict_updates,omitempty"`
	// BlockForcePush and BlockDeletion are always on in a Protection.
	BlockForcePush bool `json:"block_force_push,omitempty"`
	BlockDeletion  bool `json:"block_deletion,omitempty"`
	// Methods limits the merge methods: merge, squash, rebase. Empty is all.
	Methods []string `json:"methods,omitempty"`
	// MergeQueue wants merges to go through the queue.
	MergeQueue    bool     `json:"merge_queue,omitempty"`
	EnforceAdmins bool     `json:"enforce_admins,omitempty"`
	Bypass        []Bypass `json:"bypass,omitempty"`
}

// SetRules replaces a repository's rules.
func (s *Server) SetRules(full string, rules ...Ruleset) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.w.repoNamed(full)
	if r == nil {
		return notFound()
	}
	r.Rules = nil
	for i := range rules {
		rule := rules[i]
		if rule.ID == 0 {
			rule.ID = s.w.next("ruleset")
		}
		if rule.Name == "" {
			rule.Name = fmt.Sprintf("rules %d", rule.ID)
		}
		if len(rule.Branches) == 0 {
			rule.Branches = []string{"~DEFAULT_BRANCH"}
		}
		if rule.Protection {
			rule.BlockForcePush, rule.BlockDeletion = true, true
		}
		rule.RequirePull = rule.RequirePull || rule.RequiredReviews > 0
		r.Rules = append(r.Rules, &rule)
	}
	return nil
}

// rulesFor lists the rules in force on a branch.
func (r *repo) rulesFor(branch string) []*Ruleset {
	var out []*Ruleset
	for _, rule := range r.Rules {
		if rule.Disabled {
			continue
		}
		if slices.ContainsFunc(rule.Branches, func(p string) bool {
			if p == "~ALL" || p == "~DEFAULT_BRANCH" && branch == r.DefaultBranch {
				return true
			}
			hit, err := path.Match(strings.TrimPrefix(p, "refs/heads/"), branch)
			return err == nil && hit
		}) {
			out = append(out, rule)
		}
	}
	return out
}

// passes tells whether somebody is let past a set of rules.
func (s *Server) passes(r *repo, rule *Ruleset, who *account, byPull bool) bool {
	if who == nil {
		return false
	}
	role := s.role(r, who)
	if rule.Protection && !rule.EnforceAdmins && role == "admin" {
		return true
	}
	return slices.ContainsFunc(rule.Bypass, func(b Bypass) bool {
		if b.PullRequestOnly && !byPull {
			return false
		}
		return b.App != "" && fold(who.Login) == fold(b.App)+"[bot]" || b.Person != "" && fold(who.Login) == fold(b.Person) ||
			b.Role != "" && rank(role) >= rank(b.Role)
	})
}

// violation is one rule not kept, in GitHub's words.
type violation struct {
	rule *Ruleset
	text string
}

// pushViolations lists the rules that moving a branch would break. The new
// commits must be in the store already.
func (s *Server) pushViolations(ctx context.Context, r *repo, who *account, up gitstore.RefUpdate) ([]violation, error) {
	branch, isBranch := strings.CutPrefix(up.Ref, "refs/heads/")
	if !isBranch {
		return nil, nil
	}
	var out []violation
	for _, rule := range r.rulesFor(branch) {
		if s.passes(r, rule, who, false) {
			continue
		}
		texts, err := s.pushTexts(ctx, r, rule, up)
		if err != nil {
			return nil, err
		}
		for _, t := range texts {
			out = append(out, violation{rule, t})
		}
	}
	return out, nil
}

func (s *Server) pushTexts(ctx context.Context, r *repo, rule *Ruleset, up gitstore.RefUpdate) ([]string, error) {
	var out []string
	if up.New == gitstore.Zero {
		if rule.BlockDeletion {
			out = append(out, "Cannot delete this branch")
		}
		return out, nil
	}
	if up.Old != gitstore.Zero && rule.BlockForcePush {
		forward, err := s.reaches(ctx, r, up.Old, up.New)
		if err != nil {
			return nil, err
		}
		if !forward {
			out = append(out, "Cannot force-push to this branch")
		}
	}
	if rule.RestrictUpdates {
		out = append(out, rule.restricted())
	}
	if rule.MergeQueue {
		out = append(out, "Changes must be made through the merge queue")
	} else if rule.RequirePull {
		out = append(out, "Changes must be made through a pull request.")
	}
	if t := s.checksText(r, rule, up.New); t != "" && up.Old != gitstore.Zero {
		out = append(out, t)
	}
	more, err := s.historyTexts(ctx, r, rule, up.Old, up.New)
	return append(out, more...), err
}

func (rule *Ruleset) restricted() string {
	if rule.Protection {
		return "You're not authorized to push to this branch. Visit https://docs.github.com/articles/about-protected-branches/ for more information."
	}
	return "Cannot update this protected ref."
}

// historyTexts checks the commits that would come in.
func (s *Server) historyTexts(ctx context.Context, r *repo, rule *Ruleset, old, tip string) ([]string, error) {
	if !rule.SignedCommits && !rule.LinearHistory {
		return nil, nil
	}
	var exclude []string
	if old != gitstore.Zero {
		exclude = []string{old}
	} else if base, err := s.tip(ctx, r, r.DefaultBranch); err == nil {
		exclude = []string{base}
	}
	commits, err := r.git.Log(ctx, tip, exclude, maxCommits)
	if err != nil {
		return nil, err
	}
	var out []string
	if rule.SignedCommits && slices.ContainsFunc(commits, func(c gitstore.Commit) bool { return !s.verified(r, c) }) {
		out = append(out, "Commits must have valid signatures.")
	}
	if rule.LinearHistory && slices.ContainsFunc(commits, func(c gitstore.Commit) bool { return len(c.Parents) > 1 }) {
		out = append(out, "This branch must not contain merge commits.")
	}
	return out, nil
}

// checksText words what is wrong with the required checks of a commit.
func (s *Server) checksText(r *repo, rule *Ruleset, sha string) string {
	by := map[string][]string{}
	for _, rc := range rule.RequiredChecks {
		if st := s.checkState(r, sha, rc); st != "success" {
			by[st] = append(by[st], rc.Context)
		}
	}
	return checksWording(by, len(rule.RequiredChecks))
}

func checksWording(by map[string][]string, total int) string {
	n := 0
	var parts []string
	for _, st := range []string{"failing", "pending", "expected"} {
		if k := len(by[st]); k > 0 {
			n += k
			parts = append(parts, fmt.Sprintf("%d %s", k, st))
		}
	}
	switch {
	case n == 0:
		return ""
	case n == 1:
		for st, names := range by {
			return fmt.Sprintf("Required status check %q is %s.", names[0], st)
		}
	case len(parts) == 1:
		_, st, _ := strings.Cut(parts[0], " ")
		return fmt.Sprintf("%d of %d required status checks are %s.", n, total, st)
	}
	return fmt.Sprintf("%d of %d required status checks have not succeeded: %s.", n, total, strings.Join(parts, " and "))
}

// checkState tells how a required check stands on a commit: success, failing,
// pending, or expected when nobody fit has posted it.
func (s *Server) checkState(r *repo, sha string, rc RequiredCheck) string {
	worst := ""
	note := func(state string) {
		order := map[string]int{"success": 1, "pending": 2, "failing": 3}
		if order[state] > order[worst] {
			worst = state
		}
	}
	for _, run := range latestRuns(r.Runs[sha]) {
		if run.Name == rc.Context && (rc.AppID == 0 || rc.AppID == run.AppID) {
			note(run.verdict())
		}
	}
	for _, st := range latestStatuses(r.Statuses[sha]) {
		poster := s.w.user(st.Creator)
		if st.Context == rc.Context && (rc.AppID == 0 || poster != nil && poster.AppID == rc.AppID) {
			note(map[string]string{"success": "success", "pending": "pending"}[st.State])
			if st.State == "failure" || st.State == "error" {
				note("failing")
			}
		}
	}
	if worst == "" {
		return "expected"
	}
	return worst
}

// mergeViolations lists the rules that merging a pull request would break.
func (s *Server) mergeViolations(ctx context.Context, r *repo, p *pull, who *account, method string) ([]violation, error) {
	var out []violation
	for _, rule := range r.rulesFor(p.BaseRef) {
		if s.passes(r, rule, who, true) {
			continue
		}
		texts, err := s.mergeTexts(ctx, r, rule, p, method)
		if err != nil {
			return nil, err
		}
		for _, t := range texts {
			out = append(out, violation{rule, t})
		}
	}
	return out, nil
}

func (s *Server) mergeTexts(ctx context.Context, r *repo, rule *Ruleset, p *pull, method string) ([]string, error) {
	var out []string
	add := func(t string) {
		if t != "" {
			out = append(out, t)
		}
	}
	if rule.RestrictUpdates {
		add(rule.restricted())
	}
	if rule.MergeQueue {
		add("Changes must be made through the merge queue")
	}
	add(s.reviewsText(r, rule, p))
	behind, err := s.behind(ctx, r, rule, p)
	if err != nil {
		return nil, err
	}
	if behind && len(rule.RequiredChecks) > 0 {
		by := map[string][]string{}
		for _, rc := range rule.RequiredChecks {
			by["expected"] = append(by["expected"], rc.Context)
		}
		add(checksWording(by, len(rule.RequiredChecks)))
	} else {
		add(s.checksText(r, rule, p.HeadSHA))
	}
	if method != "" && len(rule.Methods) > 0 && !slices.Contains(rule.Methods, method) {
		add(methodRefused(method))
	}
	tip, err := s.tip(ctx, r, p.BaseRef)
	if err != nil {
		return nil, err
	}
	if method == "squash" {
		return out, nil // one new commit, signed by GitHub, with one parent
	}
	more, err := s.historyTexts(ctx, r, rule, tip, p.HeadSHA)
	if err != nil {
		return nil, err
	}
	if method == "rebase" && rule.SignedCommits {
		more = append(more, "Rebase merges cannot be automatically signed by GitHub.")
	}
	if method == "merge" && rule.LinearHistory && !slices.Contains(more, "This branch must not contain merge commits.") {
		more = append(more, "This branch must not contain merge commits.")
	}
	return append(out, more...), nil
}

func methodRefused(method string) string {
	name := map[string]string{"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}[method]
	return name + " are not allowed on this repository."
}

// behind tells whether a strict rule finds the head out of date.
func (s *Server) behind(ctx context.Context, r *repo, rule *Ruleset, p *pull) (bool, error) {
	if !rule.Strict {
		return false, nil
	}
	tip, err := s.tip(ctx, r, p.BaseRef)
	if err != nil {
		return false, err
	}
	in, err := s.reaches(ctx, r, tip, p.HeadSHA)
	return !in, err
}

// reviewsText words what is missing of reviews.
func (s *Server) reviewsText(r *repo, rule *Ruleset, p *pull) string {
	if rule.RequiredReviews == 0 && !rule.LastPushApproval {
		return ""
	}
	approvals, objections, byOther := 0, 0, false
	for _, rv := range p.decisive() {
		who := s.w.user(rv.User)
		if who == nil || who.Type == "Bot" || fold(rv.User) == fold(r.Issues[p.Number].User) || !s.canPush(r, who) {
			continue
		}
		switch rv.State {
		case "APPROVED":
			approvals++
			byOther = byOther || fold(rv.User) != fold(r.Pushers[p.HeadSHA])
		case "CHANGES_REQUESTED":
			objections++
		}
	}
	switch {
	case objections > 0:
		return fmt.Sprintf("%d review%s requesting changes by reviewers with write access.", objections, plural(objections))
	case approvals < rule.RequiredReviews:
		return fmt.Sprintf("At least %d approving review%s required by reviewers with write access.",
			rule.RequiredReviews, map[bool]string{true: " is", false: "s are"}[rule.RequiredReviews == 1])
	case rule.LastPushApproval && !byOther:
		return "New changes require approval from someone other than the last pusher."
	}
	return ""
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// wording joins violations into one message, as the merge endpoint and the ref
// endpoints answer: those of a protection alone, those of rulesets listed.
func wording(all []violation) string {
	var texts []string
	for _, v := range all {
		if v.rule.Protection {
			return v.text
		}
		if !slices.Contains(texts, v.text) {
			texts = append(texts, v.text)
		}
	}
	return "Repository rule violations found\n\n" + strings.Join(texts, "\n\n") + "\n\n"
}
