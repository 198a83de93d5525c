package act

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// deniedForge takes what its permissions let through, and notes it.
type deniedForge struct {
	Forge
	lacks map[string]bool // "checks", "issues", "contents", "pull_requests"
	got   []string
}

func (f *deniedForge) write(permission, what string) error {
	if f.lacks[permission] {
		return fmt.Errorf("forge: %s: %w", what, &forge.ForbiddenError{
			Message: "Resource not accessible by integration", Missing: []string{permission + ": write"}, Account: "acme", Page: "https://github.example/installations/1",
		})
	}
	f.got = append(f.got, what)
	return nil
}

func (f *deniedForge) SetCheck(_ context.Context, _ promotion.Repository, c forge.Check, _ int64) (int64, error) {
	return 1, f.write("checks", "check "+c.Conclusion+": "+c.Summary)
}

func (f *deniedForge) AddComment(_ context.Context, _ promotion.Repository, issue int, n forge.NewComment) (int64, error) {
	if !n.Maybe {
		return 0, errors.New("a comment that is not looked for would be written after each start")
	}
	return 1, f.write("issues", fmt.Sprintf("comment on %d: %s", issue, n.Body))
}

func (f *deniedForge) ReopenPullRequest(context.Context, promotion.Repository, int) error {
	return f.write("pull_requests", "reopen")
}

func (f *deniedForge) Merge(context.Context, promotion.Repository, int, promotion.Hash, string, string, string) (promotion.Hash, error) {
	return "", f.write("contents", "merge")
}

func (f *deniedForge) Lacking(_ context.Context, name, _ string) *forge.ForbiddenError {
	var denied *forge.ForbiddenError
	if err := f.write(name, "push"); errors.As(err, &denied) {
		return denied
	}
	return nil
}

const head = promotion.Hash("1111111111111111111111111111111111111111")

// open are a promotion and another pull request.
func open() *promotion.Snapshot {
	return &promotion.Snapshot{PullRequests: []promotion.PullRequestState{
		{Number: 7, State: "open", HeadRef: "rung/p/prod/checkout", Head: head},
		{Number: 8, State: "open", HeadRef: "a-person's", Head: head},
		{Number: 9, State: "closed", HeadRef: "rung/p/dev/checkout", Head: head},
		{Number: 10, State: "open", HeadRef: "rung/p/dev/checkout", Head: head, Fork: true},
	}}
}

// A write that is refused for lack of a permission is said on the promotion that it
// hurts, where that can be written; once, and again after it was granted and taken away.
func TestAMissingPermissionIsSaidWhereItCanBe(t *testing.T) {
	check := promotion.Check{Head: head, Conclusion: "success", PullRequest: 7}
	for _, c := range []struct {
		name  string
		lacks []string
		plan  promotion.Plan
		want  string
	}{
		{"in a comment, where checks are what is missing", []string{"checks"}, promotion.Plan{Checks: []promotion.Check{check}}, "comment on 7: GitHub does not let rung go on with this promotion: the App lacks the permission checks: write; an owner of acme grants it at https://github.example/installations/1"},
		{"in the check, where that still works", []string{"pull_requests"}, promotion.Plan{Reopens: []int{7}}, "check action_required: the App lacks the permission pull_requests: write"},
		{"nowhere, where nothing works", []string{"checks", "issues"}, promotion.Plan{Checks: []promotion.Check{check}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &deniedForge{lacks: map[string]bool{}}
			a := &Actor{Forge: f}
			for range 2 {
				for _, l := range c.lacks {
					f.lacks[l] = true
				}
				f.got = nil
				for range 3 {
					if _, err := a.Do(t.Context(), open(), &c.plan, false); err == nil {
						t.Fatal("the pass did not fail")
					}
				}
				if c.want == "" && len(f.got) == 0 {
					continue
				}
				if len(f.got) != 1 || !strings.HasPrefix(f.got[0], c.want) {
					t.Fatalf("said: %q", f.got)
				}
				clear(f.lacks)
				if _, err := a.Do(t.Context(), open(), &c.plan, false); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A merge that is refused so is a refusal with the sentence, which holds until
// something changes, and a comment says it: the check is green.
func TestAMergeWithoutThePermissionIsARefusal(t *testing.T) {
	f := &deniedForge{lacks: map[string]bool{"contents": true}}
	a := &Actor{Forge: f, Fence: time.Hour}
	pair := promotion.Pair{Environment: "prod", Artifact: "checkout"}
	d := &doing{Actor: a, s: open(), plan: &promotion.Plan{
		Records: []promotion.Record{{Kind: promotion.RecordAuthorize}}, Merges: []promotion.Merge{{Pair: pair, Number: 7, Head: head, Method: "merge"}},
	}, log: nop(), pushed: time.Now(), res: promotion.Outcome{Refused: map[promotion.Pair]promotion.Refusal{}}}
	if err := d.merge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := d.res.Refused[pair]; !strings.HasPrefix(r.Text, "the App lacks the permission contents: write") {
		t.Errorf("%+v", d.res.Refused)
	}
	if len(f.got) != 1 || !strings.HasPrefix(f.got[0], "comment on 7: ") {
		t.Errorf("said: %q", f.got)
	}
}

// Git says only that a push was refused: what is missing is asked.
func TestAPushWithoutThePermissionIsSaidInTheCheck(t *testing.T) {
	f := &deniedForge{lacks: map[string]bool{"contents": true}}
	d := &doing{Actor: &Actor{Forge: f}, s: open(), plan: &promotion.Plan{}, log: nop()}
	d.tell(t.Context(), fmt.Errorf("push: %w", gitrepo.ErrAuthentication))
	if len(f.got) != 1 || !strings.HasPrefix(f.got[0], "check action_required: the App lacks the permission contents: write") {
		t.Errorf("said: %q", f.got)
	}
	if len(d.res.Checks) != 1 || d.res.Checks[0].PullRequest != 7 || d.res.Checks[0].Check.Conclusion != "action_required" {
		t.Errorf("%+v", d.res.Checks)
	}
	f.got, f.lacks = nil, map[string]bool{}
	d.tell(t.Context(), fmt.Errorf("push: %w", gitrepo.ErrAuthentication))
	if !slices.Equal(f.got, []string{"push"}) {
		t.Errorf("a push that was refused for another reason: %q", f.got)
	}
}

func nop() *zerolog.Logger {
	l := zerolog.Nop()
	return &l
}
