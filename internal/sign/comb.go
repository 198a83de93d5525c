package sign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"sync"

	"filippo.io/edwards25519"
	fp "filippo.io/edwards25519/field"
)

// VerifyEd25519 reports what crypto/ed25519 reports of a signature, and takes
// a quarter of the time for a key that has signed much: an auditor checks a
// hundred thousand signatures by one key. The equation is the standard library's
// (RFC 8032 without the cofactor: the encoding of s·B − k·A must be R's bytes), so
// that the two accept the same signatures, odd ones too; only the two products
// are computed from tables of the key's and the generator's multiples. A key of
// another size verifies nothing.
func VerifyEd25519(key ed25519.PublicKey, message, signature []byte) bool {
	if len(key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize {
		return false
	}
	if t := often.tables([ed25519.PublicKeySize]byte(key)); t != nil {
		return t.verify(message, signature)
	}
	return ed25519.Verify(key, message, signature)
}

const (
	// worthwhile is after how many signatures a key gets tables: making them
	// takes as long as checking so many, and 1 MB.
	worthwhile = 64
	// maxTables is how many keys have tables, maxCounted how many are counted;
	// the counts are forgotten when they are full.
	maxTables  = 8
	maxCounted = 1024
)

// multiples are 0 to 255 times 2 to the power of 8i times a point, so that a
// product with any scalar is a sum of 32 of them.
type multiples [32][256]addend

// addend is a point (x, y) in the form in which it is added fastest: y+x, y−x and
// 2dxy.
type addend struct{ plus, minus, xy2d fp.Element }

// twiceD is 2d of the curve −x² + y² = 1 + dx²y², where d is −121665/121666.
var twiceD = sync.OnceValue(func() *fp.Element {
	d := new(fp.Element).Mult32(new(fp.Element).One(), 121666)
	d.Mult32(d.Invert(d), 121665)
	d.Negate(d)
	return d.Add(d, d)
})

func newMultiples(p *edwards25519.Point) *multiples {
	points := make([]edwards25519.Point, 0, 32*256)
	unit := new(edwards25519.Point).Set(p)
	for range 32 {
		points = append(points, *edwards25519.NewIdentityPoint())
		for range 255 {
			next := new(edwards25519.Point).Add(&points[len(points)-1], unit)
			points = append(points, *next)
		}
		unit.Add(&points[len(points)-1], unit)
	}
	// One inversion serves all: each is that of a product by the rest of it.
	t := new(multiples)
	products := make([]fp.Element, len(points))
	product := new(fp.Element).One()
	for i := range points {
		products[i].Set(product)
		_, _, z, _ := points[i].ExtendedCoordinates()
		product.Multiply(product, z)
	}
	product.Invert(product)
	for i := len(points) - 1; i >= 0; i-- {
		x, y, z, _ := points[i].ExtendedCoordinates()
		inverse := products[i].Multiply(&products[i], product)
		product.Multiply(product, z)
		x.Multiply(x, inverse)
		y.Multiply(y, inverse)
		a := &t[i/256][i%256]
		a.plus.Add(y, x)
		a.minus.Subtract(y, x)
		a.xy2d.Multiply(a.xy2d.Multiply(x, y), twiceD())
	}
	return t
}

// sum is a point in extended coordinates: x = X/Z, y = Y/Z, xy = T/Z.
type sum struct{ x, y, z, t fp.Element }

// add adds a product to a sum.
func (t *multiples) add(s *sum, by *edwards25519.Scalar) {
	for i, b := range by.Bytes() {
		if b != 0 {
			s.add(&t[i][b])
		}
	}
}

// add is the addition of Hisil, Wong, Carter and Dawson ("Twisted Edwards Curves
// Revisited", 3.1) where the other Z is 1. It holds for any two points.
func (s *sum) add(o *addend) {
	var a, b, c, d, e, f, g, h fp.Element
	a.Multiply(a.Subtract(&s.y, &s.x), &o.minus)
	b.Multiply(b.Add(&s.y, &s.x), &o.plus)
	c.Multiply(&s.t, &o.xy2d)
	d.Add(&s.z, &s.z)
	e.Subtract(&b, &a)
	f.Subtract(&d, &c)
	g.Add(&d, &c)
	h.Add(&b, &a)
	s.x.Multiply(&e, &f)
	s.y.Multiply(&g, &h)
	s.t.Multiply(&e, &h)
	s.z.Multiply(&f, &g)
}

// bytes is the point's encoding: y, and the sign of x in the highest bit.
func (s *sum) bytes() []byte {
	var x, y, inverse fp.Element
	inverse.Invert(&s.z)
	x.Multiply(&s.x, &inverse)
	out := y.Multiply(&s.y, &inverse).Bytes()
	out[31] |= byte(x.IsNegative() << 7) //nolint:gosec // 0 or 1
	return out
}

var generator = sync.OnceValue(func() *multiples { return newMultiples(edwards25519.NewGeneratorPoint()) })

// keyTables are a key's public bytes and the multiples of its negative.
type keyTables struct {
	key      [ed25519.PublicKeySize]byte
	negative *multiples
}

// verify checks a signature of 64 bytes. Nothing here is secret, so it may take
// more or less time.
func (k *keyTables) verify(message, signature []byte) bool {
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(signature[32:])
	if err != nil {
		return false
	}
	h := sha512.New()
	h.Write(signature[:32])
	h.Write(k.key[:])
	h.Write(message)
	var digest [sha512.Size]byte
	challenge, err := new(edwards25519.Scalar).SetUniformBytes(h.Sum(digest[:0]))
	if err != nil {
		return false
	}
	var r sum // the neutral point
	r.y.One()
	r.z.One()
	k.negative.add(&r, challenge)
	generator().add(&r, s)
	return bytes.Equal(r.bytes(), signature[:32])
}

// tableCache counts what keys verify, and keeps the tables of those that do it
// often.
type tableCache struct {
	mu     sync.Mutex
	counts map[[ed25519.PublicKeySize]byte]int
	made   []*keyTables
}

var often tableCache

// tables are a key's, or nil while it has verified little.
func (c *tableCache) tables(key [ed25519.PublicKeySize]byte) *keyTables {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.made {
		if k.key == key {
			return k
		}
	}
	if len(c.made) >= maxTables {
		return nil
	}
	if c.counts == nil || len(c.counts) >= maxCounted {
		c.counts = map[[ed25519.PublicKeySize]byte]int{}
	}
	if c.counts[key]++; c.counts[key] < worthwhile {
		return nil
	}
	point, err := new(edwards25519.Point).SetBytes(key[:])
	if err != nil {
		return nil // no point: the standard library says so each time
	}
	k := &keyTables{key, newMultiples(point.Negate(point))}
	c.made = append(c.made, k)
	return k
}
