package bundle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" // #nosec G505 -- the pack format's checksum
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/klauspost/compress/zlib"

	"github.com/rungbot/rung/internal/audit"
)

const (
	// maxChain is how many differences may stand on each other.
	maxChain = 50
	// maxDelta is the largest object that is told as a difference, in bytes.
	maxDelta = 1 << 20
)

// source is where objects are read; *audit.Clone is one.
type source interface {
	Object(id audit.ObjectID) (kind string, data []byte, err error)
}

// packer writes objects as one pack, in the order in which they come.
type packer struct {
	from source
	to   *bufio.Writer
	sum  hash.Hash
	at   int64 // how much is written
	z    *zlib.Writer
	// placed are the objects that are written already.
	placed map[audit.ObjectID]placed
}

type placed struct {
	at    int64
	chain int
	kind  plumbing.ObjectType
}

// writePack writes objects to w as a pack that stock git reads.
func writePack(ctx context.Context, w io.Writer, from source, list []audit.Reached) error {
	p := &packer{from: from, sum: sha1.New(), placed: make(map[audit.ObjectID]placed, len(list))} // #nosec G401 -- the pack format's checksum
	p.to = bufio.NewWriterSize(io.MultiWriter(w, p.sum), 1<<16)
	p.z = zlib.NewWriter(io.Discard)
	head := binary.BigEndian.AppendUint32([]byte("PACK"), packfile.VersionSupported)
	head = binary.BigEndian.AppendUint32(head, uint32(len(list))) // #nosec G115 -- audit bounds the number of objects
	if err := p.write(head); err != nil {
		return err
	}
	for _, o := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.object(o); err != nil {
			return fmt.Errorf("pack %s: %w", o.ID, err)
		}
	}
	if err := p.to.Flush(); err != nil {
		return err
	}
	_, err := w.Write(p.sum.Sum(nil))
	return err
}

func (p *packer) write(data []byte) error {
	n, err := p.to.Write(data)
	p.at += int64(n)
	return err
}

// object writes an object whole, or as a difference to its base where that is
// smaller.
func (p *packer) object(o audit.Reached) error {
	name, data, err := p.from.Object(o.ID)
	if err != nil {
		return err
	}
	kind, err := plumbing.ParseObjectType(name)
	if err != nil {
		return err
	}
	var diff, small, whole []byte
	base, there := p.placed[o.Base]
	if there && base.kind == kind && base.chain < maxChain && len(data) > 0 && len(data) <= maxDelta {
		if diff, err = p.difference(o.Base, data); err != nil {
			return err
		}
		if small, err = p.deflate(diff); err != nil {
			return err
		}
	}
	// A difference below a tenth of the object needs no comparing.
	if diff == nil || len(small) >= len(data)/10 {
		if whole, err = p.deflate(data); err != nil {
			return err
		}
	}
	here := placed{at: p.at, kind: kind}
	if diff != nil && (whole == nil || len(small)+8 < len(whole)) {
		here.chain = base.chain + 1
		p.placed[o.ID] = here
		return p.entry(plumbing.OFSDeltaObject, len(diff), offset(p.at-base.at), small)
	}
	p.placed[o.ID] = here
	return p.entry(kind, len(data), nil, whole)
}

// difference tells data against a base; nil if the library's own reader does not
// get it back.
func (p *packer) difference(base audit.ObjectID, data []byte) ([]byte, error) {
	_, old, err := p.from.Object(base)
	if err != nil || len(old) == 0 || len(old) > maxDelta {
		return nil, err
	}
	diff := packfile.DiffDelta(old, data)
	back, wrong := packfile.PatchDelta(old, diff)
	if wrong != nil || !bytes.Equal(back, data) {
		diff = nil
	}
	return diff, nil
}

func (p *packer) entry(kind plumbing.ObjectType, size int, base, body []byte) error {
	head := []byte{byte(kind)<<4 | byte(size&0x0f)} // #nosec G115 -- three bits and four
	for size >>= 4; size > 0; size >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(size&0x7f)) // #nosec G115 -- seven bits
	}
	for _, part := range [][]byte{head, base, body} {
		if err := p.write(part); err != nil {
			return err
		}
	}
	return nil
}

// offset is how far back a base stands, as packs write it: seven bits a byte, each
// continued one less one.
func offset(n int64) []byte {
	out := []byte{byte(n & 0x7f)} // #nosec G115 -- seven bits
	for n >>= 7; n > 0; n >>= 7 {
		n--
		out = append([]byte{byte(n&0x7f) | 0x80}, out...) // #nosec G115 -- seven bits
	}
	return out
}

func (p *packer) deflate(data []byte) ([]byte, error) {
	var b buffer
	p.z.Reset(&b)
	if _, err := p.z.Write(data); err != nil {
		return nil, err
	}
	err := p.z.Close()
	return b, err
}

// buffer collects what is written to it.
type buffer []byte

// Write implements io.Writer.
func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
