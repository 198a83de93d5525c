// Package act carries out a plan: the only writer of the world.
//
// State between calls: which comments were answered, so that a pass that is
// made again under a rate limit does not spend the limit on what it has said
// already; losing it costs requests only. One call to Do makes one atomic push (the pass's
// records, the branches that they speak of, and deletions, all against the
// hashes that were observed) and then the calls to the forge. Intent comes
// before effect: a promotion's record is pushed with its branch, an authorize
// is pushed before the check turns green, and the check before the merge. Every
// write may fail undone, or done and untold: Do then stops and says what it
// knows, and the next pass observes again; repeating Do for the same plan is
// safe, because pushes are compare-and-swap and calls are looked up by key.
//
// Concurrency: one Do at a time for one repository. What it does not do: it
// does not decide, and it merges only what the plan authorises, within the
// fence after its own push.
package act

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/gitrepo"
	"github.com/rungbot/rung/internal/ledger"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/prose"
)

// Forge is what act does on GitHub. *forge.Client is one.
type Forge interface {
	OpenPullRequest(ctx context.Context, repo promotion.Repository, n forge.NewPullRequest) (int, error)
	EditPullRequest(ctx context.Context, repo promotion.Repository, number int, title, body string) error
	ReopenPullRequest(ctx context.Context, repo promotion.Repository, number int) error
	SetCheck(ctx context.Context, repo promotion.Repository, check forge.Check, id int64) (int64, error)
	Merge(ctx context.Context, repo promotion.Repository, number int, sha promotion.Hash, method, title, message string) (promotion.Hash, error)
	AddComment(ctx context.Context, repo promotion.Repository, issue int, n forge.NewComment) (int64, error)
	MakeCommit(ctx context.Context, repo promotion.Repository, n forge.NewCommit) (promotion.Hash, error)
	React(ctx context.Context, repo promotion.Repository, comment int64, reaction string) error
	Lacking(ctx context.Context, name, level string) *forge.ForbiddenError
}

// Git is what act does in the repository. *gitrepo.Remote is one.
type Git interface {
	ledger.Repository
	Push(ctx context.Context, updates []gitrepo.RefUpdate, o gitrepo.PushOptions) (gitrepo.Report, error)
}

// Actor carries out plans for one repository.
type Actor struct {
	Git    Git
	Forge  Forge
	Ledger *ledger.Writer
	Signer ledger.Signer
	Author ledger.Author
	// Fence is how long after its own authorize rung may merge.
	Fence time.Duration
	// BoardURL is the address of the board for links, or empty.
	BoardURL string
	// Since is when this Actor was made. Commands older than that may have
	// been answered by an earlier one: a reply is looked for before it is
	// written. Zero: nobody answered before.
	Since time.Time

	said map[answer]bool
}

// answer is a reaction to a comment, or with an empty reaction the reply to it.
type answer struct {
	comment  int64
	reaction string
}

// maxSaid bounds the answers that are remembered.
const maxSaid = 1000

// once gives an answer unless this Actor has given it before.
func (a *Actor) once(what answer, give func() error) error {
	if what.comment != 0 && a.said[what] {
		return nil
	}
	if err := give(); err != nil {
		return err
	}
	if a.said == nil || len(a.said) >= maxSaid {
		a.said = map[answer]bool{}
	}
	a.said[what] = true
	return nil
}

// Do carries out a plan made from the snapshot. The error is the first that
// stopped it; the Outcome says what was done before.
func (a *Actor) Do(ctx context.Context, s *promotion.Snapshot, plan *promotion.Plan, maybe bool) (promotion.Outcome, error) {
	d := &doing{
		Actor: a, s: s, plan: plan, log: zerolog.Ctx(ctx), maybe: maybe, commits: map[int]promotion.Hash{}, tip: s.Ledger.Tip,
		res: promotion.Outcome{Heads: map[promotion.Pair]promotion.Hash{}, Opened: map[promotion.Pair]int{}, Refused: map[promotion.Pair]promotion.Refusal{}},
	}
	if urgent(plan) {
		ctx = forge.WithUrgency(ctx)
	}
	for _, step := range []func(context.Context) error{d.push, d.onboard, d.reopen, d.open, d.check, d.merge, d.answer} {
		if err := step(ctx); err != nil {
			d.tell(ctx, err)
			return d.res, err
		}
	}
	if len(d.res.Refused) == 0 {
		d.granted()
	}
	return d.res, nil
}

