package githubemu

import (
	"errors"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// The objects of the graph: a thing together with the repository it is in.
type (
	gqlRepo struct{ r *repo }
	gqlRef  struct {
		r        *repo
		name, id string
	}
	gqlCommit struct {
		r *repo
		c gitstore.Commit
	}
	gqlPull struct {
		r *repo
		p *pull
	}
	gqlActor  struct{ a *account }
	gqlReview struct {
		r  *repo
		p  *pull
		rv *review
	}
	gqlComment struct {
		r  *repo
		i  *issue
		cm *comment
	}
	gqlRun struct {
		r   *repo
		run *checkRun
	}
	gqlStatus struct {
		r  *repo
		st *status
	}
	gqlSuite struct {
		r  *repo
		su *checkSuite
	}
	gqlClosed struct{ cl closing }
	gqlLabel  struct{ l *label }
	gqlApp    struct{ a *app }
	gqlRollup struct {
		r   *repo
		sha string
	}
	gqlRule struct {
		kind   string
		params any
	}
	gqlCheckParams struct{ rule *Ruleset }
	gqlPullParams  struct{ rule *Ruleset }
	gqlProtection  struct{ rule *Ruleset }
	gqlPullCommit  struct {
		r *repo
		c gitstore.Commit
	}
)

func (g *gqlRepo) home() *repo   { return g.r }
func (g *gqlPull) home() *repo   { return g.r }
func (g *gqlCommit) home() *repo { return g.r }

func (g *gqlActor) typename() string     { return g.a.Type }
func (g *gqlCommit) typename() string    { return "Commit" }
func (*gqlRun) typename() string         { return "CheckRun" }
func (*gqlStatus) typename() string      { return "StatusContext" }
func (*gqlClosed) typename() string      { return "ClosedEvent" }
func (*gqlCheckParams) typename() string { return "RequiredStatusChecksParameters" }
func (*gqlPullParams) typename() string  { return "PullRequestParameters" }
func (g *gqlRepo) typename() string      { return "Repository" }
func (g *gqlPull) typename() string      { return "PullRequest" }

// scalar is a field without arguments whose value is at hand.
func scalar[T any](f func(q *gqlCall, on T) any) *field {
	return &field{get: func(q *gqlCall, on any, _ gqlArgs) (any, error) { return f(q, on.(T)), nil }} //nolint:forcetypeassert // the type's own fields
}

// link is a field that leads to another object.
func link[T any](typ string, f func(q *gqlCall, on T, args gqlArgs) (any, error)) *field {
	return &field{typ: typ, get: func(q *gqlCall, on any, args gqlArgs) (any, error) { return f(q, on.(T), args) }} //nolint:forcetypeassert // the type's own fields
}

func listOf(f *field) *field { f.list = true; return f }

func needs(perm string, f *field) *field { f.perm = perm; return f }

// conn is a field that pages a list.
func conn[T any](name, of string, f func(q *gqlCall, on T, args gqlArgs) ([]any, error)) *field {
	return link(of+"Connection", func(q *gqlCall, on T, args gqlArgs) (any, error) {
		all, err := f(q, on, args)
		if err != nil {
			return nil, err
		}
		return connect(name, args, all)
	})
}

// graph is the schema.
func (s *Server) graph() *schema {
	g := &schema{types: map[string]map[string]*field{}, possible: map[string][]string{
		"Actor": {"User", "Bot", "Organization"}, "RepositoryOwner": {"User", "Organization"},
		"GitObject": {"Commit"}, "StatusCheckRollupContext": {"CheckRun", "StatusContext"},
		"PullRequestTimelineItems": {"ClosedEvent"},
		"RuleParameters":           {"RequiredStatusChecksParameters", "PullRequestParameters"},
	}}
	g.types["Query"] = s.graphQuery()
	g.types["Mutation"] = s.graphMutation()
	g.types["Repository"] = graphRepository()
	g.types["Ref"] = graphRef()
	g.types["Commit"] = graphCommit()
	g.types["PullRequest"] = graphPull()
	graphPeople(g)
	graphPullParts(g)
	graphChecks(g)
	graphRules(g)
	graphPayloads(g)
	for _, of := range []string{
		"PullRequest", "PullRequestReview", "IssueComment", "PullRequestCommit", "Label", "Ref",
		"StatusCheckRollupContext", "RepositoryRule", "PullRequestTimelineItems", "CheckRun", "PullRequestChangedFile",
	} {
		graphConnection(g, of)
	}
	pick := func(from string, names ...string) map[string]*field {
		out := map[string]*field{}
		for _, n := range names {
			out[n] = g.types[from][n]
		}
		return out
	}
	// Interfaces have the fields that all their members have; unions none.
	g.types["GitObject"] = pick("Commit", "id", "oid", "abbreviatedOid")
	g.types["RepositoryOwner"] = pick("User", "id", "login", "url", "avatarUrl", "resourcePath")
	g.types["Actor"] = pick("User", "login", "url", "avatarUrl", "resourcePath")
	for _, union := range []string{"StatusCheckRollupContext", "PullRequestTimelineItems", "RuleParameters"} {
		g.types[union] = map[string]*field{}
	}
	return g
}

func graphConnection(g *schema, of string) {
	type edge struct {
		node any
		at   int
	}
	g.types[of+"Connection"] = map[string]*field{
		"totalCount": scalar(func(_ *gqlCall, c *connection) any { return c.total }),
		"nodes":      listOf(link(of, func(_ *gqlCall, c *connection, _ gqlArgs) (any, error) { return c.nodes, nil })),
		"edges": listOf(link(of+"Edge", func(_ *gqlCall, c *connection, _ gqlArgs) (any, error) {
			var out []any
			for i, n := range c.nodes {
				out = append(out, edge{n, c.from + i})
			}
			return out, nil
		})),
		"pageInfo": link("PageInfo", func(_ *gqlCall, c *connection, _ gqlArgs) (any, error) { return c, nil }),
	}
	g.types[of+"Edge"] = map[string]*field{
		"cursor": scalar(func(_ *gqlCall, e edge) any { return cursor(e.at) }),
		"node":   link(of, func(_ *gqlCall, e edge, _ gqlArgs) (any, error) { return e.node, nil }),
	}
	g.types["PageInfo"] = map[string]*field{
		"hasNextPage":     scalar(func(_ *gqlCall, c *connection) any { return c.next }),
		"hasPreviousPage": scalar(func(_ *gqlCall, c *connection) any { return c.prior }),
		"endCursor": scalar(func(_ *gqlCall, c *connection) any {
			if len(c.nodes) == 0 {
				return nil
			}
			return cursor(c.from + len(c.nodes) - 1)
		}),
		"startCursor": scalar(func(_ *gqlCall, c *connection) any {
			if len(c.nodes) == 0 {
				return nil
			}
			return cursor(c.from)
		}),
	}
}

func (s *Server) graphQuery() map[string]*field {
	return map[string]*field{
		"repository": {typ: "Repository", get: func(q *gqlCall, _ any, args gqlArgs) (any, error) {
			full := args.str("owner") + "/" + args.str("name")
			r := s.w.repoNamed(full)
			if r == nil {
				r = s.w.Repos[s.w.Moved[fold(full)]] // GraphQL follows renames by itself
			}
			if !q.who.sees(s, r) {
				return nil, &gqlError{Type: "NOT_FOUND", Message: "Could not resolve to a Repository with the name '" + full + "'."}
			}
			return &gqlRepo{r}, nil
		}},
		"viewer": {typ: "User", get: func(q *gqlCall, _ any, _ gqlArgs) (any, error) { return q.actor(q.who.acc), nil }},
		"user": {typ: "User", get: func(q *gqlCall, _ any, args gqlArgs) (any, error) {
			a := s.w.user(args.str("login"))
			if a == nil || a.Type != "User" {
				return nil, &gqlError{Type: "NOT_FOUND", Message: "Could not resolve to a User with the login of '" + args.str("login") + "'."}
			}
			return q.actor(a), nil
		}},
		"rateLimit": {typ: "RateLimit", get: func(q *gqlCall, _ any, _ gqlArgs) (any, error) {
			return s.limits.at(s.now(), graphQLBucket+q.who.bucket()), nil
		}},
	}
}

func graphRepository() map[string]*field {
	flag := func(f func(r *repo) bool) *field { return scalar(func(_ *gqlCall, g *gqlRepo) any { return f(g.r) }) }
	return map[string]*field{
		"id":                  scalar(func(_ *gqlCall, g *gqlRepo) any { return nodeID("R", g.r.ID) }),
		"databaseId":          scalar(func(_ *gqlCall, g *gqlRepo) any { return g.r.ID }),
		"name":                scalar(func(_ *gqlCall, g *gqlRepo) any { return g.r.Name }),
		"nameWithOwner":       scalar(func(_ *gqlCall, g *gqlRepo) any { return g.r.full() }),
		"url":                 scalar(func(q *gqlCall, g *gqlRepo) any { return q.s.html("/%s", g.r.full()) }),
		"visibility":          scalar(func(_ *gqlCall, g *gqlRepo) any { return strings.ToUpper(visibility(g.r)) }),
		"isArchived":          flag(func(r *repo) bool { return r.Archived }),
		"isPrivate":           flag(func(r *repo) bool { return r.Private }),
		"isDisabled":          flag(func(*repo) bool { return false }),
		"isFork":              flag(func(*repo) bool { return false }),
		"mergeCommitAllowed":  flag(func(r *repo) bool { return r.AllowMerge }),
		"squashMergeAllowed":  flag(func(r *repo) bool { return r.AllowSquash }),
		"rebaseMergeAllowed":  flag(func(r *repo) bool { return r.AllowRebase }),
		"autoMergeAllowed":    flag(func(r *repo) bool { return r.AllowAutoMerge }),
		"deleteBranchOnMerge": flag(func(r *repo) bool { return r.DeleteOnMerge }),
		"owner": link("RepositoryOwner", func(q *gqlCall, g *gqlRepo, _ gqlArgs) (any, error) {
			return q.actor(q.s.owner(g.r.Owner)), nil
		}),
		"defaultBranchRef": link("Ref", func(q *gqlCall, g *gqlRepo, _ gqlArgs) (any, error) {
			return q.ref(g.r, "refs/heads/"+g.r.DefaultBranch)
		}),
		"ref": needs("contents:read", link("Ref", func(q *gqlCall, g *gqlRepo, args gqlArgs) (any, error) {
			name := args.str("qualifiedName")
			if !strings.HasPrefix(name, "refs/") {
				name = "refs/heads/" + name
			}
			return q.ref(g.r, name)
		})),
		"refs": needs("contents:read", conn("refs", "Ref", func(q *gqlCall, g *gqlRepo, args gqlArgs) ([]any, error) {
			prefix := args.str("refPrefix")
			refs, err := g.r.git.Refs(q.ctx, prefix)
			var out []any
			for _, name := range sortedKeys(refs) {
				if strings.Contains(name, args.str("query")) {
					out = append(out, &gqlRef{g.r, name, refs[name]})
				}
			}
			return out, err
		})),
		"object": needs("contents:read", link("GitObject", func(q *gqlCall, g *gqlRepo, args gqlArgs) (any, error) {
			id := args.str("oid")
			if id == "" {
				var err error
				if id, err = q.s.resolveRef(q.ctx, g.r, args.str("expression")); err != nil {
					return nil, nil //nolint:nilnil // null in the answer
				}
			}
			return q.commit(g.r, id)
		})),
		"pullRequest": needs("pull_requests:read", link("PullRequest", func(_ *gqlCall, g *gqlRepo, args gqlArgs) (any, error) {
			n, _ := args.num("number")
			p := g.r.Pulls[n]
			if p == nil {
				return nil, &gqlError{Type: "NOT_FOUND", Message: "Could not resolve to a PullRequest with the number of " + itoa(n) + "."}
			}
			return &gqlPull{g.r, p}, nil
		})),
		"pullRequests": needs("pull_requests:read", conn("pullRequests", "PullRequest", repoPulls)),
		"rulesets":     link("RepositoryRuleConnection", func(*gqlCall, *gqlRepo, gqlArgs) (any, error) { return &connection{}, nil }),
	}
}

// repoPulls filters and orders as the connection's arguments ask; by default
// the oldest comes first, as on GitHub.
func repoPulls(_ *gqlCall, g *gqlRepo, args gqlArgs) ([]any, error) {
	states := args.strs("states")
	labels := args.strs("labels")
	var all []*pull
	for _, p := range sortedBy(g.r.Pulls) {
		if len(states) > 0 && !slices.Contains(states, pullState(g.r, p)) ||
			args.str("headRefName") != "" && args.str("headRefName") != p.HeadRef ||
			args.str("baseRefName") != "" && args.str("baseRefName") != p.BaseRef {
			continue
		}
		if len(labels) > 0 && !slices.ContainsFunc(g.r.issueOf(p).Labels, func(l string) bool { return slices.Contains(labels, l) }) {
			continue
		}
		all = append(all, p)
	}
	if order, ok := args["orderBy"].(map[string]any); ok {
		if order["field"] == "UPDATED_AT" {
			slices.SortStableFunc(all, func(a, b *pull) int { return g.r.issueOf(a).UpdatedAt.Compare(g.r.issueOf(b).UpdatedAt) })
		}
		if order["direction"] == "DESC" {
			slices.Reverse(all)
		}
	}
	out := make([]any, 0, len(all))
	for _, p := range all {
		out = append(out, &gqlPull{g.r, p})
	}
	return out, nil
}

func pullState(r *repo, p *pull) string {
	if p.Merged {
		return "MERGED"
	}
	return strings.ToUpper(r.issueOf(p).State)
}

// ref finds a ref, or null.
func (q *gqlCall) ref(r *repo, name string) (any, error) {
	id, err := q.s.refAt(q.ctx, r, name)
	if errors.Is(err, gitstore.ErrNotFound) {
		return nil, nil //nolint:nilnil // null in the answer
	}
	return &gqlRef{r, name, id}, err
}

// commit finds a commit, or null.
func (q *gqlCall) commit(r *repo, id string) (any, error) {
	if !isID(id) {
		return nil, nil //nolint:nilnil // null in the answer
	}
	c, err := r.git.ReadCommit(q.ctx, id)
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // null in the answer
	}
	return &gqlCommit{r, c}, nil
}

