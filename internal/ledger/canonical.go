package ledger

import (
	"encoding/json"
	"math/bits"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// parseRecord reads a record from JSON that is byte for byte what marshal writes
// of the record, normalised. False says nothing but that the library's decoder must
// look. It is several times as fast as decoding, writing again and comparing, and
// needs neither, for it takes nothing that could be spelled in another way:
//
//   - A string of plain ASCII is written as it stands. Every other string, number
//     and instant is written again by itself and compared.
//   - A list has an element: empty ones are never written. Nor is null.
//   - The keys of a struct stand in the order of its fields. A field that is left
//     out when it is empty is there only if it isn't, any other is always there.
//   - A type that none of this covers is refused, and so is its struct.
//
// Strings of the record share text.
func parseRecord(text string, into *promotion.Record) bool {
	p := canonicalParser{text: text}
	recordPlan()(&p, reflect.ValueOf(into).Elem())
	return !p.failed && p.at == len(text)
}

var recordPlan = sync.OnceValue(func() plan { return planOf(reflect.TypeFor[promotion.Record]()) })

// plan reads a value of one type, into one that is zero, and reports whether it is
// zero still.
type plan func(*canonicalParser, reflect.Value) (zero bool)

// canonicalParser is at one byte of a text.
type canonicalParser struct {
	text   string
	at     int
	failed bool
	// last is the last instant: most of a record's are the same.
	last struct {
		text string
		time time.Time
	}
}

func (p *canonicalParser) fail() { p.failed, p.at = true, len(p.text) }

// take passes over a word, if it stands there.
func (p *canonicalParser) take(word string) bool {
	if strings.HasPrefix(p.text[p.at:], word) {
		p.at += len(word)
		return true
	}
	return false
}

// need passes over a byte that must stand there.
func (p *canonicalParser) need(c byte) {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return
	}
	p.fail()
}

// number reads what stands up to a comma or a closing bracket.
func (p *canonicalParser) number(size int) int64 {
	start := p.at
	for p.at < len(p.text) && p.text[p.at] != ',' && p.text[p.at] != '}' && p.text[p.at] != ']' {
		p.at++
	}
	n, err := strconv.ParseInt(p.text[start:p.at], 10, size)
	var again [20]byte
	if err != nil || string(strconv.AppendInt(again[:0], n, 10)) != p.text[start:p.at] {
		p.fail()
	}
	return n
}

func (p *canonicalParser) string() string {
	p.need('"')
	start := p.at
	p.at += plainLen(p.text[start:])
	if p.take(`"`) {
		return p.text[start : p.at-1]
	}
	return p.escaped(start)
}

// escaped reads the string that begins at start and is not plain.
func (p *canonicalParser) escaped(start int) string {
	for p.at < len(p.text) && p.text[p.at] != '"' {
		if p.text[p.at] == '\\' {
			p.at++
		}
		p.at++
	}
	if p.at >= len(p.text) || p.failed {
		p.fail()
		return ""
	}
	p.at++
	spelled := p.text[start-1 : p.at]
	var s string
	err := json.Unmarshal([]byte(spelled), &s)
	again, wrong := marshal(s)
	if err != nil || wrong != nil || string(again) != spelled {
		p.fail()
	}
	return s
}

// instant reads a time as normalise leaves it.
func (p *canonicalParser) instant(into *time.Time) {
	text := p.string()
	if text == p.last.text && text != "" {
		*into = p.last.time
		return
	}
	t, err := time.Parse(time.RFC3339, text)
	var again [len(time.RFC3339Nano)]byte
	spelled, wrong := t.AppendText(again[:0])
	if err != nil || wrong != nil || string(spelled) != text || t != second(t) {
		p.fail()
	}
	*into, p.last.text, p.last.time = t, text, t
}

// plainLen is how many bytes at the start of a text stand in JSON as they are.
func plainLen[T string | []byte](text T) int {
	at := 0
	for ; len(text)-at >= 8; at += 8 {
		s := text[at : at+8] // which the compiler loads at once
		if odd := notPlain(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56); odd != 0 {
			return at + bits.TrailingZeros64(odd)/8
		}
	}
	for ; at < len(text); at++ {
		if c := text[at]; c-' ' > '~'-' ' || c == '"' || c == '\\' {
			return at
		}
	}
	return at
}

// notPlain sets the highest bit of each of eight bytes that does not stand in JSON
// as it is. Without that bit no byte is so large that a sum reaches the next one.
func notPlain(eight uint64) uint64 {
	const each, high = 0x0101010101010101, 0x8080808080808080
	low := eight &^ high
	plain := (low + (0x80-' ')*each) & ((low ^ '"'*each) + 0x7f*each) & ((low ^ '\\'*each) + 0x7f*each)
	return (^plain | (low + each) | eight) & high
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	zeroerType = reflect.TypeFor[zeroer]()
	// ownForms are how a type says that it has a form of its own.
	ownForms = []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[interface{ MarshalText() ([]byte, error) }](), reflect.TypeFor[interface{ UnmarshalText([]byte) error }](),
	}
)

