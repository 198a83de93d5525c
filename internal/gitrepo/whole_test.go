package gitrepo

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/rungbot/rung/internal/promotion"
)

// TestWhole: everything that the commits reach comes, as stock git sends it, and
// HEAD's branch is known.
func TestWhole(t *testing.T) {
	s := newGitServer(t)
	b := s.repo("shop.git")
	var head promotion.Hash
	for _, text := range []string{"a\n", "b\n", "c\n"} {
		var parents []promotion.Hash
		if head != "" {
			parents = append(parents, head)
		}
		head = b.commit("a change", map[string]string{"f": text}, parents...)
	}
	b.setRef("refs/heads/main", head)
	r := b.open(Options{})
	ref, at, err := r.Head(t.Context())
	if err != nil || ref != "refs/heads/main" || at != head {
		t.Errorf("HEAD is %s at %s: %v", ref, at, err)
	}
	var pack bytes.Buffer
	if err := r.Whole(t.Context(), []promotion.Hash{head}, &pack); err != nil {
		t.Fatal(err)
	}
	p, err := scanPack(pack.Bytes(), packLimits{objects: 1000, inflated: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if missing, err := p.resolve(nil); err != nil || len(missing) > 0 {
		t.Fatal(missing, err)
	}
	kinds := map[plumbing.ObjectType]int{}
	for _, o := range p.objects {
		kinds[o.kind]++
	}
	if kinds[plumbing.CommitObject] != 3 || kinds[plumbing.TreeObject] != 3 || kinds[plumbing.BlobObject] != 3 {
		t.Errorf("%v", kinds)
	}
	if err := r.Whole(t.Context(), []promotion.Hash{promotion.Hash(strings.Repeat("1", 40))}, &pack); !errors.Is(err, ErrMissing) {
		t.Errorf("a commit that is not there: %v", err)
	}
	small := b.open(Options{MaxResponse: 100})
	if err := small.Whole(t.Context(), []promotion.Hash{head}, &pack); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than is taken: %v", err)
	}
}
