package audit

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// TestFlips flips bytes of objects: in the file as it lies on disk, and in what
// it holds, packed again under the same name. No flip may pass. One that
// unpacks to the same bytes changed nothing and is not counted.
func TestFlips(t *testing.T) {
	w := ridden(t, ride{})
	names, err := filepath.Glob(filepath.Join(w.dir, "objects", "??", "*"))
	w.ok(err)
	random := rand.New(rand.NewPCG(1, 2))
	flips := 0
	for _, name := range names {
		id := filepath.Base(filepath.Dir(name)) + filepath.Base(name)
		old, err := os.ReadFile(name)
		w.ok(err)
		for _, inside := range []bool{false, true} {
			if !w.flip(random, id, name, old, inside) {
				continue
			}
			flips++
			report, err := Verify(t.Context(), w.dir, Options{})
			if err == nil && (report.ExitCode() == 0 || report.OK) {
				t.Errorf("a flip in %s (inside: %t) passes", id, inside)
			}
		}
		w.ok(os.WriteFile(name, old, 0o600))
	}
	if report, found := w.verify(Options{}); found != "" {
		t.Fatal("not put back:", show(report))
	}
	t.Logf("%d flips in %d objects", flips, len(names))
}

// flip changes one byte and reports whether the object is another then.
func (w *world) flip(random *rand.Rand, id, name string, file []byte, inside bool) bool {
	w.Helper()
	whole := inflated(file)
	if inside {
		whole[random.IntN(len(whole))] ^= 1 << random.IntN(8)
		w.putAs(id, string(whole))
		return true
	}
	file = bytes.Clone(file)
	file[random.IntN(len(file))] ^= 1 << random.IntN(8)
	w.ok(os.WriteFile(name, file, 0o600))
	return !bytes.Equal(inflated(file), whole)
}

// inflated unpacks a loose object as far as it goes.
func inflated(file []byte) []byte {
	z, err := zlib.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil
	}
	data, err := io.ReadAll(z)
	if err != nil {
		return append(data, "damaged"...)
	}
	return data
}

// TestFlippedPack flips bytes of a pack: none may pass.
func TestFlippedPack(t *testing.T) {
	w := ridden(t, ride{})
	w.git("", "gc", "-q", "--prune=now")
	packs, err := filepath.Glob(filepath.Join(w.dir, "objects", "pack", "*.pack"))
	w.ok(err)
	old, err := os.ReadFile(packs[0])
	w.ok(err)
	w.ok(os.Chmod(packs[0], 0o600))
	random := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		data := bytes.Clone(old)
		at := 12 + random.IntN(len(data)-12-20) // between header and checksum
		data[at] ^= 1 << random.IntN(8)
		w.ok(os.WriteFile(packs[0], data, 0o600))
		report, err := Verify(t.Context(), w.dir, Options{})
		if err != nil || report.ExitCode() != 0 {
			continue
		}
		t.Errorf("a flip at %d passes", at)
	}
}

// FuzzParseCommit: no panic; what is taken apart has one reading, and what the
// strict grammar passes can be put together again byte for byte.
func FuzzParseCommit(f *testing.F) {
	const tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
	who := "Rung <r@example.com> 1740819600 +0000"
	f.Add([]byte("tree " + tree + "\nauthor " + who + "\ncommitter " + who + "\n\nhello\n"))
	f.Add([]byte("tree " + tree + "\nparent " + tree + "\nparent " + tree + "\nauthor " + who + "\ncommitter " + who + "\nencoding latin1\ngpgsig -----BEGIN SSH SIGNATURE-----\n abc\n -----END SSH SIGNATURE-----\n\nhello\n\nPromotion-Version: 1\n"))
	f.Add([]byte("tree " + tree + "\ntree " + tree + "\nauthor " + who + "\n\n"))
	f.Add([]byte("tree " + tree + "\nauthor " + who + "\ngpgsig a\ngpgsig b\ncommitter " + who + "\nmergetag object\n x\n\nx\x00y"))
	f.Add([]byte("tree " + tree))
	f.Add([]byte("parent " + tree + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCommit(oid{}, data)
		if err != nil {
			return
		}
		c.committed()
		if bytes.Count(data, []byte("tree "+c.tree.String()+"\n")) == 0 {
			t.Error("a tree from nowhere")
		}
		if c.odd != "" {
			return
		}
		var b strings.Builder
		fmt.Fprintf(&b, "tree %s\n", c.tree)
		for _, p := range c.parents {
			fmt.Fprintf(&b, "parent %s\n", p)
		}
		fmt.Fprintf(&b, "author %s\ncommitter %s\n", c.author, c.committer)
		rest, ok := strings.CutPrefix(string(c.payload), b.String())
		if !ok {
			t.Fatalf("%q does not begin with %q", c.payload, b.String())
		}
		if encoding, message, _ := strings.Cut(rest, "\n"); strings.HasPrefix(encoding, "encoding ") {
			rest = message
			for strings.HasPrefix(rest, " ") { // a folded encoding
				_, rest, _ = strings.Cut(rest, "\n")
			}
		}
		if rest != "" && rest != "\n"+c.message {
			t.Errorf("%q is not the message %q", rest, c.message)
		}
	})
}

