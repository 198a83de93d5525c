// Package app wires settings into a running service, in reading order: the one
// place that knows everybody.
//
// State: the parts, each with its own. New builds them and listens (port 0 is
// fine for tests); Run works until its context ends; Close undoes New in reverse.
// Invariants: no request is taken before the queue is open and the App's own
// account is known; a signing key in the data directory is refused. What it does
// not do: it has no behaviour of its own beyond starting, stopping and
// introducing the parts to each other.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/act"
	"github.com/rungbot/rung/internal/api"
	"github.com/rungbot/rung/internal/board"
	"github.com/rungbot/rung/internal/doors/github"
	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gate/policy"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/metrics"
	"github.com/rungbot/rung/internal/observe"
	"github.com/rungbot/rung/internal/probe"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
	"github.com/rungbot/rung/internal/reconcile"
	"github.com/rungbot/rung/internal/registry"
	"github.com/rungbot/rung/internal/settings"
	"github.com/rungbot/rung/internal/sign"
)

// Options are what a test or the demo changes; the zero value is right for a
// service.
type Options struct {
	Log zerolog.Logger
	// Transport carries every request to GitHub, registries and health
	// sources; nil is a transport of the service's own.
	Transport http.RoundTripper
	// QueuePath overrides where the queue is kept; ":memory:" keeps it in
	// memory.
	QueuePath string
	// NoWebhooks is for a process that nothing is delivered to: it needs no
	// webhook secret.
	NoWebhooks bool
	// Only are the repositories, as "owner/name", that are worked on; none: all
	// that the App is installed on.
	Only []string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// filled has every default in its place.
func (o Options) filled() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	return o
}

// App is a running service.
type App struct {
	settings settings.Settings
	options  Options
	log      zerolog.Logger
	self     forge.Self

	key        *sign.Key
	trust      ledger.Trust
	forge      *forge.App
	queue      *queue.Queue
	registry   *registry.Client
	probe      *probe.HTTP
	servers    *gitrepo.Servers
	routes     *routes
	door       *github.Door
	board      *board.Board
	api        *api.Handler
	reconciler *reconcile.Reconciler
	server     *http.Server
	listener   net.Listener
	ready      atomic.Bool
	swept      atomic.Bool
	looked     atomic.Bool
	pasts      pasts
	closers    []func() error
}