// urgent reports whether a plan carries a rollback on. All of its writes are then
// urgent: what stops one of them would stop the rollback.
func urgent(plan *promotion.Plan) bool {
	return slices.ContainsFunc(plan.Pairs, func(st promotion.PairState) bool {
		return st.Kind == promotion.KindRollback && (st.Phase == promotion.PhaseOpen || st.Phase == promotion.PhaseReady)
	})
}

// doing is one Do under way.
type doing struct {
	*Actor
	s    *promotion.Snapshot
	plan *promotion.Plan
	log  *zerolog.Logger
	// maybe is true when an earlier try may have got through.
	maybe bool
	// commits are the ledger commits of the plan's records, by index.
	commits map[int]promotion.Hash
	// tip is the ledger's head, after the push.
	tip promotion.Hash
	// recorded is the date of the pass's ledger commit.
	recorded time.Time
	// pushed is when the push began, on the monotonic clock.
	pushed time.Time
	res    promotion.Outcome
}

// clockSkew is how far the forge's clock may be behind ours.
const clockSkew = time.Minute

// earlier reports whether a command was said before this Actor was made.
func (d *doing) earlier(comment int64) bool {
	return slices.ContainsFunc(d.s.Commands, func(c promotion.Command) bool {
		return c.Comment == comment && c.At.Before(d.Since.Add(clockSkew))
	})
}

// push makes everything that git holds in one atomic push.
func (d *doing) push(ctx context.Context) error {
	p := d.plan
	if len(p.Records) == 0 && len(p.Deletes) == 0 && !p.StartLedger && !p.Rotate {
		return nil
	}
	records := slices.Clone(p.Records)
	builds := make([]making, len(p.Builds))
	for i, b := range p.Builds {
		r := &records[b.Record]
		built, err := d.build(ctx, b, r)
		if err != nil {
			return fmt.Errorf("build %s: %w", b.Pair, err)
		}
		builds[i] = built
		pr := promotion.RecordPullRequest{}
		if r.PullRequest != nil {
			pr = *r.PullRequest
		}
		pr.Tree = built.tree
		if pr.Forge = d.s.Pipeline.Commits == promotion.CommitsGitHub; pr.Forge {
			pr.Parent = b.Base
		}
		r.PullRequest = &pr
	}
	updates, err := d.append(ctx, records)
	if err != nil {
		return err
	}
	for i, b := range p.Builds {
		head, err := d.commit(ctx, b, records[b.Record], builds[i])
		if err != nil {
			return fmt.Errorf("build %s: %w", b.Pair, err)
		}
		d.res.Heads[b.Pair] = head
		updates = append(updates, gitrepo.RefUpdate{Ref: promotion.PromotionBranch(b.Pair), Old: b.Old, New: head})
	}
	for _, ref := range slices.Sorted(maps.Keys(p.Deletes)) {
		updates = append(updates, gitrepo.RefUpdate{Ref: ref, Old: p.Deletes[ref]})
	}
	d.pushed = time.Now()
	if _, err := d.Git.Push(ctx, updates, gitrepo.PushOptions{}); err != nil {
		clear(d.res.Heads)
		return fmt.Errorf("push %d records and %d branches: %w", len(records), len(p.Builds)+len(p.Deletes), err)
	}
	d.res.Pushed = true
	d.res.Changed = true
	if p.Rotate {
		d.log.Warn().Msg("carried a rotate statement: another trust list is in force")
	}
	for _, r := range records {
		d.log.Info().Str("record", string(r.Kind)).Str("environment", string(r.Environment)).Str("promotion", r.Promotion).Str("what", ledger.Title(r)).Msg("recorded")
	}
	return nil
}

