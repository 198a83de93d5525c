package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/doors/github"
	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// ErrPassFailed is for a repository whose last pass failed: the others were worked
// on all the same.
var ErrPassFailed = errors.New("the last pass failed")

// soon is how far ahead something due is still waited for by Rest.
const soon = 15 * time.Second

// Rest looks at every repository and works until nothing is due any more within
// some seconds, or ctx ends: what a service does all the time, once. event is what
// woke it, if anything did. An error that is no ErrPassFailed means that not all were
// looked at.
func (a *App) Rest(ctx context.Context, event *Event) error {
	progress.Begin(ctx, "asking GitHub for repositories and deliveries", "", 0)
	if err := a.Start(ctx); err != nil {
		return err
	}
	if event != nil {
		if err := a.takeEvent(ctx, event); err != nil {
			return err
		}
	}
	// An App without a webhook has no list: nothing was delivered to anybody.
	if err := a.Redeliver(ctx, a.options.Now().Add(-sweepBack)); errors.Is(err, forge.ErrNotFound) {
		a.swept.Store(true)
	} else if err != nil {
		a.log.Warn().Err(err).Msg("the list of deliveries could not be swept: approvals wait, as it is not known who caused what")
	}
	for ctx.Err() == nil {
		worked, err := a.Once(ctx)
		if err != nil {
			return err
		}
		if worked {
			continue
		}
		at, some, err := a.queue.Due(ctx)
		if err != nil {
			return err
		}
		if !some || at.Sub(a.options.Now()) > soon {
			break
		}
		if err := a.queue.Wait(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return a.failures(context.WithoutCancel(ctx))
}

// failures are the repositories whose last pass failed.
func (a *App) failures(ctx context.Context) error {
	keys, err := a.queue.Keys(ctx, "", 10000)
	if err != nil {
		return err
	}
	var failed error
	for _, k := range keys {
		if k.LastError == "" {
			continue
		}
		name := string(k.Key)
		for _, repo := range a.routes.all() {
			if queue.RepositoryKey(repo.ID) == k.Key {
				name = repo.FullName()
			}
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w: %s", name, ErrPassFailed, k.LastError))
	}
	return failed
}

// Event is an event of GitHub's that a job runner hands on: its name, and its
// payload, which the runner had from GitHub itself.
type Event struct {
	Name    string
	Payload []byte
}

// takeEvent takes an event in as a webhook of it would be. Payloads that runners
// hand on lack the App's installation, which is that of their repository.
func (a *App) takeEvent(ctx context.Context, e *Event) error {
	var payload map[string]json.RawMessage
	if err := json.Unmarshal(e.Payload, &payload); err != nil {
		return fmt.Errorf("the event's payload can't be read: %w", err)
	}
	var about struct {
		ID int64 `json:"id"`
	}
	if err := json.Unmarshal(payload["repository"], &about); err != nil || about.ID == 0 {
		return nil //nolint:nilerr // an event of no repository, such as a schedule's
	}
	repo, known := a.routes.repository(queue.RepositoryKey(about.ID))
	if !known {
		return nil // of a repository that the App is not installed on
	}
	payload["installation"] = json.RawMessage(fmt.Sprintf(`{"id":%d}`, repo.Installation))
	data, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(append([]byte(e.Name+"\x00"), e.Payload...))
	err = a.door.Replay(ctx, github.Raw{GUID: "event-" + hex.EncodeToString(sum[:16]), Event: e.Name, ReceivedAt: a.options.Now(), Payload: data})
	if errors.Is(err, github.ErrMalformed) {
		a.log.Warn().Err(err).Str("event", e.Name).Msg("the event says nothing that can be used")
		return nil
	}
	return err
}

// Seen are the last passes over the repositories.
func (a *App) Seen(ctx context.Context) ([]promotion.View, error) {
	data, err := a.Views(ctx)
	if err != nil {
		return nil, err
	}
	views := make([]promotion.View, len(data))
	for i := range data {
		if err := json.Unmarshal(data[i], &views[i]); err != nil {
			return nil, fmt.Errorf("a view can't be read: %w", err)
		}
	}
	return views, nil
}
