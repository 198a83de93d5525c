package githubemu

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

func (s *Server) gitRoutes() []*route {
	const git = "/repos/{owner}/{repo}/git"
	return []*route{
		get(git+"/ref/{ref...}", "contents:read", s.getRef),
		get(git+"/refs/{ref...}", "contents:read", s.matchingRefs),
		get(git+"/matching-refs/{ref...}", "contents:read", s.matchingRefs),
		post(git+"/refs", "contents:write", s.createRef),
		patch(git+"/refs/{ref...}", "contents:write", s.patchRef),
		del(git+"/refs/{ref...}", "contents:write", s.deleteRef),
		get(git+"/commits/{sha}", "contents:read", s.getGitCommit),
		post(git+"/commits", "contents:write", s.createGitCommit),
		get(git+"/trees/{sha...}", "contents:read", s.getTree),
		post(git+"/trees", "contents:write", s.createTree),
		get(git+"/blobs/{sha}", "contents:read", s.getBlob),
		post(git+"/blobs", "contents:write", s.createBlob),
	}
}

func (s *Server) refJSON(ctx context.Context, r *repo, ref, id string) object {
	kind := "commit"
	if k, _, err := r.git.ReadObject(ctx, id); err == nil {
		kind = k
	}
	return object{
		"ref": ref, "node_id": nodeID("REF", int64(len(ref))) + base64.RawURLEncoding.EncodeToString([]byte(ref)),
		"url":    s.api("/repos/%s/git/%s", r.full(), ref),
		"object": object{"type": kind, "sha": id, "url": s.api("/repos/%s/git/%ss/%s", r.full(), kind, id)},
	}
}

func (s *Server) getRef(c *call) (reply, error) {
	ref := "refs/" + c.vars["ref"]
	id, err := s.refAt(c.ctx, c.repo, ref)
	if err != nil {
		return reply{}, err
	}
	return ok(s.refJSON(c.ctx, c.repo, ref, id))
}

