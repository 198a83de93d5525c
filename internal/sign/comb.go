package sign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"sync"

	"filippo.io/edwards25519"
)

// VerifyEd25519 reports what crypto/ed25519 reports of a signature, and takes
// about a third of the time for a key that has signed much: an auditor checks a
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
	// takes as long as checking so many, and 1.3 MB.
	worthwhile = 64
	// maxTables is how many keys have tables, maxCounted how many are counted;
	// the counts are forgotten when they are full.
	maxTables  = 8
	maxCounted = 1024
)

// multiples are 0 to 255 times 2 to the power of 8i times a point, so that a
// product with any scalar is a sum of 32 of them.
type multiples [32][256]edwards25519.Point

func newMultiples(p *edwards25519.Point) *multiples {
	t := new(multiples)
	unit := new(edwards25519.Point).Set(p)
	for i := range t {
		t[i][0].Set(edwards25519.NewIdentityPoint())
		for j := 1; j < len(t[i]); j++ {
			t[i][j].Add(&t[i][j-1], unit)
		}
		unit.Add(&t[i][255], unit)
	}
	return t
}

// add adds a product to a sum.
func (t *multiples) add(sum *edwards25519.Point, s *edwards25519.Scalar) {
	for i, b := range s.Bytes() {
		if b != 0 {
			sum.Add(sum, &t[i][b])
		}
	}
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
	r := edwards25519.NewIdentityPoint()
	k.negative.add(r, challenge)
	generator().add(r, s)
	return bytes.Equal(r.Bytes(), signature[:32])
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
