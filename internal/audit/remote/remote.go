// Package remote brings a repository from a server, whole, to where package audit
// can read it: into a bare repository in a temporary directory.
//
// State: one directory for each Copy, gone with Close. Invariants: nothing of what
// the server sends is believed: the pack is indexed by hashing what is in it, and
// whoever judges the copy hashes it again. No credential is sent.
//
// Concurrency: Fetch may be called from several goroutines. What it does not do:
// it follows no redirect, fetches no other branches than the ledger and the base,
// and updates no copy that is there.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
)

const (
	// maxPack bounds what a server may send.
	maxPack = 8 << 30
	// maxTime bounds how long it may take.
	maxTime = time.Hour
)

// Is reports whether a name is a URL, and not a path.
func Is(name string) bool {
	return strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://")
}

// Copy is a fetched repository.
type Copy struct {
	// Dir is a bare repository with the branches at their own names.
	Dir string
}

// Close removes the copy.
func (c *Copy) Close() error { return os.RemoveAll(c.Dir) }

// Fetch brings the ledger and the base branch of a repository here: base, or the
// one that the server's HEAD names. Plain http is taken on loopback only. client
// does the requests; nil is http.DefaultClient. A repository without a ledger is
// brought as well: that is for its judge to say.
func Fetch(ctx context.Context, rawURL, base string, client *http.Client) (*Copy, error) {
	if u, err := url.Parse(rawURL); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("plain http is taken on loopback only: use https, or clone it and verify the clone")
	}
	r, err := gitrepo.Open(rawURL, client, gitrepo.Options{MaxResponse: maxPack, Timeout: maxTime})
	if err != nil {
		return nil, err
	}
	received := progress.Begin(ctx, "fetching the repository", "KiB", 0)
	refs, err := branches(ctx, r, base)
	if err != nil {
		return nil, explained(err)
	}
	dir, err := os.MkdirTemp("", "rung-verify-")
	if err != nil {
		return nil, err
	}
	c := &Copy{Dir: dir}
	if err := c.lay(ctx, r, refs, received); err != nil {
		return nil, errors.Join(explained(err), c.Close())
	}
	return c, nil
}

// heads are the branches to bring, and which of them HEAD is.
type heads struct {
	refs map[string]promotion.Hash
	head string
}

func branches(ctx context.Context, r *gitrepo.Remote, base string) (heads, error) {
	h := heads{refs: map[string]promotion.Hash{}}
	head, at, err := r.Head(ctx)
	if err != nil {
		return h, err
	}
	if base != "" {
		head = "refs/heads/" + strings.TrimPrefix(base, "refs/heads/")
	}
	if head != "" && !plain(head) {
		return h, fmt.Errorf("%.80q is no branch", head)
	}
	if h.refs, err = r.ExactRefs(ctx, promotion.LedgerRef, head); err != nil {
		return h, err
	}
	if base == "" && head != "" && h.refs[head] == "" {
		h.refs[head] = at
	}
	h.head = head
	return h, nil
}

// lay makes the bare repository.
func (c *Copy) lay(ctx context.Context, r *gitrepo.Remote, h heads, received *progress.Step) error {
	head := h.head
	if head == "" {
		head = "refs/heads/main"
	}
	files := map[string]string{
		"HEAD": "ref: " + head + "\n", "config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
	}
	var wants []promotion.Hash
	for ref, at := range h.refs {
		files[ref] = string(at) + "\n"
		if !slices.Contains(wants, at) {
			wants = append(wants, at)
		}
	}
	for _, dir := range []string{"objects/pack", "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, filepath.FromSlash(dir)), 0o700); err != nil {
			return err
		}
	}
	for file, text := range files {
		name := filepath.Join(c.Dir, filepath.FromSlash(file))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	if len(wants) == 0 {
		return nil
	}
	return c.pack(func(to io.Writer) error { return r.Whole(ctx, wants, &counted{to: to, step: received}) })
}

// counted tells how much has come.
type counted struct {
	to   io.Writer
	step *progress.Step
	// rest are the bytes that fill no KiB yet.
	rest int
}

// Write counts what is written.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.rest += n
	c.step.Add(c.rest >> 10)
	c.rest &= 1<<10 - 1
	return n, err
}

// pack stores a pack and makes its index.
func (c *Copy) pack(fetch func(io.Writer) error) error {
	s := filesystem.NewStorage(osfs.New(c.Dir), cache.NewObjectLRUDefault())
	defer func() { _ = s.Close() }()
	w, err := s.PackfileWriter()
	if err != nil {
		return err
	}
	if err := fetch(w); err != nil {
		_ = w.Close() // what came is of no use
		return err
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("what the server sent is no sound pack: %w", err)
	}
	return nil
}

// explained adds what a person can do.
func explained(err error) error {
	switch {
	case errors.Is(err, gitrepo.ErrAuthentication), errors.Is(err, gitrepo.ErrNotFound):
		return fmt.Errorf("%w; rung sends no credentials here: clone a private repository with git, and verify the clone", err)
	case errors.Is(err, gitrepo.ErrUnavailable):
		return fmt.Errorf("%w; is the address right, and can it be reached from here?", err)
	case errors.Is(err, gitrepo.ErrMoved):
		return fmt.Errorf("%w; use the address that it moved to", err)
	}
	return err
}

var refGrammar = lazyregexp.New(`^refs/heads(/[A-Za-z0-9_+@#=,-][A-Za-z0-9_.+@#=,-]*)+$`)

// plain reports whether a ref can be a file's path, whoever named it.
func plain(ref string) bool {
	return len(ref) < 200 && refGrammar.MatchString(ref) && !strings.Contains(ref, "..") && !strings.Contains(ref+"/", ".lock/")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
