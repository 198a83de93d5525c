package sign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"filippo.io/edwards25519"
)

// claimed is one claim of a test.
type claimed struct{ key, message, signature []byte }

// honest are claims that hold, by several keys in turn.
func honest(keys, n int) (claims []claimed) {
	for i := range n {
		private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i % keys)}, ed25519.SeedSize))
		message := binary.LittleEndian.AppendUint64([]byte("message "), uint64(i)) //nolint:gosec // small
		claims = append(claims, claimed{private.Public().(ed25519.PublicKey), message, ed25519.Sign(private, message)})
	}
	return claims
}

// together reports whether all are added, and hold.
func together(b *Batch, claims []claimed) bool {
	for _, c := range claims {
		if !b.Add(c.key, c.message, c.signature) {
			return false
		}
	}
	return b.Holds()
}

func TestBatchHolds(t *testing.T) {
	for _, keys := range []int{1, 2, 7} {
		forget()
		var b Batch
		for _, n := range []int{0, 1, 2, 3, 100, worthwhile, batchSize - 1, batchSize, batchSize + 1, 2*batchSize + 7, 1, 0} {
			if !together(&b, honest(keys, n)) {
				t.Errorf("%d honest signatures by %d keys do not hold", n, keys)
			}
		}
	}
}

// shifted is a signature with a number added to s, modulo the order.
func shifted(t *testing.T, signature []byte, by int8) []byte {
	t.Helper()
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(signature[32:])
	if err != nil {
		t.Fatal(err)
	}
	d, err := new(edwards25519.Scalar).SetCanonicalBytes(append([]byte{byte(max(by, -by))}, make([]byte, 31)...)) //nolint:gosec // not negative
	if err != nil {
		t.Fatal(err)
	}
	if by < 0 {
		d.Negate(d)
	}
	return append(bytes.Clone(signature[:32]), s.Add(s, d).Bytes()...)
}

// moved adds the generator, or its negative, to a signature's R.
func moved(t *testing.T, signature []byte, back bool) []byte {
	t.Helper()
	r, err := new(edwards25519.Point).SetBytes(signature[:32])
	if err != nil {
		t.Fatal(err)
	}
	g := edwards25519.NewGeneratorPoint()
	if back {
		g.Negate(g)
	}
	return append(r.Add(r, g).Bytes(), signature[32:]...)
}

// opposite is a signature by −s, as the same bytes of R.
func opposite(t *testing.T, signature []byte) []byte {
	t.Helper()
	s, err := new(edwards25519.Scalar).SetCanonicalBytes(signature[32:])
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(signature[:32]), s.Negate(s).Bytes()...)
}

// TestOneWrongThing: whatever is wrong about one claim, or about two that would
// make up for each other, the batch does not hold, and the next one does.
func TestOneWrongThing(t *testing.T) {
	stranger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{99}, 32)).Public().(ed25519.PublicKey)
	wrong := map[string]func(a, b *claimed){
		"a message byte":     func(a, _ *claimed) { a.message[3] ^= 1 },
		"a byte of R":        func(a, _ *claimed) { a.signature[5] ^= 1 },
		"the sign of R":      func(a, _ *claimed) { a.signature[31] ^= 0x80 },
		"a byte of s":        func(a, _ *claimed) { a.signature[40] ^= 1 },
		"the sign of s":      func(a, _ *claimed) { a.signature = opposite(t, a.signature) },
		"the key":            func(a, _ *claimed) { a.key = stranger },
		"R is no point":      func(a, _ *claimed) { copy(a.signature, append([]byte{2}, make([]byte, 31)...)) },
		"swapped signatures": func(a, b *claimed) { a.signature, b.signature = b.signature, a.signature },
		"swapped R":          func(a, b *claimed) { swap(a.signature[:32], b.signature[:32]) },
		"swapped s":          func(a, b *claimed) { swap(a.signature[32:], b.signature[32:]) },
		"swapped messages":   func(a, b *claimed) { a.message, b.message = b.message, a.message },
		"s and s that cancel": func(a, b *claimed) {
			a.signature, b.signature = shifted(t, a.signature, 7), shifted(t, b.signature, -7)
		},
		"R and R that cancel": func(a, b *claimed) {
			a.signature, b.signature = moved(t, a.signature, false), moved(t, b.signature, true)
		},
		"s and R that cancel": func(a, _ *claimed) { a.signature = shifted(t, moved(t, a.signature, false), 1) },
		"s and another's R": func(a, b *claimed) {
			a.signature, b.signature = shifted(t, a.signature, 1), moved(t, b.signature, false)
		},
	}
	for _, keys := range []int{1, 2} {
		for _, n := range []int{2, 3, worthwhile, batchSize + 2} {
			good := honest(keys, n)
			for name, spoil := range wrong {
				for _, at := range [][2]int{{0, n - 1}, {n - 1, 0}, {n / 2, n/2 - 1}} {
					if n > 3 && at[0] != 0 {
						continue
					}
					claims := slices.Clone(good)
					a, b := &claims[at[0]], &claims[at[1]]
					a.message, b.message = bytes.Clone(a.message), bytes.Clone(b.message)
					a.signature, b.signature = bytes.Clone(a.signature), bytes.Clone(b.signature)
					spoil(a, b)
					var batch Batch
					if together(&batch, claims) {
						t.Errorf("%s: %d claims by %d keys hold, with claims %v spoiled", name, n, keys, at)
					}
					if !together(&batch, good[:2]) {
						t.Errorf("%s: the batch after does not hold", name)
					}
				}
			}
		}
	}
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}

