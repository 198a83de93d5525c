package board

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/rungbot/rung/internal/promotion"
)

// word is a state as people read it: a sign and a word, and the class that
// colours them.
type word struct{ Sign, Text, Class string }

var phases = map[string]word{
	promotion.PhaseIdle:       {"●", "up to date", "good"},
	promotion.PhaseVerifying:  {"◔", "being verified", "wait"},
	promotion.PhaseWaiting:    {"◷", "newer version waits", "wait"},
	promotion.PhaseOpen:       {"◇", "promotion open", "wait"},
	promotion.PhaseReady:      {"◆", "ready to merge", "good"},
	promotion.PhaseHeld:       {"■", "held", "held"},
	promotion.PhaseUnhealthy:  {"▲", "unhealthy", "bad"},
	promotion.PhaseRolledBack: {"↩", "rolled back", "held"},
}

// phaseWord is the phase in words; one that is not known is shown as it is.
func phaseWord(st *promotion.PairState) word {
	w, known := phases[st.Phase]
	if !known {
		w = word{"?", clean(st.Phase), "held"}
		if w.Text == "" {
			w.Text = "unknown"
		}
	}
	if st.Kind == promotion.KindRollback && st.Phase == promotion.PhaseOpen {
		w.Text = "rollback open"
	}
	return w
}

func statusWord(s promotion.Status) word {
	switch s {
	case promotion.StatusPass:
		return word{"●", "passes", "good"}
	case promotion.StatusFail:
		return word{"▲", "fails", "bad"}
	case promotion.StatusPending:
		return word{"◷", "waits", "wait"}
	default:
		return word{"?", "can't be judged", "held"}
	}
}

func modeWords(m promotion.Mode) string {
	switch m {
	case promotion.ModeObserve:
		return "observe: rung says what it would do, and does nothing"
	case promotion.ModePropose:
		return "propose: rung opens pull requests, people merge them"
	case promotion.ModeMerge:
		return "merge: rung merges once every gate passes"
	default:
		return clean(string(m))
	}
}

// moment is an instant as a page shows it: for machines, and for people.
type moment struct{ Machine, Human string }

// Set reports whether there is an instant to show.
func (m moment) Set() bool { return m.Machine != "" }

func stamp(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{t.Format(time.RFC3339), t.Format("2006-01-02 15:04:05 UTC")}
}

// ago is an instant in the past, "12 s ago".
func ago(t, now time.Time) moment {
	m := stamp(t)
	if m.Set() {
		m.Human = span(now.Sub(t)) + " ago"
	}
	return m
}

// ahead is an instant to come, "in 4 min"; one that is over is due.
func ahead(t, now time.Time) moment {
	m := stamp(t)
	if !m.Set() {
		return m
	}
	if d := t.Sub(now); d > 0 {
		m.Human = "in " + span(d)
	} else {
		m.Human = "now"
	}
	return m
}

// span is a duration in its largest whole unit. A clock that stands behind the
// one that wrote the view gives 0 s.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d/time.Hour))
	default:
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	}
}

// clean drops what could make text look like something else: control and
// format characters (such as those that turn the direction of writing), and
// bytes that are no UTF-8. Markup is left to the template, which escapes it.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == unicode.ReplacementChar || unicode.Is(unicode.C, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// link is an address that a page may lead to: absolute, http or https, without
// a user's name. Anything else is no link.
func link(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}
