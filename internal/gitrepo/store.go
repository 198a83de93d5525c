package gitrepo

import (
	"container/list"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/rungbot/rung/internal/promotion"
)

// id is a git object id in binary.
type id = plumbing.Hash

// emptyTree is the id of the tree without entries, which git knows unstored.
var emptyTree = plumbing.NewHash("4b825dc642cb6eb9a060e54bf8d69288fbee4904")

// parseID checks a hash from a caller or a server.
func parseID(h promotion.Hash) (id, error) {
	var out id
	if _, err := promotion.ParseHash(string(h)); err != nil {
		return out, err
	}
	_, err := hex.Decode(out[:], []byte(h))
	return out, err
}

// hashOf is the other way round; the zero id is the empty hash.
func hashOf(i id) promotion.Hash {
	if i.IsZero() {
		return ""
	}
	return promotion.Hash(i.String())
}

// object is a git object: its type and content, never changed once made.
type object struct {
	id   id
	kind plumbing.ObjectType
	data []byte
}

// newObject names content by its hash (with SHA-1 collision detection).
func newObject(kind plumbing.ObjectType, data []byte) object {
	return object{id: plumbing.ComputeHash(kind, data), kind: kind, data: data}
}

// written is an object made here that no push has delivered yet. base is an
// object on the server that resembles it, or zero.
type written struct {
	object
	base id
}

// overhead is what one cached object costs beside its content, in bytes.
const overhead = 200

// store keeps objects in memory: those the server has (a cache) and those
// written here. Safe for concurrent use.
type store struct {
	mu         sync.Mutex
	known      lru[object]
	pending    lru[written]
	maxKnown   int64
	maxPending int64
	// disk is where else objects are; nil for nowhere.
	disk func(id) (object, bool)
}

func newStore(maxKnown, maxPending int64) *store {
	return &store{known: newLRU[object](), pending: newLRU[written](), maxKnown: maxKnown, maxPending: maxPending}
}

// get finds an object, written, known or on disk.
func (s *store) get(i id) (object, bool) {
	if o, ok := s.held(i); ok || s.disk == nil {
		return o, ok
	}
	o, ok := s.disk(i)
	if ok {
		s.addKnown(o)
	}
	return o, ok
}

// held finds an object in memory.
func (s *store) held(i id) (object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.pending.get(i); ok {
		return w.object, true
	}
	if o, ok := s.known.get(i); ok {
		return o, true
	}
	if i == emptyTree {
		return object{id: emptyTree, kind: plumbing.TreeObject}, true
	}
	return object{}, false
}

// addKnown caches objects that the server has. One that was written here as
// well needs no pushing any more.
func (s *store) addKnown(objects ...object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range objects {
		s.pending.remove(o.id)
		s.known.put(o.id, o, int64(len(o.data))+overhead)
	}
	s.known.shrink(s.maxKnown)
}

// write keeps an object for the next push, unless the server has it. base
// names an object it resembles; if that was written here, its base is taken.
func (s *store) write(o object, base id) error {
	size := int64(len(o.data)) + overhead
	if size > s.maxPending {
		return fmt.Errorf("%w: an object of %d bytes, where %d may wait for a push", ErrTooLarge, len(o.data), s.maxPending)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.known.get(o.id); ok {
		return nil
	}
	if w, ok := s.pending.get(base); ok {
		base = w.base
	}
	s.pending.put(o.id, written{object: o, base: base}, size)
	s.pending.shrink(s.maxPending)
	return nil
}

// unpushed finds an object that was written and not yet delivered.
func (s *store) unpushed(i id) (written, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending.get(i)
}

// onServer finds a cached object that the server has.
func (s *store) onServer(i id) (object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known.get(i)
}

// forget drops what was believed to be on the server.
func (s *store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = newLRU[object]()
}

// lru is a map by id that can drop its least recently used entries.
type lru[T any] struct {
	items map[id]*list.Element
	order *list.List // front: used last
	bytes int64
}

type lruItem[T any] struct {
	id    id
	value T
	size  int64
}

func newLRU[T any]() lru[T] { return lru[T]{items: map[id]*list.Element{}, order: list.New()} }

func (l *lru[T]) get(i id) (T, bool) {
	e, ok := l.items[i]
	if !ok {
		var none T
		return none, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*lruItem[T]).value, true
}

func (l *lru[T]) put(i id, value T, size int64) {
	l.remove(i)
	l.items[i] = l.order.PushFront(&lruItem[T]{id: i, value: value, size: size})
	l.bytes += size
}

func (l *lru[T]) remove(i id) {
	if e, ok := l.items[i]; ok {
		l.bytes -= e.Value.(*lruItem[T]).size
		l.order.Remove(e)
		delete(l.items, i)
	}
}

// shrink drops the least recently used entries until limit bytes are held.
func (l *lru[T]) shrink(limit int64) {
	for l.bytes > limit && l.order.Len() > 0 {
		l.remove(l.order.Back().Value.(*lruItem[T]).id)
	}
}
