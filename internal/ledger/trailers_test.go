package ledger

import (
	"cmp"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

func TestTrailersRoundTrip(t *testing.T) {
	statement := string(digestOf("statement"))
	for name, c := range map[string]struct {
		trailers Trailers
		want     string
	}{
		"the first commit": {
			Trailers{App: "7", Repository: "42", Base: commitA},
			"Promotion-Version: 1\nPromotion-App: 7\nPromotion-Repository: 42\nPromotion-Base: " + string(commitA) + "\n",
		},
		"a promotion commit": {
			Trailers{Groups: []TrailerGroup{GroupOf(about(promotion.RecordPropose, devCheckout, "1.0.0"), "")}, Ledger: commitB},
			"Promotion-Version: 1\nPromotion-Kind: propose\nPromotion-Environment: dev\nPromotion-Artifact: checkout@" + string(digestOf("1.0.0")) + "\nPromotion-Ledger: " + string(commitB) + "\n",
		},
		"a rollback that climbs from somewhere": {
			Trailers{Groups: []TrailerGroup{{Kind: "propose", Environment: "prod", Artifact: "a:1.0.0", From: "dev", Restores: statement, Statement: statement}}, Base: commitA},
			"Promotion-Version: 1\nPromotion-Kind: propose\nPromotion-Environment: prod\nPromotion-Artifact: a:1.0.0\nPromotion-From: dev\nPromotion-Restores: " + statement + "\nPromotion-Statement: " + statement + "\nPromotion-Base: " + string(commitA) + "\n",
		},
		"several records, sorted by environment and artifact": {
			Trailers{Groups: []TrailerGroup{
				{Kind: "freeze", Artifact: "+all"}, {Kind: "land", Environment: "dev", Artifact: "b:1"}, {Kind: "settle", Environment: "dev", Artifact: "b:1"}, {Kind: "land", Environment: "prod", Artifact: "a:1"},
			}},
			"Promotion-Version: 1\nPromotion-Kind: freeze\nPromotion-Artifact: +all\nPromotion-Kind: land\nPromotion-Environment: dev\nPromotion-Artifact: b:1\n" +
				"Promotion-Kind: settle\nPromotion-Environment: dev\nPromotion-Artifact: b:1\nPromotion-Kind: land\nPromotion-Environment: prod\nPromotion-Artifact: a:1\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.trailers.String()
			if got != c.want {
				t.Errorf("printed\n%s\nwant\n%s", got, c.want)
			}
			parsed, err := ParseTrailers("land checkout\n\nsome words\n\n" + got)
			if err != nil || !reflect.DeepEqual(*parsed, c.trailers) {
				t.Errorf("parsed %+v, %v; want %+v", parsed, err, c.trailers)
			}
		})
	}
}

func TestTrailersAreSortedWhenPrinted(t *testing.T) {
	a, b := TrailerGroup{Kind: "land", Environment: "dev", Artifact: "a:1"}, TrailerGroup{Kind: "land", Environment: "prod", Artifact: "a:1"}
	if x, y := (Trailers{Groups: []TrailerGroup{a, b}}), (Trailers{Groups: []TrailerGroup{b, a}}); x.String() != y.String() {
		t.Errorf("got\n%s\nand\n%s", x, y)
	}
}

