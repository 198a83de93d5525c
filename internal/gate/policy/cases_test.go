package policy_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rungbot/rung/internal/gate/policy"
)

const root = "../../.."

func TestPoliciesOfThisRepository(t *testing.T) {
	report, err := policy.RunCases(os.DirFS(root + "/policies"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Failures {
		t.Error(f)
	}
	if len(report.Untested) > 0 {
		t.Errorf("policies without cases: %v", report.Untested)
	}
	if want := []string{"digest_test.yaml", "prod/change_test.yaml", "prod/release_test.yaml"}; strings.Join(report.Files, " ") != strings.Join(want, " ") {
		t.Errorf("files of cases: %v, want %v", report.Files, want)
	}
	if !report.OK() || report.Cases < 20 {
		t.Errorf("%d cases, ok %v", report.Cases, report.OK())
	}
}

const onePolicy = `apiVersion: json.kyverno.io/v1alpha1
kind: ValidatingPolicy
metadata: {name: one}
spec:
  rules:
    - name: forward
      assert:
        all:
          - message: only promotions
            check: {kind: promotion}
`

func TestRunCasesTellsWhatWentWrong(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string // the one failure; empty: none
	}{
		{"as expected", map[string]string{"a.yaml": onePolicy, "a_test.yaml": `cases:
  - {name: forward, change: {kind: promotion}, expect: pass}
  - {name: back, change: {kind: rollback}, expect: fail, rules: {forward: fail}, message: only promotions}
`}, ""},
		{"another answer", map[string]string{"a.yaml": onePolicy, "a_test.yaml": `cases:
  - {name: forward, change: {kind: promotion}, expect: pass}
  - {name: back, change: {kind: rollback}, expect: fail}
  - {name: wrong, change: {kind: rollback}, expect: pass}
`}, "a_test.yaml:4:5: wrong: expected pass, got fail: a.yaml (rule forward) denies it: only promotions"},
		{"another sentence", map[string]string{"a.yaml": onePolicy, "a_test.yaml": `cases:
  - {name: forward, change: {kind: promotion}, expect: pass}
  - {name: back, change: {kind: rollback}, expect: fail, message: Fridays}
`}, `a_test.yaml:3:5: back: expected a sentence with "Fridays"`},
		{"a rule that is not there", map[string]string{"a.yaml": onePolicy, "a_test.yaml": `cases:
  - {name: forward, change: {kind: promotion}, expect: pass}
  - {name: back, change: {kind: rollback}, expect: fail, rules: {forwrd: fail}}
`}, "a_test.yaml:3:5: back: the policy has no rule forwrd"},
		{"facts that do not exist", map[string]string{"a.yaml": onePolicy, "a_test.yaml": `cases:
  - {name: forward, change: {kind: promotion}, expect: pass}
  - {name: back, change: {kind: rollback}, expect: fail}
  - {name: typo, change: {kinds: rollback}, expect: fail}
`}, `a_test.yaml:4:5: typo: the facts are not right: json: unknown field "kinds"`},
		{"an expectation nobody has", map[string]string{"a.yaml": onePolicy, "a_test.yaml": `cases:
  - {name: forward, change: {kind: promotion}, expect: pass}
  - {name: back, change: {kind: rollback}, expect: fail}
  - {name: odd, change: {kind: rollback}, expect: maybe}
`}, "a_test.yaml:4:5: odd: expect must be pass, fail or unknown"},
		{
			"nothing fails",
			map[string]string{"a.yaml": onePolicy, "a_test.yaml": "cases:\n  - {name: forward, change: {kind: promotion}, expect: pass}\n"},
			"a_test.yaml:2:3: cases need at least one that passes and one that fails",
		},
		{"no policy beside it", map[string]string{"a_test.yaml": "cases: []\n"}, "a_test.yaml:1:1: there is no policy a.yaml beside it"},
		{"a policy that is none", map[string]string{"a.yaml": "kind: Pod\napiVersion: v1\n", "a_test.yaml": "cases: []\n"}, "a.yaml:2:13: apiVersion must be"},
		{"an unknown field", map[string]string{"a.yaml": onePolicy, "a_test.yaml": "cases: []\nfact: {}\n"}, "a_test.yaml:1:1: this is no policy: unknown field"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{".git/x_test.yaml": {Data: []byte("no")}}
			for name, text := range tt.files {
				files[name] = &fstest.MapFile{Data: []byte(text)}
			}
			report, err := policy.RunCases(files)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if !report.OK() {
					t.Fatalf("failures: %v", report.Failures)
				}
				return
			}
			if len(report.Failures) == 0 || !strings.HasPrefix(report.Failures[0].String(), tt.want) || report.OK() {
				t.Fatalf("failures: %v\nwant %s", report.Failures, tt.want)
			}
		})
	}
}

func TestRunCasesNamesUntestedPolicies(t *testing.T) {
	report, err := policy.RunCases(fstest.MapFS{
		"p/b.yaml":      {Data: []byte(onePolicy)},
		"p/values.yaml": {Data: []byte("a: 1\n")},
	})
	if err != nil || len(report.Untested) != 1 || report.Untested[0] != "p/b.yaml" || report.OK() {
		t.Fatalf("report %+v, err %v", report, err)
	}
}
