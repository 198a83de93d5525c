package setup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rungbot/rung/e2e/person"
	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/setup"
	"github.com/rungbot/rung/internal/sign"
)

var written = []string{"app.pem", "rung-release", "rung-release.pub", "rung-root", "rung-root.pub", "rung.env", "webhook-secret"}

// TestTheAppIsMade: from the link to files with which rung signs in.
func TestTheAppIsMade(t *testing.T) {
	for _, org := range []string{"acme", ""} {
		t.Run("owner "+org, func(t *testing.T) {
			w := newWorld(t)
			w.o.Org = org
			if org == "" {
				w.o.Name = "rung of ann"
			}
			w.begin()
			b := person.New(t)
			question := w.consent(b)
			has(t, question.Text, "Create a GitHub App", "contents: write", "merge_group")
			end := b.Press(question, create)
			has(t, end.Text, "The App is made", "/installations/new", w.dir)
			o := w.wait()
			if o.err != nil {
				t.Fatal(o.err)
			}
			if o.result.App.Owner != map[string]string{"acme": "acme", "": "ann"}[org] || len(o.result.Lacks) != 0 {
				t.Errorf("made %+v", o.result)
			}
			if got := w.files(); !slices.Equal(got, written) {
				t.Errorf("written: %v", got)
			}
			w.signsIn(o.result)
		})
	}
}

// signsIn loads the settings that were written, as serve does, installs the App and
// signs in with its key.
func (w *world) signsIn(r *setup.Result) {
	w.Helper()
	s, err := settings.Load(append(strings.Split(w.file("rung.env"), "\n"), "RUNG_DATA="+w.o.Data))
	if err == nil {
		err = s.CheckServe()
	}
	if err != nil {
		w.Fatal(err)
	}
	if _, err := sign.LoadKeyFile(filepath.Join(w.dir, "rung-release")); err != nil {
		w.Error(err)
	}
	root, err := sign.LoadPublicKeyFile(filepath.Join(w.dir, "rung-root.pub"))
	has(w.T, w.file("rung.env"), "\n# RUNG_ROOT_KEYS="+filepath.Join(w.dir, "rung-root.pub")+"\n")
	if err != nil {
		w.Error(err)
	}
	if private, err := sign.LoadKeyFile(filepath.Join(w.dir, "rung-root")); err != nil || private.Public() != root {
		w.Errorf("the root key's halves: %v", err)
	}
	if s.BoardURL != w.o.URL || s.GitHubURL != w.o.GitHub || s.GitHubAppID != r.App.ID {
		w.Errorf("settings %+v", s)
	}
	if _, err := w.emu.InstallApp(r.App.Slug, r.App.Owner); err != nil {
		w.Fatal(err)
	}
	app, err := forge.New(forge.Config{APIURL: s.APIURL(), AppID: s.GitHubAppID, PrivateKey: []byte(s.GitHubPrivateKey.Reveal())})
	if err != nil {
		w.Fatal(err)
	}
	list, err := app.Installations(w.Context())
	if err != nil || len(list) != 1 || len(forge.MissingPermissions(list[0].Permissions)) != 0 {
		w.Errorf("signed in with the key: %+v, %v", list, err)
	}
}

