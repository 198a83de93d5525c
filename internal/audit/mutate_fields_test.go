package audit

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// history is every object of a repository with what refers to it.
type history struct {
	kinds    map[string]string
	data     map[string]string
	children map[string][]string
	// ids are sorted, so that a number names the same object in every run.
	ids []string
	// ofLedger are the objects that the ledger reaches, and covered those of both
	// branches that a record covers; of says which of a kind there are.
	ofLedger, covered map[string]bool
	of                map[string][]string
	main, ledger      string
}

// everything reads a repository's objects.
func (w *world) everything() *history {
	w.Helper()
	h := &history{kinds: map[string]string{}, data: map[string]string{}, children: map[string][]string{}, of: map[string][]string{}}
	for line := range strings.Lines(w.git("", "cat-file", "--batch-all-objects", "--batch-check")) {
		id, rest, _ := strings.Cut(line, " ")
		kind, _, _ := strings.Cut(rest, " ")
		h.kinds[id], h.data[id] = kind, w.raw(id)
		h.children[id] = w.named(kind, h.data[id])
	}
	h.ids = slices.Sorted(maps.Keys(h.kinds))
	for _, id := range h.ids {
		h.of[h.kinds[id]] = append(h.of[h.kinds[id]], id)
	}
	h.main, h.ledger = w.parse("main"), w.parse("rung/ledger")
	h.ofLedger, h.covered = map[string]bool{}, map[string]bool{}
	h.mark(h.ledger, h.ofLedger)
	h.mark(h.ledger, h.covered)
	h.mark(w.parse("main^"), h.covered) // the last one is nobody's promise
	return h
}

// raw is a loose object's content.
func (w *world) raw(id string) string {
	w.Helper()
	file, err := os.ReadFile(filepath.Join(w.dir, "objects", id[:2], id[2:]))
	w.ok(err)
	_, data, _ := strings.Cut(string(inflated(file)), "\x00")
	return data
}

// named are the objects that one refers to.
func (w *world) named(kind, data string) (ids []string) {
	w.Helper()
	switch kind {
	case "commit":
		c, err := parseCommit(oid{}, []byte(data))
		w.ok(err)
		ids = append(ids, c.tree.String())
		for _, p := range c.parents {
			ids = append(ids, p.String())
		}
	case "tree":
		entries, err := parseTree([]byte(data))
		w.ok(err)
		for _, e := range entries {
			ids = append(ids, e.id.String())
		}
	}
	return ids
}

func (h *history) mark(id string, into map[string]bool) {
	if into[id] {
		return
	}
	into[id] = true
	for _, c := range h.children[id] {
		h.mark(c, into)
	}
}

// relinked is a history in which one object has other bytes: all that refer to
// it, at whatever distance, name it by its new hash.
type relinked struct {
	*history
	ids  map[string]string // old to new
	made map[string]string // new objects, as they are hashed
}

func (h *history) relink(target, data string) *relinked {
	r := &relinked{history: h, ids: map[string]string{}, made: map[string]string{}}
	r.ids[target] = r.make(h.kinds[target], data)
	return r
}

func (r *relinked) make(kind, data string) string {
	whole := fmt.Sprintf("%s %d\x00%s", kind, len(data), data)
	sum := sha1.Sum([]byte(whole))
	id := hex.EncodeToString(sum[:])
	r.made[id] = whole
	return id
}

// now is an object's name after the mutation.
func (r *relinked) now(id string) string {
	if now, done := r.ids[id]; done {
		return now
	}
	data := r.data[id]
	for _, c := range r.children[id] {
		now := r.now(c)
		if now == c {
			continue
		}
		if r.kinds[id] == "tree" {
			data = strings.ReplaceAll(data, string(unhex(c)), string(unhex(now)))
		} else {
			head, message, _ := strings.Cut(data, "\n\n")
			data = strings.NewReplacer("tree "+c+"\n", "tree "+now+"\n", "parent "+c+"\n", "parent "+now+"\n").Replace(head+"\n") + "\n" + message
		}
	}
	r.ids[id] = id
	if data != r.data[id] {
		r.ids[id] = r.make(r.kinds[id], data)
	}
	return r.ids[id]
}

// overlay lays the changed history down beside the old one, whose pack it shares.
func (w *world) overlay(r *relinked, dir string) *world {
	w.Helper()
	own := *w
	own.dir = dir
	main, tip := r.now(r.main), r.now(r.ledger)
	for file, text := range map[string]string{
		"HEAD": "ref: refs/heads/main\n", "config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n", "refs/heads/main": main + "\n",
		ledgerRef: tip + "\n",
	} {
		name := filepath.Join(dir, filepath.FromSlash(file))
		w.ok(os.MkdirAll(filepath.Dir(name), 0o700))
		w.ok(os.WriteFile(name, []byte(text), 0o600))
	}
	w.ok(os.MkdirAll(filepath.Join(dir, "objects", "pack"), 0o700))
	old, err := filepath.Glob(filepath.Join(w.dir, "objects", "pack", "pack-*"))
	w.ok(err)
	for _, name := range old {
		w.ok(os.Link(name, filepath.Join(dir, "objects", "pack", filepath.Base(name))))
	}
	w.pack(filepath.Join(dir, "objects", "pack"), r)
	return &own
}

