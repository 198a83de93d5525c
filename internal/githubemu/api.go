package githubemu

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxBody bounds what the API reads of a request.
const maxBody = 40 << 20

// call is one API request on its way through.
type call struct {
	s    *Server
	ctx  context.Context // outlives a client that hangs up
	r    *http.Request
	path string // below /api/v3, escaped
	rt   *route
	vars map[string]string
	body []byte
	who  *actor
	repo *repo // if the route names one
}

// serveAPI takes a REST request through its stations: body, route, caller,
// faults, limits, hook, effect, hook, answer.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	c := &call{s: s, ctx: context.WithoutCancel(r.Context()), r: r, path: path}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.answer(w, c, fail(http.StatusRequestEntityTooLarge, "Request body is too large or was cut off").reply(documentation))
		return
	}
	c.body = body
	s.answer(w, c, s.runAPI(c))
}

// runAPI does everything between the body and the answer. It takes the lock
// for each station and releases it between them.
func (s *Server) runAPI(c *call) reply {
	c.path, c.rt, c.vars = s.resolve(c.r.Method, c.path)
	if c.rt == nil {
		return fail(http.StatusNotFound, "Not Found").reply(documentation)
	}
	flt := s.intercept(c.rt.label(), c.rt.class())
	sleep(c.r.Context(), flt.latency)
	if flt.before != nil {
		return *flt.before
	}
	n, err := s.admit(c)
	if err != nil {
		return asError(err).reply(documentation)
	}
	s.hook(n, Before, c.r)
	rp := s.effect(c)
	s.hook(n, After, c.r)
	if flt.after != nil && rp.status < 500 {
		return *flt.after
	}
	return rp
}

// resolve finds the route, following /repositories/{id} to the name it has.
func (s *Server) resolve(method, path string) (string, *route, map[string]string) {
	if rest, ok := strings.CutPrefix(path, "/repositories/"); ok {
		id, tail, _ := strings.Cut(rest, "/")
		s.mu.Lock()
		r := s.w.Repos[int64(atoi(id, -1))]
		if r != nil {
			path = "/repos/" + url.PathEscape(r.Owner) + "/" + url.PathEscape(r.Name)
			if tail != "" {
				path += "/" + tail
			}
		}
		s.mu.Unlock()
	}
	rt, vars := s.find(method, path)
	return path, rt, vars
}

// admit authenticates the caller, charges the request, and numbers it if it is
// an App's write. Zero means that it is none.
func (s *Server) admit(c *call) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, err := s.authenticate(c.r, c.rt.auth)
	if err != nil {
		return 0, err
	}
	c.who = who
	if err := s.limits.charge(s.now(), c.bucket(), c.rt.class()); err != nil {
		return 0, err
	}
	if c.rt.class() == Read || c.rt.class() == Mint || !who.isApp() {
		return 0, nil
	}
	s.writes++
	return s.writes, nil
}

// effect runs the handler under the lock.
func (s *Server) effect(c *call) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name, has := c.vars["repo"]; has && c.vars["owner"] != "" {
		rp, err := s.enter(c, c.vars["owner"]+"/"+name)
		if err != nil {
			return asError(err).reply(documentation)
		}
		if rp != nil {
			return *rp
		}
	}
	rp, err := c.rt.handle(c)
	if err != nil {
		return asError(err).reply(documentation)
	}
	return rp
}

// enter finds the repository that a route names, or answers for it: a redirect
// if it has moved, 404 to those who may not see it, 403 to those who may not
// do this.
func (s *Server) enter(c *call, full string) (*reply, error) {
	id, ok := s.w.Names[fold(full)]
	if !ok {
		if id, ok = s.w.Moved[fold(full)]; !ok || !c.who.sees(s, s.w.Repos[id]) {
			return nil, notFound()
		}
		return s.redirect(c, s.w.Repos[id]), nil
	}
	c.repo = s.w.Repos[id]
	if !c.who.sees(s, c.repo) {
		return nil, notFound()
	}
	if err := c.who.may(s, c.repo, c.rt.perm); err != nil {
		return nil, err
	}
	if c.repo.Archived && c.rt.class() != Read {
		return nil, fail(http.StatusForbidden, "Repository was archived so is read-only.")
	}
	return nil, nil
}

