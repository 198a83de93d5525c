package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/rungbot/rung/internal/gate/policy"
)

// policyCommand groups what is done with policies.
type policyCommand struct {
	Test policyTestCommand `cmd:"" help:"Run the cases beside the policies."`
}

// policyTestCommand runs every *_test.yaml against the policy beside it.
type policyTestCommand struct {
	Path string `arg:"" optional:"" default:"." type:"path" help:"Directory to look in."`
	JSON bool   `help:"Print the report as JSON."`
}

// Run exits 1 when a case fails and 2 when there is none.
func (c policyTestCommand) Run(io streams) error {
	report, err := policy.RunCases(os.DirFS(c.Path))
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(io.out)
		if err := enc.Encode(report); err != nil {
			return err
		}
	} else {
		for _, f := range report.Failures {
			fmt.Fprintln(io.out, f)
		}
		for _, path := range report.Untested {
			fmt.Fprintf(io.out, "%s: no cases beside it\n", path)
		}
		fmt.Fprintf(io.out, "%d cases in %d files, %d failures\n", report.Cases, len(report.Files), len(report.Failures))
	}
	switch {
	case report.OK():
		return nil
	case report.Cases == 0 && len(report.Failures) == 0:
		return fmt.Errorf("no cases found under %s", c.Path)
	}
	return doesNotHold
}
