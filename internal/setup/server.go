package setup

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/settings"
)

const (
	pagePath     = "/setup"
	callbackPath = "/setup/callback"
	cookieName   = "rung_setup"
)

// codeGrammar is wider than what GitHub's codes are.
var codeGrammar = lazyregexp.New(`^[A-Za-z0-9_-]{1,200}$`)

// handler serves the two pages to loopback names.
func (s *Setup) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pagePath, s.page)
	mux.HandleFunc("GET "+callbackPath, s.callback)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if !loopback(strings.Trim(host, "[]")) {
			// A page elsewhere can make its own name lead here, and read what it gets.
			s.refuse(w, http.StatusMisdirectedRequest, "Not by this name", "This page answers at 127.0.0.1 and localhost only. To reach it from another machine, use ssh -L as the console says.", false)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// known tells whether a browser is the one that opened the link.
func (s *Setup) known(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	return err == nil && same(c.Value, s.state)
}

// page takes the link's token once, and then shows the page with the button to the
// browser that brought it.
func (s *Setup) page(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("token")
	switch {
	case s.known(r) && token == "":
		s.ask(w, r)
	case s.known(r) || r.Method == http.MethodGet && s.open(token):
		// Lax, not Strict: GitHub sends the person back from its own site. Not
		// Secure: there is no TLS on loopback, and not every browser takes one for
		// the other.
		http.SetCookie(w, &http.Cookie{Name: cookieName, Value: s.state, Path: pagePath, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(s.patience.Seconds())}) // #nosec G124 -- loopback
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, pagePath, http.StatusSeeOther)
	default:
		s.refuse(w, http.StatusForbidden, "This link opens nothing", "The link is not whole, or it was opened before: it works once, in one browser. Go on in that browser, or stop rung setup with Ctrl-C and run it again for a new link.", false)
	}
}

// open takes the token, the first time.
func (s *Setup) open(token string) bool {
	if !same(token, s.token) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		return false
	}
	s.opened = true
	s.say("The link was opened.")
	return true
}

func (s *Setup) ask(w http.ResponseWriter, r *http.Request) {
	// By the name that the browser uses, so that the cookie comes back, and a
	// forwarded port may have another number here than there.
	manifest, err := s.target.manifest("http://" + r.Host + callbackPath)
	if err != nil {
		s.refuse(w, http.StatusInternalServerError, "No manifest", err.Error(), false)
		return
	}
	events := 0
	for _, p := range s.target.asks {
		events += len(p.Events)
	}
	s.show(w, http.StatusOK, "ask", askPage{
		Host: s.target.github.Host, Owner: s.target.owner(), Org: s.target.org, Name: s.target.name, Hook: s.target.url + hookPath, Dir: s.place.dir,
		Action: s.target.formURL(s.state), Manifest: string(manifest), Asks: s.target.asks, TooNew: s.target.tooNew, Server: s.target.server, Events: events,
	})
}

// callback is where GitHub sends the person back to, with a code.
func (s *Setup) callback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := q.Get("code")
	switch {
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusNoContent)
	case !s.known(r):
		s.refuse(w, http.StatusForbidden, "Not the browser that began", "This browser did not open the link that rung setup printed, so its code is not looked at. Go on in the one that did.", false)
	case !same(q.Get("state"), s.state):
		s.say("Somebody came back from GitHub with a state that is not ours; the code was not looked at.")
		s.refuse(w, http.StatusForbidden, "Not the answer to this page", "What came back from GitHub does not belong to this setup (the state differs), so its code is not looked at. Begin again from the page with the button.", true)
	case !codeGrammar.MatchString(code):
		s.refuse(w, http.StatusBadRequest, "No code", "GitHub sent no code along. Begin again from the page with the button.", true)
	default:
		s.exchange(w, r, code)
	}
}

// exchange gets the App's secrets for the code and writes them. One request at a
// time does so, and none after it was done.
func (s *Setup) exchange(w http.ResponseWriter, r *http.Request, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.result != nil || s.failed != nil {
		s.refuse(w, http.StatusGone, "This is over", "The App was made already, and this code is used up. The console says what to do next.", false)
		return
	}
	// Whoever closes the page meanwhile does not lose what comes once.
	app, err := s.visitor.NewApp(context.WithoutCancel(r.Context()), code)
	switch {
	case errors.Is(err, forge.ErrCodeSpent):
		says := fmt.Sprintf("%s. If the App was made, delete it there (%s), for its keys are lost; then begin again.", sentence(err), s.target.appsURL())
		s.say(says)
		s.refuse(w, http.StatusBadGateway, "GitHub does not take the code", says, true)
		return
	case err != nil:
		s.say(sentence(err) + ". The code is good for an hour: load the page anew to try again.")
		s.refuse(w, http.StatusBadGateway, "The App's keys did not come", sentence(err)+". Load this page anew to try again: the code is good for an hour.", false)
		return
	}
	defer close(s.over)
	// The page is the last thing that is served.
	w.Header().Set("Connection", "close")
	result := &Result{App: app, InstallURL: s.target.appURL(app) + "/installations/new", Dir: s.place.dir, Lacks: lacks(s.target.asks, app.Permissions)}
	result.SettingsURL = s.target.appsURL() + "/" + app.Slug
	if app.WebhookSecret.Empty() {
		result.OwnSecret = true
		app.WebhookSecret = settings.NewSecret(rand.Text() + rand.Text())
	}
	if err := s.place.writeAll(s.target, app); err != nil {
		s.failed = s.lost(result, err)
		s.refuse(w, http.StatusInternalServerError, "The App is made, but its secrets could not all be written", sentence(s.failed), false)
		return
	}
	result.Files = s.place.listed
	s.result = result
	s.show(w, http.StatusOK, "done", donePage{Result: result, Host: s.target.github.Host})
}

// lost says what there is when writing failed: GitHub does not give the keys again.
func (s *Setup) lost(r *Result, err error) error {
	there := "nothing was"
	var names []string
	for _, f := range s.place.listed {
		names = append(names, filepath.Join(s.place.dir, f.Name))
	}
	if len(names) > 0 {
		there = strings.Join(names, ", ") + " were"
	}
	return fmt.Errorf("%w; %s written. The App %s is made, and GitHub gives its keys only once: delete it (%s) and run rung setup again, or make a new key and a new webhook secret there by hand", err, there, r.App.Slug, r.SettingsURL)
}

// lacks are the permissions that were asked for and not given.
func lacks(asks []forge.Permission, given map[string]string) []string {
	var out []string
	for _, p := range asks {
		if given[p.Name] != p.Level && given[p.Name] != "admin" {
			out = append(out, p.Name+": "+p.Level)
		}
	}
	return out
}

// sentence begins an error with a capital.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
