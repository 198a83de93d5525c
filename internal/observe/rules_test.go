package observe

import (
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// TestTheRulesAreReadAnewForAProtectedEnvironment: no event tells of a branch rule
// that was loosened, so an open promotion there must not rest on an old reading.
func TestTheRulesAreReadAnewForAProtectedEnvironment(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name      string
		protected bool
		app       int64
		age       time.Duration
		kind      promotion.RecordKind
		want      bool
	}{
		{"read just now", true, 7, rulesHold - time.Second, promotion.RecordAuthorize, false},
		{"read a while ago", true, 7, rulesHold, promotion.RecordAuthorize, true},
		{"while it holds", true, 0, time.Second, promotion.RecordPropose, true},
		{"while it waits", true, 7, rulesHold, promotion.RecordPropose, true},
		{"nothing is open", true, 7, rulesHold, promotion.RecordWithdraw, false},
		{"not protected", false, 0, time.Hour, promotion.RecordAuthorize, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			pair := promotion.Pair{Environment: "prod", Artifact: "checkout"}
			o := New(Config{AppID: 7})
			o.mem.rules.RequiredChecks = []promotion.RequiredCheck{{Name: promotion.CheckName, App: c.app}}
			o.mem.cold, o.mem.rules.Known, o.mem.rulesAt = false, true, now.Add(-c.age)
			o.mem.prs[1] = &promotion.PullRequestState{Number: 1, State: "open", Head: "h", HeadRef: headName(pair), Mergeable: "mergeable"}
			p := &pass{Observer: o, s: &promotion.Snapshot{
				Now: now, Pipeline: promotion.Pipeline{Ledger: "l", Environments: []promotion.EnvironmentSpec{{Name: "prod", Protected: c.protected}}},
				Branches: map[string]promotion.Hash{promotion.PromotionBranch(pair): "h"},
				Ledger: promotion.LedgerState{Tip: "t", Open: map[promotion.Pair]promotion.LedgerEntry{pair: {Record: promotion.Record{
					Kind: c.kind, PullRequest: &promotion.RecordPullRequest{Number: 1, Head: "h"},
				}}}},
			}}
			p.s.Base.Head = "b"
			o.mem.builtOn["h"] = "b"
			if _, need := p.query(); need != c.want {
				t.Errorf("read: %v, want %v", need, c.want)
			}
		})
	}
}
