package forge_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

const mergeRoute = "PUT /repos/acme/deploy/pulls/12/merge"

// pull is the REST answer for pull request 12.
func pull(isMerged bool, sha promotion.Hash) string {
	if !isMerged {
		return fmt.Sprintf(`{"number":12,"state":"open","merged":false,"head":{"sha":%q}}`, sha)
	}
	return fmt.Sprintf(`{"number":12,"state":"closed","merged":true,"merge_commit_sha":%q,"head":{"sha":%q}}`, merged, sha)
}

func TestMergeSendsTheExpectedHead(t *testing.T) {
	w := newWorld(t)
	w.on(mergeRoute, answer(200, fmt.Sprintf(`{"merged":true,"sha":%q,"message":"Pull Request successfully merged"}`, merged)))
	commit, err := w.client().Merge(t.Context(), repo, 12, head, "squash", "checkout 1.4.2 → prod", "body")
	if err != nil || commit != merged {
		t.Fatalf("got %q, %v", commit, err)
	}
	sent := decode(t, w.body(mergeRoute))
	if sent["sha"] != string(head) || sent["merge_method"] != "squash" || sent["commit_title"] != "checkout 1.4.2 → prod" {
		t.Errorf("sent %v", sent)
	}
}

func TestMergeWithoutAHeadIsRefusedBeforeItIsSent(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		sha    promotion.Hash
		method string
	}{{"", "merge"}, {"main", "merge"}, {head, "rebase"}, {head, ""}} {
		if _, err := w.client().Merge(t.Context(), repo, 12, tt.sha, tt.method, "t", ""); err == nil {
			t.Errorf("sha %q method %q was accepted", tt.sha, tt.method)
		}
	}
	if w.count("") != 0 {
		t.Error("a request was sent")
	}
}

// Traps 34, 35 and 38: 409 is a moved head; under 405 only the message tells
// what is the matter.
func TestMergeErrorsByMessage(t *testing.T) {
	refused := func(part string) func(error) bool {
		return func(err error) bool {
			var r *forge.RefusedError
			return errors.As(err, &r) && strings.Contains(r.Message, part)
		}
	}
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	for _, tt := range []struct {
		status  int
		message string
		want    func(error) bool
	}{
		{409, "Head branch was modified. Review and try the merge again.", is(forge.ErrHeadMoved)},
		{405, "Base branch was modified. Review and try the merge again.", is(forge.ErrBaseMoved)},
		{405, "Pull Request is not mergeable", is(forge.ErrNotMergeable)},
		{405, "You're not authorized to push to this branch.", refused("not authorized")},
		{405, "Merge commits are not allowed on this repository.", refused("not allowed")},
		{405, "2 of 2 required status checks are expected.", refused("required status checks")},
		{405, "Commits must have valid signatures.", refused("signatures")},
		{405, "Repository rule violations found\n\nChanges must be made through the merge queue", refused("rule violations found Changes must")},
		{422, "Validation Failed", refused("Validation")},
		{403, "Resource not accessible by integration", as[*forge.ForbiddenError]},
		{404, "Not Found", is(forge.ErrNotFound)},
	} {
		t.Run(tt.message, func(t *testing.T) {
			w := newWorld(t)
			w.on(mergeRoute, answer(tt.status, fmt.Sprintf(`{"message":%q}`, tt.message)))
			w.on("GET /repos/acme/deploy/pulls/12", answer(200, pull(false, head)))
			_, err := w.client().Merge(t.Context(), repo, 12, head, "merge", "t", "")
			if err == nil || !tt.want(err) {
				t.Fatalf("got %v", err)
			}
			if errors.Is(err, forge.ErrUnknownOutcome) || w.count(mergeRoute) != 1 {
				t.Errorf("tried %d times: %v", w.count(mergeRoute), err)
			}
		})
	}
}

// Trap 43: when the answer is lost the pull request says what happened; it is
// never merged blindly again.
func TestMergeWithALostAnswerIsLookedUp(t *testing.T) {
	lost := map[string]http.HandlerFunc{
		"502":              answer(502, `<html>bad gateway`),
		"cut connection":   cutOff,
		"cut body":         answer(200, `{"merged":true,"sha":"33`),
		"no commit":        answer(200, `{"merged":true}`),
		"already merged":   answer(405, `{"message":"Pull Request is not mergeable"}`),
		"202":              answer(202, `{}`),
		"redirect of 5 xx": answer(503, ``),
	}
	for name, handler := range lost {
		t.Run(name+", done", func(t *testing.T) {
			w := newWorld(t)
			w.on(mergeRoute, handler)
			w.on("GET /repos/acme/deploy/pulls/12", answer(200, pull(true, head)))
			commit, err := w.client().Merge(t.Context(), repo, 12, head, "merge", "t", "")
			if err != nil || commit != merged {
				t.Fatalf("got %q, %v", commit, err)
			}
			if w.count(mergeRoute) != 1 {
				t.Errorf("sent %d times", w.count(mergeRoute))
			}
		})
		if name == "already merged" {
			continue
		}
		t.Run(name+", not done", func(t *testing.T) {
			w := newWorld(t)
			w.on(mergeRoute, handler)
			w.on("GET /repos/acme/deploy/pulls/12", answer(200, pull(false, head)))
			_, err := w.client().Merge(t.Context(), repo, 12, head, "merge", "t", "")
			if !errors.Is(err, forge.ErrUnknownOutcome) || w.count(mergeRoute) != 1 {
				t.Fatalf("got %v after %d tries", err, w.count(mergeRoute))
			}
		})
		t.Run(name+", another head merged", func(t *testing.T) {
			w := newWorld(t)
			w.on(mergeRoute, handler)
			w.on("GET /repos/acme/deploy/pulls/12", answer(200, pull(true, base)))
			if _, err := w.client().Merge(t.Context(), repo, 12, head, "merge", "t", ""); !errors.Is(err, forge.ErrUnknownOutcome) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestTimeoutOfAWriteIsAnUnknownOutcome(t *testing.T) {
	w := newWorld(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	w.on("PATCH /repos/acme/deploy/pulls/12", func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-leave
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	err := w.client().ClosePullRequest(ctx, repo, 12)
	close(leave)
	if !errors.Is(err, forge.ErrUnknownOutcome) {
		t.Fatalf("got %v", err)
	}
	if _, ok := forge.RetryAt(err, time.Now()); !ok {
		t.Error("it may be tried again after a look")
	}
}

func TestUnreachableServerIsUnavailableEvenForWrites(t *testing.T) {
	transport := &http.Transport{DisableKeepAlives: true}
	w := newWorld(t, func(c *forge.Config) { c.Transport = transport })
	if _, err := w.client().Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.server.Close()
	err := w.client().ClosePullRequest(t.Context(), repo, 12)
	if !as[*forge.UnavailableError](err) || errors.Is(err, forge.ErrUnknownOutcome) {
		t.Fatalf("got %v", err)
	}
}

func TestUnreachableServerForTokensIsUnavailable(t *testing.T) {
	w := newWorld(t)
	w.mint = cutOff
	for op, err := range map[string]error{
		"write": w.client().ClosePullRequest(t.Context(), repo, 12),
		"read":  func() error { _, err := w.client().Comment(t.Context(), repo, 1); return err }(),
	} {
		if !as[*forge.UnavailableError](err) || errors.Is(err, forge.ErrUnknownOutcome) {
			t.Errorf("%s: %v", op, err)
		}
	}
}