func (s *Server) redirect(c *call, r *repo) *reply {
	parts := strings.SplitN(strings.TrimPrefix(c.path, "/repos/"), "/", 3)
	to := s.api("/repositories/%d", r.ID)
	if len(parts) == 3 {
		to += "/" + parts[2]
	}
	if q := c.r.URL.RawQuery; q != "" {
		to += "?" + q
	}
	status, text := http.StatusMovedPermanently, "Moved Permanently"
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		status, text = http.StatusTemporaryRedirect, "Temporary Redirect"
	}
	return &reply{
		status: status, header: http.Header{"Location": {to}},
		body: object{"message": text, "url": to, "documentation_url": documentation},
	}
}

// answer writes a reply with the headers GitHub sends, and counts it. It runs
// without the lock.
func (s *Server) answer(w http.ResponseWriter, c *call, rp reply) {
	if rp.status == statusCut {
		panic(http.ErrAbortHandler) // net/http cuts the connection and says nothing
	}
	body, err := rp.encode()
	if err != nil {
		rp.status, body = http.StatusInternalServerError, []byte(`{"message":"Server Error"}`)
	}
	h := w.Header()
	for k, v := range rp.header {
		h[k] = v
	}
	if body != nil && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	if c.rt != nil && c.rt.perm != "" && c.who != nil && c.who.inst != nil {
		h.Set("X-Accepted-GitHub-Permissions", c.rt.accepted())
	}
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	h.Set("X-GitHub-Api-Version-Selected", "2022-11-28")
	h.Set("X-GitHub-Enterprise-Version", "3.18.0")
	h.Set("Cache-Control", "private, max-age=60, s-maxage=60")
	h.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP")
	if c.r.Method == http.MethodGet && rp.status == http.StatusOK {
		tag := etag(c.r.Header.Get("Authorization"), c.r.Header.Get("Accept"), body)
		h.Set("ETag", tag)
		if noneMatch(c.r.Header.Get("If-None-Match"), tag) {
			rp.status, body = http.StatusNotModified, nil
		}
	}
	s.settle(h, c, rp.status)
	w.WriteHeader(rp.status)
	if c.r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that has gone is no concern of ours
	}
}

// settle counts an answered request and reports the limits.
func (s *Server) settle(h http.Header, c *call, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.request++
	h.Set("Date", s.now().Format(http.TimeFormat))
	h.Set("X-GitHub-Request-Id", fmt.Sprintf("E%03X:%06X", s.cfg.Seed&0xfff, s.request))
	label, class := c.r.Method+" (unknown)", Read
	if c.rt != nil {
		label, class = c.rt.label(), c.rt.class()
	}
	s.counts.add(label, class, status)
	if status == http.StatusNotModified {
		s.limits.refund(c.bucket())
	}
	s.limits.headers(h, s.now(), c.bucket())
}

// bucket names the rate limit that the request spends. GraphQL has its own.
func (c *call) bucket() string {
	if c.path == "/graphql" {
		return graphQLBucket + c.who.bucket()
	}
	return c.who.bucket()
}

const graphQLBucket = "graphql "

// etag is bound to the token, as GitHub's is: a new token gets no 304.
func etag(token, accept string, body []byte) string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%d:%s%d:%s", len(token), token, len(accept), accept)
	_, _ = sum.Write(body)
	return `W/"` + hex.EncodeToString(sum.Sum(nil)) + `"`
}

func noneMatch(header, tag string) bool {
	for _, t := range strings.Split(header, ",") {
		t = strings.TrimSpace(t)
		if t == tag || "W/"+t == tag || t == "*" {
			return true
		}
	}
	return false
}
