package observe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// Bounds of what is asked of registries and health sources in one pass.
const (
	maxTags      = 2000
	maxResolved  = 5
	maxForetold  = 3 // both together are what ledger.KeepAnnounced keeps
	maxHistory   = 20
	maxServed    = 5
	defaultPoll  = 10 * time.Minute
	atOnce       = 8
	registryWait = 15 * time.Second
)

// available is what a registry said of one artifact.
type available struct {
	image  string
	at     time.Time
	answer promotion.Availability
}

// registry asks the registries for new versions: after an event, or when it is
// time to look without one.
func (p *pass) registry(ctx context.Context) error {
	p.s.Available = map[promotion.Artifact]promotion.Availability{}
	var mu sync.Mutex // guards the two maps while others ask
	var asks []func(context.Context)
	for _, spec := range p.s.Pipeline.Artifacts {
		a := p.mem.registry[spec.Name]
		if a == nil || a.image != spec.Image {
			a = &available{image: spec.Image}
			p.mem.registry[spec.Name] = a
		}
		poll := spec.Poll
		if poll <= 0 {
			poll = defaultPoll
		}
		if p.s.Now.Sub(a.at) < poll && !rerequested(p.hints) {
			p.s.Available[spec.Name] = a.answer
			continue
		}
		lowest := p.lowest(spec.Name)
		asks = append(asks, func(ctx context.Context) {
			answer := p.ask(ctx, &spec, a.answer, lowest)
			mu.Lock()
			defer mu.Unlock()
			a.answer, a.at = answer, p.s.Now
			p.s.Available[spec.Name] = answer
		})
	}
	return sideBySide(ctx, asks)
}

// sideBySide asks several sources at once, a bounded number at a time. It is
// begun when everything to ask has been gathered: until then the memory belongs
// to the pass alone.
func sideBySide(ctx context.Context, asks []func(context.Context)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, ask := range asks {
		g.Go(func() error {
			ask(ctx)
			return nil
		})
	}
	return g.Wait()
}

// lowest are the versions of an artifact that are live in a first environment:
// nothing below them matters.
func (p *pass) lowest(name promotion.Artifact) []promotion.Version {
	var live []promotion.Version
	for pair, places := range p.s.Places {
		if pair.Artifact == name && len(places) > 0 && places[0].Value.Version != "" {
			live = append(live, places[0].Value.Version)
		}
	}
	return live
}

// ask lists an artifact's versions, newest first, and resolves the digests of
// the newest. A registry that can't be read leaves the last answer, with the
// error beside it.
func (p *pass) ask(ctx context.Context, spec *promotion.ArtifactSpec, last promotion.Availability, live []promotion.Version) promotion.Availability {
	ctx, cancel := context.WithTimeout(ctx, registryWait)
	defer cancel()
	rule, err := pipeline.CompileVersions(spec.Versions)
	if err != nil {
		return promotion.Availability{Error: err.Error(), At: p.s.Now}
	}
	tags, err := p.Registry.Versions(ctx, spec.Image, maxTags)
	if err != nil {
		last.Error, last.At = err.Error(), p.s.Now
		var served []promotion.Version
		for _, r := range last.Releases {
			served = append(served, r.Version)
		}
		last.Announced = p.foretold(spec, rule, served, live)
		return last
	}
	served := slices.Clone(tags)
	tags = slices.DeleteFunc(tags, func(v promotion.Version) bool { return !rule.Matches(v) })
	slices.SortFunc(tags, func(a, b promotion.Version) int { return rule.Compare(b, a) })
	answer := promotion.Availability{At: p.s.Now, Announced: p.foretold(spec, rule, served, live)}
	for i, v := range tags {
		if i >= maxResolved || i > 0 && below(rule, v, live) {
			break
		}
		r := promotion.Release{Version: v}
		r.Digest, r.Children, err = p.Registry.Resolve(ctx, spec.Image, v)
		if err != nil {
			answer.Error = fmt.Sprintf("%s: %v", v, err)
		}
		p.announce(spec, &r)
		answer.Releases = append(answer.Releases, r)
	}
	return answer
}

// below reports whether a version stands below everything that is live.
func below(rule *pipeline.Versions, v promotion.Version, live []promotion.Version) bool {
	for _, l := range live {
		if rule.Compare(v, l) >= 0 {
			return false
		}
	}
	return len(live) > 0
}

