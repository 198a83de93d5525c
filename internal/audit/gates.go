package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// authorizations judges the authorize records, oldest first, up to the first that
// was judged behind a position of the line; all of them at the line's end.
func (b *baseWalk) authorizations(position int) error {
	for ; b.authorized < len(b.ledger.authorized); b.authorized++ {
		r := b.ledger.authorized[b.authorized]
		id, ok := parseOID(r.judged)
		if at, onLine := b.position[id]; position < len(b.line) && (!onLine || at > position) {
			return nil
		}
		if err := b.authorization(r, id, ok); err != nil {
			return err
		}
	}
	return nil
}

// authorization holds an authorize record to the base commit that it was judged
// at: the policies are those of that commit, and the approvals satisfy the
// environment's rule there. Who may approve is as it was recorded.
func (b *baseWalk) authorization(r *authorized, id oid, known bool) error {
	say := func(code Code, expected, found string) {
		b.find(Finding{
			Code: code, Object: r.commit.String() + ":" + r.path, Environment: r.pair.Environment, Artifact: r.pair.Artifact,
			Expected: clip(expected), Found: clip(found),
		})
	}
	if !known || !b.reaches(id) {
		say(PolicyMismatch, "judged at a commit of the base branch", "judged at "+string(r.judged))
		return nil
	}
	c, p, err := b.configured(id)
	if err != nil {
		return err
	}
	var env *promotion.EnvironmentSpec
	if p != nil {
		env, _ = p.Environment(r.pair.Environment)
	}
	if env == nil {
		say(PolicyMismatch, "an environment that rung.yaml has where it was judged", "none")
		return nil
	}
	text, err := b.policyProblem(c.tree, env, r)
	if err != nil {
		return err
	}
	if text != "" {
		say(PolicyMismatch, "the policies at "+id.String(), text)
	}
	if n := r.approved(env.Approvals); !r.restores && n < env.Approvals.Required {
		say(ApprovalMismatch, fmt.Sprintf("%d approvals of the head by people who may and did not cause it", env.Approvals.Required), fmt.Sprint(n))
	}
	return nil
}

// policyProblem compares the policies of a record with the files of a tree.
func (b *baseWalk) policyProblem(tree oid, env *promotion.EnvironmentSpec, r *authorized) (string, error) {
	for _, path := range env.Policies {
		if !slices.ContainsFunc(r.policies, func(p promotion.RecordPolicy) bool { return p.Path == path }) {
			return path + " was not judged", nil
		}
	}
	for _, p := range r.policies {
		e, err := b.lookup(tree, p.Path)
		if err != nil {
			return "", err
		}
		if !e.regular() {
			return p.Path + " is not there", nil
		}
		got, err := b.digest(e.id)
		if err != nil {
			return "", err
		}
		if got != p.Digest {
			return fmt.Sprintf("%s is %s, judged was %s", p.Path, got, p.Digest), nil
		}
	}
	return "", nil
}

// approved counts the people who approved the head, may by the rule, and did not
// cause the promotion.
func (r *authorized) approved(rule promotion.ApprovalRule) int {
	var people []promotion.Person
	for _, a := range r.approvals {
		same := func(p promotion.Person) bool { return samePerson(p, a.Person) }
		if a.Commit == r.head && !a.Bot && eligible(a, rule) && !slices.ContainsFunc(people, same) && !slices.ContainsFunc(r.causers, same) {
			people = append(people, a.Person)
		}
	}
	return len(people)
}

// eligible reports whether an approval is by one whom the rule takes: with write,
// and, where it names teams or users, one of them. Permission and membership are
// as they were recorded.
func eligible(a promotion.RecordApproval, rule promotion.ApprovalRule) bool {
	if !slices.Contains([]string{"write", "maintain", "admin"}, a.Permission) {
		return false
	}
	return len(rule.Teams)+len(rule.Users) == 0 ||
		slices.ContainsFunc(rule.Users, func(login string) bool { return strings.EqualFold(login, a.Login) }) ||
		slices.ContainsFunc(rule.Teams, func(team string) bool {
			return slices.ContainsFunc(a.Teams, func(has string) bool { return strings.EqualFold(has, team) })
		})
}

func samePerson(a, b promotion.Person) bool {
	if a.ID != 0 && b.ID != 0 {
		return a.ID == b.ID
	}
	return strings.EqualFold(a.Login, b.Login)
}
