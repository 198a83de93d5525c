package forge

import "slices"

// Permission is one that the App asks for, with the events that GitHub offers to
// those who hold it.
type Permission struct {
	// Name is GitHub's own, as in "pull_requests".
	Name string
	// Level is what to ask for: read or write.
	Level string
	// Least is the level below which rung does not work at all; empty where only
	// what Why tells of is lost.
	Least string
	// Organization tells that it is one on an organisation, not on repositories.
	Organization bool
	// Since is the first GitHub Enterprise Server that knows it, as in "3.12";
	// empty where every one does.
	Since string
	// Events are the webhook events that belong to it and that rung takes.
	Events []string
	// Why says what it is for, as the end of "for …".
	Why string
}

// permissions is the one list of what the App asks for: the manifest of rung
// setup, the by-hand list in README.md and MissingPermissions are held to it. What
// belongs to which event is GitHub's page "Webhook events and payloads"; Since is
// the first version whose manual has merge queues. Neither Administration, nor
// Workflows, nor Secrets: a promotion can't touch what guards it.
var permissions = []Permission{
	{Name: "checks", Level: "write", Least: "write", Events: []string{"check_run", "check_suite"}, Why: "the check rung on each promotion, and what other checks say"},
	{Name: "contents", Level: "write", Least: "write", Events: []string{"push", "release", "repository_dispatch"}, Why: "the promotion's commits, the ledger's branch, and news of versions"},
	{Name: "issues", Level: "write", Least: "write", Events: []string{"issue_comment"}, Why: "commands in comments, and the answers to them"},
	{Name: "metadata", Level: "read", Least: "read", Events: []string{"repository"}, Why: "what every App has: a repository's name and who may do what in it"},
	{Name: "pull_requests", Level: "write", Least: "write", Events: []string{"pull_request", "pull_request_review"}, Why: "the promotions themselves, and approvals"},
	{Name: "statuses", Level: "write", Least: "read", Events: []string{"status"}, Why: "statuses of other systems; a ruleset can pin a check to an App only if that may write them"},
	{Name: "actions", Level: "read", Events: []string{"workflow_run"}, Why: "gates that wait for a workflow"},
	{Name: "deployments", Level: "read", Events: []string{"deployment_status"}, Why: "health that a deployment reports"},
	{Name: "merge_queues", Level: "read", Since: "3.12", Events: []string{"merge_group"}, Why: "base branches with a merge queue"},
	{Name: "packages", Level: "read", Events: []string{"registry_package"}, Why: "news of versions that GitHub's registry sends"},
	{Name: "members", Level: "read", Organization: true, Why: "teams that rung.yaml names"},
}

// Permissions is what the App asks for, those that rung can't do without first.
func Permissions() []Permission {
	all := slices.Clone(permissions)
	for i := range all {
		all[i].Events = slices.Clone(all[i].Events)
	}
	return all
}

// MissingPermissions are those that rung needs and granted lacks, as
// "pull_requests: write", sorted.
func MissingPermissions(granted map[string]string) []string {
	var missing []string
	for _, p := range permissions {
		if ranks[granted[p.Name]] < ranks[p.Least] {
			missing = append(missing, p.Name+": "+p.Least)
		}
	}
	slices.Sort(missing)
	return missing
}

// Met tells how a grant meets it: least, that rung works, and full, that nothing is
// lost.
func (p Permission) Met(granted map[string]string) (least, full bool) {
	have := ranks[granted[p.Name]]
	return have >= ranks[p.Least], have >= ranks[p.Level]
}

// Excess is what a grant gives beyond what rung uses, as "deployments: write",
// sorted. Reading metadata belongs to every App.
func Excess(granted map[string]string) []string {
	var more []string
	for name, level := range granted {
		i := slices.IndexFunc(permissions, func(p Permission) bool { return p.Name == name })
		if i < 0 || ranks[level] > ranks[permissions[i].Level] {
			more = append(more, name+": "+level)
		}
	}
	slices.Sort(more)
	return more
}

// ranks orders levels; none and an unknown one are zero.
var ranks = map[string]int{"read": 1, "write": 2, "admin": 3}
