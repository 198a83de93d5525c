package promotion

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// MarshalText writes the pair as "environment/artifact", so that pairs can be
// keys of JSON objects.
func (p Pair) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads "environment/artifact".
func (p *Pair) UnmarshalText(b []byte) error {
	env, art, ok := strings.Cut(string(b), "/")
	if !ok {
		return fmt.Errorf("%s is not environment/artifact", quote(string(b)))
	}
	e, err := ParseEnvironment(env)
	if err != nil {
		return err
	}
	a, err := ParseArtifact(art)
	if err != nil {
		return err
	}
	p.Environment, p.Artifact = e, a
	return nil
}

// PromotionBranch is the branch of the pair's promotion pull request.
func PromotionBranch(p Pair) string {
	return "refs/heads/rung/p/" + p.String()
}

// PromotionBranches is the prefix of all promotion branches.
const PromotionBranches = "refs/heads/rung/p/"

// LedgerRef is the branch of signed records.
const LedgerRef = "refs/heads/rung/ledger"

// OnboardRef is the branch of the pull request that writes the ledger's first
// commit into rung.yaml.
const OnboardRef = "refs/heads/rung/onboard"

// InitRef is the branch of the pull request in which rung init proposes a rung.yaml.
const InitRef = "refs/heads/rung/init"

// CheckName is the name of the check run that rung keeps on every pull request
// against the base branch.
const CheckName = "rung"

// Snapshot is one repository as observe saw it at one instant: everything that
// decide needs. It is plain data; deciding twice over the same Snapshot gives
// the same Plan.
type Snapshot struct {
	Now        time.Time  `json:"now"`
	Repository Repository `json:"repository"`
	// App is rung's own account on the forge; AppID its App's number.
	App   Person `json:"app"`
	AppID int64  `json:"appId"`

	// Public is true when anybody may read, and so comment on, the repository.
	Public bool `json:"public,omitempty"`
	// CausersUnknown is true while what the forge delivered before rung began,
	// such as who published a version, is not read yet.
	CausersUnknown bool `json:"causersUnknown,omitempty"`
	// Configured is false when the base branch has no rung.yaml.
	Configured bool            `json:"configured"`
	Pipeline   Pipeline        `json:"pipeline"`
	Problems   []ConfigProblem `json:"problems,omitempty"`

	Base   BaseState   `json:"base"`
	Ledger LedgerState `json:"ledger"`
	// Before is the end of the ledger before, where the first commit of another is
	// to be made.
	Before *LedgerState `json:"before,omitempty"`

	// Places are the spots of each pair in the base head's files.
	Places map[Pair][]Place `json:"places,omitempty"`
	// Blobs are the blobs of the files that hold those places, by path.
	Blobs map[string]Hash `json:"blobs,omitempty"`
	// PlaceProblems are files under an environment that could not be read.
	PlaceProblems map[Environment]string `json:"placeProblems,omitempty"`

	// Branches are the promotion branches with their heads.
	Branches map[string]Hash `json:"branches,omitempty"`
	// Heads are the promotion branches' heads, examined.
	Heads map[Pair]HeadState `json:"heads,omitempty"`
	// PullRequests are those open against the base, and the newest of each
	// open promotion, open or not.
	PullRequests []PullRequestState `json:"pullRequests,omitempty"`
	// ForgeRead is false when the forge was not asked in this pass because
	// nothing needed it; PullRequests then holds what is remembered.
	ForgeRead bool        `json:"forgeRead"`
	Rules     BranchRules `json:"rules"`

	Available map[Artifact]Availability `json:"available,omitempty"`
	// Served says of digests that a rollback may go to whether the registry
	// still has them.
	Served map[Digest]bool `json:"served,omitempty"`
	// Health are the readings of what is live, per pair.
	Health map[Pair][]HealthReading `json:"health,omitempty"`

	Commands []Command `json:"commands,omitempty"`
	// Refused are merges that the forge refused, with its words; they are not
	// tried again before Until unless the head or base changes.
	Refused map[Pair]Refusal `json:"refused,omitempty"`
	// Policies are the bytes of the policy files at the base head, by path.
	Policies map[string][]byte `json:"-"`
	// Unusable is what events held that can't be used, oldest first.
	Unusable []Unusable `json:"unusable,omitempty"`
	// Problem is a reason that holds everything: it could not be observed.
	Problem string `json:"problem,omitempty"`
}

