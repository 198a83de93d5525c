// Package local reads a clone on disk as a pass reads the forge: for the commands
// that say how things stand where no running rung is asked.
//
// State: none. Look verifies the clone's ledger, observes the clone by the Observer
// of a pass and decides by the same code, so that its words are those of the board.
// Invariants: it reads the clone alone: no network, no settings, not a single write;
// what a clone can't show (reviews, checks, rules, registries, health) is unknown,
// never passed, and named in the view's Unseen; a key counts only as far as the
// clone's own ledger vouches for it, as in rung verify.
//
// What it does not do: it fetches nothing, so that it is as old as the last git
// fetch, and its plan is carried out by nobody.
package local

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/audit"
	"github.com/rungbot/rung/internal/audit/report"
	"github.com/rungbot/rung/internal/decide"
	"github.com/rungbot/rung/internal/gate/policy"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/observe"
	"github.com/rungbot/rung/internal/progress"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/sign"
)

// Options say how a clone is read.
type Options struct {
	// Base is the base branch; empty: what the ledger names, or the remote's default
	// branch, or the branch that is checked out.
	Base string
	// Root pins the key that must have begun the ledger, as in rung verify.
	Root string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Seen is what a clone shows.
type Seen struct {
	View  promotion.View
	Plan  promotion.Plan
	Facts []*promotion.Facts
	// Verified is what the verification of the ledger found; nil where the clone
	// has none.
	Verified *audit.Report
}

// ErrNoBase is for a clone in which no branch can be the base branch.
var ErrNoBase = errors.New("there is no base branch in this clone: name one with --base")

// reading is one Look under way.
type reading struct {
	Options
	clone    *gitrepo.Clone
	verified *audit.Report
	records  report.Reader
	// rung is the App's own account, as records name it.
	rung  promotion.Person
	trust ledger.Trust

	base, tip promotion.Hash
	baseRef   string
}

// Look reads the clone that path is, or lies in.
func Look(ctx context.Context, path string, o Options) (*Seen, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &reading{Options: o}
	var err error
	if r.clone, err = gitrepo.OpenClone(path); err != nil {
		return nil, err
	}
	if err := r.verify(ctx, path); err != nil {
		return nil, err
	}
	if err := r.branches(); err != nil {
		return nil, err
	}
	progress.Begin(ctx, "looking at the clone", "", 0)
	return r.look(ctx)
}

// verify verifies the ledger, and learns whose signatures count.
func (r *reading) verify(ctx context.Context, path string) error {
	var roots []sign.PublicKey
	verified, err := audit.Verify(ctx, path, audit.Options{Root: r.Root, Base: r.Base, Each: func(e audit.Entry) {
		r.records.Read(e)
		if a := e.Record.Actor; !e.Doubted && a.Kind == "rung" && a.ID != 0 {
			r.rung = a.Person
		}
		if e.Record.Kind == promotion.RecordRotate && !e.Doubted {
			if list, err := ledger.TrustOf(e.Record); err == nil {
				roots = append(roots, list.Roots()...)
			}
		}
	}})
	if err != nil {
		return err
	}
	if verified.Ledger.Ref == "" {
		return nil
	}
	r.verified = &verified
	r.tip = verified.Ledger.Head
	for _, k := range verified.Trust.Keys {
		key, err := sign.ParsePublicKey(k.Key)
		if err != nil || k.RevokedAfter != "" || !k.ValidBefore.IsZero() && k.ValidBefore.Before(r.Now()) {
			continue
		}
		switch k.Role {
		case ledger.ReleaseRole:
			r.trust.Own = key
		case ledger.RootRole:
			roots = append(roots, key)
		}
	}
	r.trust.Roots = roots
	return nil
}

// branches finds the base branch.
func (r *reading) branches() error {
	name := r.Base
	switch {
	case r.verified != nil && r.verified.Base.Ref != "":
		r.base = r.verified.Base.Head
		r.baseRef = "refs/heads/" + strings.TrimPrefix(strings.TrimPrefix(r.verified.Base.Ref, "refs/heads/"), "refs/remotes/origin/")
		return nil
	case name != "":
	case r.clone.RemoteHead != "":
		name = r.clone.RemoteHead
	default:
		name = r.clone.Head
	}
	r.baseRef = "refs/heads/" + strings.TrimPrefix(name, "refs/heads/")
	var there bool
	if r.base, there = r.clone.Branch(r.baseRef, r.Base == ""); name == "" || !there {
		return ErrNoBase
	}
	return nil
}

// refs are the clone's branches as the server would list them.
func (r *reading) refs() map[string]promotion.Hash {
	refs := map[string]promotion.Hash{r.baseRef: r.base}
	if r.tip != "" {
		refs[promotion.LedgerRef] = r.tip
	}
	for name := range r.clone.Refs {
		short, remote := strings.CutPrefix(name, "refs/remotes/origin/")
		if remote {
			name = "refs/heads/" + short
		}
		if !strings.HasPrefix(name, promotion.PromotionBranches) && name != promotion.OnboardRef {
			continue
		}
		if h, there := r.clone.Branch(name, true); there {
			refs[name] = h
		}
	}
	return refs
}

// lineage is the part of the ledger's lineage.json that says whose it is.
type lineage struct {
	Repository int64 `json:"repository"`
	App        int64 `json:"app"`
}

func (r *reading) look(ctx context.Context) (*Seen, error) {
	git := r.clone.Remote(r.refs(), gitrepo.Options{CacheBytes: 32 << 20})
	var whose lineage
	if r.tip != "" {
		tip, err := git.Commit(ctx, r.tip)
		if err != nil {
			return nil, err
		}
		files, err := git.ReadFiles(ctx, tip.Tree, []string{"lineage.json"})
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(files["lineage.json"], &whose); err != nil {
			return nil, errors.New("the ledger's lineage.json can't be read: rung verify says more")
		}
	}
	repo := repositoryAt(r.records.Repository, r.clone.Origin)
	repo.ID = whose.Repository
	reader := ledger.NewReader(r.trust, ledger.Identity{Repository: whose.Repository, App: whose.App, URI: repo.URL})
	blind := &unseen{repository: repo, base: strings.TrimPrefix(r.baseRef, "refs/heads/")}
	if r.tip != "" {
		if st, err := reader.Read(ctx, git, r.tip); err == nil { // where it can't be read, the pass says so
			blind.pulls = pulls(&st, r.refs())
		}
	}
	observer := observe.New(observe.Config{
		Repository: repo, App: r.rung, AppID: whose.App, Git: git, Forge: blind, Registry: blind, Probe: blind.probe, Ledger: reader,
		VerifyCommit: reader.VerifyCommit, Now: r.Now,
		LintPolicies: func(files map[string][]byte) []promotion.ConfigProblem {
			_, problems := policy.Compile(files)
			return problems
		},
	})
	snapshot, err := observer.Observe(ctx, []hint.Hint{{Kind: hint.KindEverything}})
	if err != nil {
		return nil, err
	}
	snapshot.CausersUnknown = true
	var bench decide.Bench
	plan := decide.Decide(snapshot, blindly(bench.Judges(snapshot)))
	seen := &Seen{Verified: r.verified}
	for i := range plan.Pairs {
		forget(&plan.Pairs[i])
		if f := plan.Pairs[i].Facts; f != nil {
			seen.Facts = append(seen.Facts, f)
		}
	}
	seen.Plan, seen.View = plan, decide.View(snapshot, &plan)
	seen.View.Would, seen.View.Unseen = decide.Would(&plan), r.unseen()
	if r.verified != nil && !r.verified.OK {
		seen.View.Notes = append(seen.View.Notes, "the ledger does not hold, or could not be judged whole: rung verify says what was found")
	}
	return seen, nil
}

// unseen is what a clone can't show, for people.
func (r *reading) unseen() []string {
	all := []string{
		"pull requests: their reviews, checks, whether they can be merged, and whether one was closed or merged since",
		"the base branch's rules on the forge, and who merged what is not recorded yet",
		"registries: which versions were published, and what they still serve",
		"health: what the sources say of what is live",
		"what happened since this clone was fetched: git fetch origin '+refs/heads/*:refs/remotes/origin/*'",
	}
	if r.tip == "" {
		all = append(all, "the ledger: this clone has no branch rung/ledger, so that releases, freezes and holds are not known; in mode observe there is none")
	}
	return all
}

// Named tells a repository's name from the address of a clone's origin.
func Named(origin string) promotion.Repository { return repositoryAt("", origin) }

// repositoryAt tells a repository's name from its address in records, or from that
// of origin.
func repositoryAt(uri, origin string) promotion.Repository {
	for _, address := range []string{uri, origin} {
		host, path := "", ""
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			host, path = u.Scheme+"://"+u.Host, u.Path
			if u.Scheme == "ssh" || u.Scheme == "git" {
				host = "https://" + u.Hostname()
			}
		} else if at, rest, found := strings.Cut(address, ":"); found { // git@github.com:acme/gitops.git
			_, name, _ := strings.Cut(at, "@")
			host, path = "https://"+name, rest
		}
		parts := strings.Split(strings.Trim(strings.TrimSuffix(path, ".git"), "/"), "/")
		if len(parts) == 2 && parts[0] != "" && parts[1] != "" {
			return promotion.Repository{Owner: parts[0], Name: parts[1], URL: host + "/" + parts[0] + "/" + parts[1]}
		}
	}
	return promotion.Repository{Owner: "this", Name: "clone"}
}
