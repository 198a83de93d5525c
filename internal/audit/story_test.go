package audit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// TestStories: what rung and people do in good faith holds, however records
// share commits; and what goes wrong between them is found.
func TestStories(t *testing.T) {
	dev, staging, cart := pair("dev", "checkout"), pair("staging", "checkout"), pair("dev", "cart")
	for _, c := range []struct {
		name string
		do   func(w *world)
		want string
		exit int
	}{
		{"nothing yet", func(*world) {}, "", 0},
		{"one pass records a land, a settle of another pair, and a proposal", func(w *world) {
			w.promote(ride{pair: cart, version: "2.0.0"})
			r := ride{pair: dev, version: "1.1.0", noLand: true}
			open := w.promote(r)
			land := landOf(w, open, dev)
			propose := promotion.Record{Kind: promotion.RecordPropose, Promotion: "p", Environment: "staging", Artifact: land.Artifact, From: &promotion.RecordFrom{Environment: "dev", Statement: "#0"}}
			settle := promotion.Record{Kind: promotion.RecordSettle, Environment: "dev", Artifact: w.state.Live[cart].Land.Record.Artifact, Outcome: promotion.SettledGood}
			w.append(w.base, land, settle, propose)
		}, "", 0},
		{"a land, its settle, and the next proposal of the same pair in one pass", func(w *world) {
			land := landOf(w, w.promote(ride{pair: dev, version: "1.1.0", noLand: true}), dev)
			settle := promotion.Record{Kind: promotion.RecordSettle, Environment: "dev", Artifact: land.Artifact, Outcome: promotion.SettledBad}
			next := promotion.Record{Kind: promotion.RecordPropose, Promotion: "p", Environment: "dev", Artifact: artifact("checkout", value("checkout", "1.2.0"))}
			w.append(w.base, land, settle, next)
		}, "", 0},
		{"a version by hand, adopted with the next proposal", func(w *world) {
			adopt := w.changed(dev, "1.1.0")
			w.append(w.base, adopt, promotion.Record{Kind: promotion.RecordPropose, Promotion: "p", Environment: "dev", Artifact: artifact("checkout", value("checkout", "1.2.0"))})
		}, "", 0},
		{"two versions by hand, adopted in one pass", func(w *world) {
			first, second := w.changed(dev, "1.1.0"), w.changed(dev, "1.2.0")
			w.append(w.base, first, second)
		}, "", 0},
		{"two artifacts by one hand in one file", func(w *world) {
			before := w.base
			one, two := value("checkout", "1.1.0"), value("cart", "2.0.0")
			text, places := w.edited(w.base, dev, one)
			commit := w.hand("both", map[string]string{kustomization("dev"): text})
			_ = commit
			w.base = before
			both := strings.NewReplacer("newTag: 1.0.0\n    digest: "+string(digest("cart", "1.0.0")), "newTag: 2.0.0\n    digest: "+string(two.Digest)).Replace(text)
			id := w.hand("both", map[string]string{kustomization("dev"): both})
			landed := &promotion.RecordLanded{Commit: id, FirstParent: before, Method: "squash", ByHand: true}
			_, cartPlaces := w.edited(before, cart, two)
			w.append(w.base,
				promotion.Record{Kind: promotion.RecordAdopt, Environment: "dev", Artifact: artifact("checkout", one), Places: places, Landed: landed},
				promotion.Record{Kind: promotion.RecordAdopt, Environment: "dev", Artifact: artifact("cart", two), Places: cartPlaces, Landed: landed})
		}, "", 0},
		{"a quarantine lifted and the digest proposed again in one pass", func(w *world) {
			w.quarantine(promotion.RecordQuarantine, digest("checkout", "1.1.0"))
			w.append("", promotion.Record{Kind: promotion.RecordUnquarantine, Digest: digest("checkout", "1.1.0")},
				promotion.Record{Kind: promotion.RecordPropose, Promotion: "p", Environment: "dev", Artifact: artifact("checkout", value("checkout", "1.1.0"))})
		}, "", 0},
		{"a child of a quarantined index proposed", func(w *world) {
			w.append("", promotion.Record{Kind: promotion.RecordQuarantine, Digest: digest("checkout", "index"), Children: []promotion.Digest{digest("checkout", "1.1.0")}})
			w.append("", promotion.Record{Kind: promotion.RecordPropose, Promotion: "p", Environment: "dev", Artifact: artifact("checkout", value("checkout", "1.1.0"))})
		}, "QUARANTINED", 1},
		{"superseded, rebuilt, authorised twice", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0", onlyOpen: true})
			w.promote(ride{pair: dev, version: "1.2.0", onlyOpen: true})
			again := w.state.Open[dev].Record
			again.Previous = nil
			w.append("", again)
			w.promote(ride{pair: dev, version: "1.3.0"})
		}, "", 0},
		{"an artifact and an environment that came later", func(w *world) {
			w.hand("more", map[string]string{
				"rung.yaml": strings.Replace(rungYAML, "environments:\n", "  worker: {image: registry.example.com/acme/worker}\nenvironments:\n  lab: {}\n", 1),
			})
			first := w.base
			v := value("worker", "3.0.0")
			id := w.hand("lab", map[string]string{kustomization("lab"): "images:\n  - name: registry.example.com/acme/worker\n    newTag: 3.0.0\n    digest: " + string(v.Digest) + "\n"})
			w.append(w.base, promotion.Record{
				Kind: promotion.RecordAdopt, Environment: "lab", Artifact: artifact("worker", v), Landed: &promotion.RecordLanded{Commit: id, FirstParent: first},
				Places: []promotion.PlaceChange{{Path: kustomization("lab"), Locator: "kustomize:0:images[name=registry.example.com/acme/worker]", After: v}},
			})
		}, "", 0},
		{"a foxtrot merge, adopted as one change", func(w *world) {
			old := w.base
			mine := w.changed(dev, "1.1.0")
			theirs := w.base
			w.append(theirs, mine)
			text, places := w.edited(old, cart, value("cart", "2.0.0"))
			w.base = old
			side := w.hand("side", map[string]string{kustomization("dev"): text})
			both, _ := w.edited(theirs, cart, value("cart", "2.0.0"))
			tree, err := w.remote.Rewrite(w.ctx, w.tree(theirs), edits(map[string]string{kustomization("dev"): both}))
			w.ok(err)
			w.base = w.commit(tree, "merge main into side", nil, side, theirs)
			w.append(w.base, promotion.Record{
				Kind: promotion.RecordAdopt, Environment: "dev", Artifact: artifact("cart", value("cart", "2.0.0")), Places: places,
				Landed: &promotion.RecordLanded{Commit: w.base, FirstParent: theirs, Method: "merge", ByHand: true},
			})
		}, "", 0},
		{"a branch updated with the base, then merged by rung", func(w *world) {
			head, open, _ := w.propose(ride{pair: dev, version: "1.1.0", noAuthorize: true})
			w.hand("meanwhile", map[string]string{"README.md": "hello\n"})
			w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{To: w.base}})
			text, places := w.edited(w.base, dev, value("checkout", "1.1.0"))
			tree, err := w.remote.Rewrite(w.ctx, w.tree(w.base), edits(map[string]string{kustomization("dev"): text}))
			w.ok(err)
			updated := w.commit(tree, "Merge branch main", nil, head, w.base)
			a := open.Record
			a.Kind, a.Previous, a.PullRequest = promotion.RecordAuthorize, nil, &promotion.RecordPullRequest{Number: 1, Head: updated, Tree: tree}
			first := w.base
			authorized := w.append("", a)[0]
			w.base = w.commit(tree, "Merge pull request", nil, first, updated)
			land := authorized.Record
			land.Kind, land.Previous, land.Places = promotion.RecordLand, nil, places
			land.Landed = &promotion.RecordLanded{Commit: w.base, FirstParent: first, Method: "merge"}
			w.append(w.base, land)
		}, "", 0},
		{"a fast-forward by hand", func(w *world) {
			head, open, _ := w.propose(ride{pair: staging, version: "1.1.0"})
			first := w.base
			w.base = head
			land := landOf(w, open, staging)
			land.Landed = &promotion.RecordLanded{Commit: head, FirstParent: first, Method: "fast-forward", ByHand: true}
			w.append(w.base, land)
		}, "", 0},
		{"two promotions of one file, one after the other", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0"})
			w.promote(ride{pair: cart, version: "2.0.0", squash: true})
		}, "", 0},
		{"rung.yaml broken and mended between versions by hand", func(w *world) {
			w.hand("oops", map[string]string{"rung.yaml": "version: [\n"})
			adopt := w.changed(dev, "1.1.0")
			w.hand("mended", map[string]string{"rung.yaml": rungYAML})
			w.append(w.base, adopt)
		}, "", 0},
		{"a version changed while rung.yaml was away, and nothing said", func(w *world) {
			w.hand("away", map[string]string{"rung.yaml": ""})
			w.changed(dev, "1.1.0")
			w.hand("back", map[string]string{"rung.yaml": rungYAML})
			w.append(w.base, promotion.Record{Kind: promotion.RecordFreeze, Scope: "+all"})
		}, "UNATTESTED_CHANGE", 1},
		{"rung.yaml away for good", func(w *world) {
			w.hand("away", map[string]string{"rung.yaml": ""})
		}, "ADOPT_PENDING", 0},

		{"the ledger moved past a version by hand", func(w *world) {
			w.changed(dev, "1.1.0")
			w.append(w.base, promotion.Record{Kind: promotion.RecordFreeze, Scope: "+all"})
		}, "UNATTESTED_CHANGE", 1},
		{"an adopt that says another version", func(w *world) {
			adopt := w.changed(dev, "1.1.0")
			adopt.Places[0].After = value("checkout", "1.2.0")
			w.append(w.base, adopt)
		}, "CHANGE_MISMATCH", 1},
		{"an adopt of a commit that changed nothing", func(w *world) {
			adopt := w.changed(dev, "1.1.0")
			w.append(w.base, adopt)
			adopt.Landed = &promotion.RecordLanded{Commit: w.hand("nothing", map[string]string{"README.md": "x\n"}), FirstParent: w.base}
			adopt.Landed.FirstParent = w.parentOf(adopt.Landed.Commit)
			adopt.Previous = nil
			w.append(w.base, adopt)
		}, "CHANGE_MISMATCH", 1},
		{"an adopt of a commit that is nowhere", func(w *world) {
			adopt := w.changed(dev, "1.1.0")
			w.append(w.base, adopt)
			lost := adopt
			lost.Landed = &promotion.RecordLanded{Commit: w.commit(w.tree(w.base), "lost", nil, w.base), FirstParent: w.base}
			w.append("", lost)
		}, "REF_REWIND", 1},
		{"a change by hand, accepted by a person", func(w *world) {
			adopt := w.changed(dev, "1.1.0")
			again := adopt
			w.append(w.base, adopt)
			again.Cause, again.Reason = promotion.Cause{Kind: "comment", ID: "1"}, "it is fine"
			w.append("", again)
		}, "", 0},
		{"the same change recorded twice, later", func(w *world) {
			adopt := w.changed(dev, "1.1.0")
			again := adopt
			w.append(w.base, adopt)
			w.append(w.base, w.changed(dev, "1.2.0"))
			w.append("", again)
		}, "CHANGE_MISMATCH", 1},
		{"what was found, accepted by a person", func(w *world) {
			r := w.state.Live[dev].Land.Record
			r.Previous = nil
			w.append("", r)
		}, "", 0},
		{"a second record of what was found, with another version", func(w *world) {
			r := w.state.Live[dev].Land.Record
			r.Previous, r.Artifact = nil, artifact("checkout", value("checkout", "1.1.0"))
			w.append("", r)
		}, "CHANGE_MISMATCH", 1},
		{"a record issued before the one before it", func(w *world) {
			w.append("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "+all"})
			w.state.IssuedAt = w.state.IssuedAt.AddDate(-1, 0, 0)
			w.append("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "dev", IssuedAt: w.now.AddDate(0, -1, 0)})
		}, "CLOCK_REGRESSION", 1},
		{"rung.yaml names another ledger", func(w *world) {
			w.hand("pin", map[string]string{"rung.yaml": "ledger: " + strings.Repeat("1", 40) + "\n" + rungYAML})
			w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{To: w.base}})
		}, "LEDGER_RESET", 1},
		{"rung.yaml names this ledger", func(w *world) {
			w.hand("pin", map[string]string{"rung.yaml": "ledger: " + string(w.state.First) + "\n" + rungYAML})
			w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{To: w.base}})
		}, "", 0},
		{"an authorize of what was never proposed", func(w *world) {
			w.append("", promotion.Record{Kind: promotion.RecordAuthorize, Promotion: "p", Environment: "dev", Artifact: artifact("checkout", value("checkout", "1.1.0"))})
		}, "CHAIN_BREAK", 1},
		{"a promotion that climbs from nowhere", func(w *world) {
			w.append("", promotion.Record{
				Kind: promotion.RecordPropose, Promotion: "p", Environment: "staging", Artifact: artifact("checkout", value("checkout", "1.1.0")),
				From: &promotion.RecordFrom{Environment: "dev", Statement: w.state.Live[dev].Land.Statement},
			})
		}, "CHAIN_BREAK", 1},
		{"a promotion that climbs from what was only authorised", func(w *world) {
			_, open, _ := w.propose(ride{pair: dev, version: "1.1.0"})
			w.append("", promotion.Record{
				Kind: promotion.RecordPropose, Promotion: "p", Environment: "staging", Artifact: artifact("checkout", value("checkout", "1.1.0")),
				From: &promotion.RecordFrom{Environment: "dev", Statement: open.Statement},
			})
		}, "CHAIN_BREAK", 1},
		{"a promotion that climbs from what landed", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0"})
			w.append("", promotion.Record{
				Kind: promotion.RecordPropose, Promotion: "p", Environment: "staging", Artifact: artifact("checkout", value("checkout", "1.1.0")),
				From: &promotion.RecordFrom{Environment: "dev", Statement: w.state.Live[dev].Land.Statement},
			})
		}, "", 0},
		{"a promoted file made executable", func(w *world) {
			w.promote(ride{pair: dev, version: "1.1.0", executable: true})
		}, "TREE_MODE", 1},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.start()
			c.do(w)
			report, found := w.push().verify(Options{})
			if found != c.want || report.ExitCode() != c.exit {
				t.Errorf("found %q, exit %d, want %q, exit %d%s", found, report.ExitCode(), c.want, c.exit, show(report))
			}
		})
	}
}

