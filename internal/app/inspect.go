package app

import (
	"context"
	"strings"

	"github.com/rungbot/rung/internal/decide"
	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
	"github.com/rungbot/rung/internal/reconcile"
	"github.com/rungbot/rung/internal/settings"
)

// Inspect observes one repository ("owner/name") and decides, without a queue,
// a listener or a single write: the dry run.
func Inspect(ctx context.Context, s settings.Settings, fullName string, o Options) (*promotion.Snapshot, promotion.Plan, error) {
	a := &App{settings: s, options: o.filled(), log: o.Log, routes: newRoutes()}
	progress.Begin(ctx, "looking at "+fullName+" at GitHub", "", 0)
	r, err := a.named(ctx, fullName)
	if err != nil {
		return nil, promotion.Plan{}, err
	}
	snapshot, err := r.Observer.Observe(ctx, []hint.Hint{{Kind: hint.KindEverything}})
	if err != nil {
		return nil, promotion.Plan{}, err
	}
	var bench decide.Bench
	return snapshot, decide.Decide(snapshot, bench.Judges(snapshot)), nil
}

// named makes what is needed for one repository alone.
func (a *App) named(ctx context.Context, fullName string) (*reconcile.Repository, error) {
	a.options.NoWebhooks = true // nothing is delivered to a command
	for _, build := range []func(context.Context) error{a.openKeys, a.openForge, a.openSources, a.discover} {
		if err := build(ctx); err != nil {
			return nil, err
		}
	}
	for _, repo := range a.routes.all() {
		if strings.EqualFold(repo.FullName(), fullName) {
			return a.open(ctx, queue.RepositoryKey(repo.ID))
		}
	}
	return nil, notInstalled(fullName)
}
