package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rungbot/rung/internal/doctor"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// How often a service looks at itself, and how long it waits at its start for the first
// passes, whose views it goes by.
const (
	lookEvery = time.Hour
	lookAfter = 2 * time.Minute
	lookAgain = 250 * time.Millisecond
)

// watch looks, as rung doctor does, once the repositories were looked at and then from
// time to time. It returns when ctx ends; whatever goes wrong only shows in the report.
func (a *App) watch(ctx context.Context) {
	for until := time.Now().Add(lookAfter); !a.routes.allLooked() && time.Now().Before(until); {
		if !pause(ctx, lookAgain) {
			return
		}
	}
	for {
		a.Look(ctx)
		if ctx.Err() != nil {
			return
		}
		a.looked.Store(true)
		if !pause(ctx, lookEvery) {
			return
		}
	}
}

// Looked reports whether the service has looked at itself since its start.
func (a *App) Looked() bool { return a.looked.Load() }

// Look sees whether rung can work, logs what does not hold and keeps the report for the
// board. It costs a handful of requests, and some for each repository with a rung.yaml.
func (a *App) Look(ctx context.Context) doctor.Report {
	f := a.facts(false)
	f.Brief = true
	f.Fingerprint = doctor.Saw(a.key.Public().Fingerprint())
	a.examineKept(ctx, f)
	if f.App = a.askWhoItIs(ctx, f); f.App.Looked && f.App.Problem == "" {
		a.examineInstallations(ctx, f)
		a.examineHook(ctx, f)
		a.examineSeen(ctx, f)
	}
	r := doctor.Judge(f)
	if ctx.Err() != nil {
		return r // what was cut off says nothing
	}
	a.say(&r)
	data, err := json.Marshal(r)
	if err == nil {
		err = a.queue.PutView(ctx, doctor.ViewKey, doctor.ViewName, data, r.At)
	}
	if err != nil {
		a.log.Warn().Err(err).Msg("the doctor's report could not be kept for the board")
	}
	return r
}

// say logs what does not hold.
func (a *App) say(r *doctor.Report) {
	for _, l := range r.Lines {
		e := a.log.Debug()
		if l.Status != doctor.OK {
			e = a.log.Warn() // nothing of rung's own failed
		}
		e = e.Str("line", l.ID).Str("status", string(l.Status))
		if l.Subject != "" {
			e = e.Str("about", l.Subject)
		}
		if l.Fix != "" {
			e = e.Str("fix", l.Fix)
		}
		e.Msg(l.Sentence)
	}
	a.log.Info().Int("failures", r.Count(doctor.Failure)).Int("warnings", r.Count(doctor.Warning)).Strs("unjudged", r.Unjudged).Strs("left", r.Left).
		Msg("doctor: " + r.Verdict())
}

// examineSeen goes by what the last passes over the repositories left, and reads the
// rules of those that have a rung.yaml.
func (a *App) examineSeen(ctx context.Context, f *doctor.Facts) {
	for _, repo := range a.routes.all() {
		view, found, err := a.queue.View(ctx, queue.RepositoryKey(repo.ID), promotion.ViewName)
		var v promotion.View
		if err == nil && found {
			err = json.Unmarshal(view.Data, &v)
		}
		r := doctor.Repository{Name: repo.FullName(), Configured: v.Configured, Problems: v.Problems, Tip: v.Ledger}
		switch {
		case err != nil:
			r.Problem = err.Error()
		case !found:
			r.Problem = "no pass has looked at it yet"
		case v.Error != "":
			r.Problem = fmt.Sprintf("the last pass failed: %s", v.Error)
		case !v.Configured:
			f.Unconfigured = append(f.Unconfigured, repo.FullName())
			continue
		case len(f.Repositories) >= maxExamined:
			f.Left = append(f.Left, repo.FullName())
			continue
		}
		if v.Pipeline != nil {
			r.Pipeline = *v.Pipeline
		}
		if r.Problem == "" {
			a.examineRules(ctx, repo, &r)
		}
		f.Repositories = append(f.Repositories, r)
	}
}
