package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/promotion"
)

// Format is the version of the JSON documents.
const Format = 1

// History is the story of an artifact.
type History struct {
	Format   int                `json:"format"`
	Artifact promotion.Artifact `json:"artifact"`
	// Environment is empty for all of them.
	Environment promotion.Environment `json:"environment,omitempty"`
	// Announced are the versions as somebody published them: with an Environment
	// those that came, or were to come, into it.
	Announced []*Announcement `json:"announced"`
	Releases  []*Release      `json:"releases"`
	Withdrawn []Attempt       `json:"withdrawn"`
	// Holds is false when the repository's verification found something.
	Holds bool `json:"holds"`
}

// History is what happened to an artifact, in one environment or, with an empty
// name, in all, oldest first.
func (r *Reader) History(a promotion.Artifact, env promotion.Environment, verified *audit.Report) History {
	h := History{Format: Format, Artifact: a, Environment: env, Releases: []*Release{}, Withdrawn: []Attempt{}, Holds: verified.OK}
	for _, is := range r.Releases {
		if is.Artifact == a && (env == "" || is.Environment == env) {
			h.Releases = append(h.Releases, is)
		}
	}
	for _, at := range r.Attempts {
		if at.Artifact == a && (env == "" || at.Environment == env) {
			h.Withdrawn = append(h.Withdrawn, at)
		}
	}
	h.Announced = r.announcedIn(&h)
	return h
}

// Audit is what an auditor asks of one environment: who, what, when, why, on what
// evidence, with whose approval, and what is missing.
type Audit struct {
	Format      int                   `json:"format"`
	Repository  string                `json:"repository"`
	Environment promotion.Environment `json:"environment"`
	// Since and Until bound when a release was recorded: Since is included, a
	// zero one is the ledger's beginning; Until is excluded.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until"`
	// Base and Ledger are the heads that were read, Root the fingerprint of the
	// key on which all trust stands, and Pinned whether the reader named it.
	Base   audit.RefHead `json:"base"`
	Ledger audit.RefHead `json:"ledger"`
	Root   string        `json:"root,omitempty"`
	Pinned bool          `json:"pinned"`
	// Holds is true when the whole repository was judged and nothing was found.
	Holds bool `json:"holds"`

	Counts   Counts     `json:"counts"`
	Releases []*Release `json:"releases"`
	// Withdrawn are the promotions that did not land.
	Withdrawn []Attempt `json:"withdrawn"`
	Events    []Event   `json:"events"`
	// Gaps are the findings of the verification that touch this environment, or
	// the repository as a whole, whatever the period.
	Gaps []audit.Finding `json:"gaps"`
}

// Counts are what an auditor reads first.
type Counts struct {
	// Changes are the times that a version changed in the period: Attested of
	// these stand on a record, and the rest are among the gaps.
	Changes  int `json:"changes"`
	Attested int `json:"attested"`
	// Coverage is Attested of Changes in percent, rounded down; 100 without
	// any change. The target is 100.
	Coverage   int `json:"coverage"`
	Promotions int `json:"promotions"`
	Rollbacks  int `json:"rollbacks"`
	// ByHand are the versions that people changed themselves; of these PutBack
	// were taken back by rung, and Adopted were accepted by a person.
	ByHand  int `json:"byHand"`
	PutBack int `json:"putBack"`
	Adopted int `json:"adopted"`
	// Configuration are the ranges of commits in which people changed anything
	// else that rung watches, here or elsewhere.
	Configuration int `json:"configuration"`
	// Overrides are the merges by a person against unmet gates.
	Overrides int `json:"overrides"`
	// SelfApproved are the releases approved by somebody who caused them.
	SelfApproved int `json:"selfApproved"`
	// Unsettled are the releases whose verification has not ended, Bad those that
	// it found bad.
	Unsettled int `json:"unsettled"`
	Bad       int `json:"bad"`
	// KeyEvents are the changes of the keys that may sign.
	KeyEvents int `json:"keyEvents"`
}

