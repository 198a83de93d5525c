// Package reconcile is the loop: it claims a repository from the queue, lets it
// be observed, decided and acted on, and says when to look again.
//
// State: one Repository (its Observer, Actor and judges) for each key that was
// ever claimed, in memory; the queue holds everything that must survive, also who
// announced a version: no promotion records it before there is one.
// Invariants: one pass at a time for a repository; hints stay in the queue until
// a pass that took them has succeeded; a pass that changed anything is followed
// by another at once; a failed one by a later one, with growing gaps, or when
// the forge said to come back.
//
// Concurrency: Run starts the workers and returns when ctx ends and they are
// done; Once is for tests, simulation and `rung reconcile --once`. What it does
// not do: it reads and writes nothing of the world by itself.
package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/act"
	"github.com/rungbot/rung/internal/decide"
	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/observe"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// Repository is what a pass over one repository needs.
type Repository struct {
	Repository promotion.Repository
	Observer   *observe.Observer
	Actor      *act.Actor
	bench      decide.Bench
	// lone is since when records wait for company; zero: none wait.
	lone time.Time
	// stale is true after a pass whose writes may not all be known.
	stale bool
	last  promotion.View
}

// Config is what a Reconciler is made of.
type Config struct {
	Queue *queue.Queue
	// Open makes the Repository of a key, the first time it is claimed. An
	// error wrapping ErrGone drops the key.
	Open func(ctx context.Context, key queue.Key) (*Repository, error)
	// Doubt is told that a repository may be gone, or known by another name:
	// Open then looks for it anew. nil is told nothing.
	Doubt func(key queue.Key)
	// Known is told the configuration of a repository after each pass, for the
	// routes of artifact events; nil tells nobody.
	Known func(repository int64, configured bool, artifacts []promotion.ArtifactSpec)
	// Workers is how many repositories are worked on side by side; 0 is 4.
	Workers int
	// Coalesce is how long a lone land, settle or adopt waits for company.
	Coalesce time.Duration
	// Resync is how often a repository is looked at without a reason.
	Resync time.Duration
	// Lease bounds one pass; 0 is 5 minutes.
	Lease time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	Log zerolog.Logger
}

// ErrGone is for a repository that the App no longer has.
var ErrGone = errors.New("the App is not installed there any more, or its installation is suspended; rung looks again when GitHub tells of a change")

// Reconciler runs passes.
type Reconciler struct {
	c    Config
	mu   sync.Mutex
	open map[queue.Key]*Repository
	// last are the repositories that were forgotten.
	last map[queue.Key]*Repository
}

// New returns a Reconciler; nothing runs yet.
func New(c Config) *Reconciler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Workers <= 0 {
		c.Workers = 4
	}
	if c.Lease <= 0 {
		c.Lease = 5 * time.Minute
	}
	return &Reconciler{c: c, open: map[queue.Key]*Repository{}, last: map[queue.Key]*Repository{}}
}

// Run works on due repositories until ctx ends, and returns when the passes
// under way are done.
func (r *Reconciler) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for i := range r.c.Workers {
		wg.Go(func() { r.work(ctx, fmt.Sprintf("worker-%d", i)) })
	}
	wg.Wait()
}

