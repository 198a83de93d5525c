package oracle

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu"
)

// built judges a promotion branch that rung pushed: one commit on the base that
// writes one pair's places and nothing else.
func (o *Oracle) built(ref, head, _ string) {
	pair := strings.TrimPrefix(ref, promotions)
	r := o.book.open[pair]
	if r == nil || r.Kind != "propose" {
		o.Report("1 gates", "%s was pushed without a propose record", ref)
		return
	}
	c, err := o.Git.ReadCommit(o.ctx, head)
	if err != nil || len(c.Parents) != 1 {
		o.Report("4 scope", "the head of %s is not one commit on the base", ref)
		return
	}
	if c.Signature == "" {
		o.Report("6 records", "the head of %s is not signed", ref)
	}
	o.scope("the promotion", c.Parents[0], head, r)
	if r.Restores == "" {
		if bar := o.book.barred(r.Artifact.Digest); bar != nil {
			o.Report("3 quarantine", "%s is proposed at %s although %s bars it", pair, r.Artifact.Version, bar.statement)
		}
	}
}

// onboarded judges the branch that names the ledger in rung.yaml.
func (o *Oracle) onboarded(head string) {
	c, err := o.Git.ReadCommit(o.ctx, head)
	if err != nil || len(c.Parents) != 1 {
		return
	}
	paths, err := o.Git.Diff(o.ctx, o.treeOf(c.Parents[0]), c.Tree)
	if err != nil || !slices.Equal(paths, []string{"rung.yaml"}) {
		o.Report("4 scope", "the onboarding branch changes %v", paths)
	}
}

// proposed judges a propose record as it is written.
func (o *Oracle) proposed(r *record) {
	if r.Announced != "" && r.Restores == "" {
		o.announced(r)
	}
	if r.Restores != "" {
		o.restored(r)
	}
	if r.Reverts != "" {
		o.reverted(r)
	}
}

// announced checks that a promotion stands on the announcement of its own version,
// and that whoever announced it is held to have caused it.
func (o *Oracle) announced(r *record) {
	by := o.book.announced[r.Announced]
	if by == nil || by.Artifact.Name != r.Artifact.Name || by.Artifact.Version != r.Artifact.Version {
		o.Report("6 records", "the propose of %s %s cites %s, which does not announce it", r.pair(), r.Artifact.Version, r.Announced)
		return
	}
	for _, c := range by.Causers {
		if !slices.Contains(r.Causers, c) {
			o.Report("1 gates", "%s announced %s %s and is left out of who caused it in %s", c.Login, r.Artifact.Name, r.Artifact.Version, r.Environment)
		}
	}
}

// reverted checks that what rung takes back is a change by hand of the pair, and
// that what stood before it was not put there by rung in the same way: it does not
// fight.
func (o *Oracle) reverted(r *record) {
	change, before := o.book.restore[r.Reverts], o.book.restore[r.Restores]
	if change == nil || change.Kind != "adopt" || change.pair() != r.pair() || change.Landed == nil {
		o.Report("1 gates", "the revert of %s takes back %s, which is no change by hand of it", r.pair(), r.Reverts)
	}
	if before != nil && before.Reverts != "" {
		o.Report("7 bounded", "%s is put back to %s again, right after rung had put it back", r.pair(), r.Artifact.Version)
	}
	if live := o.book.live[r.pair()]; live == nil || live.statement != r.Reverts {
		o.Report("1 gates", "the revert of %s takes back what is not live", r.pair())
	}
}

// restored checks that a rollback goes back to a release that the pair had.
func (o *Oracle) restored(r *record) {
	to := o.book.restore[r.Restores]
	switch {
	case to == nil || to.pair() != r.pair():
		o.Report("1 gates", "the rollback of %s restores %s, which is no release of it", r.pair(), r.Restores)
	case to.Artifact.Digest != r.Artifact.Digest:
		o.Report("1 gates", "the rollback of %s restores a release at %s and writes %s", r.pair(), to.Artifact.Digest, r.Artifact.Digest)
	}
	if bar := o.book.barred(r.Artifact.Digest); bar != nil {
		o.Report("3 quarantine", "the rollback of %s goes to %s, which is barred", r.pair(), r.Artifact.Version)
	}
}

