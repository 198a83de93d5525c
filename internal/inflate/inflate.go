package inflate

import (
	"encoding/binary"
	"errors"
	"hash/adler32"
	"io"
)

// What is wrong with a stream. One that ends before it is complete is
// io.ErrUnexpectedEOF: more input may help there, and only there.
var (
	ErrHeader   = errors.New("no zlib header")
	ErrCorrupt  = errors.New("the deflated data is damaged")
	ErrLength   = errors.New("it does not unpack to as many bytes as it should")
	ErrChecksum = errors.New("what it unpacks to does not have its checksum")
)

// Decoder unpacks streams, one after the other. Its zero value is ready.
type Decoder struct {
	// dst and src are those of the stream at hand, out and pos how far they are
	// written and read. pos counts on behind the end of src, where zeros are read.
	dst, src []byte
	out, pos int
	// acc are bits that were read and not used yet, the next one lowest, and nacc
	// how many; what stands above those is what src has there, or zero.
	acc  uint64
	nacc uint

	pre, lits, dists code
	preTable         [1 << preBits]uint32
	litTable         [litSize]uint32
	distTable        [distSize]uint32
}

// Zlib unpacks the stream that src begins with: exactly len(dst) bytes. It returns
// how many bytes of src the stream takes. What dst holds after an error is of no
// meaning.
func (d *Decoder) Zlib(dst, src []byte) (int, error) {
	if len(src) < 2 {
		return 0, io.ErrUnexpectedEOF
	}
	// Deflate with a window of at most 32 KiB, and no preset dictionary.
	if head := binary.BigEndian.Uint16(src); head>>8&15 != 8 || head>>12 > 7 || head%31 != 0 || head&0x20 != 0 {
		return 0, ErrHeader
	}
	d.dst, d.src, d.out, d.pos, d.acc, d.nacc = dst, src, 0, 2, 0, 0
	err := d.blocks()
	end := d.align()
	d.dst, d.src = nil, nil
	switch {
	case end > len(src) || err == nil && end+4 > len(src):
		return 0, io.ErrUnexpectedEOF
	case err != nil:
		return 0, err
	case d.out != len(dst):
		return 0, ErrLength
	case binary.BigEndian.Uint32(src[end:]) != adler32.Checksum(dst):
		return 0, ErrChecksum
	}
	return end + 4, nil
}

// blocks unpacks blocks up to the last one.
func (d *Decoder) blocks() error {
	for {
		d.refill()
		if d.past() {
			return io.ErrUnexpectedEOF
		}
		last, kind := d.take(1), d.take(2)
		var err error
		switch kind {
		case 0:
			err = d.stored()
		case 1:
			f := fixed()
			err = d.codes(&f.litTable, &f.distTable)
		case 2:
			err = d.dynamic()
		default:
			err = ErrCorrupt
		}
		if err != nil || last == 1 {
			return err
		}
	}
}

// refill makes sure that at least 56 bits can be taken.
func (d *Decoder) refill() {
	if len(d.src)-d.pos >= 8 {
		d.acc, d.nacc, d.pos = refill(d.src, d.acc, d.nacc, d.pos)
	} else {
		d.acc, d.nacc, d.pos = refillSlowly(d.src, d.acc, d.nacc, d.pos)
	}
}

// refill is a Decoder's refill on what it holds, where src has 8 bytes left.
func refill(src []byte, acc uint64, nacc uint, pos int) (uint64, uint, int) {
	return acc | binary.LittleEndian.Uint64(src[pos:])<<(nacc&63), nacc | 56, pos + int((63-nacc)>>3)
}

// refillSlowly is refill near to the end of src, and behind it.
//
//go:noinline
func refillSlowly(src []byte, acc uint64, nacc uint, pos int) (uint64, uint, int) {
	for ; nacc < 56; nacc += 8 {
		if pos < len(src) {
			acc |= uint64(src[pos]) << (nacc & 63)
		}
		pos++
	}
	return acc, nacc, pos
}

// take takes n of the bits that refill made sure of.
func (d *Decoder) take(n uint) uint {
	v := uint(d.acc) & (1<<n - 1)
	d.acc >>= n
	d.nacc -= n
	return v
}

// align is where in src the first byte stands of which no bit was taken.
func (d *Decoder) align() int { return d.pos - int(d.nacc>>3) }

// past reports whether bits were taken that stand behind the end of src.
func (d *Decoder) past() bool { return d.align() > len(d.src) }

// stored unpacks a block that is not packed.
func (d *Decoder) stored() error {
	at := d.align()
	if at+4 > len(d.src) {
		return io.ErrUnexpectedEOF
	}
	n := int(binary.LittleEndian.Uint16(d.src[at:]))
	if n != int(^binary.LittleEndian.Uint16(d.src[at+2:])) {
		return ErrCorrupt
	}
	at += 4
	if n > len(d.dst)-d.out {
		return ErrLength
	}
	if n > len(d.src)-at {
		return io.ErrUnexpectedEOF
	}
	d.out += copy(d.dst[d.out:], d.src[at:at+n])
	d.pos, d.acc, d.nacc = at+n, 0, 0
	return nil
}

