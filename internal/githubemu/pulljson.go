package githubemu

import (
	"context"
)

// pullJSON is GitHub's pull request. Full adds what only a single one shows,
// mergeability among it, and counts as a read of it.
func (s *Server) pullJSON(ctx context.Context, r *repo, p *pull, full bool) object {
	i := r.issueOf(p)
	u := s.api("/repos/%s/pulls/%d", r.full(), p.Number)
	iu := s.api("/repos/%s/issues/%d", r.full(), p.Number)
	page := s.html("/%s/pull/%d", r.full(), p.Number)
	st := s.api("/repos/%s/statuses/%s", r.full(), p.HeadSHA)
	owner, home := s.user(s.owner(r.Owner)), s.repoOf(r, true)
	o := object{
		"id": p.ID, "node_id": nodeID("PR", p.ID), "number": p.Number, "url": u, "html_url": page, "diff_url": page + ".diff",
		"patch_url": page + ".patch", "issue_url": iu, "commits_url": u + "/commits", "review_comments_url": u + "/comments",
		"review_comment_url": s.api("/repos/%s/pulls/comments{/number}", r.full()), "comments_url": iu + "/comments",
		"statuses_url": st, "state": i.State, "locked": i.Locked, "active_lock_reason": nil, "title": i.Title,
		"body": orNull(i.Body), "user": s.user(s.w.user(i.User)), "labels": s.labelsJSON(r, i.Labels), "milestone": nil,
		"assignee": nil, "assignees": []object{}, "requested_reviewers": s.usersJSON(p.Requested), "requested_teams": []object{},
		"created_at": stamp(i.CreatedAt), "updated_at": stamp(i.UpdatedAt), "closed_at": stamp(i.ClosedAt),
		"merged_at": stamp(p.MergedAt), "merge_commit_sha": orNull(p.MergeSHA), "draft": p.Draft, "auto_merge": nil,
		"author_association": s.association(r, i.User),
		"head":               object{"label": r.Owner + ":" + p.HeadRef, "ref": p.HeadRef, "sha": p.HeadSHA, "user": owner, "repo": home},
		"base":               object{"label": r.Owner + ":" + p.BaseRef, "ref": p.BaseRef, "sha": p.BaseSHA, "user": owner, "repo": home},
		"_links": object{
			"self": object{"href": u}, "html": object{"href": page}, "issue": object{"href": iu},
			"comments": object{"href": iu + "/comments"}, "review_comments": object{"href": u + "/comments"},
			"review_comment": object{"href": s.api("/repos/%s/pulls/comments{/number}", r.full())},
			"commits":        object{"href": u + "/commits"}, "statuses": object{"href": st},
		},
	}
	if full {
		s.addPullDetails(ctx, r, p, o)
	}
	return o
}

// pullRepoJSON adds the settings that a pull request's repository shows.
func (s *Server) pullRepoJSON(r *repo) object {
	o := s.repoJSON(r)
	for k, v := range (object{
		"allow_merge_commit": r.AllowMerge, "allow_squash_merge": r.AllowSquash,
		"allow_rebase_merge": r.AllowRebase, "allow_auto_merge": r.AllowAutoMerge, "delete_branch_on_merge": r.DeleteOnMerge,
		"allow_update_branch": r.AllowUpdate,
	}) {
		o[k] = v
	}
	return o
}

func (s *Server) addPullDetails(ctx context.Context, r *repo, p *pull, o object) {
	m := s.mergeable(ctx, r, p)
	o["merged"], o["merged_by"] = p.Merged, s.user(s.w.user(p.MergedBy))
	o["mergeable"], o["rebaseable"], o["mergeable_state"] = nil, nil, m.state
	if m.known {
		o["mergeable"], o["rebaseable"] = m.clean, m.clean
	}
	i := r.issueOf(p)
	o["comments"], o["review_comments"], o["maintainer_can_modify"] = len(i.Comments), 0, false
	n := s.pullSums(ctx, r, p)
	o["commits"], o["additions"], o["deletions"], o["changed_files"] = n.commits, n.additions, n.deletions, n.files
}

// pullSums are the figures of a pull request. They hang on its head and base
// alone.
type pullSums struct{ commits, additions, deletions, files int }

func (s *Server) pullSums(ctx context.Context, r *repo, p *pull) pullSums {
	key := [2]string{s.compareBase(ctx, r, p), p.HeadSHA}
	if n, known := s.sums[key]; known {
		return n
	}
	var n pullSums
	if commits, err := s.pullLog(ctx, r, p); err == nil {
		n.commits = len(commits)
	}
	if from, to, err := s.pullTrees(ctx, r, p); err == nil {
		if files, add, dels, err := s.filesJSON(ctx, r, from, to, p.HeadSHA); err == nil {
			n.additions, n.deletions, n.files = add, dels, len(files)
		}
	}
	if len(s.sums) >= maxRendered {
		clear(s.sums)
	}
	s.sums[key] = n
	return n
}
