// Package health judges whether a release has shown itself good or bad, from
// what its health sources said of it.
//
// State: none; Settle is a pure function and may be called from several
// goroutines. Invariants: a release is good only when every source that
// applies passes and it has been healthy without interruption for the soak; it
// is bad only when one source kept failing without interruption for its
// FailAfter, never by one sample; a source that can't be reached, or has said
// nothing, makes it neither. Readings from before the landing speak of another
// release, and answers that are too old speak of nothing.
//
// What it does not do: it does not ask the sources (probe), does not remember
// earlier samples (a reading carries Since), and does not decide on a
// rollback.
package health

import (
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/promotion"
)

// ID is the gate's id.
const ID = "health"

// The defaults of a HealthSource whose fields are 0.
const (
	DefaultTimeout   = 5 * time.Second
	DefaultInterval  = 30 * time.Second
	DefaultFailAfter = 2 * time.Minute
)

// Settle judges a release of one artifact in one environment that landed at
// landedAt. The outcome is promotion.SettledGood, promotion.SettledBad or empty
// while it is not decided; the verdict explains it, and its Look says when time
// alone may change it. Readings of sources that are not the environment's, or
// of another artifact's, are left out.
func Settle(spec promotion.EnvironmentSpec, artifact promotion.Artifact, landedAt, now time.Time, readings []promotion.HealthReading) (string, promotion.Verdict) {
	v := promotion.Verdict{Gate: ID}
	if landedAt.IsZero() {
		v.Status = promotion.StatusUnknown
		v.Sentence = fmt.Sprintf("it is not known when %s landed in %s", artifact, spec.Name)
		return "", v
	}
	healthySince := landedAt
	var all []state
	for _, source := range Applicable(spec, artifact) {
		s := judge(source, landedAt, now, readings)
		all = append(all, s)
		v.Evidence = append(v.Evidence, s.evidence)
		if s.status == promotion.StatusPass && s.since.After(healthySince) {
			healthySince = s.since
		}
	}
	for _, s := range all {
		if s.bad {
			v.Status = promotion.StatusFail
			v.Sentence = fmt.Sprintf("%s has failed in %s since %s%s", s.name, spec.Name, gate.Clock(s.since, now), s.detail)
			return promotion.SettledBad, v
		}
	}
	if open, held := worst(all); held {
		v.Status, v.Sentence, v.Look = open.status, open.sentence(spec.Name, now), earliest(all)
		return "", v
	}
	return soak(spec, artifact, healthySince, now, len(all), v)
}

// soak judges a release whose sources all pass.
func soak(spec promotion.EnvironmentSpec, artifact promotion.Artifact, healthySince, now time.Time, sources int, v promotion.Verdict) (string, promotion.Verdict) {
	ends := healthySince.Add(spec.Soak)
	if spec.Soak > 0 && now.Before(ends) {
		v.Status, v.Look = promotion.StatusPending, ends
		v.Sentence = fmt.Sprintf("%s soaks %s until %s", spec.Name, artifact, gate.Clock(ends, now))
		if sources > 0 {
			v.Sentence += ", healthy since " + gate.Clock(healthySince, now)
		}
		return "", v
	}
	v.Status = promotion.StatusPass
	switch {
	case sources > 0 && spec.Soak > 0:
		v.Sentence = fmt.Sprintf("%s has been healthy in %s for %s, since %s", artifact, spec.Name, spec.Soak, gate.Clock(healthySince, now))
	case sources > 0:
		v.Sentence = fmt.Sprintf("%s is healthy in %s", artifact, spec.Name)
	case spec.Soak > 0:
		v.Sentence = fmt.Sprintf("%s has soaked in %s for %s", artifact, spec.Name, spec.Soak)
	default:
		v.Sentence = fmt.Sprintf("%s asks no health source and has no soak", spec.Name)
	}
	return promotion.SettledGood, v
}

// SoakEnds is when the soak of a release is over if every source keeps
// passing: soak after the later of landing and the last time it became
// healthy. It is zero while a source does not pass.
func SoakEnds(spec promotion.EnvironmentSpec, artifact promotion.Artifact, landedAt, now time.Time, readings []promotion.HealthReading) time.Time {
	if landedAt.IsZero() {
		return time.Time{}
	}
	healthySince := landedAt
	for _, source := range Applicable(spec, artifact) {
		s := judge(source, landedAt, now, readings)
		if s.status != promotion.StatusPass {
			return time.Time{}
		}
		if s.since.After(healthySince) {
			healthySince = s.since
		}
	}
	return healthySince.Add(spec.Soak)
}

// Since is since when a release has been what Settle says of it: failing, by the
// source that is named, or healthy, with the source that was the last to become
// so, or none where the landing itself came last.
func Since(spec promotion.EnvironmentSpec, artifact promotion.Artifact, landedAt, now time.Time, readings []promotion.HealthReading) (time.Time, string) {
	since, by := landedAt, ""
	for _, source := range Applicable(spec, artifact) {
		s := judge(source, landedAt, now, readings)
		if s.bad {
			return s.since, s.name
		}
		if s.status == promotion.StatusPass && s.since.After(since) {
			since, by = s.since, s.name
		}
	}
	return since, by
}

