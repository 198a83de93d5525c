package githubemu

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// schema is the part of GitHub's GraphQL schema that is served: types, their
// fields, and what each abstract type may be.
type schema struct {
	types    map[string]map[string]*field
	possible map[string][]string
}

// field is a field's type and how it is found. An empty typ is a scalar.
type field struct {
	typ  string
	list bool
	perm string // what an installation token needs on the object's repository
	get  func(q *gqlCall, on any, args gqlArgs) (any, error)
}

type gqlArgs map[string]any

func (a gqlArgs) str(name string) string { s, _ := a[name].(string); return s }

func (a gqlArgs) num(name string) (int, bool) {
	switch n := a[name].(type) {
	case int64:
		return int(n), true
	case float64:
		return int(n), true
	case json.Number:
		i, err := strconv.Atoi(n.String())
		return i, err == nil
	}
	return 0, false
}

// strs reads a list of names; one name alone is a list of it.
func (a gqlArgs) strs(name string) []string {
	switch v := a[name].(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// gqlError is one entry of an answer's errors.
type gqlError struct {
	Type       string         `json:"type,omitempty"`
	Message    string         `json:"message"`
	Path       []any          `json:"path,omitempty"`
	Locations  []gqlLocation  `json:"locations,omitempty"`
	Extensions map[string]any `json:"extensions,omitempty"`
}

type gqlLocation struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

func (e *gqlError) Error() string { return e.Message }

func at(p *ast.Position) []gqlLocation {
	if p == nil {
		return nil
	}
	return []gqlLocation{{p.Line, p.Column}}
}

// gqlCall is one GraphQL request being answered.
type gqlCall struct {
	s      *Server
	ctx    context.Context
	who    *actor
	doc    *ast.QueryDocument
	vars   map[string]any
	errors []*gqlError
	steps  int // selections validated, which bounds what fragments multiply
	merges map[*pull]mergeability
}

type gqlRequest struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName"`
	Variables     map[string]any `json:"variables"`
}

// serveGraphQL is the GraphQL endpoint. Errors of a query are answered in a
// 200, as GitHub does.
func (s *Server) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	c := &call{
		s: s, ctx: context.WithoutCancel(r.Context()), r: r, path: "/graphql",
		rt: &route{method: r.Method, pattern: "/graphql", auth: authToken, kind: Read},
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		s.answer(w, c, fail(http.StatusRequestEntityTooLarge, "Request body is too large or was cut off").reply(documentation))
		return
	}
	c.body = body
	s.answer(w, c, s.runGraphQL(c))
}

func (s *Server) runGraphQL(c *call) reply {
	s.mu.Lock()
	off := s.cfg.NoGraphQL
	s.mu.Unlock()
	if off || c.r.Method != http.MethodPost {
		c.rt.pattern = "(no GraphQL)"
		return notFound().reply(documentation)
	}
	var req gqlRequest
	if json.Unmarshal(c.body, &req) != nil {
		return fail(http.StatusBadRequest, "Problems parsing JSON").reply(documentation)
	}
	doc, op, errs := parseQuery(req)
	if op != nil && op.Operation == ast.Mutation {
		c.rt.kind = Write
	}
	flt := s.intercept(c.rt.label(), c.rt.class())
	sleep(c.r.Context(), flt.latency)
	if flt.before != nil {
		return *flt.before
	}
	n, err := s.admit(c)
	if err != nil {
		return asError(err).reply(documentation)
	}
	if len(errs) > 0 {
		return reply{status: http.StatusOK, body: object{"errors": errs}}
	}
	s.hook(n, Before, c.r)
	rp := s.execute(c, doc, op, req.Variables)
	s.hook(n, After, c.r)
	if flt.after != nil {
		return *flt.after
	}
	return rp
}

// maxDepth bounds how deep a query may nest, maxSelections how much it asks.
const (
	maxDepth      = 25
	maxSelections = 20000
)

