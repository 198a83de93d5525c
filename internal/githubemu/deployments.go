package githubemu

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

type deployment struct {
	ID          int64
	SHA, Ref    string
	Task        string
	Environment string
	Description string
	Payload     json.RawMessage
	Creator     string
	Transient   bool
	Production  bool
	CreatedAt   time.Time
	Statuses    []*deployStatus
}

type deployStatus struct {
	ID                             int64
	State, Description             string
	LogURL, EnvironmentURL, Target string
	Environment, Creator           string
	CreatedAt                      time.Time
}

type release struct {
	ID                     int64
	Tag, Name, Body        string
	Target, Author         string
	Draft, Prerelease      bool
	CreatedAt, PublishedAt time.Time
}

func (s *Server) deploymentRoutes() []*route {
	const r = "/repos/{owner}/{repo}"
	return []*route{
		get(r+"/deployments", "deployments:read", s.listDeployments),
		post(r+"/deployments", "deployments:write", s.createDeployment),
		get(r+"/deployments/{deployment}", "deployments:read", s.getDeployment),
		get(r+"/deployments/{deployment}/statuses", "deployments:read", s.listDeployStatuses),
		post(r+"/deployments/{deployment}/statuses", "deployments:write", s.createDeployStatusRoute),
		get(r+"/releases", "contents:read", s.listReleases),
		get(r+"/releases/latest", "contents:read", s.latestRelease),
		get(r+"/releases/tags/{tag...}", "contents:read", s.releaseByTag),
	}
}

func (s *Server) listDeployments(c *call) (reply, error) {
	var all []*deployment
	for _, d := range c.repo.Deployments {
		keep := true
		for name, v := range map[string]string{"sha": d.SHA, "ref": d.Ref, "task": d.Task, "environment": d.Environment} {
			keep = keep && (c.query(name) == "" || c.query(name) == v)
		}
		if keep {
			all = append(all, d)
		}
	}
	slices.Reverse(all)
	return list(c, all, func(d *deployment) object { return s.deploymentJSON(c.repo, d) })
}

// createDeployment has GitHub's dangerous defaults: it merges the default
// branch into the ref, and wants every status to have passed.
func (s *Server) createDeployment(c *call) (reply, error) {
	in := struct {
		Ref, Task, Environment, Description string
		Payload                             json.RawMessage
		AutoMerge                           *bool     `json:"auto_merge"`
		Contexts                            *[]string `json:"required_contexts"`
		Transient                           bool      `json:"transient_environment"`
		Production                          bool      `json:"production_environment"`
	}{Task: "deploy", Environment: "production"}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	sha, err := s.resolveRef(c.ctx, c.repo, in.Ref)
	if err != nil || in.Ref == "" {
		return reply{}, fail(422, "No ref found for: %s", in.Ref)
	}
	if in.AutoMerge == nil || *in.AutoMerge {
		if tip, err := s.tip(c.ctx, c.repo, c.repo.DefaultBranch); err == nil {
			if inside, err := s.reaches(c.ctx, c.repo, tip, sha); err == nil && !inside {
				return reply{}, fail(http.StatusConflict, "Conflict merging %s into %s.", c.repo.DefaultBranch, in.Ref)
			}
		}
	}
	if err := s.contextsPass(c.repo, sha, in.Contexts); err != nil {
		return reply{}, err
	}
	if len(in.Payload) == 0 {
		in.Payload = json.RawMessage("{}")
	}
	d := &deployment{
		ID: s.w.next("deployment"), SHA: sha, Ref: in.Ref, Task: in.Task, Environment: in.Environment,
		Description: in.Description, Payload: in.Payload, Creator: c.who.acc.Login, Transient: in.Transient,
		Production: in.Production || in.Environment == "production", CreatedAt: s.now(),
	}
	c.repo.Deployments = append(c.repo.Deployments, d)
	s.emit(c.repo, "deployment", "created", c.who.acc, object{"deployment": s.deploymentJSON(c.repo, d), "workflow": nil, "workflow_run": nil})
	return created(s.deploymentJSON(c.repo, d))
}

func (s *Server) contextsPass(r *repo, sha string, wanted *[]string) error {
	for _, st := range latestStatuses(r.Statuses[sha]) {
		if st.State != "success" && (wanted == nil || slices.Contains(*wanted, st.Context)) {
			return &Error{Status: http.StatusConflict, Message: "Conflict: Commit status checks failed for " + sha + "."}
		}
	}
	if wanted != nil {
		for _, w := range *wanted {
			if s.checkState(r, sha, RequiredCheck{Context: w}) != "success" {
				return &Error{Status: http.StatusConflict, Message: "Conflict: Commit status checks failed for " + sha + "."}
			}
		}
	}
	return nil
}

func (c *call) deployment() (*deployment, error) {
	for _, d := range c.repo.Deployments {
		if d.ID == c.id("deployment") {
			return d, nil
		}
	}
	return nil, notFound()
}

func (s *Server) getDeployment(c *call) (reply, error) {
	d, err := c.deployment()
	if err != nil {
		return reply{}, err
	}
	return ok(s.deploymentJSON(c.repo, d))
}

func (s *Server) listDeployStatuses(c *call) (reply, error) {
	d, err := c.deployment()
	if err != nil {
		return reply{}, err
	}
	all := slices.Clone(d.Statuses)
	slices.Reverse(all)
	return list(c, all, func(st *deployStatus) object { return s.deployStatusJSON(c.repo, d, st) })
}

