package decide_test

import (
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// Without its ledger rung does not know which pull requests are its own, nor what
// is quarantined: none that changes a version may be green.
func TestNoVersionIsGreenWithoutTheLedger(t *testing.T) {
	w := newWorld(t)
	w.s.Ledger = promotion.LedgerState{Problem: "the ledger is lost; push it back"}
	promoting, plain := ordinary(5), ordinary(6)
	promoting.HeadRef = "rung/p/prod/checkout"
	promoting.Impact = &promotion.Impact{Head: promoting.Head, Places: map[promotion.Pair][]promotion.PlaceChange{at(prod): {{Before: value("1.0.0"), After: value("1.1.0")}}}}
	plain.Head = hash(77)
	plain.Impact = &promotion.Impact{Head: plain.Head}
	w.s.PullRequests = []promotion.PullRequestState{promoting, plain}
	plan := w.decide()
	w.changesNothing(plan)
	if c := check(plan, 5, promotion.Pair{}); c == nil || c.Conclusion != "action_required" || c.Title != "Held" || !strings.Contains(c.Summary, "the ledger is lost; push it back") {
		t.Errorf("a change of a version has the check %+v", c)
	}
	if c := check(plan, 6, promotion.Pair{}); c == nil || c.Conclusion != "success" {
		t.Errorf("a pull request that touches no version has the check %+v", c)
	}
}
