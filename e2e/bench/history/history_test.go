package history_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rungbot/rung/e2e/bench/history"
	"github.com/rungbot/rung/internal/audit"
)

// TestHistoryHolds: what is written is a repository as rung leaves it: git finds
// every object sound and every signature good, rung verify holds and counts what
// was written, and the same seed gives the same heads.
func TestHistoryHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "long.git")
	const releases = 120
	w, err := history.Write(t.Context(), dir, 7, releases)
	if err != nil {
		t.Fatal(err)
	}
	if w.Releases != releases || w.Promotions+w.Rollbacks != releases || w.Rollbacks == 0 || w.Ranges == 0 {
		t.Errorf("%+v", w)
	}
	report, err := audit.Verify(t.Context(), dir, audit.Options{Root: w.Root, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	if report.ExitCode() != 0 || !report.OK {
		t.Fatalf("%s, of them %+v", &report, report.Findings[0])
	}
	if report.Promotions != w.Promotions || report.Rollbacks != w.Rollbacks || report.Records != w.Records || len(report.ByHand) != w.ByHand || report.Configuration != w.Ranges {
		t.Errorf("verify says %s of %+v", &report, w)
	}
	if report.Base.Head != w.Base || report.Ledger.Head != w.Ledger {
		t.Errorf("heads %+v, %+v of %+v", report.Base, report.Ledger, w)
	}
	git := exec.CommandContext(t.Context(), "git", "--git-dir="+dir, "fsck", "--strict", "--no-dangling")
	if out, err := git.CombinedOutput(); err != nil {
		t.Errorf("git fsck: %v: %s", err, out)
	}
	for _, name := range []string{"objects/pack/incoming", "refs/heads/main"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is not packed", name)
		}
	}
	then := w.Past[len(w.Past)/2]
	if err := history.Rewind(t.Context(), dir, then); err != nil {
		t.Fatal(err)
	}
	if report, err = audit.Verify(t.Context(), dir, audit.Options{Strict: true}); err != nil || report.ExitCode() != 0 || report.Promotions+report.Rollbacks != then.Landed {
		t.Errorf("half of it: %v, %s, %d releases", err, &report, then.Landed)
	}
	again, err := history.Write(t.Context(), filepath.Join(t.TempDir(), "again.git"), 7, releases)
	if err != nil || !reflect.DeepEqual(again, w) {
		t.Errorf("written again it is another: %+v, %+v, %v", again.Heads, w.Heads, err)
	}
	if other, err := history.Write(t.Context(), filepath.Join(t.TempDir(), "other.git"), 8, 5); err != nil || other.Ledger == w.Ledger {
		t.Error("another seed gives the same", err)
	}
}
