package audit

import (
	"reflect"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// remembered is the checkpoint of whoever verified the repository as it is now,
// written to a file and read back.
func (w *world) remembered() *Checkpoint {
	w.Helper()
	report, found := w.verify(Options{})
	if report.Next == nil {
		w.Fatal("nothing to remember:", found)
	}
	data, err := report.Next.Encode()
	w.ok(err)
	c, err := ParseCheckpoint(data)
	w.ok(err)
	if !reflect.DeepEqual(c, report.Next) {
		w.Errorf("read back as %+v, was %+v", c, report.Next)
	}
	return c
}

// Who remembers notices what nothing in the repository shows.
var _ = tampering(scene{grow: (*world).tell, attacks: []attack{
	{27, "both cut back consistently", "WITNESS_ROLLBACK", 1, func(w *world) {
		w.options.Checkpoint = w.remembered()
		w.cutBack()
		if report, found := w.verify(Options{}); found != "" {
			w.Error("without a checkpoint it shows:", show(report))
		}
	}},
	{27, "both cut back and grown anew", "WITNESS_ROLLBACK", 1, func(w *world) {
		w.options.Checkpoint = w.remembered()
		w.cutBack()
		w.onBase(map[string]string{"README.md": "another story\n"})
		w.adopted()
	}},
	{27, "honest: the same again", "", 0, func(w *world) { w.options.Checkpoint = w.remembered() }},
	{27, "honest: both grown", "", 0, func(w *world) {
		w.options.Checkpoint = w.remembered()
		w.onBase(map[string]string{"README.md": "the story goes on\n"})
		w.adopted()
	}},
	{26, "the ledger's tail cut that nothing cites, seen before", "LEDGER_REWIND", 1, func(w *world) {
		w.options.Checkpoint = w.remembered()
		w.set(ledgerRef, w.parse(ledgerRef+"^"))
	}},
	{2, "a file damaged that nothing asks for, seen before, and something new is not in order", "OBJECT_CORRUPT UNATTESTED_CHANGE", 1, func(w *world) {
		w.onBase(map[string]string{"notes.md": "in no tree that is older\n"})
		w.options.Checkpoint = w.remembered()
		w.putAs(w.parse("main:notes.md"), "blob 7\x00damaged")
		w.onBase(map[string]string{kustomization("prod"): "images: [{name: other, newTag: 1.0.0}]\n"})
		w.adopted()
	}},
	{25, "commits cut off the base that nobody recorded yet, seen before", "REF_REWIND", 1, func(w *world) {
		w.onBase(map[string]string{"README.md": "hello\n"})
		w.options.Checkpoint = w.remembered()
		w.set("refs/heads/main", w.parse("main^"))
	}},
	{0, "another ledger than the checkpoint's", "LEDGER_RESET", 1, func(w *world) {
		other := newWorld(w.TB)
		other.start()
		w.options.Checkpoint = other.push().remembered()
	}},
}})

// cutBack takes both branches to where the ledger's open promotion was not yet
// proposed: a state that once was, and holds.
func (w *world) cutBack() {
	w.Helper()
	for at := w.parse(ledgerRef); ; at = w.parse(at + "^") {
		base := strings.TrimSpace(w.git("", "log", "-1", "--format=%(trailers:key=Promotion-Base,valueonly)", at))
		if base != w.parse("main") {
			w.set(ledgerRef, at)
			w.set("refs/heads/main", base)
			return
		}
	}
}

// TestCheckpointGrows verifies a repository as it grows, each time from the
// checkpoint of the time before: what is found and counted is the same as from
// the beginning, and nothing is verified twice.
func TestCheckpointGrows(t *testing.T) {
	w := newWorld(t)
	w.start()
	dev, staging, prod := pair("dev", "checkout"), pair("staging", "checkout"), pair("prod", "checkout")
	var first promotion.LedgerEntry
	since := w.push().remembered()
	for _, step := range []struct {
		name string
		grow func()
	}{
		{"nothing", func() {}},
		{"a promotion", func() { first = w.promote(ride{pair: dev, version: "1.1.0"}) }},
		{"it settles", func() { w.settle(dev, promotion.SettledGood) }},
		{"it climbs", func() { w.promote(ride{pair: staging, version: "1.1.0", from: "dev", squash: true, byHand: true}) }},
		{"a person's change that nobody recorded yet", func() {
			w.hand("more", map[string]string{"environments/prod/deployment.yaml": deployment + "# more\n"})
		}},
		{"its record", func() {
			w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{To: w.base}, Actor: promotion.Actor{Kind: "person"}})
		}},
		{"a version by hand", func() { w.append(w.base, w.changed(pair("dev", "cart"), "2.0.0")) }},
		{"a bad one", func() { w.promote(ride{pair: dev, version: "1.2.0"}); w.settle(dev, promotion.SettledBad) }},
		{"its quarantine", func() { w.quarantine(promotion.RecordQuarantine, digest("checkout", "1.2.0")) }},
		{"the rollback to what was long before", func() { w.promote(ride{pair: dev, version: "1.1.0", restores: first.Statement, squash: true}) }},
		{"a climb that cites what was long before", func() {
			w.settle(staging, promotion.SettledGood)
			w.promote(ride{pair: prod, version: "1.1.0", from: "staging"})
		}},
		{"a proposal", func() { w.promote(ride{pair: staging, version: "1.3.0", onlyOpen: true, noAuthorize: true}) }},
		{"a freeze and its end", func() {
			w.append("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "prod"})
			w.append("", promotion.Record{Kind: promotion.RecordUnfreeze, Scope: "prod"})
		}},
		{"the old proposal merged by hand", func() {
			head := w.branches[promotion.PromotionBranch(staging)]
			open := w.state.Open[staging]
			firstParent := w.base
			text, places := w.edited(firstParent, staging, value("checkout", "1.3.0"))
			tree, err := w.remote.Rewrite(w.ctx, w.tree(firstParent), edits(map[string]string{kustomization("staging"): text}))
			w.ok(err)
			w.base = w.commit(tree, "Merge", webflow, firstParent, head)
			land := open.Record
			land.Kind, land.Previous, land.Places, land.Actor = promotion.RecordLand, nil, places, promotion.Actor{Kind: "person", Person: alice}
			land.Landed = &promotion.RecordLanded{Commit: w.base, FirstParent: firstParent, Method: "merge", ByHand: true}
			w.append(w.base, land)
		}},
	} {
		step.grow()
		w.push()
		whole, found := w.verify(Options{})
		report, foundSince := w.verify(Options{Checkpoint: since})
		if found != foundSince || report.ExitCode() != 0 {
			t.Errorf("%s: found %q, from the beginning %q%s", step.name, foundSince, found, show(report))
			continue
		}
		if report.Before == nil {
			t.Errorf("%s: everything was verified again", step.name)
			continue
		}
		if report.Commits > 12 {
			t.Errorf("%s: %d commits were verified again", step.name, report.Commits)
		}
		if !reflect.DeepEqual(report.Next, whole.Next) {
			t.Errorf("%s: remembered\n%+v\nfrom the beginning\n%+v", step.name, *report.Next, *whole.Next)
		}
		if !reflect.DeepEqual(report.Environments, whole.Environments) || !reflect.DeepEqual(report.Trust, whole.Trust) || report.Root != whole.Root {
			t.Errorf("%s: another state than from the beginning:\n%+v\n%+v\n%+v\n%+v", step.name, report.Environments, whole.Environments, report.Trust, whole.Trust)
		}
		since = w.remembered()
	}
}

