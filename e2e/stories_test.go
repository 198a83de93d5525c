package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds how long a story waits for one thing. It is long, because
// many stories share the machine's cores; a story that goes well never uses it.
const patience = 40 * time.Second

// buildDir is where rung is built to.
var buildDir string

func TestMain(m *testing.M) {
	flag.Parse()
	code := 1
	func() {
		dir, err := os.MkdirTemp("", "rung-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		defer func() { _ = os.RemoveAll(dir) }()
		buildDir = dir
		// Stories mostly wait for each other's requests: more of them than
		// there are cores may play at once.
		if f := flag.Lookup("test.parallel"); f != nil && flag.Lookup("test.fuzz").Value.String() == "" {
			_ = f.Value.Set("6")
		}
		code = max(m.Run(), afterAll())
	}()
	os.Exit(code)
}

// afterAll says what was found while all tests ran, as an exit code; make
// conformance sets it.
var afterAll = func() int { return 0 }

// TestStories plays testdata/*.txtar. Beside testscript's own commands a script
// has `world` (start everything), the acts and looks of acts_test.go and
// looks_test.go, and:
//
//	until LOOK ARGS…       wait until it is so
//	LOOK ARGS…             it is so now; with ! it is not
//	stay                   wait until rung has nothing left to do
//	find ENV ARTIFACT      wait for the open pull request, and set PR
//	find-merged ENV ARTIFACT  the same for a merged one
//	onboard PERSON         merge the pull request that names the ledger
//	clone DIRECTORY        a clone by stock git
//	verified               rung verify --recompute finds nothing wrong with a fresh clone,
//	                       and the records are what docs/records.md says
//	git ARGS…, rung ARGS…  the programs; with ! they must fail
func TestStories(t *testing.T) {
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"world": startWorld, "until": until, "stay": stay, "find": find("open"), "find-merged": find("merged"), "onboard": onboard, "clone": clone, "verified": seeVerified, "git": runGit, "rung": runRung,
	}
	for verb, a := range acts {
		commands[verb] = func(ts *testscript.TestScript, neg bool, args []string) { perform(ts, a, neg, args) }
	}
	for verb, l := range looks {
		commands[verb] = func(ts *testscript.TestScript, neg bool, args []string) { assert(ts, verb, l, neg, args) }
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata", Cmds: commands,
		Setup: func(env *testscript.Env) error {
			env.Values[theatre{}] = &theatre{}
			return nil
		},
	})
}

// theatre holds the world of a script, once it is started.
type theatre struct{ world *world }

func stage(ts *testscript.TestScript) *world {
	w := ts.Value(theatre{}).(*theatre).world
	if w == nil {
		ts.Fatalf("say world first")
	}
	return w
}

// bounded is a context that ends with patience.
func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// fail ends a story with what the world looks like.
func fail(ts *testscript.TestScript, w *world, format string, args ...any) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ts.Fatalf("%s\n%s", fmt.Sprintf(format, args...), w.describe(ctx))
}

// startWorld is `world`, a script's first command: -real starts the program
// itself, -rest a GitHub without GraphQL, -empty one without rung.yaml.
func startWorld(ts *testscript.TestScript, neg bool, args []string) {
	kind := strings.Join(args, " ")
	if neg || !slices.Contains([]string{"", "-real", "-rest", "-empty"}, kind) {
		ts.Fatalf("usage: world [-real|-rest|-empty]")
	}
	if kind == "-real" {
		_, err := binary() // takes its time, once
		ts.Check(err)
	}
	ctx, cancel := bounded()
	defer cancel()
	w, err := newWorld(ctx, ts.MkAbs("."), kind == "-empty")
	ts.Defer(func() { ts.Check(w.close()) })
	ts.Check(err)
	ts.Value(theatre{}).(*theatre).world = w
	w.emu.SetGraphQL(kind != "-rest")
	start := w.startInside
	if kind == "-real" {
		start = w.startOutside
	}
	ts.Check(start(ctx))
	for ref := range w.images {
		d, err := w.published(ref)
		ts.Check(err)
		ts.Setenv(ref, d)
	}
	for kind != "-real" {
		v, err := w.rung.view(ctx)
		if err == nil && (v.Ledger != "" || len(v.Notes) > 0 || v.Repository.ID != 0 && !v.Configured || v.Error != "") {
			return
		}
		if err := pause(ctx); err != nil {
			fail(ts, w, "rung does not look at the repository: %v", err)
		}
	}
}

// until waits for a look.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: until LOOK ARGS… (to see that something does not happen: stay, then ! LOOK)")
	}
	l, known := looks[args[0]]
	if !known {
		ts.Fatalf("there is no %s to wait for", args[0])
	}
	wait(ts, args[0], l, args[1:])
}

