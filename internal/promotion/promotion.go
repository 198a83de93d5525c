// Package promotion is the vocabulary of rung: the nouns that every other
// package speaks in, as plain data.
//
// State: none. Invariants: only the standard library is imported, nothing here
// does I/O, reads a clock or starts a goroutine; every value is safe to share
// once built. Strings that come from outside get a type of their own with a
// strict grammar (see grammar.go), so that an unchecked string can't be passed
// where a checked one is meant.
//
// What it does not do: it does not read configuration (pipeline), judge
// (gate), choose (decide), change the world (act) or remember (ledger, queue).
package promotion

import (
	"strings"
	"time"
)

// Hash is a git object id in lower-case hexadecimal: 40 digits (SHA-1). The
// empty Hash means "no object": a ref that does not exist.
type Hash string

// Zero reports whether h names no object.
func (h Hash) Zero() bool { return h == "" || h == "0000000000000000000000000000000000000000" }

// Short is the first twelve digits of h, for people.
func (h Hash) Short() string {
	if len(h) < 12 {
		return string(h)
	}
	return string(h[:12])
}

// Environment is the name of an environment: `[a-z0-9][a-z0-9-]{0,40}`.
type Environment string

// Artifact is the name of an artifact in rung.yaml, of the same grammar as an
// environment's name.
type Artifact string

// Version is a version as people write it: an OCI tag, 1 to 128 characters of
// `[A-Za-z0-9_][A-Za-z0-9._-]*` and, for semantic versions with build
// metadata, `+`.
type Version string

// Digest is a content digest, `sha256:` and 64 lower-case hexadecimal digits.
type Digest string

// Short is the algorithm and the first twelve digits, for people.
func (d Digest) Short() string {
	if len(d) <= 19 {
		return string(d)
	}
	return string(d[:19])
}

// Pair names one artifact in one environment: the unit that is live, open,
// held or frozen.
type Pair struct {
	Environment Environment `json:"environment"`
	Artifact    Artifact    `json:"artifact"`
}

// String is "environment/artifact".
func (p Pair) String() string { return string(p.Environment) + "/" + string(p.Artifact) }

// Value is what a place says of an artifact: a version, a digest, or both.
// Either may be empty, never both in a place that names the artifact.
type Value struct {
	Version Version `json:"version,omitempty"`
	Digest  Digest  `json:"digest,omitempty"`
}

// Place is one spot in one file where an artifact's version is written.
type Place struct {
	// Path is the file's path from the repository's root, with forward slashes.
	Path string `json:"path"`
	// Locator says where in the file: the kind of the spot and a path into
	// the document, such as `kustomize:0:images[1]` or
	// `image:2:spec.template.spec.containers[0].image`. It is stable while
	// the document keeps its shape.
	Locator string `json:"locator"`
	// Value is what stands there.
	Value Value `json:"value"`
}

// PlaceChange is a place with its value before and after a promotion.
type PlaceChange struct {
	Path    string `json:"path"`
	Locator string `json:"locator"`
	Before  Value  `json:"before"`
	After   Value  `json:"after"`
}

// Person is an account on the forge. ID is its number there, which never
// changes; Login is the name it had when it was seen.
type Person struct {
	ID    int64  `json:"id,omitempty"`
	Login string `json:"login,omitempty"`
	// Bot is true for Apps and other machine accounts.
	Bot bool `json:"bot,omitempty"`
}

// Repository names a GitOps repository on the forge. ID is its number there
// and outlives renames and transfers.
type Repository struct {
	ID           int64  `json:"id"`
	Installation int64  `json:"installation"`
	Owner        string `json:"owner"`
	Name         string `json:"name"`
	// URL is the repository's web address, without a trailing slash or .git.
	URL string `json:"url"`
}

// FullName is "owner/name".
func (r Repository) FullName() string { return r.Owner + "/" + r.Name }

// CutFullName takes "owner/name" apart; ok is false for what has not just these two
// parts. Which letters a name may have is for others to say.
func CutFullName(full string) (owner, name string, ok bool) {
	owner, name, ok = strings.Cut(full, "/")
	return owner, name, ok && owner != "" && name != "" && !strings.Contains(name, "/")
}

// Cause is the outside event that made rung act.
type Cause struct {
	// Kind is one of event, comment, click, review, merge, registry, health,
	// configuration, operator.
	Kind string `json:"kind"`
	// ID identifies the event where it came from: a delivery's guid, a
	// comment's number, a registry's tag.
	ID string `json:"id,omitempty"`
	// At is when it happened, by the clock of whoever reported it.
	At time.Time `json:"at,omitzero"`
}