// actor is an account, or null.
func (q *gqlCall) actor(a *account) any {
	if a == nil {
		return nil
	}
	return &gqlActor{a}
}

func graphRef() map[string]*field {
	return map[string]*field{
		"id": scalar(func(_ *gqlCall, g *gqlRef) any { return "REF_" + g.name }),
		"name": scalar(func(_ *gqlCall, g *gqlRef) any {
			return strings.TrimPrefix(strings.TrimPrefix(g.name, "refs/heads/"), "refs/tags/")
		}),
		"prefix": scalar(func(_ *gqlCall, g *gqlRef) any {
			return g.name[:strings.Index(g.name[5:], "/")+6]
		}),
		"target": link("GitObject", func(q *gqlCall, g *gqlRef, _ gqlArgs) (any, error) {
			id, err := q.s.peel(q.ctx, g.r, g.id)
			if err != nil {
				return nil, err
			}
			return q.commit(g.r, id)
		}),
		"branchProtectionRule": link("BranchProtectionRule", func(_ *gqlCall, g *gqlRef, _ gqlArgs) (any, error) {
			for _, rule := range g.r.rulesFor(strings.TrimPrefix(g.name, "refs/heads/")) {
				if rule.Protection {
					return &gqlProtection{rule}, nil
				}
			}
			return nil, nil //nolint:nilnil // null in the answer
		}),
		"refUpdateRule": link("RefUpdateRule", func(_ *gqlCall, g *gqlRef, _ gqlArgs) (any, error) {
			for _, rule := range g.r.rulesFor(strings.TrimPrefix(g.name, "refs/heads/")) {
				if rule.Protection {
					return &gqlProtection{rule}, nil
				}
			}
			return nil, nil //nolint:nilnil // null in the answer
		}),
		"rules": conn("rules", "RepositoryRule", func(_ *gqlCall, g *gqlRef, _ gqlArgs) ([]any, error) {
			return graphRulesOf(g.r.rulesFor(strings.TrimPrefix(g.name, "refs/heads/"))), nil
		}),
	}
}

