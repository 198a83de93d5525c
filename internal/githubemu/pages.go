package githubemu

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

//go:embed templates/*.html
var templateFiles embed.FS

var templates = sync.OnceValue(func() *template.Template {
	return template.Must(template.ParseFS(templateFiles, "templates/*.html"))
})

// view is one page being made.
type view struct {
	s    *Server
	ctx  context.Context
	r    *http.Request
	me   *account
	repo *repo
	data map[string]any
}

const personCookie = "emu_person"

// servePages serves the pages for people. Who one is, is chosen in the page's
// head and kept in a cookie: there are no passwords here.
func (s *Server) servePages(w http.ResponseWriter, r *http.Request, path string) {
	if r.Method == http.MethodPost && path == "/login" {
		s.login(w, r)
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, "cannot read the form", http.StatusBadRequest)
		return
	}
	name, body, location, err := s.makePage(r, path)
	switch {
	case err != nil:
		e := asError(err)
		if r.Method == http.MethodPost && e.Status < 500 { // back to where the button was, with the refusal
			back, _, _ := strings.Cut(r.Header.Get("Referer"), "?")
			if u, err := url.Parse(back); err == nil && u.Host == r.Host {
				http.Redirect(w, r, u.Path+"?flash="+url.QueryEscape(strings.TrimSpace(e.Error())), http.StatusSeeOther)
				return
			}
		}
		http.Error(w, e.Error(), e.Status)
	case location != "":
		http.Redirect(w, r, location, http.StatusSeeOther)
	default:
		w.Header().Set("Content-Type", name)
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src *; form-action *")
		_, _ = w.Write(body)
	}
}

// login switches the person.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	back := r.PostFormValue("back")
	if !strings.HasPrefix(back, "/") || strings.HasPrefix(back, "//") || strings.Contains(back, "\\") {
		back = s.basePath() + "/"
	}
	http.SetCookie(w, &http.Cookie{Name: personCookie, Value: r.PostFormValue("person"), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}) // #nosec G124 -- served on loopback without TLS, and no secret
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// makePage makes a page, or does what a form asks, under the lock. It answers
// with a page and its type or with a place to go to.
func (s *Server) makePage(r *http.Request, path string) (contentType string, body []byte, location string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &view{s: s, ctx: context.WithoutCancel(r.Context()), r: r, data: map[string]any{}}
	v.me = s.visitor(r)
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i := range parts {
		if parts[i], err = url.PathUnescape(parts[i]); err != nil {
			return "", nil, "", notFound()
		}
	}
	if r.Method == http.MethodPost && v.me == nil {
		return "", nil, "", fail(http.StatusForbidden, "nobody is logged in; add a person first")
	}
	if r.Method == http.MethodPost && foreign(r) && (r.PostFormValue("agreed") != "" || !strings.HasSuffix(path, "/settings/apps/new")) {
		return "", nil, "", fail(http.StatusForbidden, "this form was sent by another site")
	}
	name, location, err := v.route(parts)
	if err != nil || location != "" {
		return "", nil, location, err
	}
	if text, plain := v.data["plain"].(string); plain {
		return "text/plain; charset=utf-8", []byte(text), "", nil
	}
	v.frame()
	var buf bytes.Buffer
	if err := templates().ExecuteTemplate(&buf, name, v.data); err != nil {
		return "", nil, "", err
	}
	return "text/html; charset=utf-8", buf.Bytes(), "", nil
}

// foreign tells whether a form comes from a page of another site. One alone may:
// the manifest that begins the making of an App, which is asked about again.
func foreign(r *http.Request) bool {
	u, err := url.Parse(r.Header.Get("Origin"))
	return r.Header.Get("Origin") != "" && (err != nil || u.Host != r.Host)
}

// visitor is the person of the cookie, or the first there is.
func (s *Server) visitor(r *http.Request) *account {
	people := s.people()
	if c, err := r.Cookie(personCookie); err == nil {
		for _, p := range people {
			if fold(p.Login) == fold(c.Value) {
				return p
			}
		}
	}
	if len(people) > 0 {
		return people[0]
	}
	return nil
}

// frame fills in what every page shows.
func (v *view) frame() {
	var people []string
	for _, p := range v.s.people() {
		people = append(people, p.Login)
	}
	d := v.data
	d["People"], d["Base"], d["Back"], d["Flash"] = people, v.s.base, v.r.URL.Path, v.r.URL.Query().Get("flash")
	d["Me"] = ""
	if v.me != nil {
		d["Me"] = v.me.Login
	}
	d["Repo"] = ""
	if v.repo != nil {
		d["Repo"] = v.repo.full()
	}
	if d["Title"] == nil {
		d["Title"] = "GitHub emulator"
	}
}

