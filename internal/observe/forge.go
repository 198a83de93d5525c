package observe

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/hint"
	"github.com/rungbot/rung/internal/lazyregexp"
	"github.com/rungbot/rung/internal/promotion"
)

// forge reads what is needed of GitHub in one request, and nothing when nothing
// needs it.
func (p *pass) forge(ctx context.Context) error {
	q, need := p.query()
	if need {
		state, err := p.Forge.Read(ctx, q)
		if err != nil {
			return err
		}
		p.mem.learn(state, q, p.s.Now)
		p.mem.archived, p.mem.public = state.Archived, state.Public
		p.attribute()
		p.s.ForgeRead = true
	}
	if err := p.origins(ctx); err != nil {
		return err
	}
	p.s.Rules, p.s.Public = p.mem.rules, p.mem.public
	if p.mem.archived {
		// Not even a check can be written: its pull requests are not looked at.
		p.s.Problem = "the repository is archived: nothing is written"
		return nil
	}
	for _, pr := range p.mem.prs {
		p.s.PullRequests = append(p.s.PullRequests, clonePull(pr))
	}
	slices.SortFunc(p.s.PullRequests, func(a, b promotion.PullRequestState) int { return a.Number - b.Number })
	p.s.Refused = p.mem.refused
	return nil
}

func clonePull(pr *promotion.PullRequestState) promotion.PullRequestState {
	c := *pr
	c.Reviews = slices.Clone(pr.Reviews)
	c.Checks = slices.Clone(pr.Checks)
	return c
}

// rulesHold is how long the base branch's rules are taken to be what they were,
// where a protected environment depends on them: as long as an authorisation. While
// they hold it, they are read with every pass: no event tells that they were mended.
const rulesHold = 30 * time.Second

var pullInMessage = lazyregexp.New(`(?m)^Merge pull request #([0-9]{1,9})\b|\(#([0-9]{1,9})\)$`)

// query is what must be read now.
func (p *pass) query() (forge.Query, bool) {
	q := forge.Query{Repository: p.Repository, Base: strings.TrimPrefix(p.mem.base, "refs/heads/")}
	need := false
	if p.mem.cold || !p.mem.rules.Known {
		q.OpenPullRequests, need = true, true
	}
	numbers := map[int]bool{}
	for n := range p.mem.dirty {
		if n > 0 {
			numbers[n] = true
		}
	}
	for pair, e := range p.s.Ledger.Open {
		if e.Record.Kind != promotion.RecordPropose && e.Record.Kind != promotion.RecordAuthorize {
			continue
		}
		p.queryPair(&q, numbers, pair, &e.Record)
		if env, ok := p.s.Pipeline.Environment(pair.Environment); ok && env.Protected &&
			(p.s.Now.Sub(p.mem.rulesAt) >= rulesHold || !p.mem.rules.Pins(promotion.CheckName, p.AppID)) {
			need = true
		}
	}
	for i := range p.s.Base.Changes {
		c := &p.s.Base.Changes[i]
		if c.PullRequest != 0 || len(c.Places) == 0 && len(c.Environments) == 0 && !c.Governs {
			continue
		}
		for pair := range c.Exact {
			q.Heads = append(q.Heads, headName(pair))
		}
		if m := pullInMessage.FindStringSubmatch(firstLine(c.Message)); m != nil {
			if n, err := strconv.Atoi(m[1] + m[2]); err == nil && p.unattributable(c.Commit) {
				numbers[n] = true
			}
		}
	}
	if p.s.Pipeline.Ledger == "" && p.s.Ledger.Tip != "" && (p.mem.cold || !p.mem.onboarding) {
		q.Heads = append(q.Heads, strings.TrimPrefix(promotion.OnboardRef, "refs/heads/"))
	}
	q.Commits = p.healthCommits()
	for n := range numbers {
		q.PullRequests = append(q.PullRequests, n)
	}
	slices.Sort(q.PullRequests)
	slices.Sort(q.Heads)
	q.Heads = slices.Compact(q.Heads)
	return q, need || len(q.PullRequests) > 0 || len(q.Heads) > 0 || len(q.Commits) > 0
}

func headName(pair promotion.Pair) string {
	return strings.TrimPrefix(promotion.PromotionBranch(pair), "refs/heads/")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return strings.TrimSpace(line)
}

// unattributable reports whether a commit's pull request was not looked for yet.
func (p *pass) unattributable(c promotion.Hash) bool {
	if p.mem.line[c] {
		return false
	}
	p.mem.line[c] = true
	return true
}

// queryPair asks for an open promotion's pull request where what is remembered
// can't be the present.
func (p *pass) queryPair(q *forge.Query, numbers map[int]bool, pair promotion.Pair, r *promotion.Record) {
	pr := p.known(pair, r)
	branch := p.s.Branches[promotion.PromotionBranch(pair)]
	if pr == nil {
		if r.PullRequest != nil && r.PullRequest.Number > 0 {
			numbers[r.PullRequest.Number] = true
		} else {
			q.Heads = append(q.Heads, headName(pair))
		}
		return
	}
	switch {
	case pr.State == "open" && branch == "", pr.State == "open" && branch != pr.Head:
		numbers[pr.Number] = true
	case pr.State == "open" && p.needsMergeable(pr):
		numbers[pr.Number] = true
	}
}

