package forge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// Bounds of one read.
const (
	// aliasLimit is how many heads, commits and numbers one request asks for.
	aliasLimit = 60
	// queryLimit bounds what one Query may ask for.
	queryLimit = 1000
	// openPage and openPages bound the open pull requests.
	openPage  = 50
	openPages = 20
	// perHead is how many pull requests of one head are read.
	perHead = 3
	// listPages bounds the reviews of one pull request and the checks of one
	// commit, in pages of pageSize.
	listPages = 10
	// restOnlyFor is how long a server without GraphQL is remembered as one.
	restOnlyFor = time.Hour
)

// Read reads the state of one repository: in one GraphQL request, or several
// when there is more to ask than fits; over REST where the server has no
// GraphQL. The repository is known by its number: when another one bears its
// name now the error is ErrNotFound.
func (c *Client) Read(ctx context.Context, q Query) (State, error) {
	op := "read " + q.Repository.FullName()
	if err := q.check(); err != nil {
		return State{}, fmt.Errorf("forge: %s: %w", op, err)
	}
	c.mu.Lock()
	restOnly := c.app.config.Now().Before(c.restOnly)
	c.mu.Unlock()
	if !restOnly {
		state, err := c.readGraphQL(ctx, q)
		if !errors.Is(err, errNoGraphQL) {
			return state, translate(op, false, q.Repository, err)
		}
	}
	state, err := c.readREST(ctx, q)
	if err == nil && !restOnly {
		c.mu.Lock()
		c.restOnly = c.app.config.Now().Add(restOnlyFor)
		c.mu.Unlock()
	}
	return state, translate(op, false, q.Repository, err)
}

// check bounds a query and the strings in it.
func (q Query) check() error {
	if len(q.Heads)+len(q.Commits)+len(q.PullRequests) > queryLimit {
		return fmt.Errorf("more than %d heads, commits and pull requests in one query", queryLimit)
	}
	for _, h := range q.Commits {
		if _, err := promotion.ParseHash(string(h)); err != nil {
			return err
		}
	}
	for _, n := range q.PullRequests {
		if n <= 0 {
			return fmt.Errorf("%d is not the number of a pull request", n)
		}
	}
	if q.OpenPullRequests && q.Base == "" {
		return errors.New("the open pull requests of which base branch?")
	}
	return nil
}

// assembly collects a State from several answers.
type assembly struct {
	state State
	pulls map[int]PullRequest
}

func newAssembly() *assembly {
	return &assembly{
		state: State{OpenComplete: true, Commits: map[promotion.Hash][]promotion.CheckFacts{}, Incomplete: map[promotion.Hash]bool{}},
		pulls: map[int]PullRequest{},
	}
}

// add keeps a pull request, the more detailed reading if it came twice.
func (a *assembly) add(pr PullRequest) {
	if known, ok := a.pulls[pr.Number]; ok && known.Detailed && !pr.Detailed {
		return
	}
	a.pulls[pr.Number] = pr
}

// done is the State with the pull requests by number.
func (a *assembly) done() State {
	for _, n := range slices.Sorted(maps.Keys(a.pulls)) {
		a.state.PullRequests = append(a.state.PullRequests, a.pulls[n])
	}
	return a.state
}

// noGraphQL reports whether a status means that the server has no GraphQL.
func noGraphQL(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusGone, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}
