package history

import (
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// judged fills in what the gates said.
func (p *play) judged(r *promotion.Record, s *step) {
	r.Base = promotion.RecordBase{Ref: "refs/heads/main", Judged: p.base}
	r.IssuedAt = p.now
	r.PullRequest = &promotion.RecordPullRequest{Number: s.number, Head: s.head, Tree: s.tree}
	pass := func(gate, sentence string, evidence ...promotion.Evidence) {
		r.Gates = append(r.Gates, promotion.RecordGate{Gate: gate, Status: promotion.StatusPass, Sentence: sentence, ObservedAt: p.now, Evidence: evidence})
	}
	r.Gates, r.Policies, r.Approvals = nil, nil, nil
	pass("hold", "nothing outside the gates holds it")
	if s.from != nil {
		live := p.state.Live[promotion.Pair{Environment: s.from.Environment, Artifact: s.pair.Artifact}]
		reading, from := p.reading(s.pair.Artifact, s.from.Environment, promotion.StatusPass), string(s.from.Environment)
		pass("predecessor", fmt.Sprintf("%s settled good in %s", s.value.Version, from),
			promotion.Evidence{Name: from + " runs", Value: string(s.value.Version)},
			promotion.Evidence{Name: from + " landed", Value: "landed", At: live.Land.Record.IssuedAt},
			promotion.Evidence{Name: from + " settled", Value: "good", At: p.now},
			promotion.Evidence{Name: from + " " + reading.Source.HTTP, Value: "pass: 200 OK", URL: reading.URL, At: p.now})
	}
	pass("quarantine", "the digest is not quarantined")
	pass("freeze", "nothing is frozen here")
	var evidence []promotion.Evidence
	for _, path := range policies(s.pair.Environment) {
		digest := ledger.Digest(p.store.objects[p.fileAt(path)])
		evidence = append(evidence, promotion.Evidence{Name: path, Value: digest})
		r.Policies = append(r.Policies, promotion.RecordPolicy{
			Path: path, Digest: digest, Engine: "kyverno-json v0.0.4-0.20240730143747-aade3d42fc0e",
			Rules: []promotion.RuleResult{{Policy: path, Rule: "pinned", Status: promotion.StatusPass}, {Policy: path, Rule: "one-digest", Status: promotion.StatusPass}},
		})
	}
	pass("policy", "policies/digest.yaml allows it", evidence...)
	if s.pair.Environment == "prod-eu" && s.restores == "" {
		r.Approvals = []promotion.RecordApproval{{Person: alice, Permission: "write", Commit: s.head, Review: int64(600000 + s.number), At: p.now}}
		pass("approval", fmt.Sprintf("alice approved head %s", s.head.Short()), promotion.Evidence{Name: "alice", Value: "approved with write permission", At: p.now})
	}
	pass("head", fmt.Sprintf("head %s is what rung made and can be merged", s.head.Short()), promotion.Evidence{Name: "head", Value: string(s.head)}, promotion.Evidence{Name: "mergeable", Value: "mergeable"})
	pass("checks", "the base branch requires no other check")
	pass("rules", "the base branch's rules let it be merged", promotion.Evidence{Name: "merge methods", Value: "merge, squash, rebase"})
}

// facts are what an authorize keeps of the world that it was judged by.
func (p *play) facts(s *step) *promotion.RecordFacts {
	f := &promotion.RecordFacts{
		Version: 1, Now: p.now, Repository: promotion.Repository{ID: 20001, Installation: 7001, Owner: "acme", Name: "environments", URL: uri}, Previous: s.places[0].Before,
		PullRequest: &promotion.PullRequestFacts{Number: s.number, Head: s.head, Ours: true, Mergeable: "mergeable", Author: bot, ChecksComplete: true},
		Rules:       promotion.BranchRules{Known: true, RequiredChecks: []promotion.RequiredCheck{{Name: "rung", App: 42}}, Methods: []string{"merge", "squash", "rebase"}},
	}
	if s.from != nil {
		live := p.state.Live[promotion.Pair{Environment: s.from.Environment, Artifact: s.pair.Artifact}]
		f.Predecessors = []promotion.PredecessorFacts{{
			Environment: s.from.Environment, Live: s.value, Landed: live.Land.Record.IssuedAt, Settled: promotion.SettledGood, SettledAt: p.now,
			Health: []promotion.HealthReading{p.reading(s.pair.Artifact, s.from.Environment, promotion.StatusPass)},
		}}
	}
	if s.pair.Environment == "prod-eu" && s.restores == "" {
		f.PullRequest.Reviews = []promotion.ReviewFacts{{
			ID: int64(600000 + s.number), Author: alice, State: "approved", Commit: s.head, At: p.now, Access: &promotion.Access{Permission: "write"},
		}}
	}
	return f
}

// reading is what a health source said.
func (p *play) reading(a promotion.Artifact, e promotion.Environment, status promotion.Status) promotion.HealthReading {
	detail := "200 OK"
	if status != promotion.StatusPass {
		detail = "503 Service Unavailable"
	}
	return promotion.HealthReading{
		Source: promotion.HealthSource{HTTP: "https://apps.example.com/{environment}/" + string(a) + "/healthz", Artifact: a}, Status: status, Detail: detail,
		URL: fmt.Sprintf("https://apps.example.com/%s/%s/healthz", e, a), At: p.now, Since: p.now.Add(-30 * time.Minute),
	}
}

// settle is the end of a release's verification.
func (p *play) settle(pair promotion.Pair, outcome string) promotion.Record {
	land := p.state.Live[pair].Land.Record
	status, sentence := promotion.StatusPass, fmt.Sprintf("%s has been healthy in %s for 30m, since %s UTC", pair.Artifact, pair.Environment, p.now.Format("15:04"))
	if outcome == promotion.SettledBad {
		status, sentence = promotion.StatusFail, fmt.Sprintf("%s fails in %s", pair.Artifact, pair.Environment)
	}
	reading := p.reading(pair.Artifact, pair.Environment, status)
	return promotion.Record{
		Kind: promotion.RecordSettle, Promotion: land.Promotion, Environment: pair.Environment, Artifact: land.Artifact, Actor: rung,
		Cause: promotion.Cause{Kind: "health", At: p.now}, Outcome: outcome, Reason: sentence,
		Gates: []promotion.RecordGate{{
			Gate: "health", Status: status, Sentence: sentence, ObservedAt: p.now,
			Evidence: []promotion.Evidence{{Name: reading.URL, Value: string(status) + " (" + reading.Detail + ")", URL: reading.URL, At: p.now}},
		}},
		Window: &promotion.RecordWindow{
			Began: land.IssuedAt, Ended: p.now, Soak: 30 * time.Minute, Since: reading.Since, By: reading.URL, Readings: []promotion.HealthReading{reading},
		},
	}
}
