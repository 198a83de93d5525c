package doctor

import (
	"fmt"
	"io"
	"strings"
)

var signs = map[Status]string{OK: "ok", Warning: "warning", Failure: "FAILURE"}

// WriteText writes the report for people: what holds in one line each, what does not
// with what to do.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, l := range r.Lines {
		subject := ""
		if l.Subject != "" {
			subject = l.Subject + ": "
		}
		fmt.Fprintf(&b, "%-8s %-18s %s%s\n", signs[l.Status], l.ID, subject, l.Sentence)
		if l.Fix != "" {
			fmt.Fprintf(&b, "%27s → %s\n", "", l.Fix)
		}
	}
	if len(r.Unjudged) > 0 {
		fmt.Fprintf(&b, "Not judged, because of the above: %s.\n", list(r.Unjudged))
	}
	if len(r.Left) > 0 {
		fmt.Fprintf(&b, "Not looked at, because there are too many: %s. Name them to look.\n", list(r.Left))
	}
	fmt.Fprintf(&b, "%s: %s. docs/doctor.md says what each line means.\n", r.Verdict(), r.counts())
	_, err := io.WriteString(w, b.String())
	return err
}

// Verdict is the report in some words.
func (r *Report) Verdict() string {
	switch r.Code() {
	case 1:
		return "rung can't do all of its work"
	case 2:
		return "whether rung can work could not be seen whole"
	}
	if r.Status == Warning {
		return "rung can work, with warnings"
	}
	return "rung can work"
}

func (r *Report) counts() string {
	return fmt.Sprintf("%s, %s, %d ok", count(r.Count(Failure), "failure"), count(r.Count(Warning), "warning"), r.Count(OK))
}
