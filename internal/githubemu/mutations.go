package githubemu

// graphMutation is the part of GitHub's mutations that is served.
func (s *Server) graphMutation() map[string]*field {
	onPull := func(act func(q *gqlCall, g *gqlPull, in gqlArgs) error) *field {
		return &field{typ: "PullRequestPayload", get: func(q *gqlCall, _ any, args gqlArgs) (any, error) {
			in, _ := args["input"].(map[string]any)
			id, _ := in["pullRequestId"].(string)
			for _, r := range sortedBy(s.w.Repos) {
				for _, p := range sortedBy(r.Pulls) {
					if nodeID("PR", p.ID) != id || !q.who.sees(s, r) {
						continue
					}
					if err := q.who.may(s, r, "pull_requests:write"); err != nil {
						return nil, &gqlError{Type: "FORBIDDEN", Message: "Resource not accessible by integration"}
					}
					g := &gqlPull{r, p}
					return g, act(q, g, in)
				}
			}
			return nil, &gqlError{Type: "NOT_FOUND", Message: "Could not resolve to a node with the global id of '" + id + "'"}
		}}
	}
	return map[string]*field{
		"closePullRequest": onPull(func(q *gqlCall, g *gqlPull, _ gqlArgs) error {
			return s.setPullState(q.ctx, g.r, g.p, q.who.acc, "closed")
		}),
		"reopenPullRequest": onPull(func(q *gqlCall, g *gqlPull, _ gqlArgs) error {
			return s.setPullState(q.ctx, g.r, g.p, q.who.acc, "open")
		}),
		"mergePullRequest": onPull(func(q *gqlCall, g *gqlPull, in gqlArgs) error {
			_, err := s.merge(q.ctx, g.r, g.p, q.who.acc, mergeAsk{
				SHA: in.str("expectedHeadOid"), Title: in.str("commitHeadline"),
				Message: in.str("commitBody"), Method: fold(in.str("mergeMethod")),
			})
			return err
		}),
		"convertPullRequestToDraft": onPull(func(q *gqlCall, g *gqlPull, _ gqlArgs) error {
			return s.setDraft(q.ctx, g.r, g.p, q.who.acc, true)
		}),
		"markPullRequestReadyForReview": onPull(func(q *gqlCall, g *gqlPull, _ gqlArgs) error {
			return s.setDraft(q.ctx, g.r, g.p, q.who.acc, false)
		}),
		"enqueuePullRequest": onPull(func(q *gqlCall, g *gqlPull, in gqlArgs) error {
			return s.enqueuePull(q.ctx, g.r, g.p, q.who.acc, in.str("expectedHeadOid"))
		}),
		"dequeuePullRequest": onPull(func(q *gqlCall, g *gqlPull, _ gqlArgs) error {
			return s.dequeuePull(q.ctx, g.r, g.p, "MANUAL", q.who.acc)
		}),
	}
}
