package audit

import "bytes"

// bases keeps unpacked entries of packs: what deltas stand on. Their bytes lie in two
// pieces of memory that are used again and again, so that unpacking leaves no garbage:
// when the young half is full, what the old one held is let go, and they change places.
type bases struct {
	young, old basesHalf
	// changes counts how often they changed places.
	changes int
}

// basesHalf is one half: memory, filled from its front, and where in it which entry of
// which pack lies, by pack.key.
type basesHalf struct {
	memory []byte
	at     map[uint64]baseAt
}

// baseAt is where an entry lies in a half.
type baseAt struct {
	kind     byte
	from, to int32
}

// basesBytes is how much each half holds in the end, and basesCount how many entries.
// The first is of firstBases, and they double with every basesGrow changes. An entry of
// more than an eighth of those bytes is not kept.
const (
	basesBytes = 8 << 20
	basesCount = 32 << 10
	firstBases = 512 << 10
	basesGrow  = 4
)

// entryBase is an unpacked entry. Its bytes stay what they are until the next object
// is read.
type entryBase struct {
	kind byte
	data []byte
}

// own are an entry's bytes for somebody to have.
func (e entryBase) own() []byte {
	if len(e.data) > basesBytes/8 {
		return e.data
	}
	return bytes.Clone(e.data)
}

// room is memory for the bytes of an entry. While an entry is made of another, that
// one stays what it is: it lies in the young half then, or has just become old.
func (b *bases) room(size int) []byte {
	if size > basesBytes/8 {
		return make([]byte, size)
	}
	if b.young.at == nil || len(b.young.at) >= basesCount || size > cap(b.young.memory)-len(b.young.memory) {
		b.old, b.young = b.young, b.old
		if clear(b.young.at); b.young.at == nil {
			b.young.at = map[uint64]baseAt{}
		}
		want := min(basesBytes, max(firstBases<<min(b.changes/basesGrow, 8), 8*size))
		if b.changes++; cap(b.young.memory) < want {
			b.young.memory = make([]byte, want)
		}
		b.young.memory = b.young.memory[:0]
	}
	from := len(b.young.memory)
	b.young.memory = b.young.memory[:from+size]
	return b.young.memory[from:]
}

// put remembers what fills the room that was asked for last.
func (b *bases) put(key uint64, e entryBase) {
	if len(e.data) > basesBytes/8 {
		return
	}
	to := len(b.young.memory)
	b.young.at[key] = baseAt{e.kind, int32(to - len(e.data)), int32(to)} //nolint:gosec // below basesBytes
}

// get finds an entry; one in the old half moves to the young one.
func (b *bases) get(key uint64) (entryBase, bool) {
	if at, ok := b.young.at[key]; ok {
		return entryBase{at.kind, b.young.memory[at.from:at.to]}, true
	}
	at, ok := b.old.at[key]
	if !ok {
		return entryBase{}, false
	}
	data := b.old.memory[at.from:at.to]
	// Where that makes the halves change places, it moves within one: to its front.
	e := entryBase{at.kind, b.room(len(data))}
	copy(e.data, data)
	b.put(key, e)
	return e, true
}
