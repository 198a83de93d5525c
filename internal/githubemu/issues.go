package githubemu

import (
	"encoding/hex"
	"net/http"
	"slices"
	"time"
)

// issue is an issue, or the conversation of the pull request with its number.
type issue struct {
	ID        int64
	Number    int
	Title     string
	Body      string
	User      string
	State     string // open or closed
	Reason    string // completed, not_planned or reopened
	ClosedAt  time.Time
	ClosedBy  string
	Closings  []closing // all of them, newest last
	Labels    []string
	Locked    bool
	CreatedAt time.Time
	UpdatedAt time.Time
	Comments  []*comment
	Reactions []*reaction
}

type closing struct {
	At time.Time
	By string
}

type label struct {
	ID                       int64
	Name, Color, Description string
}

func (s *Server) newIssue(r *repo, who *account, title, body string) *issue {
	r.Numbers++
	i := &issue{
		ID: s.w.next("issue"), Number: r.Numbers, Title: title, Body: body, User: who.Login, State: "open",
		CreatedAt: s.now(), UpdatedAt: s.now(),
	}
	r.Issues[i.Number] = i
	return i
}

func (s *Server) closeIssue(i *issue, who *account) {
	i.State, i.Reason, i.ClosedAt, i.ClosedBy, i.UpdatedAt = "closed", "completed", s.now(), who.Login, s.now()
	i.Closings = append(i.Closings, closing{At: s.now(), By: who.Login})
}

func (s *Server) reopenIssue(i *issue, who *account) {
	_ = who
	i.State, i.Reason, i.ClosedAt, i.ClosedBy, i.UpdatedAt = "open", "reopened", time.Time{}, "", s.now()
}

func (s *Server) issueRoutes() []*route {
	const issues = "/repos/{owner}/{repo}/issues"
	return []*route{
		get(issues, "issues:read", s.listIssues),
		creates(post(issues, "issues:write", s.createIssue)),
		get(issues+"/{number}", "issues:read", s.getIssue),
		patch(issues+"/{number}", "issues:write", s.patchIssue),
		get(issues+"/{number}/events", "issues:read", s.issueEvents),
		get(issues+"/{number}/timeline", "issues:read", s.issueEvents),
		get(issues+"/{number}/labels", "issues:read", s.listIssueLabels),
		post(issues+"/{number}/labels", "issues:write", s.addIssueLabels),
		put(issues+"/{number}/labels", "issues:write", s.setIssueLabels),
		del(issues+"/{number}/labels/{name}", "issues:write", s.removeIssueLabel),
		put(issues+"/{number}/lock", "issues:write", func(c *call) (reply, error) { return s.lock(c, true) }),
		del(issues+"/{number}/lock", "issues:write", func(c *call) (reply, error) { return s.lock(c, false) }),
		get("/repos/{owner}/{repo}/labels", "issues:read", s.listLabels),
		post("/repos/{owner}/{repo}/labels", "issues:write", s.createLabel),
		get("/repos/{owner}/{repo}/labels/{name}", "issues:read", s.getLabel),
	}
}

func (c *call) issue() (*issue, error) {
	n, err := c.number()
	if err != nil {
		return nil, err
	}
	i := c.repo.Issues[n]
	if i == nil {
		return nil, notFound()
	}
	return i, nil
}

func (s *Server) listIssues(c *call) (reply, error) {
	state := c.query("state")
	if state == "" {
		state = "open"
	}
	var all []*issue
	for _, i := range sortedBy(c.repo.Issues) {
		if state == "all" || i.State == state {
			if l := c.query("labels"); l == "" || slices.Contains(i.Labels, l) {
				all = append(all, i)
			}
		}
	}
	slices.Reverse(all)
	return list(c, all, func(i *issue) object { return s.issueJSON(c.repo, i) })
}

