package forge

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// Client is one installation of the App.
type Client struct {
	app          *App
	installation int64
	tokens       *tokens
	limits       *limits
	http         *http.Client
	rest         *github.Client
	access       *AccessCache

	mu sync.Mutex
	// restOnly is until when the server is taken as one without GraphQL.
	restOnly time.Time
	// without are optional GraphQL fields that the server does not know.
	without map[string]bool
	// bypass is which rules let the App pass, by branch.
	bypass map[string]bypassEntry
}

func newClient(a *App, installation int64) *Client {
	pace := DefaultPace
	if a.config.Pace != nil {
		pace = *a.config.Pace
	}
	c := &Client{
		app: a, installation: installation, tokens: newTokens(a, installation),
		limits: newLimits(a.config.Now, pace), access: NewAccessCache(time.Minute, a.config.Now), without: map[string]bool{}, bypass: map[string]bypassEntry{},
	}
	authorised := &refusals{client: c, next: &installationAuth{tokens: c.tokens, next: a.wire()}}
	c.http = a.httpClient(&limiter{limits: c.limits, next: newRevalidator(authorised)})
	c.rest = a.restClient(c.http)
	return c
}

// ID is the installation's number.
func (c *Client) ID() int64 { return c.installation }

// Token is an installation token for git over HTTPS, good for at least five
// minutes. It goes into an Authorization header, never into a URL or a log.
func (c *Client) Token(ctx context.Context) (string, error) {
	token, err := c.tokens.get(ctx)
	return token, translate("get a token", false, promotion.Repository{}, err)
}

// Drop forgets a token that a server did not take: it was revoked, or GitHub
// lost it. The next request gets a new one.
func (c *Client) Drop(token string) { c.tokens.drop(token) }

// Permissions are what the installation's owner has granted, as GitHub names
// them ("pull_requests": "write").
func (c *Client) Permissions(ctx context.Context) (map[string]string, error) {
	if _, err := c.tokens.get(ctx); err != nil {
		return nil, translate("get a token", false, promotion.Repository{}, err)
	}
	c.tokens.mu.Lock()
	defer c.tokens.mu.Unlock()
	return maps.Clone(c.tokens.permissions), nil
}

// WaitUntil is when GitHub will be asked again by this client, if it told to
// wait; zero: now. For pages that say "waiting for GitHub until hh:mm".
func (c *Client) WaitUntil() time.Time {
	c.limits.mu.Lock()
	defer c.limits.mu.Unlock()
	var until time.Time
	for _, w := range c.limits.until {
		until = later(until, w.until)
	}
	if !until.After(c.limits.now()) {
		return time.Time{}
	}
	return until
}