// route finds the page or the act for a path.
func (v *view) route(parts []string) (name, location string, err error) {
	if len(parts) == 1 && parts[0] == "" {
		var names []string
		for _, r := range sortedBy(v.s.w.Repos) {
			if v.reads(r) {
				names = append(names, r.full())
			}
		}
		v.data["Repos"] = names
		return "home", "", nil
	}
	if name, location, err, mine := v.setupRoute(parts); mine {
		return name, location, err
	}
	if len(parts) < 2 {
		return "", "", notFound()
	}
	full := parts[0] + "/" + parts[1]
	v.repo = v.s.w.repoNamed(full)
	if v.repo == nil {
		if id, moved := v.s.w.Moved[fold(full)]; moved {
			return "", v.s.base + "/" + v.s.w.Repos[id].full() + "/" + strings.Join(parts[2:], "/"), nil
		}
		return "", "", notFound()
	}
	if !v.reads(v.repo) {
		return "", "", notFound()
	}
	if v.r.Method == http.MethodPost {
		location, err = v.act(parts[2:])
		return "", location, err
	}
	name, err = v.show(parts[2:])
	return name, "", err
}

// reads tells whether the visitor may see a repository.
func (v *view) reads(r *repo) bool {
	return v.me != nil && rank(v.s.role(r, v.me)) >= rank("read") || !r.Private
}

// show finds a page of a repository.
func (v *view) show(parts []string) (string, error) {
	rest := ""
	if len(parts) > 1 {
		rest = strings.Join(parts[1:], "/")
	}
	switch {
	case len(parts) == 0:
		return "repo", v.repoPage()
	case parts[0] == "pulls" || parts[0] == "issues" && rest == "":
		v.data["Pulls"] = v.pullRows(true)
		return "pulls", nil
	case parts[0] == "pull" || parts[0] == "issues":
		return v.pullRoute(parts[1:])
	case parts[0] == "commit" && rest != "":
		return "commit", v.commitPage(rest)
	case parts[0] == "compare" && rest != "":
		return "compare", v.comparePage(rest)
	case (parts[0] == "tree" || parts[0] == "blob" || parts[0] == "raw") && rest != "":
		return "tree", v.treePage(parts[0], rest)
	case parts[0] == "runs" && rest != "":
		return "run", v.runPage(rest)
	}
	return "", notFound()
}

type commitRow struct {
	Name, URL, CommitURL, Short, Headline, Author string
}

func (v *view) commitRow(cm gitstore.Commit) commitRow {
	head, _, _ := strings.Cut(cm.Message, "\n")
	return commitRow{CommitURL: v.path("commit/" + cm.ID), Short: cm.ID[:7], Headline: head, Author: parseIdent(cm.Author).Name}
}

// path is the path of a page of the repository.
func (v *view) path(rest string) string { return v.s.base + "/" + v.repo.full() + "/" + rest }

func (v *view) repoPage() error {
	names, at, err := v.s.branches(v.ctx, v.repo)
	if err != nil {
		return err
	}
	var rows []commitRow
	for _, n := range names {
		cm, err := v.repo.git.ReadCommit(v.ctx, at[n])
		if err != nil {
			return err
		}
		row := v.commitRow(cm)
		row.Name, row.URL = n, v.path("tree/"+escapePath(n))
		rows = append(rows, row)
	}
	type ruleRow struct{ Name, Branches, Kinds string }
	var rules []ruleRow
	for _, rule := range v.repo.Rules {
		rules = append(rules, ruleRow{rule.Name, strings.Join(rule.Branches, ", "), strings.Join(rule.kinds(), ", ")})
	}
	v.data["Title"], v.data["Branches"], v.data["Rules"], v.data["Pulls"] = v.repo.full(), rows, rules, v.pullRows(false)
	v.data["Clone"] = v.s.html("/%s.git", v.repo.full())
	return nil
}

type pullRow struct {
	Number                                int
	Title, State, URL, Head, Base, Author string
}

func (v *view) pullRows(all bool) []pullRow {
	var rows []pullRow
	for _, p := range sortedBy(v.repo.Pulls) {
		i := v.repo.issueOf(p)
		if all || i.State == "open" {
			rows = append([]pullRow{{p.Number, i.Title, fold(pullState(v.repo, p)), v.path("pull/" + itoa(p.Number)), p.HeadRef, p.BaseRef, i.User}}, rows...)
		}
	}
	return rows
}

type fileView struct {
	Path, Status string
	Add, Del     any
	Lines        []diffView
}

type diffView struct{ Class, Text string }

