package inflate

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// deflated writes a deflate stream bit by bit.
type deflated struct {
	bytes []byte
	n     int // bits
}

// bits appends the n bits of v, lowest first.
func (d *deflated) bits(v, n int) *deflated {
	for i := range n {
		if d.n%8 == 0 {
			d.bytes = append(d.bytes, 0)
		}
		d.bytes[d.n/8] |= byte(v>>i&1) << (d.n % 8)
		d.n++
	}
	return d
}

// code appends a code of n bits, highest first.
func (d *deflated) code(v, n int) *deflated {
	for i := n - 1; i >= 0; i-- {
		d.bits(v>>i, 1)
	}
	return d
}

// block begins one.
func (d *deflated) block(last, kind int) *deflated { return d.bits(last, 1).bits(kind, 2) }

// stored appends a whole stored block.
func (d *deflated) stored(last int, text string) *deflated {
	d.block(last, 0)
	d.n = 8 * len(d.bytes)
	return d.bits(len(text), 16).bits(^len(text), 16).raw(text)
}

func (d *deflated) raw(text string) *deflated {
	d.bytes = append(d.bytes, text...)
	d.n = 8 * len(d.bytes)
	return d
}

// lit appends symbols of the fixed code.
func (d *deflated) lit(symbols ...int) *deflated {
	for _, s := range symbols {
		switch {
		case s < 144:
			d.code(0x30+s, 8)
		case s < 256:
			d.code(0x190+s-144, 9)
		case s < 280:
			d.code(s-256, 7)
		default:
			d.code(0xc0+s-280, 8)
		}
	}
	return d
}

// text appends literals of the fixed code.
func (d *deflated) text(s string) *deflated {
	for i := range len(s) {
		d.lit(int(s[i]))
	}
	return d
}

// lengths appends what a dynamic block begins with, for codes whose lengths are
// those. Each is given by itself, by a code of 4 bits for the lengths 0 to 15.
func (d *deflated) lengths(last int, lits, dists []int) *deflated {
	d.block(last, 2).bits(len(lits)-257, 5).bits(len(dists)-1, 5).bits(len(preOrder)-4, 4)
	for _, symbol := range preOrder {
		if symbol < 16 {
			d.bits(4, 3)
		} else {
			d.bits(0, 3)
		}
	}
	for _, n := range append(lits[:len(lits):len(lits)], dists...) {
		d.code(n, 4)
	}
	return d
}

// runs is a block of which each code is of 1 bit for "a" and for the end, and the
// lengths of which are ones of one zero, and then runs of 11 zeros by codes of 7 bits
// with 7 more. There are too many lengths by some.
func (d *deflated) runs(ones, tooMany int) *deflated {
	d.block(1, 2).bits(0, 10).bits(len(preOrder)-4, 4)
	for _, symbol := range preOrder {
		d.bits(map[uint8]int{0: 1, 1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 17: 7, 18: 7}[symbol], 3)
	}
	zeros := func(n int) {
		for ; n > ones && n >= 11; n -= 11 {
			d.code(127, 7).bits(0, 7)
		}
		for range n {
			d.code(0, 1)
		}
	}
	for range ones {
		d.code(0, 1)
	}
	zeros('a' - ones)
	d.code(2, 2)
	zeros(256 - 'a' - 1)
	d.code(2, 2)
	zeros(1 + tooMany)
	return d.code(0, 1).code(1, 1)
}

// some are n lengths, those at the given symbols as given.
func some(n int, at map[int]int) []int {
	all := make([]int, n)
	for symbol, length := range at {
		all[symbol] = length
	}
	return all
}

// stream makes a zlib stream of a deflate stream that unpacks to want.
func stream(deflated []byte, want string) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{0x78, 0x9c}, deflated...), adler32.Checksum([]byte(want)))
}

