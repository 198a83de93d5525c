package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rungbot/rung/internal/promotion"
)

// TestHolds: a repository as rung makes it holds, bare, packed and cloned, and
// is counted right.
func TestHolds(t *testing.T) {
	w := story(t).push()
	report, found := w.verify(Options{})
	if found != "" || report.ExitCode() != 0 || !report.OK {
		t.Fatal(found, report.ExitCode(), show(report))
	}
	if report.Promotions != 3 || report.Rollbacks != 1 || report.Releases != 11 || report.Configuration != 1 || len(report.ByHand) != 1 {
		t.Errorf("%+v", report)
	}
	want := promotion.Value{Version: "1.1.0", Digest: digest("checkout", "1.1.0")}
	if got := report.Environments["dev"]["checkout"]; got != want {
		t.Errorf("dev/checkout: %v", got)
	}
	if !report.TrustOnFirstUse || report.Root != w.key.Public().Fingerprint() {
		t.Error(report.TrustOnFirstUse, report.Root)
	}
	w.git("", "fsck", "--strict", "--no-dangling")

	// A clone with a work tree, from inside it; then the same in one pack.
	dir := filepath.Join(t.TempDir(), "clone")
	w.git("", "clone", "-q", w.dir, dir)
	own := *w
	own.dir = filepath.Join(dir, "environments", "dev")
	again, found := own.verify(Options{Root: report.Root, Strict: true})
	if found != "" || again.TrustOnFirstUse || again.Ledger.Ref != "refs/remotes/origin/rung/ledger" || again.Base.Ref != "refs/remotes/origin/main" || again.Records != report.Records {
		t.Errorf("in a clone: %+v%s", again, show(again))
	}
	w.git("", "gc", "-q", "--prune=now")
	if loose, _ := filepath.Glob(filepath.Join(w.dir, "objects", "??")); len(loose) > 0 {
		t.Error("not everything is packed:", loose)
	}
	if packed, found := w.verify(Options{}); found != "" || packed.Records != report.Records {
		t.Error("packed:", show(packed))
	}

	if report, found := w.verify(Options{Root: newKey(t).Public().Fingerprint()}); found != string(TrustRoot) || report.ExitCode() != 1 {
		t.Error("another root:", show(report))
	}
	if report, found := w.verify(Options{Base: "rung/p/prod/checkout"}); found != string(LandPending) || report.ExitCode() != 0 {
		t.Error("another base:", show(report))
	}
	if report, _ := w.verify(Options{Base: "rung/p/prod/checkout", Strict: true}); report.ExitCode() != 1 || report.OK {
		t.Error("strict:", report.ExitCode())
	}
}

// TestNoRepository: what can't be read is an error, never a report that holds.
func TestNoRepository(t *testing.T) {
	empty := t.TempDir()
	for name, path := range map[string]string{"nothing": filepath.Join(empty, "nowhere"), "no repository": empty} {
		if report, err := Verify(t.Context(), path, Options{}); err == nil {
			t.Errorf("%s: %+v", name, report)
		}
	}
	w := story(t).push()
	if _, err := Verify(t.Context(), w.dir, Options{Root: "alice"}); err == nil || !strings.Contains(err.Error(), "fingerprint") {
		t.Error(err)
	}
	w.git("", "config", "extensions.objectFormat", "sha256")
	if _, err := Verify(t.Context(), w.dir, Options{}); err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Error(err)
	}
}

// copied is the same repository in a directory of its own.
func (w *world) copied(t *testing.T) *world {
	t.Helper()
	own := *w
	own.TB, own.ctx = t, t.Context()
	own.dir = filepath.Join(t.TempDir(), "deploy.git")
	if err := os.CopyFS(own.dir, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	return &own
}

// BenchmarkVerify verifies a packed repository of 200 releases.
func BenchmarkVerify(b *testing.B) {
	const releases = 200
	w := newWorld(b)
	w.start()
	for n := range releases {
		w.promote(ride{pair: pair([]string{"dev", "staging", "prod"}[n%3], "checkout"), version: fmt.Sprintf("1.%d.0", n+1)})
	}
	w.push()
	w.git("", "gc", "-q", "--prune=now")
	b.ReportAllocs()
	for b.Loop() {
		report, err := Verify(b.Context(), w.dir, Options{})
		if err != nil || report.ExitCode() != 0 || report.Promotions != releases {
			b.Fatal(err, show(report))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/releases, "µs/release")
}
