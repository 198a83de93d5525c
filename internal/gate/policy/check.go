package policy

import (
	"sort"

	"go.yaml.in/yaml/v3"

	"github.com/rungbot/rung/internal/lazyregexp"
)

// key is one key of an assertion tree, taken apart as the engine does:
// `~name.statement -> binding`, where a statement in parentheses is an
// expression.
type key struct {
	foreach bool
	index   string
	// binding is the name after the arrow.
	binding string
	// expression is true for a statement in parentheses, which are taken off.
	expression bool
	// engine is a word and a colon before the expression.
	engine    string
	escaped   bool
	statement string
}

var (
	keyParts      = lazyregexp.New(`^(~(\w*)\.)?(.*?)(?:\s*->\s*(\w+))?$`)
	inParentheses = lazyregexp.New(`^\((?:(\w+):)?(.+)\)$`)
	inBackslashes = lazyregexp.New(`^\\(.+)\\$`)
)

func parseKey(text string) (key, bool) {
	m := keyParts.FindStringSubmatch(text)
	if m == nil {
		return key{}, false
	}
	k := key{foreach: m[1] != "", index: m[2], statement: m[3], binding: m[4]}
	if inBackslashes.MatchString(k.statement) {
		k.escaped = true
	} else if x := inParentheses.FindStringSubmatch(k.statement); x != nil {
		k.expression, k.engine, k.statement = true, x[1], x[2]
	}
	return k, k.statement != ""
}

// maxDepth is how deep an assertion tree may be.
const maxDepth = 24

// checker walks one rule's assertion trees.
type checker struct {
	file *file
	expression
}

// at reports a problem at a node and takes over the expression's.
func (c *checker) at(n *yaml.Node, format string, args ...any) {
	c.file.problem(n, format, args...)
}

// flush reports the problems of the last expression at a node.
func (c *checker) flush(n *yaml.Node) {
	for _, p := range c.problems {
		c.at(n, "%s", p)
	}
	c.problems = nil
}

// tree walks an assertion tree over what is known of the value that it is
// asserted of.
func (c *checker) tree(assertion any, n *yaml.Node, context value, loops, depth int) {
	if depth > maxDepth {
		c.at(n, "the check is deeper than %d levels", maxDepth)
		return
	}
	switch a := assertion.(type) {
	case map[string]any:
		c.mapping(a, n, context, loops, depth)
	case []any:
		if context.shape.kind != kindList && context.shape.kind != kindAny {
			c.at(n, "this is compared with a list but it is %s", context.shape.article())
		}
		if context.loose {
			c.at(n, "a list without a fixed order is compared; use sort()")
		}
		for i, item := range a {
			c.tree(item, element(n, i), value{shape: elementOf(context.shape), sure: true}, loops, depth+1)
		}
	default:
		c.scalar(a, n, context, loops)
	}
}

func (c *checker) mapping(a map[string]any, n *yaml.Node, context value, loops, depth int) {
	if len(a) == 0 {
		c.at(n, "an empty check passes for everything; say what the value must be")
		return
	}
	names := make([]string, 0, len(a))
	for k := range a {
		names = append(names, k)
	}
	sort.Strings(names)
	for _, name := range names {
		keyNode, valueNode := member(n, name)
		k, ok := parseKey(name)
		if !ok {
			c.at(keyNode, "%q is not a field, an expression in parentheses or a loop", shorten(name))
			continue
		}
		if k.binding != "" && len(a) > 1 {
			c.at(keyNode, "-> %s binds among %d siblings, which see it or not as it happens; give it a level of its own", k.binding, len(a)-1)
		}
		c.entry(k, a[name], keyNode, valueNode, context, loops, depth)
	}
}

