package sign

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
)

// The parts of an SSHSIG in the one form that this package writes, as
// OpenSSH's PROTOCOL.sshsig has them; the key and the signature stand between.
const (
	wireKey    = "\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"
	wireBegin  = "SSHSIG\x00\x00\x00\x01\x00\x00\x00\x33" + wireKey
	wireMiddle = "\x00\x00\x00\x03git\x00\x00\x00\x00\x00\x00\x00\x06sha512\x00\x00\x00\x53\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x40"
	wireLength = len(wireBegin) + ed25519.PublicKeySize + len(wireMiddle) + ed25519.SignatureSize
	// signedBegin is what stands before the message's hash in what is signed.
	signedBegin = "SSHSIG\x00\x00\x00\x03git\x00\x00\x00\x00\x00\x00\x00\x06sha512\x00\x00\x00\x40"

	textLength   = (wireLength + 2) / 3 * 4
	armourLength = len(armourBegin) + textLength + (textLength+columns-1)/columns + len(armourEnd)
)

var strictBase64 = base64.StdEncoding.Strict()

// usualSignature is a signature in the form that rung and ssh-keygen write.
type usualSignature struct {
	signer PublicKey
	raw    [ed25519.SignatureSize]byte
}

// usual takes an armour apart that is byte for byte in that form: nearly all
// are. False says nothing but that parseArmour must look.
func usual(armoured string) (c usualSignature, ok bool) {
	if len(armoured) != armourLength || armoured[:len(armourBegin)] != armourBegin || armoured[armourLength-len(armourEnd):] != armourEnd {
		return c, false
	}
	var text [textLength]byte
	body := armoured[len(armourBegin) : armourLength-len(armourEnd)]
	for n := 0; len(body) > 0; {
		line := min(columns, len(body)-1)
		copy(text[n:], body[:line])
		if body[line] != '\n' {
			return c, false
		}
		n, body = n+line, body[line+1:]
	}
	// A strict decoder passes over line ends and nothing else, and a text with one
	// is too short for so many bytes.
	var wire [textLength / 4 * 3]byte
	if n, err := strictBase64.Decode(wire[:], text[:]); err != nil || n != wireLength {
		return c, false
	}
	at := wire[:wireLength]
	key, rest := at[len(wireBegin):][:ed25519.PublicKeySize], at[len(wireBegin)+ed25519.PublicKeySize:]
	if string(at[:len(wireBegin)]) != wireBegin || string(rest[:len(wireMiddle)]) != wireMiddle {
		return c, false
	}
	c.signer.raw = [ed25519.PublicKeySize]byte(key)
	c.raw = [ed25519.SignatureSize]byte(rest[len(wireMiddle):])
	return c, !c.signer.IsZero()
}

// signed appends what such a signature is made over.
func (usualSignature) signed(into, message []byte) []byte {
	sum := sha512.Sum512(message)
	return append(append(into, signedBegin...), sum[:]...)
}
