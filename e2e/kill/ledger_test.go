package kill

import (
	"strings"
	"testing"

	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/githubemu"
)

// TestLedgerLostOrReset takes the ledger away in the middle of a climb: everything
// is held with a reason that a person can read, no second ledger is begun, and
// when the branch is pushed back the climb goes on.
func TestLedgerLostOrReset(t *testing.T) {
	for _, story := range []struct {
		name string
		// to is where the branch is put; "" deletes it.
		to   func(w *world.World, tip string) string
		says string
	}{
		{"deleted", func(*world.World, string) string { return "" }, "the ledger is lost"},
		{"replaced by an orphan", func(w *world.World, tip string) string {
			return strings.TrimSpace(w.Git("-c", "user.name=mallory", "-c", "user.email=m@example.com", "commit-tree", "-m", "begin", tip+"^{tree}"))
		}, "the ledger can't be trusted"},
		{"cut back", func(w *world.World, tip string) string {
			first, _, _ := strings.Cut(w.Git("rev-list", "--max-parents=0", tip), "\n")
			return first
		}, "the ledger was rewound"},
	} {
		for _, restarted := range []bool{false, true} {
			name := strings.ReplaceAll(story.name, " ", "_")
			if restarted {
				name += "_while_rung_was_away"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := world.Start(t, binary, options(nil))
				p := w.Serve("a")
				w.Receive(p)
				c := &cast{t: t, World: w, reject: true}
				w.Wait("production waits for an approval", func() bool { c.act(); return shows(w, "rung/p/prod/checkout", "Waits for approval", "") },
					func() string { return w.Describe(environments...) + p.Log() })
				if _, err := w.Emulator.PushFiles(t.Context(), githubemu.Push{Repository: world.Repository, Person: "alice", Branch: "readme", Files: map[string]string{"README.md": "# hello\n"}}); err != nil {
					t.Fatal(err)
				}
				if _, err := w.Emulator.OpenPull(t.Context(), world.Repository, "alice", "readme", "main", "Say hello", ""); err != nil {
					t.Fatal(err)
				}
				tip := w.State().Branches["rung/ledger"]
				if restarted {
					p.Stop()
					p.Forget()
				}
				broken := story.to(w, tip)
				if err := w.Emulator.MoveBranch(t.Context(), world.Repository, "alice", "rung/ledger", broken); err != nil {
					t.Fatal(err)
				}
				if restarted {
					p = w.Serve("a")
					w.Receive(p)
				}
				main := w.State().Branches["main"]
				explain := func() string { return w.Describe(environments...) + "\n" + p.Board("/r/"+world.Repository) + p.Log() }
				w.Wait("the promotion is held", func() bool { return shows(w, "rung/p/prod/checkout", "Held", story.says) }, explain)
				c.reject = false
				if _, err := w.Emulator.Review(t.Context(), world.Repository, pullOf(w, "rung/p/prod/checkout"), "bob", "APPROVE", ""); err != nil {
					t.Fatal(err)
				}
				w.Wait("the board says why", func() bool {
					page := p.Board("/r/" + world.Repository)
					return strings.Contains(page, strings.ReplaceAll(story.says, "'", "&#39;")) && strings.Contains(page, "push the branch rung/ledger back")
				}, explain)
				w.Wait("the ordinary pull request has its check", func() bool { return shows(w, "readme", "No promotion here", "") }, explain)
				rest(w)
				st := w.State()
				if st.Branches["rung/ledger"] != broken {
					t.Errorf("the ledger was at %q, now it is at %q", broken, st.Branches["rung/ledger"])
				}
				if st.Branches["main"] != main {
					t.Errorf("main moved without a ledger, from %s to %s", main, st.Branches["main"])
				}
				if err := w.Emulator.MoveBranch(t.Context(), world.Repository, "alice", "rung/ledger", tip); err != nil {
					t.Fatal(err)
				}
				w.Wait("the climb goes on", func() bool {
					return strings.Join(w.Live("prod", "checkout"), ", ") == "land 1.1.0, settle 1.1.0 good"
				}, explain)
			})
		}
	}
}

// shows reports whether the check of a branch's open pull request has a title,
// and words in its summary.
func shows(w *world.World, head, title, words string) bool {
	st := w.State()
	for _, pr := range st.Pulls {
		if pr.Head != head || pr.State != "open" {
			continue
		}
		for _, check := range st.Checks[pr.HeadSHA] {
			if check.Name == "rung" && check.Title == title && strings.Contains(check.Summary, words) {
				return true
			}
		}
	}
	return false
}

// TestSecondServeOnOneDataDirectory is refused, and says what to do.
func TestSecondServeOnOneDataDirectory(t *testing.T) {
	w := world.Start(t, binary, options(nil))
	first := w.Serve("a")
	w.Receive(first)
	if _, err := w.TryServe("a"); err == nil || !strings.Contains(err.Error(), "code 2") || !strings.Contains(err.Error(), "directory of its own") {
		t.Errorf("got %v, want an exit with code 2 that names the way out", err)
	}
	if !first.Running() {
		t.Error("the first one ended")
	}
	first.Kill()
	again := w.Serve("a") // a lock that was left behind by kill -9 means nothing
	again.Stop()
}
