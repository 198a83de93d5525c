package forge

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// Bounds of one request.
const (
	requestTimeout = 30 * time.Second
	responseLimit  = 32 << 20
	redirectLimit  = 3
)

// Call is one request that was sent, for metrics.
type Call struct {
	Route
	// Status is the answer's status, 0 when there was none.
	Status   int
	Duration time.Duration
}

// Route is a method and a class of paths: numbers, names and hashes replaced,
// such as POST /repos/{owner}/{repo}/pulls.
type Route struct {
	Method string
	Class  string
}

// Counter counts requests by route. The zero Counter is ready.
type Counter struct {
	mu     sync.Mutex
	counts map[Route]int64
}

func (c *Counter) add(r Route) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[Route]int64{}
	}
	c.counts[r]++
}

// Counts is a copy of the counts so far.
func (c *Counter) Counts() map[Route]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// fixed are the path segments that keep their names in a route class; every
// other one is a name or an id. The set is closed, so that no outside string
// becomes a metric's label.
var fixed = strings.Fields(`access_tokens app attempts branches check-runs collaborators comments commits config
	deliveries hook installation installations issues memberships merge orgs permission protection pulls rate_limit
	reactions repos repositories reviews rules rulesets status teams users`)

// routeOf names the class of a request. prefix is the path of the API's root.
func routeOf(method, path, prefix string) Route {
	path = strings.TrimPrefix(strings.TrimPrefix(path, strings.TrimRight(prefix, "/")), "/")
	if strings.HasSuffix(path, "graphql") {
		return Route{Method: method, Class: "/graphql"}
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		switch {
		case i > 0 && i < 3 && segments[0] == "repos":
			segments[i] = [3]string{"", "{owner}", "{repo}"}[i]
		case isHash(s):
			segments[i] = "{sha}"
		case isNumber(s):
			segments[i] = "{id}"
		case !slices.Contains(fixed, s):
			segments[i] = "{name}"
		}
		if i == 12 {
			segments = segments[:i]
			break
		}
	}
	return Route{Method: method, Class: "/" + strings.Join(segments, "/")}
}

func isHash(s string) bool {
	_, err := promotion.ParseHash(s)
	return err == nil
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// wire is what every request passes last: it counts and bounds.
func (a *App) wire() http.RoundTripper {
	return &wire{app: a, prefix: a.api.Path}
}

type wire struct {
	app    *App
	prefix string
}

// RoundTrip sends the request, counts it and bounds the answer.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	route := routeOf(req.Method, req.URL.Path, w.prefix)
	start := w.app.config.Now()
	resp, err := w.app.config.Transport.RoundTrip(req)
	w.app.counter.add(route)
	call := Call{Route: route, Duration: w.app.config.Now().Sub(start)}
	if err == nil {
		call.Status = resp.StatusCode
		resp.Body = &boundedBody{body: resp.Body, left: responseLimit}
	}
	if w.app.config.Observe != nil {
		w.app.config.Observe(call)
	}
	return resp, err
}

var errTooLarge = fmt.Errorf("the answer is larger than %d MiB", responseLimit>>20)

// boundedBody fails, rather than ends, when the body is too large.
type boundedBody struct {
	body io.ReadCloser
	left int64
}

// Read reads up to the bound.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.body.Read(p)
	b.left -= int64(n)
	return n, err
}

// Close closes the body.
func (b *boundedBody) Close() error { return b.body.Close() }

// httpClient follows redirects for reads only, and only on the API's host, so
// that a token never goes elsewhere and a write is never turned into a read.
func (a *App) httpClient(rt http.RoundTripper) *http.Client {
	return &http.Client{Transport: rt, Timeout: requestTimeout, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		first := via[0].Method
		if first != http.MethodGet && first != http.MethodHead {
			return http.ErrUseLastResponse
		}
		if req.URL.Host != a.api.Host || req.URL.Scheme != a.api.Scheme || len(via) > redirectLimit {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// restClient is a go-github client over h.
func (a *App) restClient(h *http.Client) *github.Client {
	c := github.NewClient(h)
	base := *a.api
	c.BaseURL = &base
	c.UserAgent = a.config.UserAgent
	return c
}

// limiter refuses to send while GitHub, or the pace, wants a wait; and reads
// from every answer whether the next request has to wait.
type limiter struct {
	limits *limits
	next   http.RoundTripper
}

// RoundTrip sends unless a wait is on.
func (l *limiter) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := l.limits.admit(req); err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	limited, err := l.limits.note(req, resp)
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	if limited != nil {
		_ = resp.Body.Close()
		return nil, limited
	}
	if resource(req) != "graphql" {
		// go-github would keep a second account of these, by another clock.
		for _, name := range []string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
			resp.Header.Del(name)
		}
	}
	return resp, nil
}

// closeBody closes a request's body that is not sent, as http.RoundTripper
// demands.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// replay is a copy of req with a fresh body, or an error when it can't be sent
// again.
func replay(req *http.Request) (*http.Request, error) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, nil
	}
	if req.GetBody == nil {
		return nil, errors.New("the request can't be sent again")
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	again.Body = body
	return again, nil
}
