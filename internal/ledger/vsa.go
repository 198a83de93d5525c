package ledger

import (
	"bytes"

	"github.com/rungbot/rung/internal/promotion"
)

// VerifierID names rung as a verifier in verification summaries.
const VerifierID = "https://rung.dev/verifier/v1"

type vsa struct {
	Verifier           vsaVerifier `json:"verifier"`
	TimeVerified       string      `json:"timeVerified"`
	ResourceURI        string      `json:"resourceUri"`
	Policy             vsaResource `json:"policy"`
	VerificationResult string      `json:"verificationResult"`
	VerifiedLevels     []string    `json:"verifiedLevels"`
}

type vsaVerifier struct {
	ID string `json:"id"`
}

type vsaResource struct {
	URI    string    `json:"uri"`
	Digest vsaDigest `json:"digest,omitzero"`
}

type vsaDigest struct {
	SHA256 string `json:"sha256"`
}

// summary is the SLSA Verification Summary of a land record, signed.
func summary(r promotion.Record, s Signer) ([]byte, error) {
	st, err := summaryOf(&r)
	if err != nil {
		return nil, err
	}
	line, _, err := seal(st, s)
	return line, err
}

func summaryOf(r *promotion.Record) (statement, error) {
	predicate, err := marshal(vsaOf(r))
	return statement{StatementType, subjectsOf(r), VSAPredicateType, predicate}, err
}

// vsaOf derives the summary from the land: PASSED when every gate was met,
// FAILED otherwise. No level is claimed. It is part of record format 1: a reader
// derives it again and compares.
func vsaOf(r *promotion.Record) vsa {
	result := "PASSED"
	if r.Landed == nil || len(r.Landed.Unmet) > 0 {
		result = "FAILED"
	}
	policy := vsaResource{URI: r.Repository.URI + "#rung.yaml"}
	if len(r.Policies) > 0 {
		var space [1 << 10]byte
		all := space[:0]
		for _, p := range r.Policies {
			all = append(append(all, p.Digest...), ' ')
			all = append(append(all, p.Path...), '\n')
		}
		policy.Digest.SHA256 = bare(Digest(all))
	}
	return vsa{
		Verifier:           vsaVerifier{VerifierID},
		TimeVerified:       second(r.IssuedAt).Format("2006-01-02T15:04:05Z"),
		ResourceURI:        "git+" + r.Repository.URI + "#environments/" + string(r.Environment),
		Policy:             policy,
		VerificationResult: result,
		VerifiedLevels:     []string{},
	}
}

// append adds what marshal writes of a summary. It is false where a string of it is
// not written as it stands.
func (v vsa) append(to []byte) (text []byte, plain bool) {
	plain = true
	add := func(form, value string) {
		to = append(append(to, form...), value...)
		plain = plain && plainLen(value) == len(value)
	}
	add(`{"verifier":{"id":"`, v.Verifier.ID)
	add(`"},"timeVerified":"`, v.TimeVerified)
	add(`","resourceUri":"`, v.ResourceURI)
	add(`","policy":{"uri":"`, v.Policy.URI)
	end := `"}`
	if digest := v.Policy.Digest.SHA256; digest != "" {
		add(`","digest":{"sha256":"`, digest)
		end = `"}}`
	}
	add(end+`,"verificationResult":"`, v.VerificationResult)
	return append(to, `","verifiedLevels":[]}`...), plain
}

// summary checks that a line is the signed verification summary of a land.
func (d Decoder) summary(line []byte, land *promotion.Record) error {
	if d.usualSummary(line, land) {
		return nil
	}
	st, _, err := d.open(line)
	if err != nil {
		return err
	}
	return isSummaryOf(st, land)
}

// isSummaryOf reports how a statement differs from the summary of a land.
func isSummaryOf(st statement, land *promotion.Record) error {
	want, err := summaryOf(land)
	if err != nil {
		return err
	}
	wanted, err := marshal(want)
	if err != nil {
		return err
	}
	if got, err := marshal(st); err != nil || !bytes.Equal(got, wanted) {
		return malformed("not the verification summary of the land record before it")
	}
	return nil
}
