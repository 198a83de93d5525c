// Package gitmem keeps the emulator's repositories in memory, for simulation:
// objects and refs in maps, a small git server (protocol v2 fetch, receive-pack)
// and a three-way merge of its own. It starts no process and no goroutine and
// reads no clock, so a run under testing/synctest repeats exactly.
//
// It shares no code with the bot's git client nor with go-git, so that a
// mistake in either shows. What it serves it serves the way stock git does, down
// to the answers that surprise (smarthttp and storetest hold it to that);
// it does not serve: fetch in protocol v0, deepen by date, by ref or relative,
// filters other than blob:none and blob:limit, delta compression in the packs
// it sends, renames in merges. Objects are never collected.
//
// One lock guards a repository; no method calls the caller's code under it.
package gitmem

import (
	"errors"
	"fmt"
	"sync"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// Store is a gitstore.Store in memory.
type Store struct {
	options gitstore.Options

	mu    sync.Mutex
	repos map[string]*repository // by owner/name
}

var _ gitstore.Store = (*Store)(nil)

// New makes an empty store.
func New(options gitstore.Options) *Store {
	return &Store{options: options, repos: map[string]*repository{}}
}

// Create makes an empty repository; see gitstore.Store.
func (s *Store) Create(owner, name, defaultBranch string) (gitstore.Repository, error) {
	head := "refs/heads/" + defaultBranch
	if err := errors.Join(gitstore.CheckName(owner, name), gitstore.CheckRef(head)); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := owner + "/" + name
	if s.repos[key] != nil {
		return nil, fmt.Errorf("repository %s: %w", key, gitstore.ErrExists)
	}
	r := &repository{
		options:     s.options,
		head:        head,
		objects:     map[string]object{gitstore.EmptyTree: {kind: "tree"}},
		commits:     map[string]*commit{},
		generations: map[string]int{},
		whole:       map[string]bool{},
		refs:        map[string]string{},
	}
	s.repos[key] = r
	return r, nil
}

// Open finds a repository; see gitstore.Store.
func (s *Store) Open(owner, name string) (gitstore.Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[owner+"/"+name]
	if r == nil {
		return nil, fmt.Errorf("repository %s/%s: %w", owner, name, gitstore.ErrNotFound)
	}
	return r, nil
}

// Rename moves a repository; see gitstore.Store.
func (s *Store) Rename(owner, name, newOwner, newName string) error {
	if err := gitstore.CheckName(newOwner, newName); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from, to := owner+"/"+name, newOwner+"/"+newName
	r := s.repos[from]
	if r == nil {
		return fmt.Errorf("repository %s: %w", from, gitstore.ErrNotFound)
	}
	if s.repos[to] != nil {
		return fmt.Errorf("repository %s: %w", to, gitstore.ErrExists)
	}
	delete(s.repos, from)
	s.repos[to] = r
	return nil
}
