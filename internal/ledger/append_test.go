package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

func TestTheFirstCommit(t *testing.T) {
	b := newBook(t)
	done := b.append(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"), about(promotion.RecordAdopt, prodCheckout, "0.9.0"))
	if b.state.First != done.Tip || b.state.Base != commitA || !b.state.IssuedAt.Equal(issued) {
		t.Errorf("first %s, base %s, issued %s; want %s, %s, %s", b.state.First, b.state.Base, b.state.IssuedAt, done.Tip, commitA, issued)
	}
	for pair, version := range map[promotion.Pair]promotion.Version{devCheckout: "1.0.0", prodCheckout: "0.9.0"} {
		if got := b.state.Live[pair]; got.Land.Record.Artifact.Version != version || got.Settle != nil {
			t.Errorf("%s is %+v", pair, got)
		}
	}
	if got := b.commit(done.Tip).Parents; len(got) != 0 {
		t.Errorf("it has parents %v", got)
	}
	if got := b.file(done.Tip, SignersPath); got != "rung namespaces=\"git\" "+b.pen.AuthorizedKey()+"\n" {
		t.Errorf("the trust list is %q", got)
	}
	message := b.commit(done.Tip).Message
	parsed, err := ParseTrailers(message)
	if err != nil || parsed.App != "7" || parsed.Repository != "42" || len(parsed.Groups) != 2 || parsed.Groups[0].Statement != done.Entries[0].Statement {
		t.Errorf("%v; the message is\n%s", err, message)
	}
	// An empty ledger is one as well.
	b = newBook(t)
	b.append(commitA)
	if b.state.First == "" || b.state.First != b.state.Tip {
		t.Errorf("first %s of %s", b.state.First, b.state.Tip)
	}
}

// TestStockGitVerifiesTheLedger checks with nothing but git and ssh-keygen.
func TestStockGitVerifiesTheLedger(t *testing.T) {
	git := newStock(t)
	b := bookOn(git.server)
	b.append(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"))
	b.append("", about(promotion.RecordPropose, devCheckout, "1.1.0"))
	b.append(commitB, about(promotion.RecordLand, devCheckout, "1.1.0"), about(promotion.RecordSettle, devCheckout, "1.1.0"))
	signers := filepath.Join(t.TempDir(), "signers")
	if err := os.WriteFile(signers, []byte(b.file(b.state.First, SignersPath)), 0o600); err != nil {
		t.Fatal(err)
	}
	got := git.git("-c", "gpg.ssh.allowedSignersFile="+signers, "log", "--format=%G? %GS", promotion.LedgerRef)
	if got != "G rung\nG rung\nG rung\n" {
		t.Errorf("git says\n%s", got)
	}
	git.git("fsck", "--strict")
	if got := git.git("ls-tree", "-r", "--name-only", promotion.LedgerRef); got != "allowed_signers\nlineage.json\nlive/dev/checkout.intoto.jsonl\n" {
		t.Errorf("the tree has\n%s", got)
	}
}

func TestTheStoryOfAPair(t *testing.T) {
	b := newBook(t)
	b.append(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"))
	adopted := b.state.Live[devCheckout].Land

	b.now = issued.Add(time.Minute)
	b.append("", about(promotion.RecordSettle, devCheckout, "1.0.0"))
	live := b.state.Live[devCheckout]
	if live.Settle == nil || live.Settle.Record.Outcome != promotion.SettledGood || live.Land.Statement != adopted.Statement {
		t.Fatalf("live is %+v", live)
	}
	if prev := live.Settle.Record.Previous; prev == nil || prev.Statement != adopted.Statement || prev.Blob != "" {
		t.Errorf("the settle follows %+v, want the adopt in its own file", prev)
	}

	b.append("", about(promotion.RecordPropose, devCheckout, "1.1.0"))
	open := b.state.Open[devCheckout]
	if prev := open.Record.Previous; prev == nil || prev.Statement != live.Settle.Statement || prev.Blob != live.Land.Blob {
		t.Errorf("the proposal follows %+v, want what is live: %s in %s", prev, live.Settle.Statement, live.Land.Blob)
	}
	b.append("", about(promotion.RecordAuthorize, devCheckout, "1.1.0"))
	if prev := b.state.Open[devCheckout].Record.Previous; prev == nil || prev.Statement != open.Statement || prev.Blob != open.Blob {
		t.Errorf("the authorisation follows %+v", prev)
	}

	b.append(commitB, about(promotion.RecordLand, devCheckout, "1.1.0"))
	if _, still := b.state.Open[devCheckout]; still || b.state.Base != commitB {
		t.Errorf("the promotion is open after it landed: %v; base %s", still, b.state.Base)
	}
	if prev := b.state.Live[devCheckout].Land.Record.Previous; prev == nil || prev.Statement != live.Settle.Statement {
		t.Errorf("the landing follows %+v", prev)
	}

	b.append("", about(promotion.RecordPropose, devCheckout, "1.2.0"))
	b.append("", about(promotion.RecordWithdraw, devCheckout, "1.2.0"))
	if got := b.state.Open[devCheckout].Record; got.Kind != promotion.RecordWithdraw || got.Reason != promotion.WithdrawVetoed {
		t.Errorf("the tombstone is %+v", got)
	}
	if b.state.Base != commitB {
		t.Errorf("the base went to %s without being told", b.state.Base)
	}
}

func TestQuarantinesAndFreezesLeaveTombstones(t *testing.T) {
	b := newBook(t)
	b.append(commitA,
		promotion.Record{Kind: promotion.RecordQuarantine, Digest: digestOf("bad"), Children: []promotion.Digest{digestOf("child")}, Reason: "it leaks"},
		promotion.Record{Kind: promotion.RecordFreeze, Scope: "+all", Reason: "the year ends", Until: issued.Add(time.Hour)},
		promotion.Record{Kind: promotion.RecordFreeze, Scope: "dev"},
		promotion.Record{Kind: promotion.RecordFreeze, Scope: "dev/checkout"},
		promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{From: commitA, To: commitB}},
		about(promotion.RecordAnnounce, promotion.Pair{Artifact: "checkout"}, "1.0.0"),
	)
	if rec, barred := b.state.Barred(digestOf("child")); !barred || rec.Record.Reason != "it leaks" {
		t.Errorf("a manifest of a barred index is %v", rec)
	}
	if len(b.state.Freezes) != 3 || !b.state.Freezes["+all"].Record.Until.Equal(issued.Add(time.Hour)) || len(b.state.Announced["checkout"]) != 1 {
		t.Errorf("freezes %v, announced %v", b.state.Freezes, b.state.Announced)
	}
	before := b.state.Quarantine[digestOf("bad")]
	b.append("", promotion.Record{Kind: promotion.RecordUnquarantine, Digest: digestOf("bad"), Reason: "fixed"}, promotion.Record{Kind: promotion.RecordUnfreeze, Scope: "dev"})
	after := b.state.Quarantine[digestOf("bad")]
	if after.Record.Kind != promotion.RecordUnquarantine || after.Record.Previous.Statement != before.Statement || after.Record.Previous.Blob != before.Blob {
		t.Errorf("the tombstone is %+v", after.Record)
	}
	if _, barred := b.state.Barred(digestOf("child")); barred || b.state.Freezes["dev"].Record.Kind != promotion.RecordUnfreeze {
		t.Error("what was lifted still stands")
	}
}

func TestSeveralRecordsForOneFileInOneAppend(t *testing.T) {
	git := newStock(t)
	b := bookOn(git.server)
	b.append(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"))
	done := b.append(commitB,
		about(promotion.RecordPropose, devCheckout, "1.1.0"), about(promotion.RecordAuthorize, devCheckout, "1.1.0"),
		about(promotion.RecordLand, devCheckout, "1.1.0"), about(promotion.RecordSettle, devCheckout, "1.1.0"),
		about(promotion.RecordPropose, prodCheckout, "1.1.0"),
		about(promotion.RecordLand, devCheckout, "1.2.0"), about(promotion.RecordSettle, devCheckout, "1.2.0"),
		about(promotion.RecordPropose, devCheckout, "1.3.0"),
	)
	if len(done.Commits) != 8 || len(done.Entries) != 8 || done.Commits[7] != done.Tip {
		t.Fatalf("%d commits, %d entries", len(done.Commits), len(done.Entries))
	}
	// A file is written once in a commit, so that every cited blob is reachable.
	if done.Commits[0] == done.Commits[1] || done.Commits[1] == done.Commits[2] || done.Commits[2] != done.Commits[4] || done.Commits[4] == done.Commits[5] {
		t.Errorf("the commits are %v", done.Commits)
	}
	objects := git.git("rev-list", "--objects", promotion.LedgerRef)
	for i, e := range done.Entries {
		path, _ := pathOf(e.Record)
		if out, err := git.try(git.dir, "git", "cat-file", "-e", string(done.Commits[i])+":"+path); err != nil {
			t.Errorf("record %d (%s) is not in its commit: %s", i, e.Record.Kind, out)
		}
		if prev := e.Record.Previous; prev != nil && prev.Blob != "" && !strings.Contains(objects, string(prev.Blob)) {
			t.Errorf("%s cites %s, which is not reachable", e.Record.Kind, prev.Blob)
		}
	}
	if got := b.state.Live[devCheckout]; got.Land.Record.Artifact.Version != "1.2.0" || got.Settle == nil {
		t.Errorf("live is %+v", got)
	}
	if got := b.state.Open[devCheckout].Record.Artifact.Version; got != "1.3.0" {
		t.Errorf("%s is open", got)
	}
	history, err := NewReader(b.pen.trust(), b.id).History(t.Context(), b.open(), b.state.Live[devCheckout], 10, func(promotion.LiveEntry) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	if got := versionsOf(history); !slices.Equal(got, []string{"1.1.0 settled", "1.0.0"}) {
		t.Errorf("the chain is %v", got)
	}
}

func versionsOf(history []promotion.LiveEntry) []string {
	var out []string
	for _, h := range history {
		s := string(h.Land.Record.Artifact.Version)
		if h.Settle != nil {
			s += " settled"
		}
		out = append(out, s)
	}
	return out
}

func TestTheChainIsWalked(t *testing.T) {
	b := newBook(t)
	b.append(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"), about(promotion.RecordSettle, devCheckout, "1.0.0"))
	for i := range 4 {
		b.append(commitB, about(promotion.RecordLand, devCheckout, fmt.Sprintf("1.%d.0", i+1)), about(promotion.RecordSettle, devCheckout, ""))
		b.append("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "dev"}) // something in between
	}
	rd := NewReader(b.pen.trust(), b.id)
	never := func(promotion.LiveEntry) bool { return false }
	walk := func(limit int, stop func(promotion.LiveEntry) bool) []string {
		t.Helper()
		history, err := rd.History(t.Context(), b.open(), b.state.Live[devCheckout], limit, stop)
		if err != nil {
			t.Fatal(err)
		}
		return versionsOf(history)
	}
	all := []string{"1.3.0 settled", "1.2.0 settled", "1.1.0 settled", "1.0.0 settled"}
	if got := walk(10, never); !slices.Equal(got, all) {
		t.Errorf("got %v, want %v", got, all)
	}
	if got := walk(2, never); !slices.Equal(got, all[:2]) {
		t.Errorf("at most two are %v", got)
	}
	if got := walk(10, func(e promotion.LiveEntry) bool { return e.Land.Record.Artifact.Version == "1.2.0" }); !slices.Equal(got, all[:2]) {
		t.Errorf("up to 1.2.0 are %v", got)
	}
	// A link that leads to another record is refused.
	forged := b.state.Live[devCheckout]
	forged.Land.Record.Previous = &promotion.RecordLink{Statement: string(digestOf("another")), Blob: forged.Land.Record.Previous.Blob}
	if _, err := rd.History(t.Context(), b.open(), forged, 10, never); !errors.Is(err, ErrMalformed) {
		t.Errorf("a forged link: %v", err)
	}
}

func TestRecordsCiteOneAnother(t *testing.T) {
	b := newBook(t)
	land, propose, rollback := about(promotion.RecordLand, devCheckout, "1.1.0"), about(promotion.RecordPropose, prodCheckout, "1.1.0"), about(promotion.RecordPropose, devCheckout, "1.0.0")
	propose.From = &promotion.RecordFrom{Environment: "dev", Statement: "#0"}
	rollback.Restores, rollback.Reverts = "#0", "#1"
	done := b.append(commitA, land, propose, rollback)
	if got := done.Entries[1].Record.From.Statement; got != done.Entries[0].Statement {
		t.Errorf("it climbs from %s, want %s", got, done.Entries[0].Statement)
	}
	if got := done.Entries[2].Record.Restores; got != done.Entries[0].Statement {
		t.Errorf("it restores %s, want %s", got, done.Entries[0].Statement)
	}
	if got := done.Entries[2].Record.Reverts; got != done.Entries[1].Statement {
		t.Errorf("it reverts %s, want %s", got, done.Entries[1].Statement)
	}
	if propose.From.Statement != "#0" {
		t.Error("the caller's record was changed")
	}
	for _, bad := range []string{"#1", "#9", "#-1", "#", "#x"} {
		rollback.Restores = bad
		if _, err := NewWriter(b.pen, b.id, Author{}).Append(t.Context(), b.remote, b.state, []promotion.Record{land, rollback}, "", b.now); bad != "#1" && err == nil {
			t.Errorf("%s is cited", bad)
		} else if bad == "#1" && err == nil {
			t.Error("a record cites itself")
		}
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	b := newBook(t)
	b.append(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"))
	b.now = issued.Add(-time.Hour)
	done := b.append("", about(promotion.RecordPropose, devCheckout, "1.1.0"))
	if got := done.Entries[0].Record.IssuedAt; got.Before(issued) {
		t.Errorf("a record is issued at %s, after one of %s", got, issued)
	}
	b = newBook(t)
	b.append(commitA) // no record says when
	b.now = issued.Add(-time.Hour)
	done = b.append("", about(promotion.RecordAdopt, devCheckout, "1.0.0"))
	if got := b.commit(done.Tip).Committer.When; got.Before(issued) || !got.Equal(done.When) {
		t.Errorf("a commit is dated %s, behind one of %s; it is said to be of %s", got, issued, done.When)
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	b := newBook(t)
	b.append(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"))
	for name, r := range map[string]promotion.Record{
		"a settle of nothing":        about(promotion.RecordSettle, prodCheckout, "1.0.0"),
		"an unknown kind":            about("splendid", devCheckout, "1.0.0"),
		"a rotation":                 {Kind: promotion.RecordRotate},
		"an announcement of nothing": {Kind: promotion.RecordAnnounce},
	} {
		if _, err := NewWriter(b.pen, b.id, Author{}).Append(t.Context(), b.remote, b.state, []promotion.Record{r}, "", b.now); err == nil {
			t.Errorf("%s is written", name)
		}
	}
	if _, err := NewWriter(broken{b.pen}, b.id, Author{}).Append(t.Context(), b.remote, b.state, []promotion.Record{about(promotion.RecordPropose, devCheckout, "1.1.0")}, "", b.now); err == nil {
		t.Error("a record is written without a signature")
	}
}

func TestALedgerThatIsNotTrusted(t *testing.T) {
	b := newBook(t)
	b.append(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"))
	other := newPen(t)
	for name, c := range map[string]struct {
		trust Trust
		id    Identity
		want  error
	}{
		"another key":        {other.trust(), b.id, ErrSignature},
		"another repository": {b.pen.trust(), Identity{Repository: 43, App: 7}, ErrForeign},
		"another App":        {b.pen.trust(), Identity{Repository: 42, App: 8}, ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewReader(c.trust, c.id).Read(t.Context(), b.open(), b.state.Tip); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestATamperedTree signs a tree with the right key that Append would not make.
func TestATamperedTree(t *testing.T) {
	b := newBook(t)
	b.append(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"), about(promotion.RecordPropose, devCheckout, "1.1.0"), promotion.Record{Kind: promotion.RecordFreeze, Scope: "dev"})
	commit, err := b.remote.Commit(t.Context(), b.state.Tip)
	if err != nil {
		t.Fatal(err)
	}
	line, _, err := Encode(func() promotion.Record {
		r := every()["freeze"]
		r.Repository.ID = 43
		return r
	}(), b.pen)
	if err != nil {
		t.Fatal(err)
	}
	live := []byte(b.file(b.state.Tip, LivePath(devCheckout)))
	open := []byte(b.file(b.state.Tip, OpenPath(devCheckout)))
	trailers := Trailers{Base: commitA}.String()
	for name, c := range map[string]struct {
		changes map[string]gitrepo.FileChange
		message string
		want    error
	}{
		"nobody's signature":             {nil, trailers, ErrSignature},
		"a record at another's path":     {map[string]gitrepo.FileChange{LivePath(prodCheckout): {Data: live}}, trailers, ErrMalformed},
		"an open record as a live one":   {map[string]gitrepo.FileChange{LivePath(devCheckout): {Data: open}}, trailers, ErrMalformed},
		"two live records in one file":   {map[string]gitrepo.FileChange{LivePath(devCheckout): {Data: append(slices.Clone(live), live...)}}, trailers, ErrMalformed},
		"two open records in one file":   {map[string]gitrepo.FileChange{OpenPath(devCheckout): {Data: append(slices.Clone(open), open...)}}, trailers, ErrMalformed},
		"a record of another repository": {map[string]gitrepo.FileChange{FreezePath("+all"): {Data: append(line, '\n')}}, trailers, ErrForeign},
		"no record":                      {map[string]gitrepo.FileChange{FreezePath("prod"): {Data: []byte("hello\n")}}, trailers, ErrMalformed},
		"an empty file":                  {map[string]gitrepo.FileChange{FreezePath("prod"): {Data: []byte{}}}, trailers, ErrMalformed},
		"no lineage":                     {map[string]gitrepo.FileChange{lineagePath: {Delete: true}}, trailers, ErrMalformed},
		"a lineage that is no JSON":      {map[string]gitrepo.FileChange{lineagePath: {Data: []byte("{")}}, trailers, ErrMalformed},
		"no trailers":                    {nil, "words\n", ErrMalformed},
		"trailers that are none":         {nil, "Promotion-Version: 9\n", ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			tree, err := b.remote.Rewrite(t.Context(), commit.Tree, c.changes)
			if err != nil {
				t.Fatal(err)
			}
			pen := b.pen.SignCommit
			if errors.Is(c.want, ErrSignature) {
				pen = nil
			}
			who := gitrepo.Ident{Name: "rung", Email: "rung@acme.example", When: issued}
			bad, err := b.remote.WriteCommit(t.Context(), gitrepo.CommitSpec{Tree: tree, Parents: []promotion.Hash{b.state.Tip}, Author: who, Committer: who, Message: "tamper\n\n" + c.message, Sign: pen})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.remote.Push(t.Context(), []gitrepo.RefUpdate{{Ref: "refs/heads/" + strings.NewReplacer(" ", "-", "'", "").Replace(name), New: bad}}, gitrepo.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := NewReader(b.pen.trust(), b.id).Read(t.Context(), b.open(), bad); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	// And what is not there is the server's answer, not the ledger's fault.
	if _, err := NewReader(b.pen.trust(), b.id).Read(t.Context(), b.open(), commitB); err == nil || errors.Is(err, ErrMalformed) || errors.Is(err, ErrSignature) || errors.Is(err, ErrForeign) {
		t.Errorf("a tip that does not exist: %v", err)
	}
}

func TestAReaderKeepsWhatItKnows(t *testing.T) {
	b := newBook(t)
	b.append(commitA, about(promotion.RecordAdopt, devCheckout, "1.0.0"), about(promotion.RecordAdopt, prodCheckout, "1.0.0"))
	counted := &counting{Past: b.open()}
	rd := NewReader(b.pen.trust(), b.id)
	for _, want := range []int{2, 0} {
		counted.records = 0
		if _, err := rd.Read(t.Context(), counted, b.state.Tip); err != nil {
			t.Fatal(err)
		}
		if counted.records != want {
			t.Errorf("%d record files were fetched, want %d", counted.records, want)
		}
	}
	b.append("", about(promotion.RecordPropose, devCheckout, "1.1.0"))
	counted.records = 0
	if _, err := rd.Read(t.Context(), counted, b.state.Tip); err != nil || counted.records != 1 {
		t.Errorf("%v; %d record files were fetched for one new record", err, counted.records)
	}
}

// counting counts the record files that are asked for; the lineage does not
// count.
type counting struct {
	Past
	records int
}

func (c *counting) Blobs(ctx context.Context, hashes ...promotion.Hash) (map[promotion.Hash][]byte, error) {
	blobs, err := c.Past.Blobs(ctx, hashes...)
	for _, data := range blobs {
		if strings.HasPrefix(string(data), `{"payloadType"`) {
			c.records++
		}
	}
	return blobs, err
}
