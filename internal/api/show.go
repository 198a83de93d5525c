package api

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

func headerOf(v *view) Header {
	return Header{
		ID: v.Repository.ID, Owner: v.Repository.Owner, Name: v.Repository.Name, URL: link(v.Repository.URL),
		Configured: v.Configured, Mode: string(v.Mode), ObservedAt: v.At, TriedAt: v.tried, Error: v.Error, Unseen: append([]string{}, v.Unseen...),
	}
}

func summaryOf(v *view) Summary {
	freezes, holds := freezesOf(v.Freezes)
	s := Summary{
		Header: headerOf(v), Phases: map[string]int{}, Problems: len(v.Problems),
		Freezes: len(freezes), Holds: len(holds), Quarantines: len(v.Quarantine),
	}
	for _, p := range v.Pairs {
		s.Phases[p.Phase]++
	}
	return s
}

func repositoryOf(v *view) Repository {
	r := Repository{
		Header: headerOf(v), NextAt: v.Next, Base: string(v.Base), Ledger: string(v.Ledger), Notes: append([]string{}, v.Notes...),
		Problems: []Problem{}, Environments: []Environment{}, Artifacts: []string{}, Pairs: []Pair{}, Quarantines: []Quarantine{}, Would: append([]string{}, v.Would...),
	}
	for _, p := range v.Problems {
		r.Problems = append(r.Problems, Problem{Path: p.Path, Line: max(p.Line, 1), Column: max(p.Column, 1), Text: p.Text, Environments: names(p.Environments)})
	}
	if v.Pipeline != nil {
		for _, e := range v.Pipeline.Environments {
			r.Environments = append(r.Environments, Environment{Name: string(e.Name), After: names(e.After)})
		}
		for _, a := range v.Pipeline.Artifacts {
			r.Artifacts = append(r.Artifacts, string(a.Name))
		}
	}
	for i := range v.Pairs {
		r.Pairs = append(r.Pairs, pairOf(v, &v.Pairs[i]))
	}
	r.Freezes, r.Holds = freezesOf(v.Freezes)
	for _, b := range v.Quarantine {
		r.Quarantines = append(r.Quarantines, Quarantine{b.Scope, barOf(b)})
	}
	slices.SortFunc(r.Quarantines, func(a, b Quarantine) int { return strings.Compare(a.Digest, b.Digest) })
	return r
}

// freezesOf tells freezes from holds: a hold's scope is environment/artifact.
func freezesOf(bars []promotion.Bar) ([]Freeze, []Hold) {
	freezes, holds := []Freeze{}, []Hold{}
	for _, b := range bars {
		environment, artifact, hold := strings.Cut(b.Scope, "/")
		switch {
		case hold:
			holds = append(holds, Hold{environment, artifact, barOf(b)})
		case b.Scope == "+all":
			freezes = append(freezes, Freeze{"", barOf(b)})
		default:
			freezes = append(freezes, Freeze{environment, barOf(b)})
		}
	}
	slices.SortFunc(freezes, func(a, b Freeze) int { return strings.Compare(a.Environment, b.Environment) })
	slices.SortFunc(holds, func(a, b Hold) int {
		return cmp.Or(strings.Compare(a.Environment, b.Environment), strings.Compare(a.Artifact, b.Artifact))
	})
	return freezes, holds
}

func barOf(b promotion.Bar) Bar {
	bar := Bar{Reason: b.Reason, Since: b.At, Until: b.Until}
	if b.By != (promotion.Person{}) {
		bar.By = &Person{b.By.ID, b.By.Login, b.By.Bot}
	}
	return bar
}

func pairOf(v *view, st *promotion.PairState) Pair {
	p := Pair{
		Environment: string(st.Pair.Environment), Artifact: string(st.Pair.Artifact), Live: valueOf(st.Live), Phase: st.Phase,
		Sentence: st.Sentence, LookAt: st.Look, LandedAt: st.LandedAt, Settled: st.Settled, ByHand: st.ByHand, Unpinned: st.Unpinned,
		Kind: st.Kind, Verdicts: []Verdict{},
	}
	if target := valueOf(st.Target); target != (Value{}) {
		p.Target = &target
	}
	if st.PullRequest > 0 {
		p.PullRequest = &PullRequest{st.PullRequest, link(st.URL)}
		if web := link(v.Repository.URL); p.PullRequest.URL == "" && web != "" {
			p.PullRequest.URL = fmt.Sprintf("%s/pull/%d", web, st.PullRequest)
		}
	}
	for i := range st.Verdicts {
		p.Verdicts = append(p.Verdicts, verdictOf(&st.Verdicts[i]))
	}
	return p
}

func verdictOf(v *promotion.Verdict) Verdict {
	out := Verdict{Gate: v.Gate, Status: string(v.Status), Sentence: v.Sentence, LookAt: v.Look, Evidence: []Evidence{}, Rules: []Rule{}}
	for _, e := range v.Evidence {
		out.Evidence = append(out.Evidence, Evidence{e.Name, e.Value, link(e.URL), e.At})
	}
	for _, r := range v.Rules {
		out.Rules = append(out.Rules, Rule{r.Policy, r.Rule, string(r.Status), r.Message})
	}
	return out
}

func valueOf(v promotion.Value) Value { return Value{string(v.Version), string(v.Digest)} }

func names(environments []promotion.Environment) []string {
	all := make([]string, len(environments))
	for i, e := range environments {
		all[i] = string(e)
	}
	return all
}

// link is an address that a program may hand to a browser: absolute, http or
// https, without a user's name. Anything else is no link.
func link(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return ""
	}
	return s
}