func (s *Server) createIssue(c *call) (reply, error) {
	var in struct {
		Title, Body string
		Labels      []string
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if in.Title == "" {
		return reply{}, invalid("Issue", "title", "missing_field")
	}
	i := s.newIssue(c.repo, c.who.acc, in.Title, in.Body)
	s.label(c.repo, i, in.Labels)
	s.emitIssue(c.repo, i, "opened", c.who.acc)
	return created(s.issueJSON(c.repo, i))
}

func (s *Server) getIssue(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	return ok(s.issueJSON(c.repo, i))
}

func (s *Server) patchIssue(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	var in struct {
		Title, Body, State *string
		Reason             *string `json:"state_reason"`
		Labels             *[]string
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	who := c.who.acc
	if fold(i.User) != fold(who.Login) && rank(s.role(c.repo, who)) < rank("triage") {
		return reply{}, fail(http.StatusForbidden, "Must have triage rights to Repository.")
	}
	if in.Title != nil {
		i.Title = *in.Title
	}
	if in.Body != nil {
		i.Body = *in.Body
	}
	if in.Labels != nil {
		i.Labels = nil
		s.label(c.repo, i, *in.Labels)
	}
	i.UpdatedAt = s.now()
	if in.State != nil && *in.State != i.State {
		if p := c.repo.Pulls[i.Number]; p != nil {
			if err := s.setPullState(c.ctx, c.repo, p, who, *in.State); err != nil {
				return reply{}, err
			}
		} else if *in.State == "closed" {
			s.closeIssue(i, who)
			if in.Reason != nil {
				i.Reason = *in.Reason
			}
			s.emitIssue(c.repo, i, "closed", who)
		} else {
			s.reopenIssue(i, who)
			s.emitIssue(c.repo, i, "reopened", who)
		}
	}
	return ok(s.issueJSON(c.repo, i))
}

// issueEvents lists what has happened to an issue, as far as it is recorded:
// its closings.
func (s *Server) issueEvents(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	n := int64(0)
	return list(c, i.Closings, func(cl closing) object {
		n++
		return object{
			"id": i.ID*100 + n, "node_id": nodeID("CE", i.ID*100+n), "event": "closed", "created_at": stamp(cl.At),
			"actor": s.user(s.w.user(cl.By)), "commit_id": nil, "commit_url": nil, "performed_via_github_app": nil,
			"url": s.api("/repos/%s/issues/events/%d", c.repo.full(), i.ID*100+n),
		}
	})
}

// lock closes a conversation to those without write, or opens it again.
func (s *Server) lock(c *call, locked bool) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	if err := s.lockIssue(c.repo, i, c.who.acc, locked); err != nil {
		return reply{}, err
	}
	return noContent()
}

func (s *Server) lockIssue(r *repo, i *issue, who *account, locked bool) error {
	if !s.canPush(r, who) {
		return fail(http.StatusForbidden, "Must have write access to the repository")
	}
	i.Locked = locked
	return nil
}

// label puts labels on an issue, making those that are new, and returns which
// were not there before.
func (s *Server) label(r *repo, i *issue, names []string) []string {
	var added []string
	for _, n := range names {
		if r.Labels[fold(n)] == nil {
			r.Labels[fold(n)] = &label{ID: s.w.next("label"), Name: n, Color: "ededed"}
		}
		if !slices.Contains(i.Labels, n) {
			i.Labels = append(i.Labels, n)
			added = append(added, n)
		}
	}
	return added
}

func (s *Server) labelsJSON(r *repo, names []string) []object {
	out := make([]object, 0, len(names))
	for _, n := range names {
		out = append(out, s.labelJSON(r, r.Labels[fold(n)]))
	}
	return out
}

func (s *Server) labelJSON(r *repo, l *label) object {
	return object{
		"id": l.ID, "node_id": nodeID("LA", l.ID), "name": l.Name, "color": l.Color, "default": false,
		"description": orNull(l.Description), "url": s.api("/repos/%s/labels/%s", r.full(), escapePath(l.Name)),
	}
}

func (s *Server) listIssueLabels(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	return ok(s.labelsJSON(c.repo, i.Labels))
}

// labelNames reads a body that is {"labels": […]} or, as some clients send it,
// the list alone.
func (c *call) labelNames() ([]string, error) {
	var wrapped struct{ Labels []string }
	if err := c.decode(&wrapped); err == nil {
		return wrapped.Labels, nil
	}
	var bare []string
	err := c.decode(&bare)
	return bare, err
}

func (s *Server) addIssueLabels(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	names, err := c.labelNames()
	if err != nil {
		return reply{}, err
	}
	for _, n := range s.label(c.repo, i, names) {
		s.emitLabel(c.ctx, c.repo, i, "labeled", n, c.who.acc)
	}
	return ok(s.labelsJSON(c.repo, i.Labels))
}

func (s *Server) setIssueLabels(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	names, err := c.labelNames()
	if err != nil {
		return reply{}, err
	}
	i.Labels = nil
	s.label(c.repo, i, names)
	return ok(s.labelsJSON(c.repo, i.Labels))
}

func (s *Server) removeIssueLabel(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	at := slices.Index(i.Labels, c.vars["name"])
	if at < 0 {
		return reply{}, fail(http.StatusNotFound, "Label does not exist")
	}
	i.Labels = slices.Delete(i.Labels, at, at+1)
	s.emitLabel(c.ctx, c.repo, i, "unlabeled", c.vars["name"], c.who.acc)
	return ok(s.labelsJSON(c.repo, i.Labels))
}

func (s *Server) listLabels(c *call) (reply, error) {
	return list(c, sortedBy(c.repo.Labels), func(l *label) object { return s.labelJSON(c.repo, l) })
}

func (s *Server) getLabel(c *call) (reply, error) {
	l := c.repo.Labels[fold(c.vars["name"])]
	if l == nil {
		return reply{}, notFound()
	}
	return ok(s.labelJSON(c.repo, l))
}

func (s *Server) createLabel(c *call) (reply, error) {
	var in struct{ Name, Color, Description string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if in.Name == "" {
		return reply{}, invalid("Label", "name", "missing_field")
	}
	if c.repo.Labels[fold(in.Name)] != nil {
		return reply{}, invalid("Label", "name", "already_exists")
	}
	if in.Color == "" {
		in.Color = "ededed"
	}
	if rgb, err := hex.DecodeString(in.Color); err != nil || len(rgb) != 3 {
		return reply{}, invalid("Label", "color", "invalid")
	}
	l := &label{ID: s.w.next("label"), Name: in.Name, Color: in.Color, Description: in.Description}
	c.repo.Labels[fold(in.Name)] = l
	return created(s.labelJSON(c.repo, l))
}

// issueJSON is GitHub's issue.
func (s *Server) issueJSON(r *repo, i *issue) object {
	u := s.api("/repos/%s/issues/%d", r.full(), i.Number)
	page := s.html("/%s/issues/%d", r.full(), i.Number)
	o := object{
		"id": i.ID, "node_id": nodeID("I", i.ID), "number": i.Number, "title": i.Title, "body": orNull(i.Body),
		"user": s.user(s.w.user(i.User)), "state": i.State, "state_reason": nil, "locked": i.Locked,
		"active_lock_reason": nil, "assignee": nil, "assignees": []object{}, "milestone": nil, "labels": s.labelsJSON(r, i.Labels),
		"comments": len(i.Comments), "created_at": stamp(i.CreatedAt), "updated_at": stamp(i.UpdatedAt),
		"closed_at": stamp(i.ClosedAt), "closed_by": s.user(s.w.user(i.ClosedBy)), "author_association": s.association(r, i.User),
		"url": u, "repository_url": s.api("/repos/%s", r.full()), "labels_url": u + "/labels{/name}",
		"comments_url": u + "/comments", "events_url": u + "/events", "timeline_url": u + "/timeline",
		"reactions": s.reactionsJSON(u, i.Reactions), "performed_via_github_app": s.viaApp(i.User),
	}
	if i.State == "closed" {
		o["state_reason"] = orNull(i.Reason)
	}
	if p := r.Pulls[i.Number]; p != nil {
		page = s.html("/%s/pull/%d", r.full(), i.Number)
		o["draft"] = p.Draft
		o["pull_request"] = object{
			"url": s.api("/repos/%s/pulls/%d", r.full(), i.Number), "html_url": page,
			"diff_url": page + ".diff", "patch_url": page + ".patch", "merged_at": stamp(p.MergedAt),
		}
	}
	o["html_url"] = page
	return o
}

// viaApp is the App behind a bot, as issues and comments show it.
func (s *Server) viaApp(login string) any {
	if a := s.w.user(login); a != nil && a.Type == "Bot" {
		return s.appOf(s.w.Apps[a.AppID])
	}
	return nil
}

// association is how an author stands to a repository.
func (s *Server) association(r *repo, login string) string {
	a := s.w.user(login)
	switch {
	case a == nil || a.Type == "Bot":
		return "NONE"
	case fold(a.Login) == fold(r.Owner):
		return "OWNER"
	case s.owner(r.Owner).Members[fold(a.Login)] != "":
		return "MEMBER"
	case rank(r.Collaborators[fold(a.Login)]) > 0:
		return "COLLABORATOR"
	}
	return "NONE"
}
