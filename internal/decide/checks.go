package decide

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/prose"
)

// check plans a check run on a pull request's head, unless it says so already.
func (p *pass) check(pr *promotion.PullRequestState, c promotion.Check) {
	c.PullRequest, c.Head = pr.Number, pr.Head
	if own := pr.Check; own != nil && own.Head == pr.Head {
		if own.Fingerprint == c.Fingerprint() {
			return
		}
		c.ID = own.ID
	}
	p.plan.Checks = append(p.plan.Checks, c)
}

// promotionCheck is the check run of a promotion: green when every gate passes,
// red when one fails, otherwise waiting for something.
func (p *pass) promotionCheck(pair promotion.Pair, kind string, r promotion.Record, vs []promotion.Verdict, head promotion.Hash) promotion.Check {
	verb := prose.Promotes
	switch {
	case r.Reverts != "":
		verb = prose.PutsBack
	case kind == promotion.KindRollback:
		verb = prose.RollsBack
	}
	c := promotion.Check{
		Pair: pair, Head: head, Conclusion: "action_required",
		Summary: prose.Check(verb, pair, p.previous(pair, r), target(r), vs),
	}
	c.Actions = []promotion.Button{{Label: "Hold", Description: "Stop promotions of this artifact here", Identifier: "hold"}}
	if r, ok := p.freeze[pair.String()]; ok && r.Kind == promotion.RecordFreeze {
		c.Actions = []promotion.Button{{Label: "Resume", Description: "Let promotions go on here", Identifier: "resume"}}
	}
	switch promotion.Worst(vs) {
	case promotion.StatusPass:
		c.Conclusion, c.Title = "success", "Every gate passes"
	case promotion.StatusFail:
		c.Conclusion, c.Title = "failure", "Refused by "+unmet(vs)
	default:
		c.Title = "Waits for " + unmet(vs)
	}
	return c
}

func (p *pass) previous(pair promotion.Pair, r promotion.Record) promotion.Value {
	if len(r.Places) > 0 {
		return r.Places[0].Before
	}
	return p.value(pair)
}

// unmet names the gates that do not pass.
func unmet(vs []promotion.Verdict) string {
	var names []string
	for _, v := range vs {
		if v.Status != promotion.StatusPass {
			names = append(names, v.Gate)
		}
	}
	return strings.Join(names, ", ")
}

func heldSummary(reason string) string {
	return prose.Cut(prose.Text(reason, 2000) + "\n\nNothing is promoted until this is put right.\n")
}

// ordinary posts the check on the pull requests that are no promotion of rung's,
// so that it can be required.
func (p *pass) ordinary() {
	for i := range p.s.PullRequests {
		pr := &p.s.PullRequests[i]
		if pr.State != "open" {
			continue
		}
		if _, promoted := p.pairOf(pr); promoted {
			continue
		}
		p.ordinaryCheck(pr)
	}
}

func (p *pass) ordinaryCheck(pr *promotion.PullRequestState) {
	im := pr.Impact
	if im == nil || im.Head != pr.Head {
		return // not examined yet
	}
	c := promotion.Check{Conclusion: "success", Title: "No promotion here", Summary: "This pull request touches no place where rung writes a version."}
	var notes []string
	switch {
	case p.s.Ledger.Problem != "" && len(im.Places) > 0:
		// Whether it is a promotion, and what is quarantined, only the ledger knows.
		p.check(pr, promotion.Check{Conclusion: "action_required", Title: "Held", Summary: heldSummary(p.s.Ledger.Problem)})
		return
	case im.Error != "":
		c.Conclusion, c.Title, c.Summary = "action_required", "Could not be examined", prose.Text(im.Error, 2000)
	case len(im.Quarantined) > 0:
		c.Conclusion, c.Title = "failure", "Brings in a quarantined digest"
		for _, d := range im.Quarantined {
			rec, _ := p.barred(d)
			notes = append(notes, fmt.Sprintf("%s is quarantined since %s: %s", prose.Code(d.Short(), 32), prose.Time(rec.IssuedAt), prose.Text(rec.Reason, 512)))
		}
		notes = append(notes, "Take it out, or lift the quarantine with `/unquarantine`.")
	case len(im.Disguised) > 0:
		c.Conclusion, c.Title = "failure", fmt.Sprintf("%d path(s) that would break the record", len(im.Disguised))
		for _, problem := range im.Disguised {
			notes = append(notes, fmt.Sprintf("%s %s", prose.Code(problem.Path, 256), prose.Text(problem.Text, 600)))
		}
	case len(im.Problems) > 0:
		c.Conclusion, c.Title = "failure", fmt.Sprintf("%d error(s) in configuration or manifests", len(im.Problems))
		for _, problem := range im.Problems {
			notes = append(notes, fmt.Sprintf("%s %s", prose.Code(fmt.Sprintf("%s:%d:%d", problem.Path, max(problem.Line, 1), max(problem.Column, 1)), 256), prose.Text(problem.Text, 600)))
		}
	case im.Governs:
		c.Title = "Changes configuration, no promotion"
		for _, line := range im.Summary {
			notes = append(notes, prose.Text(line, 400))
		}
		notes = append(notes, "rung never merges such a pull request by itself. It takes effect when it is merged.")
	}
	if len(im.Places) > 0 && im.Error == "" {
		var pairs []promotion.Pair
		for pair := range im.Places {
			pairs = append(pairs, pair)
		}
		slices.SortFunc(pairs, comparePairs)
		for _, pair := range pairs {
			for _, ch := range im.Places[pair] {
				notes = append(notes, fmt.Sprintf("Changes **%s** in **%s** by hand: %s → %s", pair.Artifact, pair.Environment, prose.Value(ch.Before), prose.Value(ch.After)))
			}
		}
		if c.Conclusion == "success" {
			c.Title = "Changes versions by hand"
			notes = append(notes, "It is recorded as a change by hand when it is merged.")
		}
	}
	if len(notes) > 0 {
		c.Summary = prose.Cut("- " + strings.Join(notes, "\n- ") + "\n")
	}
	p.check(pr, c)
}
