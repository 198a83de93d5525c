package githubemu

import (
	"context"
	"net/http"
	"sync"
)

// holder stops one write until it is let go, so that another process can be
// killed or stopped exactly there.
type holder struct {
	n       int
	when    When
	reached chan struct{}
	freed   chan struct{}
	once    sync.Once
}

// Hold arranges that the n-th write of an App from now on stops before or
// after its effect. Reached is closed when it has come there. Release lets it
// go on; until then it waits, unless its client hangs up: before the effect
// that ends the request without any.
func (s *Server) Hold(n int, when When) (reached <-chan struct{}, release func()) {
	h := &holder{n: n, when: when, reached: make(chan struct{}), freed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	h.n += s.writes
	s.held = h
	return h.reached, func() { h.once.Do(func() { close(h.freed) }) }
}

// hook calls OnWrite for a numbered write, and stops it if it is to be held.
// It runs without the lock.
func (s *Server) hook(n int, when When, r *http.Request) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	f, h := s.cfg.OnWrite, s.held
	s.mu.Unlock()
	if f != nil {
		f(n, when, r)
	}
	if h == nil || h.n != n || h.when != when {
		return
	}
	close(h.reached)
	select {
	case <-h.freed:
	case <-r.Context().Done():
		if when == Before {
			panic(http.ErrAbortHandler) // the client is gone and nothing is done
		}
	}
}

// wait waits until a write is held, for the control API.
func (h *holder) wait(ctx context.Context) bool {
	select {
	case <-h.reached:
		return true
	case <-ctx.Done():
		return false
	}
}
