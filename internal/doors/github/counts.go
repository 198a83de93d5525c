package github

import (
	"maps"
	"sync"
	"time"
)

// Counts is what the door did since it was made.
type Counts struct {
	// Accepted deliveries are on disk and marked keys; Duplicates had been
	// accepted before.
	Accepted, Duplicates uint64
	// Ignored counts authentic deliveries that mark nothing, by reason.
	Ignored map[Reason]uint64
	// Refused counts answers by HTTP status: 400 and above.
	Refused map[int]uint64
	// RefusedValues counts the Refused hints that were made.
	RefusedValues uint64
	// Panics counts deliveries that made the door panic: each is a bug.
	Panics uint64
	// Secrets counts authentic deliveries by the index of the secret that
	// they were signed with.
	Secrets []uint64
	// LastAuthentic is when the last authentic delivery came in.
	LastAuthentic time.Time
	// BytesInFlight are held by bodies at this moment.
	BytesInFlight int64
}

// counters is Counts under a lock.
type counters struct {
	mu     sync.Mutex
	counts Counts
}

func (c *counters) change(f func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.counts)
}

func (c *counters) snapshot() Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.counts
	out.Ignored = maps.Clone(out.Ignored)
	out.Refused = maps.Clone(out.Refused)
	out.Secrets = append([]uint64(nil), out.Secrets...)
	return out
}
