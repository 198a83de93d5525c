package gitrepo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/format/index"
)

// Bounds of what is read of a checkout on disk, in bytes.
const (
	maxGitFile   = 4 << 10
	maxGitConfig = 1 << 20
	maxGitIndex  = 256 << 20
)

// Worktree is what git knows of a checkout on disk. It is read once, by
// OpenWorktree, and nothing is written.
type Worktree struct {
	// Tracked are the files that git tracks, by the index, sorted by path; their
	// hashes are empty. What is in conflict is listed once.
	Tracked []File
	// Origin is the address of the remote origin, as written; empty without one. It
	// may carry a password: it is for taking apart, not for showing.
	Origin string
}

// ErrNoWorktree is for a directory that is not the top of a checkout.
var ErrNoWorktree = errors.New("not the top of a checkout")

// ErrIndex is for an index that can't be read; the Worktree then has no Tracked.
var ErrIndex = errors.New("git's index can't be read")

// OpenWorktree reads the checkout whose top is dir. The error wraps
// ErrNoWorktree, with what dir is instead, or ErrIndex.
func OpenWorktree(dir string) (*Worktree, error) {
	gitDir, err := gitDirOf(dir)
	if err != nil {
		return nil, err
	}
	common := gitDir
	if text, err := readBounded(filepath.Join(gitDir, "commondir"), maxGitFile); err == nil {
		common = from(gitDir, strings.TrimSpace(string(text)))
	}
	w := &Worktree{Origin: originOf(filepath.Join(common, "config"))}
	w.Tracked, err = tracked(filepath.Join(gitDir, "index"))
	return w, err
}

// gitDirOf finds the directory that git keeps a checkout's data in.
func gitDirOf(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%w: it is a file", ErrNoWorktree)
	}
	at := filepath.Join(dir, ".git")
	info, err = os.Stat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", notHere(dir)
	case err != nil:
		return "", err
	case info.IsDir():
		return at, nil
	}
	text, err := readBounded(at, maxGitFile)
	if err != nil {
		return "", err
	}
	target, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "gitdir: ")
	if !ok {
		return "", fmt.Errorf("%w: the file .git in it names no directory", ErrNoWorktree)
	}
	return from(dir, target), nil
}

func from(dir, target string) string {
	if filepath.IsAbs(target) {
		return target
	}
	return filepath.Join(dir, target)
}

// notHere says what a directory without .git is.
func notHere(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err == nil {
		if info, err := os.Stat(filepath.Join(dir, "objects")); err == nil && info.IsDir() {
			return fmt.Errorf("%w: it is a bare repository, without files: make a clone", ErrNoWorktree)
		}
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for above := filepath.Dir(absolute); ; above = filepath.Dir(above) {
		if _, err := os.Stat(filepath.Join(above, ".git")); err == nil {
			return fmt.Errorf("%w: it lies in the checkout %s", ErrNoWorktree, above)
		}
		if above == filepath.Dir(above) {
			return fmt.Errorf("%w: it is not a git repository", ErrNoWorktree)
		}
	}
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path) // #nosec G304 -- inside the checkout that was named
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return data, err
}

// originOf reads the address of origin; what can't be read names none.
func originOf(path string) (origin string) {
	defer func() { _ = recover() }() //nolint:errcheck // hostile bytes in a parser: then there is no origin
	text, err := readBounded(path, maxGitConfig)
	if err != nil {
		return ""
	}
	c := config.New()
	if err := config.NewDecoder(strings.NewReader(string(text))).Decode(c); err != nil {
		return ""
	}
	return c.Section("remote").Subsection("origin").Option("url")
}

// tracked reads the index. One that is not there tracks nothing.
func tracked(path string) (files []File, err error) {
	defer func() {
		if recover() != nil {
			files, err = nil, ErrIndex
		}
	}()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || info.Size() > maxGitIndex || !info.Mode().IsRegular() {
		return nil, ErrIndex
	}
	f, err := os.Open(path) // #nosec G304 -- inside the checkout that was named
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	defer func() { _ = f.Close() }()
	var idx index.Index
	if err := index.NewDecoder(f).Decode(&idx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	for _, e := range idx.Entries {
		files = append(files, File{Path: e.Name, Mode: modeOf(e.Mode)})
	}
	slices.SortStableFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(files, func(a, b File) bool { return a.Path == b.Path }), nil
}

func modeOf(m filemode.FileMode) Mode {
	switch m {
	case filemode.Symlink:
		return ModeSymlink
	case filemode.Submodule:
		return ModeGitlink
	case filemode.Dir: // a sparse index
		return ModeTree
	case filemode.Executable:
		return ModeExecutable
	}
	return ModeFile
}
