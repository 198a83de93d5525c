package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/lazyregexp"
)

const (
	// longestName is how long an App's name may be at GitHub, in bytes.
	longestName = 34
	// hookPath is where rung takes GitHub's webhooks.
	hookPath = "/github/webhook"
	// homepage is where an App says what it is.
	homepage = "https://github.com/rungbot/rung"
	// oldest is the first GitHub Enterprise Server whose API makes Apps from
	// manifests without being asked for a preview.
	oldest = "3.0"
)

// target is the App that is to be made, and where.
type target struct {
	github *url.URL // without a trailing slash
	org    string
	name   string
	url    string // of rung, without a trailing slash
	server string // GitHub Enterprise Server's version; empty on github.com
	asks   []forge.Permission
	// tooNew were left out because the server does not know them.
	tooNew []string
}

var orgGrammar = lazyregexp.New(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?$`)

// newTarget checks the options as far as that needs no network.
func newTarget(o Options) (target, error) {
	t := target{org: o.Org, name: strings.TrimSpace(o.Name)}
	var err error
	if t.github, err = url.Parse(strings.TrimRight(o.GitHub, "/")); err != nil || t.github.Host == "" {
		return t, fmt.Errorf("--github %.200q is not an address such as https://github.com", o.GitHub)
	}
	if t.org != "" && !orgGrammar.MatchString(t.org) {
		return t, fmt.Errorf("--org %.100q is not an organisation's name: give the name alone, as it stands in its address", t.org)
	}
	if t.name == "" && t.org != "" {
		t.name = "rung-" + t.org[:min(len(t.org), longestName-len("rung-"))]
		t.name = strings.TrimRight(t.name, "-")
	}
	if len(t.name) > longestName {
		return t, fmt.Errorf("--name is %d bytes long; GitHub takes %d", len(t.name), longestName)
	}
	t.url, err = t.address(o.URL)
	return t, err
}

// address checks the address under which GitHub is to reach rung.
func (t target) address(text string) (string, error) {
	if text == "" {
		return "", errors.New("--url is missing: give the https address under which GitHub will reach this service, such as --url https://rung.example.com (events go to " + hookPath + " below it). It need not answer yet, and can be changed later on the App's settings page")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("--url %.200q is not an address such as https://rung.example.com", text)
	}
	if u.Path, _ = strings.CutSuffix(strings.TrimRight(u.Path, "/"), hookPath); u.RawPath != "" {
		u.RawPath = ""
	}
	here := loopback(u.Hostname())
	switch {
	case u.Scheme == "http" && here && loopback(t.github.Hostname()):
		// an emulator and rung, both on this machine
	case u.Scheme != "https":
		return "", fmt.Errorf("--url %.200q must begin with https://, because events tell what is in your repositories; put a reverse proxy or an ingress with TLS before rung", text)
	case here || private(u.Hostname()) && t.hosted():
		return "", fmt.Errorf("--url %.200q can't be reached from %s, which refuses such an address: give the one under which the service is known outside", text, t.github.Host)
	}
	return u.String(), nil
}

// private tells whether a host is an address that only a private network knows.
func private(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified())
}

// hosted tells whether GitHub itself runs the server.
func (t target) hosted() bool {
	host := strings.ToLower(t.github.Hostname())
	return host == "github.com" || host == "www.github.com" || strings.HasSuffix(host, ".ghe.com")
}

// meet asks the server who it is and whether it knows the account, and settles
// what to ask for.
func (t *target) meet(ctx context.Context, v *forge.Visitor, without []string) error {
	version, err := v.Version(ctx)
	if err != nil {
		return err
	}
	if !t.hosted() {
		t.server = version
	}
	if t.server != "" && olderThan(t.server, oldest) {
		return fmt.Errorf("%s is GitHub Enterprise Server %.20s; rung needs %s or newer: update the server", t.github.Host, t.server, oldest)
	}
	if err := t.ask(without); err != nil || t.org == "" {
		return err
	}
	kind, err := v.AccountType(ctx, t.org)
	switch {
	case err != nil:
		return err
	case kind == "":
		return fmt.Errorf("%s knows no organisation %s: check the name (--org)", t.github.Host, t.org)
	case kind == "User":
		return fmt.Errorf("%s is a person at %s, no organisation: leave --org out and sign in there as %s", t.org, t.github.Host, t.org)
	}
	return nil
}

// ask settles the permissions: all but those that are not wanted, that the server
// is too old for, or that only an organisation can give.
func (t *target) ask(without []string) error {
	all := forge.Permissions()
	for _, name := range without {
		i := slices.IndexFunc(all, func(p forge.Permission) bool { return p.Name == name })
		if i < 0 || all[i].Least != "" {
			return fmt.Errorf("--without %.60q: what can be left out is %s", name, strings.Join(optional(all), ", "))
		}
	}
	for _, p := range all {
		tooNew := t.server != "" && p.Since != "" && olderThan(t.server, p.Since)
		if tooNew {
			t.tooNew = append(t.tooNew, p.Name)
		}
		if !tooNew && !slices.Contains(without, p.Name) && (!p.Organization || t.org != "") {
			t.asks = append(t.asks, p)
		}
	}
	return nil
}

func optional(all []forge.Permission) []string {
	var names []string
	for _, p := range all {
		if p.Least == "" {
			names = append(names, p.Name)
		}
	}
	return names
}

// olderThan compares the first two numbers of versions; what can't be read is not
// older.
func olderThan(version, than string) bool {
	a, b := numbers(version), numbers(than)
	return a != [2]int{} && (a[0] < b[0] || a[0] == b[0] && a[1] < b[1])
}

func numbers(version string) (n [2]int) {
	for i, part := range strings.SplitN(version, ".", 3) {
		if i < 2 {
			var err error
			if n[i], err = strconv.Atoi(part); err != nil {
				return [2]int{}
			}
		}
	}
	return n
}

// manifest is GitHub's App manifest: its page "Registering a GitHub App from a
// manifest". A webhook without a url is refused whole, so both are always there.
func (t target) manifest(redirect string) ([]byte, error) {
	granted, events := map[string]string{}, []string{}
	for _, p := range t.asks {
		granted[p.Name] = p.Level
		events = append(events, p.Events...)
	}
	slices.Sort(events)
	type hook struct {
		URL    string `json:"url"`
		Active bool   `json:"active"`
	}
	return json.Marshal(struct {
		Name        string            `json:"name,omitempty"`
		URL         string            `json:"url"`
		Description string            `json:"description"`
		Hook        hook              `json:"hook_attributes"`
		Redirect    string            `json:"redirect_url"`
		Public      bool              `json:"public"`
		Permissions map[string]string `json:"default_permissions"`
		Events      []string          `json:"default_events"`
	}{
		t.name, homepage, "Promotes artifact versions through the environments of GitOps repositories.",
		hook{t.url + hookPath, true},
		redirect, false, granted, events,
	})
}

// formURL is where the manifest is posted.
func (t target) formURL(state string) string {
	return t.appsURL() + "/new?state=" + url.QueryEscape(state)
}

// appsURL is where the account's Apps are listed; their settings are below it.
func (t target) appsURL() string {
	if t.org != "" {
		return t.github.String() + "/organizations/" + t.org + "/settings/apps"
	}
	return t.github.String() + "/settings/apps"
}

// owner says in words whose App it will be.
func (t target) owner() string {
	if t.org != "" {
		return "the organisation " + t.org
	}
	return "your own account"
}

// appURL is an App's page: what GitHub says, if that lies on the same server.
func (t target) appURL(app forge.NewApp) string {
	if u, err := url.Parse(app.URL); err == nil && u.Host == t.github.Host && u.Scheme == t.github.Scheme && u.RawQuery == "" {
		return strings.TrimRight(app.URL, "/")
	}
	if t.server != "" {
		return t.github.String() + "/github-apps/" + url.PathEscape(app.Slug)
	}
	return t.github.String() + "/apps/" + url.PathEscape(app.Slug)
}
