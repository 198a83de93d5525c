package inflate

import (
	"math/bits"
	"sync"
)

// A table is indexed by the next bits of the stream, lowest first. A code with fewer
// bits than that stands there once for each way to go on; a longer one goes on in a
// subtable behind the table. An entry holds, from its lowest bit on:
//
//	6 bits   how many bits are taken: the code, and the extra bits behind it
//	2 bits   nothing
//	4 bits   how many of them are the code
//	1 bit    nothing
//	3 bits   flags
//	15 bits  the symbol, or what the extra bits are added to
//	1 bit    a flag
//
// That of a subtable has instead where it begins, and lowest how many bits index it.
const (
	takesMask  = 63
	codeShift  = 8
	valueShift = 16

	endMark  = 1 << 13
	subtable = 1 << 14
	// special is no length and no distance: the end, a subtable, or nothing at all.
	special = 1 << 15
	literal = 1 << 31
)

// value is what an entry stands for, with its extra bits.
func value(e uint32, bits uint64) int {
	return int(e>>valueShift) + int(bits&(1<<(e&takesMask)-1)>>(e>>codeShift&15))
}

// within is where an entry's subtable leads.
func within(e uint32, bits uint64) uint64 {
	return uint64(e>>valueShift) + bits&(1<<(e&takesMask)-1)
}

const (
	maxCode    = 15 // bits of a code
	maxLits    = 286
	maxDists   = 30
	endOfBlock = 256

	// How many bits index the tables, and how large they are with their subtables. A
	// subtable has as many entries as symbols, but where codes of several lengths share
	// one: those are one each of at most 4, 8, 16 and so on, up to 15 bits. That makes
	// at most 1024+286+60 and 256+30+252; powers of two save checks of indices.
	preBits  = 7
	litBits  = 10
	distBits = 8
	litSize  = 2048
	distSize = 1024
)

var (
	preEntries  = plain()
	litEntries  = literals()
	distEntries = distances()
	fixed       = sync.OnceValue(fixedCodes)
)

// plain are entries of the symbols as they are.
func plain() (t [288]uint32) {
	for i := range t {
		t[i] = uint32(i) << valueShift
	}
	return t
}

// literals are the entries of literals, the end and lengths (RFC 1951, 3.2.5).
func literals() (t [288]uint32) {
	for i := range endOfBlock {
		t[i] = literal | uint32(i)<<valueShift
	}
	t[endOfBlock] = special | endMark
	base := uint32(3)
	for i := range uint32(28) {
		extra := max(i>>2, 1) - 1
		t[257+i] = base<<valueShift | extra
		base += 1 << extra
	}
	t[285] = 258 << valueShift
	t[286], t[287] = special, special
	return t
}

// distances are the entries of distances.
func distances() (t [288]uint32) {
	base := uint32(1)
	for i := range uint32(maxDists) {
		extra := max(i>>1, 1) - 1
		t[i] = base<<valueShift | extra
		base += 1 << extra
	}
	for i := maxDists; i < len(t); i++ {
		t[i] = special
	}
	return t
}

// fixedCodes are the tables of the codes that a block need not bring.
func fixedCodes() *Decoder {
	var d Decoder
	for i := range uint16(288) {
		switch {
		case i < 144:
			d.lits.add(i, 8)
		case i < 256:
			d.lits.add(i, 9)
		case i < 280:
			d.lits.add(i, 7)
		default:
			d.lits.add(i, 8)
		}
	}
	for i := range uint16(32) {
		d.dists.add(i, 5)
	}
	d.lits.build(d.litTable[:], litBits, &litEntries)
	d.dists.build(d.distTable[:], distBits, &distEntries)
	return &d
}

// code is a prefix code: how many symbols there are of each length, and which, in
// order. Those of length zero are in no code.
type code struct {
	count   [maxCode + 1]uint16
	symbols [maxCode + 1][288]uint16
}

// add gives the next symbol its length.
func (c *code) add(symbol uint16, length uint8) {
	n := &c.count[length&maxCode]
	c.symbols[length&maxCode][*n] = symbol
	*n++
}

// build fills a table that width bits index. It returns false for what is no code:
// over-subscribed, or incomplete but for one symbol of one bit, or for none.
func (c *code) build(table []uint32, width uint, entries *[288]uint32) bool {
	used, space := 0, 0
	for n := 1; n <= maxCode; n++ {
		used += int(c.count[n])
		space += int(c.count[n]) << (maxCode - n)
	}
	if space == 1<<maxCode {
		c.fill(table, width, entries)
		return true
	}
	for i := range table[:1<<width] {
		table[i] = special | uint32(min(used, 1)) // no bit is needed to see that no code is there
		if used == 1 && i&1 == 0 {
			table[i] = entries[c.symbols[1][0]] + 1<<codeShift + 1
		}
	}
	return used == 0 || used == 1 && c.count[1] == 1
}

// fill fills a table for a complete code.
func (c *code) fill(table []uint32, width uint, entries *[288]uint32) {
	code := uint(0) // the next one, its first bit lowest
	for n := uint(1); n <= width; n++ {
		if n > 1 {
			// Where the next bit decides nothing yet.
			copy(table[1<<(n-1):1<<n], table[:1<<(n-1)])
		}
		for _, symbol := range c.symbols[n][:c.count[n]] {
			table[code] = entries[symbol] + uint32(n<<codeShift+n)
			code = follow(code, n)
		}
	}
	if code == 0 {
		return
	}
	mask := uint(1)<<width - 1
	var at, indexed uint // where the subtable at hand begins, and by how many bits it is indexed
	prefix, free := uint(1)<<width, uint(1)<<width
	for n := width + 1; n <= maxCode; n++ {
		for i, symbol := range c.symbols[n][:c.count[n]] {
			if code&mask != prefix {
				prefix, at, indexed = code&mask, free, n-width
				for room := uint(c.count[n]) - uint(i); room < 1<<indexed; {
					indexed++
					room = room<<1 + uint(c.count[width+indexed])
				}
				free += 1 << indexed
				table[prefix] = uint32(at)<<valueShift | special | subtable | uint32(indexed)
			}
			e := entries[symbol] + uint32((n-width)<<codeShift+(n-width))
			for j := code >> width; j < 1<<indexed; j += 1 << (n - width) {
				table[at+j] = e
			}
			code = follow(code, n)
		}
	}
}

// follow is the code of n bits after one, and 0 after the last.
func follow(code, n uint) uint {
	// The highest bit that is not set is set, and what stands above is not.
	bit := uint(1) << bits.Len(^code&(1<<n-1)) >> 1
	if bit == 0 {
		return 0
	}
	return code&(bit-1) | bit
}
