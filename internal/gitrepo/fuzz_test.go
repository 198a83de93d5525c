package gitrepo

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// samplePack holds a commit, a tree and two blobs, one of them a difference.
func samplePack(f testing.TB) []byte {
	f.Helper()
	var lines strings.Builder
	for n := range 40 {
		fmt.Fprintf(&lines, "line %x\n", sha1.Sum([]byte{byte(n)}))
	}
	base := newObject(plumbing.BlobObject, []byte(lines.String()))
	next := newObject(plumbing.BlobObject, append(bytes.Clone(base.data), "one more\n"...))
	tree := newObject(plumbing.TreeObject, encodeTree([]node{{name: "f", mode: ModeFile, id: next.id}}))
	head, message, err := encodeCommit(CommitSpec{Tree: hashOf(tree.id), Author: testIdent, Committer: testIdent, Message: "m"})
	if err != nil {
		f.Fatal(err)
	}
	commit := newObject(plumbing.CommitObject, []byte(head+"\n"+message))
	pack, err := encodePack([]packEntry{{object: commit}, {object: tree}, {object: next, base: &base}, {object: base}})
	if err != nil {
		f.Fatal(err)
	}
	return pack
}

func TestPackRoundTrip(t *testing.T) {
	pack := samplePack(t)
	p, err := scanPack(pack, packLimits{objects: 10, inflated: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.deltas) != 1 {
		t.Errorf("%d differences, want 1", len(p.deltas))
	}
	if missing, err := p.resolve(nil); err != nil || len(missing) != 0 || len(p.objects) != 4 {
		t.Error(missing, err, len(p.objects))
	}
	for n := range pack {
		if _, err := scanPack(pack[:n], packLimits{objects: 10, inflated: 1 << 20}); err == nil {
			t.Fatalf("cut at %d it was taken", n)
		}
		torn := bytes.Clone(pack)
		torn[n] ^= 0x55
		if _, err := scanPack(torn, packLimits{objects: 10, inflated: 1 << 20}); err == nil {
			t.Fatalf("with byte %d changed it was taken", n)
		}
	}
	if _, err := scanPack(pack, packLimits{objects: 3, inflated: 1 << 20}); err == nil {
		t.Error("more objects than the limit")
	}
	if _, err := scanPack(pack, packLimits{objects: 10, inflated: 500}); err == nil {
		t.Error("more bytes than the limit")
	}
}

// TestPackBomb: a small pack whose delta makes much more than the limit.
func TestPackBomb(t *testing.T) {
	base := newObject(plumbing.BlobObject, bytes.Repeat([]byte("x"), 60000))
	var diff bytes.Buffer
	diff.Write(binary.AppendUvarint(nil, uint64(len(base.data))))
	diff.Write(binary.AppendUvarint(nil, 60000*1000))
	for range 1000 {
		diff.Write([]byte{0x80 | 0x10 | 0x20, 0x60, 0xea}) // copy 60000 bytes from 0
	}
	d := delta{offset: 12, base: base.id, data: diff.Bytes()}
	p := &packReader{limits: packLimits{objects: 10, inflated: 1 << 20}, objects: map[id]object{base.id: base}, byOffset: map[int64]id{}, deltas: []delta{d}}
	if _, err := p.resolve(nil); err == nil {
		t.Error("unpacked")
	}
	p.limits.inflated = 1 << 30
	if _, err := p.resolve(nil); err != nil {
		t.Error("with room enough:", err)
	}
}

func FuzzPack(f *testing.F) {
	f.Add(samplePack(f))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := scanPack(data, packLimits{objects: 100, inflated: 1 << 20})
		if err != nil {
			return
		}
		if _, err := p.resolve(nil); err != nil {
			return
		}
		for i, o := range p.objects {
			if plumbing.ComputeHash(o.kind, o.data) != i {
				t.Error("an object under another's name")
			}
		}
	})
}

