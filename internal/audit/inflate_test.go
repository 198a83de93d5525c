package audit

import (
	"bytes"
	"cmp"
	stdzlib "compress/zlib"
	"io"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zlib"

	releases "github.com/rungbot/rung/e2e/bench/history"
	"github.com/rungbot/rung/internal/inflate"
)

// BenchmarkInflate unpacks each entry of a pack that stock git made of a hundred
// releases, as it lies there: by package inflate, and by two that read streams.
func BenchmarkInflate(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "clone.git")
	if _, err := releases.Write(b.Context(), dir, 1, 100); err != nil {
		b.Fatal(err)
	}
	packs, err := openPacks(filepath.Join(dir, "objects"))
	if err != nil || len(packs) != 1 || packs[0].broken != nil {
		b.Fatal(len(packs), err)
	}
	p := packs[0]
	defer p.close()
	var entries [][]byte
	var sizes []int
	var all int64
	for n := range p.index.count() {
		offset, err := p.index.offset(n)
		if err != nil {
			b.Fatal(err)
		}
		head, err := p.head(offset)
		if err != nil {
			b.Fatal(err)
		}
		packed, err := p.from(head.at, packedRoom(head.size))
		if err != nil {
			b.Fatal(err)
		}
		entries, sizes, all = append(entries, bytes.Clone(packed)), append(sizes, int(head.size)), all+head.size
	}
	run := func(name string, unpack func(dst, src []byte) error) {
		b.Run(name, func(b *testing.B) {
			dst := make([]byte, largeObject)
			b.SetBytes(all)
			for b.Loop() {
				for i, src := range entries {
					if err := unpack(dst[:sizes[i]], src); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(entries)), "ns/stream")
		})
	}
	var d inflate.Decoder
	run("inflate", func(dst, src []byte) error {
		_, err := d.Zlib(dst, src)
		return err
	})
	for _, other := range []struct {
		name string
		open func(io.Reader) (io.ReadCloser, error)
	}{{"klauspost", zlib.NewReader}, {"standard", stdzlib.NewReader}} {
		from := bytes.NewReader(entries[0])
		z, err := other.open(from)
		if err != nil {
			b.Fatal(err)
		}
		var end [1]byte
		run(other.name, func(dst, src []byte) error {
			from.Reset(src)
			if err := z.(zlib.Resetter).Reset(from, nil); err != nil {
				return err
			}
			_, err := io.ReadFull(z, dst)
			if _, atEnd := z.Read(end[:]); atEnd != io.EOF { //nolint:errorlint // as Read returns it
				err = cmp.Or(err, atEnd, io.ErrShortBuffer)
			}
			return err
		})
	}
}
