package pipeline

import (
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// FuzzLoad checks what must hold for any input: no panic; positions and held
// environments on every problem; a pipeline whose invariants consumers rely on.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(full), []byte("version: 1\nenvironments: {edge: {after: [prod-us]}}\n"))
	f.Add([]byte("version: 1\nenvironments: {a: {after: [b]}, b: {after: [a]}}\n"), []byte("x: &a [*a]\n"))
	f.Add([]byte("a: &a [x]\nb: &b [*a, *a]\nenvironments: *b\n"), []byte("{"))
	f.Add([]byte("version: 1\nfloors: {'*': {approvals: {teams: [a/b]}}}\nenvironments: {a: }\n"), []byte("version: 1\nenvironments: {b: {after: [a], approvals: {required: 0, teams: [a/c]}}}\n"))
	f.Add([]byte("version: 1\npolicies: {all: [policies/]}\n"), []byte("? [a]\n: b\n<<: {a: b}\n"))
	f.Fuzz(func(t *testing.T, root, part []byte) {
		r := Load(map[string][]byte{RootFile: root, "rung.d/part.yaml": part}, Options{PolicyFiles: policyFiles})
		for _, p := range r.Problems {
			if p.Line < 1 || p.Column < 1 || p.Text == "" {
				t.Errorf("a problem without a position or text: %+v", p)
			}
			if strings.ContainsAny(p.Text, "\n\r\x00") {
				t.Errorf("a problem of several lines: %q", p.Text)
			}
			if p.Path != RootFile && len(p.Environments) == 0 {
				t.Errorf("a problem of a part holds everything: %+v", p)
			}
		}
		if r.Pipeline == nil {
			if len(r.Problems) == 0 {
				t.Error("neither a pipeline nor a problem")
			}
			return
		}
		checkInvariants(t, r.Pipeline, len(r.Problems) == 0)
	})
}

// checkInvariants checks what consumers rely on; sound is true for a
// configuration without a problem.
func checkInvariants(t *testing.T, p *promotion.Pipeline, sound bool) {
	t.Helper()
	seen := map[promotion.Environment]bool{}
	for _, e := range p.Environments {
		for _, before := range e.After {
			if !seen[before] {
				t.Errorf("%s stands before its predecessor %s", e.Name, before)
			}
		}
		seen[e.Name] = true
		if _, err := promotion.ParseEnvironment(string(e.Name)); err != nil {
			t.Error(err)
		}
		if err := checkPath(e.Path); err != nil {
			t.Error(err)
		}
		if e.Supersede == "" || e.Pin == "" || e.ManualChanges == "" || e.Method == "" || e.Soak < 0 || e.Approvals.Required < 0 {
			t.Errorf("%s lacks a default: %+v", e.Name, e)
		}
		for _, h := range e.Health {
			if sound && (h.Status == "") == (h.HTTP == "") {
				t.Errorf("%s has a health source of no kind: %+v", e.Name, h)
			}
		}
	}
	for i, a := range p.Artifacts {
		if i > 0 && p.Artifacts[i-1].Name >= a.Name {
			t.Errorf("artifacts are not sorted: %v", p.Artifacts)
		}
		if err := checkImage(a.Image); err != nil {
			t.Error(err)
		}
		if _, err := CompileVersions(a.Versions); err != nil {
			t.Errorf("%s: %v", a.Name, err)
		}
	}
}
