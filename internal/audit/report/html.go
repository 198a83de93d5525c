package report

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
	"sync"
	"time"
)

//go:embed audit.html
var page string

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("audit").Funcs(template.FuncMap{
		"value": valueWords, "version": versionWords, "how": howWords, "outcome": outcome, "approvers": approvers, "source": sourceWords,
		"inc":     func(i int) int { return i + 1 },
		"brought": brought,
		"join":    func(all []string) string { return strings.Join(all, ", ") },
		"machine": utc,
		"human":   func(t time.Time) string { return moment(t, time.UTC) },
	}).Parse(page))
})

// WriteHTML writes the audit as one page that stands alone: it asks for nothing
// from anywhere, prints well, and lets an auditor tick off what was seen. Times are
// UTC; the reader's browser adds its own zone.
func (a Audit) WriteHTML(w io.Writer) error {
	var b strings.Builder
	err := pageTemplate().Execute(&b, struct {
		Audit
		Verdict   string
		Checklist []check
	}{a, a.verdict(), a.checklist()})
	if err != nil {
		return err
	}
	// The template escapes markup. What could still look like something else, such
	// as a change of the direction of writing, goes as well.
	lines := strings.Split(b.String(), "\n")
	for i, l := range lines {
		lines[i] = plain(l)
	}
	_, err = io.WriteString(w, strings.Join(lines, "\n"))
	return err
}

// brought is what somebody did to make a release live.
func brought(r *Release) string {
	if r.Method == "push" {
		return "pushed by"
	}
	return "merged by"
}
