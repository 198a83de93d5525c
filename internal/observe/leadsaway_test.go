package observe

import (
	"testing"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// TestLinksOnTheWayAreNotFollowed: an environment behind a link would seem to be
// without places; a link that only a * matches is somebody's own affair.
func TestLinksOnTheWayAreNotFollowed(t *testing.T) {
	for _, c := range []struct {
		env  promotion.EnvironmentSpec
		path string
		mode gitrepo.Mode
		want bool
	}{
		{promotion.EnvironmentSpec{Path: "environments/dev"}, "environments", gitrepo.ModeSymlink, true},
		{promotion.EnvironmentSpec{Path: "environments/dev"}, "environments", gitrepo.ModeGitlink, true},
		{promotion.EnvironmentSpec{Path: "environments/dev"}, "environments/dev", gitrepo.ModeSymlink, false},
		{promotion.EnvironmentSpec{Path: "environments/dev"}, "environments/dev/a.yaml", gitrepo.ModeSymlink, false},
		{promotion.EnvironmentSpec{Paths: []string{"a.yaml", "apps/*/dev"}}, "apps", gitrepo.ModeSymlink, true},
		{promotion.EnvironmentSpec{Paths: []string{"a.yaml", "apps/*/dev"}}, "apps/x", gitrepo.ModeSymlink, false},
		{promotion.EnvironmentSpec{Paths: []string{"a.yaml", "apps/*/dev"}}, "apps", gitrepo.ModeFile, false},
	} {
		if got := leadsAway(&c.env, gitrepo.File{Path: c.path, Mode: c.mode}); got != c.want {
			t.Errorf("%v with %s at %s: %v", c.env, c.mode, c.path, got)
		}
	}
}
