package act

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/promotion"
)

// Introduction is a pull request that brings rung.yaml into a repository.
type Introduction struct {
	Repository promotion.Repository
	// Base is where the base branch stands: Ref, Head and Tree.
	Base promotion.BaseState
	// Branch is where promotion.InitRef stands, or empty.
	Branch promotion.Hash
	// Files are written over what the base head has.
	Files       map[string][]byte
	Title, Body string
	Now         time.Time
}

// ErrOtherBranch is for a branch promotion.InitRef that holds something else than
// would be proposed.
var ErrOtherBranch = errors.New("the branch " + strings.TrimPrefix(promotion.InitRef, "refs/heads/") + " holds something else")

// Introduce opens the pull request, or finds the one that is open already: doing it
// again is safe. A branch that somebody changed, or that proposes something else, is
// left as it is: ErrOtherBranch.
func (a *Actor) Introduce(ctx context.Context, in *Introduction) (int, error) {
	do := a.branchOff
	if in.Branch != "" {
		do = a.holds
	}
	if err := do(ctx, in); err != nil {
		return 0, err
	}
	n, err := a.Forge.OpenPullRequest(ctx, in.Repository, forge.NewPullRequest{
		Title: in.Title, Body: in.Body, Head: strings.TrimPrefix(promotion.InitRef, "refs/heads/"), Base: strings.TrimPrefix(in.Base.Ref, "refs/heads/"),
	})
	if err != nil {
		return 0, fmt.Errorf("open the pull request: %w", err)
	}
	return n, nil
}

// holds reports whether the branch has the files as they would be proposed.
func (a *Actor) holds(ctx context.Context, in *Introduction) error {
	c, err := a.Git.Commit(ctx, in.Branch)
	if err != nil {
		return err
	}
	there, err := a.Git.ReadFiles(ctx, c.Tree, slices.Sorted(maps.Keys(in.Files)))
	if err != nil {
		return err
	}
	for path, data := range in.Files {
		if have, ok := there[path]; !ok || string(have) != string(data) {
			return fmt.Errorf("%w: %s differs", ErrOtherBranch, path)
		}
	}
	return nil
}

func (a *Actor) branchOff(ctx context.Context, in *Introduction) error {
	edits := map[string]gitrepo.FileChange{}
	for path, data := range in.Files {
		edits[path] = gitrepo.FileChange{Data: data}
	}
	tree, err := a.Git.Rewrite(ctx, in.Base.Tree, edits)
	if err != nil {
		return err
	}
	who := gitrepo.Ident{Name: a.Author.Name, Email: a.Author.Email, When: in.Now.UTC()}
	head, err := a.Git.WriteCommit(ctx, gitrepo.CommitSpec{
		Tree: tree, Parents: []promotion.Hash{in.Base.Head}, Author: who, Committer: who, Message: in.Title + "\n", Sign: a.Signer.SignCommit,
	})
	if err != nil {
		return err
	}
	if _, err := a.Git.Push(ctx, []gitrepo.RefUpdate{{Ref: promotion.InitRef, New: head}}, gitrepo.PushOptions{}); err != nil {
		if denied := a.missing(ctx, err); denied != nil {
			err = denied
		}
		return fmt.Errorf("push the branch %s: %w", promotion.InitRef, err)
	}
	return nil
}
