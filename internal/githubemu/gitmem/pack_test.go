package gitmem

import (
	"bytes"
	"crypto/sha1" // #nosec G505 -- a packfile ends in a SHA-1
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/gitstore/smarthttp"
)

func nowhere(string) (object, bool) { return object{}, false }

// sealed gives a pack's body its header and trailer.
func sealed(count uint32, body string) []byte {
	pack := append([]byte("PACK\x00\x00\x00\x02"), binary.BigEndian.AppendUint32(nil, count)...)
	pack = append(pack, body...)
	sum := sha1.Sum(pack) // #nosec G401 -- a packfile ends in a SHA-1
	return append(pack, sum[:]...)
}

// deflated is data as a pack holds it.
func deflated(data string) string {
	pack := writePack([]object{{kind: "blob", data: []byte(data)}})
	header := 1
	for n := len(data) >> 4; n > 0; n >>= 7 {
		header++
	}
	return string(pack[12+header : len(pack)-20])
}

func TestPackRoundTrip(t *testing.T) {
	want := []object{
		{"blob", []byte("short")},
		{"blob", nil},
		{"tree", []byte(strings.Repeat("x", 15))},
		{"commit", []byte(strings.Repeat("y", 16))},
		{"tag", []byte(strings.Repeat("z", 70_000))},
	}
	got, err := readPack(writePack(want), nowhere)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d objects, error %v", len(got), err)
	}
	for i := range want {
		if got[i].kind != want[i].kind || !bytes.Equal(got[i].data, want[i].data) {
			t.Errorf("object %d came back as %s of %d bytes", i, got[i].kind, len(got[i].data))
		}
	}
	if got, err := readPack(writePack(nil), nowhere); err != nil || len(got) != 0 {
		t.Errorf("an empty pack: %v, %v", got, err)
	}
}

func TestDeltas(t *testing.T) {
	base := object{kind: "blob", data: []byte("hello world")}
	id := objectID(base.kind, base.data)
	raw := rawObjectID(id)
	delta := "\x0b\x0d\x90\x05\x03,\x20a\x91\x05\x05" // copy 5, insert ", a" , copy 5 from 5
	delta = strings.Replace(delta, "\x91\x05\x05", "\x91\x06\x05", 1)
	ref := string(rune(0x70|len(delta))) + raw + deflated(delta)
	whole := "\x3b" + deflated(string(base.data))
	known := func(want string) (object, bool) { return base, want == id }
	for name, test := range map[string]struct {
		pack    []byte
		outside func(string) (object, bool)
		count   int
	}{
		"thin":            {sealed(1, ref), known, 1},
		"base comes last": {sealed(2, ref+whole), nowhere, 2},
		"offset":          {sealed(2, whole+string(rune(0x60|len(delta)))+string(rune(len(whole)))+deflated(delta)), nowhere, 2},
	} {
		objects, err := readPack(test.pack, test.outside)
		if err != nil || len(objects) != test.count {
			t.Errorf("%s: %d objects, error %v", name, len(objects), err)
			continue
		}
		found := false
		for _, o := range objects {
			found = found || o.kind == "blob" && string(o.data) == "hello, aworld"
		}
		if !found {
			t.Errorf("%s: %q", name, objects)
		}
	}
}

