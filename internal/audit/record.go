package audit

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// pathOf is the file that a record belongs to, and whether it is added behind
// what stands there; an empty path for a kind that this rung doesn't know.
func pathOf(r *promotion.Record) (path string, behind bool) {
	switch r.Kind {
	case promotion.RecordLand:
		return ledger.LivePath(ledger.PairOf(*r)), false
	case promotion.RecordAdopt:
		if r.Artifact == nil {
			return ledger.RangePath, false
		}
		return ledger.LivePath(ledger.PairOf(*r)), false
	case promotion.RecordSettle:
		return ledger.LivePath(ledger.PairOf(*r)), true
	case promotion.RecordPropose, promotion.RecordAuthorize, promotion.RecordWithdraw:
		return ledger.OpenPath(ledger.PairOf(*r)), false
	case promotion.RecordQuarantine, promotion.RecordUnquarantine:
		return ledger.QuarantinePath(r.Digest), false
	case promotion.RecordFreeze, promotion.RecordUnfreeze:
		return ledger.FreezePath(r.Scope), false
	case promotion.RecordRotate:
		return ledger.TrustPath, false
	case promotion.RecordAnnounce:
		return ledger.AnnouncedPath(r.Artifact.Name, r.Artifact.Version), false
	}
	return "", false
}

// say adds a finding about a record.
func (s *ledgerStep) say(r *recorded, code Code, expected, found string) {
	s.find(Finding{
		Code: code, Object: s.at(r.path), Environment: r.Record.Environment, Artifact: r.pair().Artifact,
		Expected: clip(expected), Found: clip(found), At: r.Record.IssuedAt,
	})
}

// judge holds one new record to the rules. One that doesn't belong where it
// stands is not believed.
func (s *ledgerStep) judge(r *recorded) {
	rec := &r.Record
	path, behind := pathOf(rec)
	r.foreign = true
	switch {
	case path == "":
		s.say(r, RecordUnknown, "a kind that this rung knows", fmt.Sprintf("%s: use a newer rung", rec.Kind))
		return
	case rec.Repository.ID != s.lineage.Repository || rec.Repository.App != s.lineage.App:
		s.say(r, RepoMismatch, fmt.Sprintf("repository %d, App %d", s.lineage.Repository, s.lineage.App), fmt.Sprintf("repository %d, App %d", rec.Repository.ID, rec.Repository.App))
		return
	case path != r.path:
		s.say(r, ChainBreak, "a record that belongs here", "one that belongs at "+path)
		return
	case r.again:
		s.say(r, ChainBreak, "a new record", "one that stands in ledger commit "+s.ids[s.written[r.Statement]].String())
		return
	}
	r.foreign = false
	if rec.Kind == promotion.RecordRotate {
		return // judged with the trust list
	}
	if !s.chained(r, behind) {
		return
	}
	if rec.IssuedAt.Before(s.issued) {
		s.say(r, ClockRegression, "issued no earlier than "+s.issued.Format("2006-01-02T15:04:05Z"), rec.IssuedAt.Format("2006-01-02T15:04:05Z"))
	}
	s.promoted(r)
	s.cited(r)
	s.announced(r)
}

// chained checks that a record follows the one that stood before it.
func (s *ledgerStep) chained(r *recorded, behind bool) bool {
	file := s.changed[r.path]
	n := slices.Index(file.entries, r)
	if behind != (n > 0) || n > 1 {
		s.say(r, ChainBreak, "one record, and a settle behind a live one", fmt.Sprintf("a %s record on line %d", r.Record.Kind, n+1))
		return false
	}
	link := r.Record.Previous
	if behind {
		if link == nil || link.Statement != file.entries[n-1].Statement || link.Blob != "" {
			s.say(r, s.breakOrFork(r), "previous "+file.entries[n-1].Statement, linkWords(link))
			return false
		}
		return s.follow(r, file.entries[n-1].Statement)
	}
	old := s.stands(r.path)
	there := old != nil
	switch {
	case there && old.entries == nil:
		return true // what stood there could not be read, and was said
	case there:
		if link == nil || link.Statement != old.newest().Statement || link.Blob != old.blob {
			s.say(r, s.breakOrFork(r), "previous "+old.newest().Statement, linkWords(link))
			return false
		}
		return s.follow(r, old.newest().Statement)
	case r.Record.Kind == promotion.RecordPropose:
		return s.followsLive(r)
	case link != nil:
		s.say(r, s.breakOrFork(r), "no previous record", linkWords(link))
		return false
	}
	return true
}

// followsLive checks the propose of a pair with nothing open: it goes on from
// what is live, before this commit or by it.
func (s *ledgerStep) followsLive(r *recorded) bool {
	link := r.Record.Previous
	path := ledger.LivePath(r.pair())
	expected := "no previous record"
	for _, f := range []*recordFile{s.changed[path], s.stands(path)} {
		newest := f.newest()
		if f != nil && newest == nil {
			return true // it could not be read, and was said
		}
		if newest == nil {
			continue
		}
		if link != nil && link.Statement == newest.Statement && link.Blob == f.blob {
			return true
		}
		expected = "previous " + newest.Statement
	}
	if link == nil && s.stands(path) == nil {
		return true
	}
	s.say(r, s.breakOrFork(r), expected, linkWords(link))
	return false
}

