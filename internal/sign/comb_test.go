package sign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"filippo.io/edwards25519"
)

// tablesOf are a key's tables, whatever it has verified; nil for no point.
func tablesOf(key []byte) *keyTables {
	point, err := new(edwards25519.Point).SetBytes(key)
	if err != nil {
		return nil
	}
	return &keyTables{[32]byte(key), newMultiples(point.Negate(point))}
}

// odd are encodings of points and scalars that implementations disagree about:
// points of small order, encodings that are not canonical, scalars at and above
// the group's order.
func odd(t testing.TB) (points, scalars [][]byte) {
	for _, text := range []string{
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
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, b)
	}
	for _, text := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
		"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
		"eed3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		scalars = append(scalars, b)
	}
	return points, scalars
}

// TestTablesAgreeWithTheStandardLibrary: both accept and refuse the same, for
// keys, points and scalars at the edges too.
func TestTablesAgreeWithTheStandardLibrary(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	points, scalars := odd(t)
	accepted := 0
	same := func(k *keyTables, key, message, signature []byte) {
		t.Helper()
		want := ed25519.Verify(key, message, signature)
		if got := k.verify(message, signature); got != want {
			t.Fatalf("key %x, message %x, signature %x: %v, and the standard library says %v", key, message, signature, got, want)
		}
		if want {
			accepted++
		}
	}
	for range 3 {
		var seed [32]byte
		_, _ = random.Read(seed[:])
		private := ed25519.NewKeyFromSeed(seed[:])
		key := []byte(private.Public().(ed25519.PublicKey))
		k := tablesOf(key)
		for n := range 100 {
			message := make([]byte, n*7)
			_, _ = random.Read(message)
			signature := ed25519.Sign(private, message)
			same(k, key, message, signature)
			flipped := bytes.Clone(signature)
			flipped[n%64] ^= 1 << (n % 8)
			same(k, key, message, flipped)
			same(k, key, append(message, 0), signature)
			for _, p := range points {
				same(k, key, message, append(bytes.Clone(p), signature[32:]...))
			}
			for _, s := range scalars {
				same(k, key, message, append(bytes.Clone(signature[:32]), s...))
			}
		}
	}
	if accepted < 300 {
		t.Errorf("only %d signatures were good", accepted)
	}
	// Keys of small order accept much: where they do here, they do there.
	accepted = 0
	for _, key := range points {
		k := tablesOf(key)
		if k == nil {
			if ed25519.Verify(key, nil, make([]byte, 64)) {
				t.Errorf("%x is no point, and the standard library takes it", key)
			}
			continue
		}
		for _, r := range points {
			for _, s := range scalars {
				for n := range 4 {
					same(k, key, []byte{byte(n)}, append(bytes.Clone(r), s...))
				}
			}
		}
	}
	if accepted == 0 {
		t.Error("no signature by a key of small order was taken: the edge was not reached")
	}
}

// TestTablesComeWithUse: a key gets its tables once it has verified much, and
// says the same before and after.
func TestTablesComeWithUse(t *testing.T) {
	var cache tableCache
	keys := make([]PublicKey, maxTables+1)
	for i := range keys {
		keys[i] = newKey(t).Public()
		for n := range worthwhile {
			if k := cache.tables(keys[i].raw); (k != nil) != (n == worthwhile-1 && i < maxTables) {
				t.Errorf("key %d, use %d: tables %v", i, n, k != nil)
			}
		}
	}
	key := newKey(t)
	for n := range 2 * worthwhile {
		message := []byte{byte(n)}
		signature, err := key.SignRaw(message)
		if err != nil {
			t.Fatal(err)
		}
		public := key.Public().Ed25519()
		if !VerifyEd25519(public, message, signature) || VerifyEd25519(public, message[:0], signature) || VerifyEd25519(public[:31], message, signature) || VerifyEd25519(public, message, signature[:63]) {
			t.Fatal("use", n)
		}
	}
}

func FuzzVerifyEd25519(f *testing.F) {
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	key := []byte(private.Public().(ed25519.PublicKey))
	f.Add(key, []byte("m"), ed25519.Sign(private, []byte("m")))
	points, scalars := odd(f)
	for i, p := range points {
		f.Add(p, []byte{}, append(bytes.Clone(p), scalars[i%len(scalars)]...))
	}
	f.Fuzz(func(t *testing.T, key, message, signature []byte) {
		if len(key) != 32 || len(signature) != 64 {
			return
		}
		want := ed25519.Verify(key, message, signature)
		if k := tablesOf(key); k == nil && want || k != nil && k.verify(message, signature) != want {
			t.Errorf("key %x, message %x, signature %x: the standard library says %v", key, message, signature, want)
		}
	})
}

// TestUsualIsWhatIsWritten: what Sign writes takes the short way, and what
// changes a byte of it never passes where the long way refuses.
func TestUsualIsWhatIsWritten(t *testing.T) {
	key := newKey(t)
	armoured, err := key.Sign(message)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := usual(armoured); !ok || c.signer != key.Public() {
		t.Fatal("what is written is not usual")
	}
	for i := range len(armoured) {
		for _, b := range []byte{'A', 'Q', '=', '\n', ' ', '-', armoured[i] ^ 1} {
			agrees(t, armoured[:i]+string(b)+armoured[i+1:])
		}
		agrees(t, armoured[:i]+"\n"+armoured[i:])
		agrees(t, armoured[:i]+armoured[i+1:])
	}
}

// agrees: the short way takes only what the long way takes, as the same key's.
func agrees(t *testing.T, armoured string) {
	t.Helper()
	c, ok := usual(armoured)
	if !ok {
		return
	}
	if _, signer, err := parseArmour(armoured); err != nil || signer != c.signer {
		t.Errorf("%q: %v", armoured, err)
	}
}

func FuzzUsual(f *testing.F) {
	armoured, err := newKey(f).Sign(message)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(armoured)
	f.Fuzz(func(t *testing.T, armoured string) { agrees(t, armoured) })
}
