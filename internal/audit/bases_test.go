package audit

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// What is found is what was put, whatever moved meanwhile, and what an entry is made
// of stays until that is made.
func TestBasesKeepWhatWasPut(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	filled := func(key uint64) []byte {
		return bytes.Repeat([]byte{byte(key), byte(key >> 8), 'x'}, int(key*7919%6000))
	}
	var b bases
	var base entryBase
	var of, found uint64
	for n := range 12_000 {
		key := uint64(n)
		if random.IntN(2) == 0 {
			key -= min(key, random.Uint64N(3000))
		}
		e, ok := b.get(key)
		if !ok {
			want := filled(key)
			e = entryBase{byte(key % 5), b.room(len(want))}
			if base.data != nil && !bytes.Equal(base.data, filled(of)) {
				t.Fatalf("%d is not what it was while %d is made of it", of, key)
			}
			copy(e.data, want)
			b.put(key, e)
		} else {
			found++
		}
		if e.kind != byte(key%5) || !bytes.Equal(e.data, filled(key)) {
			t.Fatalf("%d is not what was put (%v)", key, ok)
		}
		if _, young := b.young.at[key]; !young {
			t.Fatalf("%d was asked for, and is not among the young", key)
		}
		base, of = e, key
	}
	if held := len(b.young.memory) + len(b.old.memory); found < 1000 || held > 2*basesBytes {
		t.Errorf("%d were found, %d bytes are held", found, held)
	}
}

// What is small, or nothing at all, does not fill the memory; its number is bounded.
func TestBasesAreBounded(t *testing.T) {
	var b bases
	for key := range uint64(3 * basesCount) {
		b.put(key, entryBase{packBlob, b.room(0)})
	}
	if n := len(b.young.at) + len(b.old.at); n > 2*basesCount {
		t.Errorf("%d entries are kept", n)
	}
	if _, ok := b.get(3*basesCount - 1); !ok {
		t.Error("the last one is not kept")
	}
}

// What is large is not kept, and what was read to be kept is nobody else's.
func TestBasesLendAndGive(t *testing.T) {
	var b bases
	large := entryBase{packBlob, b.room(basesBytes/8 + 1)}
	b.put(1, large)
	if _, ok := b.get(1); ok || &large.own()[0] != &large.data[0] {
		t.Error("a large entry is kept, or copied")
	}
	small := entryBase{packBlob, b.room(3)}
	copy(small.data, "abc")
	b.put(2, small)
	mine := small.own()
	copy(small.data, "xyz")
	if string(mine) != "abc" {
		t.Errorf("%q was lent", mine)
	}
}
