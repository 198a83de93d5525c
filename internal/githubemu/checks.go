package githubemu

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// checkRun is one App's word on a commit.
type checkRun struct {
	ID          int64
	SuiteID     int64
	AppID       int64
	HeadSHA     string
	Name        string
	Status      string // queued, in_progress or completed
	Conclusion  string
	ExternalID  string
	DetailsURL  string
	StartedAt   time.Time
	CompletedAt time.Time
	Output      checkOutput
	Actions     []CheckAction
}

type checkOutput struct {
	Title       string
	Summary     string
	Text        string
	Annotations []annotation
}

type annotation struct {
	Path      string `json:"path"`
	StartLine int    `json:"start_line"`
	EndLine   int    `json:"end_line"`
	Level     string `json:"annotation_level"`
	Message   string `json:"message"`
	Title     string `json:"title,omitempty"`
}

// CheckAction is a button that a check run shows.
type CheckAction struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

// checkSuite gathers an App's runs on a commit.
type checkSuite struct {
	ID         int64
	AppID      int64
	HeadSHA    string
	HeadBranch string
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Announced  string // conclusion that check_suite completed has told of
}

var conclusions = []string{"success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required", "stale"}

// verdict is how a run counts for those who require it.
func (run *checkRun) verdict() string {
	switch {
	case run.Status != "completed":
		return "pending"
	case run.Conclusion == "success" || run.Conclusion == "neutral" || run.Conclusion == "skipped":
		return "success"
	}
	return "failing"
}

// latestRuns keeps the newest run of each App and name.
func latestRuns(all []*checkRun) []*checkRun {
	last := map[string]*checkRun{}
	for _, run := range all {
		last[fmt.Sprintf("%s\x00%020d", run.Name, run.AppID)] = run
	}
	return sortedBy(last)
}

func (s *Server) checkRoutes() []*route {
	const r = "/repos/{owner}/{repo}"
	return []*route{
		post(r+"/check-runs", "checks:write", s.createRunRoute),
		get(r+"/check-runs/{run}", "checks:read", s.getRun),
		patch(r+"/check-runs/{run}", "checks:write", s.patchRun),
		get(r+"/check-runs/{run}/annotations", "checks:read", s.listAnnotations),
		post(r+"/check-runs/{run}/rerequest", "checks:write", s.rerequestRoute),
		get(r+"/check-suites/{suite}", "checks:read", s.getSuite),
		get(r+"/check-suites/{suite}/check-runs", "checks:read", s.listSuiteRuns),
		get(r+"/commits/{ref...}/check-runs", "checks:read", s.listRuns),
		get(r+"/commits/{ref...}/check-suites", "checks:read", s.listSuites),
	}
}

// runInput is a check run as clients send it, to create or to update.
type runInput struct {
	Name        *string        `json:"name"`
	HeadSHA     string         `json:"head_sha"`
	Status      *string        `json:"status"`
	Conclusion  *string        `json:"conclusion"`
	ExternalID  *string        `json:"external_id"`
	DetailsURL  *string        `json:"details_url"`
	StartedAt   *time.Time     `json:"started_at"`
	CompletedAt *time.Time     `json:"completed_at"`
	Output      *runOutput     `json:"output"`
	Actions     *[]CheckAction `json:"actions"`
}

type runOutput struct {
	Title       *string      `json:"title"`
	Summary     *string      `json:"summary"`
	Text        *string      `json:"text"`
	Annotations []annotation `json:"annotations"`
}

func (in *runInput) check() error {
	if in.Status != nil && !slices.Contains([]string{"queued", "in_progress", "completed"}, *in.Status) {
		return invalid("CheckRun", "status", "invalid")
	}
	if in.Conclusion != nil && !slices.Contains(conclusions, *in.Conclusion) {
		return invalid("CheckRun", "conclusion", "invalid")
	}
	if in.Status != nil && *in.Status == "completed" && in.Conclusion == nil {
		return invalid("CheckRun", "conclusion", "missing_field")
	}
	if o := in.Output; o != nil {
		if o.Summary != nil && len(*o.Summary) > 65535 || o.Text != nil && len(*o.Text) > 65535 {
			return custom("CheckRun", "Only 65535 characters are allowed in output summary and text; %d were supplied.",
				max(deref(o.Summary), deref(o.Text)))
		}
		if len(o.Annotations) > 50 {
			return custom("CheckRun", "No more than 50 items are allowed in annotations; %d were supplied.", len(o.Annotations))
		}
	}
	if in.Actions == nil {
		return nil
	}
	if len(*in.Actions) > 3 {
		return custom("CheckRun", "No more than 3 items are allowed in actions; %d were supplied.", len(*in.Actions))
	}
	for _, a := range *in.Actions {
		if !within(a.Label, 20) || !within(a.Description, 40) || !within(a.Identifier, 20) {
			return custom("CheckRun", "An action's label and identifier have 1 to 20 characters, its description 1 to 40.")
		}
	}
	return nil
}

