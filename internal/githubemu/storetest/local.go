package storetest

import (
	"encoding/hex"
	"errors"
	"strings"
	"sync"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

const absent = "1234567890123456789012345678901234567890"

func rawID(id string) string {
	raw, _ := hex.DecodeString(id) // ids come from the store
	return string(raw)
}

var storeTests = map[string]func(*world){
	"names": func(w *world) {
		for _, name := range []string{"", ".", "..", "a/b", "x.git", "a b", "ä", "a\x00"} {
			if _, err := w.store.Create("acme", name, "main"); err == nil {
				w.Errorf("repository %q was made", name)
			}
			if _, err := w.store.Open("acme", name); !errors.Is(err, gitstore.ErrNotFound) {
				w.Errorf("opening %q: %v", name, err)
			}
		}
		if _, err := w.store.Create("acme", "ok", "a..b"); err == nil {
			w.Error("a malformed default branch was taken")
		}
		_, err := w.store.Create("acme", ".github", "main")
		w.must(err)
	},
	"create twice": func(w *world) {
		if _, err := w.store.Create("acme", "shop", "main"); !errors.Is(err, gitstore.ErrExists) {
			w.Errorf("second Create: %v", err)
		}
	},
	"rename": func(w *world) {
		main := w.commit("one", files{"a": "1\n"})
		w.set("refs/heads/main", main)
		w.must(w.store.Rename("acme", "shop", "umbrella", "store"))
		if _, err := w.store.Open("acme", "shop"); !errors.Is(err, gitstore.ErrNotFound) {
			w.Errorf("the old name: %v", err)
		}
		again, err := w.store.Open("umbrella", "store")
		w.must(err)
		if again != w.repo {
			w.Error("the repository became another value")
		}
		w.equal("refs through the old value", w.refs(), map[string]string{"refs/heads/main": main})
		w.equal("tree", w.listing(w.treeOf(main)), files{"a": "100644:1\n"})
		_, err = w.store.Create("acme", "shop", "main")
		w.must(err)
		if err := w.store.Rename("acme", "shop", "umbrella", "store"); !errors.Is(err, gitstore.ErrExists) {
			w.Errorf("rename onto another: %v", err)
		}
		if err := w.store.Rename("acme", "none", "acme", "some"); !errors.Is(err, gitstore.ErrNotFound) {
			w.Errorf("rename of nothing: %v", err)
		}
	},
}

var refTests = map[string]func(*world){
	"by prefix": func(w *world) {
		c := w.commit("one", files{"a": "1\n"})
		for _, ref := range []string{"refs/heads/main", "refs/heads/make", "refs/heads/rung/p/dev", "refs/pull/1/head", "refs/tags/v1"} {
			w.set(ref, c)
		}
		for prefix, want := range map[string]int{
			"": 5, "refs/": 5, "refs/heads/": 3, "refs/heads/ma": 2, "refs/heads/main": 1, "refs/heads/rung/p": 1,
			"refs/heads/rung/p/dev": 1, "refs/none/": 0, "HEAD": 0, "refs/heads/main/": 0, "../": 0, "refs/heads/../": 0,
		} {
			refs, err := w.repo.Refs(w.Context(), prefix)
			w.must(err)
			if len(refs) != want {
				w.Errorf("Refs(%q) = %v, want %d", prefix, refs, want)
			}
		}
	},
	"compare and swap": func(w *world) {
		a, b := w.commit("a", files{"f": "a\n"}), w.commit("b", files{"f": "b\n"})
		tree := w.treeOf(a)
		w.set("refs/heads/main", a)
		main := "refs/heads/main"
		for name, test := range map[string]struct {
			updates []gitstore.RefUpdate
			want    error
		}{
			"stale":            {[]gitstore.RefUpdate{{Ref: main, Old: b, New: a}}, gitstore.ErrStale},
			"exists":           {[]gitstore.RefUpdate{{Ref: main, Old: gitstore.Zero, New: b}}, gitstore.ErrStale},
			"gone":             {[]gitstore.RefUpdate{{Ref: "refs/heads/x", Old: a, New: b}}, gitstore.ErrStale},
			"delete stale":     {[]gitstore.RefUpdate{{Ref: main, Old: b, New: gitstore.Zero}}, gitstore.ErrStale},
			"delete gone":      {[]gitstore.RefUpdate{{Ref: "refs/heads/x", Old: b, New: gitstore.Zero}}, gitstore.ErrStale},
			"assert fails":     {[]gitstore.RefUpdate{{Ref: main, Old: b, New: b}}, gitstore.ErrStale},
			"no such object":   {[]gitstore.RefUpdate{{Ref: main, Old: a, New: absent}}, gitstore.ErrNotFound},
			"one of two stale": {[]gitstore.RefUpdate{{Ref: "refs/heads/x", Old: gitstore.Zero, New: b}, {Ref: main, Old: b, New: a}}, gitstore.ErrStale},
			"tree on branch":   {[]gitstore.RefUpdate{{Ref: main, Old: a, New: tree}}, nil},
			"not an id":        {[]gitstore.RefUpdate{{Ref: main, Old: a, New: "HEAD"}}, nil},
			"not a ref":        {[]gitstore.RefUpdate{{Ref: "main", Old: gitstore.Zero, New: a}}, nil},
			"line break":       {[]gitstore.RefUpdate{{Ref: "refs/heads/x\nupdate refs/heads/y " + a, Old: gitstore.Zero, New: a}}, nil},
			"twice":            {[]gitstore.RefUpdate{{Ref: main, Old: a, New: b}, {Ref: main, Old: a, New: b}}, nil},
			"below a ref":      {[]gitstore.RefUpdate{{Ref: main + "/sub", Old: gitstore.Zero, New: a}}, nil},
			"above a new ref":  {[]gitstore.RefUpdate{{Ref: "refs/heads/x", Old: gitstore.Zero, New: a}, {Ref: "refs/heads/x/y", Old: gitstore.Zero, New: a}}, nil},
		} {
			err := w.repo.UpdateRefs(w.Context(), test.updates)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				w.Errorf("%s: error %v, want %v", name, err, test.want)
			}
			w.equal(name+": refs", w.refs(), map[string]string{main: a})
		}
		w.must(w.repo.UpdateRefs(w.Context(), []gitstore.RefUpdate{
			{Ref: main, Old: a, New: b}, {Ref: "refs/heads/x", Old: gitstore.Zero, New: a}, {Ref: "refs/tags/tree", Old: gitstore.Zero, New: tree},
		}))
		w.must(w.repo.UpdateRefs(w.Context(), []gitstore.RefUpdate{
			{Ref: main, Old: b, New: b}, {Ref: "refs/heads/x", Old: a, New: gitstore.Zero},
		}))
		w.must(w.repo.UpdateRefs(w.Context(), nil))
		w.equal("refs at last", w.refs(), map[string]string{main: b, "refs/tags/tree": tree})
	},
	"one of eight wins": func(w *world) {
		a := w.commit("a", files{"f": "a\n"})
		w.set("refs/heads/ledger", a)
		next := make([]string, 8)
		for i := range next {
			next[i] = w.commit("next", files{"f": strings.Repeat("x", i+1)}, a)
		}
		var wg sync.WaitGroup
		errs := make([]error, len(next))
		for i, id := range next {
			wg.Go(func() {
				errs[i] = w.repo.UpdateRefs(w.Context(), []gitstore.RefUpdate{
					{Ref: "refs/heads/ledger", Old: a, New: id},
					{Ref: "refs/heads/own-" + string(rune('a'+i)), Old: gitstore.Zero, New: id},
				})
			})
		}
		wg.Wait()
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
				w.equal("the ledger", w.refs()["refs/heads/ledger"], next[i])
			}
		}
		if won != 1 || len(w.refs()) != 2 {
			w.Errorf("%d won; refs %v; errors %v", won, w.refs(), errs)
		}
	},
}

