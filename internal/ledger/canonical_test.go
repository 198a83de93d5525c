package ledger

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// theLongWay reads a record as entryOf does: by the library, which must write the
// same bytes again.
func theLongWay(text string) (r promotion.Record, ok bool) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if dec.Decode(&r) != nil {
		return r, false
	}
	again, err := marshal(normalise(r))
	return r, err == nil && string(again) == text
}

// checkShortWay holds what parseRecord takes to the long way, and reports whether
// it took it.
func checkShortWay(t *testing.T, text string) bool {
	t.Helper()
	var short promotion.Record
	if !parseRecord(text, &short) {
		return false
	}
	if long, ok := theLongWay(text); !ok || !reflect.DeepEqual(short, long) {
		t.Fatalf("taken:\n%s\nread as %+v, the long way %t, %+v", text, short, ok, long)
	}
	return true
}

// anything is a source of values, odd ones among them.
type anything struct{ *rand.Rand }

func pick[T any](a anything, from ...T) T { return from[a.IntN(len(from))] }

// fill makes every part of a value anything at all.
func (a anything) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(pick(a, "", "", "a", "dev", "ghcr.io/acme/checkout@sha256:00", `the check "ci" <b> & 'x'`, `a\b`, "\t\n\r\b\f\x00\x1f", "\x7f", "é", "\u2028 \u2029", "\ufffd", "🪜"))
	case reflect.Bool:
		v.SetBool(a.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt(pick[int64](a, 0, 1, -1, 10, 1<<53+1, math.MaxInt64, math.MinInt64))
	case reflect.Pointer:
		if v.SetZero(); a.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			a.fill(v.Elem())
		}
	case reflect.Slice:
		n := a.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			a.fill(v.Index(i))
		}
	case reflect.Struct:
		if at, ok := v.Addr().Interface().(*time.Time); ok {
			*at = pick(a, time.Time{}, issued, issued.Add(-1), issued.In(time.FixedZone("", 3600)), time.Date(0, 2, 29, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 58, 1, time.UTC))
			return
		}
		for i := range v.NumField() {
			a.fill(v.Field(i))
		}
	default:
		panic("a record holds a " + v.Kind().String())
	}
}

