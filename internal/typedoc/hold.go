package typedoc

import (
	"bytes"
	"os"
	"testing"
)

// Hold holds the file at a path to what was generated; with update it writes the file
// first. again is the command that does so.
func Hold(t testing.TB, update bool, path string, want []byte, again string) {
	t.Helper()
	if update {
		if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // a document for everybody
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path) // #nosec G304 -- a document of the project
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is stale: run %s", path, again)
	}
}
