// Package kill holds rung to its promise that it can be killed at any moment:
// the real binary, as a process of its own, against the emulator on real bare
// repositories, killed around each of its writes, stopped in the middle of one,
// deprived of its data directory, its webhooks or its ledger, must end in the
// world that it would have made undisturbed.
package kill

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/githubemu"
)

var binary string

func TestMain(m *testing.M) {
	world.Main(func(_, built string) int {
		binary = built
		return m.Run()
	})
}

var environments = []string{"dev", "staging", "prod"}

const config = `version: 1
mode: merge
artifacts:
  checkout: {image: REGISTRY/checkout}
environments:
  dev: {}
  staging: {after: [dev], health: [{http: "HEALTH/{environment}", interval: 200ms}]}
  prod: {after: [staging], approvals: {required: 1}, health: [{http: "HEALTH/{environment}", interval: 200ms}]}
`

var rules = []githubemu.Ruleset{{RequirePull: true, RequiredChecks: []githubemu.RequiredCheck{{Context: "ci"}, {Context: "rung", AppID: world.AppID}}}}

func options(onWrite func(n int, when githubemu.When, r *http.Request)) world.Options {
	return world.Options{Config: config, Environments: environments, OnWrite: onWrite, Rules: rules}
}

// cast plays the people and the continuous integration of the climb: each does
// what is asked of them when the world asks for it, and once.
type cast struct {
	t *testing.T
	*world.World
	dispatched, said bool
	pinned           bool // the ledger's line is in rung.yaml
	wait             bool // nothing is published yet
	reject           bool // bob does not approve
}

// act lets everybody look at the world once and do what it asks for. It reports
// whether the climb has come to its end.
func (c *cast) act() bool {
	c.t.Helper()
	st := c.State()
	open := 0
	for _, pr := range st.Pulls {
		if pr.Head == "rung/onboard" && pr.State == "merged" {
			c.pinned = true
		}
		if pr.State != "open" {
			continue
		}
		open++
		c.look(&st, &pr)
	}
	if c.pinned && !c.wait && !c.dispatched {
		c.dispatched = true
		c.Publish("checkout", "1.1.0")
		c.Dispatch("checkout", "1.1.0")
	}
	live := strings.Join(c.Live("prod", "checkout"), ", ")
	if live == "land 1.1.0, settle 1.1.0 good" && !c.said {
		c.say(&st)
	}
	return live == "land 1.0.0, settle 1.0.0 good" && open == 0
}

// story is all of the world that must be equal.
func (c *cast) story() string { return c.Describe(environments...) }

// look lets everybody see one open pull request, in the order of things, so that
// a climb is played the same way each time: first rung knows its own
// head and says what it waits for, then the required status comes, then alice merges the ledger's line and bob
// approves a promotion into production.
func (c *cast) look(st *githubemu.RepositoryState, pr *githubemu.PullState) {
	title, ci := "", false
	for _, check := range st.Checks[pr.HeadSHA] {
		if check.Name == "rung" {
			title = check.Title
		}
		ci = ci || check.Name == "ci"
	}
	approved := slices.ContainsFunc(pr.Reviews, func(r githubemu.ReviewState) bool { return r.SHA == pr.HeadSHA })
	var err error
	switch {
	case title == "", strings.Contains(title, "head"):
	case !ci:
		err = c.Emulator.ReportStatus(c.t.Context(), githubemu.CheckReport{Repository: world.Repository, App: "ci", SHA: pr.HeadSHA, Name: "ci", State: "success"})
	case pr.Head == "rung/onboard":
		_, err = c.Emulator.Merge(c.t.Context(), world.Repository, pr.Number, "alice", "merge")
	case title == "Waits for approval" && !approved && !c.reject:
		_, err = c.Emulator.Review(c.t.Context(), world.Repository, pr.Number, "bob", "APPROVE", "")
	}
	if err != nil {
		c.t.Logf("pull request %d: %v; tried again at the next look", pr.Number, err) // the world moved on meanwhile
	}
}

// say takes the version back: bob comments on its pull request.
func (c *cast) say(st *githubemu.RepositoryState) {
	for _, pr := range st.Pulls {
		if pr.Head == "rung/p/prod/checkout" && pr.State == "merged" {
			if _, err := c.Emulator.Comment(c.t.Context(), world.Repository, pr.Number, "bob", "/rollback"); err != nil {
				c.t.Fatal(err)
			}
			c.said = true
			return
		}
	}
}

// point is one moment at which rung is killed.
type point struct {
	n    int
	when githubemu.When
	// forget deletes the data directory before rung is started again.
	forget bool
	// cut cuts the connection alone: rung lives, and does not know what became
	// of its write.
	cut bool
}

func (p point) String() string {
	if p.cut {
		return fmt.Sprintf("cut %s write %d", p.when, p.n)
	}
	data := "kept"
	if p.forget {
		data = "deleted"
	}
	return fmt.Sprintf("%s write %d, data %s", p.when, p.n, data)
}

