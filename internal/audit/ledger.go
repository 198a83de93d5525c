package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gate/policy"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	lineagePath = "lineage.json"
	extension   = ".intoto.jsonl"
	// maxLedger is how many ledger commits are walked.
	maxLedger = 5_000_000
)

// recorded is a record with where it stands.
type recorded struct {
	*promotion.LedgerEntry
	path string
	// at is the index of its ledger commit.
	at     int
	commit oid
	// foreign is true for a record that doesn't belong where it stands.
	foreign bool
	// restates is true for an adopt that says again what stood there: a person
	// accepts what was changed by hand.
	restates bool
	// standing is what stood in the pair's open file when a land was written.
	standing *opened
	// again is true for a record whose statement stands somewhere else already.
	again bool
	// outcome is how a land or adopt settled.
	outcome string
	// signer is, of a rotate record, the root key that signed it.
	signer string
}

// citable reports whether other records may stand on this one: on what was
// released, or on who announced it.
func (r *recorded) citable() bool { return r.released() || r.Record.Kind == promotion.RecordAnnounce }

// released reports whether a record says what is live.
func (r *recorded) released() bool {
	return r.Record.Kind == promotion.RecordLand || r.Record.Kind == promotion.RecordAdopt
}

func (r *recorded) pair() promotion.Pair { return ledger.PairOf(r.Record) }

// recordFile is a record file as it stands. entries is nil where it could not
// be read.
type recordFile struct {
	blob    promotion.Hash
	data    []byte
	entries []*recorded
}

func (f *recordFile) newest() *recorded {
	if f == nil || len(f.entries) == 0 {
		return nil
	}
	return f.entries[len(f.entries)-1]
}

// lineage is lineage.json: whose ledger it is.
type lineage struct {
	Format     int            `json:"format"`
	Repository int64          `json:"repository"`
	App        int64          `json:"app"`
	First      promotion.Hash `json:"first,omitempty"`
}

// place is a statement in a record file.
type place struct{ path, statement string }

// link is a statement with the one that follows it there.
type link struct {
	place
	by string
}

// ledgerWalk is the ledger's past, read from its first commit on.
type ledgerWalk struct {
	*verifier
	// past is what stands before the checkpoint that the walk began at, which is
	// then the first of ids; nil where everything is walked.
	past  *earlier
	ids   []oid          // oldest first
	index map[oid]int    // of ids
	began promotion.Hash // the first of the ledger
	bases []oid          // Promotion-Base of each; zero where there is none

	keyring
	trust   trust // in force
	lineage lineage
	files   map[string]*recordFile
	spare   [][]byte // of files that were replaced
	// statements are the records so far that others may cite.
	statements map[string]*recorded
	// written is the index of the ledger commit with each statement; it outlives
	// statements.
	written map[string]int
	// links say which record follows another; followed are those that follower has sorted.
	links    []link
	followed map[place]string
	issued   time.Time
	bars     bars

	// What the base branch is held to.
	landed  map[oid][]*recorded // lands and adopts by landed commit
	initial []*recorded         // adopts of what was found, when the ledger began or later
	ranges  []*recorded
	// proposals are the propose records of each ledger commit.
	proposals  map[oid][]*proposal
	authorized []*authorized
	baseRef    string
	// uri is the repository's address, as the newest record says.
	uri   string
	words *words

	// Of Options.Recompute: what is judged again, how digests settled, and
	// compiled policies by their files.
	judgements []judgement
	outcomes   map[promotion.Artifact]map[promotion.Digest]map[promotion.Environment]string
	policies   map[string]policy.Set
}

// newLedgerWalk is a walk that has read nothing yet.
func newLedgerWalk(v *verifier) *ledgerWalk {
	return &ledgerWalk{
		verifier: v, words: newWords(), keyring: newKeyring(), index: map[oid]int{}, files: map[string]*recordFile{}, statements: map[string]*recorded{}, written: map[string]int{},
		bars: newBars(), landed: map[oid][]*recorded{}, proposals: map[oid][]*proposal{},
		outcomes: map[promotion.Artifact]map[promotion.Digest]map[promotion.Environment]string{}, policies: map[string]policy.Set{},
	}
}

