package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/rungbot/rung/internal/promotion"
)

// WriteJSON writes a document as indented JSON; times are UTC.
func WriteJSON(w io.Writer, document any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document)
}

// table writes rows of cells for a terminal. Every cell is outside text: none may
// end a line, move the cursor or colour anything.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)} }

// row writes cells; empty ones are dashes.
func (t table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = dash(plain(c))
	}
	fmt.Fprintln(t, strings.Join(cells, "\t"))
}

// head begins a part of the table.
func (t table) head(names string) { fmt.Fprintln(t, strings.ReplaceAll(names, "|", "\t")) }

// WriteText writes the history for a terminal, times in UTC and in the reader's
// zone.
func (h History) WriteText(w io.Writer, zone *time.Location) error {
	t := newTable(w)
	if len(h.Announced) > 0 {
		t.head("ANNOUNCED|BY|VERSION|DIGEST|EVENT|SOURCE|EVIDENCE")
		for _, a := range h.Announced {
			t.row(moment(a.At, zone), a.By, string(a.Value.Version), string(a.Value.Digest), eventWords(a), a.source(), "ledger "+a.Ledger.Short())
		}
		t.head("")
	}
	t.head("WHEN|ENVIRONMENT|VERSION|HOW|BY|APPROVED BY|PULL REQUEST|OUTCOME|WHY")
	for _, r := range h.Releases {
		t.row(moment(r.Landed, zone), string(r.Environment), valueWords(r.After), howWords(r), r.MergedBy, approvers(r), pull(r.PullRequest), outcome(r), why(r))
	}
	if len(h.Withdrawn) > 0 {
		t.head("\nNOT LANDED|ENVIRONMENT|VERSION|PULL REQUEST|BY|WHY")
	}
	for _, a := range h.Withdrawn {
		t.row(moment(a.Withdrawn, zone), string(a.Environment), valueWords(a.Value), pull(a.PullRequest), a.By, a.Reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(h.Releases) == 0 {
		fmt.Fprintln(w, "nothing was ever released under this name")
	}
	if !h.Holds {
		_, err := fmt.Fprintln(w, "\nThis repository's history does not hold: rung verify says why.")
		return err
	}
	return nil
}

// WriteText writes the audit for a terminal, times in UTC and in the reader's zone.
func (a Audit) WriteText(w io.Writer, zone *time.Location) error {
	fmt.Fprintf(w, "%s of %s, %s\n%s\n\n", plain(string(a.Environment)), plain(a.Repository), a.period(zone), plain(a.verdict()))
	t := newTable(w)
	for _, row := range a.checklist() {
		note := row.Note
		if len(row.Refs) > 0 {
			note += " (" + row.numbers() + ")"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", row.Name, row.Value, note)
	}
	t.head("\nNO|WHEN|ARTIFACT|FROM|TO|HOW|CAUSED BY|APPROVED BY|MERGED BY|OUTCOME|EVIDENCE|WHY")
	for i, r := range a.Releases {
		t.row(strconv.Itoa(i+1), moment(r.Landed, zone), string(r.Artifact), valueWords(r.Before), valueWords(r.After), howWords(r),
			strings.Join(r.Causers, ", "), approvers(r), r.MergedBy, outcome(r), evidence(r), why(r))
	}
	if len(a.Withdrawn) > 0 {
		t.head("\nNOT LANDED||ARTIFACT|VERSION|PULL REQUEST|BY|WHY")
	}
	for _, at := range a.Withdrawn {
		t.row(" ", moment(at.Withdrawn, zone), string(at.Artifact), valueWords(at.Value), pull(at.PullRequest), at.By, at.Reason)
	}
	if len(a.Events) > 0 {
		t.head("\nEVENTS||KIND|SUBJECT|BY|WHY")
	}
	for _, e := range a.Events {
		t.row(" ", moment(e.At, zone), string(e.Kind), until(e, zone), e.By, e.Reason)
	}
	if len(a.Gaps) > 0 {
		t.head("\nGAPS|OBJECT|ARTIFACT|EXPECTED|FOUND")
	}
	for _, f := range a.Gaps {
		t.row(string(f.Code), f.Object, string(f.Artifact), f.Expected, f.Found)
	}
	return t.Flush()
}

func (a Audit) period(zone *time.Location) string {
	since := "from the beginning"
	if !a.Since.IsZero() {
		since = "from " + moment(a.Since, zone)
	}
	return since + " until " + moment(a.Until, zone)
}

func (a Audit) verdict() string {
	trust := "trust on first use: compare the root with the published one"
	if a.Pinned {
		trust = "pinned by the reader"
	}
	judged := "The whole history was verified and holds"
	if !a.Holds {
		judged = "The history does NOT hold, or could not be judged whole: see the gaps"
	}
	return fmt.Sprintf("%s. Root key %s (%s); base %s, ledger %s.", judged, dash(a.Root), trust, dash(a.Base.Head.Short()), dash(a.Ledger.Head.Short()))
}

// until is an event's subject, with the end of a freeze.
func until(e Event, zone *time.Location) string {
	if e.Until.IsZero() {
		return e.Subject
	}
	return e.Subject + " until " + moment(e.Until, zone)
}

// plain is outside text for a line: no control or format characters, no line ends.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.C, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), r == unicode.ReplacementChar:
			return ' '
		}
		return r
	}, s)
}

