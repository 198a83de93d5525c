package audit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rows are the rows of the tamper table: what an attacker does to a repository,
// and what Verify must say to it.
var rows = [...]string{
	0:  "beside the table",
	1:  "message edited, signature kept; tree pointer swapped",
	2:  "unsigned commit touching an environment; unsigned parent below a signed tip",
	3:  "unknown key",
	4:  "allowed developer key, committer says rung",
	5:  "expired key, honest date or back-dated",
	6:  "revoked key after or before the cut",
	7:  "revocation list removed, timestamps without Z",
	8:  "right key, other namespace",
	9:  "signature re-wrapped, or SSHSIG Reserved stuffed",
	10: "two gpgsig headers; duplicate tree header; NUL in the message",
	11: "PGP signature",
	12: "own key added to allowed_signers in the same push",
	13: "trust list edited by the release key, no root",
	14: "refs/replace",
	15: "shallow clone or grafts",
	16: "evil merge",
	17: "honest web-flow merge or squash, exact content",
	18: "squash or rebase with extra edits under an environment",
	19: "promotion also edits another environment, a workflow or a policy",
	20: "statement byte changed; envelope re-encoded, extra signature, duplicate key, keyid stripped",
	21: "payloadType or predicateType swapped",
	22: "old statement replayed for another pair, or copied from a fork",
	23: "record removed; ledger not linear; two successors of one record",
	24: "trailers disagree, duplicate, folded, wrong case, unknown key",
	25: "base branch rewound or force-pushed below a landed commit",
	26: "ledger tail cut",
	27: "both cut back consistently",
	28: "merge by rung with no authorize, after its withdraw, or of another head",
	29: "rollback to other values than the release it claims, or to one that never landed or did not settle good",
	30: "promotion or rollback to a quarantined digest, also under a new tag",
	31: "quarantine record removed",
	32: "another policy than at the judged base; approvals that don't meet the rule",
	33: "artifact in the files is not the artifact in the record",
	34: "input attestation swapped, FAILED, or by the wrong verifier",
	35: "symlink, gitlink, exec bit or case-twin path under an environment",
	36: "SHA-1 collision block",
}

// attack is one way to tamper with a repository that holds.
type attack struct {
	row  int // of the tamper table; 0 is beside it
	name string
	want string // the codes, sorted, each once; none where it is honest
	exit int
	// do tampers with a scene's repository. It may set w.options for the Verify
	// that follows.
	do func(w *world)
}

// scene is a repository that holds, and attacks on it.
type scene struct {
	// grow makes the repository, up to but without its push.
	grow func(w *world)
	// live scenes are grown anew for each attack, which goes on with them before
	// they are pushed. The others are pushed once, and each attack gets a copy of
	// the bare repository.
	live    bool
	attacks []attack

	// twin is the repository, untouched; problem is why it doesn't hold.
	twin    *world
	problem string
}

// scenes are filled by the files that hold the attacks.
var scenes []*scene

// tampering adds a scene to the table: var _ = tampering(scene{…}).
func tampering(s scene) bool {
	scenes = append(scenes, &s)
	return true
}

// raise grows the scene's twin and verifies it.
func (s *scene) raise(t *testing.T) {
	t.Helper()
	s.twin = newWorld(t)
	s.grow(s.twin)
	s.twin.push()
	if !s.live {
		s.twin.git("", "gc", "-q", "--prune=now") // few files to copy
	}
	if report, found := s.twin.verify(Options{}); found != "" || !report.OK {
		s.problem = found + show(report)
	}
}

// tampered is the scene's repository after the attack, with the checkpoint of
// somebody who verified it before.
func (s *scene) tampered(t *testing.T, a attack) (*world, *Checkpoint) {
	t.Helper()
	var w *world
	if s.live {
		w = newWorld(t)
		s.grow(w)
		w.push()
	} else {
		w = s.twin.copied(t)
	}
	before, err := Verify(w.ctx, w.dir, Options{})
	w.ok(err)
	dir := w.dir
	a.do(w)
	if s.live {
		w.push()
	}
	if w.dir != dir { // another repository in its place
		return w, nil
	}
	return w, before.Next
}

