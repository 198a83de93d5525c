package doctor

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const (
	appID  = 7
	digest = promotion.Digest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	first  = promotion.Hash("1111111111111111111111111111111111111111")
)

// granted is what the App asks for when it asks for what rung uses.
func granted() (permissions map[string]string, events []string) {
	permissions = map[string]string{}
	for _, p := range forge.Permissions() {
		permissions[p.Name] = p.Level
		events = append(events, p.Events...)
	}
	return permissions, events
}

// sound are facts of which every line is ok.
func sound() *Facts {
	permissions, events := granted()
	own := forge.Guard{Rule: forge.RuleChecks, Name: "main", Bypass: forge.BypassNever, Checks: []promotion.RequiredCheck{{Name: "rung", App: appID}}}
	mine := func(rule string) forge.Guard {
		return forge.Guard{Rule: rule, Name: "rung/ledger", Bypass: forge.BypassAlways}
	}
	pair := promotion.Pair{Environment: "prod", Artifact: "checkout"}
	return &Facts{
		Now: now, Production: false, Served: true, GitHubURL: "https://github.com", AppID: appID, Fingerprint: Saw("SHA256:abc"),
		Database: Saw(Database{Path: "/var/lib/rung/rung.db", Writable: true, Bytes: 8 << 10, Free: 20 << 30, Room: true}),
		GitHub:   Saw(forge.Answer{Status: 200, GitHub: true, Date: now.Add(-2 * time.Second), Here: now}),
		App:      Saw(forge.Registration{ID: appID, Slug: "rung-acme", Permissions: permissions, Events: events, Settings: "https://github.com/organizations/acme/settings/apps/rung-acme"}),
		Installations: Saw([]Installation{{
			Installation: forge.Installation{ID: 1, Account: "acme", Permissions: permissions, Events: events, Page: "https://github.com/organizations/acme/settings/installations/1"},
			Quota:        Saw(forge.Quota{Core: forge.QuotaOf{Limit: 5000, Remaining: 4000, Reset: now}, GraphQL: forge.QuotaOf{Limit: 5000, Remaining: 4990, Reset: now}}),
		}}),
		Hook:       Saw(forge.Hook{URL: "https://rung.example.com/github/webhook", ContentType: "json", Signed: true}),
		Deliveries: Saw([]forge.Delivery{{StatusCode: 202, Event: "push", DeliveredAt: now.Add(-time.Minute)}}),
		Repositories: []Repository{{
			Name: "acme/environments", Configured: true, Base: "main", Tip: first, Methods: []string{"merge", "squash"},
			Pipeline: promotion.Pipeline{
				Mode: promotion.ModeMerge, Commits: promotion.CommitsRung, Ledger: first,
				Artifacts: []promotion.ArtifactSpec{{Name: "checkout", Image: "ghcr.io/acme/checkout"}},
				Environments: []promotion.EnvironmentSpec{
					{Name: "dev", Method: "merge", Health: []promotion.HealthSource{{Status: "argocd"}}},
					{Name: "prod", Method: "merge", After: []promotion.Environment{"dev"}, Protected: true, Health: []promotion.HealthSource{{Status: "argocd"}}},
				},
			},
			OnBase:       Saw(forge.Guards{Rules: []forge.Guard{own}}),
			OnLedger:     Saw(forge.Guards{Rules: []forge.Guard{mine(forge.RuleUpdate), mine(forge.RuleDeletion), mine(forge.RuleNoForce)}}),
			OnPromotions: Saw(forge.Guards{}),
			Registry:     map[promotion.Artifact]promotion.Availability{"checkout": {Releases: []promotion.Release{{Version: "1.4.2"}}}},
			Rollbacks:    []Rollback{{Pair: pair, Last: promotion.Value{Version: "1.4.1", Digest: digest}, Served: true}},
			RolledBack:   now.Add(-24 * time.Hour),
		}},
	}
}

