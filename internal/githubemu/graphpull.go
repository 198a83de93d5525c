package githubemu

import (
	"slices"
	"strings"
)

func graphPull() map[string]*field {
	in := func(f func(g *gqlPull, i *issue) any) *field {
		return scalar(func(_ *gqlCall, g *gqlPull) any { return f(g, g.r.issueOf(g.p)) })
	}
	return map[string]*field{
		"id":                in(func(g *gqlPull, _ *issue) any { return nodeID("PR", g.p.ID) }),
		"databaseId":        in(func(g *gqlPull, _ *issue) any { return g.p.ID }),
		"number":            in(func(g *gqlPull, _ *issue) any { return g.p.Number }),
		"title":             in(func(_ *gqlPull, i *issue) any { return i.Title }),
		"body":              in(func(_ *gqlPull, i *issue) any { return i.Body }),
		"state":             in(func(g *gqlPull, _ *issue) any { return pullState(g.r, g.p) }),
		"closed":            in(func(_ *gqlPull, i *issue) any { return i.State != "open" }),
		"isDraft":           in(func(g *gqlPull, _ *issue) any { return g.p.Draft }),
		"isCrossRepository": in(func(*gqlPull, *issue) any { return false }),
		"locked":            in(func(_ *gqlPull, i *issue) any { return i.Locked }),
		"merged":            in(func(g *gqlPull, _ *issue) any { return g.p.Merged }),
		"mergedAt":          in(func(g *gqlPull, _ *issue) any { return stamp(g.p.MergedAt) }),
		"closedAt":          in(func(_ *gqlPull, i *issue) any { return stamp(i.ClosedAt) }),
		"createdAt":         in(func(_ *gqlPull, i *issue) any { return stamp(i.CreatedAt) }),
		"updatedAt":         in(func(_ *gqlPull, i *issue) any { return stamp(i.UpdatedAt) }),
		"headRefName":       in(func(g *gqlPull, _ *issue) any { return g.p.HeadRef }),
		"headRefOid":        in(func(g *gqlPull, _ *issue) any { return g.p.HeadSHA }),
		"baseRefName":       in(func(g *gqlPull, _ *issue) any { return g.p.BaseRef }),
		"baseRefOid":        in(func(g *gqlPull, _ *issue) any { return g.p.BaseSHA }),
		"url":               scalar(func(q *gqlCall, g *gqlPull) any { return q.s.html("/%s/pull/%d", g.r.full(), g.p.Number) }),
		"headRef":           link("Ref", func(q *gqlCall, g *gqlPull, _ gqlArgs) (any, error) { return q.ref(g.r, "refs/heads/"+g.p.HeadRef) }),
		"baseRef":           link("Ref", func(q *gqlCall, g *gqlPull, _ gqlArgs) (any, error) { return q.ref(g.r, "refs/heads/"+g.p.BaseRef) }),
		"mergeable": scalar(func(q *gqlCall, g *gqlPull) any {
			switch m := q.merge(g); {
			case !m.known:
				return "UNKNOWN"
			case m.clean:
				return "MERGEABLE"
			}
			return "CONFLICTING"
		}),
		"mergeStateStatus": scalar(func(q *gqlCall, g *gqlPull) any { return strings.ToUpper(q.merge(g).state) }),
		"mergeCommit":      link("Commit", func(q *gqlCall, g *gqlPull, _ gqlArgs) (any, error) { return q.commit(g.r, g.p.MergeSHA) }),
		"author":           link("Actor", func(q *gqlCall, g *gqlPull, _ gqlArgs) (any, error) { return q.login(g.r.issueOf(g.p).User), nil }),
		"mergedBy":         link("Actor", func(q *gqlCall, g *gqlPull, _ gqlArgs) (any, error) { return q.login(g.p.MergedBy), nil }),
		"repository":       link("Repository", func(_ *gqlCall, g *gqlPull, _ gqlArgs) (any, error) { return &gqlRepo{g.r}, nil }),
		"headRepository":   link("Repository", func(_ *gqlCall, g *gqlPull, _ gqlArgs) (any, error) { return &gqlRepo{g.r}, nil }),
		"headRepositoryOwner": link("RepositoryOwner", func(q *gqlCall, g *gqlPull, _ gqlArgs) (any, error) {
			return q.actor(q.s.owner(g.r.Owner)), nil
		}),
		"reviewDecision": scalar(func(q *gqlCall, g *gqlPull) any { return q.s.reviewDecision(g.r, g.p) }),
		"reviews": conn("reviews", "PullRequestReview", func(_ *gqlCall, g *gqlPull, args gqlArgs) ([]any, error) {
			return pullReviews(g, g.p.Reviews, args.strs("states")), nil
		}),
		"latestOpinionatedReviews": conn("latestOpinionatedReviews", "PullRequestReview", func(_ *gqlCall, g *gqlPull, _ gqlArgs) ([]any, error) {
			return pullReviews(g, g.p.decisive(), nil), nil
		}),
		"comments": conn("comments", "IssueComment", func(_ *gqlCall, g *gqlPull, _ gqlArgs) ([]any, error) {
			i := g.r.issueOf(g.p)
			var out []any
			for _, cm := range i.Comments {
				out = append(out, &gqlComment{g.r, i, cm})
			}
			return out, nil
		}),
		"commits": conn("commits", "PullRequestCommit", func(q *gqlCall, g *gqlPull, args gqlArgs) ([]any, error) {
			if n, ok := args.num("last"); ok && n == 1 { // the head alone: no need to walk
				c, err := g.r.git.ReadCommit(q.ctx, g.p.HeadSHA)
				return []any{&gqlPullCommit{g.r, c}}, err
			}
			commits, err := q.s.pullLog(q.ctx, g.r, g.p)
			var out []any
			for _, c := range commits {
				out = append(out, &gqlPullCommit{g.r, c})
			}
			return out, err
		}),
		"files": conn("files", "PullRequestChangedFile", func(q *gqlCall, g *gqlPull, _ gqlArgs) ([]any, error) {
			from, to, err := q.s.pullTrees(q.ctx, g.r, g.p)
			if err != nil {
				return nil, err
			}
			rows, _, _, err := q.s.filesJSON(q.ctx, g.r, from, to, g.p.HeadSHA)
			var out []any
			for _, o := range rows {
				out = append(out, o)
			}
			return out, err
		}),
		"labels": conn("labels", "Label", func(_ *gqlCall, g *gqlPull, _ gqlArgs) ([]any, error) {
			var out []any
			for _, n := range g.r.issueOf(g.p).Labels {
				out = append(out, &gqlLabel{g.r.Labels[fold(n)]})
			}
			return out, nil
		}),
		"timelineItems": conn("timelineItems", "PullRequestTimelineItems", func(_ *gqlCall, g *gqlPull, args gqlArgs) ([]any, error) {
			types := args.strs("itemTypes")
			var out []any
			for _, cl := range g.r.issueOf(g.p).Closings {
				if len(types) == 0 || slices.Contains(types, "CLOSED_EVENT") {
					out = append(out, &gqlClosed{cl})
				}
			}
			return out, nil
		}),
		"isInMergeQueue": scalar(func(_ *gqlCall, g *gqlPull) any { return g.r.queued(g.p.Number) != nil }),
	}
}

