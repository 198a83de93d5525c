package sign

import (
	"crypto/ed25519"
	"slices"

	"filippo.io/edwards25519"
)

// batchSize is how many claims are checked together: so many that a row of
// multiples serves several of them, and so few that they stay in the cache.
const batchSize = 1024

// Batch verifies many Ed25519 signatures together, at a sixth of the time that
// crypto/ed25519 takes for each when most are by a few keys. Each signature is
// judged by itself and exactly as crypto/ed25519 judges it: s·B − k·A is computed
// and encoded, without a cofactor, and the encoding must be R's bytes. There is no
// linear combination and no chance in it. They are together so that one row of the
// key's or the generator's multiples, which fits into the processor's cache, serves
// all of them before the next is read, and one inversion all points.
//
// The zero value is an empty batch. One goroutine uses a Batch; several batches
// may be used at the same time.
type Batch struct {
	claims []claim
	keys   []claimant
	known  map[[ed25519.PublicKeySize]byte]int
	// broken: a claim that was checked since the last Holds does not hold.
	broken bool

	// What follows is space to work in.
	scratch []byte // what is hashed
	signed  []byte // what an SSH signature is made over
	sums    []sum
	digits  []digits
	next    []int32
	first   []int32
	members []int // claims of one key
	// tabled are claims of keys that have tables, by the width of those.
	tabled map[width][]int
}

// claimant is a key: its public bytes and its point's negative.
type claimant struct {
	key      [ed25519.PublicKeySize]byte
	negative edwards25519.Point
}

// Add adds the claim that a signature of a message is by a key, and keeps nothing
// of the three. False: it does not hold, as is plain at once (a wrong length, s not
// below the group's order, a key that is no point), and it was not added. True says
// nothing about the signature: Holds does. Now and then Add checks what was added.
func (b *Batch) Add(key ed25519.PublicKey, message, signature []byte) bool {
	if len(key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize {
		return false
	}
	n, ok := b.claimant([ed25519.PublicKeySize]byte(key))
	if !ok {
		return false
	}
	if need := 2*32 + len(message); cap(b.scratch) < need {
		b.scratch = make([]byte, 0, 2*need)
	}
	c, ok := newClaim(key, message, signature, b.scratch)
	if !ok {
		return false
	}
	c.key = n
	b.claims = append(b.claims, c)
	if len(b.claims) == batchSize {
		b.check()
	}
	return true
}

// claimant is the place of a key in keys; false for a key that is no point.
func (b *Batch) claimant(key [ed25519.PublicKeySize]byte) (int, bool) {
	if n, ok := b.known[key]; ok {
		return n, true
	}
	k := claimant{key: key}
	if _, err := k.negative.SetBytes(key[:]); err != nil {
		return 0, false
	}
	k.negative.Negate(&k.negative)
	if b.known == nil {
		b.known = map[[ed25519.PublicKeySize]byte]int{}
	}
	b.known[key] = len(b.keys)
	b.keys = append(b.keys, k)
	return len(b.keys) - 1, true
}

// Holds reports whether all claims hold that were added since it was asked last,
// and empties the batch. An empty batch holds. Where it does not hold, VerifyEd25519
// says of each signature whether it is to blame.
func (b *Batch) Holds() bool {
	b.check()
	held := !b.broken
	b.broken = false
	return held
}

// check computes the point of each claim, compares its encoding, and empties the
// batch.
func (b *Batch) check() {
	if b.tabled == nil {
		b.tabled = map[width][]int{}
	}
	b.sums = b.sums[:0]
	for range b.claims {
		b.sums = append(b.sums, neutral())
	}
	for n := range b.keys {
		k := &b.keys[n]
		b.members = b.members[:0]
		for i := range b.claims {
			if b.claims[i].key == n {
				b.members = append(b.members, i)
			}
		}
		if t := tabled.tables(k, len(b.members)); t != nil {
			b.addProducts(t, b.members, func(c *claim) *edwards25519.Scalar { return &c.k })
			b.tabled[t.width] = append(b.tabled[t.width], b.members...)
			continue
		}
		for _, i := range b.members {
			c := &b.claims[i]
			b.sums[i] = sumOf(new(edwards25519.Point).VarTimeDoubleScalarBaseMult(&c.k, &k.negative, &c.s))
		}
	}
	for w, members := range b.tabled {
		if len(members) != 0 {
			b.addProducts(generators[w](), members, func(c *claim) *edwards25519.Scalar { return &c.s })
		}
		b.tabled[w] = members[:0]
	}
	normalise(b.sums)
	for i := range b.claims {
		b.broken = b.broken || b.sums[i].bytes() != b.claims[i].r
	}
	b.claims, b.keys = b.claims[:0], b.keys[:0]
	clear(b.known)
}

// addProducts adds to the sum of each member the product of its scalar with the
// point whose multiples t has. It goes by place, and at each place by multiple:
// memory is slow for what is read here and there.
func (b *Batch) addProducts(t *multiples, members []int, scalar func(*claim) *edwards25519.Scalar) {
	b.digits = b.digits[:0]
	for _, m := range members {
		b.digits = append(b.digits, t.digitsOf(scalar(&b.claims[m])))
	}
	// The members with a digit are a list: the first, and after each the next; each
	// by its place in members and one, and 0 ends the list.
	half := t.half()
	first := slices.Grow(b.first[:0], 2*half+1)[:2*half+1]
	next := slices.Grow(b.next[:0], len(members)+1)[:len(members)+1]
	for p, row := range t.rows {
		clear(first)
		for i := range b.digits {
			list := &first[half+int(b.digits[i][p])]
			next[i+1], *list = *list, int32(i+1) //nolint:gosec // at most batchSize
		}
		for n := range row {
			for i := first[half+1+n]; i != 0; i = next[i] {
				b.sums[members[i-1]].add(&row[n], false)
			}
			for i := first[half-1-n]; i != 0; i = next[i] {
				b.sums[members[i-1]].add(&row[n], true)
			}
		}
	}
	b.first, b.next = first, next
}
