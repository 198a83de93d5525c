// Package arrows holds the code to the table of rooms in docs/ARCHITECTURE.md:
// a package imports only from rows with a smaller number, never a neighbour.
package arrows

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rungbot/rung/"

// rows are the rooms. A sub-package belongs to its parent's row and may import
// its parent.
var rows = map[string]int{
	"internal/promotion": 0, "internal/nearest": 0, "internal/progress": 0, "internal/inflate": 0, "internal/lazyregexp": 0,
	"internal/settings": 1, "internal/pipeline": 1, "internal/queue": 1, "internal/sign": 1, "internal/manifest": 1,
	"internal/gitrepo": 1, "internal/disguise": 1, "internal/command": 1, "internal/prose": 1, "internal/typedoc": 1,
	"internal/survey": 2,
	"internal/hint":   2, "internal/ledger": 2, "internal/forge": 2, "internal/registry": 2, "internal/gate": 2, "internal/probe": 2,
	"internal/observe": 3, "internal/decide": 3, "internal/act": 3, "internal/audit": 3, "internal/doctor": 3,
	"internal/reconcile": 4, "internal/local": 4, "internal/doors": 4, "internal/board": 4, "internal/api": 4, "internal/metrics": 4, "internal/setup": 4,
	"internal/app":  5,
	"internal/demo": 6,
	"cmd/rung":      7,
}

// apart stand outside the rows: nothing of ours is imported by them, but for
// their own sub-packages.
var apart = []string{"internal/githubemu"}

// onlyIn names the one room in which a foreign module may be imported.
var onlyIn = map[string][]string{
	"github.com/google/go-github/":             {"internal/forge"},
	"github.com/bradleyfalzon/ghinstallation/": {"internal/forge"},
	"github.com/go-git/go-git/":                {"internal/gitrepo", "internal/githubemu", "internal/audit"},
	"github.com/kyverno/":                      {"internal/gate/policy"},
	"github.com/google/go-containerregistry/":  {"internal/registry", "internal/demo"},
	"github.com/hiddeco/sshsig":                {"internal/sign"},
	"modernc.org/sqlite":                       {"internal/queue"},
	"github.com/caarlos0/env/":                 {"internal/settings"},
	"github.com/alecthomas/kong":               {"cmd/rung"},
}

func TestArrowsPointDownwards(t *testing.T) {
	seen := 0
	eachImport(t, func(file, pkg, imported string) {
		seen++
		if room(pkg) == "internal/promotion" && strings.Contains(imported, ".") {
			t.Errorf("%s: the vocabulary imports only the standard library, not %s", file, imported)
		}
		for foreign, rooms := range onlyIn {
			if strings.HasPrefix(imported, foreign) && !within(pkg, rooms) && !within(pkg, apart) && !strings.HasPrefix(pkg, "e2e") {
				t.Errorf("%s: %s stops at %s", file, imported, strings.Join(rooms, ", "))
			}
		}
		ours, ok := strings.CutPrefix(imported, module)
		if !ok {
			return
		}
		checkArrow(t, file, pkg, ours)
	})
	if seen < 100 {
		t.Fatalf("only %d imports were looked at: the test does not see the code", seen)
	}
}

func checkArrow(t *testing.T, file, pkg, imported string) {
	t.Helper()
	if within(pkg, apart) {
		if !within(imported, apart) {
			t.Errorf("%s: %s stands apart and imports nothing of ours, not %s", file, pkg, imported)
		}
		return
	}
	if within(imported, apart) && !within(pkg, []string{"internal/demo", "e2e", "cmd/rung"}) {
		t.Errorf("%s: only the demo and tests meet the emulator, not %s", file, pkg)
		return
	}
	if strings.HasPrefix(pkg, "e2e") || within(imported, apart) {
		return
	}
	from, known := rows[room(pkg)]
	if !known {
		t.Errorf("%s: %s is in no row; give it one here and in docs/ARCHITECTURE.md", file, pkg)
		return
	}
	to, known := rows[room(imported)]
	if !known {
		t.Errorf("%s: %s is in no row", file, imported)
		return
	}
	parent := pkg != imported && strings.HasPrefix(pkg, imported+"/")
	if to >= from && !parent {
		t.Errorf("%s: %s (row %d) imports %s (row %d): arrows point to smaller rows only", file, pkg, from, imported, to)
	}
}

// room is the row's package that a package belongs to.
func room(pkg string) string {
	for name := range rows {
		if pkg == name || strings.HasPrefix(pkg, name+"/") {
			return name
		}
	}
	return pkg
}

func within(pkg string, rooms []string) bool {
	for _, r := range rooms {
		if pkg == r || strings.HasPrefix(pkg, r+"/") {
			return true
		}
	}
	return false
}

// eachImport calls f for every import of every file that is no test.
func eachImport(t *testing.T, f func(file, pkg, imported string)) {
	t.Helper()
	root := filepath.Join("..", "..")
	eachFile(t, root, func(path string) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." || pkg == "internal/arrows" {
			return
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			f(path, pkg, imported)
		}
	})
}

func eachFile(t *testing.T, root string, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == ".git" || name == "node_modules" || name == "bin" || name == "dist" || name == ".ci" && path != root) {
			return filepath.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f(filepath.ToSlash(relative))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var secret = regexp.MustCompile(`-----BEGIN (OPENSSH|RSA|EC|DSA)? ?PRIVATE KEY-----\n[A-Za-z0-9+/=]{40}|gh[ps]_[A-Za-z0-9]{36}`)

// published is the example token of GitHub's own documentation.
const published = "ghs_" + "16C7e42F292c6912E7710c838347Ae178B4a"

func TestNoSecretIsCommitted(t *testing.T) {
	root := filepath.Join("..", "..")
	eachFile(t, root, func(path string) {
		data, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		if found := secret.Find(data); found != nil && string(found) != published {
			t.Errorf("%s holds what looks like a secret: %.40s…", path, found)
		}
	})
}
