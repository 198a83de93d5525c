package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/ledger"
)

// TestBadInput: what is damaged, too large or another's is exit 2, or 1 with its
// code, and the report says where; never 0, and never a panic.
func TestBadInput(t *testing.T) {
	twin := story(t).push()
	loose := func(w *world, rev string) string {
		id := w.parse(rev)
		return filepath.Join(w.dir, "objects", id[:2], id[2:])
	}
	shorten := func(w *world, name string, by int) {
		w.Helper()
		data, err := os.ReadFile(name)
		w.ok(err)
		w.ok(os.Chmod(name, 0o600))
		w.ok(os.WriteFile(name, data[:max(len(data)-by, 0)], 0o600))
	}
	big := strings.Repeat("a word of the same sort and length as others\n", 17<<20/45)
	for _, c := range []struct {
		name string
		do   func(w *world)
		exit int
		want string // code, or the error's words where nothing can be read
		at   string // the object, as a revision before the damage, or words
	}{
		{"a commit of the base cut short", func(w *world) { shorten(w, loose(w, "main"), 20) }, 2, "OBJECT_UNREADABLE", "main"},
		{"a commit of the ledger cut short", func(w *world) { shorten(w, loose(w, "rung/ledger~3"), 20) }, 2, "OBJECT_UNREADABLE", "rung/ledger~3"},
		{"a tree cut short", func(w *world) { shorten(w, loose(w, "main^{tree}"), 5) }, 2, "OBJECT_UNREADABLE", "main^{tree}"},
		{"a file cut short", func(w *world) { shorten(w, loose(w, "main:README.md"), 5) }, 2, "OBJECT_UNREADABLE", "main:README.md"},
		{"a record cut short", func(w *world) { shorten(w, loose(w, "rung/ledger:"+livePath), 50) }, 2, "OBJECT_UNREADABLE", "rung/ledger:" + livePath},
		{"an empty object", func(w *world) { shorten(w, loose(w, "main"), 1<<20) }, 2, "OBJECT_UNREADABLE", "main"},
		{"a pack cut short", func(w *world) { shorten(w, w.packed(".pack"), 100) }, 2, "", ""},
		{"a pack cut to its header", func(w *world) { shorten(w, w.packed(".pack"), 1<<30) }, 2, "", ""},
		{"an index cut short", func(w *world) { shorten(w, w.packed(".idx"), 100) }, 2, "", ""},
		{"an index without its pack", func(w *world) { w.ok(os.Remove(w.packed(".pack"))) }, 2, "", ""},
		{"a huge message on the base", func(w *world) {
			w.set("refs/heads/main", w.put("commit", w.cat("main")+big))
		}, 2, "OBJECT_UNREADABLE", "at most"},
		{"a huge message on the ledger", func(w *world) {
			w.amend(ledgerRef, w.key, func(raw string) string { return strings.Replace(raw, "\n\n", "\n\n"+big, 1) })
		}, 2, "OBJECT_UNREADABLE", "at most"},
		{"a large message, within bounds", func(w *world) {
			w.set("refs/heads/main", w.put("commit", w.cat("main")+big[:8<<20]))
		}, 1, "REF_REWIND", ""},
		{"a thousand headers", func(w *world) {
			w.set("refs/heads/main", w.put("commit", strings.Replace(w.cat("main"), "\n\n", strings.Repeat("\nx y", 2000)+"\n\n", 1)))
		}, 1, "OBJECT_MALFORMED", "1000 headers"},
		{"directories without end", func(w *world) { w.onBase(map[string]string{strings.Repeat("d/", 100) + "f": "x\n"}) }, 2, "OBJECT_UNREADABLE", "directories deep"},
		{"the ledger of another repository", func(w *world) {
			w.anothers()
		}, 2, "LEDGER_FOREIGN", "ledger of another repository"},
		{"the ledger of another repository, where rung.yaml names its own", func(w *world) {
			first := strings.TrimSpace(w.git("", "rev-list", "--max-parents=0", "rung/ledger"))
			w.onBase(map[string]string{"rung.yaml": "ledger: " + first + "\n" + rungYAML})
			w.anothers()
		}, 1, "LEDGER_RESET", ledgerRef},
		{"the signers file cut short", func(w *world) { shorten(w, loose(w, "rung/ledger:"+ledger.SignersPath), 10) }, 2, "OBJECT_UNREADABLE", "rung/ledger:" + ledger.SignersPath},
		{"the ledger's ref names a file", func(w *world) { w.set(ledgerRef, w.parse("main:README.md")) }, 1, "OBJECT_MALFORMED", "main:README.md"},
		{"the ledger's ref names nothing", func(w *world) { w.set(ledgerRef, strings.Repeat("1", 40)) }, 2, "OBJECT_MISSING", "1111111"},
		{"the base's ref names a tree", func(w *world) { w.set("refs/heads/main", w.parse("main^{tree}")) }, 1, "OBJECT_MALFORMED", "main^{tree}"},
		{"a ref that is no ref", func(w *world) { w.set(ledgerRef, "what?") }, 2, "LEDGER_MISSING", ""},
		{"a file of records without end", func(w *world) {
			w.amendFiles(map[string]string{livePath: w.cat("rung/ledger:"+livePath) + strings.Repeat("{}\n", 500_000)})
		}, 1, "STMT_NONCANONICAL", livePath},
		{"a signers file of zeros", func(w *world) { w.amendFiles(map[string]string{ledger.SignersPath: string(make([]byte, 100))}) }, 1, "TRUST_CONFIG", ledger.SignersPath},
		{"a signers file without end", func(w *world) {
			w.amendFiles(map[string]string{ledger.SignersPath: strings.Repeat("# nothing\n", 200_000)})
		}, 1, "TRUST_CONFIG", ledger.SignersPath},
		{"a lineage of another form", func(w *world) { w.amendFiles(map[string]string{lineagePath: `{"format":1,"format":1}` + "\n"}) }, 1, "REPO_MISMATCH", lineagePath},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			w := twin.copied(t)
			at := c.at
			if strings.HasPrefix(at, "main") || strings.HasPrefix(at, "rung/ledger") {
				at = w.parse(at)
			}
			c.do(w)
			report, err := Verify(w.ctx, w.dir, Options{})
			if err != nil { // the program's exit is 2
				if c.exit != 2 || c.want != "" && !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v", err)
				}
				return
			}
			text := show(report)
			if report.ExitCode() != c.exit || report.OK || report.Next != nil || !strings.Contains(codes(report), c.want) || !strings.Contains(text, at) {
				t.Errorf("exit %d, want %d with %s at %q%.2000s", report.ExitCode(), c.exit, c.want, at, text)
			}
			if len(text) > 20_000 || bytes.ContainsAny([]byte(text), "\x00\x1b") {
				t.Errorf("%d bytes are printed", len(text))
			}
		})
	}
}

// anothers puts the ledger of another repository in the place of this one's.
func (w *world) anothers() {
	other := newWorld(w.TB)
	other.now = other.now.AddDate(0, 0, 1)
	other.tell()
	other.push()
	w.git("", "fetch", "-q", other.dir, "+refs/heads/rung/ledger:refs/heads/other")
	w.set(ledgerRef, w.parse("other"))
	w.git("", "update-ref", "-d", "refs/heads/other")
}
