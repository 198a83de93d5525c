package api

import (
	"encoding/json"
	"time"
)

// Version is the version of the documents, which their address names as well. It
// grows when a field changes its meaning or goes; new fields don't change it.
const Version = 1

// State is everything that the board shows.
type State struct {
	// Version is 1.
	Version int `json:"version"`
	// Rung is the version of the program that answers.
	Rung string `json:"rung"`
	// Repositories are those that rung has looked at, by name.
	Repositories []Repository `json:"repositories"`
}

// List names the repositories without what is in them.
type List struct {
	// Version is 1.
	Version int `json:"version"`
	// Rung is the version of the program that answers.
	Rung string `json:"rung"`
	// Repositories are those that rung has looked at, by name.
	Repositories []Summary `json:"repositories"`
}

// One is one repository.
type One struct {
	// Version is 1.
	Version int `json:"version"`
	// Rung is the version of the program that answers.
	Rung       string     `json:"rung"`
	Repository Repository `json:"repository"`
}

// Why explains one artifact in one environment, in the words of /why on a pull
// request.
type Why struct {
	// Version is 1.
	Version int `json:"version"`
	// Rung is the version of the program that answers.
	Rung       string `json:"rung"`
	Repository Header `json:"repository"`
	Pair       Pair   `json:"pair"`
	// Text is the explanation for a terminal, without control characters but line
	// feeds.
	Text string `json:"text"`
	// Markdown is the same as /why answers it.
	Markdown string `json:"markdown"`
}

// History is what landed of an artifact.
type History struct {
	// Version is 1.
	Version int `json:"version"`
	// Rung is the version of the program that answers.
	Rung       string `json:"rung"`
	Repository Header `json:"repository"`
	// History is the document that rung history --json prints, as
	// docs/history.schema.json says: here with the newest releases of each
	// environment alone, and without the promotions that did not land and the ledger
	// commits. Each record's signature was checked, the rest of the repository not.
	History json.RawMessage `json:"history"`
	// More is true where there are earlier releases than were asked for.
	More bool `json:"more"`
}

// Header is what is said of a repository everywhere.
type Header struct {
	// ID is the repository's number on the forge; it outlives renames.
	ID int64 `json:"id"`
	// Owner is the account that it belongs to, by the name it had when it was seen.
	Owner string `json:"owner"`
	// Name is its own name, without the owner's.
	Name string `json:"name"`
	// URL is its web address.
	URL string `json:"url,omitempty"`
	// Configured is false where the base branch has no rung.yaml.
	Configured bool `json:"configured"`
	// Mode is observe, propose or merge; absent where it is not configured, or the
	// configuration can't be read.
	Mode string `json:"mode,omitempty"`
	// ObservedAt is when what is said here was seen: when the last pass that
	// succeeded began. Absent before the first.
	ObservedAt time.Time `json:"observedAt,omitzero"`
	// TriedAt is when the last pass ended, also one that failed.
	TriedAt time.Time `json:"triedAt"`
	// Error is what the last pass failed with; everything else is then of the pass
	// before it.
	Error string `json:"error,omitempty"`
	// Unseen is what the commands that work on a clone (--local) could not see, a
	// sentence each. Empty from a service, which sees all there is.
	Unseen []string `json:"unseen"`
}

// Summary is a repository in a list.
type Summary struct {
	Header
	// Phases count the pairs in each phase.
	Phases map[string]int `json:"phases"`
	// Problems is how many errors the configuration has.
	Problems int `json:"problems"`
	// Freezes is how many are in force.
	Freezes int `json:"freezes"`
	// Holds is how many are in force.
	Holds int `json:"holds"`
	// Quarantines is how many digests are barred.
	Quarantines int `json:"quarantines"`
}

// Repository is one repository: its environments and artifacts, and how each pair
// of them stands.
type Repository struct {
	Header
	// NextAt is when rung looks again if nothing happens before; absent after a
	// pass that failed before anything was seen.
	NextAt time.Time `json:"nextAt,omitzero"`
	// Base is the base branch's head that was judged.
	Base string `json:"base,omitempty"`
	// Ledger is the ledger's tip.
	Ledger string `json:"ledger,omitempty"`
	// Problems are the errors in rung.yaml and the policies at that head.
	Problems []Problem `json:"problems"`
	// Notes are things to know about the repository as a whole, such as why
	// everything is held.
	Notes []string `json:"notes"`
	// Environments are in the order in which versions climb.
	Environments []Environment `json:"environments"`
	// Artifacts are by name.
	Artifacts []string `json:"artifacts"`
	// Pairs are the artifacts in the environments that name them, in the order of
	// the environments, then of the artifacts.
	Pairs []Pair `json:"pairs"`
	// Freezes close environments for promotions, by environment.
	Freezes []Freeze `json:"freezes"`
	// Holds stop one artifact in one environment, by environment.
	Holds []Hold `json:"holds"`
	// Quarantines are the digests that are never promoted, by digest.
	Quarantines []Quarantine `json:"quarantines"`
	// Would is what a dry run (rung plan) would do, a sentence each. Empty from a
	// service, which has done what it may.
	Would []string `json:"would"`
}

// Problem is one error in the configuration.
type Problem struct {
	// Path is the file.
	Path string `json:"path"`
	// Line counts from 1.
	Line int `json:"line"`
	// Column counts from 1.
	Column int `json:"column"`
	// Text says what is wrong.
	Text string `json:"text"`
	// Environments are those that it holds; none: it holds everything.
	Environments []string `json:"environments"`
}

