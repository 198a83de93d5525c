package gitdisk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// Refs reads loose refs and packed-refs in process.
func (r *repository) Refs(ctx context.Context, prefix string) (map[string]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir := r.path()
	// Loose before packed: a ref that git packs meanwhile is seen in one of
	// the two, and one that is in both counts as loose.
	loose, err := looseRefs(dir, prefix)
	if err != nil {
		return nil, fmt.Errorf("refs: %w", err)
	}
	refs, err := packedRefs(dir, prefix)
	if err != nil {
		return nil, fmt.Errorf("refs: %w", err)
	}
	maps.Copy(refs, loose)
	return refs, nil
}

func looseRefs(dir, prefix string) (map[string]string, error) {
	refs := map[string]string{}
	top := "refs"
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		top = prefix[:i]
	}
	if !strings.HasPrefix(top+"/", "refs/") || strings.Contains(top, "..") {
		return refs, nil
	}
	root := os.DirFS(dir)
	err := fs.WalkDir(root, top, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted while we looked
		}
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if !strings.HasPrefix(path+"/", prefix) && !strings.HasPrefix(prefix, path+"/") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasPrefix(path, prefix) {
			return nil
		}
		text, err := fs.ReadFile(root, path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if id := strings.TrimSpace(string(text)); gitstore.ValidID(id) && !strings.HasSuffix(path, ".lock") {
			refs[path] = id
		}
		return err
	})
	return refs, err
}

func packedRefs(dir, prefix string) (map[string]string, error) {
	refs := map[string]string{}
	text, err := os.ReadFile(filepath.Join(dir, "packed-refs")) // #nosec G304 -- the store's own file
	if errors.Is(err, fs.ErrNotExist) {
		return refs, nil
	}
	for line := range strings.Lines(string(text)) {
		id, ref, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if ok && gitstore.ValidID(id) && strings.HasPrefix(ref, prefix) {
			refs[ref] = id
		}
	}
	return refs, err
}

// UpdateRefs is one transaction of git update-ref.
func (r *repository) UpdateRefs(ctx context.Context, updates []gitstore.RefUpdate) error {
	if len(updates) == 0 {
		return nil
	}
	var script strings.Builder
	script.WriteString("start\n")
	for _, u := range updates {
		if err := r.checkUpdate(ctx, u); err != nil {
			return err
		}
		switch {
		case u.Old == u.New:
			fmt.Fprintf(&script, "verify %s %s\n", u.Ref, u.Old)
		case u.New == gitstore.Zero:
			fmt.Fprintf(&script, "delete %s %s\n", u.Ref, u.Old)
		case u.Old == gitstore.Zero:
			fmt.Fprintf(&script, "create %s %s\n", u.Ref, u.New)
		default:
			fmt.Fprintf(&script, "update %s %s %s\n", u.Ref, u.New, u.Old)
		}
	}
	script.WriteString("prepare\ncommit\n")
	_, err := r.git(ctx, []byte(script.String()), "update-ref", "--stdin")
	if err == nil {
		return nil
	}
	for _, u := range updates {
		refs, readErr := r.Refs(ctx, u.Ref)
		if readErr != nil {
			return errors.Join(err, readErr)
		}
		now := refs[u.Ref]
		if now == "" {
			now = gitstore.Zero
		}
		if now != u.Old {
			return fmt.Errorf("%s is at %s, not %s: %w", u.Ref, now, u.Old, gitstore.ErrStale)
		}
	}
	return err
}

func (r *repository) checkUpdate(ctx context.Context, u gitstore.RefUpdate) error {
	if err := gitstore.CheckRef(u.Ref); err != nil {
		return err
	}
	if !gitstore.ValidID(u.Old) || !gitstore.ValidID(u.New) {
		return fmt.Errorf("%s: %q to %q: not object ids", u.Ref, u.Old, u.New)
	}
	if u.New == gitstore.Zero || u.New == u.Old {
		return nil
	}
	kind, _, err := r.ReadObject(ctx, u.New)
	if err == nil && kind != "commit" && strings.HasPrefix(u.Ref, "refs/heads/") {
		return fmt.Errorf("%s: %s is a %s; a branch takes commits only", u.Ref, u.New, kind)
	}
	return err
}
