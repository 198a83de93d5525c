package doctor

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/forge"
)

// hookPath is where rung takes GitHub's webhooks.
const hookPath = "/github/webhook"

// app judges whether GitHub takes the App, and what it asks for.
func (j *judge) app() bool {
	const id = "app"
	a := j.f.App
	switch {
	case !a.Looked:
		j.unjudged(id)
	case j.f.NotTaken && wrongClock(j.f.GitHub.Value):
		j.unjudged(id) // the clock's line says it
	case j.f.NotTaken:
		j.line(id, "", Failure, fmt.Sprintf("GitHub does not take the private key for the App %d (%s)", j.f.AppID, a.Problem), "set RUNG_GITHUB_APP_ID to the App's number and RUNG_GITHUB_PRIVATE_KEY_FILE to a key that the same App's settings page made")
	case j.f.NoApp:
		j.line(id, "", Failure, fmt.Sprintf("%s knows no App %d", j.f.GitHubURL, j.f.AppID), "mend RUNG_GITHUB_APP_ID, or RUNG_GITHUB_URL if the App lives on another server")
	case a.Problem != "":
		j.blind(id, "", Failure, a.Problem, "run rung doctor again; if it stays, look at GitHub's status page")
	case a.Value.ID != j.f.AppID:
		j.line(id, "", Failure, fmt.Sprintf("the private key belongs to the App %d, not to %d", a.Value.ID, j.f.AppID), "set RUNG_GITHUB_APP_ID and the private key of the same App")
	default:
		j.ok(id, "", fmt.Sprintf("GitHub knows the App %s, number %d", a.Value.Slug, a.Value.ID))
		j.asks(a.Value)
		return true
	}
	j.unjudged(idsAfter(GroupApp, id)...)
	j.noRepositories()
	return false
}

// asks judges what the App asks its installations for.
func (j *judge) asks(a forge.Registration) {
	missing, lesser := forge.MissingPermissions(a.Permissions), []string(nil)
	var events []string
	for _, p := range forge.Permissions() {
		least, full := p.Met(a.Permissions)
		if least && !full {
			lesser = append(lesser, fmt.Sprintf("%s: %s (%s)", p.Name, p.Level, p.Why))
		}
		for _, e := range p.Events {
			if least && (full || p.Least != "") && !slices.Contains(a.Events, e) {
				events = append(events, e)
			}
		}
	}
	fix := func(what string) string {
		return what + " at " + a.Settings + "/permissions; then each installation's owner accepts it"
	}
	switch {
	case len(missing) > 0:
		j.line("app-permissions", "", Failure, "the App does not ask for "+list(missing)+", which rung can't do without", fix("add it"))
	case len(lesser) > 0:
		j.line("app-permissions", "", Warning, "the App does not ask for "+list(lesser), fix("add what you want to use"))
	default:
		j.ok("app-permissions", "", "the App asks for everything that rung uses")
	}
	if more := forge.Excess(a.Permissions); len(more) > 0 {
		j.line("app-excess", "", Warning, "the App asks for "+list(more)+", which rung does not use", "take it away at "+a.Settings+"/permissions")
	} else {
		j.ok("app-excess", "", "the App asks for no more than rung uses")
	}
	if len(events) > 0 {
		j.line("app-events", "", Warning, "the App does not take the events "+list(events)+": rung learns of them only by looking", "tick them at "+a.Settings+"/permissions")
	} else {
		j.ok("app-events", "", "the App takes every event that rung listens to")
	}
}

// installations judges where the App is installed.
func (j *judge) installations() {
	const id = "installations"
	all := j.f.Installations
	switch {
	case !all.Looked:
		j.unjudged(id, "installation", "accepted", "quota")
		return
	case all.Problem != "":
		j.blind(id, "", Failure, all.Problem, "run rung doctor again")
		j.unjudged("installation", "accepted", "quota")
		return
	case len(all.Value) == 0:
		j.line(id, "", Failure, "the App is installed nowhere", "install it on the GitOps repository: "+j.f.GitHubURL+"/apps/"+url.PathEscape(j.f.App.Value.Slug)+"/installations/new")
	case len(j.f.Missing) > 0:
		j.line(id, "", Failure, "the App is not installed on "+list(j.f.Missing), "install it there, or mend the name: "+j.f.GitHubURL+"/apps/"+url.PathEscape(j.f.App.Value.Slug)+"/installations/new")
	default:
		names := make([]string, len(all.Value))
		for i, in := range all.Value {
			names[i] = in.Account
		}
		j.ok(id, "", "the App is installed on "+list(names))
	}
	for i := range all.Value {
		j.installation(&all.Value[i])
	}
}

