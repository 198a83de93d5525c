package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"slices"
)

// maxIndex is the largest index that is read: 50 million objects.
const maxIndex = 2 << 30

const (
	// indexHead is where the names begin: behind a magic number, the version and
	// the fan-out.
	indexHead = 8 + 4*256
	// indexEnd is how long the two checksums at the end are.
	indexEnd = 2 * len(oid{})
	// slotBytes is what a name takes in memory, with where its object lies.
	slotBytes = len(oid{}) + 4
	// farOffset says that an offset is the place of one of 64 bits.
	farOffset = 1 << 31
	// manyPeeks is how often is peeked into a part, where that is done, until it is
	// read as a whole: then that would have been cheaper.
	manyPeeks = 24
)

// packIndex is the index of a pack, version 2: where its objects lie, by name. It is
// read in 256 parts, by the first byte of the names, each when it is asked for some
// objects; whoever will read a few sets peeks, and reads little of it.
type packIndex struct {
	file io.ReaderAt
	size int64
	// to is how many names begin with a byte up to this one.
	to    [256]uint32
	parts [256]indexPart
	// peeks is how often is peeked into each part before it is read.
	peeks int
	// read is room for what is read of the file for a part.
	read []byte
}

// indexPart are the names with one first byte.
type indexPart struct {
	// slots are the names in order, each with its offset behind it; nil: not read yet.
	slots []byte
	// starts are where those begin whose next bits, without shift lower ones of 32, are
	// a number: one more than there are such numbers.
	starts []uint32
	shift  int
	// peeked is how often was peeked into it.
	peeked int
}

// openIndex opens an index and holds its length to its fan-out.
func openIndex(name string) (*packIndex, error) {
	f, err := os.Open(name) // #nosec G304 -- found in the clone
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	x, err := newIndex(f, info.Size())
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return x, nil
}

// newIndex is openIndex for bytes wherever they are.
func newIndex(file io.ReaderAt, size int64) (*packIndex, error) {
	if size > maxIndex {
		return nil, fmt.Errorf("an index of %d bytes, at most %d are read", size, maxIndex)
	}
	var head [indexHead]byte
	if size < int64(len(head)+indexEnd) {
		return nil, errNoIndex
	}
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	if string(head[:8]) != "\xfftOc\x00\x00\x00\x02" {
		return nil, errNoIndex
	}
	x := &packIndex{file: file, size: size}
	before := uint32(0)
	for i := range x.to {
		x.to[i] = binary.BigEndian.Uint32(head[8+4*i:])
		if x.to[i] < before {
			return nil, errors.New("its fan-out goes back")
		}
		before = x.to[i]
	}
	if far := x.farBytes(); far < 0 || far%8 != 0 {
		return nil, errors.New("its length is not what its fan-out says")
	}
	return x, nil
}

var errNoIndex = errors.New("no index of version 2: git index-pack writes one")

func (x *packIndex) close() {
	if f, ok := x.file.(io.Closer); ok {
		_ = f.Close()
	}
}

// count is how many objects the index names.
func (x *packIndex) count() int { return int(x.to[255]) }

// from is how many names begin with a lower byte.
func (x *packIndex) from(b byte) int {
	if b == 0 {
		return 0
	}
	return int(x.to[b-1])
}

// farBytes is how long the offsets of 64 bits are together, which follow names,
// checksums and offsets of 32 bits.
func (x *packIndex) farBytes() int64 { return x.size - x.farAt() - int64(indexEnd) }
func (x *packIndex) farAt() int64    { return indexHead + 28*int64(x.count()) }

// namesAt and offsetsAt are where the name and the offset of a number stand.
func (x *packIndex) namesAt(number int) int64 { return indexHead + int64(len(oid{})*number) }
func (x *packIndex) offsetsAt(number int) int64 {
	return indexHead + 24*int64(x.count()) + 4*int64(number)
}

// part is the part of the names that begin with a byte.
func (x *packIndex) part(b byte) (*indexPart, error) {
	p := &x.parts[b]
	from := x.from(b)
	n := int(x.to[b]) - from
	if p.slots != nil || n == 0 {
		return p, nil
	}
	x.read = slices.Grow(x.read[:0], slotBytes*n)[:slotBytes*n]
	names, offsets := x.read[:len(oid{})*n], x.read[len(oid{})*n:]
	if _, err := x.file.ReadAt(names, x.namesAt(from)); err != nil {
		return nil, err
	}
	if _, err := x.file.ReadAt(offsets, x.offsetsAt(from)); err != nil {
		return nil, err
	}
	return p, p.arrange(b, names, offsets)
}

