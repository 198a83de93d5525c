package gitrepo

import (
	"context"
	"fmt"

	"github.com/rungbot/rung/internal/promotion"
)

const (
	// mergeBaseDepth is the depth at which MergeBase begins.
	mergeBaseDepth = 16
	// sureDepth is the depth at which it takes what it found, though a nearer
	// one might lie behind a merge of a branch that began before all it saw.
	sureDepth = 64
)

// MergeBase finds the newest commit that both a and b descend from (or are);
// false if there is none within Options.MaxCatchUp generations. It fetches
// commits alone, without trees: one request where the two parted within some
// 16 commits, one more for each four-fold of that. Where merges crossed and
// several commits qualify, the one with the latest committer date is taken.
func (r *Remote) MergeBase(ctx context.Context, a, b promotion.Hash) (promotion.Hash, bool, error) {
	var ids [2]id
	for n, h := range []promotion.Hash{a, b} {
		var err error
		if ids[n], err = parseID(h); err != nil {
			return "", false, err
		}
	}
	if base, sure, err := nearestCommon(r.store.get, ids[0], ids[1]); err != nil || (sure || r.clone != nil) && base != "" {
		return base, base != "", err
	}
	const op = "merge base"
	for depth := mergeBaseDepth; ; depth = min(depth*4, r.options.MaxCatchUp) {
		answer, err := r.fetchTreeless(ctx, fetchSpec{op: op, wants: ids[:], deepen: depth, done: true})
		if err != nil {
			return "", false, err
		}
		got, err := r.take(ctx, op, answer.pack)
		if err != nil {
			return "", false, err
		}
		for _, i := range ids {
			if _, ok := got[i]; !ok {
				return "", false, fmt.Errorf("git %s: %w: the server did not send %s", op, ErrMissing, i)
			}
		}
		base, sure, err := nearestCommon(func(i id) (object, bool) { o, ok := got[i]; return o, ok }, ids[0], ids[1])
		if err != nil || sure || base != "" && depth >= sureDepth || depth >= r.options.MaxCatchUp {
			return base, base != "", err
		}
	}
}

// nearestCommon looks for common ancestors among the commits that get finds,
// and picks one that no other of them descends from; empty if there is none.
// It is sure if no commit that get doesn't find could change that.
func nearestCommon(get func(id) (object, bool), a, b id) (base promotion.Hash, sure bool, err error) {
	var sides [2]map[id]bool
	for n, tip := range []id{a, b} {
		if sides[n], err = ancestors(get, nil, tip); err != nil {
			return "", false, err
		}
	}
	common := map[id]bool{}
	var above []id
	for i := range sides[0] {
		if !sides[1][i] {
			continue
		}
		common[i] = true
		parents, _, err := parentsOf(get, i)
		if err != nil {
			return "", false, err
		}
		above = append(above, parents...)
	}
	// What lies above a common ancestor is common as well, and not the nearest.
	older, err := ancestors(get, nil, above...)
	if err != nil {
		return "", false, err
	}
	open, err := ancestors(get, common, a, b)
	if err != nil {
		return "", false, err
	}
	sure = true
	for i := range open {
		if _, ok := get(i); !ok && !older[i] && !common[i] {
			sure = false
		}
	}
	base, err = newest(get, common, older)
	return base, sure, err
}

// newest is the commit of common with the latest committer date that is not in
// older.
func newest(get func(id) (object, bool), common, older map[id]bool) (promotion.Hash, error) {
	var best Commit
	for i := range common {
		if older[i] {
			continue
		}
		c := Commit{Hash: hashOf(i)}
		if o, ok := get(i); ok {
			var err error
			if c, err = parseCommit(o); err != nil {
				return "", err
			}
		}
		if best.Hash == "" || c.Committer.When.After(best.Committer.When) || (c.Committer.When.Equal(best.Committer.When) && c.Hash < best.Hash) {
			best = c
		}
	}
	return best.Hash, nil
}

// ancestors are the given commits and all that get finds above them, with the
// first ones that it doesn't find. It doesn't look above those of stop.
func ancestors(get func(id) (object, bool), stop map[id]bool, from ...id) (map[id]bool, error) {
	seen := map[id]bool{}
	for queue := from; len(queue) > 0; queue = queue[1:] {
		if seen[queue[0]] {
			continue
		}
		seen[queue[0]] = true
		if stop[queue[0]] {
			continue
		}
		parents, _, err := parentsOf(get, queue[0])
		if err != nil {
			return nil, err
		}
		queue = append(queue, parents...)
	}
	return seen, nil
}
