package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestCommandsLookHereByDefault runs what the README says, in this repository,
// which is itself a sample.
func TestCommandsLookHereByDefault(t *testing.T) {
	t.Chdir("../..")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"validate"}, "rung.yaml holds: mode merge"},
		{[]string{"policy", "test"}, " 0 failures"},
	} {
		var out, problem bytes.Buffer
		if code := run(t.Context(), c.args, streams{in: strings.NewReader(""), out: &out, err: &problem}); code != 0 || !strings.Contains(out.String(), c.want) {
			t.Errorf("rung %s: exit code %d, %s%s", strings.Join(c.args, " "), code, out.String(), problem.String())
		}
	}
}

func TestUnknownPathsAreSaid(t *testing.T) {
	var out, problem bytes.Buffer
	if code := run(t.Context(), []string{"validate", t.TempDir()}, streams{in: strings.NewReader(""), out: &out, err: &problem}); code != 2 || !strings.Contains(problem.String(), "no rung.yaml") {
		t.Errorf("exit code %d, %q", code, problem.String())
	}
}