// within tells whether a text has one character to most.
func within(s string, most int) bool {
	n := utf8.RuneCountInString(s)
	return n > 0 && n <= most
}

func deref(s *string) int {
	if s == nil {
		return 0
	}
	return len(*s)
}

func (s *Server) createRunRoute(c *call) (reply, error) {
	if !c.who.isApp() {
		return reply{}, fail(http.StatusForbidden, "You must authenticate via a GitHub App.")
	}
	var in runInput
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if in.Name == nil || *in.Name == "" {
		return reply{}, invalid("CheckRun", "name", "missing_field")
	}
	if _, err := s.readCommit(c.ctx, c.repo, in.HeadSHA); err != nil {
		return reply{}, fail(422, "No commit found for SHA: %s", in.HeadSHA)
	}
	run, err := s.createRun(c.ctx, c.repo, c.who.app.ID, in)
	if err = s.afterCheck(c.ctx, c.repo, err); err != nil {
		return reply{}, err
	}
	return created(s.runJSON(c.repo, run))
}

// createRun posts a check run for an App.
func (s *Server) createRun(ctx context.Context, r *repo, appID int64, in runInput) (*checkRun, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	suite := s.suiteFor(ctx, r, appID, in.HeadSHA)
	run := &checkRun{
		ID: s.w.next("run"), SuiteID: suite.ID, AppID: appID, HeadSHA: in.HeadSHA, Name: *in.Name, Status: "queued",
		StartedAt: s.now(),
	}
	r.Runs[in.HeadSHA] = append(r.Runs[in.HeadSHA], run)
	s.apply(run, in)
	s.emitRun(ctx, r, run, "created", s.w.bot(appID), nil)
	if run.Status == "completed" {
		s.emitRun(ctx, r, run, "completed", s.w.bot(appID), nil)
		s.suiteMoved(ctx, r, suite)
	}
	return run, nil
}

func (s *Server) suiteFor(ctx context.Context, r *repo, appID int64, sha string) *checkSuite {
	for _, su := range r.Suites[sha] {
		if su.AppID == appID {
			return su
		}
	}
	branch := ""
	for _, p := range sortedBy(r.Pulls) {
		if p.HeadSHA == sha {
			branch = p.HeadRef
		}
	}
	if branch == "" {
		if names, at, err := s.branches(ctx, r); err == nil {
			for _, n := range names {
				if at[n] == sha {
					branch = n
					break
				}
			}
		}
	}
	su := &checkSuite{ID: s.w.next("suite"), AppID: appID, HeadSHA: sha, HeadBranch: branch, CreatedAt: s.now(), UpdatedAt: s.now()}
	r.Suites[sha] = append(r.Suites[sha], su)
	return su
}

// apply writes an input's fields to a run.
func (s *Server) apply(run *checkRun, in runInput) {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&run.Name, in.Name)
	set(&run.Status, in.Status)
	set(&run.ExternalID, in.ExternalID)
	set(&run.DetailsURL, in.DetailsURL)
	if in.StartedAt != nil {
		run.StartedAt = *in.StartedAt
	}
	switch {
	case in.Conclusion != nil: // a conclusion alone completes the run
		run.Status, run.Conclusion, run.CompletedAt = "completed", *in.Conclusion, s.now()
	case in.Status != nil && *in.Status != "completed":
		run.Conclusion, run.CompletedAt = "", time.Time{}
	}
	if in.CompletedAt != nil {
		run.CompletedAt = *in.CompletedAt
	}
	if in.Output != nil {
		set(&run.Output.Title, in.Output.Title)
		set(&run.Output.Summary, in.Output.Summary)
		set(&run.Output.Text, in.Output.Text)
		run.Output.Annotations = append(run.Output.Annotations, in.Output.Annotations...)
	}
	if in.Actions != nil {
		run.Actions = *in.Actions
	}
}