// announce adds who and what published a release, as its events said: all who
// announced it are causers, the newest event is its cause. Who may announce is judged
// here: an event that came before the configuration was read was sent on unjudged.
func (p *pass) announce(spec *promotion.ArtifactSpec, r *promotion.Release) {
	for _, h := range p.mem.told {
		if h.Version != r.Version || !h.About(spec.Name, spec.Image) || !h.By(p.Repository.ID, spec.Publishers) {
			continue
		}
		r.Cause = promotion.Cause{Kind: "event", ID: h.Delivery, At: h.At}
		r.Events = append(r.Events, promotion.RecordEvent{
			Event: h.Event, Delivery: h.Delivery, At: h.At, Publisher: h.Publisher, PublisherID: h.PublisherID, Sender: h.Sender, Digest: h.Digest,
			SourceRepository: h.Source.Repository, SourceCommit: string(h.Source.Commit),
		})
		if h.Source != (hint.Source{}) {
			r.SourceRepository, r.SourceCommit = h.Source.Repository, string(h.Source.Commit)
		}
		if h.Sender != (promotion.Person{}) && !slices.Contains(r.Causers, h.Sender) {
			r.Causers = append(r.Causers, h.Sender)
		}
	}
}

// foretold are the newest versions that events told of and the registry does not
// serve: who announced them is remembered until it does.
func (p *pass) foretold(spec *promotion.ArtifactSpec, rule *pipeline.Versions, served, live []promotion.Version) []promotion.Release {
	var versions []promotion.Version
	for _, h := range p.mem.told {
		names := h.Artifact == spec.Name || h.Artifact == "" && h.Image == spec.Image
		if names && h.By(p.Repository.ID, spec.Publishers) && rule.Matches(h.Version) && !below(rule, h.Version, live) && !slices.Contains(served, h.Version) && !slices.Contains(versions, h.Version) {
			versions = append(versions, h.Version)
		}
	}
	slices.SortFunc(versions, func(a, b promotion.Version) int { return rule.Compare(b, a) })
	var releases []promotion.Release
	for _, v := range versions[:min(len(versions), maxForetold)] {
		r := promotion.Release{Version: v}
		p.announce(spec, &r)
		releases = append(releases, r)
	}
	return releases
}

// history reads earlier releases where a decision needs them: what is live has
// not settled good, is barred, or was changed by hand, or somebody asks for a
// rollback.
func (p *pass) history(ctx context.Context) error {
	p.s.Ledger.History = map[promotion.Pair][]promotion.LiveEntry{}
	p.s.Served = map[promotion.Digest]bool{}
	wanted := p.rollbackWanted()
	for pair, live := range p.s.Ledger.Live {
		a := live.Land.Record.Artifact
		good := live.Settle != nil && live.Settle.Record.Outcome == promotion.SettledGood
		barred := false
		if a != nil {
			_, barred = p.s.Ledger.Barred(a.Digest)
		}
		changed := slices.ContainsFunc(p.s.Base.Changes, func(c promotion.BaseChange) bool { return len(c.Places[pair]) > 0 })
		put := p.putBack(pair, live.Land.Record)
		if good && !barred && !changed && !wanted && !put {
			continue
		}
		enough := func(e promotion.LiveEntry) bool {
			if wanted || barred || changed {
				return false
			}
			if put {
				return !changedByHand(e.Land.Record)
			}
			return e.Land.Record.Kind == promotion.RecordLand && e.Settle != nil && e.Settle.Record.Outcome == promotion.SettledGood
		}
		entries, err := p.Ledger.History(ctx, p.Git, live, maxHistory, enough)
		if err != nil {
			return err
		}
		p.s.Ledger.History[pair] = entries
		if changed {
			// What was live until now may be what a rollback in this very pass
			// goes back to.
			entries = append([]promotion.LiveEntry{live}, entries...)
		}
		if wanted || barred || changed || !good {
			p.serves(ctx, pair, entries, wanted)
		}
		if i := slices.IndexFunc(entries, func(e promotion.LiveEntry) bool { return !changedByHand(e.Land.Record) }); i >= 0 && (put || changed) {
			p.serves(ctx, pair, entries[i:i+1], false) // what stood before people changed it
		}
	}
	return nil
}

// putBack reports whether rung may have to put back what stood before a pair's
// newest record.
func (p *pass) putBack(pair promotion.Pair, r promotion.Record) bool {
	env, ok := p.s.Pipeline.Environment(pair.Environment)
	return ok && env.ManualChanges == promotion.ManualRevert && changedByHand(r)
}

// changedByHand reports whether a record is of a version that people changed and
// that nobody has adopted by a command.
func changedByHand(r promotion.Record) bool {
	return r.Kind == promotion.RecordAdopt && r.Landed != nil && r.Cause.Kind != "comment"
}

// rollbackWanted reports whether a command may ask for an earlier release.
func (p *pass) rollbackWanted() bool {
	return len(p.said) > 0 || slices.ContainsFunc(p.hints, func(h hint.Hint) bool { return h.Kind == hint.KindClick })
}