// entry walks one key and its value.
func (c *checker) entry(k key, assertion any, keyNode, valueNode *yaml.Node, context value, loops, depth int) {
	var projected value
	switch {
	case k.escaped:
		c.at(keyNode, `escaped keys are not offered; write the field's name`)
		return
	case k.engine != "":
		c.at(keyNode, "there is no engine %s; write the JMESPath expression alone", k.engine)
		return
	case k.expression:
		projected = c.judge(k.statement, context, loops)
		c.flush(keyNode)
		if assertion == false && !k.foreach {
			c.negated(projected, "`: false`")
			c.flush(keyNode)
		}
	default:
		projected = c.plain(k, assertion, keyNode, context)
	}
	if k.foreach {
		if kind := projected.shape.kind; kind != kindList && kind != kindDict && kind != kindAny {
			c.at(keyNode, "~ loops over a list, and this is %s", projected.shape.article())
		}
		projected = value{shape: elementOf(projected.shape), sure: true}
		if loops == 0 || k.expression && multiplies(k.statement) {
			loops++
		}
		if loops > maxLoops {
			c.at(keyNode, "more than %d loops over the facts stand inside each other", maxLoops)
		}
	} else if _, nested := assertion.(map[string]any); projected.loose && !nested {
		c.at(keyNode, "a list without a fixed order is compared; use sort()")
	}
	defer c.bind(k, keyNode, projected)()
	c.tree(assertion, valueNode, projected, loops, depth+1)
}

// multiplies reports whether a loop's source is not the element at hand.
func multiplies(statement string) bool {
	node, err := parse(statement)
	return err == nil && readsVariable(node)
}

// bind makes a key's variables known to what stands below it, and returns what
// takes them away again.
func (c *checker) bind(k key, n *yaml.Node, projected value) func() {
	saved := c.vars
	if k.index == "" && k.binding == "" {
		return func() {}
	}
	c.vars = make(map[string]value, len(saved)+2)
	for name, v := range saved {
		c.vars[name] = v
	}
	for name, v := range map[string]value{k.index: {shape: anyShape, sure: true}, k.binding: projected} {
		if name == "" {
			continue
		}
		if _, taken := saved["$"+name]; taken || name == "rule" || name == "policy" {
			c.at(n, "$%s is bound already", name)
		}
		c.vars["$"+name] = v
	}
	return func() { c.vars = saved }
}

// plain infers a key that is a field's name.
func (c *checker) plain(k key, assertion any, n *yaml.Node, context value) value {
	s := context.shape
	if s.kind == kindList {
		c.at(n, "%s is asked of a list; loop over it with ~, or pick an element with an expression", shorten(k.statement))
		return value{shape: anyShape}
	}
	v := c.field(k.statement, context)
	c.flush(n)
	if k.foreach || s.kind != kindObject {
		return v
	}
	if f, known := s.fields[k.statement]; known && f.optional {
		switch assertion {
		case false:
			c.at(n, "%s is left out when it is false, so this never passes; write (%s || `false`): false", k.statement, k.statement)
		case nil, "", float64(0):
			c.at(n, "%s is left out when it is empty, so this never passes; write (%s == `null`): true", k.statement, k.statement)
		}
	}
	return v
}

// scalar judges a value at the end of a tree: an expression in parentheses, or
// a literal.
func (c *checker) scalar(a any, n *yaml.Node, context value, loops int) {
	text, isText := a.(string)
	if isText {
		k, ok := parseKey(text)
		switch {
		case ok && k.expression && k.engine != "":
			c.at(n, "there is no engine %s; write the JMESPath expression alone", k.engine)
		case ok && k.expression && (k.foreach || k.binding != ""):
			c.at(n, "neither ~ nor -> can stand in a value")
		case ok && k.expression:
			if v := c.judge(k.statement, context, loops); v.loose {
				c.problem("a list without a fixed order is compared; use sort()")
			}
			c.flush(n)
			return
		case ok && k.escaped:
			c.at(n, `escaped values are not offered`)
		}
	}
	want := shapeOfLiteral(a).kind
	if have := context.shape.kind; a != nil && have != kindAny && want != have {
		c.at(n, "this is compared with %s, but the fact is %s", shapeOfLiteral(a).article(), context.shape.article())
	}
}

// member finds a key and its value in a mapping node; it falls back to the
// mapping itself.
func member(n *yaml.Node, name string) (*yaml.Node, *yaml.Node) {
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				return n.Content[i], n.Content[i+1]
			}
		}
	}
	return n, n
}

// element finds an item of a sequence node; it falls back to the sequence.
func element(n *yaml.Node, i int) *yaml.Node {
	if n != nil && n.Kind == yaml.SequenceNode && i < len(n.Content) {
		return n.Content[i]
	}
	return n
}
