package githubemu_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// dispatch sends numbered repository_dispatch events.
func (w *world) dispatch(types ...string) {
	w.Helper()
	for _, x := range types {
		w.ok(w.s.Dispatch(full, "bob", x, nil))
	}
}

func types(h *receiver) string {
	var out []string
	for _, rec := range h.got {
		if e, ok := rec.body.(*github.RepositoryDispatchEvent); ok {
			out = append(out, e.GetAction())
		}
	}
	return strings.Join(out, " ")
}

// TestHookFaults duplicates, reorders, drops, loses and delays.
func TestHookFaults(t *testing.T) {
	for kind, want := range map[string]struct {
		arrived string
		listed  int
	}{
		githubemu.HookDuplicate: {"a b b c", 4},
		githubemu.HookReorder:   {"a c b", 3},
		githubemu.HookDrop:      {"a c", 3},
		githubemu.HookLose:      {"a c", 2},
		githubemu.HookDelay:     {"a c b", 3},
	} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			h := w.listen()
			_, err := w.s.AddFault(githubemu.Fault{Kind: kind, Event: "repository_dispatch", Skip: 1, Delay: 50 * time.Millisecond})
			w.ok(err)
			w.dispatch("a", "b", "c")
			h.events(w)
			equal(t, "arrived", types(h), want.arrived)
			l, _, err := w.app.Apps.ListHookDeliveries(t.Context(), nil)
			w.ok(err)
			equal(t, "listed", len(l), want.listed)
			if kind == githubemu.HookDuplicate && h.got[1].guid != h.got[2].guid {
				t.Error("the copy has another GUID")
			}
		})
	}
}

// TestRedelivery finds the failed deliveries, page by page, and has them sent
// again under their GUIDs.
func TestRedelivery(t *testing.T) {
	w := newWorld(t)
	h := w.listen()
	h.fail = http.StatusInternalServerError
	w.dispatch("a", "b", "c")
	h.events(w)
	h.fail = 0
	h.reset()
	guids := map[string]bool{}
	o := &github.ListCursorOptions{PerPage: 2}
	for pages := 1; ; pages++ {
		l, res, err := w.app.Apps.ListHookDeliveries(t.Context(), o)
		w.ok(err)
		for _, d := range l {
			equal(t, "status code", d.GetStatusCode(), 500)
			full, _, err := w.app.Apps.GetHookDelivery(t.Context(), d.GetID())
			w.ok(err)
			if !contains(string(full.GetRequest().GetRawPayload()), `"client_payload"`) {
				t.Errorf("payload is %s", full.GetRequest().GetRawPayload())
			}
			guids[d.GetGUID()] = true
			// The client takes the 202 for an error of its own kind.
			if _, res, err := w.app.Apps.RedeliverHookDelivery(t.Context(), d.GetID()); res == nil || res.StatusCode != http.StatusAccepted {
				t.Fatalf("redeliver: %v", err)
			}
		}
		if res.Cursor == "" {
			equal(t, "pages", pages, 2)
			break
		}
		o.Cursor = res.Cursor
	}
	h.events(w)
	equal(t, "arrived", types(h), "c b a")
	for _, rec := range h.got {
		if !guids[rec.guid] {
			t.Errorf("GUID %s is new", rec.guid)
		}
		equal(t, "target", rec.header.Get("X-GitHub-Hook-Installation-Target-ID"), "42")
	}
}

// TestManual delivers by hand, in the order that the caller likes.
func TestManual(t *testing.T) {
	w := newWorld(t, func(c *githubemu.Config) { c.Manual = true })
	h := w.listen()
	w.ok(w.s.Flush(t.Context())) // the installation's own
	h.reset()
	w.dispatch("a", "b", "c")
	equal(t, "nothing by itself", types(h), "")
	waiting := w.s.Pending()
	w.ok(w.s.Deliver(t.Context(), waiting[2].ID))
	w.ok(w.s.Discard(waiting[0].ID, false))
	for w.s.DeliverNext(t.Context()) {
	}
	equal(t, "arrived", types(h), "c b")
}

