package policy_test

import (
	"fmt"
	"testing"

	"github.com/rungbot/rung/internal/gate/policy"
)

// One judgment of 20 policies of a rule each: PERFORMANCE row 11 has 5,000 of
// them, cold.
func BenchmarkJudgeTwentyPolicies(b *testing.B) {
	files := map[string][]byte{}
	var paths []string
	for i := range 20 {
		p := fmt.Sprintf("p%d.yaml", i)
		files[p] = []byte(check("artifact:", "\tname: checkout", "(starts_with(environment.path, 'environments/')): true"))
		paths = append(paths, p)
	}
	set, _ := policy.Compile(files)
	f := sample()
	for b.Loop() {
		if v, _ := set.Judge(f, paths); v.Status != "pass" {
			b.Fatal(v.Sentence)
		}
	}
}
