package audit

import (
	"bytes"
	"crypto/sha1" // #nosec G505 -- git's own checksum of an index
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"sort"
)

// maxIndex is the largest index that is read: 50 million objects.
const maxIndex = 2 << 30

const (
	// indexHead is where the names begin: behind a magic number, the version and
	// the fan-out.
	indexHead = 8 + 4*256
	// indexEnd is how long the two checksums at the end are.
	indexEnd = 2 * len(oid{})
	// farOffset says that an offset is the place of one of 64 bits.
	farOffset = 1 << 31
)

// packIndex is the index of a pack, version 2: a fan-out of 256 counts, the names in
// order, checksums, offsets, offsets of 64 bits. It is mapped into memory where the
// system can do so: whoever reads a few objects reads little of it. What is cut off a
// mapped file is an error of whoever reads there.
type packIndex struct {
	data   []byte
	unmap  func()
	fanOut [256]int
}

// openIndex opens an index and holds its length to its fan-out.
func openIndex(name string) (*packIndex, error) {
	f, err := os.Open(name) // #nosec G304 -- found in the clone
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch size := info.Size(); {
	case size > maxIndex:
		return nil, fmt.Errorf("an index of %d bytes, at most %d are read", size, maxIndex)
	case size < int64(indexHead+indexEnd):
		return nil, errNoIndex
	}
	data, unmap, err := mapped(f, int(info.Size()))
	if err != nil {
		return nil, err
	}
	x := &packIndex{data: data, unmap: unmap}
	if err := guarded(x.begin); err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

var errNoIndex = errors.New("it has no index of version 2: git index-pack writes one")

// guarded calls something that reads mapped memory. Where the file has become shorter
// that is a fault, which would end the process.
func guarded(read func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		if recover() != nil {
			err = errIndexCut
		}
	}()
	return read()
}

var errIndexCut = errors.New("its index was cut short while it was read")

// begin reads the index's head.
func (x *packIndex) begin() error {
	if string(x.data[:8]) != "\xfftOc\x00\x00\x00\x02" {
		return errNoIndex
	}
	before := 0
	for i := range x.fanOut {
		x.fanOut[i] = int(binary.BigEndian.Uint32(x.data[8+4*i:]))
		if x.fanOut[i] < before {
			return errors.New("the fan-out of its index goes back")
		}
		before = x.fanOut[i]
	}
	if rest := len(x.data) - indexHead - 28*x.count() - indexEnd; rest < 0 || rest%8 != 0 {
		return errors.New("its index is not as long as the fan-out there says")
	}
	return nil
}

func (x *packIndex) close() { x.unmap() }

// count is how many objects the index names.
func (x *packIndex) count() int { return x.fanOut[255] }

// between are the numbers of the first name that begins with a byte, and of the first
// that begins with a higher one.
func (x *packIndex) between(b byte) (from, to int) {
	if b > 0 {
		from = x.fanOut[b-1]
	}
	return from, x.fanOut[b]
}

// name is the name of a number.
func (x *packIndex) name(number int) []byte {
	at := indexHead + len(oid{})*number
	return x.data[at : at+len(oid{})]
}

// find is the number of an object in the order of names; -1 where it is not named.
func (x *packIndex) find(id *oid) (number int, err error) {
	number = -1
	err = guarded(func() error {
		number = x.search(id)
		return nil
	})
	return number, err
}

// search is find, unguarded. It looks around where the name should stand first, as
// names are hashes: most are off their places by half the root of their number at most.
func (x *packIndex) search(id *oid) int {
	first := binary.BigEndian.Uint64(id[:])
	// before reports whether a name stands before id.
	before := func(number int) bool {
		name := x.name(number)
		n := binary.BigEndian.Uint64(name)
		return n < first || n == first && bytes.Compare(name, id[:]) < 0
	}
	from, to := x.between(id[0])
	off := 2*int(math.Sqrt(float64(to-from))) + 4
	guess := from + int(uint64(to-from)*uint64(binary.BigEndian.Uint32(id[1:]))>>32) //nolint:gosec // a part of it
	for _, at := range [2]int{guess - off, guess + off} {
		switch {
		case at < from || at >= to:
		case before(at):
			from = at + 1
		default:
			to = at
		}
	}
	from += sort.Search(to-from, func(n int) bool { return !before(from + n) })
	if from == x.fanOut[id[0]] || oid(x.name(from)) != *id {
		return -1
	}
	return from
}

// offset is where the object of a number lies.
func (x *packIndex) offset(number int) (offset int64, err error) {
	err = guarded(func() error {
		offsets := x.data[indexHead+24*x.count() : len(x.data)-indexEnd]
		offset = int64(binary.BigEndian.Uint32(offsets[4*number:]))
		if offset < farOffset {
			return nil
		}
		far := offsets[4*x.count():]
		if offset = 8 * (offset - farOffset); offset+8 > int64(len(far)) {
			return errors.New("an offset of 64 bits that it doesn't have")
		}
		offset = int64(binary.BigEndian.Uint64(far[offset:])) //nolint:gosec // a negative one is refused when it is read
		return nil
	})
	return offset, err
}

// sound holds the index to the checksum at its end: where it is damaged, find misses
// what is there.
func (x *packIndex) sound() error {
	return guarded(func() error {
		end := len(x.data) - sha1.Size
		if sha1.Sum(x.data[:end]) != [sha1.Size]byte(x.data[end:]) { // #nosec G401 -- git's own checksum, against damage only
			return errors.New("its index is damaged: git index-pack writes it again")
		}
		return nil
	})
}

// each calls for the names of some numbers.
func (x *packIndex) each(wanted func(number int) bool, call func(id oid, number int)) error {
	return guarded(func() error {
		for i := range x.count() {
			if wanted(i) {
				call(oid(x.name(i)), i)
			}
		}
		return nil
	})
}
