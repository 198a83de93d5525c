package ledger

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// Rotation is what a new rotate statement stands on: the ledger as its signer sees
// it, who need not be where the ledger is written.
type Rotation struct {
	Repository promotion.RecordRepository
	// Tip is the ledger's head; empty: the statement begins a ledger.
	Tip promotion.Hash
	// Before is the trust list in force, Standing the rotate record that put it
	// there, nil for none.
	Before   TrustList
	Standing *promotion.LedgerEntry
}

// TrustChange is what becomes different.
type TrustChange struct {
	// Release and Roots are keys to add.
	Release, Roots []sign.PublicKey
	// DropRoots are fingerprints of root keys that are to be roots no longer.
	DropRoots []string
	// End is when the time of the release keys ends that were there before, where
	// Release adds one. It is not taken from a key that ends earlier.
	End time.Time
	// Revoke takes the trust in keys back.
	Revoke []promotion.Revocation
	// Cuts are the dates of the revocations' cuts, by key: the ends that a revoked
	// release key is given in the list, for stock git.
	Cuts   map[string]time.Time
	Reason string
}

// Apply makes the new trust list.
func (r Rotation) Apply(c TrustChange) ([]sign.AllowedSigner, []promotion.Revocation, error) {
	signers := slices.Clone(r.Before.Signers)
	has := func(k sign.PublicKey) bool {
		return slices.ContainsFunc(signers, func(s sign.AllowedSigner) bool { return s.Key == k })
	}
	end := func(match func(sign.AllowedSigner) bool, at time.Time) {
		for i, s := range signers {
			if match(s) && slices.Contains(s.Principals, ReleaseRole) && (s.ValidBefore.IsZero() || at.Before(s.ValidBefore)) {
				signers[i].ValidBefore = at.UTC().Truncate(time.Second)
			}
		}
	}
	if len(c.Release) > 0 && !c.End.IsZero() {
		end(func(sign.AllowedSigner) bool { return true }, c.End)
	}
	for _, print := range c.DropRoots {
		n := len(signers)
		signers = slices.DeleteFunc(signers, func(s sign.AllowedSigner) bool {
			return slices.Contains(s.Principals, RootRole) && s.Key.Fingerprint() == print
		})
		if len(signers) == n {
			return nil, nil, fmt.Errorf("%s is no root key of the list", print)
		}
	}
	for _, k := range c.Roots {
		if has(k) {
			return nil, nil, fmt.Errorf("%s is on the list already", k.Fingerprint())
		}
		signers = slices.Insert(signers, 0, sign.AllowedSigner{Principals: []string{RootRole}, Namespaces: []string{RootNamespace}, Key: k})
	}
	for _, k := range c.Release {
		if has(k) {
			return nil, nil, fmt.Errorf("%s is on the list already", k.Fingerprint())
		}
		signers = append(signers, sign.AllowedSigner{Principals: []string{ReleaseRole}, Namespaces: []string{sign.Namespace}, Key: k})
	}
	revoked := slices.Clone(r.Before.Revoked)
	for _, v := range c.Revoke {
		if slices.ContainsFunc(revoked, func(o promotion.Revocation) bool { return o.Key == v.Key }) {
			return nil, nil, fmt.Errorf("%s is revoked already", v.Key)
		}
		revoked = append(revoked, v)
		end(func(s sign.AllowedSigner) bool { return s.Key.Fingerprint() == v.Key }, c.Cuts[v.Key])
		signers = slices.DeleteFunc(signers, func(s sign.AllowedSigner) bool {
			return slices.Contains(s.Principals, RootRole) && s.Key.Fingerprint() == v.Key
		})
	}
	slices.SortFunc(revoked, func(a, b promotion.Revocation) int { return cmp.Compare(a.Key, b.Key) })
	return signers, revoked, nil
}

// Sign makes the statement, signed by a root key in force, and checks it as a
// reader would. The line has no line feed.
func (r Rotation) Sign(root *sign.Key, c TrustChange, at time.Time) ([]byte, promotion.LedgerEntry, error) {
	var none promotion.LedgerEntry
	signers, revoked, err := r.Apply(c)
	if err != nil {
		return nil, none, err
	}
	if strings.ContainsFunc(c.Reason, func(r rune) bool { return r < ' ' }) || len(c.Reason) > 1024 {
		return nil, none, errors.New("the reason must be one line of at most 1,024 bytes")
	}
	keys, err := sign.FormatAllowedSigners(signers)
	if err != nil {
		return nil, none, err
	}
	record := promotion.Record{
		Format: promotion.RecordFormat, Kind: promotion.RecordRotate, Repository: r.Repository, Actor: promotion.Actor{Kind: "person"},
		Reason: c.Reason, Keys: string(keys), Trust: &promotion.RecordTrust{Serial: 1, Ledger: r.Tip, Revoked: revoked},
		IssuedAt: second(at), Builder: promotion.Builder{Version: Version},
	}
	if r.Standing != nil {
		record.Trust.Serial = r.Standing.Record.Trust.Serial + 1
		record.Previous = &promotion.RecordLink{Statement: r.Standing.Statement, Blob: r.Standing.Blob}
	}
	roots := r.Before.Roots()
	if r.Tip == "" {
		if roots, err = begins(record); err != nil {
			return nil, none, err
		}
	}
	if !slices.Contains(roots, root.Public()) {
		if r.Tip != "" && r.Before.OwnRoot() {
			return nil, none, fmt.Errorf("%s is no root key in force; there is none, so the release key is its own root: %s; if that is lost, see docs/keys.md", root.Public().Fingerprint(), prints(roots))
		}
		return nil, none, fmt.Errorf("%s is no root key in force; these are: %s", root.Public().Fingerprint(), prints(roots))
	}
	if err := Follows(r.Before, r.Standing, record); err != nil {
		return nil, none, err
	}
	line, _, err := Encode(record, KeySigner{root})
	if err != nil {
		return nil, none, err
	}
	e, _, err := DecodeRotate(bytes.Clone(line), roots...)
	return line, e, err
}

// begins are the roots of a statement that begins a ledger: its own.
func begins(r promotion.Record) ([]sign.PublicKey, error) {
	t, err := TrustOf(r)
	if err == nil && t.OwnRoot() {
		err = errors.New("a statement that begins a ledger names a root key; without one rung begins the ledger itself")
	}
	return t.Roots(), err
}

func prints(keys []sign.PublicKey) string {
	var all []string
	for _, k := range keys {
		all = append(all, k.Fingerprint())
	}
	return strings.Join(all, ", ")
}
