package ledger

import (
	"bytes"
	"errors"
	"reflect"
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
		payload, ok := new(usualReader).payload(line, Decoder{Keys: p.keys()})
		if !ok {
			t.Errorf("%s: its envelope is not usual: %s", name, line)
			continue
		}
		got, ok := usualEntry(payload)
		if !ok {
			t.Errorf("%s: its payload is not usual: %s", name, payload)
			continue
		}
		st, digest, err := Decoder{Keys: p.keys()}.open(line)
		if err != nil {
			t.Fatal(name, err)
		}
		want, err := entryOf(st, digest)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, the long way %+v, %v", name, *got, want, err)
		}
		var short promotion.Record
		if !parseRecord(string(st.Predicate), &short) {
			t.Errorf("%s: the predicate has no plan: %s", name, st.Predicate)
		}
	}
	vsa, err := summary(every()["land"], p)
	if err != nil {
		t.Fatal(err)
	}
	land := every()["land"]
	if payload, ok := new(usualReader).payload(vsa, Decoder{Keys: p.keys()}); !ok || !usualSummary(payload, &land) || usualSummary(payload[1:], &land) {
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
			if payload, ok := new(usualReader).payload(changed, Decoder{Keys: p.keys()}); ok && !bytes.Equal(changed, line) {
				t.Errorf("byte %d as %q is taken: %s", i, b, payload)
			}
		}
	}
	payload := payloadOf(t, line)
	for i := range payload {
		for _, text := range []string{"", " ", `"`, ",", "{", "0", `\u0061`, string(payload[i] ^ 1), string(payload[i]) + string(payload[i])} {
			changed := append(append(bytes.Clone(payload[:i]), text...), payload[i+1:]...)
			if e, ok := usualEntry(changed); ok {
				var st statement
				if err := strict(changed, &st); err != nil {
					t.Fatalf("byte %d as %q: %v", i, text, err)
				}
				if want, err := entryOf(st, Digest(changed)); err != nil || !reflect.DeepEqual(*e, want) {
					t.Fatalf("byte %d as %q: %v", i, text, err)
				}
			}
		}
	}
}

// BenchmarkDecode reads what an auditor reads most: the whole file of a release,
// and a record with the facts that its gates were judged from.
func BenchmarkDecode(b *testing.B) {
	p := newPen(b)
	bench := func(name string, read func(data []byte) error, lines ...[]byte) {
		data := append(bytes.Join(lines, []byte("\n")), '\n')
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if err := read(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	encode := func(r promotion.Record) []byte {
		line, _, err := Encode(r, p)
		if err != nil {
			b.Fatal(err)
		}
		return line
	}
	land := every()["land"]
	vsa, err := summary(land, p)
	if err != nil {
		b.Fatal(err)
	}
	keys := p.keys()
	file := func(data []byte) error {
		_, err := DecodeFile(data, keys)
		return err
	}
	bench("release", file, encode(land), vsa, encode(every()["settle"]))
	judged := every()["everything"]
	judged.Kind, judged.Landed, judged.Window = promotion.RecordAuthorize, nil, nil
	bench("authorize", file, encode(judged))
	payload := payloadOf(b, encode(judged))
	bench("unsigned", func([]byte) error {
		if _, ok := usualEntry(payload); !ok {
			return errors.New("not usual")
		}
		return nil
	}, payload)
}
