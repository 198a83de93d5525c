package promotion

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Plan is what decide chose for one pass over one repository. act carries it
// out: everything under Push in one atomic push, then the calls to the forge,
// in the order of the fields. An empty Plan changes nothing.
type Plan struct {
	// Records are appended to the ledger in one commit, in this order. Fields
	// that only act can know (heads, trees, links) are filled in by act.
	Records []Record `json:"records,omitempty"`
	// Base is the base commit up to which the records account for every
	// change.
	Base Hash `json:"base,omitempty"`
	// StartLedger is true when the ledger's first commit is to be made.
	StartLedger bool `json:"startLedger,omitempty"`
	// Rotate is true when the ledger state's pending rotate statement is to be
	// carried, with or without records.
	Rotate bool `json:"rotate,omitempty"`
	// Lone is true when the records and deletes may wait for company: nothing
	// else in the plan needs them.
	Lone bool `json:"lone,omitempty"`
	// Builds are the promotion branches to make or move.
	Builds []Build `json:"builds,omitempty"`
	// Deletes are branches to delete, with the hash they must have.
	Deletes map[string]Hash `json:"deletes,omitempty"`
	// Onboard is true when the pull request that writes the ledger's first
	// commit into rung.yaml is to be made.
	Onboard bool `json:"onboard,omitempty"`

	Opens    []OpenPullRequest `json:"opens,omitempty"`
	Checks   []Check           `json:"checks,omitempty"`
	Merges   []Merge           `json:"merges,omitempty"`
	Reopens  []int             `json:"reopens,omitempty"`
	Comments []Comment         `json:"comments,omitempty"`

	// Next is when to look again; zero: when something changes.
	Next time.Time `json:"next,omitzero"`
	// Pairs is the state of every pair, for the board and for people.
	Pairs []PairState `json:"pairs,omitempty"`
	// Notes are things to know about the repository as a whole.
	Notes []string `json:"notes,omitempty"`
}

// Build is one promotion branch to make: the base head with only the
// promotion's places changed.
type Build struct {
	Pair Pair `json:"pair"`
	// Old is the branch's head now; empty to create it.
	Old Hash `json:"old,omitempty"`
	// Base is the commit to build on.
	Base Hash `json:"base"`
	// Record is the index in Plan.Records of its propose.
	Record  int    `json:"record"`
	Pin     Pin    `json:"pin"`
	Image   string `json:"image"`
	Subject string `json:"subject"`
	// Trailers of the commit, in order, less -Ledger which act adds.
	Restores string `json:"restores,omitempty"`
}

// OpenPullRequest is a pull request to open for a branch, or to retitle.
type OpenPullRequest struct {
	Pair   Pair   `json:"pair"`
	Branch string `json:"branch"`
	// Number is set when the pull request is there and only its words change.
	Number int    `json:"number,omitempty"`
	Title  string `json:"title"`
	// Body is Markdown; act replaces {{head}} and {{ledger}} by the ids.
	Body string `json:"body"`
}

// Check is a check run to write on a head.
type Check struct {
	// PullRequest is for messages and links only.
	PullRequest int `json:"pullRequest,omitempty"`
	// Pair is set for promotions; act uses it to find the head of a branch it
	// has just built.
	Pair Pair `json:"pair,omitzero"`
	Head Hash `json:"head,omitempty"`
	// ID is the check run to update; 0 to create one.
	ID int64 `json:"id,omitempty"`
	// Conclusion is success, failure or action_required.
	Conclusion string   `json:"conclusion"`
	Title      string   `json:"title"`
	Summary    string   `json:"summary"`
	Actions    []Button `json:"actions,omitempty"`
}

// Fingerprint tells two texts of a check run apart. It is kept as the check
// run's external id, so that a text that stands there is not written again.
func (c Check) Fingerprint() string {
	sum := sha256.Sum256([]byte(c.Conclusion + "\n" + c.Title + "\n" + c.Summary))
	return "rung:1:" + hex.EncodeToString(sum[:8])
}

// Button is a button of a check run.
type Button struct {
	// Label has at most 20 characters, Description 40, Identifier 20.
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

// Merge is a pull request to merge: its authorize record is among the plan's
// records.
type Merge struct {
	Pair Pair `json:"pair"`
	// Record is the index in Plan.Records of its authorize.
	Record int    `json:"record"`
	Number int    `json:"number"`
	Head   Hash   `json:"head"`
	Method string `json:"method"`
	Title  string `json:"title"`
}

// Comment is an answer to a command: a reaction, and a reply where there is
// news.
type Comment struct {
	// To is the comment that is answered; its reaction is React.
	To    int64  `json:"to,omitempty"`
	React string `json:"react,omitempty"`
	// Issue and Body are the reply; an empty Body sends none.
	Issue int    `json:"issue,omitempty"`
	Body  string `json:"body,omitempty"`
}

// Phases of a pair, for people.
const (
	PhaseIdle       = "idle"        // live is what it should be
	PhaseVerifying  = "verifying"   // landed, health and soak are watched
	PhaseWaiting    = "waiting"     // a newer version exists and can't come yet
	PhaseOpen       = "open"        // a pull request is open and held by gates
	PhaseReady      = "ready"       // every gate passes
	PhaseHeld       = "held"        // something outside the gates holds it
	PhaseUnhealthy  = "unhealthy"   // what is live settled bad or fails now
	PhaseRolledBack = "rolled back" // what is live was brought back
)

// PairState is one pair as a person sees it.
type PairState struct {
	Pair  Pair   `json:"pair"`
	Live  Value  `json:"live"`
	Phase string `json:"phase"`
	// LandedAt and Settled are of what is live.
	LandedAt time.Time `json:"landedAt,omitzero"`
	Settled  string    `json:"settled,omitempty"`
	// ByHand says who changed what is live by hand, and who adopted it.
	ByHand string `json:"byHand,omitempty"`
	// Target is the version of the open or wanted promotion.
	Target      Value     `json:"target,omitzero"`
	Kind        string    `json:"kind,omitempty"`
	PullRequest int       `json:"pullRequest,omitempty"`
	URL         string    `json:"url,omitempty"`
	Sentence    string    `json:"sentence,omitempty"`
	Verdicts    []Verdict `json:"verdicts,omitempty"`
	Look        time.Time `json:"look,omitzero"`
	// Unpinned is true when a place holds no digest.
	Unpinned bool `json:"unpinned,omitempty"`
	// Facts is what the verdicts were judged from.
	Facts *Facts `json:"facts,omitempty"`
}

// Outcome is what act did of a plan, as far as it is known, even when it
// failed half-way.
type Outcome struct {
	// Pushed is true when the push moved the refs.
	Pushed bool
	// Changed is true when anything was written that the next pass may build
	// on at once: a branch, a record, a pull request, a merge.
	Changed bool
	// Heads are the promotion branches that were built.
	Heads map[Pair]Hash
	// Opened are the pull requests that were opened or retitled, by pair.
	Opened map[Pair]int
	Checks []WrittenCheck
	Merged []WrittenMerge
	// Refused are merges that the forge refused, with its words.
	Refused map[Pair]Refusal
}

// WrittenCheck is a check run as it stands now. PullRequest is 0 where it is
// not known.
type WrittenCheck struct {
	PullRequest int
	Pair        Pair
	Check       OwnCheck
}

// WrittenMerge is a merge that was done.
type WrittenMerge struct {
	Pair   Pair
	Number int
	Commit Hash
}
