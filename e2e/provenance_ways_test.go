package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestTheWayToCheckByHandHoweverItLanded: the blocks of docs/provenance.md hold for
// every way in which a promotion gets into the base branch that rung verify takes.
func TestTheWayToCheckByHandHoweverItLanded(t *testing.T) {
	t.Parallel()
	script := provenanceBlocks(t)
	people := strings.Replace(defaultConfig, "mode: merge", "mode: propose", 1)
	dev := strings.NewReplacer("  staging: {after: [dev]}\n", "", "after: [staging], ", "", "  dev: {}\n", "")
	for name, c := range map[string]struct {
		config string
		land   func(p *play, pull string)
		want   string
	}{
		"the branch was updated": {defaultConfig, func(p *play, pull string) {
			p.file("docs/docs/notes.md", "something else\n")
			p.do("push", "alice", "docs")
			p.do("update-branch", "bob", pull)
			p.settle()
			p.do("review", "bob", "approve", pull)
		}, `"login":"bob"`},
		"squashed by rung":   {strings.Replace(defaultConfig, "approvals: {", "merge: squash, approvals: {", 1), approved, `"login":"bob"`},
		"made by the forge":  {strings.Replace(defaultConfig, "mode: merge", "mode: merge\ncommits: github", 1), approved, `"login":"bob"`},
		"merged by a person": {people, mergedBy(""), `"login":"bob"`},
		"squashed by one":    {people, mergedBy("squash"), `"login":"bob"`},
		"rebased by one":     {people, mergedBy("rebase"), `"login":"bob"`},
		"against the gates":  {defaultConfig, func(p *play, pull string) { p.do("merge", "dave", pull) }, `"unmet":["approval"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlay(t, dev.Replace(c.config))
			p.onboard()
			p.until("recorded", "adopt configuration")
			p.propose("1.1.0")
			p.settle()
			c.land(p, p.newest("prod"))
			p.until("live", "prod", "checkout", "1.1.0")
			p.until("settled", "prod", "checkout", "good")
			p.settle()
			bare := p.mirror()
			if code, out, said := rung(t, "verify", bare); code != 0 {
				t.Fatalf("rung verify: exit %d\n%s%s", code, out, said)
			}
			p.do("signing-key", "old")
			out, err := runProvenance(t, bare, script, fingerprintOf(t, filepath.Join(p.w.dir, "old")))
			if err != nil || !strings.Contains(out, c.want) || !strings.Contains(out, "1 releases, 0 changes by hand, none unaccounted for") {
				t.Errorf("%v, want %s\n%s", err, c.want, out)
			}
		})
	}
}

func approved(p *play, pull string) { p.do("review", "bob", "approve", pull) }

// mergedBy lets a person merge what is approved.
func mergedBy(method string) func(p *play, pull string) {
	return func(p *play, pull string) {
		approved(p, pull)
		p.until("check", pull, "success")
		args := []string{"dave", pull}
		if method != "" {
			args = append(args, method)
		}
		p.do("merge", args...)
	}
}
