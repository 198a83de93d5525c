package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/nearest"

	"github.com/jmespath-community/go-jmespath/pkg/parsing"
)

// value is what is known of an expression's result before any facts are there.
type value struct {
	shape *shape
	// sure is true when it is never null.
	sure bool
	// absentFalse is true for a field that is left out exactly where it is
	// false.
	absentFalse bool
	// weak is true for a yes or no that is no where a fact is missing, so that
	// its negation would be yes.
	weak bool
	// literal is true for a value written in the policy; null is true for the
	// literal null.
	literal, null bool
	// loose is true for a list whose order changes from run to run.
	loose bool
}

// expression judges one JMESPath expression of a policy.
type expression struct {
	// vars are the variables in reach, with their dollar sign.
	vars map[string]value
	// problems are what is wrong with it, once each.
	problems []string
	// readsNow is set when it reads the time of the facts.
	readsNow bool
	// growth multiplies how much longer than the facts its result may be.
	growth int
}

// maxExpression is the longest expression in bytes.
const maxExpression = 1024

// maxLoops is how many loops over the facts may stand inside each other.
const maxLoops = 2

// parse reads an expression. The parser panics on some broken expressions, so
// a panic is an answer here.
func parse(text string) (node parsing.ASTNode, err error) {
	if len(text) > maxExpression {
		return node, fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the expression is incomplete")
		}
	}()
	return parsing.NewParser().Parse(text)
}

func (e *expression) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(e.problems, text) && len(e.problems) < 20 {
		e.problems = append(e.problems, text)
	}
}

// judge parses and infers an expression over a context; loops is the number of
// loops that it already stands in.
func (e *expression) judge(text string, context value, loops int) value {
	node, err := parse(text)
	if err != nil {
		e.problem("(%s) is not a JMESPath expression: %v", shorten(text), err)
		return value{shape: anyShape}
	}
	return e.infer(node, context, loops)
}

// infer finds what is known of a node's result, and what is wrong with it.
func (e *expression) infer(n parsing.ASTNode, context value, loops int) value {
	switch n.NodeType {
	case parsing.ASTField:
		name, _ := n.Value.(string)
		return e.field(name, context)
	case parsing.ASTIdentity, parsing.ASTCurrentNode:
		return context
	case parsing.ASTLiteral:
		return value{shape: shapeOfLiteral(n.Value), sure: n.Value != nil, literal: true, null: n.Value == nil}
	case parsing.ASTVariable:
		return e.variable(n)
	case parsing.ASTRootNode:
		e.problem("$ is empty in policies; use $payload for the whole document")
	case parsing.ASTSubexpression, parsing.ASTIndexExpression:
		left := e.infer(n.Children[0], context, loops)
		right := e.infer(n.Children[1], left, loops)
		return right
	case parsing.ASTPipe:
		for _, c := range n.Children {
			context = e.infer(c, context, loops)
		}
		return context
	case parsing.ASTComparator:
		return e.comparator(n, context, loops)
	case parsing.ASTNotExpression:
		child := e.infer(n.Children[0], context, loops)
		e.negated(child, "!")
		return value{shape: boolShape, sure: true, weak: child.weak}
	case parsing.ASTAndExpression, parsing.ASTOrExpression:
		return e.logic(n, context, loops)
	case parsing.ASTFunctionExpression:
		return e.call(n, context, loops)
	case parsing.ASTExpRef:
		return e.infer(n.Children[0], value{shape: anyShape, sure: true}, loops+1)
	case parsing.ASTArithmeticExpression, parsing.ASTArithmeticUnaryExpression:
		sure := true
		for _, c := range n.Children {
			v := e.infer(c, context, loops)
			sure = sure && v.sure && v.shape.kind == kindNumber
		}
		return value{shape: numberShape, sure: sure}
	case parsing.ASTLetExpression:
		return e.let(n, context, loops)
	default:
		return e.collection(n, context, loops)
	}
	return value{shape: anyShape}
}

