package ledger

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	vsav1 "github.com/in-toto/attestation/go/predicates/vsa/v1"
	attestation "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rungbot/rung/internal/promotion"
)

// every is one record of each kind, as Append completes them.
func every() map[string]promotion.Record {
	all := map[string]promotion.Record{}
	for _, k := range []promotion.RecordKind{promotion.RecordPropose, promotion.RecordAuthorize, promotion.RecordLand, promotion.RecordSettle, promotion.RecordWithdraw, promotion.RecordAdopt, promotion.RecordAnnounce} {
		all[string(k)] = about(k, devCheckout, "1.0.0")
	}
	all["rollback"] = about(promotion.RecordPropose, prodCheckout, "1.0.0")
	for name, r := range map[string]promotion.Record{
		"adopt of a range": {Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{From: commitA, To: commitB}},
		"quarantine":       {Kind: promotion.RecordQuarantine, Digest: digestOf("bad"), Children: []promotion.Digest{digestOf("child")}, Reason: "it leaks\tand | hurts"},
		"unquarantine":     {Kind: promotion.RecordUnquarantine, Digest: digestOf("bad"), Reason: "<b>fine</b> \u2028 &"},
		"freeze":           {Kind: promotion.RecordFreeze, Scope: "+all", Until: issued.Add(time.Hour), Base: promotion.RecordBase{Ref: "refs/heads/main", Judged: commitA}},
		"unfreeze":         {Kind: promotion.RecordUnfreeze, Scope: "dev/checkout", Base: promotion.RecordBase{Ref: "refs/heads/main", Judged: commitA}},
		"unpinned adopt":   {Kind: promotion.RecordAdopt, Environment: "dev", Artifact: &promotion.RecordArtifact{Name: "checkout", Version: "1.0.0"}, Landed: &promotion.RecordLanded{Commit: commitB, Method: "merge"}},
	} {
		all[name] = r
	}
	all["everything"] = whole()
	for name, r := range all {
		r.Format, r.IssuedAt, r.Builder.Version = promotion.RecordFormat, issued.Add(123*time.Millisecond), "1.2.3"
		r.Repository = promotion.RecordRepository{URI: "https://forge.example/acme/gitops", ID: 42, App: 7}
		all[name] = r
	}
	return all
}

// whole is a land with every field that a judgement leaves, its instants not yet in
// whole seconds.
func whole() promotion.Record {
	at, zone := issued.Add(1500*time.Millisecond), time.FixedZone("", 7200)
	r := about(promotion.RecordLand, devCheckout, "1.0.0")
	r.Announced, r.Authorized = "sha256:a", "sha256:b"
	r.Files = []promotion.RecordFile{{Path: "environments/dev/kustomization.yaml", Before: commitA, After: commitB}}
	r.Events = []promotion.RecordEvent{{Event: "release", Delivery: "1-2", At: at.In(zone), Publisher: "acme/checkout", PublisherID: 9, Sender: promotion.Person{ID: 3, Login: "carol"}, Digest: digestOf("1.0.0"), SourceRepository: "acme/checkout", SourceCommit: string(commitA)}}
	r.Approvals = []promotion.RecordApproval{{Person: promotion.Person{ID: 1, Login: "ada"}, Permission: "admin", Teams: []string{"acme/sre"}, Commit: commitA, Review: 77, At: at}}
	r.Gates[0].ObservedAt = at
	r.Inputs = []promotion.RecordInput{{URI: "oci://ghcr.io/acme/checkout", Digest: string(digestOf("attestation")), Verifier: "cosign", Result: "PASSED"}}
	r.Facts = &promotion.RecordFacts{
		Version: 1, Now: at.In(zone), Repository: promotion.Repository{ID: 42, Owner: "acme", Name: "gitops"}, Rules: promotion.BranchRules{Known: true}, Holds: []string{"held"},
		PullRequest:  &promotion.PullRequestFacts{Number: 3, Head: commitA, Reviews: []promotion.ReviewFacts{{ID: 1, State: "approved", At: at, Access: &promotion.Access{Permission: "write"}}}, Checks: []promotion.CheckFacts{{Name: "ci", At: at}}},
		Predecessors: []promotion.PredecessorFacts{{Environment: "dev", Landed: at, SettledAt: at, SoakEnds: at, Health: []promotion.HealthReading{{Status: promotion.StatusPass, At: at, Since: at}}}},
		Quarantined:  &promotion.Bar{Scope: "x", At: at}, Freezes: []promotion.Bar{{Scope: "+all", At: at, Until: at}},
	}
	r.Window = &promotion.RecordWindow{Began: at, Ended: at, Since: at, By: "x", Soak: time.Minute, Readings: []promotion.HealthReading{{At: at, Since: at}}}
	return r
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	p := newPen(t)
	for name, r := range every() {
		t.Run(name, func(t *testing.T) {
			line, digest, err := Encode(r, p)
			if err != nil {
				t.Fatal(err)
			}
			e, err := Decode(line, p.keys())
			if err != nil {
				t.Fatalf("%v\n%s", err, payloadOf(t, line))
			}
			if want := normalise(r); !reflect.DeepEqual(e.Record, want) {
				t.Errorf("got\n%+v\nwant\n%+v", e.Record, want)
			}
			if e.Statement != digest || digest != Digest(payloadOf(t, line)) {
				t.Errorf("the statement is %s, Encode said %s", e.Statement, digest)
			}
			again, _, err := Encode(e.Record, p)
			if err != nil || !bytes.Equal(again, line) {
				t.Errorf("encoded again it is\n%s\nwas\n%s", again, line)
			}
			if bytes.ContainsAny(line, "\n ") {
				t.Errorf("the line is not compact: %s", line)
			}
		})
	}
}

