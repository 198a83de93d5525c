// Package api answers programs what the board shows people: GET /api/v1/… in
// JSON, read only.
//
// State: none but the schema; every request reads the views that the last passes
// left beside the queue. Invariants: like the board it never calls the forge, a
// registry or git, so that an answer costs the same whatever is broken elsewhere
// (history alone asks Config.Past, some at a time); what can't be read is an error, never an empty list; the same views give the
// same bytes, and so the same ETag. The documents are a promise (docs/api.md):
// their types are this package's own, apart from those that are stored. Text from
// outside stands in them as it is; a link leads to http or https only.
//
// Concurrency: a Handler may serve any number of requests at once. What it does
// not do: it judges nothing, changes nothing, and asks nobody who they are.
package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the schema is part of the program
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// Views is where the last pass over each repository is kept; *queue.Queue is
// one. It returns the views of that name, each with the JSON of a
// promotion.View as its data.
type Views interface {
	Views(ctx context.Context, name string) ([]queue.View, error)
}

// Config is what a Handler is made of.
type Config struct {
	// Views must be set.
	Views Views
	// Past reads what landed of an artifact; nil: there is no history here.
	Past Past
	// Version of the program.
	Version string
	// Log is told what could not be read; the zero Logger tells nobody.
	Log zerolog.Logger
}

// Prefix is the path under which everything stands.
const Prefix = "/api/"

// Handler serves the API. Make one with New.
type Handler struct {
	c   Config
	mux *http.ServeMux
	// reading bounds the histories that are read at a time.
	reading chan struct{}
}

//go:embed schema.json
var schema []byte

// New returns a Handler for GET and HEAD of /api/v1/state, /api/v1/repositories,
// /api/v1/repositories/{owner}/{name}, why and history below that, and
// /api/v1/schema.json.
func New(c Config) *Handler {
	h := &Handler{c: c, mux: http.NewServeMux(), reading: make(chan struct{}, maxReading)}
	for path, a := range map[string]struct {
		answer     http.HandlerFunc
		parameters []string
	}{
		"/api/v1/state":                               {h.state, nil},
		"/api/v1/repositories":                        {h.list, nil},
		"/api/v1/repositories/{owner}/{name}":         {h.one, nil},
		"/api/v1/repositories/{owner}/{name}/why":     {h.why, []string{"artifact", "environment"}},
		"/api/v1/repositories/{owner}/{name}/history": {h.history, []string{"artifact", "environment", "limit"}},
		"/api/v1/schema.json":                         {func(w http.ResponseWriter, r *http.Request) { reply(w, r, "application/schema+json", schema) }, nil},
	} {
		h.mux.HandleFunc(path, strictly(a.parameters, a.answer))
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "not-found", "There is nothing at this address; the API begins with /api/v1/state, and docs/api.md lists the rest.")
	})
	return h
}

// ServeHTTP answers GET and HEAD; other methods get 405.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, "method-not-allowed", "The API is read only: ask with GET.")
		return
	}
	h.mux.ServeHTTP(w, r)
}

// state is everything.
func (h *Handler) state(w http.ResponseWriter, r *http.Request) {
	views, err := h.read(r.Context())
	if err != nil {
		h.unreadable(w, err)
		return
	}
	s := State{Version: Version, Rung: h.c.Version, Repositories: []Repository{}}
	for i := range views {
		s.Repositories = append(s.Repositories, repositoryOf(&views[i]))
	}
	h.send(w, r, s)
}

// list is the repositories in short.
func (h *Handler) list(w http.ResponseWriter, r *http.Request) {
	views, err := h.read(r.Context())
	if err != nil {
		h.unreadable(w, err)
		return
	}
	l := List{Version: Version, Rung: h.c.Version, Repositories: []Summary{}}
	for i := range views {
		l.Repositories = append(l.Repositories, summaryOf(&views[i]))
	}
	h.send(w, r, l)
}

// one is one repository.
func (h *Handler) one(w http.ResponseWriter, r *http.Request) {
	if found := h.named(w, r); found != nil {
		h.send(w, r, One{Version: Version, Rung: h.c.Version, Repository: repositoryOf(found)})
	}
}

// named is the repository of the name in the address; of two that were known by it,
// the one that was tried last. It has answered where there is none.
func (h *Handler) named(w http.ResponseWriter, r *http.Request) *view {
	views, err := h.read(r.Context())
	if err != nil {
		h.unreadable(w, err)
		return nil
	}
	name := r.PathValue("owner") + "/" + r.PathValue("name")
	var found *view
	for i := range views {
		if strings.EqualFold(views[i].Repository.FullName(), name) && (found == nil || views[i].tried.After(found.tried)) {
			found = &views[i]
		}
	}
	if found == nil {
		fail(w, http.StatusNotFound, "not-found", "rung has not looked at a repository of this name. Is the GitHub App installed on it?")
	}
	return found
}

// view is a stored view that could be read.
type view struct {
	promotion.View
	tried time.Time
}

// read reads every view, by the repositories' names.
func (h *Handler) read(ctx context.Context) ([]view, error) {
	stored, err := h.c.Views.Views(ctx, promotion.ViewName)
	if err != nil {
		return nil, err
	}
	views := make([]view, len(stored))
	for i, s := range stored {
		if err := json.Unmarshal(s.Data, &views[i].View); err != nil {
			return nil, fmt.Errorf("the view of %s: %w", s.Key, err)
		}
		if r := views[i].Repository; r.Owner == "" || r.Name == "" {
			return nil, fmt.Errorf("the view of %s names no repository", s.Key)
		}
		views[i].tried = s.At
	}
	slices.SortStableFunc(views, func(a, b view) int {
		return strings.Compare(strings.ToLower(a.Repository.FullName()), strings.ToLower(b.Repository.FullName()))
	})
	return views, nil
}

// unreadable says that nothing can be said.
func (h *Handler) unreadable(w http.ResponseWriter, err error) {
	h.c.Log.Error().Err(err).Msg("the API could not read its views")
	fail(w, http.StatusInternalServerError, "unreadable",
		"What the last passes left could not be read; rung's log says why. Nothing is lost: the API only shows copies, and the next pass makes them again.")
}

// send writes a document whole.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, document any) {
	data, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		h.unreadable(w, err)
		return
	}
	reply(w, r, "application/json", append(data, '\n'))
}

// reply sends bytes, or 304 to who has them already.
func reply(w http.ResponseWriter, r *http.Request, kind string, data []byte) {
	sum := sha256.Sum256(data)
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, no-cache") // kept, but asked about each time
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	r.Header.Del("Range") // a part of a document says nothing
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// fail answers with a sentence.
func fail(w http.ResponseWriter, status int, code, sentence string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	data, err := json.MarshalIndent(Failure{Reason{code, sentence}}, "", "  ")
	if err == nil {
		_, _ = w.Write(append(data, '\n'))
	}
}
