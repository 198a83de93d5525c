package act

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// making is a commit on the base branch's head to make: files changed, which give
// tree.
type making struct {
	parent, tree promotion.Hash
	files        map[string]gitrepo.FileChange
	message      string
}

// make makes a commit beside the ledger: rung's own or, where rung.yaml says so,
// the forge's, which signs it; the forge then has it, and no branch names it yet.
func (d *doing) make(ctx context.Context, m making) (promotion.Hash, error) {
	if d.s.Pipeline.Commits != promotion.CommitsGitHub {
		who := gitrepo.Ident{Name: d.Author.Name, Email: d.Author.Email, When: d.dated(d.s.Now)}
		return d.Git.WriteCommit(ctx, gitrepo.CommitSpec{
			Tree: m.tree, Parents: []promotion.Hash{m.parent}, Author: who, Committer: who, Message: m.message, Sign: d.Signer.SignCommit,
		})
	}
	base, err := d.Git.Commit(ctx, m.parent)
	if err != nil {
		return "", err
	}
	n := forge.NewCommit{Parent: m.parent, Base: base.Tree, Tree: m.tree, Files: map[string]forge.CommitFile{}, Message: m.message}
	for name, change := range m.files {
		mode, err := d.modeOf(ctx, base.Tree, name)
		if err != nil {
			return "", err
		}
		n.Files[name] = forge.CommitFile{Mode: mode, Data: change.Data}
	}
	return d.Forge.MakeCommit(ctx, d.s.Repository, n)
}

// dated is a time, or that of the pass's ledger commit where a clock was set back:
// no commit is dated before the one that it cites.
func (d *doing) dated(at time.Time) time.Time {
	if at.Before(d.recorded) {
		at = d.recorded
	}
	return at.UTC()
}

// modeOf is the mode of a file of a tree, which a change of its content keeps.
func (d *doing) modeOf(ctx context.Context, tree promotion.Hash, name string) (string, error) {
	dir := path.Dir(name)
	if dir == "." {
		dir = ""
	}
	files, err := d.Git.Walk(ctx, tree, dir)
	if err != nil {
		return "", err
	}
	for _, f := range files {
		switch {
		case f.Path != name:
		case f.Mode == gitrepo.ModeExecutable:
			return "100755", nil
		default:
			return "100644", nil
		}
	}
	return "", fmt.Errorf("%s is gone from the base branch", name)
}
