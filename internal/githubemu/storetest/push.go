package storetest

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1" // #nosec G505 -- git's object ids are SHA-1
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/gitstore/smarthttp"
)

// packed is an object for a push: whole, or as a delta against base.
type packed struct {
	kind, data string
	base       string // of a thin pack's REF_DELTA
}

func (p packed) ID() string {
	sum := sha1.Sum([]byte(fmt.Sprintf("%s %d\x00%s", p.kind, len(p.data), p.data))) // #nosec G401 -- git's object ids
	return hex.EncodeToString(sum[:])
}

// pack encodes objects. A delta copies what base and object have in common at
// both ends and inserts the middle.
func (w *world) pack(objects ...packed) []byte {
	w.Helper()
	var out bytes.Buffer
	out.WriteString("PACK")
	out.Write(binary.BigEndian.AppendUint32(nil, 2))
	out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(objects)))) // #nosec G115 -- few
	for _, o := range objects {
		code, data := byte(slices.Index([]string{"", "commit", "tree", "blob", "tag"}, o.kind)), []byte(o.data) // #nosec G115 -- 0 to 4
		if o.base != "" {
			_, base, err := w.repo.ReadObject(w.Context(), o.base)
			w.must(err)
			code, data = 7, delta(base, data)
		}
		size := len(data)
		b := code<<4 | byte(size&15)
		for size >>= 4; size > 0; size >>= 7 {
			out.WriteByte(b | 0x80)
			b = byte(size & 0x7f)
		}
		out.WriteByte(b)
		if o.base != "" {
			out.WriteString(rawID(o.base))
		}
		z := zlib.NewWriter(&out)
		_, err := z.Write(data)
		w.must(err)
		w.must(z.Close())
	}
	sum := sha1.Sum(out.Bytes()) // #nosec G401 -- a packfile ends in a SHA-1
	out.Write(sum[:])
	return out.Bytes()
}

func delta(base, data []byte) []byte {
	head := 0
	for head < len(base) && head < len(data) && base[head] == data[head] {
		head++
	}
	tail := 0
	for tail < len(base)-head && tail < len(data)-head && base[len(base)-1-tail] == data[len(data)-1-tail] {
		tail++
	}
	out := binary.AppendUvarint(nil, uint64(len(base)))
	out = binary.AppendUvarint(out, uint64(len(data)))
	copyFrom := func(offset, size int) {
		for ; size > 0; offset, size = offset+min(size, 0xffff), size-min(size, 0xffff) {
			n := min(size, 0xffff)
			out = append(out, 0x80|0x0f|0x30, byte(offset), byte(offset>>8), byte(offset>>16), byte(offset>>24), byte(n), byte(n>>8)) // #nosec G115 -- bytes of a number
		}
	}
	copyFrom(0, head)
	for middle := data[head : len(data)-tail]; len(middle) > 0; {
		n := min(len(middle), 127)
		out = append(append(out, byte(n)), middle[:n]...)
		middle = middle[n:]
	}
	copyFrom(len(base)-tail, tail)
	return out
}

// pushBody builds a push; pack is nil for deletions alone.
func pushBody(capabilities string, updates []gitstore.RefUpdate, pack []byte) []byte {
	var b bytes.Buffer
	for i, u := range updates {
		line := u.Old + " " + u.New + " " + u.Ref
		if i == 0 {
			line += "\x00 " + capabilities
		}
		_ = smarthttp.WritePacket(&b, []byte(line+"\n")) // a buffer takes everything
	}
	_ = smarthttp.WriteSpecial(&b, smarthttp.Flush)
	b.Write(pack)
	return b.Bytes()
}

const (
	plain  = "report-status side-band-64k"
	atomic = "report-status side-band-64k atomic"
)

// report is a push's outcome.
type report struct {
	unpack   string
	refs     map[string]string // reason by ref, "" for a ref that moved
	progress string
}

func (c *client) send(capabilities string, pack []byte, updates ...gitstore.RefUpdate) report {
	c.w.Helper()
	answer := c.post(smarthttp.ReceivePack, pushBody(capabilities, updates, pack))
	sideBand := strings.Contains(capabilities, "side-band-64k")
	unpack, refs, err := smarthttp.ParseReport(answer, sideBand)
	c.w.must(err)
	out := report{unpack: unpack, refs: refs}
	if sideBand {
		for _, p := range c.packets(answer) {
			if text, ok := strings.CutPrefix(p, "\x02"); ok {
				out.progress += text + "\n"
			}
		}
	}
	return out
}