// Unusable is something in an event that can't be used, in a sentence that may quote
// it.
type Unusable struct {
	At   time.Time `json:"at"`
	By   Person    `json:"by,omitzero"`
	Text string    `json:"text"`
}

// Refusal is a merge that the forge refused.
type Refusal struct {
	Head  Hash      `json:"head"`
	Base  Hash      `json:"base"`
	Text  string    `json:"text"`
	Until time.Time `json:"until"`
}

// BaseState is the base branch.
type BaseState struct {
	// Ref is the full ref name.
	Ref  string    `json:"ref"`
	Head Hash      `json:"head"`
	Tree Hash      `json:"tree"`
	When time.Time `json:"when,omitzero"`
	// Changes are the first-parent commits after the ledger's base, oldest
	// first.
	Changes []BaseChange `json:"changes,omitempty"`
	// Rewound is true when the commit up to which the ledger is written is
	// no ancestor of the head.
	Rewound bool `json:"rewound,omitempty"`
}

// BaseChange is one first-parent commit of the base branch.
type BaseChange struct {
	Commit  Hash      `json:"commit"`
	Parents []Hash    `json:"parents"`
	When    time.Time `json:"when"`
	// Message is the commit message, at most 4 KiB.
	Message string `json:"message,omitempty"`
	// Author is the name of the commit's author as written; anybody may write
	// any.
	Author string `json:"author,omitempty"`
	// Places are the artifact places that it changed.
	Places map[Pair][]PlaceChange `json:"places,omitempty"`
	// Files are the blobs of the files that hold those places.
	Files map[Pair][]RecordFile `json:"files,omitempty"`
	// Environments are the environments in whose directories it changed
	// anything.
	Environments []Environment `json:"environments,omitempty"`
	// Governs is true when it changed configuration, policies, CODEOWNERS or
	// a workflow.
	Governs bool `json:"governs,omitempty"`
	// Rules are the configuration at the first parent, where something landed
	// and the configuration has changed by or since this commit; nil: it is the
	// base head's, or could not be used.
	Rules *Rules `json:"rules,omitempty"`
	// Exact holds the pairs whose open promotion, re-applied to the first
	// parent's bytes, gives exactly this commit's bytes under the
	// environments.
	Exact map[Pair]bool `json:"exact,omitempty"`
	// PullRequest is the pull request that it merged, 0 if none is known.
	PullRequest int `json:"pullRequest,omitempty"`
	// MergedBy is who merged it, or pushed it where no pull request brought it.
	MergedBy Person `json:"mergedBy,omitzero"`
	// OpenedBy is who opened the pull request, and Approvals are the approving
	// reviews that stood when it was merged; for changes by hand only.
	OpenedBy  Person           `json:"openedBy,omitzero"`
	Approvals []RecordApproval `json:"approvals,omitempty"`
}

// Rules are a configuration as it was at a commit: what Snapshot holds of the base
// head.
type Rules struct {
	Pipeline Pipeline          `json:"pipeline"`
	Problems []ConfigProblem   `json:"problems,omitempty"`
	Policies map[string][]byte `json:"-"`
}

// LedgerEntry is one record with its place in the ledger.
type LedgerEntry struct {
	Record Record `json:"record"`
	// Statement is the sha256 of the payload: "sha256:…".
	Statement string `json:"statement"`
	// Blob is the git blob that holds it.
	Blob Hash `json:"blob,omitempty"`
}

// LiveEntry is the newest land or adopt of a pair, with its settle.
type LiveEntry struct {
	Land   LedgerEntry  `json:"land"`
	Settle *LedgerEntry `json:"settle,omitempty"`
}

