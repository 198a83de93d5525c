package reconcile

import (
	"context"
	"slices"

	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/queue"
)

// toldView is the view of a repository's announcements: who published what. They
// must outlive the pass that took them: until a promotion is proposed, which may be
// long after, nothing else knows who caused it and can't approve it.
const toldView = "told"

// told reads the announcements that a repository's passes were told of.
func (r *Reconciler) told(ctx context.Context, key queue.Key) ([]hint.Hint, error) {
	view, found, err := r.c.Queue.View(ctx, key, toldView)
	if err != nil || !found {
		return nil, err
	}
	known, err := hint.DecodeTold(view.Data)
	if err != nil {
		// Written by a version that is not this one; what comes is kept anew.
		r.c.Log.Warn().Err(err).Str("key", string(key)).Msg("who announced earlier versions is not known")
		return nil, nil
	}
	return known, nil
}

// keepTold writes down the announcements among hints.
func (r *Reconciler) keepTold(ctx context.Context, key queue.Key, hints []hint.Hint) error {
	if !slices.ContainsFunc(hints, func(h hint.Hint) bool { return h.Kind == hint.KindPublished }) {
		return nil
	}
	known, err := r.told(ctx, key)
	if err != nil {
		return err
	}
	before := len(known)
	for _, h := range hints {
		known = hint.Told(known, h)
	}
	if len(known) == before && before < hint.MaxTold {
		return nil
	}
	data, err := hint.EncodeTold(known)
	if err != nil {
		return err
	}
	return r.c.Queue.PutView(ctx, key, toldView, data, r.c.Now())
}
