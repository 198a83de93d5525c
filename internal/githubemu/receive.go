package githubemu

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// judged is one push as the rules see it: what they refuse, in the words of
// GitHub's report.
type judged struct {
	refused map[string]string // ref to the reason in the report
	landed  []gitstore.RefUpdate
}

// judge tells the store which refs a push may not move, and what to say on the
// side band. The new commits are in the store already. It runs within push,
// under its lock.
func (s *Server) judge(ctx context.Context, g *gitCall, j *judged, ups []gitstore.RefUpdate) map[string]string {
	said := map[string]string{}
	for _, up := range ups {
		broken, err := s.pushViolations(ctx, g.repo, g.acc, up)
		if err == nil && len(broken) == 0 {
			if err = s.workflowsKept(ctx, g.repo, g.who, up); err == nil {
				continue
			}
			j.refused[up.Ref] = err.Error()
			said[up.Ref] = err.Error()
			continue
		}
		if err != nil {
			j.refused[up.Ref], said[up.Ref] = "internal error", "error: "+err.Error()
			continue
		}
		said[up.Ref] = s.pushWording(g.repo, up.Ref, broken)
		j.refused[up.Ref] = "push declined due to repository rule violations"
		if slices.ContainsFunc(broken, func(v violation) bool { return v.rule.Protection }) {
			j.refused[up.Ref] = "protected branch hook declined"
		}
	}
	return said
}

// pushWording is what GitHub says on the side band.
func (s *Server) pushWording(r *repo, ref string, broken []violation) string {
	var protected, ruled []string
	for _, v := range broken {
		to := &ruled
		if v.rule.Protection {
			to = &protected
		}
		if !slices.Contains(*to, v.text) {
			*to = append(*to, v.text)
		}
	}
	var b strings.Builder
	if len(protected) > 0 {
		fmt.Fprintf(&b, "error: GH006: Protected branch update failed for %s.\n\n- %s\n\n", ref, strings.Join(protected, "\n\n- "))
	}
	if len(ruled) > 0 {
		fmt.Fprintf(&b, "error: GH013: Repository rule violations found for %s.\nReview all repository rules at %s\n\n- %s\n\n", ref,
			s.html("/%s/rules?ref=%s", r.full(), strings.ReplaceAll(ref, "/", "%2F")), strings.Join(ruled, "\n\n- "))
	}
	return b.String()
}

// workflowsKept refuses an App's change of a workflow file unless it holds the
// permission for that.
func (s *Server) workflowsKept(ctx context.Context, r *repo, who *actor, up gitstore.RefUpdate) error {
	if who.inst == nil || levelRank(who.token.Permissions["workflows"]) >= levelRank("write") || up.New == gitstore.Zero {
		return nil
	}
	from := ""
	old := up.Old
	if old == gitstore.Zero {
		tip, err := s.tip(ctx, r, r.DefaultBranch)
		if err != nil {
			return nil //nolint:nilerr // the first push: there is nothing to compare with
		}
		if old, err = r.git.MergeBase(ctx, tip, up.New); err != nil {
			old = ""
		}
	}
	if cm, err := r.git.ReadCommit(ctx, old); err == nil {
		from = cm.Tree
	}
	cm, err := r.git.ReadCommit(ctx, up.New)
	if err != nil {
		return nil //nolint:nilerr // a tag, or nothing that could hold a workflow
	}
	was, _ := entryAt(ctx, r.git, orEmpty(from), ".github/workflows")
	is, _ := entryAt(ctx, r.git, cm.Tree, ".github/workflows")
	if was.ID == is.ID || is.ID == "" {
		return nil
	}
	paths, err := r.git.Diff(ctx, orEmpty(was.ID), is.ID)
	if err != nil || len(paths) == 0 {
		return err
	}
	return fmt.Errorf("refusing to allow a GitHub App to create or update workflow `.github/workflows/%s` without `workflows` permission", paths[0])
}

func orEmpty(tree string) string {
	if tree == "" {
		return gitstore.EmptyTree
	}
	return tree
}

// pkt takes one packet off data. A flush is a nil payload; ok is false where
// data is no packet.
func pkt(data []byte) (payload, rest []byte, ok bool) {
	if len(data) < 4 {
		return nil, nil, false
	}
	n, err := strconv.ParseUint(string(data[:4]), 16, 16)
	if err != nil || uint64(len(data)) < n {
		return nil, nil, false
	}
	if n < 4 {
		return nil, data[4:], true
	}
	return data[4:n], data[n:], true
}

func putPkt(b *bytes.Buffer, payload []byte) {
	fmt.Fprintf(b, "%04x", len(payload)+4)
	b.Write(payload)
}

// reword puts GitHub's reasons in place of the store's "hook declined" in the
// answer to a push, on a side band or without one.
func reword(answer []byte, refused map[string]string) []byte {
	var out, report bytes.Buffer
	banded := false
	for rest := answer; len(rest) > 0; {
		p, next, ok := pkt(rest)
		if !ok {
			return answer
		}
		rest = next
		switch {
		case p == nil:
		case p[0] == 1:
			banded = true
			report.Write(p[1:])
		case p[0] == 2 || p[0] == 3:
			banded = true
			putPkt(&out, p)
		}
	}
	if !banded {
		return rewordReport(answer, refused)
	}
	for b := rewordReport(report.Bytes(), refused); len(b) > 0; {
		n := min(len(b), 990)
		putPkt(&out, append([]byte{1}, b[:n]...))
		b = b[n:]
	}
	out.WriteString("0000")
	return out.Bytes()
}

func rewordReport(report []byte, refused map[string]string) []byte {
	var out bytes.Buffer
	for rest := report; len(rest) > 0; {
		p, next, ok := pkt(rest)
		if !ok {
			return report
		}
		rest = next
		if p == nil {
			out.WriteString("0000")
			continue
		}
		line := strings.TrimSuffix(string(p), "\n")
		if f := strings.SplitN(line, " ", 3); len(f) == 3 && f[0] == "ng" && strings.Contains(f[2], "hook declined") && refused[f[1]] != "" {
			line = "ng " + f[1] + " " + refused[f[1]]
		}
		putPkt(&out, []byte(line+"\n"))
	}
	return out.Bytes()
}
