package gitrepo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// FindGitDir is the directory that holds objects and refs: path itself, its
// .git, or that of the nearest directory above; of a linked work tree, the
// repository's own.
func FindGitDir(path string) (string, error) {
	at, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(at); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%s is not a directory: name a local clone", path)
	}
	for {
		for _, dir := range []string{filepath.Join(at, ".git"), at} {
			if found, ok, err := gitDir(dir); err != nil || ok {
				return found, err
			}
		}
		up := filepath.Dir(at)
		if up == at {
			return "", fmt.Errorf("%s is no git repository: name a local clone, bare or not", path)
		}
		at = up
	}
}

// gitDir follows a .git file and a linked work tree to the repository proper.
func gitDir(dir string) (string, bool, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", false, nil //nolint:nilerr // not there: look elsewhere
	}
	if !info.IsDir() {
		data, err := readBounded(dir, maxGitFile)
		if err != nil {
			return "", false, err
		}
		to, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir: ")
		if !ok {
			return "", false, nil
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(dir), to)
		}
		dir = to
	}
	if data, err := readBounded(filepath.Join(dir, "commondir"), maxGitFile); err == nil {
		common := strings.TrimSpace(string(data))
		if !filepath.IsAbs(common) {
			common = filepath.Join(dir, common)
		}
		dir = common
	}
	for _, part := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, part)); err != nil {
			return "", false, nil //nolint:nilerr // a directory, but no repository
		}
	}
	return dir, true, nil
}
