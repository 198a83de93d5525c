package gate

import (
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// probeInterval is how often a health source is asked when its configuration
// does not say.
const probeInterval = 30 * time.Second

// Predecessor passes when the digest landed in every environment before,
// settled good there, has soaked, and, where it is still live, is healthy now.
// A rollback has no predecessors to wait for.
func Predecessor(f *promotion.Facts) promotion.Verdict {
	if f.Kind == promotion.KindRollback {
		return promotion.Verdict{Gate: IDPredecessor, Status: promotion.StatusPass, Sentence: "a rollback waits for no other environment"}
	}
	var findings []finding
	for i := range f.Predecessors {
		findings = append(findings, predecessor(f, &f.Predecessors[i]))
	}
	v := combine(IDPredecessor, predecessorsPass(f), findings)
	for i := range f.Predecessors {
		v.Evidence = append(v.Evidence, predecessorEvidence(&f.Predecessors[i])...)
	}
	return v
}

func predecessorsPass(f *promotion.Facts) string {
	version := name(f.Artifact.Version, f.Artifact.Digest)
	switch n := len(f.Predecessors); {
	case n == 0 && len(f.Environment.After) == 0:
		return fmt.Sprintf("%s is a first environment", f.Environment.Name)
	case n == 0:
		return fmt.Sprintf("no environment before %s names %s", f.Environment.Name, f.Artifact.Name)
	case n == 1:
		return fmt.Sprintf("%s settled good in %s", version, f.Predecessors[0].Environment)
	default:
		return fmt.Sprintf("%s settled good in all %d environments before %s", version, n, f.Environment.Name)
	}
}

// predecessor judges one environment that comes before.
func predecessor(f *promotion.Facts, p *promotion.PredecessorFacts) finding {
	version := name(f.Artifact.Version, f.Artifact.Digest)
	switch {
	case f.Artifact.Digest == "":
		return finding{status: promotion.StatusUnknown, text: fmt.Sprintf("the digest of %s is not known, so that %s can't be asked about it", version, p.Environment)}
	case p.Landed.IsZero() && p.Live == (promotion.Value{}):
		return finding{status: promotion.StatusPending, text: fmt.Sprintf("%s does not run %s yet; %s has not landed there", p.Environment, f.Artifact.Name, version)}
	case p.Landed.IsZero():
		return finding{status: promotion.StatusPending, text: fmt.Sprintf("%s runs %s; %s has not landed there yet", p.Environment, running(f, p), version)}
	case p.Settled == promotion.SettledBad:
		return finding{status: promotion.StatusFail, text: fmt.Sprintf("%s settled bad in %s%s; publish a newer version", version, p.Environment, since(" at ", p.SettledAt, f.Now))}
	case p.Settled == promotion.SettledInconclusive:
		return finding{status: promotion.StatusUnknown, text: fmt.Sprintf("the verification of %s in %s ended without an answer; publish a newer version or say /retry", version, p.Environment)}
	case p.Settled != "" && p.Settled != promotion.SettledGood:
		return finding{status: promotion.StatusUnknown, text: fmt.Sprintf("%s settled %q in %s, which this rung does not understand", version, Clip(p.Settled, 40), p.Environment)}
	}
	if sick, found := unhealthy(f, p); found {
		return sick
	}
	if p.SoakEnds.After(f.Now) {
		return finding{status: promotion.StatusPending, look: p.SoakEnds, text: fmt.Sprintf("%s soaks %s until %s", p.Environment, version, Clock(p.SoakEnds, f.Now))}
	}
	if p.Settled == "" {
		return finding{status: promotion.StatusPending, look: f.Now.Add(probeInterval), text: fmt.Sprintf("%s is still verifying %s", p.Environment, version)}
	}
	return finding{status: promotion.StatusPass}
}

// running names what stands in a predecessor. The same version with another
// digest is told apart by its digest.
func running(f *promotion.Facts, p *promotion.PredecessorFacts) string {
	if p.Live.Version == f.Artifact.Version && p.Live.Digest != "" {
		return fmt.Sprintf("%s as %s", name(p.Live.Version, ""), p.Live.Digest.Short())
	}
	return name(p.Live.Version, p.Live.Digest)
}

// unhealthy finds the worst health reading of the digest where it still runs.
// What ran there once and settled good needs no health any more.
func unhealthy(f *promotion.Facts, p *promotion.PredecessorFacts) (finding, bool) {
	live := p.Live.Digest == f.Artifact.Digest || p.Live.Digest == "" && p.Live.Version == f.Artifact.Version
	if !live {
		return finding{}, false
	}
	version := name(f.Artifact.Version, f.Artifact.Digest)
	var findings []finding
	for _, h := range p.Health {
		x := finding{status: h.Status, look: f.Now.Add(interval(h.Source))}
		detail := ""
		if h.Detail != "" {
			detail = " (" + Clip(h.Detail, 80) + ")"
		}
		source := Clip(h.Source.Name(), 120)
		switch h.Status {
		case promotion.StatusPass:
			continue
		case promotion.StatusFail:
			x.text = fmt.Sprintf("%s runs %s, but %s fails%s%s", p.Environment, version, source, since(" since ", h.Since, f.Now), detail)
		case promotion.StatusPending:
			x.text = fmt.Sprintf("%s runs %s, but %s has not said yet whether it is healthy", p.Environment, version, source)
		default:
			x.status = promotion.StatusUnknown
			x.text = fmt.Sprintf("%s runs %s, but %s can't tell whether it is healthy%s", p.Environment, version, source, detail)
		}
		findings = append(findings, x)
	}
	if len(findings) == 0 {
		return finding{}, false
	}
	v := combine("", "", findings)
	return finding{status: v.Status, text: v.Sentence, look: v.Look}, true
}

func interval(h promotion.HealthSource) time.Duration {
	if h.Interval > 0 {
		return h.Interval
	}
	return probeInterval
}

// since is a word and an instant, or nothing when the instant is not known.
func since(word string, t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return word + Clock(t, now)
}

func predecessorEvidence(p *promotion.PredecessorFacts) []promotion.Evidence {
	env := string(p.Environment)
	out := []promotion.Evidence{{Name: env + " runs", Value: name(p.Live.Version, p.Live.Digest)}}
	if !p.Landed.IsZero() {
		out = append(out, promotion.Evidence{Name: env + " landed", Value: "landed", At: p.Landed})
	}
	if p.Settled != "" {
		out = append(out, promotion.Evidence{Name: env + " settled", Value: Clip(p.Settled, 40), At: p.SettledAt})
	}
	for _, h := range p.Health {
		out = append(out, promotion.Evidence{Name: env + " " + Clip(h.Source.Name(), 120), Value: reading(h), URL: h.URL, At: h.At})
	}
	return out
}

func reading(h promotion.HealthReading) string {
	if h.Detail == "" {
		return string(h.Status)
	}
	return string(h.Status) + ": " + Clip(h.Detail, 200)
}
