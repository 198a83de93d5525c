// Package approval judges whether the people who must agree to a promotion
// have agreed, from the reviews of its pull request.
//
// State: none; Judge is a pure function of promotion.Facts and may be called
// from several goroutines. Invariants: a review counts for the head it was
// given on and for no other; of each person the last decisive review counts
// (a comment decides nothing, a dismissal clears the person and never brings
// an older review back); a bot, a causer, somebody who committed to the head
// and the pull request's author never count; access is what it is now, and
// access that could not be read does not count. A person is the same as
// another when their account numbers are equal, or, where one has none, their
// logins, whatever the case.
//
// What it does not do: it does not ask GitHub for reviews, permissions or
// teams (observe), and there is no approval by comment.
package approval

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/promotion"
)

// ID is the gate's id.
const ID = "approval"

// lookAgain is when access that could not be read is asked for again.
const lookAgain = time.Minute

// catchUp is when a promotion is looked at again whose causers may not all be known.
const catchUp = 2 * time.Second

// maxReviews is how many reviews of one pull request are judged; with more it
// is unknown who approves.
const maxReviews = 2000

// Judge judges the reviews by the environment's approval rule. It returns the
// verdict and the approvals that count, in the order in which they were given,
// whether or not they suffice. An environment without a rule passes; so does a
// rollback, which needs no approval.
func Judge(f *promotion.Facts) (promotion.Verdict, []promotion.RecordApproval) {
	rule := f.Environment.Approvals
	v := promotion.Verdict{Gate: ID, Status: promotion.StatusPass}
	switch {
	case f.Kind == promotion.KindRollback:
		v.Sentence = "a rollback needs no approval"
		return v, nil
	case rule.Required <= 0:
		v.Sentence = fmt.Sprintf("%s needs no approval", f.Environment.Name)
		return v, nil
	case f.PullRequest == nil, f.PullRequest.Head.Zero() && f.PullRequest.Ours:
		v.Status, v.Sentence = promotion.StatusPending, needs(rule)+" once the pull request is open"
		return v, nil
	case f.PullRequest.Head.Zero():
		v.Status, v.Sentence, v.Look = promotion.StatusUnknown, "the head of the pull request is not known, so that no review can be bound to it", f.Now.Add(lookAgain)
		return v, nil
	case len(f.PullRequest.Reviews) > maxReviews:
		v.Status, v.Sentence = promotion.StatusUnknown, fmt.Sprintf("the pull request has more than %d reviews; close it and let rung open a new one", maxReviews)
		return v, nil
	}
	t := tally{facts: f, rule: rule}
	for _, r := range decisive(f.PullRequest.Reviews) {
		t.add(r)
	}
	v = t.verdict()
	if v.Status == promotion.StatusPass && f.CausersUnknown {
		v.Status, v.Look = promotion.StatusUnknown, f.Now.Add(catchUp)
		v.Sentence += "; rung has just begun and is reading what GitHub delivered before, because nobody who caused a promotion may approve it (if this stays, rung's log says why that list can't be read)"
	}
	return v, t.counting
}

// decisive keeps the last decisive review of each person, oldest first, and
// drops the people whose last one was dismissed. A state that is not known
// clears like a dismissal.
func decisive(reviews []promotion.ReviewFacts) []promotion.ReviewFacts {
	var last []promotion.ReviewFacts
	for _, r := range reviews {
		state := strings.ToLower(r.State)
		if state == "commented" || state == "pending" {
			continue
		}
		last = slices.DeleteFunc(last, func(o promotion.ReviewFacts) bool { return Same(o.Author, r.Author) })
		if state == stateApproved || state == stateChanges {
			r.State = state
			last = append(last, r)
		}
	}
	return last
}

const (
	stateApproved = "approved"
	stateChanges  = "changes_requested"
)

// Same reports whether two accounts are the same person: equal numbers, or,
// where either has none, equal logins whatever their case. An account with
// neither is nobody.
func Same(a, b promotion.Person) bool {
	if a.ID != 0 && b.ID != 0 {
		return a.ID == b.ID
	}
	return a.Login != "" && strings.EqualFold(a.Login, b.Login)
}

// tally collects what the decisive reviews say.
type tally struct {
	facts    *promotion.Facts
	rule     promotion.ApprovalRule
	counting []promotion.RecordApproval
	blockers []string
	// unread is true when the access of somebody who approves could not be
	// read; unreadNo is somebody such who requests changes.
	unread   bool
	unreadNo string
	// notes say why a review does not count.
	notes    []string
	evidence []promotion.Evidence
}

