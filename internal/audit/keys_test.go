package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// rotation is what the next rotate statement of a world stands on.
func (w *world) rotation() ledger.Rotation {
	w.Helper()
	r := ledger.Rotation{Repository: promotion.RecordRepository{URI: identity.URI, ID: identity.Repository, App: identity.App}, Tip: w.state.Tip, Standing: w.state.Trust}
	if r.Standing != nil {
		var err error
		r.Before, err = ledger.TrustOf(r.Standing.Record)
		w.ok(err)
	} else if r.Tip != "" {
		signers, err := sign.ParseAllowedSigners(w.file(w.state.Tip, ledger.SignersPath))
		w.ok(err)
		r.Before = ledger.TrustList{Signers: signers}
	}
	return r
}

// pend lets the next append carry a rotate statement by a root key.
func (w *world) pend(root *sign.Key, c ledger.TrustChange) promotion.LedgerEntry {
	w.Helper()
	line, e, err := w.rotation().Sign(root, c, w.now)
	w.ok(err)
	w.state.Pending = string(line)
	return e
}

// carry carries a rotate statement with records, or alone.
func (w *world) carry(root *sign.Key, c ledger.TrustChange, records ...promotion.Record) {
	w.Helper()
	e := w.pend(root, c)
	w.append("", records...)
	w.state.Pending, w.state.Trust = "", &e
}

// use goes on with another release key.
func (w *world) use(key *sign.Key) {
	w.old, w.key = w.key, key
	w.writer = ledger.NewWriter(signer{key}, identity, ledger.Author{Name: "rung", Email: "rung@example.com"})
}

// rooted begins a ledger with a root key.
func (w *world) rooted() {
	w.Helper()
	w.root = newKey(w)
	e := w.pend(w.root, ledger.TrustChange{Roots: []sign.PublicKey{w.root.Public()}, Release: []sign.PublicKey{w.key.Public()}})
	w.start()
	w.state.Pending, w.state.Trust = "", &e
	w.promote(ride{pair: pair("dev", "checkout"), version: "1.1.0"})
	w.settle(pair("dev", "checkout"), promotion.SettledGood)
}

// rotated goes on to a second release key, whose predecessor has another hour, and
// leaves a promotion open.
func (w *world) rotated() {
	w.Helper()
	w.rooted()
	w.propose(ride{pair: pair("staging", "checkout"), version: "1.1.0", from: "dev"})
	fresh := newKey(w)
	w.carry(w.root, ledger.TrustChange{Release: []sign.PublicKey{fresh.Public()}, End: w.now.Add(time.Hour)}, promotion.Record{Kind: promotion.RecordFreeze, Scope: "prod"})
	w.use(fresh)
	w.now = w.now.Add(2 * time.Hour)
	w.append("", promotion.Record{Kind: promotion.RecordUnfreeze, Scope: "prod"})
	w.promote(ride{pair: pair("dev", "checkout"), version: "1.2.0"})
	w.settle(pair("dev", "checkout"), promotion.SettledGood)
	w.promote(ride{pair: pair("prod", "cart"), version: "1.1.0", onlyOpen: true})
}

// cut revokes the release key behind the tip and goes on with another.
func (w *world) cut(before func()) {
	w.Helper()
	w.rooted()
	cut, at := w.state.Tip, w.now
	if before != nil {
		before()
	}
	fresh, stolen := newKey(w), w.key
	c := ledger.TrustChange{
		Release: []sign.PublicKey{fresh.Public()}, Revoke: []promotion.Revocation{{Key: stolen.Public().Fingerprint(), After: cut, Reason: "a laptop was stolen"}},
		Cuts: map[string]time.Time{stolen.Public().Fingerprint(): at},
	}
	w.use(fresh)
	w.carry(w.root, c)
	w.promote(ride{pair: pair("dev", "checkout"), version: "1.2.0"})
	w.settle(pair("dev", "checkout"), promotion.SettledGood)
}

// forgeAs adds a ledger commit that says nothing, signed by another key.
func (w *world) forgeAs(key *sign.Key) {
	mine := w.key
	w.key = key
	w.forge(nil)
	w.key = mine
}

