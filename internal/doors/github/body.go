package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// firstRead is how much is set aside for a body before its first byte.
const firstRead = 16 << 10

var (
	errTooLarge = errors.New("body too large")
	errBusy     = errors.New("too many bytes in flight")
)

// allowance bounds the bytes that all bodies hold together.
type allowance struct {
	limit int64
	used  atomic.Int64
}

// take sets n bytes aside, if they are left.
func (a *allowance) take(n int64) bool {
	if a.used.Add(n) > a.limit {
		a.used.Add(-n)
		return false
	}
	return true
}

func (a *allowance) release(n int64) { a.used.Add(-n) }

// readBody reads the body up to limit bytes. What it holds is set aside as it
// grows, not by what the sender claims; release gives it back and must be
// called once, error or not.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, allowed *allowance) (body []byte, release func(), err error) {
	held := int64(0)
	release = func() { allowed.release(held) }
	if r.ContentLength > limit {
		return nil, release, errTooLarge
	}
	source := http.MaxBytesReader(w, r.Body, limit)
	for {
		if len(body) == cap(body) {
			size := min(max(firstRead, 2*int64(cap(body))), limit+1)
			if !allowed.take(size - held) {
				return nil, release, errBusy
			}
			held = size
			body = append(make([]byte, 0, size), body...)
		}
		n, err := source.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var tooLarge *http.MaxBytesError
		switch {
		case errors.Is(err, io.EOF):
			return body, release, nil
		case errors.As(err, &tooLarge):
			return nil, release, errTooLarge
		case err != nil:
			return nil, release, err
		}
	}
}

// signature reads the header X-Hub-Signature-256: once, sha256= and 64
// hexadecimal digits. The SHA-1 header is never looked at.
func signature(header http.Header) ([]byte, bool) {
	values := header.Values("X-Hub-Signature-256")
	if len(values) != 1 {
		return nil, false
	}
	digits, ok := strings.CutPrefix(values[0], "sha256=")
	if !ok || len(digits) != 2*sha256.Size {
		return nil, false
	}
	sum, err := hex.DecodeString(digits)
	return sum, err == nil
}

// matching returns the index of the secret that signed body, or -1. Every
// secret is tried, each in constant time.
func matching(secrets [][]byte, body, sum []byte) int {
	match := -1
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), sum) && match < 0 {
			match = i
		}
	}
	return match
}

// limitReading gives the body until d from now, where the connection can be
// told, and has the connection closed behind an answer that did not wait for
// the whole body: the server would read the rest without a limit in time.
func limitReading(w http.ResponseWriter, d time.Duration) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d)) // not everywhere supported
}

// noMoreToRead lifts both: the connection can serve another request.
func noMoreToRead(w http.ResponseWriter) {
	w.Header().Del("Connection")
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // as above
}

// readError is the answer to a body that could not be read.
func readError(err error) answer {
	switch {
	case errors.Is(err, errTooLarge):
		return answer{status: http.StatusRequestEntityTooLarge, text: "the body is larger than this server takes"}
	case errors.Is(err, errBusy):
		return answer{status: http.StatusServiceUnavailable, text: "busy, deliver again later"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return answer{status: http.StatusRequestTimeout, text: "the body came too slowly"}
	default:
		return answer{status: http.StatusBadRequest, text: "the body could not be read"}
	}
}
