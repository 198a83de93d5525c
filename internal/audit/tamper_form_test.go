package audit

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

const freezePath = "freezes/prod/checkout.intoto.jsonl"

// Attacks on the form of signatures, statements and objects.
var _ = tampering(scene{grow: (*world).tell, attacks: []attack{
	{5, "a record issued before the one that it follows", "CLOCK_REGRESSION", 1, func(w *world) {
		w.follow(freezePath, func(r *promotion.Record) {
			r.Kind, r.IssuedAt = promotion.RecordFreeze, r.IssuedAt.AddDate(0, 0, -2)
		})
	}},
	{9, "SSHSIG Reserved stuffed", "SIG_NONCANONICAL", 1, func(w *world) {
		w.amend(ledgerRef, nil, func(raw string) string {
			c, err := parseCommit(oid{}, []byte(raw))
			w.ok(err)
			return signedCommit(string(c.payload(nil)), stuffed(c.signature()))
		})
		w.stockGood(ledgerRef)
	}},
	{9, "blank lines behind the signature", "SIG_NONCANONICAL", 1, func(w *world) {
		w.amend(ledgerRef, nil, func(raw string) string {
			c, err := parseCommit(oid{}, []byte(raw))
			w.ok(err)
			return signedCommit(string(c.payload(nil)), c.signature()+"\n\n")
		})
	}},
	{20, "statement byte changed in its summary", "STMT_SIGNATURE", 1, func(w *world) {
		l := w.lines(livePath)
		l[1] = payloadEdited(l[1], func(s string) string { return strings.Replace(s, "PASSED", "FAILED", 1) })
		w.amendFiles(map[string]string{livePath: strings.Join(l, "")})
	}},
	{21, "payload type swapped, and signed for it", "STMT_TYPE", 1, func(w *world) {
		l := w.lines(livePath)
		w.amendFiles(map[string]string{livePath: l[0] + l[1] + w.sealed("application/json", payloadOf(l[2]))})
	}},
	{21, "predicate type swapped, and signed anew", "STMT_TYPE", 1, func(w *world) {
		l := w.lines(livePath)
		payload := strings.Replace(payloadOf(l[2]), ledger.PredicateType, "https://slsa.dev/provenance/v1", 1)
		w.amendFiles(map[string]string{livePath: l[0] + l[1] + w.sealed(ledger.PayloadType, payload)})
	}},
	{21, "statement type swapped, and signed anew", "STMT_TYPE", 1, func(w *world) {
		l := w.lines(livePath)
		payload := strings.Replace(payloadOf(l[2]), ledger.StatementType, "https://in-toto.io/Statement/v0.1", 1)
		w.amendFiles(map[string]string{livePath: l[0] + l[1] + w.sealed(ledger.PayloadType, payload)})
	}},
	{22, "a record copied from a fork that has the same key", "REPO_MISMATCH", 1, func(w *world) {
		fork := newWorld(w.TB)
		fork.key = w.key
		fork.writer = ledger.NewWriter(signer{w.key}, ledger.Identity{Repository: 8, App: identity.App, URI: "https://git.example.com/mallory/deploy"}, ledger.Author{Name: "rung", Email: "rung@example.com"})
		fork.start()
		fork.append("", promotion.Record{Kind: promotion.RecordFreeze, Scope: "staging", IssuedAt: w.now.AddDate(0, 0, 1)})
		fork.push()
		const path = "freezes/staging.intoto.jsonl"
		data := fork.cat("rung/ledger:" + path)
		entries, err := ledger.DecodeFile([]byte(data), mustTrust(w).keys)
		w.ok(err)
		w.forge(map[string]string{path: data}, entries...)
	}},
	{36, "a collision block as a file of the base branch", "HASH_COLLISION", 1, func(w *world) {
		w.collide(shattered1)
		tree := w.withEntry(w.parse("main^{tree}"), "logo.pdf", w.entry(modeFile, shatteredID))
		w.set("refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", tree, "-p", "main", "-m", "a logo")))
	}},
	{36, "the block that collides with it", "HASH_COLLISION", 1, func(w *world) {
		w.collide(shattered2)
		tree := w.withEntry(w.parse("main^{tree}"), "logo.pdf", w.entry(modeFile, shatteredID))
		w.set("refs/heads/main", strings.TrimSpace(w.git("", "commit-tree", tree, "-p", "main", "-m", "a logo")))
	}},
	{36, "a collision block as a record", "HASH_COLLISION", 1, func(w *world) {
		w.collide(shattered1)
		old := w.parse("rung/ledger^{tree}")
		tree := w.withEntry(old, freezePath, w.entry(modeFile, shatteredID))
		w.amend(ledgerRef, w.key, func(raw string) string { return strings.Replace(raw, old, tree, 1) })
	}},
	{36, "an honest file with the bytes of a collision in it", "", 0, func(w *world) {
		// git's header before it makes it collide with nothing.
		w.onBase(map[string]string{"logo.pdf": string(shattered1)})
	}},
}})

