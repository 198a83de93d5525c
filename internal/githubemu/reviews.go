package githubemu

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// review is a review of a pull request.
type review struct {
	ID          int64
	User        string
	Body        string
	State       string // PENDING, COMMENTED, APPROVED, CHANGES_REQUESTED or DISMISSED
	CommitID    string
	SubmittedAt time.Time
	DismissedBy string
}

func (s *Server) reviewRoutes() []*route {
	const pull = "/repos/{owner}/{repo}/pulls/{number}"
	return []*route{
		get(pull+"/reviews", "pull_requests:read", s.listReviews),
		creates(post(pull+"/reviews", "pull_requests:write", s.createReviewRoute)),
		get(pull+"/reviews/{review}", "pull_requests:read", s.getReview),
		put(pull+"/reviews/{review}/dismissals", "pull_requests:write", s.dismissRoute),
		post(pull+"/reviews/{review}/events", "pull_requests:write", s.submitReview),
		get(pull+"/comments", "pull_requests:read", func(c *call) (reply, error) {
			if _, err := c.pull(); err != nil {
				return reply{}, err
			}
			return ok([]object{})
		}),
		get(pull+"/requested_reviewers", "pull_requests:read", s.listRequested),
		post(pull+"/requested_reviewers", "pull_requests:write", s.requestReviewers),
		del(pull+"/requested_reviewers", "pull_requests:write", s.unrequestReviewers),
	}
}

// decisive lists each reviewer's last decisive review: the last that approved,
// asked for changes or was dismissed. A comment changes no mind.
func (p *pull) decisive() []*review {
	last := map[string]*review{}
	for _, rv := range p.Reviews {
		if rv.State == "APPROVED" || rv.State == "CHANGES_REQUESTED" || rv.State == "DISMISSED" {
			last[fold(rv.User)] = rv
		}
	}
	return sortedBy(last)
}

func (s *Server) listReviews(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	return list(c, p.Reviews, func(rv *review) object { return s.reviewJSON(c.repo, p, rv) })
}

func (c *call) review(p *pull) (*review, error) {
	id := c.id("review")
	i := slices.IndexFunc(p.Reviews, func(rv *review) bool { return rv.ID == id })
	if i < 0 {
		return nil, notFound()
	}
	return p.Reviews[i], nil
}

func (s *Server) getReview(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	rv, err := c.review(p)
	if err != nil {
		return reply{}, err
	}
	return ok(s.reviewJSON(c.repo, p, rv))
}