// walkLedger reads the ledger from a tip.
func (v *verifier) walkLedger(ctx context.Context, tip oid) (*ledgerWalk, error) {
	l := newLedgerWalk(v)
	reading := progress.Begin(ctx, "reading the ledger", "commits", 0)
	for id := tip; ; {
		if err := v.stop(ctx); err != nil {
			return nil, err
		}
		c, err := v.skim(id)
		if err != nil {
			return nil, err
		}
		if len(l.ids) >= maxLedger {
			return nil, &objectError{ObjectUnreadable, id, fmt.Sprintf("more than %d ledger commits", maxLedger)}
		}
		l.ids = append(l.ids, id)
		reading.Add(1)
		v.aside.put(id, c.text)
		if len(c.parents) == 0 {
			break
		}
		if len(c.parents) > 1 {
			v.find(Finding{Code: LedgerNotLinear, Object: id.String(), Expected: "one parent", Found: fmt.Sprintf("%d parents", len(c.parents))})
		}
		id = c.parents[0]
	}
	slices.Reverse(l.ids)
	l.expect(len(l.ids))
	return l, l.follow(ctx, 0)
}

// expect makes room for so many ledger commits, with a record each: a table that grows
// is written again and again.
func (l *ledgerWalk) expect(commits int) {
	l.index, l.written = make(map[oid]int, commits), make(map[string]int, commits)
}

// follow judges the ledger's commits from one on.
func (l *ledgerWalk) follow(ctx context.Context, from int) error {
	var parent *commit
	var err error
	if from > 0 {
		if parent, err = l.commit(l.ids[from-1]); err != nil {
			return err
		}
	}
	judging := progress.Begin(ctx, "judging the ledger", "commits", len(l.ids)-from)
	for i := from; i < len(l.ids); i++ {
		l.index[l.ids[i]] = i
		if err := l.stop(ctx); err != nil {
			return err
		}
		c, err := l.fresh(l.ids[i])
		if err != nil {
			return err
		}
		if err := l.step(i, c, parent); err != nil {
			return err
		}
		parent = c
		judging.Add(1)
	}
	l.aside = aside{}
	if l.past == nil { // what only later records would ask for
		l.statements, l.followed, l.links, l.words, l.spare = nil, nil, nil, nil, nil
	}
	l.revoked()
	l.report.Trust = l.trustState()
	l.ground()
	return nil
}

// ledgerStep is one ledger commit under judgement.
type ledgerStep struct {
	*ledgerWalk
	i       int
	c       *commit
	added   []*recorded
	lifted  map[promotion.Digest]bool
	removed []string
	// changed are the files that this commit wrote.
	changed map[string]*recordFile
	// next is the trust that a statement in this commit puts in force.
	next *trust
	// broken is true when a record could not be read: the trailers can't be
	// compared then.
	broken bool
}

// step judges one ledger commit against the one before it.
func (l *ledgerWalk) step(i int, c, parent *commit) error {
	s := &ledgerStep{ledgerWalk: l, i: i, c: c, changed: map[string]*recordFile{}, lifted: map[promotion.Digest]bool{}}
	before := oid{}
	if parent != nil {
		before = parent.tree
	}
	changes, err := l.diff(before, c.tree)
	if err != nil {
		return err
	}
	if err := s.trustChanges(changes); err != nil {
		return err
	}
	s.signed()
	for _, ch := range changes {
		if err := s.change(ch); err != nil {
			return err
		}
	}
	s.identity()
	for _, r := range s.added {
		if _, r.again = l.written[r.Statement]; !r.again {
			l.written[r.Statement] = s.i
			if r.citable() {
				l.statements[r.Statement] = r
			}
		}
		if r.Record.Kind == promotion.RecordUnquarantine {
			s.lifted[r.Record.Digest] = true
		}
	}
	for _, r := range s.added {
		s.judge(r)
	}
	s.tell()
	s.dropped()
	s.trailers()
	s.commitTo()
	return nil
}