func (s *Server) runByID(r *repo, id int64) *checkRun {
	for _, runs := range r.Runs {
		for _, run := range runs {
			if run.ID == id {
				return run
			}
		}
	}
	return nil
}

func (c *call) run() (*checkRun, error) {
	if run := c.s.runByID(c.repo, c.id("run")); run != nil {
		return run, nil
	}
	return nil, notFound()
}

func (s *Server) getRun(c *call) (reply, error) {
	run, err := c.run()
	if err != nil {
		return reply{}, err
	}
	return ok(s.runJSON(c.repo, run))
}

func (s *Server) patchRun(c *call) (reply, error) {
	run, err := c.run()
	if err != nil {
		return reply{}, err
	}
	if !c.who.isApp() || c.who.app.ID != run.AppID {
		return reply{}, fail(http.StatusForbidden, "Resource not accessible by integration")
	}
	var in runInput
	if err := c.decode(&in); err != nil {
		return reply{}, err
	}
	if err := s.afterCheck(c.ctx, c.repo, s.updateRun(c.ctx, c.repo, run, in)); err != nil {
		return reply{}, err
	}
	return ok(s.runJSON(c.repo, run))
}

func (s *Server) updateRun(ctx context.Context, r *repo, run *checkRun, in runInput) error {
	if err := in.check(); err != nil {
		return err
	}
	was := run.Status + run.Conclusion
	s.apply(run, in)
	if run.Status == "completed" && run.Status+run.Conclusion != was {
		s.emitRun(ctx, r, run, "completed", s.w.bot(run.AppID), nil)
		for _, su := range r.Suites[run.HeadSHA] {
			if su.ID == run.SuiteID {
				s.suiteMoved(ctx, r, su)
			}
		}
	}
	return nil
}

// suiteRuns are the newest runs of a suite by name.
func (r *repo) suiteRuns(su *checkSuite) []*checkRun {
	var out []*checkRun
	for _, run := range latestRuns(r.Runs[su.HeadSHA]) {
		if run.SuiteID == su.ID {
			out = append(out, run)
		}
	}
	return out
}

// suiteState sums a suite's runs up.
func (r *repo) suiteState(su *checkSuite) (status, conclusion string) {
	runs := r.suiteRuns(su)
	if len(runs) == 0 {
		return "queued", ""
	}
	order := []string{"", "skipped", "neutral", "success", "stale", "cancelled", "timed_out", "action_required", "failure"}
	worst := 0
	for _, run := range runs {
		if run.Status != "completed" {
			return "in_progress", ""
		}
		worst = max(worst, slices.Index(order, run.Conclusion))
	}
	return "completed", order[worst]
}

func (s *Server) listAnnotations(c *call) (reply, error) {
	run, err := c.run()
	if err != nil {
		return reply{}, err
	}
	return list(c, run.Output.Annotations, func(a annotation) object {
		return object{
			"path": a.Path, "start_line": a.StartLine, "end_line": a.EndLine, "start_column": nil, "end_column": nil,
			"annotation_level": a.Level, "title": orNull(a.Title), "message": a.Message, "raw_details": nil,
			"blob_href": s.html("/%s/blob/%s/%s", c.repo.full(), run.HeadSHA, a.Path),
		}
	})
}

func (s *Server) rerequestRoute(c *call) (reply, error) {
	run, err := c.run()
	if err != nil {
		return reply{}, err
	}
	s.emitRun(c.ctx, c.repo, run, "rerequested", c.who.acc, nil)
	return reply{status: http.StatusCreated, body: object{}}, nil
}

func (s *Server) suite(c *call) (*checkSuite, error) {
	for _, all := range c.repo.Suites {
		for _, su := range all {
			if su.ID == c.id("suite") {
				return su, nil
			}
		}
	}
	return nil, notFound()
}

func (s *Server) getSuite(c *call) (reply, error) {
	su, err := s.suite(c)
	if err != nil {
		return reply{}, err
	}
	return ok(s.suiteJSON(c.repo, su))
}

func (s *Server) listSuiteRuns(c *call) (reply, error) {
	su, err := s.suite(c)
	if err != nil {
		return reply{}, err
	}
	return s.answerRuns(c, slices.DeleteFunc(slices.Clone(c.repo.Runs[su.HeadSHA]), func(run *checkRun) bool { return run.SuiteID != su.ID }))
}

