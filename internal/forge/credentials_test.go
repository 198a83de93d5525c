package forge_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
)

// Trap 51: a token that could expire during a long push is not handed out.
func TestTokenIsRenewedWhenLessThanFiveMinutesRemain(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	token := func() string {
		t.Helper()
		s, err := c.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := token()
	w.advance(54 * time.Minute)
	if token() != first {
		t.Error("renewed with six minutes left")
	}
	w.advance(time.Minute + time.Second)
	if token() == first {
		t.Error("not renewed with less than five minutes left")
	}
	permissions, err := c.Permissions(t.Context())
	if err != nil || permissions["contents"] != "write" {
		t.Errorf("permissions %v, %v", permissions, err)
	}
}

// Trap 46: an installation that is suspended or gone is told apart from an
// outage, whatever was asked.
func TestTokenFailuresHaveTheirKinds(t *testing.T) {
	for name, tt := range map[string]struct {
		mint http.HandlerFunc
		want func(error) bool
	}{
		"suspended": {answer(403, `{"message":"This installation has been suspended"}`), func(err error) bool { return errors.Is(err, forge.ErrSuspended) }},
		"removed":   {answer(404, `{"message":"Not Found"}`), func(err error) bool { return errors.Is(err, forge.ErrUninstalled) }},
		"wrong key": {answer(401, `{"message":"Bad credentials"}`), as[*forge.ForbiddenError]},
		"outage":    {answer(502, `bad gateway`), as[*forge.UnavailableError]},
		"no token":  {answer(201, `{}`), as[*forge.UnavailableError]},
		"not JSON":  {answer(201, `<html>`), as[*forge.UnavailableError]},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.mint = tt.mint
			_, tokenErr := w.client().Token(t.Context())
			_, readErr := w.client().Read(t.Context(), forge.Query{Repository: repo})
			writeErr := w.client().ClosePullRequest(t.Context(), repo, 1)
			for op, err := range map[string]error{"token": tokenErr, "read": readErr} {
				if err == nil || !tt.want(err) {
					t.Errorf("%s: %v", op, err)
				}
			}
			if writeErr == nil {
				t.Error("a write without a token succeeded")
			}
			if n := w.count(""); n != 0 {
				t.Errorf("%d requests were sent without a token", n)
			}
		})
	}
}

// A write that failed for want of a token was surely not done.
func TestWriteWithoutTokenIsNotAnUnknownOutcome(t *testing.T) {
	w := newWorld(t)
	w.mint = answer(403, `{}`)
	err := w.client().ClosePullRequest(t.Context(), repo, 1)
	if !errors.Is(err, forge.ErrSuspended) || errors.Is(err, forge.ErrUnknownOutcome) {
		t.Fatalf("got %v", err)
	}
}

func TestRevokedTokenIsReplacedOnce(t *testing.T) {
	w := newWorld(t)
	w.on("PATCH /repos/acme/deploy/pulls/1", func(out http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "token ghs_token0001" {
			answer(401, `{"message":"Bad credentials"}`)(out, r)
			return
		}
		answer(200, `{"number":1}`)(out, r)
	})
	if err := w.client().ClosePullRequest(t.Context(), repo, 1); err != nil {
		t.Fatal(err)
	}
	if got := w.body("PATCH /repos/acme/deploy/pulls/1"); got != `{"state":"closed"}`+"\n" {
		t.Errorf("the second try sent %q", got)
	}
	w.on("PATCH /repos/acme/deploy/pulls/1", answer(401, `{"message":"Bad credentials"}`))
	err := w.client().ClosePullRequest(t.Context(), repo, 1)
	if !as[*forge.ForbiddenError](err) || w.count("PATCH /repos/acme/deploy/pulls/1") != 4 {
		t.Errorf("got %v after %d requests", err, w.count(""))
	}
}

func TestWaitingForATokenEndsWithTheContext(t *testing.T) {
	w := newWorld(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	w.mint = func(out http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
		answer(404, `{}`)(out, r)
	}
	c := w.client()
	first := make(chan error, 1)
	go func() {
		_, err := c.Token(context.Background())
		first <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Token(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the second caller got %v", err)
	}
	close(leave)
	if err := <-first; !errors.Is(err, forge.ErrUninstalled) {
		t.Errorf("the first caller got %v", err)
	}
}

// Nothing that looks like a credential gets into an error.
func TestErrorsTellNoSecrets(t *testing.T) {
	w := newWorld(t)
	w.on("PATCH /repos/acme/deploy/pulls/1", answer(422, `{"message":"bad token ghs_SECRETsecretSECRET and https://x-access-token:hunter22@github.example/a.git","errors":["Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"]}`))
	err := w.client().ClosePullRequest(t.Context(), repo, 1)
	if err == nil {
		t.Fatal("no error")
	}
	for _, secret := range []string{"ghs_SECRET", "hunter22", "eyJhbGci", "token0001"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells %s: %v", secret, err)
		}
	}
	if !strings.Contains(err.Error(), "close pull request acme/deploy#1") {
		t.Errorf("the error does not name the operation: %v", err)
	}
}

func as[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
