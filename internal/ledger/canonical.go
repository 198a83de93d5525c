package ledger

import (
	"encoding/json"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// parseRecord reads a record from JSON that is byte for byte what marshal writes
// of the record, normalised. False says nothing but that the library's decoder must
// look. It is many times as fast as decoding, writing again and comparing, and
// needs neither, for it takes nothing that could be spelled in another way:
//
//   - A string of plain ASCII is written as it stands. Every other string and
//     every odd number is written again by itself and compared.
//   - An instant has one form.
//   - A list has an element: empty ones are never written. Nor is null.
//   - The keys of a struct stand in the order of its fields. A field that is left
//     out when it is empty is there only if it isn't, any other is always there.
//
// Which fields a record has is written down in fields.go. Strings of the record
// share text.
func parseRecord(text string, into *promotion.Record) bool {
	p, _ := parsers.Get().(*canonicalParser)
	defer parsers.Put(p)
	p.text = text
	readRecord(p, into)
	ok := !p.failed && p.at == len(text)
	p.reset()
	return ok
}

var parsers = sync.Pool{New: func() any { return new(canonicalParser) }}

// canonicalParser is at one byte of a text.
type canonicalParser struct {
	text   string
	at     int
	failed bool
	// before stands before the next key of a struct: its bracket, or a comma.
	before byte
	// last is the last instant: most of a record's are the same.
	last struct {
		text string
		time time.Time
	}
	// Where lists of several elements are gathered, so that they grow once. They
	// are empty between two of them.
	gates    []promotion.RecordGate
	evidence []promotion.Evidence
	rules    []promotion.RuleResult
	words    []string
}

// reset holds on to no text.
func (p *canonicalParser) reset() {
	p.text, p.at, p.failed, p.last.text = "", 0, false, ""
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

// begin is before the first key of a struct, end behind its last value.
func (p *canonicalParser) begin() { p.before = '{' }

func (p *canonicalParser) end() {
	if p.before == '{' {
		p.need('{')
	}
	p.need('}')
	p.before = ','
}

// key passes over a key, with its quotes and colon, if it stands there.
func (p *canonicalParser) key(key string) bool {
	rest := p.text[p.at:]
	if len(rest) <= len(key) || rest[0] != p.before || rest[2] != key[1] || rest[1:1+len(key)] != key {
		return false
	}
	p.at += 1 + len(key)
	p.before = ','
	return true
}

// needKey passes over a key that must stand there.
func (p *canonicalParser) needKey(key string) {
	if !p.key(key) {
		p.fail()
	}
}

func text[T ~string](p *canonicalParser, key string, into *T) {
	p.needKey(key)
	*into = T(p.string())
}

func textIfAny[T ~string](p *canonicalParser, key string, into *T) {
	if p.key(key) {
		if *into = T(p.string()); *into == "" {
			p.fail()
		}
	}
}

func number[T ~int | ~int64](p *canonicalParser, key string, into *T) {
	p.needKey(key)
	n := p.number()
	if *into = T(n); int64(*into) != n {
		p.fail()
	}
}

func numberIfAny[T ~int | ~int64](p *canonicalParser, key string, into *T) {
	if p.key(key) {
		n := p.number()
		if *into = T(n); int64(*into) != n || n == 0 {
			p.fail()
		}
	}
}

func flag(p *canonicalParser, key string, into *bool) {
	p.needKey(key)
	if *into = p.take("true"); !*into && !p.take("false") {
		p.fail()
	}
}

func flagIfAny(p *canonicalParser, key string, into *bool) {
	if p.key(key) {
		if *into = p.take("true"); !*into {
			p.fail()
		}
	}
}

func instant(p *canonicalParser, key string, into *time.Time) {
	p.needKey(key)
	*into = p.instant()
}

func instantIfAny(p *canonicalParser, key string, into *time.Time) {
	if p.key(key) {
		if *into = p.instant(); into.IsZero() {
			p.fail()
		}
	}
}

func object[T any](p *canonicalParser, key string, into *T, read func(*canonicalParser, *T)) {
	p.needKey(key)
	read(p, into)
}

func objectIfAny[T comparable](p *canonicalParser, key string, into *T, read func(*canonicalParser, *T)) {
	if p.key(key) {
		read(p, into)
		var zero T
		if *into == zero {
			p.fail()
		}
	}
}

// pointerIfAny reads what may be nil, but may be all empty too.
func pointerIfAny[T any](p *canonicalParser, key string, into **T, read func(*canonicalParser, *T)) {
	if p.key(key) {
		*into = new(T)
		read(p, *into)
	}
}

// listIfAny reads a list that mostly has one element.
func listIfAny[T any](p *canonicalParser, key string, into *[]T, read func(*canonicalParser, *T)) {
	if p.key(key) {
		p.elements(func() {
			var zero T
			*into = append(*into, zero)
			read(p, &(*into)[len(*into)-1])
		})
	}
}

// longListIfAny reads a list that mostly has several, by way of a space that no
// list around it uses, and so into as much memory as it needs.
func longListIfAny[T any](p *canonicalParser, key string, into, space *[]T, read func(*canonicalParser, *T)) {
	if p.key(key) {
		list := (*space)[:0]
		p.elements(func() {
			var zero T
			list = append(list, zero)
			read(p, &list[len(list)-1])
		})
		*into = append(make([]T, 0, len(list)), list...)
		clear(list)
		*space = list
	}
}

// elements reads a list one by one.
func (p *canonicalParser) elements(one func()) {
	p.need('[')
	for !p.failed {
		one()
		if p.take("]") {
			return
		}
		p.need(',')
	}
}

func readText[T ~string](p *canonicalParser, into *T) { *into = T(p.string()) }

// number reads an integer. What stands behind it is for others to look at.
func (p *canonicalParser) number() int64 {
	start, n := p.at, int64(0)
	for p.at < len(p.text) && p.text[p.at]-'0' <= 9 {
		n = 10*n + int64(p.text[p.at]-'0')
		p.at++
	}
	if digits := p.at - start; digits == 1 || digits > 1 && digits <= 18 && p.text[start] != '0' {
		return n
	}
	p.at = start
	return p.oddNumber()
}

// oddNumber is one with a sign or very many digits.
func (p *canonicalParser) oddNumber() int64 {
	start := p.at
	for p.at < len(p.text) && p.text[p.at] != ',' && p.text[p.at] != '}' && p.text[p.at] != ']' {
		p.at++
	}
	n, err := strconv.ParseInt(p.text[start:p.at], 10, 64)
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
	if p.at < len(p.text) && p.text[p.at] == '"' {
		p.at++
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

// instant reads a time as normalise leaves it: whole seconds, UTC.
func (p *canonicalParser) instant() time.Time {
	const form = `"2006-01-02T15:04:05Z"`
	if len(p.text)-p.at < len(form) {
		p.fail()
		return time.Time{}
	}
	text := p.text[p.at : p.at+len(form)]
	p.at += len(form)
	if text == p.last.text {
		return p.last.time
	}
	for i := range len(form) {
		digit := text[i]-'0' <= 9 && form[i]-'0' <= 9
		if !digit && text[i] != form[i] {
			p.fail()
			return time.Time{}
		}
	}
	two := func(at int) int { return 10*int(text[at]-'0') + int(text[at+1]-'0') }
	month, day, hour, minute, second := two(6), two(9), two(12), two(15), two(18)
	t := time.Date(100*two(1)+two(3), time.Month(month), day, hour, minute, second, 0, time.UTC)
	// A month or a day that there is not is another one.
	if t.Month() != time.Month(month) || t.Day() != day || hour > 23 || minute > 59 || second > 59 {
		p.fail()
	}
	p.last.text, p.last.time = text, t
	return t
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
