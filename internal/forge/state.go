package forge

import (
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// States of a pull request.
const (
	StateOpen   = "open"
	StateClosed = "closed"
	StateMerged = "merged"
)

// What GitHub says about merging a pull request. MergeUnknown is also every
// answer that a later GitHub may invent.
const (
	MergeClean       = "mergeable"
	MergeConflicting = "conflicting"
	MergeUnknown     = "unknown"
)

// Query says what Read reads of one repository.
type Query struct {
	Repository promotion.Repository
	// Base is the base branch's short name; empty reads no rules and no open
	// pull requests.
	Base string
	// OpenPullRequests asks for all that are open against Base.
	OpenPullRequests bool
	// Heads are short names of head branches of this repository: the newest
	// three pull requests of each, in any state, against any base.
	Heads []string
	// Commits are asked for their statuses and check runs.
	Commits []promotion.Hash
	// PullRequests are asked for by number, in any state.
	PullRequests []int
}

// State is what Read found.
type State struct {
	// Repository has the name it bears now; its ID is the one asked for.
	Repository    promotion.Repository
	DefaultBranch string
	Archived      bool
	// Public is true when anybody may read the repository, or when it is not
	// known that only some may.
	Public bool
	// BaseHead is the base branch's head; empty when there is no such branch.
	BaseHead promotion.Hash
	Rules    promotion.BranchRules
	// PullRequests are all that the query asked for, each once, by number.
	// A number or head that has none is simply absent.
	PullRequests []PullRequest
	// OpenComplete is false when the open pull requests were asked for and
	// could not be read to the end.
	OpenComplete bool
	// Commits has an entry for each commit asked for that exists.
	Commits map[promotion.Hash][]promotion.CheckFacts
	// Incomplete are commits of which more checks exist than were read.
	Incomplete map[promotion.Hash]bool
}

// PullRequest is one pull request as GitHub shows it.
type PullRequest struct {
	Number int
	Title  string
	URL    string
	// State is open, closed or merged.
	State string
	Draft bool
	// Fork is true when the head is in another repository.
	Fork bool
	// HeadRef and BaseRef are short branch names.
	HeadRef string
	Head    promotion.Hash
	BaseRef string
	// Base is the base commit as GitHub knew it when it last looked.
	Base promotion.Hash
	// Mergeable is mergeable, conflicting or unknown.
	Mergeable string
	// MergeCommit is set when it is merged.
	MergeCommit promotion.Hash
	Author      promotion.Person
	MergedBy    promotion.Person
	// ClosedBy is who closed it; empty unless State is closed.
	ClosedBy  promotion.Person
	MergedAt  time.Time
	ClosedAt  time.Time
	CreatedAt time.Time
	// Reviews are oldest first. With ReviewsComplete false there were too
	// many to read and the list is empty, so that none can count.
	Reviews         []promotion.ReviewFacts
	ReviewsComplete bool
	// Checks are the newest run of each name and App on Head.
	Checks         []promotion.CheckFacts
	ChecksComplete bool
	// Own are the check runs on Head that this App posted, newest first.
	Own []CheckRun
	// Detailed is false when a REST-only server was not asked for reviews,
	// checks and mergeability, because the pull request was not asked for by
	// number or head.
	Detailed bool
}

// CheckRun is one check run of this App.
type CheckRun struct {
	ID         int64
	Name       string
	Head       promotion.Hash
	ExternalID string
	// Conclusion is GitHub's word in lower case, empty while it is not
	// completed.
	Conclusion string
}