func (r *Reconciler) work(ctx context.Context, owner string) {
	for ctx.Err() == nil {
		worked, err := r.Once(ctx, owner)
		if err != nil && ctx.Err() == nil {
			r.c.Log.Error().Err(err).Msg("the queue failed")
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		if worked {
			continue
		}
		if err := r.c.Queue.Wait(ctx); err != nil && ctx.Err() == nil {
			r.c.Log.Error().Err(err).Msg("waiting for work failed")
		}
	}
}

// Once claims a due repository and makes one pass over it. It reports false when
// nothing is due. The error is the queue's own; a failed pass is not an error
// here, it is tried again later.
func (r *Reconciler) Once(ctx context.Context, owner string) (bool, error) {
	work, err := r.c.Queue.Claim(ctx, owner, r.c.Lease)
	if err != nil || work == nil {
		return false, err
	}
	// A pass that has begun writing is better finished than cut: it gets the
	// lease's time even when the service is told to stop.
	pass, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.c.Lease-5*time.Second)
	defer cancel()
	next, err := r.pass(pass, work)
	now := r.c.Now()
	switch {
	case errors.Is(err, ErrGone), errors.Is(err, forge.ErrUninstalled):
		r.forget(work.Key)
		return true, r.c.Queue.Done(pass, *work, time.Time{})
	case errors.Is(err, forge.ErrSuspended):
		// Parked: an event comes when it is unsuspended. The hints go with
		// this claim, so that everything is read again then.
		r.forget(work.Key)
		return true, r.lost(r.c.Queue.Done(pass, *work, now.Add(r.c.Resync)))
	case err != nil:
		if isGone(err) {
			r.doubt(work.Key)
		}
		at := r.retryAt(err, work.Attempt, now)
		r.c.Log.Warn().Err(err).Str("key", string(work.Key)).Int("attempt", work.Attempt).Time("retry", at).Msg("pass failed")
		return true, r.lost(r.c.Queue.Fail(pass, *work, err.Error(), at))
	}
	return true, r.lost(r.c.Queue.Done(pass, *work, next))
}

// lost takes a lease that ran out for what it is: another pass will follow.
func (r *Reconciler) lost(err error) error {
	if errors.Is(err, queue.ErrLost) {
		r.c.Log.Warn().Err(err).Msg("a pass took longer than its lease")
		return nil
	}
	return err
}

// retryAt is when a failed pass is tried again: when the forge says so, soon
// after a conflict, otherwise with growing gaps up to a minute.
func (r *Reconciler) retryAt(err error, attempt int, now time.Time) time.Time {
	var limited *forge.RateLimitedError
	if errors.As(err, &limited) {
		return limited.Until
	}
	if errors.Is(err, gitrepo.ErrConflict) && attempt < 5 {
		return now.Add(50 * time.Millisecond)
	}
	gap := 500 * time.Millisecond << min(attempt-1, 7)
	return now.Add(min(gap, time.Minute))
}

// isGone reports whether a repository was not found where it was looked for.
func isGone(err error) bool {
	var moved *forge.MovedError
	return errors.As(err, &moved) || errors.Is(err, forge.ErrNotFound) || errors.Is(err, gitrepo.ErrNotFound) || errors.Is(err, gitrepo.ErrMoved)
}

// doubt forgets a repository, and where it was.
func (r *Reconciler) doubt(key queue.Key) {
	r.forget(key)
	if r.c.Doubt != nil {
		r.c.Doubt(key)
	}
}

func (r *Reconciler) forget(key queue.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if repo := r.open[key]; repo != nil {
		r.last[key] = repo
	}
	delete(r.open, key)
}

func (r *Reconciler) repository(ctx context.Context, key queue.Key) (*Repository, error) {
	r.mu.Lock()
	repo := r.open[key]
	r.mu.Unlock()
	if repo != nil {
		return repo, nil
	}
	repo, err := r.c.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	repo.stale = true // what an earlier process wrote is not known
	told, err := r.told(ctx, key)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if old := r.last[key]; old != nil {
		repo.Observer.Keep(old.Observer)
		repo.last = old.last
		delete(r.last, key)
	}
	repo.Observer.Tell(told)
	r.open[key] = repo
	return repo, nil
}

