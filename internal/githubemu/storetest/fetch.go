package storetest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/githubemu/gitstore/smarthttp"
)

var fetchTests = map[string]func(*world){
	"capabilities": func(w *world) {
		for name, test := range map[string]struct {
			options gitstore.Options
			has     []string
			lacks   []string
		}{
			"full":        {gitstore.Options{}, []string{"version 2", "ls-refs=unborn", "fetch=shallow wait-for-done filter", "object-format=sha1"}, nil},
			"no filter":   {gitstore.Options{NoFilter: true}, []string{"version 2", "fetch=shallow wait-for-done"}, []string{"filter"}},
			"no protocol": {gitstore.Options{NoProtocolV2: true}, []string{"# service=git-upload-pack", "0000"}, []string{"version 2"}},
		} {
			c := w.with(test.options).client()
			status, body := c.do(http.MethodGet, "/info/refs?service=git-upload-pack", "", nil)
			lines := c.packets(body)
			for _, line := range test.has {
				if status != http.StatusOK || !slices.Contains(lines, line) {
					w.Errorf("%s: status %d, no %q in %q", name, status, line, lines)
				}
			}
			for _, word := range test.lacks {
				if strings.Contains(string(body), word) {
					w.Errorf("%s: %q in %q", name, word, lines)
				}
			}
		}
	},
	"http": func(w *world) {
		c := w.client()
		upload := "application/x-git-upload-pack-request"
		for _, test := range []struct {
			method, path, contentType string
			want                      int
		}{
			{http.MethodGet, "/info/refs", "", http.StatusForbidden},
			{http.MethodGet, "/info/refs?service=git-archive", "", http.StatusForbidden},
			{http.MethodGet, "/git-upload-pack", upload, http.StatusNotFound},
			{http.MethodGet, "/HEAD", "", http.StatusNotFound},
			{http.MethodGet, "/objects/info/packs", "", http.StatusNotFound},
			{http.MethodPost, "/git-upload-pack", "text/plain", http.StatusUnsupportedMediaType},
			{http.MethodPost, "/git-receive-pack", upload, http.StatusUnsupportedMediaType},
		} {
			if status, body := c.do(test.method, test.path, test.contentType, nil); status != test.want {
				w.Errorf("%s %s: status %d, want %d: %s", test.method, test.path, status, test.want, body)
			}
		}
	},
	"gzip": func(w *world) {
		main := w.commit("one", files{"a": "1\n"})
		w.set("refs/heads/main", main)
		var body bytes.Buffer
		z := gzip.NewWriter(&body)
		_, err := z.Write(command("ls-refs", "ref-prefix refs/heads/main"))
		w.must(err)
		w.must(z.Close())
		for encoded, want := range map[string]int{body.String(): http.StatusOK, "not gzip": http.StatusBadRequest} {
			r := httptest.NewRequestWithContext(w.Context(), http.MethodPost, "/git-upload-pack", strings.NewReader(encoded))
			r.Header.Set("Content-Type", "application/x-git-upload-pack-request")
			r.Header.Set("Content-Encoding", "gzip")
			r.Header.Set("Git-Protocol", "version=2")
			rec := httptest.NewRecorder()
			w.repo.Handler().ServeHTTP(rec, r)
			if rec.Code != want || want == http.StatusOK && !strings.Contains(rec.Body.String(), main) {
				w.Errorf("status %d, want %d: %q", rec.Code, want, rec.Body)
			}
		}
	},
	"ls-refs": func(w *world) {
		c := w.client()
		w.equal("unborn", c.lsRefs("symrefs", "unborn"), []string{"unborn HEAD symref-target:refs/heads/main", "0000"})
		w.equal("unborn, not asked", c.lsRefs("symrefs"), []string{"0000"})
		main := w.commit("one", files{"a": "1\n"})
		tag := w.write("tag", "object "+main+"\ntype commit\ntag v1\ntagger Ann <ann@acme.example> 1700000000 +0000\n\none\n")
		for _, ref := range []string{"refs/heads/main", "refs/heads/mainly", "refs/heads/x", "refs/pull/1/head"} {
			w.set(ref, main)
		}
		w.set("refs/tags/v1", tag)
		w.equal("all", c.lsRefs("peel", "symrefs"), []string{
			main + " HEAD symref-target:refs/heads/main", main + " refs/heads/main", main + " refs/heads/mainly",
			main + " refs/heads/x", main + " refs/pull/1/head", tag + " refs/tags/v1 peeled:" + main, "0000",
		})
		w.equal("prefixes", c.lsRefs("ref-prefix refs/heads/main", "ref-prefix refs/pull/", "ref-prefix refs/none"), []string{
			main + " refs/heads/main", main + " refs/heads/mainly", main + " refs/pull/1/head", "0000",
		})
		w.equal("HEAD", c.lsRefs("ref-prefix HEAD"), []string{main + " HEAD", "0000"})
	},
	"malformed": func(w *world) {
		c := w.client()
		w.set("refs/heads/main", w.commit("one", files{"a": "1\n"}))
		for _, body := range []string{"", "0000", "zzzz", "0003", "fff", "0014command=ls-refs\n", string(command("push")), string(command("fetch", "want x")), string(command("fetch", "nonsense"))} {
			if answer := c.post(smarthttp.UploadPack, []byte(body)); strings.Contains(string(answer), "PACK") {
				w.Errorf("%q was answered with a pack", body)
			}
		}
	},
	"cold":        coldFetch,
	"catch up":    catchUp,
	"by hash":     fetchByHash,
	"negotiation": negotiation,
	"no filter": func(w *world) {
		w = w.with(gitstore.Options{NoFilter: true})
		f := files{"a": "1\n"}
		main := w.commit("one", f)
		w.set("refs/heads/main", main)
		c := w.client()
		if got := c.post(smarthttp.UploadPack, command("fetch", "want "+main, "deepen 1", "filter blob:none", "done")); len(got) > 0 {
			w.Errorf("a filter that was not offered: %q", got)
		}
		got := c.fetch("want "+main, "deepen 1", "no-progress", "done")
		w.equal("unfiltered", got.ids, sortedIDs(main, w.tree(f), w.write("blob", "1\n")))
	},
	"no protocol 2": func(w *world) {
		w = w.with(gitstore.Options{NoProtocolV2: true})
		w.set("refs/heads/main", w.commit("one", files{"a": "1\n"}))
		if got := w.client().post(smarthttp.UploadPack, command("ls-refs")); strings.Contains(string(got), "refs/heads/main") {
			w.Errorf("ls-refs was answered: %q", got)
		}
	},
	"tags along": func(w *world) {
		main := w.commit("one", files{"a": "1\n"})
		tag := w.write("tag", "object "+main+"\ntype commit\ntag v1\ntagger Ann <ann@acme.example> 1700000000 +0000\n\none\n")
		w.set("refs/heads/main", main)
		w.set("refs/tags/v1", tag)
		got := w.client().fetch("want "+main, "include-tag", "filter blob:none", "no-progress", "done")
		w.equal("with the tag", got.ids, sortedIDs(main, w.treeOf(main), tag))
		got = w.client().fetch("want "+tag, "no-progress", "done")
		w.equal("by the tag", got.ids, sortedIDs(main, w.treeOf(main), tag, w.write("blob", "1\n")))
	},
}

