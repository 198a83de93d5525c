package forge

import (
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// run is one check run or commit status, whichever way it was read.
type run struct {
	// id is the check run's number; 0 for a status.
	id         int64
	name       string
	app        int64
	state      string
	url        string
	at         time.Time
	externalID string
	conclusion string
}

// checkState is the word of promotion.CheckFacts for a check run. A run that
// is not completed is pending whatever it concluded before; a word that is not
// known is passed on and counts as pending.
func checkState(status, conclusion string) string {
	status, conclusion = strings.ToLower(status), strings.ToLower(conclusion)
	if status != "completed" {
		return "pending"
	}
	switch conclusion {
	case "":
		return "pending"
	case "failure", "timed_out", "cancelled", "startup_failure":
		return "failure"
	}
	return conclusion
}

// statusState is the word of promotion.CheckFacts for a commit status.
func statusState(state string) string {
	switch s := strings.ToLower(state); s {
	case "failure", "error":
		return "failure"
	case "", "expected":
		return "pending"
	default:
		return s
	}
}

// newestRuns keeps the newest run of each name and App: check runs by their
// numbers, which only grow (a run that waits to start has no times yet), and
// statuses by time. The order is by name, then App.
func newestRuns(runs []run) []promotion.CheckFacts {
	type key struct {
		name   string
		app    int64
		status bool
	}
	newest := map[key]run{}
	for _, r := range runs {
		k := key{r.name, r.app, r.id == 0}
		old, ok := newest[k]
		if !ok || r.id > old.id || (r.id == old.id && r.at.After(old.at)) {
			newest[k] = r
		}
	}
	var facts []promotion.CheckFacts
	for _, r := range newest {
		facts = append(facts, promotion.CheckFacts{Name: r.name, App: r.app, State: r.state, URL: r.url, At: r.at})
	}
	slices.SortFunc(facts, func(a, b promotion.CheckFacts) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		if a.App != b.App {
			return int(min(max(a.App-b.App, -1), 1))
		}
		return strings.Compare(a.State, b.State)
	})
	return facts
}

// ownRuns are the check runs of the App app, newest first.
func ownRuns(runs []run, app int64, head promotion.Hash) []CheckRun {
	var own []CheckRun
	for _, r := range runs {
		if r.id != 0 && r.app == app {
			own = append(own, CheckRun{ID: r.id, Name: r.name, Head: head, ExternalID: r.externalID, Conclusion: r.conclusion})
		}
	}
	slices.SortFunc(own, func(a, b CheckRun) int { return int(min(max(b.ID-a.ID, -1), 1)) })
	return own
}

// mergeability reads REST's two fields. The table of states is explicit: what
// GitHub thinks of checks and reviews (blocked, behind, unstable, has_hooks,
// draft) is judged by gates and says nothing about conflicts; a word of a
// later GitHub is unknown.
func mergeability(mergeable *bool, state string) string {
	if mergeable == nil {
		return MergeUnknown
	}
	switch strings.ToLower(state) {
	case "dirty":
		return MergeConflicting
	case "", "clean", "has_hooks", "unstable", "blocked", "behind", "draft":
		if *mergeable {
			return MergeClean
		}
		return MergeConflicting
	}
	return MergeUnknown
}

// mergeableEnum reads GraphQL's field.
func mergeableEnum(s string) string {
	switch s {
	case "MERGEABLE":
		return MergeClean
	case "CONFLICTING":
		return MergeConflicting
	}
	return MergeUnknown
}

// rulesBuilder joins what several rules ask for: they all apply.
type rulesBuilder struct{ rules promotion.BranchRules }

func (b *rulesBuilder) check(name string, app int64) {
	if app < 0 {
		app = 0
	}
	c := promotion.RequiredCheck{Name: name, App: app}
	if name != "" && !slices.Contains(b.rules.RequiredChecks, c) {
		b.rules.RequiredChecks = append(b.rules.RequiredChecks, c)
	}
}

func (b *rulesBuilder) reviews(n int) { b.rules.RequiredReviews = max(b.rules.RequiredReviews, n) }

// limitMethods leaves only the methods that a rule allows; an empty list
// allows all.
func (b *rulesBuilder) limitMethods(allowed []string) {
	if len(allowed) == 0 {
		return
	}
	b.rules.Methods = slices.DeleteFunc(b.rules.Methods, func(m string) bool {
		return !slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, m) })
	})
}

// done sorts the checks by name. A name that is required from a certain App
// and, by another rule, from any is asked for from that App alone.
func (b *rulesBuilder) done() promotion.BranchRules {
	pinned := map[string]bool{}
	for _, c := range b.rules.RequiredChecks {
		pinned[c.Name] = pinned[c.Name] || c.App != 0
	}
	b.rules.RequiredChecks = slices.DeleteFunc(b.rules.RequiredChecks, func(c promotion.RequiredCheck) bool {
		return c.App == 0 && pinned[c.Name]
	})
	slices.SortFunc(b.rules.RequiredChecks, func(x, y promotion.RequiredCheck) int {
		if c := strings.Compare(x.Name, y.Name); c != 0 {
			return c
		}
		return int(min(max(x.App-y.App, -1), 1))
	})
	return b.rules
}

// methods lists the merge methods that a repository allows.
func methods(merge, squash, rebase bool) []string {
	var m []string
	for _, x := range []struct {
		on   bool
		name string
	}{{merge, "merge"}, {squash, "squash"}, {rebase, "rebase"}} {
		if x.on {
			m = append(m, x.name)
		}
	}
	return m
}
