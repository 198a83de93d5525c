package githubemu

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// secret makes the next secret value: of no use outside this world, and the
// same in each run of it.
func (s *Server) secret(prefix string) string {
	s.w.Seq["secret"]++
	sum := sha256.Sum256(fmt.Appendf(nil, "secret %d %d", s.cfg.Seed, s.w.Seq["secret"]))
	return prefix + hex.EncodeToString(sum[:])[:36]
}

// AddApp makes a further App, such as a continuous-integration service, and
// returns its id.
func (s *Server) AddApp(a App) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made, err := s.addApp(a)
	if err != nil {
		return 0, err
	}
	return made.ID, nil
}

func (s *Server) addApp(a App) (*app, error) {
	if a.Slug == "" {
		return nil, errors.New("githubemu: an App needs a slug")
	}
	if s.w.appBySlug(a.Slug) != nil {
		return nil, fmt.Errorf("githubemu: there is an App %s already", a.Slug)
	}
	if a.ID == 0 {
		a.ID = s.w.next("app")
	}
	if s.w.Apps[a.ID] != nil {
		return nil, fmt.Errorf("githubemu: there is an App with id %d already", a.ID)
	}
	if a.Name == "" {
		a.Name = a.Slug
	}
	if a.Owner == "" {
		a.Owner = "acme"
	}
	if a.Permissions == nil {
		a.Permissions = DefaultPermissions()
	}
	if a.Events == nil {
		a.Events = allEvents()
	}
	made := &app{App: a, CreatedAt: s.now(), BotLogin: a.Slug + "[bot]"}
	if a.PublicKey != nil {
		var err error
		if made.Key, err = publicPEM(a.PublicKey); err != nil {
			return nil, err
		}
	}
	s.w.Apps[a.ID] = made
	id := s.w.next("account")
	s.addAccount(&account{
		ID: id, Login: made.BotLogin, Name: made.BotLogin, Type: "Bot", AppID: a.ID,
		Email: fmt.Sprintf("%d+%s@users.noreply.github.com", id, made.BotLogin),
	})
	return made, nil
}

func publicPEM(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("githubemu: public key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// restoreKey reads Key back after Load.
func (a *app) restoreKey() {
	block, _ := pem.Decode([]byte(a.Key))
	if block == nil {
		return
	}
	if k, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		a.PublicKey, _ = k.(*rsa.PublicKey)
	}
}

// SetWebhookURL says where the deliveries of the App under test go from now on.
func (s *Server) SetWebhookURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.w.Apps[s.appID].WebhookURL = url
	s.hooks.wake()
}

// SetApp changes what the App under test asks its installations for, as its settings
// page does: they keep what they granted until SetPermissions. nil leaves the events.
func (s *Server) SetApp(permissions map[string]string, events []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.w.Apps[s.appID]
	a.Permissions = maps.Clone(permissions)
	if events != nil {
		a.Events = slices.Clone(events)
	}
}

// SetHook changes how the webhooks of the App under test are sent, as far as its
// configuration tells: the content type, json or form, and whether the receiver's
// certificate is not checked.
func (s *Server) SetHook(contentType string, insecure bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.w.Apps[s.appID]
	a.HookType, a.HookInsecure = contentType, insecure
}

// Install installs the App under test on an account, for some of its
// repositories (full names) or, with none given, for all. It returns the
// installation's id. Installing again widens the installation.
func (s *Server) Install(owner string, repos ...string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.install(s.w.Apps[s.appID], owner, repos)
}

// InstallApp is Install for an App added with AddApp.
func (s *Server) InstallApp(slug, owner string, repos ...string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.w.appBySlug(slug)
	if a == nil {
		return 0, fmt.Errorf("githubemu: no App %s; add it first", slug)
	}
	return s.install(a, owner, repos)
}