func (t *tally) add(r promotion.ReviewFacts) {
	who := gate.Who(r.Author)
	note := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		t.notes = append(t.notes, text)
		t.evidence = append(t.evidence, promotion.Evidence{Name: who, Value: text, At: r.At})
	}
	noun := "approval"
	if r.State == stateChanges {
		noun = "request for changes"
	}
	switch {
	case r.Commit != t.facts.PullRequest.Head:
		note("%s's %s is for an older head", who, noun)
		return
	case r.Author.Bot:
		note("%s is a bot, whose %s does not count", who, noun)
		return
	case r.Author.ID == 0 && r.Author.Login == "":
		note("the account behind one %s is not known", noun)
		return
	}
	if why := t.excluded(r.Author); why != "" {
		note("%s's %s does not count: %s", who, noun, why)
		return
	}
	if r.Access == nil || r.Access.Error != "" || r.Access.Permission == "" {
		why := "was not read"
		if r.Access != nil && r.Access.Error != "" {
			why = "could not be read: " + gate.Clip(r.Access.Error, 120)
		}
		if r.State == stateChanges {
			t.unreadNo = who
		} else {
			t.unread = true
		}
		note("%s's %s does not count: what %s may do %s", who, noun, who, why)
		return
	}
	if !slices.Contains([]string{"write", "maintain", "admin"}, r.Access.Permission) {
		note("%s's %s does not count: it takes write permission and %s has %s", who, noun, who, gate.Clip(r.Access.Permission, 20))
		return
	}
	teams, member := t.member(r)
	if !member {
		note("%s's %s does not count: %s is not one of %s", who, noun, who, from(t.rule))
		return
	}
	if r.State == stateChanges {
		t.blockers = append(t.blockers, who)
		t.evidence = append(t.evidence, promotion.Evidence{Name: who, Value: "requested changes", At: r.At})
		return
	}
	t.counting = append(t.counting, promotion.RecordApproval{Person: r.Author, Permission: r.Access.Permission, Teams: teams, Commit: r.Commit, Review: r.ID, At: r.At})
	t.evidence = append(t.evidence, promotion.Evidence{Name: who, Value: "approved with " + r.Access.Permission + " permission", At: r.At})
}

// excluded says why a person can't agree to what they made themselves, or
// nothing.
func (t *tally) excluded(p promotion.Person) string {
	same := func(o promotion.Person) bool { return Same(o, p) }
	switch {
	case slices.ContainsFunc(t.facts.Causers, same):
		return gate.Who(p) + " caused this promotion"
	case slices.ContainsFunc(t.facts.PullRequest.Committers, same):
		return gate.Who(p) + " committed to its head"
	case same(t.facts.PullRequest.Author):
		return gate.Who(p) + " opened the pull request"
	}
	return ""
}

// member reports whether the reviewer is one of those the rule names, and by
// which of the rule's teams. A rule that names nobody takes everybody.
func (t *tally) member(r promotion.ReviewFacts) ([]string, bool) {
	var teams []string
	for _, want := range t.rule.Teams {
		if slices.ContainsFunc(r.Access.Teams, func(has string) bool { return strings.EqualFold(has, want) }) {
			teams = append(teams, want)
		}
	}
	named := slices.ContainsFunc(t.rule.Users, func(login string) bool {
		return login != "" && strings.EqualFold(login, r.Author.Login)
	})
	anybody := len(t.rule.Teams) == 0 && len(t.rule.Users) == 0
	return teams, named || len(teams) > 0 || anybody
}

func (t *tally) verdict() promotion.Verdict {
	v := promotion.Verdict{Gate: ID, Evidence: t.evidence}
	short := t.facts.PullRequest.Head.Short()
	missing := t.rule.Required - len(t.counting)
	switch {
	case len(t.blockers) > 0:
		v.Status = promotion.StatusFail
		v.Sentence = fmt.Sprintf("%s requested changes on head %s; a new review by the same person or a dismissal lifts it", people(t.blockers), short)
	case t.unreadNo != "":
		v.Status, v.Look = promotion.StatusUnknown, t.facts.Now.Add(lookAgain)
		v.Sentence = fmt.Sprintf("%s requested changes on head %s, and it is not known what %s may do; a dismissal lifts it", t.unreadNo, short, t.unreadNo)
	case missing > 0:
		v.Status = promotion.StatusPending
		v.Sentence = needs(t.rule) + " on head " + short
		if len(t.counting) > 0 {
			v.Sentence += fmt.Sprintf(", and has %d", len(t.counting))
		}
		if len(t.notes) > 0 {
			v.Sentence += "; " + strings.Join(t.notes[:min(len(t.notes), 3)], "; ")
		}
		if t.unread {
			v.Status, v.Look = promotion.StatusUnknown, t.facts.Now.Add(lookAgain)
		}
	default:
		v.Status, v.Sentence = promotion.StatusPass, t.passed(short)
	}
	return v
}

func (t *tally) passed(short string) string {
	var names []string
	for _, a := range t.counting {
		names = append(names, gate.Who(a.Person))
	}
	return fmt.Sprintf("%s approved head %s", people(names), short)
}

// needs is "needs 1 approval from acme/sre".
func needs(r promotion.ApprovalRule) string {
	noun := "approvals"
	if r.Required == 1 {
		noun = "approval"
	}
	return fmt.Sprintf("needs %d %s from %s", r.Required, noun, from(r))
}

// from names those who may approve.
func from(r promotion.ApprovalRule) string {
	all := append(slices.Clone(r.Teams), r.Users...)
	if len(all) == 0 {
		return "somebody with write permission"
	}
	if len(all) > 4 {
		return fmt.Sprintf("%s or %d others", gate.Clip(strings.Join(all[:4], ", "), 200), len(all)-4)
	}
	if len(all) == 1 {
		return gate.Clip(all[0], 100)
	}
	return gate.Clip(strings.Join(all[:len(all)-1], ", ")+" or "+all[len(all)-1], 300)
}

// people joins names with commas and a final "and".
func people(names []string) string {
	if len(names) > 4 {
		names = append(slices.Clone(names[:4]), fmt.Sprintf("%d others", len(names)-4))
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