func (s *Server) createReviewRoute(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	var in struct {
		Body, Event string
		CommitID    string `json:"commit_id"`
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	rv, err := s.addReview(c.ctx, c.repo, p, c.who.acc, in.Event, in.Body, in.CommitID)
	if err != nil {
		return reply{}, err
	}
	return ok(s.reviewJSON(c.repo, p, rv))
}

// addReview reviews a pull request for somebody. Event is APPROVE,
// REQUEST_CHANGES, COMMENT or, for one not submitted yet, empty.
func (s *Server) addReview(ctx context.Context, r *repo, p *pull, who *account, event, body, commit string) (*review, error) {
	state, known := map[string]string{"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED", "": "PENDING"}[event]
	own := fold(r.issueOf(p).User) == fold(who.Login)
	switch {
	case !known:
		return nil, invalid("PullRequestReview", "event", "invalid")
	case own && event == "APPROVE":
		return nil, &Error{Status: 422, Message: "Unprocessable Entity", Errors: []any{"Can not approve your own pull request"}}
	case own && event == "REQUEST_CHANGES":
		return nil, &Error{Status: 422, Message: "Unprocessable Entity", Errors: []any{"Can not request changes on your own pull request"}}
	case body == "" && (event == "REQUEST_CHANGES" || event == "COMMENT"):
		return nil, &Error{Status: 422, Message: "Unprocessable Entity", Errors: []any{"Can not submit a review with an empty body"}}
	}
	if commit == "" {
		commit = p.HeadSHA
	} else if _, err := s.readCommit(ctx, r, commit); err != nil {
		return nil, err
	}
	rv := &review{ID: s.w.next("review"), User: who.Login, Body: body, State: state, CommitID: commit, SubmittedAt: s.now()}
	p.Reviews = append(p.Reviews, rv)
	p.Requested = slices.DeleteFunc(p.Requested, func(l string) bool { return fold(l) == fold(who.Login) })
	r.issueOf(p).UpdatedAt = s.now()
	if state != "PENDING" {
		s.emitReview(ctx, r, p, rv, "submitted", who)
	}
	return rv, nil
}

func (s *Server) submitReview(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	rv, err := c.review(p)
	if err != nil {
		return reply{}, err
	}
	var in struct{ Body, Event string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if rv.State != "PENDING" || rv.User != c.who.acc.Login || in.Event == "" {
		return reply{}, fail(422, "Unprocessable Entity")
	}
	if in.Body == "" {
		in.Body = rv.Body
	}
	done, err := s.addReview(c.ctx, c.repo, p, c.who.acc, in.Event, in.Body, rv.CommitID)
	if err != nil {
		return reply{}, err
	}
	done.ID = rv.ID
	p.Reviews = slices.DeleteFunc(p.Reviews, func(x *review) bool { return x == rv })
	return ok(s.reviewJSON(c.repo, p, done))
}

func (s *Server) dismissRoute(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	rv, err := c.review(p)
	if err != nil {
		return reply{}, err
	}
	var in struct{ Message string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if in.Message == "" {
		return reply{}, fail(422, "Invalid request.\n\n\"message\" wasn't supplied.")
	}
	if err := s.dismiss(c.ctx, c.repo, p, rv, c.who.acc); err != nil {
		return reply{}, err
	}
	return ok(s.reviewJSON(c.repo, p, rv))
}

func (s *Server) dismiss(ctx context.Context, r *repo, p *pull, rv *review, who *account) error {
	if !s.canPush(r, who) {
		return fail(http.StatusForbidden, "Must have write access to dismiss a review.")
	}
	if rv.State != "APPROVED" && rv.State != "CHANGES_REQUESTED" {
		return &Error{Status: 422, Message: "Unprocessable Entity", Errors: []any{"Can not dismiss a commented pull request review"}}
	}
	rv.State, rv.DismissedBy = "DISMISSED", who.Login
	r.issueOf(p).UpdatedAt = s.now()
	s.emitReview(ctx, r, p, rv, "dismissed", who)
	return nil
}

// dismissStale dismisses the approvals of an older head, unless the new head
// has the same tree.
func (s *Server) dismissStale(ctx context.Context, r *repo, p *pull, who *account, before string) {
	was, err1 := r.git.ReadCommit(ctx, before)
	is, err2 := r.git.ReadCommit(ctx, p.HeadSHA)
	if err1 == nil && err2 == nil && was.Tree == is.Tree {
		return
	}
	for _, rv := range p.Reviews {
		if rv.State == "APPROVED" {
			rv.State, rv.DismissedBy = "DISMISSED", who.Login
			s.emitReview(ctx, r, p, rv, "dismissed", who)
		}
	}
}

func (s *Server) listRequested(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	return ok(object{"users": s.usersJSON(p.Requested), "teams": []object{}})
}

func (s *Server) usersJSON(logins []string) []object {
	out := make([]object, 0, len(logins))
	for _, l := range logins {
		out = append(out, s.userJSON(s.w.user(l)))
	}
	return out
}

func (s *Server) requestReviewers(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	var in struct{ Reviewers []string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	for _, l := range in.Reviewers {
		a := s.w.user(l)
		switch {
		case a == nil || rank(s.role(c.repo, a)) < rank("read"):
			return reply{}, fail(422, "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the %s repository.", c.repo.full())
		case fold(l) == fold(c.repo.issueOf(p).User):
			return reply{}, fail(422, "Review cannot be requested from pull request author.")
		}
		if !slices.Contains(p.Requested, a.Login) {
			p.Requested = append(p.Requested, a.Login)
			s.emitPull(c.ctx, c.repo, p, "review_requested", c.who.acc, object{"requested_reviewer": s.userJSON(a)})
		}
	}
	return created(s.pullJSON(c.ctx, c.repo, p, false))
}

func (s *Server) unrequestReviewers(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	var in struct{ Reviewers []string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	p.Requested = slices.DeleteFunc(p.Requested, func(l string) bool { return slices.Contains(in.Reviewers, l) })
	return ok(s.pullJSON(c.ctx, c.repo, p, false))
}

// reviewJSON is GitHub's review.
func (s *Server) reviewJSON(r *repo, p *pull, rv *review) object {
	page := s.html("/%s/pull/%d#pullrequestreview-%d", r.full(), p.Number, rv.ID)
	u := s.api("/repos/%s/pulls/%d", r.full(), p.Number)
	return object{
		"id": rv.ID, "node_id": nodeID("PRR", rv.ID), "user": s.user(s.w.user(rv.User)), "body": rv.Body,
		"state": rv.State, "html_url": page, "pull_request_url": u, "author_association": s.association(r, rv.User),
		"_links":       object{"html": object{"href": page}, "pull_request": object{"href": u}},
		"submitted_at": stamp(rv.SubmittedAt), "commit_id": rv.CommitID,
	}
}
