package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/manifest"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

const (
	rungYAML = `version: 1
mode: merge
artifacts:
  checkout: {image: registry.example.com/acme/checkout}
  cart: {image: registry.example.com/acme/cart}
environments:
  dev: {}
  staging: {after: [dev]}
  prod: {after: [staging]}
`
	deployment = "kind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n"
	workflow   = ".github/workflows/ci.yaml"
)

// signer lends a key to the ledger.
type signer struct{ key *sign.Key }

func (s signer) KeyID() string                       { return s.key.Public().Fingerprint() }
func (s signer) AuthorizedKey() string               { return s.key.Public().AuthorizedKey() }
func (s signer) SignBytes(m []byte) ([]byte, error)  { return s.key.SignRaw(m) }
func (s signer) SignCommit(m []byte) (string, error) { return s.key.Sign(m) }
func digest(name, version string) promotion.Digest {
	return promotion.Digest("sha256:" + sum(name+version))
}

func pair(e, a string) promotion.Pair {
	return promotion.Pair{Environment: promotion.Environment(e), Artifact: promotion.Artifact(a)}
}
func kustomization(e string) string { return "environments/" + e + "/kustomization.yaml" }
func sum(s string) string           { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }

func value(a promotion.Artifact, v string) promotion.Value {
	return promotion.Value{Version: promotion.Version(v), Digest: digest(string(a), v)}
}

// world is a repository that grows as rung would have it grow. Everything stays
// in memory until push.
type world struct {
	testing.TB
	ctx context.Context
	dir string // the bare repository
	key *sign.Key
	// root signs the trust lists, old is a release key of before; nil for none.
	root, old *sign.Key
	server    gitstore.Repository
	remote    *gitrepo.Remote
	writer    *ledger.Writer
	now       time.Time

	state    promotion.LedgerState
	base     promotion.Hash
	branches map[string]promotion.Hash
	number   int
	pushed   map[string]promotion.Hash
	// told are the records so far.
	told []promotion.LedgerEntry
	// options are those of the Verify that an attack is found with.
	options Options
}

var identity = ledger.Identity{Repository: 7, App: 42, URI: "https://git.example.com/acme/deploy"}

func newKey(t testing.TB) *sign.Key {
	t.Helper()
	k, err := sign.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store := gitmem.New(gitstore.Options{})
	repo, err := store.Create("acme", "deploy", "main")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.StripPrefix("/acme/deploy.git", repo.Handler()))
	t.Cleanup(server.Close)
	remote, err := gitrepo.Open(server.URL+"/acme/deploy.git", server.Client(), gitrepo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		TB: t, ctx: t.Context(), dir: filepath.Join(t.TempDir(), "deploy.git"), server: repo, key: newKey(t), remote: remote,
		now: time.Date(2025, 3, 1, 9, 0, 0, 0, time.UTC), branches: map[string]promotion.Hash{},
		state: promotion.LedgerState{
			Live: map[promotion.Pair]promotion.LiveEntry{}, Open: map[promotion.Pair]promotion.LedgerEntry{},
			Quarantine: map[promotion.Digest]promotion.LedgerEntry{}, Freezes: map[string]promotion.LedgerEntry{},
		},
	}
	w.writer = ledger.NewWriter(signer{w.key}, identity, ledger.Author{Name: "rung", Email: "rung@example.com"})
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) tick() { w.now = w.now.Add(time.Minute) }

// tree is a commit's tree.
func (w *world) tree(commit promotion.Hash) promotion.Hash {
	w.Helper()
	c, err := w.remote.Commit(w.ctx, commit)
	w.ok(err)
	return c.Tree
}

func (w *world) file(commit promotion.Hash, path string) []byte {
	w.Helper()
	files, err := w.remote.ReadFiles(w.ctx, w.tree(commit), []string{path})
	w.ok(err)
	return files[path]
}

// edits turns texts into changes; an empty text removes the file.
func edits(files map[string]string) map[string]gitrepo.FileChange {
	changes := map[string]gitrepo.FileChange{}
	for path, text := range files {
		changes[path] = gitrepo.FileChange{Data: []byte(text), Delete: text == ""}
	}
	return changes
}

