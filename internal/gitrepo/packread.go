package gitrepo

import (
	"bytes"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// packLimits bound one pack.
type packLimits struct {
	objects  int
	inflated int64
}

// delta is an object of a pack that is stored as a difference.
type delta struct {
	offset     int64
	baseOffset int64 // of an object in this pack, or
	base       id    // of any object
	data       []byte
}

// packReader unpacks one pack held in memory.
type packReader struct {
	limits   packLimits
	objects  map[id]object
	byOffset map[int64]id
	deltas   []delta
	inflated int64
}

// scanPack reads a pack's entries and checks its checksum; deltas stay
// unresolved.
func scanPack(pack []byte, limits packLimits) (*packReader, error) {
	p := &packReader{limits: limits, objects: map[id]object{}, byOffset: map[int64]id{}}
	scanner := packfile.NewScanner(bytes.NewReader(pack))
	_, count, err := scanner.Header()
	if err != nil {
		return nil, packError(err)
	}
	if int64(count) > int64(limits.objects) {
		return nil, fmt.Errorf("%w: a pack of %d objects, where %d are taken", ErrTooLarge, count, limits.objects)
	}
	for range count {
		if err := p.scanEntry(scanner); err != nil {
			return nil, err
		}
	}
	if _, err := scanner.Checksum(); err != nil {
		return nil, packError(err)
	}
	return p, nil
}

// scanEntry reads one entry.
func (p *packReader) scanEntry(scanner *packfile.Scanner) error {
	header, err := scanner.NextObjectHeader()
	if err != nil {
		return packError(err)
	}
	if err := p.grow(header.Length); err != nil {
		return err
	}
	var content bytes.Buffer
	content.Grow(int(min(header.Length, 1<<20)))
	n, _, err := scanner.NextObject(&content)
	if err != nil {
		return packError(err)
	}
	if n != header.Length {
		return fmt.Errorf("%w: a pack's object has another size than it says", ErrProtocol)
	}
	data := content.Bytes()
	switch header.Type {
	case plumbing.OFSDeltaObject:
		p.deltas = append(p.deltas, delta{offset: header.Offset, baseOffset: header.OffsetReference, data: data})
	case plumbing.REFDeltaObject:
		p.deltas = append(p.deltas, delta{offset: header.Offset, base: header.Reference, data: data})
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
		p.add(header.Offset, newObject(header.Type, data))
	default:
		return fmt.Errorf("%w: a pack holds an object of type %d", ErrProtocol, header.Type)
	}
	return nil
}

// grow counts bytes against the limit before they are read.
func (p *packReader) grow(n int64) error {
	if n < 0 || n > p.limits.inflated-p.inflated {
		return fmt.Errorf("%w: a pack inflates to more than %d bytes", ErrTooLarge, p.limits.inflated)
	}
	p.inflated += n
	return nil
}

func (p *packReader) add(offset int64, o object) {
	p.objects[o.id] = o
	p.byOffset[offset] = o.id
}

// resolve applies the deltas whose bases are in the pack or found by lookup.
// What it returns are the bases that are in neither; with none the pack is
// complete.
func (p *packReader) resolve(lookup func(id) (object, bool)) ([]id, error) {
	for len(p.deltas) > 0 {
		var left []delta
		missing := map[id]bool{}
		for _, d := range p.deltas {
			base, ok := p.base(d, lookup)
			if !ok {
				left = append(left, d)
				if d.baseOffset == 0 {
					missing[d.base] = true
				}
				continue
			}
			if err := p.apply(d, base); err != nil {
				return nil, err
			}
		}
		if len(left) < len(p.deltas) {
			p.deltas = left
			continue
		}
		var bases []id
		for b := range missing {
			bases = append(bases, b)
		}
		if len(bases) == 0 {
			return nil, fmt.Errorf("%w: a pack's delta has no base", ErrProtocol)
		}
		return bases, nil
	}
	return nil, nil
}

// base finds a delta's base.
func (p *packReader) base(d delta, lookup func(id) (object, bool)) (object, bool) {
	i := d.base
	if d.baseOffset != 0 {
		var ok bool
		if i, ok = p.byOffset[d.baseOffset]; !ok {
			return object{}, false
		}
	}
	if o, ok := p.objects[i]; ok {
		return o, true
	}
	if lookup == nil {
		return object{}, false
	}
	return lookup(i)
}

// apply makes the object that d describes.
func (p *packReader) apply(d delta, base object) error {
	size, ok := deltaTarget(d.data)
	if !ok {
		return fmt.Errorf("%w: a pack's delta is damaged", ErrProtocol)
	}
	if err := p.grow(size); err != nil {
		return err
	}
	data, err := packfile.PatchDelta(base.data, d.data)
	if err != nil {
		return packError(err)
	}
	p.add(d.offset, newObject(base.kind, data))
	return nil
}

// deltaTarget reads the size of what a delta makes: the second of the two
// variable-length numbers it starts with.
func deltaTarget(data []byte) (int64, bool) {
	var size int64
	for range 2 {
		size = 0
		for shift := 0; ; shift += 7 {
			if len(data) == 0 || shift > 49 {
				return 0, false
			}
			b := data[0]
			data = data[1:]
			size |= int64(b&0x7f) << shift
			if b < 0x80 {
				break
			}
		}
	}
	return size, true
}

// packError makes any complaint of the library ours.
func packError(err error) error {
	return fmt.Errorf("%w: pack: %s", ErrProtocol, printable(err.Error(), 200))
}
