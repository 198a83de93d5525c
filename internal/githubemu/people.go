package githubemu

import (
	"fmt"
	"strings"
)

// Person seeds a human account.
type Person struct {
	// Login is the account's name.
	Login string
	// Name is shown and used in commits. Empty means Login.
	Name string
	// Email is used in commits. Empty means login@example.com.
	Email string
	// SSHKeys are public keys, in authorized_keys form, whose signatures on
	// this person's commits count as verified.
	SSHKeys []string
}

func (s *Server) addAccount(a *account) *account {
	if a.ID == 0 {
		a.ID = s.w.next("account")
	}
	if a.Name == "" {
		a.Name = a.Login
	}
	if a.Email == "" {
		a.Email = fold(a.Login) + "@example.com"
	}
	a.CreatedAt = s.now()
	s.w.Accounts[fold(a.Login)] = a
	return a
}

// AddPerson makes a person and returns a token that authenticates them at the
// API and, as a password, at git. Adding one again returns the same token.
func (s *Server) AddPerson(p Person) (token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.person(p).Token
}

func (s *Server) person(p Person) *account {
	if a := s.w.user(p.Login); a != nil {
		return a
	}
	a := s.addAccount(&account{Login: p.Login, Name: p.Name, Email: p.Email, Type: "User", SSHKeys: p.SSHKeys})
	a.Token = s.secret("ghp_")
	s.w.Tokens[a.Token] = &token{Value: a.Token, Login: a.Login}
	return a
}

// AddOrganization makes an organisation. Members maps logins to member or
// admin; unknown people are made. BaseRole is what members may do on every
// repository of it: none, read, write or admin.
func (s *Server) AddOrganization(login, baseRole string, members map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	org := s.owner(login)
	org.BaseRole = baseRole
	for m, role := range members {
		s.person(Person{Login: m})
		org.Members[fold(m)] = role
	}
}

// owner finds or makes the organisation that owns a repository.
func (s *Server) owner(login string) *account {
	if a := s.w.user(login); a != nil {
		return a
	}
	return s.addAccount(&account{Login: login, Type: "Organization", Members: map[string]string{}, BaseRole: "none"})
}

// AddTeam makes a team or changes it: members maps logins to member or
// maintainer, repos maps full repository names to roles.
func (s *Server) AddTeam(org, slug string, members, repos map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.owner(org)
	t := s.w.Teams[fold(org+"/"+slug)]
	if t == nil {
		t = &team{ID: s.w.next("team"), Org: o.Login, Slug: slug, Members: map[string]string{}, Repos: map[int64]string{}}
		s.w.Teams[fold(org+"/"+slug)] = t
	}
	for m, role := range members {
		s.person(Person{Login: m})
		if o.Members != nil && o.Members[fold(m)] == "" {
			o.Members[fold(m)] = "member"
		}
		t.Members[fold(m)] = role
	}
	for full, role := range repos {
		r := s.w.repoNamed(full)
		if r == nil {
			return fmt.Errorf("githubemu: no repository %s; create it before its teams", full)
		}
		t.Repos[r.ID] = role
	}
	return nil
}

// RemoveFromTeam ends a person's membership of a team.
func (s *Server) RemoveFromTeam(org, slug, login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.w.Teams[fold(org+"/"+slug)]; t != nil {
		delete(t.Members, fold(login))
	}
}

// SetPermission sets what a person may do on a repository as a collaborator:
// read, triage, write, maintain, admin, or none.
func (s *Server) SetPermission(full, login, role string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.w.repoNamed(full)
	if r == nil {
		return notFound()
	}
	if role != "none" && rank(role) == 0 {
		return fmt.Errorf("githubemu: unknown role %q", role)
	}
	s.person(Person{Login: login})
	r.Collaborators[fold(login)] = role
	return nil
}

// people lists the humans, for the page's switcher.
func (s *Server) people() []*account {
	var out []*account
	for _, a := range sortedBy(s.w.Accounts) {
		if a.Type == "User" && a.Token != "" {
			out = append(out, a)
		}
	}
	return out
}

// byEmail finds whose commit it is.
func (s *Server) byEmail(email string) *account {
	for _, a := range sortedBy(s.w.Accounts) {
		if strings.EqualFold(a.Email, email) {
			return a
		}
	}
	return nil
}

func (s *Server) peopleRoutes() []*route {
	return []*route{
		get("/user", "", s.getSelf),
		get("/users/{login}", "", s.getUser),
		get("/orgs/{org}", "", s.getOrg),
		get("/orgs/{org}/members/{login}", "", s.getOrgMember),
		get("/orgs/{org}/memberships/{login}", "", s.getOrgMembership),
		get("/orgs/{org}/teams", "", s.listTeams),
		get("/orgs/{org}/teams/{slug}", "", s.getTeam),
		get("/orgs/{org}/teams/{slug}/members", "", s.listTeamMembers),
		get("/orgs/{org}/teams/{slug}/memberships/{login}", "", s.getTeamMembership),
		get("/repos/{owner}/{repo}/collaborators", "metadata:read", s.listCollaborators),
		get("/repos/{owner}/{repo}/collaborators/{login}/permission", "metadata:read", s.getPermission),
		get("/repos/{owner}/{repo}/collaborators/{login}", "metadata:read", s.isCollaborator),
		get("/repos/{owner}/{repo}/teams", "metadata:read", s.listRepoTeams),
	}
}

