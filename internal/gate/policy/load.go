package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/nearest"

	"github.com/kyverno/kyverno-json/pkg/apis/policy/v1alpha1"
	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/rungbot/rung/internal/promotion"
)

// The bounds of a policy file.
const (
	maxFile       = 64 << 10
	maxNodes      = 10_000
	maxRules      = 64
	maxAssertions = 64
	maxContext    = 16
	maxMessage    = 1024
	maxProblems   = 50
)

const (
	apiVersion = "json.kyverno.io/v1alpha1"
	policyKind = "ValidatingPolicy"
)

// file is a policy file while it is loaded.
type file struct {
	path     string
	problems []promotion.ConfigProblem
	readsNow bool
}

// problem reports what is wrong at a node.
func (f *file) problem(n *yaml.Node, format string, args ...any) {
	line, column := 1, 1
	if n != nil {
		line, column = max(n.Line, 1), max(n.Column, 1)
	}
	f.problemAt(line, column, fmt.Sprintf(format, args...))
}

func (f *file) problemAt(line, column int, text string) {
	p := promotion.ConfigProblem{Path: f.path, Line: line, Column: column, Text: text}
	for _, o := range f.problems {
		if o.Line == p.Line && o.Column == p.Column && o.Text == p.Text {
			return
		}
	}
	if len(f.problems) < maxProblems {
		f.problems = append(f.problems, p)
	}
}

// load reads one policy file: strictly, and with everything refused that the
// engine would let pass without having checked anything, or would judge
// differently from run to run.
func (f *file) load(data []byte) *v1alpha1.ValidatingPolicy {
	if len(data) > maxFile {
		f.problem(nil, "the file is larger than %d bytes", maxFile)
		return nil
	}
	root := f.document(data)
	if root == nil {
		return nil
	}
	f.structure(root)
	if len(f.problems) > 0 {
		return nil
	}
	var p v1alpha1.ValidatingPolicy
	if err := sigsyaml.UnmarshalStrict(data, &p); err != nil {
		f.decodeProblem(err)
		return nil
	}
	f.lint(&p, root)
	if len(f.problems) > 0 {
		return nil
	}
	return &p
}

// document parses the file's one YAML document, less anchors and merge keys.
func (f *file) document(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root *yaml.Node
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			f.decodeProblem(err)
			return nil
		}
		if len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Tag == "!!null" {
			continue
		}
		if root != nil {
			f.problem(doc.Content[0], "a policy file holds one policy; put this document into a file of its own")
			return nil
		}
		root = doc.Content[0]
	}
	if root == nil || root.Kind != yaml.MappingNode {
		f.problem(root, "this is no policy: it needs apiVersion, kind, metadata and spec")
		return nil
	}
	left := maxNodes
	if !f.plainNodes(root, 0, &left) {
		return nil
	}
	return root
}

// plainNodes refuses what reads differently than it looks: anchors, aliases,
// merge keys, own tags, repeated keys; and trees that are too large.
func (f *file) plainNodes(n *yaml.Node, depth int, left *int) bool {
	*left--
	switch {
	case *left < 0 || depth > 4*maxDepth:
		f.problem(n, "the file is too large or too deep")
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		f.problem(n, "anchors and aliases are not taken in policies; write the value out")
		return false
	case n.Tag == "!!merge":
		f.problem(n, "merge keys are not taken in policies; write the fields out")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		f.problem(n, "tags are not taken in policies")
		return false
	}
	if n.Kind == yaml.MappingNode {
		seen := map[string]bool{}
		for i := 0; i < len(n.Content); i += 2 {
			k := n.Content[i]
			if k.Kind != yaml.ScalarNode {
				f.problem(k, "a key must be plain text")
				return false
			}
			if seen[k.Value] {
				f.problem(k, "%s is there twice", shorten(k.Value))
				return false
			}
			seen[k.Value] = true
		}
	}
	for _, c := range n.Content {
		if !f.plainNodes(c, depth+1, left) {
			return false
		}
	}
	return true
}

var lineNumber = lazyregexp.New(`line (\d+)`)

