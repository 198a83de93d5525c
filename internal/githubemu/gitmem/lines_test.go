package gitmem

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMergesLinesAsGitDoes draws texts of few different lines, so that diffs
// have a choice, and compares with git merge-file.
func TestMergesLinesAsGitDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7)) // #nosec G404 -- a test that repeats
	line := func() string { return string(rune('a'+random.IntN(6))) + "\n" }
	edit := func(lines []string) string {
		lines = append([]string(nil), lines...)
		for range 1 + random.IntN(2) {
			at := random.IntN(len(lines))
			switch random.IntN(3) {
			case 0:
				lines[at] = line()
			case 1:
				lines = append(lines[:at], append([]string{line()}, lines[at:]...)...)
			case 2:
				lines = append(lines[:at], lines[at+1:]...)
			}
		}
		return strings.Join(lines, "")
	}
	dir := t.TempDir()
	for range 40 {
		var lines []string
		for range 8 + random.IntN(8) {
			lines = append(lines, line())
		}
		base, ours, theirs := strings.Join(lines, ""), edit(lines), edit(lines)
		for name, text := range map[string]string{"base": base, "ours": ours, "theirs": theirs} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("git", "merge-file", "-p", "-q", "ours", "base", "theirs")
		cmd.Dir = dir
		want, err := cmd.Output()
		text, clean := mergeLines([]byte(base), []byte(ours), []byte(theirs))
		if clean != (err == nil) || clean && string(text) != string(want) {
			t.Errorf("base %q ours %q theirs %q\n got %v %q\nwant %v %q", base, ours, theirs, clean, text, err, want)
		}
	}
}

func TestHugeEditIsStillMerged(t *testing.T) {
	base := strings.Repeat("x\n", 10) + "end\n"
	var ours strings.Builder
	for i := range 3 * maxEdit {
		ours.WriteString(strings.Repeat("y", i%100) + "\n")
	}
	text, clean := mergeLines([]byte(base), []byte(ours.String()+base), []byte(base))
	if !clean || string(text) != ours.String()+base {
		t.Errorf("clean %v, %d bytes", clean, len(text))
	}
}

func FuzzMergeLines(f *testing.F) {
	f.Add([]byte("a\nb\nc\n"), []byte("a\nX\nc\n"), []byte("a\nb\nY\n"))
	f.Add([]byte("a\nb\nc"), []byte("a\nb\nc\n"), []byte(""))
	f.Add([]byte(""), []byte("a\n"), []byte("b\n"))
	f.Add([]byte("a\na\na\n"), []byte("a\na\n"), []byte("a\na\na\na\n"))
	f.Fuzz(func(t *testing.T, base, ours, theirs []byte) {
		text, clean := mergeLines(base, ours, theirs)
		other, otherClean := mergeLines(base, theirs, ours)
		if clean != otherClean || clean && string(text) != string(other) {
			t.Errorf("the sides are not equal: %v %q, %v %q", clean, text, otherClean, other)
		}
		if text, clean := mergeLines(base, ours, base); !clean || string(text) != string(ours) {
			t.Errorf("one side alone: %v %q", clean, text)
		}
		if text, clean := mergeLines(base, ours, ours); !clean || string(text) != string(ours) {
			t.Errorf("both sides alike: %v %q", clean, text)
		}
	})
}
