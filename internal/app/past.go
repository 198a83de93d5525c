package app

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/rungbot/rung/internal/api"
	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/audit/report"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/queue"
)

// pasts are the ledgers whose histories were asked for, by repository: apart from
// those that passes read, which are a pass's alone.
type pasts struct {
	mu sync.Mutex
	of map[int64]*past
}

// past reads one repository's ledger. It is a cache: a new one reads the same.
type past struct {
	repository promotion.Repository
	mu         sync.Mutex // one question at a time
	git        *gitrepo.Remote
	ledger     *ledger.Reader
}

const (
	// maxPasts bounds how many are kept, pastBytes what each keeps of git.
	maxPasts  = 32
	pastBytes = 4 << 20
)

// pastOf is the reader of a repository's past.
func (a *App) pastOf(id int64) (*past, error) {
	repo, sure := a.routes.repository(queue.RepositoryKey(id))
	if !sure {
		return nil, fmt.Errorf("it is not known just now where repository %d is", id)
	}
	a.pasts.mu.Lock()
	defer a.pasts.mu.Unlock()
	if p := a.pasts.of[id]; p != nil && p.repository == repo {
		return p, nil
	}
	git, err := a.git(repo, a.forge.Installation(repo.Installation), gitrepo.Options{CacheBytes: pastBytes})
	if err != nil {
		return nil, err
	}
	if a.pasts.of == nil || len(a.pasts.of) >= maxPasts {
		a.pasts.of = map[int64]*past{}
	}
	p := &past{repository: repo, git: git, ledger: ledger.NewReader(a.trust, ledger.Identity{Repository: repo.ID, App: a.settings.GitHubAppID, URI: repo.URL})}
	a.pasts.of[id] = p
	return p, nil
}

// past answers the API: what landed of an artifact, from the ledger's chains. Every
// record on the way has a signature that counts, or there is no answer.
func (a *App) past(ctx context.Context, q api.Question) (any, bool, error) {
	p, err := a.pastOf(q.Repository)
	if err != nil {
		return nil, false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	refs, err := p.git.Refs(ctx, promotion.LedgerRef)
	if err != nil {
		return nil, false, err
	}
	tip := refs[promotion.LedgerRef]
	if tip == "" {
		return nil, false, api.ErrNoLedger
	}
	st, err := p.ledger.Read(ctx, p.git, tip)
	if err != nil {
		return nil, false, err
	}
	var r report.Reader
	for _, e := range st.Announced[q.Artifact] {
		r.Read(entryOf(e))
	}
	more := false
	for pair, live := range st.Live {
		if pair.Artifact != q.Artifact || q.Environment != "" && pair.Environment != q.Environment {
			continue
		}
		earlier, err := p.ledger.History(ctx, p.git, live, q.Limit, func(promotion.LiveEntry) bool { return false })
		if err != nil {
			return nil, false, err
		}
		chain := append([]promotion.LiveEntry{live}, earlier...)
		if len(chain) > q.Limit {
			more, chain = true, chain[:q.Limit]
		}
		for _, e := range slices.Backward(chain) {
			r.Read(entryOf(e.Land))
			if e.Settle != nil {
				r.Read(entryOf(*e.Settle))
			}
		}
	}
	slices.SortStableFunc(r.Releases, func(a, b *report.Release) int {
		if c := a.Landed.Compare(b.Landed); c != 0 {
			return c
		}
		return slices.Compare([]byte(a.Environment), []byte(b.Environment))
	})
	return r.History(q.Artifact, q.Environment, &audit.Report{OK: true}), more, nil
}

func entryOf(e promotion.LedgerEntry) audit.Entry {
	return audit.Entry{Record: e.Record, Statement: e.Statement}
}
