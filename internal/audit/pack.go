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
	"strings"
)

// Limits of packs.
const (
	// maxChain is the longest chain of deltas; git itself makes none above 4095.
	maxChain = 5000
	// chunkBytes is how much of a pack is read at a time, with chunkMore of the next
	// such piece for what begins in this one; chunksKept is how many stay in memory.
	chunkBytes = 16 << 10
	chunkMore  = 4 << 10
	chunksKept = 400
)

// pack is a pack with its index. One goroutine reads it at a time.
type pack struct {
	path string
	file *os.File
	size int64
	// broken says why it can't be read; it names no objects then.
	broken error
	index  *packIndex
	// summed says that the index was held to its checksum.
	summed bool
	// known is what is known of each object, by its number in the index.
	known []status

	chunks map[int64][]byte
	order  []int64 // of chunks, oldest first
	// last is the chunk that was asked for last, lastAt where it begins.
	last   []byte
	lastAt int64

	// before is how many bytes all packs have that were opened before.
	before int64
}

// key is one number for the entry at an offset, over all packs.
func (p *pack) key(offset int64) uint64 { return uint64(p.before + offset) } //nolint:gosec // none is negative

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

// load opens the index, and looks at how the pack begins.
func (p *pack) load(name string) error {
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	p.size = info.Size()
	if p.index, err = openIndex(name); err != nil {
		return err
	}
	p.known = make([]status, p.index.count())
	if head, err := p.chunk(0); err != nil || p.size < 32 || string(head[:4]) != "PACK" {
		return errors.New("the pack does not begin as one")
	}
	return nil
}

func (p *pack) close() {
	_ = p.file.Close() // read only; nil where it could not be opened
	if p.index != nil {
		p.index.close()
	}
}

// find is the number of an object in the index; -1 where it has none.
func (p *pack) find(id *oid) int {
	if p.broken != nil {
		return -1
	}
	n, err := p.index.find(id)
	if err != nil {
		p.broken = err
	}
	return n
}

// indexed says why the pack may lack in its index what it has.
func (p *pack) indexed() error {
	if p.broken == nil && !p.summed {
		p.broken, p.summed = p.index.sound(), true
	}
	return p.broken
}

// each calls for each object of which something is known.
func (p *pack) each(call func(id oid, s status)) {
	if p.broken == nil {
		p.broken = p.index.each(func(n int) bool { return p.known[n] != 0 }, func(id oid, n int) { call(id, p.known[n]) })
	}
}

// from is some of the pack's bytes from an offset on, at least n unless the pack
// ends before. They stay what they are until it is asked again.
func (p *pack) from(offset int64, n int) ([]byte, error) {
	if offset < 12 || offset >= p.size-20 {
		return nil, fmt.Errorf("offset %d lies outside the pack", offset)
	}
	at := offset - offset%chunkBytes
	if end := at + chunkBytes + chunkMore; offset+int64(n) <= end || end >= p.size {
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
	if p.last != nil && p.lastAt == at {
		return p.last, nil
	}
	c, kept := p.chunks[at]
	if !kept {
		var err error
		if c, err = p.read(at); err != nil {
			return nil, err
		}
	}
	p.last, p.lastAt = c, at
	return c, nil
}

// read reads a chunk into the place of the one that is longest there.
func (p *pack) read(at int64) ([]byte, error) {
	var c []byte
	if len(p.order) >= chunksKept {
		c = p.chunks[p.order[0]]
		delete(p.chunks, p.order[0])
		p.order = p.order[1:]
		p.last = nil
	}
	n := min(chunkBytes+chunkMore, p.size-at)
	if int64(cap(c)) < n {
		c = make([]byte, n, chunkBytes+chunkMore)
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
	// packed are those bytes, as many as came with the head, until the pack is asked
	// for others.
	packed []byte
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
	e.at, e.packed = offset+int64(n), data[n:]
	return e, nil
}

// patched applies a delta to what it stands on, in memory that room gives.
func patched(base, delta []byte, room func(size int) []byte) ([]byte, error) {
	from, delta, ok := deltaSize(delta)
	size, delta, ok2 := deltaSize(delta)
	if !ok || !ok2 || from != int64(len(base)) || size > maxObject {
		return nil, errDelta
	}
	out := room(int(size))[:0]
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
	buffer := make([]byte, 128<<10)
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
