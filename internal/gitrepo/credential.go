package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// TokenSource returns a token that is valid now. It is called once for each
// request in scope and should cache.
type TokenSource func(ctx context.Context) (string, error)

// CredentialTransport is a RoundTripper that adds a token as HTTP basic
// authentication (user x-access-token) to requests inside one scope, a URL's
// scheme, host and path, and to nothing else: a request elsewhere, as after a
// redirect, goes out without it. Safe for concurrent use.
type CredentialTransport struct {
	base   http.RoundTripper
	scheme string
	host   string
	prefix string
	token  TokenSource
	// refused is told of a token that the server does not take any more.
	refused func(token string)
}

// NewCredentialTransport scopes token to scope: an http or https URL without
// credentials, query or fragment, such as https://github.com/acme/shop.git.
// base does the requests; nil means http.DefaultTransport.
func NewCredentialTransport(base http.RoundTripper, scope string, token TokenSource) (*CredentialTransport, error) {
	u, err := parseURL(scope)
	if err != nil {
		return nil, err
	}
	if token == nil {
		return nil, errors.New("a credential transport needs a token source")
	}
	if base == nil {
		base = http.DefaultTransport
	}
	return &CredentialTransport{base: base, scheme: u.Scheme, host: strings.ToLower(u.Host), prefix: u.Path, token: token}, nil
}

// OnRefused sets who is told of each token that the server answered with 401,
// so that the next request gets another one. Call it before the first request.
func (t *CredentialTransport) OnRefused(tell func(token string)) { t.refused = tell }

// RoundTrip adds the token if the request is in scope.
func (t *CredentialTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.covers(req.URL) {
		return t.base.RoundTrip(req)
	}
	token, err := t.token(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, fmt.Errorf("%w: no token for the git server: %w", errNotSent, err)
	}
	with := req.Clone(req.Context())
	with.SetBasicAuth("x-access-token", token)
	resp, err := t.base.RoundTrip(with)
	if err == nil && resp.StatusCode == http.StatusUnauthorized && t.refused != nil {
		t.refused(token)
	}
	return resp, err
}

// String never shows the token.
func (t *CredentialTransport) String() string {
	return "credentials for " + t.scheme + "://" + t.host + t.prefix
}

// covers reports whether u lies at or below the scope.
func (t *CredentialTransport) covers(u *url.URL) bool {
	if u.Scheme != t.scheme || strings.ToLower(u.Host) != t.host || u.User != nil {
		return false
	}
	if u.RawPath != "" || path.Clean(u.Path) != u.Path {
		return false
	}
	return u.Path == t.prefix || strings.HasPrefix(u.Path, t.prefix+"/")
}

// parseURL checks a repository's URL. Its errors never repeat the URL, which
// may hold a secret by mistake.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the repository's URL can't be parsed; write it as https://host/owner/name.git")
	}
	switch {
	case u.User != nil:
		return nil, errors.New("the repository's URL must not hold credentials; they come from the App")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the repository's URL must start with https:// (or http:// for a server on this machine)")
	case u.Host == "" || u.Opaque != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "":
		return nil, errors.New("the repository's URL must be https://host/owner/name.git and no more")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if u.Path == "" || path.Clean(u.Path) != u.Path {
		return nil, errors.New("the repository's URL must have a plain path, as in https://host/owner/name.git")
	}
	return u, nil
}