func (a anything) record(t *testing.T) string {
	t.Helper()
	var r promotion.Record
	a.fill(reflect.ValueOf(&r).Elem())
	text, err := marshal(normalise(r))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEveryRecordTakesTheShortWay: whatever a record holds, as it is written it is
// read without the library, to the value that the library reads. So is any record
// that an instant which normalise forgets would make slow.
func TestEveryRecordTakesTheShortWay(t *testing.T) {
	a := anything{rand.New(rand.NewPCG(1, 2))}
	for range 500 {
		if text := a.record(t); !checkShortWay(t, text) {
			_, ok := theLongWay(text)
			t.Fatalf("not taken, the long way %t: %s", ok, text)
		}
	}
}

// some makes every part of a value something, and never what is left out.
func some(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("something")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(8128)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		some(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range 3 {
			some(v.Index(i))
		}
	case reflect.Struct:
		if at, ok := v.Addr().Interface().(*time.Time); ok {
			*at = issued
			return
		}
		for i := range v.NumField() {
			some(v.Field(i))
		}
	default:
		panic("a record holds a " + v.Kind().String())
	}
}

// eachField visits every field of a struct and of what is in it, while the field
// is something and nothing else is, but for what it lies in.
func eachField(v reflect.Value, visit func(key string, v reflect.Value)) {
	for i := range v.NumField() {
		field, in := v.Type().Field(i), v.Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.Anonymous {
			some(in)
			visit(key, in)
			in.SetZero()
		}
		into := in
		switch in.Kind() {
		case reflect.Pointer:
			in.Set(reflect.New(in.Type().Elem()))
			into = in.Elem()
		case reflect.Slice:
			in.Set(reflect.MakeSlice(in.Type(), 1, 1))
			into = in.Index(0)
		default:
		}
		if into.Kind() == reflect.Struct && into.Type() != reflect.TypeFor[time.Time]() {
			eachField(into, visit)
		}
		in.SetZero()
	}
}

// TestEveryFieldOfARecord: fields.go has every field that the type has, and knows
// of each whether it is left out when it is empty. A field that was added to the
// type alone fails here.
func TestEveryFieldOfARecord(t *testing.T) {
	var r promotion.Record
	visited := 0
	eachField(reflect.ValueOf(&r).Elem(), func(key string, v reflect.Value) {
		visited++
		data, err := marshal(normalise(r))
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if !checkShortWay(t, text) {
			t.Errorf("%s is not read: %s", key, text)
		}
		value, err := marshal(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		empty, err := marshal(reflect.Zero(v.Type()).Interface())
		if err != nil {
			t.Fatal(err)
		}
		written := `"` + key + `":` + string(value)
		if strings.Count(text, written) != 1 {
			t.Fatalf("%s does not stand once in %s", written, text)
		}
		for _, other := range []struct{ old, new string }{
			{written, `"` + key + `":` + string(empty)},
			{written, `"` + key + `":[]`},
			{"," + written, ""},
			{written + ",", ""},
			{written, ""},
			{written, written + "," + written},
		} {
			changed := strings.Replace(text, other.old, other.new, 1)
			if _, want := theLongWay(changed); checkShortWay(t, changed) != want {
				t.Errorf("taken is %t: %s", !want, changed)
			}
		}
	})
	if visited < 150 {
		t.Errorf("only %d fields were visited", visited)
	}
}

// keysOf are the keys of a type and all that is in it.
func keysOf(t reflect.Type) []string {
	var keys []string
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		keys = keysOf(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			keys = append(append(keys, name), keysOf(t.Field(i).Type)...)
		}
	default:
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TestTheShortWayTakesOneFormAlone changes records by what a decoder lets pass:
// another spelling of a value, a field that is left out when it is empty, one twice.
func TestTheShortWayTakesOneFormAlone(t *testing.T) {
	a := anything{rand.New(rand.NewPCG(3, 4))}
	keys := keysOf(reflect.TypeFor[promotion.Record]())
	values := []string{`""`, "0", "-0", "1", "01", "1.0", "1e0", "+1", "false", "true", "null", "[]", "[null]", "{}", `"0001-01-01T00:00:00Z"`, `"2025-06-02T10:00:00Z"`, `"a"`}
	words := append([]string{`"`, `\`, `\u0061`, `\/`, `\ufffd`, "\xff", "\u2028", ",", ":", "{", "}", "[", "]", " ", "0", "-", ".0", "Z", "z", "+00:00"}, values...)
	taken := 0
	for range 100 {
		text := a.record(t)
		for range 200 {
			from := a.IntN(len(text))
			to := min(len(text), from+a.IntN(3))
			word := pick(a, words...)
			if next := strings.IndexAny(text[from:], "{,"); next >= 0 && a.IntN(2) == 0 {
				from += next + 1
				to = from
				word = `"` + pick(a, keys...) + `":` + pick(a, values...) + ","
			}
			if colon := strings.Index(text[from:], `":`); colon >= 0 && a.IntN(4) == 0 {
				from += colon + 2
				to = from + strings.IndexAny(text[from:], ",]}")
				word = pick(a, values...)
			}
			if checkShortWay(t, text[:from]+word+text[to:]) {
				taken++
			}
		}
	}
	if taken < 1000 {
		t.Errorf("only %d were taken: nothing was tested", taken)
	}
}

// TestSpellingsThatAreLeftToTheLibrary names the rules of parseRecord one by one.
func TestSpellingsThatAreLeftToTheLibrary(t *testing.T) {
	r := every()["everything"]
	r.Reason, r.Facts.CausersUnknown = "a", true
	data, err := marshal(normalise(r))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new string }{
		"as it is":              {`"a"`, `"b"`},
		"an escape for nothing": {`"reason":"a"`, `"reason":"\u0061"`},
		"an escaped slash":      {`"reason":"a"`, `"reason":"\/"`},
		"no UTF-8":              {`"reason":"a"`, "\"reason\":\"\xff\""},
		"half a surrogate":      {`"reason":"a"`, `"reason":"\ud800"`},
		"a bare separator":      {`"reason":"a"`, "\"reason\":\"\u2028\""},
		"a bare control":        {`"reason":"a"`, "\"reason\":\"\x01\""},
		"an empty string":       {`"reason":"a"`, `"reason":""`},
		"a number for a string": {`"reason":"a"`, `"reason":1`},
		"minus nothing":         {`"id":42`, `"id":-0`},
		"a zero before":         {`"id":42`, `"id":042`},
		"a plus":                {`"id":42`, `"id":+42`},
		"a fraction":            {`"id":42`, `"id":42.0`},
		"an exponent":           {`"id":42`, `"id":42e0`},
		"too large":             {`"id":42`, `"id":9223372036854775808`},
		"false where left out":  {`"causersUnknown":true`, `"causersUnknown":false`},
		"null":                  {`"before":{}`, `"before":null`},
		"an empty list":         {`"holds":["held"]`, `"holds":[]`},
		"a list of null":        {`"holds":["held"]`, `"holds":null`},
		"a comma behind":        {`"holds":["held"]`, `"holds":["held",]`},
		"nothing at an instant": {`"reason":"a"`, `"until":"0001-01-01T00:00:00Z","reason":"a"`},
		"an empty base":         {`"base":{"ref":"refs/heads/main","judged":"` + string(commitA) + `"}`, `"base":{}`},
		"half a second":         {`"issuedAt":"2025-06-02T10:00:00Z"`, `"issuedAt":"2025-06-02T10:00:00.5Z"`},
		"no half second":        {`"issuedAt":"2025-06-02T10:00:00Z"`, `"issuedAt":"2025-06-02T10:00:00.0Z"`},
		"another zone":          {`"issuedAt":"2025-06-02T10:00:00Z"`, `"issuedAt":"2025-06-02T12:00:00+02:00"`},
		"UTC as an offset":      {`"issuedAt":"2025-06-02T10:00:00Z"`, `"issuedAt":"2025-06-02T10:00:00+00:00"`},
		"a day there is not":    {`"issuedAt":"2025-06-02T10:00:00Z"`, `"issuedAt":"2025-06-31T10:00:00Z"`},
		"a short hour":          {`"issuedAt":"2025-06-02T10:00:00Z"`, `"issuedAt":"2025-06-02T1:00:00Z"`},
		"another order":         {`"uri":"https://forge.example/acme/gitops","id":42`, `"id":42,"uri":"https://forge.example/acme/gitops"`},
		"a field twice":         {`"id":42`, `"id":42,"id":42`},
		"a field less":          {`"format":1,`, ``},
		"no last field":         {`,"builder":{"version":"1.2.3"}`, ``},
		"another letter case":   {`"format"`, `"Format"`},
		"a field of nobody":     {`"format":1`, `"format":1,"more":1`},
		"a space":               {`"format":1`, `"format": 1`},
		"something behind":      {`"builder":{"version":"1.2.3"}}`, `"builder":{"version":"1.2.3"}}{}`},
		"an end in an escape":   {`"builder":{"version":"1.2.3"}}`, `"builder":{"version":"\`},
		"an end in a list":      {`"holds":["held"]`, `"holds":["\`},
	} {
		text := string(data)
		if strings.Count(text, c.old) == 0 {
			t.Fatalf("%s: the record lacks %s", name, c.old)
		}
		text = strings.Replace(text, c.old, c.new, 1)
		if name == "an end in a list" {
			text = text[:strings.Index(text, c.new)+len(c.new)]
		}
		if got := checkShortWay(t, text); got != (name == "as it is") {
			t.Errorf("%s: taken is %t: %s", name, got, text)
		}
	}
}

// TestTheShortWayOfASummary: a summary is known without writing it again whole, and
// no other payload is taken for it.
func TestTheShortWayOfASummary(t *testing.T) {
	for name, change := range map[string]func(*promotion.Record){
		"as usual":             func(*promotion.Record) {},
		"no policies":          func(r *promotion.Record) { r.Policies = nil },
		"a gate not met":       func(r *promotion.Record) { r.Landed = &promotion.RecordLanded{Commit: commitB, Unmet: []string{"x"}} },
		"no digest":            func(r *promotion.Record) { r.Artifact = nil },
		"a subject in quotes":  func(r *promotion.Record) { r.Artifact = &promotion.RecordArtifact{PURL: `"`, Digest: `"`} },
		"an address in quotes": func(r *promotion.Record) { r.Repository.URI = `"` },
	} {
		land := every()["land"]
		change(&land)
		st, err := summaryOf(&land)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := marshal(st)
		if err != nil {
			t.Fatal(err)
		}
		if taken := usualSummary(payload, &land); taken == strings.HasSuffix(name, "in quotes") {
			t.Errorf("%s: taken is %t: %s", name, taken, payload)
		}
		for i := range payload {
			for _, word := range []string{"", " ", `"`, ",", "}", string(payload[i] ^ 1)} {
				changed := slices.Concat(payload[:i], []byte(word), payload[i+1:])
				if !bytes.Equal(changed, payload) && usualSummary(changed, &land) {
					t.Fatalf("%s: byte %d as %q is taken", name, i, word)
				}
			}
		}
	}
}

// TestPlainLen holds it to the rule that it is made of, for every byte behind and
// before plain ones of every kind, at every place of a text of some words.
func TestPlainLen(t *testing.T) {
	plain := func(c byte) bool { return c >= ' ' && c <= '~' && c != '"' && c != '\\' }
	check := func(text []byte) {
		want := slices.IndexFunc(text, func(c byte) bool { return !plain(c) })
		if want < 0 {
			want = len(text)
		}
		if got, same := plainLen(text), plainLen(string(text)); got != want || same != want {
			t.Fatalf("%q: %d and %d bytes, want %d", text, got, same, want)
		}
	}
	for fill := range 256 {
		for size := range 26 {
			text := bytes.Repeat([]byte{byte(fill)}, size)
			check(text)
			for at := range text {
				for c := range 256 {
					text[at] = byte(c)
					check(text)
				}
				text[at] = byte(fill)
			}
		}
	}
	for before := range 256 { // what one byte carries to the next
		for c := range 256 {
			check([]byte{'a', byte(before), byte(c), 'a', 'a', 'a', byte(before), byte(c)})
		}
	}
}

func BenchmarkPlainLen(b *testing.B) {
	for _, n := range []int{4, 12, 30, 71} {
		text := strings.Repeat("a", n) + `","statement":"sha256:`
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				if plainLen(text) != n {
					b.Fatal(n)
				}
			}
		})
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, r := range every() {
		data, err := marshal(normalise(r))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(`{"format":1,"kind":"unfreeze","repository":{"uri":"","id":0},"actor":{"kind":""},"issuedAt":"","builder":{"version":""}}`)
	f.Add(`{"format":1,"kind":"land","repository":{"uri":"","id":0},"holds":["\`)
	f.Add(`{"format":1,"kind":"land","repository":{"uri":"","id":0},"actor":{"kind":"a","id":1},"issuedAt":"2026-11-28T22:33:27Z","builder":{"version":"<\n\u2028"}}`)
	f.Fuzz(func(t *testing.T, text string) { checkShortWay(t, text) })
}
