package app

import (
	"testing"

	"github.com/rungbot/rung/internal/doors/github"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

func TestAnUnreadableConfigurationKeepsItsRoutes(t *testing.T) {
	r := newRoutes()
	about := github.Published{Artifact: "checkout", PublisherID: 1}
	if _, err := r.RepositoriesFor(7, about); err == nil {
		t.Error("an event is routed before it is known which repositories there are")
	}
	r.discovered([]promotion.Repository{{ID: 1, Installation: 7, Owner: "acme", Name: "environments"}}, nil)
	want := func(n int, why string) {
		t.Helper()
		if ids, err := r.RepositoriesFor(7, about); err != nil || len(ids) != n {
			t.Errorf("%s: it goes to %v, %v; want %d", why, ids, err, n)
		}
	}
	want(1, "not looked at yet")
	r.known(1, true, []promotion.ArtifactSpec{{Name: "checkout", Image: "ghcr.io/acme/checkout"}})
	want(1, "configured")
	r.known(1, true, nil)
	want(1, "unreadable")
	r.known(1, true, []promotion.ArtifactSpec{{Name: "cart", Image: "ghcr.io/acme/cart"}})
	want(0, "other artifacts")
	r.known(1, false, nil)
	want(0, "not configured")
}

func TestADoubtedRepositoryIsLookedForAgain(t *testing.T) {
	r := newRoutes()
	all := []promotion.Repository{{ID: 1, Installation: 7}, {ID: 2, Installation: 8}}
	r.discovered(all, nil)
	one, two := queue.RepositoryKey(1), queue.RepositoryKey(2)
	there := func(key queue.Key) bool {
		_, ok := r.repository(key)
		return ok
	}
	r.doubt(one)
	if there(one) || !there(two) {
		t.Errorf("after a doubt about one: %v, %v", there(one), there(two))
	}
	r.discovered(all, nil)
	if !there(one) {
		t.Error("it was found again, and is still in doubt")
	}
	r.discovered(nil, map[int64]bool{8: true})
	if there(one) || !there(two) {
		t.Errorf("gone and suspended: %v, %v", there(one), there(two))
	}
}
