package audit

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// run runs stock git and returns what it prints.
func run(t *testing.T, dir, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_COMMITTER_NAME=x", "GIT_COMMITTER_EMAIL=x@example.com", "GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// packable is a repository whose objects make long chains of deltas, and some of
// which are larger than what is read of a pack at a time.
func packable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, "", "init", "-q")
	random := rand.New(rand.NewPCG(5, 6))
	big := make([]byte, largeObject+chunkBytes)
	for i := range big {
		big[i] = byte(random.Uint32())
	}
	text := ""
	for i := range 40 {
		text += fmt.Sprintf("line %d of a file that grows: %x\n", i, random.Uint64())
		big[random.IntN(len(big))]++
		for name, data := range map[string][]byte{"text": []byte(text), "empty": nil, "deep/er/file": []byte(text[len(text)/2:])} {
			name = filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if i%20 == 0 {
			if err := os.WriteFile(filepath.Join(dir, "big"), big, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		run(t, dir, "", "add", ".")
		run(t, dir, "", "commit", "-q", "-m", fmt.Sprint("number ", i))
	}
	return dir
}

// objectsOf are all objects of a repository by stock git: id, kind, size.
func objectsOf(t *testing.T, dir string) map[oid][]byte {
	t.Helper()
	all := map[oid][]byte{}
	list := run(t, dir, "", "cat-file", "--batch-all-objects", "--batch")
	for len(list) > 0 {
		head, rest, _ := strings.Cut(list, "\n")
		var id, kind string
		var size int
		if _, err := fmt.Sscan(head, &id, &kind, &size); err != nil {
			t.Fatal(err, head)
		}
		o, ok := parseOID(promotion.Hash(id))
		if !ok {
			t.Fatal(id)
		}
		all[o], list = []byte(rest[:size]), rest[size+1:]
	}
	return all
}

// agrees reads every object, kept and not, and compares it with git's reading.
func agrees(t *testing.T, dir string, want map[oid][]byte) {
	t.Helper()
	r, err := openRepository(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	for id, data := range want {
		if _, _, err := r.object(id, useHash); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if _, got, err := r.object(id, useKeep); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v, and git reads %d", id, len(got), err, len(data))
		}
	}
	if err := r.packs(); err != nil {
		t.Error(err)
	}
}

// TestObjectsAsGitReadsThem: loose, packed by offset and by name, in several
// packs, borrowed from another repository.
func TestObjectsAsGitReadsThem(t *testing.T) {
	dir := packable(t)
	want := objectsOf(t, dir)
	t.Run("loose", func(t *testing.T) { agrees(t, dir, want) })
	run(t, dir, "", "gc", "-q", "--prune=now", "--aggressive")
	t.Run("offsets", func(t *testing.T) { agrees(t, dir, want) })
	run(t, dir, "", "-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq")
	t.Run("names", func(t *testing.T) { agrees(t, dir, want) })
	run(t, dir, "", "-c", "pack.packSizeLimit=1m", "-c", "pack.indexVersion=2", "repack", "-adfq")
	if packs, _ := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.pack")); len(packs) < 2 {
		t.Fatal("one pack alone")
	}
	t.Run("several packs", func(t *testing.T) { agrees(t, dir, want) })
	borrower := filepath.Join(t.TempDir(), "borrower")
	run(t, dir, "", "clone", "-q", "--shared", dir, borrower)
	t.Run("borrowed", func(t *testing.T) { agrees(t, borrower, want) })
}

// TestBrokenIndex: no index may make a reading hold, or panic.
func TestBrokenIndex(t *testing.T) {
	w := ridden(t, ride{})
	name := w.packed(".idx")
	old, err := os.ReadFile(name)
	w.ok(err)
	random := rand.New(rand.NewPCG(7, 8))
	for n := range 60 {
		data := bytes.Clone(old)
		switch {
		case n < 20: // the fan-out and the names
			data[random.IntN(8+1024+20*8)] ^= 1 << random.IntN(8)
		case n < 40:
			data[random.IntN(len(data))] = byte(random.Uint32())
		default:
			data = data[:random.IntN(len(data))]
		}
		w.ok(os.WriteFile(name, data, 0o600))
		// A checksum of an entry, or the index's own, decides nothing here.
		report, err := Verify(t.Context(), w.dir, Options{})
		if err == nil && report.ExitCode() == 1 {
			t.Errorf("index %d: tampered, where nothing was: %s", n, show(report))
		}
		if err == nil && report.ExitCode() == 0 && n >= 40 {
			t.Errorf("an index of %d bytes of %d holds", len(data), len(old))
		}
	}
}

// FuzzPatched: a delta of anybody's making neither panics nor makes more than it
// says.
func FuzzPatched(f *testing.F) {
	f.Add([]byte("what stands there"), []byte("\x11\x05\x90\x05"))
	f.Add([]byte("what stands there"), []byte("\x11\x08\x03abc\x91\x02\x05"))
	f.Add([]byte(""), []byte("\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		out, err := patched(base, delta, func(n int) []byte { return make([]byte, n) })
		if err != nil {
			return
		}
		_, rest, _ := deltaSize(delta)
		if size, _, _ := deltaSize(rest); size != int64(len(out)) {
			t.Errorf("%d bytes of %d", len(out), size)
		}
	})
}

// TestIdent: the loop takes what the grammar in its comment takes.
func TestIdent(t *testing.T) {
	grammar := regexp.MustCompile(`^[^<>\n]+ <[^<>\n]*> \d{1,12} [+-]\d{4}$`)
	good := "Rung Bot <r@example.com> 1740819600 +0000"
	words := []string{"", good, "  <> 1 +0000", " <> 1 +0000", "a <>  1 +0000", "a <b> 1234567890123 +0000", "a <b> 123456789012 -1234"}
	for i := range len(good) {
		for _, c := range []string{"", " ", "<", ">", "\n", "1", "+", "x", "é"} {
			words = append(words, good[:i]+c+good[i+1:], good[:i]+c+good[i:])
		}
	}
	for _, w := range words {
		if isIdent(w) != grammar.MatchString(w) {
			t.Errorf("%q is %v", w, isIdent(w))
		}
	}
}
