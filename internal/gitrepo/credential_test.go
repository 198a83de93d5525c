package gitrepo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

const token = "ghs_not-a-real-one"

func TestCredentialScope(t *testing.T) {
	var got string
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		got = r.Header.Get("Authorization")
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	})
	transport, err := NewCredentialTransport(base, "https://git.acme.example/acme/shop.git", func(context.Context) (string, error) { return token, nil })
	if err != nil {
		t.Fatal(err)
	}
	with := "Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+token))
	for target, want := range map[string]string{
		"https://git.acme.example/acme/shop.git/git-upload-pack":      with,
		"https://git.acme.example/acme/shop.git/info/refs?service=x":  with,
		"https://GIT.acme.example/acme/shop.git":                      with,
		"http://git.acme.example/acme/shop.git/git-upload-pack":       "",
		"https://git.acme.example:8443/acme/shop.git/git-upload-pack": "",
		"https://evil.example/acme/shop.git/git-upload-pack":          "",
		"https://git.acme.example.evil.example/acme/shop.git/x":       "",
		"https://git.acme.example/acme/shop.git-evil/git-upload-pack": "",
		"https://git.acme.example/acme/other.git/git-upload-pack":     "",
		"https://git.acme.example/acme/shop.git/../other.git/x":       "",
		"https://git.acme.example/acme/shop.git/%2e%2e/other.git/x":   "",
		"https://git.acme.example/acme/shop.git%2fx":                  "",
		"https://someone@git.acme.example/acme/shop.git/x":            "",
		"https://git.acme.example/":                                   "",
	} {
		got = "nothing came"
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		if req.URL, err = req.URL.Parse(target); err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
		if req.Header.Get("Authorization") != "" {
			t.Error("the caller's request was changed")
		}
	}
	if s := fmt.Sprintf("%v %s", transport, transport); strings.Contains(s, token) {
		t.Error(s)
	}
}

// TestCredentialStaysAtHome: a redirect to another host carries no token, with
// a plain client as with a Remote.
func TestCredentialStaysAtHome(t *testing.T) {
	leaked := ""
	away := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		leaked += r.Header.Get("Authorization") + r.URL.String()
	}))
	defer away.Close()
	asked := 0
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pass, ok := r.BasicAuth(); ok && pass == token {
			asked++
		}
		http.Redirect(w, r, away.URL+"/acme/shop.git/info/refs", http.StatusMovedPermanently)
	}))
	defer home.Close()
	transport, err := NewCredentialTransport(nil, home.URL+"/acme/shop.git", func(context.Context) (string, error) { return token, nil })
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport}
	r, err := Open(home.URL+"/acme/shop.git", client, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Refs(t.Context()); !errors.Is(err, ErrMoved) || strings.Contains(err.Error(), token) {
		t.Error(err)
	}
	if leaked != "" || asked != 1 {
		t.Errorf("the redirect was followed: %q, %d", leaked, asked)
	}
	resp, err := client.Get(home.URL + "/acme/shop.git/x")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if !strings.HasPrefix(leaked, "/acme") {
		t.Errorf("the other host was told %q", leaked)
	}
}

// TestTokenMissing: without a token nothing is sent, and a push says so.
func TestTokenMissing(t *testing.T) {
	sent := 0
	base := roundTripFunc(func(*http.Request) (*http.Response, error) { sent++; return nil, errors.New("no") })
	gone := errors.New("installation suspended")
	transport, err := NewCredentialTransport(base, "https://git.acme.example/acme/shop.git", func(context.Context) (string, error) { return "", gone })
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open("https://git.acme.example/acme/shop.git", &http.Client{Transport: transport}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := r.WriteBlob([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	r.servers.setReceive(r.server, receiveCaps{atomic: true})
	report, err := r.Push(t.Context(), []RefUpdate{{Ref: "refs/heads/x", New: h}}, PushOptions{})
	if !errors.Is(err, gone) || errors.Is(err, ErrUnknownOutcome) || sent != 0 || statuses(report) != "held" {
		t.Error(err, sent, statuses(report))
	}
}

func TestOpenRefuses(t *testing.T) {
	const secret = "hunter2"
	for _, u := range []string{
		"https://x-access-token:" + secret + "@git.acme.example/acme/shop.git", "https://git.acme.example:" + secret + "/acme/shop.git",
		"https://git.acme.example/%zz" + secret, "https://git.acme.example/acme/shop.git?token=" + secret, "https://git.acme.example/acme/shop.git#" + secret,
		"ssh://git@git.acme.example/" + secret, "file:///" + secret, "git.acme.example/" + secret, "https:" + secret, "https:///" + secret, "https://git.acme.example",
		"https://git.acme.example/a/../" + secret, "https://git.acme.example/a%2f" + secret, "",
	} {
		_, err := Open(u, nil, Options{})
		if err == nil {
			t.Errorf("%q was opened", u)
			continue
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error repeats the URL: %v", err)
		}
		if _, err := NewCredentialTransport(nil, u, func(context.Context) (string, error) { return token, nil }); err == nil {
			t.Errorf("%q was taken as a scope", u)
		}
	}
	if _, err := NewCredentialTransport(nil, "https://git.acme.example/x", nil); err == nil {
		t.Error("no token source, taken")
	}
}

func TestARefusedTokenIsTold(t *testing.T) {
	status := http.StatusOK
	base := roundTripFunc(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: http.NoBody, Request: r}, nil
	})
	transport, err := NewCredentialTransport(base, "https://git.acme.example/acme/shop.git", func(context.Context) (string, error) { return token, nil })
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	transport.OnRefused(func(token string) { told = append(told, token) })
	for _, answer := range []int{http.StatusOK, http.StatusForbidden, http.StatusUnauthorized} {
		status = answer
		req := httptest.NewRequest(http.MethodGet, "https://git.acme.example/acme/shop.git/info/refs", nil)
		req.RequestURI = ""
		if _, err := transport.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || told[0] != token {
		t.Errorf("told of %d tokens, want the one that was answered with 401", len(told))
	}
}
