package githubemu

import "time"

func (s *Server) metaRoutes() []*route {
	return []*route{
		by(authNone, get("/meta", "", s.getMeta)),
		by(authNone, get("/rate_limit", "", s.getRateLimit)),
		by(authNone, get("/", "", func(*call) (reply, error) {
			return ok(s.rootJSON())
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

// rootJSON names the beginnings of the API, those that are not served here too, as
// GitHub does.
func (s *Server) rootJSON() object {
	o := object{}
	for name, path := range map[string]string{
		"authorizations": "/authorizations", "code_search": "/search/code?q={query}{&page,per_page,sort,order}",
		"commit_search": "/search/commits?q={query}{&page,per_page,sort,order}", "current_user": "/user",
		"current_user_repositories": "/user/repos{?type,page,per_page,sort}", "emails": "/user/emails", "emojis": "/emojis", "events": "/events",
		"feeds": "/feeds", "followers": "/user/followers", "following": "/user/following{/target}", "gists": "/gists{/gist_id}", "hub": "/hub",
		"issue_search": "/search/issues?q={query}{&page,per_page,sort,order}", "issues": "/issues", "keys": "/user/keys",
		"label_search": "/search/labels?q={query}&repository_id={repository_id}{&page,per_page}", "notifications": "/notifications",
		"organization": "/orgs/{org}", "organization_repositories": "/orgs/{org}/repos{?type,page,per_page,sort}", "organization_teams": "/orgs/{org}/teams",
		"public_gists": "/gists/public", "rate_limit": "/rate_limit", "repository": "/repos/{owner}/{repo}",
		"repository_search": "/search/repositories?q={query}{&page,per_page,sort,order}", "starred": "/user/starred{/owner}{/repo}",
		"starred_gists": "/gists/starred", "topic_search": "/search/topics?q={query}{&page,per_page}", "user": "/users/{user}",
		"user_organizations": "/user/orgs", "user_repositories": "/users/{user}/repos{?type,page,per_page,sort}",
		"user_search": "/search/users?q={query}{&page,per_page,sort,order}",
	} {
		o[name+"_url"] = s.api("%s", path)
	}
	o["current_user_authorizations_html_url"] = s.html("/settings/connections/applications{/client_id}")
	return o
}