// dated gives the ledger's tip another committer date, and signs it anew.
func (w *world) dated(key *sign.Key, at time.Time) {
	w.Helper()
	w.amend(ledgerRef, key, func(raw string) string {
		i := strings.Index(raw, "committer ")
		line, rest, _ := strings.Cut(raw[i:], "\n")
		return raw[:i] + line[:strings.LastIndexByte(line, '>')+1] + fmt.Sprintf(" %d +0000\n", at.Unix()) + rest
	})
}

// trustFiles are the trust list's files as a forger would write them for a statement.
func trustFiles(w *world, line string, r promotion.Record) map[string]string {
	revoked, err := ledger.RevocationsFile(r.Trust.Revoked)
	w.ok(err)
	return map[string]string{ledger.TrustPath: line + "\n", ledger.SignersPath: r.Keys, ledger.RevocationsPath: string(revoked)}
}

// forgeRotate adds a ledger commit by key with a statement by signer that edit made
// out of what would be right.
func (w *world) forgeRotate(key, by *sign.Key, c ledger.TrustChange, edit func(*promotion.Record)) {
	w.Helper()
	rotation := w.rotation()
	signers, revoked, err := rotation.Apply(c)
	w.ok(err)
	keys, err := sign.FormatAllowedSigners(signers)
	w.ok(err)
	r := promotion.Record{
		Format: 1, Kind: promotion.RecordRotate, Repository: rotation.Repository, Actor: promotion.Actor{Kind: "person"}, Keys: string(keys), IssuedAt: w.now,
		Trust:    &promotion.RecordTrust{Serial: rotation.Standing.Record.Trust.Serial + 1, Ledger: rotation.Tip, Revoked: revoked},
		Previous: &promotion.RecordLink{Statement: rotation.Standing.Statement, Blob: rotation.Standing.Blob},
	}
	if edit != nil {
		edit(&r)
	}
	line, statement, err := ledger.Encode(r, signer{by})
	w.ok(err)
	mine := w.key
	w.key = key
	w.forge(trustFiles(w, string(line), r), promotion.LedgerEntry{Record: r, Statement: statement})
	w.key = mine
}

func released(keys ...*sign.Key) ledger.TrustChange {
	var c ledger.TrustChange
	for _, k := range keys {
		c.Release = append(c.Release, k.Public())
	}
	return c
}

