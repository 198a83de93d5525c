package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// odd is a tree with everything that a tree can hold.
func oddTree(t *testing.T, b *bare) promotion.Hash {
	t.Helper()
	blob := b.loose("blob", "data\n")
	in := fmt.Sprintf("100644 blob %[1]s\ta.b\n100644 blob %[1]s\ta/x\n100644 blob %[1]s\ta0\n100755 blob %[1]s\trun.sh\n120000 blob %[1]s\tlink\n160000 commit 1111111111111111111111111111111111111111\tsub\n100644 blob %[1]s\tdeep/er/still/f\n", blob)
	env := append(cleanEnv(), "GIT_INDEX_FILE="+filepath.Join(t.TempDir(), "index"))
	cmd := command(b.dir, env, "git", "update-index", "--index-info")
	cmd.Stdin = strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	out, err := command(b.dir, env, "git", "write-tree").Output()
	if err != nil {
		t.Fatal(err)
	}
	return promotion.Hash(strings.TrimSpace(string(out)))
}

func TestReadAgreesWithGit(t *testing.T) {
	for _, filter := range []string{"true", "false"} {
		t.Run("filter="+filter, func(t *testing.T) {
			s := newGitServer(t)
			b := s.repo("shop.git")
			b.config("uploadpack.allowFilter", filter)
			tree := oddTree(t, b)
			commit := promotion.Hash(b.git("commit-tree", "-m", "odd", string(tree)))
			b.setRef("refs/heads/main", commit)
			r := b.open(Options{})
			ctx := t.Context()
			if err := r.Fetch(ctx, commit); err != nil {
				t.Fatal(err)
			}
			if c := mustCommit(t, r, commit); c.Tree != tree || c.Message != "odd\n" || c.Author.Name != "Ada" || c.Committer.When.Unix() != 1700000000 || c.Signature != "" {
				t.Errorf("%+v", c)
			}
			list, err := r.Walk(ctx, tree, "")
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, f := range list {
				fmt.Fprintf(&got, "%06s %s %s\n", f.Mode, f.Hash, f.Path)
			}
			if want := run(t, b.dir, nil, "git", "ls-tree", "-r", "--format=%(objectmode) %(objectname) %(path)", string(tree)); got.String() != want {
				t.Errorf("Walk says\n%s\ngit says\n%s", &got, want)
			}
			checkLookups(t, r, tree)
			files, err := r.ReadFiles(ctx, tree, []string{"a.b", "run.sh", "a/x", "a", "none", "a/none", "a.b/below"})
			if err != nil || len(files) != 3 || string(files["run.sh"]) != "data\n" {
				t.Errorf("%q %v", files, err)
			}
			for _, path := range []string{"link", "sub", "link/x", "sub/x", "../x", "/a", "a//x", "a/./x", strings.Repeat("d/", 70) + "f", "a\x00b"} {
				if _, err := r.ReadFiles(ctx, tree, []string{path}); !errors.Is(err, ErrPath) {
					t.Errorf("%q: %v, want ErrPath", path, err)
				}
			}
			below, err := r.Walk(ctx, tree, "deep/er")
			if err != nil || len(below) != 1 || below[0].Path != "deep/er/still/f" {
				t.Error(below, err)
			}
			if one, err := r.Walk(ctx, tree, "a.b"); err != nil || len(one) != 1 || one[0].Path != "a.b" {
				t.Error(one, err)
			}
			into, err := r.WalkInto(ctx, tree, func(path string) bool { return path != "a" && path != "deep/er" && path != "run.sh" })
			var names []string
			for _, f := range into {
				names = append(names, f.Path)
			}
			if err != nil || strings.Join(names, " ") != "a.b a0 link sub" {
				t.Error(names, err)
			}
			if none, err := r.Walk(ctx, tree, "nowhere"); err != nil || len(none) != 0 {
				t.Error(none, err)
			}
		})
	}
}

func checkLookups(t *testing.T, r *Remote, tree promotion.Hash) {
	t.Helper()
	for path, mode := range map[string]Mode{"": ModeTree, "a": ModeTree, "a.b": ModeFile, "run.sh": ModeExecutable, "link": ModeSymlink, "sub": ModeGitlink, "deep/er/still/f": ModeFile, "A": 0, "a.b/x": 0} {
		e, ok, err := r.Lookup(t.Context(), tree, path)
		if err != nil || e.Mode != mode || ok != (mode != 0) {
			t.Errorf("Lookup %q: %+v %v %v, want mode %s", path, e, ok, err, mode)
		}
	}
}