// change takes one changed path of the ledger's tree.
func (s *ledgerStep) change(ch change) error {
	if ch.after != (entry{}) && ch.after.mode != modeFile && !trustPath(ch.path) {
		s.find(Finding{Code: ObjectMalformed, Object: s.at(ch.path), Expected: "a plain file", Found: fmt.Sprintf("mode %o", ch.after.mode)})
		return nil
	}
	gone := ch.after == entry{}
	switch {
	case trustPath(ch.path):
		return nil // judged before the commit's signature was
	case ch.path == lineagePath && gone:
		s.find(Finding{Code: RecordDropped, Object: s.at(ch.path), Expected: "the ledger's lineage", Found: "removed"})
	case ch.path == lineagePath:
		return s.takeLineage(ch)
	case !recordPath(ch.path):
		s.find(Finding{Code: RecordUnknown, Object: s.at(ch.path), Expected: "a path that this rung knows", Found: "an unknown file: use a newer rung"})
	case gone:
		s.removed = append(s.removed, ch.path)
	default:
		return s.records(ch)
	}
	return nil
}

func (s *ledgerStep) at(path string) string { return s.c.id.String() + ":" + clip(path) }

// recordPath reports whether a path is one where records stand.
func recordPath(path string) bool {
	top, rest, below := strings.Cut(path, "/")
	if !strings.HasSuffix(path, extension) {
		return false
	}
	switch top {
	case "live", "open", "announced":
		return strings.Count(rest, "/") == 1
	case "quarantine":
		return below && !strings.Contains(rest, "/")
	case "freezes":
		return below && strings.Count(rest, "/") <= 1
	}
	return path == ledger.RangePath
}

// takeLineage reads lineage.json, in its one form.
func (s *ledgerStep) takeLineage(ch change) error {
	data, err := s.read(ch.after.id, kindBlob)
	if err != nil {
		return err
	}
	var l lineage
	canonical := false
	if err := json.Unmarshal(data, &l); err == nil {
		again, err := json.Marshal(l)
		canonical = err == nil && bytes.Equal(append(again, '\n'), data)
	}
	switch {
	case !canonical:
		s.find(Finding{Code: RepoMismatch, Object: s.at(ch.path), Expected: "a lineage in its one form", Found: clip(string(data))})
		return nil
	case l.Format != 1:
		s.find(Finding{Code: RecordUnknown, Object: s.at(ch.path), Expected: "lineage format 1", Found: fmt.Sprintf("format %d: use a newer rung", l.Format)})
		return nil
	case s.i > 0 && (l.Repository != s.lineage.Repository || l.App != s.lineage.App):
		s.find(Finding{
			Code: RepoMismatch, Object: s.at(ch.path), Expected: fmt.Sprintf("repository %d, App %d", s.lineage.Repository, s.lineage.App),
			Found: fmt.Sprintf("repository %d, App %d", l.Repository, l.App),
		})
		return nil
	}
	s.lineage = l
	return nil
}

// identity checks that the ledger still says where it began.
func (s *ledgerStep) identity() {
	want := promotion.Hash("")
	if s.i > 0 {
		want = s.first()
	}
	switch {
	case s.lineage.Format == 0 && s.i == 0:
		s.find(Finding{Code: RepoMismatch, Object: s.c.id.String(), Expected: "a file lineage.json", Found: "none"})
	case s.lineage.Format != 0 && s.lineage.First != want:
		s.find(Finding{Code: LedgerReset, Object: s.at(lineagePath), Expected: "first commit " + string(want), Found: "first commit " + string(s.lineage.First)})
	}
}

// records reads a record file that was written or replaced.
func (s *ledgerStep) records(ch change) error {
	old := s.stands(ch.path)
	data, err := s.look(ch.after.id, kindBlob)
	if err != nil {
		return err
	}
	file := &recordFile{blob: ch.after.id.hash(), data: s.own(data)}
	s.changed[ch.path] = file
	decoder := ledger.Decoder{Keys: s.keysToRead(), Verify: s.signatures.plain}
	entries, read := decodeBehind(old, data, decoder)
	if !read {
		var problem *Finding
		if entries, problem = decodeRecords(data, decoder); problem != nil {
			problem.Object = s.at(ch.path)
			s.find(*problem)
			s.broken = true
			return nil
		}
	}
	kept := 0
	if old != nil && old.entries != nil && bytes.HasPrefix(data, old.data) {
		kept = len(old.entries)
		file.entries = slices.Clone(old.entries)
	}
	if kept >= len(entries) {
		s.find(Finding{Code: ChainBreak, Object: s.at(ch.path), Expected: "a new record", Found: "a file that says nothing new"})
		s.broken = true
		return nil
	}
	s.lineKeys(ch.path, newSigners(data, old, kept))
	for _, e := range entries[kept:] {
		e.Blob = file.blob
		r := &recorded{LedgerEntry: e, path: s.words.word(ch.path), at: s.i, commit: s.c.id}
		file.entries = append(file.entries, r)
		s.added = append(s.added, r)
	}
	return nil
}

