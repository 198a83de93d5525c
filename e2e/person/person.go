// Package person is a person with a browser for tests that need no real one: it
// follows links, keeps cookies and sends the forms that pages have.
//
// State: cookies, and every page that was seen. Invariants: a form is sent as it
// stands on the page, with what was typed into it; a button that is not there fails
// the test. Concurrency: a Browser is used by one goroutine. What it does not do: it
// runs no scripts, draws nothing and knows neither Content-Security-Policy nor
// SameSite; e2e/browser has a real one for that.
package person

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Browser is a person's browser.
type Browser struct {
	// HTTP sends the requests.
	HTTP *http.Client
	// Seen are the pages so far, each with its headers.
	Seen []Page
	tb   testing.TB
}

// Page is what a browser shows.
type Page struct {
	Status int
	At     *url.URL
	Text   string
	Header http.Header
}

// New makes a browser without cookies.
func New(tb testing.TB) *Browser {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &Browser{tb: tb, HTTP: &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}}
}

// Get opens an address.
func (b *Browser) Get(address string) Page {
	b.tb.Helper()
	return b.read(b.HTTP.Get(address))
}

// Press sends the form whose button has the words; typed replaces the values of its
// fields, as "name", "value", …
func (b *Browser) Press(p Page, button string, typed ...string) Page {
	b.tb.Helper()
	to, values := b.Form(p, button)
	for i := 0; i+1 < len(typed); i += 2 {
		if !values.Has(typed[i]) {
			b.tb.Fatalf("the form has no field %s", typed[i])
		}
		values.Set(typed[i], typed[i+1])
	}
	return b.read(b.HTTP.PostForm(to, values))
}

// Form is where the form goes whose button has the words, and what is in its fields.
func (b *Browser) Form(p Page, button string) (string, url.Values) {
	b.tb.Helper()
	root, err := html.Parse(strings.NewReader(p.Text))
	if err != nil {
		b.tb.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Data != "form" {
			continue
		}
		values, has := url.Values{}, false
		for in := range n.Descendants() {
			switch {
			case in.Data == "input":
				values.Set(attribute(in, "name"), attribute(in, "value"))
			case in.Type == html.TextNode && in.Parent.Data == "button":
				has = has || strings.Contains(in.Data, button)
			}
		}
		if has {
			to, err := p.At.Parse(attribute(n, "action"))
			if err != nil {
				b.tb.Fatal(err)
			}
			return to.String(), values
		}
	}
	b.tb.Fatalf("there is no button %q at %s (%d):\n%s", button, p.At, p.Status, p.Text)
	return "", nil
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func (b *Browser) read(res *http.Response, err error) Page {
	b.tb.Helper()
	if err != nil {
		b.tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.tb.Fatal(err)
	}
	p := Page{res.StatusCode, res.Request.URL, string(body), res.Header}
	b.Seen = append(b.Seen, p)
	return p
}

// String is the page as it came.
func (p Page) String() string { return fmt.Sprintf("%d %s\n%v\n%s", p.Status, p.At, p.Header, p.Text) }