// play holds the twin to the verdict that it holds, and the tampered repository to
// the findings that the attack must give, no more and no less. Who verified the
// repository before must find as much from there, and may find besides that what
// was there is gone.
func (s *scene) play(t *testing.T, a attack) {
	t.Helper()
	if s.problem != "" {
		t.Fatal("the twin does not hold:", s.problem)
	}
	w, since := s.tampered(t, a)
	report, found := w.verify(w.options)
	if found != a.want || report.ExitCode() != a.exit || report.OK != (a.exit == 0) {
		t.Errorf("found %q, exit %d, want %q, exit %d%s", found, report.ExitCode(), a.want, a.exit, show(report))
	}
	each := w.heard(0)
	for _, many := range []int{1, 7, manyTogether} {
		if heard := w.heard(many); heard != each {
			t.Errorf("with %d signatures checked together:\n%s\nand each by itself:\n%s", many, heard, each)
		}
	}
	if since == nil || w.options.Checkpoint != nil {
		return
	}
	w.options.Checkpoint = since
	again, _ := w.verify(w.options)
	again.Findings = slices.DeleteFunc(again.Findings, func(f Finding) bool {
		return (f.Code == LedgerReset || f.Code == LedgerRewind || f.Code == RefRewind || f.Code == WitnessRollback) && strings.Contains(f.Expected, "as the checkpoint remembers")
	})
	if found := codes(again); found != a.want || again.ExitCode() != a.exit {
		t.Errorf("from a checkpoint: found %q, exit %d, want %q, exit %d%s", found, again.ExitCode(), a.want, a.exit, show(again))
	}
	if a.exit == 0 && s.live && again.Before == nil {
		t.Error("from a checkpoint everything was verified again")
	}
}

// heard is all that a caller is told of the repository, where so many signatures are
// checked together.
func (w *world) heard(many int) string {
	w.Helper()
	var entries []Entry
	o := w.options
	o.Each = func(e Entry) { entries = append(entries, e) }
	report, err := verify(w.ctx, w.dir, o, together(many, o.Each))
	w.ok(err)
	all, err := json.MarshalIndent([]any{report, entries}, "", "  ")
	w.ok(err)
	return string(all)
}

// TestTamperTable plays every row, and lists them with their attacks.
func TestTamperTable(t *testing.T) {
	type act struct {
		*scene
		attack
	}
	table := make([][]act, len(rows))
	total := 0
	for _, s := range scenes {
		s.raise(t)
		for _, a := range s.attacks {
			table[a.row] = append(table[a.row], act{s, a})
			total++
		}
	}
	for row, acts := range table {
		if len(acts) == 0 && row > 0 {
			t.Errorf("row %2d has no attack: %s", row, rows[row])
			continue
		}
		t.Logf("row %2d: %2d attacks: %s", row, len(acts), rows[row])
		t.Run(fmt.Sprintf("row_%02d", row), func(t *testing.T) {
			t.Parallel()
			for _, a := range acts {
				t.Run(strings.ReplaceAll(a.name, " ", "_"), func(t *testing.T) {
					t.Parallel()
					a.play(t, a.attack)
				})
			}
		})
	}
	t.Logf("%d rows, %d attacks", len(rows)-1, total)
}

// TestTamperNames: every attack has a name of its own within its row, so that a
// failure says which it was.
func TestTamperNames(t *testing.T) {
	var names []string
	for _, s := range scenes {
		for _, a := range s.attacks {
			names = append(names, fmt.Sprintf("%d %s", a.row, a.name))
		}
	}
	slices.Sort(names)
	if n := len(slices.Compact(slices.Clone(names))); n != len(names) {
		t.Errorf("%d names for %d attacks: %q", n, len(names), names)
	}
}
