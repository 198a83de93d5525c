package gitrepo

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1" // #nosec G505 -- the pack format's checksum
	"encoding/binary"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// packEntry is an object to pack, with the object it may be told against.
type packEntry struct {
	object
	base *object
}

// encodePack writes entries as one pack. An entry goes out as a difference to
// its base (which the server must have) where that is smaller.
func encodePack(entries []packEntry) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("PACK")
	b.Write(binary.BigEndian.AppendUint32(nil, packfile.VersionSupported))
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(entries)))) // #nosec G115 -- bounded by what may be pending
	var z deflater
	for _, e := range entries {
		if err := z.encodeEntry(&b, e); err != nil {
			return nil, fmt.Errorf("pack %s: %w", e.id, err)
		}
	}
	sum := sha1.Sum(b.Bytes()) // #nosec G401 -- the pack format's checksum
	b.Write(sum[:])
	return b.Bytes(), nil
}

// encodeEntry writes one object.
func (z *deflater) encodeEntry(b *bytes.Buffer, e packEntry) error {
	diff := difference(e)
	var small, whole []byte
	var err error
	if diff != nil {
		if small, err = z.deflate(diff); err != nil {
			return err
		}
	}
	// A difference below a tenth of the object needs no comparing.
	if diff == nil || len(small)+len(id{}) >= len(e.data)/10 {
		if whole, err = z.deflate(e.data); err != nil {
			return err
		}
	}
	if diff != nil && (whole == nil || len(small)+len(id{}) < len(whole)) {
		writeEntryHeader(b, plumbing.REFDeltaObject, len(diff))
		b.Write(e.base.id[:])
		b.Write(small)
		return nil
	}
	writeEntryHeader(b, e.kind, len(e.data))
	b.Write(whole)
	return nil
}

// difference tells e against its base; nil if it has none, or if the library's
// own reader doesn't get the object back.
func difference(e packEntry) []byte {
	if e.base == nil || e.base.kind != e.kind || len(e.base.data) == 0 || len(e.data) == 0 {
		return nil
	}
	diff := packfile.DiffDelta(e.base.data, e.data)
	if back, err := packfile.PatchDelta(e.base.data, diff); err != nil || !bytes.Equal(back, e.data) {
		return nil
	}
	return diff
}

// writeEntryHeader writes type and inflated size: four bits of the size in the
// first byte, then seven each.
func writeEntryHeader(b *bytes.Buffer, kind plumbing.ObjectType, size int) {
	head := byte(kind)<<4 | byte(size&0x0f)
	for size >>= 4; size > 0; size >>= 7 {
		b.WriteByte(head | 0x80)
		head = byte(size & 0x7f)
	}
	b.WriteByte(head)
}

// deflater compresses objects one after the other with one compressor: a new
// one takes about a megabyte, and most objects are small. The zero value is
// ready.
type deflater struct{ w *zlib.Writer }

func (z *deflater) deflate(data []byte) ([]byte, error) {
	var b bytes.Buffer
	if z.w == nil {
		z.w = zlib.NewWriter(&b)
	} else {
		z.w.Reset(&b)
	}
	if _, err := z.w.Write(data); err != nil {
		return nil, err
	}
	if err := z.w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