// parentOf is a commit's first parent.
func (w *world) parentOf(id promotion.Hash) promotion.Hash {
	c, err := w.remote.Commit(w.ctx, id)
	w.ok(err)
	return c.Parents[0]
}

// landOf is the land record of an open promotion that is the base head.
func landOf(w *world, open promotion.LedgerEntry, p promotion.Pair) promotion.Record {
	w.Helper()
	first := w.parentOf(w.base)
	_, places := w.edited(first, p, promotion.Value{Version: open.Record.Artifact.Version, Digest: open.Record.Artifact.Digest})
	land := open.Record
	land.Kind, land.Previous, land.Places = promotion.RecordLand, nil, places
	land.IssuedAt = w.now
	land.Landed = &promotion.RecordLanded{Commit: w.base, FirstParent: first, Method: "merge"}
	return land
}

// TestTrustLists: keys that are listed and may not sign, by the list that the
// ledger begins with.
func TestTrustLists(t *testing.T) {
	key := newKey(t).Public().AuthorizedKey()
	for _, c := range []struct {
		name    string
		signers string // %s is the release key
		want    string
	}{
		{"rung alone", "rung namespaces=\"git\" %s\n", ""},
		{"a developer beside it", "rung %s\nalice@example.com " + key + "\n", ""},
		{"the release key as a developer", "alice@example.com %s\n", "SIGNER_ROLE STMT_SIGNATURE"},
		{"another namespace", "rung namespaces=\"file\" %s\n", "KEY_NOT_VALID"},
		{"valid no longer", "rung valid-before=\"20200101Z\" %s\n", "KEY_NOT_VALID"},
		{"valid from later", "rung valid-after=\"20990101Z\" %s\n", "KEY_NOT_VALID"},
		{"valid then", "rung valid-after=\"20200101Z\",valid-before=\"20990101Z\" %s\n", ""},
		{"another key alone", "rung " + key + "\n", "SIGNER_UNKNOWN STMT_SIGNATURE"},
		{"no Z", "rung valid-after=\"20200101\" %s\n", "SIGNER_UNKNOWN STMT_SIGNATURE TRUST_CONFIG"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.start()
			w.push()
			signers := c.signers
			if strings.Contains(signers, "%s") {
				signers = fmt.Sprintf(signers, w.key.Public().AuthorizedKey())
			}
			w.amendFiles(map[string]string{ledger.SignersPath: signers})
			report, found := w.verify(Options{})
			found = strings.TrimSpace(strings.ReplaceAll(found, "UNATTESTED_CHANGE", ""))
			if found != c.want {
				t.Errorf("found %q, want %q%s", found, c.want, show(report))
			}
		})
	}
}

