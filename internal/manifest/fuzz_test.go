package manifest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rungbot/rung/internal/promotion"
)

var hostile = []string{
	"", "\x00", "---\n---\n...\n", "\xef\xbb\xbf", "\xff\xfei\x00", "*a", "&a *a", "a: &a [*a]\nimage: ghcr.io/acme/checkout:1",
	"checkout: &a {<<: *a}", "a: &a\n  <<: [*a, *a]\n  image: ghcr.io/acme/checkout:1\n",
	"image: ghcr.io/acme/checkout:1\r\rb: 2\u0085c: 3\u2028d: \u2029",
	"? {image: ghcr.io/acme/checkout:1}\n: [image]\n", "? image\n: ghcr.io/acme/checkout:1.2\n",
	"%YAML 1.1\n%TAG !e! tag:e,2000:\n---\nimage: !e!x ghcr.io/acme/checkout:1\n",
	"image: !<tag:yaml.org,2002:str> &x ghcr.io/acme/checkout:1", "images: [a=ghcr.io/acme/checkout:1, *x]",
	"image: >\n\n\n  ghcr.io/acme/checkout:1\n\n", "image: |9\n         ghcr.io/acme/checkout:1", "- - - image: 'ghcr.io/acme/checkout:1'",
	"images:\n- newTag: 1\n  name: ghcr.io/acme/checkout\n", "{images: [{name: ghcr.io/acme/checkout, newTag: }]}",
	"images: [{name: ghcr.io/acme/checkout, digest: ''}]", "<<: {image: ghcr.io/acme/checkout:1}", "tag: 1 # rung: checkout",
	"a: 'x # rung: checkout' # rung: checkout", "# rung: checkout", "a: |\n  # rung: checkout\n", "- \"\\x67hcr.io/acme/checkout:1\"",
	"helm: {values: \"image: ghcr.io/acme/checkout:1\"}", "helm:\n  values: |\n    image: ghcr.io/acme/checkout:1\n",
	"helm:\n  values: |2\n      image: ghcr.io/acme/checkout:1\n\n\n", "\tcheckout: 1", "checkout: \u0007",
}

func seeds(f *testing.F) {
	for _, s := range hostile {
		f.Add([]byte(s), true)
	}
	names, _ := filepath.Glob("testdata/*/*.txtar")
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		text := expand(string(archive.Files[0].Data))
		f.Add([]byte(text), false)
		f.Add([]byte(dress["bomcrlf"](text)), true)
	}
}

// FuzzEdit: no file makes Edit panic, and what it does change reads back,
// is changed once, and can be recorded and applied again.
func FuzzEdit(f *testing.F) {
	seeds(f)
	art := Artifact{"checkout", "ghcr.io/acme/checkout"}
	to := promotion.Value{Version: "9.8.7-rc.1", Digest: promotion.Digest(digests["NEW"])}
	f.Fuzz(func(t *testing.T, data []byte, tag bool) {
		pin := PinDigest
		if tag {
			pin = PinTag
		}
		report, findErr := Find("e/f.yaml", data, []Artifact{art})
		out, changes, err := Edit("e/f.yaml", data, art, to, pin)
		if err != nil {
			if strings.Contains(err.Error(), "read back as meant") {
				t.Logf("an edit was refused by its own check: %v\n%q", err, data)
			}
			return
		}
		if findErr != nil {
			t.Fatalf("Edit took what Find refused: %v", findErr)
		}
		if len(changes) == 0 && string(out) != string(data) {
			t.Fatal("bytes changed without a change")
		}
		again, more, err := Edit("e/f.yaml", out, art, to, pin)
		if err != nil || len(more) != 0 || string(again) != string(out) {
			t.Fatalf("a second Edit made %v (%v) of\n%q", more, err, out)
		}
		applied, err := Apply("e/f.yaml", data, []Artifact{art}, changes)
		if err != nil || string(applied) != string(out) {
			t.Fatalf("Apply made %q (%v)", applied, err)
		}
		places, err := PlacesIn("e/f.yaml", out, []Artifact{art})
		if err != nil || len(places) != len(report.Found) {
			t.Fatalf("%d places after, %d before (%v)", len(places), len(report.Found), err)
		}
		for _, p := range places {
			if p.Value.Version != to.Version && p.Value.Digest != to.Digest {
				t.Fatalf("%s holds %v", p.Locator, p.Value)
			}
		}
	})
}

// FuzzReference: what is taken apart is the same when put together.
func FuzzReference(f *testing.F) {
	for _, s := range []string{"nginx", "nginx:1", "ghcr.io/acme/checkout:1.4@sha256:aa", "localhost:5000/x", "a/b@", "a:", "A/b", "[::1]:5000/x:1", "docker.io/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := splitReference(s)
		if !ok {
			return
		}
		again := s[:r.tail]
		if r.tag != "" {
			again += ":" + r.tag
		}
		if r.digest != "" {
			again += "@" + r.digest
		}
		if again != s {
			t.Fatalf("%q came back as %q", s, again)
		}
		if repo, ok := repository(r.repo); !ok || repo != r.repo {
			t.Fatalf("%q is not in normal form: %q", r.repo, repo)
		}
	})
}
