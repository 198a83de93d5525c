package forge

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/google/go-github/v60/github"
	"golang.org/x/sync/errgroup"

	"github.com/rungbot/rung/internal/promotion"
)

// restAtOnce bounds the requests of one read that are on the wire together.
const restAtOnce = 4

// restRepository is GitHub's repository with the settings left open that only
// some may see.
type restRepository struct {
	ID            int64  `json:"id"`
	FullName      string `json:"full_name"`
	URL           string `json:"html_url"`
	Archived      bool   `json:"archived"`
	Private       bool   `json:"private"`
	DefaultBranch string `json:"default_branch"`
	Merge         *bool  `json:"allow_merge_commit"`
	Squash        *bool  `json:"allow_squash_merge"`
	Rebase        *bool  `json:"allow_rebase_merge"`
}

// restReader assembles one State. Its fields below mu are shared by the
// requests that are on the wire together.
type restReader struct {
	c    *Client
	repo promotion.Repository

	mu sync.Mutex
	a  *assembly
	// wanted are the numbers to read in full, each once.
	wanted map[int]bool
}

// readREST assembles the same State that GraphQL gives. Only pull requests
// that were asked for by number or head are read in full; the other open ones
// are not Detailed.
func (c *Client) readREST(ctx context.Context, q Query) (State, error) {
	r := &restReader{c: c, repo: q.Repository, a: newAssembly(), wanted: map[int]bool{}}
	if err := r.repository(ctx, q); err != nil {
		return State{}, err
	}
	open := map[string]bool{}
	if q.OpenPullRequests {
		var err error
		if open, err = r.open(ctx, q.Base); err != nil {
			return State{}, err
		}
	}
	for _, n := range q.PullRequests {
		r.wanted[n] = true
	}
	inHeads := map[string]bool{}
	for _, h := range q.Heads {
		inHeads[h] = true
	}
	for n, pr := range r.a.pulls {
		if inHeads[pr.HeadRef] && !pr.Fork {
			r.wanted[n] = true
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(restAtOnce)
	for _, h := range q.Heads {
		if !open[h] {
			group.Go(func() error { return r.head(groupCtx, h) })
		}
	}
	for _, h := range q.Commits {
		group.Go(func() error { return r.commit(groupCtx, h) })
	}
	if err := group.Wait(); err != nil {
		return State{}, err
	}
	group, groupCtx = errgroup.WithContext(ctx)
	group.SetLimit(restAtOnce)
	for n := range r.wanted {
		group.Go(func() error { return r.pull(groupCtx, n) })
	}
	if err := group.Wait(); err != nil {
		return State{}, err
	}
	return r.a.done(), nil
}

func (r *restReader) path(format string, args ...any) string {
	return fmt.Sprintf("repos/%s/%s", url.PathEscape(r.repo.Owner), url.PathEscape(r.repo.Name)) + fmt.Sprintf(format, args...)
}

// missing reports whether err is an answer that there is no such thing.
func missing(err error) bool {
	return err != nil && errors.Is(kindOf(false, promotion.Repository{}, err), ErrNotFound)
}

// denied reports whether err is an answer that the App may not see it.
func denied(err error) bool {
	var f *ForbiddenError
	return err != nil && errors.As(kindOf(false, promotion.Repository{}, err), &f)
}

func (r *restReader) repository(ctx context.Context, q Query) error {
	var repo restRepository
	if err := r.c.getJSON(ctx, r.path(""), &repo); err != nil {
		return err
	}
	owner, name, ok := strings.Cut(repo.FullName, "/")
	if !ok || (q.Repository.ID != 0 && repo.ID != q.Repository.ID) {
		return fmt.Errorf("%w: another repository bears the name now", ErrNotFound)
	}
	s := &r.a.state
	s.Repository = promotion.Repository{ID: repo.ID, Installation: r.c.installation, Owner: owner, Name: name, URL: repo.URL}
	s.DefaultBranch, s.Archived, s.Public = repo.DefaultBranch, repo.Archived, !repo.Private
	r.repo = s.Repository
	yes := func(b *bool) bool { return b == nil || *b }
	s.Rules.Methods = methods(yes(repo.Merge), yes(repo.Squash), yes(repo.Rebase))
	if q.Base == "" {
		return nil
	}
	return r.rules(ctx, q.Base)
}

// open lists the open pull requests against base, and says which heads of this
// repository have one.
func (r *restReader) open(ctx context.Context, base string) (map[string]bool, error) {
	heads := map[string]bool{}
	opts := &github.PullRequestListOptions{State: StateOpen, Base: base, Sort: "created", Direction: "desc", ListOptions: github.ListOptions{PerPage: pageSize}}
	for range openPages {
		page, resp, err := r.c.rest.PullRequests.List(ctx, r.repo.Owner, r.repo.Name, opts)
		if err != nil {
			return nil, err
		}
		for _, p := range page {
			pr, err := restPull(p, r.repo.ID)
			if err != nil {
				return nil, err
			}
			r.a.add(pr)
			if !pr.Fork {
				heads[pr.HeadRef] = true
			}
		}
		if resp.NextPage == 0 {
			return heads, nil
		}
		opts.Page = resp.NextPage
	}
	r.a.state.OpenComplete = false
	return heads, nil
}

// head finds the newest pull requests of a head branch.
func (r *restReader) head(ctx context.Context, head string) error {
	page, _, err := r.c.rest.PullRequests.List(ctx, r.repo.Owner, r.repo.Name, &github.PullRequestListOptions{
		State: "all", Head: r.repo.Owner + ":" + head, Sort: "created", Direction: "desc", ListOptions: github.ListOptions{PerPage: perHead},
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range page {
		if p.GetHead().GetRef() == head {
			r.wanted[p.GetNumber()] = true
		}
	}
	return nil
}

func (r *restReader) commit(ctx context.Context, hash promotion.Hash) error {
	runs, complete, err := r.runs(ctx, hash)
	if missing(err) || unprocessable(err) {
		return nil
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.a.state.Commits[hash] = newestRuns(runs)
	if !complete {
		r.a.state.Incomplete[hash] = true
	}
	return nil
}

// unprocessable is GitHub's answer for a commit that it does not have.
func unprocessable(err error) bool {
	var invalid *InvalidError
	return err != nil && errors.As(kindOf(false, promotion.Repository{}, err), &invalid)
}

// pull reads one pull request in full.
func (r *restReader) pull(ctx context.Context, number int) error {
	p, _, err := r.c.rest.PullRequests.Get(ctx, r.repo.Owner, r.repo.Name, number)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	pr, err := restPull(p, r.repo.ID)
	if err != nil {
		return err
	}
	pr.Detailed = true
	pr.Mergeable = MergeUnknown
	if pr.State == StateOpen {
		pr.Mergeable = mergeability(p.Mergeable, p.GetMergeableState())
	}
	if pr.Reviews, pr.ReviewsComplete, err = r.reviews(ctx, number); err != nil {
		return err
	}
	if pr.State == StateClosed {
		if pr.ClosedBy, err = r.closer(ctx, number); err != nil {
			return err
		}
	}
	runs, complete, err := r.runs(ctx, pr.Head)
	if err != nil && !missing(err) && !unprocessable(err) {
		return err
	}
	pr.Checks, pr.ChecksComplete = newestRuns(runs), complete && err == nil
	pr.Own = ownRuns(runs, r.c.app.config.AppID, pr.Head)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.a.add(pr)
	return nil
}

func (r *restReader) closer(ctx context.Context, number int) (promotion.Person, error) {
	issue, _, err := r.c.rest.Issues.Get(ctx, r.repo.Owner, r.repo.Name, number)
	if err != nil {
		return promotion.Person{}, err
	}
	return personOf(issue.ClosedBy), nil
}

func (r *restReader) reviews(ctx context.Context, number int) ([]promotion.ReviewFacts, bool, error) {
	var all []promotion.ReviewFacts
	opts := &github.ListOptions{PerPage: pageSize}
	for range listPages {
		page, resp, err := r.c.rest.PullRequests.ListReviews(ctx, r.repo.Owner, r.repo.Name, number, opts)
		if err != nil {
			return nil, false, err
		}
		for _, v := range page {
			all = append(all, promotion.ReviewFacts{
				ID: v.GetID(), Author: personOf(v.User), State: strings.ToLower(v.GetState()),
				Commit: promotion.Hash(v.GetCommitID()), At: v.GetSubmittedAt().Time,
			})
		}
		if resp.NextPage == 0 {
			return all, true, nil
		}
		opts.Page = resp.NextPage
	}
	return nil, false, nil
}

// runs reads the check runs and statuses of a commit; false: there are more.
func (r *restReader) runs(ctx context.Context, hash promotion.Hash) ([]run, bool, error) {
	checks, allChecks, err := r.checkRuns(ctx, hash)
	if err != nil {
		return nil, false, err
	}
	statuses, allStatuses, err := r.statuses(ctx, hash)
	if err != nil {
		return nil, false, err
	}
	return append(checks, statuses...), allChecks && allStatuses, nil
}

func (r *restReader) checkRuns(ctx context.Context, hash promotion.Hash) ([]run, bool, error) {
	var all []run
	opts := &github.ListCheckRunsOptions{ListOptions: github.ListOptions{PerPage: pageSize}}
	for range listPages {
		page, resp, err := r.c.rest.Checks.ListCheckRunsForRef(ctx, r.repo.Owner, r.repo.Name, string(hash), opts)
		if err != nil {
			return nil, false, err
		}
		for _, n := range page.CheckRuns {
			one := run{
				id: n.GetID(), name: n.GetName(), app: n.GetApp().GetID(), state: checkState(n.GetStatus(), n.GetConclusion()),
				url: n.GetDetailsURL(), at: n.GetCompletedAt().Time, externalID: n.GetExternalID(),
			}
			if one.at.IsZero() {
				one.at = n.GetStartedAt().Time
			}
			if strings.EqualFold(n.GetStatus(), "completed") {
				one.conclusion = strings.ToLower(n.GetConclusion())
			}
			all = append(all, one)
		}
		if resp.NextPage == 0 {
			return all, true, nil
		}
		opts.Page = resp.NextPage
	}
	return all, false, nil
}

func (r *restReader) statuses(ctx context.Context, hash promotion.Hash) ([]run, bool, error) {
	var all []run
	opts := &github.ListOptions{PerPage: pageSize}
	for range listPages {
		page, resp, err := r.c.rest.Repositories.GetCombinedStatus(ctx, r.repo.Owner, r.repo.Name, string(hash), opts)
		if err != nil {
			return nil, false, err
		}
		for _, n := range page.Statuses {
			all = append(all, run{name: n.GetContext(), state: statusState(n.GetState()), url: n.GetTargetURL(), at: n.GetCreatedAt().Time})
		}
		if resp.NextPage == 0 {
			return all, true, nil
		}
		opts.Page = resp.NextPage
	}
	return all, false, nil
}

// restPull reads what a list shows of a pull request. repository is the number
// of the repository that was asked.
func restPull(p *github.PullRequest, repository int64) (PullRequest, error) {
	pr := PullRequest{
		Number: p.GetNumber(), Title: p.GetTitle(), URL: p.GetHTMLURL(), State: p.GetState(), Draft: p.GetDraft(),
		Fork: p.GetHead().GetRepo().GetID() != repository, HeadRef: p.GetHead().GetRef(), BaseRef: p.GetBase().GetRef(),
		Mergeable: MergeUnknown, Author: personOf(p.User), MergedBy: personOf(p.MergedBy),
		MergedAt: p.GetMergedAt().Time, ClosedAt: p.GetClosedAt().Time, CreatedAt: p.GetCreatedAt().Time,
	}
	if p.GetMerged() || !p.GetMergedAt().IsZero() {
		pr.State = StateMerged
	}
	if pr.Number <= 0 || (pr.State != StateOpen && pr.State != StateClosed && pr.State != StateMerged) {
		return PullRequest{}, &UnavailableError{Message: fmt.Sprintf("pull request %d has the unknown state %q", pr.Number, cut(pr.State, 40))}
	}
	var err error
	if pr.Head, err = promotion.ParseHash(p.GetHead().GetSHA()); err != nil {
		return PullRequest{}, &UnavailableError{Message: "a pull request's head: " + err.Error()}
	}
	if pr.Base, err = promotion.ParseHash(p.GetBase().GetSHA()); err != nil {
		return PullRequest{}, &UnavailableError{Message: "a pull request's base: " + err.Error()}
	}
	if pr.State == StateMerged && p.GetMergeCommitSHA() != "" {
		if pr.MergeCommit, err = promotion.ParseHash(p.GetMergeCommitSHA()); err != nil {
			return PullRequest{}, &UnavailableError{Message: "a merge commit: " + err.Error()}
		}
	}
	return pr, nil
}