// New builds the service and listens. Whatever it opened is closed again when it
// fails.
func New(ctx context.Context, s settings.Settings, o Options) (*App, error) {
	a := &App{settings: s, options: o.filled(), log: o.Log, servers: gitrepo.NewServers(), routes: newRoutes()}
	for _, build := range []func(context.Context) error{a.openKeys, a.openForge, a.openQueue, a.openSources, a.openDoors, a.listen} {
		if err := build(ctx); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return a, nil
}

// openKeys loads the signing key, which must not live in the data directory.
func (a *App) openKeys(context.Context) error {
	check := a.settings.CheckServe
	if a.options.NoWebhooks {
		check = a.settings.CheckReconcile
	}
	if err := check(); err != nil {
		return err
	}
	return a.openKey()
}

// openKey loads the signing key, and the root keys that it is judged by.
func (a *App) openKey() error {
	if a.settings.SigningKeyAgent != "" {
		key, err := sign.AgentKey(a.settings.AgentSocket, a.settings.SigningKeyAgent)
		if err != nil {
			return fmt.Errorf("RUNG_SIGNING_KEY_AGENT: %w", err)
		}
		a.key = key
	} else {
		key, err := sign.LoadKey([]byte(a.settings.SigningKey.Reveal()))
		if err != nil {
			return fmt.Errorf("RUNG_SIGNING_KEY: %w", err)
		}
		a.key = key
	}
	return a.openTrust()
}

// openForge makes the adapter to GitHub and learns the App's own account.
func (a *App) openForge(ctx context.Context) error {
	if err := a.makeForge(); err != nil {
		return err
	}
	var err error
	if a.self, err = a.forge.Self(ctx); err != nil {
		return fmt.Errorf("ask GitHub who this App is: %w: %s (rung doctor looks closer)", err, a.suspect(err))
	}
	return nil
}

// suspect is the question to put to the settings when GitHub did not say who the App is.
func (a *App) suspect(err error) string {
	var refused *forge.ForbiddenError
	switch {
	case errors.Is(err, forge.ErrNotFound):
		return fmt.Sprintf("is RUNG_GITHUB_APP_ID, %d, the App's number, and RUNG_GITHUB_URL, %s, the server that has it?", a.settings.GitHubAppID, a.settings.GitHubURL)
	case errors.As(err, &refused):
		return "is RUNG_GITHUB_PRIVATE_KEY a key of this App, RUNG_GITHUB_APP_ID its number, and this machine's clock right?"
	}
	return fmt.Sprintf("is RUNG_GITHUB_URL, %s, right, and does this machine reach it?", a.settings.GitHubURL)
}

// makeForge makes the adapter to GitHub and sends nothing.
func (a *App) makeForge() error {
	app, err := forge.New(forge.Config{
		APIURL: a.settings.APIURL(), GraphQLURL: a.settings.GraphQLURL(), WebURL: a.settings.GitHubURL,
		AppID: a.settings.GitHubAppID, PrivateKey: []byte(a.settings.GitHubPrivateKey.Reveal()),
		Transport: a.options.Transport, Now: a.options.Now, UserAgent: "rung/" + ledger.Version,
	})
	if err != nil {
		return err
	}
	a.forge = app
	return nil
}

// queuePath is where the queue is kept.
func (a *App) queuePath() string {
	if a.options.QueuePath != "" {
		return a.options.QueuePath
	}
	return filepath.Join(a.settings.Data, "rung.db")
}

func (a *App) openQueue(context.Context) error {
	path := a.queuePath()
	if a.options.QueuePath == "" {
		if err := os.MkdirAll(a.settings.Data, 0o700); err != nil {
			return fmt.Errorf("the data directory: %w", err)
		}
		if err := settings.CheckDataDir(a.settings.Data); err != nil {
			return err
		}
	}
	q, err := queue.Open(path, queue.Options{Now: a.options.Now})
	if err != nil {
		return err
	}
	a.queue = q
	a.closers = append(a.closers, q.Close)
	return nil
}

func (a *App) openSources(context.Context) error {
	config := registry.Config{Transport: a.options.Transport}
	if a.settings.RegistryInsecure && a.settings.RegistryHost != "" {
		config.Insecure = []string{a.settings.RegistryHost}
	}
	if a.settings.RegistryHost != "" {
		config.Credentials = map[string]registry.Credentials{
			a.settings.RegistryHost: {Username: a.settings.RegistryUsername, Password: a.settings.RegistryPassword.Reveal()},
		}
	}
	var err error
	if a.registry, err = registry.New(config); err != nil {
		return err
	}
	a.probe = &probe.HTTP{Transport: a.options.Transport, Now: a.options.Now}
	return nil
}

func (a *App) openDoors(context.Context) error {
	secrets := make([][]byte, len(a.settings.GitHubWebhookSecrets))
	for i, s := range a.settings.GitHubWebhookSecrets {
		secrets[i] = []byte(s.Reveal())
	}
	if a.options.NoWebhooks {
		nobody := make([]byte, 32)
		if _, err := rand.Read(nobody); err != nil {
			return err
		}
		secrets = [][]byte{nobody}
	}
	door, err := github.New(github.Config{
		Secrets: secrets, Self: github.Self{AppID: a.settings.GitHubAppID, BotID: a.self.Bot.ID, BotLogin: a.self.Bot.Login},
		Inbox: a.queue, Routes: a.routes, Now: a.options.Now, Log: a.log, MaxBody: a.settings.WebhookMaxBytes,
	})
	if err != nil {
		return err
	}
	a.door = door
	a.board = board.New(board.Config{Views: a.queue, Now: a.options.Now, Version: ledger.Version, Log: a.log})
	a.api = api.New(api.Config{Views: a.queue, Past: a.past, Version: ledger.Version, Log: a.log})
	a.reconciler = reconcile.New(reconcile.Config{
		Queue: a.queue, Open: a.open, Doubt: a.routes.doubt, Known: a.routes.known, Coalesce: a.settings.Coalesce, Resync: a.settings.Resync,
		Now: a.options.Now, Log: a.log,
	})
	return nil
}

// Handler serves everything that the service serves.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/github/webhook", a.door)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !a.ready.Load() {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", metrics.Handler(a.queue, ledger.Version))
	mux.Handle(api.Prefix, a.api)
	mux.Handle("/", a.board)
	return mux
}