// LedgerState is the ledger's present, as its tip says.
type LedgerState struct {
	// Tip is the ledger branch's head; empty when there is none.
	Tip Hash `json:"tip,omitempty"`
	// First is its first commit, as far as it is known.
	First Hash `json:"first,omitempty"`
	// Base is the base commit up to which every change is recorded.
	Base Hash `json:"base,omitempty"`
	// IssuedAt is the newest record's time.
	IssuedAt time.Time `json:"issuedAt,omitzero"`

	Live map[Pair]LiveEntry `json:"live,omitempty"`
	// History are the pair's earlier lands and adopts, newest first, the
	// present one left out, as far back as observe walked.
	History    map[Pair][]LiveEntry   `json:"history,omitempty"`
	Open       map[Pair]LedgerEntry   `json:"open,omitempty"`
	Quarantine map[Digest]LedgerEntry `json:"quarantine,omitempty"`
	Freezes    map[string]LedgerEntry `json:"freezes,omitempty"`
	// Announced are the newest announcements of each artifact.
	Announced map[Artifact][]LedgerEntry `json:"announced,omitempty"`
	// Range is the newest adopt of a range of configuration commits.
	Range *LedgerEntry `json:"range,omitempty"`

	// Trust is the rotate record that put the trust list in force; nil while the
	// release key is its own root.
	Trust *LedgerEntry `json:"trust,omitempty"`
	// Pending is the rotate statement that is to be carried into the ledger next,
	// in its bytes: signed by a root in force, from the settings.
	Pending string `json:"pending,omitempty"`

	// Problem says why the ledger can't be used: lost, reset, forged, of
	// another App. Everything is held while it stands.
	Problem string `json:"problem,omitempty"`
}

// Barred returns the standing quarantine of a digest.
func (l *LedgerState) Barred(d Digest) (LedgerEntry, bool) {
	e, ok := l.Quarantine[d]
	if ok && e.Record.Kind == RecordQuarantine {
		return e, true
	}
	// By digest, so that a shared child names the same record every time.
	for _, barred := range slices.Sorted(maps.Keys(l.Quarantine)) {
		q := l.Quarantine[barred]
		if q.Record.Kind == RecordQuarantine && slices.Contains(q.Record.Children, d) {
			return q, true
		}
	}
	return LedgerEntry{}, false
}

// HeadState is a promotion branch's head, compared with what rung made.
type HeadState struct {
	Commit  Hash   `json:"commit"`
	Tree    Hash   `json:"tree"`
	Parents []Hash `json:"parents,omitempty"`
	// Ours is true when the head is the commit that rung made, or the clean
	// merge of that and the base.
	Ours bool `json:"ours"`
	// Problem says why it is not.
	Problem string `json:"problem,omitempty"`
	// Ledger is the ledger commit that the head cites.
	Ledger Hash `json:"ledger,omitempty"`
	// Files are the blobs of the promotion's files, where the head is not
	// rung's own commit but its clean merge with the base.
	Files []RecordFile `json:"files,omitempty"`
	// Committers are the mail names of others who committed to it.
	Committers []string `json:"committers,omitempty"`
	// Conflicts is true when the promotion's places no longer hold the
	// values that it changes from, in the base head.
	Conflicts bool `json:"conflicts,omitempty"`
}

// PullRequestState is one pull request as the forge showed it.
type PullRequestState struct {
	Number int    `json:"number"`
	Title  string `json:"title,omitempty"`
	URL    string `json:"url,omitempty"`
	// State is open, closed or merged.
	State string `json:"state"`
	Draft bool   `json:"draft,omitempty"`
	Fork  bool   `json:"fork,omitempty"`
	// HeadRef is the branch's short name.
	HeadRef string `json:"headRef"`
	Head    Hash   `json:"head"`
	// Mergeable is mergeable, conflicting or unknown.
	Mergeable   string    `json:"mergeable"`
	MergeCommit Hash      `json:"mergeCommit,omitempty"`
	Author      Person    `json:"author"`
	MergedBy    Person    `json:"mergedBy,omitzero"`
	ClosedBy    Person    `json:"closedBy,omitzero"`
	ClosedAt    time.Time `json:"closedAt,omitzero"`
	// ClosedByAccess is the closer's access, for vetoes; nil: not asked.
	ClosedByAccess *Access       `json:"closedByAccess,omitempty"`
	Reviews        []ReviewFacts `json:"reviews,omitempty"`
	Checks         []CheckFacts  `json:"checks,omitempty"`
	ChecksComplete bool          `json:"checksComplete"`
	// Check is the check run that rung keeps on Head.
	Check *OwnCheck `json:"check,omitempty"`
	// Impact is what an ordinary pull request would do, when it was examined.
	Impact *Impact `json:"impact,omitempty"`
}

