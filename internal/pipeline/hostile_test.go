package pipeline

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostileFilesAreCheap loads files of the largest allowed shapes that cost
// most, within a bound far above what they take and far below a hang.
func TestHostileFilesAreCheap(t *testing.T) {
	var knot, pairs, names, floors strings.Builder
	knot.WriteString("version: 1\nenvironments:\n")
	pairs.WriteString("version: 1\nenvironments:\n")
	names.WriteString("version: 1\n")
	floors.WriteString("version: 1\nenvironments:\n")
	for i := range maxEnvironments {
		fmt.Fprintf(&knot, "  e%03d: {after: [", i)
		for j := range maxItems {
			fmt.Fprintf(&knot, "e%03d, ", (i+j)%maxEnvironments)
		}
		knot.WriteString("]}\n")
		fmt.Fprintf(&pairs, "  e%03d: {after: [e%03d]}\n", i, i^1)
		fmt.Fprintf(&floors, "  e%03d: {path: environments/x}\n", i)
	}
	for i := range 5000 {
		fmt.Fprintf(&names, "environmentz%d: %d\n", i, i)
	}
	floors.WriteString("floors:\n")
	for i := range maxEntries {
		fmt.Fprintf(&floors, "  '*%s': {policies: [policies/%d.yaml]}\n", strings.Repeat("*", i%40), i)
	}
	for name, text := range map[string]string{
		"knot": knot.String(), "pairs": pairs.String(), "unknown names": names.String(), "floors": floors.String(),
		"brackets":  "version: 1\nmode: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"question":  strings.Repeat("? ", 9000),
		"open keys": "{" + strings.Repeat("a: {", 9000),
		"aliases":   "version: 1\nx: &a {a: 1}\ny: [" + strings.Repeat("*a, ", 50000) + "]\n",
		"comments":  strings.Repeat("#\n", maxFileBytes/2),
		"quoted":    "version: 1\nmode: \"" + strings.Repeat("\\n", maxFileBytes/3) + "\"",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			r := load(map[string]string{RootFile: text})
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %s", took)
			} else {
				t.Logf("%d bytes took %s", len(text), took)
			}
			if len(r.Problems) == 0 || len(r.Problems) > maxProblems {
				t.Errorf("%d problems", len(r.Problems))
			}
		})
	}
}
