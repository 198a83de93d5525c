package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayBeOpen are the traps that rung does not have to be safe from yet.
var mayBeOpen = []int{4, 7, 10, 19, 27, 28, 38, 39, 40, 44}

// TestTraps holds docs/traps.md to the tree: all 54 traps stand in it, in order,
// each with a test that exists, or said to be open.
func TestTraps(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "traps.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := goTests(t)
	row := regexp.MustCompile(`(?m)^\| ([0-9]+) \| (.*) \| (.*) \| (.*) \|$`)
	name := regexp.MustCompile("`([A-Za-z0-9-]+)`")
	rows := row.FindAllStringSubmatch(string(page), -1)
	for i, r := range rows {
		if r[1] != strconv.Itoa(i+1) {
			t.Fatalf("trap %s stands where %d should", r[1], i+1)
		}
		if n, _ := strconv.Atoi(r[1]); strings.Contains(r[0], "**Open**") && !slices.Contains(mayBeOpen, n) {
			t.Errorf("trap %d is open", n)
		}
		named := name.FindAllStringSubmatch(r[4], -1)
		if len(named) == 0 {
			t.Errorf("trap %s names no test", r[1])
		}
		for _, n := range named {
			if strings.HasPrefix(n[1], "Test") || strings.HasPrefix(n[1], "Fuzz") {
				if !tests[n[1]] {
					t.Errorf("trap %s: there is no %s", r[1], n[1])
				}
				continue
			}
			if _, err := os.Stat(filepath.Join("testdata", n[1]+".txtar")); err != nil {
				t.Errorf("trap %s: there is no story %s", r[1], n[1])
			}
		}
	}
	if len(rows) != 54 {
		t.Errorf("%d traps are listed, want 54", len(rows))
	}
}

// goTests are the names of all Go tests and fuzz tests of the repository.
func goTests(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]*)\(`)
	for _, top := range []string{"internal", "e2e", "cmd"} {
		err := filepath.WalkDir(filepath.Join("..", top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			data, err := os.ReadFile(path)
			for _, m := range declared.FindAllSubmatch(data, -1) {
				found[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}