// many is a work tree large enough for partial fetches to show.
func many() files {
	f := files{"README": "hello\n"}
	for _, env := range []string{"dev", "staging", "prod-eu"} {
		for i := range 4 {
			f[fmt.Sprintf("environments/%s/app-%d/values.yaml", env, i)] = fmt.Sprintf("env: %s\nimage: app-%d:1.0.0\n", env, i)
		}
	}
	return f
}

// trees returns the ids of a tree and all trees below it.
func (w *world) trees(tree string) []string {
	w.Helper()
	out := []string{tree}
	entries, err := w.repo.ReadTree(w.Context(), tree)
	w.must(err)
	for _, e := range entries {
		if e.Mode == "40000" {
			out = append(out, w.trees(e.ID)...)
		}
	}
	return out
}

func coldFetch(w *world) {
	first := w.commit("first", many())
	main := w.commit("second", many().and(files{"README": "again\n"}), first)
	w.set("refs/heads/main", main)
	got := w.client().fetch("want "+main, "deepen 1", "filter blob:none", "no-progress", "ofs-delta", "done")
	w.equal("shallow-info", got.lines, []string{"shallow-info", "shallow " + main, "0001"})
	w.equal("objects", got.ids, sortedIDs(append(w.trees(w.treeOf(main)), main)...))

	got = w.client().fetch("want "+main, "deepen 2", "filter blob:none", "no-progress", "done")
	w.equal("depth 2, the root being the boundary", got.lines, []string{"shallow-info", "shallow " + first, "0001"})
	got = w.client().fetch("want "+main, "deepen 3", "filter blob:none", "no-progress", "done")
	w.equal("deeper than the history", got.lines, []string{"shallow-info", "0001"})
}