// next is a commit on parent that changes one file, and the objects it takes:
// the trees as deltas against those they replace.
func (w *world) next(message, parent, path, text string) (string, []packed) {
	w.Helper()
	blob := packed{kind: "blob", data: text}
	objects := []packed{blob}
	id, mode := blob.ID(), "100644"
	parts := strings.Split(path, "/")
	trees := []string{w.treeOf(parent)}
	for _, dir := range parts[:len(parts)-1] {
		trees = append(trees, w.entry(trees[len(trees)-1], dir))
	}
	for i := len(parts) - 1; i >= 0; i-- {
		_, raw, err := w.repo.ReadObject(w.Context(), trees[i])
		w.must(err)
		old := w.entry(trees[i], parts[i])
		line := mode + " " + parts[i] + "\x00"
		tree := packed{kind: "tree", data: strings.Replace(string(raw), line+rawID(old), line+rawID(id), 1), base: trees[i]}
		objects = append(objects, tree)
		id, mode = tree.ID(), "40000"
	}
	w.clock += 60
	commit := packed{kind: "commit", data: w.commitText(message, id, w.clock, parent)}
	return commit.ID(), append(objects, commit)
}

func (w *world) entry(tree, name string) string {
	w.Helper()
	entries, err := w.repo.ReadTree(w.Context(), tree)
	w.must(err)
	for _, e := range entries {
		if e.Name == name {
			return e.ID
		}
	}
	w.Fatalf("no %s in tree %s", name, tree)
	return ""
}

const values = "environments/dev/app-1/values.yaml"

// pushWorld has main at one commit of many files, and a thin push ready.
func pushWorld(w *world) (c *client, main, next string, pack []byte) {
	w.Helper()
	main = w.commit("one", many())
	w.set("refs/heads/main", main)
	next, objects := w.next("two", main, values, "image: app-1:2.0.0\n")
	return w.client(), main, next, w.pack(objects...)
}

