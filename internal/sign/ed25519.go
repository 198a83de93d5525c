package sign

import (
	"crypto/ed25519"
	"crypto/sha512"
	"sync"

	"filippo.io/edwards25519"
)

// VerifyEd25519 reports what crypto/ed25519 reports of a signature. A key of
// another size verifies nothing. Where a Batch has made tables for the key, they
// serve here too, and take a quarter of the time.
func VerifyEd25519(key ed25519.PublicKey, message, signature []byte) bool {
	if len(key) != ed25519.PublicKeySize || len(signature) != ed25519.SignatureSize {
		return false
	}
	negative := tabled.made([ed25519.PublicKeySize]byte(key))
	if negative == nil {
		return ed25519.Verify(key, message, signature)
	}
	c, ok := newClaim(key, message, signature, nil)
	if !ok {
		return false
	}
	sums := []sum{neutral()}
	sums[0].addProduct(negative, &c.k)
	sums[0].addProduct(generators[negative.width](), &c.s)
	normalise(sums)
	return sums[0].bytes() == c.r
}

// claim says that s·B − k·A, of the generator B and a key A, is encoded as r.
type claim struct {
	r    [32]byte
	s, k edwards25519.Scalar
	key  int // its place in Batch.keys
}

// newClaim is what a signature claims; false if it can't hold because s is not
// below the group's order. scratch is used if it is large enough.
func newClaim(key, message, signature, scratch []byte) (c claim, ok bool) {
	if _, err := c.s.SetCanonicalBytes(signature[32:]); err != nil {
		return c, false
	}
	c.r = [32]byte(signature)
	digest := sha512.Sum512(append(append(append(scratch[:0], signature[:32]...), key...), message...))
	_, err := c.k.SetUniformBytes(digest[:])
	return c, err == nil
}

const (
	// worthwhile is after how many signatures a key gets narrow tables, and often wide
	// ones: making them, and the generator's, takes as long as they save for so many.
	worthwhile = 160
	often      = 8192
	// maxTables is how many keys have tables, maxCounted how many are counted;
	// the counts are forgotten when they are full.
	maxTables  = 4
	maxCounted = 1024
)

// tableCache counts what keys verify in batches, and keeps the tables of those
// that do it often.
type tableCache struct {
	mu     sync.Mutex
	counts map[[ed25519.PublicKeySize]byte]int
	keys   []*keyTables // the last used first
}

// keyTables are a key's public bytes and the multiples of its negative.
type keyTables struct {
	key      [ed25519.PublicKeySize]byte
	negative *multiples
	count    int // of what was verified by it in batches
}

var tabled tableCache

// made are a key's tables, or nil while it has verified little.
func (c *tableCache) made(key [ed25519.PublicKeySize]byte) *multiples {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.find(key); k != nil {
		return k.negative
	}
	return nil
}

// find finds a key that has tables, and puts it first.
func (c *tableCache) find(key [ed25519.PublicKeySize]byte) *keyTables {
	for i, k := range c.keys {
		if k.key == key {
			copy(c.keys[1:i+1], c.keys[:i])
			c.keys[0] = k
			return k
		}
	}
	return nil
}

// tables are made where more signatures have made them worthwhile; those of the
// key that was used longest ago are forgotten for them.
func (c *tableCache) tables(k *claimant, more int) *multiples {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.find(k.key)
	if found == nil {
		if c.counts == nil || len(c.counts) >= maxCounted {
			c.counts = map[[ed25519.PublicKeySize]byte]int{}
		}
		if c.counts[k.key] += more; c.counts[k.key] < worthwhile {
			return nil
		}
		found = &keyTables{k.key, newMultiples(narrow, &k.negative), c.counts[k.key]}
		delete(c.counts, k.key)
		c.keys = append([]*keyTables{found}, c.keys[:min(len(c.keys), maxTables-1)]...)
		return found.negative
	}
	if found.count += more; found.count >= often && found.negative.width != wide {
		found.negative = newMultiples(wide, &k.negative)
	}
	return found.negative
}