// merge reads mergeability once for each pull request of a query, however many
// fields ask for it.
func (q *gqlCall) merge(g *gqlPull) mergeability {
	if q.merges == nil {
		q.merges = map[*pull]mergeability{}
	}
	m, known := q.merges[g.p]
	if !known {
		m = q.s.mergeable(q.ctx, g.r, g.p)
		q.merges[g.p] = m
	}
	return m
}

// login finds the actor of that name; a bot goes by its App's slug in GraphQL.
func (q *gqlCall) login(login string) any { return q.actor(q.s.w.user(login)) }

func pullReviews(g *gqlPull, all []*review, states []string) []any {
	var out []any
	for _, rv := range all {
		if len(states) == 0 || slices.Contains(states, rv.State) {
			out = append(out, &gqlReview{g.r, g.p, rv})
		}
	}
	return out
}

// reviewDecision is null where no rule asks for reviews.
func (s *Server) reviewDecision(r *repo, p *pull) any {
	asked := false
	for _, rule := range r.rulesFor(p.BaseRef) {
		if rule.RequiredReviews == 0 {
			continue
		}
		asked = true
		if t := s.reviewsText(r, rule, p); strings.Contains(t, "requesting changes") {
			return "CHANGES_REQUESTED"
		} else if t != "" {
			return "REVIEW_REQUIRED"
		}
	}
	if asked {
		return "APPROVED"
	}
	return nil
}

