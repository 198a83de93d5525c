// Package gitdisk keeps the emulator's repositories as real bare repositories
// at DIR/OWNER/NAME.git and lets stock git do the git part: upload-pack and
// receive-pack behind HTTP, merge-tree, update-ref, rev-list. So the far end
// of every fetch and push is git's own, and anybody can look into DIR with
// their own git.
//
// The state is the directory and nothing else; a store opened on the same
// directory later finds everything. Objects and refs are read in process
// (starting git for each would cost milliseconds), everything that decides or
// writes refs is a git process with an environment of its own: no user or
// system configuration, C locale, a fixed identity. Git serialises writers by
// its lock files; a Store may be used by several goroutines. DIR/.gitdisk
// belongs to the store. Nothing is ever collected: an object, once written,
// stays readable by its id, as on GitHub.
package gitdisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// oldestMinor is the oldest git 2.x that will do: merge-tree --write-tree
// came with 2.38.
const oldestMinor = 38

// Store is a gitstore.Store on disk.
type Store struct {
	dir     string
	options gitstore.Options
	git     string // the git binary

	mu    sync.Mutex
	repos map[string]*repository // by owner/name
}

var _ gitstore.Store = (*Store)(nil)

// New opens the store in dir, making the directory if need be. It returns an
// error that says what to install when no git, or one older than 2.38, is on
// PATH.
func New(dir string, options gitstore.Options) (*Store, error) {
	git, err := findGit()
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("git store: %w", err)
	}
	s := &Store{dir: dir, options: options, git: git, repos: map[string]*repository{}}
	for _, d := range []string{s.home(), s.hooks()} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return nil, fmt.Errorf("git store: %w", err)
		}
	}
	if err := replaceFile(filepath.Join(s.hooks(), "update"), refusalHook, 0o700); err != nil {
		return nil, fmt.Errorf("git store: %w", err)
	}
	return s, nil
}

// goodGits remembers the binaries that findGit has found new enough, since a
// test run makes very many stores.
var goodGits sync.Map

func findGit() (string, error) {
	const install = "install git 2.38 or newer and put it on PATH"
	path, err := exec.LookPath("git")
	if err != nil {
		return "", fmt.Errorf("the git store on disk needs the git binary: %s: %w", install, err)
	}
	if _, good := goodGits.Load(path); good {
		return path, nil
	}
	out, err := exec.Command(path, "version").Output() // #nosec G204 -- git, as found on PATH
	if err != nil {
		return "", fmt.Errorf("%s does not run: %s: %w", path, install, err)
	}
	match := regexp.MustCompile(`^git version (\d+)\.(\d+)`).FindSubmatch(out)
	if match == nil {
		return "", fmt.Errorf("%s says %.40q for its version: %s", path, out, install)
	}
	major, errMajor := strconv.Atoi(string(match[1]))
	minor, errMinor := strconv.Atoi(string(match[2]))
	if errMajor != nil || errMinor != nil || major < 2 || (major == 2 && minor < oldestMinor) {
		return "", fmt.Errorf("%s is version %s.%s, too old: %s", path, match[1], match[2], install)
	}
	goodGits.Store(path, true)
	return path, nil
}

func (s *Store) home() string  { return filepath.Join(s.dir, ".gitdisk", "home") }
func (s *Store) hooks() string { return filepath.Join(s.dir, ".gitdisk", "hooks") }

func (s *Store) path(owner, name string) string {
	return filepath.Join(s.dir, owner, name+".git")
}

// Create makes an empty bare repository; see gitstore.Store.
func (s *Store) Create(owner, name, defaultBranch string) (gitstore.Repository, error) {
	if err := gitstore.CheckName(owner, name); err != nil {
		return nil, err
	}
	if err := gitstore.CheckRef("refs/heads/" + defaultBranch); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.path(owner, name)
	if exists(dir) {
		return nil, fmt.Errorf("repository %s/%s: %w", owner, name, gitstore.ErrExists)
	}
	for _, sub := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(sub)), 0o750); err != nil {
			return nil, fmt.Errorf("repository %s/%s: %w", owner, name, err)
		}
	}
	for file, text := range map[string]string{
		"HEAD":   "ref: refs/heads/" + defaultBranch + "\n",
		"config": configText(s.options),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("repository %s/%s: %w", owner, name, err)
		}
	}
	return s.open(owner, name), nil
}

// configText is the repository's whole configuration, so that a person who
// looks at it with their own git sees the server that clients see.
func configText(o gitstore.Options) string {
	return fmt.Sprintf(`[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
	fsync = none
[gc]
	auto = 0
[http]
	receivepack = true
[uploadpack]
	allowFilter = %t
	allowAnySHA1InWant = true
	allowReachableSHA1InWant = true
	allowTipSHA1InWant = true
[receive]
	advertiseAtomic = %t
	fsckObjects = true
	denyDeleteCurrent = refuse
	denyNonFastForwards = false
	autogc = false
	hideRefs = refs/pull/
`, !o.NoFilter, !o.NoAtomic)
}

// Open finds a repository; see gitstore.Store.
func (s *Store) Open(owner, name string) (gitstore.Repository, error) {
	if err := gitstore.CheckName(owner, name); err != nil {
		return nil, fmt.Errorf("%w: %w", gitstore.ErrNotFound, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !exists(s.path(owner, name)) {
		return nil, fmt.Errorf("repository %s/%s: %w", owner, name, gitstore.ErrNotFound)
	}
	return s.open(owner, name), nil
}

func (s *Store) open(owner, name string) *repository {
	key := owner + "/" + name
	r := s.repos[key]
	if r == nil {
		r = &repository{store: s}
		r.moveTo(s.path(owner, name))
		s.repos[key] = r
	}
	return r
}

// Rename moves a repository's directory; see gitstore.Store. A request in
// flight during the move may fail.
func (s *Store) Rename(owner, name, newOwner, newName string) error {
	if err := errors.Join(gitstore.CheckName(owner, name), gitstore.CheckName(newOwner, newName)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, to := s.path(owner, name), s.path(newOwner, newName)
	if !exists(from) {
		return fmt.Errorf("repository %s/%s: %w", owner, name, gitstore.ErrNotFound)
	}
	if exists(to) {
		return fmt.Errorf("repository %s/%s: %w", newOwner, newName, gitstore.ErrExists)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return fmt.Errorf("rename %s/%s: %w", owner, name, err)
	}
	r := s.open(owner, name)
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("rename %s/%s: %w", owner, name, err)
	}
	delete(s.repos, owner+"/"+name)
	s.repos[newOwner+"/"+newName] = r
	r.moveTo(to)
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// replaceFile writes a file under another name and moves it into place, so
// that a second store opened on the directory never sees half of it.
func replaceFile(path, text string, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// command prepares git for one repository with a clean environment.
func (s *Store) command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.git, append([]string{"--git-dir=" + dir}, args...)...) // #nosec G204 -- git, as found on PATH
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + s.home(),
		"LC_ALL=C",
		"TZ=UTC",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=gitdisk", "GIT_AUTHOR_EMAIL=gitdisk@localhost",
		"GIT_COMMITTER_NAME=gitdisk", "GIT_COMMITTER_EMAIL=gitdisk@localhost",
		// The directory may belong to another user, as in a container's volume.
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
	return cmd
}
