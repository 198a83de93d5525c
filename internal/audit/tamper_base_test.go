package audit

import (
	"strings"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// Attacks on what lies under the environments.
var _ = tampering(scene{grow: (*world).tell, attacks: []attack{
	{35, "a symbolic link under an environment", "TREE_MODE", 1, func(w *world) {
		w.mounted("environments/prod/extra.yaml", modeSymlink, w.put("blob", "../../../elsewhere.yaml"))
		w.adopted()
	}},
	{35, "a file under an environment turned into a link", "TREE_MODE", 1, func(w *world) {
		w.mounted("environments/prod/deployment.yaml", modeSymlink, w.put("blob", "../dev/deployment.yaml"))
		w.adopted()
	}},
	{35, "a submodule under an environment", "TREE_MODE", 1, func(w *world) {
		w.mounted("environments/prod/more", modeGitlink, strings.Repeat("1", 40))
		w.adopted()
	}},
	{35, "an environment turned into a link to another", "TREE_MODE UNATTESTED_CHANGE", 1, func(w *world) {
		w.mounted("environments/prod", modeSymlink, w.put("blob", "dev"))
		w.adopted()
	}},
	{35, "a file with versions in it made executable", "TREE_MODE", 1, func(w *world) {
		w.mounted(kustomization("prod"), modeExecutable, w.parse("main:"+kustomization("prod")))
		w.adopted()
	}},
	{35, "a link that nobody recorded yet", "ADOPT_PENDING TREE_MODE", 1, func(w *world) {
		w.mounted("environments/prod/extra.yaml", modeSymlink, w.put("blob", "../../../elsewhere.yaml"))
	}},
	{35, "a case-twin of a file", "PATH_ALIAS", 1, func(w *world) {
		w.onBase(map[string]string{"environments/prod/Deployment.yaml": "{}\n"})
		w.adopted()
	}},
	{35, "a case-twin of an environment", "PATH_ALIAS", 1, func(w *world) {
		w.onBase(map[string]string{"environments/Prod/deployment.yaml": "{}\n"})
		w.adopted()
	}},
	{35, "a case-twin of the directory above", "PATH_ALIAS", 1, func(w *world) {
		w.onBase(map[string]string{"ENVIRONMENTS/prod/kustomization.yaml": "{}\n"})
		w.adopted()
	}},
	{35, "a twin with a dot behind it", "PATH_ALIAS", 1, func(w *world) {
		w.onBase(map[string]string{"environments/prod/deployment.yaml.": "{}\n"})
		w.adopted()
	}},
	{35, "two spellings of one letter", "PATH_ALIAS", 1, func(w *world) {
		w.onBase(map[string]string{"environments/prod/caf\u00e9.yaml": "{}\n", "environments/prod/cafe\u0301.yaml": "{}\n"})
		w.adopted()
	}},
	{35, "honest: a link and a case-twin beside the environments, and a script", "", 0, func(w *world) {
		w.mounted("docs/latest", modeSymlink, w.put("blob", "../README.md"))
		w.onBase(map[string]string{"docs/readme.md": "a\n", "docs/README.md": "b\n"})
		w.mounted("environments/prod/check.sh", modeExecutable, w.put("blob", "#!/bin/sh\n"))
		w.adopted()
	}},
	{25, "the base begun anew with the same files", "REF_REWIND", 1, func(w *world) {
		first := strings.TrimSpace(w.git("", "rev-list", "--max-parents=0", "rung/ledger"))
		tree := w.withFiles(w.parse("main^{tree}"), map[string]string{"rung.yaml": "ledger: " + first + "\n" + w.cat("main:rung.yaml")})
		w.set("refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", tree, "-m", "begin")))
	}},
	{0, "another base that names no ledger", "LEDGER_FOREIGN", 2, func(w *world) {
		w.set("refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", "main^{tree}", "-m", "begin")))
	}},
}})

// mounted puts an entry of any mode on the base branch.
func (w *world) mounted(path string, mode uint32, id string) {
	w.Helper()
	tree := w.withEntry(w.parse("main^{tree}"), path, w.entry(mode, id))
	w.set("refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", tree, "-p", "main", "-m", "a change")))
}

// webflow signs as GitHub does what it commits itself: with PGP.
func webflow([]byte) (string, error) {
	return "-----BEGIN PGP SIGNATURE-----\niQ==\n-----END PGP SIGNATURE-----\n", nil
}

// arrival brings an open promotion to the base branch, in one of the ways that a
// forge and people have. edit may add to what it lands with.
type arrival struct {
	method string // as rung records it
	land   func(w *world, head promotion.Hash, tree promotion.Hash) promotion.Hash
}