func graphPeople(g *schema) {
	base := func() map[string]*field {
		return map[string]*field{
			"id": scalar(func(_ *gqlCall, a *gqlActor) any { return nodeID("U", a.a.ID) }),
			// A bot's login has no suffix here, unlike in REST.
			"login":        scalar(func(_ *gqlCall, a *gqlActor) any { return strings.TrimSuffix(a.a.Login, "[bot]") }),
			"databaseId":   scalar(func(_ *gqlCall, a *gqlActor) any { return a.a.ID }),
			"url":          scalar(func(q *gqlCall, a *gqlActor) any { return q.s.html("/%s", a.a.Login) }),
			"avatarUrl":    scalar(func(q *gqlCall, a *gqlActor) any { return q.s.html("/_emu/avatar/%d", a.a.ID) }),
			"resourcePath": scalar(func(_ *gqlCall, a *gqlActor) any { return "/" + a.a.Login }),
		}
	}
	g.types["User"], g.types["Bot"], g.types["Organization"] = base(), base(), base()
	for _, t := range []string{"User", "Organization"} {
		g.types[t]["name"] = scalar(func(_ *gqlCall, a *gqlActor) any { return a.a.Name })
	}
	g.types["GitActor"] = map[string]*field{
		"name":  scalar(func(_ *gqlCall, x signature) any { return x.Name }),
		"email": scalar(func(_ *gqlCall, x signature) any { return x.Email }),
		"date":  scalar(func(_ *gqlCall, x signature) any { return stamp(x.When) }),
		"user": link("User", func(q *gqlCall, x signature, _ gqlArgs) (any, error) {
			if a := q.s.byEmail(x.Email); a != nil && a.Type == "User" {
				return q.actor(a), nil
			}
			return nil, nil //nolint:nilnil // null in the answer
		}),
	}
	g.types["Tree"] = map[string]*field{"oid": scalar(func(_ *gqlCall, id string) any { return id })}
	g.types["RateLimit"] = map[string]*field{
		"cost":      scalar(func(*gqlCall, *bucket) any { return 1 }),
		"limit":     scalar(func(q *gqlCall, _ *bucket) any { return q.s.limits.perHour() }),
		"used":      scalar(func(_ *gqlCall, b *bucket) any { return b.used }),
		"remaining": scalar(func(q *gqlCall, b *bucket) any { return max(q.s.limits.perHour()-b.used, 0) }),
		"resetAt":   scalar(func(_ *gqlCall, b *bucket) any { return stamp(b.reset) }),
		"nodeCount": scalar(func(*gqlCall, *bucket) any { return 0 }),
	}
}

