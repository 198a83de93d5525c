package decide

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// account goes through the base branch's commits since the ledger's base and
// records each change under the environments: a promotion that landed, versions
// that people changed, configuration that people changed.
func (p *pass) account() {
	governed := false // configuration or policies changed since what was judged
	var configured []*promotion.BaseChange
	for i := range p.s.Base.Changes {
		c := &p.s.Base.Changes[i]
		landed := p.landings(c)
		for _, pair := range landed {
			p.land(pair, c, governed)
		}
		byHand := p.handChanges(c, landed)
		if len(landed) == 0 && len(byHand) == 0 && (len(c.Environments) > 0 || c.Governs) {
			configured = append(configured, c)
		}
		governed = governed || c.Governs
	}
	n := len(p.s.Base.Changes)
	switch {
	case len(configured) > 0:
		p.configured(configured)
	case n >= maxUnrecorded && len(p.plan.Records) == 0:
		p.record(promotion.Record{
			Kind: promotion.RecordAdopt, Base: p.base(), Range: &promotion.RecordRange{From: p.s.Ledger.Base, To: p.s.Base.Head}, Actor: promotion.Actor{Kind: "person"},
			Cause: promotion.Cause{Kind: "configuration", At: p.s.Base.When}, Reason: "configuration changed by people",
		})
	}
	if n > 0 {
		p.plan.Base = p.s.Base.Head
	}
}

// configured records a run of commits in which people changed configuration, with
// who did, where it is known to be one person, and the pull request, where it was
// one.
func (p *pass) configured(changes []*promotion.BaseChange) {
	first, last := changes[0], changes[len(changes)-1]
	r := promotion.Record{
		Kind: promotion.RecordAdopt, Base: p.base(), Range: &promotion.RecordRange{To: last.Commit},
		Actor: promotion.Actor{Kind: "person", Person: first.MergedBy}, Reason: "configuration changed by people",
		Cause: promotion.Cause{Kind: "configuration", At: p.s.Base.When},
	}
	if len(first.Parents) > 0 {
		r.Range.From = first.Parents[0]
	}
	if first.PullRequest != 0 {
		r.PullRequest = &promotion.RecordPullRequest{Number: first.PullRequest}
	}
	for _, c := range changes[1:] {
		if c.MergedBy != first.MergedBy {
			r.Actor.Person = promotion.Person{}
		}
		if c.PullRequest != first.PullRequest {
			r.PullRequest = nil
		}
	}
	p.record(r)
}

// landings are the open promotions that a commit brings in, byte for byte.
func (p *pass) landings(c *promotion.BaseChange) []promotion.Pair {
	var pairs []promotion.Pair
	for pair, exact := range c.Exact {
		if _, active := p.active(pair); exact && active {
			pairs = append(pairs, pair)
		}
	}
	slices.SortFunc(pairs, comparePairs)
	return pairs
}

func comparePairs(a, b promotion.Pair) int {
	if a.String() < b.String() {
		return -1
	}
	if a.String() > b.String() {
		return 1
	}
	return 0
}

// land records that a promotion is in the base branch, with the gates as they
// were when it was authorised, or as they are now where nobody authorised it or
// the rules changed in between.
func (p *pass) land(pair promotion.Pair, c *promotion.BaseChange, governed bool) {
	open := p.open[pair]
	r := open.Record
	first := promotion.Hash("")
	if len(c.Parents) > 0 {
		first = c.Parents[0]
	}
	head := promotion.Hash("")
	pr := &promotion.RecordPullRequest{}
	if r.PullRequest != nil {
		*pr = *r.PullRequest
		head = r.PullRequest.Head
	}
	state := p.pullRequest(pair)
	if c.PullRequest != 0 {
		pr.Number, pr.After = c.PullRequest, 0
	} else if state != nil {
		pr.Number, pr.After = state.Number, 0
	}
	authorised := r.Kind == promotion.RecordAuthorize
	ours := authorised && c.MergedBy != (promotion.Person{}) && c.MergedBy.ID == p.s.App.ID
	anew := !authorised || governed || overtaken(r, state, ours)
	if anew && state != nil && state.Head != "" {
		pr.Head, head = state.Head, state.Head // not the one that was authorised, if any was
	}
	actor := promotion.Actor{Kind: "rung", Person: p.s.App}
	if !ours {
		actor = promotion.Actor{Kind: "person", Person: c.MergedBy}
		if c.MergedBy == (promotion.Person{}) {
			actor.Kind = "unknown"
		}
	}
	land := promotion.Record{
		Kind: promotion.RecordLand, Promotion: r.Promotion, Base: promotion.RecordBase{Ref: p.s.Base.Ref, Judged: r.Base.Judged},
		Environment: pair.Environment, Artifact: r.Artifact, From: r.From, Restores: r.Restores, Reverts: r.Reverts, Announced: r.Announced,
		Places: c.Places[pair], Files: c.Files[pair],
		PullRequest: pr, Actor: actor, Cause: promotion.Cause{Kind: "merge", ID: string(c.Commit), At: c.When}, Causers: r.Causers,
		Approvals: r.Approvals, Gates: r.Gates, Policies: r.Policies, Inputs: r.Inputs, Children: r.Children, Reason: r.Reason,
		Landed: &promotion.RecordLanded{Commit: c.Commit, FirstParent: first, Method: method(c, head), ByHand: !ours},
	}
	if land.Authorized = open.Statement; anew {
		p.judgeLanded(&land, r, c)
	}
	p.record(land)
	p.dropBranch(pair)
}

