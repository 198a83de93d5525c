// Package observe reads the world: git, the forge, the registry and health
// sources, into one Snapshot.
//
// State: an Observer keeps, for one repository, what it has read and what act
// has written since, so that an event costs a read only of what it touched; all
// of it is a cache, and a new Observer sees the same world, at the price of one
// full read. Invariants: it is the only reader of the world; what can't be read
// is said in the Snapshot and holds; the base branch's configuration is read at
// its head only, never from a pull request's.
//
// Concurrency: one pass at a time for an Observer; probes inside a pass run side
// by side, each with a deadline. What it does not do: it does not judge, choose
// or write, and it decides nothing from a hint but where to look.
package observe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
)

// Forge is what observe reads of GitHub. *forge.Client is one.
type Forge interface {
	Read(ctx context.Context, q forge.Query) (forge.State, error)
	Access(ctx context.Context, repo promotion.Repository, person promotion.Person, teams []string) promotion.Access
	Comments(ctx context.Context, repo promotion.Repository, since time.Time) ([]forge.Comment, error)
	Reacted(ctx context.Context, repo promotion.Repository, comment int64) (bool, error)
	Origins(ctx context.Context, repo promotion.Repository, base string, commits []promotion.Hash) (map[promotion.Hash]forge.Origin, error)
}

// Registry is what observe reads of registries. *registry.Registry is one.
type Registry interface {
	Versions(ctx context.Context, image string, limit int) ([]promotion.Version, error)
	Resolve(ctx context.Context, image string, version promotion.Version) (promotion.Digest, []promotion.Digest, error)
	Exists(ctx context.Context, image string, digest promotion.Digest) (bool, error)
}

// Probe asks one HTTP health source. It has its own deadline.
type Probe func(ctx context.Context, source promotion.HealthSource, pair promotion.Pair, v promotion.Value) promotion.HealthReading

// Config is what an Observer is made of.
type Config struct {
	Repository promotion.Repository
	// App is rung's own account; AppID its App's number.
	App      promotion.Person
	AppID    int64
	Git      *gitrepo.Remote
	Forge    Forge
	Registry Registry
	Probe    Probe
	Ledger   *ledger.Reader
	// VerifyCommit checks a commit's signature by rung's own keys.
	VerifyCommit func(payload []byte, armour string) error
	// LintPolicies says what is wrong with policy files; nil finds nothing.
	LintPolicies func(files map[string][]byte) []promotion.ConfigProblem
	// Swept reports whether what the forge delivered before this process began
	// has been taken in; nil: nothing is delivered to this process.
	Swept func() bool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Resync is how often everything is read again without a reason; 0 never.
	Resync time.Duration
}

// Observer observes one repository.
type Observer struct {
	Config
	mem memory
	// began is when it was made: what was said before may have been heard by
	// an earlier one.
	began time.Time
	// first is when the first one of this process was made.
	first time.Time
	// listed is up to when all that was said has been heard.
	listed time.Time
}

// New returns an Observer that has seen nothing yet.
func New(c Config) *Observer {
	if c.Now == nil {
		c.Now = time.Now
	}
	now := c.Now()
	return &Observer{Config: c, mem: newMemory(), began: now, first: now}
}

// pass is one Observe under way.
type pass struct {
	*Observer
	s     *promotion.Snapshot
	hints []hint.Hint
	refs  map[string]promotion.Hash
	// said are the comments to be answered.
	said []said
	// since is when the heads of the open promotions were made.
	since map[promotion.Pair]time.Time
}