// commit makes a commit of anybody's: not signed unless by says so.
func (w *world) commit(tree promotion.Hash, message string, by func([]byte) (string, error), parents ...promotion.Hash) promotion.Hash {
	w.Helper()
	w.tick()
	who := gitrepo.Ident{Name: "alice", Email: "alice@example.com", When: w.now}
	if by != nil {
		who = gitrepo.Ident{Name: "rung", Email: "rung@example.com", When: w.now}
	}
	id, err := w.remote.WriteCommit(w.ctx, gitrepo.CommitSpec{Tree: tree, Parents: parents, Author: who, Committer: who, Message: message, Sign: by})
	w.ok(err)
	return id
}

// hand commits files to the base branch, as a person would.
func (w *world) hand(message string, files map[string]string) promotion.Hash {
	w.Helper()
	tree, err := w.remote.Rewrite(w.ctx, w.tree(w.base), edits(files))
	w.ok(err)
	w.base = w.commit(tree, message, nil, w.base)
	return w.base
}

// append records, as decide and act would; the ledger's base moves to base.
func (w *world) append(base promotion.Hash, records ...promotion.Record) []promotion.LedgerEntry {
	w.Helper()
	w.tick()
	for i := range records {
		records[i].Base = promotion.RecordBase{Ref: "refs/heads/main", Judged: cmp.Or(records[i].Base.Judged, w.base)}
		if records[i].Actor.Kind == "" {
			records[i].Actor = promotion.Actor{Kind: "rung"}
		}
	}
	done, err := w.writer.Append(w.ctx, w.remote, w.state, records, base, w.now)
	w.ok(err)
	if w.state.Tip == "" {
		w.state.First = done.Commits[0]
	}
	w.state.Tip = done.Tip
	if base != "" {
		w.state.Base = base
	}
	for _, e := range done.Entries {
		w.remember(e)
	}
	w.told = append(w.told, done.Entries...)
	return done.Entries
}

func (w *world) remember(e promotion.LedgerEntry) {
	p := ledger.PairOf(e.Record)
	w.state.IssuedAt = e.Record.IssuedAt
	switch e.Record.Kind {
	case promotion.RecordLand, promotion.RecordAdopt:
		if e.Record.Artifact == nil {
			w.state.Range = &e
			return
		}
		w.state.Live[p] = promotion.LiveEntry{Land: e}
		if e.Record.Kind == promotion.RecordLand {
			delete(w.state.Open, p)
		}
	case promotion.RecordSettle:
		l := w.state.Live[p]
		l.Settle, l.Land.Blob = &e, e.Blob
		w.state.Live[p] = l
	case promotion.RecordQuarantine, promotion.RecordUnquarantine:
		w.state.Quarantine[e.Record.Digest] = e
	case promotion.RecordFreeze, promotion.RecordUnfreeze:
		w.state.Freezes[e.Record.Scope] = e
	case promotion.RecordAnnounce:
		if w.state.Announced == nil {
			w.state.Announced = map[promotion.Artifact][]promotion.LedgerEntry{}
		}
		same := func(old promotion.LedgerEntry) bool { return old.Record.Artifact.Version == e.Record.Artifact.Version }
		list := append(slices.DeleteFunc(w.state.Announced[p.Artifact], same), e)
		w.state.Announced[p.Artifact] = list[max(0, len(list)-ledger.KeepAnnounced):]
	default:
		w.state.Open[p] = e
	}
}

func artifact(a promotion.Artifact, v promotion.Value) *promotion.RecordArtifact {
	return &promotion.RecordArtifact{Name: a, Version: v.Version, Digest: v.Digest}
}

