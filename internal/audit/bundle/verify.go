package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/promotion"
)

// Mismatch is the code of what an archive says of itself and does not hold: an
// entry that was changed, a head or root that is not the branches', a report that
// says other than the records.
const Mismatch audit.Code = "BUNDLE_MISMATCH"

// Verify judges the branches as audit.Verify does a clone, and holds everything
// else in the archive to what that finds. The error is for what is of another
// repository than it says. Notes are things to know that are no findings.
func (b *Bundle) Verify(ctx context.Context, o Options) (report audit.Report, notes []string, err error) {
	if b.refs == nil {
		report = audit.Report{ByHand: []audit.HandChange{}, TrustOnFirstUse: true, Environments: map[promotion.Environment]map[promotion.Artifact]promotion.Value{}}
		report.Add(b.mismatches()...)
		return report, nil, nil
	}
	f := facts{each: o.Audit.Each}
	report, plain, err := b.judge(ctx, o.Audit, &f)
	if err != nil || b.Manifest == nil {
		return report, nil, err
	}
	m := b.Manifest
	if f.repository != (Repository{}) && f.repository != m.Repository {
		return report, nil, fmt.Errorf("the archive says that it is of %.200q (number %d), and the ledger in it belongs to %.200q (number %d): nothing is judged", m.Repository.URI, m.Repository.ID, f.repository.URI, f.repository.ID)
	}
	c := check{bundle: b, plain: plain, found: b.mismatches()}
	c.heads(&f)
	if err := c.signers(); err != nil {
		return report, nil, err
	}
	if err := c.reports(o, &f); err != nil {
		return report, nil, err
	}
	report.Add(c.found...)
	return report, c.notes, nil
}

// judge judges the branches as the caller wants it, and as the writer did: nothing
// pinned, nothing strict, no part left out. Where the two look at the same, they are
// one.
func (b *Bundle) judge(ctx context.Context, o audit.Options, f *facts) (report, plain audit.Report, err error) {
	rest := o
	rest.Root, rest.Strict, rest.Each = "", false, nil
	same := reflect.ValueOf(rest).IsZero() || b.Manifest == nil
	o.Each = nil
	if same {
		o.Each = f.read
	}
	report, err = audit.Verify(ctx, b.Dir(), o)
	if err != nil {
		return report, plain, err
	}
	if !same {
		plain, err = audit.Verify(ctx, b.Dir(), audit.Options{Each: f.read})
		return report, plain, err
	}
	plain = report
	plain.TrustOnFirstUse = true
	plain.Findings = slices.DeleteFunc(slices.Clone(plain.Findings), func(f audit.Finding) bool { return f.Code == audit.TrustRoot })
	plain.OK = !slices.ContainsFunc(plain.Findings, func(f audit.Finding) bool { return f.Code.Class() != audit.Listed })
	return report, plain, nil
}

// mismatches are the findings of damaged entries.
func (b *Bundle) mismatches() []audit.Finding {
	var all []audit.Finding
	for _, d := range b.damaged {
		all = append(all, b.mismatch(d))
	}
	return all
}

// mismatch is the finding of a damaged entry.
func (b *Bundle) mismatch(got File) audit.Finding {
	for _, f := range b.Manifest.Files {
		if f.Name == got.Name {
			return audit.Finding{Code: Mismatch, Object: f.Name, Expected: "sha256 " + f.SHA256, Found: "sha256 " + got.SHA256}
		}
	}
	return audit.Finding{Code: Mismatch, Object: got.Name, Expected: "the sums of the manifest", Found: "others"}
}

// check holds an archive's words to its branches.
type check struct {
	bundle *Bundle
	plain  audit.Report
	found  []audit.Finding
	notes  []string
}

func (c *check) same(what, expected, found string) {
	if expected != found {
		c.found = append(c.found, audit.Finding{Code: Mismatch, Object: what, Expected: expected, Found: found})
	}
}

