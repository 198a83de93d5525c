package githubemu

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// Push is a change of whole files that a person pushes.
type Push struct {
	Repository string `json:"repository"`
	Person     string `json:"person"`
	// Branch is made from the default branch if it does not exist. Empty is
	// the default branch.
	Branch  string            `json:"branch,omitempty"`
	Message string            `json:"message,omitempty"`
	Files   map[string]string `json:"files,omitempty"`
	Delete  []string          `json:"delete,omitempty"`
	// Links are symbolic links with what they point to, Submodules the commits of
	// other repositories, both by path.
	Links      map[string]string `json:"links,omitempty"`
	Submodules map[string]string `json:"submodules,omitempty"`
	// From is the commit to build on; with one that is not the branch's tip
	// the branch is forced.
	From string `json:"from,omitempty"`
}

// PushFiles commits a change and pushes it, subject to the rules, as a person
// does with git. It returns the commit.
func (s *Server) PushFiles(ctx context.Context, p Push) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(p.Repository, p.Person)
	if err != nil {
		return "", err
	}
	if !s.canPush(r, who) {
		return "", fail(http.StatusForbidden, "Permission to %s.git denied to %s.", r.full(), who.Login)
	}
	if p.Branch == "" {
		p.Branch = r.DefaultBranch
	}
	old, err := s.tip(ctx, r, p.Branch)
	parent := old
	if err != nil {
		old = gitstore.Zero
		parent, _ = s.tip(ctx, r, r.DefaultBranch) // an empty repository has none
	}
	if p.From != "" {
		parent = p.From
	}
	sha, err := s.commitFiles(ctx, r, who, parent, CommitSeed{Message: p.Message, Files: p.Files, Delete: p.Delete, Links: p.Links, Submodules: p.Submodules})
	if err != nil {
		return "", err
	}
	return sha, s.moveRef(ctx, r, who, gitstore.RefUpdate{Ref: "refs/heads/" + p.Branch, Old: old, New: sha}, false)
}

// MoveBranch points a branch at a commit as a person's forced push does. An
// empty sha deletes the branch.
func (s *Server) MoveBranch(ctx context.Context, full, person, branch, sha string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	if !s.canPush(r, who) {
		return fail(http.StatusForbidden, "Permission to %s.git denied to %s.", r.full(), who.Login)
	}
	if sha == "" {
		return s.deleteBranch(ctx, r, who, branch)
	}
	old, err := s.tip(ctx, r, branch)
	if err != nil {
		old = gitstore.Zero
	}
	return s.moveRef(ctx, r, who, gitstore.RefUpdate{Ref: "refs/heads/" + branch, Old: old, New: sha}, false)
}

// onPull finds a pull request and the person who acts on it.
func (s *Server) onPull(full string, number int, person string) (*repo, *pull, *account, error) {
	r, who, err := s.seat(full, person)
	if err != nil {
		return nil, nil, nil, err
	}
	p := r.Pulls[number]
	if p == nil {
		return nil, nil, nil, fail(http.StatusNotFound, "There is no pull request %s#%d", full, number)
	}
	if rank(s.role(r, who)) < rank("read") {
		return nil, nil, nil, notFound()
	}
	return r, p, who, nil
}

// OpenPull opens a pull request for a person and returns its number.
func (s *Server) OpenPull(ctx context.Context, full, person, head, base, title, body string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return 0, err
	}
	if base == "" {
		base = r.DefaultBranch
	}
	p, err := s.createPull(ctx, r, who, newPull{Title: title, Body: body, Head: head, Base: base})
	if err != nil {
		return 0, err
	}
	return p.Number, nil
}

// Review reviews a pull request for a person. Event is APPROVE,
// REQUEST_CHANGES or COMMENT. It returns the review's id.
func (s *Server) Review(ctx context.Context, full string, number int, person, event, body string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return 0, err
	}
	rv, err := s.addReview(ctx, r, p, who, event, body, "")
	if err != nil {
		return 0, err
	}
	return rv.ID, nil
}

// DismissReview dismisses a review, for a person with write.
func (s *Server) DismissReview(ctx context.Context, full string, number int, person string, review int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return err
	}
	for _, rv := range p.Reviews {
		if rv.ID == review {
			return s.dismiss(ctx, r, p, rv, who)
		}
	}
	return notFound()
}

// Comment writes a comment on an issue or pull request and returns its id.
func (s *Server) Comment(_ context.Context, full string, number int, person, body string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return 0, err
	}
	i := r.Issues[number]
	if i == nil || rank(s.role(r, who)) < rank("read") {
		return 0, notFound()
	}
	cm, err := s.addComment(r, i, who, body)
	if err != nil {
		return 0, err
	}
	return cm.ID, nil
}

// EditComment changes a comment's body; an empty body deletes it.
func (s *Server) EditComment(_ context.Context, full, person string, id int64, body string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	for _, i := range r.Issues {
		for _, cm := range i.Comments {
			if cm.ID != id {
				continue
			}
			if body == "" {
				return s.removeComment(r, i, cm, who)
			}
			return s.editComment(r, i, cm, who, body)
		}
	}
	return notFound()
}