func (s *Server) install(a *app, owner string, names []string) (int64, error) {
	var repos []*repo
	for _, n := range names {
		r := s.w.repoNamed(n)
		if r == nil || fold(r.Owner) != fold(owner) {
			return 0, fmt.Errorf("githubemu: %s has no repository %s to install on", owner, n)
		}
		repos = append(repos, r)
	}
	acc := s.owner(owner)
	in := s.installationFor(a.ID, acc.Login)
	fresh := in == nil
	if fresh {
		in = &installation{
			ID: s.w.next("installation"), AppID: a.ID, Account: acc.Login, Repos: map[int64]bool{},
			Permissions: maps.Clone(a.Permissions), Events: a.Events, CreatedAt: s.now(),
		}
		s.w.Installations[in.ID] = in
	}
	in.All = in.All || len(names) == 0
	var added []*repo
	for _, r := range repos {
		if !in.Repos[r.ID] {
			added = append(added, r)
		}
		in.Repos[r.ID] = true
	}
	if fresh {
		s.emitInstallation(in, "created", s.installed(in))
	} else if len(added) > 0 {
		s.emitInstallationRepos(in, "added", added)
	}
	return in.ID, nil
}

func (s *Server) installationFor(appID int64, login string) *installation {
	for _, in := range sortedBy(s.w.Installations) {
		if in.AppID == appID && !in.Removed && fold(in.Account) == fold(login) {
			return in
		}
	}
	return nil
}

// installed lists the repositories an installation covers.
func (s *Server) installed(in *installation) []*repo {
	var out []*repo
	for _, r := range sortedBy(s.w.Repos) {
		if in.covers(r) {
			out = append(out, r)
		}
	}
	return out
}

// SuspendInstallation suspends the installation of the App under test on an
// account, or lifts the suspension. Its tokens stop working meanwhile.
func (s *Server) SuspendInstallation(owner string, suspended bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.installationFor(s.appID, owner)
	if in == nil {
		return notFound()
	}
	now := s.now()
	if suspended {
		s.emitInstallation(in, "suspend", nil)
		in.SuspendedAt = &now
	} else {
		in.SuspendedAt = nil
		s.emitInstallation(in, "unsuspend", nil)
	}
	return nil
}

// SetPermissions changes what the installation of the App under test on an
// account may do, as when its owner accepts new permissions. Tokens minted
// before keep what they had.
func (s *Server) SetPermissions(owner string, permissions map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.installationFor(s.appID, owner)
	if in == nil {
		return notFound()
	}
	in.Permissions = maps.Clone(permissions)
	s.emitInstallation(in, "new_permissions_accepted", nil)
	return nil
}

// Uninstall removes the App under test from an account, or from some of its
// repositories if any are named.
func (s *Server) Uninstall(owner string, repos ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.installationFor(s.appID, owner)
	if in == nil {
		return notFound()
	}
	if len(repos) == 0 {
		s.emitInstallation(in, "deleted", s.installed(in))
		in.Removed = true
		return nil
	}
	if in.All {
		for _, r := range s.installed(in) {
			in.Repos[r.ID] = true
		}
		in.All = false
	}
	var gone []*repo
	for _, n := range repos {
		if r := s.w.repoNamed(n); r != nil && in.Repos[r.ID] {
			delete(in.Repos, r.ID)
			gone = append(gone, r)
		}
	}
	s.emitInstallationRepos(in, "removed", gone)
	return nil
}

func (s *Server) appRoutes() []*route {
	mint := by(authApp, post("/app/installations/{installation}/access_tokens", "", s.mintToken))
	mint.kind = Mint
	conversion := by(authNone, post("/app-manifests/{code}/conversions", "", s.convertManifest))
	conversion.kind = Mint
	return []*route{
		by(authApp, get("/app", "", func(c *call) (reply, error) { return ok(s.appJSON(c.who.app)) })),
		by(authApp, get("/app/installations", "", s.listInstallations)),
		by(authApp, get("/app/installations/{installation}", "", s.getInstallation)),
		by(authApp, del("/app/installations/{installation}", "", s.deleteInstallation)),
		by(authApp, get("/repos/{owner}/{repo}/installation", "", s.getRepoInstallation)),
		by(authApp, get("/orgs/{org}/installation", "", s.getOrgInstallation)),
		by(authApp, get("/users/{org}/installation", "", s.getOrgInstallation)),
		by(authEither, get("/apps/{slug}", "", s.getApp)),
		mint,
		conversion,
		get("/installation/repositories", "", s.listInstalledRepos),
		del("/installation/token", "", s.revokeToken),
	}
}

