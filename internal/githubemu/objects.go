package githubemu

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// maxCommits bounds every walk over history.
const maxCommits = 10000

// edit is one path's new entry in a tree; the zero ID removes the path.
type edit struct{ Mode, ID string }

// editTree writes a tree that is base with the edits applied. Base may be
// empty. Directories that become empty vanish.
func editTree(ctx context.Context, git gitstore.Repository, base string, edits map[string]edit) (string, error) {
	entries := map[string]gitstore.TreeEntry{}
	if base != "" && base != gitstore.EmptyTree {
		old, err := git.ReadTree(ctx, base)
		if err != nil {
			return "", err
		}
		for _, e := range old {
			entries[e.Name] = e
		}
	}
	below := map[string]map[string]edit{}
	for p, e := range edits {
		name, rest, deeper := strings.Cut(p, "/")
		if name == "" || name == "." || name == ".." || name == ".git" || deeper && rest == "" {
			return "", fail(422, "tree.path contains a malformed path component")
		}
		switch {
		case deeper:
			if below[name] == nil {
				below[name] = map[string]edit{}
			}
			below[name][rest] = e
		case e.ID == "":
			delete(entries, name)
		default:
			entries[name] = gitstore.TreeEntry{Mode: e.Mode, Name: name, ID: e.ID}
		}
	}
	for name, sub := range below {
		dir := ""
		if e, ok := entries[name]; ok && isTree(e) {
			dir = e.ID
		}
		id, err := editTree(ctx, git, dir, sub)
		if err != nil {
			return "", err
		}
		if id == gitstore.EmptyTree {
			delete(entries, name)
		} else {
			entries[name] = gitstore.TreeEntry{Mode: "40000", Name: name, ID: id}
		}
	}
	return writeTree(ctx, git, entries)
}

func isTree(e gitstore.TreeEntry) bool { return strings.TrimPrefix(e.Mode, "0") == "40000" }

func writeTree(ctx context.Context, git gitstore.Repository, entries map[string]gitstore.TreeEntry) (string, error) {
	all := sortedBy(entries)
	key := func(e gitstore.TreeEntry) string {
		if isTree(e) {
			return e.Name + "/"
		}
		return e.Name
	}
	slices.SortFunc(all, func(a, b gitstore.TreeEntry) int { return cmpString(key(a), key(b)) })
	var buf bytes.Buffer
	for _, e := range all {
		raw, err := hex.DecodeString(e.ID)
		if err != nil || len(raw) != 20 {
			return "", fail(422, "The sha parameter must be exactly 40 characters and contain only [0-9a-f].")
		}
		buf.WriteString(strings.TrimPrefix(e.Mode, "0"))
		buf.WriteByte(' ')
		buf.WriteString(e.Name)
		buf.WriteByte(0)
		buf.Write(raw)
	}
	return git.WriteObject(ctx, "tree", buf.Bytes())
}

// entryAt finds a path in a tree.
func entryAt(ctx context.Context, git gitstore.Repository, tree, path string) (gitstore.TreeEntry, error) {
	cur, none := gitstore.TreeEntry{Mode: "40000", ID: tree}, gitstore.TreeEntry{}
	if path == "" {
		return cur, nil
	}
	for _, part := range strings.Split(path, "/") {
		if !isTree(cur) {
			return none, gitstore.ErrNotFound
		}
		entries, err := git.ReadTree(ctx, cur.ID)
		if err != nil {
			return none, err
		}
		i := slices.IndexFunc(entries, func(e gitstore.TreeEntry) bool { return e.Name == part })
		if i < 0 {
			return none, gitstore.ErrNotFound
		}
		cur = entries[i]
	}
	return cur, nil
}

// fileAt reads a file, or "" and false if there is none.
func fileAt(ctx context.Context, git gitstore.Repository, tree, path string) (string, bool) {
	if tree == "" || tree == gitstore.EmptyTree {
		return "", false
	}
	e, err := entryAt(ctx, git, tree, path)
	if err != nil || isTree(e) {
		return "", false
	}
	_, data, err := git.ReadObject(ctx, e.ID)
	return string(data), err == nil
}

// newCommit is what is to be committed.
type newCommit struct {
	Tree              string
	Parents           []string
	Author, Committer string // ident lines; empty means that of the account
	Message           string
	Signature         string
}

func ident(name, email string, at time.Time) string {
	clean := strings.NewReplacer("<", "", ">", "", "\n", "", "\x00", "")
	return fmt.Sprintf("%s <%s> %d +0000", clean.Replace(name), clean.Replace(email), at.Unix())
}

func (s *Server) identOf(a *account) string { return ident(a.Name, a.Email, s.now()) }

// writeCommit stores a commit.
func (s *Server) writeCommit(ctx context.Context, r *repo, c newCommit) (string, error) {
	var buf bytes.Buffer
	fmt.Fprintf(&buf, "tree %s\n", c.Tree)
	for _, p := range c.Parents {
		fmt.Fprintf(&buf, "parent %s\n", p)
	}
	fmt.Fprintf(&buf, "author %s\ncommitter %s\n", c.Author, c.Committer)
	if c.Signature != "" {
		sig := strings.TrimRight(c.Signature, "\n")
		fmt.Fprintf(&buf, "gpgsig %s\n", strings.ReplaceAll(sig, "\n", "\n "))
	}
	buf.WriteByte('\n')
	buf.WriteString(c.Message)
	return r.git.WriteObject(ctx, "commit", buf.Bytes())
}

