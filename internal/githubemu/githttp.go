package githubemu

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// maxPack bounds a push.
const maxPack = 256 << 20

// isGitPath tells git's own paths from pages.
func isGitPath(path string) bool {
	return strings.HasSuffix(path, "/info/refs") || strings.HasSuffix(path, "/git-upload-pack") || strings.HasSuffix(path, "/git-receive-pack")
}

// gitCall is one git request on its way through.
type gitCall struct {
	full, op string // OWNER/NAME; info/refs, git-upload-pack or git-receive-pack
	push     bool
	who      *actor
	acc      *account
	repo     *repo
	handler  http.Handler
}

// serveGit takes a git request through authorisation to the store. Fetches
// stream; pushes are read whole, judged, and answered whole.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request, path string) {
	g, ok := splitGitPath(path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	g.push = g.op == "git-receive-pack" || r.URL.Query().Get("service") == "git-receive-pack"
	label := r.Method + " " + g.op
	if g.op == "info/refs" {
		label += "?service=" + r.URL.Query().Get("service")
	}
	flt := s.intercept(label, Git)
	sleep(r.Context(), flt.latency)
	if flt.before != nil {
		s.answerGit(w, label, *flt.before)
		return
	}
	if rp := s.openGit(r, g); rp != nil {
		s.answerGit(w, label, *rp)
		return
	}
	if g.op != "git-receive-pack" {
		s.countGit(label, http.StatusOK)
		g.handler.ServeHTTP(w, below(r, g.op))
		return
	}
	s.servePush(w, r, g, label, flt)
}

func splitGitPath(path string) (*gitCall, bool) {
	for _, op := range []string{"info/refs", "git-upload-pack", "git-receive-pack"} {
		if rest, ok := strings.CutSuffix(path, "/"+op); ok {
			full, err := url.PathUnescape(strings.TrimSuffix(strings.TrimPrefix(rest, "/"), ".git"))
			return &gitCall{full: full, op: op}, err == nil && strings.Count(full, "/") == 1
		}
	}
	return nil, false
}

// below rewrites a request for the store's handler.
func below(r *http.Request, op string) *http.Request {
	out := r.Clone(r.Context())
	out.URL.Path, out.URL.RawPath = "/"+op, ""
	out.Header.Del("Authorization")
	return out
}

func gitText(status int, format string, args ...any) *reply {
	return &reply{status: status, body: []byte(fmt.Sprintf(format, args...)), header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}}
}

// openGit authenticates and authorises. It takes the lock.
func (s *Server) openGit(r *http.Request, g *gitCall) *reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	ask := gitText(http.StatusUnauthorized, "No anonymous write access.")
	ask.header.Set("WWW-Authenticate", `Basic realm="GitHub"`)
	if cred := credential(r); cred != "" {
		who, err := s.checkToken(cred)
		if err != nil {
			e := asError(err)
			if e.Status == http.StatusUnauthorized {
				e.Message = "Invalid username or token. Password authentication is not supported for Git operations."
				ask.body = []byte(e.Message)
				return ask
			}
			return gitText(e.Status, "%s", e.Message)
		}
		g.who, g.acc = who, who.acc
	} else if g.push || !s.cfg.AnonymousRead {
		return ask
	}
	id, ok := s.w.Names[fold(g.full)]
	if !ok {
		if id, ok = s.w.Moved[fold(g.full)]; ok && g.who.sees(s, s.w.Repos[id]) && g.op == "info/refs" {
			to := s.html("/%s.git/info/refs?%s", s.w.Repos[id].full(), r.URL.RawQuery)
			return &reply{status: http.StatusMovedPermanently, header: http.Header{"Location": {to}}}
		}
	}
	g.repo = s.w.Repos[id]
	if g.repo == nil || !g.who.sees(s, g.repo) {
		return gitText(http.StatusNotFound, "Repository not found.")
	}
	if err := s.mayGit(g); err != nil {
		return err
	}
	g.handler = g.repo.git.Handler()
	return nil
}

