package promotion

import (
	"slices"
	"time"
)

// FactsVersion is the version of the facts document. It grows when a field
// changes its meaning or goes; new optional fields don't change it.
const FactsVersion = 1

// Kinds of promotions.
const (
	// KindPromotion brings a newer version into an environment.
	KindPromotion = "promotion"
	// KindRollback brings the last good version back.
	KindRollback = "rollback"
)

// Facts is everything that is known about one promotion at one instant: what
// gates judge and what kyverno-json policies see. Plain data, the clock
// included. Judging the same Facts twice gives the same verdicts.
type Facts struct {
	// Version is FactsVersion.
	Version int `json:"version"`
	// Now is the instant of observation, UTC. Like every instant here it is in
	// whole seconds.
	Now time.Time `json:"now"`
	// Kind is "promotion" or "rollback".
	Kind       string     `json:"kind"`
	Repository Repository `json:"repository"`
	Mode       Mode       `json:"mode"`
	// Commits is who makes and signs promotion commits: rung or github.
	Commits Commits `json:"commits"`
	// Environment is the target with its configuration.
	Environment EnvironmentSpec `json:"environment"`
	Artifact    ArtifactFacts   `json:"artifact"`
	// Places are the changes that the promotion makes.
	Places []PlaceChange `json:"places"`
	// Base is the base branch's head that is judged.
	Base Hash `json:"base"`
	// PullRequest is absent before it is opened.
	PullRequest *PullRequestFacts `json:"pullRequest,omitempty"`
	// Predecessors are the environments that must hold the version before;
	// an environment that never named the artifact is passed through.
	Predecessors []PredecessorFacts `json:"predecessors,omitempty"`
	// Quarantined is set when the digest is barred.
	Quarantined *Bar `json:"quarantined,omitempty"`
	// Freezes are the freezes that stand over the target.
	Freezes []Bar `json:"freezes,omitempty"`
	// Causers are the people who made this promotion happen.
	Causers []Person `json:"causers,omitempty"`
	// CausersUnknown is true while there may be more of them: rung has just
	// begun, and what was delivered before is not read yet.
	CausersUnknown bool `json:"causersUnknown,omitempty"`
	// Rules are the base branch's own rules on the forge.
	Rules BranchRules `json:"rules"`
	// Holds are reasons outside the gates: a ledger that can't be trusted,
	// an error in the configuration, a place that vanished.
	Holds []string `json:"holds,omitempty"`
}

// ArtifactFacts is the artifact of a promotion.
type ArtifactFacts struct {
	Name    Artifact `json:"name"`
	Image   string   `json:"image"`
	Version Version  `json:"version"`
	Digest  Digest   `json:"digest"`
	// Previous is what is live in the environment now.
	Previous Value `json:"previous"`
}

// Bar is a standing quarantine or freeze.
type Bar struct {
	// Scope is what it bars: a digest, "+all", an environment, or
	// "environment/artifact".
	Scope  string    `json:"scope"`
	Reason string    `json:"reason"`
	By     Person    `json:"by"`
	At     time.Time `json:"at"`
	// Until is when it ends by itself; zero: when lifted.
	Until time.Time `json:"until,omitzero"`
}

// PredecessorFacts is one environment that comes before.
type PredecessorFacts struct {
	Environment Environment `json:"environment"`
	// Live is what stands in its files now.
	Live Value `json:"live"`
	// Landed is when the digest that is promoted landed there; zero: never.
	Landed time.Time `json:"landed,omitzero"`
	// Settled is good, bad, inconclusive, or empty while it is verified.
	Settled   string    `json:"settled,omitempty"`
	SettledAt time.Time `json:"settledAt,omitzero"`
	// SoakEnds is when its soak is over if it stays healthy.
	SoakEnds time.Time `json:"soakEnds,omitzero"`
	// Health is its health now, if the digest is still live there.
	Health []HealthReading `json:"health,omitempty"`
}

