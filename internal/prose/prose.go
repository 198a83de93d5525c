// Package prose writes the Markdown that people read on the forge: pull request
// bodies, check run summaries and answers to commands.
//
// State: none; every function is pure. Invariants: text from outside (versions,
// names, reasons, policy messages) goes through Text or Code before it enters
// Markdown, so that it can't mention people, link, open HTML, break a table or
// start a command. Verdicts are rendered, never re-worded: a sentence is built
// once, by its gate.
package prose

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/rungbot/rung/internal/promotion"
)

// maxSummary is what GitHub takes as a check run's summary, in bytes, less room
// for the note that it was cut.
const maxSummary = 65000

// Text makes outside text fit for running Markdown: one line, no control
// characters, no markup, mentions, references, links or HTML; at most limit
// bytes.
func Text(s string, limit int) string {
	s = oneLine(s, limit)
	var b strings.Builder
	for i, r := range s {
		switch r {
		case '@', '#':
			b.WriteRune(r)
			b.WriteString("\u2060") // word joiner: no mention, no reference
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '&':
			b.WriteString("&amp;")
		case '\\', '`', '*', '_', '[', ']', '|', '~', '!', '(', ')', '$':
			b.WriteByte('\\')
			b.WriteRune(r)
		case ':':
			// "https:" would be linked by itself.
			if strings.HasPrefix(s[i:], "://") {
				b.WriteString(":\u2060")
			} else {
				b.WriteRune(r)
			}
		case '/':
			if i == 0 {
				b.WriteString("\u2060")
			}
			b.WriteRune(r)
		case '-':
			// "GH-12" refers to an issue.
			if i >= 2 && strings.EqualFold(s[i-2:i], "gh") {
				b.WriteString("\u2060")
			}
			b.WriteRune(r)
		case 'w', 'W':
			b.WriteRune(r)
			if strings.HasPrefix(strings.ToLower(s[i:]), "www.") {
				b.WriteString("\u2060")
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Code makes outside text a code span, safe inside tables too; at most limit
// bytes of it.
func Code(s string, limit int) string {
	s = oneLine(s, limit)
	s = strings.NewReplacer("`", "'", "|", "¦").Replace(s)
	if s == "" {
		return "–"
	}
	return "`" + s + "`"
}

func oneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case r == 0xfffd || unicode.Is(unicode.C, r):
			return -1 // control and format characters: nothing may look like something else
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// Value is a version with its digest in short.
func Value(v promotion.Value) string { return markdown.value(v) }

// Time is a time for people: UTC, to the second.
func Time(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

var marks = map[promotion.Status]string{
	promotion.StatusPass: "✅", promotion.StatusFail: "❌", promotion.StatusPending: "⏳", promotion.StatusUnknown: "❔",
}

// Verdicts is the table of gates with their sentences. When each is looked at
// again is left to the board: a text that changes by time alone would be written
// to the forge again on every look.
func Verdicts(vs []promotion.Verdict) string {
	var b strings.Builder
	b.WriteString("| | Gate | |\n|---|---|---|\n")
	for _, v := range vs {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", marks[v.Status], Text(v.Gate, 64), Text(v.Sentence, 600))
		for _, r := range v.Rules {
			if r.Status != promotion.StatusPass {
				fmt.Fprintf(&b, "| | %s | %s: %s |\n", Code(r.Policy, 128), Code(r.Rule, 128), Text(r.Message, 400))
			}
		}
	}
	return b.String()
}

// Cut bounds a summary to what the forge takes, and says so.
func Cut(s string) string {
	if len(s) <= maxSummary {
		return s
	}
	return strings.ToValidUTF8(s[:maxSummary], "") + "\n\n… cut: longer than the forge takes."
}

// Promotion is what the body of a promotion's pull request says.
type Promotion struct {
	Kind        string
	Pair        promotion.Pair
	Image       string
	Before      promotion.Value
	After       promotion.Value
	Places      []promotion.PlaceChange
	Approvals   promotion.ApprovalRule
	CompareURL  string
	Mode        promotion.Mode
	From        promotion.Environment
	Reason      string
	BaseName    string
	LedgerFirst promotion.Hash
	// ForgeSigns is true where the forge makes and signs the promotion commit.
	ForgeSigns bool
	// Reverts is true when it takes a change by hand back; Reason says whose.
	Reverts bool
}

// Title is the pull request's title.
func Title(p Promotion) string {
	if p.Reverts {
		return fmt.Sprintf("Put %s in %s back to %s", p.Pair.Artifact, p.Pair.Environment, p.After.Version)
	}
	if p.Kind == promotion.KindRollback {
		return fmt.Sprintf("Roll back %s in %s to %s", p.Pair.Artifact, p.Pair.Environment, p.After.Version)
	}
	return fmt.Sprintf("Promote %s %s to %s", p.Pair.Artifact, p.After.Version, p.Pair.Environment)
}

// Body is the pull request's body, written once. {{head}} and {{ledger}} stand
// for the promotion commit and the ledger commit with its propose record, which
// are known only once both exist.
func Body(p Promotion) string {
	var b strings.Builder
	switch {
	case p.Reverts:
		fmt.Fprintf(&b, "Puts **%s** in **%s** back from %s to %s, which stood before: %s. rung.yaml says `manualChanges: revert` here. It is done once: if the version is changed by hand again, rung leaves it.\n\n",
			p.Pair.Artifact, p.Pair.Environment, Value(p.Before), Value(p.After), strings.TrimSuffix(Text(p.Reason, 512), "."))
	case p.Kind == promotion.KindRollback:
		fmt.Fprintf(&b, "Brings **%s** in **%s** back from %s to %s, the last good release.", p.Pair.Artifact, p.Pair.Environment, Value(p.Before), Value(p.After))
		if p.Reason != "" {
			fmt.Fprintf(&b, " Reason: %s.", strings.TrimSuffix(Text(p.Reason, 512), "."))
		}
		b.WriteString(" The digest that is rolled back is quarantined: no promotion brings it back until somebody says `/unquarantine`.\n\n")
	default:
		from := ""
		if p.From != "" {
			from = fmt.Sprintf(" It comes from **%s**.", p.From)
		}
		fmt.Fprintf(&b, "Brings **%s** in **%s** from %s to %s.%s\n\n", p.Pair.Artifact, p.Pair.Environment, Value(p.Before), Value(p.After), from)
	}
	b.WriteString("| File | Place | From | To |\n|---|---|---|---|\n")
	for _, c := range p.Places {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", Code(c.Path, 256), Code(c.Locator, 256), Value(c.Before), Value(c.After))
	}
	fmt.Fprintf(&b, "\nImage %s at %s.", Code(p.Image, 256), Code(string(p.After.Digest), 80))
	if p.CompareURL != "" {
		fmt.Fprintf(&b, " [Source changes](%s).", p.CompareURL)
	}
	b.WriteString("\n\n**What happens next.** The check `rung` shows every gate and what it waits for. ")
	if p.Mode == promotion.ModeMerge {
		b.WriteString("Once all of them pass, rung merges this pull request; you may also merge it yourself when the check is green.")
	} else {
		b.WriteString("Once all of them pass, the check turns green: merge this pull request to promote.")
	}
	if p.Kind != promotion.KindRollback {
		b.WriteString(" " + Approvers(p.Approvals))
	}
	if p.Reverts {
		b.WriteString(" To keep what was changed by hand, close it or comment `/adopt` with a reason.\n\n")
	} else {
		b.WriteString(" Close it to veto this version here.\n\n")
	}
	b.WriteString("**How to go back.** Comment `/rollback` here once it is merged. `/help` lists the other commands.\n\n")
	fmt.Fprintf(&b, "<details><summary>Check the signatures with stock git</summary>\n\nIn a clone of this repository (bash; compare the fingerprints with those that your platform team published):\n\n```bash\n%s```\n\n</details>\n", StockCheck(recordFile(p)))
	return b.String()
}

// Approvers says in a sentence whose approval is needed.
func Approvers(a promotion.ApprovalRule) string {
	if a.Required == 0 {
		return "No approval is needed."
	}
	who := append([]string{}, a.Teams...)
	who = append(who, a.Users...)
	noun := "approving review"
	if a.Required > 1 {
		noun += "s"
	}
	if len(who) == 0 {
		return fmt.Sprintf("It needs %d %s by somebody with write access who did not cause it.", a.Required, noun)
	}
	for i, w := range who {
		who[i] = Code(w, 80)
	}
	return fmt.Sprintf("It needs %d %s from %s, by somebody who did not cause it.", a.Required, noun, strings.Join(who, " or "))
}

// recordFile is the promotion's file in the ledger, where its tree is to be
// compared.
func recordFile(p Promotion) string {
	if !p.ForgeSigns {
		return ""
	}
	return "open/" + p.Pair.String() + ".intoto.jsonl"
}

// StockCheck is the command block that verifies a promotion with stock git and
// ssh-keygen alone. {{head}} and {{ledger}} are replaced by real ids. The ledger up
// to the promotion's own commit is held to the trust list there, and what was
// written since to the newest: the fingerprints of both are printed to be compared.
// record is the promotion's file in the ledger where the forge signed its commit:
// then the tree in the record is compared instead of a signature.
func StockCheck(record string) string {
	head, verified := "", "{{head}} {{ledger}}"
	if record != "" {
		verified = "{{ledger}}"
		head = `git show {{ledger}}:` + record + ` | sed 's/.*"payload":"\([^"]*\)".*/\1/' | base64 -d | grep -o "\"tree\":\"$(git rev-parse '{{head}}^{tree}')\"" &&
`
	}
	return `git fetch -q origin '+refs/heads/rung/ledger:refs/remotes/origin/rung/ledger' {{head}}
git show {{ledger}}:allowed_signers > signers
git show origin/rung/ledger:allowed_signers > signers.now
ssh-keygen -l -f <(awk '{print $3, $4}' signers signers.now | sort -u)
G() { git --no-replace-objects -c gpg.ssh.allowedSignersFile="$1" -c gpg.minTrustLevel=fully -c gpg.program=false -c gpg.x509.program=false "${@:2}"; }
L() { G "$1" log --first-parent --format='%h %G? %GS %GF %s' "$2"; }
` + head + `G signers verify-commit ` + verified + ` &&
{ L signers {{ledger}} && L signers.now {{ledger}}..origin/rung/ledger; } |
awk '{print} $2 != "G" {bad++} END {print NR - bad, "verified,", bad + 0, "bad"; exit bad > 0 || NR == 0}' &&
{ git merge-base --is-ancestor {{ledger}} origin/rung/ledger || { echo "the ledger does not go on from {{ledger}}"; false; }; }
`
}

// What a promotion does, as its check run says.
const (
	Promotes  = "Promotes"
	RollsBack = "Rolls back"
	PutsBack  = "Puts back"
)

// Check is the summary of a promotion's check run; verb is what it does.
func Check(verb string, pair promotion.Pair, before, after promotion.Value, vs []promotion.Verdict) string {
	return Cut(fmt.Sprintf("%s **%s** in **%s**: %s → %s\n\n%s\nrung looks again whenever something changes, and at the times that its board shows.\n",
		verb, pair.Artifact, pair.Environment, Value(before), Value(after), Verdicts(vs)))
}

// LedgerHead is the last line of every check run: where the ledger stood when it was
// written. A ledger whose end was cut off lacks a commit that some check still shows.
func LedgerHead(head promotion.Hash) string {
	if head == "" {
		return ""
	}
	return fmt.Sprintf("\nThe ledger's head was %s.\n", Code(string(head), 40))
}

// Help is the answer to /help.
func Help() string {
	return strings.ReplaceAll(`Commands stand alone on the first line of a new comment:

| Command | What it does | Who may, unless configured |
|---|---|---|
| '/rollback [artifact] [in environment] [to version] [force: reason]' | bring the last good release back and quarantine the bad digest | write |
| '/hold [artifact] [in environment] [reason]', '/resume' | stop and start promotions of one artifact in one environment | write |
| '/retry' | propose a version again that was vetoed by closing its pull request | write |
| '/quarantine [digest] [reason]' | bar a digest everywhere | write |
| '/unquarantine [digest] <reason>' | lift that | an eligible approver who did not cause it |
| '/freeze <environment or all> <reason> [until time]', '/unfreeze <environment or all>' | close an environment for promotions; rollbacks still work | maintain |
| '/adopt [artifact in environment] <reason>' | keep what was changed by hand, and go on from there | maintain |
| '/why [artifact] [in environment]' | say what holds a promotion | read |
| '/help' | this | read |
`, "'", "`")
}