func graphCommit() map[string]*field {
	return map[string]*field{
		"id":              scalar(func(_ *gqlCall, g *gqlCommit) any { return "C_" + g.c.ID }),
		"oid":             scalar(func(_ *gqlCall, g *gqlCommit) any { return g.c.ID }),
		"abbreviatedOid":  scalar(func(_ *gqlCall, g *gqlCommit) any { return g.c.ID[:7] }),
		"message":         scalar(func(_ *gqlCall, g *gqlCommit) any { return g.c.Message }),
		"messageHeadline": scalar(func(_ *gqlCall, g *gqlCommit) any { h, _, _ := strings.Cut(g.c.Message, "\n"); return h }),
		"committedDate":   scalar(func(_ *gqlCall, g *gqlCommit) any { return stamp(parseIdent(g.c.Committer).When) }),
		"authoredDate":    scalar(func(_ *gqlCall, g *gqlCommit) any { return stamp(parseIdent(g.c.Author).When) }),
		"url":             scalar(func(q *gqlCall, g *gqlCommit) any { return q.s.html("/%s/commit/%s", g.r.full(), g.c.ID) }),
		"author":          link("GitActor", func(_ *gqlCall, g *gqlCommit, _ gqlArgs) (any, error) { return parseIdent(g.c.Author), nil }),
		"committer":       link("GitActor", func(_ *gqlCall, g *gqlCommit, _ gqlArgs) (any, error) { return parseIdent(g.c.Committer), nil }),
		"tree":            link("Tree", func(_ *gqlCall, g *gqlCommit, _ gqlArgs) (any, error) { return g.c.Tree, nil }),
		"statusCheckRollup": needs("checks:read", link("StatusCheckRollup", func(q *gqlCall, g *gqlCommit, _ gqlArgs) (any, error) {
			if q.s.rollup(g.r, g.c.ID) == "" {
				return nil, nil //nolint:nilnil // null in the answer
			}
			return &gqlRollup{g.r, g.c.ID}, nil
		})),
	}
}