// TestDeveloperKey: a listed key that is not rung's signs as rung.
func TestDeveloperKey(t *testing.T) {
	dev := newKey(t)
	w := newWorld(t)
	w.start()
	w.push()
	w.amendFiles(map[string]string{ledger.SignersPath: fmt.Sprintf("rung %s\nalice@example.com %s\n", w.key.Public().AuthorizedKey(), dev.Public().AuthorizedKey())})
	if report, found := w.verify(Options{}); found != "" {
		t.Fatal(show(report))
	}
	first := w.parse(ledgerRef)
	line, e := w.encode(promotion.Record{
		Format: 1, Kind: promotion.RecordFreeze, Repository: promotion.RecordRepository{URI: identity.URI, ID: identity.Repository, App: identity.App}, Scope: "dev", IssuedAt: w.now,
	})
	lineage := fmt.Sprintf("{\"format\":1,\"repository\":7,\"app\":42,\"first\":%q}\n", first)
	w.forge(map[string]string{"freezes/dev.intoto.jsonl": line, lineagePath: lineage}, e)
	drop := func(raw string) string {
		return strings.NewReplacer("Promotion-App: 42\n", "", "Promotion-Repository: 7\n", "").Replace(raw)
	}
	w.amend(ledgerRef, w.key, drop)
	if report, found := w.verify(Options{}); found != "" {
		t.Fatal(show(report))
	}
	w.amend(ledgerRef, dev, drop)
	if report, found := w.verify(Options{}); found != string(SignerRole) {
		t.Error(found, show(report))
	}
}
