package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// checkpointFormat is the version of a checkpoint's format.
const checkpointFormat = 1

// maxCheckpoint bounds a checkpoint, in bytes.
const maxCheckpoint = 1 << 20

// Checkpoint is how far a repository was verified and found to hold: what a
// witness remembers of it. Whoever keeps one notices when both branches are cut
// back together, which nothing in the repository can show, and is spared what
// was verified before. It is as good as the place where it is kept.
type Checkpoint struct {
	Format int `json:"format"`
	// Repository and App are whose ledger it is, First its first commit, and
	// Root the fingerprint of the key on which its trust stands.
	Repository int64          `json:"repository"`
	App        int64          `json:"app"`
	First      promotion.Hash `json:"first"`
	Root       string         `json:"root"`
	// Ledger and Base are the heads that were verified, Recorded the base commit
	// up to which the ledger was written then, and BaseRef the base branch as
	// the records name it.
	Ledger   promotion.Hash `json:"ledger"`
	Base     promotion.Hash `json:"base"`
	Recorded promotion.Hash `json:"recorded"`
	BaseRef  string         `json:"baseRef"`
	// IssuedAt is when the newest record was issued.
	IssuedAt time.Time `json:"issuedAt"`
	// Keys are all release keys that ever were on a trust list, as
	// "ssh-ed25519 AAAA…", and Trust is whose signatures count.
	Keys  []string   `json:"keys"`
	Trust TrustState `json:"trust"`
	// Verified counts what is not verified again.
	Verified Verified `json:"verified"`
}

// Verified counts what was verified up to a checkpoint, as a Report does.
type Verified struct {
	Commits       int `json:"commits"`
	Records       int `json:"records"`
	Releases      int `json:"releases"`
	Promotions    int `json:"promotions"`
	Rollbacks     int `json:"rollbacks"`
	Configuration int `json:"configuration"`
	ByHand        int `json:"byHand"`
}

func (v Verified) plus(r *Report) Verified {
	return Verified{
		Commits: v.Commits + r.Commits, Records: v.Records + r.Records, Releases: v.Releases + r.Releases, Promotions: v.Promotions + r.Promotions,
		Rollbacks: v.Rollbacks + r.Rollbacks, Configuration: v.Configuration + r.Configuration, ByHand: v.ByHand + len(r.ByHand),
	}
}

// ParseCheckpoint reads what Encode wrote. What it doesn't take is an error that
// says why: a checkpoint that can't be read protects nothing.
func ParseCheckpoint(data []byte) (*Checkpoint, error) {
	if len(data) > maxCheckpoint {
		return nil, fmt.Errorf("the checkpoint has %d bytes, at most %d are read", len(data), maxCheckpoint)
	}
	var c Checkpoint
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("the checkpoint can't be read at byte %d: %w", dec.InputOffset(), err)
	}
	if c.Format != checkpointFormat {
		return nil, fmt.Errorf("checkpoint format %d; this rung reads format %d", c.Format, checkpointFormat)
	}
	var errs []error
	for name, h := range map[string]promotion.Hash{"first": c.First, "ledger": c.Ledger, "base": c.Base, "recorded": c.Recorded} {
		if _, ok := parseOID(h); !ok {
			errs = append(errs, fmt.Errorf("the checkpoint's %s %q is no commit", name, clip(string(h))))
		}
	}
	if !strings.HasPrefix(c.Root, "SHA256:") {
		errs = append(errs, errors.New("the checkpoint's root is no fingerprint"))
	}
	if _, err := c.readable(); err != nil {
		errs = append(errs, err)
	}
	return &c, errors.Join(errs...)
}

// Encode is the checkpoint as a file.
func (c *Checkpoint) Encode() ([]byte, error) {
	data, err := json.MarshalIndent(c, "", "  ")
	return append(data, '\n'), err
}

// readable are the keys by which records up to the checkpoint are read.
func (c *Checkpoint) readable() (trust, error) {
	var lines strings.Builder
	for _, k := range c.Keys {
		fmt.Fprintf(&lines, "rung %s\n", k)
	}
	signers, err := sign.ParseAllowedSigners([]byte(lines.String()))
	if err != nil || len(signers) != len(c.Keys) {
		return trust{}, fmt.Errorf("the checkpoint's keys can't be read: %w", errors.Join(err, fmt.Errorf("%d keys in %d lines", len(signers), len(c.Keys))))
	}
	return newTrust([]byte(lines.String()))
}

// checkpoint is how far this run verified.
func (v *verifier) checkpoint(l *ledgerWalk, b *baseWalk) *Checkpoint {
	c := &Checkpoint{
		Format: checkpointFormat, Repository: l.lineage.Repository, App: l.lineage.App, First: l.first(), Root: v.report.Root,
		Ledger: l.ids[len(l.ids)-1].hash(), Base: b.head.hash(), BaseRef: l.baseRef, IssuedAt: l.issued, Keys: []string{}, Trust: v.report.Trust,
	}
	var before Verified
	if l.past != nil {
		before = l.past.checkpoint.Verified
	}
	c.Verified = before.plus(v.report)
	c.Verified.Commits -= b.unrecorded // they are judged again
	for _, base := range l.bases {
		if base != (oid{}) {
			c.Recorded = base.hash()
		}
	}
	c.Keys = l.keyring.authorized()
	return c
}

// witnessed compares the branches with what a checkpoint remembers of them.
func (v *verifier) witnessed(c *Checkpoint, l *ledgerWalk, b *baseWalk) {
	if first := l.first(); first != c.First || l.lineage.Repository != c.Repository {
		v.find(Finding{
			Code: LedgerReset, Object: v.report.Ledger.Ref, Expected: "first commit " + string(c.First) + " in repository " + fmt.Sprint(c.Repository) + ", as the checkpoint remembers",
			Found: "first commit " + string(first) + " in repository " + fmt.Sprint(l.lineage.Repository),
		})
		return
	}
	tip, _ := parseOID(c.Ledger)
	head, _ := parseOID(c.Base)
	_, ledger := l.index[tip]
	_, base := b.parents[head]
	remembered := "ledger " + string(c.Ledger) + " and base " + string(c.Base) + ", as the checkpoint remembers"
	switch {
	case !ledger && !base:
		v.find(Finding{Code: WitnessRollback, Object: v.report.Ledger.Ref, Expected: remembered, Found: "neither is in its branch any more"})
	case !ledger:
		v.find(Finding{Code: LedgerRewind, Object: v.report.Ledger.Ref, Expected: remembered, Found: "that ledger commit is not in the ledger any more"})
	case !base:
		v.find(Finding{Code: RefRewind, Object: v.report.Base.Ref, Expected: remembered, Found: "that base commit is not in the base branch any more"})
	}
}