// TestReadWithoutFetch: everything is fetched when it is asked for, also when
// the cache holds next to nothing.
func TestReadWithoutFetch(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	one := b.commit("one", files(30))
	two := b.commit("two", map[string]string{"environments/dev/app00003/kustomization.yaml": "x\n", "new": "y\n", "environments/dev/app00004/kustomization.yaml": ""}, one)
	b.setRef("refs/heads/main", two)
	for _, cache := range []int64{0, 1} {
		r := b.open(Options{CacheBytes: cache})
		changes, err := r.Diff(t.Context(), mustCommit(t, r, one).Tree, mustCommit(t, r, two).Tree, "")
		if err != nil || len(changes) != 3 || changes[0].After.Hash == "" || changes[1].After != (Entry{}) || changes[2].Before != (Entry{}) {
			t.Fatalf("cache %d: %+v %v", cache, changes, err)
		}
		list, err := r.Walk(t.Context(), mustCommit(t, r, two).Tree, "")
		if err != nil || len(list) != 30 {
			t.Fatalf("cache %d: %d files, %v", cache, len(list), err)
		}
	}
}

func TestOneRequestForAllBlobs(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	all := map[string]string{}
	var paths []string
	for n := range 28 {
		path := fmt.Sprintf("environments/dev/app%02d/values.yaml", n)
		all[path], paths = fmt.Sprintf("image:\n  tag: 1.0.%d\n", n), append(paths, path)
	}
	h := b.commit("one", all)
	b.setRef("refs/heads/main", h)
	r := b.open(Options{})
	if err := r.Fetch(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	s.calls()
	for range 2 {
		got, err := r.ReadFiles(t.Context(), mustCommit(t, r, h).Tree, paths)
		if err != nil || len(got) != 28 {
			t.Fatal(len(got), err)
		}
	}
	if calls := s.calls(); len(calls) != 1 || calls[0].down > 3000 {
		t.Error(calls)
	}
}

func TestFifteenThousandRefs(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	h := b.commit("one", files(1))
	var packed bytes.Buffer
	packed.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for n := range 15000 {
		fmt.Fprintf(&packed, "%s refs/heads/topic/%05d\n", h, n)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "packed-refs"), packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	b.setRef("refs/heads/main", h)
	b.setRef("refs/heads/main2", h)
	r := b.open(Options{})
	refs, err := r.ExactRefs(t.Context(), "refs/heads/main", "refs/heads/none")
	if err != nil || len(refs) != 1 || refs["refs/heads/main"] != h {
		t.Fatal(refs, err)
	}
	if refs, err = r.Refs(t.Context(), "refs/heads/main"); err != nil || len(refs) != 2 {
		t.Fatal(refs, err)
	}
	calls := s.calls()
	for _, c := range calls {
		if c.up+c.down > 400 {
			t.Error("ref listing grew:", calls)
		}
	}
	if refs, err = r.Refs(t.Context(), "refs/heads/topic/"); err != nil || len(refs) != 15000 {
		t.Fatal(len(refs), err)
	}
	next := write(t, r, h, "next", map[string]FileChange{"x": text("y")})
	if _, err := r.Push(t.Context(), []RefUpdate{{Ref: "refs/heads/main", Old: h, New: next}}, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if b.head("refs/heads/main") != next {
		t.Error("main did not move")
	}
	if _, err := b.open(Options{MaxObjects: 100}).Refs(t.Context()); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

func TestErrorsOfTheServer(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	h := b.commit("one", files(3))
	b.setRef("refs/heads/main", h)
	status := func(code int, header ...string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			for n := 0; n < len(header); n += 2 {
				w.Header().Set(header[n], header[n+1])
			}
			w.WriteHeader(code)
			_, _ = w.Write([]byte("go \x1b[31maway\n" + strings.Repeat("x", 5000)))
		}
	}
	answer := func(body string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			_, _ = w.Write([]byte(body))
		}
	}
	for name, c := range map[string]struct {
		fault func(http.ResponseWriter, *http.Request, http.Handler)
		want  error
		// answered: the capabilities are known, the fault is in the answer.
		answered bool
	}{
		"404":          {status(404), ErrNotFound, false},
		"401":          {status(401), ErrAuthentication, false},
		"403":          {status(403), ErrAuthentication, false},
		"403 and wait": {status(403, "Retry-After", "30"), ErrUnavailable, false},
		"429":          {status(429, "Retry-After", "999999999"), ErrUnavailable, false},
		"502":          {status(502), ErrUnavailable, false},
		"redirect":     {status(301, "Location", "https://user:secret@elsewhere.example/acme/shop.git/x?token=secret"), ErrMoved, false},
		"a web page":   {status(200, "Content-Type", "text/html"), ErrProtocol, false},
		"protocol 0": {func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.Header.Del("Git-Protocol")
			dropProtocol(w, r, next)
		}, ErrProtocol2, false},
		"empty answer":      {answer(""), ErrProtocol, true},
		"cut in a length":   {answer("00"), ErrUnavailable, true},
		"cut in a packet":   {answer("0011packf"), ErrUnavailable, true},
		"odd length":        {answer("zzzz"), ErrProtocol, true},
		"cut in the pack":   {answer("000dpackfile\n0009\x01PAC"), ErrUnavailable, true},
		"a damaged pack":    {answer("000dpackfile\n000a\x01PACKK0000"), ErrProtocol, true},
		"an error packet":   {answer("0014ERR no, not today"), ErrProtocol, true},
		"not our ref":       {answer("0024ERR upload-pack: not our ref 1234"), ErrMissing, true},
		"the last word":     {answer("000dpackfile\n0010\x03out of luck0000"), ErrProtocol, true},
		"nothing but a nak": {answer("0014acknowledgments\n0008NAK\n0000"), ErrProtocol, true},
	} {
		t.Run(name, func(t *testing.T) {
			s.setFault(c.fault)
			defer s.setFault(nil)
			var o Options
			if !c.answered {
				o.Servers = NewServers()
			}
			err := b.open(o).Fetch(t.Context(), h)
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if text := err.Error(); len(text) > 500 || strings.Contains(text, "secret") || strings.ContainsAny(text, "\n\x1b") {
				t.Errorf("the error is not fit to show: %q", text)
			}
			var status *HTTPError
			if errors.As(err, &status) && status.RetryAfter > maxRetryAfter {
				t.Error(status.RetryAfter)
			}
		})
	}
}