var pushTests = map[string]func(*world){
	"capabilities": func(w *world) {
		for options, want := range map[gitstore.Options]bool{{}: true, {NoAtomic: true}: false} {
			w := w.with(options)
			main := w.commit("one", files{"a": "1\n"})
			w.set("refs/heads/main", main)
			w.set("refs/pull/1/head", main)
			c := w.client()
			_, body := c.do(http.MethodGet, "/info/refs?service=git-receive-pack", "", nil)
			lines := c.packets(body)
			if len(lines) != 4 || lines[0] != "# service=git-receive-pack" || lines[1] != "0000" || lines[3] != "0000" {
				w.Fatalf("advertisement %q", lines)
			}
			ref, caps, _ := strings.Cut(lines[2], "\x00")
			w.equal("the only ref", ref, main+" refs/heads/main")
			for _, c := range []string{"report-status", "delete-refs", "side-band-64k", "ofs-delta", "object-format=sha1"} {
				if !slices.Contains(strings.Fields(caps), c) {
					w.Errorf("no %s in %q", c, caps)
				}
			}
			w.equal("atomic", slices.Contains(strings.Fields(caps), "atomic"), want)
		}
		c := w.client()
		_, body := c.do(http.MethodGet, "/info/refs?service=git-receive-pack", "", nil)
		if line := c.packets(body)[2]; !strings.HasPrefix(line, gitstore.Zero+" capabilities^{}\x00") {
			w.Errorf("an empty repository: %q", line)
		}
	},
	"thin pack": func(w *world) {
		c, main, next, pack := pushWorld(w)
		got := c.send(atomic, pack, gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: next}, gitstore.RefUpdate{Ref: "refs/heads/rung/p/dev/app", Old: gitstore.Zero, New: next})
		w.equal("report", got, report{unpack: "ok", refs: map[string]string{"refs/heads/main": "", "refs/heads/rung/p/dev/app": ""}})
		w.equal("refs", w.refs(), map[string]string{"refs/heads/main": next, "refs/heads/rung/p/dev/app": next})
		w.equal("tree", w.listing(w.treeOf(next)), w.listing(w.tree(many().and(files{values: "image: app-1:2.0.0\n"}))))
	},
	"without side band": func(w *world) {
		c, main, next, pack := pushWorld(w)
		got := c.send("report-status", pack, gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: next})
		w.equal("report", got, report{unpack: "ok", refs: map[string]string{"refs/heads/main": ""}})
	},
	"stale under atomic": func(w *world) {
		c, main, next, pack := pushWorld(w)
		other := w.commit("other", many(), main)
		w.set("refs/heads/main", other)
		got := c.send(atomic, pack, gitstore.RefUpdate{Ref: "refs/heads/new", Old: gitstore.Zero, New: next}, gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: next})
		w.equal("unpack", got.unpack, "ok")
		w.equal("report", got.refs, map[string]string{"refs/heads/main": "atomic transaction failed", "refs/heads/new": "atomic transaction failed"})
		w.equal("refs", w.refs(), map[string]string{"refs/heads/main": other})
	},
	"stale without atomic": func(w *world) {
		for _, options := range []gitstore.Options{{}, {NoAtomic: true}} {
			w := w.with(options)
			c, main, next, pack := pushWorld(w)
			other := w.commit("other", many(), main)
			w.set("refs/heads/main", other)
			capabilities := plain
			if options.NoAtomic {
				capabilities = atomic // asked for, not offered, ignored
			}
			got := c.send(capabilities, pack, gitstore.RefUpdate{Ref: "refs/heads/new", Old: gitstore.Zero, New: next}, gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: next})
			w.equal("report", got.refs, map[string]string{"refs/heads/main": "failed to update ref", "refs/heads/new": ""})
			w.equal("refs", w.refs(), map[string]string{"refs/heads/main": other, "refs/heads/new": next})
		}
	},
	"repeated": func(w *world) {
		c, main, next, pack := pushWorld(w)
		update := gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: next}
		c.send(atomic, pack, update)
		got := c.send(atomic, pack, update)
		w.equal("the second time", got.refs, map[string]string{"refs/heads/main": "atomic transaction failed"})
		w.equal("refs", w.refs(), map[string]string{"refs/heads/main": next})
	},
	"delete": func(w *world) {
		c, main, _, _ := pushWorld(w)
		w.set("refs/heads/a", main)
		w.set("refs/heads/b", main)
		got := c.send(atomic, nil, gitstore.RefUpdate{Ref: "refs/heads/a", Old: main, New: gitstore.Zero}, gitstore.RefUpdate{Ref: "refs/heads/b", Old: main, New: gitstore.Zero})
		w.equal("report", got.refs, map[string]string{"refs/heads/a": "", "refs/heads/b": ""})
		w.equal("refs", w.refs(), map[string]string{"refs/heads/main": main})
		got = c.send(plain, nil, gitstore.RefUpdate{Ref: "refs/heads/a", Old: main, New: gitstore.Zero})
		w.equal("what is gone", got.refs["refs/heads/a"], "failed to update ref")
		got = c.send(plain, nil, gitstore.RefUpdate{Ref: "refs/heads/a", Old: absent, New: gitstore.Zero})
		w.equal("what is gone, from nowhere", got.refs["refs/heads/a"], "")
		got = c.send(atomic, nil, gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: gitstore.Zero})
		w.equal("the default branch", got.refs["refs/heads/main"], "deletion of the current branch prohibited")
		w.equal("refs", w.refs(), map[string]string{"refs/heads/main": main})
	},
	"create and delete": func(w *world) {
		c, main, next, pack := pushWorld(w)
		w.set("refs/heads/old", main)
		got := c.send(atomic, pack, gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: next}, gitstore.RefUpdate{Ref: "refs/heads/old", Old: main, New: gitstore.Zero})
		w.equal("report", got.refs, map[string]string{"refs/heads/main": "", "refs/heads/old": ""})
		w.equal("refs", w.refs(), map[string]string{"refs/heads/main": next})
	},
	"force": func(w *world) {
		c, main, next, pack := pushWorld(w)
		other := w.commit("other", many())
		w.set("refs/heads/x", other)
		got := c.send(atomic, pack, gitstore.RefUpdate{Ref: "refs/heads/x", Old: other, New: next})
		w.equal("report", got.refs, map[string]string{"refs/heads/x": ""})
		w.equal("refs", w.refs(), map[string]string{"refs/heads/main": main, "refs/heads/x": next})
	},
	"refused names": func(w *world) {
		c, main, next, pack := pushWorld(w)
		for ref, want := range map[string]string{
			"refs/pull/1/head":  "deny updating a hidden ref",
			"refs/heads/main/x": "failed to update ref",
			"refs/heads/a..b":   "funny refname",
			"refs/heads/x.lock": "funny refname",
		} {
			got := c.send(plain, pack, gitstore.RefUpdate{Ref: ref, Old: gitstore.Zero, New: next})
			w.equal(ref, got.refs[ref], want)
		}
		w.set("refs/pull/1/head", main)
		got := c.send(plain, nil, gitstore.RefUpdate{Ref: "refs/pull/1/head", Old: main, New: gitstore.Zero})
		w.equal("deleting", got.refs["refs/pull/1/head"], "deny deleting a hidden ref")
		w.equal("refs", w.refs(), map[string]string{"refs/heads/main": main, "refs/pull/1/head": main})
	},
	"atomic with a refused one": func(w *world) {
		c, main, next, pack := pushWorld(w)
		got := c.send(atomic, pack,
			gitstore.RefUpdate{Ref: "refs/heads/a", Old: gitstore.Zero, New: next},
			gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: gitstore.Zero},
			gitstore.RefUpdate{Ref: "refs/heads/b", Old: gitstore.Zero, New: next})
		w.equal("report", got.refs, map[string]string{
			"refs/heads/a": "atomic push failure", "refs/heads/b": "atomic push failure",
			"refs/heads/main": "deletion of the current branch prohibited",
		})
		got = c.send(atomic, pack,
			gitstore.RefUpdate{Ref: "refs/heads/a", Old: gitstore.Zero, New: next},
			gitstore.RefUpdate{Ref: "refs/pull/1/head", Old: gitstore.Zero, New: next})
		w.equal("hidden", got.refs["refs/pull/1/head"], "deny updating a hidden ref")
		w.equal("beside a hidden one", got.refs["refs/heads/a"], "")
		w.equal("refs", slices.Sorted(maps.Keys(w.refs())), []string{"refs/heads/a", "refs/heads/main"})
	},
	"bad packs": badPacks,
	"eight writers": func(w *world) {
		main := w.commit("one", many())
		w.set("refs/heads/main", main)
		w.set("refs/heads/ledger", main)
		var wg sync.WaitGroup
		results := make([]report, 8)
		for i := range results {
			next, objects := w.next(fmt.Sprint("writer ", i), main, values, fmt.Sprint("by: ", i, "\n"))
			pack, c := w.pack(objects...), w.client()
			wg.Go(func() {
				results[i] = c.send(atomic, pack,
					gitstore.RefUpdate{Ref: "refs/heads/ledger", Old: main, New: next},
					gitstore.RefUpdate{Ref: fmt.Sprint("refs/heads/own-", i), Old: gitstore.Zero, New: next})
			})
		}
		wg.Wait()
		won := 0
		for i, r := range results {
			if r.refs["refs/heads/ledger"] == "" {
				won++
				w.equal("own branch and ledger", w.refs()["refs/heads/ledger"], w.refs()[fmt.Sprint("refs/heads/own-", i)])
			}
		}
		if won != 1 || len(w.refs()) != 3 {
			w.Errorf("%d won; refs %v", won, w.refs())
		}
	},
}

