package githubemu

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
)

// manifest is what a program sends to have its App made.
type manifest struct {
	Name        string            `json:"name"`
	URL         string            `json:"url"`
	RedirectURL string            `json:"redirect_url"`
	SetupURL    string            `json:"setup_url"`
	Permissions map[string]string `json:"default_permissions"`
	Events      []string          `json:"default_events"`
	Hook        *struct {
		URL string `json:"url"`
	} `json:"hook_attributes"`
}

// setupRoute serves the pages that make an App from a manifest and install it.
// Mine tells whether the path is one of them.
func (v *view) setupRoute(parts []string) (name, location string, err error, mine bool) { //nolint:revive // the flag reads best last
	joined := strings.Join(parts, "/")
	posted := v.r.Method == http.MethodPost
	switch {
	case joined == "settings/apps/new" || len(parts) == 5 && parts[0] == "organizations" && strings.HasSuffix(joined, "/settings/apps/new"):
		if !posted {
			return "", "", fail(http.StatusMethodNotAllowed, "post a manifest here"), true
		}
		owner := ""
		if parts[0] == "organizations" {
			owner = parts[1]
		}
		name, location, err = v.manifestPage(owner)
		return name, location, err, true
	case len(parts) >= 2 && parts[0] == "apps":
		a := v.s.w.appBySlug(parts[1])
		if a == nil {
			return "", "", notFound(), true
		}
		name, location, err = v.installPage(a, posted)
		return name, location, err, true
	}
	return "", "", nil, false
}

// manifestPage shows a manifest and asks for a name and for consent; the second
// time it makes the App and sends the browser back with a code. A manifest that
// GitHub would refuse is refused in GitHub's words.
func (v *view) manifestPage(owner string) (string, string, error) {
	if owner != "" && !v.mayMakeApps(owner) {
		return "", "", notFound()
	}
	raw := v.r.PostFormValue("manifest")
	var m manifest
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		return "", "", invalidManifest("the manifest is not JSON")
	}
	if err := m.check(); err != nil {
		return "", "", err
	}
	state := v.r.FormValue("state")
	v.data["Heading"], v.data["Says"] = "Create a GitHub App", "It asks for these permissions and events: "+describe(m)
	v.data["Action"], v.data["Button"] = v.r.URL.Path, "Create GitHub App"
	v.data["Hidden"] = map[string]string{"manifest": raw, "state": state, "agreed": "yes"}
	if name := v.r.PostFormValue("name"); name != "" {
		m.Name = name
	}
	v.data["Asks"] = map[string]string{"name": m.Name}
	if v.r.PostFormValue("agreed") == "" {
		return "form", "", nil
	}
	code, err := v.s.appFromManifest(m, owner, v.me)
	if err != nil { // of the name alone: ask again
		v.data["Heading"] = asError(err).Message
		return "form", "", nil
	}
	to, err := url.Parse(m.RedirectURL)
	if err != nil {
		return "", "", invalidManifest("redirect_url must be a valid URL")
	}
	q := to.Query()
	q.Set("code", code)
	if state != "" {
		q.Set("state", state)
	}
	to.RawQuery = q.Encode()
	return "", to.String(), nil
}

// mayMakeApps tells whether the visitor owns an organisation: GitHub shows its
// settings to nobody else.
func (v *view) mayMakeApps(login string) bool {
	org := v.s.w.user(login)
	return org != nil && org.Type == "Organization" && org.Members[fold(v.me.Login)] == "admin"
}

func invalidManifest(why string) error {
	return fail(http.StatusUnprocessableEntity, "Invalid GitHub App configuration. The configuration does not appear to be a valid GitHub App manifest. Error: %s", why)
}