// Observe reads the world once. The error is for what makes a pass impossible
// (the git server or the forge can't be reached, the installation is gone);
// everything else is in the Snapshot.
func (o *Observer) Observe(ctx context.Context, hints []hint.Hint) (*promotion.Snapshot, error) {
	now := o.Now().UTC()
	p := &pass{Observer: o, hints: hints, s: &promotion.Snapshot{
		Now: now, Repository: o.Repository, App: o.App, AppID: o.AppID, CausersUnknown: o.Swept != nil && !o.Swept(),
	}}
	o.mem.take(hints, now, o.Resync)
	p.s.Unusable = o.mem.unusables()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"base branch", p.branches},
		{"configuration", p.configuration},
		{"places", p.places},
		{"ledger", p.ledger},
		{"base changes", p.changes},
		{"forge", p.forge},
		{"promotion branches", p.heads},
		{"registry", p.registry},
		{"comments", p.comments},
		{"history", p.history},
		{"health", p.health},
		{"commands", p.commands},
		{"pull requests", p.impacts},
		{"people", p.people},
	} {
		err := step.do(ctx)
		if errors.Is(err, errEmpty) {
			return p.s, nil
		}
		if err != nil {
			return nil, fmt.Errorf("observe %s of %s: %w", step.name, o.Repository.FullName(), p.explained(ctx, err))
		}
		if !p.s.Configured && step.name == "configuration" {
			return p.s, nil
		}
	}
	return p.s, nil
}

// explained asks the forge why git refused: it tells a suspended installation
// from a repository that is gone.
func (p *pass) explained(ctx context.Context, err error) error {
	if !errors.Is(err, gitrepo.ErrAuthentication) && !errors.Is(err, gitrepo.ErrNotFound) {
		return err
	}
	if _, told := p.Forge.Read(ctx, forge.Query{Repository: p.Repository}); told != nil {
		return told
	}
	return err
}

// errEmpty is for a repository without a commit: nothing is configured there.
var errEmpty = errors.New("the repository is empty")

// branches finds where the branches stand.
func (p *pass) branches(ctx context.Context) error {
	fresh := p.mem.base == ""
	if fresh {
		state, err := p.Forge.Read(ctx, forge.Query{Repository: p.Repository})
		if err != nil {
			return err
		}
		if state.DefaultBranch == "" {
			return errEmpty
		}
		p.mem.base = "refs/heads/" + state.DefaultBranch
	}
	refs, err := p.Git.Refs(ctx, p.mem.base, promotion.LedgerRef, promotion.PromotionBranches, promotion.OnboardRef)
	if err != nil {
		return err
	}
	head := refs[p.mem.base]
	if head == "" {
		gone := p.mem.base
		p.mem.base = "" // renamed: resolved anew in the next pass
		if fresh && p.mem.configKey == "" {
			return errEmpty // the default branch is only a name, as in a new repository
		}
		return fmt.Errorf("the base branch %s is gone", strings.TrimPrefix(gone, "refs/heads/"))
	}
	p.refs = refs
	p.s.Branches = map[string]promotion.Hash{}
	for ref, h := range refs {
		if strings.HasPrefix(ref, promotion.PromotionBranches) || ref == promotion.OnboardRef {
			p.s.Branches[ref] = h
		}
	}
	if err := p.Git.Fetch(ctx, head); err != nil {
		return err
	}
	c, err := p.Git.Commit(ctx, head)
	if err != nil {
		return err
	}
	p.s.Base = promotion.BaseState{Ref: p.mem.base, Head: head, Tree: c.Tree, When: c.Committer.When.UTC()}
	return nil
}

// Wrote tells the Observer what act did, so that what rung itself wrote need not
// be read back.
func (o *Observer) Wrote(s *promotion.Snapshot, plan *promotion.Plan, res promotion.Outcome) {
	o.mem.wrote(s, plan, res)
}

// Repeat makes the next pass list again what was said: this one did not come to
// answering it.
func (o *Observer) Repeat() { o.mem.commented = time.Time{} }

// Forget makes the next pass read everything, and keeps what no reading tells
// again.
func (o *Observer) Forget() { o.Keep(o) }

// Keep begins with what another Observer of the same repository knew and can't be
// read again: who announced a version, what events held that can't be used, since when
// a source is healthy, up to where the ledger was read, and which merges were refused.
func (o *Observer) Keep(old *Observer) {
	m := newMemory()
	m.told, m.health, m.statuses = old.mem.told, old.mem.health, old.mem.statuses
	m.unusable = old.mem.unusable
	m.tip, m.refused, m.refusals = old.mem.tip, old.mem.refused, old.mem.refusals
	o.mem, o.first = m, old.first
}

// Tell gives it the announcements that earlier Observers were told of.
func (o *Observer) Tell(announced []hint.Hint) {
	for _, h := range announced {
		o.mem.takePublished(h)
	}
}