func TestSoundFactsAreOK(t *testing.T) {
	r := Judge(sound())
	for _, l := range r.Lines {
		if l.Status != OK || l.Fix != "" || l.Sentence == "" || l.Title == "" || l.Title == l.ID {
			t.Errorf("%+v", l)
		}
	}
	if r.Status != OK || r.Code() != 0 || len(r.Unjudged) > 0 {
		t.Errorf("%s, code %d, unjudged %v", r.Status, r.Code(), r.Unjudged)
	}
	for _, c := range Checks() {
		if c.Group != GroupProduction && !slices.ContainsFunc(r.Lines, func(l Line) bool { return l.ID == c.ID }) {
			t.Errorf("there is no line %s", c.ID)
		}
	}
}

// base is the only repository of the facts.
func base(f *Facts) *Repository { return &f.Repositories[0] }

func rule(kind string, change func(*forge.Guard)) func(*Facts) {
	return func(f *Facts) {
		g := forge.Guard{Rule: kind, Name: "main", Bypass: forge.BypassNever}
		if change != nil {
			change(&g)
		}
		base(f).OnBase.Value.Rules = append(base(f).OnBase.Value.Rules, g)
	}
}

func onLedger(g forge.Guard) func(*Facts) {
	return func(f *Facts) { base(f).OnLedger.Value.Rules = append(base(f).OnLedger.Value.Rules, g) }
}

