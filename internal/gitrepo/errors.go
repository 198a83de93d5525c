package gitrepo

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// The errors that callers tell apart with errors.Is.
var (
	// ErrNotFound: the server has no such repository, or doesn't show it to us.
	ErrNotFound = errors.New("repository not found, or not visible to this installation")
	// ErrAuthentication: the server refused the credential.
	ErrAuthentication = errors.New("the server refused the credential")
	// ErrMoved: the server answered with a redirect.
	ErrMoved = errors.New("the repository moved")
	// ErrProtocol2: the server doesn't speak git protocol version 2.
	ErrProtocol2 = errors.New("the server does not speak git protocol version 2; rung needs it")
	// ErrProtocol: the server's answer breaks the protocol.
	ErrProtocol = errors.New("unexpected answer from the git server")
	// ErrTooLarge: an answer, object or count is over its limit.
	ErrTooLarge = errors.New("over the limit")
	// ErrUnavailable: the server could not be reached or answered 5xx or 429;
	// trying again later may help.
	ErrUnavailable = errors.New("the git server is unavailable")
	// ErrMissing: the server does not have, or does not hand out, an object.
	ErrMissing = errors.New("object not found on the server")
	// ErrOffline: a clone on disk lacks an object, or it is damaged there, and
	// nothing is asked of a server.
	ErrOffline = errors.New("an object is not in this clone, or damaged: fetch everything, without filter or depth")
	// ErrMalformed: an object breaks git's format.
	ErrMalformed = errors.New("malformed git object")
	// ErrPath: a path may not be read or written through: it leaves the tree,
	// passes a symlink or a submodule, or has a twin in another case.
	ErrPath = errors.New("refused path")
	// ErrConflict: a push changed nothing for a ref because somebody else had
	// moved it. Observe again, then decide again.
	ErrConflict = errors.New("a ref was moved by somebody else")
	// ErrUnknownOutcome: a push was sent and its outcome was not told. It may
	// still take effect. The same push can be repeated safely.
	ErrUnknownOutcome = errors.New("the push was sent but its outcome is not known")
	// ErrNotAtomic: the server can't push several refs as one.
	ErrNotAtomic = errors.New("the server has no atomic push")
)

// HTTPError is an answer of the server with a status that is not success. It
// is one of ErrNotFound, ErrAuthentication, ErrMoved, ErrUnavailable or
// ErrProtocol for errors.Is.
type HTTPError struct {
	Op     string
	Status int
	// RetryAfter is the server's wish, or zero. At most one hour is kept.
	RetryAfter time.Duration
	// Text is the start of the body, made printable, at most 200 bytes.
	Text string
	kind error
}

// Error names the operation, what is wrong, the status and what the server said.
func (e *HTTPError) Error() string {
	s := fmt.Sprintf("git %s: %v (HTTP %d)", e.Op, e.kind, e.Status)
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Unwrap is the kind of the error.
func (e *HTTPError) Unwrap() error { return e.kind }

// RejectedError is a push of which the server refused at least one ref for a
// reason of its own: a hook, a ruleset, a protected branch.
type RejectedError struct {
	// Ref is the first such ref, Text the server's word on it, Messages what
	// the server said to people. All are cut and printable.
	Ref      string
	Text     string
	Messages string
}

// Error names the ref and gives the server's reason.
func (e *RejectedError) Error() string {
	s := fmt.Sprintf("git push: the server refused %s: %s", e.Ref, e.Text)
	if e.Messages != "" {
		s += ": " + printable(e.Messages, 600)
	}
	return s
}

// printable makes outside text fit for an error or a page: valid UTF-8, one
// line, no control characters, at most limit bytes.
func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
