package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitdisk"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/promotion"
)

// Repository is the full name of the GitOps repository of every World.
const Repository = "acme/environments"

// AppID is the number of the GitHub App that rung is in every World.
const AppID = 42

// The people of every World.
const (
	Alice   = "alice"   // administers the repository
	Bob     = "bob"     // write, member of the team acme/sre: approves
	Carol   = "carol"   // write; her builds publish versions, so she is their causer
	Mallory = "mallory" // triage
)

// Options say what a World is made of. The zero value is a whole one in a
// temporary directory, on ports that are free.
type Options struct {
	// Dir is where repositories, keys and rung's data are kept; it may exist
	// and hold keys/, but no world yet. Empty is a temporary directory that
	// Close removes.
	Dir string
	// Port is where rung is to listen; the emulator, the registry and the
	// applications take the three ports after it. Zero takes free ones.
	Port int
	// Seed varies the images: worlds of the same seed publish the same digests
	// for the same versions. Zero takes one at random.
	Seed uint64
	// Emulator may change the emulator's configuration before it starts; nil
	// changes nothing.
	Emulator func(*githubemu.Config)
	// Files may change the sample repository, by path, before it is pushed;
	// nil changes nothing.
	Files func(files map[string]string)
	// Git makes the far end a lesser git server; see gitstore.Options.
	Git gitstore.Options
}

// World is everything but rung, running. Close stops it.
type World struct {
	// Dir is where everything is kept.
	Dir string
	// GitHubURL, RegistryHost (host:port), AppsURL and BoardURL are where the
	// parts are reached. At BoardURL rung is expected to listen.
	GitHubURL, RegistryHost, AppsURL, BoardURL string

	options   Options
	temporary bool
	keys      keys
	store     *gitdisk.Store
	git       gitstore.Repository
	emulator  *githubemu.Server
	apps      *applications
	images    *images
	servers   []*http.Server
	reading   sync.Mutex // guards ledger
	ledger    *ledgerReader
	closing   sync.Once
	closed    error
}

// Start starts a World: when it returns, the sample repository is pushed, its
// versions are published and the App is installed. A git older than 2.38, or
// none, is an error that says so.
func Start(ctx context.Context, o Options) (*World, error) {
	w := &World{options: o, Dir: o.Dir}
	for _, build := range []func(context.Context) error{w.makeDir, w.makeKeys, w.serve, w.people, w.push} {
		if err := build(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("demo: %w", err), w.Close())
		}
	}
	return w, nil
}