var objectTests = map[string]func(*world){
	"kinds": func(w *world) {
		ctx := w.Context()
		blob := w.write("blob", "hello\n")
		w.equal("id of a blob", blob, "ce013625030ba8dba906f756967f9e9ca394464a")
		w.equal("id of an empty tree", w.write("tree", ""), gitstore.EmptyTree)
		kind, data, err := w.repo.ReadObject(ctx, blob)
		w.must(err)
		w.equal("blob", []string{kind, string(data)}, []string{"blob", "hello\n"})
		w.equal("the same again", w.write("blob", "hello\n"), blob)
		tag := w.write("tag", "object "+blob+"\ntype blob\ntag v1\ntagger Ann <ann@acme.example> 1700000000 +0000\n\none\n")
		kind, _, err = w.repo.ReadObject(ctx, tag)
		w.must(err)
		w.equal("tag", kind, "tag")
		for _, kind := range []string{"", "delta", "ofs-delta", "Blob"} {
			if _, err := w.repo.WriteObject(ctx, kind, []byte("x")); err == nil {
				w.Errorf("an object of kind %q was written", kind)
			}
		}
	},
	"absent": func(w *world) {
		ctx := w.Context()
		blob := w.write("blob", "hello\n")
		for _, id := range []string{absent, "", "HEAD", strings.ToUpper(blob), "--help"} {
			_, _, err := w.repo.ReadObject(ctx, id)
			_, errCommit := w.repo.ReadCommit(ctx, id)
			_, errTree := w.repo.ReadTree(ctx, id)
			_, errBase := w.repo.MergeBase(ctx, id, id)
			_, _, errMerge := w.repo.MergeTree(ctx, id, id)
			_, errLog := w.repo.Log(ctx, id, nil, 1)
			for _, err := range []error{err, errCommit, errTree, errBase, errMerge, errLog} {
				if !errors.Is(err, gitstore.ErrNotFound) {
					w.Errorf("%q: %v", id, err)
				}
			}
		}
		if _, err := w.repo.ReadCommit(ctx, blob); !errors.Is(err, gitstore.ErrNotFound) {
			w.Errorf("a blob as commit: %v", err)
		}
		if _, err := w.repo.Diff(ctx, absent, ""); !errors.Is(err, gitstore.ErrNotFound) {
			w.Errorf("diff of nothing: %v", err)
		}
	},
	"taken apart": func(w *world) {
		f := files{"a": "1\n", "run": "100755:#!\n", "link": "120000:a", "dir/b": "2\n"}
		first := w.commit("first", f)
		raw := "tree " + w.tree(f) + "\nparent " + first + "\nauthor Ann <a@x> 1700000000 +0100\n" +
			"committer Bob <b@x> 1700000060 +0000\nencoding UTF-8\ngpgsig -----BEGIN\n \n line\n -----END\n\nsubject\n\nbody\n"
		id := w.write("commit", raw)
		c, err := w.repo.ReadCommit(w.Context(), id)
		w.must(err)
		w.equal("commit", c, gitstore.Commit{
			ID: id, Tree: w.tree(f), Parents: []string{first}, Author: "Ann <a@x> 1700000000 +0100", Committer: "Bob <b@x> 1700000060 +0000",
			Message: "subject\n\nbody\n", Signature: "-----BEGIN\n\nline\n-----END", Raw: []byte(raw),
		})
		w.equal("tree", w.listing(c.Tree), files{"a": "100644:1\n", "run": "100755:#!\n", "link": "120000:a", "dir/b": "100644:2\n"})
		entries, err := w.repo.ReadTree(w.Context(), c.Tree)
		w.must(err)
		w.equal("a directory", entries[1].Mode+" "+entries[1].Name, "40000 dir")
	},
}

