package githubemu

import (
	"context"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// moveRef moves one ref for somebody, if the rules let them, and lets follow
// what follows.
func (s *Server) moveRef(ctx context.Context, r *repo, who *account, up gitstore.RefUpdate, lenient bool) error {
	if !lenient {
		broken, err := s.pushViolations(ctx, r, who, up)
		if err != nil {
			return err
		}
		if len(broken) > 0 {
			return fail(422, "%s", wording(broken))
		}
	}
	if err := r.git.UpdateRefs(ctx, []gitstore.RefUpdate{up}); err != nil {
		return err
	}
	s.refsMoved(ctx, r, who, []gitstore.RefUpdate{up})
	return nil
}

func (s *Server) deleteBranch(ctx context.Context, r *repo, who *account, branch string) error {
	tip, err := s.tip(ctx, r, branch)
	if err != nil {
		return err
	}
	return s.moveRef(ctx, r, who, gitstore.RefUpdate{Ref: "refs/heads/" + branch, Old: tip, New: gitstore.Zero}, false)
}

// refsMoved does all that GitHub does after refs have moved, by whatever
// door: events, and the pull requests that hang on the branches.
func (s *Server) refsMoved(ctx context.Context, r *repo, who *account, ups []gitstore.RefUpdate) {
	r.touch(s.now())
	tags := 0
	for _, up := range ups {
		if strings.HasPrefix(up.Ref, "refs/tags/") {
			tags++
		}
	}
	for _, up := range ups {
		s.remember(r, who, up)
		if up.New != gitstore.Zero {
			r.Pushers[up.New] = who.Login
		}
		if tags <= 3 || !strings.HasPrefix(up.Ref, "refs/tags/") { // of more tags at once GitHub tells nothing
			s.emitPush(ctx, r, who, up)
		}
	}
	for _, up := range ups {
		branch, isBranch := strings.CutPrefix(up.Ref, "refs/heads/")
		if !isBranch {
			continue
		}
		if up.New == gitstore.Zero {
			s.branchGone(ctx, r, who, branch)
			continue
		}
		s.headMoved(ctx, r, who, branch, up)
		s.baseMoved(ctx, r, who, branch, up)
	}
}

// branchGone closes the pull requests from a deleted branch. Those onto it
// follow to where it was merged, or are closed too.
func (s *Server) branchGone(ctx context.Context, r *repo, who *account, branch string) {
	into := ""
	for _, p := range sortedBy(r.Pulls) {
		if p.HeadRef != branch {
			continue
		}
		p.HeadDeleted = true
		if p.Merged {
			into = p.BaseRef
		}
		if r.issueOf(p).State == "open" {
			s.closeIssue(r.issueOf(p), who)
			s.emitPull(ctx, r, p, "closed", who, nil)
		}
	}
	for _, p := range sortedBy(r.Pulls) {
		if p.BaseRef != branch || r.issueOf(p).State != "open" {
			continue
		}
		if into != "" {
			if was, err := s.retarget(ctx, r, p, into); err == nil {
				s.emitPull(ctx, r, p, "edited", who, object{"changes": object{"base": was}})
				continue
			}
		}
		s.closeIssue(r.issueOf(p), who)
		s.emitPull(ctx, r, p, "closed", who, nil)
	}
}

// headMoved moves the open pull requests from a branch along with it.
func (s *Server) headMoved(ctx context.Context, r *repo, who *account, branch string, up gitstore.RefUpdate) {
	for _, p := range sortedBy(r.Pulls) {
		if p.HeadRef != branch {
			continue
		}
		p.HeadDeleted = false
		i := r.issueOf(p)
		if i.State != "open" || p.HeadSHA == up.New {
			continue
		}
		before := p.HeadSHA
		p.HeadSHA, i.UpdatedAt = up.New, s.now()
		if tip, err := s.tip(ctx, r, p.BaseRef); err == nil {
			p.BaseSHA = tip
		}
		s.keepHead(ctx, r, p)
		s.emitPull(ctx, r, p, "synchronize", who, object{"before": before, "after": up.New})
		if slices.ContainsFunc(r.rulesFor(p.BaseRef), func(rule *Ruleset) bool { return rule.DismissStale }) {
			s.dismissStale(ctx, r, p, who, before)
		}
		if inside, err := s.reaches(ctx, r, p.HeadSHA, p.BaseSHA); err == nil && inside {
			// Nothing is left to merge: GitHub closes it.
			s.closeIssue(i, who)
			s.emitPull(ctx, r, p, "closed", who, nil)
		}
	}
}

// baseMoved marks the open pull requests as merged whose head has come into
// their base by itself.
func (s *Server) baseMoved(ctx context.Context, r *repo, who *account, branch string, up gitstore.RefUpdate) {
	var open []*pull
	for _, p := range sortedBy(r.Pulls) {
		if p.BaseRef == branch && r.issueOf(p).State == "open" {
			open = append(open, p)
		}
	}
	if len(open) == 0 || up.Old == gitstore.Zero {
		return
	}
	came, err := r.git.Log(ctx, up.New, []string{up.Old}, maxCommits)
	if err != nil {
		return
	}
	for _, p := range open {
		if slices.ContainsFunc(came, func(c gitstore.Commit) bool { return c.ID == p.HeadSHA }) {
			s.markMerged(r, p, who, up.New)
			s.emitPull(ctx, r, p, "closed", who, nil)
		}
	}
}
