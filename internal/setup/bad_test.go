package setup_test

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/e2e/person"
	"github.com/rungbot/rung/internal/setup"
)

// refused is why New does not begin; nothing is left behind.
func (w *world) refused() string {
	w.Helper()
	s, err := setup.New(w.Context(), w.o)
	if err == nil {
		_ = s.Close()
		w.Fatal("it begins")
	}
	if strings.Contains(err.Error(), "\n") {
		w.Errorf("more than one sentence: %s", err)
	}
	return err.Error()
}

// TestWhatIsNotGitHub is told apart before anybody is asked for anything.
func TestWhatIsNotGitHub(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	answers := func(status int, kind, body string, more ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			for i := 0; i+1 < len(more); i += 2 {
				w.Header().Set(more[i], more[i+1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	plain := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	secure := httptest.NewTLSServer(answers(200, "application/json", `{}`))
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	for name, c := range map[string]struct{ server, says string }{
		"a web page":          {plain(answers(200, "text/html", "<h1>Welcome</h1>")), "answers with a web page (status 200), not as GitHub's API does"},
		"another forge":       {plain(answers(404, "application/json", `{"message":"404 page not found"}`)), "does not answer as GitHub's API does (status 404)"},
		"a redirect":          {plain(answers(302, "text/html", "", "Location", "https://sso.example/login?token=x")), `sends us on to "https://sso.example": is that`},
		"refused":             {closed.URL, "connection refused"},
		"a certificate":       {secure.URL, "is not trusted here"},
		"no TLS":              {strings.Replace(plain(answers(200, "application/json", `{}`)), "http:", "https:", 1), "does not speak TLS there"},
		"no such host":        {"https://rung.invalid", `there is no host "rung.invalid"`},
		"an endless answer":   {plain(answers(200, "application/json", `"`+strings.Repeat("x", 2<<20)+`"`)), "more than a MiB"},
		"not even JSON":       {plain(answers(200, "application/json", `{`, "X-GitHub-Request-Id", "1")), "not as GitHub's API does"},
		"a server too old":    {plain(answers(200, "application/json", `{"installed_version":"2.22.4"}`, "X-GitHub-Request-Id", "1")), "GitHub Enterprise Server 2.22.4; rung needs 3.0 or newer: update the server"},
		"old and private":     {plain(answers(401, "application/json", `{}`, "X-GitHub-Request-Id", "1", "X-GitHub-Enterprise-Version", "enterprise-server@2.21.0")), "GitHub Enterprise Server 2.21.0"},
		"an unknown org":      {plain(github(t, "3.18.0", 404, `{}`)), "knows no organisation acme: check the name"},
		"a person":            {plain(github(t, "3.18.0", 200, `{"type":"User"}`)), "acme is a person at"},
		"a broken look-up":    {plain(github(t, "3.18.0", 0, "")), "answers with a web page"},
		"no address":          {"https://", "is not an address"},
		"nothing of the kind": {"://", "is not an address"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.o.GitHub, w.o.API, w.o.URL = c.server, c.server+"/api/v3/", "https://rung.example.com"
			has(t, w.refused(), c.says)
			if _, err := os.Stat(w.dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the directory: %v", err)
			}
		})
	}
}

// github is a server that says its version, and one thing of accounts; 0 is a page.
func github(t *testing.T, version string, status int, account string) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-GitHub-Request-Id", "1")
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/meta") {
			_, _ = w.Write([]byte(`{"installed_version":"` + version + `"}`))
			return
		}
		if status == 0 {
			w.Header().Set("Content-Type", "text/html")
			status = 500
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(account))
	}
}

// TestAServerWithoutMergeQueues is not asked for them; one that tells nobody of its
// accounts is believed.
func TestAServerWithoutMergeQueues(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(github(t, "3.11.9", 401, `{"message":"Must authenticate to access this API."}`))
	t.Cleanup(server.Close)
	w.o.GitHub, w.o.API = server.URL, server.URL+"/api/v3/"
	w.begin()
	b := person.New(t)
	p := b.Get(w.setup.Link())
	to, form := b.Form(p, toGitHub)
	if m := form.Get("manifest"); strings.Contains(m, "merge_") || !strings.Contains(m, `"actions":"read"`) {
		t.Errorf("the manifest: %s", m)
	}
	has(t, p.Text, "Left out, because this server is too old for it: merge queues", "GitHub Enterprise Server 3.11.9")
	has(t, to, server.URL+"/organizations/acme/settings/apps/new?state=")
	if got := w.setup.Without(); !slices.Equal(got, []string{"merge_queues"}) {
		t.Errorf("without %v", got)
	}
}

// TestLeaveOut takes a permission and its events out of the manifest.
func TestLeaveOut(t *testing.T) {
	w := newWorld(t)
	w.o.Without = []string{"packages", "members"}
	w.begin()
	form := w.form()
	if m := form.Get("manifest"); strings.Contains(m, "package") || strings.Contains(m, "members") {
		t.Errorf("the manifest: %s", m)
	}
	for _, name := range []string{"contents", "administration", ""} {
		w.o.Without = []string{name}
		has(t, w.refused(), "what can be left out is actions, deployments, merge_queues, packages, members")
	}
}