// start makes the base branch and the ledger that adopts it.
func (w *world) start() {
	w.Helper()
	files := map[string]string{"rung.yaml": rungYAML, "README.md": "deploy\n", workflow: "on: push\n"}
	var records []promotion.Record
	for _, e := range []string{"dev", "staging", "prod"} {
		text := "kind: Kustomization\nresources: [deployment.yaml]\nimages:\n"
		for _, a := range []promotion.Artifact{"cart", "checkout"} {
			text += fmt.Sprintf("  - name: registry.example.com/acme/%s\n    newTag: 1.0.0\n    digest: %s\n", a, digest(string(a), "1.0.0"))
		}
		files[kustomization(e)] = text
		files["environments/"+e+"/deployment.yaml"] = deployment
		for _, a := range []promotion.Artifact{"cart", "checkout"} {
			v := value(a, "1.0.0")
			records = append(records, promotion.Record{
				Kind: promotion.RecordAdopt, Environment: promotion.Environment(e), Artifact: artifact(a, v), Reason: "found at onboarding",
				Places: []promotion.PlaceChange{{Path: kustomization(e), Locator: "kustomize:0:images[name=registry.example.com/acme/" + string(a) + "]", After: v}},
			})
		}
	}
	tree, err := w.remote.Rewrite(w.ctx, "", edits(files))
	w.ok(err)
	w.base = w.commit(tree, "begin", nil)
	w.append(w.base, records...)
}

// edited writes a version into a pair's file at a commit.
func (w *world) edited(commit promotion.Hash, p promotion.Pair, v promotion.Value) (string, []promotion.PlaceChange) {
	w.Helper()
	path := kustomization(string(p.Environment))
	out, changes, err := manifest.Edit(path, w.file(commit, path), manifest.Artifact{Name: p.Artifact, Image: "registry.example.com/acme/" + string(p.Artifact)}, v, manifest.PinDigest)
	w.ok(err)
	return string(out), changes
}

// ride is one promotion on its way, and how it may go wrong.
type ride struct {
	pair     promotion.Pair
	version  string
	from     string // environment
	restores string
	squash   bool
	byHand   bool
	unmet    []string
	// The ways to go wrong.
	noAuthorize bool
	withdrawn   bool
	branchFiles map[string]string // more in the promotion commit
	mergeFiles  map[string]string // more in the merge
	record      func(*promotion.Record)
	authorize   func(*promotion.Record)
	landed      func(*promotion.Record)
	executable  bool            // the merge sets the file's mode
	otherHead   bool            // merge another commit than was authorised
	onlyOpen    bool            // stop before the merge
	noLand      bool            // stop before the land
	unsigned    bool            // the promotion commit bears no signature
	lands       promotion.Value // what the merge writes instead
}

// propose plans, commits and authorises.
func (w *world) propose(r ride) (head promotion.Hash, authorized promotion.LedgerEntry, at promotion.Hash) {
	w.Helper()
	v := value(r.pair.Artifact, r.version)
	text, places := w.edited(w.base, r.pair, v)
	files := map[string]string{kustomization(string(r.pair.Environment)): text}
	maps.Copy(files, r.branchFiles)
	tree, err := w.remote.Rewrite(w.ctx, w.tree(w.base), edits(files))
	w.ok(err)
	w.number++
	rec := promotion.Record{
		Kind: promotion.RecordPropose, Promotion: sum(fmt.Sprint(r.pair, r.version, w.number))[:16], Environment: r.pair.Environment,
		Artifact: artifact(r.pair.Artifact, v), Places: places, Restores: r.restores, PullRequest: &promotion.RecordPullRequest{Tree: tree},
	}
	if r.from != "" {
		rec.From = &promotion.RecordFrom{Environment: promotion.Environment(r.from), Statement: w.state.Live[pair(r.from, string(r.pair.Artifact))].Land.Statement}
	}
	if r.record != nil {
		r.record(&rec)
	}
	e := w.append("", rec)[0]
	by := w.key.Sign
	if r.unsigned {
		by = nil
	}
	t := ledger.Trailers{Groups: []ledger.TrailerGroup{ledger.GroupOf(e.Record, "")}, Ledger: w.state.Tip}
	head = w.commit(tree, fmt.Sprintf("Promote %s to %s\n\n%s", r.pair, r.version, t), by, w.base)
	w.branches[promotion.PromotionBranch(r.pair)] = head
	authorized = e
	if !r.noAuthorize {
		a := e.Record
		a.Kind, a.Previous, a.IssuedAt = promotion.RecordAuthorize, nil, time.Time{}
		a.PullRequest = &promotion.RecordPullRequest{Number: w.number, Head: head, Tree: tree}
		if r.authorize != nil {
			r.authorize(&a)
		}
		authorized = w.append("", a)[0]
	}
	if r.withdrawn {
		x := authorized.Record
		x.Kind, x.Previous, x.IssuedAt, x.Reason = promotion.RecordWithdraw, nil, time.Time{}, promotion.WithdrawStale
		authorized = w.append("", x)[0]
	}
	return head, authorized, w.state.Tip
}

