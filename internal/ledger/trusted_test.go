package ledger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// vault are the root and release keys of a test, and the statements in the trust
// file.
type vault struct {
	*book
	root       pen
	statements []string
}

// newVault is a ledger that a root key's statement begins.
func newVault(t *testing.T) *vault {
	v := &vault{book: newBook(t), root: newPen(t)}
	v.state.Pending = v.sign(v.root, TrustChange{Roots: []sign.PublicKey{v.root.key.Public()}, Release: []sign.PublicKey{v.pen.key.Public()}})
	v.write(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"))
	return v
}

// rotation is what the next statement stands on.
func (v *vault) rotation() Rotation {
	v.t.Helper()
	r := Rotation{Repository: promotion.RecordRepository{URI: v.id.URI, ID: v.id.Repository, App: v.id.App}, Tip: v.state.Tip, Standing: v.state.Trust}
	if r.Standing != nil {
		var err error
		if r.Before, err = TrustOf(r.Standing.Record); err != nil {
			v.t.Fatal(err)
		}
	}
	return r
}

// sign makes a statement and puts it into the trust file.
func (v *vault) sign(by pen, c TrustChange) string {
	v.t.Helper()
	line, _, err := v.rotation().Sign(by.key, c, v.now)
	if err != nil {
		v.t.Fatal(err)
	}
	v.statements = append(v.statements, string(line))
	return string(line)
}

// trust is that of a rung with a key, the root key and the trust file.
func (v *vault) trust(own pen) Trust {
	return Trust{Own: own.key.Public(), Roots: []sign.PublicKey{v.root.key.Public()}, Statements: func() ([]byte, error) {
		return []byte(strings.Join(v.statements, "\n") + "\n"), nil
	}}
}

// write appends by the pen at hand, and reads back as a new rung would.
func (v *vault) write(base promotion.Hash, records ...promotion.Record) {
	v.t.Helper()
	done, err := NewWriter(v.pen, v.id, Author{"rung[bot]", "99+rung[bot]@users.noreply.forge.example"}).Append(v.t.Context(), v.remote, v.state, records, base, v.now)
	if err != nil {
		v.t.Fatal(err)
	}
	if _, err := v.remote.Push(v.t.Context(), []gitrepo.RefUpdate{{Ref: promotion.LedgerRef, Old: v.state.Tip, New: done.Tip, First: true}}, gitrepo.PushOptions{}); err != nil {
		v.t.Fatal(err)
	}
	if v.state, err = NewReader(v.trust(v.pen), v.id).Read(v.t.Context(), v.open(), done.Tip); err != nil {
		v.t.Fatal(err)
	}
}

// seen is what a new rung with a trust says of the tip.
func (v *vault) seen(t Trust) (promotion.LedgerState, error) {
	v.t.Helper()
	return NewReader(t, v.id).Read(v.t.Context(), v.open(), v.tip())
}

func (v *vault) refused(name string, t Trust, want error, words string) {
	v.t.Helper()
	if st, err := v.seen(t); !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
		v.t.Errorf("%s: %v (pending %q), want %v with %q", name, err, st.Pending, want, words)
	}
}

func releasing(p pen) TrustChange { return TrustChange{Release: []sign.PublicKey{p.key.Public()}} }

