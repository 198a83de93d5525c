package gitrepo

import (
	"net/http"
	"sync"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// inflation is how much larger than MaxResponse an answer may inflate to.
const inflation = 4

// Options bound a Remote. Zero fields take the defaults named here.
type Options struct {
	// CacheBytes bounds the cache of objects: 64 MiB.
	CacheBytes int64
	// PendingBytes bounds the objects written and not yet pushed: 64 MiB. Past
	// it the oldest are dropped; a push that needs them fails.
	PendingBytes int64
	// MaxResponse bounds one answer of the server: 64 MiB. What it inflates to
	// is bounded by four times as much.
	MaxResponse int64
	// MaxObjects bounds the objects of one answer, the refs of one listing and
	// the paths of one Walk or Diff: 500,000.
	MaxObjects int
	// MaxBlob bounds one blob read or written: 16 MiB.
	MaxBlob int64
	// MaxDepth bounds the directories of a path: 64.
	MaxDepth int
	// MaxCatchUp bounds the commits that CatchUp follows: 1024.
	MaxCatchUp int
	// Timeout bounds one request, beside the context: one minute.
	Timeout time.Duration
	// Agent is what the server is told we are: "rung".
	Agent string
	// Servers remembers capabilities across Remotes of one server. Nil: each
	// Remote asks for itself.
	Servers *Servers
}

// withDefaults fills the zero fields in.
func (o Options) withDefaults() Options {
	setDefault(&o.CacheBytes, 64<<20)
	setDefault(&o.PendingBytes, 64<<20)
	setDefault(&o.MaxResponse, 64<<20)
	setDefault(&o.MaxObjects, 500_000)
	setDefault(&o.MaxBlob, 16<<20)
	setDefault(&o.MaxDepth, 64)
	setDefault(&o.MaxCatchUp, 1024)
	setDefault(&o.Timeout, time.Minute)
	setDefault(&o.Agent, "rung")
	if o.Servers == nil {
		o.Servers = NewServers()
	}
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Servers remembers what servers can do, by scheme and host, so that each is
// asked once. Safe for concurrent use; share one among Remotes whose
// repositories are configured alike (as on GitHub).
type Servers struct {
	mu    sync.Mutex
	known map[string]serverFacts
}

// serverFacts is what is known of one server; nil: not asked yet.
type serverFacts struct {
	upload         *uploadCaps
	receive        *receiveCaps
	noTreelessWant bool
}

// NewServers returns an empty memory.
func NewServers() *Servers { return &Servers{known: map[string]serverFacts{}} }

func (s *Servers) facts(server string) serverFacts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[server]
}

func (s *Servers) change(server string, f func(*serverFacts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	facts := s.known[server]
	f(&facts)
	s.known[server] = facts
}

func (s *Servers) upload(server string) (uploadCaps, bool) {
	if f := s.facts(server); f.upload != nil {
		return *f.upload, true
	}
	return uploadCaps{}, false
}

func (s *Servers) setUpload(server string, c uploadCaps) {
	s.change(server, func(f *serverFacts) { f.upload = &c })
}

func (s *Servers) receive(server string) (receiveCaps, bool) {
	if f := s.facts(server); f.receive != nil {
		return *f.receive, true
	}
	return receiveCaps{}, false
}

func (s *Servers) setReceive(server string, c receiveCaps) {
	s.change(server, func(f *serverFacts) { f.receive = &c })
}

func (s *Servers) refusesTreeless(server string) bool { return s.facts(server).noTreelessWant }

func (s *Servers) setRefusesTreeless(server string) {
	s.change(server, func(f *serverFacts) { f.noTreelessWant = true })
}

// Remote is one repository on a server, with what is known of it in memory.
// All methods may be called from several goroutines.
type Remote struct {
	url     string // without trailing slash
	server  string // scheme and host
	client  *http.Client
	options Options
	servers *Servers
	store   *store
	// clone is set where there is no server, but a clone on disk.
	clone *cloneRefs
}

// Open names a repository by its URL (http or https, without credentials,
// query or fragment). It does no I/O. client does the requests; redirects are
// not followed but reported as ErrMoved; nil means http.DefaultClient.
// Credentials come from the client's transport: see CredentialTransport.
func Open(rawURL string, client *http.Client, o Options) (*Remote, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if client == nil {
		client = http.DefaultClient
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o = o.withDefaults()
	return &Remote{
		url: u.String(), server: u.Scheme + "://" + u.Host, client: &own, options: o,
		servers: o.Servers, store: newStore(o.CacheBytes, o.PendingBytes),
	}, nil
}

// Cached reports whether an object is in memory (written or fetched).
func (r *Remote) Cached(hash promotion.Hash) bool {
	i, err := parseID(hash)
	if err != nil {
		return false
	}
	_, ok := r.store.get(i)
	return ok
}