// decodeProblem reports an error of a YAML decoder, at the line it names.
func (f *file) decodeProblem(err error) {
	text := err.Error()
	line := 1
	if m := lineNumber.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits; out of range is 0
	}
	for _, prefix := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "while decoding JSON: ", "yaml: ", "json: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	f.problemAt(max(line, 1), 1, "this is no policy: "+shorten(text))
}

// structure checks the kind and the names of the fields down to the checks
// themselves, each with its position.
func (f *file) structure(root *yaml.Node) {
	if _, n := member(root, "apiVersion"); n == root || n.Value != apiVersion {
		f.problem(n, "apiVersion must be %s", apiVersion)
	}
	if _, n := member(root, "kind"); n == root || n.Value != policyKind {
		hint := ""
		if strings.HasSuffix(strings.TrimSuffix(f.path, ".yaml"), caseSuffix) {
			hint = "; this file holds a policy's cases, bind the policy alone"
		}
		f.problem(n, "kind must be %s%s", policyKind, hint)
	}
	if len(f.problems) > 0 {
		return // whatever it is, its other fields say nothing
	}
	f.known(root, "apiVersion", "kind", "metadata", "spec")
	_, meta := member(root, "metadata")
	if _, name := member(meta, "name"); meta == root || name == meta || name.Value == "" {
		f.problem(meta, "metadata.name is missing")
	}
	_, spec := member(root, "spec")
	if spec == root || spec.Kind != yaml.MappingNode {
		f.problem(spec, "spec is missing")
		return
	}
	f.known(spec, "rules")
	_, rules := member(spec, "rules")
	if rules == spec || rules.Kind != yaml.SequenceNode || len(rules.Content) == 0 {
		f.problem(rules, "a policy without rules passes everything; give it a rule")
		return
	}
	if len(rules.Content) > maxRules {
		f.problem(rules, "more than %d rules; use several files", maxRules)
		return
	}
	for _, rule := range rules.Content {
		f.ruleStructure(rule)
	}
}

func (f *file) ruleStructure(rule *yaml.Node) {
	for _, name := range []string{"match", "exclude"} {
		if k, v := member(rule, name); v != rule {
			f.problem(k, "%s is not taken: a rule that gives no answer denies. Bind the file to environments in rung.yaml, and put other conditions into assert.any", name)
			return
		}
	}
	f.known(rule, "name", "context", "identifier", "feedback", "assert")
	if _, name := member(rule, "name"); name == rule || name.Value == "" || len(name.Value) > 63 {
		f.problem(name, "a rule needs a name of 1 to 63 bytes")
	}
	_, assert := member(rule, "assert")
	if assert == rule || assert.Kind != yaml.MappingNode || len(assert.Content) == 0 {
		f.problem(assert, "the rule asserts nothing; give it assert.all or assert.any")
		return
	}
	f.known(assert, "all", "any")
	for i := 1; i < len(assert.Content); i += 2 {
		list := assert.Content[i]
		if list.Kind != yaml.SequenceNode || len(list.Content) == 0 || len(list.Content) > maxAssertions {
			f.problem(list, "%s must be a list of 1 to %d assertions", assert.Content[i-1].Value, maxAssertions)
			continue
		}
		for _, a := range list.Content {
			f.known(a, "message", "check")
			if _, check := member(a, "check"); check == a || check.Kind != yaml.MappingNode {
				f.problem(check, "an assertion needs a check, which maps fields or expressions to what they must be")
			}
			if _, message := member(a, "message"); message != a && len(message.Value) > maxMessage {
				f.problem(message, "the message is longer than %d bytes", maxMessage)
			}
		}
	}
}

// known refuses fields other than the named ones.
func (f *file) known(n *yaml.Node, fields ...string) {
	if n == nil || n.Kind != yaml.MappingNode {
		f.problem(n, "this must be a mapping with %s", strings.Join(fields, ", "))
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		name := n.Content[i].Value
		found := false
		for _, k := range fields {
			found = found || k == name
		}
		if !found {
			f.problem(n.Content[i], "there is no field %s here%s", shorten(name), nearest.DidYouMean(name, fields))
		}
	}
}

