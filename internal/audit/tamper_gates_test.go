package audit

import (
	"strings"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	policyPath = "policies/digest.yaml"
	policyText = "kind: ValidatingPolicy\n"
)

var (
	alice = promotion.Person{ID: 5, Login: "alice"}
	bob   = promotion.Person{ID: 6, Login: "bob"}
	carol = promotion.Person{ID: 7, Login: "carol"}
)

// ruled is a repository whose staging takes two approvals by the team sre or
// dave, under a policy.
func ruled(w *world) {
	w.start()
	text := strings.Replace(rungYAML, "staging: {after: [dev]}", "staging: {after: [dev], approvals: {required: 2, teams: [acme/sre], users: [dave]}}", 1) + "policies: {all: [" + policyPath + "]}\n"
	w.hand("rules", map[string]string{"rung.yaml": text, policyPath: policyText})
	w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{To: w.base}})
}

// approved is what rung would have recorded of a promotion that meets the rules.
func approved(r *promotion.Record) {
	r.Causers = []promotion.Person{carol}
	r.Policies = []promotion.RecordPolicy{{Path: policyPath, Digest: ledger.Digest([]byte(policyText)), Engine: "x"}}
	for _, p := range []promotion.Person{alice, bob} {
		r.Approvals = append(r.Approvals, promotion.RecordApproval{Person: p, Permission: "write", Teams: []string{"acme/sre"}, Commit: r.PullRequest.Head})
	}
}

// judgedWrong is a promotion whose authorize record was edited.
func judgedWrong(name, want string, edit func(*promotion.Record)) attack {
	exit := 1
	if want == "" {
		exit = 0
	}
	return attack{32, name, want, exit, func(w *world) {
		w.promote(ride{pair: pair("staging", "checkout"), version: "1.1.0", authorize: func(r *promotion.Record) {
			approved(r)
			edit(r)
		}})
	}}
}

// An authorize is held to the policies and the approval rule of the base commit
// that it was judged at.
var _ = tampering(scene{grow: ruled, live: true, attacks: []attack{
	judgedWrong("as it ought to be", "", func(*promotion.Record) {}),
	judgedWrong("another policy", "POLICY_MISMATCH", func(r *promotion.Record) { r.Policies[0].Digest = ledger.Digest([]byte("x")) }),
	judgedWrong("a policy that is not there", "POLICY_MISMATCH", func(r *promotion.Record) { r.Policies[0].Path = "policies/other.yaml" }),
	judgedWrong("no policy", "POLICY_MISMATCH", func(r *promotion.Record) { r.Policies = nil }),
	judgedWrong("judged nowhere", "POLICY_MISMATCH", func(r *promotion.Record) { r.Base.Judged = promotion.Hash(strings.Repeat("1", 40)) }),
	judgedWrong("one approval too few", "APPROVAL_MISMATCH", func(r *promotion.Record) { r.Approvals = r.Approvals[:1] }),
	judgedWrong("the same person twice", "APPROVAL_MISMATCH", func(r *promotion.Record) { r.Approvals[1].ID = alice.ID }),
	judgedWrong("approved by a causer", "APPROVAL_MISMATCH", func(r *promotion.Record) { r.Causers = []promotion.Person{bob} }),
	judgedWrong("approved another head", "APPROVAL_MISMATCH", func(r *promotion.Record) { r.Approvals[0].Commit = promotion.Hash(strings.Repeat("1", 40)) }),
	judgedWrong("approved by one who only reads", "APPROVAL_MISMATCH", func(r *promotion.Record) { r.Approvals[0].Permission = "read" }),
	judgedWrong("approved by one of no team", "APPROVAL_MISMATCH", func(r *promotion.Record) { r.Approvals[0].Teams = []string{"acme/dev"} }),
	judgedWrong("approved by one whom the rule names", "", func(r *promotion.Record) {
		r.Approvals[0].Teams, r.Approvals[0].Person = nil, promotion.Person{ID: 9, Login: "Dave"}
	}),
	judgedWrong("approved by a bot", "APPROVAL_MISMATCH", func(r *promotion.Record) { r.Approvals[0].Bot = true }),
	{32, "judged at a commit that the merge does not stand on", "POLICY_MISMATCH", 1, func(w *world) {
		side := w.commit(w.tree(w.base), "side", nil, w.base)
		w.promote(ride{pair: pair("staging", "checkout"), version: "1.1.0", authorize: func(r *promotion.Record) {
			approved(r)
			r.Base.Judged = side
		}})
		w.base = w.commit(w.tree(w.base), "merge side", nil, w.base, side)
		w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{To: w.base}})
	}},
}})

// fallen is a repository where dev/checkout had 1.1.0, settled as said, and 1.2.0
// after it, which settled bad and is barred.
func fallen(outcome string) func(*world) {
	return func(w *world) {
		w.start()
		w.promote(ride{pair: pair("dev", "checkout"), version: "1.1.0"})
		if outcome != "" {
			w.settle(pair("dev", "checkout"), outcome)
		}
		w.promote(ride{pair: pair("dev", "checkout"), version: "1.2.0"})
		w.settle(pair("dev", "checkout"), promotion.SettledBad)
		w.quarantine(promotion.RecordQuarantine, digest("checkout", "1.2.0"))
	}
}

// back rolls dev/checkout back; what it claims to restore is the release of
// 1.1.0 unless edited.
func back(version string, edit func(w *world, r *promotion.Record)) func(*world) {
	return func(w *world) {
		r := ride{pair: pair("dev", "checkout"), version: version, restores: w.release("1.1.0").Statement}
		r.record = func(rec *promotion.Record) { edit(w, rec) }
		w.promote(r)
	}
}

