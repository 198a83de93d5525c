package prose

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rungbot/rung/internal/promotion"
)

const joiner = "\u2060"

func TestTextIsNeutral(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain words", "it leaks memory", "it leaks memory"},
		{"a mention", "ask @ada", "ask @" + joiner + "ada"},
		{"a team", "@acme/sre", "@" + joiner + "acme/sre"},
		{"a mail address", "ada@acme.example", "ada@" + joiner + "acme.example"},
		{"a reference", "fixes #12", "fixes #" + joiner + "12"},
		{"a reference elsewhere", "closes acme/x#12", "closes acme/x#" + joiner + "12"},
		{"a reference in letters", "closes GH-12, gh-3", "closes GH" + joiner + "-12, gh" + joiner + "-3"},
		{"a link", "[click](https://evil.example)", `\[click\]\(https:` + joiner + `//evil.example\)`},
		{"a bare link", "see http://evil.example", "see http:" + joiner + "//evil.example"},
		{"a bare host", "see www.evil.example", "see w" + joiner + "ww.evil.example"},
		{"a bare host, loud", "see WWW.EVIL.EXAMPLE", "see W" + joiner + "WW.EVIL.EXAMPLE"},
		{"an image", "![x](y)", `\!\[x\]\(y\)`},
		{"HTML", "<img src=x onerror=y>", "&lt;img src=x onerror=y&gt;"},
		{"an entity", "&lt;b&gt;", "&amp;lt;b&amp;gt;"},
		{"a comment", "<!-- hidden -->", `&lt;\!-- hidden --&gt;`},
		{"a table", "a | b", `a \| b`},
		{"code", "`rm -rf`", "\\`rm -rf\\`"},
		{"a backslash before", `\<b>`, `\\&lt;b&gt;`},
		{"bold and struck", "**a** __b__ ~~c~~", `\*\*a\*\* \_\_b\_\_ \~\~c\~\~`},
		{"mathematics", "$x$", `\$x\$`},
		{"a command", "/rollback", joiner + "/rollback"},
		{"lines", "a\nb\r\nc\u2028d\te", "a b  c d e"},
		{"a heading", "# big", "#" + joiner + " big"},
		{"control characters", "a\x00\x1b[31mb\x7f", `a\[31mb`},
		{"turned around", "a\u202egnp.exe\u2066\u200f", "agnp.exe"},
		{"invisible", "a\u200bb\u00adc\ufeff", "abc"},
		{"no UTF-8", "a\xff\xfeb", "ab"},
		{"nothing", " \n ", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Text(c.in, 200); got != c.want {
				t.Errorf("Text(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func TestTextIsCut(t *testing.T) {
	if got := Text(strings.Repeat("ä", 50), 11); got != strings.Repeat("ä", 5)+"…" {
		t.Errorf("got %q", got)
	}
	if got := Text(strings.Repeat("@", 50), 3); strings.Count(got, "@") != 3 {
		t.Errorf("got %q", got)
	}
}

func TestCode(t *testing.T) {
	for in, want := range map[string]string{
		"1.4.2": "`1.4.2`", "": "–", "\x00": "–", "a`b``c": "`a'b''c`", "a|b": "`a¦b`", " x ": "`x`", "a\nb": "`a b`", "@ada <b>": "`@ada <b>`", "`": "`'`",
	} {
		if got := Code(in, 100); got != want {
			t.Errorf("Code(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Code(strings.Repeat("x", 50), 5); got != "`xxxxx…`" {
		t.Errorf("got %q", got)
	}
}

func TestValues(t *testing.T) {
	const d = promotion.Digest("sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	for want, v := range map[string]promotion.Value{
		"`1.4.2` (`sha256:aaaaaaaaaaaa`)": {Version: "1.4.2", Digest: d}, "`1.4.2` (not pinned)": {Version: "1.4.2"}, "`sha256:aaaaaaaaaaaa`": {Digest: d}, "nothing": {},
	} {
		if got := Value(v); got != want {
			t.Errorf("%+v is %q, want %q", v, got, want)
		}
	}
	if Time(time.Time{}) != "–" || Time(time.Date(2025, 6, 2, 12, 0, 0, 0, time.FixedZone("", 7200))) != "2025-06-02 10:00:00 UTC" {
		t.Error("times are not in UTC")
	}
}

const evil = "<script>alert(1)</script> @acme/everyone #1 | [x](http://evil.example) `code`\n\n# heading"

func TestVerdictsAreOneTable(t *testing.T) {
	look := time.Date(2025, 6, 2, 10, 0, 0, 0, time.UTC)
	got := Verdicts([]promotion.Verdict{
		{Gate: "predecessor", Status: promotion.StatusPass, Sentence: "staging settled good", Look: look},
		{Gate: "approval", Status: promotion.StatusPending, Sentence: "needs 1 approval", Look: look},
		{Gate: evil, Status: "splendid", Sentence: evil, Rules: []promotion.RuleResult{{Policy: evil, Rule: evil, Status: promotion.StatusFail, Message: evil}, {Policy: "p", Rule: "quiet", Status: promotion.StatusPass}}},
	})
	lines := strings.Split(strings.TrimSpace(got), "\n")
	if len(lines) != 6 {
		t.Fatalf("%d lines:\n%s", len(lines), got)
	}
	unescaped := regexp.MustCompile(`(^|[^\\])\|`)
	for _, l := range lines {
		if n := len(unescaped.FindAllString(l, -1)); n != 4 {
			t.Errorf("%d cell borders in %q", n, l)
		}
	}
	if !strings.Contains(got, "✅ | predecessor | staging settled good |") || !strings.Contains(got, "⏳ | approval | needs 1 approval |") || strings.Contains(got, "2025") {
		t.Errorf("got\n%s", got)
	}
	harmless(t, got)
}

// harmless fails for Markdown that does more than say something. Code spans are
// left out: nothing works in them.
func harmless(t *testing.T, markdown string) {
	t.Helper()
	outside := regexp.MustCompile("(?s)```.*?```").ReplaceAllString(markdown, "")
	outside = regexp.MustCompile("`[^`\n]*`").ReplaceAllString(strings.ReplaceAll(outside, "\\`", ""), "")
	for what, re := range map[string]string{
		"a mention": `@\w`, "a reference": `#\d`, "HTML": `<(script|img|a)\b`, "a link": `[^\\]\]\(http://evil`, "a bare link": `https?://evil`, "a heading": `(?m)^# heading`,
	} {
		if found := regexp.MustCompile(re).FindString(outside); found != "" {
			t.Errorf("%s: %q in\n%s", what, found, markdown)
		}
	}
}

func sample(kind string) Promotion {
	return Promotion{
		Kind: kind, Pair: promotion.Pair{Environment: "prod", Artifact: "checkout"}, Image: "ghcr.io/acme/checkout",
		Before: promotion.Value{Version: "1.4.1"}, After: promotion.Value{Version: "1.4.2", Digest: "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
		Places:    []promotion.PlaceChange{{Path: "environments/prod/kustomization.yaml", Locator: "kustomize:0:images[0]", Before: promotion.Value{Version: "1.4.1"}, After: promotion.Value{Version: "1.4.2"}}},
		Approvals: promotion.ApprovalRule{Required: 2, Teams: []string{"acme/sre"}, Users: []string{"ada"}}, CompareURL: "https://forge.example/acme/checkout/compare/1.4.1...1.4.2",
		Mode: promotion.ModeMerge, From: "staging", Reason: "it leaks.",
	}
}

func TestThePromotionsBodySaysEverything(t *testing.T) {
	p := sample(promotion.KindPromotion)
	got := Body(p)
	for _, want := range []string{
		"Brings **checkout** in **prod** from `1.4.1` (not pinned) to `1.4.2` (`sha256:bbbbbbbbbbbb`). It comes from **staging**.",
		"| `environments/prod/kustomization.yaml` | `kustomize:0:images[0]` | `1.4.1` (not pinned) | `1.4.2` (not pinned) |",
		"Image `ghcr.io/acme/checkout` at `sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb`.", "[Source changes](https://forge.example/acme/checkout/compare/1.4.1...1.4.2)",
		"rung merges this pull request", "It needs 2 approving reviews from `acme/sre` or `ada`, by somebody who did not cause it.", "Close it to veto", "`/rollback`", StockCheck(""),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the body lacks %q:\n%s", want, got)
		}
	}
	if Title(p) != "Promote checkout 1.4.2 to prod" {
		t.Errorf("the title is %q", Title(p))
	}
	p.Mode, p.Approvals = promotion.ModePropose, promotion.ApprovalRule{}
	if got := Body(p); !strings.Contains(got, "merge this pull request to promote. No approval is needed.") || strings.Contains(got, "rung merges") {
		t.Errorf("in mode propose it says\n%s", got)
	}
	p.Approvals.Required = 1
	if got := Body(p); !strings.Contains(got, "It needs 1 approving review by somebody with write access who did not cause it.") {
		t.Errorf("with a rule that names nobody it says\n%s", got)
	}
}

func TestTheRollbacksBody(t *testing.T) {
	p := sample(promotion.KindRollback)
	got := Body(p)
	for _, want := range []string{"Brings **checkout** in **prod** back from `1.4.1` (not pinned) to `1.4.2`", "the last good release. Reason: it leaks. The digest that is rolled back is quarantined", "`/unquarantine`"} {
		if !strings.Contains(got, want) {
			t.Errorf("the body lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "approving review") || Title(p) != "Roll back checkout in prod to 1.4.2" {
		t.Errorf("title %q, body\n%s", Title(p), got)
	}
}

func TestTheBodyOfWhatIsPutBack(t *testing.T) {
	p := sample(promotion.KindRollback)
	p.Reverts, p.Reason = true, "1.4.3 was changed by hand by bob in 1f2e3d4c5b6a"
	got := Body(p)
	for _, want := range []string{
		"Puts **checkout** in **prod** back from `1.4.1` (not pinned) to `1.4.2`", "which stood before: 1.4.3 was changed by hand by bob in 1f2e3d4c5b6a. rung.yaml says `manualChanges: revert` here. It is done once",
		"To keep what was changed by hand, close it or comment `/adopt` with a reason.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the body lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "quarantine") || strings.Contains(got, "approving review") || Title(p) != "Put checkout in prod back to 1.4.2" {
		t.Errorf("title %q, body\n%s", Title(p), got)
	}
}

// TestWhyTellsOfAChangeByHand, once.
func TestWhyTellsOfAChangeByHand(t *testing.T) {
	st := promotion.PairState{Pair: promotion.Pair{Environment: "prod", Artifact: "checkout"}, Phase: "idle", ByHand: "changed by hand by bob in 1f2e3d4c5b6a"}
	if got := Why(st); !strings.Contains(got, "idle. The version was changed by hand by bob in 1f2e3d4c5b6a.") {
		t.Errorf("got %s", got)
	}
	st.Sentence = "the version was " + st.ByHand + "; say /adopt with a reason to go on"
	if got := Why(st); strings.Count(got, "by hand") != 1 {
		t.Errorf("got %s", got)
	}
}

func TestBodiesAreHarmless(t *testing.T) {
	for _, reverts := range []bool{false, true} {
		kind := promotion.KindPromotion
		if reverts {
			kind = promotion.KindRollback
		}
		p := sample(kind)
		p.Reverts = reverts
		p.Image, p.Reason, p.Approvals.Teams, p.Approvals.Users = evil, evil, []string{evil}, []string{evil}
		p.Before, p.After = promotion.Value{Version: evil, Digest: evil}, promotion.Value{Version: evil, Digest: evil}
		p.Places = []promotion.PlaceChange{{Path: evil, Locator: evil, Before: p.Before, After: p.After}}
		harmless(t, Body(p))
		p.Reverts = false
		harmless(t, Body(p))
	}
	harmless(t, Why(promotion.PairState{
		ByHand: evil,
		Pair:   promotion.Pair{Environment: "prod", Artifact: "checkout"}, Phase: evil, Sentence: evil, Live: promotion.Value{Version: evil}, Target: promotion.Value{Digest: evil},
		Verdicts: []promotion.Verdict{{Gate: evil, Sentence: evil}},
	}))
	harmless(t, Check(Promotes, promotion.Pair{}, promotion.Value{Version: evil}, promotion.Value{}, []promotion.Verdict{{Sentence: evil}})+LedgerHead(evil))
}

func TestTheStockCheckHasPlaceholders(t *testing.T) {
	block := StockCheck("")
	for _, want := range []string{"{{head}}", "{{ledger}}", "ssh-keygen", "verify-commit {{head}} {{ledger}}", "refs/heads/rung/ledger", "gpg.ssh.allowedSignersFile=", "--no-replace-objects"} {
		if !strings.Contains(block, want) {
			t.Errorf("the block lacks %q:\n%s", want, block)
		}
	}
	rest := strings.NewReplacer("{{head}}", "", "{{ledger}}", "").Replace(block)
	if strings.Contains(rest, "{{") || !strings.HasSuffix(block, "\n") || strings.Contains(block, "```") {
		t.Errorf("the block is\n%s", block)
	}
	if !strings.Contains(Body(sample(promotion.KindPromotion)), "```bash\n"+block+"```\n") {
		t.Error("the body does not hold the block as a fenced one")
	}
}

func TestWhy(t *testing.T) {
	got := Why(promotion.PairState{
		Pair: promotion.Pair{Environment: "prod", Artifact: "checkout"}, Live: promotion.Value{Version: "1.4.1"}, Phase: promotion.PhaseOpen,
		Target: promotion.Value{Version: "1.4.2"}, PullRequest: 12, Sentence: "approval: needs 1 approval", Verdicts: []promotion.Verdict{{Gate: "approval", Status: promotion.StatusPending}},
	})
	if !strings.HasPrefix(got, "**checkout** in **prod** runs `1.4.1` (not pinned): open. Wanted: `1.4.2` (not pinned) (pull request 12). approval: needs 1 approval.\n\n| |") {
		t.Errorf("got %s", got)
	}
}

func TestHelpListsEveryVerb(t *testing.T) {
	for _, verb := range []string{"rollback", "hold", "resume", "retry", "quarantine", "unquarantine", "freeze", "unfreeze", "adopt", "why", "help"} {
		if !strings.Contains(Help(), "`/"+verb) {
			t.Errorf("/%s is not explained", verb)
		}
	}
	if strings.Contains(Help(), "'") {
		t.Error("quotes are left over")
	}
}

func TestSummariesAreCut(t *testing.T) {
	long := strings.Repeat("ä", maxSummary)
	got := Cut(long)
	if len(got) > maxSummary+100 || !utf8.ValidString(got) || !strings.HasSuffix(got, "longer than the forge takes.") {
		t.Errorf("%d bytes, ends in %q", len(got), got[len(got)-40:])
	}
	if Cut("short") != "short" {
		t.Error("what is short is cut")
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{evil, "@a", "#1", "a|b", "`x`", "http://x", "www.x", "GH-1", "\\@a", "\\\\|", "<b>", "&#64;ada", "/freeze", "a@\u200bb", "w\u2060ww.x", "::///", "\\", "![](x)"} {
		f.Add(s, 100)
	}
	harm := regexp.MustCompile("[<>]|@[A-Za-z0-9]|#[0-9]|(?i:gh-[0-9]|www\\.|https?://)|\n|^/")
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 || limit > 1000 {
			limit = 100
		}
		got := Text(s, limit)
		if found := harm.FindString(got); found != "" {
			t.Errorf("Text(%q) = %q, which holds %q", s, got, found)
		}
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r != '\u2060' && unicode.Is(unicode.C, r) }) {
			t.Errorf("Text(%q) = %q", s, got)
		}
		// Every letter of Markdown's is escaped by its own backslash.
		for i := 0; i < len(got); i++ {
			switch c := got[i]; c {
			case '\\':
				i++
				if i == len(got) {
					t.Errorf("Text(%q) = %q ends in a backslash", s, got)
				}
			case '|', '`', '*', '_', '[', ']', '~', '$':
				t.Errorf("Text(%q) = %q: %c is bare", s, got, c)
			}
		}
		code := Code(s, limit)
		if strings.Count(code, "`") != 2 && code != "–" || strings.ContainsAny(code, "|\n") {
			t.Errorf("Code(%q) = %q", s, code)
		}
	})
}

// TestWhyIsSaidTheSameEverywhere: what a terminal is told is what the forge is told,
// less the markup.
func TestWhyIsSaidTheSameEverywhere(t *testing.T) {
	st := promotion.PairState{
		Pair: promotion.Pair{Environment: "prod", Artifact: "checkout"}, Phase: promotion.PhaseOpen, PullRequest: 3, ByHand: "changed by hand by bob.",
		Live: promotion.Value{Version: "1.0.0"}, Target: promotion.Value{Version: "1.1.0", Digest: "sha256:aaaaaaaaaaaaaaaaaaaa"}, Sentence: "approval: needs 1 [of] @acme/sre",
		Verdicts: []promotion.Verdict{
			{Gate: "approval", Status: promotion.StatusPending, Sentence: "needs 1 [of] @acme/sre"},
			{Gate: "policy", Status: promotion.StatusFail, Sentence: "1 rule fails", Rules: []promotion.RuleResult{{Policy: "digest", Rule: "pinned", Status: promotion.StatusFail, Message: "pin | it"}}},
		},
	}
	letters := func(s string) string {
		for _, taken := range []string{"| | Gate | |\n|---|---|---|", "pending", "fail "} {
			s = strings.Replace(s, taken, "", 1)
		}
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune("\\*`|⏳❌\u2060 \n", r) {
				return -1
			}
			return r
		}, s)
	}
	if plain, forge := letters(WhyPlain(st)), letters(Why(st)); plain != forge {
		t.Errorf("plain %q\nforge %q", plain, forge)
	}
	if got := WhyPlain(promotion.PairState{Sentence: "a\x1b[31mb\nc"}); strings.ContainsAny(got, "\x1b\n") {
		t.Errorf("a terminal is told %q", got)
	}
	if got := Lines("a\x1b[31m\nb\u202e", 100); got != "a[31m\nb" {
		t.Errorf("lines %q", got)
	}
}
