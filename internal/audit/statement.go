package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// maxRecordFile bounds a record file: a land, its summary and its settle.
const maxRecordFile = 1 << 20

// decodeRecords reads a record file: every line canonical and signed, a land
// followed by its verification summary. The Finding has only code and words.
func decodeRecords(data []byte, d ledger.Decoder) ([]*promotion.LedgerEntry, *Finding) {
	lines := bytes.Count(data, []byte("\n")) // each ends in one, or it is an error
	if len(data) > maxRecordFile || lines > 16 {
		return nil, &Finding{Code: StmtNonCanonical, Expected: "a few records", Found: fmt.Sprintf("%d bytes", len(data))}
	}
	entries, err := d.File(data)
	if err != nil {
		lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
		for _, line := range lines {
			if f := peek(line).hostile(); f != nil {
				return nil, f
			}
		}
		return nil, decodeFinding(lines, err)
	}
	for _, e := range entries {
		if f := formless(&e.Record); f != nil {
			return nil, f
		}
	}
	land := len(entries) > 0 && entries[0].Record.Kind == promotion.RecordLand
	if summaries := lines - len(entries); land != (summaries == 1) {
		return nil, &Finding{Code: VSAMismatch, Expected: "a verification summary behind a land, and only there", Found: fmt.Sprintf("%d records in %d lines", len(entries), lines)}
	}
	return entries, nil
}

// decodeBehind reads a record file that is another one with one more record
// behind it, as a settle comes behind a land: what stood there was read before.
// False says nothing but that decodeRecords must look.
func decodeBehind(old *recordFile, data []byte, d ledger.Decoder) ([]*promotion.LedgerEntry, bool) {
	if old == nil || len(old.entries) == 0 || !bytes.HasPrefix(data, old.data) || bytes.Count(data, []byte("\n")) > 3 {
		return nil, false
	}
	line, ended := bytes.CutSuffix(data[len(old.data):], []byte("\n"))
	if !ended || bytes.IndexByte(line, '\n') >= 0 {
		return nil, false
	}
	e, err := d.Decode(line)
	if err != nil || formless(&e.Record) != nil {
		return nil, false
	}
	entries := make([]*promotion.LedgerEntry, len(old.entries), len(old.entries)+1)
	for i, r := range old.entries {
		entries[i] = r.LedgerEntry
	}
	return append(entries, e), true
}

// formless finds digests that nothing may be computed from, and what a record
// lacks to be one of its kind.
func formless(r *promotion.Record) *Finding {
	digests := [2]promotion.Digest{r.Digest}
	if r.Artifact != nil {
		digests[1] = r.Artifact.Digest
	}
	for _, d := range digests {
		if d == "" {
			continue
		}
		if _, err := promotion.ParseDigest(string(d)); err != nil {
			return &Finding{Code: StmtNonCanonical, Expected: "a digest", Found: clip(err.Error())}
		}
	}
	if text := malformed(r); text != "" {
		return &Finding{Code: StmtNonCanonical, Expected: "a well-formed record", Found: clip(text)}
	}
	return nil
}

// decodeFinding names what ledger refused.
func decodeFinding(lines [][]byte, err error) *Finding {
	f := &Finding{Code: StmtNonCanonical, Expected: "a canonical, signed record", Found: clip(err.Error())}
	if errors.Is(err, ledger.ErrSignature) {
		f.Code = StmtSignature
		return f
	}
	for _, line := range lines {
		p := peek(line)
		switch {
		case p.payloadType != "" && p.payloadType != ledger.PayloadType,
			p.Type != "" && p.Type != ledger.StatementType,
			p.PredicateType != "" && p.PredicateType != ledger.PredicateType && p.PredicateType != ledger.VSAPredicateType:
			f.Code = StmtType
		case p.PredicateType == ledger.PredicateType && p.Predicate.Format > promotion.RecordFormat:
			f.Code, f.Expected, f.Found = RecordUnknown, fmt.Sprintf("record format %d", promotion.RecordFormat), fmt.Sprintf("format %d: use a newer rung", p.Predicate.Format)
		}
	}
	return f
}

