package githubemu

import (
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// comment is a comment on an issue or pull request.
type comment struct {
	ID        int64
	Body      string
	User      string
	CreatedAt time.Time
	UpdatedAt time.Time
	Reactions []*reaction
}

type reaction struct {
	ID        int64
	User      string
	Content   string
	CreatedAt time.Time
}

// maxText is the most characters of a body.
const maxText = 65536

var reactionNames = []string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}

func (s *Server) commentRoutes() []*route {
	const issues = "/repos/{owner}/{repo}/issues"
	return []*route{
		get(issues+"/comments", "issues:read", s.listRepoComments),
		get(issues+"/comments/{comment}", "issues:read", s.getComment),
		patch(issues+"/comments/{comment}", "issues:write", s.patchComment),
		del(issues+"/comments/{comment}", "issues:write", s.deleteComment),
		get(issues+"/comments/{comment}/reactions", "issues:read", s.listCommentReactions),
		creates(post(issues+"/comments/{comment}/reactions", "issues:write", s.createCommentReaction)),
		del(issues+"/comments/{comment}/reactions/{reaction}", "issues:write", s.deleteCommentReaction),
		get(issues+"/{number}/comments", "issues:read", s.listComments),
		creates(post(issues+"/{number}/comments", "issues:write", s.createComment)),
		get(issues+"/{number}/reactions", "issues:read", s.listIssueReactions),
		creates(post(issues+"/{number}/reactions", "issues:write", s.createIssueReaction)),
	}
}

func (s *Server) comment(c *call) (*issue, *comment, error) {
	id := c.id("comment")
	for _, i := range c.repo.Issues {
		for _, cm := range i.Comments {
			if cm.ID == id {
				return i, cm, nil
			}
		}
	}
	return nil, nil, notFound()
}

// addComment writes a comment for somebody.
func (s *Server) addComment(r *repo, i *issue, who *account, body string) (*comment, error) {
	if body == "" {
		return nil, &Error{Status: 422, Message: "Validation Failed", Errors: []any{object{"resource": "IssueComment", "code": "missing_field", "field": "body"}}}
	}
	if utf8.RuneCountInString(body) > maxText {
		return nil, custom("IssueComment", "body is too long (maximum is 65536 characters)")
	}
	if i.Locked && !s.canPush(r, who) {
		return nil, fail(http.StatusForbidden, "Unable to create comment because issue is locked.")
	}
	cm := &comment{ID: s.w.next("comment"), Body: body, User: who.Login, CreatedAt: s.now(), UpdatedAt: s.now()}
	i.Comments = append(i.Comments, cm)
	i.UpdatedAt = s.now()
	s.emitComment(r, i, cm, "created", who, nil)
	return cm, nil
}