// TestInstallationEvents renames, suspends and uninstalls.
func TestInstallationEvents(t *testing.T) {
	w := newWorld(t)
	h := w.listen()
	w.ok(w.s.CreateRepository(t.Context(), githubemu.RepositorySeed{Name: "acme/other"}))
	_, err := w.s.Install("acme", "acme/other")
	w.ok(err)
	w.ok(w.s.RenameRepository("acme/other", "acme/else"))
	w.ok(w.s.SuspendInstallation("acme", true))
	w.dispatch("unheard")
	w.ok(w.s.SuspendInstallation("acme", false))
	w.ok(w.s.Uninstall("acme", "acme/else"))
	w.ok(w.s.Uninstall("acme"))
	equal(t, "events", strings.Join(h.events(w), " "),
		"installation_repositories.added repository.renamed installation.suspend installation.unsuspend installation_repositories.removed installation.deleted")
}

// TestOtherEvents sends what other programs cause.
func TestOtherEvents(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	h := w.listen()
	w.s.Ping()
	w.ok(w.s.PublishRelease(ctx, full, "bob", "v2", "notes"))
	w.ok(w.s.PublishPackage(ctx, githubemu.Package{Repository: full, Person: "bob", Name: "shop", Digest: "sha256:abc", Tag: "2", Event: "package"}))
	w.ok(w.s.PublishPackage(ctx, githubemu.Package{Repository: full, Person: "bob", Name: "shop", Digest: "sha256:abc"}))
	w.ok(w.s.FinishWorkflow(ctx, full, "bob", "build", "main", "success"))
	w.ok(w.s.SetDeploymentStatus(ctx, full, "bob", "dev", "main", "success", "live"))
	w.ok(w.s.ReportStatus(ctx, githubemu.CheckReport{Repository: full, App: "ci", SHA: "main", Name: "ci", State: "success"}))
	equal(t, "events", strings.Join(h.events(w), " "), "ping create push release.published release.released "+
		"registry_package workflow_run.completed deployment deployment_status status")
}

// TestSender holds the sender to virtual time: order, delays and Close.
func TestSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		s, err := githubemu.New(githubemu.Config{
			Store: gitmem.New(gitstore.Options{}), BaseURL: "http://emu.test",
			App:       githubemu.App{ID: appID, Slug: "rung", PublicKey: &appKey().PublicKey, WebhookURL: "http://bot.test"},
			Transport: roundTrip(func(r *http.Request) { got = append(got, r.Header.Get("X-GitHub-Event")) }),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.AddPerson(githubemu.Person{Login: "bob"})
		if err := s.CreateRepository(t.Context(), githubemu.RepositorySeed{Name: full, Collaborators: map[string]string{"bob": "write"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Install("acme"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddFault(githubemu.Fault{Kind: githubemu.HookDelay, Event: "repository_dispatch", Delay: time.Hour}); err != nil {
			t.Fatal(err)
		}
		_ = s.Dispatch(full, "bob", "x", nil)
		s.Ping()
		synctest.Wait()
		equal(t, "at once", strings.Join(got, " "), "installation ping")
		begin := time.Now()
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		equal(t, "after", time.Since(begin), time.Hour)
		equal(t, "then", strings.Join(got, " "), "installation ping repository_dispatch")
	})
}

type roundTrip func(*http.Request)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	_, _ = io.Copy(io.Discard, r.Body)
	return httptest.NewRecorder().Result(), nil
}

// TestFlushEnds gives up when its context does.
func TestFlushEnds(t *testing.T) {
	w := newWorld(t)
	w.listen()
	_, err := w.s.AddFault(githubemu.Fault{Kind: githubemu.HookDelay, Delay: time.Hour})
	w.ok(err)
	w.dispatch("a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.s.Flush(ctx); err == nil {
		t.Error("flush has not waited")
	}
}
