package world

import (
	"context"
	"fmt"
	"sync"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// memoStore answers for a store what can never change: a question about objects
// by their ids. A climb asks most of them several times, and on disk each costs
// a git process.
type memoStore struct {
	gitstore.Store
	mu   sync.Mutex
	open map[gitstore.Repository]*memo // a repository is one value
}

// Create makes a repository.
func (m *memoStore) Create(owner, name, branch string) (gitstore.Repository, error) {
	r, err := m.Store.Create(owner, name, branch)
	return m.remember(r, err)
}

// Open opens a repository.
func (m *memoStore) Open(owner, name string) (gitstore.Repository, error) {
	r, err := m.Store.Open(owner, name)
	return m.remember(r, err)
}

func (m *memoStore) remember(r gitstore.Repository, err error) (gitstore.Repository, error) {
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open[r] == nil {
		m.open[r] = &memo{Repository: r, known: map[string]any{}}
	}
	return m.open[r], nil
}

type memo struct {
	gitstore.Repository
	mu    sync.Mutex
	known map[string]any
}

// ask answers from memory, or asks and remembers what was no error.
func ask[T any](m *memo, key string, f func() (T, error)) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.known[key].(T); ok {
		return v, nil
	}
	v, err := f()
	if err == nil {
		m.known[key] = v
	}
	return v, err
}

// MergeBase is the store's, once; of two commits in one line it is the older.
func (m *memo) MergeBase(ctx context.Context, a, b string) (string, error) {
	for _, ends := range [][2]string{{a, b}, {b, a}} {
		if _, ok := m.line(ctx, ends[0], ends[1]); ok {
			return ends[1], nil
		}
	}
	return ask(m, "base "+a+" "+b, func() (string, error) { return m.Repository.MergeBase(ctx, a, b) })
}

// Log is the store's, once; the commits of one line are read from it.
func (m *memo) Log(ctx context.Context, tip string, exclude []string, limit int) ([]gitstore.Commit, error) {
	if len(exclude) == 1 {
		if commits, ok := m.line(ctx, tip, exclude[0]); ok && len(commits) <= limit {
			return commits, nil
		}
	}
	return ask(m, fmt.Sprint("log ", tip, exclude, limit), func() ([]gitstore.Commit, error) { return m.Repository.Log(ctx, tip, exclude, limit) })
}

// line is the commits from tip back to before from, newest first, where they
// stand in one line of a few commits without a merge.
func (m *memo) line(ctx context.Context, tip, from string) ([]gitstore.Commit, bool) {
	var commits []gitstore.Commit
	for range 20 {
		if tip == from {
			return commits, true
		}
		c, err := m.ReadCommit(ctx, tip)
		if err != nil || len(c.Parents) != 1 {
			return nil, false
		}
		commits = append(commits, c)
		tip = c.Parents[0]
	}
	return nil, false
}

// Diff is the store's, once.
func (m *memo) Diff(ctx context.Context, a, b string) ([]string, error) {
	return ask(m, "diff "+a+" "+b, func() ([]string, error) { return m.Repository.Diff(ctx, a, b) })
}

// MergeTree is the store's, once.
func (m *memo) MergeTree(ctx context.Context, ours, theirs string) (string, []string, error) {
	type merged struct {
		tree      string
		conflicts []string
	}
	out, err := ask(m, "merge "+ours+" "+theirs, func() (merged, error) {
		tree, conflicts, err := m.Repository.MergeTree(ctx, ours, theirs)
		return merged{tree, conflicts}, err
	})
	return out.tree, out.conflicts, err
}
