package policy

import (
	"context"
	"slices"
	"sort"
	"sync"

	jpfunctions "github.com/jmespath-community/go-jmespath/pkg/functions"
	"github.com/kyverno/kyverno-json/pkg/engine/template"
)

// function is what the loader knows of one JMESPath function.
type function struct {
	// anyArgument says of each argument whether it takes null; the last one
	// speaks for those that follow. The others are type errors on null, which
	// deny.
	anyArgument []bool
	// null is true when the result may be null.
	null bool
	// grows is true when the result may be as long as all arguments together
	// or longer.
	grows bool
	// unordered is true when the order of the results changes from run to run.
	unordered bool
	// forbidden says why the function may not be used, and what to use.
	forbidden string
}

// forbidden are the engine's functions that make a judgment depend on
// something else than the facts, or that a policy has no use for but to
// exhaust the judge.
var forbidden = map[string]string{
	"time_now":     "it reads the clock; use $now, the time of the facts",
	"time_now_utc": "it reads the clock; use $now, the time of the facts",
	"time_since":   "it may read the clock; use time_diff with $now",
	"random":       "judging the same facts twice must give the same answer",
	"sort_by":      "it reorders the facts in place for the other rules; use sort() on plain values, or max_by() and min_by()",
	"at":           "it breaks the engine when the index is out of range; use [0] or the like",
	"pad_left":     "its result has no bound",
	"pad_right":    "its result has no bound",
}

var (
	mayBeNull = []string{
		"avg", "find_first", "find_last", "lookup", "max", "max_by", "min", "min_by", "parse_json",
		"json_parse", "parse_yaml", "to_number", "not_null",
	}
	growing = []string{
		"concat", "join", "merge", "replace", "replace_all", "regex_replace_all", "regex_replace_all_literal",
		"zip", "to_array", "to_string", "from_items", "items", "object_from_lists", "base64_encode",
	}
	unordered = []string{"keys", "values"}
	// settling functions take an unordered list and give the same answer
	// whatever its order.
	settling = []string{"sort", "length", "contains", "max", "min"}
)

// functions is the engine's own table, annotated. It is built once and only
// read.
var functions = sync.OnceValue(func() map[string]function {
	out := map[string]function{}
	for _, entry := range template.GetFunctions(context.Background()) {
		f := function{
			null:      slices.Contains(mayBeNull, entry.Name),
			grows:     slices.Contains(growing, entry.Name),
			unordered: slices.Contains(unordered, entry.Name),
			forbidden: forbidden[entry.Name],
		}
		for _, a := range entry.Arguments {
			f.anyArgument = append(f.anyArgument, slices.Contains(a.Types, jpfunctions.JpAny))
		}
		out[entry.Name] = f
	}
	return out
})

// functionNames are the functions that a policy may use, sorted.
func functionNames() []string {
	var out []string
	for name, f := range functions() {
		if f.forbidden == "" {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}

// takesNull reports whether the function accepts null as its i-th argument.
func (f function) takesNull(i int) bool {
	if len(f.anyArgument) == 0 {
		return true
	}
	return f.anyArgument[min(i, len(f.anyArgument)-1)]
}
