package policy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	sigsyaml "sigs.k8s.io/yaml"

	"github.com/rungbot/rung/internal/gate/policy"
)

// snippet is one fenced block of a Markdown text.
type snippet struct {
	info, text string
	line       int
}

func snippets(text string) []snippet {
	var out []snippet
	var open *snippet
	for i, line := range strings.Split(text, "\n") {
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &snippet{info: strings.TrimPrefix(line, "```"), line: i + 1}
		case fence:
			out = append(out, *open)
			open = nil
		case open != nil:
			if open.text != "" {
				open.text += "\n"
			}
			open.text += line
		}
	}
	return out
}

// guideCases runs a file of cases against the policy before it.
func guideCases(t *testing.T, subject string, s snippet) {
	t.Helper()
	report, err := policy.RunCases(fstest.MapFS{"p.yaml": {Data: []byte(subject)}, "p_test.yaml": {Data: []byte(s.text)}})
	if err != nil || !report.OK() {
		t.Errorf("line %d: %+v, %v", s.line, report, err)
	}
}

// guideBinding checks that a binding names policies of this repository.
func guideBinding(t *testing.T, s snippet) {
	t.Helper()
	var config struct {
		Policies map[string][]string `json:"policies"`
	}
	if err := sigsyaml.UnmarshalStrict([]byte(s.text), &config); err != nil || len(config.Policies) == 0 {
		t.Errorf("line %d: %v", s.line, err)
	}
	for glob, paths := range config.Policies {
		for _, p := range paths {
			if _, err := os.Stat(filepath.Join(root, p)); err != nil {
				t.Errorf("line %d: %s binds %s: %v", s.line, glob, p, err)
			}
		}
	}
}