// OwnCheck is rung's own check run as it was last written.
type OwnCheck struct {
	ID         int64  `json:"id"`
	Head       Hash   `json:"head"`
	Conclusion string `json:"conclusion"`
	// Fingerprint is the sha256 of what was written, so that an equal text is
	// not written again.
	Fingerprint string `json:"fingerprint"`
}

// Impact is what an ordinary pull request would change.
type Impact struct {
	Head Hash `json:"head"`
	// Places are the artifact places that it changes.
	Places map[Pair][]PlaceChange `json:"places,omitempty"`
	// Quarantined are the barred digests that it would bring in.
	Quarantined []Digest `json:"quarantined,omitempty"`
	// Governs is true when it changes configuration, policies, CODEOWNERS or
	// workflows; Summary is then what would change. Problems are the errors that
	// its configuration has, and manifests that can't be read.
	Governs  bool            `json:"governs,omitempty"`
	Problems []ConfigProblem `json:"problems,omitempty"`
	Summary  []string        `json:"summary,omitempty"`
	// Disguised are paths under an environment that are read otherwise than they
	// look: links, submodules, names that differ only in case.
	Disguised []PathProblem `json:"disguised,omitempty"`
	// Error says why it could not be examined.
	Error string `json:"error,omitempty"`
}

// PathProblem says what is wrong with a path.
type PathProblem struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Availability is what a registry serves of an artifact.
type Availability struct {
	// Releases match the artifact's version rule, newest first, with their
	// digests resolved as far as they were needed.
	Releases []Release `json:"releases,omitempty"`
	// Announced are versions that events told of and the registry does not
	// serve yet, newest first: without digests, only to be remembered.
	Announced []Release `json:"announced,omitempty"`
	// Error says why the registry could not be read; the last good answer
	// stays in Releases.
	Error string    `json:"error,omitempty"`
	At    time.Time `json:"at,omitzero"`
}

// Release is a version with its digest.
type Release struct {
	Version Version `json:"version"`
	// Digest is empty while it is not resolved.
	Digest   Digest   `json:"digest,omitempty"`
	Children []Digest `json:"children,omitempty"`
	// Causers and Cause are who and what announced it, Events the events that
	// did, oldest first.
	Causers          []Person      `json:"causers,omitempty"`
	Cause            Cause         `json:"cause,omitzero"`
	Events           []RecordEvent `json:"events,omitempty"`
	SourceRepository string        `json:"sourceRepository,omitempty"`
	SourceCommit     string        `json:"sourceCommit,omitempty"`
}

// Command is one slash command as it came in.
type Command struct {
	// Comment is the comment's number: the command's identity. It is 0 for a
	// button, whose identity is the delivery in Click.
	Comment int64     `json:"comment,omitempty"`
	Click   string    `json:"click,omitempty"`
	At      time.Time `json:"at"`
	// PullRequest is where it was said; 0 for a plain issue.
	PullRequest int    `json:"pullRequest"`
	Author      Person `json:"author"`
	// Line is the comment's first line.
	Line string `json:"line"`
	// Verb and the fields behind it are parsed from Line; Error says what is
	// wrong with it.
	Verb        string      `json:"verb,omitempty"`
	Artifact    Artifact    `json:"artifact,omitempty"`
	Environment Environment `json:"environment,omitempty"`
	Version     Version     `json:"version,omitempty"`
	Digest      Digest      `json:"digest,omitempty"`
	Force       bool        `json:"force,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	Until       time.Time   `json:"until,omitzero"`
	Error       string      `json:"error,omitempty"`
	Access      Access      `json:"access"`
	// Subject is the promotion of the pull request where it was said, from
	// the ledger: nil when there is none.
	Subject *CommandSubject `json:"subject,omitempty"`
}

// CommandSubject is the promotion that a command's pull request carries.
type CommandSubject struct {
	Pair    Pair    `json:"pair"`
	Version Version `json:"version"`
	Digest  Digest  `json:"digest"`
	Head    Hash    `json:"head,omitempty"`
	// Since is when the head came that shows this version; zero where it landed
	// or is not known.
	Since time.Time `json:"since,omitzero"`
	// Landed is true when it is merged.
	Landed  bool     `json:"landed,omitempty"`
	Causers []Person `json:"causers,omitempty"`
}