// badPacks are pushes whose objects are not right. None may move a ref.
func badPacks(w *world) {
	c, main, next, pack := pushWorld(w)
	text := packed{kind: "blob", data: "x\n"}
	treeWith := func(lines ...string) packed {
		data := ""
		for _, l := range lines {
			data += l + "\x00" + rawID(text.ID())
		}
		return packed{kind: "tree", data: data}
	}
	commitOn := func(tree packed) packed {
		return packed{kind: "commit", data: w.commitText("bad", tree.ID(), w.clock, main)}
	}
	broken := slices.Clone(pack)
	broken[len(broken)/2] ^= 1
	unsorted, twice, gitDir, slash := treeWith("100644 b", "100644 a"), treeWith("100644 a", "100644 a"), treeWith("100644 .git"), treeWith("100644 a/b")
	noCommitter := packed{kind: "commit", data: "tree " + w.treeOf(main) + "\nauthor Ann <a@x> 1700000000 +0000\n\nx\n"}
	noDate := packed{kind: "commit", data: "tree " + w.treeOf(main) + "\nauthor Ann <a@x>\ncommitter Ann <a@x>\n\nx\n"}
	orphan := packed{kind: "commit", data: w.commitText("orphan", absent, w.clock, main)}
	for name, test := range map[string]struct {
		pack []byte
		id   string
		want string
	}{
		"broken":           {broken, next, "unpacker error"},
		"cut":              {pack[:len(pack)-30], next, "unpacker error"},
		"none":             {nil, next, "unpacker error"},
		"unsorted tree":    {w.pack(text, unsorted, commitOn(unsorted)), commitOn(unsorted).ID(), "unpacker error"},
		"entry twice":      {w.pack(text, twice, commitOn(twice)), commitOn(twice).ID(), "unpacker error"},
		"entry .git":       {w.pack(text, gitDir, commitOn(gitDir)), commitOn(gitDir).ID(), "unpacker error"},
		"entry with slash": {w.pack(text, slash, commitOn(slash)), commitOn(slash).ID(), "unpacker error"},
		"no committer":     {w.pack(noCommitter), noCommitter.ID(), "unpacker error"},
		"no date":          {w.pack(noDate), noDate.ID(), "unpacker error"},
		"tree is missing":  {w.pack(orphan), orphan.ID(), "unpacker error"},
		"other objects":    {w.pack(text), next, "missing necessary objects"},
	} {
		got := c.send(atomic, test.pack, gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: test.id})
		w.equal(name, got.refs["refs/heads/main"], test.want)
		if (got.unpack == "ok") != (test.want != "unpacker error") {
			w.Errorf("%s: unpack %q", name, got.unpack)
		}
		w.equal(name+": refs", w.refs(), map[string]string{"refs/heads/main": main})
	}
	for _, body := range []string{"", "0000", "zzzz", "0032" + main} {
		c.post(smarthttp.ReceivePack, []byte(body))
	}
	w.equal("refs", w.refs(), map[string]string{"refs/heads/main": main})
}

