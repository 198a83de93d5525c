package decide

import (
	"fmt"
	"slices"
	"time"

	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/gate/health"
	"github.com/rungbot/rung/internal/promotion"
)

// candidate is what a pair could be promoted to.
type candidate struct {
	release promotion.Release
	// from is the predecessor whose land record it climbs from; empty for a
	// first environment.
	from      promotion.Environment
	statement string
	causers   []promotion.Person
	announced string
}

// landing is a release that landed in an environment, with how it ended.
type landing struct {
	entry   promotion.LiveEntry
	current bool
}

// candidate finds the newest release that may climb into a pair, or says in a
// sentence why there is none. An empty sentence means that there is nothing
// newer.
func (p *pass) candidate(pair promotion.Pair) (*candidate, string) {
	preds := p.predecessors(pair)
	if len(preds) == 0 {
		return p.published(pair)
	}
	live := p.value(pair)
	var waiting string
	for _, l := range p.released(promotion.Pair{Environment: preds[0], Artifact: pair.Artifact}) {
		a := l.entry.Land.Record.Artifact
		if agree(live, p.pinned(pair, target(l.entry.Land.Record))) || p.older(pair.Artifact, a.Version, live.Version) {
			continue
		}
		if _, barred := p.barred(a.Digest); barred {
			continue
		}
		if reason := p.unfinished(pair, preds, a.Digest); reason != "" {
			if waiting == "" {
				waiting = reason
			}
			continue
		}
		return &candidate{
			release: promotion.Release{
				Version: a.Version, Digest: a.Digest, Children: l.entry.Land.Record.Children,
				SourceRepository: a.SourceRepository, SourceCommit: a.SourceCommit,
			},
			from: preds[0], statement: l.entry.Land.Statement, causers: l.entry.Land.Record.Causers, announced: l.entry.Land.Record.Announced,
		}, waiting
	}
	return nil, waiting
}

// older reports whether a stands below b in the artifact's order. Equal
// versions are not older: a version can be published again, and held for it.
func (p *pass) older(name promotion.Artifact, a, b promotion.Version) bool {
	spec, ok := p.s.Pipeline.Artifact(name)
	if !ok || b == "" {
		return false
	}
	return p.judges.Compare(spec.Versions, a, b) < 0
}

// published is the candidate of a first environment: the newest release that
// the registry serves.
func (p *pass) published(pair promotion.Pair) (*candidate, string) {
	avail := p.s.Available[pair.Artifact]
	live := p.value(pair)
	var skipped string
	for _, r := range avail.Releases {
		if r.Digest != "" && r.Digest == live.Digest {
			break // the same contents, whatever the version is called
		}
		if r.Version == live.Version {
			if r.Digest != "" && live.Digest != "" && r.Digest != live.Digest {
				return nil, fmt.Sprintf("%s was published again: the registry now serves %s, %s runs %s; publish it under a new version", r.Version, r.Digest.Short(), pair.Environment, live.Digest.Short())
			}
			break
		}
		if p.older(pair.Artifact, r.Version, live.Version) {
			break
		}
		if r.Digest == "" {
			skipped = fmt.Sprintf("the registry does not say which digest %s is", r.Version)
			continue
		}
		if bar, barred := p.barred(r.Digest); barred {
			if skipped == "" {
				skipped = fmt.Sprintf("%s is quarantined: %s", r.Version, bar.Reason)
			}
			continue
		}
		r = p.known(pair.Artifact, r)
		return &candidate{release: r, causers: r.Causers}, skipped
	}
	if avail.Error != "" {
		return nil, "the registry can't be read: " + avail.Error
	}
	return nil, skipped
}

// predecessors are the environments before a pair that name its artifact; one
// that never named it is passed through.
func (p *pass) predecessors(pair promotion.Pair) []promotion.Environment {
	seen := map[promotion.Environment]bool{}
	var found []promotion.Environment
	var walk func(e promotion.Environment)
	walk = func(e promotion.Environment) {
		spec, ok := p.s.Pipeline.Environment(e)
		if !ok {
			return
		}
		for _, before := range spec.After {
			if seen[before] {
				continue
			}
			seen[before] = true
			at := promotion.Pair{Environment: before, Artifact: pair.Artifact}
			if len(p.s.Places[at]) > 0 || p.live[at].Land.Statement != "" {
				found = append(found, before)
				continue
			}
			walk(before)
		}
	}
	walk(pair.Environment)
	slices.Sort(found)
	return found
}

// released are the releases that landed in a pair, newest first, as of this
// pass. What was only adopted is no candidate for anybody.
func (p *pass) released(pair promotion.Pair) []landing {
	var all []landing
	add := func(e promotion.LiveEntry, current bool) {
		r := e.Land.Record
		if r.Kind == promotion.RecordLand && r.Artifact != nil && r.Artifact.Digest != "" {
			all = append(all, landing{e, current})
		}
	}
	add(p.live[pair], true)
	for _, h := range p.earlier(pair) {
		add(h, false)
	}
	return all
}

// unfinished says which predecessor has not finished with a digest, or nothing.
func (p *pass) unfinished(pair promotion.Pair, preds []promotion.Environment, d promotion.Digest) string {
	for _, before := range preds {
		at := promotion.Pair{Environment: before, Artifact: pair.Artifact}
		f := p.predecessor(at, d)
		switch {
		case f.Landed.IsZero():
			return fmt.Sprintf("%s has not landed in %s", d.Short(), before)
		case f.Settled == promotion.SettledBad:
			return fmt.Sprintf("it settled bad in %s", before)
		case f.Settled != promotion.SettledGood && f.SoakEnds.After(p.s.Now):
			return fmt.Sprintf("%s is verified until %s", before, gate.Clock(f.SoakEnds, p.s.Now))
		case f.Settled != promotion.SettledGood:
			return fmt.Sprintf("%s still verifies it", before)
		}
	}
	return ""
}

// predecessor is what is known of a digest in one environment that comes
// before.
func (p *pass) predecessor(at promotion.Pair, d promotion.Digest) promotion.PredecessorFacts {
	f := promotion.PredecessorFacts{Environment: at.Environment, Live: p.value(at)}
	for _, l := range p.released(at) {
		r := l.entry.Land.Record
		if r.Artifact.Digest != d {
			continue
		}
		f.Landed = landedAt(l.entry)
		if s := l.entry.Settle; s != nil {
			f.Settled, f.SettledAt = s.Record.Outcome, s.Record.IssuedAt
		}
		if env, ok := p.s.Pipeline.Environment(at.Environment); ok && f.Settled == "" && l.current {
			f.SoakEnds = health.SoakEnds(*env, at.Artifact, f.Landed, p.s.Now, p.readings(at))
		}
		if l.current && agree(f.Live, target(r)) {
			f.Health = p.readings(at)
		}
		return f
	}
	return f
}

// readings are the health readings of what is live in a pair. Of what this pass
// has seen land there are none yet: those at hand speak of the release before.
func (p *pass) readings(pair promotion.Pair) []promotion.HealthReading {
	if p.live[pair].Land.Statement != p.s.Ledger.Live[pair].Land.Statement {
		return nil
	}
	return p.s.Health[pair]
}

// landedAt is when a release landed, by rung's own clock.
func landedAt(e promotion.LiveEntry) time.Time { return e.Land.Record.IssuedAt }
