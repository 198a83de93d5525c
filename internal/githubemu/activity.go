package githubemu

import (
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// maxActivities is how many movements of refs a repository remembers; GitHub
// keeps them longer than rung ever looks back.
const maxActivities = 1000

// activity is one movement of a branch, by whom it was done.
type activity struct {
	ID                     int64
	Ref, Before, After, By string
	Type                   string
	At                     time.Time
}

// remember notes a movement of a branch.
func (s *Server) remember(r *repo, who *account, up gitstore.RefUpdate) {
	if !strings.HasPrefix(up.Ref, "refs/heads/") {
		return
	}
	a := &activity{Ref: up.Ref, Before: up.Old, After: up.New, By: who.Login, Type: "push", At: s.now()}
	switch {
	case up.Old == gitstore.Zero:
		a.Type = "branch_creation"
	case up.New == gitstore.Zero:
		a.Type = "branch_deletion"
	default:
		for _, p := range r.Pulls {
			if p.Merged && p.MergeSHA == up.New && "refs/heads/"+p.BaseRef == up.Ref {
				a.Type = "pr_merge"
			}
		}
	}
	a.ID = int64(len(r.Activities)) + 1
	if n := len(r.Activities); n > 0 {
		a.ID = r.Activities[n-1].ID + 1
	}
	r.Activities = append(r.Activities, a)
	if n := len(r.Activities); n > maxActivities {
		r.Activities = slices.Delete(r.Activities, 0, n-maxActivities)
	}
}

// listActivities answers with what happened to the branches, newest first. Of
// GitHub's filters it knows ref, actor and activity_type; its pages are numbered
// where GitHub's have cursors.
func (s *Server) listActivities(c *call) (reply, error) {
	q := c.r.URL.Query()
	ref := q.Get("ref")
	if ref != "" && !strings.HasPrefix(ref, "refs/") {
		ref = "refs/heads/" + ref
	}
	var all []*activity
	for _, a := range slices.Backward(c.repo.Activities) {
		if (ref == "" || a.Ref == ref) && (q.Get("actor") == "" || fold(a.By) == fold(q.Get("actor"))) && (q.Get("activity_type") == "" || a.Type == q.Get("activity_type")) {
			all = append(all, a)
		}
	}
	return list(c, all, func(a *activity) object {
		o := object{
			"id": a.ID, "node_id": nodeID("PSH", a.ID), "before": a.Before, "after": a.After, "ref": a.Ref,
			"timestamp": a.At.UTC().Format(time.RFC3339), "activity_type": a.Type, "actor": nil,
		}
		if who := s.w.user(a.By); who != nil {
			o["actor"] = s.user(who)
		}
		return o
	})
}