// collection infers the nodes that make or walk lists and objects.
func (e *expression) collection(n parsing.ASTNode, context value, loops int) value {
	switch n.NodeType {
	case parsing.ASTIndex:
		if context.loose {
			e.problem("an element is taken from a list without a fixed order; use sort() on it first")
		}
		return value{shape: elementOf(context.shape)}
	case parsing.ASTSlice:
		return context
	case parsing.ASTProjection:
		source := e.infer(n.Children[0], context, loops)
		item := e.infer(n.Children[1], value{shape: elementOf(source.shape), sure: true}, e.loop(n.Children[0], loops))
		return value{shape: &shape{kind: kindList, elem: item.shape}, sure: source.sure, loose: source.loose}
	case parsing.ASTFilterProjection:
		source := e.infer(n.Children[0], context, loops)
		inside := e.loop(n.Children[0], loops)
		element := value{shape: elementOf(source.shape), sure: true}
		e.infer(n.Children[2], element, inside)
		item := e.infer(n.Children[1], element, inside)
		return value{shape: &shape{kind: kindList, elem: item.shape}, sure: source.sure, loose: source.loose}
	case parsing.ASTFlatten:
		source := e.infer(n.Children[0], context, loops)
		elem := elementOf(source.shape)
		if elem.kind == kindList {
			elem = elementOf(elem)
		}
		return value{shape: &shape{kind: kindList, elem: elem}, sure: source.sure, loose: source.loose}
	case parsing.ASTValueProjection:
		e.problem("* over an object gives its values in no fixed order; name the field, or use items(object, 'key', 'value')")
		e.infer(n.Children[0], context, loops)
		return value{shape: anyShape}
	case parsing.ASTMultiSelectList:
		e.grow(len(n.Children))
		for _, c := range n.Children {
			e.infer(c, context, loops)
		}
		return value{shape: &shape{kind: kindList, elem: anyShape}, sure: true}
	case parsing.ASTMultiSelectHash:
		e.grow(len(n.Children))
		out := &shape{kind: kindObject, fields: map[string]fieldShape{}}
		for _, c := range n.Children {
			v := e.infer(c.Children[0], context, loops)
			key, _ := c.Value.(string)
			out.fields[key] = fieldShape{shape: v.shape, optional: !v.sure}
		}
		return value{shape: out, sure: true}
	}
	e.problem("the expression has a part that the engine does not know")
	return value{shape: anyShape}
}

// field infers the value of a named field.
func (e *expression) field(name string, context value) value {
	switch s := context.shape; s.kind {
	case kindAny:
		return value{shape: anyShape}
	case kindDict:
		return value{shape: s.elem}
	case kindObject:
		f, known := s.fields[name]
		if !known && slices.Contains([]string{"null", "true", "false"}, name) {
			e.problem("%s is read as a field's name; write `%s` with backquotes", name, name)
			return value{shape: anyShape}
		}
		if !known {
			e.problem("the facts have no field %s here%s", shorten(name), nearest.DidYouMean(name, s.names()))
			return value{shape: anyShape}
		}
		if s == factsShape() && name == "now" {
			e.readsNow = true
		}
		return value{
			shape:       f.shape,
			sure:        context.sure && !f.optional,
			absentFalse: context.sure && f.optional && f.shape.kind == kindBool,
		}
	case kindBool:
		e.problem("%s is asked of true or false; !a.b reads as (!a).b, so write !(a.b)", shorten(name))
		return value{shape: anyShape}
	default:
		e.problem("%s is asked of %s, which has no fields", shorten(name), s.article())
		return value{shape: anyShape}
	}
}

func (e *expression) variable(n parsing.ASTNode) value {
	name, _ := n.Value.(string)
	v, known := e.vars[name]
	switch {
	case known:
		if name == "$now" {
			e.readsNow = true
		}
		return v
	case name == "$rule" || name == "$policy":
		e.problem("%s is not offered to policies", name)
	default:
		var names []string
		for k := range e.vars {
			names = append(names, k)
		}
		slices.Sort(names)
		e.problem("%s is not bound here%s", shorten(name), nearest.DidYouMean(name, names))
	}
	return value{shape: anyShape}
}

func (e *expression) comparator(n parsing.ASTNode, context value, loops int) value {
	left, right := e.infer(n.Children[0], context, loops), e.infer(n.Children[1], context, loops)
	if left.loose || right.loose {
		e.problem("a list without a fixed order is compared; use sort()")
	}
	explicit := left.null || right.null
	out := value{shape: boolShape, sure: true, weak: left.weak || right.weak || !explicit && !(left.sure && right.sure)}
	switch n.Value {
	case parsing.TOKEQ:
	case parsing.TOKNE:
		if !explicit && !(left.sure && right.sure) {
			e.problem("!= is also true when a side is missing; use ==, or give it a value with not_null(field, '')")
		}
		out.weak = left.weak || right.weak
	default:
		for _, side := range []value{left, right} {
			if k := side.shape.kind; k != kindNumber && k != kindAny {
				e.problem("only numbers can be ordered, and this is %s; use semver_compare() for versions, time_after() for times", side.shape.article())
			}
		}
		out.sure = left.sure && right.sure && left.shape.kind == kindNumber && right.shape.kind == kindNumber
		out.weak = out.weak || !out.sure
	}
	return out
}

