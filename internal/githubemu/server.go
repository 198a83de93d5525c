package githubemu

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Server is the emulator. It is an http.Handler; its methods are the acts of
// people and of other programs, and may be called from several goroutines.
type Server struct {
	cfg    Config
	routes []*route
	gql    *schema
	base   string // path part of BaseURL

	mu       sync.Mutex // guards everything below and every ref's movement
	w        *world
	appID    int64 // the App of Config
	counts   *counter
	faults   faultSet
	limits   limiter
	hooks    hookQueue
	merges   mergeMemo
	sums     map[[2]string]pullSums
	rendered rendered
	writes   int // App writes seen, for OnWrite
	held     *holder
	request  int64
	dice     uint64
}

// New makes an emulator with no repositories and the App of cfg, not yet
// installed anywhere. Close must be called unless cfg.Manual is set.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, w: newWorld(), counts: newCounter(), dice: cfg.Seed, merges: mergeMemo{}, sums: map[[2]string]pullSums{}, rendered: newRendered()}
	s.routes = s.table()
	s.gql = s.graph()
	s.SetBaseURL(cfg.BaseURL)
	s.addAccount(&account{ID: 19864447, Login: "web-flow", Name: "GitHub", Email: "noreply@github.com", Type: "User"})
	if _, err := s.addApp(cfg.App); err != nil {
		return nil, err
	}
	s.appID = s.w.appBySlug(cfg.App.Slug).ID
	s.limits = newLimiter(cfg.Limits)
	s.hooks.start(s)
	return s, nil
}

// Close stops the webhook sender. Undelivered webhooks stay queued.
func (s *Server) Close() { s.hooks.stop() }

// SetBaseURL says where clients reach the handler, for a server whose port was
// not known when New was called. A URL that Config would refuse is ignored.
func (s *Server) SetBaseURL(base string) {
	if checkBaseURL(base) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.BaseURL = base
	s.base = ""
	if u, err := url.Parse(base); err == nil {
		s.base = u.Path
	}
}

// BaseURL is where clients reach the handler.
func (s *Server) BaseURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.BaseURL
}

func (s *Server) now() time.Time { return s.cfg.Now().UTC() }

// api makes an absolute API URL.
func (s *Server) api(format string, args ...any) string {
	return s.cfg.BaseURL + "/api/v3" + fmt.Sprintf(format, args...)
}

// html makes an absolute URL of a page.
func (s *Server) html(format string, args ...any) string {
	return s.cfg.BaseURL + fmt.Sprintf(format, args...)
}

// ServeHTTP routes a request to the API, GraphQL, git, the control API or the
// pages.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), s.basePath())
	switch {
	case path == "/api/graphql":
		s.serveGraphQL(w, r)
	case path == "/api/v3" || strings.HasPrefix(path, "/api/v3/"):
		s.serveAPI(w, r, strings.TrimPrefix(path, "/api/v3"))
	case strings.HasPrefix(path, "/_emu/"):
		s.serveControl(w, r, strings.TrimPrefix(path, "/_emu/"))
	case isGitPath(path):
		s.serveGit(w, r, path)
	default:
		s.servePages(w, r, path)
	}
}

func (s *Server) basePath() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base
}

// sleep waits for d or for the request's end. It is called without the lock.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// roll is a splitmix64 step: dice that a seed replays. It needs the lock.
func (s *Server) roll() uint64 {
	s.dice += 0x9e3779b97f4a7c15
	z := s.dice
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
