package forge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/promotion"
)

// readGraphQL asks in as few requests as the bounds allow.
func (c *Client) readGraphQL(ctx context.Context, q Query) (State, error) {
	a := newAssembly()
	rest := q
	for first := true; first || len(rest.Heads)+len(rest.Commits)+len(rest.PullRequests) > 0; first = false {
		d := newDocument(q.Repository)
		if first {
			d.base(q.Base)
			if q.OpenPullRequests {
				d.open(q.Base, nil)
			}
		} else {
			d.field("databaseId")
		}
		part := rest.take(aliasLimit)
		for i, h := range part.Heads {
			d.head(i, h)
		}
		for i, h := range part.Commits {
			d.commit(i, h, nil)
		}
		for i, n := range part.PullRequests {
			d.pull(i, n)
		}
		r, err := c.ask(ctx, d)
		if err != nil {
			return State{}, err
		}
		if err := c.assemble(ctx, a, q, part, r, first); err != nil {
			return State{}, err
		}
	}
	return a.done(), nil
}

// take cuts the first n heads, commits and numbers off q.
func (q *Query) take(n int) Query {
	var part Query
	cutOff := func(have int) int {
		k := min(n, have)
		n -= k
		return k
	}
	k := cutOff(len(q.Heads))
	part.Heads, q.Heads = q.Heads[:k], q.Heads[k:]
	k = cutOff(len(q.Commits))
	part.Commits, q.Commits = q.Commits[:k], q.Commits[k:]
	k = cutOff(len(q.PullRequests))
	part.PullRequests, q.PullRequests = q.PullRequests[:k], q.PullRequests[k:]
	return part
}

// assemble reads one answer into the assembly.
func (c *Client) assemble(ctx context.Context, a *assembly, q, part Query, r *result, first bool) error {
	var id int64
	if err := r.into("databaseId", &id); err != nil {
		return err
	}
	if q.Repository.ID != 0 && id != q.Repository.ID {
		return fmt.Errorf("%w: another repository bears the name now", ErrNotFound)
	}
	if first {
		if err := c.assembleBase(ctx, a, q, r); err != nil {
			return err
		}
		if q.OpenPullRequests {
			if err := c.assembleOpen(ctx, a, q, r); err != nil {
				return err
			}
		}
	}
	for i := range part.Heads {
		var list pullList
		if err := r.into(fmt.Sprintf("h%d", i), &list); err != nil {
			return err
		}
		if err := c.addPulls(ctx, a, q, list.Nodes); err != nil {
			return err
		}
	}
	for i := range part.PullRequests {
		var pull *pullNode
		if err := r.into(fmt.Sprintf("p%d", i), &pull); err != nil {
			return err
		}
		if pull != nil {
			if err := c.addPulls(ctx, a, q, []pullNode{*pull}); err != nil {
				return err
			}
		}
	}
	for i, hash := range part.Commits {
		var commit *commitNode
		if err := r.into(fmt.Sprintf("c%d", i), &commit); err != nil {
			return err
		}
		if commit == nil || commit.OID != string(hash) {
			continue
		}
		runs, complete, err := c.allRuns(ctx, q.Repository, hash, *commit)
		if err != nil {
			return err
		}
		a.state.Commits[hash] = newestRuns(runs)
		if !complete {
			a.state.Incomplete[hash] = true
		}
	}
	return nil
}

// into decodes one field of the repository. A field that is missing altogether
// is not an answer.
func (r *result) into(name string, v any) error {
	raw, ok := r.repository[name]
	if !ok {
		return &UnavailableError{Message: "GraphQL: the answer lacks " + name}
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return &UnavailableError{Message: "GraphQL: the answer's " + name + " has another shape than expected"}
	}
	return nil
}

func (c *Client) assembleOpen(ctx context.Context, a *assembly, q Query, r *result) error {
	for page := 1; ; page++ {
		var list pullList
		if err := r.into("open", &list); err != nil {
			return err
		}
		if err := c.addPulls(ctx, a, q, list.Nodes); err != nil {
			return err
		}
		if !list.PageInfo.HasNextPage {
			return nil
		}
		if page == openPages || list.PageInfo.EndCursor == "" {
			a.state.OpenComplete = false
			return nil
		}
		d := newDocument(q.Repository)
		d.field("databaseId")
		d.open(q.Base, &list.PageInfo.EndCursor)
		var err error
		if r, err = c.ask(ctx, d); err != nil {
			return err
		}
	}
}

func (c *Client) addPulls(ctx context.Context, a *assembly, q Query, nodes []pullNode) error {
	for i := range nodes {
		pr, err := c.pullOf(ctx, q.Repository, &nodes[i])
		if err != nil {
			return err
		}
		a.add(pr)
	}
	return nil
}

