package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSettingsFromAFile: a file of settings is read for every command, the environment
// goes before it, and what can't be read is told before anything is done.
func TestSettingsFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rung.env")
	if err := os.WriteFile(file, []byte("RUNG_GITHUB_APP_ID=seven\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.env")
	if err := os.WriteFile(broken, []byte("serve\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file string
		env  []string
		want string
	}{
		"the file":        {file, nil, "RUNG_GITHUB_APP_ID"},
		"the environment": {file, []string{"RUNG_GITHUB_APP_ID=7"}, "RUNG_GITHUB_PRIVATE_KEY"},
		"a broken file":   {broken, nil, "broken.env:1: is not understood: write NAME=VALUE"},
		"no file":         {filepath.Join(t.TempDir(), "none"), nil, "the file of settings can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, said bytes.Buffer
			code := run(t.Context(), []string{"plan", "acme/environments", "--settings", c.file}, streams{in: strings.NewReader(""), out: &out, err: &said, env: c.env})
			if code != 2 || !strings.Contains(said.String(), c.want) || name == "the environment" && strings.Contains(said.String(), "APP_ID") {
				t.Errorf("exit %d, want 2 and %q\n%s", code, c.want, &said)
			}
		})
	}
}