func (s *Server) createDeployStatusRoute(c *call) (reply, error) {
	d, err := c.deployment()
	if err != nil {
		return reply{}, err
	}
	var in struct {
		State, Description, Environment string
		LogURL                          string `json:"log_url"`
		EnvironmentURL                  string `json:"environment_url"`
		Target                          string `json:"target_url"`
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	st := &deployStatus{
		State: in.State, Description: in.Description, LogURL: in.LogURL, EnvironmentURL: in.EnvironmentURL,
		Target: in.Target, Environment: in.Environment,
	}
	if err := s.addDeployStatus(c.repo, d, c.who.acc, st); err != nil {
		return reply{}, err
	}
	return created(s.deployStatusJSON(c.repo, d, st))
}

func (s *Server) addDeployStatus(r *repo, d *deployment, who *account, st *deployStatus) error {
	known := []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}
	if !slices.Contains(known, st.State) {
		return custom("DeploymentStatus", "State is not included in the list")
	}
	if len(st.Description) > 140 {
		return custom("DeploymentStatus", "description is too long (maximum is 140 characters)")
	}
	st.ID, st.Creator, st.CreatedAt = s.w.next("deploystatus"), who.Login, s.now()
	if st.Environment == "" {
		st.Environment = d.Environment
	}
	d.Statuses = append(d.Statuses, st)
	s.emit(r, "deployment_status", "created", who, object{
		"deployment_status": s.deployStatusJSON(r, d, st),
		"deployment":        s.deploymentJSON(r, d), "check_run": nil, "workflow": nil, "workflow_run": nil,
	})
	return nil
}

func (s *Server) deploymentJSON(r *repo, d *deployment) object {
	u := s.api("/repos/%s/deployments/%d", r.full(), d.ID)
	updated := d.CreatedAt
	if n := len(d.Statuses); n > 0 {
		updated = d.Statuses[n-1].CreatedAt
	}
	return object{
		"id": d.ID, "node_id": nodeID("DE", d.ID), "sha": d.SHA, "ref": d.Ref, "task": d.Task, "payload": d.Payload,
		"original_environment": d.Environment, "environment": d.Environment, "description": orNull(d.Description),
		"creator": s.user(s.w.user(d.Creator)), "created_at": stamp(d.CreatedAt), "updated_at": stamp(updated),
		"statuses_url": u + "/statuses", "url": u, "repository_url": s.api("/repos/%s", r.full()),
		"transient_environment": d.Transient, "production_environment": d.Production, "performed_via_github_app": nil,
	}
}

func (s *Server) deployStatusJSON(r *repo, d *deployment, st *deployStatus) object {
	u := s.api("/repos/%s/deployments/%d", r.full(), d.ID)
	target := st.Target
	if target == "" {
		target = st.LogURL
	}
	return object{
		"id": st.ID, "node_id": nodeID("DES", st.ID), "url": u + "/statuses/" + itoa(int(st.ID)), "state": st.State,
		"creator": s.user(s.w.user(st.Creator)), "description": st.Description, "environment": st.Environment,
		"target_url": target, "log_url": target, "environment_url": st.EnvironmentURL, "created_at": stamp(st.CreatedAt),
		"updated_at": stamp(st.CreatedAt), "deployment_url": u, "repository_url": s.api("/repos/%s", r.full()),
		"performed_via_github_app": nil,
	}
}

func (s *Server) listReleases(c *call) (reply, error) {
	all := slices.Clone(c.repo.Releases)
	slices.Reverse(all)
	return list(c, all, func(x *release) object { return s.releaseJSON(c.repo, x) })
}

func (s *Server) latestRelease(c *call) (reply, error) {
	for _, x := range slices.Backward(c.repo.Releases) {
		if !x.Draft && !x.Prerelease {
			return ok(s.releaseJSON(c.repo, x))
		}
	}
	return reply{}, notFound()
}

func (s *Server) releaseByTag(c *call) (reply, error) {
	for _, x := range c.repo.Releases {
		if strings.EqualFold(x.Tag, c.vars["tag"]) && !x.Draft {
			return ok(s.releaseJSON(c.repo, x))
		}
	}
	return reply{}, notFound()
}

func (s *Server) releaseJSON(r *repo, x *release) object {
	u := s.api("/repos/%s/releases/%d", r.full(), x.ID)
	return object{
		"id": x.ID, "node_id": nodeID("RE", x.ID), "tag_name": x.Tag, "target_commitish": x.Target, "name": x.Name,
		"body": x.Body, "draft": x.Draft, "prerelease": x.Prerelease, "created_at": stamp(x.CreatedAt),
		"published_at": stamp(x.PublishedAt), "author": s.user(s.w.user(x.Author)), "assets": []object{}, "url": u,
		"html_url": s.html("/%s/releases/tag/%s", r.full(), escapePath(x.Tag)), "assets_url": u + "/assets",
		"upload_url": u + "/assets{?name,label}", "tarball_url": s.api("/repos/%s/tarball/%s", r.full(), escapePath(x.Tag)),
		"zipball_url": s.api("/repos/%s/zipball/%s", r.full(), escapePath(x.Tag)), "immutable": false, "updated_at": stamp(x.PublishedAt),
	}
}
