package ledger

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// Trust is what a ledger's tip is judged by: keys from the settings and what they
// signed, never the tip's own tree.
type Trust struct {
	// Own is the key that this process signs with.
	Own sign.PublicKey
	// Roots are the root keys. None: Own is its own root.
	Roots []sign.PublicKey
	// Statements are rotate statements from the settings, one a line, of any
	// repository and in any order, asked for at every Read; nil: none.
	Statements func() ([]byte, error)
}

// force is the trust that was found in force by one Read.
type force struct {
	// standing is the rotate record in the ledger's tree, nil for none, and list
	// what it says.
	standing *promotion.LedgerEntry
	list     TrustList
	// pending is the statement to carry next, newest the list of the newest
	// statement that is known.
	pending *statementLine
	newest  *statementLine
}

// statementLine is one rotate statement.
type statementLine struct {
	promotion.LedgerEntry
	line []byte
	key  string // that it names as its signer
	list TrustList
	// own is true for one from the settings, held one whose signature holds.
	own, held bool
}

func (s *statementLine) serial() int { return s.Record.Trust.Serial }

// resolve finds the statements that roots in force signed: those of the settings,
// of the tree, and what was found before, in the order of their serials, each
// judged by the roots of the one before it.
func (rd *Reader) resolve(tree []byte) ([]*statementLine, error) {
	all, err := rd.candidates(tree)
	if err != nil {
		return nil, err
	}
	roots := rd.trust.Roots
	if len(roots) == 0 {
		roots = []sign.PublicKey{rd.trust.Own}
	}
	var last *statementLine
	for _, s := range all {
		by := roots
		if last == nil && s.serial() == 1 && s.Record.Trust.Ledger != "" {
			by = append(slices.Clone(roots), rd.trust.Own) // a ledger without root keys is given some
		}
		e, list, err := DecodeRotate(s.line, by...)
		if err != nil {
			continue // told by whoever needs it
		}
		if last != nil && last.serial() == s.serial() {
			return nil, fmt.Errorf("%w: two statements of roots have the serial %d, %s and %s", ErrTrust, s.serial(), last.Statement, s.Statement)
		}
		if last != nil && last.serial() == s.serial()-1 {
			if err := Follows(last.list, &last.LedgerEntry, e.Record); err != nil {
				return nil, fmt.Errorf("%w: rotate statement %d: %w", ErrTrust, s.serial(), err)
			}
		}
		s.LedgerEntry, s.list, s.held = e, list, true
		last, roots = s, list.Roots()
	}
	return all, nil
}

// candidates are all statements of this repository that are known, whoever signed
// them, by their serials.
func (rd *Reader) candidates(tree []byte) ([]*statementLine, error) {
	var all []*statementLine
	add := func(line []byte, own bool) error {
		e, key, err := PeekRotate(line)
		if err != nil {
			return err
		}
		if at := e.Record.Repository; at.ID != rd.id.Repository || at.App != rd.id.App {
			if own {
				return nil // another repository's
			}
			return fmt.Errorf("%w: the trust list is of repository %d, App %d", ErrForeign, at.ID, at.App)
		}
		for _, s := range all {
			if bytes.Equal(s.line, line) {
				s.own = s.own || own
				return nil
			}
		}
		all = append(all, &statementLine{LedgerEntry: e, line: bytes.Clone(line), key: key, own: own})
		return nil
	}
	if rd.trust.Statements != nil {
		data, err := rd.trust.Statements()
		rd.statements = data
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTrust, err)
		}
		lines, err := SplitStatements(data)
		if err != nil {
			return nil, fmt.Errorf("%w: the trust file: %w", ErrTrust, err)
		}
		for i, line := range lines {
			if err := add(line, true); err != nil {
				return nil, fmt.Errorf("%w: statement %d of the trust file: %w", ErrTrust, i+1, err)
			}
		}
	}
	for _, line := range append(slices.Clone(rd.known), tree) {
		if line == nil {
			continue
		}
		if err := add(line, false); err != nil {
			return nil, fmt.Errorf("%s: %w", TrustPath, err)
		}
	}
	slices.SortStableFunc(all, func(a, b *statementLine) int { return cmp.Compare(a.serial(), b.serial()) })
	return all, nil
}

