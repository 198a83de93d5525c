package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// crash copies the files of the open queue at path as a power cut would leave
// them, opens the copy, and returns it: a new process on an old disk.
func crash(t *testing.T, path string, options Options) *Queue {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "queue.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		check(t, err)
		check(t, os.WriteFile(copied+suffix, data, 0o600))
	}
	return open(t, copied, options)
}

// TestCrashAtEachStep takes a copy of the disk after each step of a
// delivery's life; a process started on that copy goes on from there.
func TestCrashAtEachStep(t *testing.T) {
	c := &clock{now: start}
	options := Options{Now: c.Now}
	path := filepath.Join(t.TempDir(), "queue.db")
	q := open(t, path, options)
	ctx := t.Context()
	var held Work
	steps := []struct {
		name  string
		do    func() error
		state State  // of the delivery, after a restart
		hints string // what a claim after a restart gets; "-" for no claim
	}{
		{"accepted", func() error {
			_, err := q.Accept(ctx, Delivery{GUID: "g"}, []Mark{markOf("repo/1", "push", "a")})
			return err
		}, StateReceived, "push:a"},
		{"claimed", func() error {
			held = mustClaim(t, q, "repo/1")
			return nil
		}, StateReceived, "push:a"},
		{"marked in flight", func() error { return q.Mark(ctx, markOf("repo/1", "push", "b")) }, StateReceived, "push:a push:b"},
		{"failed", func() error { return q.Fail(ctx, held, "down", c.Now()) }, StateFailed, "push:a push:b"},
		{"claimed again", func() error {
			held = mustClaim(t, q, "repo/1")
			return nil
		}, StateFailed, "push:a push:b"},
		{"marked in flight again", func() error { return q.Mark(ctx, markOf("repo/1", "push", "c")) }, StateFailed, "push:a push:b push:c"},
		{"done", func() error { return q.Done(ctx, held, time.Time{}) }, StateDone, "push:c"},
		{"claimed a third time", func() error {
			held = mustClaim(t, q, "repo/1")
			return nil
		}, StateDone, "push:c"},
		{"done again", func() error { return q.Done(ctx, held, time.Time{}) }, StateDone, "-"},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			check(t, step.do())
			after := crash(t, path, options)
			state, err := after.Delivery(t.Context(), "g")
			check(t, err)
			if state != step.state {
				t.Errorf("delivery is %q, want %q", state, step.state)
			}
			w := claim(t, after)
			switch {
			case w == nil && step.hints != "-":
				t.Fatalf("nothing is due, want %s", step.hints)
			case w == nil:
				return
			case subjects(w.Hints) != step.hints:
				t.Errorf("hints are %q, want %q", subjects(w.Hints), step.hints)
			}
			if err := after.Done(t.Context(), held, time.Time{}); !errors.Is(err, ErrLost) {
				t.Errorf("the claim from before the crash still holds: %v", err)
			}
			check(t, after.Done(t.Context(), *w, time.Time{}))
		})
	}
}

func TestRestartResumesLeasedWorkAndKeepsTimes(t *testing.T) {
	c := &clock{now: start}
	path := filepath.Join(t.TempDir(), "queue.db")
	q, err := Open(path, Options{Now: c.Now})
	check(t, err)
	check(t, q.Mark(t.Context(), markOf("repo/1", "push", "a")))
	check(t, q.MarkDue(t.Context(), "repo/2", start.Add(time.Hour), "the soak ends"))
	mustClaim(t, q, "repo/1")
	check(t, q.Close())

	q = open(t, path, Options{Now: c.Now})
	w := mustClaim(t, q, "repo/1") // at once, not after the dead lease
	if w.Attempt != 2 || subjects(w.Hints) != "push:a" {
		t.Errorf("work is %+v", w)
	}
	check(t, q.Done(t.Context(), w, time.Time{}))
	at, some, err := q.Due(t.Context())
	check(t, err)
	if !some || !at.Equal(start.Add(time.Hour)) {
		t.Errorf("due %v at %v", some, at)
	}
}

