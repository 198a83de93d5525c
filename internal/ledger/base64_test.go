package ledger

import (
	"bytes"
	"encoding/base64"
	"testing"
)

// checkBase64 holds usualBase64 to the library, for as many bytes as the text's
// padding lets it be asked for, and reports whether it took the text.
func checkBase64(t *testing.T, text []byte) (taken bool) {
	t.Helper()
	want, err := strictBase64.DecodeString(string(text))
	usual := err == nil && base64.StdEncoding.EncodeToString(want) == string(text)
	for short := range 3 {
		n := len(text)/4*3 - short
		if len(text)%4 != 0 || n < 0 {
			continue
		}
		for _, room := range []int{n, n + 1, n + 2, n + 9} {
			into := make([]byte, n, room)
			got := usualBase64(into, text)
			if got != (usual && len(want) == n && room >= n+short) || got && !bytes.Equal(into, want) {
				t.Fatalf("%q into %d bytes with room for %d: %t, %x; the library: %x, %v", text, n, room, got, into, want, err)
			}
			taken = taken || got
		}
	}
	return taken
}

// TestUsualBase64 tries every byte at every place of texts of some lengths, and all
// ends of odd letters.
func TestUsualBase64(t *testing.T) {
	data := []byte("\xff\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51\x55\x97\x61\x96\x9b\x71\xd7\x9f\x82\x18\xa3\x92\x59\xa7\xa2\x9a\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3\x5d\xb7\xe3\x9e\xbb\xf3\xdf\xbf")
	for n := range len(data) {
		text := []byte(base64.StdEncoding.EncodeToString(data[:n]))
		if !checkBase64(t, text) && n > 0 {
			t.Fatalf("%q is not taken", text)
		}
		for at, was := range text {
			for c := range 256 {
				text[at] = byte(c)
				checkBase64(t, text)
			}
			text[at] = was
		}
	}
	const odd = "AB/=-\n\r "
	for n := range 1 << 15 {
		end := make([]byte, 5)
		for i := range end {
			end[i] = odd[n>>(3*i)&7]
		}
		for _, before := range []string{"QQQ", "QQQQQQQ", "QQQQQQQQQQQ", "QQQQQQQQQQQQQQQ"} {
			checkBase64(t, append([]byte(before), end...))
		}
	}
}

func FuzzUsualBase64(f *testing.F) {
	for n := range 30 {
		f.Add([]byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(n)}, n))))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkBase64(t, text) })
}

func BenchmarkUsualBase64(b *testing.B) {
	into := bytes.Repeat([]byte(`"path":"environments/dev/kustomization.yaml","digest":"sha256:90d1c6f47ab2e538",`), 36)
	text := []byte(base64.StdEncoding.EncodeToString(into))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if !usualBase64(into, text) {
			b.Fatal("not taken")
		}
	}
}
