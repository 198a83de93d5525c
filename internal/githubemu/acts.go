package githubemu

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// Push is a change of whole files that a person pushes.
type Push struct {
	Repository string `json:"repository"`
	Person     string `json:"person"`
	// Branch is made from the default branch if it does not exist. Empty is
	// the default branch.
	Branch  string            `json:"branch,omitempty"`
	Message string            `json:"message,omitempty"`
	Files   map[string]string `json:"files,omitempty"`
	Delete  []string          `json:"delete,omitempty"`
	// From is the commit to build on; with one that is not the branch's tip
	// the branch is forced.
	From string `json:"from,omitempty"`
}

// PushFiles commits a change and pushes it, subject to the rules, as a person
// does with git. It returns the commit.
func (s *Server) PushFiles(ctx context.Context, p Push) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(p.Repository, p.Person)
	if err != nil {
		return "", err
	}
	if !s.canPush(r, who) {
		return "", fail(http.StatusForbidden, "Permission to %s.git denied to %s.", r.full(), who.Login)
	}
	if p.Branch == "" {
		p.Branch = r.DefaultBranch
	}
	old, err := s.tip(ctx, r, p.Branch)
	parent := old
	if err != nil {
		old = gitstore.Zero
		parent, _ = s.tip(ctx, r, r.DefaultBranch) // an empty repository has none
	}
	if p.From != "" {
		parent = p.From
	}
	sha, err := s.commitFiles(ctx, r, who, parent, CommitSeed{Message: p.Message, Files: p.Files, Delete: p.Delete})
	if err != nil {
		return "", err
	}
	return sha, s.moveRef(ctx, r, who, gitstore.RefUpdate{Ref: "refs/heads/" + p.Branch, Old: old, New: sha}, false)
}

// MoveBranch points a branch at a commit as a person's forced push does. An
// empty sha deletes the branch.
func (s *Server) MoveBranch(ctx context.Context, full, person, branch, sha string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	if !s.canPush(r, who) {
		return fail(http.StatusForbidden, "Permission to %s.git denied to %s.", r.full(), who.Login)
	}
	if sha == "" {
		return s.deleteBranch(ctx, r, who, branch)
	}
	old, err := s.tip(ctx, r, branch)
	if err != nil {
		old = gitstore.Zero
	}
	return s.moveRef(ctx, r, who, gitstore.RefUpdate{Ref: "refs/heads/" + branch, Old: old, New: sha}, false)
}

// onPull finds a pull request and the person who acts on it.
func (s *Server) onPull(full string, number int, person string) (*repo, *pull, *account, error) {
	r, who, err := s.seat(full, person)
	if err != nil {
		return nil, nil, nil, err
	}
	p := r.Pulls[number]
	if p == nil {
		return nil, nil, nil, fail(http.StatusNotFound, "There is no pull request %s#%d", full, number)
	}
	if rank(s.role(r, who)) < rank("read") {
		return nil, nil, nil, notFound()
	}
	return r, p, who, nil
}

// OpenPull opens a pull request for a person and returns its number.
func (s *Server) OpenPull(ctx context.Context, full, person, head, base, title, body string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return 0, err
	}
	if base == "" {
		base = r.DefaultBranch
	}
	p, err := s.createPull(ctx, r, who, newPull{Title: title, Body: body, Head: head, Base: base})
	if err != nil {
		return 0, err
	}
	return p.Number, nil
}

// Review reviews a pull request for a person. Event is APPROVE,
// REQUEST_CHANGES or COMMENT. It returns the review's id.
func (s *Server) Review(ctx context.Context, full string, number int, person, event, body string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return 0, err
	}
	rv, err := s.addReview(ctx, r, p, who, event, body, "")
	if err != nil {
		return 0, err
	}
	return rv.ID, nil
}

// DismissReview dismisses a review, for a person with write.
func (s *Server) DismissReview(ctx context.Context, full string, number int, person string, review int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return err
	}
	for _, rv := range p.Reviews {
		if rv.ID == review {
			return s.dismiss(ctx, r, p, rv, who)
		}
	}
	return notFound()
}

