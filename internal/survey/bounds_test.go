package survey

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostileTreesAreBounded: trees at the limits, made to be slow, end in time and
// either come out or are refused in a sentence.
func TestHostileTreesAreBounded(t *testing.T) {
	const patience = 60 * time.Second // far more than it takes; what isn't bounded takes hours
	large := func(line string) []byte { return []byte(strings.Repeat(line, (1<<20)/len(line))) }
	var many, wide, deep, loose Tree
	for i := range 4000 {
		many.Files = append(many.Files, File{fmt.Sprintf("apps/a%04d/overlays/dev/k.yaml", i), fmt.Appendf(nil, "image: a.b/i%d:1\n", i)})
		wide.Files = append(wide.Files, File{fmt.Sprintf("a%04d/b%04d/dev/k.yaml", i, i), []byte("image: a.b/c:1\n")})
	}
	deep.Files = []File{{strings.Repeat("dev/", 1000) + "prod.yaml", []byte("image: a.b/c:1\n")}, {"z/dev.yaml", []byte(strings.Repeat("a: {", 200) + "image: a.b/c:1" + strings.Repeat("}", 200))}}
	for i := range 2 {
		loose.Files = append(loose.Files, File{fmt.Sprintf("charts/c%d/values.yaml", i), large("- image:\n    repository: a.b/c\n    tag: x\n")})
		loose.Files = append(loose.Files, File{fmt.Sprintf("charts/d%d/values-dev.yaml", i), large("- image:\n    tag: 1.0.0\n")})
	}
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for i := 'b'; i < 'k'; i++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	for name, tree := range map[string]Tree{
		"many images":       many,
		"many directories":  wide,
		"deep paths":        deep,
		"loose versions":    loose,
		"places in a file":  {Files: []File{{"dev/a.yaml", large("- image: a.b/c:1\n")}, {"prod/a.yaml", large("- image: a.b/c:1 # rung: c\n")}}},
		"images in a file":  {Files: []File{{"dev/a.yaml", []byte(numbered("- image: a.b/c%d:1\n", 45_000))}}},
		"an alias bomb":     {Files: []File{{"dev/a.yaml", []byte(bomb + "image: a.b/c:1\n")}, {"prod/a.yaml", []byte("image: a.b/c:1\n")}}},
		"an order file":     {Files: []File{{"dev/a.yaml", []byte("image: a.b/c:1\n")}, {"order", large("dev\n")}, {"order.yaml", []byte(bomb)}, {"prod/a.yaml", []byte("image: a.b/c:1\n")}}},
		"owners":            {Files: []File{{"CODEOWNERS", large("* @a\x1b[2J\n")}, {"dev/a.yaml", []byte("image: a.b/c:1\n")}}},
		"one enormous line": {Files: []File{{"dev/a.yaml", []byte("a: \"" + strings.Repeat("é", 500_000) + "\"\nimage: a.b/c:1\n")}}},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			s, err := Look(tree)
			if _, ok := err.(*Refusal); err != nil && !ok {
				t.Errorf("%v", err)
			}
			if err == nil {
				var b strings.Builder
				if err := s.WriteText(&b); err != nil || b.Len() > 1<<20 || len(s.Body(false)) > 1<<20 {
					t.Errorf("%d bytes of text, %v", b.Len(), err)
				}
			}
			took := time.Since(began)
			t.Logf("%v, %v", took, err)
			if took > patience {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
