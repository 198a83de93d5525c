package audit

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

const ledgerRef = "refs/heads/rung/ledger"

// livePath is where the story's newest land of dev/checkout stands.
const livePath = "live/dev/checkout.intoto.jsonl"

// lines are the lines of a file at the ledger's tip.
func (w *world) lines(path string) []string {
	all := strings.SplitAfter(w.cat("rung/ledger:"+path), "\n")
	return all[:len(all)-1]
}

// rearmoured is a signature at another line width.
func rearmoured(armoured string, width int) string {
	lines := strings.Split(strings.TrimSpace(armoured), "\n")
	body := strings.Join(lines[1:len(lines)-1], "")
	var b strings.Builder
	b.WriteString(lines[0] + "\n")
	for len(body) > width {
		b.WriteString(body[:width] + "\n")
		body = body[width:]
	}
	b.WriteString(body + "\n" + lines[len(lines)-1] + "\n")
	return b.String()
}

// payloadEdited is an envelope with its statement changed and the rest as it is.
func payloadEdited(line string, edit func(string) string) string {
	var e struct {
		PayloadType string            `json:"payloadType"`
		Payload     []byte            `json:"payload"`
		Signatures  []json.RawMessage `json:"signatures"`
	}
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		panic(err)
	}
	old := base64.StdEncoding.EncodeToString(e.Payload)
	return strings.Replace(line, old, base64.StdEncoding.EncodeToString([]byte(edit(string(e.Payload)))), 1)
}

// onBase puts a commit of a person on the base branch, by plumbing.
func (w *world) onBase(files map[string]string, parents ...string) string {
	tree := w.withFiles(w.parse("main^{tree}"), files)
	args := []string{"commit-tree", tree, "-p", "main", "-m", "a change"}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	id := strings.TrimSpace(w.git("", args...))
	w.set("refs/heads/main", id)
	return id
}

func (w *world) replaced(path, old, new string) map[string]string {
	text := w.cat("main:" + path)
	if !strings.Contains(text, old) {
		w.Fatalf("%s does not hold %q", path, old)
	}
	return map[string]string{path: strings.Replace(text, old, new, 1)}
}

