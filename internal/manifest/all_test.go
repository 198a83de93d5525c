package manifest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// listed is a Listing in lines.
func listed(l Listing) string {
	var b strings.Builder
	for _, i := range l.Images {
		fmt.Fprintf(&b, "%d:%d %s%s %s %s", i.Line, i.Column, i.Image, i.Mark, i.Place.Value.Version, i.Place.Locator)
		if i.Keeps {
			b.WriteString(" keeps")
		}
		b.WriteString("\n")
	}
	for _, t := range l.Loose {
		fmt.Fprintf(&b, "%d:%d loose %q under %q of %s", t.Line, t.Column, t.Value, t.Under, t.Document)
		if t.Markable {
			b.WriteString(" markable")
		}
		b.WriteString("\n")
	}
	for _, r := range l.Repositories {
		fmt.Fprintf(&b, "%d:%d names %s under %q of %s\n", r.Line, r.Column, r.Image, r.Under, r.Document)
	}
	for _, n := range l.Notes {
		fmt.Fprintln(&b, n)
	}
	return b.String()
}

func TestAll(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"images of all kinds", `images:
  - {name: web, newName: ghcr.io/acme/web, newTag: 1.0.0}
---
kind: Deployment
metadata: {name: shop}
spec:
  containers: [{name: a, image: nginx:1.27}, {name: b, image: "$(IMAGE):1"}, {name: c, image: busybox}]
`, `2:52 ghcr.io/acme/web 1.0.0 kustomize:0:images[name=web]
7:33 docker.io/library/nginx 1.27 image:Deployment/shop:spec.containers[name=a].image
`},
		{"values that override the version alone", `image:
  tag: 1.4.2 # the shop
proxyImage: {tag: v2}
logging: {tag: 3}
imageTag: "5"
service:
  image:
    tag: "{{ .x }}"
`, `2:8 loose "1.4.2" under "image" of 0 markable
3:19 loose "v2" under "proxyImage" of 0
5:11 loose "5" under "" of 0 markable
`},
		{"a chart's own values", `image:
  registry: ghcr.io
  repository: acme/shop
  tag: ""
side: {image: quay.io/acme/side, tag: 1}
`, `5:39 quay.io/acme/side 1 helm:0:side
3:15 names ghcr.io/acme/shop under "image" of 0
5:15 names quay.io/acme/side under "side" of 0
`},
		{"releases and applications", `kind: HelmRelease
metadata: {name: shop}
spec:
  values:
    web: {image: {tag: 1.0.0}}
---
kind: Application
metadata: {name: shop}
spec:
  source:
    helm:
      values: |
        image:
          tag: 2.0.0
      parameters:
        - name: image.tag
          value: 3.0.0
        - {name: side.image.repository, value: ghcr.io/acme/side}
        - {name: side.image.tag, value: 4.0.0}
`, `19:41 ghcr.io/acme/side 4.0.0 argo:Application/shop:spec.source.helm.parameters[name=side.image.tag]
5:24 loose "1.0.0" under "web.image" of HelmRelease/shop
14:16 loose "2.0.0" under "image" of Application/shop markable
17:18 loose "3.0.0" under "image" of Application/shop markable
18:48 names ghcr.io/acme/side under "side.image" of Application/shop
`},
		{"marked", "tag: 1.4.2 # rung: checkout\n", "1:6 checkout 1.4.2 marked:0:tag keeps\n"},
		{"no YAML", "a: [\n", "e/f.yaml:2:1: passed over: not valid YAML: did not find expected node content\n"},
		{"a template", "image: {{ .x }}:{{ .y }}\n{{ end }}", "e/f.yaml: passed over: it is a template, no YAML before it is rendered\n"},
		{"a malformed tag", "image: ghcr.io/acme/web:-x\n", "e/f.yaml:1:8: \"-x\" is not a tag of an image: write one, such as 1.4.2\n"},
		{"an alias is no place of its own", "a: &v 1.2.3\nimage: {tag: *v}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := listed(All("e/f.yaml", []byte(c.yaml))); got != c.want {
				t.Errorf("got\n%s\nnot\n%s", got, c.want)
			}
		})
	}
}

func TestMark(t *testing.T) {
	art := Artifact{"checkout", "ghcr.io/acme/checkout"}
	const file = "image:\n  tag: 1.4.2 # note\n  pullPolicy: x\nspec:\n  helm:\n    values: |\n      image:\n        tag: '2'\n"
	const want = "image:\n  tag: 1.4.2 # rung: checkout # note\n  pullPolicy: x\nspec:\n  helm:\n    values: |\n      image:\n        tag: '2' # rung: checkout\n"
	for how, f := range dress {
		out, err := Mark("v.yaml", []byte(f(file)), art, []int{2, 8})
		if err != nil || string(out) != f(want) {
			t.Errorf("%s: %v\n%s", how, err, out)
		}
		places, err := PlacesIn("v.yaml", out, []Artifact{art})
		if err != nil || len(places) != 2 {
			t.Errorf("%s: %v %v", how, places, err)
		}
	}
	for _, c := range []struct {
		yaml, want string
		lines      []int
	}{
		{"image: {tag: 1.4.2}\n", "of 1 versions to be marked for checkout, 0 can be", []int{1}},
		{"image:\n  tag: 1.4.2\n", "of 1 versions to be marked for checkout, 0 can be", []int{1}},
		{"image:\n  tag: 1.4.2\n", "of 2 versions to be marked for checkout, 1 can be", []int{2, 3}},
		{"image: [", "0 can be", []int{1}},
	} {
		if out, err := Mark("v.yaml", []byte(c.yaml), art, c.lines); err == nil || !strings.Contains(err.Error(), c.want) || out != nil {
			t.Errorf("%q: %q, %v", c.yaml, out, err)
		}
	}
}

// FuzzAll: no file makes All panic, what it lists Find finds, and what it says can be
// marked is found once it is.
func FuzzAll(f *testing.F) {
	seeds(f)
	f.Add([]byte("image:\n  tag: 1.4.2 # x\n"), false)
	f.Add([]byte("parameters:\n- name: image.tag\n  value: 1\n"), false)
	f.Fuzz(func(t *testing.T, data []byte, _ bool) {
		l := All("e/f.yaml", data)
		if len(l.Images) > 3 {
			l.Images = l.Images[:3]
		}
		for _, i := range l.Images {
			if i.Image == "" || i.Mark != "" {
				continue
			}
			places, err := PlacesIn("e/f.yaml", data, []Artifact{{"it", i.Image}})
			if err == nil && !slices.Contains(places, i.Place) {
				t.Fatalf("%v is not found: %v", i, places)
			}
		}
		for _, loose := range l.Loose[:min(len(l.Loose), 3)] {
			if !loose.Markable {
				continue
			}
			out, err := Mark("e/f.yaml", data, Artifact{"it", "ghcr.io/acme/it"}, []int{loose.Line})
			if err == nil && len(out) <= len(data) {
				t.Fatalf("nothing was marked in %q", data)
			}
		}
	})
}