// cases are what can be wrong, one at a time: the line that says it, how it stands,
// what its sentence says, and what its fix does.
var cases = []struct {
	name          string
	change        func(*Facts)
	id            string
	status        Status
	sentence, fix string
	code          int
}{
	{"a setting is wrong", func(f *Facts) { f.Settings = []string{"RUNG_RESYNC: must lie between 10s and 24h0m0s, not 1s"} }, "settings", Failure, "RUNG_RESYNC: must lie between", "docs/settings.md", 1},
	{"the release key can't be read", func(f *Facts) {
		f.Fingerprint = See("", errors.New("RUNG_SIGNING_KEY: this is no private key"))
	}, "signing-key", Failure, "no private key", "rung keys init outside RUNG_DATA", 1},
	{"there is no root key", func(f *Facts) { f.OwnRoot = true }, "root-key", Warning, "no root key", "RUNG_ROOT_KEYS", 0},
	{"the database is damaged", func(f *Facts) { f.Database.Value.Damage = "malformed page 3" }, "database", Failure, "damaged: malformed page 3", "delete the file", 1},
	{"the database is a newer rung's", func(f *Facts) { f.Database.Value.Newer = "the file has schema 9" }, "database", Failure, "can't be used: the file has schema 9", "start the newer rung again", 1},
	{"the database can't be written", func(f *Facts) { f.Database.Value.Writable = false }, "database", Failure, "can't be written", "user", 1},
	{"the database can't be seen", func(f *Facts) { f.Database = Blind[Database]("permission denied") }, "database", Failure, "could not be seen: permission denied", "RUNG_DATA", 2},
	{"the disk is full", func(f *Facts) { f.Database.Value.Free = 1 << 20 }, "database", Failure, "1.0 MiB left", "make room", 1},
	{"the disk is nearly full", func(f *Facts) { f.Database.Value.Free = 500 << 20 }, "database", Warning, "500.0 MiB left", "make room", 0},

	{"GitHub does not answer", func(f *Facts) { f.GitHub = Blind[forge.Answer]("no such host") }, "github", Failure, "https://github.com does not answer: no such host", "RUNG_GITHUB_URL", 2},
	{"the host is no GitHub", func(f *Facts) { f.GitHub.Value = forge.Answer{Status: 404, Date: now, Here: now} }, "github", Failure, "answers (404), but not as a GitHub server does", "RUNG_GITHUB_URL", 1},
	{"the clock is an hour ahead", func(f *Facts) { f.GitHub.Value.Date = now.Add(-time.Hour) }, "clock", Failure, "60 min ahead of GitHub's, so that GitHub refuses", "chrony", 1},
	{"the clock is an hour behind", func(f *Facts) { f.GitHub.Value.Date = now.Add(time.Hour) }, "clock", Failure, "60 min behind GitHub's", "chrony", 1},
	{"the clock is half a minute ahead", func(f *Facts) { f.GitHub.Value.Date = now.Add(-30 * time.Second) }, "clock", Warning, "30 s ahead", "chrony", 0},
	{"GitHub shows no time", func(f *Facts) { f.GitHub.Value.Date = time.Time{} }, "clock", Warning, "shows no time", "by hand", 0},
	{"the App's key is refused", func(f *Facts) { f.App, f.NotTaken = Blind[forge.Registration]("bad credentials"), true }, "app", Failure, "does not take the private key for the App 7 (bad credentials)", "RUNG_GITHUB_PRIVATE_KEY_FILE", 1},
	{"there is no such App", func(f *Facts) { f.App, f.NoApp = Blind[forge.Registration]("not found"), true }, "app", Failure, "knows no App 7", "RUNG_GITHUB_APP_ID", 1},
	{"the key is another App's", func(f *Facts) { f.App.Value.ID = 8 }, "app", Failure, "belongs to the App 8, not to 7", "same App", 1},
	{"GitHub fails", func(f *Facts) { f.App = Blind[forge.Registration]("GitHub is not available (502)") }, "app", Failure, "could not be seen: GitHub is not available (502)", "status page", 2},
	{"the App asks for too little", func(f *Facts) { f.App.Value.Permissions["checks"] = "read" }, "app-permissions", Failure, "does not ask for checks: write", "settings/apps/rung-acme/permissions", 1},
	{"the App asks for less than all", func(f *Facts) { delete(f.App.Value.Permissions, "members") }, "app-permissions", Warning, "members: read (teams that rung.yaml names)", "permissions", 0},
	{"the App asks for too much", func(f *Facts) { f.App.Value.Permissions["secrets"] = "read" }, "app-excess", Warning, "secrets: read", "take it away", 0},
	{"an event is missing", func(f *Facts) {
		f.App.Value.Events = slices.DeleteFunc(f.App.Value.Events, func(e string) bool { return e == "push" })
	}, "app-events", Warning, "push", "tick", 0},
	{"the App is installed nowhere", func(f *Facts) { f.Installations.Value, f.Repositories = nil, nil }, "installations", Failure, "installed nowhere", "https://github.com/apps/rung-acme/installations/new", 1},
	{"the App is not installed there", func(f *Facts) { f.Missing = []string{"acme/other"} }, "installations", Failure, "not installed on acme/other", "mend the name", 1},
	{"the installation is suspended", func(f *Facts) { f.Installations.Value[0].Suspended = true }, "installation", Failure, "suspended", "an owner of acme unsuspends it at https://", 1},
	{"the owner has not accepted", func(f *Facts) {
		f.Installations.Value[0].Permissions = map[string]string{"metadata": "read", "contents": "write", "checks": "write", "issues": "write"}
	}, "accepted", Failure, "acme has not accepted pull_requests: write, statuses: read", "an owner of acme accepts it at https://", 1},
	{"the quota is low", func(f *Facts) { f.Installations.Value[0].Quota.Value.GraphQL.Remaining = 400 }, "quota", Warning, "400 of 5000 requests are left (GraphQL)", "RUNG_RESYNC", 0},
	{"the quota is spent", func(f *Facts) { f.Installations.Value[0].Quota.Value.Core.Remaining = 0 }, "quota", Failure, "0 of 5000 requests are left (REST)", "RUNG_RESYNC", 1},
	{"the quota can't be seen", func(f *Facts) { f.Installations.Value[0].Quota = Blind[forge.Quota]("a timeout") }, "quota", Warning, "a timeout", "again", 0},

	{"there is no webhook", func(f *Facts) { f.Hook.Value.URL = "" }, "webhook", Failure, "no webhook", "/github/webhook", 1},
	{"the webhook has another path", func(f *Facts) { f.Hook.Value.URL = "https://rung.example.com/hook" }, "webhook", Failure, "https://rung.example.com/hook, and rung takes them at /github/webhook", "end with /github/webhook", 1},
	{"the webhook sends forms", func(f *Facts) { f.Hook.Value.ContentType = "form" }, "webhook", Failure, "as form", "application/json", 1},
	{"the webhook is unsigned", func(f *Facts) { f.Hook.Value.Signed = false }, "webhook", Failure, "no secret", "RUNG_GITHUB_WEBHOOK_SECRETS", 1},
	{"the webhook goes to loopback", func(f *Facts) { f.Hook.Value.URL = "https://localhost/github/webhook" }, "webhook", Failure, "only this machine reaches", "an address that GitHub reaches", 1},
	{"the webhook goes in the clear", func(f *Facts) { f.Hook.Value.URL = "http://rung.example.com/github/webhook" }, "webhook", Warning, "in the clear", "TLS", 0},
	{"the certificate is not checked", func(f *Facts) { f.Hook.Value.Insecure = true }, "webhook", Warning, "does not check the certificate of rung.example.com", "SSL verification", 0},
	{"deliveries are refused for their signature", func(f *Facts) { f.Deliveries.Value[0].StatusCode = 401 }, "deliveries", Failure, "answered with 401", "secret", 1},
	{"deliveries find nothing", func(f *Facts) { f.Deliveries.Value[0].StatusCode = 404 }, "deliveries", Failure, "answered with 404", "/github/webhook", 1},
	{"deliveries get no answer", func(f *Facts) { f.Deliveries.Value[0].StatusCode = 0 }, "deliveries", Failure, "no answer", "firewall", 1},
	{"one delivery was lost", func(f *Facts) {
		f.Deliveries.Value = append(f.Deliveries.Value, forge.Delivery{StatusCode: 502, Event: "push", DeliveredAt: now.Add(-time.Hour)})
	}, "deliveries", Warning, "1 of the newest 2 events did not arrive", "proxy", 0},
	{"nothing was delivered", func(f *Facts) { f.Deliveries.Value = nil }, "deliveries", Warning, "not known whether they arrive", "redeliver", 0},
	{"deliveries can't be listed", func(f *Facts) { f.Deliveries = Blind[[]forge.Delivery]("a timeout") }, "deliveries", Warning, "a timeout", "again", 0},

	{"a repository can't be read", func(f *Facts) { base(f).Problem = "the git server is unavailable" }, "repository", Failure, "the git server is unavailable", "installed on acme/environments", 2},
	{"a repository is archived", func(f *Facts) { base(f).Held = "the repository is archived: nothing is written" }, "repository", Failure, "archived", "mend that", 1},
	{"there is no rung.yaml", func(f *Facts) { base(f).Configured = false }, "configuration", Failure, "no rung.yaml", "rung init --pull-request acme/environments", 1},
	{"nothing is configured anywhere", func(f *Facts) { f.Repositories, f.Unconfigured = nil, []string{"acme/a", "acme/b"} }, "configuration", Failure, "none of 2 repositories has a rung.yaml", "rung init --pull-request acme/a", 1},
	{"rung.yaml has an error", func(f *Facts) {
		base(f).Problems = []promotion.ConfigProblem{{Path: "rung.yaml", Line: 3, Column: 5, Text: "unknown field"}, {Path: "rung.yaml", Line: 9, Text: "another"}}
	}, "configuration", Failure, "rung.yaml:3:5: unknown field (and 1 more)", "rung validate", 1},
	{"there is no environment", func(f *Facts) { base(f).Pipeline.Environments = nil }, "configuration", Failure, "names no environment", "rung init --print", 1},
	{"there is no artifact", func(f *Facts) { base(f).Pipeline.Artifacts = nil }, "configuration", Failure, "names no artifact", "rung init --print", 1},
	{"a policy does not compile", func(f *Facts) {
		base(f).Pipeline.PolicyPaths = []string{"policies/digest.yaml"}
		base(f).Problems = []promotion.ConfigProblem{{Path: "policies/digest.yaml", Line: 2, Column: 1, Text: "no such function"}}
	}, "policies", Failure, "policies/digest.yaml:2:1: no such function", "rung policy test", 1},
	{"the ledger is another one", func(f *Facts) { base(f).LedgerProblem = "the ledger is another one than rung.yaml names" }, "ledger", Failure, "another one", "docs/operations.md", 1},
	{"the ledger is not named", func(f *Facts) { base(f).Pipeline.Ledger = "" }, "ledger", Warning, "does not name the ledger", "rung/onboard", 0},
	{"there is no ledger", func(f *Facts) { base(f).Tip, base(f).Pipeline.Ledger = "", "" }, "ledger", Warning, "no ledger yet", "rung serve", 0},

	{"the ledger's branch has no rules", func(f *Facts) { base(f).OnLedger = Saw(forge.Guards{}) }, "ledger-branch", Warning, "pushed to by anybody with write, and deleted, and rewritten", `"bypass_actors":[{"actor_id":7,"actor_type":"Integration","bypass_mode":"always"}]`, 0},
	{"the ledger wants GitHub's signatures", onLedger(forge.Guard{Rule: forge.RuleSignatures, Name: "everything", Bypass: forge.BypassNever}), "ledger-branch", Failure, `the ruleset "everything" wants commits that GitHub can verify`, "exclude rung/**", 1},
	{"the ledger wants pull requests", onLedger(forge.Guard{Rule: forge.RulePullRequest, Name: "everything", Bypass: forge.BypassPulls}), "ledger-branch", Failure, "by pull request", "exclude rung/**", 1},
	{"the ledger may be updated by others alone", onLedger(forge.Guard{Rule: forge.RuleUpdate, Name: "everything", Bypass: forge.BypassNever}), "ledger-branch", Failure, "the App is not among them", "bypass list", 1},
	{"whether rung passes is not told", onLedger(forge.Guard{Rule: forge.RuleUpdate, Name: "everything"}), "ledger-branch", Warning, "does not say whether the App passes", "by hand", 0},
	{"the ledger's rules can't be seen", func(f *Facts) { base(f).OnLedger = Blind[forge.Guards]("a timeout") }, "ledger-branch", Warning, "a timeout", "again", 0},
	{"promotions' branches want signatures", func(f *Facts) {
		base(f).OnPromotions.Value.Rules = []forge.Guard{{Rule: forge.RuleSignatures, Name: "everything", Bypass: forge.BypassNever}}
	}, "promotion-branches", Failure, "rung/p/dev/checkout", "exclude rung/**", 1},
	{"promotions' branches can't be moved", func(f *Facts) {
		base(f).OnPromotions.Value.Rules = []forge.Guard{{Rule: forge.RuleNoForce, Name: "everything", Bypass: forge.BypassNever}}
	}, "promotion-branches", Failure, "moving or deleting", "exclude rung/**", 1},

	{"the check is not required", func(f *Facts) {
		base(f).OnBase = Saw(forge.Guards{})
		base(f).Pipeline.Environments[1].Protected = false
	}, "required-check", Warning, "main does not require the check rung", "choose the App number 7", 0},
	{"the check is not required where an environment is protected", func(f *Facts) { base(f).OnBase = Saw(forge.Guards{}) }, "required-check", Failure, "main does not require", "choose the App", 1},
	{"the check counts from anybody", func(f *Facts) {
		base(f).OnBase.Value.Rules[0].Checks[0].App = 0
		base(f).Pipeline.Environments[1].Protected = false
	}, "required-check", Warning, "from anybody", "its source", 0},
	{"the check is wanted from another App", func(f *Facts) { base(f).OnBase.Value.Rules[0].Checks[0].App = 8 }, "required-check", Failure, "another App (number 8)", "its source", 1},

	{"reviews are required", rule(forge.RulePullRequest, func(g *forge.Guard) { g.Reviews = 2 }), "merge", Failure, `rung can't merge: "main" wants 2 approving reviews`, "approvals:", 1},
	{"code owners must review", rule(forge.RulePullRequest, func(g *forge.Guard) { g.CodeOwners = true }), "merge", Failure, "1 approving review", "approvals:", 1},
	{"reviews are required where people approve anyway", func(f *Facts) {
		for i := range base(f).Pipeline.Environments {
			base(f).Pipeline.Environments[i].Approvals.Required = 1
		}
		rule(forge.RulePullRequest, func(g *forge.Guard) { g.Reviews = 1 })(f)
	}, "merge", Warning, "wait for a person anyway, and so do its rollbacks", "approvals:", 0},
	{"the merge method is not allowed by the rule", rule(forge.RulePullRequest, func(g *forge.Guard) { g.Methods = []string{"squash"} }), "merge", Failure, "allows squash on main, not merge", "merge: for dev", 1},
	{"the merge method is not allowed by the repository", func(f *Facts) { base(f).Methods = []string{"rebase"} }, "merge", Failure, "the repository allows rebase, not merge", "repository's settings", 1},
	{"signatures are required", rule(forge.RuleSignatures, nil), "merge", Failure, "can't know rung's key", "commits: github", 1},
	{"a linear history is required", rule(forge.RuleLinear, nil), "merge", Failure, "linear history", "merge: squash for dev", 1},
	{"a merge queue is required", rule(forge.RuleMergeQueue, nil), "merge", Failure, "merge queue", "mode: propose", 1},
	{"updates are restricted", rule(forge.RuleUpdate, nil), "merge", Failure, "the App is not among them", "bypass list", 1},
	{"branches must be up to date", rule(forge.RuleChecks, func(g *forge.Guard) { g.Strict, g.Checks = true, []promotion.RequiredCheck{{Name: "ci"}} }), "merge", Warning, "up to date with main", "untick", 0},
	{"a rule is not known", rule("quantum_sealing", nil), "merge", Warning, "the rule quantum_sealing", "bypass list", 0},
	{"classic protection is hidden", func(f *Facts) { base(f).OnBase.Value.Hidden = true }, "merge", Warning, "sees only a part", "ruleset", 0},
	{"in mode propose people merge", func(f *Facts) { base(f).Pipeline.Mode = promotion.ModePropose; rule(forge.RuleMergeQueue, nil)(f) }, "merge", Warning, "in mode merge rung could not merge", "mode: propose", 0},

	{"the registry does not answer", func(f *Facts) {
		base(f).Registry["checkout"] = promotion.Availability{Error: "the registry refuses the credentials"}
	}, "registry", Failure, "refuses the credentials", "RUNG_REGISTRY_HOST", 2},
	{"the registry has no version", func(f *Facts) { base(f).Registry["checkout"] = promotion.Availability{} }, "registry", Warning, "no version that counts", "versions:", 0},
	{"the last good release is gone", func(f *Facts) { base(f).Rollbacks[0].Served = false }, "retention", Failure, "no longer serves 1.4.1", "push 1.4.1 again", 1},
	{"whether it is served is not known", func(f *Facts) { base(f).Rollbacks[0].Problem = "a timeout" }, "retention", Warning, "a timeout", "again", 0},

	{"mode observe is no production", func(f *Facts) { f.Production = true; base(f).Pipeline.Mode = promotion.ModeObserve }, "ready-mode", Warning, "promotes nothing", "mode: propose", 0},
	{"the last environment is not protected", func(f *Facts) { f.Production = true; base(f).Pipeline.Environments[1].Protected = false }, "ready-protected", Warning, "promotions into prod", "protected: true", 0},
	{"an environment has no health source", func(f *Facts) { f.Production = true; base(f).Pipeline.Environments[0].Health = nil }, "ready-health", Warning, "in dev", "health:", 0},
	{"no rollback was made", func(f *Facts) { f.Production = true; base(f).RolledBack = time.Time{} }, "ready-rollback", Warning, "no rollback stands", "/rollback", 0},
	{"the last rollback is old", func(f *Facts) { f.Production = true; base(f).RolledBack = now.Add(-100 * 24 * time.Hour) }, "ready-rollback", Warning, "2025-11-22, 100 days ago", "/rollback", 0},
}

