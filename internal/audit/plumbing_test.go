package audit

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// git runs stock git on the bare repository and returns what it prints.
func (w *world) git(stdin string, args ...string) string {
	w.Helper()
	cmd := exec.CommandContext(w.ctx, "git", append([]string{"--git-dir=" + w.dir}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_COMMITTER_NAME=x", "GIT_COMMITTER_EMAIL=x@example.com", "GIT_AUTHOR_NAME=x", "GIT_AUTHOR_EMAIL=x@example.com")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

func (w *world) parse(rev string) string { return strings.TrimSpace(w.git("", "rev-parse", rev)) }

// cat is an object's bytes.
func (w *world) cat(rev string) string {
	w.Helper()
	head, data, _ := strings.Cut(w.git(rev+"\n", "cat-file", "--batch"), "\n")
	if strings.HasSuffix(head, " missing") {
		w.Fatal(head)
	}
	return strings.TrimSuffix(data, "\n")
}

// put stores a loose object as it is, however odd, and returns its id.
func (w *world) put(kind, data string) string {
	w.Helper()
	whole := fmt.Sprintf("%s %d\x00%s", kind, len(data), data)
	h := sha1.Sum([]byte(whole))
	id := hex.EncodeToString(h[:])
	w.putAs(id, whole)
	return id
}

var zlibs = sync.Pool{New: func() any { return zlib.NewWriter(io.Discard) }}

// putAs stores a loose object under any id.
func (w *world) putAs(id, whole string) {
	w.Helper()
	var b bytes.Buffer
	z, _ := zlibs.Get().(*zlib.Writer)
	z.Reset(&b)
	_, err := z.Write([]byte(whole))
	w.ok(errors.Join(err, z.Close()))
	zlibs.Put(z)
	name := filepath.Join(w.dir, "objects", id[:2], id[2:])
	w.ok(os.MkdirAll(filepath.Dir(name), 0o700))
	_ = os.Remove(name)
	w.ok(os.WriteFile(name, b.Bytes(), 0o600))
}

// packed puts all objects into one pack, and names its file with an ending, which can
// be written to.
func (w *world) packed(ending string) string {
	w.Helper()
	w.git("", "gc", "-q", "--prune=now")
	names, err := filepath.Glob(filepath.Join(w.dir, "objects", "pack", "pack-*"+ending))
	w.ok(err)
	if len(names) != 1 {
		w.Fatal(names)
	}
	w.ok(os.Chmod(names[0], 0o600))
	return names[0]
}

// set moves a branch, in the way that nobody can refuse.
func (w *world) set(ref, id string) {
	w.Helper()
	name := filepath.Join(w.dir, filepath.FromSlash(ref))
	w.ok(os.MkdirAll(filepath.Dir(name), 0o700))
	w.ok(os.WriteFile(name, []byte(id+"\n"), 0o600))
}

// parseCommit takes a commit's object apart.
func parseCommit(id oid, raw []byte) (*commit, error) {
	c := new(commit)
	return c, c.parse(id, string(raw))
}

// unsignedCommit is a raw commit without its signature.
func unsignedCommit(raw string) string {
	c, err := parseCommit(oid{}, []byte(raw))
	if err != nil {
		panic(err)
	}
	return string(c.payload(nil))
}

// signed puts a signature into a raw commit.
func signedCommit(raw, armoured string) string {
	head, message, _ := strings.Cut(raw, "\n\n")
	return head + "\ngpgsig " + strings.ReplaceAll(strings.TrimSuffix(armoured, "\n"), "\n", "\n ") + "\n\n" + message
}

// amend rewrites the commit at a ref; key signs it anew, nil leaves the old
// signature.
func (w *world) amend(ref string, key *sign.Key, edit func(raw string) string) {
	w.Helper()
	raw := w.cat(ref)
	if key == nil {
		w.set(ref, w.put("commit", edit(raw)))
		return
	}
	raw = edit(unsignedCommit(raw))
	armoured, err := key.Sign([]byte(raw))
	w.ok(err)
	w.set(ref, w.put("commit", signedCommit(raw, armoured)))
}

// withFiles is a tree with files written or, where empty, removed.
func (w *world) withFiles(tree string, files map[string]string) string {
	w.Helper()
	for path, text := range files {
		e := entry{}
		if text != "" {
			e = w.entry(modeFile, w.put("blob", text))
		}
		tree = w.withEntry(tree, path, e)
	}
	return tree
}

// entry is an entry of a tree, whatever stands under its id.
func (w *world) entry(mode uint32, id string) entry {
	w.Helper()
	o, ok := parseOID(promotion.Hash(id))
	if !ok {
		w.Fatal(id)
	}
	return entry{mode: mode, id: o}
}

// withEntry is a tree with an entry at a path, or without it.
func (w *world) withEntry(tree, path string, e entry) string {
	w.Helper()
	r, err := openRepository(w.dir)
	w.ok(err)
	defer r.close()
	root := w.grafted(newObjects(r), w.entry(modeTree, tree), strings.Split(path, "/"), e)
	return root.id.String()
}

// grafted is a tree with one entry written or removed.
func (w *world) grafted(o *objects, at entry, path []string, leaf entry) entry {
	w.Helper()
	if len(path) == 0 {
		return leaf
	}
	var entries []entry
	if at.mode == modeTree {
		var err error
		entries, err = o.tree(at.id)
		w.ok(err)
	}
	i := slices.IndexFunc(entries, func(e entry) bool { return e.name == path[0] })
	old := entry{}
	if i >= 0 {
		old = entries[i]
	}
	made := w.grafted(o, old, path[1:], leaf)
	made.name = path[0]
	entries = slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.name == path[0] })
	if made.mode != 0 {
		entries = append(entries, made)
	}
	if len(entries) == 0 && len(path) > 0 && at.name != "" {
		return entry{}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(sortKey(a), sortKey(b)) })
	var data strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&data, "%o %s\x00%s", e.mode, e.name, e.id[:])
	}
	id, _ := parseOID(promotion.Hash(w.put("tree", data.String())))
	return entry{name: at.name, mode: modeTree, id: id}
}

