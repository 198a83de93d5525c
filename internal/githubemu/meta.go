package githubemu

import "time"

func (s *Server) metaRoutes() []*route {
	return []*route{
		by(authNone, get("/meta", "", s.getMeta)),
		by(authNone, get("/rate_limit", "", s.getRateLimit)),
		by(authNone, get("/", "", func(*call) (reply, error) {
			return ok(object{
				"current_user_url": s.api("/user"), "rate_limit_url": s.api("/rate_limit"),
				"repository_url": s.api("/repos/{owner}/{repo}"), "user_url": s.api("/users/{user}"),
			})
		})),
		by(authNone, get("/zen", "", func(*call) (reply, error) {
			return reply{status: 200, body: []byte("Keep it logically awesome."), header: map[string][]string{"Content-Type": {"text/plain; charset=utf-8"}}}, nil
		})),
	}
}

func (s *Server) getMeta(*call) (reply, error) {
	return ok(object{
		"verifiable_password_authentication": false, "installed_version": "3.18.0",
		"hooks": []string{"127.0.0.0/8", "::1/128"}, "web": []string{"127.0.0.0/8"}, "api": []string{"127.0.0.0/8"},
		"git": []string{"127.0.0.0/8"}, "ssh_keys": []string{},
	})
}

func (s *Server) getRateLimit(c *call) (reply, error) {
	now := s.now()
	row := func(name string) object {
		b := s.limits.at(now, name)
		return object{"limit": s.limits.perHour(), "used": b.used, "remaining": max(s.limits.perHour()-b.used, 0), "reset": b.reset.Unix()}
	}
	s.limits.refund(c.who.bucket()) // asking costs nothing
	core := row(c.who.bucket())
	return ok(object{"resources": object{
		"core": core, "graphql": row(graphQLBucket + c.who.bucket()),
		"search": object{"limit": 30, "used": 0, "remaining": 30, "reset": now.Add(time.Minute).Unix()},
	}, "rate": core})
}