// TestMalformed: what can't hold is not added.
func TestMalformed(t *testing.T) {
	c := honest(1, 1)[0]
	_, scalars := odd(t)
	noPoint := append([]byte{2}, make([]byte, 31)...)
	for name, add := range map[string]func(*Batch) bool{
		"s is the order":      func(b *Batch) bool { return b.Add(c.key, c.message, append(c.signature[:32:32], scalars[4]...)) },
		"s above the order":   func(b *Batch) bool { return b.Add(c.key, c.message, append(c.signature[:32:32], scalars[6]...)) },
		"the key is no point": func(b *Batch) bool { return b.Add(noPoint, c.message, c.signature) },
	} {
		var b Batch
		if add(&b) {
			t.Errorf("%s: it was added", name)
		}
		if !b.Add(c.key, c.message, c.signature) || !b.Holds() {
			t.Errorf("%s: the batch does not hold without it", name)
		}
	}
}

// TestNothingIsKept: what was added may be overwritten before the batch is checked.
func TestNothingIsKept(t *testing.T) {
	var b Batch
	var c claimed
	for _, next := range honest(2, 10) {
		c = claimed{append(c.key[:0], next.key...), append(c.message[:0], next.message...), append(c.signature[:0], next.signature...)}
		if !b.Add(c.key, c.message, c.signature) {
			t.Fatal("an honest signature was refused")
		}
	}
	if !b.Holds() {
		t.Error("the batch remembers the caller's bytes")
	}
}

// TestSeveralBatches: goroutines that use a batch each share the tables.
func TestSeveralBatches(t *testing.T) {
	forget()
	good := honest(2*maxTables, 4*worthwhile)
	bad := slices.Clone(good)
	bad[len(bad)-1].message = nil
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			var b Batch
			for range 2 {
				if claims := [][]claimed{good, bad}[i%2]; together(&b, claims) != (i%2 == 0) {
					t.Errorf("batch %d is judged wrongly", i)
				}
				if c := good[i]; !VerifyEd25519(c.key, c.message, c.signature) {
					t.Errorf("signature %d is judged wrongly", i)
				}
			}
		})
	}
	all.Wait()
}

// TestDigits: they add up to the scalar, and each has its entry in the tables.
func TestDigits(t *testing.T) {
	_, scalars := odd(t)
	random := rand.NewChaCha8([32]byte{2})
	for range 1000 {
		s := make([]byte, 32)
		_, _ = random.Read(s)
		s[31] &= 15
		scalars = append(scalars, s)
	}
	for i := range 253 { // all bits below one, and one alone
		one := new(big.Int).Lsh(big.NewInt(1), uint(i)) //nolint:gosec // small
		scalars = append(scalars, little(one), little(one.Sub(one, big.NewInt(1))))
	}
	for _, text := range scalars {
		s, err := new(edwards25519.Scalar).SetCanonicalBytes(text)
		if err != nil {
			continue
		}
		for _, w := range []width{narrow, wide} {
			total := new(big.Int)
			d := w.digitsOf(s)
			for i, n := range slices.Backward(d[:w.places()]) {
				if int(n) < -w.half() || int(n) > w.half() {
					t.Errorf("%x: digit %d of %d bits is %d", text, i, w, n)
				}
				total.Add(total.Lsh(total, uint(w)), big.NewInt(int64(n)))
			}
			if !bytes.Equal(little(total), text) {
				t.Errorf("%x: the digits of %d bits are %d", text, w, d)
			}
		}
	}
}

// little is a number of 32 bytes, the lowest first.
func little(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

// TestMultiples: each entry is the multiple that it stands for.
func TestMultiples(t *testing.T) {
	for _, w := range []width{narrow, wide} {
		testMultiples(t, generators[w]())
	}
}

func testMultiples(t *testing.T, of *multiples) {
	t.Helper()
	unit := edwards25519.NewGeneratorPoint()
	for i, row := range of.rows {
		point := edwards25519.NewIdentityPoint()
		for n := range row {
			point.Add(point, unit)
			if n > 2 && n < of.half()-3 && n%97 != 0 {
				continue
			}
			entry := neutral()
			entry.add(&row[n], false)
			sums := []sum{entry, neutral()}
			sums[1].add(&row[n], true)
			normalise(sums)
			if there, back := sums[0].bytes(), sums[1].bytes(); !bytes.Equal(there[:], point.Bytes()) || !bytes.Equal(back[:], new(edwards25519.Point).Negate(point).Bytes()) {
				t.Fatalf("entry %d of place %d is not the multiple", n, i)
			}
		}
		for range of.width {
			unit.Add(unit, unit)
		}
	}
}

// FuzzBatch: a batch holds exactly where each of its signatures holds by the
// standard library. Of the keys some have tables.
func FuzzBatch(f *testing.F) {
	good := honest(3, 16)
	prepare(good[0].key)
	prepare(good[1].key)
	f.Add(byte(3), []byte{})
	f.Add(byte(16), []byte{0, 70, 1})
	f.Add(byte(9), []byte{255, 3, 40, 0, 3, 8})
	f.Fuzz(func(t *testing.T, n byte, edits []byte) {
		claims := slices.Clone(good[:int(n)%(len(good)+1)])
		for i := range claims {
			claims[i].signature, claims[i].key = bytes.Clone(claims[i].signature), bytes.Clone(claims[i].key)
		}
		for ; len(edits) >= 3 && len(claims) > 0; edits = edits[3:] { // which, where, what
			c := &claims[int(edits[0])%len(claims)]
			if where := edits[1] % 96; where < 64 {
				c.signature[where] ^= edits[2]
			} else {
				c.key[where-64] ^= edits[2]
			}
		}
		want := true
		for _, c := range claims {
			want = want && ed25519.Verify(c.key, c.message, c.signature)
		}
		var b Batch
		if got := together(&b, claims); got != want {
			t.Errorf("%d claims: %v, and the standard library says %v", len(claims), got, want)
		}
	})
}