func (w *World) makeDir(context.Context) error {
	if w.Dir == "" {
		dir, err := os.MkdirTemp("", "rung-demo-")
		if err != nil {
			return err
		}
		w.Dir, w.temporary = dir, true
	}
	dir, err := filepath.Abs(w.Dir)
	if err != nil {
		return err
	}
	w.Dir = dir
	if _, err := os.Stat(w.RepositoryPath()); err == nil {
		return fmt.Errorf("%s was played in before: name another directory or delete it", w.Dir)
	}
	for _, sub := range []string{"", "github", "keys"} {
		if err := os.MkdirAll(filepath.Join(w.Dir, sub), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// serve builds the parts and opens their ports.
func (w *World) serve(ctx context.Context) error {
	store, err := gitdisk.New(filepath.Join(w.Dir, "github"), w.options.Git)
	if err != nil {
		return err
	}
	w.store = store
	ports, err := reserve(ctx, w.options.Port)
	if err != nil {
		return err
	}
	w.BoardURL = "http://" + ports.rung
	config := githubemu.Config{
		Store: store, AnonymousRead: true,
		App: githubemu.App{
			ID: AppID, Slug: "rung", PublicKey: &w.keys.app.PublicKey,
			WebhookSecret: w.keys.secret, WebhookURL: w.BoardURL + "/github/webhook",
		},
	}
	if w.options.Emulator != nil {
		w.options.Emulator(&config)
	}
	if w.emulator, err = githubemu.New(config); err != nil {
		return err
	}
	w.apps = newApplications()
	w.images = newImages(w.options.Seed)
	w.GitHubURL = "http://" + ports.github.Addr().String()
	w.emulator.SetBaseURL(w.GitHubURL)
	w.RegistryHost = ports.registry.Addr().String()
	w.AppsURL = "http://" + ports.apps.Addr().String()
	w.start(ports.github, w.emulator)
	w.start(ports.registry, w.images.handler)
	w.start(ports.apps, w.apps)
	return nil
}

// people makes the organisation, those who work in it, and the App's
// installation on all its repositories.
func (w *World) people(ctx context.Context) error {
	for _, login := range []string{Alice, Bob, Carol, Mallory} {
		w.emulator.AddPerson(githubemu.Person{Login: login, Name: strings.ToUpper(login[:1]) + login[1:]})
	}
	w.emulator.AddOrganization("acme", "none", map[string]string{Alice: "admin", Bob: "member", Carol: "member", Mallory: "member"})
	files, err := w.sample(ctx)
	if err != nil {
		return err
	}
	roles := map[string]string{Alice: "admin", Bob: "write", Carol: "write", Mallory: "triage"}
	if err := w.emulator.CreateRepository(ctx, githubemu.RepositorySeed{
		Name: Repository, Public: true, Collaborators: roles,
		Commits: []githubemu.CommitSeed{{Author: Alice, Message: "Begin with what runs today", Files: files}},
	}); err != nil {
		return err
	}
	for artifact := range initialVersions {
		if err := w.emulator.CreateRepository(ctx, githubemu.RepositorySeed{
			Name: "acme/" + string(artifact), Public: true, Collaborators: map[string]string{Alice: "admin", Carol: "write"},
			Commits: []githubemu.CommitSeed{{Author: Carol, Message: "Begin", Files: map[string]string{"README.md": "# " + string(artifact) + "\n"}}},
		}); err != nil {
			return err
		}
	}
	return w.emulator.AddTeam("acme", "sre", map[string]string{Bob: "member"}, map[string]string{Repository: "write"})
}

// push opens the bare repository for looking, and installs the App.
func (w *World) push(context.Context) error {
	owner, name, _ := strings.Cut(Repository, "/")
	git, err := w.store.Open(owner, name)
	if err != nil {
		return err
	}
	w.git = git
	w.apps.open(git, w.artifacts())
	_, err = w.emulator.Install("acme")
	return err
}

// Protect sets the branch rules that rung's documentation recommends: main
// takes pull requests alone, with the check rung by this App; the ledger is
// moved by this App alone, forward only.
func (w *World) Protect() error {
	return w.emulator.SetRules(Repository,
		githubemu.Ruleset{
			Name: "rung decides", Branches: []string{"~DEFAULT_BRANCH"}, RequirePull: true, BlockForcePush: true, BlockDeletion: true,
			RequiredChecks: []githubemu.RequiredCheck{{Context: promotion.CheckName, AppID: AppID}},
		},
		githubemu.Ruleset{
			Name: "rung's ledger", Branches: []string{"rung/ledger"}, RestrictUpdates: true, BlockForcePush: true, BlockDeletion: true,
			Bypass: []githubemu.Bypass{{App: "rung"}},
		},
	)
}

// Close stops the servers and, if the directory was a temporary one, removes
// it. It may be called more than once.
func (w *World) Close() error {
	w.closing.Do(func() {
		var errs []error
		for _, s := range w.servers {
			errs = append(errs, s.Close())
		}
		if w.emulator != nil {
			w.emulator.Close()
		}
		if w.temporary {
			errs = append(errs, os.RemoveAll(w.Dir))
		}
		w.closed = errors.Join(errs...)
	})
	return w.closed
}

// Emulator is the GitHub of this world, for acts, faults and looks that World
// has no method for.
func (w *World) Emulator() *githubemu.Server { return w.emulator }

// RepositoryPath is the GitOps repository's bare repository on disk.
func (w *World) RepositoryPath() string {
	return filepath.Join(w.Dir, "github", filepath.FromSlash(Repository)+".git")
}

// Data is the data directory that rung is given. It may be deleted whenever
// rung does not run.
func (w *World) Data() string { return filepath.Join(w.Dir, "data") }

// Environ is the environment with which `rung serve` joins this world, as
// "NAME=value".
func (w *World) Environ() []string {
	return []string{
		"RUNG_LISTEN=" + strings.TrimPrefix(w.BoardURL, "http://"),
		"RUNG_BOARD_URL=" + w.BoardURL,
		"RUNG_DATA=" + w.Data(),
		"RUNG_GITHUB_URL=" + w.GitHubURL,
		"RUNG_GITHUB_APP_ID=" + strconv.Itoa(AppID),
		"RUNG_GITHUB_PRIVATE_KEY_FILE=" + filepath.Join(w.Dir, "keys", appKeyFile),
		"RUNG_GITHUB_WEBHOOK_SECRETS_FILE=" + filepath.Join(w.Dir, "keys", secretFile),
		"RUNG_SIGNING_KEY_FILE=" + filepath.Join(w.Dir, "keys", releaseKeyFile),
		"RUNG_REGISTRY_INSECURE=true",
		// A settle waits for company no longer than a spectator would.
		"RUNG_COALESCE=500ms",
	}
}

// ReleaseKey is the public half of the key that rung signs with here.
func (w *World) ReleaseKey() string { return w.keys.release.Public().AuthorizedKey() }

// Fingerprint is the SHA256 fingerprint of the release key.
func (w *World) Fingerprint() string { return w.keys.release.Public().Fingerprint() }

// PullURL is the page of a pull request of the GitOps repository.
func (w *World) PullURL(number int) string {
	return w.GitHubURL + "/" + Repository + "/pull/" + strconv.Itoa(number)
}

// pollEvery is how often WaitFor looks.
const pollEvery = 50 * time.Millisecond

// WaitFor looks at the world again and again until condition holds, and
// returns its error as soon as it has one. When ctx ends first, the error
// names what was waited for.
func (w *World) WaitFor(ctx context.Context, what string, condition func(context.Context) (bool, error)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		done, err := condition(ctx)
		if done && err == nil {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// Live is what main names at its head, as the applications run it.
func (w *World) Live(ctx context.Context) (map[promotion.Pair]promotion.Value, error) {
	return w.apps.live(ctx)
}
