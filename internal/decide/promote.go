package decide

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/prose"
)

// pair decides one pair: what is open goes on, ends or changes; where nothing
// is open, a candidate is proposed.
func (p *pass) pair(pair promotion.Pair) {
	if _, active := p.active(pair); active {
		p.goOn(pair)
		return
	}
	if text := p.disagreement(pair); text != "" {
		p.state(promotion.PairState{Pair: pair, Live: p.value(pair), Phase: promotion.PhaseHeld, Sentence: text})
		return
	}
	p.search(pair)
}

// lingering is the pull request of a promotion that this pass has seen landed, and
// that is still open all the same: somebody brought the same bytes to the base branch
// another way. It closes with its branch; until then the forge opens no other.
func (p *pass) lingering(pair promotion.Pair) *promotion.PullRequestState {
	ref := promotion.PromotionBranch(pair)
	if _, goes := p.plan.Deletes[ref]; !goes {
		return nil
	}
	for i := range p.s.PullRequests {
		if pr := &p.s.PullRequests[i]; "refs/heads/"+pr.HeadRef == ref && !pr.Fork && pr.State == "open" {
			return pr
		}
	}
	return nil
}

// linger waits for such a pull request to close. It reports whether there is one.
func (p *pass) linger(pair promotion.Pair) bool {
	pr := p.lingering(pair)
	if pr == nil {
		return false
	}
	p.idle(pair, fmt.Sprintf("the promotion is in the base branch; pull request %d is closed with its branch first", pr.Number))
	p.revoking, p.plan.Next = true, p.s.Now // nothing else brings the next pass
	return true
}

// search looks for something to promote where nothing is open.
func (p *pass) search(pair promotion.Pair) {
	if p.linger(pair) {
		return
	}
	c, waiting := p.candidate(pair)
	if c == nil {
		p.idle(pair, waiting)
		return
	}
	if text := p.vetoed(pair, c.release.Digest); text != "" {
		p.hold(pair, c, text)
		return
	}
	if p.s.Pipeline.Mode == promotion.ModeObserve {
		p.wouldPropose(pair, c)
		return
	}
	p.propose(pair, c, nil)
}

// vetoed says that people closed the pull request of this very version.
func (p *pass) vetoed(pair promotion.Pair, d promotion.Digest) string {
	r := p.open[pair].Record
	if r.Kind != promotion.RecordWithdraw || r.Reason != promotion.WithdrawVetoed || r.Artifact == nil || r.Artifact.Digest != d {
		return ""
	}
	return fmt.Sprintf("%s closed the pull request of %s, which vetoes it here; say /retry there, or publish a newer version", login(r.Actor.Person), r.Artifact.Version)
}

func login(person promotion.Person) string {
	if person.Login == "" {
		return "somebody"
	}
	return person.Login
}

// hold shows a candidate that can't be proposed.
func (p *pass) hold(pair promotion.Pair, c *candidate, text string) {
	p.state(promotion.PairState{
		Pair: pair, Live: p.value(pair), Phase: promotion.PhaseHeld, Sentence: text, Kind: promotion.KindPromotion,
		Target: promotion.Value{Version: c.release.Version, Digest: c.release.Digest},
	})
}

// wouldPropose shows what propose would do, with the gates as they stand.
func (p *pass) wouldPropose(pair promotion.Pair, c *candidate) {
	r := p.proposal(pair, c)
	f := p.facts(pair, promotion.KindPromotion, r, promotion.HeadState{})
	j := p.judge(f)
	p.state(promotion.PairState{
		Pair: pair, Live: p.value(pair), Phase: promotion.PhaseWaiting, Kind: promotion.KindPromotion, Target: target(r),
		Sentence: fmt.Sprintf("mode is observe: rung would propose %s", c.release.Version), Verdicts: j.Verdicts, Facts: f,
	})
}