// authorized judges an authorize record: what it claims must hold.
func (o *Oracle) authorized(r *record) {
	for _, g := range r.Gates {
		if g.Status != "pass" {
			o.Report("1 gates", "%s is authorised although %s is %s: %s", r.pair(), g.Gate, g.Status, g.Sentence)
		}
	}
	if len(r.Gates) == 0 {
		o.Report("1 gates", "%s is authorised by no gate at all", r.pair())
	}
	if open := o.book.open[r.pair()]; open == nil || open.Promotion != r.Promotion || open.Kind == "withdraw" {
		o.Report("1 gates", "%s is authorised without being proposed", r.pair())
	}
}

// landedRecord judges a land record.
func (o *Oracle) landedRecord(r *record) {
	if before := o.book.landed[r.Promotion]; before != nil && r.Promotion != "" {
		o.Report("2 once", "the promotion %s of %s landed twice", r.Promotion, r.pair())
	}
	if r.Landed == nil {
		o.Report("6 records", "a land record of %s names no commit", r.pair())
	}
}

// settled judges the end of a verification: nothing that is known to be sick
// settles good.
func (o *Oracle) settled(r *record) {
	if r.Outcome != "good" {
		return
	}
	p := o.configuration(r.Base.Judged)
	if d, sick := o.sick(p, r.Environment, r.Artifact.Name, r.Artifact.Digest); sick {
		o.Report("3 health", "%s settled good at %s although it has been sick for %s", r.pair(), r.Artifact.Version, d)
	}
}

var ranks = []string{"none", "read", "triage", "write", "maintain", "admin"}

// atLeast reports whether a login may do as much as a role.
func (o *Oracle) atLeast(login, role string) bool {
	return slices.Index(ranks, o.Role(login)) >= slices.Index(ranks, role)
}

// commanded judges a record that a person's command made: by somebody who may.
func (o *Oracle) commanded(r *record) {
	if r.Cause.Kind != "comment" && r.Cause.Kind != "click" {
		return
	}
	need := "write"
	if (r.Kind == "freeze" || r.Kind == "unfreeze") && !strings.Contains(r.Scope, "/") {
		need = "maintain"
	}
	if !o.atLeast(r.Actor.Login, need) {
		o.Report("1 commands", "%s, who has %s, made a %s record of %s%s", r.Actor.Login, o.Role(r.Actor.Login), r.Kind, r.Scope, r.Digest)
	}
	if r.Cause.Kind == "comment" {
		o.saidBy(r)
	}
	if r.Kind == "unquarantine" {
		if bar := o.book.bars[r.Digest]; bar != nil {
			for _, c := range bar.Causers {
				if c.Login == r.Actor.Login {
					o.Report("1 commands", "%s, who caused it, lifted the quarantine of %s", c.Login, r.Digest)
				}
			}
		}
	}
}

// saidBy checks that the comment a record names is its actor's and unedited.
func (o *Oracle) saidBy(r *record) {
	for _, p := range o.look().Pulls {
		for _, c := range p.Comments {
			if strconv.FormatInt(c.ID, 10) != r.Cause.ID {
				continue
			}
			if c.Author != r.Actor.Login {
				o.Report("1 commands", "a %s record names %s for a comment of %s", r.Kind, r.Actor.Login, c.Author)
			}
			return
		}
	}
	o.Report("1 commands", "a %s record names a comment %s that is not there", r.Kind, r.Cause.ID)
}

