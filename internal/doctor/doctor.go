// Package doctor judges whether rung can work: from what was seen of this machine,
// of GitHub, of the App and of each repository it says, line by line, what holds, what
// does not, and what to do.
//
// State: none; Judge is a function of Facts, without I/O and without a clock.
// Invariants: a line is ok only where something was seen and holds: what could not be
// seen is a failure or a warning with the reason, or, where something before it has
// failed already, named as not judged. A line that does not hold says in one sentence
// what is the matter, and in another what to do. Its id is a promise.
//
// What it does not do: it asks nobody (package app looks), changes nothing, and judges
// no promotion: that is what gates do.
package doctor

import (
	"slices"
	"time"
)

// Status is how a line stands.
type Status string

// The statuses of a line.
const (
	// OK: it was seen, and it holds.
	OK Status = "ok"
	// Warning: rung works, and something about it is worse than it should be.
	Warning Status = "warning"
	// Failure: rung does not work, in whole or in part.
	Failure Status = "failure"
)

// Line is one thing that was judged.
type Line struct {
	// ID names what was judged; docs/doctor.md lists them all.
	ID string `json:"id"`
	// Title is the same in words.
	Title string `json:"title"`
	// Subject is what it is about, where there are several: an account, a repository
	// (owner/name), or an environment or an artifact in one.
	Subject string `json:"subject,omitempty"`
	// Status is ok, warning or failure.
	Status Status `json:"status"`
	// Unknown is true where it could not be seen.
	Unknown bool `json:"unknown,omitempty"`
	// Sentence says what is so.
	Sentence string `json:"sentence"`
	// Fix says what to do; absent where nothing has to be done.
	Fix string `json:"fix,omitempty"`
}

// Format is the version of the report's form.
const Format = 1

// ViewName and ViewKey are under which the last look of rung serve is kept beside the
// queue, for the board.
const (
	ViewName = "doctor"
	ViewKey  = "doctor"
)

// Report is what rung doctor found.
type Report struct {
	// Format is the version of this form: 1.
	Format int `json:"format"`
	// At is when it was looked.
	At time.Time `json:"at"`
	// Status is the worst of the lines.
	Status Status `json:"status"`
	// Brief is true for the look that rung serve takes by itself, which leaves out
	// what costs much to see: registries and the depth of rollbacks.
	Brief bool `json:"brief,omitempty"`
	// Lines are in the order of docs/doctor.md, those of one subject together.
	Lines []Line `json:"lines"`
	// Unjudged are the ids that were not judged because something before them failed.
	Unjudged []string `json:"unjudged,omitempty"`
	// Left are repositories that were not looked at, because there are too many.
	Left []string `json:"left,omitempty"`
}

// Count is how many lines have a status.
func (r *Report) Count(s Status) int {
	n := 0
	for _, l := range r.Lines {
		if l.Status == s {
			n++
		}
	}
	return n
}

// Code is the exit code: 0 where nothing fails, 1 where something does, and 2 where
// nothing that was seen fails, but something could not be seen that rung needs.
func (r *Report) Code() int {
	code := 0
	for _, l := range r.Lines {
		if l.Status == Failure && !l.Unknown {
			return 1
		}
		if l.Status == Failure {
			code = 2
		}
	}
	return code
}

// Seen is something that was looked at, or why it could not be seen.
type Seen[T any] struct {
	Value T
	// Problem says why it could not be seen; empty where it was.
	Problem string
	// Looked is false where nobody looked.
	Looked bool
}

// Saw is something that was seen.
func Saw[T any](v T) Seen[T] { return Seen[T]{Value: v, Looked: true} }

// Blind is something that could not be seen.
func Blind[T any](problem string) Seen[T] { return Seen[T]{Problem: problem, Looked: true} }

// See is what looking gave.
func See[T any](v T, err error) Seen[T] {
	if err != nil {
		return Blind[T](err.Error())
	}
	return Saw(v)
}

// Judge judges facts.
func Judge(f *Facts) Report {
	j := &judge{f: f, report: Report{Format: Format, At: f.Now.UTC(), Status: OK, Brief: f.Brief, Lines: []Line{}, Left: f.Left}}
	j.host()
	if j.github() && j.app() {
		j.installations()
		j.webhook()
		j.repositories()
		if f.Production {
			j.production()
		}
	}
	slices.SortFunc(j.report.Unjudged, func(a, b string) int { return position(a) - position(b) })
	for _, l := range j.report.Lines {
		if l.Status == Failure || l.Status == Warning && j.report.Status == OK {
			j.report.Status = l.Status
		}
	}
	return j.report
}

// judge is one Judge under way.
type judge struct {
	f      *Facts
	report Report
}

func (j *judge) line(id, subject string, s Status, sentence, fix string) {
	if s == OK {
		fix = ""
	}
	j.report.Lines = append(j.report.Lines, Line{ID: id, Title: title(id), Subject: subject, Status: s, Sentence: sentence, Fix: fix})
}

func (j *judge) ok(id, subject, sentence string) { j.line(id, subject, OK, sentence, "") }

// blind is a line about what could not be seen.
func (j *judge) blind(id, subject string, s Status, problem, fix string) {
	j.line(id, subject, s, "could not be seen: "+problem, fix)
	j.report.Lines[len(j.report.Lines)-1].Unknown = true
}

// unjudged names what a failure leaves without a judgement.
func (j *judge) unjudged(ids ...string) {
	for _, id := range ids {
		if !slices.Contains(j.report.Unjudged, id) {
			j.report.Unjudged = append(j.report.Unjudged, id)
		}
	}
}
