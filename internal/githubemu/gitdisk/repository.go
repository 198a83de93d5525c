package gitdisk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// objectCacheSize bounds the objects one repository keeps in memory.
const objectCacheSize = 4 << 20

// repository is one bare repository on disk.
type repository struct {
	store *Store

	mu      sync.Mutex // guards what follows; go-git's storage is for one goroutine
	dir     string
	objects *filesystem.Storage
}

var _ gitstore.Repository = (*repository)(nil)

func (r *repository) moveTo(dir string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dir = dir
	r.objects = filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(objectCacheSize))
}

func (r *repository) path() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dir
}

// git runs git and returns what it printed. A failure is a *gitError.
func (r *repository) git(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	cmd := r.store.command(ctx, r.path(), args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, &gitError{command: args[0], stderr: strings.TrimSpace(stderr.String()), err: err}
	}
	return out, nil
}

// gitError is a git process that did not end well.
type gitError struct {
	command, stderr string
	err             error
}

func (e *gitError) Error() string {
	return fmt.Sprintf("git %s: %v: %.500s", e.command, e.err, e.stderr)
}

func (e *gitError) Unwrap() error { return e.err }

// exitCode is git's exit code, or -1 when it did not run to its end.
func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// ReadObject reads a loose or packed object in process.
func (r *repository) ReadObject(ctx context.Context, id string) (string, []byte, error) {
	if err := ctx.Err(); err != nil {
		return "", nil, err
	}
	if id == gitstore.EmptyTree {
		return "tree", nil, nil
	}
	if !gitstore.ValidID(id) {
		return "", nil, fmt.Errorf("object %q: %w", id, gitstore.ErrNotFound)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	object, err := r.objects.EncodedObject(plumbing.AnyObject, plumbing.NewHash(id))
	if err != nil {
		r.objects.Reindex() // a pack may have come since, or gone when somebody repacked
		object, err = r.objects.EncodedObject(plumbing.AnyObject, plumbing.NewHash(id))
	}
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return "", nil, fmt.Errorf("object %s: %w", id, gitstore.ErrNotFound)
	}
	if err != nil {
		return "", nil, fmt.Errorf("object %s: %w", id, err)
	}
	reader, err := object.Reader()
	if err != nil {
		return "", nil, fmt.Errorf("object %s: %w", id, err)
	}
	data := make([]byte, 0, object.Size())
	buffer := bytes.NewBuffer(data)
	_, err = buffer.ReadFrom(reader)
	if err = errors.Join(err, reader.Close()); err != nil {
		return "", nil, fmt.Errorf("object %s: %w", id, err)
	}
	return object.Type().String(), buffer.Bytes(), nil
}

// ReadCommit reads a commit.
func (r *repository) ReadCommit(ctx context.Context, id string) (gitstore.Commit, error) {
	data, err := r.read(ctx, id, "commit")
	if err != nil {
		return gitstore.Commit{}, err
	}
	return gitstore.ParseCommit(id, data)
}

// ReadTree reads a tree.
func (r *repository) ReadTree(ctx context.Context, id string) ([]gitstore.TreeEntry, error) {
	data, err := r.read(ctx, id, "tree")
	if err != nil {
		return nil, err
	}
	return gitstore.ParseTree(data)
}

func (r *repository) read(ctx context.Context, id, kind string) ([]byte, error) {
	got, data, err := r.ReadObject(ctx, id)
	if err == nil && got != kind {
		return nil, fmt.Errorf("object %s is a %s; %s: %w", id, got, kind, gitstore.ErrNotFound)
	}
	return data, err
}

// known returns ErrNotFound unless every id is an object of kind, so that git
// is never started on one that is not.
func (r *repository) known(ctx context.Context, kind string, ids ...string) error {
	for _, id := range ids {
		if _, err := r.read(ctx, id, kind); err != nil {
			return err
		}
	}
	return nil
}

// MergeBase asks git merge-base.
func (r *repository) MergeBase(ctx context.Context, a, b string) (string, error) {
	if err := r.known(ctx, "commit", a, b); err != nil {
		return "", err
	}
	out, err := r.git(ctx, nil, "merge-base", a, b)
	if exitCode(err) == 1 {
		return "", fmt.Errorf("common ancestor of %s and %s: %w", a, b, gitstore.ErrNotFound)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

// MergeTree asks git merge-tree, which looks for renames as GitHub does.
func (r *repository) MergeTree(ctx context.Context, ours, theirs string) (string, []string, error) {
	if err := r.known(ctx, "commit", ours, theirs); err != nil {
		return "", nil, err
	}
	out, err := r.git(ctx, nil, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
	var failure *gitError
	if errors.As(err, &failure) && strings.Contains(failure.stderr, "unrelated histories") {
		return "", nil, fmt.Errorf("common ancestor of %s and %s: %w", ours, theirs, gitstore.ErrNotFound)
	}
	if err != nil && exitCode(err) != 1 {
		return "", nil, err
	}
	fields := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	if err == nil {
		return strings.TrimSpace(fields[0]), nil, nil
	}
	conflicts := fields[1:]
	slices.Sort(conflicts)
	return "", slices.Compact(conflicts), nil
}

// Log asks git rev-list for the order and reads the commits in process.
func (r *repository) Log(ctx context.Context, tip string, exclude []string, limit int) ([]gitstore.Commit, error) {
	if err := r.known(ctx, "commit", append([]string{tip}, exclude...)...); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, nil
	}
	var revisions strings.Builder
	fmt.Fprintf(&revisions, "%s\n", tip)
	for _, id := range exclude {
		fmt.Fprintf(&revisions, "^%s\n", id)
	}
	out, err := r.git(ctx, []byte(revisions.String()), "rev-list", "--date-order", "--max-count="+strconv.Itoa(limit), "--stdin")
	if err != nil {
		return nil, err
	}
	var commits []gitstore.Commit
	for _, id := range strings.Fields(string(out)) {
		commit, err := r.ReadCommit(ctx, id)
		if err != nil {
			return nil, err
		}
		commits = append(commits, commit)
	}
	return commits, nil
}

// Diff asks git diff-tree.
func (r *repository) Diff(ctx context.Context, treeA, treeB string) ([]string, error) {
	trees := []string{treeA, treeB}
	for i, id := range trees {
		if id == "" {
			trees[i] = gitstore.EmptyTree
		} else if err := r.known(ctx, "tree", id); err != nil {
			return nil, err
		}
	}
	if trees[0] == trees[1] {
		return nil, nil
	}
	out, err := r.git(ctx, nil, "diff-tree", "-r", "-z", "--name-only", "--no-renames", trees[0], trees[1])
	if err != nil || len(out) == 0 {
		return nil, err
	}
	paths := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	slices.Sort(paths)
	return paths, nil
}