func graphPullParts(g *schema) {
	g.types["PullRequestReview"] = map[string]*field{
		"id":          scalar(func(_ *gqlCall, x *gqlReview) any { return nodeID("PRR", x.rv.ID) }),
		"databaseId":  scalar(func(_ *gqlCall, x *gqlReview) any { return x.rv.ID }),
		"state":       scalar(func(_ *gqlCall, x *gqlReview) any { return x.rv.State }),
		"body":        scalar(func(_ *gqlCall, x *gqlReview) any { return x.rv.Body }),
		"submittedAt": scalar(func(_ *gqlCall, x *gqlReview) any { return stamp(x.rv.SubmittedAt) }),
		"createdAt":   scalar(func(_ *gqlCall, x *gqlReview) any { return stamp(x.rv.SubmittedAt) }),
		"author":      link("Actor", func(q *gqlCall, x *gqlReview, _ gqlArgs) (any, error) { return q.login(x.rv.User), nil }),
		"commit":      link("Commit", func(q *gqlCall, x *gqlReview, _ gqlArgs) (any, error) { return q.commit(x.r, x.rv.CommitID) }),
		"authorAssociation": scalar(func(q *gqlCall, x *gqlReview) any {
			return q.s.association(x.r, x.rv.User)
		}),
	}
	g.types["IssueComment"] = map[string]*field{
		"id":          scalar(func(_ *gqlCall, x *gqlComment) any { return nodeID("IC", x.cm.ID) }),
		"databaseId":  scalar(func(_ *gqlCall, x *gqlComment) any { return x.cm.ID }),
		"body":        scalar(func(_ *gqlCall, x *gqlComment) any { return x.cm.Body }),
		"createdAt":   scalar(func(_ *gqlCall, x *gqlComment) any { return stamp(x.cm.CreatedAt) }),
		"updatedAt":   scalar(func(_ *gqlCall, x *gqlComment) any { return stamp(x.cm.UpdatedAt) }),
		"author":      link("Actor", func(q *gqlCall, x *gqlComment, _ gqlArgs) (any, error) { return q.login(x.cm.User), nil }),
		"isMinimized": scalar(func(*gqlCall, *gqlComment) any { return false }),
	}
	g.types["PullRequestCommit"] = map[string]*field{
		"commit": link("Commit", func(_ *gqlCall, x *gqlPullCommit, _ gqlArgs) (any, error) { return &gqlCommit{x.r, x.c}, nil }),
	}
	g.types["PullRequestChangedFile"] = map[string]*field{
		"path":      scalar(func(_ *gqlCall, o object) any { return o["filename"] }),
		"additions": scalar(func(_ *gqlCall, o object) any { return o["additions"] }),
		"deletions": scalar(func(_ *gqlCall, o object) any { return o["deletions"] }),
		"changeType": scalar(func(_ *gqlCall, o object) any {
			return map[any]string{"added": "ADDED", "removed": "DELETED", "modified": "MODIFIED"}[o["status"]]
		}),
	}
	g.types["Label"] = map[string]*field{
		"id":    scalar(func(_ *gqlCall, x *gqlLabel) any { return nodeID("LA", x.l.ID) }),
		"name":  scalar(func(_ *gqlCall, x *gqlLabel) any { return x.l.Name }),
		"color": scalar(func(_ *gqlCall, x *gqlLabel) any { return x.l.Color }),
	}
	g.types["ClosedEvent"] = map[string]*field{
		"createdAt": scalar(func(_ *gqlCall, x *gqlClosed) any { return stamp(x.cl.At) }),
		"actor":     link("Actor", func(q *gqlCall, x *gqlClosed, _ gqlArgs) (any, error) { return q.login(x.cl.By), nil }),
	}
}

