package decide_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitmem"
	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// chronicle is a world whose records are written into a ledger in a git repository,
// as act does it. Its keys are always the same, and so is every byte of it.
type chronicle struct {
	*world
	remote *gitrepo.Remote
	writer *ledger.Writer
	reader *ledger.Reader
	state  promotion.LedgerState
	// real are the statements of the ledger by those of the world's model.
	real    map[string]string
	entries []promotion.LedgerEntry
	// commits are the ledger commits of the entries.
	commits []promotion.Hash
	// lines are the record files' lines by statement, with the line behind each.
	lines map[string][2]string
}

var identity = ledger.Identity{Repository: 42, App: appID, URI: "https://forge.example/acme/gitops"}

// fixedKey is always the same key: nothing but examples is signed with it.
func fixedKey(t testing.TB, name string) *sign.Key {
	t.Helper()
	k, err := sign.NewKey(ed25519.NewKeyFromSeed([]byte((name + strings.Repeat(".", ed25519.SeedSize))[:ed25519.SeedSize])))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newChronicle(t *testing.T, change ...func(*world)) *chronicle {
	t.Helper()
	repo, err := gitmem.New(gitstore.Options{}).Create("acme", "gitops", "main")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.StripPrefix("/acme/gitops.git", repo.Handler()))
	t.Cleanup(server.Close)
	remote, err := gitrepo.Open(server.URL+"/acme/gitops.git", server.Client(), gitrepo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	version := ledger.Version
	ledger.Version = "1.0.0"
	t.Cleanup(func() { ledger.Version = version })
	key := fixedKey(t, "release")
	c := &chronicle{
		world: newWorld(t, change...), remote: remote, real: map[string]string{}, lines: map[string][2]string{},
		writer: ledger.NewWriter(ledger.KeySigner{Key: key}, identity, ledger.Author{Name: rung.Login, Email: "99+rung[bot]@users.noreply.forge.example"}),
		reader: ledger.NewReader(ledger.Trust{Own: key.Public()}, identity),
	}
	c.s.Ledger, c.s.Pipeline.Ledger = promotion.LedgerState{}, ""
	c.wrote = c.write
	return c
}

// write appends what the model has recorded.
func (c *chronicle) write(plan *promotion.Plan, records []promotion.Record, model []promotion.LedgerEntry) {
	c.t.Helper()
	if len(records) == 0 && !plan.StartLedger {
		return
	}
	text := c.json(records)
	for was, is := range c.real {
		text = strings.ReplaceAll(text, was, is)
	}
	var mine []promotion.Record
	if err := json.Unmarshal([]byte(text), &mine); err != nil {
		c.t.Fatal(err)
	}
	done, err := c.writer.Append(c.t.Context(), c.remote, c.state, mine, plan.Base, c.s.Now)
	if err != nil {
		c.t.Fatal(err)
	}
	update := gitrepo.RefUpdate{Ref: promotion.LedgerRef, Old: c.state.Tip, New: done.Tip, First: true}
	if _, err := c.remote.Push(c.t.Context(), []gitrepo.RefUpdate{update}, gitrepo.PushOptions{}); err != nil {
		c.t.Fatal(err)
	}
	if c.state, err = c.reader.Read(c.t.Context(), c.remote, done.Tip); err != nil {
		c.t.Fatal(err)
	}
	for i, e := range done.Entries {
		c.real[model[i].Statement] = e.Statement
	}
	c.entries, c.commits = append(c.entries, done.Entries...), append(c.commits, done.Commits...)
	for _, commit := range done.Commits {
		c.read(commit)
	}
}

// read keeps the lines of a ledger commit's record files.
func (c *chronicle) read(commit promotion.Hash) {
	c.t.Helper()
	at, err := c.remote.Commit(c.t.Context(), commit)
	if err != nil {
		c.t.Fatal(err)
	}
	tree, err := c.remote.Walk(c.t.Context(), at.Tree, "")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range tree {
		if !strings.HasSuffix(f.Path, ".intoto.jsonl") {
			continue
		}
		blobs, err := c.remote.Blobs(c.t.Context(), f.Hash)
		if err != nil {
			c.t.Fatal(err)
		}
		lines := append(strings.Split(strings.TrimSuffix(string(blobs[f.Hash]), "\n"), "\n"), "")
		for i, l := range lines[:len(lines)-1] {
			c.lines[ledger.Digest(payloadOf(c.t, l))] = [2]string{l, lines[i+1]}
		}
	}
}

// pass makes a pass, after the health sources have answered.
func (c *chronicle) pass(d time.Duration) promotion.Plan {
	c.s.Now = c.s.Now.Add(d)
	for pair, live := range c.s.Ledger.Live {
		for _, source := range c.env(pair.Environment).Health {
			c.s.Health[pair] = []promotion.HealthReading{{
				Source: source, Status: promotion.StatusPass, Detail: "success", At: c.s.Now, Since: live.Land.Record.IssuedAt.Add(40 * time.Second), Commit: c.s.Base.Head,
			}}
		}
	}
	return c.step()
}

// until makes passes until it is so.
func (c *chronicle) until(what string, so func() bool) {
	c.t.Helper()
	for range 60 {
		if so() {
			return
		}
		c.pass(time.Minute)
	}
	c.t.Fatalf("it never comes to: %s", what)
}

// runs reports whether a pair runs a version and its verification has ended.
func (c *chronicle) runs(e promotion.Environment, version promotion.Version) func() bool {
	return func() bool {
		l := c.s.Ledger.Live[at(e)]
		return l.Land.Record.Artifact != nil && l.Land.Record.Artifact.Version == version && l.Settle != nil
	}
}

// tell plays a release and what may become of one: every kind of record that rung
// writes by itself.
func (c *chronicle) tell() {
	c.until("onboarding", c.runs(prod, "1.0.0"))
	first := event("72d3162e-cc78-11e3-81ab-4c9367dc0958", carol)
	first.Event, first.Publisher, first.PublisherID = "release", "acme/checkout", 77
	first.SourceRepository, first.SourceCommit, first.At = "acme/checkout", string(blob("source")), c.s.Now.Add(50*time.Second)
	c.available(told("1.1.0", first))
	c.until("staging", c.runs(staging, "1.1.0"))
	c.until("a pull request", func() bool { _, open := c.s.Ledger.Open[at(prod)]; return open })
	c.say(501, ada, 0, "/freeze prod the year ends")
	c.pass(time.Minute)
	c.say(502, ada, 0, "/unfreeze prod")
	c.pass(time.Minute)
	c.approve(at(prod), ada)
	pr := c.openPR(at(prod))
	pr.Reviews[0].Access = &promotion.Access{Permission: "maintain", Teams: []string{"acme/sre"}}
	c.until("prod", c.runs(prod, "1.1.0"))

	c.say(503, bob, 0, "/rollback checkout in prod")
	c.until("back", c.runs(prod, "1.0.0"))
	c.say(504, ada, 0, "/unquarantine "+string(digest("1.1.0"))+" the alert was wrong").Access.Teams = []string{"acme/sre"}
	c.pass(time.Minute)

	second := event("8f0e2c4a-cc78-11e3-9b1f-2a6f4c9d7e10", carol)
	c.available(told("1.2.0", second), told("1.1.0", first))
	c.until("1.2.0 in dev", c.runs(dev, "1.2.0"))
	c.until("a pull request", func() bool { _, open := c.s.Ledger.Open[at(prod)]; return open })
	pr = c.openPR(at(prod))
	pr.State, pr.ClosedBy, pr.ClosedByAccess = "closed", bob, &promotion.Access{Permission: "write"}
	c.pass(time.Minute)

	hand := c.change(at(dev), value("1.2.1"), bob)
	hand.PullRequest, hand.Message = 31, "hotfix"
	c.pass(time.Minute)
	c.commit(promotion.BaseChange{Environments: []promotion.Environment{prod}, Governs: true})
	c.pass(time.Minute)
}

// teller is the chronicle of every kind that decide plans.
func teller(t *testing.T) *chronicle {
	t.Helper()
	c := newChronicle(t, func(w *world) {
		w.s.Policies = map[string][]byte{"policies/digest.yaml": digestPolicy(t)}
		w.env(prod).Policies = []string{"policies/digest.yaml"}
		w.env(prod).Approvals = promotion.ApprovalRule{Required: 1, Teams: []string{"acme/sre"}}
		w.env(dev).Soak, w.env(dev).Health = 5*time.Minute, []promotion.HealthSource{{Status: "argocd/checkout", App: 1034}}
	})
	c.tell()
	return c
}

// line is an entry as it stands in the ledger: its own line, and for a land its
// verification summary.
func (c *chronicle) line(e promotion.LedgerEntry) (record, summary string) {
	c.t.Helper()
	lines, there := c.lines[e.Statement]
	if !there {
		c.t.Fatalf("%s is nowhere in the ledger", e.Statement)
	}
	if e.Record.Kind == promotion.RecordLand {
		summary = lines[1]
	}
	return lines[0], summary
}

func payloadOf(t testing.TB, line string) []byte {
	t.Helper()
	var env struct {
		Payload string `json:"payload"`
	}
	if err := json.Unmarshal([]byte(line), &env); err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// pretty is JSON with a field a line.
func pretty(t testing.TB, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rotated is a rotate record that begins a ledger, with a root key of its own.
func rotated(t testing.TB) (line string, e promotion.LedgerEntry) {
	t.Helper()
	version := ledger.Version
	ledger.Version = "1.0.0"
	defer func() { ledger.Version = version }()
	root := fixedKey(t, "root")
	r := ledger.Rotation{Repository: promotion.RecordRepository{URI: identity.URI, ID: identity.Repository, App: identity.App}}
	data, e, err := r.Sign(root, ledger.TrustChange{
		Release: []sign.PublicKey{fixedKey(t, "release").Public()}, Roots: []sign.PublicKey{root.Public()}, Reason: "the ledger begins",
	}, begin)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), e
}
