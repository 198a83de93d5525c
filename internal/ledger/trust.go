package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// The principals of a trust list. They are a promise: stock git shows them.
const (
	// ReleaseRole signs ledger commits, promotion commits and records.
	ReleaseRole = "rung"
	// RootRole signs rotate statements, and nothing else.
	RootRole = "rung-root"
	// RootNamespace is what root keys are listed for, so that stock git takes no
	// commit by one.
	RootNamespace = "rung-trust"
)

// maxStatements bounds a file of rotate statements, in lines.
const maxStatements = 4096

// TrustList is whose signatures count: a read allowed_signers file, and the keys
// that were revoked. It is immutable.
type TrustList struct {
	Signers []sign.AllowedSigner
	Revoked []promotion.Revocation
}

// ParseTrust reads a trust list as rung writes it, in its one form. It must hold
// a release key, no key in two roles, and no principal but rung and rung-root.
func ParseTrust(text string) (TrustList, error) {
	signers, err := sign.ParseAllowedSigners([]byte(text))
	if err != nil {
		return TrustList{}, err
	}
	again, err := sign.FormatAllowedSigners(signers)
	if err != nil {
		return TrustList{}, err
	}
	if string(again) != text {
		return TrustList{}, errors.New("allowed_signers: not in the one form that rung writes")
	}
	t := TrustList{Signers: signers}
	seen := map[sign.PublicKey]bool{}
	for _, s := range signers {
		switch {
		case len(s.Principals) != 1 || s.Principals[0] != ReleaseRole && s.Principals[0] != RootRole:
			return t, fmt.Errorf("allowed_signers: principal %.80q: a trust list knows %s and %s, one a line", strings.Join(s.Principals, ","), ReleaseRole, RootRole)
		case seen[s.Key]:
			return t, fmt.Errorf("allowed_signers: key %s is listed twice", s.Key.Fingerprint())
		case s.Principals[0] == RootRole && slices.Contains(s.Namespaces, sign.Namespace), s.Principals[0] == RootRole && len(s.Namespaces) == 0:
			return t, fmt.Errorf("allowed_signers: root key %s is listed for commits; list it with namespaces=%q", s.Key.Fingerprint(), RootNamespace)
		}
		seen[s.Key] = true
	}
	if len(t.role(ReleaseRole)) == 0 {
		return t, fmt.Errorf("allowed_signers: no key signs as %s", ReleaseRole)
	}
	return t, nil
}

func (t TrustList) role(name string) []sign.AllowedSigner {
	var found []sign.AllowedSigner
	for _, s := range t.Signers {
		if slices.Contains(s.Principals, name) {
			found = append(found, s)
		}
	}
	return found
}

// OwnRoot reports whether there is no root key, so that the release keys are
// their own root.
func (t TrustList) OwnRoot() bool { return len(t.role(RootRole)) == 0 }

