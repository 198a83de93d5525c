package forge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
)

// Comment is one comment on an issue or pull request.
type Comment struct {
	ID int64
	// Issue is the number of the issue or pull request; IsPullRequest tells
	// which.
	Issue         int
	IsPullRequest bool
	Author        promotion.Person
	Body          string
	CreatedAt     time.Time
	UpdatedAt     time.Time
	// App is the number of the App that wrote it, 0 for people and for
	// servers that don't say.
	App int64
}

// Edited reports whether the body may differ from what was posted.
func (c Comment) Edited() bool { return !c.UpdatedAt.Equal(c.CreatedAt) }

// NewComment is a comment to write.
type NewComment struct {
	Body string
	// Key is a hidden mark by which the comment is found again: 1 to 100 of
	// A-Z, a-z, 0-9 and ._:/-
	Key string
	// Maybe is true when an earlier call may have gone through: it is looked
	// up by Key before another one is written.
	Maybe bool
}

var keyGrammar = lazyregexp.New(`^[A-Za-z0-9._:/-]{1,100}$`)

// mark is the hidden line that carries a comment's key. Two hyphens would end
// an HTML comment early.
func mark(key string) string {
	return "<!-- rung " + strings.ReplaceAll(key, "--", "-.-") + " -->"
}

// AddComment writes a comment on an issue or pull request and returns its
// number.
func (c *Client) AddComment(ctx context.Context, repo promotion.Repository, issue int, n NewComment) (int64, error) {
	op := fmt.Sprintf("comment on %s#%d", repo.FullName(), issue)
	if !keyGrammar.MatchString(n.Key) {
		return 0, fmt.Errorf("forge: %s: %q is not a comment's key", op, cut(n.Key, 80))
	}
	if n.Maybe {
		id, err := c.findComment(ctx, repo, issue, n.Key)
		if err != nil {
			return 0, translate(op, false, repo, err)
		}
		if id != 0 {
			return id, nil
		}
	}
	hidden := "\n\n" + mark(n.Key)
	comment, _, err := c.rest.Issues.CreateComment(ctx, repo.Owner, repo.Name, issue, &github.IssueComment{
		Body: github.String(cutNote(n.Body, bodyLimit-len(hidden)) + hidden),
	})
	if err != nil {
		return 0, translate(op, true, repo, err)
	}
	return comment.GetID(), nil
}

// findComment looks for the App's own comment with the key; 0: there is none.
func (c *Client) findComment(ctx context.Context, repo promotion.Repository, issue int, key string) (int64, error) {
	self, err := c.app.Self(ctx)
	if err != nil {
		return 0, err
	}
	opts := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: pageSize}}
	for range pageLimit {
		page, resp, err := c.rest.Issues.ListComments(ctx, repo.Owner, repo.Name, issue, opts)
		if err != nil {
			return 0, err
		}
		for _, comment := range page {
			if comment.GetUser().GetID() == self.Bot.ID && strings.HasSuffix(strings.TrimSpace(comment.GetBody()), mark(key)) {
				return comment.GetID(), nil
			}
		}
		if resp.NextPage == 0 {
			return 0, nil
		}
		opts.Page = resp.NextPage
	}
	return 0, fmt.Errorf("more than %d comments", pageLimit*pageSize)
}

// Reactions that GitHub knows and rung uses.
const (
	ReactEyes     = "eyes"
	ReactRocket   = "rocket"
	ReactConfused = "confused"
	ReactUp       = "+1"
	ReactDown     = "-1"
)

// React puts a reaction on a comment; a second time changes nothing.
func (c *Client) React(ctx context.Context, repo promotion.Repository, comment int64, reaction string) error {
	_, _, err := c.rest.Reactions.CreateIssueCommentReaction(ctx, repo.Owner, repo.Name, comment, reaction)
	return translate(fmt.Sprintf("react to comment %d in %s", comment, repo.FullName()), true, repo, err)
}

// Reacted reports whether the App itself has reacted to a comment. A comment
// that is not there any more counts as reacted to.
func (c *Client) Reacted(ctx context.Context, repo promotion.Repository, comment int64) (bool, error) {
	op := fmt.Sprintf("read the reactions to comment %d in %s", comment, repo.FullName())
	self, err := c.app.Self(ctx)
	if err != nil {
		return false, err
	}
	opts := &github.ListOptions{PerPage: pageSize}
	for range pageLimit {
		page, resp, err := c.rest.Reactions.ListIssueCommentReactions(ctx, repo.Owner, repo.Name, comment, opts)
		if err != nil {
			err = translate(op, false, repo, err)
			return errors.Is(err, ErrNotFound), ignore(err, ErrNotFound)
		}
		for _, r := range page {
			if r.GetUser().GetID() == self.Bot.ID {
				return true, nil
			}
		}
		if resp.NextPage == 0 {
			return false, nil
		}
		opts.Page = resp.NextPage
	}
	return false, fmt.Errorf("forge: %s: more than %d reactions", op, pageLimit*pageSize)
}

// ignore drops an error of a kind.
func ignore(err, kind error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return err
}

// Comments lists the repository's comments that were written or edited at or
// after since, oldest change first. A comment that changes while it is listed
// may come twice.
func (c *Client) Comments(ctx context.Context, repo promotion.Repository, since time.Time) ([]Comment, error) {
	op := "list the comments of " + repo.FullName()
	opts := &github.IssueListCommentsOptions{
		Sort: github.String("updated"), Direction: github.String("asc"), ListOptions: github.ListOptions{PerPage: pageSize},
	}
	if !since.IsZero() {
		utc := since.UTC().Truncate(time.Second)
		opts.Since = &utc
	}
	var all []Comment
	for range pageLimit {
		page, resp, err := c.rest.Issues.ListComments(ctx, repo.Owner, repo.Name, 0, opts)
		if err != nil {
			return nil, translate(op, false, repo, err)
		}
		for _, comment := range page {
			all = append(all, commentOf(comment))
		}
		if resp.NextPage == 0 {
			return all, nil
		}
		opts.Page = resp.NextPage
	}
	return nil, tooLong(op)
}

// Comment reads one comment.
func (c *Client) Comment(ctx context.Context, repo promotion.Repository, id int64) (Comment, error) {
	comment, _, err := c.rest.Issues.GetComment(ctx, repo.Owner, repo.Name, id)
	if err != nil {
		return Comment{}, translate(fmt.Sprintf("read comment %d in %s", id, repo.FullName()), false, repo, err)
	}
	return commentOf(comment), nil
}

func commentOf(c *github.IssueComment) Comment {
	issue, _ := strconv.Atoi(c.GetIssueURL()[strings.LastIndex(c.GetIssueURL(), "/")+1:])
	return Comment{
		ID: c.GetID(), Issue: issue, IsPullRequest: strings.Contains(c.GetHTMLURL(), fmt.Sprintf("/pull/%d", issue)),
		Author: personOf(c.GetUser()), Body: c.GetBody(), CreatedAt: c.GetCreatedAt().Time, UpdatedAt: c.GetUpdatedAt().Time,
	}
}

// personOf reads an account of the REST API.
func personOf(u *github.User) promotion.Person {
	if u == nil {
		return promotion.Person{}
	}
	return promotion.Person{ID: u.GetID(), Login: u.GetLogin(), Bot: u.GetType() == "Bot"}
}
