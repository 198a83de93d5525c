package policy

import (
	"reflect"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// kind is what a value of the facts document can be.
type kind int

const (
	kindAny kind = iota // not known, such as a function's result
	kindObject
	kindList
	kindDict // an object whose keys are data
	kindString
	kindNumber
	kindBool
)

// shape is the form of a value in the facts document, as far as the loader can
// know it before any facts are there.
type shape struct {
	kind   kind
	fields map[string]fieldShape
	elem   *shape
}

// fieldShape is one field of an object.
type fieldShape struct {
	shape *shape
	// optional is true when the document leaves the field out, or holds null,
	// where it has nothing to say.
	optional bool
}

var (
	anyShape    = &shape{kind: kindAny}
	stringShape = &shape{kind: kindString}
	numberShape = &shape{kind: kindNumber}
	boolShape   = &shape{kind: kindBool}
	// factsShape is the form of the whole document. It is built once and only
	// read.
	factsShape = sync.OnceValue(func() *shape { return shapeOf(reflect.TypeOf(promotion.Facts{})) })
)

// shapeOf derives the form in which encoding/json writes a type. The facts'
// types are not recursive.
func shapeOf(t reflect.Type) *shape {
	if t == reflect.TypeOf(time.Time{}) {
		return stringShape
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shapeOf(t.Elem())
	case reflect.Struct:
		s := &shape{kind: kindObject, fields: map[string]fieldShape{}}
		for i := range t.NumField() {
			addField(s, t.Field(i))
		}
		return s
	case reflect.Slice, reflect.Array:
		return &shape{kind: kindList, elem: shapeOf(t.Elem())}
	case reflect.Map:
		return &shape{kind: kindDict, elem: shapeOf(t.Elem())}
	case reflect.String:
		return stringShape
	case reflect.Bool:
		return boolShape
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return numberShape
	}
	return anyShape
}

func addField(s *shape, f reflect.StructField) {
	tag := f.Tag.Get("json")
	if tag == "-" || !f.IsExported() {
		return
	}
	name, options, _ := strings.Cut(tag, ",")
	if f.Anonymous && name == "" {
		for k, v := range shapeOf(f.Type).fields {
			s.fields[k] = v
		}
		return
	}
	if name == "" {
		name = f.Name
	}
	k := f.Type.Kind()
	optional := strings.Contains(options, "omit") || k == reflect.Pointer || k == reflect.Slice || k == reflect.Map
	s.fields[name] = fieldShape{shape: shapeOf(f.Type), optional: optional}
}

// names are an object's field names, sorted.
func (s *shape) names() []string {
	out := make([]string, 0, len(s.fields))
	for n := range s.fields {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// article names a kind for people.
func (s *shape) article() string {
	switch s.kind {
	case kindObject, kindDict:
		return "an object"
	case kindList:
		return "a list"
	case kindString:
		return "a string"
	case kindNumber:
		return "a number"
	case kindBool:
		return "true or false"
	}
	return "a value"
}
