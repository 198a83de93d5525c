package report

import (
	"encoding/csv"
	"io"
	"strings"
)

// columns are the header of the CSV form. Later versions may add some at the end.
var columns = []string{
	"landed", "environment", "artifact", "from_version", "from_digest", "to_version", "to_digest", "how", "climbed_from", "proposed", "authorized",
	"causers", "approvers", "merged_by", "pull_request", "gates_passed", "gates_unmet", "policies", "outcome", "settled", "why", "commit", "ledger_commit",
	"statement", "places", "manual_changes", "adopted", "adopted_by", "adopted_why", "put_back",
	"announced", "announced_by", "announced_events", "source",
}

// WriteCSV writes one line for each release, with a header. Times are RFC 3339, UTC.
// Cells that a spreadsheet would take for a formula begin with an apostrophe.
func (a Audit) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	if err := c.Write(columns); err != nil {
		return err
	}
	for _, r := range a.Releases {
		row := r.cells()
		for i := range row {
			row[i] = cell(row[i])
		}
		if err := c.Write(row); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// cells are a release's, in the order of columns.
func (r *Release) cells() []string {
	var policies, places []string
	for _, p := range r.Policies {
		policies = append(policies, p.Path+" "+p.Digest)
	}
	for _, p := range r.Places {
		places = append(places, p.Path+" "+p.Locator)
	}
	announced := Announcement{}
	if r.Announced != nil {
		announced = *r.Announced
	}
	answer := Answer{}
	if r.Answer != nil {
		answer = *r.Answer
	}
	return []string{
		utc(r.Landed), string(r.Environment), string(r.Artifact), string(r.Before.Version), string(r.Before.Digest), string(r.After.Version), string(r.After.Digest),
		r.How, string(r.From), utc(r.Proposed), utc(r.Authorized), strings.Join(r.Causers, " "), approvers(r), r.MergedBy, number0(r.PullRequest),
		strings.Join(passed(r), " "), strings.Join(r.Unmet, " "), strings.Join(policies, "; "), r.Outcome, utc(r.Settled), r.Why,
		string(r.Commit), string(r.Ledger), r.Statement, strings.Join(places, "; "), string(answer.Rule), utc(answer.Adopted), answer.By, answer.Reason, utc(answer.PutBack),
		utc(announced.At), announced.By, eventWords(r.Announced), announced.source(),
	}
}

// cell makes outside text a cell that nothing takes for anything else: one line,
// and never a formula, whatever blanks stand before it.
func cell(s string) string {
	s = plain(s)
	first := strings.TrimSpace(s)
	if i := strings.IndexAny(first, "=+-@＝＋－＠"); i == 0 {
		return "'" + s
	}
	return s
}