func wait(ts *testscript.TestScript, verb string, l look, args []string) {
	checkArgs(ts, l.usage, l.args, args)
	w := stage(ts)
	ctx, cancel := bounded()
	defer cancel()
	for {
		ok, got, err := l.see(ctx, w, args)
		if err != nil && ctx.Err() == nil {
			fail(ts, w, "%s %s: %v", verb, strings.Join(args, " "), err)
		}
		if ok {
			return
		}
		if pause(ctx) != nil {
			fail(ts, w, "waited in vain until %s %s; it is: %s", verb, strings.Join(args, " "), got)
		}
	}
}

func assert(ts *testscript.TestScript, verb string, l look, neg bool, args []string) {
	checkArgs(ts, l.usage, l.args, args)
	w := stage(ts)
	ctx, cancel := bounded()
	defer cancel()
	ok, got, err := l.see(ctx, w, args)
	ts.Check(err)
	if ok == neg {
		fail(ts, w, "%s %s: it is: %s", verb, strings.Join(args, " "), got)
	}
}

func checkArgs(ts *testscript.TestScript, usage string, n [2]int, args []string) {
	if len(args) < n[0] || len(args) > n[1] {
		ts.Fatalf("usage: %s", usage)
	}
}

func perform(ts *testscript.TestScript, a act, neg bool, args []string) {
	checkArgs(ts, a.usage, a.args, args)
	w := stage(ts)
	ctx, cancel := bounded()
	defer cancel()
	set, err := a.do(ctx, w, args)
	switch {
	case neg && err == nil:
		fail(ts, w, "this was to be refused")
	case !neg && err != nil:
		fail(ts, w, "%v", err)
	case neg:
		ts.Logf("refused: %v", err)
	}
	for key, value := range set {
		ts.Setenv(key, value)
	}
}

func stay(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: stay")
	}
	w := stage(ts)
	ctx, cancel := bounded()
	defer cancel()
	if err := w.settle(ctx); err != nil {
		fail(ts, w, "rung does not come to rest: %v", err)
	}
}

// find waits for a pair's newest pull request to have a state.
func find(state string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: find ENVIRONMENT ARTIFACT")
		}
		w := stage(ts)
		ctx, cancel := bounded()
		defer cancel()
		for {
			p, err := w.promotionPull(ctx, args[0], args[1])
			if err == nil && p.State == state {
				ts.Setenv("PR", fmt.Sprint(p.Number))
				return
			}
			if pause(ctx) != nil {
				fail(ts, w, "there is no %s pull request of %s in %s", state, args[1], args[0])
			}
		}
	}
}

func onboard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: onboard PERSON")
	}
	w := stage(ts)
	ctx, cancel := bounded()
	defer cancel()
	for {
		st, err := w.state(ctx)
		ts.Check(err)
		for _, p := range st.Pulls {
			if p.Head == "rung/onboard" && p.State == "open" {
				_, err := w.emu.Merge(ctx, gitops, p.Number, args[0], "")
				ts.Check(err)
				return
			}
		}
		if pause(ctx) != nil {
			fail(ts, w, "there is no pull request that names the ledger")
		}
	}
}

func clone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: clone DIRECTORY")
	}
	ts.Check(ts.Exec("git", "clone", "-q", stage(ts).front.URL+"/"+stage(ts).name+".git", args[0]))
}

func seeVerified(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: verified")
	}
	w := stage(ts)
	ctx, cancel := bounded()
	defer cancel()
	if err := w.settle(ctx); err != nil {
		fail(ts, w, "rung does not come to rest: %v", err)
	}
	clone(ts, false, []string{"verified"})
	runRung(ts, false, []string{"verify", "--recompute", "verified"})
	if err := schemaHolds(ctx, ts.MkAbs("verified")); err != nil {
		fail(ts, w, "a record is not what docs/records.md says: %v", err)
	}
	ts.Check(os.RemoveAll(ts.MkAbs("verified")))
}

func runGit(ts *testscript.TestScript, neg bool, args []string) { run(ts, neg, "git", args) }

func runRung(ts *testscript.TestScript, neg bool, args []string) {
	path, err := binary()
	ts.Check(err)
	if w := ts.Value(theatre{}).(*theatre).world; w != nil {
		for _, pair := range w.env {
			name, value, _ := strings.Cut(pair, "=")
			ts.Setenv(name, value)
		}
	}
	run(ts, neg, path, args)
}

func run(ts *testscript.TestScript, neg bool, program string, args []string) {
	err := ts.Exec(program, args...)
	if err != nil {
		ts.Logf("[%v]", err)
	}
	if (err == nil) == neg {
		ts.Fatalf("unexpected exit of %s %s", program, strings.Join(args, " "))
	}
}
