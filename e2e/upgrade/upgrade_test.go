package upgrade

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rungbot/rung/e2e/world"
	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/promotion"
)

// kinds are all kinds of records that the version before writes; writeEveryKind has it
// write them.
var kinds = []promotion.RecordKind{
	promotion.RecordPropose, promotion.RecordAuthorize, promotion.RecordLand, promotion.RecordSettle, promotion.RecordWithdraw, promotion.RecordAdopt,
	promotion.RecordAnnounce, promotion.RecordQuarantine, promotion.RecordUnquarantine, promotion.RecordFreeze, promotion.RecordUnfreeze, promotion.RecordRotate,
}

// TestForwardAndBack lets the version before and this one work in turn on one data
// directory and one repository. It needs git's history, so make upgrade runs it.
func TestForwardAndBack(t *testing.T) {
	if os.Getenv("RUNG_UPGRADE") == "" {
		t.Skip("make upgrade runs it")
	}
	older, _ := buildPrevious(t)
	var strike atomic.Pointer[world.Process] // is killed at its next write
	var struck atomic.Bool
	w := world.Start(t, older, world.Options{
		Config: config, Environments: environments, Artifacts: []string{"checkout", "web"},
		OnWrite: func(_ int, when githubemu.When, _ *http.Request) {
			if p := strike.Load(); p != nil && when == githubemu.Before && strike.CompareAndSwap(p, nil) {
				p.Kill()
				struck.Store(true)
				panic(http.ErrAbortHandler) // nobody is there to be answered
			}
		},
	})
	c := &cast{t: t, World: w, older: older, newer: binary, began: time.Now()}

	c.serve(c.older)
	writeEveryKind(c)
	c.verify("after the version before")
	keepCorpus(c)
	before := c.document()
	c.rung.Stop()
	c.serve(c.newer)
	c.until("this version's API says all that the one before said", func() bool { return len(lost(before, c.document())) == 0 })
	c.rung.Stop()
	c.back()

	// One version is announced to the old process, which dies before it wrote anything
	// of it; another while nobody runs.
	strike.Store(c.rung)
	c.publish("checkout", "1.4.0")
	c.until("the old process is gone", func() bool { return struck.Load() && !c.rung.Running() })
	c.publish("web", "1.3.0")
	c.Quiet()

	c.serve(c.newer)
	c.arrives("checkout", "1.4.0")
	c.arrives("web", "1.3.0")
	c.announced("checkout", "1.4.0")
	c.announced("web", "1.3.0")
	c.verify("after this version")

	c.rung.Stop()
	c.back()
	c.publish("checkout", "1.5.0")
	c.arrives("checkout", "1.5.0")
	c.say(c.pull("checkout", "merged"), "bob", "/rollback", "quarantine")
	c.arrives("checkout", "1.4.0")
	c.verify("after going back")

	// What was announced before the second switch, and rolled back, is known after it.
	c.rung.Stop()
	c.publish("web", "1.4.0")
	c.Quiet()
	c.serve(c.newer)
	c.arrives("web", "1.4.0")
	c.announced("web", "1.4.0")
	c.publish("checkout", "1.6.0")
	c.arrives("checkout", "1.6.0")
	c.verify("at the end")
	c.rung.Stop()
	bad := c.Publish("checkout", "1.5.0")
	for _, env := range environments {
		if strings.Contains(c.File(env), bad) {
			t.Errorf("what was rolled back is in %s:\n%s", env, c.File(env))
		}
	}
}

