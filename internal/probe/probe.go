// Package probe asks health sources outside the forge whether a release works:
// today HTTP addresses. It observes; what a reading means is for gates to say.
//
// State. HTTP has none. Memory remembers since when each source has said the
// same of each release, so that one bad sample is not taken for an outage. It
// lives in the process alone: after a restart every "since" begins anew, which
// can make a release wait longer and never shorter.
//
// Invariants. Only a 2xx answer passes. An answer with another status fails;
// no answer, one that comes too late, or a certificate that is not accepted is
// unknown, which holds. Every probe has a deadline, reads little, and follows
// redirects on its own host only. What rung puts into an address is escaped
// and can't choose the host, unless the word comes from rung.yaml itself.
//
// Concurrency. Everything may be used by several goroutines; Many bounds how
// many probes are under way.
//
// What it does not do: it keeps no time table (the caller asks again), and it
// doesn't judge.
package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rungbot/rung/internal/promotion"
)

// Bounds of one probe.
const (
	defaultTimeout = 5 * time.Second
	longestTimeout = time.Minute
	bodyLimit      = 64 << 10
	redirectLimit  = 5
	defaultAtOnce  = 8
)

// Values replace the placeholders of a source's address.
type Values struct {
	Version     promotion.Version
	Digest      promotion.Digest
	Environment promotion.Environment
	Artifact    promotion.Artifact
}

// HTTP probes addresses.
type HTTP struct {
	// Transport carries the requests; nil is net/http's default. It should
	// reuse few connections: each probe is meant to find out something new.
	Transport http.RoundTripper
	// Now is the clock of HealthReading.At; nil is time.Now.
	Now func() time.Time
}

// Probe asks one source once. It always answers: what went wrong is in the
// reading's Detail. Since is left zero; see Memory.
func (h HTTP) Probe(ctx context.Context, source promotion.HealthSource, v Values) promotion.HealthReading {
	now := h.Now
	if now == nil {
		now = time.Now
	}
	reading := promotion.HealthReading{Source: source, Status: promotion.StatusUnknown}
	address, err := expand(source.HTTP, v)
	if err != nil {
		reading.Detail, reading.At = err.Error(), now()
		return reading
	}
	reading.URL = address.Redacted()
	timeout := source.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	timeout = min(timeout, longestTimeout)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	reading.Status, reading.Detail = h.ask(ctx, address, timeout)
	reading.At = now()
	return reading
}

// ask sends the request and reads the answer's status.
func (h HTTP) ask(ctx context.Context, address *url.URL, timeout time.Duration) (promotion.Status, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return promotion.StatusUnknown, "the address can't be asked"
	}
	req.Header.Set("User-Agent", "rung")
	client := &http.Client{Transport: h.Transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if next.URL.Host != address.Host || next.URL.Scheme != address.Scheme || len(via) > redirectLimit {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	resp, err := client.Do(req)
	if err != nil {
		return promotion.StatusUnknown, reason(err, timeout)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, bodyLimit))
	detail := strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return promotion.StatusPass, detail
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return promotion.StatusFail, detail + ": redirects are followed on the same host only"
	}
	return promotion.StatusFail, detail
}

// reason says plainly why there is no answer, without the address.
func reason(err error, timeout time.Duration) string {
	var (
		dns  *net.DNSError
		op   *net.OpError
		long net.Error
		text = err.Error()
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "the probe was given up"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &long) && long.Timeout():
		return "no answer within " + timeout.String()
	case errors.As(err, &dns):
		return "its name has no address"
	case strings.Contains(text, "x509:"), strings.Contains(text, "certificate"):
		return "its TLS certificate is not accepted"
	case strings.Contains(text, "tls:"), strings.Contains(text, "HTTP response to HTTPS"):
		return "it does not speak TLS as it should"
	case errors.As(err, &op) && op.Op == "dial":
		return "no connection"
	}
	return "the connection ended without an answer"
}

// expand puts the values into an address. Version and digest come from outside
// and may not stand in the host.
func expand(template string, v Values) (*url.URL, error) {
	rest, ok := strings.CutPrefix(template, "https://")
	scheme := "https://"
	if !ok {
		if rest, ok = strings.CutPrefix(template, "http://"); !ok {
			return nil, errors.New("the address must begin with https:// or http://")
		}
		scheme = "http://"
	}
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	host, path := rest[:end], rest[end:]
	if strings.Contains(host, "{version}") || strings.Contains(host, "{digest}") {
		return nil, errors.New("{version} and {digest} may stand in the path or the query of the address, not in its host")
	}
	path, query, hasQuery := strings.Cut(path, "?")
	full := scheme + fill(host, v, url.PathEscape) + fill(path, v, url.PathEscape)
	if hasQuery {
		full += "?" + fill(query, v, url.QueryEscape)
	}
	u, err := url.Parse(full)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("the address is not a URL")
	}
	u.Fragment = ""
	return u, nil
}

// fill replaces each placeholder once; what a value holds is not looked at
// again.
func fill(s string, v Values, escape func(string) string) string {
	return strings.NewReplacer(
		"{version}", escape(string(v.Version)), "{digest}", escape(string(v.Digest)),
		"{environment}", escape(string(v.Environment)), "{artifact}", escape(string(v.Artifact)),
	).Replace(s)
}

// Target is one source to ask about one release.
type Target struct {
	Source promotion.HealthSource
	Values Values
}

// Many asks all targets side by side, at most atOnce (0: eight) at a time. The
// readings are in the order of the targets.
func (h HTTP) Many(ctx context.Context, targets []Target, atOnce int) []promotion.HealthReading {
	if atOnce <= 0 {
		atOnce = defaultAtOnce
	}
	readings := make([]promotion.HealthReading, len(targets))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, target := range targets {
		group.Go(func() error {
			readings[i] = h.Probe(ctx, target.Source, target.Values)
			return nil
		})
	}
	_ = group.Wait() // no probe returns an error
	return readings
}