func asIs(*world, *promotion.Record) {}

// release is the land record of a version in dev.
func (w *world) release(version string) promotion.LedgerEntry {
	w.Helper()
	for _, e := range w.told {
		if e.Record.Kind == promotion.RecordLand && e.Record.Environment == "dev" && string(e.Record.Artifact.Version) == version {
			return e
		}
	}
	w.Fatal("no release of " + version)
	return promotion.LedgerEntry{}
}

// Rollbacks.
var (
	_ = tampering(scene{grow: fallen(promotion.SettledGood), live: true, attacks: []attack{
		{29, "an honest rollback", "", 0, back("1.1.0", asIs)},
		{29, "a rollback that writes another version than it claims", "ROLLBACK_TARGET", 1, back("1.3.0", func(_ *world, r *promotion.Record) {
			r.Artifact = artifact("checkout", value("checkout", "1.1.0"))
		})},
		{29, "a rollback that claims another version than the release had", "ROLLBACK_TARGET", 1, back("1.3.0", asIs)},
		{29, "a rollback to the same digest under another version", "ROLLBACK_TARGET", 1, back("1.1.0", func(_ *world, r *promotion.Record) {
			r.Artifact.Version = "1.1.0-hotfix"
		})},
		{29, "a rollback to a record that never landed", "ROLLBACK_TARGET", 1, back("1.1.0", func(w *world, r *promotion.Record) {
			for _, e := range w.told {
				if e.Record.Kind == promotion.RecordPropose {
					r.Restores = e.Statement
				}
			}
		})},
		{29, "a rollback to a release of another environment", "ROLLBACK_TARGET", 1, func(w *world) {
			staging := w.promote(ride{pair: pair("staging", "checkout"), version: "1.1.0"})
			w.settle(pair("staging", "checkout"), promotion.SettledGood)
			back("1.1.0", func(_ *world, r *promotion.Record) { r.Restores = staging.Statement })(w)
		}},
		{30, "a rollback to a quarantined digest", "QUARANTINED", 1, func(w *world) {
			w.quarantine(promotion.RecordQuarantine, digest("checkout", "1.1.0"))
			back("1.1.0", asIs)(w)
		}},
	}})
	_ = tampering(scene{grow: fallen(""), live: true, attacks: []attack{
		{29, "a rollback to a release that did not settle", "ROLLBACK_TARGET", 1, back("1.1.0", asIs)},
		{29, "a person brings a version back that did not settle", "OVERRIDE", 0, back("1.1.0", func(_ *world, r *promotion.Record) {
			r.Actor = promotion.Actor{Kind: "person", Person: alice}
		})},
	}})
	_ = tampering(scene{grow: fallen(promotion.SettledBad), live: true, attacks: []attack{
		{29, "a rollback to a release that settled bad", "ROLLBACK_TARGET", 1, back("1.1.0", asIs)},
	}})
)

// attested is a promotion from dev into staging on an attestation, checked in
// both; edit changes what staging's records say of it.
func attested(edit func(r *promotion.Record)) func(*world) {
	return func(w *world) {
		dev := pair("dev", "checkout")
		checked := func(r *promotion.Record) {
			r.Inputs = []promotion.RecordInput{{
				URI: "registry.example.com/acme/checkout:sha256-1.att", Digest: ledger.Digest([]byte("attestation")), Verifier: "keys/cosign.pub", Result: "PASSED",
			}}
		}
		w.promote(ride{pair: dev, version: "1.1.0", authorize: checked})
		w.settle(dev, promotion.SettledGood)
		w.promote(ride{pair: pair("staging", "checkout"), version: "1.1.0", from: "dev", authorize: func(r *promotion.Record) {
			checked(r)
			if edit != nil {
				edit(r)
			}
		}})
	}
}

// What a promotion stands on beside the reviews.
var _ = tampering(scene{grow: func(w *world) { w.start() }, live: true, attacks: []attack{
	{34, "an honest attestation, checked in both environments", "", 0, attested(nil)},
	{34, "an attestation swapped between the environments", "INPUT_MISMATCH", 1, attested(func(r *promotion.Record) {
		r.Inputs[0].Digest = ledger.Digest([]byte("another"))
	})},
	{34, "an attestation by the wrong verifier", "INPUT_MISMATCH", 1, attested(func(r *promotion.Record) { r.Inputs[0].Verifier = "keys/mallory.pub" })},
	{34, "an attestation that FAILED", "INPUT_MISMATCH", 1, attested(func(r *promotion.Record) { r.Inputs[0].Result = "FAILED" })},
	{34, "an attestation of no result", "INPUT_MISMATCH", 1, attested(func(r *promotion.Record) { r.Inputs[0].Result = "" })},
	{34, "an attestation swapped between authorize and land", "INPUT_MISMATCH", 1, func(w *world) {
		in := promotion.RecordInput{URI: "att", Digest: ledger.Digest([]byte("a")), Verifier: "k", Result: "PASSED"}
		w.promote(ride{
			pair: pair("dev", "checkout"), version: "1.1.0",
			authorize: func(r *promotion.Record) { r.Inputs = []promotion.RecordInput{in} },
			landed: func(r *promotion.Record) {
				other := in
				other.Digest = ledger.Digest([]byte("b"))
				r.Inputs = []promotion.RecordInput{other}
			},
		})
	}},
}})