// overtaken reports whether the authorisation on record is not what was merged
// on: the pull request has another head, or a person merged it while rung's
// check was not, or not any more, green.
func overtaken(r promotion.Record, pr *promotion.PullRequestState, ours bool) bool {
	switch {
	case pr == nil || r.PullRequest == nil:
		return !ours
	case r.PullRequest.Head != "" && pr.Head != r.PullRequest.Head:
		return true
	}
	return !ours && (pr.Check == nil || pr.Check.Head != pr.Head || pr.Check.Conclusion != "success")
}

// afterMerge are gates that ask about the open pull request alone; once it is
// merged they say nothing.
var afterMerge = map[string]bool{"head": true, "checks": true, "rules": true}

// method is how a promotion's head came to the base branch.
func method(c *promotion.BaseChange, head promotion.Hash) string {
	switch {
	case c.Commit == head:
		return "fast-forward"
	case len(c.Parents) > 1:
		return "merge"
	default:
		return "squash"
	}
}

// dropBranch deletes a pair's promotion branch where it still stands.
func (p *pass) dropBranch(pair promotion.Pair) {
	ref := promotion.PromotionBranch(pair)
	head, there := p.s.Branches[ref]
	if !there {
		return
	}
	if p.plan.Deletes == nil {
		p.plan.Deletes = map[string]promotion.Hash{}
	}
	p.plan.Deletes[ref] = head
}

// handChanges records the versions that a commit changed other than by the
// promotions that landed with it.
func (p *pass) handChanges(c *promotion.BaseChange, landed []promotion.Pair) []promotion.Pair {
	var pairs []promotion.Pair
	for pair := range c.Places {
		if !slices.Contains(landed, pair) {
			pairs = append(pairs, pair)
		}
	}
	slices.SortFunc(pairs, comparePairs)
	for _, pair := range pairs {
		p.adopt(pair, c)
	}
	return pairs
}

// adopt records a version changed by hand. One that takes the environment back
// to a release it had before is a rollback by hand: the version that was taken
// out is barred, so that it does not come back at once.
func (p *pass) adopt(pair promotion.Pair, c *promotion.BaseChange) {
	changes := c.Places[pair]
	after := p.resolved(pair.Artifact, lastValue(changes))
	r := promotion.Record{
		Kind: promotion.RecordAdopt, Environment: pair.Environment, Artifact: p.artifact(pair.Artifact, after), Base: p.base(),
		Places: changes, Files: c.Files[pair], Actor: promotion.Actor{Kind: "person", Person: c.MergedBy}, Approvals: c.Approvals, Reason: "changed by hand",
		Cause:  promotion.Cause{Kind: "merge", ID: string(c.Commit), At: c.When},
		Landed: &promotion.RecordLanded{Commit: c.Commit, Method: method(c, ""), ByHand: true},
	}
	if env, ok := p.s.Pipeline.Environment(pair.Environment); ok {
		r.ManualChanges = env.ManualChanges
	}
	if len(c.Parents) > 0 {
		r.Landed.FirstParent = c.Parents[0]
	}
	if c.PullRequest != 0 {
		r.PullRequest = &promotion.RecordPullRequest{Number: c.PullRequest}
	} else if r.Landed.Method == "squash" {
		r.Landed.Method = "push"
	}
	switch {
	case c.OpenedBy != (promotion.Person{}):
		r.Causers = []promotion.Person{c.OpenedBy}
	case c.MergedBy != (promotion.Person{}):
		r.Causers = []promotion.Person{c.MergedBy}
	default:
		r.Actor.Kind = "unknown"
		if c.Author != "" {
			r.Reason = "changed by hand, as its commit says by " + clip(c.Author, 100)
		}
	}
	was := p.live[pair].Land.Record
	restored, reverted := p.restored(pair, after)
	if reverted {
		r.Restores, r.Reason = restored.Land.Statement, strings.Replace(r.Reason, "changed", "rolled back", 1)
	}
	p.record(r)
	if !reverted || was.Artifact == nil || was.Artifact.Digest == "" {
		return
	}
	if _, already := p.barred(was.Artifact.Digest); already {
		return
	}
	p.record(promotion.Record{
		Kind: promotion.RecordQuarantine, Digest: was.Artifact.Digest, Children: was.Children, Actor: r.Actor, Cause: r.Cause,
		Causers: was.Causers, Base: p.base(), Environment: pair.Environment, Artifact: was.Artifact,
		Reason: fmt.Sprintf("%s was taken out of %s by hand", was.Artifact.Version, pair.Environment),
	})
}