// breakOrFork tells a fork from a break: another record of the same file already
// follows the one that r names.
func (s *ledgerStep) breakOrFork(r *recorded) Code {
	if link := r.Record.Previous; link != nil {
		if other := s.follower(place{r.path, link.Statement}); other != "" && other != r.Statement {
			return ChainFork
		}
	}
	return ChainBreak
}

// follow remembers that r follows a statement in its file.
func (s *ledgerStep) follow(r *recorded, statement string) bool {
	s.links = append(s.links, link{place{r.path, statement}, r.Statement})
	return true
}

// follower is the statement that follows another one. It is asked for where a chain is
// broken, so that nothing is looked up before.
func (l *ledgerWalk) follower(of place) string {
	if l.followed == nil {
		l.followed = map[place]string{}
	}
	for _, k := range l.links {
		l.followed[k.place] = k.by
	}
	l.links = l.links[:0]
	return l.followed[of]
}

func linkWords(l *promotion.RecordLink) string {
	if l == nil {
		return "no previous record"
	}
	return "previous " + l.Statement + " in blob " + string(l.Blob)
}

// bars are the newest quarantine or unquarantine of each digest.
type bars struct {
	of map[promotion.Digest]promotion.Record
	// parents are the digests whose quarantine bars one with it.
	parents map[promotion.Digest][]promotion.Digest
}

func newBars() bars {
	return bars{map[promotion.Digest]promotion.Record{}, map[promotion.Digest][]promotion.Digest{}}
}

func (b bars) put(r promotion.Record) {
	b.of[r.Digest] = r
	for _, child := range r.Children {
		if !slices.Contains(b.parents[child], r.Digest) {
			b.parents[child] = append(b.parents[child], r.Digest)
		}
	}
}

// over returns the quarantine that stands over a digest: its own, or one that names
// it among its children.
func (b bars) over(d promotion.Digest, lifted map[promotion.Digest]bool) (promotion.Record, bool) {
	if q, known := b.of[d]; known && q.Kind == promotion.RecordQuarantine && !lifted[d] {
		return q, true
	}
	for _, parent := range b.parents[d] {
		if q := b.of[parent]; q.Kind == promotion.RecordQuarantine && !lifted[parent] && slices.Contains(q.Children, d) {
			return q, true
		}
	}
	return promotion.Record{}, false
}

// barred returns the quarantine that stood over a digest before this commit and
// is not lifted by it.
func (s *ledgerStep) barred(d promotion.Digest) (promotion.Record, bool) {
	if d == "" {
		return promotion.Record{}, false
	}
	return s.bars.over(d, s.lifted)
}

// promoted judges the records of a promotion's life.
func (s *ledgerStep) promoted(r *recorded) {
	rec := &r.Record
	open := s.stands(ledger.OpenPath(r.pair())).newest()
	live := s.changed[r.path].entries[0]
	switch rec.Kind {
	case promotion.RecordPropose:
		s.bar(r)
		s.inputs(r, nil)
	case promotion.RecordAuthorize:
		s.bar(r)
		s.inputs(r, open)
		if !sameOpen(open, rec) {
			s.say(r, ChainBreak, "an open propose of the same promotion", standingWords(open))
			return
		}
		s.blamed(r, open)
	case promotion.RecordLand:
		r.standing = openedBy(open)
		s.land(r, open)
		s.inputs(r, open)
		s.repeated(r, open)
		s.blamed(r, open)
	case promotion.RecordSettle:
		if a := live.Record.Artifact; a == nil || a.Digest != rec.Artifact.Digest || a.Version != rec.Artifact.Version {
			s.say(r, ArtifactMismatch, "the artifact that is live", artifactWords(rec.Artifact))
			return
		}
		live.outcome = rec.Outcome
	case promotion.RecordAdopt:
		if rec.Artifact == nil {
			return
		}
		if r.restates = restates(rec, s.stands(r.path)); r.restates || rec.Landed == nil {
			return
		}
		s.byHand(r)
		if _, barred := s.barred(rec.Artifact.Digest); barred {
			s.say(r, Override, "no quarantined digest", artifactWords(rec.Artifact)+", put there by hand")
		}
	}
}

// restates reports whether an adopt says what the one that stood there said.
func restates(r *promotion.Record, old *recordFile) bool {
	if old == nil || len(old.entries) == 0 {
		return false
	}
	was := &old.entries[0].Record
	return was.Kind == promotion.RecordAdopt && was.Restores == r.Restores && samePlaces(was.Places, r.Places) &&
		reflect.DeepEqual(was.Artifact, r.Artifact) && reflect.DeepEqual(was.Landed, r.Landed)
}

// sameOpen reports whether the open record is of the same promotion and not
// withdrawn.
func sameOpen(open *recorded, r *promotion.Record) bool {
	return open != nil && open.Record.Kind != promotion.RecordWithdraw && open.Record.Promotion == r.Promotion &&
		open.Record.Artifact.Digest == r.Artifact.Digest && open.Record.Restores == r.Restores && open.Record.Reverts == r.Reverts
}

