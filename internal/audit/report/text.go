package report

import (
	"encoding/csv"
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

// WriteText writes the history for a terminal, times in UTC and in the reader's
// zone.
func (h History) WriteText(w io.Writer, zone *time.Location) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "WHEN\tENVIRONMENT\tVERSION\tHOW\tBY\tAPPROVED BY\tPULL REQUEST\tOUTCOME\tWHY")
	for _, r := range h.Releases {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", moment(r.Landed, zone), r.Environment, valueWords(r.After), howWords(r),
			dash(r.MergedBy), dash(approvers(r)), pull(r.PullRequest), outcome(r), dash(plain(r.Why)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(h.Releases) == 0 {
		fmt.Fprintln(w, "nothing was ever released under this name")
	}
	if len(h.Withdrawn) > 0 {
		fmt.Fprintln(t, "\nNOT LANDED\tENVIRONMENT\tVERSION\tPULL REQUEST\tBY\tWHY")
	}
	for _, a := range h.Withdrawn {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", moment(a.Withdrawn, zone), a.Environment, valueWords(a.Value), pull(a.PullRequest), dash(a.By), dash(plain(a.Reason)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if !h.Holds {
		_, err := fmt.Fprintln(w, "\nThis repository's history does not hold: rung verify says why.")
		return err
	}
	return nil
}

// WriteText writes the audit for a terminal.
func (a Audit) WriteText(w io.Writer, zone *time.Location) error {
	fmt.Fprintf(w, "%s of %s, %s\n%s\n\n", a.Environment, plain(a.Repository), a.period(zone), a.verdict())
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range a.checklist() {
		fmt.Fprintf(t, "%s\t%s\t%s\n", row.Name, row.Value, row.Note)
	}
	fmt.Fprintln(t, "\nWHEN\tARTIFACT\tFROM\tTO\tHOW\tCAUSED BY\tAPPROVED BY\tMERGED BY\tOUTCOME\tEVIDENCE")
	for _, r := range a.Releases {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", moment(r.Landed, zone), r.Artifact, valueWords(r.Before), valueWords(r.After), howWords(r),
			dash(strings.Join(r.Causers, ", ")), dash(approvers(r)), dash(r.MergedBy), outcome(r), evidence(r))
	}
	if len(a.Withdrawn) > 0 {
		fmt.Fprintln(t, "\nNOT LANDED\tARTIFACT\tVERSION\tPULL REQUEST\tBY\tWHY")
	}
	for _, at := range a.Withdrawn {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", moment(at.Withdrawn, zone), at.Artifact, valueWords(at.Value), pull(at.PullRequest), dash(at.By), dash(plain(at.Reason)))
	}
	if len(a.Events) > 0 {
		fmt.Fprintln(t, "\nEVENTS\tKIND\tSUBJECT\tBY\tWHY")
	}
	for _, e := range a.Events {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", moment(e.At, zone), e.Kind, plain(e.Subject), dash(e.By), dash(plain(e.Reason)))
	}
	if len(a.Gaps) > 0 {
		fmt.Fprintln(t, "\nGAPS\tOBJECT\tARTIFACT\tEXPECTED\tFOUND")
	}
	for _, f := range a.Gaps {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", f.Code, f.Object, dash(string(f.Artifact)), f.Expected, f.Found)
	}
	return t.Flush()
}

// WriteCSV writes one line for each release, with a header. Cells that a
// spreadsheet would take for a formula begin with an apostrophe.
func (a Audit) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{{
		"landed", "environment", "artifact", "from_version", "from_digest", "to_version", "to_digest", "how", "climbed_from", "proposed", "authorized",
		"causers", "approvers", "merged_by", "pull_request", "gates_passed", "gates_unmet", "policies", "outcome", "settled", "why", "commit", "ledger_commit", "statement",
	}}
	for _, r := range a.Releases {
		var policies []string
		for _, p := range r.Policies {
			policies = append(policies, p.Path+" "+p.Digest)
		}
		rows = append(rows, []string{
			utc(r.Landed), string(r.Environment), string(r.Artifact), string(r.Before.Version), string(r.Before.Digest), string(r.After.Version), string(r.After.Digest),
			r.How, string(r.From), utc(r.Proposed), utc(r.Authorized), strings.Join(r.Causers, " "), approvers(r), r.MergedBy, number0(r.PullRequest),
			strings.Join(passed(r), " "), strings.Join(r.Unmet, " "), strings.Join(policies, "; "), r.Outcome, utc(r.Settled), plain(r.Why),
			string(r.Commit), string(r.Ledger), r.Statement,
		})
	}
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				row[i] = "'" + cell
			}
		}
	}
	if err := c.WriteAll(rows); err != nil {
		return err
	}
	return c.Error()
}

// check is one line that an auditor ticks off.
type check struct {
	Name, Value, Note string
	// Good is false where somebody should look.
	Good bool
}

func (a Audit) checklist() []check {
	c := a.Counts
	count := func(name string, n int, note string, good bool) check {
		return check{name, strconv.Itoa(n), note, good}
	}
	return []check{
		{"provenance coverage", fmt.Sprintf("%d %%", c.Coverage), fmt.Sprintf("%d of %d changes stand on a signed record (target 100 %%)", c.Attested, c.Changes), c.Coverage == 100 && a.Holds},
		count("promotions", c.Promotions, "", true),
		count("rollbacks", c.Rollbacks, "", true),
		count("changes by hand", c.ByHand, "versions that people changed without a promotion", c.ByHand == 0),
		count("overrides", c.Overrides, "merged by a person against unmet gates", c.Overrides == 0),
		count("approvals by the causer", c.SelfApproved, "somebody approved what they had caused", c.SelfApproved == 0),
		count("bad releases", c.Bad, "failed after they landed", c.Bad == 0),
		count("not settled", c.Unsettled, "releases whose verification has not ended, or was cut short", true),
		count("key events", c.KeyEvents, "changes of the keys that may sign", c.KeyEvents == 0),
		count("gaps", len(a.Gaps), "findings of the verification", len(a.Gaps) == 0),
	}
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

// plain is outside text for a line: no control characters, no line ends.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar {
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

func howWords(r *Release) string {
	if r.How == Promoted && r.From != "" {
		return "promotion from " + string(r.From)
	}
	return r.How
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
	return plain(strings.Join(all, ", "))
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
	if len(r.Unmet) > 0 {
		parts = append(parts, "UNMET: "+plain(strings.Join(r.Unmet, ", ")))
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
