package githubemu

import (
	"context"
	"net/http"
	"time"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

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
	x := &release{
		ID: s.w.next("release"), Tag: tag, Name: tag, Body: body, Target: r.DefaultBranch, Author: who.Login,
		CreatedAt: s.now(), PublishedAt: s.now(),
	}
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
		d = &deployment{
			ID: s.w.next("deployment"), SHA: sha, Ref: ref, Task: "deploy", Environment: environment,
			Payload: []byte("{}"), Creator: who.Login, CreatedAt: s.now(),
		}
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
	version := object{
		"id": id, "version": p.Digest, "name": p.Digest, "description": "", "summary": "", "body_html": "",
		"html_url": html, "created_at": now, "updated_at": now, "metadata": []object{}, "package_files": []object{},
		"installation_command": "docker pull " + p.Host + "/" + namespace + ":" + p.Tag, "author": s.user(who),
		"target_commitish": r.DefaultBranch, "target_oid": "", "draft": false, "prerelease": false,
		"package_url": p.Host + "/" + namespace + ":" + p.Tag, "docker_metadata": []object{},
		"container_metadata": object{
			"tag":      object{"name": p.Tag, "digest": p.Digest},
			"labels":   object{"description": "", "source": "", "revision": "", "image_url": "", "licenses": "", "all_labels": object{}},
			"manifest": object{"digest": p.Digest, "media_type": "application/vnd.oci.image.manifest.v1+json", "uri": "repositories/" + namespace + "/manifests/" + p.Digest, "size": 528, "config": object{}, "layers": []object{}},
		},
	}
	o := object{
		"id": id, "name": p.Name, "namespace": namespace, "description": "", "ecosystem": "CONTAINER", "package_type": "CONTAINER",
		"html_url": html, "created_at": now, "updated_at": now, "owner": s.user(s.owner(r.Owner)), "package_version": version,
		"registry": object{
			"about_url": "https://docs.github.com/packages", "name": "GitHub CONTAINER registry", "type": "CONTAINER",
			"url": "https://" + p.Host + "/" + namespace, "vendor": "GitHub Inc",
		},
	}
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
	wf := object{
		"id": 1, "node_id": nodeID("W", 1), "name": workflow, "path": ".github/workflows/" + workflow + ".yml", "state": "active",
		"created_at": now, "updated_at": now, "url": s.api("/repos/%s/actions/workflows/1", r.full()),
		"html_url":  s.html("/%s/blob/%s/.github/workflows/%s.yml", r.full(), r.DefaultBranch, workflow),
		"badge_url": s.html("/%s/workflows/%s/badge.svg", r.full(), workflow),
	}
	run := object{
		"id": id, "node_id": nodeID("WFR", id), "name": workflow, "display_title": workflow, "head_branch": branch,
		"head_sha": sha, "path": wf["path"], "run_number": id, "run_attempt": 1, "event": "push", "status": "completed",
		"conclusion": conclusion, "workflow_id": 1, "check_suite_id": id, "check_suite_node_id": nodeID("CS", id), "url": u,
		"html_url": s.html("/%s/actions/runs/%d", r.full(), id), "pull_requests": s.pullsOf(r, sha), "created_at": now, "updated_at": now,
		"run_started_at": now, "actor": s.user(who), "triggering_actor": s.user(who), "jobs_url": u + "/jobs",
		"logs_url": u + "/logs", "check_suite_url": s.api("/repos/%s/check-suites/%d", r.full(), id), "artifacts_url": u + "/artifacts",
		"cancel_url": u + "/cancel", "rerun_url": u + "/rerun", "previous_attempt_url": nil, "workflow_url": wf["url"],
		"head_commit": s.shortCommitCtx(ctx, r, sha), "repository": s.repoOf(r, false), "head_repository": s.repoOf(r, false),
		"referenced_workflows": []object{},
	}
	s.emit(r, "workflow_run", "completed", who, object{"workflow": wf, "workflow_run": run})
	return nil
}
