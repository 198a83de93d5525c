package ledger

import (
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// Paths of the ledger's tree. They are a promise: stock git reads them.
const (
	// SignersPath is the trust list, in OpenSSH's allowed_signers format.
	SignersPath = "allowed_signers"
	// TrustPath holds the rotate record that put the trust list in force; there is
	// none while the release key is its own root.
	TrustPath = "trust.intoto.jsonl"
	// RevocationsPath is the index of revoked keys; it stands beside TrustPath.
	RevocationsPath = "revocations.json"
	// RangePath holds the newest adopt of a range of configuration commits.
	RangePath = "adopted.intoto.jsonl"

	extension = ".intoto.jsonl"
)

// LivePath holds a pair's newest land or adopt, the land's verification
// summary, and its settle.
func LivePath(p promotion.Pair) string { return "live/" + p.String() + extension }

// OpenPath holds a pair's newest propose, authorize or withdraw.
func OpenPath(p promotion.Pair) string { return "open/" + p.String() + extension }

// QuarantinePath holds a digest's newest quarantine or unquarantine.
func QuarantinePath(d promotion.Digest) string {
	return "quarantine/" + strings.Replace(string(d), ":", "-", 1) + extension
}

// FreezePath holds a scope's newest freeze or unfreeze.
func FreezePath(scope string) string { return "freezes/" + scope + extension }

// AnnouncedPath holds a version that no registry can repeat.
func AnnouncedPath(a promotion.Artifact, v promotion.Version) string {
	return "announced/" + string(a) + "/" + string(v) + extension
}

// pathOf is the file that a record belongs to. keep is true when the file's
// lines stay and the record is added behind them.
func pathOf(r promotion.Record) (path string, keep bool) {
	pair := promotion.Pair{Environment: r.Environment}
	if r.Artifact != nil {
		pair.Artifact = r.Artifact.Name
	}
	switch r.Kind {
	case promotion.RecordLand:
		return LivePath(pair), false
	case promotion.RecordAdopt:
		if r.Artifact == nil {
			return RangePath, false
		}
		return LivePath(pair), false
	case promotion.RecordSettle:
		return LivePath(pair), true
	case promotion.RecordPropose, promotion.RecordAuthorize, promotion.RecordWithdraw:
		return OpenPath(pair), false
	case promotion.RecordQuarantine, promotion.RecordUnquarantine:
		return QuarantinePath(r.Digest), false
	case promotion.RecordFreeze, promotion.RecordUnfreeze:
		return FreezePath(r.Scope), false
	case promotion.RecordAnnounce:
		if r.Artifact == nil {
			return "", false
		}
		return AnnouncedPath(r.Artifact.Name, r.Artifact.Version), false
	case promotion.RecordRotate:
		return TrustPath, false
	}
	return "", false
}