// HealthReading is what one health source said of one release.
type HealthReading struct {
	Source HealthSource `json:"source"`
	// Status is pass (healthy), fail, pending (nothing said yet) or unknown
	// (unreachable, or an answer that is not understood).
	Status Status `json:"status"`
	// Detail is what was seen, short: "503 Service Unavailable".
	Detail string    `json:"detail,omitempty"`
	URL    string    `json:"url,omitempty"`
	At     time.Time `json:"at,omitzero"`
	// Since is when it began to say so without interruption.
	Since time.Time `json:"since,omitzero"`
	// Commit is the commit it spoke of, for commit statuses and check runs.
	Commit Hash `json:"commit,omitempty"`
}

// PullRequestFacts is the promotion's pull request.
type PullRequestFacts struct {
	Number int `json:"number"`
	// Head is its head commit now.
	Head Hash `json:"head"`
	// Ours is true when rung made the head, or when it is the clean merge of
	// rung's head and the base ("Update branch").
	Ours bool `json:"ours"`
	// HeadProblem says why the head is not ours.
	HeadProblem string `json:"headProblem,omitempty"`
	Draft       bool   `json:"draft,omitempty"`
	// Mergeable is mergeable, conflicting or unknown.
	Mergeable string        `json:"mergeable"`
	Author    Person        `json:"author"`
	Reviews   []ReviewFacts `json:"reviews,omitempty"`
	Checks    []CheckFacts  `json:"checks,omitempty"`
	// ChecksComplete is false when the list of checks could not be read
	// whole.
	ChecksComplete bool `json:"checksComplete"`
	// Committers are the people other than rung who pushed to the head.
	Committers []Person `json:"committers,omitempty"`
}

// ReviewFacts is one review, oldest first in a list.
type ReviewFacts struct {
	ID     int64  `json:"id"`
	Author Person `json:"author"`
	// State is approved, changes_requested, commented, dismissed or pending.
	State string `json:"state"`
	// Commit is the head the review was given on.
	Commit Hash      `json:"commit"`
	At     time.Time `json:"at"`
	// Access is the author's access now; nil: it was not asked for, because
	// the review could not count anyway.
	Access *Access `json:"access,omitempty"`
}

// Access is what a person may do in the repository, read live.
type Access struct {
	// Permission is none, read, triage, write, maintain or admin. Empty: it
	// could not be read, which never counts.
	Permission string `json:"permission"`
	// Teams are those of the asked-for teams the person is an active member
	// of, as "org/slug".
	Teams []string `json:"teams,omitempty"`
	// Error says why something could not be read.
	Error string `json:"error,omitempty"`
}

// CheckFacts is the newest run of one check or status on the head.
type CheckFacts struct {
	Name string `json:"name"`
	// App is the number of the App that posted a check run; 0 for a status.
	App int64 `json:"app,omitempty"`
	// State is success, failure, pending, skipped, neutral or another word of
	// the forge, lower case; unknown words are treated as pending.
	State string    `json:"state"`
	URL   string    `json:"url,omitempty"`
	At    time.Time `json:"at,omitzero"`
}

// BranchRules are the base branch's rules on the forge, as far as they decide
// whether rung can merge.
type BranchRules struct {
	// Known is false when they could not be read; that holds.
	Known          bool            `json:"known"`
	RequiredChecks []RequiredCheck `json:"requiredChecks,omitempty"`
	// RequiredReviews is how many approving reviews the forge wants; an App
	// can't give them.
	RequiredReviews int  `json:"requiredReviews,omitempty"`
	SignedCommits   bool `json:"signedCommits,omitempty"`
	LinearHistory   bool `json:"linearHistory,omitempty"`
	MergeQueue      bool `json:"mergeQueue,omitempty"`
	// Methods are the merge methods that the repository allows.
	Methods []string `json:"methods,omitempty"`
}

// Pins reports whether the base branch requires a check from one App alone.
func (r BranchRules) Pins(name string, app int64) bool {
	return app != 0 && slices.Contains(r.RequiredChecks, RequiredCheck{name, app})
}

// RequiredCheck is a check that the forge wants to be green.
type RequiredCheck struct {
	Name string `json:"name"`
	// App is the number of the App it must come from; 0: any.
	App int64 `json:"app,omitempty"`
}