// message is that of rung's promotion commit, which a rebase and a squash keep.
func (w *world) message(head promotion.Hash) string {
	w.Helper()
	c, err := w.remote.Commit(w.ctx, head)
	w.ok(err)
	return c.Message
}

var arrivals = map[string]arrival{
	"a merge signed by the forge": {"merge", func(w *world, head, tree promotion.Hash) promotion.Hash {
		return w.commit(tree, "Merge pull request #1", webflow, w.base, head)
	}},
	"a squash signed by the forge": {"squash", func(w *world, head, tree promotion.Hash) promotion.Hash {
		return w.commit(tree, w.message(head), webflow, w.base)
	}},
	"a rebase, which keeps message and author and loses the signature": {"squash", func(w *world, head, tree promotion.Hash) promotion.Hash {
		return w.commit(tree, w.message(head), nil, w.base)
	}},
	"a squash of a branch that was updated with the base": {"squash", func(w *world, head, tree promotion.Hash) promotion.Hash {
		_ = w.commit(tree, "Merge branch main into rung/p/staging/checkout", webflow, head, w.base)
		return w.commit(tree, w.message(head), webflow, w.base)
	}},
	"a merge of a branch that was updated with the base": {"merge", func(w *world, head, tree promotion.Hash) promotion.Hash {
		updated := w.commit(tree, "Merge branch main into rung/p/staging/checkout", webflow, head, w.base)
		return w.commit(tree, "Merge pull request #1", webflow, w.base, updated)
	}},
}

// arrive proposes, lets the base move on, and lands the promotion; more are
// files that come along.
func (a arrival) arrive(w *world, more map[string]string) {
	p := pair("staging", "checkout")
	head, open, _ := w.propose(ride{pair: p, version: "1.1.0"})
	w.hand("meanwhile", map[string]string{"README.md": "hello\n"})
	w.append(w.base, promotion.Record{Kind: promotion.RecordAdopt, Range: &promotion.RecordRange{To: w.base}})
	first := w.base
	text, places := w.edited(first, p, value("checkout", "1.1.0"))
	files := map[string]string{kustomization("staging"): text}
	for path, text := range more {
		files[path] = text
	}
	tree, err := w.remote.Rewrite(w.ctx, w.tree(first), edits(files))
	w.ok(err)
	w.base = a.land(w, head, tree)
	land := open.Record
	land.Kind, land.Previous, land.Places = promotion.RecordLand, nil, places
	land.Actor = promotion.Actor{Kind: "person", Person: alice}
	land.Landed = &promotion.RecordLanded{Commit: w.base, FirstParent: first, Method: a.method, ByHand: true}
	w.append(w.base, land)
}

// Each honest way to land holds, and none lets anything else in.
var _ = tampering(scene{grow: func(w *world) { w.start() }, live: true, attacks: func() (list []attack) {
	for name, a := range arrivals {
		list = append(list,
			attack{17, name, "", 0, func(w *world) { a.arrive(w, nil) }},
			attack{18, name + ", with more under the environment", "CHANGE_MISMATCH", 1, func(w *world) {
				a.arrive(w, map[string]string{"environments/staging/deployment.yaml": "{}\n"})
			}},
			attack{18, name + ", with another version", "CHANGE_MISMATCH", 1, func(w *world) {
				a.arrive(w, map[string]string{kustomization("prod"): "images:\n  - name: registry.example.com/acme/cart\n    newTag: 6.6.6\n"})
			}})
	}
	return list
}()})

