package forge

import (
	"bytes"
	"container/list"
	"io"
	"net/http"
	"sync"
)

// Bounds of the cache of answers.
const (
	revalidateEntries = 512
	revalidateBytes   = 8 << 20
	revalidateOne     = 1 << 20
)

// revalidator keeps the answers to GETs with their ETags and asks again with
// If-None-Match: an answer that has not changed costs nothing of the primary
// limit. It never answers without asking. ETags are bound to the token, so the
// cache is one installation's and goes stale by itself when the token changes.
type revalidator struct {
	next http.RoundTripper

	mu      sync.Mutex
	entries map[string]*list.Element
	recent  *list.List
	size    int
}

type answer struct {
	key    string
	etag   string
	status int
	header http.Header
	body   []byte
}

func newRevalidator(next http.RoundTripper) *revalidator {
	return &revalidator{next: next, entries: map[string]*list.Element{}, recent: list.New()}
}

// RoundTrip asks with the ETag it knows.
func (r *revalidator) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || req.Header.Get("If-None-Match") != "" || req.Header.Get("Range") != "" {
		return r.next.RoundTrip(req)
	}
	key := req.Header.Get("Accept") + " " + req.URL.String()
	known := r.get(key)
	if known != nil {
		req = req.Clone(req.Context())
		req.Header.Set("If-None-Match", known.etag)
	}
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusNotModified && known != nil {
		_ = resp.Body.Close()
		return known.response(req, resp.Header), nil
	}
	if resp.StatusCode == http.StatusOK && resp.Header.Get("ETag") != "" {
		if err := r.keep(key, resp); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// response is the kept answer with the limits of the fresh one.
func (a *answer) response(req *http.Request, fresh http.Header) *http.Response {
	header := a.header.Clone()
	for name, values := range fresh {
		if len(name) > 12 && name[:12] == "X-Ratelimit-" {
			header[name] = values
		}
	}
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: req,
	}
}

func (r *revalidator) get(key string) *answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.entries[key]
	if !ok {
		return nil
	}
	r.recent.MoveToFront(e)
	return e.Value.(*answer)
}

// keep reads the body, remembers it when it is small, and puts it back.
func (r *revalidator) keep(key string, resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, revalidateOne+1))
	if err != nil {
		_ = resp.Body.Close()
		return err
	}
	if len(body) > revalidateOne {
		rest := resp.Body
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), rest), rest}
		return nil
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	defer r.mu.Unlock()
	if old, ok := r.entries[key]; ok {
		r.remove(old)
	}
	a := &answer{key: key, etag: resp.Header.Get("ETag"), status: resp.StatusCode, header: resp.Header.Clone(), body: body}
	r.entries[key] = r.recent.PushFront(a)
	r.size += len(body)
	for r.size > revalidateBytes || r.recent.Len() > revalidateEntries {
		r.remove(r.recent.Back())
	}
	return nil
}

func (r *revalidator) remove(e *list.Element) {
	a := r.recent.Remove(e).(*answer)
	delete(r.entries, a.key)
	r.size -= len(a.body)
}