// heads compares what the manifest names with what the branches hold.
func (c *check) heads(f *facts) {
	m := c.bundle.Manifest
	c.same("manifest.json: base", string(m.Base.Head), c.bundle.refs[m.Base.Ref])
	c.same("manifest.json: ledger", string(m.Ledger.Head), c.bundle.refs[m.Ledger.Ref])
	c.same("manifest.json: judged base", string(m.Base.Head), string(c.plain.Base.Head))
	c.same("manifest.json: judged ledger", string(m.Ledger.Head), string(c.plain.Ledger.Head))
	c.same("manifest.json: branches", "2", fmt.Sprint(len(c.bundle.refs)))
	c.same("manifest.json: root", m.Root, c.plain.Root)
	c.same("manifest.json: asOf", m.AsOf.UTC().Format("2006-01-02T15:04:05Z"), f.asOf.UTC().Format("2006-01-02T15:04:05Z"))
}

// signers compares the trust list with that of the ledger's first commit.
func (c *check) signers() error {
	if c.plain.Ledger.Head == "" {
		return nil // said already: there is none
	}
	first, want, err := trust(c.bundle.Dir(), c.plain.Ledger.Head)
	if err != nil {
		return nil //nolint:nilerr // the verification says which object is damaged
	}
	c.same("manifest.json: first", c.bundle.Manifest.First, string(first))
	got, err := os.ReadFile(c.bundle.path(signersName))
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		c.same(signersName, "the trust list of the ledger's first commit", "another")
	}
	return nil
}

// reports makes the caller's files anew. Those of the same program must be the
// same bytes; of another's, JSON must say the same wherever both say something,
// and what can't be compared is named.
func (c *check) reports(o Options, f *facts) error {
	if o.Reports == nil {
		return nil
	}
	made, err := o.Reports(&c.plain, f.asOf)
	if err != nil {
		return err
	}
	m, seen := c.bundle.Manifest, map[string]bool{readmeName: true, signersName: true, gitName: true}
	for _, r := range made {
		seen[r.Name] = true
		if !slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == r.Name }) {
			c.same(r.Name, "a report", "none")
			continue
		}
		got, err := os.ReadFile(c.bundle.path(r.Name))
		if err != nil {
			return err
		}
		switch {
		case bytes.Equal(got, r.Data):
		case m.Rung == o.Rung:
			c.same(r.Name, "what the records say", "something else: write it anew and compare")
		case strings.HasSuffix(r.Name, ".json"):
			if where := disagreement(got, r.Data); where != "" {
				c.same(r.Name+": "+where, "what the records say", "something else")
			} else {
				c.notes = append(c.notes, fmt.Sprintf("%s was written by rung %s: what it says as rung %s does is the same, and the rest is not compared", r.Name, m.Rung, o.Rung))
			}
		default:
			c.notes = append(c.notes, fmt.Sprintf("%s was written by rung %s, and rung %s can't compare it with the records: write it anew to read it", r.Name, m.Rung, o.Rung))
		}
	}
	for _, f := range m.Files {
		if !seen[f.Name] {
			c.notes = append(c.notes, f.Name+" is nothing that this rung knows, and was not compared with anything")
		}
	}
	got, err := os.ReadFile(c.bundle.path(readmeName))
	if err == nil && !bytes.Equal(got, readmeText) {
		if m.Rung == o.Rung {
			c.same(readmeName, "rung's own words", "others")
		} else {
			c.notes = append(c.notes, readmeName+" is not in the words of this rung")
		}
	}
	return err
}

// disagreement is where two JSON documents that both say something say different
// things, or empty.
func disagreement(a, b []byte) string {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return "it is no JSON"
	}
	return differs(x, y, "")
}

func differs(a, b any, at string) string {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			return at + " is of another kind"
		}
		for key, value := range x {
			if other, both := y[key]; both {
				if where := differs(value, other, at+"."+key); where != "" {
					return where
				}
			}
		}
		return ""
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return at + " has another length"
		}
		for i := range x {
			if where := differs(x[i], y[i], fmt.Sprintf("%s[%d]", at, i)); where != "" {
				return where
			}
		}
		return ""
	}
	if !reflect.DeepEqual(a, b) {
		return at
	}
	return ""
}

// Repository is what a bundle is of, for a sentence.
func (b *Bundle) Repository() string {
	if b.Manifest == nil {
		return "a git bundle"
	}
	return fmt.Sprintf("%s as of %s", b.Manifest.Repository.URI, b.Manifest.AsOf.UTC().Format("2006-01-02 15:04:05 UTC"))
}
