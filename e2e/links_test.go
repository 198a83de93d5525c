package e2e

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// seeLinked looks at every citation between the two branches, both ways: so many
// promotion commits cite the ledger commit with their propose, so many merges the one
// with their authorize; every ledger commit names a base commit that is there; and
// every check run of rung's shows a head that the ledger had.
func seeLinked(ctx context.Context, w *world, args []string) (bool, string, error) {
	refs, err := w.git.Refs(ctx, "refs/heads/")
	if err != nil {
		return false, "", err
	}
	base, err := history(ctx, w, promotion.Hash(refs["refs/heads/main"]))
	if err != nil {
		return false, "", err
	}
	book, err := history(ctx, w, promotion.Hash(refs[promotion.LedgerRef]))
	if err != nil {
		return false, "", err
	}
	index := map[promotion.Hash]*ledger.Trailers{}
	for hash, c := range book {
		t, err := ledger.ParseTrailers(c.Message)
		if err != nil || t == nil || base[t.Base] == nil {
			return false, fmt.Sprintf("ledger commit %s: %v, its base is not on main", hash.Short(), err), nil
		}
		index[hash] = t
	}
	proposed, authorized := 0, 0
	for hash, c := range base {
		t, err := ledger.ParseTrailers(c.Message)
		if err != nil || t == nil || len(t.Groups) == 0 {
			continue // people's, or the onboarding commit
		}
		cited := index[t.Ledger]
		for _, g := range t.Groups {
			if cited == nil || !slices.ContainsFunc(cited.Groups, func(r ledger.TrailerGroup) bool {
				return r.Kind == g.Kind && r.Environment == g.Environment && r.Artifact == g.Artifact && r.Restores == g.Restores && r.Statement != ""
			}) {
				return false, fmt.Sprintf("%s cites ledger commit %s for its %s, which is not there", hash.Short(), t.Ledger.Short(), g.Kind), nil
			}
			switch g.Kind {
			case promotion.RecordPropose:
				proposed++
			case promotion.RecordAuthorize:
				authorized++
			}
		}
	}
	if text, err := checksShow(ctx, w, index); text != "" || err != nil {
		return false, text, err
	}
	got := fmt.Sprintf("%d %d", proposed, authorized)
	return got == args[0]+" "+args[1], got, nil
}

var shownHead = regexp.MustCompile("The ledger's head was `([0-9a-f]{40})`")

// checksShow says which of rung's check runs shows no head that the ledger had.
func checksShow(ctx context.Context, w *world, index map[promotion.Hash]*ledger.Trailers) (string, error) {
	st, err := w.state(ctx)
	if err != nil {
		return "", err
	}
	shown := 0
	for _, pr := range st.Pulls {
		for _, c := range st.Checks[pr.HeadSHA] {
			if c.Name != promotion.CheckName || c.App != "rung" {
				continue
			}
			m := shownHead.FindStringSubmatch(c.Summary)
			if m == nil || index[promotion.Hash(m[1])] == nil {
				return "the check on #" + strconv.Itoa(pr.Number) + " shows no head of the ledger:\n" + c.Summary, nil
			}
			shown++
		}
	}
	if shown == 0 {
		return "there is no check of rung's", nil
	}
	return "", nil
}

// history are all commits that a head reaches.
func history(ctx context.Context, w *world, head promotion.Hash) (map[promotion.Hash]*gitstore.Commit, error) {
	seen, stack := map[promotion.Hash]*gitstore.Commit{}, []promotion.Hash{head}
	for len(stack) > 0 {
		hash := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[hash] != nil {
			continue
		}
		c, err := w.git.ReadCommit(ctx, string(hash))
		if err != nil {
			return nil, err
		}
		seen[hash] = &c
		for _, p := range c.Parents {
			stack = append(stack, promotion.Hash(p))
		}
	}
	return seen, nil
}
