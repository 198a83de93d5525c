package promotion

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// RecordFacts is the part of the facts document that a record keeps, so that its
// verdicts can be judged again: what neither the record itself nor the
// configuration at its judged base says. It holds no text that people wrote but
// what a gate shows, and no secret.
type RecordFacts struct {
	// Version is the facts document's, FactsVersion.
	Version int `json:"version"`
	// Now is the instant of observation.
	Now        time.Time  `json:"now"`
	Repository Repository `json:"repository"`
	// Previous is what was live before.
	Previous       Value              `json:"previous,omitzero"`
	PullRequest    *PullRequestFacts  `json:"pullRequest,omitempty"`
	Predecessors   []PredecessorFacts `json:"predecessors,omitempty"`
	Quarantined    *Bar               `json:"quarantined,omitempty"`
	Freezes        []Bar              `json:"freezes,omitempty"`
	CausersUnknown bool               `json:"causersUnknown,omitempty"`
	Rules          BranchRules        `json:"rules"`
	Holds          []string           `json:"holds,omitempty"`
}

// Keep is the part of the facts that a record of their promotion keeps.
func (f *Facts) Keep() *RecordFacts {
	return &RecordFacts{
		Version: f.Version, Now: f.Now, Repository: f.Repository, Previous: f.Artifact.Previous, PullRequest: f.PullRequest,
		Predecessors: f.Predecessors, Quarantined: f.Quarantined, Freezes: f.Freezes, CausersUnknown: f.CausersUnknown, Rules: f.Rules,
		Holds: f.Holds,
	}
}

// Restore is the facts document that a record was judged from. mode, commits, env and
// image are what the configuration at the record's judged base says of the
// repository, the environment and the artifact. It is nil where the record kept
// no facts.
func (r *Record) Restore(mode Mode, commits Commits, env EnvironmentSpec, image string) *Facts {
	k := r.Facts
	if k == nil {
		return nil
	}
	f := &Facts{
		Version: k.Version, Now: k.Now, Kind: r.Promotes(), Repository: k.Repository, Mode: mode, Commits: commits, Environment: env,
		Artifact: ArtifactFacts{Image: image, Previous: k.Previous}, Places: r.Places, Base: r.Base.Judged, PullRequest: k.PullRequest,
		Predecessors: k.Predecessors, Quarantined: k.Quarantined, Freezes: k.Freezes, Causers: r.Causers, CausersUnknown: k.CausersUnknown,
		Rules: k.Rules, Holds: k.Holds,
	}
	if r.Artifact != nil {
		f.Artifact.Name, f.Artifact.Version, f.Artifact.Digest = r.Artifact.Name, r.Artifact.Version, r.Artifact.Digest
	}
	if f.Places == nil {
		f.Places = []PlaceChange{}
	}
	return f
}

// Promotes is the kind of promotion that a record is of: KindRollback where it
// restores something, otherwise KindPromotion.
func (r *Record) Promotes() string {
	if r.Restores != "" {
		return KindRollback
	}
	return KindPromotion
}

// Second cuts an instant to whole seconds, UTC: the form in which records and
// facts hold time.
func Second(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// Canonical is a copy of the facts with every instant in whole seconds, UTC: what
// is judged is then what a record keeps of it, to the byte. Instants are cut, but
// for the end of a soak, which is put off to the next second.
func (f Facts) Canonical() Facts {
	f.Now = Second(f.Now)
	f.PullRequest = f.PullRequest.canonical()
	f.Predecessors = canonical(f.Predecessors, PredecessorFacts.canonical)
	f.Quarantined = f.Quarantined.canonical()
	f.Freezes = canonical(f.Freezes, func(b Bar) Bar { return *b.canonical() })
	return f
}

// Canonical is the same of what was kept.
func (k *RecordFacts) Canonical() *RecordFacts {
	if k == nil {
		return nil
	}
	c := *k
	f := Facts{Now: k.Now, PullRequest: k.PullRequest, Predecessors: k.Predecessors, Quarantined: k.Quarantined, Freezes: k.Freezes}.Canonical()
	c.Now, c.PullRequest, c.Predecessors, c.Quarantined, c.Freezes = f.Now, f.PullRequest, f.Predecessors, f.Quarantined, f.Freezes
	return &c
}

// canonical copies a list with each of its elements made canonical. An empty one
// is nil: that is how it is written.
func canonical[T any](list []T, one func(T) T) []T {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	for i := range list {
		list[i] = one(list[i])
	}
	return list
}

func (p *PullRequestFacts) canonical() *PullRequestFacts {
	if p == nil {
		return nil
	}
	c := *p
	c.Reviews = canonical(p.Reviews, func(r ReviewFacts) ReviewFacts {
		r.At = Second(r.At)
		return r
	})
	c.Checks = canonical(p.Checks, func(r CheckFacts) CheckFacts {
		r.At = Second(r.At)
		return r
	})
	return &c
}

func (p PredecessorFacts) canonical() PredecessorFacts {
	p.Landed, p.SettledAt = Second(p.Landed), Second(p.SettledAt)
	if !p.SoakEnds.IsZero() { // never early
		p.SoakEnds = Second(p.SoakEnds.Add(time.Second - 1))
	}
	p.Health = canonical(p.Health, HealthReading.Canonical)
	return p
}

// Canonical is the reading with its instants in whole seconds, UTC.
func (h HealthReading) Canonical() HealthReading {
	h.At, h.Since = Second(h.At), Second(h.Since)
	return h
}

func (b *Bar) canonical() *Bar {
	if b == nil {
		return nil
	}
	c := *b
	c.At, c.Until = Second(b.At), Second(b.Until)
	return &c
}

// Digest is the sha256 of the facts document, as DigestOf says.
func (f *Facts) Digest() string { return DigestOf(f) }

// DigestOf is "sha256:" and the SHA-256 of a value as compact JSON without HTML
// escapes; empty for what can't be written as JSON.
func DigestOf(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return ""
	}
	sum := sha256.Sum256(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return "sha256:" + hex.EncodeToString(sum[:])
}
