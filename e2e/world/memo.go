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

// MergeBase is the store's, once.
func (m *memo) MergeBase(ctx context.Context, a, b string) (string, error) {
	return ask(m, "base "+a+" "+b, func() (string, error) { return m.Repository.MergeBase(ctx, a, b) })
}

// Diff is the store's, once.
func (m *memo) Diff(ctx context.Context, a, b string) ([]string, error) {
	return ask(m, "diff "+a+" "+b, func() ([]string, error) { return m.Repository.Diff(ctx, a, b) })
}

// Log is the store's, once.
func (m *memo) Log(ctx context.Context, tip string, exclude []string, limit int) ([]gitstore.Commit, error) {
	return ask(m, fmt.Sprint("log ", tip, exclude, limit), func() ([]gitstore.Commit, error) { return m.Repository.Log(ctx, tip, exclude, limit) })
}