func TestGroups(t *testing.T) {
	for name, c := range map[string]struct {
		r    promotion.Record
		want string
	}{
		"pinned":     {about(promotion.RecordLand, devCheckout, "1.0.0"), "checkout@" + string(digestOf("1.0.0"))},
		"unpinned":   {promotion.Record{Artifact: &promotion.RecordArtifact{Name: "checkout", Version: "1.0.0"}}, "checkout:1.0.0"},
		"a digest":   {promotion.Record{Digest: digestOf("x")}, string(digestOf("x"))},
		"a scope":    {promotion.Record{Scope: "dev/checkout"}, "dev/checkout"},
		"of nothing": {promotion.Record{}, ""},
	} {
		if got := GroupOf(c.r, "").Artifact; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := GroupOf(promotion.Record{From: &promotion.RecordFrom{Environment: "dev"}}, "").From; got != "dev" {
		t.Errorf("from %q", got)
	}
}

func TestMessagesWithoutTrailers(t *testing.T) {
	for _, message := range []string{
		"", "fix it", "fix it\n\nwith words\n", "subject\n\nSigned-off-by: ada\n",
		"promotion-kind: in the subject", "talk\n\nabout Promotion-Kind: land in words",
		"subject\n\nPromotion-Version: 1\n\nthe end is something else\n",
	} {
		if got, err := ParseTrailers(message); got != nil || err != nil {
			t.Errorf("%q: %+v, %v", message, got, err)
		}
	}
}

func TestTrailersThatAreRefused(t *testing.T) {
	good := Trailers{Groups: []TrailerGroup{{Kind: "land", Environment: "dev", Artifact: "a:1", From: "x", Statement: "sha256:aa"}}, Ledger: commitA, Base: commitB}.String()
	edit := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the trailers lack %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, trailers := range map[string]string{
		"an unknown key":             edit("Promotion-From", "Promotion-Form"),
		"another letter case":        edit("Promotion-Kind", "promotion-kind"),
		"a key of somebody else":     good + "Signed-off-by: ada\n",
		"another order":              edit("Promotion-Environment: dev\nPromotion-Artifact: a:1", "Promotion-Artifact: a:1\nPromotion-Environment: dev"),
		"a key twice":                edit("Promotion-From: x", "Promotion-From: x\nPromotion-From: x"),
		"the base twice":             good + "Promotion-Base: " + string(commitA) + "\n",
		"no version":                 edit("Promotion-Version: 1\n", ""),
		"another version":            edit("Promotion-Version: 1", "Promotion-Version: 2"),
		"a folded line":              edit("Promotion-From: x", "Promotion-From: x\n  y"),
		"no space":                   edit("Promotion-From: x", "Promotion-From:x"),
		"two spaces":                 edit("Promotion-From: x", "Promotion-From:  x"),
		"a space behind":             edit("Promotion-From: x", "Promotion-From: x "),
		"an empty value":             edit("Promotion-From: x", "Promotion-From: "),
		"a carriage return":          edit("Promotion-From: x", "Promotion-From: x\r"),
		"no ASCII":                   edit("Promotion-From: x", "Promotion-From: x\u00e9"),
		"a control character":        edit("Promotion-From: x", "Promotion-From: x\x00"),
		"a hash that is none":        edit(string(commitA), "aaaa"),
		"a base that is none":        edit(string(commitB), strings.ToUpper(string(commitB))),
		"a group before its kind":    edit("Promotion-Kind: land\nPromotion-Environment: dev", "Promotion-Environment: dev\nPromotion-Kind: land"),
		"words in between":           edit("Promotion-From: x", "Promotion-From: x\nhello"),
		"records in the wrong order": edit("Promotion-Ledger", "Promotion-Kind: land\nPromotion-Environment: aaa\nPromotion-Ledger"),
		"the App behind the records": edit("Promotion-Ledger", "Promotion-App: 7\nPromotion-Ledger"),
		"a very long key":            edit("Promotion-From", "Promotion-"+strings.Repeat("x", 5000)),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTrailers("subject\n\n" + trailers)
			if err == nil {
				t.Errorf("taken: %+v", got)
			} else if len(err.Error()) > 300 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// theTrailersOf reads trailers by their definition: of the last paragraph, what
// String writes as that very paragraph.
func theTrailersOf(message string) (*Trailers, bool) {
	_, paragraph, ok := cutLast(strings.TrimRight(message, "\n"), "\n\n")
	if !ok || !strings.HasPrefix(strings.ToLower(paragraph), "promotion-") {
		return nil, true
	}
	t := &Trailers{}
	for _, line := range strings.Split(paragraph, "\n") {
		key, value, _ := strings.Cut(line, ": ")
		if value != strings.TrimSpace(value) || !isASCII(line) || t.set(key, value) != nil {
			return nil, false
		}
	}
	return t, t.String() == paragraph+"\n"
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// checkTrailers holds ParseTrailers to the definition of trailers.
func checkTrailers(t *testing.T, message string) (taken bool) {
	t.Helper()
	parsed, err := ParseTrailers(message)
	want, ok := theTrailersOf(message)
	if ok != (err == nil) || ok && !reflect.DeepEqual(parsed, want) {
		t.Fatalf("%q: %+v, %v; want %+v, %t", message, parsed, err, want, ok)
	}
	return parsed != nil
}

// TestTrailersAreInTheOneOrder: lines in any order at all are taken if and only if
// String writes them so.
func TestTrailersAreInTheOneOrder(t *testing.T) {
	a := anything{rand.New(rand.NewPCG(5, 6))}
	taken := 0
	for range 20000 {
		lines := []string{"subject", ""}
		for _, key := range keysInOrder {
			value := map[string]string{keyVersion: "1", keyLedger: string(commitA), keyBase: string(commitB)}[key]
			if a.IntN(3) > 0 {
				lines = append(lines, key+": "+cmp.Or(value, pick(a, "a", "b")))
			}
		}
		for range a.IntN(3) {
			i, j := 2+a.IntN(len(lines)-1), 2+a.IntN(len(lines)-1)
			lines = slices.Insert(lines, min(i, j, len(lines)), lines[min(max(i, j), len(lines)-1)])
		}
		if checkTrailers(t, strings.Join(lines, "\n")) {
			taken++
		}
	}
	if taken < 1000 {
		t.Errorf("only %d were taken: nothing was tested", taken)
	}
}

func TestLastBlank(t *testing.T) {
	for n := 1; n < 1<<10; n++ { // every text of up to nine bytes, in letters and line feeds
		text := strings.NewReplacer("0", "a", "1", "\n").Replace(strconv.FormatInt(int64(n), 2)[1:])
		if got, want := lastBlank(text), strings.LastIndex(text, "\n\n"); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func FuzzParseTrailers(f *testing.F) {
	f.Add("subject\n\n" + Trailers{Groups: []TrailerGroup{{Kind: "land", Environment: "dev", Artifact: "a:1"}}, Ledger: commitA, Base: commitB}.String())
	f.Add("subject\n\nPromotion-Version: 1\nPromotion-App: 7\nPromotion-Repository: 42\n")
	f.Add("subject\n\nPromotion-Version: 1\nPromotion-Kind: a\nPromotion-Kind: b\nPromotion-Environment: c\nPromotion-Statement: d\nPromotion-Kind: b\nPromotion-Environment: d\n")
	f.Add("\n\npromotion-:")
	f.Fuzz(func(t *testing.T, message string) { checkTrailers(t, message) })
}

func BenchmarkParseTrailers(b *testing.B) {
	group := GroupOf(about(promotion.RecordLand, devCheckout, "1.0.0"), string(digestOf("statement")))
	message := "land checkout 1.0.0 in dev\n\n" + Trailers{Groups: []TrailerGroup{group}, Base: commitA}.String()
	b.ReportAllocs()
	for b.Loop() {
		if t, err := ParseTrailers(message); t == nil || err != nil {
			b.Fatal(err)
		}
	}
}