var judgeTests = map[string]func(*world){
	"refused": func(w *world) {
		c, main, next, pack := pushWorld(w)
		var landed []gitstore.RefUpdate
		reason := "Protected branch: it's \"$(main)\" `x` \\n\nsecond line"
		c.push = gitstore.Push{
			Judge: func(ctx context.Context, updates []gitstore.RefUpdate) map[string]string {
				if _, err := w.repo.ReadCommit(ctx, updates[0].New); err != nil {
					w.Errorf("the pushed commit cannot be read: %v", err)
				}
				w.equal("nothing has moved", w.refs(), map[string]string{"refs/heads/main": main})
				return map[string]string{"refs/heads/main": reason}
			},
			Landed: func(_ context.Context, updates []gitstore.RefUpdate) { landed = append(landed, updates...) },
		}
		toMain, toOther := gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: next}, gitstore.RefUpdate{Ref: "refs/heads/x", Old: gitstore.Zero, New: next}
		got := c.send(atomic, pack, toMain, toOther)
		w.equal("atomic", got.refs, map[string]string{"refs/heads/main": "hook declined", "refs/heads/x": "atomic push failure"})
		if !strings.Contains(got.progress, reason) {
			w.Errorf("the reason is not in %q", got.progress)
		}
		w.equal("landed", len(landed), 0)
		got = c.send(plain, pack, toMain, toOther)
		w.equal("not atomic", got.refs, map[string]string{"refs/heads/main": "hook declined", "refs/heads/x": ""})
		w.equal("landed", landed, []gitstore.RefUpdate{toOther})
		w.equal("refs", w.refs(), map[string]string{"refs/heads/main": main, "refs/heads/x": next})
	},
	"allowed": func(w *world) {
		c, main, next, pack := pushWorld(w)
		w.set("refs/heads/old", main)
		updates := []gitstore.RefUpdate{{Ref: "refs/heads/main", Old: main, New: next}, {Ref: "refs/heads/old", Old: main, New: gitstore.Zero}}
		asked := 0
		var landed []gitstore.RefUpdate
		c.push = gitstore.Push{
			Judge: func(_ context.Context, got []gitstore.RefUpdate) map[string]string {
				asked++
				w.equal("asked about", got, updates)
				return nil
			},
			Landed: func(_ context.Context, got []gitstore.RefUpdate) {
				w.equal("refs when told", w.refs(), map[string]string{"refs/heads/main": next})
				landed = got
			},
		}
		c.send(atomic, pack, updates...)
		w.equal("asked", asked, 1)
		w.equal("landed", landed, updates)
		landed = nil
		c.push.Judge = nil
		c.send(atomic, pack, updates...)
		w.equal("landed again", len(landed), 0)
	},
	"without a report": func(w *world) {
		c, main, next, pack := pushWorld(w)
		var landed []gitstore.RefUpdate
		c.push.Landed = func(_ context.Context, got []gitstore.RefUpdate) { landed = got }
		update := gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: next}
		c.post(smarthttp.ReceivePack, pushBody("atomic", []gitstore.RefUpdate{update}, pack))
		w.equal("landed", landed, []gitstore.RefUpdate{update})
	},
	"unreadable": func(w *world) {
		c, main, _, pack := pushWorld(w)
		c.push.Judge = func(context.Context, []gitstore.RefUpdate) map[string]string {
			w.Error("asked about a pack that cannot be read")
			return nil
		}
		got := c.send(plain, pack[:40], gitstore.RefUpdate{Ref: "refs/heads/main", Old: main, New: absent})
		w.equal("report", got.refs, map[string]string{"refs/heads/main": "unpacker error"})
		w.equal("refs", w.refs(), map[string]string{"refs/heads/main": main})
	},
}