// TestCheckpointBadInput: what can't be read is an error that says why.
func TestCheckpointBadInput(t *testing.T) {
	w := story(t).push()
	good, err := w.remembered().Encode()
	w.ok(err)
	for name, c := range map[string]struct{ old, new, want string }{
		"not JSON":       {"{", "", "byte"},
		"a newer format": {`"format": 1`, `"format": 2`, "format 2"},
		"a field more":   {`"format"`, `"mood": "good", "format"`, "mood"},
		"no commit":      {`"base": "`, `"base": "x`, "base"},
		"no fingerprint": {`"root": "SHA256:`, `"root": "`, "root"},
		"a broken key":   {"ssh-ed25519 AAAA", "ssh-ed25519 AAAB", "keys"},
	} {
		data := strings.Replace(string(good), c.old, c.new, 1)
		if data == string(good) {
			t.Fatal(name, "changes nothing")
		}
		if got, err := ParseCheckpoint([]byte(data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := ParseCheckpoint(make([]byte, maxCheckpoint+1)); err == nil {
		t.Error("one of any size is taken")
	}
}

// FuzzParseCheckpoint: no panic; what is taken can be written and read again.
func FuzzParseCheckpoint(f *testing.F) {
	w := story(f).push()
	good, err := w.remembered().Encode()
	w.ok(err)
	f.Add(good)
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCheckpoint(data)
		if err != nil {
			return
		}
		again, err := c.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseCheckpoint(again); err != nil {
			t.Errorf("%s is not taken back: %v", again, err)
		}
	})
}
