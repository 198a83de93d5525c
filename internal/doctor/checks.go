package doctor

import "slices"

// Check is one thing that is judged, as docs/doctor.md describes it.
type Check struct {
	// ID is the line's.
	ID string
	// Title is it in words.
	Title string
	// About says what there is a line for: "", each account, repository, environment,
	// artifact.
	About string
	// Meaning says what holds where it is ok, and what is lost where it is not.
	Meaning string
	// Fix says what to do.
	Fix string
	// Group is the part that it belongs to.
	Group string
	// Deep is true for what the look of rung serve leaves out.
	Deep bool
}

// The groups of checks.
const (
	GroupMachine    = "This machine"
	GroupApp        = "The App and GitHub"
	GroupRepository = "Each repository"
	GroupProduction = "Readiness for production"
)

// Checks is the table of everything that is judged, in the order of the lines.
func Checks() []Check { return slices.Clone(checks) }

// position is where a check stands in the table.
func position(id string) int {
	return slices.IndexFunc(checks, func(c Check) bool { return c.ID == id })
}

func title(id string) string {
	if i := position(id); i >= 0 {
		return checks[i].Title
	}
	return id
}

// idsOf are the ids of a group.
func idsOf(group string) []string {
	var ids []string
	for _, c := range checks {
		if c.Group == group {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// idsAfter are the ids of a group behind one of them.
func idsAfter(group, id string) []string {
	ids := idsOf(group)
	return ids[slices.Index(ids, id)+1:]
}

var checks = []Check{
	{
		ID: "settings", Title: "Settings", Group: GroupMachine,
		Meaning: "Every `RUNG_*` variable, and every file that one names, can be read and makes sense. A key file that others may read is refused.",
		Fix:     "Mend the variable that the line names; [settings.md](settings.md) lists them.",
	},
	{
		ID: "signing-key", Title: "Release key", Group: GroupMachine,
		Meaning: "The key that signs commits and records can be read, or the ssh-agent that holds it answers. Without it nothing is recorded, so nothing is promoted.",
		Fix:     "Make one with `rung keys init` outside `RUNG_DATA`, and name it in `RUNG_SIGNING_KEY_FILE`; or start the agent that `RUNG_SIGNING_KEY_AGENT` speaks of.",
	},
	{
		ID: "root-key", Title: "Root key", Group: GroupMachine,
		Meaning: "A root key, kept offline, decides whose signatures count. Without one whoever has the release key can replace it: a warning.",
		Fix:     "[keys.md](keys.md): make a root key, put it in force with `rung keys rotate`, and name it in `RUNG_ROOT_KEYS`.",
	},
	{
		ID: "database", Title: "Database", Group: GroupMachine,
		Meaning: "The queue's file in `RUNG_DATA` opens, can be written, is whole, lets this version of rung use it, and has room on its disk. It holds no only copy of anything.",
		Fix:     "Make room, or give the directory to rung's user. A damaged file, or one that a newer rung closed to this one, may be deleted while rung is stopped: everything in it is found again ([upgrades.md](upgrades.md)).",
	},
	{
		ID: "github", Title: "GitHub", Group: GroupApp,
		Meaning: "The server at `RUNG_GITHUB_URL` answers, and answers as GitHub does.",
		Fix:     "Mend `RUNG_GITHUB_URL` (`https://github.com`, or your Enterprise Server's root), the name service or the proxy.",
	},
	{
		ID: "clock", Title: "Clock", Group: GroupApp,
		Meaning: "This machine's clock agrees with GitHub's. GitHub refuses the App's tokens when it is a minute ahead or five behind, and records would bear wrong times.",
		Fix:     "Let the machine take its time from the network (chrony, systemd-timesyncd).",
	},
	{
		ID: "app", Title: "App", Group: GroupApp,
		Meaning: "GitHub takes the App's number and private key.",
		Fix:     "Set `RUNG_GITHUB_APP_ID` to the App's number and `RUNG_GITHUB_PRIVATE_KEY_FILE` to a key that its settings page made.",
	},
	{
		ID: "app-permissions", Title: "Permissions that the App asks for", Group: GroupApp,
		Meaning: "The App asks its installations for what rung uses. What rung can't do without is a failure, what only loses a feature a warning.",
		Fix:     "Add it on the App's settings page, under Permissions & events; each installation's owner is then asked to accept it.",
	},
	{
		ID: "app-excess", Title: "Permissions that rung does not use", Group: GroupApp,
		Meaning: "The App asks for no more than rung uses, so that a stolen key is worth no more either.",
		Fix:     "Take it away on the App's settings page, under Permissions & events.",
	},
	{
		ID: "app-events", Title: "Events", Group: GroupApp,
		Meaning: "The App takes the webhook events that rung listens to. Without one rung learns of it only by looking, every `RUNG_RESYNC`.",
		Fix:     "Tick it on the App's settings page, under Permissions & events.",
	},
	{
		ID: "installations", Title: "Installations", Group: GroupApp,
		Meaning: "The App is installed somewhere, on the repositories that were named.",
		Fix:     "Install it on the GitOps repository: its page at GitHub has a button for that.",
	},
	{
		ID: "installation", Title: "Installation", Group: GroupApp, About: "account",
		Meaning: "The installation is not suspended. Suspended, rung's work there rests.",
		Fix:     "An owner of the account unsuspends it, on the page that the line names.",
	},
	{
		ID: "accepted", Title: "Permissions that were accepted", Group: GroupApp, About: "account",
		Meaning: "The account's owner has accepted what the App asks for by now. GitHub keeps the old permissions until then.",
		Fix:     "An owner of the account accepts them, on the page that the line names.",
	},
	{
		ID: "quota", Title: "Requests left", Group: GroupApp, About: "account",
		Meaning: "A tenth or more of the hour's requests to GitHub's API are left. At none rung waits until the hour is over.",
		Fix:     "Look who else uses the App's key; raise `RUNG_RESYNC`.",
	},
	{
		ID: "webhook", Title: "Webhook", Group: GroupApp,
		Meaning: "GitHub sends the App's events to an https address that ends with `/github/webhook`, as JSON, signed, and checks the certificate there.",
		Fix:     "Mend it on the App's settings page, under General, Webhook.",
	},
	{
		ID: "deliveries", Title: "Deliveries", Group: GroupApp,
		Meaning: "rung answered the newest webhooks, as GitHub saw it. 401 is a wrong secret, 404 a wrong path, no answer a network that does not let GitHub in. Nothing is lost by it, but rung is late.",
		Fix:     "What the line says; the App's settings page shows each delivery under Advanced.",
	},
	{
		ID: "repository", Title: "Repository", Group: GroupRepository, About: "repository",
		Meaning: "The repository can be read through git and the API, and is not archived.",
		Fix:     "What the line says.",
	},
	{
		ID: "configuration", Title: "rung.yaml", Group: GroupRepository, About: "repository",
		Meaning: "The base branch has a rung.yaml with environments and artifacts, and without errors.",
		Fix:     "`rung init` writes one, `rung validate` checks it before it is pushed.",
	},
	{
		ID: "mode", Title: "Mode", Group: GroupRepository, About: "repository",
		Meaning: "How far rung goes by itself, as rung.yaml says. Every mode is ok; it is said so that nobody waits in vain.",
		Fix:     "`mode:` in rung.yaml.",
	},
	{
		ID: "policies", Title: "Policies", Group: GroupRepository, About: "repository",
		Meaning: "The policy files that rung.yaml binds are there and compile.",
		Fix:     "`rung validate`, and `rung policy test` with their cases.",
	},
	{
		ID: "ledger", Title: "Ledger", Group: GroupRepository, About: "repository", Deep: true,
		Meaning: "The branch `rung/ledger` can be trusted, and rung.yaml names its first commit, so that nobody can put another in its place.",
		Fix:     "Merge rung's pull request that names the ledger. Where it is lost or another one: [operations.md](operations.md).",
	},
	{
		ID: "ledger-branch", Title: "Rules of rung/ledger", Group: GroupRepository, About: "repository",
		Meaning: "rung can push to `rung/ledger`, and nobody else can, delete it or rewrite it. A rule there that wants pull requests, checks or GitHub's own signatures stops rung.",
		Fix:     "Make the ruleset that the line prints; exclude `rung/**` from rules that are meant for people's branches.",
	},
	{
		ID: "promotion-branches", Title: "Rules of rung/p", Group: GroupRepository, About: "repository",
		Meaning: "rung can create, move and delete its promotions' branches, `rung/p/<environment>/<artifact>`. A ruleset for all branches often stops that.",
		Fix:     "Exclude `rung/**` from the ruleset that the line names, or put the App in its bypass list.",
	},
	{
		ID: "required-check", Title: "Required check", Group: GroupRepository, About: "repository",
		Meaning: "The base branch requires the check `rung`, from this App alone. Otherwise anybody with write can merge around the gates, or post the check themselves.",
		Fix:     "In the base branch's ruleset: Require status checks to pass, add `rung`, and choose this App as its source.",
	},
	{
		ID: "merge", Title: "Merging", Group: GroupRepository, About: "environment",
		Meaning: "rung can merge into the environment, or the rule that stops it is named: reviews, merge methods, linear history, signed commits (against `commits:` in rung.yaml), merge queue, up-to-date branches, restricted updates.",
		Fix:     "What the line says. In mode propose and observe people merge, so that what stops rung is only a warning.",
	},
	{
		ID: "registry", Title: "Registry", Group: GroupRepository, About: "artifact", Deep: true,
		Meaning: "The registry lists the artifact's versions to rung, and at least one counts by `versions:`.",
		Fix:     "Mend the image's name, or `RUNG_REGISTRY_HOST`, `RUNG_REGISTRY_USERNAME` and `RUNG_REGISTRY_PASSWORD`.",
	},
	{
		ID: "retention", Title: "Rollback", Group: GroupRepository, About: "environment/artifact", Deep: true,
		Meaning: "The registry still serves the release that `/rollback` would go back to.",
		Fix:     "Let the registry keep more versions than are promoted between two rollbacks, or push the image again.",
	},
	{
		ID: "ready-mode", Title: "Promotions are made", Group: GroupProduction, About: "repository",
		Meaning: "The mode is merge or propose.", Fix: "`mode: propose` or `mode: merge` in rung.yaml.",
	},
	{
		ID: "ready-protected", Title: "Last environments are protected", Group: GroupProduction, About: "repository",
		Meaning: "Environments that nothing comes after say `protected: true`: there nothing is merged while the required check is loosened.",
		Fix:     "`protected: true` in rung.yaml.",
	},
	{
		ID: "ready-health", Title: "Health is judged", Group: GroupProduction, About: "repository",
		Meaning: "Every environment has a health source, so that a release settles by what was seen.",
		Fix:     "`health:` in rung.yaml.",
	},
	{
		ID: "ready-rollback", Title: "A rollback was made", Group: GroupProduction, About: "repository", Deep: true,
		Meaning: "A rollback landed in the last 90 days, as far back as the releases' records are read: what is never tried does not work on the day.",
		Fix:     "Comment `/rollback` on a landed promotion into the first environment.",
	},
	{
		ID: "ready-trust", Title: "Trust gate", Group: GroupProduction,
		Meaning: "Signatures and provenance of images are checked before a promotion. This version of rung has no such gate: always a warning.",
		Fix:     "Until it has one: check signatures where images are admitted, in the cluster.",
	},
	{
		ID: "ready-analysis", Title: "Analysis", Group: GroupProduction,
		Meaning: "Metrics decide whether a release is good. This version of rung has no analysis: always a warning.",
		Fix:     "Until it has one: let a health source ask something that judges metrics.",
	},
	{
		ID: "ready-migrations", Title: "Migrations", Group: GroupProduction,
		Meaning: "Releases say what they can't be rolled back from. This version of rung knows no migrations: always a warning.",
		Fix:     "Until it does: `/hold` what must not be rolled back, and say why.",
	},
	{
		ID: "ready-escalation", Title: "Escalation", Group: GroupProduction,
		Meaning: "Somebody is told when a promotion is stuck. This version of rung tells nobody by itself: always a warning.",
		Fix:     "Until it does: alert on `rung_phase` and `rung_repositories_failing`.",
	},
	{
		ID: "ready-alerts", Title: "Alerts", Group: GroupProduction,
		Meaning: "Your monitoring scrapes `/metrics` and alerts. rung can't see that from here: always a warning.",
		Fix:     "[operations.md](operations.md) says what to be told of.",
	},
}
