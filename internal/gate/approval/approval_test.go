package approval_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rungbot/rung/internal/gate/approval"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	pass    = promotion.StatusPass
	fail    = promotion.StatusFail
	pending = promotion.StatusPending
	unknown = promotion.StatusUnknown
)

var (
	now   = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	head  = promotion.Hash("1a2b3c4d5e6f" + strings.Repeat("0", 28))
	older = promotion.Hash("ffffffffffff" + strings.Repeat("0", 28))
	alice = promotion.Person{ID: 11, Login: "alice"}
	bob   = promotion.Person{ID: 12, Login: "bob"}
	carol = promotion.Person{ID: 13, Login: "carol"}
	rung  = promotion.Person{ID: 1, Login: "rung[bot]", Bot: true}
)

// writer may write and is in acme/sre.
func writer() *promotion.Access {
	return &promotion.Access{Permission: "write", Teams: []string{"acme/sre"}}
}

func review(by promotion.Person, state string) promotion.ReviewFacts {
	return promotion.ReviewFacts{Author: by, State: state, Commit: head, Access: writer()}
}

func with(r promotion.ReviewFacts, change func(r *promotion.ReviewFacts)) promotion.ReviewFacts {
	change(&r)
	return r
}

func facts(rule promotion.ApprovalRule, reviews ...promotion.ReviewFacts) *promotion.Facts {
	return &promotion.Facts{
		Version: promotion.FactsVersion, Now: now, Kind: promotion.KindPromotion,
		Environment: promotion.EnvironmentSpec{Name: "prod-eu", Approvals: rule},
		PullRequest: &promotion.PullRequestFacts{Number: 7, Head: head, Author: rung, Reviews: reviews},
		Causers:     []promotion.Person{{ID: 20, Login: "mallory"}},
	}
}

