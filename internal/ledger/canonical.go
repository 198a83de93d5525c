package ledger

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// parseCanonical decodes JSON as marshal writes a value of this type: compact,
// fields in their order, empty ones left out. It is several times as fast as a
// decoder that must expect anything, and an auditor reads a hundred thousand
// records. It is a reader for what is then encoded again and compared: false,
// or a value that does not encode to the same bytes, says nothing but that the
// library's decoder must look. Strings of the value share text.
func parseCanonical[T any](text string, into *T) bool {
	d := planOf(reflect.TypeFor[T]())
	if d == nil {
		return false
	}
	p := canonicalParser{text: text}
	d(&p, reflect.ValueOf(into).Elem())
	return !p.failed && p.at == len(text)
}

// plan decodes one type.
type plan func(*canonicalParser, reflect.Value)

// canonicalParser is at one byte of a text.
type canonicalParser struct {
	text   string
	at     int
	failed bool
}

func (p *canonicalParser) fail() { p.failed = true }

// take passes over a word, if it stands there.
func (p *canonicalParser) take(word string) bool {
	if strings.HasPrefix(p.text[p.at:], word) {
		p.at += len(word)
		return true
	}
	return false
}

// token is what stands up to a comma or a closing bracket.
func (p *canonicalParser) token() string {
	start := p.at
	for p.at < len(p.text) && p.text[p.at] != ',' && p.text[p.at] != '}' && p.text[p.at] != ']' {
		p.at++
	}
	return p.text[start:p.at]
}

// string reads a string; one with escapes is left to the library.
func (p *canonicalParser) string() string {
	if !p.take(`"`) {
		p.fail()
		return ""
	}
	start := p.at
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case '"':
			p.at++
			return p.text[start : p.at-1]
		case '\\':
			return p.escaped(start)
		}
		p.at++
	}
	p.fail()
	return ""
}

func (p *canonicalParser) escaped(start int) string {
	for p.at < len(p.text) && p.text[p.at] != '"' {
		if p.text[p.at] == '\\' {
			p.at++
		}
		p.at++
	}
	var s string
	if p.at >= len(p.text) || json.Unmarshal([]byte(p.text[start-1:p.at+1]), &s) != nil {
		p.fail()
		return ""
	}
	p.at++
	return s
}

var plans sync.Map // of reflect.Type to plan, nil for types that have none

func planOf(t reflect.Type) plan {
	if d, ok := plans.Load(t); ok {
		return d.(plan)
	}
	d := makePlan(t)
	plans.Store(t, d)
	return d
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	textType        = reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()
)

// makePlan makes a type's plan. Types refer to themselves nowhere in a record.
func makePlan(t reflect.Type) plan {
	if t == timeType {
		return readTime
	}
	if p := reflect.PointerTo(t); p.Implements(unmarshalerType) || p.Implements(textType) {
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		return func(p *canonicalParser, v reflect.Value) { v.SetString(p.string()) }
	case reflect.Bool:
		return func(p *canonicalParser, v reflect.Value) {
			if v.SetBool(p.take("true")); !v.Bool() && !p.take("false") {
				p.fail()
			}
		}
	case reflect.Int, reflect.Int64:
		return func(p *canonicalParser, v reflect.Value) {
			n, err := strconv.ParseInt(p.token(), 10, t.Bits())
			if err != nil {
				p.fail()
			}
			v.SetInt(n)
		}
	case reflect.Pointer:
		if inner := planOf(t.Elem()); inner != nil {
			return func(p *canonicalParser, v reflect.Value) {
				v.Set(reflect.New(t.Elem()))
				inner(p, v.Elem())
			}
		}
	case reflect.Slice:
		if inner := planOf(t.Elem()); inner != nil {
			return func(p *canonicalParser, v reflect.Value) { readSlice(p, v, inner) }
		}
	case reflect.Map:
		if inner := planOf(t.Elem()); inner != nil && t.Key().Kind() == reflect.String {
			return func(p *canonicalParser, v reflect.Value) { readMap(p, v, inner) }
		}
	case reflect.Struct:
		return structPlan(t)
	}
	return nil
}

func readTime(p *canonicalParser, v reflect.Value) {
	start := p.at
	p.string()
	t, ok := v.Addr().Interface().(*time.Time)
	if p.failed || !ok || t.UnmarshalJSON([]byte(p.text[start:p.at])) != nil {
		p.fail()
	}
}

func readSlice(p *canonicalParser, v reflect.Value, inner plan) {
	if !p.take("[") {
		p.fail()
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 2))
	for n := 0; !p.take("]") && !p.failed; n++ {
		if n > 0 && !p.take(",") {
			p.fail()
			return
		}
		if n == v.Cap() {
			v.Grow(n)
		}
		v.SetLen(n + 1)
		inner(p, v.Index(n))
	}
}

func readMap(p *canonicalParser, v reflect.Value, inner plan) {
	if !p.take("{") {
		p.fail()
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for n := 0; !p.take("}") && !p.failed; n++ {
		if n > 0 && !p.take(",") {
			p.fail()
			return
		}
		key := reflect.New(v.Type().Key()).Elem()
		key.SetString(p.string())
		if !p.take(":") {
			p.fail()
			return
		}
		value := reflect.New(v.Type().Elem()).Elem()
		inner(p, value)
		v.SetMapIndex(key, value)
	}
}

// plannedField is one field of a struct.
type plannedField struct {
	key   string // with quotes and colon
	index []int
	read  plan
}

var errNoPlan = errors.New("a field has no plan")

func structPlan(t reflect.Type) plan {
	fields, err := plannedFields(t, nil)
	if err != nil {
		return nil
	}
	return func(p *canonicalParser, v reflect.Value) {
		if !p.take("{") {
			p.fail()
			return
		}
		first := true
		for i := range fields {
			f := &fields[i]
			rest := p.text[p.at:]
			if !first {
				if !strings.HasPrefix(rest, ",") {
					break
				}
				rest = rest[1:]
			}
			if !strings.HasPrefix(rest, f.key) {
				continue
			}
			p.at = len(p.text) - len(rest) + len(f.key)
			first = false
			if len(f.index) == 1 {
				f.read(p, v.Field(f.index[0]))
			} else {
				f.read(p, v.FieldByIndex(f.index))
			}
			if p.failed {
				return
			}
		}
		if !p.take("}") {
			p.fail()
		}
	}
}

// plannedFields lists a struct's fields as encoding/json writes them: those of
// an embedded struct stand where it stands.
func plannedFields(t reflect.Type, above []int) ([]plannedField, error) {
	var fields []plannedField
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		index := append(append([]int{}, above...), i)
		switch {
		case name == "-" || f.PkgPath != "" && !f.Anonymous:
			continue
		case f.Anonymous && name == "":
			if f.Type.Kind() != reflect.Struct {
				return nil, errNoPlan
			}
			inner, err := plannedFields(f.Type, index)
			if err != nil {
				return nil, err
			}
			fields = append(fields, inner...)
			continue
		case name == "":
			name = f.Name
		}
		read := planOf(f.Type)
		if read == nil {
			return nil, errNoPlan
		}
		fields = append(fields, plannedField{`"` + name + `":`, index, read})
	}
	return fields, nil
}
