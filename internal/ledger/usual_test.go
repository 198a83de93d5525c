package ledger

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// TestWhatIsWrittenTakesTheShortWay: every kind of record is read without the
// library's decoder, to the value that the library's decoder reads.
func TestWhatIsWrittenTakesTheShortWay(t *testing.T) {
	p := newPen(t)
	for name, r := range every() {
		line, _, err := Encode(r, p)
		if err != nil {
			t.Fatal(name, err)
		}
		payload, ok := new(usualReader).payload(line, p.keys())
		if !ok {
			t.Errorf("%s: its envelope is not usual: %s", name, line)
			continue
		}
		got, ok := new(usualReader).entry(payload)
		if !ok {
			t.Errorf("%s: its payload is not usual: %s", name, payload)
			continue
		}
		st, digest, err := open(line, p.keys())
		if err != nil {
			t.Fatal(name, err)
		}
		want, err := entryOf(st, digest)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, the long way %+v, %v", name, got, want, err)
		}
		var short promotion.Record
		if !parseCanonical(string(st.Predicate), &short) {
			t.Errorf("%s: the predicate has no plan: %s", name, st.Predicate)
		}
	}
	vsa, err := summary(every()["land"], p)
	if err != nil {
		t.Fatal(err)
	}
	if payload, ok := new(usualReader).payload(vsa, p.keys()); !ok || !usualSummary(payload, every()["land"]) || usualSummary(payload[1:], every()["land"]) {
		t.Error("a summary is not usual")
	}
}

// TestTheShortWayRefusesMoreThanTheLongOne: whatever byte of a line is changed,
// what the short way takes the long way takes, and reads as the same.
func TestTheShortWayRefusesMoreThanTheLongOne(t *testing.T) {
	p := newPen(t)
	line, _, err := Encode(every()["land"], p)
	if err != nil {
		t.Fatal(err)
	}
	for i := range line {
		for _, b := range []byte{'"', ' ', '\\', '=', line[i] ^ 1} {
			changed := bytes.Clone(line)
			changed[i] = b
			if payload, ok := new(usualReader).payload(changed, p.keys()); ok && !bytes.Equal(changed, line) {
				t.Errorf("byte %d as %q is taken: %s", i, b, payload)
			}
		}
	}
	payload := payloadOf(t, line)
	for i := range payload {
		for _, text := range []string{"", " ", `"`, ",", "{", "0", `\u0061`, string(payload[i] ^ 1), string(payload[i]) + string(payload[i])} {
			changed := append(append(bytes.Clone(payload[:i]), text...), payload[i+1:]...)
			if e, ok := new(usualReader).entry(changed); ok {
				var st statement
				if err := strict(changed, &st); err != nil {
					t.Fatalf("byte %d as %q: %v", i, text, err)
				}
				if want, err := entryOf(st, Digest(changed)); err != nil || !reflect.DeepEqual(e, want) {
					t.Fatalf("byte %d as %q: %v", i, text, err)
				}
			}
		}
	}
}

func FuzzParseCanonical(f *testing.F) {
	for _, r := range every() {
		data, err := marshal(normalise(r))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(`{"format":1,"kind":"land","actor":{"kind":"a","id":1},"issuedAt":"2026-11-28T22:33:27Z","builder":{"version":"\u003c\n"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var short, long promotion.Record
		if !parseCanonical(text, &short) {
			return
		}
		if again, err := marshal(short); err != nil || string(again) != text {
			return // not canonical: nobody relies on it
		}
		if err := json.NewDecoder(strings.NewReader(text)).Decode(&long); err != nil || !reflect.DeepEqual(short, long) {
			t.Errorf("%s: %+v, the library reads %+v, %v", text, short, long, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	p := newPen(b)
	line, _, err := Encode(every()["land"], p)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(line, p.keys()); err != nil {
			b.Fatal(err)
		}
	}
}