// dropped judges the record files that were taken out: only a land may take the
// open file of its own pair, and must, and only a newer announcement may take the
// oldest.
func (s *ledgerStep) dropped() {
	closed := map[string]bool{}
	for _, r := range s.added {
		if r.Record.Kind == promotion.RecordLand {
			closed[ledger.OpenPath(r.pair())] = true
		}
	}
	for _, path := range s.removed {
		if closed[path] {
			delete(closed, path)
			continue
		}
		if s.outdated(path) {
			continue
		}
		code := RecordDropped
		if strings.HasPrefix(path, "quarantine/") {
			code = QuarantineDropped
		}
		f := Finding{Code: code, Object: s.at(path), Expected: "a record that stays", Found: "removed"}
		if r := s.stands(path).newest(); r != nil {
			f.Environment, f.Artifact = r.pair().Environment, r.pair().Artifact
		}
		s.find(f)
	}
	for path := range closed {
		if s.stands(path) != nil && s.changed[path] == nil {
			s.find(Finding{Code: ChainBreak, Object: s.at(path), Expected: "no open record of a promotion that landed", Found: "it still stands"})
		}
	}
}

// commitTo makes the step's records part of the past.
func (s *ledgerStep) commitTo() {
	for path, f := range s.changed {
		s.replace(path, f)
	}
	for _, path := range s.removed {
		s.replace(path, nil)
	}
	for _, r := range s.added {
		s.keep(r)
	}
	if s.next != nil {
		s.trust = *s.next
		s.enforce(s.trust, s.i)
	}
	s.report.Commits++
}

// replace puts a record file in the place of what stood there.
func (s *ledgerStep) replace(path string, f *recordFile) {
	old := s.files[path]
	s.slim(old, f)
	if old != nil && s.past == nil { // the past's may be read again
		s.spare, old.data = append(s.spare, old.data), nil
	}
	s.files[path] = f
}

// own is a copy of a record file's bytes, in memory that a replaced one left.
func (l *ledgerWalk) own(data []byte) []byte {
	var room []byte
	if last := len(l.spare) - 1; last >= 0 {
		room, l.spare = l.spare[last], l.spare[:last]
	}
	return append(room[:0], data...)
}

// keep remembers what later records and the base branch are held to.
func (s *ledgerStep) keep(r *recorded) {
	rec := &r.Record
	s.report.Records++
	if r.foreign {
		return
	}
	if rec.IssuedAt.After(s.issued) && rec.Kind != promotion.RecordRotate { // its clock is another
		s.issued = rec.IssuedAt
	}
	s.uri = rec.Repository.URI
	if rec.Base.Ref != "" {
		s.baseRef = rec.Base.Ref
	}
	s.witness(r)
	switch rec.Kind {
	case promotion.RecordPropose:
		s.proposals[r.commit] = append(s.proposals[r.commit], s.proposal(rec))
		return
	case promotion.RecordAuthorize:
		s.authorized = append(s.authorized, s.authorization(r))
		return
	case promotion.RecordQuarantine, promotion.RecordUnquarantine:
		s.bars.put(*rec)
		return
	case promotion.RecordAdopt:
		if r.restates {
			return
		}
		if rec.Artifact == nil {
			s.ranges = append(s.ranges, r)
			s.report.Configuration++
			return
		}
		s.report.Releases++
	case promotion.RecordLand:
		s.report.Releases++
		if rec.Restores != "" {
			s.report.Rollbacks++
		} else {
			s.report.Promotions++
		}
	default:
		return
	}
	if rec.Landed == nil {
		if rec.Kind == promotion.RecordAdopt {
			s.initial = append(s.initial, r)
		}
		return
	}
	if id, ok := parseOID(rec.Landed.Commit); ok {
		s.landed[id] = append(s.landed[id], r)
	}
}

// live is the artifact of a pair's newest land or adopt.
func (l *ledgerWalk) live(p promotion.Pair) *promotion.RecordArtifact {
	if f := l.stands(ledger.LivePath(p)); f != nil && len(f.entries) > 0 {
		return f.entries[0].Record.Artifact
	}
	return nil
}
