package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

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
		rest, ok := strings.CutPrefix(string(c.payload(nil)), b.String())
		if !ok {
			t.Fatalf("%q does not begin with %q", c.payload(nil), b.String())
		}
		if encoding, message, _ := strings.Cut(rest, "\n"); encoding == "encoding" || strings.HasPrefix(encoding, "encoding ") {
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
		entries, problem := decodeRecords(data, ledger.Decoder{Keys: list.keys})
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
		entries, problem := decodeRecords(append(line, '\n'), ledger.Decoder{Keys: list.keys})
		if problem != nil {
			return
		}
		path, _ := pathOf(&entries[0].Record)
		added := &recorded{LedgerEntry: entries[0], path: path}
		report := &Report{}
		l := newLedgerWalk(&verifier{configuration: &configuration{}, report: report})
		l.statements[added.Statement], l.lineage = added, lineage{1, 7, 42, ""}
		s := &ledgerStep{ledgerWalk: l, c: &commit{}, added: []*recorded{added}, changed: map[string]*recordFile{path: {entries: []*recorded{added}}}}
		s.judge(added)
		s.dropped()
		s.commitTo()
	})
}