func moment(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "–"
	}
	text := t.UTC().Format("2006-01-02 15:04:05 UTC")
	local := t.In(zone)
	if _, offset := local.Zone(); offset == 0 {
		return text
	}
	if local.YearDay() != t.UTC().YearDay() {
		return text + local.Format(" (2006-01-02 15:04 MST)")
	}
	return text + local.Format(" (15:04 MST)")
}

func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func valueWords(v promotion.Value) string {
	switch {
	case v.Version != "" && v.Digest != "":
		return string(v.Version) + " " + v.Digest.Short()
	case v.Version != "":
		return string(v.Version)
	case v.Digest != "":
		return v.Digest.Short()
	}
	return "–"
}

// versionWords is a value without the digest, where it has a version.
func versionWords(v promotion.Value) string {
	if v.Version != "" {
		v.Digest = ""
	}
	return valueWords(v)
}

func howWords(r *Release) string {
	switch {
	case r.How == Promoted && r.From != "":
		return "promotion from " + string(r.From)
	case r.Answer == nil:
		return r.How
	case !r.Answer.PutBack.IsZero():
		return r.How + ", put back"
	case !r.Answer.Adopted.IsZero():
		return r.How + ", adopted by " + r.Answer.By
	case r.Answer.Rule == promotion.ManualHold || r.Answer.Rule == promotion.ManualRevert:
		return r.How + ", not answered"
	}
	return r.How
}

// why is a release's reason, and the one with which a change by hand was adopted.
func why(r *Release) string {
	if r.Answer == nil || r.Answer.Reason == "" {
		return r.Why
	}
	return r.Why + "; adopted: " + r.Answer.Reason
}

func outcome(r *Release) string {
	switch {
	case r.Outcome != "":
		return r.Outcome
	case !r.Replaced.IsZero():
		return "replaced before it settled"
	}
	return "not settled"
}

// approvers are those who approved, each with what gave them the right.
func approvers(r *Release) string {
	all := make([]string, 0, len(r.Approvals))
	for _, a := range r.Approvals {
		right := a.Permission
		if len(a.Teams) > 0 {
			right = strings.Join(a.Teams, " ")
		}
		all = append(all, fmt.Sprintf("%s (%s)", a.Login, right))
	}
	return strings.Join(all, ", ")
}

func passed(r *Release) []string {
	var all []string
	for _, g := range r.Gates {
		if g.Status == promotion.StatusPass {
			all = append(all, g.Gate)
		}
	}
	return all
}

func evidence(r *Release) string {
	parts := []string{"ledger " + r.Ledger.Short()}
	if r.Commit != "" {
		parts = append(parts, "commit "+r.Commit.Short())
	}
	if r.PullRequest != 0 {
		parts = append(parts, pull(r.PullRequest))
	}
	if r.Announced != nil {
		parts = append(parts, "announced: "+eventWords(r.Announced))
	}
	if len(r.Unmet) > 0 {
		parts = append(parts, "UNMET: "+strings.Join(r.Unmet, ", "))
	}
	return strings.Join(parts, ", ")
}

func pull(n int) string {
	if n == 0 {
		return "–"
	}
	return "#" + strconv.Itoa(n)
}

func number0(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}
