package githubemu

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// queueEntry is a pull request in the merge queue with its group branch.
type queueEntry struct {
	Number  int
	Head    string // the pull request's head when it was queued
	Base    string // the base's tip that the group is built on
	Group   string // branch
	SHA     string // the group's tip
	By      string
	Created time.Time
}

func (r *repo) queued(number int) *queueEntry {
	for _, e := range r.Queue {
		if e.Number == number {
			return e
		}
	}
	return nil
}

// enqueuePull puts a pull request into the merge queue: it builds the group's
// branch and asks for checks on it.
func (s *Server) enqueuePull(ctx context.Context, r *repo, p *pull, who *account, expected string) error {
	if expected != "" && expected != p.HeadSHA {
		return fail(http.StatusUnprocessableEntity, "Head sha didn't match expectedHeadOid.")
	}
	if r.issueOf(p).State != "open" || r.queued(p.Number) != nil {
		return fail(http.StatusUnprocessableEntity, "Pull request is not open or is already in the queue.")
	}
	base, err := s.tip(ctx, r, p.BaseRef)
	if err != nil {
		return err
	}
	for _, e := range r.Queue {
		if r.Pulls[e.Number].BaseRef == p.BaseRef {
			base = e.SHA
		}
	}
	tree, conflicts, err := r.git.MergeTree(ctx, base, p.HeadSHA)
	if err != nil {
		return err
	}
	if len(conflicts) > 0 {
		return fail(http.StatusUnprocessableEntity, "Pull request has merge conflicts.")
	}
	sha, err := s.webCommit(ctx, r, who, tree, []string{base, p.HeadSHA}, s.mergeMessage(r, p, mergeAsk{}))
	if err != nil {
		return err
	}
	e := &queueEntry{
		Number: p.Number, Head: p.HeadSHA, Base: base, SHA: sha, By: who.Login, Created: s.now(),
		Group: fmt.Sprintf("gh-readonly-queue/%s/pr-%d-%s", p.BaseRef, p.Number, base),
	}
	if err := r.git.UpdateRefs(ctx, []gitstore.RefUpdate{{Ref: "refs/heads/" + e.Group, Old: gitstore.Zero, New: sha}}); err != nil {
		return err
	}
	r.Queue = append(r.Queue, e)
	s.emitPull(ctx, r, p, "enqueued", who, nil)
	s.refsMoved(ctx, r, s.w.user("web-flow"), []gitstore.RefUpdate{{Ref: "refs/heads/" + e.Group, Old: gitstore.Zero, New: sha}})
	s.emit(r, "merge_group", "checks_requested", s.w.user("web-flow"), object{"merge_group": s.groupJSON(ctx, r, p, e)})
	return nil
}

func (s *Server) groupJSON(ctx context.Context, r *repo, p *pull, e *queueEntry) object {
	return object{
		"head_sha": e.SHA, "head_ref": "refs/heads/" + e.Group, "base_ref": "refs/heads/" + p.BaseRef, "base_sha": e.Base,
		"head_commit": s.shortCommitCtx(ctx, r, e.SHA),
	}
}

// dequeuePull takes a pull request out of the queue, and its group's branch
// away.
func (s *Server) dequeuePull(ctx context.Context, r *repo, p *pull, reason string, who *account) error {
	e := r.queued(p.Number)
	if e == nil {
		return fail(http.StatusUnprocessableEntity, "Pull request is not in the queue.")
	}
	r.Queue = slices.DeleteFunc(r.Queue, func(x *queueEntry) bool { return x == e })
	gone := gitstore.RefUpdate{Ref: "refs/heads/" + e.Group, Old: e.SHA, New: gitstore.Zero}
	if err := r.git.UpdateRefs(ctx, []gitstore.RefUpdate{gone}); err != nil {
		return err
	}
	s.emitPull(ctx, r, p, "dequeued", who, object{"reason": reason})
	word := map[string]string{"MERGE": "merged", "CI_FAILURE": "dequeued"}[reason]
	if word == "" {
		word = "dequeued"
	}
	s.emit(r, "merge_group", "destroyed", s.w.user("web-flow"), object{"reason": word, "merge_group": s.groupJSON(ctx, r, p, e)})
	s.refsMoved(ctx, r, s.w.user("web-flow"), []gitstore.RefUpdate{gone})
	return nil
}

// turnQueue looks at the front of a branch's queue after a check has changed:
// a group that has all its checks lands, one that failed leaves.
func (s *Server) turnQueue(ctx context.Context, r *repo) error {
	if len(r.Queue) == 0 {
		return nil
	}
	e := r.Queue[0]
	p := r.Pulls[e.Number]
	for _, rule := range r.rulesFor(p.BaseRef) {
		for _, rc := range rule.RequiredChecks {
			switch s.checkState(r, e.SHA, rc) {
			case "failing":
				return s.dequeuePull(ctx, r, p, "CI_FAILURE", s.w.user("web-flow"))
			case "success":
			default:
				return nil
			}
		}
	}
	who := s.w.user(e.By)
	up := gitstore.RefUpdate{Ref: "refs/heads/" + p.BaseRef, Old: e.Base, New: e.SHA}
	if err := r.git.UpdateRefs(ctx, []gitstore.RefUpdate{up}); err != nil {
		return err
	}
	s.markMerged(r, p, who, e.SHA)
	s.refsMoved(ctx, r, who, []gitstore.RefUpdate{up})
	s.emitPull(ctx, r, p, "closed", who, nil)
	return s.dequeuePull(ctx, r, p, "MERGE", who)
}