// TestWorkersShareTheKeys runs producers and workers together and checks that
// no key is ever in two hands, and that every hint is seen by a successful
// reconcile.
func TestWorkersShareTheKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const producers, workers, each = 4, 5, 40
		q, err := Open(InMemory, Options{})
		check(t, err)
		var mu sync.Mutex
		inHand := map[Key]int{}
		seen := map[string]bool{}
		var producing, working sync.WaitGroup
		for p := range producers {
			producing.Go(func() {
				random := rand.New(rand.NewPCG(uint64(p), 1))
				for i := range each {
					guid := fmt.Sprintf("%d-%d", p, i)
					key := Key(fmt.Sprintf("repo/%d", random.IntN(6)))
					if _, err := q.Accept(t.Context(), Delivery{GUID: guid}, []Mark{markOf(key, "push", guid)}); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
				}
			})
		}
		for n := range workers {
			working.Go(func() {
				random := rand.New(rand.NewPCG(uint64(n), 2))
				owner := fmt.Sprint("worker-", n)
				for q.Wait(t.Context()) == nil {
					w, err := q.Claim(t.Context(), owner, time.Hour)
					if err != nil {
						t.Error(err)
						return
					}
					if w == nil {
						continue
					}
					mu.Lock()
					inHand[w.Key]++
					if inHand[w.Key] > 1 {
						t.Errorf("%s is in two hands", w.Key)
					}
					mu.Unlock()
					time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
					mu.Lock()
					inHand[w.Key]--
					mu.Unlock()
					if random.IntN(4) == 0 {
						err = q.Fail(t.Context(), *w, "by chance", time.Now().Add(time.Minute))
					} else {
						err = q.Done(t.Context(), *w, time.Time{})
						mu.Lock()
						for _, h := range w.Hints {
							seen[h.Subject] = true
						}
						mu.Unlock()
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		producing.Wait()
		time.Sleep(time.Hour) // of the bubble's clock: the retries end
		stats, err := q.Stats(t.Context())
		check(t, err)
		if stats.Done != producers*each || stats.Hints != 0 || stats.Due != 0 {
			t.Errorf("stats are %+v", stats)
		}
		if len(seen) != producers*each {
			t.Errorf("%d of %d hints were reconciled", len(seen), producers*each)
		}
		check(t, q.Close())
		working.Wait()
	})
}

func TestWaitWakes(t *testing.T) {
	for name, c := range map[string]struct {
		wake func(t *testing.T, q *Queue)
		want time.Duration
		err  error
	}{
		"by a mark":   {func(t *testing.T, q *Queue) { check(t, q.Mark(t.Context(), markOf("repo/2", "push", "a"))) }, time.Minute, nil},
		"by its time": {func(*testing.T, *Queue) {}, time.Hour, nil},
		"by a nearer time": {func(t *testing.T, q *Queue) {
			check(t, q.MarkDue(t.Context(), "repo/1", time.Now().Add(time.Second), ""))
		}, time.Minute + time.Second, nil},
		"by Close": {func(t *testing.T, q *Queue) { check(t, q.Close()) }, time.Minute, ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := open(t, InMemory, Options{})
				began := time.Now()
				check(t, q.MarkDue(t.Context(), "repo/1", began.Add(time.Hour), "the soak ends"))
				done := make(chan error)
				go func() { done <- q.Wait(t.Context()) }()
				time.Sleep(time.Minute)
				c.wake(t, q)
				if err := <-done; !errors.Is(err, c.err) {
					t.Errorf("error is %v, want %v", err, c.err)
				}
				if took := time.Since(began); took != c.want {
					t.Errorf("woke after %v, want %v", took, c.want)
				}
			})
		})
	}
}

// BenchmarkAccept takes deliveries on disk from 16 senders at once, as the
// door does.
func BenchmarkAccept(b *testing.B) {
	q, err := Open(filepath.Join(b.TempDir(), "queue.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = q.Close() })
	payload := make([]byte, 8<<10)
	var count atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n := count.Add(1)
			marks := []Mark{markOf(RepositoryKey(n%50), "push", fmt.Sprint(n))}
			if _, err := q.Accept(b.Context(), Delivery{GUID: fmt.Sprint(n), Event: "push", Payload: payload}, marks); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
