package githubemu

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rungbot/rung/internal/githubemu/gitstore"
)

// allEvents are those that an App may subscribe to here. A package event goes to
// hooks of repositories and organisations, to Apps only registry_package does.
func allEvents() []string {
	return []string{
		"branch_protection_rule", "check_run", "check_suite", "create", "delete", "deployment", "deployment_status",
		"issue_comment", "issues", "label", "merge_group", "pull_request", "pull_request_review", "push",
		"registry_package", "release", "repository", "repository_dispatch", "repository_ruleset", "status", "workflow_run",
	}
}

// emit queues an event about a repository for every App that is installed on
// it and subscribed. Extra fields are merged into the payload.
func (s *Server) emit(r *repo, event, action string, sender *account, extra object) {
	for _, in := range sortedBy(s.w.Installations) {
		if in.Removed || in.SuspendedAt != nil || !in.covers(r) || !slices.Contains(in.Events, event) {
			continue
		}
		s.emitTo(in, r, event, action, sender, extra)
	}
}

// emitTo queues an event for one installation.
func (s *Server) emitTo(in *installation, r *repo, event, action string, sender *account, extra object) {
	a := s.w.Apps[in.AppID]
	payload := object{"sender": s.user(sender), "installation": object{"id": in.ID, "node_id": nodeID("MDI", in.ID)}}
	if action != "" {
		payload["action"] = action
	}
	if r != nil {
		payload["repository"] = s.repoOf(r, false)
		if org := s.owner(r.Owner); org.Type == "Organization" {
			payload["organization"] = s.orgJSON(org)
		}
	}
	for k, v := range extra {
		payload[k] = v
	}
	s.enqueue(a, in, r, event, action, encodePayload(payload))
}

func encodePayload(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return []byte(`{}`) // payloads are maps of plain values: this cannot happen
	}
	return bytes.TrimRight(buf.Bytes(), "\n")
}

func shortRepos(repos []*repo) []object {
	out := []object{}
	for _, r := range repos {
		out = append(out, object{"id": r.ID, "node_id": nodeID("R", r.ID), "name": r.Name, "full_name": r.full(), "private": r.Private})
	}
	return out
}

// emitInstallation tells the App of its own installation, subscribed or not.
func (s *Server) emitInstallation(in *installation, action string, repos []*repo) {
	extra := object{"installation": s.installationJSON(in), "requester": nil}
	if repos != nil || action == "created" || action == "deleted" {
		extra["repositories"] = shortRepos(repos)
	}
	s.emitTo(in, nil, "installation", action, s.installer(in), extra)
}

func (s *Server) emitInstallationRepos(in *installation, action string, repos []*repo) {
	extra := object{
		"installation": s.installationJSON(in), "requester": nil, "repository_selection": "selected",
		"repositories_added": []object{}, "repositories_removed": []object{},
	}
	extra["repositories_"+action] = shortRepos(repos)
	s.emitTo(in, nil, "installation_repositories", action, s.installer(in), extra)
}

// installer is who acts on an installation: an owner of the account.
func (s *Server) installer(in *installation) *account {
	org := s.owner(in.Account)
	for _, login := range sortedKeys(org.Members) {
		if org.Members[login] == "admin" {
			return s.w.user(login)
		}
	}
	return org
}

// emitPush tells of a ref that moved: push, and create or delete with it.
func (s *Server) emitPush(ctx context.Context, r *repo, who *account, up gitstore.RefUpdate) {
	kind, name := "", ""
	switch {
	case strings.HasPrefix(up.Ref, "refs/heads/"):
		kind, name = "branch", strings.TrimPrefix(up.Ref, "refs/heads/")
	case strings.HasPrefix(up.Ref, "refs/tags/"):
		kind, name = "tag", strings.TrimPrefix(up.Ref, "refs/tags/")
	default:
		return
	}
	if up.Old == gitstore.Zero {
		s.emit(r, "create", "", who, object{
			"ref": name, "ref_type": kind, "master_branch": r.DefaultBranch,
			"description": orNull(r.Description), "pusher_type": "user",
		})
	}
	if up.New == gitstore.Zero {
		s.emit(r, "delete", "", who, object{"ref": name, "ref_type": kind, "pusher_type": "user"})
	}
	s.emit(r, "push", "", who, s.pushPayload(ctx, r, who, up))
}