// append writes the records' ledger commits and remembers which is whose.
func (d *doing) append(ctx context.Context, records []promotion.Record) ([]gitrepo.RefUpdate, error) {
	if len(records) == 0 && !d.plan.StartLedger && !d.plan.Rotate {
		return nil, nil
	}
	done, err := d.Ledger.Append(ctx, d.Git, d.s.Ledger, records, d.plan.Base, d.s.Now)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	for i, c := range done.Commits {
		d.commits[i] = c
	}
	for i, e := range done.Entries {
		records[i] = e.Record
	}
	d.tip, d.recorded = done.Tip, done.When
	return []gitrepo.RefUpdate{{Ref: promotion.LedgerRef, Old: d.s.Ledger.Tip, New: done.Tip, First: true}}, nil
}

// commit makes the promotion commit of a build.
func (d *doing) commit(ctx context.Context, b promotion.Build, r promotion.Record, m making) (promotion.Hash, error) {
	t := ledger.Trailers{Groups: []ledger.TrailerGroup{ledger.GroupOf(r, "")}, Ledger: d.commits[b.Record]}
	m.message = b.Subject + "\n\n" + t.String()
	return d.make(ctx, m)
}

// reopen opens pull requests again that somebody without the right closed.
func (d *doing) reopen(ctx context.Context) error {
	for _, number := range d.plan.Reopens {
		if err := d.Forge.ReopenPullRequest(ctx, d.s.Repository, number); err != nil {
			return fmt.Errorf("reopen pull request %d: %w", number, err)
		}
		d.res.Changed = true
	}
	return nil
}

// open opens the pull requests of the branches, or gives them new words.
func (d *doing) open(ctx context.Context) error {
	for _, o := range d.plan.Opens {
		head, built := d.res.Heads[o.Pair]
		ledgerCommit := promotion.Hash("")
		if !built {
			head = d.s.Heads[o.Pair].Commit
			ledgerCommit = d.s.Heads[o.Pair].Ledger
		}
		for _, b := range d.plan.Builds {
			if b.Pair == o.Pair {
				ledgerCommit = d.commits[b.Record]
			}
		}
		body := strings.NewReplacer("{{head}}", string(head), "{{ledger}}", string(ledgerCommit)).Replace(o.Body)
		if o.Number != 0 {
			if err := d.Forge.EditPullRequest(ctx, d.s.Repository, o.Number, o.Title, body); err != nil {
				return fmt.Errorf("retitle pull request %d: %w", o.Number, err)
			}
			d.res.Opened[o.Pair] = o.Number
			continue
		}
		number, err := d.Forge.OpenPullRequest(ctx, d.s.Repository, forge.NewPullRequest{
			Title: o.Title, Body: body, Head: strings.TrimPrefix(o.Branch, "refs/heads/"), Base: strings.TrimPrefix(d.s.Base.Ref, "refs/heads/"),
		})
		if err != nil {
			return fmt.Errorf("open the pull request of %s: %w", o.Pair, err)
		}
		d.res.Opened[o.Pair] = number
		d.res.Changed = true
		d.log.Info().Str("environment", string(o.Pair.Environment)).Str("artifact", string(o.Pair.Artifact)).Int("pull", number).Msg(o.Title)
	}
	return nil
}

// check keeps the check runs true.
func (d *doing) check(ctx context.Context) error {
	for _, c := range d.plan.Checks {
		if head, built := d.res.Heads[c.Pair]; built && c.Pair != (promotion.Pair{}) {
			c.Head, c.ID = head, 0
			c.Summary = strings.ReplaceAll(c.Summary, "{{head}}", head.Short())
		}
		if c.Head == "" {
			continue
		}
		id, err := d.Forge.SetCheck(ctx, d.s.Repository, forge.Check{
			Name: promotion.CheckName, Head: c.Head, ExternalID: c.Fingerprint(), Conclusion: c.Conclusion, Title: c.Title,
			Summary:    c.Summary + prose.LedgerHead(d.tip), // no part of the fingerprint: it is not written anew for every record
			DetailsURL: d.BoardURL, Actions: c.Actions, Maybe: d.maybe,
		}, c.ID)
		if err != nil {
			return fmt.Errorf("check of %s: %w", c.Head.Short(), err)
		}
		number := c.PullRequest
		if n, opened := d.res.Opened[c.Pair]; opened && c.Pair != (promotion.Pair{}) {
			number = n
		}
		d.res.Checks = append(d.res.Checks, promotion.WrittenCheck{
			PullRequest: number, Pair: c.Pair,
			Check: promotion.OwnCheck{ID: id, Head: c.Head, Conclusion: c.Conclusion, Fingerprint: c.Fingerprint()},
		})
	}
	return nil
}

