package decide

import (
	"fmt"
	"slices"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// handMade is a version that people put into a pair and that nobody has accepted:
// neither by the environment's rule, nor by /adopt.
type handMade struct {
	change promotion.LiveEntry
	// before is what stood before people changed it; empty where the ledger does
	// not say.
	before promotion.LiveEntry
	// earlier are the statements of the changes by hand between the two.
	earlier []string
}

// pending reports whether a record is of a change by hand that waits for an
// answer. A rollback by hand is a rollback, and what an environment adopts by its
// rule is accepted.
func pending(r *promotion.Record) bool {
	return r.Kind == promotion.RecordAdopt && r.Landed != nil && r.Restores == "" && r.Cause.Kind != "comment" &&
		(r.ManualChanges == promotion.ManualHold || r.ManualChanges == promotion.ManualRevert)
}

// refused reports whether a record is of a change by hand that rung puts back:
// no release that anything goes back to.
func refused(r *promotion.Record) bool {
	return pending(r) && r.ManualChanges == promotion.ManualRevert
}

// handMade finds what people made of a pair. Whoever puts the recorded version
// back by hand has ended it.
func (p *pass) handMade(pair promotion.Pair) (handMade, bool) {
	live := p.live[pair]
	if !pending(&live.Land.Record) {
		return handMade{}, false
	}
	chain := []promotion.LiveEntry{live}
	h := handMade{change: live}
	for _, e := range p.earlier(pair) {
		if !pending(&e.Land.Record) {
			h.before = e
			break
		}
		chain = append(chain, e)
	}
	if h.before.Land.Statement == "" && comesFromNothing(live.Land.Record.Places) {
		return handMade{}, false // people brought the artifact here: there is nothing to go back to
	}
	for _, e := range chain {
		if sameRelease(&e, &h.before) {
			break
		}
		h.earlier = append(h.earlier, e.Land.Statement)
	}
	if len(h.earlier) == 0 {
		return handMade{}, false
	}
	h.earlier = h.earlier[1:]
	return h, true
}

func comesFromNothing(places []promotion.PlaceChange) bool {
	return !slices.ContainsFunc(places, func(c promotion.PlaceChange) bool { return c.Before != (promotion.Value{}) })
}

func sameRelease(a, b *promotion.LiveEntry) bool {
	x, y := a.Land.Record.Artifact, b.Land.Record.Artifact
	return x != nil && y != nil && agree(target(a.Land.Record), target(b.Land.Record))
}

// putBack plans the pull request that takes a change by hand back, where the
// environment says so: once for a change, and never against people. It reports
// whether the pair is dealt with.
func (p *pass) putBack(pair promotion.Pair) bool {
	env, ok := p.s.Pipeline.Environment(pair.Environment)
	if !ok || env.ManualChanges != promotion.ManualRevert {
		return false
	}
	h, made := p.handMade(pair)
	if !made || !p.stands(pair) || h.change.Land.Record.ManualChanges != promotion.ManualRevert {
		return false
	}
	open, active := p.active(pair)
	if active && open.Record.Restores != "" {
		return false // on its way, or a rollback that somebody asked for
	}
	if text, look := p.left(pair, h); text != "" {
		if active {
			return false // the gates hold what is open, and say why
		}
		p.state(promotion.PairState{Pair: pair, Live: p.value(pair), Phase: promotion.PhaseHeld, Sentence: text, Look: look})
		return true
	}
	if !active && p.linger(pair) {
		return true
	}
	to := h.before.Land.Record
	value := target(to)
	if p.s.Pipeline.Mode == promotion.ModeObserve {
		p.state(promotion.PairState{
			Pair: pair, Live: p.value(pair), Phase: promotion.PhaseHeld, Kind: promotion.KindRollback, Target: value,
			Sentence: fmt.Sprintf("the version was %s; mode is observe: rung would put %s back", handWords(&h.change.Land.Record), short(value)),
		})
		return true
	}
	change := h.change.Land.Record
	r := promotion.Record{
		Kind: promotion.RecordPropose, Environment: pair.Environment, Artifact: p.artifact(pair.Artifact, value), Base: p.base(),
		Places: p.changes(pair, value), Restores: h.before.Land.Statement, Reverts: h.change.Land.Statement, Children: to.Children,
		Actor: promotion.Actor{Kind: "rung", Person: p.s.App}, Cause: promotion.Cause{Kind: "merge", ID: string(change.Landed.Commit), At: change.Cause.At},
		Reason: fmt.Sprintf("%s was %s", short(target(change)), handWords(&change)),
	}
	pr := p.pullRequest(pair)
	if !active || pr != nil && pr.State != "open" {
		pr = nil
	}
	p.build(pair, promotion.KindRollback, r, pr, r.Reason)
	return true
}

// left says why rung leaves a change by hand as it is, and when to look again;
// nothing where it may be put back. What rung has put back once is not put back
// again: a second change is somebody's will, or a tool's that never tires.
func (p *pass) left(pair promotion.Pair, h handMade) (text string, look time.Time) {
	const say = "; say `/adopt` with a reason to keep it, or `/rollback` to bar it and go back"
	change, before := h.change.Land.Record, h.before.Land.Record
	was := "the version was " + handWords(&change)
	tried := p.open[pair].Record
	switch value := target(before); {
	case before.Artifact == nil:
		return was + "; what stood before is not known" + say, look
	case before.Reverts != "":
		return fmt.Sprintf("%s again, after rung had put %s back; rung does not do that twice%s", was, short(value), say), look
	case tried.Reverts != "" && slices.Contains(h.earlier, tried.Reverts):
		return fmt.Sprintf("%s again, while rung was putting %s back; rung leaves it%s", was, short(value), say), look
	case tried.Kind == promotion.RecordWithdraw && tried.Reverts == h.change.Land.Statement && tried.Reason == promotion.WithdrawVetoed:
		return fmt.Sprintf("%s, and %s closed the pull request that would have put %s back%s", was, login(tried.Actor.Person), short(value), say), look
	case value.Digest == "":
		return fmt.Sprintf("%s; the digest of %s, which stood before, is not known%s", was, short(value), say), look
	case h.before.Settle != nil && h.before.Settle.Record.Outcome == promotion.SettledBad:
		return fmt.Sprintf("%s; %s, which stood before, had settled bad and is not put back%s", was, short(value), say), look
	}
	if bar, barred := p.barred(before.Artifact.Digest); barred {
		return fmt.Sprintf("%s; %s, which stood before, is quarantined (%s) and is not put back%s", was, short(target(before)), bar.Reason, say), look
	}
	switch served, asked := p.s.Served[before.Artifact.Digest]; {
	case !asked:
		return fmt.Sprintf("%s; the registry did not answer whether it still serves %s, which stood before: rung waits for it", was, short(target(before))), p.s.Now.Add(30 * time.Second)
	case !served:
		return fmt.Sprintf("%s; the registry no longer serves %s, which stood before%s", was, short(target(before)), say), look
	}
	return "", look
}

// unwantedRevert says why a promotion that puts something back must not land any
// more: people have answered meanwhile.
func (p *pass) unwantedRevert(pair promotion.Pair, r promotion.Record) string {
	live := p.live[pair].Land
	switch {
	case r.Reverts == "" || live.Statement == r.Reverts:
		return ""
	case live.Record.Cause.Kind == "comment":
		return fmt.Sprintf("%s adopted %s", login(live.Record.Actor.Person), short(target(live.Record)))
	case live.Record.Landed != nil && live.Record.Kind == promotion.RecordAdopt:
		return "the version was " + handWords(&live.Record) + " again"
	}
	return "something else is live"
}

// manualHold holds a pair whose version was changed by hand, where its
// environment says so, until somebody adopts it or it is put back.
func (p *pass) manualHold(pair promotion.Pair) string {
	env, ok := p.s.Pipeline.Environment(pair.Environment)
	r := p.live[pair].Land.Record
	if !ok || r.Kind != promotion.RecordAdopt || r.Landed == nil || r.Cause.Kind == "comment" {
		return ""
	}
	switch env.ManualChanges {
	case promotion.ManualHold:
		return "the version was " + handWords(&r) + "; say /adopt with a reason to go on"
	case promotion.ManualRevert:
		h, made := p.handMade(pair)
		if !made {
			return ""
		}
		if r.ManualChanges == promotion.ManualHold {
			return "the version was " + handWords(&r) + ", while it was to be held; say /adopt with a reason to go on"
		}
		if text, _ := p.left(pair, h); text != "" {
			return text
		}
		return "the version was " + handWords(&r) + "; rung puts " + short(target(h.before.Land.Record)) + " back first"
	}
	return ""
}

// handWords says who changed a version by hand, and where that is to be seen.
func handWords(r *promotion.Record) string {
	adopted := r.Cause.Kind == "comment"
	who := r.Actor.Person
	if adopted {
		who = promotion.Person{}
	}
	if len(r.Causers) > 0 {
		who = r.Causers[0]
	}
	words := "changed by hand by " + login(who)
	if r.Restores != "" {
		words = "rolled back by hand by " + login(who)
	}
	words += " in " + r.Landed.Commit.Short()
	if r.PullRequest != nil && r.PullRequest.Number != 0 {
		words += fmt.Sprintf(" (pull request %d)", r.PullRequest.Number)
	}
	if adopted {
		words += fmt.Sprintf(", and adopted by %s: %s", login(r.Actor.Person), r.Reason)
	}
	return words
}