func parseQuery(req gqlRequest) (*ast.QueryDocument, *ast.OperationDefinition, []*gqlError) {
	if strings.TrimSpace(req.Query) == "" {
		return nil, nil, []*gqlError{{Message: "A query attribute must be specified and must be a string."}}
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: req.Query})
	if err != nil {
		e := &gqlError{Message: err.Error()}
		var pe *gqlerror.Error
		if errors.As(err, &pe) {
			e.Message = "Parse error: " + pe.Message
			for _, l := range pe.Locations {
				e.Locations = append(e.Locations, gqlLocation{l.Line, l.Column})
			}
		}
		return nil, nil, []*gqlError{e}
	}
	op := doc.Operations.ForName(req.OperationName)
	if op == nil {
		return nil, nil, []*gqlError{{Message: "No operation named " + strconv.Quote(req.OperationName)}}
	}
	return doc, op, nil
}

// execute answers one operation under the lock.
func (s *Server) execute(c *call, doc *ast.QueryDocument, op *ast.OperationDefinition, vars map[string]any) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &gqlCall{s: s, ctx: c.ctx, who: c.who, doc: doc, vars: map[string]any{}}
	for _, v := range op.VariableDefinitions {
		given, has := vars[v.Variable]
		switch {
		case has:
			q.vars[v.Variable] = given
		case v.DefaultValue != nil:
			if d, err := v.DefaultValue.Value(nil); err == nil {
				q.vars[v.Variable] = d
			}
		}
		if v.Type.NonNull && q.vars[v.Variable] == nil {
			q.errors = append(q.errors, &gqlError{
				Locations: at(v.Position),
				Message:   fmt.Sprintf("Variable $%s of type %s was provided invalid value", v.Variable, v.Type.String()),
			})
		}
	}
	root := "Query"
	if op.Operation == ast.Mutation {
		root = "Mutation"
	}
	if len(q.errors) == 0 {
		q.validate(op.SelectionSet, root, []any{string(op.Operation)}, 0)
	}
	if len(q.errors) > 0 {
		return reply{status: http.StatusOK, body: object{"errors": q.errors}}
	}
	data := q.object(root, nil, op.SelectionSet, nil)
	out := object{"data": data}
	if len(q.errors) > 0 {
		out["errors"] = q.errors
	}
	return reply{status: http.StatusOK, body: out}
}

// validate refuses unknown fields and unknown types before anything runs.
func (q *gqlCall) validate(set ast.SelectionSet, typ string, path []any, depth int) {
	if depth > maxDepth {
		q.errors = append(q.errors, &gqlError{Message: fmt.Sprintf("Query has depth of %d, which exceeds max depth of %d", depth, maxDepth)})
		return
	}
	for _, sel := range set {
		if q.steps++; q.steps > maxSelections {
			q.errors = []*gqlError{{Message: "Query has too many selections", Extensions: map[string]any{"code": "tooComplex"}}}
			return
		}
		switch sel := sel.(type) {
		case *ast.Field:
			q.validateField(sel, typ, append(path[:len(path):len(path)], sel.Alias), depth)
		case *ast.InlineFragment:
			on := sel.TypeCondition
			if on == "" {
				on = typ
			}
			q.validateFragment(sel.SelectionSet, on, path, sel.Position, depth)
		case *ast.FragmentSpread:
			f := q.doc.Fragments.ForName(sel.Name)
			if f == nil {
				q.errors = append(q.errors, &gqlError{Message: "Fragment " + sel.Name + " was used, but not defined", Path: path, Locations: at(sel.Position)})
				continue
			}
			q.validateFragment(f.SelectionSet, f.TypeCondition, path, sel.Position, depth)
		}
	}
}