func (s *Server) listInstallations(c *call) (reply, error) {
	var all []*installation
	for _, in := range sortedBy(s.w.Installations) {
		if in.AppID == c.who.app.ID && !in.Removed {
			all = append(all, in)
		}
	}
	return list(c, all, s.installationJSON)
}

func (s *Server) ownInstallation(c *call) (*installation, error) {
	in := s.w.Installations[c.id("installation")]
	if in == nil || in.Removed || in.AppID != c.who.app.ID {
		return nil, notFound()
	}
	return in, nil
}

func (s *Server) getInstallation(c *call) (reply, error) {
	in, err := s.ownInstallation(c)
	if err != nil {
		return reply{}, err
	}
	return ok(s.installationJSON(in))
}

func (s *Server) deleteInstallation(c *call) (reply, error) {
	in, err := s.ownInstallation(c)
	if err != nil {
		return reply{}, err
	}
	s.emitInstallation(in, "deleted", s.installed(in))
	in.Removed = true
	return noContent()
}

func (s *Server) getRepoInstallation(c *call) (reply, error) {
	in := s.w.installationOn(c.who.app.ID, c.repo)
	if in == nil {
		return reply{}, notFound()
	}
	return ok(s.installationJSON(in))
}

func (s *Server) getOrgInstallation(c *call) (reply, error) {
	in := s.installationFor(c.who.app.ID, c.vars["org"])
	if in == nil {
		return reply{}, notFound()
	}
	return ok(s.installationJSON(in))
}

func (s *Server) getApp(c *call) (reply, error) {
	a := s.w.appBySlug(c.vars["slug"])
	if a == nil {
		return reply{}, notFound()
	}
	return ok(s.appJSON(a))
}