func (s *Server) pushPayload(ctx context.Context, r *repo, who *account, up gitstore.RefUpdate) object {
	gone, fresh := up.New == gitstore.Zero, up.Old == gitstore.Zero
	o := object{
		"ref": up.Ref, "before": up.Old, "after": up.New, "created": fresh, "deleted": gone, "forced": false,
		"base_ref": nil, "compare": s.html("/%s/compare/%s...%s", r.full(), up.Old[:12], up.New[:12]), "commits": []object{},
		"head_commit": nil, "pusher": object{"name": who.Login, "email": who.Email},
	}
	repository := s.repoJSON(r)
	repository["created_at"], repository["pushed_at"] = r.CreatedAt.Unix(), r.PushedAt.Unix()
	repository["master_branch"], repository["stargazers"] = r.DefaultBranch, 0
	owner := s.userJSON(s.owner(r.Owner))
	owner["name"], owner["email"] = r.Owner, nil
	repository["owner"] = owner
	if s.owner(r.Owner).Type == "Organization" {
		repository["organization"] = r.Owner
	}
	o["repository"] = repository
	if gone {
		return o
	}
	var exclude []string
	if fresh {
		if base, err := s.tip(ctx, r, r.DefaultBranch); err == nil && base != up.New {
			exclude = []string{base}
		}
	} else {
		exclude = []string{up.Old}
		if forward, err := s.reaches(ctx, r, up.Old, up.New); err == nil {
			o["forced"] = !forward
		}
	}
	commits, err := r.git.Log(ctx, up.New, exclude, 2048)
	if err != nil {
		return o
	}
	slices.Reverse(commits)
	rows := []object{}
	for _, cm := range commits {
		rows = append(rows, s.pushCommit(ctx, r, cm))
	}
	o["commits"] = rows
	if head, err := r.git.ReadCommit(ctx, up.New); err == nil {
		o["head_commit"] = s.pushCommit(ctx, r, head)
	}
	return o
}

// pushCommit is a commit as push events show it.
func (s *Server) pushCommit(ctx context.Context, r *repo, cm gitstore.Commit) object {
	who := func(line string) object {
		sig := parseIdent(line)
		o := object{"name": sig.Name, "email": sig.Email}
		if a := s.byEmail(sig.Email); a != nil {
			o["username"] = a.Login
		}
		return o
	}
	o := object{
		"id": cm.ID, "tree_id": cm.Tree, "distinct": true, "message": cm.Message, "timestamp": stamp(parseIdent(cm.Committer).When),
		"url": s.html("/%s/commit/%s", r.full(), cm.ID), "author": who(cm.Author), "committer": who(cm.Committer),
		"added": []string{}, "removed": []string{}, "modified": []string{},
	}
	from := ""
	if len(cm.Parents) > 0 {
		p, err := r.git.ReadCommit(ctx, cm.Parents[0])
		if err != nil {
			return o
		}
		from = p.Tree
	}
	paths, err := r.git.Diff(ctx, from, cm.Tree)
	if err != nil {
		return o
	}
	lists := map[string][]string{"added": {}, "removed": {}, "modified": {}}
	for _, p := range paths {
		_, errOld := entryAt(ctx, r.git, from, p)
		_, errNew := entryAt(ctx, r.git, cm.Tree, p)
		kind := "modified"
		if from == "" || errOld != nil {
			kind = "added"
		} else if errNew != nil {
			kind = "removed"
		}
		lists[kind] = append(lists[kind], p)
	}
	for k, v := range lists {
		o[k] = v
	}
	return o
}

// emitPull tells of a pull request. The payload is no read of it: it starts no
// computation of mergeability.
func (s *Server) emitPull(ctx context.Context, r *repo, p *pull, action string, who *account, extra object) {
	if !s.listens(r, "pull_request") {
		return
	}
	key, reads := p.mergeKey, p.mergeReads
	o := s.pullJSON(ctx, r, p, true)
	p.mergeKey, p.mergeReads = key, reads
	if !p.Merged {
		o["mergeable"], o["rebaseable"], o["mergeable_state"] = nil, nil, "unknown"
	}
	payload := object{"number": p.Number, "pull_request": o}
	for k, v := range extra {
		payload[k] = v
	}
	s.emit(r, "pull_request", action, who, payload)
}

// listens tells whether anybody would hear an event, to spare the work of
// describing it.
func (s *Server) listens(r *repo, event string) bool {
	for _, in := range s.w.Installations {
		if !in.Removed && in.SuspendedAt == nil && in.covers(r) && slices.Contains(in.Events, event) {
			return true
		}
	}
	return false
}

func (s *Server) emitReview(ctx context.Context, r *repo, p *pull, rv *review, action string, who *account) {
	review := s.reviewJSON(r, p, rv)
	state, _ := review["state"].(string)
	review["state"] = strings.ToLower(state)
	if rv.Body == "" {
		review["body"] = nil
	}
	review["updated_at"] = review["submitted_at"]
	s.emit(r, "pull_request_review", action, who, object{"review": review, "pull_request": s.pullJSON(ctx, r, p, false)})
}

func (s *Server) emitComment(r *repo, i *issue, cm *comment, action string, who *account, extra object) {
	payload := object{"issue": s.issueJSON(r, i), "comment": s.commentJSON(r, i, cm)}
	for k, v := range extra {
		payload[k] = v
	}
	s.emit(r, "issue_comment", action, who, payload)
}

func (s *Server) emitIssue(r *repo, i *issue, action string, who *account) {
	s.emit(r, "issues", action, who, object{"issue": s.issueJSON(r, i)})
}

