package audit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// errWhole says that a run from a checkpoint can't do without what stands before
// it: everything is verified then.
var errWhole = errors.New("the past before the checkpoint is needed")

// earlier is what stands before a checkpoint, read as far as new records ask for
// it. It was verified; nothing in it is judged again.
type earlier struct {
	checkpoint *Checkpoint
	tip        *commit // of the ledger
	recorded   oid     // of the base
	// ledger and base are the commits that were looked through so far, and the
	// queues what comes next.
	ledger, base           map[oid]bool
	ledgerQueue, baseQueue []oid
	// doubt is true when something can only be judged on all there is.
	doubt bool
	// blobs are record files by their blob.
	blobs map[oid]*recordFile
}

// resume begins a walk behind a checkpoint: with the ledger's commits since, and
// everything else as it stood. It returns errWhole where that can't be done.
func (v *verifier) resume(ctx context.Context, c *Checkpoint, tip oid) (*ledgerWalk, error) {
	at, _ := parseOID(c.Ledger)
	recorded, _ := parseOID(c.Recorded)
	p := &earlier{checkpoint: c, recorded: recorded, ledger: map[oid]bool{}, base: map[oid]bool{}, ledgerQueue: []oid{at}, baseQueue: []oid{recorded}, blobs: map[oid]*recordFile{}}
	l := newLedgerWalk(v)
	l.past = p
	for id := tip; id != at; {
		if err := v.stop(ctx); err != nil {
			return nil, err
		}
		c, err := v.skim(id)
		if err != nil || len(c.parents) != 1 {
			return nil, errors.Join(errWhole, err)
		}
		l.ids = append(l.ids, id)
		v.aside.put(id, c.text)
		id = c.parents[0]
	}
	l.ids = append(l.ids, at)
	slices.Reverse(l.ids)
	var err error
	if p.tip, err = v.commit(at); err != nil {
		return nil, err
	}
	if err := l.recall(); err != nil {
		return nil, err
	}
	return l, l.follow(ctx, 1)
}

// recall takes up the trust, the lineage and the counts of a checkpoint.
func (l *ledgerWalk) recall() error {
	c, tree := l.past.checkpoint, l.past.tip.tree
	s := &ledgerStep{ledgerWalk: l, c: l.past.tip, i: 1}
	all, err := c.readable()
	if err != nil {
		return err
	}
	data, there, err := s.file(ledger.SignersPath)
	if err != nil || !there {
		return errors.Join(errWhole, err)
	}
	if l.trust, err = newTrust(data); err != nil {
		return errWhole
	}
	if line, stated, err := s.file(ledger.TrustPath); err != nil {
		return err
	} else if stated {
		e, _, peekErr := ledger.PeekRotate(line[:max(len(line)-1, 0)])
		list, listErr := ledger.TrustOf(e.Record)
		at, err := l.lookup(tree, ledger.TrustPath)
		if peekErr != nil || listErr != nil || err != nil {
			return errors.Join(errWhole, err)
		}
		e.Blob = at.id.hash()
		l.trust = trustIn(list)
		l.trust.standing = &e
	}
	l.index[l.ids[0]] = 0
	l.enforce(all, -1)
	l.enforce(l.trust, -1)
	l.dates = append(l.dates, later(l.past.tip.committed(), c.IssuedAt))
	l.bases = append(l.bases, l.past.recorded)
	l.lineage = lineage{Format: 1, Repository: c.Repository, App: c.App, First: c.First}
	if l.ids[0].hash() == c.First {
		l.lineage.First = "" // its own is not named in it
	}
	l.issued, l.baseRef, l.report.Root = c.IssuedAt, c.BaseRef, c.Root
	return l.recallBars()
}

// recallBars reads all quarantines, for any of them may bar what comes, and what
// is open, for an authorize record promises what lands.
func (l *ledgerWalk) recallBars() error {
	if err := errors.Join(l.remember("quarantine/"), l.remember("open/")); err != nil {
		return err
	}
	for path, f := range l.files {
		if strings.HasPrefix(path, "quarantine/") {
			if f.newest() == nil {
				return errWhole
			}
			l.bars.put(f.newest().Record)
		}
	}
	return nil
}

// remember reads the record files that stood in a directory at the checkpoint.
func (l *ledgerWalk) remember(dir string) error {
	if l.past == nil {
		return nil
	}
	files, err := l.objects.files(l.past.tip.tree, strings.TrimSuffix(dir, "/"))
	if err != nil {
		l.past.doubt = true
	}
	for _, f := range files {
		l.stands(f.path)
	}
	return err
}

// stands is the record file that stands at a path before the commit under
// judgement; nil where there is none.
func (l *ledgerWalk) stands(path string) *recordFile {
	f, known := l.files[path]
	if known || l.past == nil {
		return f
	}
	e, err := l.lookup(l.past.tip.tree, path)
	if err != nil {
		l.past.fail(l, err)
		return nil
	}
	if e.regular() {
		f = l.past.file(l, path, e.id)
	}
	l.files[path] = f
	return f
}