type zeroer interface{ IsZero() bool }

// planOf makes a type's plan. Types refer to themselves nowhere in a record.
func planOf(t reflect.Type) plan {
	if t == timeType {
		return func(p *canonicalParser, v reflect.Value) bool {
			t, ok := v.Addr().Interface().(*time.Time)
			if ok {
				p.instant(t)
			}
			return ok && t.IsZero()
		}
	}
	if slices.ContainsFunc(ownForms, reflect.PointerTo(t).Implements) {
		return refuse
	}
	switch t.Kind() {
	case reflect.String:
		return func(p *canonicalParser, v reflect.Value) bool {
			text := p.string()
			v.SetString(text)
			return text == ""
		}
	case reflect.Bool:
		return func(p *canonicalParser, v reflect.Value) bool {
			yes := p.take("true")
			if v.SetBool(yes); !yes && !p.take("false") {
				p.fail()
			}
			return !yes
		}
	case reflect.Int, reflect.Int64:
		return func(p *canonicalParser, v reflect.Value) bool {
			n := p.number(t.Bits())
			v.SetInt(n)
			return n == 0
		}
	case reflect.Pointer:
		inner := planOf(t.Elem())
		return func(p *canonicalParser, v reflect.Value) bool {
			v.Set(reflect.New(t.Elem()))
			inner(p, v.Elem())
			return false
		}
	case reflect.Slice:
		return listPlan(planOf(t.Elem()))
	case reflect.Struct:
		return structPlan(t)
	}
	return refuse
}

func refuse(p *canonicalParser, _ reflect.Value) bool {
	p.fail()
	return false
}

func listPlan(inner plan) plan {
	return func(p *canonicalParser, v reflect.Value) bool {
		p.need('[')
		for n := 0; !p.failed; n++ {
			if n == v.Cap() {
				v.Grow(1)
			}
			v.SetLen(n + 1)
			inner(p, v.Index(n))
			if p.take("]") {
				break
			}
			p.need(',')
		}
		return false
	}
}

// plannedField is one field of a struct.
type plannedField struct {
	key   string // as it is written: a comma, quotes, a colon
	index []int
	read  plan
	// optional says that it is left out when it is empty, asks that IsZero says
	// when that is.
	optional, asks bool
}

// empty reports whether a field that was read is left out when it is written.
func (f *plannedField) empty(v reflect.Value, zero bool) bool {
	if f.asks {
		z, ok := v.Addr().Interface().(zeroer)
		return ok && z.IsZero()
	}
	return zero && f.optional
}

func structPlan(t reflect.Type) plan {
	fields, ok := plannedFields(t, nil)
	if !ok {
		return refuse
	}
	return func(p *canonicalParser, v reflect.Value) bool {
		p.need('{')
		allZero := true
		comma := 1 // the first key has none
		for i := range fields {
			f := &fields[i]
			if !p.take(f.key[comma:]) {
				if !f.optional {
					p.fail()
				}
				continue
			}
			comma = 0
			into := v.Field(f.index[0])
			for _, i := range f.index[1:] {
				into = into.Field(i)
			}
			zero := f.read(p, into)
			if f.empty(into, zero) {
				p.fail()
			}
			allZero = allZero && zero
		}
		p.need('}')
		return allZero
	}
}

// plannedFields lists a struct's fields as encoding/json writes them: those of
// an embedded struct stand where it stands. It is false where two have one key, or
// one has a form that none of a record has.
func plannedFields(t reflect.Type, above []int) ([]plannedField, bool) {
	var fields []plannedField
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		index := append(slices.Clone(above), i)
		switch {
		case !f.IsExported() || name == "-":
			return nil, false
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			inner, ok := plannedFields(f.Type, index)
			if !ok {
				return nil, false
			}
			fields = append(fields, inner...)
			continue
		case f.Anonymous || name == "" || plainLen(name) != len(name):
			return nil, false
		}
		planned := plannedField{key: `,"` + name + `":`, index: index, read: planOf(f.Type)}
		switch options {
		case "":
		case "omitempty":
			planned.optional = f.Type.Kind() != reflect.Struct // never empty for encoding/json
		case "omitzero":
			planned.optional = true
			planned.asks = f.Type != timeType && reflect.PointerTo(f.Type).Implements(zeroerType)
		default:
			return nil, false
		}
		fields = append(fields, planned)
	}
	return fields, unique(fields)
}

func unique(fields []plannedField) bool {
	seen := map[string]bool{}
	for _, f := range fields {
		seen[f.key] = true
	}
	return len(seen) == len(fields)
}