// mintToken makes an installation token that lives for an hour, narrowed to
// the repositories and permissions that were asked for.
func (s *Server) mintToken(c *call) (reply, error) {
	in, err := s.ownInstallation(c)
	if err != nil {
		return reply{}, err
	}
	if in.SuspendedAt != nil {
		return reply{}, fail(http.StatusForbidden, "This installation has been suspended")
	}
	var ask struct {
		Repositories  []string          `json:"repositories"`
		RepositoryIDs []int64           `json:"repository_ids"`
		Permissions   map[string]string `json:"permissions"`
	}
	if err := c.decode(&ask); err != nil {
		return reply{}, err
	}
	t := &token{
		Value: s.secret("ghs_"), Installation: in.ID, ExpiresAt: s.now().Truncate(time.Second).Add(time.Hour),
		Permissions: maps.Clone(in.Permissions),
	}
	if len(ask.Repositories)+len(ask.RepositoryIDs) > 0 {
		if t.Repos, err = s.narrow(in, ask.Repositories, ask.RepositoryIDs); err != nil {
			return reply{}, err
		}
	}
	if len(ask.Permissions) > 0 {
		t.Permissions = map[string]string{"metadata": "read"}
		for name, level := range ask.Permissions {
			if levelRank(in.Permissions[name]) < levelRank(level) || levelRank(level) == 0 {
				return reply{}, fail(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			}
			t.Permissions[name] = level
		}
	}
	s.forgetExpired()
	s.w.Tokens[t.Value] = t
	return created(s.tokenJSON(in, t))
}

func (s *Server) narrow(in *installation, names []string, ids []int64) (map[int64]bool, error) {
	out := map[int64]bool{}
	for _, n := range names {
		r := s.w.repoNamed(in.Account + "/" + n)
		if r == nil {
			ids = append(ids, -1)
			continue
		}
		ids = append(ids, r.ID)
	}
	for _, id := range ids {
		if r := s.w.Repos[id]; r == nil || !in.covers(r) {
			return nil, fail(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
		}
		out[id] = true
	}
	return out, nil
}

// forgetExpired keeps the tokens of a long run from piling up.
func (s *Server) forgetExpired() {
	old := s.now().Add(-time.Hour)
	for k, t := range s.w.Tokens {
		if t.Login == "" && t.ExpiresAt.Before(old) {
			delete(s.w.Tokens, k)
		}
	}
}

func (s *Server) tokenJSON(in *installation, t *token) object {
	o := object{"token": t.Value, "expires_at": stamp(t.ExpiresAt), "permissions": t.Permissions, "repository_selection": "all"}
	if t.Repos != nil || !in.All {
		o["repository_selection"] = "selected"
	}
	if t.Repos != nil {
		var repos []object
		for _, r := range sortedBy(s.w.Repos) {
			if t.Repos[r.ID] {
				repos = append(repos, s.repoJSON(r))
			}
		}
		o["repositories"] = repos
	}
	return o
}

func (s *Server) listInstalledRepos(c *call) (reply, error) {
	if c.who.inst == nil {
		return reply{}, fail(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation.")
	}
	var all []*repo
	for _, r := range s.installed(c.who.inst) {
		if c.who.token.Repos == nil || c.who.token.Repos[r.ID] {
			all = append(all, r)
		}
	}
	rp, err := listIn(c, "repositories", all, s.repoJSON)
	if o, ok := rp.body.(object); ok {
		o["repository_selection"] = map[bool]string{true: "all", false: "selected"}[c.who.inst.All]
	}
	return rp, err
}

func (s *Server) revokeToken(c *call) (reply, error) {
	if c.who.inst == nil {
		return reply{}, fail(http.StatusForbidden, "Resource not accessible by personal access token")
	}
	delete(s.w.Tokens, c.who.token.Value)
	return noContent()
}

func (s *Server) appJSON(a *app) object {
	if a == nil {
		return nil
	}
	return object{
		"id": a.ID, "slug": a.Slug, "node_id": nodeID("A", a.ID), "client_id": fmt.Sprintf("Iv1.%016x", a.ID),
		"owner": s.userJSON(s.owner(a.Owner)), "name": a.Name, "description": "", "external_url": s.cfg.BaseURL,
		"html_url": s.html("/apps/%s", a.Slug), "created_at": stamp(a.CreatedAt), "updated_at": stamp(a.CreatedAt),
		"permissions": a.Permissions, "events": a.Events, "installations_count": s.installationsOf(a.ID),
	}
}

func (s *Server) installationsOf(appID int64) int {
	n := 0
	for _, in := range s.w.Installations {
		if in.AppID == appID && !in.Removed {
			n++
		}
	}
	return n
}

func (s *Server) installationJSON(in *installation) object {
	a := s.w.Apps[in.AppID]
	acc := s.owner(in.Account)
	o := object{
		"id": in.ID, "account": s.userJSON(acc), "app_id": in.AppID, "app_slug": a.Slug, "target_id": acc.ID,
		"target_type": acc.Type, "permissions": in.Permissions, "events": in.Events, "repository_selection": "selected",
		"access_tokens_url": s.api("/app/installations/%d/access_tokens", in.ID), "single_file_name": nil,
		"repositories_url": s.api("/installation/repositories"), "has_multiple_single_files": false, "single_file_paths": []string{},
		"html_url":   s.html("/organizations/%s/settings/installations/%d", acc.Login, in.ID),
		"created_at": stamp(in.CreatedAt), "updated_at": stamp(in.CreatedAt), "suspended_at": stampPtr(in.SuspendedAt),
		"suspended_by": nil,
	}
	if in.All {
		o["repository_selection"] = "all"
	}
	return o
}