func TestJudge(t *testing.T) {
	one := promotion.ApprovalRule{Required: 1}
	sre := promotion.ApprovalRule{Required: 1, Teams: []string{"acme/sre"}}
	approved, changes, dismissed, commented := "approved", "changes_requested", "dismissed", "commented"
	access := func(a *promotion.Access) promotion.ReviewFacts {
		return with(review(alice, approved), func(r *promotion.ReviewFacts) { r.Access = a })
	}
	tests := []struct {
		name    string
		rule    promotion.ApprovalRule
		reviews []promotion.ReviewFacts
		change  func(*promotion.Facts)
		status  promotion.Status
		says    string
		counts  string // logins that count
	}{
		{"no rule", promotion.ApprovalRule{}, nil, nil, pass, "prod-eu needs no approval", ""},
		{"nobody yet", sre, nil, nil, pending, "needs 1 approval from acme/sre on head 1a2b3c4d5e6f", ""},
		{"approved", sre, []promotion.ReviewFacts{review(alice, approved)}, nil, pass, "alice approved head 1a2b3c4d5e6f", "alice"},
		{"approved in capitals", sre, []promotion.ReviewFacts{review(alice, "APPROVED")}, nil, pass, "alice approved", "alice"},
		{"anybody with write", one, []promotion.ReviewFacts{access(&promotion.Access{Permission: "write"})}, nil, pass, "alice approved", "alice"},
		{"maintain", one, []promotion.ReviewFacts{access(&promotion.Access{Permission: "maintain"})}, nil, pass, "alice approved", "alice"},
		{"admin", one, []promotion.ReviewFacts{access(&promotion.Access{Permission: "admin"})}, nil, pass, "alice approved", "alice"},
		{"two of two", promotion.ApprovalRule{Required: 2}, []promotion.ReviewFacts{review(alice, approved), review(bob, approved)}, nil, pass, "alice and bob approved", "alice bob"},
		{"one of two", promotion.ApprovalRule{Required: 2}, []promotion.ReviewFacts{review(alice, approved)}, nil, pending, "needs 2 approvals from somebody with write permission on head 1a2b3c4d5e6f, and has 1", "alice"},
		{"one person twice", promotion.ApprovalRule{Required: 2}, []promotion.ReviewFacts{review(alice, approved), review(alice, approved)}, nil, pending, "and has 1", "alice"},
		{
			"one person with and without a number",
			promotion.ApprovalRule{Required: 2},
			[]promotion.ReviewFacts{review(alice, approved), review(promotion.Person{Login: "ALICE"}, approved)},
			nil, pending, "and has 1", "ALICE",
		},
		// Trap 20: bound to the head.
		{
			"for an older head", sre,
			[]promotion.ReviewFacts{with(review(alice, approved), func(r *promotion.ReviewFacts) { r.Commit = older })},
			nil,
			pending, "needs 1 approval from acme/sre on head 1a2b3c4d5e6f; alice's approval is for an older head", "",
		},
		{"again for this head", sre, []promotion.ReviewFacts{with(review(alice, approved), func(r *promotion.ReviewFacts) { r.Commit = older }), review(alice, approved)}, nil, pass, "alice", "alice"},
		{"for no head", sre, []promotion.ReviewFacts{with(review(alice, approved), func(r *promotion.ReviewFacts) { r.Commit = "" })}, nil, pending, "older head", ""},
		// Trap 21: nobody agrees to what they made.
		{
			"while who caused it is still read", sre,
			[]promotion.ReviewFacts{review(alice, approved)},
			func(f *promotion.Facts) { f.CausersUnknown = true }, unknown, "alice approved head 1a2b3c4d5e6f; rung has just begun", "alice",
		},
		{
			"nobody yet while who caused it is still read", sre, nil,
			func(f *promotion.Facts) { f.CausersUnknown = true }, pending, "needs 1 approval", "",
		},
		{"a causer", sre, []promotion.ReviewFacts{review(promotion.Person{ID: 20, Login: "mallory"}, approved)}, nil, pending, "mallory caused this promotion", ""},
		{"a causer renamed", sre, []promotion.ReviewFacts{review(promotion.Person{ID: 20, Login: "m2"}, approved)}, nil, pending, "m2 caused this promotion", ""},
		{
			"a causer known by login alone", sre,
			[]promotion.ReviewFacts{review(alice, approved)},
			func(f *promotion.Facts) { f.Causers = []promotion.Person{{Login: "Alice"}} }, pending, "alice caused", "",
		},
		{
			"an other with a causer's old login", sre,
			[]promotion.ReviewFacts{review(alice, approved)},
			func(f *promotion.Facts) { f.Causers = []promotion.Person{{ID: 77, Login: "alice"}} }, pass, "alice approved", "alice",
		},
		{
			"a committer", sre,
			[]promotion.ReviewFacts{review(alice, approved)},
			func(f *promotion.Facts) { f.PullRequest.Committers = []promotion.Person{alice} }, pending, "alice committed to its head", "",
		},
		{
			"who opened it", sre,
			[]promotion.ReviewFacts{review(alice, approved)},
			func(f *promotion.Facts) { f.PullRequest.Author = alice }, pending, "alice opened the pull request", "",
		},
		{"a bot", sre, []promotion.ReviewFacts{review(promotion.Person{ID: 5, Login: "friend[bot]", Bot: true}, approved)}, nil, pending, "friend[bot] is a bot", ""},
		{"nobody", sre, []promotion.ReviewFacts{review(promotion.Person{}, approved)}, nil, pending, "is not known", ""},
		// Trap 22: the last decisive review.
		{"a comment later", sre, []promotion.ReviewFacts{review(alice, approved), review(alice, commented)}, nil, pass, "alice", "alice"},
		{"a comment alone", sre, []promotion.ReviewFacts{review(alice, commented)}, nil, pending, "needs 1", ""},
		{"a draft of a review", sre, []promotion.ReviewFacts{review(alice, "pending")}, nil, pending, "needs 1", ""},
		{"dismissed", sre, []promotion.ReviewFacts{review(alice, approved), review(alice, dismissed)}, nil, pending, "needs 1", ""},
		{"a dismissal revives nothing", sre, []promotion.ReviewFacts{review(alice, approved), review(alice, changes), review(alice, dismissed)}, nil, pending, "needs 1", ""},
		{"the dismissed one in its old place", sre, []promotion.ReviewFacts{review(alice, approved), review(alice, dismissed), review(alice, commented)}, nil, pending, "needs 1", ""},
		{"approved after a dismissal", sre, []promotion.ReviewFacts{review(alice, dismissed), review(alice, approved)}, nil, pass, "alice", "alice"},
		{"a new state clears", sre, []promotion.ReviewFacts{review(alice, approved), review(alice, "retracted")}, nil, pending, "needs 1", ""},
		{"a mind changed", sre, []promotion.ReviewFacts{review(alice, approved), review(alice, changes)}, nil, fail, "alice requested changes", ""},
		{"and back", sre, []promotion.ReviewFacts{review(alice, changes), review(alice, approved)}, nil, pass, "alice approved", "alice"},
		{"one approves, one objects", sre, []promotion.ReviewFacts{review(alice, approved), review(bob, changes)}, nil, fail, "bob requested changes on head 1a2b3c4d5e6f; a new review by the same person or a dismissal lifts it", "alice"},
		{"an objection to an older head", sre, []promotion.ReviewFacts{review(alice, approved), with(review(bob, changes), func(r *promotion.ReviewFacts) { r.Commit = older })}, nil, pass, "alice", "alice"},
		{"an objection by a reader", sre, []promotion.ReviewFacts{review(alice, approved), with(review(bob, changes), func(r *promotion.ReviewFacts) { r.Access = &promotion.Access{Permission: "read"} })}, nil, pass, "alice", "alice"},
		{
			"an objection by who can't be asked", sre,
			[]promotion.ReviewFacts{review(alice, approved), with(review(bob, changes), func(r *promotion.ReviewFacts) { r.Access = &promotion.Access{Error: "502"} })},
			nil,
			unknown, "bob requested changes on head 1a2b3c4d5e6f, and it is not known what bob may do", "alice",
		},
		// Trap 23: access now.
		{"a reader", one, []promotion.ReviewFacts{access(&promotion.Access{Permission: "read"})}, nil, pending, "it takes write permission and alice has read", ""},
		{"triage", one, []promotion.ReviewFacts{access(&promotion.Access{Permission: "triage"})}, nil, pending, "alice has triage", ""},
		{"none", one, []promotion.ReviewFacts{access(&promotion.Access{Permission: "none"})}, nil, pending, "alice has none", ""},
		{"a permission nobody knows", one, []promotion.ReviewFacts{access(&promotion.Access{Permission: "owner"})}, nil, pending, "alice has owner", ""},
		{"not asked for", one, []promotion.ReviewFacts{access(nil)}, nil, unknown, "what alice may do was not read", ""},
		{"could not be read", one, []promotion.ReviewFacts{access(&promotion.Access{Permission: "admin", Error: "403 Forbidden"})}, nil, unknown, "could not be read: 403 Forbidden", ""},
		{"empty", one, []promotion.ReviewFacts{access(&promotion.Access{})}, nil, unknown, "was not read", ""},
		{"one unread, enough others", one, []promotion.ReviewFacts{access(nil), review(bob, approved)}, nil, pass, "bob approved", "bob"},
		{"left the team", sre, []promotion.ReviewFacts{access(&promotion.Access{Permission: "admin"})}, nil, pending, "alice is not one of acme/sre", ""},
		{"team in other case", sre, []promotion.ReviewFacts{access(&promotion.Access{Permission: "write", Teams: []string{"Acme/SRE"}})}, nil, pass, "alice", "alice"},
		{"named", promotion.ApprovalRule{Required: 1, Teams: []string{"acme/sre"}, Users: []string{"Alice"}}, []promotion.ReviewFacts{access(&promotion.Access{Permission: "write"})}, nil, pass, "alice", "alice"},
		{"not named", promotion.ApprovalRule{Required: 1, Users: []string{"dora", "erin"}}, []promotion.ReviewFacts{review(alice, approved)}, nil, pending, "alice is not one of dora or erin", ""},
		{"named but a causer", promotion.ApprovalRule{Required: 1, Users: []string{"mallory"}}, []promotion.ReviewFacts{review(promotion.Person{ID: 20, Login: "mallory"}, approved)}, nil, pending, "mallory caused", ""},
		// The pull request.
		{"not open", sre, nil, func(f *promotion.Facts) { f.PullRequest = nil }, pending, "needs 1 approval from acme/sre once the pull request is open", ""},
		{
			"no head", sre,
			[]promotion.ReviewFacts{with(review(alice, approved), func(r *promotion.ReviewFacts) { r.Commit = "" })},
			func(f *promotion.Facts) { f.PullRequest.Head = "" }, unknown, "the head of the pull request is not known", "",
		},
		{"a rollback", sre, nil, func(f *promotion.Facts) { f.Kind = promotion.KindRollback }, pass, "a rollback needs no approval", ""},
		{"too many", sre, make([]promotion.ReviewFacts, 2001), nil, unknown, "more than 2000 reviews", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := facts(tt.rule, tt.reviews...)
			if tt.change != nil {
				tt.change(f)
			}
			v, counting := approval.Judge(f)
			if v.Status != tt.status || !strings.Contains(v.Sentence, tt.says) || v.Gate != approval.ID {
				t.Errorf("%s: %s\nwant %s: %s", v.Status, v.Sentence, tt.status, tt.says)
			}
			var logins []string
			for _, a := range counting {
				logins = append(logins, a.Login)
				if a.Commit != head || a.Permission == "" {
					t.Errorf("counts %+v", a)
				}
			}
			if got := strings.Join(logins, " "); got != tt.counts {
				t.Errorf("counts %q, want %q", got, tt.counts)
			}
		})
	}
}