// standard is what the standard library makes of a stream, and how many bytes of it it
// takes. It reads no more than limit bytes.
func standard(src []byte, limit int64) (out []byte, n int, err error) {
	from := bytes.NewReader(src)
	z, err := zlib.NewReader(from)
	if err != nil {
		return nil, 0, err
	}
	out, err = io.ReadAll(io.LimitReader(z, limit))
	return out, len(src) - from.Len(), err
}

// agree holds the verdict on a stream to the standard library's.
func agree(t *testing.T, d *Decoder, src []byte) {
	t.Helper()
	want, taken, err := standard(src, 1<<20)
	if len(want) == 1<<20 {
		return
	}
	got := make([]byte, len(want), len(want)+1)
	n, ours := d.Zlib(got, src)
	switch {
	case (err == nil) != (ours == nil):
		t.Fatalf("%x: %v, and the standard library says %v", src, ours, err)
	case err == nil && (n != taken || !bytes.Equal(got, want)):
		t.Fatalf("%x: %d bytes were taken for %x, and the standard library takes %d for %x", src, n, got, taken, want)
	case errors.Is(ours, io.ErrUnexpectedEOF) && err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		t.Fatalf("%x: more is asked for, and the standard library says %v", src, err)
	}
	for _, size := range []int{len(want) - 1, len(want) + 1, len(want) + 300} {
		if size < 0 {
			continue
		}
		if _, ours := d.Zlib(make([]byte, size), src); ours == nil {
			t.Fatalf("%x: unpacks to %d bytes as well as to %d", src, size, len(want))
		} else if err == nil && !errors.Is(ours, ErrLength) {
			t.Fatalf("%x: %v, where it unpacks to %d bytes instead of %d", src, ours, len(want), size)
		}
	}
}

// handMade are streams that unpack.
func handMade() map[string][]byte {
	far := strings.Repeat("0123456789abcdef", 2048)
	all := map[string]struct {
		d    *deflated
		want string
	}{
		"stored":                       {new(deflated).stored(1, "hello"), "hello"},
		"stored, empty":                {new(deflated).stored(1, ""), ""},
		"fixed":                        {new(deflated).block(1, 1).text("hello\x8f\x90\xff\x00").lit(256), "hello\x8f\x90\xff\x00"},
		"fixed, empty":                 {new(deflated).block(1, 1).lit(256), ""},
		"several blocks":               {new(deflated).stored(0, "").block(0, 1).text("ab").lit(256).stored(0, "").stored(0, "cd").block(0, 1).lit(256).block(1, 1).text("e").lit(256), "abcde"},
		"a match into an earlier":      {new(deflated).stored(0, "abc").block(1, 1).lit(257).code(2, 5).lit(256), "abcabc"},
		"distance 1, length 258":       {new(deflated).block(1, 1).text("x").lit(285).code(0, 5).lit(256), strings.Repeat("x", 259)},
		"length 258 by its extra bits": {new(deflated).block(1, 1).text("x").lit(284).bits(31, 5).code(0, 5).lit(256), strings.Repeat("x", 259)},
		"distance 3 under length 10":   {new(deflated).block(1, 1).text("xyz").lit(264).code(2, 5).lit(256), "xyzxyzxyzxyzx"},
		"distance 7 under length 14":   {new(deflated).block(0, 1).text("tuvwxyz").lit(266).bits(1, 1).code(5, 5).bits(0, 1).lit(256).stored(1, far[:40]), "tuvwxyztuvwxyztuvwxyz"[:7] + "tuvwxyztuvwxyz" + far[:40]},
		"distance 32768":               {new(deflated).stored(0, far).block(1, 1).lit(285).code(29, 5).bits(8191, 13).lit(256), far + far[:258]},
		"dynamic":                      {new(deflated).lengths(1, some(258, map[int]int{'a': 1, 'b': 2, 256: 3, 257: 3}), some(2, map[int]int{0: 1, 1: 1})).code(0, 1).code(2, 2).code(7, 3).code(1, 1).code(6, 3), "abababa"[:5]},
		"dynamic, no distance":         {new(deflated).lengths(1, some(257, map[int]int{'a': 1, 256: 1}), some(1, nil)).code(0, 1).code(0, 1).code(1, 1), "aa"},
		"dynamic, one distance":        {new(deflated).lengths(1, some(258, map[int]int{'a': 1, 256: 2, 257: 2}), some(1, map[int]int{0: 1})).code(0, 1).code(3, 2).code(0, 1).code(2, 2), "aaaa"},
		"dynamic, one literal code":    {new(deflated).lengths(1, some(257, map[int]int{256: 1}), some(1, nil)).code(0, 1), ""},
		"dynamic, up to 15 bits":       {longCodes(new(deflated)).ones(1).ones(2).ones(11).ones(14).code(1<<15-1, 15).ones(1).ones(13).ones(15), "abknnnnm"},
		"a distance of 15 bits":        {longCodes(new(deflated).stored(0, far[:400])).ones(12).code(1<<15-1, 15).code(1<<15-1, 15).bits(127, 7).ones(10).ones(15), far[:400] + "l" + far[1:4] + "j"},
	}
	streams := map[string][]byte{}
	for ones := range 20 {
		streams[fmt.Sprint("runs of zeros after ", ones)] = stream(new(deflated).runs(ones, 0).bytes, "a")
	}
	for name, s := range all {
		streams[name] = stream(s.d.bytes, s.want)
	}
	return streams
}

