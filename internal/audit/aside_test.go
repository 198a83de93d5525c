package audit

import (
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// TestAsideGivesBackInTheOtherOrder: what was put last comes first, of any size,
// and another commit than the one on top is not there.
func TestAsideGivesBackInTheOtherOrder(t *testing.T) {
	var a aside
	const many = 2000
	text := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 1+i*7%900) }
	for i := range many {
		a.put(oid{byte(i), byte(i >> 8)}, text(i))
	}
	a.put(oid{0xff, 0xff}, strings.Repeat("large", 100_000))
	if _, ok := a.take(oid{}); ok {
		t.Error("a commit from below the top was given")
	}
	if got, ok := a.take(oid{0xff, 0xff}); !ok || len(got) != 500_000 {
		t.Errorf("the large one: %v, %d bytes", ok, len(got))
	}
	for i := many - 1; i >= 0; i-- {
		if got, ok := a.take(oid{byte(i), byte(i >> 8)}); !ok || got != text(i) {
			t.Fatalf("commit %d: %v, %q", i, ok, got)
		}
	}
	if _, ok := a.take(oid{}); ok || a.held != 0 || len(a.commits) != 0 {
		t.Errorf("all is taken, and %d bytes of %d commits are held", a.held, len(a.commits))
	}
}

// TestAsideForgetsTheNewest: beyond its bound it lets go what would be asked for
// last, and gives the rest.
func TestAsideForgetsTheNewest(t *testing.T) {
	var a aside
	text := strings.Repeat("x", 256<<10)
	room := maxAside / (len(text) + textOverhead)
	for i := range room + 3 {
		a.put(oid{byte(i), byte(i >> 8)}, text)
	}
	given := 0
	for i := room + 2; i >= 0; i-- {
		if _, ok := a.take(oid{byte(i), byte(i >> 8)}); !ok {
			break
		}
		given++
	}
	if given != room {
		t.Errorf("%d of %d texts were kept, and there is room for %d", given, room+3, room)
	}
	if _, ok := a.take(oid{}); ok || a.held != 0 {
		t.Errorf("what was forgotten is given, or %d bytes of it are held", a.held)
	}
}

// TestBars: a quarantine bars its digest and its children until it is lifted, by
// this commit or before, or said again without them.
func TestBars(t *testing.T) {
	b := newBars()
	put := func(kind promotion.RecordKind, d promotion.Digest, children ...promotion.Digest) {
		b.put(promotion.Record{Kind: kind, Digest: d, Children: children})
	}
	barred := func(d promotion.Digest, want bool, lifted ...promotion.Digest) {
		t.Helper()
		now := map[promotion.Digest]bool{}
		for _, l := range lifted {
			now[l] = true
		}
		if _, got := b.over(d, now); got != want {
			t.Errorf("%s: barred %v", d, got)
		}
	}
	barred("child", false)
	put(promotion.RecordQuarantine, "index", "child")
	barred("index", true)
	barred("child", true)
	barred("child", false, "index")
	put(promotion.RecordQuarantine, "other", "child")
	barred("child", true, "index")
	put(promotion.RecordUnquarantine, "index")
	barred("index", false)
	barred("child", true)
	put(promotion.RecordQuarantine, "other")
	barred("child", false)
	put(promotion.RecordQuarantine, "child")
	put(promotion.RecordUnquarantine, "child")
	barred("child", false)
}
