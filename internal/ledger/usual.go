package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

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

// usualPayload is the payload of a line that is byte for byte as seal writes it
// and whose signature holds: nearly every line. False says nothing but that open
// must look.
func usualPayload(line []byte, keys Keys) ([]byte, bool) {
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
	if !ok || !ended || key == nil || !plain(id) {
		return nil, false
	}
	payload, ok := usualBase64(text)
	if !ok {
		return nil, false
	}
	signature, ok := usualBase64(signed)
	if !ok || len(signature) != ed25519.SignatureSize || !sign.VerifyEd25519(key, dsse.PAE(PayloadType, payload), signature) {
		return nil, false
	}
	return payload, true
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

// usualBase64 decodes base64 that is exactly what encoding gives.
func usualBase64(text []byte) ([]byte, bool) {
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	if err != nil || base64.StdEncoding.EncodedLen(n) != len(text) || bytes.ContainsAny(text, "\r\n") {
		return nil, false
	}
	return data[:n], true
}

// usualEntry reads the record of a payload that is byte for byte what its record
// encodes to. False says nothing but that strict and entryOf must look.
func usualEntry(payload []byte) (promotion.LedgerEntry, bool) {
	_, predicate, ok := bytes.Cut(payload, []byte(predicateBegin))
	if !ok || len(predicate) == 0 {
		return promotion.LedgerEntry{}, false
	}
	predicate = predicate[:len(predicate)-1]
	var r promotion.Record
	if !parseCanonical(string(predicate), &r) && json.Unmarshal(predicate, &r) != nil || r.Format != promotion.RecordFormat {
		return promotion.LedgerEntry{}, false
	}
	again := bytes.NewBuffer(make([]byte, 0, len(payload)+64))
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
