package gitmem

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1" // #nosec G505 -- a packfile ends in a SHA-1
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
)

// maxInflated is the most bytes that the objects of one pack may have
// together.
const maxInflated = 1 << 30

var errPack = errors.New("malformed packfile")

// The kinds of object, by their code in a packfile.
var kinds = [5]string{"", "commit", "tree", "blob", "tag"}

const (
	codeOfsDelta = 6
	codeRefDelta = 7
)

func kindCode(kind string) byte {
	return byte(max(0, slices.Index(kinds[:], kind))) // #nosec G115 -- 0 to 4
}

// packed is one entry of a pack being read.
type packed struct {
	object        // resolved once kind is set; until then data is the delta
	offset, base  int64
	baseID, ownID string
	code          byte
}

// readPack takes a packfile apart. A delta's base may be in the pack or, for a
// thin pack, be what outside returns.
func readPack(data []byte, outside func(id string) (object, bool)) ([]object, error) {
	if len(data) < 32 || string(data[:4]) != "PACK" || binary.BigEndian.Uint32(data[4:8]) != 2 {
		return nil, fmt.Errorf("%w: no version 2 header", errPack)
	}
	body, trailer := data[:len(data)-20], data[len(data)-20:]
	if sum := sha1.Sum(body); !bytes.Equal(sum[:], trailer) { // #nosec G401 -- a packfile ends in a SHA-1
		return nil, fmt.Errorf("%w: checksum differs", errPack)
	}
	count := binary.BigEndian.Uint32(data[8:12])
	r := bytes.NewReader(body[12:])
	inflater := &inflater{budget: maxInflated}
	var entries []*packed
	for i := range count {
		e, err := inflater.entry(r, int64(len(body)-r.Len()))
		if err != nil {
			return nil, fmt.Errorf("%w: object %d of %d: %w", errPack, i+1, count, err)
		}
		entries = append(entries, e)
	}
	if r.Len() > 0 {
		return nil, fmt.Errorf("%w: bytes after the last object", errPack)
	}
	return resolve(entries, outside)
}

// inflater reads entries and keeps count of what they grow to.
type inflater struct {
	zlib   io.ReadCloser
	budget int64
}

func (f *inflater) entry(r *bytes.Reader, offset int64) (*packed, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	e := &packed{offset: offset, code: first >> 4 & 7}
	size := int64(first & 15)
	if first&0x80 != 0 {
		rest, err := readVarint(r)
		if err != nil || rest > maxInflated {
			return nil, errors.New("bad size")
		}
		size |= rest << 4
	}
	switch e.code {
	case codeOfsDelta:
		back, err := readOffset(r)
		if err != nil || back <= 0 || back > offset {
			return nil, errors.New("bad delta offset")
		}
		e.base = offset - back
	case codeRefDelta:
		var id [20]byte
		if _, err := io.ReadFull(r, id[:]); err != nil {
			return nil, err
		}
		e.baseID = hex.EncodeToString(id[:])
	case 0, 5:
		return nil, fmt.Errorf("unknown kind %d", e.code)
	default:
		e.kind = kinds[e.code]
	}
	e.data, err = f.inflate(r, size)
	return e, err
}

func (f *inflater) inflate(r *bytes.Reader, size int64) ([]byte, error) {
	if f.budget -= size; f.budget < 0 {
		return nil, errors.New("too large")
	}
	var err error
	if f.zlib == nil {
		f.zlib, err = zlib.NewReader(r)
	} else {
		err = f.zlib.(zlib.Resetter).Reset(r, nil)
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f.zlib, size+1))
	if err == nil && int64(len(data)) != size {
		err = errors.New("size differs")
	}
	return data, err
}

// readVarint reads the little-endian base-128 numbers of packs and deltas.
func readVarint(r io.ByteReader) (int64, error) {
	var n int64
	for shift := 0; shift < 56; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		n |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			return n, nil
		}
	}
	return 0, errors.New("number too long")
}

// readOffset reads the big-endian number of an offset delta.
func readOffset(r io.ByteReader) (int64, error) {
	n := int64(-1)
	for range 8 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		n = (n+1)<<7 | int64(b&0x7f)
		if b&0x80 == 0 {
			return n, nil
		}
	}
	return 0, errors.New("number too long")
}

