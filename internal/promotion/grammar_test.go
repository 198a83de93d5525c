package promotion

import (
	"regexp"
	"strings"
	"testing"
)

// TestGrammars: the loops take what their regular expressions take.
func TestGrammars(t *testing.T) {
	grammars := map[string]func(string) bool{
		`^[a-z0-9][a-z0-9-]{0,40}$`:            isName,
		`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$`: isVersion,
		`^[0-9a-f]{40}$`:                       func(s string) bool { return isHex(s, 40) },
		`^sha256:[0-9a-f]{64}$`:                func(s string) bool { _, err := ParseDigest(s); return err == nil },
	}
	words := []string{"", "a", "-", "_", "a-b", "A", "1.2.3+build-7", ".1", "+1", "a\n", "\n", "é", "a/b", "sha256:", "sha512:" + strings.Repeat("a", 64)}
	for n := 38; n < 44; n++ {
		words = append(words, strings.Repeat("a", n), strings.Repeat("f", n-1)+"\n", strings.Repeat("F", n))
	}
	for n := 62; n < 66; n++ {
		words = append(words, "sha256:"+strings.Repeat("0", n), "sha256:"+strings.Repeat("g", n))
	}
	for n := 126; n < 130; n++ {
		words = append(words, strings.Repeat("1", n))
	}
	for c := range 256 {
		words = append(words, string([]byte{byte(c)}), "a"+string([]byte{byte(c)}), strings.Repeat("a", 39)+string([]byte{byte(c)}))
	}
	for pattern, is := range grammars {
		want := regexp.MustCompile(pattern)
		for _, w := range words {
			if is(w) != want.MatchString(w) {
				t.Errorf("%s: %q is %v", pattern, w, is(w))
			}
		}
	}
}
