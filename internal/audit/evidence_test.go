package audit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// announce appends an announcement by carol.
func (w *world) announce(version string) promotion.LedgerEntry {
	w.Helper()
	return w.append("", promotion.Record{
		Kind: promotion.RecordAnnounce, Artifact: artifact("checkout", value("checkout", version)), Causers: []promotion.Person{carol},
		Events: []promotion.RecordEvent{{Event: "release", Delivery: version, Sender: carol}},
	})[0]
}

// blobs are the blobs of a pair's file in two commits.
func (w *world) blobs(p promotion.Pair, before, after promotion.Hash) []promotion.RecordFile {
	w.Helper()
	f := promotion.RecordFile{Path: kustomization(string(p.Environment))}
	if before != "" {
		f.Before = ledger.BlobHash(w.file(before, f.Path))
	}
	f.After = ledger.BlobHash(w.file(after, f.Path))
	return []promotion.RecordFile{f}
}

// TestRecordsCiteWhatTheyStandOn: announcements, files and the order in which
// announcements make room.
func TestRecordsCiteWhatTheyStandOn(t *testing.T) {
	dev := pair("dev", "checkout")
	other := promotion.Hash(strings.Repeat("4", 40))
	announced := func(statement string, causers ...promotion.Person) func(*promotion.Record) {
		return func(r *promotion.Record) { r.Announced, r.Causers = statement, causers }
	}
	for name, c := range map[string]struct {
		want string
		do   func(w *world)
	}{
		"an announcement, cited": {"", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0", record: announced(w.announce("1.1.0").Statement, carol, bob)})
		}},
		"an announcement that is not there": {"CHAIN_BREAK", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0", record: announced("sha256:"+strings.Repeat("0", 64), carol), onlyOpen: true, noAuthorize: true})
		}},
		"another version's announcement": {"CHAIN_BREAK", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0", record: announced(w.announce("1.2.0").Statement, carol), onlyOpen: true, noAuthorize: true})
		}},
		"a record that announces nothing": {"CHAIN_BREAK", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0", record: announced(w.state.Live[dev].Land.Statement, carol), onlyOpen: true, noAuthorize: true})
		}},
		"whoever announced it left out": {"APPROVAL_MISMATCH", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0", record: announced(w.announce("1.1.0").Statement, bob), onlyOpen: true, noAuthorize: true})
		}},
		"a causer left out on the way up": {"APPROVAL_MISMATCH", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0", record: func(r *promotion.Record) { r.Causers = []promotion.Person{carol} }})
			w.settle(dev, promotion.SettledGood)
			w.promote(ride{pair: pair("staging", "checkout"), version: "1.1.0", from: "dev", onlyOpen: true, noAuthorize: true})
		}},
		"as many announcements as are kept, and more": {"", func(w *world) {
			for i := range ledger.KeepAnnounced + 4 {
				w.announce(fmt.Sprintf("1.%d.0", i))
			}
		}},
		"the files, named": {"", func(w *world) {
			first := w.base
			w.promote(ride{pair: dev, version: "1.1.0", landed: func(r *promotion.Record) { r.Files = w.blobs(dev, first, w.base) }})
			adopt := w.changed(pair("dev", "cart"), "2.0.0")
			adopt.Files = w.blobs(dev, adopt.Landed.FirstParent, w.base)
			w.append(w.base, adopt)
		}},
		"another blob landed": {"CHANGE_MISMATCH", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0", landed: func(r *promotion.Record) {
				r.Files = []promotion.RecordFile{{Path: kustomization("dev"), Before: other, After: w.blobs(dev, "", w.base)[0].After}}
			}})
		}},
		"a file that did not change": {"CHANGE_MISMATCH", func(w *world) {
			adopt := w.changed(dev, "1.1.0")
			adopt.Files = w.blobs(pair("prod", "checkout"), w.base, w.base)
			w.append(w.base, adopt)
		}},
		"another blob proposed": {"CHANGE_MISMATCH", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0", record: func(r *promotion.Record) {
				r.Files = []promotion.RecordFile{{Path: kustomization("dev"), Before: other, After: other}}
			}, landed: func(r *promotion.Record) { r.Files = nil }})
		}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.start()
			c.do(w)
			if report, found := w.push().verify(Options{}); found != c.want {
				t.Errorf("found %q, want %q%s", found, c.want, show(report))
			}
		})
	}
}

// TestAnnouncementsDontJustGo: one is taken out by a newer one that needs its room,
// and by nothing else.
func TestAnnouncementsDontJustGo(t *testing.T) {
	grown := func(n int) *world {
		w := newWorld(t)
		w.start()
		for i := range n {
			w.announce(fmt.Sprintf("1.%d.0", i))
		}
		return w.push()
	}
	path := func(version string) string { return ledger.AnnouncedPath("checkout", promotion.Version(version)) }
	w := grown(3)
	w.forge(map[string]string{path("1.0.0"): ""})
	if report, found := w.verify(Options{}); found != "RECORD_DROPPED" {
		t.Errorf("removed: %q%s", found, show(report))
	}
	line := func(w *world, version string) (string, promotion.LedgerEntry) {
		return w.encode(promotion.Record{
			Format: 1, Kind: promotion.RecordAnnounce, Repository: promotion.RecordRepository{URI: identity.URI, ID: identity.Repository, App: identity.App},
			Artifact: artifact("checkout", value("checkout", version)), IssuedAt: w.now.AddDate(0, 0, 1),
		})
	}
	w = grown(3)
	text, e := line(w, "2.0.0")
	w.forge(map[string]string{path("1.0.0"): "", path("2.0.0"): text}, e)
	if report, found := w.verify(Options{}); found != "RECORD_DROPPED" {
		t.Errorf("removed though there is room: %q%s", found, show(report))
	}
	w = grown(ledger.KeepAnnounced)
	text, e = line(w, "2.0.0")
	w.forge(map[string]string{path("1.5.0"): "", path("2.0.0"): text}, e)
	if report, found := w.verify(Options{}); found != "RECORD_DROPPED" {
		t.Errorf("removed before its turn: %q%s", found, show(report))
	}
	w = grown(ledger.KeepAnnounced)
	text, e = line(w, "2.0.0")
	w.forge(map[string]string{path("1.0.0"): "", path("2.0.0"): text}, e)
	if report, found := w.verify(Options{}); found != "" {
		t.Errorf("made room as it must: %q%s", found, show(report))
	}
}
