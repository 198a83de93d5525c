// Package rebuild holds rung to the promise that its data directory holds no only
// copy of anything: with it deleted, a new process pointed at the repository
// answers the same on the board, in the API and in its metrics, and has nothing to
// write.
//
// The clock is testing/synctest's, and the two are asked in the same second. What
// both must say is written by hand in testdata/state.json.
package rebuild

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rungbot/rung/internal/githubemu"
)

// artifacts are those of the repository.
var artifacts = []string{"cart", "checkout", "mail", "payments", "search", "stock"}

const config = `version: 1
mode: merge
artifacts:
  cart: {image: 127.0.0.1:5000/acme/cart}
  checkout: {image: 127.0.0.1:5000/acme/checkout}
  mail: {image: 127.0.0.1:5000/acme/mail}
  payments: {image: 127.0.0.1:5000/acme/payments}
  search: {image: 127.0.0.1:5000/acme/search}
  stock: {image: 127.0.0.1:5000/acme/stock}
environments:
  dev: {}
  staging: {after: [dev], soak: 5d}
  prod: {after: [staging], approvals: {required: 1}, health: [{http: "http://127.0.0.1:7000/{environment}/{digest}", interval: 1h}]}
  eu: {after: [prod]}
`

// answers are all that rung says to people and programs about what it knows.
var answers = []string{"/api/v1/state", "/api/v1/repositories", "/api/v1/repositories/" + repository, "/", "/r/" + repository, "/metrics"}

func TestTheDataDirectoryHoldsNoOnlyCopy(t *testing.T) {
	appKey() // outside of the bubble
	want, err := os.ReadFile("testdata/state.json")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)))
		w := newWorld(t, config, []string{"dev", "staging", "prod", "eu"})
		defer func() {
			w.halt()
			time.Sleep(10 * time.Minute) // what waits for a deadline has ended
		}()
		data := filepath.Join(t.TempDir(), "data")
		w.boot(data)
		w.play()
		// Asked when it looks again by itself: both then know this very second.
		time.Sleep(time.Until(w.next()))
		w.work()
		w.closed = true
		before, base, ledger := w.asked(), w.head("main"), w.head("rung/ledger")
		w.halt()
		w.wipe(data)

		w.boot(data)
		after := w.asked()
		for _, path := range answers {
			if before[path] != after[path] {
				t.Errorf("%s differs:\n%s", path, difference(before[path], after[path]))
			}
		}
		if w.head("main") != base || w.head("rung/ledger") != ledger {
			t.Error("a new process writes to the repository")
		}
		w.sameState(string(want), after["/api/v1/state"])
		w.closed = false
		w.goOn()
	})
}

// play is what happens: at its end each thing that rung must not forget stands
// somewhere, and GitHub tells of none of it any more: it keeps deliveries for
// three days.
func (w *world) play() {
	w.onboard()
	for _, name := range []string{"cart", "checkout", "mail", "search", "stock"} {
		w.announce(name, "1.1.0")
	}
	w.elapse(5*day + time.Minute) // through dev, and five days in staging

	w.review("bob", "search")
	w.elapse(time.Minute) // into prod, and eu
	w.say("bob", "search", "/rollback search in prod")

	w.say("bob", "mail", "/hold the auditors are here")
	w.must(w.emu.SetPullState(w.t.Context(), repository, w.pull("prod", "cart"), "bob", "closed"))
	w.elapse(time.Minute)

	// A quarantine that is lifted again, of a version that nobody runs.
	d := w.publish("checkout", "0.9.0")
	w.say("bob", "checkout", "/quarantine "+d+" it was the wrong one")
	w.say("carol", "checkout", "/unquarantine "+d+" it was the right one")
	w.say("carol", "checkout", "/freeze eu the fair is on until 2026-03-20T12:00Z")
	w.review("bob", "stock")
	w.byHand("dave", "payments", "1.0.7")
	w.announce("payments", "1.1.0")
	w.elapse(4 * day) // in dev, and four days of five in staging
}

const day = 24 * time.Hour

// onboard merges the pull request that names the ledger.
func (w *world) onboard() {
	st, err := w.emu.State(w.t.Context(), repository)
	w.must(err)
	for _, p := range st.Pulls {
		if p.Head == "rung/onboard" {
			_, err := w.emu.Merge(w.t.Context(), repository, p.Number, "alice", "")
			w.must(err)
		}
	}
	w.elapse(10 * time.Second)
}

// announce publishes a version and tells rung of it.
func (w *world) announce(artifact, version string) {
	w.publish(artifact, version)
	w.must(w.emu.Dispatch(repository, "alice", "artifact-published", map[string]any{"artifact": artifact, "version": version}))
	w.elapse(10 * time.Second)
}