func TestMalformedPacks(t *testing.T) {
	good := writePack([]object{{kind: "blob", data: []byte("hello")}})
	missing := string(rune(0x70|3)) + strings.Repeat("\x11", 20)
	for name, pack := range map[string][]byte{
		"empty":             nil,
		"header alone":      []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00"),
		"version 3":         append([]byte("PACK\x00\x00\x00\x03"), good[8:]...),
		"checksum":          append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		"count too high":    sealed(2, string(good[12:len(good)-20])),
		"count too low":     sealed(0, string(good[12:len(good)-20])),
		"kind 5":            sealed(1, "\x50"+deflated("")),
		"size too small":    sealed(1, "\x31"+deflated("hello")),
		"size too large":    sealed(1, "\x3f"+deflated("hello")),
		"endless size":      sealed(1, strings.Repeat("\xbf", 30)),
		"huge size":         sealed(1, "\xbf\xff\xff\xff\xff\x7f"+deflated("hello")),
		"not zlib":          sealed(1, "\x35hello"),
		"offset to nowhere": sealed(1, "\x63\x7f"+deflated("abc")),
		"offset into middle": sealed(2, string(good[12:len(good)-20])+
			"\x63\x03"+deflated("\x05\x05\x91")),
		"base is nowhere":   sealed(1, missing+deflated("abc")),
		"delta of itself":   sealed(1, "\x63\x00"+deflated("abc")),
		"copy out of range": sealed(2, "\x35"+deflated("hello")+"\x64"+string(rune(1+len(deflated("hello"))))+deflated("\x05\x09\x90\x09")),
	} {
		if objects, err := readPack(pack, nowhere); err == nil || !errors.Is(err, errPack) {
			t.Errorf("%s: %d objects, error %v", name, len(objects), err)
		}
	}
}

func rawObjectID(id string) string {
	var raw []byte
	for i := 0; i < len(id); i += 2 {
		raw = append(raw, byte(strings.IndexByte("0123456789abcdef", id[i])<<4|strings.IndexByte("0123456789abcdef", id[i+1])))
	}
	return string(raw)
}

func FuzzReadPack(f *testing.F) {
	f.Add(writePack([]object{{kind: "blob", data: []byte("hello")}, {kind: "tree", data: nil}}))
	f.Add(sealed(1, "\x60\x01"))
	f.Add(sealed(1, "\x73"+strings.Repeat("\x11", 20)+deflated("\x05\x05\x90\x05")))
	f.Fuzz(func(t *testing.T, data []byte) {
		// Without a right checksum nothing else would be reached.
		if len(data) > 20 {
			sum := sha1.Sum(data[:len(data)-20]) // #nosec G401 -- a packfile ends in a SHA-1
			copy(data[len(data)-20:], sum[:])
		}
		objects, err := readPack(data, func(string) (object, bool) { return object{kind: "blob", data: []byte("hello")}, true })
		if err != nil {
			return
		}
		again, err := readPack(writePack(objects), nowhere)
		if err != nil || len(again) != len(objects) {
			t.Errorf("written again: %d of %d objects, error %v", len(again), len(objects), err)
		}
	})
}

// FuzzServe sends any bytes to both services. A ref may only ever point at an
// object that exists.
func FuzzServe(f *testing.F) {
	request := func(command string, arguments ...string) []byte {
		var b bytes.Buffer
		writeLine(&b, "command="+command)
		writeSpecial(&b, smarthttp.Delim)
		for _, a := range arguments {
			writeLine(&b, a)
		}
		writeSpecial(&b, smarthttp.Flush)
		return b.Bytes()
	}
	const id = "ce013625030ba8dba906f756967f9e9ca394464a"
	f.Add(request("ls-refs", "peel", "symrefs", "unborn", "ref-prefix refs/heads/"))
	f.Add(request("fetch", "want "+id, "have "+id, "shallow "+id, "deepen 2", "filter blob:none", "thin-pack", "include-tag"))
	f.Add(request("fetch", "want "+id, "filter blob:limit=3", "done"))
	var push bytes.Buffer
	writeLine(&push, gitstore.Zero+" "+id+" refs/tags/x\x00report-status side-band-64k")
	writeSpecial(&push, smarthttp.Flush)
	f.Add(append(push.Bytes(), writePack(nil)...))
	f.Fuzz(func(t *testing.T, body []byte) {
		repo, err := New(gitstore.Options{}).Create("acme", "shop", "main")
		if err != nil {
			t.Fatal(err)
		}
		r := repo.(*repository)
		r.put(object{kind: "blob", data: []byte("hello\n")})
		var out bytes.Buffer
		_ = wire{r}.ServeUploadPack(t.Context(), "version=2", body, &out) // what matters is that it returns
		_ = wire{r}.ServeReceivePack(t.Context(), body, &out)
		for ref, id := range r.refs {
			if _, ok := r.get(id); !ok {
				t.Errorf("%s points at %s, which does not exist", ref, id)
			}
		}
	})
}
