// Package client asks a running rung by its API, for the commands that do.
//
// State: none. Invariants: it only ever sends GET; what it signs in with goes to the
// address that was given and nowhere else, as it follows no redirect; an answer is
// bounded in bytes and in time; what is no answer of rung's API, of this version of
// it, is an error that says what to do about it, and never an empty answer.
//
// Concurrency: a Client may be used by several goroutines. What it does not do: it
// reads no settings, remembers nothing, and cleans no text for a terminal.
package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/api"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 64 << 20
	// patience bounds a question.
	patience = 30 * time.Second
)

// Client asks one service.
type Client struct {
	base, token, agent string
	http               *http.Client
}

// New returns a Client for the service at base ("https://rung.example.com"), which
// signs in with token where it is not empty: user:password, or a bearer token.
// transport nil is http.DefaultTransport.
func New(base, token, version string, transport http.RoundTripper) *Client {
	return &Client{base: strings.TrimRight(base, "/"), token: token, agent: "rung/" + version, http: &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// NotFoundError is for what the service does not know; its text is the service's.
type NotFoundError struct{ Sentence string }

// Error is the sentence.
func (e *NotFoundError) Error() string { return e.Sentence }

// State is every repository.
func (c *Client) State(ctx context.Context) (api.State, error) {
	return get[api.State](ctx, c, "/api/v1/state", nil, func(s api.State) int { return s.Version })
}

// List is every repository in short.
func (c *Client) List(ctx context.Context) (api.List, error) {
	return get[api.List](ctx, c, "/api/v1/repositories", nil, func(s api.List) int { return s.Version })
}

// One is one repository, "owner/name".
func (c *Client) One(ctx context.Context, name string) (api.One, error) {
	path, err := repositoryPath(name)
	if err != nil {
		return api.One{}, err
	}
	return get[api.One](ctx, c, path, nil, func(s api.One) int { return s.Version })
}

// Why explains a pair.
func (c *Client) Why(ctx context.Context, name string, pair promotion.Pair) (api.Why, error) {
	path, err := repositoryPath(name)
	if err != nil {
		return api.Why{}, err
	}
	query := url.Values{"artifact": {string(pair.Artifact)}, "environment": {string(pair.Environment)}}
	return get[api.Why](ctx, c, path+"/why", query, func(s api.Why) int { return s.Version })
}

// History is what landed of an artifact, in one environment or, with an empty one, in
// all.
func (c *Client) History(ctx context.Context, name string, pair promotion.Pair, limit int) (api.History, error) {
	path, err := repositoryPath(name)
	if err != nil {
		return api.History{}, err
	}
	query := url.Values{"artifact": {string(pair.Artifact)}}
	if pair.Environment != "" {
		query.Set("environment", string(pair.Environment))
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	return get[api.History](ctx, c, path+"/history", query, func(s api.History) int { return s.Version })
}

func repositoryPath(name string) (string, error) {
	owner, repository, ok := promotion.CutFullName(name)
	if !ok || owner == ".." || owner == "." || repository == ".." || repository == "." {
		return "", fmt.Errorf("%.100q is no repository: write OWNER/NAME", name)
	}
	return "/api/v1/repositories/" + url.PathEscape(owner) + "/" + url.PathEscape(repository), nil
}

// get asks for one document.
func get[T any](ctx context.Context, c *Client, path string, query url.Values, version func(T) int) (T, error) {
	var document T
	progress.Begin(ctx, "asking "+c.base, "", 0)
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return document, fmt.Errorf("RUNG_URL %s: %w", c.base, err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", c.agent)
	if user, password, basic := strings.Cut(c.token, ":"); basic {
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	} else if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(r)
	if err != nil {
		return document, c.unreachable(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return document, c.unreachable(err)
	case len(data) > maxAnswer:
		return document, fmt.Errorf("%s answers with more than %d bytes: ask for one repository", c.base, maxAnswer)
	}
	if err := c.refused(res, data); err != nil {
		return document, err
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return document, c.stranger("answers what can't be read: " + err.Error())
	}
	if v := version(document); v != api.Version {
		return document, fmt.Errorf("%s answers in version %d of the API, and this rung reads version %d: use the rung of the same release as the service's, %s", c.base, v, api.Version, rungOf(data))
	}
	return document, nil
}

// unreachable says why nothing was answered; the address stands in front, as given.
func (c *Client) unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		if wrapped.Timeout() {
			return fmt.Errorf("%s does not answer within %s: is RUNG_URL right, and can it be reached from here?", c.base, patience)
		}
		err = wrapped.Err
	}
	return fmt.Errorf("%s can't be reached: %w; is RUNG_URL right, and does rung serve run there?", c.base, err)
}

// stranger is for an address where something else than rung answers.
func (c *Client) stranger(what string) error {
	return fmt.Errorf("%s %s: that is not rung's API. Is RUNG_URL the address of rung's board?", c.base, what)
}

// refused is what an answer says that is no document.
func (c *Client) refused(res *http.Response, data []byte) error {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var f api.Failure
	ours := kind == "application/json" && json.Unmarshal(data, &f) == nil && f.Error.Code != "" && f.Error.Sentence != ""
	switch {
	case res.StatusCode == http.StatusOK && kind == "application/json":
		return nil
	case res.StatusCode == http.StatusOK:
		return c.stranger(fmt.Sprintf("answers with %q", kind))
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusProxyAuthRequired:
		if c.token == "" {
			return fmt.Errorf("%s wants to know who asks (%s): set RUNG_TOKEN, or RUNG_TOKEN_FILE, to a token or user:password that it takes", c.base, res.Status)
		}
		return fmt.Errorf("%s does not take RUNG_TOKEN (%s): is it the right one, and may it read the board?", c.base, res.Status)
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return fmt.Errorf("%s sends elsewhere (%s, %s): set RUNG_URL to where rung itself answers; if that is a page to sign in, set RUNG_TOKEN", c.base, res.Status, elsewhere(res))
	case ours && f.Error.Code == "not-found" && strings.HasPrefix(f.Error.Sentence, "There is nothing at this address"):
		return fmt.Errorf("%s has an older rung, which has not this address yet: update the service, or use its own release of this command", c.base)
	case ours && res.StatusCode == http.StatusNotFound:
		return &NotFoundError{f.Error.Sentence}
	case ours:
		return fmt.Errorf("%s: %s", c.base, f.Error.Sentence)
	case res.StatusCode >= 500:
		return fmt.Errorf("%s answers %s: rung behind it may not run; its log says more", c.base, res.Status)
	}
	return c.stranger("answers " + res.Status)
}

// elsewhere is where a redirect leads, without what may be secret in it.
func elsewhere(res *http.Response) string {
	to, err := res.Location()
	if err != nil {
		return "without saying where"
	}
	return "to " + to.Scheme + "://" + to.Host + to.EscapedPath()
}

// rungOf is the version of the program that answered.
func rungOf(data []byte) string {
	var about struct {
		Rung string `json:"rung"`
	}
	if json.NewDecoder(bytes.NewReader(data)).Decode(&about) != nil || about.Rung == "" {
		return "which it does not name"
	}
	return about.Rung
}