// find settles what is in force and what is to be carried; tree is the rotate
// record in the ledger's tree, or nil.
func (rd *Reader) find(tree []byte) (*force, error) {
	all, err := rd.resolve(tree)
	if err != nil {
		return nil, err
	}
	f := &force{}
	serial := 0
	for _, s := range all {
		if s.held {
			f.newest = s
		}
		if tree == nil || !bytes.Equal(s.line, tree) {
			continue
		}
		if !s.held {
			return nil, fmt.Errorf("%w: the ledger's trust list is signed by %s, which is no root key that this rung knows: name the root keys in RUNG_ROOT_KEYS", ErrTrust, clip(s.key))
		}
		f.standing, f.list, serial = &s.LedgerEntry, s.list, s.serial()
	}
	if serial < rd.carried {
		return nil, fmt.Errorf("%w: the trust list went back from %d to %d", ErrSignature, rd.carried, serial)
	}
	for _, s := range all {
		if s.own && !s.held && (f.newest == nil || s.serial() > f.newest.serial()) {
			return nil, fmt.Errorf("%w: rotate statement %d of the trust file is signed by %s, which is no root key in force", ErrTrust, s.serial(), clip(s.key))
		}
		if !s.held || s.serial() <= serial || f.pending != nil {
			continue
		}
		if err := Follows(f.list, f.standing, s.Record); err != nil {
			return nil, fmt.Errorf("%w: rotate statement %d can't be carried: %w", ErrTrust, s.serial(), err)
		}
		f.pending = s
	}
	if f.standing == nil && f.pending == nil && len(rd.trust.Roots) > 0 {
		return nil, fmt.Errorf("%w: RUNG_ROOT_KEYS names root keys, and no statement puts a trust list of theirs in force: make one with rung keys rotate for repository %d, App %d, and name it in RUNG_TRUST_FILE",
			ErrTrust, rd.id.Repository, rd.id.App)
	}
	return f, nil
}

// next is the list that the key of this process must be on.
func (f *force) next() (TrustList, bool) {
	switch {
	case f.pending != nil:
		return f.pending.list, true
	case f.standing != nil:
		return f.list, true
	}
	return TrustList{}, false
}

// keys are those that records may be signed by.
func (f *force) keys(own sign.PublicKey) Keys {
	all := KeysOf(own)
	for _, list := range []TrustList{f.list, f.nextList()} {
		for id, key := range list.Keys() {
			all[id] = key
		}
	}
	return all
}

func (f *force) nextList() TrustList {
	list, _ := f.next()
	return list
}

// Begin returns the rotate statement that a new ledger begins with, empty where
// the release key is its own root.
func (rd *Reader) Begin() (string, error) {
	f, err := rd.find(nil)
	if err != nil || f.pending == nil {
		return "", err
	}
	if at := f.pending.Record.Trust.Ledger; at != "" {
		return "", fmt.Errorf("%w: the rotate statement of the trust file starts from ledger commit %s, and there is no ledger", ErrTrust, at.Short())
	}
	if err := f.pending.list.maySign(rd.trust.Own.Fingerprint(), f.pending.Record.IssuedAt); err != nil {
		return "", err
	}
	rd.remember(f)
	return string(f.pending.line), nil
}

// Stale reports whether the statements of the settings are others than those of the
// last Read, so that an unchanged tip has to be judged again.
func (rd *Reader) Stale() bool {
	if rd.trust.Statements == nil {
		return false
	}
	data, err := rd.trust.Statements()
	return err != nil || !bytes.Equal(data, rd.statements)
}

