package act

import (
	"context"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// specGit keeps the commit that it is asked for.
type specGit struct {
	Git
	got gitrepo.CommitSpec
}

func (g *specGit) WriteCommit(_ context.Context, spec gitrepo.CommitSpec) (promotion.Hash, error) {
	g.got = spec
	return "c", nil
}

// silent signs nothing.
type silent struct{ ledger.Signer }

func (silent) SignCommit([]byte) (string, error) { return "", nil }

// TestACommitIsNotDatedBeforeTheLedgers: whoever checks by hand goes by the place
// in the ledger, so a clock that was set back must not show in a promotion's commit.
func TestACommitIsNotDatedBeforeTheLedgers(t *testing.T) {
	recorded := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ now, want time.Time }{
		{recorded.Add(-time.Hour), recorded},
		{recorded.Add(time.Hour), recorded.Add(time.Hour)},
	} {
		g := &specGit{}
		d := &doing{Actor: &Actor{Git: g, Signer: silent{}}, s: &promotion.Snapshot{Now: c.now}, recorded: recorded}
		if _, err := d.make(t.Context(), making{}); err != nil || !g.got.Committer.When.Equal(c.want) || !g.got.Author.When.Equal(c.want) {
			t.Errorf("at %s: %+v, %v; want %s", c.now, g.got, err, c.want)
		}
	}
}
