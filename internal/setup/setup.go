package setup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rungbot/rung/internal/forge"
)

// Patience is how long Run waits for the App: as long as GitHub's code lives.
const Patience = time.Hour

// Options say which App to make and where its secrets go.
type Options struct {
	// GitHub is the server's web address, API the root of its REST API; see
	// settings.Settings.
	GitHub, API string
	// Org is the organisation that is to own the App; empty: whoever is signed in
	// at GitHub.
	Org string
	// URL is the address under which GitHub reaches rung.
	URL string
	// Name is the App's; empty: rung-ORG, or what the person types at GitHub.
	Name string
	// Without are the names of permissions to leave out, with their events.
	Without []string
	// Dir is where the secrets go; Data is rung's data directory, where they don't.
	Dir, Data string
	// Listen is a loopback address, host:port; port 0 takes a free one.
	Listen string
	// Say is told, in one sentence each, what happens meanwhile. It may be called
	// from several goroutines.
	Say func(string)
	// Transport carries the requests to GitHub; nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Patience is how long Run waits; zero is Patience.
	Patience time.Duration
}

// Result is what was made.
type Result struct {
	App forge.NewApp
	// InstallURL is where the App is installed, SettingsURL where it is changed.
	InstallURL, SettingsURL string
	// Files were written, in the directory Dir.
	Dir   string
	Files []File
	// Lacks are permissions that GitHub did not give though they were asked for.
	Lacks []string
	// OwnSecret tells that GitHub made no webhook secret: the one in the file has to
	// be put in on the App's settings page.
	OwnSecret bool
}

// Setup is one App being made.
type Setup struct {
	target   target
	visitor  *forge.Visitor
	place    *place
	listener net.Listener
	say      func(string)
	patience time.Duration
	token    string // of the link
	state    string // in the cookie, to GitHub and back

	mu     sync.Mutex // held while a code is exchanged
	opened bool       // the link
	result *Result
	failed error // the App is made and its secrets are lost
	over   chan struct{}
}

// New checks everything, makes the directory, and listens. Its errors say what to
// do. After it, Run or Close must be called.
func New(ctx context.Context, o Options) (*Setup, error) {
	t, err := newTarget(o)
	if err != nil {
		return nil, err
	}
	visitor, err := forge.NewVisitor(o.API, o.Transport)
	if err != nil {
		return nil, err
	}
	s := &Setup{
		visitor: visitor, say: o.Say, patience: o.Patience,
		token: rand.Text(), state: rand.Text(), over: make(chan struct{}),
	}
	if s.say == nil {
		s.say = func(string) {}
	}
	if s.patience == 0 {
		s.patience = Patience
	}
	if err := t.meet(ctx, visitor, o.Without); err != nil {
		return nil, err
	}
	s.target = t
	if s.listener, err = listen(ctx, o.Listen); err != nil {
		return nil, err
	}
	if s.place, err = prepare(o.Dir, o.Data); err != nil {
		return nil, errors.Join(err, s.listener.Close())
	}
	return s, nil
}

// listen takes a loopback address and no other.
func listen(ctx context.Context, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("--listen %.100q is not host:port, such as 127.0.0.1:8765", address)
	}
	if !loopback(host) {
		return nil, fmt.Errorf("--listen %.100q: setup listens on loopback only, because whoever reaches it first would own the App; use 127.0.0.1:%s and ssh -L", address, port)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s (%w): name another port, or none for a free one", address, cause(err))
	}
	return l, nil
}

// loopback tells whether a host's name or address leads to this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// cause is the innermost reason of an error of the network or of a file.
func cause(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// Link is what the person opens. It works once; whoever has it makes the App.
func (s *Setup) Link() string {
	return "http://" + s.listener.Addr().String() + pagePath + "?token=" + s.token
}

// Address is where it listens, host and port.
func (s *Setup) Address() (host, port string) {
	host, port, _ = net.SplitHostPort(s.listener.Addr().String())
	return host, port
}

// Without are the permissions that the App is made without because the server is
// too old for them.
func (s *Setup) Without() []string { return s.target.tooNew }

// Close gives up before Run: nothing listens any more, and a directory that New
// made is gone.
func (s *Setup) Close() error {
	return errors.Join(s.listener.Close(), s.place.leave())
}

// Run serves the pages until the App is made, the context ends, or the time is
// over. An error says what was written, if anything was.
func (s *Setup) Run(ctx context.Context) (*Result, error) {
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(s.listener) }()
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	var ended error
	select {
	case <-s.over:
	case <-ctx.Done():
		ended = fmt.Errorf("stopped before GitHub answered: nothing was written. If an App was made at GitHub meanwhile, delete it there (%s)", s.target.appsURL())
	case <-timer.C:
		ended = fmt.Errorf("nobody made the App within %s: nothing was written. Run rung setup again", s.patience)
	case err := <-served:
		ended = fmt.Errorf("can't serve the page: %w", err)
	}
	// The page that says that all is done is still on its way.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(closing); err != nil {
		_ = server.Close() // what is left of it
	}
	s.mu.Lock() // an exchange that had begun is over
	defer s.mu.Unlock()
	switch {
	case s.failed != nil:
		return nil, s.failed
	case s.result != nil:
		return s.result, nil
	}
	return nil, errors.Join(ended, s.place.leave())
}