func TestCountingApprovalsNameTheTeamsOfTheRule(t *testing.T) {
	r := with(review(carol, "approved"), func(r *promotion.ReviewFacts) {
		r.Access = &promotion.Access{Permission: "maintain", Teams: []string{"acme/all", "acme/sre"}}
	})
	_, counting := approval.Judge(facts(promotion.ApprovalRule{Required: 1, Teams: []string{"acme/sre", "acme/leads"}}, r))
	want := []promotion.RecordApproval{{Person: carol, Permission: "maintain", Teams: []string{"acme/sre"}, Commit: head}}
	if !reflect.DeepEqual(counting, want) {
		t.Errorf("%+v", counting)
	}
}

// Whatever reviews there are: no causer, committer, author or bot counts, no
// person twice, nobody without write, nobody for another head; and the same
// facts give the same answer.
func TestNobodyCountsWhoMayNot(t *testing.T) {
	logins := []string{"alice", "Bob", "carol", "dora"}
	person := rapid.Custom(func(rt *rapid.T) promotion.Person {
		i := rapid.IntRange(0, 3).Draw(rt, "who")
		p := promotion.Person{ID: int64(i + 1), Login: logins[i], Bot: rapid.IntRange(0, 5).Draw(rt, "bot") == 0}
		switch rapid.IntRange(0, 3).Draw(rt, "as") {
		case 0:
			p.ID = 0
		case 1:
			p.Login = strings.ToUpper(p.Login)
		}
		return p
	})
	rapid.Check(t, func(rt *rapid.T) {
		reviews := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) promotion.ReviewFacts {
			r := promotion.ReviewFacts{
				Author: person.Draw(rt, "author"),
				State:  rapid.SampledFrom([]string{"approved", "approved", "changes_requested", "dismissed", "commented", "odd"}).Draw(rt, "state"),
				Commit: rapid.SampledFrom([]promotion.Hash{head, head, older, ""}).Draw(rt, "commit"),
			}
			if rapid.IntRange(0, 4).Draw(rt, "read") > 0 {
				r.Access = &promotion.Access{Permission: rapid.SampledFrom([]string{"write", "admin", "read", ""}).Draw(rt, "permission")}
				if rapid.IntRange(0, 5).Draw(rt, "failed") == 0 {
					r.Access.Error = "502"
				}
			}
			return r
		}), 0, 12).Draw(rt, "reviews")
		f := facts(promotion.ApprovalRule{Required: rapid.IntRange(1, 3).Draw(rt, "required")}, reviews...)
		f.Causers = rapid.SliceOfN(person, 0, 2).Draw(rt, "causers")
		f.PullRequest.Committers = rapid.SliceOfN(person, 0, 1).Draw(rt, "committers")
		v, counting := approval.Judge(f)
		again, _ := approval.Judge(f)
		if !reflect.DeepEqual(v, again) {
			rt.Fatal("judging the same facts twice differs")
		}
		if v.Status == pass && len(counting) < f.Environment.Approvals.Required {
			rt.Fatalf("passes with %d", len(counting))
		}
		for i, a := range counting {
			for _, c := range append(append([]promotion.Person{f.PullRequest.Author}, f.Causers...), f.PullRequest.Committers...) {
				if approval.Same(a.Person, c) {
					rt.Fatalf("%+v counts and is %+v", a, c)
				}
			}
			if a.Bot || a.Commit != head || a.Permission != "write" && a.Permission != "admin" {
				rt.Fatalf("%+v counts", a)
			}
			for _, b := range counting[:i] {
				if approval.Same(a.Person, b.Person) {
					rt.Fatalf("%+v counts twice", a)
				}
			}
		}
	})
}
