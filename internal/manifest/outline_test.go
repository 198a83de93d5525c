package manifest

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rungbot/rung/internal/promotion"
)

// applied asks an outline of two states of its file.
func applied(o *Outline, before, after []byte, changes []promotion.PlaceChange) bool {
	was, ok := o.Find(before)
	is, follows := o.Find(after)
	return ok && follows && o.Applied(was, is, changes)
}

// sure holds what an outline says of some bytes to what Find and Apply say.
func sure(t interface{ Fatalf(string, ...any) }, o *Outline, before, after []byte, artifacts []Artifact, changes []promotion.PlaceChange) (said bool) {
	found, ok := o.Find(after)
	if ok {
		report, err := Find(o.path, after, artifacts)
		if err != nil || len(report.Found) != len(found) {
			t.Fatalf("%d places, and Find says %d, %v\n%s", len(found), len(report.Found), err, after)
		}
		for i, f := range report.Found {
			if f.Artifact != found[i].Artifact || f.Place != found[i].Place {
				t.Fatalf("%+v, and Find says %+v\n%s", found[i], f, after)
			}
		}
	}
	if applied(o, before, after, changes) {
		result, err := Apply(o.path, before, artifacts, changes)
		if err != nil || !bytes.Equal(result, after) {
			t.Fatalf("%v are not what turned\n%s\ninto\n%s\n%v", changes, before, after, err)
		}
		said = true
	}
	return said
}

// TestOutlineSaysWhatFindSays: of files with other versions, and of such files
// with a byte that is wrong, an outline says what parsing says, or nothing.
func TestOutlineSaysWhatFindSays(t *testing.T) {
	art := []Artifact{{"checkout", "ghcr.io/acme/checkout"}, {"payments", "ghcr.io/acme/payments"}}
	outlines, turned := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		file, _ := drawFile(t)
		file = strings.ReplaceAll(file, "# rung: checkout", "")
		versions := []promotion.Value{drawValue(t), drawValue(t), drawValue(t)}
		versions = append(versions, promotion.Value{Version: promotion.Version(rapid.SampledFrom([]string{"1.10", "1", "0x1.2", "on", "2001-01-01", "1.2.", "v1", "~", "1_0"}).Draw(t, "odd")), Digest: versions[0].Digest})
		first, before := render(file, versions[0]), render(file, versions[1])
		o, ok := NewOutline("e/f.yaml", first, art)
		if !ok {
			return
		}
		outlines++
		for _, to := range versions {
			after := render(file, to)
			_, changes, err := Edit("e/f.yaml", before, art[0], to, PinDigest)
			if err != nil {
				changes = nil
			}
			if sure(t, o, before, after, art, changes) {
				turned++
			}
			for _, wrong := range [][]promotion.PlaceChange{nil, append(changes[:len(changes):len(changes)], changes...), {{Path: "e/f.yaml", Locator: "image:0:x", Before: versions[1], After: to}}} {
				sure(t, o, before, after, art, wrong)
			}
			at := rapid.IntRange(0, len(after)-1).Draw(t, "at")
			changed := bytes.Clone(after)
			changed[at] = rapid.SampledFrom([]byte("a1.@:\"'# \n-")).Draw(t, "byte")
			sure(t, o, before, changed, art, changes)
			sure(t, o, before, append(changed[:at:at], after[at+1:]...), art, changes)
			sure(t, o, before, slicesInsert(after, at, rapid.SampledFrom([]string{"a", "1", ".0", "@", ":", " ", "\n", " #", "\""}).Draw(t, "more")), art, changes)
		}
	})
	if outlines < 10 || turned < 10 {
		t.Errorf("%d outlines, %d times applied: the draw does not reach them", outlines, turned)
	}
}

func slicesInsert(data []byte, at int, text string) []byte {
	return append(append(bytes.Clone(data[:at]), text...), data[at:]...)
}

// TestPlainTagsAreText: what is taken for text is text without quotes.
func TestPlainTagsAreText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tag := rapid.StringMatching(`[A-Za-z0-9_.-]{1,12}|[0-9]{1,4}[.-][0-9]{1,2}[.-][0-9]{1,2}|0[xob][0-9a-f]{1,8}|[0-9]+e[0-9]+`).Draw(t, "tag")
		if isPlainTag(tag) && !plainText(tag) {
			t.Fatalf("%q", tag)
		}
		if isPlainTag(tag) && !tagGrammar.MatchString(tag) {
			t.Fatalf("%q is no tag", tag)
		}
	})
	for _, tag := range []string{"1.2.3", "v1.2.3-rc.1", "2024.11.05", "main-5f3a2c1g"} {
		if !isPlainTag(tag) || !plainText(tag) {
			t.Errorf("%q is not taken", tag)
		}
	}
	for _, tag := range []string{"", "1.10", "1", "true", "null", ".1.2", "-1.2.3", "1.2.", "2001-01-01", "0x1f", "1e10"} {
		if isPlainTag(tag) {
			t.Errorf("%q is taken", tag)
		}
	}
}

