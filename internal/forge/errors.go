package forge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// Errors without data of their own. They come wrapped with the operation; use
// errors.Is.
var (
	// ErrNotFound: it does not exist, or the App may not see it.
	ErrNotFound = errors.New("not found, or not visible to the App")
	// ErrSuspended: the installation is suspended; park its work until it is
	// unsuspended.
	ErrSuspended = errors.New("the App's installation is suspended: somebody with admin rights has to unsuspend it")
	// ErrUninstalled: the installation is gone.
	ErrUninstalled = errors.New("the App is not installed there any more")
	// ErrUnknownOutcome: a write may or may not have been done (5xx, timeout,
	// cut connection). Read the world before it is tried again.
	ErrUnknownOutcome = errors.New("the outcome of the write is unknown")
	// ErrHeadMoved: the pull request's head is not the commit that was to be
	// merged. Plan again; never repeat with the new head.
	ErrHeadMoved = errors.New("the pull request's head is not the expected commit")
	// ErrBaseMoved: the base branch moved while merging. Judge again on the
	// new base, then try again.
	ErrBaseMoved = errors.New("the base branch moved while merging")
	// ErrNotMergeable: GitHub can't merge it now: a conflict, or it has not
	// found out yet.
	ErrNotMergeable = errors.New("GitHub says that the pull request is not mergeable")
)

// RateLimitedError says that GitHub, or the limits that rung keeps by itself,
// want no request before Until.
type RateLimitedError struct {
	Until time.Time
	// Reason is one of primary, secondary, pace (rung's own limit).
	Reason string
}

// Error says when to come back.
func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("waiting for GitHub until %s (%s rate limit)", e.Until.UTC().Format("15:04:05 MST"), e.Reason)
}

// ForbiddenError says that the App's credentials or permissions were refused.
type ForbiddenError struct {
	Message string
	// Missing are the permissions that it would take and the owner has not granted, as
	// "checks: write"; none where that is not the reason, or not known.
	Missing []string
	// Account is the owner, Page where the owner grants them; empty: not known.
	Account, Page string
}

// Error is GitHub's own message, and what is missing.
func (e *ForbiddenError) Error() string {
	if len(e.Missing) == 0 {
		return "GitHub refuses: " + e.Message
	}
	return "GitHub refuses: " + e.Message + ": " + e.Sentence()
}

// Sentence says what is missing, and who grants it where.
func (e *ForbiddenError) Sentence() string {
	owner := "an owner of the account"
	if e.Account != "" {
		owner = "an owner of " + e.Account
	}
	text := "the App lacks the permission " + strings.Join(e.Missing, " and ") + "; " + owner + " grants it"
	if e.Page != "" {
		text += " at " + e.Page
	}
	return text + ", or, if nothing waits there to be accepted, the App has to ask for it first (rung doctor says where)"
}

// RefusedError is a terminal answer: it will be the same until a person or a
// setting changes something.
type RefusedError struct{ Message string }

// Error is GitHub's own message.
func (e *RefusedError) Error() string { return "GitHub refuses: " + e.Message }

// InvalidError is a request that GitHub found invalid (409, 422).
type InvalidError struct {
	Status  int
	Message string
}

// Error is GitHub's own message.
func (e *InvalidError) Error() string {
	return fmt.Sprintf("GitHub finds the request invalid (%d): %s", e.Status, e.Message)
}

// UnavailableError says that GitHub could not be reached or failed (5xx) on a
// read, or on a write that was surely not sent. Try again later.
type UnavailableError struct {
	// Status is the HTTP status, 0 when there was no answer.
	Status  int
	Message string
}

// Error says what was seen.
func (e *UnavailableError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("GitHub is not available (%d): %s", e.Status, e.Message)
	}
	return "GitHub is not available: " + e.Message
}

// MovedError says that a repository is known by another name now; writes are
// not carried on there.
type MovedError struct {
	// Repository is the name that was asked for; To where GitHub pointed.
	Repository string
	To         string
}

// Error names both.
func (e *MovedError) Error() string {
	return fmt.Sprintf("repository %s was renamed or transferred (GitHub points to %s): read its name again before writing", e.Repository, e.To)
}

// RetryAt says when err allows another try: the time GitHub named when it said
// one, otherwise a minute from now for errors that pass by themselves. False:
// waiting alone does not help.
func RetryAt(err error, now time.Time) (time.Time, bool) {
	var limited *RateLimitedError
	if errors.As(err, &limited) {
		return limited.Until, true
	}
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) || errors.Is(err, ErrUnknownOutcome) || errors.Is(err, ErrBaseMoved) {
		return now.Add(time.Minute), true
	}
	return time.Time{}, false
}

// translate makes an error of this package from whatever a request ended in.
// op names the operation and its object; write says that the request could
// have changed something.
func translate(op string, write bool, repo promotion.Repository, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("forge: %s: %w", op, kindOf(write, repo, err))
}