// dynamic unpacks a block that brings its own codes.
func (d *Decoder) dynamic() error {
	nlit, ndist, npre := 257+int(d.take(5)), 1+int(d.take(5)), 4+int(d.take(4))
	if nlit > maxLits || ndist > maxDists {
		return ErrCorrupt
	}
	var lengths [len(preOrder)]uint8
	for i, symbol := range preOrder[:npre] {
		if i%16 == 0 {
			d.refill()
		}
		lengths[symbol] = uint8(d.take(3))
	}
	d.pre.count = [maxCode + 1]uint16{}
	for symbol, n := range lengths {
		d.pre.add(uint16(symbol), n)
	}
	if !d.pre.build(d.preTable[:], preBits, &preEntries) {
		return ErrCorrupt
	}
	if err := d.codeLengths(nlit, ndist); err != nil {
		return err
	}
	if !d.lits.build(d.litTable[:], litBits, &litEntries) || !d.dists.build(d.distTable[:], distBits, &distEntries) {
		return ErrCorrupt
	}
	return d.codes(&d.litTable, &d.distTable)
}

// preOrder is the order in which a block gives the lengths of its first code.
var preOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// codeLengths reads the lengths of both codes, which are coded as one list.
func (d *Decoder) codeLengths(nlit, ndist int) error {
	d.lits.count, d.dists.count = [maxCode + 1]uint16{}, [maxCode + 1]uint16{}
	var last uint8
	for i := 0; i < nlit+ndist; {
		if d.nacc < 14 {
			if d.refill(); d.past() {
				return io.ErrUnexpectedEOF
			}
		}
		e := d.preTable[d.acc&(1<<preBits-1)]
		d.take(uint(e & takesMask))
		if e&special != 0 {
			return ErrCorrupt
		}
		again := 1
		switch symbol := uint8(e >> valueShift); symbol {
		default:
			last = symbol
		case 16:
			if i == 0 {
				return ErrCorrupt
			}
			again = 3 + int(d.take(2))
		case 17:
			last, again = 0, 3+int(d.take(3))
		case 18:
			last, again = 0, 11+int(d.take(7))
		}
		if again > nlit+ndist-i {
			return ErrCorrupt
		}
		to := i + again
		if last == 0 {
			i = to
		}
		for ; i < to; i++ {
			if i < nlit {
				d.lits.add(uint16(i), last)
			} else {
				d.dists.add(uint16(i-nlit), last)
			}
		}
	}
	return nil
}

// codes unpacks what a block's two codes stand for, up to its end.
func (d *Decoder) codes(lit *[litSize]uint32, dist *[distSize]uint32) (err error) {
	src, dst := d.src, d.dst
	acc, nacc, pos, out := d.acc, d.nacc, d.pos, d.out
next:
	for {
		// Behind the end of src there are zeros, as many as dst has room for what they
		// may stand for: whoever calls finds that they were taken.
		if len(src)-pos >= 8 {
			acc, nacc, pos = refill(src, acc, nacc, pos)
		} else {
			acc, nacc, pos = refillSlowly(src, acc, nacc, pos)
		}
		e := lit[acc&(1<<litBits-1)]
		for n := 1; e&literal != 0 && out < len(dst); n++ {
			acc >>= e & takesMask
			nacc -= uint(e & takesMask)
			dst[out] = byte(e >> valueShift)
			out++
			e = lit[acc&(1<<litBits-1)]
			if n == literalsAtOnce {
				continue next
			}
		}
		if nacc < maxCode+5+maxCode+13 { // a length and its distance, with their extra bits
			if len(src)-pos >= 8 {
				acc, nacc, pos = refill(src, acc, nacc, pos)
			} else {
				acc, nacc, pos = refillSlowly(src, acc, nacc, pos)
			}
		}
		if e&subtable != 0 {
			acc >>= litBits
			nacc -= litBits
			e = lit[within(e, acc)&(litSize-1)]
		}
		length := value(e, acc)
		acc >>= e & takesMask
		nacc -= uint(e & takesMask)
		if e&(literal|special) != 0 {
			if e&literal == 0 {
				if e&endMark == 0 {
					err = ErrCorrupt
				}
				break
			}
			if out >= len(dst) {
				err = ErrLength
				break
			}
			dst[out] = byte(e >> valueShift)
			out++
			continue
		}
		e = dist[acc&(1<<distBits-1)]
		if e&subtable != 0 {
			acc >>= distBits
			nacc -= distBits
			e = dist[within(e, acc)&(distSize-1)]
		}
		back := value(e, acc)
		acc >>= e & takesMask
		nacc -= uint(e & takesMask)
		if e&special != 0 || back > out {
			err = ErrCorrupt
			break
		}
		if length > len(dst)-out {
			err = ErrLength
			break
		}
		if back >= 8 && length <= 16 && len(dst)-out >= 16 {
			binary.LittleEndian.PutUint64(dst[out:], binary.LittleEndian.Uint64(dst[out-back:]))
			binary.LittleEndian.PutUint64(dst[out+8:], binary.LittleEndian.Uint64(dst[out+8-back:]))
		} else {
			repeat(dst, out, back, length)
		}
		out += length
	}
	d.acc, d.nacc, d.pos, d.out = acc, nacc, pos, out
	return err
}

// literalsAtOnce is how many literals can be taken after a refill, of those that stand
// in the table itself.
const literalsAtOnce = 56 / litBits

// repeat writes length bytes at an offset of dst that stand back bytes before, and
// may reach into what is written.
func repeat(dst []byte, at, back, length int) {
	if back >= length {
		copy(dst[at:at+length], dst[at-back:])
		return
	}
	to := dst[at-back : at+length]
	for i := back; i < len(to); i++ {
		to[i] = to[i-back]
	}
}
