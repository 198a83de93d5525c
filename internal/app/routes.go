package app

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/rungbot/rung/internal/doors/github"
	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// routes is the index from artifacts to the GitOps repositories that promote
// them, rebuilt from each base head that a pass has read. It lives in memory:
// after a start every repository is looked at, which fills it.
type routes struct {
	mu    sync.Mutex
	repos map[int64]*route
	// listed is true once it is known which repositories there are.
	listed bool
}

type route struct {
	repository promotion.Repository
	// doubted is true while it is not sure that the repository is still there
	// under this name.
	doubted bool
	// looked is true once a pass has read the base head.
	looked, configured bool
	artifacts          []promotion.ArtifactSpec
}

func newRoutes() *routes { return &routes{repos: map[int64]*route{}} }

var errNotReady = errors.New("rung does not know yet which repositories it has")

// discovered replaces what repositories there are. Those of suspended
// installations can't be listed; they are kept for the day that they are back.
func (r *routes) discovered(all []promotion.Repository, suspended map[int64]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listed = true
	present := map[int64]bool{}
	for _, repo := range all {
		present[repo.ID] = true
		if known := r.repos[repo.ID]; known != nil {
			known.repository, known.doubted = repo, false
			continue
		}
		r.repos[repo.ID] = &route{repository: repo}
	}
	for id, route := range r.repos {
		if !present[id] && !suspended[route.repository.Installation] {
			delete(r.repos, id)
		}
	}
}

// doubt makes a repository be looked for again before it is used.
func (r *routes) doubt(key queue.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, route := range r.repos {
		if queue.RepositoryKey(id) == key {
			route.doubted = true
		}
	}
}

// known is told what a pass has read. A configuration that names no artifact,
// perhaps because it can't be read just now, leaves those that it named before:
// their events still mark the repository.
func (r *routes) known(id int64, configured bool, artifacts []promotion.ArtifactSpec) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if route := r.repos[id]; route != nil {
		route.looked, route.configured = true, configured
		if len(artifacts) > 0 || !configured {
			route.artifacts = artifacts
		}
	}
}

// repository is where a repository is, if that is not in doubt.
func (r *routes) repository(key queue.Key) (promotion.Repository, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, route := range r.repos {
		if queue.RepositoryKey(id) == key {
			return route.repository, !route.doubted
		}
	}
	return promotion.Repository{}, false
}

// allLooked reports whether a pass has read every repository that there is.
func (r *routes) allLooked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, route := range r.repos {
		if !route.looked {
			return false
		}
	}
	return r.listed
}

func (r *routes) all() []promotion.Repository {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []promotion.Repository
	for _, route := range r.repos {
		all = append(all, route.repository)
	}
	slices.SortFunc(all, func(a, b promotion.Repository) int { return int(a.ID - b.ID) })
	return all
}

// RepositoriesFor implements github.Routes. A repository that was not looked at yet,
// or can't be, is told as well: whether the event may announce something there is
// judged by the pass that reads its configuration. One that fails holds up no other.
func (r *routes) RepositoriesFor(installation int64, about github.Published) ([]int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.listed {
		return nil, errNotReady
	}
	var ids []int64
	for id, route := range r.repos {
		if route.repository.Installation != installation {
			continue
		}
		if !route.looked || slices.ContainsFunc(route.artifacts, func(a promotion.ArtifactSpec) bool { return announces(&route.repository, &a, about) }) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// announces reports whether an event may announce an artifact: it names it, and
// it comes from the GitOps repository itself or from one of its publishers.
func announces(repo *promotion.Repository, a *promotion.ArtifactSpec, about github.Published) bool {
	named := about.Artifact == a.Name || about.Image != "" && strings.EqualFold(about.Image, a.Image) || about.Artifact == "" && about.Image == ""
	if !named {
		return false
	}
	return hint.Entitled(about.Publisher, about.PublisherID, repo.ID, a.Publishers)
}

// Configured implements github.Routes.
func (r *routes) Configured(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	route := r.repos[id]
	return route == nil || !route.looked || route.configured
}

// RepositoriesOf implements github.Routes.
func (r *routes) RepositoriesOf(installation int64) []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []int64
	for id, route := range r.repos {
		if route.repository.Installation == installation {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Seen implements github.Routes: a repository that was renamed or moved to
// another installation is known under its number.
func (r *routes) Seen(seen github.Repository) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.repos[seen.ID]
	if known == nil || seen.Owner == "" || seen.Name == "" {
		return
	}
	known.repository.Owner, known.repository.Name = seen.Owner, seen.Name
	if seen.URL != "" {
		known.repository.URL = seen.URL
	}
	if seen.Installation != 0 {
		known.repository.Installation = seen.Installation
	}
}