// negated refuses to negate what is no only because a fact is missing.
func (e *expression) negated(v value, how string) {
	if v.weak || !v.sure && !v.absentFalse {
		e.problem("%s is also true when a fact is missing; give the fact a value with not_null(field, …), or ask for == `null` where missing is meant", how)
	}
}

func (e *expression) logic(n parsing.ASTNode, context value, loops int) value {
	left, right := e.infer(n.Children[0], context, loops), e.infer(n.Children[1], context, loops)
	out := value{shape: anyShape, weak: left.weak || right.weak, loose: left.loose || right.loose}
	if left.shape.kind == right.shape.kind {
		out.shape = left.shape
	}
	if left.shape.kind == kindList && right.shape.kind == kindList && right.literal {
		out.shape = left.shape // list || `[]`
	}
	if n.NodeType == parsing.ASTOrExpression {
		out.sure = right.sure
	} else {
		out.sure = left.sure && right.sure
	}
	return out
}

func (e *expression) call(n parsing.ASTNode, context value, loops int) value {
	name, _ := n.Value.(string)
	f, known := functions()[name]
	switch {
	case !known:
		e.problem("%s() is not a function of the engine%s", shorten(name), nearest.DidYouMean(name, functionNames()))
	case f.forbidden != "":
		e.problem("%s() is forbidden: %s", name, f.forbidden)
	}
	out := value{shape: anyShape, sure: known && !f.null, loose: f.unordered}
	for i, c := range n.Children {
		v := e.infer(c, context, loops)
		if v.loose && !slices.Contains(settling, name) {
			e.problem("%s() is given a list without a fixed order; use sort() on it first", shorten(name))
		}
		switch {
		case name == "not_null":
			out.sure = out.sure || v.sure
			if i == 0 && v.shape.kind != kindAny {
				out.shape = v.shape
			}
		case f.takesNull(i) && !v.sure:
			out.weak = true
		}
		out.weak = out.weak || v.weak
	}
	if f.grows {
		e.grow(max(2, len(n.Children)))
	}
	if name == "length" {
		out.shape = numberShape
	}
	return out
}

func (e *expression) let(n parsing.ASTNode, context value, loops int) value {
	saved := e.vars
	e.vars = make(map[string]value, len(saved)+2)
	for k, v := range saved {
		e.vars[k] = v
	}
	for _, b := range n.Children[0].Children {
		if b.NodeType != parsing.ASTBinding || len(b.Children) != 2 || b.Children[0].NodeType != parsing.ASTVariable {
			e.problem("let takes $name = expression")
			continue
		}
		name, _ := b.Children[0].Value.(string)
		if _, taken := saved[name]; taken {
			e.problem("let binds %s, which is bound already", shorten(name))
		}
		e.vars[name] = e.infer(b.Children[1], context, loops)
	}
	out := e.infer(n.Children[1], context, loops)
	e.vars = saved
	return out
}

// loop counts a loop: one that walks a variable's list inside another loop
// multiplies, one that walks the element's own list does not.
func (e *expression) loop(source parsing.ASTNode, loops int) int {
	if loops > 0 && !readsVariable(source) {
		return loops
	}
	if loops+1 > maxLoops {
		e.problem("more than %d loops over the facts stand inside each other", maxLoops)
	}
	return loops + 1
}

// grow keeps account of how much longer than the facts a result may be.
func (e *expression) grow(times int) {
	if e.growth < 1 {
		e.growth = 1
	}
	if e.growth <= maxGrowth {
		e.growth *= max(1, times)
	}
}

// maxGrowth bounds the product of the lengths of all lists, objects and joined
// arguments in the expressions of one rule.
const maxGrowth = 4096

func readsVariable(n parsing.ASTNode) bool {
	return n.NodeType == parsing.ASTVariable || slices.ContainsFunc(n.Children, readsVariable)
}

func elementOf(s *shape) *shape {
	if s.elem != nil && (s.kind == kindList || s.kind == kindDict) {
		return s.elem
	}
	return anyShape
}

func shapeOfLiteral(v any) *shape {
	switch v.(type) {
	case string:
		return stringShape
	case float64:
		return numberShape
	case bool:
		return boolShape
	case []any:
		return &shape{kind: kindList, elem: anyShape}
	}
	return anyShape
}

// shorten shows a piece of a policy in an error.
func shorten(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