// packTypes are the numbers of object types in packs.
var packTypes = map[string]byte{"commit": 1, "tree": 2, "blob": 3}

// stored appends data as a zlib stream that compresses nothing: a compressor made
// for each object would cost a sixth of the whole test.
func stored(to []byte, data string) []byte {
	to = append(to, 0x78, 0x01)
	rest := data
	for last := byte(0); last == 0; {
		n := min(len(rest), 0xffff)
		if n == len(rest) {
			last = 1
		}
		to = binary.LittleEndian.AppendUint16(append(to, last), uint16(n))
		to = append(binary.LittleEndian.AppendUint16(to, ^uint16(n)), rest[:n]...)
		rest = rest[n:]
	}
	return binary.BigEndian.AppendUint32(to, adler32.Checksum([]byte(data)))
}

// pack writes the new objects as one pack with its index: many small files would
// cost more than all the rest.
func (w *world) pack(dir string, r *relinked) {
	w.Helper()
	ids := slices.Sorted(maps.Keys(r.made))
	pack := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(ids)))
	var names, sums, offsets []byte
	var fan [256]uint32
	for _, id := range ids {
		kind, data, _ := strings.Cut(r.made[id], "\x00")
		kind, _, _ = strings.Cut(kind, " ")
		start := len(pack)
		size := len(data)
		head := packTypes[kind]<<4 | byte(size&15)
		for size >>= 4; size > 0; size >>= 7 {
			pack = append(pack, head|0x80)
			head = byte(size & 0x7f)
		}
		pack = stored(append(pack, head), data)
		names = append(names, unhex(id)...)
		sums = binary.BigEndian.AppendUint32(sums, crc32.ChecksumIEEE(pack[start:]))
		offsets = binary.BigEndian.AppendUint32(offsets, uint32(start))
		for n := int(unhex(id)[0]); n < 256; n++ {
			fan[n]++
		}
	}
	sum := sha1.Sum(pack)
	pack = append(pack, sum[:]...)
	index := []byte("\xfftOc\x00\x00\x00\x02")
	for _, n := range fan {
		index = binary.BigEndian.AppendUint32(index, n)
	}
	index = slices.Concat(index, names, sums, offsets, sum[:])
	own := sha1.Sum(index)
	name := filepath.Join(dir, "pack-"+hex.EncodeToString(sum[:]))
	w.ok(os.WriteFile(name+".pack", pack, 0o600))
	w.ok(os.WriteFile(name+".idx", append(index, own[:]...), 0o600))
}

// TestFieldEdits changes a field of an object, and hashes and links everything
// anew, as whoever may write the repository but has no key can: git fsck finds
// nothing. Each must be found, by a code that fits the branch it is in. Objects that
// no record covers yet are left out, and counted.
func TestFieldEdits(t *testing.T) {
	w := twentyReleases(t)
	h := w.everything()
	w.git("", "gc", "-q", "--prune=now")
	n := mutations(t)
	var uncovered, edited, fsck atomic.Int64
	counts := make([]map[Code]int, 2)
	shared(t, w, n, func(own *world, number int) {
		random := rand.New(rand.NewPCG(5, uint64(number)))
		id := h.ids[random.IntN(len(h.ids))]
		for !h.covered[id] {
			uncovered.Add(1)
			id = h.ids[random.IntN(len(h.ids))]
		}
		data, what := h.edit(random, id)
		if data == h.data[id] {
			own.Fatalf("edit %d of %s %s (%s) changes nothing", number, h.kinds[id], id, what)
		}
		dir := filepath.Join(own.dir, "edits", fmt.Sprint(number))
		copied := own.overlay(h.relink(id, data), dir)
		if number%100 < 2 {
			copied.git("", "fsck", "--strict", "--no-dangling", "--no-progress")
			fsck.Add(1)
		}
		report, err := Verify(own.ctx, dir, Options{})
		own.ok(os.RemoveAll(dir))
		edited.Add(1)
		expected := []Code{RefRewind}
		if h.ofLedger[id] {
			expected = []Code{SigInvalid, SigMissing, SigNamespace, SigNonCanonical, SigType, SignerUnknown}
		}
		fits := slices.ContainsFunc(report.Findings, func(f Finding) bool { return slices.Contains(expected, f.Code) })
		if err != nil || report.ExitCode() != 1 || !fits {
			own.Errorf("edit %d of %s %s (%s): exit %d, want 1 and one of %v%s", number, h.kinds[id], id, what, report.ExitCode(), expected, show(report))
		}
		part := number % 2
		if counts[part] == nil {
			counts[part] = map[Code]int{}
		}
		for _, code := range strings.Fields(codes(report)) {
			counts[part][Code(code)]++
		}
	})
	all := map[Code]int{}
	for _, part := range counts {
		for code, n := range part {
			all[code] += n
		}
	}
	t.Logf("%d field edits in %d objects: all found; %d more would have been in objects that no record covers; %d checked with git fsck", edited.Load(), len(h.covered), uncovered.Load(), fsck.Load())
	for _, code := range slices.Sorted(maps.Keys(all)) {
		t.Logf("%6d %s", all[code], code)
	}
	if edited.Load() != int64(n) {
		t.Errorf("%d edits, want %d", edited.Load(), n)
	}
}
