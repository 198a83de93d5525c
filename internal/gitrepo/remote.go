package gitrepo

import (
	"context"
	"errors"
	"net/http"

	"github.com/rungbot/rung/internal/promotion"
)

// Options bound a Remote. Zero fields take the defaults named here.
type Options struct {
	// CacheBytes bounds the cache of objects: 64 MiB.
	CacheBytes int64
	// PendingBytes bounds the objects written and not yet pushed: 64 MiB.
	PendingBytes int64
	// MaxResponse bounds one answer of the server, and what it inflates to is
	// bounded by eight times as much: 256 MiB.
	MaxResponse int64
	// MaxObjects bounds the objects of one answer and the files of one Walk:
	// 500,000.
	MaxObjects int
	// MaxBlob bounds one blob read or written: 16 MiB.
	MaxBlob int64
	// MaxDepth bounds the directories of a path: 64.
	MaxDepth int
	// MaxCatchUp bounds the commits that CatchUp follows: 1024.
	MaxCatchUp int
	// Agent is what the server is told we are: "rung".
	Agent string
	// Servers remembers capabilities across Remotes of one server. Nil: each
	// Remote asks for itself.
	Servers *Servers
}

// Servers remembers what servers can do, by scheme and host, so that each is
// asked once. Safe for concurrent use; share one among Remotes whose
// repositories are configured alike (as on GitHub).
type Servers struct{}

// NewServers returns an empty memory.
func NewServers() *Servers { return &Servers{} }

// Remote is one repository on a server.
type Remote struct{}

var errNotBuilt = errors.New("gitrepo: not built yet")

// Open names a repository by its URL (http or https, without credentials,
// query or fragment). It does no I/O. client does the requests; its redirect
// policy is replaced (redirects are errors); nil means http.DefaultClient.
func Open(rawURL string, client *http.Client, o Options) (*Remote, error) { return nil, errNotBuilt }

// Refs lists the refs whose names start with one of the prefixes (a prefix
// such as "refs/heads/main" also lists "refs/heads/main2"), with the hashes
// they point at. No prefixes lists all refs.
func (r *Remote) Refs(ctx context.Context, prefixes ...string) (map[string]promotion.Hash, error) {
	return nil, errNotBuilt
}

// ExactRefs lists exactly the named refs; one that doesn't exist is absent.
func (r *Remote) ExactRefs(ctx context.Context, names ...string) (map[string]promotion.Hash, error) {
	return nil, errNotBuilt
}

// Fetch brings the commit and all its trees (depth 1, no blobs where the
// server can filter), unless they are here.
func (r *Remote) Fetch(ctx context.Context, commit promotion.Hash) error { return errNotBuilt }

// CatchUp returns the first-parent commits after from up to to, oldest first,
// with the trees they changed in the cache. With a Relation other than Ahead
// there are no commits, and to is fetched as by Fetch.
func (r *Remote) CatchUp(ctx context.Context, from, to promotion.Hash) ([]Commit, Relation, error) {
	return nil, 0, errNotBuilt
}

// Commit reads a commit, fetching it alone (without its trees) if absent.
func (r *Remote) Commit(ctx context.Context, hash promotion.Hash) (Commit, error) {
	return Commit{}, errNotBuilt
}

// Tree reads one tree's entries in git's order.
func (r *Remote) Tree(ctx context.Context, hash promotion.Hash) ([]Entry, error) {
	return nil, errNotBuilt
}

// Lookup finds the entry at path (forward slashes, no leading slash) below
// tree; false if there is none. The empty path is the tree itself.
func (r *Remote) Lookup(ctx context.Context, tree promotion.Hash, path string) (Entry, bool, error) {
	return Entry{}, false, errNotBuilt
}

// Walk lists all files (symlinks and submodules included) at or below prefix,
// sorted by path. The empty prefix walks everything; a prefix that doesn't
// exist gives no files.
func (r *Remote) Walk(ctx context.Context, tree promotion.Hash, prefix string) ([]File, error) {
	return nil, errNotBuilt
}

// ReadFiles reads the regular files at the given paths, with at most one
// request for all missing blobs. A path with no file is absent from the map; a
// symlink or submodule is ErrPath.
func (r *Remote) ReadFiles(ctx context.Context, tree promotion.Hash, paths []string) (map[string][]byte, error) {
	return nil, errNotBuilt
}

// Blobs reads blobs by hash, with at most one request for all that are missing.
// Callers must not change the bytes.
func (r *Remote) Blobs(ctx context.Context, hashes ...promotion.Hash) (map[promotion.Hash][]byte, error) {
	return nil, errNotBuilt
}

// Diff lists the paths at or below prefix whose entries differ, sorted by path.
// Equal subtrees are not read. An empty hash stands for the empty tree.
func (r *Remote) Diff(ctx context.Context, before, after promotion.Hash, prefix string) ([]Change, error) {
	return nil, errNotBuilt
}

// Rewrite applies changes (by path) to tree and returns the new tree's hash.
// Only the touched trees are rewritten; a directory left empty vanishes. An
// empty tree hash starts from nothing. Refused with ErrPath: a path that is
// not clean, passes through or replaces a symlink or submodule, replaces a
// directory by a file or a file by a directory, names .git, or differs from
// an existing name in case only.
func (r *Remote) Rewrite(ctx context.Context, tree promotion.Hash, changes map[string]FileChange) (promotion.Hash, error) {
	return "", errNotBuilt
}

// WriteBlob stores bytes for the next push.
func (r *Remote) WriteBlob(data []byte) (promotion.Hash, error) { return "", errNotBuilt }

// WriteTree stores a tree for the next push; entries are sorted, duplicates refused.
func (r *Remote) WriteTree(entries []Entry) (promotion.Hash, error) { return "", errNotBuilt }

// WriteCommit stores a commit for the next push.
func (r *Remote) WriteCommit(ctx context.Context, spec CommitSpec) (promotion.Hash, error) {
	return "", errNotBuilt
}

// Push moves refs, all or none where the server can, sending exactly the
// objects that it lacks. The error is nil if every ref is at New. Otherwise
// it is ErrConflict, *RejectedError, ErrUnknownOutcome, or the failure to
// reach the server at all; the Report then says what holds, ref by ref.
// Objects of a failed push stay and can be pushed again.
func (r *Remote) Push(ctx context.Context, updates []RefUpdate, o PushOptions) (Report, error) {
	return Report{}, errNotBuilt
}

func withoutSignature(raw []byte) []byte { return raw }