// Attacks on a ledger that went from one release key to the next by a root key's
// word.
var _ = tampering(scene{grow: (*world).rotated, attacks: []attack{
	{4, "the root key signs a ledger commit", "SIGNER_ROLE", 1, func(w *world) { w.forgeAs(w.root) }},
	{5, "expired key, honest date", "KEY_NOT_VALID", 1, func(w *world) { w.forgeAs(w.old) }},
	{5, "expired key, back-dated into its time", "CLOCK_REGRESSION KEY_NOT_VALID", 1, func(w *world) {
		w.forgeAs(w.old)
		w.dated(w.old, w.state.Trust.Record.IssuedAt.Add(30*time.Minute))
	}},
	{5, "key in its time, back-dated", "CLOCK_REGRESSION", 1, func(w *world) {
		w.forgeAs(w.key)
		w.dated(w.key, w.state.Trust.Record.IssuedAt.Add(30*time.Minute))
	}},
	{5, "a promotion commit signed anew by the expired key, back-dated, and merged", "KEY_NOT_VALID LAND_PENDING", 1, func(w *world) {
		raw := unsignedCommit(w.cat("rung/p/prod/cart"))
		i := strings.Index(raw, "committer ")
		line, rest, _ := strings.Cut(raw[i:], "\n")
		raw = raw[:i] + line[:strings.LastIndexByte(line, '>')+1] + fmt.Sprintf(" %d +0000\n", w.state.Trust.Record.IssuedAt.Unix()) + rest
		armoured, err := w.old.Sign([]byte(raw))
		w.ok(err)
		id := w.put("commit", signedCommit(raw, armoured))
		w.set("refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", "rung/p/prod/cart^{tree}", "-p", "main", "-p", id, "-m", "merge")))
	}},
	{7, "revocation list removed", "TRUST_CONFIG", 1, func(w *world) { w.forge(map[string]string{ledger.RevocationsPath: ""}) }},
	{7, "revocation list changed alone", "TRUST_CONFIG", 1, func(w *world) { w.forge(map[string]string{ledger.RevocationsPath: "[{}]\n"}) }},
	{7, "rotate statement removed", "TRUST_CONFIG", 1, func(w *world) { w.forge(map[string]string{ledger.TrustPath: ""}) }},
	{7, "a root's list whose timestamp has no Z", "TRUST_CONFIG", 1, func(w *world) {
		w.forgeRotate(w.key, w.root, released(newKey(w)), func(r *promotion.Record) {
			r.Keys = strings.Replace(r.Keys, `Z"`, `"`, 1)
		})
	}},
	{7, "a root's list without a key that signed before", "TRUST_CONFIG", 1, func(w *world) {
		w.forgeRotate(w.key, w.root, released(newKey(w)), func(r *promotion.Record) {
			lines := slices.DeleteFunc(strings.SplitAfter(r.Keys, "\n"), func(l string) bool { return strings.Contains(l, w.old.Public().AuthorizedKey()) })
			r.Keys = strings.Join(lines, "")
		})
	}},
	{7, "a root's list with other files beside it", "TRUST_CONFIG", 1, func(w *world) {
		w.forgeRotate(w.key, w.root, released(newKey(w)), nil)
		w.amendFiles(map[string]string{ledger.SignersPath: w.cat("rung/ledger:allowed_signers") + "rung " + newKey(w).Public().AuthorizedKey() + "\n"})
	}},
	{7, "a root's list without a root key", "TRUST_CONFIG", 1, func(w *world) {
		w.forgeRotate(w.key, w.root, released(newKey(w)), func(r *promotion.Record) { r.Keys = r.Keys[strings.Index(r.Keys, "\n")+1:] })
	}},
	{12, "own key brought along below a root", "TRUST_SELF_AUTHORISED", 1, func(w *world) {
		key := newKey(w)
		w.forge(map[string]string{ledger.SignersPath: w.cat("rung/ledger:allowed_signers") + "rung " + key.Public().AuthorizedKey() + "\n"})
		w.amend(ledgerRef, key, func(raw string) string { return raw })
	}},
	{12, "own key brought along by a statement of its own", "TRUST_SELF_AUTHORISED", 1, func(w *world) {
		key := newKey(w)
		w.forgeRotate(key, key, released(key), nil)
	}},
	{13, "trust list edited below a root", "TRUST_ROLE", 1, func(w *world) {
		w.forge(map[string]string{ledger.SignersPath: w.cat("rung/ledger:allowed_signers") + "rung " + newKey(w).Public().AuthorizedKey() + "\n"})
	}},
	{13, "a rotate statement by the release key", "TRUST_ROLE", 1, func(w *world) { w.forgeRotate(w.key, w.key, released(newKey(w)), nil) }},
	{13, "a rotate statement by nobody", "TRUST_ROLE", 1, func(w *world) { w.forgeRotate(w.key, newKey(w), released(newKey(w)), nil) }},
	{22, "an old rotate statement replayed", "CHAIN_BREAK", 1, func(w *world) {
		first := strings.TrimSpace(w.git("", "rev-list", "--max-parents=0", "rung/ledger"))
		line := strings.TrimSuffix(w.cat(first+":"+ledger.TrustPath), "\n")
		e, _, err := ledger.PeekRotate([]byte(line))
		w.ok(err)
		w.forge(trustFiles(w, line, e.Record), e)
	}},
	{22, "a rotate statement of another repository", "REPO_MISMATCH", 1, func(w *world) {
		w.forgeRotate(w.key, w.root, released(newKey(w)), func(r *promotion.Record) { r.Repository.ID = 8 })
	}},
	{22, "a rotate statement that starts elsewhere", "CHAIN_BREAK", 1, func(w *world) {
		w.forgeRotate(w.key, w.root, released(newKey(w)), func(r *promotion.Record) { r.Trust.Ledger = w.base })
	}},
	{23, "two successors of one rotate statement", "CHAIN_BREAK", 1, func(w *world) {
		w.forgeRotate(w.key, w.root, released(newKey(w)), nil)
		w.forgeRotate(w.key, w.root, released(newKey(w)), nil)
	}},
	{20, "a rotate statement's byte changed", "TRUST_ROLE", 1, func(w *world) {
		w.forgeRotate(w.key, w.root, released(newKey(w)), nil)
		l := w.lines(ledger.TrustPath)
		w.amendFiles(map[string]string{ledger.TrustPath: payloadEdited(l[0], func(s string) string { return strings.Replace(s, `"serial":3`, `"serial":4`, 1) })})
	}},
	{20, "a rotate statement encoded anew", "STMT_NONCANONICAL", 1, func(w *world) {
		w.forgeRotate(w.key, w.root, released(newKey(w)), nil)
		l := w.lines(ledger.TrustPath)
		w.amendFiles(map[string]string{ledger.TrustPath: strings.Replace(l[0], `{"payloadType"`, `{ "payloadType"`, 1)})
	}},
	{0, "an honest rotate statement, carried by the key that it brings", "", 0, func(w *world) {
		key := newKey(w)
		w.forgeRotate(key, w.root, released(key), nil)
	}},
	{0, "the root that is pinned", "", 0, func(w *world) { w.options.Root = w.root.Public().Fingerprint() }},
	{0, "the release key pinned instead of the root", "TRUST_ROOT", 1, func(w *world) { w.options.Root = w.old.Public().Fingerprint() }},
}})

