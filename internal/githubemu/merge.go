package githubemu

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

func baseModified() *Error {
	return fail(http.StatusMethodNotAllowed, "Base branch was modified. Review and try the merge again.")
}

func headModified() *Error {
	return fail(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
}

// mergeAsk is how somebody wants a pull request merged.
type mergeAsk struct {
	SHA     string `json:"sha"`
	Title   string `json:"commit_title"`
	Message string `json:"commit_message"`
	Method  string `json:"merge_method"`
}

func (s *Server) mergeRoute(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	var in mergeAsk
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	sha, err := s.merge(c.ctx, c.repo, p, c.who.acc, in)
	if err != nil {
		return reply{}, err
	}
	return ok(object{"sha": sha, "merged": true, "message": "Pull Request successfully merged"})
}

// merge merges a pull request, or refuses with GitHub's words.
func (s *Server) merge(ctx context.Context, r *repo, p *pull, who *account, in mergeAsk) (string, error) {
	if in.Method == "" {
		in.Method = "merge"
	}
	base, err := s.mayMerge(ctx, r, p, who, in)
	if err != nil {
		return "", err
	}
	tree, conflicts, err := r.git.MergeTree(ctx, base, p.HeadSHA)
	if err != nil {
		return "", err
	}
	if len(conflicts) > 0 {
		return "", fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	var sha string
	switch in.Method {
	case "merge":
		sha, err = s.webCommit(ctx, r, who, tree, []string{base, p.HeadSHA}, s.mergeMessage(r, p, in))
	case "squash":
		sha, err = s.squash(ctx, r, p, who, base, tree, in)
	case "rebase":
		sha, err = s.rebase(ctx, r, p, base)
	default:
		return "", invalid("PullRequest", "merge_method", "invalid")
	}
	if err != nil {
		return "", err
	}
	return sha, s.land(ctx, r, p, who, base, sha)
}

// mayMerge runs every test in GitHub's order and returns the base's tip.
func (s *Server) mayMerge(ctx context.Context, r *repo, p *pull, who *account, in mergeAsk) (string, error) {
	i := r.issueOf(p)
	switch {
	case !s.canPush(r, who):
		return "", fail(http.StatusForbidden, "You must have write access to merge this pull request.")
	case i.State != "open":
		return "", fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	case in.SHA != "" && in.SHA != p.HeadSHA:
		return "", headModified()
	case p.Draft:
		return "", fail(http.StatusMethodNotAllowed, "Pull Request is still a draft")
	}
	allowed := map[string]bool{"merge": r.AllowMerge, "squash": r.AllowSquash, "rebase": r.AllowRebase}
	if on, known := allowed[in.Method]; known && !on {
		return "", fail(http.StatusMethodNotAllowed, "%s", methodRefused(in.Method))
	}
	base, err := s.tip(ctx, r, p.BaseRef)
	if err != nil {
		return "", fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	clean, err := s.cleanly(ctx, r, base, p.HeadSHA)
	if err != nil {
		return "", err
	}
	if !clean {
		return "", fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	broken, err := s.mergeViolations(ctx, r, p, who, in.Method)
	if err != nil {
		return "", err
	}
	if len(broken) > 0 {
		return "", fail(http.StatusMethodNotAllowed, "%s", wording(broken))
	}
	return base, nil
}

func (s *Server) mergeMessage(r *repo, p *pull, in mergeAsk) string {
	title, body := in.Title, in.Message
	if title == "" {
		title = fmt.Sprintf("Merge pull request #%d from %s/%s", p.Number, r.Owner, p.HeadRef)
	}
	if body == "" {
		body = r.issueOf(p).Title
	}
	return title + "\n\n" + body
}

func (s *Server) squash(ctx context.Context, r *repo, p *pull, who *account, base, tree string, in mergeAsk) (string, error) {
	commits, err := s.pullLog(ctx, r, p)
	if err != nil {
		return "", err
	}
	title, body := in.Title, in.Message
	if title == "" {
		title = fmt.Sprintf("%s (#%d)", r.issueOf(p).Title, p.Number)
	}
	if body == "" && len(commits) > 1 {
		for _, c := range commits {
			body += "* " + strings.TrimSpace(c.Message) + "\n\n"
		}
	} else if body == "" && len(commits) == 1 {
		_, body, _ = strings.Cut(commits[0].Message, "\n")
	}
	text := strings.TrimSpace(title + "\n\n" + strings.TrimSpace(body))
	id, err := s.writeCommit(ctx, r, newCommit{
		Tree: tree, Parents: []string{base}, Message: text,
		Author: s.identOf(s.squashAuthor(r, p, who)), Committer: s.identOf(s.w.user("web-flow")),
	})
	if err == nil {
		r.WebFlow[id] = true
	}
	return id, err
}

// squashAuthor is the pull request's author, whose work it is.
func (s *Server) squashAuthor(r *repo, p *pull, who *account) *account {
	if a := s.w.user(r.issueOf(p).User); a != nil {
		return a
	}
	return who
}

// rebase copies the commits, unsigned, onto the base.
func (s *Server) rebase(ctx context.Context, r *repo, p *pull, base string) (string, error) {
	commits, err := s.pullLog(ctx, r, p)
	if err != nil {
		return "", err
	}
	tip := base
	for _, c := range commits {
		if len(c.Parents) != 1 {
			return "", fail(http.StatusMethodNotAllowed, "This branch can't be rebased")
		}
		tree, err := s.pick(ctx, r, tip, c)
		if err != nil {
			return "", err
		}
		tip, err = s.writeCommit(ctx, r, newCommit{
			Tree: tree, Parents: []string{tip}, Author: c.Author,
			Committer: s.identOf(s.w.user("web-flow")), Message: c.Message,
		})
		if err != nil {
			return "", err
		}
	}
	return tip, nil
}

// pick computes the tree of onto with one commit's change applied: a merge of
// onto with that change, put on a common base.
func (s *Server) pick(ctx context.Context, r *repo, onto string, c gitstore.Commit) (string, error) {
	ours, err := r.git.ReadCommit(ctx, onto)
	if err != nil {
		return "", err
	}
	// MergeTree looks for the merge base by itself, so the two sides are given
	// the picked commit's parent as their only parent.
	me := s.identOf(s.w.user("web-flow"))
	side, err := s.writeCommit(ctx, r, newCommit{Tree: ours.Tree, Parents: c.Parents[:1], Author: me, Committer: me, Message: "side"})
	if err != nil {
		return "", err
	}
	tree, conflicts, err := r.git.MergeTree(ctx, side, c.ID)
	if err != nil {
		return "", err
	}
	if len(conflicts) > 0 {
		return "", fail(http.StatusMethodNotAllowed, "This branch can't be rebased due to conflicts")
	}
	return tree, nil
}

// land moves the base and closes the pull request as merged.
func (s *Server) land(ctx context.Context, r *repo, p *pull, who *account, base, sha string) error {
	err := r.git.UpdateRefs(ctx, []gitstore.RefUpdate{{Ref: "refs/heads/" + p.BaseRef, Old: base, New: sha}})
	if errors.Is(err, gitstore.ErrStale) {
		return baseModified()
	}
	if err != nil {
		return err
	}
	s.markMerged(r, p, who, sha)
	s.refsMoved(ctx, r, who, []gitstore.RefUpdate{{Ref: "refs/heads/" + p.BaseRef, Old: base, New: sha}})
	s.emitPull(ctx, r, p, "closed", who, nil)
	if r.DeleteOnMerge {
		return s.deleteBranch(ctx, r, who, p.HeadRef)
	}
	return nil
}

func (s *Server) markMerged(r *repo, p *pull, who *account, sha string) {
	i := r.issueOf(p)
	s.closeIssue(i, who)
	p.Merged, p.MergedAt, p.MergedBy, p.MergeSHA = true, s.now(), who.Login, sha
	p.AutoMerge = ""
}

// updateBranchRoute is the button "Update branch": it merges the base into the
// head, as the caller.
func (s *Server) updateBranchRoute(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	var in struct {
		Expected string `json:"expected_head_sha"`
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if in.Expected != "" && in.Expected != p.HeadSHA {
		return reply{}, fail(422, "expected head sha didn’t match current head ref.")
	}
	if err := s.updateBranch(c.ctx, c.repo, p, c.who.acc); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusAccepted, body: object{
		"message": "Updating pull request branch.",
		"url":     s.api("/repos/%s/pulls/%d", c.repo.full(), p.Number),
	}}, nil
}

func (s *Server) updateBranch(ctx context.Context, r *repo, p *pull, who *account) error {
	if !s.canPush(r, who) {
		return fail(http.StatusForbidden, "Must have write access to the head branch")
	}
	if r.issueOf(p).State != "open" {
		return fail(422, "Pull request is closed")
	}
	base, err := s.tip(ctx, r, p.BaseRef)
	if err != nil {
		return err
	}
	inside, err := s.reaches(ctx, r, base, p.HeadSHA)
	if err != nil {
		return err
	}
	if inside {
		return fail(422, "There are no new commits on the base branch.")
	}
	tree, conflicts, err := r.git.MergeTree(ctx, p.HeadSHA, base)
	if err != nil {
		return err
	}
	if len(conflicts) > 0 {
		return fail(422, "merge conflict between base and head")
	}
	sha, err := s.webCommit(ctx, r, who, tree, []string{p.HeadSHA, base},
		fmt.Sprintf("Merge branch '%s' into %s", p.BaseRef, p.HeadRef))
	if err != nil {
		return err
	}
	return s.moveRef(ctx, r, who, gitstore.RefUpdate{Ref: "refs/heads/" + p.HeadRef, Old: p.HeadSHA, New: sha}, false)
}
