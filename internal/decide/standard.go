package decide

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/rungbot/rung/internal/gate"
	"github.com/rungbot/rung/internal/gate/approval"
	"github.com/rungbot/rung/internal/gate/health"
	"github.com/rungbot/rung/internal/gate/policy"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// Bench holds compiled policies between passes. It is a cache: a new Bench
// judges the same. Use it from one goroutine at a time.
type Bench struct {
	key      string
	set      policy.Set
	problems []promotion.ConfigProblem
}

// Judges are rung's own gates, with the policies of a snapshot.
func (b *Bench) Judges(s *promotion.Snapshot) Judges {
	if key := keyOf(s.Policies); key != b.key {
		b.set, b.problems = policy.Compile(s.Policies)
		b.key = key
	}
	return Judges{
		By: func(s *promotion.Snapshot) Judges {
			var other Bench
			return other.Judges(s)
		},
		Compare:   pipeline.Compare,
		Settle:    health.Settle,
		Problems:  bind(b.problems, &s.Pipeline),
		Promotion: gate.Panel{Policy: b.set.Judge, Approval: approval.Judge, App: s.AppID}.Judge,
	}
}

// bind says of each policy's problem which environments it holds: those that
// bind the file.
func bind(problems []promotion.ConfigProblem, p *promotion.Pipeline) []promotion.ConfigProblem {
	bound := slices.Clone(problems)
	for i := range bound {
		for _, env := range p.Environments {
			if slices.Contains(env.Policies, bound[i].Path) {
				bound[i].Environments = append(slices.Clone(bound[i].Environments), env.Name)
			}
		}
	}
	return slices.DeleteFunc(bound, func(problem promotion.ConfigProblem) bool { return len(problem.Environments) == 0 })
}

func keyOf(files map[string][]byte) string {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		h.Write([]byte(path))
		h.Write([]byte{0})
		h.Write(files[path])
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}