// Comment writes a comment on an issue or pull request and returns its id.
func (s *Server) Comment(_ context.Context, full string, number int, person, body string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return 0, err
	}
	i := r.Issues[number]
	if i == nil || rank(s.role(r, who)) < rank("read") {
		return 0, notFound()
	}
	cm, err := s.addComment(r, i, who, body)
	if err != nil {
		return 0, err
	}
	return cm.ID, nil
}

// EditComment changes a comment's body; an empty body deletes it.
func (s *Server) EditComment(_ context.Context, full, person string, id int64, body string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	for _, i := range r.Issues {
		for _, cm := range i.Comments {
			if cm.ID != id {
				continue
			}
			if body == "" {
				return s.removeComment(r, i, cm, who)
			}
			return s.editComment(r, i, cm, who, body)
		}
	}
	return notFound()
}

// Merge merges a pull request as a person does with the button. Method is
// merge, squash or rebase; empty is merge. It returns the new commit.
func (s *Server) Merge(ctx context.Context, full string, number int, person, method string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return "", err
	}
	return s.merge(ctx, r, p, who, mergeAsk{Method: method})
}

// SetPullState closes or reopens a pull request: state is closed or open.
func (s *Server) SetPullState(ctx context.Context, full string, number int, person, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return err
	}
	if fold(who.Login) != fold(r.issueOf(p).User) && rank(s.role(r, who)) < rank("triage") {
		return fail(http.StatusForbidden, "Must have triage rights to Repository.")
	}
	if state == r.issueOf(p).State {
		return nil
	}
	return s.setPullState(ctx, r, p, who, state)
}

// UpdateBranch presses "Update branch" for a person.
func (s *Server) UpdateBranch(ctx context.Context, full string, number int, person string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return err
	}
	return s.updateBranch(ctx, r, p, who)
}

// Revert presses "Revert" on a merged pull request for a person: it opens a
// pull request that undoes it, and returns its number.
func (s *Server) Revert(ctx context.Context, full string, number int, person string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return 0, err
	}
	q, err := s.revert(ctx, r, p, who)
	if err != nil {
		return 0, err
	}
	return q.Number, nil
}

func (s *Server) revert(ctx context.Context, r *repo, p *pull, who *account) (*pull, error) {
	if !p.Merged {
		return nil, fail(http.StatusUnprocessableEntity, "Pull request is not merged")
	}
	if !s.canPush(r, who) {
		return nil, fail(http.StatusForbidden, "Must have write access to revert a pull request.")
	}
	merged, err := r.git.ReadCommit(ctx, p.MergeSHA)
	if err != nil {
		return nil, err
	}
	if len(merged.Parents) == 0 {
		return nil, fail(http.StatusUnprocessableEntity, "Sorry, this pull request couldn’t be reverted automatically.")
	}
	before, err := r.git.ReadCommit(ctx, merged.Parents[0])
	if err != nil {
		return nil, err
	}
	tip, err := s.tip(ctx, r, p.BaseRef)
	if err != nil {
		return nil, err
	}
	// The change back, as a commit beside what came after the merge.
	me := s.identOf(who)
	back, err := s.writeCommit(ctx, r, newCommit{Tree: before.Tree, Parents: []string{p.MergeSHA}, Author: me, Committer: me, Message: "back"})
	if err != nil {
		return nil, err
	}
	tree, conflicts, err := r.git.MergeTree(ctx, tip, back)
	if err != nil {
		return nil, err
	}
	if len(conflicts) > 0 {
		return nil, fail(http.StatusUnprocessableEntity, "Sorry, this pull request couldn’t be reverted automatically. It may have already been reverted, or the content may have changed since it was merged.")
	}
	title := fmt.Sprintf("Revert %q", r.issueOf(p).Title)
	ref := fmt.Sprintf("revert-%d-%s", p.Number, strings.ReplaceAll(p.HeadRef, "/", "-"))
	sha, err := s.webCommit(ctx, r, who, tree, []string{tip}, title+"\n\n"+fmt.Sprintf("This reverts commit %s.\n", p.MergeSHA))
	if err != nil {
		return nil, err
	}
	if err := s.moveRef(ctx, r, who, gitstore.RefUpdate{Ref: "refs/heads/" + ref, Old: gitstore.Zero, New: sha}, false); err != nil {
		return nil, err
	}
	return s.createPull(ctx, r, who, newPull{Title: title, Head: ref, Base: p.BaseRef, Body: fmt.Sprintf("Reverts %s#%d", r.full(), p.Number)})
}

