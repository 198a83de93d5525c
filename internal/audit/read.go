package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zlib"
	"github.com/pjbgf/sha1cd"

	"github.com/rungbot/rung/internal/inflate"
)

// database reads the objects of a repository: loose ones, those in packs, and
// those of repositories that it borrows from. It holds every object to its id,
// by a hash that detects collisions. One goroutine reads at a time.
type database struct {
	// dirs are the objects directories: the repository's own first.
	dirs []objectsDir
	// bytes is how long their packs are together.
	bytes int64
	// bases are unpacked entries of packs.
	bases bases
	// found is the object that was found last, foundAt its number in foundIn, which is
	// nil where it lies alone: what is asked for once is asked for again at once.
	found   oid
	foundIn *pack
	foundAt int

	hasher sha1cd.CollisionResistantHash
	header [32]byte
	sum    [20]byte
	source bytes.Reader
	// deltas are what resolve unpacks on its way, used again for the next entry.
	deltas [][]byte
	keys   []uint64 // of those
	// decoder unpacks what is wanted as a whole, zlib what is large or lies alone.
	decoder inflate.Decoder
	zlib    io.ReadCloser
}

// objectsDir is one objects directory.
type objectsDir struct {
	path string
	// fan says which of its directories of loose objects are there.
	fan   [256]bool
	packs []*pack
}

const (
	// usualDelta is what room for a delta is made for at least, largeDelta what is
	// not kept for the next one.
	usualDelta = 512
	largeDelta = 64 << 10
	// usualChain is how many of them are kept: git's own chains are no longer.
	usualChain = 50
)

// maxAlternates bounds the repositories that one borrows from.
const maxAlternates = 16

// openDatabase opens an objects directory and those that it names.
func openDatabase(objects string) (*database, error) {
	db := &database{hasher: newHash()}
	if err := db.add(objects); err != nil {
		db.close()
		return nil, err
	}
	return db, nil
}

func (db *database) add(path string) error {
	if len(db.dirs) > maxAlternates {
		return fmt.Errorf("it borrows from more than %d repositories", maxAlternates)
	}
	d := objectsDir{path: path}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 16, 8); err == nil && len(e.Name()) == 2 {
			d.fan[n] = true
		}
	}
	if d.packs, err = openPacks(path); err != nil {
		return err
	}
	for _, p := range d.packs {
		p.before, db.bytes = db.bytes, db.bytes+p.size
	}
	db.dirs = append(db.dirs, d)
	data, err := readSmall(filepath.Join(path, "info", "alternates"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if !filepath.IsAbs(line) {
			line = filepath.Join(path, line)
		}
		if err := db.add(line); err != nil {
			return err
		}
	}
	return err
}

func (db *database) close() {
	for _, d := range db.dirs {
		for _, p := range d.packs {
			p.close()
		}
	}
}

// packs holds each pack to the checksum at its end: a flipped bit between the
// objects, or in a checksum that nothing else reads, is damage as well.
func (db *database) packs() error {
	for _, d := range db.dirs {
		for _, p := range d.packs {
			if err := p.sound(); err != nil {
				return &packError{filepath.Base(p.path), err.Error()}
			}
		}
	}
	return nil
}

// use is what somebody wants of an object's bytes.
type use int8

const (
	useHash use = iota // nothing, but that they are its own
	useNow             // to look at them before another object is read
	useKeep            // to have them
)

// object reads one object and holds it to its id. Where its bytes are not wanted they
// are not held in memory if they are many. They must not be written to.
func (db *database) object(id oid, want use) (kind, []byte, error) {
	for _, d := range db.dirs {
		if !d.fan[id[0]] {
			continue
		}
		k, data, err := db.loose(d.path, id, want != useHash)
		if !errors.Is(err, fs.ErrNotExist) {
			db.found, db.foundIn = id, nil
			return k, data, err
		}
	}
	p, offset, err := db.offset(id)
	if err != nil {
		return kindOther, nil, err
	}
	if p == nil {
		return db.late(id, want != useHash)
	}
	head, err := p.head(offset)
	if err != nil {
		return kindOther, nil, err
	}
	if head.kind == packBlob && head.size > largeObject && want == useHash {
		if err := db.unpack(p, head.at, head.size); err != nil {
			return kindOther, nil, err
		}
		return db.hashed(id, kindBlob, head.size, db.zlib, false)
	}
	e, err := db.resolve(p, offset)
	if err != nil {
		return kindOther, nil, err
	}
	k := packKinds[e.kind]
	if err := tooLarge(k, int64(len(e.data))); err != nil {
		return kindOther, nil, err
	}
	if err := db.verify(id, k, e.data); err != nil {
		return kindOther, nil, err
	}
	if want == useKeep {
		return k, e.own(), nil
	}
	return k, e.data, nil
}

var packKinds = [8]kind{packCommit: kindCommit, packTree: kindTree, packBlob: kindBlob}

