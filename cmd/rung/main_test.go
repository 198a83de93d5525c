package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
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

// TestOneCommandIsKnownAsAmongAll: a parser that knows only the command that was asked
// for says what the one of the whole command line says, which is asked where a flag
// comes first.
func TestOneCommandIsKnownAsAmongAll(t *testing.T) {
	all, _, err := commandTable()
	if err != nil {
		t.Fatal(err)
	}
	words := [][]string{{"complete"}, {"keys"}, {"policy"}, {"keys", "rotat"}}
	for _, c := range all {
		words = append(words, strings.Fields(c.Name))
	}
	for _, of := range words {
		if len(only(of)) == 0 {
			t.Errorf("the parser of %s knows all commands", of[0])
		}
		for _, more := range [][]string{{"--help"}, {"--setings=x"}, {"--jso"}, {"verify", "b", "c", "d", "--none"}} {
			args := append(slices.Clip(of), more...)
			code, said := answer(t, args)
			wholeCode, whole := answer(t, append([]string{"--settings=none"}, args...))
			if code != wholeCode || said != whole || said == "" {
				t.Errorf("%q: exit %d, want %d\n%s\nwant\n%s", args, code, wholeCode, said, whole)
			}
		}
	}
	for _, of := range [][]string{nil, {""}, {"--help"}, {"verfy"}, {"--settings=none", "verify"}} {
		if len(only(of)) != 0 {
			t.Errorf("the parser of %q knows one command", of)
		}
	}
	if _, said := answer(t, []string{"--help"}); !strings.Contains(said, "verify") || !strings.Contains(said, "serve") {
		t.Errorf("the help of all:\n%s", said)
	}
}

// answer is what rung says on either stream.
func answer(t *testing.T, args []string) (int, string) {
	t.Helper()
	var out, said bytes.Buffer
	code := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &said})
	return code, out.String() + said.String()
}
