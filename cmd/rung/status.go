package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/api"
	"github.com/rungbot/rung/internal/promotion"
	"github.com/rungbot/rung/internal/prose"
)

// statusCommand says how everything stands.
type statusCommand struct {
	Repository string `arg:"" optional:"" completes:"repository" help:"One repository that the service knows, as OWNER/NAME; without it, all."`
	where
	JSON bool `help:"Print it as JSON, as GET /api/v1/state answers."`
}

// Help says who is asked and what the codes mean.
func (statusCommand) Help() string {
	return "Says what is live in each environment and what becomes of it." + whereHelp +
		" Exits 0 when nothing needs a person, 1 when something is held or unhealthy, the configuration has errors, or the last look failed, and 2 when nobody could be asked."
}

// Run prints how it stands.
func (c statusCommand) Run(ctx context.Context, io streams) error {
	service, err := c.service(io)
	if err != nil {
		return err
	}
	if service == nil {
		if c.Repository != "" {
			return fmt.Errorf("%s is asked of a running rung, and RUNG_URL names none; without a name the clone here is read", c.Repository)
		}
		seen, err := c.look(ctx)
		if err != nil {
			return err
		}
		one := api.Describe(version, seen.View)
		code, err := tellStatus(io, api.State{Version: one.Version, Rung: one.Rung, Repositories: []api.Repository{one.Repository}}, c.JSON)
		if err != nil {
			return err
		}
		return verified(seen, code)
	}
	var state api.State
	if c.Repository == "" {
		state, err = service.State(ctx)
	} else {
		var one api.One
		one, err = service.One(ctx, c.Repository)
		state = api.State{Version: one.Version, Rung: one.Rung, Repositories: []api.Repository{one.Repository}}
	}
	if err != nil {
		return err
	}
	code, err := tellStatus(io, state, c.JSON)
	if err != nil {
		return err
	}
	return verified(nil, code)
}

func tellStatus(io streams, s api.State, asJSON bool) (code int, err error) {
	for i := range s.Repositories {
		code = max(code, wrong(&s.Repositories[i]))
	}
	if asJSON {
		return code, encode(io, s)
	}
	if len(s.Repositories) == 0 {
		fmt.Fprintln(io.out, "rung has looked at no repository yet: is the GitHub App installed on one?")
	}
	for i := range s.Repositories {
		if i > 0 {
			fmt.Fprintln(io.out)
		}
		tellRepository(io, &s.Repositories[i])
	}
	return code, nil
}

// tellRepository is one repository for people.
func tellRepository(io streams, r *api.Repository) {
	tellHead(io, r)
	var t table
	t.head("ENVIRONMENT", "ARTIFACT", "LIVE", "PHASE", "WANTED", "PULL REQUEST", "VERIFIED")
	for i := range r.Pairs {
		p := &r.Pairs[i]
		t.row(cell{text: word(p.Environment)}, cell{text: word(p.Artifact)}, cell{text: liveWords(p.Live)}, cell{word(p.Phase), phaseColours[p.Phase]},
			cell{text: targetWords(p)}, cell{text: pullWords(p)}, cell{text: word(p.Settled)})
	}
	if len(r.Pairs) > 0 {
		t.write(io, "")
	}
	tellBars(io, r)
	tellUnseen(io, r.Unseen)
}

// tellHead says which repository it is, when it was seen, and what is wrong with it
// as a whole.
func tellHead(io streams, r *api.Repository) {
	about := fmt.Sprintf("%s/%s", word(r.Owner), word(r.Name))
	switch {
	case !r.Configured:
		about += ", not configured: it has no rung.yaml"
	case r.Mode != "":
		about += ", mode " + word(r.Mode)
	}
	if len(r.Base) > 12 {
		about += ", at " + word(r.Base[:12])
	}
	if !r.ObservedAt.IsZero() {
		about += ", seen " + prose.Time(r.ObservedAt)
	}
	fmt.Fprintln(io.out, about)
	if r.Error != "" {
		fmt.Fprintf(io.out, "the last look, %s, failed: %s\n", prose.Time(r.TriedAt), prose.Plain(r.Error, 600))
	}
	for _, p := range r.Problems {
		fmt.Fprintf(io.out, "%s:%d:%d: %s\n", word(p.Path), p.Line, p.Column, prose.Plain(p.Text, 600))
	}
	for _, n := range r.Notes {
		fmt.Fprintln(io.out, prose.Plain(n, 600))
	}
}

// tellBars says what is frozen, held and quarantined.
func tellBars(io streams, r *api.Repository) {
	say := func(what string, b api.Bar) {
		text := what
		if b.By != nil {
			text += " by " + word(b.By.Login)
		}
		text += ", since " + prose.Time(b.Since)
		if !b.Until.IsZero() {
			text += ", until " + prose.Time(b.Until)
		}
		if b.Reason != "" {
			text += ": " + prose.Plain(b.Reason, 300)
		}
		fmt.Fprintln(io.out, text)
	}
	for _, f := range r.Freezes {
		what := "everything"
		if f.Environment != "" {
			what = word(f.Environment)
		}
		say(what+" is frozen", f.Bar)
	}
	for _, h := range r.Holds {
		say(word(h.Artifact)+" in "+word(h.Environment)+" is held", h.Bar)
	}
	for _, q := range r.Quarantines {
		say(promotion.Digest(word(q.Digest)).Short()+" is quarantined", q.Bar)
	}
}

// tellUnseen names what a clone does not show.
func tellUnseen(io streams, unseen []string) {
	if len(unseen) == 0 {
		return
	}
	fmt.Fprintln(io.out, "\nNot seen, as a clone alone was read:")
	for _, u := range unseen {
		fmt.Fprintln(io.out, "-", prose.Lines(u, 600))
	}
}

// word is a short text from outside.
func word(s string) string {
	if s == "" {
		return ""
	}
	return prose.Plain(s, 128)
}

func liveWords(v api.Value) string {
	switch {
	case v.Version != "":
		return word(v.Version)
	case v.Digest != "":
		return promotion.Digest(word(v.Digest)).Short()
	}
	return "–"
}

func targetWords(p *api.Pair) string {
	if p.Target == nil {
		return ""
	}
	words := liveWords(*p.Target)
	if p.Kind == promotion.KindRollback {
		words += " (rollback)"
	}
	return words
}

func pullWords(p *api.Pair) string {
	switch {
	case p.PullRequest == nil:
		return ""
	case p.PullRequest.URL != "":
		return prose.Plain(p.PullRequest.URL, 300)
	}
	return fmt.Sprintf("#%d", p.PullRequest.Number)
}

// nextWords say when rung looks again.
func nextWords(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return strings.TrimSpace("rung looks again at " + prose.Time(at) + ", and whenever something changes")
}