func TestEachThingIsSaidWithWhatToDo(t *testing.T) {
	tried := map[string]bool{}
	for _, c := range cases {
		tried[c.id] = true
		t.Run(c.name, func(t *testing.T) {
			f := sound()
			c.change(f)
			r := Judge(f)
			i := slices.IndexFunc(r.Lines, func(l Line) bool { return l.ID == c.id && l.Status == c.status })
			if i < 0 {
				t.Fatalf("no line %s is a %s: %+v", c.id, c.status, r.Lines)
			}
			l := r.Lines[i]
			if !strings.Contains(l.Sentence, c.sentence) || !strings.Contains(l.Fix, c.fix) {
				t.Errorf("it says\n%s\n%s", l.Sentence, l.Fix)
			}
			if r.Code() != c.code {
				t.Errorf("code %d, want %d", r.Code(), c.code)
			}
			// What it does not concern stays ok.
			for _, other := range r.Lines {
				if other.ID != c.id && other.Status != OK && !related(c.id, other.ID) {
					t.Errorf("%s is a %s as well: %s", other.ID, other.Status, other.Sentence)
				}
			}
		})
	}
	for _, c := range Checks() {
		if !tried[c.ID] && !strings.HasPrefix(c.ID, "ready-") && c.ID != "mode" {
			t.Errorf("nothing that can be wrong with %s is tried", c.ID)
		}
	}
}