// amendFiles rewrites the files of a ledger's tip and signs it anew.
func (w *world) amendFiles(files map[string]string) {
	w.Helper()
	old := w.parse("rung/ledger^{tree}")
	tree := w.withFiles(old, files)
	w.amend("refs/heads/rung/ledger", w.key, func(raw string) string { return strings.Replace(raw, old, tree, 1) })
}

// forge adds a ledger commit that rung's key signs: files as given, trailers for
// the records.
func (w *world) forge(files map[string]string, records ...promotion.LedgerEntry) {
	w.Helper()
	w.forgeAt("", files, records...)
}

// forgeAt is forge with another Promotion-Base.
func (w *world) forgeAt(base string, files map[string]string, records ...promotion.LedgerEntry) {
	w.Helper()
	t, err := ledger.ParseTrailers(w.git("", "log", "-1", "--format=%B", "rung/ledger"))
	w.ok(err)
	t.Groups = nil
	t.Base = cmp.Or(promotion.Hash(base), t.Base)
	for _, e := range records {
		t.Groups = append(t.Groups, ledger.GroupOf(e.Record, e.Statement))
	}
	w.tick()
	raw := fmt.Sprintf("tree %s\nparent %s\nauthor rung <r@example.com> %d +0000\ncommitter rung <r@example.com> %d +0000\n\nforged\n\n%s",
		w.withFiles(w.parse("rung/ledger^{tree}"), files), w.parse("rung/ledger"), w.now.Unix(), w.now.Unix(), t)
	armoured, err := w.key.Sign([]byte(raw))
	w.ok(err)
	w.set("refs/heads/rung/ledger", w.put("commit", signedCommit(raw, armoured)))
}

// adopted records the base branch's newest commits as configuration, as rung
// would.
func (w *world) adopted() {
	w.Helper()
	to := promotion.Hash(w.parse("main"))
	r := promotion.Record{
		Format: 1, Kind: promotion.RecordAdopt, Repository: promotion.RecordRepository{URI: identity.URI, ID: identity.Repository, App: identity.App},
		Range: &promotion.RecordRange{To: to}, IssuedAt: w.now.AddDate(0, 0, 1),
	}
	if last := w.state.Range; last != nil {
		r.Previous = &promotion.RecordLink{Statement: last.Statement, Blob: last.Blob}
	}
	line, e := w.encode(r)
	w.forgeAt(string(to), map[string]string{ledger.RangePath: line}, e)
}

// follow seals a record that goes on from what stands in a ledger file.
func (w *world) follow(path string, edit func(*promotion.Record)) {
	w.Helper()
	entries, problem := decodeRecords([]byte(w.cat("rung/ledger:"+path)), ledger.Decoder{Keys: mustTrust(w).keys})
	if problem != nil {
		w.Fatal(problem)
	}
	newest := entries[len(entries)-1]
	r := newest.Record
	r.Previous = &promotion.RecordLink{Statement: newest.Statement, Blob: promotion.Hash(w.parse("rung/ledger:" + path))}
	r.IssuedAt = w.now.AddDate(0, 0, 1)
	edit(&r)
	line, e := w.encode(r)
	w.forge(map[string]string{path: line}, e)
}

// encode seals a record as rung would.
func (w *world) encode(r promotion.Record) (string, promotion.LedgerEntry) {
	w.Helper()
	line, statement, err := ledger.Encode(r, signer{w.key})
	w.ok(err)
	return string(line) + "\n", promotion.LedgerEntry{Record: r, Statement: statement}
}