func (s *Server) getSelf(c *call) (reply, error) {
	if c.who.isApp() {
		return reply{}, fail(403, "Resource not accessible by integration")
	}
	return ok(s.fullUserJSON(c.who.acc))
}

func (s *Server) getUser(c *call) (reply, error) {
	a := s.w.user(c.vars["login"])
	if a == nil {
		return reply{}, notFound()
	}
	return ok(s.fullUserJSON(a))
}

func (s *Server) getOrg(c *call) (reply, error) {
	a := s.w.user(c.vars["org"])
	if a == nil || a.Type != "Organization" {
		return reply{}, notFound()
	}
	return ok(s.fullOrgJSON(a))
}

func (s *Server) fullOrgJSON(a *account) object {
	repos := 0
	for _, r := range s.w.Repos {
		if fold(r.Owner) == fold(a.Login) && !r.Private {
			repos++
		}
	}
	o := s.orgJSON(a)
	for k, v := range (object{
		"name": a.Name, "type": a.Type, "html_url": s.html("/%s", a.Login), "has_organization_projects": false, "has_repository_projects": false,
		"public_repos": repos, "public_gists": 0, "followers": 0, "following": 0,
		"created_at": stamp(a.CreatedAt), "updated_at": stamp(a.CreatedAt), "archived_at": nil,
	}) {
		o[k] = v
	}
	return o
}

// member finds an organisation that may be looked into and a person.
func (s *Server) member(c *call) (*account, *account, error) {
	org, who := s.w.user(c.vars["org"]), s.w.user(c.vars["login"])
	if org == nil || org.Type != "Organization" {
		return nil, nil, notFound()
	}
	if c.who.inst != nil && (levelRank(c.who.token.Permissions["members"]) < 1 || fold(c.who.inst.Account) != fold(org.Login)) {
		return nil, nil, fail(403, "Resource not accessible by integration")
	}
	return org, who, nil
}

func (s *Server) getOrgMember(c *call) (reply, error) {
	org, who, err := s.member(c)
	if err != nil {
		return reply{}, err
	}
	if who == nil || org.Members[fold(who.Login)] == "" {
		return reply{}, notFound()
	}
	return noContent()
}

func (s *Server) getOrgMembership(c *call) (reply, error) {
	org, who, err := s.member(c)
	if err != nil {
		return reply{}, err
	}
	if who == nil || org.Members[fold(who.Login)] == "" {
		return reply{}, notFound()
	}
	return ok(object{
		"url": s.api("/orgs/%s/memberships/%s", org.Login, who.Login), "state": "active",
		"role": org.Members[fold(who.Login)], "organization_url": s.api("/orgs/%s", org.Login),
		"organization": s.orgJSON(org), "user": s.userJSON(who),
	})
}

func (s *Server) team(c *call) (*team, error) {
	if _, _, err := s.member(c); err != nil {
		return nil, err
	}
	t := s.w.Teams[fold(c.vars["org"]+"/"+c.vars["slug"])]
	if t == nil {
		return nil, notFound()
	}
	return t, nil
}

func (s *Server) listTeams(c *call) (reply, error) {
	if _, _, err := s.member(c); err != nil {
		return reply{}, err
	}
	var all []*team
	for _, t := range sortedBy(s.w.Teams) {
		if fold(t.Org) == fold(c.vars["org"]) {
			all = append(all, t)
		}
	}
	return list(c, all, s.teamJSON)
}

func (s *Server) getTeam(c *call) (reply, error) {
	t, err := s.team(c)
	if err != nil {
		return reply{}, err
	}
	o, org := s.teamJSON(t), s.w.user(t.Org)
	o["members_count"], o["repos_count"], o["organization"] = len(t.Members), len(t.Repos), s.fullOrgJSON(org)
	o["created_at"], o["updated_at"] = stamp(org.CreatedAt), stamp(org.CreatedAt)
	return ok(o)
}

func (s *Server) listTeamMembers(c *call) (reply, error) {
	t, err := s.team(c)
	if err != nil {
		return reply{}, err
	}
	var all []*account
	for _, a := range sortedBy(s.w.Accounts) {
		if t.Members[fold(a.Login)] != "" {
			all = append(all, a)
		}
	}
	return list(c, all, s.userJSON)
}

