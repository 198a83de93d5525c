package githubemu

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// RepositoryState is a repository as it stands: what tests look at after the
// fact, and what the control API answers.
type RepositoryState struct {
	ID            int64             `json:"id"`
	Name          string            `json:"name"` // OWNER/NAME
	DefaultBranch string            `json:"default_branch"`
	Archived      bool              `json:"archived,omitempty"`
	Branches      map[string]string `json:"branches"` // name to commit
	Pulls         []PullState       `json:"pulls"`    // by number
	Rules         []Ruleset         `json:"rules,omitempty"`
	// Checks are the newest checks and statuses of the branches' tips and of
	// the pull requests' heads, by commit.
	Checks map[string][]CheckState `json:"checks"`
}

// PullState is a pull request as it stands.
type PullState struct {
	Number    int            `json:"number"`
	Title     string         `json:"title"`
	Body      string         `json:"body"`
	Author    string         `json:"author"`
	State     string         `json:"state"` // open, closed or merged
	Head      string         `json:"head"`  // branch
	HeadSHA   string         `json:"head_sha"`
	Base      string         `json:"base"` // branch
	BaseSHA   string         `json:"base_sha"`
	MergeSHA  string         `json:"merge_sha,omitempty"`
	MergedBy  string         `json:"merged_by,omitempty"`
	ClosedBy  string         `json:"closed_by,omitempty"`
	Labels    []string       `json:"labels,omitempty"`
	Reviews   []ReviewState  `json:"reviews,omitempty"`
	Comments  []CommentState `json:"comments,omitempty"`
	CreatedAt time.Time      `json:"created_at"`
	URL       string         `json:"url"`
}

// ReviewState is a review as it stands.
type ReviewState struct {
	ID     int64  `json:"id"`
	Author string `json:"author"`
	State  string `json:"state"` // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED
	SHA    string `json:"sha"`   // the head that was reviewed
	Body   string `json:"body"`
}

// CommentState is a comment as it stands.
type CommentState struct {
	ID        int64    `json:"id"`
	Author    string   `json:"author"`
	Body      string   `json:"body"`
	Reactions []string `json:"reactions,omitempty"` // login:content
}

// CheckState is a check run or a commit status.
type CheckState struct {
	Kind       string        `json:"kind"` // check or status
	ID         int64         `json:"id"`
	App        string        `json:"app"` // slug; for a status, its creator's login
	Name       string        `json:"name"`
	Status     string        `json:"status,omitempty"`     // of a check run
	Conclusion string        `json:"conclusion,omitempty"` // of a check run; the state of a status
	Title      string        `json:"title,omitempty"`
	Summary    string        `json:"summary,omitempty"`
	ExternalID string        `json:"external_id,omitempty"`
	Actions    []CheckAction `json:"actions,omitempty"`
}

// State reports how a repository stands. It counts as no read of anything.
func (s *Server) State(ctx context.Context, full string) (RepositoryState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.w.repoNamed(full)
	if r == nil {
		return RepositoryState{}, fail(http.StatusNotFound, "There is no repository %s", full)
	}
	out := RepositoryState{ID: r.ID, Name: r.full(), DefaultBranch: r.DefaultBranch, Archived: r.Archived, Checks: map[string][]CheckState{}}
	_, at, err := s.branches(ctx, r)
	if err != nil {
		return out, err
	}
	out.Branches = at
	for _, rule := range r.Rules {
		out.Rules = append(out.Rules, *rule)
	}
	for _, p := range sortedBy(r.Pulls) {
		out.Pulls = append(out.Pulls, s.pullState(r, p))
		s.addChecks(r, p.HeadSHA, out.Checks)
	}
	for _, sha := range at {
		s.addChecks(r, sha, out.Checks)
	}
	return out, nil
}

func (s *Server) addChecks(r *repo, sha string, to map[string][]CheckState) {
	if all := s.checkStates(r, sha); len(all) > 0 {
		to[sha] = all
	}
}

func (s *Server) checkStates(r *repo, sha string) []CheckState {
	var out []CheckState
	for _, run := range latestRuns(r.Runs[sha]) {
		slug := ""
		if a := s.w.Apps[run.AppID]; a != nil {
			slug = a.Slug
		}
		out = append(out, CheckState{
			Kind: "check", ID: run.ID, App: slug, Name: run.Name, Status: run.Status, Conclusion: run.Conclusion,
			Title: run.Output.Title, Summary: run.Output.Summary, ExternalID: run.ExternalID, Actions: slices.Clone(run.Actions),
		})
	}
	for _, st := range latestStatuses(r.Statuses[sha]) {
		out = append(out, CheckState{Kind: "status", ID: st.ID, App: st.Creator, Name: st.Context, Conclusion: st.State, Summary: st.Description})
	}
	return out
}

func (s *Server) pullState(r *repo, p *pull) PullState {
	i := r.issueOf(p)
	out := PullState{
		Number: p.Number, Title: i.Title, Body: i.Body, Author: i.User, State: i.State, Head: p.HeadRef, HeadSHA: p.HeadSHA,
		Base: p.BaseRef, BaseSHA: p.BaseSHA, MergeSHA: p.MergeSHA, MergedBy: p.MergedBy, ClosedBy: i.ClosedBy,
		Labels: slices.Clone(i.Labels), CreatedAt: i.CreatedAt, URL: s.html("/%s/pull/%d", r.full(), p.Number),
	}
	if p.Merged {
		out.State = "merged"
	}
	for _, rv := range p.Reviews {
		out.Reviews = append(out.Reviews, ReviewState{ID: rv.ID, Author: rv.User, State: rv.State, SHA: rv.CommitID, Body: rv.Body})
	}
	for _, cm := range i.Comments {
		c := CommentState{ID: cm.ID, Author: cm.User, Body: cm.Body}
		for _, x := range cm.Reactions {
			c.Reactions = append(c.Reactions, x.User+":"+x.Content)
		}
		out.Comments = append(out.Comments, c)
	}
	return out
}

// Repositories lists the full names of all repositories.
func (s *Server) Repositories() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, r := range sortedBy(s.w.Repos) {
		out = append(out, r.full())
	}
	return out
}

// ReadFile reads a file at a branch, tag or commit. It is a convenience for
// tests; ok is false if there is no such file.
func (s *Server) ReadFile(ctx context.Context, full, ref, path string) (text string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.w.repoNamed(full)
	if r == nil {
		return "", false
	}
	sha, err := s.resolveRef(ctx, r, ref)
	if err != nil {
		return "", false
	}
	cm, err := r.git.ReadCommit(ctx, sha)
	if err != nil {
		return "", false
	}
	return fileAt(ctx, r.git, cm.Tree, path)
}
