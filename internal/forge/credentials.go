package forge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/golang-jwt/jwt/v4"
)

// Times of credentials. A JWT begins a minute in the past, so that a server
// whose clock is behind takes it, and ends well before GitHub's limit of ten
// minutes. An installation token is renewed when less than tokenReserve
// remains, so that a long push does not outlive it.
const (
	jwtPast      = 60 * time.Second
	jwtFuture    = 5 * time.Minute
	tokenReserve = 5 * time.Minute
)

// signer signs the App's JWTs by the configured clock.
type signer struct{ app *App }

// Sign replaces the times that ghinstallation chose.
func (s signer) Sign(claims jwt.Claims) (string, error) {
	registered, ok := claims.(*jwt.RegisteredClaims)
	if !ok {
		return "", errors.New("unexpected claims")
	}
	now := s.app.config.Now().Truncate(time.Second)
	registered.IssuedAt = jwt.NewNumericDate(now.Add(-jwtPast))
	registered.ExpiresAt = jwt.NewNumericDate(now.Add(jwtFuture))
	return jwt.NewWithClaims(jwt.SigningMethodRS256, registered).SignedString(s.app.key)
}

// appTransport signs requests with the App's JWT and sends them over next. It
// is made for each use: ghinstallation writes to it while minting.
func (a *App) appTransport(next http.RoundTripper) (*ghinstallation.AppsTransport, error) {
	t, err := ghinstallation.NewAppsTransportWithOptions(next, a.config.AppID, ghinstallation.WithSigner(signer{a}))
	if err != nil {
		return nil, err
	}
	t.BaseURL = a.config.APIURL
	t.Client = &http.Client{Transport: next, Timeout: requestTimeout}
	return t, nil
}

// appAuth adds the App's JWT to a copy of the request.
type appAuth struct {
	app  *App
	next http.RoundTripper
}

// RoundTrip signs and sends.
func (t *appAuth) RoundTrip(req *http.Request) (*http.Response, error) {
	signed, err := t.app.appTransport(t.next)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	return signed.RoundTrip(req.Clone(req.Context()))
}

// tokens holds one installation's token.
type tokens struct {
	app          *App
	installation int64
	// turn lets one goroutine mint; the others wait for it or their context.
	turn chan struct{}

	mu          sync.Mutex
	token       string
	expires     time.Time
	permissions map[string]string
}

func newTokens(a *App, installation int64) *tokens {
	return &tokens{app: a, installation: installation, turn: make(chan struct{}, 1)}
}

// current is the token in hand if it is good for long enough.
func (t *tokens) current() (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	good := t.token != "" && t.app.config.Now().Add(tokenReserve).Before(t.expires)
	return t.token, good
}

// drop forgets a token that GitHub did not take.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}

// get is a token that is good for at least tokenReserve.
func (t *tokens) get(ctx context.Context) (string, error) {
	if token, ok := t.current(); ok {
		return token, nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if token, ok := t.current(); ok {
		return token, nil
	}
	return t.mint(ctx)
}

// mint asks for a new token.
func (t *tokens) mint(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	signed, err := t.app.appTransport(t.app.wire())
	if err != nil {
		return "", err
	}
	fresh := ghinstallation.NewFromAppsTransport(signed, t.installation)
	token, err := fresh.Token(ctx)
	if err != nil {
		return "", mintError(err)
	}
	expires, _, err := fresh.Expiry()
	if err != nil || token == "" {
		return "", &UnavailableError{Message: "GitHub gave no installation token"}
	}
	permissions := map[string]string{}
	if p, err := fresh.Permissions(); err == nil {
		if raw, err := json.Marshal(p); err == nil {
			_ = json.Unmarshal(raw, &permissions)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.expires, t.permissions = token, expires, permissions
	return token, nil
}

// installationAuth adds the installation's token to a copy of the request. A
// 401 drops the token, and the request is sent once more with a new one: it
// was not done.
type installationAuth struct {
	tokens *tokens
	next   http.RoundTripper
}

// RoundTrip authorises and sends.
func (t *installationAuth) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, token, err := t.send(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	again, err := replay(req)
	if err != nil {
		return resp, nil //nolint:nilerr // the 401 is the answer when the body can't be sent again
	}
	_ = resp.Body.Close()
	t.tokens.drop(token)
	resp, _, err = t.send(again)
	return resp, err
}

func (t *installationAuth) send(req *http.Request) (*http.Response, string, error) {
	token, err := t.tokens.get(req.Context())
	if err != nil {
		closeBody(req)
		return nil, "", err
	}
	authorised := req.Clone(req.Context())
	authorised.Header.Set("Authorization", "token "+token)
	resp, err := t.next.RoundTrip(authorised)
	return resp, token, err
}
