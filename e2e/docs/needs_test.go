package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatIsMissingFailsByName: without git or ssh-keygen on the machine, make test
// and the other ways to run tests fail before they begin, and say what to install.
func TestWhatIsMissingFailsByName(t *testing.T) {
	for _, missing := range []string{"git", "ssh-keygen"} {
		t.Run(missing, func(t *testing.T) {
			path := t.TempDir()
			for _, name := range []string{"make", "bash", "awk", "git", "ssh-keygen"} {
				program, err := exec.LookPath(name)
				if err != nil {
					t.Fatal(err)
				}
				if name == missing {
					continue
				}
				if err := os.Symlink(program, filepath.Join(path, name)); err != nil {
					t.Fatal(err)
				}
			}
			for _, target := range []string{"test", "kills", "conformance"} {
				cmd := exec.Command("make", target, "GO=false") // #nosec G204 -- a fixed list
				cmd.Dir, cmd.Env = filepath.Join("..", ".."), []string{"PATH=" + path}
				out, err := cmd.CombinedOutput()
				if err == nil || !strings.Contains(string(out), missing+" is missing: install") {
					t.Errorf("make %s: %v\n%s", target, err, out)
				}
			}
		})
	}
}