// TestOutlineOfAKustomization: the usual file is followed, through values far from
// the first.
func TestOutlineOfAKustomization(t *testing.T) {
	const text = "kind: Kustomization\nimages:\n  - name: ghcr.io/acme/checkout\n    newTag: 1.0.0 # for people\n    digest: D\n  - {name: ghcr.io/acme/payments, newTag: \"2.0.0\", digest: E}\n---\nspec: {containers: [{image: ghcr.io/acme/worker:0.3.0}]}\n"
	art := []Artifact{{"checkout", "ghcr.io/acme/checkout"}, {"payments", "ghcr.io/acme/payments"}, {"worker", "ghcr.io/acme/worker"}}
	file := func(replace ...string) []byte {
		pairs := append(replace, "D", "sha256:"+strings.Repeat("d", 64), "E", "sha256:"+strings.Repeat("e", 64))
		return []byte(strings.NewReplacer(pairs...).Replace(text))
	}
	o, ok := NewOutline("k.yaml", file(), art)
	if !ok {
		t.Fatal("no outline")
	}
	before := file("1.0.0", "1.100.0", "0.3.0", "0.31.0")
	if got, ok := o.Find(file("D", "sha256:"+strings.Repeat("f", 64), "2.0.0", "22.0.0-rc.7")); !ok || len(got) != 3 || got[1].Place.Value.Version != "22.0.0-rc.7" {
		t.Errorf("%v %v", got, ok)
	}
	for _, odd := range [][]byte{file("1.0.0", "1.10"), file("spec", "spek"), file("# for", "# fro"), file("E}", "E, x: y}"), append(file(), '\n')} {
		if got, ok := o.Find(odd); ok {
			t.Errorf("%s\nis followed: %v", odd, got)
		}
	}
	change := func(locator, from, to string) promotion.PlaceChange {
		return promotion.PlaceChange{Path: "k.yaml", Locator: locator, Before: promotion.Value{Version: promotion.Version(from)}, After: promotion.Value{Version: promotion.Version(to)}}
	}
	worker := change("image:1:spec.containers[0].image", "0.31.0", "0.32.0")
	after := file("1.0.0", "1.100.0", "0.3.0", "0.32.0")
	if applied, err := Apply("k.yaml", before, art, []promotion.PlaceChange{worker}); err != nil || !reflect.DeepEqual(applied, after) {
		t.Fatal(err, string(applied))
	}
	if !applied(o, before, after, []promotion.PlaceChange{worker}) {
		t.Error("it was applied")
	}
	other := worker
	other.Path = "l.yaml"
	for name, changes := range map[string][]promotion.PlaceChange{
		"nothing": nil, "another path": {other}, "twice": {worker, worker}, "from another": {change(worker.Locator, "0.30.0", "0.32.0")},
		"to another": {change(worker.Locator, "0.31.0", "0.33.0")}, "elsewhere": {change("image:0:x", "0.31.0", "0.32.0")},
	} {
		if applied(o, before, after, changes) {
			t.Errorf("%s: taken for applied", name)
		}
	}
	var e *MismatchError
	if _, err := Apply("k.yaml", before, art, []promotion.PlaceChange{change(worker.Locator, "0.30.0", "0.32.0")}); !errors.As(err, &e) {
		t.Error(err)
	}
}

func BenchmarkOutline(b *testing.B) {
	file := []byte("kind: Kustomization\nimages:\n  - name: ghcr.io/acme/checkout\n    newTag: 1.0.0\n    digest: sha256:" + strings.Repeat("d", 64) + "\n")
	art := []Artifact{{"checkout", "ghcr.io/acme/checkout"}}
	o, ok := NewOutline("k.yaml", file, art)
	if !ok {
		b.Fatal("no outline")
	}
	other := bytes.Replace(file, []byte("1.0.0"), []byte("1.2.0"), 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := o.Find(other); !ok {
			b.Fatal("not followed")
		}
	}
}