// lint walks the expressions and checks of a policy whose structure is right.
func (f *file) lint(p *v1alpha1.ValidatingPolicy, root *yaml.Node) {
	_, spec := member(root, "spec")
	_, rules := member(spec, "rules")
	names := map[string]bool{}
	for i := range p.Spec.Rules {
		rule, n := &p.Spec.Rules[i], element(rules, i)
		if names[rule.Name] {
			_, at := member(n, "name")
			f.problem(at, "another rule is named %s", shorten(rule.Name))
		}
		names[rule.Name] = true
		f.rule(rule, n)
	}
	sort.SliceStable(f.problems, func(i, j int) bool {
		a, b := f.problems[i], f.problems[j]
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
}

func (f *file) rule(rule *v1alpha1.ValidatingRule, n *yaml.Node) {
	facts := value{shape: factsShape(), sure: true}
	c := &checker{file: f, expression: expression{vars: map[string]value{
		"$payload": facts,
		"$now":     {shape: stringShape, sure: true},
	}}}
	f.context(c, rule, n, facts)
	if _, id := member(n, "identifier"); rule.Identifier != "" {
		c.judge(rule.Identifier, facts, 0)
		c.flush(id)
	}
	_, feedback := member(n, "feedback")
	for i, entry := range rule.Feedback {
		c.judge(entry.Value, facts, 0)
		c.flush(element(feedback, i))
	}
	_, assert := member(n, "assert")
	for _, block := range []struct {
		name string
		list []v1alpha1.Assertion
	}{{"all", rule.Assert.All}, {"any", rule.Assert.Any}} {
		_, at := member(assert, block.name)
		for i, a := range block.list {
			_, check := member(element(at, i), "check")
			c.tree(a.Check.Value, check, facts, 0, 0)
			_, message := member(element(at, i), "message")
			c.message(a.Message, message, facts)
		}
	}
	if c.growth > maxGrowth {
		f.problem(n, "the rule's expressions can make results more than %d times as long as the facts", maxGrowth)
	}
	f.readsNow = f.readsNow || c.readsNow
}

// context judges a rule's variables; each sees those before it.
func (f *file) context(c *checker, rule *v1alpha1.ValidatingRule, n *yaml.Node, facts value) {
	_, at := member(n, "context")
	if len(rule.Context) > maxContext {
		f.problem(at, "more than %d variables", maxContext)
		return
	}
	for i, entry := range rule.Context {
		node := element(at, i)
		name := "$" + entry.Name
		if _, taken := c.vars[name]; taken || !variableName.MatchString(entry.Name) || entry.Name == "rule" || entry.Name == "policy" {
			f.problem(node, "%q can't be a variable: use letters, digits and _, and a name that is not bound already", shorten(entry.Name))
			continue
		}
		v := value{shape: anyShape, sure: entry.Variable.Value != nil, literal: true}
		if text, ok := entry.Variable.Value.(string); ok {
			_, variable := member(node, "variable")
			k, ok := parseKey(text)
			switch {
			case ok && k.expression && (k.foreach || k.binding != "" || k.engine != ""):
				f.problem(variable, "a variable is a value, or one JMESPath expression in parentheses")
			case ok && k.expression:
				v = c.judge(k.statement, facts, 0)
				c.flush(variable)
			default:
				v.shape = stringShape
			}
		}
		c.vars[name] = v
	}
}

var (
	variableName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
	inMessage    = lazyregexp.New(`{{(.*?)}}`)
)

// message judges the expressions in a message, which must be strings.
func (c *checker) message(text string, n *yaml.Node, facts value) {
	for _, m := range inMessage.FindAllStringSubmatch(text, -1) {
		v := c.judge(strings.TrimSpace(m[1]), facts, 0)
		if k := v.shape.kind; k != kindString && k != kindAny {
			c.problem("{{%s}} is %s and a message shows strings; use to_string()", shorten(m[1]), v.shape.article())
		}
		c.flush(n)
	}
}
