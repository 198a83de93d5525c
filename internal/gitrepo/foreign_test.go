package gitrepo

import (
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// TestPushOfACommitThatTheServerMade: a branch may be put on a commit that the
// server made and that nothing refers to yet (commits: github), in one push with the
// ledger, or alone with nothing to send.
func TestPushOfACommitThatTheServerMade(t *testing.T) {
	w := newPushWorld(t, nil)
	base := w.repo.head("refs/heads/main")
	promotionRef := "refs/heads/rung/p/dev/made"
	tree := w.repo.git("rev-parse", string(base)+"^{tree}")
	made := promotion.Hash(w.repo.git("-c", "user.name=GitHub", "-c", "user.email=noreply@github.com", "commit-tree", tree, "-p", string(base), "-m", "Promote"))
	if _, err := w.remote.Push(t.Context(), []RefUpdate{{Ref: ledgerRef, Old: w.ledger, New: w.nextLedger, First: true}, {Ref: promotionRef, New: made}}, PushOptions{RequireAtomic: true}); err != nil {
		t.Fatal(err)
	}
	if w.repo.head(promotionRef) != made || w.repo.head(ledgerRef) != w.nextLedger {
		t.Error("the refs are not where they were pushed")
	}
	other := promotion.Hash(w.repo.git("-c", "user.name=GitHub", "-c", "user.email=noreply@github.com", "commit-tree", tree, "-p", string(base), "-m", "Promote again, at "+time.Now().String()))
	if _, err := w.remote.Push(t.Context(), []RefUpdate{{Ref: promotionRef, Old: made, New: other}}, PushOptions{}); err != nil || w.repo.head(promotionRef) != other {
		t.Errorf("with nothing to send: %v", err)
	}
	w.repo.fsck()
	// What the server has not is refused, and nothing moves.
	if _, err := w.remote.Push(t.Context(), []RefUpdate{{Ref: promotionRef, Old: other, New: promotion.Hash("1111111111111111111111111111111111111111")}}, PushOptions{}); err == nil || w.repo.head(promotionRef) != other {
		t.Errorf("a commit that is nowhere: %v", err)
	}
}
