package audit

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// trustPath reports whether a path of the ledger's tree is the trust list's.
func trustPath(path string) bool {
	return path == ledger.SignersPath || path == ledger.TrustPath || path == ledger.RevocationsPath
}

// keyring is the ledger's trust as it went: which list was in force where, and
// what each key signed.
type keyring struct {
	// lists are the trust lists, from is the ledger commit behind which each is in
	// force (-1: from the first commit on).
	lists []trust
	from  []int
	// readable are all release keys that ever were on a list: what they signed in
	// their time stays.
	readable ledger.Keys
	// signed says which ledger commits a key signed, or put a record in, by its
	// fingerprint; dates are the commits' effective times.
	signed map[string][]int
	prints map[sign.PublicKey]string
	dates  []time.Time
	// rotations are the statements that held.
	rotations []TrustChange
}

func newKeyring() keyring {
	return keyring{readable: ledger.Keys{}, signed: map[string][]int{}, prints: map[sign.PublicKey]string{}}
}

// enforce puts a list in force behind a ledger commit.
func (k *keyring) enforce(t trust, from int) {
	k.lists, k.from = append(k.lists, t), append(k.from, from)
	for id, key := range t.keys {
		k.readable[id] = key
	}
}

// listsAt are the lists that a commit made together with ledger commit i may be
// judged by, the newest first: the one that it carried, and the one before it.
func (k *keyring) listsAt(i int) iter.Seq[*trust] {
	return func(yield func(*trust) bool) {
		for n := len(k.lists) - 1; n >= 0; n-- {
			if k.from[n] <= i && (n+1 == len(k.lists) || k.from[n+1] >= i) && !yield(&k.lists[n]) {
				return
			}
		}
	}
}

// print is a key's fingerprint.
func (k *keyring) print(key sign.PublicKey) string {
	if _, known := k.prints[key]; !known {
		k.prints[key] = key.Fingerprint()
	}
	return k.prints[key]
}

// used remembers that a key signed ledger commit i, or a record in it.
func (k *keyring) used(fingerprint string, i int) {
	if is := k.signed[fingerprint]; len(is) == 0 || is[len(is)-1] != i {
		k.signed[fingerprint] = append(is, i)
	}
}

// begin takes the trust list of the ledger's first commit. A rotate statement in
// it is by a root key that it lists itself: whether that is the right one only a
// pin can say.
func (s *ledgerStep) begin() error {
	data, there, err := s.file(ledger.SignersPath)
	if err != nil {
		return err
	}
	if !there {
		s.find(Finding{Code: TrustConfig, Object: s.c.id.String(), Expected: "a file allowed_signers", Found: "none"})
		s.enforce(trust{}, -1)
		return nil
	}
	t, err := newTrust(data)
	if err != nil {
		s.find(Finding{Code: TrustConfig, Object: s.c.id.String(), Expected: "a trust list", Found: clip(err.Error())})
	}
	line, stated, err := s.file(ledger.TrustPath)
	if err != nil {
		return err
	}
	if stated {
		if next := s.rotate(line, t.list.Roots(), ledger.TrustList{}, nil); next != nil {
			t = *next
		}
	} else if !t.list.OwnRoot() {
		s.find(Finding{Code: TrustRoot, Object: s.at(ledger.SignersPath), Expected: "a statement by the root key that it names", Found: "none"})
	}
	s.trust = t
	s.enforce(t, -1)
	return nil
}

// file reads a file of the commit under judgement.
func (s *ledgerStep) file(path string) (data []byte, there bool, err error) {
	e, err := s.lookup(s.c.tree, path)
	if err != nil || !e.regular() {
		return nil, false, err
	}
	data, err = s.read(e.id, kindBlob)
	return data, err == nil, err
}

// trustChanges judges what a commit changed of the trust list, before its
// signature is judged: it may bring the list that it is signed by, if a root key
// says so.
func (s *ledgerStep) trustChanges(changes []change) error {
	if s.i == 0 {
		return s.begin()
	}
	changed := map[string]change{}
	for _, ch := range changes {
		if trustPath(ch.path) {
			changed[ch.path] = ch
		}
	}
	if len(changed) == 0 {
		return nil
	}
	for _, path := range []string{ledger.SignersPath, ledger.TrustPath, ledger.RevocationsPath} {
		if ch, touched := changed[path]; touched && !ch.after.regular() {
			s.find(Finding{Code: TrustConfig, Object: s.at(path), Expected: "a trust list whose files stay", Found: "removed"})
			return nil
		}
	}
	line, stated, err := s.file(ledger.TrustPath)
	if err != nil {
		return err
	}
	if _, touched := changed[ledger.TrustPath]; !stated || !touched {
		return s.unstated(changed)
	}
	s.next = s.rotate(line, s.trust.list.Roots(), s.trust.list, s.trust.standing)
	return nil
}

