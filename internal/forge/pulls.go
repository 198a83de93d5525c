package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// Limits of texts, in characters for titles and bytes for bodies.
const (
	titleLimit = 256
	bodyLimit  = 65535
)

// NewPullRequest is a pull request to open.
type NewPullRequest struct {
	// Title has at most 256 characters, Body 65,535 bytes; longer ones are
	// cut, the body with a note.
	Title string
	Body  string
	// Head and Base are short branch names of the repository.
	Head string
	Base string
}

// OpenPullRequest opens a pull request, or finds the one that is already open
// from Head into Base: calling it again is safe.
func (c *Client) OpenPullRequest(ctx context.Context, repo promotion.Repository, n NewPullRequest) (int, error) {
	op := fmt.Sprintf("open a pull request %s → %s in %s", n.Head, n.Base, repo.FullName())
	pr, _, err := c.rest.PullRequests.Create(ctx, repo.Owner, repo.Name, &github.NewPullRequest{
		Title: github.String(cutRunes(oneLine(n.Title), titleLimit)), Body: github.String(cutNote(n.Body, bodyLimit)),
		Head: github.String(n.Head), Base: github.String(n.Base),
	})
	if err == nil {
		return pr.GetNumber(), checked(op, pr.GetNumber())
	}
	failed := translate(op, true, repo, err)
	var invalid *InvalidError
	if !errors.As(failed, &invalid) || !strings.Contains(strings.ToLower(invalid.Message), "already exists") {
		return 0, failed
	}
	open, _, err := c.rest.PullRequests.List(ctx, repo.Owner, repo.Name, &github.PullRequestListOptions{
		State: StateOpen, Head: repo.Owner + ":" + n.Head, Base: n.Base, ListOptions: github.ListOptions{PerPage: pageSize},
	})
	if err != nil {
		return 0, translate(op, false, repo, err)
	}
	for _, pr := range open {
		if pr.GetHead().GetRef() == n.Head && pr.GetBase().GetRef() == n.Base {
			return pr.GetNumber(), checked(op, pr.GetNumber())
		}
	}
	return 0, failed
}

// checked refuses an answer without a number: it is not what it claims.
func checked(op string, number int) error {
	if number <= 0 {
		return fmt.Errorf("forge: %s: %w: GitHub's answer has no number", op, ErrUnknownOutcome)
	}
	return nil
}

// EditPullRequest sets the title and the body.
func (c *Client) EditPullRequest(ctx context.Context, repo promotion.Repository, number int, title, body string) error {
	return c.edit(ctx, repo, number, "edit", &github.PullRequest{
		Title: github.String(cutRunes(oneLine(title), titleLimit)), Body: github.String(cutNote(body, bodyLimit)),
	})
}

// ClosePullRequest closes a pull request; one that is closed stays so.
func (c *Client) ClosePullRequest(ctx context.Context, repo promotion.Repository, number int) error {
	return c.edit(ctx, repo, number, "close", &github.PullRequest{State: github.String(StateClosed)})
}

// ReopenPullRequest opens a closed pull request again. An *InvalidError means
// that it can't be: its branch is gone or moved, or it is merged.
func (c *Client) ReopenPullRequest(ctx context.Context, repo promotion.Repository, number int) error {
	return c.edit(ctx, repo, number, "reopen", &github.PullRequest{State: github.String(StateOpen)})
}

func (c *Client) edit(ctx context.Context, repo promotion.Repository, number int, verb string, change *github.PullRequest) error {
	_, _, err := c.rest.PullRequests.Edit(ctx, repo.Owner, repo.Name, number, change)
	return translate(fmt.Sprintf("%s pull request %s#%d", verb, repo.FullName(), number), true, repo, err)
}

// cutNote cuts a long text and says so at its end.
func cutNote(s string, limit int) string {
	const note = "\n\n… (cut here: the text is too long for GitHub)"
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= limit {
		return s
	}
	return cut(s, limit-len(note)) + note
}

// Merge merges a pull request whose head must be sha, and returns the commit
// that the base branch holds now. method is merge or squash.
//
// Called again after it was done, it returns the same commit. Errors:
// ErrHeadMoved, ErrBaseMoved, ErrNotMergeable, *RefusedError with GitHub's own
// words for everything else that stops it, ErrUnknownOutcome when the pull
// request doesn't show whether it was merged.
func (c *Client) Merge(ctx context.Context, repo promotion.Repository, number int, sha promotion.Hash, method, title, message string) (promotion.Hash, error) {
	op := fmt.Sprintf("merge pull request %s#%d", repo.FullName(), number)
	if _, err := promotion.ParseHash(string(sha)); err != nil {
		return "", fmt.Errorf("forge: %s: the head to merge is required: %w", op, err)
	}
	if method != "merge" && method != "squash" {
		return "", fmt.Errorf("forge: %s: %q is not a merge method of rung: use merge or squash", op, method)
	}
	done, _, err := c.rest.PullRequests.Merge(ctx, repo.Owner, repo.Name, number, cutNote(message, bodyLimit), &github.PullRequestOptions{
		SHA: string(sha), MergeMethod: method, CommitTitle: cutRunes(oneLine(title), titleLimit),
	})
	if err == nil && done.GetMerged() {
		if commit, err := promotion.ParseHash(done.GetSHA()); err == nil {
			return commit, nil
		}
	}
	var failed error
	if err == nil {
		failed = fmt.Errorf("forge: %s: %w: GitHub's answer names no commit", op, ErrUnknownOutcome)
	} else {
		failed = translate(op, true, repo, mergeError(err))
	}
	var refused *RefusedError
	if !errors.Is(failed, ErrUnknownOutcome) && !errors.Is(failed, ErrNotMergeable) && !errors.As(failed, &refused) {
		return "", failed
	}
	// It may be merged all the same: by this call, or by one before it whose
	// answer was lost.
	pr, _, err := c.rest.PullRequests.Get(ctx, repo.Owner, repo.Name, number)
	if err == nil && pr.GetMerged() && pr.GetHead().GetSHA() == string(sha) {
		if commit, err := promotion.ParseHash(pr.GetMergeCommitSHA()); err == nil {
			return commit, nil
		}
	}
	return "", failed
}

// mergeError reads the answers that only merging gives. GitHub puts nearly all
// of them under 405, where the message alone tells them apart.
func mergeError(err error) error {
	var answer *github.ErrorResponse
	if !errors.As(err, &answer) || answer.Response == nil {
		return err
	}
	text := message(answer)
	switch answer.Response.StatusCode {
	case http.StatusConflict:
		return ErrHeadMoved
	case http.StatusMethodNotAllowed, http.StatusUnprocessableEntity:
		lower := strings.ToLower(text)
		switch {
		case strings.Contains(lower, "base branch was modified"):
			return ErrBaseMoved
		case strings.Contains(lower, "head branch was modified"):
			return ErrHeadMoved
		case strings.Contains(lower, "is not mergeable"), strings.Contains(lower, "merge conflict"):
			return ErrNotMergeable
		}
		return &RefusedError{Message: text}
	}
	return err
}
