package policy_test

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rungbot/rung/internal/gate/policy"
	"github.com/rungbot/rung/internal/promotion"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// sample is a promotion of checkout 1.4.2 into prod-eu.
func sample() *promotion.Facts {
	digest := promotion.Digest("sha256:" + strings.Repeat("6e", 32))
	after := promotion.Value{Version: "1.4.2", Digest: digest}
	return &promotion.Facts{
		Version: promotion.FactsVersion, Now: noon, Kind: promotion.KindPromotion, Mode: promotion.ModeMerge,
		Repository:  promotion.Repository{ID: 1, Installation: 2, Owner: "acme", Name: "gitops", URL: "https://github.example/acme/gitops"},
		Environment: promotion.EnvironmentSpec{Name: "prod-eu", Path: "environments/prod-eu", After: []promotion.Environment{"canary"}, Method: "merge"},
		Artifact:    promotion.ArtifactFacts{Name: "checkout", Image: "ghcr.io/acme/checkout", Version: "1.4.2", Digest: digest},
		Places:      []promotion.PlaceChange{{Path: "environments/prod-eu/kustomization.yaml", Locator: "kustomize:0:images[0]", Before: promotion.Value{Version: "1.4.1"}, After: after}},
		Base:        promotion.Hash(strings.Repeat("b", 40)),
		Predecessors: []promotion.PredecessorFacts{{
			Environment: "canary", Live: after, Landed: noon.Add(-2 * time.Hour), Settled: promotion.SettledGood, SettledAt: noon.Add(-time.Hour),
		}},
		PullRequest: &promotion.PullRequestFacts{Number: 7, Head: promotion.Hash(strings.Repeat("a", 40)), Ours: true, Mergeable: "mergeable", ChecksComplete: true},
		Rules:       promotion.BranchRules{Known: true},
	}
}

func compile(t *testing.T, files map[string]string) policy.Set {
	t.Helper()
	in := map[string][]byte{}
	for p, text := range files {
		in[p] = []byte(text)
	}
	set, found := policy.Compile(in)
	for _, p := range found {
		t.Fatal(p)
	}
	return set
}

func TestJudge(t *testing.T) {
	message := func(text, check string) string {
		return strings.Replace(check, "- check:", "- message: \""+text+"\"\n            check:", 1)
	}
	tests := []struct {
		name   string
		policy string
		change func(*promotion.Facts)
		status promotion.Status
		says   string
	}{
		{"passes", check("kind: promotion"), nil, promotion.StatusPass, "p.yaml allows it"},
		{
			"fails with its message", message("{{ artifact.version }} is not wanted", check("artifact: {version: 1.5.0}")), nil,
			promotion.StatusFail, "p.yaml (rule r) denies it: 1.4.2 is not wanted",
		},
		{"fails without a message", check("artifact: {version: 1.5.0}"), nil, promotion.StatusFail, `Expected value: "1.5.0"`},
		{"a missing field fails", check("pullRequest: {ours: true}"), func(f *promotion.Facts) { f.PullRequest = nil }, promotion.StatusFail, "pullRequest"},
		{"an error is unknown", check("(regex_match('(', kind)): true"), nil, promotion.StatusUnknown, "p.yaml (rule r) could not be judged: could not be evaluated"},
		{"a type error is unknown", check("(length(predecessors) == `1`): true"), func(f *promotion.Facts) { f.Predecessors = nil }, promotion.StatusUnknown, "could not be judged"},
		{"a list of another length fails", check("places: [{path: a}, {path: b}]"), nil, promotion.StatusFail, "lengths of slices don't match"},
		{"no places is an error of the loop", check("~.places:", "\tpath: x"), func(f *promotion.Facts) { f.Places = nil }, promotion.StatusUnknown, "could not be judged"},
		{"$now is the facts' time", check("($now == '2026-11-20T12:00:00Z'): true"), nil, promotion.StatusPass, "allows"},
		{"$payload is the document", check("~.places:", "\t(starts_with(path, $payload.environment.path)): true"), nil, promotion.StatusPass, "allows"},
		{"facts too large", check("kind: promotion"), func(f *promotion.Facts) { f.Holds = []string{strings.Repeat("x", 300_000)} }, promotion.StatusUnknown, "the facts are larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := sample()
			if tt.change != nil {
				tt.change(f)
			}
			v, records := compile(t, map[string]string{"p.yaml": tt.policy}).Judge(f, []string{"p.yaml"})
			if v.Status != tt.status || !strings.Contains(v.Sentence, tt.says) || v.Gate != policy.ID {
				t.Errorf("%s: %s", v.Status, v.Sentence)
			}
			if len(records) != 1 || len(records[0].Rules) != 1 || records[0].Rules[0].Status != tt.status || !reflect.DeepEqual(v.Rules, records[0].Rules) {
				t.Errorf("records %+v", records)
			}
			if r := records[0]; r.Engine != policy.Engine || !strings.HasPrefix(r.Digest, "sha256:") || len(r.Digest) != 71 || r.Path != "p.yaml" {
				t.Errorf("record %+v", r)
			}
		})
	}
}

