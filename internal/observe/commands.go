package observe

import (
	"context"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/rungbot/rung/internal/command"
	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/promotion"
)

// commandWindow is how old a command may be when it is heard; older ones are not
// carried out any more.
const commandWindow = 24 * time.Hour

// clockSkew is how far the forge's clock may be behind ours.
const clockSkew = time.Minute

// said is one comment that may be a command.
type said struct {
	comment int64
	number  int
	at      time.Time
	author  promotion.Person
	line    string
}

// comments gathers what was said: what came in, and, after a start and with
// every look at everything, what rung may not have been told of.
func (p *pass) comments(ctx context.Context) error {
	for _, h := range p.hints {
		if h.Kind != hint.KindCommand {
			continue
		}
		maybe := h.CreatedAt.Before(p.began.Add(clockSkew))
		if err := p.hear(ctx, said{h.Comment, h.Number, h.CreatedAt, h.Author, h.Line}, maybe); err != nil {
			return err
		}
	}
	if !p.mem.commented.IsZero() {
		p.listed = p.mem.commented // the pass that listed them has succeeded
		return nil
	}
	if err := p.unheard(ctx); err != nil {
		if _, limited := forge.RetryAt(err, p.s.Now); limited {
			return err
		}
		// The webhooks still bring new ones; the list is tried again.
		zerolog.Ctx(ctx).Warn().Err(err).Msg("recent comments could not be listed")
		return nil
	}
	p.mem.commented = p.s.Now
	return nil
}

// unheard lists the comments since the last list, or of the last day, for those
// that are commands and that rung has not reacted to. Before there is a ledger
// nothing was ever said to rung but since it runs: other bots know such words too.
func (p *pass) unheard(ctx context.Context) error {
	since := p.s.Now.Add(-commandWindow)
	if last := p.listed.Add(-clockSkew); last.After(since) {
		since = last
	}
	if first := p.first.Add(-clockSkew); p.s.Ledger.Tip == "" && first.After(since) {
		since = first
	}
	comments, err := p.Forge.Comments(ctx, p.Repository, since)
	if err != nil {
		return err
	}
	for _, c := range comments {
		if c.CreatedAt.Before(since) || c.Edited() || c.Author.Bot || c.App != 0 || c.Author.ID == p.App.ID {
			continue
		}
		if err := p.hear(ctx, said{c.ID, c.Issue, c.CreatedAt, c.Author, firstLine(c.Body)}, true); err != nil {
			return err
		}
	}
	return nil
}

// hear keeps a comment that is a command and not too old. With maybe it may have
// been answered before, which rung's own reaction shows: a command that was
// refused then must not be carried out now.
func (p *pass) hear(ctx context.Context, one said, maybe bool) error {
	_, ok := command.Parse(one.line)
	known := slices.ContainsFunc(p.said, func(o said) bool { return o.comment == one.comment })
	if !ok || known || p.s.Now.Sub(one.at) > commandWindow {
		return nil
	}
	if maybe {
		answered, err := p.Forge.Reacted(ctx, p.Repository, one.comment)
		if answered || err != nil {
			return err
		}
	}
	p.said = append(p.said, one)
	return nil
}

// commands reads what was said, and the buttons that were pressed.
func (p *pass) commands(context.Context) error {
	for _, one := range p.said {
		cmd, _ := command.Parse(one.line)
		cmd.Comment, cmd.PullRequest, cmd.At, cmd.Author = one.comment, one.number, one.at.UTC(), one.author
		cmd.Subject = p.subjectOf(one.number)
		p.s.Commands = append(p.s.Commands, cmd)
	}
	for _, h := range p.hints {
		if h.Kind == hint.KindClick {
			p.click(h)
		}
	}
	return nil
}

// click is a button of rung's check run: the same as saying the command.
func (p *pass) click(h hint.Hint) {
	cmd, ok := command.Parse("/" + h.Identifier)
	if !ok {
		return
	}
	cmd.At, cmd.Author, cmd.Click = h.At.UTC(), h.Sender, h.Delivery
	for _, pr := range p.s.PullRequests {
		if pr.Head == h.Head {
			cmd.PullRequest = pr.Number
			cmd.Subject = p.subjectOf(pr.Number)
		}
	}
	p.s.Commands = append(p.s.Commands, cmd)
}

// subjectOf is the promotion that a pull request carries: open, live, or landed
// earlier; or the one pair whose live version people changed by it.
func (p *pass) subjectOf(number int) *promotion.CommandSubject {
	if number == 0 {
		return nil
	}
	for pair, e := range p.s.Ledger.Open {
		r := e.Record
		if r.PullRequest != nil && r.PullRequest.Number == number {
			s := subject(pair, &r, false)
			s.Since = p.since[pair]
			return s
		}
		if known := p.known(pair, &r); known != nil && known.Number == number && r.Kind != promotion.RecordWithdraw {
			s := subject(pair, &r, known.State == "merged")
			s.Since = p.since[pair]
			return s
		}
	}
	for pair, live := range p.s.Ledger.Live {
		for _, e := range append([]promotion.LiveEntry{live}, p.s.Ledger.History[pair]...) {
			r := e.Land.Record
			if r.Kind == promotion.RecordLand && r.PullRequest != nil && r.PullRequest.Number == number {
				return subject(pair, &r, true)
			}
		}
	}
	var changed *promotion.CommandSubject
	for pair, live := range p.s.Ledger.Live {
		r := live.Land.Record
		if r.Kind == promotion.RecordAdopt && r.PullRequest != nil && r.PullRequest.Number == number {
			if changed != nil {
				return nil // it changed several: the command must name one
			}
			changed = subject(pair, &r, true)
		}
	}
	return changed
}

func subject(pair promotion.Pair, r *promotion.Record, landed bool) *promotion.CommandSubject {
	s := &promotion.CommandSubject{Pair: pair, Landed: landed, Causers: slices.Clone(r.Causers)}
	if r.Artifact != nil {
		s.Version, s.Digest = r.Artifact.Version, r.Artifact.Digest
	}
	if r.PullRequest != nil {
		s.Head = r.PullRequest.Head
	}
	return s
}
