package githubemu

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// pull is what a pull request has beside its issue.
type pull struct {
	ID          int64
	Number      int
	HeadRef     string
	HeadSHA     string
	BaseRef     string
	BaseSHA     string // where the base was when the head or base last changed
	Draft       bool
	Merged      bool
	MergedAt    time.Time
	MergedBy    string
	MergeSHA    string
	HeadDeleted bool
	Reviews     []*review
	Requested   []string
	AutoMerge   string // method, if armed

	mergeKey   string // head and base that reads have been answered for
	mergeReads int    // reads answered with null since
}

// issueOf is the issue that carries a pull request's title and conversation.
func (r *repo) issueOf(p *pull) *issue { return r.Issues[p.Number] }

func (s *Server) pullRoutes() []*route {
	const pulls = "/repos/{owner}/{repo}/pulls"
	return []*route{
		get(pulls, "pull_requests:read", s.listPulls),
		creates(post(pulls, "pull_requests:write", s.createPullRoute)),
		get(pulls+"/{number}", "pull_requests:read", s.getPull),
		patch(pulls+"/{number}", "pull_requests:write", s.patchPull),
		get(pulls+"/{number}/files", "pull_requests:read", s.pullFiles),
		get(pulls+"/{number}/commits", "pull_requests:read", s.pullCommits),
		get(pulls+"/{number}/merge", "contents:read", s.isMerged),
		creates(put(pulls+"/{number}/merge", "contents:write", s.mergeRoute)),
		creates(put(pulls+"/{number}/update-branch", "pull_requests:write", s.updateBranchRoute)),
		get("/repos/{owner}/{repo}/commits/{sha}/pulls", "pull_requests:read", s.commitPulls),
	}
}

func (c *call) pull() (*pull, error) {
	n, err := c.number()
	if err != nil {
		return nil, err
	}
	p := c.repo.Pulls[n]
	if p == nil {
		return nil, notFound()
	}
	return p, nil
}

// newPull is what a pull request is opened with.
type newPull struct {
	Title, Body, Head, Base string
	Draft                   bool
}

func (s *Server) createPullRoute(c *call) (reply, error) {
	var in newPull
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	p, err := s.createPull(c.ctx, c.repo, c.who.acc, in)
	if err != nil {
		return reply{}, err
	}
	rp, err := created(s.pullJSON(c.ctx, c.repo, p, true))
	rp.header = http.Header{"Location": {s.api("/repos/%s/pulls/%d", c.repo.full(), p.Number)}}
	return rp, err
}

// createPull opens a pull request, or refuses as GitHub does.
func (s *Server) createPull(ctx context.Context, r *repo, who *account, in newPull) (*pull, error) {
	owner, head, split := strings.Cut(in.Head, ":")
	if !split {
		head = in.Head
	} else if fold(owner) != fold(r.Owner) {
		return nil, invalid("PullRequest", "head", "invalid")
	}
	if in.Title == "" {
		return nil, invalid("PullRequest", "title", "missing_field")
	}
	if utf8.RuneCountInString(in.Body) > maxText {
		return nil, custom("PullRequest", "body is too long (maximum is 65536 characters)")
	}
	headSHA, err := s.tip(ctx, r, head)
	if err != nil || head == "" {
		return nil, invalid("PullRequest", "head", "invalid")
	}
	baseSHA, err := s.tip(ctx, r, in.Base)
	if err != nil || in.Base == "" {
		return nil, invalid("PullRequest", "base", "invalid")
	}
	for _, p := range sortedBy(r.Pulls) {
		if r.issueOf(p).State == "open" && p.HeadRef == head && p.BaseRef == in.Base {
			return nil, custom("PullRequest", "A pull request already exists for %s:%s.", r.Owner, head)
		}
	}
	inside, err := s.reaches(ctx, r, headSHA, baseSHA)
	if err != nil {
		return nil, err
	}
	if inside {
		return nil, custom("PullRequest", "No commits between %s and %s", in.Base, head)
	}
	if _, err := r.git.MergeBase(ctx, headSHA, baseSHA); errors.Is(err, gitstore.ErrNotFound) {
		return nil, custom("PullRequest", "The %s branch has no history in common with %s", head, in.Base)
	}
	i := s.newIssue(r, who, in.Title, in.Body)
	p := &pull{ID: s.w.next("pull"), Number: i.Number, HeadRef: head, HeadSHA: headSHA, BaseRef: in.Base, BaseSHA: baseSHA, Draft: in.Draft}
	r.Pulls[p.Number] = p
	s.keepHead(ctx, r, p)
	s.emitPull(ctx, r, p, "opened", who, nil)
	return p, nil
}