func (a *App) listen(ctx context.Context) error {
	if a.settings.Listen == "none" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.settings.Listen)
	if err != nil {
		return fmt.Errorf("RUNG_LISTEN: %w", err)
	}
	a.listener = l
	a.server = &http.Server{
		Handler: a.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	a.closers = append(a.closers, a.server.Close)
	return nil
}

// Addr is where the service listens.
func (a *App) Addr() string {
	if a.listener == nil {
		return ""
	}
	return a.listener.Addr().String()
}

// Queue is the service's queue, for looking: what is due, and the last views.
func (a *App) Queue() *queue.Queue { return a.queue }

// Run serves and reconciles until ctx ends; a pass that has begun is finished.
func (a *App) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	if a.server != nil {
		go func() {
			if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
				cancel()
			}
		}()
		a.log.Info().Str("listen", a.Addr()).Str("app", a.self.Slug).Str("key", a.key.Public().Fingerprint()).Msg("rung serves")
		a.sayRoot()
	}
	var beside sync.WaitGroup
	beside.Go(func() { a.Sweep(ctx) })
	beside.Go(func() { a.watch(ctx) })
	a.reconciler.Run(ctx)
	beside.Wait()
	if a.server != nil {
		stop, end := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer end()
		_ = a.server.Shutdown(stop)
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// Close closes what New opened, in reverse.
func (a *App) Close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// Once makes one pass over a due repository; see reconcile.Reconciler.Once.
func (a *App) Once(ctx context.Context) (bool, error) { return a.reconciler.Once(ctx, "once") }

// open makes what a pass over one repository needs.
func (a *App) open(ctx context.Context, key queue.Key) (*reconcile.Repository, error) {
	repo, ok := a.routes.repository(key)
	if !ok {
		if err := a.discover(ctx); err != nil {
			return nil, err
		}
		if repo, ok = a.routes.repository(key); !ok {
			return nil, fmt.Errorf("%s: %w", key, reconcile.ErrGone)
		}
	}
	client := a.forge.Installation(repo.Installation)
	git, err := a.git(repo, client, gitrepo.Options{})
	if err != nil {
		return nil, err
	}
	identity := ledger.Identity{Repository: repo.ID, App: a.settings.GitHubAppID, URI: repo.URL}
	signer := ledger.KeySigner{Key: a.key}
	reader := ledger.NewReader(a.trust, identity)
	author := ledger.Author{Name: a.self.Bot.Login, Email: a.email()}
	return &reconcile.Repository{
		Repository: repo,
		Observer: observe.New(observe.Config{
			Repository: repo, App: a.self.Bot, AppID: a.settings.GitHubAppID, Git: git, Forge: client, Registry: a.registry,
			Probe: a.ask, VerifyCommit: reader.VerifyCommit, Now: a.options.Now, Resync: time.Hour, Swept: a.caughtUp,
			Ledger: reader,
			LintPolicies: func(files map[string][]byte) []promotion.ConfigProblem {
				_, problems := policy.Compile(files)
				return problems
			},
		}),
		Actor: &act.Actor{
			Git: git, Forge: client, Ledger: ledger.NewWriter(signer, identity, author), Signer: signer, Author: author,
			Fence: a.settings.MergeFence, BoardURL: a.settings.BoardURL, Since: a.options.Now(),
		},
	}, nil
}

// git names a repository's git server, with the installation's credentials.
func (a *App) git(repo promotion.Repository, client *forge.Client, o gitrepo.Options) (*gitrepo.Remote, error) {
	address := strings.TrimSuffix(a.settings.GitHubURL, "/") + "/" + repo.FullName() + ".git"
	transport, err := gitrepo.NewCredentialTransport(a.options.Transport, address, client.Token)
	if err != nil {
		return nil, err
	}
	transport.OnRefused(client.Drop)
	o.Agent, o.Servers = "rung/"+ledger.Version, a.servers
	return gitrepo.Open(address, &http.Client{Transport: transport, Timeout: 2 * time.Minute}, o)
}

// caughtUp reports whether what GitHub delivered before this process began has
// been taken in. Without a queue there is nothing to catch up with.
func (a *App) caughtUp() bool { return a.queue == nil || a.swept.Load() }

func (a *App) email() string {
	host := "github.com"
	if u, err := url.Parse(a.settings.GitHubURL); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	return fmt.Sprintf("%d+%s@users.noreply.%s", a.self.Bot.ID, a.self.Bot.Login, host)
}

// notInstalled says so of a repository that somebody named.
func notInstalled(name string) error {
	return fmt.Errorf("the App is not installed on %s: install it there, or mend the name", name)
}

// ask probes one HTTP health source.
func (a *App) ask(ctx context.Context, source promotion.HealthSource, pair promotion.Pair, v promotion.Value) promotion.HealthReading {
	return a.probe.Probe(ctx, source, probe.Values{Environment: pair.Environment, Artifact: pair.Artifact, Version: v.Version, Digest: v.Digest})
}

// only keeps the repositories that are to be worked on.
func (a *App) only(all []promotion.Repository) ([]promotion.Repository, error) {
	if len(a.options.Only) == 0 {
		return all, nil
	}
	var kept []promotion.Repository
	for _, name := range a.options.Only {
		i := slices.IndexFunc(all, func(r promotion.Repository) bool { return strings.EqualFold(r.FullName(), name) })
		if i < 0 {
			return nil, notInstalled(name)
		}
		kept = append(kept, all[i])
	}
	return kept, nil
}

// discover lists the installations' repositories.
func (a *App) discover(ctx context.Context) error {
	installations, err := a.forge.Installations(ctx)
	if err != nil {
		return err
	}
	var all []promotion.Repository
	suspended := map[int64]bool{}
	for _, i := range installations {
		if i.Suspended {
			suspended[i.ID] = true
			continue
		}
		repos, err := a.forge.Repositories(ctx, i.ID)
		if err != nil {
			return fmt.Errorf("repositories of installation %d: %w", i.ID, err)
		}
		all = append(all, repos...)
	}
	if all, err = a.only(all); err != nil {
		return err
	}
	a.routes.discovered(all, suspended)
	return nil
}

// Start finds the repositories and marks them all: what happened while rung was
// away is found by looking.
func (a *App) Start(ctx context.Context) error {
	if err := a.discover(ctx); err != nil {
		return err
	}
	var marks []queue.Mark
	for _, repo := range a.routes.all() {
		m, err := hint.Mark(repo.ID, "start", hint.Hint{Kind: hint.KindEverything, At: a.options.Now()})
		if err != nil {
			return err
		}
		marks = append(marks, m)
	}
	if err := a.queue.Mark(ctx, marks...); err != nil {
		return err
	}
	a.ready.Store(true)
	return nil
}

// Views are the last passes over the repositories as JSON (promotion.View), in
// the order of their keys: what the board shows.
func (a *App) Views(ctx context.Context) ([][]byte, error) {
	views, err := a.queue.Views(ctx, promotion.ViewName)
	if err != nil {
		return nil, err
	}
	all := make([][]byte, len(views))
	for i, v := range views {
		all[i] = v.Data
	}
	return all, nil
}