func (j *judge) installation(in *Installation) {
	if in.Suspended {
		j.line("installation", in.Account, Failure, "the installation is suspended: rung's work there rests", "an owner of "+in.Account+" unsuspends it at "+in.Page)
		return
	}
	j.ok("installation", in.Account, "the installation is active")
	j.accepted(in)
	j.quota(in)
}

// accepted judges what an owner granted, of what the App asks for.
func (j *judge) accepted(in *Installation) {
	const id = "accepted"
	asked := j.f.App.Value
	var needed, wanted []string
	for _, p := range forge.Permissions() {
		asksLeast, asksFull := p.Met(asked.Permissions)
		least, full := p.Met(in.Permissions)
		switch {
		case !least && asksLeast:
			needed = append(needed, p.Name+": "+p.Least)
		case least && !full && asksFull:
			wanted = append(wanted, p.Name+": "+p.Level)
		}
	}
	fix := "an owner of " + in.Account + " accepts it at " + in.Page
	switch {
	case len(needed) > 0:
		j.line(id, in.Account, Failure, in.Account+" has not accepted "+list(needed)+", which rung can't do without", fix)
	case len(wanted) > 0:
		j.line(id, in.Account, Warning, in.Account+" has not accepted "+list(wanted), fix)
	default:
		j.ok(id, in.Account, in.Account+" has accepted what the App asks for")
	}
}

func (j *judge) quota(in *Installation) {
	const id = "quota"
	q := in.Quota
	switch {
	case !q.Looked:
		j.unjudged(id)
		return
	case q.Problem != "":
		j.blind(id, in.Account, Warning, q.Problem, "run rung doctor again")
		return
	case q.Value.Unlimited:
		j.ok(id, in.Account, "the server keeps no limits")
		return
	}
	worst, name := q.Value.Core, "REST"
	if g := q.Value.GraphQL; g.Limit > 0 && (worst.Limit == 0 || g.Remaining*worst.Limit < worst.Remaining*g.Limit) {
		worst, name = g, "GraphQL"
	}
	text := fmt.Sprintf("%d of %d requests are left (%s) until %s", worst.Remaining, worst.Limit, name, worst.Reset.Format("15:04 UTC"))
	fix := "wait; see who else uses the App's key, and raise RUNG_RESYNC if there are very many repositories"
	switch {
	case worst.Limit == 0:
		j.blind(id, in.Account, Warning, "GitHub's answer names no limit", "run rung doctor again")
	case worst.Remaining == 0:
		j.line(id, in.Account, Failure, text, fix)
	case worst.Remaining*10 < worst.Limit:
		j.line(id, in.Account, Warning, text, fix)
	default:
		j.ok(id, in.Account, text)
	}
}

// webhook judges where GitHub sends events, and what came of the newest.
func (j *judge) webhook() {
	h := j.f.Hook
	page := j.f.App.Value.Settings
	switch {
	case !h.Looked:
		j.unjudged("webhook", "deliveries")
		return
	case j.f.NoHook || h.Problem == "" && h.Value.URL == "":
		text := "the App has no webhook: rung learns of everything only by looking"
		if !j.f.Served {
			j.ok("webhook", "", text+", as rung reconcile --once does")
		} else {
			j.line("webhook", "", Failure, text, "set the webhook's URL at "+page+" to the address of this service, ending with "+hookPath)
		}
		j.unjudged("deliveries")
		return
	case h.Problem != "":
		j.blind("webhook", "", Failure, h.Problem, "run rung doctor again")
	default:
		j.hook(h.Value, page)
	}
	j.deliveries(page)
}

