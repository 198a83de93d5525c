package policy

import (
	"errors"
	"sort"
	"time"

	"github.com/kyverno/kyverno-json/pkg/apis/policy/v1alpha1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// explain words the error of a rule, the same each time. The engine walks the
// keys of a check in any order and stops at the first error, so a rule with
// two errors would be told by either. Here each path through the checks is
// evaluated alone, in order, and the first error is told.
func (c *compiled) explain(rule int, fallback error, document map[string]any, now time.Time) string {
	r := c.policy.Spec.Rules[rule]
	for _, list := range [][]v1alpha1.Assertion{r.Assert.Any, r.Assert.All} {
		for _, a := range list {
			for _, path := range paths(a.Check.Value, maxNodes) {
				alone := *c.policy
				one := r
				one.Assert = &v1alpha1.Assert{All: []v1alpha1.Assertion{{Check: v1alpha1.Any{Value: path}}}}
				alone.Spec.Rules = []v1alpha1.ValidatingRule{one}
				responses, err := run(&alone, document, now)
				switch {
				case err != nil:
					return err.Error()
				case len(responses) == 1 && responses[0].Error != nil:
					return wording(responses[0].Error)
				}
			}
		}
	}
	return wording(fallback)
}

// wording takes the engine's position off an error: it names the path through
// the split tree, which nobody wrote.
func wording(err error) string {
	var e *field.Error
	if errors.As(err, &e) {
		return "could not be evaluated at " + shorten(e.Field) + ": " + e.ErrorBody()
	}
	return "could not be evaluated: " + err.Error()
}

// paths splits an assertion tree into trees of one leaf each, in order. A key
// that binds has no siblings, so the split changes no answer.
func paths(assertion any, limit int) []any {
	switch a := assertion.(type) {
	case map[string]any:
		keys := make([]string, 0, len(a))
		for k := range a {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		var out []any
		for _, k := range keys {
			for _, below := range paths(a[k], limit-len(out)) {
				out = append(out, map[string]any{k: below})
			}
			if len(out) >= limit {
				break
			}
		}
		return out
	default:
		return []any{assertion}
	}
}
