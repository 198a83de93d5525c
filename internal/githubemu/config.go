package githubemu

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// When says on which side of a write's effect a hook runs.
type When int

// The two moments at which Config.OnWrite is called.
const (
	Before When = iota
	After
)

// String names the moment.
func (w When) String() string {
	if w == After {
		return "after"
	}
	return "before"
}

// App is a GitHub App. The first one is given in Config; others, such as a
// continuous-integration service whose checks are to be pinned, come with
// Server.AddApp.
type App struct {
	// ID is the App's id, the issuer of its JWTs. Zero takes the next free one.
	ID int64
	// Slug is its name in URLs; its bot account is "<slug>[bot]".
	Slug string
	// Name is shown to people. Empty means Slug.
	Name string
	// Owner is the login of the account that owns it. Empty means "acme".
	Owner string
	// PublicKey checks its JWTs. An App without one cannot authenticate.
	PublicKey *rsa.PublicKey `json:"-"`
	// WebhookSecret signs its deliveries. Empty means no signature header.
	WebhookSecret string
	// WebhookURL is where its deliveries go. Empty means that none are made.
	WebhookURL string
	// Permissions it holds, as permission name to "read", "write" or "admin".
	// Nil means DefaultPermissions.
	Permissions map[string]string
	// Events it is subscribed to. Nil means all that the emulator sends.
	Events []string
}

// Config says what New builds.
type Config struct {
	// Store keeps the repositories. Required.
	Store gitstore.Store
	// BaseURL is where clients reach the handler, without a trailing slash,
	// such as http://127.0.0.1:8080. A path in it is allowed. Required; it
	// may be set later with SetBaseURL when the port is not yet known.
	BaseURL string
	// App is the App under test.
	App App
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Transport carries webhooks. Nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Manual stops the sender: webhooks wait until DeliverNext or Deliver is
	// called.
	Manual bool
	// AnonymousRead lets anyone fetch and read public repositories without a
	// token. Without it every read needs one.
	AnonymousRead bool
	// NullMergeable is how many reads of a pull request answer that its
	// mergeability is not known yet, after its head or base has changed. The
	// reply that creates a pull request counts as the first. Zero means one;
	// a negative number means none.
	NullMergeable int
	// NoGraphQL turns the GraphQL endpoint off: it answers 404.
	NoGraphQL bool
	// Limits are the rate limits to enforce. The zero value reports GitHub's
	// usual figures and enforces nothing.
	Limits Limits
	// Seed varies ids of deliveries, tokens and the dice of random faults.
	Seed uint64
	// OnWrite, if set, is called around every mutating request of an App: n
	// counts them from 1. Token mints and GraphQL reads are not among them; a
	// git push is. Before runs before anything has changed; After runs once
	// the effect is done and before the answer is sent. It may panic with
	// http.ErrAbortHandler to cut the connection. It runs without the
	// emulator's lock and may call any method.
	OnWrite func(n int, when When, r *http.Request)
	// WebhookTimeout is how long a receiver may take. Zero means ten seconds.
	WebhookTimeout time.Duration
}

// DefaultPermissions returns what an App holds when it asks for nothing else:
// the set a promotion bot needs.
func DefaultPermissions() map[string]string {
	return map[string]string{
		"metadata": "read", "contents": "write", "pull_requests": "write", "issues": "write",
		"checks": "write", "statuses": "write", "packages": "read", "deployments": "write",
		"actions": "read", "members": "read", "merge_queues": "read",
	}
}

func (c *Config) check() error {
	if c.Store == nil {
		return errors.New("githubemu: Config.Store is nil; give it a gitdisk or gitmem store")
	}
	if c.App.Slug == "" {
		return errors.New("githubemu: Config.App.Slug is empty; name the App under test")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.WebhookTimeout == 0 {
		c.WebhookTimeout = 10 * time.Second
	}
	if c.NullMergeable == 0 {
		c.NullMergeable = 1
	}
	return checkBaseURL(c.BaseURL)
}

func checkBaseURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" || strings.HasSuffix(s, "/") {
		return fmt.Errorf("githubemu: base URL %q must be absolute and without a trailing slash", s)
	}
	return nil
}