func (j *judge) hook(h forge.Hook, page string) {
	const id = "webhook"
	u, err := url.Parse(h.URL)
	local := err == nil && (u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.") || u.Hostname() == "::1")
	own := strings.HasPrefix(j.f.GitHubURL, "http://") // a GitHub on loopback: nothing leaves this machine
	switch {
	case err != nil || u.Host == "":
		j.line(id, "", Failure, fmt.Sprintf("GitHub sends events to %q, which is no address", h.URL), "mend the webhook's URL at "+page)
	case !strings.HasSuffix(u.Path, hookPath):
		j.line(id, "", Failure, "GitHub sends events to "+u.Redacted()+", and rung takes them at "+hookPath, "let the webhook's URL end with "+hookPath+" at "+page)
	case h.ContentType != "json":
		j.line(id, "", Failure, "GitHub sends events as "+h.ContentType+", and rung takes JSON alone", "choose the content type application/json at "+page)
	case !h.Signed:
		j.line(id, "", Failure, "the webhook has no secret, and rung takes signed events alone", "set the secret of RUNG_GITHUB_WEBHOOK_SECRETS at "+page)
	case local && !own:
		j.line(id, "", Failure, "GitHub sends events to "+u.Redacted()+", which only this machine reaches", "set the webhook's URL at "+page+" to an address that GitHub reaches")
	case u.Scheme != "https" && !own:
		j.line(id, "", Warning, "events travel in the clear to "+u.Redacted(), "put TLS before rung and set an https address at "+page)
	case h.Insecure:
		j.line(id, "", Warning, "GitHub does not check the certificate of "+u.Host+": whoever stands between can read the events", "enable SSL verification at "+page)
	default:
		j.ok(id, "", "GitHub sends events to "+u.Redacted())
	}
}

// lately is how many of the newest deliveries are judged together.
const lately = 10

// deliveries judges what came of the newest webhooks, as GitHub saw it.
func (j *judge) deliveries(page string) {
	const id = "deliveries"
	d := j.f.Deliveries
	switch {
	case !d.Looked:
		j.unjudged(id)
		return
	case d.Problem != "":
		j.blind(id, "", Warning, d.Problem, "run rung doctor again")
		return
	case len(d.Value) == 0:
		j.line(id, "", Warning, "GitHub has sent no event in the last days: it is not known whether they arrive", "change something in the repository, or redeliver the ping at "+page+"/advanced, and run rung doctor again")
		return
	}
	newest := d.Value[0]
	failed := 0
	recent := d.Value[:min(len(d.Value), lately)]
	for _, x := range recent {
		if !x.OK() {
			failed++
		}
	}
	age := span(max(j.f.Now.Sub(newest.DeliveredAt), 0)) + " ago"
	text := fmt.Sprintf("%d of the newest %d events did not arrive; of the newest (%s, %s) GitHub says: %s", failed, len(recent), newest.Event, age, statusWords(newest.StatusCode))
	switch {
	case !newest.OK() && failed > len(recent)/2:
		j.line(id, "", Failure, text, remedy(newest.StatusCode, page))
	case failed > 0:
		j.line(id, "", Warning, text, "rung takes in what was lost from GitHub's list; if it goes on: "+remedy(worstCode(recent), page))
	default:
		j.ok(id, "", fmt.Sprintf("the newest %d events arrived, the last (%s) %s", len(recent), newest.Event, age))
	}
}

func worstCode(all []forge.Delivery) int {
	for _, d := range all {
		if !d.OK() {
			return d.StatusCode
		}
	}
	return 0
}

func statusWords(code int) string {
	if code == 0 {
		return "no answer"
	}
	return fmt.Sprintf("answered with %d", code)
}

// remedy says what to do about a webhook that was not taken.
func remedy(code int, page string) string {
	switch {
	case code == 401 || code == 403:
		return "the secret at " + page + " differs from RUNG_GITHUB_WEBHOOK_SECRETS: set the same in both"
	case code == 404 || code == 405:
		return "something else answers at the webhook's URL: see that it is rung's address and ends with " + hookPath
	case code == 0:
		return "GitHub can't reach the webhook's URL: see the name, the firewall and the certificate; GitHub's addresses are in its API under /meta"
	case code >= 500:
		return "rung, or a proxy before it, fails: see its log"
	}
	return "see the delivery at " + page + "/advanced"
}
