package ledger

import (
	"encoding/base64"
	"encoding/binary"
)

var strictBase64 = base64.StdEncoding.Strict()

// noLetter is in base64Bits what no four letters make.
const noLetter = 1 << 24

// base64Bits are the bits that a letter of base64 stands for at each place among
// four: of the three bytes that they make together, the first one lowest.
var base64Bits = func() (bits [4][256]uint32) {
	for place := range bits {
		for c := range bits[place] {
			bits[place][c] = noLetter
		}
		for value, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
			three := uint32(value) << (18 - 6*place) //nolint:gosec // below 64
			bits[place][c] = three>>16 | three&0xff00 | three&0xff<<16
		}
	}
	return bits
}()

// usualBase64 decodes base64 that is exactly what encoding so many bytes gives, in
// little more than half the time of the library, to which it leaves the end. That
// wants room for whatever as much text can hold, or it panics; line feeds, which it
// passes over even where it is strict, leave too few bytes.
func usualBase64(into, text []byte) bool {
	n, room := len(into), base64.StdEncoding.DecodedLen(len(text))
	if base64.StdEncoding.EncodedLen(n) != len(text) || cap(into) < room {
		return false
	}
	into = into[:room]
	bits, seen := &base64Bits, uint32(0)
	for len(text) >= 20 && len(into) >= 14 {
		first := bits[0][text[0]] | bits[1][text[1]] | bits[2][text[2]] | bits[3][text[3]]
		second := bits[0][text[4]] | bits[1][text[5]] | bits[2][text[6]] | bits[3][text[7]]
		third := bits[0][text[8]] | bits[1][text[9]] | bits[2][text[10]] | bits[3][text[11]]
		fourth := bits[0][text[12]] | bits[1][text[13]] | bits[2][text[14]] | bits[3][text[15]]
		seen |= first | second | third | fourth
		binary.LittleEndian.PutUint64(into, uint64(first)|uint64(second)<<24)
		binary.LittleEndian.PutUint64(into[6:], uint64(third)|uint64(fourth)<<24)
		into, text, n = into[12:], text[16:], n-12
	}
	decoded, err := strictBase64.Decode(into, text)
	return seen < noLetter && err == nil && decoded == n
}
