package act

import (
	"context"
	"errors"
	"testing"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

// pacedForge takes urgent work alone: the pace of all other work is used up.
type pacedForge struct {
	Forge
	opened int
}

func (f *pacedForge) OpenPullRequest(ctx context.Context, _ promotion.Repository, _ forge.NewPullRequest) (int, error) {
	if !forge.Urgent(ctx) {
		return 0, &forge.RateLimitedError{Reason: "pace"}
	}
	f.opened++
	return f.opened, nil
}

// TestRollbacksUseTheShareThatIsKeptForThem opens a pull request when the pace of
// all other work is used up: that of a rollback is opened, that of a promotion waits.
func TestRollbacksUseTheShareThatIsKeptForThem(t *testing.T) {
	pair := promotion.Pair{Environment: "prod", Artifact: "checkout"}
	for _, c := range []struct {
		kind, phase string
		opened      int
	}{
		{promotion.KindRollback, promotion.PhaseOpen, 1},
		{promotion.KindRollback, promotion.PhaseReady, 1},
		{promotion.KindRollback, promotion.PhaseHeld, 0},
		{promotion.KindPromotion, promotion.PhaseOpen, 0},
	} {
		t.Run(c.kind+" "+c.phase, func(t *testing.T) {
			f := &pacedForge{}
			a := &Actor{Forge: f}
			out, err := a.Do(t.Context(), &promotion.Snapshot{}, &promotion.Plan{
				Opens: []promotion.OpenPullRequest{{Pair: pair, Branch: promotion.PromotionBranch(pair), Title: "back"}},
				Pairs: []promotion.PairState{{Pair: pair, Kind: c.kind, Phase: c.phase}},
			}, false)
			var limited *forge.RateLimitedError
			if f.opened != c.opened || out.Opened[pair] != c.opened || (err == nil) != (c.opened == 1) || err != nil && !errors.As(err, &limited) {
				t.Errorf("opened %d, outcome %v: %v", f.opened, out.Opened, err)
			}
		})
	}
}
