// Package checkout reads a git checkout on disk for a survey, and writes what came of
// it back.
//
// State: none. Invariants: nothing outside the checkout is read or written, no link is
// followed, and sizes are bounded by package survey. A file is written whole or not at
// all; one that must be new is never written over.
package checkout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/survey"
)

// Read reads the checkout whose top is dir: the files that git tracks, as they stand
// on disk, and rung's own whether they are tracked yet or not. A *survey.Refusal
// says what is wrong with the directory.
func Read(ctx context.Context, dir string, under []string) (survey.Tree, error) {
	t := survey.Tree{Under: under}
	w, err := gitrepo.OpenWorktree(dir)
	switch {
	case errors.Is(err, gitrepo.ErrNoWorktree):
		return t, &survey.Refusal{Sentence: fmt.Sprintf("%s is %v: run rung init at the top of the checkout of a GitOps repository", dir, err)}
	case errors.Is(err, fs.ErrNotExist):
		return t, &survey.Refusal{Sentence: fmt.Sprintf("there is no directory %s: name the checkout of a GitOps repository", dir)}
	case err != nil && !errors.Is(err, gitrepo.ErrIndex):
		return t, err
	}
	root, openErr := os.OpenRoot(dir)
	if openErr != nil {
		return t, openErr
	}
	defer func() { _ = root.Close() }()
	r := reader{root: root, tree: &t}
	var paths []string
	if err == nil {
		paths, err = r.tracked(w)
	} else {
		t.Notes = append(t.Notes, manifest.Note{Text: "git's index can't be read, so every file was looked at, also those that git ignores"})
		paths, err = r.everything()
	}
	if err != nil {
		return t, err
	}
	t.Owner = owner(w.Origin)
	return t, r.read(ctx, paths)
}

// reader reads below a root into a tree.
type reader struct {
	root  *os.Root
	tree  *survey.Tree
	bytes int64
}

// tracked are the paths of a checkout that are worth reading.
func (r *reader) tracked(w *gitrepo.Worktree) ([]string, error) {
	if len(w.Tracked) > survey.MaxPaths {
		return nil, survey.TooMany()
	}
	all := map[string]bool{}
	manifests := false
	for _, f := range w.Tracked {
		switch {
		case !fs.ValidPath(f.Path):
		case f.Mode == gitrepo.ModeTree:
			r.tree.Notes = append(r.tree.Notes, manifest.Note{Path: strings.TrimSuffix(f.Path, "/"), Text: "passed over: not checked out here (a sparse checkout)"})
		case f.Mode.Regular():
			all[f.Path] = true
			manifests = manifests || manifest.IsManifest(f.Path)
		case survey.Wanted(f.Path):
			r.tree.Notes = append(r.tree.Notes, survey.LinkNote(f.Path))
		}
	}
	if !manifests {
		return nil, &survey.Refusal{Sentence: "git tracks no manifests here (*.yaml, *.yml, *.json), and rung reads what is committed: git add them first, or run rung init where the environments are"}
	}
	own, err := fs.Glob(r.root.FS(), pipeline.PartsDirectory+"/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, p := range append(own, pipeline.RootFile, survey.SchemaFile) {
		all[p] = true
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// everything walks the directory.
func (r *reader) everything() ([]string, error) {
	var paths []string
	err := fs.WalkDir(r.root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case len(paths) > survey.MaxPaths:
			return survey.TooMany()
		case d.IsDir() && p == ".git":
			return fs.SkipDir
		case d.Type().IsRegular():
			paths = append(paths, p)
		case !d.IsDir() && survey.Wanted(p):
			r.tree.Notes = append(r.tree.Notes, survey.LinkNote(p))
		}
		return nil
	})
	return paths, err
}

func (r *reader) read(ctx context.Context, paths []string) error {
	chosen, err := survey.Choose(paths, r.tree.Under)
	if err != nil {
		return err
	}
	reading := progress.Begin(ctx, "reading the checkout", "files", len(chosen))
	for _, p := range chosen {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.file(p); err != nil {
			return err
		}
		reading.Add(1)
	}
	return nil
}

// file reads one file. What is no file, or a link by now, is passed over.
func (r *reader) file(p string) error {
	info, err := r.root.Lstat(filepath.FromSlash(p))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.IsDir():
		return nil
	case err != nil:
		r.passOver(p, err)
		return nil
	case !info.Mode().IsRegular():
		r.tree.Notes = append(r.tree.Notes, survey.LinkNote(p))
		return nil
	case info.Size() > manifest.MaxSize:
		r.tree.Notes = append(r.tree.Notes, survey.LargeNote(p))
		return nil
	}
	f, err := r.root.Open(filepath.FromSlash(p))
	if err != nil {
		r.passOver(p, err)
		return nil
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, manifest.MaxSize+1))
	if err != nil {
		r.passOver(p, err)
		return nil
	}
	if r.bytes += int64(len(data)); r.bytes > survey.MaxBytes {
		return survey.TooMany()
	}
	r.tree.Files = append(r.tree.Files, survey.File{Path: p, Data: data})
	return nil
}

// passOver notes a file that can't be read, such as one whose directory is a link that
// leads outside by now.
func (r *reader) passOver(p string, err error) {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	r.tree.Notes = append(r.tree.Notes, manifest.Note{Path: p, Text: fmt.Sprintf("passed over: it can't be read (%v)", err)})
}

// owner is the account in a remote's address: git@host:owner/name, or a URL that ends
// in owner/name.
func owner(origin string) string {
	if !strings.Contains(origin, "://") {
		if host, rest, ok := strings.Cut(origin, ":"); ok && len(host) > 1 && !strings.Contains(host, "/") {
			origin = "ssh://" + host + "/" + rest
		}
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return ""
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) != 2 || strings.ContainsFunc(parts[0], func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return ""
	}
	return parts[0]
}

// Write writes files below a checkout. Those in fresh must not be there: one that is
// there by now is an error, and nothing that was there is lost. Others replace what
// is there, and keep its permissions.
func Write(dir string, files map[string][]byte, fresh []string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	paths := slices.Sorted(maps.Keys(files))
	if i := slices.Index(paths, pipeline.RootFile); i >= 0 { // last: once it is there, everything is
		paths = append(slices.Delete(paths, i, i+1), pipeline.RootFile)
	}
	for _, p := range paths {
		if slices.Contains(fresh, p) {
			err = create(root, p, files[p])
		} else {
			err = replace(root, p, files[p])
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", p, err)
		}
	}
	return nil
}

func create(root *os.Root, p string, data []byte) error {
	f, err := root.OpenFile(filepath.FromSlash(p), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, root.Remove(filepath.FromSlash(p)))
	}
	return nil
}

// replace writes beside a file and renames, so that it is never half written.
func replace(root *os.Root, p string, data []byte) error {
	name := filepath.FromSlash(p)
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file any more")
	}
	beside := filepath.FromSlash(path.Join(path.Dir(p), ".rung-"+path.Base(p)))
	if err := create(root, filepath.ToSlash(beside), data); err != nil {
		return err
	}
	err = root.Chmod(beside, info.Mode().Perm())
	if err == nil {
		err = root.Rename(beside, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(beside))
	}
	return nil
}
