package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"sync"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// The parts of a line in the one form that seal writes.
const (
	envelopeBegin  = `{"payloadType":"` + PayloadType + `","payload":"`
	envelopeKey    = `","signatures":[{"keyid":"`
	envelopeSig    = `","sig":"`
	envelopeEnd    = `"}]}`
	statementBegin = `{"_type":"` + StatementType + `","subject":`
	predicateBegin = `,"predicateType":"` + PredicateType + `","predicate":`
)

// usualReader reads lines in their usual form. Its buffers are used again and
// again, so what it returns of a line holds until the next one is read.
type usualReader struct {
	message   []byte // what is signed: the type, and the payload
	signature [ed25519.SignatureSize]byte
	again     bytes.Buffer
}

var usualReaders = sync.Pool{New: func() any { return new(usualReader) }}

// payload is the payload of a line that is byte for byte as seal writes it and
// whose signature holds: nearly every line. False says nothing but that open must
// look.
func (u *usualReader) payload(line []byte, keys Keys) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(envelopeBegin))
	if !ok || len(line) > maxEnvelope {
		return nil, false
	}
	text, rest, ok := bytes.Cut(rest, []byte(envelopeKey))
	if !ok {
		return nil, false
	}
	id, rest, ok := bytes.Cut(rest, []byte(envelopeSig))
	key := keys[string(id)]
	signed, ended := bytes.CutSuffix(rest, []byte(envelopeEnd))
	if !ok || !ended || key == nil || !plain(id) || len(signed) != base64.StdEncoding.EncodedLen(ed25519.SignatureSize) || len(text)%4 != 0 {
		return nil, false
	}
	size := base64.StdEncoding.DecodedLen(len(text)) - bytes.Count(text[max(0, len(text)-2):], []byte("="))
	// DSSE's pre-authentication encoding.
	u.message = append(append(u.message[:0], "DSSEv1 "...), strconv.Itoa(len(PayloadType))...)
	u.message = append(append(u.message, ' '), PayloadType+" "...)
	u.message = append(strconv.AppendInt(u.message, int64(size), 10), ' ')
	head := len(u.message)
	u.message = slices.Grow(u.message, size+2)[:head+size]
	if !usualBase64(u.message[head:head+size:cap(u.message)], text) {
		return nil, false
	}
	if !usualBase64(u.signature[:], signed) || !sign.VerifyEd25519(key, u.message, u.signature[:]) {
		return nil, false
	}
	return u.message[head:], true
}

// plain reports whether text stands in JSON as it is.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// usualBase64 decodes base64 that is exactly what encoding so many bytes gives.
func usualBase64(into, text []byte) bool {
	n := len(into)
	if base64.StdEncoding.EncodedLen(n) != len(text) || bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 {
		return false
	}
	decoded, err := base64.StdEncoding.Strict().Decode(into[:min(cap(into), base64.StdEncoding.DecodedLen(len(text)))], text)
	return err == nil && decoded == n
}

// entry reads the record of a payload that is byte for byte what its record
// encodes to. False says nothing but that strict and entryOf must look.
func (u *usualReader) entry(payload []byte) (promotion.LedgerEntry, bool) {
	_, predicate, ok := bytes.Cut(payload, []byte(predicateBegin))
	if !ok || len(predicate) == 0 {
		return promotion.LedgerEntry{}, false
	}
	predicate = predicate[:len(predicate)-1]
	var r promotion.Record
	if !parseCanonical(string(predicate), &r) && json.Unmarshal(predicate, &r) != nil || r.Format != promotion.RecordFormat {
		return promotion.LedgerEntry{}, false
	}
	again := &u.again
	again.Reset()
	e := json.NewEncoder(again)
	e.SetEscapeHTML(false)
	again.WriteString(statementBegin)
	if e.Encode(subjectsOf(r)) != nil {
		return promotion.LedgerEntry{}, false
	}
	again.Truncate(again.Len() - 1) // the line feed
	again.WriteString(predicateBegin)
	if e.Encode(normalise(r)) != nil {
		return promotion.LedgerEntry{}, false
	}
	again.Truncate(again.Len() - 1)
	again.WriteByte('}')
	if !bytes.Equal(again.Bytes(), payload) {
		return promotion.LedgerEntry{}, false
	}
	return promotion.LedgerEntry{Record: r, Statement: Digest(payload)}, true
}

// usualSummary reports whether a payload is the verification summary of a land.
func usualSummary(payload []byte, land promotion.Record) bool {
	want, err := summaryOf(land)
	if err != nil {
		return false
	}
	wanted, err := marshal(want)
	return err == nil && bytes.Equal(payload, wanted)
}

// decodeUsual reads a line in its usual form. False says nothing but that the long
// way must be gone.
func decodeUsual(line []byte, keys Keys) (promotion.LedgerEntry, bool) {
	u, _ := usualReaders.Get().(*usualReader)
	defer usualReaders.Put(u)
	payload, ok := u.payload(line, keys)
	if !ok {
		return promotion.LedgerEntry{}, false
	}
	return u.entry(payload)
}

// summaryUsual reports whether a line is, in its usual form, the verification
// summary of a land.
func summaryUsual(line []byte, keys Keys, land promotion.Record) bool {
	u, _ := usualReaders.Get().(*usualReader)
	defer usualReaders.Put(u)
	payload, ok := u.payload(line, keys)
	return ok && usualSummary(payload, land)
}