// longCodes begins a block with codes of 1 to 15 bits for literals and distances: n-1
// ones and a zero are the n-th symbol of lits, and the n-1st distance.
func longCodes(d *deflated) *deflated {
	lits, dists := map[int]int{256: 15, 257: 15}, map[int]int{14: 15, 16: 15}
	for i, symbol := range "abcdefghijklmn" {
		lits[int(symbol)] = i + 1
		dists[i] = i + 1
	}
	return d.lengths(1, some(258, lits), some(17, dists))
}

// ones appends a code of such a block, and its end or last distance for n = 15.
func (d *deflated) ones(n int) *deflated { return d.code(1<<n-2, n) }

// Streams made by hand unpack as the standard library unpacks them.
func TestHandMade(t *testing.T) {
	var d Decoder
	for name, src := range handMade() {
		t.Run(name, func(t *testing.T) {
			if _, _, err := standard(src, 1<<20); err != nil {
				t.Fatalf("the standard library refuses it: %v", err)
			}
			agree(t, &d, src)
			agree(t, &d, append(bytes.Clone(src), "what comes behind"...))
		})
	}
}

// What is no stream is refused, each for its reason, as the standard library refuses
// it.
func TestRefused(t *testing.T) {
	full := some(286, map[int]int{'a': 1, 256: 2, 285: 2})
	good := stream(new(deflated).block(1, 1).text("abc").lit(256).bytes, "abc")
	head := func(cmf, flg byte) []byte { return append([]byte{cmf, flg}, good[2:]...) }
	fixed := func() *deflated { return new(deflated).block(1, 1).text("abc") }
	for name, c := range map[string]struct {
		src  []byte
		want error
	}{
		"nothing":                        {nil, io.ErrUnexpectedEOF},
		"half a head":                    {good[:1], io.ErrUnexpectedEOF},
		"not deflate":                    {head(0x79, 31-0x7900%31), ErrHeader},
		"a window of 64 KiB":             {head(0x88, 31-0x8800%31), ErrHeader},
		"a head that does not check":     {head(0x78, 0x9d), ErrHeader},
		"a preset dictionary":            {head(0x78, 0xbb), ErrHeader},
		"another checksum":               {append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), ErrChecksum},
		"no checksum":                    {good[:len(good)-4], io.ErrUnexpectedEOF},
		"block type 3":                   {stream(new(deflated).block(1, 3).bits(0, 40).bytes, ""), ErrCorrupt},
		"a stored length that differs":   {stream(new(deflated).block(1, 0).bits(0, 5).bits(3, 16).bits(3, 16).raw("abc").bytes, "abc"), ErrCorrupt},
		"symbol 286":                     {stream(fixed().lit(286).code(0, 5).lit(256).bytes, "abc"), ErrCorrupt},
		"symbol 287":                     {stream(fixed().lit(287).code(0, 5).lit(256).bytes, "abc"), ErrCorrupt},
		"distance 30":                    {stream(fixed().lit(257).code(30, 5).bits(0, 30).bytes, "abc"), ErrCorrupt},
		"distance 31":                    {stream(fixed().lit(257).code(31, 5).bits(0, 30).bytes, "abc"), ErrCorrupt},
		"back to before its start":       {stream(fixed().lit(257).code(3, 5).lit(256).bytes, "abc"), ErrCorrupt},
		"back from its start":            {stream(new(deflated).block(1, 1).lit(257).code(0, 5).lit(256).bytes, ""), ErrCorrupt},
		"287 lengths":                    {stream(new(deflated).lengths(1, some(287, map[int]int{'a': 1, 256: 1}), some(1, nil)).code(1, 1).bytes, ""), ErrCorrupt},
		"31 distances":                   {stream(new(deflated).lengths(1, full, some(31, nil)).code(2, 2).bytes, ""), ErrCorrupt},
		"too many literal codes":         {stream(new(deflated).lengths(1, some(257, map[int]int{'a': 1, 'b': 1, 256: 1}), some(1, nil)).code(1, 1).bits(0, 20).bytes, ""), ErrCorrupt},
		"too few literal codes":          {stream(new(deflated).lengths(1, some(257, map[int]int{'a': 2, 256: 2}), some(1, nil)).code(1, 2).bits(0, 20).bytes, ""), ErrCorrupt},
		"too many distance codes":        {stream(new(deflated).lengths(1, full, some(3, map[int]int{0: 1, 1: 1, 2: 1})).code(2, 2).bits(0, 20).bytes, ""), ErrCorrupt},
		"too few distance codes":         {stream(new(deflated).lengths(1, full, some(3, map[int]int{0: 2, 1: 2, 2: 2})).code(2, 2).bits(0, 20).bytes, ""), ErrCorrupt},
		"one distance code of 2 bits":    {stream(new(deflated).lengths(1, full, some(1, map[int]int{0: 2})).code(2, 2).bits(0, 20).bytes, ""), ErrCorrupt},
		"the code that one leaves":       {stream(new(deflated).lengths(1, full, some(1, map[int]int{0: 1})).code(0, 1).code(3, 2).code(1, 1).code(2, 2).bits(0, 20).bytes, "a"), ErrCorrupt},
		"a length, and no distance code": {stream(new(deflated).lengths(1, full, some(1, nil)).code(0, 1).code(3, 2).bits(0, 30).bytes, "a"), ErrCorrupt},
		"no literal code":                {stream(new(deflated).lengths(1, some(257, nil), some(1, nil)).bits(0, 30).bytes, ""), ErrCorrupt},
		"no code for lengths":            {stream(new(deflated).block(1, 2).bits(0, 5).bits(0, 5).bits(15, 4).bits(0, 57).bits(0, 90).bytes, ""), ErrCorrupt},
		"no code, and nothing behind":    {append([]byte{0x78, 0x9c}, new(deflated).block(1, 2).bits(0, 5).bits(0, 5).bits(1, 4).bits(0, 15).bytes...), ErrCorrupt},
		"too few codes for lengths":      {stream(new(deflated).block(1, 2).bits(0, 5).bits(0, 5).bits(0, 4).bits(2, 3).bits(0, 9).bits(0, 90).bytes, ""), ErrCorrupt},
		"a first length again":           {stream(new(deflated).block(1, 2).bits(0, 5).bits(0, 5).bits(0, 4).bits(1, 3).bits(1, 3).bits(0, 6).bits(0, 90).bytes, ""), ErrCorrupt},
		"lengths behind the last":        {stream(new(deflated).runs(0, 10).bytes, "a"), ErrCorrupt},
		"no end":                         {stream(fixed().bytes, "abc"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var d Decoder
			_, err := d.Zlib(make([]byte, 3), c.src)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			agree(t, &d, c.src)
		})
	}
}

