package decide_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	vsav1 "github.com/in-toto/attestation/go/predicates/vsa/v1"
	attestation "github.com/in-toto/attestation/go/v1"
	"github.com/invopop/jsonschema"
	schemas "github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/typedoc"
)

var update = flag.Bool("update", false, "write docs/records.md and docs/records.schema.json anew")

// golden holds a generated document to what stands in docs, or writes it.
func golden(t *testing.T, name string, want []byte) {
	t.Helper()
	typedoc.Hold(t, *update, filepath.Join("../../docs", name), want, "go test ./internal/decide -run Records -update")
}

func words(t *testing.T) typedoc.Words {
	t.Helper()
	w, err := typedoc.Read("../promotion")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// example is a record of the chronicle, chosen for a document.
type example struct {
	title string
	line  string
	entry promotion.LedgerEntry
	// summary is a land's verification summary.
	summary string
}

// examples are one record of each kind, and more where a kind has several uses.
func examples(t *testing.T, c *chronicle) map[promotion.RecordKind][]example {
	t.Helper()
	of := func(k promotion.RecordKind, e promotion.Environment, v promotion.Version, more func(promotion.Record) bool) example {
		for _, entry := range c.entries {
			r := entry.Record
			if r.Kind == k && r.Environment == e && (v == "" || r.Artifact != nil && r.Artifact.Version == v) && (more == nil || more(r)) {
				x := example{entry: entry}
				x.line, x.summary = c.line(entry)
				return x
			}
		}
		t.Fatalf("the chronicle has no %s of %s in %s", k, v, e)
		return example{}
	}
	all := map[promotion.RecordKind][]example{
		promotion.RecordAnnounce:  {of(promotion.RecordAnnounce, "", "1.1.0", nil)},
		promotion.RecordPropose:   {of(promotion.RecordPropose, prod, "1.1.0", nil), of(promotion.RecordPropose, prod, "1.0.0", nil)},
		promotion.RecordAuthorize: {of(promotion.RecordAuthorize, prod, "1.1.0", nil)},
		promotion.RecordLand:      {of(promotion.RecordLand, prod, "1.1.0", nil)},
		promotion.RecordSettle:    {of(promotion.RecordSettle, dev, "1.1.0", nil)},
		promotion.RecordWithdraw:  {of(promotion.RecordWithdraw, prod, "", nil)},
		promotion.RecordAdopt: {
			of(promotion.RecordAdopt, dev, "1.0.0", nil), of(promotion.RecordAdopt, dev, "1.2.1", nil),
			of(promotion.RecordAdopt, "", "", func(r promotion.Record) bool { return r.Range != nil }),
		},
		promotion.RecordQuarantine:   {of(promotion.RecordQuarantine, prod, "", nil)},
		promotion.RecordUnquarantine: {of(promotion.RecordUnquarantine, "", "", nil)},
		promotion.RecordFreeze:       {of(promotion.RecordFreeze, "", "", nil)},
		promotion.RecordUnfreeze:     {of(promotion.RecordUnfreeze, "", "", nil)},
	}
	all[promotion.RecordPropose][0].title, all[promotion.RecordPropose][1].title = "a promotion", "a rollback"
	for i, title := range []string{"what was found when the ledger began", "a version changed by hand", "configuration changed by people"} {
		all[promotion.RecordAdopt][i].title = title
	}
	line, entry := rotated(t)
	all[promotion.RecordRotate] = []example{{line: line, entry: entry}}
	return all
}

// predicate is the record as it stands in its statement.
func (x example) predicate(t *testing.T) []byte {
	t.Helper()
	var st struct {
		Predicate json.RawMessage `json:"predicate"`
	}
	if err := json.Unmarshal(payloadOf(t, x.line), &st); err != nil {
		t.Fatal(err)
	}
	return st.Predicate
}

func recordsDocument(t *testing.T, c *chronicle, all map[promotion.RecordKind][]example) []byte {
	t.Helper()
	template, err := os.ReadFile("testdata/records.md")
	if err != nil {
		t.Fatal(err)
	}
	land := all[promotion.RecordLand][0]
	i := slices.IndexFunc(c.entries, func(e promotion.LedgerEntry) bool { return e.Statement == land.entry.Record.From.Statement })
	at, err := c.remote.Commit(t.Context(), c.commits[i]) // lands in staging, and goes on to prod
	if err != nil {
		t.Fatal(err)
	}
	replace := strings.NewReplacer(
		"{{format}}", fmt.Sprint(promotion.RecordFormat), "{{keepAnnounced}}", fmt.Sprint(ledger.KeepAnnounced),
		"{{kinds}}", kindSections(t, all), "{{types}}", typeSections(t),
		"{{envelope}}", all[promotion.RecordUnfreeze][0].line, "{{statement}}", pretty(t, payloadOf(t, all[promotion.RecordUnfreeze][0].line)),
		"{{summary}}", pretty(t, payloadOf(t, land.summary)), "{{commit}}", strings.TrimSuffix(at.Message, "\n"),
	)
	return []byte(replace.Replace(string(template)))
}

// kindSections are the kinds with their fields and examples.
func kindSections(t *testing.T, all map[promotion.RecordKind][]example) string {
	t.Helper()
	w, typ := words(t), reflect.TypeFor[promotion.Record]()
	var b strings.Builder
	table := func(names ...string) {
		b.WriteString("| field | type | | meaning |\n|---|---|---|---|\n")
		for _, f := range typedoc.Fields(typ) {
			name, _ := typedoc.JSONName(f)
			for i, list := range names {
				if slices.Contains(strings.Fields(list), name) {
					fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, typedoc.Name(f.Type), []string{"always", ""}[i], typedoc.Cell(w.Field(typ, f)))
				}
			}
		}
	}
	b.WriteString("Every record has:\n\n")
	table(common)
	for _, k := range allKinds {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", k.kind, k.meaning)
		table(k.always, k.may)
		for _, x := range all[k.kind] {
			title := x.title
			if title != "" {
				title = ": " + title
			}
			fmt.Fprintf(&b, "\nAn example%s, the predicate of statement `%s`:\n\n```json\n%s\n```\n", title, x.entry.Statement, pretty(t, x.predicate(t)))
		}
	}
	return b.String()
}

