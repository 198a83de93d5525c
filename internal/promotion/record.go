package promotion

import "time"

// RecordKind is the kind of a ledger record.
type RecordKind string

// The kinds of records.
const (
	RecordPropose      RecordKind = "propose"
	RecordAuthorize    RecordKind = "authorize"
	RecordLand         RecordKind = "land"
	RecordSettle       RecordKind = "settle"
	RecordWithdraw     RecordKind = "withdraw"
	RecordAdopt        RecordKind = "adopt"
	RecordAnnounce     RecordKind = "announce"
	RecordQuarantine   RecordKind = "quarantine"
	RecordUnquarantine RecordKind = "unquarantine"
	RecordFreeze       RecordKind = "freeze"
	RecordUnfreeze     RecordKind = "unfreeze"
	RecordRotate       RecordKind = "rotate"
)

// Reasons of a withdraw record.
const (
	WithdrawSuperseded = "superseded"
	WithdrawVetoed     = "vetoed"
	WithdrawRevoked    = "revoked"
	WithdrawStale      = "stale"
	WithdrawAlready    = "already there"
)

// Outcomes of a settle record.
const (
	SettledGood         = "good"
	SettledBad          = "bad"
	SettledInconclusive = "inconclusive"
)

// RecordFormat is the version of the record's format.
const RecordFormat = 1

// Record is the predicate of one ledger statement: what was decided, about
// what, why and by whom. Field order is the order in which it is written and
// is part of the format; empty fields are left out. Times are UTC and whole
// seconds.
type Record struct {
	// Format is RecordFormat.
	Format int `json:"format"`
	// Kind says what kind of record it is, and so which of the fields it has.
	Kind RecordKind `json:"kind"`
	// Promotion joins the records of one promotion: the same for the same
	// decision made twice, 16 hexadecimal digits.
	Promotion  string           `json:"promotion,omitempty"`
	Repository RecordRepository `json:"repository"`
	Base       RecordBase       `json:"base,omitzero"`
	// Environment is where it happens: with the artifact the subject of most
	// kinds.
	Environment Environment     `json:"environment,omitempty"`
	Artifact    *RecordArtifact `json:"artifact,omitempty"`
	// Previous links to the record before this one: in the same file, or, for
	// the first of a promotion, what is live in its pair.
	Previous *RecordLink `json:"previous,omitempty"`
	// From is the environment and land record that the version climbs from.
	From *RecordFrom `json:"from,omitempty"`
	// Restores is the statement digest of the land or adopt record whose
	// version a rollback brings back.
	Restores string `json:"restores,omitempty"`
	// Reverts is the statement digest of the adopt record whose change by hand
	// a promotion takes back, where the environment says `manualChanges:
	// revert`. It goes with Restores: what stood before the change.
	Reverts string `json:"reverts,omitempty"`
	// ManualChanges is what the environment said about changes by hand when an
	// adopt recorded one: adopt, hold or revert. It is empty for what was found.
	ManualChanges ManualChanges `json:"manualChanges,omitempty"`
	// Announced is the statement digest of the announce record that says who
	// published the version.
	Announced string        `json:"announced,omitempty"`
	Places    []PlaceChange `json:"places,omitempty"`
	// Files are the blobs of the files that hold the places: evidence, so that
	// the bytes can be found again.
	Files       []RecordFile       `json:"files,omitempty"`
	PullRequest *RecordPullRequest `json:"pullRequest,omitempty"`
	// Actor is who decided it: rung, or the person whose word or deed it is.
	Actor Actor `json:"actor"`
	Cause Cause `json:"cause,omitzero"`
	// Events are what an announce record stands on, oldest first.
	Events []RecordEvent `json:"events,omitempty"`
	// Causers are the people who made the promotion happen: who published the
	// version, or asked for the rollback. None of them can approve it.
	Causers []Person `json:"causers,omitempty"`
	// Authorized is, on a land, the statement digest of the authorize record
	// whose verdicts it repeats; empty where the gates were judged anew.
	Authorized string           `json:"authorized,omitempty"`
	Approvals  []RecordApproval `json:"approvals,omitempty"`
	Gates      []RecordGate     `json:"gates,omitempty"`
	Policies   []RecordPolicy   `json:"policies,omitempty"`
	// Inputs are the attestations that a gate checked. No gate of this version
	// checks any: the field is kept for one that does, and verify holds what it
	// says to the gates' verdicts.
	Inputs []RecordInput `json:"inputs,omitempty"`
	// Facts are what the verdicts were judged from, as far as the record and
	// the judged base do not say it already. FactsDigest stands instead where
	// they are too large to be kept: the sha256 of the facts document.
	Facts       *RecordFacts `json:"facts,omitempty"`
	FactsDigest string       `json:"factsDigest,omitempty"`
	// Window is what a settle was judged from.
	Window *RecordWindow `json:"window,omitempty"`
	Landed *RecordLanded `json:"landed,omitempty"`
	// Range is what an adopt of configuration covers.
	Range *RecordRange `json:"range,omitempty"`
	// Digest is the subject of a quarantine.
	Digest Digest `json:"digest,omitempty"`
	// Children are the manifests of the digest's index: what is barred with it.
	Children []Digest `json:"children,omitempty"`
	// Scope is the subject of a freeze: "+all", environment, or
	// "environment/artifact".
	Scope string `json:"scope,omitempty"`
	// Until is when a freeze ends by itself.
	Until time.Time `json:"until,omitzero"`
	// Outcome is a settle's: good, bad or inconclusive.
	Outcome string `json:"outcome,omitempty"`
	// Reason is a withdraw's, a person's words, or a settle's, at most 1,024
	// bytes.
	Reason string `json:"reason,omitempty"`
	// Keys is the trust list that a rotate record puts in force: the bytes of
	// allowed_signers, whole. Trust is what else it says.
	Keys  string       `json:"keys,omitempty"`
	Trust *RecordTrust `json:"trust,omitempty"`
	// IssuedAt is when it was written, never before the record before it in the
	// ledger, but for a rotate, whose clock is another.
	IssuedAt time.Time `json:"issuedAt"`
	Builder  Builder   `json:"builder"`
}