// climb plays the whole climb, with rung killed at a point (or its connection
// cut) if there is one, and says how the world stands then, and what rung wrote.
func climb(t *testing.T, at *point) (end string, writes []string) {
	t.Helper()
	return play(t, at, world.Options{Config: config}, func(w *world.World) actor { return &cast{t: t, World: w} })
}

// actor is everybody but rung: act lets them look at the world once, do what it
// asks for, and say whether the end has come; story is what must be equal then.
type actor interface {
	act() bool
	story() string
}

// play plays a story to its end.
func play(t *testing.T, at *point, o world.Options, people func(*world.World) actor) (end string, writes []string) {
	t.Helper()
	var mu sync.Mutex // guards rung, writes, struck and over
	var rung *world.Process
	var struck, over bool // the point was met; the story is at its end
	killed := make(chan struct{})
	o.Environments, o.Rules = environments, rules
	o.OnWrite = func(n int, when githubemu.When, r *http.Request) {
		mu.Lock()
		p := rung
		if when == githubemu.Before {
			writes = append(writes, r.Method+" "+r.URL.Path)
		}
		strike := at != nil && n == at.n && when == at.when && !over
		struck = struck || strike
		mu.Unlock()
		if !strike {
			return
		}
		if !at.cut {
			p.Kill()
			close(killed)
		}
		panic(http.ErrAbortHandler) // nobody is there to be answered
	}
	w := world.Start(t, binary, o)
	start := func() {
		mu.Lock() // a write waits until the process is known
		defer mu.Unlock()
		rung = w.Serve("a")
		w.Receive(rung)
	}
	start()
	c := people(w)
	w.Wait("the story is at its end", func() bool {
		select {
		case <-killed:
			killed = nil
			if at.forget {
				rung.Forget()
			}
			start()
		default:
		}
		end := c.act()
		mu.Lock()
		defer mu.Unlock()
		// The last write of all ends the story before rung has lost its life.
		over = end && (!struck || at.cut || killed == nil)
		return over
	}, func() string { return c.story() + "\n" + rung.Log() })
	w.Quiet()
	rung.Stop()
	return c.story(), writes
}

func TestKilledAroundEveryWrite(t *testing.T) {
	began := time.Now()
	want, writes := undisturbed(t)
	n := len(writes)
	t.Logf("N = %d writes in an undisturbed climb of %s:\n%s\n%s", n, time.Since(began).Round(time.Millisecond), strings.Join(writes, "\n"), want)
	if n < 20 {
		t.Fatalf("only %d writes: the climb does not do what it should", n)
	}
	kills := disturb(t, want, n, points(n, all()), climb)
	t.Logf("N = %d, rung was killed %d times in %s", n, kills, time.Since(began).Round(time.Second))
}

// all is true where every point is wanted, however long it takes.
func all() bool { return os.Getenv("RUNG_KILL_ALL") != "" }

// disturb plays a story for each point and compares its end with what is wanted.
// It returns how many points were reached of n writes. How often a check is
// written on the way differs by a few with the load of the machine, so the last
// writes may be missing, but no others.
func disturb(t *testing.T, want string, n int, points []point, play func(*testing.T, *point) (string, []string)) int {
	t.Helper()
	var reached atomic.Int64
	t.Run("each", func(t *testing.T) {
		for _, at := range points {
			t.Run(strings.NewReplacer(" ", "_", ",", "").Replace(at.String()), func(t *testing.T) {
				t.Parallel()
				got, wrote := play(t, &at)
				for tries := 1; len(wrote) < at.n && tries < 4; tries++ {
					again := point{n: at.n, when: at.when, forget: at.forget, cut: at.cut}
					got, wrote = play(t, &again)
				}
				if len(wrote) >= at.n {
					reached.Add(1)
				} else if t.Logf("there was no write %d in four tries", at.n); at.n <= n-4 {
					t.Error("the point was not reached")
				}
				if got != want {
					t.Errorf("%s (of %d writes): the world ends differently.\n--- undisturbed\n%s\n--- disturbed\n%s", at, len(wrote), want, got)
				}
			})
		}
	})
	return int(reached.Load())
}

// TestAnswersCutAroundEveryWrite cuts rung's connection instead of its life: a
// write that was done and not told, or not done at all, is made whole once.
func TestAnswersCutAroundEveryWrite(t *testing.T) {
	want, writes := undisturbed(t)
	var some []point
	for i := 1; i <= len(writes); i++ {
		for _, when := range []githubemu.When{githubemu.Before, githubemu.After} {
			if all() || i%6 == 3*int(when) {
				some = append(some, point{n: i, when: when, cut: true})
			}
		}
	}
	t.Logf("%d cuts", disturb(t, want, len(writes), some, climb))
}

// points are the moments at which rung is killed: around each of n writes, with
// the data directory kept and deleted; or, unless all are wanted, each write once,
// in one of these four ways in turn.
func points(n int, all bool) []point {
	var some []point
	for i := 1; i <= n; i++ {
		way := 0
		for _, when := range []githubemu.When{githubemu.Before, githubemu.After} {
			for _, forget := range []bool{false, true} {
				if all || i%4 == way {
					some = append(some, point{n: i, when: when, forget: forget})
				}
				way++
			}
		}
	}
	return some
}