// TestTheDirectory is new or one's own, and takes what is to be written.
func TestTheDirectory(t *testing.T) {
	base := t.TempDir()
	make := func(name string, mode os.FileMode) string {
		dir := filepath.Join(base, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	put := func(path string) string {
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	data := make("data", 0o700)
	link := filepath.Join(base, "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	full := make("full", 0o700)
	put(filepath.Join(full, "rung-root"))
	put(filepath.Join(full, "rung.env"))
	dangling := make("dangling", 0o700)
	if err := os.Symlink("/nowhere", filepath.Join(dangling, "app.pem")); err != nil {
		t.Fatal(err)
	}
	file := put(filepath.Join(base, "file"))
	for dir, says := range map[string]string{
		data:                        "lies in the data directory",
		filepath.Join(data, "keys"): "lies in the data directory",
		filepath.Join(link, "keys"): "lies in the data directory",
		full:                        "has rung-root, rung.env already, and nothing is overwritten: move the files away",
		dangling:                    "has app.pem already",
		make("open", 0o755):         "may be read or changed by others (mode 0755): run chmod 700",
		file:                        "is a file, not a directory",
		filepath.Join(file, "x"):    "can't be looked at (not a directory)",
		"/proc/rung-secrets":        "can't be made",
		"":                          "--dir names no directory",
	} {
		w := newWorld(t)
		w.o.Dir, w.o.Data = dir, data
		has(t, w.refused(), says)
	}
	if got, err := os.ReadFile(filepath.Join(full, "rung.env")); err != nil || string(got) != "mine" {
		t.Errorf("overwritten: %s %v", got, err)
	}
	w := newWorld(t)
	w.o.Dir = make("mine", 0o700) // stays when nobody comes
	s, err := setup.New(t.Context(), w.o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.o.Dir); err != nil {
		t.Error(err)
	}
}

// TestInAWorkTree git is told to leave the secrets alone.
func TestInAWorkTree(t *testing.T) {
	w := newWorld(t)
	tree := t.TempDir()
	if err := os.Mkdir(filepath.Join(tree, ".git"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.dir = filepath.Join(tree, "a", "b")
	w.o.Dir = w.dir
	w.begin()
	b := person.New(t)
	b.Get(w.code(b).String())
	if o := w.wait(); o.err != nil {
		t.Fatal(o.err)
	}
	if got := w.file(".gitignore"); got != "*\n" {
		t.Errorf(".gitignore: %q", got)
	}
}

// TestListen takes a free loopback address.
func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for address, says := range map[string]string{
		taken.Addr().String(): "address already in use): name another port, or none for a free one",
		"0.0.0.0:8765":        "listens on loopback only, because whoever reaches it first would own the App; use 127.0.0.1:8765 and ssh -L",
		":8765":               "listens on loopback only",
		"192.0.2.1:1":         "listens on loopback only",
		"rung.example.com:80": "listens on loopback only",
		"8765":                "is not host:port",
		"127.0.0.1:http2x":    "can't listen on",
	} {
		w := newWorld(t)
		w.o.Listen = address
		has(t, w.refused(), says)
		if _, err := os.Stat(w.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the directory: %v", err)
		}
	}
}

// TestTheAddressesAndNames that people give.
func TestTheAddressesAndNames(t *testing.T) {
	for _, c := range []struct{ github, url, org, name, says string }{
		{"", "", "", "", "--url is missing"},
		{"", "rung.example.com", "", "", "is not an address"},
		{"", "https://", "", "", "is not an address"},
		{"", "https://u:p@rung.example.com", "", "", "is not an address"},
		{"", "https://rung.example.com/?a", "", "", "is not an address"},
		{"", "http://rung.example.com", "", "", "must begin with https://"},
		{"https://github.com", "http://127.0.0.1:8080", "", "", "must begin with https://"},
		{"https://github.com", "https://localhost", "", "", "can't be reached from github.com, which refuses"},
		{"https://github.com", "https://10.1.2.3", "", "", "can't be reached from github.com"},
		{"https://acme.ghe.com", "https://192.168.1.1:8443", "", "", "can't be reached from acme.ghe.com"},
		{"", "https://rung.example.com", "https://github.com/acme", "", "is not an organisation's name"},
		{"", "https://rung.example.com", "-acme", "", "is not an organisation's name"},
		{"", "https://rung.example.com", "../acme", "", "is not an organisation's name"},
		{"", "https://rung.example.com", "acme", strings.Repeat("x", 35), "--name is 35 bytes long; GitHub takes 34"},
	} {
		w := newWorld(t)
		if c.github != "" {
			w.o.GitHub = c.github
		}
		w.o.URL, w.o.Org, w.o.Name = c.url, c.org, c.name
		has(t, w.refused(), c.says)
	}
	for url, hook := range map[string]string{
		"https://rung.example.com":                      "https://rung.example.com/github/webhook",
		"https://rung.example.com/":                     "https://rung.example.com/github/webhook",
		"https://ops.example.com/rung/":                 "https://ops.example.com/rung/github/webhook",
		"https://rung.example.com/github/webhook":       "https://rung.example.com/github/webhook",
		"https://ops.example.com:8443/a/github/webhook": "https://ops.example.com:8443/a/github/webhook",
	} {
		w := newWorld(t)
		w.o.URL = url
		w.begin()
		form := w.form()
		has(t, form.Get("manifest"), `"hook_attributes":{"url":"`+hook+`","active":true}`, `"public":false`)
	}
}