// found records, as it is, what came into rung.yaml since the ledger began: an
// environment or an artifact that was added, or one that comes back with another
// version. One record for each pair, as at onboarding. What its files can't say
// clearly waits until they do.
func (p *pass) found() {
	for _, pair := range p.pairs {
		live, known := p.live[pair]
		if len(p.s.Places[pair]) == 0 || p.disagreement(pair) != "" || known && (live.Land.Record.Artifact == nil || p.stands(pair)) {
			continue
		}
		p.adoptFound(pair, "found when it came into rung.yaml")
	}
}

// adoptFound records what stands in a pair's files, as a change from nothing.
func (p *pass) adoptFound(pair promotion.Pair, reason string) {
	v := p.resolved(pair.Artifact, p.value(pair))
	p.record(promotion.Record{
		Kind: promotion.RecordAdopt, Environment: pair.Environment, Artifact: p.artifact(pair.Artifact, v),
		Base: p.base(), Places: adopted(p.s.Places[pair]), Files: p.filesOf(pair), Actor: promotion.Actor{Kind: "rung", Person: p.s.App},
		Cause: promotion.Cause{Kind: "configuration", At: p.s.Now}, Reason: reason,
	})
}

// restored finds the earlier release that a hand change brought back: the
// version that stood before the live one was promoted, or any before that. A
// change by hand that nobody accepted is none: who makes it again after rung has
// put the release back insists on it, and rolls nothing back.
func (p *pass) restored(pair promotion.Pair, after promotion.Value) (promotion.LiveEntry, bool) {
	was := p.live[pair]
	if was.Land.Record.Kind != promotion.RecordLand || after.Digest == "" || was.Land.Record.Artifact.Digest == after.Digest {
		return promotion.LiveEntry{}, false
	}
	for _, h := range p.earlier(pair) {
		if a := h.Land.Record.Artifact; a != nil && a.Digest == after.Digest && !refused(&h.Land.Record) {
			return h, true
		}
	}
	return promotion.LiveEntry{}, false
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}

func lastValue(changes []promotion.PlaceChange) promotion.Value {
	if len(changes) == 0 {
		return promotion.Value{}
	}
	return changes[len(changes)-1].After
}

// settle ends the verification of what is live, where its health has decided.
func (p *pass) settle() {
	for _, pair := range p.pairs {
		live, ok := p.live[pair]
		if !ok || live.Settle != nil || live.Land.Record.Artifact == nil || !p.stands(pair) {
			continue
		}
		env, ok := p.s.Pipeline.Environment(pair.Environment)
		if !ok {
			continue
		}
		outcome, verdict := p.judges.Settle(*env, pair.Artifact, landedAt(live), p.s.Now, p.readings(pair))
		if outcome == "" {
			p.look(verdict.Look)
			continue
		}
		gates, _ := recordGates([]promotion.Verdict{verdict}, p.s.Now)
		p.record(promotion.Record{
			Kind: promotion.RecordSettle, Promotion: live.Land.Record.Promotion, Environment: pair.Environment, Artifact: live.Land.Record.Artifact,
			Base: p.base(), Outcome: outcome, Reason: verdict.Sentence, Gates: gates, Window: p.window(pair, env),
			Actor: promotion.Actor{Kind: "rung", Person: p.s.App}, Cause: promotion.Cause{Kind: "health", At: p.s.Now},
		})
	}
}

// stands reports whether the files still hold what the ledger says is live.
func (p *pass) stands(pair promotion.Pair) bool {
	places, a := p.s.Places[pair], p.live[pair].Land.Record.Artifact
	if len(places) == 0 || a == nil {
		return false
	}
	for _, pl := range places {
		if !agree(pl.Value, promotion.Value{Version: a.Version, Digest: a.Digest}) {
			return false
		}
	}
	return true
}