// remember keeps what was found for later reads and for VerifyCommit.
func (rd *Reader) remember(f *force) {
	rd.force = f
	if f.standing != nil {
		rd.carried = max(rd.carried, f.standing.Record.Trust.Serial)
	}
	for _, s := range []*statementLine{f.newest, f.pending} {
		if s != nil && !slices.ContainsFunc(rd.known, func(l []byte) bool { return bytes.Equal(l, s.line) }) {
			rd.known = append(rd.known, s.line)
		}
	}
}

// judge reads the trust list beside a tip and checks the tip's signature by it.
func (rd *Reader) judge(ctx context.Context, repo Past, commit gitrepo.Commit, files []gitrepo.File) (*force, sign.PublicKey, error) {
	var none sign.PublicKey
	index, err := rd.trustFiles(ctx, repo, commit.Tree, files)
	if err != nil {
		return nil, none, err
	}
	var tree []byte
	if data, there := index[TrustPath]; there {
		if tree = bytes.TrimSuffix(data, []byte("\n")); len(tree) != len(data)-1 {
			return nil, none, fmt.Errorf("%s: %w", TrustPath, malformed("the file is no line"))
		}
	}
	f, err := rd.find(tree)
	if err != nil {
		return nil, none, err
	}
	if f.standing != nil {
		if err := mirrors(index, f.standing.Record); err != nil {
			return nil, none, err
		}
	}
	signer, err := sign.SignerOf(commit.Signature)
	if err == nil {
		err = sign.Verify(commit.Payload(), commit.Signature, signer)
	}
	if err == nil {
		err = rd.entitled(commit, f, signer)
	}
	if err != nil {
		return nil, none, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return f, signer, rd.starts(ctx, repo, commit.Hash, f)
}

// trustFiles reads the files of the trust list, if there is a rotate record and
// they are not those that were read last.
func (rd *Reader) trustFiles(ctx context.Context, repo Repository, tree promotion.Hash, files []gitrepo.File) (map[string][]byte, error) {
	var paths []string
	var key strings.Builder
	for _, f := range files {
		if f.Path == TrustPath || f.Path == SignersPath || f.Path == RevocationsPath {
			paths = append(paths, f.Path)
			fmt.Fprintf(&key, "%s %s\n", f.Path, f.Hash)
		}
	}
	if !slices.Contains(paths, TrustPath) {
		return nil, nil
	}
	if key.String() == rd.indexKey {
		return rd.index, nil
	}
	index, err := repo.ReadFiles(ctx, tree, paths)
	if err == nil {
		rd.index, rd.indexKey = index, key.String()
	}
	return index, err
}

// mirrors checks the files that repeat for stock git what the rotate record says.
func mirrors(index map[string][]byte, r promotion.Record) error {
	revoked, err := RevocationsFile(r.Trust.Revoked)
	if err != nil {
		return err
	}
	if string(index[SignersPath]) != r.Keys {
		return fmt.Errorf("%s: %w", SignersPath, malformed("it is not the list that the rotate record puts in force"))
	}
	if !bytes.Equal(index[RevocationsPath], revoked) {
		return fmt.Errorf("%s: %w", RevocationsPath, malformed("it is not what the rotate record revokes"))
	}
	return nil
}

// entitled checks that a key may have signed the tip, its time left out.
func (rd *Reader) entitled(commit gitrepo.Commit, f *force, signer sign.PublicKey) error {
	list := f.list
	if f.standing == nil && f.pending != nil {
		list = f.pending.list
	}
	_, listed := list.Release(signer)
	if !listed && f.standing == nil && f.pending == nil && signer != rd.trust.Own {
		return fmt.Errorf("signed by %s, and this process signs with %s: give it the key that it had before or, if that is lost, see docs/keys.md; or, if somebody else wrote it", signer.Fingerprint(), rd.trust.Own.Fingerprint())
	}
	if !listed && (f.standing != nil || signer != rd.trust.Own) {
		return fmt.Errorf("signed by %s, which is no release key of the trust list in force", signer.Fingerprint())
	}
	if v, revoked := f.list.Revocation(signer); revoked {
		return fmt.Errorf("signed by %s, which was revoked after ledger commit %s", signer.Fingerprint(), v.After.Short())
	}
	if f.pending == nil {
		return nil
	}
	if v, revoked := f.pending.list.Revocation(signer); revoked && v.After != commit.Hash {
		return fmt.Errorf("signed by %s, which the statement to be carried revokes after ledger commit %s: what stands behind that is not trusted", signer.Fingerprint(), v.After.Short())
	}
	return nil
}

// timely checks that the tip's signer still had time, by the tip's own date and
// that of its newest record. The commit that carries a statement is judged by the
// list before it.
func (rd *Reader) timely(commit gitrepo.Commit, t *Trailers, f *force, signer sign.PublicKey, issued time.Time) error {
	if f.standing == nil || carries(t, f.standing.Statement) {
		return nil
	}
	at := commit.Committer.When
	if issued.After(at) {
		at = issued
	}
	if line, _ := f.list.Release(signer); !line.ValidAt(at) {
		return fmt.Errorf("%w: signed by %s at %s, and it is %s", ErrSignature, signer.Fingerprint(), at.UTC().Format(time.RFC3339), bounds(line))
	}
	return nil
}

func carries(t *Trailers, statement string) bool {
	return slices.ContainsFunc(t.Groups, func(g TrailerGroup) bool { return g.Kind == promotion.RecordRotate && g.Statement == statement })
}

// starts checks that the pending statement starts from a commit of this ledger,
// and was not carried before: then the tip shows an older trust list than it had.
func (rd *Reader) starts(ctx context.Context, repo Past, tip promotion.Hash, f *force) error {
	if f.pending == nil {
		return nil
	}
	from := f.pending.Record.Trust.Ledger
	if from == "" {
		return fmt.Errorf("%w: rotate statement %d begins a ledger, and there is one: name the commit it starts from", ErrTrust, f.pending.serial())
	}
	commits, relation, err := repo.CatchUp(ctx, from, tip)
	if err != nil {
		return err
	}
	switch relation {
	case gitrepo.Same, gitrepo.Ahead, gitrepo.TooFar:
	default:
		return fmt.Errorf("%w: rotate statement %d starts from ledger commit %s, which does not stand before %s", ErrTrust, f.pending.serial(), from.Short(), tip.Short())
	}
	for _, c := range commits {
		t, err := ParseTrailers(c.Message)
		if err == nil && t != nil && carries(t, f.pending.Statement) {
			return fmt.Errorf("%w: ledger commit %s carried rotate statement %d, and %s shows the list before it", ErrSignature, c.Hash.Short(), f.pending.serial(), tip.Short())
		}
	}
	return nil
}

// VerifyCommit checks the signature of a commit that rung made beside the ledger:
// by the own key, or by a release key of the trust list that was read last, in its
// time and not revoked.
func (rd *Reader) VerifyCommit(payload []byte, armour string) error {
	signer, err := sign.SignerOf(armour)
	if err != nil {
		return err
	}
	if err := sign.Verify(payload, armour, signer); err != nil {
		return err
	}
	if rd.force == nil {
		if signer != rd.trust.Own {
			return fmt.Errorf("%w: %s", sign.ErrOtherKey, signer.Fingerprint())
		}
		return nil
	}
	list, listed := rd.force.next()
	if !listed {
		if signer != rd.trust.Own {
			return fmt.Errorf("%w: %s", sign.ErrOtherKey, signer.Fingerprint())
		}
		return nil
	}
	return list.maySign(signer.Fingerprint(), committed(payload))
}

// committed is the committer's time of a raw commit; zero where there is none.
func committed(payload []byte) time.Time {
	for line := range bytes.Lines(payload) {
		text, ok := strings.CutPrefix(string(line), "committer ")
		if !ok {
			if len(line) == 1 {
				break
			}
			continue
		}
		fields := strings.Fields(text[strings.LastIndexByte(text, '>')+1:])
		if len(fields) == 2 {
			if seconds, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
				return time.Unix(seconds, 0).UTC()
			}
		}
		break
	}
	return time.Time{}
}