// late looks for an object that was not there when the repository was opened, and
// says why it is not there.
func (db *database) late(id oid, keep bool) (kind, []byte, error) {
	for _, d := range db.dirs {
		if k, data, err := db.loose(d.path, id, keep); !errors.Is(err, fs.ErrNotExist) {
			db.found, db.foundIn = id, nil
			return k, data, err
		}
	}
	for _, d := range db.dirs {
		for _, p := range d.packs {
			if err := p.indexed(); err != nil {
				return kindOther, nil, &packError{filepath.Base(p.path), err.Error()}
			}
		}
	}
	return kindOther, nil, &objectError{ObjectMissing, id, "not in this clone: fetch everything, without filter or depth"}
}

// find is the pack that has an object, and its number there; nil where none has it.
func (db *database) find(id oid) (*pack, int) {
	if db.found == id && id != (oid{}) {
		return db.foundIn, db.foundAt
	}
	for _, d := range db.dirs {
		for _, p := range d.packs {
			if n := p.find(&id); n >= 0 {
				db.found, db.foundIn, db.foundAt = id, p, n
				return p, n
			}
		}
	}
	return nil, -1
}

// offset is the pack that has an object, and where it lies there.
func (db *database) offset(id oid) (*pack, int64, error) {
	p, n := db.find(id)
	if p == nil {
		return nil, 0, nil
	}
	offset, err := p.index.offset(n)
	return p, offset, err
}

// resolve unpacks the entry at an offset, and all that it stands on.
func (db *database) resolve(p *pack, offset int64) (entryBase, error) {
	keys := db.keys[:0]
	var e entryBase
	for {
		if len(keys) > maxChain {
			return e, errors.New("a chain of deltas without an end")
		}
		key := p.key(offset)
		var ok bool
		if e, ok = db.bases.get(key); ok {
			break
		}
		head, err := p.head(offset)
		if err != nil {
			return e, err
		}
		if err := tooLarge(kindBlob, head.size); err != nil {
			return e, err
		}
		if head.kind < packOffset {
			e = entryBase{head.kind, db.bases.room(int(head.size))}
			if err := db.inflated(p, head, e.data); err != nil {
				return e, err
			}
			db.bases.put(key, e)
			break
		}
		if err := db.delta(len(keys), p, head); err != nil {
			return e, err
		}
		keys = append(keys, key)
		if head.kind == packOffset {
			offset = head.base
			continue
		}
		if p, offset, err = db.offset(head.id); err != nil {
			return e, err
		}
		if p == nil {
			return e, fmt.Errorf("what it stands on, %s, is not in a pack", head.id)
		}
	}
	for i := len(keys) - 1; i >= 0; i-- {
		data, err := patched(e.data, db.deltas[i], db.bases.room)
		if err != nil {
			return e, err
		}
		e.data = data
		db.bases.put(keys[i], e)
	}
	db.keys = keys
	if len(db.deltas) > usualChain {
		db.deltas = slices.Delete(db.deltas, usualChain, len(db.deltas))
	}
	return e, nil
}

// delta unpacks a delta into the n-th place for them; one that is large leaves
// nothing behind there.
func (db *database) delta(n int, p *pack, head packEntry) error {
	if n == len(db.deltas) {
		db.deltas = append(db.deltas, nil)
	}
	into := db.deltas[n]
	if int64(cap(into)) < head.size || cap(into) > largeDelta {
		into = make([]byte, head.size, max(head.size, usualDelta))
	}
	db.deltas[n] = into[:head.size]
	return db.inflated(p, head, db.deltas[n])
}

// inflated fills data with what an entry unpacks to, exactly.
func (db *database) inflated(p *pack, head packEntry, data []byte) error {
	packed := head.packed
	if room := packedRoom(head.size); len(packed) < room {
		var err error
		if packed, err = p.from(head.at, room); err != nil {
			return err
		}
	}
	_, err := db.decoder.Zlib(data, packed)
	return err
}

// ended makes sure that nothing follows, and checks the checksum of what was
// read.
func (db *database) ended() error {
	var one [1]byte
	if n, err := db.zlib.Read(one[:]); n > 0 || !errors.Is(err, io.EOF) {
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return errors.New("its length is not what its header says")
	}
	return nil
}

// unpack begins to inflate at an offset of a pack.
func (db *database) unpack(p *pack, at, size int64) error {
	data, err := p.from(at, packedRoom(size))
	if err != nil {
		return err
	}
	db.source.Reset(data)
	return db.inflate(&db.source)
}

// packedRoom is how many bytes so many take at most when they are packed: deflate
// makes nothing longer than by 5 bytes in 16 kB, and zlib adds 6.
func packedRoom(size int64) int { return int(size + size>>11 + 64) }

// inflate begins to inflate.
func (db *database) inflate(from io.Reader) (err error) {
	if db.zlib == nil {
		db.zlib, err = zlib.NewReader(from)
		return err
	}
	return db.zlib.(zlib.Resetter).Reset(from, nil)
}

