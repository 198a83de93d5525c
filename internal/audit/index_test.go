package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// Names are found wherever they stand: forged ones are no hashes and may all begin
// alike.
func TestNamesAreFoundWhereverTheyStand(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for _, alike := range []int{0, 1, 3, 12} {
		for _, count := range []int{0, 1, 2, 9, 1000, 5000} {
			var ids []oid
			for range count {
				var id oid
				for i := alike; i < len(id); i++ {
					id[i] = byte(random.Uint32())
				}
				ids = append(ids, id)
			}
			slices.SortFunc(ids, func(a, b oid) int { return bytes.Compare(a[:], b[:]) })
			findsEach(t, ids)
		}
	}
}

// findsEach looks for each name, and for others.
func findsEach(t *testing.T, ids []oid) {
	t.Helper()
	x := indexed(t, indexOf(ids))
	for i, id := range ids {
		n, err := x.find(&id)
		if err != nil || n != i {
			t.Errorf("name %d of %d is number %d, %v", i, len(ids), n, err)
			continue
		}
		if offset, err := x.offset(n); err != nil || offset != int64(i) {
			t.Errorf("what name %d of %d names lies at %d, %v", i, len(ids), offset, err)
		}
		id[19] ^= 1
		if n, err := x.find(&id); err != nil || n >= 0 && ids[n] != id {
			t.Errorf("what is not there is number %d, %v", n, err)
		}
	}
	for _, other := range []oid{{}, oid(bytes.Repeat([]byte{0xff}, 20)), {0, 0, 0, 1}} {
		if n, err := x.find(&other); err != nil || n >= 0 {
			t.Errorf("what is not there is number %d, %v", n, err)
		}
	}
	found := 0
	err := x.each(func(n int) bool { return n%3 == 0 }, func(id oid, n int) {
		if found++; ids[n] != id || n%3 != 0 {
			t.Errorf("number %d is %s", n, id)
		}
	})
	if err != nil || found != (len(ids)+2)/3 {
		t.Errorf("%d of %d names, %v", found, len(ids), err)
	}
}

// Objects behind the first 2 GiB of a pack lie at offsets of 64 bits.
func TestFarOffsets(t *testing.T) {
	ids := []oid{{1}, {2}, {3}}
	data := indexOf(ids)
	at := func(i int) []byte { return data[indexHead+24*len(ids)+4*i:] }
	binary.BigEndian.PutUint32(at(1), farOffset|1)
	binary.BigEndian.PutUint32(at(2), farOffset|2)
	end := bytes.Clone(data[len(data)-indexEnd:])
	data = append(data[:len(data)-indexEnd], make([]byte, 16)...)
	binary.BigEndian.PutUint64(data[len(data)-8:], 5<<30)
	x := indexed(t, append(data, end...))
	if got, err := x.offset(0); err != nil || got != 0 {
		t.Errorf("near: %d, %v", got, err)
	}
	if got, err := x.offset(1); err != nil || got != 5<<30 {
		t.Errorf("far: %d, %v", got, err)
	}
	if got, err := x.offset(2); err == nil {
		t.Errorf("one that the index doesn't have is %d", got)
	}
}

// What is no index is refused when it is opened.
func TestIndexesAreHeldToTheirForm(t *testing.T) {
	good := indexOf([]oid{{1}, {2}, {3}})
	for name, edit := range map[string]func(data []byte) []byte{
		"nothing":              func([]byte) []byte { return nil },
		"another version":      func(d []byte) []byte { d[7]++; return d },
		"a fan-out back":       func(d []byte) []byte { d[8+4*100+3] = 9; return d },
		"a name more":          func(d []byte) []byte { d[8+4*255+3]++; return d },
		"a byte less":          func(d []byte) []byte { return d[:len(d)-1] },
		"a byte more":          func(d []byte) []byte { return append(d, 0) },
		"cut behind its head":  func(d []byte) []byte { return d[:indexHead+indexEnd] },
		"a count beyond 2 GiB": func(d []byte) []byte { d[8+4*255] = 0xff; return d },
	} {
		file := filepath.Join(t.TempDir(), "x.idx")
		if err := os.WriteFile(file, edit(bytes.Clone(good)), 0o600); err != nil {
			t.Fatal(err)
		}
		if x, err := openIndex(file); err == nil {
			x.close()
			t.Errorf("%s: taken", name)
		}
	}
}

// A file that becomes shorter while it is read is an error, where memory that it was
// mapped to is no more.
func TestAnIndexThatIsCutShort(t *testing.T) {
	ids := make([]oid, 4000)
	for i := range ids {
		ids[i] = oid{byte(i >> 4), byte(i << 4), 7}
	}
	slices.SortFunc(ids, func(a, b oid) int { return bytes.Compare(a[:], b[:]) })
	file := filepath.Join(t.TempDir(), "x.idx")
	if err := os.WriteFile(file, indexOf(ids), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := openIndex(file)
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	last := len(ids) - 1
	if n, err := x.find(&ids[last]); err != nil || n != last {
		t.Fatal(n, err)
	}
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	_, found := x.find(&ids[last])
	_, offset := x.offset(last)
	each := x.each(func(int) bool { return true }, func(oid, int) {})
	for what, err := range map[string]error{"find": found, "offset": offset, "each": each} {
		// Where files are not mapped, what was read once stays.
		if err != nil && !errors.Is(err, errIndexCut) || err == nil && isMapped {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A damaged index is not taken for one that lacks what was asked for.
func TestADamagedIndexIsSaidToBe(t *testing.T) {
	w := ridden(t, ride{})
	file := w.packed(".idx")
	whole, err := os.ReadFile(file)
	w.ok(err)
	tip, ok := parseOID(promotion.Hash(w.parse(ledgerRef)))
	at := bytes.Index(whole, tip[:])
	if !ok || at < 0 {
		t.Fatal("the ledger's head is not in the index")
	}
	for name, edit := range map[string]func(data []byte){
		"a name": func(data []byte) { data[at+19] ^= 1 }, "the fan-out": func(data []byte) { clear(data[8 : 8+4*int(tip[0])+4]) },
	} {
		data := bytes.Clone(whole)
		edit(data)
		w.ok(os.WriteFile(file, data, 0o600))
		report, found := w.verify(Options{})
		if report.ExitCode() != 2 || found != "OBJECT_UNREADABLE" || !strings.Contains(report.Findings[0].Found, "git index-pack") {
			t.Errorf("%s is damaged: %s", name, show(report))
		}
	}
}

func indexed(t *testing.T, data []byte) *packIndex {
	t.Helper()
	x := &packIndex{data: data}
	if err := x.begin(); err != nil {
		t.Fatal(err)
	}
	return x
}

// indexOf is an index that has these names as they come, each at the offset of its
// number.
func indexOf(ids []oid) []byte {
	data := append([]byte("\xfftOc\x00\x00\x00\x02"), make([]byte, 1024)...)
	for _, id := range ids {
		data = append(data, id[:]...)
		for b := int(id[0]); b < 256; b++ {
			n := data[8+4*b:]
			binary.BigEndian.PutUint32(n, binary.BigEndian.Uint32(n)+1)
		}
	}
	data = append(data, make([]byte, 4*len(ids))...)
	for i := range ids {
		data = binary.BigEndian.AppendUint32(data, uint32(i))
	}
	return append(data, make([]byte, indexEnd)...)
}