// resolve applies deltas, each as soon as its base is known, in whatever order
// the pack holds them.
func resolve(entries []*packed, outside func(id string) (object, bool)) ([]object, error) {
	byOffset, byID := map[int64][]*packed{}, map[string][]*packed{}
	var ready []*packed
	budget := int64(maxInflated)
	for _, e := range entries {
		switch e.code {
		case codeOfsDelta:
			byOffset[e.base] = append(byOffset[e.base], e)
		case codeRefDelta:
			byID[e.baseID] = append(byID[e.baseID], e)
		default:
			ready = append(ready, e)
		}
	}
	settle := func() error {
		for len(ready) > 0 {
			base := ready[len(ready)-1]
			ready = ready[:len(ready)-1]
			id := base.ownID
			if id == "" {
				id = objectID(base.kind, base.data)
			}
			dependents := append(byOffset[base.offset], byID[id]...)
			delete(byOffset, base.offset)
			delete(byID, id)
			for _, e := range dependents {
				data, err := patch(base.data, e.data, &budget)
				if err != nil {
					return fmt.Errorf("%w: %w", errPack, err)
				}
				e.object = object{kind: base.kind, data: data}
				ready = append(ready, e)
			}
		}
		return nil
	}
	if err := settle(); err != nil {
		return nil, err
	}
	// What is left leans on objects that the pack does not hold.
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		if base, ok := outside(id); ok && len(byID[id]) > 0 {
			ready = append(ready, &packed{object: base, offset: -1, ownID: id})
			if err := settle(); err != nil {
				return nil, err
			}
		}
	}
	objects := make([]object, len(entries))
	for i, e := range entries {
		if e.kind == "" {
			return nil, fmt.Errorf("%w: a delta's base is nowhere", errPack)
		}
		objects[i] = e.object
	}
	return objects, nil
}

// patch applies a delta to its base.
func patch(base, delta []byte, budget *int64) ([]byte, error) {
	bad := errors.New("bad delta")
	r := bytes.NewReader(delta)
	from, errFrom := readVarint(r)
	to, errTo := readVarint(r)
	if errFrom != nil || errTo != nil || from != int64(len(base)) {
		return nil, bad
	}
	if *budget -= to; *budget < 0 {
		return nil, errors.New("too large")
	}
	out := make([]byte, 0, min(to, 1<<20))
	for r.Len() > 0 {
		op, _ := r.ReadByte() // Len says that there is one
		if op&0x80 == 0 {
			n := int(op)
			at := len(delta) - r.Len()
			if n == 0 || n > r.Len() {
				return nil, bad
			}
			out = append(out, delta[at:at+n]...)
			_, _ = r.Seek(int64(n), io.SeekCurrent)
		} else {
			offset, size, err := readCopy(r, op)
			if err != nil || offset+size > int64(len(base)) {
				return nil, bad
			}
			out = append(out, base[offset:offset+size]...)
		}
		if int64(len(out)) > to {
			return nil, bad
		}
	}
	if int64(len(out)) != to {
		return nil, bad
	}
	return out, nil
}

// readCopy reads the operands of a copy instruction: the bits of op say which
// bytes of offset (4) and size (3) are there.
func readCopy(r io.ByteReader, op byte) (offset, size int64, err error) {
	var n [7]byte
	for i := range n {
		if op&(1<<i) != 0 {
			if n[i], err = r.ReadByte(); err != nil {
				return 0, 0, err
			}
		}
	}
	offset = int64(binary.LittleEndian.Uint32(n[:4]))
	size = int64(n[4]) | int64(n[5])<<8 | int64(n[6])<<16
	if size == 0 {
		size = 0x10000
	}
	return offset, size, nil
}

// A compressor is large, and a simulation writes very many small packs.
var compressors = sync.Pool{New: func() any {
	w, _ := zlib.NewWriterLevel(io.Discard, zlib.BestSpeed) // fails only for an unknown level
	return w
}}

// writePack encodes objects without deltas.
func writePack(objects []object) []byte {
	var out bytes.Buffer
	out.WriteString("PACK")
	out.Write(binary.BigEndian.AppendUint32(nil, 2))
	out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(objects)))) // #nosec G115 -- objects are in memory
	z := compressors.Get().(*zlib.Writer)
	defer compressors.Put(z)
	for _, o := range objects {
		size := len(o.data)
		b := kindCode(o.kind)<<4 | byte(size&15)
		for size >>= 4; size > 0; size >>= 7 {
			out.WriteByte(b | 0x80)
			b = byte(size & 0x7f)
		}
		out.WriteByte(b)
		z.Reset(&out)
		_, _ = z.Write(o.data) // a buffer takes everything
		_ = z.Close()
	}
	sum := sha1.Sum(out.Bytes()) // #nosec G401 -- a packfile ends in a SHA-1
	out.Write(sum[:])
	return out.Bytes()
}