var historyTests = map[string]func(*world){
	"merge base": func(w *world) {
		root := w.commit("root", files{"a": "1\n"})
		left := w.commit("left", files{"a": "2\n"}, root)
		right := w.commit("right", files{"b": "1\n"}, root)
		merged := w.commit("merged", files{"a": "2\n", "b": "1\n"}, left, right)
		after := w.commit("after", files{"a": "3\n"}, right)
		other := w.commit("other", files{"z": "1\n"})
		for _, test := range []struct{ a, b, want string }{
			{left, right, root}, {left, left, left}, {merged, left, left}, {root, merged, root}, {merged, after, right},
		} {
			got, err := w.repo.MergeBase(w.Context(), test.a, test.b)
			w.must(err)
			w.equal("merge base", got, test.want)
		}
		if _, err := w.repo.MergeBase(w.Context(), merged, other); !errors.Is(err, gitstore.ErrNotFound) {
			w.Errorf("unrelated commits: %v", err)
		}
	},
	"log": func(w *world) {
		root := w.commit("root", files{"a": "1\n"})
		left := w.commit("left", files{"a": "2\n"}, root)
		right := w.commit("right", files{"b": "1\n"}, root)
		w.clock -= 3600 // a clock that went back: the merge is older than its parents
		merged := w.commit("merged", files{"a": "2\n", "b": "1\n"}, left, right)
		for _, test := range []struct {
			exclude []string
			limit   int
			want    []string
		}{
			{nil, 10, []string{merged, right, left, root}},
			{nil, 2, []string{merged, right}},
			{nil, 0, nil},
			{[]string{left}, 10, []string{merged, right}},
			{[]string{left, right}, 10, []string{merged}},
			{[]string{merged}, 10, nil},
		} {
			log, err := w.repo.Log(w.Context(), merged, test.exclude, test.limit)
			w.must(err)
			var got []string
			for _, c := range log {
				got = append(got, c.ID)
			}
			w.equal("log", got, test.want)
		}
	},
	"log of one second": func(w *world) {
		root := w.commit("root", files{"a": "1\n"})
		w.clock -= 60
		left := w.commit("left", files{"a": "2\n"}, root)
		w.clock -= 60
		right := w.commit("right", files{"b": "1\n"}, root)
		w.clock -= 60
		merged := w.commit("merged", files{}, left, right)
		log, err := w.repo.Log(w.Context(), merged, nil, 10)
		w.must(err)
		w.equal("order", []string{log[0].ID, log[1].ID, log[2].ID, log[3].ID}, []string{merged, left, right, root})
	},
	"diff": func(w *world) {
		a := w.tree(files{"same": "1\n", "gone": "1\n", "changed": "1\n", "mode": "1\n", "x/deep/f": "1\n", "x/y": "1\n", "x.z": "1\n", "kind": "1\n"})
		b := w.tree(files{"same": "1\n", "new": "1\n", "changed": "2\n", "mode": "100755:1\n", "x/deep/f": "2\n", "x/y": "1\n", "x.z": "2\n", "kind/f": "1\n"})
		got, err := w.repo.Diff(w.Context(), a, b)
		w.must(err)
		w.equal("diff", got, []string{"changed", "gone", "kind", "kind/f", "mode", "new", "x.z", "x/deep/f"})
		got, err = w.repo.Diff(w.Context(), a, a)
		w.must(err)
		w.equal("no diff", len(got), 0)
		for _, pair := range [][2]string{{"", w.tree(files{"d/f": "1\n"})}, {w.tree(files{"d/f": "1\n"}), gitstore.EmptyTree}} {
			got, err = w.repo.Diff(w.Context(), pair[0], pair[1])
			w.must(err)
			w.equal("against nothing", got, []string{"d/f"})
		}
		got, err = w.repo.Diff(w.Context(), "", gitstore.EmptyTree)
		w.must(err)
		w.equal("nothing against nothing", len(got), 0)
	},
}
