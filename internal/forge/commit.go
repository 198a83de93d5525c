package forge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/go-github/v60/github"

	"github.com/rungbot/rung/internal/promotion"
)

// NewCommit is a commit for the forge to make.
type NewCommit struct {
	Parent promotion.Hash
	// Base is the parent's tree, Tree the one that the files over it must give.
	Base, Tree promotion.Hash
	Files      map[string]CommitFile
	Message    string
}

// CommitFile is a file of a NewCommit: its whole new content, UTF-8.
type CommitFile struct {
	Mode string // "100644" or "100755"
	Data []byte
}

// MakeCommit lets GitHub make and sign a commit, which no branch names yet: made with
// an installation's token and without an author, a committer or a signature of our
// own, it counts as verified. What was asked for is compared with what was made,
// and a commit that GitHub did not sign is an error. Repeating it makes another
// commit that nothing refers to.
func (c *Client) MakeCommit(ctx context.Context, repo promotion.Repository, n NewCommit) (promotion.Hash, error) {
	op := "make a commit in " + repo.FullName()
	var entries []*github.TreeEntry
	for _, path := range slices.Sorted(maps.Keys(n.Files)) {
		f := n.Files[path]
		if !utf8.Valid(f.Data) {
			return "", fmt.Errorf("%s: %s is not UTF-8, which the API's trees are made of", op, path)
		}
		entries = append(entries, &github.TreeEntry{
			Path: github.String(path), Mode: github.String(f.Mode), Type: github.String("blob"), Content: github.String(string(f.Data)),
		})
	}
	tree, _, err := c.rest.Git.CreateTree(ctx, repo.Owner, repo.Name, string(n.Base), entries)
	if err != nil {
		return "", translate(op, true, repo, err)
	}
	if tree.GetSHA() != string(n.Tree) {
		return "", fmt.Errorf("%s: GitHub's tree is %.40q and not %s, which was promised", op, tree.GetSHA(), n.Tree)
	}
	made, _, err := c.rest.Git.CreateCommit(ctx, repo.Owner, repo.Name, &github.Commit{
		Message: github.String(n.Message), Tree: &github.Tree{SHA: github.String(string(n.Tree))}, Parents: []*github.Commit{{SHA: github.String(string(n.Parent))}},
	}, nil)
	if err != nil {
		return "", translate(op, true, repo, err)
	}
	hash, err := promotion.ParseHash(made.GetSHA())
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w: GitHub's answer names no commit", op, ErrUnknownOutcome)
	case made.GetTree().GetSHA() != string(n.Tree), len(made.Parents) != 1, made.Parents[0].GetSHA() != string(n.Parent),
		strings.TrimRight(made.GetMessage(), "\n") != strings.TrimRight(n.Message, "\n"):
		return "", fmt.Errorf("%s: GitHub's commit %s is not what was asked for", op, hash.Short())
	case !made.GetVerification().GetVerified():
		return "", fmt.Errorf("%s: GitHub did not sign commit %s (%.40s): it signs for an App's own token alone, and an Enterprise Server only with web commit signing on; without that use commits: rung",
			op, hash.Short(), made.GetVerification().GetReason())
	}
	return hash, nil
}
