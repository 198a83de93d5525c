package gitmem

import (
	"context"
	"crypto/sha1" // #nosec G505 -- git's object ids are SHA-1
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// object is a stored object. Its bytes are never changed.
type object struct {
	kind string
	data []byte
}

// commit is what walks need of a commit.
type commit struct {
	tree    string
	parents []string
	time    int64 // committer's, seconds
}

// repository is one repository in memory.
type repository struct {
	options gitstore.Options
	head    string // the ref HEAD points at

	mu          sync.RWMutex
	objects     map[string]object
	commits     map[string]*commit // every well-formed commit of objects
	generations map[string]int     // see generation
	whole       map[string]bool    // objects known to have all they name, down to the blobs
	refs        map[string]string
}

var _ gitstore.Repository = (*repository)(nil)

// objectID is the name git gives an object.
func objectID(kind string, data []byte) string {
	h := sha1.New() // #nosec G401 -- git's object ids are SHA-1
	fmt.Fprintf(h, "%s %d\x00", kind, len(data))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

func (r *repository) get(id string) (object, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	o, ok := r.objects[id]
	return o, ok
}

// put stores objects. The caller leaves their bytes alone from then on.
func (r *repository) put(objects ...object) {
	ids := make([]string, len(objects))
	parsed := make([]*commit, len(objects))
	for i, o := range objects {
		ids[i] = objectID(o.kind, o.data)
		if o.kind == "commit" {
			parsed[i] = parseCommit(ids[i], o.data)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, o := range objects {
		r.objects[ids[i]] = o
		if parsed[i] != nil {
			r.commits[ids[i]] = parsed[i]
		}
	}
}

// parseCommit returns nil for a commit that cannot be walked.
func parseCommit(id string, data []byte) *commit {
	c, err := gitstore.ParseCommit(id, data)
	if err != nil {
		return nil
	}
	out := &commit{tree: c.Tree, parents: c.Parents}
	if fields := strings.Fields(c.Committer[strings.LastIndexByte(c.Committer, '>')+1:]); len(fields) > 0 {
		// An unreadable time counts as 0, as in git.
		out.time, _ = strconv.ParseInt(fields[0], 10, 64)
	}
	return out
}

// commit returns a commit, or nil where there is none of that id.
func (r *repository) commit(id string) *commit {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.commits[id]
}

func (r *repository) tree(id string) ([]gitstore.TreeEntry, error) {
	o, ok := r.get(id)
	if !ok || o.kind != "tree" {
		return nil, fmt.Errorf("tree %s: %w", id, gitstore.ErrNotFound)
	}
	return gitstore.ParseTree(o.data)
}

// peel follows annotated tags to what they are about.
func (r *repository) peel(id string) (string, object, bool) {
	for range 10 {
		o, ok := r.get(id)
		if !ok || o.kind != "tag" {
			return id, o, ok
		}
		id = tagTarget(o.data)
	}
	return id, object{}, false
}

func tagTarget(data []byte) string {
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimPrefix(line, "object ")
}

// ReadObject returns a copy of an object.
func (r *repository) ReadObject(ctx context.Context, id string) (string, []byte, error) {
	if err := ctx.Err(); err != nil {
		return "", nil, err
	}
	o, ok := r.get(id)
	if !ok {
		return "", nil, fmt.Errorf("object %q: %w", id, gitstore.ErrNotFound)
	}
	return o.kind, slices.Clone(o.data), nil
}

// WriteObject stores a copy of data.
func (r *repository) WriteObject(ctx context.Context, kind string, data []byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if kindCode(kind) == 0 {
		return "", fmt.Errorf("write object: %q is not a kind of object", kind)
	}
	o := object{kind: kind, data: slices.Clone(data)}
	r.put(o)
	return objectID(kind, data), nil
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

// Refs lists refs by prefix.
func (r *repository) Refs(ctx context.Context, prefix string) (map[string]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	refs := map[string]string{}
	for ref, id := range r.refs {
		if strings.HasPrefix(ref, prefix) {
			refs[ref] = id
		}
	}
	return refs, nil
}

// UpdateRefs moves refs in one transaction.
func (r *repository) UpdateRefs(ctx context.Context, updates []gitstore.RefUpdate) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, u := range updates {
		if err := gitstore.CheckRef(u.Ref); err != nil {
			return err
		}
		if !gitstore.ValidID(u.Old) || !gitstore.ValidID(u.New) {
			return fmt.Errorf("%s: %q to %q: not object ids", u.Ref, u.Old, u.New)
		}
	}
	return r.transact(updates)
}

// transact moves all the refs or none.
func (r *repository) transact(updates []gitstore.RefUpdate) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]bool{}
	for _, u := range updates {
		if seen[u.Ref] {
			return fmt.Errorf("%s: named twice in one update", u.Ref)
		}
		seen[u.Ref] = true
		now, ok := r.refs[u.Ref]
		if !ok {
			now = gitstore.Zero
		}
		if now != u.Old {
			return fmt.Errorf("%s is at %s, not %s: %w", u.Ref, now, u.Old, gitstore.ErrStale)
		}
		if u.New == gitstore.Zero || u.New == u.Old {
			continue
		}
		o, ok := r.objects[u.New]
		if !ok {
			return fmt.Errorf("%s: object %s: %w", u.Ref, u.New, gitstore.ErrNotFound)
		}
		if o.kind != "commit" && strings.HasPrefix(u.Ref, "refs/heads/") {
			return fmt.Errorf("%s: %s is a %s; a branch takes commits only", u.Ref, u.New, o.kind)
		}
	}
	for _, u := range updates {
		if other := r.neighbour(u, seen); other != "" {
			return fmt.Errorf("%s and %s cannot both exist", u.Ref, other)
		}
	}
	for _, u := range updates {
		if u.New == gitstore.Zero {
			delete(r.refs, u.Ref)
		} else {
			r.refs[u.Ref] = u.New
		}
	}
	return nil
}

// neighbour returns a ref that makes u impossible, because git keeps refs as
// files: one of the two would be a directory in the other's place. updated are
// the refs of the same transaction, which count even when they are deleted.
func (r *repository) neighbour(u gitstore.RefUpdate, updated map[string]bool) string {
	if u.Old != gitstore.Zero || u.New == gitstore.Zero {
		return ""
	}
	for i := range u.Ref {
		if u.Ref[i] == '/' && (r.refs[u.Ref[:i]] != "" || updated[u.Ref[:i]]) {
			return u.Ref[:i]
		}
	}
	for ref := range r.refs {
		if strings.HasPrefix(ref, u.Ref+"/") {
			return ref
		}
	}
	return ""
}
