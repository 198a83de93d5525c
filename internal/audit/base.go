package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
)

// baseWalk is the base branch under judgement.
type baseWalk struct {
	*verifier
	ledger *ledgerWalk
	head   oid
	// parents are those of every commit that the head reaches.
	parents map[oid][]oid
	// suspects are the commits that may claim to be rung's. brought are those that came
	// after the ledger began, in the order in which the line brought them, and claimed
	// counts those that were judged.
	suspects map[oid]bool
	brought  []brought
	claimed  int
	// authorized counts the authorize records that were held to their bases.
	authorized int
	// line is the first-parent line, oldest first; position is its index.
	line     []oid
	position map[oid]int
	// pipeline is the newest usable configuration on the way.
	pipeline *promotion.Pipeline
	// judged are the landed commits that a step dealt with.
	judged map[oid]bool
	// lost are commits that cite what the ledger lost, which LEDGER_REWIND says:
	// no record can be asked for then.
	lost map[oid]bool
	// unrecorded counts the commits behind the ledger's newest base.
	unrecorded int
	// promised are the open authorize records that no step has used yet.
	promised map[promotion.Pair]*recorded
}

// brought is a commit and the position on the line that brought it.
type brought struct {
	id oid
	at int
}

// judgeBase holds the base branch to the ledger.
func (v *verifier) judgeBase(ctx context.Context, l *ledgerWalk, head oid) (*baseWalk, error) {
	b := &baseWalk{
		verifier: v, ledger: l, head: head, parents: map[oid][]oid{}, suspects: map[oid]bool{}, position: map[oid]int{}, judged: map[oid]bool{}, lost: map[oid]bool{}, promised: map[promotion.Pair]*recorded{},
	}
	for _, f := range l.files {
		if r := f.newest(); r != nil && r.Record.Kind == promotion.RecordAuthorize {
			b.promised[r.pair()] = r
		}
	}
	if err := b.walk(ctx); err != nil {
		return nil, err
	}
	if foreign, err := b.foreign(); err != nil || foreign {
		return b, err
	}
	for _, part := range []func(context.Context) error{b.pinned, b.introduced, b.segments, b.rest} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// segments judges everything between the ledger's successive bases, and what is
// behind the newest.
func (b *baseWalk) segments(ctx context.Context) error {
	bases := slices.DeleteFunc(slices.Compact(slices.Clone(b.ledger.bases)), func(o oid) bool { return o == oid{} })
	if len(bases) == 0 {
		return nil // said with the trailers
	}
	newest := bases[len(bases)-1]
	if !b.reaches(newest) {
		f := Finding{
			Code: RefRewind, Object: b.report.Base.Ref, Expected: "a descendant of " + newest.String() + ", up to which the ledger is written",
			Found: b.head.String(),
		}
		if !b.reaches(bases[0]) {
			f.Found += ", which has nothing of the ledger's"
		}
		b.find(f)
		return nil
	}
	if past := b.ledger.past; past == nil {
		if err := b.initial(bases[0]); err != nil {
			return err
		}
		if err := b.found(); err != nil {
			return err
		}
	} else if witnessed, _ := parseOID(past.checkpoint.Base); len(b.ledger.initial) > 0 || !b.reaches(witnessed) {
		return errWhole
	}
	judging := progress.Begin(ctx, "judging the base branch", "stretches between records", len(bases))
	for i := 1; i < len(bases); i++ {
		if err := b.segment(ctx, bases[i-1], bases[i], false); err != nil {
			return err
		}
		judging.Add(1)
	}
	if err := b.segment(ctx, newest, b.head, true); err != nil {
		return err
	}
	b.leftover()
	if err := b.authorizations(len(b.line)); err != nil {
		return err
	}
	return b.recompute(ctx)
}

// rest judges what no step of the line brought up.
func (b *baseWalk) rest(ctx context.Context) error { return b.claims(ctx, len(b.line)) }

// pinned compares the ledger's first commit with the one that rung.yaml names.
func (b *baseWalk) pinned(context.Context) error {
	_, p, err := b.configured(b.head)
	if err != nil || p == nil || p.Ledger == "" {
		return err
	}
	if first := b.ledger.first(); p.Ledger != first {
		b.find(Finding{Code: LedgerReset, Object: b.report.Ledger.Ref, Expected: "first commit " + string(p.Ledger) + ", as rung.yaml says", Found: "first commit " + string(first)})
	}
	return nil
}

// step is one first-parent commit with the one before it.
type step struct {
	before, after *commit
	// end is the configuration at the end of the step's segment.
	end *promotion.Pipeline
}

// segment judges the base commits between two values of Promotion-Base, or
// those behind the newest.
func (b *baseWalk) segment(ctx context.Context, from, to oid, pending bool) error {
	commits, ok := b.between(from, to)
	if !ok {
		b.find(Finding{Code: RefRewind, Object: b.report.Base.Ref, Expected: "a descendant of " + from.String(), Found: to.String() + ", the ledger's next base"})
		return nil
	}
	if len(commits) == 0 {
		return nil
	}
	_, end, err := b.configured(to)
	if err != nil {
		return err
	}
	for _, id := range commits {
		if err := b.stop(ctx); err != nil {
			return err
		}
		s := step{end: end}
		if s.before, err = b.commit(from); err != nil {
			return err
		}
		if s.after, err = b.commit(id); err != nil {
			return err
		}
		if err := b.reachedBy(ctx, id); err != nil {
			return err
		}
		if pending {
			err = b.pending(s)
		} else {
			err = b.attested(s)
		}
		if err != nil {
			return err
		}
		b.report.Commits++
		if pending {
			b.unrecorded++
		}
		from = id
	}
	return nil
}

// reachedBy judges what only has to be judged before a step, or by its end, while
// what it needs is at hand: the commits that the step brought, and the authorize
// records that were judged up to here.
func (b *baseWalk) reachedBy(ctx context.Context, id oid) error {
	at, onLine := b.position[id]
	if !onLine {
		return b.claims(ctx, len(b.line))
	}
	if err := b.claims(ctx, at); err != nil {
		return err
	}
	return b.authorizations(at)
}

// between lists the first-parent commits behind from up to to, oldest first. A
// from that is an ancestor off that line makes one step.
func (b *baseWalk) between(from, to oid) ([]oid, bool) {
	if from == to {
		return nil, true
	}
	i, onLine := b.position[from]
	j, alsoOnLine := b.position[to]
	if onLine && alsoOnLine {
		if i > j {
			return nil, false
		}
		return b.line[i+1 : j+1], true
	}
	if _, there := b.parents[to]; !there {
		return nil, false
	}
	var commits []oid
	for at := to; ; at = b.parents[at][0] {
		if at == from {
			slices.Reverse(commits)
			return commits, true
		}
		commits = append(commits, at)
		if len(b.parents[at]) == 0 {
			break
		}
	}
	return []oid{to}, b.ancestors(to)[from]
}

// use is the configuration by which a step is judged: that of its first parent,
// or the newest usable one before it.
func (b *baseWalk) use(s step) (*promotion.Pipeline, error) {
	p, err := b.pipelineAt(s.before.tree)
	if err != nil {
		return nil, err
	}
	if p != nil {
		b.pipeline = p
	}
	if b.pipeline == nil && b.ledger.past != nil {
		return nil, errWhole // the one before it is not known
	}
	if b.pipeline == nil {
		b.pipeline = s.end
	}
	if b.pipeline == nil {
		b.find(Finding{Code: ConfigUnreadable, Object: s.before.id.String(), Expected: "a rung.yaml that says what the environments are", Found: "none that can be used"})
	}
	return b.pipeline, nil
}

// split sorts a step's changed paths: under an environment, and those that
// govern.
func split(changes []change, p *promotion.Pipeline) (touched, governing []change) {
	for _, ch := range changes {
		switch {
		case environmentOf(ch.path, p) != nil:
			touched = append(touched, ch)
		case governs(ch.path, p):
			governing = append(governing, ch)
		}
	}
	return touched, governing
}

// attested judges a step that the ledger says is recorded.
func (b *baseWalk) attested(s step) error {
	p, err := b.use(s)
	if err != nil || p == nil {
		return err
	}
	changes, err := b.diff(s.before.tree, s.after.tree)
	if err != nil {
		return err
	}
	if err := b.disguised(s, changes, p); err != nil {
		return err
	}
	touched, governing := split(changes, p)
	seen, err := b.placeChanges(touched, p)
	if err != nil {
		return err
	}
	records := b.ledger.landed[s.after.id]
	b.judged[s.after.id] = true
	byPair := map[promotion.Pair]*recorded{}
	var lands []*recorded
	mismatch := false
	for _, r := range records {
		pair := r.pair()
		if other := byPair[pair]; other != nil {
			b.about(s, pair, ChangeMismatch, "one record of the change", "a second in ledger commit "+r.commit.String())
			mismatch = true
			continue
		}
		byPair[pair] = r
		if r.Record.Kind == promotion.RecordLand {
			lands = append(lands, r)
		}
		ok, err := b.matches(s, r, seen[pair], changes)
		if err != nil {
			return err
		}
		mismatch = mismatch || !ok
	}
	for _, pair := range sortedPairs(seen) {
		if byPair[pair] == nil && !b.unrecordable(s) {
			b.about(s, pair, unrecorded(pair, lands), "a land or adopt record", changeWords(seen[pair]))
			mismatch = true
		}
	}
	if len(lands) == 0 {
		return nil
	}
	return b.landed(s, p, lands, changes, touched, governing, mismatch)
}

// unrecorded is the code of a pair that a step changes and no record of it names:
// rung reached beyond the environment that it promoted into, a promotion brought
// more along, or nothing is said at all.
func unrecorded(pair promotion.Pair, lands []*recorded) Code {
	here := func(r *recorded) bool { return r.Record.Environment == pair.Environment }
	ours := func(r *recorded) bool { return !r.Record.Landed.ByHand }
	switch {
	case len(lands) == 0:
		return UnattestedChange
	case slices.ContainsFunc(lands, ours) && !slices.ContainsFunc(lands, here):
		return PathScope
	}
	return ChangeMismatch
}

// unrecordable reports whether a step is a promotion whose records the ledger
// lost.
func (b *baseWalk) unrecordable(s step) bool {
	return b.lost[s.after.id] || slices.ContainsFunc(s.after.parents, func(id oid) bool { return b.lost[id] })
}

// pending judges a step that the ledger doesn't cover yet.
func (b *baseWalk) pending(s step) error {
	if len(b.ledger.landed[s.after.id]) > 0 {
		b.judged[s.after.id] = true
		b.find(Finding{Code: ChangeMismatch, Object: s.after.id.String(), Expected: "Promotion-Base at or behind the recorded commit", Found: "before it"})
		return nil
	}
	p, err := b.use(s)
	if err != nil || p == nil {
		return err
	}
	changes, err := b.diff(s.before.tree, s.after.tree)
	if err != nil {
		return err
	}
	if err := b.disguised(s, changes, p); err != nil {
		return err
	}
	touched, governing := split(changes, p)
	seen, err := b.placeChanges(touched, p)
	if err != nil {
		return err
	}
	if len(seen) == 0 {
		if len(touched)+len(governing) > 0 {
			b.find(Finding{Code: AdoptPending, Object: s.after.id.String(), Expected: "an adopt of configuration, soon", Found: clip(slices.Concat(touched, governing)[0].path)})
		}
		return nil
	}
	var places []promotion.PlaceChange
	promised := true
	for pair := range seen {
		r := b.promised[pair]
		if promised = promised && r != nil; r != nil {
			places = append(places, r.Record.Places...)
		}
	}
	if promised {
		code, _, err := b.exact(touched, places, p)
		if err != nil {
			return err
		}
		promised = code == ""
	}
	for _, pair := range sortedPairs(seen) {
		if promised {
			delete(b.promised, pair)
			b.about(s, pair, LandPending, "a land record, soon", changeWords(seen[pair]))
			continue
		}
		if b.unrecordable(s) {
			continue
		}
		b.about(s, pair, UnattestedChange, "an open authorize that promises it", changeWords(seen[pair]))
	}
	return nil
}

// initial compares what was adopted when the ledger began with the files.
func (b *baseWalk) initial(at oid) error {
	c, p, err := b.configured(at)
	if err != nil {
		return err
	}
	if p == nil {
		b.find(Finding{Code: ConfigUnreadable, Object: at.String(), Expected: "a rung.yaml where the ledger begins", Found: "none that can be used"})
		return nil
	}
	b.pipeline = p
	all, err := b.allPlaces(c.tree, p)
	if err != nil {
		return err
	}
	s := step{after: c}
	for _, r := range b.ledger.initial {
		if r.at != 0 {
			continue // judged by found
		}
		if !samePlaces(r.Record.Places, all[r.pair()]) {
			b.about(s, r.pair(), ChangeMismatch, "recorded: "+changeWords(r.Record.Places), "in the files: "+changeWords(all[r.pair()]))
		}
		delete(all, r.pair())
		if err := b.foundFiles(s, r); err != nil {
			return err
		}
	}
	for _, pair := range sortedPairs(all) {
		b.about(s, pair, UnattestedChange, "an adopt of what was found", changeWords(all[pair]))
	}
	return nil
}

// leftover finds records of commits that are not on the base branch.
func (b *baseWalk) leftover() {
	for id, records := range b.ledger.landed {
		if b.judged[id] {
			continue
		}
		code, found := RefRewind, "not in the base branch"
		if b.reaches(id) {
			code, found = ChangeMismatch, "not on its first-parent line since the ledger began"
		}
		for _, r := range records {
			b.find(Finding{Code: code, Object: id.String(), Environment: r.Record.Environment, Artifact: r.pair().Artifact, Expected: "a commit of the base branch", Found: found})
		}
	}
	for _, r := range b.ledger.ranges {
		for _, h := range []promotion.Hash{r.Record.Range.From, r.Record.Range.To} {
			if id, ok := parseOID(h); ok {
				if !b.reaches(id) {
					b.find(Finding{Code: RefRewind, Object: id.String(), Expected: "a commit of the base branch", Found: "not in the base branch, and ledger commit " + r.commit.String() + " adopts up to it"})
				}
			}
		}
	}
}

// about adds a finding about a step and a pair.
func (b *baseWalk) about(s step, pair promotion.Pair, code Code, expected, found string) {
	b.find(Finding{Code: code, Object: s.after.id.String(), Environment: pair.Environment, Artifact: pair.Artifact, Expected: clip(expected), Found: clip(found)})
}

func sortedPairs[T any](m map[promotion.Pair]T) []promotion.Pair {
	return slices.SortedFunc(maps.Keys(m), func(a, b promotion.Pair) int { return strings.Compare(a.String(), b.String()) })
}

func changeWords(changes []promotion.PlaceChange) string {
	if len(changes) == 0 {
		return "nothing"
	}
	c := changes[0]
	value := func(v promotion.Value) string { return strings.TrimSuffix(string(v.Version)+"@"+v.Digest.Short(), "@") }
	words := fmt.Sprintf("%s %s: %s to %s", c.Path, c.Locator, value(c.Before), value(c.After))
	if len(changes) > 1 {
		words += fmt.Sprintf(", and %d more", len(changes)-1)
	}
	return words
}
