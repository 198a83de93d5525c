package githubemu

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// maxDiffLines bounds the work on one file: longer ones are shown as replaced
// whole.
const maxDiffLines = 4000

// fileJSON is one changed file as pulls, commits and comparisons show it.
func (s *Server) fileJSON(ctx context.Context, r *repo, from, to, path, sha string) object {
	old, hadOld := fileAt(ctx, r.git, from, path)
	now, hasNew := fileAt(ctx, r.git, to, path)
	status := "modified"
	blob := ""
	if e, err := entryAt(ctx, r.git, to, path); err == nil {
		blob = e.ID
	} else if e, err := entryAt(ctx, r.git, from, path); err == nil {
		blob = e.ID
	}
	switch {
	case !hadOld:
		status = "added"
	case !hasNew:
		status = "removed"
	}
	patch, add, dels := unified(old, now)
	o := object{
		"sha": blob, "filename": path, "status": status, "additions": add, "deletions": dels, "changes": add + dels,
		"blob_url":     s.html("/%s/blob/%s/%s", r.full(), sha, escapePath(path)),
		"raw_url":      s.html("/%s/raw/%s/%s", r.full(), sha, escapePath(path)),
		"contents_url": s.api("/repos/%s/contents/%s?ref=%s", r.full(), escapePath(path), sha),
	}
	if patch != "" {
		o["patch"] = patch
	}
	return o
}

// filesJSON lists all changed files with their sums.
func (s *Server) filesJSON(ctx context.Context, r *repo, from, to, sha string) (files []object, additions, deletions int, err error) {
	paths, err := r.git.Diff(ctx, from, to)
	if err != nil {
		return nil, 0, 0, err
	}
	files = []object{}
	for _, p := range paths {
		o := s.fileJSON(ctx, r, from, to, p, sha)
		a, _ := o["additions"].(int)
		d, _ := o["deletions"].(int)
		additions, deletions = additions+a, deletions+d
		files = append(files, o)
	}
	return files, additions, deletions, nil
}

// pullDiff is a pull request as one diff.
func (s *Server) pullDiff(ctx context.Context, r *repo, p *pull) (string, error) {
	from, to, err := s.pullTrees(ctx, r, p)
	if err != nil {
		return "", err
	}
	paths, err := r.git.Diff(ctx, from, to)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, path := range paths {
		old, hadOld := fileAt(ctx, r.git, from, path)
		now, hasNew := fileAt(ctx, r.git, to, path)
		patch, _, _ := unified(old, now)
		left, right := "a/"+path, "b/"+path
		fmt.Fprintf(&b, "diff --git %s %s\n", left, right)
		if !hadOld {
			left = "/dev/null"
			b.WriteString("new file mode 100644\n")
		}
		if !hasNew {
			right = "/dev/null"
			b.WriteString("deleted file mode 100644\n")
		}
		if patch != "" {
			fmt.Fprintf(&b, "--- %s\n+++ %s\n%s\n", left, right, patch)
		}
	}
	return b.String(), nil
}

// diffLine is a line of a diff: ' ', '-' or '+', and where it was and is.
type diffLine struct {
	op       byte
	text     string
	old, now int // 1-based line numbers; those of the other side's next line where it has none
}

// unified makes hunks with three lines of context, as GitHub's patch field has
// them: without file headers and without a last newline.
func unified(old, now string) (patch string, additions, deletions int) {
	if old == now || bytes.IndexByte([]byte(old+now), 0) >= 0 {
		return "", 0, 0
	}
	lines := diffLines(splitLines(old), splitLines(now))
	var b strings.Builder
	for start := 0; start < len(lines); {
		if lines[start].op == ' ' {
			start++
			continue
		}
		from := max(start-3, 0)
		end := start
		for gap := 0; end < len(lines) && gap <= 6; end++ {
			if lines[end].op == ' ' {
				gap++
			} else {
				gap = 0
			}
		}
		to := end
		for to > start && lines[to-1].op == ' ' {
			to--
		}
		to = min(to+3, len(lines))
		a, d := writeHunk(&b, lines[from:to])
		additions, deletions = additions+a, deletions+d
		start = to
	}
	return strings.TrimSuffix(b.String(), "\n"), additions, deletions
}

func writeHunk(b *strings.Builder, hunk []diffLine) (additions, deletions int) {
	oldN, newN := 0, 0
	for _, l := range hunk {
		if l.op != '+' {
			oldN++
		}
		if l.op != '-' {
			newN++
		}
	}
	span := func(at, n int) string {
		if n == 0 {
			at--
		}
		if n == 1 {
			return fmt.Sprint(at)
		}
		return fmt.Sprintf("%d,%d", at, n)
	}
	fmt.Fprintf(b, "@@ -%s +%s @@\n", span(hunk[0].old, oldN), span(hunk[0].now, newN))
	for _, l := range hunk {
		switch l.op {
		case '+':
			additions++
		case '-':
			deletions++
		}
		text, ended := strings.CutSuffix(l.text, "\n")
		b.WriteByte(l.op)
		b.WriteString(text + "\n")
		if !ended {
			b.WriteString("\\ No newline at end of file\n")
		}
	}
	return additions, deletions
}

func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.SplitAfter(s, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// diffLines compares two files line by line: equal head and tail first, then
// the longest common subsequence of what is between.
func diffLines(a, b []string) []diffLine {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	out := make([]diffLine, 0, len(a)+len(b))
	i, j := 0, 0
	emit := func(op byte, text string) {
		out = append(out, diffLine{op, text, i + 1, j + 1})
		if op != '+' {
			i++
		}
		if op != '-' {
			j++
		}
	}
	for i < head {
		emit(' ', a[i])
	}
	for _, op := range script(a[head:len(a)-tail], b[head:len(b)-tail]) {
		if op == '+' {
			emit('+', b[j])
		} else {
			emit(op, a[i])
		}
	}
	for i < len(a) {
		emit(' ', a[i])
	}
	return out
}

// script is the edit script between two middles.
func script(a, b []string) []byte {
	if len(a)*len(b) == 0 || len(a) > maxDiffLines || len(b) > maxDiffLines {
		return append(bytes.Repeat([]byte{'-'}, len(a)), bytes.Repeat([]byte{'+'}, len(b))...)
	}
	common := make([][]int32, len(a)+1)
	for i := range common {
		common[i] = make([]int32, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []byte
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, ' ')
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out = append(out, '-')
			i++
		default:
			out = append(out, '+')
			j++
		}
	}
	return out
}