// unstated judges a trust list that changed without a statement.
func (s *ledgerStep) unstated(changed map[string]change) error {
	f := Finding{Code: TrustRole, Object: s.at(ledger.SignersPath), Expected: "a rotate statement by a root key", Found: "the trust list was changed without one"}
	if _, touched := changed[ledger.SignersPath]; !touched {
		f.Code, f.Object, f.Expected = TrustConfig, s.at(ledger.RevocationsPath), "the revocations that the rotate statement makes"
		f.Found = "changed without one"
		s.find(f)
		return nil
	}
	data, _, err := s.file(ledger.SignersPath)
	if err != nil {
		return err
	}
	own, err := newTrust(data)
	if err != nil {
		f.Code, f.Expected, f.Found = TrustConfig, "a trust list", clip(err.Error())
	} else if s.selfAuthorised(own) {
		return nil // TRUST_SELF_AUTHORISED says it
	}
	s.find(f)
	return nil
}

// selfAuthorised reports whether the commit is signed by a key that only its own
// trust list holds.
func (s *ledgerStep) selfAuthorised(own trust) bool {
	signer, err := sign.SignerOf(s.c.signature())
	return err == nil && !s.trust.holds(signer) && own.holds(signer)
}

// rotate judges a rotate statement that one of roots must have signed. It returns
// the trust that it puts in force, or nil where it does not hold, which it says.
func (s *ledgerStep) rotate(data []byte, roots []sign.PublicKey, before ledger.TrustList, standing *promotion.LedgerEntry) *trust {
	say := func(code Code, expected, found string) *trust {
		s.find(Finding{Code: code, Object: s.at(ledger.TrustPath), Expected: expected, Found: clip(found)})
		s.broken = true
		return nil
	}
	line := bytes.TrimSuffix(data, []byte("\n"))
	e, list, err := ledger.DecodeRotate(line, roots...)
	if errors.Is(err, ledger.ErrSignature) {
		own := trust{}
		if peeked, _, err := ledger.PeekRotate(line); err == nil {
			if claimed, err := newTrust([]byte(peeked.Record.Keys)); err == nil {
				own = claimed
			}
		}
		if s.i > 0 && s.selfAuthorised(own) {
			s.broken = true
			return nil // TRUST_SELF_AUTHORISED says it
		}
		return say(TrustRole, "a rotate statement by a root key in force", err.Error())
	}
	if errors.Is(err, ledger.ErrTrust) {
		return say(TrustConfig, "a trust list", err.Error())
	}
	if err != nil {
		return say(StmtNonCanonical, "a canonical rotate statement", err.Error())
	}
	rec := &e.Record
	switch at, ok := parseOID(rec.Trust.Ledger); {
	case standing != nil && (rec.Previous == nil || rec.Previous.Statement != standing.Statement || rec.Previous.Blob != standing.Blob):
		return say(ChainBreak, "previous "+standing.Statement, linkWords(rec.Previous))
	case s.i == 0 && rec.Trust.Ledger != "":
		return say(ChainBreak, "a statement that begins a ledger", "one that starts from "+string(rec.Trust.Ledger))
	case s.i > 0:
		if n, there := s.index[at]; !ok || !there || n >= s.i {
			return say(ChainBreak, "a statement that starts from a ledger commit before it", "one that starts from "+string(rec.Trust.Ledger))
		}
	}
	if err := ledger.Follows(before, standing, *rec); err != nil {
		return say(TrustConfig, "a trust list that follows the one before it", err.Error())
	}
	for _, v := range rec.Trust.Revoked {
		at, _ := parseOID(v.After)
		if n, there := s.index[at]; !there || n >= s.i {
			return say(TrustConfig, "a cut at a ledger commit before the statement", v.Key+" after "+string(v.After))
		}
	}
	if text := s.mirrored(rec); text != "" {
		s.find(Finding{Code: TrustConfig, Object: s.at(text), Expected: "what the rotate statement says", Found: "something else"})
		s.broken = true
		return nil
	}
	r := &recorded{LedgerEntry: &e, path: ledger.TrustPath, at: s.i, commit: s.c.id}
	s.added = append(s.added, r)
	if ids := ledger.SignerIDs(data); len(ids) == 1 {
		s.used(ids[0], s.i)
		r.signer = ids[0]
	}
	s.rotated(r)
	next := trustIn(list)
	next.standing = r.LedgerEntry
	return &next
}

// mirrored names the file beside a rotate record that says otherwise, or none.
func (s *ledgerStep) mirrored(r *promotion.Record) string {
	revoked, err := ledger.RevocationsFile(r.Trust.Revoked)
	if data, _, readErr := s.file(ledger.RevocationsPath); err != nil || readErr != nil || !bytes.Equal(data, revoked) {
		return ledger.RevocationsPath
	}
	if data, _, err := s.file(ledger.SignersPath); err != nil || string(data) != r.Keys {
		return ledger.SignersPath
	}
	return ""
}

