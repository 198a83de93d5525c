package kill

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/githubemu"
)

// TestAStoppedReplicaMergesNothingLate stops one of two replicas between its
// authorize and its merge, lets a person bar the digest through the other, and
// then lets the merge go on: it must fail, because the push that recorded the
// quarantine took the branch away.
func TestAStoppedReplicaMergesNothingLate(t *testing.T) {
	for _, story := range []struct {
		name string
		// held is the environment whose merge is stopped; said is what bob
		// comments on the pull request of dev meanwhile.
		held, said string
		// ends are the versions that the environments run in the end.
		ends map[string]string
	}{
		{"quarantine of what is being merged", "dev", "/quarantine it loses orders", map[string]string{"dev": "1.0.0", "staging": "1.0.0"}},
		{"rollback of what it climbs from", "staging", "/rollback", map[string]string{"dev": "1.0.0", "staging": "1.0.0"}},
	} {
		t.Run(strings.ReplaceAll(story.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			w, a, b, release := holdMerge(t, story.held)
			c := &cast{t: t, World: w, dispatched: true}
			w.Receive(b)
			number := pullOf(w, "rung/p/dev/checkout")
			if _, err := w.Emulator.Comment(t.Context(), world.Repository, number, "bob", story.said); err != nil {
				t.Fatal(err)
			}
			barred := func() bool {
				return slices.ContainsFunc(w.Ledger(), func(r world.Record) bool { return r.Kind == "quarantine" })
			}
			w.Wait("the digest is barred", barred, b.Log)
			branch := "rung/p/" + story.held + "/checkout"
			if head, there := w.State().Branches[branch]; there {
				t.Errorf("the quarantine is recorded and %s still stands at %s", branch, head)
			}

			release()
			w.Wait("the late merge is refused", func() bool {
				return strings.Contains(a.Log(), "refused to merge") || strings.Contains(a.Log(), "pass failed")
			}, a.Log)
			w.Receive(b)
			w.Wait("the story ends", func() bool {
				c.act()
				for env, version := range story.ends {
					if !strings.Contains(w.File(env), "newTag: "+version+"\n") {
						return false
					}
				}
				st := w.State()
				return !slices.ContainsFunc(st.Pulls, func(p githubemu.PullState) bool { return p.State == "open" }) &&
					slices.ContainsFunc(w.Ledger(), func(r world.Record) bool {
						return r.Kind == "withdraw" && strings.HasPrefix(r.Subject, story.held+"/")
					})
			}, func() string { return w.Describe(environments...) + "\nA: " + a.Log() + "\nB: " + b.Log() })
			for _, p := range w.Promotions() {
				if strings.HasPrefix(p.Subject, story.held+"/") {
					t.Errorf("the late merge came through: %s", p)
				}
			}
			agree(t, w, a, b)
		})
	}
}

// holdMerge plays the climb until one of two replicas is about to merge into an
// environment, and stops it there, with its request not yet served. The other one
// rests. release serves the request and lets the first one go on.
func holdMerge(t *testing.T, environment string) (w *world.World, a, b *world.Process, release func()) {
	t.Helper()
	var mu sync.Mutex // guards w and a until they are there
	var once sync.Once
	reached, freed := make(chan struct{}), make(chan struct{})
	free := sync.OnceFunc(func() { close(freed) })
	t.Cleanup(free)
	mu.Lock()
	w = world.Start(t, binary, options(func(_ int, when githubemu.When, r *http.Request) {
		if when != githubemu.Before || r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/merge") {
			return
		}
		mu.Lock()
		place, first := w, a
		mu.Unlock()
		if !merges(place, r.URL.Path, environment) {
			return
		}
		once.Do(func() {
			first.Freeze()
			close(reached)
			<-freed
		})
	}))
	a, b = w.Serve("a"), w.Serve("b")
	mu.Unlock()
	w.Receive(a)
	c := &cast{t: t, World: w, wait: true}
	w.Wait("the ledger's line is merged", func() bool { c.act(); return c.pinned }, nil)
	rest(w)
	c.wait = false
	w.Wait("the merge has begun", func() bool { c.act(); return closed(reached) }, func() string { return w.Describe() + a.Log() })
	return w, a, b, func() {
		free()
		a.Thaw()
	}
}

