package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"os"
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

// usualRecords are records of a release that climbs, of a quarantine and of an adopt,
// at the sizes that they have in a repository of three artifacts: a kind's first.
func usualRecords(t testing.TB) map[promotion.RecordKind]promotion.Record {
	t.Helper()
	text, err := os.ReadFile("testdata/usual.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	all := map[promotion.RecordKind]promotion.Record{}
	for line := range strings.Lines(string(text)) {
		var r promotion.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		all[r.Kind] = r
	}
	return all
}

// BenchmarkDecode reads what an auditor reads most, but for the signatures: the file
// of a release, the records before it, and what is rare.
func BenchmarkDecode(b *testing.B) {
	p := newPen(b)
	all := usualRecords(b)
	encode := func(kind promotion.RecordKind) []byte {
		line, _, err := Encode(all[kind], p)
		if err != nil {
			b.Fatal(err)
		}
		return line
	}
	vsa, err := summary(all[promotion.RecordLand], p)
	if err != nil {
		b.Fatal(err)
	}
	d := Decoder{Keys: p.keys(), Verify: func(ed25519.PublicKey, []byte, []byte) bool { return true }}
	bench := func(name string, read func(data []byte) bool, data []byte) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if !read(data) {
					b.Fatal("not read")
				}
			}
		})
	}
	file := func(name string, lines ...[]byte) {
		bench(name, func(data []byte) bool {
			_, err := d.File(data)
			return err == nil
		}, append(bytes.Join(lines, []byte("\n")), '\n'))
	}
	file("release", encode(promotion.RecordLand), vsa, encode(promotion.RecordSettle))
	for _, kind := range []promotion.RecordKind{promotion.RecordPropose, promotion.RecordAuthorize, promotion.RecordQuarantine, promotion.RecordAdopt} {
		file(string(kind), encode(kind))
	}
	payload := payloadOf(b, encode(promotion.RecordAuthorize))
	bench("unsealed", func(payload []byte) bool {
		_, ok := usualEntry(payload)
		return ok
	}, payload)
	bench("digest", func(payload []byte) bool { return Digest(payload) != "" }, payload)
}
