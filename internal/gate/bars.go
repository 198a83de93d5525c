package gate

import (
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// Quarantine fails while the digest is barred. It holds for rollbacks as well:
// a barred digest comes back by no path.
func Quarantine(f *promotion.Facts) promotion.Verdict {
	v := promotion.Verdict{Gate: IDQuarantine}
	switch bar := f.Quarantined; {
	case bar != nil:
		v.Status = promotion.StatusFail
		v.Sentence = fmt.Sprintf("%s is quarantined%s by %s%s; /unquarantine with a reason, by an approver who did not cause this, lifts it",
			name(f.Artifact.Version, f.Artifact.Digest), since(" since ", bar.At, f.Now), Who(bar.By), reason(bar))
		v.Evidence = barEvidence(*bar)
	case f.Artifact.Digest == "":
		v.Status = promotion.StatusUnknown
		v.Sentence = fmt.Sprintf("the digest of %s is not known, so that it can't be compared with the quarantined ones", name(f.Artifact.Version, ""))
	default:
		v.Status, v.Sentence = promotion.StatusPass, "the digest is not quarantined"
	}
	return v
}

// Freeze is pending while a freeze stands over the target. A freeze whose end
// has come is lifted; a rollback is exempt.
func Freeze(f *promotion.Facts) promotion.Verdict {
	v := promotion.Verdict{Gate: IDFreeze, Status: promotion.StatusPass, Sentence: "nothing is frozen here"}
	if f.Kind == promotion.KindRollback {
		v.Sentence = "a rollback goes through a freeze"
		return v
	}
	var texts []string
	open := false
	for _, bar := range f.Freezes {
		if !bar.Until.IsZero() && !bar.Until.After(f.Now) {
			continue
		}
		how := "until /unfreeze"
		if isHold(bar.Scope) {
			how = "until /resume"
		}
		if bar.Until.IsZero() {
			open = true
		} else {
			how = "until " + Clock(bar.Until, f.Now)
			v.Look = later(v.Look, bar.Until)
		}
		texts = append(texts, fmt.Sprintf("%s is frozen %s by %s%s", frozen(bar.Scope), how, Who(bar.By), reason(&bar)))
		v.Evidence = append(v.Evidence, barEvidence(bar)...)
	}
	if len(texts) > 0 {
		v.Status, v.Sentence = promotion.StatusPending, list(texts, "; ", 3)
	}
	if open { // no time ends it
		v.Look = time.Time{}
	}
	return v
}

// frozen names a freeze's scope for people.
func frozen(scope string) string {
	if scope == "+all" {
		return "the whole repository"
	}
	return Clip(scope, 100)
}

// isHold reports whether a scope is that of /hold: one artifact in one
// environment.
func isHold(scope string) bool {
	for _, r := range scope {
		if r == '/' {
			return true
		}
	}
	return false
}

func reason(b *promotion.Bar) string {
	if b.Reason == "" {
		return ""
	}
	return " (" + Clip(b.Reason, 200) + ")"
}

func barEvidence(b promotion.Bar) []promotion.Evidence {
	return []promotion.Evidence{{Name: Clip(b.Scope, 100), Value: Clip(Who(b.By)+": "+b.Reason, 300), At: b.At}}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