// samples are streams of each level, of what a pack holds: JSON, base64, trees.
func samples(sizes ...int) [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	token := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	var all [][]byte
	for _, size := range sizes {
		var json, text, tree, runs bytes.Buffer
		for min(json.Len(), text.Len(), tree.Len(), runs.Len()) < size {
			fmt.Fprintf(&json, "{\"artifact\":\"app-%d\",\"digest\":\"sha256:%x\",\"verdict\":\"pass\"}\n", random.IntN(9), token(32))
			text.WriteString(base64.StdEncoding.EncodeToString(token(99)))
			fmt.Fprintf(&tree, "100644 record-%04d.json\x00%s", random.IntN(9999), token(20))
			runs.Write(bytes.Repeat(token(1+random.IntN(40)), 1+random.IntN(80)))
		}
		for _, data := range []*bytes.Buffer{&json, &text, &tree, &runs} {
			for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
				var packed bytes.Buffer
				z, err := zlib.NewWriterLevel(&packed, level)
				if err != nil {
					panic(err)
				}
				data := data.Bytes()[:size]
				_, _ = z.Write(data[:size/2]) // to a buffer, as what follows
				if level%2 == 0 {
					_ = z.Flush()
				}
				_, _ = z.Write(data[size/2:])
				_ = z.Close()
				all = append(all, packed.Bytes())
			}
		}
	}
	return all
}