// Roots are the keys that may sign the next rotate statement: those whose time has
// no end and that are not revoked.
func (t TrustList) Roots() []sign.PublicKey {
	name := RootRole
	if t.OwnRoot() {
		name = ReleaseRole
	}
	var keys []sign.PublicKey
	for _, s := range t.role(name) {
		if _, revoked := t.Revocation(s.Key); !revoked && s.ValidBefore.IsZero() {
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// Keys are all release keys, also those that are retired or revoked: what they
// signed before stays readable.
func (t TrustList) Keys() Keys {
	all := Keys{}
	for _, s := range t.role(ReleaseRole) {
		all[s.Key.Fingerprint()] = s.Key.Ed25519()
	}
	return all
}

// Release finds a release key's line.
func (t TrustList) Release(key sign.PublicKey) (sign.AllowedSigner, bool) {
	for _, s := range t.role(ReleaseRole) {
		if s.Key == key {
			return s, true
		}
	}
	return sign.AllowedSigner{}, false
}

// Revocation finds the revocation of a key.
func (t TrustList) Revocation(key sign.PublicKey) (promotion.Revocation, bool) {
	if len(t.Revoked) == 0 {
		return promotion.Revocation{}, false
	}
	print := key.Fingerprint()
	for _, r := range t.Revoked {
		if r.Key == print {
			return r, true
		}
	}
	return promotion.Revocation{}, false
}

// KeysOf are public keys by their ids.
func KeysOf(keys ...sign.PublicKey) Keys {
	all := Keys{}
	for _, k := range keys {
		all[k.Fingerprint()] = k.Ed25519()
	}
	return all
}

// TrustOf is the trust list that a rotate record puts in force. The error says
// what is wrong with it, whoever signed it.
func TrustOf(r promotion.Record) (TrustList, error) {
	if r.Kind != promotion.RecordRotate || r.Trust == nil {
		return TrustList{}, errors.New("not a rotate record")
	}
	t, err := ParseTrust(r.Keys)
	if err != nil {
		return t, err
	}
	t.Revoked = r.Trust.Revoked
	for i, v := range t.Revoked {
		if _, err := promotion.ParseHash(string(v.After)); err != nil {
			return t, fmt.Errorf("revocation of %.80q: %w", v.Key, err)
		}
		if !strings.HasPrefix(v.Key, "SHA256:") || len(v.Key) > 80 {
			return t, fmt.Errorf("revocation of %.80q: no fingerprint", v.Key)
		}
		if i > 0 && t.Revoked[i-1].Key >= v.Key {
			return t, errors.New("the revocations are not sorted by key, each once")
		}
	}
	if r.Trust.Serial < 1 || (r.Trust.Serial == 1) != (r.Previous == nil) {
		return t, fmt.Errorf("serial %d: the first statement has 1 and follows none", r.Trust.Serial)
	}
	if r.Trust.Ledger != "" {
		if _, err := promotion.ParseHash(string(r.Trust.Ledger)); err != nil {
			return t, fmt.Errorf("the ledger commit it starts from: %w", err)
		}
	}
	if len(t.Roots()) == 0 {
		return t, errors.New("no root key is left: every one is revoked or has an end, and nobody could change the trust list again")
	}
	return t, nil
}

// Follows reports what keeps a rotate record from taking the place of the trust
// list before it, whoever signed it. standing is the rotate record in force, nil
// for none.
func Follows(before TrustList, standing *promotion.LedgerEntry, next promotion.Record) error {
	t, err := TrustOf(next)
	if err != nil {
		return err
	}
	serial := 0
	if standing != nil {
		serial = standing.Record.Trust.Serial
		if next.Previous != nil && next.Previous.Statement != standing.Statement {
			return fmt.Errorf("it follows statement %s, and %s stands", next.Previous.Statement, standing.Statement)
		}
	}
	if next.Trust.Serial != serial+1 {
		return fmt.Errorf("its serial is %d, and %d is next", next.Trust.Serial, serial+1)
	}
	if !before.OwnRoot() && t.OwnRoot() {
		return errors.New("it names no root key any more: the release key would be its own root again")
	}
	for _, s := range before.role(ReleaseRole) {
		if _, kept := t.Release(s.Key); !kept {
			return fmt.Errorf("it leaves the release key %s out: end its time with valid-before instead, for what it signed stays", s.Key.Fingerprint())
		}
	}
	for _, v := range before.Revoked {
		if !slices.Contains(t.Revoked, v) {
			return fmt.Errorf("it takes the revocation of %s back", v.Key)
		}
	}
	return nil
}

// DecodeRotate reads a rotate statement signed by one of the roots.
func DecodeRotate(line []byte, roots ...sign.PublicKey) (promotion.LedgerEntry, TrustList, error) {
	e, err := Decode(line, KeysOf(roots...))
	if err != nil {
		return e, TrustList{}, err
	}
	if e.Record.Kind != promotion.RecordRotate {
		return e, TrustList{}, malformed("a %s record, where a rotate statement belongs", e.Record.Kind)
	}
	t, err := TrustOf(e.Record)
	if err != nil {
		return e, t, fmt.Errorf("%w: %w: rotate statement: %w", ErrMalformed, ErrTrust, err)
	}
	e.Blob = BlobHash(append(bytes.Clone(line), '\n'))
	return e, t, nil
}

// PeekRotate reads a rotate statement without checking who signed it; key is the
// fingerprint that it names.
func PeekRotate(line []byte) (e promotion.LedgerEntry, key string, err error) {
	var env envelope
	if len(line) > maxEnvelope {
		return e, "", malformed("%d bytes, at most %d are read", len(line), maxEnvelope)
	}
	if err := strict(line, &env); err != nil || len(env.Signatures) != 1 {
		return e, "", malformed("no envelope with one signature")
	}
	payload, err := unbase64(env.Payload)
	if err != nil {
		return e, "", malformed("payload: %v", err)
	}
	var st statement
	if err := strict(payload, &st); err != nil {
		return e, "", malformed("statement: %v", err)
	}
	e, err = entryOf(st, Digest(payload))
	if err == nil && (e.Record.Kind != promotion.RecordRotate || e.Record.Trust == nil) {
		err = malformed("a %s record, where a rotate statement belongs", e.Record.Kind)
	}
	return e, env.Signatures[0].KeyID, err
}

// SplitStatements takes a file of rotate statements apart, one a line; blank
// lines are passed over.
func SplitStatements(data []byte) ([][]byte, error) {
	var lines [][]byte
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if lines = append(lines, line); len(lines) > maxStatements {
			return nil, malformed("more than %d statements", maxStatements)
		}
	}
	return lines, nil
}

// RevocationsFile is the index of revoked keys in the ledger's tree.
func RevocationsFile(revoked []promotion.Revocation) ([]byte, error) {
	if revoked == nil {
		revoked = []promotion.Revocation{}
	}
	data, err := marshal(revoked)
	return append(data, '\n'), err
}

// SignerIDs are the ids of the keys that the lines of a record file, which is
// canonical, are signed with; empty for a line that does not say.
func SignerIDs(data []byte) []string {
	const before = `"signatures":[{"keyid":"`
	var ids []string
	for line := range bytes.Lines(data) {
		id := ""
		if i := bytes.LastIndex(line, []byte(before)); i >= 0 {
			text, _, _ := bytes.Cut(line[i+len(before):], []byte(`"`))
			id = string(text)
		}
		ids = append(ids, id)
	}
	return ids
}

// KeySigner lends a key to the ledger.
type KeySigner struct{ Key *sign.Key }

// KeyID is the key's fingerprint.
func (s KeySigner) KeyID() string { return s.Key.Public().Fingerprint() }

// AuthorizedKey is the public key as a line of an authorized_keys file.
func (s KeySigner) AuthorizedKey() string { return s.Key.Public().AuthorizedKey() }

// SignBytes is a raw Ed25519 signature.
func (s KeySigner) SignBytes(message []byte) ([]byte, error) { return s.Key.SignRaw(message) }

// SignCommit is an armoured SSHSIG of namespace git.
func (s KeySigner) SignCommit(message []byte) (string, error) { return s.Key.Sign(message) }

// maySign reports whether a key signs as rung at a time, by this list.
func (t TrustList) maySign(id string, at time.Time) error {
	for _, s := range t.role(ReleaseRole) {
		if s.Key.Fingerprint() != id {
			continue
		}
		if v, revoked := t.Revocation(s.Key); revoked {
			return fmt.Errorf("%w: the signing key %s was revoked after ledger commit %s", ErrTrust, id, v.After.Short())
		}
		if !s.ValidAt(at) {
			return fmt.Errorf("%w: the time of the signing key %s is over: %s", ErrTrust, id, bounds(s))
		}
		return nil
	}
	return fmt.Errorf("%w: the signing key %s is no release key of the trust list; sign with one that it lists, or let a root key list this one (rung keys rotate)", ErrTrust, id)
}

// bounds are a line's times, in words.
func bounds(s sign.AllowedSigner) string {
	const form = "2006-01-02T15:04:05Z"
	var parts []string
	if !s.ValidAfter.IsZero() {
		parts = append(parts, "valid from "+s.ValidAfter.UTC().Format(form))
	}
	if !s.ValidBefore.IsZero() {
		parts = append(parts, "valid until "+s.ValidBefore.UTC().Format(form))
	}
	return strings.Join(append(parts, fmt.Sprintf("namespaces %q", s.Namespaces)), ", ")
}
