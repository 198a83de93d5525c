package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu"
	"github.com/rungbot/rung/internal/promotion"
)

// watchEvery is how often the world is looked at for news.
const watchEvery = 100 * time.Millisecond

// watcher tells what is new in the world: it reads the emulator's state and
// the ledger, and compares with what it has told.
type watcher struct {
	world  *World
	teller *teller
	ledger *ledgerReader

	pulls map[int]*pullSeen
}

// pullSeen is what was told of a pull request.
type pullSeen struct {
	state             string
	check             string
	reviews, comments int
}

func newWatcher(w *World, t *teller) *watcher {
	return &watcher{world: w, teller: t, ledger: w.ledgerReader(), pulls: map[int]*pullSeen{}}
}

// run tells until ctx ends, and looks once more then. It returns the first
// error that is not the end.
func (x *watcher) run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return x.look(context.WithoutCancel(ctx))
		case <-tick.C:
			if err := x.look(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// look tells what is new, in the order in which it can have happened.
func (x *watcher) look(ctx context.Context) error {
	state, err := x.world.emulator.State(ctx, Repository)
	if err != nil {
		return err
	}
	for i := range state.Pulls {
		x.pull(&state.Pulls[i], state.Checks[state.Pulls[i].HeadSHA])
	}
	entries, err := x.ledger.more(ctx)
	if err != nil {
		return err
	}
	x.records(entries)
	return nil
}

func (x *watcher) pull(p *githubemu.PullState, checks []githubemu.CheckState) {
	seen := x.pulls[p.Number]
	step := Step{PullRequest: p.Number}
	pair, version := pairOf(p)
	step.Environment, step.Artifact, step.Version = pair.Environment, pair.Artifact, version
	if seen == nil {
		seen = &pullSeen{state: "open"}
		x.pulls[p.Number] = seen
		x.tell(step, StepOpened, p.Author, x.world.PullURL(p.Number), "#%d opened by %s: %s", p.Number, p.Author, p.Title)
	}
	for _, rv := range p.Reviews[min(seen.reviews, len(p.Reviews)):] {
		x.tell(step, StepReviewed, rv.Author, "", "#%d reviewed by %s: %s", p.Number, rv.Author, strings.ToLower(strings.ReplaceAll(rv.State, "_", " ")))
	}
	seen.reviews = len(p.Reviews)
	for _, cm := range p.Comments[min(seen.comments, len(p.Comments)):] {
		x.tell(step, StepCommented, cm.Author, "", "#%d %s: %s", p.Number, cm.Author, firstLine(cm.Body))
	}
	seen.comments = len(p.Comments)
	for _, c := range checks {
		if c.Kind != "check" || c.App != "rung" || p.State != "open" || c.Title == seen.check {
			continue
		}
		seen.check = c.Title
		text, reason := c.Title, waitsFor(c.Summary)
		if strings.Contains(reason, "is being pushed") {
			continue // it was posted with the head, and says nothing yet
		}
		if reason != "" {
			text += ": " + reason
		}
		ok := c.Conclusion == "success"
		told := step
		told.OK = &ok
		x.tell(told, StepCheck, "", "", "#%d check: %s", p.Number, text)
	}
	if p.State == seen.state {
		return
	}
	seen.state = p.State
	switch p.State {
	case "merged":
		x.tell(step, StepMerged, p.MergedBy, "", "#%d merged by %s", p.Number, p.MergedBy)
	case "closed":
		x.tell(step, StepClosed, p.ClosedBy, "", "#%d closed by %s", p.Number, p.ClosedBy)
	}
}

func (x *watcher) tell(s Step, kind, by, url, format string, args ...any) {
	s.Kind, s.By, s.URL, s.Text = kind, by, url, fmt.Sprintf(format, args...)
	x.teller.tell(s)
}

// records tells of the ledger's new records. What was adopted when the ledger
// began is one step.
func (x *watcher) records(entries []Entry) {
	began := 0
	for _, e := range entries {
		r := e.Record
		step := Step{Environment: r.Environment, Digest: r.Digest, By: r.Actor.Login}
		name := ""
		if a := r.Artifact; a != nil {
			step.Artifact, step.Version, step.Digest = a.Name, a.Version, a.Digest
			name = fmt.Sprintf("%s %s", a.Name, a.Version)
		}
		if r.PullRequest != nil {
			step.PullRequest = r.PullRequest.Number
		}
		switch r.Kind {
		case promotion.RecordAdopt:
			switch {
			case r.Cause.Kind == "configuration" && r.Artifact != nil:
				began++
			case r.Artifact != nil:
				x.tell(step, StepRecorded, step.By, "", "%s: %s adopted, %s", r.Environment, name, r.Reason)
			}
		case promotion.RecordLand:
			verb := "runs"
			if r.Restores != "" {
				verb = "is back at"
			}
			x.tell(step, StepLanded, step.By, "", "%s %s %s", r.Environment, verb, name)
		case promotion.RecordSettle:
			if r.Artifact != nil && x.initial(r) {
				continue
			}
			ok := r.Outcome == promotion.SettledGood
			step.OK = &ok
			x.tell(step, StepSettled, "", "", "%s: %s settled %s: %s", r.Environment, name, r.Outcome, r.Reason)
		case promotion.RecordQuarantine:
			x.tell(step, StepQuarantined, step.By, "", "%s is quarantined: %s", r.Digest.Short(), r.Reason)
		case promotion.RecordWithdraw:
			x.tell(step, StepRecorded, step.By, "", "%s: %s withdrawn, %s", r.Environment, name, r.Reason)
		case promotion.RecordUnquarantine, promotion.RecordFreeze, promotion.RecordUnfreeze, promotion.RecordRotate:
			x.tell(step, StepRecorded, step.By, "", "%s %s%s %s", r.Kind, r.Scope, r.Digest, r.Reason)
		}
	}
	if began > 0 {
		x.teller.tell(Step{Kind: StepBegan, Text: fmt.Sprintf("the ledger begins with the %d versions that run today", began)})
	}
}

// initial reports whether a settle speaks of a version that was there when the
// ledger began.
func (x *watcher) initial(r promotion.Record) bool {
	return initialVersions[r.Artifact.Name] == r.Artifact.Version && r.Promotion == ""
}

// pairOf is what a pull request of rung promotes, by its branch and title.
func pairOf(p *githubemu.PullState) (promotion.Pair, promotion.Version) {
	name, ok := strings.CutPrefix("refs/heads/"+p.Head, promotion.PromotionBranches)
	var pair promotion.Pair
	if !ok || pair.UnmarshalText([]byte(name)) != nil {
		return promotion.Pair{}, ""
	}
	// "Promote NAME VERSION to …" or "Roll back … to VERSION"
	words := strings.Fields(p.Title)
	switch {
	case len(words) == 5 && words[0] == "Promote":
		return pair, promotion.Version(words[2])
	case len(words) > 2 && words[0] == "Roll":
		return pair, promotion.Version(words[len(words)-1])
	}
	return pair, ""
}

// waitsFor is the sentence of the first gate that does not pass, from the table
// of a check's summary.
func waitsFor(summary string) string {
	for line := range strings.Lines(summary) {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "¦"), "|")
		if len(cells) < 4 {
			continue
		}
		switch strings.TrimSpace(cells[1]) {
		case "❌", "⏳", "❔":
			return plain(cells[3])
		}
	}
	return ""
}

// plain undoes the escapes of Markdown.
func plain(s string) string {
	s = strings.NewReplacer("\u2060", "", "&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return strings.TrimSpace(b.String())
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return plain(s)
}