// FuzzResolve gives deltas their bases without the pack's checksum in the way.
func FuzzResolve(f *testing.F) {
	base := newObject(plumbing.BlobObject, []byte("0123456789abcdef0123456789abcdef"))
	f.Add([]byte{32, 4, 0x90, 4}, int64(0))
	f.Add([]byte{32, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x90, 4}, int64(12))
	f.Fuzz(func(_ *testing.T, data []byte, offset int64) {
		d := delta{offset: 50, baseOffset: offset, base: base.id, data: data}
		p := &packReader{limits: packLimits{objects: 10, inflated: 1 << 20}, objects: map[id]object{base.id: base}, byOffset: map[int64]id{12: base.id}, deltas: []delta{d, d}}
		_, _ = p.resolve(nil)
	})
}

// FuzzAnswers feeds all readers of a server's answers.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte("000eversion 2\n0013agent=git/2.39\n000cls-refs\n0012fetch=shallow\n0000"))
	f.Add([]byte("001e# service=git-upload-pack\n0000000eversion 2\n0000"))
	f.Add([]byte("003d4b825dc642cb6eb9a060e54bf8d69288fbee4904 refs/heads/main\n0000"))
	f.Add([]byte("0014acknowledgments\n0008NAK\n0000"))
	f.Add([]byte("000dpackfile\n0009\x01PACK0009\x02word0009\x03gone0000"))
	f.Add([]byte("0030\x01000eunpack ok\n0019ok refs/heads/main\n00000000"))
	f.Add([]byte("000eunpack ok\n001eng refs/heads/main stale\n0000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseUploadCaps(bytes.NewReader(data))
		_, _ = parseReceiveCaps(bytes.NewReader(data))
		refs, _ := parseRefs(bytes.NewReader(data), 10)
		if len(refs) > 10 {
			t.Error("more refs than the limit")
		}
		_, _ = parseFetch(bytes.NewReader(data))
		for _, band := range []bool{true, false} {
			answer, err := parsePush(bytes.NewReader(data), band)
			if err == nil && answer.unpack == "" {
				t.Error("a report without its first line passes")
			}
			if strings.ContainsAny(answer.messages+answer.unpack, "\x1b\x00\r") {
				t.Errorf("unfit to show: %q", answer.messages)
			}
		}
	})
}

func FuzzObjects(f *testing.F) {
	f.Add([]byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 1 +0130\ncommitter A <a@b> 1 -0000\ngpgsig -----BEGIN\n x\n -----END\nencoding x\n\nmessage\n"))
	f.Add([]byte("100644 a\x0001234567890123456789" + "40000 b\x0001234567890123456789"))
	f.Add([]byte("tree x\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := newObject(plumbing.CommitObject, data)
		if c, err := parseCommit(o); err == nil {
			payload := c.Payload()
			if c.Signature == "" && !bytes.Contains(data, []byte("\ngpgsig")) && !bytes.Equal(payload, data) {
				t.Errorf("an unsigned commit's payload differs: %q", payload)
			}
			if head, _, _ := bytes.Cut(payload, []byte("\n\n")); bytes.Contains(head, []byte("\ngpgsig ")) {
				t.Errorf("the payload holds a signature: %q", payload)
			}
		}
		nodes, err := parseTree(newObject(plumbing.TreeObject, data))
		if err == nil {
			for _, n := range nodes {
				if n.name == "" || strings.Contains(n.name, "/") {
					t.Errorf("name %q", n.name)
				}
			}
		}
	})
}

// FuzzPath: what Rewrite takes is a path that stays inside, on any system.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"a/b", "../x", ".git/config", ".GIT", "git~1/x", "a\\b", "a\x00", "con", ".g\u200cit", "x/.git ./y"} {
		f.Add(p)
	}
	r, err := Open("http://127.0.0.1:1/nowhere.git", nil, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tree, err := r.Rewrite(t.Context(), "", map[string]FileChange{path: text("x")})
		if err != nil {
			return
		}
		for part := range strings.SplitSeq(path, "/") {
			if low := strings.ToLower(strings.TrimRight(part, ". ")); part == "" || part == "." || part == ".." || low == ".git" || strings.ContainsAny(part, "\\\x00\n") {
				t.Errorf("%q was written", path)
			}
		}
		if list, err := r.Walk(t.Context(), tree, ""); err != nil || len(list) != 1 || list[0].Path != path {
			t.Errorf("%q reads back as %v %v", path, list, err)
		}
	})
}
