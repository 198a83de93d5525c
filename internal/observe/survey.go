package observe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/survey"
)

// batch is how many files are asked for at once.
const batch = 500

// Tree reads the base head's files for a survey, whether the repository has a
// rung.yaml or not. A *survey.Refusal says that there is nothing to look at, or too much.
func (o *Observer) Tree(ctx context.Context, under []string) (survey.Tree, promotion.BaseState, error) {
	t := survey.Tree{Owner: o.Repository.Owner, Under: under}
	p := &pass{Observer: o, s: &promotion.Snapshot{Repository: o.Repository}}
	if err := p.branches(ctx); err != nil {
		if errors.Is(err, errEmpty) {
			return t, p.s.Base, &survey.Refusal{Sentence: o.Repository.FullName() + " has no commit yet: push what runs in which environment first"}
		}
		return t, p.s.Base, fmt.Errorf("observe %s: %w", o.Repository.FullName(), p.explained(ctx, err))
	}
	files, err := o.Git.WalkInto(ctx, p.s.Base.Tree, func(path string) bool {
		name := path[strings.LastIndexByte(path, '/')+1:]
		return name != "node_modules" && (!strings.HasPrefix(name, ".") || survey.Wanted(path) || path == ".github")
	})
	if err != nil {
		return t, p.s.Base, fmt.Errorf("observe %s: %w", o.Repository.FullName(), err)
	}
	at := map[string]promotion.Hash{}
	var paths []string
	for _, f := range files {
		switch {
		case f.Mode.Regular():
			at[f.Path] = f.Hash
			paths = append(paths, f.Path)
		case survey.Wanted(f.Path):
			t.Notes = append(t.Notes, survey.LinkNote(f.Path))
		}
	}
	chosen, err := survey.Choose(paths, under)
	if err != nil {
		return t, p.s.Base, err
	}
	size := 0
	for len(chosen) > 0 {
		n := min(len(chosen), batch)
		if err := o.blobs(ctx, &t, chosen[:n], at); err != nil {
			return t, p.s.Base, err
		}
		chosen = chosen[n:]
		for _, f := range t.Files[max(0, len(t.Files)-n):] {
			size += len(f.Data)
		}
		if size > survey.MaxBytes {
			return t, p.s.Base, survey.TooMany()
		}
	}
	return t, p.s.Base, nil
}

// blobs reads some files; one that is too large is noted, and the others come one by one.
func (o *Observer) blobs(ctx context.Context, t *survey.Tree, paths []string, at map[string]promotion.Hash) error {
	hashes := make([]promotion.Hash, len(paths))
	for i, p := range paths {
		hashes[i] = at[p]
	}
	data, err := o.Git.Blobs(ctx, hashes...)
	switch {
	case err == nil:
		for i, p := range paths {
			t.Files = append(t.Files, survey.File{Path: p, Data: data[hashes[i]]})
		}
		return nil
	case !errors.Is(err, gitrepo.ErrTooLarge):
		return fmt.Errorf("observe %s: %w", o.Repository.FullName(), err)
	case len(paths) == 1:
		t.Notes = append(t.Notes, survey.LargeNote(paths[0]))
		return nil
	}
	for _, p := range paths {
		if err := o.blobs(ctx, t, []string{p}, at); err != nil {
			return err
		}
	}
	return nil
}

// Introduced is where the branch stands on which a rung.yaml was proposed, fetched;
// empty where there is none.
func (o *Observer) Introduced(ctx context.Context) (promotion.Hash, error) {
	refs, err := o.Git.Refs(ctx, promotion.InitRef)
	if err != nil || refs[promotion.InitRef] == "" {
		return "", err
	}
	return refs[promotion.InitRef], o.Git.Fetch(ctx, refs[promotion.InitRef])
}