// RecordRepository names the repository a record belongs to.
type RecordRepository struct {
	URI string `json:"uri"`
	ID  int64  `json:"id"`
	// App is the number of the App that writes this ledger.
	App int64 `json:"app,omitempty"`
}

// RecordBase is the base branch as it was judged.
type RecordBase struct {
	Ref    string `json:"ref,omitempty"`
	Judged Hash   `json:"judged,omitempty"`
}

// IsZero lets encoding/json leave it out.
func (b RecordBase) IsZero() bool { return b == RecordBase{} }

// RecordArtifact is the subject of a promotion.
type RecordArtifact struct {
	Name    Artifact `json:"name"`
	PURL    string   `json:"purl,omitempty"`
	Version Version  `json:"version,omitempty"`
	Digest  Digest   `json:"digest,omitempty"`
	// Source is the repository and commit it was built from, as the event
	// said.
	SourceRepository string `json:"sourceRepository,omitempty"`
	SourceCommit     string `json:"sourceCommit,omitempty"`
}

// RecordLink points at another record: the sha256 of its payload and the git
// blob that holds it. Blob is empty where both stand in one file.
type RecordLink struct {
	Statement string `json:"statement"`
	Blob      Hash   `json:"blob,omitempty"`
}

// RecordFrom is where a version climbs from.
type RecordFrom struct {
	Environment Environment `json:"environment"`
	Statement   string      `json:"statement"`
}

// RecordFile is a file that holds places, with its git blobs: empty before a file
// was there, and after it is gone.
type RecordFile struct {
	Path   string `json:"path"`
	Before Hash   `json:"before,omitempty"`
	After  Hash   `json:"after,omitempty"`
}

// RecordEvent is one event that announced a version, as the forge delivered it.
type RecordEvent struct {
	// Event is the forge's name of it, such as repository_dispatch.
	Event string `json:"event"`
	// Delivery is the delivery's GUID.
	Delivery string    `json:"delivery"`
	At       time.Time `json:"at,omitzero"`
	// Publisher is the repository ("owner/name") in which it happened, and
	// PublisherID its number.
	Publisher   string `json:"publisher,omitempty"`
	PublisherID int64  `json:"publisherId,omitempty"`
	// Sender is who made it happen: a causer.
	Sender Person `json:"sender,omitzero"`
	// Digest and Source are the sender's word: for the digest the registry's
	// counts.
	Digest           Digest `json:"digest,omitempty"`
	SourceRepository string `json:"sourceRepository,omitempty"`
	SourceCommit     string `json:"sourceCommit,omitempty"`
}

// RecordInput is an attestation that a gate checked.
type RecordInput struct {
	// URI is where it was found, Digest the sha256 of its bytes.
	URI    string `json:"uri"`
	Digest string `json:"digest"`
	// Verifier is who vouches for it: a key, an identity, a verifier's id.
	Verifier string `json:"verifier,omitempty"`
	// Result is PASSED or FAILED.
	Result string `json:"result"`
}

