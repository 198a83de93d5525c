package gitrepo

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/promotion"

	"pgregory.net/rapid"
)

func TestRewriteRefuses(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	tree := oddTree(t, b)
	h := promotion.Hash(b.git("commit-tree", "-m", "odd", string(tree)))
	b.setRef("refs/heads/main", h)
	r := b.open(Options{})
	for name, changes := range map[string]map[string]FileChange{
		"a symlink":                   {"link": text("x")},
		"a submodule":                 {"sub": text("x")},
		"removing a symlink":          {"link": {Delete: true}},
		"through a symlink":           {"link/x": text("x")},
		"through a submodule":         {"sub/x": text("x")},
		"through a file":              {"a.b/x": text("x")},
		"a directory by a file":       {"a": text("x")},
		"removing a directory":        {"a": {Delete: true}},
		"removing what isn't there":   {"none": {Delete: true}},
		"removing below nothing":      {"none/x": {Delete: true}},
		"a twin in another case":      {"A.B": text("x")},
		"below a twin":                {"DEEP/er/f": text("x")},
		"two twins at once":           {"new": text("x"), "New": text("x")},
		"a file and below it":         {"new": text("x"), "new/x": text("x")},
		"leaving the tree":            {"../x": text("x")},
		"an absolute path":            {"/x": text("x")},
		"the empty path":              {"": text("x")},
		"a doubled slash":             {"x//y": text("x")},
		"a trailing slash":            {"x/": text("x")},
		"a dot":                       {"x/./y": text("x")},
		"git's own directory":         {".git/config": text("x")},
		"git's own in another case":   {"x/.GIT/config": text("x")},
		"git's own on Windows":        {"git~1/config": text("x")},
		"git's own with a dot":        {".git./config": text("x")},
		"git's own as a stream":       {".git::$INDEX_ALLOCATION/config": text("x")},
		"git's own with joiners":      {".g\u200cit/config": text("x")},
		"a backslash":                 {`x\y`: text("x")},
		"a line end":                  {"x\ny": text("x")},
		"a NUL":                       {"x\x00y": text("x")},
		"not UTF-8":                   {"x\xff": text("x")},
		"a long name":                 {strings.Repeat("x", 256): text("x")},
		"too deep":                    {strings.Repeat("d/", 64) + "f": text("x")},
		"a symlink's mode":            {"new": {Data: []byte("x"), Mode: ModeSymlink}},
		"a mode that doesn't exist":   {"new": {Data: []byte("x"), Mode: 0o100600}},
		"a good one beside a bad one": {"fine": text("x"), "link": text("x")},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := r.Rewrite(t.Context(), tree, changes); !errors.Is(err, ErrPath) || out != "" {
				t.Errorf("%q %v, want ErrPath", out, err)
			}
		})
	}
}

func TestRewriteKeepsModeAndNeighbours(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	tree := oddTree(t, b)
	h := promotion.Hash(b.git("commit-tree", "-m", "odd", string(tree)))
	b.setRef("refs/heads/main", h)
	r := b.open(Options{})
	ctx := t.Context()
	out, err := r.Rewrite(ctx, tree, map[string]FileChange{"run.sh": text("new\n"), "deep/er/still/f": {Delete: true}, "a/y": {Data: []byte("y"), Mode: ModeExecutable}})
	if err != nil {
		t.Fatal(err)
	}
	changes, err := r.Diff(ctx, tree, out, "")
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, c := range changes {
		got += fmt.Sprintf("%s %s>%s\n", c.Path, c.Before.Mode, c.After.Mode)
	}
	if got != "a/y 0>100755\ndeep/er/still/f 100644>0\nrun.sh 100755>100755\n" {
		t.Error(got)
	}
	if _, ok, err := r.Lookup(ctx, out, "deep"); ok || err != nil {
		t.Error("an empty directory stayed")
	}
	same, err := r.Rewrite(ctx, tree, map[string]FileChange{"run.sh": text("data\n")})
	if err != nil || same != tree {
		t.Error("a change that changes nothing gave", same, err)
	}
	if same, err = r.Rewrite(ctx, tree, nil); err != nil || same != tree {
		t.Error(same, err)
	}
	empty, err := r.Rewrite(ctx, "", map[string]FileChange{})
	if err != nil || string(empty) != emptyTree.String() {
		t.Error(empty, err)
	}
}

