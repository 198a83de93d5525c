package githubemu

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits are GitHub's walls. A zero field is reported at its usual value and
// not enforced.
type Limits struct {
	// PerHour is the primary limit of a bucket. GitHub's least is 5000.
	PerHour int
	// ContentPerMinute and ContentPerHour limit content-creating requests.
	// GitHub allows 80 and 500.
	ContentPerMinute, ContentPerHour int
	// PointsPerMinute limits reads at one point and writes at five. GitHub
	// allows 900.
	PointsPerMinute int
	// PushesPerMinute limits git pushes to one repository; GitHub advises six.
	PushesPerMinute int
}

// limiter keeps, for each bucket, the hour's window and the recent past.
type limiter struct {
	Limits
	buckets map[string]*bucket
}

type bucket struct {
	reset   time.Time
	used    int
	content []time.Time // within the last hour
	points  []charged   // within the last minute
}

type charged struct {
	at   time.Time
	cost int
}

func newLimiter(l Limits) limiter { return limiter{Limits: l, buckets: map[string]*bucket{}} }

func (l *limiter) at(now time.Time, name string) *bucket {
	b := l.buckets[name]
	if b == nil {
		b = &bucket{}
		l.buckets[name] = b
	}
	if !now.Before(b.reset) {
		b.reset, b.used = now.Add(time.Hour), 0
	}
	return b
}

// charge books a request, or refuses it as GitHub does when a wall is hit.
func (l *limiter) charge(now time.Time, name string, class Class) error {
	if class == Mint {
		return nil
	}
	b := l.at(now, name)
	if l.PerHour > 0 && b.used >= l.PerHour {
		return &Error{Status: http.StatusForbidden, Message: "API rate limit exceeded for " + name + "."}
	}
	if err := l.secondary(now, b, class); err != nil {
		return err
	}
	b.used++
	return nil
}

func (l *limiter) secondary(now time.Time, b *bucket, class Class) error {
	hour, minute := now.Add(-time.Hour), now.Add(-time.Minute)
	for len(b.content) > 0 && !b.content[0].After(hour) {
		b.content = b.content[1:]
	}
	points := 0
	for len(b.points) > 0 && !b.points[0].at.After(minute) {
		b.points = b.points[1:]
	}
	for _, p := range b.points {
		points += p.cost
	}
	cost := 1
	if class != Read {
		cost = 5
	}
	if l.PointsPerMinute > 0 && points+cost > l.PointsPerMinute {
		return secondaryLimit(b.points[0].at.Add(time.Minute).Sub(now))
	}
	if class == Content {
		recent := 0
		var oldest time.Time
		for _, t := range b.content {
			if t.After(minute) {
				if recent == 0 {
					oldest = t
				}
				recent++
			}
		}
		if l.ContentPerMinute > 0 && recent >= l.ContentPerMinute {
			return secondaryLimit(oldest.Add(time.Minute).Sub(now))
		}
		if l.ContentPerHour > 0 && len(b.content) >= l.ContentPerHour {
			return secondaryLimit(b.content[0].Add(time.Hour).Sub(now))
		}
		b.content = append(b.content, now)
	}
	if l.PointsPerMinute > 0 {
		b.points = append(b.points, charged{now, cost})
	}
	return nil
}

func secondaryLimit(wait time.Duration) *Error {
	secs := int(wait/time.Second) + 1
	return &Error{
		Status:  http.StatusForbidden,
		Message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
		Header:  http.Header{"Retry-After": {strconv.Itoa(secs)}},
	}
}

// push books a git push to a repository, or tells how long to wait.
func (l *limiter) push(now time.Time, repository string) time.Duration {
	if l.PushesPerMinute == 0 {
		return 0
	}
	b := l.at(now, "pushes "+repository)
	for len(b.points) > 0 && !b.points[0].at.After(now.Add(-time.Minute)) {
		b.points = b.points[1:]
	}
	if len(b.points) >= l.PushesPerMinute {
		return b.points[0].at.Add(time.Minute).Sub(now)
	}
	b.points = append(b.points, charged{at: now})
	return 0
}

// refund gives back a request that turned out to be a 304.
func (l *limiter) refund(name string) {
	if b := l.buckets[name]; b != nil && b.used > 0 {
		b.used--
	}
}

func (l *limiter) perHour() int {
	if l.PerHour > 0 {
		return l.PerHour
	}
	return 5000
}

// headers reports the limits, unless the answer is a fault's that says
// otherwise.
func (l *limiter) headers(h http.Header, now time.Time, name string) {
	if h.Get("X-RateLimit-Remaining") != "" {
		return
	}
	b := l.at(now, name)
	h.Set("X-RateLimit-Limit", strconv.Itoa(l.perHour()))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(l.perHour()-b.used, 0)))
	h.Set("X-RateLimit-Used", strconv.Itoa(b.used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(b.reset.Unix(), 10))
	h.Set("X-RateLimit-Resource", "core")
	if strings.HasPrefix(name, graphQLBucket) {
		h.Set("X-RateLimit-Resource", "graphql")
	}
}

// SetLimits changes the rate limits that are enforced and forgets what was
// booked before.
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = newLimiter(l)
}