// fail notes that the past could not be read.
func (p *earlier) fail(l *ledgerWalk, err error) {
	l.find(Finding{Code: ObjectUnreadable, Object: l.past.tip.id.String(), Found: clip(err.Error())})
}

// file reads a record file of the past.
func (p *earlier) file(l *ledgerWalk, path string, blob oid) *recordFile {
	if f, done := p.blobs[blob]; done {
		return f
	}
	data, err := l.read(blob, kindBlob)
	if err != nil {
		p.fail(l, err)
		return nil
	}
	f := &recordFile{blob: blob.hash(), data: data}
	entries, problem := decodeRecords(data, ledger.Decoder{Keys: l.readable, Verify: l.signatures.plain})
	if problem != nil {
		p.fail(l, errors.New(problem.Found))
		return nil
	}
	for n, e := range entries {
		e.Blob = f.blob
		f.entries = append(f.entries, &recorded{LedgerEntry: e, path: path, commit: p.tip.id})
		if n > 0 && e.Record.Kind == promotion.RecordSettle {
			f.entries[0].outcome = e.Record.Outcome
		}
	}
	p.blobs[blob] = f
	return f
}

// cites finds the record with a statement: one that this run read, or one that
// stands at one of the paths or in the chain before it.
func (l *ledgerWalk) cites(statement string, paths ...string) *recorded {
	if r := l.statements[statement]; r != nil || l.past == nil || statement == "" {
		return r
	}
	for _, path := range paths {
		for f := l.stands(path); f != nil && len(f.entries) > 0; {
			for _, r := range f.entries {
				if r.Statement == statement {
					return r
				}
			}
			link := f.entries[0].Record.Previous
			if link == nil {
				break
			}
			blob, ok := parseOID(link.Blob)
			if !ok {
				break
			}
			f = l.past.file(l, path, blob)
		}
	}
	return nil
}

// citesPair is cites in what is live and open of pairs.
func (l *ledgerWalk) citesPair(statement string, pairs ...promotion.Pair) *recorded {
	var paths []string
	for _, p := range pairs {
		if l.past == nil {
			break // all are at hand
		}
		paths = append(paths, ledger.LivePath(p), ledger.OpenPath(p))
	}
	return l.cites(statement, paths...)
}

// holds reports whether a commit is in the ledger.
func (l *ledgerWalk) holds(id oid) bool {
	if _, there := l.index[id]; there || l.past == nil {
		return there
	}
	return l.past.reached(l.objects, id, l.past.ledger, &l.past.ledgerQueue)
}

// proposed are the propose records of a ledger commit.
func (l *ledgerWalk) proposedIn(id oid) ([]*proposal, error) {
	if _, there := l.index[id]; there && (l.past == nil || l.index[id] > 0) {
		return l.proposals[id], nil
	}
	c, err := l.commit(id)
	if err != nil || len(c.parents) != 1 {
		return nil, err
	}
	parent, err := l.commit(c.parents[0])
	if err != nil {
		return nil, err
	}
	changes, err := l.diff(parent.tree, c.tree)
	if err != nil {
		return nil, err
	}
	var found []*proposal
	for _, ch := range changes {
		if !strings.HasPrefix(ch.path, "open/") || !ch.after.regular() {
			continue
		}
		if f := l.past.file(l, ch.path, ch.after.id); f.newest() != nil && f.newest().Record.Kind == promotion.RecordPropose {
			found = append(found, l.proposal(&f.newest().Record))
		}
	}
	return found, nil
}

// reached looks for a commit among those that a queue reaches, nearest first.
func (p *earlier) reached(o *objects, id oid, seen map[oid]bool, queue *[]oid) bool {
	for !seen[id] && len(*queue) > 0 {
		at := (*queue)[0]
		*queue = (*queue)[1:]
		if seen[at] {
			continue
		}
		seen[at] = true
		c, err := o.commit(at)
		if err != nil {
			return false
		}
		*queue = append(*queue, c.parents...)
	}
	return seen[id]
}

// besidePast judges the signature of a commit of the base branch that cites the
// ledger as it was before the checkpoint: by the trust that stood there, at a date
// no earlier than that of what it cites. Where another list was in force then,
// everything has to be walked.
func (l *ledgerWalk) besidePast(c *commit) (Code, string, sign.PublicKey) {
	since := time.Time{}
	if t, err := ledger.ParseTrailers(c.message); err == nil && t != nil {
		if at, ok := parseOID(t.Ledger); ok && l.holds(at) {
			cited, err := l.commit(at)
			if err != nil {
				l.past.fail(l, err)
				return SigInvalid, clip(err.Error()), sign.PublicKey{}
			}
			since = cited.committed()
		}
	}
	code, found, signer := l.trust.judge(c, since)
	if code != "" && code != SigMissing && code != SigType {
		l.past.doubt = true
	}
	return code, found, signer
}

// first is the ledger's first commit.
func (l *ledgerWalk) first() promotion.Hash {
	if l.past != nil {
		return l.past.checkpoint.First
	}
	if l.began == "" {
		l.began = l.ids[0].hash()
	}
	return l.began
}
