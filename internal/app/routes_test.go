package app

import (
	"testing"

	"github.com/rungbot/rung/internal/doors/github"
	"github.com/rungbot/rung/internal/promotion"
)

func TestAnUnreadableConfigurationKeepsItsRoutes(t *testing.T) {
	r := newRoutes()
	r.discovered([]promotion.Repository{{ID: 1, Installation: 7, Owner: "acme", Name: "environments"}})
	about := github.Published{Artifact: "checkout", PublisherID: 1}
	if _, err := r.RepositoriesFor(7, about); err == nil {
		t.Error("an event is routed before the repository was looked at")
	}
	want := func(n int, why string) {
		t.Helper()
		if ids, err := r.RepositoriesFor(7, about); err != nil || len(ids) != n {
			t.Errorf("%s: it goes to %v, %v; want %d", why, ids, err, n)
		}
	}
	r.known(1, true, []promotion.ArtifactSpec{{Name: "checkout", Image: "ghcr.io/acme/checkout"}})
	want(1, "configured")
	r.known(1, true, nil)
	want(1, "unreadable")
	r.known(1, true, []promotion.ArtifactSpec{{Name: "cart", Image: "ghcr.io/acme/cart"}})
	want(0, "other artifacts")
	r.known(1, false, nil)
	want(0, "not configured")
}