// TestAFreezeStopsAMergeUnderWay is the same with a freeze, which takes no branch
// away: it turns the required check, so that the forge refuses the late merge.
func TestAFreezeStopsAMergeUnderWay(t *testing.T) {
	t.Parallel()
	w, a, b, release := holdMerge(t, "dev")
	c := &cast{t: t, World: w, dispatched: true}
	explain := func() string { return w.Describe(environments...) + "\nA: " + a.Log() + "\nB: " + b.Log() }
	w.Receive(b)
	number := pullOf(w, "rung/p/dev/checkout")
	say := func(line string) {
		t.Helper()
		if _, err := w.Emulator.Comment(t.Context(), world.Repository, number, "alice", line); err != nil {
			t.Fatal(err)
		}
	}
	say("/freeze dev the shop is full")
	w.Wait("the check is turned", func() bool {
		return shows(w, "rung/p/dev/checkout", "Waits for freeze", "the shop is full") || shows(w, "rung/p/dev/checkout", "Refused by freeze", "the shop is full")
	}, explain)
	release()
	w.Wait("the late merge is refused", func() bool { return strings.Contains(a.Log(), "refused to merge") }, explain)
	rest(w)
	if !strings.Contains(w.File("dev"), "newTag: 1.0.0") {
		t.Errorf("the late merge came through:\n%s", explain())
	}
	say("/unfreeze dev")
	w.Wait("dev runs the new version", func() bool { c.act(); return strings.Contains(w.File("dev"), "newTag: 1.1.0") }, explain)
}

// merges reports whether a path is the merge of an environment's promotion.
func merges(w *world.World, path, environment string) bool {
	for _, pr := range w.State().Pulls {
		if strings.HasSuffix(path, "/pulls/"+strconv.Itoa(pr.Number)+"/merge") {
			return pr.Head == "rung/p/"+environment+"/checkout"
		}
	}
	return false
}

// pullOf is the newest pull request of a branch.
func pullOf(w *world.World, head string) int {
	number := 0
	for _, pr := range w.State().Pulls {
		if pr.Head == head {
			number = pr.Number
		}
	}
	return number
}

// rest waits until nobody has asked the emulator anything for a while.
func rest(w *world.World) {
	last, same := "", 0
	w.Wait("everybody rests", func() bool {
		now := fmt.Sprint(w.Emulator.Counts())
		if same++; now != last {
			last, same = now, 0
		}
		return same >= 20
	}, nil)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

var (
	grid   = regexp.MustCompile(`(?s)<table class="grid".*?</table>`)
	moment = regexp.MustCompile(`(?s)<time.*?</time>`)
	tag    = regexp.MustCompile(`(?s)<[^>]*>|\s+`)
)

// table is the board's table in plain words, without the times in it.
func table(page string) string {
	return strings.TrimSpace(tag.ReplaceAllString(moment.ReplaceAllString(grid.FindString(page), ""), " "))
}

// agree offers the digest once more to both replicas, and compares what they
// show.
func agree(t *testing.T, w *world.World, replicas ...*world.Process) {
	t.Helper()
	for _, p := range replicas {
		w.Receive(p)
		w.Dispatch("checkout", "1.1.0")
		w.Quiet()
	}
	var shown [2]string
	w.Wait("both replicas show the same", func() bool {
		for i, p := range replicas {
			shown[i] = table(p.Board("/r/" + world.Repository))
		}
		return shown[0] == shown[1] && strings.Contains(shown[0], "1.1.0 is quarantined")
	}, func() string { return "A shows:\n" + shown[0] + "\nB shows:\n" + shown[1] })
}

// TestAFrozenProcessLetsItsAuthorisationLapse stops rung after its authorize is
// pushed, for longer than its fence: what it does when it goes on is to judge
// again, not to merge by what it knew before.
func TestAFrozenProcessLetsItsAuthorisationLapse(t *testing.T) {
	const fence = time.Second // the shortest that the settings take
	var w *world.World
	var p *world.Process
	var mu sync.Mutex
	authorised := false // the authorize of dev is pushed
	merging := 0        // merges asked for while only the first one was there
	authorizes := func() int {
		n := 0
		for _, r := range w.Ledger() {
			if r.Kind == "authorize" && strings.HasPrefix(r.Subject, "dev/") {
				n++
			}
		}
		return n
	}
	frozen := make(chan time.Time, 1)
	mu.Lock()
	w = world.Start(t, binary, options(func(_ int, when githubemu.When, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case when == githubemu.After && strings.HasSuffix(r.URL.Path, "/git-receive-pack") && !authorised && authorizes() == 1:
			authorised = true
			p.Freeze()
			frozen <- time.Now()
		case when == githubemu.Before && r.Method == http.MethodPut && authorised && merges(w, r.URL.Path, "dev") && authorizes() == 1:
			merging++
		}
	}))
	p = w.Serve("a", "RUNG_MERGE_FENCE="+fence.String())
	mu.Unlock()
	w.Receive(p)
	c := &cast{t: t, World: w, reject: true}
	var since time.Time
	w.Wait("dev is authorised", func() bool {
		c.act()
		select {
		case since = <-frozen:
			return true
		default:
			return false
		}
	}, func() string { return w.Describe(environments...) + p.Log() })
	w.Wait("the fence is over", func() bool { return time.Since(since) > fence+100*time.Millisecond }, nil)
	p.Thaw()
	w.Wait("dev runs the new version", func() bool { c.act(); return strings.Contains(w.File("dev"), "newTag: 1.1.0") },
		func() string { return w.Describe(environments...) + p.Log() })
	mu.Lock()
	defer mu.Unlock()
	if n := authorizes(); n < 2 || merging > 0 {
		t.Errorf("%d authorize records before the merge, %d merges by the one that had lapsed; want a new one, and none", n, merging)
	}
}