func TestJudgeSeveralPolicies(t *testing.T) {
	set, found := policy.Compile(map[string][]byte{
		"good.yaml": []byte(check("kind: promotion")), "bad.yaml": []byte(check("kind: rollback")), "broken.yaml": []byte("no: policy\n"),
	})
	if len(found) == 0 {
		t.Fatal("the broken file has no problem")
	}
	tests := []struct {
		paths  []string
		status promotion.Status
		says   string
	}{
		{nil, promotion.StatusPass, "no policy is bound to prod-eu"},
		{[]string{"good.yaml"}, promotion.StatusPass, "good.yaml allows it"},
		{[]string{"good.yaml", "good.yaml"}, promotion.StatusPass, "good.yaml allows it"},
		{[]string{"good.yaml", "bad.yaml"}, promotion.StatusFail, "bad.yaml (rule r) denies it"},
		{[]string{"gone.yaml", "good.yaml"}, promotion.StatusUnknown, "gone.yaml (rule load) could not be judged: the file is bound here but is not in the base branch"},
		{[]string{"broken.yaml"}, promotion.StatusUnknown, "broken.yaml:1:1: apiVersion must be"},
		{[]string{"broken.yaml", "bad.yaml"}, promotion.StatusFail, "bad.yaml"},
	}
	for _, tt := range tests {
		v, _ := set.Judge(sample(), tt.paths)
		if v.Status != tt.status || !strings.Contains(v.Sentence, tt.says) {
			t.Errorf("%v: %s: %s", tt.paths, v.Status, v.Sentence)
		}
	}
	if v, _ := (policy.Set{}).Judge(sample(), []string{"any.yaml"}); v.Status != promotion.StatusUnknown {
		t.Errorf("an empty set said %s", v.Status)
	}
}

func TestTimedPoliciesAreJudgedAgain(t *testing.T) {
	timed := check("(time_after($now, '2027-01-01T00:00:00Z')): true")
	set := compile(t, map[string]string{"timed.yaml": timed, "field.yaml": check("(now == 'x'): true"), "plain.yaml": check("kind: rollback")})
	if v, _ := set.Judge(sample(), []string{"timed.yaml"}); v.Status != promotion.StatusFail || !v.Look.Equal(noon.Add(time.Minute)) {
		t.Errorf("timed: %s, look %s", v.Status, v.Look)
	}
	if v, _ := set.Judge(sample(), []string{"plain.yaml"}); !v.Look.IsZero() {
		t.Errorf("plain: look %s", v.Look)
	}
	if !set.ReadsNow([]string{"plain.yaml", "field.yaml"}) || set.ReadsNow([]string{"plain.yaml"}) {
		t.Error("ReadsNow is wrong")
	}
}

// The engine walks maps in any order: neither the order of the results nor the
// words of an error may show it.
func TestJudgeIsTheSameEachTime(t *testing.T) {
	text := check("(regex_match('(', kind)): true", "(regex_match('[', kind)): true", "(to_number(kind) + base): 1",
		"artifact: {name: a, image: b, version: c}", "environment:", "\tname: other", "\tpath: else", "\t(regex_match('(((', name)): true")
	set := compile(t, map[string]string{"p.yaml": text, "q.yaml": check("artifact: {name: a, image: b, version: c}", "mode: x")})
	for _, path := range []string{"p.yaml", "q.yaml"} {
		first, _ := set.Judge(sample(), []string{path})
		var wait sync.WaitGroup
		for range 4 {
			wait.Go(func() {
				for range 25 {
					if again, _ := set.Judge(sample(), []string{path}); !reflect.DeepEqual(first, again) {
						t.Errorf("%+v\n%+v", first, again)
					}
				}
			})
		}
		wait.Wait()
	}
}

func TestEngineIsTheOneInGoMod(t *testing.T) {
	mod, err := os.ReadFile(root + "/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(policy.Engine, " ")
	if !strings.Contains(string(mod), "github.com/kyverno/kyverno-json "+version) {
		t.Errorf("go.mod does not name %s", policy.Engine)
	}
}

// Facts survive JSON: what a policy sees, what `rung plan --facts` prints and
// what is kept beside the queue is what was observed.
func TestFactsRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := sample()
		f.Now = time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "now"), 0).UTC()
		f.Kind = rapid.SampledFrom([]string{promotion.KindPromotion, promotion.KindRollback}).Draw(rt, "kind")
		f.Environment.Soak = time.Duration(rapid.Int64Range(0, 1e15).Draw(rt, "soak"))
		f.Artifact.Version = promotion.Version(rapid.StringMatching(`[A-Za-z0-9_][A-Za-z0-9._+-]{0,20}`).Draw(rt, "version"))
		f.PullRequest.Reviews = rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) promotion.ReviewFacts {
			return promotion.ReviewFacts{
				ID: rapid.Int64Range(1, 1<<53).Draw(rt, "id"), Author: promotion.Person{ID: rapid.Int64Range(0, 1<<53).Draw(rt, "person"), Login: rapid.String().Draw(rt, "login")},
				State: rapid.SampledFrom([]string{"approved", "commented"}).Draw(rt, "state"), At: time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "at"), 0).UTC(),
			}
		}), 1, 4).Draw(rt, "reviews")
		if rapid.Bool().Draw(rt, "unopened") {
			f.PullRequest = nil
		}
		data, err := json.Marshal(f)
		if err != nil {
			rt.Fatal(err)
		}
		var back promotion.Facts
		if err := json.Unmarshal(data, &back); err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(*f, back) {
			rt.Fatalf("%+v\n%+v", *f, back)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	files := map[string][]byte{}
	var paths []string
	for _, p := range []string{"digest.yaml", "prod/release.yaml", "prod/change.yaml"} {
		data, err := os.ReadFile(root + "/policies/" + p)
		if err != nil {
			b.Fatal(err)
		}
		files[p], paths = data, append(paths, p)
	}
	set, _ := policy.Compile(files)
	f := sample()
	for b.Loop() {
		if v, _ := set.Judge(f, paths); v.Status != promotion.StatusPass {
			b.Fatal(v.Sentence)
		}
	}
}
