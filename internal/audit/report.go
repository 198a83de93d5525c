package audit

import (
	"cmp"
	"slices"
	"time"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// Code names a kind of finding. The names are a promise to scripts.
type Code string

// The codes that say that something was tampered with.
const (
	// ObjectCorrupt: an object's bytes don't hash to its id.
	ObjectCorrupt Code = "OBJECT_CORRUPT"
	// ObjectMalformed: a commit or tree outside the strict grammar.
	ObjectMalformed Code = "OBJECT_MALFORMED"
	// HashCollision: an object's bytes were made so that others have its id.
	HashCollision Code = "HASH_COLLISION"
	// ReplaceRef: refs/replace makes git show other objects than are signed.
	ReplaceRef Code = "REPLACE_REF"

	// SigMissing: a commit that must be signed is not.
	SigMissing Code = "SIG_MISSING"
	// SigInvalid: the signature doesn't match the commit.
	SigInvalid Code = "SIG_INVALID"
	// SigNamespace: made for another purpose than git.
	SigNamespace Code = "SIG_NAMESPACE"
	// SigNonCanonical: a signature in another spelling than its one form.
	SigNonCanonical Code = "SIG_NONCANONICAL"
	// SigType: not an SSH signature by an Ed25519 key.
	SigType Code = "SIG_TYPE"
	// SignerUnknown: a key that no trust list holds.
	SignerUnknown Code = "SIGNER_UNKNOWN"
	// SignerRole: a listed key that may not sign as rung.
	SignerRole Code = "SIGNER_ROLE"
	// KeyNotValid: a listed key outside its time or namespace.
	KeyNotValid Code = "KEY_NOT_VALID"
	// KeyRevoked: a revoked key, behind the last commit that it is trusted for.
	KeyRevoked Code = "KEY_REVOKED"
	// TrustConfig: the trust list is gone or can't be read.
	TrustConfig Code = "TRUST_CONFIG"
	// TrustSelfAuthorised: a commit brings the key that it is signed with.
	TrustSelfAuthorised Code = "TRUST_SELF_AUTHORISED"
	// TrustRole: the trust list was changed without a statement by a root key.
	TrustRole Code = "TRUST_ROLE"
	// TrustRoot: the ledger doesn't begin with the pinned root key.
	TrustRoot Code = "TRUST_ROOT"

	// StmtSignature: a record's own signature doesn't hold.
	StmtSignature Code = "STMT_SIGNATURE"
	// StmtNonCanonical: a record not in its one form, or not well formed.
	StmtNonCanonical Code = "STMT_NONCANONICAL"
	// StmtType: another payload, statement or predicate type.
	StmtType Code = "STMT_TYPE"
	// VSAMismatch: a land's verification summary is absent or says otherwise.
	VSAMismatch Code = "VSA_MISMATCH"
	// ChainBreak: a record doesn't follow the one that stood before it.
	ChainBreak Code = "CHAIN_BREAK"
	// ChainFork: two records follow the same one.
	ChainFork Code = "CHAIN_FORK"
	// RepoMismatch: a record or ledger of another repository or App.
	RepoMismatch Code = "REPO_MISMATCH"
	// RecordDropped: a record was taken out of the ledger's tree.
	RecordDropped Code = "RECORD_DROPPED"
	// QuarantineDropped: the same of a quarantine.
	QuarantineDropped Code = "QUARANTINE_DROPPED"
	// ClockRegression: a record issued before the one it follows.
	ClockRegression Code = "CLOCK_REGRESSION"
	// TrailerGrammar: trailers that are absent or not in their one form.
	TrailerGrammar Code = "TRAILER_GRAMMAR"
	// TrailerMismatch: trailers that disagree with the records.
	TrailerMismatch Code = "TRAILER_MISMATCH"
	// LedgerNotLinear: a ledger commit with several parents.
	LedgerNotLinear Code = "LEDGER_NOT_LINEAR"
	// LedgerReset: the ledger begins elsewhere than rung.yaml or it itself says.
	LedgerReset Code = "LEDGER_RESET"
	// LedgerRewind: the base branch cites a ledger commit that is not there.
	LedgerRewind Code = "LEDGER_REWIND"
	// WitnessRollback: both branches are older than a checkpoint remembers them.
	WitnessRollback Code = "WITNESS_ROLLBACK"

	// UnattestedChange: a version was changed and no record says so.
	UnattestedChange Code = "UNATTESTED_CHANGE"
	// ChangeMismatch: a record and the change it speaks of differ.
	ChangeMismatch Code = "CHANGE_MISMATCH"
	// ArtifactMismatch: a record's artifact is not what its places hold.
	ArtifactMismatch Code = "ARTIFACT_MISMATCH"
	// PathScope: a promotion by rung touches more than its places.
	PathScope Code = "PATH_SCOPE"
	// TreeMode: a promoted file is not, or no longer, a plain file; or a link or a
	// submodule was put under an environment, whose content nobody here can judge.
	TreeMode Code = "TREE_MODE"
	// PathAlias: a path under an environment that some file systems take for
	// another one beside it.
	PathAlias Code = "PATH_ALIAS"
	// RefRewind: the base branch lost commits that the ledger stands on.
	RefRewind Code = "REF_REWIND"
	// AuthorizeMissing: rung merged without a standing authorize record.
	AuthorizeMissing Code = "AUTHORIZE_MISSING"
	// HeadMismatch: rung merged another head than was authorised.
	HeadMismatch Code = "HEAD_MISMATCH"
	// RollbackTarget: a rollback to what never was live there, or did not settle
	// good, or to other values than that release had.
	RollbackTarget Code = "ROLLBACK_TARGET"
	// PolicyMismatch: an authorize was not judged by the policies of its base.
	PolicyMismatch Code = "POLICY_MISMATCH"
	// ApprovalMismatch: too few approvals for the environment's rule.
	ApprovalMismatch Code = "APPROVAL_MISMATCH"
	// InputMismatch: an attestation that a promotion stands on failed, or is
	// another than was checked before, or another's.
	InputMismatch Code = "INPUT_MISMATCH"
	// VerdictMismatch: a record's verdicts are not those of the authorize that
	// it repeats, or, judged again from the facts that it keeps, come out
	// otherwise.
	VerdictMismatch Code = "VERDICT_MISMATCH"
	// Quarantined: a barred digest was promoted.
	Quarantined Code = "QUARANTINED"
)

// The codes that are listed and hold, unless the caller is strict.
const (
	// LandPending: an authorised promotion landed, its record is to come.
	LandPending Code = "LAND_PENDING"
	// AdoptPending: people changed configuration, the record is to come.
	AdoptPending Code = "ADOPT_PENDING"
	// Override: a person merged against unmet gates.
	Override Code = "OVERRIDE"
)

// The codes that say that something could not be judged.
const (
	// HistoryTruncated: a shallow clone, or grafts.
	HistoryTruncated Code = "HISTORY_TRUNCATED"
	// LedgerMissing: this clone has no ledger branch.
	LedgerMissing Code = "LEDGER_MISSING"
	// LedgerForeign: the ledger of another repository, or another base branch: nothing that it stands on is there, and rung.yaml names no ledger.
	LedgerForeign Code = "LEDGER_FOREIGN"
	// BaseMissing: this clone doesn't have the base branch.
	BaseMissing Code = "BASE_MISSING"
	// ObjectMissing: an object that history names is not in this clone.
	ObjectMissing Code = "OBJECT_MISSING"
	// ObjectUnreadable: an object is damaged beyond reading, or too large.
	ObjectUnreadable Code = "OBJECT_UNREADABLE"
	// RecordUnknown: a record of a format or kind that this rung doesn't know.
	RecordUnknown Code = "RECORD_UNKNOWN"
	// ConfigUnreadable: there is no rung.yaml to say what the environments are.
	ConfigUnreadable Code = "CONFIG_UNREADABLE"
)

// Class says what a finding does to the verdict.
type Class int

// The classes of findings.
const (
	// Tampered: exit code 1.
	Tampered Class = iota
	// Listed: shown; exit code 1 only where the caller is strict.
	Listed
	// Unjudged: exit code 2.
	Unjudged
)

// Class is the class of a code. A code that is not known is Tampered.
func (c Code) Class() Class {
	switch c {
	case LandPending, AdoptPending, Override:
		return Listed
	case HistoryTruncated, LedgerMissing, LedgerForeign, BaseMissing, ObjectMissing, ObjectUnreadable, RecordUnknown, ConfigUnreadable:
		return Unjudged
	}
	return Tampered
}

// Finding is one thing that does not hold, could not be judged, or should be
// known. Its words may hold text from the repository: they are printable and
// cut at 200 bytes.
type Finding struct {
	Code Code `json:"code"`
	// Object is the commit, tree, blob or ref it is about, with a path where
	// that helps.
	Object      string                `json:"object"`
	Environment promotion.Environment `json:"environment,omitempty"`
	Artifact    promotion.Artifact    `json:"artifact,omitempty"`
	Expected    string                `json:"expected,omitempty"`
	Found       string                `json:"found,omitempty"`
	// At is when the record that it is about was issued; zero where it is about
	// none.
	At time.Time `json:"at,omitzero"`
}

// HandChange is a version that people changed other than by a promotion, and
// that rung adopted.
type HandChange struct {
	Commit      promotion.Hash        `json:"commit"`
	Environment promotion.Environment `json:"environment"`
	Artifact    promotion.Artifact    `json:"artifact"`
	// Person is the login as it was then; empty where rung could not tell.
	Person      string          `json:"person,omitempty"`
	PullRequest int             `json:"pullRequest,omitempty"`
	Value       promotion.Value `json:"value"`
	Reason      string          `json:"reason,omitempty"`
	// At is when rung recorded it.
	At time.Time `json:"at,omitzero"`
}

// RefHead is a ref with the commit it stands at.
type RefHead struct {
	Ref  string         `json:"ref"`
	Head promotion.Hash `json:"head"`
}

// Report is what Verify found.
type Report struct {
	// OK is true when everything was judged and holds; with Options.Strict
	// also nothing is listed.
	OK bool `json:"ok"`
	// Commits are the ledger's commits and the base branch's first-parent
	// commits since the ledger began.
	Commits int `json:"commits"`
	// Records are the statements of all kinds, verification summaries left
	// out.
	Records int `json:"records"`
	// Releases are the land records, and the adopts of a pair: each time that
	// something became live.
	Releases int `json:"releases"`
	// Promotions and Rollbacks are the land records without and with Restores.
	Promotions int `json:"promotions"`
	Rollbacks  int `json:"rollbacks"`
	// Configuration are the adopts of a range of configuration commits.
	Configuration int          `json:"configuration"`
	Findings      []Finding    `json:"findings"`
	ByHand        []HandChange `json:"byHand"`
	// Environments is what the base head's files say is live.
	Environments map[promotion.Environment]map[promotion.Artifact]promotion.Value `json:"environments"`
	Ledger       RefHead                                                          `json:"ledger,omitzero"`
	Base         RefHead                                                          `json:"base,omitzero"`
	// Trust is whose signatures count at the ledger's head.
	Trust TrustState `json:"trust,omitzero"`
	// Root is the fingerprint of the key on which all trust stands: the root key
	// whose statement the ledger begins with or, without one, the key that signed
	// its first commit.
	Root string `json:"root,omitempty"`
	// Before counts what was verified before, up to the checkpoint, and is not
	// counted above; nil where everything was verified now.
	Before *Verified `json:"before,omitempty"`
	// LeftOut counts what Limit left out; nil where nothing was limited.
	LeftOut *LeftOut `json:"leftOut,omitempty"`
	// Next is the checkpoint to remember; nil where something does not hold or
	// could not be judged.
	Next *Checkpoint `json:"-"`
	// TrustOnFirstUse is true when Root was not pinned by the caller.
	TrustOnFirstUse bool `json:"trustOnFirstUse"`
	// Recomputed is set with Options.Recompute.
	Recomputed *Recomputed `json:"recomputed,omitempty"`

	strict   bool
	rotation ledger.Rotation
	dates    []dated
}

// dated is a ledger commit with the committer's date.
type dated struct {
	id oid
	at time.Time
}

// ExitCode is 0 when everything holds, 1 when something was tampered with (or,
// strictly, is listed), and 2 when something could not be judged and nothing
// was found to be tampered with.
func (r *Report) ExitCode() int {
	code := 0
	for _, f := range r.Findings {
		switch c := f.Code.Class(); {
		case c == Tampered, c == Listed && r.strict:
			return 1
		case c == Unjudged:
			code = 2
		}
	}
	if r.strict && r.LeftOut != nil && r.LeftOut.Findings > 0 {
		return 1 // they are listed, and count
	}
	return code
}

// clean reports whether nothing was found but what is only listed.
func (r *Report) clean() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code.Class() != Listed })
}

// Add takes what a caller found besides, and settles the verdict anew.
func (r *Report) Add(found ...Finding) {
	r.Findings = append(r.Findings, found...)
	r.finish()
}

// finish sorts what was found and settles OK.
func (r *Report) finish() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Code.Class(), b.Code.Class()), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Object, b.Object),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Artifact, b.Artifact))
	})
	r.Findings = slices.Compact(r.Findings)
	r.OK = r.ExitCode() == 0
}