// ClickAction presses a button of a completed check run for a person.
func (s *Server) ClickAction(ctx context.Context, full, person string, run int64, identifier string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	cr := s.runByID(r, run)
	if cr == nil || cr.Status != "completed" {
		return fail(http.StatusNotFound, "There is no completed check run %d with buttons", run)
	}
	for _, a := range cr.Actions {
		if a.Identifier == identifier {
			s.emitRun(ctx, r, cr, "requested_action", who, object{"requested_action": object{"identifier": identifier}})
			return nil
		}
	}
	return fail(http.StatusNotFound, "Check run %d has no button %q", run, identifier)
}

// Rerequest presses "Re-run" on a check run for a person.
func (s *Server) Rerequest(ctx context.Context, full, person string, run int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	cr := s.runByID(r, run)
	if cr == nil {
		return notFound()
	}
	if !s.canPush(r, who) {
		return fail(http.StatusForbidden, "Must have write access to re-run a check.")
	}
	s.emitRun(ctx, r, cr, "rerequested", who, nil)
	return nil
}

// CheckReport is what another App says of a commit.
type CheckReport struct {
	Repository string `json:"repository"`
	// App is the slug of an App added with AddApp; one that does not exist is
	// made and installed.
	App string `json:"app"`
	// SHA is a commit, or a branch whose tip is meant.
	SHA string `json:"sha"`
	// Name of the check run, or context of the status.
	Name string `json:"name"`
	// Conclusion of a check run; empty means that it is still running.
	Conclusion string `json:"conclusion,omitempty"`
	// State of a status, for ReportStatus: success, failure, error, pending.
	State   string `json:"state,omitempty"`
	Title   string `json:"title,omitempty"`
	Summary string `json:"summary,omitempty"`
}

// reporter finds or makes the App that reports.
func (s *Server) reporter(r *repo, slug string) (*app, error) {
	a := s.w.appBySlug(slug)
	if a == nil {
		var err error
		if a, err = s.addApp(App{Slug: slug, Events: []string{}}); err != nil {
			return nil, err
		}
	}
	if s.w.installationOn(a.ID, r) == nil {
		if _, err := s.install(a, r.Owner, []string{r.full()}); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// ReportCheck posts a check run for another App, or updates its newest one of
// that name that has not completed. It returns the run's id.
func (s *Server) ReportCheck(ctx context.Context, rep CheckReport) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.w.repoNamed(rep.Repository)
	if r == nil {
		return 0, notFound()
	}
	a, err := s.reporter(r, rep.App)
	if err != nil {
		return 0, err
	}
	sha, err := s.resolveRef(ctx, r, rep.SHA)
	if err != nil {
		return 0, err
	}
	status := "in_progress"
	in := runInput{Name: &rep.Name, HeadSHA: sha, Status: &status}
	if rep.Conclusion != "" {
		status, in.Conclusion = "completed", &rep.Conclusion
	}
	if rep.Title != "" || rep.Summary != "" {
		in.Output = &runOutput{Title: &rep.Title, Summary: &rep.Summary}
	}
	for _, run := range latestRuns(r.Runs[sha]) {
		if run.AppID == a.ID && run.Name == rep.Name && run.Status != "completed" {
			return run.ID, s.afterCheck(ctx, r, s.updateRun(ctx, r, run, in))
		}
	}
	run, err := s.createRun(ctx, r, a.ID, in)
	if err != nil {
		return 0, err
	}
	return run.ID, s.afterCheck(ctx, r, nil)
}

// ReportStatus posts a commit status for another App.
func (s *Server) ReportStatus(ctx context.Context, rep CheckReport) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.w.repoNamed(rep.Repository)
	if r == nil {
		return notFound()
	}
	a, err := s.reporter(r, rep.App)
	if err != nil {
		return err
	}
	sha, err := s.resolveRef(ctx, r, rep.SHA)
	if err != nil {
		return err
	}
	_, err = s.createStatus(ctx, r, s.w.bot(a.ID), sha, statusInput{State: rep.State, Context: rep.Name, Description: rep.Summary})
	return s.afterCheck(ctx, r, err)
}

