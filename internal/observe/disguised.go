package observe

import (
	"context"
	"fmt"

	"github.com/rungbot/rung/internal/disguise"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// disguised are the paths that a pull request brings under the environments and that
// are read otherwise than they look. Merged, rung verify would refuse the history
// that holds them, and nothing could be done about it later.
func (p *pass) disguised(ctx context.Context, tree promotion.Hash, diff []gitrepo.Change) ([]promotion.PathProblem, error) {
	var problems []promotion.PathProblem
	var added []string
	for _, d := range diff {
		if d.After == (gitrepo.Entry{}) || !disguise.Near(d.Path, &p.s.Pipeline) {
			continue
		}
		what, err := p.mode(ctx, d)
		if err != nil {
			return nil, err
		}
		if what != "" {
			problems = append(problems, promotion.PathProblem{Path: d.Path, Text: modeWords(what)})
		}
		if d.Before == (gitrepo.Entry{}) {
			added = append(added, d.Path)
		}
	}
	aliases, err := p.aliases(ctx, tree, added)
	return append(problems, aliases...), err
}

// mode says what a changed path became that no environment's file should be, or
// nothing.
func (p *pass) mode(ctx context.Context, d gitrepo.Change) (string, error) {
	what := disguise.Mode(uint32(d.Before.Mode), uint32(d.After.Mode))
	if what != disguise.Executable {
		return what, nil
	}
	if p.s.Pipeline.EnvironmentAt(d.Path) == nil {
		return "", nil
	}
	reads, err := p.readPlaces(ctx, p.rules(), []gitrepo.File{{Path: d.Path, Mode: d.After.Mode, Hash: d.After.Hash}})
	if err != nil || len(reads[0].found) == 0 {
		return "", err
	}
	return what, nil
}

func modeWords(what string) string {
	if what == disguise.Executable {
		return "is executable, and rung writes versions in it; rung verify would refuse the history for good once this is merged (TREE_MODE). Make it a plain file"
	}
	return fmt.Sprintf("is %s under an environment: what it stands for lies elsewhere and can change without a record, so that rung verify would refuse the history for good once this is merged (TREE_MODE). Put plain files in its place", what)
}

// aliases are the added paths that some file systems take for one beside it.
func (p *pass) aliases(ctx context.Context, tree promotion.Hash, added []string) ([]promotion.PathProblem, error) {
	var problems []promotion.PathProblem
	for _, dir := range disguise.Directories(added) {
		at := tree
		if dir != "" {
			e, there, err := p.Git.Lookup(ctx, tree, dir)
			if err != nil {
				return nil, err
			}
			if !there || e.Mode != gitrepo.ModeTree {
				continue
			}
			at = e.Hash
		}
		entries, err := p.Git.Tree(ctx, at)
		if err != nil {
			return nil, err
		}
		names := make([]string, len(entries))
		for i, e := range entries {
			names[i] = e.Name
		}
		for _, twins := range disguise.Twins(dir, names, added) {
			problems = append(problems, promotion.PathProblem{
				Path: twins[1],
				Text: fmt.Sprintf("stands beside %s, and some file systems take one for the other, so that a clone there holds other versions than the records say: rung verify would refuse the history for good once this is merged (PATH_ALIAS). Give it another name", twins[0]),
			})
		}
	}
	return problems, nil
}
