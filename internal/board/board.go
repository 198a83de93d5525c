// Package board is the web page on which people see what rung sees: for each
// repository a grid of environments and artifacts, with the version that is
// live, what is on its way, and the reason of everything that is held.
//
// State: none but a parsed template; every request reads the views that the
// last passes left beside the queue. Invariants: it only reads, and only those
// views: it never calls the forge, a registry or git, so that a page costs the
// same whatever is broken elsewhere. Text from outside is shown as text, never
// as markup; links lead to http and https only. Colour says nothing that words
// don't say as well. A view that can't be read is shown as such, never a panic.
//
// Concurrency: a Board may serve any number of requests at once. What it does
// not do: it judges nothing, changes nothing, asks nobody who they are, and
// runs no script in the browser.
package board

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the page and its style sheet are part of the program
	"encoding/hex"
	"html/template"
	"net/http"
	"sync"
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

// Config is what a Board is made of.
type Config struct {
	// Views must be set.
	Views Views
	// Now is the clock that ages are told by; nil is time.Now.
	Now func() time.Time
	// Version of the program, shown at the foot of the page.
	Version string
	// Log is told what a page could not show; the zero Logger tells nobody.
	Log zerolog.Logger
}

// Board serves the pages. Make one with New.
type Board struct {
	c   Config
	mux *http.ServeMux
}

// refreshSeconds is how often a page loads itself again.
const refreshSeconds = 5

// maxWhole is how many configured repositories the first page shows whole; of
// more it shows a list, and each has a page of its own.
const maxWhole = 12

var (
	//go:embed page.html
	pageSource string
	//go:embed board.css
	style []byte

	pageTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageSource)) })
	stylePath    = "/board.css?v=" + fingerprint(style)
)

func fingerprint(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:6])
}

// New returns a Board that serves GET and HEAD of /, /r/{owner}/{name}, /doctor and
// /board.css.
func New(c Config) *Board {
	if c.Now == nil {
		c.Now = time.Now
	}
	b := &Board{c: c, mux: http.NewServeMux()}
	b.mux.HandleFunc("GET /{$}", b.all)
	b.mux.HandleFunc("GET /r/{owner}/{name}", b.one)
	b.mux.HandleFunc("GET /doctor", b.doctor)
	b.mux.HandleFunc("GET /board.css", serveStyle)
	b.mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		b.send(w, r, http.StatusNotFound, page{Title: "Not found", Problem: "There is no such page on this board."})
	})
	return b
}

// ServeHTTP answers GET and HEAD; other methods get 405.
func (b *Board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the board is read only", http.StatusMethodNotAllowed)
		return
	}
	b.mux.ServeHTTP(w, r)
}

// all is the first page: every repository.
func (b *Board) all(w http.ResponseWriter, r *http.Request) {
	repos, ok := b.read(w, r)
	if !ok {
		return
	}
	p := page{Title: "rung", Empty: len(repos) == 0}
	for _, repo := range repos {
		if repo.Configured || repo.Broken != "" || repo.Error != "" {
			p.Repositories = append(p.Repositories, repo)
		} else {
			p.Unconfigured = append(p.Unconfigured, repo)
		}
	}
	if len(p.Repositories) > maxWhole {
		p.Listed, p.Repositories = p.Repositories, nil
	}
	var err error
	if p.Health, err = b.examined(r.Context()); err != nil {
		b.c.Log.Error().Err(err).Msg("the board could not read the doctor's report")
		p.Health = &checkup{Broken: "the doctor's last look could not be read; rung's log says why"}
	}
	b.send(w, r, http.StatusOK, p)
}

// one is the page of one repository.
func (b *Board) one(w http.ResponseWriter, r *http.Request) {
	repos, ok := b.read(w, r)
	if !ok {
		return
	}
	name := r.PathValue("owner") + "/" + r.PathValue("name")
	for _, repo := range repos {
		if repo.Broken == "" && sameName(repo.FullName, name) {
			b.send(w, r, http.StatusOK, page{Title: repo.FullName + " · rung", Alone: true, Repositories: []repository{repo}})
			return
		}
	}
	b.send(w, r, http.StatusNotFound, page{Title: "Not found", Problem: "rung has not looked at a repository of this name. Is the GitHub App installed on it?"})
}

// read reads every view, in the order in which the board shows them.
func (b *Board) read(w http.ResponseWriter, r *http.Request) ([]repository, bool) {
	views, err := b.c.Views.Views(r.Context(), promotion.ViewName)
	if err != nil {
		b.c.Log.Error().Err(err).Msg("the board could not read its views")
		b.send(w, r, http.StatusServiceUnavailable, page{Title: "rung", Problem: "What the last passes left could not be read; rung's log says why. Nothing is lost: this page only shows copies."})
		return nil, false
	}
	now := b.c.Now()
	repos := make([]repository, 0, len(views))
	for _, v := range views {
		repo := show(v, now)
		if repo.Broken != "" {
			b.c.Log.Warn().Str("key", string(v.Key)).Str("problem", repo.Broken).Msg("a stored view can't be shown")
		}
		repos = append(repos, repo)
	}
	sortRepositories(repos)
	return repos, true
}

// send renders a page whole before its first byte is written.
func (b *Board) send(w http.ResponseWriter, r *http.Request, status int, p page) {
	p.Version, p.Style, p.Now = clean(b.c.Version), stylePath, stamp(b.c.Now())
	if r.URL.Query().Get("refresh") != "off" {
		p.Refresh = refreshSeconds
	}
	var buf bytes.Buffer
	if err := pageTemplate().Execute(&buf, p); err != nil {
		b.c.Log.Error().Err(err).Msg("the board could not render a page")
		http.Error(w, "this page could not be rendered; rung's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes())
}

// serveStyle serves the style sheet. Its address changes with its content, so a
// browser may keep it.
func serveStyle(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("v") == fingerprint(style) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(style)
}
