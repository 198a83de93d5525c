package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

func announced(version string) promotion.Record {
	return about(promotion.RecordAnnounce, promotion.Pair{Artifact: "checkout"}, version)
}

// versions are the versions of an artifact whose announcements stand.
func (b *book) versions(name promotion.Artifact) []string {
	var out []string
	for _, e := range b.state.Announced[name] {
		out = append(out, string(e.Record.Artifact.Version))
	}
	slices.Sort(out)
	return out
}

// TestTheOldestAnnouncementMakesRoom: the tree doesn't grow with history, and what
// went stays reachable.
func TestTheOldestAnnouncementMakesRoom(t *testing.T) {
	git := newStock(t)
	b := bookOn(git.server)
	b.append(commitA)
	var first promotion.LedgerEntry
	for i := range KeepAnnounced + 3 {
		b.now = b.now.Add(time.Minute)
		done := b.append("", announced(fmt.Sprintf("1.0.%02d", i)))
		if i == 0 {
			first = done.Entries[0]
		}
	}
	want := []string{}
	for i := 3; i < KeepAnnounced+3; i++ {
		want = append(want, fmt.Sprintf("1.0.%02d", i))
	}
	if got := b.versions("checkout"); !slices.Equal(got, want) {
		t.Errorf("standing are %v, want %v", got, want)
	}
	if objects := git.git("rev-list", "--objects", promotion.LedgerRef); !strings.Contains(objects, string(first.Blob)) {
		t.Error("the first announcement is not reachable any more")
	}
	// One that went may be announced again; another artifact's stay.
	other := about(promotion.RecordAnnounce, promotion.Pair{Artifact: "cart"}, "2.0.0")
	b.append("", other, announced("1.0.00"))
	if got := b.versions("checkout"); len(got) != KeepAnnounced || got[0] != "1.0.00" || got[1] != "1.0.04" {
		t.Errorf("standing are %v", got)
	}
	if got := b.versions("cart"); !slices.Equal(got, []string{"2.0.0"}) {
		t.Errorf("of another artifact stand %v", got)
	}
	git.git("fsck", "--strict")
}

// TestAnnouncementsOfOnePass: more than are kept, in one append: each stays
// reachable, because its commit comes before the one that takes it out.
func TestAnnouncementsOfOnePass(t *testing.T) {
	git := newStock(t)
	b := bookOn(git.server)
	b.append(commitA)
	var records []promotion.Record
	for i := range 2*KeepAnnounced + 1 {
		records = append(records, announced(fmt.Sprintf("1.0.%02d", i)))
	}
	propose := about(promotion.RecordPropose, devCheckout, "1.0.00")
	propose.Announced = "#0"
	done := b.append("", append(records, propose)...)
	if len(b.versions("checkout")) != KeepAnnounced {
		t.Errorf("standing are %v", b.versions("checkout"))
	}
	objects := git.git("rev-list", "--objects", promotion.LedgerRef)
	for i, e := range done.Entries {
		if !strings.Contains(objects, string(e.Blob)) {
			t.Errorf("record %d is not reachable", i)
		}
	}
	if got := b.state.Open[devCheckout].Record.Announced; got != done.Entries[0].Statement {
		t.Errorf("the propose cites %s, want %s", got, done.Entries[0].Statement)
	}
}

// TestAnnouncementsAndRangesAreChained: like every other record each names the one
// before it.
func TestAnnouncementsAndRangesAreChained(t *testing.T) {
	b := newBook(t)
	configured := promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{From: commitA, To: commitB}}
	b.append(commitA, announced("1.0.0"), configured)
	was, wasRange := b.state.Announced["checkout"][0], *b.state.Range
	if was.Record.Previous != nil || wasRange.Record.Previous != nil {
		t.Errorf("the first follow %v and %v", was.Record.Previous, wasRange.Record.Previous)
	}
	again := announced("1.0.0")
	again.Causers = []promotion.Person{{ID: 5, Login: "bob"}}
	b.append("", again, configured)
	now, nowRange := b.state.Announced["checkout"][0], *b.state.Range
	for _, c := range []struct{ was, now promotion.LedgerEntry }{{was, now}, {wasRange, nowRange}} {
		if p := c.now.Record.Previous; p == nil || p.Statement != c.was.Statement || p.Blob != c.was.Blob {
			t.Errorf("%s follows %+v, want %s in %s", c.now.Record.Kind, p, c.was.Statement, c.was.Blob)
		}
	}
	if len(b.state.Announced["checkout"]) != 1 {
		t.Errorf("%d announcements of one version", len(b.state.Announced["checkout"]))
	}
}
