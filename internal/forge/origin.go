package forge

import (
	"context"
	"fmt"
	"net/url"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// maxActivity is how many movements of a branch are looked through, newest first.
const maxActivity = 100

// Origin is how a commit came to a branch. What GitHub does not say is zero.
type Origin struct {
	// PullRequest is the merged pull request that brought it.
	PullRequest int
	// Pusher is who moved the branch to exactly this commit: whoever pushed, or
	// pressed the button. It is authenticated, as a commit's author is not.
	Pusher promotion.Person
}

// Origins says how commits came to a branch: two kinds of requests, one for each
// commit and one for all, made where people changed something themselves and
// nothing else told who. A server that has no list of activities, or an App that
// may not read it, leaves the pusher unknown.
func (c *Client) Origins(ctx context.Context, repo promotion.Repository, base string, commits []promotion.Hash) (map[promotion.Hash]Origin, error) {
	origins := map[promotion.Hash]Origin{}
	for _, commit := range commits {
		op := fmt.Sprintf("find the pull request of %s in %s", commit.Short(), repo.FullName())
		number, err := c.mergedBy(ctx, repo, base, commit)
		if err != nil && !missing(err) && !unprocessable(err) {
			return nil, translate(op, false, repo, err)
		}
		origins[commit] = Origin{PullRequest: number}
	}
	pushers, err := c.pushers(ctx, repo, base)
	if err != nil && !missing(err) && !denied(err) {
		return nil, translate("list the activity of "+repo.FullName(), false, repo, err)
	}
	for commit, o := range origins {
		o.Pusher = pushers[commit]
		origins[commit] = o
	}
	return origins, nil
}

// mergedBy is the merged pull request into base that brought a commit, or 0.
// Merged or squashed it names the commit itself; of a rebase only the last.
func (c *Client) mergedBy(ctx context.Context, repo promotion.Repository, base string, commit promotion.Hash) (int, error) {
	pulls, _, err := c.rest.PullRequests.ListPullRequestsWithCommit(ctx, repo.Owner, repo.Name, string(commit), &github.ListOptions{PerPage: pageSize})
	if err != nil {
		return 0, err
	}
	found := 0
	for _, p := range pulls {
		if p.GetMergedAt().IsZero() || p.GetBase().GetRef() != base {
			continue
		}
		if p.GetMergeCommitSHA() == string(commit) {
			return p.GetNumber(), nil
		}
		if found == 0 {
			found = p.GetNumber()
		}
	}
	return found, nil
}

// pushers are who moved a branch to which commit, as far back as one page goes.
func (c *Client) pushers(ctx context.Context, repo promotion.Repository, base string) (map[promotion.Hash]promotion.Person, error) {
	var list []struct {
		After string       `json:"after"`
		Ref   string       `json:"ref"`
		Actor *github.User `json:"actor"`
	}
	path := fmt.Sprintf("repos/%s/%s/activity?ref=%s&per_page=%d", url.PathEscape(repo.Owner), url.PathEscape(repo.Name), url.QueryEscape("refs/heads/"+base), maxActivity)
	if err := c.getJSON(ctx, path, &list); err != nil {
		return nil, err
	}
	pushers := map[promotion.Hash]promotion.Person{}
	for _, a := range list {
		if _, known := pushers[promotion.Hash(a.After)]; !known && a.Ref == "refs/heads/"+base {
			pushers[promotion.Hash(a.After)] = personOf(a.Actor)
		}
	}
	return pushers, nil
}