func (w *world) review(person, artifact string) {
	_, err := w.emu.Review(w.t.Context(), repository, w.pull("prod", artifact), person, "APPROVE", "")
	w.must(err)
	w.elapse(10 * time.Second)
}

// say comments on the newest pull request of an artifact in prod.
func (w *world) say(person, artifact, words string) {
	st, err := w.emu.State(w.t.Context(), repository)
	w.must(err)
	number := 0
	for _, p := range st.Pulls {
		if p.Head == "rung/p/prod/"+artifact {
			number = max(number, p.Number)
		}
	}
	_, err = w.emu.Comment(w.t.Context(), repository, number, person, words)
	w.must(err)
	w.elapse(10 * time.Second)
}

// byHand pushes another version into prod.
func (w *world) byHand(person, artifact, version string) {
	was := fmt.Sprintf("newTag: 1.0.0\n    digest: %s", w.digests[artifact+":1.0.0"])
	is := fmt.Sprintf("newTag: %s\n    digest: %s", version, w.publish(artifact, version))
	text, _ := w.emu.ReadFile(w.t.Context(), repository, "main", place("prod"))
	if !strings.Contains(text, was) {
		w.t.Fatalf("prod does not run what it should:\n%s", text)
	}
	var err error
	w.changed, err = w.emu.PushFiles(w.t.Context(), githubemu.Push{
		Repository: repository, Person: person, Message: "It is on fire", Files: map[string]string{place("prod"): strings.Replace(text, was, is, 1)},
	})
	w.must(err)
	w.elapse(10 * time.Second)
}

// goOn sees that the new process knows what it must not do as well as the old one:
// who caused a promotion can't approve it, and what is barred stays barred.
func (w *world) goOn() {
	live := func(want string) {
		w.t.Helper()
		text, _ := w.emu.ReadFile(w.t.Context(), repository, "main", place("prod"))
		if !strings.Contains(text, w.digests[want]) {
			w.t.Errorf("prod does not run %s:\n%s", want, text)
		}
	}
	w.review("alice", "checkout")
	live("checkout:1.0.0")
	w.review("bob", "checkout")
	live("checkout:1.1.0")
	w.announce("search", "1.1.0")
	w.elapse(6 * day)
	live("search:1.0.0")
}

// asked is what rung says, by the path that it is asked for. Of the metrics what
// is the process's own is left out: Go's, and the deliveries that came to it.
func (w *world) asked() map[string]string {
	all := map[string]string{}
	for _, path := range answers {
		all[path] = w.get(path)
	}
	var kept strings.Builder
	for line := range strings.Lines(all["/metrics"]) {
		if !own.MatchString(line) {
			kept.WriteString(line)
		}
	}
	all["/metrics"] = kept.String()
	return all
}

var own = regexp.MustCompile(`^(# (HELP|TYPE) )?(go_|process_|promhttp_|rung_deliveries|rung_last_event_)`)

// sameState holds an answer to what was written by hand, in which the ids that
// git and the registry give are named.
func (w *world) sameState(want, got string) {
	w.t.Helper()
	want = strings.NewReplacer("<main>", w.head("main"), "<ledger>", w.head("rung/ledger"), "<short by hand>", w.changed[:12]).Replace(want)
	heads, err := w.git.Refs(w.t.Context(), "refs/heads/rung/p/")
	w.must(err)
	for ref, head := range heads {
		name := strings.TrimPrefix(ref, "refs/heads/")
		want = strings.NewReplacer("<"+name+">", head, "<short "+name+">", head[:12]).Replace(want)
	}
	for name, digest := range w.digests {
		want = strings.ReplaceAll(want, "<"+name+">", digest)
	}
	var expected, seen bytes.Buffer
	w.must(json.Indent(&expected, []byte(want), "", " "))
	w.must(json.Indent(&seen, []byte(got), "", " "))
	if expected.String() != seen.String() {
		w.t.Errorf("the state is not what was written by hand:\n%s", difference(expected.String(), seen.String()))
	}
}

// difference shows where two texts differ: from the first line to the last that do,
// sixty at most.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	first := 0
	for first < min(len(a), len(b)) && a[first] == b[first] {
		first++
	}
	last := 0 // how many are the same at the end
	for last < min(len(a), len(b))-first && a[len(a)-1-last] == b[len(b)-1-last] {
		last++
	}
	cut := func(lines []string, sign string) string {
		lines = lines[first : len(lines)-last]
		text := strings.Join(lines[:min(len(lines), 60)], "\n"+sign)
		return sign + text + "\n"
	}
	return fmt.Sprintf("from line %d on:\n%s%s", first+1, cut(a, "- "), cut(b, "+ "))
}
