package gate

import (
	"fmt"
	"sort"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// retryLater is when something is asked again that could not be read.
const retryLater = time.Minute

// Checks passes when every check that the base branch requires is green on the
// head: the newest run of each, from the App that the rule names. Absent,
// running, skipped, neutral or unknown is pending; failed is a failure.
//
// app is the number of rung's own App. The check that rung itself posts
// (promotion.CheckName) is left out, or it would wait for itself: when the
// rule takes it from any App or from app. With app 0 (not known) the name
// alone decides.
func Checks(f *promotion.Facts, app int64) promotion.Verdict {
	v := promotion.Verdict{Gate: IDChecks, Status: promotion.StatusUnknown, Look: f.Now.Add(retryLater)}
	switch {
	case !f.Rules.Known:
		v.Sentence = "the base branch's rules could not be read, so that its required checks are not known"
		return v
	case f.PullRequest == nil:
		v.Status, v.Sentence, v.Look = promotion.StatusPending, "the pull request is not open yet", time.Time{}
		return v
	}
	var required []promotion.RequiredCheck
	for _, r := range f.Rules.RequiredChecks {
		if r.Name == promotion.CheckName && (r.App == 0 || app == 0 || r.App == app) {
			continue
		}
		required = append(required, r)
	}
	if len(required) == 0 {
		return promotion.Verdict{Gate: IDChecks, Status: promotion.StatusPass, Sentence: "the base branch requires no other check"}
	}
	if !f.PullRequest.ChecksComplete {
		v.Sentence = "the checks on the head could not be read whole"
		return v
	}
	var findings []finding
	for _, r := range required {
		findings = append(findings, requiredCheck(f, r, app))
	}
	out := combine(IDChecks, fmt.Sprintf("all %d required checks are green", len(required)), findings)
	if len(required) == 1 && out.Status == promotion.StatusPass {
		out.Sentence = fmt.Sprintf("the required check %s is green", Clip(required[0].Name, 100))
	}
	for _, c := range newest(f.PullRequest.Checks) {
		out.Evidence = append(out.Evidence, promotion.Evidence{Name: Clip(c.Name, 100), Value: Clip(c.State, 40), URL: c.URL, At: c.At})
	}
	return out
}

// newest keeps the newest run of each check and App, by name and App. Of two
// from the same instant the one that is not green is kept.
func newest(checks []promotion.CheckFacts) []promotion.CheckFacts {
	type key struct {
		name string
		app  int64
	}
	at := map[key]int{}
	var out []promotion.CheckFacts
	for _, c := range checks {
		k := key{c.Name, c.App}
		i, seen := at[k]
		switch {
		case !seen:
			at[k] = len(out)
			out = append(out, c)
		case c.At.After(out[i].At), c.At.Equal(out[i].At) && c.State != checkSuccess:
			out[i] = c
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Name != out[j].Name {
			return out[i].Name < out[j].Name
		}
		return out[i].App < out[j].App
	})
	return out
}

const checkSuccess = "success"

// requiredCheck judges one required check. A rule that takes any App wants
// every App's run of that name to be green.
func requiredCheck(f *promotion.Facts, r promotion.RequiredCheck, app int64) finding {
	label := Clip(r.Name, 100)
	var findings []finding
	elsewhere := false
	for _, c := range newest(f.PullRequest.Checks) {
		if c.Name != r.Name {
			continue
		}
		if r.App != 0 && c.App != r.App {
			elsewhere = true
			continue
		}
		findings = append(findings, checkRun(label, c))
	}
	switch {
	case len(findings) > 0:
		v := combine("", "", findings)
		return finding{status: v.Status, text: v.Sentence, look: v.Look}
	case r.Name == promotion.CheckName && app != 0:
		return finding{status: promotion.StatusPending, text: fmt.Sprintf("the base branch wants %s from App %d, but this rung is App %d; pin the required check to App %d", label, r.App, app, app)}
	case elsewhere:
		return finding{status: promotion.StatusPending, text: fmt.Sprintf("%s was posted, but not by App %d, which the base branch's rule names", label, r.App)}
	}
	return finding{status: promotion.StatusPending, text: label + " has not reported on this head yet"}
}

// checkRun judges one run by its state.
func checkRun(label string, c promotion.CheckFacts) finding {
	switch c.State {
	case checkSuccess:
		return finding{status: promotion.StatusPass}
	case "failure", "error", "timed_out", "startup_failure", "cancelled":
		return finding{status: promotion.StatusFail, text: fmt.Sprintf("%s failed (%s); run it again, or publish a version that passes", label, c.State)}
	case "skipped", "neutral":
		return finding{status: promotion.StatusPending, text: fmt.Sprintf("%s was %s, which is not a pass; let it run on promotion branches", label, c.State)}
	case "action_required":
		return finding{status: promotion.StatusPending, text: label + " waits for somebody to act on it"}
	case "pending", "queued", "in_progress", "requested", "waiting", "expected":
		return finding{status: promotion.StatusPending, text: label + " is still running"}
	}
	return finding{status: promotion.StatusPending, text: fmt.Sprintf("%s is %q, which is not a pass", label, Clip(c.State, 40))}
}