// Attacks on a ledger whose first release key was revoked.
var _ = tampering(scene{grow: func(w *world) { w.cut(nil) }, attacks: []attack{
	{6, "what the revoked key signed before the cut", "", 0, func(*world) {}},
	{6, "a revoked key after the cut", "KEY_REVOKED", 1, func(w *world) { w.forgeAs(w.old) }},
	{6, "a revoked key after the cut, back-dated", "KEY_REVOKED", 1, func(w *world) {
		w.forgeAs(w.old)
		w.dated(w.old, w.now.Add(-time.Hour))
	}},
	{6, "a revocation taken back by a root", "TRUST_CONFIG", 1, func(w *world) {
		w.forgeRotate(w.key, w.root, released(newKey(w)), func(r *promotion.Record) { r.Trust.Revoked = nil })
	}},
	{6, "a cut that is in no ledger", "TRUST_CONFIG", 1, func(w *world) {
		c := released(newKey(w))
		c.Revoke = []promotion.Revocation{{Key: w.key.Public().Fingerprint(), After: w.base}}
		c.Cuts = map[string]time.Time{w.key.Public().Fingerprint(): w.now}
		w.forgeRotate(w.key, w.root, c, nil)
	}},
}})

// Attacks by a stolen key that is revoked only later.
var _ = tampering(scene{live: true, grow: (*world).rooted, attacks: []attack{
	{6, "a stolen key between the cut and the word of it", "KEY_REVOKED", 1, func(w *world) {
		cut, at := w.state.Tip, w.now
		w.append("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "dev"})
		fresh, print := newKey(w), w.key.Public().Fingerprint()
		c := ledger.TrustChange{
			Release: []sign.PublicKey{fresh.Public()}, Revoke: []promotion.Revocation{{Key: print, After: cut}}, Cuts: map[string]time.Time{print: at},
		}
		w.use(fresh)
		w.carry(w.root, c)
	}},
	{6, "a promotion by a stolen key behind the cut", "KEY_REVOKED", 1, func(w *world) {
		cut, at := w.state.Tip, w.now
		w.promote(ride{pair: pair("staging", "cart"), version: "1.1.0"})
		fresh, print := newKey(w), w.key.Public().Fingerprint()
		c := ledger.TrustChange{
			Release: []sign.PublicKey{fresh.Public()}, Revoke: []promotion.Revocation{{Key: print, After: cut}}, Cuts: map[string]time.Time{print: at},
		}
		w.use(fresh)
		w.carry(w.root, c)
	}},
}})

// Row 4 on a ledger whose list names a developer beside rung.
var _ = tampering(scene{grow: (*world).start, attacks: []attack{
	{4, "an allowed developer's key, committer says rung", "SIGNER_ROLE", 1, func(w *world) {
		dev := newKey(w)
		w.amendFiles(map[string]string{ledger.SignersPath: fmt.Sprintf("rung %s\nalice@example.com %s\n", w.key.Public().AuthorizedKey(), dev.Public().AuthorizedKey())})
		lineage := fmt.Sprintf("{\"format\":1,\"repository\":7,\"app\":42,\"first\":%q}\n", w.parse(ledgerRef))
		w.forge(map[string]string{lineagePath: lineage})
		w.amend(ledgerRef, dev, func(raw string) string {
			return strings.NewReplacer("Promotion-App: 42\n", "", "Promotion-Repository: 7\n", "").Replace(raw)
		})
	}},
}})

// byForge is a ride whose promotion commit the forge makes; parent is what its record
// says of it.
func (w *world) byForge(r ride, parent promotion.Hash) ride {
	r.pair, r.version, r.unsigned = pair("staging", "checkout"), "1.1.0", true
	mark := func(rec *promotion.Record) { rec.PullRequest.Forge, rec.PullRequest.Parent = true, parent }
	r.record, r.authorize = mark, mark
	return r
}

// Promotion commits that the forge made and signed (commits: github): the records
// decide.
var _ = tampering(scene{live: true, grow: (*world).start, attacks: []attack{
	{17, "the forge's own promotion commit, merged", "", 0, func(w *world) { w.promote(w.byForge(ride{}, w.base)) }},
	{17, "the forge's own promotion commit, squashed", "", 0, func(w *world) { w.promote(w.byForge(ride{squash: true}, w.base)) }},
	{1, "a promotion commit without a signature, and no word that the forge made it", "SIG_MISSING", 1, func(w *world) {
		w.promote(ride{pair: pair("staging", "checkout"), version: "1.1.0", unsigned: true})
	}},
	{28, "another head than the forge made", "HEAD_MISMATCH", 1, func(w *world) { w.promote(w.byForge(ride{otherHead: true}, w.base)) }},
	{28, "the forge's commit on another parent than was recorded", "HEAD_MISMATCH", 1, func(w *world) {
		before := w.base
		w.hand("words", map[string]string{"README.md": "more\n"})
		w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{From: before, To: w.base}, Actor: promotion.Actor{Kind: "person"}})
		w.promote(w.byForge(ride{}, before))
	}},
	{19, "the forge's commit edits a workflow", "PATH_SCOPE", 1, func(w *world) {
		w.promote(w.byForge(ride{branchFiles: map[string]string{workflow: "on: pull_request\n"}}, w.base))
	}},
}})

