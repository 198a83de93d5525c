// Package gitstore is the git side of the GitHub emulator: what the emulator
// needs of a git repository, whoever keeps it.
//
// Two stores implement it: gitdisk keeps real bare repositories and lets stock
// git do the git part, and gitmem keeps objects in memory for simulation. One
// conformance suite (package storetest) holds both to the same behaviour.
//
// Object ids are 40 lower-case hexadecimal digits throughout. A Repository may
// be used by several goroutines at once. It knows nothing of pull requests,
// branch rules, authentication or webhooks: that is the emulator's part, which
// hands a Push along with a request to have its say before refs move and to
// hear of it afterwards.
package gitstore

import (
	"context"
	"errors"
	"net/http"
)

// Zero is the object id that stands for "no object" in a RefUpdate.
const Zero = "0000000000000000000000000000000000000000"

// EmptyTree is the id of the tree without entries. Both stores know it
// without being told.
const EmptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// ErrNotFound is returned (wrapped) for an object or ref that does not exist.
var ErrNotFound = errors.New("not found")

// ErrStale is returned (wrapped) by UpdateRefs when a ref was not where the
// caller said it was. Nothing has moved then.
var ErrStale = errors.New("ref has moved")

// ErrExists is returned (wrapped) by Create and Rename when a repository of
// that name is there already.
var ErrExists = errors.New("already exists")

// Options make a store a lesser git server, to test clients against one. The
// zero value is the full server. What is switched off is neither advertised
// nor obeyed, exactly as stock git behaves when so configured.
type Options struct {
	NoFilter     bool // no partial clone: a fetch that sends filter gets an empty answer
	NoAtomic     bool // receive-pack ignores a client's wish for atomic
	NoProtocolV2 bool // every request is answered in protocol v0
}

// Store makes and finds repositories. It may be used by several goroutines at
// once.
type Store interface {
	// Create makes an empty repository whose HEAD points at
	// refs/heads/<defaultBranch>. It returns ErrExists if one of that name
	// exists. Names are checked with CheckName.
	Create(owner, name, defaultBranch string) (Repository, error)
	// Open finds a repository, or returns ErrNotFound. The same repository
	// is the same value each time, and it survives Rename.
	Open(owner, name string) (Repository, error)
	// Rename moves a repository to another owner or name.
	Rename(owner, name, newOwner, newName string) error
}

// RefUpdate moves one ref from Old to New. Old is Zero to create, New is Zero
// to delete.
type RefUpdate struct {
	Ref, Old, New string
}

// TreeEntry is one entry of a tree. Mode is git's octal text, such as 100644,
// 100755, 120000, 160000 or 40000.
type TreeEntry struct {
	Mode, Name, ID string
}

// Commit is a commit's parts. Raw is the whole object without its header.
type Commit struct {
	ID, Tree  string
	Parents   []string
	Author    string // as in the object: name <mail> seconds zone
	Committer string
	Message   string
	Signature string // the gpgsig header's value, if any
	Raw       []byte
}

// Repository is one bare repository.
type Repository interface {
	// Handler serves smart HTTP for this repository alone, at the paths
	// /info/refs, /git-upload-pack and /git-receive-pack. Protocol v2 with
	// want by any hash, shallow, deepen, filter blob:none, thin packs; the v0
	// advertisement for stock clients; receive-pack with report-status,
	// side-band-64k, atomic, delete-refs and ofs-delta. As on GitHub, a push
	// can neither delete HEAD's branch nor touch refs/pull/.
	Handler() http.Handler

	// Refs lists refs whose full name begins with prefix, by full name. HEAD
	// is not among them.
	Refs(ctx context.Context, prefix string) (map[string]string, error)
	// UpdateRefs moves all the refs or none. It returns ErrStale when a ref
	// is not at Old and ErrNotFound when New does not exist; Old equal to
	// New only asserts. A branch takes commits only.
	UpdateRefs(ctx context.Context, updates []RefUpdate) error

	// ReadObject returns an object's kind (commit, tree, blob, tag) and bytes.
	ReadObject(ctx context.Context, id string) (kind string, data []byte, err error)
	// WriteObject stores an object and returns its id. It does not check
	// that what the object names exists.
	WriteObject(ctx context.Context, kind string, data []byte) (id string, err error)
	// ReadCommit and ReadTree are ReadObject, taken apart.
	ReadCommit(ctx context.Context, id string) (Commit, error)
	ReadTree(ctx context.Context, id string) ([]TreeEntry, error)

	// MergeBase returns a best common ancestor, or ErrNotFound.
	MergeBase(ctx context.Context, a, b string) (string, error)
	// MergeTree merges two commits' trees against their merge base and
	// returns the resulting tree. conflicts holds the paths that could not be
	// merged, sorted; tree is empty then. Commits without a common ancestor
	// are ErrNotFound. Whether a renamed file is followed is the store's
	// affair: gitdisk does as GitHub does, gitmem sees a deletion and a new file.
	MergeTree(ctx context.Context, ours, theirs string) (tree string, conflicts []string, err error)
	// Log lists the commits reachable from tip but not from any of exclude,
	// newest first by committer time (a child before its parents), at most
	// limit of them.
	Log(ctx context.Context, tip string, exclude []string, limit int) ([]Commit, error)
	// Diff lists the paths of the files that differ between two trees,
	// sorted. Either tree may be empty. Renames are not looked for.
	Diff(ctx context.Context, treeA, treeB string) ([]string, error)
}