// merged judges a merge that rung may just have done.
func (o *Oracle) merged(number int) {
	i := slices.IndexFunc(o.state.Pulls, func(p githubemu.PullState) bool { return p.Number == number })
	if i < 0 || o.state.Pulls[i].State != "open" {
		return
	}
	before := o.state.Pulls[i]
	var now githubemu.PullState
	for _, p := range o.look().Pulls {
		if p.Number == number {
			now = p
		}
	}
	if now.State != "merged" {
		return
	}
	o.last = " [merged #" + strconv.Itoa(number) + " " + before.Head + "]"
	if !strings.HasPrefix("refs/heads/"+before.Head, promotions) {
		o.Report("1 gates", "rung merged #%d, which is no promotion (%s)", number, before.Head)
		return
	}
	r := o.book.open[strings.TrimPrefix("refs/heads/"+before.Head, promotions)]
	switch {
	case r == nil || r.Kind != "authorize":
		o.Report("1 gates", "rung merged #%d without an authorize record", number)
		return
	case r.PullRequest.Head != before.HeadSHA || r.PullRequest.Number != number:
		o.Report("1 gates", "rung merged #%d at %.10s; authorised was #%d at %.10s", number, before.HeadSHA, r.PullRequest.Number, r.PullRequest.Head)
	}
	if o.refs[ledgerRef] != o.book.tip {
		o.Report("6 records", "the ledger moved without rung")
	}
	o.gates(r, &before)
	o.scope("the merge", o.refs[defaultBase], now.MergeSHA, r)
}

// gates judges a merge by what was so when it happened.
func (o *Oracle) gates(r *record, pr *githubemu.PullState) {
	base := o.refs[defaultBase]
	p := o.configuration(base)
	if p.Mode != "merge" && !p.broken {
		o.Report("1 gates", "rung merged #%d in mode %q", pr.Number, p.Mode)
	}
	if bar := o.book.barred(r.Artifact.Digest); bar != nil {
		o.Report("3 quarantine", "rung merged #%d with %s, which was quarantined: %s", pr.Number, r.Artifact.Version, bar.Reason)
	}
	if r.Restores != "" {
		return // a rollback has none of the gates below
	}
	if p.broken {
		o.Report("1 gates", "rung merged #%d under a configuration with errors", pr.Number)
		return
	}
	if f := o.book.frozen(r, time.Now()); f != nil {
		o.Report("1 gates", "rung merged #%d although %s is frozen: %s", pr.Number, f.Scope, f.Reason)
	}
	if have, need := o.approvals(r, pr), p.Environments[r.Environment].Approvals.Required; have < need {
		o.Report("1 gates", "rung merged #%d with %d approvals that count, %s needs %d", pr.Number, have, r.Environment, need)
	}
	for _, before := range p.Environments[r.Environment].After {
		at := before + "/" + r.Artifact.Name
		if !o.book.good[at+"@"+r.Artifact.Digest] {
			o.Report("1 gates", "rung merged #%d with %s, which has not settled good in %s", pr.Number, r.Artifact.Version, before)
		}
		if live := o.book.live[at]; live != nil && live.Artifact.Digest == r.Artifact.Digest {
			if d, sick := o.sick(p, before, r.Artifact.Name, r.Artifact.Digest); sick {
				o.Report("3 health", "rung merged #%d although %s has been sick in %s for %s", pr.Number, r.Artifact.Version, before, d)
			}
		}
	}
	o.requiredChecks(pr)
}

// approvals counts the people whose last word on this very head is yes, who may
// write, and who had no part in it.
func (o *Oracle) approvals(r *record, pr *githubemu.PullState) int {
	says := map[string]string{}
	for _, rv := range pr.Reviews {
		switch rv.State {
		case "APPROVED":
			says[rv.Author] = rv.SHA
		case "CHANGES_REQUESTED", "DISMISSED":
			delete(says, rv.Author)
		}
	}
	n := 0
	for who, sha := range says {
		caused := slices.ContainsFunc(r.Causers, func(c struct {
			Login string `json:"login"`
		},
		) bool {
			return c.Login == who
		})
		if sha == pr.HeadSHA && o.atLeast(who, "write") && !caused {
			n++
		}
	}
	return n
}

// requiredChecks holds a merge to the base branch's required checks, whoever
// else would have stopped it.
func (o *Oracle) requiredChecks(pr *githubemu.PullState) {
	for _, rule := range o.state.Rules {
		for _, want := range rule.RequiredChecks {
			ok := false
			for _, c := range o.state.Checks[pr.HeadSHA] {
				ok = ok || c.Name == want.Context && (c.Conclusion == "success" || c.Conclusion == "neutral" || c.Conclusion == "skipped")
			}
			if !ok {
				o.Report("1 gates", "rung merged #%d although the required check %s does not pass", pr.Number, want.Context)
			}
		}
	}
}