// Applicable are the environment's sources that speak of the artifact, in the
// order of the configuration.
func Applicable(spec promotion.EnvironmentSpec, artifact promotion.Artifact) []promotion.HealthSource {
	var out []promotion.HealthSource
	for _, h := range spec.Health {
		if h.Artifact == "" || h.Artifact == artifact {
			out = append(out, h)
		}
	}
	return out
}

// state is what one source says of the release.
type state struct {
	name   string
	status promotion.Status
	// since is when it began to say so, not before the landing.
	since time.Time
	// detail is what was seen, in brackets, or empty.
	detail string
	// bad is true when it failed for long enough.
	bad bool
	// badAt is when a failure will have lasted long enough.
	badAt    time.Time
	look     time.Time
	evidence promotion.Evidence
}

// judge reads one source's newest reading.
func judge(source promotion.HealthSource, landedAt, now time.Time, readings []promotion.HealthReading) state {
	s := state{
		name:   gate.Clip(source.Name(), 120),
		status: promotion.StatusPending,
		look:   now.Add(or(source.Interval, DefaultInterval)),
	}
	r, found := newest(source, readings)
	if !found {
		s.evidence = promotion.Evidence{Name: s.name, Value: "nothing said yet"}
		return s
	}
	if source.Status == "" && r.URL != "" {
		s.name = gate.Clip(r.URL, 120) // the address that was asked, not its pattern
	}
	if r.Detail != "" {
		s.detail = " (" + gate.Clip(r.Detail, 80) + ")"
	}
	s.evidence = promotion.Evidence{Name: s.name, Value: string(r.Status) + s.detail, URL: r.URL, At: r.At}
	switch r.Status {
	case promotion.StatusPass, promotion.StatusFail:
		if !speaks(source, r, landedAt, now) {
			s.detail = " (the last answer is not about this release, or too old)"
			return s
		}
		s.status = r.Status
	case promotion.StatusPending:
		return s
	default:
		s.status = promotion.StatusUnknown
		return s
	}
	s.since = r.Since
	if s.since.IsZero() {
		s.since = r.At
	}
	if s.since.Before(landedAt) {
		s.since = landedAt
	}
	if s.status == promotion.StatusFail {
		s.fail(source, r, now)
	}
	return s
}

// fail says whether a failure lasted long enough. A probe's failure must have
// been seen again after that time, by a later sample; a status stands until
// its author changes it.
func (s *state) fail(source promotion.HealthSource, r promotion.HealthReading, now time.Time) {
	after := or(source.FailAfter, DefaultFailAfter)
	s.badAt = s.since.Add(after)
	seen := now
	if source.Status == "" && r.At.Before(now) {
		seen = r.At
	}
	s.bad = !seen.Before(s.badAt)
	if s.badAt.After(now) && s.badAt.Before(s.look) {
		s.look = s.badAt
	}
}

// speaks reports whether a reading is about this release: a status is bound to
// its commit by whoever observed it; a probe's answer must be from after the
// landing, and fresh.
func speaks(source promotion.HealthSource, r promotion.HealthReading, landedAt, now time.Time) bool {
	if source.Status != "" {
		return !r.At.IsZero() || !r.Since.IsZero()
	}
	if r.At.IsZero() || r.At.Before(landedAt) {
		return false
	}
	fresh := 2*or(source.Interval, DefaultInterval) + or(source.Timeout, DefaultTimeout)
	return now.Sub(r.At) <= fresh
}

// newest finds the newest reading of a source; of two from the same instant
// the one that passes least.
func newest(source promotion.HealthSource, readings []promotion.HealthReading) (promotion.HealthReading, bool) {
	var best promotion.HealthReading
	found := false
	for _, r := range readings {
		if r.Source.Status != source.Status || r.Source.App != source.App || r.Source.HTTP != source.HTTP || r.Source.Artifact != source.Artifact {
			continue
		}
		if !found || r.At.After(best.At) || r.At.Equal(best.At) && best.Status == promotion.StatusPass {
			best, found = r, true
		}
	}
	return best, found
}

// worst is the state that decides, of those that don't pass; the first of
// equals.
func worst(all []state) (state, bool) {
	rank := map[promotion.Status]int{promotion.StatusPending: 1, promotion.StatusUnknown: 2, promotion.StatusFail: 3}
	var out state
	for _, s := range all {
		if rank[s.status] > rank[out.status] {
			out = s
		}
	}
	if out.status == promotion.StatusFail {
		// Not yet sustained: it holds, but it is no verdict on the release.
		out.status = promotion.StatusPending
	}
	return out, out.status != ""
}

// sentence explains a state that is not decided.
func (s *state) sentence(env promotion.Environment, now time.Time) string {
	switch {
	case !s.badAt.IsZero():
		return fmt.Sprintf("%s fails in %s since %s%s; it settles bad at %s unless it recovers", s.name, env, gate.Clock(s.since, now), s.detail, gate.Clock(s.badAt, now))
	case s.status == promotion.StatusUnknown:
		return fmt.Sprintf("%s can't tell whether the release in %s is healthy%s; rung asks again", s.name, env, s.detail)
	}
	return fmt.Sprintf("%s has not said yet whether the release in %s is healthy%s", s.name, env, s.detail)
}

// earliest is the first time at which a source that does not pass is worth
// asking again.
func earliest(all []state) time.Time {
	var look time.Time
	for _, s := range all {
		if s.status != promotion.StatusPass && (look.IsZero() || s.look.Before(look)) {
			look = s.look
		}
	}
	return look
}

func or(d, fallback time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return fallback
}
