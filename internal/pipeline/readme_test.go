package pipeline

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestTheReadmesConfigurationLoads holds the front door to what it shows.
func TestTheReadmesConfigurationLoads(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1)
	if len(blocks) == 0 {
		t.Fatal("README.md shows no rung.yaml")
	}
	for _, b := range blocks {
		if r := Load(map[string][]byte{RootFile: b[1]}, Options{}); len(r.Problems) > 0 || r.Pipeline == nil {
			t.Errorf("%s\n%v", b[1], r.Problems)
		}
	}
}
