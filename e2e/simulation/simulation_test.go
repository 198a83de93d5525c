package simulation

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rungbot/rung/e2e/simulation/oracle"
)

const defaultSeeds = 200

// TestSimulation runs RUNG_SEEDS seeds (200) from RUNG_SEED (1).
func TestSimulation(t *testing.T) {
	count, first := fromEnv(t, "RUNG_SEEDS", defaultSeeds), fromEnv(t, "RUNG_SEED", 1)
	dice := newGrid()
	var mu sync.Mutex
	var steps, passes []int
	crashes := 0
	t.Run("seeds", func(t *testing.T) {
		for i := range count {
			seed := uint64(first + i) //nolint:gosec // both are positive
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				w := runSeed(t, seed, dice)
				mu.Lock()
				defer mu.Unlock()
				steps, passes, crashes = append(steps, w.steps), append(passes, w.passes), crashes+w.crashes
			})
		}
	})
	if len(steps) == 0 {
		return
	}
	slices.Sort(steps)
	slices.Sort(passes)
	var b strings.Builder
	dice.print(&b)
	t.Logf("%d seeds from %d; at the median %d steps and %d passes; %d crashes\n%s", count, first, steps[len(steps)/2], passes[len(passes)/2], crashes, b.String())
}

func fromEnv(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a positive number", name, text)
	}
	return n
}

// runSeed runs one seed to its end and reports what the oracle found.
func runSeed(t *testing.T, seed uint64, dice *grid) (w *world) {
	keys() // outside of the bubble
	var board string
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)))
		w = newWorld(t, seed, dice)
		defer func() {
			w.stop(true)
			time.Sleep(10 * time.Minute) // what waits for a deadline has ended
		}()
		w.run()
		if len(w.oracle.Violations()) > 0 {
			board = oracle.Board(w.views())
		}
	})
	found := w.oracle.Violations()
	if len(found) == 0 {
		return w
	}
	var b strings.Builder
	for _, v := range found {
		fmt.Fprintf(&b, "  %s\n", v)
	}
	t.Errorf("seed %d:\n%s\nrun it again: make simulate SEEDS=1 START=%d\n\nwhat happened (%s):\n  %s\n\nthe board:\n%s\nthe end of rung's log:\n%s",
		seed, b.String(), seed, w.summary(), strings.Join(w.trace, "\n  "), board, w.logTail(25))
	return w
}

func (w *world) summary() string {
	return fmt.Sprintf("%d steps, %d passes, %d crashes, queue in memory: %t", w.steps, w.passes, w.crashes, w.queue == "")
}

// run plays the seed: some peace to start the ledger, the storm, and what comes
// after.
func (w *world) run() {
	w.elapse(3*time.Second, time.Second)
	steps := 30 + w.rng.IntN(25)
	for w.steps < steps && len(w.oracle.Violations()) == 0 {
		w.step()
	}
	if len(w.oracle.Violations()) > 0 {
		return
	}
	w.settle()
}

// settle ends the faults and lets the world come to rest; then it is looked at.
func (w *world) settle() {
	w.calm = true
	w.registry.down = false
	if w.suspended {
		w.suspend()
	}
	mode := w.rng.IntN(3)
	w.say("the faults stop; webhooks from now on: %s", []string{"arrive", "are lost", "are lost unlisted"}[mode])
	drain := func() {
		for _, d := range w.emu.Pending() {
			switch mode {
			case 0:
				w.must(w.emu.Deliver(w.ctx, d.ID))
			default:
				w.discard(d, mode == 2)
			}
		}
	}
	if w.lost || mode == 2 {
		// What nobody was told of is found after a start.
		w.stop(true)
	}
	if !w.rest("after the faults", drain) {
		return
	}
	w.oracle.Final(w.views())
	before := w.fingerprint()
	w.say("rung is stopped, its queue deleted, and started again")
	w.stop(true)
	if !w.rest("after a restart", drain) {
		return
	}
	if after := w.fingerprint(); after != before {
		w.oracle.Report("6 restart", "a restart without the queue changed the world:\n%s", difference(before, after))
	}
	w.oracle.Final(w.views())
}

// Bounds of coming to rest: so many rounds of so long, and so many of them
// without a change.
const (
	restRound  = 13 * time.Minute
	restRounds = 40
	restSame   = 6
)

func (w *world) rest(when string, drain func()) bool {
	last, same := "", 0
	for range restRounds {
		drain()
		if same < 2 {
			w.elapse(time.Minute, 5*time.Second)
			drain()
			w.elapse(time.Minute, 15*time.Second)
			drain()
		}
		w.elapse(restRound-2*time.Minute, time.Minute)
		if now := w.fingerprint(); now == last {
			same++
		} else {
			last, same = now, 0
		}
		if same >= restSame {
			return true
		}
		if len(w.oracle.Violations()) > 0 {
			return false
		}
	}
	w.oracle.Report("7 bounded", "%s the world does not come to rest within %s", when, restRounds*restRound)
	return false
}

// fingerprint is everything that people see, as text.
func (w *world) fingerprint() string {
	return fmt.Sprintf("%sledger records %d\n", oracle.Fingerprint(w.state()), w.oracle.Told())
}

func (w *world) views() [][]byte {
	if w.proc == nil {
		return nil
	}
	views, err := w.proc.app.Views(w.ctx)
	w.must(err)
	return views
}

// difference shows the lines that only one of two texts has.
func difference(a, b string) string {
	var out []string
	old, now := strings.Split(a, "\n"), strings.Split(b, "\n")
	for _, l := range old {
		if !slices.Contains(now, l) {
			out = append(out, "    - "+l)
		}
	}
	for _, l := range now {
		if !slices.Contains(old, l) {
			out = append(out, "    + "+l)
		}
	}
	return strings.Join(out, "\n")
}
