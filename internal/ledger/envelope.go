package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// Types of the formats, as their specifications name them: in-toto Statement
// v1, DSSE v1.0.2, SLSA Verification Summary v1.
const (
	PayloadType      = "application/vnd.in-toto+json"
	StatementType    = "https://in-toto.io/Statement/v1"
	PredicateType    = "https://rung.dev/record/v1"
	VSAPredicateType = "https://slsa.dev/verification_summary/v1"
)

// maxEnvelope bounds one line of a record file: 64 KiB of evidence, encoded,
// with room for the rest.
const maxEnvelope = 256 << 10

type envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     string      `json:"payload"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

type statement struct {
	Type          string          `json:"_type"`
	Subject       []subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// Encode signs a record and returns its line, without the line feed, and the
// sha256 of its payload ("sha256:…"), which is how other records cite it. Times
// are cut to whole seconds, UTC.
func Encode(r promotion.Record, s Signer) (line []byte, digest string, err error) {
	line, digest, _, err = encode(r, s)
	return line, digest, err
}

// encode is Encode with the record as it was written.
func encode(r promotion.Record, s Signer) (line []byte, digest string, written promotion.Record, err error) {
	written, predicate, err := readable(r)
	if err != nil {
		return nil, "", written, err
	}
	line, digest, err = seal(statement{StatementType, subjectsOf(&written), PredicateType, predicate}, s)
	return line, digest, written, err
}

// Decoder reads the lines of records.
type Decoder struct {
	// Keys may have signed them.
	Keys Keys
	// Verify checks a signature of 64 bytes by one of the keys; nil: it is
	// sign.VerifyEd25519.
	Verify func(key ed25519.PublicKey, message, signature []byte) bool
}

func (d Decoder) verify(key ed25519.PublicKey, message, signature []byte) bool {
	if d.Verify == nil {
		return sign.VerifyEd25519(key, message, signature)
	}
	return d.Verify(key, message, signature)
}

// Decode reads a line that Encode made and checks its signature against keys.
func Decode(line []byte, keys Keys) (promotion.LedgerEntry, error) {
	e, err := Decoder{Keys: keys}.Decode(line)
	if err != nil {
		return promotion.LedgerEntry{}, err
	}
	return *e, nil
}

// Decode reads a line that Encode made and checks its signature.
func (d Decoder) Decode(line []byte) (*promotion.LedgerEntry, error) {
	if e, ok := d.usual(line); ok {
		return e, nil
	}
	st, digest, err := d.open(line)
	if err != nil {
		return nil, err
	}
	e, err := entryOf(st, digest)
	if err != nil {
		return nil, err
	}
	return &e, nil
}

// entryOf reads the record of a statement that open has checked.
func entryOf(st statement, digest string) (promotion.LedgerEntry, error) {
	if st.PredicateType != PredicateType {
		return promotion.LedgerEntry{}, malformed("predicateType %q, want %q", clip(st.PredicateType), PredicateType)
	}
	var r promotion.Record
	dec := json.NewDecoder(bytes.NewReader(st.Predicate))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		if newer := newerFormat(st.Predicate); newer != nil {
			return promotion.LedgerEntry{}, newer
		}
		return promotion.LedgerEntry{}, malformed("predicate: %v", err)
	}
	if r.Format > promotion.RecordFormat {
		return promotion.LedgerEntry{}, newerFormat(st.Predicate)
	}
	again, err := marshal(normalise(r))
	if err != nil || !bytes.Equal(again, st.Predicate) {
		return promotion.LedgerEntry{}, malformed("the predicate is not in canonical form")
	}
	if r.Format != promotion.RecordFormat {
		return promotion.LedgerEntry{}, malformed("record format %d; this rung reads format %d", r.Format, promotion.RecordFormat)
	}
	subjects, err := marshal(subjectsOf(&r))
	if err != nil {
		return promotion.LedgerEntry{}, err
	}
	stated, err := marshal(st.Subject)
	if err != nil || !bytes.Equal(subjects, stated) {
		return promotion.LedgerEntry{}, malformed("the subject is not the predicate's")
	}
	return promotion.LedgerEntry{Record: r, Statement: digest}, nil
}

// newerFormat is an error that says so where a predicate is of a format that this
// rung doesn't know.
func newerFormat(predicate []byte) error {
	var p struct {
		Format  int               `json:"format"`
		Builder promotion.Builder `json:"builder"`
	}
	if json.Unmarshal(predicate, &p) == nil && p.Format > promotion.RecordFormat {
		return fmt.Errorf("%w: a record of format %d by rung %s; this rung reads up to format %d", ErrNewer, p.Format, clip(p.Builder.Version), promotion.RecordFormat)
	}
	return nil
}

// seal encodes a statement and signs it.
func seal(st statement, s Signer) ([]byte, string, error) {
	payload, err := marshal(st)
	if err != nil {
		return nil, "", err
	}
	sig, err := s.SignBytes(dsse.PAE(PayloadType, payload))
	if err != nil {
		return nil, "", fmt.Errorf("sign statement: %w", err)
	}
	line, err := marshal(envelope{
		PayloadType: PayloadType,
		Payload:     base64.StdEncoding.EncodeToString(payload),
		Signatures:  []signature{{KeyID: s.KeyID(), Sig: base64.StdEncoding.EncodeToString(sig)}},
	})
	if err != nil {
		return nil, "", err
	}
	if len(line) > maxEnvelope {
		return nil, "", fmt.Errorf("a record of %d bytes is larger than the limit of %d", len(line), maxEnvelope)
	}
	return line, Digest(payload), nil
}

// open checks an envelope's form and signature and returns its statement.
func (d Decoder) open(line []byte) (statement, string, error) {
	var st statement
	if len(line) > maxEnvelope {
		return st, "", malformed("%d bytes, at most %d are read", len(line), maxEnvelope)
	}
	var env envelope
	if err := strict(line, &env); err != nil {
		return st, "", malformed("envelope: %v", err)
	}
	if env.PayloadType != PayloadType {
		return st, "", malformed("payloadType %q, want %q", clip(env.PayloadType), PayloadType)
	}
	if len(env.Signatures) != 1 {
		return st, "", malformed("%d signatures, want one", len(env.Signatures))
	}
	payload, err := unbase64(env.Payload)
	if err != nil {
		return st, "", malformed("payload: %v", err)
	}
	sig, err := unbase64(env.Signatures[0].Sig)
	if err != nil {
		return st, "", malformed("signature: %v", err)
	}
	key, known := d.Keys[env.Signatures[0].KeyID]
	if !known {
		return st, "", fmt.Errorf("%w: signed by %s, which is no key of this ledger", ErrSignature, clip(env.Signatures[0].KeyID))
	}
	if len(sig) != ed25519.SignatureSize || !d.verify(key, dsse.PAE(env.PayloadType, payload), sig) {
		return st, "", fmt.Errorf("%w: by key %s", ErrSignature, env.Signatures[0].KeyID)
	}
	if err := strict(payload, &st); err != nil {
		return st, "", malformed("statement: %v", err)
	}
	if st.Type != StatementType {
		return st, "", malformed("statement type %q, want %q", clip(st.Type), StatementType)
	}
	return st, Digest(payload), nil
}

// unbase64 decodes standard, padded base64 that must be exactly what encoding
// gives: Go's decoder passes over line feeds even where it is strict.
func unbase64(s string) ([]byte, error) {
	data, err := strictBase64.DecodeString(s)
	if err != nil {
		return nil, err
	}
	if base64.StdEncoding.EncodeToString(data) != s {
		return nil, fmt.Errorf("not in canonical form")
	}
	return data, nil
}

// strict decodes JSON that must be exactly what marshal gives for the value.
func strict[T any](data []byte, into *T) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	again, err := marshal(*into)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return fmt.Errorf("not in canonical form")
	}
	return nil
}

// marshal is compact JSON in field order, without HTML escaping.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Digest is "sha256:" and the hexadecimal SHA-256 of data.
func Digest(data []byte) string {
	const name = "sha256:"
	sum := sha256.Sum256(data)
	var text [len(name) + 2*sha256.Size]byte
	hex.Encode(text[copy(text[:], name):], sum[:])
	return string(text[:])
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// subjectsOf is the statement's subject in its only form: one, with one digest.
func subjectsOf(r *promotion.Record) []subject {
	name, algorithm, value := subjectOf(r)
	return []subject{{name, map[string]string{algorithm: value}}}
}

// subjectOf derives the statement's subject from its predicate: the artifact
// where there is one, the barred digest, or the repository itself.
func subjectOf(r *promotion.Record) (name, algorithm, value string) {
	switch {
	case r.Kind == promotion.RecordRotate:
		return SignersPath, "sha256", bare(Digest([]byte(r.Keys)))
	case r.Artifact != nil && r.Artifact.Digest != "":
		return nameOf(r.Artifact), "sha256", bare(string(r.Artifact.Digest))
	case r.Digest != "":
		return "digest", "sha256", bare(string(r.Digest))
	case r.Landed != nil:
		return r.Repository.URI, "gitCommit", string(r.Landed.Commit)
	case r.Range != nil:
		return r.Repository.URI, "gitCommit", string(r.Range.To)
	default:
		return r.Repository.URI, "gitCommit", string(r.Base.Judged)
	}
}

func nameOf(a *promotion.RecordArtifact) string {
	if a.PURL != "" {
		return a.PURL
	}
	return string(a.Name)
}

// bare is a digest without its algorithm.
func bare(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

// normalise cuts every time to whole seconds, UTC, and leaves no empty list.
func normalise(r promotion.Record) promotion.Record {
	r.IssuedAt = second(r.IssuedAt)
	r.Until = second(r.Until)
	r.Cause.At = second(r.Cause.At)
	r.Facts = r.Facts.Canonical()
	r.Gates = each(r.Gates, func(g promotion.RecordGate) promotion.RecordGate {
		g.ObservedAt = second(g.ObservedAt)
		g.Evidence = each(g.Evidence, func(e promotion.Evidence) promotion.Evidence {
			e.At = second(e.At)
			return e
		})
		return g
	})
	r.Approvals = each(r.Approvals, func(a promotion.RecordApproval) promotion.RecordApproval {
		a.At = second(a.At)
		return a
	})
	r.Events = each(r.Events, func(e promotion.RecordEvent) promotion.RecordEvent {
		e.At = second(e.At)
		return e
	})
	if w := r.Window; w != nil {
		c := *w
		c.Began, c.Ended, c.Since = second(w.Began), second(w.Ended), second(w.Since)
		c.Readings = each(w.Readings, promotion.HealthReading.Canonical)
		r.Window = &c
	}
	return r
}

// readable is a record, normalised, as it is read back, and its JSON: bytes that are no
// UTF-8 are replaced. JSON can't hold them, and what is written for them is read as something
// that is written otherwise, which no reader takes for canonical.
func readable(r promotion.Record) (promotion.Record, []byte, error) {
	r = normalise(r)
	text, err := marshal(r)
	if err != nil || !bytes.Contains(text, []byte(`\ufffd`)) {
		return r, text, err
	}
	var read promotion.Record
	if err := json.Unmarshal(text, &read); err != nil {
		return r, nil, err
	}
	read = normalise(read)
	text, err = marshal(read)
	return read, text, err
}

// each copies a list with one applied to each element; an empty list is nil.
func each[T any](list []T, one func(T) T) []T {
	if len(list) == 0 {
		return nil
	}
	out := make([]T, len(list))
	for i, e := range list {
		out[i] = one(e)
	}
	return out
}

func second(t time.Time) time.Time { return promotion.Second(t) }