// RecordWindow is the end of a verification window: when it began and ended,
// what was seen of the release, and since when.
type RecordWindow struct {
	// Began is when the release landed, Ended when its end was decided.
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// Soak is how long it had to be healthy, in nanoseconds, as configured.
	Soak time.Duration `json:"soak,omitempty"`
	// Since is since when it was without interruption what the outcome says:
	// healthy, or failing by the source named in By.
	Since time.Time `json:"since,omitzero"`
	By    string    `json:"by,omitempty"`
	// Readings are the last words of the sources that were asked.
	Readings []HealthReading `json:"readings,omitempty"`
}

// RecordPullRequest is the pull request of a promotion. Number and Head are
// unknown (0, empty) before it is opened; Tree is the head's tree.
type RecordPullRequest struct {
	Number int  `json:"number,omitempty"`
	Head   Hash `json:"head,omitempty"`
	Tree   Hash `json:"tree,omitempty"`
	// Forge is true where the forge made and signed the promotion commit
	// (commits: github): that commit then has Tree and the one parent Parent, and
	// these decide, not its signature.
	Forge  bool `json:"forge,omitempty"`
	Parent Hash `json:"parent,omitempty"`
	// After is, on a propose without a Number, the pair's newest pull request
	// before it: the promotion's own has a greater number.
	After int `json:"after,omitempty"`
}

// Actor is who did what the record says.
type Actor struct {
	// Kind is rung, person or unknown.
	Kind string `json:"kind"`
	Person
}

// RecordApproval is one review that counted: who gave it, what they might do in
// the repository and which of the rule's teams they were in when it was counted,
// and the head that they reviewed.
type RecordApproval struct {
	Person
	Permission string   `json:"permission"`
	Teams      []string `json:"teams,omitempty"`
	Commit     Hash     `json:"commit"`
	// Review is the review's number on the forge, At when it was given.
	Review int64     `json:"review,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// RecordGate is one gate's verdict as it was judged.
type RecordGate struct {
	Gate     string `json:"gate"`
	Status   Status `json:"status"`
	Sentence string `json:"sentence"`
	// ObservedAt is when what it was judged from was observed.
	ObservedAt time.Time  `json:"observedAt,omitzero"`
	Evidence   []Evidence `json:"evidence,omitempty"`
}

// RecordPolicy is one policy file as it was judged.
type RecordPolicy struct {
	Path string `json:"path"`
	// Digest is the sha256 of the file.
	Digest string       `json:"digest"`
	Engine string       `json:"engine"`
	Rules  []RuleResult `json:"rules,omitempty"`
}

// RecordLanded is the commit that brought a promotion to the base branch.
type RecordLanded struct {
	Commit      Hash `json:"commit"`
	FirstParent Hash `json:"firstParent"`
	// Method is merge, squash or fast-forward, as seen from the commit; push
	// where a person changed a version without a pull request.
	Method string `json:"method"`
	// ByHand is true when a person merged.
	ByHand bool `json:"byHand,omitempty"`
	// Unmet are the gates that did not pass at that moment, for a merge by
	// hand, or that fail at the first parent.
	Unmet []string `json:"unmet,omitempty"`
}

// RecordRange is a run of base commits, From excluded, To included.
type RecordRange struct {
	From Hash `json:"from,omitempty"`
	To   Hash `json:"to"`
}

// RecordTrust is what a rotate record says beside the trust list itself. Such a
// record is signed by a root key, anywhere, and carried into the ledger later.
type RecordTrust struct {
	// Serial counts the rotate records of a ledger, from 1.
	Serial int `json:"serial"`
	// Ledger is the ledger commit that it starts from: the tip that its signer
	// saw. Empty: it begins a ledger.
	Ledger Hash `json:"ledger,omitempty"`
	// Revoked are all keys that were revoked so far, sorted by Key; none is ever
	// left out again.
	Revoked []Revocation `json:"revoked,omitempty"`
}

// Revocation takes the trust in a key back.
type Revocation struct {
	// Key is its fingerprint, "SHA256:…".
	Key string `json:"key"`
	// After is the cut, the last ledger commit that is trusted: what the key
	// signed up to there stays valid, what stands behind it fails.
	After  Hash   `json:"after"`
	Reason string `json:"reason,omitempty"`
}

// Builder is the program that wrote the record.
type Builder struct {
	Version string `json:"version"`
}