// group lands several promotions as a merge queue does: in a run of commits, one
// for each, or in one commit for all.
func group(run bool, edit func(n int, changes map[string]gitrepo.FileChange)) func(*world) {
	return func(w *world) {
		pairs := []promotion.Pair{pair("dev", "cart"), pair("dev", "checkout"), pair("staging", "cart")}
		var open []promotion.LedgerEntry
		var heads []promotion.Hash
		for _, p := range pairs {
			head, e, _ := w.propose(ride{pair: p, version: "2.0.0"})
			open, heads = append(open, e), append(heads, head)
		}
		first, at := w.base, w.base
		places := make([][]promotion.PlaceChange, len(pairs))
		steps := make([]promotion.RecordLanded, len(pairs))
		for n, p := range pairs {
			before := at
			text, changes := w.edited(at, p, value(p.Artifact, "2.0.0"))
			files := edits(map[string]string{kustomization(string(p.Environment)): text})
			edit(n, files)
			tree, err := w.remote.Rewrite(w.ctx, w.tree(at), files)
			w.ok(err)
			parents := []promotion.Hash{before, heads[n]}
			if !run && n > 0 {
				// The group's one commit has all heads as parents.
				parents = append([]promotion.Hash{first}, heads[:n+1]...)
			}
			at = w.commit(tree, "Merge pull request", webflow, parents...)
			places[n], steps[n] = changes, promotion.RecordLanded{Commit: at, FirstParent: before, Method: "merge", ByHand: true}
		}
		w.base = at
		if w.options.Base != "" { // said by whoever wants it unrecorded
			return
		}
		var lands []promotion.Record
		for n, e := range open {
			land := e.Record
			land.Kind, land.Previous, land.Places, land.Landed = promotion.RecordLand, nil, places[n], &steps[n]
			if !run {
				land.Landed = &promotion.RecordLanded{Commit: at, FirstParent: first, Method: "merge", ByHand: true}
			}
			lands = append(lands, land)
		}
		w.append(w.base, lands...)
	}
}

// notYet is what happened without the records that rung would write next.
func notYet(strict bool, happen func(*world)) func(*world) {
	return func(w *world) {
		w.options.Base = "main"
		happen(w)
		w.options = Options{Strict: strict}
	}
}

// Until rung has written its records, what was promised and what people may change
// is only listed; strictly it is not enough.
var _ = tampering(scene{grow: func(w *world) { w.start() }, live: true, attacks: []attack{
	{0, "a merge queue's run of commits, not recorded yet", "LAND_PENDING", 0, notYet(false, group(true, unedited))},
	{0, "a merge queue's one commit, not recorded yet", "LAND_PENDING", 0, notYet(false, group(false, unedited))},
	{0, "a merge queue's one commit, not recorded yet, strictly", "LAND_PENDING", 1, notYet(true, group(false, unedited))},
	{18, "a merge queue's one commit with more in it, not recorded yet", "UNATTESTED_CHANGE", 1, notYet(false, group(false, smuggled))},
	{0, "a squash, not recorded yet", "LAND_PENDING", 0, func(w *world) {
		w.promote(ride{pair: pair("dev", "checkout"), version: "1.1.0", squash: true, noLand: true})
	}},
	{0, "a fast-forward, not recorded yet", "LAND_PENDING", 0, func(w *world) {
		w.base, _, _ = w.propose(ride{pair: pair("dev", "checkout"), version: "1.1.0"})
	}},
	{0, "a promotion that nobody authorised, not recorded yet", "UNATTESTED_CHANGE", 1, func(w *world) {
		w.base, _, _ = w.propose(ride{pair: pair("dev", "checkout"), version: "1.1.0", noAuthorize: true})
	}},
	{0, "a promotion that was withdrawn, merged all the same", "UNATTESTED_CHANGE", 1, func(w *world) {
		w.base, _, _ = w.propose(ride{pair: pair("dev", "checkout"), version: "1.1.0", withdrawn: true})
	}},
	{0, "configuration changed, not adopted yet, strictly", "ADOPT_PENDING", 1, func(w *world) {
		w.hand("more", map[string]string{"environments/prod/deployment.yaml": "{}\n"})
		w.options.Strict = true
	}},
	{0, "a merge by hand against unmet gates, strictly", "OVERRIDE", 1, func(w *world) {
		w.promote(ride{pair: pair("dev", "checkout"), version: "1.1.0", byHand: true, noAuthorize: true, unmet: []string{"approval"}})
		w.options.Strict = true
	}},
	{0, "a file beside the environments changed, which needs no record", "", 0, func(w *world) {
		w.hand("docs", map[string]string{"README.md": "hello\n"})
		w.options.Strict = true
	}},
}})

func unedited(int, map[string]gitrepo.FileChange) {}

func smuggled(n int, changes map[string]gitrepo.FileChange) {
	if n == 1 {
		changes["environments/dev/deployment.yaml"] = gitrepo.FileChange{Data: []byte("{}\n")}
	}
}

// A merge queue lands a group at once.
var _ = tampering(scene{grow: func(w *world) { w.start() }, live: true, attacks: []attack{
	{17, "a merge queue lands three promotions in a run of commits", "", 0, group(true, unedited)},
	{17, "a merge queue lands three promotions in one commit", "", 0, group(false, unedited)},
	{18, "a merge queue's run of commits with more in the second", "CHANGE_MISMATCH", 1, group(true, smuggled)},
	{18, "a merge queue's one commit with more in it", "CHANGE_MISMATCH", 1, group(false, smuggled)},
}})
