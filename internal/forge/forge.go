package forge

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v4"
	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// Config says which GitHub to speak to and as whom. Empty URLs are those of
// github.com; GraphQLURL and WebURL follow from APIURL when they are empty.
type Config struct {
	// APIURL is the REST root: https://api.github.com or https://HOST/api/v3.
	APIURL     string
	GraphQLURL string
	WebURL     string
	AppID      int64
	// PrivateKey is the App's RSA key in PEM.
	PrivateKey []byte
	// Transport carries every request; nil is a transport of its own with
	// net/http's defaults.
	Transport http.RoundTripper
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// UserAgent is sent with every request; empty is "rung".
	UserAgent string
	// Pace are the limits on writes that a Client keeps by itself; nil is
	// DefaultPace.
	Pace *Pace
	// Observe, when set, is told of every request that was sent. It must
	// return quickly and may be called from several goroutines.
	Observe func(Call)
}

// App is a GitHub App: the root of everything in this package.
type App struct {
	config  Config
	api     *url.URL
	graphql string
	key     *rsa.PrivateKey
	http    *http.Client
	rest    *github.Client
	counter *Counter

	mu      sync.Mutex
	clients map[int64]*Client
	self    *Self
	// owners are the installations as they were last listed.
	owners map[int64]Installation
}

// Self is the App's own identity.
type Self struct {
	AppID int64
	Slug  string
	Name  string
	// Bot is the account that comments, merges and opens pull requests; its
	// login is "slug[bot]".
	Bot promotion.Person
}

// New checks the configuration and makes an App. It sends nothing.
func New(c Config) (*App, error) {
	if c.AppID <= 0 {
		return nil, errors.New("forge: the App's number (AppID) is not set")
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM(c.PrivateKey)
	if err != nil {
		return nil, errors.New("forge: the App's private key is not an RSA key in PEM")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.UserAgent == "" {
		c.UserAgent = "rung"
	}
	if c.Transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxIdleConnsPerHost = 16
		c.Transport = own
	}
	api, err := completeURLs(&c)
	if err != nil {
		return nil, err
	}
	a := &App{config: c, api: api, graphql: c.GraphQLURL, key: key, counter: &Counter{}, clients: map[int64]*Client{}, owners: map[int64]Installation{}}
	limits := newLimits(c.Now, Pace{})
	a.http = a.httpClient(&limiter{limits: limits, next: &appAuth{app: a, next: a.wire()}})
	a.rest = a.restClient(a.http)
	return a, nil
}

// completeURLs checks the URLs and fills in those that follow from others.
func completeURLs(c *Config) (*url.URL, error) {
	if c.APIURL == "" {
		c.APIURL = "https://api.github.com"
	}
	api, err := url.Parse(strings.TrimRight(c.APIURL, "/") + "/")
	if err != nil || api.Host == "" || api.User != nil || (api.Scheme != "https" && api.Scheme != "http") {
		return nil, fmt.Errorf("forge: %q is not the URL of a GitHub API: want https://HOST/api/v3", redact(c.APIURL))
	}
	root := strings.TrimRight(c.APIURL, "/")
	if c.GraphQLURL == "" {
		c.GraphQLURL = strings.TrimSuffix(root, "/v3") + "/graphql"
	}
	if c.WebURL == "" {
		c.WebURL = strings.TrimSuffix(root, "/api/v3")
		if api.Host == "api.github.com" {
			c.WebURL = "https://github.com"
		}
	}
	c.WebURL = strings.TrimRight(c.WebURL, "/")
	graphql, err := url.Parse(c.GraphQLURL)
	if err != nil || graphql.Host != api.Host {
		return nil, fmt.Errorf("forge: the GraphQL URL must be on the API's host %s", api.Host)
	}
	return api, nil
}

// WebURL is the root of GitHub's pages, without a trailing slash.
func (a *App) WebURL() string { return a.config.WebURL }

// ID is the App's number.
func (a *App) ID() int64 { return a.config.AppID }

// Counts are the requests sent so far by method and route class.
func (a *App) Counts() map[Route]int64 { return a.counter.Counts() }

// Installation is the client of one installation. It sends nothing; the same
// Client comes back for the same number.
func (a *App) Installation(id int64) *Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.clients[id]
	if !ok {
		c = newClient(a, id)
		a.clients[id] = c
	}
	return c
}

// Self reads who the App is, once; later calls answer from memory.
func (a *App) Self(ctx context.Context) (Self, error) {
	a.mu.Lock()
	known := a.self
	a.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	app, _, err := a.rest.Apps.Get(ctx, "")
	if err != nil {
		return Self{}, translate("read the App", false, promotion.Repository{}, err)
	}
	if app.GetID() != a.config.AppID || app.GetSlug() == "" {
		return Self{}, fmt.Errorf("forge: read the App: GitHub says that the key belongs to App %d, not %d", app.GetID(), a.config.AppID)
	}
	self := Self{AppID: app.GetID(), Slug: app.GetSlug(), Name: app.GetName()}
	self.Bot, err = a.bot(ctx, self.Slug+"[bot]")
	if err != nil {
		return Self{}, err
	}
	a.mu.Lock()
	a.self = &self
	a.mu.Unlock()
	return self, nil
}

// bot finds the App's bot account. The user endpoint takes no App JWT, so it
// is asked with an installation's token, or with none at all.
func (a *App) bot(ctx context.Context, login string) (promotion.Person, error) {
	rest := a.restClient(a.httpClient(a.wire()))
	installations, err := a.Installations(ctx)
	if err != nil {
		return promotion.Person{}, err
	}
	for _, i := range installations {
		if !i.Suspended {
			rest = a.Installation(i.ID).rest
			break
		}
	}
	user, _, err := rest.Users.Get(ctx, login)
	if err != nil {
		return promotion.Person{}, translate("read the App's account "+login, false, promotion.Repository{}, err)
	}
	return promotion.Person{ID: user.GetID(), Login: login, Bot: true}, nil
}
