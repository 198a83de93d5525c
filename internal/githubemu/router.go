package githubemu

import (
	"net/http"
	"net/url"
	"strings"
)

// authKind is what a route wants to know of its caller.
type authKind int

const (
	authToken  authKind = iota // an installation's or a person's token
	authApp                    // an App's JWT
	authEither                 // either of them
	authNone                   // nobody in particular
)

// route is one line of the API's table.
type route struct {
	method  string
	pattern string
	auth    authKind
	perm    string // such as "contents:write"; empty means metadata:read
	kind    Class  // "" is told by the method
	handle  func(*call) (reply, error)

	segs []string
}

// label is how counts name the route.
func (rt *route) label() string { return rt.method + " " + rt.pattern }

// accepted names the permissions that let an App do this, as GitHub's header does.
func (rt *route) accepted() string { return strings.ReplaceAll(rt.perm, ":", "=") }

func (rt *route) class() Class {
	switch {
	case rt.kind != "":
		return rt.kind
	case rt.method == http.MethodGet:
		return Read
	}
	return Write
}

// match fits an escaped path to the pattern. A segment {x} takes one segment,
// {x...} takes one or more, so that refs with slashes in them fit whether the
// client escaped them or not.
func (rt *route) match(segs []string) map[string]string {
	vars := map[string]string{}
	if fit(rt.segs, segs, vars) {
		return vars
	}
	return nil
}

func fit(pattern, segs []string, vars map[string]string) bool {
	for i, p := range pattern {
		if strings.HasSuffix(p, "...}") {
			name := p[1 : len(p)-4]
			rest := pattern[i+1:]
			for n := len(segs) - i - len(rest); n >= 1; n-- {
				if fit(rest, segs[i+n:], vars) {
					v, err := url.PathUnescape(strings.Join(segs[i:i+n], "/"))
					vars[name] = v
					return err == nil
				}
			}
			return false
		}
		if i >= len(segs) {
			return false
		}
		if strings.HasPrefix(p, "{") {
			v, err := url.PathUnescape(segs[i])
			if err != nil || v == "" {
				return false
			}
			vars[p[1:len(p)-1]] = v
		} else if p != segs[i] {
			return false
		}
	}
	return len(pattern) == len(segs)
}

// find looks the path up in the table. allowed tells whether some other method
// would have fitted.
func (s *Server) find(method, path string) (rt *route, vars map[string]string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	segs := strings.Split(strings.Trim(path, "/"), "/")
	for _, rt := range s.routes {
		if rt.method != method {
			continue
		}
		if vars := rt.match(segs); vars != nil {
			return rt, vars
		}
	}
	return nil, nil
}

// table lists every route, the more particular before the more general.
func (s *Server) table() []*route {
	var all []*route
	for _, part := range [][]*route{
		s.appRoutes(), s.repoRoutes(), s.gitRoutes(), s.contentRoutes(), s.ruleRoutes(), s.pullRoutes(),
		s.reviewRoutes(), s.commentRoutes(), s.issueRoutes(), s.checkRoutes(), s.statusRoutes(),
		s.deploymentRoutes(), s.peopleRoutes(), s.hookRoutes(), s.metaRoutes(), s.lateContentRoutes(),
	} {
		all = append(all, part...)
	}
	for _, rt := range all {
		rt.segs = strings.Split(strings.Trim(rt.pattern, "/"), "/")
	}
	return all
}

func get(pattern, perm string, h func(*call) (reply, error)) *route {
	return &route{method: http.MethodGet, pattern: pattern, perm: perm, handle: h}
}

func post(pattern, perm string, h func(*call) (reply, error)) *route {
	return &route{method: http.MethodPost, pattern: pattern, perm: perm, handle: h}
}

func put(pattern, perm string, h func(*call) (reply, error)) *route {
	return &route{method: http.MethodPut, pattern: pattern, perm: perm, handle: h}
}

func patch(pattern, perm string, h func(*call) (reply, error)) *route {
	return &route{method: http.MethodPatch, pattern: pattern, perm: perm, handle: h}
}

func del(pattern, perm string, h func(*call) (reply, error)) *route {
	return &route{method: http.MethodDelete, pattern: pattern, perm: perm, handle: h}
}

// creates marks a route as content-creating: the kind of request of which
// GitHub allows eighty a minute and five hundred an hour.
func creates(rt *route) *route { rt.kind = Content; return rt }

// by sets who may call a route.
func by(kind authKind, rt *route) *route { rt.auth = kind; return rt }

// Routes lists every route of the API that is served, as "METHOD /pattern", in
// the order in which they are tried.
func (s *Server) Routes() []string {
	all := make([]string, 0, len(s.routes))
	for _, rt := range s.routes {
		all = append(all, rt.label())
	}
	return all
}