func (s *Server) emitLabel(ctx context.Context, r *repo, i *issue, action, name string, who *account) {
	l := s.labelJSON(r, r.Labels[fold(name)])
	if p := r.Pulls[i.Number]; p != nil {
		s.emitPull(ctx, r, p, action, who, object{"label": l})
		return
	}
	s.emit(r, "issues", action, who, object{"issue": s.issueJSON(r, i), "label": l})
}

// emitRun tells of a check run. Clicks go to the App that owns the run alone.
func (s *Server) emitRun(ctx context.Context, r *repo, run *checkRun, action string, who *account, extra object) {
	_ = ctx
	cr := s.runJSON(r, run)
	for _, su := range r.Suites[run.HeadSHA] {
		if su.ID == run.SuiteID {
			suite := s.suiteJSON(r, su)
			for _, k := range []string{"repository", "head_commit", "latest_check_runs_count", "check_runs_url", "rerequestable", "runs_rerequestable"} {
				delete(suite, k)
			}
			cr["check_suite"] = suite
		}
	}
	payload := object{"check_run": cr}
	for k, v := range extra {
		payload[k] = v
	}
	if action == "rerequested" || action == "requested_action" {
		if in := s.w.installationOn(run.AppID, r); in != nil && in.SuspendedAt == nil {
			s.emitTo(in, r, "check_run", action, who, payload)
		}
		return
	}
	s.emit(r, "check_run", action, who, payload)
}

// suiteMoved tells once of each conclusion that a suite comes to.
func (s *Server) suiteMoved(ctx context.Context, r *repo, su *checkSuite) {
	su.UpdatedAt = s.now()
	state, conclusion := r.suiteState(su)
	if state != "completed" {
		su.Announced = ""
		return
	}
	if su.Announced == conclusion {
		return
	}
	su.Announced = conclusion
	suite := s.suiteJSON(r, su)
	delete(suite, "repository")
	suite["head_commit"] = s.shortCommitCtx(ctx, r, su.HeadSHA)
	s.emit(r, "check_suite", "completed", s.w.bot(su.AppID), object{"check_suite": suite})
}

func (s *Server) shortCommit(r *repo, sha string) object {
	return s.shortCommitCtx(context.Background(), r, sha)
}

// shortCommitCtx is a commit as suites show it.
func (s *Server) shortCommitCtx(ctx context.Context, r *repo, sha string) object {
	cm, err := r.git.ReadCommit(ctx, sha)
	if err != nil {
		return nil
	}
	who := func(line string) object {
		sig := parseIdent(line)
		return object{"name": sig.Name, "email": sig.Email}
	}
	return object{
		"id": cm.ID, "tree_id": cm.Tree, "message": cm.Message, "timestamp": stamp(parseIdent(cm.Committer).When),
		"author": who(cm.Author), "committer": who(cm.Committer),
	}
}

func (s *Server) emitStatus(ctx context.Context, r *repo, st *status, who *account) {
	if !s.listens(r, "status") {
		return
	}
	branches := []object{}
	if names, at, err := s.branches(ctx, r); err == nil {
		for _, n := range names {
			if at[n] == st.SHA {
				branches = append(branches, object{
					"name": n, "protected": len(r.rulesFor(n)) > 0,
					"commit": object{"sha": st.SHA, "url": s.api("/repos/%s/commits/%s", r.full(), st.SHA)},
				})
			}
		}
	}
	extra := object{
		"id": st.ID, "sha": st.SHA, "name": r.full(), "context": st.Context, "state": st.State,
		"description": orNull(st.Description), "target_url": orNull(st.TargetURL), "avatar_url": s.html("/_emu/avatar/%d", who.ID),
		"branches": branches, "created_at": stamp(st.CreatedAt), "updated_at": stamp(st.CreatedAt), "commit": nil,
	}
	if cm, err := r.git.ReadCommit(ctx, st.SHA); err == nil {
		extra["commit"] = s.commitJSON(r, cm)
	}
	s.emit(r, "status", "", who, extra)
}

// Ping sends the App under test the ping that GitHub sends when a webhook is
// set up.
func (s *Server) Ping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.w.Apps[s.appID]
	s.enqueue(a, nil, nil, "ping", "", encodePayload(object{
		"zen": "Keep it logically awesome.", "hook_id": a.ID*10 + 1,
		"hook": object{
			"type": "App", "id": a.ID*10 + 1, "name": "web", "active": true, "events": a.Events, "app_id": a.ID,
			"config":     object{"content_type": "json", "url": a.WebhookURL, "insecure_ssl": "0", "secret": "********"},
			"updated_at": stamp(s.now()), "created_at": stamp(s.now()), "deliveries_url": s.api("/app/hook/deliveries"),
		},
		"sender": s.userJSON(s.owner(a.Owner)), "app_id": fmt.Sprint(a.ID),
	}))
}