// TestARotation: a statement is carried once, by the old key or the new; the old
// key's tip is read until then, and its records for ever.
func TestARotation(t *testing.T) {
	v := newVault(t)
	if v.state.Pending != "" || v.state.Trust == nil || v.state.Trust.Record.Trust.Serial != 1 {
		t.Fatalf("it begins with %+v, pending %q", v.state.Trust, v.state.Pending)
	}
	old, fresh := v.pen, newPen(t)
	v.refused("a key that is not listed", v.trust(fresh), ErrTrust, "is no release key of the trust list")
	c := releasing(fresh)
	c.End = v.now.Add(time.Hour)
	second := v.sign(v.root, c)
	v.pen = fresh
	st, err := v.seen(v.trust(fresh))
	if err != nil || st.Pending != second || len(st.Live) != 1 {
		t.Fatalf("the new rung does not take the old one's tip: %v, pending %q", err, st.Pending)
	}
	v.state = st
	v.now = v.now.Add(time.Minute)
	v.write("", about(promotion.RecordPropose, devCheckout, "1.1.0"))
	if v.state.Pending != "" || v.state.Trust.Record.Trust.Serial != 2 {
		t.Fatalf("it was not carried: %+v", v.state.Trust)
	}
	for path, want := range map[string]string{SignersPath: v.state.Trust.Record.Keys, RevocationsPath: "[]\n", TrustPath: second + "\n"} {
		if got := v.file(v.state.Tip, path); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
	// Without the trust file the tree's own statement is enough, by the root.
	bare := v.trust(fresh)
	bare.Statements = nil
	if st, err := v.seen(bare); err != nil || st.Trust.Record.Trust.Serial != 2 {
		t.Errorf("without a trust file: %v", err)
	}
	bare.Roots = []sign.PublicKey{newPen(t).key.Public()}
	v.refused("another root", bare, ErrTrust, "no root key that this rung knows: name the root keys in RUNG_ROOT_KEYS")
	bare.Roots = nil
	v.refused("no root", bare, ErrTrust, "RUNG_ROOT_KEYS")

	// The old key has its hour, and no more.
	v.pen = old
	v.now = v.now.Add(30 * time.Minute)
	v.write("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "dev"})
	if _, err := v.seen(v.trust(fresh)); err != nil {
		t.Errorf("in its time: %v", err)
	}
	v.now = v.now.Add(time.Hour)
	if _, err := NewWriter(old, v.id, Author{}).Append(t.Context(), v.remote, v.state, nil, "", v.now); !errors.Is(err, ErrTrust) || !strings.Contains(err.Error(), "is over") {
		t.Errorf("the old key signs after its time: %v", err)
	}
	forged := forgeTip(v, old, v.state.Tip, v.now, nil)
	if _, err := NewReader(v.trust(fresh), v.id).Read(t.Context(), v.open(), forged); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "valid until") {
		t.Errorf("a tip by the old key after its time: %v", err)
	}
	// Back-dated below a newer record it fails as well.
	v.pen = fresh
	v.write("", promotion.Record{Kind: promotion.RecordUnfreeze, Scope: "dev"})
	forged = forgeTip(v, old, v.state.Tip, v.now.Add(-time.Hour), nil)
	if _, err := NewReader(v.trust(fresh), v.id).Read(t.Context(), v.open(), forged); !errors.Is(err, ErrSignature) {
		t.Errorf("a back-dated tip by the old key: %v", err)
	}
}

// forgeTip is a ledger commit on top of another with the same records, signed by a
// key at a time, files changed.
func forgeTip(v *vault, by pen, on promotion.Hash, at time.Time, files map[string]string) promotion.Hash {
	v.t.Helper()
	c, err := v.remote.Commit(v.t.Context(), on)
	if err != nil {
		v.t.Fatal(err)
	}
	changes := map[string]gitrepo.FileChange{}
	for path, text := range files {
		changes[path] = gitrepo.FileChange{Data: []byte(text), Delete: text == ""}
	}
	tree, err := v.remote.Rewrite(v.t.Context(), c.Tree, changes)
	if err != nil {
		v.t.Fatal(err)
	}
	who := gitrepo.Ident{Name: "rung", Email: "rung@acme.example", When: at}
	forged, err := v.remote.WriteCommit(v.t.Context(), gitrepo.CommitSpec{
		Tree: tree, Parents: []promotion.Hash{on}, Author: who, Committer: who, Message: "say nothing\n\n" + Trailers{Base: commitA}.String(), Sign: by.SignCommit,
	})
	if err != nil {
		v.t.Fatal(err)
	}
	if _, err := v.remote.Push(v.t.Context(), []gitrepo.RefUpdate{{Ref: "refs/heads/forged-" + string(forged[:9]), New: forged}}, gitrepo.PushOptions{}); err != nil {
		v.t.Fatal(err)
	}
	return forged
}

// TestARevocation: the tip is trusted at the cut and not behind it; the revoked key
// is told that it is.
func TestARevocation(t *testing.T) {
	v := newVault(t)
	stolen, fresh, cut := v.pen, newPen(t), v.state.Tip
	print := stolen.KeyID()
	c := releasing(fresh)
	c.Revoke = []promotion.Revocation{{Key: print, After: cut, Reason: "stolen"}}
	c.Cuts = map[string]time.Time{print: v.now}
	behind := forgeTip(v, stolen, cut, v.now, nil)
	v.sign(v.root, c)
	v.refused("the revoked key itself", v.trust(stolen), ErrTrust, "was revoked after ledger commit "+cut.Short())
	if _, err := NewReader(v.trust(fresh), v.id).Read(t.Context(), v.open(), behind); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "the statement to be carried revokes") {
		t.Errorf("a tip behind the cut: %v", err)
	}
	st, err := v.seen(v.trust(fresh))
	if err != nil || st.Pending == "" {
		t.Fatalf("a tip at the cut: %v, pending %q", err, st.Pending)
	}
	v.state, v.pen = st, fresh
	v.now = v.now.Add(time.Minute)
	v.write("")
	if got := v.file(v.state.Tip, RevocationsPath); got != `[{"key":"`+print+`","after":"`+string(cut)+`","reason":"stolen"}]`+"\n" {
		t.Errorf("%s holds %s", RevocationsPath, got)
	}
	later := forgeTip(v, stolen, v.state.Tip, v.now, nil)
	if _, err := NewReader(v.trust(fresh), v.id).Read(t.Context(), v.open(), later); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("a tip by the revoked key after all: %v", err)
	}
	// What it signed beside the ledger is not taken for rung's either.
	rd := NewReader(v.trust(fresh), v.id)
	if _, err := rd.Read(t.Context(), v.open(), v.tip()); err != nil {
		t.Fatal(err)
	}
	payload := []byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor r <r@r> 1748858400 +0000\ncommitter r <r@r> 1748858400 +0000\n\nPromote\n")
	for name, c := range map[string]struct {
		by   pen
		want error
	}{"the new key": {fresh, nil}, "the revoked key": {stolen, ErrTrust}, "the root key": {v.root, ErrTrust}, "a stranger": {newPen(t), ErrTrust}} {
		armoured, err := c.by.SignCommit(payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := rd.VerifyCommit(payload, armoured); !errors.Is(err, c.want) {
			t.Errorf("a promotion commit by %s: %v", name, err)
		}
	}
}