// merge merges what the plan authorises, within the fence.
func (d *doing) merge(ctx context.Context) error {
	for i, m := range d.plan.Merges {
		if since := time.Since(d.pushed); since > d.Fence {
			return fmt.Errorf("%d merges are left for the next pass: %s have passed since they were authorised, more than the fence of %s", len(d.plan.Merges)-i, since.Round(time.Second), d.Fence)
		}
		r := d.plan.Records[m.Record]
		t := ledger.Trailers{Groups: []ledger.TrailerGroup{ledger.GroupOf(r, "")}, Ledger: d.commits[m.Record]}
		commit, err := d.Forge.Merge(ctx, d.s.Repository, m.Number, m.Head, m.Method, m.Title, t.String())
		var refused *forge.RefusedError
		var denied *forge.ForbiddenError
		lacks := errors.As(err, &denied) && len(denied.Missing) > 0
		switch {
		case lacks, errors.As(err, &refused), errors.Is(err, forge.ErrNotMergeable):
			text := err.Error()
			if refused != nil {
				text = refused.Message
			}
			if lacks {
				// The check is green and stays so: a comment says it.
				text = denied.Sentence()
				d.tellComment(ctx, subject{m.Pair, m.Number, m.Head}, denied)
			}
			d.res.Refused[m.Pair] = promotion.Refusal{Head: m.Head, Base: d.s.Base.Head, Text: text}
			d.log.Warn().Str("environment", string(m.Pair.Environment)).Int("pull", m.Number).Str("text", text).Msg("the forge refused to merge")
			continue
		case err != nil:
			return fmt.Errorf("merge pull request %d: %w", m.Number, err)
		}
		d.res.Merged = append(d.res.Merged, promotion.WrittenMerge{Pair: m.Pair, Number: m.Number, Commit: commit})
		d.res.Changed = true
		d.log.Info().Str("environment", string(m.Pair.Environment)).Str("artifact", string(m.Pair.Artifact)).Int("pull", m.Number).Str("commit", string(commit)).Msg("merged")
	}
	return nil
}

// answer replies to commands and reacts to them, in this order: the reaction is
// how a later process sees that a command was answered. It is the last step;
// what GitHub refuses is logged, what may come through later is tried again.
func (d *doing) answer(ctx context.Context) error {
	for _, c := range d.plan.Comments {
		if c.Body != "" && c.Issue != 0 {
			key := fmt.Sprintf("reply/%d", c.To)
			reply := func() error {
				_, err := d.Forge.AddComment(ctx, d.s.Repository, c.Issue, forge.NewComment{Body: c.Body, Key: key, Maybe: d.maybe || d.earlier(c.To)})
				return err
			}
			if err := d.once(answer{comment: c.To}, reply); err != nil {
				if later(err) {
					return fmt.Errorf("reply on %d: %w", c.Issue, err)
				}
				d.log.Warn().Err(err).Int("issue", c.Issue).Msg("could not reply")
			}
		}
		if c.To == 0 || c.React == "" {
			continue
		}
		react := func() error { return d.Forge.React(ctx, d.s.Repository, c.To, c.React) }
		if err := d.once(answer{c.To, c.React}, react); err != nil {
			if later(err) {
				return fmt.Errorf("react to comment %d: %w", c.To, err)
			}
			d.log.Warn().Err(err).Int64("comment", c.To).Msg("could not react")
		}
	}
	return nil
}

// later reports whether a write may come through when it is tried again.
func later(err error) bool {
	_, told := forge.RetryAt(err, time.Now())
	return told || errors.Is(err, forge.ErrUnknownOutcome)
}
