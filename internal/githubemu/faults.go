package githubemu

import (
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// The kinds of faults that a request can meet.
const (
	FaultBadGatewayBefore = "502-before"    // 502, and nothing has been done
	FaultBadGatewayAfter  = "502-after"     // done, but the answer is a 502
	FaultCutBefore        = "cut-before"    // the connection is cut, nothing done
	FaultCutAfter         = "cut-after"     // done, then the connection is cut
	FaultForbidden        = "403"           // secondary limit as 403; Retry-After if set
	FaultTooMany          = "429"           // secondary limit as 429; Retry-After if set
	FaultRateLimit        = "rate-limit"    // primary limit: 403 with no requests remaining
	FaultUnauthorized     = "401"           // the token has expired
	FaultBaseModified     = "base-modified" // 405 as a merge gets when the base has moved
	FaultLatency          = "latency"       // served, but later by Delay
)

// The kinds of faults that a webhook can meet.
const (
	HookDuplicate = "duplicate" // sent twice with one GUID
	HookReorder   = "reorder"   // sent after the one that follows
	HookDelay     = "delay"     // sent later by Delay, others pass it
	HookDrop      = "drop"      // not sent; the delivery list shows a failure
	HookLose      = "lose"      // not sent, and no delivery is listed
)

// Fault makes requests or webhooks go wrong. Those it fits are counted; the
// first Skip of them go well, the next Times do not.
type Fault struct {
	// Kind is one of the constants above.
	Kind string `json:"kind"`
	// Route fits requests by method and pattern, such as
	// "PUT /repos/{owner}/{repo}/pulls/{number}/merge", "POST /graphql" or
	// "POST git-receive-pack". A * stands for any run of characters. Empty
	// fits every request.
	Route string `json:"route,omitempty"`
	// Class fits requests of one class. Empty fits all but token mints.
	Class Class `json:"class,omitempty"`
	// Event fits webhooks by event, such as pull_request. Empty fits all.
	Event string `json:"event,omitempty"`
	// Skip is how many go well first.
	Skip int `json:"skip,omitempty"`
	// Times is how many go wrong then. Zero means one, -1 means all.
	Times int `json:"times,omitempty"`
	// Percent is how likely each of those is to go wrong. Zero means certain.
	Percent int `json:"percent,omitempty"`
	// RetryAfter is sent with a 403 or 429, in whole seconds. Zero sends none.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// Delay is for latency and delay.
	Delay time.Duration `json:"delay,omitempty"`
}

func (f *Fault) forHooks() bool {
	switch f.Kind {
	case HookDuplicate, HookReorder, HookDelay, HookDrop, HookLose:
		return true
	}
	return false
}

type armed struct {
	Fault
	id         int
	seen, done int
}

type faultSet struct {
	next  int
	armed []*armed
}

// AddFault arms a fault and returns its number. Faults are tried in the order
// they were added; the first that strikes decides, except that latencies add
// up.
func (s *Server) AddFault(f Fault) (int, error) {
	switch f.Kind {
	case FaultBadGatewayBefore, FaultBadGatewayAfter, FaultCutBefore, FaultCutAfter, FaultForbidden, FaultTooMany,
		FaultRateLimit, FaultUnauthorized, FaultBaseModified, FaultLatency:
	case HookDuplicate, HookReorder, HookDelay, HookDrop, HookLose:
	default:
		return 0, fmt.Errorf("githubemu: unknown fault kind %q", f.Kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.next++
	s.faults.armed = append(s.faults.armed, &armed{Fault: f, id: s.faults.next})
	return s.faults.next, nil
}

// ClearFaults disarms every fault and lets held webhooks go.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults.armed = nil
	s.hooks.release()
}

// strikes counts a fitting request or webhook and tells whether it goes wrong.
func (s *Server) strikes(a *armed) bool {
	a.seen++
	times := a.Times
	if times == 0 {
		times = 1
	}
	if a.seen <= a.Skip || times > 0 && a.done >= times {
		return false
	}
	if a.Percent > 0 && s.roll()%100 >= uint64(min(a.Percent, 100)) { //nolint:gosec // small and positive
		return false
	}
	a.done++
	return true
}

// blow is what the faults do to one request.
type blow struct {
	latency       time.Duration
	before, after *reply
}

// statusCut is the status of a reply that is a cut connection.
const statusCut = -1

// intercept tells what the faults do to a request. It takes the lock.
func (s *Server) intercept(label string, class Class) blow {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b blow
	for _, a := range s.faults.armed {
		if a.forHooks() || !fits(a.Route, label) || a.Class != "" && a.Class != class || a.Class == "" && a.Route == "" && class == Mint {
			continue
		}
		if !s.strikes(a) {
			continue
		}
		if a.Kind == FaultLatency {
			b.latency += a.Delay
			continue
		}
		rp := s.faultReply(a)
		if strings.HasSuffix(a.Kind, "-after") {
			b.after = &rp
		} else {
			b.before = &rp
		}
		break
	}
	return b
}

func (s *Server) faultReply(a *armed) reply {
	h := http.Header{}
	if a.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(a.RetryAfter/time.Second)))
	}
	var e *Error
	switch a.Kind {
	case FaultBadGatewayBefore, FaultBadGatewayAfter:
		return reply{
			status: http.StatusBadGateway, body: []byte("<html><body><h1>502 Bad Gateway</h1></body></html>"),
			header: http.Header{"Content-Type": {"text/html"}},
		}
	case FaultCutBefore, FaultCutAfter:
		return reply{status: statusCut}
	case FaultUnauthorized:
		return badCredentials().reply(documentation)
	case FaultBaseModified:
		return baseModified().reply(documentation)
	case FaultRateLimit:
		h.Set("X-RateLimit-Limit", strconv.Itoa(s.limits.perHour()))
		h.Set("X-RateLimit-Remaining", "0")
		h.Set("X-RateLimit-Reset", strconv.FormatInt(s.now().Add(max(a.RetryAfter, time.Minute)).Unix(), 10))
		e = &Error{Status: http.StatusForbidden, Message: "API rate limit exceeded for installation.", Header: h}
		e.Header.Del("Retry-After")
	case FaultTooMany:
		e = &Error{
			Status: http.StatusTooManyRequests, Header: h,
			Message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
		}
	default:
		e = &Error{
			Status: http.StatusForbidden, Header: h,
			Message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
		}
	}
	return e.reply("https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits")
}

// fits matches a label against a pattern in which * stands for anything.
func fits(pattern, label string) bool {
	if pattern == "" || pattern == label {
		return true
	}
	esc := strings.NewReplacer("[", `\[`, "?", `\?`, `\`, `\\`, "/", "\x00")
	done, err := path.Match(esc.Replace(pattern), strings.ReplaceAll(label, "/", "\x00"))
	return err == nil && done
}

// ExpireTokens makes every installation token invalid at once, as if an hour
// had passed.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.w.Tokens {
		if t.Login == "" {
			t.ExpiresAt = s.now()
		}
	}
}

// SetNullMergeable changes Config.NullMergeable: how many reads after a change
// find mergeability not known yet. Zero or less means none.
func (s *Server) SetNullMergeable(reads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.NullMergeable = reads
}

// SetOnWrite changes Config.OnWrite and starts counting writes from 1 again.
func (s *Server) SetOnWrite(f func(n int, when When, r *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.OnWrite, s.writes = f, 0
}

// Writes is how many writes of Apps have been numbered for OnWrite.
func (s *Server) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// SetGraphQL turns the GraphQL endpoint on or off.
func (s *Server) SetGraphQL(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.NoGraphQL = !on
}