// promote takes a promotion through to its land.
func (w *world) promote(r ride) promotion.LedgerEntry {
	w.Helper()
	head, authorized, cited := w.propose(r)
	if r.onlyOpen {
		return authorized
	}
	first := w.base
	if r.otherHead {
		head = w.commit(w.tree(head), "another head", nil, first)
	}
	text, places := w.edited(first, r.pair, cmp.Or(r.lands, value(r.pair.Artifact, r.version)))
	files := map[string]string{kustomization(string(r.pair.Environment)): text}
	maps.Copy(files, r.branchFiles)
	maps.Copy(files, r.mergeFiles)
	changes := edits(files)
	if path := kustomization(string(r.pair.Environment)); r.executable {
		changes[path] = gitrepo.FileChange{Data: changes[path].Data, Mode: gitrepo.ModeExecutable}
	}
	tree, err := w.remote.Rewrite(w.ctx, w.tree(first), changes)
	w.ok(err)
	parents := []promotion.Hash{first, head}
	method := "merge"
	if r.squash {
		parents, method = parents[:1], "squash"
	}
	message := fmt.Sprintf("Merge pull request #%d", w.number)
	if !r.byHand {
		message += "\n\n" + ledger.Trailers{Groups: []ledger.TrailerGroup{ledger.GroupOf(authorized.Record, "")}, Ledger: cited}.String()
	}
	w.base = w.commit(tree, message, nil, parents...)
	if r.noLand {
		return authorized
	}
	land := authorized.Record
	land.Kind, land.Previous, land.IssuedAt, land.Reason, land.Places = promotion.RecordLand, nil, time.Time{}, "", places
	land.Landed = &promotion.RecordLanded{Commit: w.base, FirstParent: first, Method: method, ByHand: r.byHand, Unmet: r.unmet}
	if r.byHand {
		land.Actor = promotion.Actor{Kind: "person", Person: promotion.Person{ID: 5, Login: "alice"}}
	}
	if r.landed != nil {
		r.landed(&land)
	}
	return w.append(w.base, land)[0]
}

// settle ends the verification of what is live.
func (w *world) settle(p promotion.Pair, outcome string) promotion.LedgerEntry {
	w.Helper()
	return w.append("", promotion.Record{
		Kind: promotion.RecordSettle, Environment: p.Environment, Artifact: w.state.Live[p].Land.Record.Artifact, Outcome: outcome,
	})[0]
}

func (w *world) quarantine(kind promotion.RecordKind, d promotion.Digest) {
	w.Helper()
	w.append("", promotion.Record{Kind: kind, Digest: d, Reason: "it leaks", Actor: promotion.Actor{Kind: "person"}})
}

// changed commits a version by hand and returns its adopt record.
func (w *world) changed(p promotion.Pair, version string) promotion.Record {
	w.Helper()
	v := value(p.Artifact, version)
	first := w.base
	text, places := w.edited(first, p, v)
	commit := w.hand("by hand", map[string]string{kustomization(string(p.Environment)): text})
	return promotion.Record{
		Kind: promotion.RecordAdopt, Environment: p.Environment, Artifact: artifact(p.Artifact, v), Places: places, Reason: "changed by hand",
		Actor:  promotion.Actor{Kind: "person", Person: promotion.Person{ID: 5, Login: "alice"}},
		Landed: &promotion.RecordLanded{Commit: commit, FirstParent: first, Method: "squash", ByHand: true},
	}
}

