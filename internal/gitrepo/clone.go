package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/rungbot/rung/internal/promotion"
)

// maxCloneObject bounds an object that is read from disk, in bytes.
const maxCloneObject = 32 << 20

// Clone is a clone on disk, bare or not. It is read when it is asked, and never
// written.
type Clone struct {
	// Refs are the refs by their names in the clone, such as
	// refs/remotes/origin/main.
	Refs map[string]promotion.Hash
	// Head is the branch that is checked out, by its full name; empty where HEAD is
	// detached. RemoteHead is the branch that refs/remotes/origin/HEAD names.
	Head, RemoteHead string
	// Origin is the address of the remote origin; it may carry a password.
	Origin string

	objects *filesystem.Storage
}

// OpenClone reads the refs of the clone that path is, or lies in.
func OpenClone(path string) (*Clone, error) {
	dir, err := FindGitDir(path)
	if err != nil {
		return nil, err
	}
	c := &Clone{Refs: map[string]promotion.Hash{}, Origin: originOf(filepath.Join(dir, "config"))}
	c.objects = filesystem.NewStorageWithOptions(osfs.New(dir), cache.NewObjectLRUDefault(), filesystem.Options{
		LargeObjectThreshold: maxCloneObject, AlternatesFS: osfs.New("/"),
	})
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("%s: its refs can't be read: %w", path, err)
	}
	return c, nil
}

func (c *Clone) read() (err error) {
	defer notPanicking(&err)
	iter, err := c.objects.IterReferences()
	if err != nil {
		return err
	}
	defer iter.Close()
	return iter.ForEach(func(ref *plumbing.Reference) error {
		switch {
		case ref.Type() == plumbing.SymbolicReference && ref.Name() == plumbing.HEAD:
			c.Head = ref.Target().String()
		case ref.Type() == plumbing.SymbolicReference && ref.Name() == "refs/remotes/origin/HEAD":
			c.RemoteHead = "refs/heads/" + strings.TrimPrefix(ref.Target().String(), "refs/remotes/origin/")
		case ref.Type() == plumbing.HashReference && !ref.Hash().IsZero():
			c.Refs[ref.Name().String()] = hashOf(ref.Hash())
		}
		return nil
	})
}

// Branch is where a branch stands ("refs/heads/main"): as this clone's own, or as
// origin's. With remote that of origin goes first.
func (c *Clone) Branch(name string, remote bool) (promotion.Hash, bool) {
	at := []string{name, "refs/remotes/origin/" + strings.TrimPrefix(name, "refs/heads/")}
	if remote {
		at[0], at[1] = at[1], at[0]
	}
	for _, ref := range at {
		if h, there := c.Refs[ref]; there {
			return h, true
		}
	}
	return "", false
}

// Remote is the clone in the place of a server that has these refs. It can't be
// pushed to, and what the clone lacks is ErrOffline.
func (c *Clone) Remote(refs map[string]promotion.Hash, o Options) *Remote {
	o = o.withDefaults()
	r := &Remote{url: "a clone", server: "a clone", options: o, servers: o.Servers, store: newStore(o.CacheBytes, o.PendingBytes), clone: &cloneRefs{refs}}
	var mu sync.Mutex
	r.store.disk = func(i id) (object, bool) {
		mu.Lock()
		defer mu.Unlock()
		o, err := c.object(i)
		return o, err == nil
	}
	return r
}

// object reads one object, and holds it to its hash.
func (c *Clone) object(i id) (o object, err error) {
	defer notPanicking(&err)
	found, err := c.objects.EncodedObject(plumbing.AnyObject, i)
	if err != nil {
		return o, err
	}
	if found.Size() > maxCloneObject {
		return o, ErrTooLarge
	}
	reader, err := found.Reader()
	if err != nil {
		return o, err
	}
	defer func() { _ = reader.Close() }()
	var data bytes.Buffer
	if _, err := io.Copy(&data, io.LimitReader(reader, maxCloneObject+1)); err != nil {
		return o, err
	}
	if o = newObject(found.Type(), data.Bytes()); o.id != i {
		return object{}, fmt.Errorf("%w: %s has another content", ErrMalformed, i)
	}
	return o, nil
}

// notPanicking turns a panic of a parser that met damaged files into an error.
func notPanicking(err *error) {
	if p := recover(); p != nil {
		*err = errors.Join(ErrMalformed, fmt.Errorf("%v", p))
	}
}

// cloneRefs are the refs that a clone shows in the place of a server.
type cloneRefs struct{ refs map[string]promotion.Hash }

func (c *cloneRefs) list(prefixes []string) map[string]promotion.Hash {
	return withPrefixes(maps.Clone(c.refs), prefixes)
}

// onDisk is how two commits stand to each other by what is on disk, where b's first
// parents don't lead to a.
func (r *Remote) onDisk(a, b id) Relation {
	h, err := judge(r.store.get, a, b)
	switch {
	case err == nil && h.relation != 0 && h.relation != Ahead:
		return h.relation
	case err == nil && h.ancestor:
		return Foxtrot
	}
	return TooFar
}