// dropProtocol hands a request to the backend as if it asked for protocol 0.
func dropProtocol(w http.ResponseWriter, r *http.Request, next http.Handler) {
	next.(*backend).serve(w, r, "")
}

func TestLimits(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	big := strings.Repeat("0123456789abcdef\n", 20000)
	h := b.commit("one", map[string]string{"big": big, "a/b/c/d": "x"})
	b.setRef("refs/heads/main", h)
	ctx := t.Context()
	tree := mustCommit(t, b.open(Options{}), h).Tree
	if _, err := b.open(Options{MaxBlob: 1000}).ReadFiles(ctx, tree, []string{"big"}); !errors.Is(err, ErrTooLarge) {
		t.Error("blob:", err)
	}
	if _, err := b.open(Options{MaxResponse: 300}).Refs(ctx); err != nil {
		t.Error(err)
	}
	if _, err := b.open(Options{MaxResponse: 600}).ReadFiles(ctx, tree, []string{"big"}); !errors.Is(err, ErrTooLarge) {
		t.Error("response:", err)
	}
	if err := b.open(Options{MaxObjects: 2}).Fetch(ctx, h); !errors.Is(err, ErrTooLarge) {
		t.Error("objects:", err)
	}
	if _, err := b.open(Options{MaxDepth: 2}).Walk(ctx, tree, ""); !errors.Is(err, ErrTooLarge) {
		t.Error("depth:", err)
	}
	if _, err := b.open(Options{MaxObjects: 1}).WriteBlob(make([]byte, 17<<20)); !errors.Is(err, ErrTooLarge) {
		t.Error("written blob:", err)
	}
	if _, err := b.open(Options{PendingBytes: 100}).WriteBlob(make([]byte, 200)); !errors.Is(err, ErrTooLarge) {
		t.Error("pending:", err)
	}
}

// TestTreelessRefused: a server that refuses the filter tree:0 is asked for
// commits with their trees, and remembered.
func TestTreelessRefused(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	one := b.commit("one", files(2))
	two := b.commit("two", files(3), one)
	b.setRef("refs/heads/main", two)
	b.config("uploadpackfilter.allow", "false")
	b.config("uploadpackfilter.blob:none.allow", "true")
	r := b.open(Options{})
	mustCommit(t, r, one)
	s.calls()
	mustCommit(t, r, two)
	if calls := s.calls(); len(calls) != 1 {
		t.Error(calls)
	}
}

// TestWantedMissing: a server that sends something else than was asked for.
func TestWantedMissing(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	one := b.commit("one", files(2))
	two := b.commit("two", map[string]string{"z": "z"}, one)
	b.setRef("refs/heads/main", two)
	s.setFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		swapBody(r, string(two), string(one))
		next.ServeHTTP(w, r)
	})
	r := b.open(Options{})
	if err := r.Fetch(t.Context(), two); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	if _, err := r.Blobs(t.Context(), promotion.Hash(b.loose("blob", "never pushed but here"))); err != nil {
		t.Error(err)
	}
	if _, err := r.Blobs(t.Context(), mustCommit(t, r, one).Tree); !errors.Is(err, ErrMissing) {
		t.Error("a tree taken for a blob:", err)
	}
	if _, err := r.Blobs(t.Context(), "2222222222222222222222222222222222222222"); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	if _, err := r.Blobs(t.Context(), "zz"); err == nil {
		t.Error("not a hash, taken")
	}
}