// afterCheck turns the merge queue after a check has changed.
func (s *Server) afterCheck(ctx context.Context, r *repo, err error) error {
	if err != nil {
		return err
	}
	return s.turnQueue(ctx, r)
}

// Enqueue puts a pull request into the merge queue for a person.
func (s *Server) Enqueue(ctx context.Context, full string, number int, person string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, p, who, err := s.onPull(full, number, person)
	if err != nil {
		return err
	}
	return s.enqueuePull(ctx, r, p, who, "")
}

// PublishRelease publishes a release with its tag at the default branch's tip.
func (s *Server) PublishRelease(ctx context.Context, full, person, tag, body string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	if !s.canPush(r, who) {
		return fail(http.StatusForbidden, "Must have write access to %s.", full)
	}
	tip, err := s.tip(ctx, r, r.DefaultBranch)
	if err != nil {
		return err
	}
	if _, err := s.refAt(ctx, r, "refs/tags/"+tag); err != nil {
		up := gitstore.RefUpdate{Ref: "refs/tags/" + tag, Old: gitstore.Zero, New: tip}
		if err := s.moveRef(ctx, r, who, up, false); err != nil {
			return err
		}
	}
	x := &release{ID: s.w.next("release"), Tag: tag, Name: tag, Body: body, Target: r.DefaultBranch, Author: who.Login,
		CreatedAt: s.now(), PublishedAt: s.now()}
	r.Releases = append(r.Releases, x)
	for _, action := range []string{"published", "released"} {
		s.emit(r, "release", action, who, object{"release": s.releaseJSON(r, x)})
	}
	return nil
}

// SetDeploymentStatus adds a status to the newest deployment of an environment,
// making the deployment of a ref if there is none for it yet.
func (s *Server) SetDeploymentStatus(ctx context.Context, full, person, environment, ref, state, description string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	sha, err := s.resolveRef(ctx, r, ref)
	if err != nil {
		return err
	}
	var d *deployment
	for _, x := range r.Deployments {
		if x.Environment == environment && x.SHA == sha {
			d = x
		}
	}
	if d == nil {
		d = &deployment{ID: s.w.next("deployment"), SHA: sha, Ref: ref, Task: "deploy", Environment: environment,
			Payload: []byte("{}"), Creator: who.Login, CreatedAt: s.now()}
		r.Deployments = append(r.Deployments, d)
		s.emit(r, "deployment", "created", who, object{"deployment": s.deploymentJSON(r, d), "workflow": nil, "workflow_run": nil})
	}
	return s.addDeployStatus(r, d, who, &deployStatus{State: state, Description: description})
}

// Package is a published container image as a package event tells of it.
type Package struct {
	// Repository is the repository the package is linked to; its owner owns
	// the package.
	Repository string `json:"repository"`
	Person     string `json:"person"`
	Name       string `json:"name"`
	// Digest such as sha256:…; Tag may be empty, as it is for the manifests
	// of single architectures.
	Digest string `json:"digest"`
	Tag    string `json:"tag,omitempty"`
	// Host of the registry, such as ghcr.io.
	Host string `json:"host,omitempty"`
	// Event is registry_package (also if empty) or package.
	Event string `json:"event,omitempty"`
	// Unlinked leaves the repository out of the package, as happens with
	// packages of an organisation.
	Unlinked bool `json:"unlinked,omitempty"`
}

// PublishPackage sends the event of a published image.
func (s *Server) PublishPackage(_ context.Context, p Package) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(p.Repository, p.Person)
	if err != nil {
		return err
	}
	if p.Host == "" {
		p.Host = "ghcr.io"
	}
	event := p.Event
	if event == "" {
		event = "registry_package"
	}
	s.emit(r, event, "published", who, object{event: s.packageJSON(r, who, p)})
	return nil
}