// TestPositionBeatsDate: stock git calls a back-dated commit by an expired key good;
// the order of the ledger tells.
func TestPositionBeatsDate(t *testing.T) {
	w := newWorld(t)
	w.rotated()
	w.push()
	w.forgeAs(w.old)
	signers := filepath.Join(t.TempDir(), "signers")
	w.ok(os.WriteFile(signers, []byte(w.cat("rung/ledger:"+ledger.SignersPath)), 0o600))
	stock := func() string {
		return strings.TrimSpace(w.git("", "-c", "gpg.ssh.allowedSignersFile="+signers, "-c", "gpg.minTrustLevel=fully", "log", "-1", "--format=%G?", "rung/ledger"))
	}
	if got := stock(); got == "G" {
		t.Error("stock git takes an expired key at an honest date")
	}
	w.dated(w.old, w.state.Trust.Record.IssuedAt.Add(30*time.Minute))
	if got := stock(); got != "G" {
		t.Errorf("stock git says %s to a back-dated commit; then this test shows nothing", got)
	}
	if report, found := w.verify(Options{}); found != "CLOCK_REGRESSION KEY_NOT_VALID" || report.ExitCode() != 1 {
		t.Error(found, show(report))
	}
}

// TestTrustState: the report tells whose signatures count and how that came.
func TestTrustState(t *testing.T) {
	w := newWorld(t)
	w.cut(nil)
	w.push()
	report, found := w.verify(Options{Root: w.root.Public().Fingerprint()})
	if found != "" || !report.OK || report.Root != w.root.Public().Fingerprint() {
		t.Fatal(found, report.Root, show(report))
	}
	state := report.Trust
	if state.OwnRoot || state.Serial != 2 || len(state.Keys) != 3 || len(state.Changes) != 2 {
		t.Fatalf("%+v", state)
	}
	for i, want := range []struct {
		role string
		key  *sign.Key
		cut  bool
	}{{"rung-root", w.root, false}, {"rung", w.old, true}, {"rung", w.key, false}} {
		if k := state.Keys[i]; k.Role != want.role || k.Fingerprint != want.key.Public().Fingerprint() || (k.RevokedAfter != "") != want.cut || k.ValidBefore.IsZero() == want.cut {
			t.Errorf("key %d is %+v", i, k)
		}
	}
	if c := state.Changes[1]; c.SignedBy != w.root.Public().Fingerprint() || c.Serial != 2 || c.Statement != w.state.Trust.Statement {
		t.Errorf("the change is %+v", c)
	}
	// A ledger without a root key says so, and can be given one by its release key.
	w = newWorld(t)
	w.start()
	w.root = newKey(t)
	w.carry(w.key, ledger.TrustChange{Roots: []sign.PublicKey{w.root.Public()}})
	w.carry(w.root, ledger.TrustChange{Roots: []sign.PublicKey{newKey(t).Public()}})
	w.push()
	if report, found := w.verify(Options{Root: w.key.Public().Fingerprint()}); found != "" || report.Trust.OwnRoot || report.Trust.Serial != 2 {
		t.Errorf("%s %+v%s", found, report.Trust, show(report))
	}
}

