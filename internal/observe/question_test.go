package observe

import (
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

// TestMergeabilityIsAskedForEachBase: the forge begins to work out whether a
// head can be merged when it is asked, so every base that it is to be merged
// into is asked about at once, and then not more than once a second.
func TestMergeabilityIsAskedForEachBase(t *testing.T) {
	o := New(Config{})
	o.mem.builtOn["head"] = "first"
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	pr := &promotion.PullRequestState{Head: "head", Mergeable: forge.MergeUnknown}
	for _, step := range []struct {
		base  promotion.Hash
		after time.Duration
		want  bool
	}{
		{"first", 0, false}, // it was built on it
		{"second", 0, true},
		{"second", 500 * time.Millisecond, false},
		{"third", 100 * time.Millisecond, true}, // moved within the second
		{"third", 900 * time.Millisecond, false},
		{"third", 100 * time.Millisecond, true},
	} {
		now = now.Add(step.after)
		p := &pass{Observer: o, s: &promotion.Snapshot{Now: now, Base: promotion.BaseState{Head: step.base}}}
		if got := p.needsMergeable(pr); got != step.want {
			t.Errorf("asked about %s at %s: %v, want %v", step.base, now.Format("05.000"), got, step.want)
		}
	}
	pr.Mergeable = forge.MergeClean
	p := &pass{Observer: o, s: &promotion.Snapshot{Now: now.Add(time.Hour), Base: promotion.BaseState{Head: "fourth"}}}
	if p.needsMergeable(pr) {
		t.Error("what is known is asked again")
	}
}
