package decide_test

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// kind says what records of a kind are for, and which fields they have beside those
// of every record. docs/records.md and its schema are made from it; every record of
// every test of this package is held to it, and those of the stories of e2e by the
// schema.
type kind struct {
	kind    promotion.RecordKind
	meaning string
	// always and may are names of fields in JSON.
	always, may string
}

// common are the fields of every record.
const common = "format kind repository actor issuedAt builder"

// written are the fields that only act and the ledger can fill in.
const written = "format repository issuedAt builder previous files pullRequest"

var allKinds = []kind{
	{
		promotion.RecordAnnounce, "Somebody published a version: who, from where, and which events said so. It is written once for a version, with the push that proposes it, or before, and again when somebody else announces it too. The newest eight of an artifact stand in the tree. It is written by the look that follows the event: until then the delivery lies in the data directory, and in the forge's list of deliveries.",
		"base artifact cause events", "previous causers children",
	},
	{
		promotion.RecordPropose, "A version is to come into an environment. It is pushed together with the branch that its pull request is opened from. With `restores` it is a rollback, with `reverts` it puts back what people changed by hand. It is written again for a new head, and when one more person is known to have caused it.",
		"promotion base environment artifact places files pullRequest cause", "previous from restores reverts announced causers children reason",
	},
	{
		promotion.RecordAuthorize, "Every gate passed at this head and this base: the verdicts, the approvals that counted, what the policies said, and the facts that all of it was judged from. rung merges only right after it.",
		"promotion base environment artifact previous places files pullRequest cause gates", "from restores reverts announced causers approvals policies inputs facts factsDigest children reason",
	},
	{
		promotion.RecordLand, "The promotion is in the base branch: which commit brought it, by what method and by whom, and exactly which places changed. It repeats the verdicts of the authorize that it cites; where nobody authorised what was merged, or the rules changed in between, the gates were judged anew and the facts stand here.",
		"promotion base environment artifact places files pullRequest cause gates landed", "previous from restores reverts announced causers authorized approvals policies inputs facts factsDigest children reason",
	},
	{
		promotion.RecordSettle, "The verification of what is live has ended: good, bad or inconclusive, with what was seen of it and since when.",
		"base environment artifact previous cause outcome reason gates window", "promotion",
	},
	{
		promotion.RecordWithdraw, "A promotion ended without landing: superseded, vetoed, revoked, stale, or already there. It stays as a tombstone: a version that was vetoed is not proposed again.",
		"promotion base environment artifact previous cause reason", "restores reverts pullRequest",
	},
	{
		promotion.RecordAdopt, "What people did by themselves: a version changed by hand (`landed` and `places`), what was found when the ledger began or when something came into rung.yaml (`places` alone), or a run of commits that changed configuration (`range`).",
		"base cause reason", "environment artifact previous restores manualChanges places files pullRequest approvals landed range causers",
	},
	{
		promotion.RecordQuarantine, "A digest is barred from promotion everywhere, with the manifests of its index.",
		"base cause digest reason", "previous environment artifact causers children",
	},
	{promotion.RecordUnquarantine, "The bar is lifted, by an approver who did not cause the version.", "base previous cause digest", "reason"},
	{promotion.RecordFreeze, "A scope is closed for promotions: everything, an environment, or one artifact in it. Rollbacks go on.", "base cause scope reason", "previous until"},
	{promotion.RecordUnfreeze, "The freeze is lifted.", "base previous cause scope", "reason"},
	{promotion.RecordRotate, "The keys that count change. It is signed by a root key, at any time and anywhere, and carried into the ledger later.", "keys trust", "previous reason"},
}

func kindOf(k promotion.RecordKind) (kind, bool) {
	i := slices.IndexFunc(allKinds, func(known kind) bool { return known.kind == k })
	if i < 0 {
		return kind{}, false
	}
	return allKinds[i], true
}

// shaped holds a planned record to its kind.
func (w *world) shaped(r promotion.Record) {
	w.t.Helper()
	k, known := kindOf(r.Kind)
	if !known {
		w.t.Errorf("a record of kind %q", r.Kind)
		return
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(w.json(r)), &fields); err != nil {
		w.t.Fatal(err)
	}
	own, later := strings.Fields(common+" "+k.always+" "+k.may), strings.Fields(written)
	for name := range fields {
		if !slices.Contains(own, name) {
			w.t.Errorf("a %s record has the field %s: %s", r.Kind, name, fields[name])
		}
	}
	for _, name := range strings.Fields(common + " " + k.always) {
		if _, there := fields[name]; !there && !slices.Contains(later, name) {
			w.t.Errorf("a %s record lacks the field %s: %s", r.Kind, name, w.json(r))
		}
	}
}
