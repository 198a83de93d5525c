package prose

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/rungbot/rung/internal/promotion"
)

// writing is how words are written down: for the forge, or for a terminal. What is
// said is the same.
type writing struct {
	// text and code are outside text, in a sentence and by itself.
	text, code func(s string, limit int) string
	// name is a name that rung.yaml gave.
	name     func(string) string
	verdicts func([]promotion.Verdict) string
}

var (
	markdown = writing{text: Text, code: Code, name: func(s string) string { return "**" + s + "**" }, verdicts: Verdicts}
	plain    = writing{text: oneLine, code: Plain, name: func(s string) string { return oneLine(s, 128) }, verdicts: plainVerdicts}
)

// Plain makes outside text fit for a terminal: one line, no control characters; at
// most limit bytes of it.
func Plain(s string, limit int) string {
	if s = oneLine(s, limit); s == "" {
		return "–"
	}
	return s
}

// Why explains the state of one pair: the answer to /why.
func Why(st promotion.PairState) string { return Cut(markdown.why(st)) }

// WhyPlain says the same as Why for a terminal.
func WhyPlain(st promotion.PairState) string { return plain.why(st) }

func (w writing) why(st promotion.PairState) string {
	s := fmt.Sprintf("%s in %s runs %s: %s.", w.name(string(st.Pair.Artifact)), w.name(string(st.Pair.Environment)), w.value(st.Live), w.text(st.Phase, 64))
	if st.ByHand != "" && !strings.Contains(st.Sentence, st.ByHand) {
		s += fmt.Sprintf(" The version was %s.", strings.TrimSuffix(w.text(st.ByHand, 600), "."))
	}
	if st.Target != (promotion.Value{}) {
		s += fmt.Sprintf(" Wanted: %s", w.value(st.Target))
		if st.PullRequest != 0 {
			s += fmt.Sprintf(" (pull request %d)", st.PullRequest)
		}
		s += "."
	}
	if st.Sentence != "" {
		s += " " + w.text(st.Sentence, 600) + "."
	}
	if len(st.Verdicts) > 0 {
		s += "\n\n" + w.verdicts(st.Verdicts)
	}
	return s
}

func (w writing) value(v promotion.Value) string {
	switch {
	case v.Version != "" && v.Digest != "":
		return fmt.Sprintf("%s (%s)", w.code(string(v.Version), 128), w.code(v.Digest.Short(), 32))
	case v.Version != "":
		return w.code(string(v.Version), 128) + " (not pinned)"
	case v.Digest != "":
		return w.code(v.Digest.Short(), 32)
	}
	return "nothing"
}

// plainVerdicts is the table of gates with their sentences.
func plainVerdicts(vs []promotion.Verdict) string {
	var b strings.Builder
	for _, v := range vs {
		fmt.Fprintf(&b, "%-7s  %-11s  %s\n", oneLine(string(v.Status), 16), oneLine(v.Gate, 64), oneLine(v.Sentence, 600))
		for _, r := range v.Rules {
			if r.Status != promotion.StatusPass {
				fmt.Fprintf(&b, "%-7s  %-11s  %s %s: %s\n", "", "", Plain(r.Policy, 128), Plain(r.Rule, 128), oneLine(r.Message, 400))
			}
		}
	}
	return b.String()
}

// Lines makes text from outside fit for a terminal, line by line: no control
// characters but line feeds; at most limit bytes.
func Lines(s string, limit int) string {
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r != '\n' && (r == 0xfffd || unicode.Is(unicode.C, r)) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}
