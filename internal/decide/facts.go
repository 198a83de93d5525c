package decide

import (
	"slices"

	"github.com/rungbot/rung/internal/promotion"
)

// facts gathers what the gates judge about a promotion that has, or would have,
// the given propose record.
func (p *pass) facts(pair promotion.Pair, kind string, r promotion.Record, head promotion.HeadState) *promotion.Facts {
	env, _ := p.s.Pipeline.Environment(pair.Environment)
	spec, _ := p.s.Pipeline.Artifact(pair.Artifact)
	f := &promotion.Facts{
		Version: promotion.FactsVersion, Now: p.s.Now, Kind: kind, Repository: p.s.Repository, Mode: p.s.Pipeline.Mode, Commits: p.s.Pipeline.Commits,
		Places: r.Places, Base: p.s.Base.Head, Causers: r.Causers, CausersUnknown: p.s.CausersUnknown, Rules: p.s.Rules, Freezes: p.freezes(pair),
		Artifact: promotion.ArtifactFacts{Name: pair.Artifact, Previous: p.value(pair)},
	}
	if f.Places == nil {
		f.Places = []promotion.PlaceChange{}
	}
	if env != nil {
		f.Environment = *env
	}
	if spec != nil {
		f.Artifact.Image = spec.Image
	}
	if r.Artifact != nil {
		f.Artifact.Version, f.Artifact.Digest = r.Artifact.Version, r.Artifact.Digest
	}
	if rec, barred := p.barred(f.Artifact.Digest); barred {
		b := bar(string(f.Artifact.Digest), rec)
		f.Quarantined = &b
	}
	if kind == promotion.KindPromotion {
		for _, before := range p.predecessors(pair) {
			f.Predecessors = append(f.Predecessors, p.predecessor(promotion.Pair{Environment: before, Artifact: pair.Artifact}, f.Artifact.Digest))
		}
	}
	for _, problem := range slices.Concat(p.s.Problems, p.judges.Problems) {
		if concerns(problem, pair.Environment) && kind == promotion.KindPromotion {
			f.Holds = append(f.Holds, problem.String())
		}
	}
	if text := p.disagreement(pair); text != "" {
		f.Holds = append(f.Holds, text)
	}
	if text := p.manualHold(pair); text != "" && kind == promotion.KindPromotion {
		f.Holds = append(f.Holds, text)
	}
	f.PullRequest = p.pullRequestFacts(pair, head)
	canonical := f.Canonical()
	return &canonical
}

// concerns reports whether a configuration problem holds an environment.
func concerns(problem promotion.ConfigProblem, env promotion.Environment) bool {
	if len(problem.Environments) == 0 {
		return true
	}
	for _, e := range problem.Environments {
		if e == env {
			return true
		}
	}
	return false
}

func (p *pass) pullRequestFacts(pair promotion.Pair, head promotion.HeadState) *promotion.PullRequestFacts {
	pr := p.pullRequest(pair)
	if pr == nil {
		// Not opened yet: what rung is about to build is its own, and clean.
		return &promotion.PullRequestFacts{Ours: true, Mergeable: "mergeable", Author: p.s.App, ChecksComplete: true}
	}
	f := &promotion.PullRequestFacts{
		Number: pr.Number, Head: pr.Head, Ours: head.Ours && head.Commit == pr.Head, HeadProblem: head.Problem, Draft: pr.Draft,
		Mergeable: pr.Mergeable, Author: pr.Author, Reviews: pr.Reviews, Checks: pr.Checks, ChecksComplete: pr.ChecksComplete,
	}
	if head.Commit != pr.Head && head.Problem == "" {
		f.HeadProblem = "the pull request shows another head than the branch; it is looked at again"
	}
	for _, login := range head.Committers {
		f.Committers = append(f.Committers, promotion.Person{Login: login})
	}
	// A head that stands on the base's own head merges cleanly, whether or not
	// the forge has computed that yet.
	for _, parent := range head.Parents {
		if parent == p.s.Base.Head && f.Mergeable == "unknown" {
			f.Mergeable = "mergeable"
		}
	}
	return f
}

func (p *pass) judge(f *promotion.Facts) Judgement { return p.judges.Promotion(f) }