// TestSecretsAreOnDiskAlone: mode 0600 in a directory of mode 0700, and in no page,
// header, sentence, result or error.
func TestSecretsAreOnDiskAlone(t *testing.T) {
	w := newWorld(t)
	w.begin()
	b := person.New(t)
	back := w.code(b)
	b.Get(back.String())
	o := w.wait()
	if o.err != nil {
		t.Fatal(o.err)
	}
	for _, name := range []string{".", "app.pem", "webhook-secret", "rung-release", "rung-root", "rung.env"} {
		info, err := os.Stat(filepath.Join(w.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %04o", name, info.Mode().Perm())
		}
	}
	shown := fmt.Sprint(b.Seen) + w.console() + fmt.Sprintf("%+v %#v", o.result, o.result) + w.file("rung.env")
	secrets := []string{strings.TrimSpace(w.file("webhook-secret"))}
	for _, name := range []string{"app.pem", "rung-release", "rung-root"} {
		secrets = append(secrets, strings.Split(w.file(name), "\n")[1:3]...)
	}
	for _, s := range secrets {
		if len(s) < 16 || strings.Contains(shown, s) {
			t.Errorf("the secret %.8s… is shown", s)
		}
	}
	if strings.Contains(w.console(), back.Query().Get("code")) {
		t.Error("the code is said on the console")
	}
}

// TestTheLinkWorksOnce, in the browser that opened it.
func TestTheLinkWorksOnce(t *testing.T) {
	w := newWorld(t)
	w.begin()
	if res, err := http.Head(w.setup.Link()); err != nil || res.StatusCode != http.StatusForbidden { // a preview does not use it up
		t.Fatalf("HEAD: %v %v", res, err)
	}
	wrong := strings.TrimSuffix(w.setup.Link(), "A")
	if wrong == w.setup.Link() {
		wrong += "A"
	}
	bare, _, _ := strings.Cut(w.setup.Link(), "?")
	first, second := person.New(t), person.New(t)
	for _, link := range []string{wrong, bare} {
		p := first.Get(link)
		has(t, p.Text, "This link opens nothing", "run it again")
		if p.Status != http.StatusForbidden || strings.Contains(p.Text, "manifest") {
			t.Errorf("%s: %d", link, p.Status)
		}
	}
	w.consent(first)
	if p := second.Get(w.setup.Link()); p.Status != http.StatusForbidden {
		t.Errorf("the link opened twice: %d %s", p.Status, p.Text)
	}
	for _, link := range []string{w.setup.Link(), bare} {
		if p := first.Get(link); p.Status != http.StatusOK {
			t.Errorf("the first browser can't go on: %d %s", p.Status, p.Text)
		}
	}
	if again := first.Get(bare); again.Header.Get("Cache-Control") != "no-store" || !strings.Contains(again.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("headers %v", again.Header)
	}
}

// TestTheCookie is one that scripts don't see and other sites don't send along.
func TestTheCookie(t *testing.T) {
	w := newWorld(t)
	w.begin()
	b := person.New(t)
	b.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p := b.Get(w.setup.Link())
	cookies := (&http.Response{Header: p.Header}).Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Domain != "" {
		t.Errorf("cookies %v", cookies)
	}
}

// TestOnlyTheAnswerToOurPageCounts: another browser, another state and no code at
// all are refused, and use nothing up.
func TestOnlyTheAnswerToOurPageCounts(t *testing.T) {
	w := newWorld(t)
	w.begin()
	b := person.New(t)
	back := w.code(b)
	with := func(key, value string) string {
		q := back.Query()
		q.Set(key, value)
		u := *back
		u.RawQuery = q.Encode()
		return u.String()
	}
	for _, c := range []struct {
		who    *person.Browser
		link   string
		status int
		says   string
	}{
		{person.New(t), back.String(), http.StatusForbidden, "Not the browser that began"},
		{b, with("state", "x"), http.StatusForbidden, "the state differs"},
		{b, with("state", ""), http.StatusForbidden, "the state differs"},
		{b, with("code", ""), http.StatusBadRequest, "GitHub sent no code along"},
		{b, with("code", "../../user"), http.StatusBadRequest, "GitHub sent no code along"},
	} {
		p := c.who.Get(c.link)
		has(t, p.Text, c.says)
		if p.Status != c.status {
			t.Errorf("%s: %d", c.link, p.Status)
		}
	}
	if got := w.files(); len(got) != 0 {
		t.Fatalf("written: %v", got)
	}
	has(t, b.Get(back.String()).Text, "The App is made")
	if o := w.wait(); o.err != nil {
		t.Error(o.err)
	}
}

// TestOtherNamesGetNothing: a foreign name that leads to loopback reads no page.
func TestOtherNamesGetNothing(t *testing.T) {
	w := newWorld(t)
	w.begin()
	host, port := w.setup.Address()
	for name, status := range map[string]int{"evil.example": 421, "evil.example:" + port: 421, "127.0.0.1.evil.example": 421, "localhost:9": 303, "[::1]:9": 303, host: 303} {
		req, err := http.NewRequest(http.MethodGet, w.setup.Link(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = name
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if want := status; res.StatusCode != want && (want != 303 || res.StatusCode != 403) {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

// TestAForwardedPort has another number where the browser is: GitHub sends back to
// the one that the browser knows.
func TestAForwardedPort(t *testing.T) {
	w := newWorld(t)
	w.begin()
	b := person.New(t)
	address := strings.TrimPrefix(strings.Split(w.setup.Link(), "/setup")[0], "http://")
	b.HTTP.Transport = &http.Transport{DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
		if to == "127.0.0.1:2222" {
			to = address
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}}
	p := b.Get(strings.Replace(w.setup.Link(), address, "127.0.0.1:2222", 1))
	_, form := b.Form(p, toGitHub)
	has(t, form.Get("manifest"), `"redirect_url":"http://127.0.0.1:2222/setup/callback"`)
	has(t, b.Press(b.Press(p, toGitHub), create).Text, "The App is made")
}

// TestASpentCode: used or too old, it says so, and one can begin again.
func TestASpentCode(t *testing.T) {
	for name, spend := range map[string]func(w *world, code string){
		"too old": func(w *world, _ string) { w.advance(61 * time.Minute) },
		"used": func(w *world, code string) {
			res, err := http.Post(w.o.API+"app-manifests/"+code+"/conversions", "", nil)
			if err != nil || res.StatusCode != http.StatusCreated {
				w.Fatal(res, err)
			}
			_ = res.Body.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.begin()
			b := person.New(t)
			back := w.code(b)
			spend(w, back.Query().Get("code"))
			p := b.Get(back.String())
			has(t, p.Text, "GitHub does not take the code", "used before, is more than an hour old", "/organizations/acme/settings/apps", "begin again")
			has(t, w.console(), "GitHub does not take this code")
			if got := w.files(); len(got) != 0 {
				t.Errorf("written: %v", got)
			}
			// Again, under another name: the first App is there still.
			bare, _, _ := strings.Cut(w.setup.Link(), "?")
			question := b.Press(b.Get(bare), toGitHub)
			has(t, b.Press(question, create).Text, "Name is already taken")
			has(t, b.Press(question, create, "name", "rung-again").Text, "The App is made")
			if o := w.wait(); o.err != nil || o.result.App.Slug != "rung-again" {
				t.Errorf("%+v, %v", o.result, o.err)
			}
		})
	}
}

// TestAnAnswerThatDoesNotCome leaves the code good: the page can be loaded anew.
func TestAnAnswerThatDoesNotCome(t *testing.T) {
	answer := func(status int, kind, body string) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}
	}
	for says, failure := range map[string]func(*http.Request) (*http.Response, error){
		"status 502":        answer(502, "application/json", `{"message":"Bad gateway"}`),
		"a web page":        answer(403, "text/html", "<h1>Forbidden</h1>"),
		"wants a login":     answer(401, "application/json", `{"message":"Requires authentication"}`),
		"until its limit":   answer(403, "application/json", `{"message":"API rate limit exceeded"}`),
		"can&#39;t be reac": func(*http.Request) (*http.Response, error) { return nil, errors.New("cut") },
	} {
		t.Run(says, func(t *testing.T) {
			w := newWorld(t)
			failing := failure
			w.o.Transport = transport(func(r *http.Request) (*http.Response, error) {
				if f := failing; f != nil && r.Method == http.MethodPost {
					failing = nil
					return f(r)
				}
				return http.DefaultTransport.RoundTrip(r)
			})
			w.begin()
			b := person.New(t)
			back := w.code(b)
			p := b.Get(back.String())
			has(t, p.Text, says, "Load this page anew")
			if code := back.Query().Get("code"); strings.Contains(p.Text+w.console(), code) {
				t.Error("the code is shown")
			}
			if got := w.files(); len(got) != 0 {
				t.Fatalf("written: %v", got)
			}
			has(t, b.Get(back.String()).Text, "The App is made")
			if o := w.wait(); o.err != nil {
				t.Error(o.err)
			}
		})
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAClosedTabLosesNothing: who goes away while the keys come has them on disk.
func TestAClosedTabLosesNothing(t *testing.T) {
	w := newWorld(t)
	asked, goOn := make(chan struct{}), make(chan struct{})
	w.o.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			close(asked)
			<-goOn
			if r.Context().Err() != nil {
				return nil, r.Context().Err()
			}
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	w.begin()
	b := person.New(t)
	back := w.code(b)
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, back.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if res, err := b.HTTP.Do(req); err == nil {
			_ = res.Body.Close()
		}
	}()
	<-asked
	leave()
	<-gone
	close(goOn)
	if o := w.wait(); o.err != nil {
		t.Fatal(o.err)
	}
	if got := w.files(); !slices.Equal(got, written) {
		t.Errorf("written: %v", got)
	}
}

// TestTheHandlerIsGone once the App is made; and of many who come at once, one gets
// the keys.
func TestTheHandlerIsGone(t *testing.T) {
	w := newWorld(t)
	exchanged := 0
	w.o.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			exchanged++
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	w.begin()
	b := person.New(t)
	back := w.code(b)
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		made int
	)
	for range 8 {
		all.Go(func() {
			res, err := b.HTTP.Get(back.String())
			if err != nil {
				return // closed already
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			if bytes.Contains(body, []byte("The App is made")) {
				made++
			} else if res.StatusCode != http.StatusGone {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		})
	}
	all.Wait()
	if o := w.wait(); o.err != nil || made != 1 || exchanged != 1 {
		t.Errorf("%d pages, %d exchanges, %v", made, exchanged, o.err)
	}
	for _, link := range []string{w.setup.Link(), back.String()} {
		if _, err := http.Get(link); err == nil {
			t.Errorf("%s is served still", (&url.URL{Path: link}).Path)
		}
	}
}

// TestNothingIsOverwritten, not even what came there after the directory was looked
// at; and it says what is where.
func TestNothingIsOverwritten(t *testing.T) {
	w := newWorld(t)
	w.begin()
	b := person.New(t)
	back := w.code(b)
	if err := os.WriteFile(filepath.Join(w.dir, "webhook-secret"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := b.Get(back.String())
	o := w.wait()
	if o.err == nil || p.Status != http.StatusInternalServerError {
		t.Fatalf("%d, %v", p.Status, o.err)
	}
	for _, text := range []string{o.err.Error(), p.Text} {
		has(t, text, "webhook-secret is there already, and is not overwritten", filepath.Join(w.dir, "app.pem")+" were written", "delete it", "/organizations/acme/settings/apps/rung-acme")
	}
	if w.file("webhook-secret") != "mine" || !slices.Equal(w.files(), []string{"app.pem", "webhook-secret"}) {
		t.Errorf("there is %v", w.files())
	}
}

// TestNobodyComes: stopped or too late, nothing stays behind.
func TestNobodyComes(t *testing.T) {
	w := newWorld(t)
	w.o.Patience = time.Millisecond
	w.begin()
	o := w.wait()
	if o.err == nil {
		t.Fatal("made")
	}
	has(t, o.err.Error(), "nobody made the App within 1ms", "nothing was written")

	w.o.Patience = 0
	ctx, cancel := context.WithCancel(t.Context())
	s, err := setup.New(ctx, w.o)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err = s.Run(ctx); err == nil {
		t.Fatal("made")
	}
	has(t, err.Error(), "stopped before GitHub answered", "delete it there", "/organizations/acme/settings/apps")
	if _, err := os.Stat(w.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory: %v", err)
	}
}
