package audit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// LeftOut counts what a limited report doesn't show.
type LeftOut struct {
	// Environment and Since are the limits; empty and zero where there is none.
	Environment promotion.Environment `json:"environment,omitempty"`
	Since       time.Time             `json:"since,omitzero"`
	// Findings are those that are only listed, ByHand the changes by hand, and
	// Environments the environments whose state is not shown.
	Findings     int `json:"findings"`
	ByHand       int `json:"byHand"`
	Environments int `json:"environments"`
}

// String says it for people.
func (l LeftOut) String() string {
	var limits []string
	if l.Environment != "" {
		limits = append(limits, "environments other than "+string(l.Environment))
	}
	if !l.Since.IsZero() {
		limits = append(limits, "what was recorded before "+l.Since.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("everything was judged; not shown, because of %s: %d listed findings, %d changes by hand, %d environments",
		strings.Join(limits, " and "), l.Findings, l.ByHand, l.Environments)
}

// Limit shows only what is about one environment, and was recorded at or after an
// instant; empty and zero limit nothing. It changes what is shown, never the
// verdict: what was tampered with or could not be judged is always shown, and the
// rest is counted. An environment that neither the files nor the report know is an
// error.
func (r *Report) Limit(env promotion.Environment, since time.Time) error {
	if env == "" && since.IsZero() {
		return nil
	}
	if _, known := r.Environments[env]; env != "" && !known && r.OK {
		names := slices.Sorted(maps.Keys(r.Environments))
		return fmt.Errorf("there is no environment %s in the base branch; there are: %s", env, strings.Join(namesOf(names), ", "))
	}
	l := &LeftOut{Environment: env, Since: since.UTC()}
	out := func(e promotion.Environment, at time.Time) bool {
		return env != "" && e != "" && e != env || !since.IsZero() && !at.IsZero() && at.Before(since)
	}
	all := len(r.Findings)
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return f.Code.Class() == Listed && out(f.Environment, f.At) })
	l.Findings = all - len(r.Findings)
	all = len(r.ByHand)
	r.ByHand = slices.DeleteFunc(r.ByHand, func(h HandChange) bool { return out(h.Environment, h.At) })
	l.ByHand = all - len(r.ByHand)
	if env != "" {
		all = len(r.Environments)
		maps.DeleteFunc(r.Environments, func(e promotion.Environment, _ map[promotion.Artifact]promotion.Value) bool { return e != env })
		l.Environments = all - len(r.Environments)
	}
	r.LeftOut = l
	r.OK = r.ExitCode() == 0
	return nil
}

func namesOf(names []promotion.Environment) []string {
	texts := make([]string, len(names))
	for i, n := range names {
		texts[i] = string(n)
	}
	return texts
}