// fileViews renders the differences between two trees.
func (v *view) fileViews(from, to, sha string) ([]fileView, error) {
	files, _, _, err := v.s.filesJSON(v.ctx, v.repo, from, to, sha)
	if err != nil {
		return nil, err
	}
	var out []fileView
	for _, f := range files {
		path, _ := f["filename"].(string)
		status, _ := f["status"].(string)
		patch, _ := f["patch"].(string)
		fv := fileView{Path: path, Status: status, Add: f["additions"], Del: f["deletions"]}
		for _, line := range strings.Split(patch, "\n") {
			class := ""
			switch {
			case strings.HasPrefix(line, "@@"):
				class = "hunk"
			case strings.HasPrefix(line, "+"):
				class = "add"
			case strings.HasPrefix(line, "-"):
				class = "del"
			}
			fv.Lines = append(fv.Lines, diffView{class, line})
		}
		out = append(out, fv)
	}
	return out, nil
}

func (v *view) commitPage(ref string) error {
	sha, err := v.s.resolveRef(v.ctx, v.repo, ref)
	if err != nil {
		return notFound()
	}
	cm, err := v.repo.git.ReadCommit(v.ctx, sha)
	if err != nil {
		return err
	}
	from := ""
	var parents []commitRow
	for i, p := range cm.Parents {
		pc, err := v.repo.git.ReadCommit(v.ctx, p)
		if err != nil {
			return err
		}
		if i == 0 {
			from = pc.Tree
		}
		parents = append(parents, commitRow{Short: p[:7], URL: v.path("commit/" + p)})
	}
	files, err := v.fileViews(from, cm.Tree, sha)
	if err != nil {
		return err
	}
	row := v.commitRow(cm)
	d := v.data
	d["Title"], d["Headline"], d["SHA"], d["Author"], d["Message"], d["Parents"] = row.Headline, row.Headline, sha, row.Author, cm.Message, parents
	d["Files"], d["Checks"], d["Verified"], d["Signed"] = files, v.checkViews(sha), v.s.verified(v.repo, cm), cm.Signature != ""
	return nil
}

func (v *view) comparePage(spec string) error {
	left, right, ok := strings.Cut(spec, "...")
	base, err1 := v.s.resolveRef(v.ctx, v.repo, left)
	head, err2 := v.s.resolveRef(v.ctx, v.repo, right)
	if !ok || err1 != nil || err2 != nil {
		return notFound()
	}
	mb, err := v.repo.git.MergeBase(v.ctx, base, head)
	if err != nil {
		return err
	}
	from, err := v.repo.git.ReadCommit(v.ctx, mb)
	if err != nil {
		return err
	}
	to, err := v.repo.git.ReadCommit(v.ctx, head)
	if err != nil {
		return err
	}
	log, err := v.repo.git.Log(v.ctx, head, []string{base}, 250)
	if err != nil {
		return err
	}
	var rows []commitRow
	for _, cm := range log {
		rows = append(rows, v.commitRow(cm))
	}
	files, err := v.fileViews(from.Tree, to.Tree, head)
	v.data["Title"], v.data["Heading"], v.data["Commits"], v.data["Files"] = spec, spec, rows, files
	return err
}

// treePage shows a directory or a file at a ref. Where the ref ends and the
// path begins is found by trying.
func (v *view) treePage(kind, rest string) error {
	ref, path := rest, ""
	sha, err := v.s.resolveRef(v.ctx, v.repo, ref)
	for err != nil {
		i := strings.LastIndex(ref, "/")
		if i < 0 {
			return notFound()
		}
		ref, path = ref[:i], rest[i+1:]
		sha, err = v.s.resolveRef(v.ctx, v.repo, ref)
	}
	cm, err := v.repo.git.ReadCommit(v.ctx, sha)
	if err != nil {
		return err
	}
	e, err := entryAt(v.ctx, v.repo.git, cm.Tree, path)
	if err != nil {
		return notFound()
	}
	v.data["Title"], v.data["Path"], v.data["Ref"] = path, path, ref
	if !isTree(e) {
		text, _ := fileAt(v.ctx, v.repo.git, cm.Tree, path)
		v.data["Text"] = text
		if kind == "raw" {
			v.data["plain"] = text
		}
		return nil
	}
	entries, err := v.repo.git.ReadTree(v.ctx, e.ID)
	if err != nil {
		return err
	}
	var rows []commitRow
	for _, sub := range entries {
		k, name := "blob/", sub.Name
		if isTree(sub) {
			k, name = "tree/", sub.Name+"/"
		}
		rows = append(rows, commitRow{Name: name, URL: v.path(k + escapePath(strings.TrimPrefix(ref+"/"+strings.TrimPrefix(path+"/"+sub.Name, "/"), "/")))})
	}
	v.data["Entries"] = rows
	if path == "" {
		v.data["Path"] = v.repo.Name
		log, err := v.repo.git.Log(v.ctx, sha, nil, 50)
		if err != nil {
			return err
		}
		var commits []commitRow
		for _, cm := range log {
			commits = append(commits, v.commitRow(cm))
		}
		v.data["Commits"] = commits
	}
	return nil
}