// TestRewriteAgreesWithMap: any sequence of rewrites gives the tree that git
// would make of the same files.
func TestRewriteAgreesWithMap(t *testing.T) {
	r, err := Open("http://127.0.0.1:1/nowhere.git", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	path := rapid.StringMatching(`[a-c](\.d)?(/[a-c]0?){0,3}`)
	rapid.Check(t, func(rt *rapid.T) {
		want := map[string]string{}
		var tree promotion.Hash
		for range rapid.IntRange(1, 6).Draw(rt, "rounds") {
			changes := map[string]FileChange{}
			next := maps.Clone(want)
			for range rapid.IntRange(1, 5).Draw(rt, "changes") {
				p := path.Draw(rt, "path")
				if conflicts(next, p) {
					continue
				}
				if _, ok := want[p]; ok && rapid.Bool().Draw(rt, "delete") {
					changes[p] = FileChange{Delete: true}
					delete(next, p)
					continue
				}
				data := rapid.StringN(0, 3, -1).Draw(rt, "data")
				changes[p], next[p] = text(data), data
			}
			if tree, err = r.Rewrite(rt.Context(), tree, changes); err != nil {
				// A removed file and a new directory of its name in one go are
				// refused; nothing to compare then.
				if !errors.Is(err, ErrPath) {
					rt.Fatal(err)
				}
				return
			}
			want = next
			compareFiles(rt, r, tree, want)
		}
	})
}

// conflicts reports whether p is above or below a file.
func conflicts(files map[string]string, p string) bool {
	for f := range files {
		if strings.HasPrefix(f, p+"/") || strings.HasPrefix(p, f+"/") {
			return true
		}
	}
	return false
}

func compareFiles(t *rapid.T, r *Remote, tree promotion.Hash, want map[string]string) {
	list, err := r.Walk(t.Context(), tree, "")
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range list {
		paths = append(paths, f.Path)
	}
	got, err := r.ReadFiles(t.Context(), tree, paths)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d files, want %d", len(got), len(want))
	}
	for p, data := range want {
		if string(got[p]) != data {
			t.Fatalf("%s: %q, want %q", p, got[p], data)
		}
	}
}

func TestWriteTreeRefuses(t *testing.T) {
	r, err := Open("http://127.0.0.1:1/nowhere.git", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	blob, err := r.WriteBlob([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, entries := range map[string][]Entry{
		"a slash":   {{Name: "a/b", Mode: ModeFile, Hash: blob}},
		"git's own": {{Name: ".Git", Mode: ModeFile, Hash: blob}},
		"twice":     {{Name: "a", Mode: ModeFile, Hash: blob}, {Name: "A", Mode: ModeFile, Hash: blob}},
		"a symlink": {{Name: "a", Mode: ModeSymlink, Hash: blob}},
		"no hash":   {{Name: "a", Mode: ModeFile}},
	} {
		if _, err := r.WriteTree(entries); err == nil {
			t.Error(name, "was taken")
		}
	}
}

func TestWriteCommitRefuses(t *testing.T) {
	r, err := Open("http://127.0.0.1:1/nowhere.git", nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := CommitSpec{Tree: promotion.Hash(emptyTree.String()), Author: testIdent, Committer: testIdent, Message: "m"}
	if _, err := r.WriteCommit(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*CommitSpec){
		"no tree":             func(s *CommitSpec) { s.Tree = "" },
		"no message":          func(s *CommitSpec) { s.Message = "" },
		"a NUL":               func(s *CommitSpec) { s.Message = "a\x00b" },
		"a carriage return":   func(s *CommitSpec) { s.Message = "a\r\n" },
		"a line in the name":  func(s *CommitSpec) { s.Author.Name = "a\nparent x" },
		"a bracket":           func(s *CommitSpec) { s.Committer.Email = "a>b" },
		"no address":          func(s *CommitSpec) { s.Committer.Email = "" },
		"no time":             func(s *CommitSpec) { s.Author.When = time.Time{} },
		"a parent twice":      func(s *CommitSpec) { s.Parents = []promotion.Hash{good.Tree, good.Tree} },
		"a parent like that":  func(s *CommitSpec) { s.Parents = []promotion.Hash{"x\ny"} },
		"a signer that fails": func(s *CommitSpec) { s.Sign = func([]byte) (string, error) { return "", errors.New("no") } },
		"no signature":        func(s *CommitSpec) { s.Sign = func([]byte) (string, error) { return "", nil } },
		"a gap in it":         func(s *CommitSpec) { s.Sign = func([]byte) (string, error) { return "a\n\nb\n", nil } },
	} {
		spec := good
		change(&spec)
		if _, err := r.WriteCommit(t.Context(), spec); err == nil {
			t.Error(name, "was taken")
		}
	}
}
