package audit

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
)

// Names are found wherever they stand: forged ones are no hashes and may all begin
// alike.
func TestNamesAreFoundWhereverTheyStand(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for _, alike := range []int{0, 3, 12} {
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
			if count < 2 {
				continue
			}
			last := len(ids) - 1
			for name, wrong := range map[string][]oid{
				"one is there twice": slices.Concat(ids[:last], ids[last-1:last]), "the last two change places": slices.Concat(ids[:last-1], []oid{ids[last], ids[last-1]}),
			} {
				if whole(indexed(t, indexOf(wrong))) == nil {
					t.Errorf("%d names of which %s are in order", count, name)
				}
			}
			data := indexOf(ids)
			data[8+4*int(ids[last][0])+3]-- // one less begins so
			if x, err := newIndex(bytes.NewReader(data), int64(len(data))); err == nil && whole(x) == nil {
				t.Errorf("%d names: any fan-out will do", count)
			}
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
		if offset, err := x.offset(id[0], n); err != nil || offset != int64(i) {
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
}

// An index is opened and asked at the price of what is asked.
func TestAnIndexIsReadWhereItIsAsked(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	ids := make([]oid, 20_000)
	for i := range ids {
		for j := range ids[i] {
			ids[i][j] = byte(random.Uint32())
		}
	}
	slices.SortFunc(ids, func(a, b oid) int { return bytes.Compare(a[:], b[:]) })
	data := indexOf(ids)
	counted := &counter{ReaderAt: bytes.NewReader(data)}
	x, err := newIndex(counted, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		if n, err := x.find(&ids[77]); n != 77 || err != nil {
			t.Fatal(n, err)
		}
	}
	if most := len(data) / 100; counted.bytes == 0 || counted.bytes > most {
		t.Errorf("%d bytes of %d were read for one name, at most %d are expected", counted.bytes, len(data), most)
	}
	if x, err = newIndex(bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	x.peeks = manyPeeks
	for i, id := range ids[:5000] {
		if n, err := x.find(&id); err != nil || n != i {
			t.Fatalf("name %d is number %d, %v", i, n, err)
		}
		id[19]++
		if n, err := x.find(&id); err != nil || n >= 0 {
			t.Fatalf("what is not there is number %d, %v", n, err)
		}
		if offset, err := x.offset(ids[i][0], i); err != nil || offset != int64(i) {
			t.Fatalf("name %d lies at %d, %v", i, offset, err)
		}
	}
	if x.parts[0].slots == nil || x.parts[255].slots != nil {
		t.Error("a part that was peeked into often was not read, or one that was not")
	}
}

// counter counts the bytes that are read.
type counter struct {
	io.ReaderAt
	bytes int
}

func (c *counter) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	c.bytes += n
	return n, err
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
	offset := func(id oid) (int64, error) {
		n, err := x.find(&id)
		if err != nil {
			t.Fatal(err)
		}
		return x.offset(id[0], n)
	}
	if got, err := offset(ids[0]); err != nil || got != 0 {
		t.Errorf("near: %d, %v", got, err)
	}
	if got, err := offset(ids[1]); err != nil || got != 5<<30 {
		t.Errorf("far: %d, %v", got, err)
	}
	if got, err := offset(ids[2]); err == nil {
		t.Errorf("one that the index doesn't have is %d", got)
	}
}

// whole reads all parts.
func whole(x *packIndex) error {
	for b := range 256 {
		if _, err := x.part(byte(b)); err != nil {
			return err
		}
	}
	return nil
}

func indexed(t *testing.T, data []byte) *packIndex {
	t.Helper()
	x, err := newIndex(bytes.NewReader(data), int64(len(data)))
	if err != nil {
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
