package main

import (
	"context"
	"errors"
	"time"

	"github.com/rungbot/rung/internal/app"
	"github.com/rungbot/rung/internal/doctor"
	"github.com/rungbot/rung/internal/settings"
)

// doctorCommand says whether rung can work, and what to do where it can't.
type doctorCommand struct {
	Repositories []string `arg:"" optional:"" placeholder:"OWNER/NAME" completes:"repository" help:"GitOps repositories; without any, all that have a rung.yaml."`
	Production   bool     `help:"Also say whether it is ready for production."`
	JSON         bool     `help:"Print the report as JSON; docs/doctor.schema.json is its schema."`
}

// Help says what it reads and what the codes mean.
func (doctorCommand) Help() string {
	return "Looks at this machine, GitHub, the App and the repositories with the settings of rung serve, and changes nothing. Exits 0 when nothing fails (there may be warnings), 1 when something does, and 2 when something that rung needs could not be seen. docs/doctor.md says what each line means."
}

// Run looks, judges and tells.
func (c doctorCommand) Run(ctx context.Context, io streams) error {
	if err := repositories(c.Repositories...); err != nil {
		return err
	}
	var report doctor.Report
	s, err := settings.Load(io.env)
	var wrong *settings.Error
	switch {
	case errors.As(err, &wrong):
		report = doctor.Judge(&doctor.Facts{Now: time.Now(), Production: c.Production, Settings: app.SettingsProblems(wrong)})
	case err != nil:
		return err
	default:
		report = app.Examine(ctx, s, app.Options{Log: logger(io, s.LogLevel, s.LogFormat)}, app.Examination{Repositories: c.Repositories, Production: c.Production})
	}
	if c.JSON {
		err = encode(io, report)
	} else {
		err = report.WriteText(io.out)
	}
	if err == nil && report.Code() != 0 {
		return &exitError{code: report.Code()}
	}
	return err
}
