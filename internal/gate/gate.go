// Package gate judges one promotion: whether it may go on, and if not, which
// one thing a person can do about it.
//
// State: none. A gate is a pure function of promotion.Facts: no I/O, no clock
// (Facts.Now is the time), no package variable that changes; judging the same
// Facts twice gives the same verdicts, and all functions may be called from
// several goroutines. Invariants: a gate passes only on what it positively
// knows; what is missing, unreadable or a word nobody knows is pending or
// unknown, and holds. Each verdict has one sentence, says what would unblock
// it, and has a time to look again where the passing of time alone can change
// it.
//
// The plain gates are here: hold, predecessor, quarantine, freeze, head,
// checks and rules. Those that need more stand in sub-packages: policy
// (kyverno-json), approval (reviews), health (is a release good). People read
// the verdicts in the order hold, predecessor, quarantine, freeze, policy,
// approval, head, checks, rules; Panel composes them.
//
// What it does not do: it does not read the world (observe), and it neither
// chooses what to promote nor when to merge (decide).
package gate

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rungbot/rung/internal/promotion"
)

// The ids of the plain gates, as they stand in verdicts and records.
const (
	IDHold        = "hold"
	IDPredecessor = "predecessor"
	IDQuarantine  = "quarantine"
	IDFreeze      = "freeze"
	IDHead        = "head"
	IDChecks      = "checks"
	IDRules       = "rules"
)

// Forward judges a promotion by all plain gates, in the order in which people
// read them. app is the number of rung's own App, see Checks.
func Forward(f *promotion.Facts, app int64) []promotion.Verdict {
	return []promotion.Verdict{
		Hold(f), Predecessor(f), Quarantine(f), Freeze(f), Head(f), Checks(f, app), Rules(f, app),
	}
}

// Rollback judges a rollback by the plain gates that a rollback has: it needs
// neither predecessor nor soak, and no freeze stops it.
func Rollback(f *promotion.Facts, app int64) []promotion.Verdict {
	return []promotion.Verdict{Hold(f), Quarantine(f), Head(f), Checks(f, app), Rules(f, app)}
}

// Judge is Forward or Rollback, as the Facts' kind says. A kind that is not
// known is judged as a promotion, and Hold holds it.
func Judge(f *promotion.Facts, app int64) []promotion.Verdict {
	if f.Kind == promotion.KindRollback {
		return Rollback(f, app)
	}
	return Forward(f, app)
}

// Hold is unknown while something outside the gates stands in the way, such as
// a ledger that can't be trusted, or when the Facts are of another version.
func Hold(f *promotion.Facts) promotion.Verdict {
	v := promotion.Verdict{Gate: IDHold, Status: promotion.StatusUnknown}
	switch {
	case f.Version != promotion.FactsVersion:
		v.Sentence = fmt.Sprintf("the facts are of version %d and this rung judges version %d; run the rung that observed them", f.Version, promotion.FactsVersion)
	case f.Kind != promotion.KindPromotion && f.Kind != promotion.KindRollback:
		v.Sentence = fmt.Sprintf("%q is neither a promotion nor a rollback", Clip(f.Kind, 40))
	case f.Now.IsZero():
		v.Sentence = "the facts have no time, so that nothing can be judged"
	case len(f.Holds) > 0:
		v.Sentence = "held: " + list(f.Holds, "; ", 3)
		for _, h := range f.Holds {
			v.Evidence = append(v.Evidence, promotion.Evidence{Name: IDHold, Value: Clip(h, 500)})
		}
	default:
		v.Status, v.Sentence = promotion.StatusPass, "nothing outside the gates holds it"
	}
	return v
}

// Clock writes an instant for people: the time of day in UTC, with the date
// when it is another day than now.
func Clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.Year() == now.Year() && t.YearDay() == now.YearDay() {
		return t.Format("15:04 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
}

// Clip cuts a text from outside to at most n bytes and to one line.
func Clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimSpace(s[:n]) + "…"
}

// Who names a person, also one whose login was not seen.
func Who(p promotion.Person) string {
	switch {
	case p.Login != "":
		return Clip(p.Login, 60)
	case p.ID != 0:
		return fmt.Sprintf("account %d", p.ID)
	}
	return "somebody unknown"
}

// list joins at most n texts and counts the rest.
func list(texts []string, separator string, n int) string {
	short := make([]string, 0, n+1)
	for i, t := range texts {
		if i == n {
			short = append(short, fmt.Sprintf("and %d more", len(texts)-n))
			break
		}
		short = append(short, Clip(t, 300))
	}
	return strings.Join(short, separator)
}

// name is the version for people, or the digest when there is none.
func name(v promotion.Version, d promotion.Digest) string {
	if v != "" {
		return string(v)
	}
	if d != "" {
		return d.Short()
	}
	return "no version"
}

// finding is one thing that a gate saw: its status, its half sentence, and
// when to look again.
type finding struct {
	status promotion.Status
	text   string
	look   time.Time
}

// combine makes the verdict of several findings: the worst status, the texts
// of everything that does not pass, and the earliest time to look again. With
// nothing but passes the sentence is passed.
func combine(id, passed string, findings []finding) promotion.Verdict {
	v := promotion.Verdict{Gate: id, Status: promotion.StatusPass, Sentence: passed}
	var open []string
	var all []promotion.Verdict
	for _, f := range findings {
		if f.status == promotion.StatusPass {
			continue
		}
		all = append(all, promotion.Verdict{Status: f.status})
		open = append(open, f.text)
		if !f.look.IsZero() && (v.Look.IsZero() || f.look.Before(v.Look)) {
			v.Look = f.look
		}
	}
	if len(open) > 0 {
		v.Status, v.Sentence = promotion.Worst(all), list(open, "; ", 4)
	}
	return v
}