func standingWords(r *recorded) string {
	if r == nil {
		return "nothing open"
	}
	return fmt.Sprintf("%s of promotion %s, %s", r.Record.Kind, r.Record.Promotion, artifactWords(r.Record.Artifact))
}

func artifactWords(a *promotion.RecordArtifact) string {
	if a == nil {
		return "no artifact"
	}
	return fmt.Sprintf("%s %s %s", a.Name, a.Version, a.Digest)
}

// bar refuses the promotion of a quarantined digest.
func (s *ledgerStep) bar(r *recorded) {
	if q, barred := s.barred(r.Record.Artifact.Digest); barred {
		s.say(r, Quarantined, "no digest that is quarantined", artifactWords(r.Record.Artifact)+": "+q.Reason)
	}
}

// land judges a land record against what was authorised.
func (s *ledgerStep) land(r *recorded, open *recorded) {
	rec := &r.Record
	if rec.Landed.ByHand {
		if !sameOpen(open, rec) {
			s.say(r, ChainBreak, "an open propose of the same promotion", standingWords(open))
		}
		if q, barred := s.barred(rec.Artifact.Digest); barred {
			s.say(r, Override, "no digest that is quarantined", artifactWords(rec.Artifact)+", merged by hand: "+q.Reason)
		}
		if len(rec.Landed.Unmet) > 0 {
			s.say(r, Override, "every gate met", fmt.Sprintf("merged by %s against %v", personWords(rec.Actor), rec.Landed.Unmet))
		}
	} else {
		s.bar(r)
		switch {
		case !sameOpen(open, rec) || open.Record.Kind != promotion.RecordAuthorize:
			s.say(r, AuthorizeMissing, "a standing authorize of the same promotion", standingWords(open))
		case headOf(rec) != headOf(&open.Record):
			s.say(r, HeadMismatch, "head "+string(headOf(&open.Record)), "head "+string(headOf(rec)))
		}
	}
	for _, c := range rec.Places {
		if rec.Restores == "" && !holds(c.After, rec.Artifact) {
			s.say(r, ArtifactMismatch, artifactWords(rec.Artifact), fmt.Sprintf("%s %s holds %s %s", c.Path, c.Locator, c.After.Version, c.After.Digest))
			return
		}
	}
}

func personWords(a promotion.Actor) string {
	if a.Login == "" {
		return "a person"
	}
	return a.Login
}

func headOf(r *promotion.Record) promotion.Hash {
	if r.PullRequest == nil {
		return ""
	}
	return r.PullRequest.Head
}

// holds reports whether a place's value is an artifact's, as far as it says.
func holds(v promotion.Value, a *promotion.RecordArtifact) bool {
	if v.Digest != "" && a.Digest != "" {
		return v.Digest == a.Digest
	}
	return v.Version != "" && v.Version == a.Version
}

// byHand lists a version that people changed.
func (s *ledgerStep) byHand(r *recorded) {
	rec := &r.Record
	h := HandChange{
		Commit: rec.Landed.Commit, Environment: rec.Environment, Artifact: rec.Artifact.Name, Person: clip(rec.Actor.Login),
		Value: promotion.Value{Version: rec.Artifact.Version, Digest: rec.Artifact.Digest}, Reason: clip(rec.Reason), At: rec.IssuedAt,
	}
	if rec.PullRequest != nil {
		h.PullRequest = rec.PullRequest.Number
	}
	s.report.ByHand = append(s.report.ByHand, h)
}

// climbsFrom is the record that a version climbs from, or nil.
func (s *ledgerStep) climbsFrom(rec *promotion.Record) *recorded {
	return s.citesPair(rec.From.Statement, promotion.Pair{Environment: rec.From.Environment, Artifact: ledger.PairOf(*rec).Artifact})
}

// cited checks the records that a record names: what a rollback restores, and
// where a version climbs from.
func (s *ledgerStep) cited(r *recorded) {
	rec := &r.Record
	if rec.Restores != "" {
		s.restored(r)
	}
	if rec.Reverts != "" {
		change := s.citesPair(rec.Reverts, r.pair())
		if change == nil || change.Record.Kind != promotion.RecordAdopt || change.Record.Landed == nil || change.pair() != r.pair() || rec.Restores == "" {
			s.say(r, RollbackTarget, "a change by hand of this pair, and what stood before it", "reverts "+rec.Reverts+", restores "+rec.Restores)
		}
	}
	if rec.From != nil {
		from := s.climbsFrom(rec)
		if from == nil || !from.released() || from.Record.Environment != rec.From.Environment || rec.Artifact == nil || from.pair().Artifact != rec.Artifact.Name ||
			from.Record.Artifact.Digest != rec.Artifact.Digest {
			s.say(r, ChainBreak, fmt.Sprintf("the record in %s that it climbs from", rec.From.Environment), rec.From.Statement)
			return
		}
		s.blamed(r, from)
	}
}
