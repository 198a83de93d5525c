package githubemu

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

func (s *Server) contentRoutes() []*route {
	const r = "/repos/{owner}/{repo}"
	return []*route{
		get(r+"/contents", "contents:read", s.getContents),
		get(r+"/contents/{path...}", "contents:read", s.getContents),
		creates(put(r+"/contents/{path...}", "contents:write", s.putContents)),
		creates(del(r+"/contents/{path...}", "contents:write", s.deleteContents)),
		get(r+"/compare/{basehead...}", "contents:read", s.compare),
		get(r+"/branches", "contents:read", s.listBranches),
		get(r+"/branches/{branch...}/protection", "administration:read", s.getProtection),
		get(r+"/branches/{branch...}", "contents:read", s.getBranch),
		get(r+"/commits", "contents:read", s.listCommits),
		get(r+"/commits/{ref...}/branches-where-head", "contents:read", s.branchesWhereHead),
		creates(post(r+"/merges", "contents:write", s.mergeBranches)),
	}
}

// lateContentRoutes come after those that continue /commits/{ref}/….
func (s *Server) lateContentRoutes() []*route {
	return []*route{get("/repos/{owner}/{repo}/commits/{ref...}", "contents:read", s.getCommit)}
}

func (s *Server) getContents(c *call) (reply, error) {
	sha, err := s.resolveRef(c.ctx, c.repo, c.query("ref"))
	if err != nil {
		return reply{}, fail(http.StatusNotFound, "No commit found for the ref %s", c.query("ref"))
	}
	cm, err := c.repo.git.ReadCommit(c.ctx, sha)
	if err != nil {
		return reply{}, err
	}
	path := strings.Trim(c.vars["path"], "/")
	e, err := entryAt(c.ctx, c.repo.git, cm.Tree, path)
	if err != nil {
		return reply{}, notFound()
	}
	ref := c.query("ref")
	if ref == "" {
		ref = c.repo.DefaultBranch
	}
	if !isTree(e) {
		_, data, err := c.repo.git.ReadObject(c.ctx, e.ID)
		if err != nil {
			return reply{}, err
		}
		if strings.Contains(c.r.Header.Get("Accept"), "raw") {
			return reply{status: 200, body: data, header: http.Header{"Content-Type": {"application/vnd.github.raw; charset=utf-8"}}}, nil
		}
		return ok(s.fileContentJSON(c.repo, ref, path, e, data))
	}
	entries, err := c.repo.git.ReadTree(c.ctx, e.ID)
	if err != nil {
		return reply{}, err
	}
	rows := []object{}
	for _, sub := range entries[:min(len(entries), 1000)] {
		p := strings.TrimPrefix(path+"/"+sub.Name, "/")
		_, data, _ := c.repo.git.ReadObject(c.ctx, sub.ID)
		if isTree(sub) {
			data = nil
		}
		o := s.entryJSON(c.repo, ref, p, sub, len(data))
		rows = append(rows, o)
	}
	return ok(rows)
}

func (s *Server) entryJSON(r *repo, ref, path string, e gitstore.TreeEntry, size int) object {
	kind, page := "file", "blob"
	git := s.api("/repos/%s/git/blobs/%s", r.full(), e.ID)
	if isTree(e) {
		kind, page = "dir", "tree"
		git = s.api("/repos/%s/git/trees/%s", r.full(), e.ID)
	}
	u := s.api("/repos/%s/contents/%s?ref=%s", r.full(), escapePath(path), ref)
	html := s.html("/%s/%s/%s/%s", r.full(), page, ref, escapePath(path))
	o := object{
		"type": kind, "name": path[strings.LastIndex(path, "/")+1:], "path": path, "sha": e.ID, "size": size, "url": u,
		"git_url": git, "html_url": html, "download_url": nil, "_links": object{"self": u, "git": git, "html": html},
	}
	if kind == "file" {
		o["download_url"] = s.html("/%s/raw/%s/%s", r.full(), ref, escapePath(path))
	}
	return o
}

func (s *Server) fileContentJSON(r *repo, ref, path string, e gitstore.TreeEntry, data []byte) object {
	o := s.entryJSON(r, ref, path, e, len(data))
	o["encoding"], o["content"] = "base64", lines64(data)
	return o
}

type contentInput struct {
	Message, Content, SHA, Branch string
	Author, Committer             *person
}

func (s *Server) putContents(c *call) (reply, error) {
	var in contentInput
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(in.Content, "\n", ""))
	if err != nil {
		return reply{}, fail(422, "content is not valid Base64")
	}
	blob, err := c.repo.git.WriteObject(c.ctx, "blob", data)
	if err != nil {
		return reply{}, err
	}
	return s.changeContents(c, in, edit{Mode: "100644", ID: blob}, data)
}