// push sends everything to the server, and lays its repository down as a bare
// one on disk.
func (w *world) push() *world {
	w.Helper()
	heads := maps.Clone(w.branches)
	heads["refs/heads/main"], heads[promotion.LedgerRef] = w.base, w.state.Tip
	var updates []gitrepo.RefUpdate
	for _, ref := range slices.Sorted(maps.Keys(heads)) {
		if u := (gitrepo.RefUpdate{Ref: ref, Old: w.pushed[ref], New: heads[ref], First: ref == promotion.LedgerRef}); u.Old != u.New {
			updates = append(updates, u)
		}
	}
	w.pushed = heads
	_, err := w.remote.Push(w.ctx, updates, gitrepo.PushOptions{})
	w.ok(err)
	for file, text := range map[string]string{
		"HEAD": "ref: refs/heads/main\n", "config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n", "objects/info/keep": "",
	} {
		name := filepath.Join(w.dir, filepath.FromSlash(file))
		w.ok(os.MkdirAll(filepath.Dir(name), 0o700))
		w.ok(os.WriteFile(name, []byte(text), 0o600))
	}
	refs, err := w.server.Refs(w.ctx, "refs/")
	w.ok(err)
	done := map[string]bool{}
	for ref, id := range refs {
		w.set(ref, id)
		w.lay(id, done)
	}
	return w
}

// lay writes an object and all that it names as loose objects.
func (w *world) lay(id string, done map[string]bool) {
	w.Helper()
	if done[id] {
		return
	}
	done[id] = true
	kind, data, err := w.server.ReadObject(w.ctx, id)
	w.ok(err)
	w.put(kind, string(data))
	switch kind {
	case "commit":
		c, err := parseCommit(oid{}, data)
		w.ok(err)
		w.lay(c.tree.String(), done)
		for _, p := range c.parents {
			w.lay(p.String(), done)
		}
	case "tree":
		entries, err := parseTree(data)
		w.ok(err)
		for _, e := range entries {
			w.lay(e.id.String(), done)
		}
	}
}

// story is a repository with a bit of everything, not yet pushed.
func story(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.tell()
	return w
}

// tell makes it.
func (w *world) tell() {
	w.Helper()
	w.start()
	dev, staging := pair("dev", "checkout"), pair("staging", "checkout")
	first := w.promote(ride{pair: dev, version: "1.1.0"})
	w.settle(dev, promotion.SettledGood)
	w.promote(ride{pair: staging, version: "1.1.0", from: "dev", squash: true, byHand: true})
	w.settle(staging, promotion.SettledGood)
	from := w.base
	to := w.hand("more replicas", map[string]string{"environments/prod/deployment.yaml": strings.Replace(deployment, "2", "3", 1)})
	adopt := w.changed(pair("dev", "cart"), "2.0.0")
	w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{From: from, To: to}, Actor: promotion.Actor{Kind: "person"}}, adopt)
	w.promote(ride{pair: dev, version: "1.2.0"})
	w.settle(dev, promotion.SettledBad)
	w.quarantine(promotion.RecordQuarantine, digest("checkout", "1.2.0"))
	w.promote(ride{pair: dev, version: "1.1.0", restores: first.Statement, squash: true})
	w.append("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "prod/checkout", Reason: "sale"})
	w.promote(ride{pair: pair("prod", "checkout"), version: "1.1.0", from: "staging", onlyOpen: true, withdrawn: true})
	w.append("", promotion.Record{Kind: promotion.RecordUnfreeze, Scope: "prod/checkout"})
	w.promote(ride{pair: pair("prod", "checkout"), version: "1.1.0", from: "staging", onlyOpen: true})
	w.settle(dev, promotion.SettledGood)
}

// verify runs Verify and returns the codes found, sorted, each once.
func (w *world) verify(o Options) (Report, string) {
	w.Helper()
	report, err := Verify(w.ctx, w.dir, o)
	w.ok(err)
	return report, codes(report)
}

func codes(r Report) string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, string(f.Code))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

func show(r Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%s %s %s/%s\n\twant %s\n\tgot %s", f.Code, f.Object, f.Environment, f.Artifact, f.Expected, f.Found)
	}
	return b.String()
}