// Audit is the document for one environment from since (included; zero: from the
// beginning) until a time (excluded).
func (r *Reader) Audit(env promotion.Environment, since, until time.Time, verified *audit.Report) Audit {
	a := Audit{
		Format: Format, Repository: r.Repository, Environment: env, Since: since, Until: until, Base: verified.Base, Ledger: verified.Ledger,
		Root: verified.Root, Pinned: !verified.TrustOnFirstUse, Holds: verified.OK,
		Releases: []*Release{}, Withdrawn: []Attempt{}, Events: []Event{}, Gaps: []audit.Finding{},
	}
	within := func(t time.Time) bool { return !t.Before(since) && t.Before(until) }
	for _, is := range r.Releases {
		if is.Environment == env && within(is.Landed) {
			a.Releases = append(a.Releases, is)
			a.Counts.add(is)
		}
	}
	for _, at := range r.Attempts {
		if at.Environment == env && within(at.Withdrawn) {
			a.Withdrawn = append(a.Withdrawn, at)
		}
	}
	for _, e := range r.Events {
		if within(e.At) && (e.scope == "" || e.scope == env) {
			a.Events = append(a.Events, e)
			a.Counts.addEvent(e)
		}
	}
	unattested := map[string]bool{}
	for _, f := range verified.Findings {
		if f.Environment != "" && f.Environment != env || f.Code == audit.Override {
			continue // an override is said at its release
		}
		a.Gaps = append(a.Gaps, f)
		if f.Code == audit.UnattestedChange || f.Code == audit.ChangeMismatch || f.Code == audit.ArtifactMismatch {
			unattested[f.Object+" "+string(f.Artifact)] = true
		}
	}
	c := &a.Counts
	c.Changes, c.Attested = c.Changes+len(unattested), c.Changes
	c.Coverage = 100
	if c.Changes > 0 {
		c.Coverage = 100 * c.Attested / c.Changes
	}
	return a
}

func (c *Counts) add(is *Release) {
	c.Changes++
	switch is.How {
	case Promoted:
		c.Promotions++
	case RolledBack:
		c.Rollbacks++
	case ByHand:
		c.ByHand++
		switch {
		case !is.Answer.PutBack.IsZero():
			c.PutBack++
		case !is.Answer.Adopted.IsZero():
			c.Adopted++
		}
	}
	if len(is.Unmet) > 0 {
		c.Overrides++
	}
	if len(is.SelfApproved()) > 0 {
		c.SelfApproved++
	}
	switch is.Outcome {
	case "":
		c.Unsettled++
	case promotion.SettledBad:
		c.Bad++
	}
}

func (c *Counts) addEvent(e Event) {
	switch e.Kind {
	case promotion.RecordRotate:
		c.KeyEvents++
	case promotion.RecordAdopt:
		c.Configuration++
	}
}

// Knows reports whether anything was ever released in an environment.
func (r *Reader) Knows(env promotion.Environment) bool {
	return slices.ContainsFunc(r.Releases, func(is *Release) bool { return is.Environment == env })
}

// EnvironmentNames are those in which something was released, in alphabetical
// order.
func (r *Reader) EnvironmentNames() []promotion.Environment {
	var all []promotion.Environment
	for _, is := range r.Releases {
		if !slices.Contains(all, is.Environment) {
			all = append(all, is.Environment)
		}
	}
	slices.Sort(all)
	return all
}

// Environments are their names for a sentence.
func (r *Reader) Environments() string {
	var all []string
	for _, env := range r.EnvironmentNames() {
		all = append(all, string(env))
	}
	return strings.Join(all, ", ")
}

// cutScope takes a freeze's scope apart; the environment is empty for all.
func cutScope(scope string) (env promotion.Environment, artifact promotion.Artifact, narrow bool) {
	if strings.HasPrefix(scope, "+") {
		return "", "", false
	}
	e, a, narrow := strings.Cut(scope, "/")
	return promotion.Environment(e), promotion.Artifact(a), narrow
}

// ParseSince reads where a period begins: a day (2006-01-02, UTC), a time
// (RFC 3339), or a length back from now in days or weeks (90d, 12w).
func ParseSince(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	var n int
	var unit string
	if read, _ := fmt.Sscanf(text, "%d%s", &n, &unit); read == 2 && n > 0 && n < 100_000 && slices.Contains([]string{"d", "w"}, unit) {
		if unit == "w" {
			n *= 7
		}
		return now.UTC().AddDate(0, 0, -n), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: write a day (2026-01-31), a time (2026-01-31T09:00:00Z), or how far back (90d, 12w)", text)
}