// keepHead points refs/pull/N/head at the head, so that its commits outlive
// the branch. A store that refuses costs nothing but that.
func (s *Server) keepHead(ctx context.Context, r *repo, p *pull) {
	ref := "refs/pull/" + itoa(p.Number) + "/head"
	old, err := s.refAt(ctx, r, ref)
	if err != nil {
		old = gitstore.Zero
	}
	if old != p.HeadSHA {
		_ = r.git.UpdateRefs(ctx, []gitstore.RefUpdate{{Ref: ref, Old: old, New: p.HeadSHA}})
	}
}

func (s *Server) listPulls(c *call) (reply, error) {
	q := c.r.URL.Query()
	state := q.Get("state")
	if state == "" {
		state = "open"
	}
	head := q.Get("head")
	owner, branch, split := strings.Cut(head, ":")
	var all []*pull
	for _, p := range sortedBy(c.repo.Pulls) {
		i := c.repo.issueOf(p)
		if state != "all" && i.State != state || q.Get("base") != "" && q.Get("base") != p.BaseRef {
			continue
		}
		// As on GitHub, a head without its owner filters nothing.
		if split && (fold(owner) != fold(c.repo.Owner) || branch != p.HeadRef) {
			continue
		}
		all = append(all, p)
	}
	newest := q.Get("direction") == "desc" || q.Get("direction") == "" && (q.Get("sort") == "" || q.Get("sort") == "created")
	slices.SortStableFunc(all, func(a, b *pull) int {
		d := cmp.Compare(a.Number, b.Number)
		if q.Get("sort") == "updated" {
			d = cmp.Or(c.repo.issueOf(a).UpdatedAt.Compare(c.repo.issueOf(b).UpdatedAt), d)
		}
		if newest {
			return -d
		}
		return d
	})
	return list(c, all, func(p *pull) object { return s.pullJSON(c.ctx, c.repo, p, false) })
}

func (s *Server) getPull(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	if strings.Contains(c.r.Header.Get("Accept"), "diff") {
		text, err := s.pullDiff(c.ctx, c.repo, p)
		return reply{status: 200, body: []byte(text), header: http.Header{"Content-Type": {"application/vnd.github.diff; charset=utf-8"}}}, err
	}
	return ok(s.pullJSON(c.ctx, c.repo, p, true))
}

