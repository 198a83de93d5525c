package act

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

// limitedForge takes so many answers, and then none for a while.
type limitedForge struct {
	Forge
	left int
	got  []string
}

func (f *limitedForge) take(what string) error {
	if f.left == 0 {
		return fmt.Errorf("forge: %w", &forge.RateLimitedError{Until: time.Now().Add(time.Second)})
	}
	f.left--
	f.got = append(f.got, what)
	return nil
}

func (f *limitedForge) React(_ context.Context, _ promotion.Repository, comment int64, reaction string) error {
	return f.take(fmt.Sprintf("%s on %d", reaction, comment))
}

func (f *limitedForge) AddComment(_ context.Context, _ promotion.Repository, issue int, n forge.NewComment) (int64, error) {
	return 1, f.take(n.Key)
}

// TestAnswersComeToAnEndUnderALimit makes the same pass again and again while
// the forge takes two answers at a time: each is given once, and all are given.
func TestAnswersComeToAnEndUnderALimit(t *testing.T) {
	f := &limitedForge{}
	a := &Actor{Forge: f}
	plan := &promotion.Plan{}
	var want []string
	for i := int64(1); i <= 4; i++ {
		plan.Comments = append(plan.Comments, promotion.Comment{To: i, React: "+1", Issue: 7, Body: "done"})
		want = append(want, fmt.Sprintf("reply/%d", i), fmt.Sprintf("+1 on %d", i))
	}
	for try := 1; ; try++ {
		f.left = 2
		_, err := a.Do(t.Context(), &promotion.Snapshot{}, plan, try > 1)
		if err == nil {
			break
		}
		var limited *forge.RateLimitedError
		if !errors.As(err, &limited) {
			t.Fatal(err)
		}
		if try > 4 {
			t.Fatalf("after %d tries only %v were given", try, f.got)
		}
	}
	if !slices.Equal(f.got, want) {
		t.Errorf("given: %v\nwant:  %v", f.got, want)
	}
}

// maybeForge notes which replies were to be looked for first.
type maybeForge struct {
	Forge
	looked map[string]bool
}

func (f *maybeForge) AddComment(_ context.Context, _ promotion.Repository, _ int, n forge.NewComment) (int64, error) {
	f.looked[n.Key] = n.Maybe
	return 1, nil
}

// TestARestartDoesNotReplyAgain hears two commands after a start whose queue was
// lost: the one from before it may have been answered already.
func TestARestartDoesNotReplyAgain(t *testing.T) {
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	f := &maybeForge{looked: map[string]bool{}}
	a := &Actor{Forge: f, Since: start}
	s := &promotion.Snapshot{Commands: []promotion.Command{{Comment: 1, At: start.Add(-time.Hour)}, {Comment: 2, At: start.Add(time.Hour)}}}
	plan := &promotion.Plan{Comments: []promotion.Comment{{To: 1, Issue: 7, Body: "no"}, {To: 2, Issue: 7, Body: "no"}}}
	if _, err := a.Do(t.Context(), s, plan, false); err != nil {
		t.Fatal(err)
	}
	if !f.looked["reply/1"] || f.looked["reply/2"] {
		t.Errorf("looked for before writing: %v", f.looked)
	}
}
