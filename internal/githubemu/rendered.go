package githubemu

import (
	"encoding/json"
	"time"
)

// rendered keeps JSON that is sent over and over: accounts, Apps and
// repositories appear several times in every payload. Entries are looked up by
// all that they are made of, so none is ever out of date.
type rendered struct {
	users map[userKey]json.RawMessage
	apps  map[appKey]json.RawMessage
	repos map[repoKey]json.RawMessage
}

type userKey struct {
	id    int64
	login string
	base  string
}

type appKey struct {
	id        int64
	installed int
	base      string
}

type repoKey struct {
	id                int64
	owner, name       string
	description       string
	branch, base      string
	private, archived bool
	settings          [6]bool
	open              int
	updated, pushed   time.Time
	inPull            bool
}

// maxRendered bounds each kind; beyond it they are made anew.
const maxRendered = 1000

func newRendered() rendered {
	return rendered{users: map[userKey]json.RawMessage{}, apps: map[appKey]json.RawMessage{}, repos: map[repoKey]json.RawMessage{}}
}

func once[K comparable](cache map[K]json.RawMessage, k K, render func() object) json.RawMessage {
	if raw, ok := cache[k]; ok {
		return raw
	}
	if len(cache) >= maxRendered {
		clear(cache)
	}
	raw := json.RawMessage(encodePayload(render()))
	cache[k] = raw
	return raw
}

// user is userJSON, rendered.
func (s *Server) user(a *account) any {
	if a == nil {
		return nil
	}
	return once(s.rendered.users, userKey{a.ID, a.Login, s.cfg.BaseURL}, func() object { return s.userJSON(a) })
}

// appOf is appJSON, rendered.
func (s *Server) appOf(a *app) any {
	if a == nil {
		return nil
	}
	return once(s.rendered.apps, appKey{a.ID, s.installationsOf(a.ID), s.cfg.BaseURL}, func() object { return s.appJSON(a) })
}

// repoOf is repoJSON, rendered; inPull adds the settings that pull requests
// show.
func (s *Server) repoOf(r *repo, inPull bool) any {
	k := repoKey{
		r.ID, r.Owner, r.Name, r.Description, r.DefaultBranch, s.cfg.BaseURL, r.Private, r.Archived,
		[6]bool{r.AllowMerge, r.AllowSquash, r.AllowRebase, r.AllowAutoMerge, r.DeleteOnMerge, r.AllowUpdate},
		r.open(), r.UpdatedAt, r.PushedAt, inPull,
	}
	return once(s.rendered.repos, k, func() object {
		if inPull {
			return s.pullRepoJSON(r)
		}
		return s.repoJSON(r)
	})
}