// offered are the events that an App may subscribe to, by the permission that
// GitHub asks for each.
var offered = map[string]string{
	"branch_protection_rule": "administration", "check_run": "checks", "check_suite": "checks", "create": "contents", "delete": "contents",
	"deployment": "deployments", "deployment_status": "deployments", "issue_comment": "issues", "issues": "issues", "label": "metadata",
	"merge_group": "merge_queues", "pull_request": "pull_requests", "pull_request_review": "pull_requests", "push": "contents",
	"registry_package": "packages", "release": "contents", "repository": "metadata", "repository_dispatch": "contents",
	"repository_ruleset": "metadata", "status": "statuses", "workflow_run": "actions",
}

// check holds a manifest to what GitHub refuses: a webhook without an address,
// which it calls by its last name alone, and events that the permissions don't
// cover, or that can't be subscribed to.
func (m *manifest) check() error {
	if m.URL == "" || m.Hook != nil && m.Hook.URL == "" {
		return invalidManifest(`"url" wasn't supplied`)
	}
	if m.RedirectURL == "" {
		return invalidManifest(`"redirect_url" wasn't supplied`)
	}
	for _, e := range m.Events {
		if offered[e] == "" {
			return invalidManifest("Default events unsupported: " + e)
		}
		if m.Permissions[offered[e]] == "" {
			return invalidManifest("Default events are not supported by permissions: " + e)
		}
	}
	return nil
}

func describe(m manifest) string {
	var out []string
	for _, k := range sortedKeys(m.Permissions) {
		out = append(out, k+": "+m.Permissions[k])
	}
	return strings.Join(append(out, m.Events...), ", ")
}

// longestAppName is what GitHub takes.
const longestAppName = 34

// appFromManifest makes the App and a code that stands for its secrets.
func (s *Server) appFromManifest(m manifest, owner string, who *account) (string, error) {
	if owner == "" {
		owner = who.Login
	}
	slug := strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(m.Name)), "-")
	if slug == "" {
		return "", fail(http.StatusUnprocessableEntity, "Name can't be blank")
	}
	if len(m.Name) > longestAppName {
		return "", fail(http.StatusUnprocessableEntity, "Name is too long (maximum is 34 characters)")
	}
	made := App{Slug: slug, Name: m.Name, Owner: owner, Permissions: m.Permissions, Events: m.Events}
	if m.Hook != nil {
		made.WebhookURL, made.WebhookSecret = m.Hook.URL, s.secret("")
	}
	a, err := s.addApp(made)
	if err != nil {
		return "", fail(http.StatusUnprocessableEntity, "Name is already taken")
	}
	code := s.secret("code")
	s.w.Manifests[code] = manifestCode{AppID: a.ID, Expires: s.now().Add(codeLife)}
	return code, nil
}

// convertManifest gives the App's secrets for a code, once and within an hour.
func (s *Server) convertManifest(c *call) (reply, error) {
	m, ok := s.w.Manifests[c.vars["code"]]
	if !ok || s.now().After(m.Expires) {
		return reply{}, notFound()
	}
	delete(s.w.Manifests, c.vars["code"])
	a := s.w.Apps[m.AppID]
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return reply{}, err
	}
	a.PublicKey = &key.PublicKey
	if a.Key, err = publicPEM(a.PublicKey); err != nil {
		return reply{}, err
	}
	o := s.appJSON(a)
	o["client_secret"], o["webhook_secret"] = s.secret(""), orNull(a.WebhookSecret)
	o["pem"] = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	return created(o)
}

// installPage shows an App and lets an owner install it on all repositories of
// its account.
func (v *view) installPage(a *app, posted bool) (string, string, error) {
	if !posted {
		v.data["Heading"], v.data["Says"] = a.Name, "Install it on all repositories of "+a.Owner+"?"
		v.data["Action"], v.data["Button"] = v.s.base+"/apps/"+a.Slug+"/installations/new", "Install"
		return "form", "", nil
	}
	if _, err := v.s.install(a, a.Owner, nil); err != nil {
		return "", "", err
	}
	return "", v.s.base + "/", nil
}