// webCommit stores a commit that GitHub itself makes for somebody: its own
// account is the committer, and it counts as signed.
func (s *Server) webCommit(ctx context.Context, r *repo, who *account, tree string, parents []string, message string) (string, error) {
	id, err := s.writeCommit(ctx, r, newCommit{
		Tree: tree, Parents: parents, Message: message,
		Author: s.identOf(who), Committer: s.identOf(s.w.user("web-flow")),
	})
	if err == nil {
		r.WebFlow[id] = true
	}
	return id, err
}

// commitFiles stores a person's commit of whole files on top of parent, which
// may be empty. No ref moves.
func (s *Server) commitFiles(ctx context.Context, r *repo, who *account, parent string, c CommitSeed) (string, error) {
	base := ""
	var parents []string
	if parent != "" {
		p, err := r.git.ReadCommit(ctx, parent)
		if err != nil {
			return "", err
		}
		base, parents = p.Tree, []string{parent}
	}
	edits := map[string]edit{}
	for path, text := range c.Files {
		id, err := r.git.WriteObject(ctx, "blob", []byte(text))
		if err != nil {
			return "", err
		}
		edits[path] = edit{Mode: "100644", ID: id}
		if strings.HasPrefix(text, "#!") {
			edits[path] = edit{Mode: "100755", ID: id}
		}
	}
	for path, target := range c.Links {
		id, err := r.git.WriteObject(ctx, "blob", []byte(target))
		if err != nil {
			return "", err
		}
		edits[path] = edit{Mode: "120000", ID: id}
	}
	for path, id := range c.Submodules {
		edits[path] = edit{Mode: "160000", ID: id}
	}
	for _, path := range c.Delete {
		edits[path] = edit{}
	}
	tree, err := editTree(ctx, r.git, base, edits)
	if err != nil {
		return "", err
	}
	msg := c.Message
	if msg == "" {
		msg = "Change " + strings.Join(sortedKeys(edits), ", ")
	}
	return s.writeCommit(ctx, r, newCommit{
		Tree: tree, Parents: parents, Author: s.identOf(who),
		Committer: s.identOf(who), Message: strings.TrimRight(msg, "\n") + "\n",
	})
}

// signature is an author or committer line, taken apart.
type signature struct {
	Name, Email string
	When        time.Time
}

func parseIdent(line string) signature {
	name, rest, _ := strings.Cut(line, "<")
	email, when, _ := strings.Cut(rest, ">")
	sig := signature{Name: strings.TrimSpace(name), Email: email}
	f := strings.Fields(when)
	if len(f) > 0 {
		if n, err := strconv.ParseInt(f[0], 10, 64); err == nil {
			sig.When = time.Unix(n, 0).UTC()
		}
	}
	return sig
}

func (g signature) json() object {
	return object{"name": g.Name, "email": g.Email, "date": g.When.UTC().Format(time.RFC3339)}
}

// readCommit reads a commit or answers as the API does when there is none.
func (s *Server) readCommit(ctx context.Context, r *repo, id string) (gitstore.Commit, error) {
	if !isID(id) {
		return gitstore.Commit{}, notFound()
	}
	c, err := r.git.ReadCommit(ctx, id)
	if errors.Is(err, gitstore.ErrNotFound) {
		return c, fail(422, "No commit found for SHA: %s", id)
	}
	return c, err
}

func isID(s string) bool { return gitstore.ValidID(s) }

// resolveRef turns what a client calls a ref into a commit id: a branch, a tag,
// heads/x, tags/x, a full ref, a commit id, or HEAD.
func (s *Server) resolveRef(ctx context.Context, r *repo, ref string) (string, error) {
	if ref == "" || ref == "HEAD" {
		ref = r.DefaultBranch
	}
	if isID(ref) {
		if kind, _, err := r.git.ReadObject(ctx, ref); err == nil && kind == "commit" {
			return ref, nil
		}
	}
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/", ""} {
		full := prefix + ref
		if !strings.HasPrefix(full, "refs/") {
			continue
		}
		if id, err := s.refAt(ctx, r, full); err == nil {
			return s.peel(ctx, r, id)
		}
	}
	return "", fail(422, "No commit found for SHA: %s", ref)
}

// peel follows annotated tags to the commit.
func (s *Server) peel(ctx context.Context, r *repo, id string) (string, error) {
	for range 5 {
		kind, data, err := r.git.ReadObject(ctx, id)
		if err != nil || kind != "tag" {
			return id, err
		}
		line, _, _ := strings.Cut(string(data), "\n")
		id = strings.TrimPrefix(line, "object ")
	}
	return id, nil
}

// reaches tells whether descendant's history holds ancestor.
func (s *Server) reaches(ctx context.Context, r *repo, ancestor, descendant string) (bool, error) {
	if ancestor == descendant {
		return true, nil
	}
	base, err := r.git.MergeBase(ctx, ancestor, descendant)
	if errors.Is(err, gitstore.ErrNotFound) {
		return false, nil
	}
	return base == ancestor, err
}