// related are lines that speak of the same thing.
func related(id, other string) bool {
	return strings.HasPrefix(other, "ready-") && strings.HasPrefix(id, "ready-") ||
		id == "required-check" && other == "merge" || id == "merge" && other == "required-check" ||
		id == "app-permissions" && other == "accepted" || id == "accepted" && other == "app-permissions"
}

// One wrong clock is one line, and what hangs on it is named, not called ok.
func TestAWrongClockIsOneSentence(t *testing.T) {
	f := sound()
	f.GitHub.Value.Date = now.Add(-time.Hour)
	f.App, f.NotTaken = Blind[forge.Registration]("the credentials were not accepted"), true
	r := Judge(f)
	bad := slices.DeleteFunc(slices.Clone(r.Lines), func(l Line) bool { return l.Status == OK })
	if len(bad) != 1 || bad[0].ID != "clock" || r.Code() != 1 {
		t.Errorf("code %d, lines %+v", r.Code(), bad)
	}
	for _, id := range []string{"app", "accepted", "webhook", "merge", "registry"} {
		if !slices.Contains(r.Unjudged, id) {
			t.Errorf("%s is neither judged nor named", id)
		}
	}
}

// Whatever is not seen is never ok: from nothing at all come no ok lines but those
// that need no looking.
func TestNothingSeenIsNotOK(t *testing.T) {
	r := Judge(&Facts{Now: now, Production: true, Settings: []string{"RUNG_GITHUB_APP_ID: is missing"}})
	for _, l := range r.Lines {
		if l.Status == OK {
			t.Errorf("%+v", l)
		}
	}
	for _, c := range Checks() {
		if c.ID != "settings" && !slices.Contains(r.Unjudged, c.ID) {
			t.Errorf("%s is neither judged nor named", c.ID)
		}
	}
}

