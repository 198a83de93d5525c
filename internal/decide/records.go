package decide

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/rungbot/rung/internal/gate/health"
	"github.com/rungbot/rung/internal/promotion"
)

// Bounds of what one record keeps beside its own fields, in bytes of JSON: the
// evidence of its gates and the facts together, and of those the evidence alone;
// and the messages of its policies' rules. A branch that everybody clones can't
// be purged.
const (
	maxKept     = 64 << 10
	maxEvidence = 24 << 10
	maxMessages = 16 << 10
)

// judged writes into a record what all gates said of its promotion, and the facts
// that they judged, so that the past can be judged again. Facts that are too large
// stand there by their digest alone.
func judged(r *promotion.Record, f *promotion.Facts, j Judgement) {
	var evidence int
	r.Gates, evidence = recordGates(j.Verdicts, f.Now)
	r.Policies, r.Approvals = boundedPolicies(j.Policies), j.Approvals
	r.Inputs = nil
	for _, v := range j.Verdicts {
		r.Inputs = append(r.Inputs, v.Inputs...)
	}
	r.Facts, r.FactsDigest = f.Keep(), ""
	if size(r.Facts)+evidence > maxKept {
		r.Facts, r.FactsDigest = nil, f.Digest()
	}
}

// judgeLanded judges a promotion that is in the base branch, with the configuration
// that stood at the landed commit's first parent where it is known, and says which
// gates were not met there.
func (p *pass) judgeLanded(land *promotion.Record, r promotion.Record, c *promotion.BaseChange) {
	by := p
	land.Base.Judged = p.s.Base.Head
	switch {
	case c.Rules != nil:
		by, land.Base.Judged = p.by(c.Rules), land.Landed.FirstParent
	case land.Landed.FirstParent != "" && !p.governedSince(c):
		land.Base.Judged = land.Landed.FirstParent // the same configuration
	}
	pair := promotion.Pair{Environment: land.Environment, Artifact: land.Artifact.Name}
	r.Places = land.Places
	f := by.facts(pair, r.Promotes(), r, p.s.Heads[pair])
	f.Base = land.Base.Judged
	j := by.judge(f)
	judged(land, f, j)
	land.Authorized = ""
	for _, v := range j.Verdicts {
		if v.Status != promotion.StatusPass && !afterMerge[v.Gate] {
			land.Landed.Unmet = append(land.Landed.Unmet, v.Gate)
		}
	}
}

// by is the pass as another configuration sees it, to judge and not to record.
func (p *pass) by(rules *promotion.Rules) *pass {
	q, s := *p, *p.s
	s.Pipeline, s.Problems, s.Policies = rules.Pipeline, rules.Problems, rules.Policies
	q.s, q.judges = &s, p.judges.By(&s)
	return &q
}

// governedSince reports whether the configuration changed by a base commit or
// behind it.
func (p *pass) governedSince(c *promotion.BaseChange) bool {
	for i := len(p.s.Base.Changes) - 1; i >= 0; i-- {
		if p.s.Base.Changes[i].Governs {
			return true
		}
		if p.s.Base.Changes[i].Commit == c.Commit {
			return false
		}
	}
	return false
}

// window is what the verification of a release ended with.
func (p *pass) window(pair promotion.Pair, env *promotion.EnvironmentSpec) *promotion.RecordWindow {
	landed := landedAt(p.live[pair])
	w := &promotion.RecordWindow{Began: landed, Ended: p.s.Now, Soak: env.Soak}
	readings := p.readings(pair)
	w.Since, w.By = health.Since(*env, pair.Artifact, landed, p.s.Now, readings)
	for _, r := range readings {
		if slices.Contains(health.Applicable(*env, pair.Artifact), r.Source) {
			w.Readings = append(w.Readings, r.Canonical())
		}
	}
	return w
}

// filesOf are the blobs of the files that hold a pair's places now.
func (p *pass) filesOf(pair promotion.Pair) []promotion.RecordFile {
	var files []promotion.RecordFile
	for _, pl := range p.s.Places[pair] {
		f := promotion.RecordFile{Path: pl.Path, After: p.s.Blobs[pl.Path]}
		if f.After != "" && !slices.Contains(files, f) {
			files = append(files, f)
		}
	}
	return files
}

// unjudged is an open promotion's record as a new propose: nothing that was said of
// its earlier head holds for the next one.
func unjudged(r promotion.Record) promotion.Record {
	r.Kind, r.Previous, r.IssuedAt = promotion.RecordPropose, nil, time.Time{}
	r.Gates, r.Policies, r.Approvals, r.Inputs, r.Facts, r.FactsDigest = nil, nil, nil, nil, nil, ""
	return r
}

// recordGates are verdicts as records hold them, and how many bytes their evidence
// takes. What goes beyond the bound is counted, and stands there by its digest.
func recordGates(vs []promotion.Verdict, observed time.Time) ([]promotion.RecordGate, int) {
	gates := make([]promotion.RecordGate, len(vs))
	used := 0
	for i, v := range vs {
		gates[i] = promotion.RecordGate{Gate: v.Gate, Status: v.Status, Sentence: v.Sentence, ObservedAt: observed}
		for n, e := range v.Evidence {
			if used += size(e); used > maxEvidence {
				rest := v.Evidence[n:]
				gates[i].Evidence = append(gates[i].Evidence, promotion.Evidence{
					Name: "left out", Value: fmt.Sprintf("%d more, %s", len(rest), promotion.DigestOf(rest)),
				})
				break
			}
			gates[i].Evidence = append(gates[i].Evidence, e)
		}
	}
	return gates, min(used, maxEvidence)
}

// boundedPolicies leaves out the messages beyond the bound; the results stay.
func boundedPolicies(policies []promotion.RecordPolicy) []promotion.RecordPolicy {
	policies = slices.Clone(policies)
	used := 0
	for i := range policies {
		rules := make([]promotion.RuleResult, len(policies[i].Rules))
		for n, rule := range policies[i].Rules {
			if used += len(rule.Message); used > maxMessages {
				rule.Message = ""
			}
			rules[n] = rule
		}
		policies[i].Rules = rules
	}
	return policies
}

// size is how many bytes a value is as JSON.
func size(v any) int {
	data, err := json.Marshal(v)
	if err != nil {
		return maxKept + 1 // it can't be kept
	}
	return len(data)
}