func (s *Server) listRuns(c *call) (reply, error) {
	sha, err := s.resolveRef(c.ctx, c.repo, c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	return s.answerRuns(c, slices.Clone(c.repo.Runs[sha]))
}

// answerRuns filters runs as the query asks: newest of each name unless
// filter=all.
func (s *Server) answerRuns(c *call, all []*checkRun) (reply, error) {
	if c.query("filter") != "all" {
		all = latestRuns(all)
	}
	all = slices.DeleteFunc(all, func(run *checkRun) bool {
		return c.query("check_name") != "" && c.query("check_name") != run.Name ||
			c.query("status") != "" && c.query("status") != run.Status ||
			c.query("app_id") != "" && int64(atoi(c.query("app_id"), -1)) != run.AppID
	})
	slices.SortFunc(all, func(a, b *checkRun) int { return int(b.ID - a.ID) })
	return listIn(c, "check_runs", all, func(run *checkRun) object { return s.runJSON(c.repo, run) })
}

func (s *Server) listSuites(c *call) (reply, error) {
	sha, err := s.resolveRef(c.ctx, c.repo, c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	all := slices.DeleteFunc(slices.Clone(c.repo.Suites[sha]), func(su *checkSuite) bool {
		return c.query("app_id") != "" && int64(atoi(c.query("app_id"), -1)) != su.AppID
	})
	return listIn(c, "check_suites", all, func(su *checkSuite) object { return s.suiteJSON(c.repo, su) })
}

// pullsOf lists the open pull requests with this head, as checks show them.
func (s *Server) pullsOf(r *repo, sha string) []object {
	out := []object{}
	for _, p := range sortedBy(r.Pulls) {
		if p.HeadSHA != sha || r.issueOf(p).State != "open" {
			continue
		}
		small := object{"id": r.ID, "url": s.api("/repos/%s", r.full()), "name": r.Name}
		out = append(out, object{
			"id": p.ID, "number": p.Number, "url": s.api("/repos/%s/pulls/%d", r.full(), p.Number),
			"head": object{"ref": p.HeadRef, "sha": p.HeadSHA, "repo": small},
			"base": object{"ref": p.BaseRef, "sha": p.BaseSHA, "repo": small},
		})
	}
	return out
}

// runJSON is GitHub's check run.
func (s *Server) runJSON(r *repo, run *checkRun) object {
	u := s.api("/repos/%s/check-runs/%d", r.full(), run.ID)
	page := s.html("/%s/runs/%d", r.full(), run.ID)
	details := run.DetailsURL
	if details == "" {
		details = page
	}
	return object{
		"id": run.ID, "node_id": nodeID("CR", run.ID), "name": run.Name, "head_sha": run.HeadSHA,
		"external_id": run.ExternalID, "url": u, "html_url": page, "details_url": details, "status": run.Status,
		"conclusion": orNull(run.Conclusion), "started_at": stamp(run.StartedAt), "completed_at": stamp(run.CompletedAt),
		"output": object{
			"title": orNull(run.Output.Title), "summary": orNull(run.Output.Summary), "text": orNull(run.Output.Text),
			"annotations_count": len(run.Output.Annotations), "annotations_url": u + "/annotations",
		},
		"check_suite": object{"id": run.SuiteID}, "app": s.appOf(s.w.Apps[run.AppID]), "pull_requests": s.pullsOf(r, run.HeadSHA),
	}
}

// suiteJSON is GitHub's check suite.
func (s *Server) suiteJSON(r *repo, su *checkSuite) object {
	u := s.api("/repos/%s/check-suites/%d", r.full(), su.ID)
	status, conclusion := r.suiteState(su)
	return object{
		"id": su.ID, "node_id": nodeID("CS", su.ID), "head_branch": orNull(su.HeadBranch), "head_sha": su.HeadSHA,
		"status": status, "conclusion": orNull(conclusion), "url": u, "before": nil, "after": su.HeadSHA,
		"pull_requests": s.pullsOf(r, su.HeadSHA), "app": s.appOf(s.w.Apps[su.AppID]),
		"created_at": stamp(su.CreatedAt), "updated_at": stamp(su.UpdatedAt), "latest_check_runs_count": len(r.suiteRuns(su)),
		"check_runs_url": u + "/check-runs", "repository": s.repoOf(r, false), "rerequestable": true, "runs_rerequestable": true,
		"head_commit": s.shortCommit(r, su.HeadSHA),
	}
}