// pass observes, decides and acts, and returns when to look again.
func (r *Reconciler) pass(ctx context.Context, work *queue.Work) (time.Time, error) {
	hints := make([]hint.Hint, len(work.Hints))
	changed := false
	for i, h := range work.Hints {
		hints[i] = hint.Read(h)
		changed = changed || hints[i].Kind == hint.KindRepository || hints[i].Kind == hint.KindAccess
	}
	// Before the forge is asked anything: a suspended installation takes the hints.
	if err := r.keepTold(ctx, work.Key, hints); err != nil {
		return time.Time{}, err
	}
	repo, err := r.repository(ctx, work.Key)
	if err != nil {
		r.showGone(ctx, work.Key, err)
		return time.Time{}, err
	}
	log := r.c.Log.With().Str("repository", repo.Repository.FullName()).Logger()
	ctx = log.WithContext(ctx)
	progress.Begin(ctx, "looking at "+repo.Repository.FullName(), "", 0)
	if changed {
		// Renamed, transferred, taken out, suspended: begin anew with what it is
		// now.
		r.doubt(work.Key)
		if repo, err = r.repository(ctx, work.Key); err != nil {
			r.showGone(ctx, work.Key, err)
			return time.Time{}, err
		}
	}
	s, err := repo.Observer.Observe(ctx, hints)
	if err != nil {
		r.show(ctx, repo, work.Key, nil, nil, err)
		return time.Time{}, err
	}
	plan := decide.Decide(s, repo.bench.Judges(s))
	if r.c.Known != nil {
		r.c.Known(repo.Repository.ID, s.Configured, s.Pipeline.Artifacts)
	}
	wait := r.company(repo, &plan, s.Now)
	out, err := repo.Actor.Do(ctx, s, &plan, repo.stale || work.Attempt > 1)
	repo.Observer.Wrote(s, &plan, out)
	repo.stale = err != nil
	if err != nil {
		// A limit says that nothing was done. What is known stays known: since
		// when a source is healthy could not be read again.
		repo.Observer.Repeat()
		var limited *forge.RateLimitedError
		if !errors.Is(err, gitrepo.ErrConflict) && !errors.As(err, &limited) {
			repo.Observer.Forget()
		}
		r.show(ctx, repo, work.Key, s, &plan, err)
		return time.Time{}, err
	}
	next := plan.Next
	for _, t := range []time.Time{wait, s.Now.Add(r.c.Resync)} {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) && (t != s.Now || r.c.Resync > 0) {
			next = t
		}
	}
	if out.Changed {
		next = r.c.Now()
	}
	plan.Next = next
	r.show(ctx, repo, work.Key, s, &plan, nil)
	return next, nil
}

// company lets a lone land, settle or adopt wait a while for something to be
// pushed with. It returns until when.
func (r *Reconciler) company(repo *Repository, plan *promotion.Plan, now time.Time) time.Time {
	if !plan.Lone || r.c.Coalesce <= 0 {
		repo.lone = time.Time{}
		return time.Time{}
	}
	if repo.lone.IsZero() {
		repo.lone = now
	}
	until := repo.lone.Add(r.c.Coalesce)
	if !now.Before(until) {
		repo.lone = time.Time{}
		return time.Time{}
	}
	plan.Records, plan.Deletes, plan.Base = nil, nil, ""
	return until
}

// showGone keeps for the board why a repository that was known can't be opened.
func (r *Reconciler) showGone(ctx context.Context, key queue.Key, err error) {
	r.mu.Lock()
	was := r.last[key]
	r.mu.Unlock()
	if was != nil {
		r.show(ctx, was, key, nil, nil, err)
	}
}

// show keeps the pass for the board.
func (r *Reconciler) show(ctx context.Context, repo *Repository, key queue.Key, s *promotion.Snapshot, plan *promotion.Plan, failed error) {
	v := repo.last
	if s != nil {
		v = decide.View(s, plan)
	}
	v.Repository, v.Error = repo.Repository, ""
	if failed != nil {
		v.Error = failed.Error()
	}
	repo.last = v
	data, err := json.Marshal(v)
	if err == nil {
		err = r.c.Queue.PutView(ctx, key, promotion.ViewName, data, r.c.Now())
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the board's view could not be kept")
	}
}
