package observe

import (
	"context"
	"errors"
	"maps"

	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/pipeline"
	"github.com/rungbot/rung/internal/promotion"
)

// itsOwn reports whether an error is of what was read, and so the same each time:
// whoever made a tree such as this holds up nothing but the tree.
func itsOwn(err error) bool {
	return errors.Is(err, gitrepo.ErrTooLarge) || errors.Is(err, gitrepo.ErrPath) || errors.Is(err, gitrepo.ErrMalformed)
}

// unread is the problem of a configuration that can't be read; it holds everything.
func unread(err error) promotion.ConfigProblem {
	return promotion.ConfigProblem{Path: pipeline.RootFile, Line: 1, Column: 1, Text: err.Error() + "; put a plain file in its place"}
}

// blobs adds the blobs to into, but for those that are over the limit.
func (p *pass) blobs(ctx context.Context, hashes []promotion.Hash, into map[promotion.Hash][]byte) error {
	got, err := p.Git.Blobs(ctx, hashes...)
	if errors.Is(err, gitrepo.ErrTooLarge) {
		if len(hashes) == 1 {
			return nil
		}
		half := len(hashes) / 2
		if err := p.blobs(ctx, hashes[:half], into); err != nil {
			return err
		}
		return p.blobs(ctx, hashes[half:], into)
	}
	if err != nil {
		return err
	}
	maps.Copy(into, got)
	return nil
}
