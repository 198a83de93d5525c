package checkout

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/survey"
)

const place = "image: ghcr.io/acme/checkout:1.0.0\n"

// repository makes a checkout with these files, all tracked.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	for p, text := range files {
		write(t, dir, p, text)
	}
	git(t, dir, "add", ".")
	return dir
}

func write(t *testing.T, dir, p, text string) {
	t.Helper()
	at := filepath.Join(dir, filepath.FromSlash(p))
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v %s", args, err, out)
	}
}

func paths(t survey.Tree) string {
	var all []string
	for _, f := range t.Files {
		all = append(all, f.Path)
	}
	return strings.Join(all, " ")
}

func noted(t survey.Tree) string {
	var all []string
	for _, n := range t.Notes {
		all = append(all, n.String())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// TestReadTakesWhatGitTracks and rung's own files, and nothing that only lies there.
func TestReadTakesWhatGitTracks(t *testing.T) {
	dir := repository(t, map[string]string{
		"environments/dev/a.yaml": place, "README.md": "x", ".gitignore": "out/\n", ".github/CODEOWNERS": "* @acme/a\n", ".github/workflows/ci.yaml": "x: 1\n",
		"environments/order": "dev\n", "gone.yaml": "a: 1\n",
	})
	write(t, dir, "out/prod/a.yaml", place)
	write(t, dir, "new/prod/a.yaml", place)
	write(t, dir, "rung.yaml", "version: 1\n")
	write(t, dir, "rung.d/a.yaml", "version: 1\n")
	if err := os.Remove(filepath.Join(dir, "gone.yaml")); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "remote", "add", "origin", "https://user:secret@github.com/acme/environments.git")
	tree, err := Read(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := paths(tree), ".github/CODEOWNERS environments/dev/a.yaml environments/order rung.d/a.yaml rung.yaml"; got != want {
		t.Errorf("read %s, not %s", got, want)
	}
	if tree.Owner != "acme" || noted(tree) != "" {
		t.Errorf("owner %q, notes %s", tree.Owner, noted(tree))
	}
	write(t, dir, ".git/index", "broken")
	tree, err = Read(t.Context(), dir, nil)
	if err != nil || !strings.Contains(paths(tree), "new/prod/a.yaml") || !strings.Contains(noted(tree), "git's index can't be read") {
		t.Errorf("%v %s %s", err, paths(tree), noted(tree))
	}
}

// TestReadFollowsNothing: links, pipes and files beyond the limit are passed over and
// said; what was a file when it was committed may be a link by now.
func TestReadFollowsNothing(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, "secret.yaml", "image: ghcr.io/acme/secret:1.0.0\n")
	dir := repository(t, map[string]string{
		"environments/dev/a.yaml": place, "environments/dev/now-a-link.yaml": place, "environments/dev/now-a-pipe.yaml": place,
		"environments/prod/large.yaml": strings.Repeat("# x\n", manifest.MaxSize/4+1), "through/a.yaml": place,
	})
	link := func(target, at string) {
		t.Helper()
		_ = os.RemoveAll(filepath.Join(dir, at))
		if err := os.Symlink(target, filepath.Join(dir, at)); err != nil {
			t.Fatal(err)
		}
	}
	link(filepath.Join(outside, "secret.yaml"), "environments/dev/link.yaml")
	git(t, dir, "add", ".")
	link(filepath.Join(outside, "secret.yaml"), "environments/dev/now-a-link.yaml")
	_ = os.Remove(filepath.Join(dir, "environments/dev/now-a-pipe.yaml"))
	if err := syscall.Mkfifo(filepath.Join(dir, "environments/dev/now-a-pipe.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := Read(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := paths(tree); got != "environments/dev/a.yaml through/a.yaml" {
		t.Errorf("read %s", got)
	}
	const link3 = ": passed over: a link or submodule, which rung never follows"
	if got, want := noted(tree), "environments/dev/link.yaml"+link3+"\nenvironments/dev/now-a-link.yaml"+link3+"\nenvironments/dev/now-a-pipe.yaml"+link3+"\nenvironments/prod/large.yaml: passed over: longer than 1048576 bytes"; got != want {
		t.Errorf("noted\n%s\nnot\n%s", got, want)
	}
	link(outside, "through")
	write(t, outside, "a.yaml", "image: ghcr.io/acme/secret:1.0.0\n")
	if tree, err = Read(t.Context(), dir, nil); err != nil {
		t.Fatal(err)
	}
	if got := paths(tree); got != "environments/dev/a.yaml" || !strings.Contains(noted(tree), "through/a.yaml: passed over: it can't be read") {
		t.Errorf("read %s\n%s", got, noted(tree))
	}
}

func TestReadRefuses(t *testing.T) {
	dir := repository(t, map[string]string{"README.md": "x", "a/b/c.txt": "y"})
	bare := t.TempDir()
	git(t, bare, "init", "-q", "--bare")
	for at, want := range map[string]string{
		dir:                             "git tracks no manifests here",
		filepath.Join(dir, "a"):         "lies in the checkout " + dir + ": run rung init at the top",
		filepath.Join(dir, "nowhere"):   "there is no directory",
		filepath.Join(dir, "README.md"): "it is a file: run rung init at the top",
		bare:                            "a bare repository",
		t.TempDir():                     "it is not a git repository: run rung init at the top",
	} {
		_, err := Read(t.Context(), at, nil)
		var refusal *survey.Refusal
		if !errors.As(err, &refusal) || !strings.Contains(refusal.Sentence, want) || strings.Contains(refusal.Sentence, "\n") {
			t.Errorf("%s: %v, not %s", at, err, want)
		}
	}
}

func TestOwner(t *testing.T) {
	for origin, want := range map[string]string{
		"git@github.com:acme/environments.git": "acme", "https://github.com/acme/environments": "acme", "ssh://git@ghes.example.com:22/acme/environments.git": "acme",
		"": "", "/srv/git/environments.git": "", "../environments": "", "https://gitlab.example.com/a/b/c.git": "", "https://github.com/@x/y": "", "C:/x/y": "", "::": "",
	} {
		if got := owner(origin); got != want {
			t.Errorf("%s: %q, not %q", origin, got, want)
		}
	}
}

// TestWrite: what must be new is never written over, what is replaced keeps its
// permissions, and nothing outside is touched.
func TestWrite(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, dir, "a/v.yaml", "old")
	if err := Write(dir, map[string][]byte{"a/v.yaml": []byte("new"), "rung.yaml": []byte("r")}, []string{"rung.yaml"}); err != nil {
		t.Fatal(err)
	}
	read := func(p string) string {
		data, err := os.ReadFile(filepath.Join(dir, p))
		if err != nil {
			t.Error(err)
		}
		return string(data)
	}
	if read("a/v.yaml") != "new" || read("rung.yaml") != "r" {
		t.Error("not written")
	}
	if info, err := os.Stat(filepath.Join(dir, "a/v.yaml")); err != nil || info.Mode().Perm() != 0o640 {
		t.Error(info.Mode(), err)
	}
	if err := Write(dir, map[string][]byte{"rung.yaml": []byte("other")}, []string{"rung.yaml"}); !errors.Is(err, os.ErrExist) || read("rung.yaml") != "r" {
		t.Errorf("written over: %v", err)
	}
	write(t, outside, "v.yaml", "theirs")
	if err := os.Symlink(filepath.Join(outside, "v.yaml"), filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"link.yaml", "away/v.yaml", "missing.yaml", "../" + filepath.Base(outside) + "/v.yaml"} {
		if err := Write(dir, map[string][]byte{p: []byte("mine")}, nil); err == nil {
			t.Errorf("%s was written", p)
		}
	}
	if data, err := os.ReadFile(filepath.Join(outside, "v.yaml")); err != nil || string(data) != "theirs" {
		t.Errorf("outside: %s %v", data, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}
