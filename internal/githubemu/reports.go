package githubemu

import "context"

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
