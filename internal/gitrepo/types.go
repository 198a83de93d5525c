package gitrepo

import (
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// Mode is a tree entry's mode, as git writes it.
type Mode uint32

// The modes that git knows.
const (
	ModeFile       Mode = 0o100644
	ModeExecutable Mode = 0o100755
	ModeSymlink    Mode = 0o120000
	ModeGitlink    Mode = 0o160000 // a submodule's commit
	ModeTree       Mode = 0o040000
)

// String is the mode in octal, without a leading zero, as stored in a tree.
func (m Mode) String() string { return fmt.Sprintf("%o", uint32(m)) }

// Regular reports whether m is a file with bytes: plain or executable.
func (m Mode) Regular() bool { return m == ModeFile || m == ModeExecutable }

// Entry is one entry of a tree. The zero Entry means "nothing there".
type Entry struct {
	Name string
	Mode Mode
	Hash promotion.Hash
}

// File is one non-tree entry found by Walk, with its path from the walked
// tree's root.
type File struct {
	Path string
	Mode Mode
	Hash promotion.Hash
}

// Change is one path whose entry differs between two trees. Before is zero for
// an added path, After for a removed one. Neither is ever a tree.
type Change struct {
	Path   string
	Before Entry
	After  Entry
}

// Ident is the author or committer of a commit. When keeps its zone; git
// stores whole seconds.
type Ident struct {
	Name  string
	Email string
	When  time.Time
}

// Commit is a commit, parsed.
type Commit struct {
	Hash      promotion.Hash
	Tree      promotion.Hash
	Parents   []promotion.Hash
	Author    Ident
	Committer Ident
	// Message is everything after the headers, as stored.
	Message string
	// Signature is the value of the gpgsig header, unfolded, or empty. It is
	// what was stored; nothing is verified here.
	Signature string
	// Raw is the object's content without git's "commit <size>" header.
	// Callers must not change it.
	Raw []byte
}

// Payload is the commit without its gpgsig header: the bytes that a signature
// is made over.
func (c Commit) Payload() []byte { return withoutSignature(c.Raw) }

// Relation says how two commits of one branch relate.
type Relation int

// The relations that CatchUp tells apart.
const (
	// Same: from and to are one commit.
	Same Relation = iota + 1
	// Ahead: from is on to's first-parent line.
	Ahead
	// Foxtrot: from is an ancestor of to, but off its first-parent line.
	Foxtrot
	// Diverged: from is no ancestor of to, or no longer known: the branch was
	// rewound or rewritten.
	Diverged
	// TooFar: the first-parent line did not reach from within
	// Options.MaxCatchUp commits; whether from is an ancestor is not known.
	TooFar
)

// String is the relation in words.
func (r Relation) String() string {
	switch r {
	case Same:
		return "same"
	case Ahead:
		return "ahead"
	case Foxtrot:
		return "foxtrot"
	case Diverged:
		return "diverged"
	case TooFar:
		return "too far"
	}
	return "unknown"
}

// FileChange is what Rewrite does to one path.
type FileChange struct {
	// Data is the file's new content. It is kept; don't change it afterwards.
	Data []byte
	// Delete removes the file; Data and Mode are ignored.
	Delete bool
	// Mode is the file's mode. Zero keeps the mode that is there, and means
	// ModeFile for a new file. Only ModeFile and ModeExecutable are taken.
	Mode Mode
}

// CommitSpec is a commit to write.
type CommitSpec struct {
	Tree      promotion.Hash
	Parents   []promotion.Hash
	Author    Ident
	Committer Ident
	// Message is stored as given, with a line feed added at the end when it
	// lacks one. No NUL, no carriage return.
	Message string
	// Sign returns the armoured signature of the given bytes (the commit
	// without the signature). Nil writes an unsigned commit.
	Sign func([]byte) (string, error)
}

// RefUpdate moves one ref from Old to New. An empty Old creates the ref (it
// must not exist), an empty New deletes it.
type RefUpdate struct {
	Ref string
	Old promotion.Hash
	New promotion.Hash
	// First marks the update that goes out alone, before the others, to a
	// server that can't push atomically: the ledger.
	First bool
}

// PushOptions change how a push is made. The zero value is right for rung.
type PushOptions struct {
	// RequireAtomic refuses to push several refs to a server without atomic
	// pushes (ErrNotAtomic), instead of pushing in two steps.
	RequireAtomic bool
}

// Status is how one ref update ended.
type Status int

// The ways one ref update can end.
const (
	// Done: the ref is at New.
	Done Status = iota + 1
	// Stale: the ref is neither at Old nor at New; somebody else moved it.
	Stale
	// Rejected: the ref is at Old and the server gave a reason of its own: a
	// hook, a ruleset, a protected branch. RefResult.Text holds it.
	Rejected
	// Held: the ref is at Old; it did not move because another update of the
	// same atomic push failed, or because it was not tried after that.
	Held
	// Unknown: the outcome was not told; RefResult.Now says what a later
	// listing showed, if there was one.
	Unknown
)

// String is the status in a word.
func (s Status) String() string {
	switch s {
	case Done:
		return "done"
	case Stale:
		return "stale"
	case Rejected:
		return "rejected"
	case Held:
		return "held"
	}
	return "unknown"
}

// RefResult is how one RefUpdate ended.
type RefResult struct {
	RefUpdate
	Status Status
	// Text is the server's own word on the ref, cut and made printable.
	Text string
	// Listed is true if the refs were listed again after the push; Now is
	// then where the ref stands (empty: it does not exist).
	Listed bool
	Now    promotion.Hash
}

// Report is how a push ended, ref by ref, in the order of the updates.
type Report struct {
	Results []RefResult
	// Messages is what the server said to people (hooks, rulesets), cut at
	// 4 KiB and made printable.
	Messages string
	// Objects and Bytes count what was sent: objects in the packs, bytes of
	// request bodies.
	Objects int
	Bytes   int64
	// Atomic is true if everything went out in one all-or-nothing request.
	Atomic bool
}
