package probe

import (
	"sync"
	"time"

	"github.com/rungbot/rung/internal/promotion"
)

// Bounds of a Memory.
const (
	memoryEntries = 20000
	// memoryGap is the longest time between two samples that still counts as
	// without interruption, unless the source is asked less often than that.
	memoryGap = 10 * time.Minute
)

// Memory remembers since when a source has said the same of a release. The
// zero Memory is ready. It is not kept over a restart.
type Memory struct {
	mu      sync.Mutex
	entries map[memoryKey]memoryEntry
}

type memoryKey struct{ release, source string }

type memoryEntry struct {
	status      promotion.Status
	since, last time.Time
}

// Note adds a sample and returns it with Since: the time of the first sample
// in the unbroken row of equal ones that it ends. release is the caller's key
// of what is live where: it must change when another version lands. A sample
// older than the last one changes nothing.
func (m *Memory) Note(release string, r promotion.HealthReading) promotion.HealthReading {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[memoryKey]memoryEntry{}
	}
	key := memoryKey{release, r.Source.Name()}
	e, known := m.entries[key]
	gap := max(memoryGap, 4*r.Source.Interval)
	switch {
	case known && r.At.Before(e.last):
		if r.Status == e.status {
			r.Since = e.since
		} else {
			r.Since = r.At
		}
		return r
	case !known || e.status != r.Status || r.At.Sub(e.last) > gap:
		e = memoryEntry{status: r.Status, since: r.At}
	}
	e.last = r.At
	if !known && len(m.entries) >= memoryEntries {
		m.dropOldest()
	}
	m.entries[key] = e
	r.Since = e.since
	return r
}

// dropOldest makes room by forgetting what was not sampled for longest.
func (m *Memory) dropOldest() {
	var oldest memoryKey
	var last time.Time
	for k, e := range m.entries {
		if last.IsZero() || e.last.Before(last) {
			oldest, last = k, e.last
		}
	}
	delete(m.entries, oldest)
}

// Keep forgets every release that is not in releases.
func (m *Memory) Keep(releases map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k := range m.entries {
		if !releases[k.release] {
			delete(m.entries, k)
		}
	}
}
