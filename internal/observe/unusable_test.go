package observe

import (
	"fmt"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/hint"
)

// TestUnusableIsToldForADay: what events held that can't be used is kept where people
// look, in order, within bounds, and for a day.
func TestUnusableIsToldForADay(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m := newMemory()
	var hints []hint.Hint
	for i := range maxUnusable + 2 {
		hints = append(hints, hint.Hint{Kind: hint.KindRefused, At: now.Add(time.Duration(i) * time.Minute), Reason: fmt.Sprintf("reason %d", i)})
	}
	m.take(hints, now.Add(time.Hour), 0)
	got := m.unusables()
	if len(got) != maxUnusable || got[0].Text != "reason 2" || got[maxUnusable-1].Text != "reason 11" {
		t.Fatalf("kept %+v", got)
	}
	m.take(nil, now.Add(keepUnusable+10*time.Minute), 0)
	if got := m.unusables(); len(got) != 2 || got[0].Text != "reason 10" {
		t.Errorf("a day later %+v", got)
	}
	m.take(nil, now.Add(2*keepUnusable), 0)
	if got := m.unusables(); len(got) != 0 {
		t.Errorf("two days later %+v", got)
	}
}