// writeEveryKind has a rung write each kind of record.
func writeEveryKind(c *cast) {
	t := c.t
	t.Helper()
	c.arrivesByHand("web", "1.1.0")
	c.publish("checkout", "1.1.0")
	c.arrives("checkout", "1.1.0")
	first := c.pull("checkout", "merged")
	c.say(first, "alice", "/freeze staging the load test", "freeze")
	c.say(first, "alice", "/unfreeze staging", "unfreeze")
	c.publish("checkout", "1.2.0")
	c.arrives("checkout", "1.2.0")
	second := c.pull("checkout", "merged")
	c.say(second, "bob", "/rollback", "quarantine")
	c.arrives("checkout", "1.1.0")
	c.say(second, "alice", "/unquarantine it was the network", "unquarantine")
	c.absent = true
	c.publish("checkout", "1.3.0")
	c.until("1.3.0 waits in front of prod", func() bool {
		number := c.pull("checkout", "open")
		return number > 0 && slices.ContainsFunc(c.State().Pulls, func(pr githubemu.PullState) bool {
			return pr.Number == number && strings.Contains(pr.Title, "1.3.0")
		})
	})
	n := c.count("withdraw")
	if err := c.Emulator.SetPullState(t.Context(), world.Repository, c.pull("checkout", "open"), "bob", "closed"); err != nil {
		t.Fatal(err)
	}
	c.recorded("withdraw", n)
	c.absent = false

	n = c.count("adopt")
	c.push("rung.yaml", func(s string) string { return s + "# looked over\n" })
	c.recorded("adopt", n)
	c.rotate()
	c.publish("web", "1.2.0")
	c.arrives("web", "1.2.0")
	for _, kind := range kinds {
		if c.count(string(kind)) == 0 {
			t.Errorf("there is no record of kind %s", kind)
		}
	}
}

// arrivesByHand waits for the ledger's beginning and has alice write a version into
// every environment.
func (c *cast) arrivesByHand(artifact, version string) {
	c.t.Helper()
	c.until("the ledger's line is merged", func() bool {
		return slices.ContainsFunc(c.State().Pulls, func(pr githubemu.PullState) bool { return pr.Head == "rung/onboard" && pr.State == "merged" })
	})
	n := c.count("adopt")
	from, to := c.Publish(artifact, "1.0.0"), c.Publish(artifact, version)
	for _, env := range environments {
		c.push(world.FileOf(env), func(text string) string {
			return strings.Replace(text, "1.0.0\n    digest: "+from, version+"\n    digest: "+to, 1)
		})
	}
	c.recorded("adopt", n+len(environments)-1)
}

// rotate puts a root key in force, which signs a statement for it.
func (c *cast) rotate() {
	c.t.Helper()
	own, trust := filepath.Join(c.Dir, "own"), filepath.Join(c.Dir, "trust.jsonl")
	if err := os.WriteFile(own, []byte(c.Setting("RUNG_SIGNING_KEY")), 0o600); err != nil {
		c.t.Fatal(err)
	}
	keys := filepath.Join(c.Dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		c.t.Fatal(err)
	}
	c.run(0, c.older, "keys", "init", "--only", "root", keys)
	c.run(0, c.older, "keys", "rotate", c.Bare, "--root-key", own, "--root", filepath.Join(keys, "rung-root.pub"), "--reason", "the root key is kept offline from now on", "-o", trust)
	c.settings = append(c.settings, "RUNG_TRUST_FILE="+trust)
	c.rung.Stop()
	c.serve(c.older)
	c.recorded("rotate", 0)
}

// announced holds that a version's publisher is known: the record is in the ledger, and
// carol is named as having caused the promotion into prod.
func (c *cast) announced(artifact, version string) {
	c.t.Helper()
	digest := c.Publish(artifact, version)
	subject := func(r world.Record, env string) bool {
		return strings.HasPrefix(r.Subject, env) && strings.HasSuffix(r.Subject, artifact+"@"+digest)
	}
	records := c.Ledger()
	if !slices.ContainsFunc(records, func(r world.Record) bool { return r.Kind == "announce" && subject(r, "") }) {
		c.t.Errorf("who published %s %s is not in the ledger:\n%v", artifact, version, records)
	}
	if !slices.ContainsFunc(records, func(r world.Record) bool {
		return r.Kind == "propose" && subject(r, "prod/") && slices.Contains(r.Causers, "carol")
	}) {
		c.t.Errorf("carol is not named for %s %s in prod:\n%v", artifact, version, records)
	}
}

// resting reports whether no promotion is open.
func (c *cast) resting() bool {
	return !slices.ContainsFunc(c.State().Pulls, func(pr githubemu.PullState) bool { return pr.State == "open" })
}

// keepCorpus writes the evidence of what the version before wrote, for corpus, where
// RUNG_CORPUS names a file.
func keepCorpus(c *cast) {
	if file := os.Getenv("RUNG_CORPUS"); file != "" {
		c.run(0, c.older, "audit", "--bundle", file, c.Bare)
	}
}
