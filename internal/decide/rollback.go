package decide

import (
	"fmt"

	"github.com/rungbot/rung/internal/promotion"
)

// rollback is the wish that a digest is not live in a pair any more.
type rollback struct {
	bad     promotion.Value
	version promotion.Version // the version to go back to; empty: the last good
	force   bool
	reason  string
	actor   promotion.Actor
	cause   promotion.Cause
	// answer is called with what became of it, when somebody waits for it.
	answer func(done bool, text string)
}

// wantRollbacks adds the rollbacks that nobody has to ask for: where the
// environment says so, a release that settled bad, and a barred digest that is
// live.
func (p *pass) wantRollbacks() {
	for _, pair := range p.pairs {
		env, ok := p.s.Pipeline.Environment(pair.Environment)
		if !ok || !env.AutoRollback || p.wants[pair] != nil || !p.stands(pair) {
			continue
		}
		if r, active := p.active(pair); active && r.Record.Restores != "" {
			continue
		}
		live := p.live[pair]
		a := live.Land.Record.Artifact
		_, barred := p.barred(a.Digest)
		bad := live.Settle != nil && live.Settle.Record.Outcome == promotion.SettledBad && live.Land.Record.Kind == promotion.RecordLand
		if !barred && !bad {
			continue
		}
		reason := "the digest is quarantined"
		if bad {
			reason = live.Settle.Record.Reason
		}
		p.wants[pair] = &rollback{
			bad: p.running(pair), reason: reason, actor: promotion.Actor{Kind: "rung", Person: p.s.App},
			cause: promotion.Cause{Kind: "health", At: p.s.Now},
		}
	}
}

// rollBack plans a rollback. It reports whether the pair is dealt with.
func (p *pass) rollBack(pair promotion.Pair, want *rollback) bool {
	answer := want.answer
	if answer == nil {
		answer = func(bool, string) {}
	}
	if open, active := p.active(pair); active && open.Record.Restores != "" && want.version == "" {
		answer(false, fmt.Sprintf("a rollback of %s in %s to %s is already open", pair.Artifact, pair.Environment, short(target(open.Record))))
		return false
	}
	if !agree(p.value(pair), want.bad) {
		answer(false, fmt.Sprintf("%s no longer runs %s", pair.Environment, short(want.bad)))
		return false
	}
	if text := p.disagreement(pair); text != "" {
		answer(false, text)
		return false
	}
	to, problem := p.lastGood(pair, want)
	if problem != "" {
		answer(false, problem)
		if _, active := p.active(pair); !active {
			p.state(promotion.PairState{Pair: pair, Live: p.value(pair), Phase: promotion.PhaseHeld, Kind: promotion.KindRollback, Sentence: problem})
			return true
		}
		return false
	}
	p.quarantine(want.bad, pair, want)
	a := to.Land.Record.Artifact
	value := promotion.Value{Version: a.Version, Digest: a.Digest}
	r := promotion.Record{
		Kind: promotion.RecordPropose, Environment: pair.Environment, Artifact: p.artifact(pair.Artifact, value), Base: p.base(),
		Places: p.changes(pair, value), Restores: to.Land.Statement, Announced: to.Land.Record.Announced, Actor: want.actor, Cause: want.cause, Reason: want.reason,
		Children: to.Land.Record.Children,
	}
	if want.actor.Kind == "person" {
		r.Causers = []promotion.Person{want.actor.Person}
	}
	pr := p.pullRequest(pair)
	if _, active := p.active(pair); !active || pr != nil && pr.State != "open" {
		pr = p.lingering(pair)
	}
	p.build(pair, promotion.KindRollback, r, pr, want.reason)
	answer(true, fmt.Sprintf("rolling %s in %s back from %s to %s", pair.Artifact, pair.Environment, short(want.bad), a.Version))
	return true
}

// quarantine bars a digest with the manifests of its index, unless it is barred
// already.
func (p *pass) quarantine(bad promotion.Value, pair promotion.Pair, want *rollback) {
	if bad.Digest == "" {
		return
	}
	if _, already := p.barred(bad.Digest); already {
		return
	}
	live := p.live[pair].Land.Record
	r := promotion.Record{
		Kind: promotion.RecordQuarantine, Digest: bad.Digest, Environment: pair.Environment, Artifact: p.artifact(pair.Artifact, bad),
		Actor: want.actor, Cause: want.cause, Reason: want.reason, Base: p.base(),
	}
	if live.Artifact != nil && live.Artifact.Digest == bad.Digest {
		r.Children, r.Causers = live.Children, live.Causers
	}
	if r.Reason == "" {
		r.Reason = fmt.Sprintf("rolled back in %s", pair.Environment)
	}
	p.record(r)
}

// unwanted reports whether a rollback of this pass goes away from a digest.
func (p *pass) unwanted(d promotion.Digest) bool {
	for _, want := range p.wants {
		if want.bad.Digest == d {
			return true
		}
	}
	return false
}

// lastGood is the release to go back to: the newest that settled good, is not
// barred and is still served by the registry; or the wanted version.
func (p *pass) lastGood(pair promotion.Pair, want *rollback) (promotion.LiveEntry, string) {
	var unserved string
	for _, h := range p.earlier(pair) {
		a := h.Land.Record.Artifact
		if a == nil || a.Digest == "" || a.Digest == want.bad.Digest {
			continue
		}
		if want.version != "" && a.Version != want.version || want.version == "" && refused(&h.Land.Record) {
			continue // another version, or one that people put there and nobody accepted
		}
		_, barred := p.barred(a.Digest)
		barred = barred || p.unwanted(a.Digest)
		settled := h.Settle != nil && h.Settle.Record.Outcome == promotion.SettledGood
		switch {
		case barred:
			if want.version != "" {
				return h, fmt.Sprintf("%s is quarantined; say /unquarantine first, or choose another version", a.Version)
			}
			continue
		case !settled && !want.force:
			if want.version != "" {
				return h, fmt.Sprintf("%s never settled good in %s; to go back to it all the same, add force: and a reason", a.Version, pair.Environment)
			}
			continue
		}
		served, asked := p.s.Served[a.Digest]
		if !asked {
			return h, fmt.Sprintf("the registry did not answer whether it still serves %s (%s); the rollback waits for it", a.Version, a.Digest.Short())
		}
		if !served {
			unserved = fmt.Sprintf("; the registry no longer serves %s", a.Version)
			if want.version != "" {
				return h, fmt.Sprintf("the registry no longer serves %s (%s)", a.Version, a.Digest.Short())
			}
			continue
		}
		return h, ""
	}
	if want.version != "" {
		return promotion.LiveEntry{}, fmt.Sprintf("%s never landed in %s", want.version, pair.Environment)
	}
	return promotion.LiveEntry{}, fmt.Sprintf("there is no earlier good release of %s in %s to go back to%s", pair.Artifact, pair.Environment, unserved)
}