// peeked is what a line claims to be, read without any care.
type peeked struct {
	payloadType   string
	Type          string `json:"_type"`
	PredicateType string `json:"predicateType"`
	Predicate     struct {
		Format   int              `json:"format"`
		Digest   promotion.Digest `json:"digest"`
		Artifact *struct {
			Digest promotion.Digest `json:"digest"`
		} `json:"artifact"`
	} `json:"predicate"`
}

func peek(line []byte) peeked {
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     []byte `json:"payload"`
	}
	var p peeked
	if json.Unmarshal(line, &e) == nil && json.Unmarshal(e.Payload, &p) != nil {
		p = peeked{}
	}
	p.payloadType = e.PayloadType
	return p
}

// hostile finds digests that nothing may be computed from.
func (p peeked) hostile() *Finding {
	digests := []promotion.Digest{p.Predicate.Digest}
	if p.Predicate.Artifact != nil {
		digests = append(digests, p.Predicate.Artifact.Digest)
	}
	for _, d := range digests {
		if d == "" {
			continue
		}
		if _, err := promotion.ParseDigest(string(d)); err != nil {
			return &Finding{Code: StmtNonCanonical, Expected: "a digest", Found: clip(err.Error())}
		}
	}
	return nil
}

// malformed says what a record lacks to be one of its kind, or holds against
// its grammar. Kinds that are not known are judged elsewhere.
func malformed(r *promotion.Record) string {
	if text := grammar(r); text != "" {
		return text
	}
	paired := r.Environment != "" && r.Artifact != nil
	switch r.Kind {
	case promotion.RecordPropose, promotion.RecordAuthorize, promotion.RecordWithdraw:
		if !paired {
			return "no environment or artifact"
		}
	case promotion.RecordLand:
		if !paired || r.Landed == nil {
			return "no environment, artifact or landed commit"
		}
	case promotion.RecordAdopt:
		if !paired && (r.Range == nil || r.Range.To == "") {
			return "neither a pair nor a range"
		}
	case promotion.RecordSettle:
		if !paired || r.Outcome != promotion.SettledGood && r.Outcome != promotion.SettledBad && r.Outcome != promotion.SettledInconclusive {
			return "no pair or outcome"
		}
	case promotion.RecordQuarantine, promotion.RecordUnquarantine:
		if r.Digest == "" {
			return "no digest"
		}
	case promotion.RecordFreeze, promotion.RecordUnfreeze:
		return scopeProblem(r.Scope)
	case promotion.RecordAnnounce:
		if r.Artifact == nil || r.Artifact.Version == "" {
			return "no artifact or version"
		}
	}
	return ""
}

// scopeProblem checks a freeze's scope, which becomes a path.
func scopeProblem(scope string) string {
	if scope == "+all" {
		return ""
	}
	env, art, paired := strings.Cut(scope, "/")
	if _, err := promotion.ParseEnvironment(env); err != nil {
		return err.Error()
	}
	if paired {
		if _, err := promotion.ParseArtifact(art); err != nil {
			return err.Error()
		}
	}
	return ""
}

// grammar checks every name, digest and id of a record.
func grammar(r *promotion.Record) string {
	var errs []error
	try := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	hash := func(hs ...promotion.Hash) {
		for _, h := range hs {
			if h != "" {
				_, err := promotion.ParseHash(string(h))
				try(err)
			}
		}
	}
	if r.Environment != "" {
		_, err := promotion.ParseEnvironment(string(r.Environment))
		try(err)
	}
	if a := r.Artifact; a != nil {
		_, err := promotion.ParseArtifact(string(a.Name))
		try(err)
		if a.Version != "" {
			_, err = promotion.ParseVersion(string(a.Version))
			try(err)
		}
	}
	hash(r.Base.Judged)
	if l := r.Landed; l != nil {
		hash(l.Commit, l.FirstParent)
		if l.Commit == "" {
			errs = append(errs, errors.New("no landed commit"))
		}
	}
	if p := r.PullRequest; p != nil {
		hash(p.Head, p.Tree, p.Parent)
	}
	if g := r.Range; g != nil {
		hash(g.From, g.To)
	}
	if p := r.Previous; p != nil {
		hash(p.Blob)
	}
	if err := errors.Join(errs...); err != nil {
		return err.Error()
	}
	return ""
}