// serves asks the registry whether it still has the digests that a rollback may
// go to: anew where somebody asks for one now.
func (p *pass) serves(ctx context.Context, pair promotion.Pair, entries []promotion.LiveEntry, anew bool) {
	spec, ok := p.s.Pipeline.Artifact(pair.Artifact)
	if !ok {
		return
	}
	asked := 0
	for _, e := range entries {
		d := liveDigest(&e)
		if d == "" || e.Settle == nil && asked > 0 {
			continue
		}
		if s, known := p.mem.served[d]; known && !anew && p.s.Now.Sub(s.at) < time.Minute {
			p.s.Served[d] = s.served
			continue
		}
		if asked++; asked > maxServed {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, registryWait)
		served, err := p.Registry.Exists(ctx, spec.Image, d)
		cancel()
		if err != nil {
			continue // not asked: a rollback waits for the answer
		}
		p.mem.served[d] = servedAt{served, p.s.Now}
		p.s.Served[d] = served
	}
}

// watched reports whether a settled release is still watched: a promotion that
// stands on it is open.
func (p *pass) watched(pair promotion.Pair) bool {
	for open, e := range p.s.Ledger.Open {
		if open.Artifact != pair.Artifact || e.Record.Kind == promotion.RecordWithdraw || e.Record.From == nil {
			continue
		}
		if env, ok := p.s.Pipeline.Environment(open.Environment); ok && slices.Contains(env.After, pair.Environment) {
			return true
		}
	}
	return false
}

// health asks the sources of what is live: of releases that are verified, and of
// those that an open promotion stands on.
func (p *pass) health(ctx context.Context) error {
	p.s.Health = map[promotion.Pair][]promotion.HealthReading{}
	var mu sync.Mutex // guards the two maps while others ask
	var asks []func(context.Context)
	for pair, live := range p.s.Ledger.Live {
		env, ok := p.s.Pipeline.Environment(pair.Environment)
		if !ok || live.Land.Record.Artifact == nil {
			continue
		}
		active := live.Settle == nil || p.watched(pair)
		for _, source := range env.Health {
			if source.Artifact != "" && source.Artifact != pair.Artifact {
				continue
			}
			key := healthKey{pair, source.Name(), liveDigest(&live)}
			last, read := p.mem.health[key]
			if read && (!active || p.s.Now.Sub(last.At) < interval(source) && !p.mem.statuses[source.Status]) {
				p.s.Health[pair] = append(p.s.Health[pair], last)
				continue
			}
			if !active {
				continue
			}
			asks = append(asks, func(ctx context.Context) {
				r := p.sample(ctx, source, pair, &live)
				mu.Lock()
				defer mu.Unlock()
				r.Since = r.At
				if read && last.Status == r.Status && !last.Since.IsZero() {
					r.Since = last.Since
				}
				p.mem.health[key] = r
				p.s.Health[pair] = append(p.s.Health[pair], r)
			})
		}
	}
	if err := sideBySide(ctx, asks); err != nil {
		return err
	}
	clear(p.mem.statuses)
	for _, list := range p.s.Health {
		slices.SortFunc(list, func(a, b promotion.HealthReading) int { return strings.Compare(a.Source.Name(), b.Source.Name()) })
	}
	return nil
}

// sample takes one reading of a release.
func (p *pass) sample(ctx context.Context, source promotion.HealthSource, pair promotion.Pair, live *promotion.LiveEntry) promotion.HealthReading {
	a := live.Land.Record.Artifact
	if source.HTTP != "" {
		return p.Probe(ctx, source, pair, promotion.Value{Version: a.Version, Digest: a.Digest})
	}
	r := promotion.HealthReading{Source: source, Status: promotion.StatusPending, Detail: "nothing posted yet", At: p.s.Now}
	if live.Land.Record.Landed == nil {
		return r
	}
	var newest promotion.CheckFacts
	for _, commit := range []promotion.Hash{live.Land.Record.Landed.Commit, p.s.Base.Head} {
		for _, c := range p.mem.commits[commit] {
			if c.Name != source.Status || source.App != 0 && c.App != source.App || c.At.Before(newest.At) {
				continue
			}
			newest, r.Commit = c, commit
		}
	}
	if newest.Name == "" {
		return r
	}
	r.Detail, r.URL, r.Since = newest.State, newest.URL, newest.At
	switch newest.State {
	case "success":
		r.Status = promotion.StatusPass
	case "failure", "error", "timed_out", "cancelled":
		r.Status = promotion.StatusFail
	}
	return r
}