func (s *Server) matchingRefs(c *call) (reply, error) {
	refs, err := c.repo.git.Refs(c.ctx, "refs/"+c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	return list(c, sortedKeys(refs), func(ref string) object { return s.refJSON(c.ctx, c.repo, ref, refs[ref]) })
}

func (s *Server) createRef(c *call) (reply, error) {
	var in struct{ Ref, SHA string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if !strings.HasPrefix(in.Ref, "refs/") || strings.Count(in.Ref, "/") < 2 {
		return reply{}, fail(422, "Reference name must start with 'refs' and have at least two slashes.")
	}
	if gitstore.CheckRef(in.Ref) != nil {
		return reply{}, fail(422, "Reference name is invalid.")
	}
	if kind, _, err := c.repo.git.ReadObject(c.ctx, in.SHA); err != nil || kind != "commit" && strings.HasPrefix(in.Ref, "refs/heads/") {
		return reply{}, fail(422, "Object does not exist")
	}
	if _, err := s.refAt(c.ctx, c.repo, in.Ref); err == nil {
		return reply{}, fail(422, "Reference already exists")
	}
	if err := s.moveRef(c.ctx, c.repo, c.who.acc, gitstore.RefUpdate{Ref: in.Ref, Old: gitstore.Zero, New: in.SHA}, false); err != nil {
		return reply{}, err
	}
	return created(s.refJSON(c.ctx, c.repo, in.Ref, in.SHA))
}

func (s *Server) patchRef(c *call) (reply, error) {
	var in struct {
		SHA   string
		Force bool
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	ref := "refs/" + c.vars["ref"]
	old, err := s.refAt(c.ctx, c.repo, ref)
	if err != nil {
		return reply{}, fail(422, "Reference does not exist")
	}
	if kind, _, err := c.repo.git.ReadObject(c.ctx, in.SHA); err != nil || kind != "commit" {
		return reply{}, fail(422, "Object does not exist")
	}
	if !in.Force {
		forward, err := s.reaches(c.ctx, c.repo, old, in.SHA)
		if err != nil {
			return reply{}, err
		}
		if !forward {
			return reply{}, fail(422, "Update is not a fast forward")
		}
	}
	if err := s.moveRef(c.ctx, c.repo, c.who.acc, gitstore.RefUpdate{Ref: ref, Old: old, New: in.SHA}, false); err != nil {
		return reply{}, err
	}
	return ok(s.refJSON(c.ctx, c.repo, ref, in.SHA))
}

func (s *Server) deleteRef(c *call) (reply, error) {
	ref := "refs/" + c.vars["ref"]
	old, err := s.refAt(c.ctx, c.repo, ref)
	if err != nil {
		return reply{}, fail(422, "Reference does not exist")
	}
	if ref == "refs/heads/"+c.repo.DefaultBranch {
		return reply{}, fail(422, "Cannot delete the default branch")
	}
	if err := s.moveRef(c.ctx, c.repo, c.who.acc, gitstore.RefUpdate{Ref: ref, Old: old, New: gitstore.Zero}, false); err != nil {
		return reply{}, err
	}
	return noContent()
}

func (s *Server) getGitCommit(c *call) (reply, error) {
	cm, err := c.repo.git.ReadCommit(c.ctx, c.vars["sha"])
	if err != nil {
		return reply{}, notFound()
	}
	return ok(s.gitCommitJSON(c.repo, cm))
}

func (s *Server) gitCommitJSON(r *repo, cm gitstore.Commit) object {
	u := s.api("/repos/%s/git/commits/%s", r.full(), cm.ID)
	parents := make([]object, 0, len(cm.Parents))
	for _, p := range cm.Parents {
		parents = append(parents, object{
			"sha": p, "url": s.api("/repos/%s/git/commits/%s", r.full(), p),
			"html_url": s.html("/%s/commit/%s", r.full(), p),
		})
	}
	return object{
		"sha": cm.ID, "node_id": "C_" + cm.ID, "url": u, "html_url": s.html("/%s/commit/%s", r.full(), cm.ID),
		"author": parseIdent(cm.Author).json(), "committer": parseIdent(cm.Committer).json(), "message": cm.Message,
		"tree":    object{"sha": cm.Tree, "url": s.api("/repos/%s/git/trees/%s", r.full(), cm.Tree)},
		"parents": parents, "verification": s.verification(r, cm),
	}
}

// verification says whether GitHub can tell who signed a commit.
func (s *Server) verification(r *repo, cm gitstore.Commit) object {
	o := object{"verified": false, "reason": "unsigned", "signature": orNull(cm.Signature), "payload": nil, "verified_at": nil}
	switch {
	case r.WebFlow[cm.ID]:
		o["verified"], o["reason"] = true, "valid"
		if cm.Signature != "" {
			o["payload"] = string(unsigned(cm.Raw))
		}
		o["verified_at"] = stamp(parseIdent(cm.Committer).When)
	case cm.Signature != "" && s.signedBy(cm) != nil:
		o["verified"], o["reason"] = true, "valid"
		o["verified_at"] = stamp(parseIdent(cm.Committer).When)
		o["payload"] = string(unsigned(cm.Raw))
	case cm.Signature != "":
		o["reason"] = "unknown_key"
		o["payload"] = string(unsigned(cm.Raw))
	}
	return o
}

type person struct {
	Name, Email string
	Date        *time.Time
}

func (s *Server) createGitCommit(c *call) (reply, error) {
	var in struct {
		Message, Tree, Signature string
		Parents                  []string
		Author, Committer        *person
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if in.Message == "" {
		return reply{}, fail(422, "Invalid request.\n\n\"message\" wasn't supplied.")
	}
	if kind, _, err := c.repo.git.ReadObject(c.ctx, in.Tree); err != nil || kind != "tree" {
		return reply{}, fail(422, "Tree SHA does not exist")
	}
	for _, p := range in.Parents {
		if kind, _, err := c.repo.git.ReadObject(c.ctx, p); err != nil || kind != "commit" {
			return reply{}, fail(422, "Parent SHA does not exist or is not a commit object")
		}
	}
	cm := newCommit{
		Tree: in.Tree, Parents: in.Parents, Message: in.Message, Signature: in.Signature,
		Author: s.identOf(c.who.acc), Committer: s.identOf(c.who.acc),
	}
	if in.Author != nil {
		cm.Author = s.identFor(in.Author)
		cm.Committer = cm.Author
	}
	if in.Committer != nil {
		cm.Committer = s.identFor(in.Committer)
	}
	signs := c.who.inst != nil && in.Author == nil && in.Committer == nil && in.Signature == ""
	if signs {
		cm.Committer = s.identOf(s.w.user("web-flow"))
		cm.Signature = webFlowSignature(cm)
	}
	id, err := s.writeCommit(c.ctx, c.repo, cm)
	if err != nil {
		return reply{}, err
	}
	if signs {
		c.repo.WebFlow[id] = true
	}
	made, err := c.repo.git.ReadCommit(c.ctx, id)
	if err != nil {
		return reply{}, err
	}
	return created(s.gitCommitJSON(c.repo, made))
}

func (s *Server) identFor(p *person) string {
	at := s.now()
	if p.Date != nil {
		at = *p.Date
	}
	return ident(p.Name, p.Email, at)
}

// getTree answers a tree by its id, a commit's id, or a ref.
func (s *Server) getTree(c *call) (reply, error) {
	sha := c.vars["sha"]
	tree := sha
	if kind, _, err := c.repo.git.ReadObject(c.ctx, sha); !isID(sha) || err != nil || kind != "tree" {
		id, err := s.resolveRef(c.ctx, c.repo, sha)
		if err != nil {
			return reply{}, notFound()
		}
		cm, err := c.repo.git.ReadCommit(c.ctx, id)
		if err != nil {
			return reply{}, err
		}
		tree = cm.Tree
	}
	rows := []object{}
	if err := s.walkTree(c.ctx, c.repo, tree, "", c.query("recursive") != "", &rows); err != nil {
		return reply{}, err
	}
	return ok(object{"sha": tree, "url": s.api("/repos/%s/git/trees/%s", c.repo.full(), tree), "tree": rows, "truncated": false})
}

func (s *Server) walkTree(ctx context.Context, r *repo, tree, prefix string, deep bool, rows *[]object) error {
	entries, err := r.git.ReadTree(ctx, tree)
	if err != nil {
		return err
	}
	for _, e := range entries {
		row := object{
			"path": prefix + e.Name, "mode": pad(e.Mode), "sha": e.ID, "type": "blob",
			"url": s.api("/repos/%s/git/blobs/%s", r.full(), e.ID),
		}
		switch {
		case isTree(e):
			row["type"], row["url"] = "tree", s.api("/repos/%s/git/trees/%s", r.full(), e.ID)
		case e.Mode == "160000":
			row["type"] = "commit"
		default:
			_, data, err := r.git.ReadObject(ctx, e.ID)
			if err != nil {
				return err
			}
			row["size"] = len(data)
		}
		*rows = append(*rows, row)
		if deep && isTree(e) {
			if err := s.walkTree(ctx, r, e.ID, prefix+e.Name+"/", deep, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

func pad(mode string) string {
	if len(mode) == 5 {
		return "0" + mode
	}
	return mode
}

func (s *Server) createTree(c *call) (reply, error) {
	var in struct {
		BaseTree string `json:"base_tree"`
		Tree     []struct {
			Path, Mode, Type string
			SHA              *string
			Content          *string
		}
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	base := in.BaseTree
	if base != "" {
		if cm, err := c.repo.git.ReadCommit(c.ctx, base); err == nil {
			base = cm.Tree
		} else if kind, _, err := c.repo.git.ReadObject(c.ctx, base); err != nil || kind != "tree" {
			return reply{}, fail(422, "base_tree is not a valid tree oid")
		}
	}
	edits := map[string]edit{}
	for _, e := range in.Tree {
		switch {
		case e.Content != nil:
			id, err := c.repo.git.WriteObject(c.ctx, "blob", []byte(*e.Content))
			if err != nil {
				return reply{}, err
			}
			edits[e.Path] = edit{Mode: e.Mode, ID: id}
		case e.SHA != nil:
			if _, _, err := c.repo.git.ReadObject(c.ctx, *e.SHA); err != nil && e.Mode != "160000" {
				return reply{}, fail(422, "tree.sha %s is not a valid %s", *e.SHA, e.Type)
			}
			edits[e.Path] = edit{Mode: e.Mode, ID: *e.SHA}
		default:
			edits[e.Path] = edit{}
		}
	}
	tree, err := editTree(c.ctx, c.repo.git, base, edits)
	if err != nil {
		return reply{}, err
	}
	rows := []object{}
	if err := s.walkTree(c.ctx, c.repo, tree, "", false, &rows); err != nil {
		return reply{}, err
	}
	return created(object{"sha": tree, "url": s.api("/repos/%s/git/trees/%s", c.repo.full(), tree), "tree": rows, "truncated": false})
}

func (s *Server) getBlob(c *call) (reply, error) {
	kind, data, err := c.repo.git.ReadObject(c.ctx, c.vars["sha"])
	if errors.Is(err, gitstore.ErrNotFound) || err == nil && kind != "blob" {
		return reply{}, notFound()
	}
	if err != nil {
		return reply{}, err
	}
	if strings.Contains(c.r.Header.Get("Accept"), "raw") {
		return reply{status: http.StatusOK, body: data, header: http.Header{"Content-Type": {"application/vnd.github.v3.raw; charset=utf-8"}}}, nil
	}
	return ok(object{
		"sha": c.vars["sha"], "node_id": "B_" + c.vars["sha"], "size": len(data), "encoding": "base64",
		"url": s.api("/repos/%s/git/blobs/%s", c.repo.full(), c.vars["sha"]), "content": lines64(data),
	})
}

// lines64 is base64 in lines of sixty, as GitHub sends it.
func lines64(data []byte) string {
	enc := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	for len(enc) > 60 {
		b.WriteString(enc[:60] + "\n")
		enc = enc[60:]
	}
	b.WriteString(enc)
	if enc != "" {
		b.WriteByte('\n')
	}
	return b.String()
}

func (s *Server) createBlob(c *call) (reply, error) {
	var in struct{ Content, Encoding string }
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	data := []byte(in.Content)
	if in.Encoding == "base64" {
		var err error
		if data, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(in.Content, "\n", "")); err != nil {
			return reply{}, fail(422, "content is not valid Base64")
		}
	}
	id, err := c.repo.git.WriteObject(c.ctx, "blob", data)
	if err != nil {
		return reply{}, err
	}
	return created(object{"sha": id, "url": s.api("/repos/%s/git/blobs/%s", c.repo.full(), id)})
}
