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

// commands gathers the commands that came in, and, in the first pass after a
// start, those whose webhook may have been lost.
func (p *pass) commands(ctx context.Context) error {
	seen := map[int64]bool{}
	for _, h := range p.hints {
		switch h.Kind {
		case hint.KindCommand:
			maybe := h.CreatedAt.Before(p.began.Add(clockSkew))
			if err := p.addCommand(ctx, seen, h.Comment, h.Number, h.CreatedAt, h.Author, h.Line, maybe); err != nil {
				return err
			}
		case hint.KindClick:
			p.click(h)
		}
	}
	if !p.mem.commented.IsZero() {
		p.caught = true
		return nil
	}
	if p.s.Ledger.Tip == "" {
		return nil
	}
	if err := p.lostCommands(ctx, seen); err != nil {
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

// lostCommands lists recent comments: after a start all that rung has not
// reacted to, later, when what is remembered was given up, those that are
// younger than the newest record.
func (p *pass) lostCommands(ctx context.Context, seen map[int64]bool) error {
	since := p.s.Now.Add(-commandWindow)
	if newest := p.s.Ledger.IssuedAt.Add(-2 * time.Minute); p.caught && newest.After(since) {
		since = newest
	}
	comments, err := p.Forge.Comments(ctx, p.Repository, since)
	if err != nil {
		return err
	}
	for _, c := range comments {
		if c.CreatedAt.Before(since) || c.Edited() || c.Author.Bot || c.App != 0 || c.Author.ID == p.App.ID {
			continue
		}
		if err := p.addCommand(ctx, seen, c.ID, c.Issue, c.CreatedAt, c.Author, firstLine(c.Body), true); err != nil {
			return err
		}
	}
	return nil
}

// addCommand adds what a comment says, if it is a command that is not too old.
// With maybe it may have been answered before, which rung's own reaction shows:
// a command that was refused then must not be carried out now.
func (p *pass) addCommand(ctx context.Context, seen map[int64]bool, comment int64, number int, at time.Time, author promotion.Person, line string, maybe bool) error {
	cmd, ok := command.Parse(line)
	if !ok || seen[comment] || p.s.Now.Sub(at) > commandWindow {
		return nil
	}
	if maybe {
		answered, err := p.Forge.Reacted(ctx, p.Repository, comment)
		if err != nil {
			return err
		}
		if answered {
			return nil
		}
	}
	seen[comment] = true
	cmd.Comment, cmd.PullRequest, cmd.At, cmd.Author = comment, number, at.UTC(), author
	cmd.Subject = p.subjectOf(number)
	p.s.Commands = append(p.s.Commands, cmd)
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
// earlier.
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
	return nil
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