func graphChecks(g *schema) {
	g.types["StatusCheckRollup"] = map[string]*field{
		"state": scalar(func(q *gqlCall, x *gqlRollup) any { return q.s.rollup(x.r, x.sha) }),
		"contexts": conn("contexts", "StatusCheckRollupContext", func(_ *gqlCall, x *gqlRollup, _ gqlArgs) ([]any, error) {
			var out []any
			for _, run := range latestRuns(x.r.Runs[x.sha]) {
				out = append(out, &gqlRun{x.r, run})
			}
			for _, st := range latestStatuses(x.r.Statuses[x.sha]) {
				out = append(out, &gqlStatus{x.r, st})
			}
			return out, nil
		}),
	}
	g.types["CheckRun"] = map[string]*field{
		"id":          scalar(func(_ *gqlCall, x *gqlRun) any { return nodeID("CR", x.run.ID) }),
		"databaseId":  scalar(func(_ *gqlCall, x *gqlRun) any { return x.run.ID }),
		"name":        scalar(func(_ *gqlCall, x *gqlRun) any { return x.run.Name }),
		"status":      scalar(func(_ *gqlCall, x *gqlRun) any { return strings.ToUpper(x.run.Status) }),
		"conclusion":  scalar(func(_ *gqlCall, x *gqlRun) any { return orNull(strings.ToUpper(x.run.Conclusion)) }),
		"startedAt":   scalar(func(_ *gqlCall, x *gqlRun) any { return stamp(x.run.StartedAt) }),
		"completedAt": scalar(func(_ *gqlCall, x *gqlRun) any { return stamp(x.run.CompletedAt) }),
		"externalId":  scalar(func(_ *gqlCall, x *gqlRun) any { return orNull(x.run.ExternalID) }),
		"detailsUrl":  scalar(func(_ *gqlCall, x *gqlRun) any { return orNull(x.run.DetailsURL) }),
		"title":       scalar(func(_ *gqlCall, x *gqlRun) any { return orNull(x.run.Output.Title) }),
		"summary":     scalar(func(_ *gqlCall, x *gqlRun) any { return orNull(x.run.Output.Summary) }),
		"text":        scalar(func(_ *gqlCall, x *gqlRun) any { return orNull(x.run.Output.Text) }),
		"url":         scalar(func(q *gqlCall, x *gqlRun) any { return q.s.html("/%s/runs/%d", x.r.full(), x.run.ID) }),
		"checkSuite": link("CheckSuite", func(_ *gqlCall, x *gqlRun, _ gqlArgs) (any, error) {
			for _, su := range x.r.Suites[x.run.HeadSHA] {
				if su.ID == x.run.SuiteID {
					return &gqlSuite{x.r, su}, nil
				}
			}
			return nil, nil //nolint:nilnil // null in the answer
		}),
		"isRequired": {get: func(q *gqlCall, on any, args gqlArgs) (any, error) {
			x, _ := on.(*gqlRun)
			n, _ := args.num("pullRequestNumber")
			return q.s.required(x.r, n, x.run.Name), nil
		}},
	}
	g.types["StatusContext"] = map[string]*field{
		"id":          scalar(func(_ *gqlCall, x *gqlStatus) any { return nodeID("SC", x.st.ID) }),
		"context":     scalar(func(_ *gqlCall, x *gqlStatus) any { return x.st.Context }),
		"state":       scalar(func(_ *gqlCall, x *gqlStatus) any { return strings.ToUpper(x.st.State) }),
		"description": scalar(func(_ *gqlCall, x *gqlStatus) any { return orNull(x.st.Description) }),
		"targetUrl":   scalar(func(_ *gqlCall, x *gqlStatus) any { return orNull(x.st.TargetURL) }),
		"createdAt":   scalar(func(_ *gqlCall, x *gqlStatus) any { return stamp(x.st.CreatedAt) }),
		"creator":     link("Actor", func(q *gqlCall, x *gqlStatus, _ gqlArgs) (any, error) { return q.login(x.st.Creator), nil }),
		"isRequired": {get: func(q *gqlCall, on any, args gqlArgs) (any, error) {
			x, _ := on.(*gqlStatus)
			n, _ := args.num("pullRequestNumber")
			return q.s.required(x.r, n, x.st.Context), nil
		}},
	}
	g.types["CheckSuite"] = map[string]*field{
		"id":         scalar(func(_ *gqlCall, x *gqlSuite) any { return nodeID("CS", x.su.ID) }),
		"databaseId": scalar(func(_ *gqlCall, x *gqlSuite) any { return x.su.ID }),
		"status": scalar(func(_ *gqlCall, x *gqlSuite) any {
			st, _ := x.r.suiteState(x.su)
			return strings.ToUpper(st)
		}),
		"conclusion": scalar(func(_ *gqlCall, x *gqlSuite) any {
			_, c := x.r.suiteState(x.su)
			return orNull(strings.ToUpper(c))
		}),
		"app": link("App", func(q *gqlCall, x *gqlSuite, _ gqlArgs) (any, error) { return &gqlApp{q.s.w.Apps[x.su.AppID]}, nil }),
	}
	g.types["App"] = map[string]*field{
		"id":         scalar(func(_ *gqlCall, x *gqlApp) any { return nodeID("A", x.a.ID) }),
		"databaseId": scalar(func(_ *gqlCall, x *gqlApp) any { return x.a.ID }),
		"slug":       scalar(func(_ *gqlCall, x *gqlApp) any { return x.a.Slug }),
		"name":       scalar(func(_ *gqlCall, x *gqlApp) any { return x.a.Name }),
	}
}

