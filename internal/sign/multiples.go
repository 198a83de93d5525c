package sign

import (
	"encoding/binary"
	"math/bits"
	"sync"

	"filippo.io/edwards25519"
	fp "filippo.io/edwards25519/field"
)

// A scalar below the group's order has places digits of digitBits bits, from
// −half to half: the sum of digit i times 2 to the power of digitBits·i.
const (
	digitBits = 11
	places    = 23
	half      = 1 << (digitBits - 1)
)

type digits [places]int16

// digitsOf takes a scalar apart. Half is added to each place but the highest and
// taken off its digit again; the highest is at most half, for the order is below
// 2²⁵² + 2¹²⁵.
func digitsOf(scalar *edwards25519.Scalar) (d digits) {
	var v [5]uint64 // one more than the bits need, to look at two at once
	var carry uint64
	text := scalar.Bytes()
	for i, h := range halves {
		v[i], carry = bits.Add64(binary.LittleEndian.Uint64(text[8*i:]), h, carry)
	}
	for i := range d {
		at := i * digitBits
		digit := v[at/64]>>(at%64) | v[at/64+1]<<(64-at%64)
		d[i] = int16(digit%(2*half)) - half //nolint:gosec // below 2·half
	}
	d[places-1] += half
	return d
}

// halves is half at each place but the highest.
var halves = func() (v [4]uint64) {
	for i := range places - 1 {
		at := i*digitBits + digitBits - 1
		v[at/64] |= 1 << (at % 64)
	}
	return v
}()

// multiples are 1 to half times 2 to the power of digitBits·i times a point, so
// that a product with any scalar is a sum of places of them.
type multiples [places][half]addend

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

var generator = sync.OnceValue(func() *multiples { return newMultiples(edwards25519.NewGeneratorPoint()) })

func newMultiples(p *edwards25519.Point) *multiples {
	t := new(multiples)
	next, row := make([]sum, 1), make([]sum, half)
	next[0] = sumOf(p)
	for i := range t {
		normalise(next)
		unit := next[0].addend()
		row[0] = next[0]
		for n := 1; n < half; n++ {
			row[n] = row[n-1]
			row[n].add(&unit, false)
		}
		normalise(row)
		for n := range row {
			t[i][n] = row[n].addend()
		}
		next[0] = row[half-1]
		next[0].add(&t[i][half-1], false)
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

// addProduct adds a product of the point whose multiples t has.
func (s *sum) addProduct(t *multiples, by *digits) {
	for i, d := range by {
		if d != 0 {
			s.add(&t[i][max(d, -d)-1], d < 0)
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