// stockGood checks that stock git calls a commit's signature good: that is why the
// row is in the table.
func (w *world) stockGood(rev string) {
	w.Helper()
	signers := filepath.Join(w.TempDir(), "signers")
	w.ok(os.WriteFile(signers, []byte("rung "+w.key.Public().AuthorizedKey()+"\n"), 0o600))
	w.git("", "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+signers, "-c", "gpg.minTrustLevel=fully", "verify-commit", rev)
}

// payloadOf is the statement in an envelope.
func payloadOf(line string) string {
	var e struct {
		Payload []byte `json:"payload"`
	}
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		panic(err)
	}
	return string(e.Payload)
}

// sealed is any payload in an envelope of the one form, signed by rung's key.
func (w *world) sealed(payloadType, payload string) string {
	w.Helper()
	sig, err := w.key.SignRaw(dsse.PAE(payloadType, []byte(payload)))
	w.ok(err)
	return fmt.Sprintf("{\"payloadType\":%q,\"payload\":%q,\"signatures\":[{\"keyid\":%q,\"sig\":%q}]}\n", payloadType,
		base64.StdEncoding.EncodeToString([]byte(payload)), w.key.Public().Fingerprint(), base64.StdEncoding.EncodeToString(sig))
}

// stuffed is an SSH signature with something in the field that is reserved, which
// nobody signs.
func stuffed(armoured string) string {
	block, _ := pem.Decode([]byte(armoured))
	blob := block.Bytes
	at := len("SSHSIG") + 4
	for range 2 { // the key, the namespace
		at += 4 + int(binary.BigEndian.Uint32(blob[at:]))
	}
	more := append([]byte{0, 0, 0, 5}, "stuff"...)
	blob = append(append(append([]byte{}, blob[:at]...), more...), blob[at+4:]...)
	body := base64.StdEncoding.EncodeToString(blob)
	return rearmoured("-----BEGIN SSH SIGNATURE-----\n"+body+"\n-----END SSH SIGNATURE-----\n", 70)
}

// The first 320 bytes of the two files that collide under SHA-1, as Stevens,
// Bursztein, Karpman, Albertini and Markov published them in 2017
// (https://shattered.io).
const (
	shatteredPrefix = "255044462d312e330a25e2e3cfd30a0a0a312030206f626a0a3c3c2f57696474682032203020522f4865696768742033203020522f547970652034203020522f" +
		"537562747970652035203020522f46696c7465722036203020522f436f6c6f7253706163652037203020522f4c656e6774682038203020522f42697473506572" +
		"436f6d706f6e656e7420383e3e0a73747265616d0affd8fffe00245348412d3120697320646561642121212121852fec092339759c39b1a1c63c4c97e1fffe01"
	shatteredID = "f92d74e3874587aaf443d1db961d4e26dde13e9c"
)

var (
	shattered1 = unhex(shatteredPrefix +
		"7346dc9166b67e118f029ab621b2560ff9ca67cca8c7f85ba84c79030c2b3de218f86db3a90901d5df45c14f26fedfb3dc38e96ac22fe7bd728f0e45bce046d2" +
		"3c570feb141398bb552ef5a0a82be331fea48037b8b5d71f0e332edf93ac3500eb4ddc0decc1a864790c782c76215660dd309791d06bd0af3f98cda4bc4629b1")
	shattered2 = unhex(shatteredPrefix +
		"7f46dc93a6b67e013b029aaa1db2560b45ca67d688c7f84b8c4c791fe02b3df614f86db1690901c56b45c1530afedfb76038e972722fe7ad728f0e4904e046c2" +
		"30570fe9d41398abe12ef5bc942be33542a4802d98b5d70f2a332ec37fac3514e74ddc0f2cc1a874cd0c78305a21566461309789606bd0bf3f98cda8044629a1")
)

func unhex(s string) []byte {
	data, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return data
}

// collide stores a collision block as an object under its hash.
func (w *world) collide(data []byte) {
	w.Helper()
	if sum := sha1.Sum(data); hex.EncodeToString(sum[:]) != shatteredID {
		w.Fatalf("not the collision: %x", sum)
	}
	w.putAs(shatteredID, string(data))
}