// needsMergeable reports whether only the forge can say if a head merges
// cleanly: it does not stand on the base's head, and the forge had not made up
// its mind about these two when it was asked last, at least a second ago. It
// begins to think when it is asked, so a base that moved is asked about at once.
func (p *pass) needsMergeable(pr *promotion.PullRequestState) bool {
	if pr.Mergeable != forge.MergeUnknown || p.mem.builtOn[pr.Head] == p.s.Base.Head {
		return false
	}
	q := question{pr.Head, p.s.Base.Head}
	if p.s.Now.Sub(p.mem.asked[q]) < time.Second {
		return false
	}
	if len(p.mem.asked) > 1000 {
		clear(p.mem.asked)
	}
	p.mem.asked[q] = p.s.Now
	return true
}

// known is the remembered pull request of an open promotion.
func (p *pass) known(pair promotion.Pair, r *promotion.Record) *promotion.PullRequestState {
	number, after := 0, 0
	if r.PullRequest != nil {
		number, after = r.PullRequest.Number, r.PullRequest.After
	}
	var newest *promotion.PullRequestState
	for _, pr := range p.mem.prs {
		if pr.HeadRef != headName(pair) || pr.Fork {
			continue
		}
		if number != 0 && pr.Number == number || number == 0 && pr.Number > after && (newest == nil || pr.Number > newest.Number) {
			newest = pr
		}
	}
	return newest
}

// attribute says of base commits who merged them, as the forge told.
func (p *pass) attribute() {
	for i := range p.s.Base.Changes {
		c := &p.s.Base.Changes[i]
		if m, known := p.mem.merged[c.Commit]; known {
			c.PullRequest, c.MergedBy, c.OpenedBy = m.number, m.by, m.opened
		}
	}
}

// healthCommits are the commits whose statuses are to be read: those of releases
// that wait for a status, when one of its name came in, nothing was read yet, or
// the last reading is old.
func (p *pass) healthCommits() []promotion.Hash {
	var commits []promotion.Hash
	for pair, live := range p.s.Ledger.Live {
		if live.Land.Record.Landed == nil || live.Settle != nil && !p.watched(pair) {
			continue
		}
		env, ok := p.s.Pipeline.Environment(pair.Environment)
		if !ok {
			continue
		}
		for _, source := range env.Health {
			if source.Status == "" || source.Artifact != "" && source.Artifact != pair.Artifact {
				continue
			}
			last, read := p.mem.health[healthKey{pair, source.Name(), liveDigest(&live)}]
			if read && !p.mem.statuses[source.Status] && p.s.Now.Sub(last.At) < interval(source) {
				continue
			}
			commits = append(commits, live.Land.Record.Landed.Commit, p.s.Base.Head)
		}
	}
	slices.Sort(commits)
	return slices.Compact(commits)
}

func liveDigest(l *promotion.LiveEntry) promotion.Digest {
	if l.Land.Record.Artifact == nil {
		return ""
	}
	return l.Land.Record.Artifact.Digest
}

func interval(s promotion.HealthSource) time.Duration {
	if s.Interval > 0 {
		return s.Interval
	}
	return 30 * time.Second
}

// people reads what the people who matter may do: reviewers of promotions that are
// open or were just merged, which may be judged once more, whoever closed one, and
// the authors of commands.
func (p *pass) people(ctx context.Context) error {
	for i := range p.s.PullRequests {
		pr := &p.s.PullRequests[i]
		pair, ok := p.promotionOf(pr)
		if !ok {
			continue
		}
		env, _ := p.s.Pipeline.Environment(pair.Environment)
		if env == nil {
			continue
		}
		for j := range pr.Reviews {
			r := &pr.Reviews[j]
			if pr.State != "closed" && r.Commit == pr.Head && !r.Author.Bot && env.Approvals.Required > 0 && (r.State == "approved" || r.State == "changes_requested") {
				access := p.Forge.Access(ctx, p.Repository, r.Author, env.Approvals.Teams)
				r.Access = &access
			}
		}
		if pr.State == "closed" && !pr.ClosedBy.Bot && pr.ClosedBy.Login != "" {
			access := p.Forge.Access(ctx, p.Repository, pr.ClosedBy, nil)
			pr.ClosedByAccess = &access
		}
	}
	p.approvals(ctx)
	for i := range p.s.Commands {
		c := &p.s.Commands[i]
		c.Access = p.Forge.Access(ctx, p.Repository, c.Author, p.commandTeams())
	}
	return nil
}

// promotionOf is the pair of a pull request that is an open promotion's.
func (p *pass) promotionOf(pr *promotion.PullRequestState) (promotion.Pair, bool) {
	for pair, e := range p.s.Ledger.Open {
		if e.Record.Kind == promotion.RecordWithdraw {
			continue
		}
		if known := p.known(pair, &e.Record); known != nil && known.Number == pr.Number {
			return pair, true
		}
	}
	return promotion.Pair{}, false
}

// commandTeams are all teams that any rule about commands or approvals names.
func (p *pass) commandTeams() []string {
	var teams []string
	for _, env := range p.s.Pipeline.Environments {
		teams = append(teams, env.Approvals.Teams...)
		for _, who := range env.Commands {
			teams = append(teams, who.Teams...)
		}
	}
	slices.Sort(teams)
	return slices.Compact(teams)
}

// rerequested reports whether somebody asked for everything again.
func rerequested(hints []hint.Hint) bool {
	return slices.ContainsFunc(hints, func(h hint.Hint) bool { return h.Kind == hint.KindEverything })
}