func (s *Server) deleteContents(c *call) (reply, error) {
	var in contentInput
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if in.SHA == "" {
		return reply{}, fail(422, "Invalid request.\n\n\"sha\" wasn't supplied.")
	}
	return s.changeContents(c, in, edit{}, nil)
}

// changeContents commits one path's change on a branch.
func (s *Server) changeContents(c *call, in contentInput, e edit, data []byte) (reply, error) {
	path, branch := strings.Trim(c.vars["path"], "/"), in.Branch
	if in.Message == "" {
		return reply{}, fail(422, "Invalid request.\n\n\"message\" wasn't supplied.")
	}
	if branch == "" {
		branch = c.repo.DefaultBranch
	}
	branch = strings.TrimPrefix(branch, "refs/heads/")
	tip, err := s.tip(c.ctx, c.repo, branch)
	if err != nil {
		return reply{}, fail(http.StatusNotFound, "Branch %s not found", branch)
	}
	parent, err := c.repo.git.ReadCommit(c.ctx, tip)
	if err != nil {
		return reply{}, err
	}
	was, err := entryAt(c.ctx, c.repo.git, parent.Tree, path)
	switch {
	case err == nil && in.SHA == "":
		return reply{}, fail(422, "Invalid request.\n\n\"sha\" wasn't supplied.")
	case err == nil && in.SHA != was.ID, err != nil && in.SHA != "":
		return reply{}, fail(http.StatusConflict, "%s does not match %s", path, in.SHA)
	case err == nil && was.Mode != "" && e.ID != "":
		e.Mode = was.Mode
	}
	tree, err := editTree(c.ctx, c.repo.git, parent.Tree, map[string]edit{path: e})
	if err != nil {
		return reply{}, err
	}
	sha, err := s.contentsCommit(c, in, tree, tip)
	if err != nil {
		return reply{}, err
	}
	if err := s.moveRef(c.ctx, c.repo, c.who.acc, gitstore.RefUpdate{Ref: "refs/heads/" + branch, Old: tip, New: sha}, false); err != nil {
		return reply{}, err
	}
	cm, err := c.repo.git.ReadCommit(c.ctx, sha)
	if err != nil {
		return reply{}, err
	}
	out := object{"content": nil, "commit": s.gitCommitJSON(c.repo, cm)}
	status := http.StatusOK
	if e.ID != "" {
		out["content"] = s.entryJSON(c.repo, branch, path, gitstore.TreeEntry{Mode: e.Mode, ID: e.ID}, len(data))
		if was.ID == "" {
			status = http.StatusCreated
		}
	}
	return reply{status: status, body: out}, nil
}

func (s *Server) contentsCommit(c *call, in contentInput, tree, tip string) (string, error) {
	if in.Author == nil && in.Committer == nil {
		return s.webCommit(c.ctx, c.repo, c.who.acc, tree, []string{tip}, in.Message)
	}
	cm := newCommit{Tree: tree, Parents: []string{tip}, Message: in.Message, Author: s.identOf(c.who.acc), Committer: s.identOf(c.who.acc)}
	if in.Author != nil {
		cm.Author, cm.Committer = s.identFor(in.Author), s.identFor(in.Author)
	}
	if in.Committer != nil {
		cm.Committer = s.identFor(in.Committer)
	}
	return s.writeCommit(c.ctx, c.repo, cm)
}

func (s *Server) listBranches(c *call) (reply, error) {
	names, at, err := s.branches(c.ctx, c.repo)
	if err != nil {
		return reply{}, err
	}
	return list(c, names, func(n string) object {
		return object{
			"name": n, "protected": len(c.repo.rulesFor(n)) > 0,
			"commit": object{"sha": at[n], "url": s.api("/repos/%s/commits/%s", c.repo.full(), at[n])},
		}
	})
}

func (s *Server) getBranch(c *call) (reply, error) {
	n := c.vars["branch"]
	tip, err := s.tip(c.ctx, c.repo, n)
	if err != nil {
		return reply{}, fail(http.StatusNotFound, "Branch not found")
	}
	cm, err := c.repo.git.ReadCommit(c.ctx, tip)
	if err != nil {
		return reply{}, err
	}
	u := s.api("/repos/%s/branches/%s", c.repo.full(), n)
	rules := c.repo.rulesFor(n)
	contexts, checks, classic := []string{}, []object{}, false
	for _, rule := range rules {
		if !rule.Protection {
			continue // rulesets have their own endpoint
		}
		classic = true
		for _, rc := range rule.RequiredChecks {
			contexts = append(contexts, rc.Context)
			checks = append(checks, rc.json())
		}
	}
	level := "off"
	if len(contexts) > 0 {
		level = "non_admins"
	}
	return ok(object{
		"name": n, "commit": s.commitJSON(c.repo, cm), "protected": len(rules) > 0, "protection_url": u + "/protection",
		"_links":     object{"self": u, "html": s.html("/%s/tree/%s", c.repo.full(), n)},
		"protection": object{"enabled": classic, "required_status_checks": object{"enforcement_level": level, "contexts": contexts, "checks": checks}},
	})
}

