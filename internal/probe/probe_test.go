package probe

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

var values = Values{Version: "1.4.2+b 1/..", Digest: promotion.Digest("sha256:" + strings.Repeat("a", 64)), Environment: "prod-eu", Artifact: "checkout"}

func source(address string) promotion.HealthSource { return promotion.HealthSource{HTTP: address} }

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func TestStatusesOfAnswers(t *testing.T) {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for code, want := range map[int]promotion.Status{
		200: promotion.StatusPass, 204: promotion.StatusPass, 299: promotion.StatusPass,
		304: promotion.StatusFail, 401: promotion.StatusFail, 404: promotion.StatusFail, 418: promotion.StatusFail,
		500: promotion.StatusFail, 503: promotion.StatusFail, 599: promotion.StatusFail,
	} {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		got := HTTP{Now: func() time.Time { return at }}.Probe(t.Context(), source(address), values)
		if got.Status != want || got.At != at || !got.Since.IsZero() || got.URL != address || !strings.HasPrefix(got.Detail, fmt.Sprint(code)) {
			t.Errorf("%d: %+v, want %s", code, got, want)
		}
	}
}

func TestPlaceholdersAreEscaped(t *testing.T) {
	var got string
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.RequestURI })
	reading := HTTP{}.Probe(t.Context(), source(address+"/{environment}/{artifact}/{version}?v={version}&d={digest}&x={unknown}"), values)
	want := "/prod-eu/checkout/1.4.2+b%201%2F..?v=1.4.2%2Bb+1%2F..&d=sha256%3A" + strings.Repeat("a", 64) + "&x={unknown}"
	if reading.Status != promotion.StatusPass || got != want {
		t.Errorf("asked %s, want %s (%+v)", got, want, reading)
	}
}

// What comes from outside can't choose the host that is asked.
func TestAddressesThatAreRefused(t *testing.T) {
	for address, want := range map[string]string{
		"https://{version}.example/":           "not in its host",
		"https://{digest}/":                    "not in its host",
		"https://user:{version}@host.example/": "not in its host",
		"ftp://host.example/":                  "must begin with",
		"host.example":                         "must begin with",
		"https://":                             "not a URL",
		"https://ho st/":                       "not a URL",
		"":                                     "must begin with",
	} {
		got := HTTP{Transport: refuse{t}}.Probe(t.Context(), source(address), values)
		if got.Status != promotion.StatusUnknown || !strings.Contains(got.Detail, want) {
			t.Errorf("%q: %+v, want %q", address, got, want)
		}
	}
	u, err := expand("https://{environment}.{artifact}.example/x", values)
	if err != nil || u.Host != "prod-eu.checkout.example" {
		t.Errorf("got %v, %v", u, err)
	}
}

type refuse struct{ t *testing.T }

func (r refuse) RoundTrip(req *http.Request) (*http.Response, error) {
	r.t.Errorf("%s was asked", req.URL)
	return nil, io.EOF
}

func TestNoAnswerIsUnknown(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	tlsServer := httptest.NewUnstartedServer(http.NotFoundHandler())
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0)
	tlsServer.StartTLS()
	t.Cleanup(tlsServer.Close)
	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	for name, tt := range map[string]struct{ address, want string }{
		"no connection":  {closed.URL, "no connection"},
		"certificate":    {tlsServer.URL, "certificate is not accepted"},
		"not TLS":        {strings.Replace(plain, "http:", "https:", 1), "does not speak TLS"},
		"cut connection": {serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "without an answer"},
		"no such name":   {"http://rung.invalid/", ""},
	} {
		got := HTTP{}.Probe(t.Context(), source(tt.address), values)
		if got.Status != promotion.StatusUnknown || !strings.Contains(got.Detail, tt.want) || got.At.IsZero() {
			t.Errorf("%s: %+v, want %q", name, got, tt.want)
		}
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for given, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Second: time.Second, time.Hour: time.Minute} {
			start := time.Now()
			s := source("https://host.example/")
			s.Timeout = given
			got := HTTP{Transport: never{}}.Probe(t.Context(), s, values)
			if got.Status != promotion.StatusUnknown || time.Since(start) != want || got.Detail != "no answer within "+want.String() {
				t.Errorf("timeout %v: %+v after %v", given, got, time.Since(start))
			}
		}
	})
}

// never is a server that does not answer.
type never struct{}

func (never) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestRedirectsStayOnTheHost(t *testing.T) {
	var elsewhere atomic.Int64
	other := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/good", http.StatusFound)
		case "/other":
			http.Redirect(w, r, other, http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		}
	})
	for path, want := range map[string]promotion.Status{"/same": promotion.StatusPass, "/other": promotion.StatusFail, "/loop": promotion.StatusFail} {
		if got := (HTTP{}).Probe(t.Context(), source(address+path), values); got.Status != want {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("another host was asked")
	}
}

