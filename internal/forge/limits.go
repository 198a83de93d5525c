package forge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Pace are limits on writes that a Client keeps by itself, below GitHub's own
// secondary limits, which can't be asked for. 0 is no limit. A write over the
// limit is not sent: it fails with a *RateLimitedError.
type Pace struct {
	// ContentPerMinute and ContentPerHour bound requests that create content:
	// pull requests, merges, comments, reactions.
	ContentPerMinute int
	ContentPerHour   int
	// WritesPerMinute bounds all other writes, such as check runs.
	WritesPerMinute int
	// Reserve is the share of each limit, in hundredths, that is kept for
	// requests under WithUrgency.
	Reserve int
}

// DefaultPace is GitHub's documented 80 a minute and 500 an hour for content,
// and 5 of 900 points a minute for another write.
var DefaultPace = Pace{ContentPerMinute: 80, ContentPerHour: 500, WritesPerMinute: 170, Reserve: 10}

type urgencyKey struct{}

// WithUrgency marks the work under ctx as urgent (a rollback): it may use the
// reserved share of the pace.
func WithUrgency(ctx context.Context) context.Context {
	return context.WithValue(ctx, urgencyKey{}, true)
}

// Urgent reports whether the work under ctx was marked by WithUrgency.
func Urgent(ctx context.Context) bool {
	urgent, _ := ctx.Value(urgencyKey{}).(bool)
	return urgent
}

// Waits when GitHub limits without saying until when: the first one and the
// longest. Each limit in a row doubles it.
const (
	firstWait   = time.Minute
	longestWait = 15 * time.Minute
	// farthestWait bounds what an answer can make rung wait.
	farthestWait = 2 * time.Hour
)

// limits is what is known of one installation's limits.
type limits struct {
	now func() time.Time

	mu sync.Mutex
	// until holds the end of the wait of each resource ("core", "graphql"),
	// and of everything under "".
	until map[string]wait
	// row is how many limits without a time came in a row.
	row                          int
	minute, hour, writes         window
	minuteMax, hourMax, writeMax int
	reserve                      int
}

type wait struct {
	until  time.Time
	reason string
}

func newLimits(now func() time.Time, p Pace) *limits {
	return &limits{
		now: now, until: map[string]wait{}, reserve: min(max(p.Reserve, 0), 90),
		minute: window{span: time.Minute}, hour: window{span: time.Hour}, writes: window{span: time.Minute},
		minuteMax: p.ContentPerMinute, hourMax: p.ContentPerHour, writeMax: p.WritesPerMinute,
	}
}

// window holds the times of the latest events within a span, oldest first.
type window struct {
	span  time.Duration
	times []time.Time
}

// full says when the next event fits under limit; zero: now.
func (w *window) full(now time.Time, limit int) time.Time {
	for len(w.times) > 0 && !w.times[0].Add(w.span).After(now) {
		w.times = w.times[1:]
	}
	if limit <= 0 || len(w.times) < limit {
		return time.Time{}
	}
	return w.times[len(w.times)-limit].Add(w.span)
}

// write reports whether the request changes something, and whether it creates
// content in GitHub's sense. GraphQL is only used to read.
func write(req *http.Request) (changes, content bool) {
	if req.Method == http.MethodGet || req.Method == http.MethodHead || resource(req) == "graphql" ||
		strings.HasSuffix(req.URL.Path, "/access_tokens") {
		return false, false
	}
	path := req.URL.Path
	content = strings.HasSuffix(path, "/pulls") || strings.HasSuffix(path, "/merge") ||
		(req.Method == http.MethodPost && (strings.HasSuffix(path, "/comments") || strings.HasSuffix(path, "/reactions")))
	return true, content
}

func resource(req *http.Request) string {
	if strings.HasSuffix(req.URL.Path, "/graphql") {
		return "graphql"
	}
	return "core"
}

