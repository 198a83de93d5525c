package githubemu

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"
)

// status is one commit status. They are never changed, only followed by newer
// ones.
type status struct {
	ID          int64
	SHA         string
	State       string // error, failure, pending or success
	Context     string
	Description string
	TargetURL   string
	Creator     string
	CreatedAt   time.Time
}

// latestStatuses keeps the newest of each context.
func latestStatuses(all []*status) []*status {
	last := map[string]*status{}
	for _, st := range all {
		last[st.Context] = st
	}
	return sortedBy(last)
}

func (s *Server) statusRoutes() []*route {
	const r = "/repos/{owner}/{repo}"
	return []*route{
		post(r+"/statuses/{sha}", "statuses:write", s.createStatusRoute),
		get(r+"/commits/{ref...}/status", "statuses:read", s.combinedStatus),
		get(r+"/commits/{ref...}/statuses", "statuses:read", s.listStatuses),
		get(r+"/statuses/{ref...}", "statuses:read", s.listStatuses),
	}
}

type statusInput struct {
	State       string `json:"state"`
	Context     string `json:"context"`
	Description string `json:"description"`
	TargetURL   string `json:"target_url"`
}

func (s *Server) createStatusRoute(c *call) (reply, error) {
	var in statusInput
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if _, err := s.readCommit(c.ctx, c.repo, c.vars["sha"]); err != nil {
		return reply{}, fail(422, "No commit found for SHA: %s", c.vars["sha"])
	}
	st, err := s.createStatus(c.ctx, c.repo, c.who.acc, c.vars["sha"], in)
	if err = s.afterCheck(c.ctx, c.repo, err); err != nil {
		return reply{}, err
	}
	return created(s.statusJSON(c.repo, st))
}

func (s *Server) createStatus(ctx context.Context, r *repo, who *account, sha string, in statusInput) (*status, error) {
	if !slices.Contains([]string{"error", "failure", "pending", "success"}, in.State) {
		return nil, custom("Status", "State is not included in the list")
	}
	if utf8.RuneCountInString(in.Description) > 140 {
		return nil, custom("Status", "description is too long (maximum is 140 characters)")
	}
	if in.Context == "" {
		in.Context = "default"
	}
	if len(r.Statuses[sha]) >= 1000 {
		return nil, custom("Status", "This SHA and context has reached the maximum number of statuses.")
	}
	st := &status{
		ID: s.w.next("status"), SHA: sha, State: in.State, Context: in.Context, Description: in.Description,
		TargetURL: in.TargetURL, Creator: who.Login, CreatedAt: s.now(),
	}
	r.Statuses[sha] = append(r.Statuses[sha], st)
	s.emitStatus(ctx, r, st, who)
	return st, nil
}

func (s *Server) listStatuses(c *call) (reply, error) {
	sha, err := s.resolveRef(c.ctx, c.repo, c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	all := slices.Clone(c.repo.Statuses[sha])
	slices.Reverse(all)
	return list(c, all, func(st *status) object { return s.statusJSON(c.repo, st) })
}

func (s *Server) combinedStatus(c *call) (reply, error) {
	sha, err := s.resolveRef(c.ctx, c.repo, c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	latest := latestStatuses(c.repo.Statuses[sha])
	state := "success"
	if len(latest) == 0 {
		state = "pending"
	}
	for _, st := range latest {
		if st.State == "failure" || st.State == "error" {
			state = "failure"
		} else if st.State == "pending" && state == "success" {
			state = "pending"
		}
	}
	cut, h := page(c, latest)
	rows := []object{}
	for _, st := range cut {
		o := s.statusJSON(c.repo, st)
		delete(o, "creator")
		rows = append(rows, o)
	}
	u := s.api("/repos/%s/commits/%s", c.repo.full(), sha)
	return reply{status: 200, header: h, body: object{
		"state": state, "statuses": rows, "sha": sha, "total_count": len(latest),
		"repository": s.repoOf(c.repo, false), "commit_url": u, "url": u + "/status",
	}}, nil
}

// statusJSON is GitHub's commit status.
func (s *Server) statusJSON(r *repo, st *status) object {
	return object{
		"id": st.ID, "node_id": nodeID("SC", st.ID), "url": s.api("/repos/%s/statuses/%s", r.full(), st.SHA),
		"avatar_url": s.html("/_emu/avatar/%d", st.ID), "state": st.State, "description": orNull(st.Description),
		"target_url": orNull(st.TargetURL), "context": st.Context, "created_at": stamp(st.CreatedAt),
		"updated_at": stamp(st.CreatedAt), "creator": s.user(s.w.user(st.Creator)),
	}
}
