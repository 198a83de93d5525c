package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strconv"
	"sync"

	"github.com/rungbot/rung/internal/promotion"
)

// The parts of a line in the one form that seal writes.
const (
	envelopeBegin  = `{"payloadType":"` + PayloadType + `","payload":"`
	envelopeKey    = `","signatures":[{"keyid":"`
	envelopeSig    = `","sig":"`
	envelopeEnd    = `"}]}`
	statementBegin = `{"_type":"` + StatementType + `","subject":`
	recordBegin    = `,"predicateType":"` + PredicateType + `","predicate":`
	summaryBegin   = `,"predicateType":"` + VSAPredicateType + `","predicate":`
)

// usualReader reads lines in their usual form. Its buffers are used again and
// again, so the payload that it returns holds until the next line is read.
type usualReader struct {
	message   []byte                          // what is signed: the type, and the payload
	signature [ed25519.SignatureSize + 2]byte // as much as its base64 can hold
}

var usualReaders = sync.Pool{New: func() any { return new(usualReader) }}

// payload is the payload of a line that is byte for byte as seal writes it and
// whose signature holds: nearly every line. False says nothing but that open must
// look.
func (u *usualReader) payload(line []byte, d Decoder) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(envelopeBegin))
	if !ok || len(line) > maxEnvelope {
		return nil, false
	}
	text, rest, ok := bytes.Cut(rest, []byte(envelopeKey))
	if !ok {
		return nil, false
	}
	id, rest, ok := bytes.Cut(rest, []byte(envelopeSig))
	key := d.Keys[string(id)]
	signed, ended := bytes.CutSuffix(rest, []byte(envelopeEnd))
	if !ok || !ended || key == nil || plainLen(id) != len(id) || len(signed) != base64.StdEncoding.EncodedLen(ed25519.SignatureSize) || len(text)%4 != 0 {
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
	signature := u.signature[:ed25519.SignatureSize]
	if !usualBase64(signature, signed) || !d.verify(key, u.message, signature) {
		return nil, false
	}
	return u.message[head:], true
}

// usualEntry reads the record of a payload that is byte for byte what its record
// encodes to: parseRecord takes no other predicate, and the rest follows from the
// record. False says nothing but that strict and entryOf must look.
func usualEntry(payload []byte) (*promotion.LedgerEntry, bool) {
	subject, predicate, ok := cutStatement(payload, []byte(recordBegin))
	if !ok {
		return nil, false
	}
	e := new(promotion.LedgerEntry)
	if !parseRecord(string(predicate), &e.Record) || e.Record.Format != promotion.RecordFormat || !usualSubject(subject, &e.Record) {
		return nil, false
	}
	e.Statement = Digest(payload)
	return e, true
}

// cutStatement cuts a statement as seal writes it into its subject and predicate;
// begin stands between them.
func cutStatement(payload, begin []byte) (subject, predicate []byte, ok bool) {
	rest, begun := bytes.CutPrefix(payload, []byte(statementBegin))
	subject, predicate, ok = bytes.Cut(rest, begin)
	predicate, ended := bytes.CutSuffix(predicate, []byte("}"))
	return subject, predicate, begun && ok && ended
}

// usualSubject reports whether a text is what a record's subject encodes to.
func usualSubject(text []byte, r *promotion.Record) bool {
	name, algorithm, value := subjectOf(r)
	var space [512]byte
	want := append(append(space[:0], `[{"name":"`...), name...)
	want = append(append(want, `","digest":{"`...), algorithm...)
	want = append(append(want, `":"`...), value...)
	want = append(want, `"}}]`...)
	return bytes.Equal(text, want) && plainLen(name) == len(name) && plainLen(value) == len(value)
}

// usualSummary reports whether a payload is the verification summary of a land.
func usualSummary(payload []byte, land *promotion.Record) bool {
	subject, predicate, ok := cutStatement(payload, []byte(summaryBegin))
	if !ok || !usualSubject(subject, land) {
		return false
	}
	var space [1 << 10]byte
	want, plain := vsaOf(land).append(space[:0])
	return plain && bytes.Equal(predicate, want)
}

// usual reads a line in its usual form. False says nothing but that the long
// way must be gone.
func (d Decoder) usual(line []byte) (*promotion.LedgerEntry, bool) {
	u, _ := usualReaders.Get().(*usualReader)
	defer usualReaders.Put(u)
	payload, ok := u.payload(line, d)
	if !ok {
		return nil, false
	}
	return usualEntry(payload)
}

// usualSummary reports whether a line is, in its usual form, the verification
// summary of a land.
func (d Decoder) usualSummary(line []byte, land *promotion.Record) bool {
	u, _ := usualReaders.Get().(*usualReader)
	defer usualReaders.Put(u)
	payload, ok := u.payload(line, d)
	return ok && usualSummary(payload, land)
}
