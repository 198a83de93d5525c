package report

import (
	"fmt"
	"strconv"
	"strings"
)

// check is one line that an auditor ticks off.
type check struct {
	Name, Value, Note string
	// Good is false where somebody should look.
	Good bool
	// Refs are the releases that it is about, by their number in the document.
	Refs []int
}

// numbers are the releases of a line, for a sentence.
func (c check) numbers() string {
	all := make([]string, len(c.Refs))
	for i, n := range c.Refs {
		all[i] = strconv.Itoa(n)
	}
	return "no. " + strings.Join(all, ", ")
}

// checklist is what an auditor reads first, the same in every form.
func (a Audit) checklist() []check {
	c := a.Counts
	releases := func(name, note string, bad bool, is func(*Release) bool) check {
		l := check{Name: name, Note: note}
		for i, r := range a.Releases {
			if is(r) {
				l.Refs = append(l.Refs, i+1)
			}
		}
		l.Value, l.Good = strconv.Itoa(len(l.Refs)), !bad || len(l.Refs) == 0
		return l
	}
	how := func(words string) func(*Release) bool { return func(r *Release) bool { return r.How == words } }
	count := func(name string, n int, note string, good bool) check {
		return check{Name: name, Value: strconv.Itoa(n), Note: note, Good: good}
	}
	return []check{
		{
			Name: "provenance coverage", Value: fmt.Sprintf("%d %%", c.Coverage), Good: c.Coverage == 100 && a.Holds,
			Note: fmt.Sprintf("%d of %d changes stand on a signed record (target 100 %%)", c.Attested, c.Changes),
		},
		count("promotions", c.Promotions, "each with its gates, below", true),
		releases("rollbacks", "back to an earlier release, by a command or by failing health", false, how(RolledBack)),
		releases("changes by hand", "versions that people changed without a promotion", true, how(ByHand)),
		releases("put back", "changes by hand that rung took back, as rung.yaml asks", false, how(PutBack)),
		releases("overrides", "merged by a person against unmet gates", true, func(r *Release) bool { return len(r.Unmet) > 0 }),
		releases("approvals by the causer", "somebody approved what they had caused", true, func(r *Release) bool { return len(r.SelfApproved()) > 0 }),
		releases("bad releases", "failed after they landed", true, func(r *Release) bool { return r.Outcome == "bad" }),
		releases("not settled", "verification has not ended, or was cut short", false, func(r *Release) bool { return r.Outcome == "" }),
		count("configuration changes", c.Configuration, "ranges of commits by people beside versions, in the whole repository", true),
		count("key events", c.KeyEvents, "changes of the keys that may sign", c.KeyEvents == 0),
		count("gaps", len(a.Gaps), "findings of the verification, whatever the period", len(a.Gaps) == 0),
	}
}