// catchUp is the bot's usual fetch: from A, of which it has commit and trees,
// to B, without done.
func catchUp(w *world) {
	changed := "environments/dev/app-1/values.yaml"
	first := w.commit("first", many())
	root := w.commit("root", many().and(files{"README": "root\n"}), first)
	a := w.commit("a", many().and(files{"README": "a\n"}), root)
	old := w.commit("an old branch", many().and(files{"README": "old\n"}), root)
	side := w.commit("a branch", many().and(files{"README": "a\n", changed: "image: app-1:1.1.0\n"}), a)
	b := w.commit("merge", many().and(files{"README": "a\n", changed: "image: app-1:1.1.0\n"}), a, side)
	w.set("refs/heads/main", b)
	args := func(deepen string) []string {
		return []string{"want " + b, "have " + a, "shallow " + a, deepen, "filter blob:none", "thin-pack", "no-progress", "ofs-delta"}
	}
	newTrees := func(from, to string) []string {
		held := w.trees(w.treeOf(from))
		return slices.DeleteFunc(w.trees(w.treeOf(to)), func(id string) bool { return slices.Contains(held, id) })
	}

	c := w.client()
	c.fetch("want "+a, "deepen 1", "filter blob:none", "no-progress", "done")
	got := c.fetch(args("deepen 1")...)
	w.equal("depth 1", got.lines, []string{"acknowledgments", "ACK " + a, "ready", "0001", "shallow-info", "shallow " + b, "0001"})
	w.equal("depth 1", got.ids, sortedIDs(append(newTrees(a, b), b)...))

	got = c.fetch(args("deepen 2")...)
	w.equal("depth 2", got.lines, []string{"acknowledgments", "ACK " + a, "ready", "0001", "shallow-info", "shallow " + side, "0001"})
	w.equal("depth 2", got.ids, sortedIDs(append(newTrees(a, b), b, side)...))

	// The merge of a branch that is older than the boundary.
	b = w.commit("merge old", many().and(files{"README": "a\n", "old": "1\n"}), b, old)
	w.set("refs/heads/main", b)
	got = c.fetch(args("deepen 1")...)
	w.equal("old branch, depth 1", got.ids, sortedIDs(append(newTrees(a, b), b)...))
	got = c.fetch("want "+b, "have "+a, "shallow "+a, "filter blob:none", "thin-pack", "no-progress")
	if !slices.Contains(got.ids, first) {
		w.Error("without deepen git sends the history behind the old branch, and so must we")
	}

	// Nothing new, a rewound base, and a have that the server never saw.
	got = c.fetch("want "+first, "have "+a, "shallow "+a, "deepen 1", "filter blob:none", "thin-pack")
	w.equal("behind", []any{got.lines, got.packed}, []any{[]string{"acknowledgments", "ACK " + a, "0000"}, false})
	got = c.fetch("want "+root, "have "+a, "shallow "+a, "deepen 1", "filter blob:none", "thin-pack", "no-progress")
	w.equal("one behind: git counts the parents of a have as had", got.lines, []string{"acknowledgments", "ACK " + a, "ready", "0001", "shallow-info", "shallow " + root, "0001"})
	got = c.fetch("want "+b, "have "+absent, "shallow "+absent, "deepen 1", "filter blob:none", "thin-pack")
	w.equal("unknown have", []any{got.lines, got.packed}, []any{[]string{"acknowledgments", "NAK", "0000"}, false})
	got = c.fetch("want "+a, "have "+a, "shallow "+a, "deepen 1", "filter blob:none", "thin-pack", "no-progress")
	w.equal("the same", []any{got.lines, got.ids}, []any{[]string{"acknowledgments", "ACK " + a, "ready", "0001", "shallow-info", "0001"}, []string{}})
}