func (s *Server) patchPull(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	var in struct{ Title, Body, State, Base *string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	who := c.who.acc
	i := c.repo.issueOf(p)
	if fold(i.User) != fold(who.Login) && !s.canPush(c.repo, who) {
		return reply{}, fail(http.StatusForbidden, "Must have write access to the repository")
	}
	if in.State != nil && *in.State != "open" && *in.State != "closed" {
		return reply{}, invalid("PullRequest", "state", "invalid")
	}
	if in.Title != nil && *in.Title == "" {
		return reply{}, invalid("PullRequest", "title", "missing_field")
	}
	if in.Body != nil && utf8.RuneCountInString(*in.Body) > maxText {
		return reply{}, custom("PullRequest", "body is too long (maximum is 65536 characters)")
	}
	changes := object{}
	if in.Title != nil && *in.Title != i.Title {
		changes["title"] = object{"from": i.Title}
		i.Title = *in.Title
	}
	if in.Body != nil && *in.Body != i.Body {
		changes["body"] = object{"from": i.Body}
		i.Body = *in.Body
	}
	if in.Base != nil && *in.Base != p.BaseRef {
		was, err := s.retarget(c.ctx, c.repo, p, *in.Base)
		if err != nil {
			return reply{}, err
		}
		changes["base"] = was
	}
	if len(changes) > 0 {
		i.UpdatedAt = s.now()
		s.emitPull(c.ctx, c.repo, p, "edited", who, object{"changes": changes})
	}
	if in.State != nil && *in.State != i.State {
		if err := s.setPullState(c.ctx, c.repo, p, who, *in.State); err != nil {
			return reply{}, err
		}
	}
	return ok(s.pullJSON(c.ctx, c.repo, p, true))
}

// retarget moves a pull request to another base and returns the change as an
// event tells it.
func (s *Server) retarget(ctx context.Context, r *repo, p *pull, base string) (object, error) {
	sha, err := s.tip(ctx, r, base)
	if err != nil {
		return nil, invalid("PullRequest", "base", "invalid")
	}
	if r.issueOf(p).State != "open" {
		return nil, custom("PullRequest", "Cannot change the base branch of a closed pull request.")
	}
	inside, err := s.reaches(ctx, r, p.HeadSHA, sha)
	if err != nil {
		return nil, err
	}
	if inside {
		return nil, custom("PullRequest", "There are no new commits between base branch '%s' and head branch '%s'", base, p.HeadRef)
	}
	was := object{"ref": object{"from": p.BaseRef}, "sha": object{"from": p.BaseSHA}}
	p.BaseRef, p.BaseSHA = base, sha
	return was, nil
}

// setPullState closes or reopens a pull request.
func (s *Server) setPullState(ctx context.Context, r *repo, p *pull, who *account, state string) error {
	i := r.issueOf(p)
	if state == "closed" {
		s.closeIssue(i, who)
		s.emitPull(ctx, r, p, "closed", who, nil)
		return nil
	}
	if p.Merged {
		return custom("PullRequest", "state cannot be changed. The pull request cannot be reopened.")
	}
	tip, err := s.tip(ctx, r, p.HeadRef)
	if err != nil {
		return custom("PullRequest", "state cannot be changed. The %s branch has been deleted.", p.HeadRef)
	}
	for _, q := range r.Pulls {
		if q != p && r.issueOf(q).State == "open" && q.HeadRef == p.HeadRef && q.BaseRef == p.BaseRef {
			return custom("PullRequest", "state cannot be changed. There is already an open pull request from %s to %s.", p.HeadRef, p.BaseRef)
		}
	}
	if tip != p.HeadSHA {
		forward, err := s.reaches(ctx, r, p.HeadSHA, tip)
		if err != nil {
			return err
		}
		if !forward {
			return custom("PullRequest", "state cannot be changed. The %s branch was force-pushed or recreated.", p.HeadRef)
		}
		p.HeadSHA = tip
		s.keepHead(ctx, r, p)
	}
	p.HeadDeleted = false
	s.reopenIssue(i, who)
	s.emitPull(ctx, r, p, "reopened", who, nil)
	return nil
}

func (s *Server) setDraft(ctx context.Context, r *repo, p *pull, who *account, draft bool) error {
	if p.Draft == draft || r.issueOf(p).State != "open" {
		return nil
	}
	p.Draft = draft
	r.issueOf(p).UpdatedAt = s.now()
	s.emitPull(ctx, r, p, map[bool]string{true: "converted_to_draft", false: "ready_for_review"}[draft], who, nil)
	return nil
}

func (s *Server) isMerged(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	if !p.Merged {
		return reply{}, notFound()
	}
	return noContent()
}

func (s *Server) commitPulls(c *call) (reply, error) {
	sha, err := s.resolveRef(c.ctx, c.repo, c.vars["sha"])
	if err != nil {
		return reply{}, err
	}
	var all []*pull
	for _, p := range sortedBy(c.repo.Pulls) {
		if p.HeadSHA == sha || p.MergeSHA == sha {
			all = append(all, p)
			continue
		}
		commits, err := s.pullLog(c.ctx, c.repo, p)
		if err == nil && slices.ContainsFunc(commits, func(cm gitstore.Commit) bool { return cm.ID == sha }) {
			all = append(all, p)
		}
	}
	return list(c, all, func(p *pull) object { return s.pullJSON(c.ctx, c.repo, p, false) })
}

// pullLog lists a pull request's commits, oldest first.
func (s *Server) pullLog(ctx context.Context, r *repo, p *pull) ([]gitstore.Commit, error) {
	out, err := r.git.Log(ctx, p.HeadSHA, []string{s.compareBase(ctx, r, p)}, maxCommits)
	slices.Reverse(out)
	return out, err
}

// compareBase is what a pull request is compared with: the live base while it
// is open, the recorded one afterwards.
func (s *Server) compareBase(ctx context.Context, r *repo, p *pull) string {
	if r.issueOf(p).State == "open" {
		if tip, err := s.tip(ctx, r, p.BaseRef); err == nil {
			return tip
		}
	}
	return p.BaseSHA
}

func (s *Server) pullCommits(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	commits, err := s.pullLog(c.ctx, c.repo, p)
	if err != nil {
		return reply{}, err
	}
	return list(c, commits[:min(len(commits), 250)], func(cm gitstore.Commit) object { return s.commitJSON(c.repo, cm) })
}

// pullTrees are the merge base's tree and the head's.
func (s *Server) pullTrees(ctx context.Context, r *repo, p *pull) (from, to string, err error) {
	head, err := r.git.ReadCommit(ctx, p.HeadSHA)
	if err != nil {
		return "", "", err
	}
	base, err := r.git.MergeBase(ctx, s.compareBase(ctx, r, p), p.HeadSHA)
	if errors.Is(err, gitstore.ErrNotFound) {
		return "", head.Tree, nil
	}
	if err != nil {
		return "", "", err
	}
	b, err := r.git.ReadCommit(ctx, base)
	return b.Tree, head.Tree, err
}

func (s *Server) pullFiles(c *call) (reply, error) {
	p, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	from, to, err := s.pullTrees(c.ctx, c.repo, p)
	if err != nil {
		return reply{}, err
	}
	paths, err := c.repo.git.Diff(c.ctx, from, to)
	if err != nil {
		return reply{}, err
	}
	return list(c, paths[:min(len(paths), 3000)], func(path string) object { return s.fileJSON(c.ctx, c.repo, from, to, path, p.HeadSHA) })
}
