package gitstore

import (
	"strings"
	"testing"
)

func TestCheckRef(t *testing.T) {
	for ref, want := range map[string]bool{
		"refs/heads/main": true, "refs/heads/rung/p/dev/+batch": true, "refs/tags/v1.0": true, "refs/heads/ä": true,
		"main": false, "refs/heads": false, "refs/heads/": false, "refs//main": false, "heads/main/x": false,
		"refs/heads/a..b": false, "refs/heads/.a": false, "refs/heads/a.lock": false, "refs/heads/a.lock/b": false, "refs/heads/a.": false,
		"refs/heads/a b": false, "refs/heads/a~1": false, "refs/heads/a^": false, "refs/heads/a:b": false, "refs/heads/a?": false,
		"refs/heads/a*": false, "refs/heads/a[": false, `refs/heads/a\b`: false, "refs/heads/a@{1}": false, "refs/heads/a\x7f": false,
		"refs/heads/a\n": false, "refs/heads/" + strings.Repeat("x", 2000): false,
	} {
		if err := CheckRef(ref); (err == nil) != want {
			t.Errorf("CheckRef(%.40q) = %v", ref, err)
		}
	}
}

func TestMalformedObjects(t *testing.T) {
	id := strings.Repeat("1", 40)
	for _, raw := range []string{"", "tree x\n\n", "tree " + id + "\nparent y\n\n", "author only\n\nmessage"} {
		if c, err := ParseCommit(id, []byte(raw)); err == nil {
			t.Errorf("%q is a commit: %+v", raw, c)
		}
	}
	for _, raw := range []string{"x", "100644", "100644 a", "100644 a\x00short", "100644\x0012345678901234567890", "100644 \x0012345678901234567890"} {
		if entries, err := ParseTree([]byte(raw)); err == nil {
			t.Errorf("%q is a tree: %+v", raw, entries)
		}
	}
}

func FuzzObjects(f *testing.F) {
	id := strings.Repeat("1", 40)
	f.Add([]byte("tree " + id + "\nparent " + id + "\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\ngpgsig x\n y\n\nmessage\n"))
	f.Add([]byte("100644 a\x0012345678901234567890"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, err := ParseCommit(id, raw); err == nil && !ValidID(c.Tree) {
			t.Errorf("a commit of tree %q", c.Tree)
		}
		entries, err := ParseTree(raw)
		if err != nil {
			return
		}
		size := 0
		for _, e := range entries {
			size += len(e.Mode) + len(e.Name) + 22
		}
		if size != len(raw) {
			t.Errorf("entries of %d bytes from %d", size, len(raw))
		}
	})
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		strings.Repeat("0123456789abcdef", 3)[:40]: true, strings.Repeat("0", 40): true,
		"": false, strings.Repeat("0", 39): false, strings.Repeat("0", 41): false, strings.Repeat("0", 39) + "g": false,
		strings.Repeat("A", 40): false, strings.Repeat("0", 20) + "-" + strings.Repeat("0", 19): false, strings.Repeat("0", 39) + "\n": false,
	} {
		if ValidID(id) != want {
			t.Errorf("ValidID(%q) = %v", id, !want)
		}
	}
}

func TestCheckName(t *testing.T) {
	long := strings.Repeat("x", 100)
	for of, want := range map[[2]string]bool{
		{"acme", "environments"}: true, {"a-B_9", ".github"}: true, {"-a.b", "..x"}: true, {long, long}: true,
		{"", "x"}: false, {"x", ""}: false, {".acme", "x"}: false, {"acme", ".."}: false, {"acme", "x.git"}: false,
		{long + "x", "x"}: false, {"x", long + "x"}: false, {"a/b", "x"}: false, {"a", "x y"}: false, {"ä", "x"}: false, {"a", "x\n"}: false,
	} {
		if err := CheckName(of[0], of[1]); (err == nil) != want {
			t.Errorf("CheckName(%.40q, %.40q) = %v", of[0], of[1], err)
		}
	}
}