// What this version does not have is never ok, in the best of worlds.
func TestWhatThereIsNotIsNeverOK(t *testing.T) {
	f := sound()
	f.Production = true
	r := Judge(f)
	for _, id := range []string{"ready-trust", "ready-analysis", "ready-migrations", "ready-escalation", "ready-alerts"} {
		i := slices.IndexFunc(r.Lines, func(l Line) bool { return l.ID == id })
		if i < 0 || r.Lines[i].Status != Warning || r.Lines[i].Fix == "" {
			t.Errorf("%s is not a warning", id)
		}
	}
	for _, id := range []string{"ready-mode", "ready-protected", "ready-health", "ready-rollback"} {
		if i := slices.IndexFunc(r.Lines, func(l Line) bool { return l.ID == id }); i < 0 || r.Lines[i].Status != OK {
			t.Errorf("%s does not hold", id)
		}
	}
}

func TestTextSaysWhatToDo(t *testing.T) {
	f := sound()
	f.OwnRoot, f.Left = true, []string{"acme/other"}
	base(f).Problem = "unreachable"
	r := Judge(f)
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"warning  root-key", "→ make a root key", "FAILURE  repository         acme/environments: could not be seen: unreachable",
		"Not judged, because of the above: configuration, mode,", "Not looked at, because there are too many: acme/other", "whether rung can work could not be seen whole: 1 failure, 1 warning,",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &b)
		}
	}
}

func TestADatabaseThatANewerRungSharesIsWholeAndNamed(t *testing.T) {
	for _, inUse := range []bool{false, true} {
		f := sound()
		f.Database.Value.Schema, f.Database.Value.InUse = 9, inUse
		for _, l := range Judge(f).Lines {
			if l.ID == "database" && (l.Status != OK || !strings.Contains(l.Sentence, "of a newer rung (schema 9), which lets this one use it")) {
				t.Errorf("%+v", l)
			}
		}
	}
}