func (s *Server) createComment(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	var in struct{ Body string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	cm, err := s.addComment(c.repo, i, c.who.acc, in.Body)
	if err != nil {
		return reply{}, err
	}
	rp, err := created(s.commentJSON(c.repo, i, cm))
	rp.header = http.Header{"Location": {s.api("/repos/%s/issues/comments/%d", c.repo.full(), cm.ID)}}
	return rp, err
}

func (s *Server) listComments(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	since := since(c)
	var all []*comment
	for _, cm := range i.Comments {
		if !cm.UpdatedAt.Before(since) {
			all = append(all, cm)
		}
	}
	return list(c, all, func(cm *comment) object { return s.commentJSON(c.repo, i, cm) })
}

func since(c *call) time.Time {
	t, err := time.Parse(time.RFC3339, c.query("since"))
	if err != nil {
		return time.Time{}
	}
	return t
}

// listRepoComments lists the comments of all issues and pull requests. By
// default they come by their creation, oldest first.
func (s *Server) listRepoComments(c *call) (reply, error) {
	type row struct {
		i  *issue
		cm *comment
	}
	from := since(c)
	var all []row
	for _, i := range sortedBy(c.repo.Issues) {
		for _, cm := range i.Comments {
			if !cm.UpdatedAt.Truncate(time.Second).Before(from) {
				all = append(all, row{i, cm})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b row) int {
		d := int(a.cm.ID - b.cm.ID)
		if c.query("sort") == "updated" {
			if t := a.cm.UpdatedAt.Compare(b.cm.UpdatedAt); t != 0 {
				d = t
			}
		}
		if c.query("direction") == "desc" {
			return -d
		}
		return d
	})
	return list(c, all, func(x row) object { return s.commentJSON(c.repo, x.i, x.cm) })
}

func (s *Server) getComment(c *call) (reply, error) {
	i, cm, err := s.comment(c)
	if err != nil {
		return reply{}, err
	}
	return ok(s.commentJSON(c.repo, i, cm))
}

// mayEdit lets authors and those with write change a comment.
func (s *Server) mayEdit(r *repo, who *account, author string) error {
	if fold(who.Login) == fold(author) || who.Type == "User" && s.canPush(r, who) {
		return nil
	}
	return fail(http.StatusForbidden, "Must have admin rights to Repository.")
}

func (s *Server) patchComment(c *call) (reply, error) {
	i, cm, err := s.comment(c)
	if err != nil {
		return reply{}, err
	}
	var in struct{ Body string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if err := s.editComment(c.repo, i, cm, c.who.acc, in.Body); err != nil {
		return reply{}, err
	}
	return ok(s.commentJSON(c.repo, i, cm))
}

func (s *Server) editComment(r *repo, i *issue, cm *comment, who *account, body string) error {
	if err := s.mayEdit(r, who, cm.User); err != nil {
		return err
	}
	if body == "" || utf8.RuneCountInString(body) > maxText {
		return custom("IssueComment", "body is missing or too long (maximum is 65536 characters)")
	}
	was := cm.Body
	cm.Body, cm.UpdatedAt = body, s.now()
	s.emitComment(r, i, cm, "edited", who, object{"changes": object{"body": object{"from": was}}})
	return nil
}

func (s *Server) deleteComment(c *call) (reply, error) {
	i, cm, err := s.comment(c)
	if err != nil {
		return reply{}, err
	}
	if err := s.removeComment(c.repo, i, cm, c.who.acc); err != nil {
		return reply{}, err
	}
	return noContent()
}

func (s *Server) removeComment(r *repo, i *issue, cm *comment, who *account) error {
	if err := s.mayEdit(r, who, cm.User); err != nil {
		return err
	}
	i.Comments = slices.DeleteFunc(i.Comments, func(x *comment) bool { return x == cm })
	s.emitComment(r, i, cm, "deleted", who, nil)
	return nil
}

// react adds a reaction; the same one twice is one.
func (s *Server) react(to *[]*reaction, who *account, content string) (*reaction, bool, error) {
	if !slices.Contains(reactionNames, content) {
		return nil, false, invalid("Reaction", "content", "invalid")
	}
	for _, x := range *to {
		if x.User == who.Login && x.Content == content {
			return x, false, nil
		}
	}
	x := &reaction{ID: s.w.next("reaction"), User: who.Login, Content: content, CreatedAt: s.now()}
	*to = append(*to, x)
	return x, true, nil
}

func (s *Server) createReaction(c *call, to *[]*reaction) (reply, error) {
	var in struct{ Content string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	x, fresh, err := s.react(to, c.who.acc, in.Content)
	if err != nil {
		return reply{}, err
	}
	if !fresh {
		return ok(s.reactionJSON(x))
	}
	return created(s.reactionJSON(x))
}

func (s *Server) createCommentReaction(c *call) (reply, error) {
	_, cm, err := s.comment(c)
	if err != nil {
		return reply{}, err
	}
	return s.createReaction(c, &cm.Reactions)
}

func (s *Server) createIssueReaction(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	return s.createReaction(c, &i.Reactions)
}

func (s *Server) listCommentReactions(c *call) (reply, error) {
	_, cm, err := s.comment(c)
	if err != nil {
		return reply{}, err
	}
	return list(c, cm.Reactions, s.reactionJSON)
}

func (s *Server) listIssueReactions(c *call) (reply, error) {
	i, err := c.issue()
	if err != nil {
		return reply{}, err
	}
	return list(c, i.Reactions, s.reactionJSON)
}

func (s *Server) deleteCommentReaction(c *call) (reply, error) {
	_, cm, err := s.comment(c)
	if err != nil {
		return reply{}, err
	}
	id := c.id("reaction")
	n := len(cm.Reactions)
	cm.Reactions = slices.DeleteFunc(cm.Reactions, func(x *reaction) bool { return x.ID == id && x.User == c.who.acc.Login })
	if len(cm.Reactions) == n {
		return reply{}, notFound()
	}
	return noContent()
}

func (s *Server) reactionJSON(x *reaction) object {
	return object{
		"id": x.ID, "node_id": nodeID("REA", x.ID), "user": s.user(s.w.user(x.User)), "content": x.Content,
		"created_at": stamp(x.CreatedAt),
	}
}

func (s *Server) reactionsJSON(of string, all []*reaction) object {
	o := object{"url": of + "/reactions", "total_count": len(all)}
	for _, n := range reactionNames {
		k := 0
		for _, x := range all {
			if x.Content == n {
				k++
			}
		}
		o[n] = k
	}
	return o
}

// commentJSON is GitHub's issue comment.
func (s *Server) commentJSON(r *repo, i *issue, cm *comment) object {
	u := s.api("/repos/%s/issues/comments/%d", r.full(), cm.ID)
	kind := "issues"
	if r.Pulls[i.Number] != nil {
		kind = "pull"
	}
	return object{
		"id": cm.ID, "node_id": nodeID("IC", cm.ID), "url": u, "body": cm.Body,
		"html_url":  s.html("/%s/%s/%d#issuecomment-%d", r.full(), kind, i.Number, cm.ID),
		"issue_url": s.api("/repos/%s/issues/%d", r.full(), i.Number), "user": s.user(s.w.user(cm.User)),
		"created_at": stamp(cm.CreatedAt), "updated_at": stamp(cm.UpdatedAt), "author_association": s.association(r, cm.User),
		"reactions": s.reactionsJSON(u, cm.Reactions), "performed_via_github_app": s.viaApp(cm.User),
	}
}