func (q *gqlCall) validateFragment(set ast.SelectionSet, on string, path []any, pos *ast.Position, depth int) {
	if q.s.gql.types[on] == nil {
		q.errors = append(q.errors, &gqlError{
			Message: "No such type " + on + ", so it can't be a fragment condition",
			Path:    path, Locations: at(pos), Extensions: map[string]any{"code": "undefinedType", "typeName": on},
		})
		return
	}
	q.validate(set, on, append(path[:len(path):len(path)], "... on "+on), depth+1)
}

func (q *gqlCall) validateField(sel *ast.Field, typ string, path []any, depth int) {
	if sel.Name == "__typename" {
		return
	}
	f := q.s.gql.types[typ][sel.Name]
	if f == nil {
		q.errors = append(q.errors, &gqlError{
			Message: fmt.Sprintf("Field '%s' doesn't exist on type '%s'", sel.Name, typ),
			Path:    path, Locations: at(sel.Position),
			Extensions: map[string]any{"code": "undefinedField", "typeName": typ, "fieldName": sel.Name},
		})
		return
	}
	if f.typ == "" && len(sel.SelectionSet) > 0 {
		q.errors = append(q.errors, &gqlError{Message: fmt.Sprintf("Selections can't be made on scalars (field '%s')", sel.Name), Path: path, Locations: at(sel.Position)})
		return
	}
	if f.typ != "" && len(sel.SelectionSet) == 0 {
		q.errors = append(q.errors, &gqlError{Message: fmt.Sprintf("Field must have selections (field '%s' returns %s but has no selections. Did you mean '%s { ... }'?)",
			sel.Name, f.typ, sel.Name), Path: path, Locations: at(sel.Position)})
		return
	}
	if f.typ != "" {
		q.validate(sel.SelectionSet, f.typ, path, depth+1)
	}
}

// picked is one field of the answer with all the selections made on it.
type picked struct {
	*ast.Field
	set ast.SelectionSet
}

// collect gathers the fields that apply to an object of a type.
func (q *gqlCall) collect(typ string, set ast.SelectionSet, into *[]*picked) {
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			if !q.wanted(sel.Directives) {
				continue
			}
			found := false
			for _, p := range *into {
				if p.Alias == sel.Alias {
					p.set = append(p.set[:len(p.set):len(p.set)], sel.SelectionSet...)
					found = true
				}
			}
			if !found {
				*into = append(*into, &picked{sel, sel.SelectionSet})
			}
		case *ast.InlineFragment:
			if q.wanted(sel.Directives) && q.s.gql.applies(sel.TypeCondition, typ) {
				q.collect(typ, sel.SelectionSet, into)
			}
		case *ast.FragmentSpread:
			f := q.doc.Fragments.ForName(sel.Name)
			if f != nil && q.wanted(sel.Directives) && q.s.gql.applies(f.TypeCondition, typ) {
				q.collect(typ, f.SelectionSet, into)
			}
		}
	}
}

// applies tells whether a fragment on a type is for an object of another.
func (g *schema) applies(on, typ string) bool {
	if on == "" || on == typ {
		return true
	}
	for _, p := range g.possible[on] {
		if p == typ {
			return true
		}
	}
	return false
}

// wanted obeys @include and @skip.
func (q *gqlCall) wanted(ds ast.DirectiveList) bool {
	for _, d := range ds {
		arg := d.Arguments.ForName("if")
		if arg == nil {
			continue
		}
		v, err := arg.Value.Value(q.vars)
		yes, _ := v.(bool)
		if err == nil && (d.Name == "include" && !yes || d.Name == "skip" && yes) {
			return false
		}
	}
	return true
}

// typed is an object that knows which member of an abstract type it is.
type typed interface{ typename() string }

func (q *gqlCall) object(typ string, on any, set ast.SelectionSet, path []any) object {
	if t, ok := on.(typed); ok && len(q.s.gql.possible[typ]) > 0 {
		typ = t.typename()
	}
	var fields []*picked
	q.collect(typ, set, &fields)
	out := object{}
	for _, f := range fields {
		if f.Name == "__typename" {
			out[f.Alias] = typ
			continue
		}
		out[f.Alias] = q.field(typ, on, f, append(path[:len(path):len(path)], f.Alias))
	}
	return out
}