// pullOf reads one pull request, and the pages of its lists that did not come
// with it.
func (c *Client) pullOf(ctx context.Context, repo promotion.Repository, n *pullNode) (PullRequest, error) {
	pr, err := plainPull(n)
	if err != nil {
		return PullRequest{}, err
	}
	if pr.Reviews, pr.ReviewsComplete, err = c.allReviews(ctx, repo, pr.Number, n.Reviews); err != nil {
		return PullRequest{}, err
	}
	// GitHub's list of commits can lag behind the head; checks of another
	// commit say nothing about this one.
	if len(n.Commits.Nodes) != 1 || n.Commits.Nodes[0].Commit.OID != n.Head {
		return pr, nil
	}
	runs, complete, err := c.allRuns(ctx, repo, pr.Head, n.Commits.Nodes[0].Commit)
	if err != nil {
		return PullRequest{}, err
	}
	pr.Checks, pr.ChecksComplete = newestRuns(runs), complete
	pr.Own = ownRuns(runs, c.app.config.AppID, pr.Head)
	return pr, nil
}

// plainPull reads the fields of a pull request that are not lists.
func plainPull(n *pullNode) (PullRequest, error) {
	pr := PullRequest{
		Number: n.Number, Title: n.Title, URL: n.URL, State: strings.ToLower(n.State), Draft: n.Draft, Fork: n.Fork,
		HeadRef: n.HeadRef, BaseRef: n.BaseRef, Mergeable: mergeableEnum(n.Mergeable),
		Author: n.Author.person(), MergedBy: n.MergedBy.person(),
		MergedAt: n.MergedAt, ClosedAt: n.ClosedAt, CreatedAt: n.CreatedAt, Detailed: true,
	}
	if n.Merged {
		pr.State = StateMerged
	}
	if pr.Number <= 0 || (pr.State != StateOpen && pr.State != StateClosed && pr.State != StateMerged) {
		return PullRequest{}, &UnavailableError{Message: fmt.Sprintf("GraphQL: pull request %d has the unknown state %q", n.Number, cut(n.State, 40))}
	}
	var err error
	if pr.Head, err = promotion.ParseHash(n.Head); err != nil {
		return PullRequest{}, &UnavailableError{Message: "GraphQL: a pull request's head: " + err.Error()}
	}
	if n.Base != "" {
		if pr.Base, err = promotion.ParseHash(n.Base); err != nil {
			return PullRequest{}, &UnavailableError{Message: "GraphQL: a pull request's base: " + err.Error()}
		}
	}
	if n.MergeCommit != nil && pr.State == StateMerged {
		if pr.MergeCommit, err = promotion.ParseHash(n.MergeCommit.OID); err != nil {
			return PullRequest{}, &UnavailableError{Message: "GraphQL: a merge commit: " + err.Error()}
		}
	}
	if events := n.ClosedEvents.Nodes; len(events) > 0 && pr.State == StateClosed {
		pr.ClosedBy = events[len(events)-1].Actor.person()
	}
	return pr, nil
}

// person reads an account. GraphQL leaves the "[bot]" off a bot's login that
// REST and webhooks write.
func (a *actor) person() promotion.Person {
	if a == nil {
		return promotion.Person{}
	}
	p := promotion.Person{ID: a.DatabaseID, Login: a.Login, Bot: a.Typename == "Bot"}
	if p.Bot && p.Login != "" && !strings.HasSuffix(p.Login, "[bot]") {
		p.Login += "[bot]"
	}
	return p
}

// allReviews reads a pull request's reviews to the first one. When that is
// beyond the bound the list is empty and not complete.
func (c *Client) allReviews(ctx context.Context, repo promotion.Repository, number int, r reviews) ([]promotion.ReviewFacts, bool, error) {
	var all []promotion.ReviewFacts
	for page := 1; ; page++ {
		var facts []promotion.ReviewFacts
		for _, n := range r.Nodes {
			f := promotion.ReviewFacts{ID: n.DatabaseID, Author: n.Author.person(), State: strings.ToLower(n.State), At: n.SubmittedAt}
			if n.Commit != nil {
				f.Commit = promotion.Hash(n.Commit.OID)
			}
			facts = append(facts, f)
		}
		all = append(facts, all...)
		if !r.PageInfo.HasPreviousPage {
			return all, true, nil
		}
		if page == listPages || r.PageInfo.StartCursor == "" {
			return nil, false, nil
		}
		d := newDocument(repo)
		d.field("databaseId")
		d.variable("number", "Int!", number)
		d.variable("before", "String", r.PageInfo.StartCursor)
		d.field("pullRequest(number: $number) { reviews(last: 100, before: $before) { ...Reviews } }")
		answer, err := c.ask(ctx, d)
		if err != nil {
			return nil, false, err
		}
		var pull struct {
			Reviews reviews `json:"reviews"`
		}
		if err := answer.into("pullRequest", &pull); err != nil {
			return nil, false, err
		}
		r = pull.Reviews
	}
}

