package manifest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

var checkout = Artifact{"checkout", "ghcr.io/acme/checkout"}

func TestIsManifest(t *testing.T) {
	for name, want := range map[string]bool{
		"environments/prod/kustomization.yaml": true,
		"environments/prod/values.yml":         true,
		"environments/prod/pod.json":           true,
		"environments/prod/Kustomization":      true,
		"environments/prod/README.md":          false,
		"environments/prod/yaml":               false,
		"environments/prod.yaml/LICENSE":       false,
	} {
		if got := IsManifest(name); got != want {
			t.Errorf("IsManifest(%s) = %v", name, got)
		}
	}
}

func TestFindSeveralArtifacts(t *testing.T) {
	const file = `images:
- name: ghcr.io/acme/payments
  newTag: 2.0.0
- name: ghcr.io/acme/checkout
  newTag: 1.4.1
- name: ghcr.io/acme/search
  newTag: 3.0.0
`
	report, err := Find("e/kustomization.yaml", []byte(file), []Artifact{checkout, {"payments", "ghcr.io/acme/payments"}, {"checkout-too", "GHCR.io/acme/checkout"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range report.Found {
		got = append(got, fmt.Sprintf("%d:%d %s %s %s", f.Line, f.Column, f.Artifact, f.Place.Path, f.Place.Value.Version))
	}
	want := []string{
		"3:11 payments e/kustomization.yaml 2.0.0",
		"5:11 checkout e/kustomization.yaml 1.4.1",
		"5:11 checkout-too e/kustomization.yaml 1.4.1",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("found\n%s", strings.Join(got, "\n"))
	}
}

// TestPassedOver: what names no artifact is never an error, and says why
// where it was looked at.
func TestPassedOver(t *testing.T) {
	tests := []struct{ name, data, note string }{
		{"empty", "", ""},
		{"another image", "image: ghcr.io/acme/payments:1\n", ""},
		{"not YAML", "a: [\nb: checkout\n", "f.yaml:3:1: passed over: not valid YAML: did not find expected ',' or ']'"},
		{"duplicate key", "checkout: 1\ncheckout: 2\n", "f.yaml:2:1: passed over: the key \"checkout\" stands twice in the same mapping: remove one"},
		{"template", "{{- if .Values.checkout }}\nimage: ghcr.io/acme/checkout:{{ .Values.tag }}\n# image: ghcr.io/acme/checkout:1\n{{- end }}\n", "f.yaml: passed over: it is a template, no YAML before it is rendered"},
		{"binary", "checkout\x00\x01", "f.yaml:1:1: passed over: not valid YAML: control characters are not allowed"},
		{"large", strings.Repeat("# nothing\n", MaxSize/9), ""},
		{"bare", "image: ghcr.io/acme/checkout\n", "f.yaml:1:8: names ghcr.io/acme/checkout without a version: rung leaves it alone"},
		{"longer name", "image: ghcr.io/acme/checkout-proxy:1\nb: x/ghcr.io/acme/checkout/y:1\n", ""},
		{"other registry", "image: quay.io/acme/checkout:1\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			report, err := Find("f.yaml", []byte(tt.data), []Artifact{checkout})
			if err != nil || len(report.Found) > 0 {
				t.Fatalf("found %v, %v", report.Found, err)
			}
			note := ""
			for _, n := range report.Notes {
				note += n.String()
			}
			if note != tt.note {
				t.Errorf("note %q, not %q", note, tt.note)
			}
			out, changes, err := Edit("f.yaml", []byte(tt.data), checkout, promotion.Value{Version: "2"}, PinTag)
			if err != nil || len(changes) > 0 || string(out) != tt.data {
				t.Errorf("Edit made %v, %v", changes, err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	image := "image: ghcr.io/acme/checkout:1\n"
	laughs := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'i'; c++ {
		laughs += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ","))
	}
	tests := []struct{ name, data, err string }{
		{"size", image + strings.Repeat("# filling\n", MaxSize/10), "rung reads files up to 1048576 bytes"},
		{"depth", image + "a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested more than 100 levels deep"},
		{"parser depth", image + "a: " + strings.Repeat("[", 20000), "exceeded max depth"},
		{"documents", image + strings.Repeat("---\na\n", 1001), "more than 1000 documents"},
		{"alias bomb", image + laughs, "aliases expand to more than 500000 values"},
		{"merge bomb", image + strings.NewReplacer("[", "{<<: [", "]", "]}", "x,x,x,x,x,x,x,x,x,x", "{x: 1}").Replace(laughs), "aliases expand to more than 500000 values"},
		{"alias in itself", image + "a: &a [*a]", "nested more than 100 levels deep with aliases expanded"},
		{"merge of itself", image + "a: &a\n  <<: *a", "nested more than 100 levels deep with aliases expanded"},
		{"shared", image + "a: &a {repository: ghcr.io/acme/checkout, tag: 1}\nb:\n" + strings.Repeat("- {<<: *a, digest: x}\n", 100), "by more than 64 different places"},
		{"path", nest(image, strings.Repeat("k", 1000), 3), "too long for a record"},
		{"utf-16", "\xff\xfei\x00m\x00", "save it as UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			report, err := Find("f.yaml", []byte(tt.data), []Artifact{checkout})
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("Find gave %v, %v", report, err)
			}
			var e *Error
			if !errors.As(err, &e) || e.Path != "f.yaml" || len(err.Error()) > 600 {
				t.Errorf("not the error it should be: %v", err)
			}
		})
	}
}

// nest puts an entry under a key, under the same key, so many times.
func nest(entry, key string, times int) string {
	var b strings.Builder
	for i := range times {
		b.WriteString(strings.Repeat(" ", i) + key + ":\n")
	}
	return b.String() + strings.Repeat(" ", times) + entry
}

func TestApplyRefuses(t *testing.T) {
	const file = "a: {image: 'ghcr.io/acme/checkout:1.4.1'}\nb: {image: 'ghcr.io/acme/checkout:1.4.1'}\n"
	older, newer := promotion.Value{Version: "1.4.1"}, promotion.Value{Version: "1.4.2", Digest: promotion.Digest(digests["NEW"])}
	a := promotion.PlaceChange{Path: "f.yaml", Locator: "image:0:a.image", Before: older, After: newer}
	with := func(f func(*promotion.PlaceChange)) []promotion.PlaceChange {
		c := a
		f(&c)
		return []promotion.PlaceChange{c}
	}
	tests := []struct {
		name     string
		changes  []promotion.PlaceChange
		mismatch *MismatchError
		err      string
	}{
		{
			"gone", with(func(c *promotion.PlaceChange) { c.Locator = "image:0:c.image" }),
			&MismatchError{Path: "f.yaml", Locator: "image:0:c.image", Want: older, Missing: true},
			"f.yaml: there is no place image:0:c.image, which the record says held 1.4.1",
		},
		{
			"another value", with(func(c *promotion.PlaceChange) { c.Before.Version = "1.4.0" }),
			&MismatchError{Path: "f.yaml", Locator: "image:0:a.image", Want: promotion.Value{Version: "1.4.0"}, Got: older},
			"f.yaml: image:0:a.image holds 1.4.1, but the record says 1.4.0",
		},
		{"another file", with(func(c *promotion.PlaceChange) { c.Path = "g.yaml" }), nil, `f.yaml: a change to "g.yaml" was given for this file`},
		{"twice", []promotion.PlaceChange{a, a}, nil, "f.yaml: two changes were given for image:0:a.image"},
		{"nothing", with(func(c *promotion.PlaceChange) { c.After = promotion.Value{} }), nil, "f.yaml:1:12: there would be neither a version nor a digest here"},
		{"hostile version", with(func(c *promotion.PlaceChange) { c.After.Version = "1'\nx: y" }), nil, `f.yaml:1:12: "1'\nx: y" can't be an image's tag`},
		{"hostile digest", with(func(c *promotion.PlaceChange) { c.After.Digest = "sha256:1 # x" }), nil, `f.yaml:1:12: "sha256:1 # x" is not a digest: it must be sha256: and 64 lower-case hexadecimal digits`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := Apply("f.yaml", []byte(file), []Artifact{checkout}, tt.changes)
			if out != nil || err == nil || err.Error() != tt.err {
				t.Fatalf("Apply gave %q, %v", out, err)
			}
			var m *MismatchError
			if errors.As(err, &m) != (tt.mismatch != nil) || m != nil && *m != *tt.mismatch {
				t.Errorf("mismatch %+v", m)
			}
		})
	}
	if out, err := Apply("f.yaml", []byte(file), []Artifact{{"payments", "ghcr.io/acme/payments"}}, []promotion.PlaceChange{a}); out != nil || err == nil {
		t.Error("a change was made to a place of another artifact")
	}
}

// TestApplyToOtherBytes: what was recorded on one version of a file lands on
// another that grew lines, containers and documents meanwhile.
func TestApplyToOtherBytes(t *testing.T) {
	const seen = `kind: Deployment
metadata: {name: checkout}
spec:
  containers:
  - name: app
    image: ghcr.io/acme/checkout:1.4.1
`
	const now = `# owned by the shop
kind: Service
metadata: {name: checkout}
---
kind: Deployment
metadata: {name: checkout}
spec:
  containers:
  - name: proxy
    image: ghcr.io/acme/proxy:2
  - image: ghcr.io/acme/checkout:1.4.1 # here
    name: app
`
	to := promotion.Value{Version: "1.4.2", Digest: promotion.Digest(digests["NEW"])}
	_, changes, err := Edit("f.yaml", []byte(seen), checkout, to, PinDigest)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Apply("f.yaml", []byte(now), []Artifact{checkout}, changes)
	if want := strings.Replace(now, "checkout:1.4.1", "checkout:1.4.2@"+digests["NEW"], 1); err != nil || string(out) != want {
		t.Errorf("Apply gave %v\n%s", err, out)
	}
}

func TestPlainText(t *testing.T) {
	for s, want := range map[string]bool{
		"1.4.2": true, "v1": true, "latest": true, "1.4.2@sha256:ab": true, "deadbeef": true, "1.4-rc.1": true,
		"": false, "1": false, "1.10": false, "1e5": false, "123e4567": false, "0x1f": false, "0o17": false, "017": false, "1_000": false,
		"true": false, "NO": false, "y": false, "null": false, "2024-06-11": false, "1.e3": false, "12e999": false, "0b1": false,
	} {
		if got := plainText(s); got != want {
			t.Errorf("plainText(%q) = %v", s, got)
		}
	}
}

func TestRepository(t *testing.T) {
	for s, want := range map[string]string{
		"nginx": "docker.io/library/nginx", "docker.io/nginx": "docker.io/library/nginx", "index.docker.io/library/nginx": "docker.io/library/nginx",
		"acme/checkout": "docker.io/acme/checkout", "GHCR.IO/acme/checkout": "ghcr.io/acme/checkout", "localhost/x": "localhost/x",
		"registry:5000/x": "registry:5000/x", "a.b/c/d__e": "a.b/c/d__e",
		"": "", "Acme/x": "", "ghcr.io/": "", "ghcr.io/acme/checkout:1": "", "a@b": "", "a b": "", "/x": "", "ghcr.io//x": "", "é/x": "", "a.b:x/c": "",
	} {
		if got, ok := repository(s); got != want || ok != (want != "") {
			t.Errorf("repository(%q) = %q, %v", s, got, ok)
		}
	}
}

// TestApplySeveralArtifacts: a batch is one call a file.
func TestApplySeveralArtifacts(t *testing.T) {
	const file = "images:\n- {name: ghcr.io/acme/checkout, newTag: 1.4.1}\n- {name: ghcr.io/acme/payments, newTag: 2.0.0}\n"
	payments := Artifact{"payments", "ghcr.io/acme/payments"}
	want := []byte(file)
	var all []promotion.PlaceChange
	for _, a := range []Artifact{checkout, payments} {
		out, changes, err := Edit("k.yaml", want, a, promotion.Value{Version: "3.0.0", Digest: promotion.Digest(digests["NEW"])}, PinDigest)
		if err != nil || len(changes) != 1 {
			t.Fatalf("%v, %v", changes, err)
		}
		want, all = out, append(all, changes...)
	}
	got, err := Apply("k.yaml", []byte(file), []Artifact{payments, checkout}, all)
	if err != nil || string(got) != string(want) {
		t.Errorf("Apply gave %v\n%s", err, got)
	}
}

func BenchmarkFind(b *testing.B) {
	artifacts := []Artifact{checkout}
	for i := range 300 {
		artifacts = append(artifacts, Artifact{promotion.Artifact(fmt.Sprintf("service-%d", i)), fmt.Sprintf("ghcr.io/acme/service-%d", i)})
	}
	filler := strings.Repeat("- name: something\n  value: \"of no concern\" # to anybody\n", 40)
	for name, data := range map[string]string{
		"names none": "list:\n" + filler,
		"names one":  "list:\n" + filler + "image: ghcr.io/acme/checkout:1.4.1\n",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Find("f.yaml", []byte(data), artifacts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
