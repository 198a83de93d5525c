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
			var a *world.Process
			var w *world.World
			var once sync.Once
			reached, release := make(chan struct{}), make(chan struct{})
			freed := sync.OnceFunc(func() { close(release) })
			w = world.Start(t, binary, options(func(_ int, when githubemu.When, r *http.Request) {
				if when != githubemu.Before || r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, "/merge") || !merges(w, r.URL.Path, story.held) {
					return
				}
				once.Do(func() {
					a.Freeze()
					close(reached)
					<-release
				})
			}))
			t.Cleanup(freed)
			a = w.Serve("a")
			b := w.Serve("b")
			w.Receive(a)
			c := &cast{t: t, World: w, wait: true}
			w.Wait("the ledger's line is merged", func() bool { c.act(); return c.pinned }, nil)
			rest(w)
			c.wait = false
			w.Wait("the merge has begun", func() bool { c.act(); return closed(reached) }, func() string { return w.Describe() + a.Log() })

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

			freed()
			a.Thaw()
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
		w.Dispatch("1.1.0")
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
