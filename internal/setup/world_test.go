package setup_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rungbot/rung/e2e/person"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/setup"
)

// world is an emulator behind a socket and one setup against it.
type world struct {
	*testing.T
	emu *githubemu.Server
	web *httptest.Server
	dir string
	o   setup.Options

	mu    sync.Mutex
	now   time.Time
	said  []string
	setup *setup.Setup
	ended chan outcome
}

type outcome struct {
	result *setup.Result
	err    error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: time.Now(), dir: filepath.Join(t.TempDir(), "secrets")}
	var err error
	if w.emu, err = githubemu.New(githubemu.Config{
		Store: gitmem.New(gitstore.Options{}), Now: w.clock, Manual: true, AnonymousRead: true,
		App: githubemu.App{ID: 7, Slug: "another"},
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.emu.Close)
	w.web = httptest.NewServer(w.emu)
	t.Cleanup(w.web.Close)
	// Another site than setup's own 127.0.0.1, as GitHub is.
	github := strings.Replace(w.web.URL, "127.0.0.1", "localhost", 1)
	w.emu.SetBaseURL(github)
	w.emu.AddPerson(githubemu.Person{Login: "ann"})
	w.emu.AddOrganization("acme", "none", map[string]string{"ann": "admin"})
	w.o = setup.Options{
		GitHub: github, API: github + "/api/v3/", Org: "acme", URL: "http://127.0.0.1:1", Dir: w.dir, Data: filepath.Join(t.TempDir(), "data"),
		Listen: "127.0.0.1:0", Say: w.say,
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) say(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

// console is everything that was said.
func (w *world) console() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.said, "\n")
}

// begin makes the Setup and runs it until the test ends.
func (w *world) begin() {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := setup.New(ctx, w.o)
	if err != nil {
		w.Fatal(err)
	}
	w.setup, w.ended = s, make(chan outcome, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err := s.Run(ctx)
		w.ended <- outcome{r, err}
	}()
	w.Cleanup(func() {
		cancel()
		<-done
	})
}

// wait is how Run ended.
func (w *world) wait() outcome {
	w.Helper()
	select {
	case o := <-w.ended:
		return o
	case <-time.After(20 * time.Second):
		w.Fatal("setup does not end")
	}
	return outcome{}
}

// consent opens the link, presses the button and stands before GitHub's question.
func (w *world) consent(b *person.Browser) person.Page {
	w.Helper()
	p := b.Get(w.setup.Link())
	if p.Status != http.StatusOK || p.At.RawQuery != "" {
		w.Fatalf("the link leads to %s", p)
	}
	return b.Press(p, toGitHub)
}

// The two buttons.
const (
	toGitHub = "Go to"
	create   = "Create GitHub App"
)

// code has the App made, and is what GitHub sends the browser back with.
func (w *world) code(b *person.Browser) *url.URL {
	w.Helper()
	question := w.consent(b)
	var back *url.URL
	b.HTTP.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		back = r.URL
		return http.ErrUseLastResponse
	}
	b.Press(question, create)
	b.HTTP.CheckRedirect = nil
	if back == nil || back.Query().Get("code") == "" {
		w.Fatalf("GitHub sends back to %v", back)
	}
	return back
}

// files are the names in the directory.
func (w *world) files() []string {
	entries, err := os.ReadDir(w.dir)
	if err != nil && !os.IsNotExist(err) {
		w.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (w *world) file(name string) string {
	w.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.Fatal(err)
	}
	return string(data)
}

// has fails unless a text has all the words.
func has(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("no %q in:\n%s", word, text)
		}
	}
}

// form is what a new browser finds behind the button.
func (w *world) form() url.Values {
	w.Helper()
	b := person.New(w.T)
	_, values := b.Form(b.Get(w.setup.Link()), toGitHub)
	return values
}