// idle shows a pair with nothing open.
func (p *pass) idle(pair promotion.Pair, waiting string) {
	st := promotion.PairState{Pair: pair, Live: p.value(pair), Phase: promotion.PhaseIdle, Sentence: waiting}
	live, known := p.live[pair]
	if waiting != "" {
		st.Phase = promotion.PhaseWaiting
	}
	r := live.Land.Record
	switch {
	case !known:
	case live.Settle != nil && live.Settle.Record.Outcome == promotion.SettledBad:
		st.Phase, st.Sentence = promotion.PhaseUnhealthy, join(live.Settle.Record.Reason, waiting)
	case live.Settle == nil && p.s.Pipeline.Mode != promotion.ModeObserve:
		if env, ok := p.s.Pipeline.Environment(pair.Environment); ok && p.stands(pair) {
			_, v := p.judges.Settle(*env, pair.Artifact, landedAt(live), p.s.Now, p.readings(pair))
			st.Phase, st.Sentence, st.Look = promotion.PhaseVerifying, v.Sentence, v.Look
		}
	case r.Reverts != "":
		st.Phase, st.Sentence = promotion.PhaseRolledBack, join("it was put back: "+r.Reason, waiting)
	case r.Restores != "":
		st.Phase = promotion.PhaseRolledBack
	}
	if rec, barred := p.barred(st.Live.Digest); barred {
		st.Phase = promotion.PhaseUnhealthy
		st.Sentence = fmt.Sprintf("%s is quarantined and still live here (%s); say `/rollback %s in %s`", short(st.Live), rec.Reason, pair.Artifact, pair.Environment)
	}
	p.state(st)
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// proposal is the propose record of a candidate.
func (p *pass) proposal(pair promotion.Pair, c *candidate) promotion.Record {
	v := promotion.Value{Version: c.release.Version, Digest: c.release.Digest}
	r := promotion.Record{
		Kind: promotion.RecordPropose, Environment: pair.Environment, Artifact: p.artifact(pair.Artifact, v), Base: p.base(),
		Places: p.changes(pair, v), Causers: c.causers, Children: c.release.Children,
		Actor: promotion.Actor{Kind: "rung", Person: p.s.App}, Cause: c.release.Cause,
	}
	r.Artifact.SourceRepository, r.Artifact.SourceCommit = c.release.SourceRepository, c.release.SourceCommit
	r.Announced = c.announced
	if e, recorded := p.announcement(r.Artifact); recorded {
		r.Announced, r.Causers = e.Statement, union(r.Causers, e.Record.Causers)
	}
	if c.from != "" {
		r.From = &promotion.RecordFrom{Environment: c.from, Statement: c.statement}
		r.Cause = promotion.Cause{Kind: "merge", ID: "settled in " + string(c.from), At: p.s.Now}
	}
	if r.Cause.Kind == "" {
		r.Cause = promotion.Cause{Kind: "registry", ID: string(v.Version), At: p.s.Now}
	}
	return r
}

// changes are a pair's places with the value that they get.
func (p *pass) changes(pair promotion.Pair, v promotion.Value) []promotion.PlaceChange {
	env, _ := p.s.Pipeline.Environment(pair.Environment)
	if env != nil && env.Pin == promotion.PinTag {
		v.Digest = ""
	}
	places := p.s.Places[pair]
	changes := make([]promotion.PlaceChange, len(places))
	for i, pl := range places {
		changes[i] = promotion.PlaceChange{Path: pl.Path, Locator: pl.Locator, Before: pl.Value, After: v}
	}
	return changes
}

// identify gives a propose record its promotion id: the same for the same
// decision made twice, another for the next one.
func (p *pass) identify(r *promotion.Record, pair promotion.Pair) {
	previous := p.open[pair].Statement
	if previous == "" {
		previous = p.live[pair].Land.Statement
	}
	sum := sha256.Sum256([]byte(fmt.Sprintf("%d\n%s\n%s\n%s\n%s",
		p.s.Repository.ID, pair, r.Artifact.Digest, p.lasting(r.Restores), p.lasting(previous))))
	r.Promotion = hex.EncodeToString(sum[:8])
}

// lasting is a name for a record that is the same whenever the record is made: its
// payload's hash, or, for one of this pass, which has none yet, what it is about.
func (p *pass) lasting(statement string) string {
	number, planned := strings.CutPrefix(statement, "#")
	i, err := strconv.Atoi(number)
	if !planned || err != nil || i >= len(p.plan.Records) {
		return statement
	}
	r := p.plan.Records[i]
	name := fmt.Sprintf("%s %s %s", r.Kind, r.Promotion, r.Base.Judged)
	if r.Landed != nil {
		name = fmt.Sprintf("%s %s %s", r.Kind, r.Promotion, r.Landed.Commit)
	}
	return name
}

// propose plans a promotion branch with its record and pull request. pr is the
// open pull request that it takes over, or nil.
func (p *pass) propose(pair promotion.Pair, c *candidate, pr *promotion.PullRequestState) {
	p.build(pair, promotion.KindPromotion, p.proposal(pair, c), pr, "")
}

// build plans the branch, record, pull request and check of a promotion or
// rollback.
func (p *pass) build(pair promotion.Pair, kind string, r promotion.Record, pr *promotion.PullRequestState, reason string) {
	env, _ := p.s.Pipeline.Environment(pair.Environment)
	spec, _ := p.s.Pipeline.Artifact(pair.Artifact)
	if env == nil || spec == nil {
		return
	}
	p.identify(&r, pair)
	if pr != nil {
		r.PullRequest = &promotion.RecordPullRequest{Number: pr.Number}
	} else if last := p.lastPullRequest(pair); last > 0 {
		r.PullRequest = &promotion.RecordPullRequest{After: last}
	}
	p.record(r)
	f := p.facts(pair, kind, r, promotion.HeadState{})
	f.PullRequest = &promotion.PullRequestFacts{Ours: true, Mergeable: "mergeable", Author: p.s.App, ChecksComplete: true}
	if pr != nil {
		f.PullRequest.Number = pr.Number
	}
	j := p.judge(f)
	about := prose.Promotion{
		Kind: kind, Pair: pair, Image: spec.Image, Before: p.value(pair), After: target(r), Places: r.Places, Approvals: env.Approvals,
		CompareURL: compareURL(spec.Repository, p.value(pair), target(r)), Mode: p.s.Pipeline.Mode, Reason: reason, LedgerFirst: p.s.Ledger.First,
		ForgeSigns: p.s.Pipeline.Commits == promotion.CommitsGitHub,
	}
	if r.From != nil {
		about.From = r.From.Environment
	}
	about.Reverts = r.Reverts != ""
	p.plan.Builds = append(p.plan.Builds, promotion.Build{
		Pair: pair, Old: p.s.Branches[promotion.PromotionBranch(pair)], Base: p.s.Base.Head, Record: len(p.plan.Records) - 1,
		Pin: env.Pin, Image: spec.Image, Subject: prose.Title(about), Restores: r.Restores,
	})
	delete(p.plan.Deletes, promotion.PromotionBranch(pair))
	open := promotion.OpenPullRequest{Pair: pair, Branch: promotion.PromotionBranch(pair), Title: prose.Title(about), Body: prose.Body(about)}
	st := promotion.PairState{
		Pair: pair, Live: p.value(pair), Phase: promotion.PhaseOpen, Target: target(r), Kind: kind, Verdicts: j.Verdicts, Facts: f,
		Sentence: "a pull request is being opened",
	}
	if pr != nil {
		open.Number, st.PullRequest, st.URL = pr.Number, pr.Number, pr.URL
	}
	p.plan.Opens = append(p.plan.Opens, open)
	p.plan.Checks = append(p.plan.Checks, p.promotionCheck(pair, kind, r, p.foreseen(f, j), ""))
	p.plan.Next = p.s.Now
	p.state(st)
}

// comingHead stands in texts for a head that is not built yet; act writes the
// head in its place.
const comingHead promotion.Hash = "{{head}}"

// foreseen is what the gates will say once the head that is being built stands,
// so that the check on it is written once while it waits for others. Where
// nothing else holds it, the head is left to be judged: its check turns green
// only with an authorize record.
func (p *pass) foreseen(f *promotion.Facts, j Judgement) []promotion.Verdict {
	if !slices.ContainsFunc(j.Verdicts, func(v promotion.Verdict) bool { return v.Gate != gate.IDHead && v.Status != promotion.StatusPass }) {
		return j.Verdicts
	}
	stands, pr := *f, *f.PullRequest
	pr.Head = comingHead
	stands.PullRequest = &pr
	if vs := p.judge(&stands).Verdicts; !promotion.Passed(vs) {
		return vs
	}
	return j.Verdicts
}

func target(r promotion.Record) promotion.Value {
	if r.Artifact == nil {
		return promotion.Value{}
	}
	return promotion.Value{Version: r.Artifact.Version, Digest: r.Artifact.Digest}
}

// compareURL links the source changes between two versions.
func compareURL(repository string, before, after promotion.Value) string {
	if repository == "" || before.Version == "" || after.Version == "" {
		return ""
	}
	return fmt.Sprintf("%s/compare/%s...%s", repository, before.Version, after.Version)
}

// goOn decides about a pair's open promotion.
func (p *pass) goOn(pair promotion.Pair) {
	open, _ := p.active(pair)
	r := open.Record
	kind := promotion.KindPromotion
	if r.Restores != "" {
		kind = promotion.KindRollback
	}
	ref := promotion.PromotionBranch(pair)
	branch, there := p.s.Branches[ref]
	pr := p.pullRequest(pair)
	if kind == promotion.KindPromotion {
		r = p.blame(r)
	}
	switch {
	case len(p.s.Places[pair]) > 0 && p.disagreement(pair) == "" && agree(p.value(pair), p.pinned(pair, target(r))):
		p.withdraw(pair, promotion.WithdrawAlready, promotion.Actor{Kind: "rung", Person: p.s.App})
		return
	case p.revoked(r):
		rec, _ := p.barred(r.Artifact.Digest)
		p.revoke(pair, r, pr, promotion.WithdrawRevoked, fmt.Sprintf("%s is quarantined: %s", short(target(r)), rec.Reason))
		return
	case p.unwantedRevert(pair, r) != "":
		p.revoke(pair, r, pr, promotion.WithdrawStale, p.unwantedRevert(pair, r))
		return
	case pr != nil && pr.State == "closed":
		p.closed(pair, r, pr, there)
		return
	case pr != nil && pr.State == "merged":
		p.waitFor(pair, r, pr, "merged; waiting for the base branch to show it")
		return
	}
	if kind == promotion.KindPromotion && p.supersede(pair, r, pr) {
		return
	}
	head := p.s.Heads[pair]
	if !there || head.Ours && (head.Conflicts || pr != nil && pr.Mergeable == "conflicting") {
		switch text := p.disagreement(pair); {
		case text == "":
			p.rebuild(pair, kind, r, pr)
		case pr == nil:
			p.waitFor(pair, r, nil, text)
		default: // nothing can be built: the gates hold it and say why
			p.gates(pair, kind, r, pr, head)
		}
		return
	}
	if pr == nil {
		p.reopenWords(pair, kind, r, branch)
		return
	}
	if pr.Head != branch {
		// The branch moved between two reads, or the forge is behind: whatever
		// is judged now, and written on that head, is about another promotion.
		p.waitFor(pair, r, pr, "waiting for the pull request to show the head of its branch, "+branch.Short())
		p.look(p.s.Now.Add(5 * time.Second))
		return
	}
	p.gates(pair, kind, r, pr, head)
}

// blame adds to an open promotion the people who were learnt to have caused it
// after it was proposed: the registry may show a version before the event that
// announces it has come. The propose is written again with them, so that none of
// them can approve it, also after a restart.
func (p *pass) blame(r promotion.Record) promotion.Record {
	if r.Artifact == nil {
		return r
	}
	causers := slices.Clone(r.Causers)
	var cause promotion.Cause
	for _, release := range p.s.Available[r.Artifact.Name].Releases {
		if release.Digest != r.Artifact.Digest {
			continue
		}
		release = p.known(r.Artifact.Name, release)
		for _, person := range release.Causers {
			if !slices.Contains(causers, person) {
				causers, cause = append(causers, person), release.Cause
			}
		}
	}
	if len(causers) == len(r.Causers) {
		return r
	}
	r = unjudged(r)
	r.Causers, r.Cause = causers, cause
	if e, recorded := p.announcement(r.Artifact); recorded {
		r.Announced, r.Causers = e.Statement, union(r.Causers, e.Record.Causers)
	}
	p.record(r)
	return r
}

// pinned is a value as the pair's environment writes it.
func (p *pass) pinned(pair promotion.Pair, v promotion.Value) promotion.Value {
	if env, ok := p.s.Pipeline.Environment(pair.Environment); ok && env.Pin == promotion.PinTag {
		v.Digest = ""
	}
	return v
}

// withdraw records that an open promotion ended without landing.
func (p *pass) withdraw(pair promotion.Pair, reason string, actor promotion.Actor) {
	r := p.open[pair].Record
	w := promotion.Record{
		Kind: promotion.RecordWithdraw, Promotion: r.Promotion, Environment: pair.Environment, Artifact: r.Artifact, Restores: r.Restores, Reverts: r.Reverts,
		PullRequest: r.PullRequest, Actor: actor, Reason: reason, Base: p.base(), Cause: promotion.Cause{Kind: "review", At: p.s.Now},
	}
	if pr := p.pullRequest(pair); pr != nil {
		w.PullRequest = &promotion.RecordPullRequest{Number: pr.Number, Head: pr.Head}
	}
	p.record(w)
	p.dropBranch(pair)
	p.idle(pair, fmt.Sprintf("the promotion to %s was withdrawn: %s", short(target(r)), reason))
	p.plan.Next = p.s.Now
}

// revoked reports whether an open promotion must not land any more: its digest
// is barred.
func (p *pass) revoked(r promotion.Record) bool {
	if r.Artifact == nil {
		return false
	}
	_, barred := p.barred(r.Artifact.Digest)
	return barred
}

// revoke takes the branch away, which closes the pull request and makes every
// late merge fail; the withdraw is written once that is seen.
func (p *pass) revoke(pair promotion.Pair, r promotion.Record, pr *promotion.PullRequestState, reason, text string) {
	if p.s.Pipeline.Mode == promotion.ModeObserve && pr != nil && pr.State == "open" {
		text += "; mode is observe, so that the branch stays"
		p.check(pr, promotion.Check{Pair: pair, Conclusion: "failure", Title: "Not wanted any more", Summary: heldSummary(text)})
		p.waitFor(pair, r, pr, text)
		return
	}
	if _, there := p.s.Branches[promotion.PromotionBranch(pair)]; there {
		p.revoking = true
		p.dropBranch(pair)
		p.look(p.s.Now.Add(time.Second))
		p.waitFor(pair, r, pr, text)
		return
	}
	if pr != nil && pr.State == "open" {
		p.look(p.s.Now.Add(2 * time.Second))
		p.waitFor(pair, r, pr, text+"; waiting for the forge to close the pull request")
		return
	}
	if pr == nil && !p.s.ForgeRead {
		p.look(p.s.Now.Add(time.Second))
		p.waitFor(pair, r, nil, text+"; the forge is asked for its pull request")
		return
	}
	p.withdraw(pair, reason, promotion.Actor{Kind: "rung", Person: p.s.App})
}

// closed ends a promotion whose pull request was closed without a merge: by
// somebody with write it is a veto for that version, otherwise it is opened
// again once.
func (p *pass) closed(pair promotion.Pair, r promotion.Record, pr *promotion.PullRequestState, branch bool) {
	by := pr.ClosedBy
	if by.ID == p.s.App.ID && by.ID != 0 {
		p.withdraw(pair, promotion.WithdrawStale, promotion.Actor{Kind: "rung", Person: by})
		return
	}
	if by.Bot || pr.ClosedByAccess != nil && rank(pr.ClosedByAccess.Permission) < rank("write") && pr.ClosedByAccess.Error == "" {
		if branch && r.Cause.Kind != "reopened" {
			p.plan.Reopens = append(p.plan.Reopens, pr.Number)
			again := promotion.RecordPullRequest{}
			if r.PullRequest != nil {
				again = *r.PullRequest // the tree that was promised stays
			}
			again.Number, again.Head, again.After = pr.Number, pr.Head, 0
			r = unjudged(r)
			r.Cause, r.PullRequest = promotion.Cause{Kind: "reopened", ID: login(by), At: p.s.Now}, &again
			p.record(r)
			p.waitFor(pair, r, pr, fmt.Sprintf("%s, who has no write access, closed the pull request; rung opens it again once", login(by)))
			return
		}
	}
	if pr.ClosedByAccess == nil && !by.Bot && by != (promotion.Person{}) {
		p.waitFor(pair, r, pr, "closed; waiting to learn what "+login(by)+" may do here")
		p.look(p.s.Now.Add(30 * time.Second))
		return
	}
	p.withdraw(pair, promotion.WithdrawVetoed, promotion.Actor{Kind: "person", Person: by})
}

func (p *pass) waitFor(pair promotion.Pair, r promotion.Record, pr *promotion.PullRequestState, text string) {
	kind := promotion.KindPromotion
	if r.Restores != "" {
		kind = promotion.KindRollback
	}
	st := promotion.PairState{Pair: pair, Live: p.value(pair), Phase: promotion.PhaseOpen, Target: target(r), Kind: kind, Sentence: text}
	if pr != nil {
		st.PullRequest, st.URL = pr.Number, pr.URL
	}
	p.state(st)
}

// supersede moves an open promotion to a newer version, where the environment's
// policy lets it.
func (p *pass) supersede(pair promotion.Pair, r promotion.Record, pr *promotion.PullRequestState) bool {
	if head, there := p.s.Heads[pair]; there && !head.Ours {
		return false // somebody works on the branch: their commits are not thrown away
	}
	c := p.newer(pair, r)
	if c == nil {
		return false
	}
	env, ok := p.s.Pipeline.Environment(pair.Environment)
	if !ok || env.Supersede == promotion.SupersedeNever {
		return false
	}
	if env.Supersede == promotion.SupersedeUntilApproved && pr != nil && env.Approvals.Required > 0 {
		j := p.judge(p.facts(pair, promotion.KindPromotion, r, p.s.Heads[pair]))
		if len(j.Approvals) > 0 {
			return false
		}
	}
	p.propose(pair, c, pr)
	return true
}

// newer is the candidate that stands above an open promotion, if there is one.
func (p *pass) newer(pair promotion.Pair, r promotion.Record) *candidate {
	c, _ := p.candidate(pair)
	if c == nil || r.Artifact == nil || c.release.Digest == r.Artifact.Digest || !p.older(pair.Artifact, r.Artifact.Version, c.release.Version) {
		return nil
	}
	return c
}

// rebuild makes the same promotion again on the base as it is now.
func (p *pass) rebuild(pair promotion.Pair, kind string, r promotion.Record, pr *promotion.PullRequestState) {
	next := unjudged(r)
	next.Base, next.Places, next.PullRequest = p.base(), p.changes(pair, target(r)), nil
	p.build(pair, kind, next, pr, r.Reason)
}

// reopenWords opens the pull request of a branch that has none: rung stopped
// between the push and the call, or the answer was lost.
func (p *pass) reopenWords(pair promotion.Pair, kind string, r promotion.Record, _ promotion.Hash) {
	if !p.s.ForgeRead {
		p.waitFor(pair, r, nil, "the forge is asked whether the pull request is open")
		p.look(p.s.Now.Add(time.Second))
		return
	}
	env, _ := p.s.Pipeline.Environment(pair.Environment)
	spec, _ := p.s.Pipeline.Artifact(pair.Artifact)
	if env == nil || spec == nil {
		return
	}
	about := prose.Promotion{
		Kind: kind, Pair: pair, Image: spec.Image, Before: p.value(pair), After: target(r), Places: r.Places, Approvals: env.Approvals,
		CompareURL: compareURL(spec.Repository, p.value(pair), target(r)), Mode: p.s.Pipeline.Mode, Reason: r.Reason, LedgerFirst: p.s.Ledger.First,
		ForgeSigns: r.PullRequest != nil && r.PullRequest.Forge,
	}
	if r.From != nil {
		about.From = r.From.Environment
	}
	about.Reverts = r.Reverts != ""
	p.plan.Opens = append(p.plan.Opens, promotion.OpenPullRequest{Pair: pair, Branch: promotion.PromotionBranch(pair), Title: prose.Title(about), Body: prose.Body(about)})
	f := p.facts(pair, kind, r, p.s.Heads[pair])
	j := p.judge(f)
	p.plan.Checks = append(p.plan.Checks, p.promotionCheck(pair, kind, r, j.Verdicts, p.s.Heads[pair].Commit))
	p.waitFor(pair, r, nil, "a pull request is being opened")
	p.plan.Next = p.s.Now
}

// gates judges an open promotion, keeps its check true, and merges it when
// everything passes.
func (p *pass) gates(pair promotion.Pair, kind string, r promotion.Record, pr *promotion.PullRequestState, head promotion.HeadState) {
	f := p.facts(pair, kind, r, head)
	j := p.judge(f)
	pass := promotion.Passed(j.Verdicts)
	p.check(pr, p.promotionCheck(pair, kind, r, j.Verdicts, pr.Head))
	st := promotion.PairState{
		Pair: pair, Live: p.value(pair), Phase: promotion.PhaseOpen, Target: target(r), Kind: kind, PullRequest: pr.Number, URL: pr.URL,
		Verdicts: j.Verdicts, Facts: f, Sentence: sentence(j.Verdicts), Look: soonest(j.Verdicts),
	}
	if pass {
		st.Phase, st.Sentence = promotion.PhaseReady, "every gate passes"
		if no, refused := p.s.Refused[pair]; refused && no.Head == pr.Head && no.Base == p.s.Base.Head && p.s.Now.Before(no.Until) {
			st.Phase, st.Sentence, st.Look = promotion.PhaseHeld, "the forge refused to merge: "+no.Text, no.Until
		} else {
			p.authorize(pair, r, pr, f, j)
		}
	}
	if c := p.newer(pair, r); c != nil && kind == promotion.KindPromotion {
		st.Sentence = join(st.Sentence, fmt.Sprintf("%s waits until this is merged or closed", c.release.Version))
	}
	p.state(st)
}

// authorize records that every gate passes at this head and base. In mode merge
// it is renewed for each try to merge, because rung merges only right after its
// own record; otherwise one record for a head is enough.
func (p *pass) authorize(pair promotion.Pair, r promotion.Record, pr *promotion.PullRequestState, f *promotion.Facts, j Judgement) {
	env, ok := p.s.Pipeline.Environment(pair.Environment)
	if !ok {
		return
	}
	merge := p.s.Pipeline.Mode == promotion.ModeMerge
	if !merge && r.Kind == promotion.RecordAuthorize && r.PullRequest != nil && r.PullRequest.Head == pr.Head {
		return
	}
	a := r
	a.Kind, a.Base, a.Previous, a.IssuedAt = promotion.RecordAuthorize, p.base(), nil, time.Time{}
	a.PullRequest = &promotion.RecordPullRequest{Number: pr.Number, Head: pr.Head, Tree: p.s.Heads[pair].Tree}
	if r.PullRequest != nil {
		a.PullRequest.Forge, a.PullRequest.Parent = r.PullRequest.Forge, r.PullRequest.Parent
	}
	judged(&a, f, j)
	if files := p.s.Heads[pair].Files; len(files) > 0 {
		a.Files = files
	}
	p.record(a)
	if !merge {
		return
	}
	p.plan.Merges = append(p.plan.Merges, promotion.Merge{
		Record: len(p.plan.Records) - 1,
		Pair:   pair, Number: pr.Number, Head: pr.Head, Method: env.Method,
		Title: fmt.Sprintf("Merge pull request #%d: %s %s in %s", pr.Number, pair.Artifact, r.Artifact.Version, pair.Environment),
	})
}

// sentence is the first verdict that does not pass, worst first.
func sentence(vs []promotion.Verdict) string {
	worst := promotion.Worst(vs)
	for _, v := range vs {
		if v.Status == worst {
			return v.Gate + ": " + v.Sentence
		}
	}
	return ""
}

func soonest(vs []promotion.Verdict) (t time.Time) {
	for _, v := range vs {
		if !v.Look.IsZero() && (t.IsZero() || v.Look.Before(t)) {
			t = v.Look
		}
	}
	return t
}