// TestATrustListThatWentBack: a tree that shows an older list than was carried is
// refused, by a rung that saw it and by one that did not.
func TestATrustListThatWentBack(t *testing.T) {
	v := newVault(t)
	first := v.statements[0]
	fresh := newPen(t)
	v.sign(v.root, releasing(fresh))
	v.state, _ = v.seen(v.trust(v.pen))
	v.write("")
	e, _, err := PeekRotate([]byte(first))
	if err != nil {
		t.Fatal(err)
	}
	back := forgeTip(v, v.pen, v.state.Tip, v.now, map[string]string{TrustPath: first + "\n", SignersPath: e.Record.Keys})
	rd := NewReader(v.trust(v.pen), v.id)
	if _, err := rd.Read(t.Context(), v.open(), back); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "shows the list before it") {
		t.Errorf("a rung that knows only the trust file: %v", err)
	}
	if _, err := rd.Read(t.Context(), v.open(), v.tip()); err != nil {
		t.Fatal(err)
	}
	if _, err := rd.Read(t.Context(), v.open(), back); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "went back from 2 to 1") {
		t.Errorf("a rung that saw the newer one: %v", err)
	}
	for name, files := range map[string]map[string]string{
		"another list":         {SignersPath: e.Record.Keys},
		"no list":              {SignersPath: ""},
		"other revocations":    {RevocationsPath: "[{}]\n"},
		"no revocations":       {RevocationsPath: ""},
		"two statements":       {TrustPath: first + "\n" + first + "\n"},
		"something else there": {TrustPath: "hello\n"},
	} {
		bad := forgeTip(v, v.pen, v.state.Tip, v.now, files)
		if _, err := NewReader(v.trust(v.pen), v.id).Read(t.Context(), v.open(), bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStatementsThatAreNotCarried: what no root in force signed, what does not
// follow, and what is for another ledger.
func TestStatementsThatAreNotCarried(t *testing.T) {
	v := newVault(t)
	begun := v.statements
	encode := func(by pen, edit func(*promotion.Record)) string {
		t.Helper()
		r := v.rotation()
		signers, revoked, err := r.Apply(releasing(newPen(t)))
		if err != nil {
			t.Fatal(err)
		}
		keys, err := sign.FormatAllowedSigners(signers)
		if err != nil {
			t.Fatal(err)
		}
		rec := promotion.Record{
			Format: promotion.RecordFormat, Kind: promotion.RecordRotate, Repository: r.Repository, Actor: promotion.Actor{Kind: "person"}, Keys: string(keys), IssuedAt: v.now,
			Trust: &promotion.RecordTrust{Serial: 2, Ledger: r.Tip, Revoked: revoked}, Previous: &promotion.RecordLink{Statement: r.Standing.Statement, Blob: r.Standing.Blob},
		}
		edit(&rec)
		line, _, err := Encode(rec, by)
		if err != nil {
			t.Fatal(err)
		}
		return string(line)
	}
	keep := func(*promotion.Record) {}
	for name, c := range map[string]struct {
		line, words string
	}{
		"by the release key": {encode(v.pen, keep), "is signed by " + v.pen.KeyID() + ", which is no root key in force"},
		"by a stranger":      {encode(newPen(t), keep), "which is no root key in force"},
		"one is left out":    {encode(v.root, func(r *promotion.Record) { r.Trust.Serial = 3 }), "its serial is 3, and 2 is next"},
		"after another one":  {encode(v.root, func(r *promotion.Record) { r.Previous.Statement = Digest([]byte("x")) }), "it follows statement"},
		"without the first key": {encode(v.root, func(r *promotion.Record) {
			r.Keys = strings.Replace(r.Keys, v.pen.AuthorizedKey(), newPen(t).AuthorizedKey(), 1)
		}), "leaves the release key"},
		"starting nowhere":       {encode(v.root, func(r *promotion.Record) { r.Trust.Ledger = "" }), "begins a ledger, and there is one"},
		"no statement at all":    {"hello", "statement 2 of the trust file"},
		"a list with a stranger": {encode(v.root, func(r *promotion.Record) { r.Keys += "alice " + newPen(t).AuthorizedKey() + "\n" }), "no root key in force"},
	} {
		v.statements = append(begun[:1:1], c.line)
		v.refused(name, v.trust(v.pen), ErrTrust, c.words)
	}
	v.statements = append(begun[:1:1], encode(v.root, func(r *promotion.Record) { r.Trust.Ledger = commitB }))
	if st, err := v.seen(v.trust(v.pen)); err == nil {
		t.Errorf("a statement that starts from a commit that is not there is to be carried: %q", st.Pending)
	}
	v.statements = append(begun[:1:1], encode(v.root, keep), encode(v.root, keep))
	v.refused("two of one serial", v.trust(v.pen), ErrTrust, "have the serial 2")
	v.statements = append(begun[:1:1], encode(newPen(t), func(r *promotion.Record) { r.Repository.ID = 43 }), "  ")
	if st, err := v.seen(v.trust(v.pen)); err != nil || st.Pending != "" {
		t.Errorf("another repository's statement: %v, pending %q", err, st.Pending)
	}
	broken := v.trust(v.pen)
	broken.Statements = func() ([]byte, error) { return nil, errors.New("it is gone") }
	v.refused("a trust file that can't be read", broken, ErrTrust, "it is gone")
}

// TestBegin: which statement a new ledger begins with.
func TestBegin(t *testing.T) {
	v := &vault{book: newBook(t), root: newPen(t)}
	begin := func(own pen) (string, error) { return NewReader(v.trust(own), v.id).Begin() }
	if _, err := begin(v.pen); !errors.Is(err, ErrTrust) || !strings.Contains(err.Error(), "make one with rung keys rotate for repository 42, App 7") {
		t.Errorf("a root key without a statement: %v", err)
	}
	if line, err := NewReader(v.pen.trust(), v.id).Begin(); err != nil || line != "" {
		t.Errorf("no root key: %q, %v", line, err)
	}
	want := v.sign(v.root, TrustChange{Roots: []sign.PublicKey{v.root.key.Public()}, Release: []sign.PublicKey{v.pen.key.Public()}})
	if line, err := begin(v.pen); err != nil || line != want {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := begin(newPen(t)); !errors.Is(err, ErrTrust) {
		t.Errorf("by a key that it does not list: %v", err)
	}
	begun := newVault(t)
	begun.statements = nil
	begun.sign(begun.root, releasing(newPen(t)))
	if _, err := NewReader(begun.trust(begun.pen), begun.id).Begin(); !errors.Is(err, ErrTrust) {
		t.Errorf("a statement of a ledger that is gone: %v", err)
	}
}

// TestStale: the trust file is seen to change while the tip stays.
func TestStale(t *testing.T) {
	v := newVault(t)
	rd := NewReader(v.trust(v.pen), v.id)
	if _, err := rd.Read(t.Context(), v.open(), v.tip()); err != nil || rd.Stale() {
		t.Fatal(err, rd.Stale())
	}
	v.sign(v.root, releasing(newPen(t)))
	if !rd.Stale() {
		t.Error("a new statement is not seen")
	}
	if st, err := rd.Read(t.Context(), v.open(), v.tip()); err != nil || st.Pending == "" || rd.Stale() {
		t.Error(err, st.Pending, rd.Stale())
	}
	if NewReader(v.pen.trust(), v.id).Stale() {
		t.Error("stale without a trust file")
	}
}

func TestSignRefuses(t *testing.T) {
	v := newVault(t)
	root2 := newPen(t)
	print := v.root.KeyID()
	for name, c := range map[string]struct {
		by     pen
		change TrustChange
		words  string
	}{
		"no root":                 {newPen(t), releasing(newPen(t)), "is no root key in force; these are: " + print},
		"a key that is there":     {v.root, releasing(v.pen), "is on the list already"},
		"a root as release key":   {v.root, releasing(v.root), "is on the list already"},
		"the last root":           {v.root, TrustChange{Revoke: []promotion.Revocation{{Key: print, After: v.state.Tip}}}, "names no root key any more"},
		"a root that is none":     {v.root, TrustChange{DropRoots: []string{root2.KeyID()}}, "is no root key of the list"},
		"the same key revoked":    {v.root, TrustChange{Revoke: []promotion.Revocation{{Key: root2.KeyID(), After: v.state.Tip}, {Key: root2.KeyID(), After: v.state.Tip}}}, "revoked already"},
		"a cut that is no commit": {v.root, TrustChange{Revoke: []promotion.Revocation{{Key: root2.KeyID(), After: "x"}}}, "revocation of"},
		"a reason of two lines":   {v.root, TrustChange{Release: releasing(root2).Release, Reason: "a\nb"}, "one line"},
	} {
		_, _, err := v.rotation().Sign(c.by.key, c.change, v.now)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzPeekRotate: nothing panics, and what is taken encodes to the same bytes.
func FuzzPeekRotate(f *testing.F) {
	root, release := newPen(f), newPen(f)
	line, _, err := Rotation{Repository: promotion.RecordRepository{URI: "https://forge.example/acme/gitops", ID: 42, App: 7}}.Sign(root.key,
		TrustChange{Roots: []sign.PublicKey{root.key.Public()}, Release: []sign.PublicKey{release.key.Public()}, Reason: "begin"}, issued)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"payloadType":"","payload":"","signatures":[{"keyid":"","sig":""}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, _, err := PeekRotate(data)
		if err != nil {
			return
		}
		if _, list, err := DecodeRotate(data, root.key.Public()); err == nil {
			if text, err := sign.FormatAllowedSigners(list.Signers); err != nil || string(text) != e.Record.Keys {
				t.Errorf("the list is written as %q (%v)", text, err)
			}
		}
		_, _ = TrustOf(e.Record)
	})
}
