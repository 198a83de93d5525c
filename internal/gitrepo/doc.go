// Package gitrepo fetches, reads, commits to and pushes a git repository over
// smart HTTP, without a work tree and without a git binary.
//
// State: one Remote per repository URL. It holds an in-memory cache of objects
// the server has (bounded in bytes, least recently used out first), the
// objects written here that no push has delivered yet (bounded as well), and
// what the server said about its capabilities. Nothing is stored on disk;
// losing a Remote costs one shallow fetch.
//
// Invariants: every object is stored under the hash of its own bytes, so a
// lying server can withhold but not forge. A push names the old hash of each
// ref (compare-and-swap), never forces, never sends old equal to new, and
// sends exactly the objects that are new. After a rejection or an unknown
// outcome the refs are listed again and the Report says what holds.
//
// Concurrency: all methods of a Remote may be called from several goroutines.
// Two pushes of one Remote may run side by side; the server decides which one
// wins. Every call that may reach the network takes a context.
//
// Fetching speaks protocol version 2 only (shallow, blobless where the server
// can filter, objects by hash). What it does not do: it keeps no refs and no
// work tree, merges nothing, knows no keys (the caller signs through a
// function), and never puts a credential in a URL or an error.
//
// OpenClone makes a Remote of a clone on disk: it reads there, and reaches no
// network. Beside that OpenWorktree reads, once, what git tracks in a checkout on disk, for
// who is asked about one.
package gitrepo