func (s *Server) getTeamMembership(c *call) (reply, error) {
	t, err := s.team(c)
	if err != nil {
		return reply{}, err
	}
	role := t.Members[fold(c.vars["login"])]
	if role == "" {
		return reply{}, notFound()
	}
	return ok(object{
		"url":  s.api("/organizations/%s/team/%d/memberships/%s", t.Org, t.ID, c.vars["login"]),
		"role": role, "state": "active",
	})
}

func (s *Server) listCollaborators(c *call) (reply, error) {
	var all []*account
	for _, a := range s.people() {
		if rank(s.role(c.repo, a)) > 0 {
			all = append(all, a)
		}
	}
	return list(c, all, func(a *account) object {
		o := s.userJSON(a)
		o["role_name"], o["permissions"] = s.role(c.repo, a), rolePermissions(s.role(c.repo, a))
		return o
	})
}

func (s *Server) isCollaborator(c *call) (reply, error) {
	a := s.w.user(c.vars["login"])
	if a == nil || rank(s.role(c.repo, a)) == 0 {
		return reply{}, notFound()
	}
	return noContent()
}

// getPermission answers what a person may do. As on GitHub, permission knows
// four values only, and role_name tells them apart.
func (s *Server) getPermission(c *call) (reply, error) {
	a := s.w.user(c.vars["login"])
	if a == nil || a.Type == "Organization" {
		return reply{}, fail(404, "%s is not a user", c.vars["login"])
	}
	role := s.role(c.repo, a)
	coarse := map[string]string{"triage": "read", "maintain": "write"}[role]
	if coarse == "" {
		coarse = role
	}
	u := s.userJSON(a)
	u["role_name"], u["permissions"] = role, rolePermissions(role)
	return ok(object{"permission": coarse, "role_name": role, "user": u})
}

func (s *Server) listRepoTeams(c *call) (reply, error) {
	var all []*team
	for _, t := range sortedBy(s.w.Teams) {
		if t.Repos[c.repo.ID] != "" {
			all = append(all, t)
		}
	}
	return list(c, all, s.teamJSON)
}

func rolePermissions(role string) object {
	n := rank(role)
	return object{"pull": n >= 1, "triage": n >= 2, "push": n >= 3, "maintain": n >= 4, "admin": n >= 5}
}

// userJSON is GitHub's simple user.
func (s *Server) userJSON(a *account) object {
	if a == nil {
		return nil
	}
	u := s.api("/users/%s", strings.NewReplacer("[", "%5B", "]", "%5D").Replace(a.Login))
	page := s.html("/%s", a.Login)
	if a.Type == "Bot" {
		page = s.html("/apps/%s", strings.TrimSuffix(a.Login, "[bot]"))
	}
	return object{
		"login": a.Login, "id": a.ID, "node_id": nodeID("U", a.ID), "gravatar_id": "", "type": a.Type, "site_admin": false,
		"avatar_url": s.html("/_emu/avatar/%d", a.ID), "url": u, "html_url": page, "user_view_type": "public",
		"followers_url": u + "/followers", "following_url": u + "/following{/other_user}", "gists_url": u + "/gists{/gist_id}",
		"starred_url": u + "/starred{/owner}{/repo}", "subscriptions_url": u + "/subscriptions",
		"organizations_url": u + "/orgs", "repos_url": u + "/repos", "events_url": u + "/events{/privacy}",
		"received_events_url": u + "/received_events",
	}
}

func (s *Server) fullUserJSON(a *account) object {
	o := s.userJSON(a)
	for k, v := range (object{
		"name": a.Name, "company": nil, "blog": "", "location": nil, "email": nil, "hireable": nil,
		"bio": nil, "twitter_username": nil, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
		"created_at": stamp(a.CreatedAt), "updated_at": stamp(a.CreatedAt),
	}) {
		o[k] = v
	}
	return o
}

func (s *Server) orgJSON(a *account) object {
	u := s.api("/orgs/%s", a.Login)
	return object{
		"login": a.Login, "id": a.ID, "node_id": nodeID("O", a.ID), "url": u, "repos_url": u + "/repos",
		"events_url": u + "/events", "hooks_url": u + "/hooks", "issues_url": u + "/issues",
		"members_url": u + "/members{/member}", "public_members_url": u + "/public_members{/member}",
		"avatar_url": s.html("/_emu/avatar/%d", a.ID), "description": "",
	}
}

func (s *Server) teamJSON(t *team) object {
	u := s.api("/organizations/%s/team/%d", t.Org, t.ID)
	return object{
		"id": t.ID, "node_id": nodeID("T", t.ID), "name": t.Slug, "slug": t.Slug, "description": "",
		"privacy": "closed", "notification_setting": "notifications_enabled", "permission": "pull", "url": u,
		"html_url": s.html("/orgs/%s/teams/%s", t.Org, t.Slug), "members_url": u + "/members{/member}",
		"repositories_url": u + "/repos", "parent": nil, "type": "organization",
	}
}

// nodeID makes a global id that tells its kind.
func nodeID(kind string, id int64) string { return fmt.Sprintf("%s_kgDO%08X", kind, id) }
