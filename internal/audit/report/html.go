package report

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed audit.html
var page string

var pageTemplate = template.Must(template.New("audit").Funcs(template.FuncMap{
	"value": valueWords, "how": howWords, "outcome": outcome, "approvers": approvers,
	"join":    func(all []string) string { return strings.Join(all, ", ") },
	"machine": utc,
	"human":   func(t time.Time) string { return moment(t, time.UTC) },
}).Parse(page))

// WriteHTML writes the audit as one page that stands alone: it asks for nothing
// from anywhere, prints well, and lets an auditor tick off what was seen. Times are
// UTC; the reader's browser adds its own zone.
func (a Audit) WriteHTML(w io.Writer) error {
	return pageTemplate.Execute(w, struct {
		Audit
		Verdict   string
		Checklist []check
	}{a, a.verdict(), a.checklist()})
}
