package githubemu

import (
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// world is everything that is not git. Its exported fields are what is saved.
type world struct {
	Seq           map[string]int64 // last number given, by kind
	Accounts      map[string]*account
	Teams         map[string]*team // by org/slug, lower case
	Apps          map[int64]*app
	Installations map[int64]*installation
	Tokens        map[string]*token
	Repos         map[int64]*repo
	Names         map[string]int64 // owner/name, lower case
	Moved         map[string]int64 // names that repositories had before
	Deliveries    []*delivery
	Manifests     map[string]manifestCode
}

func newWorld() *world {
	return &world{
		Seq: map[string]int64{}, Accounts: map[string]*account{}, Teams: map[string]*team{},
		Apps: map[int64]*app{}, Installations: map[int64]*installation{}, Tokens: map[string]*token{},
		Repos: map[int64]*repo{}, Names: map[string]int64{}, Moved: map[string]int64{},
		Manifests: map[string]manifestCode{},
	}
}

// next gives the next number of a kind. Kinds start apart from each other so
// that an id taken for another kind's is noticed.
func (w *world) next(kind string) int64 {
	base := map[string]int64{
		"account": 1000, "app": 500, "installation": 7000, "repo": 20000, "pull": 300000, "issue": 400000,
		"comment": 500000, "review": 600000, "suite": 700000, "run": 800000, "status": 900000,
		"deployment": 1000000, "delivery": 1100000,
	}[kind]
	w.Seq[kind]++
	return base + w.Seq[kind]
}

// manifestCode is a code that can be converted into a new App's secrets.
type manifestCode struct {
	AppID   int64
	Expires time.Time
}

const codeLife = time.Hour

// account is a person, a bot or an organisation.
type account struct {
	ID        int64
	Login     string
	Name      string
	Email     string
	Type      string // User, Bot or Organization
	AppID     int64  // for a Bot
	Token     string // a person's own token
	Members   map[string]string
	BaseRole  string // for an Organization: what members get on its repositories
	Suspended bool
	CreatedAt time.Time
	SSHKeys   []string // keys whose commit signatures count as verified
}

// team is a team of an organisation.
type team struct {
	ID      int64
	Org     string
	Slug    string
	Members map[string]string // login to member or maintainer
	Repos   map[int64]string  // repository to role
}

type app struct {
	App
	Key       string // PEM of PublicKey, for Save
	CreatedAt time.Time
	BotLogin  string
	// HookType and HookInsecure are shown in the webhook's configuration.
	HookType     string
	HookInsecure bool
}

type installation struct {
	ID          int64
	AppID       int64
	Account     string // login
	All         bool   // every repository of the account
	Repos       map[int64]bool
	Permissions map[string]string
	Events      []string
	SuspendedAt *time.Time
	Removed     bool
	CreatedAt   time.Time
}

type token struct {
	Value        string
	Installation int64
	Login        string // instead, for a person
	Repos        map[int64]bool
	Permissions  map[string]string
	ExpiresAt    time.Time
}

// repo is a repository and everything that hangs on it.
type repo struct {
	ID             int64
	Owner          string
	Name           string
	Description    string
	Private        bool
	Archived       bool
	DefaultBranch  string
	AllowMerge     bool
	AllowSquash    bool
	AllowRebase    bool
	AllowAutoMerge bool
	DeleteOnMerge  bool
	AllowUpdate    bool
	Collaborators  map[string]string // login, lower case, to role
	CreatedAt      time.Time
	UpdatedAt      time.Time
	PushedAt       time.Time
	Numbers        int
	Issues         map[int]*issue // also one for each pull request
	Pulls          map[int]*pull
	Labels         map[string]*label
	Suites         map[string][]*checkSuite // by head
	Runs           map[string][]*checkRun   // by head
	Statuses       map[string][]*status     // by commit
	Deployments    []*deployment
	Releases       []*release
	Rules          []*Ruleset
	WebFlow        map[string]bool   // commits that GitHub itself signed
	Pushers        map[string]string // head commit to the login that pushed it
	Activities     []*activity       // oldest first
	Queue          []*queueEntry

	git gitstore.Repository
}

func (r *repo) full() string { return r.Owner + "/" + r.Name }

func fold(s string) string { return strings.ToLower(s) }

// user finds a login, in any case.
func (w *world) user(login string) *account { return w.Accounts[fold(login)] }

// bot returns an App's account.
func (w *world) bot(id int64) *account {
	if a := w.Apps[id]; a != nil {
		return w.user(a.BotLogin)
	}
	return nil
}

// repoNamed finds a repository by its present name.
func (w *world) repoNamed(full string) *repo { return w.Repos[w.Names[fold(full)]] }

// appBySlug finds an App.
func (w *world) appBySlug(slug string) *app {
	for _, a := range w.Apps {
		if fold(a.Slug) == fold(slug) {
			return a
		}
	}
	return nil
}

// installationOn finds an App's installation that covers a repository.
func (w *world) installationOn(appID int64, r *repo) *installation {
	for _, in := range sortedBy(w.Installations) {
		if in.AppID == appID && !in.Removed && in.covers(r) {
			return in
		}
	}
	return nil
}

func (in *installation) covers(r *repo) bool {
	return in.Repos[r.ID] || in.All && fold(in.Account) == fold(r.Owner)
}