// peek looks for a name where it should stand, as names are hashes, in a part that
// was not read yet. False says nothing but that the part must be.
func (x *packIndex) peek(id *oid) (number int, ok bool) {
	p := &x.parts[id[0]]
	from, all := x.from(id[0]), int(x.to[id[0]])-x.from(id[0])
	// Names are off their places by half the root of their number, mostly.
	window := 4*int(math.Sqrt(float64(all))) + 8
	if p.slots != nil || p.peeked >= x.peeks || 2*window > all {
		return -1, false
	}
	p.peeked++
	guess := int(uint64(all) * uint64(binary.BigEndian.Uint32(id[1:])) >> 32) //nolint:gosec // a part of all
	first := from + min(max(0, guess-window/2), all-window)
	x.read = slices.Grow(x.read[:0], window*len(id))[:window*len(id)]
	if _, err := x.file.ReadAt(x.read, x.namesAt(first)); err != nil {
		return -1, false
	}
	for i := range window {
		if oid(x.read[len(id)*i:]) == *id {
			return first + i, true
		}
	}
	return -1, false
}

// arrange puts names and offsets side by side, holds the names to their byte and to
// their order, and notes where those begin that begin with the same bits: so many that
// there are few of each.
func (p *indexPart) arrange(b byte, names, offsets []byte) error {
	n := len(offsets) / 4
	prefix := max(1, bits.Len(uint(n))-2) //nolint:gosec // not negative
	shift := 32 - prefix
	slots, starts := make([]byte, 0, slotBytes*n), make([]uint32, 1<<prefix+1)
	next := 0
	var before []byte
	for i := range n {
		name := names[:len(oid{})]
		names = names[len(oid{}):]
		if name[0] != b {
			return errors.New("its fan-out is not that of its names")
		}
		if bytes.Compare(before, name) >= 0 {
			return errors.New("its names are not in order")
		}
		before = name
		for ; next <= int(binary.BigEndian.Uint32(name[1:])>>shift); next++ {
			starts[next] = uint32(i) //nolint:gosec // below maxIndex
		}
		slots = append(append(slots, name...), offsets[4*i:4*i+4]...)
	}
	for ; next < len(starts); next++ {
		starts[next] = uint32(n) //nolint:gosec // below maxIndex
	}
	*p = indexPart{slots: slots, starts: starts, shift: shift}
	return nil
}

// slot is a name with its offset.
func (p *indexPart) slot(i int) []byte { return p.slots[slotBytes*i : slotBytes*i+slotBytes] }

// find is the number of an object in the order of names; -1 where it is not named.
func (x *packIndex) find(id *oid) (int, error) {
	if n, ok := x.peek(id); ok {
		return n, nil
	}
	p, err := x.part(id[0])
	if err != nil || p.slots == nil {
		return -1, err
	}
	first := binary.BigEndian.Uint64(id[1:])
	at := first >> (32 + p.shift)
	i, end := int(p.starts[at]), int(p.starts[at+1])
	for to := end; i < to; {
		middle := (i + to) / 2
		slot := p.slot(middle)
		n := binary.BigEndian.Uint64(slot[1:])
		if n < first || n == first && bytes.Compare(slot[:len(id)], id[:]) < 0 {
			i = middle + 1
		} else {
			to = middle
		}
	}
	if i >= end || oid(p.slot(i)) != *id {
		return -1, nil
	}
	return x.from(id[0]) + i, nil
}

// offset is where the object of a number lies that find found under a name that begins
// with a byte.
func (x *packIndex) offset(b byte, number int) (int64, error) {
	if p := &x.parts[b]; p.slots != nil {
		return x.near(p.slot(number - x.from(b))[len(oid{}):])
	}
	x.read = slices.Grow(x.read[:0], 4)[:4]
	if _, err := x.file.ReadAt(x.read, x.offsetsAt(number)); err != nil {
		return 0, err
	}
	return x.near(x.read)
}

// near is an offset of 32 bits, or the one of 64 bits that it is the place of.
func (x *packIndex) near(four []byte) (int64, error) {
	offset := int64(binary.BigEndian.Uint32(four))
	if offset < farOffset {
		return offset, nil
	}
	at := 8 * (offset - farOffset)
	if at+8 > x.farBytes() {
		return 0, errors.New("an offset of 64 bits that it doesn't have")
	}
	var far [8]byte
	if _, err := x.file.ReadAt(far[:], x.farAt()+at); err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(far[:])), nil //nolint:gosec // a negative one is refused when it is read
}

// each calls for each name that begins with a byte, with its number.
func (x *packIndex) each(b byte, call func(name oid, number int)) error {
	p, err := x.part(b)
	if err != nil {
		return err
	}
	for i := range len(p.slots) / slotBytes {
		call(oid(p.slot(i)), x.from(b)+i)
	}
	return nil
}