// signed checks the commit's form and signature by the trust list of its
// predecessor, or by the one that it carries; the first commit's by its own.
func (s *ledgerStep) signed() {
	s.dates = append(s.dates, later(s.c.committed(), s.issued))
	if s.c.odd != "" {
		s.find(Finding{Code: ObjectMalformed, Object: s.c.id.String(), Expected: "a commit as rung writes it", Found: clip(s.c.odd)})
		return
	}
	code, found, signer := s.trust.judge(s.c, s.issued)
	if code != "" && s.next != nil {
		if other, _, key := s.next.judge(s.c, s.issued); other == "" {
			code, found, signer = "", "", key
		}
	}
	if s.i == 0 && !s.rooted(code, found, signer) {
		return
	}
	if code == SignerUnknown {
		if data, there, err := s.file(ledger.SignersPath); err == nil && there {
			if own, err := newTrust(data); err == nil && own.holds(signer) {
				code = TrustSelfAuthorised
			}
		}
	}
	if code != "" {
		s.find(Finding{Code: code, Object: s.c.id.String(), Expected: "signed by a key of the trust list before it", Found: found})
	}
	if code == "" {
		s.used(s.print(signer), s.i)
	}
	if (code == "" || code == KeyNotValid) && s.c.committed().Before(s.issued) {
		s.find(Finding{
			Code: ClockRegression, Object: s.c.id.String(), Expected: "dated no earlier than " + s.issued.Format("2006-01-02T15:04:05Z") + ", when the record before it was issued",
			Found: s.c.committed().Format("2006-01-02T15:04:05Z"),
		})
	}
}

// rooted compares the key that the ledger's trust stands on with the pinned one.
func (s *ledgerStep) rooted(code Code, found string, signer sign.PublicKey) bool {
	s.report.Root = signer.Fingerprint()
	if s.trust.standing != nil && len(s.added) > 0 {
		s.report.Root = s.added[0].signer
	}
	if pin := s.options.Root; pin != "" && (code != "" || s.report.Root != pin) {
		s.find(Finding{Code: TrustRoot, Object: s.c.id.String(), Expected: clip(pin), Found: found + s.report.Root})
		return false
	}
	return true
}

// lineKeys checks that new lines of a record file are signed by keys of the list
// in force; keys that are retired are only read.
func (s *ledgerStep) lineKeys(path string, ids []string) {
	for _, id := range ids {
		_, now := s.trust.keys[id]
		if !now && s.next != nil {
			_, now = s.next.keys[id]
		}
		if !now {
			s.find(Finding{Code: StmtSignature, Object: s.at(path), Expected: "a record by a key of the trust list in force", Found: clip(id)})
			continue
		}
		s.used(id, s.i)
	}
}

// revoked finds what revoked keys signed behind their cuts, also before anybody
// knew of it.
func (l *ledgerWalk) revoked() {
	for _, v := range l.trust.list.Revoked {
		at, _ := parseOID(v.After)
		cut, there := l.index[at]
		if !there {
			continue
		}
		for _, i := range l.keyring.signed[v.Key] {
			if i > cut {
				l.find(Finding{Code: KeyRevoked, Object: l.ids[i].String(), Expected: "nothing by " + v.Key + " after ledger commit " + string(v.After), Found: fmt.Sprintf("%d commits behind it", i-cut)})
			}
		}
	}
}

// beside judges the signature of a commit of the base branch that rung may have
// made: by the trust that stood where it cites the ledger, or else by the last.
func (l *ledgerWalk) beside(c *commit) (Code, string, sign.PublicKey) {
	i := l.citedBy(c)
	if i < 0 && l.past != nil {
		return l.besidePast(c)
	}
	if i < 0 {
		return l.trust.judge(c, time.Time{})
	}
	var code Code
	var found string
	var signer sign.PublicKey
	for t := range l.listsAt(i) {
		if code, found, signer = t.judge(c, l.dates[i]); code == "" {
			break
		}
	}
	if code == "" {
		if v, revoked := l.trust.list.Revocation(signer); revoked {
			at, _ := parseOID(v.After)
			if cut, there := l.index[at]; there && i > cut {
				return KeyRevoked, signer.Fingerprint() + ", revoked after ledger commit " + string(v.After), signer
			}
		}
	}
	return code, found, signer
}

// citedBy is the index of the ledger commit that a commit cites, or -1.
func (l *ledgerWalk) citedBy(c *commit) int {
	t, err := c.trailers()
	if err != nil || t == nil || t.Ledger == "" {
		return -1
	}
	at, ok := parseOID(t.Ledger)
	if i, there := l.index[at]; ok && there {
		return i
	}
	return -1
}

// keysToRead are the keys by which record files are read: every one that ever was
// on a list, for a file may hold older lines.
func (s *ledgerStep) keysToRead() ledger.Keys {
	if s.next == nil {
		return s.readable
	}
	all := ledger.Keys{}
	for _, keys := range []ledger.Keys{s.readable, s.next.keys} {
		for id, key := range keys {
			all[id] = key
		}
	}
	return all
}

// newSigners are the keys of the lines that are new in a record file.
func newSigners(data []byte, old *recordFile, kept int) []string {
	if kept > 0 {
		data = data[len(old.data):]
	}
	return ledger.SignerIDs(data)
}
