package kill

import (
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/githubemu"
)

// TestWebhooksGoAstray plays the climb while webhooks come twice, late, in
// another order or not at all. What was lost is found when rung looks by itself;
// here that is at a start, so that nobody waits for its clock.
func TestWebhooksGoAstray(t *testing.T) {
	want, _ := undisturbed(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) {
			t.Parallel()
			o := options(nil)
			o.Seed = seed
			w := world.Start(t, binary, o)
			lost := githubemu.HookDrop // listed by GitHub as failed
			if seed%2 == 1 {
				lost = githubemu.HookLose // not even that
			}
			for _, f := range []githubemu.Fault{
				{Kind: lost, Times: -1, Percent: 20},
				{Kind: githubemu.HookDuplicate, Times: -1, Percent: 30},
				{Kind: githubemu.HookReorder, Times: -1, Percent: 30},
				{Kind: githubemu.HookDelay, Times: -1, Percent: 30, Delay: 200 * time.Millisecond},
			} {
				if _, err := w.Emulator.AddFault(f); err != nil {
					t.Fatal(err)
				}
			}
			p := w.Serve("a")
			w.Receive(p)
			c := &cast{t: t, World: w}
			last, same, starts := "", 0, 1
			w.Wait("the version has climbed and come back", func() bool {
				if c.act() {
					return true
				}
				now := fmt.Sprint(w.Emulator.Counts())
				if same++; now != last {
					last, same = now, 0
				}
				if same > 60 {
					p.Stop()
					if starts++; seed%3 == 0 {
						p.Forget()
					}
					p = w.Serve("a")
					w.Receive(p)
				}
				return false
			}, func() string { return w.Describe(environments...) + "\n" + p.Log() })
			w.Emulator.ClearFaults()
			w.Quiet()
			rest(w)
			p.Stop()
			t.Logf("%d starts", starts)
			got, want := w.Describe(environments...), want
			if lost == githubemu.HookLose { // perhaps nobody ever said who published it
				got, want = unannounced.ReplaceAllString(got, ""), unannounced.ReplaceAllString(want, "")
			}
			if got != want {
				t.Errorf("the world ends differently.\n--- undisturbed\n%s\n--- disturbed\n%s", want, got)
			}
		})
	}
}

// unannounced matches the announcements of a world's ledger.
var unannounced = regexp.MustCompile(`(?m)^announce .*\n`)

// undisturbed is the world that a climb makes when nothing goes wrong, and the
// writes that rung does for it.
func undisturbed(t *testing.T) (end string, writes []string) {
	t.Helper()
	calm.once.Do(func() { calm.end, calm.writes = climb(t, nil) })
	if calm.end == "" {
		t.Fatal("there is no undisturbed climb to compare with")
	}
	return calm.end, calm.writes
}

var calm struct {
	once   sync.Once
	end    string
	writes []string
}
