package upgrade

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/e2e/world"
)

// TestConfigurationsGoBothWays: what one version's init writes, and what its
// documentation shows, the other takes; every configuration of the corpus both take; and
// a field that neither knows is an error with its position in both.
func TestConfigurationsGoBothWays(t *testing.T) {
	if os.Getenv("RUNG_UPGRADE") == "" {
		t.Skip("make upgrade runs it")
	}
	older, sources := buildPrevious(t)
	validate := func(binary, dir string, code int) string {
		t.Helper()
		cmd := exec.Command(binary, "validate", dir) // #nosec G204 -- the programs under test
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
			t.Errorf("%s validate %s: %v, want code %d\n%s", binary, dir, err, code, out)
		}
		return string(out)
	}
	for _, dir := range configurations(t) {
		validate(older, dir, 0)
		validate(binary, dir, 0)
	}
	validate(binary, sources, 0) // its own sample
	for writer, reader := range map[string]string{older: binary, binary: older} {
		dir := checkout(t)
		if out, err := exec.Command(writer, "init", dir).CombinedOutput(); err != nil { // #nosec G204 -- the programs under test
			t.Fatalf("init: %v\n%s", err, out)
		}
		if said := validate(reader, dir, 0); !strings.Contains(said, "rung.yaml holds: mode observe, 1 artifacts, environments dev, staging, prod") {
			t.Errorf("what init wrote is read as %s", said)
		}
		file, err := os.OpenFile(filepath.Join(dir, "rung.yaml"), os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = file.WriteString("fanfare: true\n")
		}
		if err != nil || file.Close() != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "rung.yaml")) // #nosec G304 -- the test's own
		if err != nil {
			t.Fatal(err)
		}
		at := strings.Count(string(text), "\n")
		for _, binary := range []string{writer, reader} {
			if said := validate(binary, dir, 1); !strings.Contains(said, `: unknown field "fanfare"`) || !strings.Contains(said, fmt.Sprintf("rung.yaml:%d:1: ", at)) {
				t.Errorf("a field of a newer rung is told as %s", said)
			}
		}
		if said := validate(binary, dir, 1); !strings.Contains(said, "if a newer rung reads it, use that one") {
			t.Errorf("it is not said that a newer rung may know it: %s", said)
		}
	}
}

// checkout is a clone with three environments and no rung.yaml.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, env := range environments {
		path := filepath.Join(dir, world.FileOf(env))
		err := os.MkdirAll(filepath.Dir(path), 0o750)
		if err == nil {
			err = os.WriteFile(path, []byte("images:\n  - name: ghcr.io/acme/checkout\n    newTag: 1.0.0\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("bash", "-euc", `cd "$1"; git init -q .; git add .`, "bash", dir).CombinedOutput(); err != nil { // #nosec G204 -- a temporary directory
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}