func (q *gqlCall) field(typ string, on any, f *picked, path []any) any {
	def := q.s.gql.types[typ][f.Name]
	if def == nil { // an interface's field that this member does not have
		return nil
	}
	v, err := q.resolve(def, on, f)
	if err != nil {
		q.fault(err, f, path)
		return nil
	}
	if isNil(v) || def.typ == "" {
		return v
	}
	if !def.list {
		return q.object(def.typ, v, f.set, path)
	}
	all, _ := v.([]any)
	out := make([]any, 0, len(all))
	for i, x := range all {
		if isNil(x) {
			out = append(out, nil)
			continue
		}
		out = append(out, q.object(def.typ, x, f.set, append(path[:len(path):len(path)], i)))
	}
	return out
}

func (q *gqlCall) resolve(def *field, on any, f *picked) (any, error) {
	args := gqlArgs{}
	for _, a := range f.Arguments {
		v, err := a.Value.Value(q.vars)
		if err != nil {
			return nil, err
		}
		if v != nil {
			args[a.Name] = v
		}
	}
	if h, ok := on.(interface{ home() *repo }); ok && def.perm != "" {
		if err := q.who.may(q.s, h.home(), def.perm); err != nil {
			return nil, &gqlError{Type: "FORBIDDEN", Message: "Resource not accessible by integration"}
		}
	}
	return def.get(q, on, args)
}

func (q *gqlCall) fault(err error, f *picked, path []any) {
	var ge *gqlError
	if !errors.As(err, &ge) {
		ge = &gqlError{Message: err.Error()}
		var e *Error
		if errors.As(err, &e) {
			ge = &gqlError{Type: "UNPROCESSABLE", Message: strings.TrimSpace(e.Message)}
		}
	}
	ge.Path, ge.Locations = path, at(f.Position)
	q.errors = append(q.errors, ge)
}

// isNil sees through typed nil pointers.
func isNil(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case *gqlPull:
		return v == nil
	case *gqlActor:
		return v == nil
	case *gqlCommit:
		return v == nil
	case *gqlRef:
		return v == nil
	}
	return false
}

// connection is a page of a list.
type connection struct {
	nodes       []any
	total       int
	from        int
	next, prior bool
}

// connect pages a list by first, last, after and before.
func connect(name string, args gqlArgs, all []any) (*connection, error) {
	first, hasFirst := args.num("first")
	last, hasLast := args.num("last")
	if !hasFirst && !hasLast {
		return nil, &gqlError{
			Type:    "MISSING_PAGINATION_BOUNDARIES",
			Message: fmt.Sprintf("You must provide a `first` or `last` value to properly paginate the `%s` connection.", name),
		}
	}
	if first > 100 || last > 100 {
		return nil, &gqlError{
			Type:    "EXCESSIVE_PAGINATION",
			Message: fmt.Sprintf("Requesting %d records on the `%s` connection exceeds the `first` limit of 100 records.", max(first, last), name),
		}
	}
	lo, hi := 0, len(all)
	if c := args.str("after"); c != "" {
		lo = min(max(cursorIndex(c)+1, 0), len(all))
	}
	if c := args.str("before"); c != "" {
		hi = min(max(cursorIndex(c), lo), len(all))
	}
	if hasFirst {
		hi = min(hi, lo+first)
	}
	if hasLast {
		lo = max(lo, hi-last)
	}
	return &connection{nodes: all[lo:hi], total: len(all), from: lo, next: hi < len(all), prior: lo > 0}, nil
}

func cursor(i int) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "cursor:v2:%d", i))
}

func cursorIndex(c string) int {
	raw, err := base64.StdEncoding.DecodeString(c)
	if err != nil {
		return -1
	}
	return atoi(strings.TrimPrefix(string(raw), "cursor:v2:"), -1)
}