// Lock closes the conversation of an issue or a pull request to those without
// write, or opens it again.
func (s *Server) Lock(_ context.Context, full string, number int, person string, locked bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	i := r.Issues[number]
	if i == nil {
		return notFound()
	}
	return s.lockIssue(r, i, who, locked)
}

// Merge merges a pull request as a person does with the button. Method is
// merge, squash or rebase; empty is merge. It returns the new commit.
func (s *Server) Merge(ctx context.Context, full string, number int, person, method string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return "", err
	}
	return s.merge(ctx, r, p, who, mergeAsk{Method: method})
}

// SetPullState closes or reopens a pull request: state is closed or open.
func (s *Server) SetPullState(ctx context.Context, full string, number int, person, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return err
	}
	if fold(who.Login) != fold(r.issueOf(p).User) && rank(s.role(r, who)) < rank("triage") {
		return fail(http.StatusForbidden, "Must have triage rights to Repository.")
	}
	if state == r.issueOf(p).State {
		return nil
	}
	return s.setPullState(ctx, r, p, who, state)
}

// UpdateBranch presses "Update branch" for a person.
func (s *Server) UpdateBranch(ctx context.Context, full string, number int, person string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return err
	}
	return s.updateBranch(ctx, r, p, who)
}

// Revert presses "Revert" on a merged pull request for a person: it opens a
// pull request that undoes it, and returns its number.
func (s *Server) Revert(ctx context.Context, full string, number int, person string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return 0, err
	}
	q, err := s.revert(ctx, r, p, who)
	if err != nil {
		return 0, err
	}
	return q.Number, nil
}

func (s *Server) revert(ctx context.Context, r *repo, p *pull, who *account) (*pull, error) {
	if !p.Merged {
		return nil, fail(http.StatusUnprocessableEntity, "Pull request is not merged")
	}
	if !s.canPush(r, who) {
		return nil, fail(http.StatusForbidden, "Must have write access to revert a pull request.")
	}
	merged, err := r.git.ReadCommit(ctx, p.MergeSHA)
	if err != nil {
		return nil, err
	}
	if len(merged.Parents) == 0 {
		return nil, fail(http.StatusUnprocessableEntity, "Sorry, this pull request couldn’t be reverted automatically.")
	}
	before, err := r.git.ReadCommit(ctx, merged.Parents[0])
	if err != nil {
		return nil, err
	}
	tip, err := s.tip(ctx, r, p.BaseRef)
	if err != nil {
		return nil, err
	}
	// The change back, as a commit beside what came after the merge.
	me := s.identOf(who)
	back, err := s.writeCommit(ctx, r, newCommit{Tree: before.Tree, Parents: []string{p.MergeSHA}, Author: me, Committer: me, Message: "back"})
	if err != nil {
		return nil, err
	}
	tree, conflicts, err := r.git.MergeTree(ctx, tip, back)
	if err != nil {
		return nil, err
	}
	if len(conflicts) > 0 {
		return nil, fail(http.StatusUnprocessableEntity, "Sorry, this pull request couldn’t be reverted automatically. It may have already been reverted, or the content may have changed since it was merged.")
	}
	title := fmt.Sprintf("Revert %q", r.issueOf(p).Title)
	ref := fmt.Sprintf("revert-%d-%s", p.Number, strings.ReplaceAll(p.HeadRef, "/", "-"))
	sha, err := s.webCommit(ctx, r, who, tree, []string{tip}, title+"\n\n"+fmt.Sprintf("This reverts commit %s.\n", p.MergeSHA))
	if err != nil {
		return nil, err
	}
	if err := s.moveRef(ctx, r, who, gitstore.RefUpdate{Ref: "refs/heads/" + ref, Old: gitstore.Zero, New: sha}, false); err != nil {
		return nil, err
	}
	return s.createPull(ctx, r, who, newPull{Title: title, Head: ref, Base: p.BaseRef, Body: fmt.Sprintf("Reverts %s#%d", r.full(), p.Number)})
}

// ClickAction presses a button of a completed check run for a person.
func (s *Server) ClickAction(ctx context.Context, full, person string, run int64, identifier string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	cr := s.runByID(r, run)
	if cr == nil || cr.Status != "completed" {
		return fail(http.StatusNotFound, "There is no completed check run %d with buttons", run)
	}
	for _, a := range cr.Actions {
		if a.Identifier == identifier {
			s.emitRun(ctx, r, cr, "requested_action", who, object{"requested_action": object{"identifier": identifier}})
			return nil
		}
	}
	return fail(http.StatusNotFound, "Check run %d has no button %q", run, identifier)
}

// Rerequest presses "Re-run" on a check run for a person.
func (s *Server) Rerequest(ctx context.Context, full, person string, run int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	cr := s.runByID(r, run)
	if cr == nil {
		return notFound()
	}
	if !s.canPush(r, who) {
		return fail(http.StatusForbidden, "Must have write access to re-run a check.")
	}
	s.emitRun(ctx, r, cr, "rerequested", who, nil)
	return nil
}

// Enqueue puts a pull request into the merge queue for a person.
func (s *Server) Enqueue(ctx context.Context, full string, number int, person string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return err
	}
	return s.enqueuePull(ctx, r, p, who, "")
}
