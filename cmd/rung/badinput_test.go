package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatIsWrongWithTheAppIsOneSentence: a wrong host, number, key or clock, and a
// wrong name, each end in what to look at.
func TestWhatIsWrongWithTheAppIsOneSentence(t *testing.T) {
	answering := func(status int, kind, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if code, out, problem := ran(t, nil, "keys", "init", dir); code != 0 {
		t.Fatal(out, problem)
	}
	app := filepath.Join(dir, "app.pem")
	if err := os.WriteFile(app, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600); err != nil {
		t.Fatal(err)
	}
	const page, document = "text/html", "application/json"
	for name, c := range map[string]struct {
		server string
		args   []string
		want   []string
	}{
		"nothing listens": {gone.URL, []string{"plan", "acme/environments"}, []string{"RUNG_GITHUB_URL", gone.URL, "right"}},
		"a web page":      {answering(200, page, "<html>hello"), []string{"plan", "acme/environments"}, []string{"RUNG_GITHUB_URL", "right"}},
		"another number": {
			answering(404, document, `{"message": "Integration not found"}`),
			[]string{"init", "--pull-request", "acme/environments"},
			[]string{"RUNG_GITHUB_APP_ID", "77", "the server that has it"},
		},
		"another App's key": {
			answering(401, document, `{"message": "A JSON web token could not be decoded"}`),
			[]string{"init", "--pull-request", "acme/environments"},
			[]string{"RUNG_GITHUB_PRIVATE_KEY", "RUNG_GITHUB_APP_ID", "clock"},
		},
		"a clock that is an hour ahead": {
			answering(401, document, `{"message": "'Expiration time' claim ('exp') is too far in the future"}`),
			[]string{"reconcile", "--once"},
			[]string{"clock", "too far in the future"},
		},
		"no name, to init":      {gone.URL, []string{"init", "--pull-request", "environments"}, []string{`"environments" is no repository: write it as OWNER/NAME`}},
		"no name, to plan":      {gone.URL, []string{"plan", "acme/environments/dev"}, []string{"write it as OWNER/NAME"}},
		"no name, to reconcile": {gone.URL, []string{"reconcile", "--once", "acme/environments", "/x"}, []string{"write it as OWNER/NAME"}},
		"no name, to doctor":    {gone.URL, []string{"doctor", "acme"}, []string{"write it as OWNER/NAME"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{
				"RUNG_GITHUB_URL=" + c.server, "RUNG_GITHUB_APP_ID=77", "RUNG_GITHUB_PRIVATE_KEY_FILE=" + app,
				"RUNG_SIGNING_KEY_FILE=" + filepath.Join(dir, "rung-release"), "RUNG_DATA=" + t.TempDir(),
			}
			code, out, said := ran(t, env, c.args...)
			if code != 2 || out != "" || strings.Count(said, "\n") != 1 {
				t.Errorf("exit code %d, %q, %q", code, out, said)
			}
			for _, w := range c.want {
				if !strings.Contains(said, w) {
					t.Errorf("%q does not say %q", said, w)
				}
			}
		})
	}
}