func TestCredentialsInAnAddressAreNotShown(t *testing.T) {
	got := HTTP{Transport: never{}}.Probe(canceled(t), source("https://user:hunter2@host.example/"), values)
	if strings.Contains(got.URL+got.Detail, "hunter2") || got.Status != promotion.StatusUnknown {
		t.Errorf("got %+v", got)
	}
}

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestEndlessBodyIsNotRead(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		chunk := make([]byte, 32<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if got := (HTTP{}).Probe(t.Context(), source(address), values); got.Status != promotion.StatusPass {
		t.Errorf("got %+v", got)
	}
}

func TestManyAreSideBySideWithinTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &slowly{}
		var targets []Target
		for i := range 10 {
			targets = append(targets, Target{Source: source(fmt.Sprintf("https://h%d.example/", i)), Values: values})
		}
		start := time.Now()
		readings := HTTP{Transport: slow}.Many(t.Context(), targets, 4)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		if slow.most.Load() != 4 {
			t.Errorf("%d at once", slow.most.Load())
		}
		for i, r := range readings {
			if r.URL != targets[i].Source.HTTP || r.Status != promotion.StatusPass {
				t.Errorf("%d: %+v", i, r)
			}
		}
	})
}

// slowly answers after a second.
type slowly struct{ now, most atomic.Int64 }

func (s *slowly) RoundTrip(req *http.Request) (*http.Response, error) {
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for m := s.most.Load(); n > m && !s.most.CompareAndSwap(m, n); m = s.most.Load() {
	}
	select {
	case <-time.After(time.Second):
	case <-req.Context().Done():
	}
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
}

func TestMemoryKnowsSinceWhen(t *testing.T) {
	start := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	var m Memory
	note := func(release string, minute int, status promotion.Status) time.Duration {
		r := m.Note(release, promotion.HealthReading{Source: source("https://a"), Status: status, At: start.Add(time.Duration(minute) * time.Minute)})
		return r.Since.Sub(start)
	}
	pass, fail, unknown := promotion.StatusPass, promotion.StatusFail, promotion.StatusUnknown
	for i, step := range []struct {
		release string
		minute  int
		status  promotion.Status
		since   time.Duration
	}{
		{"r1", 0, pass, 0},
		{"r1", 1, pass, 0},
		{"r1", 2, fail, 2 * time.Minute},
		{"r1", 3, fail, 2 * time.Minute},
		{"r2", 3, fail, 3 * time.Minute},    // another release
		{"r1", 4, unknown, 4 * time.Minute}, // an interruption
		{"r1", 5, fail, 5 * time.Minute},    // begins anew
		{"r1", 4, fail, 5 * time.Minute},    // a sample that came late
		{"r1", 14, fail, 5 * time.Minute},   // within the gap
		{"r1", 25, fail, 25 * time.Minute},  // nobody looked for too long
		{"r1", 26, pass, 26 * time.Minute},
	} {
		if got := note(step.release, step.minute, step.status); got != step.since {
			t.Errorf("step %d: since %v, want %v", i, got, step.since)
		}
	}
	m.Keep(map[string]bool{"r1": true})
	if got := note("r2", 27, fail); got != 27*time.Minute {
		t.Errorf("r2 was kept: %v", got)
	}
	if got := note("r1", 27, pass); got != 26*time.Minute {
		t.Errorf("r1 was not kept: %v", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var m Memory
	at := time.Unix(1000, 0)
	for i := range memoryEntries + 2 {
		m.Note(fmt.Sprint(i), promotion.HealthReading{Status: promotion.StatusPass, At: at.Add(time.Duration(i))})
	}
	if len(m.entries) != memoryEntries {
		t.Errorf("%d entries", len(m.entries))
	}
	if _, kept := m.entries[memoryKey{"0", ""}]; kept {
		t.Error("the oldest was kept")
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("https://host.example/{version}?d={digest}", "1.0.0")
	f.Add("http://{environment}.example", "../../x#y")
	f.Add("https://a/{version}{version}", "{digest}@evil.example/")
	f.Fuzz(func(t *testing.T, template, version string) {
		with, err := expand(template, Values{Version: promotion.Version(version), Environment: "dev"})
		if err != nil {
			return
		}
		without, err := expand(template, Values{Version: "1", Environment: "dev"})
		if err == nil && (with.Host != without.Host || with.Scheme != without.Scheme) {
			t.Errorf("version %q moves %q from %s to %s", version, template, without.Host, with.Host)
		}
	})
}
