package audit

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// TrustState is whose signatures count at the ledger's head, and how that came.
type TrustState struct {
	// Serial counts the rotate statements; 0: there was none.
	Serial int `json:"serial"`
	// OwnRoot is true where there is no root key: the release key is its own
	// root, and whoever has it can replace it.
	OwnRoot bool       `json:"ownRoot"`
	Keys    []TrustKey `json:"keys"`
	// Changes are the rotate statements, oldest first.
	Changes []TrustChange `json:"changes"`
}

// TrustKey is one key of the trust list, or one that was revoked and is no longer
// on it.
type TrustKey struct {
	// Role is rung (releases) or rung-root; empty for a revoked key that is not
	// listed.
	Role        string `json:"role,omitempty"`
	Fingerprint string `json:"fingerprint"`
	// Key is the public key, "ssh-ed25519 AAAA…".
	Key string `json:"key,omitempty"`
	// ValidAfter and ValidBefore bound its time, both inclusive.
	ValidAfter  time.Time `json:"validAfter,omitzero"`
	ValidBefore time.Time `json:"validBefore,omitzero"`
	// RevokedAfter is the last ledger commit that a revoked key is trusted for.
	RevokedAfter promotion.Hash `json:"revokedAfter,omitempty"`
	Reason       string         `json:"reason,omitempty"`
	// Signed is how many ledger commits it signed.
	Signed int `json:"signed"`
}

// TrustChange is one rotate statement.
type TrustChange struct {
	Serial int `json:"serial"`
	// Ledger is the ledger commit that carried it, SignedBy the fingerprint of
	// the root key, At when that says it signed.
	Ledger    promotion.Hash `json:"ledger"`
	SignedBy  string         `json:"signedBy"`
	At        time.Time      `json:"at"`
	Statement string         `json:"statement"`
	Reason    string         `json:"reason,omitempty"`
}

// trustState is the trust in force at the end of the walk.
func (l *ledgerWalk) trustState() TrustState {
	t := TrustState{Keys: []TrustKey{}, Changes: l.rotations, OwnRoot: l.trust.list.OwnRoot()}
	if t.Changes == nil {
		t.Changes = []TrustChange{}
	}
	if l.trust.standing != nil {
		t.Serial = l.trust.standing.Record.Trust.Serial
	}
	for _, s := range l.trust.signers {
		k := keyOf(s)
		k.Signed = len(l.keyring.signed[k.Fingerprint])
		t.Keys = append(t.Keys, k)
	}
	for _, v := range l.trust.list.Revoked {
		i := slices.IndexFunc(t.Keys, func(k TrustKey) bool { return k.Fingerprint == v.Key })
		if i < 0 {
			i, t.Keys = len(t.Keys), append(t.Keys, TrustKey{Fingerprint: clip(v.Key), Signed: len(l.keyring.signed[v.Key])})
		}
		t.Keys[i].RevokedAfter, t.Keys[i].Reason = v.After, clip(v.Reason)
	}
	return t
}

func keyOf(s sign.AllowedSigner) TrustKey {
	k := TrustKey{Fingerprint: s.Key.Fingerprint(), Key: s.Key.AuthorizedKey(), ValidAfter: s.ValidAfter, ValidBefore: s.ValidBefore}
	for _, role := range []string{ledger.ReleaseRole, ledger.RootRole} {
		if slices.Contains(s.Principals, role) {
			k.Role = role
		}
	}
	return k
}

// rotated notes a rotate record for the report.
func (s *ledgerStep) rotated(r *recorded) {
	s.rotations = append(s.rotations, TrustChange{
		Serial: r.Record.Trust.Serial, Ledger: s.c.id.hash(), SignedBy: r.signer, At: r.Record.IssuedAt, Statement: r.Statement, Reason: clip(r.Record.Reason),
	})
}

// Rotation is what the next rotate statement stands on: the ledger's head and the
// trust list in force there.
func (r *Report) Rotation() ledger.Rotation { return r.rotation }

// Dated is the committer's date of a ledger commit, by its id or a beginning of it
// of at least 7 digits, which it returns whole; false where there is none, or more
// than one.
func (r *Report) Dated(commit string) (promotion.Hash, time.Time, bool) {
	var found promotion.Hash
	var at time.Time
	if len(commit) < 7 {
		return "", at, false
	}
	for _, d := range r.dates {
		if id := d.id.hash(); strings.HasPrefix(string(id), commit) {
			if found != "" {
				return "", time.Time{}, false
			}
			found, at = id, d.at
		}
	}
	return found, at, found != ""
}

// ground is what Rotation and Dated tell.
func (l *ledgerWalk) ground() {
	r := &l.report.rotation
	r.Repository = promotion.RecordRepository{URI: l.uri, ID: l.lineage.Repository, App: l.lineage.App}
	r.Tip, r.Before, r.Standing = l.ids[len(l.ids)-1].hash(), l.trust.list, l.trust.standing
	l.report.dates = make([]dated, 0, len(l.ids))
	for i, at := range l.dates {
		l.report.dates = append(l.report.dates, dated{l.ids[i], at})
	}
}

// plus is the trust state after a run from a checkpoint: what the keys signed
// before and since.
func (t TrustState) plus(since TrustState) TrustState {
	since.Keys = slices.Clone(since.Keys)
	for i, k := range since.Keys {
		for _, before := range t.Keys {
			if before.Fingerprint == k.Fingerprint && before.Role == k.Role {
				since.Keys[i].Signed += before.Signed
			}
		}
	}
	since.Changes = append(slices.Clone(t.Changes), since.Changes...)
	return since
}

// authorized are all release keys that ever were on a list, sorted, as
// "ssh-ed25519 AAAA…".
func (k *keyring) authorized() []string {
	keys := map[string]bool{}
	for _, t := range k.lists {
		for _, s := range t.signers {
			if slices.Contains(s.Principals, ledger.ReleaseRole) {
				keys[s.Key.AuthorizedKey()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}