func kindOf(write bool, repo promotion.Repository, err error) error {
	if own := ownError(err); own != nil {
		return own
	}
	var primary *github.RateLimitError
	if errors.As(err, &primary) {
		return &RateLimitedError{Until: primary.Rate.Reset.Time, Reason: "primary"}
	}
	var answer *github.ErrorResponse
	if errors.As(err, &answer) && answer.Response != nil {
		return fromStatus(write, repo, answer)
	}
	var accepted *github.AcceptedError
	if errors.As(err, &accepted) {
		if write {
			return fmt.Errorf("%w: GitHub put it off (202)", ErrUnknownOutcome)
		}
		return &UnavailableError{Status: http.StatusAccepted, Message: "the answer is not ready yet"}
	}
	return fromTransport(write, err)
}

// ownError finds an error that a round-tripper of this package already made.
func ownError(err error) error {
	var (
		limited *RateLimitedError
		moved   *MovedError
		denied  *ForbiddenError
		down    *UnavailableError
		refused *RefusedError
	)
	switch {
	case errors.As(err, &limited):
		return limited
	case errors.As(err, &moved):
		return moved
	case errors.As(err, &denied):
		return denied
	case errors.As(err, &down):
		return down
	case errors.As(err, &refused):
		return refused
	}
	for _, sentinel := range []error{ErrSuspended, ErrUninstalled, ErrUnknownOutcome, ErrNotFound, ErrHeadMoved, ErrBaseMoved, ErrNotMergeable} {
		if errors.Is(err, sentinel) {
			return sentinel
		}
	}
	return nil
}

// fromStatus reads an answer that is an error.
func fromStatus(write bool, repo promotion.Repository, answer *github.ErrorResponse) error {
	status, message := answer.Response.StatusCode, message(answer)
	switch {
	case status >= 300 && status < 400:
		return &MovedError{Repository: repo.FullName(), To: redact(answer.Response.Header.Get("Location"))}
	case status == http.StatusUnauthorized:
		return &ForbiddenError{Message: "the App's credentials were not accepted: " + message}
	case status == http.StatusForbidden:
		return forbidden(message)
	case status == http.StatusNotFound, status == http.StatusGone, status == http.StatusUnavailableForLegalReasons:
		return ErrNotFound
	case status >= 500 && write:
		return fmt.Errorf("%w: GitHub answered %d", ErrUnknownOutcome, status)
	case status >= 500:
		return &UnavailableError{Status: status, Message: message}
	}
	return &InvalidError{Status: status, Message: message}
}

// fromTransport reads an error without an answer. A connection that was never
// made has sent nothing; anything else on a write is an unknown outcome.
func fromTransport(write bool, err error) error {
	var op *net.OpError
	var dns *net.DNSError
	unsent := errors.As(err, &dns) || (errors.As(err, &op) && op.Op == "dial")
	if write && !unsent {
		return fmt.Errorf("%w: %s", ErrUnknownOutcome, transportText(err))
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return &UnavailableError{Message: transportText(err)}
}

// transportText is the reason without the URL, cut and redacted.
func transportText(err error) string {
	var failed *ghinstallation.HTTPError
	if errors.As(err, &failed) && failed.RootCause != nil {
		err = failed.RootCause
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return redact(cut(err.Error(), 300))
}

// message is GitHub's message and the details of its errors, one line, cut and
// redacted.
func message(answer *github.ErrorResponse) string {
	m := answer.Message
	for i, e := range answer.Errors {
		if i == 5 {
			break
		}
		switch {
		case e.Message != "":
			m += "; " + e.Message
		case e.Code != "":
			m += "; " + e.Resource + " " + e.Field + " " + e.Code
		}
	}
	if m == "" {
		m = http.StatusText(answer.Response.StatusCode)
	}
	return redact(oneLine(cut(m, 500)))
}

// mintError reads why a token could not be had.
func mintError(err error) error {
	var failed *ghinstallation.HTTPError
	if !errors.As(err, &failed) || failed.Response == nil {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return &UnavailableError{Message: "no installation token: " + transportText(err)}
	}
	resp := failed.Response
	defer func() { _ = resp.Body.Close() }()
	switch {
	case resp.StatusCode == http.StatusForbidden:
		return ErrSuspended
	case resp.StatusCode == http.StatusNotFound:
		return ErrUninstalled
	case resp.StatusCode == http.StatusUnauthorized:
		return &ForbiddenError{Message: "the App's private key, its number or this machine's clock is wrong (401 for a new token)"}
	}
	return &UnavailableError{Status: resp.StatusCode, Message: "no installation token"}
}

// forbidden reads a 403 that is no rate limit.
func forbidden(message string) error {
	if strings.Contains(strings.ToLower(message), "installation has been suspended") {
		return ErrSuspended
	}
	return &ForbiddenError{Message: message}
}
