package observe

import (
	"context"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/forge"
	"github.com/rungbot/rung/internal/promotion"
)

// origins asks who brought the base commits that changed versions, where neither
// the pull requests read so far nor rung's own merges tell: a push straight to the
// base branch, or a pull request whose commit does not name it.
func (p *pass) origins(ctx context.Context) error {
	var commits []promotion.Hash
	for i := range p.s.Base.Changes {
		c := &p.s.Base.Changes[i]
		if _, known := p.mem.merged[c.Commit]; !known && len(c.Places) > 0 {
			commits = append(commits, c.Commit)
		}
	}
	if len(commits) == 0 {
		return nil
	}
	base := strings.TrimPrefix(p.mem.base, "refs/heads/")
	found, err := p.Forge.Origins(ctx, p.Repository, base, commits)
	if err != nil {
		return err
	}
	if err := p.readOrigins(ctx, found); err != nil {
		return err
	}
	// Of a push of several commits GitHub names the last: whoever pushed that
	// pushed those before it.
	var pusher promotion.Person
	for i := range slices.Backward(p.s.Base.Changes) {
		c := &p.s.Base.Changes[i]
		o, asked := found[c.Commit]
		if !asked {
			pusher = promotion.Person{} // another movement of the branch
			continue
		}
		if o.Pusher != (promotion.Person{}) {
			pusher = o.Pusher
		}
		m := merge{number: o.PullRequest, by: pusher}
		if pr := p.mem.prs[o.PullRequest]; o.PullRequest != 0 && pr != nil {
			m.opened, m.reviews = pr.Author, pr.Reviews
			if pr.MergedBy != (promotion.Person{}) {
				m.by = pr.MergedBy
			}
		}
		p.mem.merged[c.Commit] = m // also where nobody knows: it is asked once
	}
	p.attribute()
	return nil
}

// readOrigins reads the pull requests that were found.
func (p *pass) readOrigins(ctx context.Context, found map[promotion.Hash]forge.Origin) error {
	q := forge.Query{Repository: p.Repository}
	for _, o := range found {
		if o.PullRequest != 0 && !slices.Contains(q.PullRequests, o.PullRequest) {
			q.PullRequests = append(q.PullRequests, o.PullRequest)
		}
	}
	if len(q.PullRequests) == 0 {
		return nil
	}
	slices.Sort(q.PullRequests)
	state, err := p.Forge.Read(ctx, q)
	if err != nil {
		return err
	}
	p.mem.learn(state, q, p.s.Now)
	return nil
}

// approvals says of the versions that people changed by a pull request who
// approved it, and what gave them the right: the newest opinion of each counts.
func (p *pass) approvals(ctx context.Context) {
	for i := range p.s.Base.Changes {
		c := &p.s.Base.Changes[i]
		m := p.mem.merged[c.Commit]
		if len(m.reviews) == 0 || len(c.Places) == 0 || len(c.Exact) > 0 {
			continue
		}
		newest := map[int64]promotion.ReviewFacts{}
		var order []int64
		for _, r := range m.reviews { // oldest first
			if r.State != "approved" && r.State != "changes_requested" && r.State != "dismissed" || r.Author.Bot || r.Author.ID == 0 {
				continue
			}
			if _, known := newest[r.Author.ID]; !known {
				order = append(order, r.Author.ID)
			}
			newest[r.Author.ID] = r
		}
		for _, id := range order {
			r := newest[id]
			if r.State != "approved" {
				continue
			}
			access := p.Forge.Access(ctx, p.Repository, r.Author, p.changedTeams(c))
			c.Approvals = append(c.Approvals, promotion.RecordApproval{
				Person: r.Author, Permission: access.Permission, Teams: access.Teams, Commit: r.Commit, Review: r.ID, At: r.At,
			})
		}
	}
}

// changedTeams are the teams whose approval the changed environments want.
func (p *pass) changedTeams(c *promotion.BaseChange) []string {
	var teams []string
	for _, name := range c.Environments {
		if env, ok := p.s.Pipeline.Environment(name); ok {
			teams = append(teams, env.Approvals.Teams...)
		}
	}
	slices.Sort(teams)
	return slices.Compact(teams)
}