// required tells whether a pull request's base asks for a check.
func (s *Server) required(r *repo, number int, context string) bool {
	p := r.Pulls[number]
	if p == nil {
		return false
	}
	for _, rule := range r.rulesFor(p.BaseRef) {
		if slices.ContainsFunc(rule.RequiredChecks, func(rc RequiredCheck) bool { return rc.Context == context }) {
			return true
		}
	}
	return false
}

func graphRules(g *schema) {
	of := func(f func(rule *Ruleset) any) *field {
		return scalar(func(_ *gqlCall, x *gqlProtection) any { return f(x.rule) })
	}
	g.types["BranchProtectionRule"] = map[string]*field{
		"databaseId":               of(func(r *Ruleset) any { return r.ID }),
		"pattern":                  of(func(r *Ruleset) any { return strings.Join(r.Branches, ",") }),
		"requiresApprovingReviews": of(func(r *Ruleset) any { return r.RequiredReviews > 0 }),
		"requiredApprovingReviewCount": of(func(r *Ruleset) any {
			if r.RequiredReviews == 0 {
				return nil
			}
			return r.RequiredReviews
		}),
		"requiresCommitSignatures":   of(func(r *Ruleset) any { return r.SignedCommits }),
		"requiresLinearHistory":      of(func(r *Ruleset) any { return r.LinearHistory }),
		"requiresStatusChecks":       of(func(r *Ruleset) any { return len(r.RequiredChecks) > 0 }),
		"requiresStrictStatusChecks": of(func(r *Ruleset) any { return r.Strict }),
		"dismissesStaleReviews":      of(func(r *Ruleset) any { return r.DismissStale }),
		"requireLastPushApproval":    of(func(r *Ruleset) any { return r.LastPushApproval }),
		"restrictsPushes":            of(func(r *Ruleset) any { return r.RestrictUpdates }),
		"isAdminEnforced":            of(func(r *Ruleset) any { return r.EnforceAdmins }),
		"allowsForcePushes":          of(func(r *Ruleset) any { return !r.BlockForcePush }),
		"allowsDeletions":            of(func(r *Ruleset) any { return !r.BlockDeletion }),
		"requiredStatusCheckContexts": of(func(r *Ruleset) any {
			out := []string{}
			for _, rc := range r.RequiredChecks {
				out = append(out, rc.Context)
			}
			return out
		}),
		"requiredStatusChecks": listOf(link("RequiredStatusCheckDescription", func(_ *gqlCall, x *gqlProtection, _ gqlArgs) (any, error) {
			return checksOf(x.rule), nil
		})),
	}
	bp := g.types["BranchProtectionRule"]
	g.types["RefUpdateRule"] = map[string]*field{
		"pattern": bp["pattern"], "requiredApprovingReviewCount": bp["requiredApprovingReviewCount"],
		"requiredStatusCheckContexts": bp["requiredStatusCheckContexts"], "requiresLinearHistory": bp["requiresLinearHistory"],
		"requiresSignatures": bp["requiresCommitSignatures"], "allowsForcePushes": bp["allowsForcePushes"],
		"allowsDeletions": bp["allowsDeletions"],
	}
	g.types["RequiredStatusCheckDescription"] = map[string]*field{
		"context": scalar(func(_ *gqlCall, rc RequiredCheck) any { return rc.Context }),
		"app": link("App", func(q *gqlCall, rc RequiredCheck, _ gqlArgs) (any, error) {
			if a := q.s.w.Apps[rc.AppID]; a != nil {
				return &gqlApp{a}, nil
			}
			return nil, nil //nolint:nilnil // null in the answer
		}),
	}
	g.types["RepositoryRule"] = map[string]*field{
		"type":       scalar(func(_ *gqlCall, x *gqlRule) any { return x.kind }),
		"parameters": link("RuleParameters", func(_ *gqlCall, x *gqlRule, _ gqlArgs) (any, error) { return x.params, nil }),
	}
	g.types["RequiredStatusChecksParameters"] = map[string]*field{
		"strictRequiredStatusChecksPolicy": scalar(func(_ *gqlCall, x *gqlCheckParams) any { return x.rule.Strict }),
		"requiredStatusChecks": listOf(link("StatusCheckConfiguration", func(_ *gqlCall, x *gqlCheckParams, _ gqlArgs) (any, error) {
			return checksOf(x.rule), nil
		})),
	}
	g.types["StatusCheckConfiguration"] = map[string]*field{
		"context": scalar(func(_ *gqlCall, rc RequiredCheck) any { return rc.Context }),
		"integrationId": scalar(func(_ *gqlCall, rc RequiredCheck) any {
			if rc.AppID == 0 {
				return nil
			}
			return rc.AppID
		}),
	}
	g.types["PullRequestParameters"] = map[string]*field{
		"requiredApprovingReviewCount": scalar(func(_ *gqlCall, x *gqlPullParams) any { return x.rule.RequiredReviews }),
		"allowedMergeMethods": scalar(func(_ *gqlCall, x *gqlPullParams) any {
			if len(x.rule.Methods) == 0 {
				return nil
			}
			out := []string{}
			for _, m := range x.rule.Methods {
				out = append(out, strings.ToUpper(m))
			}
			return out
		}),
		"dismissStaleReviewsOnPush": scalar(func(_ *gqlCall, x *gqlPullParams) any { return x.rule.DismissStale }),
		"requireLastPushApproval":   scalar(func(_ *gqlCall, x *gqlPullParams) any { return x.rule.LastPushApproval }),
		"requireCodeOwnerReview":    scalar(func(*gqlCall, *gqlPullParams) any { return false }),
	}
}

func checksOf(rule *Ruleset) []any {
	out := []any{}
	for _, rc := range rule.RequiredChecks {
		out = append(out, rc)
	}
	return out
}

// graphRulesOf lists a branch's ruleset rules. Protections are not among them.
func graphRulesOf(all []*Ruleset) []any {
	var out []any
	for _, rule := range all {
		if rule.Protection {
			continue
		}
		for _, x := range rule.kinds() {
			g := &gqlRule{kind: strings.ToUpper(x)}
			switch x {
			case "required_status_checks":
				g.params = &gqlCheckParams{rule}
			case "pull_request":
				g.params = &gqlPullParams{rule}
			}
			out = append(out, g)
		}
	}
	return out
}

// graphPayloads are the answers of mutations.
func graphPayloads(g *schema) {
	g.types["PullRequestPayload"] = map[string]*field{
		"pullRequest":      link("PullRequest", func(_ *gqlCall, x *gqlPull, _ gqlArgs) (any, error) { return x, nil }),
		"clientMutationId": scalar(func(*gqlCall, *gqlPull) any { return nil }),
	}
}