// TestTextThatIsNoUTF8: whatever stands in a record, it can be read back.
func TestTextThatIsNoUTF8(t *testing.T) {
	p := newPen(t)
	for name, r := range every() {
		r.Reason, r.Builder.Version, r.Policies = "a\xff\xfe b \\ufffd \ufffd", "1\xc3", []promotion.RecordPolicy{{Path: "policies/\xe2\x82.yaml", Digest: "sha256:\xff"}}
		line, _, read, err := encode(r, p)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Decode(line, p.keys())
		if err != nil || !strings.HasPrefix(e.Record.Reason, "a\ufffd\ufffd b ") {
			t.Errorf("%s: %v, %q", name, err, e.Record.Reason)
		}
		if r.Kind != promotion.RecordLand {
			continue
		}
		vsa, err := summary(read, p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeFile([]byte(string(line)+"\n"+string(vsa)+"\n"), p.keys()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func payloadOf(t testing.TB, line []byte) []byte {
	t.Helper()
	var env envelope
	if err := json.Unmarshal(line, &env); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// TestInTotoConformance reads every record with the in-toto project's own types.
func TestInTotoConformance(t *testing.T) {
	p := newPen(t)
	for name, r := range every() {
		t.Run(name, func(t *testing.T) {
			line, _, err := Encode(r, p)
			if err != nil {
				t.Fatal(err)
			}
			var st attestation.Statement
			if err := protojson.Unmarshal(payloadOf(t, line), &st); err != nil {
				t.Fatal(err)
			}
			if err := st.Validate(); err != nil {
				t.Error(err)
			}
			if st.GetType() != attestation.StatementTypeUri || st.GetPredicateType() != PredicateType || len(st.GetSubject()) != 1 {
				t.Errorf("type %s, predicate type %s, %d subjects", st.GetType(), st.GetPredicateType(), len(st.GetSubject()))
			}
			if r.Artifact != nil && r.Artifact.Digest != "" && "sha256:"+st.GetSubject()[0].GetDigest()["sha256"] != string(r.Artifact.Digest) {
				t.Errorf("the subject is %v, the artifact %s", st.GetSubject()[0], r.Artifact.Digest)
			}
			// And a stock DSSE verifier accepts the envelope.
			var env dsse.Envelope
			if err := json.Unmarshal(line, &env); err != nil {
				t.Fatal(err)
			}
			sig, err := base64.StdEncoding.DecodeString(env.Signatures[0].Sig)
			if err != nil || !ed25519.Verify(p.keys()[p.KeyID()], dsse.PAE(env.PayloadType, payloadOf(t, line)), sig) {
				t.Errorf("the signature does not hold: %v", err)
			}
		})
	}
}

func TestVerificationSummary(t *testing.T) {
	p := newPen(t)
	for name, c := range map[string]struct {
		unmet []string
		want  string
	}{"every gate met": {nil, "PASSED"}, "a gate not met": {[]string{"approval"}, "FAILED"}} {
		t.Run(name, func(t *testing.T) {
			r := every()["land"]
			landed := *r.Landed
			landed.Unmet, r.Landed = c.unmet, &landed
			line, err := summary(r, p)
			if err != nil {
				t.Fatal(err)
			}
			var st attestation.Statement
			if err := protojson.Unmarshal(payloadOf(t, line), &st); err != nil {
				t.Fatal(err)
			}
			if err := st.Validate(); err != nil || st.GetPredicateType() != VSAPredicateType {
				t.Errorf("%v, predicate type %s", err, st.GetPredicateType())
			}
			predicate, err := protojson.Marshal(st.GetPredicate())
			if err != nil {
				t.Fatal(err)
			}
			var vsa vsav1.VerificationSummary
			if err := protojson.Unmarshal(predicate, &vsa); err != nil {
				t.Fatal(err)
			}
			if vsa.GetVerificationResult() != c.want || vsa.GetVerifier().GetId() != VerifierID || vsa.GetResourceUri() != "git+https://forge.example/acme/gitops#environments/dev" {
				t.Errorf("the summary is %v", &vsa)
			}
			if !vsa.GetTimeVerified().AsTime().Equal(issued) || len(vsa.GetVerifiedLevels()) != 0 || len(vsa.GetPolicy().GetDigest()["sha256"]) != 64 {
				t.Errorf("the summary is %v", &vsa)
			}
			if "sha256:"+st.GetSubject()[0].GetDigest()["sha256"] != string(r.Artifact.Digest) {
				t.Errorf("its subject is %v", st.GetSubject())
			}
		})
	}
}

// TestOneCanonicalForm changes an envelope in every way that a stock verifier
// would let pass. Each must be refused, also where the signature still holds.
func TestOneCanonicalForm(t *testing.T) {
	p := newPen(t)
	r := every()["land"]
	line, _, err := Encode(r, p)
	if err != nil {
		t.Fatal(err)
	}
	payload := payloadOf(t, line)
	var env envelope
	if err := json.Unmarshal(line, &env); err != nil {
		t.Fatal(err)
	}
	// resealed signs another payload in a perfect envelope.
	resealed := func(payload string) string {
		sig, err := p.SignBytes(dsse.PAE(PayloadType, []byte(payload)))
		if err != nil {
			t.Fatal(err)
		}
		out, err := marshal(envelope{PayloadType, base64.StdEncoding.EncodeToString([]byte(payload)), []signature{{p.KeyID(), base64.StdEncoding.EncodeToString(sig)}}})
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if _, err := Decode([]byte(resealed(string(payload))), p.keys()); err != nil {
		t.Fatal("the test's own sealing is not perfect:", err)
	}
	in := func(old, new string) string {
		t.Helper()
		if !bytes.Contains(payload, []byte(old)) {
			t.Fatalf("the payload lacks %q", old)
		}
		return resealed(strings.Replace(string(payload), old, new, 1))
	}
	out := func(old, new string) string {
		t.Helper()
		if !bytes.Contains(line, []byte(old)) {
			t.Fatalf("the envelope lacks %q", old)
		}
		return strings.Replace(string(line), old, new, 1)
	}
	sig := `{"keyid":"` + env.Signatures[0].KeyID + `","sig":"` + env.Signatures[0].Sig + `"}`
	urlSafe := strings.NewReplacer("+", "-", "/", "_").Replace(env.Payload)
	for name, c := range map[string]struct {
		line string
		want error
	}{
		// of the envelope
		"fields in another order":         {`{"payload":"` + env.Payload + `","payloadType":"` + PayloadType + `","signatures":[` + sig + `]}`, ErrMalformed},
		"a space":                         {out(`","payload"`, `", "payload"`), ErrMalformed},
		"a space before":                  {" " + string(line), ErrMalformed},
		"a line feed behind":              {string(line) + "\n", ErrMalformed},
		"something behind":                {string(line) + "{}", ErrMalformed},
		"url-safe base64":                 {out(env.Payload, urlSafe+map[bool]string{true: "-_"}[urlSafe == env.Payload]), ErrMalformed},
		"a line feed in the base64":       {out(env.Payload, env.Payload[:8]+`\n`+env.Payload[8:]), ErrMalformed},
		"no padding":                      {out(env.Signatures[0].Sig, strings.TrimRight(env.Signatures[0].Sig, "=")), ErrMalformed},
		"a signature of 66 bytes":         {out(env.Signatures[0].Sig, strings.Repeat("A", 88)), ErrSignature},
		"a signature of 65 bytes":         {out(env.Signatures[0].Sig, strings.Repeat("A", 87)+"="), ErrSignature},
		"loose bits in the base64":        {out(env.Signatures[0].Sig, loosen(env.Signatures[0].Sig)), ErrMalformed},
		"a second signature":              {out(sig, sig+","+sig), ErrMalformed},
		"no signature":                    {out(sig, ""), ErrMalformed},
		"null signatures":                 {out("["+sig+"]", "null"), ErrMalformed},
		"no key id":                       {out(`"keyid":"`+env.Signatures[0].KeyID+`",`, ""), ErrMalformed},
		"an empty key id":                 {out(env.Signatures[0].KeyID, ""), ErrSignature},
		"another key's id":                {out(env.Signatures[0].KeyID, newPen(t).KeyID()), ErrSignature},
		"an unknown field":                {out(`{"payloadType"`, `{"certificate":"","payloadType"`), ErrMalformed},
		"an unknown field in a signature": {out(`"sig":`, `"extra":"","sig":`), ErrMalformed},
		"a field twice":                   {out(`{"payloadType"`, `{"payloadType":"x","payloadType"`), ErrMalformed},
		"a field in another case":         {out(`"payload"`, `"Payload"`), ErrMalformed},
		"an escaped letter":               {out(`"payloadType":"application`, `"payloadType":"\u0061pplication`), ErrMalformed},
		"another payload type":            {out(PayloadType, "application/json"), ErrMalformed},
		"an array":                        {"[" + string(line) + "]", ErrMalformed},
		"nothing":                         {"", ErrMalformed},
		"a byte of the signature":         {out(env.Signatures[0].Sig[:4], flip(env.Signatures[0].Sig[:4])), ErrSignature},
		"a byte of the payload":           {out(env.Payload[40:44], flip(env.Payload[40:44])), ErrSignature},
		"more than is read":               {strings.Repeat("x", maxEnvelope+1), ErrMalformed},
		// of the statement, with a signature that holds
		"a space in the statement":   {in(`,"subject"`, `, "subject"`), ErrMalformed},
		"another statement type":     {in(StatementType, "https://in-toto.io/Statement/v0.1"), ErrMalformed},
		"another predicate type":     {in(PredicateType, "https://rung.dev/record/v2"), ErrMalformed},
		"a summary for a record":     {in(PredicateType, VSAPredicateType), ErrMalformed},
		"an unknown statement field": {in(`{"_type"`, `{"more":1,"_type"`), ErrMalformed},
		"another subject":            {in(string(r.Artifact.Digest)[7:], string(digestOf("other"))[7:]), ErrMalformed},
		"another subject's name":     {in(`"subject":[{"name":"`, `"subject":[{"name":"x`), ErrMalformed},
		"a second subject":           {in(`"subject":[`, `"subject":[{"name":"x","digest":{"sha256":"00"}},`), ErrMalformed},
		"no subject":                 {in(`"subject":[{`, `"subject":[],"x":[{`), ErrMalformed},
		// of the predicate
		"an unknown predicate field":     {in(`"format":1`, `"format":1,"more":1`), ErrMalformed},
		"predicate fields swapped":       {in(`"format":1,"kind":"land"`, `"kind":"land","format":1`), ErrMalformed},
		"a field twice in the predicate": {in(`"kind":"land"`, `"kind":"propose","kind":"land"`), ErrMalformed},
		"a newer format":                 {in(`"format":1`, `"format":2`), ErrNewer},
		"a newer format's field":         {in(`"format":1`, `"format":2,"more":1`), ErrNewer},
		"no format":                      {in(`"format":1`, `"format":0`), ErrMalformed},
		"a number as a float":            {in(`"format":1`, `"format":1.0`), ErrMalformed},
		"a fraction of a second":         {in(`"issuedAt":"2025-06-02T10:00:00Z"`, `"issuedAt":"2025-06-02T10:00:00.5Z"`), ErrMalformed},
		"another time zone":              {in(`"issuedAt":"2025-06-02T10:00:00Z"`, `"issuedAt":"2025-06-02T12:00:00+02:00"`), ErrMalformed},
		"an empty field written out":     {in(`"kind":"land"`, `"kind":"land","restores":""`), ErrMalformed},
		"an escaped character":           {in(`<ada@acme>`, `\u003cada@acme>`), ErrMalformed},
		"no UTF-8":                       {in(`<ada@acme>`, "\xff"), ErrMalformed},
		"something behind the statement": {resealed(string(payload) + " "), ErrMalformed},
		"a predicate that is null":       {in(`"predicate":{`, `"predicate":null,"x":{`), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if c.line == string(line) {
				t.Fatal("nothing is changed")
			}
			if e, err := Decode([]byte(c.line), p.keys()); !errors.Is(err, c.want) {
				t.Errorf("got %v, %+v; want %v", err, e, c.want)
			}
		})
	}
}

// loosen sets bits of a base64 text's last letter that decode to nothing.
func loosen(s string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	at := len(strings.TrimRight(s, "=")) - 1
	return s[:at] + string(letters[strings.IndexByte(letters, s[at])|1]) + s[at+1:]
}

// flip changes the first letter.
func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

func TestAWrongKeyIsRefused(t *testing.T) {
	p, other := newPen(t), newPen(t)
	line, _, err := Encode(every()["land"], p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(line, other.keys()); !errors.Is(err, ErrSignature) {
		t.Errorf("an unknown key: %v", err)
	}
	// Somebody else's key under the right name.
	if _, err := Decode(line, Keys{p.KeyID(): other.keys()[other.KeyID()]}); !errors.Is(err, ErrSignature) {
		t.Errorf("another key under its name: %v", err)
	}
	if _, err := Decode(line, nil); !errors.Is(err, ErrSignature) {
		t.Errorf("no keys: %v", err)
	}
}

func TestRecordFiles(t *testing.T) {
	p := newPen(t)
	all := every()
	line := func(r promotion.Record) string {
		l, _, err := Encode(r, p)
		if err != nil {
			t.Fatal(err)
		}
		return string(l)
	}
	vsa := func(r promotion.Record) string {
		l, err := summary(r, p)
		if err != nil {
			t.Fatal(err)
		}
		return string(l)
	}
	land, settle, propose := all["land"], all["settle"], all["propose"]
	failed := land
	failed.Landed = &promotion.RecordLanded{Commit: commitB, FirstParent: commitA, Method: "merge", Unmet: []string{"approval"}}
	other := land
	other.Environment = "prod"
	for name, c := range map[string]struct {
		lines []string
		want  int // records; -1: refused
	}{
		"a land":                            {[]string{line(land), vsa(land)}, 1},
		"a land that settled":               {[]string{line(land), vsa(land), line(settle)}, 2},
		"an adopt that settled":             {[]string{line(all["adopt"]), line(settle)}, 2},
		"a proposal":                        {[]string{line(propose)}, 1},
		"a land without its summary":        {[]string{line(land)}, -1},
		"a land with a record for summary":  {[]string{line(land), line(settle)}, -1},
		"a land with another's summary":     {[]string{line(land), vsa(other)}, -1},
		"a failed land that says it passed": {[]string{line(failed), vsa(land)}, -1},
		"a summary alone":                   {[]string{vsa(land)}, -1},
		"a summary of a proposal":           {[]string{line(propose), vsa(land)}, -1},
		"a summary twice":                   {[]string{line(land), vsa(land), vsa(land)}, -1},
		"an empty line":                     {[]string{line(land), vsa(land), ""}, -1},
		"too many lines":                    {[]string{line(land), vsa(land), line(settle), line(settle)}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			entries, err := DecodeFile([]byte(strings.Join(c.lines, "\n")+"\n"), p.keys())
			switch {
			case c.want < 0 && !errors.Is(err, ErrMalformed):
				t.Errorf("got %v, %d records", err, len(entries))
			case c.want >= 0 && (err != nil || len(entries) != c.want):
				t.Errorf("got %v, %d records, want %d", err, len(entries), c.want)
			}
		})
	}
	for _, data := range []string{"", line(propose), line(propose) + "\r\n", "\n" + line(propose) + "\n"} {
		if _, err := DecodeFile([]byte(data), p.keys()); !errors.Is(err, ErrMalformed) {
			t.Errorf("a file %.20q…: %v", data, err)
		}
	}
}

func TestARecordThatIsTooLargeIsNotWritten(t *testing.T) {
	r := every()["land"]
	r.Reason = strings.Repeat("x", maxEnvelope)
	if _, _, err := Encode(r, newPen(t)); err == nil || !strings.Contains(err.Error(), "larger than the limit") {
		t.Errorf("got %v", err)
	}
}

func TestAPenThatFails(t *testing.T) {
	if _, _, err := Encode(every()["land"], broken{newPen(t)}); err == nil || !strings.Contains(err.Error(), "no ink") {
		t.Errorf("got %v", err)
	}
}

// broken is a signer that can't sign.
type broken struct{ pen }

func (broken) SignBytes([]byte) ([]byte, error) { return nil, errors.New("no ink") }

func FuzzDecode(f *testing.F) {
	p := newPen(f)
	for _, r := range every() {
		line, _, err := Encode(r, p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line, false)
		f.Add(payloadOf(f, line), true)
	}
	f.Add([]byte(`{"payloadType":"","payload":"","signatures":[{}]}`), false)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://rung.dev/record/v1","predicate":{"format":1,"kind":"quarantine","repository":{"uri":"","id":0},"actor":{"kind":""},"digest":"x","issuedAt":"2025-06-02T10:00:00Z","builder":{"version":""}}}`), true)
	f.Fuzz(func(t *testing.T, data []byte, signed bool) {
		line := data
		if signed { // by the right key: what is inside must still be canonical
			sig, err := p.SignBytes(dsse.PAE(PayloadType, data))
			if err != nil {
				t.Fatal(err)
			}
			if line, err = marshal(envelope{PayloadType, base64.StdEncoding.EncodeToString(data), []signature{{p.KeyID(), base64.StdEncoding.EncodeToString(sig)}}}); err != nil {
				t.Fatal(err)
			}
		}
		e, err := Decode(line, p.keys())
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrSignature) && !errors.Is(err, ErrNewer) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		again, digest, err := Encode(e.Record, p)
		if err != nil || digest != e.Statement || !bytes.Equal(again, line) {
			t.Errorf("accepted, but encoded again it is another: %v\n%s\n%s", err, line, again)
		}
	})
}

func FuzzDecodeFile(f *testing.F) {
	p := newPen(f)
	land, _, err := Encode(every()["land"], p)
	if err != nil {
		f.Fatal(err)
	}
	vsa, err := summary(every()["land"], p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(string(land) + "\n" + string(vsa) + "\n"))
	f.Add([]byte(string(land) + "\n" + string(vsa)))
	f.Add([]byte("\n\n\n\n"))
	for _, r := range every() {
		line, _, err := Encode(r, p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(line, '\n'))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := DecodeFile(data, p.keys())
		if (err == nil) != (len(entries) > 0) {
			t.Errorf("%d records and %v", len(entries), err)
		}
		if err == nil {
			// Where it belongs, and where it does not.
			path, _ := pathOf(entries[0].Record)
			for _, at := range []string{path, LivePath(devCheckout), RangePath} {
				st := promotion.LedgerState{
					Live: map[promotion.Pair]promotion.LiveEntry{}, Open: map[promotion.Pair]promotion.LedgerEntry{}, Quarantine: map[promotion.Digest]promotion.LedgerEntry{},
					Freezes: map[string]promotion.LedgerEntry{}, Announced: map[promotion.Artifact][]promotion.LedgerEntry{},
				}
				if err := place(&st, at, entries); err == nil && at != path {
					t.Errorf("a %s record is taken at %s", entries[0].Record.Kind, at)
				}
				_, _ = linksOf(st), announcedIn(st)
			}
		}
	})
}