// typeSections are the tables of the types that fields have.
func typeSections(t *testing.T) string {
	t.Helper()
	seen := map[reflect.Type]bool{reflect.TypeFor[promotion.Record](): true}
	var roots []reflect.Type
	for _, f := range typedoc.Fields(reflect.TypeFor[promotion.Record]()) {
		if next := typedoc.Bare(f.Type); next.Kind() == reflect.Struct && next.PkgPath() == reflect.TypeFor[promotion.Record]().PkgPath() && !seen[next] {
			seen[next] = true
			roots = append(roots, next)
		}
	}
	return strings.ReplaceAll(words(t).Tables(seen, roots...), "\n## ", "\n### ")
}

// recordsSchema is the JSON Schema of a statement: each kind with the fields that
// it has, and no other.
func recordsSchema(t *testing.T) []byte {
	t.Helper()
	of := words(t).Schema(&promotion.Record{}, "")
	record := of.Definitions["Record"]
	delete(of.Definitions, "Record")
	predicate := &jsonschema.Schema{}
	for _, k := range allKinds {
		def := &jsonschema.Schema{Type: "object", Description: k.meaning, Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
		always, may := strings.Fields(common+" "+k.always), strings.Fields(k.may)
		for p := record.Properties.Oldest(); p != nil; p = p.Next() {
			switch {
			case p.Key == "kind":
				def.Properties.Set(p.Key, &jsonschema.Schema{Const: string(k.kind)})
			case slices.Contains(always, p.Key), slices.Contains(may, p.Key):
				def.Properties.Set(p.Key, p.Value)
			}
			if slices.Contains(always, p.Key) {
				def.Required = append(def.Required, p.Key)
			}
		}
		of.Definitions[string(k.kind)] = def
		predicate.OneOf = append(predicate.OneOf, &jsonschema.Schema{Ref: "#/$defs/" + string(k.kind)})
	}
	subject := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), Required: []string{"name", "digest"}, AdditionalProperties: jsonschema.FalseSchema}
	subject.Properties.Set("name", &jsonschema.Schema{Type: "string"})
	subject.Properties.Set("digest", &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "string"}})
	s := &jsonschema.Schema{
		Version: of.Version, Title: fmt.Sprintf("rung records, format %d: the statement in an envelope", promotion.RecordFormat), Type: "object",
		Properties: jsonschema.NewProperties(), Required: []string{"_type", "subject", "predicateType", "predicate"}, AdditionalProperties: jsonschema.FalseSchema,
		Definitions: of.Definitions,
	}
	one := uint64(1)
	s.Properties.Set("_type", &jsonschema.Schema{Const: ledger.StatementType})
	s.Properties.Set("subject", &jsonschema.Schema{Type: "array", Items: subject, MinItems: &one, MaxItems: &one})
	s.Properties.Set("predicateType", &jsonschema.Schema{Const: ledger.PredicateType})
	s.Properties.Set("predicate", predicate)
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func compiled(t *testing.T) *schemas.Schema {
	t.Helper()
	document, err := schemas.UnmarshalJSON(bytes.NewReader(recordsSchema(t)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := schemas.NewCompiler()
	if err := compiler.AddResource("records.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("records.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestRecordsDocument holds docs/records.md and its schema to the types and to what
// a chronicle records.
func TestRecordsDocument(t *testing.T) {
	c := teller(t)
	golden(t, "records.md", recordsDocument(t, c, examples(t, c)))
	golden(t, "records.schema.json", recordsSchema(t))
}

// TestRecordsAreStatements reads every record of the chronicle with the in-toto
// project's own types and with the schema, every summary as SLSA defines it, and
// every line with rung's own reader.
func TestRecordsAreStatements(t *testing.T) {
	c := teller(t)
	schema := compiled(t)
	seen := map[promotion.RecordKind]int{}
	check := func(x example) {
		seen[x.entry.Record.Kind]++
		payload := payloadOf(t, x.line)
		var st attestation.Statement
		if err := protojson.Unmarshal(payload, &st); err != nil {
			t.Fatal(err)
		}
		if err := st.Validate(); err != nil || st.GetPredicateType() != ledger.PredicateType {
			t.Errorf("%s: %v, predicate type %s", x.entry.Record.Kind, err, st.GetPredicateType())
		}
		document, err := schemas.UnmarshalJSON(bytes.NewReader(payload))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v\n%s", x.entry.Record.Kind, err, payload)
		}
		document.(map[string]any)["predicate"].(map[string]any)["extra"] = true
		if schema.Validate(document) == nil {
			t.Errorf("a %s record with a field that it doesn't have is taken", x.entry.Record.Kind)
		}
		if x.entry.Record.Kind == promotion.RecordLand {
			verified(t, x)
		}
	}
	for _, e := range c.entries {
		x := example{entry: e}
		x.line, x.summary = c.line(e)
		check(x)
	}
	line, e := rotated(t)
	check(example{line: line, entry: e})
	for _, k := range allKinds {
		if seen[k.kind] == 0 {
			t.Errorf("no %s record was looked at", k.kind)
		}
	}
}

// verified reads a land's summary as a SLSA Verification Summary v1: no field but
// that predicate's own, and what it says follows from the land.
func verified(t *testing.T, x example) {
	t.Helper()
	var st attestation.Statement
	if err := protojson.Unmarshal(payloadOf(t, x.summary), &st); err != nil {
		t.Fatal(err)
	}
	if err := st.Validate(); err != nil || st.GetPredicateType() != ledger.VSAPredicateType {
		t.Errorf("%v, predicate type %s", err, st.GetPredicateType())
	}
	predicate, err := protojson.Marshal(st.GetPredicate())
	if err != nil {
		t.Fatal(err)
	}
	var vsa vsav1.VerificationSummary
	if err := protojson.Unmarshal(predicate, &vsa); err != nil { // refuses unknown fields
		t.Fatal(err)
	}
	r := x.entry.Record
	if vsa.GetVerificationResult() != "PASSED" || vsa.GetVerifier().GetId() != ledger.VerifierID || !vsa.GetTimeVerified().AsTime().Equal(r.IssuedAt) ||
		vsa.GetResourceUri() != "git+"+r.Repository.URI+"#environments/"+string(r.Environment) || vsa.GetPolicy().GetUri() == "" ||
		"sha256:"+st.GetSubject()[0].GetDigest()["sha256"] != string(r.Artifact.Digest) || len(vsa.GetVerifiedLevels()) != 0 {
		t.Errorf("the summary of %s %s is %v", r.Artifact.Name, r.Artifact.Version, &vsa)
	}
}