// Attacks on a repository that is already there.
var _ = tampering(scene{grow: (*world).tell, attacks: []attack{
	{1, "ledger message edited", "SIG_INVALID", 1, func(w *world) {
		w.amend(ledgerRef, nil, func(raw string) string { return strings.Replace(raw, "settle", "settled", 1) })
	}},
	{1, "ledger tree pointer swapped", "SIG_INVALID TRAILER_MISMATCH", 1, func(w *world) {
		w.amend(ledgerRef, nil, func(raw string) string {
			return strings.Replace(raw, w.parse(ledgerRef+"^{tree}"), w.parse(ledgerRef+"^^{tree}"), 1)
		})
	}},
	{1, "promotion commit's message edited, then merged by a person", "SIG_INVALID", 1, func(w *world) {
		head := w.cat("rung/p/dev/checkout")
		id := w.put("commit", strings.Replace(head, "Promote", "Promoted", 1))
		w.set("refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", "main^{tree}", "-p", "main", "-p", id, "-m", "merge")))
	}},
	{2, "unsigned change of a version", "UNATTESTED_CHANGE", 1, func(w *world) {
		w.onBase(w.replaced(kustomization("prod"), "newTag: 1.0.0", "newTag: 1.0.1"))
	}},
	{2, "unsigned change below a commit that changes nothing", "UNATTESTED_CHANGE", 1, func(w *world) {
		w.onBase(w.replaced(kustomization("prod"), "newTag: 1.0.0", "newTag: 1.0.1"))
		w.onBase(map[string]string{"README.md": "hello\n"})
	}},
	{2, "unsigned ledger commit", "SIG_MISSING", 1, func(w *world) { w.amend(ledgerRef, nil, unsignedCommit) }},
	{3, "ledger commit by an unknown key", "SIGNER_UNKNOWN", 1, func(w *world) {
		w.amend(ledgerRef, newKey(w), func(raw string) string { return raw })
	}},
	{7, "trust list removed", "TRUST_CONFIG", 1, func(w *world) { w.forge(map[string]string{ledger.SignersPath: ""}) }},
	{7, "trust list whose timestamp has no Z", "TRUST_CONFIG", 1, func(w *world) {
		w.forge(map[string]string{ledger.SignersPath: `rung valid-after="20250101" ` + w.key.Public().AuthorizedKey() + "\n"})
	}},
	{8, "signature for another namespace", "SIG_NAMESPACE", 1, func(w *world) {
		raw := unsignedCommit(w.cat(ledgerRef))
		pem, err := w.key.MarshalOpenSSH("")
		w.ok(err)
		key, err := ssh.ParsePrivateKey(pem)
		w.ok(err)
		s, err := sshsig.Sign(strings.NewReader(raw), key, sshsig.HashSHA512, "file")
		w.ok(err)
		w.set(ledgerRef, w.put("commit", signedCommit(raw, rearmoured(string(sshsig.Armor(s)), 70))))
	}},
	{9, "signature wrapped anew", "SIG_NONCANONICAL", 1, func(w *world) {
		w.amend(ledgerRef, nil, func(raw string) string {
			c, err := parseCommit(oid{}, []byte(raw))
			w.ok(err)
			return signedCommit(string(c.payload(nil)), rearmoured(c.signature(), 60))
		})
		w.stockGood(ledgerRef)
	}},
	{10, "two gpgsig headers", "OBJECT_MALFORMED", 1, func(w *world) {
		w.amend(ledgerRef, nil, func(raw string) string {
			c, err := parseCommit(oid{}, []byte(raw))
			w.ok(err)
			return signedCommit(raw, c.signature())
		})
	}},
	{10, "two tree headers", "OBJECT_MALFORMED", 1, func(w *world) {
		w.amend(ledgerRef, w.key, func(raw string) string { return "tree " + w.parse(ledgerRef+"^^{tree}") + "\n" + raw })
	}},
	{10, "a NUL in the message", "OBJECT_MALFORMED", 1, func(w *world) {
		w.amend(ledgerRef, w.key, func(raw string) string { return strings.Replace(raw, "settle", "set\x00tle", 1) })
	}},
	{10, "an unknown header", "OBJECT_MALFORMED", 1, func(w *world) {
		w.amend(ledgerRef, w.key, func(raw string) string { return strings.Replace(raw, "\n\n", "\nextra yes\n\n", 1) })
	}},
	{11, "PGP signature", "SIG_TYPE", 1, func(w *world) {
		w.amend(ledgerRef, nil, func(raw string) string {
			return signedCommit(unsignedCommit(raw), "-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n")
		})
	}},
	{12, "own key brought along", "TRUST_SELF_AUTHORISED", 1, func(w *world) {
		key := newKey(w)
		w.forge(map[string]string{ledger.SignersPath: w.cat("rung/ledger:allowed_signers") + "rung " + key.Public().AuthorizedKey() + "\n"})
		w.amend(ledgerRef, key, func(raw string) string { return raw })
	}},
	{13, "trust list edited by the release key", "TRUST_ROLE", 1, func(w *world) {
		w.forge(map[string]string{ledger.SignersPath: w.cat("rung/ledger:allowed_signers") + "rung " + newKey(w).Public().AuthorizedKey() + "\n"})
	}},
	{14, "a commit replaced", "REPLACE_REF", 1, func(w *world) { w.git("", "replace", w.parse("rung/ledger"), w.parse("rung/ledger^")) }},
	{15, "shallow", "HISTORY_TRUNCATED", 2, func(w *world) {
		dir := filepath.Join(w.TempDir(), "shallow.git")
		w.git("", "clone", "-q", "--bare", "--depth=1", "--no-single-branch", "file://"+w.dir, dir)
		w.dir = dir
	}},
	{15, "grafts", "HISTORY_TRUNCATED", 2, func(w *world) {
		w.ok(os.MkdirAll(filepath.Join(w.dir, "info"), 0o700))
		w.ok(os.WriteFile(filepath.Join(w.dir, "info", "grafts"), []byte(w.parse("main")+"\n"), 0o600))
	}},
	{20, "statement byte changed", "STMT_SIGNATURE", 1, func(w *world) {
		l := w.lines(livePath)
		l[2] = payloadEdited(l[2], func(s string) string { return strings.Replace(s, `"outcome":"good"`, `"outcome":"bad"`, 1) })
		w.amendFiles(map[string]string{livePath: strings.Join(l, "")})
	}},
	{20, "envelope encoded anew", "STMT_NONCANONICAL", 1, func(w *world) {
		l := w.lines(livePath)
		w.amendFiles(map[string]string{livePath: l[0] + l[1] + strings.Replace(l[2], `{"payloadType"`, `{ "payloadType"`, 1)})
	}},
	{20, "extra signature", "STMT_NONCANONICAL", 1, func(w *world) {
		l := w.lines(livePath)
		w.amendFiles(map[string]string{livePath: l[0] + l[1] + strings.Replace(l[2], `"signatures":[`, `"signatures":[{"keyid":"","sig":""},`, 1)})
	}},
	{20, "duplicate key", "STMT_NONCANONICAL", 1, func(w *world) {
		l := w.lines(livePath)
		w.amendFiles(map[string]string{livePath: l[0] + l[1] + strings.Replace(l[2], `{"payloadType"`, `{"payload":"","payloadType"`, 1)})
	}},
	{20, "keyid stripped", "STMT_SIGNATURE", 1, func(w *world) {
		l := w.lines(livePath)
		w.amendFiles(map[string]string{livePath: l[0] + l[1] + strings.Replace(l[2], w.key.Public().Fingerprint(), "", 1)})
	}},
	{21, "payload type swapped", "STMT_TYPE", 1, func(w *world) {
		l := w.lines(livePath)
		w.amendFiles(map[string]string{livePath: l[0] + l[1] + strings.Replace(l[2], "vnd.in-toto+json", "vnd.other+json", 1)})
	}},
	{22, "a release's record replayed for another pair", "CHAIN_BREAK", 1, func(w *world) {
		data := w.cat("rung/ledger:live/staging/checkout.intoto.jsonl")
		entries, err := ledger.DecodeFile([]byte(data), mustTrust(w).keys)
		w.ok(err)
		w.forge(map[string]string{"live/prod/checkout.intoto.jsonl": data}, entries...)
	}},
	{22, "an old record replayed in its place", "CHAIN_BREAK", 1, func(w *world) {
		path := "freezes/prod/checkout.intoto.jsonl"
		data := w.cat(strings.TrimSpace(w.git("", "log", "--format=%H", "--diff-filter=A", "rung/ledger", "--", path)) + ":" + path)
		entries, err := ledger.DecodeFile([]byte(data), mustTrust(w).keys)
		w.ok(err)
		w.forge(map[string]string{path: data}, entries...)
	}},
	{22, "a record of another repository", "REPO_MISMATCH", 1, func(w *world) {
		line, e := w.encode(promotion.Record{
			Format: 1, Kind: promotion.RecordFreeze, Repository: promotion.RecordRepository{URI: identity.URI, ID: 8, App: identity.App},
			Scope: "staging", IssuedAt: w.now.AddDate(0, 0, 1),
		})
		w.forge(map[string]string{"freezes/staging.intoto.jsonl": line}, e)
	}},
	{23, "a live record removed", "RECORD_DROPPED", 1, func(w *world) { w.forge(map[string]string{livePath: ""}) }},
	{23, "a tombstone removed", "RECORD_DROPPED", 1, func(w *world) { w.forge(map[string]string{"freezes/prod/checkout.intoto.jsonl": ""}) }},
	{23, "an open record removed without its land", "RECORD_DROPPED", 1, func(w *world) { w.forge(map[string]string{"open/prod/checkout.intoto.jsonl": ""}) }},
	{23, "the lineage removed", "RECORD_DROPPED", 1, func(w *world) { w.forge(map[string]string{lineagePath: ""}) }},
	{23, "a ledger commit with two parents", "LEDGER_NOT_LINEAR", 1, func(w *world) {
		first, second := w.parse(ledgerRef+"^"), w.parse(ledgerRef+"^^")
		w.amend(ledgerRef, w.key, func(raw string) string {
			return strings.Replace(raw, "parent "+first+"\n", "parent "+first+"\nparent "+second+"\n", 1)
		})
	}},
	{23, "two successors of one record", "CHAIN_FORK", 1, func(w *world) {
		path := "open/prod/checkout.intoto.jsonl"
		e := decoded(w, path)
		before := decodedAt(w, "rung/ledger^^", path) // its predecessor's own predecessor
		r := e.Record
		r.Previous = before.Record.Previous
		line, forged := w.encode(r)
		w.forge(map[string]string{path: line}, forged)
	}},
	{24, "trailers disagree", "TRAILER_MISMATCH", 1, func(w *world) {
		w.amend(ledgerRef, w.key, func(raw string) string { return strings.Replace(raw, "Kind: settle", "Kind: land", 1) })
	}},
	{24, "trailer repeated", "TRAILER_GRAMMAR", 1, func(w *world) {
		w.amend(ledgerRef, w.key, func(raw string) string {
			return strings.Replace(raw, "Promotion-Version: 1\n", "Promotion-Version: 1\nPromotion-Version: 1\n", 1)
		})
	}},
	{24, "trailer folded", "TRAILER_GRAMMAR", 1, func(w *world) {
		w.amend(ledgerRef, w.key, func(raw string) string { return strings.Replace(raw, "Kind: settle", "Kind:\n settle", 1) })
	}},
	{24, "trailer in another case", "TRAILER_GRAMMAR", 1, func(w *world) {
		w.amend(ledgerRef, w.key, func(raw string) string { return strings.Replace(raw, "Promotion-Kind", "promotion-kind", 1) })
	}},
	{24, "unknown trailer", "TRAILER_GRAMMAR", 1, func(w *world) {
		w.amend(ledgerRef, w.key, func(raw string) string { return strings.TrimSuffix(raw, "\n") + "\nPromotion-Mood: good\n" })
	}},
	{24, "no trailers", "TRAILER_GRAMMAR", 1, func(w *world) {
		w.amend(ledgerRef, w.key, func(raw string) string { return raw[:strings.LastIndex(raw, "\n\n")] + "\n" })
	}},
	{25, "base rewound", "REF_REWIND", 1, func(w *world) { w.set("refs/heads/main", w.parse("main~2")) }},
	{25, "base replaced by a commit of the same tree", "REF_REWIND", 1, func(w *world) {
		w.set("refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", "main^{tree}", "-p", "main~2", "-m", "other")))
	}},
	{26, "ledger's tail cut", "LEDGER_REWIND", 1, func(w *world) { w.set(ledgerRef, w.parse(w.authorizeOf("main")+"^")) }},
	{30, "a quarantined digest proposed", "QUARANTINED", 1, func(w *world) { w.forgePropose("1.2.0") }},
	{30, "a quarantined digest proposed under a new tag", "QUARANTINED", 1, func(w *world) { w.forgePropose("1.2.1") }},
	{31, "a quarantine removed", "QUARANTINE_DROPPED", 1, func(w *world) {
		w.forge(map[string]string{ledger.QuarantinePath(digest("checkout", "1.2.0")): ""})
	}},
	{0, "the ledger gone", "LEDGER_MISSING", 2, func(w *world) { w.git("", "update-ref", "-d", ledgerRef) }},
	{0, "the base branch gone", "BASE_MISSING", 2, func(w *world) {
		w.git("", "update-ref", "-d", "refs/heads/main")
	}},
	{0, "an unknown kind of record", "RECORD_UNKNOWN", 2, func(w *world) {
		line, e := w.encode(promotion.Record{
			Format: 1, Kind: "wish", Repository: promotion.RecordRepository{URI: identity.URI, ID: identity.Repository, App: identity.App},
			Scope: "staging", IssuedAt: w.now.AddDate(0, 0, 1),
		})
		w.forge(map[string]string{"freezes/staging.intoto.jsonl": line}, e)
	}},
	{0, "an unknown format of record", "RECORD_UNKNOWN", 2, func(w *world) {
		line, e := w.encode(promotion.Record{
			Format: 2, Kind: promotion.RecordFreeze, Repository: promotion.RecordRepository{URI: identity.URI, ID: identity.Repository, App: identity.App},
			Scope: "staging", IssuedAt: w.now.AddDate(0, 0, 1),
		})
		w.forge(map[string]string{"freezes/staging.intoto.jsonl": line}, e)
	}},
	{0, "an unknown file", "RECORD_UNKNOWN", 2, func(w *world) { w.forge(map[string]string{"notes.txt": "hello\n"}) }},
	{0, "an object gone", "OBJECT_MISSING", 2, func(w *world) {
		w.onBase(map[string]string{"README.md": "hello\n"})
		id := w.parse("main:README.md")
		w.ok(os.Remove(filepath.Join(w.dir, "objects", id[:2], id[2:])))
	}},
	{0, "configuration changed, not adopted yet", "ADOPT_PENDING", 0, func(w *world) {
		w.onBase(map[string]string{workflow: "on: pull_request\n"})
	}},
	{0, "an authorised promotion landed, not recorded yet", "LAND_PENDING", 0, func(w *world) {
		w.set("refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", "rung/p/prod/checkout^{tree}", "-p", "main", "-p", "rung/p/prod/checkout", "-m", "merge")))
	}},
	{18, "an authorised promotion landed with more, not recorded yet", "UNATTESTED_CHANGE", 1, func(w *world) {
		w.git("", "update-ref", "refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", "rung/p/prod/checkout^{tree}", "-p", "main", "-m", "squash")))
		tree := w.withFiles(w.parse("main^{tree}"), w.replaced("environments/dev/deployment.yaml", "2", "9"))
		w.set("refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", tree, "-p", "main^", "-m", "squash")))
	}},
}})