// Environment is one rung of the ladder.
type Environment struct {
	// Name as rung.yaml has it.
	Name string `json:"name"`
	// After are the environments that come before it.
	After []string `json:"after"`
}

// Pair is one artifact in one environment.
type Pair struct {
	// Environment as rung.yaml names it.
	Environment string `json:"environment"`
	// Artifact as rung.yaml names it.
	Artifact string `json:"artifact"`
	// Live is what the environment's files name.
	Live Value `json:"live"`
	// Phase is idle (live is what it should be), verifying (health and soak are
	// watched), waiting (a newer version can't come yet), open (a pull request is
	// held by gates), ready (every gate passes), held, unhealthy, or rolled back.
	Phase string `json:"phase"`
	// Sentence says why, and what would unblock it.
	Sentence string `json:"sentence,omitempty"`
	// LookAt is when time alone may change that.
	LookAt time.Time `json:"lookAt,omitzero"`
	// LandedAt is when what is live was recorded.
	LandedAt time.Time `json:"landedAt,omitzero"`
	// Settled is how the verification of what is live ended: good, bad or
	// inconclusive; absent while it goes on.
	Settled string `json:"settled,omitempty"`
	// ByHand says who changed what is live by hand, and who adopted that; absent
	// for what rung brought or found.
	ByHand string `json:"byHand,omitempty"`
	// Unpinned is true where a place names no digest.
	Unpinned bool `json:"unpinned,omitempty"`
	// Kind is promotion or rollback, where one is open or wanted.
	Kind string `json:"kind,omitempty"`
	// Target is what that one brings.
	Target *Value `json:"target,omitempty"`
	// PullRequest carries it; absent where none is open.
	PullRequest *PullRequest `json:"pullRequest,omitempty"`
	// Verdicts are what the gates say of it.
	Verdicts []Verdict `json:"verdicts"`
}

// Value is a version, with its digest where it is known.
type Value struct {
	// Version as people write it.
	Version string `json:"version,omitempty"`
	// Digest is sha256: and 64 hexadecimal digits.
	Digest string `json:"digest,omitempty"`
}

// PullRequest carries a promotion.
type PullRequest struct {
	// Number within the repository.
	Number int `json:"number"`
	// URL is its web address.
	URL string `json:"url,omitempty"`
}

// Verdict is what one gate says.
type Verdict struct {
	// Gate is its stable id, such as approval.
	Gate string `json:"gate"`
	// Status is pass, fail, pending or unknown. Only pass lets a promotion go on.
	Status string `json:"status"`
	// Sentence says why, and what would unblock it.
	Sentence string `json:"sentence"`
	// LookAt is when it is judged again if nothing happens before.
	LookAt time.Time `json:"lookAt,omitzero"`
	// Evidence is what it stands on.
	Evidence []Evidence `json:"evidence"`
	// Rules are the results of the policy gate, rule by rule.
	Rules []Rule `json:"rules"`
}

// Evidence is one observed thing that a verdict stands on.
type Evidence struct {
	// Name says what was looked at.
	Name string `json:"name"`
	// Value is what was seen.
	Value string `json:"value"`
	// URL is where a person can see it.
	URL string `json:"url,omitempty"`
	// At is when it was seen.
	At time.Time `json:"at,omitzero"`
}

// Rule is the result of one rule of a policy.
type Rule struct {
	// Policy is its name.
	Policy string `json:"policy"`
	// Rule is its name in the policy.
	Rule string `json:"rule"`
	// Status is pass, fail, pending or unknown.
	Status string `json:"status"`
	// Message is the rule's own.
	Message string `json:"message,omitempty"`
}

// Freeze closes an environment, or all of them, for promotions; rollbacks still
// work.
type Freeze struct {
	// Environment is absent where everything is frozen.
	Environment string `json:"environment,omitempty"`
	Bar
}

// Hold stops promotions of one artifact in one environment.
type Hold struct {
	// Environment as rung.yaml names it.
	Environment string `json:"environment"`
	// Artifact as rung.yaml names it.
	Artifact string `json:"artifact"`
	Bar
}

// Quarantine bars a digest from every environment.
type Quarantine struct {
	// Digest of the index or manifest that is barred, with all that it holds.
	Digest string `json:"digest"`
	Bar
}

// Bar is who stops something, why and since when.
type Bar struct {
	// Reason is in the words of who did it.
	Reason string `json:"reason,omitempty"`
	// By is absent where rung did it by itself and nobody is known for it.
	By *Person `json:"by,omitempty"`
	// Since is when it was recorded.
	Since time.Time `json:"since"`
	// Until is when it ends by itself; absent: when it is lifted.
	Until time.Time `json:"until,omitzero"`
}

// Person is an account on the forge.
type Person struct {
	// ID is its number there, which never changes.
	ID int64 `json:"id,omitempty"`
	// Login is the name that it had when it was seen.
	Login string `json:"login"`
	// Bot is true for Apps and other machine accounts.
	Bot bool `json:"bot,omitempty"`
}

// Failure is the answer where there is no other.
type Failure struct {
	Error Reason `json:"error"`
}

// Reason says what went wrong.
type Reason struct {
	// Code is bad-request, not-found, method-not-allowed, unreadable or unavailable:
	// one for each status.
	Code string `json:"code"`
	// Sentence is for people.
	Sentence string `json:"sentence"`
}
