package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/doors/github"
	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/queue"
)

// sweepEvery is how often GitHub's list of deliveries is read for those that did
// not arrive.
const sweepEvery = 10 * time.Minute

// sweepBack is how far back the first sweep after a start looks: GitHub keeps
// deliveries for three days.
const sweepBack = 71 * time.Hour

// Sweep starts the service's look at the world and then, from time to time,
// brings in deliveries that were lost. It returns when ctx ends.
func (a *App) Sweep(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := a.Start(ctx)
		if err == nil || ctx.Err() != nil {
			break
		}
		a.log.Warn().Err(err).Msg("the repositories could not be listed yet")
		if !pause(ctx, wait) {
			return
		}
	}
	since, wait := a.options.Now().Add(-sweepBack), time.Second
	for {
		began := a.options.Now()
		if err := a.Redeliver(ctx, since); err != nil {
			if ctx.Err() == nil {
				a.log.Warn().Err(err).Time("since", since).Msg("the list of deliveries could not be swept")
			}
			if errors.Is(err, forge.ErrTooMany) {
				since = since.Add(began.Sub(since) / 2) // better the newer half than none
			}
			if !pause(ctx, wait) {
				return
			}
			wait = min(2*wait, sweepEvery) // just after a start not every repository was looked at yet
			continue
		}
		since, wait = began.Add(-2*sweepEvery), time.Second
		if !pause(ctx, sweepEvery) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Redeliver reads GitHub's list of deliveries since a time and takes in those
// that this service has not seen: their payloads are read from GitHub, so they
// go through the same door as a webhook. One that can't be taken, ever, is left
// out; one that can't be taken now holds up no other, and the error says that not
// all were taken.
func (a *App) Redeliver(ctx context.Context, since time.Time) error {
	deliveries, err := a.forge.Deliveries(ctx, since)
	if err != nil {
		return err
	}
	taken := map[string]bool{}
	var failed error
	for _, d := range deliveries {
		if taken[d.GUID] || d.Event == "ping" {
			continue
		}
		taken[d.GUID] = true
		state, err := a.queue.Delivery(ctx, d.GUID)
		if err != nil {
			return err
		}
		if state != queue.StateUnknown {
			continue
		}
		full, payload, err := a.forge.DeliveryPayload(ctx, d.ID)
		if errors.Is(err, forge.ErrNotFound) {
			continue // GitHub keeps them for three days
		}
		if err != nil {
			return fmt.Errorf("delivery %d: %w", d.ID, err)
		}
		err = a.door.Replay(ctx, github.Raw{GUID: full.GUID, Event: full.Event, ReceivedAt: d.DeliveredAt, Payload: payload})
		if errors.Is(err, github.ErrMalformed) {
			a.log.Warn().Err(err).Str("delivery", full.GUID).Msg("a delivery is left out")
			continue
		}
		if err != nil {
			failed = cmp.Or(failed, fmt.Errorf("delivery %s: %w", full.GUID, err))
		}
	}
	if failed != nil {
		return failed
	}
	a.swept.Store(true)
	return nil
}
