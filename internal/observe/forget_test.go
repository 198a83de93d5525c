package observe

import (
	"testing"
	"time"

	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/promotion"
)

// TestWhatCannotBeReadAgainIsKept: a failed write, or an installation that was
// suspended, makes everything be read anew; what no reading tells again (who
// published, since when a release is healthy, how far the ledger was) stays.
func TestWhatCannotBeReadAgainIsKept(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	check := func(t *testing.T, o *Observer) {
		t.Helper()
		if len(o.mem.told) != 1 || o.mem.told[0].Sender.Login != "alice" {
			t.Errorf("who published is forgotten: %+v", o.mem.told)
		}
		if len(o.mem.unusable) != 1 {
			t.Errorf("what can't be used is forgotten: %+v", o.mem.unusable)
		}
		if r := o.mem.health[healthKey{digest: "d"}]; !r.Since.Equal(now) {
			t.Errorf("since when it is healthy is forgotten: %+v", o.mem.health)
		}
		if o.mem.tip != "tip" || o.mem.refusals[promotion.Pair{}] != 3 {
			t.Errorf("the ledger's tip is %q, refusals are %v", o.mem.tip, o.mem.refusals)
		}
		if !o.mem.cold || len(o.mem.prs) > 0 || o.mem.base != "" || o.mem.rules.Known || !o.mem.commented.IsZero() {
			t.Error("what the forge said is not read anew")
		}
	}
	seen := func() *Observer {
		o := New(Config{})
		o.mem.cold, o.mem.base, o.mem.tip, o.mem.commented, o.mem.rules.Known = false, "refs/heads/main", "tip", now, true
		o.mem.prs[1] = &promotion.PullRequestState{Number: 1}
		o.mem.health[healthKey{digest: "d"}] = promotion.HealthReading{Since: now}
		o.mem.refusals[promotion.Pair{}] = 3
		o.mem.take([]hint.Hint{{Kind: hint.KindPublished, Artifact: "checkout", Version: "1.1.0", Sender: promotion.Person{Login: "alice"}}, {Kind: hint.KindRefused, At: now, Reason: "no version"}}, now, 0)
		return o
	}
	t.Run("by the same", func(t *testing.T) {
		o := seen()
		o.Forget()
		check(t, o)
	})
	t.Run("by a new one", func(t *testing.T) {
		o := New(Config{})
		o.Keep(seen())
		check(t, o)
	})
}