func TestSamples(t *testing.T) {
	var d Decoder
	for _, src := range samples(0, 1, 2, 7, 30, 258, 259, 700, 5000, 100_000) {
		agree(t, &d, src)
		agree(t, &d, append(bytes.Clone(src), src...))
	}
}

// No bit of a stream can be another, and no byte be missing, but that the standard
// library sees it as well.
func TestDamage(t *testing.T) {
	var streams [][]byte
	for i, src := range samples(40, 250) {
		if i%5 == 0 {
			streams = append(streams, src)
		}
	}
	for _, src := range handMade() {
		if len(src) < 2000 {
			streams = append(streams, src)
		}
	}
	var d Decoder
	for _, src := range streams {
		size := len(src)
		whole, _, err := standard(src, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for n := range size {
			if _, err := d.Zlib(whole, src[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes of %x: %v", n, src, err)
			}
		}
		damaged := append(bytes.Clone(src), "what comes behind"...)
		for bit := range 8 * size {
			damaged[bit/8] ^= 1 << (bit % 8)
			agree(t, &d, damaged)
			agree(t, &d, damaged[:size])
			damaged[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// Nothing is allocated for a stream, and nothing of one is left for the next.
func TestAllocatesNothing(t *testing.T) {
	var d Decoder
	streams := samples(700)
	dst := make([]byte, 700)
	if n := testing.AllocsPerRun(10, func() {
		for _, src := range streams {
			if _, err := d.Zlib(dst, src); err != nil {
				t.Fatal(err)
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if d.src != nil || d.dst != nil {
		t.Error("it holds on to a stream")
	}
}

// FuzzZlib: the verdict is the standard library's over streams of anybody's making,
// and over deflated data of anybody's making with a head and checksum that fit.
func FuzzZlib(f *testing.F) {
	for _, src := range samples(30, 300) {
		f.Add(src, true)
		f.Add(src[2:], false)
	}
	for _, src := range handMade() {
		f.Add(src, true)
		f.Add(src[2:], false)
	}
	var d Decoder
	f.Fuzz(func(t *testing.T, data []byte, whole bool) {
		if !whole {
			from := bytes.NewReader(data)
			out, err := io.ReadAll(io.LimitReader(flate.NewReader(from), 1<<20))
			if err != nil {
				agree(t, &d, append([]byte{0x78, 0x9c}, data...))
				return
			}
			data = stream(data[:len(data)-from.Len()], string(out))
		}
		agree(t, &d, data)
	})
}