// loose reads an object that lies in a file of its own. The error is
// fs.ErrNotExist where there is none.
func (db *database) loose(dir string, id oid, keep bool) (kind, []byte, error) {
	name := id.String()
	f, err := os.Open(filepath.Join(dir, name[:2], name[2:])) // #nosec G304 -- a path of hexadecimal digits
	if err != nil {
		return kindOther, nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return kindOther, nil, err
	}
	if info.Size() > maxObject {
		return kindOther, nil, fmt.Errorf("%d bytes on disk, at most %d are read", info.Size(), maxObject)
	}
	packed, err := io.ReadAll(f)
	if err != nil {
		return kindOther, nil, err
	}
	db.source.Reset(packed)
	if err := db.inflate(&db.source); err != nil {
		return kindOther, nil, err
	}
	k, size, head, err := looseHead(db.zlib)
	if err != nil {
		return kindOther, nil, err
	}
	if head != nil {
		return kindOther, nil, noObject(id, head, db.zlib)
	}
	k, data, err := db.hashed(id, k, size, db.zlib, keep)
	if err != nil {
		return kindOther, nil, err
	}
	if db.source.Len() > 0 {
		return kindOther, nil, errors.New("something stands behind a loose object")
	}
	return k, data, nil
}

// looseHead reads what a loose object begins with: its type and size. Where that
// is none it returns what it read.
func looseHead(from io.Reader) (k kind, size int64, head []byte, err error) {
	for len(head) < 32 {
		var one [1]byte
		if _, err := io.ReadFull(from, one[:]); err != nil {
			return kindOther, 0, nil, err
		}
		head = append(head, one[0])
		if one[0] == 0 {
			break
		}
	}
	word, number, _ := strings.Cut(string(bytes.TrimSuffix(head, []byte{0})), " ")
	size, err = strconv.ParseInt(number, 10, 64)
	k, known := kindWords[word]
	if err != nil || !known || strconv.FormatInt(size, 10) != number {
		return kindOther, 0, head, nil //nolint:nilerr // what it is instead is said by its bytes
	}
	return k, size, nil, nil
}

// noObject says what is wrong with a loose file that has no object's header:
// damage, or a block made to collide, which its name alone would let in.
func noObject(id oid, head []byte, rest io.Reader) error {
	h := newHash()
	_, _ = h.Write(head)
	_, _ = io.Copy(h, io.LimitReader(rest, maxInner)) // what can't be read is damage
	if _, collides := h.CollisionResistantSum(nil); collides {
		return collision(id)
	}
	return errors.New("a loose object with a damaged header")
}

// newHash is SHA-1 with collision detection.
func newHash() sha1cd.CollisionResistantHash {
	return sha1cd.New().(sha1cd.CollisionResistantHash)
}

// collision is an object whose bytes were made so that others have their hash.
func collision(id oid) error {
	return &objectError{HashCollision, id, "bytes that were made to collide: others with the same name exist"}
}

var kindWords = map[string]kind{"commit": kindCommit, "tree": kindTree, "blob": kindBlob, "tag": kindOther}

var kindNames = [...]string{kindCommit: "commit", kindTree: "tree", kindBlob: "blob", kindOther: "tag"}

// tooLarge refuses what is larger than objects of its kind may be.
func tooLarge(k kind, size int64) error {
	limit := int64(maxInner)
	if k == kindBlob {
		limit = maxObject
	}
	if size < 0 || size > limit {
		return fmt.Errorf("%d bytes, at most %d are read", size, limit)
	}
	return nil
}

// begin hashes the head that git puts before an object.
func (db *database) begin(k kind, size int64) {
	h := append(db.header[:0], kindNames[k]...)
	h = strconv.AppendInt(append(h, ' '), size, 10)
	db.hasher.Reset()
	_, _ = db.hasher.Write(append(h, 0))
}

// settle compares what was hashed with an id.
func (db *database) settle(id oid) error {
	sum, collides := db.hasher.CollisionResistantSum(db.sum[:0])
	if collides {
		return collision(id)
	}
	if got := oid(sum); got != id {
		return &objectError{ObjectCorrupt, id, "its bytes hash to " + got.String()}
	}
	return nil
}

// verify holds bytes to an id.
func (db *database) verify(id oid, k kind, data []byte) error {
	db.begin(k, int64(len(data)))
	_, _ = db.hasher.Write(data)
	return db.settle(id)
}

// hashed reads size bytes and then the end, and holds them to an id.
func (db *database) hashed(id oid, k kind, size int64, from io.Reader, keep bool) (kind, []byte, error) {
	if err := tooLarge(k, size); err != nil {
		return kindOther, nil, err
	}
	if keep || size <= largeObject {
		data := make([]byte, size)
		if _, err := io.ReadFull(from, data); err != nil {
			return kindOther, nil, fmt.Errorf("its length is not what its header says: %w", err)
		}
		if err := db.ended(); err != nil {
			return kindOther, nil, err
		}
		return k, data, db.verify(id, k, data)
	}
	db.begin(k, size)
	if n, err := io.Copy(db.hasher, io.LimitReader(from, size)); err != nil || n != size {
		return kindOther, nil, errors.Join(errors.New("its length is not what its header says"), err)
	}
	if err := db.ended(); err != nil {
		return kindOther, nil, err
	}
	return k, nil, db.settle(id)
}
