package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// traffic counts the bytes of git's requests and answers, headers left out.
type traffic struct{ in, out atomic.Int64 }

func (t *traffic) reset() {
	t.in.Store(0)
	t.out.Store(0)
}

func (t *traffic) sums() (sent, received int64) { return t.in.Load(), t.out.Load() }

// around counts what passes through a store's repositories.
func (t *traffic) around(s gitstore.Store) gitstore.Store {
	return &countingStore{Store: s, traffic: t, known: map[gitstore.Repository]gitstore.Repository{}}
}

type countingStore struct {
	gitstore.Store
	traffic *traffic

	mu    sync.Mutex
	known map[gitstore.Repository]gitstore.Repository // a repository is one value
}

// Create makes a repository that is counted.
func (s *countingStore) Create(owner, name, branch string) (gitstore.Repository, error) {
	r, err := s.Store.Create(owner, name, branch)
	return s.counted(r, err)
}

// Open opens a repository that is counted.
func (s *countingStore) Open(owner, name string) (gitstore.Repository, error) {
	r, err := s.Store.Open(owner, name)
	return s.counted(r, err)
}

func (s *countingStore) counted(r gitstore.Repository, err error) (gitstore.Repository, error) {
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[r] == nil {
		s.known[r] = &countingRepository{Repository: r, traffic: s.traffic}
	}
	return s.known[r], nil
}

type countingRepository struct {
	gitstore.Repository
	traffic *traffic
}

// Handler is the repository's handler, counted.
func (r *countingRepository) Handler() http.Handler {
	h := r.Repository.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		in := req.Clone(req.Context())
		if req.Body != nil {
			in.Body = countingBody{req.Body, &r.traffic.in}
		}
		h.ServeHTTP(countingWriter{w, &r.traffic.out}, in)
	})
}

type countingBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}

// Flush is for handlers that stream.
func (w countingWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// ready reports whether a service says that it is.
func ready(ctx context.Context, url string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, nil // it does not listen yet
	}
	return resp.StatusCode == http.StatusOK, resp.Body.Close()
}
