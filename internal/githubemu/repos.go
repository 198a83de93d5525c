package githubemu

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// RepositorySeed says how a repository begins.
type RepositorySeed struct {
	// Name is the full name, OWNER/NAME. An unknown owner becomes an
	// organisation.
	Name string
	// Public makes it readable by everybody.
	Public bool
	// DefaultBranch is main if empty.
	DefaultBranch string
	// Commits are made on the default branch one after another. None leaves
	// the repository empty.
	Commits []CommitSeed
	// Collaborators maps logins to roles.
	Collaborators map[string]string
}

// CommitSeed is one commit by a person.
type CommitSeed struct {
	// Author is a login; an unknown one is made. Empty means the owner.
	Author string
	// Message is the commit's message. Empty names the files.
	Message string
	// Files are written, by path. Delete are removed.
	Files  map[string]string
	Delete []string
	// Links are symbolic links with what they point to, Submodules the commits of
	// other repositories, both by path.
	Links, Submodules map[string]string
}

var repoName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$`) })

// CreateRepository makes a repository. It sends no push events for its first
// commits.
func (s *Server) CreateRepository(ctx context.Context, seed RepositorySeed) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !repoName().MatchString(seed.Name) {
		return fmt.Errorf("githubemu: %q is not an OWNER/NAME", seed.Name)
	}
	if s.w.repoNamed(seed.Name) != nil {
		return fmt.Errorf("githubemu: there is a repository %s already", seed.Name)
	}
	ownerLogin, name, _ := strings.Cut(seed.Name, "/")
	branch := seed.DefaultBranch
	if branch == "" {
		branch = "main"
	}
	git, err := s.cfg.Store.Create(ownerLogin, name, branch)
	if err != nil {
		return fmt.Errorf("githubemu: create %s: %w", seed.Name, err)
	}
	owner := s.owner(ownerLogin)
	r := &repo{
		ID: s.w.next("repo"), Owner: owner.Login, Name: name, Private: !seed.Public, DefaultBranch: branch,
		AllowMerge: true, AllowSquash: true, AllowRebase: true, AllowUpdate: true, Collaborators: map[string]string{},
		CreatedAt: s.now(), UpdatedAt: s.now(), PushedAt: s.now(), git: git,
	}
	r.makeMaps()
	for login, role := range seed.Collaborators {
		s.person(Person{Login: login})
		r.Collaborators[fold(login)] = role
	}
	s.w.Repos[r.ID] = r
	s.w.Names[fold(seed.Name)] = r.ID
	delete(s.w.Moved, fold(seed.Name))
	for _, c := range seed.Commits {
		if err := s.seedCommit(ctx, r, owner, c); err != nil {
			return fmt.Errorf("githubemu: seed %s: %w", seed.Name, err)
		}
	}
	return nil
}

func (r *repo) makeMaps() {
	if r.Issues == nil {
		r.Issues = map[int]*issue{}
	}
	if r.Pulls == nil {
		r.Pulls = map[int]*pull{}
	}
	if r.Labels == nil {
		r.Labels = map[string]*label{}
	}
	if r.Suites == nil {
		r.Suites = map[string][]*checkSuite{}
	}
	if r.Runs == nil {
		r.Runs = map[string][]*checkRun{}
	}
	if r.Statuses == nil {
		r.Statuses = map[string][]*status{}
	}
	if r.WebFlow == nil {
		r.WebFlow = map[string]bool{}
	}
	if r.Pushers == nil {
		r.Pushers = map[string]string{}
	}
}

func (s *Server) seedCommit(ctx context.Context, r *repo, owner *account, c CommitSeed) error {
	author := owner
	if c.Author != "" {
		author = s.person(Person{Login: c.Author})
	}
	tip, err := s.tip(ctx, r, r.DefaultBranch)
	if err != nil && !errors.Is(err, gitstore.ErrNotFound) {
		return err
	}
	id, err := s.commitFiles(ctx, r, author, tip, c)
	if err != nil {
		return err
	}
	old := tip
	if old == "" {
		old = gitstore.Zero
	}
	return r.git.UpdateRefs(ctx, []gitstore.RefUpdate{{Ref: "refs/heads/" + r.DefaultBranch, Old: old, New: id}})
}

// RepositorySettings are what an administrator changes. Nil leaves a setting
// as it is.
type RepositorySettings struct {
	Archived, Private                  *bool
	AllowMerge, AllowSquash            *bool
	AllowRebase, DeleteBranchOnMerge   *bool
	AllowAutoMerge, AllowUpdateButtons *bool
	DefaultBranch                      *string
}

// ChangeRepository changes a repository's settings.
func (s *Server) ChangeRepository(full string, set RepositorySettings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.w.repoNamed(full)
	if r == nil {
		return notFound()
	}
	for to, from := range map[*bool]*bool{
		&r.Archived: set.Archived, &r.Private: set.Private, &r.AllowMerge: set.AllowMerge, &r.AllowSquash: set.AllowSquash,
		&r.AllowRebase: set.AllowRebase, &r.DeleteOnMerge: set.DeleteBranchOnMerge, &r.AllowAutoMerge: set.AllowAutoMerge,
		&r.AllowUpdate: set.AllowUpdateButtons,
	} {
		if from != nil {
			*to = *from
		}
	}
	r.UpdatedAt = s.now()
	sender := s.owner(r.Owner)
	if set.Archived != nil {
		s.emit(r, "repository", map[bool]string{true: "archived", false: "unarchived"}[r.Archived], sender, nil)
	}
	if set.Private != nil {
		s.emit(r, "repository", map[bool]string{true: "privatized", false: "publicized"}[r.Private], sender, nil)
	}
	if set.DefaultBranch != nil && *set.DefaultBranch != r.DefaultBranch {
		was := r.DefaultBranch
		r.DefaultBranch = *set.DefaultBranch
		s.emit(r, "repository", "edited", sender, object{"changes": object{"default_branch": object{"from": was}}})
	}
	return nil
}

// RenameRepository gives a repository another name or owner. The old name
// redirects until another repository takes it.
func (s *Server) RenameRepository(full, newFull string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.w.repoNamed(full)
	if r == nil {
		return notFound()
	}
	if !repoName().MatchString(newFull) || s.w.repoNamed(newFull) != nil {
		return fmt.Errorf("githubemu: cannot rename %s to %s: not a free OWNER/NAME", full, newFull)
	}
	owner, name, _ := strings.Cut(newFull, "/")
	if err := s.cfg.Store.Rename(r.Owner, r.Name, owner, name); err != nil {
		return fmt.Errorf("githubemu: rename %s: %w", full, err)
	}
	was, wasOwner := r.Name, r.Owner
	delete(s.w.Names, fold(r.full()))
	delete(s.w.Moved, fold(newFull))
	s.w.Moved[fold(r.full())] = r.ID
	r.Owner, r.Name, r.UpdatedAt = s.owner(owner).Login, name, s.now()
	s.w.Names[fold(newFull)] = r.ID
	sender := s.owner(r.Owner)
	if fold(wasOwner) != fold(r.Owner) {
		s.emit(r, "repository", "transferred", sender, object{"changes": object{"owner": object{"from": object{
			"organization": s.orgJSON(s.owner(wasOwner)),
		}}}})
	} else {
		s.emit(r, "repository", "renamed", sender, object{"changes": object{"repository": object{"name": object{"from": was}}}})
	}
	return nil
}

func (s *Server) repoRoutes() []*route {
	return []*route{
		get("/repos/{owner}/{repo}", "metadata:read", func(c *call) (reply, error) { return ok(s.fullRepoJSON(c)) }),
		patch("/repos/{owner}/{repo}", "administration:write", s.patchRepo),
		get("/orgs/{org}/repos", "", s.listOrgRepos),
		post("/repos/{owner}/{repo}/dispatches", "contents:write", s.dispatchRoute),
		get("/repos/{owner}/{repo}/activity", "contents:read", s.listActivities),
		get("/repos/{owner}/{repo}/topics", "metadata:read", func(*call) (reply, error) { return ok(object{"names": []string{}}) }),
		get("/repos/{owner}/{repo}/languages", "metadata:read", func(*call) (reply, error) { return ok(object{}) }),
	}
}

func (s *Server) listOrgRepos(c *call) (reply, error) {
	var all []*repo
	for _, r := range sortedBy(s.w.Repos) {
		if fold(r.Owner) == fold(c.vars["org"]) && c.who.sees(s, r) {
			all = append(all, r)
		}
	}
	return list(c, all, s.repoJSON)
}

func (s *Server) patchRepo(c *call) (reply, error) {
	var in struct {
		Description         *string `json:"description"`
		AllowMerge          *bool   `json:"allow_merge_commit"`
		AllowSquash         *bool   `json:"allow_squash_merge"`
		AllowRebase         *bool   `json:"allow_rebase_merge"`
		AllowAutoMerge      *bool   `json:"allow_auto_merge"`
		DeleteBranchOnMerge *bool   `json:"delete_branch_on_merge"`
		Archived            *bool   `json:"archived"`
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	r := c.repo
	for to, from := range map[*bool]*bool{
		&r.AllowMerge: in.AllowMerge, &r.AllowSquash: in.AllowSquash, &r.Archived: in.Archived,
		&r.AllowRebase: in.AllowRebase, &r.AllowAutoMerge: in.AllowAutoMerge, &r.DeleteOnMerge: in.DeleteBranchOnMerge,
	} {
		if from != nil {
			*to = *from
		}
	}
	if in.Description != nil {
		r.Description = *in.Description
	}
	r.UpdatedAt = s.now()
	return ok(s.fullRepoJSON(c))
}

// Dispatch sends a repository_dispatch event on behalf of an account.
func (s *Server) Dispatch(full, person, eventType string, payload any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	if !s.canPush(r, who) {
		return fail(http.StatusForbidden, "Must have write access to %s.", full)
	}
	return s.dispatch(r, who, eventType, payload)
}

func (s *Server) dispatch(r *repo, who *account, eventType string, payload any) error {
	if eventType == "" {
		return invalid("RepositoryDispatch", "event_type", "missing_field")
	}
	if len(eventType) > 100 {
		return invalid("RepositoryDispatch", "event_type", "too_long")
	}
	if m, ok := payload.(map[string]any); ok && len(m) > 10 {
		return fail(http.StatusUnprocessableEntity, "No more than 10 properties are allowed; %d were supplied.", len(m))
	}
	if payload == nil {
		payload = object{}
	}
	s.emit(r, "repository_dispatch", eventType, who, object{"branch": r.DefaultBranch, "client_payload": payload})
	return nil
}

func (s *Server) dispatchRoute(c *call) (reply, error) {
	var in struct {
		EventType string         `json:"event_type"`
		Payload   map[string]any `json:"client_payload"`
	}
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	var payload any
	if in.Payload != nil {
		payload = in.Payload
	}
	if err := s.dispatch(c.repo, c.who.acc, in.EventType, payload); err != nil {
		return reply{}, err
	}
	return noContent()
}

// seat finds a repository and the account that acts on it.
func (s *Server) seat(full, login string) (*repo, *account, error) {
	r := s.w.repoNamed(full)
	if r == nil {
		return nil, nil, fail(http.StatusNotFound, "There is no repository %s", full)
	}
	who := s.w.user(login)
	if who == nil {
		return nil, nil, fail(http.StatusNotFound, "There is nobody called %q", login)
	}
	return r, who, nil
}

var repoURLs = []struct{ key, tail string }{
	{"archive_url", "/{archive_format}{/ref}"},
	{"assignees_url", "/assignees{/user}"},
	{"blobs_url", "/git/blobs{/sha}"},
	{"branches_url", "/branches{/branch}"},
	{"collaborators_url", "/collaborators{/collaborator}"},
	{"comments_url", "/comments{/number}"},
	{"commits_url", "/commits{/sha}"},
	{"compare_url", "/compare/{base}...{head}"},
	{"contents_url", "/contents/{+path}"},
	{"contributors_url", "/contributors"},
	{"deployments_url", "/deployments"},
	{"downloads_url", "/downloads"},
	{"events_url", "/events"},
	{"forks_url", "/forks"},
	{"git_commits_url", "/git/commits{/sha}"},
	{"git_refs_url", "/git/refs{/sha}"},
	{"git_tags_url", "/git/tags{/sha}"},
	{"hooks_url", "/hooks"},
	{"issue_comment_url", "/issues/comments{/number}"},
	{"issue_events_url", "/issues/events{/number}"},
	{"issues_url", "/issues{/number}"},
	{"keys_url", "/keys{/key_id}"},
	{"labels_url", "/labels{/name}"},
	{"languages_url", "/languages"},
	{"merges_url", "/merges"},
	{"milestones_url", "/milestones{/number}"},
	{"notifications_url", "/notifications{?since,all,participating}"},
	{"pulls_url", "/pulls{/number}"},
	{"releases_url", "/releases{/id}"},
	{"stargazers_url", "/stargazers"},
	{"statuses_url", "/statuses/{sha}"},
	{"subscribers_url", "/subscribers"},
	{"subscription_url", "/subscription"},
	{"tags_url", "/tags"},
	{"teams_url", "/teams"},
	{"trees_url", "/git/trees{/sha}"},
}

// repoJSON is GitHub's repository.
func (s *Server) repoJSON(r *repo) object {
	u := s.api("/repos/%s", r.full())
	o := object{
		"id": r.ID, "node_id": nodeID("R", r.ID), "name": r.Name, "full_name": r.full(), "private": r.Private,
		"owner": s.user(s.owner(r.Owner)), "html_url": s.html("/%s", r.full()), "description": orNull(r.Description),
		"fork": false, "url": u, "git_url": "git:" + strings.TrimPrefix(s.html("/%s.git", r.full()), "http:"),
		"ssh_url": "git@localhost:" + r.full() + ".git", "clone_url": s.html("/%s.git", r.full()),
		"svn_url": s.html("/%s", r.full()), "mirror_url": nil, "homepage": nil, "language": nil, "forks_count": 0, "forks": 0,
		"stargazers_count": 0, "watchers_count": 0, "watchers": 0, "size": 1, "default_branch": r.DefaultBranch,
		"open_issues_count": r.open(), "open_issues": r.open(), "is_template": false, "topics": []string{},
		"has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false, "has_downloads": false,
		"has_discussions": false, "archived": r.Archived, "disabled": false, "visibility": visibility(r),
		"pushed_at": stamp(r.PushedAt), "created_at": stamp(r.CreatedAt), "updated_at": stamp(r.UpdatedAt),
		"license": nil, "allow_forking": true, "web_commit_signoff_required": false,
	}
	for _, p := range repoURLs {
		o[p.key] = u + p.tail
	}
	return o
}

// fullRepoJSON adds what is answered to those who ask for one repository.
func (s *Server) fullRepoJSON(c *call) object {
	o, r := s.repoJSON(c.repo), c.repo
	for k, v := range (object{
		"allow_merge_commit": r.AllowMerge, "allow_squash_merge": r.AllowSquash,
		"allow_rebase_merge": r.AllowRebase, "allow_auto_merge": r.AllowAutoMerge, "delete_branch_on_merge": r.DeleteOnMerge,
		"allow_update_branch": r.AllowUpdate, "use_squash_pr_title_as_default": false, "network_count": 0,
		"subscribers_count": 0, "squash_merge_commit_title": "COMMIT_OR_PR_TITLE", "squash_merge_commit_message": "COMMIT_MESSAGES",
		"merge_commit_title": "MERGE_MESSAGE", "merge_commit_message": "PR_TITLE",
	}) {
		o[k] = v
	}
	if c.who != nil {
		o["permissions"] = rolePermissions(s.role(r, c.who.acc))
	}
	if org := s.owner(r.Owner); org.Type == "Organization" {
		o["organization"] = s.userJSON(org)
	}
	return o
}

func visibility(r *repo) string {
	if r.Private {
		return "private"
	}
	return "public"
}

func (r *repo) open() int {
	n := 0
	for _, i := range r.Issues {
		if i.State == "open" {
			n++
		}
	}
	return n
}

// tip is where a branch is, or ErrNotFound.
func (s *Server) tip(ctx context.Context, r *repo, branch string) (string, error) {
	return s.refAt(ctx, r, "refs/heads/"+branch)
}

func (s *Server) refAt(ctx context.Context, r *repo, ref string) (string, error) {
	refs, err := r.git.Refs(ctx, ref)
	if err != nil {
		return "", fmt.Errorf("read %s of %s: %w", ref, r.full(), err)
	}
	id, ok := refs[ref]
	if !ok {
		return "", fmt.Errorf("%s of %s: %w", ref, r.full(), gitstore.ErrNotFound)
	}
	return id, nil
}

// branches lists a repository's branches by name.
func (s *Server) branches(ctx context.Context, r *repo) ([]string, map[string]string, error) {
	refs, err := r.git.Refs(ctx, "refs/heads/")
	if err != nil {
		return nil, nil, err
	}
	names := make([]string, 0, len(refs))
	at := make(map[string]string, len(refs))
	for ref, id := range refs {
		n := strings.TrimPrefix(ref, "refs/heads/")
		names = append(names, n)
		at[n] = id
	}
	slices.Sort(names)
	return names, at, nil
}

// touch notes that a repository has been pushed to.
func (r *repo) touch(now time.Time) { r.PushedAt, r.UpdatedAt = now, now }
