package setup

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"github.com/rungbot/rung/internal/forge"
)

//go:embed page.html
var pageText string

//go:embed page.css
var css string

// pages have their style inside: once all is done nothing is served any more.
var pages = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"css":   func() template.CSS { return template.CSS(css) }, // #nosec G203 -- our own
		"words": func(name string) string { return strings.ReplaceAll(name, "_", " ") },
	}).Parse(pageText))
})

var policy = func() string {
	sum := sha256.Sum256([]byte(css))
	return "default-src 'none'; img-src data:; base-uri 'none'; frame-ancestors 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action "
}()

// askPage asks for the button to be pressed.
type askPage struct {
	Host, Owner, Org, Name, Hook, Dir string
	Action, Manifest                  string
	Asks                              []forge.Permission
	TooNew                            []string
	Server                            string
	Events                            int
}

// donePage tells what was made. It has no secret.
type donePage struct {
	Result *Result
	Host   string
}

// saysPage is one sentence, and where to go on from it.
type saysPage struct {
	Heading, Says string
	// Again leads back to the page with the button.
	Again bool
}

// show writes a page.
func (s *Setup) show(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := pages().ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "the page can't be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: the form would then be sent with the origin "null".
	h.Set("Referrer-Policy", "origin")
	// A browser holds what the form's target redirects to, such as an
	// organisation's own login, to form-action as well.
	h.Set("Content-Security-Policy", policy+s.target.github.Scheme+"://"+s.target.github.Host+" https:")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // whoever went away can ask again
}

// refuse says why not.
func (s *Setup) refuse(w http.ResponseWriter, status int, heading, says string, again bool) {
	s.show(w, status, "says", saysPage{Heading: heading, Says: says, Again: again})
}