func mustTrust(w *world) trust {
	t, err := newTrust([]byte(w.cat("rung/ledger:allowed_signers")))
	w.ok(err)
	return t
}

func decoded(w *world, path string) promotion.LedgerEntry { return decodedAt(w, "rung/ledger", path) }

// decodedAt is the first record of a file at a revision.
func decodedAt(w *world, rev, path string) promotion.LedgerEntry {
	w.Helper()
	entries, problem := decodeRecords([]byte(w.cat(rev+":"+path)), ledger.Decoder{Keys: mustTrust(w).keys})
	if problem != nil {
		w.Fatal(problem)
	}
	return *entries[0]
}

// authorizeOf is the ledger commit that a merge on the base branch cites.
func (w *world) authorizeOf(rev string) string {
	t, err := ledger.ParseTrailers(w.git("", "log", "-1", "--format=%B", rev))
	w.ok(err)
	return string(t.Ledger)
}

// forgePropose proposes the barred digest in staging.
func (w *world) forgePropose(version string) {
	w.Helper()
	live := "live/staging/checkout.intoto.jsonl"
	entries, problem := decodeRecords([]byte(w.cat("rung/ledger:"+live)), ledger.Decoder{Keys: mustTrust(w).keys})
	if problem != nil {
		w.Fatal(problem)
	}
	line, e := w.encode(promotion.Record{
		Format: 1, Kind: promotion.RecordPropose, Repository: entries[0].Record.Repository, Environment: "staging",
		Artifact: &promotion.RecordArtifact{Name: "checkout", Version: promotion.Version(version), Digest: digest("checkout", "1.2.0")},
		Previous: &promotion.RecordLink{Statement: entries[len(entries)-1].Statement, Blob: promotion.Hash(w.parse("rung/ledger:" + live))},
		IssuedAt: w.now.AddDate(0, 0, 1),
	})
	w.forge(map[string]string{"open/staging/checkout.intoto.jsonl": line}, e)
}
