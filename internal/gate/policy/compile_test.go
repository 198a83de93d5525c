package policy_test

import (
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/gate/policy"
)

// check wraps lines of a check, each indented by a tab here, into a policy.
// The check's first line is line 10.
func check(lines ...string) string {
	var b strings.Builder
	b.WriteString("apiVersion: json.kyverno.io/v1alpha1\nkind: ValidatingPolicy\nmetadata: {name: p}\nspec:\n  rules:\n    - name: r\n      assert:\n        all:\n          - check:\n")
	for _, l := range lines {
		b.WriteString("              " + strings.ReplaceAll(l, "\t", "  ") + "\n")
	}
	return b.String()
}

func problems(text string) string {
	_, found := policy.Compile(map[string][]byte{"policies/p.yaml": []byte(text)})
	var out []string
	for _, p := range found {
		out = append(out, p.String())
	}
	return strings.Join(out, "\n")
}

func TestCompileTakesSoundPolicies(t *testing.T) {
	for name, text := range map[string]string{
		"a field":                          check("kind: promotion"),
		"an expression":                    check("(artifact.version == 'x'): true"),
		"a loop":                           check("~.places:", "\tafter: {version: 1.4.2}"),
		"a loop with an index":             check("~i.places:", "\t($i >= `0`): true"),
		"a binding alone on its level":     check("(artifact.version)->v:", "\t(@ == $v): true"),
		"the time of the facts":            check("(time_after($now, '2026-01-01T00:00:00Z')): true"),
		"!= on fields that are there":      check("(artifact.name != 'legacy'): true"),
		"!= null asks for presence":        check("(pullRequest != `null`): true"),
		"!= with a value for missing":      check("(not_null(pullRequest.mergeable, '') != 'conflicting'): true"),
		"! on a flag left out when false":  check("(!(environment.autoRollback)): true"),
		"a flag left out when false":       check("(environment.autoRollback || `false`): false"),
		"sorted keys":                      check("(length(keys(environment)) > `0`): true"),
		"let":                              check("(let $v = artifact.version in $v == '1'): true"),
		"the whole document in a loop":     check("~.places:", "\t(contains($payload.predecessors[].environment, path)): true"),
		"a multi-document file with blank": "---\n" + check("kind: promotion") + "---\n",
		"identifier and feedback":          strings.Replace(check("kind: promotion"), "      assert:", "      identifier: artifact.name\n      feedback: [{name: v, value: artifact.version}]\n      assert:", 1),
	} {
		if got := problems(text); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	good := check("kind: promotion")
	tests := []struct{ name, text, want string }{
		// What the engine would pass without having checked anything.
		{"another kind", strings.Replace(good, "ValidatingPolicy", "ClusterPolicy", 1), "p.yaml:2:7: kind must be ValidatingPolicy"},
		{"another version", strings.Replace(good, "v1alpha1", "v1", 1), "p.yaml:1:13: apiVersion must be json.kyverno.io/v1alpha1"},
		{"no rules", good[:strings.Index(good, "  rules")] + "  rules: []\n", "p.yaml:5:10: a policy without rules passes everything"},
		{"rules left out", good[:strings.Index(good, "  rules")] + "  {}\n", "a policy without rules"},
		{"an empty check", check("{}"), "p.yaml:10:15: an empty check passes for everything"},
		{"an empty check below", check("pullRequest: {}"), "p.yaml:10:28: an empty check passes"},
		{"an empty check of a loop", check("~.places: {}"), "an empty check passes"},
		{"no check", strings.Replace(good, "check:", "message: x", 1)[:strings.Index(good, "check:")+11] + "\n", "an assertion needs a check"},
		{"a check that is text", strings.Replace(good, "check:\n              kind: promotion", "check: \"(kind == 'promotion')\"", 1), "an assertion needs a check"},
		{"an empty assert", strings.Replace(good[:strings.Index(good, "        all")], "assert:", "assert: {}", 1), "the rule asserts nothing"},
		{"an empty list of assertions", good[:strings.Index(good, "        all")] + "        all: []\n", "p.yaml:8:14: all must be a list of 1 to 64 assertions"},
		{"match", strings.Replace(good, "      assert:", "      match: {any: [{kind: x}]}\n      assert:", 1), "p.yaml:7:7: match is not taken: a rule that gives no answer denies"},
		{"exclude", strings.Replace(good, "      assert:", "      exclude: {any: [{kind: x}]}\n      assert:", 1), "exclude is not taken"},
		{"two policies", good + "---\n" + good, "p.yaml:12:1: a policy file holds one policy"},
		{"nothing", "", "this is no policy"},
		{"a list", "- a\n", "this is no policy"},
		{"a case file", "facts: {}\ncases: []\n", "apiVersion must be"},
		// Misspelt.
		{"a field of the policy", strings.Replace(good, "  rules:", "  rule:", 1), `p.yaml:5:3: there is no field rule here; did you mean "rules"?`},
		{"a field of the rule", strings.Replace(good, "      assert:", "      asert:", 1), `there is no field asert here; did you mean "assert"?`},
		{"case matters", strings.Replace(good, "      assert:", "      Assert: {all: [{check: {kind: x}}]}\n      assert:", 1), `there is no field Assert here; did you mean "assert"?`},
		{"a fact", check("knd: promotion"), `p.yaml:10:15: the facts have no field knd here; did you mean "kind"?`},
		{"a fact below", check("artifact:", "\tverison: 1.4.2"), `p.yaml:11:17: the facts have no field verison here; did you mean "version"?`},
		{"a fact with dots", check("artifact.version: 1.4.2"), "the facts have no field artifact.version here"},
		{"a fact in an expression", check("(environment.nme == 'prod'): true"), `the facts have no field nme here; did you mean "name"?`},
		{"a fact in a loop", check("~.places:", "\t(aftr.digest): x"), `the facts have no field aftr here; did you mean "after"?`},
		{"a fact in a filter", check("(length(predecessors[?setled == 'good'])): 1"), `the facts have no field setled here; did you mean "settled"?`},
		{"a fact in a value", check("kind: (artifact)"), "is asked of a string"},
		{"a fact in a message", strings.Replace(check("kind: promotion"), "- check:", "- message: '{{ artifact.vers }}'\n            check:", 1), "p.yaml:9:22: the facts have no field vers here"},
		{"a message that is no string", strings.Replace(check("kind: promotion"), "- check:", "- message: '{{ artifact }}'\n            check:", 1), "a message shows strings"},
		{"a field of a list", check("places:", "\tpath: x"), "path is asked of a list"},
		{"a function", check("(lenght(places)): 1"), `lenght() is not a function of the engine; did you mean "length"?`},
		{"a variable", check("($nwo == 'x'): true"), `$nwo is not bound here; did you mean "$now"?`},
		{"an expression", check("(artifact.): x"), "is not a JMESPath expression"},
		{"half an expression", check("(length(): x"), "JMESPath"},
		{"null without backquotes", check("(pullRequest == null): true"), "null is read as a field's name; write `null`"},
		// True where a fact is missing.
		{"!= on an optional field", check("~.predecessors:", "\t(settled != 'bad'): true"), "p.yaml:11:17: != is also true when a side is missing"},
		{"!= below an optional object", check("(pullRequest.mergeable != 'conflicting'): true"), "!= is also true"},
		{"!= on an element", check("(places[0].path != 'x'): true"), "!= is also true"},
		{"! of ==", check("(!(pullRequest.mergeable == 'conflicting')): true"), "! is also true when a fact is missing"},
		{"! of an optional object", check("(!(pullRequest.draft)): true"), "! is also true when a fact is missing"},
		{"! binds before the dot", check("(!environment.autoRollback): true"), "!a.b reads as (!a).b"},
		{"== is false", check("(pullRequest.mergeable == 'conflicting'): false"), "p.yaml:10:15: `: false` is also true when a fact is missing"},
		{"contains a missing thing is false", check("(contains(['bad'], pullRequest.mergeable)): false"), "`: false` is also true"},
		{"strings are not ordered", check("(artifact.version > '1.0.0'): true"), "only numbers can be ordered, and this is a string; use semver_compare()"},
		// Never true, as the field is left out.
		{"false is left out", check("environment:", "\tautoRollback: false"), "autoRollback is left out when it is false"},
		{"null is left out", check("quarantined: null"), "quarantined is left out when it is empty"},
		{"another type", check("places: none"), "this is compared with a string, but the fact is a list"},
		// Another answer from run to run.
		{"time_now", check("(time_now() == 'x'): true"), "time_now() is forbidden: it reads the clock; use $now"},
		{"time_now_utc", check("(time_now_utc() == 'x'): true"), "time_now_utc() is forbidden"},
		{"time_since", check("(time_since('', now, '') == 'x'): true"), "time_since() is forbidden"},
		{"random", check("(random('a') == 'a'): true"), "random() is forbidden"},
		{"sort_by", check("(sort_by(places, &path)[0].path == 'a'): true"), "sort_by() is forbidden"},
		{"random in a message", strings.Replace(check("kind: promotion"), "- check:", "- message: \"{{ random('a') }}\"\n            check:", 1), "random() is forbidden"},
		{"random in a variable", strings.Replace(check("kind: promotion"), "      assert:", "      context: [{name: x, variable: \"(random('a'))\"}]\n      assert:", 1), "random() is forbidden"},
		{"a binding among siblings", check("(artifact.version)->v:", "\t(@ == $v): true", "kind: promotion"), "p.yaml:10:15: -> v binds among 1 siblings"},
		{"keys in any order", check("(keys(environment)[0]): name"), "an element is taken from a list without a fixed order"},
		{"keys joined", check("(join(',', keys(environment))): name"), "join() is given a list without a fixed order"},
		{"keys compared", check("(keys(environment)): [a, b]"), "a list without a fixed order is compared"},
		{"a star over an object", check("(environment.*): [a]"), "* over an object gives its values in no fixed order"},
		// Without a bound.
		{"padding", check("(pad_left(kind, `100000000`)): x"), "pad_left() is forbidden"},
		{"doubling", check("(kind" + strings.Repeat("|concat(@,@)", 40) + "): x"), "results more than 4096 times as long"},
		{"loops in loops", check("(length(places[].[$payload.places[].[$payload.places[].path]])): 1"), "more than 2 loops"},
		{"assertion loops in loops", check("~.places:", "\t~.($payload.places):", "\t\t~.($payload.places):", "\t\t\tpath: x"), "more than 2 loops"},
		{"a long expression", check("kind: (kind == '" + strings.Repeat("x", 1100) + "')"), "longer than 1024 bytes"},
		{"a deep check", check("artifact: " + strings.Repeat("{artifact: ", 60) + "x" + strings.Repeat("}", 60)), "deep"},
		{"a large file", good + "# " + strings.Repeat("x", 70_000), "larger than 65536 bytes"},
		// Reads otherwise than it looks.
		{"an alias", "x: &a {b: c}\ny: *a\n", "anchors and aliases are not taken"},
		{"a merge key", "<<: {a: b}\n", "merge keys are not taken"},
		{"a repeated key", check("kind: promotion", "kind: rollback"), "kind is there twice"},
		{"a tag", check("kind: !!str promotion"), "tags are not taken"},
		{"an escaped key", check(`\kind\: promotion`), "escaped keys are not offered"},
		{"another engine", check("(cel:object.kind): x"), "there is no engine cel"},
		{"a loop in a value", check("kind: ~.(places)"), "neither ~ nor ->"},
		{"no YAML", "a: b: c\n", "p.yaml:1:1: this is no policy"},
		{"two rules of a name", good + good[strings.Index(good, "    - name: r"):], "another rule is named r"},
		{"a rule without a name", strings.Replace(good, "name: r", "name: ''", 1), "a rule needs a name"},
		{"no metadata", strings.Replace(good, "metadata: {name: p}\n", "", 1), "metadata.name is missing"},
		{"a variable named now", strings.Replace(good, "      assert:", "      context: [{name: now, variable: x}]\n      assert:", 1), `"now" can't be a variable`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := problems(tt.text)
			if !strings.Contains(got, tt.want) {
				t.Errorf("problems: %s\nwant %s\n%s", got, tt.want, tt.text)
			}
		})
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(check("kind: promotion"))
	f.Add(check("~i.places->p:", "\t(@ == $p): true"))
	f.Add(check("(sort(keys(environment))[0] != `null` && length(places[?after.digest == 'x'].path) > `2`): true"))
	f.Add(check("(let $a = kind in {a: $a, b: [kind, kind]}): {a: b}"))
	f.Add("a: &b [*b]\n")
	f.Add(check("((((): x"))
	f.Add(check("(@[0:2:-1].a.*.b | [*] | !@ || @ && -`1` // `2`): x"))
	facts := sample()
	f.Fuzz(func(t *testing.T, text string) {
		set, found := policy.Compile(map[string][]byte{"p": []byte(text)})
		for _, p := range found {
			if p.Line < 1 || p.Column < 1 || p.Text == "" || p.Path != "p" {
				t.Fatalf("a problem without a position: %+v", p)
			}
		}
		v, records := set.Judge(facts, []string{"p"})
		if len(found) > 0 && v.Status != "unknown" {
			t.Fatalf("a policy with problems gave %s", v.Status)
		}
		again, _ := set.Judge(facts, []string{"p"})
		if again.Status != v.Status || again.Sentence != v.Sentence || len(records) != 1 {
			t.Fatalf("two answers: %q and %q", v.Sentence, again.Sentence)
		}
	})
}
