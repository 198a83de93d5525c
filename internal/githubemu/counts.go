package githubemu

import (
	"maps"
	"slices"
)

// Class is what a request costs: GitHub limits reads, writes and the writes
// that create content differently.
type Class string

// The classes of requests.
const (
	Read        Class = "read"
	Write       Class = "write"
	Content     Class = "content" // a write that creates content
	Mint        Class = "mint"    // an installation token, listed apart
	Git         Class = "git"     // git's own requests, listed apart
	NotModified Class = "304"     // free of charge, listed apart
)

// RouteCount is how often one route was asked for.
type RouteCount struct {
	Route string `json:"route"` // method and pattern
	Class Class  `json:"class"`
	Count int    `json:"count"`
}

// Counts is what has been asked of the emulator since the last reset.
type Counts struct {
	// Total is every REST and GraphQL request except 304s and token mints.
	Total int `json:"total"`
	// Writes are those of Total that change something.
	Writes int `json:"writes"`
	// Content are those of Writes that create content.
	Content int `json:"content"`
	// ByClass counts all requests by class.
	ByClass map[Class]int `json:"by_class"`
	// ByStatus counts all requests by HTTP status.
	ByStatus map[int]int `json:"by_status"`
	// Routes is the same by route and class, sorted.
	Routes []RouteCount `json:"routes"`
}

// Of is how often a route, such as "POST /repos/{owner}/{repo}/pulls", was
// asked for, 304s left out.
func (c Counts) Of(route string) int {
	n := 0
	for _, r := range c.Routes {
		if r.Route == route && r.Class != NotModified {
			n += r.Count
		}
	}
	return n
}

type countKey struct {
	route string
	class Class
}

type counter struct {
	routes map[countKey]int
	status map[int]int
}

func newCounter() *counter {
	return &counter{routes: map[countKey]int{}, status: map[int]int{}}
}

func (c *counter) add(route string, class Class, status int) {
	if status == 304 {
		class = NotModified
	}
	c.routes[countKey{route, class}]++
	c.status[status]++
}

func (c *counter) sum() Counts {
	out := Counts{ByClass: map[Class]int{}, ByStatus: maps.Clone(c.status)}
	for k, n := range c.routes {
		out.ByClass[k.class] += n
		out.Routes = append(out.Routes, RouteCount{Route: k.route, Class: k.class, Count: n})
	}
	out.Content = out.ByClass[Content]
	out.Writes = out.ByClass[Write] + out.Content
	out.Total = out.ByClass[Read] + out.Writes
	slices.SortFunc(out.Routes, func(a, b RouteCount) int {
		if a.Route != b.Route {
			return cmpString(a.Route, b.Route)
		}
		return cmpString(string(a.Class), string(b.Class))
	})
	return out
}

// Counts reports what has been asked since the last reset. The control API and
// the pages are not counted.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts.sum()
}

// ResetCounts starts counting anew and returns what had been counted.
func (s *Server) ResetCounts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.counts.sum()
	s.counts = newCounter()
	return out
}