// admit counts a request in, or says why it has to wait.
func (l *limits) admit(req *http.Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, key := range []string{"", resource(req)} {
		if w, ok := l.until[key]; ok {
			if now.Before(w.until) {
				return &RateLimitedError{Until: w.until, Reason: w.reason}
			}
			delete(l.until, key)
		}
	}
	isWrite, content := write(req)
	if !isWrite {
		return nil
	}
	urgent := Urgent(req.Context())
	share := func(limit int) int {
		if urgent || limit <= 0 {
			return limit
		}
		return max(1, limit-limit*l.reserve/100)
	}
	var until time.Time
	if content {
		until = later(l.minute.full(now, share(l.minuteMax)), l.hour.full(now, share(l.hourMax)))
	} else {
		until = l.writes.full(now, share(l.writeMax))
	}
	if !until.IsZero() {
		return &RateLimitedError{Until: until, Reason: "pace"}
	}
	switch {
	case !content && l.writeMax > 0:
		l.writes.times = append(l.writes.times, now)
	case content && l.minuteMax > 0:
		l.minute.times = append(l.minute.times, now)
	}
	if content && l.hourMax > 0 {
		l.hour.times = append(l.hour.times, now)
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// note reads the limits from an answer. A *RateLimitedError means that this
// request was not done because of a limit.
func (l *limits) note(req *http.Request, resp *http.Response) (*RateLimitedError, error) {
	secondary, err := secondaryLimit(resp)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	remaining := resp.Header.Get("X-Ratelimit-Remaining")
	reset, hasReset := resetTime(resp.Header)
	key := resp.Header.Get("X-Ratelimit-Resource")
	if key == "" {
		key = resource(req)
	}
	limited := resp.StatusCode == http.StatusTooManyRequests || (resp.StatusCode == http.StatusForbidden &&
		(secondary || remaining == "0" || resp.Header.Get("Retry-After") != ""))
	if !limited {
		if remaining == "0" && hasReset && reset.After(now) {
			l.until[key] = wait{until: earlier(reset, now.Add(farthestWait)), reason: "primary"}
		}
		if resp.StatusCode < 400 {
			l.row = 0
		}
		return nil, nil
	}
	w := wait{reason: "secondary"}
	after, hasAfter := retryAfter(resp.Header, now)
	switch {
	case hasAfter:
		w.until, key = after, ""
	case remaining == "0" && hasReset:
		w.until, w.reason = later(reset, now.Add(time.Second)), "primary"
	default:
		w.until, key = now.Add(min(firstWait<<min(l.row, 8), longestWait)), ""
		l.row++
	}
	w.until = earlier(w.until, now.Add(farthestWait))
	l.until[key] = w
	return &RateLimitedError{Until: w.until, Reason: w.reason}, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// limitedInBody notes a limit that GraphQL told in the body of a 200.
func (l *limits) limitedInBody(resp http.Header, secondary bool) *RateLimitedError {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	key, w := "graphql", wait{until: now.Add(firstWait), reason: "primary"}
	if secondary {
		key, w.reason = "", "secondary"
	}
	if after, ok := retryAfter(resp, now); ok {
		w.until = after
	} else if reset, ok := resetTime(resp); ok && !secondary && reset.After(now) {
		w.until = reset
	}
	w.until = earlier(w.until, now.Add(farthestWait))
	l.until[key] = w
	return &RateLimitedError{Until: w.until, Reason: w.reason}
}

// secondaryLimit reports whether a 403 speaks of a secondary limit. The body
// is put back.
func secondaryLimit(resp *http.Response) (bool, error) {
	if resp.StatusCode != http.StatusForbidden {
		return false, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return false, errors.Join(errors.New("the answer was cut off"), err)
	}
	rest := resp.Body
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), rest}
	text := strings.ToLower(string(body))
	return strings.Contains(text, "secondary rate limit") || strings.Contains(text, "abuse detection") ||
		strings.Contains(text, "api rate limit exceeded"), nil
}

// retryAfter reads Retry-After: seconds, or a date.
func retryAfter(h http.Header, now time.Time) (time.Time, bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return time.Time{}, false
	}
	if seconds, err := strconv.Atoi(v); err == nil && seconds >= 0 && seconds < 1<<31 {
		return now.Add(time.Duration(max(seconds, 1)) * time.Second), true
	}
	if t, err := http.ParseTime(v); err == nil {
		return later(t, now.Add(time.Second)), true
	}
	return time.Time{}, false
}

func resetTime(h http.Header) (time.Time, bool) {
	seconds, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64)
	if err != nil || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0).UTC(), true
}
