package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// clock is a clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func openMemory(t *testing.T, options Options) (*Queue, *clock) {
	t.Helper()
	c := &clock{now: start}
	options.Now = c.Now
	return open(t, InMemory, options), c
}

func open(t *testing.T, path string, options Options) *Queue {
	t.Helper()
	q, err := Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

func markOf(key Key, kind, subject string) Mark {
	return Mark{Key: key, Hint: Hint{Kind: kind, Subject: subject, At: start}}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func claim(t *testing.T, q *Queue) *Work {
	t.Helper()
	w, err := q.Claim(t.Context(), "worker", time.Minute)
	check(t, err)
	return w
}

func mustClaim(t *testing.T, q *Queue, key Key) Work {
	t.Helper()
	w := claim(t, q)
	if w == nil || w.Key != key {
		t.Fatalf("claimed %+v, want %s", w, key)
	}
	return *w
}

func subjects(hints []Hint) string {
	var s []string
	for _, h := range hints {
		s = append(s, strings.TrimSuffix(h.Kind+":"+h.Subject, ":"))
	}
	return strings.Join(s, " ")
}

func TestClaimTakesTheKeyThatIsDueLongest(t *testing.T) {
	q, c := openMemory(t, Options{})
	for _, key := range []Key{"repo/3", "repo/1", "repo/2"} {
		check(t, q.Mark(t.Context(), markOf(key, "push", "main")))
		c.advance(time.Second)
	}
	check(t, q.Mark(t.Context(), markOf("repo/3", "push", "other")))
	var order []string
	for w := claim(t, q); w != nil; w = claim(t, q) {
		order = append(order, string(w.Key)+" "+subjects(w.Hints))
	}
	want := []string{"repo/3 push:main push:other", "repo/1 push:main", "repo/2 push:main"}
	if !reflect.DeepEqual(order, want) {
		t.Errorf("claimed %q, want %q", order, want)
	}
}

func TestMarkDuringAReconcileIsNotLost(t *testing.T) {
	q, _ := openMemory(t, Options{})
	check(t, q.Mark(t.Context(), markOf("repo/1", "push", "a")))
	w := mustClaim(t, q, "repo/1")
	check(t, q.Mark(t.Context(), markOf("repo/1", "push", "b")))
	if got := claim(t, q); got != nil {
		t.Fatalf("a key in flight was claimed a second time: %+v", got)
	}
	check(t, q.Done(t.Context(), w, start.Add(time.Hour)))
	again := mustClaim(t, q, "repo/1")
	if got := subjects(again.Hints); got != "push:b" {
		t.Errorf("hints are %q, want the one made meanwhile", got)
	}
	if again.Attempt != 1 {
		t.Errorf("attempt %d after a success, want 1", again.Attempt)
	}
}

func TestSameHintDuringAReconcileIsKept(t *testing.T) {
	q, c := openMemory(t, Options{})
	check(t, q.Mark(t.Context(), markOf("repo/1", "push", "a"), markOf("repo/1", "push", "a")))
	w := mustClaim(t, q, "repo/1")
	if got := subjects(w.Hints); got != "push:a" {
		t.Errorf("hints are %q, want one", got)
	}
	c.advance(time.Second)
	check(t, q.Mark(t.Context(), markOf("repo/1", "push", "a")))
	check(t, q.Done(t.Context(), w, time.Time{}))
	again := mustClaim(t, q, "repo/1")
	if got := subjects(again.Hints); got != "push:a" {
		t.Errorf("hints are %q, want the one made meanwhile", got)
	}
}

func TestFailKeepsHintsAndWaits(t *testing.T) {
	q, c := openMemory(t, Options{RetryFloor: 10 * time.Second})
	check(t, q.Mark(t.Context(), markOf("repo/1", "push", "a")))
	w := mustClaim(t, q, "repo/1")
	check(t, q.Fail(t.Context(), w, "GitHub answered 502", start.Add(time.Minute)))
	if claim(t, q) != nil {
		t.Fatal("claimed before the retry time")
	}
	// A mark shortens the wait, to the floor and no further.
	check(t, q.Mark(t.Context(), markOf("repo/1", "push", "b")))
	if claim(t, q) != nil {
		t.Fatal("claimed before the floor")
	}
	c.advance(10 * time.Second)
	w = mustClaim(t, q, "repo/1")
	if got := subjects(w.Hints); got != "push:a push:b" {
		t.Errorf("hints are %q", got)
	}
	if w.Attempt != 2 || w.LastError != "GitHub answered 502" {
		t.Errorf("attempt %d, last error %q", w.Attempt, w.LastError)
	}
	// A mark made during a failing attempt doesn't spin.
	check(t, q.Mark(t.Context(), markOf("repo/1", "push", "c")))
	check(t, q.Fail(t.Context(), w, "again", c.Now().Add(time.Hour)))
	at, some, err := q.Due(t.Context())
	check(t, err)
	if want := c.Now().Add(10 * time.Second); !some || !at.Equal(want) {
		t.Errorf("due %v at %v, want %v", some, at, want)
	}
}

func TestDueTimes(t *testing.T) {
	q, c := openMemory(t, Options{})
	if _, some, err := q.Due(t.Context()); err != nil || some {
		t.Fatalf("an empty queue is due: %v %v", some, err)
	}
	check(t, q.MarkDue(t.Context(), "repo/1", start.Add(time.Hour), "the soak ends"))
	check(t, q.MarkDue(t.Context(), "repo/1", start.Add(30*time.Minute), "the window opens"))
	check(t, q.MarkDue(t.Context(), "repo/1", start.Add(2*time.Hour), "the freeze ends"))
	if claim(t, q) != nil {
		t.Fatal("claimed before its time")
	}
	c.advance(30 * time.Minute)
	w := mustClaim(t, q, "repo/1")
	if len(w.Hints) != 0 || w.Reason != "the window opens" {
		t.Errorf("work is %+v", w)
	}
	// In flight: an earlier time than Done names wins, a later one doesn't.
	check(t, q.MarkDue(t.Context(), "repo/1", c.Now().Add(5*time.Minute), "health"))
	check(t, q.Done(t.Context(), w, c.Now().Add(20*time.Minute)))
	at, _, err := q.Due(t.Context())
	check(t, err)
	if want := c.Now().Add(5 * time.Minute); !at.Equal(want) {
		t.Errorf("due at %v, want %v", at, want)
	}
	c.advance(5 * time.Minute)
	w = mustClaim(t, q, "repo/1")
	check(t, q.Done(t.Context(), w, time.Time{}))
	if _, some, err := q.Due(t.Context()); err != nil || some {
		t.Errorf("due after it was finished without a next time: %v %v", some, err)
	}
}

func TestLeaseExpiresAndTheLateOneIsFenced(t *testing.T) {
	q, c := openMemory(t, Options{})
	check(t, q.Mark(t.Context(), markOf("repo/1", "push", "a")))
	late := mustClaim(t, q, "repo/1")
	c.advance(30 * time.Second)
	check(t, q.Extend(t.Context(), late, time.Minute))
	c.advance(59 * time.Second)
	if claim(t, q) != nil {
		t.Fatal("claimed during an extended lease")
	}
	c.advance(time.Second)
	for name, f := range map[string]func(Work) error{
		"done":   func(w Work) error { return q.Done(t.Context(), w, time.Time{}) },
		"fail":   func(w Work) error { return q.Fail(t.Context(), w, "x", start) },
		"extend": func(w Work) error { return q.Extend(t.Context(), w, time.Minute) },
	} {
		if err := f(late); !errors.Is(err, ErrLost) {
			t.Errorf("%s after the lease: %v, want ErrLost", name, err)
		}
	}
	second := mustClaim(t, q, "repo/1")
	if second.Attempt != 2 {
		t.Errorf("attempt %d, want 2", second.Attempt)
	}
	if err := q.Done(t.Context(), late, time.Time{}); !errors.Is(err, ErrLost) {
		t.Errorf("done by the first holder: %v, want ErrLost", err)
	}
	check(t, q.Done(t.Context(), second, time.Time{}))
	if err := q.Done(t.Context(), second, time.Time{}); !errors.Is(err, ErrLost) {
		t.Errorf("done twice: %v, want ErrLost", err)
	}
}

func TestHintsCollapse(t *testing.T) {
	q, c := openMemory(t, Options{MaxHints: 5})
	for i := range 6 {
		check(t, q.Mark(t.Context(), markOf("repo/1", "check", fmt.Sprint(i))))
	}
	check(t, q.Mark(t.Context(), markOf("repo/2", "check", "x")))
	w := mustClaim(t, q, "repo/1")
	if got := subjects(w.Hints); got != KindEverything {
		t.Errorf("hints are %q, want %s", got, KindEverything)
	}
	// A collapse during a reconcile leaves the key due.
	c.advance(time.Second)
	for i := range 6 {
		check(t, q.Mark(t.Context(), markOf("repo/1", "check", fmt.Sprint(i))))
	}
	check(t, q.Done(t.Context(), w, time.Time{}))
	mustClaim(t, q, "repo/2")
	again := mustClaim(t, q, "repo/1")
	if !strings.HasPrefix(subjects(again.Hints), KindEverything) {
		t.Errorf("hints are %q", subjects(again.Hints))
	}
}

func TestAcceptAndDuplicates(t *testing.T) {
	q, c := openMemory(t, Options{})
	ctx := t.Context()
	d := Delivery{GUID: "g-1", Event: "push", RepositoryID: 1, Payload: []byte(`{}`)}
	accept := func(wantFresh bool) {
		t.Helper()
		fresh, err := q.Accept(ctx, d, []Mark{markOf("repo/1", "push", "a"), markOf("repo/2", "push", "a")})
		check(t, err)
		if fresh != wantFresh {
			t.Errorf("fresh is %v, want %v", fresh, wantFresh)
		}
	}
	wantState := func(want State) {
		t.Helper()
		got, err := q.Delivery(ctx, "g-1")
		check(t, err)
		if got != want {
			t.Errorf("delivery is %q, want %q", got, want)
		}
	}
	wantState(StateUnknown)
	accept(true)
	wantState(StateReceived)
	first := mustClaim(t, q, "repo/1")
	check(t, q.Done(ctx, first, time.Time{}))
	wantState(StateReceived) // repo/2 is not done
	second := mustClaim(t, q, "repo/2")
	check(t, q.Fail(ctx, second, "down", start.Add(time.Hour)))
	wantState(StateFailed)

	accept(false) // not done: marks again
	wantState(StateReceived)
	first = mustClaim(t, q, "repo/1")
	check(t, q.Done(ctx, first, time.Time{}))
	c.advance(time.Minute)
	second = mustClaim(t, q, "repo/2")
	check(t, q.Done(ctx, second, time.Time{}))
	wantState(StateDone)

	accept(false) // done: dropped
	if w := claim(t, q); w != nil {
		t.Errorf("a duplicate of a finished delivery marked %+v", w)
	}
	stats, err := q.Stats(ctx)
	check(t, err)
	if stats != (Stats{Done: 1, Keys: 2, LastReceived: start}) {
		t.Errorf("stats are %+v", stats)
	}
}

func TestDeliveryWithoutMarksIsDone(t *testing.T) {
	q, _ := openMemory(t, Options{})
	fresh, err := q.Accept(t.Context(), Delivery{GUID: "g", Event: "ping", Payload: []byte("{}")}, nil)
	check(t, err)
	state, err := q.Delivery(t.Context(), "g")
	check(t, err)
	if !fresh || state != StateDone {
		t.Errorf("fresh %v, state %q", fresh, state)
	}
}

func TestPayloadIsDroppedWhenDoneOrTooLarge(t *testing.T) {
	q, _ := openMemory(t, Options{MaxPayload: 10})
	payload := func(guid string) (b []byte) {
		t.Helper()
		check(t, q.db.QueryRow(`SELECT payload FROM deliveries WHERE guid = ?`, guid).Scan(&b))
		return b
	}
	for guid, body := range map[string]string{"small": "0123456789", "large": "0123456789a"} {
		_, err := q.Accept(t.Context(), Delivery{GUID: guid, Payload: []byte(body)}, []Mark{markOf("repo/1", "push", guid)})
		check(t, err)
	}
	if got := string(payload("small")); got != "0123456789" {
		t.Errorf("kept %q", got)
	}
	if got := payload("large"); got != nil {
		t.Errorf("kept %q of a payload that is too large", got)
	}
	check(t, q.Done(t.Context(), mustClaim(t, q, "repo/1"), time.Time{}))
	if got := payload("small"); got != nil {
		t.Errorf("kept %q of a finished delivery", got)
	}
}

func TestFullQueueRefuses(t *testing.T) {
	q, _ := openMemory(t, Options{MaxUnfinished: 2})
	ctx := t.Context()
	for i := range 2 {
		_, err := q.Accept(ctx, Delivery{GUID: fmt.Sprint("g", i)}, []Mark{markOf("repo/1", "push", "a")})
		check(t, err)
	}
	_, err := q.Accept(ctx, Delivery{GUID: "g2"}, []Mark{markOf("repo/2", "push", "a")})
	if !errors.Is(err, ErrFull) {
		t.Fatalf("error is %v, want ErrFull", err)
	}
	if state, err := q.Delivery(ctx, "g2"); err != nil || state != StateUnknown {
		t.Errorf("a refused delivery is %q, %v", state, err)
	}
	check(t, q.Done(ctx, mustClaim(t, q, "repo/1"), time.Time{}))
	_, err = q.Accept(ctx, Delivery{GUID: "g2"}, []Mark{markOf("repo/2", "push", "a")})
	check(t, err)
}

func TestABrokenKeyDoesNotFillTheQueue(t *testing.T) {
	q, _ := openMemory(t, Options{MaxHints: 3, MaxUnfinished: 10})
	for i := range 40 {
		_, err := q.Accept(t.Context(), Delivery{GUID: fmt.Sprint("g", i)}, []Mark{markOf("repo/1", "push", fmt.Sprint(i))})
		check(t, err)
	}
	stats, err := q.Stats(t.Context())
	check(t, err)
	if stats.Received > 3 || stats.Hints > 3 {
		t.Errorf("stats are %+v", stats)
	}
	if w := claim(t, q); w == nil || len(w.Hints) == 0 {
		t.Errorf("the hints are gone: %+v", w)
	}
}

func TestRetention(t *testing.T) {
	q, c := openMemory(t, Options{Retention: 8 * 24 * time.Hour})
	ctx := t.Context()
	_, err := q.Accept(ctx, Delivery{GUID: "done"}, nil)
	check(t, err)
	_, err = q.Accept(ctx, Delivery{GUID: "stuck"}, []Mark{markOf("repo/1", "push", "a")})
	check(t, err)
	c.advance(7 * 24 * time.Hour)
	_, err = q.Accept(ctx, Delivery{GUID: "later"}, nil)
	check(t, err)
	if state, _ := q.Delivery(ctx, "done"); state != StateDone {
		t.Errorf("forgotten after 7 days: %q", state)
	}
	c.advance(25 * time.Hour)
	_, err = q.Accept(ctx, Delivery{GUID: "latest"}, nil)
	check(t, err)
	for guid, want := range map[string]State{"done": StateUnknown, "stuck": StateUnknown, "later": StateDone} {
		if state, err := q.Delivery(ctx, guid); err != nil || state != want {
			t.Errorf("%s is %q, want %q (%v)", guid, state, want, err)
		}
	}
	if w := mustClaim(t, q, "repo/1"); subjects(w.Hints) != "push:a" {
		t.Errorf("the hints went with the delivery: %+v", w)
	}
}

func TestInvalidIsRefused(t *testing.T) {
	q, _ := openMemory(t, Options{})
	ctx := t.Context()
	hint := func(h Hint) error { return q.Mark(ctx, Mark{Key: "repo/1", Hint: h}) }
	for name, err := range map[string]error{
		"empty key":       q.Mark(ctx, markOf("", "push", "a")),
		"long key":        q.Mark(ctx, markOf(Key(strings.Repeat("k", 201)), "push", "a")),
		"control in key":  q.Mark(ctx, markOf("repo/\x00", "push", "a")),
		"no kind":         q.Mark(ctx, markOf("repo/1", "", "a")),
		"long subject":    q.Mark(ctx, markOf("repo/1", "push", strings.Repeat("a", 257))),
		"subject no utf8": q.Mark(ctx, markOf("repo/1", "push", "\xff")),
		"data no JSON":    hint(Hint{Kind: "push", Data: json.RawMessage(`{`)}),
		"large data":      hint(Hint{Kind: "push", Data: json.RawMessage(`"` + strings.Repeat("a", MaxHintBytes) + `"`)}),
		"no GUID":         func() error { _, err := q.Accept(ctx, Delivery{}, nil); return err }(),
		"long event": func() error {
			_, err := q.Accept(ctx, Delivery{GUID: "g", Event: strings.Repeat("e", 101)}, nil)
			return err
		}(),
		"bad mark":        func() error { _, err := q.Accept(ctx, Delivery{GUID: "g"}, []Mark{{}}); return err }(),
		"due of no key":   q.MarkDue(ctx, "", start, ""),
		"view, no name":   q.PutView(ctx, "repo/1", "", nil, start),
		"view too large":  q.PutView(ctx, "repo/1", "facts", make([]byte, MaxViewBytes+1), start),
		"claim, no owner": func() error { _, err := q.Claim(ctx, "", time.Minute); return err }(),
	} {
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	stats, err := q.Stats(ctx)
	check(t, err)
	if stats != (Stats{}) {
		t.Errorf("something was kept: %+v", stats)
	}
}

func TestViewsAndForget(t *testing.T) {
	q, _ := openMemory(t, Options{})
	ctx := t.Context()
	check(t, q.PutView(ctx, "repo/1", "facts", []byte("old"), start))
	check(t, q.PutView(ctx, "repo/1", "facts", []byte("new"), start.Add(time.Minute)))
	check(t, q.PutView(ctx, "repo/2", "facts", nil, start))
	view, found, err := q.View(ctx, "repo/1", "facts")
	check(t, err)
	if want := (View{Key: "repo/1", Name: "facts", At: start.Add(time.Minute), Data: []byte("new")}); !found || !reflect.DeepEqual(view, want) {
		t.Errorf("view is %v %+v, want %+v", found, view, want)
	}
	if _, found, err := q.View(ctx, "repo/1", "plan"); err != nil || found {
		t.Errorf("a view that nobody kept: %v, %v", found, err)
	}
	_, err = q.Accept(ctx, Delivery{GUID: "g"}, []Mark{markOf("repo/1", "push", "a")})
	check(t, err)
	w := mustClaim(t, q, "repo/1")
	check(t, q.Forget(ctx, "repo/1"))
	if err := q.Done(ctx, w, time.Time{}); !errors.Is(err, ErrLost) {
		t.Errorf("done of a forgotten key: %v, want ErrLost", err)
	}
	views, err := q.Views(ctx, "facts")
	check(t, err)
	if len(views) != 1 || views[0].Key != "repo/2" {
		t.Errorf("views are %+v", views)
	}
	if state, err := q.Delivery(ctx, "g"); err != nil || state != StateDone {
		t.Errorf("delivery is %q, %v", state, err)
	}
}

func TestStatsAndKeys(t *testing.T) {
	q, c := openMemory(t, Options{})
	ctx := t.Context()
	_, err := q.Accept(ctx, Delivery{GUID: "g"}, []Mark{markOf("repo/1", "push", "a"), markOf("repo/1", "push", "b")})
	check(t, err)
	check(t, q.MarkDue(ctx, "repo/2", start.Add(time.Hour), "the soak ends"))
	check(t, q.Fail(ctx, mustClaim(t, q, "repo/1"), "down", start.Add(time.Minute)))
	c.advance(2 * time.Minute)
	stats, err := q.Stats(ctx)
	check(t, err)
	if want := (Stats{Failed: 1, Keys: 2, Due: 1, Failing: 1, Hints: 2, OldestUnfinished: 2 * time.Minute, OldestDue: time.Minute, LastReceived: start}); stats != want {
		t.Errorf("stats are %+v, want %+v", stats, want)
	}
	keys, err := q.Keys(ctx, "", 10)
	check(t, err)
	want := []KeyStatus{
		{Key: "repo/1", NextAt: start.Add(time.Minute), Attempt: 1, LastError: "down", Hints: 2},
		{Key: "repo/2", NextAt: start.Add(time.Hour), Reason: "the soak ends"},
	}
	if !reflect.DeepEqual(keys, want) {
		t.Errorf("keys are %+v, want %+v", keys, want)
	}
}

func TestTimesFarAwayAreKept(t *testing.T) {
	q, _ := openMemory(t, Options{})
	year := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	for key, at := range map[Key]time.Time{"repo/1": year(1400), "repo/2": year(9999)} {
		check(t, q.Mark(t.Context(), Mark{Key: key, Hint: Hint{Kind: "push", At: at}}))
	}
	if at := mustClaim(t, q, "repo/1").Hints[0].At; at.Year() > 1700 {
		t.Errorf("the past became %v", at)
	}
	if at := mustClaim(t, q, "repo/2").Hints[0].At; at.Year() < 2200 {
		t.Errorf("the future became %v", at)
	}
	check(t, q.MarkDue(t.Context(), "repo/3", year(9999), "never"))
	if w := claim(t, q); w != nil {
		t.Errorf("claimed %+v", w)
	}
}

func TestCancelledContextTakesNothing(t *testing.T) {
	q, _ := openMemory(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Mark(ctx, markOf("repo/1", "push", "a")); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if w := claim(t, q); w != nil {
		t.Errorf("claimed %+v", w)
	}
}

func TestClosedQueueSaysSo(t *testing.T) {
	q, _ := openMemory(t, Options{})
	check(t, q.Close())
	check(t, q.Close())
	ctx := t.Context()
	_, acceptErr := q.Accept(ctx, Delivery{GUID: "g"}, nil)
	_, claimErr := q.Claim(ctx, "worker", time.Minute)
	for name, err := range map[string]error{
		"accept": acceptErr, "claim": claimErr, "wait": q.Wait(ctx), "mark": q.Mark(ctx, markOf("repo/1", "push", "a")),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}

// Whoever asks whether the file is in use, as rung doctor does, holds the lock for an
// instant: a rung that starts then is not refused.
func TestALookAtTheLockRefusesNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	unlock, err := lockFile(path + ".lock")
	check(t, err)
	looks := 0
	q, err := Open(path, Options{Pause: func(time.Duration) {
		if looks++; looks == 3 {
			check(t, unlock())
		}
	}})
	if err != nil || looks != 3 {
		t.Fatalf("after %d waits: %v", looks, err)
	}
	check(t, q.Close())
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "queue.db")
	q := open(t, path, Options{})
	var waited time.Duration
	_, err := Open(path, Options{Pause: func(d time.Duration) { waited += d }})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "stop the other rung") {
		t.Fatalf("error is %v", err)
	}
	if waited < 500*time.Millisecond || waited > 2*time.Second {
		t.Errorf("it waited %v for whoever only looks", waited)
	}
	info, err := os.Stat(path)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", info.Mode())
	}
	check(t, q.Close())
	check(t, open(t, path, Options{}).Mark(t.Context(), markOf("repo/1", "push", "a")))
}

func TestDamagedOrNewerFileIsRefusedWithAWayOut(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"garbage": func(t *testing.T, path string) {
			check(t, os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600))
		},
		"newer schema": func(t *testing.T, path string) {
			q, err := Open(path, Options{})
			check(t, err)
			_, err = q.db.Exec(`PRAGMA user_version = 99; UPDATE compatibility SET oldest = 99`)
			check(t, err)
			check(t, q.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "queue # 1?.db")
			spoil(t, path)
			_, err := Open(path, Options{})
			if err == nil || !strings.Contains(err.Error(), "delete") {
				t.Fatalf("error is %v", err)
			}
			check(t, os.Remove(path))
			open(t, path, Options{})
		})
	}
}