// TestCheckpointAcrossARotation: from a checkpoint that was taken before the keys
// changed the same is found as from the beginning, of what holds and of what does not.
func TestCheckpointAcrossARotation(t *testing.T) {
	w := newWorld(t)
	w.rooted()
	since := w.push().remembered()
	same := func(name string) Report {
		t.Helper()
		whole, found := w.verify(Options{})
		report, foundSince := w.verify(Options{Checkpoint: since})
		if found != foundSince || !reflect.DeepEqual(report.Trust, whole.Trust) || report.Root != whole.Root {
			t.Errorf("%s: found %q, from the beginning %q\n%+v\n%+v%s", name, foundSince, found, report.Trust, whole.Trust, show(report))
		}
		return whole
	}
	cut, at, stolen := w.state.Tip, w.now, w.key
	w.append("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "prod"})
	w.push()
	same("a record")
	behind := w.state.Tip
	fresh := newKey(t)
	w.use(fresh)
	w.carry(w.root, ledger.TrustChange{Release: []sign.PublicKey{fresh.Public()}, End: w.now.Add(time.Hour)})
	w.promote(ride{pair: pair("dev", "checkout"), version: "1.2.0"})
	w.push()
	if report := same("a rotation"); report.Trust.Serial != 2 || !report.OK {
		t.Errorf("%+v%s", report.Trust, show(report))
	}
	print := stolen.Public().Fingerprint()
	since = w.remembered()
	w.carry(w.root, ledger.TrustChange{Revoke: []promotion.Revocation{{Key: print, After: behind}}, Cuts: map[string]time.Time{print: at}})
	w.push()
	if report := same("a revocation of what is past"); !report.OK {
		t.Error(show(report))
	}
	last := newKey(t)
	w.use(last)
	w.carry(w.root, ledger.TrustChange{Revoke: []promotion.Revocation{{Key: fresh.Public().Fingerprint(), After: cut}}, Release: []sign.PublicKey{last.Public()}})
	w.push()
	if report := same("a cut long before the checkpoint"); report.ExitCode() != 1 || codes(report) != "KEY_REVOKED" {
		t.Error(codes(report), show(report))
	}
}