func fetchByHash(w *world) {
	base := many()
	main := w.commit("one", base)
	w.set("refs/heads/main", main)
	tree := w.trees(w.treeOf(main))[1]
	one, two := w.write("blob", base["README"]), w.write("blob", base["environments/dev/app-1/values.yaml"])
	loose := w.write("blob", "reachable from nothing\n")

	got := w.client().fetch("want "+one, "want "+two, "want "+loose, "filter blob:none", "no-progress", "done")
	w.equal("blobs, though filtered", got.ids, sortedIDs(one, two, loose))
	got = w.client().fetch("want "+tree, "filter blob:none", "no-progress", "done")
	w.equal("a tree", got.ids, sortedIDs(w.trees(tree)...))
	got = w.client().fetch("want "+one, "want "+absent, "no-progress", "done")
	w.equal("absent", got.lines, []string{"ERR upload-pack: not our ref " + absent})
	w.equal("absent", got.packed, false)
}

// negotiation is what a full clone does when it comes again.
func negotiation(w *world) {
	root := w.commit("root", files{"a": "1\n"})
	a := w.commit("a", files{"a": "2\n"}, root)
	b := w.commit("b", files{"a": "3\n", "d/b": "4\n"}, a)
	other := w.commit("other", files{"z": "1\n"})
	w.set("refs/heads/main", b)
	w.set("refs/heads/other", other)
	c := w.client()
	c.fetch("want "+a, "no-progress", "done")

	got := c.fetch("want "+b, "have "+a, "have "+absent, "have "+root, "no-progress")
	w.equal("ready", got.lines, []string{"acknowledgments", "ACK " + a, "ACK " + root, "ready", "0001"})
	newObjects := sortedIDs(b, w.tree(files{"a": "3\n", "d/b": "4\n"}), w.tree(files{"b": "4\n"}), w.write("blob", "3\n"), w.write("blob", "4\n"))
	w.equal("ready", got.ids, newObjects)
	got = c.fetch("want "+b, "want "+other, "have "+a, "no-progress")
	w.equal("not ready", []any{got.lines, got.packed}, []any{[]string{"acknowledgments", "ACK " + a, "0000"}, false})
	got = c.fetch("want "+b, "have "+a, "wait-for-done", "no-progress")
	w.equal("waiting", []any{got.lines, got.packed}, []any{[]string{"acknowledgments", "ACK " + a, "0000"}, false})
	got = c.fetch("want "+b, "have "+a, "done", "no-progress")
	w.equal("done", []any{got.lines, got.ids}, []any{[]string{}, newObjects})
	got = c.fetch("want "+b, "have "+absent, "done", "no-progress")
	if !slices.Contains(got.ids, root) {
		w.Error("done with an unknown have gets everything")
	}
}
