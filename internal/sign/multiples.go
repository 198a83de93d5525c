package sign

import (
	"encoding/binary"
	"sync"

	"filippo.io/edwards25519"
	fp "filippo.io/edwards25519/field"
)

// A width is of how many bits the digits are that a scalar is taken apart into: the
// more, the fewer there are, and the larger are the tables.
type width int

const (
	// narrow tables have half a megabyte each and are made in a millisecond; wide ones
	// have 3 and take ten times as long, and a signature takes a fifth less with them.
	narrow width = 8
	wide   width = 11
	// maxPlaces is how many digits a scalar has at most.
	maxPlaces = 32
)

// places is how many digits a scalar below the group's order has, each from −half to
// half: it is the sum of digit i times 2 to the power of w·i.
func (w width) places() int { return (252 + int(w)) / int(w) }
func (w width) half() int   { return 1 << (w - 1) }

type digits [maxPlaces]int16

// digitsOf takes a scalar apart. What is half or more is taken off the next digit; the
// highest is at most half, for the order is below 2²⁵² + 2¹²⁵.
func (w width) digitsOf(scalar *edwards25519.Scalar) (d digits) {
	var v [5]uint64 // one more than the bits need, to look at two at once
	text := scalar.Bytes()
	for i := range 4 {
		v[i] = binary.LittleEndian.Uint64(text[8*i:])
	}
	last, carry := w.places()-1, 0
	for i := range last + 1 {
		at := i * int(w)
		bits := v[at/64]>>(at%64) | v[at/64+1]<<(64-at%64)
		digit := int(bits&(1<<w-1)) + carry //nolint:gosec // below 2·half
		if carry = 0; digit >= w.half() && i < last {
			digit, carry = digit-2*w.half(), 1
		}
		d[i] = int16(digit) //nolint:gosec // of 11 bits
	}
	return d
}

// multiples are, in a row for each place i, 1 to half times 2 to the power of width·i
// times a point, so that a product with any scalar is a sum of one of each row.
type multiples struct {
	width
	rows [][]addend
}

// addend is a point (x, y) in the form in which it is added fastest: y+x, y−x and
// 2dxy.
type addend struct{ plus, minus, xy2d fp.Element }

// sum is a point in extended coordinates: x = X/Z, y = Y/Z, xy = T/Z.
type sum struct{ x, y, z, t fp.Element }

// twiceD is 2d of the curve −x² + y² = 1 + dx²y², where d is −121665/121666.
var twiceD = func() *fp.Element {
	d := new(fp.Element).Mult32(new(fp.Element).One(), 121666)
	d.Mult32(d.Invert(d), 121665)
	d.Negate(d)
	return d.Add(d, d)
}()

// generators are the generator's multiples: both where wide ones were worthwhile.
var generators = map[width]func() *multiples{
	narrow: sync.OnceValue(func() *multiples { return newMultiples(narrow, edwards25519.NewGeneratorPoint()) }),
	wide:   sync.OnceValue(func() *multiples { return newMultiples(wide, edwards25519.NewGeneratorPoint()) }),
}

func newMultiples(w width, p *edwards25519.Point) *multiples {
	half := w.half()
	t := &multiples{w, make([][]addend, w.places())}
	next, row, all := make([]sum, 1), make([]sum, half), make([]addend, w.places()*half)
	next[0] = sumOf(p)
	for i := range t.rows {
		t.rows[i], all = all[:half:half], all[half:]
		normalise(next)
		unit := next[0].addend()
		row[0] = next[0]
		for n := 1; n < half; n++ {
			row[n] = row[n-1]
			row[n].add(&unit, false)
		}
		normalise(row)
		for n := range row {
			t.rows[i][n] = row[n].addend()
		}
		next[0] = row[half-1]
		next[0].add(&t.rows[i][half-1], false)
	}
	return t
}

func sumOf(p *edwards25519.Point) sum {
	x, y, z, t := p.ExtendedCoordinates()
	return sum{*x, *y, *z, *t}
}

// neutral is the sum of nothing.
func neutral() (s sum) {
	s.y.One()
	s.z.One()
	return s
}

// add adds a point or, if negative is set, its negative. It is the addition of
// Hisil, Wong, Carter and Dawson ("Twisted Edwards Curves Revisited", 3.1) where
// the other Z is 1, and holds for any two points.
func (s *sum) add(o *addend, negative bool) {
	plus, minus := &o.plus, &o.minus
	if negative {
		plus, minus = minus, plus
	}
	var e, h fp.Element
	e.Subtract(&s.y, &s.x)
	h.Add(&s.y, &s.x)
	s.x.Multiply(&e, minus)
	s.y.Multiply(&h, plus)
	s.t.Multiply(&s.t, &o.xy2d)
	if negative {
		s.t.Negate(&s.t)
	}
	s.z.Add(&s.z, &s.z)
	e.Subtract(&s.y, &s.x)
	h.Add(&s.y, &s.x)
	s.x.Subtract(&s.z, &s.t)
	s.y.Add(&s.z, &s.t)
	s.z.Multiply(&s.x, &s.y)
	s.t.Multiply(&e, &h)
	s.x.Multiply(&e, &s.x)
	s.y.Multiply(&h, &s.y)
}

// addProduct adds the product of a scalar with the point whose multiples t has.
func (s *sum) addProduct(t *multiples, by *edwards25519.Scalar) {
	digits := t.digitsOf(by)
	for i := range t.rows {
		if d := digits[i]; d != 0 {
			s.add(&t.rows[i][max(d, -d)-1], d < 0)
		}
	}
}

// addend is the point of a normalised sum.
func (s *sum) addend() (a addend) {
	a.plus.Add(&s.y, &s.x)
	a.minus.Subtract(&s.y, &s.x)
	a.xy2d.Multiply(&s.t, twiceD)
	return a
}

// normalise makes every Z 1. One inversion serves all: each is that of a product
// by the rest of it, which stands in T meanwhile.
func normalise(sums []sum) {
	product := new(fp.Element).One()
	for i := range sums {
		sums[i].t.Set(product)
		product.Multiply(product, &sums[i].z)
	}
	product.Invert(product)
	for i := len(sums) - 1; i >= 0; i-- {
		s := &sums[i]
		inverse := s.t.Multiply(&s.t, product)
		product.Multiply(product, &s.z)
		s.x.Multiply(&s.x, inverse)
		s.y.Multiply(&s.y, inverse)
		s.t.Multiply(&s.x, &s.y)
		s.z.One()
	}
}

// bytes is the encoding of a normalised sum: y, and the sign of x in the highest
// bit.
func (s *sum) bytes() (out [32]byte) {
	copy(out[:], s.y.Bytes())
	out[31] |= byte(s.x.IsNegative() << 7) //nolint:gosec // 0 or 1
	return out
}