func (s *Server) listCommits(c *call) (reply, error) {
	from := c.query("sha")
	tip, err := s.resolveRef(c.ctx, c.repo, from)
	if err != nil {
		return reply{}, fail(http.StatusNotFound, "Not Found")
	}
	all, err := c.repo.git.Log(c.ctx, tip, nil, maxCommits)
	if err != nil {
		return reply{}, err
	}
	if path := c.query("path"); path != "" {
		all = slices.DeleteFunc(all, func(cm gitstore.Commit) bool { return !s.touches(c.ctx, c.repo, cm, path) })
	}
	return list(c, all, func(cm gitstore.Commit) object { return s.commitJSON(c.repo, cm) })
}

func (s *Server) touches(ctx context.Context, r *repo, cm gitstore.Commit, path string) bool {
	now, _ := entryAt(ctx, r.git, cm.Tree, path)
	for _, p := range cm.Parents {
		parent, err := r.git.ReadCommit(ctx, p)
		if err != nil {
			return true
		}
		was, _ := entryAt(ctx, r.git, parent.Tree, path)
		if was.ID == now.ID {
			return false
		}
	}
	return len(cm.Parents) > 0 || now.ID != ""
}

func (s *Server) getCommit(c *call) (reply, error) {
	sha, err := s.resolveRef(c.ctx, c.repo, c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	if strings.HasSuffix(c.r.Header.Get("Accept"), "sha") {
		return reply{status: 200, body: []byte(sha), header: http.Header{"Content-Type": {"application/vnd.github.sha; charset=utf-8"}}}, nil
	}
	cm, err := c.repo.git.ReadCommit(c.ctx, sha)
	if err != nil {
		return reply{}, err
	}
	o := s.commitJSON(c.repo, cm)
	from := ""
	if len(cm.Parents) > 0 {
		p, err := c.repo.git.ReadCommit(c.ctx, cm.Parents[0])
		if err != nil {
			return reply{}, err
		}
		from = p.Tree
	}
	files, add, dels, err := s.filesJSON(c.ctx, c.repo, from, cm.Tree, sha)
	if err != nil {
		return reply{}, err
	}
	o["files"], o["stats"] = files, object{"additions": add, "deletions": dels, "total": add + dels}
	return ok(o)
}

func (s *Server) branchesWhereHead(c *call) (reply, error) {
	names, at, err := s.branches(c.ctx, c.repo)
	if err != nil {
		return reply{}, err
	}
	return list(c, slices.DeleteFunc(names, func(n string) bool { return at[n] != c.vars["ref"] }), func(n string) object {
		return object{
			"name": n, "protected": len(c.repo.rulesFor(n)) > 0,
			"commit": object{"sha": at[n], "url": s.api("/repos/%s/commits/%s", c.repo.full(), at[n])},
		}
	})
}

// compare answers BASE...HEAD.
func (s *Server) compare(c *call) (reply, error) {
	left, right, okay := strings.Cut(c.vars["basehead"], "...")
	if !okay {
		return reply{}, notFound()
	}
	base, err1 := s.resolveRef(c.ctx, c.repo, withoutOwner(left))
	head, err2 := s.resolveRef(c.ctx, c.repo, withoutOwner(right))
	if err1 != nil || err2 != nil {
		return reply{}, notFound()
	}
	mb, err := c.repo.git.MergeBase(c.ctx, base, head)
	if errors.Is(err, gitstore.ErrNotFound) {
		return reply{}, fail(http.StatusNotFound, "No common ancestor between %s and %s.", left, right)
	}
	if err != nil {
		return reply{}, err
	}
	ahead, err := c.repo.git.Log(c.ctx, head, []string{base}, maxCommits)
	if err != nil {
		return reply{}, err
	}
	behind, err := c.repo.git.Log(c.ctx, base, []string{head}, maxCommits)
	if err != nil {
		return reply{}, err
	}
	slices.Reverse(ahead)
	return s.compareReply(c, base, head, mb, ahead, len(behind))
}

func withoutOwner(ref string) string {
	if _, after, ok := strings.Cut(ref, ":"); ok {
		return after
	}
	return ref
}

func (s *Server) compareReply(c *call, base, head, mb string, ahead []gitstore.Commit, behind int) (reply, error) {
	var cs [3]gitstore.Commit
	for i, id := range []string{base, head, mb} {
		cm, err := c.repo.git.ReadCommit(c.ctx, id)
		if err != nil {
			return reply{}, err
		}
		cs[i] = cm
	}
	files, _, _, err := s.filesJSON(c.ctx, c.repo, cs[2].Tree, cs[1].Tree, head)
	if err != nil {
		return reply{}, err
	}
	cut, h := page(c, ahead)
	if c.query("page") == "" {
		cut, h = ahead[:min(len(ahead), 250)], nil
	}
	commits := []object{}
	for _, cm := range cut {
		commits = append(commits, s.commitJSON(c.repo, cm))
	}
	state := "diverged"
	switch {
	case len(ahead) == 0 && behind == 0:
		state = "identical"
	case behind == 0:
		state = "ahead"
	case len(ahead) == 0:
		state = "behind"
	}
	u := s.api("/repos/%s/compare/%s", c.repo.full(), escapePath(c.vars["basehead"]))
	page := s.html("/%s/compare/%s", c.repo.full(), c.vars["basehead"])
	return reply{status: 200, header: h, body: object{
		"url": u, "html_url": page,
		"permalink_url": s.html("/%s/compare/%s...%s", c.repo.full(), base[:7], head[:7]), "diff_url": page + ".diff",
		"patch_url": page + ".patch", "base_commit": s.commitJSON(c.repo, cs[0]), "merge_base_commit": s.commitJSON(c.repo, cs[2]),
		"status": state, "ahead_by": len(ahead), "behind_by": behind, "total_commits": len(ahead), "commits": commits,
		"files": files[:min(len(files), 300)],
	}}, nil
}

// mergeBranches merges one branch into another without a pull request.
func (s *Server) mergeBranches(c *call) (reply, error) {
	var in struct {
		Base, Head string
		Message    string `json:"commit_message"`
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	base, err := s.tip(c.ctx, c.repo, in.Base)
	if err != nil {
		return reply{}, fail(http.StatusNotFound, "Base does not exist")
	}
	head, err := s.resolveRef(c.ctx, c.repo, in.Head)
	if err != nil {
		return reply{}, fail(http.StatusNotFound, "Head does not exist")
	}
	inside, err := s.reaches(c.ctx, c.repo, head, base)
	if err != nil {
		return reply{}, err
	}
	if inside {
		return noContent()
	}
	tree, conflicts, err := c.repo.git.MergeTree(c.ctx, base, head)
	if err != nil {
		return reply{}, err
	}
	if len(conflicts) > 0 {
		return reply{}, fail(http.StatusConflict, "Merge conflict")
	}
	if in.Message == "" {
		in.Message = "Merge " + in.Head + " into " + in.Base
	}
	sha, err := s.webCommit(c.ctx, c.repo, c.who.acc, tree, []string{base, head}, in.Message)
	if err != nil {
		return reply{}, err
	}
	if err := s.moveRef(c.ctx, c.repo, c.who.acc, gitstore.RefUpdate{Ref: "refs/heads/" + in.Base, Old: base, New: sha}, false); err != nil {
		return reply{}, err
	}
	cm, err := c.repo.git.ReadCommit(c.ctx, sha)
	if err != nil {
		return reply{}, err
	}
	return created(s.commitJSON(c.repo, cm))
}

// commitJSON is GitHub's commit, as the repository's endpoints show it.
func (s *Server) commitJSON(r *repo, cm gitstore.Commit) object {
	u := s.api("/repos/%s/commits/%s", r.full(), cm.ID)
	parents := make([]object, 0, len(cm.Parents))
	for _, p := range cm.Parents {
		parents = append(parents, object{
			"sha": p, "url": s.api("/repos/%s/commits/%s", r.full(), p),
			"html_url": s.html("/%s/commit/%s", r.full(), p),
		})
	}
	author, committer := parseIdent(cm.Author), parseIdent(cm.Committer)
	return object{
		"sha": cm.ID, "node_id": "C_" + cm.ID, "url": u, "html_url": s.html("/%s/commit/%s", r.full(), cm.ID),
		"comments_url": u + "/comments", "author": s.user(s.byEmail(author.Email)), "committer": s.user(s.byEmail(committer.Email)),
		"parents": parents, "commit": object{
			"author": author.json(), "committer": committer.json(), "message": cm.Message,
			"tree": object{"sha": cm.Tree, "url": s.api("/repos/%s/git/trees/%s", r.full(), cm.Tree)},
			"url":  s.api("/repos/%s/git/commits/%s", r.full(), cm.ID), "comment_count": 0, "verification": s.verification(r, cm),
		},
	}
}
