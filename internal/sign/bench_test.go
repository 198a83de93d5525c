package sign

import (
	"crypto/ed25519"
	"encoding/binary"
	"strconv"
	"testing"

	"filippo.io/edwards25519"
)

// BenchmarkEd25519 is the time for one signature of a message of 150 bytes, in each
// way. The messages differ, so that the tables are read here and there.
func BenchmarkEd25519(b *testing.B) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	key := private.Public().(ed25519.PublicKey)
	messages, signatures := make([][]byte, 4*batchSize), make([][]byte, 4*batchSize)
	for i := range messages {
		messages[i] = make([]byte, 150)
		binary.LittleEndian.PutUint64(messages[i], uint64(i)) //nolint:gosec // small
		signatures[i] = ed25519.Sign(private, messages[i])
	}
	each := func(b *testing.B, one func(message, signature []byte) bool) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if n := i % len(messages); !one(messages[n], signatures[n]) {
				b.Fatal("an honest signature was refused")
			}
		}
	}
	b.Run("standard library", func(b *testing.B) {
		each(b, func(m, s []byte) bool { return ed25519.Verify(key, m, s) })
	})
	b.Run("batch", func(b *testing.B) {
		var batch Batch
		each(b, func(m, s []byte) bool { return batch.Add(key, m, s) })
		if !batch.Holds() {
			b.Fatal("honest signatures were refused")
		}
	})
	b.Run("alone, by the tables of the batch", func(b *testing.B) {
		each(b, func(m, s []byte) bool { return VerifyEd25519(key, m, s) })
	})
}

func BenchmarkSSH(b *testing.B) {
	key := newKey(b)
	good, err := key.Sign(message)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("form", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := usual(good); !ok {
				b.Fatal("not usual")
			}
		}
	})
	b.Run("batch", func(b *testing.B) {
		b.ReportAllocs()
		var batch Batch
		for b.Loop() {
			if err := batch.AddSSH(message, good, key.Public()); err != nil {
				b.Fatal(err)
			}
		}
		if !batch.Holds() {
			b.Fatal("honest signatures were refused")
		}
	})
}

func BenchmarkMultiples(b *testing.B) {
	for _, w := range []width{narrow, wide} {
		b.Run(strconv.Itoa(int(w)), func(b *testing.B) {
			for b.Loop() {
				newMultiples(w, edwards25519.NewGeneratorPoint())
			}
		})
	}
}