func (s *Server) mayGit(g *gitCall) *reply {
	perm := "contents:read"
	if g.push {
		perm = "contents:write"
	}
	if err := g.who.may(s, g.repo, perm); err != nil {
		if g.who.isApp() {
			return gitText(http.StatusForbidden, "Write access to repository not granted.")
		}
		return gitText(http.StatusForbidden, "Permission to %s.git denied to %s.", g.repo.full(), g.acc.Login)
	}
	if g.push && g.repo.Archived {
		return gitText(http.StatusForbidden, "This repository was archived so it is read-only.")
	}
	return nil
}

func (s *Server) countGit(label string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.add(label, Git, status)
}

func (s *Server) answerGit(w http.ResponseWriter, label string, rp reply) {
	if rp.status == statusCut {
		panic(http.ErrAbortHandler) // net/http cuts the connection and says nothing
	}
	s.countGit(label, rp.status)
	for k, v := range rp.header {
		w.Header()[k] = v
	}
	body, _ := rp.encode() // bytes, or a map of plain values
	w.WriteHeader(rp.status)
	_, _ = w.Write(body)
}

// servePush serves git-receive-pack.
func (s *Server) servePush(w http.ResponseWriter, r *http.Request, g *gitCall, label string, flt blow) {
	body, err := readPush(w, r)
	if err != nil {
		s.answerGit(w, label, *gitText(http.StatusBadRequest, "cannot read the push: %v", err))
		return
	}
	if rp := s.throttled(g); rp != nil {
		s.answerGit(w, label, *rp)
		return
	}
	n := 0
	if g.who.isApp() && !bytes.Equal(body, []byte("0000")) { // git's probe changes nothing
		s.mu.Lock()
		s.writes++
		n = s.writes
		s.mu.Unlock()
	}
	s.hook(n, Before, r)
	rp := s.push(context.WithoutCancel(r.Context()), r, g, body)
	s.hook(n, After, r)
	if flt.after != nil {
		rp = *flt.after
	}
	s.answerGit(w, label, rp)
}

// throttled refuses a push where there have been too many. It takes the lock.
func (s *Server) throttled(g *gitCall) *reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := s.limits.push(s.now(), g.repo.full())
	if wait <= 0 {
		return nil
	}
	rp := gitText(http.StatusTooManyRequests, "Too many pushes to this repository.")
	rp.header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	return rp
}

func readPush(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	in := io.Reader(http.MaxBytesReader(w, r.Body, maxPack))
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = io.LimitReader(z, maxPack)
	}
	return io.ReadAll(in)
}

// push judges and performs a push under the lock.
func (s *Server) push(ctx context.Context, r *http.Request, g *gitCall, body []byte) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := &judged{refused: map[string]string{}}
	ctx = gitstore.WithPush(ctx, gitstore.Push{
		Judge:  func(ctx context.Context, ups []gitstore.RefUpdate) map[string]string { return s.judge(ctx, g, j, ups) },
		Landed: func(_ context.Context, ups []gitstore.RefUpdate) { j.landed = append(j.landed, ups...) },
	})
	rp := s.feed(ctx, r, g, body)
	s.refsMoved(ctx, g.repo, g.acc, j.landed)
	if out, ok := rp.body.([]byte); ok && len(j.refused) > 0 {
		rp.body = reword(out, j.refused)
		rp.header.Del("Content-Length")
	}
	return rp
}

// feed hands a push to the store and keeps its answer.
func (s *Server) feed(ctx context.Context, r *http.Request, g *gitCall, body []byte) reply {
	in := below(r, "git-receive-pack").WithContext(ctx)
	in.Header.Del("Content-Encoding")
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	in.TransferEncoding = nil
	rec := &recorder{status: http.StatusOK, head: http.Header{}}
	g.handler.ServeHTTP(rec, in)
	return reply{status: rec.status, body: rec.body.Bytes(), header: rec.head}
}

// recorder keeps an answer instead of sending it.
type recorder struct {
	status int
	head   http.Header
	body   bytes.Buffer
}

func (rec *recorder) Header() http.Header         { return rec.head }
func (rec *recorder) WriteHeader(status int)      { rec.status = status }
func (rec *recorder) Write(b []byte) (int, error) { return rec.body.Write(b) }

// Flush is for handlers that insist on a flusher.
func (rec *recorder) Flush() {}