// allRuns reads a commit's checks to the last one, or says that it did not.
func (c *Client) allRuns(ctx context.Context, repo promotion.Repository, hash promotion.Hash, commit commitNode) ([]run, bool, error) {
	var all []run
	for page := 1; ; page++ {
		if commit.Rollup == nil {
			return all, page == 1, nil
		}
		all = append(all, commit.Rollup.Contexts.runs()...)
		info := commit.Rollup.Contexts.PageInfo
		if !info.HasNextPage {
			return all, true, nil
		}
		if page == listPages || info.EndCursor == "" {
			return all, false, nil
		}
		d := newDocument(repo)
		d.field("databaseId")
		d.commit(0, hash, &info.EndCursor)
		answer, err := c.ask(ctx, d)
		if err != nil {
			return nil, false, err
		}
		commit = commitNode{}
		if err := answer.into("c0", &commit); err != nil {
			return nil, false, err
		}
	}
}

// runs reads one page of checks. A kind that is not known keeps its place as a
// pending check under its type's name, so that it is not taken for absent.
func (x contexts) runs() []run {
	var all []run
	for _, n := range x.Nodes {
		switch n.Typename {
		case "StatusContext":
			all = append(all, run{name: n.Context, state: statusState(n.State), url: n.TargetURL, at: n.CreatedAt})
		case "CheckRun":
			r := run{
				id: n.DatabaseID, name: n.Name, state: checkState(n.Status, n.Conclusion), url: n.DetailsURL,
				at: n.CompletedAt, externalID: n.ExternalID,
			}
			if r.at.IsZero() {
				r.at = n.StartedAt
			}
			if strings.EqualFold(n.Status, "completed") {
				r.conclusion = strings.ToLower(n.Conclusion)
			}
			if n.CheckSuite != nil && n.CheckSuite.App != nil {
				r.app = n.CheckSuite.App.DatabaseID
			}
			all = append(all, r)
		default:
			all = append(all, run{name: n.Typename, state: "pending"})
		}
	}
	return all
}

// assembleBase reads the repository and the base branch's rules.
func (c *Client) assembleBase(ctx context.Context, a *assembly, q Query, r *result) error {
	var merge, squash, rebase, private bool
	var fullName, url string
	var branch *struct {
		Name string `json:"name"`
	}
	for name, v := range map[string]any{
		"nameWithOwner": &fullName, "url": &url, "isArchived": &a.state.Archived, "isPrivate": &private, "mergeCommitAllowed": &merge,
		"squashMergeAllowed": &squash, "rebaseMergeAllowed": &rebase, "defaultBranchRef": &branch,
	} {
		if err := r.into(name, v); err != nil {
			return err
		}
	}
	a.state.Public = !private
	owner, name, ok := strings.Cut(fullName, "/")
	if !ok {
		return &UnavailableError{Message: "GraphQL: the repository's name is not owner/name"}
	}
	a.state.Repository = promotion.Repository{ID: q.Repository.ID, Installation: c.installation, Owner: owner, Name: name, URL: url}
	if a.state.Repository.ID == 0 {
		if err := r.into("databaseId", &a.state.Repository.ID); err != nil {
			return err
		}
	}
	if branch != nil {
		a.state.DefaultBranch = branch.Name
	}
	a.state.Rules.Methods = methods(merge, squash, rebase)
	if q.Base == "" {
		return nil
	}
	var ref *refNode
	if err := r.into("ref", &ref); err != nil {
		return err
	}
	if ref == nil {
		return nil
	}
	if ref.Target != nil {
		head, err := promotion.ParseHash(ref.Target.OID)
		if err != nil {
			return &UnavailableError{Message: "GraphQL: the base branch's head: " + err.Error()}
		}
		a.state.BaseHead = head
	}
	allowed := a.state.Rules.Methods
	a.state.Rules = rulesOf(ref, slices.Clone(allowed), r.unreadable, nil, false)
	if stops(a.state.Rules, len(allowed)) {
		if guards, ok := c.whoPasses(ctx, a.state.Repository, q.Base, ref.Rules.kinds()); ok {
			a.state.Rules = rulesOf(ref, allowed, r.unreadable, guards, true)
		}
	}
	return nil
}