// TestAFreshStartWritesNothing takes the data directory away where nothing is to
// be done: a rung that knows nothing reaches the same decisions, and finds that
// they were carried out.
func TestAFreshStartWritesNothing(t *testing.T) {
	w := world.Start(t, binary, options(nil))
	p := w.Serve("a")
	w.Receive(p)
	c := &cast{t: t, World: w, reject: true}
	explain := func() string { return w.Describe(environments...) + p.Log() }
	fresh := func(what string) {
		t.Helper()
		w.Quiet()
		rest(w)
		before, writes := w.Describe(environments...), w.Emulator.Writes()
		p.Stop()
		p.Forget()
		p = w.Serve("a")
		w.Receive(p)
		w.Wait("rung has looked", func() bool { return strings.Contains(p.Board("/r/"+world.Repository), "1.1.0") }, explain)
		rest(w)
		if n := w.Emulator.Writes() - writes; n != 0 {
			t.Errorf("%s: a fresh start wrote %d times.\n--- before\n%s\n--- after\n%s", what, n, before, w.Describe(environments...))
		}
	}
	w.Wait("production waits for an approval", func() bool { c.act(); return shows(w, "rung/p/prod/checkout", "Waits for approval", "") }, explain)
	fresh("while production waits")
	c.reject = false
	w.Wait("the version has climbed and come back", c.act, explain)
	fresh("at the end")
}

// TestTwoReplicasMakeOneWorld lets two replicas hear and do everything at once:
// the compare-and-swap of the ledger decides who was first, and the other looks
// again.
func TestTwoReplicasMakeOneWorld(t *testing.T) {
	want, _ := undisturbed(t)
	w := world.Start(t, binary, options(nil))
	a, b := w.Serve("a"), w.Serve("b")
	w.Receive(a, b)
	c := &cast{t: t, World: w}
	w.Wait("the version has climbed and come back", c.act, func() string {
		return w.Describe(environments...) + "\nA: " + a.Log() + "\nB: " + b.Log()
	})
	w.Quiet()
	rest(w)
	// A check run can't be written by compare-and-swap: on a head that was merged
	// it may show what the slower of the two saw last.
	colour := regexp.MustCompile(`merged, rung [^:]*?, (\d+ comments)`)
	if got := w.Describe(environments...); colour.ReplaceAllString(got, "merged, $1") != colour.ReplaceAllString(want, "merged, $1") {
		t.Errorf("two replicas end in another world.\n--- one\n%s\n--- two\n%s", want, got)
	}
	a.Stop()
	b.Stop()
}