// FuzzParseTree: no panic; no name stands twice in what is taken.
func FuzzParseTree(f *testing.F) {
	f.Add([]byte("100644 a\x0012345678901234567890" + "40000 b\x0012345678901234567890"))
	f.Add([]byte("100644 a\x0012345678901234567890" + "100644 a-b\x0012345678901234567890" + "40000 a\x0012345678901234567890"))
	f.Add([]byte("160000 \x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseTree(data)
		if err != nil {
			return
		}
		names := map[string]bool{}
		for _, e := range entries {
			if names[e.name] {
				t.Errorf("%q twice", e.name)
			}
			names[e.name] = true
		}
	})
}

// FuzzDecodeRecords: no panic on a record file of anybody's making.
func FuzzDecodeRecords(f *testing.F) {
	w := story(f)
	for p, l := range w.state.Live {
		file, err := w.remote.Blobs(w.ctx, l.Land.Blob)
		if err != nil {
			f.Fatal(p, err)
		}
		f.Add(file[l.Land.Blob])
	}
	list, err := newTrust([]byte("rung " + w.key.Public().AuthorizedKey() + "\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, problem := decodeRecords(data, list.keys)
		if problem == nil && len(entries) == 0 {
			t.Error("neither records nor a problem")
		}
	})
}

// FuzzSignedRecord: whoever begins a ledger holds its key, so a signature vouches
// for no record's sense. Judging one must not panic, whatever it says.
func FuzzSignedRecord(f *testing.F) {
	w := story(f)
	for _, l := range w.state.Live {
		data, err := json.Marshal(l.Land.Record)
		w.ok(err)
		f.Add(data)
	}
	for _, e := range w.state.Open {
		data, err := json.Marshal(e.Record)
		w.ok(err)
		f.Add(data)
	}
	f.Add([]byte(`{"format":1,"kind":"land","environment":"dev","repository":{"id":7,"app":42},"landed":{"commit":""}}`))
	f.Add([]byte(`{"format":1,"kind":"adopt","repository":{"id":7,"app":42},"range":{"to":"x"}}`))
	list, err := newTrust([]byte("rung " + w.key.Public().AuthorizedKey() + "\n"))
	w.ok(err)
	f.Fuzz(func(t *testing.T, data []byte) {
		var r promotion.Record
		if json.Unmarshal(data, &r) != nil || r.Digest != "" && len(r.Digest) != 71 || r.Artifact != nil && r.Artifact.Digest != "" && len(r.Artifact.Digest) != 71 {
			return // ledger can't encode it, so nobody can sign it with ledger
		}
		line, _, err := ledger.Encode(r, signer{w.key})
		if err != nil {
			return
		}
		entries, problem := decodeRecords(append(line, '\n'), list.keys)
		if problem != nil {
			return
		}
		path, _ := pathOf(&entries[0].Record)
		added := &recorded{LedgerEntry: entries[0], path: path}
		report := &Report{}
		v := &verifier{report: report}
		l := &ledgerWalk{
			verifier: v, files: map[string]*recordFile{}, followed: map[string]string{}, statements: map[string]*recorded{added.Statement: added},
			bars: map[promotion.Digest]promotion.Record{}, landed: map[oid][]*recorded{}, proposals: map[oid][]*recorded{}, lineage: lineage{1, 7, 42, ""},
		}
		s := &ledgerStep{ledgerWalk: l, c: &commit{}, added: []*recorded{added}, changed: map[string]*recordFile{path: {entries: []*recorded{added}}}}
		s.judge(added)
		s.dropped()
		s.commitTo()
	})
}

// BenchmarkVerify verifies a packed repository of 200 releases.
func BenchmarkVerify(b *testing.B) {
	const releases = 200
	w := newWorld(b)
	w.start()
	for n := range releases {
		w.promote(ride{pair: pair([]string{"dev", "staging", "prod"}[n%3], "checkout"), version: fmt.Sprintf("1.%d.0", n+1)})
	}
	w.push()
	w.git("", "gc", "-q", "--prune=now")
	b.ReportAllocs()
	for b.Loop() {
		report, err := Verify(b.Context(), w.dir, Options{})
		if err != nil || report.ExitCode() != 0 || report.Promotions != releases {
			b.Fatal(err, show(report))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/releases, "µs/release")
}
