package sign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"filippo.io/edwards25519"
)

// forget takes the tables of all keys away, and the counts.
func forget() {
	tabled.mu.Lock()
	defer tabled.mu.Unlock()
	tabled.keys, tabled.counts = nil, nil
}

// prepare makes tables for a key, whatever it has verified, wide ones for every other
// key; false for no point.
func prepare(key []byte) bool {
	k := claimant{key: [32]byte(key)}
	if _, err := k.negative.SetBytes(key); err != nil {
		return false
	}
	k.negative.Negate(&k.negative)
	made := tabled.tables(&k, worthwhile) != nil
	if key[0]%2 == 0 {
		tabled.tables(&k, often)
	}
	return made
}

// batched is what a batch says of one signature.
func batched(key, message, signature []byte) bool {
	var b Batch
	return b.Add(key, message, signature) && b.Holds()
}

// unhex decodes several strings.
func unhex(t testing.TB, texts ...string) (all [][]byte) {
	t.Helper()
	for _, text := range texts {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// odd are encodings of points and scalars that implementations disagree about:
// points of small order, encodings that are not canonical, scalars at and above
// the group's order.
func odd(t testing.TB) (points, scalars [][]byte) {
	t.Helper()
	points = unhex(t,
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"5866666666666666666666666666666666666666666666666666666666666666",
	)
	return points, unhex(t,
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000010",
		"ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
		"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
		"eed3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	)
}

// agreement holds what is asked of one signature against the standard library,
// with and without tables, alone and in a batch, and counts what is accepted.
type agreement struct {
	testing.TB
	good     Batch // all that the standard library accepts
	accepted int
}

func (a *agreement) same(key, message, signature []byte) {
	a.Helper()
	want := ed25519.Verify(key, message, signature)
	for way, verify := range map[string]func(key, message, signature []byte) bool{
		"alone":      func(k, m, s []byte) bool { return VerifyEd25519(k, m, s) },
		"in a batch": batched,
	} {
		if got := verify(key, message, signature); got != want {
			a.Fatalf("%s: key %x, message %x, signature %x: %v, and the standard library says %v", way, key, message, signature, got, want)
		}
	}
	if want {
		a.accepted++
		if !a.good.Add(key, message, signature) {
			a.Fatal("what holds was not added")
		}
	}
}

// TestTheStandardLibraryAgrees: all ways accept and refuse the same, for keys,
// points and scalars at the edges too.
func TestTheStandardLibraryAgrees(t *testing.T) {
	points, scalars := odd(t)
	for name, tabled := range map[string]bool{"with tables": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			forget()
			random := rand.NewChaCha8([32]byte{1})
			a := agreement{TB: t}
			var seed [ed25519.SeedSize]byte
			_, _ = random.Read(seed[:])
			private := ed25519.NewKeyFromSeed(seed[:])
			key := []byte(private.Public().(ed25519.PublicKey))
			if tabled && !prepare(key) {
				t.Fatal("no tables")
			}
			for n := range 64 {
				message := make([]byte, n*7)
				_, _ = random.Read(message)
				signature := ed25519.Sign(private, message)
				a.same(key, message, signature)
				flipped := bytes.Clone(signature)
				flipped[n] ^= 1 << (n % 8)
				a.same(key, message, flipped)
				a.same(key, append(message, 0), signature)
				a.same(key, message, append(bytes.Clone(points[n%len(points)]), signature[32:]...))
				a.same(key, message, append(bytes.Clone(signature[:32]), scalars[n%len(scalars)]...))
				forgetUnless(tabled)
			}
			if a.accepted < 64 {
				t.Errorf("only %d signatures were good", a.accepted)
			}
			// Keys of small order accept much: where they do here, they do there.
			a.accepted = 0
			for _, key := range points {
				if tabled != prepare(key) {
					forgetUnless(tabled)
				}
				for _, r := range points {
					for n, s := range scalars {
						a.same(key, []byte{byte(n)}, append(bytes.Clone(r), s...))
					}
					forgetUnless(tabled)
				}
			}
			if a.accepted == 0 {
				t.Error("no signature by a key of small order was taken: the edge was not reached")
			}
			if !a.good.Holds() {
				t.Error("what holds alone does not hold together")
			}
		})
	}
}

// forgetUnless keeps keys from getting tables by use.
func forgetUnless(tabled bool) {
	if !tabled {
		forget()
	}
}

// TestSmallOrder: a key that has a part of small order, and a signature whose R
// has one, are judged as the standard library judges them, without a cofactor.
func TestSmallOrder(t *testing.T) {
	points, _ := odd(t)
	small, err := new(edwards25519.Point).SetBytes(points[10]) // of order 8
	if err != nil {
		t.Fatal(err)
	}
	scalar := func(text string) *edwards25519.Scalar {
		digest := sha512.Sum512([]byte(text))
		s, err := new(edwards25519.Scalar).SetUniformBytes(digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	private, nonce := scalar("key"), scalar("nonce")
	pure := new(edwards25519.Point).ScalarBaseMult(private)
	r := new(edwards25519.Point).ScalarBaseMult(nonce)
	sign := func(key, r *edwards25519.Point, message []byte) []byte {
		k := scalar(string(r.Bytes()) + string(key.Bytes()) + string(message))
		return append(r.Bytes(), new(edwards25519.Scalar).MultiplyAdd(k, private, nonce).Bytes()...)
	}
	mixed := new(edwards25519.Point).Add(pure, small)
	for name, c := range map[string]struct {
		key, r   *edwards25519.Point
		some, no bool // some are accepted, some are refused
	}{
		"neither":       {pure, r, true, false},
		"R has one":     {pure, new(edwards25519.Point).Add(r, small), false, true},
		"the key has":   {mixed, r, true, true},
		"both have one": {mixed, new(edwards25519.Point).Add(r, small), true, true},
	} {
		for _, tabled := range []bool{false, true} {
			forget()
			if tabled {
				prepare(c.key.Bytes())
			}
			a := agreement{TB: t}
			for n := range 100 {
				message := []byte{byte(n)}
				a.same(c.key.Bytes(), message, sign(c.key, c.r, message))
			}
			if a.accepted > 0 != c.some || a.accepted < 100 != c.no || !a.good.Holds() {
				t.Errorf("%s (tables: %v): %d of 100 are accepted", name, tabled, a.accepted)
			}
		}
	}
}

// TestVectors are those of RFC 8032, section 7.1.
func TestVectors(t *testing.T) {
	for name, v := range map[string][3]string{
		"1":        {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "", "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
		"2":        {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72", "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
		"3":        {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82", "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
		"SHA(abc)": {"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f", "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"},
	} {
		b := unhex(t, v[:]...)
		key, message, signature := b[0], b[1], b[2]
		for _, tabled := range []bool{false, true} {
			forget()
			if tabled && !prepare(key) {
				t.Fatal("no point")
			}
			a := agreement{TB: t}
			a.same(key, message, signature)
			if a.accepted != 1 || !a.good.Holds() {
				t.Errorf("test %s is refused", name)
			}
			a.same(key, append(message, 1), signature)
		}
	}
}

// TestTablesComeWithUse: a key gets its tables once batches have verified much by
// it, and the key that was used longest ago loses them.
func TestTablesComeWithUse(t *testing.T) {
	var cache tableCache
	keys := make([]claimant, maxTables+1)
	for i := range keys {
		keys[i].key = newKey(t).Public().raw
		if _, err := keys[i].negative.SetBytes(keys[i].key[:]); err != nil {
			t.Fatal(err)
		}
		if cache.tables(&keys[i], worthwhile-1) != nil || cache.made(keys[i].key) != nil {
			t.Errorf("key %d has tables early", i)
		}
		if cache.tables(&keys[i], 1) == nil {
			t.Errorf("key %d has no tables", i)
		}
		if cache.made(keys[0].key) == nil {
			t.Errorf("the first key's tables are gone, and it was used after key %d", i-1)
		}
	}
	for n, want := range []width{narrow, wide} {
		more := []int{often - worthwhile - 1, 1}[n]
		if got := cache.tables(&keys[0], more).width; got != want {
			t.Errorf("tables of %d bits, want %d", got, want)
		}
	}
	if cache.made(keys[1].key) != nil || cache.made(keys[2].key) == nil || len(cache.keys) != maxTables {
		t.Error("another key than the one that was used longest ago has lost its tables")
	}
	if cache.tables(&keys[1], 1) != nil {
		t.Error("the key has its tables back for one signature")
	}
}

func TestWrongLengths(t *testing.T) {
	key := newKey(t)
	public := key.Public().Ed25519()
	signature, err := key.SignRaw(message)
	if err != nil {
		t.Fatal(err)
	}
	long := append(bytes.Clone(signature), 0)
	for name, verify := range map[string]func(key ed25519.PublicKey, message, signature []byte) bool{
		"alone":      VerifyEd25519,
		"in a batch": func(k ed25519.PublicKey, m, s []byte) bool { return batched(k, m, s) },
	} {
		if !verify(public, message, signature) {
			t.Error(name, "a good signature is refused")
		}
		if verify(nil, message, signature) || verify(public[:31], message, signature) || verify(append(public, 0), message, signature) ||
			verify(public, message, nil) || verify(public, message, signature[:63]) || verify(public, message, long) {
			t.Error(name, "a wrong length is accepted")
		}
	}
}

func FuzzEd25519(f *testing.F) {
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	key := []byte(private.Public().(ed25519.PublicKey))
	f.Add(key, []byte("m"), ed25519.Sign(private, []byte("m")), true)
	points, scalars := odd(f)
	for i, p := range points {
		f.Add(p, []byte{}, append(bytes.Clone(p), scalars[i%len(scalars)]...), i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, key, message, signature []byte, tabled bool) {
		if len(key) != 32 || len(signature) != 64 {
			return
		}
		forget()
		if tabled {
			prepare(key)
		}
		(&agreement{TB: t}).same(key, message, signature)
	})
}
