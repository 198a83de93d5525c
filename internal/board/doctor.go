package board

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/rungbot/rung/internal/doctor"
)

// checkup is the last look of the doctor, as the page shows it.
type checkup struct {
	// At is when it was taken; Broken says why it can't be shown.
	At                 moment
	Broken             string
	Verdict            word
	Failures, Warnings int
	// Wrong are the lines that don't hold, failures first, Right the others.
	Wrong, Right   []finding
	Unjudged, Left []string
}

// finding is one line.
type finding struct {
	ID, Title, Subject, Sentence, Fix string
	State                             word
}

var verdicts = map[doctor.Status]word{
	doctor.OK:      {"●", "ok", "good"},
	doctor.Warning: {"◷", "warning", "wait"},
	doctor.Failure: {"▲", "failure", "bad"},
}

// examined reads the last look; nil where none was taken yet.
func (b *Board) examined(ctx context.Context) (*checkup, error) {
	views, err := b.c.Views.Views(ctx, doctor.ViewName)
	if err != nil || len(views) == 0 {
		return nil, err
	}
	return showCheckup(views[0].Data, views[0].At, b.c.Now()), nil
}

func showCheckup(data []byte, at, now time.Time) *checkup {
	c := &checkup{At: ago(at, now)}
	var r doctor.Report
	if err := json.Unmarshal(data, &r); err != nil {
		c.Broken = "what is kept of the last look can't be read (" + clean(err.Error()) + "); the next look makes it again"
		return c
	}
	c.Failures, c.Warnings = r.Count(doctor.Failure), r.Count(doctor.Warning)
	c.Verdict = healthWord(r.Status)
	c.Verdict.Text = r.Verdict()
	for _, status := range []doctor.Status{doctor.Failure, doctor.Warning, doctor.OK} {
		for _, l := range r.Lines {
			if l.Status != status {
				continue
			}
			f := finding{clean(l.ID), clean(l.Title), clean(l.Subject), clean(l.Sentence), clean(l.Fix), healthWord(l.Status)}
			if status == doctor.OK {
				c.Right = append(c.Right, f)
			} else {
				c.Wrong = append(c.Wrong, f)
			}
		}
	}
	for _, id := range r.Unjudged {
		c.Unjudged = append(c.Unjudged, clean(id))
	}
	for _, name := range r.Left {
		c.Left = append(c.Left, clean(name))
	}
	return c
}

// healthWord is a status in words; one that is not known is no ok.
func healthWord(s doctor.Status) word {
	w, known := verdicts[s]
	if !known {
		return word{"?", "unknown", "held"}
	}
	return w
}

// doctor is the page of the last look.
func (b *Board) doctor(w http.ResponseWriter, r *http.Request) {
	c, err := b.examined(r.Context())
	if err != nil {
		b.c.Log.Error().Err(err).Msg("the board could not read the doctor's report")
		b.send(w, r, http.StatusServiceUnavailable, page{Title: "Doctor · rung", Problem: "The last look could not be read; rung's log says why. rung doctor takes a look of its own."})
		return
	}
	if c == nil {
		b.send(w, r, http.StatusOK, page{Title: "Doctor · rung", Problem: "rung has not looked at itself yet: it does so when it has looked at every repository once."})
		return
	}
	b.send(w, r, http.StatusOK, page{Title: "Doctor · rung", Alone: true, Checkup: c})
}
