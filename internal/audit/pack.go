package audit

import (
	"bytes"
	"crypto/sha1" // #nosec G505 -- git's own checksum of packs
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Limits of packs.
const (
	// maxIndex is the largest index that is read: 50 million objects.
	maxIndex = 2 << 30
	// maxChain is the longest chain of deltas; git itself makes none above 4095.
	maxChain = 5000
	// chunkBytes is how much of a pack is read at a time, chunksKept how many
	// such pieces stay in memory.
	chunkBytes = 32 << 10
	chunksKept = 128
	// basesBytes is how much of what deltas stand on each half of a cache keeps.
	basesBytes = 4 << 20
)

// pack is a pack with its index. One goroutine reads it at a time.
type pack struct {
	path string
	file *os.File
	size int64
	// broken says why it can't be read; it names no objects then.
	broken error
	// index is the whole index: a fan-out of 256 counts, the names in order,
	// checksums, offsets, offsets of 64 bits.
	index []byte
	count int

	chunks map[int64][]byte
	order  []int64 // of chunks, oldest first
}

// entryBase is an object that deltas stand on.
type entryBase struct {
	kind byte
	data []byte
}

// size is what an entry takes in the cache.
func (e entryBase) size() int { return len(e.data) + 64 }

// baseKey is where an entry lies.
type baseKey struct {
	pack   *pack
	offset int64
}

// The types of a pack's entries.
const (
	packCommit   = 1
	packTree     = 2
	packBlob     = 3
	packTag      = 4
	packOffset   = 6
	packRefDelta = 7
)

// openPacks opens the packs of an objects directory, by name.
func openPacks(objects string) ([]*pack, error) {
	names, err := filepath.Glob(filepath.Join(objects, "pack", "pack-*.idx"))
	if err != nil {
		return nil, err
	}
	var packs []*pack
	for _, name := range names {
		stem := strings.TrimSuffix(name, ".idx")
		p := &pack{path: stem + ".pack", chunks: map[int64][]byte{}}
		p.file, p.broken = os.Open(p.path) // #nosec G304 -- found in the clone
		if errors.Is(p.broken, fs.ErrNotExist) {
			continue // an index without its pack: what it names is missing
		}
		if p.broken == nil {
			p.broken = p.load(name)
		}
		packs = append(packs, p)
	}
	return packs, nil
}

// load reads the index and holds its form together.
func (p *pack) load(name string) error {
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	p.size = info.Size()
	f, err := os.Open(name) // #nosec G304 -- found in the clone
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil {
		return err
	}
	if info.Size() > maxIndex {
		return fmt.Errorf("an index of %d bytes, at most %d are read", info.Size(), maxIndex)
	}
	p.index = make([]byte, info.Size())
	if _, err := io.ReadFull(f, p.index); err != nil {
		return err
	}
	if len(p.index) < 8+1024+40 || string(p.index[:8]) != "\xfftOc\x00\x00\x00\x02" {
		return errors.New("no index of version 2: git index-pack writes one")
	}
	if head, err := p.chunk(0); err != nil || p.size < 32 || string(head[:4]) != "PACK" {
		return errors.New("the pack does not begin as one")
	}
	before := 0
	for i := range 256 {
		n := p.fan(i)
		if n < before {
			return errors.New("its fan-out goes back")
		}
		before = n
	}
	if rest := len(p.index) - 8 - 1024 - 28*before - 40; rest < 0 || rest%8 != 0 {
		return errors.New("its length is not what its fan-out says")
	}
	p.count = before
	return nil
}

// fan is the number of objects whose first byte is at most i.
func (p *pack) fan(i int) int {
	return int(binary.BigEndian.Uint32(p.index[8+4*i:]))
}

// find is the offset of an object.
func (p *pack) find(id oid) (int64, bool) {
	if p.broken != nil {
		return 0, false
	}
	from, to := 0, p.fan(int(id[0]))
	if id[0] > 0 {
		from = p.fan(int(id[0]) - 1)
	}
	names := p.index[8+1024:]
	from, near := around(names, from, to, id)
	i := from + sort.Search(near-from, func(i int) bool {
		at := 20 * (from + i)
		return bytes.Compare(names[at:at+20], id[:]) >= 0
	})
	if i >= to || !bytes.Equal(names[20*i:20*i+20], id[:]) {
		return 0, false
	}
	offsets := p.index[8+1024+24*p.count:]
	offset := int64(binary.BigEndian.Uint32(offsets[4*i:]))
	if offset&(1<<31) == 0 {
		return offset, true
	}
	large := offsets[4*p.count : len(offsets)-40]
	if i = int(offset &^ (1 << 31)); 8*i+8 > len(large) {
		return -1, true
	}
	return int64(binary.BigEndian.Uint64(large[8*i:])), true //nolint:gosec // a negative one is refused when it is read
}

// around narrows where a name may stand among sorted ones: names are hashes, so that
// it is near to where its first bytes say.
func around(names []byte, from, to int, id oid) (low, high int) {
	less := func(i int) bool { return bytes.Compare(names[20*i:20*i+20], id[:]) < 0 }
	guess := from + int(uint64(binary.BigEndian.Uint32(id[1:5]))*uint64(to-from)>>32) //nolint:gosec // below to
	low, high = guess, guess
	for step := 8; low > from && !less(low-1); step *= 2 {
		low = max(from, low-step)
	}
	for step := 8; high < to && less(high); step *= 2 {
		high = min(to, high+step)
	}
	return low, high
}

// from is some of the pack's bytes from an offset on, at least n unless the pack
// ends before.
func (p *pack) from(offset int64, n int) ([]byte, error) {
	if offset < 12 || offset >= p.size-20 {
		return nil, fmt.Errorf("offset %d lies outside the pack", offset)
	}
	at := offset - offset%chunkBytes
	if offset+int64(n) <= at+chunkBytes || at+chunkBytes >= p.size {
		chunk, err := p.chunk(at)
		if err != nil {
			return nil, err
		}
		return chunk[offset-at:], nil
	}
	data := make([]byte, min(int64(n), p.size-offset))
	_, err := p.file.ReadAt(data, offset)
	return data, err
}

// chunk is a piece of the pack that begins at a multiple of chunkBytes.
func (p *pack) chunk(at int64) ([]byte, error) {
	if c, ok := p.chunks[at]; ok {
		return c, nil
	}
	var c []byte
	if len(p.order) >= chunksKept {
		c = p.chunks[p.order[0]]
		delete(p.chunks, p.order[0])
		p.order = p.order[1:]
	}
	n := min(chunkBytes, p.size-at)
	if int64(cap(c)) < n {
		c = make([]byte, n, chunkBytes)
	}
	c = c[:n]
	if _, err := p.file.ReadAt(c, at); err != nil {
		return nil, err
	}
	p.chunks[at] = c
	p.order = append(p.order, at)
	return c, nil
}

// What is wrong with an entry.
var (
	errHead  = errors.New("an entry's head is damaged")
	errDelta = errors.New("a delta is damaged")
)

// packEntry is the head of an entry.
type packEntry struct {
	kind byte
	size int64
	// at is where its packed bytes begin, base where the entry lies that a
	// packOffset stands on, id the object that a packRefDelta stands on.
	at   int64
	base int64
	id   oid
}

// head reads the head of the entry at an offset.
func (p *pack) head(offset int64) (packEntry, error) {
	data, err := p.from(offset, 64)
	if err != nil {
		return packEntry{}, err
	}
	e := packEntry{kind: data[0] >> 4 & 7, size: int64(data[0] & 15)}
	n, shift := 1, 4
	for more := data[0]&0x80 != 0; more; n++ {
		if n >= len(data) || shift > 56 {
			return e, errHead
		}
		e.size |= int64(data[n]&0x7f) << shift
		shift += 7
		more = data[n]&0x80 != 0
	}
	switch e.kind {
	case packOffset:
		back := int64(-1)
		for more := true; more; n++ {
			if n >= len(data) || back > 1<<48 {
				return e, errHead
			}
			back = (back+1)<<7 | int64(data[n]&0x7f)
			more = data[n]&0x80 != 0
		}
		if e.base = offset - back; back <= 0 || e.base < 12 {
			return e, errHead
		}
	case packRefDelta:
		if n+20 > len(data) {
			return e, errHead
		}
		e.id = oid(data[n : n+20])
		n += 20
	}
	e.at = offset + int64(n)
	return e, nil
}

// patched applies a delta to what it stands on.
func patched(base, delta []byte) ([]byte, error) {
	from, delta, ok := deltaSize(delta)
	size, delta, ok2 := deltaSize(delta)
	if !ok || !ok2 || from != int64(len(base)) || size > maxObject {
		return nil, errDelta
	}
	out := make([]byte, 0, size)
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 {
			n := int(op)
			if n == 0 || n > len(delta) || len(out)+n > int(size) {
				return nil, errDelta
			}
			out, delta = append(out, delta[:n]...), delta[n:]
			continue
		}
		var field [7]byte
		for i := range field {
			if op&(1<<i) != 0 {
				if len(delta) == 0 {
					return nil, errDelta
				}
				field[i], delta = delta[0], delta[1:]
			}
		}
		at := int(binary.LittleEndian.Uint32(field[:4]))
		n := int(field[4]) | int(field[5])<<8 | int(field[6])<<16
		if n == 0 {
			n = 0x10000
		}
		if at+n > len(base) || len(out)+n > int(size) {
			return nil, errDelta
		}
		out = append(out, base[at:at+n]...)
	}
	if len(out) != int(size) {
		return nil, errDelta
	}
	return out, nil
}

// deltaSize reads one of the two sizes that a delta begins with.
func deltaSize(data []byte) (size int64, rest []byte, ok bool) {
	for shift := 0; len(data) > 0 && shift < 63; shift += 7 {
		b := data[0]
		data = data[1:]
		size |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			return size, data, size >= 0
		}
	}
	return 0, nil, false
}

// sound holds a pack to the checksum at its end.
func (p *pack) sound() error {
	if p.broken != nil {
		return p.broken
	}
	h := sha1.New() // #nosec G401 -- git's own checksum, against damage only
	buffer := make([]byte, chunkBytes)
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, io.NewSectionReader(p.file, 0, p.size-int64(h.Size())), buffer); err != nil {
		return err
	}
	end := make([]byte, h.Size())
	if _, err := p.file.ReadAt(end, p.size-int64(h.Size())); err != nil {
		return err
	}
	if !bytes.Equal(h.Sum(nil), end) {
		return errors.New("its bytes don't hash to the checksum at its end")
	}
	return nil
}

// packError is a pack that is damaged.
type packError struct{ name, text string }

func (e *packError) Error() string { return e.name + ": " + e.text }
