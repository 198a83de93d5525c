package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
	// maxRetryAfter bounds what a server may ask us to wait.
	maxRetryAfter = time.Hour
)

// errNotSent marks a request that never left.
var errNotSent = errors.New("nothing was sent")

// request does one request and returns the answer's body, bounded in size. op
// names it in errors. A nil body means GET of the service's advertisement.
func (r *Remote) request(ctx context.Context, op, service string, body []byte) (io.ReadCloser, error) {
	if r.clone != nil {
		return nil, fmt.Errorf("git %s: %w", op, ErrOffline)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("git %s: %w: %w", op, errNotSent, err)
	}
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	resp, err := r.roundTrip(ctx, service, body)
	if err != nil {
		cancel()
		return nil, transportError(op, err)
	}
	if err := checkStatus(op, resp); err != nil {
		_ = resp.Body.Close()
		cancel()
		return nil, err
	}
	suffix := "-result"
	if body == nil {
		suffix = "-advertisement"
	}
	if got := resp.Header.Get("Content-Type"); got != "application/x-"+service+suffix {
		_ = resp.Body.Close()
		cancel()
		return nil, fmt.Errorf("git %s: %w: content type %q; is this the address of a git repository?", op, ErrProtocol, printable(got, 60))
	}
	return &boundedBody{op: op, body: resp.Body, left: r.options.MaxResponse, cancel: cancel}, nil
}

// roundTrip sends the request. Redirects are not followed.
func (r *Remote) roundTrip(ctx context.Context, service string, body []byte) (*http.Response, error) {
	method, target := http.MethodPost, r.url+"/"+service
	if body == nil {
		method, target = http.MethodGet, r.url+"/info/refs?service="+service
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if service == uploadPack {
		req.Header.Set("Git-Protocol", "version=2")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-"+service+"-request")
		req.Header.Set("Accept", "application/x-"+service+"-result")
	}
	// Packs are compressed already, and servers differ in what they compress.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "git/"+r.options.Agent)
	return r.client.Do(req)
}

// transportError describes a request without an answer, without its URL.
func transportError(op string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("git %s: %w: %w: %w", op, ErrUnavailable, errNotSent, err)
	}
	return fmt.Errorf("git %s: %w: %w", op, ErrUnavailable, err)
}

// checkStatus makes an error of any status but 200.
func checkStatus(op string, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	e := &HTTPError{Op: op, Status: resp.StatusCode, kind: ErrProtocol, RetryAfter: retryAfter(resp.Header)}
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound || code == http.StatusGone:
		e.kind = ErrNotFound
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.kind = ErrAuthentication
		if e.RetryAfter > 0 {
			e.kind = ErrUnavailable
		}
	case code >= 300 && code < 400:
		e.kind = ErrMoved
		if to, err := resp.Location(); err == nil {
			e.Text = printable("to "+to.Scheme+"://"+to.Host+to.Path, 200)
		}
		return e
	case code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout:
		e.kind = ErrUnavailable
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	e.Text = printable(string(text), 200)
	return e
}

// retryAfter reads the header in its form of seconds.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(min(seconds, int(maxRetryAfter/time.Second)))*time.Second, maxRetryAfter)
}

// boundedBody is an answer's body, cut off with ErrTooLarge at the limit.
type boundedBody struct {
	op     string
	body   io.ReadCloser
	left   int64
	cancel context.CancelFunc
}

// Read reads, and fails once more than the limit has come.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, fmt.Errorf("git %s: %w: the server's answer is too long", b.op, ErrTooLarge)
	}
	return n, err
}

// Close releases the connection.
func (b *boundedBody) Close() error {
	err := b.body.Close()
	b.cancel()
	return err
}

// readError describes an answer that broke off or broke the protocol.
func readError(op string, err error) error {
	switch {
	case errors.Is(err, ErrTooLarge):
		return err
	case errors.Is(err, ErrProtocol), errors.Is(err, ErrMissing):
		return fmt.Errorf("git %s: %w", op, err)
	}
	return fmt.Errorf("git %s: %w: the answer broke off: %w", op, ErrUnavailable, err)
}
