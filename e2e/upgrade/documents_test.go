package upgrade

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCorpusDocumentsStillHold: each setting, flag and metric that an earlier version's
// generated document has stands in today's, with the same default or the same labels.
// That today's are what the program does is held by the tests that generate them.
func TestCorpusDocumentsStillHold(t *testing.T) {
	found, err := filepath.Glob(corpus + "/*/documents/*.md")
	if err != nil || len(found) < 3 {
		t.Fatalf("there are %d documents: %v", len(found), err)
	}
	for _, path := range found {
		was, now := promises(t, path), promises(t, filepath.Join(root, "docs", filepath.Base(path)))
		if len(was) < 10 {
			t.Errorf("%s promises only %q", path, was)
		}
		for _, line := range was {
			if !slices.Contains(now, line) {
				t.Errorf("%s, since %s: it does not say any more: %s", filepath.Base(path), filepath.Base(filepath.Dir(filepath.Dir(path))), line)
			}
		}
	}
}

var promise = regexp.MustCompile("^\\| `((?:-[a-z], )?--[a-z-]+|RUNG_[A-Z_]+|rung_[a-z_]+)[^|]*\\|([^|]*)\\|")

// promises are the rows of a document's tables that name a setting, a flag (with the
// command that it belongs to) or a metric, each with its second column.
func promises(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path) // #nosec G304 -- the repository's own
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	heading := ""
	for line := range strings.Lines(string(text)) {
		if name, is := strings.CutPrefix(line, "### rung "); is {
			heading = "rung " + strings.TrimSpace(name) + " "
		}
		if m := promise.FindStringSubmatch(line); m != nil {
			all = append(all, strings.TrimSpace(heading+m[1]+": "+strings.TrimSpace(m[2])))
		}
	}
	return all
}
