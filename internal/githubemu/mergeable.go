package githubemu

import (
	"context"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

// mergeMemo remembers whether two commits merge cleanly; it never changes for
// a pair.
type mergeMemo map[[2]string]bool

// cleanly tells whether head merges into base without conflicts.
func (s *Server) cleanly(ctx context.Context, r *repo, base, head string) (bool, error) {
	key := [2]string{base, head}
	if clean, known := s.merges[key]; known {
		return clean, nil
	}
	_, conflicts, err := r.git.MergeTree(ctx, base, head)
	if err != nil {
		return false, err
	}
	if len(s.merges) > 10000 {
		clear(s.merges)
	}
	s.merges[key] = len(conflicts) == 0
	return s.merges[key], nil
}

// mergeability is what a read of a pull request says of merging it.
type mergeability struct {
	known bool
	clean bool
	state string // unknown, dirty, draft, blocked, behind, unstable, has_hooks or clean
}

// mergeable answers a read. The first reads after a change of head or base do
// not know yet; they are what starts the computation.
func (s *Server) mergeable(ctx context.Context, r *repo, p *pull) mergeability {
	if r.issueOf(p).State != "open" {
		return mergeability{state: "unknown"}
	}
	base, err := s.tip(ctx, r, p.BaseRef)
	if err != nil {
		return mergeability{state: "unknown"}
	}
	if key := p.HeadSHA + base; key != p.mergeKey {
		p.mergeKey, p.mergeReads = key, 0
	}
	if p.mergeReads < s.cfg.NullMergeable {
		p.mergeReads++
		return mergeability{state: "unknown"}
	}
	clean, err := s.cleanly(ctx, r, base, p.HeadSHA)
	if err != nil {
		return mergeability{state: "unknown"}
	}
	m := mergeability{known: true, clean: clean}
	m.state = s.mergeState(ctx, r, p, clean)
	return m
}

func (s *Server) mergeState(ctx context.Context, r *repo, p *pull, clean bool) string {
	if !clean {
		return "dirty"
	}
	if p.Draft {
		return "draft"
	}
	behind := false
	blocked := false
	for _, rule := range r.rulesFor(p.BaseRef) {
		b, err := s.behind(ctx, r, rule, p)
		if err != nil {
			return "unknown"
		}
		behind = behind || b
		blocked = blocked || s.reviewsText(r, rule, p) != "" || s.checksText(r, rule, p.HeadSHA) != "" || rule.MergeQueue || rule.RestrictUpdates
		if texts, err := s.historyTexts(ctx, r, rule, p.BaseSHA, p.HeadSHA); err != nil || len(texts) > 0 {
			blocked = true
		}
	}
	switch state := s.rollup(r, p.HeadSHA); {
	case blocked:
		return "blocked"
	case behind:
		return "behind"
	case state != "" && state != "SUCCESS":
		return "unstable"
	}
	return "clean"
}

// rollup is the state of all checks and statuses of a commit in GraphQL's
// words, or "" if there are none.
func (s *Server) rollup(r *repo, sha string) string {
	runs, sts := latestRuns(r.Runs[sha]), latestStatuses(r.Statuses[sha])
	if len(runs)+len(sts) == 0 {
		return ""
	}
	state := "SUCCESS"
	worsen := func(to string) {
		order := map[string]int{"SUCCESS": 0, "PENDING": 1, "ERROR": 2, "FAILURE": 3}
		if order[to] > order[state] {
			state = to
		}
	}
	for _, run := range runs {
		switch run.verdict() {
		case "failing":
			worsen("FAILURE")
		case "pending":
			worsen("PENDING")
		}
	}
	for _, st := range sts {
		switch st.State {
		case "failure":
			worsen("FAILURE")
		case "error":
			worsen("ERROR")
		case "pending":
			worsen("PENDING")
		}
	}
	return state
}