func (s *Server) packageJSON(r *repo, who *account, p Package) object {
	now := s.now().UTC().Format(time.RFC3339)
	id := s.w.next("package")
	namespace := fold(r.Owner) + "/" + p.Name
	html := s.html("/%s/packages/%d", r.full(), id)
	version := object{"id": id, "version": p.Digest, "name": p.Digest, "description": "", "summary": "", "body_html": "",
		"html_url": html, "created_at": now, "updated_at": now, "metadata": []object{}, "package_files": []object{},
		"installation_command": "docker pull " + p.Host + "/" + namespace + ":" + p.Tag, "author": s.user(who),
		"target_commitish": r.DefaultBranch, "target_oid": "", "draft": false, "prerelease": false,
		"package_url": p.Host + "/" + namespace + ":" + p.Tag, "docker_metadata": []object{},
		"container_metadata": object{"tag": object{"name": p.Tag, "digest": p.Digest},
			"labels":   object{"description": "", "source": "", "revision": "", "image_url": "", "licenses": "", "all_labels": object{}},
			"manifest": object{"digest": p.Digest, "media_type": "application/vnd.oci.image.manifest.v1+json", "uri": "repositories/" + namespace + "/manifests/" + p.Digest, "size": 528, "config": object{}, "layers": []object{}}}}
	o := object{"id": id, "name": p.Name, "namespace": namespace, "description": "", "ecosystem": "CONTAINER", "package_type": "CONTAINER",
		"html_url": html, "created_at": now, "updated_at": now, "owner": s.user(s.owner(r.Owner)), "package_version": version,
		"registry": object{"about_url": "https://docs.github.com/packages", "name": "GitHub CONTAINER registry", "type": "CONTAINER",
			"url": "https://" + p.Host + "/" + namespace, "vendor": "GitHub Inc"}}
	if !p.Unlinked {
		o["repository"] = s.repoOf(r, false)
	}
	return o
}

// FinishWorkflow sends the event of a completed workflow run on a branch.
func (s *Server) FinishWorkflow(ctx context.Context, full, person, workflow, branch, conclusion string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, who, err := s.seat(full, person)
	if err != nil {
		return err
	}
	sha, err := s.tip(ctx, r, branch)
	if err != nil {
		return err
	}
	id, now := s.w.next("workflow"), stamp(s.now())
	u := s.api("/repos/%s/actions/runs/%d", r.full(), id)
	wf := object{"id": 1, "node_id": nodeID("W", 1), "name": workflow, "path": ".github/workflows/" + workflow + ".yml", "state": "active",
		"created_at": now, "updated_at": now, "url": s.api("/repos/%s/actions/workflows/1", r.full()),
		"html_url":  s.html("/%s/blob/%s/.github/workflows/%s.yml", r.full(), r.DefaultBranch, workflow),
		"badge_url": s.html("/%s/workflows/%s/badge.svg", r.full(), workflow)}
	run := object{"id": id, "node_id": nodeID("WFR", id), "name": workflow, "display_title": workflow, "head_branch": branch,
		"head_sha": sha, "path": wf["path"], "run_number": id, "run_attempt": 1, "event": "push", "status": "completed",
		"conclusion": conclusion, "workflow_id": 1, "check_suite_id": id, "check_suite_node_id": nodeID("CS", id), "url": u,
		"html_url": s.html("/%s/actions/runs/%d", r.full(), id), "pull_requests": s.pullsOf(r, sha), "created_at": now, "updated_at": now,
		"run_started_at": now, "actor": s.user(who), "triggering_actor": s.user(who), "jobs_url": u + "/jobs",
		"logs_url": u + "/logs", "check_suite_url": s.api("/repos/%s/check-suites/%d", r.full(), id), "artifacts_url": u + "/artifacts",
		"cancel_url": u + "/cancel", "rerun_url": u + "/rerun", "previous_attempt_url": nil, "workflow_url": wf["url"],
		"head_commit": s.shortCommitCtx(ctx, r, sha), "repository": s.repoOf(r, false), "head_repository": s.repoOf(r, false),
		"referenced_workflows": []object{}}
	s.emit(r, "workflow_run", "completed", who, object{"workflow": wf, "workflow_run": run})
	return nil
}
